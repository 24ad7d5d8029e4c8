/* Thrift's compact protocol, read. See parquet_thrift_read.h. */
#include "formats/parquet_thrift_read.h"

#define DEPTH_MAX 32 /* of what is skipped; parquet.thrift nests 6 deep */

mm_thrift_reader mm_thrift_read_over(const void *bytes, size_t size)
{
    const uint8_t *begin = bytes;
    return (mm_thrift_reader){begin, begin, begin + size, NULL, false};
}

void mm_thrift_read_fail(mm_thrift_reader *reader, const char *wrong)
{
    if (reader->wrong == NULL)
        reader->wrong = wrong;
}

static void fail_cut(mm_thrift_reader *reader)
{
    if (reader->wrong == NULL) {
        reader->wrong = "the structure is cut off";
        reader->cut = true;
    }
}

static uint8_t next_byte(mm_thrift_reader *reader)
{
    if (reader->wrong != NULL)
        return 0;
    if (reader->at == reader->end) {
        fail_cut(reader);
        return 0;
    }
    return *reader->at++;
}

static uint64_t next_varint(mm_thrift_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = next_byte(reader);
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return reader->wrong == NULL ? value : 0;
    }
    mm_thrift_read_fail(reader, "a number of more than 64 bits");
    return 0;
}

