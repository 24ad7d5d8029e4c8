/* The contract of a sink driver. A driver is one static const mm_sink_driver; the registry checks it
 * at start. A sink knows neither sources nor the savepoint store: what it must remember across a
 * crash it gives to its host, which commits it. It does not retry: the class of the status that it
 * returns decides. */
#ifndef MM_SINKS_SINK_H
#define MM_SINKS_SINK_H

#include "config/options.h"
#include "formats/staged.h"
#include "model/batch.h"

#define MM_SINK_ABI 1

/* At least one of IDEMPOTENT, REWIND, ATOMIC, else the job must say at_least_once. */
enum {
    MM_SINK_IDEMPOTENT = 1 << 0,  /* rows in doubt can be written again by key (MM_WRITE_UPSERT) */
    MM_SINK_REWIND = 1 << 1,      /* settle cuts back to the last committed state */
    MM_SINK_ATOMIC = 1 << 2,      /* a unit appears whole or not at all */
    MM_SINK_ACK = 1 << 3,         /* write itself is durable; without it only flush is */
    MM_SINK_ORDERED = 1 << 4,     /* all batches of a task go through one lane, in order */
    MM_SINK_FENCE = 1 << 5,       /* fence_move and fence_drop work: late requests are refused */
    MM_SINK_READ_BACK = 1 << 6,   /* count and read_back work */
    MM_SINK_DUPLICATES = 1 << 7,  /* can hold one primary key on several rows (files) */
    MM_SINK_NONFINITE = 1 << 8,   /* keeps NaN and infinity (files) */
    MM_SINK_REPAIR = 1 << 9       /* rows that come again after everything was written replace what stands there by key
                                   * (resume --repair), though rows in doubt are not settled so */
};

struct mm_buffer;
struct mm_changes;
typedef struct mm_sink mm_sink;
typedef struct mm_lane mm_lane;

typedef enum mm_if_exists { MM_EXISTS_FAIL, MM_EXISTS_APPEND, MM_EXISTS_SKIP, MM_EXISTS_OVERWRITE } mm_if_exists;

/* `index:` of one field in a job file. */
typedef struct mm_index_rule {
    const char *field;       /* target field */
    const char *index_type;  /* AUTOINDEX, HNSW, … */
    const char *metric_type;
    const char *params;      /* JSON object or NULL */
} mm_index_rule;

typedef enum mm_index_mode { MM_INDEX_AUTO, MM_INDEX_SOURCE, MM_INDEX_NONE, MM_INDEX_EXPLICIT } mm_index_mode;

/* One target collection as the plan froze it. Borrowed: outlives the sink. */
typedef struct mm_sink_collection {
    const char *name;
    const mm_schema *schema;
    const char *const *partitions; /* target partition by the plan's partition number; a NULL entry
                                    * or count 0: the default partition */
    size_t partition_count;
    mm_if_exists if_exists;
    bool upsert; /* target.on_conflict for this collection: rows in doubt aside, new rows go by
                  * Upsert too */
    mm_index_mode index_mode;
    const mm_index_rule *indexes;
    size_t index_count;
    bool load;
    uint64_t rows; /* estimate, for sizing */
    bool verify;   /* read_back will be called after the copy: what it needs (an index, a load) must
                    * be there then, and what was made only for it removed afterwards */
} mm_sink_collection;

/* What the engine offers a sink. record: commits key = value (value NULL: removes it) durably before
 * it returns; callable from any thread; keys are the driver's own, value is text. */
typedef struct mm_sink_host {
    void *context;
    mm_status (*record)(void *context, const char *key, const char *value, mm_error *err);
    bool (*stopping)(void *context); /* true: end waits early with MM_INTERRUPTED */
} mm_sink_host;

typedef struct mm_sink_args {
    const mm_options *options;
    const char *job_tag; /* 16 hex digits, unique to this job's store: names what the job owns */
    uint32_t run;        /* number of the run */
    const mm_sink_host *host;
    const mm_sink_collection *collections;
    size_t collection_count;
    /* A local folder of the job's own, beside its store, for what must outlive the process; not made yet, removed by
     * `reset`. NULL in tools that have none. */
    const char *folder;
    uint64_t lane_memory; /* bytes that each lane may keep of its own, of limits.memory; 0: the sink's choice */
} mm_sink_args;

/* Steps: one-shot actions on a collection, recorded `started` (with the intent) before and `done`
 * (with the detail) after, so that a repeated step acts only on what it meant. */
