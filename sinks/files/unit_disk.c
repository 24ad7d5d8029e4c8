/* Where the files of a unit lie: names, folders, opening, syncing, renaming, and what is left of them after a crash.
 * Knows nothing of what stands in them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/files/internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a unit of files");
}

/* --- names --- */

static char *parent_path(const mm_sink *sink, const mm_files_unit *unit)
{
    const mm_files_collection *c = &sink->collections[unit->collection];
    return mm_format("%s/%s", c->root, c->partitions[unit->partition].folder);
}

/* The folder of a unit that will be one file is hidden, and goes when the file has its name beside it. */
char *mm_files_unit_folder(const mm_sink *sink, const mm_files_unit *unit)
{
    const mm_files_collection *c = &sink->collections[unit->collection];
    return mm_format("%s/%s/%s%05" PRIu32, c->root, c->partitions[unit->partition].folder,
                     unit->format->file_per_field ? "" : ".", unit->number);
}

char *mm_files_unit_name(const mm_sink *sink, const mm_files_unit *unit, size_t file)
{
    const mm_files_collection *c = &sink->collections[unit->collection];
    const char *folder = c->partitions[unit->partition].folder, *extension = unit->format->extension;
    if (unit->format->file_per_field)
        return mm_format("%s/%05" PRIu32 "%s/%s%s", folder, unit->number, sink->unique, c->names[file], extension);
    return mm_format("%s/%05" PRIu32 "%s%s", folder, unit->number, sink->unique, extension);
}

char *mm_files_unit_key(const mm_sink *sink, const mm_files_unit *unit, size_t file)
{
    char *name = mm_files_unit_name(sink, unit, file);
    char *key = name ? mm_format("%s/%s", sink->collections[unit->collection].prefix, name) : NULL;
    free(name);
    return key;
}

char *mm_files_unit_location(const mm_sink *sink, const mm_files_unit *unit, size_t file)
{
    if (unit->files[file].etag[0]) {
        char *key = mm_files_unit_key(sink, unit, file);
        char *url = key ? mm_storage_url(sink->storage, key) : NULL;
        free(key);
        return url;
    }
    char *part = mm_files_unit_path(sink, unit, file, true);
    if (part == NULL || access(part, F_OK) == 0 || sink->remote)
        return part;
    free(part);
    return mm_files_unit_path(sink, unit, file, false);
}

char *mm_files_unit_path(const mm_sink *sink, const mm_files_unit *unit, size_t file, bool part)
{
    const mm_files_collection *c = &sink->collections[unit->collection];
    char *path = NULL, *inner = part ? mm_files_unit_folder(sink, unit) : mm_files_unit_name(sink, unit, file);
    if (inner && part)
        path = mm_format("%s/%s%s%s", inner, c->names[file], unit->format->extension, sink->suffix);
    else if (inner)
        path = mm_format("%s/%s", c->root, inner);
    free(inner);
    return path;
}

mm_status mm_files_unit_open_file(const mm_sink *sink, const mm_files_unit *unit, size_t file, int flags, bool any,
                                  int *out, mm_error *err)
{
    int fd = -1;
    char *path = NULL;
    for (int part = 1; part >= (any ? 0 : 1) && fd < 0; part--) {
        free(path);
        path = mm_files_unit_path(sink, unit, file, part);
        if (path == NULL)
            return no_memory(err);
        fd = open(path, flags | O_CLOEXEC, 0600);
        if (fd < 0 && errno != ENOENT)
            break;
    }
    mm_status status = MM_OK;
    if (fd >= 0)
        *out = fd;
    else if (errno == ENOENT)
        status = mm_error_set(err, MM_NOT_FOUND, "%s is gone", path);
    else
        status = mm_error_errno(err, MM_IO, "%s", path);
    free(path);
    return status;
}

/* --- folders --- */

/* The name that a unit of one file will have: taken, when another job gave it to a file of its own. */
static mm_status check_name(const mm_sink *sink, const mm_files_unit *unit, const char *folder, bool *taken,
                            mm_error *err)
{
    char *path = mm_files_unit_path(sink, unit, 0, false);
    if (path == NULL)
        return no_memory(err);
    mm_status status = MM_OK;
    *taken = access(path, F_OK) == 0;
    if (*taken)
        status = mm_error_set(err, MM_TARGET, "%s is there already", path);
    if (*taken && rmdir(folder) != 0)
        status = mm_error_errno(err, MM_IO, "removing %s", folder);
    free(path);
    return status;
}

mm_status mm_files_unit_make_folder(mm_sink *sink, mm_files_unit *unit, bool *taken, mm_error *err)
{
    mm_status status = MM_OK;
    char *parent = parent_path(sink, unit), *folder = mm_files_unit_folder(sink, unit);
    if (parent == NULL || folder == NULL) {
        status = no_memory(err);
        goto out;
    }
    if (mkdir(parent, 0700) != 0 && errno != EEXIST) {
        status = mm_error_errno(err, MM_IO, "mkdir %s", parent);
        goto out;
    }
    /* whoever makes the folder has the number, also among several jobs */
    if (mkdir(folder, 0700) != 0) {
        *taken = errno == EEXIST;
        status = mm_error_errno(err, *taken ? MM_TARGET : MM_IO, "mkdir %s", folder);
    } else if (!unit->format->file_per_field) {
        status = check_name(sink, unit, folder, taken, err);
    }
out:
    free(folder);
    free(parent);
    return status;
}

