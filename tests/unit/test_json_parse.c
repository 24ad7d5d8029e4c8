/* The pull parser: every kind of value, strictness, the byte of a failure, and texts that are cut in the middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/json_parse.h"
#include "support/float_texts.h"

/* Copied to the very end of an allocation, so that a sanitizer sees a read behind it. */
static mm_status skip_all(const char *text, size_t size, bool whole, mm_error *err)
{
    mm_json json;
    const char *value;
    size_t length;
    char *copy = malloc(size + 1);
    memcpy(copy, text, size);
    char *exact = realloc(copy, size > 0 ? size : 1);
    mm_json_open(&json, "t", exact, size);
    json.whole = whole;
    mm_status status = mm_json_skip(&json, &value, &length, err);
    if (status == MM_OK && whole)
        status = mm_json_finish(&json, err);
    mm_json_close(&json);
    free(exact);
    return status;
}

static void what_is_no_json_is_refused_with_its_byte(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"", "byte 0"}, {" ", "byte 1"}, {"nul", "byte 3"}, {"nulL", "null is wanted"},
            {"NaN", "byte 0: a value is wanted, not 'N'"},
        {"Infinity", "not 'I'"}, {"[1,]", "byte 3"}, {"[1 2]", "byte 3: ',' or ']'"}, {"{\"a\":1,}", "byte 7"},
        {"{\"a\" 1}", "':'"}, {"{a:1}", "byte 1"}, {"{1:1}", "a string is wanted, not a number"},
            {"[01]", "byte 1: malformed"},
        {"[1.]", "malformed"}, {"[+1]", "byte 1"}, {"[.5]", "byte 1"}, {"[1e]", "malformed"}, {"'a'", "byte 0"},
        {"\"a", "byte 2"}, {"\"\\x\"", "byte 1: unknown escape"}, {"\"\\u12g4\"", "byte 5"},
            {"\"\\ud800\"", "surrogate"},
        {"\"\\udc00\\ud800\"", "surrogate"}, {"\"\\udc00\\udc00\"", "surrogate"}, {"\"\\ud800\\u0041\"", "surrogate"}, {"\"a\nb\"", "byte 2: control"},
            {"\"\xff\"", "byte 1: not UTF-8"},
        {"\"\xc0\x80\"", "not UTF-8"}, {"\"\xed\xa0\x80\"", "not UTF-8"}, {"\"\xf5\x80\x80\x80\"", "not UTF-8"},
        {"\"\xe2\x82\"", "not UTF-8"}, {"1 2", "byte 2: the end of the text"}, {"[]]", "byte 2"},
            {"{\"a\":}", "byte 5"},
        {"\"\\\"", "byte 3"}, {"[", "byte 1"}, {"{\"a\":[{\"b\":[1,{\"c\":tru}]}]}", "byte 19"},
            {"\"\\u12\"", "hexadecimal"},
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_error err = MM_ERROR_INIT;
        mm_status status = skip_all(rows[i].text, strlen(rows[i].text), true, &err);
        if (status != MM_DATA || strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: status %d, %s", rows[i].text, (int)status, err.text);
    }
}

static const char sample[] =
    " { \"a\" : [ 1 , -2.5e+3 , true , false , null , \"x\\n\\\"\\u00e9\\ud83d\\ude00y\" , [ ] , { } ] , \"\xc3\xa9\" : { \"b\" : [[[0]]] } } ";

static void a_text_that_is_cut_anywhere_waits_for_more(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(skip_all(sample, sizeof(sample) - 1, true, &err), MM_OK);
    for (size_t size = 0; size < sizeof(sample) - 2; size++) { /* less the last blank the text is whole */
        mm_status status = skip_all(sample, size, false, &err);
        if (status != MM_END)
            fail_msg("%zu bytes: status %d, %s", size, (int)status, err.text);
        assert_int_equal(skip_all(sample, size, true, &err), MM_DATA);
    }
}

