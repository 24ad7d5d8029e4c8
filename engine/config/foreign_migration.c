/* The migration.yaml of milvus-migration: its keys, its target, its object stores, and the work mode faiss. Facts: its
 * sources of 2024 (core/config, cmd, storage) and its documentation. Keys are taken in any case, as its reader does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "config/foreign.h"

enum { MILVUS1X = 1, FAISS = 2, ELASTIC = 4, MILVUS2X = 8, FILES = MILVUS1X | FAISS, ALL = 15 };

#define SECTION(at) {.path = at, .fate = MM_FOREIGN_SECTION, .modes = ALL}
#define TAKEN(at, of) {.path = at, .fate = MM_FOREIGN_TAKEN, .modes = of}
#define HIDDEN(at, of) {.path = at, .fate = MM_FOREIGN_TAKEN, .modes = of, .secret = true}
#define QUIET(at, of) {.path = at, .fate = MM_FOREIGN_QUIET, .modes = of}
#define SPENT(at, of, reason) {.path = at, .fate = MM_FOREIGN_SPENT, .modes = of, .why = reason}

#define STORE(at)                                                                                                      \
    SECTION(at), TAKEN(at ".cloud", ALL), TAKEN(at ".endpoint", ALL), TAKEN(at ".region", ALL),                        \
        TAKEN(at ".bucket", ALL), TAKEN(at ".ak", ALL), HIDDEN(at ".sk", ALL), TAKEN(at ".useIAM", ALL),               \
        TAKEN(at ".useSSL", ALL), TAKEN(at ".checkBucket", ALL)

#define BUFFERS "memory is bounded by limits.memory"
#define MESSAGES "requests are cut by target.request_bytes"

static const mm_foreign_key keys[] = {
    SECTION("dumper"),
    SECTION("dumper.worker"),
    TAKEN("dumper.worker.workMode", ALL),
    TAKEN("dumper.worker.limit", ALL),
    SECTION("dumper.worker.reader"),
    {.path = "dumper.worker.reader.bufferSize", .fate = MM_FOREIGN_TAKEN, .modes = ELASTIC, .why = BUFFERS},
    SECTION("dumper.worker.writer"),
    SPENT("dumper.worker.writer.bufferSize", ALL, BUFFERS),
    SECTION("loader"),
    SECTION("loader.worker"),
    TAKEN("loader.worker.limit", FILES),
    SECTION("meta"),
    TAKEN("meta.mode", ALL & ~FAISS),
    TAKEN("meta.mockFile", MILVUS1X),
    TAKEN("meta.localFile", MILVUS1X),
    TAKEN("meta.sqliteFile", MILVUS1X),
    HIDDEN("meta.mysqlUrl", MILVUS1X),
    TAKEN("meta.remoteMetaFile", MILVUS1X),
    QUIET("meta.version", ELASTIC | MILVUS2X),
    TAKEN("meta.index", ELASTIC),
    TAKEN("meta.collection", MILVUS2X),
    TAKEN("meta.fields", ELASTIC | MILVUS2X),
    TAKEN("meta.fields[].name", ELASTIC | MILVUS2X),
    TAKEN("meta.fields[].type", ELASTIC | MILVUS2X),
    TAKEN("meta.fields[].pk", ELASTIC | MILVUS2X),
    TAKEN("meta.fields[].maxLen", ELASTIC | MILVUS2X),
    TAKEN("meta.fields[].dims", ELASTIC | MILVUS2X),
    SECTION("meta.milvus"),
    TAKEN("meta.milvus.collection", ELASTIC | MILVUS2X),
    TAKEN("meta.milvus.shardNum", ELASTIC | MILVUS2X),
    TAKEN("meta.milvus.closeDynamicField", ELASTIC | MILVUS2X),
    TAKEN("meta.milvus.consistencyLevel", ELASTIC | MILVUS2X),
    TAKEN("meta.milvus.autoId", MILVUS2X),
    SECTION("source"),
    TAKEN("source.mode", FILES),
    SECTION("source.local"),
    TAKEN("source.local.tablesDir", MILVUS1X),
    TAKEN("source.local.faissFile", FAISS),
    STORE("source.remote"),
    TAKEN("source.remote.tablesDir", MILVUS1X),
    TAKEN("source.remote.faissFile", FAISS),
    SECTION("source.es"),
    TAKEN("source.es.urls", ELASTIC),
    TAKEN("source.es.username", ELASTIC),
    HIDDEN("source.es.password", ELASTIC),
    TAKEN("source.es.cert", ELASTIC),
    TAKEN("source.es.fingerprint", ELASTIC),
    HIDDEN("source.es.serviceToken", ELASTIC),
    TAKEN("source.es.cloudId", ELASTIC),
    HIDDEN("source.es.apiKey", ELASTIC),
    SECTION("source.milvus2x"),
    TAKEN("source.milvus2x.endpoint", MILVUS2X),
    TAKEN("source.milvus2x.username", MILVUS2X),
    HIDDEN("source.milvus2x.password", MILVUS2X),
    TAKEN("source.milvus2x.database", MILVUS2X),
    SECTION("source.milvus2x.grpc"),
    SPENT("source.milvus2x.grpc.maxCallRecvMsgSize", ALL, "pages are cut by their bytes"),
    SPENT("source.milvus2x.grpc.maxCallSendMsgSize", ALL, "pages are cut by their bytes"),
    SECTION("target"),
    TAKEN("target.mode", ALL),
    SECTION("target.local"),
    TAKEN("target.local.outputDir", ALL),
    STORE("target.remote"),
    TAKEN("target.remote.outputDir", ALL),
    SECTION("target.milvus2x"),
    TAKEN("target.milvus2x.endpoint", ALL),
    TAKEN("target.milvus2x.username", ALL),
    HIDDEN("target.milvus2x.password", ALL),
    TAKEN("target.milvus2x.database", ALL),
    TAKEN("target.milvus2x.writeMode", MILVUS2X),
    SECTION("target.milvus2x.grpc"),
    SPENT("target.milvus2x.grpc.maxCallRecvMsgSize", ALL, MESSAGES),
    SPENT("target.milvus2x.grpc.maxCallSendMsgSize", ALL, MESSAGES),
    SECTION("target.create"),
    SECTION("target.create.collection"),
    TAKEN("target.create.collection.name", FAISS),
    TAKEN("target.create.collection.shardsNum", FAISS),
    SPENT("target.create.collection.dim", FAISS, "the file says how many dimensions its vectors have"),
    TAKEN("target.create.collection.metricType", FAISS),
};

static bool has_key(const mm_node *root, const char *key)
{
    for (size_t i = 0; root->kind == MM_NODE_MAP && i < root->count; i++)
        if (strcasecmp(root->keys[i]->text, key) == 0)
            return true;
    return false;
}

/* `dumper` is enough. A file that lacks it, but has `loader` or `meta` and nothing of a job of this program, is told so
 * rather than taken for such a job. */
