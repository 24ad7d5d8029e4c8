/* Digests against the vectors of their specifications, base64 both ways, CRC-32C in every splitting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/util.h"

static void expect_hex(const uint8_t *bytes, size_t size, const char *text)
{
    char hex[2 * MM_SHA256_SIZE + 1];
    mm_hex(bytes, size, hex);
    assert_string_equal(hex, text);
}

static void digests_are_those_of_their_specifications(void **state)
{
    (void)state;
    uint8_t out[MM_SHA256_SIZE];
    assert_true(mm_sha256("abc", 3, out)); /* FIPS 180-4, example */
    expect_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(mm_sha256("", 0, out));
    expect_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_true(mm_md5("message digest", 14, out)); /* RFC 1321, A.5 */
    expect_hex(out, 16, "f96b697d7cb7938d525a2f31aaf161d0");
    assert_true(mm_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out)); /* RFC 4231, case 2 */
    expect_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_true(mm_hmac_sha256(NULL, 0, "", 0, out));
    expect_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void base64_goes_both_ways(void **state)
{
    (void)state;
    /* RFC 4648, section 10 */
    static const char *const rows[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        char text[32];
        uint8_t back[32];
        size_t size, length = strlen(rows[i][0]);
        assert_int_equal(mm_base64(rows[i][0], length, text), strlen(rows[i][1]));
        assert_string_equal(text, rows[i][1]);
        assert_true(mm_base64_decode(text, strlen(text), back, &size));
        assert_int_equal(size, length);
        assert_memory_equal(back, rows[i][0], length);
    }
    char text[8];
    mm_base64_url("\xfb\xff", 2, text);
    assert_string_equal(text, "-_8");
}

static void what_is_no_base64_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"Zg", "Zg=", "Z===", "====", "Zm9v!AAA", "Zg==Zg==", "Zm9vZ\ng="};
    uint8_t out[16];
    size_t size;
    for (size_t i = 0; i < MM_COUNT(bad); i++) {
        assert_false(mm_base64_decode(bad[i], strlen(bad[i]), out, &size));
    }
}

static void crc32c_is_that_of_the_rfc_and_of_any_pieces(void **state)
{
    (void)state;
    uint8_t bytes[1000];
    memset(bytes, 0, 32);
    assert_int_equal(mm_crc32c(0, bytes, 32), 0x8A9136AAu); /* RFC 3720, B.4 */
    assert_int_equal(mm_crc32c(0, "123456789", 9), 0xE3069283u);
    assert_int_equal(mm_crc32c(0, "", 0), 0);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 131 + i / 7);
    }
    uint32_t whole = mm_crc32c(0, bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
        uint32_t first = mm_crc32c(0, bytes, cut), second = mm_crc32c(0, bytes + cut, sizeof(bytes) - cut);
        assert_int_equal(mm_crc32c(first, bytes + cut, sizeof(bytes) - cut), whole);
        assert_int_equal(mm_crc32c_combine(first, second, sizeof(bytes) - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_their_specifications),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(crc32c_is_that_of_the_rfc_and_of_any_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
