/* The faiss driver on files made by hand: extents, batches, cursors, keys, fingerprints, options. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sources/faiss/extent.h"
#include "support/faiss_fixture.h"

#define D 4

static const mm_source_driver *driver;

static void plan_of(mm_source *source, faiss_plan *plan)
{
    mm_error err = MM_ERROR_INIT;
    *plan = (faiss_plan){.count = 0};
    if (driver->plan(source, 0, faiss_keep, plan, &err) != MM_OK)
        fail_msg("%s", err.text);
}

/* Reads an extent from a row on in batches of at most max_rows; ids and first elements go to the arrays. */
static size_t read_from(mm_source *source, const mm_extent *extent, uint64_t row, size_t max_rows,
                        int64_t *ids, float *first)
{
    mm_reader *reader = NULL;
    mm_error err = MM_ERROR_INIT;
    mm_batch batch;
    mm_cursor cursor = {.row = row};
    size_t count = 0;
    mm_status status;
    memset(&batch, 0, sizeof(batch));
    assert_int_equal(driver->read_open(source, extent, &cursor, MM_READ_ALL, &reader, &err), MM_OK);
    while ((status = driver->next(reader, max_rows, 1 << 20, &batch, &err)) == MM_OK) {
        assert_true(batch.rows > 0 && batch.rows <= max_rows);
        assert_int_equal(batch.first_row, row + count);
        assert_int_equal(batch.end.row, row + count + batch.rows);
        assert_int_equal(batch.bytes, batch.rows * (8 + D * 4));
        for (size_t i = 0; i < batch.rows; i++) {
            const float *vectors = (const float *)(const void *)batch.columns[1].values;
            memcpy(&ids[count], batch.columns[0].values + 8 * i, 8);
            first[count++] = vectors[i * D];
        }
        mm_batch_reset(&batch);
    }
    assert_int_equal(status, MM_END);
    driver->read_close(reader);
    mm_batch_free(&batch);
    return count;
}

static void rows_of_a_flat_index_are_numbered_from_start_id(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    put_flat(&f, D, 10);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, (const char *[]){"start_id=-3", NULL});
    faiss_plan plan;
    int64_t ids[10];
    float first[10];
    plan_of(source, &plan);
    assert_int_equal(plan.count, 1);
    assert_int_equal(read_from(source, &plan.extents[0].extent, 0, 3, ids, first), 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ids[i], i - 3);
        assert_true(first[i] == (float)i * 1000);
    }
    faiss_plan_free(&plan);
    driver->close(source);
    faiss_done(&f);
}

static void ids_beyond_64_bits_are_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    mm_error err = MM_ERROR_INIT;
    faiss_plan plan = {.count = 0};
    put_flat(&f, D, 10);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, (const char *[]){"start_id=9223372036854775807", NULL});
    assert_int_equal(driver->plan(source, 0, faiss_keep, &plan, &err), MM_CONFIG);
    assert_non_null(strstr(err.text, "source.start_id"));
    assert_int_equal(plan.count, 0);
    driver->close(source);
    faiss_done(&f);
}

static void a_large_list_is_cut_and_small_lists_are_packed(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {2, 0, 17, 1, 1, 1};
    faiss_bytes f = {.path = ""};
    put_ivf(&f, "IwFl", D, 22, 6);
    put_lists(&f, D, sizes, 6);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, (const char *[]){"extent_bytes=80", NULL}); /* 5 rows */
    faiss_plan plan;
    int64_t ids[22];
    float first[22];
    size_t count = 0;
    plan_of(source, &plan);
    assert_int_equal(plan.count, 5);
    assert_int_equal(plan.rows, 22);
    for (size_t i = 0; i < plan.count; i++) {
        assert_int_equal(plan.extents[i].extent.rows, i < 4 ? 5 : 2);
        assert_int_equal(plan.extents[i].extent.bytes, plan.extents[i].extent.rows * (8 + D * 4));
        count += read_from(source, &plan.extents[i].extent, 0, 1000, ids + count, first + count);
    }
    assert_int_equal(count, 22);
    for (int i = 0; i < 22; i++) {
        assert_int_equal(ids[i], i * 10);
        assert_true(first[i] == (float)i * 1000);
    }
    faiss_plan_free(&plan);
    driver->close(source);
    faiss_done(&f);
}

