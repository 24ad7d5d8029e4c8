/* The pull parser's quick ways against its strict one: near the end of the bytes only the latter is left, so that the same
 * text, there and with blanks behind it, is read by both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/json_quick.h"

#define BLANKS 96

static mm_status skip_all(const char *text, size_t size, mm_error *err)
{
    mm_json json;
    const char *value;
    size_t length;
    char *exact = malloc(size); /* a sanitizer sees a read behind it */
    memcpy(exact, text, size);
    mm_json_open(&json, "t", exact, size);
    mm_status status = mm_json_skip(&json, &value, &length, err);
    if (status == MM_OK)
        status = mm_json_finish(&json, err);
    mm_json_close(&json);
    free(exact);
    return status;
}

static void same_with_blanks(const char *text, size_t size)
{
    char longer[512];
    mm_error alone = MM_ERROR_INIT, followed = MM_ERROR_INIT;
    assert_true(size + BLANKS <= sizeof(longer));
    memcpy(longer, text, size);
    memset(longer + size, ' ', BLANKS);
    mm_status a = skip_all(text, size, &alone), b = skip_all(longer, size + BLANKS, &followed);
    bool cut = strstr(alone.text, "ends in the middle") != NULL || strstr(followed.text, "ends in the middle") != NULL;
    if (a != b || (a != MM_OK && !cut && strcmp(alone.text, followed.text) != 0))
        fail_msg("`%.*s`: %s, but with blanks: %s", (int)size, text, alone.text, followed.text);
}

static void what_is_passed_over_is_checked_the_same_way(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"a\":[1,-2.5,\"x\",{}]}", "[true,false,null,[]]", "{\"a\\n\":\"\\u00e9\"}",
                                        "{\"\xc3\xa9\":[[0.5]]}",    "[-0,10,0.10,1e5]",     "{\"k\":{\"l\":\"\"},\"m\":7}",
                                        "[ ]",                       "{ }",                  "[[],[1],{}]",
                                        "\"a\\\"b\"",                "-1.25",                "[1 , 2]"};
    for (size_t i = 0; i < MM_COUNT(texts); i++) {
        size_t size = strlen(texts[i]);
        char damaged[64];
        same_with_blanks(texts[i], size);
        for (size_t at = 0; at < size; at++) {
            memcpy(damaged, texts[i], size);
            memmove(damaged + at, damaged + at + 1, size - at - 1);
            same_with_blanks(damaged, size - 1);
            memcpy(damaged, texts[i], size);
            for (int byte = 0; byte < 256; byte++) {
                damaged[at] = (char)byte;
                same_with_blanks(damaged, size);
            }
        }
    }
}

static void deep_nesting_is_bounded_in_the_quick_way_too(void **state)
{
    (void)state;
    char deep[2 * MM_JSON_DEPTH + BLANKS];
    mm_error err = MM_ERROR_INIT;
    memset(deep, ' ', sizeof(deep));
    memset(deep, '[', MM_JSON_DEPTH);
    memset(deep + MM_JSON_DEPTH, ']', MM_JSON_DEPTH);
    assert_int_equal(skip_all(deep, sizeof(deep), &err), MM_OK);
    memset(deep, '[', MM_JSON_DEPTH + 1);
    assert_int_equal(skip_all(deep, sizeof(deep), &err), MM_DATA);
    assert_non_null(strstr(err.text, "byte 512: more than 512 levels"));
}

/* Numbers in the middle of a text and at its end. */
static void numbers_are_the_same_in_the_quick_way(void **state)
{
    (void)state;
    static const char *const texts[] = {"0", "-0", "7", "-12", "12345678", "123456789", "1234567890123456",
                                        "12345678901234567", "123456789012345678", "1234567890123456789",
                                        "9223372036854775807", "-9223372036854775808", "18446744073709551616", "0.5", "-0.25",
                                        "12345678.12345678", "1.1234567890123456", "1.12345678901234567", "123.45", "1.50",
                                        "0.000000000000000001", "1e5", "1.5e-3", "01", "1.", ".5", "-", "1.5.5", "1x", "0x1"};
    for (size_t i = 0; i < MM_COUNT(texts); i++) {
        char text[256];
        size_t size = strlen(texts[i]);
        mm_json json;
        mm_error err = MM_ERROR_INIT;
        mm_number wanted, found;
        memset(text, ' ', sizeof(text));
        memcpy(text, texts[i], size);
        mm_json_open(&json, "t", text, size);
        mm_status a = mm_json_number(&json, &wanted, &err);
        mm_json_set(&json, text, sizeof(text), 0, true);
        mm_status b = mm_json_number(&json, &found, &err);
        mm_json_close(&json);
        if (a != b || (a == MM_OK && (wanted.size != found.size || wanted.digits != found.digits ||
                                      wanted.negative != found.negative || wanted.exponent != found.exponent ||
                                      wanted.integer != found.integer || wanted.cut != found.cut)))
            fail_msg("%s is another number in the middle of a text", texts[i]);
    }
}

