/* What a person sees while a job runs: a live line on a terminal, a line every 30 s elsewhere. */
#ifndef MM_RUN_PROGRESS_H
#define MM_RUN_PROGRESS_H

#include "run/session.h"

#define MM_PROGRESS_WINDOW 64

typedef struct mm_progress {
    const mm_session *session;
    mm_task_kind kind;
    uint64_t began_ms, shown_ms;
    uint64_t rows_before, bytes_before; /* when this process began */
    /* the last seconds, for rate and ETA */
    struct { uint64_t at_ms, rows, bytes; } window[MM_PROGRESS_WINDOW];
    unsigned window_count;
} mm_progress;

void mm_progress_begin(mm_progress *progress, const mm_session *session, mm_task_kind kind);
/* Shows a line if it is time. paused_since: monotonic ms, 0: the target takes rows. */
void mm_progress_show(mm_progress *progress, uint64_t paused_since);
void mm_progress_end(mm_progress *progress);

/* "1h02m", "3m20s", "12s" */
void mm_progress_duration(uint64_t ms, char out[16]);

#endif
