/* Values of columns as JSON text. */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "formats/json_internal.h"
#include "model/array.h"

static const char not_finite[] = "NaN or infinity has no form in JSON";
static const char not_utf8[] = "not UTF-8";
static const char malformed[] = "malformed in memory"; /* an Array or sparse row that is not what batch.h says */

static void put_integer(mm_buffer *out, int64_t value)
{
    char text[MM_NUMBER_TEXT];
    mm_buffer_append(out, text, mm_number_print_int64(value, text));
}

static bool put_float(mm_buffer *out, float value)
{
    char text[MM_NUMBER_TEXT];
    if (!isfinite(value))
        return false;
    mm_buffer_append(out, text, mm_number_print_float(value, text));
    return true;
}

static bool put_double(mm_buffer *out, double value)
{
    char text[MM_NUMBER_TEXT];
    if (!isfinite(value))
        return false;
    mm_buffer_append(out, text, mm_number_print_double(value, text));
    return true;
}

static void put_bool(mm_buffer *out, bool value)
{
    mm_buffer_append(out, value ? "true" : "false", value ? 4 : 5);
}

/* Element `at` of a dense vector. The bytes written; 0: it is not finite. */
static size_t print_element(mm_type type, const uint8_t *bytes, size_t at, char *out)
{
    float single;
    uint16_t half;
    switch (type) {
    case MM_TYPE_FLOAT_VECTOR:
        memcpy(&single, bytes + 4 * at, sizeof(single));
        break;
    case MM_TYPE_FLOAT16_VECTOR:
    case MM_TYPE_BFLOAT16_VECTOR:
        memcpy(&half, bytes + 2 * at, sizeof(half));
        single = type == MM_TYPE_FLOAT16_VECTOR ? mm_half_to_float(half) : mm_bfloat_to_float(half);
        break;
    default:
        return mm_number_print_int64(type == MM_TYPE_INT8_VECTOR ? (int8_t)bytes[at] : (int64_t)bytes[at], out);
    }
    return isfinite(single) ? mm_number_print_float(single, out) : 0;
}

static const char *put_vector(mm_buffer *out, const mm_field *field, const uint8_t *bytes)
{
    char text[2048];
    size_t count = field->type == MM_TYPE_BINARY_VECTOR ? field->dim / 8 : field->dim, used = 0;
    text[used++] = '[';
    for (size_t i = 0; i < count; i++) {
        if (used > sizeof(text) - MM_NUMBER_TEXT - 2) {
            mm_buffer_append(out, text, used);
            used = 0;
        }
        if (i > 0)
            text[used++] = ',';
        size_t size = print_element(field->type, bytes, i, text + used);
        if (size == 0)
            return not_finite;
        used += size;
    }
    text[used++] = ']';
    mm_buffer_append(out, text, used);
    return NULL;
}

/* Pairs of u32 index and f32 value. */
static const char *put_sparse(mm_buffer *out, const uint8_t *bytes, size_t size)
{
    if (size % 8 != 0)
        return malformed;
    mm_buffer_append(out, "{", 1);
    for (size_t at = 0; at < size; at += 8) {
        uint32_t index;
        float value;
        memcpy(&index, bytes + at, sizeof(index));
        memcpy(&value, bytes + at + 4, sizeof(value));
        mm_buffer_append(out, at > 0 ? ",\"" : "\"", at > 0 ? 2 : 1);
        put_integer(out, index);
        mm_buffer_append(out, "\":", 2);
        if (!put_float(out, value))
            return not_finite;
    }
    mm_buffer_append(out, "}", 1);
    return NULL;
}

static const char *put_array(mm_buffer *out, const mm_field *field, const uint8_t *bytes, size_t size)
{
    mm_array_reader reader = mm_array_over(field->element_type, bytes, size);
    mm_array_value value;
    const char *wrong = NULL;
    bool first = true;
    mm_buffer_append(out, "[", 1);
    while (wrong == NULL && mm_array_next(&reader, &value)) {
        if (!first)
            mm_buffer_append(out, ",", 1);
        first = false;
        switch (field->element_type) {
        case MM_TYPE_BOOL:
            put_bool(out, value.integer != 0);
            break;
        case MM_TYPE_FLOAT:
            wrong = put_float(out, value.f32) ? NULL : not_finite;
            break;
        case MM_TYPE_DOUBLE:
            wrong = put_double(out, value.f64) ? NULL : not_finite;
            break;
        case MM_TYPE_VARCHAR:
            wrong = mm_json_put_string(out, (const char *)value.text.data, value.text.size) ? NULL : not_utf8;
            break;
        default:
            put_integer(out, value.integer);
        }
    }
    mm_buffer_append(out, "]", 1);
    return wrong != NULL ? wrong : reader.bad ? malformed : NULL;
}

/* An object stands in place, as it is; any other JSON as a string, as the import wants it, and so that a JSON null is
 * told from a missing value. An object with line ends in it would break a line of jsonl: it is a string as well. */
static const char *put_json(mm_buffer *out, const uint8_t *bytes, size_t size, bool as_text)
{
    const char *text = (const char *)bytes;
    if (!mm_json_valid(text, size))
        return "not JSON";
    if (!as_text && text[0] == '{' && text[size - 1] == '}' && memchr(text, '\n', size) == NULL &&
        memchr(text, '\r', size) == NULL)
        mm_buffer_append(out, text, size);
    else
        mm_json_put_string(out, text, size); /* what is JSON is UTF-8 */
    return NULL;
}

static void put_fixed_integer(mm_buffer *out, mm_type type, const uint8_t *bytes)
{
    int64_t value = 0;
    size_t width = mm_type_width(type, 0);
    int spare = 64 - 8 * (int)width;
    memcpy(&value, bytes, width);
    put_integer(out, (int64_t)((uint64_t)value << spare) >> spare);
}

const char *mm_json_put_value(mm_buffer *out, const mm_column *column, size_t row, bool json_as_text)
{
    const mm_field *field = column->field;
    size_t size = 0;
    float single;
    double number;
    const uint8_t *bytes = mm_column_at(column, row, &size);
    if (bytes == NULL) {
        mm_buffer_append(out, "null", 4);
        return NULL;
    }
    switch (field->type) {
    case MM_TYPE_BOOL:
        put_bool(out, *bytes != 0);
        return NULL;
    case MM_TYPE_INT8:
    case MM_TYPE_INT16:
    case MM_TYPE_INT32:
    case MM_TYPE_INT64:
        put_fixed_integer(out, field->type, bytes);
        return NULL;
    case MM_TYPE_FLOAT:
        memcpy(&single, bytes, sizeof(single));
        return put_float(out, single) ? NULL : not_finite;
    case MM_TYPE_DOUBLE:
        memcpy(&number, bytes, sizeof(number));
        return put_double(out, number) ? NULL : not_finite;
    case MM_TYPE_VARCHAR:
    case MM_TYPE_TEXT:
    case MM_TYPE_GEOMETRY:
    case MM_TYPE_TIMESTAMPTZ:
        return mm_json_put_string(out, (const char *)bytes, size) ? NULL : not_utf8;
    case MM_TYPE_JSON:
        return put_json(out, bytes, size, json_as_text && !field->dynamic);
    case MM_TYPE_ARRAY:
        return put_array(out, field, bytes, size);
    case MM_TYPE_SPARSE_FLOAT_VECTOR:
        return put_sparse(out, bytes, size);
    default:
        return put_vector(out, field, bytes);
    }
}
