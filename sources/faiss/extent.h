/* The description of one extent of an index file: enough to read it without walking the file again.
 * A header, then segments: runs of rows whose codes stand one after the other, and whose ids do too
 * or count up. Encoded in few bytes, since a plan can have millions of extents and an extent
 * thousands of short lists. */
#ifndef MM_SOURCES_FAISS_EXTENT_H
#define MM_SOURCES_FAISS_EXTENT_H

#include "sources/faiss/view.h"
#include "sources/source.h"

/* What holds for all segments of an extent. */
typedef struct mm_faiss_extent {
    bool binary;
    bool lossy;     /* codes have to be decoded: needs the walk */
    bool side;      /* codes and ids are in the file of on-disk lists */
    bool ids_count; /* a segment's ids count up from its first; else they are read from the file */
    uint32_t d;     /* as mm_faiss_view */
    uint64_t code_size;
    size_t map_count;
    struct {
        uint64_t at, count; /* offset of the i64s, how many */
    } maps[MM_FAISS_NESTING];
} mm_faiss_extent;

typedef struct mm_faiss_segment {
    uint64_t rows;
    uint64_t codes; /* offset of the first code */
    uint64_t list;  /* number of the inverted list; 0 where there is none */
    union {
        uint64_t at;   /* !ids_count: offset of the first id */
        int64_t first; /* ids_count: the first id */
    } ids;
} mm_faiss_segment;

/* Builds a spec. bytes and size are what goes into mm_extent. */
typedef struct mm_faiss_spec {
    mm_faiss_extent head;
    uint64_t rows; /* of the segments added since begin */
    mm_faiss_segment expected; /* where a segment would follow on without saying so */
    size_t size;
    uint8_t bytes[MM_EXTENT_SPEC_MAX];
} mm_faiss_spec;

void mm_faiss_spec_begin(mm_faiss_spec *spec, const mm_faiss_extent *head);
/* False, and nothing added, when the spec is full. */
bool mm_faiss_spec_add(mm_faiss_spec *spec, const mm_faiss_segment *segment);

/* Reads a spec; borrows its bytes. */
typedef struct mm_faiss_spec_reader {
    mm_faiss_extent head;
    mm_faiss_segment expected;
    const uint8_t *bytes;
    size_t size, at;
} mm_faiss_spec_reader;

/* MM_DATA when the bytes are no spec. */
mm_status mm_faiss_spec_open(mm_faiss_spec_reader *reader, const void *bytes, size_t size,
                             mm_error *err) MM_MUST_USE;
/* MM_END after the last segment. */
mm_status mm_faiss_spec_next(mm_faiss_spec_reader *reader, mm_faiss_segment *segment,
                             mm_error *err) MM_MUST_USE;

#endif
