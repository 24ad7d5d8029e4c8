/* Many append-only streams of fixed-size records in a bounded piece of memory, backed by one unlinked
 * temporary file. Each stream comes back in the order in which it was appended. Knows nothing of what
 * the records mean. Not thread-safe. */
#ifndef MM_RUN_SPILL_H
#define MM_RUN_SPILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

/* One stream has one chunk in memory: a word for the file offset of the next chunk, then records. A
 * full chunk goes to the file; where the next will stand is settled then, so that the chunks of a
 * stream are a list in the file and memory does not grow with their number. */
typedef struct mm_spill_stream {
    uint64_t *chunk;
    size_t used;     /* records in chunk */
    uint64_t count;  /* records in all */
    uint64_t chunks; /* in the file */
    uint64_t first, next; /* file offsets: of the first chunk, of the one in memory */
} mm_spill_stream;

typedef struct mm_spill {
    const char *dir; /* borrowed */
    int file;        /* -1 until the first chunk is full */
    size_t words;    /* 64-bit words in a record */
    size_t capacity; /* records in a chunk */
    uint64_t end;    /* of the file */
    uint64_t *memory;
    mm_spill_stream *streams;
    size_t stream_count;
} mm_spill;

/* dir: where the temporary file is made; borrowed until close. memory: bytes for all chunks together
 * (at least 16 records a stream are taken). MM_NO_MEMORY. */
mm_status mm_spill_open(const char *dir, size_t streams, size_t words, size_t memory,
                        mm_spill **out, mm_error *err) MM_MUST_USE;
void mm_spill_close(mm_spill *spill); /* NULL is allowed */

/* Writes the full chunk of a stream to the file. MM_DISK_FULL, MM_IO. */
mm_status mm_spill_flush(mm_spill *spill, mm_spill_stream *stream, mm_error *err) MM_MUST_USE;

/* Appends one record of spill->words words. */
static inline mm_status mm_spill_append(mm_spill *spill, size_t number, const uint64_t *record,
                                        size_t words, mm_error *err)
{
    mm_spill_stream *stream = &spill->streams[number];
    if (__builtin_expect(stream->used == spill->capacity, 0)) {
        mm_status status = mm_spill_flush(spill, stream, err);
        if (status != MM_OK)
            return status;
    }
    memcpy(stream->chunk + 1 + stream->used * words, record, words * sizeof *record);
    stream->used++;
    stream->count++;
    return MM_OK;
}

/* Reads one stream from its beginning, chunk by chunk. */
typedef struct mm_spill_reader {
    mm_spill *spill;
    const mm_spill_stream *stream;
    uint64_t *buffer;
    uint64_t chunks_left, offset;
    bool tail_given;
} mm_spill_reader;

mm_status mm_spill_read_open(mm_spill *spill, size_t number, mm_spill_reader *out,
                             mm_error *err) MM_MUST_USE;
/* The next records (valid until the next call); *count 0 at the end. MM_IO. */
mm_status mm_spill_read(mm_spill_reader *reader, const uint64_t **records, size_t *count,
                        mm_error *err) MM_MUST_USE;
void mm_spill_read_close(mm_spill_reader *reader);

#endif
