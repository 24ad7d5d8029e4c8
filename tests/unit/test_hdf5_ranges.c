/* Target hdf5: which slots are whose, and how the last rows fill what was left empty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "sinks/hdf5/internal.h"

static uint64_t seed;

static uint64_t below(uint64_t limit)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % limit;
}

typedef struct fixture {
    struct mm_sink sink;
    mm_sink_collection plan;
    mm_h5_collection collection;
    mm_h5_file files[2];
} fixture;

static void start(fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->plan.name = "rows";
    f->collection.plan = &f->plan;
    f->files[0].partition = f->files[1].partition = "a";
    f->collection.files = f->files;
    f->collection.file_count = 2;
    f->collection.width = 16;
    f->collection.head = 2048;
    f->sink.collections = &f->collection;
    f->sink.collection_count = 1;
    f->files[0].filled = f->files[1].filled = UINT64_MAX;
    pthread_mutex_init(&f->sink.lock, NULL);
}

static void end(fixture *f)
{
    for (size_t i = 0; i < f->sink.range_count; i++)
        mm_h5_range_free(f->sink.ranges[i]);
    free(f->sink.ranges);
    pthread_mutex_destroy(&f->sink.lock);
}

static void put(mm_h5_range *range, uint64_t first, size_t rows)
{
    mm_batch batch = {.rows = rows, .first_row = first};
    assert_int_equal(mm_h5_range_note(range, &batch, 0, rows, NULL), MM_OK);
    range->rows += rows;
}

/* Slots as numbers: row r of range i is i × 1000 + r + 1, an empty one 0. */
static void moves_leave_no_gap_and_can_be_done_again(void **context)
{
    (void)context;
    for (seed = 1; seed < 500; seed++) {
        fixture f;
        uint64_t slots[4096] = {0}, total = 0;
        start(&f);
        size_t count = below(12);
        for (size_t i = 0; i < count; i++) {
            mm_h5_range *range;
            uint64_t capacity = 1 + below(90), rows = below(3) ? below(capacity + 1) : capacity;
            assert_int_equal(mm_h5_range_new(&f.sink, 0, 0, i, capacity, &range, NULL), MM_OK);
            if (rows > 0)
                put(range, 0, rows);
            for (uint64_t r = 0; r < rows; r++)
                slots[range->start + r] = i * 1000 + r + 1;
            total += rows;
        }
        mm_h5_range **ranges;
        mm_h5_move *moves;
        size_t range_count, move_count;
        uint64_t rows;
        assert_int_equal(mm_h5_ranges_of(&f.sink, 0, 0, &ranges, &range_count, NULL), MM_OK);
        assert_int_equal(mm_h5_moves(ranges, range_count, &moves, &move_count, &rows, NULL), MM_OK);
        assert_int_equal(rows, total);
        for (int again = 0; again < 2; again++)
            for (size_t i = 0; i < move_count; i++) {
                assert_true(moves[i].from >= rows && moves[i].to + moves[i].rows <= rows && moves[i].rows > 0);
                assert_true(i == 0 || moves[i].from >= moves[i - 1].from + moves[i - 1].rows);
                memcpy(&slots[moves[i].to], &slots[moves[i].from], moves[i].rows * sizeof(*slots));
            }
        uint64_t sum = 0, wanted = 0;
        for (uint64_t r = 0; r < rows; r++) {
            assert_true(slots[r] != 0);
            sum += slots[r];
        }
        for (size_t i = 0; i < range_count; i++)
            for (uint64_t r = 0; r < ranges[i]->rows; r++)
                wanted += ranges[i]->task * 1000 + r + 1;
        assert_int_equal(sum, wanted);
        free(moves);
        free(ranges);
        end(&f);
    }
}

