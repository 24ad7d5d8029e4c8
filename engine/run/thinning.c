/* Duplicate primary keys in the plan: every collection whose keys are not proven unique is read once,
 * keys only, before anything is sent. The search itself is duplicates.c's. */
#include "run/thinning.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "run/collections.h"
#include "run/duplicates.h"

typedef struct scan {
    mm_session *session;
    uint32_t collection;
    int key_column; /* of the source's schema */
    mm_read_mode mode;
    mm_duplicate_finder *finder;
    mm_batch batch;
} scan;

#define SCAN_BATCH_BYTES (1u << 20)

mm_duplicates mm_thinning_policy(const mm_session *session)
{
    if (session->job->duplicates != MM_DUP_DEFAULT)
        return session->job->duplicates;
    if (session->sources->capabilities & MM_SOURCE_NEWEST_LAST)
        return MM_DUP_LAST;
    return session->sinks->capabilities & MM_SINK_DUPLICATES ? MM_DUP_KEEP : MM_DUP_REFUSE;
}

/* The key column alone: a batch that was read with all its fields is shown as if it had just that one. */
static mm_status add_keys(scan *s, const mm_task *task, mm_error *err)
{
    mm_batch keys = s->batch;
    if (s->mode == MM_READ_ALL) {
        keys.columns = &s->batch.columns[s->key_column];
        keys.column_count = 1;
    }
    return mm_duplicates_add(s->finder, task->id, &keys, err);
}

static mm_status scan_task(void *context, const mm_task *task, mm_error *err)
{
    scan *s = context;
    if (task->collection != s->collection)
        return MM_OK;
    const mm_source_driver *sources = s->session->sources;
    mm_extent extent = mm_collections_extent(&s->session->collections[s->collection], task);
    mm_reader *reader = NULL;
    mm_status status = sources->read_open(s->session->source, &extent, NULL, s->mode, &reader, err);
    if (status != MM_OK)
        return status;
    while (status == MM_OK) {
        mm_batch_reset(&s->batch);
        status = sources->next(reader, SIZE_MAX, SCAN_BATCH_BYTES, &s->batch, err);
        if (status == MM_OK)
            status = add_keys(s, task, err);
        mm_status asked = mm_session_stop_asked(s->session);
        if (status == MM_OK && asked != MM_OK)
            status = mm_error_set(err, asked, "%s", mm_status_text(asked));
    }
    sources->read_close(reader);
    return status == MM_END ? MM_OK : status;
}

static mm_status store_thin(void *context, uint64_t task, const void *blob, size_t size, uint64_t rows, mm_error *err)
{
    (void)rows;
    mm_session *session = context;
    return session->stores->plan_thin(session->store, task, blob, size, err);
}

static void describe(const mm_duplicates_result *found, bool integer, char *out, size_t size)
{
    out[0] = '\0';
    for (size_t i = 0, used = 0; i < found->example_count && used < size; i++) {
        const mm_duplicate *d = &found->examples[i];
        char key[32] = "a key";
        if (integer)
            snprintf(key, sizeof(key), "key %" PRId64, d->key);
        used += (size_t)snprintf(out + used, size - used, "%s%s (task %" PRIu64 " row %" PRIu64 " and task %" PRIu64 " row %" PRIu64 ")",
                                 i > 0 ? ", " : "", key, d->earlier_task, d->earlier_row, d->task, d->row);
    }
}

static mm_status decide(scan *s, mm_duplicates policy, bool integer, const mm_duplicates_result *found, mm_error *err)
{
    const char *name = s->session->collections[s->collection].from->schema.name;
    char examples[600];
    if (found->duplicates == 0)
        return MM_OK;
    describe(found, integer, examples, sizeof(examples));
    if (policy == MM_DUP_REFUSE)
        return mm_error_set(err, MM_DATA,
                            "%s: %" PRIu64 " of %" PRIu64 " rows have a primary key that an earlier row has too: %s; "
                            "`duplicates: first` or `last` keeps one of them",
                            name, found->duplicates, found->rows, examples);
    if (policy != MM_DUP_KEEP && (s->session->sources->capabilities & MM_SOURCE_LIVE))
        return mm_error_set(err, MM_CONFIG,
                            "%s: %" PRIu64 " rows have a primary key that an earlier row has too (%s), and which one is kept "
                            "cannot be decided for a source that is written to: choose another key",
                            name, found->duplicates, examples);
    if (policy == MM_DUP_KEEP) {
        mm_log(MM_LOG_WARN, "%s: %" PRIu64 " rows share a primary key with an earlier row; all are kept (%s)", name,
               found->duplicates, examples);
        return MM_OK;
    }
    mm_log(MM_LOG_WARN, "%s: %" PRIu64 " rows share a primary key with an earlier row; duplicates: %s keeps one each (%s)",
           name, found->duplicates, policy == MM_DUP_FIRST ? "first" : "last", examples);
    return mm_duplicates_thin(s->finder, store_thin, s->session, err);
}

static mm_status scan_collection(mm_session *session, uint32_t at, mm_duplicates policy, mm_run_record *run, mm_error *err)
{
    const mm_run_collection *collection = &session->collections[at];
    const mm_schema *target = collection->mapping->target, *from = &collection->from->schema;
    scan s = {.session = session, .collection = at, .batch = {.arena = MM_ARENA_INIT}};
    s.key_column = collection->mapping->source_index[mm_schema_primary(target)];
    bool own_key = s.key_column == mm_schema_primary(from);
    if (own_key && collection->from->unique_keys)
        return MM_OK;
    s.mode = own_key ? MM_READ_KEYS : MM_READ_ALL;
    bool integer = from->fields[s.key_column].type == MM_TYPE_INT64;
    mm_duplicates_args args = {.memory = (size_t)(session->job->memory / 2), .dir = session->args->state_dir,
                               .integer = integer, .policy = policy};
    mm_duplicates_result found = {0};
    mm_status status = mm_duplicates_open(&args, &s.finder, err);
    if (status == MM_OK)
        status = session->stores->tasks(session->store, scan_task, &s, err);
    if (status == MM_OK)
        status = mm_duplicates_finish(s.finder, &found, err);
    if (status == MM_OK)
        status = decide(&s, policy, integer, &found, err);
    run->duplicates += found.duplicates;
    mm_duplicates_close(s.finder);
    mm_batch_free(&s.batch);
    return status;
}

mm_status mm_thinning_plan(mm_session *session, mm_run_record *run, mm_error *err)
{
    mm_duplicates policy = mm_thinning_policy(session);
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && i < session->collection_count; i++)
        status = scan_collection(session, i, policy, run, err);
    return status;
}
