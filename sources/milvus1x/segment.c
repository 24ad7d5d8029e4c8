/* Sizes, lengths in front, and deleted rows of a segment's files. */
#include "sources/milvus1x/segment.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 16384 /* numbers of deleted rows read at once */

/* --- how many rows ---------------------------------------------------------------------------------------------- */

/* The rows that sizes mean with `head` bytes in front; false: none. */
static bool rows_with(uint64_t head, uint64_t rv_size, uint64_t uid_size, uint64_t row_bytes, uint64_t *rows)
{
    uint64_t bytes;
    if (rv_size < head || uid_size < head || (uid_size - head) % sizeof(int64_t) != 0)
        return false;
    *rows = (uid_size - head) / sizeof(int64_t);
    return mm_mul_u64(*rows, row_bytes, &bytes) && bytes == rv_size - head;
}

mm_status mm_milvus1x_shape_of(const char *name, uint64_t rv_size, uint64_t uid_size, uint64_t row_bytes,
                               mm_milvus1x_shape *out, mm_error *err)
{
    uint64_t headed_rows = 0, bare_rows = 0;
    bool headed = rows_with(MM_MILVUS1X_HEAD, rv_size, uid_size, row_bytes, &headed_rows);
    bool bare = rows_with(0, rv_size, uid_size, row_bytes, &bare_rows);
    if (!headed && !bare)
        return mm_error_set(err, MM_DATA,
                            "%s: %" PRIu64 " bytes of vectors and %" PRIu64 " of ids fit no number of rows of %"
                            PRIu64 " bytes: a file is cut off or not of this segment", name, rv_size, uid_size,
                            row_bytes);
    *out = (mm_milvus1x_shape){.rows = headed ? headed_rows : bare_rows, .row_bytes = row_bytes,
                               .head = headed ? MM_MILVUS1X_HEAD : 0};
    return headed && bare ? MM_END : MM_OK;
}

/* Whether the u64 in front says how many bytes follow. */
static mm_status read_word(const mm_input *file, uint64_t *word, mm_error *err)
{
    uint8_t bytes[MM_MILVUS1X_HEAD];
    mm_status status = mm_input_read(file, 0, bytes, sizeof(bytes), err);
    if (status == MM_OK)
        memcpy(word, bytes, sizeof(*word)); /* little-endian, as the machines that this runs on */
    return status;
}

static mm_status check_word(const mm_input *file, bool *right, mm_error *err)
{
    uint64_t word = 0;
    mm_status status = read_word(file, &word, err);
    *right = status == MM_OK && word == file->size - MM_MILVUS1X_HEAD;
    if (status == MM_OK && !*right)
        (void)mm_error_set(err, MM_DATA, "%s: byte 0: the length in front is %" PRIu64 ", and %" PRIu64 " bytes follow",
                           file->name, word, file->size - MM_MILVUS1X_HEAD);
    return status;
}

mm_status mm_milvus1x_shape_check(const mm_input *rv, const mm_input *uid, bool open, mm_milvus1x_shape *shape,
                                  mm_error *err)
{
    bool uid_right = false, rv_right = rv == NULL;
    if (shape->head == 0)
        return MM_OK;
    mm_status status = check_word(uid, &uid_right, err);
    if (status == MM_OK && rv != NULL && (uid_right || open))
        status = check_word(rv, &rv_right, err);
    if (status != MM_OK || (uid_right && rv_right))
        return status;
    if (!open || uid_right || rv_right)
        return MM_DATA; /* err says which */
    mm_error_clear(err);
    shape->head = 0;
    shape->rows = uid->size / sizeof(int64_t);
    return MM_OK;
}

/* --- deleted rows ----------------------------------------------------------------------------------------------- */

void mm_milvus1x_deleted_free(mm_milvus1x_deleted *deleted)
{
    free(deleted->bits);
    deleted->bits = NULL;
}

static bool is_deleted(const mm_milvus1x_deleted *d, uint64_t row)
{
    return d->bits != NULL && (d->bits[row / 8] >> (row % 8) & 1) != 0;
}

uint64_t mm_milvus1x_live(const mm_milvus1x_deleted *d, uint64_t from, uint64_t to)
{
    uint64_t deleted = 0, row = from;
    if (d->bits == NULL)
        return to - from;
    for (; row < to && row % 8 != 0; row++)
        deleted += is_deleted(d, row);
    for (; row + 64 <= to; row += 64) {
        uint64_t word;
        memcpy(&word, d->bits + row / 8, sizeof(word));
        deleted += (uint64_t)__builtin_popcountll(word);
    }
    for (; row < to; row++)
        deleted += is_deleted(d, row);
    return to - from - deleted;
}

static mm_status mark(const mm_input *file, const int32_t *numbers, size_t count, uint64_t at, uint64_t rows,
                      mm_milvus1x_deleted *out, mm_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] < 0 || (uint64_t)numbers[i] >= rows)
            return mm_error_set(err, MM_DATA,
                                "%s: byte %" PRIu64 ": row %" PRId32 " is deleted, and the segment has %" PRIu64
                                " rows", file->name, at + i * sizeof(*numbers), numbers[i], rows);
        uint64_t row = (uint64_t)numbers[i] - out->first;
        if ((uint64_t)numbers[i] < out->first || row >= out->count || is_deleted(out, row))
            continue;
        out->bits[row / 8] |= (uint8_t)(1u << (row % 8));
        out->deleted++;
    }
    return MM_OK;
}

static mm_status check_deleted(const mm_input *file, const mm_milvus1x_shape *shape, mm_error *err)
{
    bool right = shape->head == 0;
    mm_status status = MM_OK;
    if (file->size < shape->head || (file->size - shape->head) % sizeof(int32_t) != 0)
        return mm_error_set(err, MM_DATA, "%s: %" PRIu64 " bytes are no list of deleted rows: the file is cut off",
                            file->name, file->size);
    if (!right)
        status = check_word(file, &right, err);
    return status == MM_OK && !right ? MM_DATA : status;
}

mm_status mm_milvus1x_deleted_read(const mm_input *file, const mm_milvus1x_shape *shape, uint64_t first, uint64_t count,
                                   mm_milvus1x_deleted *out, mm_error *err)
{
    mm_milvus1x_deleted found = {.first = first, .count = count};
    int32_t *numbers = NULL;
    mm_status status = check_deleted(file, shape, err);
    if (status != MM_OK)
        return status;
    if (file->size > shape->head) {
        found.bits = calloc(count / 8 + 1, 1);
        numbers = malloc(CHUNK * sizeof(*numbers));
        if (found.bits == NULL || numbers == NULL)
            status = mm_error_set(err, MM_NO_MEMORY, "%s: out of memory for deleted rows", file->name);
    }
    for (uint64_t at = shape->head; status == MM_OK && at < file->size;) {
        uint64_t left = (file->size - at) / sizeof(*numbers);
        size_t some = left < CHUNK ? (size_t)left : CHUNK;
        status = mm_input_read(file, at, numbers, some * sizeof(*numbers), err);
        if (status == MM_OK)
            status = mark(file, numbers, some, at, shape->rows, &found, err);
        at += some * sizeof(*numbers);
    }
    free(numbers);
    if (status != MM_OK || found.deleted == 0)
        mm_milvus1x_deleted_free(&found);
    if (status == MM_OK)
        *out = found;
    return status;
}
