/* Reading a file forward through a small buffer: checked primitives, each error with the byte where
 * it was found. Knows FAISS's vector encodings, no index type. */
#ifndef MM_SOURCES_FAISS_STREAM_H
#define MM_SOURCES_FAISS_STREAM_H

#include "sources/faiss/file.h"

#define MM_FAISS_BUFFER 16384

typedef struct mm_faiss_stream {
    const mm_input *file;
    uint64_t at;          /* offset of the next byte */
    uint64_t buffered_at; /* offset of buffer[0] */
    size_t buffered;      /* bytes in buffer */
    uint8_t buffer[MM_FAISS_BUFFER];
} mm_faiss_stream;

void mm_faiss_stream_begin(mm_faiss_stream *stream, const mm_input *file, uint64_t offset);

/* Little-endian primitives. `what` names the value in messages ("number of lists"). MM_DATA when
 * the file ends before. */
mm_status mm_faiss_get(mm_faiss_stream *stream, void *out, size_t size, const char *what,
                       mm_error *err) MM_MUST_USE;
mm_status mm_faiss_get_u8(mm_faiss_stream *stream, uint8_t *out, const char *what,
                          mm_error *err) MM_MUST_USE;
mm_status mm_faiss_get_i32(mm_faiss_stream *stream, int32_t *out, const char *what,
                           mm_error *err) MM_MUST_USE;
mm_status mm_faiss_get_u64(mm_faiss_stream *stream, uint64_t *out, const char *what,
                           mm_error *err) MM_MUST_USE;

/* Moves on by count × size bytes without reading them; they must be in the file. */
mm_status mm_faiss_skip(mm_faiss_stream *stream, uint64_t count, uint64_t size, const char *what,
                        mm_error *err) MM_MUST_USE;
/* A FAISS vector (u64 count, then count items of `size` bytes): gives its count and the offset of
 * its first item, and moves past it. Its items must be in the file. count and at may be NULL. */
mm_status mm_faiss_get_vector(mm_faiss_stream *stream, uint64_t size, uint64_t *count,
                              uint64_t *at, const char *what, mm_error *err) MM_MUST_USE;

#endif
