/* Verification: resumable tasks through the same pipeline as the copy, with comparing in the place of
 * writing; then counts per partition, which also show what a query by key cannot (a doubled row). */
#include "run/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "run/catch_up.h"
#include "run/compare.h"
#include "run/pipeline.h"
#include "run/plan.h"
#include "run/steps.h"
#include "run/sweep.h"

/* ---- what a lane does with a batch ---- */

static void report(const mm_session *session, const mm_write *what, const mm_difference *differences, size_t count)
{
    const mm_run_collection *collection = &session->collections[what->collection];
    for (size_t i = 0; i < count; i++) {
        const mm_difference *d = &differences[i];
        mm_log(MM_LOG_ERROR, "%s: row with primary key %s %s%s%s", collection->sink.name, d->key, d->what,
               d->field ? " in field " : "", d->field ? d->field : "");
    }
}

/* Of rows [from, from + count), of which `found` stand in the target: names those that do not stand there
 * once, by halving the range. */
static mm_status name_keys(mm_session *session, mm_lane *lane, const mm_write *what, const mm_batch *batch, size_t from,
                           size_t count, uint64_t found, size_t *left, mm_error *err)
{
    if (found == count || *left == 0)
        return MM_OK;
    if (count == 1) {
        char key[MM_KEY_TEXT];
        mm_compare_key_text(batch, from, key);
        mm_log(MM_LOG_ERROR, "%s: row with primary key %s stands %" PRIu64 " times",
               session->collections[what->collection].sink.name, key, found);
        --*left;
        return MM_OK;
    }
    uint64_t first = 0;
    mm_status status = session->sinks->count_keys(lane, what->collection, what->partition, batch, from, count / 2, &first, err);
    if (status == MM_OK)
        status = name_keys(session, lane, what, batch, from, count / 2, first, left, err);
    if (status == MM_OK)
        status = name_keys(session, lane, what, batch, from + count / 2, count - count / 2,
                           found > first ? found - first : 0, left, err);
    return status;
}

/* Copies of a row share its key, and a query by key shows one of them: only counting finds them. */
static mm_status check_copies(mm_session *session, mm_lane *lane, const mm_write *what, const mm_batch *batch,
                              bool missing_too, uint64_t *mismatched, mm_error *err)
{
    uint64_t found = 0;
    size_t left = MM_DIFFERENCES_MAX;
    mm_status status = session->sinks->count_keys(lane, what->collection, what->partition, batch, 0, batch->rows,
                                                  &found, err);
    if (status != MM_OK || found == batch->rows || (found < batch->rows && !missing_too))
        return status;
    *mismatched += found > batch->rows ? found - batch->rows : batch->rows - found;
    return name_keys(session, lane, what, batch, 0, batch->rows, found, &left, err);
}

/* Where rows of others stand beside (the count of the whole says nothing), and where that count is wrong. */
static bool wants_copies(const mm_session *session, const mm_write *what)
{
    const mm_run_collection *collection = &session->collections[what->collection];
    return session->sinks->count_keys && session->job->duplicates != MM_DUP_KEEP &&
           (collection->differs || collection->sink.if_exists == MM_EXISTS_APPEND);
}

/* An Upsert does not reach a row of the same key in another partition: when appending, such a row of
 * somebody else is found here, and called a difference or deleted, as target.elsewhere says. */
static mm_status check_elsewhere(mm_session *session, mm_lane *lane, const mm_write *what, const mm_batch *batch,
                                 uint64_t *mismatched, mm_error *err)
{
    const mm_run_collection *collection = &session->collections[what->collection];
    uint64_t own = 0, anywhere = 0;
    if (collection->sink.if_exists != MM_EXISTS_APPEND || session->sinks->count_keys == NULL)
        return MM_OK;
    mm_status status = session->sinks->count_keys(lane, what->collection, what->partition, batch, 0, batch->rows, &own, err);
    if (status == MM_OK)
        status = session->sinks->count_keys(lane, what->collection, MM_PARTITION_ANY, batch, 0, batch->rows, &anywhere, err);
    if (status != MM_OK || anywhere <= own)
        return status;
    if (strcmp(mm_options_str(session->job->target, "elsewhere"), "delete") == 0 && session->sinks->delete_keys) {
        mm_log(MM_LOG_WARN, "%s: %" PRIu64 " rows with keys of this job stood in other partitions: deleted (target.elsewhere)",
               collection->sink.name, anywhere - own);
        return session->sinks->delete_keys(lane, what->collection, what->partition, true, batch, 0, batch->rows, err);
    }
    mm_log(MM_LOG_ERROR, "%s: %" PRIu64 " rows with keys of this job stand in other partitions too; "
                         "`target.elsewhere: delete` removes them", collection->sink.name, anywhere - own);
    *mismatched += anywhere - own;
    return MM_OK;
}

