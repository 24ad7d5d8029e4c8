/* CRC-32: long stretches by carry-less multiplication (PCLMULQDQ) where the processor has it, the rest by zlib.
 *
 * Folding (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009):
 * 64 bytes are held as four 128-bit polynomials, each multiplied by x^512 modulo P and added to the 64 bytes that
 * follow. What is left in the end, 16 bytes, has the same remainder as all that was folded into it, so that an
 * ordinary CRC of those 16 bytes finishes the work. Constants are bit-reflected: x^(n+32) and x^(n-32) mod P. */
#include "base/crc32.h"

#include <zlib.h>

#if defined(__x86_64__)
#include <immintrin.h>

enum { FOLD_MIN = 256 };

__attribute__((target("pclmul,sse4.1"))) static inline __m128i fold(__m128i value, __m128i factors, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(value, factors, 0x00);
    __m128i high = _mm_clmulepi64_si128(value, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* Folds the whole 16-byte pieces of at least 64 bytes; `state` is the inverted CRC. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t by_folding(uint32_t state, const uint8_t *at, size_t size)
{
    const __m128i by_512 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_128 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i *in = (const __m128i *)at;
    __m128i a = _mm_xor_si128(_mm_loadu_si128(in), _mm_cvtsi32_si128((int)state));
    __m128i b = _mm_loadu_si128(in + 1), c = _mm_loadu_si128(in + 2), d = _mm_loadu_si128(in + 3);
    in += 4;
    size -= 64;
    for (; size >= 64; size -= 64, in += 4) {
        a = fold(a, by_512, _mm_loadu_si128(in));
        b = fold(b, by_512, _mm_loadu_si128(in + 1));
        c = fold(c, by_512, _mm_loadu_si128(in + 2));
        d = fold(d, by_512, _mm_loadu_si128(in + 3));
    }
    a = fold(fold(fold(a, by_128, b), by_128, c), by_128, d);
    for (; size >= 16; size -= 16, in++)
        a = fold(a, by_128, _mm_loadu_si128(in));
    uint8_t left[16];
    _mm_storeu_si128((__m128i *)left, a);
    return ~(uint32_t)crc32_z(0xffffffffu, left, sizeof(left));
}
#endif

uint32_t mm_crc32(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
#if defined(__x86_64__)
    if (size >= FOLD_MIN && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) {
        size_t folded = size & ~(size_t)15;
        crc = ~by_folding(~crc, at, folded);
        at += folded;
        size -= folded;
    }
#endif
    return size > 0 ? (uint32_t)crc32_z(crc, at, size) : crc;
}
