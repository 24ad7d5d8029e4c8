/* Numbers as texts for comparing a reader with strtof: what programs write, and what is hard to round. */
#ifndef MM_TEST_FLOAT_TEXTS_H
#define MM_TEST_FLOAT_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOAT_TEXT_MAX 96

/* The next text of a sequence that begins with *state (not 0); its length. Finite as a float. */
size_t float_text(uint64_t *state, char out[FLOAT_TEXT_MAX]);
/* Arrays of such texts, read by mm_json_floats and compared bit by bit; the number of wrong ones, the first of which
 * is in `wrong`. */
uint64_t float_texts_compare(uint64_t count, uint64_t seed, char wrong[2 * FLOAT_TEXT_MAX]);

#endif