static void reading_from_every_cursor_gives_the_same_rows(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {3, 4, 0, 5};
    faiss_bytes f = {.path = ""};
    put_ivf(&f, "IwFl", D, 12, 4);
    put_lists(&f, D, sizes, 4);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, NULL);
    faiss_plan plan;
    int64_t ids[12];
    float first[12];
    plan_of(source, &plan);
    assert_int_equal(plan.count, 1);
    for (uint64_t row = 0; row <= 12; row++) {
        assert_int_equal(read_from(source, &plan.extents[0].extent, row, 2, ids, first), 12 - row);
        for (uint64_t i = row; i < 12; i++) {
            assert_int_equal(ids[i - row], i * 10);
            assert_true(first[i - row] == (float)i * 1000);
        }
    }
    faiss_plan_free(&plan);
    driver->close(source);
    faiss_done(&f);
}

static void a_cursor_behind_the_extent_is_refused(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    mm_error err = MM_ERROR_INIT;
    mm_reader *reader = NULL;
    faiss_plan plan;
    put_flat(&f, D, 10);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, NULL);
    plan_of(source, &plan);
    assert_int_equal(driver->read_open(source, &plan.extents[0].extent, &(mm_cursor){.row = 11},
                                       MM_READ_ALL, &reader, &err),
                     MM_DATA);
    assert_null(reader);
    faiss_plan_free(&plan);
    driver->close(source);
    faiss_done(&f);
}

static void keys_alone_come_in_a_batch_of_one_column(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {3, 4};
    faiss_bytes f = {.path = ""};
    mm_error err = MM_ERROR_INIT;
    mm_reader *reader = NULL;
    mm_batch batch;
    faiss_plan plan;
    memset(&batch, 0, sizeof(batch));
    put_ivf(&f, "IwFl", D, 7, 2);
    put_lists(&f, D, sizes, 2);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, (const char *[]){"id_field=key", NULL});
    plan_of(source, &plan);
    assert_int_equal(
        driver->read_open(source, &plan.extents[0].extent, NULL, MM_READ_KEYS, &reader, &err), MM_OK);
    assert_int_equal(driver->next(reader, 100, 1 << 20, &batch, &err), MM_OK);
    assert_int_equal(batch.column_count, 1);
    assert_int_equal(batch.schema->field_count, 1);
    assert_string_equal(batch.schema->fields[0].name, "key");
    assert_int_equal(batch.rows, 7);
    assert_int_equal(batch.bytes, 56);
    for (int64_t i = 0; i < 7; i++)
        assert_int_equal(((const int64_t *)(const void *)batch.columns[0].values)[i], i * 10);
    driver->read_close(reader);
    mm_batch_free(&batch);
    faiss_plan_free(&plan);
    driver->close(source);
    faiss_done(&f);
}

static void a_batch_holds_one_row_even_when_it_is_larger_than_asked(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    mm_error err = MM_ERROR_INIT;
    mm_reader *reader = NULL;
    mm_batch batch;
    faiss_plan plan;
    memset(&batch, 0, sizeof(batch));
    put_flat(&f, 100, 3);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, (const char *[]){"extent_bytes=1", NULL});
    plan_of(source, &plan);
    assert_int_equal(plan.count, 3);
    assert_int_equal(
        driver->read_open(source, &plan.extents[1].extent, NULL, MM_READ_ALL, &reader, &err), MM_OK);
    assert_int_equal(driver->next(reader, 100, 1, &batch, &err), MM_OK);
    assert_int_equal(batch.rows, 1);
    mm_batch_reset(&batch);
    assert_int_equal(driver->next(reader, 100, 1, &batch, &err), MM_END);
    driver->read_close(reader);
    mm_batch_free(&batch);
    faiss_plan_free(&plan);
    driver->close(source);
    faiss_done(&f);
}

