/* Text to numbers. Nearly every number takes one of two exact ways with a few multiplications: digits and power of
 * ten that doubles hold exactly (W. Clinger, 1990), or a 64 × 128 bit product with the power of ten from a table, whose
 * error bounds decide the rounding (D. Lemire, "Number Parsing at a Gigabyte per Second", 2021). What is too near to
 * the middle between two doubles for that, is left to strtod. */
#include "formats/number.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "formats/powers_of_ten.h"

__extension__ typedef unsigned __int128 u128;

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "eight digits are read as one little-endian word");

#define DIGITS_MAX 19 /* fit into 64 bits, whatever they are */
#define EXPONENT_MAX 20000

/* --- scanning ----------------------------------------------------------------------------------------------- */

static bool is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') < 10;
}

/* True when eight bytes are all digits; their value then in *out. Eight at a time: the sums of pairs, then of fours,
 * in one register each. */
static bool eight_digits(const uint8_t *at, uint64_t *out)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    const uint64_t high = 0xF0F0F0F0F0F0F0F0u; /* 3 in each, and still 3 when 6 is added: '0' to '9' */
    if (((word & high) | (((word + 0x0606060606060606u) & high) >> 4)) != 0x3333333333333333u)
        return false;
    word -= 0x3030303030303030u;
    word = word * 10 + (word >> 8);
    const uint64_t pairs = 0x000000FF000000FFu;
    *out = ((word & pairs) * 0x000F424000000064u + ((word >> 16) & pairs) * 0x0000271000000001u) >> 32;
    return true;
}

/* Digits from *at on, into value, while it has fewer than 19 significant ones. Returns the number of digits that
 * were not taken; *at is behind the last digit. */
static size_t take_digits(const uint8_t **at, const uint8_t *end, mm_number *number, unsigned *significant)
{
    const uint8_t *p = *at;
    uint64_t value = number->digits, eight;
    unsigned count = *significant;
    size_t left = 0;
    if (count == 0)
        while (p < end && *p == '0') /* leading zeros are no significant digits */
            p++;
    while (count + 8 <= DIGITS_MAX && end - p >= 8 && eight_digits(p, &eight)) {
        value = value * 100000000u + eight;
        count += 8;
        p += 8;
    }
    while (count < DIGITS_MAX && p < end && is_digit(*p)) {
        value = value * 10 + (uint64_t)(*p++ - '0');
        count++;
    }
    for (; p < end && is_digit(*p); p++) {
        left++;
        number->cut = number->cut || *p != '0';
    }
    number->digits = value;
    *significant = count;
    *at = p;
    return left;
}

/* "e+12"; leaves *at where it is when what stands there is none. */
static int32_t take_exponent(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at + 1;
    bool negative = p < end && *p == '-';
    int32_t value = 0;
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end || !is_digit(*p))
        return 0;
    for (; p < end && is_digit(*p); p++)
        if (value < EXPONENT_MAX / 2)
            value = value * 10 + (*p - '0');
    if (value > EXPONENT_MAX / 2)
        value = EXPONENT_MAX / 2;
    *at = p;
    return negative ? -value : value;
}

size_t mm_number_scan(const uint8_t *at, const uint8_t *end, mm_number *out)
{
    mm_number n = {.text = at, .integer = true};
    const uint8_t *p = at;
    unsigned significant = 0;
    if (end - at > MM_NUMBER_MAX + 1)
        end = at + MM_NUMBER_MAX + 1;
    if (p < end && *p == '-') {
        n.negative = true;
        p++;
    }
    const uint8_t *whole = p;
    if (p == end || !is_digit(*p))
        return 0;
    size_t left = take_digits(&p, end, &n, &significant);
    if (*whole == '0' && p - whole > 1) { /* 01: the number is 0, and something stands behind it */
        p = whole + 1;
        n.digits = 0;
        n.cut = false;
        left = 0;
    }
    n.exponent = (int32_t)left;
    if (p + 1 < end && *p == '.' && is_digit(p[1])) {
        const uint8_t *fraction = ++p;
        left = take_digits(&p, end, &n, &significant);
        n.exponent -= (int32_t)((size_t)(p - fraction) - left);
        n.integer = false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        const uint8_t *before = p;
        n.exponent += take_exponent(&p, end);
        n.integer = n.integer && p == before;
    }
    n.size = (uint32_t)(p - at);
    if (n.size > MM_NUMBER_MAX)
        return 0;
    *out = n;
    return n.size;
}

