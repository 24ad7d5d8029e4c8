/* The core's tasks: claimed, read, covered by a horizon, committed. */
#include "run/core_internal.h"

#include "base/failpoint.h"

/* ---- claims and reads ---- */

void mm_core_on_claimed(mm_core *core, const mm_core_task *tasks, size_t count, bool exhausted)
{
    core->claiming = false;
    core->exhausted = core->exhausted || exhausted;
    for (size_t i = 0; i < count; i++) {
        uint32_t at = mm_core_free_slot(core, 0);
        core_slot *s = &core->slots[at];
        *s = (core_slot){.state = SLOT_CLAIMED, .id = tasks[i].id, .epoch = tasks[i].epoch,
                         .collection = tasks[i].collection};
        core->cursors[at] = tasks[i].cursor;
        s->committing = tasks[i].cursor.row;
        s->reserved = tasks[i].reserved;
        s->boundary = core->config.reserve ? tasks[i].reserved : 0;
    }
}

void mm_core_want_claims(mm_core *core)
{
    uint32_t unread = 0, room = 0;
    for (uint32_t i = 0; i < core->config.slots; i++) {
        unread += core->slots[i].state == SLOT_CLAIMED;
        room += core->slots[i].state == SLOT_FREE;
    }
    /* a claim is a commit: worth it when half of the stock is gone */
    if (core->claiming || core->exhausted || unread * 2 > core->config.claim || room == 0)
        return;
    uint32_t want = core->config.claim - unread;
    core->claiming = true;
    mm_core_emit(core, MM_CORE_CLAIM)->count = want < room ? want : room;
}

void mm_core_start_reads(mm_core *core)
{
    for (uint32_t d = 0; d < core->config.dumpers; d++) {
        if (core->dumper_busy[d])
            continue;
        core_slot *next = NULL;
        uint32_t at = 0;
        for (uint32_t i = 0; i < core->config.slots; i++) {
            core_slot *s = &core->slots[i];
            if (s->state != SLOT_CLAIMED || s->not_before > core->now)
                continue;
            if (next == NULL || s->id < next->id) {
                next = s;
                at = i;
            }
        }
        if (next == NULL)
            return;
        next->state = SLOT_READING;
        next->dumper = d;
        /* a task keeps its lane over a repeated read, so that its rows stay in order */
        if (next->head == NULL)
            next->lane = d % core->config.lanes;
        core->dumper_busy[d] = true;
        mm_core_command *command = mm_core_emit_slot(core, MM_CORE_READ, at);
        command->cursor = core->cursors[at];
        command->boundary = next->boundary;
        command->count = d;
    }
}

void mm_core_on_item(mm_core *core, mm_core_item *item)
{
    core_slot *s = &core->slots[item->slot];
    uint64_t next = core->cursors[item->slot].row;
    item->next = item->next_ready = NULL;
    if (item->first != next || item->end.row < next) { /* no cursor could ever get over the hole */
        mm_core_emit(core, MM_CORE_DROP)->item = item;
        mm_core_stop(core, MM_BUG);
        return;
    }
    item->state = MM_ITEM_READY;
    item->doubt = core->config.reserve && item->first < s->boundary;
    item->acknowledged = item->resent = 0;
    item->lane = s->lane;
    core->cursors[item->slot] = item->end;
    if (s->tail)
        s->tail->next = item;
    else
        s->head = item;
    s->tail = item;
    if (item->rows == 0) { /* all rows were rejected or thinned */
        item->state = MM_ITEM_ACKED;
        mm_core_emit(core, MM_CORE_FREE)->item = item;
        return;
    }
    if (core->ready_tail)
        core->ready_tail->next_ready = item;
    else
        core->ready_head = item;
    core->ready_tail = item;
}

void mm_core_on_read_end(mm_core *core, uint32_t at, mm_status status, uint32_t retry_after_ms)
{
    core_slot *s = &core->slots[at];
    core->dumper_busy[s->dumper] = false;
    s->aborting = false;
    if (status == MM_OK) {
        s->state = SLOT_READ;
        return;
    }
    s->state = SLOT_CLAIMED;
    if (status == MM_INTERRUPTED && core->stopping)
        return;
    if (mm_core_may_try_again(status)) {
        mm_core_refused(core, status, retry_after_ms);
        s->not_before = core->pause_until;
    } else {
        mm_core_stop(core, status);
    }
}

