/* Numbers as text: what is printed reads back as the same bits and is as short as it can be; what is read is what
 * strtod and strtof of the C library read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "formats/number.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static uint64_t bits_of_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static mm_number scan(const char *text)
{
    mm_number number;
    size_t size = strlen(text), read = mm_number_scan((const uint8_t *)text, (const uint8_t *)text + size, &number);
    if (read != size)
        fail_msg("%s: %zu of %zu bytes are a number", text, read, size);
    return number;
}

static void agree(const char *text)
{
    mm_number number = scan(text);
    if (bits_of_double(mm_number_double(&number)) != bits_of_double(strtod(text, NULL)))
        fail_msg("%s: double %a, not %a", text, mm_number_double(&number), strtod(text, NULL));
    if (bits_of(mm_number_float(&number)) != bits_of(strtof(text, NULL)))
        fail_msg("%s: float %a, not %a", text, (double)mm_number_float(&number), (double)strtof(text, NULL));
}

/* Digits without leading and trailing zeros. */
static int significant(const char *text)
{
    int count = 0, zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && count == 0))
            continue;
        count++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return count - zeros;
}

static void round_trip_float(uint32_t bits)
{
    char text[MM_NUMBER_TEXT + 1], other[64];
    float value;
    memcpy(&value, &bits, sizeof(value));
    text[mm_number_print_float(value, text)] = '\0';
    mm_number number = scan(text);
    if (bits_of(mm_number_float(&number)) != bits || bits_of(strtof(text, NULL)) != bits)
        fail_msg("%08x is printed as %s", bits, text);
    int digits = significant(text);
    snprintf(other, sizeof(other), "%.*e", digits > 1 ? digits - 2 : 0, (double)value);
    if (digits > 1 && strtof(other, NULL) == value)
        fail_msg("%s is printed, %s would do", text, other);
    snprintf(other, sizeof(other), "%.9g", (double)value);
    agree(other);
}

static void floats_survive_the_round_trip_with_the_fewest_digits(void **state)
{
    (void)state;
    const uint32_t edges[] = {0,          1,          2,          0x007FFFFF, 0x00800000, 0x00800001, 0x3F800000,
                              0x3F7FFFFF,
                              0x4B000000, 0x4B800000, 0x7F7FFFFF, 0x80000000, 0x80000001, 0xFF7FFFFF, 0x15AE43FD,
                                  0x0F42F75F};
    for (size_t i = 0; i < MM_COUNT(edges); i++)
        round_trip_float(edges[i]);
    for (uint32_t field = 0; field < 255; field++) /* every power of two and its neighbours */
        for (uint32_t off = 0; off < 3; off++)
            round_trip_float((field << 23) + off - (field > 0 ? 1 : 0));
    for (uint32_t bits = 0; bits < 0x7F800000; bits += 49999)
        round_trip_float(bits);
}

static void doubles_survive_the_round_trip(void **state)
{
    (void)state;
    char text[MM_NUMBER_TEXT + 1], other[64];
    const double edges[] = {0.0, -0.0, 5e-324, 2.2250738585072009e-308, 2.2250738585072014e-308, DBL_MAX, 0.1, 1.0 / 3,
                            9007199254740992.0, 9007199254740993.0, 1e22, 1e23, 5e-5, 123456789012345680.0};
    for (size_t i = 0; i < MM_COUNT(edges) + 300000; i++) {
        uint64_t bits = random_word();
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (i < MM_COUNT(edges))
            value = edges[i];
        if (!isfinite(value))
            continue;
        text[mm_number_print_double(value, text)] = '\0';
        mm_number number = scan(text);
        if (bits_of_double(mm_number_double(&number)) != bits_of_double(value) ||
            bits_of_double(strtod(text, NULL)) != bits_of_double(value))
            fail_msg("%a is printed as %s", value, text);
        snprintf(other, sizeof(other), "%.17g", value);
        agree(other);
        assert_true(strlen(text) <= strlen(other) + 2); /* ".0" */
    }
}

