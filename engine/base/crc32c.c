/* CRC-32C: by the processor's own instruction (SSE 4.2), else by a table, byte by byte.
 *
 * The polynomial is 0x1EDC6F41, here in its reflected form. Combining multiplies by x^(8·n) modulo it. */
#include "base/digest.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#define POLYNOMIAL 0x82F63B78u

static uint32_t table[256];
static uint32_t powers[64]; /* x^(8·2^k) mod P */
static bool by_instruction;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* a·b mod P, both reflected: bit 31 is x^0. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
        if (a & bit) {
            product ^= b;
        }
        b = b & 1 ? b >> 1 ^ POLYNOMIAL : b >> 1;
    }
    return product;
}

static void prepare(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int k = 0; k < 8; k++) {
            crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
        }
        table[i] = crc;
    }
    powers[0] = 0x00800000u; /* x^8 */
    for (size_t k = 1; k < 64; k++) {
        powers[k] = multiply(powers[k - 1], powers[k - 1]);
    }
#if defined(__x86_64__)
    by_instruction = __builtin_cpu_supports("sse4.2");
#endif
}

static uint32_t by_table(uint32_t crc, const uint8_t *at, size_t size)
{
    for (; size > 0; size--, at++) {
        crc = crc >> 8 ^ table[(crc ^ *at) & 255];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_sse42(uint32_t crc, const uint8_t *at, size_t size)
{
    uint64_t wide = crc;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    return by_table((uint32_t)wide, at, size);
}
#endif

uint32_t mm_crc32c(uint32_t crc, const void *bytes, size_t size)
{
    pthread_once(&once, prepare);
#if defined(__x86_64__)
    if (by_instruction) {
        return ~by_sse42(~crc, bytes, size);
    }
#endif
    return ~by_table(~crc, bytes, size);
}

uint32_t mm_crc32c_combine(uint32_t first, uint32_t second, uint64_t second_size)
{
    pthread_once(&once, prepare);
    for (size_t k = 0; second_size != 0; k++, second_size >>= 1) {
        if (second_size & 1) {
            first = multiply(first, powers[k]);
        }
    }
    return first ^ second;
}
