/* Batches, mapping and comparison, against plain loops as the oracle. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "model/mapping.h"
#include "run/compare.h"

#define DIM 4

static mm_field source_fields[] = {
    {.name = "id", .type = MM_TYPE_INT64, .primary = true},
    {.name = "vector", .type = MM_TYPE_FLOAT_VECTOR, .dim = DIM},
    {.name = "note", .type = MM_TYPE_VARCHAR, .max_length = 100},
};
static const mm_schema source_schema = {.name = "things", .fields = source_fields, .field_count = 3};

/* Row i: id i * 3 - 5, vector i + j / 8, note "n" * (i % 7). */
static void fill(mm_batch *batch, size_t rows)
{
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_batch_begin(batch, &source_schema, rows, &err), MM_OK);
    uint64_t at = 0;
    batch->columns[2].values = mm_arena_alloc(&batch->arena, rows * 7 + 1);
    for (size_t i = 0; i < rows; i++) {
        int64_t id = (int64_t)i * 3 - 5;
        memcpy(batch->columns[0].values + i * 8, &id, 8);
        for (size_t j = 0; j < DIM; j++) {
            float x = (float)i + (float)j / 8;
            memcpy(batch->columns[1].values + (i * DIM + j) * 4, &x, 4);
        }
        memset(batch->columns[2].values + at, 'n', i % 7);
        at += i % 7;
        batch->columns[2].offsets[i + 1] = at;
    }
    batch->rows = rows;
    batch->end.row = rows;
    mm_batch_hash(batch);
}

static int64_t id_at(const mm_batch *batch, size_t row)
{
    int64_t id;
    memcpy(&id, batch->columns[0].values + row * 8, 8);
    return id;
}

static void filtering_keeps_exactly_the_chosen_rows(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (int round = 0; round < 50; round++) {
        mm_batch batch = {.arena = MM_ARENA_INIT}, whole = {.arena = MM_ARENA_INIT};
        mm_error err = MM_ERROR_INIT;
        uint8_t keep[16] = {0};
        size_t kept = 0;
        fill(&batch, 100);
        fill(&whole, 100);
        for (size_t i = 0; i < 100; i++)
            if (mm_random_next(&random) % 3) {
                keep[i / 8] |= (uint8_t)(1u << (i % 8));
                kept++;
            }
        assert_int_equal(mm_batch_filter(&batch, keep, kept, &err), MM_OK);
        assert_int_equal(batch.rows, kept);
        size_t to = 0;
        for (size_t i = 0; i < 100; i++) {
            if (!(keep[i / 8] >> (i % 8) & 1))
                continue;
            assert_int_equal(batch.ordinals[to], i);
            assert_int_equal(mm_batch_row_hash(&batch, to), mm_batch_row_hash(&whole, i));
            to++;
        }
        mm_batch_free(&batch);
        mm_batch_free(&whole);
    }
}

static void filtering_twice_keeps_the_source_ordinals(void **state)
{
    (void)state;
    mm_batch batch = {.arena = MM_ARENA_INIT};
    mm_error err = MM_ERROR_INIT;
    fill(&batch, 8);
    assert_int_equal(mm_batch_filter(&batch, (const uint8_t[]){0xAA}, 4, &err), MM_OK); /* 1 3 5 7 */
    assert_int_equal(mm_batch_filter(&batch, (const uint8_t[]){0x0A}, 2, &err), MM_OK); /* 3 7 */
    assert_int_equal(batch.ordinals[0], 3);
    assert_int_equal(batch.ordinals[1], 7);
    mm_batch_free(&batch);
}

static void the_checksum_does_not_depend_on_order_but_on_every_byte(void **state)
{
    (void)state;
    mm_batch a = {.arena = MM_ARENA_INIT}, b = {.arena = MM_ARENA_INIT};
    fill(&a, 50);
    fill(&b, 50);
    assert_int_equal(a.checksum, b.checksum);
    b.columns[1].values[77] ^= 1;
    mm_batch_hash(&b);
    assert_true(a.checksum != b.checksum);
    mm_batch_free(&a);
    mm_batch_free(&b);
}

static void nonfinite_values_are_found_wherever_they_stand(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t at = 0; at < 50 * DIM; at++) {
        mm_batch batch = {.arena = MM_ARENA_INIT};
        fill(&batch, 50);
        memcpy(batch.columns[1].values + at * 4, &bad[at % 3], 4);
        assert_int_equal(mm_column_find_nonfinite(&batch.columns[1], 50, 0), at / DIM);
        assert_int_equal(mm_column_find_nonfinite(&batch.columns[1], 50, at / DIM + 1), 50);
        mm_batch_free(&batch);
    }
}

static mm_mapping *build(mm_arena *arena, const mm_field_rule *rules, size_t count)
{
    mm_error err = MM_ERROR_INIT;
    mm_mapping *mapping = NULL;
    assert_int_equal(mm_mapping_build(arena, &source_schema, rules, count, "target", &mapping, &err), MM_OK);
    return mapping;
}

