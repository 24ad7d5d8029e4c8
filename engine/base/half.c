/* 16-bit floats by integer arithmetic, the same on every machine. */
#include "base/half.h"

#include <string.h>

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

float mm_half_to_float(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, field = bits >> 10 & 0x1F, fraction = bits & 0x3FF;
    if (field == 0x1F)
        return float_of(sign | 0x7F800000u | fraction << 13);
    if (field == 0) { /* fraction × 2^-24, exact in a float */
        float value = (float)fraction * 0x1p-24f;
        return sign != 0 ? -value : value;
    }
    return float_of(sign | (field + 112) << 23 | fraction << 13);
}

float mm_bfloat_to_float(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

/* A double's bits as a float of `fraction` bits of fraction and an exponent of `exponent` bits, without its sign. */
static uint32_t round_to(uint64_t bits, int fraction, int exponent)
{
    int bias = (1 << (exponent - 1)) - 1, field = (int)(bits >> 52 & 0x7FF) - 1023 + bias;
    uint32_t infinite = ((1u << exponent) - 1) << fraction;
    uint64_t mantissa = bits & (((uint64_t)1 << 52) - 1);
    if ((bits >> 52 & 0x7FF) == 0x7FF)
        return mantissa != 0 ? infinite | 1u << (fraction - 1) : infinite;
    if (field >= (1 << exponent) - 1)
        return infinite;
    int shift = 52 - fraction;
    if (field <= 0) { /* below the normal numbers: the hidden bit becomes one of the fraction */
        mantissa |= (uint64_t)1 << 52;
        shift += 1 - field;
        field = 0;
        if (shift > 54)
            return 0;
    }
    uint64_t rest = mantissa & (((uint64_t)1 << shift) - 1), half = (uint64_t)1 << (shift - 1);
    uint32_t out = ((uint32_t)field << fraction) + (uint32_t)(mantissa >> shift);
    /* a carry out of the fraction goes on into the exponent, as it should */
    return out + (rest > half || (rest == half && (out & 1) != 0));
}

static uint16_t from_double(double value, int fraction, int exponent)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return (uint16_t)(round_to(bits & INT64_MAX, fraction, exponent) | (bits >> 63) << 15);
}

uint16_t mm_half_from_double(double value)
{
    return from_double(value, 10, 5);
}

uint16_t mm_bfloat_from_double(double value)
{
    return from_double(value, 7, 8);
}
