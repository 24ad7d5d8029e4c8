/* Objects to rows: keys find their fields, values their columns. Nothing is allocated for a row. */
#include <stdlib.h>
#include <string.h>

#include "formats/json_internal.h"

typedef struct slot {
    const char *key;
    size_t key_size;
    uint64_t seen; /* number of the last object that had the key */
    size_t width;  /* 0: variable */
    mm_json_cell cell;
} slot;

struct mm_json_rows {
    const mm_schema *schema;
    slot *slots; /* one for each field */
    mm_batch *batch;
    uint64_t objects;
    size_t dynamic; /* the field that takes unknown keys; SIZE_MAX: there is none */
    mm_buffer meta; /* "key":value,… of the unknown keys of a row */
    mm_buffer word; /* the unknown key */
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for rows of JSON");
}

mm_status mm_json_rows_open(const mm_schema *schema, mm_json_rows **out, mm_error *err)
{
    mm_json_rows *rows = calloc(1, sizeof(*rows));
    if (rows == NULL)
        return no_memory(err);
    *rows = (mm_json_rows){.schema = schema, .dynamic = SIZE_MAX};
    rows->slots = calloc(schema->field_count > 0 ? schema->field_count : 1, sizeof(*rows->slots));
    if (rows->slots == NULL) {
        free(rows);
        return no_memory(err);
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        const mm_field *field = &schema->fields[i];
        slot *s = &rows->slots[i];
        s->key = mm_json_field_key(field);
        s->key_size = strlen(s->key);
        s->width = mm_type_width(field->type, field->dim);
        if (field->dynamic)
            rows->dynamic = i;
    }
    *out = rows;
    return MM_OK;
}

void mm_json_rows_close(mm_json_rows *rows)
{
    if (rows == NULL)
        return;
    for (size_t i = 0; i < rows->schema->field_count; i++) {
        mm_buffer_free(&rows->slots[i].cell.bytes);
        mm_buffer_free(&rows->slots[i].cell.elements);
        mm_buffer_free(&rows->slots[i].cell.texts);
    }
    mm_buffer_free(&rows->meta);
    mm_buffer_free(&rows->word);
    free(rows->slots);
    free(rows);
}

size_t mm_json_rows_width(const mm_json_rows *rows, bool *variable)
{
    size_t width = 0;
    *variable = false;
    for (size_t i = 0; i < rows->schema->field_count; i++) {
        width += rows->slots[i].width;
        *variable = *variable || rows->slots[i].width == 0;
    }
    return width;
}

mm_status mm_json_rows_begin(mm_json_rows *rows, mm_batch *batch, size_t capacity, mm_error *err)
{
    mm_status status = mm_batch_begin(batch, rows->schema, capacity, err);
    for (size_t i = 0; status == MM_OK && i < rows->schema->field_count; i++) {
        mm_column *column = &batch->columns[i];
        rows->slots[i].cell.column = column;
        if (!rows->schema->fields[i].nullable)
            continue;
        column->validity = mm_arena_alloc(&batch->arena, capacity / 8 + 1);
        if (column->validity == NULL)
            return no_memory(err);
        memset(column->validity, 0xFF, capacity / 8 + 1);
    }
    rows->batch = batch;
    return status;
}

/* Keys mostly come in the schema's order: the field behind the last one is tried first. */
static slot *find_slot(mm_json_rows *rows, const char *key, size_t size, size_t *next)
{
    size_t count = rows->schema->field_count;
    for (size_t tried = 0; tried < count; tried++) {
        size_t i = *next + tried < count ? *next + tried : *next + tried - count;
        slot *s = &rows->slots[i];
        if (s->key_size == size && memcmp(s->key, key, size) == 0) {
            *next = i + 1 < count ? i + 1 : 0;
            return s;
        }
    }
    return NULL;
}

static mm_status unknown_key(mm_json_rows *rows, mm_json *json, const char *key, size_t size, mm_error *err)
{
    const char *text;
    if (rows->dynamic == SIZE_MAX) {
        char word[MM_JSON_SHOWN];
        mm_json_show(key, size, word);
        const char *names[256];
        size_t count = rows->schema->field_count < MM_COUNT(names) ? rows->schema->field_count : MM_COUNT(names);
        for (size_t i = 0; i < count; i++)
            names[i] = rows->slots[i].key;
        const char *nearest = mm_nearest(word, names, count);
        return mm_json_bad(json, json->at, err, "unknown key `%s`%s%s%s", word, nearest ? " (did you mean `" : "",
                           nearest ? nearest : "", nearest ? "`?)" : "");
    }
    rows->word.size = 0; /* the key does not outlive the next string */
    mm_json_put_string(&rows->word, key, size);
    mm_status status = mm_json_skip(json, &text, &size, err);
    if (status != MM_OK)
        return status;
    mm_buffer_append(&rows->meta, rows->meta.size > 0 ? "," : "{", 1);
    mm_buffer_append(&rows->meta, rows->word.data, rows->word.size);
    mm_buffer_append(&rows->meta, ":", 1);
    mm_buffer_append(&rows->meta, text, size);
    return rows->word.failed || rows->meta.failed ? no_memory(err) : MM_OK;
}