static void values_come_out_as_they_are(void **state)
{
    (void)state;
    mm_json json;
    mm_error err = MM_ERROR_INIT;
    const char *text;
    size_t size;
    bool more, truth;
    mm_number number;
    mm_json_kind kind;
    mm_json_open(&json, "t", sample, sizeof(sample) - 1);
    assert_int_equal(mm_json_peek(&json, &kind, &err), MM_OK);
    assert_int_equal(kind, MM_JSON_OBJECT);
    assert_int_equal(mm_json_enter(&json, MM_JSON_OBJECT, &err), MM_OK);
    assert_int_equal(mm_json_next_key(&json, &text, &size, &more, &err), MM_OK);
    assert_true(more && size == 1 && text[0] == 'a');
    assert_int_equal(mm_json_enter(&json, MM_JSON_ARRAY, &err), MM_OK);
    assert_int_equal(mm_json_next_item(&json, &more, &err), MM_OK);
    assert_int_equal(mm_json_number(&json, &number, &err), MM_OK);
    assert_true(number.integer && number.digits == 1);
    assert_int_equal(mm_json_next_item(&json, &more, &err), MM_OK);
    assert_int_equal(mm_json_number(&json, &number, &err), MM_OK);
    assert_true(mm_number_double(&number) == -2500.0);
    assert_int_equal(mm_json_next_item(&json, &more, &err), MM_OK);
    assert_int_equal(mm_json_bool(&json, &truth, &err), MM_OK);
    assert_true(truth);
    assert_int_equal(mm_json_next_item(&json, &more, &err), MM_OK);
    assert_int_equal(mm_json_bool(&json, &truth, &err), MM_OK);
    assert_false(truth);
    assert_int_equal(mm_json_next_item(&json, &more, &err), MM_OK);
    assert_int_equal(mm_json_null(&json, &err), MM_OK);
    assert_int_equal(mm_json_next_item(&json, &more, &err), MM_OK);
    assert_int_equal(mm_json_string(&json, &text, &size, &err), MM_OK);
    assert_int_equal(size, 10);
    assert_memory_equal(text, "x\n\"\xc3\xa9\xf0\x9f\x98\x80y", 10);
    assert_int_equal(mm_json_next_item(&json, &more, &err), MM_OK);
    assert_int_equal(mm_json_skip(&json, &text, &size, &err), MM_OK);
    assert_memory_equal(text, "[ ]", size);
    assert_int_equal(mm_json_next_item(&json, &more, &err), MM_OK);
    assert_int_equal(mm_json_enter(&json, MM_JSON_OBJECT, &err), MM_OK);
    assert_int_equal(mm_json_next_key(&json, &text, &size, &more, &err), MM_OK);
    assert_false(more);
    assert_int_equal(mm_json_next_item(&json, &more, &err), MM_OK);
    assert_false(more);
    assert_int_equal(mm_json_next_key(&json, &text, &size, &more, &err), MM_OK);
    assert_true(more && size == 2);
    assert_int_equal(mm_json_skip(&json, &text, &size, &err), MM_OK);
    assert_int_equal(mm_json_next_key(&json, &text, &size, &more, &err), MM_OK);
    assert_false(more);
    assert_int_equal(mm_json_finish(&json, &err), MM_OK);
    mm_json_close(&json);
}

static void vectors_have_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mm_status status;
        size_t count;
    } rows[] = {{"[1,2.5,-3e-1]", MM_OK, 3}, {"[]", MM_OK, 0}, {"[1,2,3,4]", MM_DATA, 0}, {"[1,\"2\"]", MM_DATA, 0},
                {"[1e39]", MM_DATA, 0}, {"[1,null]", MM_DATA, 0}};
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_json json;
        mm_error err = MM_ERROR_INIT;
        float out[3];
        size_t count = 0;
        mm_json_open(&json, "t", rows[i].text, strlen(rows[i].text));
        assert_int_equal(mm_json_floats(&json, out, 3, &count, &err), rows[i].status);
        assert_int_equal(count, rows[i].count);
        if (count == 3)
            assert_true(out[0] == 1.0f && out[1] == 2.5f && out[2] == -0.3f);
        mm_json_close(&json);
    }
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char deep[2 * MM_JSON_DEPTH + 2];
    mm_error err = MM_ERROR_INIT;
    memset(deep, '[', MM_JSON_DEPTH + 1);
    memset(deep + MM_JSON_DEPTH + 1, ']', MM_JSON_DEPTH + 1);
    assert_int_equal(skip_all(deep + 1, 2 * MM_JSON_DEPTH, true, &err), MM_OK);
    assert_int_equal(skip_all(deep, sizeof(deep), true, &err), MM_DATA);
    assert_non_null(strstr(err.text, "levels"));
}

