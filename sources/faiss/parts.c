/* Parts of an index that the walk reads or steps over: quantizers, vector transforms, graphs. */
#include "sources/faiss/node.h"

#include <inttypes.h>

/* i32 qtype, i32 rangestat, f32 rangestat_arg, u64 d, u64 code_size, vector of f32. */
mm_status mm_faiss_read_sq(mm_faiss_stream *stream, const mm_faiss_node *node, mm_faiss_sq *sq,
                           uint64_t *code_size, mm_error *err)
{
    static const struct {
        const char *name;
        uint32_t bits;
        bool supported;
    } types[] = {{"QT_8bit", 8, true},          {"QT_4bit", 4, true},
                 {"QT_8bit_uniform", 8, true},  {"QT_4bit_uniform", 4, true},
                 {"QT_fp16", 16, true},         {"QT_8bit_direct", 8, true},
                 {"QT_6bit", 6, true},          {"QT_bf16", 16, true},
                 {"QT_8bit_direct_signed", 8, true}, {"QT_0bit", 0, false}};
    uint64_t at = stream->at, sizes[2], d = node->d;
    mm_status status = mm_faiss_get_i32(stream, &sq->qtype, "quantizer type", err);
    if (status == MM_OK)
        status = mm_faiss_skip(stream, 1, 8, "range parameters", err);
    if (status == MM_OK)
        status = mm_faiss_get(stream, sizes, sizeof(sizes), "quantizer's sizes", err);
    if (status == MM_OK)
        status = mm_faiss_get_vector(stream, 4, &sq->trained_count, &sq->trained,
                                     "quantizer's ranges", err);
    if (status != MM_OK)
        return status;
    if (sq->qtype < 0 || (size_t)sq->qtype >= MM_COUNT(types) || !types[sq->qtype].supported)
        return mm_faiss_bad(stream->file, at, err,
                            "the %s at byte %" PRIu64
                            " uses the scalar quantizer type %d (%s), which is not supported",
                            mm_faiss_node_name(node), node->at, sq->qtype,
                            sq->qtype == 9                       ? "QT_0bit"
                            : sq->qtype > 9 && sq->qtype <= 26 ? "a TurboQuant or EDEN type"
                                                                 : "unknown");
    uint64_t want = (d * types[sq->qtype].bits + 7) / 8;
    if (sizes[0] != d || sizes[1] != want)
        return mm_faiss_bad(stream->file, at + 12, err,
                            "a %s quantizer of %" PRIu64 " dimensions and %" PRIu64
                            " bytes in an index of %u dimensions",
                            types[sq->qtype].name, sizes[0], sizes[1], node->d);
    /* 8, 4 and 6 bits: minimum and span of each dimension; uniform: one of both. An index that was
     * never trained holds none, and no row. */
    uint64_t ranges = sq->qtype == 0 || sq->qtype == 1 || sq->qtype == 6 ? 2 * d
                      : sq->qtype == 2 || sq->qtype == 3                 ? 2
                                                                         : sq->trained_count;
    if (sq->trained_count != ranges && !(node->rows == 0 && sq->trained_count == 0))
        return mm_faiss_bad(stream->file, sq->trained - 8, err,
                            "%" PRIu64 " range values for a %s quantizer of %u dimensions",
                            sq->trained_count, types[sq->qtype].name, node->d);
    *code_size = want;
    return MM_OK;
}

