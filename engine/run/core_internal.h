/* What the files of the core share: core.c (life, pauses, the tick), core_tasks.c (claims, reads, horizon,
 * commits), core_sends.c (sends, flushes), core_fences.c, core_stop.c. Invariants, each of which the
 * simulator checks from outside:
 *   1. A row is sent only when its task's durable horizon covers it (reserve).
 *   2. A row that may be on the target already is sent only as an upsert, through an epoch that was
 *      opened after every earlier request of the collection was fenced off.
 *   3. A cursor advances only over rows that the target acknowledged (or flushed).
 *   4. A collection is sealed only when all its rows are committed and no request is in flight. */
#ifndef MM_RUN_CORE_INTERNAL_H
#define MM_RUN_CORE_INTERNAL_H

#include "run/core.h"

typedef enum core_fence_state {
    FENCE_CLOSED,   /* no epoch of this process yet, or a doubt: move before anything is sent */
    FENCE_DRAINING, /* a doubt: waits for the collection's requests in flight */
    FENCE_INTENDING,
    FENCE_MOVING,
    FENCE_RECORDING,
    FENCE_OPEN,
    FENCE_DROPPING,
    FENCE_SEALING,
    FENCE_SEALED
} core_fence_state;

typedef struct core_fence {
    core_fence_state state;
    uint64_t epoch;
    bool skipped;
    bool retry; /* the target said "not now" to a move or drop: again after the pause */
    bool refused; /* the request under way was refused before */
    uint32_t in_flight;
} core_fence;

typedef enum core_slot_state {
    SLOT_FREE,
    SLOT_CLAIMED, /* waits for a dumper */
    SLOT_READING,
    SLOT_READ     /* the extent's end was reached */
} core_slot_state;

/* Small, since every tick looks at all of them: where a task is read stands apart, in `cursors`. */
typedef struct core_slot {
    core_slot_state state;
    uint32_t collection;
    uint64_t id, epoch;
    bool aborting, fenced;
    uint32_t dumper, lane;
    uint64_t not_before; /* a failed read is tried again then */
    uint64_t boundary;   /* rows before it are in doubt */
    uint64_t reserved;   /* durable horizon */
    uint64_t wanted;     /* horizon that the next sends need */
    mm_core_item *head, *tail; /* not yet committed, by row */
    uint64_t committing; /* row up to which an ADVANCE was asked for */
    bool store_busy;     /* an ADVANCE or RELEASE is under way */
    bool reserve_busy;
    bool done_sent, released, over;
} core_slot;

typedef struct core_lane {
    mm_core_item *sending;
    bool flushing;
    uint64_t written_bytes, written_since; /* unflushed */
    size_t written;
} core_lane;

struct mm_core {
    mm_core_config config;
    core_fence *fences;
    core_slot *slots;
    mm_cursor *cursors; /* of each slot, after the last batch that was read */
    core_lane *lanes;
    bool *dumper_busy;
    mm_core_item *ready_head, *ready_tail;
    mm_core_command *commands; /* ring */
    size_t command_head, command_count, command_capacity;
    bool out_of_memory;
    bool claiming, exhausted;
    bool stopping, store_dead;
    mm_status result;
    uint64_t now;
    uint64_t pause_until, refused_since; /* refused_since 0: nothing is being refused */
    mm_status refused_status;
    uint32_t refusals;
    uint64_t random;
};

/* core.c */
/* Room for one more command of this kind, zeroed but for the kind; filled by the caller. */
mm_core_command *mm_core_emit(mm_core *core, mm_core_command_kind kind);
/* The same with task, epoch and collection of the slot filled in. */
mm_core_command *mm_core_emit_slot(mm_core *core, mm_core_command_kind kind, uint32_t at);
/* No new work from now on; the first reason stands. */
void mm_core_stop(mm_core *core, mm_status reason);
/* The target (or a source) said "not now": everything pauses, longer each time, up to patience. */
void mm_core_refused(mm_core *core, mm_status status, uint32_t retry_after_ms);
/* Something succeeded: the patience is whole again. */
void mm_core_accepted(mm_core *core);
bool mm_core_may_try_again(mm_status status);

/* core_tasks.c: each emits what is due now. */
void mm_core_want_claims(mm_core *core);
void mm_core_start_reads(mm_core *core);
void mm_core_want_reserves(mm_core *core);
void mm_core_want_advance(mm_core *core, uint32_t at);
void mm_core_want_release(mm_core *core, uint32_t at);

/* core_sends.c */
bool mm_core_lane_idle(const mm_core *core, uint32_t at);
void mm_core_start_sends(mm_core *core);
void mm_core_start_flushes(mm_core *core);

/* core_fences.c */
void mm_core_open_fences(mm_core *core);
void mm_core_seal(mm_core *core);

/* core_stop.c: the tick of a core that is stopping. */
mm_core_end mm_core_tick_stopping(mm_core *core);

#endif
