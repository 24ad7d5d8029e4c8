/* The pieces of the Parquet writer: levels, Thrift, the state and going on from it, failures of whoever takes the
 * bytes. (That other programs read the files is shown by the integration tests.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/wire.h"
#include "formats/parquet_levels.h"
#include "formats/parquet_thrift_write.h"

/* --- levels ----------------------------------------------------------------------------------------------------- */

/* Levels read back from `bytes`, by the hybrid's grammar; their number. Padding of the last group counts. */
static size_t levels_of(const mm_buffer *bytes, unsigned width, uint8_t *out, size_t most)
{
    uint32_t length;
    memcpy(&length, bytes->data, sizeof(length));
    assert_int_equal(length + 4, bytes->size);
    mm_wire wire = mm_wire_over((const uint8_t *)bytes->data + 4, length);
    size_t count = 0;
    uint64_t header;
    while (mm_wire_varint(&wire, &header)) {
        if (header & 1) {
            for (uint64_t bit = 0; bit < (header >> 1) * 8 * width; bit += width, count++) {
                assert_true(count < most && wire.at < wire.end);
                out[count] = *wire.at >> (bit % 8) & ((1u << width) - 1);
                if ((bit + width) % 8 == 0)
                    wire.at++;
            }
        } else {
            assert_true(wire.at < wire.end && header >> 1 <= most - count);
            memset(out + count, *wire.at++, (size_t)(header >> 1));
            count += (size_t)(header >> 1);
        }
    }
    assert_false(wire.bad);
    return count;
}

static void runs_read_back(void **state)
{
    (void)state;
    enum { MOST = 40000 };
    uint8_t *want = malloc(MOST), *got = malloc(MOST + 8);
    uint32_t x = 7;
    for (unsigned width = 1; width <= 2; width++) {
        for (int turn = 0; turn < 300; turn++) {
            mm_buffer bytes = MM_BUFFER_INIT;
            mm_parquet_levels levels = mm_parquet_levels_begin(&bytes, width == 1 ? 1 : 2);
            size_t count = 0;
            for (unsigned i = 0; i < (unsigned)turn; i++) {
                x = x * 1664525u + 1013904223u;
                uint8_t level = (uint8_t)((x >> 20) % (width + 1));
                size_t run = (x >> 10) % ((x & 512) ? 100 : 9);
                mm_parquet_levels_run(&levels, level, run);
                memset(want + count, level, run);
                count += run;
            }
            mm_parquet_levels_end(&levels);
            size_t found = levels_of(&bytes, width, got, MOST + 8);
            assert_true(found >= count && found < count + 8);
            assert_memory_equal(got, want, count);
            mm_buffer_free(&bytes);
        }
    }
    free(want);
    free(got);
}

static void rows_of_one_length_take_a_few_bytes_each(void **state)
{
    (void)state;
    mm_buffer bytes = MM_BUFFER_INIT;
    mm_parquet_levels levels = mm_parquet_levels_begin(&bytes, 1);
    for (int row = 0; row < 1000; row++) {
        mm_parquet_levels_run(&levels, 0, 1);
        mm_parquet_levels_run(&levels, 1, 127);
    }
    mm_parquet_levels_end(&levels);
    assert_int_equal(bytes.size, 4 + 1000 * 5);
    assert_memory_equal(bytes.data + 4, "\x03\xfe\xf0\x01\x01", 5); /* eight packed, then 120 ones */
    bytes.size = 0;
    levels = mm_parquet_levels_begin(&bytes, 1);
    for (int row = 0; row < 1000; row++)
        mm_parquet_levels_run(&levels, 1, 128);
    mm_parquet_levels_end(&levels);
    assert_int_equal(bytes.size, 4 + 4); /* runs of the same level are one */
    mm_buffer_free(&bytes);
}

