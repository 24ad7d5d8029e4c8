/* The local file system as a storage: keys are absolute paths, folders are made as they are needed. What appears
 * under its name is whole and on the disk. Knows no other storage. */
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
#include "storage/storage_internal.h"

#define DEPTH_MAX 64
#define COPY_CHUNK ((size_t)1 << 20)
#define COPY_STEP ((size_t)16 << 20) /* between looks at the stop wish */

/* A path that may not be used is the operator's business, not a fault of the disk. */
static mm_status classify(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return MM_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return MM_AUTH;
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EINVAL:
        return MM_TARGET;
    default:
        return MM_IO;
    }
}

static void describe(const struct stat *st, mm_object *out)
{
    *out = (mm_object){.size = (uint64_t)st->st_size,
                       .modified_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000};
    snprintf(out->etag, sizeof(out->etag), "%" PRIu64 "-%" PRIu64 "-%" PRId64 ".%09ld", (uint64_t)st->st_ino,
             (uint64_t)st->st_size, (int64_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

mm_status mm_local_stat(const char *path, mm_object *out, mm_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return mm_error_errno(err, classify(), "%s", path);
    if (!S_ISREG(st.st_mode))
        return mm_error_set(err, MM_TARGET, "%s is not a regular file", path);
    describe(&st, out);
    return MM_OK;
}

/* --- listing ------------------------------------------------------------------------------------------------ */

typedef struct names {
    char **items; /* folders end with a slash, so that whole paths come in the order of their bytes */
    size_t count, capacity;
} names;

static mm_status add_name(names *list, const char *name, bool folder, mm_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        char **items = reallocarray(list->items, capacity, sizeof(*items));
        if (items == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory");
        list->items = items;
        list->capacity = capacity;
    }
    char *copy = mm_format("%s%s", name, folder ? "/" : "");
    if (copy == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    list->items[list->count++] = copy;
    return MM_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Regular files (also behind a symbolic link) and folders (not behind one: it may lead round in a circle). */
static mm_status read_folder(const char *path, names *list, mm_error *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return mm_error_errno(err, classify(), "%s", path);
    mm_status status = MM_OK;
    struct dirent *entry;
    while (status == MM_OK && (errno = 0, entry = readdir(folder)) != NULL) {
        const char *name = entry->d_name;
        struct stat st, behind;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (fstatat(dirfd(folder), name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno != ENOENT)
                status = mm_error_errno(err, classify(), "%s/%s", path, name);
            continue;
        }
        bool link = S_ISLNK(st.st_mode);
        if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode) ||
            (link && fstatat(dirfd(folder), name, &behind, 0) == 0 && S_ISREG(behind.st_mode)))
            status = add_name(list, name, S_ISDIR(st.st_mode), err);
    }
    if (status == MM_OK && errno != 0)
        status = mm_error_errno(err, MM_IO, "%s", path);
    closedir(folder);
    return status;
}

static mm_status list_folder(const char *path, unsigned depth, mm_storage_list_fn fn, void *context, mm_error *err)
{
    names list = {0};
    if (depth == DEPTH_MAX)
        return mm_error_set(err, MM_TARGET, "%s: folders more than %d deep", path, DEPTH_MAX);
    mm_status status = read_folder(path, &list, err);
    if (status == MM_OK && list.count > 1)
        qsort(list.items, list.count, sizeof(*list.items), compare_names);
    for (size_t i = 0; status == MM_OK && i < list.count; i++) {
        size_t base = strlen(path), length = strlen(list.items[i]);
        char *inner = mm_format("%s%s%s", path, base > 0 && path[base - 1] == '/' ? "" : "/", list.items[i]);
        if (inner == NULL) {
            status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        } else if (list.items[i][length - 1] == '/') {
            status = list_folder(inner, depth + 1, fn, context, err);
        } else {
            mm_object object;
            status = mm_local_stat(inner, &object, err);
            if (status == MM_OK)
                status = fn(context, inner, &object, err);
            else if (status == MM_NOT_FOUND)
                status = MM_OK; /* removed meanwhile */
        }
        free(inner);
    }
    for (size_t i = 0; i < list.count; i++)
        free(list.items[i]);
    free(list.items);
    return status;
}

mm_status mm_local_list(const char *folder, mm_storage_list_fn fn, void *context, mm_error *err)
{
    mm_status status = list_folder(folder, 0, fn, context, err);
    return status == MM_NOT_FOUND ? MM_OK : status; /* a storage without such objects: an empty list */
}

/* --- reading ------------------------------------------------------------------------------------------------ */

mm_status mm_local_read(const char *path, const char *etag, uint64_t offset, void *out, size_t size, mm_error *err)
{
    struct stat st;
    mm_object now;
    mm_status status = MM_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        status = mm_error_errno(err, classify(), "%s", path);
        goto out;
    }
    describe(&st, &now);
    if (etag && strcmp(etag, now.etag) != 0) {
        status = mm_error_set(err, MM_CHANGED, "%s changed: it was %s, it is %s", path, etag, now.etag);
        goto out;
    }
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (char *)out + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = mm_error_errno(err, classify(), "%s: reading at %" PRIu64, path, offset + done);
            goto out;
        }
        if (got == 0) {
            status = mm_error_set(err, MM_DATA, "%s ends at byte %" PRIu64 ": %zu bytes were to be read at %" PRIu64,
                                  path, (uint64_t)st.st_size, size, offset);
            goto out;
        }
        done += (size_t)got;
    }
out:
    if (fd >= 0)
        close(fd);
    return status;
}