static void a_file_cut_under_a_reader_is_an_error_with_its_offset(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    mm_error err = MM_ERROR_INIT;
    mm_reader *reader = NULL;
    mm_batch batch;
    faiss_plan plan;
    memset(&batch, 0, sizeof(batch));
    put_flat(&f, D, 1000);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, NULL);
    plan_of(source, &plan);
    assert_int_equal(
        driver->read_open(source, &plan.extents[0].extent, NULL, MM_READ_ALL, &reader, &err), MM_OK);
    assert_int_equal(driver->next(reader, 10, 1 << 20, &batch, &err), MM_OK);
    assert_int_equal(truncate(f.path, 1000), 0);
    mm_batch_reset(&batch);
    assert_int_equal(driver->next(reader, 1000, 1 << 20, &batch, &err), MM_CHANGED);
    assert_non_null(strstr(err.text, ": byte 1000: "));
    driver->read_close(reader);
    mm_batch_free(&batch);
    faiss_plan_free(&plan);
    driver->close(source);
    faiss_done(&f);
}

static void the_fingerprint_tells_a_changed_head_and_a_replaced_file(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""}, other = {.path = ""};
    char before[MM_FINGERPRINT_MAX], after[MM_FINGERPRINT_MAX];
    mm_error err = MM_ERROR_INIT;
    put_flat(&f, D, 10);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, NULL);
    assert_int_equal(driver->fingerprint(source, 0, before, &err), MM_OK);
    assert_int_equal(driver->fingerprint(source, 0, after, &err), MM_OK);
    assert_string_equal(before, after);
    FILE *file = fopen(f.path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 50, SEEK_SET), 0);
    assert_int_equal(fputc(9, file), 9);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(driver->fingerprint(source, 0, after, &err), MM_OK);
    assert_string_not_equal(before, after);
    put_flat(&other, D, 10);
    faiss_save(&other);
    assert_int_equal(rename(other.path, f.path), 0);
    assert_int_equal(driver->fingerprint(source, 0, after, &err), MM_CHANGED);
    driver->close(source);
    faiss_done(&f);
    faiss_done(&other);
}

static mm_status stop(void *context, const mm_extent *extent, mm_error *err)
{
    (void)extent;
    return ++*(int *)context == 3 ? mm_error_set(err, MM_INTERRUPTED, "enough") : MM_OK;
}

static void a_plan_ends_with_the_status_of_its_receiver(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    mm_error err = MM_ERROR_INIT;
    int calls = 0;
    put_flat(&f, D, 10);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, (const char *[]){"extent_rows=1", NULL});
    assert_int_equal(driver->plan(source, 0, stop, &calls, &err), MM_INTERRUPTED);
    assert_int_equal(calls, 3);
    driver->close(source);
    faiss_done(&f);
}

