/* libyaml's events become a tree of nodes. Aliases are copied, counted against the same limit as
 * everything else; nothing here knows what the keys mean. */
#include "config/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/util.h"

#define ANCHORS_MAX 1000

typedef struct anchor {
    const char *name;
    mm_node *node;
} anchor;

typedef struct reader {
    mm_arena *arena;
    const char *path, *text;
    size_t size;
    yaml_parser_t parser;
    size_t nodes;
    anchor *anchors;
    size_t anchor_count;
    size_t mark_index, mark_offset; /* the last character index turned into a byte offset */
    mm_error *err;
} reader;

mm_node *mm_node_get(const mm_node *map, const char *key)
{
    if (map == NULL || map->kind != MM_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->keys[i]->text, key) == 0)
            return map->items[i];
    }
    return NULL;
}

bool mm_node_is_null(const mm_node *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (node->kind != MM_NODE_SCALAR || !node->plain)
        return false;
    for (size_t i = 0; i < MM_COUNT(nulls); i++) {
        if (strcmp(node->text, nulls[i]) == 0)
            return true;
    }
    return false;
}

const char *mm_node_kind_name(const mm_node *node)
{
    switch (node->kind) {
    case MM_NODE_MAP:
        return "a mapping";
    case MM_NODE_LIST:
        return "a list";
    default:
        return mm_node_is_null(node) ? "nothing" : "a text";
    }
}

