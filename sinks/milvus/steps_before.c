/* Steps before the copy: database, collection, partitions.
 *
 * A collection that this job creates carries the property mmresume.job = "<job tag>/<run>", so that a
 * step that is repeated after a crash knows what it made itself from what others made. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "sinks/milvus/internal.h"

/* --- database ------------------------------------------------------------------------------------- */

/* A server without databases refuses the list: then the requests themselves will tell. */
mm_status mm_milvus_step_database(mm_sink *sink, uint32_t collection, const char *intent,
                                  char detail[MM_STEP_DETAIL], mm_error *err)
{
    const char *name = sink->config.database;
    mm_arena arena = MM_ARENA_INIT;
    mm_names names;
    (void)collection;
    (void)intent;
    snprintf(detail, MM_STEP_DETAIL, "%s", "");
    if (name == NULL || name[0] == '\0')
        return MM_OK;
    pthread_mutex_lock(&sink->lock);
    mm_status status = mm_milvus_databases(sink->client, &arena, &names, err);
    if (status == MM_OK && !mm_names_have(&names, name)) {
        if (mm_options_bool(sink->options, "create_database")) {
            MM_FAILPOINT("milvus.database.before");
            status = mm_milvus_create_database(sink->client, name, err);
            MM_FAILPOINT("milvus.database.created");
        } else {
            status = mm_error_set(err, MM_TARGET, "database '%s' does not exist (create_database: true makes it)", name);
        }
    }
    pthread_mutex_unlock(&sink->lock);
    mm_arena_free(&arena);
    return status;
}

/* --- what is there -------------------------------------------------------------------------------- */

typedef struct found {
    bool exists;
    mm_milvus_description d;
} found;

static mm_status look(mm_sink *sink, const char *name, mm_arena *arena, found *out, mm_error *err)
{
    memset(out, 0, sizeof(*out));
    return mm_milvus_look(sink->client, name, arena, &out->exists, &out->d, err);
}

static bool is_ours(const mm_sink *sink, const found *f)
{
    char marker[64];
    mm_milvus_marker(sink, marker);
    return f->exists && f->d.job != NULL && strcmp(f->d.job, marker) == 0;
}

static bool is_of_this_job(const mm_sink *sink, const found *f)
{
    size_t n = strlen(sink->tag);
    return f->exists && f->d.job != NULL && strncmp(f->d.job, sink->tag, n) == 0 && f->d.job[n] == '/';
}

/* "": nothing there; "?": the server gives no IDs. */
static void id_text(const found *f, char out[24])
{
    if (!f->exists)
        out[0] = '\0';
    else if (f->d.id == 0)
        snprintf(out, 24, "?");
    else
        snprintf(out, 24, "%" PRId64, f->d.id);
}

mm_status mm_milvus_intend_collection(mm_sink *sink, uint32_t collection, char intent[MM_STEP_DETAIL],
                                      mm_error *err)
{
    mm_milvus_target *target = &sink->targets[collection];
    mm_arena arena = MM_ARENA_INIT;
    found there, temporary = {0};
    char id[24], temporary_id[24];
    pthread_mutex_lock(&sink->lock);
    mm_status status = look(sink, target->plan->name, &arena, &there, err);
    if (status == MM_OK && target->plan->if_exists == MM_EXISTS_OVERWRITE)
        status = look(sink, target->work, &arena, &temporary, err);
    pthread_mutex_unlock(&sink->lock);
    if (status == MM_OK) {
        id_text(&there, id);
        id_text(&temporary, temporary_id);
        snprintf(intent, MM_STEP_DETAIL, "existing=%s temporary=%s", id, temporary_id);
    }
    mm_arena_free(&arena);
    return status;
}

/* --- collection ----------------------------------------------------------------------------------- */

static int32_t consistency_level(const mm_options *options)
{
    static const char *const levels[] = {"strong", "session", "bounded", "eventually"};
    const char *name = mm_options_str(options, "consistency");
    for (int32_t i = 0; i < (int32_t)MM_COUNT(levels); i++)
        if (strcmp(name, levels[i]) == 0)
            return i;
    return -1;
}

static mm_status check_schema(const mm_milvus_target *target, const mm_schema *have, mm_error *err)
{
    mm_buffer differences = MM_BUFFER_INIT;
    mm_status status = MM_OK;
    mm_milvus_schema_differences(target->plan->schema, have, &differences);
    if (differences.failed)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    else if (differences.size > 0)
        status = mm_error_set(err, MM_TARGET, "collection '%s' differs: %s", target->work, differences.data);
    mm_buffer_free(&differences);
    return status;
}

