/* Thrift's compact protocol, writing. See parquet_thrift_write.h. */
#include "formats/parquet_thrift_write.h"

#include <string.h>

#include "base/wire.h"

/* Both encodings' varints are the same: seven bits a byte, lowest first. */
static void put_varint(mm_buffer *out, uint64_t value)
{
    uint8_t bytes[MM_VARINT_MAX];
    mm_buffer_append(out, bytes, (size_t)(mm_varint_put(bytes, value) - bytes));
}

static void put_byte(mm_buffer *out, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    mm_buffer_append(out, &byte, 1);
}

static void put_zigzag(mm_buffer *out, int64_t value)
{
    put_varint(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static void put_bytes(mm_buffer *out, const void *bytes, size_t size)
{
    put_varint(out, size);
    mm_buffer_append(out, bytes, size);
}

/* A field's number is written as the distance from the one before it where that fits into four bits. */
static void put_head(mm_thrift_writer *writer, int field, mm_thrift_type type)
{
    int *last = &writer->last[writer->depth], step = field - *last;
    if (step > 0 && step <= 15) {
        put_byte(writer->out, (unsigned)step << 4 | type);
    } else {
        put_byte(writer->out, type);
        put_zigzag(writer->out, field);
    }
    *last = field;
}

mm_thrift_writer mm_thrift_write_to(mm_buffer *out)
{
    return (mm_thrift_writer){.out = out, .last = {0}, .depth = 0};
}

void mm_thrift_end(mm_thrift_writer *writer)
{
    put_byte(writer->out, MM_THRIFT_STOP);
    if (writer->depth > 0)
        writer->depth--;
}

void mm_thrift_bool(mm_thrift_writer *writer, int field, bool value)
{
    put_head(writer, field, value ? MM_THRIFT_TRUE : MM_THRIFT_FALSE);
}

void mm_thrift_i8(mm_thrift_writer *writer, int field, int8_t value)
{
    put_head(writer, field, MM_THRIFT_I8);
    put_byte(writer->out, (uint8_t)value);
}

void mm_thrift_i16(mm_thrift_writer *writer, int field, int16_t value)
{
    put_head(writer, field, MM_THRIFT_I16);
    put_zigzag(writer->out, value);
}

void mm_thrift_i32(mm_thrift_writer *writer, int field, int32_t value)
{
    put_head(writer, field, MM_THRIFT_I32);
    put_zigzag(writer->out, value);
}

void mm_thrift_i64(mm_thrift_writer *writer, int field, int64_t value)
{
    put_head(writer, field, MM_THRIFT_I64);
    put_zigzag(writer->out, value);
}

void mm_thrift_binary(mm_thrift_writer *writer, int field, const void *bytes, size_t size)
{
    put_head(writer, field, MM_THRIFT_BINARY);
    put_bytes(writer->out, bytes, size);
}

void mm_thrift_text(mm_thrift_writer *writer, int field, const char *text)
{
    mm_thrift_binary(writer, field, text, strlen(text));
}

void mm_thrift_struct(mm_thrift_writer *writer, int field)
{
    put_head(writer, field, MM_THRIFT_STRUCT);
    mm_thrift_element_struct(writer);
}

void mm_thrift_list(mm_thrift_writer *writer, int field, mm_thrift_type element, size_t count)
{
    put_head(writer, field, MM_THRIFT_LIST);
    if (count < 15) {
        put_byte(writer->out, (unsigned)count << 4 | element);
    } else {
        put_byte(writer->out, 15u << 4 | element);
        put_varint(writer->out, count);
    }
}

void mm_thrift_element_i32(mm_thrift_writer *writer, int32_t value)
{
    put_zigzag(writer->out, value);
}

void mm_thrift_element_text(mm_thrift_writer *writer, const char *text)
{
    put_bytes(writer->out, text, strlen(text));
}

void mm_thrift_element_struct(mm_thrift_writer *writer)
{
    if (writer->depth + 1 < MM_THRIFT_DEPTH)
        writer->last[++writer->depth] = 0;
    else
        writer->out->failed = true; /* deeper than anything that Parquet has */
}
