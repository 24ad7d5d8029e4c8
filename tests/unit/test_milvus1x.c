/* The segment reader and the sense of the metadata: every combination of batch sizes, cursors and deleted rows gives
 * the rows that the bytes have; what fits no segment is told with its byte; tables and files become collections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "sources/milvus1x/meta.h"
#include "sources/milvus1x/segment.h"

#define DIM 3
#define ROW (DIM * sizeof(float))
#define ROWS 300

/* ---- a segment in memory ---- */

typedef struct made {
    mm_buffer rv, uid, deleted;
} made;

static void put_head(mm_buffer *out, uint64_t size, bool bare)
{
    if (!bare)
        mm_buffer_append(out, &size, sizeof(size));
}

static made make(uint64_t rows, const int32_t *deleted, size_t deleted_count, bool bare)
{
    made m = {MM_BUFFER_INIT, MM_BUFFER_INIT, MM_BUFFER_INIT};
    put_head(&m.rv, rows * ROW, bare);
    put_head(&m.uid, rows * sizeof(int64_t), bare);
    put_head(&m.deleted, deleted_count * sizeof(int32_t), bare);
    for (uint64_t i = 0; i < rows; i++) {
        int64_t id = (int64_t)i * 7 - 900;
        float vector[DIM] = {(float)i, (float)i + 0.25f, -(float)i};
        mm_buffer_append(&m.rv, vector, sizeof(vector));
        mm_buffer_append(&m.uid, &id, sizeof(id));
    }
    mm_buffer_append(&m.deleted, deleted, deleted_count * sizeof(*deleted));
    return m;
}

static void unmake(made *m)
{
    mm_buffer_free(&m->rv);
    mm_buffer_free(&m->uid);
    mm_buffer_free(&m->deleted);
}

static mm_input *input_of(const char *name, const mm_buffer *bytes)
{
    mm_error err = MM_ERROR_INIT;
    mm_input *input = NULL;
    assert_int_equal(mm_input_memory(name, bytes->data, bytes->size, &input, &err), MM_OK);
    return input;
}

static mm_field fields[] = {{.name = "id", .type = MM_TYPE_INT64, .primary = true},
                            {.name = "vector", .type = MM_TYPE_FLOAT_VECTOR, .dim = DIM}};
static mm_schema all = {.name = "c", .fields = fields, .field_count = 2};
static mm_schema keys = {.name = "c", .fields = fields, .field_count = 1};

static mm_milvus1x_shape shape_of(const made *m, mm_error *err)
{
    mm_milvus1x_shape shape = {0, 0, 0};
    assert_int_equal(mm_milvus1x_shape_of("s", m->rv.size, m->uid.size, ROW, &shape, err), MM_OK);
    return shape;
}

static mm_reader *open_rows(const made *m, uint64_t first, uint64_t count, bool keys_only, uint64_t skip)
{
    mm_error err = MM_ERROR_INIT;
    mm_reader *reader = NULL;
    mm_milvus1x_shape shape = shape_of(m, &err);
    mm_milvus1x_rows_args args = {.rv = keys_only ? NULL : input_of("rv", &m->rv), .uid = input_of("uid", &m->uid),
                                  .shape = shape, .schema = keys_only ? &keys : &all};
    mm_input *deleted = input_of("deleted_docs", &m->deleted);
    assert_int_equal(mm_milvus1x_deleted_read(deleted, &shape, first, count, &args.deleted, &err), MM_OK);
    mm_input_close(deleted);
    assert_int_equal(mm_milvus1x_rows_open(&args, skip, &reader, &err), MM_OK);
    return reader;
}

static bool is_deleted(const int32_t *deleted, size_t count, uint64_t row)
{
    for (size_t i = 0; i < count; i++)
        if ((uint64_t)deleted[i] == row)
            return true;
    return false;
}

