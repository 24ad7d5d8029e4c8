/* Streams of records that spill to a temporary file (spill.h). */
#include "run/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"

#define MM_SPILL_RECORDS_MIN 16

static size_t mm_spill_chunk_words(const mm_spill *spill)
{
    return 1 + spill->capacity * spill->words;
}

static mm_status mm_spill_no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a temporary stream");
}

mm_status mm_spill_open(const char *dir, size_t streams, size_t words, size_t memory,
                        mm_spill **out, mm_error *err)
{
    size_t capacity = memory / streams / sizeof(uint64_t) / words;
    if (capacity < MM_SPILL_RECORDS_MIN)
        capacity = MM_SPILL_RECORDS_MIN;
    mm_spill *spill = calloc(1, sizeof *spill);
    if (spill == NULL)
        return mm_spill_no_memory(err);
    *spill = (mm_spill){.dir = dir, .file = -1, .words = words, .capacity = capacity,
                        .stream_count = streams};
    /* not cleared: what is never used is never made resident */
    spill->memory = reallocarray(NULL, streams, mm_spill_chunk_words(spill) * sizeof(uint64_t));
    spill->streams = calloc(streams, sizeof *spill->streams);
    if (spill->memory == NULL || spill->streams == NULL) {
        mm_spill_close(spill);
        return mm_spill_no_memory(err);
    }
    for (size_t i = 0; i < streams; i++)
        spill->streams[i].chunk = spill->memory + i * mm_spill_chunk_words(spill);
    *out = spill;
    return MM_OK;
}

void mm_spill_close(mm_spill *spill)
{
    if (spill == NULL)
        return;
    if (spill->file >= 0)
        close(spill->file);
    free(spill->memory);
    free(spill->streams);
    free(spill);
}

/* A file without a name: it is gone when the process is, however that ends. */
static mm_status mm_spill_create(mm_spill *spill, mm_error *err)
{
    spill->file = open(spill->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spill->file >= 0)
        return MM_OK;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
        return mm_error_errno(err, MM_IO, "temporary file in %s", spill->dir);

    char *name = mm_format("%s/.spill-XXXXXX", spill->dir); /* a file system without O_TMPFILE */
    if (name == NULL)
        return mm_spill_no_memory(err);
    mm_status status = MM_OK;
    spill->file = mkostemp(name, O_CLOEXEC);
    if (spill->file < 0 || unlink(name) != 0)
        status = mm_error_errno(err, MM_IO, "temporary file in %s", spill->dir);
    free(name);
    return status;
}

static mm_status mm_spill_write(mm_spill *spill, const uint64_t *chunk, uint64_t offset,
                                mm_error *err)
{
    size_t size = mm_spill_chunk_words(spill) * sizeof *chunk, done = 0;
    while (done < size) {
        ssize_t got = pwrite(spill->file, (const char *)chunk + done, size - done,
                             (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mm_error_errno(err, MM_IO, "temporary file in %s", spill->dir);
        done += (size_t)got;
    }
    return MM_OK;
}

static uint64_t mm_spill_place(mm_spill *spill)
{
    uint64_t place = spill->end;
    spill->end += mm_spill_chunk_words(spill) * sizeof(uint64_t);
    return place;
}

mm_status mm_spill_flush(mm_spill *spill, mm_spill_stream *stream, mm_error *err)
{
    mm_status status = spill->file < 0 ? mm_spill_create(spill, err) : MM_OK;
    if (status != MM_OK)
        return status;
    if (stream->chunks == 0)
        stream->first = stream->next = mm_spill_place(spill);
    uint64_t place = stream->next;
    stream->chunk[0] = mm_spill_place(spill);
    status = mm_spill_write(spill, stream->chunk, place, err);
    if (status != MM_OK)
        return status;
    stream->next = stream->chunk[0];
    stream->chunks++;
    stream->used = 0;
    return MM_OK;
}

mm_status mm_spill_read_open(mm_spill *spill, size_t number, mm_spill_reader *out, mm_error *err)
{
    const mm_spill_stream *stream = &spill->streams[number];
    uint64_t *buffer = NULL;
    if (stream->chunks > 0) {
        buffer = malloc(mm_spill_chunk_words(spill) * sizeof *buffer);
        if (buffer == NULL)
            return mm_spill_no_memory(err);
    }
    *out = (mm_spill_reader){spill, stream, buffer, stream->chunks, stream->first, false};
    return MM_OK;
}

static mm_status mm_spill_load(mm_spill_reader *reader, mm_error *err)
{
    size_t size = mm_spill_chunk_words(reader->spill) * sizeof(uint64_t), done = 0;
    while (done < size) {
        ssize_t got = pread(reader->spill->file, (char *)reader->buffer + done, size - done,
                            (off_t)(reader->offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mm_error_errno(err, MM_IO, "temporary file in %s", reader->spill->dir);
        if (got == 0)
            return mm_error_set(err, MM_IO, "temporary file in %s is too short",
                                reader->spill->dir);
        done += (size_t)got;
    }
    return MM_OK;
}

mm_status mm_spill_read(mm_spill_reader *reader, const uint64_t **records, size_t *count,
                        mm_error *err)
{
    if (reader->chunks_left > 0) {
        mm_status status = mm_spill_load(reader, err);
        if (status != MM_OK)
            return status;
        reader->chunks_left--;
        reader->offset = reader->buffer[0];
        *records = reader->buffer + 1;
        *count = reader->spill->capacity;
        return MM_OK;
    }
    *records = reader->stream->chunk + 1;
    *count = reader->tail_given ? 0 : reader->stream->used;
    reader->tail_given = true;
    return MM_OK;
}

void mm_spill_read_close(mm_spill_reader *reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
}
