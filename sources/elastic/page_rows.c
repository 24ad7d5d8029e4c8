/* Rows of a batch: begun, filled by page_document.c, completed with what a document does not say, and given. Nothing is
 * allocated for a row. A document of which several objects are rows is read here once more, object by object. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sources/elastic/page_internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for documents");
}

/* --- a batch ---------------------------------------------------------------------------------------------------- */

mm_status mm_elastic_rows_open(const mm_elastic_fields *fields, bool keys_only, mm_elastic_rows_out *out, mm_error *err)
{
    const mm_schema *schema = keys_only ? fields->keys : fields->schema;
    *out = (mm_elastic_rows_out){.tree = fields->tree, .keys_only = keys_only, .schema = schema,
                                 .count = schema->field_count};
    out->cells = calloc(out->count, sizeof(*out->cells));
    out->foreseen = calloc(out->tree->nodes, 2 * sizeof(*out->foreseen));
    if (out->cells == NULL || out->foreseen == NULL)
        return no_memory(err);
    for (size_t i = 0; i < out->count; i++) {
        mm_elastic_cell *cell = &out->cells[i];
        cell->how = keys_only ? &fields->tree->key : &fields->tree->fields[i];
        cell->field = &schema->fields[i];
        cell->width = mm_type_width(cell->field->type, cell->field->dim);
        out->with_index = out->with_index || cell->how->kind == MM_ELASTIC_INDEX;
        out->least += cell->width > 0 ? cell->width : sizeof(uint64_t);
    }
    return MM_OK;
}

void mm_elastic_rows_close(mm_elastic_rows_out *r)
{
    for (size_t i = 0; r->cells != NULL && i < r->count; i++) {
        mm_buffer_free(&r->cells[i].bytes);
        mm_buffer_free(&r->cells[i].elements);
        mm_buffer_free(&r->cells[i].texts);
    }
    mm_buffer_free(&r->ordinals);
    mm_buffer_free(&r->rejects);
    mm_buffer_free(&r->key);
    free(r->foreseen);
    free(r->cells);
}

/* Values of variable length are collected in memory that goes to the batch with them, and comes back with it. */
static void begin_bytes(mm_elastic_cell *cell, mm_batch *batch)
{
    mm_buffer *bytes = &cell->bytes;
    if (bytes->data == NULL && cell->width == 0)
        bytes->data = mm_arena_reclaim(&batch->arena, &bytes->capacity);
    bytes->size = 0;
}

mm_status mm_elastic_rows_begin(mm_elastic_rows_out *r, mm_batch *batch, size_t capacity, mm_error *err)
{
    mm_status status = mm_batch_begin(batch, r->schema, capacity, err);
    for (size_t i = 0; status == MM_OK && i < r->count; i++) {
        mm_column *column = &batch->columns[i];
        r->cells[i].column = column;
        begin_bytes(&r->cells[i], batch);
        if (!column->field->nullable)
            continue;
        column->validity = mm_arena_alloc(&batch->arena, capacity / 8 + 1);
        if (column->validity == NULL)
            return no_memory(err);
        memset(column->validity, 0xFF, capacity / 8 + 1);
    }
    r->batch = batch;
    r->capacity = capacity;
    r->rows = 0;
    r->covered = 0;
    r->touched = true;
    r->ordinals.size = r->rejects.size = 0;
    return status;
}

size_t mm_elastic_rows_bytes(const mm_elastic_rows_out *r)
{
    size_t bytes = r->rows * r->least;
    for (size_t i = 0; i < r->count; i++)
        bytes += r->cells[i].width > 0 ? 0 : r->cells[i].bytes.size;
    return bytes;
}

