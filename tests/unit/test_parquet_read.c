/* The Parquet reader's parts: Thrift's compact protocol, the hybrid of runs and bit packing, delta encodings, values of
 * each encoding, conversions of numbers. And small whole files whose counts and sizes lie: refused with the byte, and
 * without taking the memory that they speak of. (Files of other writers are read in the integration tests.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/parquet_read_internal.h"
#include "formats/parquet_thrift_read.h"
#include "formats/parquet_thrift_write.h"

/* Bytes at the very end of an allocation, so that a sanitizer sees a read behind them. */
static uint8_t *exact(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* --- Thrift ------------------------------------------------------------------------------------------------------- */

static void what_the_writer_writes_is_read_back(void **state)
{
    (void)state;
    mm_buffer out = MM_BUFFER_INIT;
    mm_thrift_writer w = mm_thrift_write_to(&out);
    mm_thrift_i32(&w, 1, -7);
    mm_thrift_bool(&w, 2, true);
    mm_thrift_list(&w, 40, MM_THRIFT_I32, 20);
    for (int32_t i = 0; i < 20; i++)
        mm_thrift_element_i32(&w, i);
    mm_thrift_struct(&w, 41);
    mm_thrift_i64(&w, 3, INT64_MIN);
    mm_thrift_end(&w);
    mm_thrift_text(&w, 300, "text");
    mm_thrift_end(&w);
    uint8_t *bytes = exact(out.data, out.size);
    mm_thrift_reader r = mm_thrift_read_over(bytes, out.size);
    mm_thrift_field f = {0}, inner = {0};
    size_t size;
    assert_true(mm_thrift_read_next(&r, &f));
    assert_int_equal(mm_thrift_read_i32(&r, &f), -7);
    assert_true(mm_thrift_read_next(&r, &f));
    assert_true(mm_thrift_read_bool(&r, &f));
    assert_true(mm_thrift_read_next(&r, &f));
    assert_int_equal(f.id, 40);
    mm_thrift_read_skip(&r, &f);
    assert_true(mm_thrift_read_next(&r, &f) && mm_thrift_read_struct(&r, &f));
    assert_true(mm_thrift_read_next(&r, &inner));
    assert_int_equal(mm_thrift_read_int(&r, &inner), INT64_MIN);
    assert_false(mm_thrift_read_next(&r, &inner));
    assert_true(mm_thrift_read_next(&r, &f));
    assert_int_equal(f.id, 300);
    assert_memory_equal(mm_thrift_read_bytes(&r, &f, &size), "text", 4);
    assert_false(mm_thrift_read_next(&r, &f));
    assert_null(r.wrong);
    assert_ptr_equal(r.at, r.end);
    /* every beginning of it is cut off, and says so */
    for (size_t length = 0; length < out.size; length++) {
        uint8_t *part = exact(out.data, length);
        r = mm_thrift_read_over(part, length);
        f = (mm_thrift_field){0};
        while (mm_thrift_read_next(&r, &f))
            mm_thrift_read_skip(&r, &f);
        assert_true(r.cut);
        free(part);
    }
    free(bytes);
    mm_buffer_free(&out);
}

static void nesting_and_counts_without_end_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[12];
        size_t size;
    } rows[] = {
        {{0x19, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F}, 7}, /* a list of 2^32 structs */
        {{0x1B, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x55}, 7}, /* a map of 2^32 pairs */
        {{0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F}, 6},       /* bytes */
        {{0x15, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02}, 11}, /* more than 64 bits */
        {{0x1D, 0x00}, 2},                               /* a type that does not exist */
        {{0x05, 0x01, 0x00}, 3},                         /* field -1 */
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        uint8_t *bytes = exact(rows[i].bytes, rows[i].size);
        mm_thrift_reader r = mm_thrift_read_over(bytes, rows[i].size);
        mm_thrift_field f = {0};
        while (mm_thrift_read_next(&r, &f))
            mm_thrift_read_skip(&r, &f);
        assert_non_null(r.wrong);
        free(bytes);
    }
    uint8_t deep[200];
    memset(deep, 0x1C, sizeof(deep)); /* structs in structs */
    mm_thrift_reader r = mm_thrift_read_over(deep, sizeof(deep));
    mm_thrift_field f = {0};
    assert_true(mm_thrift_read_next(&r, &f));
    mm_thrift_read_skip(&r, &f);
    assert_string_equal(r.wrong, "structures nested too deeply");
}

