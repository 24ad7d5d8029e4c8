/* An answer of GET /<index>/_mapping as a tree of names, and how keys are found in it. */
#include <stdlib.h>
#include <string.h>

#include "sources/elastic/fields.h"

/* Elasticsearch's own limit is index.mapping.depth.limit, 20; names with points count as levels here. */
#define DEPTH_MAX 64
#define FIELDS_MAX 20000 /* index.mapping.total_fields.limit is 1000 */

typedef struct tree {
    mm_arena *arena;
    mm_json json;
    const char *index; /* which the answer is about just now */
    size_t nodes;
} tree;

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a mapping");
}

/* --- finding ---------------------------------------------------------------------------------------------------- */

const mm_elastic_node *mm_elastic_child(const mm_elastic_node *node, const mm_elastic_node *hint, const char *name,
                                        size_t size)
{
    for (const mm_elastic_node *n = hint; n != NULL; n = n->next)
        if (n->size == size && memcmp(n->name, name, size) == 0)
            return n;
    for (const mm_elastic_node *n = node->first; n != hint; n = n->next)
        if (n->size == size && memcmp(n->name, name, size) == 0)
            return n;
    return NULL;
}

const mm_elastic_node *mm_elastic_dotted(const mm_elastic_node *node, const char *key, size_t size,
                                         bool (*stop)(const mm_elastic_node *node), size_t *rest)
{
    const mm_elastic_node *found = NULL;
    *rest = size;
    while (size > 0 && (found == NULL || stop == NULL || !stop(found))) {
        const char *point = memchr(key, '.', size);
        size_t part = point != NULL ? (size_t)(point - key) : size;
        const mm_elastic_node *child = mm_elastic_child(node, node->first, key, part);
        if (child == NULL)
            break;
        found = node = child;
        part += point != NULL;
        key += part;
        size -= part;
        *rest = size;
    }
    return found;
}

/* --- building --------------------------------------------------------------------------------------------------- */

static char *copy_text(mm_arena *arena, const char *text, size_t size)
{
    char *copy = mm_arena_alloc(arena, size + 1);
    if (copy != NULL) {
        memcpy(copy, text, size);
        copy[size] = '\0';
    }
    return copy;
}

mm_elastic_node *mm_elastic_tree_child(mm_arena *arena, mm_elastic_node *parent, const char *name, size_t size)
{
    for (mm_elastic_node *n = parent->first; n != NULL; n = n->next)
        if (n->size == size && memcmp(n->name, name, size) == 0)
            return n;
    mm_elastic_node *node = mm_arena_alloc(arena, sizeof(*node));
    char *copy = copy_text(arena, name, size);
    if (node == NULL || copy == NULL)
        return NULL;
    *node = (mm_elastic_node){.name = copy, .size = size, .parent = parent, .field = -1, .key = -1};
    if (parent->last != NULL)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    return node;
}

unsigned mm_elastic_tree_number(mm_elastic_node *node, unsigned number)
{
    node->number = number++;
    mm_json_key_set(&node->key_text, node->name, node->size);
    for (mm_elastic_node *n = node->first; n != NULL; n = n->next)
        number = mm_elastic_tree_number(n, number);
    return number;
}

/* Names with points (subobjects: false, or a path of the job's) are paths. */
static mm_elastic_node *path_of(mm_arena *arena, mm_elastic_node *node, const char *name, size_t size, unsigned *depth)
{
    while (node != NULL) {
        const char *point = memchr(name, '.', size);
        size_t part = point != NULL ? (size_t)(point - name) : size;
        node = mm_elastic_tree_child(arena, node, name, part);
        *depth += 1;
        if (point == NULL)
            break;
        if (node != NULL && node->type == NULL)
            node->type = "object";
        name += part + 1;
        size -= part + 1;
    }
    return node;
}

mm_elastic_node *mm_elastic_tree_at(mm_arena *arena, mm_elastic_node *root, const char *path)
{
    unsigned depth = 0;
    return path_of(arena, root, path, strlen(path), &depth);
}

static mm_status skip(mm_json *json, mm_error *err)
{
    const char *text;
    size_t size;
    return mm_json_skip(json, &text, &size, err);
}

/* A string as a text of the arena; any other value is passed over. */
static mm_status take_text(tree *t, const char **out, mm_error *err)
{
    mm_json_kind kind;
    const char *text;
    size_t size;
    mm_status status = mm_json_peek(&t->json, &kind, err);
    if (status == MM_OK && kind != MM_JSON_STRING)
        return skip(&t->json, err);
    if (status == MM_OK)
        status = mm_json_string(&t->json, &text, &size, err);
    if (status == MM_OK && (*out = copy_text(t->arena, text, size)) == NULL)
        return no_memory(err);
    return status;
}

