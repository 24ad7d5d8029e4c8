/* FAISS's type codes: four letters at the start of every part of a file, and the names behind them.
 * One table says what is read, what can only be stepped over, and what is refused. */
#ifndef MM_SOURCES_FAISS_FOURCC_H
#define MM_SOURCES_FAISS_FOURCC_H

#include "sources/faiss/file.h"

#define MM_FOURCC(text)                                                                           \
    ((uint32_t)(uint8_t)(text)[0] | (uint32_t)(uint8_t)(text)[1] << 8 |                           \
     (uint32_t)(uint8_t)(text)[2] << 16 | (uint32_t)(uint8_t)(text)[3] << 24)

typedef struct mm_faiss_fourcc {
    char text[20]; /* the letters; bytes that are no letters as \xNN */
} mm_faiss_fourcc;
mm_faiss_fourcc mm_faiss_fourcc_text(uint32_t fourcc);

/* What follows the header of an index of this type. */
typedef enum mm_faiss_shape {
    MM_FAISS_SHAPE_REFUSED, /* not known, or known and not read */
    MM_FAISS_SHAPE_FLAT,
    MM_FAISS_SHAPE_SQ,
    MM_FAISS_SHAPE_PQ,
    MM_FAISS_SHAPE_IVF_FLAT,
    MM_FAISS_SHAPE_IVF_SQ,
    MM_FAISS_SHAPE_IVF_PQ,
    MM_FAISS_SHAPE_IDMAP,
    MM_FAISS_SHAPE_HNSW,
    MM_FAISS_SHAPE_NSG,
    MM_FAISS_SHAPE_NNDESCENT,
    MM_FAISS_SHAPE_REFINE,
    MM_FAISS_SHAPE_TRANSFORM,
    MM_FAISS_SHAPE_MULTI,
    MM_FAISS_SHAPE_PACKED,
    MM_FAISS_SHAPE_MISSING
} mm_faiss_shape;
mm_faiss_shape mm_faiss_fourcc_shape(uint32_t fourcc);

/* FAISS's own name for it ("IndexIVFFlat"); NULL when it is not known. */
const char *mm_faiss_fourcc_name(uint32_t fourcc);

/* MM_DATA: names the type, its letters and the offset where it stands. what: "index", "vector
 * transform", "inverted lists". */
mm_status mm_faiss_unsupported(const mm_input *file, uint64_t at, uint32_t fourcc,
                               const char *what, mm_error *err);

#endif
