/* The list under `collections:`: names, fields, partitions, indexes. What the source really has is
 * checked by the plan, not here. */
#include <stdlib.h>
#include <string.h>

#include "config/job_parts.h"
#include "config/tables.h"

#define PARAM_NAME_MAX 160

typedef struct context {
    mm_config_reader *reader;
    mm_error *err;
} context;

static mm_status no_memory(context *c)
{
    return mm_error_set(c->err, MM_NO_MEMORY, "out of memory");
}

static mm_status read_section(context *c, mm_job_section_id id, const mm_node *node,
                              mm_options **out)
{
    const mm_job_section *section = &mm_job_sections[id];
    mm_option_part part = {section->table, section->count};
    if (node->kind != MM_NODE_MAP)
        return mm_node_error(node, c->reader->path, c->err, "%s is a mapping of keys, not %s",
                             section->name, mm_node_kind_name(node));
    return mm_options_read(c->reader, node, node, section->name, &part, 1, out, c->err);
}

typedef struct named {
    const char *name;
    const mm_node *node;
} named;

static int by_name(const void *a, const void *b)
{
    const named *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (order != 0)
        return order;
    return x->node->line != y->node->line ? x->node->line - y->node->line
                                          : x->node->column - y->node->column;
}

/* Refuses a name that is there twice; sorts the list. */
static mm_status refuse_twice(context *c, named *list, size_t count, const char *what)
{
    qsort(list, count, sizeof(*list), by_name);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(list[i - 1].name, list[i].name) == 0)
            return mm_node_error(list[i].node, c->reader->path, c->err,
                                 "%s `%.100s` a second time (first at line %d)", what,
                                 list[i].name, list[i - 1].node->line);
    }
    return MM_OK;
}

static mm_status read_field(context *c, const mm_node *node, mm_field_rule *rule)
{
    mm_options *options;
    mm_status status = read_section(c, MM_SECTION_FIELD, node, &options);
    if (status != MM_OK)
        return status;
    const char *type = mm_options_str(options, "type"), *to = mm_options_str(options, "to");
    rule->from = mm_options_str(options, "from");
    rule->to = to ? to : rule->from;
    rule->type = type ? mm_type_from_name(type) : MM_TYPE_NONE;
    rule->primary = mm_options_bool(options, "primary");
    rule->max_length = 0;
    if (*rule->from == '\0' || *rule->to == '\0')
        return mm_node_error(node, c->reader->path, c->err, "a field needs a name");
    if (mm_options_given(options, "max_length")) {
        rule->max_length = (uint32_t)mm_options_int(options, "max_length");
        if (type && rule->type != MM_TYPE_VARCHAR)
            return mm_node_error(mm_node_get(node, "max_length"), c->reader->path, c->err,
                                 "`max_length` belongs to a VarChar, not to %s", type);
    }
    return MM_OK;
}

static mm_status read_fields(context *c, const mm_node *list, mm_job_collection *out)
{
    const mm_node *primary = NULL;
    if (list->kind != MM_NODE_LIST || list->count == 0)
        return mm_node_error(list, c->reader->path, c->err,
                             "`fields` is a list of {from, to, type, primary, max_length}, not %s",
                             list->kind == MM_NODE_LIST ? "empty" : mm_node_kind_name(list));
    mm_field_rule *rules = mm_arena_array(c->reader->arena, list->count, sizeof(*rules));
    named *names = mm_arena_array(c->reader->arena, list->count, sizeof(*names));
    if (rules == NULL || names == NULL)
        return no_memory(c);
    for (size_t i = 0; i < list->count; i++) {
        mm_status status = read_field(c, list->items[i], &rules[i]);
        if (status != MM_OK)
            return status;
        names[i] = (named){rules[i].to, list->items[i]};
        if (rules[i].primary && primary)
            return mm_node_error(list->items[i], c->reader->path, c->err,
                                 "a collection has one primary key; line %d names one already",
                                 primary->line);
        if (rules[i].primary)
            primary = list->items[i];
    }
    out->fields = rules;
    out->field_count = list->count;
    return refuse_twice(c, names, list->count, "fields go to");
}

static bool is_json_number(const char *text)
{
    size_t i = text[0] == '-';
    size_t digits = strspn(text + i, "0123456789");
    if (digits == 0 || (digits > 1 && text[i] == '0'))
        return false;
    i += digits;
    if (text[i] == '.') {
        digits = strspn(text + i + 1, "0123456789");
        if (digits == 0)
            return false;
        i += 1 + digits;
    }
    if (text[i] == 'e' || text[i] == 'E') {
        i++;
        i += text[i] == '+' || text[i] == '-';
        digits = strspn(text + i, "0123456789");
        if (digits == 0)
            return false;
        i += digits;
    }
    return text[i] == '\0';
}

