/* A core that stops: what is in flight is drained and committed, what was not sent is given up. */
#include "run/core_internal.h"

void mm_core_on_stop(mm_core *core, mm_status reason)
{
    mm_core_stop(core, reason);
}

static bool is_in_flight(const mm_core *core, const mm_core_item *item)
{
    return item->state == MM_ITEM_SENDING ||
           (item->state == MM_ITEM_WRITTEN && core->lanes[item->lane].written > 0 && !core->store_dead);
}

/* Gives up what can no longer be committed: everything from the first batch on that is not sent, and
 * what was acknowledged behind such a hole. What is in flight is waited for. */
static void drop_unsent(mm_core *core)
{
    core->ready_head = core->ready_tail = NULL;
    for (uint32_t i = 0; i < core->config.slots; i++) {
        core_slot *s = &core->slots[i];
        mm_core_item **link = &s->head;
        uint64_t row = s->committing;
        bool hole = core->store_dead || s->fenced;
        s->tail = NULL;
        while (*link) {
            mm_core_item *one = *link;
            hole = hole || one->first != row || one->state == MM_ITEM_READY;
            row = one->end.row;
            if (!hole || is_in_flight(core, one)) {
                s->tail = one;
                link = &one->next;
                continue;
            }
            *link = one->next;
            one->next = NULL;
            mm_core_emit(core, MM_CORE_DROP)->item = one;
        }
    }
}

static bool lanes_at_rest(const mm_core *core)
{
    for (uint32_t i = 0; i < core->config.lanes; i++)
        if (!mm_core_lane_idle(core, i) || (core->lanes[i].written > 0 && !core->store_dead))
            return false;
    for (uint32_t i = 0; i < core->config.dumpers; i++)
        if (core->dumper_busy[i])
            return false;
    return true;
}

static bool fences_at_rest(const mm_core *core)
{
    for (size_t i = 0; i < core->config.collections; i++) {
        const core_fence *f = &core->fences[i];
        bool busy = f->state == FENCE_INTENDING || f->state == FENCE_RECORDING || f->state == FENCE_SEALING;
        bool asking = (f->state == FENCE_MOVING || f->state == FENCE_DROPPING) && !f->retry;
        if ((busy && !core->store_dead) || asking)
            return false;
    }
    return true;
}

mm_core_end mm_core_tick_stopping(mm_core *core)
{
    for (uint32_t i = 0; i < core->config.slots; i++) {
        core_slot *s = &core->slots[i];
        if (s->state == SLOT_READING && !s->aborting) {
            s->aborting = true;
            mm_core_emit_slot(core, MM_CORE_ABORT_READ, i);
        }
    }
    drop_unsent(core);
    if (!core->store_dead)
        mm_core_start_flushes(core);
    bool at_rest = true;
    for (uint32_t i = 0; i < core->config.slots; i++) {
        core_slot *s = &core->slots[i];
        if (s->state == SLOT_FREE)
            continue;
        if (!core->store_dead) {
            mm_core_want_advance(core, i);
            mm_core_want_release(core, i);
        }
        at_rest = at_rest && core->store_dead && s->head == NULL;
    }
    at_rest = at_rest && !core->claiming && lanes_at_rest(core) && fences_at_rest(core);
    return at_rest && core->command_count == 0 ? MM_CORE_ENDED : MM_CORE_RUNNING;
}
