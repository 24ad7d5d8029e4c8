/* What the files of the Milvus sink share. The sink knows no source and no savepoint store. */
#ifndef MM_SINKS_MILVUS_INTERNAL_H
#define MM_SINKS_MILVUS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "milvus/calls.h"
#include "milvus/lite.h"
#include "milvus/rows.h"
#include "sinks/milvus/milvus.h"

#define MM_MILVUS_REQUEST_MAX ((size_t)60 << 20) /* below the server's 64 MiB, its headers included */
#define MM_MILVUS_REQUEST_MIN ((size_t)16 << 10)
#define MM_MILVUS_NAME 320 /* a name of 255 bytes and our suffixes */

/* What is known of one collection of the plan. Written by steps and fence calls, which the engine
 * makes one at a time per collection; read by lanes. */
typedef struct mm_milvus_target {
    const mm_sink_collection *plan;
    char work[MM_MILVUS_NAME]; /* where rows go: the name, or a temporary one until the swap */
    char id[24];               /* collection ID, or "" where the server gives none */
    char old[24];              /* overwrite: ID of what the swap replaces; "": nothing, "?": no ID known */
    bool created;              /* by this job */
    bool loaded_here;          /* the load step loaded it: the cleanup may release it */
    _Atomic uint64_t fence;    /* epoch in force, 0: none */
} mm_milvus_target;

struct mm_sink {
    mm_milvus_config config;
    const mm_options *options;
    const mm_sink_host *host;
    char tag[17];
    uint32_t run;
    char *endpoint;
    char version[64];
    bool lite;
    mm_milvus_lite *server; /* the embedded one, or NULL */
    mm_milvus_target *targets;
    size_t target_count;
    size_t request_bytes;
    _Atomic size_t request_limit; /* learned: halved when the server says too large */
    atomic_bool no_fence;         /* aliases were refused */
    pthread_mutex_t lock;         /* guards client */
    mm_milvus *client;            /* for everything that is not a lane's */
    struct mm_importer *importer; /* transfer: import; else NULL */
};

struct mm_lane {
    mm_sink *sink;
    mm_milvus *client;
    mm_encoder encoder;
    mm_schema key_schema; /* list_keys: the primary key alone */
    mm_field key_field;
    mm_buffer last_key;   /* and the last key of the page before */
    mm_lane *staged; /* transfer: import: the staging writer's lane; else NULL */
};

#define MM_MILVUS_OPTIONS 39
extern const mm_option mm_milvus_options[MM_MILVUS_OPTIONS];

#define MM_MILVUS_STEPS 8
/* Steps, see steps.c. */
extern const mm_step mm_milvus_steps[MM_MILVUS_STEPS];

mm_status mm_milvus_step_database(mm_sink *sink, uint32_t collection, const char *intent,
                                  char detail[MM_STEP_DETAIL], mm_error *err);
mm_status mm_milvus_intend_collection(mm_sink *sink, uint32_t collection, char intent[MM_STEP_DETAIL],
                                      mm_error *err);
mm_status mm_milvus_step_collection(mm_sink *sink, uint32_t collection, const char *intent,
                                    char detail[MM_STEP_DETAIL], mm_error *err);
mm_status mm_milvus_recall_collection(mm_sink *sink, uint32_t collection, const char *detail, mm_error *err);
mm_status mm_milvus_step_partitions(mm_sink *sink, uint32_t collection, const char *intent,
                                    char detail[MM_STEP_DETAIL], mm_error *err);
mm_status mm_milvus_step_flush(mm_sink *sink, uint32_t collection, const char *intent,
                               char detail[MM_STEP_DETAIL], mm_error *err);
mm_status mm_milvus_step_index(mm_sink *sink, uint32_t collection, const char *intent,
                               char detail[MM_STEP_DETAIL], mm_error *err);
mm_status mm_milvus_intend_load(mm_sink *sink, uint32_t collection, char intent[MM_STEP_DETAIL], mm_error *err);
mm_status mm_milvus_step_load(mm_sink *sink, uint32_t collection, const char *intent,
                              char detail[MM_STEP_DETAIL], mm_error *err);
