/* What documents of a sample tell that a mapping does not: which fields have several values, the length of vectors
 * whose dims the mapping leaves open, and where values are missing. */
#include <string.h>

#include "sources/elastic/fields.h"

/* More names that the mapping does not have, or longer ones, are not told. */
#define UNKNOWN_MAX 100
#define NAME_MAX_HERE 256

typedef struct sample {
    mm_json json;
    mm_arena *arena;
    const mm_elastic_node *root;
    size_t unknown;
    const mm_elastic_node *explode;
    uint64_t documents, objects;
} sample;

static mm_status look(sample *s, mm_elastic_node *node, mm_error *err);

static mm_status skip(mm_json *json, mm_error *err)
{
    const char *text;
    size_t size;
    return mm_json_skip(json, &text, &size, err);
}

/* Length of a vector that stands there as text: hexadecimal bytes, or base64 of floats (of bytes). */
static uint64_t text_length(const mm_elastic_node *node, const char *text, size_t size)
{
    bool bytes = node->element != NULL && (strcmp(node->element, "byte") == 0 || strcmp(node->element, "bit") == 0);
    if (bytes)
        return size / 2;
    size_t padding = size > 1 && text[size - 1] == '=' ? 1 + (text[size - 2] == '=') : 0;
    return (size / 4 * 3 - padding) / sizeof(float);
}

/* Told where the object may become fields of their own: what is JSON as a whole has it all. */
static mm_status note_unknown(sample *s, const mm_elastic_node *node, const char *key, size_t size, mm_error *err)
{
    bool object = node->first != NULL && node->type != NULL && strcmp(node->type, "object") == 0;
    if ((node != s->root && node != s->explode && !object) || size > NAME_MAX_HERE || s->unknown == UNKNOWN_MAX)
        return MM_OK;
    s->unknown++;
    return mm_elastic_tree_child(s->arena, (mm_elastic_node *)(uintptr_t)node, key, size) != NULL
               ? MM_OK
               : mm_error_set(err, MM_NO_MEMORY, "out of memory for a sample");
}

static mm_status look_at_object(sample *s, mm_elastic_node *node, mm_error *err)
{
    const char *key;
    size_t size, rest;
    bool more;
    mm_status status = mm_json_enter(&s->json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(&s->json, &key, &size, &more, err)) == MM_OK && more) {
        const mm_elastic_node *child = mm_elastic_child(node, node->first, key, size);
        const mm_elastic_node *above = node;
        rest = child != NULL ? 0 : size;
        if (child == NULL && memchr(key, '.', size) != NULL && (child = mm_elastic_dotted(node, key, size, NULL, &rest)))
            above = child;
        if (rest > 0) {
            child = NULL;
            status = note_unknown(s, above, key + size - rest, rest, err);
        }
        if (status != MM_OK)
            break;
        status = child != NULL ? look(s, (mm_elastic_node *)(uintptr_t)child, err) : skip(&s->json, err);
    }
    return status;
}

static mm_status look_at_array(sample *s, mm_elastic_node *node, mm_error *err)
{
    uint64_t count = 0, numbers = 0;
    bool more;
    mm_json_kind kind;
    mm_status status = mm_json_enter(&s->json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(&s->json, &more, err)) == MM_OK && more) {
        status = mm_json_peek(&s->json, &kind, err);
        if (status != MM_OK)
            break;
        count++;
        numbers += kind == MM_JSON_NUMBER;
        bool nothing = kind == MM_JSON_NULL && node->null_value == NULL;
        node->mixed = node->mixed || nothing || kind == MM_JSON_ARRAY || kind == MM_JSON_OBJECT;
        s->objects += node == s->explode && kind == MM_JSON_OBJECT;
        status = kind == MM_JSON_OBJECT ? look_at_object(s, node, err) : skip(&s->json, err);
    }
    node->seen += count > 0;
    node->empty += count == 0;
    node->several += count > 1;
    node->longest = count > node->longest ? count : node->longest;
    node->numbers = numbers > 0 ? numbers : node->numbers;
    return status;
}

static mm_status look(sample *s, mm_elastic_node *node, mm_error *err)
{
    mm_json_kind kind;
    const char *text;
    size_t size;
    mm_status status = mm_json_peek(&s->json, &kind, err);
    if (status != MM_OK)
        return status;
    if (kind == MM_JSON_ARRAY)
        return look_at_array(s, node, err);
    node->seen += kind != MM_JSON_NULL || node->null_value != NULL;
    if (kind == MM_JSON_OBJECT) {
        s->objects += node == s->explode;
        return look_at_object(s, node, err);
    }
    if (kind != MM_JSON_STRING)
        return skip(&s->json, err);
    status = mm_json_string(&s->json, &text, &size, err);
    if (status == MM_OK && mm_elastic_is_vector(node))
        node->numbers = text_length(node, text, size);
    return status;
}

/* Enters objects down to the value of `name`; *found: the parser stands before it. */
static mm_status find(mm_json *json, const char *name, bool *found, mm_error *err)
{
    const char *key;
    size_t size;
    bool more;
    *found = false;
    mm_status status = mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(json, &key, &size, &more, err)) == MM_OK && more) {
        if (size == strlen(name) && memcmp(key, name, size) == 0) {
            *found = true;
            return MM_OK;
        }
        status = skip(json, err);
    }
    return status;
}

static mm_status look_at_hit(sample *s, mm_elastic_node *root, mm_error *err)
{
    const char *key;
    size_t size;
    bool more;
    mm_status status = mm_json_enter(&s->json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(&s->json, &key, &size, &more, err)) == MM_OK && more) {
        if (size != 7 || memcmp(key, "_source", 7) != 0) {
            status = skip(&s->json, err);
            continue;
        }
        s->documents++;
        status = look_at_object(s, root, err);
    }
    return status;
}

mm_status mm_elastic_sample(mm_arena *arena, mm_elastic_node *root, const mm_elastic_node *explode, const char *text,
                            size_t size, uint64_t *documents, uint64_t *objects, mm_error *err)
{
    sample s = {.arena = arena, .root = root, .explode = explode};
    bool found = false, more = true;
    mm_json_open(&s.json, "_search", text, size);
    mm_status status = find(&s.json, "hits", &found, err);
    if (status == MM_OK && found)
        status = find(&s.json, "hits", &found, err);
    if (status == MM_OK && !found)
        status = mm_error_set(err, MM_DATA, "_search: the answer has no hits");
    if (status == MM_OK)
        status = mm_json_enter(&s.json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(&s.json, &more, err)) == MM_OK && more)
        status = look_at_hit(&s, root, err);
    mm_json_close(&s.json);
    *documents = s.documents;
    *objects = s.objects;
    return status;
}
