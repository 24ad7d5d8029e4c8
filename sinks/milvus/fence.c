/* The fence: one alias per collection and epoch, through which alone rows are sent. A request that
 * arrives late finds its alias dropped and is refused. Every function is idempotent. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "sinks/milvus/internal.h"

void mm_milvus_alias_name(const mm_sink *sink, uint32_t collection, uint64_t epoch, char out[MM_MILVUS_NAME])
{
    snprintf(out, MM_MILVUS_NAME, "mmr_%s_%u_%" PRIu64, sink->tag, collection, epoch);
}

bool mm_milvus_alias_epoch(const mm_sink *sink, uint32_t collection, const char *alias, uint64_t *epoch)
{
    char prefix[MM_MILVUS_NAME];
    int length = snprintf(prefix, sizeof(prefix), "mmr_%s_%u_", sink->tag, collection);
    if (strncmp(alias, prefix, (size_t)length) != 0)
        return false;
    const char *digits = alias + length;
    size_t n = strlen(digits);
    if (n == 0 || n > 19 || strspn(digits, "0123456789") != n)
        return false;
    *epoch = strtoull(digits, NULL, 10);
    return true;
}

static void probe_name(const mm_sink *sink, uint32_t collection, char out[MM_MILVUS_NAME])
{
    snprintf(out, MM_MILVUS_NAME, "mmr_%s_%u_probe", sink->tag, collection);
}

/* Aliases were refused for good: by rights, or because the server has none. */
static bool is_refusal(mm_status status)
{
    return status == MM_AUTH || status == MM_TARGET;
}

mm_status mm_milvus_fence_probe(mm_sink *sink, uint32_t collection, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_names names;
    char alias[MM_MILVUS_NAME];
    const char *work = sink->targets[collection].work;
    probe_name(sink, collection, alias);
    mm_status status = mm_milvus_aliases(sink->client, work, &arena, &names, err);
    if (status == MM_OK && !mm_names_have(&names, alias))
        status = mm_milvus_create_alias(sink->client, work, alias, err);
    if (status == MM_OK)
        status = mm_milvus_drop_alias(sink->client, alias, err);
    if (is_refusal(status)) {
        mm_log(MM_LOG_WARN, "%s: no aliases here, every row goes by Upsert: %s", work, err->text);
        mm_error_clear(err);
        atomic_store(&sink->no_fence, true);
        status = MM_OK;
    }
    mm_arena_free(&arena);
    return status;
}

/* Drops this job's aliases of epochs below `below`, and `extra`, which need not be listed. Refuses when
 * one above `highest` is there: a later owner is at work. */
static mm_status drop_older(mm_sink *sink, uint32_t collection, uint64_t below, uint64_t highest,
                            uint64_t extra, mm_names *names, mm_arena *arena, mm_error *err)
{
    char alias[MM_MILVUS_NAME];
    const char *work = sink->targets[collection].work;
    mm_status status = mm_milvus_aliases(sink->client, work, arena, names, err);
    for (size_t i = 0; i < names->count && status == MM_OK; i++) {
        uint64_t epoch;
        if (mm_milvus_alias_epoch(sink, collection, names->items[i], &epoch) && epoch > highest)
            status = mm_error_set(err, MM_FENCED, "%s: alias %s is newer than epoch %" PRIu64, work,
                                  names->items[i], highest);
    }
    if (status == MM_OK && extra > 0) {
        mm_milvus_alias_name(sink, collection, extra, alias);
        status = mm_milvus_drop_alias(sink->client, alias, err);
    }
    probe_name(sink, collection, alias); /* a late request of a probe that died */
    for (size_t i = 0; i < names->count && status == MM_OK; i++) {
        uint64_t epoch;
        bool older = mm_milvus_alias_epoch(sink, collection, names->items[i], &epoch) && epoch < below && epoch != extra;
        if (older || strcmp(names->items[i], alias) == 0)
            status = mm_milvus_drop_alias(sink->client, names->items[i], err);
    }
    return status;
}

mm_status mm_milvus_fence_move(mm_sink *sink, uint32_t collection, uint64_t from, uint64_t to, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_names names = {NULL, 0};
    char alias[MM_MILVUS_NAME];
    mm_milvus_target *target = &sink->targets[collection];
    pthread_mutex_lock(&sink->lock);
    MM_FAILPOINT("milvus.fence.before");
    mm_status status = MM_OK;
    if (!MM_SEEDED("upsert_before_drop"))
        status = drop_older(sink, collection, to, to, from, &names, &arena, err);
    MM_FAILPOINT("milvus.fence.dropped");
    mm_milvus_alias_name(sink, collection, to, alias);
    if (status == MM_OK && !mm_names_have(&names, alias))
        status = mm_milvus_create_alias(sink->client, target->work, alias, err);
    if (status == MM_OK)
        atomic_store(&target->fence, to);
    MM_FAILPOINT("milvus.fence.created");
    pthread_mutex_unlock(&sink->lock);
    mm_arena_free(&arena);
    return status == MM_OK ? MM_OK : mm_error_context(err, "fence of %s to epoch %" PRIu64, target->work, to);
}

mm_status mm_milvus_fence_drop(mm_sink *sink, uint32_t collection, uint64_t epoch, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_names names = {NULL, 0};
    mm_milvus_target *target = &sink->targets[collection];
    pthread_mutex_lock(&sink->lock);
    MM_FAILPOINT("milvus.seal.before");
    mm_status status = drop_older(sink, collection, epoch + 1, epoch, epoch, &names, &arena, err);
    if (status == MM_OK)
        atomic_store(&target->fence, 0);
    MM_FAILPOINT("milvus.seal.dropped");
    pthread_mutex_unlock(&sink->lock);
    mm_arena_free(&arena);
    return status == MM_OK ? MM_OK : mm_error_context(err, "last alias of %s", target->work);
}

mm_status mm_milvus_fence_highest(mm_sink *sink, uint32_t collection, uint64_t *epoch, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_names names = {NULL, 0};
    uint64_t highest = 0, one;
    pthread_mutex_lock(&sink->lock);
    mm_status status = mm_milvus_aliases(sink->client, sink->targets[collection].work, &arena, &names, err);
    pthread_mutex_unlock(&sink->lock);
    for (size_t i = 0; i < names.count && status == MM_OK; i++)
        if (mm_milvus_alias_epoch(sink, collection, names.items[i], &one) && one > highest)
            highest = one;
    mm_arena_free(&arena);
    if (status == MM_OK)
        *epoch = highest;
    return status;
}
