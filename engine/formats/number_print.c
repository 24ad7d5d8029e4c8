/* Numbers to text. The shortest digits of floats and doubles by Schubfach (R. Giulietti, "The Schubfach way to render
 * doubles", 2020): the interval of decimals that round to the value is scaled by a power of ten from the table, and
 * the one multiple of ten or of one in it that is nearest is taken. */
#include "formats/number.h"

#include <string.h>

#include "formats/powers_of_ten.h"

__extension__ typedef unsigned __int128 u128;

/* digits × 10^exponent */
typedef struct decimal {
    uint64_t digits;
    int32_t exponent;
} decimal;

/* --- Schubfach ---------------------------------------------------------------------------------------------- */

/* floor(log10(2^q)), floor(log10(3/4 × 2^q)), floor(log2(10^q)): exact for |q| <= 1500, 1500, 1233. */
static int32_t log10_of_two(int32_t q)
{
    return (int32_t)(((int64_t)q * 1262611) >> 22);
}
static int32_t log10_of_two_less(int32_t q)
{
    return (int32_t)(((int64_t)q * 1262611 - 524031) >> 22);
}
static int32_t log2_of_ten(int32_t q)
{
    return (int32_t)(((int64_t)q * 1741647) >> 19);
}

/* The integer part of factor × power / 2^64 (2^128), its last bit set when something was cut off that counts. */
static uint64_t scale_float(uint64_t power, uint64_t factor)
{
    u128 product = (u128)power * factor;
    return (uint64_t)(product >> 64) | ((uint32_t)(product >> 32) > 1);
}
static uint64_t scale_double(const uint64_t power[2], uint64_t factor)
{
    u128 product = (u128)power[0] * factor + (uint64_t)(((u128)power[1] * factor) >> 64);
    return (uint64_t)(product >> 64) | ((uint64_t)product > 1);
}

/* value: mantissa × 2^exponent. low, middle, high: four times the bounds of the interval and the value, scaled. */
static decimal choose(uint64_t low, uint64_t middle, uint64_t high, int32_t exponent)
{
    uint64_t whole = middle / 4;
    if (whole >= 10) {
        uint64_t tens = whole / 10;
        bool down = low <= 40 * tens, up = 40 * tens + 40 <= high;
        if (down != up)
            return (decimal){tens + up, exponent + 1};
    }
    bool down = low <= 4 * whole, up = 4 * whole + 4 <= high;
    if (down != up)
        return (decimal){whole + up, exponent};
    uint64_t half = 4 * whole + 2;
    return (decimal){whole + (middle > half || (middle == half && (whole & 1) != 0)), exponent};
}

static decimal shortest(uint64_t mantissa, int32_t exponent, bool narrow_below, bool is_double)
{
    bool odd = (mantissa & 1) != 0;
    int32_t k = narrow_below ? log10_of_two_less(exponent) : log10_of_two(exponent);
    int shift = exponent + log2_of_ten(-k) + 1;
    uint64_t power[2];
    memcpy(power, mm_powers_of_ten[-k - MM_POWER_FIRST], sizeof(power));
    bool exact = -k >= 0 && -k <= MM_POWER_EXACT;
    uint64_t low = (4 * mantissa - 2 + (narrow_below ? 1 : 0)) << shift, middle = (4 * mantissa) << shift,
             high = (4 * mantissa + 2) << shift;
    if (is_double) { /* the power rounded up */
        if (!exact && ++power[1] == 0)
            power[0]++;
        low = scale_double(power, low);
        middle = scale_double(power, middle);
        high = scale_double(power, high);
    } else {
        if (power[1] != 0)
            power[0]++;
        low = scale_float(power[0], low);
        middle = scale_float(power[0], middle);
        high = scale_float(power[0], high);
    }
    return choose(low + odd, middle, high - odd, k);
}

/* --- text --------------------------------------------------------------------------------------------------- */

static size_t put_digits(uint64_t value, char *out)
{
    char reversed[20];
    size_t count = 0;
    do {
        reversed[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < count; i++)
        out[i] = reversed[count - 1 - i];
    return count;
}

/* 0.00012, 12.5, 1200.0 or 1.25e-7, whichever is in the range that people write out. */
static size_t put_decimal(bool negative, decimal value, char *out)
{
    char digits[20];
    size_t at = 0;
    for (; value.digits != 0 && value.digits % 10 == 0; value.digits /= 10)
        value.exponent++;
    int32_t count = (int32_t)put_digits(value.digits, digits);
    int32_t point = value.digits == 0 ? 1 : count + value.exponent; /* digits before the point */
    if (negative)
        out[at++] = '-';
    if (point > -5 && point <= 0) {
        memcpy(out + at, "0.0000", (size_t)(2 - point));
        at += (size_t)(2 - point);
        memcpy(out + at, digits, (size_t)count);
        return at + (size_t)count;
    }
    int32_t before = point > 0 && point <= 17 ? point : 1;
    for (int32_t i = 0; i < before; i++)
        out[at++] = i < count ? digits[i] : '0';
    if (count > before) {
        out[at++] = '.';
        memcpy(out + at, digits + before, (size_t)(count - before));
        at += (size_t)(count - before);
    } else if (before == point) {
        memcpy(out + at, ".0", 2);
        at += 2;
    }
    if (before != point) {
        int32_t exponent = point - 1;
        out[at++] = 'e';
        if (exponent < 0)
            out[at++] = '-';
        at += put_digits((uint64_t)(exponent < 0 ? -exponent : exponent), out + at);
    }
    return at;
}

size_t mm_number_print_float(float value, char out[MM_NUMBER_TEXT])
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint32_t field = bits >> 23 & 0xFF, fraction = bits & 0x7FFFFF;
    decimal digits = {0, 0};
    if (field != 0)
        digits = shortest(fraction | 1u << 23, (int32_t)field - 150, fraction == 0 && field > 1, false);
    else if (fraction != 0)
        digits = shortest(fraction, -149, false, false);
    return put_decimal(bits >> 31, digits, out);
}

size_t mm_number_print_double(double value, char out[MM_NUMBER_TEXT])
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint64_t field = bits >> 52 & 0x7FF, fraction = bits & (((uint64_t)1 << 52) - 1);
    decimal digits = {0, 0};
    if (field != 0)
        digits = shortest(fraction | (uint64_t)1 << 52, (int32_t)field - 1075, fraction == 0 && field > 1, true);
    else if (fraction != 0)
        digits = shortest(fraction, -1074, false, true);
    return put_decimal(bits >> 63, digits, out);
}

size_t mm_number_print_int64(int64_t value, char out[MM_NUMBER_TEXT])
{
    size_t at = 0;
    if (value < 0)
        out[at++] = '-';
    return at + put_digits(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, out + at);
}
