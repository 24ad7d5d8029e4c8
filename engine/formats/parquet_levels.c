/* Levels of a data page. See parquet_levels.h. */
#include "formats/parquet_levels.h"

#include <string.h>

#include "base/wire.h"

enum { GROUP = 8, GROUPS_MAX = 63 /* so that a bit-packed run's header is one byte */ };

mm_parquet_levels mm_parquet_levels_begin(mm_buffer *out, unsigned largest)
{
    static const uint8_t length[4] = {0};
    mm_parquet_levels levels = {.out = out, .start = out->size, .width = largest > 1 ? 2 : 1};
    mm_buffer_append(out, length, sizeof(length));
    return levels;
}

static void put_varint(mm_buffer *out, uint64_t value)
{
    uint8_t bytes[MM_VARINT_MAX];
    mm_buffer_append(out, bytes, (size_t)(mm_varint_put(bytes, value) - bytes));
}

/* The group of eight into the bit-packed run under way, or a new one. */
static void put_group(mm_parquet_levels *levels)
{
    static const uint8_t header = 0;
    mm_buffer *out = levels->out;
    if (levels->header == 0 || levels->groups == GROUPS_MAX) {
        levels->header = out->size;
        levels->groups = 0;
        mm_buffer_append(out, &header, 1);
    }
    uint8_t bytes[2] = {(uint8_t)levels->group, (uint8_t)(levels->group >> 8)};
    mm_buffer_append(out, bytes, levels->width);
    levels->groups++;
    if (!out->failed)
        out->data[levels->header] = (char)(levels->groups << 1 | 1);
    levels->held = 0;
    levels->group = 0;
}

/* Writes the run that is held back. Where a group of eight has begun it is filled first. */
static void flush_run(mm_parquet_levels *levels)
{
    while (levels->count > 0) {
        if (levels->held == 0 && levels->count >= GROUP) {
            uint8_t value = (uint8_t)levels->level;
            put_varint(levels->out, levels->count << 1);
            mm_buffer_append(levels->out, &value, 1);
            levels->header = 0;
            levels->count = 0;
            return;
        }
        levels->group |= (uint32_t)levels->level << (levels->held * levels->width);
        levels->count--;
        if (++levels->held == GROUP)
            put_group(levels);
    }
}

void mm_parquet_levels_run(mm_parquet_levels *levels, unsigned level, uint64_t count)
{
    if (level != levels->level) {
        flush_run(levels);
        levels->level = level;
    }
    levels->count += count;
}

void mm_parquet_levels_bits(mm_parquet_levels *levels, const uint8_t *bits, size_t from, size_t count)
{
    size_t bytes = (count + 7) / 8, last = (from + count - 1) / 8;
    put_varint(levels->out, (uint64_t)bytes << 1 | 1);
    uint8_t *to = mm_buffer_room(levels->out, bytes);
    unsigned shift = from % 8;
    for (size_t i = 0; to != NULL && i < bytes; i++) {
        size_t at = from / 8 + i;
        unsigned pair = bits[at] | (at < last ? (unsigned)bits[at + 1] << 8 : 0);
        to[i] = (uint8_t)(pair >> shift);
    }
    if (to != NULL && count % 8 != 0)
        to[bytes - 1] &= (uint8_t)((1u << count % 8) - 1);
}

void mm_parquet_levels_end(mm_parquet_levels *levels)
{
    flush_run(levels);
    if (levels->held > 0)
        put_group(levels); /* padded: nothing follows */
    if (levels->out->failed)
        return;
    uint32_t length = (uint32_t)(levels->out->size - levels->start - 4);
    memcpy(levels->out->data + levels->start, &length, sizeof(length));
}
