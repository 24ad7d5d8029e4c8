/* A set of primary keys (keyset.h). A part is a run of consecutive streams whose hashes fit; sorted, searched by halving. */
#include "run/keyset.h"

#include <stdlib.h>
#include <xxhash.h>

#include "run/spill.h"

#define STREAM_BITS 8
#define STREAMS ((size_t)1 << STREAM_BITS)

struct mm_keyset {
    mm_spill *spill;
    size_t room;        /* hashes that a part may have, unless a single stream has more */
    uint64_t *hashes;   /* of the part in memory, ascending */
    size_t count, capacity;
    size_t first, next; /* streams of the part in memory: [first, next) */
};

static size_t stream_of(uint64_t hash)
{
    return (size_t)(hash >> (64 - STREAM_BITS));
}

mm_status mm_keyset_open(const char *dir, size_t memory, mm_keyset **out, mm_error *err)
{
    mm_keyset *set = calloc(1, sizeof(*set));
    if (set == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a set of keys");
    set->room = memory / 2 / sizeof(uint64_t);
    mm_status status = mm_spill_open(dir, STREAMS, 1, memory / 4, &set->spill, err);
    if (status != MM_OK) {
        mm_keyset_close(set);
        return status;
    }
    *out = set;
    return MM_OK;
}

void mm_keyset_close(mm_keyset *set)
{
    if (set == NULL)
        return;
    mm_spill_close(set->spill);
    free(set->hashes);
    free(set);
}

mm_status mm_keyset_add(mm_keyset *set, const mm_column *keys, size_t rows, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t row = 0; status == MM_OK && row < rows; row++) {
        size_t size = 0;
        const uint8_t *key = mm_column_at(keys, row, &size);
        if (key == NULL)
            continue;
        uint64_t hash = XXH3_64bits(key, size);
        status = mm_spill_append(set->spill, stream_of(hash), &hash, 1, err);
    }
    return status;
}

/* ---- parts ---- */

static int by_value(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

static mm_status make_room(mm_keyset *set, uint64_t count, mm_error *err)
{
    if (count <= set->capacity && set->hashes != NULL)
        return MM_OK;
    uint64_t *grown = reallocarray(set->hashes, (size_t)count + 1, sizeof(*grown));
    if (grown == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for %llu keys", (unsigned long long)count);
    set->hashes = grown;
    set->capacity = (size_t)count;
    return MM_OK;
}

static mm_status take_stream(mm_keyset *set, size_t number, mm_error *err)
{
    mm_spill_reader reader;
    const uint64_t *records = NULL;
    size_t count = 0;
    mm_status status = mm_spill_read_open(set->spill, number, &reader, err);
    if (status != MM_OK)
        return status;
    for (;;) {
        status = mm_spill_read(&reader, &records, &count, err);
        if (status != MM_OK || count == 0)
            break;
        memcpy(set->hashes + set->count, records, count * sizeof(*records));
        set->count += count;
    }
    mm_spill_read_close(&reader);
    return status;
}

mm_status mm_keyset_next(mm_keyset *set, mm_error *err)
{
    uint64_t count = 0;
    set->first = set->next;
    set->count = 0;
    if (set->first == STREAMS) {
        set->first = set->next = 0;
        return MM_END;
    }
    while (set->next < STREAMS) {
        uint64_t more = set->spill->streams[set->next].count;
        if (set->next > set->first && count + more > set->room)
            break;
        count += more;
        set->next++;
    }
    mm_status status = make_room(set, count, err);
    for (size_t i = set->first; status == MM_OK && i < set->next; i++)
        status = take_stream(set, i, err);
    if (status == MM_OK)
        qsort(set->hashes, set->count, sizeof(*set->hashes), by_value);
    return status;
}

mm_keyset_answer mm_keyset_look(const mm_keyset *set, const uint8_t *key, size_t size)
{
    uint64_t hash = XXH3_64bits(key, size);
    size_t stream = stream_of(hash), low = 0, high = set->count;
    if (stream < set->first || stream >= set->next)
        return MM_KEYSET_OTHER_PART;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->hashes[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->count && set->hashes[low] == hash ? MM_KEYSET_PRESENT : MM_KEYSET_ABSENT;
}