mm_status mm_elastic_rows_end(mm_elastic_rows_out *r, mm_error *err)
{
    mm_batch *batch = r->batch;
    for (size_t i = 0; i < r->count; i++) {
        mm_column *column = &batch->columns[i];
        if (column->offsets == NULL)
            continue;
        mm_buffer *bytes = &r->cells[i].bytes;
        if (bytes->data == NULL) {
            column->values = mm_arena_alloc(&batch->arena, 0);
            if (column->values == NULL)
                return no_memory(err);
            continue;
        }
        if (!mm_arena_adopt(&batch->arena, bytes->data, bytes->capacity))
            return no_memory(err);
        column->values = (uint8_t *)bytes->data;
        *bytes = (mm_buffer)MM_BUFFER_INIT;
    }
    batch->rows = r->rows;
    batch->rejected = batch->reject_count = r->rejects.size / sizeof(mm_reject);
    if (batch->rejected == 0)
        return r->ordinals.failed ? no_memory(err) : MM_OK;
    batch->rejects = mm_arena_alloc(&batch->arena, r->rejects.size);
    batch->ordinals = mm_arena_alloc(&batch->arena, r->ordinals.size);
    if (r->rejects.failed || r->ordinals.failed || batch->rejects == NULL || batch->ordinals == NULL)
        return no_memory(err);
    memcpy(batch->rejects, r->rejects.data, r->rejects.size);
    if (r->ordinals.size > 0)
        memcpy(batch->ordinals, r->ordinals.data, r->ordinals.size);
    return MM_OK;
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

/* inner: only the columns below the exploded path, and those that number its objects. */
static void clear(mm_elastic_rows_out *r, bool inner)
{
    size_t row = r->rows;
    r->turn++;
    r->touched = true;
    r->field = NULL;
    for (size_t i = 0; i < r->count; i++) {
        mm_elastic_cell *cell = &r->cells[i];
        bool own = cell->how->inner || cell->how->kind <= MM_ELASTIC_PARENT;
        if (inner && !own) {
            cell->seen = cell->seen == r->turn - 1 ? r->turn : 0;
            continue;
        }
        if (cell->width == 0)
            cell->bytes.size = (size_t)cell->column->offsets[row];
        if (cell->column->validity != NULL)
            cell->column->validity[row / 8] |= (uint8_t)(1u << (row % 8));
    }
}

void mm_elastic_rows_clear(mm_elastic_rows_out *r)
{
    if (r->touched)
        clear(r, false);
    else
        r->turn++; /* as the row before left it, and that one was complete */
    r->touched = true;
    r->objects = NULL;
}

void mm_elastic_rows_reject(mm_elastic_rows_out *r, const char *field, const char *reason)
{
    if (r->field != NULL)
        return; /* one reason is enough */
    r->field = field;
    snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static void add_ordinal(mm_elastic_rows_out *r, uint32_t ordinal)
{
    mm_buffer_append(&r->ordinals, &ordinal, sizeof(ordinal));
}

static mm_status add_reject(mm_elastic_rows_out *r, const mm_buffer *key, mm_error *err)
{
    char *copy = mm_arena_alloc(&r->batch->arena, key->size + 1);
    mm_reject entry = {.row = r->covered, .field = r->field, .key = copy,
                       .reason = mm_arena_strdup(&r->batch->arena, r->reason)};
    if (copy == NULL || entry.reason == NULL)
        return no_memory(err);
    memcpy(copy, key->data != NULL ? key->data : "", key->size);
    copy[key->size] = '\0';
    for (size_t i = 0; r->rejects.size == 0 && i < r->rows; i++) /* until here each row had its own number */
        add_ordinal(r, (uint32_t)i);
    mm_buffer_append(&r->rejects, &entry, sizeof(entry));
    r->covered++;
    return r->rejects.failed ? no_memory(err) : MM_OK;
}

static void set_text(mm_elastic_rows_out *r, mm_elastic_cell *cell, const mm_buffer *text)
{
    if (text->size > 0)
        mm_buffer_append(&cell->bytes, text->data, text->size);
    cell->seen = r->turn;
}

/* _id and what else stands beside the document. key: the row's own _id. */
static void set_beside(mm_elastic_rows_out *r, const mm_elastic_hit *hit, const mm_buffer *key)
{
    for (size_t i = 0; i < r->count && r->cells[i].how->kind <= MM_ELASTIC_ROUTING; i++) {
        mm_elastic_cell *cell = &r->cells[i];
        uint64_t hash;
        switch (cell->how->kind) {
        case MM_ELASTIC_ID:
            set_text(r, cell, key);
            break;
        case MM_ELASTIC_ID_HASH:
            hash = XXH3_64bits(key->data != NULL ? key->data : "", key->size);
            memcpy(cell->column->values + r->rows * sizeof(hash), &hash, sizeof(hash));
            cell->seen = r->turn;
            break;
        case MM_ELASTIC_PARENT:
            set_text(r, cell, &hit->id);
            break;
        case MM_ELASTIC_INDEX:
            if (cell->seen != r->turn)
                set_text(r, cell, &hit->index);
            break;
        default:
            if (cell->seen != r->turn && hit->routing.size > 0)
                set_text(r, cell, &hit->routing);
        }
    }
}

/* 0, false, "", {}, an array without elements, or the value of a constant_keyword. */
static void set_default(mm_elastic_cell *cell, size_t row)
{
    const char *text = cell->how->text != NULL ? cell->how->text : "";
    if (cell->width == 0) /* an object of the same document may have put it there already */
        cell->bytes.size = (size_t)cell->column->offsets[row];
    if (cell->width > 0)
        memset(cell->column->values + row * cell->width, 0, cell->width);
    else if (cell->how->kind == MM_ELASTIC_JSON)
        mm_buffer_append(&cell->bytes, "{}", 2);
    else if (cell->how->kind != MM_ELASTIC_ARRAY)
        mm_buffer_append(&cell->bytes, text, strlen(text));
}

/* What the document does not say. */
static void set_missing(mm_elastic_rows_out *r, mm_elastic_cell *cell, size_t row)
{
    switch (cell->how->missing) {
    case MM_ELASTIC_MISSING_REJECT:
        mm_elastic_rows_reject(r, cell->field->name, "no value, or null (source.nulls says what becomes of that)");
        break;
    case MM_ELASTIC_MISSING_DEFAULT:
        set_default(cell, row);
        break;
    default:
        cell->column->validity[row / 8] &= (uint8_t) ~(1u << (row % 8));
        if (cell->width > 0)
            memset(cell->column->values + row * cell->width, 0, cell->width);
    }
}

/* All of the document was read: the row is done, or a reject. */
static mm_status finish_row(mm_elastic_rows_out *r, const mm_buffer *key, mm_error *err)
{
    size_t row = r->rows;
    bool failed = false;
    for (mm_elastic_cell *cell = r->cells, *end = cell + r->count; cell < end && r->field == NULL; cell++) {
        if (cell->seen != r->turn)
            set_missing(r, cell, row);
        if (cell->width == 0)
            cell->column->offsets[row + 1] = cell->bytes.size;
        failed |= cell->bytes.failed;
    }
    if (failed)
        return no_memory(err);
    if (r->field != NULL)
        return add_reject(r, key, err);
    if (r->rejects.size > 0)
        add_ordinal(r, (uint32_t)r->covered);
    r->rows++;
    r->covered++;
    r->touched = false;
    return MM_OK;
}

/* --- hits, and objects of a hit --------------------------------------------------------------------------------- */

/* Places of the objects in the text of what is exploded. */
static mm_status count_objects(const mm_elastic_rows_out *r, mm_json *json, size_t *count, mm_error *err)
{
    mm_json_kind kind;
    bool more;
    const char *text;
    size_t size;
    *count = 0;
    if (r->objects == NULL)
        return MM_OK;
    json->at = (const uint8_t *)r->objects;
    json->first = false;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status != MM_OK || kind != MM_JSON_ARRAY) {
        *count = status == MM_OK && kind == MM_JSON_OBJECT;
        return status;
    }
    status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
        status = mm_json_skip(json, &text, &size, err);
        *count += 1;
    }
    return status;
}