/* --- the hybrid --------------------------------------------------------------------------------------------------- */

static void runs_and_packed_groups_are_read_in_any_pieces(void **state)
{
    (void)state;
    /* 8 values of 3 bits packed (0 to 7, the example of Encodings.md), then 5 times 6 */
    static const uint8_t bytes[] = {0x03, 0x88, 0xC6, 0xFA, 0x0A, 0x06};
    static const uint32_t want[13] = {0, 1, 2, 3, 4, 5, 6, 7, 6, 6, 6, 6, 6};
    uint8_t *copy = exact(bytes, sizeof(bytes));
    for (size_t step = 1; step <= 13; step++) {
        mm_parquet_hybrid h = mm_parquet_hybrid_over(copy, sizeof(bytes), 3);
        mm_parquet_hybrid h8 = h;
        uint32_t out[13];
        uint8_t out8[13];
        for (size_t at = 0; at < 13; at += step) {
            size_t n = 13 - at < step ? 13 - at : step;
            assert_true(mm_parquet_hybrid_u32(&h, out + at, n));
            assert_true(mm_parquet_hybrid_u8(&h8, out8 + at, n));
        }
        assert_memory_equal(out, want, sizeof(want));
        for (size_t i = 0; i < 13; i++)
            assert_int_equal(out8[i], want[i]);
        assert_false(mm_parquet_hybrid_u32(&h, out, 1));
    }
    free(copy);
}

static void levels_of_one_bit_are_spread_to_bytes(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x05, 0xA5, 0x01}; /* two groups: 1 0 1 0 0 1 0 1, 1 0 0 0 0 0 0 0 */
    static const uint8_t want[16] = {1, 0, 1, 0, 0, 1, 0, 1, 1};
    uint8_t *copy = exact(bytes, sizeof(bytes));
    for (size_t first = 0; first <= 16; first++) {
        uint8_t out[16];
        mm_parquet_hybrid h = mm_parquet_hybrid_over(copy, sizeof(bytes), 1);
        assert_true(mm_parquet_hybrid_u8(&h, out, first) && mm_parquet_hybrid_u8(&h, out + first, 16 - first));
        assert_memory_equal(out, want, 16);
    }
    free(copy);
}

static void malformed_runs_end(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[8];
        size_t size;
        unsigned bits;
    } rows[] = {
        {{0}, 0, 1}, {{0x00, 0x00, 0x00, 0x00}, 4, 1}, {{0x03}, 1, 3}, {{0x04}, 1, 9}, {{0x02, 0x09}, 2, 3},
        {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 6, 1},
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        uint32_t out[8];
        uint8_t *copy = exact(rows[i].bytes, rows[i].size);
        mm_parquet_hybrid h = mm_parquet_hybrid_over(copy, rows[i].size, rows[i].bits);
        assert_false(mm_parquet_hybrid_u32(&h, out, 8));
        free(copy);
    }
}

static void a_long_run_is_known_without_unpacking(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0xC8, 0x01, 0x01, 0x02, 0x00}; /* 100 times 1, once 0 */
    mm_parquet_hybrid h = mm_parquet_hybrid_over(bytes, sizeof(bytes), 1);
    uint8_t out[4];
    assert_false(mm_parquet_hybrid_all(&h, 1, 0));
    assert_true(mm_parquet_hybrid_all(&h, 99, 1));
    assert_false(mm_parquet_hybrid_all(&h, 2, 1)); /* and nothing is taken */
    assert_true(mm_parquet_hybrid_u8(&h, out, 2));
    assert_int_equal(out[0], 1);
    assert_int_equal(out[1], 0);
}

/* --- delta -------------------------------------------------------------------------------------------------------- */

