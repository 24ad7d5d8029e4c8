/* Steps after a verification that passed: the swap of an overwritten collection, and the removal of
 * what was made for the verification only.
 *
 * The swap goes: old collection renamed away, new one renamed to its name, the old one's aliases moved
 * to the new one, old one dropped. It may die anywhere and be begun again: where it stands is read from
 * the names that exist, what is whose from the recorded ID and the marker of the new collection. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "sinks/milvus/internal.h"

typedef struct place {
    bool exists, ours;
    char id[24];
} place;

static mm_status look(mm_sink *sink, const char *name, place *out, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_milvus_description d;
    char marker[64];
    place p = {0};
    mm_milvus_marker(sink, marker);
    mm_status status = mm_milvus_look(sink->client, name, &arena, &p.exists, &d, err);
    if (status == MM_OK && p.exists) {
        p.ours = d.job != NULL && strcmp(d.job, marker) == 0;
        snprintf(p.id, sizeof(p.id), d.id != 0 ? "%" PRId64 : "?", d.id);
    }
    mm_arena_free(&arena);
    if (status == MM_OK)
        *out = p;
    return status;
}

/* Only the collection that was there when the job began may be replaced and dropped. */
static mm_status check_old(const mm_milvus_target *target, const char *name, const place *p, mm_error *err)
{
    if (!p->ours && strcmp(p->id, target->old) == 0)
        return MM_OK;
    return mm_error_set(err, MM_CHANGED, "collection '%s' is %s, not %s that this job is to replace; it is left alone",
                        name, p->ours ? "this job's own" : p->id, target->old[0] != '\0' ? target->old : "the nothing");
}

/* Aliases follow the name: who searches through one finds the new rows. */
static mm_status move_aliases(mm_sink *sink, const char *from, const char *to, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_names names;
    mm_status status = mm_milvus_aliases(sink->client, from, &arena, &names, err);
    for (size_t i = 0; status == MM_OK && i < names.count; i++) {
        MM_FAILPOINT("milvus.swap.alias");
        status = mm_milvus_alter_alias(sink->client, to, names.items[i], err);
    }
    mm_arena_free(&arena);
    return status;
}

static mm_status rename_both(mm_sink *sink, mm_milvus_target *target, const char *temporary, const char *away,
                             mm_error *err)
{
    const char *name = target->plan->name;
    place at_name, at_temporary, at_away;
    mm_status status = look(sink, name, &at_name, err);
    if (status == MM_OK && at_name.exists && at_name.ours)
        return MM_OK;
    if (status == MM_OK)
        status = look(sink, temporary, &at_temporary, err);
    if (status == MM_OK && (!at_temporary.exists || !at_temporary.ours))
        return mm_error_set(err, MM_CHANGED, "collection '%s' with this run's rows is gone", temporary);
    if (status == MM_OK)
        status = look(sink, away, &at_away, err);
    if (status == MM_OK && at_name.exists) {
        status = check_old(target, name, &at_name, err);
        if (status == MM_OK && at_away.exists)
            status = mm_error_set(err, MM_CHANGED, "collection '%s' is in the way", away);
        MM_FAILPOINT("milvus.swap.before");
        if (status == MM_OK)
            status = mm_milvus_rename(sink->client, name, away, err);
        MM_FAILPOINT("milvus.swap.away");
    }
    if (status == MM_OK)
        status = mm_milvus_rename(sink->client, temporary, name, err);
    MM_FAILPOINT("milvus.swap.renamed");
    return status;
}

static mm_status drop_old(mm_sink *sink, mm_milvus_target *target, const char *away, mm_error *err)
{
    place at_away;
    mm_status status = look(sink, away, &at_away, err);
    if (status != MM_OK || !at_away.exists)
        return status;
    status = check_old(target, away, &at_away, err);
    if (status == MM_OK)
        status = move_aliases(sink, away, target->plan->name, err);
    MM_FAILPOINT("milvus.swap.dropping");
    if (status == MM_OK)
        status = mm_milvus_drop_collection(sink->client, away, err);
    MM_FAILPOINT("milvus.swap.dropped");
    return status;
}

