/* One simulated process: the shell around the core, with every command answered at a random moment,
 * in any order, or never. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "world.h"

#define OPS_MAX 256
#define STEPS_MAX 20000

typedef enum op_kind { OP_STORE, OP_READ, OP_SEND, OP_FLUSH, OP_FENCE } op_kind;

/* A command under way. */
typedef struct op {
    bool live;
    op_kind kind;
    uint64_t at; /* when it answers */
    mm_core_command command;
    mm_status status;
    uint64_t acknowledged;
    bool applied; /* SEND: the rows are on the target already; FENCE: done */
    bool aborted; /* READ */
    uint64_t row; /* READ: next row */
} op;

typedef struct process {
    sim_world *world;
    mm_core *core;
    mm_core_config config;
    op ops[OPS_MAX];
    uint64_t slot_task[64];
    uint64_t slot_committed[64];
    uint64_t batch_rows;
    mm_core_item *items; /* all that live, to free them at a crash */
} process;

/* Items are chained for freeing; the payload holds the chain's link. */
static mm_core_item *item_new(process *p)
{
    mm_core_item *item = calloc(1, sizeof(*item));
    if (item == NULL)
        abort();
    item->payload = p->items;
    p->items = item;
    return item;
}

static void item_free(process *p, mm_core_item *item)
{
    if (p->items == item) {
        p->items = item->payload;
    } else {
        mm_core_item *at = p->items;
        while (at->payload != item)
            at = at->payload;
        at->payload = item->payload;
    }
    free(item);
}

static op *op_new(process *p, op_kind kind, const mm_core_command *command, uint64_t delay)
{
    for (size_t i = 0; i < OPS_MAX; i++)
        if (!p->ops[i].live) {
            p->ops[i] = (op){.live = true, .kind = kind, .command = *command};
            p->ops[i].at = p->world->now + 1 + sim_below(p->world, delay);
            return &p->ops[i];
        }
    abort();
}

/* ---- the store ---- */

static size_t store_claim(process *p, uint32_t max, mm_core_task *out, bool *exhausted)
{
    sim_world *w = p->world;
    size_t count = 0;
    *exhausted = true;
    for (uint32_t i = 0; i < w->tasks; i++) {
        sim_task *task = &w->task[i];
        if (task->done || task->claimed)
            continue;
        if (count == max) {
            *exhausted = false;
            break;
        }
        task->claimed = true;
        task->epoch++;
        for (uint64_t row = task->cursor; row < task->reserved && row < task->rows; row++)
            task->may_resend[row] = true;
        out[count] = (mm_core_task){.id = i, .epoch = task->epoch, .collection = task->collection};
        out[count].cursor.row = task->cursor;
        out[count].reserved = task->reserved;
        count++;
    }
    return count;
}

/* Applies one store command. False: fenced. */
static bool store_apply(process *p, const mm_core_command *c)
{
    sim_world *w = p->world;
    sim_task *task = &w->task[c->task];
    switch (c->kind) {
    case MM_CORE_RESERVE:
        if (task->epoch != c->epoch)
            return false;
        if (task->reserved < c->row)
            task->reserved = c->row;
        return true;
    case MM_CORE_ADVANCE:
        if (task->epoch != c->epoch)
            return false;
        if (c->cursor.row < task->cursor)
            sim_violation(w, "a cursor went back", "task %llu", (unsigned long long)c->task);
        task->cursor = c->cursor.row;
        if (task->reserved < task->cursor)
            task->reserved = task->cursor;
        task->done = c->done;
        if (c->done && task->cursor != task->rows)
            sim_violation(w, "a task was called done before its end", "task %llu", (unsigned long long)c->task);
        return true;
    case MM_CORE_RELEASE:
        task->claimed = false;
        return task->epoch == c->epoch;
    case MM_CORE_FENCE_INTEND:
        w->fence[c->collection].epoch = c->fence;
        w->fence[c->collection].sealed = false;
        return true;
    case MM_CORE_SEAL:
        w->fence[c->collection].sealed = true;
        return true;
    default:
        return true;
    }
}

/* ---- commands ---- */