/* ---- horizon ---- */

/* Horizons are asked for in the order of the sends, a few batches ahead of them: near enough that
 * little is in doubt after a crash, far enough that no send waits for the commit. */
void mm_core_want_reserves(mm_core *core)
{
    uint32_t ahead = core->config.lanes + core->config.reserve_ahead;
    for (const mm_core_item *item = core->ready_head; item && ahead > 0; item = item->next_ready, ahead--) {
        core_slot *s = &core->slots[item->slot];
        if (s->wanted < item->end.row)
            s->wanted = item->end.row;
    }
    for (uint32_t i = 0; i < core->config.slots; i++) {
        core_slot *s = &core->slots[i];
        if (s->state == SLOT_FREE || s->reserve_busy || s->fenced || s->wanted <= s->reserved)
            continue;
        s->reserve_busy = true;
        mm_core_emit_slot(core, MM_CORE_RESERVE, i)->row = s->wanted;
    }
}

/* ---- commits ---- */

void mm_core_want_advance(mm_core *core, uint32_t at)
{
    core_slot *s = &core->slots[at];
    if (s->store_busy || s->done_sent || s->fenced)
        return;
    mm_core_item *last = NULL;
    uint64_t row = s->committing;
    for (mm_core_item *item = s->head; item && item->first == row; item = item->next) {
        bool over = item->state == MM_ITEM_ACKED ||
                    (item->state == MM_ITEM_WRITTEN && MM_SEEDED("mark_before_flush"));
        if (!over)
            break;
        last = item;
        row = item->end.row;
    }
    /* rows that were read and given up leave a hole: the extent's end is then not reached */
    bool done = s->state == SLOT_READ && last == s->tail && (row == core->cursors[at].row || MM_SEEDED("done_with_hole"));
    if (last == NULL && !done)
        return;
    mm_core_command *command = mm_core_emit_slot(core, MM_CORE_ADVANCE, at);
    command->done = done;
    command->cursor = last ? last->end : core->cursors[at];
    command->row = s->reserved;
    if (last) {
        command->items = s->head;
        s->head = last->next;
        if (s->head == NULL)
            s->tail = NULL;
        last->next = NULL;
    }
    s->committing = row;
    s->done_sent = done;
    s->store_busy = true;
}

void mm_core_want_release(mm_core *core, uint32_t at)
{
    core_slot *s = &core->slots[at];
    if (s->store_busy || s->done_sent || s->released || s->state == SLOT_READING || s->reserve_busy)
        return;
    if (s->head != NULL)
        return;
    s->released = s->store_busy = true;
    mm_core_emit_slot(core, MM_CORE_RELEASE, at);
}

static void free_slot(mm_core *core, uint32_t at)
{
    core->slots[at] = (core_slot){.state = SLOT_FREE};
}

void mm_core_on_stored(mm_core *core, const mm_core_command *command, bool fenced)
{
    core_slot *s = &core->slots[command->slot];
    core_fence *f = &core->fences[command->collection];
    switch (command->kind) {
    case MM_CORE_RESERVE:
        s->reserve_busy = false;
        if (!fenced)
            s->reserved = command->row;
        if (s->over) {
            free_slot(core, command->slot);
            return;
        }
        break;
    case MM_CORE_ADVANCE:
        s->store_busy = false;
        if (command->done && !fenced) {
            s->over = true;
            if (!s->reserve_busy) /* its answer must not reach the slot's next task */
                free_slot(core, command->slot);
        }
        break;
    case MM_CORE_RELEASE:
        free_slot(core, command->slot);
        return;
    case MM_CORE_FENCE_INTEND:
        f->state = FENCE_MOVING;
        f->retry = false;
        f->epoch = command->fence;
        mm_core_command *move = mm_core_emit(core, MM_CORE_FENCE_MOVE);
        move->collection = command->collection;
        move->fence = command->fence;
        return;
    case MM_CORE_FENCE_DONE:
        f->state = FENCE_OPEN;
        return;
    case MM_CORE_SEAL:
        f->state = FENCE_SEALED;
        return;
    default:
        return;
    }
    if (fenced) {
        s->fenced = true;
        mm_core_stop(core, MM_FENCED);
    }
}

void mm_core_on_store_failed(mm_core *core, mm_status status)
{
    core->store_dead = true;
    core->claiming = false;
    mm_core_stop(core, status);
}
