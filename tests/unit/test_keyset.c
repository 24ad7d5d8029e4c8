/* Sets of primary keys against what was put into them: in memory, and with a budget that forces files and several parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "run/keyset.h"

#define BATCH 1000

static mm_field number_field = {.name = "id", .type = MM_TYPE_INT64, .primary = true};
static mm_field text_field = {.name = "id", .type = MM_TYPE_VARCHAR, .primary = true};

/* The i-th key as its bytes. */
static size_t key_of(bool text, int64_t i, uint8_t out[32])
{
    int64_t number = i * 1000003 - 500;
    if (text)
        return (size_t)snprintf((char *)out, 32, "%s%lld", i == 7 ? "\\\"" : "", (long long)number);
    memcpy(out, &number, sizeof(number));
    return sizeof(number);
}

/* Keys first, first + 2, … of `count`. */
static void add(mm_keyset *set, bool text, int64_t first, int64_t count)
{
    mm_schema schema = {.fields = text ? &text_field : &number_field, .field_count = 1};
    mm_batch batch = {0};
    mm_error err = MM_ERROR_INIT;
    for (int64_t from = 0; from < count; from += BATCH) {
        int64_t rows = count - from < BATCH ? count - from : BATCH;
        mm_batch_reset(&batch);
        assert_int_equal(mm_batch_begin(&batch, &schema, (size_t)rows, &err), MM_OK);
        mm_column *column = &batch.columns[0];
        if (text)
            column->values = mm_arena_alloc(&batch.arena, (size_t)rows * 32);
        for (int64_t i = 0, at = 0; i < rows; i++) {
            at += (int64_t)key_of(text, first + 2 * (from + i), column->values + at);
            if (text)
                column->offsets[i + 1] = (uint64_t)at;
        }
        batch.rows = (size_t)rows;
        assert_int_equal(mm_keyset_add(set, column, batch.rows, &err), MM_OK);
    }
    mm_batch_free(&batch);
}

/* Asks for keys 0 … 2 * count in every part: the even ones are there, the odd ones are not, each has its answer in exactly
 * one part. Returns the parts. */
static unsigned ask(mm_keyset *set, bool text, int64_t count)
{
    static uint8_t answers[200001];
    mm_error err = MM_ERROR_INIT;
    unsigned parts = 0;
    mm_status status;
    memset(answers, 0, sizeof(answers));
    while ((status = mm_keyset_next(set, &err)) == MM_OK) {
        parts++;
        for (int64_t i = 0; i < 2 * count; i++) {
            uint8_t key[32];
            mm_keyset_answer answer = mm_keyset_look(set, key, key_of(text, i, key));
            if (answer == MM_KEYSET_OTHER_PART)
                continue;
            assert_int_equal(answers[i], 0);
            answers[i] = 1;
            assert_int_equal(answer, i % 2 == 0 ? MM_KEYSET_PRESENT : MM_KEYSET_ABSENT);
        }
    }
    assert_int_equal(status, MM_END);
    for (int64_t i = 0; i < 2 * count; i++)
        assert_int_equal(answers[i], 1);
    return parts;
}

static void keys_that_fit_are_found_in_one_part(void **state)
{
    (void)state;
    for (int text = 0; text < 2; text++) {
        mm_keyset *set = NULL;
        mm_error err = MM_ERROR_INIT;
        assert_int_equal(mm_keyset_open(".", 64 << 20, &set, &err), MM_OK);
        add(set, text, 0, 20000);
        assert_int_equal(ask(set, text, 20000), 1);
        assert_int_equal(ask(set, text, 20000), 1); /* again from the first */
        mm_keyset_close(set);
    }
}

static void keys_that_do_not_fit_are_found_in_several_parts(void **state)
{
    (void)state;
    for (int text = 0; text < 2; text++) {
        mm_keyset *set = NULL;
        mm_error err = MM_ERROR_INIT;
        assert_int_equal(mm_keyset_open(".", 100000, &set, &err), MM_OK);
        add(set, text, 0, 100000);
        assert_true(ask(set, text, 100000) >= 16);
        mm_keyset_close(set);
    }
}

static void less_memory_than_a_stream_takes_still_finds_all(void **state)
{
    (void)state;
    mm_keyset *set = NULL;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_keyset_open(".", 0, &set, &err), MM_OK);
    add(set, false, 0, 50000);
    assert_int_equal(ask(set, false, 50000), 256);
    mm_keyset_close(set);
}

static void an_empty_set_has_one_part_and_no_key(void **state)
{
    (void)state;
    mm_keyset *set = NULL;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_keyset_open(".", 1 << 20, &set, &err), MM_OK);
    assert_int_equal(mm_keyset_next(set, &err), MM_OK);
    assert_int_equal(mm_keyset_look(set, (const uint8_t *)"", 0), MM_KEYSET_ABSENT);
    assert_int_equal(mm_keyset_next(set, &err), MM_END);
    mm_keyset_close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_fit_are_found_in_one_part),
        cmocka_unit_test(keys_that_do_not_fit_are_found_in_several_parts),
        cmocka_unit_test(less_memory_than_a_stream_takes_still_finds_all),
        cmocka_unit_test(an_empty_set_has_one_part_and_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
