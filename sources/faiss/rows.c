/* From an extent's segments to columns. Exact vectors and ids go from the file straight to their
 * place in the batch; codes of lossy types pass through a small buffer. */
#include "sources/faiss/rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/ahead.h"

/* Codes that are read at once to be decoded. */
#define CODES_BYTES (256u << 10)
/* Bytes of an id map that are read around a looked-up id: neighbouring rows have neighbouring ids. */
#define MAP_WINDOW 512
/* Of an object: a request's bytes, where rows stand close together and where they are scattered. */
#define DENSE_BYTES (4u << 20)
#define SPARSE_BYTES (64u << 10)

struct mm_reader {
    mm_faiss_rows_args args;
    mm_input *ahead; /* args.rows_file, read in pieces as large as the extent allows; NULL: a local file */
    mm_faiss_spec_reader spec;
    mm_faiss_segment segment; /* what is left of the current one */
    uint64_t rows, row;       /* of the extent, and how many of them are behind */
    size_t width;
    uint8_t *code_buffer;
    size_t code_rows; /* rows that fit into code_buffer */
    void *scratch;
    uint64_t window_at; /* offset of window[0], UINT64_MAX: nothing in it */
    size_t window_size;
    uint8_t window[MAP_WINDOW];
    uint8_t bytes[]; /* the spec */
};

/* Takes rows off the front of the current segment. */
static void advance(mm_reader *r, uint64_t rows)
{
    r->segment.rows -= rows;
    r->segment.codes += rows * r->spec.head.code_size;
    if (r->spec.head.ids_count)
        r->segment.ids.first = (int64_t)((uint64_t)r->segment.ids.first + rows);
    else
        r->segment.ids.at += rows * sizeof(int64_t);
    r->row += rows;
}

/* Makes the current segment one with rows. */
static mm_status need_segment(mm_reader *r, mm_error *err)
{
    if (r->segment.rows > 0)
        return MM_OK;
    mm_status status = mm_faiss_spec_next(&r->spec, &r->segment, err);
    if (status == MM_END)
        return mm_error_set(err, MM_DATA, "the stored extent has %" PRIu64 " rows, not %" PRIu64,
                            r->row, r->rows);
    return status;
}

static mm_status look_up(mm_reader *r, size_t map, int64_t *id, mm_error *err)
{
    const mm_input *file = r->args.ids_file;
    uint64_t at = r->spec.head.maps[map].at, count = r->spec.head.maps[map].count;
    if (*id < 0 || (uint64_t)*id >= count)
        return mm_faiss_bad(file, at, err, "an id map of %" PRIu64 " ids is asked for number %" PRId64,
                            count, *id);
    uint64_t want = at + (uint64_t)*id * sizeof(*id), end = at + count * sizeof(*id);
    if (r->window_at == UINT64_MAX || want < r->window_at ||
        want + sizeof(*id) > r->window_at + r->window_size) {
        size_t size = end - want < sizeof(r->window) ? (size_t)(end - want) : sizeof(r->window);
        r->window_at = UINT64_MAX;
        mm_status status = mm_faiss_read(file, want, r->window, size, err);
        if (status != MM_OK)
            return status;
        r->window_at = want;
        r->window_size = size;
    }
    memcpy(id, r->window + (want - r->window_at), sizeof(*id));
    return MM_OK;
}

/* Ids as they stand in the lists or count up: before any map. */
static mm_status read_ids(mm_reader *r, size_t rows, int64_t *ids, mm_error *err)
{
    if (!r->spec.head.ids_count)
        return mm_faiss_read(r->args.rows_file, r->segment.ids.at, ids,
                                          rows * sizeof(*ids), err);
    for (size_t i = 0; i < rows; i++)
        ids[i] = (int64_t)((uint64_t)r->segment.ids.first + i);
    return MM_OK;
}

static mm_status map_ids(mm_reader *r, size_t rows, int64_t *ids, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t map = 0; status == MM_OK && map < r->spec.head.map_count; map++)
        for (size_t i = 0; status == MM_OK && i < rows; i++)
            status = look_up(r, map, &ids[i], err);
    return status;
}

static mm_status read_vectors(mm_reader *r, size_t rows, const int64_t *ids, uint8_t *out,
                              mm_error *err)
{
    const mm_input *file = r->args.rows_file;
    size_t code_size = (size_t)r->spec.head.code_size;
    if (r->args.decoder == NULL)
        return mm_faiss_read(file, r->segment.codes, out, rows * code_size, err);
    for (size_t done = 0; done < rows;) {
        size_t count = rows - done < r->code_rows ? rows - done : r->code_rows;
        mm_status status = mm_faiss_read(file, r->segment.codes + done * code_size, r->code_buffer,
                                         count * code_size, err);
        if (status == MM_OK)
            status = mm_faiss_decode(r->args.decoder, r->code_buffer, count, r->segment.list,
                                     ids + done, (float *)(void *)(out + done * r->width),
                                     r->scratch, err);
        if (status != MM_OK)
            return status;
        done += count;
    }
    return MM_OK;
}

