/* 16-bit floats: every value survives the way to float and back; doubles are rounded to the nearest, halfway to the
 * even one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"

static void every_value_survives(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        float half = mm_half_to_float((uint16_t)bits), brain = mm_bfloat_to_float((uint16_t)bits);
        if (!isnan(half))
            assert_int_equal(mm_half_from_double((double)half), bits);
        else
            assert_int_equal(mm_half_from_double((double)half) & 0x7C00, 0x7C00);
        if (!isnan(brain))
            assert_int_equal(mm_bfloat_from_double((double)brain), bits);
    }
    assert_true(mm_half_to_float(0x3C00) == 1.0f && mm_half_to_float(0xC000) == -2.0f);
    assert_true(mm_half_to_float(0x7BFF) == 65504.0f && mm_half_to_float(1) == 0x1p-24f);
    assert_true(mm_bfloat_to_float(0x3F80) == 1.0f && mm_bfloat_to_float(0x7F7F) == 0x1.FEp127f);
}

/* Between two neighbours: below the middle down, above it up, on it to the even one. */
static void check_between(uint16_t (*from)(double), float (*to)(uint16_t), uint32_t bits)
{
    double low = (double)to((uint16_t)bits), high = (double)to((uint16_t)(bits + 1)), middle = (low + high) / 2;
    assert_int_equal(from(nextafter(middle, low)), bits);
    assert_int_equal(from(nextafter(middle, high)), bits + 1);
    assert_int_equal(from(middle), bits + (bits & 1));
    assert_int_equal(from(-middle), 0x8000 + bits + (bits & 1));
}

static void doubles_are_rounded_to_the_nearest(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x7BFF; bits++)
        check_between(mm_half_from_double, mm_half_to_float, bits);
    for (uint32_t bits = 0; bits < 0x7F7F; bits++)
        check_between(mm_bfloat_from_double, mm_bfloat_to_float, bits);
    assert_int_equal(mm_half_from_double(65519.99), 0x7BFF);
    assert_int_equal(mm_half_from_double(65520.0), 0x7C00);
    assert_int_equal(mm_half_from_double(1e300), 0x7C00);
    assert_int_equal(mm_half_from_double(-INFINITY), 0xFC00);
    assert_int_equal(mm_half_from_double(1e-300), 0);
    assert_int_equal(mm_bfloat_from_double(3.4e39), 0x7F80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_survives),
        cmocka_unit_test(doubles_are_rounded_to_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
