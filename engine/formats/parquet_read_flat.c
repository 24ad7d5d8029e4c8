/* Columns of a single value a row: numbers, vectors as bytes, text, sparse vectors as JSON text. */
#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "formats/json_internal.h"
#include "formats/parquet_read_internal.h"

#define REFS_BYTES ((size_t)8 << 20) /* of values that are put together at a time */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* --- fixed width -------------------------------------------------------------------------------------------------- */

/* n values of `width` bytes as they stand in the file, of any byte array type. */
static mm_status take_bytes(mm_parquet_cursor *c, uint8_t *out, size_t n, size_t width, mm_error *err)
{
    mm_parquet_ref refs[MM_PARQUET_CHUNK];
    mm_parquet_values *values = &c->pages.values;
    const char *wrong = NULL;
    if (c->plan.leaf->kind == MM_PARQUET_KIND_FIXED)
        wrong = n > 0 ? mm_parquet_values_fixed(values, out, n) : NULL;
    for (size_t got; c->plan.leaf->kind != MM_PARQUET_KIND_FIXED && n > 0; n -= got) {
        wrong = mm_parquet_values_refs(values, refs, n, REFS_BYTES, &got);
        if (wrong != NULL)
            break;
        for (size_t i = 0; i < got; i++, out += width) {
            if (refs[i].size != width)
                return mm_parquet_cursor_bad(c, c->row, err, "in this row or one soon after it, a vector of %zu bytes, "
                                             "not %zu", refs[i].size, width);
            memcpy(out, refs[i].data, width);
        }
    }
    return wrong != NULL ? mm_parquet_cursor_bad(c, c->row, err, "%s", wrong) : MM_OK;
}

/* The values of the rows that have one stand in front: moves each to its row, from the last one on. */
static mm_status spread(mm_parquet_cursor *c, mm_parquet_fill *fill, size_t first, size_t n, size_t present,
                        size_t width, mm_error *err)
{
    uint8_t *values = c->to->values + first * width, most = c->plan.leaf->max_definition;
    for (size_t i = 0; i < n && !c->field->nullable; i++) /* the first one is named */
        if (c->definition[c->level + i] != most)
            return mm_parquet_cursor_null(c, fill, first + i, err);
    for (size_t i = n; i-- > 0;) {
        if (c->definition[c->level + i] == most) {
            present--;
            if (present != i)
                memcpy(values + i * width, values + present * width, width);
            continue;
        }
        memset(values + i * width, 0, width);
        mm_status status = mm_parquet_cursor_null(c, fill, first + i, err);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

mm_status mm_parquet_numbers_take(mm_parquet_cursor *c, mm_parquet_fill *fill, size_t rows, mm_error *err)
{
    size_t width = mm_type_width(c->field->type, c->field->dim);
    for (size_t done = 0; done < rows;) {
        mm_status status = mm_parquet_cursor_levels(c, rows - done, err);
        if (status != MM_OK)
            return status;
        size_t n = min_size(c->level_count - c->level, rows - done);
        size_t present = mm_parquet_cursor_present(c, c->level + n);
        uint8_t *out = c->to->values + (fill->at + done) * width;
        status = c->plan.way == MM_PARQUET_WAY_OPAQUE
                     ? take_bytes(c, out, present, width, err)
                     : mm_parquet_cursor_numbers(c, out, present, c->row + done, 0, err);
        if (status == MM_OK && present < n)
            status = spread(c, fill, fill->at + done, n, present, width, err);
        if (status != MM_OK)
            return status;
        c->level += n;
        done += n;
    }
    return MM_OK;
}

/* --- variable length ---------------------------------------------------------------------------------------------- */

static void append_uuid(mm_buffer *out, const uint8_t *bytes)
{
    for (size_t i = 0; i < 16; i++)
        mm_buffer_printf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes[i]);
}

static mm_status append_sparse(mm_parquet_cursor *c, const mm_parquet_ref *text, uint64_t row, mm_error *err)
{
    mm_json json;
    mm_error inner = MM_ERROR_INIT;
    mm_json_open(&json, "its text", text->data, text->size);
    mm_status status = mm_json_read_sparse(&json, &c->built, &inner);
    if (status == MM_OK)
        status = mm_json_finish(&json, &inner);
    mm_json_close(&json);
    return status == MM_OK ? MM_OK : mm_parquet_cursor_bad(c, row, err, "no sparse vector: %s", inner.text);
}

/* Rows that do not stand in the page as they are wanted: each is appended to `built`, its size put down; when all are
 * there, where they begin. */
static mm_status build_rows(mm_parquet_cursor *c, size_t n, mm_error *err)
{
    c->built.size = 0;
    for (size_t i = 0; i < n; i++) {
        mm_parquet_ref *row = &c->rows[i];
        size_t before = c->built.size;
        if (row->data == NULL)
            continue;
        if (c->plan.way == MM_PARQUET_WAY_UUID) {
            append_uuid(&c->built, row->data);
        } else {
            mm_status status = append_sparse(c, row, c->row + i, err);
            if (status != MM_OK)
                return status;
        }
        row->size = c->built.size - before;
    }
    mm_buffer_append(&c->built, "", 1); /* data is not NULL then */
    if (c->built.failed)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", c->pages.input->name);
    const uint8_t *at = (const uint8_t *)c->built.data;
    for (size_t i = 0; i < n; i++) {
        if (c->rows[i].data == NULL)
            continue;
        c->rows[i].data = at;
        at += c->rows[i].size;
    }
    return MM_OK;
}

/* Values of the rows that have one become one for each row; `got` of them are there. Returns the number of rows. */
static size_t spread_refs(mm_parquet_cursor *c, size_t n, size_t got)
{
    size_t rows = 0, seen = 0;
    if (c->all_present)
        return got;
    for (; rows < n; rows++) {
        bool present = c->definition[c->level + rows] == c->plan.leaf->max_definition;
        if (present && seen == got)
            break;
        seen += present;
    }
    for (size_t i = rows; i-- > 0;) {
        bool present = c->definition[c->level + i] == c->plan.leaf->max_definition;
        c->rows[i] = present ? c->rows[--seen] : (mm_parquet_ref){NULL, 0};
    }
    return rows;
}

mm_status mm_parquet_text_fill(mm_parquet_cursor *c, size_t want, mm_error *err)
{
    mm_status status = mm_parquet_cursor_levels(c, want, err);
    if (status != MM_OK)
        return status;
    size_t n = min_size(c->level_count - c->level, want), got = 0;
    size_t present = mm_parquet_cursor_present(c, c->level + n);
    if (present > 0) {
        const char *wrong = mm_parquet_values_refs(&c->pages.values, c->rows, present, REFS_BYTES, &got);
        if (wrong != NULL)
            return mm_parquet_cursor_bad(c, c->row, err, "%s", wrong);
    }
    size_t rows = spread_refs(c, n, got);
    for (size_t i = 0; i < rows && c->plan.check_utf8 && c->plan.way == MM_PARQUET_WAY_TEXT; i++)
        if (c->rows[i].data != NULL && mm_utf8_prefix(c->rows[i].data, c->rows[i].size) < c->rows[i].size)
            return mm_parquet_cursor_bad(c, c->row + i, err, "the text is not UTF-8");
    if (c->plan.way != MM_PARQUET_WAY_TEXT)
        status = build_rows(c, rows, err);
    if (status != MM_OK)
        return status;
    c->level += rows;
    c->ready_at = 0;
    c->ready_count = rows;
    return MM_OK;
}
