/* Numbers as text, by JSON's grammar (RFC 8259, section 6): reading them to the nearest float, double or integer,
 * and writing floats and doubles with the fewest digits that read back as the same bits. Knows no more of JSON. */
#ifndef MM_FORMATS_NUMBER_H
#define MM_FORMATS_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A longer number is none (no double needs more than 767 digits to be told from its neighbours). */
#define MM_NUMBER_MAX 1000

typedef struct mm_number {
    const uint8_t *text; /* borrowed */
    uint32_t size;
    bool negative;
    bool integer;     /* neither a fraction nor an exponent */
    bool cut;         /* more than 19 significant digits: `digits` holds the first 19 */
    uint64_t digits;  /* the value is ± digits × 10^exponent, unless cut */
    int32_t exponent; /* at most ± 20,000: beyond that the value is 0 or infinite anyway */
} mm_number;

/* Reads the longest number that begins at `at`. Its bytes; 0: no number begins there, or it is longer than
 * MM_NUMBER_MAX. The number may have gone on when it ends at `end`. */
size_t mm_number_scan(const uint8_t *at, const uint8_t *end, mm_number *out);

/* The nearest double or float (halfway: the even one), as strtod and strtof give it; infinite when too large. */
double mm_number_double(const mm_number *number);
float mm_number_float(const mm_number *number);
/* False: no integer (1.5), or not within int64. 1.0 and 1e3 are integers. */
bool mm_number_int64(const mm_number *number, int64_t *out);

/* Bytes that a printed number takes at most. No NUL is written. */
#define MM_NUMBER_TEXT 32
/* The shortest text that reads back as the same value, nearest to it among those; always with a fraction or an
 * exponent, so that it is seen to be no integer. The value is finite. Returns the bytes written. */
size_t mm_number_print_float(float value, char out[MM_NUMBER_TEXT]);
size_t mm_number_print_double(double value, char out[MM_NUMBER_TEXT]);
size_t mm_number_print_int64(int64_t value, char out[MM_NUMBER_TEXT]);

#endif