static void the_examples_of_the_specification_are_read(void **state)
{
    (void)state;
    /* 1 to 5: no bits at all. 7, 5, 3, 1, 2, 3, 4, 5: two bits. Blocks of 128, 4 miniblocks */
    static const uint8_t rising[] = {0x80, 0x01, 0x04, 0x05, 0x02, 0x02, 0, 0, 0, 0};
    static const uint8_t falling[] = {0x80, 0x01, 0x04, 0x08, 0x0E, 0x03, 2, 0, 0, 0, 0xC0, 0x3F, 0, 0, 0, 0, 0, 0};
    static const int64_t want[] = {7, 5, 3, 1, 2, 3, 4, 5};
    mm_parquet_delta d;
    uint64_t count;
    int64_t out[9];
    uint8_t *copy = exact(rising, sizeof(rising));
    assert_true(mm_parquet_delta_open(&d, copy, sizeof(rising), &count));
    assert_int_equal(count, 5);
    assert_ptr_equal(mm_parquet_delta_end(&d), copy + sizeof(rising));
    assert_true(mm_parquet_delta_next(&d, out, 5));
    for (int i = 0; i < 5; i++)
        assert_int_equal(out[i], i + 1);
    assert_false(mm_parquet_delta_next(&d, out, 1));
    free(copy);
    /* what stands behind the last value may be missing, but not the value */
    for (size_t size = 10; size <= sizeof(falling); size++) {
        copy = exact(falling, size);
        assert_true(mm_parquet_delta_open(&d, copy, size, &count));
        assert_int_equal(mm_parquet_delta_next(&d, out, 8), size >= 12);
        if (size >= 12)
            assert_memory_equal(out, want, sizeof(want));
        free(copy);
    }
}

static void delta_headers_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[8];
        size_t size;
    } rows[] = {
        {{0x00, 0x04, 0x05, 0x02}, 4},                   /* blocks of nothing */
        {{0x80, 0x01, 0x00, 0x05, 0x02}, 5},             /* no miniblocks */
        {{0x80, 0x01, 0x03, 0x05, 0x02}, 5},             /* that do not divide the block */
        {{0x80, 0x01, 0x40, 0x05, 0x02}, 5},             /* of 2 values */
        {{0x80, 0x01, 0x04}, 3},                         /* cut off */
        {{0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0x01, 5, 2}, 8}, /* blocks of 2^35 */
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_parquet_delta d;
        uint64_t count;
        uint8_t *copy = exact(rows[i].bytes, rows[i].size);
        assert_false(mm_parquet_delta_open(&d, copy, rows[i].size, &count));
        free(copy);
    }
    static const uint8_t wide[] = {0x80, 0x01, 0x04, 0x05, 0x02, 0x02, 65, 0, 0, 0, 1, 2, 3};
    mm_parquet_delta d;
    uint64_t count;
    int64_t out[5];
    assert_true(mm_parquet_delta_open(&d, wide, sizeof(wide), &count));
    assert_null(mm_parquet_delta_end(&d));
    assert_false(mm_parquet_delta_next(&d, out, 5));
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static const char *open_values(mm_parquet_values *values, int32_t encoding, int32_t type, const void *bytes,
                               size_t size)
{
    static const mm_parquet_dictionary none = {0};
    memset(values, 0, sizeof(*values));
    return mm_parquet_values_open(values, encoding, type, 3, bytes, size, &none);
}

static void plain_values_end_where_the_page_ends(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {3, 0, 0, 0, 'a', 'b', 'c', 0, 0, 0, 0, 9, 0, 0, 0, 'x'};
    mm_parquet_values v;
    mm_parquet_ref refs[3];
    size_t got;
    uint8_t out[16], *copy = exact(bytes, sizeof(bytes));
    assert_null(open_values(&v, MM_PARQUET_PLAIN, MM_PARQUET_BYTE_ARRAY, copy, sizeof(bytes)));
    assert_null(mm_parquet_values_refs(&v, refs, 2, 100, &got));
    assert_int_equal(got, 2);
    assert_int_equal(refs[0].size, 3);
    assert_memory_equal(refs[0].data, "abc", 3);
    assert_int_equal(refs[1].size, 0);
    assert_non_null(refs[1].data);
    assert_non_null(mm_parquet_values_refs(&v, refs, 1, 100, &got)); /* 9 bytes of one */
    assert_null(open_values(&v, MM_PARQUET_PLAIN, MM_PARQUET_INT64, copy, sizeof(bytes)));
    assert_null(mm_parquet_values_fixed(&v, out, 2));
    assert_non_null(mm_parquet_values_fixed(&v, out, 1));
    assert_null(open_values(&v, MM_PARQUET_PLAIN, MM_PARQUET_BOOLEAN, copy, 1));
    assert_null(mm_parquet_values_fixed(&v, out, 8));
    assert_memory_equal(out, "\1\1\0\0\0\0\0\0", 8);
    assert_non_null(mm_parquet_values_fixed(&v, out, 1));
    free(copy);
}

