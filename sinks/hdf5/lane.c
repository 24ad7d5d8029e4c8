/* Lanes of the target `hdf5`: rows to the slots of their task, and what a flush hands to the engine. Several lanes
 * write into one file, each into ranges of its own. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/hdf5/internal.h"

#define OPEN_MAX 8                   /* partitions whose files one lane keeps open */
#define HELD_MAX 256                 /* ranges that one lane remembers after a flush */
#define RUNS_MAX 16384               /* of a range: every flush writes its record with all of them */
#define KICK ((uint64_t)8 << 20)     /* bytes after which their writeback is started */
#define MORE ((uint64_t)4 << 20)     /* bytes of slots for a task that has more rows than was planned */
#define PLANNED_MAX ((uint64_t)1 << 50) /* bytes: a plan that says more knows nothing */

/* One partition's files, of one lane. */
typedef struct outlet {
    uint32_t collection, file;
    int vectors, keys; /* -1: closed */
    bool dirty;        /* written since the last flush */
} outlet;

struct mm_lane {
    mm_sink *sink;
    mm_h5_range **ranges; /* held by this lane, the one written last at the end */
    size_t count, capacity;
    outlet *outlets; /* the one written last at the end */
    size_t outlet_count, outlet_capacity;
    mm_h5_reading reading;
};

mm_sink *mm_h5_lane_sink(mm_lane *lane)
{
    return lane->sink;
}

mm_h5_reading *mm_h5_lane_reading(mm_lane *lane)
{
    return &lane->reading;
}

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a lane");
}

mm_status mm_h5_lane_open(mm_sink *sink, uint32_t number, mm_lane **out, mm_error *err)
{
    (void)number;
    mm_lane *lane = calloc(1, sizeof(*lane));
    if (lane == NULL)
        return no_memory(err);
    lane->sink = sink;
    lane->reading.fd = -1;
    *out = lane;
    return MM_OK;
}

/* --- bytes --- */

