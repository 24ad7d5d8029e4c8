/* Folders on the local disk. */
#include "base/folder.h"

#include <dirent.h>
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

mm_status mm_folder_sync(const char *path, mm_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return mm_error_errno(err, MM_IO, "%s", path);
    mm_status status = MM_OK;
    if (fsync(fd) != 0)
        status = mm_error_errno(err, MM_IO, "fsync %s", path);
    close(fd);
    return status;
}

static mm_status sync_parent(const char *path, mm_error *err)
{
    char *parent = strdup(path);
    if (parent == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    char *slash = strrchr(parent, '/');
    if (slash == parent)
        slash[1] = '\0';
    else if (slash)
        *slash = '\0';
    mm_status status = mm_folder_sync(slash ? parent : ".", err);
    free(parent);
    return status;
}

static mm_status make_folder(const char *path, mm_error *err)
{
    if (mkdir(path, 0700) == 0)
        return sync_parent(path, err);
    if (errno != EEXIST)
        return mm_error_errno(err, MM_IO, "mkdir %s", path);
    struct stat st;
    if (stat(path, &st) != 0)
        return mm_error_errno(err, MM_IO, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return mm_error_set(err, MM_TARGET, "%s is not a folder", path);
    return MM_OK;
}

mm_status mm_folder_make(const char *path, mm_error *err)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = MM_OK;
    for (char *at = copy + 1; status == MM_OK && *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        status = make_folder(copy, err);
        *at = '/';
    }
    if (status == MM_OK)
        status = make_folder(copy, err);
    free(copy);
    return status;
}

/* Removes what is in the folder `fd`, which it closes. */
static mm_status empty_folder(int fd, const char *path, unsigned depth, mm_error *err)
{
    mm_status status = MM_OK;
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        status = mm_error_errno(err, MM_IO, "%s", path);
        close(fd);
        return status;
    }
    struct dirent *entry;
    while (status == MM_OK && (entry = readdir(folder)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (unlinkat(fd, name, 0) == 0)
            continue;
        if (errno != EISDIR && errno != EPERM) {
            status = mm_error_errno(err, MM_IO, "removing %s/%s", path, name);
            break;
        }
        int inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner < 0)
            status = mm_error_errno(err, MM_IO, "%s/%s", path, name);
        else if (depth == 0) {
            close(inner);
            status = mm_error_set(err, MM_TARGET, "%s: folders too deep to be this program's", path);
        } else {
            status = empty_folder(inner, path, depth - 1, err);
        }
        if (status == MM_OK && unlinkat(fd, name, AT_REMOVEDIR) != 0)
            status = mm_error_errno(err, MM_IO, "removing %s/%s", path, name);
    }
    closedir(folder);
    return status;
}

mm_status mm_folder_remove(const char *path, mm_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? MM_OK : mm_error_errno(err, MM_IO, "%s", path);
    mm_status status = empty_folder(fd, path, 8, err);
    if (status == MM_OK && rmdir(path) != 0)
        status = mm_error_errno(err, MM_IO, "removing %s", path);
    return status;
}

mm_status mm_folder_remove_below(const char *path, const char *prefix, unsigned long number, mm_error *err)
{
    size_t length = strlen(prefix);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return mm_error_errno(err, MM_IO, "%s", path);
    mm_status status = MM_OK;
    struct dirent *entry;
    while (status == MM_OK && (entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, prefix, length) != 0 || strtoul(entry->d_name + length, NULL, 10) >= number)
            continue;
        char *found = mm_format("%s/%s", path, entry->d_name);
        MM_FAILPOINT("folder.leftover");
        status = found ? mm_folder_remove(found, err) : mm_error_set(err, MM_NO_MEMORY, "out of memory for a path");
        free(found);
    }
    closedir(folder);
    return status;
}

/* --- names and identities --- */

static bool is_safe(unsigned char byte, bool first)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || byte == '-' || (byte == '.' && !first);
}

char *mm_folder_quote(const char *name)
{
    mm_buffer out = MM_BUFFER_INIT;
    for (size_t i = 0; name[i] != '\0'; i++) {
        if (is_safe((unsigned char)name[i], i == 0))
            mm_buffer_append(&out, &name[i], 1);
        else
            mm_buffer_printf(&out, "%%%02X", (unsigned)(unsigned char)name[i]);
    }
    mm_buffer_append(&out, "", 1);
    if (out.failed) {
        mm_buffer_free(&out);
        return NULL;
    }
    return out.data;
}

mm_status mm_folder_id(const char *path, char out[MM_FOLDER_ID], mm_error *err)
{
    struct statx st;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_INO | STATX_BTIME, &st) != 0) {
        if (errno == ENOENT)
            return mm_error_set(err, MM_NOT_FOUND, "%s is not there", path);
        return mm_error_errno(err, MM_IO, "%s", path);
    }
    if (!S_ISDIR(st.stx_mode))
        return mm_error_set(err, MM_TARGET, "%s is not a folder", path);
    /* an inode number alone can be given again at once; not every file system knows the birth */
    if (st.stx_mask & STATX_BTIME)
        snprintf(out, MM_FOLDER_ID, "inode %" PRIu64 " born %" PRId64 ".%09u", (uint64_t)st.stx_ino,
                 (int64_t)st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
    else
        snprintf(out, MM_FOLDER_ID, "inode %" PRIu64, (uint64_t)st.stx_ino);
    return MM_OK;
}

bool mm_folder_is(const char *path, const char *id)
{
    char found[MM_FOLDER_ID];
    return mm_folder_id(path, found, NULL) == MM_OK && strcmp(found, id) == 0;
}

mm_status mm_folder_exchange(const char *beside, const char *final, const char *aside, mm_error *err)
{
    if (MM_FAILPOINT_FAILS("folder.exchange"))
        errno = EINVAL; /* a file system that cannot exchange */
    else if (renameat2(AT_FDCWD, beside, AT_FDCWD, final, RENAME_EXCHANGE) == 0)
        return MM_OK;
    if (errno != EINVAL && errno != ENOSYS && errno != ENOENT)
        return mm_error_errno(err, MM_IO, "exchanging %s with %s", beside, final);
    if (rename(final, aside) != 0 && errno != ENOENT)
        return mm_error_errno(err, MM_IO, "renaming %s", final);
    MM_FAILPOINT("folder.exchange.aside");
    if (rename(beside, final) != 0)
        return mm_error_errno(err, MM_IO, "renaming %s", beside);
    return MM_OK;
}
