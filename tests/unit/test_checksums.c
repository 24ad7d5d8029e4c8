/* CRC-32 by folding is that of zlib, whatever the size, the place in memory and the pieces; UTF-8 is what RFC 3629
 * says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/crc32.h"
#include "base/utf8.h"
#include "base/util.h"

static void crc32_is_that_of_zlib(void **state)
{
    (void)state;
    static uint8_t bytes[5000];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
    assert_int_equal(mm_crc32(0, "123456789", 9), 0xcbf43926); /* the catalogue's check value */
    for (size_t size = 0; size < 1200; size++)
        for (size_t from = 0; from < 3; from++)
            assert_int_equal(mm_crc32(0, bytes + from, size), crc32_z(0, bytes + from, size));
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 97)
        assert_int_equal(mm_crc32(mm_crc32(0, bytes, cut), bytes + cut, sizeof(bytes) - cut),
                         crc32_z(0, bytes, sizeof(bytes)));
}

static void utf8_is_what_the_rfc_says(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain text of more than eight bytes",
                                       "\xc2\x80\xdf\xbf",
                                       "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
                                       "eight by\xc3\xa4te and behind"};
    static const char *const bad[] = {"\x80",         "\xc0\x80",         "\xc1\xbf",         "\xc3",
                                      "\xc3(",        "\xe0\x9f\xbf",     "\xed\xa0\x80",     "\xe2\x82",
                                      "\xe2(\xac",    "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                                      "\xf0\x9f\x98", "0123456\xff",      "01234567\xff",     "\xf0\x9f\x98("};
    for (size_t i = 0; i < MM_COUNT(good); i++)
        assert_int_equal(mm_utf8_prefix(good[i], strlen(good[i])), strlen(good[i]));
    for (size_t i = 0; i < MM_COUNT(bad); i++)
        assert_true(mm_utf8_prefix(bad[i], strlen(bad[i])) < strlen(bad[i]));
    assert_int_equal(mm_utf8_prefix("\0a\0", 3), 3);
    assert_int_equal(mm_utf8_prefix("0123456789\xc3\xa4\xff", 13), 12);
    assert_int_equal(mm_utf8_prefix(NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32_is_that_of_zlib),
        cmocka_unit_test(utf8_is_what_the_rfc_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