static void bytes_of_split_streams_are_put_together(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 5, 2, 6, 3, 7, 4, 8};
    mm_parquet_values v;
    uint8_t out[8];
    assert_null(open_values(&v, MM_PARQUET_BYTE_STREAM_SPLIT, MM_PARQUET_FLOAT, bytes, 8));
    assert_null(mm_parquet_values_fixed(&v, out, 1));
    assert_null(mm_parquet_values_fixed(&v, out + 4, 1));
    assert_memory_equal(out, "\1\2\3\4\5\6\7\10", 8);
    assert_non_null(mm_parquet_values_fixed(&v, out, 1));
    assert_non_null(open_values(&v, MM_PARQUET_BYTE_STREAM_SPLIT, MM_PARQUET_FLOAT, bytes, 7));
    assert_non_null(open_values(&v, MM_PARQUET_BYTE_STREAM_SPLIT, MM_PARQUET_BYTE_ARRAY, bytes, 8));
}

static void prefixes_are_put_in_front_of_their_rests(void **state)
{
    (void)state;
    /* "axis", "axle", "babble", "babyhood" of Encodings.md: prefixes 0 2 0 3, suffixes 4 2 6 5 */
    mm_buffer page = MM_BUFFER_INIT;
    /* deltas +2 -2 +3, the least -2: 4 0 5 in 3 bits; and -2 +4 -1: 0 6 1 */
    static const uint8_t prefixes[22] = {0x80, 0x01, 0x04, 4, 0, 0x03, 3, 0, 0, 0, 0x44, 0x01};
    static const uint8_t suffixes[22] = {0x80, 0x01, 0x04, 4, 8, 0x03, 3, 0, 0, 0, 0x70, 0x00};
    mm_buffer_append(&page, prefixes, sizeof(prefixes));
    mm_buffer_append(&page, suffixes, sizeof(suffixes));
    mm_buffer_append(&page, "axislebabbleyhood", 17);
    uint8_t *copy = exact(page.data, page.size);
    static const char *const want[] = {"axis", "axle", "babble", "babyhood"};
    for (size_t step = 1; step <= 4; step++) {
        mm_parquet_values v;
        mm_parquet_ref refs[4];
        size_t got;
        assert_null(open_values(&v, MM_PARQUET_DELTA_BYTE_ARRAY, MM_PARQUET_BYTE_ARRAY, copy, page.size));
        for (size_t at = 0; at < 4; at += got) {
            assert_null(mm_parquet_values_refs(&v, refs, step < 4 - at ? step : 4 - at, 10, &got));
            assert_true(got >= 1);
            for (size_t i = 0; i < got; i++) {
                assert_int_equal(refs[i].size, strlen(want[at + i]));
                assert_memory_equal(refs[i].data, want[at + i], refs[i].size);
            }
        }
        mm_parquet_values_free(&v);
    }
    free(copy);
    mm_buffer_free(&page);
}

static void an_index_beyond_the_dictionary_is_refused(void **state)
{
    (void)state;
    static const uint8_t words[] = {10, 0, 0, 0, 20, 0, 0, 0}, indices[] = {2, 0x02, 0x01, 0x02, 0x02};
    const mm_parquet_dictionary d = {.bytes = words, .count = 2, .there = true};
    mm_parquet_values v = {0};
    uint32_t out[2];
    assert_null(mm_parquet_values_open(&v, MM_PARQUET_RLE_DICTIONARY, MM_PARQUET_INT32, 0, indices, sizeof(indices),
                                       &d));
    assert_null(mm_parquet_values_fixed(&v, (uint8_t *)out, 1));
    assert_int_equal(out[0], 20);
    assert_string_equal(mm_parquet_values_fixed(&v, (uint8_t *)out, 1), "an index beyond the dictionary");
    const mm_parquet_dictionary none = {0};
    assert_non_null(mm_parquet_values_open(&v, MM_PARQUET_PLAIN_DICTIONARY, MM_PARQUET_INT32, 0, indices, 3, &none));
}

