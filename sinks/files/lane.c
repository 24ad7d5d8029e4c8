/* Lanes of the target `files`: which unit the rows go to, when a unit is full, and what a flush hands to the
 * engine. A lane keeps the units that it writes until it closes, also while it writes to others: rows of
 * two lanes in one unit could not be committed apart. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/util.h"
#include "sinks/files/internal.h"

#define OPEN_MAX_UNITS 8 /* units of one lane whose files stay open */
/* A unit with so many runs, or pieces of tasks, is full: every flush writes its record with all of them. A run
 * that only skips rows takes some 5 bytes of it, one of another task up to 40. */
#define RUNS_MAX 65536
#define GROUPS_MAX 4096

struct mm_lane {
    mm_sink *sink;
    mm_files_unit **units; /* held by this lane, the one written last at the end */
    size_t count, capacity;
    mm_files_unit **handed; /* sealed in the last flush: committed when the next one begins */
    size_t handed_count, handed_capacity;
    mm_files_reading *reading;
    size_t gathered; /* bytes that wait in its units for becoming pieces of files */
};

mm_sink *mm_files_lane_sink(mm_lane *lane)
{
    return lane->sink;
}

mm_files_reading **mm_files_lane_reading(mm_lane *lane)
{
    return &lane->reading;
}

