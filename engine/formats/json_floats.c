/* Arrays of numbers as floats: what most bytes of a page of vectors are. Numbers in the usual forms are read in one
 * loop, without a call or a division: digits eight at a time in a register, and one product with the power of ten from
 * a table, whose error bounds decide the rounding (D. Lemire, 2021; with 64 bits a float needs no second product).
 * Whatever is not usual, or too near to the middle between two floats, goes the general way through number.c. */
#include <math.h>
#include <string.h>

#include "formats/digits.h"
#include "formats/json_block.h"
#include "formats/json_parse.h"
#include "formats/powers_of_ten.h"

__extension__ typedef unsigned __int128 u128;

/* Bytes that the loop may look at from a number's first one on: a sign, 10 digits, a point, three
 * words, an exponent. */
#define MARGIN 64
#define ALONE 8 /* numbers read one by one where the first of a block was not usual */

/* Below these a value may get so many more digits and stays below 10^19. */
static const uint64_t limits[] = {UINT64_C(10000000000000000000), UINT64_C(1000000000000000000),
                                  UINT64_C(100000000000000000),   UINT64_C(10000000000000000),
                                  UINT64_C(1000000000000000),     UINT64_C(100000000000000),
                                  UINT64_C(10000000000000),       UINT64_C(1000000000000),
                                  UINT64_C(100000000000)};

/* digits × 10^q as the bits of a normal float, digits not 0; false: not decided. */
static inline bool float_bits(uint64_t digits, int q, uint32_t *bits)
{
    if (q < -64 || q > 38)
        return false;
    int zeros = __builtin_clzll(digits);
    /* the true product, over 2^64, lies in [high, high + 2) */
    uint64_t high = (uint64_t)((u128)(digits << zeros) * mm_powers_of_ten[q - MM_POWER_FIRST][0] >> 64);
    int top = (int)(high >> 63); /* the highest bit is 63 or 62 */
    int shift = 64 - 24 - 1 + top;
    int exponent = ((q * 217706) >> 16) - zeros + 63 + top; /* floor(log2(10^q)): exact for these q */
    uint64_t rest = high & (((uint64_t)1 << shift) - 1), half = (uint64_t)1 << (shift - 1);
    if (exponent < -126 || exponent > 127 || half - rest < 2) /* huge where rest is the greater one */
        return false;
    /* the hidden bit adds one to the exponent, and so does a mantissa that was rounded up to 2^24 */
    *bits = ((uint32_t)(exponent + 126) << 23) + (uint32_t)(high >> shift) + (rest > half);
    return *bits < 0x7F800000u;
}

/* Digits behind the point into *value; false: more than 64 bits may hold. */
static inline bool fraction(const uint8_t **at, uint64_t *value, int *places)
{
    uint64_t part;
    unsigned count = mm_digits_lead(*at, &part);
    if (count == 0)
        return false;
    *value = *value * mm_tens[count] + part; /* at most 10 + 8 digits */
    *places = (int)count;
    *at += count;
    for (int words = 0; count == 8 && words < 2; words++) {
        count = mm_digits_lead(*at, &part);
        if (*value >= limits[count])
            return false;
        *value = *value * mm_tens[count] + part;
        *places += (int)count;
        *at += count;
    }
    return true;
}

static inline bool exponent_of(const uint8_t **at, int *q)
{
    const uint8_t *p = *at + 1;
    bool minus = *p == '-';
    p += minus || *p == '+';
    unsigned first = (unsigned)*p - '0', second = (unsigned)p[1] - '0';
    if (first > 9)
        return false;
    unsigned value = second > 9 ? first : 10 * first + second;
    p += second > 9 ? 1 : 2;
    *q += minus ? -(int)value : (int)value;
    *at = p;
    return true;
}

/* One number at *at, of which MARGIN bytes are there; false: the general way is to decide, *at is as it was. */
static inline bool quick_float(const uint8_t **at, float *out)
{
    const uint8_t *p = *at;
    uint32_t sign = *p == '-', bits = 0;
    p += sign;
    uint64_t value = (uint64_t)*p - '0';
    if (value > 9)
        return false;
    p++;
    unsigned digit = (unsigned)*p - '0';
    if (digit <= 9) {
        if (value == 0)
            return false;
        for (int more = 1; digit <= 9; digit = (unsigned)*++p - '0', more++) {
            if (more == 10)
                return false;
            value = 10 * value + digit;
        }
    }
    int places = 0, q = 0;
    if (*p == '.') {
        p++;
        if (!fraction(&p, &value, &places))
            return false;
    }
    if ((*p | 0x20) == 'e' && !exponent_of(&p, &q))
        return false;
    if ((*p != ',' && *p != ']') || (value != 0 && !float_bits(value, q - places, &bits)))
        return false;
    bits |= sign << 31;
    memcpy(out, &bits, sizeof(bits));
    *at = p;
    return true;
}

/* Numbers from json->at on, each behind the comma of the one before, while they are usual and there is room. True: the
 * last one was the array's last, the closing bracket comes next. False: a number, or what should be one, comes next. */
static bool quick_floats(mm_json *json, float *out, size_t most, size_t *count)
{
    const uint8_t *at = json->at, *end = json->end;
    size_t n = *count, alone = 0; /* numbers to read before a block is tried again */
    bool closed = false, blocks = mm_json_block_can();
    while (!closed && n < most && end - at >= MARGIN) {
        if (blocks && alone == 0) {
            size_t before = n;
            closed = mm_json_block_floats(&at, json->start, end, out, most, &n);
            alone = n == before ? ALONE : 1;
            continue;
        }
        at += *at == ' ';
        if (!quick_float(&at, &out[n]))
            break;
        n++;
        alone -= blocks;
        closed = *at == ']';
        at += !closed;
    }
    json->at = at;
    *count = n;
    return closed;
}

mm_status mm_json_floats(mm_json *json, float *out, size_t most, size_t *count, mm_error *err)
{
    size_t n = 0;
    mm_number number;
    bool more = false;
    mm_status status = mm_json_enter(json, MM_JSON_ARRAY, err);
    if (status == MM_OK)
        status = mm_json_next_item(json, &more, err);
    while (status == MM_OK && more) {
        if (!quick_floats(json, out, most, &n)) {
            if (n == most)
                return mm_json_bad(json, json->at, err, "more than %zu numbers", most);
            status = mm_json_number(json, &number, err);
            if (status != MM_OK)
                break;
            out[n] = mm_number_float(&number);
            if (!isfinite(out[n]))
                return mm_json_bad(json, number.text, err, "a number beyond the range of a float");
            n++;
        }
        status = mm_json_next_item(json, &more, err);
    }
    if (status == MM_OK)
        *count = n;
    return status;
}
