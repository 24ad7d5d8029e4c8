/* milvus-migration's work modes that know more than a file: milvus1x (metadata and tables), elasticsearch (an index
 * with chosen fields) and milvus2x (a collection of another server). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "config/foreign.h"
#include "config/values.h"

/* --- milvus1x ----------------------------------------------------------------------------------------------------- */

static mm_status put_meta(mm_foreign *f)
{
    static const struct {
        const char *mode, *key, *option;
    } kinds[] = {
        {"sqlite", "meta.sqliteFile", "meta"}, {"mysql", "meta.mysqlUrl", "mysql"},
        {"local", "meta.localFile", "meta"},   {"mock", "meta.mockFile", "meta"},
        {"remote", "meta.remoteMetaFile", "meta"},
    };
    const char *mode, *given;
    mm_status status = mm_foreign_need(f, "meta.mode", &mode);
    for (size_t i = 0; status == MM_OK && i < MM_COUNT(kinds); i++) {
        if (strcmp(kinds[i].mode, mode) != 0)
            continue;
        status = mm_foreign_need(f, kinds[i].key, &given);
        if (status != MM_OK || strcmp(mode, "remote") != 0)
            return status == MM_OK ? mm_foreign_move(f, kinds[i].key, f->source, kinds[i].option) : status;
        status = mm_foreign_url(f, "source.remote", kinds[i].key, &given);
        return status == MM_OK ? mm_foreign_put(f, f->source, kinds[i].option, mm_foreign_get(f, kinds[i].key), given)
                               : status;
    }
    if (status != MM_OK)
        return status;
    return mm_node_error(mm_foreign_get(f, "meta.mode"), f->reader->path, f->err,
                         "`meta.mode` is one of sqlite, mysql, local, mock and remote, not `%.60s`", mode);
}

mm_status mm_foreign_milvus1x(mm_foreign *f)
{
    const char *mode, *tables;
    mm_status status = mm_foreign_need(f, "source.mode", &mode);
    if (status != MM_OK)
        return status;
    bool remote = strcmp(mode, "remote") == 0;
    const char *key = remote ? "source.remote.tablesDir" : "source.local.tablesDir";
    if (!remote && strcmp(mode, "local") != 0)
        return mm_node_error(mm_foreign_get(f, "source.mode"), f->reader->path, f->err,
                             "`source.mode` is local or remote, not `%.60s`", mode);
    status = put_meta(f);
    if (status == MM_OK)
        status = mm_foreign_need(f, key, &tables);
    if (status == MM_OK && remote)
        status = mm_foreign_url(f, "source.remote", "tablesDir", &tables);
    if (status == MM_OK)
        status = mm_foreign_put(f, f->source, "tables", mm_foreign_get(f, key), tables);
    if (status == MM_OK && mm_foreign_get(f, "source.remote.bucket"))
        status = mm_foreign_storage(f, "source.remote", f->source);
    if (status == MM_OK)
        status = mm_foreign_put(f, f->source, "vector_field", f->source, "data");
    return status;
}

/* --- the collection that is made in Milvus 2.x -------------------------------------------------------------------- */

static mm_status put_consistency(mm_foreign *f)
{
    static const char *const known[] = {"Strong", "Session", "Bounded", "Eventually"};
    const char *level;
    mm_status status = mm_foreign_text(f, "meta.milvus.consistencyLevel", &level);
    if (status != MM_OK || level == NULL)
        return status;
    const mm_node *at = mm_foreign_get(f, "meta.milvus.consistencyLevel");
    for (size_t i = 0; i < MM_COUNT(known); i++)
        if (strcasecmp(known[i], level) == 0)
            return mm_foreign_move(f, "meta.milvus.consistencyLevel", f->target, "consistency");
    if (strcasecmp(level, "Customized") == 0)
        return mm_foreign_warn(f, at, "`meta.milvus.consistencyLevel: Customized` is no level of a collection; the "
                                      "server's default is taken");
    return mm_node_error(at, f->reader->path, f->err,
                         "`meta.milvus.consistencyLevel` is one of Strong, Session, Bounded, Eventually and "
                         "Customized, not `%.60s`", level);
}

