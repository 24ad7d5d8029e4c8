/* The command status: runs as the savepoints have them. Only looks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/log.h"
#include "run/collections.h"
#include "run/progress.h"
#include "run/run.h"
#include "run/session.h"

/* A job as status shows it: the newest run, with what only the moment knows. */
typedef struct job_view {
    const char *name;
    mm_run_record run;
    bool running; /* a process works on it */
    double rate;  /* rows per second of working time; < 0: unknown */
    int64_t eta_s; /* -1: unknown */
} job_view;

static mm_run_state shown_state(const job_view *view)
{
    bool open = view->run.state == MM_RUN_RUNNING || view->run.state == MM_RUN_PLANNED;
    if (view->running && view->run.state != MM_RUN_PLANNED)
        return open || view->run.state == MM_RUN_INTERRUPTED ? MM_RUN_RUNNING : view->run.state;
    return view->run.state == MM_RUN_RUNNING ? MM_RUN_INTERRUPTED : view->run.state;
}

/* The rate is that of the copy so far, over all processes that worked at it. */
static void estimate(job_view *view)
{
    const mm_run_record *run = &view->run;
    view->rate = -1;
    view->eta_s = -1;
    uint64_t worked = run->active_ms;
    if (worked == 0 || run->rows_done == 0)
        return;
    view->rate = (double)run->rows_done * 1000.0 / (double)worked;
    uint64_t gone = run->rows_done + run->rows_rejected + run->rows_thinned;
    if (shown_state(view) == MM_RUN_RUNNING && run->rows_total != MM_COUNT_UNKNOWN && run->rows_total >= gone)
        view->eta_s = (int64_t)((double)(run->rows_total - gone) / view->rate);
}

static mm_status read_view(const char *dir, const char *name, mm_arena *arena, job_view *out, mm_error *err)
{
    mm_store_args args = {.dir = dir, .job = name, .mode = MM_STORE_READ, .sync = true};
    mm_store *store = NULL;
    mm_status status = mm_store_sqlite.open(&args, &store, err);
    if (status != MM_OK)
        return status;
    *out = (job_view){.name = name, .running = mm_store_holder(dir, name) != 0};
    status = mm_store_sqlite.run_read(store, arena, &out->run, err);
    mm_store_sqlite.close(store);
    estimate(out);
    return status;
}

static void add_count(mm_buffer *out, const char *key, uint64_t count)
{
    if (count == MM_COUNT_UNKNOWN)
        mm_buffer_printf(out, ",\"%s\":null", key);
    else
        mm_buffer_printf(out, ",\"%s\":%" PRIu64, key, count);
}

static void add_time(mm_buffer *out, const char *key, int64_t wall_ms)
{
    char text[MM_CLOCK_TEXT];
    if (wall_ms == 0) {
        mm_buffer_printf(out, ",\"%s\":null", key);
        return;
    }
    mm_clock_format(wall_ms, text);
    mm_buffer_printf(out, ",\"%s\":\"%s\"", key, text);
}

static void add_json(mm_buffer *out, const job_view *view)
{
    const mm_run_record *run = &view->run;
    mm_buffer_printf(out, "{\"job\":");
    mm_json_text(out, view->name);
    if (run->run == 0)
        mm_buffer_printf(out, ",\"run\":null");
    else
        mm_buffer_printf(out, ",\"run\":%u", run->run);
    mm_run_state state = run->run == 0 ? MM_RUN_PLANNED : shown_state(view);
    mm_buffer_printf(out, ",\"state\":\"%s\"", mm_run_state_name(state));
    add_count(out, "rows_done", run->rows_done);
    add_count(out, "rows_total", run->run == 0 ? MM_COUNT_UNKNOWN : run->rows_total);
    add_count(out, "rows_rejected", run->rows_rejected);
    add_count(out, "bytes_done", run->bytes_done);
    mm_buffer_printf(out, ",\"tasks\":{\"total\":%" PRIu64 ",\"done\":%" PRIu64 ",\"running\":%" PRIu64 "}",
                     run->tasks_total, run->tasks_done, view->running ? run->tasks_running : 0);
    if (view->rate < 0)
        mm_buffer_printf(out, ",\"rate_rows_per_s\":null");
    else
        mm_buffer_printf(out, ",\"rate_rows_per_s\":%.1f", view->rate);
    if (view->eta_s < 0)
        mm_buffer_printf(out, ",\"eta_s\":null");
    else
        mm_buffer_printf(out, ",\"eta_s\":%" PRId64, view->eta_s);
    add_time(out, "started_at", run->started_ms);
    add_time(out, "finished_at", run->finished_ms);
    mm_verdict verdict = run->verdict;
    if (verdict.state == MM_VERDICT_NONE)
        verdict.source_rows = verdict.target_rows = verdict.mismatches = MM_COUNT_UNKNOWN;
    mm_buffer_printf(out, ",\"verdict\":{\"state\":\"%s\"", mm_verdict_state_name(verdict.state));
    add_count(out, "source_rows", verdict.source_rows);
    add_count(out, "target_rows", verdict.target_rows);
    add_count(out, "mismatches", verdict.mismatches);
    mm_buffer_printf(out, "},\"error\":");
    if (run->error)
        mm_json_text(out, run->error);
    else
        mm_buffer_printf(out, "null");
    mm_buffer_printf(out, "}");
}

