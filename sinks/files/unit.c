/* The files of one unit: made, appended to, finished, synced, cut back, renamed, counted. Knows nothing of
 * lanes, records or steps. */
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

static size_t field_count(const mm_sink *sink, const mm_files_unit *unit)
{
    return collection_of(sink, unit)->plan->schema->field_count;
}

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a unit of files");
}

mm_files_unit *mm_files_unit_new(const mm_files_collection *collection)
{
    size_t fields = collection->plan->schema->field_count;
    mm_files_unit *unit = calloc(1, sizeof(*unit));
    if (unit == NULL)
        return NULL;
    unit->files = calloc(fields, sizeof(*unit->files));
    if (unit->files == NULL) {
        free(unit);
        return NULL;
    }
    for (size_t i = 0; i < fields; i++)
        unit->files[i].fd = -1;
    unit->hashed_rows = MM_FILES_HASHED_NONE;
    return unit;
}

static void forget_hashes(mm_files_unit *unit, size_t fields)
{
    for (size_t i = 0; i < fields; i++) {
        XXH3_freeState(unit->files[i].hash);
        unit->files[i].hash = NULL;
    }
}

void mm_files_unit_close(mm_files_unit *unit, size_t fields)
{
    for (size_t i = 0; i < fields; i++) {
        if (unit->files[i].fd >= 0)
            close(unit->files[i].fd);
        unit->files[i].fd = -1;
    }
}

void mm_files_unit_free(mm_files_unit *unit, size_t fields)
{
    if (unit == NULL)
        return;
    mm_files_unit_close(unit, fields);
    forget_hashes(unit, fields);
    free(unit->files);
    free(unit->runs);
    free(unit);
}

char *mm_files_unit_folder(const mm_sink *sink, const mm_files_unit *unit)
{
    const mm_files_collection *collection = collection_of(sink, unit);
    return mm_format("%s/%s/%05" PRIu32, collection->root, collection->partitions[unit->partition].folder,
                     unit->number);
}

char *mm_files_unit_path(const mm_sink *sink, const mm_files_unit *unit, size_t field, bool part)
{
    const mm_files_collection *collection = collection_of(sink, unit);
    return mm_format("%s/%s/%05" PRIu32 "/%s.npy%s", collection->root,
                     collection->partitions[unit->partition].folder, unit->number, collection->names[field],
                     part ? sink->suffix : "");
}

