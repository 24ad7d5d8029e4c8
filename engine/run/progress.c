/* The progress line. */
#include "run/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define LIVE_MS 200
#define LINE_MS 30000

void mm_progress_duration(uint64_t ms, char out[16])
{
    uint64_t s = ms / 1000;
    if (s >= 3600)
        snprintf(out, 16, "%" PRIu64 "h%02" PRIu64 "m", s / 3600 % 10000, s / 60 % 60);
    else if (s >= 60)
        snprintf(out, 16, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
    else
        snprintf(out, 16, "%" PRIu64 "s", s);
}

void mm_progress_begin(mm_progress *progress, const mm_session *session, mm_task_kind kind)
{
    *progress = (mm_progress){.session = session, .kind = kind, .began_ms = mm_clock_ms()};
    progress->shown_ms = progress->began_ms;
    progress->rows_before = session->progress.rows_done;
    progress->bytes_before = session->progress.bytes_done;
}

/* Rates over the window's span: steady against single slow requests, quick to follow a change. */
static void measure(mm_progress *progress, uint64_t now, double *rows_per_s, double *bytes_per_s)
{
    const mm_run_progress *counters = &progress->session->progress;
    unsigned at = progress->window_count % MM_PROGRESS_WINDOW;
    progress->window[at].at_ms = now;
    progress->window[at].rows = counters->rows_done;
    progress->window[at].bytes = counters->bytes_done;
    progress->window_count++;
    unsigned oldest = progress->window_count > MM_PROGRESS_WINDOW ? progress->window_count % MM_PROGRESS_WINDOW : 0;
    uint64_t then = progress->window[oldest].at_ms;
    uint64_t rows = progress->window[oldest].rows, bytes = progress->window[oldest].bytes;
    if (progress->window_count <= MM_PROGRESS_WINDOW) {
        then = progress->began_ms;
        rows = progress->rows_before;
        bytes = progress->bytes_before;
    }
    double seconds = now > then ? (double)(now - then) / 1000.0 : 0.001;
    *rows_per_s = (double)(counters->rows_done - rows) / seconds;
    *bytes_per_s = (double)(counters->bytes_done - bytes) / seconds;
}

static void format(mm_progress *progress, uint64_t now, uint64_t paused_since, char *out, size_t size)
{
    const mm_run_progress *counters = &progress->session->progress;
    double rows_per_s, bytes_per_s;
    measure(progress, now, &rows_per_s, &bytes_per_s);
    uint64_t done = counters->rows_done + counters->rows_rejected, total = counters->rows_total;
    char eta[16] = "?", percent[16] = "", waits[64] = "", rejects[48] = "", activity[MM_ACTIVITY_MAX] = "";
    if (total != MM_COUNT_UNKNOWN && total > 0) {
        snprintf(percent, sizeof(percent), " %5.1f%%", 100.0 * (double)done / (double)total);
        if (rows_per_s > 0 && done <= total)
            mm_progress_duration((uint64_t)((double)(total - done) / rows_per_s * 1000.0), eta);
    }
    if (counters->rows_rejected > 0)
        snprintf(rejects, sizeof(rejects), "  %" PRIu64 " rejected", counters->rows_rejected);
    if (paused_since > 0) {
        char since[16];
        mm_progress_duration(now - paused_since, since);
        snprintf(waits, sizeof(waits), "  waiting for the target since %s", since);
    }
    const mm_session *session = progress->session;
    if (progress->kind != MM_TASK_VERIFY && session->sinks->activity)
        session->sinks->activity(session->sink, activity);
    const char *what = progress->kind == MM_TASK_VERIFY ? "verify" : progress->kind == MM_TASK_CHANGE ? "catch up" : "copy";
    snprintf(out, size, "%s %" PRIu64 " rows%s  %.0f rows/s  %.1f MB/s  ETA %s%s%s%s%s", what, counters->rows_done,
             percent, rows_per_s, bytes_per_s / 1e6, eta, rejects, activity[0] ? "  " : "", activity, waits);
}

void mm_progress_show(mm_progress *progress, uint64_t paused_since)
{
    if (progress->session->args->quiet)
        return;
    uint64_t now = mm_clock_ms();
    bool live = isatty(STDERR_FILENO) && mm_log_get_format() == MM_LOG_TEXT;
    if (now - progress->shown_ms < (live ? LIVE_MS : LINE_MS))
        return;
    progress->shown_ms = now;
    char line[256 + MM_ACTIVITY_MAX];
    format(progress, now, paused_since, line, sizeof(line));
    if (live)
        mm_log_live(line);
    else
        mm_log(MM_LOG_INFO, "%s", line);
}

void mm_progress_end(mm_progress *progress)
{
    (void)progress;
    mm_log_live(NULL);
}