/* Names of jobs decide how wide the first column is. */
#define NAME_WIDTH 24

static void add_row(mm_buffer *out, const job_view *view, int width)
{
    const mm_run_record *run = &view->run;
    char percent[16] = "-", eta[16] = "-", rate[24] = "-", started[MM_CLOCK_TEXT] = "-";
    if (run->rows_total != MM_COUNT_UNKNOWN && run->rows_total > 0)
        snprintf(percent, sizeof(percent), "%.1f%%",
                 100.0 * (double)(run->rows_done + run->rows_rejected + run->rows_thinned) / (double)run->rows_total);
    if (view->eta_s >= 0)
        mm_progress_duration((uint64_t)view->eta_s * 1000, eta);
    if (view->rate >= 0)
        snprintf(rate, sizeof(rate), "%.0f", view->rate);
    if (run->started_ms > 0)
        mm_clock_format(run->started_ms, started);
    mm_buffer_printf(out, "%-*s %4u  %-11s %12" PRIu64 " %7s %10s %8s  %-10s %s\n", width, view->name, run->run,
                     mm_run_state_name(shown_state(view)), run->rows_done, percent, rate, eta,
                     mm_verdict_state_name(run->verdict.state), started);
}

static void add_header(mm_buffer *out, int width)
{
    mm_buffer_printf(out, "%-*s %4s  %-11s %12s %7s %10s %8s  %-10s %s\n", width, "JOB", "RUN", "STATE", "ROWS", "DONE",
                     "ROWS/S", "ETA", "VERDICT", "STARTED");
}

static int name_width(const char *const *names, size_t count)
{
    size_t width = NAME_WIDTH;
    for (size_t i = 0; i < count; i++)
        width = strlen(names[i]) > width ? strlen(names[i]) : width;
    return (int)width;
}

static void add_history(mm_buffer *out, const char *dir, const job_view *view, int width)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_store_args args = {.dir = dir, .job = view->name, .mode = MM_STORE_READ, .sync = true};
    mm_store *store = NULL;
    mm_run_record *runs = NULL;
    size_t count = 0;
    if (mm_store_sqlite.open(&args, &store, &err) == MM_OK &&
        mm_store_sqlite.runs(store, &arena, &runs, &count, &err) == MM_OK)
        for (size_t i = 1; i < count; i++)
            add_row(out, &(job_view){.name = view->name, .run = runs[i], .rate = -1, .eta_s = -1}, width);
    if (store)
        mm_store_sqlite.close(store);
    mm_arena_free(&arena);
}

