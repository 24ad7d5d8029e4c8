/* Thinning blobs: written, walked from any row, applied to batches, damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "run/thin.h"

typedef struct rows {
    uint64_t *items;
    size_t count;
    mm_thin_writer writer;
} rows;

/* Ascending rows with steps of 1 … step. */
static rows make_rows(size_t count, uint64_t step, uint64_t seed)
{
    rows r = {calloc(count + 1, sizeof *r.items), count, {.blob = MM_BUFFER_INIT}};
    mm_error err;
    assert_non_null(r.items);
    uint64_t row = mm_random_next(&seed) % step;
    for (size_t i = 0; i < count; i++) {
        r.items[i] = row;
        mm_thin_add(&r.writer, row);
        row += 1 + mm_random_next(&seed) % step;
    }
    assert_int_equal(mm_thin_end(&r.writer, &err), MM_OK);
    return r;
}

static void free_rows(rows *r)
{
    free(r->items);
    mm_thin_free(&r->writer);
}

static void rows_come_back_as_they_were_written(void **state)
{
    (void)state;
    const size_t counts[] = {0, 1, 2, 127, 128, 129, 1000, 12345};
    const uint64_t steps[] = {1, 2, 500, 1ull << 40};
    for (size_t c = 0; c < MM_COUNT(counts); c++)
        for (size_t s = 0; s < MM_COUNT(steps); s++) {
            rows r = make_rows(counts[c], steps[s], c * 10 + s);
            mm_thin_reader reader = mm_thin_open(r.writer.blob.data, r.writer.blob.size);
            uint64_t row, count = 99;
            mm_error err;
            for (size_t i = 0; i < r.count; i++) {
                assert_true(mm_thin_next(&reader, 0, &row));
                assert_int_equal(row, r.items[i]);
            }
            assert_false(mm_thin_next(&reader, 0, &row));
            assert_false(reader.damaged);
            assert_int_equal(mm_thin_count(r.writer.blob.data, r.writer.blob.size, &count, &err),
                             MM_OK);
            assert_int_equal(count, r.count);
            free_rows(&r);
        }
}

static void the_greatest_row_is_kept_exactly(void **state)
{
    (void)state;
    mm_thin_writer writer = {.blob = MM_BUFFER_INIT};
    mm_error err;
    uint64_t row;
    mm_thin_add(&writer, 0);
    mm_thin_add(&writer, UINT64_MAX);
    assert_int_equal(mm_thin_end(&writer, &err), MM_OK);
    mm_thin_reader reader = mm_thin_open(writer.blob.data, writer.blob.size);
    assert_true(mm_thin_next(&reader, 1, &row));
    assert_true(row == UINT64_MAX);
    mm_thin_free(&writer);
}

static void neighbours_take_one_byte_each(void **state)
{
    (void)state;
    rows r = make_rows(12800, 1, 1);
    assert_true(r.writer.blob.size < 12800 + 100 * 4);
    free_rows(&r);
}

static void a_walk_can_begin_at_any_row(void **state)
{
    (void)state;
    rows r = make_rows(3000, 5, 8);
    uint64_t row;
    size_t at = 0;
    for (uint64_t from = 0; from <= r.items[r.count - 1] + 1; from++) {
        while (at < r.count && r.items[at] < from)
            at++;
        mm_thin_reader reader = mm_thin_open(r.writer.blob.data, r.writer.blob.size);
        bool found = mm_thin_next(&reader, from, &row);
        assert_int_equal(found, at < r.count);
        if (found)
            assert_int_equal(row, r.items[at]);
    }
    free_rows(&r);
}

/* ---- batches ---- */

static mm_field id_field = {.name = "id", .type = MM_TYPE_INT64, .primary = true};
static mm_schema id_schema = {.fields = &id_field, .field_count = 1};

/* A batch whose value in each row is the row's ordinal in the extent. */
static void make_batch(mm_batch *batch, uint64_t first, size_t count)
{
    mm_error err;
    mm_batch_reset(batch);
    assert_int_equal(mm_batch_begin(batch, &id_schema, count, &err), MM_OK);
    batch->rows = count;
    batch->first_row = first;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = first + i;
        memcpy(batch->columns[0].values + i * 8, &value, 8);
    }
}

