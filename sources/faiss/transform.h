/* Undoing what was done to vectors before they were indexed (IndexPreTransform). */
#ifndef MM_SOURCES_FAISS_TRANSFORM_H
#define MM_SOURCES_FAISS_TRANSFORM_H

#include "sources/faiss/node.h"

/* A transform with its numbers in memory. */
typedef struct mm_faiss_inverse {
    mm_faiss_transform_kind kind;
    uint32_t d_in, d_out;
    const float *matrix; /* [d_out][d_in] */
    const float *offset; /* bias [d_out] or mean [d_in]; NULL: none */
    const int32_t *map;  /* [d_out] */
} mm_faiss_inverse;

/* Loads it into the arena. *budget: bytes that may still be loaded, lowered by what was. MM_DATA for a
 * matrix that is not orthonormal, so that its transpose does not undo it (whitening; FAISS's
 * reverse_transform refuses the same), or larger than the budget. */
mm_status mm_faiss_inverse_open(mm_faiss_inverse *inverse, const mm_input *file, mm_arena *arena,
                                const mm_faiss_transform *transform, uint64_t *budget,
                                mm_error *err) MM_MUST_USE;

/* y (d_out numbers) to x (d_in numbers); they do not overlap. sums: room for d_in doubles. */
void mm_faiss_inverse_apply(const mm_faiss_inverse *inverse, const float *y, float *x,
                            double *sums);

#endif