mm_status mm_milvus_recall_load(mm_sink *sink, uint32_t collection, const char *detail, mm_error *err);
mm_status mm_milvus_step_swap(mm_sink *sink, uint32_t collection, const char *intent,
                              char detail[MM_STEP_DETAIL], mm_error *err);
mm_status mm_milvus_recall_swap(mm_sink *sink, uint32_t collection, const char *detail, mm_error *err);
mm_status mm_milvus_step_cleanup(mm_sink *sink, uint32_t collection, const char *intent,
                                 char detail[MM_STEP_DETAIL], mm_error *err);
/* Value of `key` in a step's "key=value key=value …"; false when it is not there. */
bool mm_milvus_detail(const char *detail, const char *key, char *out, size_t capacity);
/* Every difference between what the plan wants and what a collection is, "; " between them. */
void mm_milvus_schema_differences(const mm_schema *want, const mm_schema *have, mm_buffer *out);
/* The value of the property by which this job and run know their collection. */
void mm_milvus_marker(const mm_sink *sink, char out[64]);
/* "mmr_<job tag>_": what the names of temporary indexes begin with. */
void mm_milvus_index_prefix(const mm_sink *sink, char out[64]);

/* Name of collection `number`'s alias of an epoch: mmr_<job tag>_<number>_<epoch>. */
void mm_milvus_alias_name(const mm_sink *sink, uint32_t collection, uint64_t epoch, char out[MM_MILVUS_NAME]);
/* The epoch in an alias of this job and collection; false for every other alias. */
bool mm_milvus_alias_epoch(const mm_sink *sink, uint32_t collection, const char *alias, uint64_t *epoch);
/* Finds out whether aliases can be made and dropped on collection `number`; sets sink->no_fence. */
mm_status mm_milvus_fence_probe(mm_sink *sink, uint32_t collection, mm_error *err) MM_MUST_USE;

mm_status mm_milvus_fence_move(mm_sink *sink, uint32_t collection, uint64_t from, uint64_t to, mm_error *err);
mm_status mm_milvus_fence_drop(mm_sink *sink, uint32_t collection, uint64_t epoch, mm_error *err);
mm_status mm_milvus_fence_highest(mm_sink *sink, uint32_t collection, uint64_t *epoch, mm_error *err);

mm_status mm_milvus_lane_open(mm_sink *sink, uint32_t number, mm_lane **out, mm_error *err);
void mm_milvus_lane_close(mm_lane *lane);
mm_status mm_milvus_lane_write(mm_lane *lane, const mm_write *what, const mm_batch *batch, size_t *acknowledged,
                               mm_error *err);
mm_status mm_milvus_lane_count_keys(mm_lane *lane, uint32_t collection, uint32_t partition, const mm_batch *keys,
                                    size_t from, size_t count, uint64_t *rows, mm_error *err);
mm_status mm_milvus_lane_read_back(mm_lane *lane, const mm_write *what, const mm_batch *like, mm_batch *out,
                                   mm_error *err);
mm_status mm_milvus_lane_list_keys(mm_lane *lane, uint32_t collection, bool first, mm_batch *out, mm_error *err);
mm_status mm_milvus_lane_delete_keys(mm_lane *lane, uint32_t collection, uint32_t partition, bool elsewhere,
                                     const mm_batch *keys, size_t from, size_t count, mm_error *err);

mm_status mm_milvus_inspect(const char *location, mm_buffer *text, mm_error *err);
/* A server's address as a URL, malloc'd. MM_CONFIG when it is neither one nor host:port. */
mm_status mm_milvus_sink_url(const char *endpoint, char **out, mm_error *err);

/* The partition that the plan's number means; NULL: the default one. */
const char *mm_milvus_partition_name(const mm_milvus_target *target, uint32_t partition);
/* Sleeps, and ends early with MM_INTERRUPTED when the host is stopping. */
mm_status mm_milvus_pause(const mm_sink *sink, uint64_t ms, mm_error *err) MM_MUST_USE;

#endif