typedef enum mm_step_phase {
    MM_STEP_BEFORE, /* before the copy: create, check, partitions */
    MM_STEP_AFTER,  /* after the last alias is gone, before verification: flush, index, load */
    MM_STEP_FINISH  /* after a verification that passed (or verify: none): swap, publish, clean up */
} mm_step_phase;
#define MM_STEP_DETAIL 2048
typedef struct mm_step {
    const char *name;
    mm_step_phase phase;
    bool once; /* never again once it is done, not even when the others of its phase are repeated for a
                * later verification or after a repair (a swap, a publication) */
    /* What the step is about to act on (a collection ID), into intent; committed before run. May be
     * NULL: the intent is empty. */
    mm_status (*intend)(mm_sink *sink, uint32_t collection, char intent[MM_STEP_DETAIL],
                        mm_error *err);
    /* Acts; idempotent: may be called again with the same intent after a crash. detail: what a later
     * process must know, at most MM_STEP_DETAIL - 1 bytes. MM_END: this collection needs nothing
     * more at all (if_exists: skip); its tasks are then not run. */
    mm_status (*run)(mm_sink *sink, uint32_t collection, const char *intent,
                     char detail[MM_STEP_DETAIL], mm_error *err);
    /* Gives the detail of a done step to a sink opened by a later process. May be NULL. */
    mm_status (*recall)(mm_sink *sink, uint32_t collection, const char *detail, mm_error *err);
} mm_step;

typedef enum mm_write_mode {
    MM_WRITE_INSERT, /* rows that were never sent */
    MM_WRITE_UPSERT  /* rows in doubt: they may be there already, whole or in part */
} mm_write_mode;

#define MM_PARTITION_ANY UINT32_MAX

typedef struct mm_write {
    uint32_t collection, partition;
    uint64_t task;
    mm_write_mode mode;
    uint64_t fence; /* epoch of the fence that the request must go through; 0: none */
    uint64_t task_rows; /* of the task's extent, as planned */
    size_t from;    /* rows of the batch before this one are acknowledged already */
} mm_write;