bool mm_foreign_is_migration(const mm_node *root)
{
    static const char *const own[] = {"version", "job", "collections", "limits", "verify"};
    bool ours = mm_node_get(mm_node_get(root, "source"), "driver") != NULL;
    for (size_t i = 0; i < MM_COUNT(own); i++)
        ours = ours || mm_node_get(root, own[i]) != NULL;
    return has_key(root, "dumper") || (!ours && (has_key(root, "loader") || has_key(root, "meta")));
}

/* --- object stores ------------------------------------------------------------------------------------------------ */

static const char *path_of(char out[96], const char *prefix, const char *key)
{
    snprintf(out, 96, "%s.%s", prefix, key);
    return out;
}

static mm_status scheme_of(mm_foreign *f, const char *prefix, const char **out)
{
    static const char *const clouds[][2] = {
        {"aws", "s3"}, {"gcp", "gs"}, {"ali", "oss"}, {"azure", "az"}, {"az", "az"}, {"tc", "cos"},
    };
    char path[96];
    const char *cloud;
    mm_status status = mm_foreign_text(f, path_of(path, prefix, "cloud"), &cloud);
    *out = "s3";
    if (status != MM_OK || cloud == NULL)
        return status;
    for (size_t i = 0; i < MM_COUNT(clouds); i++)
        if (strcasecmp(clouds[i][0], cloud) == 0) {
            *out = clouds[i][1];
            return MM_OK;
        }
    return mm_node_error(mm_foreign_get(f, path), f->reader->path, f->err,
                         "`%s` is one of aws (also MinIO), gcp, ali, azure and tc, not `%.60s`", path, cloud);
}

mm_status mm_foreign_url(mm_foreign *f, const char *prefix, const char *key, const char **out)
{
    char path[96];
    const char *scheme, *bucket, *object;
    mm_status status = scheme_of(f, prefix, &scheme);
    if (status == MM_OK)
        status = mm_foreign_need(f, path_of(path, prefix, "bucket"), &bucket);
    if (status == MM_OK)
        status = mm_foreign_text(f, strchr(key, '.') ? key : path_of(path, prefix, key), &object);
    if (status != MM_OK)
        return status;
    while (object && *object == '/')
        object++;
    char *url = mm_format("%s://%s/%s", scheme, bucket, object ? object : "");
    size_t length = url ? strlen(url) : 0;
    while (length > 0 && url[length - 1] == '/')
        url[--length] = '\0';
    *out = url ? mm_arena_strdup(f->reader->arena, url) : NULL;
    free(url);
    return *out ? MM_OK : mm_foreign_no_memory(f);
}

