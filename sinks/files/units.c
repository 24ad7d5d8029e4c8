/* Units that are complete: sealed, told to who embeds this sink, given away. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/files/internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a unit of files");
}

mm_storage *mm_files_storage(mm_sink *sink)
{
    return sink->storage;
}

mm_status mm_files_unit_record(mm_sink *sink, const mm_files_unit *unit, mm_error *err)
{
    char *key, *value;
    mm_status status = mm_files_record(unit, &key, &value, err);
    if (status != MM_OK)
        return status;
    status = sink->host.record(sink->host.context, key, value, err);
    free(key);
    free(value);
    return status;
}

/* --- sealing --- */

void mm_files_unit_set_committed(mm_sink *sink, mm_files_unit *unit)
{
    pthread_mutex_lock(&sink->lock);
    if (!unit->committed)
        atomic_fetch_add(&sink->files_known, unit->file_count);
    unit->committed = true;
    pthread_mutex_unlock(&sink->lock);
}

mm_status mm_files_unit_seal(mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    mm_status status = MM_OK;
    if (unit->failed || unit->rows != unit->flushed_rows || unit->state == MM_FILES_FULL)
        return mm_error_set(err, MM_BUG, "unit %05" PRIu32 " has rows that were not flushed", unit->number);
    if (unit->state == MM_FILES_OPEN) {
        status = mm_files_unit_finish(sink, unit, err);
        if (status == MM_OK)
            status = mm_files_unit_sync(sink, unit, err);
        mm_files_unit_close(unit);
        if (status != MM_OK)
            return status;
        unit->state = MM_FILES_SEALED;
        status = mm_files_unit_record(sink, unit, err);
        if (status != MM_OK)
            unit->state = MM_FILES_OPEN;
        MM_FAILPOINT("files.seal.recorded");
    }
    if (status == MM_OK)
        mm_files_unit_set_committed(sink, unit);
    return status;
}

static mm_status drop_empty(mm_sink *sink, mm_files_unit *unit, mm_error *err)
{
    bool gone;
    char *key = mm_format("unit/%" PRIu32 "/%" PRIu32 "/%05" PRIu32, unit->collection, unit->partition, unit->number);
    if (key == NULL)
        return no_memory(err);
    mm_files_unit_close(unit);
    mm_status status = mm_files_unit_settle(sink, unit, &gone, err);
    if (status == MM_OK)
        status = sink->host.record(sink->host.context, key, NULL, err);
    unit->dropped = status == MM_OK;
    free(key);
    return status;
}

mm_status mm_files_units_seal(mm_sink *sink, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < sink->unit_count; i++) {
        mm_files_unit *unit = sink->units[i];
        if (unit->rows > 0)
            status = unit->committed ? MM_OK : mm_files_unit_seal(sink, unit, err);
        else if (!unit->dropped)
            status = drop_empty(sink, unit, err);
    }
    return status;
}

/* --- telling --- */

static bool is_complete(const mm_sink *sink, const mm_files_unit *unit)
{
    if (!unit->committed || unit->told || unit->released || unit->rows == 0)
        return false;
    for (size_t i = 0; sink->remote && i < unit->file_count; i++)
        if (unit->files[i].etag[0] == '\0')
            return false;
    return true;
}

static mm_files_unit *next_complete(mm_sink *sink, size_t *at)
{
    mm_files_unit *found = NULL;
    pthread_mutex_lock(&sink->lock);
    for (; *at < sink->unit_count && found == NULL; (*at)++)
        if (is_complete(sink, sink->units[*at]))
            found = sink->units[*at];
    pthread_mutex_unlock(&sink->lock);
    return found;
}

static mm_status tell(const mm_sink *sink, const mm_files_unit *unit, mm_files_sealed_fn fn, void *context,
                      mm_error *err)
{
    mm_files_sealed sealed = {.collection = unit->collection, .partition = unit->partition, .number = unit->number,
                              .rows = unit->rows, .key_count = unit->file_count};
    char **keys = calloc(unit->file_count, sizeof(*keys));
    mm_status status = keys ? MM_OK : no_memory(err);
    for (size_t i = 0; status == MM_OK && i < unit->file_count; i++) {
        keys[i] = sink->remote ? mm_files_unit_key(sink, unit, i) : mm_files_unit_path(sink, unit, i, false);
        sealed.bytes += unit->files[i].size;
        if (keys[i] == NULL)
            status = no_memory(err);
    }
    sealed.keys = (const char *const *)keys;
    if (status == MM_OK)
        status = fn(context, &sealed, err);
    for (size_t i = 0; keys && i < unit->file_count; i++)
        free(keys[i]);
    free(keys);
    return status;
}

mm_status mm_files_units_take(mm_sink *sink, mm_files_sealed_fn fn, void *context, mm_error *err)
{
    mm_status status = MM_OK;
    size_t at = 0;
    for (mm_files_unit *unit; status == MM_OK && (unit = next_complete(sink, &at)) != NULL;) {
        if (!sink->remote)
            status = mm_files_unit_rename(sink, unit, err);
        if (status == MM_OK)
            status = tell(sink, unit, fn, context, err);
        unit->told = status == MM_OK;
    }
    return status;
}

mm_status mm_files_units_release(mm_sink *sink, uint32_t collection, uint32_t partition, uint32_t number, mm_error *err)
{
    mm_files_unit *unit = NULL;
    pthread_mutex_lock(&sink->lock);
    for (size_t i = 0; i < sink->unit_count && unit == NULL; i++)
        if (sink->units[i]->collection == collection && sink->units[i]->partition == partition &&
            sink->units[i]->number == number)
            unit = sink->units[i];
    pthread_mutex_unlock(&sink->lock);
    if (unit == NULL || !unit->committed)
        return mm_error_set(err, MM_BUG, "no sealed unit %" PRIu32 "/%" PRIu32 "/%05" PRIu32, collection, partition,
                            number);
    unit->released = true;
    mm_status status = mm_files_unit_record(sink, unit, err);
    if (status != MM_OK)
        unit->released = false;
    return status;
}
