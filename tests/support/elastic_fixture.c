/* elastic_fixture.h */
#include "support/elastic_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "model/array.h"

void elastic_answer(mm_buffer *out, const char *const *sources, size_t count)
{
    mm_buffer_printf(out,
                     "{\"took\":3,\"timed_out\":false,\"_shards\":{\"total\":1,\"successful\":1,\"skipped\":0,"
                     "\"failed\":0},\"hits\":{\"total\":{\"value\":%zu,\"relation\":\"eq\"},\"max_score\":null,"
                     "\"hits\":[",
                     count);
    for (size_t i = 0; i < count; i++)
        mm_buffer_printf(out,
                         "%s{\"_index\":\"books\",\"_id\":\"%c\",\"_seq_no\":%zu,\"_primary_term\":1,\"_score\":null,"
                         "\"_source\":%s,\"sort\":[%zu]}",
                         i > 0 ? "," : "", (char)('a' + i), i, sources[i], i);
    mm_buffer_printf(out, "]}}");
}

mm_status elastic_fields(elastic_fixture *f, const char *properties, const mm_elastic_choice *choice,
                         const char *sample)
{
    mm_elastic_choice usual = {.primary_key = "_id"};
    char *mapping = mm_format("{\"books\":{\"mappings\":{\"properties\":%s}}}", properties);
    const char *const mappings[] = {mapping};
    mm_error_clear(&f->err);
    f->fields = NULL;
    mm_status status = mm_elastic_fields_build(&f->arena, "books", choice != NULL ? choice : &usual, mappings, 1, sample,
                                               sample != NULL ? strlen(sample) : 0, &f->fields, &f->err);
    free(mapping);
    return status;
}

const char *elastic_schema(elastic_fixture *f)
{
    f->text.size = 0;
    for (size_t i = 0; i < f->fields->schema->field_count; i++) {
        const mm_field *field = &f->fields->schema->fields[i];
        mm_buffer_printf(&f->text, "%s %s", field->name, mm_type_name(field->type));
        if (field->type == MM_TYPE_ARRAY)
            mm_buffer_printf(&f->text, "(%s)", mm_type_name(field->element_type));
        else if (field->dim > 0 || field->type == MM_TYPE_VARCHAR)
            mm_buffer_printf(&f->text, "(%u)", field->dim > 0 ? field->dim : field->max_length);
        mm_buffer_printf(&f->text, "%s%s", field->primary ? " primary" : "", field->nullable ? " nullable" : "");
        if (field->metric_type != NULL)
            mm_buffer_printf(&f->text, " %s", field->metric_type);
        if (field->index_type != NULL)
            mm_buffer_printf(&f->text, " %s%s", field->index_type, field->index_params);
        mm_buffer_append(&f->text, "\n", 1);
    }
    return f->text.data;
}

static double scalar(mm_type type, const uint8_t *at)
{
    int64_t integer = 0;
    float single;
    double number;
    switch (type) {
    case MM_TYPE_FLOAT:
    case MM_TYPE_FLOAT_VECTOR:
        memcpy(&single, at, sizeof(single));
        return (double)single;
    case MM_TYPE_DOUBLE:
        memcpy(&number, at, sizeof(number));
        return number;
    case MM_TYPE_FLOAT16_VECTOR:
        return (double)mm_half_to_float((uint16_t)(at[0] | at[1] << 8));
    case MM_TYPE_BFLOAT16_VECTOR:
        return (double)mm_bfloat_to_float((uint16_t)(at[0] | at[1] << 8));
    case MM_TYPE_BINARY_VECTOR:
        return at[0];
    default:
        memcpy(&integer, at, type == MM_TYPE_INT8_VECTOR ? 1 : mm_type_width(type, 0));
        if (type == MM_TYPE_INT8_VECTOR || type == MM_TYPE_INT8)
            return (int8_t)integer;
        return type == MM_TYPE_INT16 ? (int16_t)integer : (int32_t)integer;
    }
}

static void put_array(mm_buffer *out, mm_type type, const uint8_t *value, size_t size)
{
    mm_array_reader reader = mm_array_over(type, value, size);
    mm_array_value item;
    mm_buffer_append(out, "[", 1);
    for (size_t n = 0; mm_array_next(&reader, &item); n++) {
        mm_buffer_append(out, ",", n > 0);
        if (type == MM_TYPE_VARCHAR)
            mm_buffer_append(out, item.text.data, item.text.size);
        else if (type == MM_TYPE_FLOAT || type == MM_TYPE_DOUBLE)
            mm_buffer_printf(out, "%.17g", type == MM_TYPE_FLOAT ? (double)item.f32 : item.f64);
        else
            mm_buffer_printf(out, "%" PRId64, item.integer);
    }
    mm_buffer_printf(out, reader.bad ? "BAD" : "]");
}

