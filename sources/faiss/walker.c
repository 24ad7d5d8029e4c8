/* The recursive walk over an index file: finds out what is where, and that the parts agree with each
 * other. Layouts as FAISS writes them (index_write.cpp, 1.7.3 to 1.15.1) and, for the legacy ones, as
 * it still reads them (index_read.cpp). */
#include "sources/faiss/node.h"

#include <inttypes.h>

typedef struct walk {
    mm_faiss_stream stream;
    mm_arena *arena;
    size_t nodes;
} walk;

static mm_status read_index(walk *w, int depth, bool binary, mm_faiss_node **out, mm_error *err);

const char *mm_faiss_node_name(const mm_faiss_node *node)
{
    const char *name = mm_faiss_fourcc_name(node->fourcc);
    return name != NULL ? name : "index";
}

static const mm_input *file_of(walk *w)
{
    return w->stream.file;
}

/* H: i32 d, i64 ntotal, two unused i64, u8 is_trained, i32 metric, f32 metric_arg if metric > 1. */
static mm_status read_header(walk *w, mm_faiss_node *node, mm_error *err)
{
    int32_t d;
    int64_t rows, unused[2];
    uint8_t trained;
    uint64_t at = w->stream.at;
    mm_status status = mm_faiss_get_i32(&w->stream, &d, "dimension", err);
    if (status == MM_OK)
        status = mm_faiss_get(&w->stream, &rows, sizeof(rows), "number of rows", err);
    if (status == MM_OK)
        status = mm_faiss_get(&w->stream, unused, sizeof(unused), "index header", err);
    if (status == MM_OK)
        status = mm_faiss_get_u8(&w->stream, &trained, "index header", err);
    if (status == MM_OK)
        status = mm_faiss_get_i32(&w->stream, &node->metric, "metric", err);
    if (status == MM_OK && node->metric > 1)
        status = mm_faiss_get(&w->stream, &node->metric_arg, 4, "metric argument", err);
    if (status != MM_OK)
        return status;
    if (d <= 0 || d > MM_FAISS_DIM_MAX)
        return mm_faiss_bad(file_of(w), at, err, "a dimension of %d; 1 to %d are read", d,
                            MM_FAISS_DIM_MAX);
    if (rows < 0)
        return mm_faiss_bad(file_of(w), at + 4, err, "%" PRId64 " rows", rows);
    if (node->metric < 0)
        return mm_faiss_bad(file_of(w), at + 29, err, "%d is no metric", node->metric);
    node->d = (uint32_t)d;
    node->rows = (uint64_t)rows;
    node->trained = trained != 0;
    return MM_OK;
}

/* BH: i32 d (bits), i32 code_size, i64 ntotal, u8 is_trained, i32 metric. */
static mm_status read_binary_header(walk *w, mm_faiss_node *node, mm_error *err)
{
    int32_t sizes[2];
    int64_t rows;
    uint8_t trained;
    uint64_t at = w->stream.at;
    mm_status status = mm_faiss_get(&w->stream, sizes, sizeof(sizes), "dimension", err);
    if (status == MM_OK)
        status = mm_faiss_get(&w->stream, &rows, sizeof(rows), "number of rows", err);
    if (status == MM_OK)
        status = mm_faiss_get_u8(&w->stream, &trained, "index header", err);
    if (status == MM_OK)
        status = mm_faiss_get_i32(&w->stream, &node->metric, "metric", err);
    if (status != MM_OK)
        return status;
    if (sizes[0] <= 0 || sizes[0] > MM_FAISS_DIM_MAX || sizes[0] % 8 != 0)
        return mm_faiss_bad(file_of(w), at, err,
                            "%d bits a vector; multiples of 8 up to %d are read", sizes[0],
                            MM_FAISS_DIM_MAX);
    /* FAISS up to 1.7.3 writes 0 for an id map, which has no codes of its own. */
    bool idmap = mm_faiss_fourcc_shape(node->fourcc) == MM_FAISS_SHAPE_IDMAP;
    if (sizes[1] != sizes[0] / 8 && !(idmap && sizes[1] == 0))
        return mm_faiss_bad(file_of(w), at + 4, err, "codes of %d bytes for vectors of %d bits",
                            sizes[1], sizes[0]);
    if (rows < 0)
        return mm_faiss_bad(file_of(w), at + 8, err, "%" PRId64 " rows", rows);
    node->d = (uint32_t)sizes[0];
    node->code_size = (uint64_t)sizes[0] / 8;
    node->rows = (uint64_t)rows;
    node->trained = trained != 0;
    return MM_OK;
}

