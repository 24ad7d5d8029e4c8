/* DELTA_BINARY_PACKED: parquet-format, Encodings.md. Knows no page. */
#include <string.h>

#include "formats/parquet_read_internal.h"

static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (*at == end)
            return false;
        uint8_t byte = *(*at)++;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static uint64_t unzigzag(uint64_t value)
{
    return value >> 1 ^ (0 - (value & 1));
}

bool mm_parquet_delta_open(mm_parquet_delta *delta, const uint8_t *bytes, size_t size, uint64_t *count)
{
    uint64_t block, minis, first;
    const uint8_t *at = bytes, *end = bytes + size;
    *delta = (mm_parquet_delta){0};
    if (!take_varint(&at, end, &block) || !take_varint(&at, end, &minis) || !take_varint(&at, end, count) ||
        !take_varint(&at, end, &first))
        return false;
    if (block == 0 || block > 1u << 30 || minis == 0 || minis > block || block % minis != 0 || block / minis % 8 != 0)
        return false;
    delta->at = at;
    delta->end = end;
    delta->per_mini = block / minis;
    delta->mini_count = minis;
    delta->mini = minis; /* the first block is still to begin */
    delta->left = *count;
    delta->first = true;
    delta->last = unzigzag(first);
    return true;
}

/* Begins the next miniblock. Of the last one, what stands behind the last value may be missing. */
static bool next_mini(mm_parquet_delta *d)
{
    if (d->mini == d->mini_count) {
        uint64_t min;
        if (!take_varint(&d->at, d->end, &min) || d->mini_count > (uint64_t)(d->end - d->at))
            return false;
        d->min = unzigzag(min);
        d->widths = d->at;
        d->at += d->mini_count;
        d->mini = 0;
    }
    d->bits = d->widths[d->mini++];
    if (d->bits > 64)
        return false;
    uint64_t rest = (uint64_t)(d->end - d->at), bytes = d->per_mini / 8 * d->bits;
    uint64_t needed = d->left < d->per_mini ? (d->left * d->bits + 7) / 8 : bytes;
    if (needed > rest)
        return false;
    d->packed = d->at;
    d->bit = 0;
    d->mini_left = d->per_mini;
    d->at += bytes < rest ? bytes : rest;
    return true;
}

static uint64_t unpack(const mm_parquet_delta *d)
{
    const uint8_t *p = d->packed + d->bit / 8;
    size_t rest = (size_t)(d->at - p);
    unsigned shift = d->bit % 8;
    uint64_t low = 0;
    if (rest >= 8)
        memcpy(&low, p, 8); /* of constant size: one instruction */
    else
        memcpy(&low, p, rest);
    low >>= shift;
    if (d->bits + shift > 64)
        low |= (uint64_t)p[8] << (64 - shift);
    return d->bits == 64 ? low : low & ((1ull << d->bits) - 1);
}

bool mm_parquet_delta_next(mm_parquet_delta *d, int64_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (d->left == 0)
            return false;
        if (d->first) {
            d->first = false;
        } else {
            if (d->mini_left == 0 && !next_mini(d))
                return false;
            uint64_t packed = d->bits > 0 ? unpack(d) : 0;
            d->bit += d->bits;
            d->mini_left--;
            d->last += d->min + packed;
        }
        d->left--;
        out[i] = (int64_t)d->last;
    }
    return true;
}

const uint8_t *mm_parquet_delta_end(const mm_parquet_delta *delta)
{
    mm_parquet_delta d = *delta;
    if (d.first && d.left > 0) {
        d.first = false;
        d.left--;
    }
    while (d.left > 0) {
        if (d.mini_left == 0 && !next_mini(&d))
            return NULL;
        uint64_t count = d.left < d.mini_left ? d.left : d.mini_left;
        d.left -= count;
        d.mini_left -= count;
    }
    return d.at;
}