mm_status mm_files_unit_sync_folders(const mm_sink *sink, const mm_files_unit *unit, mm_error *err)
{
    char *folder = mm_files_unit_folder(sink, unit), *parent = parent_path(sink, unit);
    mm_status status = MM_OK;
    if (folder == NULL || parent == NULL)
        status = no_memory(err);
    if (status == MM_OK)
        status = mm_folder_sync(folder, err);
    if (status == MM_OK)
        status = mm_folder_sync(parent, err);
    if (status == MM_OK)
        status = mm_folder_sync(sink->collections[unit->collection].root, err);
    free(parent);
    free(folder);
    return status;
}

/* --- giving the files their names --- */

static mm_status rename_file(mm_sink *sink, const mm_files_unit *unit, size_t file, mm_error *err)
{
    mm_status status = MM_OK;
    char *from = mm_files_unit_path(sink, unit, file, true), *to = mm_files_unit_path(sink, unit, file, false);
    if (from == NULL || to == NULL)
        status = no_memory(err);
    else if (rename(from, to) != 0 && (errno != ENOENT || access(to, F_OK) != 0))
        status = mm_error_errno(err, MM_IO, "renaming %s", from);
    free(from);
    free(to);
    MM_FAILPOINT("files.seal.renamed");
    return status;
}

mm_status mm_files_unit_rename(mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    mm_status status = MM_OK;
    char *folder = unit->format->file_per_field ? mm_files_unit_folder(sink, unit) : parent_path(sink, unit);
    char *hidden = unit->format->file_per_field ? NULL : mm_files_unit_folder(sink, unit);
    if (folder == NULL || (hidden == NULL && !unit->format->file_per_field))
        status = no_memory(err);
    for (size_t i = 0; status == MM_OK && i < unit->file_count; i++)
        status = rename_file(sink, unit, i, err);
    if (status == MM_OK && hidden && rmdir(hidden) != 0 && errno != ENOENT)
        status = mm_error_errno(err, MM_IO, "removing %s", hidden);
    /* also when nothing was left to rename: the process that did it may have died before its sync */
    if (status == MM_OK)
        status = mm_folder_sync(folder, err);
    free(hidden);
    free(folder);
    return status;
}

/* --- after a crash --- */

static mm_status remove_unit(mm_sink *sink, const mm_files_unit *unit, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < unit->file_count; i++) {
        char *path = mm_files_unit_path(sink, unit, i, true);
        if (path == NULL)
            return no_memory(err);
        if (unlink(path) != 0 && errno != ENOENT)
            status = mm_error_errno(err, MM_IO, "removing %s", path);
        free(path);
    }
    char *folder = mm_files_unit_folder(sink, unit);
    if (folder == NULL)
        return no_memory(err);
    /* not empty: it is not the folder that this record announced */
    if (status == MM_OK && rmdir(folder) != 0 && errno != ENOENT && errno != ENOTEMPTY)
        status = mm_error_errno(err, MM_IO, "removing %s", folder);
    free(folder);
    return status;
}

mm_status mm_files_unit_remove_local(const mm_sink *sink, const mm_files_unit *unit, size_t file, mm_error *err)
{
    mm_status status = MM_OK;
    char *path = mm_files_unit_path(sink, unit, file, true), *folder = mm_files_unit_folder(sink, unit);
    if (path == NULL || folder == NULL)
        status = no_memory(err);
    else if (unlink(path) != 0 && errno != ENOENT)
        status = mm_error_errno(err, MM_IO, "removing %s", path);
    if (status == MM_OK)
        rmdir(folder); /* with the last of its files */
    free(folder);
    free(path);
    return status;
}

static mm_status settle_file(mm_sink *sink, const mm_files_unit *unit, size_t file, mm_error *err)
{
    if (unit->files[file].etag[0])
        return mm_files_unit_remove_local(sink, unit, file, err);
    uint64_t wanted = unit->files[file].size;
    bool sealed = unit->state == MM_FILES_SEALED;
    struct stat st;
    int fd = -1;
    char *path = mm_files_unit_path(sink, unit, file, sink->remote);
    if (path == NULL)
        return no_memory(err);
    mm_status status = mm_files_unit_open_file(sink, unit, file, sealed ? O_RDONLY : O_RDWR, sealed, &fd, err);
    if (status == MM_NOT_FOUND)
        status = mm_error_set(err, MM_CHANGED, "%s is gone", path);
    else if (status == MM_OK && fstat(fd, &st) != 0)
        status = mm_error_errno(err, MM_IO, "%s", path);
    else if (status == MM_OK && ((uint64_t)st.st_size < wanted || (sealed && (uint64_t)st.st_size != wanted)))
        status = mm_error_set(err, MM_CHANGED, "%s has %jd bytes where %" PRIu64 " were recorded", path,
                              (intmax_t)st.st_size, wanted);
    else if (status == MM_OK && (uint64_t)st.st_size > wanted && !MM_SEEDED("no_settle") &&
             ftruncate(fd, (off_t)wanted) != 0)
        status = mm_error_errno(err, MM_IO, "truncating %s", path);
    MM_FAILPOINT("files.settle.file");
    if (fd >= 0)
        close(fd);
    free(path);
    return status;
}

mm_status mm_files_unit_settle(mm_sink *sink, mm_files_unit *unit, bool *gone, mm_error *err)
{
    *gone = unit->state == MM_FILES_OPEN && unit->rows == 0;
    if (*gone)
        return remove_unit(sink, unit, err);
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && !unit->released && i < unit->file_count; i++)
        status = settle_file(sink, unit, i, err);
    return status;
}