/* u64 d, u64 M, u64 nbits, vector of f32 centroids[M][2^nbits][d / M]. */
mm_status mm_faiss_read_pq(mm_faiss_stream *stream, uint32_t d, mm_faiss_pq *pq, mm_error *err)
{
    uint64_t at = stream->at, head[3], count, want;
    mm_status status = mm_faiss_get(stream, head, sizeof(head), "product quantizer", err);
    if (status == MM_OK)
        status = mm_faiss_get_vector(stream, 4, &count, &pq->centroids, "centroids", err);
    if (status != MM_OK)
        return status;
    if (head[0] != d || head[1] == 0 || head[1] > d || d % head[1] != 0 || head[2] == 0 ||
        head[2] > 24)
        return mm_faiss_bad(stream->file, at, err,
                            "a product quantizer of %" PRIu64 " dimensions in %" PRIu64
                            " parts of %" PRIu64 " bits in an index of %u dimensions",
                            head[0], head[1], head[2], d);
    want = (uint64_t)d << head[2];
    if (count != want)
        return mm_faiss_bad(stream->file, at + 24, err,
                            "%" PRIu64 " centroid values; %" PRIu64 " are wanted", count, want);
    pq->d = d;
    pq->m = head[1];
    pq->bits = head[2];
    pq->code_size = (head[1] * head[2] + 7) / 8;
    return MM_OK;
}

/* u8 have_bias, vector A[d_out][d_in], vector b; before them, for a PCA: f32 eigen_power, f32 epsilon
 * (Pcam only), u8 random_rotation, i32 balanced_bins (not PCAm), vectors mean, eigenvalues, PCAMat. */
static mm_status read_linear(mm_faiss_stream *stream, mm_faiss_transform *t, uint64_t *b_count,
                             mm_error *err)
{
    mm_status status = MM_OK;
    if (t->fourcc != MM_FOURCC("LTra") && t->fourcc != MM_FOURCC("rrot")) {
        uint64_t fixed = t->fourcc == MM_FOURCC("Pcam") ? 13 : t->fourcc == MM_FOURCC("PcAm") ? 9 : 5;
        status = mm_faiss_skip(stream, 1, fixed, "PCA parameters", err);
        for (int i = 0; status == MM_OK && i < 3; i++)
            status = mm_faiss_get_vector(stream, 4, NULL, NULL, "PCA values", err);
    }
    uint8_t bias = 0;
    t->kind = MM_FAISS_LINEAR;
    if (status == MM_OK)
        status = mm_faiss_get_u8(stream, &bias, "have_bias", err);
    if (status == MM_OK)
        status = mm_faiss_get_vector(stream, 4, &t->data_count, &t->data, "matrix", err);
    if (status == MM_OK)
        status = mm_faiss_get_vector(stream, 4, b_count, &t->b, "bias", err);
    t->bias = bias != 0;
    return status;
}

static mm_status read_transform_data(mm_faiss_stream *stream, mm_faiss_transform *t,
                                     uint64_t *b_count, mm_error *err)
{
    static const char linear[][5] = {"LTra", "rrot", "PCAm", "PcAm", "Pcam"};
    for (size_t i = 0; i < MM_COUNT(linear); i++)
        if (t->fourcc == MM_FOURCC(linear[i]))
            return read_linear(stream, t, b_count, err);
    if (t->fourcc == MM_FOURCC("VNrm")) {
        t->kind = MM_FAISS_NORM;
        return mm_faiss_skip(stream, 1, 4, "norm", err);
    }
    if (t->fourcc == MM_FOURCC("VCnt")) {
        t->kind = MM_FAISS_CENTER;
        return mm_faiss_get_vector(stream, 4, &t->data_count, &t->data, "mean", err);
    }
    if (t->fourcc == MM_FOURCC("RmDT")) {
        t->kind = MM_FAISS_REMAP;
        return mm_faiss_get_vector(stream, 4, &t->data_count, &t->data, "dimension map", err);
    }
    return mm_faiss_unsupported(stream->file, t->at, t->fourcc, "vector transform", err);
}

