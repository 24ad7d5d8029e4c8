/* Inputs: local files, objects of a storage, and bytes in memory. A local file is mapped where that works, for
 * parsers that want pointers; `read` goes through pread all the same, since a file that shrinks under a mapping kills
 * the process and one that shrinks under pread is an error with a place. */
#include "storage/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

typedef struct local_input {
    mm_input input;
    int fd;
    void *map; /* NULL: not mapped */
} local_input;

typedef struct remote_input {
    mm_input input;
    mm_storage *storage;
    bool borrowed; /* the storage is another input's */
    char *key;
    char *etag; /* as it was opened; NULL: the service gives none */
} remote_input;

typedef struct memory_input {
    mm_input input;
    const uint8_t *bytes;
} memory_input;

static mm_status no_memory(const char *name, mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", name);
}

/* --- local files ------------------------------------------------------------------------------------------- */

static mm_status local_read(const mm_input *input, uint64_t offset, void *out, size_t size, mm_error *err)
{
    const local_input *file = input->context;
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(file->fd, (char *)out + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mm_error_errno(err, MM_UNAVAILABLE, "%s: byte %" PRIu64 ": read", input->name, offset + done);
        if (got == 0)
            return mm_error_set(err, MM_CHANGED,
                                "%s: byte %" PRIu64 ": the file ends here and had %" PRIu64 " bytes when it was opened",
                                input->name, offset + done, input->size);
        done += (size_t)got;
    }
    return MM_OK;
}

static mm_status local_fingerprint(const mm_input *input, mm_buffer *out, mm_error *err)
{
    const local_input *file = input->context;
    struct stat info, named;
    if (fstat(file->fd, &info) != 0)
        return mm_error_errno(err, MM_UNAVAILABLE, "%s: stat", input->name);
    if (stat(input->name, &named) == 0 && (named.st_dev != info.st_dev || named.st_ino != info.st_ino))
        return mm_error_set(err, MM_CHANGED, "%s: another file has taken its place while it was read", input->name);
    size_t head = (uint64_t)info.st_size < MM_INPUT_HEAD ? (size_t)info.st_size : MM_INPUT_HEAD;
    uint8_t *bytes = malloc(MM_INPUT_HEAD);
    if (bytes == NULL)
        return no_memory(input->name, err);
    mm_status status = local_read(input, 0, bytes, head, err);
    if (status == MM_OK)
        mm_buffer_printf(out, "size=%" PRIu64 " mtime=%" PRId64 ".%09ld head=%016" PRIx64, (uint64_t)info.st_size,
                         (int64_t)info.st_mtim.tv_sec, info.st_mtim.tv_nsec, (uint64_t)XXH3_64bits(bytes, head));
    free(bytes);
    return status;
}

static void local_close(mm_input *input)
{
    local_input *file = input->context;
    if (file->map != NULL)
        munmap(file->map, (size_t)input->size);
    close(file->fd);
    free(input->name);
    free(file);
}

/* O_NONBLOCK: a named pipe must not hang the open; it has no meaning for regular files. */
static mm_status open_regular(const char *path, int *out, struct stat *info, mm_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        mm_status status = errno == ENOENT || errno == ENOTDIR ? MM_NOT_FOUND
                           : errno == EACCES || errno == EPERM ? MM_CONFIG
                                                               : MM_UNAVAILABLE;
        return mm_error_errno(err, status, "%s: open", path);
    }
    mm_status status = MM_OK;
    if (fstat(fd, info) != 0)
        status = mm_error_errno(err, MM_UNAVAILABLE, "%s: stat", path);
    else if (!S_ISREG(info->st_mode))
        status = mm_error_set(err, MM_CONFIG, "%s: not a regular file", path);
    if (status != MM_OK)
        close(fd);
    else
        *out = fd;
    return status;
}

static void *map_file(int fd, uint64_t size)
{
    if (size == 0 || size > SIZE_MAX)
        return NULL;
    void *map = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    return map != MAP_FAILED ? map : NULL;
}

