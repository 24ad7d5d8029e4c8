/* The forward reader of FAISS files. Buffers are bounded; counts are checked against the file's size
 * before anything is done with them. */
#include "sources/faiss/stream.h"

#include <inttypes.h>
#include <string.h>

void mm_faiss_stream_begin(mm_faiss_stream *stream, const mm_input *file, uint64_t offset)
{
    stream->file = file;
    stream->at = offset;
    stream->buffered_at = 0;
    stream->buffered = 0;
}

static uint64_t bytes_left(const mm_faiss_stream *stream)
{
    return stream->at < stream->file->size ? stream->file->size - stream->at : 0;
}

/* True when `size` bytes from `at` on are in the buffer. */
static bool in_buffer(const mm_faiss_stream *stream, size_t size)
{
    return stream->at >= stream->buffered_at &&
           stream->at - stream->buffered_at <= stream->buffered &&
           stream->buffered - (size_t)(stream->at - stream->buffered_at) >= size;
}

mm_status mm_faiss_get(mm_faiss_stream *stream, void *out, size_t size, const char *what,
                       mm_error *err)
{
    if (size > sizeof(stream->buffer))
        return mm_error_set(err, MM_BUG, "%s: %zu bytes asked of a buffer of %d", what, size,
                            MM_FAISS_BUFFER);
    if (!in_buffer(stream, size)) {
        uint64_t left = bytes_left(stream);
        if (left < size)
            return mm_faiss_bad(stream->file, stream->at, err,
                                "the file ends after %" PRIu64 " of the %zu bytes of the %s", left,
                                size, what);
        size_t fill = left < sizeof(stream->buffer) ? (size_t)left : sizeof(stream->buffer);
        stream->buffered = 0;
        mm_status status = mm_faiss_read(stream->file, stream->at, stream->buffer, fill, err);
        if (status != MM_OK)
            return status;
        stream->buffered_at = stream->at;
        stream->buffered = fill;
    }
    memcpy(out, stream->buffer + (stream->at - stream->buffered_at), size);
    stream->at += size;
    return MM_OK;
}

mm_status mm_faiss_get_u8(mm_faiss_stream *stream, uint8_t *out, const char *what, mm_error *err)
{
    return mm_faiss_get(stream, out, sizeof(*out), what, err);
}

mm_status mm_faiss_get_i32(mm_faiss_stream *stream, int32_t *out, const char *what, mm_error *err)
{
    return mm_faiss_get(stream, out, sizeof(*out), what, err);
}

mm_status mm_faiss_get_u64(mm_faiss_stream *stream, uint64_t *out, const char *what, mm_error *err)
{
    return mm_faiss_get(stream, out, sizeof(*out), what, err);
}

mm_status mm_faiss_skip(mm_faiss_stream *stream, uint64_t count, uint64_t size, const char *what,
                        mm_error *err)
{
    uint64_t bytes, left = bytes_left(stream);
    if (!mm_mul_u64(count, size, &bytes) || bytes > left)
        return mm_faiss_bad(stream->file, stream->at, err,
                            "the %s: %" PRIu64 " × %" PRIu64
                            " bytes are wanted, the file has %" PRIu64 " more",
                            what, count, size, left);
    stream->at += bytes;
    return MM_OK;
}

mm_status mm_faiss_get_vector(mm_faiss_stream *stream, uint64_t size, uint64_t *count,
                              uint64_t *at, const char *what, mm_error *err)
{
    uint64_t items = 0, start;
    mm_status status = mm_faiss_get_u64(stream, &items, what, err);
    if (status != MM_OK)
        return status;
    start = stream->at;
    status = mm_faiss_skip(stream, items, size, what, err);
    if (status != MM_OK)
        return status;
    if (count != NULL)
        *count = items;
    if (at != NULL)
        *at = start;
    return MM_OK;
}
