/* Making a partition's file whole when all its rows are in: empty slots are filled with the last rows, the library's
 * head comes in front, the keys behind, and the file gets its name. Every part of it can be done again. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/hdf5/internal.h"

#define CHUNK ((size_t)1 << 20)

/* The files of one partition while it is sealed. */
typedef struct work {
    mm_sink *sink;
    const mm_h5_collection *c;
    mm_h5_file *file;
    uint32_t collection, number;
    char *whole, *part, *keys, *head;
    int vectors_fd, keys_fd;
    uint8_t *chunk;
    uint64_t rows;
} work;

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for completing a file");
}

/* Copies bytes that do not overlap. */
static mm_status copy(const work *w, int from, uint64_t at, int to, uint64_t to_at, uint64_t size, mm_error *err)
{
    mm_status status = MM_OK;
    for (uint64_t done = 0; status == MM_OK && done < size;) {
        size_t piece = size - done < CHUNK ? (size_t)(size - done) : CHUNK;
        if (w->sink->host.stopping(w->sink->host.context))
            return mm_error_set(err, MM_INTERRUPTED, "stopped while %s was completed", w->whole);
        status = mm_h5_get(from, w->chunk, piece, at + done, w->part, err);
        if (status == MM_OK)
            status = mm_h5_put(to, w->chunk, piece, to_at + done, w->part, err);
        done += piece;
    }
    return status;
}

static mm_status sync_both(const work *w, mm_error *err)
{
    if (fdatasync(w->vectors_fd) != 0 || fdatasync(w->keys_fd) != 0)
        return mm_error_errno(err, MM_IO, "syncing %s", w->part);
    return MM_OK;
}

/* --- empty slots --- */

static mm_status move_rows(const work *w, const mm_h5_move *move, mm_error *err)
{
    size_t width = w->c->width;
    mm_status status = copy(w, w->vectors_fd, w->c->head + move->from * width, w->vectors_fd,
                            w->c->head + move->to * width, move->rows * width, err);
    if (status == MM_OK)
        status = copy(w, w->keys_fd, move->from * MM_H5_KEY_WIDTH, w->keys_fd, move->to * MM_H5_KEY_WIDTH,
                      move->rows * MM_H5_KEY_WIDTH, err);
    MM_FAILPOINT("hdf5.seal.moved");
    return status;
}

static mm_status record(const work *w, char *key, char *value, mm_error *err)
{
    mm_status status = key && value ? w->sink->host.record(w->sink->host.context, key, value, err) : no_memory(err);
    free(key);
    free(value);
    return status;
}

/* Recorded before the slots that were moved are cut off: afterwards it cannot be done again. */
static mm_status record_filled(const work *w, mm_error *err)
{
    mm_status status = record(w, mm_format("filled/%" PRIu32 "/%" PRIu32, w->collection, w->number),
                              mm_format("%" PRIu64, w->rows), err);
    if (status == MM_OK)
        w->file->filled = w->rows;
    MM_FAILPOINT("hdf5.seal.filled");
    return status;
}

static mm_status fill(work *w, mm_error *err)
{
    mm_h5_range **ranges = NULL;
    mm_h5_move *moves = NULL;
    size_t count = 0, move_count = 0;
    mm_status status = mm_h5_ranges_of(w->sink, w->collection, w->number, &ranges, &count, err);
    if (status == MM_OK)
        status = mm_h5_moves(ranges, count, &moves, &move_count, &w->rows, err);
    if (status != MM_OK || move_count == 0 || w->file->filled == w->rows)
        goto out;
    for (size_t i = 0; status == MM_OK && i < move_count; i++)
        status = move_rows(w, &moves[i], err);
    if (status == MM_OK)
        status = sync_both(w, err);
    if (status == MM_OK)
        status = record_filled(w, err);
out:
    free(moves);
    free(ranges);
    return status;
}

/* --- head, keys, name --- */