static mm_status put_milvus(mm_foreign *f, mm_node *collection, const char *from)
{
    const char *to;
    mm_status status = mm_foreign_text(f, "meta.milvus.collection", &to);
    if (status == MM_OK)
        status = mm_foreign_move(f, "meta.milvus.collection", collection, "to");
    if (status == MM_OK)
        status = mm_foreign_move(f, "meta.milvus.shardNum", f->target, "shards");
    f->about = status == MM_OK && to ? to : from;
    return status == MM_OK ? put_consistency(f) : status;
}

/* --- fields ------------------------------------------------------------------------------------------------------- */

static mm_status field_text(mm_foreign *f, const mm_node *map, const char *key, const char **out)
{
    const mm_node *node = mm_foreign_get_in(f, map, key);
    *out = NULL;
    if (node == NULL)
        return MM_OK;
    const mm_node *carried = mm_foreign_carry(f, node);
    return carried ? mm_config_scalar(f->reader, carried, key, out, f->err) : mm_foreign_no_memory(f);
}

static mm_status check_fields(mm_foreign *f, const mm_node *list)
{
    if (list->kind != MM_NODE_LIST || list->count == 0)
        return mm_node_error(list, f->reader->path, f->err,
                             "`meta.fields` is a list of {name, type, pk, maxLen, dims}, not %s",
                             list->kind == MM_NODE_LIST ? "empty" : mm_node_kind_name(list));
    for (size_t i = 0; i < list->count; i++) {
        mm_status status = mm_foreign_check(f, list->items[i], "meta.fields[]");
        if (status == MM_OK && mm_foreign_get_in(f, list->items[i], "name") == NULL)
            status = mm_node_error(list->items[i], f->reader->path, f->err,
                                   "a field of `meta.fields` needs its `name`");
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

/* Type by type as milvus-migration's own table; 65535 is what a text takes without maxLen. */
static const struct {
    const char *name, *type, *otherwise; /* the size in brackets, when the file does not say it; NULL: none */
} types[] = {
    {"text", "VarChar", "65535"},   {"string", "VarChar", "65535"}, {"keyword", "VarChar", "65535"},
    {"long", "Int64", NULL},        {"integer", "Int32", NULL},     {"short", "Int16", NULL},
    {"byte", "Int8", NULL},         {"boolean", "Bool", NULL},      {"double", "Double", NULL},
    {"float", "Float", NULL},       {"half_float", "Float", NULL},  {"scaled_float", "Float", NULL},
    {"object", "JSON", NULL},       {"dense_vector", "FloatVector", ""},
};

/* "price Float": the field as the source is to give it. */
static mm_status put_type(mm_foreign *f, const mm_node *map, const char *name, mm_node *list)
{
    const mm_node *at = mm_foreign_get_in(f, map, "type");
    const char *type, *size = NULL;
    size_t i = 0;
    mm_status status = field_text(f, map, "type", &type);
    if (status == MM_OK && type == NULL)
        return mm_node_error(map, f->reader->path, f->err, "a field of `meta.fields` needs its `type`");
    while (status == MM_OK && i < MM_COUNT(types) && strcmp(types[i].name, type) != 0)
        i++;
    if (status == MM_OK && i == MM_COUNT(types))
        return mm_node_error(at, f->reader->path, f->err,
                             "`type: %.60s` is none that milvus-migration takes: text, keyword, string, long, "
                             "integer, short, byte, boolean, double, float, half_float, scaled_float, object, "
                             "dense_vector", type);
    bool text = status == MM_OK && strcmp(types[i].type, "VarChar") == 0;
    if (status == MM_OK && types[i].otherwise)
        status = field_text(f, map, text ? "maxLen" : "dims", &size);
    if (status != MM_OK)
        return status;
    if (size == NULL && types[i].otherwise && *types[i].otherwise == '\0')
        return MM_OK; /* the mapping of the index says it */
    size = size ? size : types[i].otherwise;
    char *line = mm_format("%s %s%s%s%s", name, types[i].type, size ? "(" : "", size ? size : "", size ? ")" : "");
    const char *literal = line ? mm_foreign_literal(f->reader->arena, line) : NULL;
    const char *copy = literal ? mm_arena_strdup(f->reader->arena, literal) : NULL;
    free(line);
    return mm_tree_add(f->reader->arena, list, mm_tree_scalar(f->reader->arena, at, copy)) ? MM_OK
                                                                                           : mm_foreign_no_memory(f);
}

/* _id stands beside the document, and is a text. */
static mm_status put_id_length(mm_foreign *f, const mm_node *map)
{
    static const char *const texts[] = {"keyword", "text", "string"};
    const mm_node *length = mm_foreign_get_in(f, map, "maxLen");
    const char *type;
    mm_status status = field_text(f, map, "type", &type);
    bool fits = type == NULL;
    for (size_t i = 0; status == MM_OK && !fits && i < MM_COUNT(texts); i++)
        fits = strcmp(texts[i], type) == 0;
    if (status == MM_OK && !fits)
        return mm_node_error(mm_foreign_get_in(f, map, "type"), f->reader->path, f->err,
                             "`_id` is a text: `type: %.60s` would need each of them to be a number; a job of your own "
                             "can say source.primary_key: _id_hash", type);
    if (status != MM_OK || length == NULL)
        return status;
    mm_node *value = mm_foreign_carry(f, length);
    return mm_tree_put(f->reader->arena, f->source, "id_length", value) ? MM_OK : mm_foreign_no_memory(f);
}

/* What put_field fills. */
typedef struct chosen {
    mm_node *rules, *types, *include;
    const char *primary;
} chosen;

static mm_status put_field(mm_foreign *f, const mm_node *map, chosen *c)
{
    mm_arena *arena = f->reader->arena;
    const mm_node *at = mm_foreign_get_in(f, map, "pk");
    const char *name, *pk = NULL;
    bool primary = false;
    mm_node *rule = mm_tree_map(arena, map);
    mm_status status = field_text(f, map, "name", &name);
    if (status == MM_OK)
        status = mm_foreign_put(f, rule, "from", mm_foreign_get_in(f, map, "name"), name);
    if (status == MM_OK)
        status = field_text(f, map, "pk", &pk);
    if (status != MM_OK)
        return status;
    if (pk && !mm_value_bool(pk, &primary))
        return mm_node_error(at, f->reader->path, f->err, "`pk` is true or false, not `%.60s`", pk);
    if (primary)
        c->primary = name;
    if (primary && (status = mm_foreign_put(f, rule, "primary", at, "true")) != MM_OK)
        return status;
    if (!mm_tree_add(arena, c->rules, rule))
        return mm_foreign_no_memory(f);
    if (strcmp(name, "_id") == 0)
        return put_id_length(f, map);
    if (!mm_tree_add(arena, c->include, mm_node_get(rule, "from")))
        return mm_foreign_no_memory(f);
    return put_type(f, map, name, c->types);
}

/* Without a key of its own a document's _id is it, and comes first. */
static mm_status put_id(mm_foreign *f, const mm_node *at, mm_node *list)
{
    mm_node *rule = mm_tree_map(f->reader->arena, at);
    mm_status status = mm_foreign_put(f, rule, "from", at, "_id");
    if (status == MM_OK)
        status = mm_foreign_put(f, rule, "primary", at, "true");
    return status == MM_OK && !mm_tree_add(f->reader->arena, list, rule) ? mm_foreign_no_memory(f) : status;
}

static mm_status put_fields(mm_foreign *f, mm_node *collection)
{
    mm_arena *arena = f->reader->arena;
    const mm_node *given = mm_foreign_get(f, "meta.fields");
    if (given == NULL)
        return mm_node_error(mm_foreign_place(f, "meta.fields"), f->reader->path, f->err,
                             "`meta.fields` is missing: %s needs it", f->mode_name);
    chosen c = {mm_tree_list(arena, given), mm_tree_list(arena, given), mm_tree_list(arena, given), NULL};
    mm_node *list = mm_tree_list(arena, given);
    mm_status status = c.rules && c.types && c.include && list ? check_fields(f, given) : mm_foreign_no_memory(f);
    for (size_t i = 0; status == MM_OK && i < given->count; i++)
        status = put_field(f, given->items[i], &c);
    if (status == MM_OK && c.primary == NULL)
        status = put_id(f, given, list);
    for (size_t i = 0; status == MM_OK && i < c.rules->count; i++)
        if (!mm_tree_add(arena, list, c.rules->items[i]))
            status = mm_foreign_no_memory(f);
    if (status == MM_OK)
        status = mm_foreign_put(f, f->source, "primary_key", given, c.primary ? c.primary : "_id");
    bool done = status != MM_OK || mm_tree_put(arena, collection, "fields", list);
    if (status == MM_OK && done && c.include->count > 0) /* the server need not send others */
        done = mm_tree_put(arena, f->source, "include", c.include);
    if (status == MM_OK && done && c.types->count > 0)
        done = mm_tree_put(arena, f->source, "types", c.types);
    return status == MM_OK && !done ? mm_foreign_no_memory(f) : status;
}

/* --- elasticsearch ------------------------------------------------------------------------------------------------ */

static mm_status need_config(mm_foreign *f)
{
    const char *mode;
    mm_status status = mm_foreign_need(f, "meta.mode", &mode);
    if (status == MM_OK && strcmp(mode, "config") != 0)
        return mm_node_error(mm_foreign_get(f, "meta.mode"), f->reader->path, f->err,
                             "`meta.mode` is config with %s, not `%.60s`: fields are named in this file", f->mode_name,
                             mode);
    return status;
}

/* As milvus-migration decides: a cloud id goes with its API key, a service token before a user. */
static mm_status put_server(mm_foreign *f)
{
    static const char *const cloud[][2] = {{"source.es.cloudId", "cloud_id"}, {"source.es.apiKey", "api_key"}};
    static const char *const token[][2] = {{"source.es.urls", "endpoint"}, {"source.es.serviceToken", "token"},
                                           {"source.es.cert", "ca_file"}, {"source.es.fingerprint", "ca_fingerprint"}};
    static const char *const user[][2] = {{"source.es.urls", "endpoint"}, {"source.es.username", "username"},
                                          {"source.es.password", "password"}, {"source.es.cert", "ca_file"},
                                          {"source.es.fingerprint", "ca_fingerprint"}};
    bool hosted = mm_foreign_get(f, "source.es.cloudId") != NULL;
    bool service = mm_foreign_get(f, "source.es.serviceToken") != NULL;
    const char *const(*pairs)[2] = hosted ? cloud : service ? token : user;
    size_t count = hosted ? MM_COUNT(cloud) : service ? MM_COUNT(token) : MM_COUNT(user);
    mm_status status = MM_OK;
    if (!hosted && mm_foreign_get(f, "source.es.urls") == NULL)
        return mm_node_error(mm_foreign_place(f, "source.es.urls"), f->reader->path, f->err,
                             "`source.es.urls` is missing (or `source.es.cloudId`): %s needs it", f->mode_name);
    for (size_t i = 0; status == MM_OK && i < count; i++)
        status = mm_foreign_move(f, pairs[i][0], f->source, pairs[i][1]);
    if (status == MM_OK && !hosted && mm_foreign_get(f, "source.es.apiKey"))
        status = mm_foreign_warn(f, mm_foreign_get(f, "source.es.apiKey"),
                                 "`source.es.apiKey` counts with `source.es.cloudId` only, as in milvus-migration");
    return status;
}

/* Documents of one reply, of which a server gives 10,000 at most. */
static mm_status put_page(mm_foreign *f)
{
    const char *path = "dumper.worker.reader.bufferSize", *text;
    int64_t number;
    char rows[24];
    mm_status status = mm_foreign_text(f, path, &text);
    if (status != MM_OK || text == NULL)
        return status;
    const mm_node *at = mm_foreign_get(f, path);
    if (!mm_value_int(text, &number) || number < 1)
        return mm_node_error(at, f->reader->path, f->err, "`%s` is a whole number above 0, not `%.60s`", path, text);
    snprintf(rows, sizeof(rows), "%lld", (long long)(number > 10000 ? 10000 : number));
    const char *copy = mm_arena_strdup(f->reader->arena, rows);
    return copy ? mm_foreign_put(f, f->source, "page_rows", at, copy) : mm_foreign_no_memory(f);
}

mm_status mm_foreign_elasticsearch(mm_foreign *f)
{
    const char *index;
    bool closed;
    mm_status status = need_config(f);
    if (status == MM_OK)
        status = mm_foreign_need(f, "meta.index", &index);
    if (status == MM_OK)
        status = put_server(f);
    if (status == MM_OK)
        status = mm_foreign_move(f, "meta.index", f->source, "index");
    if (status == MM_OK)
        status = put_page(f);
    if (status != MM_OK)
        return status;
    mm_node *collection = mm_foreign_collection(f, mm_foreign_get(f, "meta.index"));
    status = collection ? mm_foreign_move(f, "meta.index", collection, "from") : mm_foreign_no_memory(f);
    if (status == MM_OK)
        status = put_milvus(f, collection, index);
    if (status == MM_OK)
        status = put_fields(f, collection);
    if (status == MM_OK)
        status = mm_foreign_flag(f, "meta.milvus.closeDynamicField", &closed);
    if (status == MM_OK && !closed && mm_foreign_get(f, "meta.milvus.closeDynamicField"))
        status = mm_foreign_warn(f, mm_foreign_get(f, "meta.milvus.closeDynamicField"),
                                 "`meta.milvus.closeDynamicField: false`: no dynamic field is made, since exactly the "
                                 "fields of `meta.fields` arrive");
    return status;
}

/* --- milvus2x ----------------------------------------------------------------------------------------------------- */

static mm_status put_names(mm_foreign *f, mm_node *collection)
{
    mm_arena *arena = f->reader->arena;
    const mm_node *given = mm_foreign_get(f, "meta.fields");
    mm_node *list = given ? mm_tree_list(arena, given) : NULL;
    mm_status status = given ? check_fields(f, given) : MM_OK;
    for (size_t i = 0; given && status == MM_OK && i < given->count; i++) {
        const char *name;
        mm_node *rule = mm_tree_map(arena, given->items[i]);
        status = field_text(f, given->items[i], "name", &name);
        if (status == MM_OK)
            status = mm_foreign_put(f, rule, "from", mm_foreign_get_in(f, given->items[i], "name"), name);
        if (status == MM_OK && !mm_tree_add(arena, list, rule))
            status = mm_foreign_no_memory(f);
    }
    if (status == MM_OK && given && !mm_tree_put(arena, collection, "fields", list))
        status = mm_foreign_no_memory(f);
    return status;
}

static mm_status refuse_autoid(mm_foreign *f)
{
    bool autoid;
    mm_status status = mm_foreign_flag(f, "meta.milvus.autoId", &autoid);
    if (status == MM_OK && autoid)
        return mm_node_error(mm_foreign_get(f, "meta.milvus.autoId"), f->reader->path, f->err,
                             "`meta.milvus.autoId: true` gives rows new keys, by which no run could be resumed or "
                             "proven; keys are kept: leave it out");
    return status;
}

mm_status mm_foreign_milvus2x(mm_foreign *f)
{
    static const char *const pairs[][2] = {{"source.milvus2x.endpoint", "endpoint"},
                                           {"source.milvus2x.username", "user"},
                                           {"source.milvus2x.password", "password"},
                                           {"source.milvus2x.database", "database"}};
    const char *name;
    mm_status status = need_config(f);
    if (status == MM_OK)
        status = refuse_autoid(f);
    if (status == MM_OK)
        status = mm_foreign_need(f, "meta.collection", &name);
    for (size_t i = 0; status == MM_OK && i < MM_COUNT(pairs); i++)
        status = mm_foreign_move(f, pairs[i][0], f->source, pairs[i][1]);
    if (status == MM_OK)
        status = mm_foreign_move(f, "target.milvus2x.writeMode", f->target, "on_conflict");
    if (status != MM_OK)
        return status;
    mm_node *collection = mm_foreign_collection(f, mm_foreign_get(f, "meta.collection"));
    status = collection ? mm_foreign_move(f, "meta.collection", collection, "from") : mm_foreign_no_memory(f);
    if (status == MM_OK)
        status = put_milvus(f, collection, name);
    if (status == MM_OK)
        status = put_names(f, collection);
    return status;
}