static void bits_of_any_stretch_read_back(void **state)
{
    (void)state;
    static const uint8_t bits[] = {0x5a, 0xc3, 0xff, 0x00, 0x81, 0x7e};
    uint8_t got[64];
    for (size_t from = 0; from < 40; from++) {
        for (size_t count = 1; from + count <= 48; count++) {
            mm_buffer bytes = MM_BUFFER_INIT;
            uint8_t *copy = malloc((from + count + 7) / 8); /* exactly: a byte read behind it is seen by ASan */
            memcpy(copy, bits, (from + count + 7) / 8);
            mm_parquet_levels levels = mm_parquet_levels_begin(&bytes, 1);
            mm_parquet_levels_bits(&levels, copy, from, count);
            mm_parquet_levels_end(&levels);
            assert_int_equal(levels_of(&bytes, 1, got, sizeof(got)), (count + 7) / 8 * 8);
            for (size_t i = 0; i < count; i++)
                assert_int_equal(got[i], bits[(from + i) / 8] >> ((from + i) % 8) & 1);
            for (size_t i = count; i < (count + 7) / 8 * 8; i++)
                assert_int_equal(got[i], 0); /* what lies behind the rows is nobody's */
            free(copy);
            mm_buffer_free(&bytes);
        }
    }
}

/* --- Thrift ----------------------------------------------------------------------------------------------------- */

static void a_struct_has_the_bytes_of_the_compact_protocol(void **state)
{
    (void)state;
    mm_buffer bytes = MM_BUFFER_INIT;
    mm_thrift_writer thrift = mm_thrift_write_to(&bytes);
    mm_thrift_i32(&thrift, 1, -1);         /* 15 01 */
    mm_thrift_bool(&thrift, 3, true);      /* 21 */
    mm_thrift_bool(&thrift, 4, false);     /* 12 */
    mm_thrift_text(&thrift, 20, "ab");     /* 08 28 02 61 62: too far for the short form */
    mm_thrift_struct(&thrift, 21);         /* 1c */
    mm_thrift_i64(&thrift, 1, INT64_MIN);  /* 16 ff×9 01 */
    mm_thrift_i8(&thrift, 2, -2);          /* 13 fe */
    mm_thrift_end(&thrift);                /* 00 */
    mm_thrift_list(&thrift, 22, MM_THRIFT_I32, 2); /* 19 25 */
    mm_thrift_element_i32(&thrift, 64);    /* 80 01 */
    mm_thrift_element_i32(&thrift, 0);     /* 00 */
    mm_thrift_list(&thrift, 23, MM_THRIFT_STRUCT, 15); /* 19 fc 0f */
    mm_thrift_end(&thrift);                /* 00 */
    static const uint8_t want[] = {0x15, 0x01, 0x21, 0x12, 0x08, 0x28, 0x02, 0x61, 0x62, 0x1c, 0x16, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x13, 0xfe, 0x00,
                                   0x19, 0x25, 0x80, 0x01, 0x00, 0x19, 0xfc, 0x0f, 0x00};
    assert_int_equal(bytes.size, sizeof(want));
    assert_memory_equal(bytes.data, want, sizeof(want));
    mm_buffer_free(&bytes);
}

/* --- writing and going on --------------------------------------------------------------------------------------- */

enum { ROWS = 1000, DIM = 24 };

static mm_field fields[] = {{.name = "id", .type = MM_TYPE_INT64, .primary = true},
                            {.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = DIM},
                            {.name = "x", .type = MM_TYPE_INT8, .nullable = true},
                            {.name = "t", .type = MM_TYPE_VARCHAR, .max_length = 16}};
static const mm_schema schema = {.name = "c", .fields = fields, .field_count = MM_COUNT(fields)};

static void make_batch(mm_batch *batch)
{
    *batch = (mm_batch){0};
    assert_int_equal(mm_batch_begin(batch, &schema, ROWS, NULL), MM_OK);
    batch->rows = ROWS;
    mm_column *columns = batch->columns;
    columns[2].validity = mm_arena_alloc(&batch->arena, (ROWS + 7) / 8);
    columns[3].values = mm_arena_alloc(&batch->arena, 16 * ROWS);
    for (size_t row = 0; row < ROWS; row++) {
        int64_t id = (int64_t)row * 3;
        memcpy(columns[0].values + 8 * row, &id, 8);
        for (size_t i = 0; i < DIM; i++)
            memcpy(columns[1].values + (row * DIM + i) * 4, &(float){(float)(row + i)}, 4);
        columns[2].values[row] = (uint8_t)row;
        columns[3].offsets[row + 1] = columns[3].offsets[row] + row % 16;
        memset(columns[3].values + columns[3].offsets[row], 'a' + (int)(row % 26), row % 16);
    }
    memset(columns[2].validity, 0xa7, (ROWS + 7) / 8);
}

