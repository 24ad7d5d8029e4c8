/* Rows of a column as the bytes of a page: levels and PLAIN values, or indices of the byte dictionary.
 *
 * Values of fixed width without nulls are not copied: the page points into the batch. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "base/wire.h"
#include "formats/number.h"
#include "formats/parquet_levels.h"
#include "formats/parquet_write.h"
#include "model/array.h"

/* What a page is made from. */
typedef struct page {
    mm_format_writer *writer;
    const mm_parquet_column *column;
    const mm_column *from; /* the batch's */
    size_t first, end;     /* rows */
    size_t valid;          /* of them */
    mm_error *err;
} page;

static mm_status bad_value(const page *p, size_t row, const char *what)
{
    return mm_error_set(p->err, MM_DATA, "field %s, row %" PRIu64 " of the file: %s", p->column->name,
                        p->writer->rows + (row - p->writer->group_first), what);
}

/* --- how many rows ---------------------------------------------------------------------------------------------- */

/* Bytes that a row of variable width takes in a page, at most or nearly so. */
static uint64_t row_cost(mm_parquet_form form, uint64_t bytes)
{
    return form == MM_PARQUET_TEXT ? bytes + 4 : form == MM_PARQUET_SPARSE ? bytes * 3 + 8 : bytes * 4 + 8;
}

static size_t page_end(const mm_parquet_column *column, const mm_column *values, size_t from, size_t to)
{
    if (column->width > 0) {
        size_t rows = MM_PARQUET_PAGE_BYTES / column->width;
        rows = rows > 0 ? rows : 1;
        return to - from > rows ? from + rows : to;
    }
    uint64_t bytes = 0;
    size_t row = from;
    for (; row < to; row++) {
        bytes += row_cost(column->form, values->offsets[row + 1] - values->offsets[row]);
        if (bytes > MM_PARQUET_PAGE_BYTES && row > from)
            break;
    }
    return row;
}

static size_t count_valid(const mm_column *values, size_t from, size_t to)
{
    size_t valid = 0;
    if (values->validity == NULL)
        return to - from;
    for (size_t row = from; row < to; row++)
        valid += mm_parquet_is_valid(values, row);
    return valid;
}

/* --- levels ----------------------------------------------------------------------------------------------------- */

static void scalar_levels(const page *p)
{
    size_t rows = p->end - p->first;
    mm_parquet_levels levels = mm_parquet_levels_begin(&p->writer->prefix, 1);
    if (p->valid == rows || p->valid == 0)
        mm_parquet_levels_run(&levels, p->valid == rows, rows);
    else
        mm_parquet_levels_bits(&levels, p->from->validity, p->first, rows);
    mm_parquet_levels_end(&levels);
}

/* Elements of a row: of a list of one length that, of an Array as they were counted. */
static uint64_t elements_of(const page *p, size_t row)
{
    if (!mm_parquet_is_valid(p->from, row))
        return 0;
    if (p->column->length > 0)
        return p->column->length;
    uint32_t count;
    memcpy(&count, p->writer->counts.data + (row - p->first) * sizeof(count), sizeof(count));
    return count;
}

/* Returns the number of levels. A row without elements, null or empty, has one level. */
static uint64_t list_levels(const page *p)
{
    unsigned present = mm_parquet_definition_max(p->column);
    mm_parquet_levels levels = mm_parquet_levels_begin(&p->writer->prefix, 1);
    for (size_t row = p->first; row < p->end; row++) {
        uint64_t count = elements_of(p, row);
        mm_parquet_levels_run(&levels, 0, 1);
        mm_parquet_levels_run(&levels, 1, count > 0 ? count - 1 : 0);
    }
    mm_parquet_levels_end(&levels);

    uint64_t total = 0;
    levels = mm_parquet_levels_begin(&p->writer->prefix, present);
    for (size_t row = p->first; row < p->end; row++) {
        uint64_t count = elements_of(p, row);
        unsigned empty = mm_parquet_is_valid(p->from, row) ? present - 1 : 0;
        mm_parquet_levels_run(&levels, count > 0 ? present : empty, count > 0 ? count : 1);
        total += count > 0 ? count : 1;
    }
    mm_parquet_levels_end(&levels);
    return total;
}

/* In front of indices: their width in bits, and the header of one bit-packed run. With eight bits an index the run is
 * the bytes themselves. */
static void index_header(const page *p, size_t indices)
{
    uint8_t bytes[1 + MM_VARINT_MAX] = {8}, *end = bytes + 1;
    if (indices > 0)
        end = mm_varint_put(end, (uint64_t)(indices + 7) / 8 << 1 | 1);
    mm_buffer_append(&p->writer->prefix, bytes, (size_t)(end - bytes));
}

/* --- values ----------------------------------------------------------------------------------------------------- */