typedef struct mm_sink_driver {
    uint32_t abi; /* MM_SINK_ABI */
    const char *name;
    const char *summary;
    uint32_t capabilities;
    const mm_option *options;
    size_t option_count;
    const mm_step *steps; /* in the order of execution within a phase */
    size_t step_count;

    /* The table that these options mean, where a driver has several with other capabilities (milvus with
     * transfer: import); its name, options and open are those of this one. NULL: this one. */
    const struct mm_sink_driver *(*variant)(const mm_options *options);

    /* open makes no change to the target. */
    mm_status (*open)(const mm_sink_args *args, mm_sink **out, mm_error *err);
    void (*close)(mm_sink *sink);
    /* Capabilities of this target as found (a server without aliases has no FENCE): a subset of the
     * driver's. Valid after the BEFORE steps. NULL: the driver's own. */
    uint32_t (*capabilities_now)(mm_sink *sink);
    /* The most lanes this target can serve at once (0: no limit). NULL: no limit. */
    uint32_t (*lanes_max)(mm_sink *sink);
    /* Identity of what is written to, readable (endpoint-free: a collection ID, a folder's device and
     * inode), compared on resume. After the BEFORE steps. */
    mm_status (*fingerprint)(mm_sink *sink, uint32_t collection, char out[512], mm_error *err);

    /* On resume, after recall of the steps: `next` yields every recorded key and value; drops or
     * marks what they do not vouch for, before anything is written. May be NULL. */
    mm_status (*settle)(mm_sink *sink,
                        bool (*next)(void *context, const char **key, const char **value),
                        void *context, mm_error *err);

    /* The fence: after fence_move no request of epoch `from` (0: none yet) or older is executed any
     * more, and requests of epoch `to` are. Idempotent. fence_highest: the highest epoch that the
     * target knows of this job (0: none), to notice a store that is older than the target. */
    mm_status (*fence_move)(mm_sink *sink, uint32_t collection, uint64_t from, uint64_t to,
                            mm_error *err);
    mm_status (*fence_drop)(mm_sink *sink, uint32_t collection, uint64_t epoch, mm_error *err);
    mm_status (*fence_highest)(mm_sink *sink, uint32_t collection, uint64_t *epoch, mm_error *err);

    /* One lane per loader thread. */
    mm_status (*lane_open)(mm_sink *sink, uint32_t number, mm_lane **out, mm_error *err);
    /* Writes rows [from, rows) of a target batch. On failure *acknowledged is the number of leading
     * rows of the batch (from included) that are certainly there and the rest certainly not, for
     * classes RETRY, RATE and TOO_LARGE; with UNKNOWN all rows from `from` on are in doubt. */
    mm_status (*write)(mm_lane *lane, const mm_write *what, const mm_batch *batch,
                       size_t *acknowledged, mm_error *err);
    /* Takes files that hold exactly the rows of a task in the collection's schema, in the place of a write of these
     * rows; durable by flush, as write. adopts: whether this target takes files of this form, which it only looks
     * at. Both may be NULL: the rows are read and written. */
    bool (*adopts)(mm_sink *sink, uint32_t collection, const mm_staged *staged);
    mm_status (*adopt)(mm_lane *lane, const mm_write *what, const mm_staged *staged, mm_error *err);
    /* Makes everything written through this lane durable. What must be known after a crash is put
     * into `changes` by mm_sink_change; the engine commits it with the cursors. Sinks with ACK have
     * no flush. */
    mm_status (*flush)(mm_lane *lane, struct mm_changes *changes, mm_error *err);
    void (*lane_close)(mm_lane *lane);

    /* Work beside the lanes: carrying sealed files away, importing them. Called by one thread from the end of
     * the BEFORE steps (and recall, settle) on, while lanes write, and with `closing` when they have ended, until it
     * returns MM_END (only then). MM_OK: call again after *wait_ms milliseconds, 0: at once. A call takes a few
     * seconds at most, or looks at host->stopping. Other statuses by class, as from write. May be NULL. */
    mm_status (*attend)(mm_sink *sink, bool closing, uint64_t *wait_ms, mm_error *err);
    /* What attend is about, for the progress line ("import 3 of 12 files, 40 %"); "" for nothing. Called from
     * another thread than attend. May be NULL. */
#define MM_ACTIVITY_MAX 96
    void (*activity)(mm_sink *sink, char out[MM_ACTIVITY_MAX]);

    /* The run is given up for good: takes away by what its late requests could still come in, where the engine's fence
     * is not in use. No step was recalled. May be NULL. */
    mm_status (*cancel)(mm_sink *sink, mm_error *err);

    /* Rows in a partition (NULL: the whole collection) as a reader sees them now, copies counted. */
    mm_status (*count)(mm_sink *sink, uint32_t collection, const char *partition, uint64_t *rows,
                       mm_error *err);
    /* Number of rows (copies counted) whose primary key is among the keys of rows [from, from+count)
     * of a target batch; within its partition, or anywhere with MM_PARTITION_ANY. */
    mm_status (*count_keys)(mm_lane *lane, uint32_t collection, uint32_t partition,
                            const mm_batch *keys, size_t from, size_t count, uint64_t *rows,
                            mm_error *err);
    /* Reads the rows that rows [0, rows) of the written batch `like` should have become, in any order,
     * into `out` (schema: the target's; may hold fewer rows, or more where keys are doubled).
     * `position`: sinks without keys (files) find the rows of a task by where they were written. */
    mm_status (*read_back)(mm_lane *lane, const mm_write *what, const mm_batch *like, mm_batch *out,
                           mm_error *err);
    /* The primary keys of a collection in all its partitions, page by page, into `out` (the key's column alone; what it
     * points to is valid until the next call): `first` begins anew. After a failure the same page comes again. MM_END:
     * there are no more. A key that comes stands there; whether others do that did not come is not proven. NULL: the keys
     * cannot be listed. */
    mm_status (*list_keys)(mm_lane *lane, uint32_t collection, bool first, mm_batch *out, mm_error *err);
    /* Deletes by key the rows of `keys` from the partition named (MM_PARTITION_ANY: from all of them); elsewhere: from
     * every partition but that one. Through the fence's epoch in force, where there is one. May be NULL. */
    mm_status (*delete_keys)(mm_lane *lane, uint32_t collection, uint32_t partition, bool elsewhere,
                             const mm_batch *keys, size_t from, size_t count, mm_error *err);
    /* Prints what is at `location`, or MM_NOT_FOUND when it is not of this driver's kind. */
    mm_status (*inspect)(const char *location, struct mm_buffer *text, mm_error *err);
} mm_sink_driver;

/* Changes of recorded state that a flush hands over, committed together with the cursors. */
typedef struct mm_changes {
    struct mm_change { char *key, *value; } *items;
    size_t count, capacity;
} mm_changes;
/* Copies both; value NULL removes the key. MM_NO_MEMORY possible. */
mm_status mm_sink_change(mm_changes *changes, const char *key, const char *value) MM_MUST_USE;
void mm_changes_free(mm_changes *changes);

const mm_sink_driver *const *mm_sink_registry(size_t *count);
const mm_sink_driver *mm_sink_find(const char *name);
/* The checked table that a target with these options means: the driver's, or its variant. MM_CONFIG: there is
 * no such driver, or it has no bulk import and `transfer: import` asks for one. */
mm_status mm_sink_resolve(const char *name, const mm_options *options, const mm_sink_driver **out,
                          mm_error *err) MM_MUST_USE;
mm_status mm_sink_registry_check(mm_error *err);

#endif
