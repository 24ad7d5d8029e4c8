/* A document into the columns of the row that is read: keys find their nodes, nodes their columns. A value that cannot be
 * held makes the row a reject; the rest of the document is still read, since it has to be JSON. */
#include <stdio.h>
#include <string.h>

#include "sources/elastic/page_internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for documents");
}

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
    mm_elastic_rows_reject(r, field, reason);
    return MM_OK;
}

/* What most cells hold: short texts, and numbers with few digits, which are finite; false: nothing was read. */
static inline bool read_short(mm_json *json, mm_elastic_cell *cell, size_t row)
{
    mm_number number;
    const uint8_t *begin = json->at;
    if (cell->how->kind == MM_ELASTIC_TEXT)
        return mm_json_quick_append(json, &cell->bytes);
    bool integer = cell->how->kind == MM_ELASTIC_INTEGER;
    if (cell->width != sizeof(int64_t) || (!integer && cell->how->kind != MM_ELASTIC_NUMBER) ||
        !mm_json_quick_number(json, &number))
        return false;
    if (integer && !number.integer) {
        json->at = begin;
        return false;
    }
    int64_t value = number.negative ? -(int64_t)number.digits : (int64_t)number.digits;
    double real = integer ? 0 : mm_number_double(&number);
    memcpy(cell->column->values + row * cell->width, integer ? (const void *)&value : &real, cell->width);
    return true;
}

static mm_status read_cell(mm_elastic_rows_out *r, mm_json *json, mm_elastic_cell *cell, mm_error *err)
{
    bool present = false;
    mm_json_kind kind;
    mm_status status = mm_json_quick_kind(json, &kind, err);
    if (status != MM_OK)
        return status;
    if (kind == MM_JSON_NULL && cell->how->null_value == NULL)
        return mm_json_null(json, err);
    if (r->field != NULL)
        return skip(json, err);
    const char *name = json->name;
    const uint8_t *begin = json->at;
    if (cell->seen != r->turn && read_short(json, cell, r->rows)) {
        cell->seen = r->turn;
        return MM_OK;
    }
    if (cell->seen == r->turn) {
        mm_elastic_rows_reject(r, cell->field->name, "stands there several times, in an array of objects or as two keys; it can be "
                                     "read in the JSON of the object above it");
        return skip(json, err);
    }
    json->name = "";
    status = mm_elastic_read_value(json, kind, cell, r->rows, &present, err);
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
        mm_elastic_rows_reject(r, cell->field->name, "is an object by one key and none by another");
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

/* An object whose members are fields; in an array each of its objects. */
static mm_status read_container(mm_elastic_rows_out *r, mm_json *json, const mm_elastic_node *node, mm_error *err)
{
    mm_json_kind kind;
    bool more;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status == MM_OK && kind == MM_JSON_OBJECT)
        return mm_elastic_rows_object(r, json, node, err);
    if (status != MM_OK || kind != MM_JSON_ARRAY)
        return status == MM_OK ? skip(json, err) : status;
    status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
        status = mm_json_peek(json, &kind, err);
        if (status == MM_OK)
            status = kind == MM_JSON_OBJECT ? mm_elastic_rows_object(r, json, node, err) : skip(json, err);
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
            mm_elastic_rows_reject(r, r->tree->explode_path, "stands there twice");
        return mm_json_skip(json, &r->objects, &r->objects_size, err);
    }
    return (r->keys_only ? node->key_below : node->below) ? read_container(r, json, node, err) : skip(json, err);
}

/* A key that is no child's name: a path with points, or nothing that is wanted. */
static mm_status read_other(mm_elastic_rows_out *r, mm_json *json, const mm_elastic_node *node, const char *key,
                            size_t size, mm_error *err)
{
    size_t rest = 0;
    const mm_elastic_node *found = NULL;
    if (memchr(key, '.', size) != NULL)
        found = mm_elastic_dotted(node, key, size, r->keys_only ? is_key : is_field, &rest);
    if (found == NULL)
        return skip(json, err);
    if (rest == 0)
        return read_node(r, json, found, err);
    if (field_of(r, found) >= 0)
        return read_member(r, json, &r->cells[field_of(r, found)], key + size - rest, rest, err);
    return skip(json, err);
}

/* Documents of an index have their keys in the same order, as a rule, so that each key is first compared with the one
 * that stood there last time. Recursion ends with the tree, whose depth is bounded. */
mm_status mm_elastic_rows_object(mm_elastic_rows_out *r, mm_json *json, const mm_elastic_node *node, mm_error *err)
{
    const char *key;
    size_t size;
    bool more = true;
    const mm_elastic_node *hint = node->first, **foreseen = &r->foreseen[2 * node->number];
    mm_status status = mm_json_quick_enter(json) ? MM_OK : mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK) {
        const mm_elastic_node *child = *foreseen;
        if (child == NULL || !mm_json_quick_key(json, &child->key_text)) {
            if (mm_json_quick_end(json))
                break;
            status = mm_json_next_key(json, &key, &size, &more, err);
            if (status != MM_OK || !more)
                break;
            child = mm_elastic_child(node, hint, key, size);
            if (child == NULL) {
                status = read_other(r, json, node, key, size, err);
                continue;
            }
            *foreseen = child;
        }
        foreseen = &r->foreseen[2 * child->number + 1];
        hint = child->next;
        status = read_node(r, json, child, err);
    }
    return status;
}

mm_status mm_elastic_rows_source(mm_elastic_rows_out *r, mm_json *json, mm_error *err)
{
    bool wanted = r->keys_only ? r->tree->key_from_source : r->tree->from_source;
    return wanted ? mm_elastic_rows_object(r, json, &r->tree->root, err) : skip(json, err);
}