/* fourcc, the kind's own data, i32 d_in, i32 d_out, u8 is_trained. */
static mm_status read_one_transform(mm_faiss_stream *stream, mm_faiss_transform *t, mm_error *err)
{
    int32_t d[2];
    uint64_t b_count = 0, want;
    t->at = stream->at;
    mm_status status = mm_faiss_get(stream, &t->fourcc, 4, "vector transform", err);
    if (status == MM_OK)
        status = read_transform_data(stream, t, &b_count, err);
    uint64_t at = stream->at;
    if (status == MM_OK)
        status = mm_faiss_get(stream, d, sizeof(d), "transform's dimensions", err);
    if (status == MM_OK)
        status = mm_faiss_skip(stream, 1, 1, "is_trained", err);
    if (status != MM_OK)
        return status;
    if (d[0] <= 0 || d[0] > MM_FAISS_DIM_MAX || d[1] <= 0 || d[1] > MM_FAISS_DIM_MAX ||
        (d[0] != d[1] && (t->kind == MM_FAISS_NORM || t->kind == MM_FAISS_CENTER)))
        return mm_faiss_bad(stream->file, at, err, "a transform '%s' from %d to %d dimensions",
                            mm_faiss_fourcc_text(t->fourcc).text, d[0], d[1]);
    t->d_in = (uint32_t)d[0];
    t->d_out = (uint32_t)d[1];
    want = t->kind == MM_FAISS_LINEAR   ? (uint64_t)t->d_in * t->d_out
           : t->kind == MM_FAISS_CENTER ? t->d_in
           : t->kind == MM_FAISS_REMAP  ? t->d_out
                                        : 0;
    if (t->data_count < want || (t->bias && b_count < t->d_out))
        return mm_faiss_bad(stream->file, t->at, err,
                            "a transform '%s' from %d to %d dimensions with %" PRIu64 " values",
                            mm_faiss_fourcc_text(t->fourcc).text, d[0], d[1], t->data_count);
    t->data_count = want;
    return MM_OK;
}

