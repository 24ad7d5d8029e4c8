/* JSON values into columns, by the field's type. What does not fit is MM_DATA with the byte and the field. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "formats/json_internal.h"
#include "model/array.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a row of JSON");
}

/* --- numbers ---------------------------------------------------------------------------------------------------- */

static mm_status read_integer(mm_json *json, int bits, int64_t *out, mm_error *err)
{
    mm_number number;
    mm_status status = mm_json_number(json, &number, err);
    if (status != MM_OK)
        return status;
    int spare = 64 - bits;
    if (!mm_number_int64(&number, out) || (int64_t)((uint64_t)*out << spare) >> spare != *out)
        return mm_json_bad(json, number.text, err, "%.*s is no integer of %d bits",
                           (int)(number.size < 40 ? number.size : 40), (const char *)number.text, bits);
    return MM_OK;
}

static mm_status read_double(mm_json *json, double *out, mm_error *err)
{
    mm_number number;
    mm_status status = mm_json_number(json, &number, err);
    if (status != MM_OK)
        return status;
    *out = mm_number_double(&number);
    if (!isfinite(*out))
        return mm_json_bad(json, number.text, err, "a number beyond the range of a double");
    return MM_OK;
}

static mm_status read_float(mm_json *json, float *out, mm_error *err)
{
    mm_number number;
    mm_status status = mm_json_number(json, &number, err);
    if (status != MM_OK)
        return status;
    *out = mm_number_float(&number);
    if (!isfinite(*out))
        return mm_json_bad(json, number.text, err, "a number beyond the range of a float");
    return MM_OK;
}

static mm_status read_scalar(mm_json *json, mm_type type, uint8_t *to, mm_error *err)
{
    int64_t integer = 0;
    double number;
    float single;
    bool truth;
    size_t width = mm_type_width(type, 0);
    mm_status status;
    switch (type) {
    case MM_TYPE_BOOL:
        status = mm_json_bool(json, &truth, err);
        if (status == MM_OK)
            *to = truth;
        return status;
    case MM_TYPE_FLOAT:
        status = read_float(json, &single, err);
        if (status == MM_OK)
            memcpy(to, &single, sizeof(single));
        return status;
    case MM_TYPE_DOUBLE:
        status = read_double(json, &number, err);
        if (status == MM_OK)
            memcpy(to, &number, sizeof(number));
        return status;
    default:
        status = read_integer(json, 8 * (int)width, &integer, err);
        if (status == MM_OK)
            memcpy(to, &integer, width); /* little-endian: the low bytes first */
        return status;
    }
}

/* --- dense vectors ---------------------------------------------------------------------------------------------- */

static mm_status read_element(mm_json *json, mm_type type, uint8_t *to, mm_error *err)
{
    mm_number number;
    int64_t integer = 0;
    mm_status status = mm_json_number(json, &number, err);
    if (status != MM_OK)
        return status;
    if (type == MM_TYPE_FLOAT16_VECTOR || type == MM_TYPE_BFLOAT16_VECTOR) {
        double value = mm_number_double(&number);
        uint16_t half = type == MM_TYPE_FLOAT16_VECTOR ? mm_half_from_double(value) : mm_bfloat_from_double(value);
        uint16_t exponent = type == MM_TYPE_FLOAT16_VECTOR ? 0x7C00 : 0x7F80;
        if ((half & exponent) == exponent)
            return mm_json_bad(json, number.text, err, "a number beyond the range of a 16-bit float");
        memcpy(to, &half, sizeof(half));
        return MM_OK;
    }
    int64_t low = type == MM_TYPE_INT8_VECTOR ? INT8_MIN : 0, high = type == MM_TYPE_INT8_VECTOR ? INT8_MAX : UINT8_MAX;
    if (!mm_number_int64(&number, &integer) || integer < low || integer > high)
        return mm_json_bad(json, number.text, err, "an integer from %d to %d is wanted", (int)low, (int)high);
    *to = (uint8_t)integer;
    return MM_OK;
}

static mm_status read_vector(mm_json *json, const mm_field *field, uint8_t *to, mm_error *err)
{
    size_t count = field->type == MM_TYPE_BINARY_VECTOR ? field->dim / 8 : field->dim, n = 0;
    size_t width = mm_type_width(field->type, field->dim) / (count > 0 ? count : 1);
    mm_status status;
    if (field->type == MM_TYPE_FLOAT_VECTOR) {
        status = mm_json_floats(json, (float *)(void *)to, count, &n, err);
    } else {
        bool more;
        status = mm_json_enter(json, MM_JSON_ARRAY, err);
        while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
            if (n == count)
                return mm_json_bad(json, json->at, err, "more than %zu numbers", count);
            status = read_element(json, field->type, to + n * width, err);
            n++;
        }
    }
    if (status == MM_OK && n != count)
        return mm_json_bad(json, json->at, err, "%zu numbers instead of %zu", n, count);
    return status;
}