static void add_details(mm_buffer *out, const char *dir, const job_view *view)
{
    const mm_run_record *run = &view->run;
    int width = name_width(&view->name, 1);
    add_header(out, width);
    add_row(out, view, width);
    add_history(out, dir, view, width);
    if (run->run == 0) {
        mm_buffer_printf(out, "\nno run has begun: the last attempt ended before its plan was made\n");
        return;
    }
    mm_buffer_printf(out, "\nphase %s, tasks %" PRIu64 " of %" PRIu64 " done", run->phase ? run->phase : "-",
                     run->tasks_done, run->tasks_total);
    if (run->verify_total > 0)
        mm_buffer_printf(out, ", verified %" PRIu64 " of %" PRIu64, run->verify_done, run->verify_total);
    mm_buffer_printf(out, ", %" PRIu64 " rows rejected, %" PRIu64 " thinned, %" PRIu64 " sent again\n",
                     run->rows_rejected, run->rows_thinned, run->rows_resent);
    if (run->verdict.state == MM_VERDICT_EQUAL || run->verdict.state == MM_VERDICT_DIFFERENT)
        mm_buffer_printf(out, "verdict %s: source %" PRIu64 " rows, target %" PRIu64 " rows, %" PRIu64 " mismatches\n",
                         mm_verdict_state_name(run->verdict.state), run->verdict.source_rows,
                         run->verdict.target_rows, run->verdict.mismatches);
    mm_run_state state = shown_state(view);
    bool stopped = state == MM_RUN_CANCELLED || run->exit_code == mm_status_exit(MM_INTERRUPTED); /* on request: no error */
    if (run->error && !stopped)
        mm_buffer_printf(out, "error: %s\n", run->error);
    if (run->rows_rejected > 0)
        mm_buffer_printf(out, "rejects: %s/%s.rejects.ndjson\n", dir, view->name);
    if (view->running)
        return;
    if (state == MM_RUN_INTERRUPTED || state == MM_RUN_PLANNED)
        mm_buffer_printf(out, "next: `mmresume resume %s` goes on from the last savepoint\n", view->name);
    else if (state == MM_RUN_FAILED && run->verdict.state != MM_VERDICT_DIFFERENT) /* else the error says what helps */
        mm_buffer_printf(out, "next: mend the cause and `mmresume resume %s`, or `mmresume reset %s`\n", view->name,
                         view->name);
}

static mm_status one_status(const mm_run_args *args, mm_buffer *out, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    job_view view;
    mm_status status = read_view(args->state_dir, args->job_name, &arena, &view, err);
    if (status == MM_NOT_FOUND)
        status = mm_error_set(err, MM_USAGE, "there is no job `%s` in %s", args->job_name, args->state_dir);
    if (status == MM_OK && args->json) {
        add_json(out, &view);
        mm_buffer_printf(out, "\n");
    } else if (status == MM_OK) {
        add_details(out, args->state_dir, &view);
    }
    mm_arena_free(&arena);
    return status;
}

/* A store that cannot be read does not hide the others: it is the error in the end. */
static mm_status all_status(const mm_run_args *args, mm_buffer *out, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    const char **names = NULL;
    size_t count = 0, shown = 0;
    mm_status status = mm_store_list(args->state_dir, &arena, &names, &count, err);
    int width = name_width(names, count);
    mm_buffer_printf(out, args->json ? "{\"jobs\":[" : "");
    for (size_t i = 0; i < count; i++) {
        job_view view;
        mm_error failure = MM_ERROR_INIT;
        mm_status read = read_view(args->state_dir, names[i], &arena, &view, &failure);
        if (read == MM_NOT_FOUND) /* reset meanwhile */
            continue;
        if (read != MM_OK) {
            if (status == MM_OK)
                status = mm_error_set(err, read, "job `%s`: %s", names[i], failure.text);
            continue;
        }
        if (shown++ > 0)
            mm_buffer_printf(out, args->json ? "," : "");
        else if (!args->json)
            add_header(out, width);
        if (args->json)
            add_json(out, &view);
        else
            add_row(out, &view, width);
    }
    if (args->json)
        mm_buffer_printf(out, "]}\n");
    else if (shown == 0 && status == MM_OK)
        mm_log(MM_LOG_INFO, "there is no job in %s", args->state_dir);
    mm_arena_free(&arena);
    return status;
}

mm_status mm_run_status(const mm_run_args *args, mm_buffer *out, mm_error *err)
{
    return args->job_name ? one_status(args, out, err) : all_status(args, out, err);
}

mm_status mm_run_at_work(const mm_run_args *args, bool *out, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    const char **names = NULL;
    size_t count = 0;
    mm_status status = MM_OK;
    *out = args->job_name && mm_store_holder(args->state_dir, args->job_name) != 0;
    if (args->job_name == NULL)
        status = mm_store_list(args->state_dir, &arena, &names, &count, err);
    for (size_t i = 0; i < count; i++)
        *out = *out || mm_store_holder(args->state_dir, names[i]) != 0;
    mm_arena_free(&arena);
    return status;
}
