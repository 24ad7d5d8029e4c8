/* mm_error: what went wrong, for a person. Owned by the caller, fixed in size, collects context on
 * the way up ("job.yaml:3:5: …", "extent 12: …") and is logged once, at the top. */
#ifndef MM_BASE_ERROR_H
#define MM_BASE_ERROR_H

#include <stdint.h>

#include "base/status.h"

#define MM_ERROR_TEXT 1024

typedef struct mm_error {
    mm_status status;        /* MM_OK while nothing went wrong */
    uint32_t retry_after_ms; /* with class RATE or RETRY: the peer's wish, 0 = it did not say */
    char text[MM_ERROR_TEXT];
} mm_error;

#define MM_ERROR_INIT {MM_OK, 0, ""}

/* Sets status and text (truncated to fit) and returns status, so that a caller writes
 * `return mm_error_set(err, MM_DATA, "…")`. err may be NULL. */
mm_status mm_error_set(mm_error *err, mm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As mm_error_set, with ": <strerror(errno)>" appended; ENOSPC and EDQUOT become MM_DISK_FULL when
 * status is MM_IO. */
mm_status mm_error_errno(mm_error *err, mm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "<context>: " in front of the text; returns err->status (MM_BUG if err is NULL). */
mm_status mm_error_context(mm_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void mm_error_clear(mm_error *err);

#endif
