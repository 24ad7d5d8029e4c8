/* Inside of the sources elasticsearch and opensearch.
 *
 *     elastic.c      the two drivers: options, contract
 *     client.c       nodes, requests, what an answer's status means (client.h)
 *     auth.c         who we are: headers, signatures
 *     server.c       which server it is
 *     indices.c      indices, aliases, data streams; bounds of the shards
 *     describe.c     mapping, sample and counts
 *     extent.c       ranges of `_seq_no`
 *     reader.c       pages of an extent: requests, what each page must prove, batches
 *     mapping*.c     mapping and sample to schema                         } the seam below: JSON in, columns out;
 *     page*.c        a reply into columns                                 } knows neither requests nor extents
 *
 * The seam: extent.c and reader.c know servers, shards and `_seq_no`, but no field; mapping and page know fields and
 * documents, but no server. */
#ifndef MM_SOURCES_ELASTIC_INTERNAL_H
#define MM_SOURCES_ELASTIC_INTERNAL_H

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdatomic.h>

#include "sources/elastic/client.h"
#include "sources/source.h"

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
    const char *nulls;   /* a document without a value: "auto" (default): null in fields where the sample has such, else a
                          * reject; "nullable": null; "default": 0, "", {}, []; "reject". A vector that is missing is a
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

/* --- the source ------------------------------------------------------------------------------------------------- */

typedef struct mm_elastic_server {
    bool opensearch;
    unsigned major, minor, patch;
} mm_elastic_server;

/* A concrete index, as it is when the source is opened. */
typedef struct mm_elastic_index {
    const char *name, *uuid;
    const char *path; /* the name, encoded for a URL */
    uint32_t shards;
    uint32_t window; /* index.max_result_window: hits that one answer may have */
    bool seq_no;     /* it can be sorted by `_seq_no` */
} mm_elastic_index;

typedef struct mm_elastic_collection {
    const char *name;
    mm_elastic_index *indices;
    size_t index_count;
    mm_elastic_fields *fields;
    uint64_t documents;  /* that match, when the source was described */
    uint64_t row_bytes;  /* of columns, about */
    bool unique;         /* no key stands on two documents */
    _Atomic uint32_t document_bytes; /* of a reply, as the last page had them */
} mm_elastic_collection;

struct mm_source {
    mm_arena arena;
    const mm_options *options; /* the job's, which outlives the source */
    mm_elastic_client *client;
    mm_elastic_choice choice;
    const char *query; /* JSON; NULL: all */
    uint64_t extent_bytes, page_bytes;
    uint32_t page_rows;
    pthread_mutex_t lock; /* guards what follows; once set, it is never changed again */
    bool found, described;
    mm_elastic_server server;
    mm_elastic_collection *collections;
    size_t count;
};

/* --- server.c --------------------------------------------------------------------------------------------------- */

/* One request whose answer is small, parsed; freed with cJSON_Delete. body: NULL: none. */
mm_status mm_elastic_json(mm_source *source, const char *method, const char *path, const char *body, cJSON **out,
                          mm_error *err) MM_MUST_USE;
/* Which server it is. MM_CONFIG: one that is too old, or no such server. */
mm_status mm_elastic_identify(mm_source *source, mm_error *err) MM_MUST_USE;
/* Whether an answer's _source may leave vectors out unless it is told not to. */
bool mm_elastic_hides_vectors(const mm_elastic_server *server);

/* --- indices.c -------------------------------------------------------------------------------------------------- */

/* source.index to collections and concrete indices; with the lock held. */
mm_status mm_elastic_find(mm_source *source, mm_error *err) MM_MUST_USE;
/* "products=<uuid>", or number and hash where there are several. Asks the server anew. */
mm_status mm_elastic_fingerprint(mm_source *source, const mm_elastic_collection *collection,
                                 char out[MM_FINGERPRINT_MAX], mm_error *err) MM_MUST_USE;

typedef struct mm_elastic_shard {
    int64_t checkpoint; /* every document up to this `_seq_no` is on every copy of the shard; -1: none yet */
    bool found;
} mm_elastic_shard;
/* Shards of an index as they are now (array of index->shards), then a refresh: every document up to the checkpoint can
 * be found by a search that begins after this. */
mm_status mm_elastic_bounds(mm_source *source, const mm_elastic_index *index, mm_elastic_shard *out,
                            mm_error *err) MM_MUST_USE;

mm_status mm_elastic_refresh(mm_source *source, const mm_elastic_index *index, mm_error *err) MM_MUST_USE;

/* --- describe.c ------------------------------------------------------------------------------------------------- */

/* Mapping, sample and counts of a collection; with the lock held. */
mm_status mm_elastic_describe(mm_source *source, mm_elastic_collection *collection, mm_error *err) MM_MUST_USE;
/* Appends {"bool":{"filter":[…]}} of the job's query and a further clause (NULL: none). */
void mm_elastic_query(const mm_source *source, const char *clause, mm_buffer *out);

/* --- extent.c --------------------------------------------------------------------------------------------------- */

/* An extent's spec, as text: "seq_no <shard> <after> <upto> <index>": documents of one shard with
 * after < _seq_no <= upto. */
typedef struct mm_elastic_extent {
    uint32_t shard;
    int64_t after, upto;
    const mm_elastic_index *index;
} mm_elastic_extent;
#define MM_ELASTIC_SPEC 400
size_t mm_elastic_spec_print(const mm_elastic_extent *extent, char out[MM_ELASTIC_SPEC]);
/* MM_CHANGED: not an extent of this collection. */
mm_status mm_elastic_spec_parse(const mm_elastic_collection *collection, const mm_extent *extent,
                                mm_elastic_extent *out, mm_error *err) MM_MUST_USE;
/* As mm_source_driver.plan. */
mm_status mm_elastic_plan(mm_source *source, uint32_t number, mm_extent_fn emit, void *context,
                          mm_error *err) MM_MUST_USE;

mm_status mm_elastic_plan_changes(mm_source *source, uint32_t number, mm_extent_walk former, void *former_context,
                                  mm_extent_fn emit, void *context, mm_error *err) MM_MUST_USE;
mm_status mm_elastic_count(mm_source *source, uint32_t number, mm_extent_walk former, void *former_context,
                           uint64_t *rows, mm_error *err) MM_MUST_USE;

/* --- reader.c: as in mm_source_driver --------------------------------------------------------------------------- */

mm_status mm_elastic_read_open(mm_source *source, mm_elastic_collection *collection, const mm_extent *extent,
                               const mm_cursor *cursor, mm_read_mode mode, mm_reader **out, mm_error *err) MM_MUST_USE;
mm_status mm_elastic_read_next(mm_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch,
                               mm_error *err) MM_MUST_USE;
void mm_elastic_read_close(mm_reader *reader);

#endif