/* --- values ------------------------------------------------------------------------------------------------- */

/* floor(log2(10^q)), exact for |q| <= 1233. */
static int32_t log2_of_power(int32_t q)
{
    return (int32_t)(((int64_t)q * 1741647) >> 19);
}

/* digits × 10^q as a normal double; false: the product is too near to the middle between two, or out of range. */
static bool by_product(uint64_t digits, int32_t q, double *out)
{
    if (q < MM_POWER_FIRST || q > MM_POWER_LAST)
        return false;
    const uint64_t *power = mm_powers_of_ten[q - MM_POWER_FIRST];
    int zeros = __builtin_clzll(digits);
    digits <<= zeros;
    /* the true product, over 2^64, lies in [product, product + 2): what the power was cut by, and the low word */
    u128 low = (u128)digits * power[1];
    u128 product = (u128)digits * power[0] + (uint64_t)(low >> 64);
    int top = (int)(product >> 127); /* the highest bit is 127 or 126 */
    int shift = 128 - 53 - 1 + top;
    int32_t exponent = log2_of_power(q) - zeros + 63 + top;
    if (exponent < -1022 || exponent > 1023)
        return false;
    u128 rest = product & (((u128)1 << shift) - 1), half = (u128)1 << (shift - 1);
    uint64_t mantissa = (uint64_t)(product >> shift);
    if (rest > half)
        mantissa++;
    else if (rest + 2 > half)
        return false;
    /* the hidden bit adds one to the exponent, and so does a mantissa that was rounded up to 2^53 */
    uint64_t bits = ((uint64_t)(exponent + 1022) << 52) + mantissa;
    memcpy(out, &bits, sizeof(bits));
    return true;
}

static double magnitude(const mm_number *number)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const int32_t most = (int32_t)(sizeof(powers) / sizeof(powers[0])) - 1;
    double value;
    if (!number->cut && number->digits == 0)
        return 0.0;
    if (!number->cut && number->digits <= (uint64_t)1 << 53 && number->exponent >= -most && number->exponent <= most)
        return number->exponent < 0 ? (double)number->digits / powers[-number->exponent]
                                    : (double)number->digits * powers[number->exponent];
    if (!number->cut && by_product(number->digits, number->exponent, &value))
        return value;
    char text[MM_NUMBER_MAX + 1];
    size_t sign = number->negative ? 1 : 0;
    memcpy(text, number->text + sign, number->size - sign);
    text[number->size - sign] = '\0';
    return strtod(text, NULL);
}

double mm_number_double(const mm_number *number)
{
    double value = magnitude(number);
    return number->negative ? -value : value;
}

/* Rounding twice is wrong only where the double is exactly the middle between two floats (the 29 bits that a float
 * has less are 1000…) and was itself rounded; and below the normal floats, where the middle lies elsewhere. */
float mm_number_float(const mm_number *number)
{
    double value = magnitude(number);
    float rounded = (float)value;
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    if ((bits & 0x1FFFFFFF) == 0x10000000 || (value < (double)FLT_MIN && value != 0.0)) {
        char text[MM_NUMBER_MAX + 1];
        size_t sign = number->negative ? 1 : 0;
        memcpy(text, number->text + sign, number->size - sign);
        text[number->size - sign] = '\0';
        rounded = strtof(text, NULL);
    }
    return number->negative ? -rounded : rounded;
}

bool mm_number_int64(const mm_number *number, int64_t *out)
{
    uint64_t value = number->digits;
    int32_t exponent = number->exponent;
    if (number->cut)
        return false;
    for (; exponent < 0 && value != 0; exponent++) {
        if (value % 10 != 0)
            return false;
        value /= 10;
    }
    for (; exponent > 0 && value != 0; exponent--)
        if (__builtin_mul_overflow(value, (uint64_t)10, &value))
            return false;
    if (value > (uint64_t)INT64_MAX + (number->negative ? 1 : 0))
        return false;
    *out = number->negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}