mm_status mm_node_error(const mm_node *node, const char *path, mm_error *err, const char *format,
                        ...)
{
    char text[MM_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (node->origin)
        return mm_error_set(err, MM_CONFIG, "--set %s: %s", node->origin, text);
    return mm_error_set(err, MM_CONFIG, "%s:%d:%d: %s", path, node->line, node->column, text);
}

static mm_status fail(reader *r, const yaml_mark_t *mark, const char *message)
{
    return mm_error_set(r->err, MM_CONFIG, "%s:%zu:%zu: %s", r->path, mark->line + 1,
                        mark->column + 1, message);
}

/* libyaml's own words, with the common mistake put plainly: a tab that indents. */
static mm_status fail_syntax(reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return mm_error_set(r->err, MM_NO_MEMORY, "%s: out of memory", r->path);
    if (p->error == YAML_READER_ERROR) {
        int line = 1, column = 1;
        for (size_t i = 0; i < p->problem_offset && i < r->size; i++) {
            column = r->text[i] == '\n' ? 1 : column + (((unsigned char)r->text[i] & 0xC0) != 0x80);
            line += r->text[i] == '\n';
        }
        return mm_error_set(r->err, MM_CONFIG, "%s:%d:%d: not a text in UTF-8: %s (byte %zu)",
                            r->path, line, column, p->problem, p->problem_offset);
    }
    const char *line = r->text;
    for (size_t i = 0; i < p->problem_mark.line && line; i++) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    if (line && line[strspn(line, " ")] == '\t')
        return fail(r, &p->problem_mark, "a tab stands here: YAML is indented by spaces only");
    char text[256];
    snprintf(text, sizeof(text), "%s%s%s", p->problem ? p->problem : "malformed YAML",
             p->context ? " " : "", p->context ? p->context : "");
    return fail(r, &p->problem_mark, text);
}

static mm_status next_event(reader *r, yaml_event_t *event)
{
    return yaml_parser_parse(&r->parser, event) ? MM_OK : fail_syntax(r);
}

/* Marks count characters; the tree keeps bytes. Marks only grow, so that the whole is one pass. */
static size_t byte_offset(reader *r, size_t index)
{
    if (index < r->mark_index)
        r->mark_index = r->mark_offset = 0;
    while (r->mark_index < index && r->mark_offset < r->size) {
        r->mark_offset++;
        while (r->mark_offset < r->size &&
               ((unsigned char)r->text[r->mark_offset] & 0xC0) == 0x80)
            r->mark_offset++;
        r->mark_index++;
    }
    return r->mark_offset;
}

static mm_status new_node(reader *r, mm_node_kind kind, const yaml_mark_t *mark, mm_node **out)
{
    if (++r->nodes > MM_YAML_NODES_MAX)
        return fail(r, mark, "too many values for a job file (aliases count as what they stand for)");
    mm_node *node = mm_arena_alloc(r->arena, sizeof(*node));
    if (node == NULL)
        return mm_error_set(r->err, MM_NO_MEMORY, "%s: out of memory", r->path);
    *node = (mm_node){.kind = kind, .line = (int)mark->line + 1, .column = (int)mark->column + 1};
    *out = node;
    return MM_OK;
}

static bool grow(mm_arena *arena, mm_node *node)
{
    size_t capacity = node->capacity ? node->capacity * 2 : 8;
    mm_node **items = mm_arena_array(arena, capacity, sizeof(*items));
    mm_node **keys = node->kind == MM_NODE_MAP ? mm_arena_array(arena, capacity, sizeof(*keys)) : NULL;
    if (items == NULL || (node->kind == MM_NODE_MAP && keys == NULL))
        return false;
    if (node->count > 0) {
        memcpy(items, node->items, node->count * sizeof(*items));
        if (keys)
            memcpy(keys, node->keys, node->count * sizeof(*keys));
    }
    node->items = items;
    node->keys = keys;
    node->capacity = capacity;
    return true;
}

bool mm_node_append(mm_arena *arena, mm_node *node, mm_node *key, mm_node *item)
{
    if (node->count == node->capacity && !grow(arena, node))
        return false;
    if (node->kind == MM_NODE_MAP)
        node->keys[node->count] = key;
    node->items[node->count++] = item;
    return true;
}

/* A copy, so that a --set through one alias cannot change the other places; positions stay those of
 * the anchor, where a wrong value has to be mended. */
static mm_status copy_node(reader *r, const mm_node *from, const yaml_mark_t *mark, mm_node **out)
{
    mm_node *node = NULL;
    mm_status status = new_node(r, from->kind, mark, &node);
    if (status != MM_OK)
        return status;
    *node = *from;
    node->items = node->keys = NULL;
    node->count = node->capacity = 0;
    for (size_t i = 0; i < from->count; i++) {
        mm_node *item;
        status = copy_node(r, from->items[i], mark, &item);
        if (status != MM_OK)
            return status;
        if (!mm_node_append(r->arena, node, from->kind == MM_NODE_MAP ? from->keys[i] : NULL, item))
            return mm_error_set(r->err, MM_NO_MEMORY, "%s: out of memory", r->path);
    }
    *out = node;
    return MM_OK;
}

static mm_status read_alias(reader *r, const yaml_event_t *event, mm_node **out)
{
    const char *name = (const char *)event->data.alias.anchor;
    for (size_t i = r->anchor_count; i-- > 0;) {
        if (strcmp(r->anchors[i].name, name) == 0)
            return copy_node(r, r->anchors[i].node, &event->start_mark, out);
    }
    char text[128];
    snprintf(text, sizeof(text), "no finished anchor `&%.80s` stands before this alias", name);
    return fail(r, &event->start_mark, text);
}

static mm_status remember_anchor(reader *r, const yaml_char_t *name, mm_node *node,
                                 const yaml_mark_t *mark)
{
    if (name == NULL)
        return MM_OK;
    if (r->anchor_count == ANCHORS_MAX)
        return fail(r, mark, "too many anchors for a job file");
    if (r->anchors == NULL)
        r->anchors = mm_arena_array(r->arena, ANCHORS_MAX, sizeof(*r->anchors));
    char *copy = r->anchors ? mm_arena_strdup(r->arena, (const char *)name) : NULL;
    if (copy == NULL)
        return mm_error_set(r->err, MM_NO_MEMORY, "%s: out of memory", r->path);
    r->anchors[r->anchor_count++] = (anchor){copy, node};
    return MM_OK;
}

static mm_status check_tag(reader *r, const yaml_char_t *tag, const yaml_mark_t *mark)
{
    if (tag == NULL || strcmp((const char *)tag, "!") == 0 ||
        strncmp((const char *)tag, "tag:yaml.org,2002:", 18) == 0)
        return MM_OK;
    return fail(r, mark, "a tag of its own has no meaning in a job file");
}

/* The span of the value itself, behind an anchor or tag that the event includes. */
static void set_span(reader *r, const yaml_event_t *event, mm_node *node)
{
    node->start = byte_offset(r, event->start_mark.index);
    node->end = byte_offset(r, event->end_mark.index);
    bool decorated = event->data.scalar.anchor || event->data.scalar.tag;
    while (decorated && node->start < node->end &&
           (r->text[node->start] == '&' || r->text[node->start] == '!')) {
        while (node->start < node->end && strchr(" \t\r\n", r->text[node->start]) == NULL)
            node->start++;
        while (node->start < node->end && strchr(" \t\r\n", r->text[node->start]) != NULL)
            node->start++;
    }
}

static mm_status read_scalar(reader *r, const yaml_event_t *event, mm_node **out)
{
    mm_node *node;
    mm_status status = check_tag(r, event->data.scalar.tag, &event->start_mark);
    if (status == MM_OK)
        status = new_node(r, MM_NODE_SCALAR, &event->start_mark, &node);
    if (status != MM_OK)
        return status;
    if (memchr(event->data.scalar.value, '\0', event->data.scalar.length))
        return fail(r, &event->start_mark, "a text of a job file holds no NUL character");
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                  event->data.scalar.plain_implicit;
    set_span(r, event, node);
    node->text = mm_arena_strdup(r->arena, (const char *)event->data.scalar.value);
    if (node->text == NULL)
        return mm_error_set(r->err, MM_NO_MEMORY, "%s: out of memory", r->path);
    *out = node;
    return remember_anchor(r, event->data.scalar.anchor, node, &event->start_mark);
}

static int by_text(const void *a, const void *b)
{
    const mm_node *x = *(mm_node *const *)a, *y = *(mm_node *const *)b;
    int order = strcmp(x->text, y->text);
    if (order != 0)
        return order;
    return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
                              : (x->column > y->column) - (x->column < y->column);
}

static mm_status check_duplicates(reader *r, const mm_node *map)
{
    if (map->count < 2)
        return MM_OK;
    mm_node **sorted = mm_arena_array(r->arena, map->count, sizeof(*sorted));
    if (sorted == NULL)
        return mm_error_set(r->err, MM_NO_MEMORY, "%s: out of memory", r->path);
    memcpy(sorted, map->keys, map->count * sizeof(*sorted));
    qsort(sorted, map->count, sizeof(*sorted), by_text);
    for (size_t i = 1; i < map->count; i++) {
        if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0)
            return mm_node_error(sorted[i], r->path, r->err,
                                 "the key `%.200s` stands here a second time (first at line %d)",
                                 sorted[i]->text, sorted[i - 1]->line);
    }
    return MM_OK;
}

