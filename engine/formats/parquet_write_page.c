/* Pages on their way out: compression, checksum, header. */
#include <string.h>

#include "base/crc32.h"
#include "formats/parquet_thrift_write.h"
#include "formats/parquet_write.h"

enum {
    ZSTD_LEVEL = 1,
    WORTH = 8, /* compression pays when it saves an eighth */
    BYTES = 256
};

mm_status mm_parquet_put(mm_format_writer *writer, const mm_format_out *out, const void *bytes, size_t size,
                         mm_error *err)
{
    if (size == 0)
        return MM_OK;
    mm_status status = out->put(out->context, 0, bytes, size, err);
    if (status == MM_OK)
        writer->position += size;
    return status;
}

/* --- compression ------------------------------------------------------------------------------------------------ */

/* The page into writer->packed. */
static mm_status compress(mm_format_writer *writer, const mm_parquet_body *body, mm_error *err)
{
    static const uint8_t zeros[8] = {0};
    mm_buffer *joined = &writer->joined, *packed = &writer->packed;
    joined->size = packed->size = 0;
    mm_buffer_append(joined, body->prefix, body->prefix_size);
    mm_buffer_append(joined, body->values, body->values_size);
    mm_buffer_append(joined, zeros, body->padding);
    if (writer->zstd == NULL)
        writer->zstd = ZSTD_createCCtx();
    size_t room = ZSTD_compressBound(joined->size);
    void *to = mm_buffer_room(packed, room);
    if (joined->failed || writer->zstd == NULL || to == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a page");
    size_t size = ZSTD_compressCCtx(writer->zstd, to, room, joined->data, joined->size, ZSTD_LEVEL);
    if (ZSTD_isError(size))
        return mm_error_set(err, MM_BUG, "zstd: %s", ZSTD_getErrorName(size));
    packed->size = size;
    return MM_OK;
}

mm_status mm_parquet_try_zstd(mm_format_writer *writer, mm_parquet_body *first, bool *pays, mm_error *err)
{
    mm_status status = compress(writer, first, err);
    if (status != MM_OK)
        return status;
    *pays = writer->packed.size <= writer->joined.size - writer->joined.size / WORTH;
    first->packed = true;
    return MM_OK;
}

/* --- headers ---------------------------------------------------------------------------------------------------- */

static void make_header(mm_format_writer *writer, const mm_parquet_column *column, const mm_parquet_body *body,
                        mm_parquet_page type, size_t plain, size_t stored, uint32_t crc)
{
    writer->head.size = 0;
    mm_thrift_writer thrift = mm_thrift_write_to(&writer->head);
    mm_thrift_i32(&thrift, MM_PARQUET_PAGE_TYPE, (int32_t)type);
    mm_thrift_i32(&thrift, MM_PARQUET_PAGE_UNCOMPRESSED, (int32_t)plain);
    mm_thrift_i32(&thrift, MM_PARQUET_PAGE_COMPRESSED, (int32_t)stored);
    mm_thrift_i32(&thrift, MM_PARQUET_PAGE_CRC, (int32_t)crc);
    bool data = type == MM_PARQUET_DATA_PAGE;
    bool indices = data && column->form == MM_PARQUET_INDEX;
    mm_thrift_struct(&thrift, data ? MM_PARQUET_PAGE_DATA : MM_PARQUET_PAGE_DICTIONARY);
    mm_thrift_i32(&thrift, MM_PARQUET_DATA_VALUES, (int32_t)body->levels);
    mm_thrift_i32(&thrift, MM_PARQUET_DATA_ENCODING, indices ? MM_PARQUET_RLE_DICTIONARY : MM_PARQUET_PLAIN);
    if (data) {
        mm_thrift_i32(&thrift, MM_PARQUET_DATA_DEFINITION, MM_PARQUET_RLE);
        mm_thrift_i32(&thrift, MM_PARQUET_DATA_REPETITION, MM_PARQUET_RLE);
    }
    mm_thrift_end(&thrift);
    mm_thrift_end(&thrift);
}

static mm_status put_whole(mm_format_writer *writer, const mm_parquet_column *column, const mm_parquet_body *body,
                           mm_parquet_page type, mm_parquet_chunk *chunk, const mm_format_out *out, mm_error *err)
{
    static const uint8_t zeros[8] = {0};
    size_t plain = body->prefix_size + body->values_size + body->padding, stored = plain;
    mm_status status = chunk->zstd && !body->packed ? compress(writer, body, err) : MM_OK;
    if (status != MM_OK)
        return status;
    uint32_t crc;
    if (chunk->zstd) {
        stored = writer->packed.size;
        crc = mm_crc32(0, writer->packed.data, stored);
    } else {
        crc = mm_crc32(0, body->prefix, body->prefix_size);
        crc = mm_crc32(crc, body->values, body->values_size);
        crc = mm_crc32(crc, zeros, body->padding);
    }
    make_header(writer, column, body, type, plain, stored, crc);
    size_t head = writer->head.size;
    if (chunk->zstd)
        mm_buffer_append(&writer->head, writer->packed.data, stored);
    else
        mm_buffer_append(&writer->head, body->prefix, body->prefix_size);
    if (writer->head.failed)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a page");
    chunk->uncompressed += head + plain;
    chunk->compressed += head + stored;
    status = mm_parquet_put(writer, out, writer->head.data, writer->head.size, err);
    if (status == MM_OK && !chunk->zstd)
        status = mm_parquet_put(writer, out, body->values, body->values_size, err);
    if (status == MM_OK && !chunk->zstd)
        status = mm_parquet_put(writer, out, zeros, body->padding, err);
    return status;
}

mm_status mm_parquet_put_page(mm_format_writer *writer, const mm_parquet_column *column, const mm_parquet_body *body,
                              mm_parquet_chunk *chunk, const mm_format_out *out, mm_error *err)
{
    chunk->values += body->levels;
    return put_whole(writer, column, body, MM_PARQUET_DATA_PAGE, chunk, out, err);
}

/* INT32 values of the bytes 0 to 255 in the order of the bytes, so that a byte is its own index. */
mm_status mm_parquet_put_dictionary(mm_format_writer *writer, const mm_parquet_column *column,
                                    mm_parquet_chunk *chunk, const mm_format_out *out, mm_error *err)
{
    int32_t values[BYTES];
    for (int i = 0; i < BYTES; i++)
        values[i] = column->is_signed && i > INT8_MAX ? i - BYTES : i;
    mm_parquet_body body = {.levels = BYTES, .values = values, .values_size = sizeof(values)};
    mm_status status = put_whole(writer, column, &body, MM_PARQUET_DICTIONARY_PAGE, chunk, out, err);
    chunk->dictionary = chunk->compressed;
    return status;
}
