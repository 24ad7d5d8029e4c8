/* The log: lines on stderr, plain or JSON; the one global state besides the stop flag. Thread-safe.
 * Secrets that were registered never appear in a line: they are replaced by "***". */
#ifndef MM_BASE_LOG_H
#define MM_BASE_LOG_H

#include <stdbool.h>

typedef enum mm_log_level { MM_LOG_ERROR, MM_LOG_WARN, MM_LOG_INFO, MM_LOG_DEBUG } mm_log_level;
typedef enum mm_log_format { MM_LOG_TEXT, MM_LOG_JSON } mm_log_format;

void mm_log_setup(mm_log_level level, mm_log_format format);
mm_log_format mm_log_get_format(void);
void mm_log(mm_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Registers a secret (copied; ignored when NULL or shorter than 3 bytes). */
void mm_log_add_secret(const char *secret);
/* Replaces every registered secret in text, in place. */
void mm_log_redact(char *text);

/* The live progress line at the bottom of a terminal. `text` NULL removes it. Log lines that come
 * between are printed above it. Does nothing when stderr is no terminal. */
void mm_log_live(const char *text);

#endif