/* Any value but null, as it stands there. */
static mm_status take_json(tree *t, const char **out, mm_error *err)
{
    mm_json_kind kind;
    const char *text;
    size_t size;
    mm_status status = mm_json_peek(&t->json, &kind, err);
    if (status == MM_OK)
        status = mm_json_skip(&t->json, &text, &size, err);
    if (status == MM_OK && kind != MM_JSON_NULL && (*out = copy_text(t->arena, text, size)) == NULL)
        return no_memory(err);
    return status;
}

/* A number, or a string that holds one (both forms are answered, as they were given). */
static mm_status take_number(tree *t, uint32_t *out, mm_error *err)
{
    mm_json_kind kind;
    mm_number number;
    int64_t value = 0;
    const char *text = NULL;
    mm_status status = mm_json_peek(&t->json, &kind, err);
    if (status == MM_OK && kind == MM_JSON_NUMBER) {
        status = mm_json_number(&t->json, &number, err);
        if (status == MM_OK && !mm_number_int64(&number, &value))
            value = 0;
    } else if (status == MM_OK) {
        status = take_text(t, &text, err);
        value = text != NULL ? strtol(text, NULL, 10) : 0;
    }
    if (status == MM_OK)
        *out = value > 0 && value <= UINT32_MAX / 64 ? (uint32_t)value : 0;
    return status;
}

static bool is(const char *key, size_t size, const char *word)
{
    return strlen(word) == size && memcmp(key, word, size) == 0;
}

static mm_status read_properties(tree *t, mm_elastic_node *node, unsigned depth, mm_error *err);

/* index_options of a dense_vector, method of a knn_vector, and the latter's parameters. */
static mm_status read_index(tree *t, mm_elastic_node *node, unsigned depth, mm_error *err)
{
    const char *key;
    size_t size;
    bool more;
    mm_json_kind kind;
    mm_status status = mm_json_peek(&t->json, &kind, err);
    if (status == MM_OK && kind != MM_JSON_OBJECT)
        return skip(&t->json, err);
    if (status == MM_OK)
        status = mm_json_enter(&t->json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(&t->json, &key, &size, &more, err)) == MM_OK && more) {
        if (is(key, size, "type") || is(key, size, "name"))
            status = take_text(t, &node->index_type, err);
        else if (is(key, size, "space_type"))
            status = take_text(t, &node->similarity, err);
        else if (is(key, size, "m"))
            status = take_number(t, &node->hnsw_m, err);
        else if (is(key, size, "ef_construction"))
            status = take_number(t, &node->hnsw_ef, err);
        else if (is(key, size, "parameters") && depth == 0)
            status = read_index(t, node, 1, err);
        else
            status = skip(&t->json, err);
    }
    return status;
}

/* The words of a field that matter. */
static mm_status read_word(tree *t, mm_elastic_node *node, mm_elastic_node *now, const char *key, size_t size,
                           unsigned depth, mm_error *err)
{
    if (is(key, size, "type"))
        return take_text(t, &now->type, err);
    if (is(key, size, "properties"))
        return read_properties(t, node, depth + 1, err);
    if (is(key, size, "dims") || is(key, size, "dimension"))
        return take_number(t, &now->dims, err);
    if (is(key, size, "element_type") || is(key, size, "data_type"))
        return take_text(t, &now->element, err);
    if (is(key, size, "similarity") || is(key, size, "space_type"))
        return take_text(t, &now->similarity, err);
    if (is(key, size, "format"))
        return take_text(t, &now->format, err);
    if (is(key, size, "value"))
        return take_text(t, &now->value, err);
    if (is(key, size, "null_value"))
        return take_json(t, &now->null_value, err);
    if (is(key, size, "index_options") || is(key, size, "method"))
        return read_index(t, now, 0, err);
    return skip(&t->json, err);
}

