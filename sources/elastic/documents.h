/* The seam between what asks for documents and what reads them: mappings to fields, answers to columns. JSON in,
 * columns out; knows neither requests nor extents. */
#ifndef MM_SOURCES_ELASTIC_DOCUMENTS_H
#define MM_SOURCES_ELASTIC_DOCUMENTS_H

#include "base/util.h"
#include "model/batch.h"

/* --- mapping: what the fields become ---------------------------------------------------------------------------- */

/* What the job says about fields; all borrowed for the call. */
typedef struct mm_elastic_choice {
    bool opensearch;         /* knn_vector and dense_vector are told by type names; this is for what else differs */
    const char *primary_key; /* "_id": VarChar; "_id_hash": Int64, XXH3 of _id; else the name of a field */
    uint32_t id_length;      /* max_length of _id (512: no _id is longer) */
    bool with_index, with_routing; /* fields `_index`, `_routing` */
    const char *const *include, *const *exclude; /* names or patterns (*) of fields, dotted; none: all */
    size_t include_count, exclude_count;
    const char *const *types; /* "name Type(…)", as in `schema` of the table sources: retyped fields */
    size_t type_count;
    const char *dates;   /* "epoch": Int64 milliseconds (date_nanos: nanoseconds); "text": VarChar as in _source */
    const char *geo;     /* "wkt": VarChar (types: Geometry where the target has it); "json" */
    const char *arrays;  /* of scalars: "array" (where the sample has arrays: Array) or "json" */
    const char *json;    /* "any": JSON as it stands; "object": what is no object as {"value": …} */
    const char *nulls;   /* a document without a value: "auto" (default): null in fields where the sample has such, else
                          * a reject; "nullable": null; "default": 0, "", {}, []; "reject". A vector that is missing is a
                          * reject unless fields are nullable */
    const char *explode; /* path of a nested field with a vector: one row for each of its objects; NULL: none */
} mm_elastic_choice;

/* How documents of a collection become rows. schema and keys (the primary key alone) live as long as this. */
typedef struct mm_elastic_fields {
    const mm_schema *schema;
    const mm_schema *keys;
    bool unique_by_id; /* the primary key is made of _id alone (`_id`, not its hash, nothing exploded) */
    const char *lost;  /* what the target will not have, one field a line: "price: scaled_float becomes Double"; "" */
    struct mm_elastic_tree *tree; /* mapping.c's own */
} mm_elastic_fields;

/* mappings: answers of GET /<index>/_mapping (each {"<index>": {"mappings": {…}}}, several indices in one answer or
 * in several); fields of all of them are joined, a conflict of types is MM_CONFIG and names index and field. sample: an
 * answer of _search with some hits of each index, or NULL: tells arrays, dims that the mapping does not have, lengths.
 * Everything lives in the arena. MM_CONFIG: nothing that could be a primary key, unknown names in the choice, a
 * vector whose dims are nowhere said. */
mm_status mm_elastic_fields_build(mm_arena *arena, const char *collection, const mm_elastic_choice *choice,
                                  const char *const *mappings, size_t mapping_count, const char *sample,
                                  size_t sample_size, mm_elastic_fields **out, mm_error *err) MM_MUST_USE;

/* Appends the value of "_source" in a search: which parts of a document are wanted, `false` where none is.
 * vectors: the server leaves vectors out unless it is told not to: add "exclude_vectors": false. */
void mm_elastic_fields_source(const mm_elastic_fields *fields, bool keys_only, bool vectors, mm_buffer *out);

/* --- page: an answer of _search into columns -------------------------------------------------------------------- */

typedef struct mm_elastic_page mm_elastic_page;

/* What stands around the hits. Texts point into the JSON. */
typedef struct mm_elastic_envelope {
    bool timed_out, terminated_early;
    bool has_shards, has_total;
    uint64_t shards_total, shards_successful, shards_skipped, shards_failed;
    uint64_t total;
    bool total_exact;        /* relation "eq" (or a plain number, as 6.x and 7.x with rest_total_hits_as_int) */
    const char *failure;     /* JSON text of _shards.failures[0]; NULL: none */
    size_t failure_size;
    const char *context;     /* _scroll_id or pit_id without quotes and without escapes in it; NULL: none */
    size_t context_size;
} mm_elastic_envelope;

/* One for each reader, used for one answer after the other. keys_only: batches have the schema `keys`. ascending:
 * every hit must have a `_seq_no` greater than the one before, and than `after` of begin; else MM_DATA. */
mm_status mm_elastic_page_new(const mm_elastic_fields *fields, bool keys_only, bool ascending, mm_elastic_page **out,
                              mm_error *err) MM_MUST_USE;
void mm_elastic_page_free(mm_elastic_page *page);

/* Begins with an answer whose bytes outlive the reading of it (json[size] is readable and NUL). name: for messages
 * ("http://…/products/_search"), borrowed. Reads what stands around the hits, also where it stands behind them: no row
 * is given before all of the envelope is known. MM_DATA: not JSON, cut off, no hits. after: UINT64_MAX: any _seq_no. */
mm_status mm_elastic_page_begin(mm_elastic_page *page, const char *name, const char *json, size_t size, uint64_t after,
                                mm_elastic_envelope *out, mm_error *err) MM_MUST_USE;

/* What a batch covers. Texts point into the JSON. */
typedef struct mm_elastic_rows {
    uint64_t documents; /* hits read for this batch, rejected ones among them */
    uint64_t covered;   /* rows: those in the batch and the rejected (of an exploded document each object) */
    uint64_t seq_no;    /* of the last hit; UINT64_MAX: it has none */
    const char *sort;   /* "sort" of the last hit, the JSON array; NULL: none */
    size_t sort_size;
} mm_elastic_rows;

/* The next documents of the answer, at least one and whole ones: up to about max_rows rows and max_bytes bytes of
 * columns (one document with more rows is still given). Begins the batch and fills columns, rows, ordinals (NULL where
 * nothing was rejected), rejected, rejects (their row: relative to the batch; the caller adds first_row); first_row and
 * end are the caller's. rows may be 0 where all were rejected. MM_END: the answer has no further hit, and what stands
 * behind the hits was well-formed; *out is then unchanged. MM_DATA: not the JSON that a server writes, with the byte;
 * a document that cannot be held is no failure but a reject. */
mm_status mm_elastic_page_next(mm_elastic_page *page, size_t max_rows, size_t max_bytes, mm_batch *batch,
                               mm_elastic_rows *out, mm_error *err) MM_MUST_USE;

#endif
