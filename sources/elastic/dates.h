/* Dates as Elasticsearch writes them in documents: by the `format` of a date field, to milliseconds or nanoseconds
 * since 1970-01-01T00:00:00Z. Proleptic Gregorian calendar; what has no zone is UTC; missing parts are the first
 * (January, 1, midnight). Leap seconds: none, as in Java. */
#ifndef MM_SOURCES_ELASTIC_DATES_H
#define MM_SOURCES_ELASTIC_DATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MM_ELASTIC_PATTERNS 6

typedef struct mm_elastic_dates {
    bool nanos;                 /* the result's unit */
    bool iso, millis, seconds;  /* date_optional_time and its kin; epoch_millis; epoch_second */
    const char *patterns[MM_ELASTIC_PATTERNS]; /* of letters y u M d H m s S, quoted and other characters, Z X */
    size_t sizes[MM_ELASTIC_PATTERNS];
    size_t pattern_count;
} mm_elastic_dates;

/* format: "strict_date_optional_time||epoch_millis", NULL: that. False: a format that is not known here. The
 * patterns point into `format`. */
bool mm_elastic_dates_of(const char *format, bool nanos, mm_elastic_dates *out);
/* False: not by the formats, or not within Int64. A number in a document is taken by its text. */
bool mm_elastic_date(const mm_elastic_dates *dates, const char *text, size_t size, int64_t *out);

#endif
