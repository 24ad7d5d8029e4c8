/* The files of MilvusDM (pymilvusdm 2.0): one top key, F2M, H2M, M2M or M2H, names the task. Facts: its sources and its
 * documentation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/foreign.h"
#include "config/reader.h"

enum { F2M = 1, H2M = 2, M2M = 4, M2H = 8, TO_MILVUS = F2M | H2M | M2M };

#define KEY(task, name, kind, bits) {.path = task "." name, .fate = kind, .modes = bits}
#define QUIET(task, name, bits) KEY(task, name, MM_FOREIGN_QUIET, bits)
#define TAKEN(task, name, bits) KEY(task, name, MM_FOREIGN_TAKEN, bits)
#define SECTION(task, name, bits) KEY(task, name, MM_FOREIGN_SECTION, bits)
#define SPENT(task, name, bits, reason) {.path = task "." name, .fate = MM_FOREIGN_SPENT, .modes = bits, .why = reason}

#define SEGMENTS "Milvus 2.x sizes its segments itself"
#define DIMENSION "the data says how many dimensions its vectors have"

#define TASK(task, bits)                                                                                               \
    {.path = task, .fate = MM_FOREIGN_SECTION, .modes = bits}, QUIET(task, "milvus_version", bits),                    \
        QUIET(task, "milvus-version", bits)
#define DEST(task, bits)                                                                                               \
    TAKEN(task, "dest_host", bits), TAKEN(task, "dest_port", bits), TAKEN(task, "mode", bits)
#define FILES(task, bits)                                                                                              \
    TAKEN(task, "data_path", bits), TAKEN(task, "dest_collection_name", bits),                                         \
        TAKEN(task, "dest_partition_name", bits),                                                                      \
        SECTION(task, "collection_parameter", bits), SPENT(task, "collection_parameter.dimension", bits, DIMENSION),   \
        SPENT(task, "collection_parameter.index_file_size", bits, SEGMENTS),                                           \
        TAKEN(task, "collection_parameter.metric_type", bits)
#define MILVUS(task, bits)                                                                                             \
    TAKEN(task, "source_milvus_path", bits), SECTION(task, "mysql_parameter", bits),                                   \
        TAKEN(task, "mysql_parameter.host", bits), TAKEN(task, "mysql_parameter.user", bits),                          \
        TAKEN(task, "mysql_parameter.port", bits), TAKEN(task, "mysql_parameter.database", bits),                      \
        {.path = task ".mysql_parameter.password", .fate = MM_FOREIGN_TAKEN, .modes = bits, .secret = true},           \
        TAKEN(task, "source_collection", bits)

static const mm_foreign_key keys[] = {
    TASK("F2M", F2M), FILES("F2M", F2M), DEST("F2M", F2M),
    TASK("H2M", H2M), FILES("H2M", H2M), DEST("H2M", H2M), TAKEN("H2M", "data_dir", H2M),
    TASK("M2M", M2M), MILVUS("M2M", M2M), DEST("M2M", M2M),
    TASK("M2H", M2H), MILVUS("M2H", M2H), TAKEN("M2H", "data_dir", M2H),
};

static const struct {
    const char *name;
    unsigned mode;
} tasks[] = {{"F2M", F2M}, {"H2M", H2M}, {"M2M", M2M}, {"M2H", M2H}};

bool mm_foreign_is_milvusdm(const mm_node *root)
{
    for (size_t i = 0; i < MM_COUNT(tasks); i++)
        if (mm_node_get(root, tasks[i].name))
            return true;
    return false;
}

/* "F2M.data_path"; at most one of these is in use at a time. */
static const char *at_key(const mm_foreign *f, char out[64], const char *key)
{
    snprintf(out, 64, "%s.%s", f->mode_name, key);
    return out;
}

/* --- the target --------------------------------------------------------------------------------------------------- */

static mm_status put_dest(mm_foreign *f)
{
    char key[64];
    const char *host, *port;
    mm_status status = mm_foreign_need(f, at_key(f, key, "dest_host"), &host);
    const mm_node *at = mm_foreign_place(f, key);
    if (status == MM_OK)
        status = mm_foreign_need(f, at_key(f, key, "dest_port"), &port);
    if (status == MM_OK)
        status = mm_foreign_driver(f, at, false, "milvus");
    if (status != MM_OK)
        return status;
    bool whole = strstr(host, "://") != NULL, ip6 = !whole && strchr(host, ':') != NULL && *host != '[';
    char *endpoint = mm_format("%s%s%s%s:%s", whole ? "" : "http://", ip6 ? "[" : "", host, ip6 ? "]" : "", port);
    const char *copy = endpoint ? mm_arena_strdup(f->reader->arena, endpoint) : NULL;
    free(endpoint);
    return copy ? mm_foreign_put(f, f->target, "endpoint", at, copy) : mm_foreign_no_memory(f);
}

/* MilvusDM replaces, and skips, the named partitions alone; `overwrite` of a job replaces the collection. So it is not
 * made of a mode that was not meant to touch the other partitions: the run then begins only where there is none. */
