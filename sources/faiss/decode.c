/* Decoders: a codec, what is added to its vectors (centroid of the list, second code), and the chain
 * of transforms that is undone afterwards. */
#include "sources/faiss/decode.h"

#include <inttypes.h>
#include <string.h>

#include "sources/faiss/codec.h"
#include "sources/faiss/transform.h"

/* Bytes of matrices that are held. */
#define TRANSFORMS_MAX (64ull << 20)

struct mm_faiss_decoder {
    const mm_input *file;
    mm_faiss_codec codec;
    const mm_faiss_node *codes;
    uint32_t inner_d;   /* of the codes */
    uint32_t widest;    /* of all the vectors between the codes and the result */
    mm_faiss_decoder *quantizer; /* of centroids to be added; NULL: none */
    mm_faiss_codec refinement;
    bool refined;
    mm_faiss_inverse *inverses; /* in the order in which they are applied */
    size_t inverse_count;
};

static mm_status open_codec(mm_faiss_codec *codec, const mm_input *file, mm_arena *arena,
                            const mm_faiss_node *node, mm_error *err)
{
    if (node->kind == MM_FAISS_MULTI || node->coding == MM_FAISS_PQ)
        return mm_faiss_codec_open_pq(codec, file, arena, &node->pq, err);
    if (node->coding == MM_FAISS_SQ)
        return mm_faiss_codec_open_sq(codec, file, arena, node->d, &node->sq, node->code_size, err);
    mm_faiss_codec_open_raw(codec, file, node->d);
    return MM_OK;
}

