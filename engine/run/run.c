/* The commands that change something: run, resume, verify, cancel, reset. Each walks the table of
 * states in docs (which answer a run in which state gives). */
#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/folder.h"
#include "base/log.h"
#include "run/execute.h"
#include "run/plan.h"
#include "run/signals.h"
#include "run/steps.h"
#include "run/sweep.h"

const mm_job_tables *mm_run_tables(void)
{
    enum { MOST = 64 };
    static mm_job_driver sources[MOST], targets[MOST];
    static mm_job_tables tables;
    if (tables.sources)
        return &tables;
    size_t count;
    const mm_source_driver *const *source_list = mm_source_registry(&count);
    for (size_t i = 0; i < count && i < MOST; i++)
        sources[tables.source_count++] =
            (mm_job_driver){source_list[i]->name, source_list[i]->options, source_list[i]->option_count};
    const mm_sink_driver *const *sink_list = mm_sink_registry(&count);
    for (size_t i = 0; i < count && i < MOST; i++)
        targets[tables.target_count++] =
            (mm_job_driver){sink_list[i]->name, sink_list[i]->options, sink_list[i]->option_count};
    tables.targets = targets;
    tables.sources = sources;
    return &tables;
}

/* What the store is to know of the job. While there is no run it is written at once: the attempt shows. The job of a run
 * that has ended stays as it was until the plan of the next one takes its place, or `verify` would look for what an
 * attempt that failed was about. */
static mm_status take_job(mm_session *session, mm_error *err)
{
    uint64_t random;
    const mm_job *job = session->job;
    session->record.name = job->name;
    session->record.config_path = job->path;
    session->record.config_text = job->text;
    session->record.overrides = job->overrides ? job->overrides : "";
    if (session->record.tag[0] == '\0') {
        mm_random_bytes(&random, sizeof(random));
        snprintf(session->record.tag, sizeof(session->record.tag), "%016" PRIx64, random);
    }
    return session->run.run == 0 ? session->stores->job_write(session->store, &session->record, err) : MM_OK;
}

static mm_status start_new_run(mm_session *session, mm_error *err)
{
    mm_status status = take_job(session, err);
    if (status == MM_OK)
        status = mm_session_open_source(session, err);
    if (status == MM_OK)
        status = mm_session_open_sink(session, session->run.run + 1, err);
    /* the last run's; without a new run they stay */
    if (status == MM_OK && unlink(session->rejects_path) != 0 && errno != ENOENT)
        status = mm_error_errno(err, MM_IO, "%s", session->rejects_path);
    if (status == MM_OK)
        status = mm_plan_make(session, err);
    return status == MM_OK ? mm_execute(session, false, false, err) : status;
}

/* A run goes on as it was planned: whoever has mended the job file has to be told that this is not enough. */
static mm_status unfinished(const mm_session *session, mm_error *err)
{
    const mm_run_record *run = &session->run;
    const char *name = session->record.name;
    const char *overrides = session->args->overrides ? session->args->overrides : "";
    bool changed = strcmp(session->job->text, session->record.config_text) != 0 ||
                   (overrides[0] != '\0' && strcmp(overrides, session->record.overrides) != 0);
    const char *anew = changed ? " and run again, for the job as it is now" : "";
    if (run->state == MM_RUN_FAILED)
        return mm_error_set(err, MM_UNFINISHED,
                            "run %u of `%s` failed: %s; mend the cause and `mmresume resume %s`, or `mmresume reset %s`%s",
                            run->run, name, run->error ? run->error : "unknown", name, name, anew);
    return mm_error_set(err, MM_UNFINISHED,
                        "run %u of `%s` is unfinished; `mmresume resume %s` goes on, `mmresume reset %s` gives it up%s",
                        run->run, name, name, name, changed ? ": then run again, for the job as it is now" : "");
}

static bool is_unfinished(mm_run_state state)
{
    return state == MM_RUN_PLANNED || state == MM_RUN_RUNNING || state == MM_RUN_INTERRUPTED || state == MM_RUN_FAILED;
}

/* A request to cancel that nobody was there to see must not end the next run. */
static void forget_cancel(const mm_session *session)
{
    if (unlink(session->cancel_path) != 0 && errno != ENOENT)
        mm_log(MM_LOG_WARN, "%s: %s", session->cancel_path, strerror(errno));
}

mm_status mm_run_start(const mm_run_args *args, mm_error *err)
{
    mm_session session;
    mm_status status = mm_session_open(&session, args, MM_STORE_CREATE, err);
    if (status == MM_OK && is_unfinished(session.run.state)) {
        if (args->or_resume) {
            char name[80];
            snprintf(name, sizeof(name), "%s", session.record.name);
            mm_session_close(&session);
            mm_run_args resume = *args;
            resume.job_file = NULL;
            resume.job_name = name;
            return mm_run_resume(&resume, err);
        }
        status = unfinished(&session, err);
    } else if (status == MM_OK) {
        forget_cancel(&session);
        status = start_new_run(&session, err);
    }
    mm_session_close(&session);
    return status;
}

