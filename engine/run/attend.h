/* Calling a sink's `attend`: beside the lanes (by the pipeline's attendant thread), and alone when they have
 * ended. Failures are waited out or end the run as everywhere: by class, within limits.patience. */
#ifndef MM_RUN_ATTEND_H
#define MM_RUN_ATTEND_H

#include "run/session.h"

/* Since when the target refuses, and how long the next pause is. Zero at the start. */
typedef struct mm_attendance {
    uint64_t refused_since_ms, pause_ms;
} mm_attendance;

/* One call. MM_OK: again after *wait_ms. MM_END: nothing is left (only when closing). Others end the run. */
mm_status mm_attend_once(mm_session *session, mm_attendance *attendance, bool closing, uint64_t *wait_ms,
                         mm_error *err) MM_MUST_USE;
/* Until nothing is left, with progress. MM_OK at once for sinks without attend. */
mm_status mm_attend_finish(mm_session *session, mm_error *err) MM_MUST_USE;

#endif
