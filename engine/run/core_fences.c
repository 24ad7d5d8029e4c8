/* The core's fences: moved before any replay, dropped before the verdict. */
#include "run/core_internal.h"

#include "base/failpoint.h"

void mm_core_on_fenced(mm_core *core, uint32_t collection, mm_status status, uint32_t retry_after_ms)
{
    core_fence *f = &core->fences[collection];
    if (status != MM_OK) {
        f->retry = f->refused = true; /* moves and drops are idempotent */
        if (mm_core_may_try_again(status))
            mm_core_refused(core, status, retry_after_ms);
        else
            mm_core_stop(core, status);
        return;
    }
    /* The target was away and is back. Else it only shows that it hears: a write that fails each time has a move before
     * each, and must not go on for ever. */
    if (f->refused)
        mm_core_accepted(core);
    f->refused = false;
    bool moved = f->state == FENCE_MOVING;
    f->state = moved ? FENCE_RECORDING : FENCE_SEALING;
    mm_core_command *command = mm_core_emit(core, moved ? MM_CORE_FENCE_DONE : MM_CORE_SEAL);
    command->collection = collection;
    command->fence = f->epoch;
}

static void retry_fence(mm_core *core, uint32_t at)
{
    core_fence *f = &core->fences[at];
    if (!f->retry || core->now < core->pause_until)
        return;
    f->retry = false;
    mm_core_command *command =
        mm_core_emit(core, f->state == FENCE_MOVING ? MM_CORE_FENCE_MOVE : MM_CORE_FENCE_DROP);
    command->collection = at;
    command->fence = f->epoch;
}

/* A closed fence is opened, under the next epoch, when a batch waits for it. */
void mm_core_open_fences(mm_core *core)
{
    for (uint32_t i = 0; i < core->config.collections; i++) {
        core_fence *f = &core->fences[i];
        if (f->state == FENCE_DRAINING && f->in_flight == 0)
            f->state = FENCE_CLOSED;
        retry_fence(core, i);
    }
    for (const mm_core_item *item = core->ready_head; item; item = item->next_ready) {
        uint32_t at = core->slots[item->slot].collection;
        core_fence *f = &core->fences[at];
        if (f->state != FENCE_CLOSED && f->state != FENCE_SEALED)
            continue;
        if (MM_SEEDED("no_fence") && f->epoch > 0) {
            f->state = FENCE_OPEN;
            continue;
        }
        f->state = FENCE_INTENDING;
        mm_core_command *command = mm_core_emit(core, MM_CORE_FENCE_INTEND);
        command->collection = at;
        command->fence = f->epoch + 1;
    }
}

void mm_core_seal(mm_core *core)
{
    for (uint32_t i = 0; i < core->config.collections; i++) {
        core_fence *f = &core->fences[i];
        if (f->skipped || f->epoch == 0 || (f->state != FENCE_CLOSED && f->state != FENCE_OPEN))
            continue;
        f->state = FENCE_DROPPING;
        mm_core_command *command = mm_core_emit(core, MM_CORE_FENCE_DROP);
        command->collection = i;
        command->fence = f->epoch;
    }
}
