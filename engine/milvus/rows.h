/* The calls that move rows: Insert and Upsert, Query, count(*), Delete. Statuses as in client.h. */
#ifndef MM_MILVUS_ROWS_H
#define MM_MILVUS_ROWS_H

#include "milvus/client.h"
#include "milvus/encode.h"

/* One Insert or Upsert request of rows [from, to). A reply that confirms another number of rows than
 * were sent is MM_UNKNOWN. Through a dropped alias: MM_NOT_FOUND. */
mm_status mm_milvus_write(mm_milvus *client, mm_encoder *encoder, const mm_encode_args *args, bool upsert,
                          mm_error *err) MM_MUST_USE;

/* count(*) at Strong consistency: what is there now, copies of a key counted. partition NULL: all;
 * expr NULL: every row. */
mm_status mm_milvus_count(mm_milvus *client, const char *collection, const char *partition,
                          const char *expr, uint64_t *rows, mm_error *err) MM_MUST_USE;

/* Rows that fulfil expr, all fields of schema, at Strong consistency. The reply's buffer is handed to
 * *reply (free with mm_buffer_free); decode with mm_decode_rows. */
mm_status mm_milvus_query(mm_milvus *client, const char *collection, const char *partition,
                          const char *expr, const mm_schema *schema, mm_buffer *reply,
                          mm_error *err) MM_MUST_USE;

/* The primary keys of a collection, in pages, `key` the one field of schema. after: the last key of the page before (text,
 * or an Int64 in 8 bytes), NULL: from the start. At most `limit` keys in ascending order, a key that stands on several rows
 * once; limit 0: no limit, and no order (Milvus Lite sorts nothing). A page without keys is the end, a short one is not.
 * Reply as from mm_milvus_query. */
mm_status mm_milvus_query_keys(mm_milvus *client, const char *collection, const mm_schema *key, const void *after,
                               size_t after_size, uint32_t limit, mm_buffer *reply, mm_error *err) MM_MUST_USE;

/* Deletes the rows that fulfil expr. partition NULL: in all of them. */
mm_status mm_milvus_delete(mm_milvus *client, const char *collection, const char *partition,
                           const char *expr, mm_error *err) MM_MUST_USE;

/* --- expressions ---------------------------------------------------------------------------------- */

/* Rows of one primary key expression: a server parses some 64 KiB of it without trouble, and a Query
 * answers at most 16384 rows (quotaAndLimits.limits.topK). */
#define MM_MILVUS_KEYS_MAX 16384
#define MM_MILVUS_EXPR_MAX ((size_t)1 << 20)

/* Appends "<primary key> in [keys of rows from … ]" for as many rows from `from` on, at most until
 * `to`, as fit MM_MILVUS_KEYS_MAX keys and MM_MILVUS_EXPR_MAX bytes; *next is the first row left out.
 * keys: a batch that has the primary key's column. MM_CONFIG: no Int64 or VarChar key. */
mm_status mm_milvus_keys_expr(const mm_batch *keys, size_t from, size_t to, size_t max, mm_buffer *expr,
                              size_t *next, mm_error *err) MM_MUST_USE;

/* Rows of Query replies into `out` (begun by this call with `schema`), in the order of the replies.
 * MM_DATA: a reply that is malformed or does not fit the schema. */
mm_status mm_decode_rows(const mm_buffer *replies, size_t count, const mm_schema *schema, mm_batch *out,
                         mm_error *err) MM_MUST_USE;

/* The one number of a count(*) reply. */
bool mm_decode_count(const uint8_t *data, size_t size, uint64_t *rows);
/* The counts of a MutationResult. */
typedef struct mm_mutation {
    int64_t inserted, deleted, upserted;
    bool has_errors; /* err_index lists rows */
} mm_mutation;
bool mm_decode_mutation(const uint8_t *data, size_t size, mm_mutation *out);

#endif