/* A vector of codes: count × item bytes must be rows × code_size. */
static mm_status read_codes(walk *w, mm_faiss_node *node, uint64_t item, mm_error *err)
{
    uint64_t at = w->stream.at, count, bytes, want;
    mm_status status = mm_faiss_get_vector(&w->stream, item, &count, &node->codes, "vectors", err);
    if (status != MM_OK)
        return status;
    if (!mm_mul_u64(count, item, &bytes) || !mm_mul_u64(node->rows, node->code_size, &want) ||
        bytes != want)
        return mm_faiss_bad(file_of(w), at, err,
                            "%" PRIu64 " × %" PRIu64 " bytes of vectors for %" PRIu64
                            " rows of %" PRIu64 " bytes",
                            count, item, node->rows, node->code_size);
    return MM_OK;
}

static mm_status read_flat(walk *w, mm_faiss_node *node, mm_error *err)
{
    node->kind = MM_FAISS_CODES;
    node->coding = MM_FAISS_RAW;
    if (node->binary)
        return read_codes(w, node, 1, err);
    node->code_size = (uint64_t)node->d * 4;
    return read_codes(w, node, 4, err);
}

static mm_status read_flat_sq(walk *w, mm_faiss_node *node, mm_error *err)
{
    node->kind = MM_FAISS_CODES;
    node->coding = MM_FAISS_SQ;
    mm_status status = mm_faiss_read_sq(&w->stream, node, &node->sq, &node->code_size, err);
    return status == MM_OK ? read_codes(w, node, 1, err) : status;
}

static mm_status read_flat_pq(walk *w, mm_faiss_node *node, mm_error *err)
{
    node->kind = MM_FAISS_CODES;
    node->coding = MM_FAISS_PQ;
    mm_status status = mm_faiss_read_pq(&w->stream, node->d, &node->pq, err);
    node->code_size = node->pq.code_size;
    if (status == MM_OK)
        status = read_codes(w, node, 1, err);
    /* i32 search_type, u8 encode_signs, i32 polysemous_ht; files before them are IxPQ, and both
     * older kinds hold an L2 index whatever their header says. */
    if (status == MM_OK && node->fourcc != MM_FOURCC("IxPQ"))
        status = mm_faiss_skip(&w->stream, 1, 9, "search parameters", err);
    if (node->fourcc != MM_FOURCC("IxPq"))
        node->metric = MM_FAISS_L2;
    return status;
}

/* u8 type (0 none, 1 array, 2 hash table), vector of i64, and for a hash table a vector of pairs.
 * Old files have a flag there, 0 or 1, with the same meaning. */
static mm_status skip_direct_map(walk *w, mm_error *err)
{
    uint8_t type;
    uint64_t at = w->stream.at;
    mm_status status = mm_faiss_get_u8(&w->stream, &type, "direct map", err);
    if (status == MM_OK && type > 2)
        status = mm_faiss_bad(file_of(w), at, err, "%u is no type of direct map", type);
    if (status == MM_OK)
        status = mm_faiss_get_vector(&w->stream, 8, NULL, NULL, "direct map", err);
    if (status == MM_OK && type == 2)
        status = mm_faiss_get_vector(&w->stream, 16, NULL, NULL, "direct map", err);
    return status;
}

/* u64 nlist, u64 nprobe, coarse quantizer, direct map; legacy files have the ids before the map. */
static mm_status read_ivf_header(walk *w, int depth, mm_faiss_node *node, bool legacy,
                                 mm_error *err)
{
    uint64_t at = w->stream.at, counts[2];
    node->kind = MM_FAISS_IVF;
    mm_status status = mm_faiss_get(&w->stream, counts, sizeof(counts), "number of lists", err);
    if (status != MM_OK)
        return status;
    if (counts[0] == 0 || counts[0] > INT64_MAX)
        return mm_faiss_bad(file_of(w), at, err, "%" PRIu64 " inverted lists", counts[0]);
    node->nlist = counts[0];
    status = read_index(w, depth + 1, node->binary, &node->inner, err);
    if (status == MM_OK && legacy)
        status = mm_faiss_lists_legacy_ids(&w->stream, node->nlist, &node->lists, err);
    return status == MM_OK ? skip_direct_map(w, err) : status;
}

