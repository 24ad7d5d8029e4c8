/* The format `parquet` as a driver: see format.h and parquet_internal.h. */
#include "formats/parquet_internal.h"

const mm_format_driver mm_format_parquet = {
    .name = "parquet",
    .extension = ".parquet",
    .group_bytes = (size_t)16 << 20,
};
