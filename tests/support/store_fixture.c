/* Helpers of the store's tests (store_fixture.h). */
#include "support/store_fixture.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

int fixture_setup(void **state)
{
    mm_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    const char *tmp = getenv("TMPDIR");
    fixture->dir = mm_format("%s/mm-store-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(fixture->dir);
    assert_non_null(mkdtemp(fixture->dir));
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    mm_fixture *fixture = *state;
    fixture_close(fixture);
    int result = nftw(fixture->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    mm_arena_free(&fixture->arena);
    free(fixture->dir);
    free(fixture);
    return result;
}

char *fixture_path(mm_fixture *fixture, const char *name)
{
    size_t size = strlen(fixture->dir) + strlen(name) + 2;
    char *path = mm_arena_alloc(&fixture->arena, size);
    assert_non_null(path);
    snprintf(path, size, "%s/%s", fixture->dir, name);
    return path;
}

mm_status fixture_try_open(mm_fixture *fixture, mm_store_mode mode)
{
    mm_store_args args = {.dir = fixture->dir, .job = FIXTURE_JOB, .mode = mode, .sync = false};
    mm_error_clear(&fixture->err);
    return mm_store_sqlite.open(&args, &fixture->store, &fixture->err);
}

void expect_status(const mm_fixture *fixture, mm_status status, mm_status expected)
{
    if (status != expected)
        fail_msg("%s instead of %s: %s", mm_status_name(status), mm_status_name(expected),
                 fixture->err.text);
}

void fixture_open(mm_fixture *fixture, mm_store_mode mode)
{
    expect_ok(fixture, fixture_try_open(fixture, mode));
}

void fixture_close(mm_fixture *fixture)
{
    if (fixture->store)
        mm_store_sqlite.close(fixture->store);
    fixture->store = NULL;
}

void fixture_reopen(mm_fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture, MM_STORE_WRITE);
}

void fixture_plan(mm_fixture *fixture, uint32_t run, size_t count)
{
    mm_run_record record = {.run = run, .state = MM_RUN_PLANNED, .started_ms = 1000,
                            .phase = "plan", .config_fingerprint = "c0ffee"};
    mm_plan_collection collection = {.source_name = "from", .target_name = "to", .mapping = "{}",
                                     .source_fingerprint = "size=1"};
    expect_ok(fixture, mm_store_sqlite.plan_begin(fixture->store, &record, &fixture->err));
    expect_ok(fixture,
              mm_store_sqlite.plan_collection(fixture->store, &collection, &fixture->err));
    for (size_t i = 0; i < count; i++) {
        char spec[32];
        snprintf(spec, sizeof spec, "extent %zu", i);
        mm_task task = {.kind = MM_TASK_COPY, .rows = 1000, .bytes = 4000, .spec = spec,
                        .spec_size = strlen(spec), .partition = (uint32_t)(i % 2)};
        expect_ok(fixture, mm_store_sqlite.plan_task(fixture->store, &task, &fixture->err));
    }
    record.rows_total = count * 1000;
    record.bytes_total = count * 4000;
    expect_ok(fixture, mm_store_sqlite.plan_totals(fixture->store, &record, &fixture->err));
    expect_ok(fixture, mm_store_sqlite.plan_end(fixture->store, true, &fixture->err));
}

size_t fixture_claim(mm_fixture *fixture, mm_task_kind kind, size_t max, mm_task *out)
{
    size_t count = 0;
    expect_ok(fixture, mm_store_sqlite.claim(fixture->store, kind, max, &fixture->arena, out,
                                             &count, &fixture->err));
    return count;
}

mm_task fixture_claim_one(mm_fixture *fixture, mm_task_kind kind)
{
    mm_task task;
    assert_int_equal(fixture_claim(fixture, kind, 1, &task), 1);
    return task;
}

void fixture_apply(mm_fixture *fixture, mm_op *ops, size_t count)
{
    expect_ok(fixture, mm_store_sqlite.apply(fixture->store, ops, count, &fixture->err));
}

mm_op fixture_advance(const mm_task *task, mm_cursor *cursor, uint64_t to, bool done)
{
    uint64_t rows = to - task->cursor.row;
    memset(cursor, 0, sizeof *cursor);
    cursor->row = to;
    return (mm_op){.kind = MM_OP_ADVANCE, .task = task->id, .epoch = task->epoch, .cursor = cursor,
                   .rows = rows, .bytes = rows, .checksum = rows * 7, .done = done};
}

mm_run_record fixture_run(mm_fixture *fixture)
{
    mm_run_record run;
    expect_ok(fixture,
              mm_store_sqlite.run_read(fixture->store, &fixture->arena, &run, &fixture->err));
    return run;
}

mm_task fixture_task(mm_fixture *fixture, uint64_t id)
{
    mm_task task;
    expect_ok(fixture, mm_store_sqlite.task_read(fixture->store, id, &fixture->arena, &task,
                                                 &fixture->err));
    return task;
}

/* ---- describing a whole store ---- */

typedef struct mm_describe {
    mm_store *store;
    mm_arena arena;
    mm_error err;
    mm_buffer text;
    bool failed;
} mm_describe;

/* False: the store cannot be read (a damaged one), and the description ends here. */
static bool check(mm_describe *d, mm_status status)
{
    d->failed = d->failed || status != MM_OK;
    return !d->failed;
}

static void describe_runs(mm_describe *d)
{
    mm_run_record *runs;
    size_t count;
    if (!check(d, mm_store_sqlite.runs(d->store, &d->arena, &runs, &count, &d->err)))
        return;
    for (size_t i = 0; i < count; i++) {
        const mm_run_record *r = &runs[i];
        mm_buffer_printf(&d->text, "run %u %s %s %s %d rows %" PRIu64 "/%" PRIu64 " bytes %" PRIu64
                         " rejected %" PRIu64 " resent %" PRIu64 " tasks %" PRIu64 "/%" PRIu64
                         " running %" PRIu64 " verify %" PRIu64 "/%" PRIu64 " verdict %s\n",
                         r->run, mm_run_state_name(r->state), r->phase, r->error ? r->error : "-",
                         r->exit_code, r->rows_done, r->rows_total, r->bytes_done,
                         r->rows_rejected, r->rows_resent, r->tasks_done, r->tasks_total,
                         r->tasks_running, r->verify_done, r->verify_total,
                         mm_verdict_state_name(r->verdict.state));
    }
}

static void describe_collections(mm_describe *d)
{
    mm_plan_collection *items;
    size_t count;
    if (!check(d, mm_store_sqlite.collections(d->store, &d->arena, &items, &count, &d->err)))
        return;
    for (size_t i = 0; i < count; i++) {
        uint64_t rows;
        mm_step_record *steps;
        size_t step_count;
        if (!check(d, mm_store_sqlite.expected(d->store, items[i].id, UINT32_MAX, &rows, &d->err)))
            return;
        mm_buffer_printf(&d->text, "collection %u %s fence %" PRIu64 " %d %d %d %s expects %" PRIu64
                         "\n", items[i].id, items[i].target_name, items[i].fence,
                         items[i].fence_intended, items[i].sealed, items[i].skipped,
                         items[i].target_fingerprint ? items[i].target_fingerprint : "-", rows);
        if (!check(d, mm_store_sqlite.steps(d->store, items[i].id, &d->arena, &steps, &step_count,
                                            &d->err)))
            return;
        for (size_t s = 0; s < step_count; s++)
            mm_buffer_printf(&d->text, "step %s %s %d\n", steps[s].name, steps[s].text,
                             steps[s].done);
    }
}

static mm_status describe_task(void *context, const mm_task *t, mm_error *err)
{
    (void)err;
    mm_describe *d = context;
    mm_buffer_printf(&d->text, "task %" PRIu64 " %d %u/%u %.*s epoch %" PRIu64 " cursor %" PRIu64
                     " %u reserved %" PRIu64 " rows %" PRIu64 " sum %" PRIu64 " thin %zu\n",
                     t->id, (int)t->kind, t->collection, t->partition, (int)t->spec_size,
                     t->spec ? (const char *)t->spec : "", t->epoch, t->cursor.row,
                     t->cursor.mark_size, t->reserved, t->rows_done, t->checksum, t->thin_size);
    return MM_OK;
}

static void describe_rest(mm_describe *d)
{
    mm_doubt *doubts;
    mm_state_record *states;
    size_t count;
    if (!check(d, mm_store_sqlite.doubts(d->store, &d->arena, &doubts, &count, &d->err)))
        return;
    for (size_t i = 0; i < count; i++)
        mm_buffer_printf(&d->text, "doubt %" PRIu64 " %" PRIu64 "-%" PRIu64 "\n", doubts[i].task,
                         doubts[i].from, doubts[i].to);
    if (!check(d, mm_store_sqlite.states(d->store, &d->arena, &states, &count, &d->err)))
        return;
    for (size_t i = 0; i < count; i++)
        mm_buffer_printf(&d->text, "state %s=%s\n", states[i].key, states[i].value);
    mm_sweep *sweeps;
    if (!check(d, mm_store_sqlite.sweeps(d->store, &d->arena, &sweeps, &count, &d->err)))
        return;
    for (size_t i = 0; i < count; i++)
        mm_buffer_printf(&d->text, "sweep %u %d %" PRIu64 " %" PRIu64 "\n", sweeps[i].collection, sweeps[i].found,
                         sweeps[i].rows, sweeps[i].others);
    uint64_t mismatches;
    if (check(d, mm_store_sqlite.mismatches(d->store, &mismatches, &d->err)))
        mm_buffer_printf(&d->text, "mismatches %" PRIu64 "\n", mismatches);
}

char *store_describe(mm_store *store)
{
    mm_describe d = {.store = store, .text = MM_BUFFER_INIT};
    mm_job_record job;
    mm_status status = mm_store_sqlite.job_read(store, &d.arena, &job, &d.err);
    if (status == MM_OK)
        mm_buffer_printf(&d.text, "job %s %s %s\n", job.name, job.config_text, job.overrides);
    else
        check(&d, status == MM_NOT_FOUND ? MM_OK : status);
    describe_runs(&d);
    describe_collections(&d);
    check(&d, mm_store_sqlite.tasks(store, describe_task, &d, &d.err));
    describe_rest(&d);
    mm_buffer_append(&d.text, "", 1);
    assert_false(d.text.failed);
    mm_arena_free(&d.arena);
    if (d.failed)
        mm_buffer_free(&d.text);
    return d.text.data;
}
