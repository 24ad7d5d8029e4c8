/* The importer's fence: import requests go through an alias of an epoch, as Inserts do (docs/savepoints.md), but the
 * importer moves it by itself, since the engine sees no fence of this variant. A request that arrives late finds its
 * alias gone; what slips through nevertheless finds its files gone (import_attend.c). */
#include <inttypes.h>
#include <stdio.h>

#include "base/failpoint.h"
#include "sinks/milvus/import.h"

static bool is_fenced(const mm_importer *importer)
{
    return importer->api->fenced && !atomic_load(&importer->sink->no_fence);
}

static mm_status record(mm_importer *importer, uint32_t collection, uint64_t epoch, bool open, mm_error *err)
{
    const mm_sink_host *host = importer->sink->host;
    char key[32], value[64];
    snprintf(key, sizeof(key), "fence/%" PRIu32, collection);
    snprintf(value, sizeof(value), "{\"epoch\":%" PRIu64 ",\"open\":%d}", epoch, open);
    return host->record(host->context, key, value, err);
}

static bool is_skipped(const mm_sink *sink, uint32_t collection)
{
    return sink->targets[collection].id[0] == '\0' && !sink->targets[collection].created;
}

/* A job has work left while a group of it is neither done nor left to its keys. */
static bool has_work(const mm_importer *importer, uint32_t collection)
{
    for (size_t i = 0; i < importer->group_count; i++) {
        const mm_import_group *group = importer->groups[i];
        if (group->collection == collection && group->state != MM_GROUP_DONE && group->state != MM_GROUP_UNCLEAR)
            return true;
    }
    return false;
}

/* The same check as the engine makes for a fence of its own (execute.c). Where nothing is recorded, this run has
 * asked for nothing yet: what stands there was left by a run that was cancelled. */
static mm_status check(mm_importer *importer, uint32_t collection, mm_error *err)
{
    mm_import_fence *fence = &importer->fences[collection];
    const char *name = importer->sink->targets[collection].plan->name;
    uint64_t highest = 0;
    mm_status status = mm_milvus_fence_highest(importer->sink, collection, &highest, err);
    if (status != MM_OK)
        return status;
    if (!fence->known) {
        fence->epoch = highest;
        return MM_OK;
    }
    if (highest > fence->epoch)
        return mm_error_set(err, MM_CHANGED,
                            "%s: rows were imported through epoch %" PRIu64 " of this job, the savepoints only know %" PRIu64
                            ": they are older than the target; reset the job and run again into a new collection",
                            name, highest, fence->epoch);
    if (highest == 0 && fence->open && has_work(importer, collection))
        return mm_error_set(err, MM_CHANGED,
                            "%s: the alias of epoch %" PRIu64 ", through which this job imports, is gone: the savepoints are "
                            "older than the target, or somebody dropped it; reset the job and run again into a new collection",
                            name, fence->epoch);
    return MM_OK;
}

mm_status mm_import_check_fences(mm_importer *importer, mm_error *err)
{
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && !importer->checked && is_fenced(importer) && i < importer->collection_count; i++)
        if (!is_skipped(importer->sink, i))
            status = check(importer, i, err);
    importer->checked = status == MM_OK;
    return status;
}

/* Intent, move, record: a crash in between leaves an intent, and the next move goes beyond it. */
static mm_status move(mm_importer *importer, uint32_t collection, mm_error *err)
{
    mm_import_fence *fence = &importer->fences[collection];
    uint64_t from = fence->epoch, to = from + 1;
    mm_status status = record(importer, collection, to, false, err);
    if (status != MM_OK)
        return status;
    fence->known = true;
    fence->epoch = to;
    MM_FAILPOINT("import.fence.intent");
    status = mm_milvus_fence_move(importer->sink, collection, from, to, err);
    MM_FAILPOINT("import.fence.moved");
    if (status == MM_OK)
        status = record(importer, collection, to, true, err);
    if (status != MM_OK)
        return status;
    fence->open = true;
    fence->stale = false;
    MM_FAILPOINT("import.fence.recorded");
    return MM_OK;
}

mm_status mm_import_target(mm_importer *importer, uint32_t collection, char out[MM_MILVUS_NAME], mm_error *err)
{
    mm_import_fence *fence = &importer->fences[collection];
    if (!is_fenced(importer)) {
        snprintf(out, MM_MILVUS_NAME, "%s", importer->sink->targets[collection].work);
        return MM_OK;
    }
    if (!fence->open || fence->stale) {
        mm_status status = move(importer, collection, err);
        if (status != MM_OK)
            return status;
    }
    mm_milvus_alias_name(importer->sink, collection, fence->epoch, out);
    return MM_OK;
}

mm_status mm_import_drop_fences(mm_importer *importer, mm_error *err)
{
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && is_fenced(importer) && i < importer->collection_count; i++) {
        mm_import_fence *fence = &importer->fences[i];
        if (fence->epoch == 0 || (fence->known && !fence->open && !fence->stale))
            continue;
        status = mm_milvus_fence_drop(importer->sink, i, fence->epoch, err);
        MM_FAILPOINT("import.fence.dropped");
        if (status == MM_OK)
            status = record(importer, i, fence->epoch, false, err);
        if (status == MM_OK) {
            fence->known = true;
            fence->open = fence->stale = false;
        }
    }
    return status;
}

/* The intent of an epoch that never comes is recorded before: a crash in between is no savepoint without its alias. */
static mm_status drop_for_good(mm_importer *importer, uint32_t collection, mm_error *err)
{
    uint64_t highest = 0;
    mm_status status = mm_milvus_fence_highest(importer->sink, collection, &highest, err);
    if (status == MM_NOT_FOUND) {
        mm_error_clear(err); /* the collection was not made yet */
        return MM_OK;
    }
    if (status == MM_OK && highest > 0)
        status = record(importer, collection, highest + 1, false, err);
    MM_FAILPOINT("import.cancel.intent");
    return status == MM_OK && highest > 0 ? mm_milvus_fence_drop(importer->sink, collection, highest, err) : status;
}

mm_status mm_import_cancel(mm_sink *sink, mm_error *err)
{
    mm_importer *importer = sink->importer;
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && is_fenced(importer) && i < importer->collection_count; i++)
        status = drop_for_good(importer, i, err);
    return status;
}
