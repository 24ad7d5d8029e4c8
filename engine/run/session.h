/* A session: one process at work on one job. Everything that the parts of engine/run share: the open
 * store, source and sink, the collections as the plan froze them. Knows no thread. */
#ifndef MM_RUN_SESSION_H
#define MM_RUN_SESSION_H

#include <pthread.h>
#include <stdatomic.h>

#include "checkpoint/checkpoint.h"
#include "config/job.h"
#include "run/run.h"
#include "sinks/sink.h"
#include "sources/source.h"

/* A collection of the source that goes into a collection of the job. */
typedef struct mm_run_source {
    uint32_t number;          /* index in the catalog */
    uint32_t first_partition; /* number of its first partition among those of the job's collection */
} mm_run_source;

/* One collection of the job: where it comes from, what it becomes. */
typedef struct mm_run_collection {
    mm_run_source *sources; /* usually one; several are merged, in this order */
    size_t source_count;
    const mm_collection *from; /* as the catalog has it; of several: the first one's schema, names and rows together */
    mm_mapping *mapping;
    const char *mapping_text; /* canonical: compared on resume, so that the plan's stays in force */
    mm_sink_collection sink;
    uint64_t fence;
    bool fence_open; /* the savepoints say that the epoch's alias stands */
    bool sealed, skipped;
    bool read_again; /* what must be there is what the verification reads: the source lost or replaced rows */
    uint64_t counted; /* rows in the target, by the last verdict of this process */
    bool left;        /* a sweep found rows too many and removed none, since which are the job's cannot be told */
    bool differs; /* a count of its rows is wrong: the verification looks for the keys */
} mm_run_collection;

/* Live counters for the progress line; written by the committer, read by anyone. */
typedef struct mm_run_progress {
    _Atomic uint64_t rows_done, bytes_done, rows_rejected, tasks_done;
    uint64_t rows_total, bytes_total, tasks_total;
} mm_run_progress;

typedef struct mm_session {
    mm_arena arena;
    const mm_run_args *args;
    const mm_store_driver *stores;
    mm_store *store;
    pthread_mutex_t store_lock; /* the store is used by one thread at a time */
    mm_job_record record;
    mm_job *job;
    mm_run_record run; /* as read when the session began */
    bool planned; /* the work is on the plan that the store has, not on a new one */
    const mm_source_driver *sources;
    mm_source *source;
    mm_catalog catalog;
    const mm_sink_driver *sinks;
    mm_sink *sink;
    mm_sink_host host;
    uint32_t sink_caps;
    mm_run_collection *collections;
    mm_sink_collection *sink_collections; /* the same, as the sink wants them: one array */
    size_t collection_count;
    mm_run_progress progress;
    uint64_t started_ms;   /* of this process's work, monotonic */
    uint64_t stop_at_ms;   /* monotonic; 0: no limit */
    uint64_t patience_from_ms; /* of steps: since when the target refuses; 0: it does not */
    int rejects_fd;        /* dead-letter file; -1 until the first reject */
    uint64_t rejects_size; /* durable length */
    char *rejects_path;
    char *spool_path;      /* the sink's folder beside the store */
    char *cancel_path;     /* exists when another process asks to cancel */
    _Atomic uint64_t waited_ns; /* in which a worker waited for the store, */
    uint64_t worked_ns;         /* of the time at work */
    uint64_t first_send_ns, last_ack_ns; /* of this process's copy, monotonic; 0: none yet */
} mm_session;

/* Opens the job's store and reads what it holds; parses the job (from args->job_file, or for
 * job_name from the text in the store). mode MM_STORE_READ or WRITE or CREATE. */
mm_status mm_session_open(mm_session *session, const mm_run_args *args, mm_store_mode mode, mm_error *err);
void mm_session_close(mm_session *session);

/* What the source keeps of its description, for the processes that go on with this plan: committed once, before anything
 * is sent. */
mm_status mm_session_keep_memo(mm_session *session, mm_error *err);
/* Opens the source and resolves the job's collections against it. */
mm_status mm_session_open_source(mm_session *session, mm_error *err);
/* Opens the sink for run number `run` (makes no change to the target). */
mm_status mm_session_open_sink(mm_session *session, uint32_t run, mm_error *err);
/* MM_CONFIG when a verification of this kind could not tell equal from different on this target. */
mm_status mm_session_check_verify(const mm_session *session, mm_verify_mode mode, mm_error *err);
/* The source's fingerprint of each collection against the plan's; MM_CHANGED names both. */
mm_status mm_session_check_source(mm_session *session, mm_error *err);

/* Applies store operations under the store lock. */
mm_status mm_session_apply(mm_session *session, mm_op *ops, size_t count, mm_error *err);
mm_status mm_session_phase(mm_session *session, const char *phase, mm_error *err);

/* Whether rows that a verification found wrong can be written again by key. */
static inline bool mm_session_repairs(const mm_session *session)
{
    return session->sink_caps & (MM_SINK_IDEMPOTENT | MM_SINK_REPAIR);
}

/* MM_OK, MM_INTERRUPTED (signal, --stop-after) or MM_CANCELLED. Cheap. */
mm_status mm_session_stop_asked(mm_session *session);
/* Sleeps up to ms; ends early when asked to stop. */
void mm_session_sleep(mm_session *session, uint64_t ms);

#endif