/* ---- resume ---- */

static mm_status repair(mm_session *session, mm_error *err)
{
    size_t count = 0, sweeps = 0;
    if (!mm_session_repairs(session))
        return mm_error_set(err, MM_CONFIG, "target `%s` cannot be repaired row by row: `mmresume reset %s` and run again",
                            session->sinks->name, session->record.name);
    uint32_t *sweep = mm_arena_array(&session->arena, session->collection_count + 1, sizeof(*sweep));
    if (sweep == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; i < session->collection_count; i++)
        if (mm_sweep_can(session, i))
            sweep[sweeps++] = i;
    mm_status status = session->stores->repair_plan(session->store, sweep, sweeps, &count, err);
    MM_FAILPOINT("repair.planned");
    if (status != MM_OK)
        return status;
    mm_log(MM_LOG_INFO, "repair: the rows of %zu tasks are written again%s", count,
           sweeps > 0 ? ", and rows that the source no longer has are removed" : "");
    return mm_session_phase(session, "copy", err);
}

static mm_status warn_changed_file(const mm_session *session)
{
    if (access(session->job->path, R_OK) != 0)
        return MM_OK;
    mm_error err = MM_ERROR_INIT;
    mm_job *now = NULL;
    mm_status status = mm_job_load(session->job->path, "", mm_run_tables(), &now, &err);
    if (status == MM_OK && strcmp(now->text, session->job->text) != 0)
        mm_log(MM_LOG_WARN, "%s has changed since the run began; the run goes on with the job as it was then "
                            "(`resume --set` changes credentials, endpoints and limits; for all else `mmresume reset %s` "
                            "and run again)", session->job->path, session->record.name);
    mm_job_free(now);
    return MM_OK;
}

static mm_status call_open_sink(void *context, mm_error *err)
{
    mm_session *session = context;
    return mm_session_open_sink(session, session->run.run, err);
}

/* A source or a target that is away for a moment is waited for: the run has begun. A new run is told at once. */
static mm_status open_sink_patiently(mm_session *session, mm_error *err)
{
    return mm_steps_retry(session, call_open_sink, session, err);
}

static mm_status call_open_source(void *context, mm_error *err)
{
    return mm_session_open_source(context, err);
}

static mm_status resume_session(mm_session *session, bool repaired, mm_error *err)
{
    mm_status status = warn_changed_file(session);
    session->planned = true;
    if (status == MM_OK)
        status = mm_steps_retry(session, call_open_source, session, err);
    if (status == MM_OK)
        status = mm_plan_recall(session, err);
    if (status == MM_OK)
        status = open_sink_patiently(session, err);
    if (status == MM_OK && repaired)
        status = repair(session, err);
    return status == MM_OK ? mm_execute(session, true, repaired, err) : status;
}

mm_status mm_run_resume(const mm_run_args *args, mm_error *err)
{
    mm_session session;
    mm_status status = mm_session_open(&session, args, MM_STORE_WRITE, err);
    if (status == MM_NOT_FOUND || (status == MM_OK && session.run.run == 0))
        status = mm_error_set(err, MM_USAGE, "there is no run of a job `%s` in %s; `mmresume run JOB.yaml` starts one",
                              args->job_name, args->state_dir);
    if (status != MM_OK)
        goto out;
    bool different = session.run.verdict.state == MM_VERDICT_DIFFERENT;
    if (session.run.state == MM_RUN_DONE && !(args->repair && different)) {
        mm_log(MM_LOG_INFO, "run %u of `%s` is done; there is nothing to resume", session.run.run, session.record.name);
        goto out;
    }
    if (session.run.state == MM_RUN_CANCELLED) {
        status = mm_error_set(err, MM_UNFINISHED, "run %u of `%s` was cancelled; `mmresume run %s` starts a new one",
                              session.run.run, session.record.name, session.record.config_path);
        goto out;
    }
    forget_cancel(&session);
    if (session.run.state == MM_RUN_FAILED && different)
        session.run.phase = "after"; /* verify from the start */
    status = resume_session(&session, args->repair && different, err);
out:
    mm_session_close(&session);
    return status;
}

/* ---- verify ---- */

/* Whatever the job asks for at its end: the target makes itself readable for this verification. */
static void want_verification(mm_session *session)
{
    for (size_t i = 0; i < session->collection_count; i++)
        session->collections[i].sink.verify = session->sink_collections[i].verify = true;
}

