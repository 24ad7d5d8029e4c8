/* Array rows. See array.h. */
#include "model/array.h"

#include <string.h>

enum { SLOT_LAST = 12 };

/* The member of ScalarField that holds elements of a type; 0: none. */
static uint32_t slot_of(mm_type element)
{
    switch (element) {
    case MM_TYPE_BOOL:
        return 1;
    case MM_TYPE_INT8:
    case MM_TYPE_INT16:
    case MM_TYPE_INT32:
        return 2;
    case MM_TYPE_INT64:
        return 3;
    case MM_TYPE_FLOAT:
        return 4;
    case MM_TYPE_DOUBLE:
        return 5;
    case MM_TYPE_VARCHAR:
        return 6;
    default:
        return 0;
    }
}

bool mm_array_element_valid(mm_type element)
{
    return slot_of(element) != 0;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

mm_array_reader mm_array_over(mm_type element, const uint8_t *row, size_t size)
{
    return (mm_array_reader){
        .element = element, .slots = mm_wire_over(row, size), .values = {0}, .packed = {0}, .bad = false};
}

static bool fail(mm_array_reader *reader)
{
    reader->bad = true;
    reader->slots.at = reader->slots.end;
    reader->values.at = reader->values.end;
    reader->packed.at = reader->packed.end;
    return false;
}

/* Enters the next slot; one of another type is fine while it is empty. */
static bool next_slot(mm_array_reader *reader)
{
    mm_wire_field field;
    while (mm_wire_next(&reader->slots, &field)) {
        if (field.type != MM_WIRE_BYTES || field.number > SLOT_LAST || field.size == 0)
            continue;
        if (field.number != slot_of(reader->element))
            return fail(reader);
        reader->values = mm_wire_over(field.data, field.size);
        return true;
    }
    return reader->slots.bad ? fail(reader) : false;
}

static bool take_integer(mm_array_reader *reader, uint64_t raw, mm_array_value *value)
{
    int64_t number = (int64_t)raw;
    int64_t limit = reader->element == MM_TYPE_INT8    ? INT8_MAX
                    : reader->element == MM_TYPE_INT16 ? INT16_MAX
                    : reader->element == MM_TYPE_INT32 ? INT32_MAX
                                                       : INT64_MAX;
    if (reader->element == MM_TYPE_BOOL)
        number = number != 0;
    else if (number > limit || number < -limit - 1)
        return fail(reader);
    value->integer = number;
    return true;
}

static bool take_fixed(mm_array_reader *reader, const uint8_t *bytes, mm_array_value *value)
{
    if (reader->element == MM_TYPE_FLOAT)
        memcpy(&value->f32, bytes, sizeof(value->f32));
    else
        memcpy(&value->f64, bytes, sizeof(value->f64));
    return true;
}

/* One value of a packed list; the list has bytes left. */
static bool next_packed(mm_array_reader *reader, mm_array_value *value)
{
    uint64_t raw;
    size_t width = reader->element == MM_TYPE_FLOAT ? 4 : reader->element == MM_TYPE_DOUBLE ? 8 : 0;
    if (width == 0)
        return mm_wire_varint(&reader->packed, &raw) ? take_integer(reader, raw, value) : fail(reader);
    if ((size_t)(reader->packed.end - reader->packed.at) < width)
        return fail(reader);
    reader->packed.at += width;
    return take_fixed(reader, reader->packed.at - width, value);
}

bool mm_array_next(mm_array_reader *reader, mm_array_value *value)
{
    mm_wire_field field;
    for (;;) {
        if (reader->packed.at != reader->packed.end)
            return next_packed(reader, value);
        if (!mm_wire_next(&reader->values, &field)) {
            if (reader->values.bad)
                return fail(reader);
            if (!next_slot(reader))
                return false;
            continue;
        }
        if (field.number != 1)
            continue;
        bool fixed = reader->element == MM_TYPE_FLOAT || reader->element == MM_TYPE_DOUBLE;
        if (reader->element == MM_TYPE_VARCHAR) {
            value->text.data = field.data;
            value->text.size = field.size;
            return field.type == MM_WIRE_BYTES ? true : fail(reader);
        }
        if (field.type == MM_WIRE_BYTES)
            reader->packed = mm_wire_over(field.data, field.size);
        else if (!fixed && field.type == MM_WIRE_VARINT)
            return take_integer(reader, field.value, value);
        else if (field.type == (reader->element == MM_TYPE_FLOAT ? MM_WIRE_FIXED32 : MM_WIRE_FIXED64) && fixed)
            return take_fixed(reader, (const uint8_t *)&field.value, value);
        else
            return fail(reader);
    }
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void put_length(mm_buffer *out, uint32_t number, size_t length)
{
    uint8_t bytes[2 * MM_VARINT_MAX];
    uint8_t *end = mm_varint_put(bytes, (uint64_t)number << 3 | MM_WIRE_BYTES);
    end = mm_varint_put(end, length);
    mm_buffer_append(out, bytes, (size_t)(end - bytes));
}

/* Bytes of all elements inside the slot's message: of the packed list, or of the strings with their headers. */
static size_t elements_size(mm_type element, const mm_array_value *values, size_t count)
{
    size_t size = 0;
    if (element == MM_TYPE_FLOAT || element == MM_TYPE_DOUBLE)
        return count * (element == MM_TYPE_FLOAT ? 4 : 8);
    for (size_t i = 0; i < count; i++) {
        if (element == MM_TYPE_VARCHAR)
            size += 1 + mm_varint_size(values[i].text.size) + values[i].text.size;
        else
            size += mm_varint_size((uint64_t)values[i].integer);
    }
    return size;
}

static void put_element(mm_buffer *out, mm_type element, const mm_array_value *value)
{
    uint8_t bytes[MM_VARINT_MAX];
    if (element == MM_TYPE_FLOAT) {
        mm_buffer_append(out, &value->f32, sizeof(value->f32));
    } else if (element == MM_TYPE_DOUBLE) {
        mm_buffer_append(out, &value->f64, sizeof(value->f64));
    } else if (element == MM_TYPE_VARCHAR) {
        put_length(out, 1, value->text.size);
        if (value->text.size > 0)
            mm_buffer_append(out, value->text.data, value->text.size);
    } else {
        mm_buffer_append(out, bytes, (size_t)(mm_varint_put(bytes, (uint64_t)value->integer) - bytes));
    }
}

/* An array without elements has its slot all the same: Milvus's server tells the type by it. */
void mm_array_append(mm_buffer *out, mm_type element, const mm_array_value *values, size_t count)
{
    size_t size = elements_size(element, values, count);
    bool packed = element != MM_TYPE_VARCHAR && count > 0;
    put_length(out, slot_of(element), packed ? 1 + mm_varint_size(size) + size : size);
    if (packed)
        put_length(out, 1, size);
    for (size_t i = 0; i < count; i++)
        put_element(out, element, &values[i]);
}
