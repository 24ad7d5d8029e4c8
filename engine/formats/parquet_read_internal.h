/* What the files of the Parquet reader share, from the footer to the rows:
 *
 *   parquet_read_meta      footer: schema elements, row groups, column chunks
 *   parquet_read_schema    leaves: which columns there are, flat or lists, and what stands in them
 *   parquet_read_plan      how a column becomes a field of a schema; the schema that a file suggests
 *   parquet_read_codecs    decompression
 *   parquet_read_pages     pages of a column chunk, one at a time
 *   parquet_read_hybrid, _delta, _values   encodings
 *   parquet_read_numbers   numbers of one type as another
 *   parquet_read_column, _flat, _list          rows of a column into a batch
 *   parquet_read           the table's functions
 *
 * Source: apache/parquet-format 2.10 (parquet.thrift, Encodings.md, LogicalTypes.md, Compression.md).
 * Nothing here recurses; every count, size and offset of a file is checked before it becomes an allocation. */
#ifndef MM_FORMATS_PARQUET_READ_INTERNAL_H
#define MM_FORMATS_PARQUET_READ_INTERNAL_H

#include "formats/parquet_internal.h"

/* Limits of what is held in memory, far beyond what writers make: pyarrow, DuckDB, Spark and Milvus write pages and
 * dictionaries of 1 MiB or so and a footer of some hundred bytes a column chunk. */
#define MM_PARQUET_FOOTER_MAX ((uint64_t)256 << 20)
#define MM_PARQUET_PAGE_MAX ((uint64_t)256 << 20) /* one page, decompressed */
#define MM_PARQUET_HEAD_MAX ((uint64_t)16 << 20)  /* one page's header, with statistics */
#define MM_PARQUET_MEMORY_MAX ((uint64_t)1 << 30) /* all pages of all columns at a time */
#define MM_PARQUET_ROW_MAX ((size_t)64 << 20)     /* elements of one row of an Array */
#define MM_PARQUET_CHUNK 4096                     /* levels and values that are decoded at a time */

/* --- footer ----------------------------------------------------------------------------------------------------- */

typedef struct mm_parquet_element {
    const char *name;
    int32_t type, type_length; /* type -1: a group */
    int32_t repetition;
    uint32_t children;
    int32_t converted, logical; /* mm_parquet_converted, mm_parquet_logical; logical -1: one that we do not know */
    int32_t scale, precision;   /* of decimals */
    int32_t int_bits;           /* of logical INTEGER */
    bool int_signed;
    uint64_t at; /* byte in the file, for messages */
} mm_parquet_element;

typedef struct mm_parquet_chunk {
    uint64_t begin, end; /* bytes of the file */
    uint64_t values, uncompressed;
    int64_t nulls;       /* by its statistics; -1: they do not say */
    uint64_t at;         /* byte of the chunk's metadata, for messages */
    int32_t type, codec;
} mm_parquet_chunk;

typedef struct mm_parquet_group {
    uint64_t first, rows; /* rows of the file */
} mm_parquet_group;

typedef struct mm_parquet_meta {
    mm_arena arena; /* names */
    mm_parquet_element *elements;
    size_t element_count, leaf_count;
    mm_parquet_group *groups;
    mm_parquet_chunk *chunks; /* group_count × leaf_count */
    size_t group_count, chunk_count, group_capacity, chunk_capacity;
    uint64_t rows;
} mm_parquet_meta;

