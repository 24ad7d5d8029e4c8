/* The text of a json or jsonl file as a sliding window, from which one row after the other is cut without looking
 * into it: lines, or objects by their brackets. Memory: the longest row, at most MM_JSON_ROW_MAX, and a read ahead. */
#ifndef MM_FORMATS_JSON_TEXT_H
#define MM_FORMATS_JSON_TEXT_H

#include "formats/json_internal.h"

typedef struct mm_json_window {
    const mm_input *input;
    bool lines;        /* jsonl */
    uint8_t *bytes;
    size_t size, capacity;
    uint64_t base;     /* offset of bytes[0] in the file */
    uint64_t at;       /* where the next row is looked for */
    uint64_t rows_at;  /* json: behind the bracket that opens the rows */
    bool wrapped;      /* json: {"rows": […]} */
    bool behind_row;   /* json: a comma or the end comes next */
    bool ended;        /* json: the end of the rows was read */
} mm_json_window;

/* One row: its text without white space around it, valid until the next call. */
typedef struct mm_json_row {
    const uint8_t *text;
    size_t size;
    uint64_t at; /* in the file */
} mm_json_row;

/* Begins at the first row. json: reads what stands before the rows. */
mm_status mm_json_window_open(mm_json_window *window, const mm_input *input, bool lines, mm_error *err);
void mm_json_window_close(mm_json_window *window);
/* The next row is looked for from `at` on: the place of a row, or rows_at. */
void mm_json_window_seek(mm_json_window *window, uint64_t at);
/* MM_END behind the last row; json: what stands behind the rows was checked. */
mm_status mm_json_window_next(mm_json_window *window, mm_json_row *row, mm_error *err);
/* Number of the line, from 1 on, that holds the byte; 0: too far away to be counted. */
uint64_t mm_json_window_line(const mm_json_window *window, uint64_t at);

#endif