/* --- writing ------------------------------------------------------------------------------------------------ */

static mm_status sync_folder_of(const char *path, mm_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (folder == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = MM_OK;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        status = mm_error_errno(err, classify(), "%s", folder);
    else if (fsync(fd) != 0)
        status = mm_error_errno(err, MM_IO, "fsync %s", folder);
    if (fd >= 0)
        close(fd);
    free(folder);
    return status;
}

/* Folders above `path` that are missing, each durable. */
static mm_status make_folders_of(const char *path, mm_error *err)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = MM_OK;
    for (char *at = strchr(copy + 1, '/'); status == MM_OK && at; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(copy, 0700) == 0)
            status = sync_folder_of(copy, err);
        else if (errno != EEXIST)
            status = mm_error_errno(err, classify(), "making the folder %s", copy);
        *at = '/';
    }
    free(copy);
    return status;
}

/* The name under which a file is written until it is whole. Always the same, so that a repetition after a crash
 * replaces it and nothing heaps up. */
static char *part_name(const char *path)
{
    return mm_format("%s.mmresume-part", path);
}

static mm_status write_all(int fd, const char *name, const char *bytes, size_t size, mm_error *err)
{
    while (size > 0) {
        ssize_t put = write(fd, bytes, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return mm_error_errno(err, MM_IO, "writing %s", name);
        bytes += put;
        size -= (size_t)put;
    }
    return MM_OK;
}

/* Opens the temporary file anew, 0600. */
static mm_status open_part(const char *part, int *fd, mm_error *err)
{
    if (unlink(part) != 0 && errno != ENOENT)
        return mm_error_errno(err, classify(), "%s", part);
    *fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return *fd >= 0 ? MM_OK : mm_error_errno(err, classify(), "%s", part);
}

/* From the temporary name to its own, durable. Closes fd. */
static mm_status publish(int fd, const char *part, const char *path, bool fresh, mm_error *err)
{
    mm_status status = MM_OK;
    if (fsync(fd) != 0)
        status = mm_error_errno(err, MM_IO, "fsync %s", part);
    if (close(fd) != 0 && status == MM_OK)
        status = mm_error_errno(err, MM_IO, "closing %s", part);
    if (status != MM_OK)
        return status;
    MM_FAILPOINT("local.publish.before");
    if (renameat2(AT_FDCWD, part, AT_FDCWD, path, fresh ? RENAME_NOREPLACE : 0) != 0) {
        if (fresh && errno == EEXIST)
            return mm_error_set(err, MM_TARGET, "%s exists already", path);
        return mm_error_errno(err, classify(), "renaming %s to %s", part, path);
    }
    MM_FAILPOINT("local.publish.renamed");
    return sync_folder_of(path, err);
}

mm_status mm_local_put(const char *path, const void *bytes, size_t size, bool fresh, mm_error *err)
{
    int fd = -1;
    struct stat st;
    char *part = part_name(path);
    if (part == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = MM_OK;
    if (fresh && lstat(path, &st) == 0)
        status = mm_error_set(err, MM_TARGET, "%s exists already", path);
    if (status == MM_OK)
        status = make_folders_of(path, err);
    if (status == MM_OK)
        status = open_part(part, &fd, err);
    if (status == MM_OK)
        status = write_all(fd, part, bytes, size, err);
    if (status == MM_OK)
        status = publish(fd, part, path, fresh, err);
    else if (fd >= 0)
        close(fd);
    if (status != MM_OK && fd >= 0)
        unlink(part);
    free(part);
    return status;
}

mm_status mm_local_remove(const char *path, mm_error *err)
{
    if (unlink(path) == 0)
        return sync_folder_of(path, err);
    if (errno == ENOENT || errno == ENOTDIR)
        return MM_OK;
    return mm_error_errno(err, classify(), "removing %s", path);
}

/* At most `size` bytes from one file's position to the other's; 0 at its end, -1 with errno. */
static ssize_t copy_some(int in, int out, size_t size, char *chunk)
{
    ssize_t got = copy_file_range(in, NULL, out, NULL, size, 0);
    if (got >= 0 || (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS))
        return got;
    got = read(in, chunk, size < COPY_CHUNK ? size : COPY_CHUNK); /* the kernel cannot between these two */
    for (ssize_t done = 0; done < got;) {
        ssize_t put = write(out, chunk + done, (size_t)(got - done));
        if (put < 0 && errno != EINTR)
            return -1;
        done += put > 0 ? put : 0;
    }
    return got;
}

static mm_status copy_bytes(int in, int out, uint64_t size, const char *from, const mm_upload *upload, mm_error *err)
{
    char *chunk = malloc(COPY_CHUNK);
    mm_status status = chunk ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (uint64_t done = 0; status == MM_OK && done < size;) {
        if (upload && upload->stopping && upload->stopping(upload->context)) {
            status = mm_error_set(err, MM_INTERRUPTED, "copying %s: stopped", from);
            break;
        }
        uint64_t left = size - done;
        ssize_t got = copy_some(in, out, left < COPY_STEP ? (size_t)left : COPY_STEP, chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = mm_error_errno(err, MM_IO, "copying %s at byte %" PRIu64, from, done);
        else if (got == 0)
            status = mm_error_set(err, MM_DATA, "%s ended at byte %" PRIu64 " of %" PRIu64, from, done, size);
        done += got > 0 ? (uint64_t)got : 0;
    }
    free(chunk);
    return status;
}

/* Copies `from` to the temporary name of `to`, and gives it its name. */
static mm_status copy_file(const char *from, const char *to, const mm_upload *upload, mm_error *err)
{
    int in = -1, out = -1;
    struct stat st = {0};
    char *part = part_name(to);
    mm_status status = part ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (status == MM_OK && ((in = open(from, O_RDONLY | O_CLOEXEC)) < 0 || fstat(in, &st) != 0))
        status = mm_error_errno(err, classify(), "%s", from);
    if (status == MM_OK)
        status = make_folders_of(to, err);
    if (status == MM_OK)
        status = open_part(part, &out, err);
    if (status == MM_OK)
        status = copy_bytes(in, out, (uint64_t)st.st_size, from, upload, err);
    if (status == MM_OK)
        status = publish(out, part, to, false, err);
    else if (out >= 0)
        close(out);
    if (status != MM_OK && out >= 0)
        unlink(part);
    if (in >= 0)
        close(in);
    free(part);
    return status;
}

mm_status mm_local_move(const char *from, const char *to, mm_error *err)
{
    struct stat st;
    if (stat(from, &st) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        if (stat(to, &st) == 0)
            return sync_folder_of(to, err); /* a former try came this far */
        return mm_error_set(err, MM_NOT_FOUND, "%s is not there, nor is %s", from, to);
    }
    mm_status status = make_folders_of(to, err);
    if (status != MM_OK)
        return status;
    if (rename(from, to) != 0) {
        if (errno != EXDEV)
            return mm_error_errno(err, classify(), "renaming %s to %s", from, to);
        status = copy_file(from, to, NULL, err);
        return status == MM_OK ? mm_local_remove(from, err) : status;
    }
    MM_FAILPOINT("local.move.renamed");
    status = sync_folder_of(to, err);
    return status == MM_OK ? sync_folder_of(from, err) : status;
}

mm_status mm_local_upload(const mm_upload *upload, mm_object *out, mm_error *err)
{
    mm_status status = copy_file(upload->path, upload->key, upload, err);
    return status == MM_OK ? mm_local_stat(upload->key, out, err) : status;
}

mm_status mm_local_upload_abort(const char *path, mm_error *err)
{
    char *part = part_name(path);
    if (part == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = mm_local_remove(part, err);
    free(part);
    return status;
}
