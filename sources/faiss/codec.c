/* Quantizers' codes to numbers. Scalar quantizers as FAISS's scalar code computes them (its SIMD code
 * differs in the last bit); product quantizers: codes are numbers of `bits` bits, the least
 * significant bit first. */
#include "sources/faiss/codec.h"

#include <string.h>

/* Centroids up to this size are held in memory. */
#define CENTROIDS_MAX (32u << 20)

mm_status mm_faiss_load_floats(const mm_input *file, mm_arena *arena, uint64_t offset,
                               uint64_t count, const float **out, mm_error *err)
{
    float *values = mm_arena_array(arena, (size_t)count, sizeof(float));
    if (values == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", file->name);
    mm_status status = mm_faiss_read(file, offset, values, (size_t)count * sizeof(float), err);
    if (status == MM_OK)
        *out = values;
    return status;
}

void mm_faiss_codec_open_raw(mm_faiss_codec *codec, const mm_input *file, uint32_t d)
{
    *codec = (mm_faiss_codec){
        .file = file, .coding = MM_FAISS_RAW, .d = d, .code_size = (uint64_t)d * sizeof(float)};
}

mm_status mm_faiss_codec_open_sq(mm_faiss_codec *codec, const mm_input *file, mm_arena *arena,
                                 uint32_t d, const mm_faiss_sq *sq, uint64_t code_size,
                                 mm_error *err)
{
    bool ranges = sq->qtype <= 3 || sq->qtype == 6;
    *codec = (mm_faiss_codec){.file = file,
                              .coding = MM_FAISS_SQ,
                              .d = d,
                              .code_size = code_size,
                              .qtype = sq->qtype};
    if (!ranges || sq->trained_count == 0)
        return MM_OK;
    return mm_faiss_load_floats(file, arena, sq->trained, sq->trained_count, &codec->trained, err);
}

mm_status mm_faiss_codec_open_pq(mm_faiss_codec *codec, const mm_input *file, mm_arena *arena,
                                 const mm_faiss_pq *pq, mm_error *err)
{
    uint64_t count = pq->d << pq->bits;
    *codec = (mm_faiss_codec){.file = file,
                              .coding = MM_FAISS_PQ,
                              .d = (uint32_t)pq->d,
                              .code_size = pq->code_size,
                              .pq = *pq};
    if (count * sizeof(float) > CENTROIDS_MAX)
        return MM_OK;
    return mm_faiss_load_floats(file, arena, pq->centroids, count, &codec->centroids, err);
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* IEEE binary16. */
static float from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f,
             mantissa = half & 0x3ff;
    if (exponent == 0x1f)
        return from_bits(sign | 0x7f800000 | mantissa << 13);
    if (exponent != 0)
        return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    float tiny = (float)mantissa * 0x1p-24f;
    return sign != 0 ? -tiny : tiny;
}

static unsigned packed_bits(const uint8_t *code, size_t bit, unsigned bits, size_t size)
{
    uint32_t window = 0;
    size_t byte = bit / 8;
    for (size_t i = 0; i < 4 && byte + i < size; i++)
        window |= (uint32_t)code[byte + i] << (8 * i);
    return window >> (bit % 8) & ((1u << bits) - 1);
}

/* qtype, as in FAISS's ScalarQuantizer::QuantizerType. */
static float sq_component(const mm_faiss_codec *codec, const uint8_t *code, size_t i)
{
    const float *t = codec->trained;
    uint32_t d = codec->d;
    uint16_t word;
    switch (codec->qtype) {
    case 0:
        return t[i] + ((float)code[i] + 0.5f) / 255.0f * t[d + i];
    case 1:
        return t[i] + ((float)(code[i / 2] >> (i % 2 * 4) & 15) + 0.5f) / 15.0f * t[d + i];
    case 2:
        return t[0] + ((float)code[i] + 0.5f) / 255.0f * t[1];
    case 3:
        return t[0] + ((float)(code[i / 2] >> (i % 2 * 4) & 15) + 0.5f) / 15.0f * t[1];
    case 4:
        memcpy(&word, code + 2 * i, sizeof(word));
        return from_half(word);
    case 5:
        return code[i];
    case 6:
        return t[i] + ((float)packed_bits(code, i * 6, 6, codec->code_size) + 0.5f) / 63.0f *
                          t[d + i];
    case 7:
        memcpy(&word, code + 2 * i, sizeof(word));
        return from_bits((uint32_t)word << 16);
    default: /* 8: the walk lets no other pass */
        return (float)(code[i] - 128);
    }
}

static mm_status pq_decode(const mm_faiss_codec *codec, const uint8_t *code, float *out,
                           mm_error *err)
{
    const mm_faiss_pq *pq = &codec->pq;
    size_t part = (size_t)(pq->d / pq->m);
    for (size_t m = 0; m < pq->m; m++) {
        uint64_t centroid = packed_bits(code, m * pq->bits, (unsigned)pq->bits, pq->code_size);
        uint64_t first = (((uint64_t)m << pq->bits) + centroid) * part;
        if (codec->centroids != NULL) {
            memcpy(out + m * part, codec->centroids + first, part * sizeof(float));
            continue;
        }
        mm_status status = mm_faiss_read(codec->file, pq->centroids + first * sizeof(float), out + m * part,
                                         part * sizeof(float), err);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

mm_status mm_faiss_codec_decode(const mm_faiss_codec *codec, const uint8_t *code, float *out,
                                mm_error *err)
{
    switch (codec->coding) {
    case MM_FAISS_RAW:
        memcpy(out, code, codec->code_size);
        return MM_OK;
    case MM_FAISS_SQ:
        if (codec->trained == NULL && (codec->qtype <= 3 || codec->qtype == 6))
            return mm_error_set(err, MM_DATA, "%s: a scalar quantizer without ranges",
                                codec->file->name);
        for (size_t i = 0; i < codec->d; i++)
            out[i] = sq_component(codec, code, i);
        return MM_OK;
    case MM_FAISS_PQ:
        return pq_decode(codec, code, out, err);
    }
    return mm_error_set(err, MM_BUG, "a coding without decoder");
}
