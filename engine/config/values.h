/* Scalars of a job file as text: sizes, durations, rates, truth values, both ways. Knows no option
 * table and no YAML. */
#ifndef MM_CONFIG_VALUES_H
#define MM_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns false, and leaves *out alone, when the text is not of that kind or overflows. */

/* true, false, yes, no, on, off; any case. */
bool mm_value_bool(const char *text, bool *out);
/* Decimal, with an optional sign; digits may be grouped by underscores (1_000_000). */
bool mm_value_int(const char *text, int64_t *out);
/* The same without a sign. */
bool mm_value_count(const char *text, uint64_t *out);
/* Bytes: 4096, 64MiB, 1.5 GiB, 10MB. B, KiB … PiB count by 1024, kB (or KB) … PB by 1000. */
bool mm_value_size(const char *text, uint64_t *out);
/* Milliseconds: 250ms, 30s, 1.5h, 1h30m, 2d; plain 0. Any other number needs its unit. */
bool mm_value_duration(const char *text, uint64_t *out);
/* "20000 rows/s" sets *rows, "50 MiB/s" sets *bytes, the other is 0; "none" sets both to 0. */
bool mm_value_rate(const char *text, uint64_t *rows, uint64_t *bytes);

/* The shortest text that reads back as the same value. */
#define MM_VALUE_TEXT 48
void mm_value_size_text(uint64_t bytes, char out[MM_VALUE_TEXT]);
void mm_value_duration_text(uint64_t ms, char out[MM_VALUE_TEXT]);
void mm_value_rate_text(uint64_t rows, uint64_t bytes, char out[MM_VALUE_TEXT]);

#endif
