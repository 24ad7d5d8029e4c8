/* The files of one unit: made, appended to, finished, synced. What stands in them is the format's business, where
 * they lie unit_disk.c's. Knows nothing of lanes, records or steps. */
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

#define STAGE ((size_t)256 << 10)   /* hashed and written while it is in the cache */
#define KICK ((uint64_t)8 << 20)    /* bytes of a file after which their writeback is started */
#define READ_CHUNK ((size_t)256 << 10)

static const mm_files_collection *collection_of(const mm_sink *sink, const mm_files_unit *unit)
{
    return &sink->collections[unit->collection];
}

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a unit of files");
}

mm_files_unit *mm_files_unit_new(const mm_sink *sink, uint32_t collection)
{
    mm_files_unit *unit = calloc(1, sizeof(*unit));
    if (unit == NULL)
        return NULL;
    unit->collection = collection;
    unit->format = sink->format;
    unit->file_count = sink->collections[collection].file_count;
    unit->files = calloc(unit->file_count, sizeof(*unit->files));
    if (unit->files == NULL) {
        free(unit);
        return NULL;
    }
    for (size_t i = 0; i < unit->file_count; i++)
        unit->files[i].fd = -1;
    return unit;
}

static void forget_hashes(mm_files_unit *unit)
{
    for (size_t i = 0; i < unit->file_count; i++) {
        XXH3_freeState(unit->files[i].hash);
        unit->files[i].hash = NULL;
    }
}

static void close_writer(mm_files_unit *unit)
{
    if (unit->writer)
        unit->format->write_close(unit->writer);
    unit->writer = NULL;
}

void mm_files_unit_close(mm_files_unit *unit)
{
    for (size_t i = 0; i < unit->file_count; i++) {
        if (unit->files[i].fd >= 0)
            close(unit->files[i].fd);
        unit->files[i].fd = -1;
    }
}

void mm_files_unit_free(mm_files_unit *unit)
{
    if (unit == NULL)
        return;
    mm_files_unit_close(unit);
    forget_hashes(unit);
    close_writer(unit);
    mm_files_gather_free(unit->gather);
    free(unit->format_state);
    free(unit->files);
    free(unit->runs);
    free(unit);
}

/* --- opening and making --- */

static mm_status open_writer(const mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    const mm_files_collection *collection = collection_of(sink, unit);
    const mm_format_write_args args = {.schema = collection->plan->schema,
                                       .rows_expected = collection->rows_max == UINT64_MAX ? 0 : collection->rows_max,
                                       .for_import = sink->for_import,
                                       .state = unit->format_state};
    return unit->format->write_open(&args, &unit->writer, err);
}

static mm_status open_files(mm_sink *sink, mm_files_unit *unit, int flags, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < unit->file_count; i++)
        if (unit->files[i].fd < 0)
            status = mm_files_unit_open_file(sink, unit, i, flags, false, &unit->files[i].fd, err);
    return status;
}

mm_status mm_files_unit_open(mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    mm_status status = open_files(sink, unit, O_RDWR, err);
    if (status == MM_OK && unit->writer == NULL && !unit->finished)
        status = open_writer(sink, unit, err);
    return status;
}

static mm_status write_all(int fd, const void *bytes, size_t size, uint64_t offset, const char *name,
                           mm_error *err)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t done = pwrite(fd, at, size, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return mm_error_errno(err, MM_IO, "writing %s", name);
        at += done;
        size -= (size_t)done;
        offset += (uint64_t)done;
    }
    return MM_OK;
}

/* Starts the writeback of whole pages early, so that the next fdatasync has little left to wait for. A
 * hint: where it does not work, fdatasync does all. */
static void kick(mm_files_file *file)
{
    uint64_t end = file->size & ~(uint64_t)4095;
    if (end < file->started || end - file->started < KICK)
        return;
    if (sync_file_range(file->fd, (off_t)file->started, (off_t)(end - file->started),
                        SYNC_FILE_RANGE_WRITE) == 0)
        file->started = end;
}

/* What the format's bytes go to. */
typedef struct output {
    mm_sink *sink;
    mm_files_unit *unit;
} output;

static mm_status put(void *context, size_t number, const void *bytes, size_t size, mm_error *err)
{
    const output *out = context;
    mm_files_file *file = &out->unit->files[number];
    const char *at = bytes, *name = collection_of(out->sink, out->unit)->names[number];
    for (size_t done = 0; done < size;) {
        size_t piece = size - done < STAGE ? size - done : STAGE;
        if (file->hash && XXH3_64bits_update(file->hash, at + done, piece) != XXH_OK)
            return mm_error_set(err, MM_BUG, "xxh3 refused %zu bytes", piece);
        mm_status status = write_all(file->fd, at + done, piece, file->size, name, err);
        if (status != MM_OK)
            return status;
        file->size += piece;
        done += piece;
    }
    kick(file);
    MM_FAILPOINT("files.write.put");
    return MM_OK;
}

static mm_status start_hashes(mm_files_unit *unit, mm_error *err)
{
    for (size_t i = 0; i < unit->file_count; i++) {
        unit->files[i].hash = XXH3_createState();
        if (unit->files[i].hash == NULL || XXH3_64bits_reset(unit->files[i].hash) != XXH_OK)
            return no_memory(err);
    }
    return MM_OK;
}