static void what_lies_between_two_floats_is_read_as_by_strtof(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "1.00000005960464477539062", "1.00000005960464477539063", "1.00000005960464477539061", "16777217", "16777219",
        "3.4028235677973366e38", "3.4028235677973365e38", "3.40282357e38", "1e39", "-1e39", "1e400", "1e-400",
        "1.401298464324817e-45", "7.006492321624085e-46", "7.0064923216240853e-46", "7.00649232162408614e-46",
        "1.1754943508222875e-38", "1.17549431578e-38", "9007199254740993", "9007199254740992.9999999999999999999",
        "9007199254740993.0000000000000000000000000001", "2.2250738585072011e-308", "4.9406564584124654e-324",
        "2.4703282292062327e-324", "2.4703282292062328e-324", "1.7976931348623157e308", "1.7976931348623159e308",
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887",
        "0.000000000000000000000000000000000000000000000000000000000000000000000001", "0.1e1", "00", "0e99999",
            "1e-99999",
        "123456789012345678901234567890", "100000000000000000000", "12345678901234567890.5", "0.30000001192092896",
    };
    for (size_t i = 0; i < MM_COUNT(texts); i++)
        if (texts[i][0] != '0' || texts[i][1] != '0') /* 00 is two numbers */
            agree(texts[i]);
    for (int i = 0; i < 200000; i++) {
        char text[64], *at = text;
        int digits = 1 + (int)(random_word() % 25), point = (int)(random_word() % 25);
        *at++ = (char)('1' + random_word() % 9);
        for (int d = 1; d < digits; d++) {
            if (d == point)
                *at++ = '.';
            *at++ = (char)('0' + random_word() % 10);
        }
        snprintf(at, 8, "e%d", (int)(random_word() % 100) - 60);
        agree(text);
    }
}

static void integers_are_exact_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fits;
        int64_t value;
    } rows[] = {
        {"0", true, 0}, {"-0", true, 0}, {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN}, {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0}, {"1.0", true, 1}, {"1e3", true, 1000}, {"1500e-2", true, 15},
        {"1.5", false, 0}, {"1e19", false, 0}, {"99999999999999999999", false, 0}, {"0e5", true, 0},
        {"9007199254740993", true, 9007199254740993},
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_number number = scan(rows[i].text);
        int64_t value = 0;
        if (mm_number_int64(&number, &value) != rows[i].fits || value != rows[i].value)
            fail_msg("%s: %lld", rows[i].text, (long long)value);
        if (rows[i].fits && number.integer && rows[i].text[1] != '0') {
            char text[MM_NUMBER_TEXT + 1];
            text[mm_number_print_int64(value, text)] = '\0';
            assert_string_equal(text, rows[i].text);
        }
    }
}

static void only_the_grammar_of_json_is_a_number(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
    } rows[] = {{"", 0},   {"-", 0},    {"+1", 0},  {".5", 0},  {"-.5", 0},  {"1.", 1},     {"1.e5", 1},
                {"01", 1}, {"-01.5", 2}, {"1e", 1},  {"1e+", 1}, {"1E-7x", 4}, {"0x10", 1},   {"nan", 0},
                {"1.5.5", 3}, {"1_0", 1}, {"-0.0,", 4}};
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_number number;
        const uint8_t *text = (const uint8_t *)rows[i].text;
        size_t size = mm_number_scan(text, text + strlen(rows[i].text), &number);
        if (size != rows[i].size)
            fail_msg("%s: %zu", rows[i].text, size);
    }
    char long_text[MM_NUMBER_MAX + 2];
    mm_number number;
    memset(long_text, '7', sizeof(long_text));
    const uint8_t *start = (const uint8_t *)long_text;
    assert_int_equal(mm_number_scan(start, start + MM_NUMBER_MAX, &number), MM_NUMBER_MAX);
    assert_int_equal(mm_number_scan(start, start + MM_NUMBER_MAX + 1, &number), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_survive_the_round_trip_with_the_fewest_digits),
        cmocka_unit_test(doubles_survive_the_round_trip),
        cmocka_unit_test(what_lies_between_two_floats_is_read_as_by_strtof),
        cmocka_unit_test(integers_are_exact_or_none),
        cmocka_unit_test(only_the_grammar_of_json_is_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