static mm_status create(mm_sink *sink, mm_milvus_target *target, mm_arena *arena, found *f, mm_error *err)
{
    char marker[64];
    mm_milvus_marker(sink, marker);
    MM_FAILPOINT("milvus.collection.before");
    mm_status status = mm_milvus_create_collection(sink->client, target->work, target->plan->schema,
                                                   (int32_t)mm_options_int(sink->options, "shards"),
                                                   consistency_level(sink->options), marker, err);
    MM_FAILPOINT("milvus.collection.created");
    if (status == MM_OK)
        status = look(sink, target->work, arena, f, err);
    if (status == MM_OK && !f->exists)
        status = mm_error_set(err, MM_NOT_READY, "collection '%s' was created but is not there yet", target->work);
    return status;
}

/* Aliases of other jobs on a collection that is appended to: one of them may still be at work, or its
 * store was lost and its last requests are yet to arrive. Upserts are safe beside that, Inserts not. */
static mm_status check_other_jobs(mm_sink *sink, const mm_milvus_target *target, mm_arena *arena, mm_error *err)
{
    mm_names names;
    char own[64];
    mm_milvus_index_prefix(sink, own);
    mm_status status = mm_milvus_aliases(sink->client, target->work, arena, &names, err);
    if (status == MM_AUTH || status == MM_TARGET) {
        mm_error_clear(err);
        return MM_OK;
    }
    for (size_t i = 0; status == MM_OK && i < names.count; i++) {
        if (strncmp(names.items[i], "mmr_", 4) != 0 || strncmp(names.items[i], own, strlen(own)) == 0)
            continue;
        if (!target->plan->upsert)
            status = mm_error_set(err, MM_TARGET,
                                  "collection '%s' has alias %s of another job: finish that job, or drop the alias, "
                                  "or append with on_conflict: upsert", target->work, names.items[i]);
        else
            mm_log(MM_LOG_WARN, "collection '%s' has alias %s of another job", target->work, names.items[i]);
    }
    return status;
}

/* Appending under an alias writes to the collection behind it; overwriting under one is refused, since
 * the swap renames collections. */
static mm_status resolve_alias(mm_sink *sink, mm_milvus_target *target, mm_arena *arena, mm_error *err)
{
    const char *real = NULL;
    mm_status status = mm_milvus_alias_of(sink->client, target->plan->name, arena, &real, err);
    if (status == MM_AUTH || status == MM_TARGET) {
        mm_error_clear(err);
        return MM_OK;
    }
    if (status != MM_OK || real == NULL)
        return status;
    if (target->plan->if_exists == MM_EXISTS_OVERWRITE)
        return mm_error_set(err, MM_TARGET, "'%s' is an alias of collection '%s': overwrite the collection itself",
                            target->plan->name, real);
    snprintf(target->work, sizeof(target->work), "%s", real);
    return MM_OK;
}

/* One that stood there before. */
static mm_status use_existing(mm_sink *sink, mm_milvus_target *target, mm_arena *arena, const found *f, mm_error *err)
{
    switch (target->plan->if_exists) {
    case MM_EXISTS_SKIP:
        return MM_END;
    case MM_EXISTS_APPEND:
        break;
    default:
        return mm_error_set(err, MM_TARGET, "collection '%s' exists (if_exists: append, skip or overwrite)",
                            target->plan->name);
    }
    mm_status status = resolve_alias(sink, target, arena, err);
    if (status == MM_OK)
        status = check_schema(target, f->d.schema, err);
    if (status == MM_OK)
        status = check_other_jobs(sink, target, arena, err);
    return status;
}

/* fail, append, skip: under its own name. */
static mm_status settle_plain(mm_sink *sink, mm_milvus_target *target, mm_arena *arena, found *f, mm_error *err)
{
    mm_status status = look(sink, target->work, arena, f, err);
    if (status != MM_OK)
        return status;
    if (f->exists && !is_ours(sink, f))
        return use_existing(sink, target, arena, f, err);
    target->created = true;
    if (!f->exists)
        status = create(sink, target, arena, f, err);
    return status == MM_OK ? check_schema(target, f->d.schema, err) : status;
}

/* An earlier run's unfinished collection, and the aliases that its fence left on it. */
static mm_status drop_leftover(mm_sink *sink, const mm_milvus_target *target, mm_arena *arena, mm_error *err)
{
    mm_names names;
    mm_status status = mm_milvus_aliases(sink->client, target->work, arena, &names, err);
    for (size_t i = 0; status == MM_OK && i < names.count; i++)
        status = mm_milvus_drop_alias(sink->client, names.items[i], err);
    MM_FAILPOINT("milvus.collection.leftover");
    return status == MM_OK ? mm_milvus_drop_collection(sink->client, target->work, err) : status;
}