/* --- sparse vectors --------------------------------------------------------------------------------------------- */

/* A row in memory: pairs of u32 index, f32 value, ascending by index. */
typedef struct pair {
    uint32_t index;
    float value;
} pair;

static int compare_pairs(const void *a, const void *b)
{
    uint32_t left = ((const pair *)a)->index, right = ((const pair *)b)->index;
    return left < right ? -1 : left > right;
}

static mm_status index_of(const mm_json *json, const char *text, size_t size, uint32_t *out, mm_error *err)
{
    uint64_t index = 0;
    size_t at = 0;
    while (at < size && at < 10 && text[at] >= '0' && text[at] <= '9')
        index = index * 10 + (uint64_t)(text[at++] - '0');
    if (at == 0 || at < size || index >= UINT32_MAX) {
        char shown[MM_JSON_SHOWN];
        mm_json_show(text, size, shown);
        return mm_json_bad(json, json->at, err, "`%s` is no index of a sparse vector", shown);
    }
    *out = (uint32_t)index;
    return MM_OK;
}

/* [1, 2, …] into the indices or the values of the pairs from `begin` on. */
static mm_status read_half(mm_json *json, mm_buffer *bytes, size_t begin, bool indices, size_t *count, mm_error *err)
{
    bool more;
    size_t n = 0;
    mm_status status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
        pair p = {0, 0};
        int64_t index = 0;
        if (indices)
            status = read_integer(json, 64, &index, err);
        else
            status = read_float(json, &p.value, err);
        if (status != MM_OK)
            return status;
        if (index < 0 || index >= UINT32_MAX)
            return mm_json_bad(json, json->at, err, "an index of a sparse vector is out of range");
        p.index = (uint32_t)index;
        if (begin + n * sizeof(p) == bytes->size)
            mm_buffer_append(bytes, &p, sizeof(p));
        if (bytes->failed)
            return no_memory(err);
        char *there = bytes->data + begin + n * sizeof(p);
        if (indices)
            memcpy(there, &p.index, sizeof(p.index));
        else
            memcpy(there + sizeof(p.index), &p.value, sizeof(p.value));
        n++;
    }
    *count = n;
    return status;
}

static mm_status read_pairs(mm_json *json, mm_buffer *bytes, size_t begin, mm_error *err)
{
    const char *key;
    size_t size, counts[2] = {SIZE_MAX, SIZE_MAX};
    bool more;
    mm_status status = mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(json, &key, &size, &more, err)) == MM_OK && more) {
        bool indices = size == 7 && memcmp(key, "indices", 7) == 0;
        pair p;
        if (indices || (size == 6 && memcmp(key, "values", 6) == 0)) {
            if (counts[indices] != SIZE_MAX || (counts[!indices] == SIZE_MAX && bytes->size > begin))
                return mm_json_bad(json, json->at, err, "a sparse vector is {index: value, …} or {indices, values}");
            status = read_half(json, bytes, begin, indices, &counts[indices], err);
            continue;
        }
        if (counts[0] != SIZE_MAX || counts[1] != SIZE_MAX)
            return mm_json_bad(json, json->at, err, "a sparse vector is {index: value, …} or {indices, values}");
        status = index_of(json, key, size, &p.index, err);
        if (status == MM_OK)
            status = read_float(json, &p.value, err);
        if (status == MM_OK)
            mm_buffer_append(bytes, &p, sizeof(p));
    }
    if (status == MM_OK && counts[0] != counts[1])
        return mm_json_bad(json, json->at, err, "a sparse vector needs as many indices as values");
    return status;
}

mm_status mm_json_read_sparse(mm_json *json, mm_buffer *bytes, mm_error *err)
{
    size_t begin = bytes->size;
    mm_status status = read_pairs(json, bytes, begin, err);
    if (status != MM_OK || bytes->failed)
        return status;
    /* rows begin at multiples of 8: the buffer holds nothing but pairs */
    pair *pairs = bytes->size > begin ? (pair *)(void *)(bytes->data + begin) : NULL;
    size_t count = (bytes->size - begin) / sizeof(pair);
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = pairs[i - 1].index < pairs[i].index;
    if (!sorted)
        qsort(pairs, count, sizeof(pair), compare_pairs);
    for (size_t i = 1; i < count && !sorted; i++)
        if (pairs[i - 1].index == pairs[i].index)
            return mm_json_bad(json, json->at, err, "index %u of a sparse vector stands there twice", pairs[i].index);
    return MM_OK;
}