static mm_status compare_rows(mm_session *session, mm_lane *lane, const mm_write *what, mm_batch *batch,
                              uint64_t *mismatched, mm_error *err)
{
    mm_batch found = {.arena = MM_ARENA_INIT};
    mm_difference differences[MM_DIFFERENCES_MAX];
    size_t count = 0;
    mm_status status = session->sinks->read_back(lane, what, batch, &found, err);
    if (status == MM_OK)
        status = mm_compare(batch, &found, mismatched, differences, &count, err);
    if (status == MM_OK && count > 0)
        report(session, what, differences, count);
    mm_batch_free(&found);
    return status;
}

static mm_status verify_rows(mm_session *session, mm_lane *lane, const mm_write *what, mm_batch *batch,
                             size_t *acknowledged, uint64_t *mismatched, mm_error *err)
{
    mm_status status = compare_rows(session, lane, what, batch, mismatched, err);
    if (status == MM_OK && wants_copies(session, what))
        status = check_copies(session, lane, what, batch, false, mismatched, err);
    if (status == MM_OK)
        status = check_elsewhere(session, lane, what, batch, mismatched, err);
    if (status == MM_OK)
        *acknowledged = batch->rows;
    return status;
}

static mm_status verify_keys(mm_session *session, mm_lane *lane, const mm_write *what, mm_batch *batch,
                             size_t *acknowledged, uint64_t *mismatched, mm_error *err)
{
    mm_status status = check_copies(session, lane, what, batch, true, mismatched, err);
    if (status != MM_OK)
        return status;
    *acknowledged = batch->rows;
    return check_elsewhere(session, lane, what, batch, mismatched, err);
}

