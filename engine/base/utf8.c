/* UTF-8 validation: ASCII in blocks, the others one character after the other. */
#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte of a word is its lowest");

static bool continues(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Bytes of the character at `at`, which is not ASCII, of which `left` bytes are there; 0: it is none. */
static size_t character(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
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

/* To the first byte from 0x80 on, or the end. */
static const uint8_t *skip_ascii(const uint8_t *at, const uint8_t *end)
{
#ifdef __SSE2__
    for (; end - at >= 64; at += 64) {
        const __m128i *from = (const __m128i *)(const void *)at;
        __m128i low = _mm_or_si128(_mm_loadu_si128(from), _mm_loadu_si128(from + 1));
        __m128i high = _mm_or_si128(_mm_loadu_si128(from + 2), _mm_loadu_si128(from + 3));
        if (_mm_movemask_epi8(_mm_or_si128(low, high)) != 0)
            break;
    }
    for (; end - at >= 16; at += 16) {
        unsigned high = (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)at));
        if (high != 0)
            return at + __builtin_ctz(high);
    }
#endif
    uint64_t word;
    for (; end - at >= 8; at += 8) {
        memcpy(&word, at, sizeof(word));
        word &= 0x8080808080808080u;
        if (word != 0)
            return at + __builtin_ctzll(word) / 8;
    }
    while (at < end && *at < 0x80)
        at++;
    return at;
}

size_t mm_utf8_prefix(const void *bytes, size_t size)
{
    const uint8_t *start = bytes, *at = start, *end = size > 0 ? start + size : start;
    for (;;) {
        at = skip_ascii(at, end);
        if (at == end)
            break;
        size_t length = 1;
        while (at < end && *at >= 0x80 && (length = character(at, (size_t)(end - at))) != 0)
            at += length;
        if (length == 0)
            break;
    }
    return (size_t)(at - start);
}