mm_status mm_files_lane_open(mm_sink *sink, uint32_t number, mm_lane **out, mm_error *err)
{
    (void)number;
    mm_lane *lane = calloc(1, sizeof(*lane));
    if (lane == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a lane");
    lane->sink = sink;
    *out = lane;
    return MM_OK;
}

mm_status mm_files_add_unit(mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    mm_status status = MM_OK;
    pthread_mutex_lock(&sink->lock);
    if (sink->unit_count == sink->unit_capacity) {
        size_t capacity = sink->unit_capacity ? sink->unit_capacity * 2 : 64;
        mm_files_unit **units = reallocarray(sink->units, capacity, sizeof(*units));
        if (units == NULL) {
            status = mm_error_set(err, MM_NO_MEMORY, "out of memory for a unit");
            goto out;
        }
        sink->units = units;
        sink->unit_capacity = capacity;
    }
    sink->units[sink->unit_count++] = unit;
out:
    pthread_mutex_unlock(&sink->lock);
    return status;
}

/* --- which unit --- */

static mm_status hold(mm_lane *lane, mm_files_unit *unit, mm_error *err)
{
    if (lane->count == lane->capacity) {
        size_t capacity = lane->capacity ? lane->capacity * 2 : 8;
        mm_files_unit **units = reallocarray(lane->units, capacity, sizeof(*units));
        if (units == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for a lane");
        lane->units = units;
        lane->capacity = capacity;
    }
    lane->units[lane->count++] = unit;
    return MM_OK;
}

/* A unit that a former process left open. Not one of another lane, even if that has closed: its rows may not
 * be committed yet, and a record of this lane would vouch for them. */
static mm_files_unit *take_idle(mm_sink *sink, uint32_t collection, uint32_t partition)
{
    mm_files_unit *found = NULL;
    pthread_mutex_lock(&sink->lock);
    for (size_t i = 0; i < sink->unit_count && found == NULL; i++) {
        mm_files_unit *unit = sink->units[i];
        if (unit->idle && unit->collection == collection && unit->partition == partition)
            found = unit;
    }
    if (found)
        found->idle = false;
    pthread_mutex_unlock(&sink->lock);
    return found;
}

/* The number of a unit's name: "00012", ".00012", "00012.parquet". False: not one. */
static bool number_of_name(const char *name, uint32_t *out)
{
    char *end;
    name += name[0] == '.';
    unsigned long number = strtoul(name, &end, 10);
    if (name[0] < '0' || name[0] > '9' || (*end != '\0' && *end != '.') || number >= UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

/* One above the highest number in the folder. */
static mm_status scan_numbers(const char *path, uint32_t *next, mm_error *err)
{
    uint32_t highest = 0;
    bool any = false;
    DIR *folder = opendir(path);
    if (folder == NULL && errno != ENOENT)
        return mm_error_errno(err, MM_IO, "%s", path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        uint32_t number;
        if (!number_of_name(entry->d_name, &number))
            continue;
        if (!any || number > highest)
            highest = number;
        any = true;
    }
    if (folder)
        closedir(folder);
    *next = any ? highest + 1 : 0;
    return MM_OK;
}

/* Units whose files are not in the folder any more (carried, given away) have their numbers still. */
static void above_known(const mm_sink *sink, uint32_t collection, const char *folder, uint32_t *next)
{
    for (size_t i = 0; i < sink->unit_count; i++) {
        const mm_files_unit *unit = sink->units[i];
        if (unit->collection == collection && unit->number >= *next &&
            strcmp(sink->collections[collection].partitions[unit->partition].folder, folder) == 0)
            *next = unit->number + 1;
    }
}

/* Numbers are counted by folder name, since two partitions of the plan may go into one. */
static mm_status next_number(mm_sink *sink, uint32_t collection, uint32_t partition, uint32_t *out,
                             mm_error *err)
{
    mm_files_collection *c = &sink->collections[collection];
    mm_files_partition *counter = &c->partitions[partition];
    for (size_t i = 0; i < partition; i++) {
        if (strcmp(c->partitions[i].folder, counter->folder) == 0) {
            counter = &c->partitions[i];
            break;
        }
    }
    mm_status status = MM_OK;
    pthread_mutex_lock(&sink->lock);
    if (counter->next == 0) {
        char *path = mm_format("%s/%s", c->root, counter->folder);
        if (path == NULL)
            status = mm_error_set(err, MM_NO_MEMORY, "out of memory for a unit");
        else
            status = scan_numbers(path, &counter->next, err);
        free(path);
        above_known(sink, collection, counter->folder, &counter->next);
    }
    if (status == MM_OK)
        *out = counter->next++;
    pthread_mutex_unlock(&sink->lock);
    return status;
}

static mm_status forget_record(mm_sink *sink, const mm_files_unit *unit, mm_error *err)
{
    char *key = mm_format("unit/%" PRIu32 "/%" PRIu32 "/%05" PRIu32, unit->collection, unit->partition, unit->number);
    if (key == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a unit");
    mm_status status = sink->host.record(sink->host.context, key, NULL, err);
    free(key);
    return status;
}

/* Record first, folder second: so no folder of ours is ever unknown to the store. */
static mm_status new_unit(mm_sink *sink, uint32_t collection, uint32_t partition, mm_files_unit **out,
                          mm_error *err)
{
    mm_files_unit *unit = NULL;
    mm_status status = MM_OK;
    for (bool taken = true; taken;) {
        unit = mm_files_unit_new(sink, collection);
        if (unit == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for a unit");
        unit->partition = partition;
        status = next_number(sink, collection, partition, &unit->number, err);
        if (status == MM_OK)
            status = mm_files_unit_record(sink, unit, err);
        MM_FAILPOINT("files.unit.recorded");
        if (status == MM_OK)
            status = mm_files_unit_create(sink, unit, &taken, err);
        if (status != MM_OK && taken)
            status = forget_record(sink, unit, err);
        if (status != MM_OK || taken)
            mm_files_unit_free(unit);
        if (status != MM_OK)
            return status;
    }
    status = mm_files_add_unit(sink, unit, err);
    if (status != MM_OK) {
        mm_files_unit_free(unit);
        return status;
    }
    *out = unit;
    return MM_OK;
}

mm_status mm_files_lane_begin(mm_lane *lane, uint32_t collection, uint32_t partition, mm_files_unit **out, mm_error *err)
{
    mm_status status = new_unit(lane->sink, collection, partition, out, err);
    return status == MM_OK ? hold(lane, *out, err) : status;
}

/* Files of units that this lane does not write at the moment are closed when there are many. */
static void close_oldest(mm_lane *lane)
{
    size_t open = 0;
    for (size_t i = lane->count; i-- > 0;) {
        mm_files_unit *unit = lane->units[i];
        if (unit->files[0].fd >= 0 && ++open > OPEN_MAX_UNITS)
            mm_files_unit_close(unit);
    }
}

static mm_status choose(mm_lane *lane, const mm_write *what, mm_files_unit **out, mm_error *err)
{
    mm_files_unit *unit = NULL;
    for (size_t i = lane->count; i-- > 0;) {
        mm_files_unit *held = lane->units[i];
        if (held->state == MM_FILES_OPEN && held->collection == what->collection &&
            held->partition == what->partition) {
            unit = held;
            memmove(&lane->units[i], &lane->units[i + 1], (lane->count - i - 1) * sizeof(*lane->units));
            lane->units[lane->count - 1] = unit;
            break;
        }
    }
    mm_status status = MM_OK;
    if (unit == NULL) {
        unit = take_idle(lane->sink, what->collection, what->partition);
        if (unit == NULL)
            status = new_unit(lane->sink, what->collection, what->partition, &unit, err);
        if (status == MM_OK)
            status = hold(lane, unit, err);
    }
    if (status == MM_OK && unit->failed)
        status = mm_error_set(err, MM_IO, "a former write to unit %05" PRIu32 " failed", unit->number);
    if (status == MM_OK)
        status = mm_files_unit_open(lane->sink, unit, err);
    if (status != MM_OK)
        return status;
    close_oldest(lane);
    *out = unit;
    return MM_OK;
}

/* --- rows --- */

/* No row goes into this unit any more. */
static mm_status end_unit(mm_lane *lane, mm_files_unit *unit, mm_error *err)
{
    mm_status status = mm_files_unit_finish(lane->sink, unit, err);
    unit->state = MM_FILES_FULL;
    return status;
}

/* What was gathered becomes a piece of the file; that may make the unit large enough. */
static mm_status write_gathered(mm_lane *lane, mm_files_unit *unit, mm_error *err)
{
    size_t bytes = mm_files_gather_bytes(unit->gather);
    if (bytes == 0)
        return MM_OK;
    const mm_batch *batch = mm_files_gather_batch(unit->gather);
    mm_status status = mm_files_unit_open(lane->sink, unit, err);
    if (status == MM_OK)
        status = mm_files_unit_append(lane->sink, unit, batch, 0, batch->rows, err);
    lane->gathered -= bytes;
    mm_files_gather_empty(unit->gather);
    if (status != MM_OK)
        unit->failed = true;
    else if (mm_files_unit_size(unit) >= lane->sink->file_size)
        status = end_unit(lane, unit, err);
    return status;
}

/* Rows for several units wait in this lane: the largest heap is written until all fit into its memory. */
static mm_status keep_within(mm_lane *lane, mm_error *err)
{
    mm_status status = MM_OK;
    while (status == MM_OK && lane->gathered > lane->sink->group_bytes) {
        mm_files_unit *largest = NULL;
        for (size_t i = 0; i < lane->count; i++)
            if (largest == NULL ||
                mm_files_gather_bytes(lane->units[i]->gather) > mm_files_gather_bytes(largest->gather))
                largest = lane->units[i];
        if (largest == NULL)
            return mm_error_set(err, MM_BUG, "%zu bytes gathered for no unit", lane->gathered);
        status = write_gathered(lane, largest, err);
    }
    return status;
}

static mm_status gather(mm_lane *lane, mm_files_unit *unit, const mm_batch *batch, size_t from, size_t count,
                        mm_error *err)
{
    size_t bytes = mm_files_rows_bytes(batch, from, count);
    mm_status status = MM_OK;
    if (bytes >= lane->sink->group_bytes && mm_files_gather_bytes(unit->gather) == 0)
        return mm_files_unit_append(lane->sink, unit, batch, from, count, err);
    if (unit->gather == NULL)
        status = mm_files_gather_new(lane->sink->collections[unit->collection].plan->schema, &unit->gather, err);
    if (status == MM_OK)
        status = mm_files_gather_add(unit->gather, batch, from, count, err);
    if (status != MM_OK) {
        unit->failed = true;
        return status;
    }
    lane->gathered += bytes;
    if (mm_files_gather_bytes(unit->gather) >= lane->sink->group_bytes)
        return write_gathered(lane, unit, err);
    return keep_within(lane, err);
}

static bool is_full(const mm_sink *sink, const mm_files_unit *unit)
{
    uint64_t rows_max = sink->collections[unit->collection].rows_max;
    return unit->rows == rows_max || (rows_max == UINT64_MAX && mm_files_unit_size(unit) >= sink->file_size) ||
           unit->run_count >= RUNS_MAX || unit->group_count >= GROUPS_MAX;
}

static mm_status write_rows(mm_lane *lane, mm_files_unit *unit, uint64_t task, const mm_batch *batch, size_t from,
                            size_t count, mm_error *err)
{
    mm_sink *sink = lane->sink;
    mm_status status = mm_files_runs_add(unit, task, batch, from, count, err);
    if (status != MM_OK)
        unit->failed = true; /* some of the runs may be in */
    else if (sink->group_bytes > 0)
        status = gather(lane, unit, batch, from, count, err);
    else
        status = mm_files_unit_append(sink, unit, batch, from, count, err);
    if (status != MM_OK || unit->state != MM_FILES_OPEN || !is_full(sink, unit))
        return status;
    status = write_gathered(lane, unit, err);
    return status == MM_OK && unit->state == MM_FILES_OPEN ? end_unit(lane, unit, err) : status;
}

/* --- the driver's functions --- */

mm_status mm_files_write(mm_lane *lane, const mm_write *what, const mm_batch *batch, size_t *acknowledged,
                         mm_error *err)
{
    mm_sink *sink = lane->sink;
    if (what->collection >= sink->collection_count ||
        what->partition >= sink->collections[what->collection].partition_count)
        return mm_error_set(err, MM_BUG, "no collection %" PRIu32 " with a partition %" PRIu32,
                            what->collection, what->partition);
    uint64_t rows_max = sink->collections[what->collection].rows_max;
    for (size_t row = what->from; row < batch->rows;) {
        mm_files_unit *unit;
        mm_status status = choose(lane, what, &unit, err);
        if (status != MM_OK)
            return status;
        size_t count = batch->rows - row;
        if (count > rows_max - unit->rows)
            count = (size_t)(rows_max - unit->rows);
        status = write_rows(lane, unit, what->task, batch, row, count, err);
        if (status != MM_OK)
            return status;
        row += count;
        *acknowledged = row;
    }
    MM_FAILPOINT("files.write.after");
    return MM_OK;
}

static mm_status flush_unit(mm_lane *lane, mm_files_unit *unit, mm_changes *changes, mm_error *err)
{
    if (unit->failed)
        return mm_error_set(err, MM_IO, "a former write to unit %05" PRIu32 " failed", unit->number);
    mm_status status = mm_files_unit_sync(lane->sink, unit, err);
    if (status != MM_OK)
        return status;
    char *key, *value;
    status = mm_files_record(unit, &key, &value, err);
    if (status != MM_OK)
        return status;
    status = mm_sink_change(changes, key, value);
    if (status != MM_OK)
        mm_error_set(err, status, "out of memory for a flush");
    free(key);
    free(value);
    return status;
}

/* A flush begins when the one before it is committed (docs/savepoints.md, rule 10). */
static void commit_handed(mm_lane *lane)
{
    for (size_t i = 0; i < lane->handed_count; i++)
        mm_files_unit_set_committed(lane->sink, lane->handed[i]);
    lane->handed_count = 0;
}

static mm_status hand_over(mm_lane *lane, mm_files_unit *unit, mm_error *err)
{
    if (lane->handed_count == lane->handed_capacity) {
        size_t capacity = lane->handed_capacity ? lane->handed_capacity * 2 : 8;
        mm_files_unit **handed = reallocarray(lane->handed, capacity, sizeof(*handed));
        if (handed == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for a flush");
        lane->handed = handed;
        lane->handed_capacity = capacity;
    }
    lane->handed[lane->handed_count++] = unit;
    mm_files_unit_close(unit);
    unit->state = MM_FILES_SEALED;
    return MM_OK;
}

mm_status mm_files_flush(mm_lane *lane, mm_changes *changes, mm_error *err)
{
    size_t kept = 0;
    mm_status status = MM_OK;
    commit_handed(lane);
    for (size_t i = 0; i < lane->count; i++) {
        mm_files_unit *unit = lane->units[i];
        if (status == MM_OK)
            status = write_gathered(lane, unit, err);
        if (status == MM_OK && (unit->rows != unit->flushed_rows || unit->state == MM_FILES_FULL))
            status = flush_unit(lane, unit, changes, err);
        if (status == MM_OK && unit->state == MM_FILES_FULL) {
            status = hand_over(lane, unit, err);
            continue;
        }
        lane->units[kept++] = unit;
    }
    lane->count = kept;
    return status;
}

/* The units stay with the sink. Here, in the threads of all lanes at once, those that are not full are ended: nothing
 * more comes into them from this process. What was not flushed is left for settle. */
void mm_files_lane_close(mm_lane *lane)
{
    if (lane == NULL)
        return;
    mm_sink *sink = lane->sink;
    for (size_t i = 0; i < lane->count; i++) {
        mm_files_unit *unit = lane->units[i];
        mm_error err = MM_ERROR_INIT;
        bool lost = unit->rows != unit->flushed_rows || unit->state == MM_FILES_FULL ||
                    mm_files_gather_bytes(unit->gather) > 0;
        if (!lost && !unit->failed && unit->state == MM_FILES_OPEN && unit->rows > 0 &&
            mm_files_unit_finish(sink, unit, &err) != MM_OK)
            mm_log(MM_LOG_DEBUG, "unit %05" PRIu32 " is ended later: %s", unit->number, err.text);
        mm_files_unit_close(unit);
        mm_files_gather_free(unit->gather);
        unit->gather = NULL;
        unit->failed = unit->failed || lost;
    }
    mm_files_reading_close(lane->reading);
    free(lane->handed);
    free(lane->units);
    free(lane);
}
