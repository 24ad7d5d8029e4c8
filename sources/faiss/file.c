/* Local files behind mm_faiss_file, and what can be said of any such file. Knows no FAISS format. */
#include "sources/faiss/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "FAISS files and batches are little-endian; values are read without conversion");

typedef struct local_file {
    mm_faiss_file base;
    int fd;
} local_file;

mm_status mm_faiss_bad(const mm_faiss_file *file, uint64_t offset, mm_error *err,
                       const char *format, ...)
{
    char text[MM_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return mm_error_set(err, MM_DATA, "%s: byte %" PRIu64 ": %s", file->name, offset, text);
}

static mm_status local_read_at(mm_faiss_file *base, uint64_t offset, void *out, size_t size,
                               mm_error *err)
{
    local_file *file = (local_file *)base;
    uint64_t end;
    if (!mm_add_u64(offset, size, &end) || end > INT64_MAX)
        return mm_faiss_bad(base, offset, err, "%zu bytes wanted beyond any file's end", size);
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(file->fd, (char *)out + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mm_error_errno(err, MM_UNAVAILABLE, "%s: byte %" PRIu64 ": read", base->name,
                                  offset + done);
        if (got == 0)
            return mm_faiss_bad(base, offset + done, err,
                                "the file ends here, %zu more bytes are wanted", size - done);
        done += (size_t)got;
    }
    return MM_OK;
}

static mm_status local_stat(mm_faiss_file *base, uint64_t *size, int64_t *mtime_ns, mm_error *err)
{
    struct stat info, named;
    if (fstat(((local_file *)base)->fd, &info) != 0)
        return mm_error_errno(err, MM_UNAVAILABLE, "%s: stat", base->name);
    if (stat(base->name, &named) == 0 && (named.st_dev != info.st_dev || named.st_ino != info.st_ino))
        return mm_error_set(err, MM_CHANGED, "%s: another file has taken its place while it was read",
                            base->name);
    *size = (uint64_t)info.st_size;
    *mtime_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    return MM_OK;
}

static void local_close(mm_faiss_file *base)
{
    local_file *file = (local_file *)base;
    close(file->fd);
    free(file->base.name);
    free(file);
}

mm_status mm_faiss_file_open(const char *path, mm_faiss_file **out, mm_error *err)
{
    mm_status status = MM_OK;
    local_file *file = NULL;
    struct stat info;
    /* O_NONBLOCK: a named pipe must not hang the open; it has no meaning for regular files. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        status = errno == ENOENT || errno == ENOTDIR ? MM_NOT_FOUND
                 : errno == EACCES || errno == EPERM ? MM_CONFIG
                                                     : MM_UNAVAILABLE;
        return mm_error_errno(err, status, "%s: open", path);
    }
    if (fstat(fd, &info) != 0) {
        status = mm_error_errno(err, MM_UNAVAILABLE, "%s: stat", path);
        goto out;
    }
    if (!S_ISREG(info.st_mode)) {
        status = mm_error_set(err, MM_CONFIG, "%s: not a regular file", path);
        goto out;
    }
    file = calloc(1, sizeof(*file));
    char *name = strdup(path);
    if (file == NULL || name == NULL) {
        free(name);
        status = mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", path);
        goto out;
    }
    *file = (local_file){
        .base = {name, (uint64_t)info.st_size, local_read_at, local_stat, local_close},
        .fd = fd,
    };
    *out = &file->base;
    return MM_OK;
out:
    free(file);
    close(fd);
    return status;
}

mm_status mm_faiss_file_fingerprint(mm_faiss_file *file, mm_buffer *out, mm_error *err)
{
    uint64_t size;
    int64_t mtime;
    mm_status status = file->stat(file, &size, &mtime, err);
    if (status != MM_OK)
        return status;
    size_t head = size < MM_FAISS_HEAD ? (size_t)size : MM_FAISS_HEAD;
    uint8_t *bytes = malloc(MM_FAISS_HEAD);
    if (bytes == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", file->name);
    status = file->read_at(file, 0, bytes, head, err);
    if (status == MM_OK)
        mm_buffer_printf(out, "size=%" PRIu64 " mtime=%" PRId64 ".%09" PRId64 " head=%016" PRIx64,
                         size, mtime / 1000000000, mtime % 1000000000,
                         (uint64_t)XXH3_64bits(bytes, head));
    free(bytes);
    if (status == MM_OK && out->failed)
        status = mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", file->name);
    return status;
}