mm_status mm_run_verify(const mm_run_args *args, mm_error *err)
{
    mm_session session;
    mm_status status = mm_session_open(&session, args, MM_STORE_WRITE, err);
    if (status == MM_NOT_FOUND)
        status = mm_error_set(err, MM_USAGE, "there is no job `%s` in %s", args->job_name, args->state_dir);
    bool verified = session.run.verdict.state != MM_VERDICT_NONE;
    if (status == MM_OK && session.run.state != MM_RUN_DONE && !(session.run.state == MM_RUN_FAILED && verified))
        status = mm_error_set(err, MM_UNFINISHED, "run %u of `%s` is not finished: `mmresume resume %s` first",
                              session.run.run, args->job_name, args->job_name);
    session.planned = true;
    if (status == MM_OK)
        status = mm_session_open_source(&session, err);
    if (status == MM_OK)
        status = mm_plan_recall(&session, err);
    if (status == MM_OK)
        want_verification(&session);
    if (status == MM_OK)
        status = open_sink_patiently(&session, err);
    mm_verify_mode mode = status != MM_OK ? MM_VERIFY_NONE : args->full ? MM_VERIFY_FULL : session.job->verify;
    if (status == MM_OK)
        status = mm_session_check_verify(&session, mode, err);
    if (status == MM_OK)
        status = mm_execute_verify(&session, mode == MM_VERIFY_NONE ? MM_VERIFY_COUNT : mode, err);
    mm_session_close(&session);
    return status;
}

/* ---- cancel, reset ---- */

static mm_status ask_to_cancel(const mm_run_args *args, mm_error *err)
{
    char *path = mm_format("%s/%s.cancel", args->state_dir, args->job_name);
    if (path == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = MM_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        status = mm_error_errno(err, MM_IO, "%s", path);
    else
        close(fd);
    free(path);
    return status;
}

static void say_cancelled(const mm_session *session)
{
    mm_log(MM_LOG_INFO, "run %u of `%s` is cancelled; rows that were written stay in the target", session->run.run,
           session->record.name);
}

static mm_status cancel_open(mm_session *session, mm_error *err)
{
    if (!is_unfinished(session->run.state)) {
        mm_log(MM_LOG_INFO, "there is no unfinished run of `%s` to cancel", session->record.name);
        return MM_OK;
    }
    mm_error reason = MM_ERROR_INIT;
    session->planned = true;
    mm_status status = mm_session_open_source(session, &reason);
    if (status == MM_OK)
        status = mm_session_open_sink(session, session->run.run, &reason);
    if (status == MM_OK)
        mm_execute_drop_fences(session);
    else
        mm_log(MM_LOG_WARN, "source or target cannot be reached, aliases of this job may stay behind: %s", reason.text);
    mm_error_set(err, MM_CANCELLED, "cancelled by `mmresume cancel`");
    mm_execute_record_end(session, MM_CANCELLED, err);
    mm_error_clear(err);
    say_cancelled(session);
    return MM_OK;
}

#define CANCEL_WAIT_MS 30000

mm_status mm_run_cancel(const mm_run_args *args, mm_error *err)
{
    uint64_t began = mm_clock_ms();
    bool asked = false;
    for (;;) {
        mm_session session;
        mm_error_clear(err);
        mm_status status = mm_session_open(&session, args, MM_STORE_WRITE, err);
        if (status == MM_NOT_FOUND)
            status = mm_error_set(err, MM_USAGE, "there is no job `%s` in %s", args->job_name, args->state_dir);
        bool busy = status == MM_BUSY;
        if (status == MM_OK) {
            forget_cancel(&session);
            if (asked && session.run.state == MM_RUN_CANCELLED)
                say_cancelled(&session);
            else
                status = cancel_open(&session, err);
        }
        mm_session_close(&session);
        if (!busy)
            return status;
        if (!asked && (status = ask_to_cancel(args, err)) != MM_OK)
            return status;
        asked = true;
        if (mm_clock_ms() - began > CANCEL_WAIT_MS)
            return mm_error_set(err, MM_BUSY, "asked the running process to cancel; it has not ended yet");
        usleep(100000);
    }
}

mm_status mm_run_reset(const mm_run_args *args, mm_error *err)
{
    mm_store_args store_args = {.dir = args->state_dir, .job = args->job_name, .mode = MM_STORE_WRITE, .sync = true};
    mm_store *store = NULL;
    mm_status status = mm_store_sqlite.open(&store_args, &store, err);
    if (status == MM_NOT_FOUND)
        return mm_error_set(err, MM_USAGE, "there is no job `%s` in %s", args->job_name, args->state_dir);
    if (status != MM_OK)
        return status;
    char *rejects = mm_format("%s/%s.rejects.ndjson", args->state_dir, args->job_name);
    if (rejects && unlink(rejects) != 0 && errno != ENOENT)
        mm_log(MM_LOG_WARN, "%s: %s", rejects, strerror(errno));
    free(rejects);
    char *spool = mm_format("%s/%s.spool", args->state_dir, args->job_name);
    mm_error left = MM_ERROR_INIT;
    if (spool && mm_folder_remove(spool, &left) != MM_OK)
        mm_log(MM_LOG_WARN, "%s", left.text);
    free(spool);
    return mm_store_sqlite.destroy(store, err);
}