mm_status mm_h5_put(int fd, const void *bytes, size_t size, uint64_t at, const char *name, mm_error *err)
{
    const char *next = bytes;
    while (size > 0) {
        ssize_t done = pwrite(fd, next, size, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return mm_error_errno(err, MM_IO, "writing %s", name);
        next += done;
        size -= (size_t)done;
        at += (uint64_t)done;
    }
    return MM_OK;
}

mm_status mm_h5_get(int fd, void *bytes, size_t size, uint64_t at, const char *name, mm_error *err)
{
    char *next = bytes;
    while (size > 0) {
        ssize_t got = pread(fd, next, size, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mm_error_errno(err, MM_IO, "reading %s", name);
        if (got == 0)
            return mm_error_set(err, MM_MISMATCH, "%s ends at byte %" PRIu64, name, at);
        next += got;
        size -= (size_t)got;
        at += (uint64_t)got;
    }
    return MM_OK;
}

/* --- the files --- */

static void close_outlet(outlet *o)
{
    if (o->vectors >= 0)
        close(o->vectors);
    if (o->keys >= 0)
        close(o->keys);
    o->vectors = o->keys = -1;
}

static mm_status open_file(const mm_h5_collection *c, const mm_h5_file *file, const char *extension, int *out,
                           mm_error *err)
{
    char *path = mm_h5_path(c, file, extension);
    if (path == NULL)
        return no_memory(err);
    mm_status status = MM_OK;
    *out = open(path, O_RDWR | O_CLOEXEC);
    if (*out < 0 && errno == ENOENT)
        status = mm_error_set(err, MM_CHANGED, "%s is gone", path);
    else if (*out < 0)
        status = mm_error_errno(err, MM_IO, "%s", path);
    free(path);
    return status;
}

static mm_status open_outlet(const mm_sink *sink, outlet *o, mm_error *err)
{
    const mm_h5_collection *c = &sink->collections[o->collection];
    const mm_h5_file *file = &c->files[o->file];
    mm_status status = MM_OK;
    if (o->vectors < 0)
        status = open_file(c, file, MM_H5_PART, &o->vectors, err);
    if (status == MM_OK && o->keys < 0)
        status = open_file(c, file, MM_H5_KEYS, &o->keys, err);
    return status;
}

/* The outlet, at the end of the list, open; the oldest are closed when there are many. */
static mm_status outlet_for(mm_lane *lane, uint32_t collection, uint32_t file, outlet **out, mm_error *err)
{
    size_t at = lane->outlet_count;
    while (at > 0 && (lane->outlets[at - 1].collection != collection || lane->outlets[at - 1].file != file))
        at--;
    if (at == 0 && lane->outlet_count == lane->outlet_capacity) {
        size_t capacity = lane->outlet_capacity ? lane->outlet_capacity * 2 : 8;
        outlet *outlets = reallocarray(lane->outlets, capacity, sizeof(*outlets));
        if (outlets == NULL)
            return no_memory(err);
        lane->outlets = outlets;
        lane->outlet_capacity = capacity;
    }
    outlet wanted = {collection, file, -1, -1, false};
    if (at > 0) {
        wanted = lane->outlets[at - 1];
        memmove(&lane->outlets[at - 1], &lane->outlets[at], (lane->outlet_count - at) * sizeof(wanted));
        lane->outlet_count--;
    }
    outlet *o = &lane->outlets[lane->outlet_count++];
    *o = wanted;
    if (lane->outlet_count > OPEN_MAX)
        close_outlet(&lane->outlets[lane->outlet_count - 1 - OPEN_MAX]);
    *out = o;
    return open_outlet(lane->sink, o, err);
}

/* --- which range --- */

static mm_status hold(mm_lane *lane, mm_h5_range *range, mm_error *err)
{
    if (lane->count == lane->capacity) {
        size_t capacity = lane->capacity ? lane->capacity * 2 : 8;
        mm_h5_range **ranges = reallocarray(lane->ranges, capacity, sizeof(*ranges));
        if (ranges == NULL)
            return no_memory(err);
        lane->ranges = ranges;
        lane->capacity = capacity;
    }
    lane->ranges[lane->count++] = range;
    return MM_OK;
}

/* Slots for the rest of the task, as it was planned; a task that has more rows gets some more, time and again. */
static uint64_t slots_wanted(const mm_h5_collection *c, const mm_write *what, uint64_t ordinal, size_t rows)
{
    uint64_t planned = what->task_rows > ordinal ? what->task_rows - ordinal : 0, more = MORE / c->width;
    if (planned > PLANNED_MAX / c->width || planned == 0)
        planned = more;
    return planned > rows ? planned : rows;
}

static mm_status range_for(mm_lane *lane, const mm_write *what, const mm_batch *batch, size_t row, mm_h5_range **out,
                           mm_error *err)
{
    const mm_h5_collection *c = &lane->sink->collections[what->collection];
    uint32_t file = c->file_of[what->partition];
    for (size_t i = lane->count; i-- > 0;) {
        mm_h5_range *held = lane->ranges[i];
        if (held->task != what->task || held->rows == held->capacity || held->collection != what->collection ||
            held->file != file)
            continue;
        memmove(&lane->ranges[i], &lane->ranges[i + 1], (lane->count - i - 1) * sizeof(mm_h5_range *));
        lane->ranges[lane->count - 1] = *out = held;
        return held->failed ? mm_error_set(err, MM_IO, "a former write to %s failed", c->files[file].name) : MM_OK;
    }
    mm_status status = MM_OK;
    mm_h5_range_take(lane->sink, what->collection, file, what->task, out);
    if (*out == NULL) {
        uint64_t ordinal = batch->first_row + (batch->ordinals ? batch->ordinals[row] : row);
        uint64_t slots = slots_wanted(c, what, ordinal, batch->rows - row);
        status = mm_h5_range_new(lane->sink, what->collection, file, what->task, slots, out, err);
    }
    return status == MM_OK ? hold(lane, *out, err) : status;
}

/* --- rows --- */

/* A hint: where it does not work, fdatasync does all. */
static void kick(const mm_h5_collection *c, const outlet *o, mm_h5_range *range)
{
    uint64_t bytes = (range->rows - range->kicked_rows) * c->width;
    uint64_t at = c->head + (range->start + range->kicked_rows) * c->width;
    if (bytes >= KICK && sync_file_range(o->vectors, (off_t)at, (off_t)bytes, SYNC_FILE_RANGE_WRITE) == 0)
        range->kicked_rows = range->rows;
}

static mm_status put_rows(const mm_h5_collection *c, const outlet *o, mm_h5_range *range, const mm_batch *batch,
                          size_t from, size_t count, mm_error *err)
{
    const char *name = c->files[range->file].name;
    uint64_t slot = range->start + range->rows;
    mm_status status = mm_h5_put(o->vectors, batch->columns[c->vector_column].values + from * c->width,
                                 count * c->width, c->head + slot * c->width, name, err);
    MM_FAILPOINT("hdf5.write.vectors");
    if (status == MM_OK)
        status = mm_h5_put(o->keys, batch->columns[c->key_column].values + from * MM_H5_KEY_WIDTH,
                           count * MM_H5_KEY_WIDTH, slot * MM_H5_KEY_WIDTH, name, err);
    if (status != MM_OK)
        return status;
    range->rows += count;
    kick(c, o, range);
    return MM_OK;
}

static mm_status write_piece(mm_lane *lane, const mm_write *what, const mm_batch *batch, size_t from, size_t *count,
                             mm_error *err)
{
    const mm_h5_collection *c = &lane->sink->collections[what->collection];
    mm_h5_range *range;
    outlet *o = NULL;
    mm_status status = range_for(lane, what, batch, from, &range, err);
    if (status == MM_OK)
        status = outlet_for(lane, range->collection, range->file, &o, err);
    if (status != MM_OK)
        return status;
    uint64_t room = range->capacity - range->rows;
    *count = batch->rows - from < room ? batch->rows - from : (size_t)room;
    o->dirty = true;
    status = mm_h5_range_note(range, batch, from, *count, err);
    if (status == MM_OK)
        status = put_rows(c, o, range, batch, from, *count, err);
    if (status != MM_OK) {
        range->failed = true; /* its runs and its slots may not agree */
        return status;
    }
    mm_h5_range *rest;
    if (range->run_count < RUNS_MAX || range->rows == range->capacity)
        return MM_OK;
    status = mm_h5_range_split(lane->sink, range, &rest, err);
    return status == MM_OK ? hold(lane, rest, err) : status;
}

mm_status mm_h5_write(mm_lane *lane, const mm_write *what, const mm_batch *batch, size_t *acknowledged, mm_error *err)
{
    mm_sink *sink = lane->sink;
    if (what->collection >= sink->collection_count ||
        what->partition >= sink->collections[what->collection].partition_count)
        return mm_error_set(err, MM_BUG, "no collection %" PRIu32 " with a partition %" PRIu32, what->collection,
                            what->partition);
    for (size_t row = what->from; row < batch->rows;) {
        size_t count = 0;
        mm_status status = write_piece(lane, what, batch, row, &count, err);
        if (status != MM_OK)
            return status;
        row += count;
        *acknowledged = row;
    }
    MM_FAILPOINT("hdf5.write.after");
    return MM_OK;
}

/* --- flush --- */

static mm_status sync_outlet(const mm_sink *sink, outlet *o, mm_error *err)
{
    mm_status status = open_outlet(sink, o, err);
    MM_FAILPOINT("hdf5.flush.before_sync");
    /* after a failed sync the kernel may call the lost pages clean: a second one proves nothing */
    if (status == MM_OK &&
        (MM_FAILPOINT_FAILS("hdf5.flush.sync") || fdatasync(o->vectors) != 0 || fdatasync(o->keys) != 0))
        status = mm_error_errno(err, MM_IO, "syncing %s", sink->collections[o->collection].files[o->file].name);
    if (status == MM_OK)
        o->dirty = false;
    return status;
}

static mm_status hand_over(mm_h5_range *range, mm_changes *changes, mm_error *err)
{
    char *key, *value;
    mm_status status = mm_h5_range_print(range, &key, &value, err);
    if (status != MM_OK)
        return status;
    status = mm_sink_change(changes, key, value);
    free(key);
    free(value);
    if (status != MM_OK)
        return mm_error_set(err, status, "out of memory for a flush");
    range->flushed_rows = range->rows;
    range->cut = false;
    return MM_OK;
}

mm_status mm_h5_flush(mm_lane *lane, mm_changes *changes, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < lane->outlet_count; i++) {
        if (lane->outlets[i].dirty)
            status = sync_outlet(lane->sink, &lane->outlets[i], err);
        if (lane->outlet_count - i > OPEN_MAX)
            close_outlet(&lane->outlets[i]);
    }
    MM_FAILPOINT("hdf5.flush.synced");
    size_t kept = 0;
    for (size_t i = 0; i < lane->count; i++) {
        mm_h5_range *range = lane->ranges[i];
        if (status == MM_OK && range->failed)
            status = mm_error_set(err, MM_IO, "a former write failed");
        if (status == MM_OK && (range->rows != range->flushed_rows || range->cut))
            status = hand_over(range, changes, err);
        /* a task that is done may have left slots empty: nobody says so, and the oldest are let go */
        if (status != MM_OK || (range->rows < range->capacity && lane->count - i <= HELD_MAX))
            lane->ranges[kept++] = range;
    }
    lane->count = kept;
    return status;
}

void mm_h5_lane_close(mm_lane *lane)
{
    if (lane == NULL)
        return;
    for (size_t i = 0; i < lane->outlet_count; i++)
        close_outlet(&lane->outlets[i]);
    if (lane->reading.fd >= 0)
        close(lane->reading.fd);
    free(lane->outlets);
    free(lane->ranges);
    free(lane);
}
