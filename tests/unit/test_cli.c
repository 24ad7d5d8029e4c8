/* The parser of the command line and the texts made from a command table, on a small table of the
 * test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"

static mm_status nothing(const mm_cli_args *args, mm_error *err)
{
    (void)args;
    (void)err;
    return MM_OK;
}

static const mm_cli_option globals[] = {
    {.name = "config", .letter = 'c', .kind = MM_CLI_VALUE, .value = "FILE", .help = "the file"},
    {.name = "format", .kind = MM_CLI_VALUE, .value = "FORMAT", .choices = "text|json", .help = "the form"},
    {.name = "verbose", .letter = 'v', .help = "more words"},
    {.name = "quiet", .letter = 'q', .help = "fewer words"},
    {.name = "help", .letter = 'h', .help = "help"},
};
static const mm_cli_option go_options[] = {
    {.name = "set", .letter = 's', .kind = MM_CLI_LIST, .value = "KEY=VALUE", .help = "override"},
    {.name = "or-resume", .help = "go on"},
};
static const mm_cli_example go_examples[] = {{"tool go x", "it goes"}};
static const mm_command commands[] = {
    {.name = "go", .alias = "start", .operand = "[FILE]", .operands_max = 1, .options = go_options,
     .option_count = MM_COUNT(go_options), .examples = go_examples, .example_count = 1,
     .summary = "make it go", .help = "First part.\n\n.second part with a-hyphen.", .run = nothing},
    {.name = "look", .operand = "JOB", .operands_min = 1, .operands_max = 2, .summary = "look at it",
     .help = "Looks.", .run = nothing},
};
static const mm_cli_table table = {commands, MM_COUNT(commands), globals, MM_COUNT(globals)};

#define MOST 16

static mm_status parse(const char *line, mm_cli_args *args, mm_error *err)
{
    static char copy[400];
    char *argv[MOST] = {copy};
    int argc = 1;
    snprintf(copy, sizeof(copy), "tool %s", line);
    char *rest = copy;
    strsep(&rest, " ");
    for (char *word; argc < MOST && (word = strsep(&rest, " ")) != NULL;) {
        if (*word)
            argv[argc++] = word;
    }
    return mm_cli_parse(&table, argc, argv, args, err);
}

/* Command, operands and values as one line of text. */
static void expect(const char *line, const char *expected)
{
    mm_error err = MM_ERROR_INIT;
    mm_cli_args args;
    mm_buffer out = MM_BUFFER_INIT;
    if (parse(line, &args, &err) != MM_OK)
        fail_msg("%s: %s", line, err.text);
    mm_buffer_printf(&out, "%s", args.command ? args.command->name : "-");
    for (size_t i = 0; i < args.operand_count; i++)
        mm_buffer_printf(&out, " [%s]", args.operands[i]);
    for (size_t i = 0; i < args.value_count; i++)
        mm_buffer_printf(&out, " %s%s%s", args.values[i].option->name, args.values[i].text ? "=" : "",
                         args.values[i].text ? args.values[i].text : "");
    mm_buffer_append(&out, "", 1);
    assert_string_equal(out.data, expected);
    mm_buffer_free(&out);
    mm_cli_args_free(&args);
}

static void expect_refusal(const char *line, const char *expected)
{
    mm_error err = MM_ERROR_INIT;
    mm_cli_args args;
    assert_int_equal(parse(line, &args, &err), MM_USAGE);
    assert_string_equal(err.text, expected);
    mm_cli_args_free(&args);
}

static void lines_are_read_as_gnu_reads_them(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "-"},
        {"go", "go"},
        {"start", "go"},
        {"go x", "go [x]"},
        {"go --set a=b x --set=c=d", "go [x] set=a=b set=c=d"},
        {"go -s a -sb", "go set=a set=b"},
        {"go -qv", "go quiet verbose"},
        {"go -qvs a", "go quiet verbose set=a"},
        {"go -qvsa", "go quiet verbose set=a"},
        {"-v go", "go verbose"},
        {"--config f go", "go config=f"},
        {"-cf go", "go config=f"},
        {"go --format=json", "go format=json"},
        {"go --set=", "go set="},
        {"go --set --or-resume", "go set=--or-resume"},
        {"go -- -x", "go [-x]"},
        {"go -", "go [-]"},
        {"look a b", "look [a] [b]"},
        {"look -c f", "look config=f"},
        {"look --help", "look help"},
        {"--help", "- help"},
    };
    for (size_t i = 0; i < MM_COUNT(cases); i++)
        expect(cases[i][0], cases[i][1]);
}

