/* The format `parquet` as a table of functions: see format.h and parquet_internal.h. */
#include "formats/parquet_internal.h"

const mm_format mm_format_parquet = {
    .name = "parquet",
    .extension = ".parquet",
};