/* Values of fixed width: the batch's own bytes, or those of the rows that have one. */
static void fixed_values(const page *p, mm_parquet_body *body)
{
    size_t width = p->column->width;
    body->values = p->from->values + p->first * width;
    body->values_size = p->valid * width;
    if (p->valid == p->end - p->first)
        return;
    uint8_t *to = mm_buffer_room(&p->writer->values, body->values_size);
    body->values = to;
    for (size_t row = p->first; to != NULL && row < p->end; row++) {
        if (!mm_parquet_is_valid(p->from, row))
            continue;
        memcpy(to, p->from->values + row * width, width);
        to += width;
    }
}

static void widened_values(const page *p)
{
    uint8_t *to = mm_buffer_room(&p->writer->values, p->valid * sizeof(int32_t));
    for (size_t row = p->first; to != NULL && row < p->end; row++) {
        if (!mm_parquet_is_valid(p->from, row))
            continue;
        int16_t narrow;
        memcpy(&narrow, p->from->values + row * sizeof(narrow), sizeof(narrow));
        int32_t wide = narrow;
        memcpy(to, &wide, sizeof(wide));
        to += sizeof(wide);
    }
}

static void put_bit(mm_buffer *bits, uint64_t index, bool set)
{
    if (index % 8 == 0)
        mm_buffer_append(bits, "", 1);
    if (set && !bits->failed)
        bits->data[bits->size - 1] |= (char)(1u << index % 8);
}

static void bit_values(const page *p)
{
    uint64_t index = 0;
    for (size_t row = p->first; row < p->end; row++)
        if (mm_parquet_is_valid(p->from, row))
            put_bit(&p->writer->values, index++, p->from->values[row] != 0);
}

static bool put_text(mm_buffer *out, const uint8_t *bytes, size_t size)
{
    uint32_t length = (uint32_t)size;
    if (size > INT32_MAX || mm_utf8_prefix(bytes, size) < size)
        return false;
    uint8_t *to = mm_buffer_room(out, sizeof(length) + size);
    if (to == NULL)
        return true; /* the buffer tells of it */
    memcpy(to, &length, sizeof(length));
    if (size > 0)
        memcpy(to + sizeof(length), bytes, size);
    return true;
}

static mm_status text_values(const page *p)
{
    for (size_t row = p->first; row < p->end; row++) {
        size_t size = 0;
        const uint8_t *bytes = mm_parquet_is_valid(p->from, row) ? mm_column_at(p->from, row, &size) : NULL;
        if (mm_parquet_is_valid(p->from, row) && !put_text(&p->writer->values, bytes, size))
            return bad_value(p, row, "not UTF-8, or too long");
    }
    return MM_OK;
}

/* The shortest text that gives the same float to whoever reads it as one, and to whoever reads a double and narrows
 * it, as Milvus does: for a few floats, 7.0385307e-26 among them, the first is not enough. */
static size_t print_value(float value, char out[MM_NUMBER_TEXT])
{
    mm_number number;
    size_t size = mm_number_print_float(value, out);
    mm_number_scan((const uint8_t *)out, (const uint8_t *)out + size, &number);
    if ((float)mm_number_double(&number) != value)
        size = mm_number_print_double((double)value, out);
    return size;
}

/* {"12":0.5,"70":1.0}: a row is pairs of u32 index and f32 value. */
static bool put_sparse(mm_buffer *out, const uint8_t *bytes, size_t size)
{
    size_t start = out->size;
    uint32_t length = 0, index;
    float value;
    mm_buffer_append(out, &length, sizeof(length));
    mm_buffer_append(out, "{", 1);
    for (size_t at = 0; at + 8 <= size; at += 8) {
        char text[8 + 2 * MM_NUMBER_TEXT], *end = text;
        memcpy(&index, bytes + at, sizeof(index));
        memcpy(&value, bytes + at + 4, sizeof(value));
        if (!isfinite(value))
            return false;
        if (at > 0)
            *end++ = ',';
        *end++ = '"';
        end += mm_number_print_int64(index, end);
        *end++ = '"';
        *end++ = ':';
        end += print_value(value, end);
        mm_buffer_append(out, text, (size_t)(end - text));
    }
    mm_buffer_append(out, "}", 1);
    length = (uint32_t)(out->size - start - sizeof(length));
    if (!out->failed)
        memcpy(out->data + start, &length, sizeof(length));
    return size % 8 == 0;
}

static mm_status sparse_values(const page *p)
{
    for (size_t row = p->first; row < p->end; row++) {
        size_t size = 0;
        const uint8_t *bytes = mm_parquet_is_valid(p->from, row) ? mm_column_at(p->from, row, &size) : NULL;
        if (mm_parquet_is_valid(p->from, row) && !put_sparse(&p->writer->values, bytes, size))
            return bad_value(p, row, "not pairs of index and finite value");
    }
    return MM_OK;
}

