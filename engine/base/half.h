/* The two 16-bit floats of vectors: IEEE 754 binary16 and bfloat16, as their bits. To float they are exact; from a
 * double they are rounded to the nearest (halfway: the even one), infinite when too large. */
#ifndef MM_BASE_HALF_H
#define MM_BASE_HALF_H

#include <stdint.h>

float mm_half_to_float(uint16_t bits);
uint16_t mm_half_from_double(double value);
float mm_bfloat_to_float(uint16_t bits);
uint16_t mm_bfloat_from_double(double value);

#endif