static mm_status read_lists(walk *w, mm_faiss_node *node, bool legacy, uint32_t unit, mm_error *err)
{
    mm_status status =
        legacy ? mm_faiss_lists_legacy_codes(&w->stream, node->code_size, unit, &node->lists, err)
               : mm_faiss_lists_read(&w->stream, w->arena, node->nlist, node->code_size,
                                     &node->lists, err);
    if (status != MM_OK)
        return status;
    uint64_t stored = node->lists.rows, rows = stored;
    if (!mm_add_u64(rows, node->pair_count, &rows))
        return mm_faiss_bad(file_of(w), node->at, err, "more rows than 64 bits can count");
    /* FAISS's own count of an index with duplicates grows too large when rows are removed from it. */
    if (node->dedup ? rows > node->rows : rows != node->rows)
        return mm_faiss_bad(file_of(w), node->at + (node->binary ? 12 : 8), err,
                            "the index says %" PRIu64 " rows, its inverted lists%s hold %" PRIu64
                            "%s",
                            node->rows, node->dedup ? " and duplicates" : "", rows,
                            node->lists.kind == MM_FAISS_LISTS_ABSENT
                                ? " (they were not stored with the index)"
                                : "");
    node->rows = rows;
    return MM_OK;
}

static mm_status read_ivf_flat(walk *w, int depth, mm_faiss_node *node, mm_error *err)
{
    bool legacy = node->fourcc == MM_FOURCC("IvFl") || node->fourcc == MM_FOURCC("IvFL");
    if (!node->binary)
        node->code_size = (uint64_t)node->d * 4;
    node->coding = MM_FAISS_RAW;
    mm_status status = read_ivf_header(w, depth, node, legacy, err);
    node->dedup = node->fourcc == MM_FOURCC("IwFd");
    if (status == MM_OK && node->dedup) {
        uint64_t at = w->stream.at, count = 0;
        status = mm_faiss_get_vector(&w->stream, 8, &count, &node->pairs, "duplicates", err);
        if (status == MM_OK && count % 2 != 0)
            status = mm_faiss_bad(file_of(w), at, err, "%" PRIu64 " words for pairs of ids", count);
        node->pair_count = count / 2;
    }
    if (status != MM_OK)
        return status;
    return read_lists(w, node, legacy, node->fourcc == MM_FOURCC("IvFl") ? 4 : 1, err);
}

static mm_status check_code_size(walk *w, const mm_faiss_node *node, uint64_t at, uint64_t said,
                                 mm_error *err)
{
    if (said == node->code_size)
        return MM_OK;
    return mm_faiss_bad(file_of(w), at, err,
                        "codes of %" PRIu64 " bytes; the quantizer makes %" PRIu64, said,
                        node->code_size);
}

static mm_status read_ivf_sq(walk *w, int depth, mm_faiss_node *node, mm_error *err)
{
    bool legacy = node->fourcc == MM_FOURCC("IvSQ");
    uint64_t said = 0, at = 0;
    uint8_t residual = 1;
    node->coding = MM_FAISS_SQ;
    mm_status status = read_ivf_header(w, depth, node, legacy, err);
    if (status == MM_OK)
        status = mm_faiss_read_sq(&w->stream, node, &node->sq, &node->code_size, err);
    at = w->stream.at;
    if (status == MM_OK)
        status = mm_faiss_get_u64(&w->stream, &said, "code size", err);
    if (status == MM_OK)
        status = check_code_size(w, node, at, said, err);
    /* Older files have no flag and meant: yes. */
    if (status == MM_OK && node->fourcc == MM_FOURCC("IwSq"))
        status = mm_faiss_get_u8(&w->stream, &residual, "by_residual", err);
    node->residual = residual != 0;
    return status == MM_OK ? read_lists(w, node, legacy, 1, err) : status;
}

