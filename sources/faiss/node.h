/* A FAISS index file as a tree of its parts: what each index in it is, and at which bytes its data
 * stand. Offsets only; no vector, code or id is held. */
#ifndef MM_SOURCES_FAISS_NODE_H
#define MM_SOURCES_FAISS_NODE_H

#include "sources/faiss/fourcc.h"
#include "sources/faiss/lists.h"

/* Indexes within indexes, and indexes in one file: more than any real file has, little enough that
 * a damaged one costs nothing. */
#define MM_FAISS_NESTING 50
#define MM_FAISS_NODES 256
/* Transforms in front of one index. */
#define MM_FAISS_TRANSFORMS 32
/* Elements of a vector; Milvus takes at most 32768. One row stays below 4 MiB. */
#define MM_FAISS_DIM_MAX (1 << 20)

enum { MM_FAISS_IP = 0, MM_FAISS_L2 = 1, MM_FAISS_LP = 4 };

typedef enum mm_faiss_kind {
    MM_FAISS_CODES,     /* rows one after the other: Flat, ScalarQuantizer, PQ, binary Flat */
    MM_FAISS_IVF,       /* rows in inverted lists, with ids */
    MM_FAISS_IDMAP,     /* inner index, and an id for each of its rows */
    MM_FAISS_GRAPH,     /* HNSW, NSG, NNDescent over a storage index */
    MM_FAISS_REFINE,    /* a rough index and a finer one with the same rows */
    MM_FAISS_TRANSFORM, /* vectors changed before they went into the inner index */
    MM_FAISS_MULTI,     /* MultiIndexQuantizer: centroids only, as products */
    MM_FAISS_PACKED,    /* FastScan: can be stepped over, not read */
    MM_FAISS_MISSING    /* "null": the index was written without it */
} mm_faiss_kind;

typedef enum mm_faiss_coding { MM_FAISS_RAW, MM_FAISS_SQ, MM_FAISS_PQ } mm_faiss_coding;

/* ScalarQuantizer. trained: offset of `trained_count` float32. */
typedef struct mm_faiss_sq {
    int32_t qtype;
    uint64_t trained, trained_count;
} mm_faiss_sq;

/* ProductQuantizer: m parts of d / m elements, 2^bits centroids each. centroids: offset of float32
 * [m][2^bits][d / m]. */
typedef struct mm_faiss_pq {
    uint64_t d, m, bits, centroids, code_size;
} mm_faiss_pq;

typedef enum mm_faiss_transform_kind {
    MM_FAISS_LINEAR, /* y = A·x + b */
    MM_FAISS_CENTER, /* y = x - mean */
    MM_FAISS_REMAP,  /* y[j] = x[map[j]], 0 where map[j] is negative */
    MM_FAISS_NORM    /* y = x / |x|: the norm is gone */
} mm_faiss_transform_kind;

typedef struct mm_faiss_transform {
    mm_faiss_transform_kind kind;
    uint32_t fourcc;
    uint64_t at; /* offset of its fourcc */
    uint32_t d_in, d_out;
    uint64_t data; /* offset of A [d_out][d_in], of mean [d_in] (float32) or of map [d_out] (i32) */
    uint64_t data_count;
    bool bias;
    uint64_t b; /* offset of b [d_out] */
} mm_faiss_transform;

typedef struct mm_faiss_node mm_faiss_node;
struct mm_faiss_node {
    mm_faiss_kind kind;
    uint32_t fourcc;
    uint64_t at, end; /* offsets of its first byte and of the byte behind it */
    bool binary, trained;
    uint32_t d;    /* elements; binary: bits */
    uint64_t rows; /* what the header says (ntotal) */
    int32_t metric;
    float metric_arg;

    mm_faiss_coding coding; /* CODES, IVF */
    uint64_t code_size;     /* CODES, IVF: bytes a row */
    uint64_t codes;         /* CODES: offset of the first row */
    mm_faiss_sq sq;
    mm_faiss_pq pq; /* MULTI too */

    uint64_t nlist;
    mm_faiss_lists lists;
    bool residual;                 /* IVF: the list's centroid is to be added */
    bool dedup;                    /* IVF: further ids for stored rows */
    uint64_t pairs, pair_count;    /* dedup: offset of (kept id, further id), i64 each */
    bool refined;                  /* IVFPQR: a second code per id adds to the first */
    mm_faiss_pq refine_pq;
    uint64_t refine_codes, refine_count; /* offset, bytes */

    uint64_t id_map; /* IDMAP: offset of `rows` i64 */

    mm_faiss_transform *transforms; /* in the order in which FAISS applied them */
    uint32_t transform_count;

    uint32_t hnsw_m, hnsw_ef; /* GRAPH: links per node, efConstruction; 0: not HNSW */

    mm_faiss_node *inner;  /* IVF: coarse quantizer; GRAPH: storage; REFINE: the rough index */
    mm_faiss_node *second; /* REFINE: the finer index */
};

/* FAISS's name of the node's type, for messages. Never NULL. */
const char *mm_faiss_node_name(const mm_faiss_node *node);

/* Reads the file's whole structure into a tree in the arena. MM_DATA with the byte offset when the
 * file is damaged, not FAISS's, of a type that is not supported, or goes on behind the index. */
mm_status mm_faiss_walk(const mm_input *file, mm_arena *arena, mm_faiss_node **out,
                        mm_error *err) MM_MUST_USE;

/* Parts of the walk, for its own files only. The stream stands behind the part's fourcc. */
mm_status mm_faiss_read_sq(mm_faiss_stream *stream, const mm_faiss_node *node, mm_faiss_sq *sq,
                           uint64_t *code_size, mm_error *err) MM_MUST_USE;
mm_status mm_faiss_read_pq(mm_faiss_stream *stream, uint32_t d, mm_faiss_pq *pq,
                           mm_error *err) MM_MUST_USE;
mm_status mm_faiss_read_transforms(mm_faiss_stream *stream, mm_arena *arena, mm_faiss_node *node,
                                   mm_error *err) MM_MUST_USE;
mm_status mm_faiss_read_hnsw(mm_faiss_stream *stream, mm_faiss_node *node,
                             mm_error *err) MM_MUST_USE;
mm_status mm_faiss_read_nsg(mm_faiss_stream *stream, mm_faiss_node *node,
                            mm_error *err) MM_MUST_USE;
mm_status mm_faiss_read_nndescent(mm_faiss_stream *stream, mm_faiss_node *node,
                                  mm_error *err) MM_MUST_USE;

#endif
