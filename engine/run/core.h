/* The core: decides what to claim, reserve, send, commit, retry and fence. A pure state machine: the
 * shell (pools, committer) tells it what happened, then takes the commands that follow. It has no
 * thread, clock, randomness or I/O of its own, so that the simulator can drive the very same code
 * through any order of events and crashes. See docs/savepoints.md for the protocol.
 *
 * Use: any number of mm_core_on_* calls, then mm_core_tick(now) and mm_core_next until it returns
 * false, both repeated until a tick yields no command; all under one lock of the shell. */
#ifndef MM_RUN_CORE_H
#define MM_RUN_CORE_H

#include "model/batch.h"

typedef struct mm_core mm_core;

/* State of a collection's fence as the store has it. */
typedef struct mm_core_fence {
    uint64_t epoch; /* in force or intended; 0: none was ever made */
    bool sealed;    /* the last alias is dropped */
    bool skipped;   /* no task of this collection is run */
} mm_core_fence;

typedef struct mm_core_config {
    uint32_t dumpers;      /* readers at work at once */
    uint32_t lanes;        /* writers at work at once */
    uint32_t slots;        /* most tasks claimed at once */
    uint32_t claim;        /* tasks kept claimed and unread ahead of the dumpers */
    uint32_t reserve_ahead; /* batches behind the next ones to be sent that the horizon covers too */
    bool ordered;          /* a task's batches go through one lane in order; a refusal ends the run */
    bool ack;              /* a write is durable by itself; else only a flush is */
    bool reserve;          /* sends wait for a durable horizon: sinks where rows can be in doubt */
    bool fence;            /* sends go through an epoch of the target's fence */
    bool upsert_all;       /* every write is an upsert: no fence to be had, or rows that may replace others */
    uint64_t flush_bytes;  /* without ack: flush a lane after that many bytes, or flush_ms */
    uint64_t flush_ms;
    uint64_t patience_ms;  /* how long nothing may succeed before the run gives up */
    uint64_t backoff_ms, backoff_max_ms; /* first pause after a refusal, doubled up to the most */
    uint64_t seed;         /* of the jitter */
    const mm_core_fence *fences; /* one per collection, copied */
    size_t collections;
} mm_core_config;

/* A task as claimed. */
typedef struct mm_core_task {
    uint64_t id, epoch;
    uint32_t collection, partition;
    mm_cursor cursor;
    uint64_t reserved; /* rows in [cursor.row, reserved) are in doubt */
} mm_core_task;

typedef enum mm_item_state {
    MM_ITEM_READY, MM_ITEM_SENDING, MM_ITEM_WRITTEN, MM_ITEM_ACKED
} mm_item_state;

/* A batch as the core sees it; the shell allocates it and gets it back by DROP or ADVANCE. */
typedef struct mm_core_item {
    /* filled by the shell */
    uint32_t slot;
    uint64_t first;   /* ordinal of the first source row it covers */
    mm_cursor end;    /* after the last one */
    uint64_t rows;    /* to be written; 0: nothing to send */
    uint64_t rejected, thinned, bytes, checksum;
    uint64_t mismatched; /* set by the shell before on_sent, in verification */
    void *payload;
    /* the core's own */
    mm_item_state state;
    bool doubt;       /* must go as an upsert: may be on the target already */
    uint64_t acknowledged; /* leading rows known to be on the target */
    uint64_t resent;
    uint32_t lane;
    struct mm_core_item *next;       /* in its slot, by row */
    struct mm_core_item *next_ready; /* in the queue of what can be sent */
} mm_core_item;

