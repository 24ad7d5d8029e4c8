/* What the translations of other tools' job files share: keys known and unknown, values with their places, and the
 * frame of the job that is made. Knows no tool's keys. */
#include "config/foreign.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "config/job_parts.h"
#include "config/values.h"

#define PATH_MAX_KEYS 160
#define THREADS_MAX 256

mm_status mm_foreign_no_memory(mm_foreign *f)
{
    return mm_error_set(f->err, MM_NO_MEMORY, "out of memory");
}

mm_status mm_foreign_warn(mm_foreign *f, const mm_node *node, const char *format, ...)
{
    char text[MM_ERROR_TEXT], line[MM_ERROR_TEXT + 64];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(line, sizeof(line), "%d:%d: %s", node->line, node->column, text);
    mm_node *warning = mm_tree_scalar(f->reader->arena, node, mm_arena_strdup(f->reader->arena, line));
    return mm_tree_add(f->reader->arena, &f->reader->warnings, warning) ? MM_OK : mm_foreign_no_memory(f);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static bool same_key(const mm_foreign *f, const char *a, const char *b)
{
    return (f->any_case ? strcasecmp(a, b) : strcmp(a, b)) == 0;
}

static const mm_foreign_key *find_key(const mm_foreign *f, const char *path)
{
    for (size_t i = 0; i < f->key_count; i++)
        if (same_key(f, f->keys[i].path, path))
            return &f->keys[i];
    return NULL;
}

/* The keys that stand directly below prefix, by their last names. */
static mm_status unknown_key(mm_foreign *f, const mm_node *key, const char *prefix)
{
    size_t count = 0, length = strlen(prefix);
    const char **names = mm_arena_array(f->reader->arena, f->key_count + 1, sizeof(*names));
    if (names == NULL)
        return mm_foreign_no_memory(f);
    for (size_t i = 0; i < f->key_count; i++) {
        const char *path = f->keys[i].path, *last = strrchr(path, '.');
        size_t above = last ? (size_t)(last - path) : 0;
        if (above == length && strncmp(path, prefix, length) == 0)
            names[count++] = last ? last + 1 : path;
    }
    return mm_node_error(key, f->reader->path, f->err, "unknown key `%.100s` in %s of %s%s", key->text,
                         *prefix ? prefix : "the job file", f->tool,
                         mm_config_suggest(f->reader->arena, key->text, names, count));
}

static mm_status check_twice(mm_foreign *f, const mm_node *map, size_t at)
{
    for (size_t i = 0; f->any_case && i < at; i++)
        if (strcasecmp(map->keys[i]->text, map->keys[at]->text) == 0)
            return mm_node_error(map->keys[at], f->reader->path, f->err,
                                 "the key `%.100s` stands here a second time (first at line %d, as `%.100s`; %s does "
                                 "not look at the case)",
                                 map->keys[at]->text, map->keys[i]->line, map->keys[i]->text, f->tool);
    return MM_OK;
}

static bool is_empty(const mm_node *node)
{
    return node->kind == MM_NODE_SCALAR && (*node->text == '\0' || mm_node_is_null(node));
}

static mm_status check_one(mm_foreign *f, const mm_node *key, mm_node *value, const char *prefix)
{
    char path[PATH_MAX_KEYS];
    int size = snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", key->text);
    const mm_foreign_key *known = size < (int)sizeof(path) ? find_key(f, path) : NULL;
    if (known == NULL)
        return unknown_key(f, key, prefix);
    if (known->secret && value->kind == MM_NODE_SCALAR &&
        !mm_tree_add(f->reader->arena, &f->reader->secrets, value))
        return mm_foreign_no_memory(f);
    if (is_empty(value))
        return MM_OK;
    if (known->fate == MM_FOREIGN_SECTION)
        return mm_foreign_check(f, value, known->path);
    if (known->fate == MM_FOREIGN_QUIET)
        return MM_OK;
    bool fits = (known->modes & f->mode) != 0;
    if (known->why && (!fits || known->fate == MM_FOREIGN_SPENT))
        return mm_foreign_warn(f, key, "`%s` has no meaning any more: %s", known->path, known->why);
    return fits ? MM_OK : mm_foreign_warn(f, key, "`%s` has no meaning with %s", known->path, f->mode_name);
}

mm_status mm_foreign_check(mm_foreign *f, const mm_node *map, const char *prefix)
{
    if (map->kind != MM_NODE_MAP)
        return mm_node_error(map, f->reader->path, f->err, "%s is a mapping of keys, not %s",
                             *prefix ? prefix : "the job file", mm_node_kind_name(map));
    for (size_t i = 0; i < map->count; i++) {
        mm_status status = check_twice(f, map, i);
        if (status == MM_OK)
            status = check_one(f, map->keys[i], map->items[i], prefix);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static mm_node *step(const mm_foreign *f, const mm_node *map, const char *key, size_t length)
{
    for (size_t i = 0; map->kind == MM_NODE_MAP && i < map->count; i++) {
        const char *name = map->keys[i]->text;
        if (strlen(name) == length && (f->any_case ? strncasecmp(name, key, length) : strncmp(name, key, length)) == 0)
            return map->items[i];
    }
    return NULL;
}

mm_node *mm_foreign_get_in(const mm_foreign *f, const mm_node *map, const char *key)
{
    mm_node *node = step(f, map, key, strlen(key));
    return node && !is_empty(node) ? node : NULL;
}

/* The value at the path, or NULL and in *last the deepest section on the way that is there. */
static mm_node *walk(const mm_foreign *f, const char *path, const mm_node **last)
{
    mm_node *node = f->file;
    while (*path) {
        size_t length = strcspn(path, ".");
        *last = node;
        node = step(f, node, path, length);
        if (node == NULL || is_empty(node))
            return NULL;
        path += length + (path[length] == '.');
    }
    return node;
}

mm_node *mm_foreign_get(const mm_foreign *f, const char *path)
{
    const mm_node *last;
    return walk(f, path, &last);
}

const mm_node *mm_foreign_place(const mm_foreign *f, const char *path)
{
    const mm_node *last = f->file;
    const mm_node *node = walk(f, path, &last);
    return node ? node : last;
}

/* Every dollar sign twice; keep: but for those of ${NAME}. */
static const char *double_dollars(mm_arena *arena, const char *text, bool keep)
{
    size_t extra = 0;
    for (const char *c = text; *c; c++)
        extra += *c == '$';
    if (extra == 0)
        return text;
    char *copy = mm_arena_alloc(arena, strlen(text) + extra + 1), *to = copy;
    for (const char *c = text; copy && *c; c++) {
        if (*c == '$' && !(keep && c[1] == '{'))
            *to++ = '$';
        *to++ = *c;
    }
    if (copy)
        *to = '\0';
    return copy;
}

const char *mm_foreign_literal(mm_arena *arena, const char *text)
{
    return double_dollars(arena, text, false);
}

mm_node *mm_foreign_carry(mm_foreign *f, const mm_node *node)
{
    mm_arena *arena = f->reader->arena;
    mm_node *copy = mm_arena_array(arena, 1, sizeof(*copy));
    if (copy == NULL)
        return NULL;
    *copy = *node;
    if (node->kind == MM_NODE_SCALAR) {
        copy->text = double_dollars(arena, node->text, true);
        return copy->text ? copy : NULL;
    }
    copy->items = copy->keys = NULL;
    copy->count = copy->capacity = 0;
    for (size_t i = 0; i < node->count; i++) {
        mm_node *item = mm_foreign_carry(f, node->items[i]);
        if (item == NULL || !mm_node_append(arena, copy, node->kind == MM_NODE_MAP ? node->keys[i] : NULL, item))
            return NULL;
    }
    return copy;
}

mm_status mm_foreign_text(mm_foreign *f, const char *path, const char **out)
{
    const mm_node *node = mm_foreign_get(f, path);
    *out = NULL;
    if (node == NULL)
        return MM_OK;
    const mm_node *carried = mm_foreign_carry(f, node);
    return carried ? mm_config_scalar(f->reader, carried, path, out, f->err) : mm_foreign_no_memory(f);
}

mm_status mm_foreign_need(mm_foreign *f, const char *path, const char **out)
{
    mm_status status = mm_foreign_text(f, path, out);
    if (status == MM_OK && (*out == NULL || **out == '\0'))
        return mm_node_error(mm_foreign_place(f, path), f->reader->path, f->err, "`%s` is missing: %s needs it", path,
                             f->mode_name);
    return status;
}

mm_status mm_foreign_flag(mm_foreign *f, const char *path, bool *out)
{
    const char *text;
    *out = false;
    mm_status status = mm_foreign_text(f, path, &text);
    if (status == MM_OK && text && !mm_value_bool(text, out))
        return mm_node_error(mm_foreign_get(f, path), f->reader->path, f->err, "`%s` is true or false, not `%.60s`",
                             path, text);
    return status;
}

mm_status mm_foreign_move(mm_foreign *f, const char *path, mm_node *into, const char *key)
{
    const mm_node *node = mm_foreign_get(f, path);
    if (node == NULL || mm_tree_put(f->reader->arena, into, key, mm_foreign_carry(f, node)))
        return MM_OK;
    return mm_foreign_no_memory(f);
}

mm_status mm_foreign_put(mm_foreign *f, mm_node *into, const char *key, const mm_node *at, const char *text)
{
    const char *literal = text ? mm_foreign_literal(f->reader->arena, text) : NULL;
    mm_node *value = mm_tree_scalar(f->reader->arena, at, literal);
    if (value)
        value->plain = false; /* a name such as "null" is a text */
    return mm_tree_put(f->reader->arena, into, key, value) ? MM_OK : mm_foreign_no_memory(f);
}

/* --- parts of a job ----------------------------------------------------------------------------------------------- */

mm_status mm_foreign_threads(mm_foreign *f, const char *path, const char *key)
{
    const char *text;
    int64_t number;
    char clipped[16];
    mm_status status = mm_foreign_text(f, path, &text);
    if (status != MM_OK || text == NULL)
        return status;
    const mm_node *node = mm_foreign_get(f, path);
    if (!mm_value_int(text, &number) || number < 1)
        return mm_node_error(node, f->reader->path, f->err, "`%s` is a whole number above 0, not `%.60s`", path, text);
    if (number > THREADS_MAX) {
        status = mm_foreign_warn(f, node, "`%s: %lld` becomes limits.%s: %d, the most there is", path,
                                 (long long)number, key, THREADS_MAX);
        number = THREADS_MAX;
    }
    snprintf(clipped, sizeof(clipped), "%lld", (long long)number);
    const char *copy = mm_arena_strdup(f->reader->arena, clipped);
    if (status == MM_OK && copy == NULL)
        return mm_foreign_no_memory(f);
    return status == MM_OK ? mm_foreign_put(f, f->limits, key, node, copy) : status;
}

mm_status mm_foreign_driver(mm_foreign *f, const mm_node *at, bool source, const char *driver)
{
    const mm_job_tables *tables = f->tables;
    size_t count = tables == NULL ? 0 : source ? tables->source_count : tables->target_count;
    bool found = tables == NULL;
    for (size_t i = 0; i < count && !found; i++)
        found = strcmp((source ? tables->sources : tables->targets)[i].name, driver) == 0;
    if (!found)
        return mm_node_error(at, f->reader->path, f->err,
                             "%s needs the %s driver `%s`, which this mmresume does not have (`mmresume drivers` "
                             "lists what it has)",
                             f->mode_name, source ? "source" : "target", driver);
    return mm_foreign_put(f, source ? f->source : f->target, "driver", at, driver);
}

mm_node *mm_foreign_collection(mm_foreign *f, const mm_node *at)
{
    mm_node *map = mm_tree_map(f->reader->arena, at);
    return mm_tree_add(f->reader->arena, f->collections, map) ? map : NULL;
}

typedef struct metric {
    const char *text, *index_type, *metric_type, *nlist;
} metric;

/* Binary vectors have index types of their own; Milvus 2.x ranks by JACCARD as 1.x did by TANIMOTO. */
static const metric metrics[] = {
    {"L2", "AUTOINDEX", "L2", NULL},
    {"IP", "AUTOINDEX", "IP", NULL},
    {"COSINE", "AUTOINDEX", "COSINE", NULL}, /* of neither tool, but the target hdf5 may write it into a job file */
    {"HAMMING", "BIN_IVF_FLAT", "HAMMING", "1024"},
    {"JACCARD", "BIN_IVF_FLAT", "JACCARD", "1024"},
    {"TANIMOTO", "BIN_IVF_FLAT", "JACCARD", "1024"},
    {"SUBSTRUCTURE", "BIN_FLAT", "SUBSTRUCTURE", NULL},
    {"SUPERSTRUCTURE", "BIN_FLAT", "SUPERSTRUCTURE", NULL},
};

static bool put_index(mm_arena *arena, mm_node *collection, const char *field, const mm_node *at, const metric *one)
{
    mm_node *index = mm_tree_map(arena, at), *rule = mm_tree_map(arena, at);
    bool done = mm_tree_put_text(arena, rule, "index_type", one->index_type) &&
                mm_tree_put_text(arena, rule, "metric_type", one->metric_type);
    if (done && one->nlist) {
        mm_node *params = mm_tree_map(arena, at);
        done = mm_tree_put_text(arena, params, "nlist", one->nlist) && mm_tree_put(arena, rule, "params", params);
    }
    return done && mm_tree_put(arena, index, field, rule) && mm_tree_put(arena, collection, "index", index);
}

mm_status mm_foreign_index(mm_foreign *f, mm_node *collection, const char *field, const char *path)
{
    const char *text;
    mm_status status = mm_foreign_text(f, path, &text);
    if (status != MM_OK || text == NULL)
        return status;
    const mm_node *at = mm_foreign_get(f, path);
    for (size_t i = 0; i < MM_COUNT(metrics); i++)
        if (strcasecmp(metrics[i].text, text) == 0)
            return put_index(f->reader->arena, collection, field, at, &metrics[i]) ? MM_OK : mm_foreign_no_memory(f);
    return mm_node_error(at, f->reader->path, f->err,
                         "`%s` is one of L2, IP, COSINE, HAMMING, JACCARD, TANIMOTO, SUBSTRUCTURE and "
                         "SUPERSTRUCTURE, not `%.60s`", path, text);
}

/* --- the frame ---------------------------------------------------------------------------------------------------- */

/* Old files are all called alike: then the collection tells the jobs apart. */
static mm_status put_name(mm_foreign *f)
{
    static const char *const common[] = {"migration", "F2M", "H2M", "M2M", "M2H", "config"};
    mm_arena *arena = f->reader->arena;
    const char *stem = mm_job_stem(arena, f->reader->path);
    bool alike = false;
    if (stem == NULL)
        return mm_foreign_no_memory(f);
    for (size_t i = 0; i < MM_COUNT(common); i++)
        alike = alike || strcasecmp(stem, common[i]) == 0;
    if (!alike || f->about == NULL)
        return MM_OK;
    char *name = mm_format("%s-%s", stem, f->about);
    const char *copy = name ? mm_arena_strdup(arena, name) : NULL;
    free(name);
    if (copy == NULL)
        return mm_foreign_no_memory(f);
    return mm_job_name_valid(copy) ? mm_foreign_put(f, f->job, "job", f->file, copy) : MM_OK;
}

static mm_status put_sections(mm_foreign *f)
{
    mm_arena *arena = f->reader->arena;
    bool done = mm_tree_put(arena, f->job, "source", f->source) && mm_tree_put(arena, f->job, "target", f->target);
    if (done && f->collections->count > 0)
        done = mm_tree_put(arena, f->job, "collections", f->collections);
    if (done && f->limits->count > 0)
        done = mm_tree_put(arena, f->job, "limits", f->limits);
    return done ? MM_OK : mm_foreign_no_memory(f);
}

static mm_status translate(mm_config_reader *reader, const mm_job_tables *tables, mm_node **root, mm_error *err)
{
    bool migration = mm_foreign_is_migration(*root);
    if (!migration && !mm_foreign_is_milvusdm(*root))
        return MM_OK;
    mm_foreign f = {.reader = reader, .tables = tables, .err = err, .file = *root};
    f.job = mm_tree_map(reader->arena, *root);
    f.source = mm_tree_map(reader->arena, *root);
    f.target = mm_tree_map(reader->arena, *root);
    f.limits = mm_tree_map(reader->arena, *root);
    f.collections = mm_tree_list(reader->arena, *root);
    if (f.job == NULL || f.source == NULL || f.target == NULL || f.limits == NULL || f.collections == NULL)
        return mm_foreign_no_memory(&f);
    mm_status status = migration ? mm_foreign_migration(&f) : mm_foreign_milvusdm(&f);
    if (status == MM_OK)
        status = put_name(&f);
    if (status == MM_OK)
        status = put_sections(&f);
    if (status == MM_OK)
        *root = f.job;
    return status;
}

mm_status mm_job_tree(mm_config_reader *reader, const mm_job_tables *tables, const char *text, size_t size,
                      mm_node **root, mm_error *err)
{
    mm_status status = mm_yaml_parse(reader->arena, text, size, reader->path, root, err);
    return status == MM_OK ? translate(reader, tables, root, err) : status;
}