mm_status mm_node_json(mm_config_reader *reader, const mm_node *node, mm_buffer *out, mm_error *err)
{
    const char *text;
    if (node->kind == MM_NODE_SCALAR) {
        mm_status status = mm_config_scalar(reader, node, "params", &text, err);
        if (status != MM_OK)
            return status;
        if (text == NULL)
            mm_buffer_printf(out, "null");
        else if (node->plain && (is_json_number(text) || strcmp(text, "true") == 0 ||
                                 strcmp(text, "false") == 0))
            mm_buffer_printf(out, "%s", text);
        else
            mm_text_quote(out, text);
        return MM_OK;
    }
    bool map = node->kind == MM_NODE_MAP;
    mm_buffer_append(out, map ? "{" : "[", 1);
    for (size_t i = 0; i < node->count; i++) {
        if (i > 0)
            mm_buffer_append(out, ", ", 2);
        mm_status status = MM_OK;
        if (map) {
            status = mm_config_scalar(reader, node->keys[i], "params", &text, err);
            if (status != MM_OK)
                return status;
            if (text && strlen(text) > PARAM_NAME_MAX)
                return mm_node_error(node->keys[i], reader->path, err,
                                     "a parameter's name has at most %d bytes", PARAM_NAME_MAX);
            mm_text_quote(out, text ? text : "");
            mm_buffer_append(out, ": ", 2);
        }
        status = mm_node_json(reader, node->items[i], out, err);
        if (status != MM_OK)
            return status;
    }
    mm_buffer_append(out, map ? "}" : "]", 1);
    return MM_OK;
}

static mm_status read_params(context *c, const mm_node *node, const char **out)
{
    mm_buffer json = MM_BUFFER_INIT;
    if (node->kind != MM_NODE_MAP)
        return mm_node_error(node, c->reader->path, c->err, "`params` is a mapping, not %s",
                             mm_node_kind_name(node));
    mm_status status = mm_node_json(c->reader, node, &json, c->err);
    mm_buffer_append(&json, "", 1);
    if (status == MM_OK && (json.failed || (*out = mm_arena_strdup(c->reader->arena, json.data)) == NULL))
        status = no_memory(c);
    mm_buffer_free(&json);
    return status;
}

static mm_status check_index_field(context *c, const mm_node *key, const mm_job_collection *collection)
{
    if (collection->field_count == 0)
        return MM_OK;
    const char **names = mm_arena_array(c->reader->arena, collection->field_count, sizeof(*names));
    if (names == NULL)
        return no_memory(c);
    for (size_t i = 0; i < collection->field_count; i++) {
        names[i] = collection->fields[i].to;
        if (strcmp(names[i], key->text) == 0)
            return MM_OK;
    }
    return mm_node_error(key, c->reader->path, c->err,
                         "`index` names `%.100s`, which is no `to` of `fields`%s", key->text,
                         mm_config_suggest(c->reader->arena, key->text, names,
                                           collection->field_count));
}

static mm_status read_index_rules(context *c, const mm_node *map, mm_job_collection *out)
{
    mm_job_index *rules = mm_arena_array(c->reader->arena, map->count + 1, sizeof(*rules));
    if (rules == NULL)
        return no_memory(c);
    for (size_t i = 0; i < map->count; i++) {
        mm_options *options;
        mm_status status = check_index_field(c, map->keys[i], out);
        if (status == MM_OK)
            status = read_section(c, MM_SECTION_INDEX, map->items[i], &options);
        if (status != MM_OK)
            return status;
        rules[i] = (mm_job_index){.field = map->keys[i]->text,
                                  .index_type = mm_options_str(options, "index_type"),
                                  .metric_type = mm_options_str(options, "metric_type")};
        const mm_node *params = mm_options_find(options, "params")->node;
        status = params ? read_params(c, params, &rules[i].params) : MM_OK;
        if (status != MM_OK)
            return status;
    }
    out->index_mode = "explicit";
    out->indexes = rules;
    out->index_count = map->count;
    return MM_OK;
}

static mm_status read_index(context *c, const mm_node *node, mm_job_collection *out)
{
    static const char *const modes[] = {"auto", "source", "none"};
    const char *text = NULL;
    out->index_mode = "auto";
    if (node == NULL)
        return MM_OK;
    if (node->kind == MM_NODE_MAP && node->count > 0)
        return read_index_rules(c, node, out);
    if (node->kind == MM_NODE_SCALAR) {
        mm_status status = mm_config_scalar(c->reader, node, "index", &text, c->err);
        if (status != MM_OK)
            return status;
        for (size_t i = 0; i < MM_COUNT(modes); i++) {
            if (strcmp(modes[i], text) == 0) {
                out->index_mode = modes[i];
                return MM_OK;
            }
        }
    }
    return mm_node_error(node, c->reader->path, c->err,
                         "`index` is auto, source, none or {field: {index_type, metric_type, "
                         "params}}, not %s%.60s%s",
                         text ? "`" : "", text ? text : mm_node_kind_name(node), text ? "`" : "");
}

