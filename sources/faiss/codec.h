/* One code to one vector: scalar and product quantizers, and raw float32. */
#ifndef MM_SOURCES_FAISS_CODEC_H
#define MM_SOURCES_FAISS_CODEC_H

#include "sources/faiss/node.h"

typedef struct mm_faiss_codec {
    const mm_input *file;
    mm_faiss_coding coding;
    uint32_t d;
    uint64_t code_size;
    int32_t qtype;
    const float *trained; /* SQ: ranges */
    mm_faiss_pq pq;
    const float *centroids; /* PQ: NULL when there are too many to be held: read one by one */
} mm_faiss_codec;

/* Tables go into the arena. */
mm_status mm_faiss_codec_open_sq(mm_faiss_codec *codec, const mm_input *file, mm_arena *arena,
                                 uint32_t d, const mm_faiss_sq *sq, uint64_t code_size,
                                 mm_error *err) MM_MUST_USE;
mm_status mm_faiss_codec_open_pq(mm_faiss_codec *codec, const mm_input *file, mm_arena *arena,
                                 const mm_faiss_pq *pq, mm_error *err) MM_MUST_USE;
void mm_faiss_codec_open_raw(mm_faiss_codec *codec, const mm_input *file, uint32_t d);

/* code_size bytes at `code` to d float32. */
mm_status mm_faiss_codec_decode(const mm_faiss_codec *codec, const uint8_t *code, float *out,
                                mm_error *err) MM_MUST_USE;

/* `count` float32 at `offset` into the arena. */
mm_status mm_faiss_load_floats(const mm_input *file, mm_arena *arena, uint64_t offset,
                               uint64_t count, const float **out, mm_error *err) MM_MUST_USE;

#endif