/* The columns of the document are those of row `from`. */
static void copy_outer(mm_elastic_rows_out *r, size_t from)
{
    size_t row = r->rows;
    for (size_t i = 0; i < r->count && row != from; i++) {
        mm_elastic_cell *cell = &r->cells[i];
        mm_column *column = cell->column;
        if (cell->how->inner || cell->how->kind <= MM_ELASTIC_PARENT)
            continue;
        if (column->validity != NULL && !(column->validity[from / 8] >> (from % 8) & 1))
            column->validity[row / 8] &= (uint8_t) ~(1u << (row % 8));
        if (cell->width > 0) {
            memcpy(column->values + row * cell->width, column->values + from * cell->width, cell->width);
            continue;
        }
        size_t at = (size_t)column->offsets[from], size = (size_t)(column->offsets[from + 1] - column->offsets[from]);
        cell->bytes.size = (size_t)column->offsets[row];
        void *to = mm_buffer_room(&cell->bytes, size); /* may move what is copied */
        if (to != NULL && size > 0)
            memcpy(to, cell->bytes.data + at, size);
    }
}

/* One object as a row of its own; `json` stands before it. */
static mm_status add_object(mm_elastic_rows_out *r, mm_json *json, const mm_elastic_hit *hit, size_t number,
                            bool outer_good, size_t from, mm_error *err)
{
    mm_json_kind kind;
    const char *text;
    size_t size;
    char why[sizeof(r->reason)];
    const char *outer = r->field;
    r->key.size = 0;
    mm_buffer_append(&r->key, hit->id.data, hit->id.size);
    mm_buffer_printf(&r->key, "#%zu", number);
    if (r->key.failed)
        return no_memory(err);
    memcpy(why, r->reason, sizeof(r->reason));
    clear(r, true);
    if (!outer_good) { /* the document's own reason, for each of its rows */
        r->field = outer;
        memcpy(r->reason, why, sizeof(r->reason));
    } else {
        copy_outer(r, from);
    }
    set_beside(r, hit, &r->key);
    mm_status status = mm_json_peek(json, &kind, err);
    if (status == MM_OK && kind != MM_JSON_OBJECT) {
        mm_elastic_rows_reject(r, r->tree->explode_path, "is no object");
        status = mm_json_skip(json, &text, &size, err);
    } else if (status == MM_OK) {
        status = mm_elastic_rows_object(r, json, r->tree->explode, err);
    }
    return status == MM_OK ? finish_row(r, &r->key, err) : status;
}