/* Reads [first, first + count) from its live row `skip` on and compares with the bytes. */
static void check_rows(const made *m, const int32_t *deleted, size_t deleted_count, uint64_t first, uint64_t count,
                       uint64_t skip, size_t max_rows, size_t max_bytes, bool keys_only)
{
    mm_error err = MM_ERROR_INIT;
    mm_batch batch = {.arena = MM_ARENA_INIT};
    mm_reader *reader = open_rows(m, first, count, keys_only, skip);
    uint64_t at = first, row = 0;
    mm_status status;
    while (row < skip)
        row += !is_deleted(deleted, deleted_count, at++);
    while ((status = mm_milvus1x_rows_next(reader, max_rows, max_bytes, &batch, &err)) == MM_OK) {
        assert_int_equal(batch.first_row, row);
        assert_in_range(batch.rows, 1, max_rows);
        assert_int_equal(batch.column_count, keys_only ? 1 : 2);
        for (size_t i = 0; i < batch.rows; i++) {
            while (is_deleted(deleted, deleted_count, at))
                at++;
            int64_t id;
            memcpy(&id, batch.columns[0].values + i * sizeof(id), sizeof(id));
            assert_int_equal(id, (int64_t)at * 7 - 900);
            const float vector[DIM] = {(float)at, (float)at + 0.25f, -(float)at};
            if (!keys_only)
                assert_memory_equal(batch.columns[1].values + i * ROW, vector, ROW);
            at++;
        }
        row += batch.rows;
        assert_int_equal(batch.end.row, row);
        mm_batch_reset(&batch);
    }
    assert_int_equal(status, MM_END);
    while (at < first + count && is_deleted(deleted, deleted_count, at))
        at++;
    assert_int_equal(at, first + count);
    mm_milvus1x_rows_close(reader);
    mm_batch_free(&batch);
}

static void every_batch_size_cursor_and_range_gives_the_live_rows(void **state)
{
    (void)state;
    int32_t deleted[220];
    const size_t counts[] = {0, 1, 5, 70, 220};
    for (size_t c = 0; c < MM_COUNT(counts); c++) {
        for (size_t i = 0; i < counts[c]; i++) /* some twice, in no order; the first, the last, and runs of them */
            deleted[i] = i == 0 ? ROWS - 1 : i == 1 ? 0 : i % 3 == 0 ? deleted[i - 1]
                : (int32_t)((i * 89 + i / 7) % ROWS);
        for (int bare = 0; bare < 2; bare++) {
            made m = make(ROWS, deleted, counts[c], bare != 0);
            const uint64_t ranges[][2] = {{0, ROWS}, {0, 1}, {1, 64}, {63, 130}, {299, 1}, {17, 0}};
            for (size_t r = 0; r < MM_COUNT(ranges); r++) {
                uint64_t live = 0;
                for (uint64_t i = 0; i < ranges[r][1]; i++)
                    live += !is_deleted(deleted, counts[c], ranges[r][0] + i);
                for (uint64_t skip = 0; skip <= live; skip += 1 + live / 9) {
                    check_rows(&m, deleted, counts[c], ranges[r][0], ranges[r][1], skip, SIZE_MAX, SIZE_MAX, false);
                    check_rows(&m, deleted, counts[c], ranges[r][0], ranges[r][1], skip, 7, 4096, false);
                    check_rows(&m, deleted, counts[c], ranges[r][0], ranges[r][1], skip, 1, 1, skip % 2 == 0);
                    check_rows(&m, deleted, counts[c], ranges[r][0], ranges[r][1], skip, 100, 200, true);
                }
            }
            unmake(&m);
        }
    }
}

static void a_cursor_behind_the_last_row_is_refused(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_reader *reader = NULL;
    made m = make(10, NULL, 0, false);
    mm_milvus1x_rows_args args = {.rv = input_of("rv", &m.rv), .uid = input_of("uid", &m.uid),
                                  .shape = shape_of(&m, &err), .schema = &all, .deleted = {.count = 10}};
    assert_int_equal(mm_milvus1x_rows_open(&args, 11, &reader, &err), MM_DATA);
    assert_non_null(strstr(err.text, "cursor is at row 11 of an extent of 10"));
    unmake(&m);
}

/* ---- shapes ---- */

