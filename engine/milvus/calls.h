/* The calls of Milvus's interface that move no rows: databases, collections, partitions, aliases,
 * indexes, load, flush. Each is one request (waits are the caller's); all are idempotent or say what
 * they answer when the thing is (not) there. Names are always within the client's database. Statuses
 * as in client.h. */
#ifndef MM_MILVUS_CALLS_H
#define MM_MILVUS_CALLS_H

#include "milvus/client.h"

/* Names in an arena. */
typedef struct mm_names {
    const char **items;
    size_t count;
} mm_names;
bool mm_names_have(const mm_names *names, const char *name);

/* version: "v2.3.5", "milvus_lite-3.2.2"; "" where the server lacks the call. */
mm_status mm_milvus_version(mm_milvus *client, char version[64], mm_error *err) MM_MUST_USE;
/* MM_TARGET with grpc-status 12 (mm_milvus_last) where the server lacks databases. */
mm_status mm_milvus_databases(mm_milvus *client, mm_arena *arena, mm_names *out, mm_error *err) MM_MUST_USE;
mm_status mm_milvus_create_database(mm_milvus *client, const char *name, mm_error *err) MM_MUST_USE;

/* What DescribeCollection says. In the arena given. */
typedef struct mm_milvus_description {
    mm_schema *schema;  /* name: the collection's own, also when asked by alias */
    int64_t id;         /* 0: the server does not say (Milvus Lite) */
    int32_t shards;
    int32_t consistency; /* ConsistencyLevel: 0 Strong … 3 Eventually */
    mm_names aliases;   /* unset by Milvus Lite: use mm_milvus_aliases */
    const char *job;    /* value of the property MM_MILVUS_JOB; NULL: none */
} mm_milvus_description;

/* Collection property that says which job created it: "<job tag>/<run>". */
#define MM_MILVUS_JOB "mmresume.job"

/* MM_NOT_FOUND: no collection or alias of that name. */
mm_status mm_milvus_describe(mm_milvus *client, const char *name, mm_arena *arena,
                             mm_milvus_description *out, mm_error *err) MM_MUST_USE;
/* *exists false instead of MM_NOT_FOUND. */
mm_status mm_milvus_look(mm_milvus *client, const char *name, mm_arena *arena, bool *exists,
                         mm_milvus_description *out, mm_error *err) MM_MUST_USE;
mm_status mm_milvus_collections(mm_milvus *client, mm_arena *arena, mm_names *out, mm_error *err) MM_MUST_USE;
/* schema as asked but under `name`; shards 0: the server's default; consistency -1: the same; job:
 * the value of MM_MILVUS_JOB, NULL: none. */
mm_status mm_milvus_create_collection(mm_milvus *client, const char *name, const mm_schema *schema,
                                      int32_t shards, int32_t consistency, const char *job,
                                      mm_error *err) MM_MUST_USE;
/* Fine when there is none. */
mm_status mm_milvus_drop_collection(mm_milvus *client, const char *name, mm_error *err) MM_MUST_USE;
mm_status mm_milvus_rename(mm_milvus *client, const char *from, const char *to, mm_error *err) MM_MUST_USE;

mm_status mm_milvus_partitions(mm_milvus *client, const char *collection, mm_arena *arena, mm_names *out,
                               mm_error *err) MM_MUST_USE;
/* Call only for one that mm_milvus_partitions does not list: Milvus Lite refuses a repetition. */
mm_status mm_milvus_create_partition(mm_milvus *client, const char *collection, const char *partition,
                                     mm_error *err) MM_MUST_USE;

mm_status mm_milvus_aliases(mm_milvus *client, const char *collection, mm_arena *arena, mm_names *out,
                            mm_error *err) MM_MUST_USE;
/* *collection NULL: there is no such alias. */
mm_status mm_milvus_alias_of(mm_milvus *client, const char *alias, mm_arena *arena, const char **collection,
                             mm_error *err) MM_MUST_USE;
mm_status mm_milvus_create_alias(mm_milvus *client, const char *collection, const char *alias,
                                 mm_error *err) MM_MUST_USE;
mm_status mm_milvus_alter_alias(mm_milvus *client, const char *collection, const char *alias,
                                mm_error *err) MM_MUST_USE;
/* Fine when there is none. */
mm_status mm_milvus_drop_alias(mm_milvus *client, const char *alias, mm_error *err) MM_MUST_USE;

typedef struct mm_milvus_index {
    const char *name, *field;
    const char *index_type, *metric_type; /* NULL: not said */
    int32_t state; /* IndexState: 1 unissued, 2 in progress, 3 finished, 4 failed */
    int64_t indexed_rows, total_rows, pending_rows;
    const char *fail_reason;
} mm_milvus_index;
enum { MM_MILVUS_INDEX_FINISHED = 3, MM_MILVUS_INDEX_FAILED = 4 };

/* *count 0: there is none. */
mm_status mm_milvus_indexes(mm_milvus *client, const char *collection, mm_arena *arena,
                            mm_milvus_index **out, size_t *count, mm_error *err) MM_MUST_USE;
/* params: JSON object or NULL; name: NULL: the server's choice. */
mm_status mm_milvus_create_index(mm_milvus *client, const char *collection, const char *field,
                                 const char *name, const char *index_type, const char *metric_type,
                                 const char *params, mm_error *err) MM_MUST_USE;
mm_status mm_milvus_drop_index(mm_milvus *client, const char *collection, const char *field,
                               const char *name, mm_error *err) MM_MUST_USE;

mm_status mm_milvus_load(mm_milvus *client, const char *collection, mm_error *err) MM_MUST_USE;
mm_status mm_milvus_release(mm_milvus *client, const char *collection, mm_error *err) MM_MUST_USE;
enum { MM_MILVUS_LOAD_NONE = 1, MM_MILVUS_LOADING = 2, MM_MILVUS_LOADED = 3 };
mm_status mm_milvus_load_state(mm_milvus *client, const char *collection, int32_t *state,
                               mm_error *err) MM_MUST_USE;

/* What a Flush asks the server to persist. Segments in the arena. */
typedef struct mm_milvus_flush {
    int64_t *segments;
    size_t segment_count;
    uint64_t time;
} mm_milvus_flush;
mm_status mm_milvus_flush_begin(mm_milvus *client, const char *collection, mm_arena *arena,
                                mm_milvus_flush *out, mm_error *err) MM_MUST_USE;
mm_status mm_milvus_flush_done(mm_milvus *client, const char *collection, const mm_milvus_flush *flush,
                               bool *done, mm_error *err) MM_MUST_USE;

#endif