static mm_status read_node(reader *r, const yaml_event_t *event, size_t depth, mm_node **out);

/* The entries up to the end event of the collection. */
static mm_status read_items(reader *r, mm_node *node, yaml_event_type_t end, size_t depth)
{
    mm_node *key = NULL;
    for (;;) {
        yaml_event_t event;
        mm_node *item;
        mm_status status = next_event(r, &event);
        if (status != MM_OK)
            return status;
        if (event.type == end) {
            yaml_event_delete(&event);
            return node->kind == MM_NODE_MAP ? check_duplicates(r, node) : MM_OK;
        }
        bool is_key = node->kind == MM_NODE_MAP && key == NULL;
        if (is_key && event.type != YAML_SCALAR_EVENT && event.type != YAML_ALIAS_EVENT)
            status = fail(r, &event.start_mark, "a key must be a text");
        else
            status = read_node(r, &event, depth, &item);
        yaml_event_delete(&event);
        if (status != MM_OK)
            return status;
        if (is_key && item->kind != MM_NODE_SCALAR)
            return mm_node_error(item, r->path, r->err, "a key must be a text");
        if (is_key) {
            key = item;
            continue;
        }
        if (!mm_node_append(r->arena, node, key, item))
            return mm_error_set(r->err, MM_NO_MEMORY, "%s: out of memory", r->path);
        key = NULL;
    }
}

static mm_status read_node(reader *r, const yaml_event_t *event, size_t depth, mm_node **out)
{
    bool map = event->type == YAML_MAPPING_START_EVENT;
    if (event->type == YAML_SCALAR_EVENT)
        return read_scalar(r, event, out);
    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(r, event, out);
    if (depth >= MM_YAML_DEPTH_MAX)
        return fail(r, &event->start_mark, "nested too deeply for a job file");
    const yaml_char_t *tag = map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    const yaml_char_t *name =
        map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    mm_node *node;
    mm_status status = check_tag(r, tag, &event->start_mark);
    if (status == MM_OK)
        status = new_node(r, map ? MM_NODE_MAP : MM_NODE_LIST, &event->start_mark, &node);
    if (status == MM_OK)
        status = read_items(r, node, map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT, depth + 1);
    if (status == MM_OK) /* only now: an anchor cannot be used inside itself */
        status = remember_anchor(r, name, node, &event->start_mark);
    if (status == MM_OK)
        *out = node;
    return status;
}

static mm_status read_document(reader *r, mm_node **root)
{
    yaml_event_t event = {0};
    mm_status status;
    bool have = false;
    mm_node *node = NULL;
    for (;;) {
        status = next_event(r, &event);
        if (status != MM_OK)
            return status;
        yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT && have)
            status = fail(r, &event.start_mark,
                          "a second document begins here: a job file holds one job");
        else if (type == YAML_SCALAR_EVENT || type == YAML_ALIAS_EVENT ||
                 type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT)
            status = read_node(r, &event, 0, &node);
        have = have || type == YAML_DOCUMENT_START_EVENT;
        yaml_event_delete(&event);
        if (status != MM_OK || type == YAML_STREAM_END_EVENT)
            break;
    }
    if (status == MM_OK && (node == NULL || mm_node_is_null(node)))
        status = mm_error_set(r->err, MM_CONFIG, "%s:1:1: the file is empty", r->path);
    if (status == MM_OK)
        *root = node;
    return status;
}

mm_status mm_yaml_parse(mm_arena *arena, const char *text, size_t size, const char *path,
                        mm_node **root, mm_error *err)
{
    reader r = {.arena = arena, .path = path, .text = text, .size = size, .err = err};
    if (size > MM_YAML_BYTES_MAX)
        return mm_error_set(err, MM_CONFIG, "%s: %zu bytes are too many for a job file (at most %u)",
                            path, size, MM_YAML_BYTES_MAX);
    if (!yaml_parser_initialize(&r.parser))
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", path);
    /* said, not guessed: a stray byte order mark must not turn the text into UTF-16 */
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    mm_status status = read_document(&r, root);
    yaml_parser_delete(&r.parser);
    return status;
}
