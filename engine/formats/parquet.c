/* The format `parquet` as a driver: see format.h and parquet_internal.h. */
#include "formats/parquet_internal.h"

const mm_format_driver mm_format_parquet = {
    .name = "parquet",
    .extension = ".parquet",
    .group_bytes = (size_t)16 << 20,
    .check = mm_parquet_check,
    .rows_max = mm_parquet_rows_max,
    .write_open = mm_parquet_write_open,
    .write_begin = mm_parquet_write_begin,
    .write_rows = mm_parquet_write_rows,
    .write_state = mm_parquet_write_state,
    .write_end = mm_parquet_write_end,
    .write_close = mm_parquet_write_close,
    .read_open = mm_parquet_read_open,
    .read_schema = mm_parquet_read_schema,
    .read_count = mm_parquet_read_count,
    .read_parts = mm_parquet_read_parts,
    .read_seek = mm_parquet_read_seek,
    .read_next = mm_parquet_read_next,
    .read_close = mm_parquet_read_close,
};