mm_status mm_faiss_rows_next(mm_reader *r, size_t max_rows, size_t max_bytes, mm_batch *batch,
                             mm_error *err)
{
    bool keys = r->args.mode == MM_READ_KEYS;
    size_t row_bytes = sizeof(int64_t) + (keys ? 0 : r->width);
    size_t capacity = max_bytes / row_bytes > 0 ? max_bytes / row_bytes : 1;
    if (r->row == r->rows)
        return MM_END;
    if (capacity > max_rows)
        capacity = max_rows > 0 ? max_rows : 1;
    if (capacity > r->rows - r->row)
        capacity = (size_t)(r->rows - r->row);
    mm_status status = mm_batch_begin(batch, r->args.schema, capacity, err);
    if (status != MM_OK)
        return status;
    int64_t *ids = (int64_t *)(void *)batch->columns[0].values;
    batch->first_row = r->row;
    for (size_t done = 0; done < capacity;) {
        status = need_segment(r, err);
        if (status != MM_OK)
            return status;
        size_t rows = r->segment.rows < capacity - done ? (size_t)r->segment.rows : capacity - done;
        status = read_ids(r, rows, ids + done, err);
        if (status == MM_OK && !keys)
            status = read_vectors(r, rows, ids + done,
                                  batch->columns[1].values + done * r->width, err);
        if (status == MM_OK)
            status = map_ids(r, rows, ids + done, err);
        if (status != MM_OK)
            return status;
        advance(r, rows);
        done += rows;
    }
    batch->rows = capacity;
    batch->end = (mm_cursor){.row = r->row};
    batch->bytes = capacity * row_bytes;
    return MM_OK;
}

static mm_status skip_rows(mm_reader *r, uint64_t skip, mm_error *err)
{
    if (skip > r->rows)
        return mm_error_set(err, MM_DATA,
                            "the cursor is at row %" PRIu64 " of an extent of %" PRIu64 " rows",
                            skip, r->rows);
    while (r->row < skip) {
        mm_status status = need_segment(r, err);
        if (status != MM_OK)
            return status;
        advance(r, r->segment.rows < skip - r->row ? r->segment.rows : skip - r->row);
    }
    return MM_OK;
}

/* Bytes from the first to the last of some ranges. */
typedef struct part {
    uint64_t from, to;
} part;

static void extend(part *p, uint64_t at, uint64_t size)
{
    p->from = at < p->from ? at : p->from;
    p->to = at + size > p->to ? at + size : p->to;
}

/* Reading ahead within the extent: its codes and ids are one part of the file (inverted lists) or two. */
static mm_status open_ahead(mm_reader *r, size_t spec_size, mm_error *err)
{
    mm_faiss_spec_reader spec;
    mm_faiss_segment segment;
    part codes = {UINT64_MAX, 0}, ids = {UINT64_MAX, 0};
    uint64_t wanted = 0;
    mm_status status = mm_faiss_spec_open(&spec, r->bytes, spec_size, err);
    while (status == MM_OK && (status = mm_faiss_spec_next(&spec, &segment, err)) == MM_OK) {
        uint64_t code_bytes = r->args.mode == MM_READ_KEYS ? 0 : segment.rows * spec.head.code_size;
        uint64_t id_bytes = spec.head.ids_count ? 0 : segment.rows * sizeof(int64_t);
        if (code_bytes > 0)
            extend(&codes, segment.codes, code_bytes);
        if (id_bytes > 0)
            extend(&ids, segment.ids.at, id_bytes);
        wanted += code_bytes + id_bytes;
    }
    if (status != MM_END || wanted == 0)
        return status == MM_END ? MM_OK : status;
    if (ids.from <= codes.to && codes.from <= ids.to) {
        extend(&codes, ids.from, ids.to - ids.from);
        ids = (part){0, 0};
    }
    uint64_t span = (codes.from < codes.to ? codes.to - codes.from : 0) + (ids.from < ids.to ? ids.to - ids.from : 0);
    mm_ahead how = {.first = wanted >= span / 2 ? DENSE_BYTES : SPARSE_BYTES,
                    .most = DENSE_BYTES,
                    .budget = 2 * DENSE_BYTES,
                    .ends = {codes.to, ids.to}};
    return mm_ahead_open(r->args.rows_file, &how, &r->ahead, err);
}

mm_status mm_faiss_rows_open(const mm_faiss_rows_args *args, const void *spec, size_t spec_size,
                             uint64_t rows, uint64_t skip, mm_reader **out, mm_error *err)
{
    mm_reader *r = calloc(1, sizeof(*r) + spec_size);
    if (r == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a reader");
    r->args = *args;
    r->rows = rows;
    r->window_at = UINT64_MAX;
    memcpy(r->bytes, spec, spec_size);
    mm_status status = mm_faiss_spec_open(&r->spec, r->bytes, spec_size, err);
    if (status == MM_OK) {
        const mm_faiss_extent *head = &r->spec.head;
        r->width = head->binary ? head->d / 8 : (size_t)head->d * sizeof(float);
        if (args->decoder == NULL && head->code_size != r->width)
            status = mm_error_set(err, MM_DATA, "the stored extent has vectors of %" PRIu64
                                  " bytes, not %zu", head->code_size, r->width);
    }
    if (status == MM_OK && args->decoder != NULL && args->mode == MM_READ_ALL) {
        size_t code_size = (size_t)r->spec.head.code_size;
        r->code_rows = CODES_BYTES / code_size > 0 ? CODES_BYTES / code_size : 1;
        r->code_buffer = malloc(r->code_rows * code_size);
        r->scratch = malloc(mm_faiss_decoder_scratch(args->decoder));
        if (r->code_buffer == NULL || r->scratch == NULL)
            status = mm_error_set(err, MM_NO_MEMORY, "out of memory for a reader");
    }
    if (status == MM_OK && args->rows_file->remote)
        status = open_ahead(r, spec_size, err);
    if (r->ahead != NULL)
        r->args.rows_file = r->ahead;
    if (status == MM_OK)
        status = skip_rows(r, skip, err);
    if (status != MM_OK) {
        mm_faiss_rows_close(r);
        return status;
    }
    *out = r;
    return MM_OK;
}

void mm_faiss_rows_close(mm_reader *r)
{
    if (r == NULL)
        return;
    mm_input_close(r->ahead);
    free(r->code_buffer);
    free(r->scratch);
    free(r);
}
