/* Inputs: local files and bytes in memory. A local file is mapped where that works, for parsers that want
 * pointers; `read` goes through pread all the same, since a file that shrinks under a mapping kills the process and
 * one that shrinks under pread is an error with a place. */
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

#define IDENTITY_MAX 200

/* What every input has behind its interface. */
typedef struct base {
    mm_input input;
    char identity[IDENTITY_MAX];
} base;

typedef struct local_input {
    base base;
    int fd;
    void *map; /* NULL: not mapped */
} local_input;

typedef struct memory_input {
    base base;
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
    file->base.input = (mm_input){
        .name = name,
        .size = (uint64_t)info.st_size,
        .map = file->map,
        .read = local_read,
        .close = local_close,
        .context = file,
    };
    snprintf(file->base.identity, sizeof(file->base.identity), "inode=%" PRIu64 " size=%" PRIu64 " mtime=%" PRId64 ".%09ld",
             (uint64_t)info.st_ino, (uint64_t)info.st_size, (int64_t)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    *out = &file->base.input;
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
    memory->base.input = (mm_input){
        .name = copy, .size = size, .map = bytes, .read = memory_read, .close = memory_close, .context = memory};
    snprintf(memory->base.identity, sizeof(memory->base.identity), "size=%zu", size);
    *out = &memory->base.input;
    return MM_OK;
}

/* --- any input --------------------------------------------------------------------------------------------- */

mm_status mm_input_open(const char *location, const mm_options *options, mm_input **out, mm_error *err)
{
    static const char file_scheme[] = "file://";
    (void)options;
    if (strncmp(location, file_scheme, strlen(file_scheme)) == 0)
        return open_local(location + strlen(file_scheme), out, err);
    if (strstr(location, "://") != NULL)
        return mm_error_set(err, MM_CONFIG, "%s: only local files can be read", location);
    return open_local(location, out, err);
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
    return ((const base *)input->context)->identity;
}
