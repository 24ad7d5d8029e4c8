/* Status codes of the whole program: one table for code, class, exit code and text.
 *
 * A function that can fail returns mm_status and, on failure, describes it in an mm_error.
 * The class, never the code, decides what the engine does: drivers do not retry. */
#ifndef MM_BASE_STATUS_H
#define MM_BASE_STATUS_H

/* What the engine does with a failure.
 *   OK, END      nothing is wrong; END: a stream has no more items
 *   RETRY        proven not executed (refused, never connected): the same request may be sent again
 *   RATE         the same, and the peer asks for patience (mm_error.retry_after_ms when it says how long)
 *   UNKNOWN      a request was sent and its fate is not known: its rows are in doubt
 *   TOO_LARGE    proven not executed because of its size: halve and send again
 *   DATA         the rows or the file are wrong; sending again cannot help
 *   CONFIG       the job, the target's state or the rights are wrong; an operator must act
 *   FENCED       another owner took over: stop this piece of work, touch nothing
 *   STORE        the savepoint store cannot commit: stop all sends
 *   STOP         asked to stop
 *   FATAL        a bug or no memory */
typedef enum mm_class {
    MM_CLASS_OK,
    MM_CLASS_END,
    MM_CLASS_RETRY,
    MM_CLASS_RATE,
    MM_CLASS_UNKNOWN,
    MM_CLASS_TOO_LARGE,
    MM_CLASS_DATA,
    MM_CLASS_CONFIG,
    MM_CLASS_FENCED,
    MM_CLASS_STORE,
    MM_CLASS_STOP,
    MM_CLASS_FATAL
} mm_class;

/* X(code, class, exit code, text) */
#define MM_STATUS_TABLE(X)                                                                        \
    X(OK, OK, 0, "ok")                                                                            \
    X(END, END, 0, "end of data")                                                                 \
    X(USAGE, CONFIG, 2, "wrong command line")                                                     \
    X(CONFIG, CONFIG, 3, "invalid configuration")                                                 \
    X(TARGET, CONFIG, 3, "the target is not as asked")                                            \
    X(AUTH, CONFIG, 3, "credentials or rights refused")                                           \
    X(CHANGED, CONFIG, 3, "source, target or configuration changed since the savepoint")          \
    X(NOT_FOUND, CONFIG, 3, "not found")                                                          \
    X(DATA, DATA, 4, "malformed or unsupported data")                                             \
    X(MISMATCH, DATA, 4, "the target differs from the source")                                    \
    X(REJECTS, DATA, 4, "more rejected rows than limits.rejects allows")                          \
    X(UNAVAILABLE, RETRY, 5, "not reachable")                                                     \
    X(NOT_READY, RETRY, 5, "not ready")                                                           \
    X(RATE_LIMITED, RATE, 5, "rate limit")                                                        \
    X(QUOTA, RATE, 5, "quota or resources exhausted")                                             \
    X(UNKNOWN, UNKNOWN, 5, "outcome unknown")                                                     \
    X(TOO_LARGE, TOO_LARGE, 4, "request too large")                                               \
    X(IO, STORE, 5, "input/output error")                                                         \
    X(DISK_FULL, STORE, 5, "no space left")                                                       \
    X(UNFINISHED, CONFIG, 6, "an unfinished run exists")                                          \
    X(BUSY, CONFIG, 7, "another process works on this job")                                       \
    X(FENCED, FENCED, 7, "another owner took over")                                               \
    X(CANCELLED, STOP, 8, "cancelled")                                                            \
    X(INTERRUPTED, STOP, 75, "interrupted, resumable")                                            \
    X(NO_MEMORY, FATAL, 1, "out of memory")                                                       \
    X(BUG, FATAL, 1, "internal error")

typedef enum mm_status {
#define MM_X(code, klass, exit_code, text) MM_##code,
    MM_STATUS_TABLE(MM_X)
#undef MM_X
        MM_STATUS_COUNT
} mm_status;

#define MM_MUST_USE __attribute__((warn_unused_result))

/* "CONFIG", "UNKNOWN", …: the code's name in the table. */
const char *mm_status_name(mm_status status);
/* The table's text. Never NULL. */
const char *mm_status_text(mm_status status);
mm_class mm_status_class(mm_status status);
/* The process exit code that stands for this status (docs: exit codes). */
int mm_status_exit(mm_status status);

#endif