static mm_status put_mode(mm_foreign *f, mm_node *collection, bool partitions)
{
    char key[64];
    const char *mode;
    mm_status status = mm_foreign_need(f, at_key(f, key, "mode"), &mode);
    if (status != MM_OK)
        return status;
    const mm_node *at = mm_foreign_get(f, key);
    if (strcmp(mode, "append") != 0 && strcmp(mode, "skip") != 0 && strcmp(mode, "overwrite") != 0)
        return mm_node_error(at, f->reader->path, f->err, "`%s` is append, skip or overwrite, not `%.60s`", key, mode);
    if (partitions && strcmp(mode, "overwrite") == 0) {
        status = mm_foreign_warn(f, at,
                                 "`%s: overwrite` replaced the named partitions alone, which a job does not do: it "
                                 "becomes if_exists: fail (--set collections.0.if_exists=overwrite replaces the whole "
                                 "collection, =append keeps what it holds)", key);
        mode = "fail";
    } else if (partitions && strcmp(mode, "skip") == 0) {
        status = mm_foreign_warn(f, at,
                                 "`%s: skip` leaves a collection that exists alone, also where it does not have the "
                                 "named partitions yet", key);
    }
    return status == MM_OK ? mm_foreign_put(f, collection, "if_exists", at, mode) : status;
}

/* --- files: F2M and H2M ------------------------------------------------------------------------------------------- */

static mm_status put_files_collection(mm_foreign *f)
{
    char key[64];
    mm_status status = mm_foreign_need(f, at_key(f, key, "dest_collection_name"), &f->about);
    if (status != MM_OK)
        return status;
    mm_node *collection = mm_foreign_collection(f, mm_foreign_get(f, key));
    status = collection ? mm_foreign_move(f, key, collection, "to") : mm_foreign_no_memory(f);
    if (status == MM_OK)
        status = mm_foreign_move(f, at_key(f, key, "dest_partition_name"), collection, "partition");
    if (status == MM_OK)
        status = put_mode(f, collection, mm_foreign_get(f, at_key(f, key, "dest_partition_name")) != NULL);
    if (status == MM_OK)
        status = mm_foreign_index(f, collection, "embedding", at_key(f, key, "collection_parameter.metric_type"));
    return status;
}

static mm_status f2m(mm_foreign *f)
{
    const char *path;
    mm_status status = mm_foreign_driver(f, f->source, true, "faiss");
    if (status == MM_OK)
        status = mm_foreign_need(f, "F2M.data_path", &path);
    if (status == MM_OK)
        status = mm_foreign_move(f, "F2M.data_path", f->source, "path");
    if (status == MM_OK)
        status = mm_foreign_put(f, f->source, "vector_field", f->source, "embedding");
    return status == MM_OK ? put_files_collection(f) : status;
}

static mm_status h2m(mm_foreign *f)
{
    const mm_node *files = mm_foreign_get(f, "H2M.data_path"), *folder = mm_foreign_get(f, "H2M.data_dir");
    mm_status status = mm_foreign_driver(f, f->source, true, "hdf5");
    if (status != MM_OK)
        return status;
    if (files && folder)
        return mm_node_error(folder, f->reader->path, f->err,
                             "`H2M.data_path` and `H2M.data_dir` cannot both be given");
    if (!files && !folder)
        return mm_node_error(mm_foreign_place(f, "H2M"), f->reader->path, f->err,
                             "`H2M.data_path` is missing (or `H2M.data_dir`): H2M needs it");
    status = files ? mm_foreign_move(f, "H2M.data_path", f->source, "path")
                   : mm_foreign_move(f, "H2M.data_dir", f->source, "dir");
    if (status == MM_OK)
        status = mm_foreign_put(f, f->source, "vectors", f->source, "embeddings");
    if (status == MM_OK)
        status = mm_foreign_put(f, f->source, "vector_field", f->source, "embedding");
    return status == MM_OK ? put_files_collection(f) : status;
}

/* --- Milvus 1.x: M2M and M2H -------------------------------------------------------------------------------------- */

/* A part of the address as it is written: it is expanded where the whole is read. */
static const char *dsn_part(mm_foreign *f, const char *name, const char *otherwise)
{
    char key[64], path[64];
    snprintf(key, sizeof(key), "mysql_parameter.%s", name);
    const mm_node *node = mm_foreign_get(f, at_key(f, path, key));
    const mm_node *copy = node && node->kind == MM_NODE_SCALAR ? mm_foreign_carry(f, node) : NULL;
    return copy ? copy->text : otherwise;
}

static mm_status put_mysql(mm_foreign *f)
{
    char key[64];
    const mm_node *at = mm_foreign_get(f, at_key(f, key, "mysql_parameter"));
    if (at == NULL)
        return MM_OK;
    char *dsn = mm_format("%s@tcp(%s:%s)/%s", dsn_part(f, "user", "root"), dsn_part(f, "host", "127.0.0.1"),
                          dsn_part(f, "port", "3306"), dsn_part(f, "database", "milvus"));
    mm_node *value = mm_tree_scalar(f->reader->arena, at, dsn ? mm_arena_strdup(f->reader->arena, dsn) : NULL);
    free(dsn);
    if (!mm_tree_put(f->reader->arena, f->source, "mysql", value))
        return mm_foreign_no_memory(f);
    return mm_foreign_move(f, at_key(f, key, "mysql_parameter.password"), f->source, "mysql_password");
}

