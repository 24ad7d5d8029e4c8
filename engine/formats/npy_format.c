/* The format `npy` as a driver: see format.h, npy.h and npy_internal.h. */
#include "formats/npy_internal.h"

const mm_format_driver mm_format_npy = {
    .name = "npy",
    .extension = ".npy",
    .file_per_field = true,
    .check = mm_npy_check,
    .rows_max = mm_npy_rows_max,
    .write_open = mm_npy_write_open,
    .write_begin = mm_npy_write_begin,
    .write_rows = mm_npy_write_rows,
    .write_state = mm_npy_write_state,
    .write_end = mm_npy_write_end,
    .write_head = mm_npy_write_head,
    .write_close = mm_npy_write_close,
    .read_open = mm_npy_read_open,
    .read_schema = mm_npy_read_schema,
    .read_count = mm_npy_read_count,
    .read_parts = mm_npy_read_parts,
    .read_seek = mm_npy_read_seek,
    .read_next = mm_npy_read_next,
    .read_close = mm_npy_read_close,
};