static mm_status read_partitions(context *c, const mm_node *map, mm_job_collection *out)
{
    if (map->kind != MM_NODE_MAP)
        return mm_node_error(map, c->reader->path, c->err,
                             "`partitions` is a mapping from partition to partition, not %s",
                             mm_node_kind_name(map));
    named *names = mm_arena_array(c->reader->arena, map->count + 1, sizeof(*names));
    const char **from = mm_arena_array(c->reader->arena, map->count + 1, sizeof(*from));
    const char **to = mm_arena_array(c->reader->arena, map->count + 1, sizeof(*to));
    if (names == NULL || from == NULL || to == NULL)
        return no_memory(c);
    for (size_t i = 0; i < map->count; i++)
        names[i] = (named){map->keys[i]->text, map->items[i]};
    /* sorted, so that the order in the file does not change the fingerprint */
    qsort(names, map->count, sizeof(*names), by_name);
    for (size_t i = 0; i < map->count; i++) {
        from[i] = names[i].name;
        mm_status status = mm_config_scalar(c->reader, names[i].node, "partitions", &to[i], c->err);
        if (status != MM_OK)
            return status;
        if (to[i] == NULL || *to[i] == '\0' || *from[i] == '\0')
            return mm_node_error(names[i].node, c->reader->path, c->err,
                                 "a partition needs a name on both sides");
    }
    out->partition_from = from;
    out->partition_to = to;
    out->partition_count = map->count;
    return MM_OK;
}

static mm_status read_collection(context *c, const mm_node *node, mm_job_collection *out)
{
    mm_options *options;
    mm_status status = read_section(c, MM_SECTION_COLLECTION, node, &options);
    if (status != MM_OK)
        return status;
    *out = (mm_job_collection){.from = mm_options_str(options, "from"),
                               .to = mm_options_str(options, "to"),
                               .if_exists = mm_options_str(options, "if_exists"),
                               .load = mm_options_bool(options, "load"),
                               .partition = mm_options_str(options, "partition"),
                               .line = node->line};
    if ((out->from && *out->from == '\0') || (out->to && *out->to == '\0') ||
        (out->partition && *out->partition == '\0'))
        return mm_node_error(node, c->reader->path, c->err,
                             "`from`, `to` and `partition` need a name when they are given");
    const mm_node *fields = mm_options_find(options, "fields")->node;
    const mm_node *partitions = mm_options_find(options, "partitions")->node;
    if (partitions && out->partition)
        return mm_node_error(partitions, c->reader->path, c->err,
                             "`partition` and `partitions` cannot both be given");
    if (fields)
        status = read_fields(c, fields, out);
    if (status == MM_OK)
        status = read_index(c, mm_options_find(options, "index")->node, out);
    if (status == MM_OK && partitions)
        status = read_partitions(c, partitions, out);
    return status;
}

mm_status mm_job_read_collections(mm_config_reader *reader, const mm_node *list, mm_job *job,
                                  mm_error *err)
{
    context c = {reader, err};
    size_t named_count = 0;
    if (list == NULL)
        return MM_OK;
    if (list->kind != MM_NODE_LIST || list->count == 0)
        return mm_node_error(list, reader->path, err, "`collections` is a list of collections, not %s",
                             list->kind == MM_NODE_LIST ? "empty" : mm_node_kind_name(list));
    mm_job_collection *collections = mm_arena_array(reader->arena, list->count, sizeof(*collections));
    named *names = mm_arena_array(reader->arena, list->count, sizeof(*names));
    if (collections == NULL || names == NULL)
        return no_memory(&c);
    for (size_t i = 0; i < list->count; i++) {
        mm_job_collection *collection = &collections[i];
        mm_status status = read_collection(&c, list->items[i], collection);
        if (status != MM_OK)
            return status;
        if (collection->from == NULL && list->count > 1)
            return mm_node_error(list->items[i], reader->path, err,
                                 "a collection needs the key `from` where several are listed");
        if (collection->from == NULL)
            continue;
        const char *to = collection->to ? collection->to : collection->from;
        char *pair = mm_format("%s -> %s", collection->from, to);
        names[named_count++] = (named){pair ? mm_arena_strdup(reader->arena, pair) : NULL, list->items[i]};
        free(pair);
        if (names[named_count - 1].name == NULL)
            return no_memory(&c);
    }
    job->collections = collections;
    job->collection_count = list->count;
    return refuse_twice(&c, names, named_count, "collections have");
}