static void a_string_is_appended_as_it_is_read(void **state)
{
    (void)state;
    static const char *const units[] = {"a", "bcdefgh ijklmnopq", "\\n", "\\\"", "\\u00e9", "\\ud83d\\ude00", "\xc3\xa9",
                                        "\xe2\x82\xac", "\x80", "\n", "\\x", "\\ud800 "};
    uint64_t random = 88172645463325252u;
    size_t bad = 0;
    for (size_t round = 0; round < 4000; round++) {
        size_t length = round < 2000 ? round / 10 : 4000 + round % 200, size = 0;
        mm_buffer text = MM_BUFFER_INIT, out = MM_BUFFER_INIT;
        mm_error first = MM_ERROR_INIT, second = MM_ERROR_INIT;
        mm_json json;
        const char *got = NULL;
        mm_buffer_append(&text, "\"", 1);
        while (text.size < length) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            size_t kind = (random >> 33) % 16, common = (random >> 40) % 64 == 0 ? MM_COUNT(units) : 8;
            const char *unit = units[kind < 12 ? kind % 2 : (random >> 48) % common];
            mm_buffer_append(&text, unit, strlen(unit));
        }
        mm_buffer_append(&text, "\"", 1);
        char *exact = malloc(text.size);
        memcpy(exact, text.data, text.size);
        mm_buffer_append(&out, "before", 6);
        mm_json_open(&json, "t", exact, text.size);
        mm_status a = mm_json_string(&json, &got, &size, &first);
        json.at = json.start;
        mm_status b = mm_json_string_append(&json, &out, &second);
        assert_int_equal(a, b);
        assert_string_equal(first.text, second.text);
        assert_int_equal(out.size, a == MM_OK ? 6 + size : 6);
        assert_memory_equal(out.data, "before", 6);
        json.at = json.start;
        assert_int_equal(mm_json_string(&json, &got, &size, &first), a);
        if (a == MM_OK && size > 0)
            assert_memory_equal(out.data + 6, got, size);
        bad += a != MM_OK;
        mm_json_close(&json);
        free(exact);
        mm_buffer_free(&text);
        mm_buffer_free(&out);
    }
    assert_true(bad > 100 && bad < 3900);
}

static void a_short_text_is_taken_only_as_it_is(void **state)
{
    (void)state;
    for (size_t length = 0; length < 40; length++)
        for (size_t at = 0; at <= length; at++) /* at == length: the text is plain */
            for (int byte = 0; byte < 256; byte++) {
                char text[128];
                mm_json json;
                mm_buffer out = MM_BUFFER_INIT;
                memset(text, ' ', sizeof(text));
                memset(text + 1, 'a', length);
                text[0] = text[length + 1] = '"';
                text[at + 1] = at < length ? (char)byte : '"';
                bool plain = at == length || byte == '"' || (byte >= 0x20 && byte < 0x80 && byte != '\\');
                size_t size = byte == '"' && at < length ? at : length;
                mm_json_open(&json, "t", text, sizeof(text));
                assert_false(mm_json_quick_append(&json, &out)); /* there is no room yet */
                mm_buffer_append(&out, "b", 1);
                bool taken = mm_json_quick_append(&json, &out);
                if (taken != (plain && size < MM_JSON_SHORT) || out.size != (taken ? 1 + size : 1) ||
                    json.at - json.start != (taken ? (ptrdiff_t)size + 2 : 0) || out.data[out.size] != '\0' ||
                    (taken && memcmp(out.data + 1, text + 1, size) != 0))
                    fail_msg("%zu bytes, of which %zu is %d", length, at, byte);
                mm_buffer_free(&out);
                mm_json_close(&json);
            }
}

/* Whether the key that comes first, and the same one behind a comma, is taken for `name`. */
static bool foreseen(const char *name, size_t size, const char *text, bool first)
{
    char longer[160];
    mm_json json;
    mm_json_key key;
    mm_json_key_set(&key, name, size);
    memset(longer, ' ', sizeof(longer));
    memcpy(longer, text, strlen(text));
    mm_json_open(&json, "t", longer, sizeof(longer));
    json.first = first;
    bool found = mm_json_quick_key(&json, &key);
    assert_int_equal(json.at - json.start, found ? strlen(name) + 3 + !first : 0);
    assert_true(json.first == (first && !found));
    mm_json_set(&json, text, strlen(text), 0, true);
    json.first = first;
    assert_false(mm_json_quick_key(&json, &key)); /* so near to the end it is not looked at */
    return found;
}

static void a_key_is_foreseen_only_as_it_is(void **state)
{
    (void)state;
    assert_true(foreseen("name", 4, "\"name\":1", true));
    assert_true(foreseen("name", 4, ",\"name\":1", false));
    assert_true(foreseen("", 0, "\"\":1", true));
    assert_true(foreseen("\xc3\xa9", 2, "\"\xc3\xa9\":1", true));
    assert_true(foreseen("abcdefghijklmnopqrstuvwxyz012", 29, "\"abcdefghijklmnopqrstuvwxyz012\":", true));
    static const char *const others[] = {"\"names\":1", "\"nam\":1", "\"Name\":1", "\"name\" :1", " \"name\":1", "}",
                                         "\"n\\u0061me\":1", "name:1"};
    for (size_t i = 0; i < MM_COUNT(others); i++)
        assert_false(foreseen("name", 4, others[i], true));
    assert_false(foreseen("name", 4, "\"name\":1", false));
    assert_false(foreseen("name", 4, ",\"name\":1", true));
    assert_false(foreseen("abcdefghijklmnopqrstuvwxyz0123", 30, "\"abcdefghijklmnopqrstuvwxyz0123\":", true));
    assert_false(foreseen("a\"b", 3, "\"a\"b\":1", true)); /* would be no JSON */
    assert_false(foreseen("a\\n", 3, "\"a\\n\":1", true));
    assert_false(foreseen("a\nb", 3, "\"a\nb\":1", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_passed_over_is_checked_the_same_way),
        cmocka_unit_test(deep_nesting_is_bounded_in_the_quick_way_too),
        cmocka_unit_test(numbers_are_the_same_in_the_quick_way),
        cmocka_unit_test(a_string_is_appended_as_it_is_read),
        cmocka_unit_test(a_short_text_is_taken_only_as_it_is),
        cmocka_unit_test(a_key_is_foreseen_only_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
