/* Numbers of an array as floats, a block of bytes at a time: the usual ones only, where the processor has AVX2. */
#ifndef MM_FORMATS_JSON_BLOCK_H
#define MM_FORMATS_JSON_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether this machine can. */
bool mm_json_block_can(void);

/* From *at, where a number begins, to the first that is not usual (more than 16 digits and point, an exponent, too near
 * to the middle between two floats), or no number at all, or for which `most` floats have no room or the bytes before
 * `end` are too few to look at. start: 16 bytes in front of a number's end are read back to here at most. *count grows
 * by the numbers read into out. *at is then behind the last one's comma, or, which is told by true, at the array's closing
 * bracket. Every number read is what strtof makes of it. Only where mm_json_block_can(). */
bool mm_json_block_floats(const uint8_t **at, const uint8_t *start, const uint8_t *end, float *out, size_t most,
                          size_t *count);

#endif
