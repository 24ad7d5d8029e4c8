/* Documents to rows: keys find their nodes, nodes their columns. Nothing is allocated for a row. A value that cannot be
 * held makes the row a reject; the rest of the document is still read, since it has to be JSON. */
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
    if (out->cells == NULL)
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
    free(r->cells);
}

mm_status mm_elastic_rows_begin(mm_elastic_rows_out *r, mm_batch *batch, size_t capacity, mm_error *err)
{
    mm_status status = mm_batch_begin(batch, r->schema, capacity, err);
    for (size_t i = 0; status == MM_OK && i < r->count; i++) {
        mm_column *column = &batch->columns[i];
        r->cells[i].column = column;
        r->cells[i].bytes.size = 0;
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
        size_t size = (size_t)column->offsets[r->rows];
        column->values = mm_arena_alloc(&batch->arena, size);
        if (column->values == NULL)
            return no_memory(err);
        if (size > 0)
            memcpy(column->values, r->cells[i].bytes.data, size);
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
    clear(r, false);
    r->objects = NULL;
}

static void reject(mm_elastic_rows_out *r, const char *field, const char *reason)
{
    if (r->field != NULL)
        return; /* one reason is enough */
    r->field = field;
    snprintf(r->reason, sizeof(r->reason), "%s", reason);
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

/* What the document does not say; then the row is done, or a reject. */
static mm_status finish_row(mm_elastic_rows_out *r, const mm_buffer *key, mm_error *err)
{
    size_t row = r->rows;
    for (size_t i = 0; i < r->count && r->field == NULL; i++) {
        mm_elastic_cell *cell = &r->cells[i];
        if (cell->seen != r->turn) {
            if (cell->how->missing == MM_ELASTIC_MISSING_REJECT) {
                reject(r, cell->field->name, "no value, or null (source.nulls says what becomes of that)");
            } else if (cell->how->missing == MM_ELASTIC_MISSING_DEFAULT) {
                set_default(cell, row);
            } else {
                cell->column->validity[row / 8] &= (uint8_t) ~(1u << (row % 8));
                if (cell->width > 0)
                    memset(cell->column->values + row * cell->width, 0, cell->width);
            }
        }
        if (cell->width == 0)
            cell->column->offsets[row + 1] = cell->bytes.size;
        if (cell->bytes.failed)
            return no_memory(err);
    }
    if (r->field != NULL)
        return add_reject(r, key, err);
    uint32_t ordinal = (uint32_t)r->covered;
    mm_buffer_append(&r->ordinals, &ordinal, sizeof(ordinal));
    r->rows++;
    r->covered++;
    return MM_OK;
}

/* --- a document ------------------------------------------------------------------------------------------------- */

static mm_status skip(mm_json *json, mm_error *err)
{
    const char *text;
    size_t size;
    return mm_json_skip(json, &text, &size, err);
}

/* A reading failed at the value that begins at `begin`: malformed JSON stays a failure; a value that is merely not to
 * be held is passed over, and the row is a reject. */
static mm_status misfit(mm_elastic_rows_out *r, mm_json *json, const uint8_t *begin, const char *field, mm_error *err)
{
    mm_error second = MM_ERROR_INIT;
    char reason[MM_ERROR_TEXT];
    const char *words = strstr(err->text, ": byte "); /* the document's name and the byte are of no use to the reader */
    words = words != NULL ? strstr(words + 7, ": ") : NULL;
    snprintf(reason, sizeof(reason), "%s", words != NULL ? words + 2 : err->text);
    json->at = begin;
    json->first = false;
    mm_status status = skip(json, &second);
    if (status != MM_OK) {
        *err = second;
        return status;
    }
    mm_error_clear(err);
    reject(r, field, reason);
    return MM_OK;
}

static mm_status read_cell(mm_elastic_rows_out *r, mm_json *json, mm_elastic_cell *cell, mm_error *err)
{
    bool present = false;
    mm_json_kind kind;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status != MM_OK)
        return status;
    if (kind == MM_JSON_NULL && cell->how->null_value == NULL)
        return mm_json_null(json, err);
    if (r->field != NULL)
        return skip(json, err);
    const char *name = json->name;
    const uint8_t *begin = json->at;
    if (cell->seen == r->turn) {
        reject(r, cell->field->name, "stands there several times, in an array of objects or as two keys; it can be "
                                     "read in the JSON of the object above it");
        return skip(json, err);
    }
    json->name = "";
    status = mm_elastic_read_value(json, cell, r->rows, &present, err);
    json->name = name;
    if (status == MM_DATA)
        return misfit(r, json, begin, cell->field->name, err);
    if (present)
        cell->seen = r->turn;
    return status;
}

/* "meta.author": … beside or instead of "meta": {…}, where meta is read as JSON: its object gets another member. */
static mm_status read_member(mm_elastic_rows_out *r, mm_json *json, mm_elastic_cell *cell, const char *key, size_t size,
                             mm_error *err)
{
    const char *text;
    size_t length;
    bool again = cell->seen == r->turn;
    if (cell->how->kind != MM_ELASTIC_JSON || r->field != NULL)
        return skip(json, err);
    if (again && cell->bytes.data[cell->bytes.size - 1] != '}') {
        reject(r, cell->field->name, "is an object by one key and none by another");
        return skip(json, err);
    }
    if (again)
        cell->bytes.size -= 1;
    bool empty = again && cell->bytes.data[cell->bytes.size - 1] == '{';
    mm_buffer_append(&cell->bytes, again ? "," : "{", again && empty ? 0 : 1);
    mm_json_put_string(&cell->bytes, key, size);
    mm_buffer_append(&cell->bytes, ":", 1);
    mm_status status = mm_json_skip(json, &text, &length, err);
    if (status != MM_OK)
        return status;
    mm_buffer_append(&cell->bytes, text, length);
    mm_buffer_append(&cell->bytes, "}", 1);
    cell->seen = r->turn;
    return cell->bytes.failed ? no_memory(err) : MM_OK;
}

static int field_of(const mm_elastic_rows_out *r, const mm_elastic_node *node)
{
    return r->keys_only ? node->key : node->field;
}

static bool is_field(const mm_elastic_node *node)
{
    return node->field >= 0 || node->explode;
}

static bool is_key(const mm_elastic_node *node)
{
    return node->key >= 0 || node->explode;
}

static mm_status read_object(mm_elastic_rows_out *r, mm_json *json, const mm_elastic_node *node, mm_error *err);

/* An object whose members are fields; in an array each of its objects. */
static mm_status read_container(mm_elastic_rows_out *r, mm_json *json, const mm_elastic_node *node, mm_error *err)
{
    mm_json_kind kind;
    bool more;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status == MM_OK && kind == MM_JSON_OBJECT)
        return read_object(r, json, node, err);
    if (status != MM_OK || kind != MM_JSON_ARRAY)
        return status == MM_OK ? skip(json, err) : status;
    status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
        status = mm_json_peek(json, &kind, err);
        if (status == MM_OK)
            status = kind == MM_JSON_OBJECT ? read_object(r, json, node, err) : skip(json, err);
    }
    return status;
}