/* A rename releases a collection of Milvus Lite. */
static mm_status load_again(mm_sink *sink, const mm_milvus_target *target, mm_error *err)
{
    int32_t state = 0;
    if (!target->plan->load)
        return MM_OK;
    mm_status status = mm_milvus_load_state(sink->client, target->plan->name, &state, err);
    if (status == MM_OK && state == MM_MILVUS_LOAD_NONE)
        status = mm_milvus_load(sink->client, target->plan->name, err);
    if (status == MM_NOT_FOUND && mm_milvus_last(sink->client)->code == MM_MILVUS_INDEX_NOT_FOUND) {
        mm_error_clear(err); /* without an index there is nothing to load */
        return MM_OK;
    }
    return status;
}

mm_status mm_milvus_step_swap(mm_sink *sink, uint32_t collection, const char *intent,
                              char detail[MM_STEP_DETAIL], mm_error *err)
{
    mm_milvus_target *target = &sink->targets[collection];
    char temporary[MM_MILVUS_NAME], away[MM_MILVUS_NAME];
    (void)intent;
    snprintf(detail, MM_STEP_DETAIL, "name=%s", target->plan->name);
    if (target->plan->if_exists != MM_EXISTS_OVERWRITE)
        return MM_OK;
    snprintf(temporary, sizeof(temporary), "%s_mmr_%s", target->plan->name, sink->tag);
    snprintf(away, sizeof(away), "%s_mmr_old_%s", target->plan->name, sink->tag);
    pthread_mutex_lock(&sink->lock);
    mm_status status = rename_both(sink, target, temporary, away, err);
    if (status == MM_OK)
        status = drop_old(sink, target, away, err);
    if (status == MM_OK)
        status = load_again(sink, target, err);
    pthread_mutex_unlock(&sink->lock);
    if (status == MM_OK)
        snprintf(target->work, sizeof(target->work), "%s", target->plan->name);
    return status;
}

mm_status mm_milvus_recall_swap(mm_sink *sink, uint32_t collection, const char *detail, mm_error *err)
{
    mm_milvus_target *target = &sink->targets[collection];
    char name[MM_MILVUS_NAME];
    if (target->plan->if_exists != MM_EXISTS_OVERWRITE)
        return MM_OK;
    if (!mm_milvus_detail(detail, "name", name, sizeof(name)))
        return mm_error_set(err, MM_BUG, "detail of step swap: '%.200s'", detail);
    snprintf(target->work, sizeof(target->work), "%s", name);
    return MM_OK;
}

/* --- cleanup -------------------------------------------------------------------------------------- */

static mm_status drop_temporary_indexes(mm_sink *sink, const mm_milvus_target *target, bool *released,
                                        mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_milvus_index *indexes;
    size_t count = 0;
    char prefix[64];
    mm_milvus_index_prefix(sink, prefix);
    mm_status status = mm_milvus_indexes(sink->client, target->work, &arena, &indexes, &count, err);
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        if (strncmp(indexes[i].name, prefix, strlen(prefix)) != 0)
            continue;
        if (!*released) { /* an index of a loaded collection cannot be dropped */
            MM_FAILPOINT("milvus.cleanup.release");
            status = mm_milvus_release(sink->client, target->work, err);
            *released = status == MM_OK;
            if (target->plan->load)
                mm_log(MM_LOG_WARN, "collection '%s' stays released: it has no index", target->work);
        }
        if (status == MM_OK)
            status = mm_milvus_drop_index(sink->client, target->work, indexes[i].field, indexes[i].name, err);
        MM_FAILPOINT("milvus.cleanup.index");
    }
    mm_arena_free(&arena);
    return status;
}

mm_status mm_milvus_step_cleanup(mm_sink *sink, uint32_t collection, const char *intent,
                                 char detail[MM_STEP_DETAIL], mm_error *err)
{
    mm_milvus_target *target = &sink->targets[collection];
    bool released = false;
    (void)intent;
    pthread_mutex_lock(&sink->lock);
    mm_status status = MM_OK;
    if (!target->plan->load && target->loaded_here) {
        MM_FAILPOINT("milvus.cleanup.before");
        status = mm_milvus_release(sink->client, target->work, err);
        released = status == MM_OK;
    }
    if (status == MM_OK)
        status = drop_temporary_indexes(sink, target, &released, err);
    pthread_mutex_unlock(&sink->lock);
    MM_FAILPOINT("milvus.cleanup.done");
    if (status == MM_OK)
        snprintf(detail, MM_STEP_DETAIL, "released=%d", released);
    return status;
}