static void sizes_alone_say_which_form_a_segment_has(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_milvus1x_shape shape;
    assert_int_equal(mm_milvus1x_shape_of("s", 8 + 5 * 12, 8 + 5 * 8, 12, &shape, &err), MM_OK);
    assert_int_equal(shape.rows, 5);
    assert_int_equal(shape.head, 8);
    assert_int_equal(mm_milvus1x_shape_of("s", 5 * 12, 5 * 8, 12, &shape, &err), MM_OK);
    assert_int_equal(shape.head, 0);
    assert_int_equal(mm_milvus1x_shape_of("s", 8, 8, 12, &shape, &err), MM_OK);
    assert_int_equal(shape.rows, 0);
    assert_int_equal(mm_milvus1x_shape_of("s", 8 + 5 * 8, 8 + 5 * 8, 8, &shape, &err), MM_END);
    const uint64_t wrong[][2] = {{0, 8}, {8, 0}, {68, 47}, {67, 48}, {68, 56}, {80, 48}, {UINT64_MAX, UINT64_MAX - 7},
                                 {7, 7}};
    for (size_t i = 0; i < MM_COUNT(wrong); i++) {
        assert_int_equal(mm_milvus1x_shape_of("the/folder", wrong[i][0], wrong[i][1], 12, &shape, &err), MM_DATA);
        assert_non_null(strstr(err.text, "the/folder"));
    }
}

static mm_status check_shape(const made *m, bool open, mm_milvus1x_shape *shape, mm_error *err)
{
    mm_input *rv = input_of("the.rv", &m->rv), *uid = input_of("the.uid", &m->uid);
    mm_status status = mm_milvus1x_shape_check(rv, uid, open, shape, err);
    mm_input_close(rv);
    mm_input_close(uid);
    return status;
}

static void the_length_in_front_has_to_be_right(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    made m = make(10, NULL, 0, false);
    mm_milvus1x_shape shape = shape_of(&m, &err);
    assert_int_equal(check_shape(&m, false, &shape, &err), MM_OK);
    m.rv.data[1] ^= 1;
    assert_int_equal(check_shape(&m, false, &shape, &err), MM_DATA);
    assert_non_null(strstr(err.text, "the.rv: byte 0: the length in front is 376, and 120 bytes follow"));
    m.rv.data[1] ^= 1;
    m.uid.data[7] = 1;
    assert_int_equal(check_shape(&m, false, &shape, &err), MM_DATA);
    assert_non_null(strstr(err.text, "the.uid: byte 0"));
    /* with both wrong and sizes that say too little, it is no length */
    m.rv.data[1] ^= 1;
    assert_int_equal(check_shape(&m, true, &shape, &err), MM_OK);
    assert_int_equal(shape.head, 0);
    assert_int_equal(shape.rows, 11);
    shape = (mm_milvus1x_shape){10, ROW, MM_MILVUS1X_HEAD};
    m.rv.data[1] ^= 1;
    assert_int_equal(check_shape(&m, true, &shape, &err), MM_DATA);
    unmake(&m);
}

/* ---- deleted rows ---- */

static mm_status read_deleted(const void *bytes, size_t size, uint32_t head, mm_milvus1x_deleted *out, mm_error *err)
{
    mm_input *input = NULL;
    assert_int_equal(mm_input_memory("deleted_docs", bytes, size, &input, err), MM_OK);
    mm_milvus1x_shape shape = {100, ROW, head};
    mm_status status = mm_milvus1x_deleted_read(input, &shape, 0, 100, out, err);
    mm_input_close(input);
    return status;
}

