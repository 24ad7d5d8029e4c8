/* The filters of HDF5's own that nearly all files use. */
#include "sources/hdf5/filters.h"

#include <string.h>
#include <zlib.h>

/* HDF5 File Format Specification, "Fletcher32": sums modulo 65535 of 16-bit numbers, the higher byte first. */
static uint32_t fletcher32(const uint8_t *bytes, size_t size)
{
    uint32_t low = 0, high = 0;
    size_t words = size / 2;
    while (words > 0) {
        size_t piece = words < 360 ? words : 360; /* as many as fit into 32 bits */
        words -= piece;
        for (; piece > 0; piece--, bytes += 2) {
            low += (uint32_t)bytes[0] << 8 | bytes[1];
            high += low;
        }
        low = (low & 0xffff) + (low >> 16);
        high = (high & 0xffff) + (high >> 16);
    }
    if (size % 2 != 0) {
        low += (uint32_t)*bytes << 8;
        high += low;
        low = (low & 0xffff) + (low >> 16);
        high = (high & 0xffff) + (high >> 16);
    }
    low = (low & 0xffff) + (low >> 16);
    high = (high & 0xffff) + (high >> 16);
    return high << 16 | low;
}

static const char *check_sum(const uint8_t *bytes, size_t *size)
{
    if (*size < 4)
        return "a checksum is missing";
    *size -= 4;
    const uint8_t *at = bytes + *size;
    uint32_t stored = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    return stored == fletcher32(bytes, *size) ? NULL : "its checksum is wrong";
}

static const char *inflate_all(const uint8_t *from, size_t size, uint8_t *to, size_t room, size_t *out)
{
    uLongf got = room;
    uLong used = size;
    if (uncompress2(to, &got, from, &used) != Z_OK)
        return "its bytes cannot be inflated to a chunk";
    *out = got;
    return NULL;
}

/* LZF: a byte below 32 says how many bytes follow as they are, less one; others say how far back the same bytes stand
 * (13 bits, less one) and how many (3 bits, 7: and a further byte; less two). */
static const char *unlzf(const uint8_t *from, size_t size, uint8_t *to, size_t room, size_t *out)
{
    static const char wrong[] = "its bytes are no LZF";
    size_t at = 0, done = 0;
    while (at < size) {
        size_t control = from[at++];
        if (control < 32) {
            size_t count = control + 1;
            if (count > size - at || count > room - done)
                return wrong;
            memcpy(to + done, from + at, count);
            at += count;
            done += count;
            continue;
        }
        size_t count = control >> 5;
        if (count == 7 && at < size)
            count += from[at++];
        count += 2;
        if (at == size)
            return wrong;
        size_t back = ((control & 31) << 8 | from[at++]) + 1;
        if (back > done || count > room - done)
            return wrong;
        for (; count > 0; count--, done++) /* it may reach into what it makes */
            to[done] = to[done - back];
    }
    *out = done;
    return NULL;
}

/* First bytes of all elements, then their second bytes, and so on; what is no whole element follows as it is. */
static void unshuffle(const uint8_t *from, size_t size, size_t item, uint8_t *to)
{
    size_t count = size / item;
    if (item == 4) { /* of the width that nearly all vectors have */
        for (size_t i = 0; i < count; i++)
            for (size_t b = 0; b < 4; b++)
                to[i * 4 + b] = from[b * count + i];
    } else {
        for (size_t b = 0; b < item; b++)
            for (size_t i = 0; i < count; i++)
                to[i * item + b] = from[b * count + i];
    }
    memcpy(to + count * item, from + count * item, size - count * item);
}

const char *mm_hdf5_unpack(const mm_hdf5_pipeline *pipeline, uint32_t skipped, uint8_t *const rooms[2],
                           size_t room_bytes, size_t size, const uint8_t **data)
{
    uint8_t *from = rooms[0], *to = rooms[1];
    const char *wrong = NULL;
    for (int i = pipeline->count - 1; wrong == NULL && i >= 0; i--) {
        if ((skipped >> i & 1) != 0)
            continue;
        if (pipeline->filters[i] == H5Z_FILTER_FLETCHER32) {
            wrong = check_sum(from, &size);
            continue;
        }
        if (pipeline->filters[i] == H5Z_FILTER_DEFLATE)
            wrong = inflate_all(from, size, to, room_bytes, &size);
        else if (pipeline->filters[i] == MM_HDF5_FILTER_LZF)
            wrong = unlzf(from, size, to, room_bytes, &size);
        else if (pipeline->item > 1)
            unshuffle(from, size, pipeline->item, to);
        else
            continue;
        uint8_t *swap = from;
        from = to;
        to = swap;
    }
    if (wrong == NULL && size != pipeline->chunk_bytes)
        wrong = "its bytes are no whole chunk";
    *data = from;
    return wrong;
}