static void put_value(mm_buffer *out, const mm_column *column, size_t row)
{
    size_t size = 0;
    const mm_field *field = column->field;
    const uint8_t *value = mm_column_at(column, row, &size);
    mm_buffer_printf(out, "%s=", field->name);
    if (value == NULL) {
        mm_buffer_printf(out, "null");
    } else if (field->type == MM_TYPE_ARRAY) {
        put_array(out, field->element_type, value, size);
    } else if (field->type == MM_TYPE_SPARSE_FLOAT_VECTOR) {
        mm_buffer_append(out, "{", 1);
        for (size_t at = 0; at < size; at += 8) {
            uint32_t index;
            memcpy(&index, value + at, 4);
            mm_buffer_printf(out, "%s%u:%g", at > 0 ? "," : "", index, scalar(MM_TYPE_FLOAT, value + at + 4));
        }
        mm_buffer_append(out, "}", 1);
    } else if (column->offsets != NULL) {
        mm_buffer_append(out, value, size);
    } else if (mm_type_is_vector(field->type)) {
        size_t count = field->type == MM_TYPE_BINARY_VECTOR ? field->dim / 8 : field->dim;
        for (size_t i = 0; i < count; i++)
            mm_buffer_printf(out, "%c%.9g", i > 0 ? ',' : '[', scalar(field->type, value + i * (size / count)));
        mm_buffer_append(out, "]", 1);
    } else if (field->type == MM_TYPE_INT64) {
        int64_t integer;
        memcpy(&integer, value, sizeof(integer));
        mm_buffer_printf(out, "%" PRId64, integer);
    } else {
        mm_buffer_printf(out, "%.17g", scalar(field->type, value));
    }
}

/* Rows and rejects in the order of their ordinals. */
static void put_batch(mm_buffer *out, const mm_batch *batch, uint64_t covered)
{
    size_t row = 0, reject = 0;
    for (uint64_t ordinal = 0; ordinal < covered; ordinal++) {
        if (reject < batch->reject_count && batch->rejects[reject].row == ordinal) {
            const mm_reject *r = &batch->rejects[reject++];
            mm_buffer_printf(out, "! %s %s: %s\n", r->key, r->field, r->reason);
            continue;
        }
        if (row == batch->rows || (batch->ordinals != NULL && batch->ordinals[row] != ordinal)) {
            mm_buffer_printf(out, "NO ROW %" PRIu64 "\n", ordinal);
            continue;
        }
        for (size_t i = 0; i < batch->column_count; i++) {
            mm_buffer_append(out, " ", i > 0);
            put_value(out, &batch->columns[i], row);
        }
        mm_buffer_append(out, "\n", 1);
        row++;
    }
    if (row != batch->rows || reject != batch->reject_count || batch->rejected != batch->reject_count)
        mm_buffer_printf(out, "MORE ROWS\n");
}

const char *elastic_rows(elastic_fixture *f, const char *answer, size_t size, bool keys_only, size_t max_rows)
{
    mm_elastic_page *page = NULL;
    mm_elastic_envelope envelope;
    mm_elastic_rows rows;
    mm_batch batch = {.rows = 0};
    char *copy = malloc(size + 1); /* at the end of its memory: a sanitizer sees a read behind it */
    memcpy(copy, answer, size);
    copy[size] = '\0';
    mm_error_clear(&f->err);
    f->text.size = 0;
    mm_buffer_append(&f->text, "", 0);
    mm_status status = mm_elastic_page_new(f->fields, keys_only, false, &page, &f->err);
    if (status == MM_OK)
        status = mm_elastic_page_begin(page, "books", copy, size, UINT64_MAX, &envelope, &f->err);
    while (status == MM_OK) {
        status = mm_elastic_page_next(page, max_rows, 1 << 20, &batch, &rows, &f->err);
        if (status == MM_OK)
            put_batch(&f->text, &batch, rows.covered);
        mm_batch_reset(&batch);
    }
    mm_batch_free(&batch);
    mm_elastic_page_free(page);
    free(copy);
    if (status != MM_END)
        return NULL;
    return f->text.size > 0 ? f->text.data : "";
}

const char *elastic_one(elastic_fixture *f, const char *properties, const mm_elastic_choice *choice,
                        const char *source)
{
    mm_buffer answer = MM_BUFFER_INIT;
    const char *rows = NULL;
    elastic_answer(&answer, &source, 1);
    if (elastic_fields(f, properties, choice, answer.data) == MM_OK)
        rows = elastic_rows(f, answer.data, answer.size, false, SIZE_MAX);
    mm_buffer_free(&answer);
    return rows;
}

void elastic_close(elastic_fixture *f)
{
    mm_arena_free(&f->arena);
    mm_buffer_free(&f->text);
}