static void a_list_of_deleted_rows_that_cannot_be_is_refused_by_its_byte(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_milvus1x_deleted deleted = {NULL, 0, 0, 0};
    struct {
        uint64_t head;
        int32_t rows[3];
    } file = {12, {5, 99, 5}};
    assert_int_equal(read_deleted(&file, 20, 8, &deleted, &err), MM_OK);
    assert_int_equal(deleted.deleted, 2);
    assert_int_equal(mm_milvus1x_live(&deleted, 0, 100), 98);
    assert_int_equal(mm_milvus1x_live(&deleted, 5, 6), 0);
    assert_int_equal(mm_milvus1x_live(&deleted, 6, 99), 93);
    mm_milvus1x_deleted_free(&deleted);
    for (size_t size = 0; size < 20; size++)
        assert_int_equal(read_deleted(&file, size, 8, &deleted, &err), MM_DATA);
    file.rows[1] = 100;
    assert_int_equal(read_deleted(&file, 20, 8, &deleted, &err), MM_DATA);
    assert_non_null(strstr(err.text, "deleted_docs: byte 12: row 100 is deleted, and the segment has 100 rows"));
    file.rows[1] = -1;
    assert_int_equal(read_deleted(&file, 20, 8, &deleted, &err), MM_DATA);
    file.head = 0;
    assert_int_equal(read_deleted(&file, 8, 8, &deleted, &err), MM_OK);
    assert_null(deleted.bits);
    assert_int_equal(mm_milvus1x_live(&deleted, 0, 100), 100);
}

/* ---- the metadata ---- */

static void add_table(mm_milvus1x_meta *meta, mm_milvus1x_table_row row)
{
    mm_error err = MM_ERROR_INIT;
    row.dimension = row.dimension == 0 ? 8 : row.dimension;
    row.metric_type = row.metric_type == 0 ? MM_MILVUS1X_L2 : row.metric_type;
    assert_int_equal(mm_milvus1x_meta_table(meta, &row, &err), MM_OK);
}

static void add_file(mm_milvus1x_meta *meta, const char *table, const char *segment, int64_t type, int64_t created)
{
    mm_error err = MM_ERROR_INIT;
    mm_milvus1x_file_row row = {.table_id = table, .segment_id = segment, .file_type = type, .created = created};
    assert_int_equal(mm_milvus1x_meta_file(meta, &row, &err), MM_OK);
}

static void rows_of_tables_become_collections_partitions_and_live_segments(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_milvus1x_meta meta = MM_MILVUS1X_META_INIT;
    meta.name = "test";
    add_table(&meta, (mm_milvus1x_table_row){.table_id = "p2", .owner_table = "b", .partition_tag = "zz"});
    add_table(&meta, (mm_milvus1x_table_row){.table_id = "b", .metric_type = MM_MILVUS1X_JACCARD, .dimension = 16});
    add_table(&meta, (mm_milvus1x_table_row){.table_id = "gone", .state = MM_MILVUS1X_DROPPED});
    add_table(&meta, (mm_milvus1x_table_row){.table_id = "a"});
    add_table(&meta, (mm_milvus1x_table_row){.table_id = "p1", .owner_table = "b", .partition_tag = "aa"});
    add_table(&meta, (mm_milvus1x_table_row){.table_id = "p3", .owner_table = "b", .partition_tag = "aa", .state = 1});
    add_table(&meta, (mm_milvus1x_table_row){.table_id = "p4", .owner_table = "gone", .partition_tag = "x"});
    add_table(&meta, (mm_milvus1x_table_row){.table_id = "p5", .owner_table = "nobody", .partition_tag = "x"});
    add_file(&meta, "b", "1000", MM_MILVUS1X_RAW, 0);
    add_file(&meta, "b", "999", MM_MILVUS1X_BACKUP, 0);
    add_file(&meta, "b", "999", MM_MILVUS1X_INDEX, 0);
    add_file(&meta, "b", "5", MM_MILVUS1X_TO_INDEX, 77);
    add_file(&meta, "b", "6", MM_MILVUS1X_NEW, 1);
    add_file(&meta, "b", "7", MM_MILVUS1X_TO_DELETE, 1);
    add_file(&meta, "b", "8", MM_MILVUS1X_NEW_INDEX, 1);
    add_file(&meta, "b", "8", MM_MILVUS1X_RAW, 2);
    add_file(&meta, "p1", "12", MM_MILVUS1X_INDEX, 0);
    add_file(&meta, "gone", "13", MM_MILVUS1X_RAW, 0);
    add_file(&meta, "unknown", "14", MM_MILVUS1X_RAW, 0);
    assert_int_equal(mm_milvus1x_meta_finish(&meta, &err), MM_OK);
    assert_int_equal(meta.collection_count, 2);
    assert_string_equal(meta.collections[0].name, "a");
    const mm_milvus1x_collection *b = &meta.collections[1];
    assert_true(b->binary);
    assert_int_equal(b->partition_count, 3);
    assert_string_equal(b->partitions[0].tag, "_default");
    assert_string_equal(b->partitions[1].tag, "aa");
    assert_string_equal(b->partitions[1].table_id, "p1");
    assert_string_equal(b->partitions[2].tag, "zz");
    assert_int_equal(b->partitions[0].segment_count, 4);
    static const char *const order[] = {"999", "1000", "8", "5"};
    for (size_t i = 0; i < MM_COUNT(order); i++)
        assert_string_equal(b->partitions[0].segments[i].segment_id, order[i]);
    assert_int_equal(b->partitions[0].segments[0].file_type, MM_MILVUS1X_BACKUP);
    assert_int_equal(b->partitions[1].segment_count, 1);
    assert_int_equal(meta.unfinished_count, 1);
    assert_string_equal(meta.unfinished[0].segment_id, "6");
    mm_milvus1x_meta_free(&meta);
}

