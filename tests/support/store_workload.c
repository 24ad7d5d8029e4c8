/* The seeded life of a store (store_workload.h). */
#include "support/store_workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const mm_store_driver *const db = &mm_store_sqlite;

void workload_begin(mm_workload *w, const mm_store_args *args, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->args = *args;
    w->random = seed;
}

void workload_end(mm_workload *w)
{
    if (w->store)
        db->close(w->store);
    w->store = NULL;
    mm_arena_free(&w->arena);
}

static uint64_t pick(mm_workload *w, uint64_t below)
{
    return mm_random_next(&w->random) % below;
}

static mm_status step_open(mm_workload *w)
{
    if (w->store)
        db->close(w->store);
    w->store = NULL;
    w->claimed_count = 0;
    return db->open(&w->args, &w->store, &w->err);
}

static mm_status step_job(mm_workload *w)
{
    mm_job_record job = {.name = "products", .tag = "00112233445566aa", .config_path = "/j.yaml",
                         .config_text = "job: products", .overrides = w->run ? "x=1" : ""};
    return db->job_write(w->store, &job, &w->err);
}

static mm_status plan_fill(mm_workload *w)
{
    mm_status status = MM_OK;
    char spec[3000]; /* some need pages of their own */
    memset(spec, 'e', sizeof spec);
    for (uint32_t id = 0; status == MM_OK && id < 2; id++) {
        mm_plan_collection collection = {.id = id, .source_name = "from", .target_name = "to"};
        status = db->plan_collection(w->store, &collection, &w->err);
    }
    for (size_t i = 0; status == MM_OK && i < 40; i++) {
        mm_task task = {.kind = MM_TASK_COPY, .collection = i / 10 % 2, .rows = 1000,
                        .spec = spec, .spec_size = 1 + pick(w, sizeof spec)};
        status = db->plan_task(w->store, &task, &w->err);
        if (status == MM_OK && i % 7 == 0)
            status = db->plan_thin(w->store, task.id, spec, 10, &w->err);
    }
    return status;
}

static mm_status step_plan(mm_workload *w)
{
    mm_run_record run = {.run = w->run + 1, .state = MM_RUN_PLANNED, .started_ms = 5,
                         .rows_total = MM_COUNT_UNKNOWN};
    mm_status status = db->plan_begin(w->store, &run, &w->err);
    if (status != MM_OK)
        return status;
    status = plan_fill(w);
    if (status == MM_OK)
        status = db->plan_totals(w->store, &run, &w->err);
    if (status == MM_OK) {
        status = db->plan_end(w->store, true, &w->err);
        if (status == MM_OK)
            w->claimed_count = 0; /* numbers and epochs begin anew */
        return status;
    }
    mm_error ignored = MM_ERROR_INIT; /* the first failure tells */
    (void)!db->plan_end(w->store, false, &ignored);
    return status;
}

static mm_status step_claim(mm_workload *w)
{
    size_t count = 0;
    size_t room = WORKLOAD_CLAIMS - w->claimed_count;
    size_t max = 1 + pick(w, WORKLOAD_CLAIMS);
    mm_task_kind kind = pick(w, 5) == 0 ? MM_TASK_VERIFY : MM_TASK_COPY;
    mm_status status = db->claim(w->store, kind, max < room ? max : room, &w->arena,
                                 w->claimed + w->claimed_count, &count, &w->err);
    if (status == MM_OK)
        w->claimed_count += count;
    return status;
}

/* Advances or reserves for some claimed tasks, and records this and that. */
static mm_status step_apply(mm_workload *w)
{
    mm_op ops[WORKLOAD_CLAIMS + 4];
    mm_cursor cursors[WORKLOAD_CLAIMS];
    mm_task after[WORKLOAD_CLAIMS];
    size_t count = 0, left = 0;
    char text[40];
    for (size_t i = 0; i < w->claimed_count; i++) {
        mm_task task = w->claimed[i];
        uint64_t to = task.cursor.row + pick(w, 300);
        bool done = pick(w, 6) == 0;
        if (pick(w, 3) == 0) {
            ops[count++] = (mm_op){.kind = MM_OP_RESERVE, .task = task.id, .epoch = task.epoch,
                                   .row = to + 100};
        } else {
            ops[count++] = fixture_advance(&task, &cursors[i], to, done);
            ops[count - 1].mismatched = task.kind == MM_TASK_VERIFY ? pick(w, 2) : 0;
            task.cursor.row = to;
            if (done)
                continue;
        }
        after[left++] = task;
    }
    snprintf(text, sizeof text, "value %u", (unsigned)pick(w, 1000));
    ops[count++] = (mm_op){.kind = MM_OP_STATE, .key = text, .text = pick(w, 4) ? text : NULL};
    ops[count++] = (mm_op){.kind = MM_OP_STEP, .collection = (uint32_t)pick(w, 2), .key = "index",
                           .text = text, .flag = pick(w, 2)};
    ops[count++] = (mm_op){.kind = MM_OP_FENCE, .row = 7, .flag = pick(w, 2)};
    ops[count++] = (mm_op){.kind = MM_OP_DOUBT, .task = 1 + pick(w, 40), .row = pick(w, 50),
                           .to_row = 60};
    mm_status status = db->apply(w->store, ops, count, &w->err);
    if (status == MM_OK) {
        memcpy(w->claimed, after, left * sizeof *after);
        w->claimed_count = left;
    }
    return status;
}

static mm_status step_verify(mm_workload *w)
{
    size_t count;
    mm_status status = pick(w, 2) == 0
                           ? db->verify_plan(w->store, pick(w, 2) == 0, &w->err)
                           : db->repair_plan(w->store, (const uint32_t[]){0}, pick(w, 2), &count, &w->err);
    if (status == MM_OK)
        w->claimed_count = 0; /* those of verify tasks are void */
    return status;
}

static mm_status step_any(mm_workload *w)
{
    uint64_t what = pick(w, 20);
    if (what < 9)
        return step_apply(w);
    if (what < 14)
        return step_claim(w);
    if (what < 17)
        return step_open(w);
    if (what < 19)
        return step_verify(w);
    return step_plan(w);
}

mm_status workload_step(mm_workload *w, size_t number)
{
    uint64_t before = w->random;
    mm_status status = MM_OK;
    if (w->store == NULL && number > 0)
        status = step_open(w); /* an earlier try could not open it again */
    if (status != MM_OK)
        return status;
    if (number == 0)
        status = step_open(w);
    else if (number == 1)
        status = step_job(w);
    else if (number == 2)
        status = step_plan(w);
    else
        status = step_any(w);
    if (status != MM_OK) {
        w->random = before;
        return status;
    }
    mm_run_record run;
    status = db->run_read(w->store, &w->arena, &run, &w->err);
    if (status == MM_OK)
        w->run = run.run;
    return status;
}

void workload_reference(const mm_store_args *args, uint64_t seed, size_t steps, char **texts)
{
    mm_workload w;
    workload_begin(&w, args, seed);
    for (size_t i = 0; i < steps; i++) {
        if (workload_step(&w, i) != MM_OK)
            fail_msg("step %zu: %s", i, w.err.text);
        texts[i] = store_describe(w.store);
        assert_non_null(texts[i]);
    }
    workload_end(&w);
}