static const char *path_text(const mm_elastic_node *node, char *out, size_t size)
{
    char *at = out + size;
    *--at = '\0';
    for (; node->parent != NULL; node = node->parent) {
        if (node->size + 1 > (size_t)(at - out))
            break;
        at -= node->size;
        memcpy(at, node->name, node->size);
        if (node->parent->parent != NULL)
            *--at = '.';
    }
    return at;
}

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* One field. What an index before said of it has to be the same. */
static mm_status read_field(tree *t, mm_elastic_node *node, unsigned depth, mm_error *err)
{
    const char *key;
    size_t size;
    bool more, had = node->type != NULL;
    mm_elastic_node now = *node;
    now.type = NULL;
    now.null_value = NULL;
    if (depth > DEPTH_MAX || t->nodes++ > FIELDS_MAX)
        return mm_error_set(err, MM_CONFIG, "%s: the mapping has more than %d levels or %d fields", t->index, DEPTH_MAX,
                            FIELDS_MAX);
    mm_status status = mm_json_enter(&t->json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(&t->json, &key, &size, &more, err)) == MM_OK && more)
        status = read_word(t, node, &now, key, size, depth, err);
    if (status != MM_OK)
        return status;
    const char *type = now.type != NULL ? now.type : "object";
    bool vector = had && node->dims != 0 && now.dims != node->dims;
    if (had && (strcmp(node->type, type) != 0 || vector)) {
        char path[256];
        return mm_error_set(err, MM_CONFIG,
                            "%s: field `%s` is %s there and %s in an index before it (dims %u and %u); read them as "
                            "collections of their own, or leave the field out",
                            t->index, path_text(node, path, sizeof(path)), type, node->type, now.dims, node->dims);
    }
    node->dims = now.dims;
    node->element = now.element;
    node->similarity = now.similarity;
    node->format = now.format;
    node->value = !had || same(node->value, now.value) ? now.value : NULL; /* a constant of one index is none of all */
    node->null_value = !had || same(node->null_value, now.null_value) ? now.null_value : NULL;
    node->index_type = now.index_type;
    node->hnsw_m = now.hnsw_m;
    node->hnsw_ef = now.hnsw_ef;
    node->type = type;
    return MM_OK;
}

static mm_status read_properties(tree *t, mm_elastic_node *node, unsigned depth, mm_error *err)
{
    const char *key;
    size_t size;
    bool more;
    mm_status status = mm_json_enter(&t->json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(&t->json, &key, &size, &more, err)) == MM_OK && more) {
        unsigned below = depth;
        mm_elastic_node *child = path_of(t->arena, node, key, size, &below);
        if (child == NULL)
            return no_memory(err);
        status = read_field(t, child, below, err);
    }
    return status;
}

/* {"_source": {…}, "properties": {…}}. A _source that is not stored leaves nothing to read. */
static mm_status read_mappings(tree *t, mm_elastic_node *root, mm_error *err)
{
    const char *key, *text;
    size_t size;
    bool more;
    mm_status status = mm_json_enter(&t->json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(&t->json, &key, &size, &more, err)) == MM_OK && more) {
        if (is(key, size, "properties")) {
            status = read_properties(t, root, 0, err);
        } else if (is(key, size, "_source")) {
            status = mm_json_skip(&t->json, &text, &size, err);
            if (status == MM_OK && memmem(text, size, "\"enabled\":false", 15) != NULL)
                return mm_error_set(err, MM_CONFIG,
                                    "%s: the index does not store _source: its documents cannot be read", t->index);
        } else {
            status = skip(&t->json, err);
        }
    }
    return status;
}

static mm_status read_index_of(tree *t, mm_elastic_node *root, bool *found, mm_error *err)
{
    const char *key;
    size_t size;
    bool more;
    mm_status status = mm_json_enter(&t->json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(&t->json, &key, &size, &more, err)) == MM_OK && more) {
        bool mappings = is(key, size, "mappings");
        *found = *found || mappings;
        status = mappings ? read_mappings(t, root, err) : skip(&t->json, err);
    }
    return status;
}

mm_status mm_elastic_tree_add(mm_arena *arena, mm_elastic_node *root, const char *mapping, mm_error *err)
{
    tree t = {.arena = arena, .index = "_mapping"};
    const char *key;
    size_t size;
    bool more;
    mm_json_open(&t.json, "_mapping", mapping, strlen(mapping));
    mm_status status = mm_json_enter(&t.json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(&t.json, &key, &size, &more, err)) == MM_OK && more) {
        bool found = false;
        t.index = copy_text(arena, key, size);
        if (t.index == NULL)
            status = no_memory(err);
        else
            status = read_index_of(&t, root, &found, err);
        if (status == MM_OK && !found)
            status = mm_error_set(err, MM_DATA, "_mapping: `%.100s` has no \"mappings\"", t.index);
    }
    if (status == MM_OK)
        status = mm_json_finish(&t.json, err);
    mm_json_close(&t.json);
    return status;
}
