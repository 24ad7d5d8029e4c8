/* UTF-8 validation: eight ASCII bytes at a time, the others one character after the other. */
#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte of a word is its lowest");

static bool continues(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Bytes of the character at `at`, of which `left` bytes are there; 0: it is none. */
static size_t character(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || left < 2 || !continues(at[1]))
        return 0;
    if (first < 0xE0)
        return 2;
    if (left < 3 || !continues(at[2]))
        return 0;
    if (first < 0xF0) {
        bool overlong = first == 0xE0 && at[1] < 0xA0, surrogate = first == 0xED && at[1] > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    if (first > 0xF4 || left < 4 || !continues(at[3]))
        return 0;
    bool overlong = first == 0xF0 && at[1] < 0x90, beyond = first == 0xF4 && at[1] > 0x8F;
    return overlong || beyond ? 0 : 4;
}

size_t mm_utf8_prefix(const void *bytes, size_t size)
{
    const uint8_t *start = bytes, *at = start;
    while (size > 0) {
        uint64_t word;
        while (size >= sizeof(word)) {
            memcpy(&word, at, sizeof(word));
            word &= 0x8080808080808080u;
            size_t ascii = word != 0 ? (size_t)__builtin_ctzll(word) / 8 : sizeof(word);
            at += ascii;
            size -= ascii;
            if (word != 0)
                break;
        }
        size_t length = size > 0 ? character(at, size) : 0;
        if (length == 0)
            break;
        at += length;
        size -= length;
    }
    return (size_t)(at - start);
}
