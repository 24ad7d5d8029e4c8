/* Columns of a list a row: dense vectors, and Arrays. A row may go on in the next page (version 1). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "formats/json_parse.h"
#include "formats/parquet_read_internal.h"
#include "model/array.h"

#define TEXTS_BYTES ((size_t)8 << 20) /* of texts that are taken at a time */

/* --- dense vectors ------------------------------------------------------------------------------------------------ */

static mm_status null_element(const mm_parquet_cursor *c, uint64_t row, mm_error *err)
{
    return mm_parquet_cursor_bad(c, row, err, "a null among the elements of a list");
}

static mm_status wrong_length(const mm_parquet_cursor *c, uint64_t row, size_t found, mm_error *err)
{
    return mm_parquet_cursor_bad(c, row, err, "%zu elements, not %zu", found, c->plan.elements);
}

static bool has_value(const mm_parquet_cursor *c, size_t level)
{
    return c->all_present || c->definition[level] == c->plan.leaf->max_definition;
}

/* Where a row begins and there is no first element: it is null, or wrong. */
static mm_status take_empty(mm_parquet_cursor *c, mm_parquet_fill *fill, size_t done, mm_error *err)
{
    uint8_t definition = c->definition[c->level], list = c->plan.leaf->list_definition;
    if (definition > list)
        return null_element(c, c->row + done, err);
    if (definition == list)
        return wrong_length(c, c->row + done, 0, err);
    size_t width = mm_type_width(c->field->type, c->field->dim);
    memset(c->to->values + (fill->at + done) * width, 0, width);
    c->level++;
    return mm_parquet_cursor_null(c, fill, fill->at + done, err);
}

/* The elements of one row from level `at` on, as far as they are there: `count` of them, the first of which begins the
 * row when `begins`. */
static mm_status check_elements(const mm_parquet_cursor *c, size_t at, size_t count, size_t before, uint64_t row,
                                mm_error *err)
{
    size_t skip = before == 0 ? 1 : 0;
    const uint8_t *next = count > skip ? memchr(c->repetition + at + skip, 0, count - skip) : NULL;
    if (next != NULL)
        return wrong_length(c, row, before + (size_t)(next - (c->repetition + at)), err);
    if (c->all_present)
        return MM_OK;
    for (size_t i = at; i < at + count; i++)
        if (c->definition[i] != c->plan.leaf->max_definition)
            return null_element(c, row, err);
    return MM_OK;
}

/* Elements of consecutive rows, as many as there are levels for: from element *pos of row *done on. */
static mm_status take_elements(mm_parquet_cursor *c, mm_parquet_fill *fill, size_t rows, size_t *done, size_t *pos,
                               mm_error *err)
{
    size_t elements = c->plan.elements, first = *done * elements + *pos, taken = 0;
    uint64_t first_row = c->row + *done;
    while (*done < rows && c->level + taken < c->level_count) {
        size_t at = c->level + taken, rest = c->level_count - at;
        if (*pos == 0 && (c->repetition[at] != 0 || !has_value(c, at)))
            break;
        size_t count = elements - *pos < rest ? elements - *pos : rest;
        mm_status status = check_elements(c, at, count, *pos, c->row + *done, err);
        if (status != MM_OK)
            return status;
        taken += count;
        *pos += count;
        if (*pos == elements) {
            *pos = 0;
            (*done)++;
        }
    }
    size_t width = mm_type_width(c->field->type, c->field->dim) / elements;
    uint8_t *out = c->to->values + (fill->at * elements + first) * width;
    mm_status status = mm_parquet_cursor_numbers(c, out, taken, first_row, elements, err);
    c->level += taken;
    return status;
}