static void start_send(process *p, const mm_core_command *c)
{
    sim_world *w = p->world;
    mm_core_item *item = c->item;
    sim_task *task = &w->task[p->slot_task[c->slot]];
    if (item->first < task->cursor)
        sim_violation(w, "a committed row was sent again", "task %llu row %llu",
                      (unsigned long long)p->slot_task[c->slot], (unsigned long long)item->first);
    if (p->config.reserve && item->end.row > task->reserved)
        sim_violation(w, "a row was sent beyond the durable horizon", "row %llu > %llu",
                      (unsigned long long)item->end.row, (unsigned long long)task->reserved);
    op *o = op_new(p, OP_SEND, c, 40);
    if (w->rewinding) {
        if (item->first != task->appended)
            sim_violation(w, "rows were appended out of place", "row %llu behind %llu",
                          (unsigned long long)item->first, (unsigned long long)task->appended);
        task->appended = item->end.row;
        task->last_lane = c->lane;
        if (sim_fault(w, 1))
            o->status = MM_IO;
        return;
    }
    /* `from` counts rows that are sent; find the source row it stands for */
    sim_request request = {.at = 0, .task = (uint32_t)p->slot_task[c->slot], .from = item->first,
                           .to = item->end.row, .only = UINT64_MAX, .fence = c->fence, .upsert = c->upsert};
    uint64_t skip = c->from;
    while (skip > 0) {
        skip -= !task->rejected[request.from];
        request.from++;
    }
    for (uint64_t row = request.from; c->upsert && p->config.fence && row < request.to; row++)
        if (!task->may_resend[row] && !task->rejected[row])
            sim_violation(w, "a row was sent again that was not in doubt", "row %llu", (unsigned long long)row);
    uint64_t span = request.to - request.from;
    if (sim_fault(w, 12)) { /* outcome unknown: executed now, late, in part, twice or never */
        o->status = MM_UNKNOWN;
        for (uint64_t row = request.from; row < request.to; row++)
            task->may_resend[row] = true;
        if (sim_below(w, 2))
            request.only = mm_random_next(&w->random);
        uint64_t times = sim_below(w, 3);
        for (uint64_t i = 0; i < times; i++) {
            request.at = w->now + sim_below(w, sim_below(w, 4) == 0 ? 5000 : 60);
            sim_target_later(w, &request);
        }
        return;
    }
    if (sim_fault(w, 8)) { /* refused, perhaps after a leading part was acknowledged */
        o->status = sim_below(w, 2) ? MM_RATE_LIMITED : MM_NOT_READY;
        uint64_t rows = sim_below(w, 2) ? 0 : sim_below(w, span);
        request.to = request.from + rows;
        o->acknowledged = c->from;
        for (uint64_t row = request.from; row < request.to; row++)
            o->acknowledged += !task->rejected[row];
        if (rows > 0 && !sim_target_apply(w, &request))
            o->acknowledged = c->from;
        return;
    }
    /* executed at some moment before the answer; a crash or a restart in between is what hurts */
    o->row = w->now + sim_below(w, o->at - w->now);
}

/* The moment at which the target executes a request that it will answer with OK. */
static void execute_sends(process *p)
{
    sim_world *w = p->world;
    for (size_t i = 0; i < OPS_MAX; i++) {
        op *o = &p->ops[i];
        if (!o->live || o->kind != OP_SEND || o->applied || o->status != MM_OK || w->rewinding || o->row > w->now)
            continue;
        const mm_core_command *c = &o->command;
        const sim_task *task = &w->task[p->slot_task[c->slot]];
        sim_request request = {.task = (uint32_t)p->slot_task[c->slot], .from = c->item->first,
                               .to = c->item->end.row, .only = UINT64_MAX, .fence = c->fence, .upsert = c->upsert};
        for (uint64_t skip = c->from; skip > 0; request.from++)
            skip -= !task->rejected[request.from];
        o->applied = true;
        if (!sim_target_apply(w, &request))
            o->status = MM_FENCED;
    }
}

