/* Array rows: what is written reads back, the bytes are those of protobuf, and rows that are not of their type are
 * bad, never misread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/array.h"

static void a_row_reads_back(mm_type element, const mm_array_value *values, size_t count)
{
    mm_buffer row = MM_BUFFER_INIT;
    mm_array_append(&row, element, values, count);
    assert_false(row.failed);
    mm_array_reader reader = mm_array_over(element, (const uint8_t *)row.data, row.size);
    mm_array_value value;
    for (size_t i = 0; i < count; i++) {
        assert_true(mm_array_next(&reader, &value));
        if (element == MM_TYPE_VARCHAR) {
            assert_int_equal(value.text.size, values[i].text.size);
            assert_memory_equal(value.text.data, values[i].text.data, value.text.size);
        } else if (element == MM_TYPE_FLOAT) {
            assert_memory_equal(&value.f32, &values[i].f32, 4);
        } else {
            assert_memory_equal(&value.integer, &values[i].integer, 8);
        }
    }
    assert_false(mm_array_next(&reader, &value));
    assert_false(reader.bad);
    mm_buffer_free(&row);
}

static void each_element_type_reads_back(void **state)
{
    (void)state;
    static const mm_type integers[] = {MM_TYPE_INT8, MM_TYPE_INT16, MM_TYPE_INT32, MM_TYPE_INT64};
    static const int64_t largest[] = {INT8_MAX, INT16_MAX, INT32_MAX, INT64_MAX};
    for (size_t i = 0; i < MM_COUNT(integers); i++) {
        mm_array_value values[] = {
            {.integer = 0}, {.integer = -1}, {.integer = largest[i]}, {.integer = -largest[i] - 1}};
        for (size_t count = 0; count <= MM_COUNT(values); count++)
            a_row_reads_back(integers[i], values, count);
    }
    a_row_reads_back(MM_TYPE_BOOL, (mm_array_value[]){{.integer = 1}, {.integer = 0}}, 2);
    a_row_reads_back(MM_TYPE_FLOAT, (mm_array_value[]){{.f32 = 1.5f}, {.f32 = -0.0f}}, 2);
    a_row_reads_back(MM_TYPE_DOUBLE, (mm_array_value[]){{.f64 = 1e300}, {.f64 = -2}}, 2);
    a_row_reads_back(MM_TYPE_VARCHAR,
                     (mm_array_value[]){{.text = {(const uint8_t *)"ab", 2}}, {.text = {(const uint8_t *)"", 0}}}, 2);
}

static void the_bytes_are_those_of_protobuf(void **state)
{
    (void)state;
    mm_buffer row = MM_BUFFER_INIT;
    mm_array_append(&row, MM_TYPE_INT16, (mm_array_value[]){{.integer = 1}, {.integer = 300}}, 2);
    assert_int_equal(row.size, 7);
    assert_memory_equal(row.data, "\x12\x05\x0a\x03\x01\xac\x02", 7);
    row.size = 0;
    mm_array_append(&row, MM_TYPE_VARCHAR, (mm_array_value[]){{.text = {(const uint8_t *)"ab", 2}}}, 1);
    assert_memory_equal(row.data, "\x32\x04\x0a\x02" "ab", 6);
    row.size = 0;
    mm_array_append(&row, MM_TYPE_INT64, NULL, 0);
    assert_int_equal(row.size, 2);
    assert_memory_equal(row.data, "\x1a\x00", 2);
    mm_buffer_free(&row);
}

static bool is_bad(mm_type element, const char *bytes, size_t size)
{
    mm_array_reader reader = mm_array_over(element, (const uint8_t *)bytes, size);
    mm_array_value value;
    while (mm_array_next(&reader, &value))
        ;
    return reader.bad;
}

static void rows_of_another_type_or_range_are_bad(void **state)
{
    (void)state;
    assert_true(is_bad(MM_TYPE_INT64, "\x12\x05\x0a\x03\x01\xac\x02", 7)); /* int_data for an Int64 */
    assert_true(is_bad(MM_TYPE_INT8, "\x12\x05\x0a\x03\x01\xac\x02", 7));  /* 300 */
    assert_false(is_bad(MM_TYPE_INT16, "\x12\x05\x0a\x03\x01\xac\x02", 7));
    assert_true(is_bad(MM_TYPE_INT16, "\x12\x05\x0a\x03\x01\xac", 6));         /* cut */
    assert_true(is_bad(MM_TYPE_INT16, "\x12\x04\x0a\x02\x01\xac", 6));         /* cut inside the list */
    assert_true(is_bad(MM_TYPE_FLOAT, "\x22\x05\x0a\x03\x01\xac\x02", 7));     /* three bytes of a float */
    assert_true(is_bad(MM_TYPE_VARCHAR, "\x32\x02\x08\x01", 4));               /* a number for a string */
    assert_false(is_bad(MM_TYPE_INT16, "\x32\x00", 2));                        /* empty, of another type */
    assert_false(is_bad(MM_TYPE_INT16, "\x12\x02\x08\x05", 4));                /* not packed */
    assert_false(is_bad(MM_TYPE_FLOAT, "\x22\x05\x0d\x00\x00\x80\x3f", 7));    /* not packed */
    assert_false(is_bad(MM_TYPE_INT16, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_element_type_reads_back),
        cmocka_unit_test(the_bytes_are_those_of_protobuf),
        cmocka_unit_test(rows_of_another_type_or_range_are_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