/* overwrite: under a temporary name beside the old one, until the swap. */
static mm_status settle_overwrite(mm_sink *sink, mm_milvus_target *target, const char *intent, mm_arena *arena,
                                  found *f, mm_error *err)
{
    if (!mm_milvus_detail(intent, "existing", target->old, sizeof(target->old)))
        target->old[0] = '\0';
    mm_status status = resolve_alias(sink, target, arena, err);
    if (status == MM_OK)
        status = look(sink, target->work, arena, f, err);
    if (status != MM_OK)
        return status;
    if (f->exists && !is_of_this_job(sink, f))
        return mm_error_set(err, MM_TARGET, "collection '%s' is in the way and not this job's", target->work);
    if (f->exists && !is_ours(sink, f)) { /* an earlier run of this job left it */
        status = drop_leftover(sink, target, arena, err);
        f->exists = false;
    }
    target->created = true;
    if (status == MM_OK && !f->exists)
        status = create(sink, target, arena, f, err);
    return status == MM_OK ? check_schema(target, f->d.schema, err) : status;
}

mm_status mm_milvus_step_collection(mm_sink *sink, uint32_t collection, const char *intent,
                                    char detail[MM_STEP_DETAIL], mm_error *err)
{
    mm_milvus_target *target = &sink->targets[collection];
    mm_arena arena = MM_ARENA_INIT;
    found f;
    pthread_mutex_lock(&sink->lock);
    mm_status status = target->plan->if_exists == MM_EXISTS_OVERWRITE
                           ? settle_overwrite(sink, target, intent, &arena, &f, err)
                           : settle_plain(sink, target, &arena, &f, err);
    if (status == MM_OK)
        status = mm_milvus_fence_probe(sink, collection, err);
    pthread_mutex_unlock(&sink->lock);
    if (status == MM_OK) {
        id_text(&f, target->id);
        snprintf(detail, MM_STEP_DETAIL, "name=%s id=%s old=%s created=%d fence=%d", target->work, target->id,
                 target->old, target->created, !atomic_load(&sink->no_fence));
    } else if (status == MM_END) {
        snprintf(detail, MM_STEP_DETAIL, "skipped=1");
    }
    mm_arena_free(&arena);
    return status;
}

/* A swap that died between its renames left the new collection under its final name. */
static mm_status find_swapped(mm_sink *sink, mm_milvus_target *target, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    found temporary, final;
    pthread_mutex_lock(&sink->lock);
    mm_status status = look(sink, target->work, &arena, &temporary, err);
    if (status == MM_OK && !temporary.exists) {
        status = look(sink, target->plan->name, &arena, &final, err);
        if (status == MM_OK && is_ours(sink, &final))
            snprintf(target->work, sizeof(target->work), "%s", target->plan->name);
    }
    pthread_mutex_unlock(&sink->lock);
    mm_arena_free(&arena);
    return status;
}

mm_status mm_milvus_recall_collection(mm_sink *sink, uint32_t collection, const char *detail, mm_error *err)
{
    mm_milvus_target *target = &sink->targets[collection];
    char flag[8];
    if (mm_milvus_detail(detail, "skipped", flag, sizeof(flag)))
        return MM_OK;
    if (!mm_milvus_detail(detail, "name", target->work, sizeof(target->work)) ||
        !mm_milvus_detail(detail, "id", target->id, sizeof(target->id)) ||
        !mm_milvus_detail(detail, "old", target->old, sizeof(target->old)))
        return mm_error_set(err, MM_BUG, "detail of step collection: '%.200s'", detail);
    target->created = mm_milvus_detail(detail, "created", flag, sizeof(flag)) && flag[0] == '1';
    if (mm_milvus_detail(detail, "fence", flag, sizeof(flag)) && flag[0] == '0')
        atomic_store(&sink->no_fence, true);
    if (target->plan->if_exists == MM_EXISTS_OVERWRITE)
        return find_swapped(sink, target, err);
    return MM_OK;
}

/* --- partitions ----------------------------------------------------------------------------------- */

mm_status mm_milvus_step_partitions(mm_sink *sink, uint32_t collection, const char *intent,
                                    char detail[MM_STEP_DETAIL], mm_error *err)
{
    mm_milvus_target *target = &sink->targets[collection];
    mm_arena arena = MM_ARENA_INIT;
    mm_names names;
    size_t made = 0;
    (void)intent;
    pthread_mutex_lock(&sink->lock);
    mm_status status = mm_milvus_partitions(sink->client, target->work, &arena, &names, err);
    for (size_t i = 0; status == MM_OK && i < target->plan->partition_count; i++) {
        const char *name = target->plan->partitions[i];
        if (name == NULL || mm_names_have(&names, name))
            continue;
        MM_FAILPOINT("milvus.partition.before");
        status = mm_milvus_create_partition(sink->client, target->work, name, err);
        MM_FAILPOINT("milvus.partition.created");
        made++;
        if (status == MM_OK) /* a name may stand twice in the plan */
            status = mm_milvus_partitions(sink->client, target->work, &arena, &names, err);
    }
    pthread_mutex_unlock(&sink->lock);
    mm_arena_free(&arena);
    if (status == MM_OK)
        snprintf(detail, MM_STEP_DETAIL, "created=%zu", made);
    return status;
}
