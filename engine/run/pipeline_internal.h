/* What the files of the pipeline share: pipeline.c (life and dispatch), workers.c (dumpers, lanes,
 * keeper, attendant), committer.c (the store). */
#ifndef MM_RUN_PIPELINE_INTERNAL_H
#define MM_RUN_PIPELINE_INTERNAL_H

#include "run/core.h"
#include "run/pipeline.h"
#include "run/pool.h"

/* A batch on its way: the core's item and what belongs to it. */
typedef struct mm_flow {
    mm_core_item item; /* first: the core hands out pointers to it */
    mm_batch *batch;   /* NULL once the target has the rows */
    mm_pool *pool;     /* where it came from */
    mm_buffer rejects; /* dead-letter lines of this batch */
    mm_staged *staged; /* in the batch's arena: files in the place of rows; NULL: rows */
} mm_flow;

/* A task that is claimed. Filled by the committer when the claim is durable, read by the dumper and
 * the lanes until the slot is free. */
typedef struct mm_pipeline_slot {
    mm_arena arena;
    mm_task task;
    _Atomic bool abort;
} mm_pipeline_slot;

typedef struct mm_pipeline mm_pipeline;

/* A worker with room for one command. */
typedef struct mm_worker {
    pthread_t thread;
    bool started;
    pthread_cond_t wake;
    bool has_command;
    mm_core_command command;
    mm_pipeline *pipeline;
    uint32_t number;
    mm_lane *lane; /* lanes only */
} mm_worker;

typedef struct mm_command_queue {
    mm_core_command *items;
    size_t count, capacity;
} mm_command_queue;

struct mm_pipeline {
    mm_session *session;
    const mm_pipeline_work *work;
    pthread_mutex_t lock; /* the core, the queues, everything below */
    mm_core *core;
    mm_pool *pools; /* one for each dumper: one whose lane stands still does not stop the others */
    mm_pipeline_slot *slots;
    uint32_t slot_count, dumper_count, lane_count;
    mm_worker *dumpers, *lanes, committer, keeper, attendant;
    pthread_cond_t changed; /* for the main thread */
    mm_command_queue store_queue, fence_queue;
    mm_changes changes; /* of flushes, to be committed with the cursors */
    bool quit;
    bool ended;
    bool store_failed;
    size_t batch_bytes;
    uint64_t rate_next_ns; /* limits.rate: when the next write may begin */
    mm_error errors[MM_STATUS_COUNT]; /* first of its kind, for the final message */
    uint64_t warned_ms;
    uint64_t source_check_ms; /* when the source is to be looked at again */
    uint64_t accounted_ms; /* up to when the time at work is in the store */
    bool waiting; /* a worker waits for the store, since */
    uint64_t waiting_since_ns;
};

/* Rows are written, not compared. */
static inline bool mm_pipeline_copies(const mm_pipeline *p)
{
    return p->work->kind != MM_TASK_VERIFY;
}

/* Ticks the core and hands its commands out. With the lock held. */
void mm_pipeline_pump(mm_pipeline *p);
/* Remembers a failure for the final message and logs a retry now and then. With the lock held. */
void mm_pipeline_note(mm_pipeline *p, mm_status status, const mm_error *err);

void *mm_pipeline_dumper(void *worker);
void *mm_pipeline_lane(void *worker);
void *mm_pipeline_keeper(void *worker);
void *mm_pipeline_attendant(void *worker);
void *mm_pipeline_committer(void *worker);

/* Puts the working time since the last savepoint into the store: nothing depends on it. */
void mm_pipeline_account_rest(mm_pipeline *p);

void mm_flow_free(mm_flow *flow);
/* Takes everything out of the queue; the caller frees *items. */
void mm_command_queue_take(mm_command_queue *queue, mm_core_command **items, size_t *count);

/* Appends dead-letter lines and makes them durable; session->rejects_size is the new length. */
mm_status mm_rejects_append(mm_session *session, const char *lines, size_t size, mm_error *err);
/* One NDJSON line for a rejected row. collection: the source's. */
void mm_rejects_format(mm_buffer *out, const char *collection, const mm_task *task, const mm_reject *reject);

#endif