static mm_status put_head(const work *w, const mm_h5_layout *layout, mm_error *err)
{
    int fd = open(w->head, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return mm_error_errno(err, MM_IO, "%s", w->head);
    mm_status status = copy(w, fd, 0, w->vectors_fd, 0, layout->vectors_at, err);
    close(fd);
    return status;
}

static mm_status complete(const work *w, mm_error *err)
{
    mm_h5_layout layout = {0};
    mm_status status = mm_h5_layout_create(w->head, w->c, w->rows, &layout, err);
    MM_FAILPOINT("hdf5.seal.head");
    if (status == MM_OK && w->rows > 0 && layout.vectors_at != w->c->head)
        status = mm_error_set(err, MM_BUG, "%s: embeddings begin at %" PRIu64 " and were written from %" PRIu64 " on",
                              w->part, layout.vectors_at, w->c->head);
    if (status != MM_OK)
        return status;
    w->file->layout = layout;
    if (w->rows == 0) /* nothing but the head */
        return rename(w->head, w->part) == 0 ? MM_OK : mm_error_errno(err, MM_IO, "renaming %s", w->head);
    if (ftruncate(w->vectors_fd, (off_t)layout.size) != 0)
        return mm_error_errno(err, MM_IO, "truncating %s", w->part);
    MM_FAILPOINT("hdf5.seal.cut");
    status = put_head(w, &layout, err);
    if (status == MM_OK)
        status = copy(w, w->keys_fd, 0, w->vectors_fd, layout.keys_at, w->rows * MM_H5_KEY_WIDTH, err);
    return status;
}

/* The library's word that the file is one, and what to know its head by later. */
static mm_status prove(const work *w, mm_error *err)
{
    char *key = NULL, *value = NULL;
    mm_h5_file *file = w->file;
    int fd = open(w->part, O_RDONLY | O_CLOEXEC); /* for a file without rows another than vectors_fd */
    if (fd < 0)
        return mm_error_errno(err, MM_IO, "%s", w->part);
    mm_status status = mm_h5_layout_check(w->part, w->c, &file->layout, err);
    if (status == MM_OK)
        status = mm_h5_layout_hash(fd, &file->layout, w->part, &file->head_hash, err);
    if (status == MM_OK && fsync(fd) != 0)
        status = mm_error_errno(err, MM_IO, "syncing %s", w->part);
    close(fd);
    MM_FAILPOINT("hdf5.seal.synced");
    if (status == MM_OK)
        status = mm_h5_whole_print(w->collection, w->number, file, &key, &value, err);
    if (status == MM_OK)
        status = record(w, key, value, err);
    file->is_whole = status == MM_OK;
    MM_FAILPOINT("hdf5.seal.proven");
    return status;
}

static mm_status give_name(const work *w, mm_error *err)
{
    if (rename(w->part, w->whole) != 0)
        return mm_error_errno(err, MM_IO, "renaming %s", w->part);
    MM_FAILPOINT("hdf5.seal.renamed");
    return mm_folder_sync(w->c->root, err); /* the keys' file goes only when the name can no longer be lost */
}

static mm_status open_parts(work *w, mm_error *err)
{
    w->vectors_fd = open(w->part, O_RDWR | O_CLOEXEC);
    if (w->vectors_fd < 0)
        return mm_error_errno(err, errno == ENOENT ? MM_CHANGED : MM_IO, "%s", w->part);
    w->keys_fd = open(w->keys, O_RDWR | O_CLOEXEC);
    if (w->keys_fd < 0)
        return mm_error_errno(err, errno == ENOENT ? MM_CHANGED : MM_IO, "%s", w->keys);
    return MM_OK;
}

static mm_status remove_parts(const work *w, mm_error *err)
{
    const char *const paths[] = {w->head, w->keys};
    for (size_t i = 0; i < MM_COUNT(paths); i++)
        if (unlink(paths[i]) != 0 && errno != ENOENT)
            return mm_error_errno(err, MM_IO, "removing %s", paths[i]);
    return MM_OK;
}

static mm_status seal(work *w, mm_error *err)
{
    mm_status status = MM_OK;
    if (access(w->whole, F_OK) != 0) {
        status = open_parts(w, err);
        if (status == MM_OK)
            status = fill(w, err);
        if (status == MM_OK)
            status = complete(w, err);
        if (status == MM_OK)
            status = prove(w, err);
        if (status == MM_OK)
            status = give_name(w, err);
    }
    return status == MM_OK ? remove_parts(w, err) : status;
}

mm_status mm_h5_seal(mm_sink *sink, uint32_t collection, uint32_t file, mm_error *err)
{
    const mm_h5_collection *c = &sink->collections[collection];
    work w = {.sink = sink, .c = c, .file = &c->files[file], .collection = collection, .number = file,
              .vectors_fd = -1, .keys_fd = -1};
    w.whole = mm_h5_path(c, w.file, MM_H5_WHOLE);
    w.part = mm_h5_path(c, w.file, MM_H5_PART);
    w.keys = mm_h5_path(c, w.file, MM_H5_KEYS);
    w.head = mm_h5_path(c, w.file, MM_H5_HEAD);
    w.chunk = malloc(CHUNK);
    mm_status status = w.whole && w.part && w.keys && w.head && w.chunk ? seal(&w, err) : no_memory(err);
    if (w.vectors_fd >= 0)
        close(w.vectors_fd);
    if (w.keys_fd >= 0)
        close(w.keys_fd);
    free(w.chunk);
    free(w.head);
    free(w.keys);
    free(w.part);
    free(w.whole);
    return status;
}