static const mm_parquet_leaf decimal = {.kind = MM_PARQUET_KIND_DECIMAL}, real = {.kind = MM_PARQUET_KIND_DOUBLE},
                             integer = {.kind = MM_PARQUET_KIND_INT32, .bits = 32},
                             byte = {.kind = MM_PARQUET_KIND_UINT32, .bits = 8};

/* --- numbers ------------------------------------------------------------------------------------------------------ */

static void decimals_are_big_endian(void **state)
{
    (void)state;
    uint8_t in[16] = {0}, out[8];
    size_t bad = 9;
    int64_t value;
    in[14] = 1, in[15] = 2;
    assert_null(mm_parquet_convert(&decimal, 16, in, 1, MM_TYPE_INT64, false, out, &bad));
    memcpy(&value, out, 8);
    assert_int_equal(value, 258);
    memset(in, 0xFF, 16);
    assert_null(mm_parquet_convert(&decimal, 16, in, 1, MM_TYPE_INT64, false, out, &bad));
    memcpy(&value, out, 8);
    assert_int_equal(value, -1);
    in[8] = 0x7F; /* below the smallest of 64 bits */
    assert_non_null(mm_parquet_convert(&decimal, 16, in, 1, MM_TYPE_INT64, false, out, &bad));
    assert_int_equal(bad, 0);
    assert_null(mm_parquet_convert(&decimal, 3, (const uint8_t *)"\xFF\xFF\xFE", 1, MM_TYPE_INT64, false,
                                   out, &bad));
    memcpy(&value, out, 8);
    assert_int_equal(value, -2);
}

static void the_value_that_does_not_fit_is_named(void **state)
{
    (void)state;
    static const int32_t numbers[] = {0, 127, -128, 128};
    static const double doubles[] = {0.5, 1e39, 0.1};
    uint8_t out[32];
    size_t bad = 9;
    assert_non_null(mm_parquet_convert(&integer, 4, (const uint8_t *)numbers, 4, MM_TYPE_INT8, false, out, &bad));
    assert_int_equal(bad, 3);
    assert_non_null(
        mm_parquet_convert(&integer, 4, (const uint8_t *)numbers, 4, MM_TYPE_BINARY_VECTOR, false, out, &bad));
    assert_int_equal(bad, 2);
    assert_non_null(mm_parquet_convert(&byte, 4, (const uint8_t *)"\1\1\0\0", 1, MM_TYPE_INT64, false, out, &bad));
    assert_null(mm_parquet_convert(&byte, 4, (const uint8_t *)"\xFF\0\0\0", 1, MM_TYPE_INT64, false, out, &bad));
    assert_non_null(mm_parquet_convert(&real, 8, (const uint8_t *)doubles, 3, MM_TYPE_FLOAT, true, out, &bad));
    assert_int_equal(bad, 1);
    assert_null(mm_parquet_convert(&real, 8, (const uint8_t *)(doubles + 2), 1, MM_TYPE_FLOAT, true, out, &bad));
    assert_non_null(
        mm_parquet_convert(&real, 8, (const uint8_t *)(doubles + 2), 1, MM_TYPE_FLOAT, false, out, &bad));
}

/* --- whole files whose numbers lie -------------------------------------------------------------------------------- */

/* A file of one INT32 column with one page. */
typedef struct lying {
    int64_t rows, values, compressed, offset; /* compressed: beyond what it is */
    int32_t page_values, page_uncompressed, page_compressed;
    uint32_t footer; /* 0: its length */
} lying;

static const lying honest = {3, 3, 0, 4, 3, 12, 12, 0};