/* --- arrays ----------------------------------------------------------------------------------------------------- */

static mm_status read_item(mm_json *json, mm_json_cell *cell, mm_array_value *value, mm_error *err)
{
    mm_type type = cell->column->field->element_type;
    const char *text;
    bool truth;
    mm_status status;
    switch (type) {
    case MM_TYPE_BOOL:
        status = mm_json_bool(json, &truth, err);
        if (status == MM_OK)
            value->integer = truth;
        return status;
    case MM_TYPE_FLOAT:
        return read_float(json, &value->f32, err);
    case MM_TYPE_DOUBLE:
        return read_double(json, &value->f64, err);
    case MM_TYPE_VARCHAR:
        status = mm_json_string(json, &text, &value->text.size, err);
        if (status == MM_OK)
            mm_buffer_append(&cell->texts, text, value->text.size);
        return status;
    default:
        return read_integer(json, 8 * (int)mm_type_width(type, 0), &value->integer, err);
    }
}

static mm_status read_array(mm_json *json, mm_json_cell *cell, mm_error *err)
{
    bool more;
    mm_type type = cell->column->field->element_type;
    cell->elements.size = cell->texts.size = 0;
    mm_status status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
        mm_array_value value = {0};
        status = read_item(json, cell, &value, err);
        if (status == MM_OK)
            mm_buffer_append(&cell->elements, &value, sizeof(value));
    }
    if (status != MM_OK)
        return status;
    if (cell->elements.failed || cell->texts.failed)
        return no_memory(err);
    mm_array_value *values = (mm_array_value *)(void *)cell->elements.data;
    size_t count = cell->elements.size / sizeof(*values), at = 0;
    for (size_t i = 0; type == MM_TYPE_VARCHAR && i < count; i++) { /* the texts do not move any more */
        values[i].text.data = (const uint8_t *)cell->texts.data + at;
        at += values[i].text.size;
    }
    mm_array_append(&cell->bytes, type, values, count);
    return MM_OK;
}

/* --- texts ------------------------------------------------------------------------------------------------------ */

/* A string is JSON text, as Milvus's import has it; anything else is JSON as it stands there. */
static mm_status read_json(mm_json *json, mm_buffer *bytes, bool object, mm_error *err)
{
    mm_json_kind kind;
    const char *text;
    size_t size;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status != MM_OK)
        return status;
    const uint8_t *begin = json->at;
    status = kind == MM_JSON_STRING ? mm_json_string(json, &text, &size, err) : mm_json_skip(json, &text, &size, err);
    if (status != MM_OK)
        return status;
    if (kind == MM_JSON_STRING && !mm_json_valid(text, size))
        return mm_json_bad(json, begin, err, "a string that holds no JSON");
    if (object && (size == 0 || text[0] != '{'))
        return mm_json_bad(json, begin, err, "an object is wanted");
    mm_buffer_append(bytes, text, size);
    return MM_OK;
}

mm_status mm_json_read_cell(mm_json *json, mm_json_cell *cell, size_t row, mm_error *err)
{
    const mm_field *field = cell->column->field;
    const char *text;
    size_t size;
    mm_status status;
    switch (field->type) {
    case MM_TYPE_VARCHAR:
    case MM_TYPE_TEXT:
    case MM_TYPE_GEOMETRY:
    case MM_TYPE_TIMESTAMPTZ:
        status = mm_json_string(json, &text, &size, err);
        if (status == MM_OK)
            mm_buffer_append(&cell->bytes, text, size);
        break;
    case MM_TYPE_JSON:
        status = read_json(json, &cell->bytes, field->dynamic, err);
        break;
    case MM_TYPE_ARRAY:
        status = read_array(json, cell, err);
        break;
    case MM_TYPE_SPARSE_FLOAT_VECTOR:
        status = mm_json_read_sparse(json, &cell->bytes, err);
        break;
    default: {
        size_t width = mm_type_width(field->type, field->dim);
        uint8_t *to = cell->column->values + row * width;
        status = mm_type_is_vector(field->type) ? read_vector(json, field, to, err)
                                                : read_scalar(json, field->type, to, err);
    }
    }
    if (status == MM_OK && cell->bytes.failed)
        return no_memory(err);
    return status;
}
