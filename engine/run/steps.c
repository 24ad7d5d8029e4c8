/* Running and recalling the sink's steps. */
#include "run/steps.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "run/progress.h"

#define BACKOFF_MS 200
#define BACKOFF_MAX_MS 10000

mm_status mm_steps_retry(mm_session *session, mm_steps_fn fn, void *context, mm_error *err)
{
    uint64_t since = mm_clock_ms(), pause = BACKOFF_MS;
    for (bool warned = false;;) {
        mm_error_clear(err);
        mm_status status = fn(context, err);
        mm_class klass = mm_status_class(status);
        if (klass != MM_CLASS_RETRY && klass != MM_CLASS_RATE && klass != MM_CLASS_UNKNOWN)
            return status;
        if (mm_clock_ms() - since >= session->job->patience_ms)
            return status;
        if (!warned)
            mm_log(MM_LOG_WARN, "%s; trying again for up to %" PRIu64 " s (limits.patience)", err->text,
                   session->job->patience_ms / 1000);
        warned = true;
        mm_session_sleep(session, err->retry_after_ms > pause ? err->retry_after_ms : pause);
        mm_status asked = mm_session_stop_asked(session);
        if (asked != MM_OK)
            return mm_error_set(err, asked, "%s", mm_status_text(asked));
        pause = pause * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : pause * 2;
    }
}

typedef struct step_call {
    mm_session *session;
    const mm_step *step;
    uint32_t collection;
    char intent[MM_STEP_DETAIL], detail[MM_STEP_DETAIL];
} step_call;

static mm_status call_intend(void *context, mm_error *err)
{
    step_call *call = context;
    return call->step->intend(call->session->sink, call->collection, call->intent, err);
}

static mm_status call_run(void *context, mm_error *err)
{
    step_call *call = context;
    return call->step->run(call->session->sink, call->collection, call->intent, call->detail, err);
}

/* ---- a step that takes long says so ---- */

/* An index may be built for hours: somebody watches, and nothing moves. */
#define TELL_FIRST_MS 10000
#define TELL_AGAIN_MS 60000

typedef struct teller {
    const step_call *call;
    pthread_t thread;
    sem_t over;
    bool started;
} teller;

static void *tell(void *context)
{
    teller *t = context;
    uint64_t began = mm_clock_ms(), due = began + TELL_FIRST_MS;
    for (;;) {
        struct timespec at = {(time_t)(due / 1000), (long)(due % 1000) * 1000000};
        if (sem_clockwait(&t->over, CLOCK_MONOTONIC, &at) == 0)
            return NULL;
        if (errno != ETIMEDOUT)
            continue;
        char since[16];
        mm_progress_duration(mm_clock_ms() - began, since);
        mm_log(MM_LOG_INFO, "%s: %s: under way for %s",
               t->call->session->collections[t->call->collection].sink.name, t->call->step->name, since);
        due += TELL_AGAIN_MS;
    }
}

static void tell_begin(teller *t, const step_call *call)
{
    *t = (teller){.call = call};
    sem_init(&t->over, 0, 0);
    t->started = pthread_create(&t->thread, NULL, tell, t) == 0; /* words only: the step goes on without them */
}

static void tell_end(teller *t)
{
    sem_post(&t->over);
    if (t->started)
        pthread_join(t->thread, NULL);
    sem_destroy(&t->over);
}

/* ---- one step ---- */

static mm_status record(step_call *call, const char *text, bool done, mm_error *err)
{
    mm_op op = {.kind = MM_OP_STEP, .collection = call->collection, .key = call->step->name, .text = text, .flag = done};
    return mm_session_apply(call->session, &op, 1, err);
}

static mm_status skip_collection(step_call *call, mm_error *err)
{
    mm_op op = {.kind = MM_OP_SKIP, .collection = call->collection};
    mm_run_collection *collection = &call->session->collections[call->collection];
    collection->skipped = true;
    mm_log(MM_LOG_INFO, "%s: exists, skipped (if_exists: skip)", collection->sink.name);
    return mm_session_apply(call->session, &op, 1, err);
}