static void make_file(const lying *l, mm_buffer *file)
{
    static const int32_t values[3] = {5, 6, 7};
    mm_buffer_append(file, "PAR1", 4);
    mm_thrift_writer w = mm_thrift_write_to(file);
    mm_thrift_i32(&w, MM_PARQUET_PAGE_TYPE, MM_PARQUET_DATA_PAGE);
    mm_thrift_i32(&w, MM_PARQUET_PAGE_UNCOMPRESSED, l->page_uncompressed);
    mm_thrift_i32(&w, MM_PARQUET_PAGE_COMPRESSED, l->page_compressed);
    mm_thrift_struct(&w, MM_PARQUET_PAGE_DATA);
    mm_thrift_i32(&w, MM_PARQUET_DATA_VALUES, l->page_values);
    mm_thrift_i32(&w, MM_PARQUET_DATA_ENCODING, MM_PARQUET_PLAIN);
    mm_thrift_i32(&w, MM_PARQUET_DATA_DEFINITION, MM_PARQUET_RLE);
    mm_thrift_i32(&w, MM_PARQUET_DATA_REPETITION, MM_PARQUET_RLE);
    mm_thrift_end(&w);
    mm_thrift_end(&w);
    mm_buffer_append(file, values, sizeof(values));
    int64_t size = (int64_t)file->size - 4;
    uint32_t begin = (uint32_t)file->size;
    w = mm_thrift_write_to(file);
    mm_thrift_i32(&w, MM_PARQUET_FILE_VERSION, 1);
    mm_thrift_list(&w, MM_PARQUET_FILE_SCHEMA, MM_THRIFT_STRUCT, 2);
    mm_thrift_element_struct(&w);
    mm_thrift_text(&w, MM_PARQUET_ELEMENT_NAME, "root");
    mm_thrift_i32(&w, MM_PARQUET_ELEMENT_CHILDREN, 1);
    mm_thrift_end(&w);
    mm_thrift_element_struct(&w);
    mm_thrift_i32(&w, MM_PARQUET_ELEMENT_TYPE, MM_PARQUET_INT32);
    mm_thrift_i32(&w, MM_PARQUET_ELEMENT_REPETITION, MM_PARQUET_REQUIRED);
    mm_thrift_text(&w, MM_PARQUET_ELEMENT_NAME, "x");
    mm_thrift_end(&w);
    mm_thrift_i64(&w, MM_PARQUET_FILE_NUM_ROWS, l->rows);
    mm_thrift_list(&w, MM_PARQUET_FILE_ROW_GROUPS, MM_THRIFT_STRUCT, 1);
    mm_thrift_element_struct(&w);
    mm_thrift_list(&w, MM_PARQUET_GROUP_COLUMNS, MM_THRIFT_STRUCT, 1);
    mm_thrift_element_struct(&w);
    mm_thrift_i64(&w, MM_PARQUET_CHUNK_FILE_OFFSET, 4);
    mm_thrift_struct(&w, MM_PARQUET_CHUNK_META);
    mm_thrift_i32(&w, MM_PARQUET_META_TYPE, MM_PARQUET_INT32);
    mm_thrift_i32(&w, MM_PARQUET_META_CODEC, MM_PARQUET_UNCOMPRESSED);
    mm_thrift_i64(&w, MM_PARQUET_META_VALUES, l->values);
    mm_thrift_i64(&w, MM_PARQUET_META_UNCOMPRESSED, size);
    mm_thrift_i64(&w, MM_PARQUET_META_COMPRESSED, l->compressed < INT64_MAX - size ? l->compressed + size : INT64_MAX);
    mm_thrift_i64(&w, MM_PARQUET_META_DATA_OFFSET, l->offset);
    mm_thrift_end(&w);
    mm_thrift_end(&w);
    mm_thrift_i64(&w, MM_PARQUET_GROUP_BYTES, size);
    mm_thrift_i64(&w, MM_PARQUET_GROUP_ROWS, l->rows);
    mm_thrift_end(&w);
    mm_thrift_end(&w);
    uint32_t length = l->footer > 0 ? l->footer : (uint32_t)file->size - begin;
    mm_buffer_append(file, &length, 4);
    mm_buffer_append(file, "PAR1", 4);
    assert_false(file->failed);
}

static mm_status count_part(void *context, const mm_format_part *part, mm_error *err)
{
    (void)part;
    (void)err;
    (*(size_t *)context)++;
    return MM_OK;
}

