/* Names and folders of the target `files`: safe names, identity of a folder, making, syncing and
 * removing. Knows nothing of units. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "sinks/files/internal.h"

static bool is_safe(unsigned char byte, bool first)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || byte == '-' || (byte == '.' && !first);
}

char *mm_files_quote(const char *name)
{
    /* a folder of this name would stand where the manifest goes */
    bool taken = strcmp(name, "manifest.json") == 0;
    mm_buffer out = MM_BUFFER_INIT;
    for (size_t i = 0; name[i] != '\0'; i++) {
        if (is_safe((unsigned char)name[i], i == 0) && !(taken && i == 0))
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

mm_status mm_files_id(const char *path, char out[96], mm_error *err)
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
        snprintf(out, 96, "inode %" PRIu64 " born %" PRId64 ".%09u", (uint64_t)st.stx_ino,
                 (int64_t)st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
    else
        snprintf(out, 96, "inode %" PRIu64, (uint64_t)st.stx_ino);
    return MM_OK;
}

mm_status mm_files_sync_folder(const char *path, mm_error *err)
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
    mm_status status = mm_files_sync_folder(slash ? parent : ".", err);
    free(parent);
    return status;
}

/* A folder that may not be written is the operator's business, not a fault of the disk. */
static mm_status refused_or_io(void)
{
    return errno == EACCES || errno == EPERM || errno == EROFS ? MM_AUTH : MM_IO;
}

static mm_status make_folder(const char *path, mm_error *err)
{
    if (mkdir(path, 0700) == 0)
        return sync_parent(path, err);
    if (errno != EEXIST)
        return mm_error_errno(err, refused_or_io(), "mkdir %s", path);
    struct stat st;
    if (stat(path, &st) != 0)
        return mm_error_errno(err, MM_IO, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return mm_error_set(err, MM_TARGET, "%s is not a folder", path);
    return MM_OK;
}

mm_status mm_files_make_folders(const char *path, mm_error *err)
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
            status = mm_error_set(err, MM_TARGET, "%s: folders too deep to be a collection", path);
        } else {
            status = empty_folder(inner, path, depth - 1, err);
        }
        if (status == MM_OK && unlinkat(fd, name, AT_REMOVEDIR) != 0)
            status = mm_error_errno(err, MM_IO, "removing %s/%s", path, name);
    }
    closedir(folder);
    return status;
}

mm_status mm_files_remove_tree(const char *path, mm_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? MM_OK : mm_error_errno(err, MM_IO, "%s", path);
    mm_status status = empty_folder(fd, path, 8, err);
    if (status == MM_OK && rmdir(path) != 0)
        status = mm_error_errno(err, MM_IO, "removing %s", path);
    return status;
}

mm_status mm_files_look(const char *path, mm_files_found *out, mm_error *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL && errno == ENOENT) {
        *out = MM_FILES_ABSENT;
        return MM_OK;
    }
    if (folder == NULL && errno == ENOTDIR)
        return mm_error_set(err, MM_TARGET, "%s is not a folder", path);
    if (folder == NULL)
        return mm_error_errno(err, MM_IO, "%s", path);
    mm_files_found found = MM_FILES_EMPTY;
    struct dirent *entry;
    while (found != MM_FILES_MANIFEST && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, "manifest.json") == 0)
            found = MM_FILES_MANIFEST;
        else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            found = MM_FILES_OTHER;
    }
    closedir(folder);
    *out = found;
    return MM_OK;
}

mm_status mm_files_read_text(const char *path, mm_buffer *text, mm_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return mm_error_errno(err, errno == ENOENT ? MM_NOT_FOUND : MM_IO, "%s", path);
    mm_status status = MM_OK;
    char chunk[16384];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof(chunk))) > 0)
        mm_buffer_append(text, chunk, (size_t)got);
    if (got < 0)
        status = mm_error_errno(err, MM_IO, "reading %s", path);
    mm_buffer_append(text, "", 1);
    text->size -= text->failed ? 0 : 1; /* the NUL is there but not part of the text */
    if (status == MM_OK && text->failed)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory reading %s", path);
    close(fd);
    return status;
}