static void texts_are_written_so_that_they_read_back(void **state)
{
    (void)state;
    static const char bytes[] = "a\"\\/\b\n\r\t\x01\x1f\0\xc3\xa9\x7f";
    mm_buffer out = MM_BUFFER_INIT;
    mm_json json;
    mm_error err = MM_ERROR_INIT;
    const char *text;
    size_t size;
    assert_true(mm_json_put_string(&out, bytes, sizeof(bytes)));
    mm_json_open(&json, "t", out.data, out.size);
    assert_int_equal(mm_json_string(&json, &text, &size, &err), MM_OK);
    assert_int_equal(size, sizeof(bytes));
    assert_memory_equal(text, bytes, size);
    mm_json_close(&json);
    size_t before = out.size;
    assert_false(mm_json_put_string(&out, "\xff", 1));
    assert_int_equal(out.size, before);
    assert_true(mm_json_valid(" { \"a b\\\" \" : [ 1 ,\n 2 ] } ", 27));
    assert_false(mm_json_valid("{} x", 4));
    assert_false(mm_json_valid("", 0));
    mm_buffer_free(&out);
}

/* The campaign takes more of them: MM_FLOATS=10000000. */
static void arrays_of_floats_are_what_strtof_reads(void **state)
{
    (void)state;
    char wrong[2 * FLOAT_TEXT_MAX];
    const char *count = getenv("MM_FLOATS");
    if (float_texts_compare(count != NULL ? strtoull(count, NULL, 10) : 200000, 88172645463325252u, wrong) != 0)
        fail_msg("%s", wrong);
}

static void arrays_of_floats_are_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {"1.", ".5", "01", "-", "+1", "1e", "1e+", "1 2", "0x1", "1,", ",1", "NaN", "1.e5",
                                      "--1", "1.5.5", "1e5e5", "\"1\"", "null", "1_0", "00.5", "1e5.5", "-.5",
                                      "1,,1", "- 1", "-", "1-", "1:5", "1/5", "0.5\x80", "[1]", "1.5 5", "  ", "-01", "-00.5"};
    static const char many[] = "0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5";
    for (size_t i = 0; i < MM_COUNT(bad); i++)
        for (size_t around = 0; around < 4; around++) { /* in the quick loops, and where few bytes are in front or follow */
            float out[64];
            size_t count;
            mm_json json;
            mm_error err = MM_ERROR_INIT;
            mm_buffer text = MM_BUFFER_INIT;
            mm_buffer_printf(&text, "[%s,%s%s%s]", around & 1 ? many : "0.25", bad[i], around & 2 ? "," : "",
                             around & 2 ? many : "");
            mm_json_open(&json, "t", text.data, text.size);
            if (mm_json_floats(&json, out, 64, &count, &err) != MM_DATA)
                fail_msg("%s is an array of floats", text.data);
            mm_json_close(&json);
            mm_buffer_free(&text);
        }
}

/* Around the widths in which they are looked at, and the length of a run that is copied at once. */
static void strings_of_every_length_are_read(void **state)
{
    (void)state;
    static const char *const units[] = {"a", "\"", "\n", "\xc3\xa9", "\xf0\x9f\x98\x80", "\x01"};
    uint64_t random = 88172645463325252u;
    for (size_t round = 0; round < 3000; round++) {
        size_t length = round < 600 ? round / 6 : 4060 + round % 80, size;
        mm_buffer plain = MM_BUFFER_INIT, text = MM_BUFFER_INIT;
        mm_json json;
        mm_error err = MM_ERROR_INIT;
        const char *got;
        while (plain.size < length) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            const char *unit = units[random >> 60 < 12 ? 0 : (random >> 33) % MM_COUNT(units)];
            mm_buffer_append(&plain, unit, strlen(unit));
        }
        assert_true(mm_json_put_string(&text, plain.data != NULL ? plain.data : "", plain.size));
        char *exact = malloc(text.size);
        memcpy(exact, text.data, text.size);
        mm_json_open(&json, "t", exact, text.size);
        assert_int_equal(mm_json_string(&json, &got, &size, &err), MM_OK);
        assert_int_equal(size, plain.size);
        if (size > 0)
            assert_memory_equal(got, plain.data, size);
        json.whole = false;
        mm_json_set(&json, exact, text.size - 1, 0, false);
        assert_int_equal(mm_json_string(&json, &got, &size, &err), MM_END);
        mm_json_close(&json);
        free(exact);
        mm_buffer_free(&plain);
        mm_buffer_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_of_floats_are_what_strtof_reads),
        cmocka_unit_test(arrays_of_floats_are_strict),
        cmocka_unit_test(strings_of_every_length_are_read),
        cmocka_unit_test(what_is_no_json_is_refused_with_its_byte),
        cmocka_unit_test(a_text_that_is_cut_anywhere_waits_for_more),
        cmocka_unit_test(values_come_out_as_they_are),
        cmocka_unit_test(vectors_have_bounds),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(texts_are_written_so_that_they_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
