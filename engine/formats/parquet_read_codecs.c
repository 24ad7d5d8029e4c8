/* Decompression of pages: parquet-format, Compression.md. Knows no page. */
#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "formats/parquet_read_internal.h"

const char *mm_parquet_codec_refused(int32_t codec)
{
    switch (codec) {
    case MM_PARQUET_UNCOMPRESSED:
    case MM_PARQUET_SNAPPY:
    case MM_PARQUET_GZIP:
    case MM_PARQUET_ZSTD:
    case MM_PARQUET_LZ4_RAW:
        return NULL;
    case MM_PARQUET_LZO:
        return "LZO";
    case MM_PARQUET_BROTLI:
        return "BROTLI";
    case MM_PARQUET_LZ4:
        return "LZ4 (the deprecated framing of Hadoop)";
    default:
        return "unknown";
    }
}

/* GZIP is RFC 1952, perhaps of several members; zlib's own framing is met too. */
static bool inflate_all(const uint8_t *in, size_t size, uint8_t *out, size_t out_size)
{
    z_stream stream = {0};
    if (inflateInit2(&stream, 15 + 32) != Z_OK)
        return false;
    union {
        const uint8_t *in;
        Bytef *out;
    } next = {in};
    stream.next_in = next.out;
    stream.avail_in = (uInt)size; /* at most MM_PARQUET_PAGE_MAX */
    stream.next_out = out;
    stream.avail_out = (uInt)out_size;
    int result = Z_OK;
    while (result == Z_OK) {
        result = inflate(&stream, Z_FINISH);
        if (result == Z_STREAM_END && stream.avail_in > 0 && stream.avail_out > 0)
            result = inflateReset(&stream);
    }
    bool whole = result == Z_STREAM_END && stream.avail_out == 0;
    inflateEnd(&stream);
    return whole;
}

bool mm_parquet_decompress(int32_t codec, const uint8_t *in, size_t size, uint8_t *out, size_t out_size)
{
    size_t length = out_size;
    switch (codec) {
    case MM_PARQUET_SNAPPY:
        return snappy_uncompressed_length((const char *)in, size, &length) == SNAPPY_OK && length == out_size &&
               snappy_uncompress((const char *)in, size, (char *)out, &length) == SNAPPY_OK;
    case MM_PARQUET_GZIP:
        return inflate_all(in, size, out, out_size);
    case MM_PARQUET_ZSTD:
        return ZSTD_decompress(out, out_size, in, size) == out_size;
    case MM_PARQUET_LZ4_RAW:
        return LZ4_decompress_safe((const char *)in, (char *)out, (int)size, (int)out_size) == (int)out_size;
    default:
        return false;
    }
}
