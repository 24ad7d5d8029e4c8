/* The columnar batch: the unit that flows from source to sink.
 *
 * Columns are laid out as in the Apache Arrow columnar format: an optional validity bitmap (bit i
 * set = row i is present, least significant bit first), for variable-length types rows+1 offsets,
 * and values. Dense vectors are fixed-size lists: rows × width bytes, row-major, little-endian.
 * All memory belongs to the batch's one arena. A batch has one owner at a time; it is recycled
 * through a pool (mm_batch_reset), so that the hot path does not call malloc. */
#ifndef MM_MODEL_BATCH_H
#define MM_MODEL_BATCH_H

#include "model/schema.h"

typedef struct mm_column {
    const mm_field *field; /* belongs to the schema */
    uint8_t *validity;     /* NULL: every row is present */
    uint64_t *offsets;     /* rows + 1 byte offsets into values; NULL for fixed width.
                            * an Array row is a serialised ScalarField (docs/formats.md) */
    uint8_t *values;       /* fixed: rows × mm_type_width; variable: offsets[rows] bytes */
} mm_column;

/* A place in an extent from which reading can go on: after `row` source rows. `mark` is for
 * sources that cannot seek by row number (a primary key, a _seq_no): opaque to the engine, stored
 * with the savepoint; empty for the others. */
#define MM_MARK_MAX 512
typedef struct mm_cursor {
    uint64_t row;
    uint32_t mark_size;
    uint8_t mark[MM_MARK_MAX];
} mm_cursor;

/* A row that cannot be held: by the source's own schema, or by the target's. */
typedef struct mm_reject {
    uint64_t row;       /* ordinal in the extent */
    const char *field;
    const char *reason; /* in the batch's arena */
    const char *key;    /* the primary key as text, in the batch's arena */
} mm_reject;

typedef struct mm_batch {
    mm_arena arena;
    const mm_schema *schema; /* of the source; after mapping, of the target */
    mm_column *columns;
    size_t column_count;
    size_t rows;        /* rows in the columns: end_row - first_row less rejected and thinned rows */
    uint64_t first_row; /* ordinal in the extent of the first source row this batch covers */
    mm_cursor end;      /* after the last source row it covers: end.row - first_row rows were read */
    uint32_t *ordinals; /* for each row its ordinal relative to first_row; NULL: 0, 1, 2, … (nothing
                         * was rejected or thinned) */
    uint64_t rejected, thinned;
    mm_reject *rejects; /* rows that the source itself rejected, reject_count of them, counted in `rejected` already;
                         * their numbers are among those that the batch covers */
    size_t reject_count;
    size_t bytes;       /* of the columns' values and offsets */
    uint64_t checksum;  /* sum over rows of the row hash (mm_batch_hash); order-independent */
} mm_batch;

/* Allocates columns for schema (all its fields, in order) and `capacity` rows of fixed-width
 * columns; variable columns get offsets only, their values are the filler's business. rows = 0. */
mm_status mm_batch_begin(mm_batch *batch, const mm_schema *schema, size_t capacity, mm_error *err);
/* Empties the batch and keeps its memory. */
void mm_batch_reset(mm_batch *batch);
void mm_batch_free(mm_batch *batch);

/* Bytes of row `row` in `column`: pointer and length, which is 0 for an Array without elements. NULL when the row is
 * null. */
const uint8_t *mm_column_at(const mm_column *column, size_t row, size_t *length);

/* Keeps only the rows whose bit in `keep` (rows bits, least significant first) is set, in place,
 * and sets ordinals. kept = number of set bits. */
mm_status mm_batch_filter(mm_batch *batch, const uint8_t *keep, size_t kept, mm_error *err);

/* XXH3 of one row's values (length and presence included), the same for equal rows whatever batch
 * they stand in. */
uint64_t mm_batch_row_hash(const mm_batch *batch, size_t row);
/* Sets batch->checksum and batch->bytes. */
void mm_batch_hash(mm_batch *batch);

/* First row whose float column (FloatVector, Float16/BFloat16 vectors, Float, Double) holds a NaN or
 * an infinity, from row `from` on; batch->rows when there is none. */
size_t mm_column_find_nonfinite(const mm_column *column, size_t rows, size_t from);

#endif
