/* The phases of a run, in order; each one is idempotent, so that a resume simply walks through them
 * again and finds done what is done. */
#include "run/execute.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "run/attend.h"
#include "run/catch_up.h"
#include "run/pipeline.h"
#include "run/progress.h"
#include "run/steps.h"
#include "run/sweep.h"
#include "run/verify.h"

static mm_status write_rows(mm_session *session, mm_lane *lane, const mm_write *what, mm_batch *batch,
                            size_t *acknowledged, uint64_t *mismatched, mm_error *err)
{
    (void)mismatched;
    return session->sinks->write(lane, what, batch, acknowledged, err);
}

typedef struct fingerprint_call {
    mm_session *session;
    uint32_t collection;
    char text[512];
} fingerprint_call;

static mm_status call_fingerprint(void *context, mm_error *err)
{
    fingerprint_call *call = context;
    return call->session->sinks->fingerprint(call->session->sink, call->collection, call->text, err);
}

/* What is written to must be what was written to before the crash. */
static mm_status check_target(mm_session *session, const mm_plan_collection *plan, mm_error *err)
{
    fingerprint_call call = {.session = session, .collection = plan->id};
    mm_status status = mm_steps_retry(session, call_fingerprint, &call, err);
    if (status != MM_OK)
        return mm_error_context(err, "%s", plan->target_name);
    if (plan->target_fingerprint == NULL) {
        mm_op op = {.kind = MM_OP_TARGET, .collection = plan->id, .text = call.text};
        return mm_session_apply(session, &op, 1, err);
    }
    if (strcmp(plan->target_fingerprint, call.text) != 0)
        return mm_error_set(err, MM_CHANGED, "target `%s` is not the one this run wrote to: was %s, is %s",
                            plan->target_name, plan->target_fingerprint, call.text);
    return MM_OK;
}

typedef struct fence_call {
    mm_session *session;
    uint32_t collection;
    uint64_t epoch;
} fence_call;

static mm_status call_highest(void *context, mm_error *err)
{
    fence_call *call = context;
    return call->session->sinks->fence_highest(call->session->sink, call->collection, &call->epoch, err);
}

/* A store that was restored from a backup does not know what was written since: refuse. Its epoch is
 * below the target's; or its alias, which stands until the last row is acknowledged, is gone. */
static mm_status check_fence(mm_session *session, uint32_t at, mm_error *err)
{
    const mm_run_collection *collection = &session->collections[at];
    if (!(session->sink_caps & MM_SINK_FENCE))
        return MM_OK;
    fence_call call = {session, at, 0};
    mm_status status = mm_steps_retry(session, call_highest, &call, err);
    if (status != MM_OK)
        return status;
    bool rows_left = session->run.tasks_done < session->run.tasks_total;
    if (call.epoch == 0 && collection->fence_open && rows_left)
        return mm_error_set(err, MM_CHANGED,
                            "%s: the alias of epoch %" PRIu64 ", through which this job writes, is gone: the savepoints are "
                            "older than the target, or somebody dropped it; `mmresume reset %s` and run again into a new "
                            "collection", collection->sink.name, collection->fence, session->record.name);
    if (call.epoch <= collection->fence)
        return MM_OK;
    return mm_error_set(err, MM_CHANGED,
                        "%s: the target was written through epoch %" PRIu64 " of this job, the savepoints only know %" PRIu64
                        ": they are older than the target; `mmresume reset %s` and run again into a new collection",
                        session->collections[at].sink.name, call.epoch, session->collections[at].fence,
                        session->record.name);
}

static mm_status check_targets(mm_session *session, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_plan_collection *plans = NULL;
    size_t count = 0;
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->collections(session->store, &arena, &plans, &count, err);
    pthread_mutex_unlock(&session->store_lock);
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        if (session->collections[plans[i].id].skipped)
            continue;
        if (session->sinks->fingerprint)
            status = check_target(session, &plans[i], err);
        if (status == MM_OK)
            status = check_fence(session, plans[i].id, err);
    }
    mm_arena_free(&arena);
    return status;
}