static void without_rules_every_field_keeps_its_name(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    mm_mapping *mapping = build(&arena, NULL, 0);
    assert_int_equal(mapping->target->field_count, 3);
    assert_string_equal(mapping->target->fields[2].name, "note");
    assert_string_equal(mapping->target->name, "target");
    mm_arena_free(&arena);
}

static void rules_choose_rename_and_retype(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    mm_field_rule rules[] = {{.from = "vector", .to = "embedding"},
                             {.from = "id", .to = "key", .type = MM_TYPE_VARCHAR, .primary = true}};
    mm_mapping *mapping = build(&arena, rules, 2);
    mm_batch batch = {.arena = MM_ARENA_INIT};
    mm_error err = MM_ERROR_INIT;
    mm_reject *rejects = NULL;
    size_t count = 0;
    fill(&batch, 10);
    assert_int_equal(mm_mapping_apply(mapping, &batch, false, &rejects, &count, &err), MM_OK);
    assert_int_equal(count, 0);
    assert_string_equal(batch.columns[0].field->name, "embedding");
    size_t length;
    const char *key = (const char *)mm_column_at(&batch.columns[1], 0, &length);
    assert_int_equal(length, 2);
    assert_memory_equal(key, "-5", 2);
    mm_batch_free(&batch);
    mm_arena_free(&arena);
}

static void an_unknown_field_is_refused_with_the_nearest_name(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_mapping *mapping = NULL;
    mm_field_rule rules[] = {{.from = "vectr", .to = "embedding"}};
    assert_int_equal(mm_mapping_build(&arena, &source_schema, rules, 1, "t", &mapping, &err), MM_CONFIG);
    assert_non_null(strstr(err.text, "did you mean `vector`"));
    mm_arena_free(&arena);
}

static void a_mapping_without_a_primary_key_is_refused(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_mapping *mapping = NULL;
    mm_field_rule rules[] = {{.from = "vector", .to = "embedding"}};
    assert_int_equal(mm_mapping_build(&arena, &source_schema, rules, 1, "t", &mapping, &err), MM_CONFIG);
    mm_arena_free(&arena);
}

static void rows_that_do_not_fit_are_rejected_with_key_field_and_reason(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    mm_mapping *mapping = build(&arena, NULL, 0);
    mapping->target->fields[2].max_length = 5; /* rows with i % 7 == 6 are too long */
    mm_batch batch = {.arena = MM_ARENA_INIT};
    mm_error err = MM_ERROR_INIT;
    mm_reject *rejects = NULL;
    size_t count = 0;
    fill(&batch, 21);
    batch.first_row = 1000;
    float nan = NAN;
    memcpy(batch.columns[1].values + 3 * DIM * 4, &nan, 4);
    memcpy(batch.columns[1].values + 6 * DIM * 4, &nan, 4); /* row 6 is wrong twice: one reject */
    assert_int_equal(mm_mapping_apply(mapping, &batch, false, &rejects, &count, &err), MM_OK);
    assert_int_equal(count, 4); /* 3, 6, 13, 20 */
    assert_int_equal(batch.rows, 17);
    assert_int_equal(batch.rejected, 4);
    assert_int_equal(rejects[0].row, 1003);
    assert_string_equal(rejects[0].key, "4");
    assert_string_equal(rejects[0].field, "vector");
    assert_int_equal(id_at(&batch, 3), 4 * 3 - 5);
    mm_batch_free(&batch);
    mm_arena_free(&arena);
}

static void nonfinite_rows_stay_where_the_target_can_hold_them(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    mm_mapping *mapping = build(&arena, NULL, 0);
    mm_batch batch = {.arena = MM_ARENA_INIT};
    mm_error err = MM_ERROR_INIT;
    mm_reject *rejects = NULL;
    size_t count = 0;
    fill(&batch, 5);
    float nan = NAN;
    memcpy(batch.columns[1].values, &nan, 4);
    assert_int_equal(mm_mapping_apply(mapping, &batch, true, &rejects, &count, &err), MM_OK);
    assert_int_equal(batch.rows, 5);
    mm_batch_free(&batch);
    mm_arena_free(&arena);
}

static uint64_t differences(mm_batch *expected, mm_batch *found, mm_difference out[MM_DIFFERENCES_MAX], size_t *count)
{
    mm_error err = MM_ERROR_INIT;
    uint64_t mismatched = 0;
    assert_int_equal(mm_compare(expected, found, &mismatched, out, count, &err), MM_OK);
    return mismatched;
}

