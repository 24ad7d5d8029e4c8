/* Inside of the sources elasticsearch and opensearch.
 *
 *     elastic.c      the two drivers: options, contract
 *     client.c       nodes, requests, what an answer's status means (client.h)
 *     auth.c         who we are: headers, signatures
 *     server.c       which server it is
 *     indices.c      indices, aliases, data streams; bounds of the shards
 *     describe.c     mapping, sample and counts
 *     memo.c         what the sample decided, for the processes that go on
 *     extent.c       ranges of `_seq_no`, or whole shards
 *     counts.c       documents of such ranges
 *     request.c      what a reader asks for, by its kind of cursor
 *     inspect.c      a server in words
 *     reader.c       pages of an extent: requests, what each page must prove, batches
 *     mapping*.c     mapping and sample to schema                         } the seam, documents.h: JSON in, columns out;
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
#include "sources/elastic/documents.h"
#include "sources/source.h"

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

/* By what order a shard is read. */
typedef enum mm_elastic_way {
    MM_ELASTIC_SEQ_NO, /* ranges of `_seq_no`; the mark is the last one */
    MM_ELASTIC_FIELD,  /* a field that is unique; the mark is its last value */
    MM_ELASTIC_PIT,    /* a point in time of the shard, which the server keeps for a while; the mark says which, and where */
    MM_ELASTIC_SCROLL  /* a scroll of the shard: there is no mark, what is lost is read again from the start */
} mm_elastic_way;

typedef struct mm_elastic_collection {
    const char *name;
    mm_elastic_index *indices;
    size_t index_count;
    mm_elastic_fields *fields;
    mm_elastic_way way;
    uint64_t documents;  /* that match, when the source was described */
    uint64_t row_bytes;  /* of columns, about */
    bool unique;         /* no key stands on two documents */
    bool bounded;        /* a range of `_seq_no` never gives more rows than it has documents when it is planned */
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
    const char *cursor_field;
    uint64_t keep_alive_s;
    const char *memo; /* of the process that made the plan; NULL: none */
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

/* --- memo.c ------------------------------------------------------------------------------------------------------ */

/* Appends a collection's fields as lines "path Type(…)", behind a line "=*name", or "=-name" where parts of documents are
 * asked for. Nothing where they cannot be said so. */
void mm_elastic_memo_write(const mm_elastic_collection *collection, const mm_elastic_choice *choice, mm_buffer *out);
/* What the memo says of a collection, as the choice that leads to the same fields; as given where it says nothing. */
mm_status mm_elastic_memo_choice(mm_arena *arena, const char *memo, const char *collection,
                                 const mm_elastic_choice *given, mm_elastic_choice *out, mm_error *err) MM_MUST_USE;
/* Asks for whole documents where the memo says so. */
void mm_elastic_memo_follow(const char *memo, const char *collection, mm_elastic_fields *fields);

/* --- extent.c --------------------------------------------------------------------------------------------------- */

/* An extent's spec, as text: "seq_no <shard> <after> <upto> <index>": documents of one shard with
 * after < _seq_no <= upto; or "field", "pit", "scroll": all of the shard, with -1 and -1. */
typedef struct mm_elastic_extent {
    mm_elastic_way way;
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

/* The way that source.cursor asks for, or that the indices and the server allow; with the lock held. */
mm_status mm_elastic_choose_way(mm_source *source, mm_elastic_collection *collection, mm_error *err) MM_MUST_USE;

/* --- counts.c --------------------------------------------------------------------------------------------------- */

/* Documents of ranges (at least one) of one index that match the query, as a search that begins now finds them.
 * MM_UNAVAILABLE: not all could be counted. */
mm_status mm_elastic_count_ranges(mm_source *source, const mm_elastic_extent *ranges, size_t count, uint64_t *rows,
                                  mm_error *err) MM_MUST_USE;

/* --- request.c -------------------------------------------------------------------------------------------------- */

/* Where a reader is, and what it asks for. */
typedef struct mm_elastic_request {
    mm_source *source;
    const mm_elastic_collection *collection;
    mm_elastic_extent extent;
    bool keys;
    int64_t after;    /* SEQ_NO: of the last document */
    mm_buffer value;  /* FIELD, PIT: sort value of the last document, JSON; empty: none yet */
    mm_buffer context; /* PIT, SCROLL: the server's name for it; empty: none yet */
    uint64_t before;  /* documents that the context gave so far */
    mm_buffer path, body;
} mm_elastic_request;

void mm_elastic_request_free(mm_elastic_request *request);
/* The next page, of up to `rows` documents; opens a point in time where there is none. */
mm_status mm_elastic_request_page(mm_elastic_request *request, uint32_t rows, size_t reply_max, mm_http_reply *reply,
                                  mm_error *err) MM_MUST_USE;
/* What the last page's answer says: contexts may be renamed by every answer. */
mm_status mm_elastic_request_note(mm_elastic_request *request, const mm_elastic_envelope *envelope,
                                  mm_error *err) MM_MUST_USE;
/* Behind these documents. */
mm_status mm_elastic_request_advance(mm_elastic_request *request, const mm_elastic_rows *rows, mm_error *err) MM_MUST_USE;
/* From the start, with a new context. */
void mm_elastic_request_restart(mm_elastic_request *request);
/* Gives the context back to the server, as far as that goes. */
void mm_elastic_request_end(mm_elastic_request *request);

/* Cursors. MM_CONFIG: the mark is too long. */
mm_status mm_elastic_mark_write(const mm_elastic_request *request, mm_cursor *out, mm_error *err) MM_MUST_USE;
/* False: not a mark of this extent. */
bool mm_elastic_mark_read(mm_elastic_request *request, const mm_cursor *cursor);

/* --- inspect.c: as in mm_source_driver -------------------------------------------------------------------------- */

mm_status mm_elastic_inspect(const char *location, mm_buffer *text, mm_error *err) MM_MUST_USE;

/* --- reader.c: as in mm_source_driver --------------------------------------------------------------------------- */

mm_status mm_elastic_read_open(mm_source *source, mm_elastic_collection *collection, const mm_extent *extent,
                               const mm_cursor *cursor, mm_read_mode mode, mm_reader **out, mm_error *err) MM_MUST_USE;
mm_status mm_elastic_read_next(mm_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch,
                               mm_error *err) MM_MUST_USE;
void mm_elastic_read_close(mm_reader *reader);

#endif
