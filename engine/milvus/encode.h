/* Insert and Upsert requests, written from a batch's columns straight to the wire: what is fixed in
 * width and laid out as protobuf wants it (vectors, Float, Double) is pointed at, not copied; the rest
 * (varints, strings, what has nulls between) is written once into a scratch buffer.
 *
 * Source: milvus-proto, InsertRequest, FieldData, ScalarField, VectorField. Knows no connection. */
#ifndef MM_MILVUS_ENCODE_H
#define MM_MILVUS_ENCODE_H

#include "model/batch.h"
#include "net/grpc.h"

typedef struct mm_encode_piece {
    const void *data; /* NULL: at `offset` in the scratch buffer, which may still move */
    size_t offset, size;
} mm_encode_piece;

/* Reused from request to request; all zero to begin with. */
typedef struct mm_encoder {
    uint8_t *scratch;
    size_t scratch_size, scratch_capacity;
    mm_encode_piece *pieces;
    mm_grpc_segment *segments; /* the finished request */
    size_t count, capacity;
    bool failed; /* out of memory */
} mm_encoder;

typedef struct mm_encode_args {
    const char *database;   /* "" or NULL: the default one */
    const char *collection; /* name or alias */
    const char *partition;  /* NULL: the default one, or decided by the partition key */
    const mm_batch *batch;
    size_t from, to; /* rows [from, to) */
} mm_encode_args;

/* Fills encoder->segments (count of them), which point into the batch and into the encoder and are
 * valid until the next call or a change of the batch. An autoID primary key is left out.
 * MM_DATA: null in a field that is not nullable. MM_CONFIG: a type that cannot be written. */
mm_status mm_encode_rows(mm_encoder *encoder, const mm_encode_args *args, mm_error *err) MM_MUST_USE;
void mm_encoder_free(mm_encoder *encoder);

/* The largest `to` so that rows [from, to) take about `bytes` in a request; at least from + 1 (when
 * there is a row), at most batch->rows. */
size_t mm_encode_fit(const mm_batch *batch, size_t from, size_t bytes);
/* Upper estimate of the bytes that rows [from, to) take in a request. */
size_t mm_encode_size(const mm_batch *batch, size_t from, size_t to);

#endif