static mm_status open_quantizer(mm_faiss_decoder *decoder, mm_arena *arena, mm_error *err)
{
    const mm_faiss_node *node = decoder->codes->inner;
    mm_faiss_view *view = mm_arena_alloc(arena, sizeof(*view));
    if (view == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", decoder->file->name);
    mm_status status = mm_faiss_view_of_quantizer(decoder->file, arena, node, view, err);
    if (status == MM_OK && view->d != decoder->inner_d)
        status = mm_faiss_bad(decoder->file, node->at, err,
                              "a coarse quantizer of %u dimensions in an index of %u", view->d,
                              decoder->inner_d);
    if (status == MM_OK && view->rows < decoder->codes->nlist)
        status = mm_faiss_bad(decoder->file, node->at, err,
                              "%" PRIu64 " centroids for %" PRIu64 " inverted lists", view->rows,
                              decoder->codes->nlist);
    return status == MM_OK
               ? mm_faiss_decoder_open(decoder->file, arena, view, &decoder->quantizer, err)
               : status;
}

static mm_status open_inverses(mm_faiss_decoder *decoder, mm_arena *arena,
                               const mm_faiss_view *view, mm_error *err)
{
    uint64_t budget = TRANSFORMS_MAX;
    decoder->inverses = mm_arena_array(arena, view->transform_count, sizeof(*decoder->inverses));
    if (decoder->inverses == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", decoder->file->name);
    for (size_t i = view->transform_count; i-- > 0;) {
        const mm_faiss_transform *t = view->transforms[i];
        mm_status status = mm_faiss_inverse_open(&decoder->inverses[decoder->inverse_count],
                                                 decoder->file, arena, t, &budget, err);
        if (status != MM_OK)
            return status;
        decoder->inverse_count++;
        if (t->d_in > decoder->widest)
            decoder->widest = t->d_in;
    }
    return MM_OK;
}

mm_status mm_faiss_decoder_open(const mm_input *file, mm_arena *arena, const mm_faiss_view *view,
                                mm_faiss_decoder **out, mm_error *err)
{
    const mm_faiss_node *codes = view->codes;
    mm_faiss_decoder *decoder = mm_arena_alloc(arena, sizeof(*decoder));
    if (decoder == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", file->name);
    *decoder = (mm_faiss_decoder){
        .file = file, .codes = codes, .inner_d = codes->d, .widest = codes->d};
    mm_status status = open_codec(&decoder->codec, file, arena, codes, err);
    if (status == MM_OK && codes->kind == MM_FAISS_IVF && codes->residual)
        status = open_quantizer(decoder, arena, err);
    decoder->refined = codes->refined;
    if (status == MM_OK && codes->refined)
        status = mm_faiss_codec_open_pq(&decoder->refinement, file, arena, &codes->refine_pq, err);
    if (status == MM_OK)
        status = open_inverses(decoder, arena, view, err);
    if (status == MM_OK)
        *out = decoder;
    return status;
}

/* Working memory: doubles of a transform, two vectors of a chain, the centroid, the second vector,
 * a centroid's or a second code, and what the quantizer needs. */
static size_t rounded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t vector_bytes(const mm_faiss_decoder *decoder)
{
    return rounded(decoder->widest * sizeof(float));
}

static size_t code_bytes(const mm_faiss_decoder *decoder)
{
    size_t largest = sizeof(uint64_t); /* the number of a list as a code of a MultiIndexQuantizer */
    if (decoder->quantizer != NULL && decoder->quantizer->codec.code_size > largest)
        largest = (size_t)decoder->quantizer->codec.code_size;
    if (decoder->refined && decoder->refinement.code_size > largest)
        largest = (size_t)decoder->refinement.code_size;
    return rounded(largest);
}

size_t mm_faiss_decoder_scratch(const mm_faiss_decoder *decoder)
{
    return rounded(decoder->widest * sizeof(double)) + 4 * vector_bytes(decoder) +
           code_bytes(decoder) +
           (decoder->quantizer != NULL ? mm_faiss_decoder_scratch(decoder->quantizer) : 0);
}

typedef struct scratch {
    double *sums;
    float *a, *b, *centroid, *second;
    uint8_t *code;
    void *rest;
} scratch;

static scratch divide(const mm_faiss_decoder *decoder, void *memory)
{
    scratch s;
    uint8_t *at = memory;
    s.sums = (double *)(void *)at;
    at += rounded(decoder->widest * sizeof(double));
    s.a = (float *)(void *)at;
    at += vector_bytes(decoder);
    s.b = (float *)(void *)at;
    at += vector_bytes(decoder);
    s.centroid = (float *)(void *)at;
    at += vector_bytes(decoder);
    s.second = (float *)(void *)at;
    at += vector_bytes(decoder);
    s.code = at;
    s.rest = at + code_bytes(decoder);
    return s;
}

/* Centroid of a list: row `list` of the coarse quantizer; the number itself is the code of a
 * MultiIndexQuantizer. */
static mm_status centroid_of(const mm_faiss_decoder *decoder, uint64_t list, const scratch *s,
                             mm_error *err)
{
    const mm_faiss_decoder *quantizer = decoder->quantizer;
    const mm_faiss_node *node = quantizer->codes;
    mm_status status = MM_OK;
    if (list >= node->rows)
        return mm_error_set(err, MM_DATA, "%s: list %" PRIu64 " of %" PRIu64 " centroids",
                            decoder->file->name, list, node->rows);
    if (node->kind == MM_FAISS_MULTI)
        memcpy(s->code, &list, sizeof(list));
    else
        status = mm_faiss_read(decoder->file, node->codes + list * node->code_size, s->code,
                               (size_t)node->code_size, err);
    return status == MM_OK
               ? mm_faiss_decode(quantizer, s->code, 1, 0, NULL, s->centroid, s->rest, err)
               : status;
}

static void add_to(float *vector, const float *other, size_t count)
{
    for (size_t i = 0; i < count; i++)
        vector[i] += other[i];
}

/* IVFPQR: a second code stands at the row's id. */
static mm_status add_second(const mm_faiss_decoder *decoder, int64_t id, float *vector,
                            const scratch *s, mm_error *err)
{
    const mm_faiss_node *node = decoder->codes;
    uint64_t size = decoder->refinement.code_size;
    if (id < 0 || (uint64_t)id >= node->rows)
        return mm_faiss_bad(decoder->file, node->refine_codes, err,
                            "no refinement code for the id %" PRId64, id);
    mm_status status = mm_faiss_read(decoder->file, node->refine_codes + (uint64_t)id * size, s->code,
                                     (size_t)size, err);
    if (status == MM_OK)
        status = mm_faiss_codec_decode(&decoder->refinement, s->code, s->second, err);
    if (status == MM_OK)
        add_to(vector, s->second, decoder->inner_d);
    return status;
}

mm_status mm_faiss_decode(const mm_faiss_decoder *decoder, const uint8_t *codes, size_t rows,
                          uint64_t list, const int64_t *ids, float *out, void *memory,
                          mm_error *err)
{
    scratch s = divide(decoder, memory);
    size_t chain = decoder->inverse_count;
    uint32_t d = chain > 0 ? decoder->inverses[chain - 1].d_in : decoder->inner_d;
    if (decoder->quantizer != NULL) {
        mm_status status = centroid_of(decoder, list, &s, err);
        if (status != MM_OK)
            return status;
    }
    for (size_t row = 0; row < rows; row++, out += d) {
        float *vector = chain > 0 ? s.a : out;
        mm_status status = mm_faiss_codec_decode(
            &decoder->codec, codes + row * decoder->codec.code_size, vector, err);
        if (status == MM_OK && decoder->quantizer != NULL)
            add_to(vector, s.centroid, decoder->inner_d);
        if (status == MM_OK && decoder->refined)
            status = add_second(decoder, ids[row], vector, &s, err);
        if (status != MM_OK)
            return status;
        for (size_t i = 0; i < chain; i++) {
            float *next = i + 1 == chain ? out : vector == s.a ? s.b : s.a;
            mm_faiss_inverse_apply(&decoder->inverses[i], vector, next, s.sums);
            vector = next;
        }
    }
    return MM_OK;
}
