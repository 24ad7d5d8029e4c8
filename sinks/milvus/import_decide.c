/* Steps of an import after the copy: refresh, so that what was imported is seen; and the decision of unclear groups by
 * their keys, which are read from the staged files: all there: done; none: imported again; else removed by key, where
 * that touches nobody else's rows, and imported again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "formats/format.h"
#include "sinks/milvus/import.h"

enum {
    POLL_MS = 200,
    REFRESH_WAIT_MS = 600000,
    /* A server of 2.3 removes the segments of a failed task up to 5 minutes later
     * (rootcoord's import manager, clean-up loop): rows that are seen until then may still go. */
    CLEAN_WAIT_MS = 600000,
    CLEAN_POLL_MS = 2000,
    BATCH_BYTES = 1 << 20,
    PART_BYTES = 64 << 20
};

/* --- refresh ------------------------------------------------------------------------------------------------ */

static mm_status wait_refreshed(mm_sink *sink, const mm_milvus_target *target, mm_error *err)
{
    uint64_t end = mm_clock_ms() + REFRESH_WAIT_MS;
    for (;;) {
        int64_t percent = 0;
        pthread_mutex_lock(&sink->lock);
        mm_status status = mm_milvus_refresh_progress(sink->client, target->work, &percent, err);
        pthread_mutex_unlock(&sink->lock);
        if (status != MM_OK || percent >= 100)
            return status;
        if (mm_clock_ms() > end)
            return mm_error_set(err, MM_NOT_READY, "collection '%s' is refreshed to %" PRId64 " %% after %d s",
                                target->work, percent, REFRESH_WAIT_MS / 1000);
        status = mm_milvus_pause(sink, POLL_MS, err);
        if (status != MM_OK)
            return status;
    }
}

static mm_status refresh(mm_sink *sink, uint32_t collection, mm_error *err)
{
    const mm_milvus_target *target = &sink->targets[collection];
    int32_t state = 0;
    pthread_mutex_lock(&sink->lock);
    mm_status status = mm_milvus_load_state(sink->client, target->work, &state, err);
    if (status == MM_OK && state == MM_MILVUS_LOADED) {
        MM_FAILPOINT("import.refresh.before");
        status = mm_milvus_refresh(sink->client, target->work, err);
    }
    pthread_mutex_unlock(&sink->lock);
    if (status == MM_OK && state == MM_MILVUS_LOADED)
        status = wait_refreshed(sink, target, err);
    MM_FAILPOINT("import.refresh.done");
    return status;
}

mm_status mm_import_step_refresh(mm_sink *sink, uint32_t collection, const char *intent, char detail[MM_STEP_DETAIL],
                                 mm_error *err)
{
    (void)intent;
    detail[0] = '\0';
    if (sink->targets[collection].loaded_here) /* after the import, hence with all its rows */
        return MM_OK;
    return refresh(sink, collection, err);
}

/* --- keys from staged files ----------------------------------------------------------------------------------- */

typedef mm_status (*keys_fn)(void *context, const mm_batch *keys, mm_error *err);

typedef struct parts {
    mm_format_part *items;
    size_t count, capacity;
} parts;

static mm_status add_part(void *context, const mm_format_part *part, mm_error *err)
{
    parts *all = context;
    if (all->count == all->capacity) {
        size_t capacity = all->capacity > 0 ? all->capacity * 2 : 16;
        mm_format_part *items = reallocarray(all->items, capacity, sizeof(*items));
        if (items == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory");
        all->items = items;
        all->capacity = capacity;
    }
    all->items[all->count++] = *part;
    return MM_OK;
}

static mm_status read_part(const mm_format_driver *format, mm_format_reader *reader, const mm_format_part *part,
                           keys_fn fn, void *context, mm_error *err)
{
    mm_batch batch = {.arena = MM_ARENA_INIT};
    mm_status status = format->read_seek(reader, part, part->first, err);
    while (status == MM_OK) {
        status = format->read_next(reader, MM_MILVUS_KEYS_MAX, BATCH_BYTES, &batch, err);
        if (status == MM_OK)
            status = fn(context, &batch, err);
    }
    mm_batch_free(&batch);
    return status == MM_END ? MM_OK : status;
}

static mm_status read_unit(const mm_format_driver *format, const mm_format_read_args *args, keys_fn fn, void *context,
                           mm_error *err)
{
    mm_format_reader *reader = NULL;
    parts all = {0};
    mm_status status = format->read_open(args, &reader, err);
    if (status != MM_OK)
        return status;
    status = format->read_parts(reader, PART_BYTES, add_part, &all, err);
    for (size_t i = 0; status == MM_OK && i < all.count; i++)
        status = read_part(format, reader, &all.items[i], fn, context, err);
    free(all.items);
    format->read_close(reader);
    return status;
}

static const mm_field *primary_of(const mm_schema *schema, size_t *at)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].primary) {
            *at = i;
            return &schema->fields[i];
        }
    return NULL;
}