/* The status of opening it and reading its first rows. */
static mm_status read_lying(const lying *l, mm_batch *batch, mm_error *err)
{
    mm_buffer file = MM_BUFFER_INIT;
    mm_input *input = NULL;
    mm_format_reader *reader = NULL;
    make_file(l, &file);
    assert_int_equal(mm_input_memory("f", file.data, file.size, &input, err), MM_OK);
    const mm_input *inputs[1] = {input};
    mm_format_read_args args = {.inputs = inputs, .count = 1};
    mm_status status = mm_parquet_read_open(&args, &reader, err);
    if (status == MM_OK) {
        mm_format_part part = {.first = 0, .rows = (uint64_t)l->rows};
        size_t parts = 0;
        assert_int_equal(mm_parquet_read_parts(reader, 1, count_part, &parts, err), MM_OK);
        assert_true(parts <= 10000);
        assert_int_equal(mm_parquet_read_seek(reader, &part, 0, err), MM_OK);
        status = mm_parquet_read_next(reader, 1000, 1 << 20, batch, err);
    }
    mm_parquet_read_close(reader);
    mm_input_close(input);
    mm_buffer_free(&file);
    return status;
}

static void a_small_file_is_read(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_batch batch = {0};
    assert_int_equal(read_lying(&honest, &batch, &err), MM_OK);
    assert_int_equal(batch.rows, 3);
    assert_memory_equal(batch.columns[0].values, "\5\0\0\0\6\0\0\0\7\0\0\0", 12);
    mm_batch_free(&batch);
}

static void numbers_that_lie_are_refused_with_their_byte(void **state)
{
    (void)state;
    static const int64_t large[] = {-1, 4, INT32_MAX, (int64_t)1 << 40 | 1 << 20, INT64_MAX};
    for (size_t i = 0; i < MM_COUNT(large); i++) {
        for (size_t which = 0; which < 9; which++) {
            lying l = honest;
            int32_t small = large[i] > INT32_MAX ? INT32_MAX : (int32_t)large[i];
            int64_t *wide[] = {&l.rows, &l.values, &l.compressed, &l.offset};
            int32_t *narrow[] = {&l.page_values, &l.page_uncompressed, &l.page_compressed};
            if (which < 4)
                *wide[which] = which == 3 && large[i] == 4 ? 5 : large[i];
            else if (which < 7)
                *narrow[which - 4] = small;
            else if (which == 7)
                l.footer = (uint32_t)large[i];
            else
                l.rows = l.values = large[i] > 0 ? large[i] : 1 << 30; /* more rows than bytes for them */
            if (which == 2 && large[i] == -1)
                l.compressed = -2;
            mm_error err = MM_ERROR_INIT;
            mm_batch batch = {0};
            mm_status status = read_lying(&l, &batch, &err);
            if (status != MM_DATA)
                print_error("number %zu, field %zu: %s\n", i, which, err.text);
            assert_int_equal(status, MM_DATA);
            assert_ptr_equal(strstr(err.text, "f: byte "), err.text);
            assert_true(batch.arena.reserved < 64 << 20);
            mm_batch_free(&batch);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_writer_writes_is_read_back),
        cmocka_unit_test(nesting_and_counts_without_end_are_refused),
        cmocka_unit_test(runs_and_packed_groups_are_read_in_any_pieces),
        cmocka_unit_test(levels_of_one_bit_are_spread_to_bytes),
        cmocka_unit_test(malformed_runs_end),
        cmocka_unit_test(a_long_run_is_known_without_unpacking),
        cmocka_unit_test(the_examples_of_the_specification_are_read),
        cmocka_unit_test(delta_headers_that_lie_are_refused),
        cmocka_unit_test(plain_values_end_where_the_page_ends),
        cmocka_unit_test(bytes_of_split_streams_are_put_together),
        cmocka_unit_test(prefixes_are_put_in_front_of_their_rests),
        cmocka_unit_test(an_index_beyond_the_dictionary_is_refused),
        cmocka_unit_test(decimals_are_big_endian),
        cmocka_unit_test(the_value_that_does_not_fit_is_named),
        cmocka_unit_test(a_small_file_is_read),
        cmocka_unit_test(numbers_that_lie_are_refused_with_their_byte),
    };
    return cmocka_run_group_tests_name("parquet_read", tests, NULL, NULL);
}
