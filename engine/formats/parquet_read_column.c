/* A column of a row group: its levels, passing over rows, and giving rows to a batch. How the rows are made is the
 * business of parquet_read_flat.c and parquet_read_list.c. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/parquet_read_internal.h"
#include "model/array.h"

#define SCRATCH_WIDTH 16 /* bytes of the widest value that is turned: a decimal */

mm_status mm_parquet_cursor_bad(const mm_parquet_cursor *c, uint64_t row, mm_error *err, const char *format, ...)
{
    char text[MM_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return mm_parquet_bad(c->pages.input, c->pages.stored_at, err, "column '%s', row %" PRIu64 ": %s",
                          c->plan.leaf->name, row, text);
}

static mm_status no_memory(const mm_parquet_cursor *c, mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", c->pages.input->name);
}

void mm_parquet_cursor_open(mm_parquet_cursor *c, const mm_parquet_chunk *chunk, uint64_t first, uint64_t rows)
{
    c->row = first;
    c->levels_left = 0;
    c->level = c->level_count = 0;
    c->ready_at = c->ready_count = 0;
    c->open_row = false;
    c->open_count = c->open_bytes = 0;
    if (c->plan.way == MM_PARQUET_WAY_ABSENT)
        return;
    uint64_t values;
    c->dense = c->plan.way == MM_PARQUET_WAY_VECTOR && mm_mul_u64(rows, c->plan.elements, &values) &&
               values == chunk->values;
    mm_parquet_pages_open(&c->pages, chunk);
}

void mm_parquet_cursor_free(mm_parquet_cursor *c)
{
    mm_parquet_pages_free(&c->pages);
    mm_buffer_free(&c->built);
    mm_buffer_free(&c->open_text);
    free(c->open_values);
}

/* --- levels ------------------------------------------------------------------------------------------------------- */

static mm_status malformed_levels(const mm_parquet_cursor *c, mm_error *err)
{
    return mm_parquet_bad(c->pages.input, c->pages.stored_at, err, "column '%s': malformed levels", c->plan.leaf->name);
}

static mm_status next_page(mm_parquet_cursor *c, mm_error *err)
{
    mm_status status = mm_parquet_pages_load(&c->pages, err);
    if (status == MM_OK)
        c->levels_left = c->pages.page_values;
    return status;
}

mm_status mm_parquet_cursor_levels(mm_parquet_cursor *c, size_t want, mm_error *err)
{
    const mm_parquet_leaf *leaf = c->plan.leaf;
    mm_parquet_pages *pages = &c->pages;
    if (c->level < c->level_count)
        return MM_OK;
    while (c->levels_left == 0) {
        mm_status status = mm_parquet_pages_head(pages, err);
        if (status == MM_OK)
            status = next_page(c, err);
        if (status != MM_OK)
            return status;
    }
    size_t n = want < MM_PARQUET_CHUNK ? want : MM_PARQUET_CHUNK;
    if (n > c->levels_left)
        n = (size_t)c->levels_left;
    if (leaf->max_repetition > 0 && !mm_parquet_hybrid_u8(&pages->repetition, c->repetition, n))
        return malformed_levels(c, err);
    c->all_present = leaf->max_definition == 0 || mm_parquet_hybrid_all(&pages->definition, n, leaf->max_definition);
    if (!c->all_present) {
        if (!mm_parquet_hybrid_u8(&pages->definition, c->definition, n))
            return malformed_levels(c, err);
        uint8_t most = 0;
        for (size_t i = 0; i < n; i++)
            most = c->definition[i] > most ? c->definition[i] : most;
        if (most > leaf->max_definition)
            return malformed_levels(c, err);
    }
    c->level = 0;
    c->level_count = n;
    c->levels_left -= n;
    return MM_OK;
}

size_t mm_parquet_cursor_present(const mm_parquet_cursor *c, size_t end)
{
    size_t present = 0;
    if (c->all_present)
        return end - c->level;
    for (size_t i = c->level; i < end; i++)
        present += c->definition[i] == c->plan.leaf->max_definition;
    return present;
}

/* --- single values ------------------------------------------------------------------------------------------------ */

/* The row that value number `bad` belongs to. */
static uint64_t row_of(const mm_parquet_cursor *c, uint64_t row, size_t per_row, size_t bad)
{
    if (per_row > 0)
        return row + bad / per_row;
    for (size_t i = c->level; i < c->level_count; i++) {
        if (!c->all_present && c->definition[i] != c->plan.leaf->max_definition)
            continue;
        if (bad-- == 0)
            return row + (i - c->level);
    }
    return row;
}

mm_status mm_parquet_cursor_numbers(mm_parquet_cursor *c, uint8_t *out, size_t n, uint64_t row, size_t per_row,
                                    mm_error *err)
{
    uint8_t scratch[MM_PARQUET_CHUNK * SCRATCH_WIDTH];
    const mm_parquet_plan *plan = &c->plan;
    mm_parquet_values *values = &c->pages.values;
    if (n == 0)
        return MM_OK;
    bool same = mm_parquet_same(plan->leaf, plan->element);
    const char *wrong = mm_parquet_values_fixed(values, same ? out : scratch, n);
    if (wrong != NULL)
        return mm_parquet_cursor_bad(c, row, err, "%s", wrong);
    if (same)
        return MM_OK;
    size_t bad = 0;
    wrong = mm_parquet_convert(plan->leaf, values->width, scratch, n, plan->element, plan->rounding, out, &bad);
    return wrong != NULL ? mm_parquet_cursor_bad(c, row_of(c, row, per_row, bad), err, "the value %s", wrong) : MM_OK;
}

/* --- passing over rows -------------------------------------------------------------------------------------------- */

static mm_status ends_early(const mm_parquet_cursor *c, mm_error *err)
{
    return mm_parquet_cursor_bad(c, c->row, err, "the column chunk ends before this row");
}

/* Passes over `n` of the levels that are there, with their values. */
static mm_status skip_levels(mm_parquet_cursor *c, size_t n, mm_error *err)
{
    size_t present = mm_parquet_cursor_present(c, c->level + n);
    const char *wrong = present > 0 ? mm_parquet_values_skip(&c->pages.values, present) : NULL;
    c->level += n;
    return wrong != NULL ? mm_parquet_cursor_bad(c, c->row, err, "%s", wrong) : MM_OK;
}

/* Where each row has the same number of levels: whole pages without a look at them. */
static mm_status skip_even(mm_parquet_cursor *c, uint64_t levels, mm_error *err)
{
    while (levels > 0) {
        mm_status status = MM_OK;
        if (c->level == c->level_count && c->levels_left == 0) {
            status = mm_parquet_pages_head(&c->pages, err);
            if (status == MM_OK && c->pages.page_values <= levels) {
                levels -= c->pages.page_values;
                mm_parquet_pages_pass(&c->pages);
                continue;
            }
            if (status == MM_OK)
                status = next_page(c, err);
        }
        if (status == MM_OK)
            status = mm_parquet_cursor_levels(c, levels < MM_PARQUET_CHUNK ? (size_t)levels : MM_PARQUET_CHUNK, err);
        if (status != MM_OK)
            return status == MM_END ? ends_early(c, err) : status;
        size_t there = c->level_count - c->level;
        size_t n = there < levels ? there : (size_t)levels;
        status = skip_levels(c, n, err);
        if (status != MM_OK)
            return status;
        levels -= n;
    }
    return MM_OK;
}

/* Lists of any length: rows are counted by their first levels. Pages of version 2 say how many rows they have, and
 * begin with one. */
static mm_status skip_lists(mm_parquet_cursor *c, uint64_t rows, mm_error *err)
{
    for (;;) {
        mm_status status = MM_OK;
        if (c->level == c->level_count && c->levels_left == 0) {
            status = mm_parquet_pages_head(&c->pages, err);
            if (status == MM_OK && c->pages.version2 && c->pages.page_rows <= rows) {
                rows -= c->pages.page_rows;
                mm_parquet_pages_pass(&c->pages);
                continue;
            }
            if (status == MM_OK)
                status = next_page(c, err);
        }
        if (status == MM_OK)
            status = mm_parquet_cursor_levels(c, MM_PARQUET_CHUNK, err);
        if (status != MM_OK) /* behind the last row there is nothing */
            return status != MM_END ? status : rows > 0 ? ends_early(c, err) : MM_OK;
        size_t end = c->level;
        for (; end < c->level_count; end++) {
            if (c->repetition[end] == 0 && rows == 0)
                break;
            rows -= c->repetition[end] == 0;
        }
        bool there = end < c->level_count;
        status = skip_levels(c, end - c->level, err);
        if (status != MM_OK || there)
            return status;
    }
}

mm_status mm_parquet_cursor_skip(mm_parquet_cursor *c, uint64_t rows, mm_error *err)
{
    mm_status status = MM_OK;
    if (c->plan.way != MM_PARQUET_WAY_ABSENT && rows > 0) {
        if (!c->plan.leaf->list)
            status = skip_even(c, rows, err);
        else if (c->dense)
            status = skip_even(c, rows * c->plan.elements, err);
        else
            status = skip_lists(c, rows, err);
    }
    c->row += rows;
    return status;
}

/* --- rows for a batch --------------------------------------------------------------------------------------------- */

mm_status mm_parquet_cursor_null(mm_parquet_cursor *c, mm_parquet_fill *fill, size_t row, mm_error *err)
{
    if (!c->field->nullable)
        return mm_parquet_cursor_bad(c, c->row + (row - fill->at), err, "null, and the field is not nullable");
    if (c->to->validity == NULL) {
        c->to->validity = mm_arena_alloc(&fill->batch->arena, fill->capacity / 8 + 1);
        if (c->to->validity == NULL)
            return no_memory(c, err);
        memset(c->to->validity, 0xFF, fill->capacity / 8 + 1);
    }
    c->to->validity[row / 8] &= (uint8_t)~(1u << (row % 8));
    return MM_OK;
}

static bool has_size(mm_parquet_way way)
{
    return way == MM_PARQUET_WAY_NUMBER || way == MM_PARQUET_WAY_OPAQUE || way == MM_PARQUET_WAY_VECTOR ||
           way == MM_PARQUET_WAY_ABSENT;
}

mm_status mm_parquet_cursor_ready(mm_parquet_cursor *c, size_t bytes, size_t *rows, mm_error *err)
{
    if (has_size(c->plan.way))
        return MM_OK;
    if (c->ready_at == c->ready_count) {
        mm_status status = c->plan.way == MM_PARQUET_WAY_ARRAY ? mm_parquet_array_fill(c, err)
                                                               : mm_parquet_text_fill(c, *rows, err);
        if (status != MM_OK)
            return status == MM_END ? ends_early(c, err) : status;
    }
    size_t n = 0, size = 0;
    while (n < *rows && c->ready_at + n < c->ready_count) {
        size += c->rows[c->ready_at + n].size;
        if (size > bytes && n > 0)
            break;
        n++;
    }
    *rows = n;
    return MM_OK;
}

/* Room for `size` more bytes of variable length; what is there moves when it has to. */
static mm_status make_room(mm_parquet_cursor *c, mm_parquet_fill *fill, size_t size, mm_error *err)
{
    size_t used = (size_t)c->to->offsets[fill->at];
    if (c->to->values != NULL && size <= c->room - used)
        return MM_OK;
    double guess = 1.1 * c->row_bytes * (double)fill->capacity; /* a file may say anything */
    size_t room = guess < (double)fill->bytes ? (size_t)guess + 64 : fill->bytes;
    if (room < 2 * c->room)
        room = 2 * c->room;
    if (room < used + size)
        room = used + size;
    uint8_t *values = mm_arena_alloc(&fill->batch->arena, room);
    if (values == NULL)
        return no_memory(c, err);
    if (used > 0)
        memcpy(values, c->to->values, used);
    c->to->values = values;
    c->room = room;
    return MM_OK;
}

static mm_status take_ready(mm_parquet_cursor *c, mm_parquet_fill *fill, size_t rows, mm_error *err)
{
    const mm_parquet_ref *refs = &c->rows[c->ready_at];
    size_t size = 0;
    for (size_t i = 0; i < rows; i++)
        size += refs[i].size;
    mm_status status = make_room(c, fill, size, err);
    if (status != MM_OK)
        return status;
    uint64_t *offsets = &c->to->offsets[fill->at];
    for (size_t i = 0; i < rows; i++) {
        offsets[i + 1] = offsets[i] + refs[i].size;
        if (refs[i].data == NULL)
            status = mm_parquet_cursor_null(c, fill, fill->at + i, err);
        else if (refs[i].size > 0)
            memcpy(c->to->values + offsets[i], refs[i].data, refs[i].size);
        if (status != MM_OK)
            return status;
    }
    c->ready_at += rows;
    c->rows_seen += rows;
    c->bytes_seen += size;
    c->row_bytes = (double)c->bytes_seen / (double)c->rows_seen;
    return MM_OK;
}

/* Fields that the file has no column for: an empty object for the dynamic one, else nulls. */
static mm_status take_absent(mm_parquet_cursor *c, mm_parquet_fill *fill, size_t rows, mm_error *err)
{
    bool dynamic = c->field->dynamic;
    size_t width = mm_type_width(c->field->type, c->field->dim), size = dynamic ? 2 : 0;
    mm_status status = width > 0 ? MM_OK : make_room(c, fill, rows * size, err);
    if (width > 0)
        memset(c->to->values + fill->at * width, 0, rows * width);
    for (size_t i = fill->at; i < fill->at + rows && status == MM_OK; i++) {
        if (width == 0)
            c->to->offsets[i + 1] = c->to->offsets[i] + size;
        if (dynamic)
            memcpy(c->to->values + c->to->offsets[i], "{}", 2);
        else
            status = mm_parquet_cursor_null(c, fill, i, err);
    }
    return status;
}

mm_status mm_parquet_cursor_take(mm_parquet_cursor *c, mm_parquet_fill *fill, size_t rows, mm_error *err)
{
    mm_status status;
    switch (c->plan.way) {
    case MM_PARQUET_WAY_ABSENT:
        status = take_absent(c, fill, rows, err);
        break;
    case MM_PARQUET_WAY_NUMBER:
    case MM_PARQUET_WAY_OPAQUE:
        status = mm_parquet_numbers_take(c, fill, rows, err);
        break;
    case MM_PARQUET_WAY_VECTOR:
        status = mm_parquet_vectors_take(c, fill, rows, err);
        break;
    default:
        status = take_ready(c, fill, rows, err);
    }
    c->row += rows;
    return status == MM_END ? ends_early(c, err) : status;
}

mm_status mm_parquet_cursor_check(mm_parquet_cursor *c, bool at_end, mm_error *err)
{
    if (c->plan.way == MM_PARQUET_WAY_ABSENT)
        return MM_OK;
    if (at_end) {
        if (c->ready_at < c->ready_count || c->open_row || c->level < c->level_count || c->levels_left > 0 ||
            c->pages.values_left > 0)
            return mm_parquet_cursor_bad(c, c->row, err, "the column chunk goes on behind the row group's last row");
        return MM_OK;
    }
    if (c->plan.way != MM_PARQUET_WAY_VECTOR)
        return MM_OK;
    mm_status status = mm_parquet_cursor_levels(c, MM_PARQUET_CHUNK, err);
    if (status == MM_OK && c->repetition[c->level] != 0)
        return mm_parquet_cursor_bad(c, c->row - 1, err, "more than %zu elements", c->plan.elements);
    return status == MM_END ? ends_early(c, err) : status;
}