static void metadata_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const mm_milvus1x_table_row rows[] = {
        {.table_id = "x", .state = 2, .dimension = 8, .metric_type = 1},
        {.table_id = "x", .dimension = 8, .metric_type = 8},
        {.table_id = "x", .dimension = 8, .metric_type = -1},
        {.table_id = "x", .dimension = 0, .metric_type = 1},
        {.table_id = "x", .dimension = -4, .metric_type = 1},
        {.table_id = "x", .dimension = INT64_MAX, .metric_type = 1},
        {.table_id = "x", .dimension = 12, .metric_type = MM_MILVUS1X_HAMMING},
        {.table_id = "a", .dimension = 8, .metric_type = 1},
        {.table_id = "p", .owner_table = "a", .partition_tag = "_default", .dimension = 8, .metric_type = 1},
        {.table_id = "p", .owner_table = "a", .partition_tag = "", .dimension = 8, .metric_type = 1},
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_error err = MM_ERROR_INIT;
        mm_milvus1x_meta meta = MM_MILVUS1X_META_INIT;
        meta.name = "test";
        add_table(&meta, (mm_milvus1x_table_row){.table_id = "a"});
        assert_int_equal(mm_milvus1x_meta_table(&meta, &rows[i], &err), MM_OK);
        assert_int_equal(mm_milvus1x_meta_finish(&meta, &err), MM_DATA);
        mm_milvus1x_meta_free(&meta);
    }
    static const char *const names[] = {"", ".", "..", "a/b", "/"};
    for (size_t i = 0; i < MM_COUNT(names); i++) {
        mm_error err = MM_ERROR_INIT;
        mm_milvus1x_meta meta = MM_MILVUS1X_META_INIT;
        meta.name = "test";
        assert_int_equal(mm_milvus1x_meta_table(&meta, &(mm_milvus1x_table_row){.table_id = names[i]}, &err), MM_DATA);
        assert_int_equal(mm_milvus1x_meta_file(&meta, &(mm_milvus1x_file_row){.table_id = "a", .segment_id = names[i]},
                                               &err),
                         MM_DATA);
        mm_milvus1x_meta_free(&meta);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_batch_size_cursor_and_range_gives_the_live_rows),
        cmocka_unit_test(a_cursor_behind_the_last_row_is_refused),
        cmocka_unit_test(sizes_alone_say_which_form_a_segment_has),
        cmocka_unit_test(the_length_in_front_has_to_be_right),
        cmocka_unit_test(a_list_of_deleted_rows_that_cannot_be_is_refused_by_its_byte),
        cmocka_unit_test(rows_of_tables_become_collections_partitions_and_live_segments),
        cmocka_unit_test(metadata_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
