/* Eight digits of a number at a time, in a register. */
#ifndef MM_FORMATS_DIGITS_H
#define MM_FORMATS_DIGITS_H

#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "eight digits are read as one little-endian word");

static const uint64_t mm_tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

/* The value of eight bytes from 0 to 9, the first the highest: the sums of pairs, then of fours, then of all. */
static inline uint64_t mm_digits_value(uint64_t word)
{
    const uint64_t pairs = 0x000000FF000000FFu;
    word = word * 10 + (word >> 8);
    return ((word & pairs) * 0x000F424000000064u + ((word >> 16) & pairs) * 0x0000271000000001u) >> 32;
}

/* How many of the eight bytes at `at` are digits before the first other one; *value is theirs. */
static inline unsigned mm_digits_lead(const uint8_t *at, uint64_t *value)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    word ^= 0x3030303030303030u; /* 0 to 9 for digits; all others are larger */
    /* a carry out of a byte only reaches bytes behind the first that is no digit */
    uint64_t others = ((word + 0x7676767676767676u) | word) & 0x8080808080808080u;
    unsigned count = 8;
    if (others != 0) {
        count = (unsigned)__builtin_ctzll(others) / 8;
        word = count > 0 ? word << (64 - 8 * count) : 0; /* zeros in front */
    }
    *value = mm_digits_value(word);
    return count;
}

#endif