static void very_many_short_lists_fill_a_spec_and_no_more(void **state)
{
    (void)state;
    enum { LISTS = 70000 };
    faiss_bytes f = {.path = ""};
    uint64_t *sizes = calloc(LISTS, sizeof(*sizes)), rows = 0;
    mm_error err = MM_ERROR_INIT;
    faiss_plan plan;
    assert_non_null(sizes);
    for (size_t i = 0; i < LISTS; i++)
        sizes[i] = i % 3 == 0 ? 2 : 1;
    for (size_t i = 0; i < LISTS; i++)
        rows += sizes[i];
    put_ivf(&f, "IwFl", 1, (int64_t)rows, LISTS);
    put_lists(&f, 1, sizes, LISTS);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, NULL);
    plan_of(source, &plan);
    assert_true(plan.count > 1 && plan.count < 20);
    assert_int_equal(plan.rows, rows);
    for (size_t i = 0; i < plan.count; i++)
        assert_true(plan.extents[i].extent.spec_size <= MM_EXTENT_SPEC_MAX);
    uint64_t read = 0;
    assert_int_equal(faiss_read_all(source, &read, &err), MM_OK);
    assert_int_equal(read, rows);
    faiss_plan_free(&plan);
    driver->close(source);
    faiss_done(&f);
    free(sizes);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {{"extent_rows=-1", "source.extent_rows"},
                                           {"extent_bytes=0", "source.extent_bytes"},
                                           {"id_field=vector", "two different names"},
                                           {"vector_field=", "two different names"},
                                           {"path=ftp://host/x.index", "no storage is called 'ftp'"},
                                           {"path=gs:///x.index", "names no bucket"},
                                           {"path=/nowhere/at/all.index", "/nowhere/at/all.index"},
                                           {"path=/tmp", "not a regular file"}};
    for (size_t i = 0; i < MM_COUNT(wrong); i++) {
        mm_options *options = NULL;
        mm_source *source = NULL;
        mm_error err = MM_ERROR_INIT;
        bool path = strncmp(wrong[i][0], "path=", 5) == 0;
        const char *pairs[] = {wrong[i][0], path ? NULL : "path=/tmp/x.index", NULL};
        assert_int_equal(
            mm_options_make(driver->options, driver->option_count, pairs, &options, &err), MM_OK);
        mm_status status = driver->open(options, &source, &err);
        assert_int_equal(mm_status_exit(status), 3);
        if (strstr(err.text, wrong[i][1]) == NULL)
            fail_msg("%s: %s", wrong[i][0], err.text);
        mm_options_free(options);
    }
}

/* SQ8 with residuals: every reader thread decodes with the same tables. */
static void *read_in_a_thread(void *context)
{
    mm_source *source = context;
    mm_error err = MM_ERROR_INIT;
    uint64_t rows = 0;
    return (void *)(intptr_t)(faiss_read_all(source, &rows, &err) == MM_OK && rows == 8);
}

static void several_threads_may_read_one_source(void **state)
{
    (void)state;
    faiss_bytes f = {.path = ""};
    pthread_t threads[4];
    put_ivf(&f, "IwSq", D, 8, 1);
    put_i32(&f, 0);
    put_i32(&f, 0);
    put_f32(&f, 0);
    put_u64(&f, D);
    put_u64(&f, D);
    put_u64(&f, 2 * D);
    for (int i = 0; i < 2 * D; i++)
        put_f32(&f, (float)i);
    put_u64(&f, D);
    put_u8(&f, 1);
    put_text(&f, "ilar");
    put_u64(&f, 1);
    put_u64(&f, D);
    put_text(&f, "full");
    put_u64(&f, 1);
    put_u64(&f, 8);
    for (int i = 0; i < 8 * D; i++)
        put_u8(&f, (uint8_t)i);
    for (uint64_t i = 0; i < 8; i++)
        put_u64(&f, i);
    faiss_save(&f);
    mm_source *source = faiss_open(&f, (const char *[]){"lossy=true", "extent_rows=3", NULL});
    for (size_t i = 0; i < MM_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_in_a_thread, source), 0);
    for (size_t i = 0; i < MM_COUNT(threads); i++) {
        void *good = NULL;
        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_non_null(good);
    }
    driver->close(source);
    faiss_done(&f);
}