static void wrong_lines_are_refused_with_the_nearest_word(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"goo", "there is no command goo (did you mean go?)"},
        {"xyzzy", "there is no command xyzzy"},
        {"go --or-resme", "unknown option --or-resme of go (did you mean --or-resume?)"},
        {"go --sett=a", "unknown option --sett of go (did you mean --set?)"},
        {"go -x", "unknown option -x of go"},
        {"go -qx", "unknown option -x of go"},
        {"--set a go", "unknown option --set"},
        {"look j --or-resume", "unknown option --or-resume of look"},
        {"go --set", "--set needs a value: --set KEY=VALUE"},
        {"go -c", "--config needs a value: --config FILE"},
        {"go --verbose=1", "--verbose takes no value"},
        {"go --format xml", "--format is one of text|json, not xml"},
        {"go --format tex", "--format is one of text|json, not tex"},
        {"go a b", "go: one operand too many: b"},
        {"look", "look needs JOB"},
    };
    for (size_t i = 0; i < MM_COUNT(cases); i++)
        expect_refusal(cases[i][0], cases[i][1]);
}

static void the_last_value_of_an_option_counts(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_cli_args args;
    assert_int_equal(parse("go --config a --config b", &args, &err), MM_OK);
    assert_string_equal(mm_cli_text(&args, "config"), "b");
    assert_null(mm_cli_text(&args, "format"));
    assert_false(mm_cli_flag(&args, "verbose"));
    assert_true(mm_cli_flag(&args, "config"));
    mm_cli_args_free(&args);
}

static void contains(const mm_buffer *out, const char *text)
{
    assert_false(out->failed);
    if (memmem(out->data, out->size, text, strlen(text)) == NULL)
        fail_msg("\"%s\" is not in:\n%.*s", text, (int)out->size, out->data);
}

static void help_names_options_and_examples(void **state)
{
    (void)state;
    mm_buffer out = MM_BUFFER_INIT;
    mm_help_command(&table, &commands[0], &out);
    contains(&out, "Usage: mmresume go [OPTION…] [FILE]\nAlias: mmresume start\n\nFirst part.\n\n");
    contains(&out, "  -s, --set KEY=VALUE     override\n");
    contains(&out, "      --or-resume         go on\n");
    contains(&out, "  -c, --config FILE       the file\n");
    contains(&out, "  tool go x\n      it goes\n");
    mm_buffer_free(&out);
}

static void the_overview_names_commands_and_exit_codes(void **state)
{
    (void)state;
    mm_buffer out = MM_BUFFER_INIT;
    mm_help_overview(&table, &out);
    contains(&out, "  go [FILE]               make it go\n");
    contains(&out, "   2  wrong command line\n");
    contains(&out, "  75  interrupted, resumable\n");
    mm_buffer_free(&out);
}

static void no_line_of_help_is_wider_than_a_terminal(void **state)
{
    (void)state;
    mm_buffer out = MM_BUFFER_INIT;
    mm_help_overview(&table, &out);
    size_t width = 0;
    for (size_t i = 0; i < out.size; i++) {
        width = out.data[i] == '\n' ? 0 : width + ((out.data[i] & 0xC0) != 0x80);
        assert_true(width <= 80);
    }
    mm_buffer_free(&out);
}

static void text_is_wrapped_at_words(void **state)
{
    (void)state;
    mm_buffer out = MM_BUFFER_INIT;
    mm_help_wrap(&out, "aaa bbb", 76, 2);
    mm_help_wrap(&out, "", 0, 2);
    mm_buffer_append(&out, "", 1);
    assert_string_equal(out.data, "aaa\n  bbb\n\n");
    mm_buffer_free(&out);
}

static void the_manual_escapes_what_roff_would_read(void **state)
{
    (void)state;
    mm_buffer out = MM_BUFFER_INIT;
    mm_manual(&table, &out);
    contains(&out, ".TH MMRESUME 1");
    contains(&out, "\n.PP\n\\&.second part with a\\-hyphen.");
    mm_buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_as_gnu_reads_them),
        cmocka_unit_test(wrong_lines_are_refused_with_the_nearest_word),
        cmocka_unit_test(the_last_value_of_an_option_counts),
        cmocka_unit_test(help_names_options_and_examples),
        cmocka_unit_test(the_overview_names_commands_and_exit_codes),
        cmocka_unit_test(no_line_of_help_is_wider_than_a_terminal),
        cmocka_unit_test(text_is_wrapped_at_words),
        cmocka_unit_test(the_manual_escapes_what_roff_would_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
