/* Any bytes as a .npy file, becoming a field of any type or the one that it has by itself: refused with words, or read
 * to the end. The first byte chooses the type, the second its dimension. */
#include <stdint.h>

#include "tests/fuzz/read_unit.h"

static const mm_type types[] = {
    MM_TYPE_NONE, /* without a schema */
    MM_TYPE_BOOL, MM_TYPE_INT8, MM_TYPE_INT16, MM_TYPE_INT32, MM_TYPE_INT64, MM_TYPE_FLOAT, MM_TYPE_DOUBLE,
        MM_TYPE_VARCHAR,
    MM_TYPE_ARRAY, MM_TYPE_JSON, MM_TYPE_BINARY_VECTOR, MM_TYPE_FLOAT_VECTOR, MM_TYPE_FLOAT16_VECTOR,
    MM_TYPE_BFLOAT16_VECTOR, MM_TYPE_SPARSE_FLOAT_VECTOR, MM_TYPE_INT8_VECTOR,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static read_unit unit;
    mm_error err = MM_ERROR_INIT;
    if (size < 2)
        return 0;
    mm_field field = {.name = "f", .type = types[data[0] % MM_COUNT(types)], .element_type = MM_TYPE_INT32};
    if (mm_type_is_vector(field.type) && field.type != MM_TYPE_SPARSE_FLOAT_VECTOR)
        field.dim = field.type == MM_TYPE_BINARY_VECTOR ? 8u * (data[1] % 8u + 1) : data[1] % 8u + 1;
    const mm_schema schema = {.name = "s", .fields = &field, .field_count = 1};
    memset(&unit, 0, sizeof(unit));
    mm_status status = read_unit_all(&mm_format_npy, "f", field.type != MM_TYPE_NONE ? &schema : NULL, data + 2,
                                     size - 2,
                                     &unit, &err);
    /* rows stand for bytes: none are made up */
    if (status == MM_OK && unit.rows > size)
        abort();
    return 0;
}