/* Takes the bytes; refuses the put that `refuse` counts down to. */
typedef struct taker {
    mm_buffer bytes;
    size_t puts, refuse;
} taker;

static mm_status take(void *context, size_t file, const void *bytes, size_t size, mm_error *err)
{
    taker *t = context;
    assert_int_equal(file, 0);
    assert_true(size > 0);
    if (++t->puts == t->refuse)
        return mm_error_set(err, MM_DISK_FULL, "no room");
    mm_buffer_append(&t->bytes, bytes, size);
    return MM_OK;
}

/* Writes the rows in groups of `group`; with a new writer, from the state, after each `each` groups (0: never). */
static mm_status write_all(const mm_batch *batch, size_t group, size_t each, taker *t, mm_error *err)
{
    const mm_format_driver *format = &mm_format_parquet;
    mm_format_out out = {t, take};
    mm_format_write_args args = {.schema = &schema};
    mm_format_writer *writer;
    mm_status status = format->write_open(&args, &writer, err);
    assert_int_equal(status, MM_OK);
    status = format->write_begin(writer, &out, err);
    for (size_t row = 0, groups = 1; status == MM_OK && row < batch->rows; row += group, groups++) {
        size_t count = batch->rows - row < group ? batch->rows - row : group;
        status = format->write_rows(writer, batch, row, count, &out, err);
        if (status != MM_OK || each == 0 || groups % each != 0)
            continue;
        mm_buffer text = MM_BUFFER_INIT;
        assert_int_equal(format->write_state(writer, &text, err), MM_OK);
        format->write_close(writer);
        args.state = text.data;
        assert_int_equal(format->write_open(&args, &writer, err), MM_OK);
        mm_buffer_free(&text);
    }
    if (status == MM_OK)
        status = format->write_end(writer, &out, err);
    format->write_close(writer);
    return status;
}

static void a_file_that_went_on_equals_one_written_in_one_go(void **state)
{
    (void)state;
    mm_batch batch;
    mm_error err = MM_ERROR_INIT;
    make_batch(&batch);
    for (size_t group = 1; group <= ROWS; group = group * 3 + 1) {
        taker once = {0}, again = {0};
        assert_int_equal(write_all(&batch, group, 0, &once, &err), MM_OK);
        for (size_t each = 1; each < 5; each += 3) {
            again.bytes.size = 0;
            assert_int_equal(write_all(&batch, group, each, &again, &err), MM_OK);
            assert_int_equal(once.bytes.size, again.bytes.size);
            assert_memory_equal(once.bytes.data, again.bytes.data, once.bytes.size);
        }
        mm_buffer_free(&once.bytes);
        mm_buffer_free(&again.bytes);
    }
    mm_batch_free(&batch);
}

static void every_refused_put_is_reported(void **state)
{
    (void)state;
    mm_batch batch;
    make_batch(&batch);
    taker all = {0};
    assert_int_equal(write_all(&batch, 400, 0, &all, NULL), MM_OK);
    assert_true(all.puts > 10);
    for (size_t n = 1; n <= all.puts; n++) {
        taker t = {.refuse = n};
        mm_error err = MM_ERROR_INIT;
        assert_int_equal(write_all(&batch, 400, 0, &t, &err), MM_DISK_FULL);
        assert_int_equal(t.puts, n);
        mm_buffer_free(&t.bytes);
    }
    mm_buffer_free(&all.bytes);
    mm_batch_free(&batch);
}