static void set_null(mm_column *column, size_t row, size_t width)
{
    column->validity[row / 8] &= (uint8_t) ~(1u << (row % 8));
    if (width > 0)
        memset(column->values + row * width, 0, width);
}

static mm_status read_value(mm_json *json, slot *s, size_t row, mm_error *err)
{
    mm_json_kind kind;
    mm_column *column = s->cell.column;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status != MM_OK)
        return status;
    if (kind != MM_JSON_NULL)
        return mm_json_read_cell(json, &s->cell, row, err);
    if (column->validity == NULL)
        return mm_json_bad(json, json->at, err, "null, and the field is not nullable");
    set_null(column, row, s->width);
    return mm_json_null(json, err);
}

/* What the object does not say: null, {} for the dynamic field, or a mistake. */
static mm_status fill_missing(mm_json_rows *rows, mm_json *json, const uint8_t *begin, size_t row, mm_error *err)
{
    for (size_t i = 0; i < rows->schema->field_count; i++) {
        slot *s = &rows->slots[i];
        mm_column *column = s->cell.column;
        bool missing = s->seen != rows->objects;
        if (i == rows->dynamic && rows->meta.size > 0) {
            if (!missing)
                return mm_json_bad(json, begin, err, "unknown keys beside $meta");
            mm_buffer_append(&rows->meta, "}", 1);
            mm_buffer_append(&s->cell.bytes, rows->meta.data, rows->meta.size);
        } else if (missing && i == rows->dynamic && column->validity == NULL) {
            mm_buffer_append(&s->cell.bytes, "{}", 2);
        } else if (missing && column->validity != NULL) {
            set_null(column, row, s->width);
        } else if (missing) {
            return mm_json_bad(json, begin, err, "the row has no `%s`", s->key);
        }
        if (s->width == 0)
            column->offsets[row + 1] = s->cell.bytes.size;
        if (s->cell.bytes.failed)
            return no_memory(err);
    }
    return MM_OK;
}

mm_status mm_json_rows_add(mm_json_rows *rows, mm_json *json, size_t row, mm_error *err)
{
    const char *key;
    size_t size, next = 0;
    bool more;
    rows->objects++;
    rows->meta.size = 0;
    for (size_t i = 0; i < rows->schema->field_count; i++) { /* less what an earlier attempt at this row left */
        mm_column *column = rows->slots[i].cell.column;
        if (column->offsets != NULL)
            rows->slots[i].cell.bytes.size = (size_t)column->offsets[row];
        if (column->validity != NULL)
            column->validity[row / 8] |= (uint8_t)(1u << (row % 8));
    }
    json->field = NULL;
    mm_status status = mm_json_enter(json, MM_JSON_OBJECT, err);
    const uint8_t *begin = status == MM_OK ? json->at - 1 : NULL;
    while (status == MM_OK && (status = mm_json_next_key(json, &key, &size, &more, err)) == MM_OK && more) {
        slot *s = find_slot(rows, key, size, &next);
        if (s == NULL) {
            status = unknown_key(rows, json, key, size, err);
            continue;
        }
        if (s->seen == rows->objects)
            return mm_json_bad(json, json->at, err, "key `%s` stands there twice", s->key);
        s->seen = rows->objects;
        json->field = s->key;
        status = read_value(json, s, row, err);
        json->field = NULL;
    }
    return status == MM_OK ? fill_missing(rows, json, begin, row, err) : status;
}

size_t mm_json_rows_bytes(const mm_json_rows *rows, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < rows->schema->field_count; i++)
        bytes += rows->slots[i].width > 0 ? count * rows->slots[i].width : rows->slots[i].cell.bytes.size + 8 * count;
    return bytes;
}

mm_status mm_json_rows_end(mm_json_rows *rows, size_t count, mm_error *err)
{
    for (size_t i = 0; i < rows->schema->field_count; i++) {
        slot *s = &rows->slots[i];
        mm_column *column = s->cell.column;
        if (column->offsets == NULL)
            continue;
        size_t size = (size_t)column->offsets[count];
        column->values = mm_arena_alloc(&rows->batch->arena, size);
        if (column->values == NULL)
            return no_memory(err);
        if (size > 0)
            memcpy(column->values, s->cell.bytes.data, size);
    }
    rows->batch->rows = count;
    return MM_OK;
}