/* Rows are drawn by a hash of their place: the same ones after a crash, about `sample` of each task. */
static mm_status keep_sample(const mm_session *session, const mm_write *what, mm_batch *batch, uint64_t task_rows, mm_error *err)
{
    uint64_t sample = session->job->sample;
    if (task_rows <= sample)
        return MM_OK;
    uint64_t limit = (uint64_t)((double)sample / (double)task_rows * 18446744073709549568.0);
    uint8_t *keep = mm_arena_alloc(&batch->arena, batch->rows / 8 + 1);
    if (keep == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a sample");
    memset(keep, 0, batch->rows / 8 + 1);
    size_t kept = 0;
    for (size_t row = 0; row < batch->rows; row++) {
        uint64_t seed = (what->task << 32) + batch->first_row + (batch->ordinals ? batch->ordinals[row] : row);
        if (mm_random_next(&seed) > limit)
            continue;
        keep[row / 8] |= (uint8_t)(1u << (row % 8));
        kept++;
    }
    return mm_batch_filter(batch, keep, kept, err);
}

/* Keys are counted over all rows, values compared of the sample; a lost row of the sample shows in both. */
static mm_status verify_sample(mm_session *session, mm_lane *lane, const mm_write *what, mm_batch *batch,
                               size_t *acknowledged, uint64_t *mismatched, mm_error *err)
{
    size_t rows = batch->rows;
    uint64_t counted = 0, compared = 0, elsewhere = 0;
    mm_status status = MM_OK;
    if (wants_copies(session, what))
        status = check_copies(session, lane, what, batch, true, &counted, err);
    if (status == MM_OK)
        status = check_elsewhere(session, lane, what, batch, &elsewhere, err);
    if (status == MM_OK)
        status = keep_sample(session, what, batch, what->task_rows, err);
    if (status == MM_OK && batch->rows > 0)
        status = compare_rows(session, lane, what, batch, &compared, err);
    if (status != MM_OK)
        return status;
    *mismatched += elsewhere + (counted > compared ? counted : compared);
    *acknowledged = rows;
    return MM_OK;
}

/* ---- counts ---- */

typedef struct count_call {
    mm_session *session;
    uint32_t collection;
    const char *partition;
    uint64_t rows;
} count_call;

static mm_status call_count(void *context, mm_error *err)
{
    count_call *call = context;
    return call->session->sinks->count(call->session->sink, call->collection, call->partition, &call->rows, err);
}

static mm_status expected_rows(mm_session *session, uint32_t collection, uint32_t partition, uint64_t *rows, mm_error *err)
{
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->collections[collection].read_again
                           ? session->stores->verified(session->store, collection, partition, rows, err)
                           : session->stores->expected(session->store, collection, partition, rows, err);
    pthread_mutex_unlock(&session->store_lock);
    return status;
}

/* One target partition may take several of the source's: their expectations add up. */
static mm_status count_partition(mm_session *session, uint32_t at, uint32_t partition, bool say, mm_verdict *verdict,
                                 mm_error *err)
{
    const mm_sink_collection *sink = &session->collections[at].sink;
    const char *name = sink->partitions[partition];
    uint64_t expected = 0;
    for (uint32_t i = 0; i < sink->partition_count; i++) {
        const char *other = sink->partitions[i];
        bool same = name == other || (name && other && strcmp(name, other) == 0);
        if (same && i < partition)
            return MM_OK; /* counted with the first */
        uint64_t rows = 0;
        mm_status status = same ? expected_rows(session, at, i, &rows, err) : MM_OK;
        if (status != MM_OK)
            return status;
        expected += rows;
    }
    count_call call = {session, at, name ? name : MM_DEFAULT_PARTITION, 0};
    mm_status status = mm_steps_retry(session, call_count, &call, err);
    if (status != MM_OK)
        return status;
    verdict->source_rows += expected;
    verdict->target_rows += call.rows;
    uint64_t difference = call.rows > expected ? call.rows - expected : expected - call.rows;
    if (difference > 0) {
        verdict->mismatches += difference;
        if (say)
            mm_log(MM_LOG_ERROR, "%s, partition %s: the source has %" PRIu64 " rows, the target %" PRIu64, sink->name,
               call.partition, expected, call.rows);
    }
    return MM_OK;
}

/* Beside rows of others, those that the source lost after they were copied cannot be found; but that there are such shows,
 * unless as many came in the passes. */
static mm_status count_lost(mm_session *session, uint32_t at, uint64_t rows, bool say, mm_verdict *verdict, mm_error *err)
{
    uint64_t written = 0, changed = 0;
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->expected(session->store, at, UINT32_MAX, &written, err);
    if (status == MM_OK)
        status = session->stores->changed(session->store, at, &changed, err);
    pthread_mutex_unlock(&session->store_lock);
    if (status != MM_OK || written < changed || written - changed <= rows)
        return status;
    uint64_t lost = written - changed - rows;
    verdict->target_rows += lost;
    verdict->mismatches += lost;
    if (say)
        mm_log(MM_LOG_ERROR, "%s: %" PRIu64 " rows of this job are gone from the source, and stand in the target among rows "
                             "of others (if_exists: append)", session->collections[at].sink.name, lost);
    return MM_OK;
}

/* When appending, rows that are not the job's stand beside its own: its keys were counted by task. A sink
 * without keys (files) counts only what the job wrote. */
static mm_status count_collection(mm_session *session, uint32_t at, bool say, mm_verdict *verdict, mm_error *err)
{
    const mm_run_collection *collection = &session->collections[at];
    if (collection->skipped)
        return MM_OK;
    if (collection->sink.if_exists == MM_EXISTS_APPEND && session->sinks->count_keys) {
        uint64_t rows = 0;
        mm_status status = expected_rows(session, at, UINT32_MAX, &rows, err);
        verdict->source_rows += rows;
        verdict->target_rows += rows;
        return status == MM_OK && collection->read_again ? count_lost(session, at, rows, say, verdict, err) : status;
    }
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && i < collection->sink.partition_count; i++)
        status = count_partition(session, at, i, say, verdict, err);
    return status;
}

/* Counts before the tasks begin: where the count is wrong, the tasks look for the keys that make it so. */
static mm_status count_first(mm_session *session, mm_error *err)
{
    for (uint32_t i = 0; session->sinks->count_keys && i < session->collection_count; i++) {
        mm_verdict counts = {0};
        mm_status status = count_collection(session, i, false, &counts, err);
        if (status != MM_OK)
            return status;
        session->collections[i].differs = counts.mismatches > 0;
    }
    return MM_OK;
}

/* ---- the whole ---- */

/* Counting by partition is not enough. */
static bool needs_keys(const mm_session *session)
{
    for (size_t i = 0; i < session->collection_count; i++)
        if (session->collections[i].sink.if_exists == MM_EXISTS_APPEND || session->collections[i].differs ||
            session->collections[i].read_again)
            return true;
    return false;
}

