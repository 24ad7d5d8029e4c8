/* Encoding of extents: a version byte, a flag byte, then LEB128 numbers; signed ones zigzag. A
 * segment is rows × 2 + explicit, the distance from the last list's number, and, when explicit, the
 * offset of its codes and its ids; a segment that is not explicit starts where the last one ended (its
 * codes behind the last one's ids when ids are read, as in array inverted lists). */
#include "sources/faiss/extent.h"

#include <string.h>

#define VERSION 1
enum { FLAG_BINARY = 1, FLAG_LOSSY = 2, FLAG_SIDE = 4, FLAG_IDS_COUNT = 8 };
/* Longest LEB128 form of 64 bits, and of a segment (four numbers). */
#define NUMBER_MAX 10
#define SEGMENT_MAX (4 * NUMBER_MAX)

static void put(mm_faiss_spec *spec, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        spec->bytes[spec->size++] = (uint8_t)(value | 0x80);
    spec->bytes[spec->size++] = (uint8_t)value;
}

static uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ -(value & 1));
}

/* Where the segment after `last` stands if nothing is said. Wraps on nonsense, which the reader of
 * the file then refuses as beyond its end. */
static mm_faiss_segment following(const mm_faiss_extent *head, const mm_faiss_segment *last,
                                  uint64_t rows)
{
    mm_faiss_segment next = {.rows = 0, .list = last->list};
    uint64_t codes_end = last->codes + last->rows * head->code_size;
    if (head->ids_count) {
        next.codes = codes_end;
        next.ids.first = (int64_t)((uint64_t)last->ids.first + last->rows);
    } else {
        next.codes = last->ids.at + last->rows * 8;
        next.ids.at = next.codes + rows * head->code_size;
    }
    return next;
}

void mm_faiss_spec_begin(mm_faiss_spec *spec, const mm_faiss_extent *head)
{
    spec->head = *head;
    spec->rows = 0;
    spec->size = 0;
    spec->expected = (mm_faiss_segment){.rows = 0};
    spec->bytes[spec->size++] = VERSION;
    spec->bytes[spec->size++] =
        (uint8_t)((head->binary ? FLAG_BINARY : 0) | (head->lossy ? FLAG_LOSSY : 0) |
                  (head->side ? FLAG_SIDE : 0) | (head->ids_count ? FLAG_IDS_COUNT : 0));
    put(spec, head->d);
    put(spec, head->code_size);
    put(spec, head->map_count);
    for (size_t i = 0; i < head->map_count; i++) {
        put(spec, head->maps[i].at);
        put(spec, head->maps[i].count);
    }
}

bool mm_faiss_spec_add(mm_faiss_spec *spec, const mm_faiss_segment *segment)
{
    if (spec->size + SEGMENT_MAX > sizeof(spec->bytes))
        return false;
    mm_faiss_segment implied = following(&spec->head, &spec->expected, segment->rows);
    bool explicit = spec->rows == 0 || implied.codes != segment->codes ||
                    implied.ids.at != segment->ids.at;
    put(spec, segment->rows << 1 | explicit);
    put(spec, zigzag((int64_t)(segment->list - spec->expected.list)));
    if (explicit) {
        put(spec, segment->codes);
        put(spec, spec->head.ids_count ? zigzag(segment->ids.first) : segment->ids.at);
    }
    spec->expected = *segment;
    spec->rows += segment->rows;
    return true;
}

static bool get(mm_faiss_spec_reader *reader, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; reader->at < reader->size && shift < 64; shift += 7) {
        uint8_t byte = reader->bytes[reader->at++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static mm_status no_spec(const mm_faiss_spec_reader *reader, mm_error *err)
{
    return mm_error_set(err, MM_DATA,
                        "the stored extent is not one of the faiss source (at %zu of %zu bytes)",
                        reader->at, reader->size);
}

mm_status mm_faiss_spec_open(mm_faiss_spec_reader *reader, const void *bytes, size_t size,
                             mm_error *err)
{
    uint64_t d, maps;
    *reader = (mm_faiss_spec_reader){.bytes = bytes, .size = size};
    if (size < 2 || reader->bytes[0] != VERSION)
        return no_spec(reader, err);
    uint8_t flags = reader->bytes[1];
    mm_faiss_extent *head = &reader->head;
    head->binary = (flags & FLAG_BINARY) != 0;
    head->lossy = (flags & FLAG_LOSSY) != 0;
    head->side = (flags & FLAG_SIDE) != 0;
    head->ids_count = (flags & FLAG_IDS_COUNT) != 0;
    reader->at = 2;
    if (!get(reader, &d) || d == 0 || d > MM_FAISS_DIM_MAX || !get(reader, &head->code_size) ||
        head->code_size == 0 || head->code_size > (uint64_t)MM_FAISS_DIM_MAX * 4 ||
        !get(reader, &maps) || maps > MM_FAISS_NESTING)
        return no_spec(reader, err);
    head->d = (uint32_t)d;
    head->map_count = (size_t)maps;
    for (size_t i = 0; i < head->map_count; i++)
        if (!get(reader, &head->maps[i].at) || !get(reader, &head->maps[i].count))
            return no_spec(reader, err);
    return MM_OK;
}

mm_status mm_faiss_spec_next(mm_faiss_spec_reader *reader, mm_faiss_segment *segment, mm_error *err)
{
    uint64_t rows, list, ids;
    if (reader->at == reader->size)
        return MM_END;
    if (!get(reader, &rows) || !get(reader, &list) || rows >> 1 == 0)
        return no_spec(reader, err);
    mm_faiss_segment found = following(&reader->head, &reader->expected, rows >> 1);
    found.rows = rows >> 1;
    found.list = reader->expected.list + (uint64_t)unzigzag(list);
    if (rows & 1) {
        if (!get(reader, &found.codes) || !get(reader, &ids))
            return no_spec(reader, err);
        if (reader->head.ids_count)
            found.ids.first = unzigzag(ids);
        else
            found.ids.at = ids;
    }
    reader->expected = found;
    *segment = found;
    return MM_OK;
}
