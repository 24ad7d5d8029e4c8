/* The target `files` at a place in an object store: what if_exists means there, and the local spool. A collection is
 * there when its manifest is; objects that no manifest names are nobody's business but their owner's. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/files/internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for the target files");
}

mm_status mm_files_remote_id(mm_sink *sink, const mm_files_collection *c, char out[96], mm_error *err)
{
    mm_object object;
    char *key = mm_format("%s/%s", c->prefix, MM_MANIFEST_NAME);
    if (key == NULL)
        return no_memory(err);
    mm_status status = mm_storage_stat(sink->storage, key, &object, err);
    free(key);
    if (status == MM_OK)
        snprintf(out, 96, "%s", object.etag);
    return status;
}

/* What cancelled runs of this job left in the spool: <folder>/<run> of another run. */
static mm_status remove_leftovers(const mm_sink *sink, mm_error *err)
{
    const char *own = strrchr(sink->spool, '/') + 1;
    char *base = strndup(sink->spool, (size_t)(own - 1 - sink->spool));
    if (base == NULL)
        return no_memory(err);
    mm_status status = MM_OK;
    DIR *folder = opendir(base);
    if (folder == NULL && errno != ENOENT)
        status = mm_error_errno(err, MM_IO, "%s", base);
    struct dirent *entry;
    while (status == MM_OK && folder && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || strcmp(entry->d_name, own) == 0)
            continue;
        char *path = mm_format("%s/%s", base, entry->d_name);
        status = path ? mm_folder_remove(path, err) : no_memory(err);
        free(path);
    }
    if (folder)
        closedir(folder);
    free(base);
    return status;
}

/* Objects that an earlier run of this job made and no manifest names: it was cancelled. Its tag is in their names, so
 * that they are nobody else's. */
typedef struct orphans {
    const mm_sink *sink;
    const mm_files_collection *c;
    mm_manifest manifest; /* as it stands there */
    char **keys;
    size_t count, capacity;
} orphans;

static bool is_listed(const mm_manifest *manifest, const char *path)
{
    for (size_t i = 0; i < manifest->file_count; i++)
        if (strcmp(manifest->files[i].path, path) == 0)
            return true;
    return false;
}

static bool is_earlier(const mm_sink *sink, const char *path)
{
    const char *dash = strrchr(sink->unique, '-'); /* "-<tag>-<run>" */
    size_t length = (size_t)(dash - sink->unique) + 1;
    for (const char *at = path; (at = strchr(at, '-')) != NULL; at++)
        if (strncmp(at, sink->unique, length) == 0)
            return strtoul(at + length, NULL, 10) < strtoul(dash + 1, NULL, 10);
    return false;
}

static mm_status find_orphan(void *context, const char *key, const mm_object *object, mm_error *err)
{
    (void)object;
    orphans *o = context;
    const char *path = key + strlen(o->c->prefix) + 1;
    if (!is_earlier(o->sink, path) || is_listed(&o->manifest, path))
        return MM_OK;
    if (o->count == o->capacity) {
        size_t capacity = o->capacity ? o->capacity * 2 : 64;
        char **keys = reallocarray(o->keys, capacity, sizeof(*keys));
        if (keys == NULL)
            return no_memory(err);
        o->keys = keys;
        o->capacity = capacity;
    }
    o->keys[o->count] = strdup(key);
    return o->keys[o->count++] ? MM_OK : no_memory(err);
}

static mm_status remove_orphans(const mm_sink *sink, const mm_files_collection *c, bool present, mm_error *err)
{
    orphans o = {.sink = sink, .c = c, .manifest = MM_MANIFEST_INIT};
    char *folder = mm_format("%s/", c->prefix);
    mm_status status = folder ? MM_OK : no_memory(err);
    if (status == MM_OK && present)
        status = mm_files_manifest_read(sink, c, &o.manifest, err);
    if (status == MM_OK)
        status = mm_storage_list(sink->storage, folder, find_orphan, &o, err);
    for (size_t i = 0; i < o.count; i++) {
        if (status == MM_OK)
            status = mm_storage_remove(sink->storage, o.keys[i], err);
        MM_FAILPOINT("files.prepare.orphan");
        free(o.keys[i]);
    }
    free(o.keys);
    mm_manifest_free(&o.manifest);
    free(folder);
    return status;
}

static mm_status refuse(const mm_files_collection *c, mm_error *err)
{
    return mm_error_set(err, MM_TARGET, "%s holds a collection already; if_exists: append, skip or overwrite", c->final);
}

mm_status mm_files_prepare_remote(mm_sink *sink, mm_files_collection *c, const char *replaces, mm_error *err)
{
    mm_error absent = MM_ERROR_INIT;
    char now[96] = "";
    mm_status status = mm_files_remote_id(sink, c, now, &absent);
    if (status != MM_OK && status != MM_NOT_FOUND) {
        if (err)
            *err = absent;
        return status;
    }
    mm_if_exists rule = c->plan->if_exists;
    if (now[0] && rule == MM_EXISTS_FAIL)
        return refuse(c, err);
    if (now[0] && rule == MM_EXISTS_SKIP)
        return MM_END;
    if (now[0] && rule == MM_EXISTS_OVERWRITE && strcmp(now, replaces) != 0)
        return mm_error_set(err, MM_CHANGED, "%s/%s was %s and is now %s: it is not overwritten", c->final,
                            MM_MANIFEST_NAME, replaces[0] ? replaces : "not there", now);
    if (now[0] && rule == MM_EXISTS_OVERWRITE)
        memcpy(c->old, now, sizeof(now));
    c->appends = now[0] && rule == MM_EXISTS_APPEND;
    status = c->appends ? mm_files_check_manifest(sink, (uint32_t)(c - sink->collections), err) : MM_OK;
    if (status == MM_OK && strtoul(strrchr(sink->unique, '-') + 1, NULL, 10) > 1)
        status = remove_orphans(sink, c, now[0], err);
    if (status == MM_OK)
        status = remove_leftovers(sink, err);
    if (status == MM_OK)
        status = mm_folder_make(c->root, err);
    MM_FAILPOINT("files.prepare.spooled");
    return status;
}

mm_status mm_files_spool_done(mm_sink *sink, const mm_files_collection *c, mm_error *err)
{
    mm_status status = mm_folder_remove(c->root, err);
    char *base = strdup(sink->spool);
    if (base == NULL)
        return no_memory(err);
    /* the last collection takes the run's folder with it, and the job's */
    if (status == MM_OK && rmdir(base) == 0) {
        *strrchr(base, '/') = '\0';
        rmdir(base);
    }
    free(base);
    return status;
}