static mm_status run_step(step_call *call, const mm_step_record *known, mm_error *err)
{
    mm_status status = MM_OK;
    if (known) {
        snprintf(call->intent, sizeof(call->intent), "%s", known->text ? known->text : "");
    } else {
        if (call->step->intend)
            status = mm_steps_retry(call->session, call_intend, call, err);
        if (status == MM_OK)
            status = record(call, call->intent, false, err);
    }
    if (status != MM_OK)
        return status;
    MM_FAILPOINT("step.started");
    teller words;
    tell_begin(&words, call);
    status = mm_steps_retry(call->session, call_run, call, err);
    tell_end(&words);
    MM_FAILPOINT("step.acted");
    bool skip = status == MM_END;
    if (status == MM_OK || skip)
        status = record(call, call->detail, true, err);
    if (status == MM_OK && skip)
        status = skip_collection(call, err);
    MM_FAILPOINT("step.done");
    return status;
}

static const mm_step_record *find(const mm_step_record *records, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(records[i].name, name) == 0)
            return &records[i];
    return NULL;
}

static mm_status read_records(mm_session *session, uint32_t collection, mm_arena *arena, mm_step_record **records,
                              size_t *count, mm_error *err)
{
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->steps(session->store, collection, arena, records, count, err);
    pthread_mutex_unlock(&session->store_lock);
    return status;
}

static mm_status run_collection(mm_session *session, uint32_t at, mm_step_phase phase, bool again, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_step_record *records = NULL;
    size_t count = 0;
    mm_status status = read_records(session, at, &arena, &records, &count, err);
    for (size_t i = 0; status == MM_OK && i < session->sinks->step_count; i++) {
        step_call call = {.session = session, .step = &session->sinks->steps[i], .collection = at};
        if (call.step->phase != phase || session->collections[at].skipped)
            continue;
        const mm_step_record *known = find(records, count, call.step->name);
        if (known && known->done && (!again || call.step->once))
            continue;
        if (known && known->done)
            known = NULL;
        status = run_step(&call, known, err);
        if (status != MM_OK)
            mm_error_context(err, "%s: %s", session->collections[at].sink.name, call.step->name);
    }
    mm_arena_free(&arena);
    return status;
}

mm_status mm_steps_run(mm_session *session, mm_step_phase phase, bool again, mm_error *err)
{
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && i < session->collection_count; i++) {
        if (!session->collections[i].skipped)
            status = run_collection(session, i, phase, again, err);
        mm_status asked = mm_session_stop_asked(session);
        if (status == MM_OK && asked != MM_OK)
            status = mm_error_set(err, asked, "%s", mm_status_text(asked));
    }
    return status;
}

static mm_status recall_collection(mm_session *session, uint32_t at, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_step_record *records = NULL;
    size_t count = 0;
    mm_status status = read_records(session, at, &arena, &records, &count, err);
    for (size_t i = 0; status == MM_OK && i < session->sinks->step_count; i++) {
        const mm_step *step = &session->sinks->steps[i];
        const mm_step_record *known = find(records, count, step->name);
        if (known && known->done && step->recall)
            status = step->recall(session->sink, at, known->text ? known->text : "", err);
    }
    mm_arena_free(&arena);
    return status;
}

typedef struct state_walk {
    mm_state_record *items;
    size_t count, at;
} state_walk;

static bool next_state(void *context, const char **key, const char **value)
{
    state_walk *walk = context;
    if (walk->at == walk->count)
        return false;
    *key = walk->items[walk->at].key;
    *value = walk->items[walk->at++].value;
    return true;
}

static mm_status settle(mm_session *session, mm_error *err)
{
    if (session->sinks->settle == NULL)
        return MM_OK;
    mm_arena arena = MM_ARENA_INIT;
    state_walk walk = {0};
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->states(session->store, &arena, &walk.items, &walk.count, err);
    pthread_mutex_unlock(&session->store_lock);
    MM_FAILPOINT("settle.before");
    if (status == MM_OK)
        status = session->sinks->settle(session->sink, next_state, &walk, err);
    MM_FAILPOINT("settle.after");
    mm_arena_free(&arena);
    return status;
}

mm_status mm_steps_recall(mm_session *session, mm_error *err)
{
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && i < session->collection_count; i++)
        status = recall_collection(session, i, err);
    return status == MM_OK ? settle(session, err) : status;
}