typedef enum mm_core_command_kind {
    MM_CORE_CLAIM,       /* store: claim up to `count` tasks -> on_claimed */
    MM_CORE_READ,        /* dumper: read task of `slot` from `cursor`, no batch across `boundary`
                          * -> on_item…, on_read_end */
    MM_CORE_ABORT_READ,  /* dumper of `slot`: stop soon -> on_read_end(MM_INTERRUPTED) */
    MM_CORE_SEND,        /* lane: write `item` from row `from`, as upsert if `upsert`, through `fence`
                          * -> on_sent */
    MM_CORE_FREE,        /* shell: the batch memory of `item` is not needed any more */
    MM_CORE_FLUSH,       /* lane: make all writes durable -> on_flushed */
    MM_CORE_DROP,        /* shell: `item` is given up unsent; free it */
    MM_CORE_RESERVE,     /* store: horizon of the task = `row` -> on_stored */
    MM_CORE_ADVANCE,     /* store: cursor, deltas of `items` (list by next, given back), done
                          * -> on_stored; the flush changes of the lane go into the same transaction */
    MM_CORE_RELEASE,     /* store: give the task back -> on_stored */
    MM_CORE_FENCE_INTEND, /* store: collection's fence = `fence`, intended -> on_stored */
    MM_CORE_FENCE_MOVE,  /* target: from any older epoch to `fence` -> on_fenced */
    MM_CORE_FENCE_DONE,  /* store: fence is in force -> on_stored */
    MM_CORE_FENCE_DROP,  /* target: no alias stays -> on_fenced */
    MM_CORE_SEAL         /* store: collection sealed -> on_stored */
} mm_core_command_kind;

typedef struct mm_core_command {
    mm_core_command_kind kind;
    uint32_t slot, lane, collection, count;
    uint64_t task, epoch, fence, row, boundary;
    uint64_t from;
    bool upsert, done;
    mm_cursor cursor;
    mm_core_item *item;
    mm_core_item *items;
    uint64_t resent;
} mm_core_command;

typedef enum mm_core_end {
    MM_CORE_RUNNING,
    MM_CORE_ENDED /* nothing is in flight and no command follows; see mm_core_result */
} mm_core_end;

/* NULL when out of memory. */
mm_core *mm_core_new(const mm_core_config *config);
void mm_core_free(mm_core *core);

/* What happened. status MM_OK or the failure; retry_after_ms as in mm_error. */
void mm_core_on_claimed(mm_core *core, const mm_core_task *tasks, size_t count, bool exhausted);
/* The next batch of its task, from the row on up to which the task was read; of any other, a source that breaks its
 * contract, the core ends with MM_BUG. */
void mm_core_on_item(mm_core *core, mm_core_item *item);
void mm_core_on_read_end(mm_core *core, uint32_t slot, mm_status status, uint32_t retry_after_ms);
/* acknowledged: leading rows of the batch that are on the target, when status is not MM_OK. */
void mm_core_on_sent(mm_core *core, mm_core_item *item, mm_status status, uint64_t acknowledged,
                     uint32_t retry_after_ms);
void mm_core_on_flushed(mm_core *core, uint32_t lane, mm_status status);
/* A store command became durable, or was fenced (another owner has the task). The command is the one
 * that mm_core_next gave; ADVANCE's items are the shell's again. */
void mm_core_on_stored(mm_core *core, const mm_core_command *command, bool fenced);
/* The store cannot commit: nothing more is sent or stored. */
void mm_core_on_store_failed(mm_core *core, mm_status status);
void mm_core_on_fenced(mm_core *core, uint32_t collection, mm_status status, uint32_t retry_after_ms);
/* Stop soon: in-flight work is drained and committed. reason: MM_INTERRUPTED, MM_CANCELLED or what
 * failed outside of the core. */
void mm_core_on_stop(mm_core *core, mm_status reason);

/* Decides; afterwards mm_core_next yields the commands. */
mm_core_end mm_core_tick(mm_core *core, uint64_t now_ms);
bool mm_core_next(mm_core *core, mm_core_command *out);
/* When mm_core_tick should be called again at the latest; UINT64_MAX: only after an event. */
uint64_t mm_core_deadline(const mm_core *core);
/* MM_OK: all tasks are done and every collection is sealed. Otherwise why it ended. */
mm_status mm_core_result(const mm_core *core);
/* The n-th free slot (0-based): where on_claimed puts the n-th task. */
uint32_t mm_core_free_slot(const mm_core *core, uint32_t n);
/* True while a dumper or a lane could work and only a commit is missing: what savepoints cost. */
bool mm_core_waits_for_store(const mm_core *core);
/* Non-zero while the target says "not now": since when (ms), for the progress line. */
uint64_t mm_core_paused_since(const mm_core *core);

#endif