static mm_status put_partitions(mm_foreign *f, const mm_node *name, const mm_node *wanted)
{
    mm_arena *arena = f->reader->arena;
    mm_node *list = mm_node_get(f->source, "partitions");
    if (wanted->kind == MM_NODE_MAP)
        return mm_node_error(wanted, f->reader->path, f->err, "the partitions of `%.100s` are a list of names",
                             name->text);
    if (list == NULL) {
        list = mm_tree_list(arena, wanted);
        if (!mm_tree_put(arena, f->source, "partitions", list))
            return mm_foreign_no_memory(f);
    }
    size_t count = wanted->kind == MM_NODE_LIST ? wanted->count : 1;
    for (size_t i = 0; i < count; i++) {
        mm_node *item = mm_foreign_carry(f, wanted->kind == MM_NODE_LIST ? wanted->items[i] : wanted);
        if (!mm_tree_add(arena, list, item))
            return mm_foreign_no_memory(f);
    }
    return MM_OK;
}

static mm_status put_collections(mm_foreign *f)
{
    char key[64];
    const mm_node *map = mm_foreign_get(f, at_key(f, key, "source_collection"));
    if (map == NULL || map->kind != MM_NODE_MAP || map->count == 0)
        return mm_node_error(mm_foreign_place(f, key), f->reader->path, f->err,
                             "`%s` is a mapping from the collection to its partitions, such as {test: [partition_1]}",
                             key);
    mm_status status = MM_OK;
    if (map->count > 1)
        status = mm_foreign_warn(f, map->keys[1],
                                 "`%s` names %zu collections: all of them move (MilvusDM took the first alone)", key,
                                 map->count);
    for (size_t i = 0; status == MM_OK && i < map->count; i++) {
        const mm_node *value = map->items[i];
        bool chosen = value->kind != MM_NODE_SCALAR || (*value->text && !mm_node_is_null(value));
        mm_node *collection = mm_foreign_collection(f, map->keys[i]);
        if (collection == NULL)
            return mm_foreign_no_memory(f);
        status = mm_foreign_put(f, collection, "from", map->keys[i], map->keys[i]->text);
        if (status == MM_OK && f->mode == M2M)
            status = put_mode(f, collection, chosen);
        if (status == MM_OK && chosen && map->count > 1)
            status = mm_node_error(value, f->reader->path, f->err,
                                   "partitions can be chosen of one collection only: write a file for each");
        if (status == MM_OK && chosen)
            status = put_partitions(f, map->keys[i], value);
    }
    f->about = map->count == 1 ? map->keys[0]->text : NULL;
    return status;
}

static mm_status from_milvus(mm_foreign *f)
{
    char key[64];
    const char *path;
    mm_status status = mm_foreign_driver(f, f->source, true, "milvus1x");
    if (status == MM_OK)
        status = mm_foreign_need(f, at_key(f, key, "source_milvus_path"), &path);
    if (status == MM_OK)
        status = mm_foreign_move(f, key, f->source, "path");
    if (status == MM_OK)
        status = put_mysql(f);
    if (status == MM_OK)
        status = mm_foreign_put(f, f->source, "vector_field", f->source, "embedding");
    return status == MM_OK ? put_collections(f) : status;
}

static mm_status m2h(mm_foreign *f)
{
    const char *folder;
    const mm_node *at = mm_foreign_place(f, "M2H.data_dir");
    mm_status status = mm_foreign_need(f, "M2H.data_dir", &folder);
    if (status == MM_OK)
        status = mm_foreign_driver(f, at, false, "hdf5");
    if (status == MM_OK)
        status = mm_foreign_move(f, "M2H.data_dir", f->target, "path");
    return status == MM_OK ? from_milvus(f) : status;
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

static void stand(mm_node *section, const mm_node *at)
{
    section->line = at->line;
    section->column = at->column;
}

mm_status mm_foreign_milvusdm(mm_foreign *f)
{
    f->tool = "MilvusDM";
    f->keys = keys;
    f->key_count = MM_COUNT(keys);
    for (size_t i = 0; i < MM_COUNT(tasks) && f->mode == 0; i++)
        if (mm_node_get(f->file, tasks[i].name)) {
            f->mode = tasks[i].mode;
            f->mode_name = tasks[i].name;
        }
    if (f->file->count > 1)
        return mm_node_error(f->file->keys[1], f->reader->path, f->err,
                             "a file of MilvusDM holds one task; this is a second key beside `%.60s`",
                             f->file->keys[0]->text);
    mm_status status = mm_foreign_check(f, f->file, "");
    stand(f->source, f->file->items[0]);
    stand(f->target, f->file->items[0]);
    if (status == MM_OK && f->mode & TO_MILVUS)
        status = put_dest(f);
    if (status != MM_OK)
        return status;
    return f->mode == F2M ? f2m(f) : f->mode == H2M ? h2m(f) : f->mode == M2M ? from_milvus(f) : m2h(f);
}
