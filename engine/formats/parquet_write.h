/* The parts of the Parquet writer: parquet_write.c (the functions of the table), _values (rows to the bytes of a
 * page), _page (compression, checksum, header), _stats (smallest and largest value), _footer (what is kept of each row
 * group, the state and the footer). */
#ifndef MM_FORMATS_PARQUET_WRITE_H
#define MM_FORMATS_PARQUET_WRITE_H

#include <zstd.h>

#include "formats/parquet_columns.h"

/* Bytes of values in a page, about. A row is never divided. */
enum { MM_PARQUET_PAGE_BYTES = 1 << 20 };

/* Longer texts than this have no place in statistics. */
enum { MM_PARQUET_BOUND_MAX = 64 };

/* What the footer says of one column in one row group, apart from what follows from the schema and from the chunks
 * before it (its offset). */
typedef struct mm_parquet_chunk {
    uint64_t values;                   /* levels, nulls and empty lists included */
    uint64_t compressed, uncompressed; /* bytes of all pages with their headers */
    uint64_t dictionary;               /* bytes of the dictionary page with its header; 0: none */
    uint64_t nulls;
    bool zstd;
    bool counted; /* nulls is known: of scalars */
    bool bounded; /* min and max are known */
    uint8_t min_size, max_size;
    uint8_t min[MM_PARQUET_BOUND_MAX], max[MM_PARQUET_BOUND_MAX];
} mm_parquet_chunk;

/* The bytes of a page before compression, in pieces that need not be copied together. */
typedef struct mm_parquet_body {
    size_t rows;
    uint64_t levels; /* DataPageHeader.num_values */
    const void *prefix; /* levels; of indices the bit width and the run's header as well */
    size_t prefix_size;
    const void *values; /* may point into the batch */
    size_t values_size;
    size_t padding; /* zero bytes behind them, below 8 */
    bool packed;    /* the writer holds it compressed already */
} mm_parquet_body;

/* The prefix of a page that has this many rows, none of them null: of lists of one length always the same. */
typedef struct mm_parquet_prefix {
    size_t rows; /* 0: none kept */
    mm_buffer bytes;
} mm_parquet_prefix;

struct mm_format_writer {
    mm_arena arena;
    mm_parquet_column *columns;
    mm_parquet_prefix *prefixes; /* of each column */
    size_t count;
    uint64_t schema_hash;
    uint64_t position; /* bytes put so far */
    uint64_t rows, group_count;
    size_t group_first;               /* row of the batch that the row group begins with */
    mm_buffer groups;                 /* records of the row groups: see parquet_write_footer.c */
    mm_buffer prefix, values, counts; /* of the page being made; counts: u32, elements of each row */
    mm_buffer head, joined, packed;   /* its header; whole, before and after compression */
    ZSTD_CCtx *zstd;
};

/* --- values ----------------------------------------------------------------------------------------------------- */

/* The page that begins with row `from` and ends before `to` at the latest. Its bytes lie in the writer and in the
 * batch until the next call. MM_DATA: a value that the column cannot hold. */
mm_status mm_parquet_make_page(mm_format_writer *writer, const mm_parquet_column *column, const mm_column *values,
                               size_t from, size_t to, mm_parquet_body *body, mm_error *err);
static inline bool mm_parquet_is_valid(const mm_column *column, size_t row)
{
    return column->validity == NULL || (column->validity[row / 8] >> (row % 8) & 1) != 0;
}

/* --- pages ------------------------------------------------------------------------------------------------------ */

/* Decides by the first page of a chunk whether it is compressed. */
mm_status mm_parquet_try_zstd(mm_format_writer *writer, mm_parquet_body *first, bool *pays, mm_error *err);
/* Put a data page, or the dictionary of all 256 bytes, and count them in the chunk. */
mm_status mm_parquet_put_page(mm_format_writer *writer, const mm_parquet_column *column, const mm_parquet_body *body,
                              mm_parquet_chunk *chunk, const mm_format_out *out, mm_error *err);
mm_status mm_parquet_put_dictionary(mm_format_writer *writer, const mm_parquet_column *column,
                                    mm_parquet_chunk *chunk, const mm_format_out *out, mm_error *err);
mm_status mm_parquet_put(mm_format_writer *writer, const mm_format_out *out, const void *bytes, size_t size,
                         mm_error *err);

/* --- statistics ------------------------------------------------------------------------------------------------- */

/* nulls, min and max of rows [from, to) of a scalar; lists have none. */
void mm_parquet_measure(const mm_parquet_column *column, const mm_column *values, size_t from, size_t to,
                        mm_parquet_chunk *chunk);

/* --- footer and state ------------------------------------------------------------------------------------------- */

void mm_parquet_record_group(mm_format_writer *writer, uint64_t rows);
void mm_parquet_record_chunk(mm_format_writer *writer, const mm_parquet_chunk *chunk);
mm_status mm_parquet_resume(mm_format_writer *writer, const char *state, mm_error *err);
mm_status mm_parquet_put_footer(mm_format_writer *writer, const mm_format_out *out, mm_error *err);

#endif
