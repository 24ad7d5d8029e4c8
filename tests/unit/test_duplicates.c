/* The search for duplicate primary keys against an oracle that sorts everything, in memory and with
 * budgets that force files and repeated splitting; and the lists of rows to leave out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "run/duplicates.h"

#define BATCH 777

/* Keys in plan order, cut into tasks. */
typedef struct input {
    size_t count, tasks;
    int64_t *keys;
    size_t *task_of; /* per key: index of its task */
    size_t *row_of;  /* per key: ordinal in its extent */
    bool text;       /* the number written out is the key */
} input;

static void *must(void *pointer)
{
    assert_non_null(pointer);
    return pointer;
}

static input make_input(size_t count, size_t tasks, bool text)
{
    input in = {.count = count, .tasks = tasks, .text = text};
    in.keys = must(calloc(count + 1, sizeof *in.keys));
    in.task_of = must(calloc(count + 1, sizeof *in.task_of));
    in.row_of = must(calloc(count + 1, sizeof *in.row_of));
    for (size_t i = 0; i < count; i++) {
        in.task_of[i] = i * tasks / count;
        in.row_of[i] = i > 0 && in.task_of[i] == in.task_of[i - 1] ? in.row_of[i - 1] + 1 : 0;
    }
    return in;
}

static void free_input(input *in)
{
    free(in->keys);
    free(in->task_of);
    free(in->row_of);
}

/* Tasks have numbers that are not their index. */
static uint64_t task_number(size_t index)
{
    return 100 + 3 * index;
}

static mm_schema *key_schema(bool text)
{
    static mm_field fields[2] = {{.name = "id", .type = MM_TYPE_INT64, .primary = true},
                                 {.name = "id", .type = MM_TYPE_VARCHAR, .primary = true}};
    static mm_schema schemas[2] = {{.fields = &fields[0], .field_count = 1},
                                   {.fields = &fields[1], .field_count = 1}};
    return &schemas[text];
}

/* One batch of keys [from, to), all of one task. */
static void fill_batch(const input *in, size_t from, size_t to, mm_batch *batch)
{
    mm_error err;
    mm_batch_reset(batch);
    assert_int_equal(mm_batch_begin(batch, key_schema(in->text), to - from, &err), MM_OK);
    mm_column *column = &batch->columns[0];
    batch->rows = to - from;
    batch->first_row = in->row_of[from];
    batch->end.row = in->row_of[from] + batch->rows;
    if (!in->text) {
        memcpy(column->values, in->keys + from, batch->rows * sizeof *in->keys);
        return;
    }
    column->values = must(mm_arena_alloc(&batch->arena, batch->rows * 24));
    uint64_t at = 0;
    for (size_t i = from; i < to; i++) {
        at += (uint64_t)snprintf((char *)column->values + at, 24, "%lld", (long long)in->keys[i]);
        column->offsets[i - from + 1] = at;
    }
}

static void feed(mm_duplicate_finder *finder, const input *in)
{
    mm_batch batch = {0};
    mm_error err;
    for (size_t from = 0, to; from < in->count; from = to) {
        for (to = from; to < in->count && to - from < BATCH; to++)
            if (in->task_of[to] != in->task_of[from])
                break;
        fill_batch(in, from, to, &batch);
        if (mm_duplicates_add(finder, task_number(in->task_of[from]), &batch, &err) != MM_OK)
            fail_msg("%s", err.text);
    }
    mm_batch_free(&batch);
}

/* ---- the oracle ---- */

typedef struct verdict {
    uint64_t duplicates;
    uint8_t *later, *drop; /* per key: stands on an earlier row too; is to be left out */
    size_t *earlier;       /* per key: index of the row before it with the same key */
} verdict;

static const int64_t *sort_keys;

