/* json_block.h
 *
 * The ends of all the numbers in a block come from one comparison, so that no number waits for the length of the one in
 * front. Of each, the 16 bytes before its end are taken: what stands in front of it becomes zeros, the point is squeezed out,
 * and three products join the 16 digits. The integer, exact as a double, is divided by a power of ten, which is exact, too
 * (W. D. Clinger, 1990): one rounding. The second one, to a float, does harm only where the double lies in the middle
 * between two floats, and that is left to others. */
#include "formats/json_block.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define BLOCK 64
#define GROUP 4 /* numbers of a block where it has so many: a loop whose end is foreseen */
#define WIDTH 16 /* bytes of a number, without its sign */

/* From byte n on: 16 - n bytes of zeros, then n of ones. */
static const uint8_t edge[2 * WIDTH] = {0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
                                        0,    0,    0,    0,    0,    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

static const double tens[WIDTH] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

bool mm_json_block_can(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
}

/* The integer that 16 digits (values 0 to 9, the first the highest) make. */
__attribute__((target("avx2,bmi,popcnt"), always_inline)) static inline int64_t join(__m128i digits)
{
    const __m128i by10 = _mm_set1_epi16(0x010A), by100 = _mm_set1_epi32(0x00010064), by10000 = _mm_set1_epi32(0x00012710);
    __m128i fours = _mm_madd_epi16(_mm_maddubs_epi16(digits, by10), by100);
    uint64_t eights = (uint64_t)_mm_cvtsi128_si64(_mm_madd_epi16(_mm_packus_epi32(fours, fours), by10000));
    return (int64_t)((eights & UINT32_MAX) * 100000000 + (eights >> 32));
}

/* The number from `from` up to `end`, `gap` spaces in front (0 or 1); WIDTH bytes in front of `end` may be read. False: not
 * usual. Nothing waits for what the first byte is but the sign. */
__attribute__((target("avx2,bmi,popcnt"), always_inline)) static inline bool one(const uint8_t *from, size_t gap,
                                                                                  const uint8_t *end, float *out)
{
    if (gap > 0 && *from != ' ')
        return false;
    bool minus = from[gap] == '-';
    from += gap + minus;
    size_t size = (size_t)(end - from);
    if (from >= end || size > WIDTH)
        return false;
    const __m128i numbers = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m128i text = _mm_loadu_si128((const __m128i *)(const void *)(end - WIDTH));
    __m128i own = _mm_loadu_si128((const __m128i *)(const void *)(edge + size));
    __m128i digits = _mm_and_si128(_mm_sub_epi8(text, _mm_set1_epi8('0')), own);
    unsigned points = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(digits, _mm_set1_epi8('.' - '0')));
    unsigned good = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits));
    unsigned point = points != 0 ? (unsigned)__builtin_ctz(points) : WIDTH; /* WIDTH: there is none */
    size_t places = points != 0 ? WIDTH - 1 - point : 0, whole = point - (WIDTH - size);
    if ((good ^ points) != 0xFFFF || (points & (points - 1)) != 0 || whole == 0 || (points != 0 && places == 0) ||
        (whole > 1 && *from == '0'))
        return false;
    __m128i shift = _mm_cmpgt_epi8(_mm_set1_epi8((char)(points != 0 ? point + 1 : 0)), numbers);
    int64_t value = join(_mm_shuffle_epi8(digits, _mm_add_epi8(numbers, shift)));
    double result = (double)value / tens[places]; /* one rounding: 15 digits are exact, 16 have no point to divide for */
    uint64_t bits;
    memcpy(&bits, &result, sizeof(bits));
    if ((bits & 0x1FFFFFFF) == 0x10000000)
        return false;
    bits |= (uint64_t)minus << 63; /* no branch: signs are not to be foreseen */
    memcpy(&result, &bits, sizeof(result));
    *out = (float)result;
    return true;
}

/* A bit for each of BLOCK bytes that is `wanted`. */
__attribute__((target("avx2,bmi,popcnt"), always_inline)) static inline uint64_t find(const uint8_t *at, char wanted)
{
    const __m256i *half = (const __m256i *)(const void *)at;
    __m256i all = _mm256_set1_epi8(wanted);
    uint32_t low = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256(half), all));
    uint32_t high = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256(half + 1), all));
    return low | (uint64_t)high << 32;
}

__attribute__((target("avx2,bmi,popcnt"))) bool mm_json_block_floats(const uint8_t **at, const uint8_t *start,
                                                                      const uint8_t *end, float *out, size_t most,
                                                                      size_t *count)
{
    const uint8_t *from = *at;
    size_t n = *count;
    bool closed = false, usual = from - start >= WIDTH;
    while (usual && !closed && end - from >= BLOCK) {
        const uint8_t *base = from;
        size_t gap = *from == ' ';
        uint64_t closing = find(base, ']'), ends = find(base, ',') | closing;
        int left = __builtin_popcountll(ends);
        if (left == 0)
            break;
        if (left > GROUP && closing == 0)
            left = GROUP;
        for (; left > 0 && !closed; left--, ends &= ends - 1) {
            const uint8_t *stop = base + __builtin_ctzll(ends);
            usual = n < most && one(from, gap, stop, &out[n]);
            if (!usual)
                break;
            n++;
            closed = *stop == ']';
            from = closed ? stop : stop + 1;
        }
    }
    *at = from;
    *count = n;
    return closed;
}

#else

bool mm_json_block_can(void)
{
    return false;
}

bool mm_json_block_floats(const uint8_t **at, const uint8_t *start, const uint8_t *end, float *out, size_t most,
                          size_t *count)
{
    (void)at, (void)start, (void)end, (void)out, (void)most, (void)count;
    return false;
}

#endif