/* Opens one file of the unit by its part name or, when that is gone and `any`, its own. MM_NOT_FOUND. */
static mm_status open_file(const mm_sink *sink, const mm_files_unit *unit, size_t field, int flags, bool any,
                           int *out, mm_error *err)
{
    int fd = -1;
    char *path = NULL;
    for (int part = 1; part >= (any ? 0 : 1) && fd < 0; part--) {
        free(path);
        path = mm_files_unit_path(sink, unit, field, part);
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

mm_status mm_files_unit_open(mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    for (size_t i = 0; i < field_count(sink, unit); i++) {
        if (unit->files[i].fd >= 0)
            continue;
        mm_status status = open_file(sink, unit, i, O_RDWR, false, &unit->files[i].fd, err);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
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
            return mm_error_errno(err, MM_IO, "writing %s.npy", name);
        at += done;
        size -= (size_t)done;
        offset += (uint64_t)done;
    }
    return MM_OK;
}

/* --- making --- */

static mm_status make_unit_folder(mm_sink *sink, mm_files_unit *unit, bool *taken, mm_error *err)
{
    const mm_files_collection *collection = collection_of(sink, unit);
    mm_status status = MM_OK;
    char *parent = mm_format("%s/%s", collection->root, collection->partitions[unit->partition].folder);
    char *folder = mm_files_unit_folder(sink, unit);
    if (parent == NULL || folder == NULL) {
        status = no_memory(err);
        goto out;
    }
    if (mkdir(parent, 0700) != 0 && errno != EEXIST) {
        status = mm_error_errno(err, MM_IO, "mkdir %s", parent);
        goto out;
    }
    if (mkdir(folder, 0700) != 0) {
        *taken = errno == EEXIST;
        status = mm_error_errno(err, *taken ? MM_TARGET : MM_IO, "mkdir %s", folder);
    }
out:
    free(folder);
    free(parent);
    return status;
}

/* The header of a full unit, which most units become: then the checksum that follows the rows is right
 * when the last row is in, without reading anything again. */
static mm_status start_file(mm_sink *sink, mm_files_unit *unit, size_t field, mm_error *err)
{
    const mm_files_collection *collection = collection_of(sink, unit);
    mm_files_file *file = &unit->files[field];
    char header[MM_NPY_HEADER];
    mm_npy_header(&collection->columns[field], collection->rows_max, header);
    mm_status status = open_file(sink, unit, field, O_RDWR | O_CREAT | O_EXCL, false, &file->fd, err);
    if (status == MM_OK)
        status = write_all(file->fd, header, sizeof(header), 0, collection->names[field], err);
    if (status != MM_OK)
        return status;
    file->hash = XXH3_createState();
    if (file->hash == NULL || XXH3_64bits_reset(file->hash) != XXH_OK ||
        XXH3_64bits_update(file->hash, header, sizeof(header)) != XXH_OK)
        return no_memory(err);
    return MM_OK;
}

mm_status mm_files_unit_create(mm_sink *sink, mm_files_unit *unit, bool *taken, mm_error *err)
{
    *taken = false;
    mm_status status = make_unit_folder(sink, unit, taken, err);
    MM_FAILPOINT("files.unit.folder");
    for (size_t i = 0; status == MM_OK && i < field_count(sink, unit); i++)
        status = start_file(sink, unit, i, err);
    unit->fresh = true;
    MM_FAILPOINT("files.unit.created");
    return status;
}

/* --- appending --- */

static mm_status put(mm_files_file *file, const char *name, const void *bytes, size_t size, uint64_t offset,
                     mm_error *err)
{
    const char *at = bytes;
    for (size_t done = 0; done < size;) {
        size_t piece = size - done < STAGE ? size - done : STAGE;
        if (file->hash && XXH3_64bits_update(file->hash, at + done, piece) != XXH_OK)
            return mm_error_set(err, MM_BUG, "xxh3 refused %zu bytes", piece);
        mm_status status = write_all(file->fd, at + done, piece, offset + done, name, err);
        if (status != MM_OK)
            return status;
        done += piece;
    }
    return MM_OK;
}

/* Starts the writeback of whole pages early, so that the next fdatasync has little left to wait for. A
 * hint: where it does not work, fdatasync does all. */
static void kick(mm_files_file *file, uint64_t end)
{
    end &= ~(uint64_t)4095;
    if (end < file->started || end - file->started < KICK)
        return;
    if (sync_file_range(file->fd, (off_t)file->started, (off_t)(end - file->started),
                        SYNC_FILE_RANGE_WRITE) == 0)
        file->started = end;
}

static mm_status check_present(const mm_column *column, size_t from, size_t count, mm_error *err)
{
    if (column->validity == NULL)
        return MM_OK;
    for (size_t row = from; row < from + count; row++)
        if (!(column->validity[row / 8] >> (row % 8) & 1))
            return mm_error_set(err, MM_DATA, "field %s: a null has no .npy form", column->field->name);
    return MM_OK;
}

/* One value into `width` bytes: padded with NUL, which is why it cannot end with one. */
static mm_status pad_text(const mm_column *column, size_t row, size_t width, uint8_t *out, mm_error *err)
{
    uint64_t start = column->offsets[row], size = column->offsets[row + 1] - start;
    const uint8_t *value = column->values + start;
    if (size > width)
        return mm_error_set(err, MM_DATA, "field %s: %" PRIu64 " bytes are more than max_length %zu",
                            column->field->name, size, width);
    if (size > 0 && value[size - 1] == 0)
        return mm_error_set(err, MM_DATA, "field %s: a text that ends with NUL has no .npy form",
                            column->field->name);
    if (size > 0)
        memcpy(out, value, size);
    memset(out + size, 0, width - size);
    return MM_OK;
}

static mm_status append_text(mm_files_file *file, const char *name, const mm_column *column, size_t width,
                             size_t from, size_t count, uint64_t offset, mm_error *err)
{
    size_t fit = width < STAGE ? STAGE / width : 1;
    if (fit > count)
        fit = count;
    uint8_t *stage = malloc(fit * width);
    if (stage == NULL)
        return no_memory(err);
    mm_status status = MM_OK;
    for (size_t done = 0; status == MM_OK && done < count;) {
        size_t rows = count - done < fit ? count - done : fit;
        for (size_t i = 0; status == MM_OK && i < rows; i++)
            status = pad_text(column, from + done + i, width, stage + i * width, err);
        if (status == MM_OK)
            status = put(file, name, stage, rows * width, offset + done * width, err);
        done += rows;
    }
    free(stage);
    return status;
}

static mm_status append_column(const mm_files_collection *collection, mm_files_unit *unit, size_t field,
                               const mm_column *column, size_t from, size_t count, mm_error *err)
{
    const mm_npy_column *npy = &collection->columns[field];
    mm_files_file *file = &unit->files[field];
    uint64_t offset = MM_NPY_HEADER + unit->rows * npy->width;
    mm_status status = check_present(column, from, count, err);
    if (status == MM_OK && npy->text)
        status = append_text(file, collection->names[field], column, npy->width, from, count, offset, err);
    else if (status == MM_OK)
        status = put(file, collection->names[field], column->values + from * npy->width, count * npy->width,
                     offset, err);
    if (status == MM_OK)
        kick(file, offset + count * npy->width);
    return status;
}

mm_status mm_files_unit_append(mm_sink *sink, mm_files_unit *unit, uint64_t task, const mm_batch *batch,
                               size_t from, size_t count, mm_error *err)
{
    const mm_files_collection *collection = collection_of(sink, unit);
    size_t fields = field_count(sink, unit);
    mm_status status = MM_OK;
    if (batch->column_count != fields)
        return mm_error_set(err, MM_BUG, "batch of %zu columns for %zu files", batch->column_count, fields);
    for (size_t i = 0; status == MM_OK && i < fields; i++) {
        status = append_column(collection, unit, i, &batch->columns[i], from, count, err);
        MM_FAILPOINT("files.write.column");
    }
    if (status != MM_OK) {
        /* what was written lies behind the rows that count, and is written over; only the checksums have
         * seen it */
        forget_hashes(unit, fields);
        return status;
    }
    status = mm_files_runs_add(unit, task, batch, from, count, err);
    if (status == MM_OK)
        unit->rows += count;
    else
        unit->failed = true; /* some of the runs may be in */
    return status;
}

/* --- the end of a unit --- */

static mm_status hash_file(mm_files_file *file, const char *name, uint64_t size, mm_error *err)
{
    mm_status status = MM_OK;
    uint8_t *chunk = malloc(READ_CHUNK);
    XXH3_state_t *hash = XXH3_createState();
    if (chunk == NULL || hash == NULL || XXH3_64bits_reset(hash) != XXH_OK) {
        status = no_memory(err);
        goto out;
    }
    for (uint64_t at = 0; at < size;) {
        size_t want = size - at < READ_CHUNK ? (size_t)(size - at) : READ_CHUNK;
        ssize_t got = pread(file->fd, chunk, want, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            status = got == 0 ? mm_error_set(err, MM_IO, "%s.npy became shorter", name)
                              : mm_error_errno(err, MM_IO, "reading %s.npy", name);
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

mm_status mm_files_unit_finish(mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    const mm_files_collection *collection = collection_of(sink, unit);
    size_t fields = field_count(sink, unit);
    if (unit->hashed_rows == unit->rows)
        return MM_OK;
    mm_status status = mm_files_unit_open(sink, unit, err);
    for (size_t i = 0; status == MM_OK && i < fields; i++) {
        mm_files_file *file = &unit->files[i];
        if (unit->rows == collection->rows_max && file->hash) {
            file->checksum = XXH3_64bits_digest(file->hash);
            continue;
        }
        char header[MM_NPY_HEADER];
        uint64_t size = MM_NPY_HEADER + unit->rows * collection->columns[i].width;
        mm_npy_header(&collection->columns[i], unit->rows, header);
        status = write_all(file->fd, header, sizeof(header), 0, collection->names[i], err);
        /* the rest of a failed write */
        if (status == MM_OK && !MM_SEEDED("no_settle") && ftruncate(file->fd, (off_t)size) != 0)
            status = mm_error_errno(err, MM_IO, "truncating %s.npy", collection->names[i]);
        if (status == MM_OK)
            status = hash_file(file, collection->names[i], size, err);
    }
    if (status != MM_OK)
        return status;
    unit->hashed_rows = unit->rows;
    forget_hashes(unit, fields); /* they began with another header, or are done */
    return MM_OK;
}

static mm_status sync_folders(const mm_sink *sink, const mm_files_unit *unit, mm_error *err)
{
    const mm_files_collection *collection = collection_of(sink, unit);
    char *folder = mm_files_unit_folder(sink, unit);
    char *parent = mm_format("%s/%s", collection->root, collection->partitions[unit->partition].folder);
    mm_status status = MM_OK;
    if (folder == NULL || parent == NULL)
        status = no_memory(err);
    if (status == MM_OK)
        status = mm_files_sync_folder(folder, err);
    if (status == MM_OK)
        status = mm_files_sync_folder(parent, err);
    if (status == MM_OK)
        status = mm_files_sync_folder(collection->root, err);
    free(parent);
    free(folder);
    return status;
}

mm_status mm_files_unit_sync(mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    mm_status status = mm_files_unit_open(sink, unit, err);
    MM_FAILPOINT("files.flush.before_sync");
    for (size_t i = 0; status == MM_OK && i < field_count(sink, unit); i++) {
        /* after a failed sync the kernel may call the lost pages clean: a second one proves nothing */
        if (MM_FAILPOINT_FAILS("files.flush.sync") || fdatasync(unit->files[i].fd) != 0)
            status = mm_error_errno(err, MM_IO, "syncing %s.npy", collection_of(sink, unit)->names[i]);
    }
    if (status == MM_OK && unit->fresh)
        status = sync_folders(sink, unit, err);
    if (status != MM_OK) {
        unit->failed = true;
        return status;
    }
    MM_FAILPOINT("files.flush.synced");
    unit->fresh = false;
    unit->flushed_rows = unit->rows;
    return MM_OK;
}

mm_status mm_files_unit_rename(mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    mm_status status = MM_OK;
    char *from = NULL, *to = NULL, *folder = mm_files_unit_folder(sink, unit);
    if (folder == NULL)
        return no_memory(err);
    for (size_t i = 0; status == MM_OK && i < field_count(sink, unit); i++) {
        from = mm_files_unit_path(sink, unit, i, true);
        to = mm_files_unit_path(sink, unit, i, false);
        if (from == NULL || to == NULL)
            status = no_memory(err);
        else if (rename(from, to) != 0 && (errno != ENOENT || access(to, F_OK) != 0))
            status = mm_error_errno(err, MM_IO, "renaming %s", from);
        free(from);
        free(to);
        MM_FAILPOINT("files.seal.renamed");
    }
    /* also when nothing was left to rename: the process that did it may have died before its sync */
    if (status == MM_OK)
        status = mm_files_sync_folder(folder, err);
    free(folder);
    return status;
}

/* --- after a crash --- */

static mm_status remove_unit(mm_sink *sink, const mm_files_unit *unit, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < field_count(sink, unit); i++) {
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

static mm_status settle_file(mm_sink *sink, const mm_files_unit *unit, size_t field, mm_error *err)
{
    const mm_files_collection *collection = collection_of(sink, unit);
    uint64_t wanted = MM_NPY_HEADER + unit->rows * collection->columns[field].width;
    bool sealed = unit->state == MM_FILES_SEALED;
    struct stat st;
    int fd = -1;
    mm_status status = open_file(sink, unit, field, sealed ? O_RDONLY : O_RDWR, sealed, &fd, err);
    if (status == MM_NOT_FOUND)
        return mm_error_set(err, MM_CHANGED, "%s/%s/%05" PRIu32 "/%s.npy is gone", collection->root,
                            collection->partitions[unit->partition].folder, unit->number,
                            collection->names[field]);
    if (status != MM_OK)
        return status;
    if (fstat(fd, &st) != 0)
        status = mm_error_errno(err, MM_IO, "%s.npy", collection->names[field]);
    else if ((uint64_t)st.st_size < wanted || (sealed && (uint64_t)st.st_size != wanted))
        status = mm_error_set(err, MM_CHANGED,
                              "%s/%s/%05" PRIu32 "/%s.npy has %jd bytes where %" PRIu64 " were recorded",
                              collection->root, collection->partitions[unit->partition].folder, unit->number,
                              collection->names[field], (intmax_t)st.st_size, wanted);
    else if ((uint64_t)st.st_size > wanted && !MM_SEEDED("no_settle") &&
             ftruncate(fd, (off_t)wanted) != 0)
        status = mm_error_errno(err, MM_IO, "truncating %s.npy", collection->names[field]);
    MM_FAILPOINT("files.settle.file");
    close(fd);
    return status;
}

mm_status mm_files_unit_settle(mm_sink *sink, mm_files_unit *unit, bool *gone, mm_error *err)
{
    *gone = unit->state == MM_FILES_OPEN && unit->rows == 0;
    if (*gone)
        return remove_unit(sink, unit, err);
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < field_count(sink, unit); i++)
        status = settle_file(sink, unit, i, err);
    return status;
}

/* --- counting --- */

static mm_status count_file(const mm_sink *sink, const mm_files_unit *unit, size_t field, uint64_t *rows,
                            mm_error *err)
{
    const mm_npy_column *column = &collection_of(sink, unit)->columns[field];
    int fd = -1;
    mm_error gone = MM_ERROR_INIT;
    mm_status status = open_file(sink, unit, field, O_RDONLY, true, &fd, &gone);
    if (status == MM_NOT_FOUND) {
        *rows = 0;
        return MM_OK;
    }
    if (status != MM_OK)
        return mm_error_set(err, status, "%s", gone.text);
    struct stat st;
    char header[MM_NPY_HEADER];
    size_t need;
    mm_npy_info info;
    if (fstat(fd, &st) != 0)
        status = mm_error_errno(err, MM_IO, "%s.npy", collection_of(sink, unit)->names[field]);
    else if (pread(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
             mm_npy_parse(header, sizeof(header), &info, &need, NULL) != MM_OK)
        *rows = 0;
    else
        *rows = ((uint64_t)st.st_size - MM_NPY_HEADER) / column->width;
    /* the header of a sealed file is part of what a reader sees */
    if (status == MM_OK && *rows > 0 && unit->state == MM_FILES_SEALED &&
        (info.shape[0] != *rows || info.bytes + info.offset != (uint64_t)st.st_size))
        *rows = 0;
    close(fd);
    return status;
}

mm_status mm_files_unit_count(mm_sink *sink, const mm_files_unit *unit, uint64_t *rows, mm_error *err)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < field_count(sink, unit); i++) {
        uint64_t found;
        mm_status status = count_file(sink, unit, i, &found, err);
        if (status != MM_OK)
            return status;
        if (found < least)
            least = found;
    }
    *rows = least;
    return MM_OK;
}
