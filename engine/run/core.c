/* The core: its life, its commands, its pauses and its tick. The invariants stand in core_internal.h. */
#include "run/core_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"

mm_core *mm_core_new(const mm_core_config *config)
{
    mm_core *core = calloc(1, sizeof(*core));
    if (core == NULL)
        return NULL;
    core->config = *config;
    core->config.fences = NULL;
    core->random = config->seed;
    core->result = MM_OK;
    core->fences = calloc(config->collections + 1, sizeof(core_fence));
    core->slots = calloc(config->slots, sizeof(core_slot));
    core->cursors = calloc(config->slots, sizeof(mm_cursor));
    core->lanes = calloc(config->lanes, sizeof(core_lane));
    core->dumper_busy = calloc(config->dumpers, sizeof(bool));
    if (!core->fences || !core->slots || !core->cursors || !core->lanes || !core->dumper_busy) {
        mm_core_free(core);
        return NULL;
    }
    for (size_t i = 0; i < config->collections; i++) {
        core_fence *f = &core->fences[i];
        f->epoch = config->fences[i].epoch;
        f->skipped = config->fences[i].skipped;
        f->state = config->fences[i].sealed ? FENCE_SEALED : FENCE_CLOSED;
    }
    return core;
}

void mm_core_free(mm_core *core)
{
    if (core == NULL)
        return;
    free(core->fences);
    free(core->slots);
    free(core->cursors);
    free(core->lanes);
    free(core->dumper_busy);
    free(core->commands);
    free(core);
}

/* ---- commands ---- */

mm_core_command *mm_core_emit(mm_core *core, mm_core_command_kind kind)
{
    static mm_core_command nowhere;
    if (core->command_count == core->command_capacity) {
        size_t capacity = core->command_capacity ? core->command_capacity * 2 : 64;
        mm_core_command *grown = calloc(capacity, sizeof(*grown));
        if (grown == NULL) {
            core->out_of_memory = true;
            return &nowhere;
        }
        for (size_t i = 0; i < core->command_count; i++)
            grown[i] = core->commands[(core->command_head + i) % core->command_capacity];
        free(core->commands);
        core->commands = grown;
        core->command_capacity = capacity;
        core->command_head = 0;
    }
    size_t at = (core->command_head + core->command_count++) % core->command_capacity;
    core->commands[at] = (mm_core_command){.kind = kind};
    return &core->commands[at];
}

bool mm_core_next(mm_core *core, mm_core_command *out)
{
    if (core->command_count == 0)
        return false;
    *out = core->commands[core->command_head];
    core->command_head = (core->command_head + 1) % core->command_capacity;
    core->command_count--;
    return true;
}

mm_core_command *mm_core_emit_slot(mm_core *core, mm_core_command_kind kind, uint32_t at)
{
    const core_slot *s = &core->slots[at];
    mm_core_command *command = mm_core_emit(core, kind);
    command->slot = at;
    command->task = s->id;
    command->epoch = s->epoch;
    command->collection = s->collection;
    return command;
}

/* ---- failures, pauses ---- */

void mm_core_stop(mm_core *core, mm_status reason)
{
    if (core->result == MM_OK || core->result == MM_INTERRUPTED)
        core->result = reason;
    core->stopping = true;
}

/* The target (or a source) said "not now": everything pauses, longer each time, up to patience. */
void mm_core_refused(mm_core *core, mm_status status, uint32_t retry_after_ms)
{
    if (core->refused_since == 0)
        core->refused_since = core->now ? core->now : 1;
    core->refused_status = status;
    if (core->now - core->refused_since >= core->config.patience_ms) {
        mm_core_stop(core, status);
        return;
    }
    uint64_t pause = core->config.backoff_ms;
    for (uint32_t i = 0; i < core->refusals && pause < core->config.backoff_max_ms; i++)
        pause *= 2;
    if (pause > core->config.backoff_max_ms)
        pause = core->config.backoff_max_ms;
    pause = pause / 2 + mm_random_next(&core->random) % (pause / 2 + 1); /* jitter */
    if (pause < retry_after_ms)
        pause = retry_after_ms;
    if (core->pause_until < core->now + pause) {
        core->pause_until = core->now + pause;
        core->refusals++; /* refusals that fall into one pause count once */
    }
}

void mm_core_accepted(mm_core *core)
{
    core->refused_since = 0;
    core->refusals = 0;
}

bool mm_core_may_try_again(mm_status status)
{
    mm_class klass = mm_status_class(status);
    return klass == MM_CLASS_RETRY || klass == MM_CLASS_RATE || klass == MM_CLASS_UNKNOWN;
}