mm_status mm_parquet_vectors_take(mm_parquet_cursor *c, mm_parquet_fill *fill, size_t rows, mm_error *err)
{
    size_t done = 0, pos = 0;
    while (done < rows) {
        mm_status status = mm_parquet_cursor_levels(c, (rows - done) * c->plan.elements - pos, err);
        if (status == MM_END && pos > 0)
            return wrong_length(c, c->row + done, pos, err);
        if (status != MM_OK)
            return status;
        if (pos == 0 && c->repetition[c->level] != 0)
            return mm_parquet_cursor_bad(c, c->row + done - (c->row + done > 0), err, "more than %zu elements",
                                         c->plan.elements);
        if (pos == 0 && !has_value(c, c->level))
            status = take_empty(c, fill, done++, err);
        else
            status = take_elements(c, fill, rows, &done, &pos, err);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

/* --- Arrays ------------------------------------------------------------------------------------------------------- */

static mm_status no_memory(const mm_parquet_cursor *c, mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory for an array", c->pages.input->name);
}

/* The open row is complete: its bytes to `built`. Texts were copied one behind the other. */
static void close_row(mm_parquet_cursor *c)
{
    mm_parquet_ref *row = &c->rows[c->ready_count++];
    size_t before = c->built.size;
    const uint8_t *text = (const uint8_t *)c->open_text.data;
    for (size_t i = 0; i < c->open_count && c->plan.element == MM_TYPE_VARCHAR; i++) {
        c->open_values[i].text.data = text;
        text += c->open_values[i].text.size;
    }
    if (!c->open_null)
        mm_array_append(&c->built, c->plan.element, c->open_values, c->open_count);
    *row = (mm_parquet_ref){c->open_null ? NULL : (const uint8_t *)"", c->built.size - before};
    c->open_row = false;
}

static void begin_row(mm_parquet_cursor *c, bool null)
{
    c->open_row = true;
    c->open_null = null;
    c->open_count = c->open_bytes = c->open_text.size = 0;
}

static mm_status push(mm_parquet_cursor *c, const mm_array_value *value, mm_error *err)
{
    bool text = c->plan.element == MM_TYPE_VARCHAR;
    c->open_bytes += sizeof(*value) + (text ? value->text.size : 0);
    if (c->open_bytes > MM_PARQUET_ROW_MAX)
        return mm_parquet_cursor_bad(c, c->row + c->ready_count, err, "an array of more than %zu MiB (not supported)",
                                     MM_PARQUET_ROW_MAX >> 20);
    if (c->open_count == c->open_capacity) {
        size_t capacity = c->open_capacity > 0 ? 2 * c->open_capacity : 64;
        mm_array_value *larger = realloc(c->open_values, capacity * sizeof(*larger));
        if (larger == NULL)
            return no_memory(c, err);
        c->open_values = larger;
        c->open_capacity = capacity;
    }
    c->open_values[c->open_count++] = *value;
    if (text)
        mm_buffer_append(&c->open_text, value->text.data, value->text.size);
    return MM_OK;
}

/* Values of the levels that are there: numbers as the element type, or texts. */
typedef struct batch_of_values {
    uint8_t numbers[MM_PARQUET_CHUNK * 8];
    mm_parquet_ref texts[MM_PARQUET_CHUNK];
    size_t width, count, next;
} batch_of_values;

static mm_status get_values(mm_parquet_cursor *c, batch_of_values *v, size_t present, mm_error *err)
{
    v->next = 0;
    v->count = present;
    v->width = mm_type_width(c->plan.element, 0);
    if (present == 0)
        return MM_OK;
    if (v->width > 0)
        return mm_parquet_cursor_numbers(c, v->numbers, present, c->row + c->ready_count, SIZE_MAX, err);
    const char *wrong = mm_parquet_values_refs(&c->pages.values, v->texts, present, TEXTS_BYTES, &v->count);
    return wrong != NULL ? mm_parquet_cursor_bad(c, c->row + c->ready_count, err, "%s", wrong) : MM_OK;
}

static mm_array_value number_at(mm_type element, const uint8_t *at)
{
    mm_array_value value;
    int8_t i8;
    int16_t i16;
    int32_t i32;
    memset(&value, 0, sizeof(value));
    switch (element) {
    case MM_TYPE_INT8:
        memcpy(&i8, at, 1);
        value.integer = i8;
        break;
    case MM_TYPE_INT16:
        memcpy(&i16, at, 2);
        value.integer = i16;
        break;
    case MM_TYPE_INT32:
        memcpy(&i32, at, 4);
        value.integer = i32;
        break;
    case MM_TYPE_FLOAT:
        memcpy(&value.f32, at, 4);
        break;
    case MM_TYPE_BOOL:
        value.integer = *at;
        break;
    default: /* Int64, Double */
        memcpy(&value, at, 8);
    }
    return value;
}

static mm_status push_next(mm_parquet_cursor *c, batch_of_values *v, mm_error *err)
{
    mm_array_value value;
    size_t i = v->next++;
    if (v->width > 0)
        value = number_at(c->plan.element, v->numbers + i * v->width);
    else
        value.text.data = v->texts[i].data, value.text.size = v->texts[i].size;
    if (v->width == 0 && mm_utf8_prefix(value.text.data, value.text.size) < value.text.size)
        return mm_parquet_cursor_bad(c, c->row + c->ready_count, err, "a text that is not UTF-8");
    return push(c, &value, err);
}

/* One level: a row begins, or goes on, and has a value, or none. */
static mm_status take_level(mm_parquet_cursor *c, batch_of_values *v, mm_error *err)
{
    const mm_parquet_leaf *leaf = c->plan.leaf;
    uint8_t definition = c->all_present ? leaf->max_definition : c->definition[c->level];
    bool begins = c->repetition[c->level] == 0;
    if (begins && c->open_row)
        close_row(c);
    if (begins)
        begin_row(c, definition < leaf->list_definition);
    else if (!c->open_row || c->open_count == 0)
        return mm_parquet_cursor_bad(c, c->row + c->ready_count, err, "a list that goes on without having begun");
    if (definition == leaf->max_definition)
        return push_next(c, v, err);
    if (definition > leaf->list_definition || !begins)
        return null_element(c, c->row + c->ready_count, err);
    return MM_OK;
}

static mm_status take_levels(mm_parquet_cursor *c, batch_of_values *v, mm_error *err)
{
    mm_status status = get_values(c, v, mm_parquet_cursor_present(c, c->level_count), err);
    while (status == MM_OK && c->level < c->level_count) {
        if (v->next == v->count && has_value(c, c->level))
            break; /* the rest of the texts comes next time */
        status = take_level(c, v, err);
        if (status == MM_OK)
            c->level++;
    }
    return status;
}

mm_status mm_parquet_array_fill(mm_parquet_cursor *c, mm_error *err)
{
    batch_of_values values;
    c->ready_at = c->ready_count = 0;
    c->built.size = 0;
    while (c->ready_count == 0) {
        mm_status status = mm_parquet_cursor_levels(c, MM_PARQUET_CHUNK, err);
        if (status == MM_END && c->open_row) {
            close_row(c);
            break;
        }
        if (status == MM_OK)
            status = take_levels(c, &values, err);
        if (status != MM_OK)
            return status;
    }
    mm_buffer_append(&c->built, "", 1); /* data is not NULL then */
    if (c->built.failed || c->open_text.failed)
        return no_memory(c, err);
    const uint8_t *at = (const uint8_t *)c->built.data;
    for (size_t i = 0; i < c->ready_count; i++) {
        if (c->rows[i].data == NULL)
            continue;
        c->rows[i].data = at;
        at += c->rows[i].size;
    }
    return MM_OK;
}

/* --- lengths ------------------------------------------------------------------------------------------------------ */

mm_status mm_parquet_list_lengths(mm_parquet_cursor *c, uint64_t rows, uint32_t *elements, bool *nulls, mm_error *err)
{
    uint64_t seen = 0, length = 0, constant = UINT64_MAX;
    mm_status status = MM_OK;
    bool differ = false, null = true; /* nothing before the first row */
    *nulls = false;
    for (;;) {
        status = mm_parquet_cursor_levels(c, MM_PARQUET_CHUNK, err);
        if (status != MM_OK && status != MM_END)
            return status;
        for (; status == MM_OK && c->level < c->level_count && seen <= rows; c->level++) {
            uint8_t definition = c->all_present ? c->plan.leaf->max_definition : c->definition[c->level];
            if (c->repetition[c->level] == 0) {
                differ = differ || (!null && constant != UINT64_MAX && length != constant);
                constant = null || constant != UINT64_MAX ? constant : length;
                length = 0;
                null = definition < c->plan.leaf->list_definition;
                *nulls = *nulls || null;
                seen++;
            }
            length += definition > c->plan.leaf->list_definition;
        }
        if (status == MM_END || seen > rows)
            break;
    }
    if (status == MM_END && !null) {
        differ = differ || (constant != UINT64_MAX && length != constant);
        constant = constant != UINT64_MAX ? constant : length;
    }
    *elements = differ || constant > UINT32_MAX ? 0 : (uint32_t)constant;
    return MM_OK;
}
