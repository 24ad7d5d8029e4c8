/* The core's sends and flushes: which batch goes through which lane, and what its answer means. */
#include "run/core_internal.h"

#include "base/failpoint.h"

/* ---- sends ---- */

static bool can_send(const mm_core *core, const mm_core_item *item)
{
    const core_slot *s = &core->slots[item->slot];
    if (s->fenced)
        return false;
    if (core->config.reserve && item->end.row > s->reserved && !MM_SEEDED("send_before_reserve"))
        return false;
    return !core->config.fence || core->fences[s->collection].state == FENCE_OPEN;
}

static void send(mm_core *core, mm_core_item *item, uint32_t at)
{
    const core_slot *s = &core->slots[item->slot];
    core_fence *f = &core->fences[s->collection];
    item->state = MM_ITEM_SENDING;
    item->lane = at;
    core->lanes[at].sending = item;
    f->in_flight++;
    mm_core_command *command = mm_core_emit_slot(core, MM_CORE_SEND, item->slot);
    command->lane = at;
    command->item = item;
    command->from = item->acknowledged;
    command->upsert = item->doubt || core->config.upsert_all;
    command->fence = core->config.fence ? f->epoch : 0;
    if (command->upsert && item->doubt)
        item->resent += item->rows - command->from;
}

static void unlink_ready(mm_core *core, mm_core_item *before, mm_core_item *item)
{
    if (before)
        before->next_ready = item->next_ready;
    else
        core->ready_head = item->next_ready;
    if (core->ready_tail == item)
        core->ready_tail = before;
    item->next_ready = NULL;
}

bool mm_core_lane_idle(const mm_core *core, uint32_t at)
{
    return core->lanes[at].sending == NULL && !core->lanes[at].flushing;
}

void mm_core_start_sends(mm_core *core)
{
    if (core->now < core->pause_until)
        return;
    uint32_t free_lane = 0;
    mm_core_item *before = NULL, *item = core->ready_head;
    while (item) {
        mm_core_item *next = item->next_ready;
        uint32_t at = item->lane;
        if (!core->config.ordered) {
            while (free_lane < core->config.lanes && !mm_core_lane_idle(core, free_lane))
                free_lane++;
            if (free_lane == core->config.lanes)
                return;
            at = free_lane;
        }
        if (mm_core_lane_idle(core, at) && can_send(core, item)) {
            unlink_ready(core, before, item);
            send(core, item, at);
        } else {
            before = item;
        }
        item = next;
    }
}

static void push_ready_front(mm_core *core, mm_core_item *item)
{
    item->state = MM_ITEM_READY;
    item->next_ready = core->ready_head;
    core->ready_head = item;
    if (core->ready_tail == NULL)
        core->ready_tail = item;
}

static void sent_ok(mm_core *core, mm_core_item *item, core_lane *l)
{
    mm_core_accepted(core);
    if (core->config.ack) {
        item->state = MM_ITEM_ACKED;
    } else {
        item->state = MM_ITEM_WRITTEN;
        if (l->written++ == 0)
            l->written_since = core->now;
        l->written_bytes += item->bytes;
    }
    mm_core_emit(core, MM_CORE_FREE)->item = item;
}

/* The fate of a request is not known. With a fence: no more requests of this collection until those
 * in flight have ended and the epoch has moved; then its rows go as upserts. */
static void in_doubt(mm_core *core, mm_core_item *item, core_fence *f)
{
    item->doubt = true;
    if (core->config.fence && f->state == FENCE_OPEN)
        f->state = MM_SEEDED("no_fence") ? FENCE_OPEN : FENCE_DRAINING;
    push_ready_front(core, item);
}

void mm_core_on_sent(mm_core *core, mm_core_item *item, mm_status status, uint64_t acknowledged,
                     uint32_t retry_after_ms)
{
    core_slot *s = &core->slots[item->slot];
    core_fence *f = &core->fences[s->collection];
    core_lane *l = &core->lanes[item->lane];
    l->sending = NULL;
    f->in_flight--;
    mm_class klass = mm_status_class(status);
    if (acknowledged > item->acknowledged)
        item->acknowledged = acknowledged;
    if (status == MM_OK) {
        sent_ok(core, item, l);
    } else if (core->config.ordered || !mm_core_may_try_again(status)) {
        item->doubt = item->doubt || klass == MM_CLASS_UNKNOWN;
        push_ready_front(core, item);
        if (klass == MM_CLASS_FENCED)
            s->fenced = true;
        mm_core_stop(core, status);
    } else if (klass == MM_CLASS_UNKNOWN && !MM_SEEDED("insert_after_timeout")) {
        in_doubt(core, item, f);
        mm_core_refused(core, status, retry_after_ms);
    } else {
        push_ready_front(core, item);
        mm_core_refused(core, status, retry_after_ms);
    }
}

/* ---- flushes ---- */

static bool lane_has_more(const mm_core *core, uint32_t at)
{
    for (const mm_core_item *item = core->ready_head; item; item = item->next_ready)
        if (item->lane == at)
            return true;
    for (uint32_t i = 0; i < core->config.slots; i++)
        if (core->slots[i].state == SLOT_READING && core->slots[i].lane == at)
            return true;
    return false;
}

static bool slots_are_full(const mm_core *core)
{
    for (uint32_t i = 0; i < core->config.slots; i++)
        if (core->slots[i].state == SLOT_FREE || core->slots[i].state == SLOT_CLAIMED)
            return false;
    return true;
}

static bool flush_is_due(const mm_core *core, const core_lane *l)
{
    return l->written_bytes >= core->config.flush_bytes || core->now >= l->written_since + core->config.flush_ms;
}

/* A flush hands over what the sink must remember, and that has to be committed together with the
 * cursors it vouches for: so no flush begins while a cursor of this lane waits for its commit. */
static bool lane_is_committing(const mm_core *core, uint32_t at)
{
    for (uint32_t i = 0; i < core->config.slots; i++) {
        const core_slot *s = &core->slots[i];
        if (s->state != SLOT_FREE && s->lane == at && s->store_busy)
            return true;
    }
    return false;
}

void mm_core_start_flushes(mm_core *core)
{
    if (core->config.ack)
        return;
    bool full = slots_are_full(core);
    for (uint32_t i = 0; i < core->config.lanes; i++) {
        core_lane *l = &core->lanes[i];
        if (l->written == 0 || !mm_core_lane_idle(core, i) || lane_is_committing(core, i))
            continue;
        if (core->stopping || full || flush_is_due(core, l) || (core->exhausted && !lane_has_more(core, i))) {
            l->flushing = true;
            mm_core_emit(core, MM_CORE_FLUSH)->lane = i;
        }
    }
}

static void settle_written(mm_core *core, uint32_t at, mm_item_state state)
{
    for (uint32_t i = 0; i < core->config.slots; i++)
        for (mm_core_item *item = core->slots[i].head; item; item = item->next)
            if (item->state == MM_ITEM_WRITTEN && item->lane == at)
                item->state = state;
}

void mm_core_on_flushed(mm_core *core, uint32_t at, mm_status status)
{
    core_lane *l = &core->lanes[at];
    l->flushing = false;
    if (status != MM_OK) {
        /* what was written is not vouched for: settle cuts it away on resume */
        mm_core_stop(core, status);
    }
    l->written = 0;
    l->written_bytes = 0;
    settle_written(core, at, status == MM_OK ? MM_ITEM_ACKED : MM_ITEM_READY);
}
