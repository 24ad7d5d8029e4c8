/* Cuts the rows of an index file into extents, in a stream: whatever the number of lists, rows or
 * duplicates, memory stays at a few MiB. */
#ifndef MM_SOURCES_FAISS_PLAN_H
#define MM_SOURCES_FAISS_PLAN_H

#include "sources/faiss/extent.h"

typedef struct mm_faiss_plan {
    const mm_input *file;
    const mm_input *side; /* the file of on-disk lists, NULL: there is none */
    const mm_faiss_view *view;
    uint64_t extent_rows;
    int64_t start_id; /* of rows that have no ids of their own */
} mm_faiss_plan;

/* Emits the extents in the order of the file; duplicates last. MM_DATA, MM_CONFIG (ids would not fit
 * into 64 bits), MM_NO_MEMORY, or what emit returns. */
mm_status mm_faiss_plan_emit(const mm_faiss_plan *plan, mm_extent_fn emit, void *context,
                             mm_error *err) MM_MUST_USE;

#endif