/* One element; `index` counts the page's elements. */
static bool put_element(mm_buffer *out, mm_type element, const mm_array_value *value, uint64_t index)
{
    int32_t narrow = (int32_t)value->integer;
    switch (element) {
    case MM_TYPE_BOOL:
        put_bit(out, index, value->integer != 0);
        return true;
    case MM_TYPE_INT64:
        mm_buffer_append(out, &value->integer, sizeof(value->integer));
        return true;
    case MM_TYPE_FLOAT:
        mm_buffer_append(out, &value->f32, sizeof(value->f32));
        return true;
    case MM_TYPE_DOUBLE:
        mm_buffer_append(out, &value->f64, sizeof(value->f64));
        return true;
    case MM_TYPE_VARCHAR:
        return put_text(out, value->text.data, value->text.size);
    default:
        mm_buffer_append(out, &narrow, sizeof(narrow));
        return true;
    }
}

static mm_status array_values(const page *p)
{
    mm_type element = p->column->field->element_type;
    uint64_t index = 0;
    for (size_t row = p->first; row < p->end; row++) {
        size_t size = 0;
        const uint8_t *bytes = mm_parquet_is_valid(p->from, row) ? mm_column_at(p->from, row, &size) : NULL;
        mm_array_reader reader = mm_array_over(element, bytes, size);
        mm_array_value value;
        uint32_t count = 0;
        for (; mm_array_next(&reader, &value); count++, index++)
            if (!put_element(&p->writer->values, element, &value, index))
                return bad_value(p, row, "an element is not UTF-8, or too long");
        if (reader.bad)
            return bad_value(p, row, "not an Array of the field's elements");
        mm_buffer_append(&p->writer->counts, &count, sizeof(count));
    }
    return MM_OK;
}

/* --- a page ----------------------------------------------------------------------------------------------------- */

static mm_status make_values(const page *p, mm_parquet_body *body)
{
    mm_status status = MM_OK;
    switch (p->column->form) {
    case MM_PARQUET_DIRECT:
    case MM_PARQUET_INDEX:
        fixed_values(p, body);
        return MM_OK;
    case MM_PARQUET_WIDEN:
        widened_values(p);
        break;
    case MM_PARQUET_BITS:
        bit_values(p);
        break;
    case MM_PARQUET_TEXT:
        status = text_values(p);
        break;
    case MM_PARQUET_SPARSE:
        status = sparse_values(p);
        break;
    case MM_PARQUET_ARRAY:
        status = array_values(p);
        break;
    }
    body->values = p->writer->values.data;
    body->values_size = p->writer->values.size;
    return status;
}

static void make_prefix(const page *p, mm_parquet_body *body)
{
    body->levels = body->rows;
    if (p->column->list)
        body->levels = list_levels(p);
    else if (p->column->nullable)
        scalar_levels(p);
    if (p->column->form == MM_PARQUET_INDEX)
        index_header(p, body->values_size);
    body->prefix = p->writer->prefix.data;
    body->prefix_size = p->writer->prefix.size;
}

/* Full pages of lists of one length, none of them null, have all the same prefix: it is made once. */
static void keep_prefix(const page *p, mm_parquet_body *body)
{
    mm_parquet_prefix *kept = &p->writer->prefixes[p->column - p->writer->columns];
    if (kept->rows != body->rows) {
        make_prefix(p, body);
        if (body->rows != MM_PARQUET_PAGE_BYTES / p->column->width)
            return;
        kept->bytes.size = 0;
        mm_buffer_append(&kept->bytes, body->prefix, body->prefix_size);
        kept->rows = kept->bytes.failed ? 0 : body->rows;
        return;
    }
    body->levels = body->rows * p->column->length;
    body->prefix = kept->bytes.data;
    body->prefix_size = kept->bytes.size;
}

mm_status mm_parquet_make_page(mm_format_writer *writer, const mm_parquet_column *column, const mm_column *values,
                               size_t from, size_t to, mm_parquet_body *body, mm_error *err)
{
    page p = {writer, column, values, from, page_end(column, values, from, to), 0, err};
    p.valid = count_valid(values, p.first, p.end);
    writer->prefix.size = writer->values.size = writer->counts.size = 0;
    *body = (mm_parquet_body){.rows = p.end - p.first};
    if (p.valid < body->rows && !column->nullable)
        return mm_error_set(err, MM_DATA, "field %s is not nullable and %zu rows have no value", column->name,
                            body->rows - p.valid);
    mm_status status = make_values(&p, body);
    if (status != MM_OK)
        return status;
    if (column->length > 0 && p.valid == body->rows)
        keep_prefix(&p, body);
    else
        make_prefix(&p, body);
    if (column->form == MM_PARQUET_INDEX)
        body->padding = (8 - body->values_size % 8) % 8;
    if (writer->prefix.failed || writer->values.failed || writer->counts.failed)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a page");
    if (body->levels > INT32_MAX || body->prefix_size + body->values_size > INT32_MAX - 8)
        return mm_error_set(err, MM_DATA, "field %s: a value is too large for a page", column->name);
    return MM_OK;
}
