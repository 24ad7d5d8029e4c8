/* Making the plan, and finding it again. */
#include "run/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "run/collections.h"
#include "run/steps.h"
#include "run/thinning.h"

typedef struct planning {
    mm_session *session;
    uint32_t collection;
    mm_run_record *run;
} planning;

static mm_status add_extent(void *context, const mm_extent *extent, mm_error *err)
{
    planning *plan = context;
    mm_session *session = plan->session;
    if (extent->spec_size > MM_EXTENT_SPEC_MAX)
        return mm_error_set(err, MM_BUG, "an extent's description has %zu bytes", extent->spec_size);
    if (extent->upsert && !(session->sinks->capabilities & MM_SINK_IDEMPOTENT))
        return mm_error_set(err, MM_CONFIG, "%s can only be read so that documents may come twice, and target `%s` cannot "
                                            "replace rows", session->collections[plan->collection].from->schema.name,
                            session->sinks->name);
    mm_task task = {.kind = extent->upsert ? MM_TASK_CHANGE : MM_TASK_COPY, .collection = plan->collection,
                    .partition = extent->partition, .rows = extent->rows, .bytes = extent->bytes, .spec = extent->spec,
                    .spec_size = extent->spec_size};
    plan->run->tasks_total++;
    plan->run->bytes_total += extent->bytes;
    if (plan->run->rows_total != MM_COUNT_UNKNOWN)
        plan->run->rows_total += extent->rows;
    return session->stores->plan_task(session->store, &task, err);
}

/* The fence goes on counting over the runs of a job: an epoch is never used twice. */
static void inherit_fence(mm_run_collection *collection, const mm_plan_collection *former, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(former[i].target_name, collection->sink.name) == 0) {
            collection->fence = former[i].fence;
            collection->sealed = former[i].sealed;
        }
}

static mm_status plan_collection(planning *plan, mm_error *err)
{
    mm_session *session = plan->session;
    mm_run_collection *collection = &session->collections[plan->collection];
    const char *fingerprint = NULL;
    mm_status status = mm_collections_fingerprint(session, collection, &session->arena, &fingerprint, err);
    if (status != MM_OK)
        return status;
    mm_plan_collection record = {.id = plan->collection, .source_name = collection->from->schema.name,
                                 .target_name = collection->sink.name, .mapping = collection->mapping_text,
                                 .source_fingerprint = fingerprint, .fence = collection->fence,
                                 .sealed = collection->sealed};
    status = session->stores->plan_collection(session->store, &record, err);
    if (status != MM_OK)
        return status;
    if (!collection->from->rows_exact && !collection->from->rows_bound)
        plan->run->rows_total = MM_COUNT_UNKNOWN;
    return mm_collections_plan(session, collection, add_extent, plan, err);
}

static void take_totals(mm_session *session)
{
    const mm_run_record *run = &session->run;
    mm_run_progress *progress = &session->progress;
    progress->rows_total = run->rows_total;
    progress->bytes_total = run->bytes_total;
    progress->tasks_total = run->tasks_total;
    progress->rows_done = run->rows_done;
    progress->bytes_done = run->bytes_done;
    progress->rows_rejected = run->rows_rejected;
    progress->tasks_done = run->tasks_done;
    session->rejects_size = run->rejects_size;
}

mm_status mm_plan_make(mm_session *session, mm_error *err)
{
    mm_plan_collection *former = NULL;
    size_t former_count = 0;
    mm_status status = MM_OK;
    if (session->run.run > 0)
        status = session->stores->collections(session->store, &session->arena, &former, &former_count, err);
    mm_run_record run = {.run = session->run.run + 1, .state = MM_RUN_PLANNED, .phase = "plan",
                         .started_ms = mm_clock_wall_ms(), .config_fingerprint = session->job->fingerprint,
                         .verdict = {MM_VERDICT_NONE, MM_COUNT_UNKNOWN, MM_COUNT_UNKNOWN, MM_COUNT_UNKNOWN}};
    if (status == MM_OK)
        status = session->stores->plan_begin(session->store, &run, err);
    if (status != MM_OK)
        return status;
    status = session->stores->job_write(session->store, &session->record, err);
    planning plan = {.session = session, .run = &run};
    for (uint32_t i = 0; i < session->collection_count && status == MM_OK; i++) {
        plan.collection = i;
        inherit_fence(&session->collections[i], former, former_count);
        status = plan_collection(&plan, err);
    }
    if (status == MM_OK)
        status = mm_thinning_plan(session, &run, err);
    if (status == MM_OK)
        status = session->stores->plan_totals(session->store, &run, err);
    MM_FAILPOINT("plan.before_commit");
    if (status != MM_OK) {
        mm_error ignored = MM_ERROR_INIT; /* the failure that led here is the one to tell */
        if (session->stores->plan_end(session->store, false, &ignored) != MM_OK)
            mm_log(MM_LOG_DEBUG, "undoing the plan: %s", ignored.text);
        return status;
    }
    status = session->stores->plan_end(session->store, true, err);
    MM_FAILPOINT("plan.after_commit");
    if (status != MM_OK)
        return status;
    session->run = run;
    take_totals(session);
    return MM_OK;
}

static mm_status recall_collection(mm_session *session, const mm_plan_collection *plan, mm_error *err)
{
    if (plan->id >= session->collection_count)
        return mm_error_set(err, MM_CHANGED, "the plan has more collections than the job");
    mm_run_collection *collection = &session->collections[plan->id];
    if (strcmp(plan->mapping, collection->mapping_text) != 0)
        return mm_error_set(err, MM_CHANGED, "the mapping changed since the plan: was `%s`, is `%s`", plan->mapping,
                            collection->mapping_text);
    collection->fence = plan->fence;
    collection->sealed = plan->sealed;
    collection->fence_open = plan->fence > 0 && !plan->fence_intended && !plan->sealed;
    collection->skipped = plan->skipped;
    return MM_OK;
}

/* Names the keys that decide and differ. When only the program's own defaults differ, the two hashes
 * have to do. */
static mm_status refuse_changed_config(const mm_session *session, mm_error *err)
{
    const mm_job_record *record = &session->record;
    char difference[512] = "";
    mm_job *before = NULL;
    mm_error ignored = MM_ERROR_INIT; /* the refusal stands, with or without the words */
    if (mm_job_parse(record->config_text, record->config_path, record->overrides, mm_run_tables(), &before, &ignored) ==
        MM_OK)
        mm_job_difference(before, session->job, difference, sizeof(difference));
    mm_job_free(before);
    if (difference[0] == '\0')
        snprintf(difference, sizeof(difference), "fingerprint was %s, is %s", session->run.config_fingerprint,
                 session->job->fingerprint);
    return mm_error_set(err, MM_CHANGED,
                        "the configuration that decides which rows arrive changed since the plan: %s; "
                        "`mmresume reset %s` and run again, or undo the change",
                        difference, record->name);
}

static mm_status call_check_source(void *context, mm_error *err)
{
    return mm_session_check_source(context, err);
}

mm_status mm_plan_recall(mm_session *session, mm_error *err)
{
    if (strcmp(session->run.config_fingerprint, session->job->fingerprint) != 0)
        return refuse_changed_config(session, err);
    mm_plan_collection *plans = NULL;
    size_t count = 0;
    mm_status status = session->stores->collections(session->store, &session->arena, &plans, &count, err);
    for (size_t i = 0; status == MM_OK && i < count; i++)
        status = recall_collection(session, &plans[i], err);
    if (status == MM_OK)
        status = mm_steps_retry(session, call_check_source, session, err);
    take_totals(session);
    return status;
}