static mm_status open_local(const char *path, mm_input **out, mm_error *err)
{
    struct stat info;
    int fd = -1;
    mm_status status = open_regular(path, &fd, &info, err);
    if (status != MM_OK)
        return status;
    local_input *file = calloc(1, sizeof(*file));
    char *name = strdup(path);
    if (file == NULL || name == NULL) {
        free(file);
        free(name);
        close(fd);
        return no_memory(path, err);
    }
    file->fd = fd;
    file->map = map_file(fd, (uint64_t)info.st_size);
    file->input = (mm_input){
        .name = name,
        .size = (uint64_t)info.st_size,
        .map = file->map,
        .read = local_read,
        .fingerprint = local_fingerprint,
        .close = local_close,
        .context = file,
    };
    snprintf(file->input.identity, sizeof(file->input.identity),
             "inode=%" PRIu64 " size=%" PRIu64 " mtime=%" PRId64 ".%09ld", (uint64_t)info.st_ino,
             (uint64_t)info.st_size, (int64_t)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    *out = &file->input;
    return MM_OK;
}

/* --- objects ----------------------------------------------------------------------------------------------- */

/* A service that gives no etag (a gateway over files that came another way) is taken by its time. */
static void identify(const mm_object *object, char out[MM_INPUT_IDENTITY])
{
    if (object->etag[0] != '\0')
        snprintf(out, MM_INPUT_IDENTITY, "size=%" PRIu64 " etag=%s", object->size, object->etag);
    else
        snprintf(out, MM_INPUT_IDENTITY, "size=%" PRIu64 " modified=%" PRId64, object->size, object->modified_ms);
}

/* MM_CHANGED when what has the name now is not what was opened. */
static mm_status compare(const remote_input *remote, mm_error *err)
{
    mm_object object;
    char now[MM_INPUT_IDENTITY];
    mm_status status = mm_storage_stat(remote->storage, remote->key, &object, err);
    if (status != MM_OK)
        return status;
    identify(&object, now);
    if (strcmp(now, remote->input.identity) == 0)
        return MM_OK;
    return mm_error_set(err, MM_CHANGED, "%s: another object has taken its place: %s when it was opened, %s now",
                        remote->input.name, remote->input.identity, now);
}

static mm_status remote_read(const mm_input *input, uint64_t offset, void *out, size_t size, mm_error *err)
{
    const remote_input *remote = input->context;
    mm_error both = MM_ERROR_INIT;
    mm_status status = mm_storage_read(remote->storage, remote->key, remote->etag, offset, out, size, err);
    if (status == MM_CHANGED && err != NULL && compare(remote, &both) == MM_CHANGED)
        *err = both;
    if (status != MM_OK && err != NULL)
        (void)(strstr(err->text, input->name) != NULL
                   ? mm_error_context(err, "reading from byte %" PRIu64, offset)
                   : mm_error_context(err, "%s: byte %" PRIu64, input->name, offset));
    return status;
}

static mm_status remote_fingerprint(const mm_input *input, mm_buffer *out, mm_error *err)
{
    const remote_input *remote = input->context;
    mm_status status = compare(remote, err);
    if (status == MM_OK)
        mm_buffer_printf(out, "%s", input->identity);
    return status;
}

static void remote_close(mm_input *input)
{
    remote_input *remote = input->context;
    if (!remote->borrowed)
        mm_storage_close(remote->storage);
    free(remote->key);
    free(remote->etag);
    free(input->name);
    free(remote);
}

/* Takes storage (unless it is borrowed) and key, also when it fails. */
static mm_status open_object(mm_storage *storage, bool borrowed, char *key, mm_input **out, mm_error *err)
{
    remote_input *remote = calloc(1, sizeof(*remote));
    char *name = mm_storage_url(storage, key);
    if (remote == NULL || name == NULL) {
        free(remote);
        free(name);
        free(key);
        if (!borrowed)
            mm_storage_close(storage);
        return no_memory("object", err);
    }
    *remote = (remote_input){.storage = storage, .borrowed = borrowed, .key = key};
    remote->input = (mm_input){.name = name,
                               .remote = true,
                               .read = remote_read,
                               .fingerprint = remote_fingerprint,
                               .close = remote_close,
                               .context = remote};
    mm_object object;
    mm_status status = mm_storage_stat(storage, key, &object, err);
    if (status == MM_OK && object.etag[0] != '\0' && (remote->etag = strdup(object.etag)) == NULL)
        status = no_memory(name, err);
    if (status != MM_OK) {
        remote_close(&remote->input);
        return status;
    }
    remote->input.size = object.size;
    identify(&object, remote->input.identity);
    *out = &remote->input;
    return MM_OK;
}

/* --- memory ------------------------------------------------------------------------------------------------ */

static mm_status memory_read(const mm_input *input, uint64_t offset, void *out, size_t size, mm_error *err)
{
    const memory_input *memory = input->context;
    (void)err;
    memcpy(out, memory->bytes + offset, size);
    return MM_OK;
}

static mm_status memory_fingerprint(const mm_input *input, mm_buffer *out, mm_error *err)
{
    (void)err;
    mm_buffer_printf(out, "%s", input->identity);
    return MM_OK;
}

static void memory_close(mm_input *input)
{
    free(input->name);
    free(input->context);
}

mm_status mm_input_memory(const char *name, const void *bytes, size_t size, mm_input **out, mm_error *err)
{
    memory_input *memory = calloc(1, sizeof(*memory));
    char *copy = strdup(name);
    if (memory == NULL || copy == NULL) {
        free(memory);
        free(copy);
        return no_memory(name, err);
    }
    memory->bytes = bytes;
    memory->input = (mm_input){.name = copy,
                               .size = size,
                               .map = bytes,
                               .read = memory_read,
                               .fingerprint = memory_fingerprint,
                               .close = memory_close,
                               .context = memory};
    snprintf(memory->input.identity, sizeof(memory->input.identity), "size=%zu", size);
    *out = &memory->input;
    return MM_OK;
}

/* --- any input --------------------------------------------------------------------------------------------- */

mm_status mm_input_open(const char *location, const mm_options *options, mm_input **out, mm_error *err)
{
    static const char file_scheme[] = "file://";
    mm_storage *storage;
    char *key;
    if (strncmp(location, file_scheme, strlen(file_scheme)) == 0)
        return open_local(location + strlen(file_scheme), out, err);
    if (strstr(location, "://") == NULL)
        return open_local(location, out, err);
    mm_status status = mm_storage_open(location, options, &storage, &key, err);
    return status == MM_OK ? open_object(storage, false, key, out, err) : status;
}

mm_status mm_input_open_beside(const mm_input *input, const char *name, mm_input **out, mm_error *err)
{
    while (input->under != NULL)
        input = input->under;
    const remote_input *remote = input->remote ? input->context : NULL;
    const char *of = remote != NULL ? remote->key : input->name;
    const char *slash = strrchr(of, '/');
    char *path = mm_format("%.*s%s", slash != NULL ? (int)(slash - of + 1) : 0, of, name);
    if (path == NULL)
        return no_memory(name, err);
    if (remote != NULL)
        return open_object(remote->storage, true, path, out, err);
    mm_status status = open_local(path, out, err);
    free(path);
    return status;
}

mm_status mm_input_read(const mm_input *input, uint64_t offset, void *out, size_t size, mm_error *err)
{
    uint64_t end;
    if (!mm_add_u64(offset, size, &end) || end > input->size)
        return mm_error_set(err, MM_BUG, "%s: byte %" PRIu64 ": %zu bytes wanted of %" PRIu64, input->name, offset,
                            size, input->size);
    return size > 0 ? input->read(input, offset, out, size, err) : MM_OK;
}

void mm_input_close(mm_input *input)
{
    if (input != NULL)
        input->close(input);
}

const char *mm_input_identity(const mm_input *input)
{
    return input->identity;
}

mm_status mm_input_fingerprint(const mm_input *input, mm_buffer *out, mm_error *err)
{
    mm_status status = input->fingerprint(input, out, err);
    if (status == MM_OK && out->failed)
        status = no_memory(input->name, err);
    return status;
}
