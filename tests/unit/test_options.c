/* Option tables: values of every type, defaults, getters, and tables that the registry refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/options.h"
#include "config/tables.h"
#include "config/values.h"

static void sizes_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},          {"4096", 4096},         {"64MiB", 64ull << 20},
                {"1.5GiB", 1610612736}, {"10 MB", 10000000}, {"1kB", 1000},
                {"7B", 7},         {"1_000", 1000},        {"18446744073709551615", UINT64_MAX}};
    static const char *const bad[] = {"",     "x",     "-1",    "64M",  "64mib", "1..5MiB", "1.MiB",
                                      "1 2", "MiB", "64MiB x", "18446744073709551616", "99999PiB",
                                      "_1", "1_", "1.0000000001B"};
    uint64_t value;
    char text[MM_VALUE_TEXT];
    for (size_t i = 0; i < MM_COUNT(good); i++) {
        assert_true(mm_value_size(good[i].text, &value));
        assert_int_equal(value, good[i].value);
        mm_value_size_text(value, text);
        assert_true(mm_value_size(text, &value));
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < MM_COUNT(bad); i++) {
        value = 77;
        assert_false(mm_value_size(bad[i], &value));
        assert_int_equal(value, 77);
    }
    mm_value_size_text(268435456, text);
    assert_string_equal(text, "256MiB");
    mm_value_size_text(1000, text);
    assert_string_equal(text, "1000");
}

static void durations_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},        {"0s", 0},           {"250ms", 250},      {"30s", 30000},
                {"30m", 1800000}, {"1.5h", 5400000}, {"1h30m", 5400000},  {"1h 30m", 5400000},
                {"2d", 172800000}, {"5 h", 18000000}};
    static const char *const bad[] = {"", "30", "s", "-1s", "1h30", "1x", "1m!", "999999999999999999d"};
    uint64_t value;
    char text[MM_VALUE_TEXT];
    for (size_t i = 0; i < MM_COUNT(good); i++) {
        assert_true(mm_value_duration(good[i].text, &value));
        assert_int_equal(value, good[i].value);
        mm_value_duration_text(value, text);
        assert_true(mm_value_duration(text, &value));
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < MM_COUNT(bad); i++)
        assert_false(mm_value_duration(bad[i], &value));
    mm_value_duration_text(1800000, text);
    assert_string_equal(text, "30m");
}

static void rates_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t rows, bytes;
        const char *canonical;
    } good[] = {{"none", 0, 0, "none"},
                {"20000 rows/s", 20000, 0, "20000 rows/s"},
                {"5rows/s", 5, 0, "5 rows/s"},
                {"50 MiB/s", 0, 50ull << 20, "50MiB/s"},
                {"1.5MB/s", 0, 1500000, "1500000B/s"}};
    static const char *const bad[] = {"", "20000", "0 rows/s", "5 rows", "50 MiB", "50 MiB/h", "-1 rows/s"};
    uint64_t rows, bytes;
    char text[MM_VALUE_TEXT];
    for (size_t i = 0; i < MM_COUNT(good); i++) {
        assert_true(mm_value_rate(good[i].text, &rows, &bytes));
        assert_int_equal(rows, good[i].rows);
        assert_int_equal(bytes, good[i].bytes);
        mm_value_rate_text(rows, bytes, text);
        assert_string_equal(text, good[i].canonical);
        assert_true(mm_value_rate(text, &rows, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < MM_COUNT(bad); i++)
        assert_false(mm_value_rate(bad[i], &rows, &bytes));
}

static void numbers_and_truth_are_read(void **state)
{
    (void)state;
    int64_t number;
    uint64_t count;
    bool truth;
    assert_true(mm_value_int("-9223372036854775808", &number));
    assert_true(number == INT64_MIN);
    assert_true(mm_value_int("+1_000_000", &number));
    assert_int_equal(number, 1000000);
    assert_false(mm_value_int("9223372036854775808", &number));
    assert_false(mm_value_int("1.0", &number));
    assert_false(mm_value_int("", &number));
    assert_false(mm_value_int("--1", &number));
    assert_false(mm_value_count("-1", &count));
    assert_true(mm_value_bool("Yes", &truth));
    assert_true(truth);
    assert_true(mm_value_bool("off", &truth));
    assert_false(truth);
    assert_false(mm_value_bool("1", &truth));
}

static const mm_option table[] = {
    {.name = "text", .type = MM_OPT_STRING, .help = "h"},
    {.name = "flag", .type = MM_OPT_BOOL, .default_value = "false", .help = "h"},
    {.name = "number", .type = MM_OPT_INT, .default_value = "7", .choices = "1..10", .help = "h"},
    {.name = "size", .type = MM_OPT_SIZE, .default_value = "64MiB", .choices = "1MiB..", .help = "h"},
    {.name = "time", .type = MM_OPT_DURATION, .default_value = "30s", .help = "h"},
    {.name = "mode", .type = MM_OPT_ENUM, .choices = "fast|slow", .default_value = "fast", .help = "h"},
    {.name = "path", .type = MM_OPT_PATH, .help = "h"},
    {.name = "list", .type = MM_OPT_LIST, .default_value = "one", .help = "h"},
    {.name = "paths", .type = MM_OPT_PATHS, .help = "h"},
    {.name = "endpoint", .type = MM_OPT_ENDPOINT, .help = "h"},
    {.name = "count", .type = MM_OPT_COUNT, .default_value = "0", .help = "h"},
    {.name = "rate", .type = MM_OPT_RATE, .default_value = "none", .help = "h"},
    {.name = "token", .type = MM_OPT_STRING, .secret = true, .help = "h"},
};

static mm_options *make(const char *const *pairs)
{
    mm_error err = MM_ERROR_INIT;
    mm_options *options = NULL;
    if (mm_options_make(table, MM_COUNT(table), pairs, &options, &err) != MM_OK)
        fail_msg("%s", err.text);
    return options;
}

static void defaults_stand_where_nothing_is_given(void **state)
{
    (void)state;
    const char *const *items;
    mm_options *options = make(NULL);
    assert_null(mm_options_str(options, "text"));
    assert_false(mm_options_bool(options, "flag"));
    assert_int_equal(mm_options_int(options, "number"), 7);
    assert_int_equal(mm_options_size(options, "size"), 64 << 20);
    assert_int_equal(mm_options_ms(options, "time"), 30000);
    assert_string_equal(mm_options_str(options, "mode"), "fast");
    assert_int_equal(mm_options_list(options, "list", &items), 1);
    assert_string_equal(items[0], "one");
    assert_int_equal(mm_options_size(options, "count"), 0);
    assert_string_equal(mm_options_str(options, "rate"), "none");
    assert_null(mm_options_str(options, "token"));
    assert_false(mm_options_given(options, "number"));
    mm_options_free(options);
}

static void given_values_are_typed_and_canonical(void **state)
{
    (void)state;
    static const char *const pairs[] = {"text=a=b", "flag=On", "number=10", "size=1GiB", "time=1h30m",
                                        "mode=SLOW", "path=/x/y", "paths=/a/b", "list=z", "endpoint=host:1",
                                        "count=none", "rate=5 rows/s", "token=tok-en", NULL};
    mm_options *options = make(pairs);
    const char *const *paths;
    assert_int_equal(mm_options_list(options, "paths", &paths), 1);
    assert_string_equal(paths[0], "/a/b");
    assert_string_equal(mm_options_str(options, "text"), "a=b");
    assert_true(mm_options_bool(options, "flag"));
    assert_int_equal(mm_options_int(options, "number"), 10);
    assert_int_equal(mm_options_size(options, "size"), 1 << 30);
    assert_int_equal(mm_options_ms(options, "time"), 5400000);
    assert_string_equal(mm_options_str(options, "mode"), "slow");
    assert_string_equal(mm_options_str(options, "path"), "/x/y");
    assert_string_equal(mm_options_str(options, "endpoint"), "host:1");
    assert_true(mm_options_size(options, "count") == UINT64_MAX);
    assert_string_equal(mm_options_str(options, "token"), "tok-en");
    assert_true(mm_options_given(options, "number"));
    mm_options_free(options);
}

static void wrong_values_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"flag=maybe", "`flag` is true or false, not `maybe`"},
        {"number=11", "`number` is a whole number in the range 1..10, not `11`"},
        {"number=x", "`number` is a whole number in the range 1..10, not `x`"},
        {"size=5", "`size` is a size such as 64MiB, 1GB or 4096 of at least 1MiB, not `5`"},
        {"time=30", "`time` is a duration such as"},
        {"mode=slwo", "`mode` is one of fast or slow, not `slwo` (did you mean `slow`?)"},
        {"path=", "`path` is a path, not ``"},
        {"endpoint=", "`endpoint` is an address"},
        {"count=-1", "`count` is a number from 0 on, or none"},
        {"rate=5", "`rate` is none, or a rate"},
        {"nmuber=5", "unknown key `nmuber` in options (did you mean `number`?)"},
        {"tokn_file=5", "unknown key `tokn_file` in options (did you mean `token_file`?)"},
        {"nonsense", "`nonsense` is not name=value"},
    };
    for (size_t i = 0; i < MM_COUNT(cases); i++) {
        mm_error err = MM_ERROR_INIT;
        mm_options *options = NULL;
        const char *pairs[] = {cases[i][0], NULL};
        assert_int_equal(mm_options_make(table, MM_COUNT(table), pairs, &options, &err), MM_CONFIG);
        assert_null(options);
        if (strstr(err.text, cases[i][1]) == NULL)
            fail_msg("%s: wanted \"%s\", got \"%s\"", cases[i][0], cases[i][1], err.text);
    }
}

static void expect_fault(const mm_option *faulty, size_t count, const char *expected)
{
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_options_check_table(faulty, count, &err), MM_BUG);
    if (strstr(err.text, expected) == NULL)
        fail_msg("wanted \"%s\", got \"%s\"", expected, err.text);
}

static void a_faulty_table_is_found(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    static const mm_option twice[] = {{.name = "a", .type = MM_OPT_STRING, .help = "h"},
                                      {.name = "a", .type = MM_OPT_STRING, .help = "h"}};
    static const mm_option clash[] = {{.name = "t", .type = MM_OPT_STRING, .help = "h", .secret = true},
                                      {.name = "t_file", .type = MM_OPT_PATH, .help = "h"}};
    static const mm_option no_name[] = {{.type = MM_OPT_STRING, .help = "h"}};
    static const mm_option no_help[] = {{.name = "a", .type = MM_OPT_STRING}};
    static const mm_option no_choice[] = {{.name = "a", .type = MM_OPT_ENUM, .help = "h"}};
    static const mm_option no_range[] = {{.name = "a", .type = MM_OPT_INT, .help = "h", .choices = "5"}};
    static const mm_option open_secret[] = {
        {.name = "a", .type = MM_OPT_STRING, .help = "h", .secret = true, .default_value = "x"}};
    static const mm_option secret_int[] = {{.name = "a", .type = MM_OPT_INT, .help = "h", .secret = true}};
    static const mm_option idle[] = {
        {.name = "a", .type = MM_OPT_STRING, .help = "h", .required = true, .default_value = "x"}};
    static const mm_option bad_default[] = {
        {.name = "a", .type = MM_OPT_INT, .help = "h", .default_value = "x"}};
    assert_int_equal(mm_options_check_table(table, MM_COUNT(table), &err), MM_OK);
    expect_fault(twice, 2, "options a and a clash");
    expect_fault(clash, 2, "options t and t_file clash");
    expect_fault(no_name, 1, "option 0 has no name");
    expect_fault(no_help, 1, "option a has no help");
    expect_fault(no_choice, 1, "ENUM without choices");
    expect_fault(no_range, 1, "choices that are no range");
    expect_fault(open_secret, 1, "secret with a default");
    expect_fault(secret_int, 1, "secret and no STRING");
    expect_fault(idle, 1, "required and has a default");
    expect_fault(bad_default, 1, "a default does not fit");
}

static void the_job_files_own_tables_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < MM_SECTION_COUNT; i++) {
        mm_error err = MM_ERROR_INIT;
        const mm_job_section *section = &mm_job_sections[i];
        assert_non_null(section->table);
        if (mm_options_check_table(section->table, section->count, &err) != MM_OK)
            fail_msg("%s: %s", section->name, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read_and_written),
        cmocka_unit_test(durations_are_read_and_written),
        cmocka_unit_test(rates_are_read_and_written),
        cmocka_unit_test(numbers_and_truth_are_read),
        cmocka_unit_test(defaults_stand_where_nothing_is_given),
        cmocka_unit_test(given_values_are_typed_and_canonical),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(a_faulty_table_is_found),
        cmocka_unit_test(the_job_files_own_tables_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
