/* From codes to vectors, for the types that lose something: scalar and product quantizers, residuals,
 * transforms. The result is that of FAISS's own reconstruct, within its rounding. */
#ifndef MM_SOURCES_FAISS_DECODE_H
#define MM_SOURCES_FAISS_DECODE_H

#include "sources/faiss/view.h"

/* Tables for one view: read once, then used by any number of threads. */
typedef struct mm_faiss_decoder mm_faiss_decoder;

/* Loads the tables into the arena; the decoder lives as long as it. MM_DATA when a transform cannot
 * be undone or a table is larger than what is held in memory. */
mm_status mm_faiss_decoder_open(const mm_input *file, mm_arena *arena, const mm_faiss_view *view,
                                mm_faiss_decoder **out, mm_error *err) MM_MUST_USE;

/* Working memory that one thread needs to decode, in bytes. */
size_t mm_faiss_decoder_scratch(const mm_faiss_decoder *decoder);

/* Decodes `rows` codes that stand one after the other, all of inverted list `list` (0 where there is
 * none), into rows × view->d float32. ids: those of the inverted list, wanted by IVFPQR only, else
 * ignored. scratch: aligned as malloc does. */
mm_status mm_faiss_decode(const mm_faiss_decoder *decoder, const uint8_t *codes, size_t rows,
                          uint64_t list, const int64_t *ids, float *out, void *scratch,
                          mm_error *err) MM_MUST_USE;

#endif