mm_status mm_faiss_read_transforms(mm_faiss_stream *stream, mm_arena *arena, mm_faiss_node *node,
                                   mm_error *err)
{
    int32_t count;
    uint64_t at = stream->at;
    mm_status status = mm_faiss_get_i32(stream, &count, "number of transforms", err);
    if (status != MM_OK)
        return status;
    if (count < 0 || count > MM_FAISS_TRANSFORMS)
        return mm_faiss_bad(stream->file, at, err, "%d transforms; up to %d are read", count,
                            MM_FAISS_TRANSFORMS);
    node->transforms = mm_arena_array(arena, (size_t)count, sizeof(*node->transforms));
    if (node->transforms == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", stream->file->name);
    for (int32_t i = 0; i < count; i++) {
        mm_faiss_transform *t = &node->transforms[i];
        *t = (mm_faiss_transform){.kind = MM_FAISS_NORM};
        status = read_one_transform(stream, t, err);
        if (status != MM_OK)
            return status;
        node->transform_count++;
    }
    return MM_OK;
}

static mm_status count_is(mm_faiss_stream *stream, uint64_t at, uint64_t count, uint64_t want,
                          const char *what, mm_error *err)
{
    if (count == want)
        return MM_OK;
    return mm_faiss_bad(stream->file, at, err, "%" PRIu64 " %s of a graph; %" PRIu64 " are wanted",
                        count, what, want);
}

/* Vectors: f64 level probabilities, i32 links per level (cumulated), i32 levels, u64 offsets, i32
 * neighbours; then i32 entry point, max level, efConstruction, efSearch, unused. */
mm_status mm_faiss_read_hnsw(mm_faiss_stream *stream, mm_faiss_node *node, mm_error *err)
{
    uint64_t at[4], cumulated, cumulated_count, levels, offsets, offsets_at, neighbours, last = 0;
    int32_t tail[5], links[2] = {0, 0};
    const mm_input *file = stream->file;
    mm_status status = mm_faiss_get_vector(stream, 8, NULL, NULL, "level probabilities", err);
    if (status == MM_OK)
        status = mm_faiss_get_vector(stream, 4, &cumulated_count, &cumulated, "links per level", err);
    at[0] = stream->at;
    if (status == MM_OK)
        status = mm_faiss_get_vector(stream, 4, &levels, NULL, "levels", err);
    at[1] = stream->at;
    if (status == MM_OK)
        status = mm_faiss_get_vector(stream, 8, &offsets, &offsets_at, "neighbour offsets", err);
    at[2] = stream->at;
    if (status == MM_OK)
        status = mm_faiss_get_vector(stream, 4, &neighbours, NULL, "neighbours", err);
    if (status == MM_OK)
        status = mm_faiss_get(stream, tail, sizeof(tail), "graph parameters", err);
    if (status == MM_OK)
        status = count_is(stream, at[0], levels, node->rows, "levels", err);
    if (status == MM_OK)
        status = count_is(stream, at[1], offsets, node->rows + 1, "offsets", err);
    if (status == MM_OK)
        status = mm_faiss_read(file, offsets_at + 8 * (offsets - 1), &last, sizeof(last), err);
    if (status == MM_OK)
        status = count_is(stream, at[2], neighbours, last, "neighbours", err);
    if (status == MM_OK && cumulated_count >= 2)
        status = mm_faiss_read(file, cumulated, links, sizeof(links), err);
    if (status != MM_OK)
        return status;
    /* Level 0 has twice as many links as the others. */
    if (links[1] > 0 && links[1] % 2 == 0 && tail[2] > 0) {
        node->hnsw_m = (uint32_t)links[1] / 2;
        node->hnsw_ef = (uint32_t)tail[2];
    }
    return MM_OK;
}

/* i32 GK, u8 build_type, i32 × 4; NSG: i32 ntotal, R, L, C, search_L, entry point, u8 is_built; when
 * built, for each node its neighbours (i32), ended by -1. */
mm_status mm_faiss_read_nsg(mm_faiss_stream *stream, mm_faiss_node *node, mm_error *err)
{
    int32_t head[6], neighbour = -1;
    uint8_t built = 0;
    mm_status status = mm_faiss_skip(stream, 1, 21, "NSG parameters", err);
    uint64_t at = stream->at;
    if (status == MM_OK)
        status = mm_faiss_get(stream, head, sizeof(head), "NSG parameters", err);
    if (status == MM_OK)
        status = mm_faiss_get_u8(stream, &built, "is_built", err);
    if (status != MM_OK || !built)
        return status;
    if (head[0] < 0 || (uint64_t)head[0] != node->rows || head[1] < 0)
        return mm_faiss_bad(stream->file, at, err,
                            "a graph of %d nodes with %d neighbours for %" PRIu64 " rows", head[0],
                            head[1], node->rows);
    for (int32_t i = 0; i < head[0]; i++) {
        for (int64_t j = 0; j <= head[1]; j++) {
            status = mm_faiss_get_i32(stream, &neighbour, "neighbour", err);
            if (status != MM_OK)
                return status;
            if (neighbour == -1)
                break;
        }
        if (neighbour != -1)
            return mm_faiss_bad(stream->file, stream->at - 4, err,
                                "node %d of the graph has more than %d neighbours", i, head[1]);
    }
    return MM_OK;
}

/* i32 ntotal, d, K, S, R, L, iter, search_L, random_seed, u8 has_built, vector of i32. */
mm_status mm_faiss_read_nndescent(mm_faiss_stream *stream, mm_faiss_node *node, mm_error *err)
{
    int32_t head[2];
    uint64_t at = stream->at;
    mm_status status = mm_faiss_get(stream, head, sizeof(head), "NNDescent parameters", err);
    if (status == MM_OK && (head[0] < 0 || (uint64_t)head[0] != node->rows))
        status = mm_faiss_bad(stream->file, at, err, "a graph of %d nodes for %" PRIu64 " rows",
                              head[0], node->rows);
    if (status == MM_OK)
        status = mm_faiss_skip(stream, 1, 29, "NNDescent parameters", err);
    return status == MM_OK ? mm_faiss_get_vector(stream, 4, NULL, NULL, "graph", err) : status;
}