static mm_buffer state_after(const mm_batch *batch, size_t groups)
{
    taker t = {0};
    mm_format_out out = {&t, take};
    mm_format_write_args args = {.schema = &schema};
    mm_format_writer *writer;
    mm_buffer text = MM_BUFFER_INIT;
    assert_int_equal(mm_format_parquet.write_open(&args, &writer, NULL), MM_OK);
    assert_int_equal(mm_format_parquet.write_begin(writer, &out, NULL), MM_OK);
    for (size_t i = 0; i < groups; i++)
        assert_int_equal(mm_format_parquet.write_rows(writer, batch, i, 10, &out, NULL), MM_OK);
    assert_int_equal(mm_format_parquet.write_state(writer, &text, NULL), MM_OK);
    mm_format_parquet.write_close(writer);
    mm_buffer_free(&t.bytes);
    return text;
}

static void a_state_that_is_not_of_this_file_is_refused(void **state)
{
    (void)state;
    mm_batch batch;
    make_batch(&batch);
    mm_buffer text = state_after(&batch, 3);
    mm_format_write_args args = {.schema = &schema};
    mm_format_writer *writer;
    static const char *const foreign[] = {"", "12", "parquet1", "parquet1 ", "parquet1 AAAA", "parquet1 ????"};
    for (size_t i = 0; i < MM_COUNT(foreign); i++) {
        args.state = foreign[i];
        assert_int_equal(mm_format_parquet.write_open(&args, &writer, NULL), MM_CHANGED);
    }
    args.state = text.data;
    for (size_t i = 0; i < text.size; i++) { /* each cut */
        char kept = text.data[i];
        text.data[i] = '\0';
        assert_int_equal(mm_format_parquet.write_open(&args, &writer, NULL), MM_CHANGED);
        text.data[i] = kept;
    }
    mm_field others[MM_COUNT(fields)];
    memcpy(others, fields, sizeof(fields));
    others[2].nullable = false;
    args.schema = &(mm_schema){.name = "c", .fields = others, .field_count = MM_COUNT(fields)};
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_format_parquet.write_open(&args, &writer, &err), MM_CHANGED);
    assert_non_null(strstr(err.text, "other columns"));
    mm_buffer_free(&text);
    mm_batch_free(&batch);
}

static void a_state_is_small(void **state)
{
    (void)state;
    mm_batch batch;
    make_batch(&batch);
    mm_buffer few = state_after(&batch, 10), many = state_after(&batch, 110);
    assert_true((many.size - few.size) / 100 < 120); /* four columns of a row group */
    mm_buffer_free(&few);
    mm_buffer_free(&many);
    mm_batch_free(&batch);
}

static void rows_of_a_fixed_width_are_foreseen(void **state)
{
    (void)state;
    mm_field fixed[] = {{.name = "id", .type = MM_TYPE_INT64}, {.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = 128}};
    mm_schema of_fixed = {.name = "c", .fields = fixed, .field_count = 2};
    uint64_t rows = mm_format_parquet.rows_max(&of_fixed, 526000);
    assert_true(rows >= 990 && rows <= 1000);
    assert_int_equal(mm_format_parquet.rows_max(&of_fixed, 1), 1);
    assert_int_equal(mm_format_parquet.rows_max(&schema, 1 << 20), 0);
}

static void formats_are_found_by_name_and_file(void **state)
{
    (void)state;
    assert_ptr_equal(mm_format_find("parquet"), &mm_format_parquet);
    assert_null(mm_format_find("Parquet file"));
    assert_ptr_equal(mm_format_of_file("/a.b/c.PARQUET"), &mm_format_parquet);
    assert_null(mm_format_of_file("/a.parquet/c"));
    assert_null(mm_format_of_file("parquet"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_read_back),
        cmocka_unit_test(rows_of_one_length_take_a_few_bytes_each),
        cmocka_unit_test(bits_of_any_stretch_read_back),
        cmocka_unit_test(a_struct_has_the_bytes_of_the_compact_protocol),
        cmocka_unit_test(a_file_that_went_on_equals_one_written_in_one_go),
        cmocka_unit_test(every_refused_put_is_reported),
        cmocka_unit_test(a_state_that_is_not_of_this_file_is_refused),
        cmocka_unit_test(a_state_is_small),
        cmocka_unit_test(rows_of_a_fixed_width_are_foreseen),
        cmocka_unit_test(formats_are_found_by_name_and_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