/* Of all threads, user and system. */
static double processor_ms(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

/* What the benchmarks read. */
static void say_cost(const mm_session *session, double cpu_ms)
{
    uint64_t waited_ns = session->waited_ns;
    double share = session->worked_ns ? 100.0 * (double)waited_ns / (double)session->worked_ns : 0;
    mm_log(MM_LOG_DEBUG, "waited for savepoints %.2f %% of the copy (%.0f of %.0f ms)", share,
           (double)waited_ns / 1e6, (double)session->worked_ns / 1e6);
    mm_log(MM_LOG_DEBUG, "from the first send to the last acknowledgement %.1f ms; processor time of the copy %.1f ms",
           (double)(session->last_ack_ns - session->first_send_ns) / 1e6, cpu_ms);
}

/* Of this target, as the steps before have found it. */
static void learn_capabilities(mm_session *session)
{
    if (session->sinks->capabilities_now)
        session->sink_caps = session->sinks->capabilities_now(session->sink);
    if ((session->sinks->capabilities & MM_SINK_FENCE) && !(session->sink_caps & MM_SINK_FENCE))
        mm_log(MM_LOG_WARN, "the target refuses aliases: every row goes by Upsert");
}

static mm_status copy(mm_session *session, mm_error *err)
{
    mm_status status = mm_session_phase(session, "copy", err);
    mm_pipeline_work work = {.kind = MM_TASK_COPY, .write = write_rows};
    double cpu_ms = processor_ms();
    session->waited_ns = 0; /* the steps' own records are not the copy's */
    if (status == MM_OK)
        status = mm_pipeline_run(session, &work, err);
    if (status == MM_OK) {
        say_cost(session, processor_ms() - cpu_ms);
        status = mm_attend_finish(session, err);
    }
    if (status != MM_OK)
        return status;
    return mm_session_phase(session, mm_catch_up_wanted(session) ? MM_CATCH_UP_PHASE : "after", err);
}

static bool past(const mm_session *session, const char *phase)
{
    static const char *const order[] = {"plan", "before", "copy", MM_CATCH_UP_PHASE, "after", "verify", "finish", "done"};
    size_t now = 0, then = 0;
    for (size_t i = 0; i < MM_COUNT(order); i++) {
        size_t length = strlen(order[i]); /* a verification says its mode behind a colon */
        if (session->run.phase && strncmp(order[i], session->run.phase, length) == 0)
            now = i;
        if (strcmp(order[i], phase) == 0)
            then = i;
    }
    return now > then;
}

static mm_status run_phases(mm_session *session, bool resumed, bool repaired, mm_error *err)
{
    mm_verdict verdict;
    bool again = repaired || !past(session, MM_CATCH_UP_PHASE); /* steps after the copy that are done already are of before */
    bool sweeps = false;
    mm_status status = mm_sweep_pending(session, &sweeps, err);
    if (status == MM_OK && resumed)
        status = mm_steps_recall(session, err);
    again = again || sweeps;
    if (status == MM_OK && !past(session, "finish"))
        status = mm_steps_run(session, MM_STEP_BEFORE, false, err);
    if (status == MM_OK)
        status = check_targets(session, err);
    if (status == MM_OK && !past(session, MM_CATCH_UP_PHASE))
        learn_capabilities(session);
    if (status == MM_OK && !past(session, "copy"))
        status = copy(session, err);
    if (status == MM_OK && mm_catch_up_wanted(session) && !past(session, MM_CATCH_UP_PHASE))
        status = mm_catch_up_run(session, write_rows, err);
    if (status == MM_OK)
        status = mm_steps_run(session, MM_STEP_AFTER, again, err);
    if (status == MM_OK && sweeps)
        status = mm_sweep_run(session, err);
    if (status == MM_OK && !past(session, "verify"))
        status = mm_verify_run(session, session->job->verify, &verdict, err);
    if (status == MM_OK)
        status = mm_session_phase(session, "finish", err);
    if (status == MM_OK)
        status = mm_steps_run(session, MM_STEP_FINISH, again, err);
    return status;
}

static mm_run_state end_state(mm_status status)
{
    switch (mm_status_exit(status)) {
    case 0:
        return MM_RUN_DONE;
    case 5:
    case 7:
    case 75:
        return MM_RUN_INTERRUPTED;
    case 8:
        return MM_RUN_CANCELLED;
    default:
        return MM_RUN_FAILED;
    }
}

void mm_execute_record_end(mm_session *session, mm_status status, const mm_error *err)
{
    mm_error ignored = MM_ERROR_INIT;
    mm_op op = {.kind = MM_OP_RUN, .state = end_state(status), .exit_code = mm_status_exit(status),
                .text = status == MM_OK ? NULL : err->text};
    if (op.state == MM_RUN_DONE || op.state == MM_RUN_CANCELLED || op.state == MM_RUN_FAILED)
        op.finished_ms = mm_clock_wall_ms();
    MM_FAILPOINT("run.before_end");
    if (mm_session_apply(session, &op, 1, &ignored) != MM_OK)
        mm_log(MM_LOG_WARN, "the end of the run could not be recorded: %s", ignored.text);
    MM_FAILPOINT("run.after_end");
}

static void say_verdict(mm_session *session)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_run_record run;
    char took[16];
    if (session->stores->run_read(session->store, &arena, &run, &err) == MM_OK) {
        mm_progress_duration(mm_clock_ms() - session->started_ms, took);
        if (run.verdict.state == MM_VERDICT_EQUAL)
            mm_log(MM_LOG_INFO, "done: %" PRIu64 " rows, %" PRIu64 " rejected, in %s; verified: source and target are equal (%" PRIu64 " = %" PRIu64 ")",
                   run.rows_done, run.rows_rejected, took, run.verdict.source_rows, run.verdict.target_rows);
        else
            mm_log(MM_LOG_INFO, "done: %" PRIu64 " rows, %" PRIu64 " rejected, in %s; unverified", run.rows_done,
                   run.rows_rejected, took);
    }
    mm_arena_free(&arena);
}