mm_status mm_files_unit_create(mm_sink *sink, mm_files_unit *unit, bool *taken, mm_error *err)
{
    output context = {sink, unit};
    const mm_format_out out = {&context, put};
    *taken = false;
    unit->fresh = true;
    mm_status status = mm_files_unit_make_folder(sink, unit, taken, err);
    MM_FAILPOINT("files.unit.folder");
    if (status == MM_OK)
        status = open_files(sink, unit, O_RDWR | O_CREAT | O_EXCL, err);
    if (status == MM_OK)
        status = start_hashes(unit, err);
    if (status == MM_OK)
        status = open_writer(sink, unit, err);
    if (status == MM_OK)
        status = unit->format->write_begin(unit->writer, &out, err);
    MM_FAILPOINT("files.unit.created");
    return status;
}

/* --- appending --- */

uint64_t mm_files_unit_size(const mm_files_unit *unit)
{
    uint64_t most = 0;
    for (size_t i = 0; i < unit->file_count; i++)
        if (unit->files[i].size > most)
            most = unit->files[i].size;
    return most;
}

mm_status mm_files_unit_append(mm_sink *sink, mm_files_unit *unit, const mm_batch *batch, size_t from, size_t count,
                               mm_error *err)
{
    output context = {sink, unit};
    const mm_format_out out = {&context, put};
    mm_status status = unit->format->write_rows(unit->writer, batch, from, count, &out, err);
    if (status == MM_OK)
        unit->rows += count;
    else
        unit->failed = true; /* the writer is of no use any more; what it put lies behind the rows that count */
    return status;
}

/* --- the end of a unit --- */

static mm_status hash_file(mm_files_file *file, const char *name, mm_error *err)
{
    mm_status status = MM_OK;
    uint8_t *chunk = malloc(READ_CHUNK);
    XXH3_state_t *hash = XXH3_createState();
    if (chunk == NULL || hash == NULL || XXH3_64bits_reset(hash) != XXH_OK) {
        status = no_memory(err);
        goto out;
    }
    for (uint64_t at = 0; at < file->size;) {
        size_t want = file->size - at < READ_CHUNK ? (size_t)(file->size - at) : READ_CHUNK;
        ssize_t got = pread(file->fd, chunk, want, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            status = got == 0 ? mm_error_set(err, MM_IO, "%s became shorter", name)
                              : mm_error_errno(err, MM_IO, "reading %s", name);
            goto out;
        }
        if (XXH3_64bits_update(hash, chunk, (size_t)got) != XXH_OK) {
            status = mm_error_set(err, MM_BUG, "xxh3 refused %zd bytes", got);
            goto out;
        }
        at += (uint64_t)got;
    }
    file->checksum = XXH3_64bits_digest(hash);
out:
    XXH3_freeState(hash);
    free(chunk);
    return status;
}

/* Head and checksum of a file whose last byte is in. The checksum that followed the bytes is right when the file was
 * begun by this process and its head stays as it is, which is so for most: then nothing is read again. */
static mm_status finish_file(mm_files_unit *unit, size_t number, const char *name, mm_error *err)
{
    mm_files_file *file = &unit->files[number];
    size_t size = 0;
    const void *head = unit->format->write_head ? unit->format->write_head(unit->writer, number, &size) : NULL;
    if (size == 0 && file->hash) {
        file->checksum = XXH3_64bits_digest(file->hash);
        return MM_OK;
    }
    mm_status status = write_all(file->fd, head, size, 0, name, err);
    if (status == MM_OK && !MM_SEEDED("no_settle") && ftruncate(file->fd, (off_t)file->size) != 0)
        status = mm_error_errno(err, MM_IO, "truncating %s", name);
    return status == MM_OK ? hash_file(file, name, err) : status;
}

mm_status mm_files_unit_finish(mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    output context = {sink, unit};
    const mm_format_out out = {&context, put};
    if (unit->finished)
        return MM_OK;
    mm_status status = mm_files_unit_open(sink, unit, err);
    if (status == MM_OK)
        status = unit->format->write_end(unit->writer, &out, err);
    for (size_t i = 0; status == MM_OK && i < unit->file_count; i++)
        status = finish_file(unit, i, collection_of(sink, unit)->names[i], err);
    if (status != MM_OK) {
        unit->failed = true;
        return status;
    }
    unit->finished = true;
    forget_hashes(unit);
    close_writer(unit);
    return MM_OK;
}

mm_status mm_files_unit_sync(mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    mm_status status = mm_files_unit_open(sink, unit, err);
    MM_FAILPOINT("files.flush.before_sync");
    for (size_t i = 0; status == MM_OK && i < unit->file_count; i++) {
        /* after a failed sync the kernel may call the lost pages clean: a second one proves nothing */
        if (MM_FAILPOINT_FAILS("files.flush.sync") || fdatasync(unit->files[i].fd) != 0)
            status = mm_error_errno(err, MM_IO, "syncing %s", collection_of(sink, unit)->names[i]);
    }
    if (status == MM_OK && unit->fresh)
        status = mm_files_unit_sync_folders(sink, unit, err);
    if (status != MM_OK) {
        unit->failed = true;
        return status;
    }
    MM_FAILPOINT("files.flush.synced");
    unit->fresh = false;
    unit->flushed_rows = unit->rows;
    return MM_OK;
}