static void a_record_brings_a_range_back(void **context)
{
    (void)context;
    fixture f, again;
    mm_h5_range *range, *rest;
    char *key, *value;
    start(&f);
    start(&again);
    assert_int_equal(mm_h5_range_new(&f.sink, 0, 1, 77, 50, &range, NULL), MM_OK);
    assert_int_equal(mm_h5_range_new(&f.sink, 0, 1, 42, 100, &range, NULL), MM_OK);
    put(range, 5, 10);
    put(range, 15, 5);
    put(range, 40, 7);
    assert_int_equal(mm_h5_range_split(&f.sink, range, &rest, NULL), MM_OK);
    assert_int_equal(rest->start, 72);
    assert_int_equal(rest->capacity, 78);
    put(rest, 90, 3);
    assert_int_equal(mm_h5_range_print(range, &key, &value, NULL), MM_OK);
    assert_string_equal(key, "rows/0/1/50");
    assert_string_equal(value, "22 42 5:15,20,7");
    assert_int_equal(mm_h5_recall(&again.sink, key, value, NULL), MM_OK);
    free(key);
    free(value);
    assert_int_equal(mm_h5_range_print(rest, &key, &value, NULL), MM_OK);
    assert_int_equal(mm_h5_recall(&again.sink, key, value, NULL), MM_OK);
    free(key);
    free(value);
    assert_int_equal(mm_h5_recall(&again.sink, "filled/0/1", "25", NULL), MM_OK);
    assert_int_equal(again.files[1].filled, 25);
    assert_int_equal(again.files[1].next, 150);
    assert_int_equal(again.sink.range_count, 2);
    assert_int_equal(again.sink.ranges[0]->run_count, 2);
    assert_int_equal(again.sink.ranges[0]->rows, 22);
    assert_false(again.sink.ranges[0]->idle); /* full */
    mm_h5_range_take(&again.sink, 0, 0, 42, &range);
    assert_null(range);
    mm_h5_range_take(&again.sink, 0, 1, 42, &range);
    assert_ptr_equal(range, again.sink.ranges[1]);
    mm_h5_range_take(&again.sink, 0, 1, 42, &range);
    assert_null(range);
    end(&again);
    end(&f);
}

static void records_of_another_plan_are_refused(void **context)
{
    (void)context;
    static const char *const bad[][2] = {
        {"rows/0/2/0", "5 1 0:5"},   {"rows/1/0/0", "5 1 0:5"},         {"rows/0/0", "5 1 0:5"},
        {"rows/0/0/0", "5"},         {"rows/0/0/0", "5 1 0:6"},         {"rows/0/0/0", "5 1 0:1,2"},
        {"rows/0/0/0", "5 1 0:1 x"}, {"rows/0/0/0/0", "5 1"},           {"rows/0/0/0", "5 1 -1:1"},
        {"whole/0/0", "5 2048 1 2"},    {"whole/0/0", "5 2048 1 2 3 4"}, {"whole/0/2", "5 2048 1 2 3"},
        {"filled/0/0", "x"},         {"filled/0/0/0", "5"},             {"rows/0/0/18446744073709551615", "5 1 0:5"},
        {"rows/0/0/0", "99999999999999999999 1"}, {"rows/0/0/0", "18446744073709551615 1 18446744073709551615:2"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fixture f;
        start(&f);
        assert_int_equal(mm_h5_recall(&f.sink, bad[i][0], bad[i][1], NULL), MM_CHANGED);
        end(&f);
    }
    fixture f;
    start(&f);
    assert_int_equal(mm_h5_recall(&f.sink, "unit/0/0/00001", "whatever", NULL), MM_OK);
    assert_int_equal(f.sink.range_count, 0);
    end(&f);
}

static void rows_of_a_task_come_in_order(void **context)
{
    (void)context;
    fixture f;
    mm_h5_range *range;
    start(&f);
    assert_int_equal(mm_h5_range_new(&f.sink, 0, 0, 1, 50, &range, NULL), MM_OK);
    put(range, 10, 5);
    mm_batch batch = {.rows = 3, .first_row = 14};
    assert_int_equal(mm_h5_range_note(range, &batch, 0, 3, NULL), MM_BUG);
    assert_int_equal(mm_h5_range_new(&f.sink, 0, 0, 1, UINT64_MAX / 8, &range, NULL), MM_TARGET);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_leave_no_gap_and_can_be_done_again),
        cmocka_unit_test(a_record_brings_a_range_back),
        cmocka_unit_test(records_of_another_plan_are_refused),
        cmocka_unit_test(rows_of_a_task_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