static mm_status add_objects(mm_elastic_rows_out *r, mm_json *json, const mm_elastic_hit *hit, size_t count,
                             mm_error *err)
{
    size_t from = r->rows, number = 0;
    bool good = r->field == NULL, more = true;
    mm_status status = MM_OK;
    json->at = (const uint8_t *)r->objects;
    json->first = false;
    bool array = *r->objects == '[';
    if (array)
        status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && number < count) {
        status = array ? mm_json_next_item(json, &more, err) : MM_OK;
        if (status == MM_OK)
            status = add_object(r, json, hit, number++, good, from, err);
    }
    return status;
}

/* Whether the row that holds the document's own values is complete but for the objects; else r->field says why not. */
static mm_status finish_outer(mm_elastic_rows_out *r, const mm_elastic_hit *hit, mm_error *err)
{
    set_beside(r, hit, &hit->id);
    for (size_t i = 0; i < r->count && r->field == NULL; i++) {
        mm_elastic_cell *cell = &r->cells[i];
        if (cell->how->inner)
            continue;
        if (cell->seen != r->turn && cell->how->missing == MM_ELASTIC_MISSING_REJECT)
            mm_elastic_rows_reject(r, cell->field->name, "no value, or null (source.nulls says what becomes of that)");
        if (cell->width == 0)
            cell->column->offsets[r->rows + 1] = cell->bytes.size;
        if (cell->bytes.failed)
            return no_memory(err);
    }
    return MM_OK;
}

mm_status mm_elastic_rows_add(mm_elastic_rows_out *r, mm_json *json, const mm_elastic_hit *hit, size_t *needed,
                              mm_error *err)
{
    const uint8_t *behind = json->at;
    size_t count = 0;
    if (!hit->has_source && (r->keys_only ? r->tree->key_from_source : r->tree->from_source))
        mm_elastic_rows_reject(r, r->schema->fields[0].name, "the document has no _source");
    if (r->tree->explode == NULL) {
        set_beside(r, hit, &hit->id);
        return finish_row(r, &hit->id, err);
    }
    mm_status status = count_objects(r, json, &count, err);
    bool many = count > MM_ELASTIC_OBJECTS_MAX || count * r->least > MM_ELASTIC_OBJECTS_BYTES;
    if (status == MM_OK && (count == 0 || many)) {
        mm_elastic_rows_reject(r, r->tree->explode_path, count == 0 ? "the document has no such object" : "too many objects");
        status = add_reject(r, &hit->id, err);
    } else if (status == MM_OK &&
               (count > r->capacity - r->rows || (r->covered > 0 && count > r->limit - r->covered))) {
        *needed = count;
        status = MM_END;
    } else if (status == MM_OK) {
        status = finish_outer(r, hit, err);
        if (status == MM_OK)
            status = add_objects(r, json, hit, count, err);
    }
    json->at = behind;
    json->first = false;
    return status;
}
