/* The node tree: what YAML is accepted, and where each refusal points. Environment and --set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/node.h"

static mm_node *parse(mm_arena *arena, const char *text)
{
    mm_error err = MM_ERROR_INIT;
    mm_node *root = NULL;
    if (mm_yaml_parse(arena, text, strlen(text), "f", &root, &err) != MM_OK)
        fail_msg("%s", err.text);
    return root;
}

static void expect_error(const char *text, const char *expected)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_node *root = NULL;
    assert_int_equal(mm_yaml_parse(&arena, text, strlen(text), "f", &root, &err), MM_CONFIG);
    if (strncmp(err.text, expected, strlen(expected)) != 0)
        fail_msg("wanted \"%s…\", got \"%s\"", expected, err.text);
    assert_null(root);
    mm_arena_free(&arena);
}

static void a_tree_knows_the_place_of_every_node(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    mm_node *root = parse(&arena, "a: 1\nb:\n  - x\n  - {c: 'q q'}\n");
    mm_node *list = mm_node_get(root, "b");
    mm_node *c = mm_node_get(list->items[1], "c");
    assert_int_equal(root->kind, MM_NODE_MAP);
    assert_string_equal(mm_node_get(root, "a")->text, "1");
    assert_true(mm_node_get(root, "a")->plain);
    assert_int_equal(list->count, 2);
    assert_string_equal(c->text, "q q");
    assert_false(c->plain);
    assert_int_equal(c->line, 4);
    assert_int_equal(c->column, 9);
    assert_null(mm_node_get(root, "z"));
    mm_arena_free(&arena);
}

static void columns_count_characters_and_spans_count_bytes(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    const char *text = "\"äö\": \"ü\"  # x\n";
    mm_node *value = parse(&arena, text)->items[0];
    assert_int_equal(value->column, 7);
    assert_int_equal(value->start, 8);
    assert_int_equal(value->end, 12);
    assert_memory_equal(text + value->start, "\"ü\"", 4);
    mm_arena_free(&arena);
}

static void the_span_of_an_anchored_value_leaves_the_anchor_out(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    const char *text = "a: &x !!str secret\nb: *x\n";
    mm_node *root = parse(&arena, text);
    mm_node *b = mm_node_get(root, "b");
    assert_string_equal(b->text, "secret");
    assert_memory_equal(text + b->start, "secret", b->end - b->start);
    assert_int_equal(b->line, 1);
    mm_arena_free(&arena);
}

static void an_alias_is_a_copy(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_node *root = parse(&arena, "a: &x {k: 1}\nb: *x\n");
    assert_int_equal(mm_node_override(&arena, root, "b.k=2", &err), MM_OK);
    assert_string_equal(mm_node_get(mm_node_get(root, "a"), "k")->text, "1");
    assert_string_equal(mm_node_get(mm_node_get(root, "b"), "k")->text, "2");
    mm_arena_free(&arena);
}

static void malformed_yaml_is_refused_with_its_place(void **state)
{
    (void)state;
    expect_error("", "f:1:1: the file is empty");
    expect_error("# only a comment\n", "f:1:1: the file is empty");
    expect_error("---\n", "f:1:1: the file is empty");
    expect_error("a: 1\nb: 2\na: 3\n", "f:3:1: the key `a` stands here a second time (first at line 1)");
    expect_error("a:\n\tb: 1\n", "f:2:1: a tab stands here");
    expect_error("a: [1, 2\nb: 3\n", "f:2:");
    expect_error("a: 1\n---\nb: 2\n", "f:2:1: a second document begins here");
    expect_error("a: *nowhere\n", "f:1:4: no finished anchor `&nowhere`");
    expect_error("a: &x [*x]\n", "f:1:8: no finished anchor `&x`");
    expect_error("? [1]\n: 2\n", "f:1:3: a key must be a text");
    expect_error("x: &m {a: 1}\n*m : 2\n", "f:1:4: a key must be a text");
    expect_error("a: !mine 1\n", "f:1:4: a tag of its own");
    expect_error("a: \xff\n", "f:1:4: not a text in UTF-8");
    expect_error("a: 1\n\x01\n", "f:2:1: not a text in UTF-8");
    expect_error("a: \"\\0\"\n", "f:1:4: a text of a job file holds no NUL");
    expect_error("a: \"x\n", "f:2:1: ");
}

static void nesting_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    char text[2 * MM_YAML_DEPTH_MAX + 3];
    memset(text, '[', MM_YAML_DEPTH_MAX + 1);
    memset(text + MM_YAML_DEPTH_MAX + 1, ']', MM_YAML_DEPTH_MAX + 1);
    text[2 * MM_YAML_DEPTH_MAX + 2] = '\0';
    expect_error(text, "f:1:33: nested too deeply");
}

static void a_bomb_of_aliases_is_refused(void **state)
{
    (void)state;
    mm_buffer text = MM_BUFFER_INIT;
    mm_buffer_printf(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        mm_buffer_printf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 9; j++)
            mm_buffer_printf(&text, "%s*a%d", j ? ", " : "", i - 1);
        mm_buffer_printf(&text, "]\n");
    }
    mm_buffer_append(&text, "", 1);
    assert_false(text.failed);
    expect_error(text.data, "f:6:");
    mm_buffer_free(&text);
}

static void too_many_anchors_are_refused(void **state)
{
    (void)state;
    mm_buffer text = MM_BUFFER_INIT;
    for (int i = 0; i < 1001; i++)
        mm_buffer_printf(&text, "k%d: &a%d x\n", i, i);
    mm_buffer_append(&text, "", 1);
    assert_false(text.failed);
    expect_error(text.data, "f:1001:8: too many anchors");
    mm_buffer_free(&text);
}

static void a_file_beyond_the_size_limit_is_refused(void **state)
{
    (void)state;
    char *text = malloc(MM_YAML_BYTES_MAX + 2);
    assert_non_null(text);
    memset(text, ' ', MM_YAML_BYTES_MAX + 1);
    text[MM_YAML_BYTES_MAX + 1] = '\0';
    expect_error(text, "f: 1048577 bytes are too many");
    free(text);
}

static void null_is_an_unquoted_nothing(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    mm_node *root = parse(&arena, "a:\nb: ~\nc: null\nd: \"\"\ne: 'null'\n");
    for (size_t i = 0; i < root->count; i++)
        assert_int_equal(mm_node_is_null(root->items[i]), i < 3);
    mm_arena_free(&arena);
}

static void expect_expansion(const char *text, const char *expected)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    const char *out = NULL;
    assert_int_equal(mm_env_expand(&arena, text, &out, &err), MM_OK);
    assert_string_equal(out, expected);
    mm_arena_free(&arena);
}

static void expect_no_expansion(const char *text, const char *expected)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    const char *out = NULL;
    assert_int_equal(mm_env_expand(&arena, text, &out, &err), MM_CONFIG);
    assert_non_null(strstr(err.text, expected));
    assert_null(out);
    mm_arena_free(&arena);
}

static void the_environment_expands(void **state)
{
    (void)state;
    setenv("MM_T_ONE", "one", 1);
    setenv("MM_T_EMPTY", "", 1);
    setenv("MM_T_BYTES", "\xc0\x80", 1);
    unsetenv("MM_T_UNSET");
    expect_expansion("plain", "plain");
    expect_expansion("${MM_T_ONE}", "one");
    expect_expansion("a${MM_T_ONE}b${MM_T_ONE}", "aonebone");
    expect_expansion("${MM_T_UNSET:-two words}", "two words");
    expect_expansion("${MM_T_EMPTY:-x}", "x");
    expect_expansion("${MM_T_EMPTY}", "");
    expect_expansion("${MM_T_UNSET:-}", "");
    expect_expansion("$${MM_T_ONE}", "${MM_T_ONE}");
    expect_expansion("5$ and $x", "5$ and $x");
    expect_no_expansion("${MM_T_UNSET}", "the environment variable MM_T_UNSET is not set");
    expect_no_expansion("${MM_T_BYTES}", "MM_T_BYTES is no text in UTF-8");
    setenv("MM_T_BYTES", "a\xe2\x80", 1);
    expect_no_expansion("${MM_T_BYTES}", "MM_T_BYTES is no text in UTF-8");
    setenv("MM_T_BYTES", "a\xe2\x80\xa8", 1);
    expect_expansion("${MM_T_BYTES}", "a\xe2\x80\xa8");
    char *large = malloc((64 << 10) + 2);
    assert_non_null(large);
    memset(large, 'x', (64 << 10) + 1);
    large[(64 << 10) + 1] = '\0';
    setenv("MM_T_BYTES", large, 1);
    free(large);
    expect_no_expansion("${MM_T_BYTES}", "the text is too long after");
    expect_no_expansion("${MM_T_ONE", "malformed ${…}");
    expect_no_expansion("${}", "malformed ${…}");
    expect_no_expansion("${1A}", "malformed ${…}");
    expect_no_expansion("${MM_T_ONE-x}", "malformed ${…}");
}

static mm_node *override(mm_arena *arena, const char *text, const char *lines)
{
    mm_error err = MM_ERROR_INIT;
    mm_node *root = parse(arena, text);
    if (mm_node_override(arena, root, lines, &err) != MM_OK)
        fail_msg("%s", err.text);
    return root;
}

static void set_replaces_adds_and_appends(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    mm_node *root = override(&arena, "limits: {loaders: 4}\nlist: [a]\nempty:\n",
                             "limits.loaders=2\nlimits.rate=50 MiB/s\nlist.0=b\nlist.1=c\n"
                             "new.deep.0.key=v=w\nempty.x=1\nverify={sample: 7}\n\n");
    const mm_node *limits = mm_node_get(root, "limits"), *list = mm_node_get(root, "list");
    assert_string_equal(mm_node_get(limits, "loaders")->text, "2");
    assert_string_equal(mm_node_get(limits, "loaders")->origin, "limits.loaders");
    assert_string_equal(mm_node_get(limits, "rate")->text, "50 MiB/s");
    assert_string_equal(list->items[0]->text, "b");
    assert_string_equal(list->items[1]->text, "c");
    const mm_node *deep = mm_node_get(mm_node_get(root, "new"), "deep");
    assert_string_equal(mm_node_get(deep->items[0], "key")->text, "v=w");
    assert_string_equal(mm_node_get(mm_node_get(root, "empty"), "x")->text, "1");
    assert_string_equal(mm_node_get(mm_node_get(root, "verify"), "sample")->text, "7");
    assert_string_equal(mm_node_get(mm_node_get(root, "verify"), "sample")->origin, "verify");
    mm_arena_free(&arena);
}

static void expect_override_error(const char *lines, const char *expected)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_node *root = parse(&arena, "a: 1\nlist: [x]\n");
    assert_int_equal(mm_node_override(&arena, root, lines, &err), MM_CONFIG);
    if (strncmp(err.text, expected, strlen(expected)) != 0)
        fail_msg("wanted \"%s…\", got \"%s\"", expected, err.text);
    mm_arena_free(&arena);
}

static void a_malformed_set_is_refused(void **state)
{
    (void)state;
    expect_override_error("novalue", "--set: key=value is meant");
    expect_override_error("=x", "--set: key=value is meant");
    expect_override_error("a=\xff", "--set: not a text in UTF-8");
    expect_override_error("a..b=1", "--set a..b: malformed key");
    expect_override_error("a.b=1", "--set a.b: `b` lies inside a value that has no keys");
    expect_override_error("list.5=1", "--set list.5: `5` is no place in a list of 1");
    expect_override_error("list.x=1", "--set list.x: `x` is no place in a list of 1");
    expect_override_error("a={x: [}", "--set a: value:1:");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_knows_the_place_of_every_node),
        cmocka_unit_test(columns_count_characters_and_spans_count_bytes),
        cmocka_unit_test(the_span_of_an_anchored_value_leaves_the_anchor_out),
        cmocka_unit_test(an_alias_is_a_copy),
        cmocka_unit_test(malformed_yaml_is_refused_with_its_place),
        cmocka_unit_test(nesting_beyond_the_limit_is_refused),
        cmocka_unit_test(a_bomb_of_aliases_is_refused),
        cmocka_unit_test(too_many_anchors_are_refused),
        cmocka_unit_test(a_file_beyond_the_size_limit_is_refused),
        cmocka_unit_test(null_is_an_unquoted_nothing),
        cmocka_unit_test(the_environment_expands),
        cmocka_unit_test(set_replaces_adds_and_appends),
        cmocka_unit_test(a_malformed_set_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
