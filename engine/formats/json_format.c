/* The formats `json` and `jsonl` as drivers: see format.h and json_internal.h. */
#include "formats/json_internal.h"

const mm_format_driver mm_format_json = {
    .name = "json",
    .extension = ".json",
    .check = mm_json_check,
    .rows_max = mm_json_rows_max,
    .write_open = mm_json_write_open,
    .write_begin = mm_json_write_begin,
    .write_rows = mm_json_write_rows,
    .write_state = mm_json_write_state,
    .write_end = mm_json_write_end,
    .write_close = mm_json_write_close,
    .read_open = mm_json_read_open,
    .read_schema = mm_json_read_schema,
    .read_count = mm_json_read_count,
    .read_parts = mm_json_read_parts,
    .read_seek = mm_json_read_seek,
    .read_next = mm_json_read_next,
    .read_close = mm_json_read_close,
};

const mm_format_driver mm_format_jsonl = {
    .name = "jsonl",
    .extension = ".jsonl",
    .check = mm_json_check,
    .rows_max = mm_json_rows_max,
    .write_open = mm_jsonl_write_open,
    .write_begin = mm_json_write_begin,
    .write_rows = mm_json_write_rows,
    .write_state = mm_json_write_state,
    .write_end = mm_json_write_end,
    .write_close = mm_json_write_close,
    .read_open = mm_jsonl_read_open,
    .read_schema = mm_json_read_schema,
    .read_count = mm_json_read_count,
    .read_parts = mm_json_read_parts,
    .read_seek = mm_json_read_seek,
    .read_next = mm_json_read_next,
    .read_close = mm_json_read_close,
};