static int by_key_and_place(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    if (sort_keys[x] != sort_keys[y])
        return sort_keys[x] < sort_keys[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

static verdict judge(const input *in, mm_duplicates policy)
{
    verdict v = {0, must(calloc(in->count + 1, 1)), must(calloc(in->count + 1, 1)),
                 must(calloc(in->count + 1, sizeof *v.earlier))};
    size_t *order = must(calloc(in->count + 1, sizeof *order));
    for (size_t i = 0; i < in->count; i++)
        order[i] = i;
    sort_keys = in->keys;
    if (in->count > 1)
        qsort(order, in->count, sizeof *order, by_key_and_place);
    for (size_t i = 1; i < in->count; i++) {
        if (in->keys[order[i]] != in->keys[order[i - 1]])
            continue;
        v.duplicates++;
        v.later[order[i]] = 1;
        v.earlier[order[i]] = order[i - 1];
        v.drop[order[policy == MM_DUP_FIRST ? i : i - 1]] = 1;
    }
    free(order);
    return v;
}

static void free_verdict(verdict *v)
{
    free(v->later);
    free(v->drop);
    free(v->earlier);
}

/* ---- comparing ---- */

typedef struct collected {
    const input *in;
    const verdict *wanted;
    size_t next; /* index of the first key that no list has passed */
} collected;

static mm_status collect(void *context, uint64_t task, const void *blob, size_t size, uint64_t rows,
                         mm_error *err)
{
    (void)err;
    collected *c = context;
    mm_thin_reader reader = mm_thin_open(blob, size);
    uint64_t row, seen = 0;
    while (mm_thin_next(&reader, 0, &row)) {
        while (c->next < c->in->count && !c->wanted->drop[c->next])
            c->next++;
        assert_true(c->next < c->in->count);
        assert_int_equal(task_number(c->in->task_of[c->next]), task);
        assert_int_equal(c->in->row_of[c->next], row);
        c->next++;
        seen++;
    }
    assert_false(reader.damaged);
    assert_int_equal(seen, rows);
    return MM_OK;
}

static void check_examples(const input *in, const verdict *wanted, mm_duplicates policy,
                           const mm_duplicates_result *result)
{
    size_t count = 0;
    for (size_t i = 0; i < in->count && count < MM_DUPLICATES_EXAMPLES; i++) {
        if (!wanted->later[i])
            continue;
        const mm_duplicate *example = &result->examples[count++];
        assert_int_equal(example->task, task_number(in->task_of[i]));
        assert_int_equal(example->row, in->row_of[i]);
        if (!in->text)
            assert_true(example->key == in->keys[i]);
        size_t earlier = wanted->earlier[i];
        while (policy != MM_DUP_LAST && wanted->later[earlier])
            earlier = wanted->earlier[earlier];
        assert_int_equal(example->earlier_task, task_number(in->task_of[earlier]));
        assert_int_equal(example->earlier_row, in->row_of[earlier]);
    }
    assert_int_equal(result->example_count, count);
}

static void check_policy(const input *in, size_t memory, mm_duplicates policy)
{
    const char *tmp = getenv("TMPDIR");
    mm_duplicates_args args = {.memory = memory, .dir = tmp ? tmp : "/tmp", .integer = !in->text,
                               .policy = policy};
    mm_duplicate_finder *finder;
    mm_duplicates_result result;
    mm_error err = MM_ERROR_INIT;
    verdict wanted = judge(in, policy);
    assert_int_equal(mm_duplicates_open(&args, &finder, &err), MM_OK);
    feed(finder, in);
    if (mm_duplicates_finish(finder, &result, &err) != MM_OK)
        fail_msg("%s", err.text);
    assert_int_equal(result.rows, in->count);
    assert_int_equal(result.duplicates, wanted.duplicates);
    check_examples(in, &wanted, policy, &result);
    collected c = {in, &wanted, 0};
    assert_int_equal(mm_duplicates_thin(finder, collect, &c, &err), MM_OK);
    if (policy == MM_DUP_REFUSE)
        assert_int_equal(c.next, 0);
    else
        for (; c.next < in->count; c.next++)
            assert_false(wanted.drop[c.next]);
    mm_duplicates_close(finder);
    free_verdict(&wanted);
}

static void check(const input *in, size_t memory)
{
    check_policy(in, memory, MM_DUP_REFUSE);
    check_policy(in, memory, MM_DUP_FIRST);
    check_policy(in, memory, MM_DUP_LAST);
}

/* Keys from a range of `distinct` values around zero, the extremes among them. */
static void random_keys(input *in, uint64_t seed, uint64_t distinct)
{
    for (size_t i = 0; i < in->count; i++) {
        uint64_t pick = mm_random_next(&seed) % distinct;
        in->keys[i] = pick == 0   ? INT64_MIN
                      : pick == 1 ? INT64_MAX
                                  : (int64_t)pick - (int64_t)(distinct / 2);
    }
}

#define SMALL MM_DUPLICATES_MEMORY_MIN
#define LARGE ((size_t)64 << 20)

static void no_rows_and_one_row_have_no_duplicates(void **state)
{
    (void)state;
    for (size_t count = 0; count < 2; count++) {
        input in = make_input(count, 1, false);
        check(&in, SMALL);
        free_input(&in);
    }
}

static void random_integers_agree_with_the_oracle_in_memory_and_spilled(void **state)
{
    (void)state;
    const uint64_t distinct[] = {1, 2, 100, 30000, 1000000, 1ull << 40};
    for (size_t i = 0; i < MM_COUNT(distinct); i++) {
        input in = make_input(60000, 17, false);
        random_keys(&in, i, distinct[i]);
        check(&in, LARGE);
        check(&in, SMALL);
        free_input(&in);
    }
}

static void random_texts_agree_with_the_oracle_in_memory_and_spilled(void **state)
{
    (void)state;
    const uint64_t distinct[] = {1, 500, 50000, 1ull << 40};
    for (size_t i = 0; i < MM_COUNT(distinct); i++) {
        input in = make_input(40000, 5, true);
        random_keys(&in, i, distinct[i]);
        check(&in, LARGE);
        check(&in, SMALL);
        free_input(&in);
    }
}

static void many_more_keys_than_memory_agree_with_the_oracle(void **state)
{
    (void)state;
    input in = make_input(700000, 300, false);
    random_keys(&in, 99, 600000);
    check(&in, SMALL);
    free_input(&in);
}

static void ascending_keys_have_no_duplicates(void **state)
{
    (void)state;
    input in = make_input(100000, 10, false);
    for (size_t i = 0; i < in.count; i++)
        in.keys[i] = (int64_t)i - 50000;
    check(&in, SMALL);
    free_input(&in);
}

static void a_key_only_at_both_ends_is_found(void **state)
{
    (void)state;
    input in = make_input(200000, 40, false);
    for (size_t i = 0; i < in.count; i++)
        in.keys[i] = (int64_t)(i * 7919);
    in.keys[in.count - 1] = in.keys[0] = INT64_MIN;
    check(&in, SMALL);
    free_input(&in);
}

static void every_task_may_lose_all_its_rows(void **state)
{
    (void)state;
    input in = make_input(30000, 3, false);
    for (size_t i = 0; i < in.count; i++)
        in.keys[i] = (int64_t)(i % 10000);
    check(&in, SMALL);
    free_input(&in);
}

static void as_many_tasks_as_rows_are_told_apart(void **state)
{
    (void)state;
    input in = make_input(5000, 5000, false);
    random_keys(&in, 4, 900);
    check(&in, SMALL);
    free_input(&in);
}

static void rows_that_a_source_left_out_keep_their_ordinals(void **state)
{
    (void)state;
    mm_duplicates_args args = {.dir = "/tmp", .integer = true, .policy = MM_DUP_FIRST};
    mm_duplicate_finder *finder;
    mm_duplicates_result result;
    mm_error err = MM_ERROR_INIT;
    mm_batch batch = {0};
    int64_t keys[] = {5, 6, 5};
    uint32_t ordinals[] = {2, 5, 7};
    uint8_t validity = 0x7;
    assert_int_equal(mm_duplicates_open(&args, &finder, &err), MM_OK);
    for (uint64_t first = 0; first < 20; first += 10) {
        assert_int_equal(mm_batch_begin(&batch, key_schema(false), 3, &err), MM_OK);
        memcpy(batch.columns[0].values, keys, sizeof keys);
        batch.columns[0].validity = &validity;
        batch.rows = 3;
        batch.ordinals = ordinals;
        batch.first_row = first;
        batch.end.row = first + 10;
        assert_int_equal(mm_duplicates_add(finder, 1, &batch, &err), MM_OK);
        validity = 0x2; /* in the second batch only the key 6 is there */
        mm_batch_reset(&batch);
    }
    mm_batch_free(&batch);
    assert_int_equal(mm_duplicates_finish(finder, &result, &err), MM_OK);
    assert_int_equal(result.rows, 4);
    assert_int_equal(result.duplicates, 2);
    assert_int_equal(result.examples[0].row, 7);
    assert_int_equal(result.examples[0].earlier_row, 2);
    assert_int_equal(result.examples[1].row, 15);
    assert_int_equal(result.examples[1].earlier_row, 5);
    assert_int_equal(result.examples[1].key, 6);
    mm_duplicates_close(finder);
}

static void a_key_of_another_type_is_refused(void **state)
{
    (void)state;
    mm_duplicates_args args = {.dir = "/tmp", .integer = false};
    mm_duplicate_finder *finder;
    mm_error err = MM_ERROR_INIT;
    mm_batch batch = {0};
    input in = make_input(1, 1, false);
    fill_batch(&in, 0, 1, &batch);
    assert_int_equal(mm_duplicates_open(&args, &finder, &err), MM_OK);
    assert_int_equal(mm_duplicates_add(finder, 1, &batch, &err), MM_BUG);
    mm_duplicates_close(finder);
    mm_batch_free(&batch);
    free_input(&in);
}

static void a_folder_that_cannot_be_written_is_told(void **state)
{
    (void)state;
    mm_duplicates_args args = {.dir = "/nonexistent/folder", .integer = true};
    mm_duplicate_finder *finder;
    mm_error err = MM_ERROR_INIT;
    mm_batch batch = {0};
    input in = make_input(20000, 1, false);
    random_keys(&in, 1, 1ull << 40);
    assert_int_equal(mm_duplicates_open(&args, &finder, &err), MM_OK);
    fill_batch(&in, 0, in.count, &batch);
    assert_int_equal(mm_duplicates_add(finder, 1, &batch, &err), MM_IO);
    mm_duplicates_close(finder);
    mm_batch_free(&batch);
    free_input(&in);
}

static mm_status refuse(void *context, uint64_t task, const void *blob, size_t size, uint64_t rows,
                        mm_error *err)
{
    (void)task;
    (void)blob;
    (void)size;
    (void)rows;
    ++*(int *)context;
    return mm_error_set(err, MM_CANCELLED, "no more");
}

static void a_callback_that_refuses_ends_the_thinning(void **state)
{
    (void)state;
    mm_duplicates_args args = {.dir = "/tmp", .integer = true, .policy = MM_DUP_LAST};
    mm_duplicate_finder *finder;
    mm_duplicates_result result;
    mm_error err = MM_ERROR_INIT;
    int calls = 0;
    input in = make_input(5000, 7, false);
    random_keys(&in, 2, 100);
    assert_int_equal(mm_duplicates_open(&args, &finder, &err), MM_OK);
    feed(finder, &in);
    assert_int_equal(mm_duplicates_finish(finder, &result, &err), MM_OK);
    assert_int_equal(mm_duplicates_thin(finder, refuse, &calls, &err), MM_CANCELLED);
    assert_int_equal(calls, 1);
    mm_duplicates_close(finder);
    free_input(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rows_and_one_row_have_no_duplicates),
        cmocka_unit_test(random_integers_agree_with_the_oracle_in_memory_and_spilled),
        cmocka_unit_test(random_texts_agree_with_the_oracle_in_memory_and_spilled),
        cmocka_unit_test(many_more_keys_than_memory_agree_with_the_oracle),
        cmocka_unit_test(ascending_keys_have_no_duplicates),
        cmocka_unit_test(a_key_only_at_both_ends_is_found),
        cmocka_unit_test(every_task_may_lose_all_its_rows),
        cmocka_unit_test(as_many_tasks_as_rows_are_told_apart),
        cmocka_unit_test(rows_that_a_source_left_out_keep_their_ordinals),
        cmocka_unit_test(a_key_of_another_type_is_refused),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_told),
        cmocka_unit_test(a_callback_that_refuses_ends_the_thinning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
