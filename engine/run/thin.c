/* Thinning blobs: written, walked, applied (thin.h). */
#include "run/thin.h"

#include <string.h>

/* ---- writing ---- */

static size_t mm_varint_put(uint8_t *out, uint64_t value)
{
    size_t size = 0;
    while (value >= 0x80) {
        out[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[size++] = (uint8_t)value;
    return size;
}

static void mm_thin_end_block(mm_thin_writer *writer)
{
    uint8_t head[20];
    if (writer->block_rows == 0)
        return;
    size_t size = mm_varint_put(head, writer->block_first - writer->former_first);
    size += mm_varint_put(head + size, writer->payload_size);
    mm_buffer_append(&writer->blob, head, size);
    mm_buffer_append(&writer->blob, writer->payload, writer->payload_size);
    writer->former_first = writer->block_first;
    writer->block_rows = 0;
    writer->payload_size = 0;
}

void mm_thin_add(mm_thin_writer *writer, uint64_t row)
{
    if (writer->block_rows == MM_THIN_BLOCK)
        mm_thin_end_block(writer);
    if (writer->block_rows == 0)
        writer->block_first = row;
    else
        writer->payload_size +=
            mm_varint_put(writer->payload + writer->payload_size, row - writer->last - 1);
    writer->block_rows++;
    writer->last = row;
}

mm_status mm_thin_end(mm_thin_writer *writer, mm_error *err)
{
    mm_thin_end_block(writer);
    if (writer->blob.failed)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for thinned rows");
    return MM_OK;
}

void mm_thin_reset(mm_thin_writer *writer)
{
    mm_buffer blob = writer->blob;
    memset(writer, 0, sizeof *writer);
    blob.size = 0;
    writer->blob = blob;
}

void mm_thin_free(mm_thin_writer *writer)
{
    mm_buffer_free(&writer->blob);
}

/* ---- walking ---- */

static bool mm_varint_get(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return true;
        }
    }
    return false;
}

mm_thin_reader mm_thin_open(const void *blob, size_t size)
{
    const uint8_t *bytes = blob;
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    return (mm_thin_reader){bytes, bytes, end, 0, 0, false, false};
}

static bool mm_thin_damage(mm_thin_reader *reader)
{
    reader->damaged = true;
    reader->at = reader->block_end = reader->end;
    return false;
}

/* Enters the block at reader->at; false at the end. */
static bool mm_thin_enter(mm_thin_reader *reader)
{
    uint64_t step, size;
    if (reader->at == reader->end)
        return false;
    if (!mm_varint_get(&reader->at, reader->end, &step) ||
        !mm_varint_get(&reader->at, reader->end, &size) ||
        size > (uint64_t)(reader->end - reader->at) ||
        !mm_add_u64(reader->block_first, step, &reader->block_first))
        return mm_thin_damage(reader);
    if (reader->begun && reader->block_first <= reader->row)
        return mm_thin_damage(reader);
    reader->begun = true;
    reader->row = reader->block_first;
    reader->block_end = reader->at + size;
    return true;
}

/* Leaves the block at once if the next one begins at or below `from`: no row in it is wanted then. */
static void mm_thin_skip(mm_thin_reader *reader, uint64_t from)
{
    const uint8_t *next = reader->block_end;
    uint64_t step, first;
    if (next < reader->end && mm_varint_get(&next, reader->end, &step) &&
        mm_add_u64(reader->block_first, step, &first) && first <= from)
        reader->at = reader->block_end;
}

bool mm_thin_next(mm_thin_reader *reader, uint64_t from, uint64_t *row)
{
    for (;;) {
        uint64_t step;
        if (reader->at == reader->block_end) {
            if (!mm_thin_enter(reader))
                return false;
            mm_thin_skip(reader, from);
        } else if (!mm_varint_get(&reader->at, reader->block_end, &step) ||
                   !mm_add_u64(reader->row, step, &reader->row) ||
                   !mm_add_u64(reader->row, 1, &reader->row)) {
            return mm_thin_damage(reader);
        }
        if (reader->row >= from) {
            *row = reader->row;
            return true;
        }
    }
}

static mm_status mm_thin_damaged(mm_error *err)
{
    return mm_error_set(err, MM_DATA, "the plan's list of thinned rows is damaged");
}

mm_status mm_thin_count(const void *blob, size_t size, uint64_t *count, mm_error *err)
{
    mm_thin_reader reader = mm_thin_open(blob, size);
    uint64_t rows = 0, row;
    while (mm_thin_next(&reader, 0, &row))
        rows++;
    if (reader.damaged)
        return mm_thin_damaged(err);
    *count = rows;
    return MM_OK;
}

/* ---- applying ---- */

static uint64_t mm_thin_ordinal(const mm_batch *batch, size_t row)
{
    return batch->first_row + (batch->ordinals ? batch->ordinals[row] : row);
}

/* Clears the bits of rows to leave out; both sides ascend. `next`: the blob's first row not below the
 * batch. Returns how many bits were cleared. */
static size_t mm_thin_clear(const mm_batch *batch, mm_thin_reader *reader, uint64_t next,
                            uint8_t *keep)
{
    size_t cleared = 0;
    for (size_t row = 0; row < batch->rows;) {
        uint64_t ordinal = mm_thin_ordinal(batch, row);
        if (ordinal < next) {
            if (batch->ordinals == NULL && next - ordinal < batch->rows - row)
                row += (size_t)(next - ordinal);
            else if (batch->ordinals == NULL)
                break;
            else
                row++;
            continue;
        }
        bool hit = ordinal == next;
        if (hit) {
            keep[row / 8] &= (uint8_t)~(1u << (row % 8));
            cleared++;
            row++;
        }
        if (!mm_thin_next(reader, ordinal + hit, &next))
            break;
    }
    return cleared;
}

mm_status mm_thin_filter(mm_batch *batch, const void *blob, size_t size, mm_error *err)
{
    if (batch->rows == 0)
        return MM_OK;
    mm_thin_reader reader = mm_thin_open(blob, size);
    uint64_t next;
    bool found = mm_thin_next(&reader, mm_thin_ordinal(batch, 0), &next);
    if (!found || next > mm_thin_ordinal(batch, batch->rows - 1))
        return reader.damaged ? mm_thin_damaged(err) : MM_OK;

    size_t bytes = (batch->rows + 7) / 8;
    uint8_t *keep = mm_arena_alloc(&batch->arena, bytes);
    if (keep == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for thinned rows");
    memset(keep, 0xff, bytes);
    size_t cleared = mm_thin_clear(batch, &reader, next, keep);
    if (reader.damaged)
        return mm_thin_damaged(err);
    if (cleared == 0)
        return MM_OK;
    mm_status status = mm_batch_filter(batch, keep, batch->rows - cleared, err);
    if (status == MM_OK)
        batch->thinned += cleared;
    return status;
}