/* "<input>: byte <offset>: …", MM_DATA. */
mm_status mm_parquet_bad(const mm_input *input, uint64_t offset, mm_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Reads and checks the footer. meta is zeroed by the caller and freed by mm_parquet_meta_free, also after a failure. */
mm_status mm_parquet_meta_read(const mm_input *input, mm_parquet_meta *meta, mm_error *err);
void mm_parquet_meta_free(mm_parquet_meta *meta);

/* --- leaves ----------------------------------------------------------------------------------------------------- */

/* What the values of a leaf are. */
typedef enum mm_parquet_kind {
    MM_PARQUET_KIND_REFUSED, /* see leaf.refusal */
    MM_PARQUET_KIND_BOOL,
    MM_PARQUET_KIND_INT32,
    MM_PARQUET_KIND_UINT32,
    MM_PARQUET_KIND_INT64,
    MM_PARQUET_KIND_UINT64,
    MM_PARQUET_KIND_FLOAT,
    MM_PARQUET_KIND_DOUBLE,
    MM_PARQUET_KIND_HALF,    /* 2 bytes */
    MM_PARQUET_KIND_DECIMAL, /* whole numbers, big-endian, type_length bytes */
    MM_PARQUET_KIND_TEXT,    /* UTF-8 */
    MM_PARQUET_KIND_JSON,    /* UTF-8 */
    MM_PARQUET_KIND_BYTES,   /* not annotated */
    MM_PARQUET_KIND_FIXED,   /* not annotated, type_length bytes each */
    MM_PARQUET_KIND_UUID     /* 16 bytes */
} mm_parquet_kind;

/* A top-level column that has one leaf: a value a row, or a list of values a row (three or two levels, or a bare
 * repeated field). What else there is has a refusal. */
typedef struct mm_parquet_leaf {
    const char *name; /* of the top-level column */
    mm_parquet_kind kind;
    const char *refusal; /* why the column cannot be read, and what to do; NULL: it can */
    size_t index;        /* of its first leaf among all leaves: its column chunk in a row group */
    int32_t type, type_length;
    int32_t bits; /* that integers are said to have, 8 to 64 */
    bool list, optional;
    uint8_t max_definition, max_repetition;
    uint8_t list_definition; /* definition level of a list that is there, if empty; lists only */
    uint64_t at;
} mm_parquet_leaf;

/* One for each top-level column, in order; allocated in meta->arena. */
mm_status mm_parquet_leaves(const mm_input *input, mm_parquet_meta *meta, mm_parquet_leaf **out, size_t *count,
                            mm_error *err);

/* --- decompression ---------------------------------------------------------------------------------------------- */

/* NULL: a codec that we read. Else its name, for the refusal. */
const char *mm_parquet_codec_refused(int32_t codec);
/* Exactly out_size bytes, or false. */
bool mm_parquet_decompress(int32_t codec, const uint8_t *in, size_t size, uint8_t *out, size_t out_size);

/* --- encodings -------------------------------------------------------------------------------------------------- */

/* Run-length and bit-packed hybrid: levels and dictionary indices. */
typedef struct mm_parquet_hybrid {
    const uint8_t *at, *end;
    unsigned bits; /* 0 to 32 */
    uint64_t left; /* of the current run */
    bool packed;
    uint32_t value;       /* of a repeated run */
    const uint8_t *begin; /* of a packed run */
    uint64_t bit;         /* of its next value */
} mm_parquet_hybrid;

mm_parquet_hybrid mm_parquet_hybrid_over(const uint8_t *bytes, size_t size, unsigned bits);
/* Exactly n values, or false: malformed, or fewer. */
bool mm_parquet_hybrid_u8(mm_parquet_hybrid *hybrid, uint8_t *out, size_t n); /* bits at most 8 */
bool mm_parquet_hybrid_u32(mm_parquet_hybrid *hybrid, uint32_t *out, size_t n);
/* True, and n values are taken, when the next n are surely all `value`; else nothing is taken. */
bool mm_parquet_hybrid_all(mm_parquet_hybrid *hybrid, size_t n, uint32_t value);

/* DELTA_BINARY_PACKED. */
typedef struct mm_parquet_delta {
    const uint8_t *at, *end;
    uint64_t per_mini, mini_count;
    uint64_t left; /* values */
    bool first;
    uint64_t last, min;    /* modulo 2^64 */
    const uint8_t *widths; /* of the block's miniblocks */
    uint64_t mini;         /* number of the next miniblock of the block */
    uint64_t mini_left;
    unsigned bits;
    const uint8_t *packed;
    uint64_t bit;
} mm_parquet_delta;

/* False: the header is malformed. count: values that it says it has. */
bool mm_parquet_delta_open(mm_parquet_delta *delta, const uint8_t *bytes, size_t size, uint64_t *count);
bool mm_parquet_delta_next(mm_parquet_delta *delta, int64_t *out, size_t n);
/* The byte behind the last value; NULL: malformed. Does not move the reader. */
const uint8_t *mm_parquet_delta_end(const mm_parquet_delta *delta);

typedef struct mm_parquet_ref {
    const uint8_t *data; /* NULL: null */
    size_t size;
} mm_parquet_ref;

/* A dictionary page's values: fixed ones in a row, or byte arrays found by `starts` (of their bytes; the length
 * stands in the 4 bytes before). */
typedef struct mm_parquet_dictionary {
    const uint8_t *bytes;
    uint32_t *starts;
    uint32_t count;
    bool there;
} mm_parquet_dictionary;

/* The values of a data page, taken in order. */
typedef struct mm_parquet_values {
    int32_t encoding, type;
    size_t width; /* of a fixed value as it is given out; 0: byte arrays */
    const uint8_t *begin, *at, *end;
    const mm_parquet_dictionary *dictionary;
    mm_parquet_hybrid hybrid;          /* indices, run-length booleans */
    uint64_t bit;                      /* PLAIN booleans */
    uint64_t taken;                    /* BYTE_STREAM_SPLIT */
    mm_parquet_delta deltas, suffixes; /* numbers, lengths or prefixes; suffix lengths */
    mm_buffer made, last;              /* DELTA_BYTE_ARRAY: values put together, the last one */
} mm_parquet_values;

/* Takes what `bytes` holds; made and last are kept from page to page. NULL, or what is wrong. */
const char *mm_parquet_values_open(mm_parquet_values *values, int32_t encoding, int32_t type, int32_t type_length,
                                   const uint8_t *bytes, size_t size, const mm_parquet_dictionary *dictionary);
/* n values of `width` bytes each; booleans are a byte. n is at most MM_PARQUET_CHUNK. NULL, or what is wrong. */
const char *mm_parquet_values_fixed(mm_parquet_values *values, uint8_t *out, size_t n);
/* Up to n byte arrays (at most MM_PARQUET_CHUNK), fewer when they have more than `bytes` bytes, but one. They are
 * good until the next call or page. NULL, or what is wrong. */
const char *mm_parquet_values_refs(mm_parquet_values *values, mm_parquet_ref *out, size_t n, size_t bytes,
                                   size_t *got);
/* Passes over n values (at most MM_PARQUET_CHUNK). NULL, or what is wrong. */
const char *mm_parquet_values_skip(mm_parquet_values *values, size_t n);
void mm_parquet_values_free(mm_parquet_values *values);

/* --- pages ------------------------------------------------------------------------------------------------------ */

typedef struct mm_parquet_block {
    uint8_t *data;
    size_t capacity;
} mm_parquet_block;

/* Pages of one column chunk after another. */
typedef struct mm_parquet_pages {
    const mm_input *input;
    const mm_parquet_leaf *leaf;
    uint64_t *memory; /* bytes of all blocks of the reader */

    int32_t codec;
    uint64_t at, end;     /* next byte of the chunk, and its end */
    uint64_t values_left; /* in pages that are still to come */
    mm_parquet_block window, body, dictionary_body, starts;
    uint64_t window_at;
    size_t window_size;
    bool passing; /* the page before was passed over, perhaps the next one is too */
    mm_parquet_dictionary dictionary;

    /* the page whose header was read last */
    uint64_t page_at; /* its header's byte */
    uint64_t stored_at;
    uint32_t stored, uncompressed, crc;
    uint32_t page_values, page_rows;         /* rows: version 2 only */
    uint32_t repetition_size, definition_size; /* bytes of levels: version 2 only */
    int32_t encoding, definition_encoding, repetition_encoding;
    bool has_crc, version2, compressed;

    /* the page that was loaded last */
    mm_parquet_hybrid repetition, definition;
    mm_parquet_values values;
} mm_parquet_pages;

void mm_parquet_pages_open(mm_parquet_pages *pages, const mm_parquet_chunk *chunk);
/* The header of the next data page; a dictionary before it is loaded. MM_END: there is no further page. */
mm_status mm_parquet_pages_head(mm_parquet_pages *pages, mm_error *err);
/* Then either its levels and values, or nothing of it. */
mm_status mm_parquet_pages_load(mm_parquet_pages *pages, mm_error *err);
void mm_parquet_pages_pass(mm_parquet_pages *pages);
void mm_parquet_pages_free(mm_parquet_pages *pages);

/* --- numbers ---------------------------------------------------------------------------------------------------- */

/* Turns n values of a leaf (as mm_parquet_values_fixed gives them, `width` bytes each) into `type`, a scalar type or
 * the element type of a vector. Returns NULL, or what is wrong with value number *bad. `rounding`: doubles may lose
 * precision as floats. in and out do not overlap. */
const char *mm_parquet_convert(const mm_parquet_leaf *leaf, size_t width, const uint8_t *in, size_t n, mm_type type,
                               bool rounding, uint8_t *out, size_t *bad);
/* False: no such conversion. */
bool mm_parquet_converts(mm_parquet_kind kind, mm_type type);
/* True when both stand as the same bytes, so that nothing is to be turned. */
bool mm_parquet_same(const mm_parquet_leaf *leaf, mm_type type);

/* --- columns ---------------------------------------------------------------------------------------------------- */

/* How a column's values become a field's. */
typedef enum mm_parquet_way {
    MM_PARQUET_WAY_ABSENT, /* the file has no such column: nulls, or "{}" for the dynamic field */
    MM_PARQUET_WAY_NUMBER, /* a fixed value a row */
    MM_PARQUET_WAY_OPAQUE, /* a dense vector as its bytes */
    MM_PARQUET_WAY_TEXT,   /* bytes of variable length */
    MM_PARQUET_WAY_UUID,   /* as text */
    MM_PARQUET_WAY_SPARSE, /* a sparse vector as JSON text */
    MM_PARQUET_WAY_VECTOR, /* a dense vector as a list */
    MM_PARQUET_WAY_ARRAY   /* an Array as a list */
} mm_parquet_way;

typedef struct mm_parquet_plan {
    mm_parquet_way way;
    const mm_parquet_leaf *leaf; /* NULL: ABSENT */
    mm_type element;             /* what single values become: the field's type, a vector's or Array's elements */
    size_t elements;             /* VECTOR: of a row */
    bool rounding, check_utf8;
} mm_parquet_plan;

/* MM_DATA: the column cannot become the field. leaf NULL: the file has none of this name. */
mm_status mm_parquet_plan_field(const mm_input *input, const mm_parquet_leaf *leaf, const mm_field *field,
                                mm_parquet_plan *out, mm_error *err);
/* A field for a column, from what the file says of it; `elements`: that all lists of its first row group have, 0:
 * they differ. nullable: nulls were seen or cannot be excluded. MM_DATA: none can be inferred. */
mm_status mm_parquet_infer_field(const mm_input *input, const mm_parquet_leaf *leaf, uint32_t elements, bool nullable,
                                 mm_field *out, mm_error *err);

typedef struct mm_parquet_cursor {
    mm_parquet_plan plan;
    const mm_field *field;
    mm_parquet_pages pages;
    bool dense;           /* the chunk has exactly plan.elements values for each row */
    uint64_t levels_left; /* of the loaded page, beyond the ones below */
    uint64_t row;         /* of the file: the next to be given out */

    /* levels that were taken from the page: [at, count); definition levels may be known to be all the highest */
    uint8_t repetition[MM_PARQUET_CHUNK], definition[MM_PARQUET_CHUNK];
    bool all_present;
    size_t level, level_count;

    /* rows that were made and not given out: TEXT, UUID, SPARSE, ARRAY */
    mm_parquet_ref rows[MM_PARQUET_CHUNK];
    size_t ready_at, ready_count;
    mm_buffer built; /* where those rows stand that are not in the page */

    /* ARRAY: elements of the row that is not complete yet; text is copied */
    union mm_array_value *open_values;
    size_t open_count, open_capacity, open_bytes;
    bool open_row, open_null;
    mm_buffer open_text;

    /* the batch's column */
    mm_column *to;
    size_t room;      /* bytes allocated for values of variable length */
    double row_bytes; /* seen so far, on average: the next batch's estimate */
    uint64_t rows_seen, bytes_seen;
} mm_parquet_cursor;

/* A batch that is being filled. */
typedef struct mm_parquet_fill {
    mm_batch *batch;
    size_t capacity, bytes; /* rows that there is room for; bytes, about, that it may have */
    size_t at;              /* next row */
} mm_parquet_fill;

/* Begins with the first row of a row group, which is row `first` of the file. */
void mm_parquet_cursor_open(mm_parquet_cursor *column, const mm_parquet_chunk *chunk, uint64_t first, uint64_t rows);
/* Passes over rows. */
mm_status mm_parquet_cursor_skip(mm_parquet_cursor *column, uint64_t rows, mm_error *err);
/* Of the next `rows` rows, how many can be given out at once: at least 1, and beyond that at most so many as have
 * `bytes` bytes. */
mm_status mm_parquet_cursor_ready(mm_parquet_cursor *column, size_t bytes, size_t *rows, mm_error *err);
/* For a list column: the number of elements that the first rows (at most `rows`) have, 0 when they differ; whether a
 * list is null. The column is good for mm_parquet_cursor_open afterwards. */
mm_status mm_parquet_list_lengths(mm_parquet_cursor *column, uint64_t rows, uint32_t *elements, bool *nulls,
                                  mm_error *err);
/* Gives out exactly `rows` rows, at most as many as were ready. */
mm_status mm_parquet_cursor_take(mm_parquet_cursor *column, mm_parquet_fill *fill, size_t rows, mm_error *err);
/* MM_DATA unless a row begins here, or, at_end, the chunk ends here. */
mm_status mm_parquet_cursor_check(mm_parquet_cursor *column, bool at_end, mm_error *err);
void mm_parquet_cursor_free(mm_parquet_cursor *column);

/* Between the files of a column: "<input>: byte …: column '…', row …: …". */
mm_status mm_parquet_cursor_bad(const mm_parquet_cursor *column, uint64_t row, mm_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Levels are there (column->level < column->level_count), up to `want` new ones. MM_END: the chunk ends. */
mm_status mm_parquet_cursor_levels(mm_parquet_cursor *column, size_t want, mm_error *err);
/* Marks a row of the batch as null. */
mm_status mm_parquet_cursor_null(mm_parquet_cursor *column, mm_parquet_fill *fill, size_t row, mm_error *err);
/* n single values (at most MM_PARQUET_CHUNK) as plan.element into out. `row` names the first for messages, and so many
 * belong to each row (0: one for each level from column->level on that has a value). */
mm_status mm_parquet_cursor_numbers(mm_parquet_cursor *column, uint8_t *out, size_t n, uint64_t row, size_t per_row,
                                    mm_error *err);
mm_status mm_parquet_numbers_take(mm_parquet_cursor *column, mm_parquet_fill *fill, size_t rows, mm_error *err);
mm_status mm_parquet_vectors_take(mm_parquet_cursor *column, mm_parquet_fill *fill, size_t rows, mm_error *err);
/* Makes rows ready, at least one and (text) at most `want`; none were. */
mm_status mm_parquet_text_fill(mm_parquet_cursor *column, size_t want, mm_error *err);
mm_status mm_parquet_array_fill(mm_parquet_cursor *column, mm_error *err);
/* Levels from column->level to `end` that have a value. */
size_t mm_parquet_cursor_present(const mm_parquet_cursor *column, size_t end);

#endif