static mm_status plan_tasks(mm_session *session, mm_verify_mode mode, bool doubt_only, bool again, mm_error *err)
{
    static const char *const phases[2][MM_VERIFY_FULL + 1] = {
        {[MM_VERIFY_COUNT] = "verify:count", [MM_VERIFY_SAMPLE] = "verify:sample", [MM_VERIFY_FULL] = "verify:full"},
        {[MM_VERIFY_COUNT] = "verify:count:again", [MM_VERIFY_SAMPLE] = "verify:sample:again",
         [MM_VERIFY_FULL] = "verify:full:again"}};
    if (session->run.phase && strcmp(session->run.phase, phases[again][mode]) == 0)
        return MM_OK; /* an interrupted verification of the same kind goes on */
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->verify_plan(session->store, doubt_only, err);
    pthread_mutex_unlock(&session->store_lock);
    MM_FAILPOINT("verify.planned");
    return status == MM_OK ? mm_session_phase(session, phases[again][mode], err) : status;
}

static mm_status run_tasks(mm_session *session, mm_verify_mode mode, mm_error *err)
{
    static const mm_pipeline_write writes[] = {[MM_VERIFY_COUNT] = verify_keys, [MM_VERIFY_SAMPLE] = verify_sample,
                                               [MM_VERIFY_FULL] = verify_rows};
    mm_pipeline_work work = {.kind = MM_TASK_VERIFY, .write = writes[mode]};
    session->progress.rows_done = session->progress.bytes_done = 0;
    return mm_pipeline_run(session, &work, err);
}

static mm_status record_verdict(mm_session *session, const mm_verdict *verdict, mm_error *err)
{
    size_t count = 1;
    mm_op *ops = calloc(session->collection_count + 1, sizeof(*ops));
    if (ops == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    ops[0] = (mm_op){.kind = MM_OP_RUN, .state = MM_RUN_RUNNING, .verdict = verdict};
    for (uint32_t i = 0; verdict->state != MM_VERDICT_UNVERIFIED && i < session->collection_count; i++)
        if (mm_sweep_can(session, i)) /* a later repair asks how many rows are the job's */
            ops[count++] = (mm_op){.kind = MM_OP_COUNTED, .collection = i, .rows = session->collections[i].counted,
                                   .flag = verdict->state == MM_VERDICT_EQUAL};
    mm_status status = mm_session_apply(session, ops, count, err);
    free(ops);
    return status;
}

/* The savepoints' own account against the plan: each planned row was written, rejected or left out. Of a live source the
 * rows are counted again (mm_catch_up_check). */
static mm_status check_account(mm_session *session, mm_verdict *verdict, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_run_record run;
    for (size_t i = 0; i < session->collection_count; i++)
        if (session->collections[i].skipped || session->collections[i].from->rows_bound)
            return MM_OK;
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->run_read(session->store, &arena, &run, err);
    pthread_mutex_unlock(&session->store_lock);
    if (status == MM_OK && run.rows_total != MM_COUNT_UNKNOWN) {
        uint64_t seen = run.rows_done + run.rows_rejected + run.rows_thinned;
        uint64_t difference = seen > run.rows_total ? seen - run.rows_total : run.rows_total - seen;
        verdict->mismatches += difference;
        if (difference > 0)
            mm_log(MM_LOG_ERROR, "the plan has %" PRIu64 " rows, the savepoints account for %" PRIu64, run.rows_total, seen);
    }
    mm_arena_free(&arena);
    return status;
}

static mm_status call_check_source(void *context, mm_error *err)
{
    return mm_session_check_source(context, err);
}

static mm_status judge(mm_session *session, mm_verdict *verdict, mm_error *err)
{
    uint64_t mismatches = 0;
    verdict->source_rows = verdict->target_rows = verdict->mismatches = 0;
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && i < session->collection_count; i++) {
        uint64_t before = verdict->target_rows;
        status = count_collection(session, i, true, verdict, err);
        session->collections[i].counted = verdict->target_rows - before;
    }
    if (status == MM_OK)
        status = check_account(session, verdict, err);
    if (status != MM_OK)
        return status;
    pthread_mutex_lock(&session->store_lock);
    status = session->stores->mismatches(session->store, &mismatches, err);
    pthread_mutex_unlock(&session->store_lock);
    if (mismatches > verdict->mismatches)
        verdict->mismatches = mismatches; /* a lost row is seen by count and by key: once is enough */
    verdict->state = verdict->mismatches == 0 ? MM_VERDICT_EQUAL : MM_VERDICT_DIFFERENT;
    return status;
}