/* The second code of IVFPQR: PQ, a code for each id, f32 k_factor; only in a trained index. */
static mm_status read_refinement(walk *w, mm_faiss_node *node, mm_error *err)
{
    uint64_t at, want;
    mm_status status = mm_faiss_read_pq(&w->stream, node->d, &node->refine_pq, err);
    at = w->stream.at;
    if (status == MM_OK)
        status = mm_faiss_get_vector(&w->stream, 1, &node->refine_count, &node->refine_codes,
                                     "refinement codes", err);
    if (status == MM_OK)
        status = mm_faiss_skip(&w->stream, 1, 4, "k_factor", err);
    if (status == MM_OK && (!mm_mul_u64(node->rows, node->refine_pq.code_size, &want) ||
                            node->refine_count != want))
        status = mm_faiss_bad(file_of(w), at, err,
                              "%" PRIu64 " bytes of refinement codes for %" PRIu64
                              " rows of %" PRIu64 " bytes",
                              node->refine_count, node->rows, node->refine_pq.code_size);
    node->refined = true;
    return status;
}

static mm_status read_ivf_pq(walk *w, int depth, mm_faiss_node *node, mm_error *err)
{
    bool legacy = node->fourcc == MM_FOURCC("IvPQ") || node->fourcc == MM_FOURCC("IvQR");
    bool refined = node->fourcc == MM_FOURCC("IwQR") || node->fourcc == MM_FOURCC("IvQR");
    uint64_t said = 0, at = 0;
    uint8_t residual = 0;
    node->coding = MM_FAISS_PQ;
    mm_status status = read_ivf_header(w, depth, node, legacy, err);
    if (status == MM_OK)
        status = mm_faiss_get_u8(&w->stream, &residual, "by_residual", err);
    at = w->stream.at;
    if (status == MM_OK)
        status = mm_faiss_get_u64(&w->stream, &said, "code size", err);
    if (status == MM_OK)
        status = mm_faiss_read_pq(&w->stream, node->d, &node->pq, err);
    node->residual = residual != 0;
    node->code_size = node->pq.code_size;
    if (status == MM_OK)
        status = check_code_size(w, node, at, said, err);
    if (status == MM_OK)
        status = read_lists(w, node, legacy, 1, err);
    return status == MM_OK && refined && node->trained ? read_refinement(w, node, err) : status;
}

/* FastScan indexes: stepped over, since RefineFlat keeps the exact vectors behind them. */
static mm_status read_packed(walk *w, int depth, mm_faiss_node *node, mm_error *err)
{
    mm_faiss_lists lists;
    mm_status status;
    if (node->fourcc == MM_FOURCC("IPfs")) { /* PQ, i32 × 3, u64 × 2, codes */
        status = mm_faiss_read_pq(&w->stream, node->d, &node->pq, err);
        if (status == MM_OK)
            status = mm_faiss_skip(&w->stream, 1, 28, "FastScan parameters", err);
        if (status == MM_OK)
            status = mm_faiss_get_vector(&w->stream, 1, NULL, NULL, "packed codes", err);
    } else { /* u8 by_residual, u64, i32, u64, i32, u64, PQ, lists */
        status = read_ivf_header(w, depth, node, false, err);
        if (status == MM_OK)
            status = mm_faiss_skip(&w->stream, 1, 33, "FastScan parameters", err);
        if (status == MM_OK)
            status = mm_faiss_read_pq(&w->stream, node->d, &node->pq, err);
        if (status == MM_OK)
            status = mm_faiss_lists_read(&w->stream, w->arena, node->nlist, UINT64_MAX, &lists, err);
    }
    node->kind = MM_FAISS_PACKED;
    return status;
}

/* What wraps an index must have as many rows as it. */
static mm_status check_inner(walk *w, const mm_faiss_node *node, const mm_faiss_node *inner,
                             bool same_dimension, mm_error *err)
{
    if (inner->kind == MM_FAISS_MISSING)
        return mm_faiss_bad(file_of(w), inner->at, err,
                            "the %s was written without its storage (IO_FLAG_SKIP_STORAGE): there "
                            "are no vectors in this file",
                            mm_faiss_node_name(node));
    if (inner->rows != node->rows)
        return mm_faiss_bad(file_of(w), node->at + (node->binary ? 12 : 8), err,
                            "the %s says %" PRIu64 " rows, the %s in it (byte %" PRIu64
                            ") has %" PRIu64,
                            mm_faiss_node_name(node), node->rows, mm_faiss_node_name(inner),
                            inner->at, inner->rows);
    if (same_dimension && inner->d != node->d)
        return mm_faiss_bad(file_of(w), node->at + 4, err,
                            "the %s says %u dimensions, the %s in it (byte %" PRIu64 ") has %u",
                            mm_faiss_node_name(node), node->d, mm_faiss_node_name(inner), inner->at,
                            inner->d);
    return MM_OK;
}