static bool all_sealed(const mm_core *core)
{
    for (size_t i = 0; i < core->config.collections; i++) {
        const core_fence *f = &core->fences[i];
        if (MM_SEEDED("count_before_fence"))
            return true;
        if (core->config.fence && !f->skipped && f->epoch > 0 && f->state != FENCE_SEALED)
            return false;
    }
    return true;
}

static bool slots_empty(const mm_core *core)
{
    for (uint32_t i = 0; i < core->config.slots; i++)
        if (core->slots[i].state != SLOT_FREE)
            return false;
    return true;
}

mm_core_end mm_core_tick(mm_core *core, uint64_t now_ms)
{
    core->now = now_ms;
    if (core->out_of_memory && !core->stopping)
        mm_core_stop(core, MM_NO_MEMORY);
    if (core->refused_since && now_ms - core->refused_since >= core->config.patience_ms && !core->stopping)
        mm_core_stop(core, core->refused_status);
    if (core->stopping)
        return mm_core_tick_stopping(core);
    mm_core_want_claims(core);
    mm_core_start_reads(core);
    mm_core_start_flushes(core); /* before the sends: a lane that is always busy must come to its flush */
    if (core->config.fence)
        mm_core_open_fences(core);
    for (uint32_t i = 0; i < core->config.slots; i++) {
        if (core->slots[i].state == SLOT_FREE)
            continue;
        mm_core_want_advance(core, i);
    }
    if (core->config.reserve)
        mm_core_want_reserves(core);
    mm_core_start_sends(core);
    if (core->stopping)
        return MM_CORE_RUNNING;
    if (!core->exhausted || core->claiming || !slots_empty(core))
        return MM_CORE_RUNNING;
    if (core->config.fence)
        mm_core_seal(core);
    return all_sealed(core) && core->command_count == 0 ? MM_CORE_ENDED : MM_CORE_RUNNING;
}

uint64_t mm_core_deadline(const mm_core *core)
{
    uint64_t deadline = UINT64_MAX;
    if (core->pause_until > core->now)
        deadline = core->pause_until;
    for (uint32_t i = 0; i < core->config.slots; i++) {
        const core_slot *s = &core->slots[i];
        if (s->state == SLOT_CLAIMED && s->not_before > core->now && s->not_before < deadline)
            deadline = s->not_before;
    }
    for (uint32_t i = 0; !core->config.ack && i < core->config.lanes; i++) {
        const core_lane *l = &core->lanes[i];
        if (l->written > 0 && mm_core_lane_idle(core, i) && l->written_since + core->config.flush_ms < deadline)
            deadline = l->written_since + core->config.flush_ms;
    }
    return deadline;
}

mm_status mm_core_result(const mm_core *core)
{
    return core->result;
}

uint32_t mm_core_free_slot(const mm_core *core, uint32_t n)
{
    uint32_t at = 0;
    for (;; at++)
        if (core->slots[at].state == SLOT_FREE && n-- == 0)
            return at;
}

/* Nothing to read, and more would come with a claim's commit, or with one that frees slots. */
static bool dumper_waits_for_claim(const mm_core *core)
{
    bool committing = core->claiming;
    if (core->exhausted)
        return false;
    for (uint32_t i = 0; i < core->config.slots; i++) {
        if (core->slots[i].state == SLOT_CLAIMED)
            return false;
        committing = committing || core->slots[i].store_busy;
    }
    if (!committing)
        return false;
    for (uint32_t i = 0; i < core->config.dumpers; i++)
        if (!core->dumper_busy[i])
            return true;
    return false;
}

bool mm_core_waits_for_store(const mm_core *core)
{
    if (dumper_waits_for_claim(core))
        return true;
    bool idle = false;
    for (uint32_t i = 0; i < core->config.lanes; i++)
        idle = idle || mm_core_lane_idle(core, i);
    if (!idle || core->now < core->pause_until || !core->config.reserve)
        return false;
    for (const mm_core_item *item = core->ready_head; item; item = item->next_ready) {
        const core_slot *s = &core->slots[item->slot];
        core_fence_state fence = core->fences[s->collection].state;
        if (item->end.row > s->reserved ||
            (core->config.fence && (fence == FENCE_INTENDING || fence == FENCE_RECORDING)))
            return true;
    }
    return false;
}

uint64_t mm_core_paused_since(const mm_core *core)
{
    return core->refused_since;
}