/* The primary keys of a group, batch by batch. Of a format with a file a field only the key's file is opened. */
static mm_status walk_keys(mm_importer *importer, const mm_import_group *group, keys_fn fn, void *context, mm_error *err)
{
    const mm_schema *schema = importer->sink->targets[group->collection].plan->schema;
    const mm_format_driver *format = mm_format_find(importer->format);
    size_t at = 0, a_unit = group->file_count / group->unit_count;
    const mm_field *primary = primary_of(schema, &at);
    if (format == NULL || primary == NULL || primary->auto_id)
        return mm_error_set(err, MM_TARGET,
                            "%s: what import job %s wrote cannot be told by keys: there is none in the files; reset the "
                            "job and run again into a new collection", schema->name, group->job);
    mm_field field = *primary;
    mm_schema keys = {.name = schema->name, .fields = &field, .field_count = 1};
    mm_storage *storage = mm_files_storage(importer->files);
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < group->unit_count; i++) {
        char *url = mm_storage_url(storage, group->keys[i * a_unit + (format->file_per_field ? at : 0)]);
        mm_input *input = NULL;
        status = url != NULL ? mm_input_open(url, importer->files_options, &input, err)
                             : mm_error_set(err, MM_NO_MEMORY, "out of memory");
        free(url);
        if (status != MM_OK)
            break;
        const mm_input *inputs[1] = {input};
        const char *names[1] = {field.name};
        mm_format_read_args args = {.inputs = inputs, .names = names, .count = 1, .schema = &keys};
        status = read_unit(format, &args, fn, context, err);
        mm_input_close(input);
    }
    return status;
}

/* --- deciding ----------------------------------------------------------------------------------------------- */

typedef struct key_call {
    mm_lane *lane;
    const mm_import_group *group;
    uint64_t found, most; /* most: copies beyond one for each key of a batch */
} key_call;

static mm_status count_keys(void *context, const mm_batch *keys, mm_error *err)
{
    key_call *call = context;
    uint64_t rows = 0;
    mm_status status = mm_milvus_lane_count_keys(call->lane, call->group->collection, call->group->partition, keys, 0,
                                                 keys->rows, &rows, err);
    call->found += rows;
    if (rows > keys->rows)
        call->most += rows - keys->rows;
    return status;
}

static mm_status delete_keys(void *context, const mm_batch *keys, mm_error *err)
{
    key_call *call = context;
    MM_FAILPOINT("import.decide.delete");
    return mm_milvus_lane_delete_keys(call->lane, call->group->collection, call->group->partition, false, keys, 0,
                                      keys->rows, err);
}

/* Until the server has taken away what the failed job wrote, or has forgotten the job. */
static mm_status wait_cleaned(mm_importer *importer, const mm_import_group *group, mm_error *err)
{
    uint64_t end = mm_clock_ms() + CLEAN_WAIT_MS;
    for (mm_import_job job;;) {
        mm_status status = importer->api->state(importer, group, &job, err);
        if (status != MM_OK || job.phase != MM_IMPORT_FAILED || job.cleaned || mm_clock_ms() > end)
            return status;
        status = mm_milvus_pause(importer->sink, CLEAN_POLL_MS, err);
        if (status != MM_OK)
            return status;
    }
}