static mm_status read_idmap(walk *w, int depth, mm_faiss_node *node, mm_error *err)
{
    uint64_t at, count = 0;
    node->kind = MM_FAISS_IDMAP;
    mm_status status = read_index(w, depth + 1, node->binary, &node->inner, err);
    at = w->stream.at;
    if (status == MM_OK)
        status = mm_faiss_get_vector(&w->stream, 8, &count, &node->id_map, "id map", err);
    if (status == MM_OK && count != node->rows)
        status = mm_faiss_bad(file_of(w), at, err, "%" PRIu64 " ids for %" PRIu64 " rows", count,
                              node->rows);
    return status == MM_OK ? check_inner(w, node, node->inner, true, err) : status;
}

static mm_status read_graph(walk *w, int depth, mm_faiss_node *node, mm_error *err)
{
    mm_faiss_shape shape = mm_faiss_fourcc_shape(node->fourcc);
    node->kind = MM_FAISS_GRAPH;
    mm_status status = shape == MM_FAISS_SHAPE_HNSW  ? mm_faiss_read_hnsw(&w->stream, node, err)
                       : shape == MM_FAISS_SHAPE_NSG ? mm_faiss_read_nsg(&w->stream, node, err)
                                                     : mm_faiss_read_nndescent(&w->stream, node, err);
    if (status == MM_OK)
        status = read_index(w, depth + 1, node->binary, &node->inner, err);
    return status == MM_OK ? check_inner(w, node, node->inner, true, err) : status;
}

static mm_status read_refine(walk *w, int depth, mm_faiss_node *node, mm_error *err)
{
    node->kind = MM_FAISS_REFINE;
    mm_status status = read_index(w, depth + 1, false, &node->inner, err);
    if (status == MM_OK)
        status = read_index(w, depth + 1, false, &node->second, err);
    if (status == MM_OK)
        status = mm_faiss_skip(&w->stream, 1, 4, "k_factor", err);
    return status == MM_OK ? check_inner(w, node, node->second, true, err) : status;
}

static mm_status read_transform(walk *w, int depth, mm_faiss_node *node, mm_error *err)
{
    node->kind = MM_FAISS_TRANSFORM;
    mm_status status = mm_faiss_read_transforms(&w->stream, w->arena, node, err);
    if (status == MM_OK)
        status = read_index(w, depth + 1, false, &node->inner, err);
    if (status == MM_OK)
        status = check_inner(w, node, node->inner, false, err);
    if (status != MM_OK)
        return status;
    uint32_t d = node->d;
    for (uint32_t i = 0; i < node->transform_count; i++) {
        const mm_faiss_transform *t = &node->transforms[i];
        if (t->d_in != d)
            return mm_faiss_bad(file_of(w), t->at, err,
                                "transform %u of %u takes %u dimensions and is given %u", i + 1,
                                node->transform_count, t->d_in, d);
        d = t->d_out;
    }
    if (d != node->inner->d)
        return mm_faiss_bad(file_of(w), node->inner->at, err,
                            "an index of %u dimensions behind transforms that give %u",
                            node->inner->d, d);
    return MM_OK;
}

static mm_status read_multi(walk *w, mm_faiss_node *node, mm_error *err)
{
    uint64_t at = w->stream.at;
    node->kind = MM_FAISS_MULTI;
    mm_status status = mm_faiss_read_pq(&w->stream, node->d, &node->pq, err);
    /* A centroid's number is its code. */
    uint64_t bits = node->pq.m * node->pq.bits;
    if (status == MM_OK && (bits > 62 || node->rows > 1ull << bits))
        status = mm_faiss_bad(file_of(w), at, err, "%" PRIu64 " centroids from codes of %" PRIu64
                              " bits", node->rows, bits);
    return status;
}