static int64_t next_zigzag(mm_thrift_reader *reader)
{
    uint64_t value = next_varint(reader);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static void advance(mm_thrift_reader *reader, uint64_t size)
{
    if (reader->wrong != NULL)
        return;
    if (size > (uint64_t)(reader->end - reader->at))
        fail_cut(reader);
    else
        reader->at += size;
}

bool mm_thrift_read_next(mm_thrift_reader *reader, mm_thrift_field *field)
{
    uint8_t head = next_byte(reader);
    field->type = head & 0x0F;
    if (reader->wrong != NULL || field->type == MM_THRIFT_STOP)
        return false;
    if (field->type > MM_THRIFT_STRUCT) {
        mm_thrift_read_fail(reader, "a field of an unknown type");
        return false;
    }
    int64_t id = head >> 4 != 0 ? (int64_t)field->id + (head >> 4) : next_zigzag(reader);
    if (id < 0 || id > INT16_MAX) {
        mm_thrift_read_fail(reader, "a field number out of range");
        return false;
    }
    field->id = (int32_t)id;
    return reader->wrong == NULL;
}

static bool expect(mm_thrift_reader *reader, bool right)
{
    if (!right)
        mm_thrift_read_fail(reader, "a field of another type than the format has");
    return reader->wrong == NULL;
}

bool mm_thrift_read_bool(mm_thrift_reader *reader, const mm_thrift_field *field)
{
    expect(reader, field->type == MM_THRIFT_TRUE || field->type == MM_THRIFT_FALSE);
    return field->type == MM_THRIFT_TRUE;
}

int64_t mm_thrift_read_int(mm_thrift_reader *reader, const mm_thrift_field *field)
{
    if (!expect(reader, field->type >= MM_THRIFT_I8 && field->type <= MM_THRIFT_I64))
        return 0;
    return field->type == MM_THRIFT_I8 ? (int8_t)next_byte(reader) : next_zigzag(reader);
}

int32_t mm_thrift_read_i32(mm_thrift_reader *reader, const mm_thrift_field *field)
{
    int64_t value = mm_thrift_read_int(reader, field);
    if (value < INT32_MIN || value > INT32_MAX) {
        mm_thrift_read_fail(reader, "a number of more than 32 bits");
        return 0;
    }
    return (int32_t)value;
}

const uint8_t *mm_thrift_read_bytes(mm_thrift_reader *reader, const mm_thrift_field *field, size_t *size)
{
    *size = 0;
    if (!expect(reader, field->type == MM_THRIFT_BINARY))
        return NULL;
    uint64_t length = next_varint(reader);
    const uint8_t *bytes = reader->at;
    advance(reader, length);
    if (reader->wrong != NULL)
        return NULL;
    *size = (size_t)length;
    return bytes;
}

/* Every element takes a byte at least, so that a count beyond the bytes that are left is wrong. */
static size_t next_list(mm_thrift_reader *reader, mm_thrift_type *element)
{
    uint8_t head = next_byte(reader);
    uint64_t count = head >> 4 == 15 ? next_varint(reader) : head >> 4;
    *element = head & 0x0F;
    if (count > (uint64_t)(reader->end - reader->at))
        fail_cut(reader);
    return reader->wrong == NULL ? (size_t)count : 0;
}

size_t mm_thrift_read_list(mm_thrift_reader *reader, const mm_thrift_field *field, mm_thrift_type element)
{
    mm_thrift_type found;
    if (!expect(reader, field->type == MM_THRIFT_LIST))
        return 0;
    size_t count = next_list(reader, &found);
    return expect(reader, count == 0 || found == element) ? count : 0;
}

bool mm_thrift_read_struct(mm_thrift_reader *reader, const mm_thrift_field *field)
{
    return expect(reader, field->type == MM_THRIFT_STRUCT);
}

/* What is still to be skipped at one depth: a struct (fields until the stop) or so many elements in turn of the
 * types of `elements` (a map has two). */
typedef struct skipping {
    bool is_struct;
    uint64_t left;
    mm_thrift_type elements[2];
} skipping;

/* One value of a type: simple ones are passed, others become *inner. */
static bool enter(mm_thrift_reader *reader, mm_thrift_type type, bool in_list, skipping *inner)
{
    *inner = (skipping){0};
    switch (type) {
    case MM_THRIFT_TRUE:
    case MM_THRIFT_FALSE:
        advance(reader, in_list ? 1 : 0);
        return false;
    case MM_THRIFT_I8:
        advance(reader, 1);
        return false;
    case MM_THRIFT_I16:
    case MM_THRIFT_I32:
    case MM_THRIFT_I64:
        next_varint(reader);
        return false;
    case MM_THRIFT_DOUBLE:
        advance(reader, 8);
        return false;
    case MM_THRIFT_BINARY:
        advance(reader, next_varint(reader));
        return false;
    case MM_THRIFT_LIST:
    case MM_THRIFT_SET:
        inner->left = next_list(reader, &inner->elements[0]);
        inner->elements[1] = inner->elements[0];
        return inner->left > 0;
    case MM_THRIFT_MAP: {
        uint64_t count = next_varint(reader);
        uint8_t types = count > 0 ? next_byte(reader) : 0;
        if (count > (uint64_t)(reader->end - reader->at))
            fail_cut(reader);
        inner->left = reader->wrong == NULL ? 2 * count : 0;
        inner->elements[0] = types >> 4;
        inner->elements[1] = types & 0x0F;
        return inner->left > 0;
    }
    case MM_THRIFT_STRUCT:
        inner->is_struct = true;
        return true;
    default:
        mm_thrift_read_fail(reader, "a field of an unknown type");
        return false;
    }
}

void mm_thrift_read_skip(mm_thrift_reader *reader, const mm_thrift_field *field)
{
    skipping stack[DEPTH_MAX];
    size_t depth = enter(reader, field->type, false, &stack[0]) ? 1 : 0;
    while (depth > 0 && reader->wrong == NULL) {
        skipping *top = &stack[depth - 1];
        mm_thrift_field inner = {0};
        bool more = top->is_struct ? mm_thrift_read_next(reader, &inner) : top->left > 0;
        if (!more) {
            depth--;
            continue;
        }
        mm_thrift_type type = top->is_struct ? inner.type : top->elements[top->left % 2 == 0 ? 0 : 1];
        if (!top->is_struct)
            top->left--;
        if (depth == DEPTH_MAX)
            mm_thrift_read_fail(reader, "structures nested too deeply");
        else if (enter(reader, type, !top->is_struct, &stack[depth]))
            depth++;
    }
}