static void start_command(process *p, const mm_core_command *c)
{
    sim_world *w = p->world;
    switch (c->kind) {
    case MM_CORE_READ: {
        op *o = op_new(p, OP_READ, c, 10);
        o->row = c->cursor.row;
        break;
    }
    case MM_CORE_ABORT_READ:
        for (size_t i = 0; i < OPS_MAX; i++)
            if (p->ops[i].live && p->ops[i].kind == OP_READ && p->ops[i].command.slot == c->slot)
                p->ops[i].aborted = true;
        break;
    case MM_CORE_SEND:
        start_send(p, c);
        break;
    case MM_CORE_FLUSH: {
        op *o = op_new(p, OP_FLUSH, c, 30);
        if (sim_fault(w, 2))
            o->status = MM_DISK_FULL;
        break;
    }
    case MM_CORE_FREE:
        break;
    case MM_CORE_DROP:
        item_free(p, c->item);
        break;
    case MM_CORE_FENCE_MOVE:
    case MM_CORE_FENCE_DROP:
        op_new(p, OP_FENCE, c, 20);
        break;
    default:
        op_new(p, OP_STORE, c, sim_below(w, 5) == 0 ? 100 : 10);
        break;
    }
}

/* ---- answers ---- */

static void answer_store(process *p, op *o)
{
    sim_world *w = p->world;
    if (o->command.kind == MM_CORE_CLAIM) {
        mm_core_task tasks[64];
        bool exhausted;
        size_t count = store_claim(p, o->command.count, tasks, &exhausted);
        mm_core_on_claimed(p->core, tasks, count, exhausted);
        return;
    }
    bool ok = store_apply(p, &o->command);
    mm_core_item *items = o->command.items;
    while (items) {
        mm_core_item *next = items->next;
        item_free(p, items);
        items = next;
    }
    mm_core_on_stored(p->core, &o->command, !ok);
    (void)w;
}

static void answer_read(process *p, op *o)
{
    sim_world *w = p->world;
    uint32_t slot = o->command.slot;
    sim_task *task = &w->task[o->command.task];
    bool heard = o->aborted && sim_below(w, 2); /* a reader may be past the place where it looks */
    if (heard || sim_fault(w, 3)) {
        o->live = false;
        mm_core_on_read_end(p->core, slot, heard ? MM_INTERRUPTED : MM_UNAVAILABLE, 0);
        return;
    }
    if (o->row == task->rows) {
        o->live = false;
        mm_core_on_read_end(p->core, slot, MM_OK, 0);
        return;
    }
    uint64_t end = o->row + 1 + sim_below(w, p->batch_rows);
    if (o->row < o->command.boundary && end > o->command.boundary)
        end = o->command.boundary;
    if (end > task->rows)
        end = task->rows;
    mm_core_item *item = item_new(p);
    item->slot = slot;
    item->first = o->row;
    item->end.row = end;
    for (uint64_t row = o->row; row < end; row++) {
        item->rejected += task->rejected[row] && !w->rewinding;
        item->rows += !task->rejected[row] || w->rewinding;
    }
    item->bytes = item->rows * 100;
    p->slot_task[slot] = o->command.task;
    o->row = end;
    o->at = w->now + 1 + sim_below(w, 10);
    mm_core_on_item(p->core, item);
}

static void answer_fence(process *p, op *o)
{
    sim_world *w = p->world;
    const mm_core_command *c = &o->command;
    bool done = !sim_fault(w, 10) || sim_below(w, 2);
    if (done) {
        if (c->kind == MM_CORE_FENCE_MOVE)
            sim_target_move(w, c->collection, c->fence);
        else
            sim_target_drop(w, c->collection);
    }
    mm_status status = done && !sim_fault(w, 5) ? MM_OK : MM_UNKNOWN;
    mm_core_on_fenced(p->core, c->collection, status, 0);
}

static void answer(process *p, op *o)
{
    sim_world *w = p->world;
    if (o->kind != OP_READ)
        o->live = false;
    switch (o->kind) {
    case OP_STORE:
        answer_store(p, o);
        break;
    case OP_READ:
        answer_read(p, o);
        break;
    case OP_SEND:
        mm_core_on_sent(p->core, o->command.item, o->status, o->acknowledged, sim_below(w, 10) == 0 ? 500 : 0);
        break;
    case OP_FLUSH:
        for (uint32_t i = 0; i < w->tasks && o->status == MM_OK; i++)
            if (w->task[i].last_lane == o->command.lane)
                w->task[i].durable = w->task[i].appended;
        mm_core_on_flushed(p->core, o->command.lane, o->status);
        break;
    case OP_FENCE:
        answer_fence(p, o);
        break;
    }
}

/* ---- faults of the whole ---- */