static void an_extent_spec_survives_its_encoding(void **state)
{
    (void)state;
    mm_faiss_spec *spec = malloc(sizeof(*spec));
    mm_faiss_spec_reader reader;
    mm_faiss_extent head = {.ids_count = true, .d = 7, .code_size = 28, .map_count = 1,
                            .maps = {{.at = 1ull << 40, .count = 12}}};
    const mm_faiss_segment segments[] = {
        {.rows = 1, .codes = 100, .list = 5, .ids.first = INT64_MIN},
        {.rows = UINT32_MAX, .codes = 128, .list = 3, .ids.first = INT64_MIN + 1}, /* follows on */
        {.rows = 2, .codes = 1ull << 60, .list = UINT32_MAX, .ids.first = INT64_MAX}};
    mm_faiss_segment got;
    mm_error err = MM_ERROR_INIT;
    assert_non_null(spec);
    mm_faiss_spec_begin(spec, &head);
    for (size_t i = 0; i < MM_COUNT(segments); i++)
        assert_true(mm_faiss_spec_add(spec, &segments[i]));
    assert_int_equal(mm_faiss_spec_open(&reader, spec->bytes, spec->size, &err), MM_OK);
    assert_int_equal(reader.head.maps[0].at, 1ull << 40);
    assert_int_equal(reader.head.code_size, 28);
    for (size_t i = 0; i < MM_COUNT(segments); i++) {
        assert_int_equal(mm_faiss_spec_next(&reader, &got, &err), MM_OK);
        assert_int_equal(got.rows, segments[i].rows);
        assert_int_equal(got.codes, segments[i].codes);
        assert_int_equal(got.list, segments[i].list);
        assert_true(got.ids.first == segments[i].ids.first);
    }
    assert_int_equal(mm_faiss_spec_next(&reader, &got, &err), MM_END);
    for (size_t size = 0; size < spec->size; size++) { /* cut anywhere: an error or an early end */
        mm_status status = mm_faiss_spec_open(&reader, spec->bytes, size, &err);
        while (status == MM_OK)
            status = mm_faiss_spec_next(&reader, &got, &err);
        assert_true(status == MM_DATA || status == MM_END);
    }
    free(spec);
}

static void a_driver_table_with_a_fault_is_refused_by_name(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_source_driver faulty = *driver;
    assert_int_equal(mm_source_driver_check(&faulty, &err), MM_OK);
    faulty.abi++;
    assert_int_equal(mm_source_driver_check(&faulty, &err), MM_BUG);
    assert_non_null(strstr(err.text, "source faiss: ABI"));
    faulty = *driver;
    faulty.fingerprint = NULL;
    assert_int_equal(mm_source_driver_check(&faulty, &err), MM_BUG);
    assert_non_null(strstr(err.text, "source faiss: fingerprint is missing"));
    faulty = *driver;
    faulty.capabilities = 1u << 30;
    assert_int_equal(mm_source_driver_check(&faulty, &err), MM_BUG);
    faulty = *driver;
    faulty.name = "";
    assert_int_equal(mm_source_driver_check(&faulty, &err), MM_BUG);
    mm_option twice[] = {driver->options[0], driver->options[0]};
    faulty = *driver;
    faulty.options = twice;
    faulty.option_count = 2;
    assert_int_equal(mm_source_driver_check(&faulty, &err), MM_BUG);
    assert_non_null(strstr(err.text, "source faiss"));
}

int main(void)
{
    driver = mm_source_find("faiss");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_flat_index_are_numbered_from_start_id),
        cmocka_unit_test(ids_beyond_64_bits_are_refused),
        cmocka_unit_test(a_large_list_is_cut_and_small_lists_are_packed),
        cmocka_unit_test(reading_from_every_cursor_gives_the_same_rows),
        cmocka_unit_test(a_cursor_behind_the_extent_is_refused),
        cmocka_unit_test(keys_alone_come_in_a_batch_of_one_column),
        cmocka_unit_test(a_batch_holds_one_row_even_when_it_is_larger_than_asked),
        cmocka_unit_test(a_file_cut_under_a_reader_is_an_error_with_its_offset),
        cmocka_unit_test(the_fingerprint_tells_a_changed_head_and_a_replaced_file),
        cmocka_unit_test(a_plan_ends_with_the_status_of_its_receiver),
        cmocka_unit_test(very_many_short_lists_fill_a_spec_and_no_more),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(several_threads_may_read_one_source),
        cmocka_unit_test(an_extent_spec_survives_its_encoding),
        cmocka_unit_test(a_driver_table_with_a_fault_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