/* host:port and useSSL become a URL. That of Azure comes from the account's name, as in milvus-migration. */
static mm_status put_endpoint(mm_foreign *f, const char *prefix, mm_node *into)
{
    char path[96], where[96];
    const char *scheme, *endpoint;
    bool tls;
    mm_status status = scheme_of(f, prefix, &scheme);
    if (status == MM_OK)
        status = mm_foreign_flag(f, path_of(where, prefix, "useSSL"), &tls);
    if (status == MM_OK)
        status = mm_foreign_text(f, path_of(path, prefix, "endpoint"), &endpoint);
    if (status != MM_OK || endpoint == NULL)
        return status;
    const mm_node *at = mm_foreign_get(f, path);
    if (strcmp(scheme, "az") == 0)
        return mm_foreign_warn(f, at, "`%s` has no meaning with Azure: the account's own is asked", path);
    if (strstr(endpoint, "://"))
        return mm_foreign_put(f, into, "storage_endpoint", at, endpoint);
    char *url = mm_format("%s://%s", tls ? "https" : "http", endpoint);
    status = url ? mm_foreign_put(f, into, "storage_endpoint", at, mm_arena_strdup(f->reader->arena, url))
                 : mm_foreign_no_memory(f);
    free(url);
    return status;
}

mm_status mm_foreign_storage(mm_foreign *f, const char *prefix, mm_node *into)
{
    char path[96];
    const char *scheme;
    bool iam, check;
    mm_status status = put_endpoint(f, prefix, into);
    if (status == MM_OK)
        status = mm_foreign_move(f, path_of(path, prefix, "region"), into, "storage_region");
    if (status == MM_OK)
        status = mm_foreign_flag(f, path_of(path, prefix, "useIAM"), &iam);
    if (status == MM_OK && iam)
        status = mm_foreign_move(f, path_of(path, prefix, "useIAM"), into, "storage_use_iam");
    if (status == MM_OK)
        status = scheme_of(f, prefix, &scheme);
    if (status == MM_OK && (!iam || strcmp(scheme, "az") == 0)) /* of Azure it is the account's name */
        status = mm_foreign_move(f, path_of(path, prefix, "ak"), into, "storage_access_key");
    if (status == MM_OK && !iam)
        status = mm_foreign_move(f, path_of(path, prefix, "sk"), into, "storage_secret_key");
    if (status == MM_OK)
        status = mm_foreign_flag(f, path_of(path, prefix, "checkBucket"), &check);
    if (status == MM_OK && check)
        status = mm_foreign_warn(f, mm_foreign_get(f, path),
                                 "`%s` has no meaning any more: a bucket that is missing is always told, and never "
                                 "made", path);
    return status;
}

/* --- the target --------------------------------------------------------------------------------------------------- */

/* Where `dump` writes and `load` reads. Rows of `run` go by Insert, which needs no store that the server reads too. */
static mm_status put_staging(mm_foreign *f)
{
    const char *mode, *folder;
    mm_status status = mm_foreign_text(f, "target.mode", &mode);
    if (status != MM_OK || mode == NULL)
        return status;
    const mm_node *at = mm_foreign_get(f, "target.mode");
    if (strcmp(mode, "local") == 0) {
        status = mm_foreign_text(f, "target.local.outputDir", &folder);
        return status == MM_OK && folder
                   ? mm_foreign_put(f, f->target, "staging", mm_foreign_get(f, "target.local.outputDir"), folder)
                   : status;
    }
    if (strcmp(mode, "remote") != 0)
        return mm_node_error(at, f->reader->path, f->err, "`target.mode` is local or remote, not `%.60s`", mode);
    status = mm_foreign_url(f, "target.remote", "outputDir", &folder);
    if (status == MM_OK)
        status = mm_foreign_put(f, f->target, "staging", mm_foreign_place(f, "target.remote.outputDir"), folder);
    return status == MM_OK ? mm_foreign_storage(f, "target.remote", f->target) : status;
}

static mm_status put_target(mm_foreign *f)
{
    const mm_node *at = mm_foreign_place(f, "target.milvus2x");
    f->target->line = at->line;
    f->target->column = at->column;
    mm_status status = mm_foreign_driver(f, at, false, "milvus");
    if (status == MM_OK)
        status = mm_foreign_move(f, "target.milvus2x.endpoint", f->target, "endpoint");
    if (status == MM_OK)
        status = mm_foreign_move(f, "target.milvus2x.username", f->target, "user");
    if (status == MM_OK)
        status = mm_foreign_move(f, "target.milvus2x.password", f->target, "password");
    if (status == MM_OK)
        status = mm_foreign_move(f, "target.milvus2x.database", f->target, "database");
    if (status == MM_OK && mm_foreign_get(f, "target.milvus2x.database"))
        status = mm_foreign_put(f, f->target, "create_database", at, "true");
    if (status == MM_OK && f->mode != MILVUS2X)
        status = put_staging(f);
    if (status == MM_OK && f->mode & FILES) /* what it wrote itself, and what every Milvus 2.x imports */
        status = mm_foreign_put(f, f->target, "format", at, "npy");
    return status;
}