/* The target dies and comes back: what it had not answered is unknown, executed or not. */
static void restart_target(process *p)
{
    sim_world *w = p->world;
    for (size_t i = 0; i < OPS_MAX; i++) {
        op *o = &p->ops[i];
        if (!o->live || o->kind != OP_SEND || w->rewinding)
            continue;
        sim_task *task = &w->task[p->slot_task[o->command.slot]];
        if (o->status == MM_OK)
            for (uint64_t row = o->command.item->first; row < o->command.item->end.row; row++)
                task->may_resend[row] = true;
        /* an unacknowledged insert may be lost again, wholly or in part */
        if (o->status == MM_OK && o->applied && !o->command.upsert)
            for (uint64_t row = o->command.item->first; row < o->command.item->end.row; row++)
                if (task->copies[row] > 0 && !task->rejected[row] && row >= o->command.item->first + o->command.from &&
                    o->command.from == 0 && sim_below(w, 2))
                    task->copies[row]--;
        if (o->status == MM_OK || o->status == MM_FENCED)
            o->status = MM_UNKNOWN;
        o->at = w->now + 1;
    }
}

/* kill -9: requests on the wire may still be executed at any later time; store commands under way
 * have happened or not. */
static void crash(process *p)
{
    sim_world *w = p->world;
    w->crashes++;
    for (size_t i = 0; i < OPS_MAX; i++) {
        op *o = &p->ops[i];
        if (!o->live)
            continue;
        const mm_core_command *c = &o->command;
        if (o->kind == OP_STORE && sim_below(w, 2)) {
            mm_core_task tasks[64];
            bool exhausted;
            if (c->kind == MM_CORE_CLAIM)
                (void)store_claim(p, c->count, tasks, &exhausted);
            else
                (void)store_apply(p, c);
        }
        if (o->kind == OP_FENCE && sim_below(w, 2) && c->kind == MM_CORE_FENCE_MOVE)
            sim_target_move(w, c->collection, c->fence);
        if (o->kind == OP_SEND && o->status == MM_OK && !o->applied && !w->rewinding && sim_below(w, 3)) {
            const sim_task *task = &w->task[p->slot_task[c->slot]];
            sim_request request = {.at = w->now + sim_below(w, sim_below(w, 3) ? 50 : 8000),
                                   .task = (uint32_t)p->slot_task[c->slot], .from = c->item->first,
                                   .to = c->item->end.row, .only = UINT64_MAX, .fence = c->fence,
                                   .upsert = c->upsert};
            for (uint64_t skip = c->from; skip > 0; request.from++)
                skip -= !task->rejected[request.from];
            if (sim_below(w, 3) == 0)
                request.only = mm_random_next(&w->random);
            sim_target_later(w, &request);
        }
    }
    for (uint32_t i = 0; i < w->tasks; i++) {
        sim_task *task = &w->task[i];
        if (w->rewinding && task->appended > task->durable) /* unsynced data survives in part */
            task->appended = task->durable + sim_below(w, task->appended - task->durable + 1);
    }
}

/* What a new process does before the core starts. */
static void settle(sim_world *w)
{
    for (uint32_t i = 0; i < w->tasks; i++) {
        sim_task *task = &w->task[i];
        task->claimed = false;
        memset(task->may_resend, 0, sizeof(task->may_resend));
        if (!w->rewinding || MM_SEEDED("no_settle"))
            continue;
        if (task->appended < task->cursor)
            sim_violation(w, "a cursor vouches for rows that are lost", "task %u: %llu < %llu", i,
                          (unsigned long long)task->appended, (unsigned long long)task->cursor);
        task->appended = task->durable = task->cursor;
    }
}

