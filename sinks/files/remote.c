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
