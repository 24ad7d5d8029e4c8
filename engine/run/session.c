/* Opening and closing what a session needs, and resolving the job's collections. */
#include "run/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/collections.h"
#include "run/signals.h"

/* ---- the store and the job ---- */

static mm_status check_same_file(const mm_session *session, const char *path, mm_error *err)
{
    const char *name = session->record.name;
    if (strcmp(session->record.config_path, path) == 0)
        return MM_OK;
    return mm_error_set(err, MM_CONFIG,
                        "job `%s` belongs to %s, not to %s; give one of them another `job:` name, or "
                        "`mmresume reset %s`",
                        name, session->record.config_path, path, name);
}

static mm_status parse_stored(mm_session *session, mm_error *err)
{
    const mm_job_record *record = &session->record;
    const char *more = session->args->overrides ? session->args->overrides : "";
    char *overrides = mm_format("%s%s%s", record->overrides, record->overrides[0] && more[0] ? "\n" : "", more);
    if (overrides == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = mm_job_parse(record->config_text, record->config_path, overrides, mm_run_tables(), &session->job, err);
    free(overrides);
    return status;
}

static mm_status make_paths(mm_session *session, const char *name, mm_error *err)
{
    session->rejects_path = mm_format("%s/%s.rejects.ndjson", session->args->state_dir, name);
    session->cancel_path = mm_format("%s/%s.cancel", session->args->state_dir, name);
    session->spool_path = mm_format("%s/%s.spool", session->args->state_dir, name);
    if (session->rejects_path == NULL || session->cancel_path == NULL || session->spool_path == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    return MM_OK;
}

mm_status mm_session_open(mm_session *session, const mm_run_args *args, mm_store_mode mode, mm_error *err)
{
    memset(session, 0, sizeof(*session));
    session->args = args;
    session->stores = &mm_store_sqlite;
    session->rejects_fd = -1;
    session->started_ms = mm_clock_ms();
    session->stop_at_ms = args->stop_after_ms ? session->started_ms + args->stop_after_ms : 0;
    pthread_mutex_init(&session->store_lock, NULL);
    mm_status status = MM_OK;
    if (args->job_file)
        status = mm_job_load(args->job_file, args->overrides, mm_run_tables(), &session->job, err);
    if (status != MM_OK)
        return status;
    if (session->job)
        mm_job_warn(session->job);
    const char *name = session->job ? session->job->name : args->job_name;
    mm_store_args store = {.dir = args->state_dir, .job = name, .mode = mode, .sync = true};
    const char *unsynced = getenv("MMRESUME_UNSAFE_NO_SYNC"); /* for bench/: what durability costs */
    if (unsynced && strcmp(unsynced, "1") == 0)
        store.sync = false;
    status = make_paths(session, name, err);
    if (status == MM_OK)
        status = session->stores->open(&store, &session->store, err);
    if (status != MM_OK)
        return status;
    status = session->stores->job_read(session->store, &session->arena, &session->record, err);
    if (status == MM_NOT_FOUND && session->job) {
        mm_error_clear(err);
        return MM_OK;
    }
    if (status == MM_OK)
        status = session->job ? check_same_file(session, session->job->path, err) : MM_OK;
    if (status == MM_OK && args->job_path)
        status = check_same_file(session, args->job_path, err);
    if (status == MM_OK && session->job == NULL)
        status = parse_stored(session, err);
    if (status == MM_OK)
        status = session->stores->run_read(session->store, &session->arena, &session->run, err);
    return status;
}

void mm_session_close(mm_session *session)
{
    if (session->sink)
        session->sinks->close(session->sink);
    if (session->source)
        session->sources->close(session->source);
    if (session->store)
        session->stores->close(session->store);
    if (session->rejects_fd >= 0)
        close(session->rejects_fd);
    mm_catalog_free(&session->catalog);
    mm_job_free(session->job);
    mm_arena_free(&session->arena);
    free(session->rejects_path);
    free(session->cancel_path);
    free(session->spool_path);
    pthread_mutex_destroy(&session->store_lock);
}

/* ---- source and sink ---- */

#define MEMO "source.memo" /* a step of collection 0; no sink's step is called so */

static mm_status read_memo(mm_session *session, mm_arena *arena, const char **out, mm_error *err)
{
    mm_step_record *records = NULL;
    size_t count = 0;
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->steps(session->store, 0, arena, &records, &count, err);
    pthread_mutex_unlock(&session->store_lock);
    *out = NULL;
    for (size_t i = 0; status == MM_OK && i < count; i++)
        if (strcmp(records[i].name, MEMO) == 0)
            *out = records[i].text;
    return status;
}

static mm_status recall_memo(mm_session *session, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    const char *memo = NULL;
    mm_status status = read_memo(session, &arena, &memo, err);
    if (status == MM_OK && memo)
        status = session->sources->recall(session->source, memo, err);
    mm_arena_free(&arena);
    return status;
}

mm_status mm_session_keep_memo(mm_session *session, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_buffer text = MM_BUFFER_INIT;
    const char *memo = NULL;
    if (session->sources->memo == NULL || session->collection_count == 0)
        return MM_OK;
    mm_status status = read_memo(session, &arena, &memo, err);
    if (status == MM_OK && memo == NULL) {
        status = session->sources->memo(session->source, &text, err);
        mm_op op = {.kind = MM_OP_STEP, .key = MEMO, .text = text.data ? text.data : "", .flag = true};
        if (status == MM_OK)
            status = mm_session_apply(session, &op, 1, err);
    }
    mm_buffer_free(&text);
    mm_arena_free(&arena);
    return status;
}

mm_status mm_session_open_source(mm_session *session, mm_error *err)
{
    if (session->source) { /* a former try failed half-way */
        session->sources->close(session->source);
        session->source = NULL;
        mm_catalog_free(&session->catalog);
    }
    session->sources = mm_source_find(session->job->source_driver);
    if (session->sources == NULL)
        return mm_error_set(err, MM_CONFIG, "source.driver `%s` is not known", session->job->source_driver);
    mm_status status = session->sources->open(session->job->source, &session->source, err);
    if (status == MM_OK && session->planned && session->sources->recall)
        status = recall_memo(session, err);
    if (status == MM_OK)
        status = session->sources->describe(session->source, &session->catalog, err);
    return status == MM_OK ? mm_collections_resolve(session, err) : status;
}

static mm_status host_record(void *context, const char *key, const char *value, mm_error *err)
{
    mm_session *session = context;
    mm_op op = {.kind = MM_OP_STATE, .key = key, .text = value};
    uint64_t began = mm_clock_ns();
    mm_status status = mm_session_apply(session, &op, 1, err);
    session->waited_ns += mm_clock_ns() - began;
    return status;
}

static bool host_stopping(void *context)
{
    return mm_session_stop_asked(context) != MM_OK;
}

static mm_status check_sink(const mm_session *session, mm_error *err)
{
    const mm_job *job = session->job;
    uint32_t caps = session->sinks->capabilities;
    bool relaxed = mm_options_bool(job->target, "at_least_once");
    if (!(caps & (MM_SINK_IDEMPOTENT | MM_SINK_REWIND | MM_SINK_ATOMIC)) && !relaxed)
        return mm_error_set(err, MM_CONFIG, "target `%s` can neither replay nor rewind: rows could be doubled "
                            "after a crash; target.at_least_once: true accepts that", session->sinks->name);
    if (job->duplicates == MM_DUP_KEEP && !(caps & MM_SINK_DUPLICATES) && !relaxed)
        return mm_error_set(err, MM_CONFIG, "duplicates: keep cannot be replayed on `%s`: an upsert would remove "
                            "the other copy; target.at_least_once: true accepts that", session->sinks->name);
    return MM_OK;
}

mm_status mm_session_check_verify(const mm_session *session, mm_verify_mode mode, mm_error *err)
{
    bool copies = session->job->duplicates == MM_DUP_KEEP && !(session->sinks->capabilities & MM_SINK_DUPLICATES);
    if (!copies || mode == MM_VERIFY_NONE || mode == MM_VERIFY_COUNT)
        return MM_OK;
    return mm_error_set(err, MM_CONFIG, "duplicates: keep on `%s` cannot be verified row by row: a query shows one of "
                                        "the copies of a key; use verify: count", session->sinks->name);
}

mm_status mm_session_open_sink(mm_session *session, uint32_t run, mm_error *err)
{
    mm_status status = mm_sink_resolve(session->job->target_driver, session->job->target, &session->sinks, err);
    if (status == MM_OK)
        status = check_sink(session, err);
    if (status == MM_OK)
        status = mm_session_check_verify(session, session->job->verify, err);
    if (status != MM_OK)
        return status;
    session->host = (mm_sink_host){session, host_record, host_stopping};
    session->sink_caps = session->sinks->capabilities;
    mm_sink_args args = {.options = session->job->target, .job_tag = session->record.tag,
                         .run = run, .host = &session->host,
                         .collections = session->sink_collections, .collection_count = session->collection_count,
                         .folder = session->spool_path,
                         .lane_memory = session->job->memory / (4 * session->job->loaders)};
    return session->sinks->open(&args, &session->sink, err);
}

static mm_status compare_fingerprint(mm_session *session, const mm_plan_collection *plan, mm_error *err)
{
    const char *now = NULL;
    mm_arena arena = MM_ARENA_INIT;
    const mm_run_collection *collection = &session->collections[plan->id];
    mm_status status = mm_collections_fingerprint(session, collection, &arena, &now, err);
    if (status == MM_OK && strcmp(now, plan->source_fingerprint) != 0)
        status = mm_error_set(err, MM_CHANGED,
                              "source `%s` changed since the plan: was %s, is %s; restore it, or `mmresume reset %s` "
                              "and run again",
                              plan->source_name, plan->source_fingerprint, now, session->record.name);
    mm_arena_free(&arena);
    return status;
}

mm_status mm_session_check_source(mm_session *session, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_plan_collection *plans = NULL;
    size_t count = 0;
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->collections(session->store, &arena, &plans, &count, err);
    pthread_mutex_unlock(&session->store_lock);
    if (status == MM_OK && count != session->collection_count)
        status = mm_error_set(err, MM_CHANGED, "the plan has %zu collections, the job now %zu", count,
                              session->collection_count);
    for (size_t i = 0; status == MM_OK && i < count; i++)
        status = compare_fingerprint(session, &plans[i], err);
    mm_arena_free(&arena);
    return status;
}

/* ---- the store, stopping ---- */

mm_status mm_session_apply(mm_session *session, mm_op *ops, size_t count, mm_error *err)
{
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->apply(session->store, ops, count, err);
    pthread_mutex_unlock(&session->store_lock);
    return status;
}

mm_status mm_session_phase(mm_session *session, const char *phase, mm_error *err)
{
    mm_op op = {.kind = MM_OP_PHASE, .text = phase};
    session->run.phase = phase;
    return mm_session_apply(session, &op, 1, err);
}

mm_status mm_session_stop_asked(mm_session *session)
{
    if (mm_signals_stop_asked())
        return MM_INTERRUPTED;
    if (session->stop_at_ms > 0 && mm_clock_ms() >= session->stop_at_ms)
        return MM_INTERRUPTED;
    return access(session->cancel_path, F_OK) == 0 ? MM_CANCELLED : MM_OK;
}

void mm_session_sleep(mm_session *session, uint64_t ms)
{
    uint64_t until = mm_clock_ms() + ms;
    for (uint64_t now = mm_clock_ms(); now < until; now = mm_clock_ms()) {
        if (mm_session_stop_asked(session) != MM_OK)
            return;
        uint64_t nap = until - now < 50 ? until - now : 50;
        struct timespec wait = {0, (long)nap * 1000000};
        nanosleep(&wait, NULL);
    }
}
