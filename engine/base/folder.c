/* Folders on the local disk. */
#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