static void configure(process *p)
{
    sim_world *w = p->world;
    mm_core_fence fences[SIM_COLLECTIONS];
    for (uint32_t i = 0; i < w->collections; i++)
        fences[i] = (mm_core_fence){w->fence[i].epoch, w->fence[i].sealed, false};
    p->config = (mm_core_config){
        .dumpers = 1 + (uint32_t)sim_below(w, 3),
        .lanes = 1 + (uint32_t)sim_below(w, 4),
        .slots = 2 + (uint32_t)sim_below(w, 8),
        .claim = 1 + (uint32_t)sim_below(w, 4),
        .reserve_ahead = (uint32_t)sim_below(w, 4),
        .ordered = w->rewinding,
        .ack = !w->rewinding,
        .reserve = !w->rewinding,
        .fence = w->fenced,
        .upsert_all = !w->fenced && !w->rewinding,
        .flush_bytes = 200 + sim_below(w, 3000),
        .flush_ms = 200,
        .patience_ms = 3000,
        .backoff_ms = 10,
        .backoff_max_ms = 200,
        .seed = mm_random_next(&w->random),
        .fences = fences,
        .collections = w->collections,
    };
    p->batch_rows = 1 + sim_below(w, 12);
    p->core = mm_core_new(&p->config);
    if (p->core == NULL)
        abort();
}

static op *next_op(process *p)
{
    op *best = NULL;
    for (size_t i = 0; i < OPS_MAX; i++)
        if (p->ops[i].live && (best == NULL || p->ops[i].at < best->at))
            best = &p->ops[i];
    return best;
}

static void fail_store(process *p)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
        op *o = &p->ops[i];
        if (!o->live || o->kind != OP_STORE)
            continue;
        o->live = false;
        for (mm_core_item *item = o->command.items; item;) {
            mm_core_item *next = item->next;
            item_free(p, item);
            item = next;
        }
    }
    mm_core_on_store_failed(p->core, MM_IO);
}

/* One step: the next answer, or time passing. False: nothing can happen any more. */
static bool step(process *p)
{
    sim_world *w = p->world;
    op *o = next_op(p);
    uint64_t deadline = mm_core_deadline(p->core);
    uint64_t to = o ? o->at : UINT64_MAX;
    if (deadline < to)
        to = deadline;
    /* the core may be told to look again at any time */
    if (to == UINT64_MAX)
        return false;
    if (to > w->now)
        w->now = to;
    if (sim_fault(w, 1) && sim_below(w, 4) == 0)
        w->now += sim_below(w, 5000); /* the machine slept */
    sim_target_run(w, w->now);
    execute_sends(p);
    if (o && o->at <= w->now)
        answer(p, o);
    return true;
}

/* Ticks until no command follows. */
static mm_core_end settle_core(process *p)
{
    for (;;) {
        mm_core_end end = mm_core_tick(p->core, p->world->now);
        mm_core_command command;
        if (!mm_core_next(p->core, &command))
            return end;
        do
            start_command(p, &command);
        while (mm_core_next(p->core, &command));
    }
}

static void free_process(process *p)
{
    while (p->items)
        item_free(p, p->items);
    mm_core_free(p->core);
}

bool sim_process(sim_world *w)
{
    process *p = calloc(1, sizeof(*p));
    if (p == NULL)
        abort();
    p->world = w;
    settle(w);
    configure(p);
    uint64_t crash_at = w->faults ? sim_below(w, sim_below(w, 2) ? 300 : 60) : UINT64_MAX;
    uint64_t stop_at = w->faults && sim_below(w, 4) == 0 ? sim_below(w, 200) : UINT64_MAX;
    uint64_t fail_at = w->faults && sim_below(w, 8) == 0 ? sim_below(w, 200) : UINT64_MAX;
    bool ended = false;
    for (uint64_t steps = 0; !w->violation; steps++) {
        if (steps == crash_at)
            break;
        if (steps == stop_at)
            mm_core_on_stop(p->core, MM_INTERRUPTED);
        if (steps == fail_at)
            fail_store(p);
        if (sim_fault(w, 1))
            restart_target(p);
        mm_core_end end = settle_core(p);
        if (end == MM_CORE_ENDED) {
            ended = true;
            break;
        }
        if (!step(p) || steps > STEPS_MAX)
            sim_violation(w, "the core hangs", "step %llu", (unsigned long long)steps);
    }
    bool ok = ended && mm_core_result(p->core) == MM_OK;
    for (size_t i = 0; ok && i < OPS_MAX; i++)
        if (p->ops[i].live)
            sim_violation(w, "the core ended with a command under way", "kind %d", p->ops[i].command.kind);
    if (ended && !ok && p->items)
        sim_violation(w, "items were not given back", "%s", "");
    if (!ended)
        crash(p);
    else if (!ok)
        w->crashes++;
    free_process(p);
    free(p);
    return ok;
}