/* What was written to the source since it was read may be all of the difference. */
static void note_writing(mm_session *session, char *out, size_t size)
{
    mm_error err = MM_ERROR_INIT;
    uint64_t rows = 0;
    bool blind = false;
    out[0] = '\0';
    if (!mm_catch_up_wanted(session))
        return;
    if (mm_plan_count_changes(session, &rows, &blind, &err) != MM_OK)
        mm_log(MM_LOG_WARN, "whether the source was written to meanwhile is not known: %s", err.text);
    else if (rows > 0)
        snprintf(out, size, " (%" PRIu64 " rows were written to the source since then)", rows);
}

/* What to do about rows that the source no longer has. */
static void name_next(const mm_session *session, char *out, size_t size)
{
    bool sweeps = false, left = false;
    for (uint32_t i = 0; i < session->collection_count; i++) {
        sweeps = sweeps || mm_sweep_can(session, i);
        left = left || session->collections[i].left;
    }
    if (left)
        snprintf(out, size, "no row was removed, for the reason told before");
    else if (sweeps)
        snprintf(out, size, "`mmresume resume %s --repair` removes them", session->record.name);
    else
        snprintf(out, size, "which rows of the target these are cannot be proven here, and none is removed: remove them by "
                            "hand, or run into a collection of the job's own (if_exists: overwrite)");
}

static mm_status name_difference(mm_session *session, const mm_verdict *verdict, bool again, mm_error *err)
{
    const char *name = session->record.name;
    bool repairs = mm_session_repairs(session);
    char written[128], next[256];
    note_writing(session, written, sizeof(written));
    if (again && verdict->target_rows > verdict->source_rows) {
        name_next(session, next, sizeof(next));
        return mm_error_set(err, MM_MISMATCH,
                            "verification: the target has %" PRIu64 " rows, the source %" PRIu64 ": rows were deleted there "
                            "after they had been copied%s; %s", verdict->target_rows, verdict->source_rows, written, next);
    }
    return mm_error_set(err, MM_MISMATCH,
                        "verification: %" PRIu64 " rows differ (source %" PRIu64 ", target %" PRIu64
                        ")%s; `mmresume %s %s%s", verdict->mismatches, verdict->source_rows, verdict->target_rows, written,
                        repairs ? "resume" : "reset", name,
                        !repairs ? "`, then run it again"
                        : verdict->target_rows > verdict->source_rows
                            ? " --repair` writes them again; rows of keys that the source never had are others', and stay"
                            : " --repair` writes them again");
}

mm_status mm_verify_run(mm_session *session, mm_verify_mode mode, mm_verdict *verdict, mm_error *err)
{
    *verdict = (mm_verdict){MM_VERDICT_UNVERIFIED, MM_COUNT_UNKNOWN, MM_COUNT_UNKNOWN, MM_COUNT_UNKNOWN};
    if (mode == MM_VERIFY_NONE)
        return record_verdict(session, verdict, err);
    if (!(session->sink_caps & MM_SINK_READ_BACK))
        return mm_error_set(err, MM_CONFIG, "target `%s` cannot be read back: use verify: none", session->sinks->name);
    bool keyed = session->sinks->count_keys != NULL, again = false;
    mm_status status = mm_catch_up_check(session, &again, err);
    for (size_t i = 0; i < session->collection_count; i++)
        session->collections[i].read_again = again;
    if (status == MM_OK && !again)
        status = count_first(session, err);
    bool doubt_only = mode == MM_VERIFY_COUNT && !needs_keys(session);
    if (status == MM_OK)
        status = plan_tasks(session, mode, doubt_only, again, err);
    if (status == MM_OK && (mode != MM_VERIFY_COUNT || keyed))
        status = run_tasks(session, mode, err);
    MM_FAILPOINT("verify.before_count");
    if (status == MM_OK)
        status = mm_steps_retry(session, call_check_source, session, err);
    if (status == MM_OK)
        status = judge(session, verdict, err);
    if (status == MM_OK)
        status = record_verdict(session, verdict, err);
    if (status != MM_OK || verdict->state == MM_VERDICT_EQUAL)
        return status;
    return name_difference(session, verdict, again, err);
}