static mm_status decide(mm_importer *importer, mm_lane *lane, mm_import_group *group, mm_error *err)
{
    const mm_milvus_target *target = &importer->sink->targets[group->collection];
    key_call call = {.lane = lane, .group = group};
    mm_status status = walk_keys(importer, group, count_keys, &call, err);
    if (status == MM_OK && call.found > 0) {
        status = wait_cleaned(importer, group, err);
        if (status == MM_OK)
            status = refresh(importer->sink, group->collection, err);
        call.found = call.most = 0;
        if (status == MM_OK)
            status = walk_keys(importer, group, count_keys, &call, err);
    }
    if (status != MM_OK)
        return status;
    mm_log(MM_LOG_INFO, "%s: %" PRIu64 " of the %" PRIu64 " keys of import job %s are there", target->plan->name,
           call.found, group->rows, group->job);
    if (call.found == group->rows && call.most == 0) {
        group->state = MM_GROUP_DONE;
        atomic_fetch_add(&importer->files_done, group->unit_count);
        return mm_import_record_group(importer, group, err);
    }
    if (call.found > 0 && !target->created)
        return mm_error_set(err, MM_MISMATCH,
                            "%s: %" PRIu64 " rows with the %" PRIu64 " keys of import job %s are there, and some may be "
                            "others' (if_exists: append): nothing is removed; clear them up, then resume", target->plan->name,
                            call.found, group->rows, group->job);
    if (call.found > 0)
        status = walk_keys(importer, group, delete_keys, &call, err);
    MM_FAILPOINT("import.decide.deleted");
    group->state = MM_GROUP_MOVING;
    group->decided = true;
    return status == MM_OK ? mm_import_record_group(importer, group, err) : status;
}

/* The attendant's work, in this thread. */
static mm_status import_again(mm_sink *sink, mm_error *err)
{
    for (;;) {
        uint64_t wait_ms = 0;
        mm_status status = mm_import_attend(sink, true, &wait_ms, err);
        if (status == MM_END)
            return MM_OK;
        if (status == MM_OK)
            status = mm_milvus_pause(sink, wait_ms, err);
        if (status != MM_OK)
            return status;
    }
}

static size_t open_groups(const mm_importer *importer, uint32_t collection, bool unclear)
{
    size_t count = 0;
    for (size_t i = 0; i < importer->group_count; i++) {
        const mm_import_group *group = importer->groups[i];
        if (group->collection == collection && group->state != MM_GROUP_DONE)
            count += unclear ? group->state == MM_GROUP_UNCLEAR : group->state != MM_GROUP_UNCLEAR;
    }
    return count;
}

static bool was_imported_again(const mm_importer *importer, uint32_t collection)
{
    for (size_t i = 0; i < importer->group_count; i++)
        if (importer->groups[i]->collection == collection && importer->groups[i]->tries > 1)
            return true;
    return false;
}

static mm_status decide_all(mm_importer *importer, uint32_t collection, mm_error *err)
{
    mm_lane *lane = NULL;
    mm_status status = mm_milvus_lane_open(importer->sink, 0, &lane, err);
    for (size_t i = 0; status == MM_OK && i < importer->group_count; i++) {
        mm_import_group *group = importer->groups[i];
        if (group->collection == collection && group->state == MM_GROUP_UNCLEAR)
            status = decide(importer, lane, group, err);
    }
    mm_milvus_lane_close(lane);
    return status;
}

mm_status mm_import_step_decide(mm_sink *sink, uint32_t collection, const char *intent, char detail[MM_STEP_DETAIL],
                                mm_error *err)
{
    mm_importer *importer = sink->importer;
    mm_status status = MM_OK;
    size_t unclear = 0;
    (void)intent;
    for (size_t left; status == MM_OK;) {
        unclear += left = open_groups(importer, collection, true);
        if (left > 0)
            status = decide_all(importer, collection, err);
        if (status != MM_OK || open_groups(importer, collection, false) == 0)
            break;
        status = import_again(sink, err);
        if (status == MM_OK) /* the new segments want their index, too */
            status = mm_milvus_step_index(sink, collection, "", detail, err);
        if (status == MM_OK)
            status = refresh(sink, collection, err);
        MM_FAILPOINT("import.decide.again");
    }
    if (status == MM_OK && was_imported_again(importer, collection)) /* by a process that died before its refresh */
        status = refresh(sink, collection, err);
    MM_FAILPOINT("import.decide.done");
    if (status == MM_OK)
        snprintf(detail, MM_STEP_DETAIL, "unclear=%zu", unclear);
    return status;
}