/* What follows the header. */
static mm_status read_body(walk *w, int depth, mm_faiss_node *node, mm_error *err)
{
    switch (mm_faiss_fourcc_shape(node->fourcc)) {
    case MM_FAISS_SHAPE_FLAT:
        return read_flat(w, node, err);
    case MM_FAISS_SHAPE_SQ:
        return read_flat_sq(w, node, err);
    case MM_FAISS_SHAPE_PQ:
        return read_flat_pq(w, node, err);
    case MM_FAISS_SHAPE_IVF_FLAT:
        return read_ivf_flat(w, depth, node, err);
    case MM_FAISS_SHAPE_IVF_SQ:
        return read_ivf_sq(w, depth, node, err);
    case MM_FAISS_SHAPE_IVF_PQ:
        return read_ivf_pq(w, depth, node, err);
    case MM_FAISS_SHAPE_PACKED:
        return read_packed(w, depth, node, err);
    case MM_FAISS_SHAPE_IDMAP:
        return read_idmap(w, depth, node, err);
    case MM_FAISS_SHAPE_HNSW:
    case MM_FAISS_SHAPE_NSG:
    case MM_FAISS_SHAPE_NNDESCENT:
        return read_graph(w, depth, node, err);
    case MM_FAISS_SHAPE_REFINE:
        return read_refine(w, depth, node, err);
    case MM_FAISS_SHAPE_TRANSFORM:
        return read_transform(w, depth, node, err);
    case MM_FAISS_SHAPE_MULTI:
        return read_multi(w, node, err);
    case MM_FAISS_SHAPE_MISSING:
    case MM_FAISS_SHAPE_REFUSED:
        break;
    }
    return mm_faiss_unsupported(file_of(w), node->at, node->fourcc, "index type", err);
}

static bool is_binary(uint32_t fourcc)
{
    return (fourcc & 0xffff) == ((uint32_t)'I' | (uint32_t)'B' << 8);
}

static mm_status read_index(walk *w, int depth, bool binary, mm_faiss_node **out, mm_error *err)
{
    uint64_t at = w->stream.at;
    uint32_t fourcc;
    if (depth > MM_FAISS_NESTING || w->nodes >= MM_FAISS_NODES)
        return mm_faiss_bad(file_of(w), at, err, "more than %d indexes within each other, or %d in all",
                            MM_FAISS_NESTING, MM_FAISS_NODES);
    mm_status status = mm_faiss_get(&w->stream, &fourcc, sizeof(fourcc), "index type", err);
    if (status != MM_OK)
        return status;
    mm_faiss_node *node = mm_arena_alloc(w->arena, sizeof(*node));
    if (node == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", file_of(w)->name);
    *node = (mm_faiss_node){.fourcc = fourcc, .at = at, .binary = is_binary(fourcc)};
    w->nodes++;
    mm_faiss_shape shape = mm_faiss_fourcc_shape(fourcc);
    if (shape == MM_FAISS_SHAPE_MISSING && depth > 0) {
        node->kind = MM_FAISS_MISSING;
        node->end = w->stream.at;
        *out = node;
        return MM_OK;
    }
    if (shape == MM_FAISS_SHAPE_MISSING || shape == MM_FAISS_SHAPE_REFUSED)
        return mm_faiss_unsupported(file_of(w), at, fourcc, "index type", err);
    if (depth > 0 && node->binary != binary)
        return mm_faiss_bad(file_of(w), at, err, "the %s index '%s' within a %s one",
                            node->binary ? "binary" : "float", mm_faiss_fourcc_text(fourcc).text,
                            binary ? "binary" : "float");
    status = node->binary ? read_binary_header(w, node, err) : read_header(w, node, err);
    if (status == MM_OK)
        status = read_body(w, depth, node, err);
    if (status != MM_OK)
        return status;
    node->end = w->stream.at;
    *out = node;
    return MM_OK;
}

mm_status mm_faiss_walk(const mm_input *file, mm_arena *arena, mm_faiss_node **out, mm_error *err)
{
    mm_faiss_node *root;
    walk *w = mm_arena_alloc(arena, sizeof(*w));
    if (w == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", file->name);
    mm_faiss_stream_begin(&w->stream, file, 0);
    w->arena = arena;
    w->nodes = 0;
    mm_status status = read_index(w, 0, false, &root, err);
    if (status != MM_OK)
        return status;
    /* FAISS does not look behind the index. A file that goes on is damaged, or written by a version
     * that puts something there: either way rows could be missed, so it is refused. */
    if (root->end != file->size)
        return mm_faiss_bad(file, root->end, err,
                            "the index ends here, the file goes on for %" PRIu64 " bytes",
                            file->size - root->end);
    *out = root;
    return MM_OK;
}