static void equal_batches_compare_equal_in_any_order(void **state)
{
    (void)state;
    mm_batch a = {.arena = MM_ARENA_INIT}, b = {.arena = MM_ARENA_INIT};
    mm_difference out[MM_DIFFERENCES_MAX];
    size_t count;
    fill(&a, 30);
    fill(&b, 30);
    /* swap rows 2 and 9, whose notes have the same length */
    uint8_t id[8], vector[DIM * 4];
    memcpy(id, b.columns[0].values + 2 * 8, 8);
    memcpy(vector, b.columns[1].values + 2 * DIM * 4, DIM * 4);
    memmove(b.columns[0].values + 2 * 8, b.columns[0].values + 9 * 8, 8);
    memmove(b.columns[1].values + 2 * DIM * 4, b.columns[1].values + 9 * DIM * 4, DIM * 4);
    memcpy(b.columns[0].values + 9 * 8, id, 8);
    memcpy(b.columns[1].values + 9 * DIM * 4, vector, DIM * 4);
    assert_int_equal(differences(&a, &b, out, &count), 0);
    assert_int_equal(count, 0);
    mm_batch_free(&a);
    mm_batch_free(&b);
}

static void a_changed_value_is_named_with_key_and_field(void **state)
{
    (void)state;
    mm_batch a = {.arena = MM_ARENA_INIT}, b = {.arena = MM_ARENA_INIT};
    mm_difference out[MM_DIFFERENCES_MAX];
    size_t count;
    fill(&a, 30);
    fill(&b, 30);
    b.columns[1].values[4 * DIM * 4] ^= 1;
    assert_int_equal(differences(&a, &b, out, &count), 1);
    assert_string_equal(out[0].key, "7");
    assert_string_equal(out[0].field, "vector");
    mm_batch_free(&a);
    mm_batch_free(&b);
}

static void a_missing_and_a_doubled_row_are_named(void **state)
{
    (void)state;
    mm_batch a = {.arena = MM_ARENA_INIT}, b = {.arena = MM_ARENA_INIT};
    mm_difference out[MM_DIFFERENCES_MAX];
    size_t count;
    fill(&a, 30);
    fill(&b, 29);
    assert_int_equal(differences(&a, &b, out, &count), 1);
    assert_string_equal(out[0].key, "82");
    assert_string_equal(out[0].what, "is missing");
    mm_batch_free(&b);
    fill(&b, 30);
    mm_batch_reset(&a);
    fill(&a, 29);
    /* found: 30 rows, the last a copy of row 1 (same note length as row 29: 1) */
    memmove(b.columns[0].values + 29 * 8, b.columns[0].values + 1 * 8, 8);
    memmove(b.columns[1].values + 29 * DIM * 4, b.columns[1].values + 1 * DIM * 4, DIM * 4);
    assert_int_equal(differences(&a, &b, out, &count), 1);
    assert_string_equal(out[0].what, "stands more than once");
    assert_string_equal(out[0].key, "-2");
    mm_batch_free(&a);
    mm_batch_free(&b);
}

/* What was sent with a slot for its elements comes back from Milvus without any bytes. */
static void an_array_without_elements_is_the_same_in_both_forms(void **state)
{
    (void)state;
    mm_field field = {.name = "tags", .type = MM_TYPE_ARRAY, .element_type = MM_TYPE_VARCHAR};
    uint8_t slot[] = {6 << 3 | 2, 0}, one[] = {6 << 3 | 2, 2, 1 << 3 | 2, 0};
    uint64_t none[] = {0, 0}, two[] = {0, 2}, four[] = {0, 4};
    mm_column columns[] = {{.field = &field, .values = slot, .offsets = none},
                           {.field = &field, .values = slot, .offsets = two},
                           {.field = &field, .values = one, .offsets = four}};
    mm_batch batches[3];
    for (size_t i = 0; i < 3; i++)
        batches[i] = (mm_batch){.columns = &columns[i], .column_count = 1, .rows = 1};
    assert_true(mm_batch_row_hash(&batches[0], 0) == mm_batch_row_hash(&batches[1], 0));
    assert_true(mm_batch_row_hash(&batches[0], 0) != mm_batch_row_hash(&batches[2], 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filtering_keeps_exactly_the_chosen_rows),
        cmocka_unit_test(filtering_twice_keeps_the_source_ordinals),
        cmocka_unit_test(the_checksum_does_not_depend_on_order_but_on_every_byte),
        cmocka_unit_test(an_array_without_elements_is_the_same_in_both_forms),
        cmocka_unit_test(nonfinite_values_are_found_wherever_they_stand),
        cmocka_unit_test(without_rules_every_field_keeps_its_name),
        cmocka_unit_test(rules_choose_rename_and_retype),
        cmocka_unit_test(an_unknown_field_is_refused_with_the_nearest_name),
        cmocka_unit_test(a_mapping_without_a_primary_key_is_refused),
        cmocka_unit_test(rows_that_do_not_fit_are_rejected_with_key_field_and_reason),
        cmocka_unit_test(nonfinite_rows_stay_where_the_target_can_hold_them),
        cmocka_unit_test(equal_batches_compare_equal_in_any_order),
        cmocka_unit_test(a_changed_value_is_named_with_key_and_field),
        cmocka_unit_test(a_missing_and_a_doubled_row_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