static void check_batch(const mm_batch *batch, const rows *r, uint64_t first, size_t count)
{
    size_t at = 0, out = 0;
    for (uint64_t row = first; row < first + count; row++) {
        while (at < r->count && r->items[at] < row)
            at++;
        if (at < r->count && r->items[at] == row)
            continue;
        uint64_t value;
        assert_true(out < batch->rows);
        memcpy(&value, batch->columns[0].values + out++ * 8, 8);
        assert_int_equal(value, row);
    }
    assert_int_equal(out, batch->rows);
    assert_int_equal(batch->thinned, count - out);
}

static void a_batch_loses_exactly_the_rows_of_the_blob(void **state)
{
    (void)state;
    mm_batch batch = {0};
    mm_error err;
    for (uint64_t step = 1; step < 2000; step = step * 3 + 1) {
        rows r = make_rows(2000, step, step);
        for (uint64_t first = 0; first < 3000; first += 331) {
            make_batch(&batch, first, 331);
            assert_int_equal(mm_thin_filter(&batch, r.writer.blob.data, r.writer.blob.size, &err),
                             MM_OK);
            check_batch(&batch, &r, first, 331);
        }
        free_rows(&r);
    }
    mm_batch_free(&batch);
}

static void rows_that_are_gone_already_are_not_counted_again(void **state)
{
    (void)state;
    mm_batch batch = {0};
    mm_error err;
    uint8_t keep[] = {0xAA, 0xAA}; /* ordinals 1, 3, 5, … 15 stay */
    mm_thin_writer writer = {.blob = MM_BUFFER_INIT};
    const uint64_t drop[] = {102, 103, 104, 109, 110, 200};
    for (size_t i = 0; i < MM_COUNT(drop); i++)
        mm_thin_add(&writer, drop[i]);
    assert_int_equal(mm_thin_end(&writer, &err), MM_OK);
    make_batch(&batch, 100, 16);
    assert_int_equal(mm_batch_filter(&batch, keep, 8, &err), MM_OK);
    assert_int_equal(mm_thin_filter(&batch, writer.blob.data, writer.blob.size, &err), MM_OK);
    assert_int_equal(batch.rows, 6);
    assert_int_equal(batch.thinned, 2);
    const uint32_t left[] = {1, 5, 7, 11, 13, 15};
    assert_memory_equal(batch.ordinals, left, sizeof left);
    mm_thin_free(&writer);
    mm_batch_free(&batch);
}

static void an_empty_blob_changes_nothing(void **state)
{
    (void)state;
    mm_batch batch = {0};
    mm_error err;
    make_batch(&batch, 0, 10);
    assert_int_equal(mm_thin_filter(&batch, NULL, 0, &err), MM_OK);
    assert_int_equal(batch.rows, 10);
    assert_null(batch.ordinals);
    mm_batch_free(&batch);
}

static void damaged_blobs_end_with_an_error_or_some_rows_never_a_crash(void **state)
{
    (void)state;
    uint64_t random = 7;
    size_t refused = 0;
    rows r = make_rows(400, 300, 3);
    size_t size = r.writer.blob.size;
    for (int i = 0; i < 20000; i++) {
        /* in memory of its exact size, so that a sanitizer sees every byte too many */
        size_t length = 1 + mm_random_next(&random) % size;
        uint8_t *copy = malloc(length);
        assert_non_null(copy);
        memcpy(copy, r.writer.blob.data, length);
        copy[mm_random_next(&random) % length] = (uint8_t)mm_random_next(&random);
        copy[mm_random_next(&random) % length] |= 0x80;
        mm_batch batch = {0};
        mm_error err = MM_ERROR_INIT;
        uint64_t count;
        make_batch(&batch, 200, 64);
        mm_status status = mm_thin_filter(&batch, copy, length, &err);
        assert_true(status == MM_OK || status == MM_DATA);
        refused += mm_thin_count(copy, length, &count, &err) == MM_DATA;
        mm_batch_free(&batch);
        free(copy);
    }
    assert_true(refused > 1000);
    free_rows(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_as_they_were_written),
        cmocka_unit_test(the_greatest_row_is_kept_exactly),
        cmocka_unit_test(neighbours_take_one_byte_each),
        cmocka_unit_test(a_walk_can_begin_at_any_row),
        cmocka_unit_test(a_batch_loses_exactly_the_rows_of_the_blob),
        cmocka_unit_test(rows_that_are_gone_already_are_not_counted_again),
        cmocka_unit_test(an_empty_blob_changes_nothing),
        cmocka_unit_test(damaged_blobs_end_with_an_error_or_some_rows_never_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
