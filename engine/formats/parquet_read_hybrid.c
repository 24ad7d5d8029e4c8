/* The hybrid of run lengths and bit packing: parquet-format, Encodings.md, "RLE". Knows no page. */
#include <string.h>

#include "formats/parquet_read_internal.h"

mm_parquet_hybrid mm_parquet_hybrid_over(const uint8_t *bytes, size_t size, unsigned bits)
{
    return (mm_parquet_hybrid){.at = bytes, .end = bytes + size, .bits = bits};
}

/* Begins the next run. A packed run may be cut off behind its last value, as some writers do; a run of no values
 * takes its bytes all the same, so that this ends. */
static bool next_run(mm_parquet_hybrid *h)
{
    while (h->left == 0) {
        uint64_t head = 0;
        unsigned shift = 0;
        for (;; shift += 7) {
            if (h->at == h->end || shift > 28)
                return false;
            head |= (uint64_t)(*h->at & 0x7F) << shift;
            if (*h->at++ < 0x80)
                break;
        }
        size_t rest = (size_t)(h->end - h->at);
        h->packed = (head & 1) != 0;
        if (h->packed) {
            uint64_t bytes = (head >> 1) * h->bits;
            h->left = (head >> 1) * 8;
            if (bytes > rest) {
                bytes = rest;
                h->left = rest * 8 / h->bits;
                if (h->left == 0)
                    return false;
            }
            h->begin = h->at;
            h->bit = 0;
            h->at += bytes;
            continue;
        }
        size_t width = (h->bits + 7) / 8;
        if (width > rest)
            return false;
        h->value = 0;
        memcpy(&h->value, h->at, width); /* little-endian */
        h->at += width;
        h->left = head >> 1;
        if (h->bits < 32 && h->value >> h->bits != 0)
            return false;
    }
    return true;
}

/* The 8 bytes from p on, as far as they lie before `end`. */
static uint64_t load64(const uint8_t *p, const uint8_t *end)
{
    uint64_t word = 0;
    size_t rest = (size_t)(end - p);
    if (rest >= 8)
        memcpy(&word, p, 8); /* of constant size: one instruction */
    else
        memcpy(&word, p, rest);
    return word;
}

static uint32_t packed_at(const mm_parquet_hybrid *h, uint64_t bit)
{
    uint64_t word = load64(h->begin + bit / 8, h->at);
    return (uint32_t)(word >> (bit % 8) & ((1ull << h->bits) - 1));
}

bool mm_parquet_hybrid_u32(mm_parquet_hybrid *h, uint32_t *out, size_t n)
{
    while (n > 0) {
        if (h->left == 0 && !next_run(h))
            return false;
        size_t count = h->left < n ? (size_t)h->left : n;
        if (h->packed && h->bits == 8) { /* bytes as they are: vectors of bytes */
            for (size_t i = 0; i < count; i++)
                out[i] = h->begin[h->bit / 8 + i];
            h->bit += 8 * count;
        } else if (h->packed) {
            for (size_t i = 0; i < count; i++, h->bit += h->bits)
                out[i] = packed_at(h, h->bit);
        } else {
            for (size_t i = 0; i < count; i++)
                out[i] = h->value;
        }
        h->left -= count;
        out += count;
        n -= count;
    }
    return true;
}

/* Levels of one bit: the 8 bits of a byte become 8 bytes at once. */
static uint64_t spread(uint8_t byte)
{
    uint64_t bits = byte * 0x0101010101010101ull & 0x8040201008040201ull;
    return (bits + 0x7F7F7F7F7F7F7F7Full) >> 7 & 0x0101010101010101ull;
}

static void unpack_u8(mm_parquet_hybrid *h, uint8_t *out, size_t n)
{
    size_t i = 0;
    if (h->bits == 1 && h->bit % 8 == 0) {
        for (; i + 8 <= n; i += 8, h->bit += 8) {
            uint64_t eight = spread(h->begin[h->bit / 8]);
            memcpy(out + i, &eight, 8);
        }
    }
    for (; i < n; i++, h->bit += h->bits)
        out[i] = (uint8_t)packed_at(h, h->bit);
}

bool mm_parquet_hybrid_u8(mm_parquet_hybrid *h, uint8_t *out, size_t n)
{
    while (n > 0) {
        if (h->left == 0 && !next_run(h))
            return false;
        size_t count = h->left < n ? (size_t)h->left : n;
        if (h->packed)
            unpack_u8(h, out, count);
        else
            memset(out, (int)h->value, count);
        h->left -= count;
        out += count;
        n -= count;
    }
    return true;
}

bool mm_parquet_hybrid_all(mm_parquet_hybrid *h, size_t n, uint32_t value)
{
    if (h->left == 0 && !next_run(h))
        return false;
    if (h->packed || h->value != value || h->left < n)
        return false;
    h->left -= n;
    return true;
}