static mm_status read_node(mm_elastic_rows_out *r, mm_json *json, const mm_elastic_node *node, mm_error *err)
{
    int field = field_of(r, node);
    if (field >= 0)
        return read_cell(r, json, &r->cells[field], err);
    if (node->explode) {
        if (r->objects != NULL)
            reject(r, r->tree->explode_path, "stands there twice");
        return mm_json_skip(json, &r->objects, &r->objects_size, err);
    }
    return (r->keys_only ? node->key_below : node->below) ? read_container(r, json, node, err) : skip(json, err);
}

/* Recursion ends with the tree, whose depth is bounded. */
static mm_status read_object(mm_elastic_rows_out *r, mm_json *json, const mm_elastic_node *node, mm_error *err)
{
    const char *key;
    size_t size, rest = 0;
    bool more;
    const mm_elastic_node *hint = node->first;
    mm_status status = mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(json, &key, &size, &more, err)) == MM_OK && more) {
        const mm_elastic_node *child = mm_elastic_child(node, hint, key, size);
        if (child != NULL) {
            hint = child->next;
            status = read_node(r, json, child, err);
            continue;
        }
        if (memchr(key, '.', size) != NULL)
            child = mm_elastic_dotted(node, key, size, r->keys_only ? is_key : is_field, &rest);
        if (child == NULL)
            status = skip(json, err);
        else if (rest == 0)
            status = read_node(r, json, child, err);
        else if (field_of(r, child) >= 0)
            status = read_member(r, json, &r->cells[field_of(r, child)], key + size - rest, rest, err);
        else
            status = skip(json, err);
    }
    return status;
}

mm_status mm_elastic_rows_source(mm_elastic_rows_out *r, mm_json *json, mm_error *err)
{
    bool wanted = r->keys_only ? r->tree->key_from_source : r->tree->from_source;
    return wanted ? read_object(r, json, &r->tree->root, err) : skip(json, err);
}

/* --- hits, and objects of a hit --------------------------------------------------------------------------------- */

/* Places of the objects in the text of what is exploded. */
static mm_status count_objects(const mm_elastic_rows_out *r, mm_json *json, size_t *count, mm_error *err)
{
    mm_json_kind kind;
    bool more;
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
        status = skip(json, err);
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
        reject(r, r->tree->explode_path, "is no object");
        status = skip(json, err);
    } else if (status == MM_OK) {
        status = read_object(r, json, r->tree->explode, err);
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
            reject(r, cell->field->name, "no value, or null (source.nulls says what becomes of that)");
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
        reject(r, r->schema->fields[0].name, "the document has no _source");
    if (r->tree->explode == NULL) {
        set_beside(r, hit, &hit->id);
        return finish_row(r, &hit->id, err);
    }
    mm_status status = count_objects(r, json, &count, err);
    bool many = count > MM_ELASTIC_OBJECTS_MAX || count * r->least > MM_ELASTIC_OBJECTS_BYTES;
    if (status == MM_OK && (count == 0 || many)) {
        reject(r, r->tree->explode_path, count == 0 ? "the document has no such object" : "too many objects");
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
