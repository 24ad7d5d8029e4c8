#include "run/attend.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "run/progress.h"

#define BACKOFF_MS 200
#define BACKOFF_MAX_MS 10000
#define NAP_MS 200 /* a stop and the progress line do not wait longer */

/* Books a refusal: how long to wait, or that it is enough. */
static mm_status refused(mm_session *session, mm_attendance *attendance, mm_status status, uint64_t *wait_ms,
                         mm_error *err)
{
    uint64_t now = mm_clock_ms();
    if (attendance->refused_since_ms == 0) {
        attendance->refused_since_ms = now;
        attendance->pause_ms = BACKOFF_MS;
        mm_log(MM_LOG_WARN, "%s; trying again for up to %" PRIu64 " s (limits.patience)", err->text,
               session->job->patience_ms / 1000);
    }
    if (now - attendance->refused_since_ms >= session->job->patience_ms)
        return status;
    *wait_ms = err->retry_after_ms > attendance->pause_ms ? err->retry_after_ms : attendance->pause_ms;
    attendance->pause_ms = attendance->pause_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : attendance->pause_ms * 2;
    mm_error_clear(err);
    return MM_OK;
}

mm_status mm_attend_once(mm_session *session, mm_attendance *attendance, bool closing, uint64_t *wait_ms, mm_error *err)
{
    *wait_ms = 0;
    mm_status status = session->sinks->attend(session->sink, closing, wait_ms, err);
    mm_class klass = mm_status_class(status);
    if (klass == MM_CLASS_RETRY || klass == MM_CLASS_RATE || klass == MM_CLASS_UNKNOWN)
        return refused(session, attendance, status, wait_ms, err);
    attendance->refused_since_ms = 0;
    return status;
}

static mm_status wait_for(mm_session *session, mm_progress *progress, uint64_t wait_ms, uint64_t refused_since, mm_error *err)
{
    uint64_t until = mm_clock_ms() + wait_ms;
    for (;;) {
        mm_status asked = mm_session_stop_asked(session);
        if (asked != MM_OK)
            return mm_error_set(err, asked, "%s", mm_status_text(asked));
        mm_progress_show(progress, refused_since);
        uint64_t now = mm_clock_ms();
        if (now >= until)
            return MM_OK;
        mm_session_sleep(session, until - now < NAP_MS ? until - now : NAP_MS);
    }
}

mm_status mm_attend_finish(mm_session *session, mm_error *err)
{
    if (session->sinks->attend == NULL)
        return MM_OK;
    mm_attendance attendance = {0};
    mm_progress progress;
    mm_progress_begin(&progress, session, MM_TASK_COPY);
    mm_status status = MM_OK;
    MM_FAILPOINT("attend.closing");
    while (status == MM_OK) {
        uint64_t wait_ms;
        status = mm_attend_once(session, &attendance, true, &wait_ms, err);
        if (status == MM_OK)
            status = wait_for(session, &progress, wait_ms, attendance.refused_since_ms, err);
    }
    mm_progress_end(&progress);
    MM_FAILPOINT("attend.closed");
    return status == MM_END ? MM_OK : status;
}
