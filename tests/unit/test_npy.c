/* .npy headers: what is written can be read by the strict reader, each type has the dtype that Milvus's
 * import takes, and malformed headers are refused with the byte. (NumPy itself reads the files in the
 * integration tests.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "formats/npy.h"

static mm_status parse_text(const char *dict, mm_npy_info *out, mm_error *err)
{
    char bytes[512];
    size_t length = strlen(dict), need;
    memcpy(bytes, "\x93NUMPY\1\0", 8);
    bytes[8] = (char)length;
    bytes[9] = 0;
    memcpy(bytes + 10, dict, length);
    memset(bytes + 10 + length, 0, 8);
    return mm_npy_parse(bytes, 10 + length + 8, out, &need, err);
}

static void each_type_has_the_dtype_of_milvus_import(void **state)
{
    (void)state;
    static const struct {
        mm_field field;
        const char *descr;
        uint64_t columns;
        size_t width;
    } rows[] = {
        {{.name = "f", .type = MM_TYPE_BOOL}, "|b1", 0, 1},
        {{.name = "f", .type = MM_TYPE_INT8}, "|i1", 0, 1},
        {{.name = "f", .type = MM_TYPE_INT16}, "<i2", 0, 2},
        {{.name = "f", .type = MM_TYPE_INT32}, "<i4", 0, 4},
        {{.name = "f", .type = MM_TYPE_INT64}, "<i8", 0, 8},
        {{.name = "f", .type = MM_TYPE_FLOAT}, "<f4", 0, 4},
        {{.name = "f", .type = MM_TYPE_DOUBLE}, "<f8", 0, 8},
        {{.name = "f", .type = MM_TYPE_FLOAT_VECTOR, .dim = 7}, "<f4", 7, 28},
        {{.name = "f", .type = MM_TYPE_FLOAT16_VECTOR, .dim = 7}, "|u1", 14, 14},
        {{.name = "f", .type = MM_TYPE_BFLOAT16_VECTOR, .dim = 7}, "|u1", 14, 14},
        {{.name = "f", .type = MM_TYPE_BINARY_VECTOR, .dim = 64}, "|u1", 8, 8},
        {{.name = "f", .type = MM_TYPE_INT8_VECTOR, .dim = 5}, "|i1", 5, 5},
        {{.name = "f", .type = MM_TYPE_VARCHAR, .max_length = 300}, "|S300", 0, 300},
        {{.name = "f", .type = MM_TYPE_JSON, .max_length = 65536}, "|S65536", 0, 65536},
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_npy_column column;
        assert_int_equal(mm_npy_column_of(&rows[i].field, &column, NULL), MM_OK);
        assert_string_equal(column.descr, rows[i].descr);
        assert_int_equal(column.columns, rows[i].columns);
        assert_int_equal(column.width, rows[i].width);
        assert_int_equal(column.text, column.descr[1] == 'S');
    }
}

static void a_field_without_a_form_is_refused_by_name(void **state)
{
    (void)state;
    static const mm_field fields[] = {
        {.name = "tags", .type = MM_TYPE_ARRAY, .element_type = MM_TYPE_INT64},
        {.name = "tags", .type = MM_TYPE_SPARSE_FLOAT_VECTOR},
        {.name = "tags", .type = MM_TYPE_VARCHAR},
        {.name = "tags", .type = (mm_type)999},
        {.name = "tags", .type = MM_TYPE_FLOAT_VECTOR, .dim = 0},
    };
    for (size_t i = 0; i < MM_COUNT(fields); i++) {
        mm_error err = MM_ERROR_INIT;
        mm_npy_column column;
        assert_int_equal(mm_npy_column_of(&fields[i], &column, &err), MM_TARGET);
        assert_non_null(strstr(err.text, "tags"));
    }
}

static void a_header_reads_back_with_any_number_of_rows(void **state)
{
    (void)state;
    static const uint64_t counts[] = {0, 1, 4294967296, 36028797018963967};
    static const mm_field fields[] = {{.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = 32},
                                      {.name = "i", .type = MM_TYPE_INT64}};
    for (size_t i = 0; i < MM_COUNT(counts) * MM_COUNT(fields); i++) {
        uint64_t rows = counts[i / 2];
        mm_npy_column column;
        assert_int_equal(mm_npy_column_of(&fields[i % 2], &column, NULL), MM_OK);
        char header[MM_NPY_HEADER];
        mm_npy_header(&column, rows, header);
        mm_npy_info info;
        size_t need;
        assert_int_equal(mm_npy_parse(header, sizeof(header), &info, &need, NULL), MM_OK);
        assert_int_equal(info.offset, MM_NPY_HEADER);
        assert_int_equal(info.dims, i % 2 ? 1 : 2);
        assert_int_equal(info.shape[0], rows);
        assert_int_equal(info.bytes, rows * column.width);
        assert_false(info.fortran);
        assert_false(info.big_endian);
    }
}

static void the_longest_header_fits(void **state)
{
    (void)state;
    mm_npy_column column = {.columns = UINT64_MAX, .width = 1};
    memcpy(column.descr, "|S4294967295", 13);
    char header[MM_NPY_HEADER];
    mm_npy_header(&column, UINT64_MAX, header);
    assert_int_equal(header[MM_NPY_HEADER - 1], '\n');
    assert_non_null(strstr(header + 10, ", }"));
    assert_int_equal(header[MM_NPY_HEADER - 2], ' ');
}

static void other_spellings_of_numpy_are_read(void **state)
{
    (void)state;
    mm_npy_info info;
    assert_int_equal(parse_text("{\"shape\":(2,3L,4),'descr':'>u2' , 'fortran_order':True}\n", &info, NULL), MM_OK);
    assert_true(info.big_endian);
    assert_true(info.fortran);
    assert_int_equal(info.kind, 'u');
    assert_int_equal(info.bytes, 48);
    assert_int_equal(parse_text("{'descr': '<U5', 'fortran_order': False, 'shape': (), }", &info, NULL), MM_OK);
    assert_int_equal(info.dims, 0);
    assert_int_equal(info.bytes, 20);
}

static void a_malformed_header_is_refused_with_its_byte(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,2,3,4,5,6,7,8,9)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0,9223372036854775807,4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387903,)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|S99999999999', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}",
    };
    for (size_t i = 0; i < MM_COUNT(texts); i++) {
        mm_npy_info info;
        mm_error err = MM_ERROR_INIT;
        assert_int_equal(parse_text(texts[i], &info, &err), MM_DATA);
        assert_non_null(strstr(err.text, "at byte "));
    }
}

static void a_foreign_file_and_a_cut_header_are_told_apart(void **state)
{
    (void)state;
    mm_npy_info info;
    size_t need = 0;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_npy_parse("PK\3\4 no array", 13, &info, &need, &err), MM_DATA);
    assert_int_equal(mm_npy_parse("\x93NUMPY\7\0....", 12, &info, &need, &err), MM_DATA);
    assert_int_equal(mm_npy_parse("\x93NUM", 4, &info, &need, &err), MM_END);
    assert_int_equal(need, 12);
    assert_int_equal(mm_npy_parse("\x93NUMPY\1\0\x76\0{'", 12, &info, &need, &err), MM_END);
    assert_int_equal(need, 10 + 0x76);
    assert_int_equal(mm_npy_parse("\x93NUMPY\2\0\xff\xff\xff\xff", 12, &info, &need, &err), MM_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_has_the_dtype_of_milvus_import),
        cmocka_unit_test(a_field_without_a_form_is_refused_by_name),
        cmocka_unit_test(a_header_reads_back_with_any_number_of_rows),
        cmocka_unit_test(the_longest_header_fits),
        cmocka_unit_test(other_spellings_of_numpy_are_read),
        cmocka_unit_test(a_malformed_header_is_refused_with_its_byte),
        cmocka_unit_test(a_foreign_file_and_a_cut_header_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