/* --- sources ------------------------------------------------------------------------------------------------------ */

static mm_status faiss(mm_foreign *f)
{
    const char *mode, *path, *name;
    mm_status status = mm_foreign_need(f, "source.mode", &mode);
    if (status != MM_OK)
        return status;
    const mm_node *at = mm_foreign_get(f, "source.mode");
    bool remote = strcmp(mode, "remote") == 0;
    const char *key = remote ? "source.remote.faissFile" : "source.local.faissFile";
    if (!remote && strcmp(mode, "local") != 0)
        return mm_node_error(at, f->reader->path, f->err, "`source.mode` is local or remote, not `%.60s`", mode);
    status = mm_foreign_need(f, key, &path);
    if (status == MM_OK && remote)
        status = mm_foreign_url(f, "source.remote", "faissFile", &path);
    if (status == MM_OK)
        status = mm_foreign_put(f, f->source, "path", mm_foreign_get(f, key), path);
    if (status == MM_OK && remote)
        status = mm_foreign_storage(f, "source.remote", f->source);
    if (status == MM_OK)
        status = mm_foreign_put(f, f->source, "vector_field", f->source, "data");
    if (status == MM_OK)
        status = mm_foreign_need(f, "target.create.collection.name", &name);
    if (status != MM_OK)
        return status;
    const mm_node *where = mm_foreign_get(f, "target.create.collection.name");
    mm_node *collection = mm_foreign_collection(f, where);
    f->about = name;
    status = collection ? mm_foreign_put(f, collection, "to", where, name) : mm_foreign_no_memory(f);
    if (status == MM_OK)
        status = mm_foreign_index(f, collection, "data", "target.create.collection.metricType");
    return status == MM_OK ? mm_foreign_move(f, "target.create.collection.shardsNum", f->target, "shards") : status;
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *driver, *called;
    unsigned mode;
    mm_status (*translate)(mm_foreign *f);
} modes[] = {
    {"milvus1x", "milvus1x", "workMode milvus1x", MILVUS1X, mm_foreign_milvus1x},
    {"faiss", "faiss", "workMode faiss", FAISS, faiss},
    {"elasticsearch", "elasticsearch", "workMode elasticsearch", ELASTIC, mm_foreign_elasticsearch},
    {"milvus2x", "milvus", "workMode milvus2x", MILVUS2X, mm_foreign_milvus2x},
};

static mm_status find_mode(mm_foreign *f, size_t *out)
{
    const char *mode;
    f->mode_name = "milvus-migration";
    mm_status status = mm_foreign_need(f, "dumper.worker.workMode", &mode);
    for (size_t i = 0; status == MM_OK && i < MM_COUNT(modes); i++)
        if (strcmp(modes[i].name, mode) == 0) {
            f->mode = modes[i].mode;
            f->mode_name = modes[i].called;
            *out = i;
            return MM_OK;
        }
    if (status != MM_OK)
        return status;
    return mm_node_error(mm_foreign_get(f, "dumper.worker.workMode"), f->reader->path, f->err,
                         "`dumper.worker.workMode` is one of milvus1x, faiss, elasticsearch and milvus2x, not `%.60s`",
                         mode);
}

mm_status mm_foreign_migration(mm_foreign *f)
{
    size_t mode = 0;
    f->tool = "milvus-migration";
    f->keys = keys;
    f->key_count = MM_COUNT(keys);
    f->any_case = true;
    mm_status status = find_mode(f, &mode);
    if (status != MM_OK)
        return status;
    const mm_node *at = mm_foreign_place(f, "source");
    f->source->line = at->line;
    f->source->column = at->column;
    status = mm_foreign_check(f, f->file, "");
    if (status == MM_OK)
        status = mm_foreign_driver(f, mm_foreign_get(f, "dumper.worker.workMode"), true, modes[mode].driver);
    if (status == MM_OK)
        status = put_target(f);
    if (status == MM_OK)
        status = modes[mode].translate(f);
    if (status == MM_OK)
        status = mm_foreign_threads(f, "dumper.worker.limit", "dumpers");
    return status == MM_OK && f->mode & FILES ? mm_foreign_threads(f, "loader.worker.limit", "loaders") : status;
}
