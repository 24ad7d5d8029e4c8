/* What an index file is to a reader of rows: where its codes are, how they become vectors, and where
 * the ids come from. Made from the tree; wrappers (id maps, graphs, refinement, transforms) dissolve. */
#ifndef MM_SOURCES_FAISS_VIEW_H
#define MM_SOURCES_FAISS_VIEW_H

#include "sources/faiss/node.h"

typedef struct mm_faiss_view {
    const mm_faiss_node *codes; /* CODES, IVF or (as a coarse quantizer only) MULTI */
    bool binary;
    uint32_t d;     /* of the vectors that come out: elements; binary: bits */
    size_t width;   /* bytes of one vector that comes out */
    uint64_t rows;  /* duplicates included */
    /* Id maps from the inside out: a row's id (of its list, else its number) is looked up in each. */
    const mm_faiss_node *maps[MM_FAISS_NESTING];
    size_t map_count;
    /* Transforms in the order in which FAISS applied them; undone from the last to the first. */
    const mm_faiss_transform **transforms;
    size_t transform_count;
    /* Why the vectors are not the ones that were added: the part that loses something; NULL: they
     * are, bit for bit. */
    const char *lossy;
    uint32_t lossy_fourcc;
    uint64_t lossy_at;
} mm_faiss_view;

/* MM_DATA when there is nothing to be read in this tree. The view borrows from the tree and the
 * arena. */
mm_status mm_faiss_view_make(const mm_input *file, mm_arena *arena, const mm_faiss_node *root,
                             mm_faiss_view *out, mm_error *err) MM_MUST_USE;
/* The same for a coarse quantizer, whose rows are the centroids: no ids, no lists. */
mm_status mm_faiss_view_of_quantizer(const mm_input *file, mm_arena *arena,
                                     const mm_faiss_node *quantizer, mm_faiss_view *out,
                                     mm_error *err) MM_MUST_USE;

#endif