static void say_start(const mm_session *session, bool resumed)
{
    const mm_run_progress *progress = &session->progress;
    char of[32] = "";
    if (progress->rows_total != MM_COUNT_UNKNOWN)
        snprintf(of, sizeof(of), " of %" PRIu64, progress->rows_total);
    if (resumed)
        mm_log(MM_LOG_INFO, "run %u of `%s` goes on: %" PRIu64 "%s rows are done", session->run.run, session->record.name,
               (uint64_t)progress->rows_done, of);
    else
        mm_log(MM_LOG_INFO, "run %u of `%s`: %s rows in %" PRIu64 " task%s", session->run.run, session->record.name,
               of[0] ? of + 4 : "an unknown number of", progress->tasks_total, progress->tasks_total == 1 ? "" : "s");
}

mm_status mm_execute(mm_session *session, bool resumed, bool repaired, mm_error *err)
{
    mm_op running = {.kind = MM_OP_RUN, .state = MM_RUN_RUNNING};
    mm_status status = mm_session_keep_memo(session, err);
    if (status == MM_OK)
        status = mm_session_apply(session, &running, 1, err);
    if (status != MM_OK)
        return status;
    say_start(session, resumed);
    status = run_phases(session, resumed, repaired, err);
    if (status == MM_OK)
        status = mm_session_phase(session, "done", err);
    if (status == MM_CANCELLED)
        mm_execute_drop_fences(session);
    mm_execute_record_end(session, status, err);
    if (status == MM_OK)
        say_verdict(session);
    return status;
}

/* A verification that did not come to its end proves nothing: the run is again what it was before. */
static void take_back(mm_session *session, const mm_run_record *before)
{
    mm_error ignored = MM_ERROR_INIT;
    mm_op ops[] = {{.kind = MM_OP_PHASE, .text = before->phase},
                   {.kind = MM_OP_RUN, .state = before->state, .text = before->error, .exit_code = before->exit_code,
                    .finished_ms = before->finished_ms, .verdict = &before->verdict}};
    MM_FAILPOINT("verify.taken_back");
    if (mm_session_apply(session, ops, MM_COUNT(ops), &ignored) != MM_OK)
        mm_log(MM_LOG_WARN, "the verdict of before could not be recorded: %s", ignored.text);
    mm_log(MM_LOG_WARN, "nothing is proven: run %u of `%s` stays as it was; `mmresume verify %s` tries again", before->run,
           session->record.name, session->record.name);
}

mm_status mm_execute_verify(mm_session *session, mm_verify_mode mode, mm_error *err)
{
    mm_verdict verdict;
    const mm_run_record before = session->run;
    session->run.phase = "after";
    mm_status status = mm_steps_recall(session, err);
    if (status == MM_OK)
        status = check_targets(session, err);
    if (status == MM_OK)
        status = mm_steps_run(session, MM_STEP_AFTER, true, err);
    if (status == MM_OK)
        status = mm_verify_run(session, mode, &verdict, err);
    if (status == MM_OK)
        status = mm_steps_run(session, MM_STEP_FINISH, true, err);
    if (status == MM_OK)
        status = mm_session_phase(session, "done", err);
    mm_run_state end = end_state(status);
    if (end == MM_RUN_INTERRUPTED || end == MM_RUN_CANCELLED)
        take_back(session, &before);
    else
        mm_execute_record_end(session, status, err);
    if (status == MM_OK)
        say_verdict(session);
    return status;
}

void mm_execute_drop_fences(mm_session *session)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_plan_collection *plans = NULL;
    size_t count = 0;
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->collections(session->store, &arena, &plans, &count, &err);
    pthread_mutex_unlock(&session->store_lock);
    if (status == MM_OK && session->sinks->cancel)
        status = session->sinks->cancel(session->sink, &err);
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        if (!(session->sink_caps & MM_SINK_FENCE) || plans[i].skipped || plans[i].fence == 0)
            continue;
        /* the intent of an epoch that never comes: a crash in between is no savepoint without its alias */
        mm_op intent = {.kind = MM_OP_FENCE, .collection = plans[i].id, .row = plans[i].fence + 1, .flag = true};
        mm_op seal = {.kind = MM_OP_SEAL, .collection = plans[i].id};
        status = mm_session_apply(session, &intent, 1, &err);
        if (status == MM_OK)
            status = session->sinks->fence_drop(session->sink, plans[i].id, plans[i].fence, &err);
        if (status == MM_OK)
            status = mm_session_apply(session, &seal, 1, &err);
    }
    if (status != MM_OK)
        mm_log(MM_LOG_WARN, "an alias of this job may stay behind: %s", err.text);
    mm_arena_free(&arena);
}
