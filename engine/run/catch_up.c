/* Passes over the changes of a live source. */
#include "run/catch_up.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "run/plan.h"
#include "run/steps.h"

bool mm_catch_up_wanted(const mm_session *session)
{
    return session->sources->capabilities & MM_SOURCE_LIVE;
}

static uint64_t passes_max(const mm_session *session)
{
    return (uint64_t)mm_options_int(session->job->source, "catch_up");
}

/* Of the pass that the savepoints are in; 0: none yet. */
static uint64_t pass_of(const char *phase)
{
    const char *colon = phase ? strchr(phase, ':') : NULL;
    return colon ? strtoull(colon + 1, NULL, 10) : 0;
}

/* ---- a source that is away for a moment is waited for ---- */

typedef struct changes_call {
    mm_session *session;
    const char *phase; /* NULL: only count */
    uint64_t number;   /* of tasks, or of rows */
    bool blind;
} changes_call;

static mm_status call_changes(void *context, mm_error *err)
{
    changes_call *call = context;
    if (call->phase == NULL)
        return mm_plan_count_changes(call->session, &call->number, &call->blind, err);
    return mm_plan_changes(call->session, call->phase, &call->number, err);
}

static mm_status plan_pass(mm_session *session, uint64_t pass, uint64_t *tasks, mm_error *err)
{
    char phase[32];
    snprintf(phase, sizeof(phase), MM_CATCH_UP_PHASE ":%" PRIu64, pass);
    changes_call call = {.session = session, .phase = phase};
    mm_status status = mm_steps_retry(session, call_changes, &call, err);
    *tasks = call.number;
    if (status != MM_OK || call.number == 0)
        return status;
    session->run.phase = mm_arena_strdup(&session->arena, phase);
    return session->run.phase ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static mm_status count_changes(mm_session *session, uint64_t *rows, bool *blind, mm_error *err)
{
    changes_call call = {.session = session};
    mm_status status = mm_steps_retry(session, call_changes, &call, err);
    *rows = call.number;
    *blind = call.blind;
    return status;
}

/* ---- passes ---- */

static mm_status run_pass(mm_session *session, mm_pipeline_write write, mm_error *err)
{
    mm_pipeline_work work = {.kind = MM_TASK_CHANGE, .write = write};
    mm_status status = mm_plan_recall_fences(session, err);
    return status == MM_OK ? mm_pipeline_run(session, &work, err) : status;
}

/* Files cannot take a row back: what they hold is only a copy of the source if nothing changed. */
static mm_status refuse_changes(mm_session *session, mm_error *err)
{
    uint64_t rows = 0;
    bool blind = false;
    if (passes_max(session) == 0)
        return MM_OK;
    mm_status status = count_changes(session, &rows, &blind, err);
    if (status != MM_OK || rows == 0)
        return status;
    return mm_error_set(err, MM_CHANGED,
                        "%" PRIu64 " rows of the source were written since the plan, and target `%s` cannot replace rows: "
                        "stop the writing, `mmresume reset %s` and run again; or take the rows as they were read, with "
                        "source.catch_up: 0", rows, session->sinks->name, session->record.name);
}

static mm_status say_end(mm_session *session, uint64_t pass, mm_error *err)
{
    uint64_t rows = 0;
    bool blind = false;
    mm_status status = count_changes(session, &rows, &blind, err);
    if (status != MM_OK)
        return status;
    if (blind)
        mm_log(MM_LOG_WARN, "with this cursor it cannot be seen what is written to the source while it is read");
    else if (pass == 0 && rows == 0)
        mm_log(MM_LOG_INFO, "nothing was written to the source while it was read");
    else if (rows == 0)
        mm_log(MM_LOG_INFO, "caught up with the source after %" PRIu64 " pass%s", pass, pass == 1 ? "" : "es");
    else
        mm_log(MM_LOG_WARN, "%" PRIu64 " rows were written to the source since the last of %" PRIu64 " passes "
                            "(source.catch_up): the target is as the source was then", rows, pass);
    return MM_OK;
}

static mm_status make_passes(mm_session *session, mm_pipeline_write write, mm_error *err)
{
    uint64_t pass = pass_of(session->run.phase), tasks = 1;
    /* what the plan began with, the pass before a crash left open, or a repair set back */
    mm_status status = run_pass(session, write, err);
    while (status == MM_OK && tasks > 0 && pass < passes_max(session)) {
        status = plan_pass(session, pass + 1, &tasks, err);
        if (status != MM_OK || tasks == 0)
            break;
        pass++;
        mm_log(MM_LOG_INFO, "catching up with the source, pass %" PRIu64, pass);
        status = run_pass(session, write, err);
        MM_FAILPOINT("catch_up.passed");
    }
    return status == MM_OK ? say_end(session, pass, err) : status;
}

/* Rows that left their extent before it was read will not come any more. */
static mm_status settle(mm_session *session, mm_error *err)
{
    mm_op op = {.kind = MM_OP_PHASE, .text = "after", .flag = true};
    session->run.phase = op.text;
    return mm_session_apply(session, &op, 1, err);
}

mm_status mm_catch_up_run(mm_session *session, mm_pipeline_write write, mm_error *err)
{
    mm_status status = session->sink_caps & MM_SINK_IDEMPOTENT ? make_passes(session, write, err)
                                                               : refuse_changes(session, err);
    return status == MM_OK ? settle(session, err) : status;
}

/* ---- before a verdict ---- */

static mm_status refuse_loss(const mm_session *session, uint64_t now, uint64_t read, mm_error *err)
{
    return mm_error_set(err, MM_CHANGED,
                        "the source has %" PRIu64 " of the %" PRIu64 " rows that were read, and target `%s` cannot give rows "
                        "back: `mmresume reset %s` and run again while nothing is written; or take the rows as they were "
                        "read, with source.catch_up: 0", now, read, session->sinks->name, session->record.name);
}

typedef struct count_call {
    mm_session *session;
    uint64_t rows;
} count_call;

static mm_status call_count(void *context, mm_error *err)
{
    count_call *call = context;
    mm_session *session = call->session;
    call->rows = 0;
    for (uint32_t i = 0; i < session->collection_count; i++) {
        const mm_run_collection *collection = &session->collections[i];
        for (size_t j = 0; !collection->skipped && j < collection->source_count; j++) {
            mm_plan_walk former = {session, i, j};
            uint64_t rows = 0;
            mm_status status = session->sources->count(session->source, collection->sources[j].number, mm_plan_former,
                                                       &former, &rows, err);
            if (status != MM_OK)
                return status;
            call->rows += rows;
        }
    }
    return MM_OK;
}

mm_status mm_catch_up_check(mm_session *session, bool *again, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_run_record run;
    uint64_t changed = 0;
    count_call call = {.session = session};
    *again = false;
    bool replaces = session->sink_caps & MM_SINK_IDEMPOTENT;
    if (!mm_catch_up_wanted(session) || (!replaces && passes_max(session) == 0))
        return MM_OK;
    mm_status status = session->stores->changed(session->store, UINT32_MAX, &changed, err);
    if (status == MM_OK)
        status = session->stores->run_read(session->store, &arena, &run, err);
    if (status == MM_OK)
        status = mm_steps_retry(session, call_count, &call, err);
    if (status == MM_OK) {
        uint64_t read = run.rows_done + run.rows_rejected + run.rows_thinned;
        *again = changed > 0 || call.rows != read;
        if (*again && !replaces)
            status = refuse_loss(session, call.rows, read, err);
        else if (changed == 0 && call.rows != read)
            mm_log(MM_LOG_INFO, "the source has %" PRIu64 " of the %" PRIu64 " rows that were read: it is read again to "
                                "compare", call.rows, read);
    }
    mm_arena_free(&arena);
    return status;
}
