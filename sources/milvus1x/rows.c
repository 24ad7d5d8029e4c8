/* Reading the rows of one extent that are not deleted: straight from the files into a batch's columns, in large pieces;
 * where rows are deleted in between, those that stay move up. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sources/milvus1x/segment.h"
#include "storage/ahead.h"

#define AHEAD_BYTES ((size_t)4 << 20) /* of a request to an object store */

struct mm_reader {
    mm_milvus1x_rows_args args;
    mm_input *rv_ahead, *uid_ahead; /* NULL: read as they are */
    uint64_t at;        /* of the range: rows that are behind, deleted ones included */
    uint64_t row, rows; /* live ones: behind, and of the extent */
};

static bool is_deleted(const mm_reader *r, uint64_t row)
{
    const mm_milvus1x_deleted *d = &r->args.deleted;
    return d->bits != NULL && (d->bits[row / 8] >> (row % 8) & 1) != 0;
}

/* Where the live row number `skip` of the range is. */
static uint64_t find_live(const mm_milvus1x_deleted *d, uint64_t skip)
{
    uint64_t at = 0;
    while (at + 64 <= d->count) { /* whole words while the row lies behind them */
        uint64_t live = mm_milvus1x_live(d, at, at + 64);
        if (live > skip)
            break;
        skip -= live;
        at += 64;
    }
    for (; at < d->count; at++) {
        bool live = d->bits == NULL || (d->bits[at / 8] >> (at % 8) & 1) == 0;
        if (live && skip == 0)
            return at;
        skip -= live;
    }
    return at;
}

/* One piece [first, first + count) of a file's rows, with windows that end where the extent ends. */
static mm_status open_ahead(const mm_reader *r, const mm_input *file, uint64_t row_bytes, mm_input **out, mm_error *err)
{
    const mm_milvus1x_deleted *range = &r->args.deleted;
    mm_ahead how = {.first = AHEAD_BYTES, .most = AHEAD_BYTES, .budget = 2 * AHEAD_BYTES,
                    .ends = {r->args.shape.head + (range->first + range->count) * row_bytes, 0}};
    return file != NULL && file->remote ? mm_ahead_open(file, &how, out, err) : MM_OK;
}

mm_status mm_milvus1x_rows_open(const mm_milvus1x_rows_args *args, uint64_t skip, mm_reader **out, mm_error *err)
{
    mm_reader *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        mm_milvus1x_deleted deleted = args->deleted;
        mm_input_close(args->rv);
        mm_input_close(args->uid);
        mm_milvus1x_deleted_free(&deleted);
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a reader");
    }
    r->args = *args;
    r->rows = args->deleted.count - args->deleted.deleted;
    mm_status status = MM_OK;
    if (skip > r->rows)
        status = mm_error_set(err, MM_DATA, "%s: the cursor is at row %" PRIu64 " of an extent of %" PRIu64 " rows",
                              args->uid->name, skip, r->rows);
    if (status == MM_OK)
        status = open_ahead(r, args->uid, sizeof(int64_t), &r->uid_ahead, err);
    if (status == MM_OK)
        status = open_ahead(r, args->rv, args->shape.row_bytes, &r->rv_ahead, err);
    if (status != MM_OK) {
        mm_milvus1x_rows_close(r);
        return status;
    }
    r->at = args->deleted.bits != NULL ? find_live(&args->deleted, skip) : skip;
    r->row = skip;
    *out = r;
    return MM_OK;
}

void mm_milvus1x_rows_close(mm_reader *r)
{
    if (r == NULL)
        return;
    mm_input_close(r->rv_ahead);
    mm_input_close(r->uid_ahead);
    mm_input_close(r->args.rv);
    mm_input_close(r->args.uid);
    mm_milvus1x_deleted_free(&r->args.deleted);
    free(r);
}

/* `count` rows of a file from row `at` of the range on. */
static mm_status read_rows(const mm_reader *r, const mm_input *plain, const mm_input *ahead, uint64_t row_bytes,
                           uint64_t at, uint64_t count, uint8_t *out, mm_error *err)
{
    uint64_t offset = r->args.shape.head + (r->args.deleted.first + at) * row_bytes;
    return mm_input_read(ahead != NULL ? ahead : plain, offset, out, (size_t)(count * row_bytes), err);
}

/* Moves the live ones of `count` rows to the front. */
static void close_gaps(const mm_reader *r, uint64_t at, uint64_t count, size_t row_bytes, uint8_t *rows)
{
    size_t kept = 0;
    for (uint64_t i = 0; i < count;) {
        uint64_t from = i;
        while (i < count && !is_deleted(r, at + i))
            i++;
        if (kept != from && i > from)
            memmove(rows + kept * row_bytes, rows + from * row_bytes, (size_t)(i - from) * row_bytes);
        kept += (size_t)(i - from);
        while (i < count && is_deleted(r, at + i))
            i++;
    }
}

/* Fills up to `room` rows of the columns with the next live rows; *got of them. */
static mm_status read_piece(mm_reader *r, size_t room, uint8_t *ids, uint8_t *vectors, size_t *got, mm_error *err)
{
    const mm_milvus1x_rows_args *args = &r->args;
    const size_t row_bytes = (size_t)args->shape.row_bytes;
    while (is_deleted(r, r->at))
        r->at++;
    uint64_t count = args->deleted.count - r->at < room ? args->deleted.count - r->at : room;
    mm_status status = read_rows(r, args->uid, r->uid_ahead, sizeof(int64_t), r->at, count, ids, err);
    if (status == MM_OK && args->rv != NULL)
        status = read_rows(r, args->rv, r->rv_ahead, row_bytes, r->at, count, vectors, err);
    if (status != MM_OK)
        return status;
    *got = (size_t)mm_milvus1x_live(&args->deleted, r->at, r->at + count);
    if (*got < count) {
        close_gaps(r, r->at, count, sizeof(int64_t), ids);
        if (args->rv != NULL)
            close_gaps(r, r->at, count, row_bytes, vectors);
    }
    r->at += count;
    return MM_OK;
}

mm_status mm_milvus1x_rows_next(mm_reader *r, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err)
{
    const size_t vector_bytes = r->args.rv != NULL ? (size_t)r->args.shape.row_bytes : 0;
    const size_t row_bytes = sizeof(int64_t) + vector_bytes;
    size_t capacity = max_bytes / row_bytes > 0 ? max_bytes / row_bytes : 1;
    if (r->row == r->rows)
        return MM_END;
    if (capacity > max_rows)
        capacity = max_rows > 0 ? max_rows : 1;
    if (capacity > r->rows - r->row)
        capacity = (size_t)(r->rows - r->row);
    mm_status status = mm_batch_begin(batch, r->args.schema, capacity, err);
    uint8_t *ids = status == MM_OK ? batch->columns[0].values : NULL;
    uint8_t *vectors = status == MM_OK && vector_bytes > 0 ? batch->columns[1].values : NULL;
    for (size_t done = 0, got; status == MM_OK && done < capacity; done += got) {
        got = 0;
        status = read_piece(r, capacity - done, ids + done * sizeof(int64_t),
                            vectors != NULL ? vectors + done * vector_bytes : NULL, &got, err);
    }
    if (status != MM_OK)
        return status;
    batch->rows = capacity;
    batch->first_row = r->row;
    r->row += capacity;
    batch->end = (mm_cursor){.row = r->row};
    batch->bytes = capacity * row_bytes;
    return MM_OK;
}
