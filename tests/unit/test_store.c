/* The savepoint store as its contract describes it: opening, plans, claims, operations, totals. */
#include "support/store_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

static const mm_store_driver *const db = &mm_store_sqlite;

static void a_missing_store_is_not_found_and_nothing_is_created(void **state)
{
    mm_fixture *f = *state;
    expect_status(f, fixture_try_open(f, MM_STORE_READ), MM_NOT_FOUND);
    expect_status(f, fixture_try_open(f, MM_STORE_WRITE), MM_NOT_FOUND);
    assert_int_not_equal(access(fixture_path(f, "products.db"), F_OK), 0);
    assert_int_not_equal(access(fixture_path(f, "products.lock"), F_OK), 0);
}

static void a_new_store_has_no_job_and_no_run(void **state)
{
    mm_fixture *f = *state;
    mm_job_record job;
    fixture_open(f, MM_STORE_CREATE);
    expect_status(f, db->job_read(f->store, &f->arena, &job, &f->err), MM_NOT_FOUND);
    mm_run_record run = fixture_run(f);
    assert_int_equal(run.run, 0);
    assert_int_equal(run.state, MM_RUN_NONE);
    mm_run_record *runs;
    size_t count = 9;
    expect_ok(f, db->runs(f->store, &f->arena, &runs, &count, &f->err));
    assert_int_equal(count, 0);
}

static void files_are_for_the_owner_alone(void **state)
{
    mm_fixture *f = *state;
    struct stat info;
    char *outer = f->dir;
    char *inner = fixture_path(f, "a/b");
    f->dir = inner;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 1);
    const char *const names[] = {"products.db", "products.db-wal", "products.db-shm",
                                 "products.lock"};
    for (size_t i = 0; i < MM_COUNT(names); i++) {
        assert_int_equal(stat(fixture_path(f, names[i]), &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
    }
    assert_int_equal(stat(inner, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    fixture_close(f);
    f->dir = outer;
}

static void the_job_is_kept_and_its_tag_never_changes(void **state)
{
    mm_fixture *f = *state;
    mm_job_record job = {.name = "products", .config_path = "/etc/job.yaml",
                         .config_text = "job: ${X}", .overrides = ""};
    mm_job_record got;
    fixture_open(f, MM_STORE_CREATE);
    expect_ok(f, db->job_write(f->store, &job, &f->err));
    expect_ok(f, db->job_read(f->store, &f->arena, &got, &f->err));
    assert_int_equal(strlen(got.tag), 16);
    char tag[17];
    memcpy(tag, got.tag, sizeof tag);

    job.overrides = "limits.loaders=2";
    expect_ok(f, db->job_write(f->store, &job, &f->err));
    fixture_reopen(f);
    expect_ok(f, db->job_read(f->store, &f->arena, &got, &f->err));
    assert_string_equal(got.tag, tag);
    assert_string_equal(got.overrides, "limits.loaders=2");
    assert_string_equal(got.config_text, "job: ${X}");

    memcpy(job.tag, "0123456789abcdef", 17);
    expect_status(f, db->job_write(f->store, &job, &f->err), MM_BUG);
}

static void a_job_written_in_a_plan_goes_with_the_plan(void **state)
{
    mm_fixture *f = *state;
    mm_job_record job = {.name = "products", .config_text = "one"}, got;
    mm_run_record run = {.run = 1, .state = MM_RUN_PLANNED, .phase = "plan"};
    fixture_open(f, MM_STORE_CREATE);
    expect_ok(f, db->job_write(f->store, &job, &f->err));
    for (int commit = 0; commit < 2; commit++) {
        job.config_text = "two";
        expect_ok(f, db->plan_begin(f->store, &run, &f->err));
        expect_ok(f, db->job_write(f->store, &job, &f->err));
        expect_ok(f, db->plan_totals(f->store, &run, &f->err));
        expect_ok(f, db->plan_end(f->store, commit, &f->err));
        fixture_reopen(f);
        expect_ok(f, db->job_read(f->store, &f->arena, &got, &f->err));
        assert_string_equal(got.config_text, commit ? "two" : "one");
    }
}

static void a_plan_is_there_whole_after_plan_end(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 5);
    mm_run_record run = fixture_run(f);
    assert_int_equal(run.run, 1);
    assert_int_equal(run.state, MM_RUN_PLANNED);
    assert_int_equal(run.tasks_total, 5);
    assert_int_equal(run.rows_total, 5000);
    assert_string_equal(run.config_fingerprint, "c0ffee");
    mm_task task = fixture_task(f, 3);
    assert_memory_equal(task.spec, "extent 2", 8);
    assert_int_equal(task.spec_size, 8);
    assert_int_equal(task.epoch, 0);
    mm_plan_collection *collections;
    size_t count;
    expect_ok(f, db->collections(f->store, &f->arena, &collections, &count, &f->err));
    assert_int_equal(count, 1);
    assert_string_equal(collections[0].target_name, "to");
    assert_null(collections[0].target_fingerprint);
}

static void a_plan_that_is_given_up_leaves_no_trace(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 3);
    char *before = store_describe(f->store);
    mm_run_record record = {.run = 2, .state = MM_RUN_PLANNED};
    mm_task task = {.kind = MM_TASK_COPY, .spec = "x", .spec_size = 1};
    expect_ok(f, db->plan_begin(f->store, &record, &f->err));
    expect_ok(f, db->plan_task(f->store, &task, &f->err));
    expect_ok(f, db->plan_end(f->store, false, &f->err));
    char *after = store_describe(f->store);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

static void a_plan_cut_off_by_close_leaves_no_trace(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    mm_run_record record = {.run = 1, .state = MM_RUN_PLANNED};
    expect_ok(f, db->plan_begin(f->store, &record, &f->err));
    fixture_reopen(f);
    assert_int_equal(fixture_run(f).run, 0);
}

static void nothing_else_is_written_while_a_plan_is_open(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    mm_run_record record = {.run = 1, .state = MM_RUN_PLANNED};
    mm_op op = {.kind = MM_OP_STATE, .key = "k", .text = "v"};
    expect_ok(f, db->plan_begin(f->store, &record, &f->err));
    expect_status(f, db->apply(f->store, &op, 1, &f->err), MM_BUG);
    expect_status(f, db->plan_begin(f->store, &record, &f->err), MM_BUG);
    expect_ok(f, db->plan_end(f->store, true, &f->err));
    expect_status(f, db->plan_end(f->store, true, &f->err), MM_BUG);
}

static void a_new_plan_removes_the_former_runs_rows_and_keeps_its_record(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 3);
    mm_cursor cursor;
    mm_task task = fixture_claim_one(f, MM_TASK_COPY);
    mm_op ops[] = {fixture_advance(&task, &cursor, 1000, true),
                   {.kind = MM_OP_STATE, .key = "file", .text = "1"},
                   {.kind = MM_OP_STEP, .key = "create", .text = "id 7", .flag = true},
                   {.kind = MM_OP_DOUBT, .task = 1, .row = 0, .to_row = 10},
                   {.kind = MM_OP_RUN, .state = MM_RUN_DONE, .finished_ms = 5}};
    fixture_apply(f, ops, MM_COUNT(ops));
    fixture_plan(f, 2, 2);

    mm_run_record *runs;
    size_t count;
    expect_ok(f, db->runs(f->store, &f->arena, &runs, &count, &f->err));
    assert_int_equal(count, 2);
    assert_int_equal(runs[0].run, 2);
    assert_int_equal(runs[0].rows_done, 0);
    assert_int_equal(runs[1].run, 1);
    assert_int_equal(runs[1].state, MM_RUN_DONE);
    assert_int_equal(runs[1].rows_done, 1000);
    assert_int_equal(runs[1].finished_ms, 5);
    mm_state_record *states;
    expect_ok(f, db->states(f->store, &f->arena, &states, &count, &f->err));
    assert_int_equal(count, 0);
    mm_doubt *doubts;
    expect_ok(f, db->doubts(f->store, &f->arena, &doubts, &count, &f->err));
    assert_int_equal(count, 0);
    mm_step_record *steps;
    expect_ok(f, db->steps(f->store, 0, &f->arena, &steps, &count, &f->err));
    assert_int_equal(count, 0);
    uint64_t rows;
    expect_ok(f, db->expected(f->store, 0, UINT32_MAX, &rows, &f->err));
    assert_int_equal(rows, 0);
    expect_status(f, db->task_read(f->store, 3, &f->arena, &task, &f->err), MM_NOT_FOUND);
}

static void a_plan_of_a_run_that_was_already_is_refused(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 2, 1);
    mm_run_record record = {.run = 2, .state = MM_RUN_PLANNED};
    expect_status(f, db->plan_begin(f->store, &record, &f->err), MM_BUG);
    assert_int_equal(fixture_run(f).tasks_total, 1);
}

static void an_unknown_total_of_rows_stays_unknown(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    mm_run_record record = {.run = 1, .state = MM_RUN_PLANNED};
    expect_ok(f, db->plan_begin(f->store, &record, &f->err));
    record.rows_total = MM_COUNT_UNKNOWN;
    record.duplicates = 3;
    expect_ok(f, db->plan_totals(f->store, &record, &f->err));
    expect_ok(f, db->plan_end(f->store, true, &f->err));
    mm_run_record run = fixture_run(f);
    assert_true(run.rows_total == MM_COUNT_UNKNOWN);
    assert_int_equal(run.duplicates, 3);
}

static void the_total_settles_at_what_was_seen_unless_it_is_unknown(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 2);
    mm_task task = fixture_claim_one(f, MM_TASK_COPY);
    mm_cursor cursor;
    mm_op advance = fixture_advance(&task, &cursor, 900, true);
    mm_op phase = {.kind = MM_OP_PHASE, .text = "verify"}, after = {.kind = MM_OP_PHASE, .text = "after", .flag = true};
    fixture_apply(f, &advance, 1);
    fixture_apply(f, &phase, 1);
    assert_int_equal(fixture_run(f).rows_total, 2000);
    fixture_apply(f, &after, 1);
    assert_int_equal(fixture_run(f).rows_total, 900);

    mm_run_record record = {.run = 2, .state = MM_RUN_PLANNED, .rows_total = MM_COUNT_UNKNOWN};
    expect_ok(f, db->plan_begin(f->store, &record, &f->err));
    expect_ok(f, db->plan_totals(f->store, &record, &f->err));
    expect_ok(f, db->plan_end(f->store, true, &f->err));
    fixture_apply(f, &after, 1);
    assert_true(fixture_run(f).rows_total == MM_COUNT_UNKNOWN);
}

static void numbers_beyond_the_stores_integers_are_refused(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    mm_run_record record = {.run = 1, .state = MM_RUN_PLANNED};
    mm_task task = {.kind = MM_TASK_COPY, .rows = (uint64_t)INT64_MAX + 1};
    expect_ok(f, db->plan_begin(f->store, &record, &f->err));
    expect_status(f, db->plan_task(f->store, &task, &f->err), MM_DATA);
    expect_status(f, db->plan_end(f->store, true, &f->err), MM_IO);
    assert_int_equal(fixture_run(f).run, 0);

    fixture_plan(f, 1, 1);
    mm_cursor cursor;
    task = fixture_claim_one(f, MM_TASK_COPY);
    mm_op op = fixture_advance(&task, &cursor, 1, false);
    op.rows = UINT64_MAX;
    expect_status(f, db->apply(f->store, &op, 1, &f->err), MM_DATA);
    assert_int_equal(fixture_task(f, 1).cursor.row, 0);
}

static void thinning_belongs_to_the_copy_task_and_its_verify_task(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    mm_run_record record = {.run = 1, .state = MM_RUN_PLANNED};
    mm_task task = {.kind = MM_TASK_COPY, .rows = 10, .spec = "s", .spec_size = 1};
    mm_plan_collection collection = {.source_name = "a", .target_name = "b"};
    expect_ok(f, db->plan_begin(f->store, &record, &f->err));
    expect_ok(f, db->plan_collection(f->store, &collection, &f->err));
    expect_ok(f, db->plan_task(f->store, &task, &f->err));
    assert_int_equal(task.id, 1);
    expect_status(f, db->plan_thin(f->store, 2, "?", 1, &f->err), MM_BUG);
    expect_ok(f, db->plan_end(f->store, false, &f->err));

    expect_ok(f, db->plan_begin(f->store, &record, &f->err));
    expect_ok(f, db->plan_task(f->store, &task, &f->err));
    expect_ok(f, db->plan_thin(f->store, 1, "\1\2\3", 3, &f->err));
    expect_ok(f, db->plan_end(f->store, true, &f->err));
    mm_task got = fixture_claim_one(f, MM_TASK_COPY);
    assert_int_equal(got.thin_size, 3);
    assert_memory_equal(got.thin, "\1\2\3", 3);
    mm_cursor cursor;
    mm_op op = fixture_advance(&got, &cursor, 10, true);
    fixture_apply(f, &op, 1);
    expect_ok(f, db->verify_plan(f->store, false, &f->err));
    got = fixture_claim_one(f, MM_TASK_VERIFY);
    assert_int_equal(got.copy_of, 1);
    assert_int_equal(got.thin_size, 3);
    assert_memory_equal(got.spec, "s", 1);
    assert_int_equal(got.rows, 10);
}

static void claims_come_in_plan_order_and_only_once(void **state)
{
    mm_fixture *f = *state;
    mm_task tasks[8];
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 5);
    assert_int_equal(fixture_claim(f, MM_TASK_COPY, 3, tasks), 3);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(tasks[i].id, i + 1);
        assert_int_equal(tasks[i].epoch, 1);
    }
    assert_memory_equal(tasks[2].spec, "extent 2", 8);
    assert_int_equal(fixture_run(f).tasks_running, 3);
    assert_int_equal(fixture_claim(f, MM_TASK_COPY, 8, tasks), 2);
    assert_int_equal(tasks[0].id, 4);
    assert_int_equal(fixture_claim(f, MM_TASK_COPY, 8, tasks), 0);
    assert_int_equal(fixture_claim(f, MM_TASK_CHANGE, 8, tasks), 0);
}

static void tasks_of_a_former_owner_come_first_with_a_higher_epoch(void **state)
{
    mm_fixture *f = *state;
    mm_task tasks[8];
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 6);
    assert_int_equal(fixture_claim(f, MM_TASK_COPY, 4, tasks), 4);
    mm_cursor cursor;
    mm_op ops[] = {fixture_advance(&tasks[0], &cursor, 1000, true),
                   {.kind = MM_OP_RELEASE, .task = 2, .epoch = 1}};
    fixture_apply(f, ops, 2);
    fixture_reopen(f);
    assert_int_equal(fixture_claim(f, MM_TASK_COPY, 8, tasks), 5);
    const uint64_t order[] = {3, 4, 2, 5, 6};
    const uint64_t epochs[] = {2, 2, 2, 1, 1};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(tasks[i].id, order[i]);
        assert_int_equal(tasks[i].epoch, epochs[i]);
    }
}

static void a_claim_of_a_task_in_doubt_records_the_doubt(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 1);
    mm_task task = fixture_claim_one(f, MM_TASK_COPY);
    mm_cursor cursor;
    mm_op advance = fixture_advance(&task, &cursor, 100, false);
    mm_op reserve = {.kind = MM_OP_RESERVE, .task = 1, .epoch = 1, .row = 500};
    fixture_apply(f, &reserve, 1);
    fixture_apply(f, &advance, 1);
    for (int crash = 0; crash < 3; crash++) {
        fixture_reopen(f);
        task = fixture_claim_one(f, MM_TASK_COPY);
        assert_int_equal(task.cursor.row, 100);
        assert_int_equal(task.reserved, 500);
    }
    mm_doubt *doubts;
    size_t count;
    expect_ok(f, db->doubts(f->store, &f->arena, &doubts, &count, &f->err));
    assert_int_equal(count, 1);
    assert_int_equal(doubts[0].task, 1);
    assert_int_equal(doubts[0].from, 100);
    assert_int_equal(doubts[0].to, 500);
}

static void the_reserved_horizon_never_falls(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 1);
    mm_task task = fixture_claim_one(f, MM_TASK_COPY);
    mm_op ops[] = {{.kind = MM_OP_RESERVE, .task = 1, .epoch = 1, .row = 500},
                   {.kind = MM_OP_RESERVE, .task = 1, .epoch = 1, .row = 200}};
    fixture_apply(f, ops, 2);
    assert_int_equal(fixture_task(f, 1).reserved, 500);
    mm_cursor cursor;
    mm_op advance = fixture_advance(&task, &cursor, 600, false);
    fixture_apply(f, &advance, 1);
    assert_int_equal(fixture_task(f, 1).reserved, 600);
    advance.row = 900;
    fixture_apply(f, &advance, 1);
    assert_int_equal(fixture_task(f, 1).reserved, 900);
}

static void operations_of_an_older_epoch_are_fenced_and_change_nothing(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 1);
    mm_task old = fixture_claim_one(f, MM_TASK_COPY);
    fixture_reopen(f);
    fixture_claim_one(f, MM_TASK_COPY);
    char *before = store_describe(f->store);
    mm_cursor cursor;
    mm_op ops[] = {fixture_advance(&old, &cursor, 1000, true),
                   {.kind = MM_OP_RESERVE, .task = 1, .epoch = 1, .row = 9},
                   {.kind = MM_OP_RELEASE, .task = 1, .epoch = 1},
                   {.kind = MM_OP_DOUBT, .task = 1, .epoch = 1, .row = 1, .to_row = 2}};
    fixture_apply(f, ops, MM_COUNT(ops));
    for (size_t i = 0; i < MM_COUNT(ops); i++)
        assert_true(ops[i].fenced);
    char *after = store_describe(f->store);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

static void a_task_that_was_released_or_is_done_is_fenced_too(void **state)
{
    mm_fixture *f = *state;
    mm_task tasks[2];
    mm_cursor cursor;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 2);
    fixture_claim(f, MM_TASK_COPY, 2, tasks);
    mm_op ops[] = {fixture_advance(&tasks[0], &cursor, 1000, true),
                   {.kind = MM_OP_RELEASE, .task = 2, .epoch = 1}};
    fixture_apply(f, ops, 2);
    assert_false(ops[0].fenced);
    assert_false(ops[1].fenced);
    mm_op late[] = {fixture_advance(&tasks[0], &cursor, 1000, true),
                    fixture_advance(&tasks[1], &cursor, 1000, true)};
    fixture_apply(f, late, 2);
    assert_true(late[0].fenced);
    assert_true(late[1].fenced);
    assert_int_equal(fixture_run(f).rows_done, 1000);
    assert_int_equal(fixture_run(f).tasks_done, 1);
}

static void a_fenced_operation_does_not_hold_up_the_others(void **state)
{
    mm_fixture *f = *state;
    mm_task tasks[2];
    mm_cursor a, b;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 2);
    fixture_claim(f, MM_TASK_COPY, 2, tasks);
    tasks[0].epoch = 77;
    mm_op ops[] = {fixture_advance(&tasks[0], &a, 10, false),
                   fixture_advance(&tasks[1], &b, 20, false)};
    fixture_apply(f, ops, 2);
    assert_true(ops[0].fenced);
    assert_false(ops[1].fenced);
    assert_int_equal(fixture_task(f, 1).cursor.row, 0);
    assert_int_equal(fixture_task(f, 2).cursor.row, 20);
    assert_int_equal(fixture_run(f).rows_done, 20);
}

static void an_advance_adds_to_the_task_and_to_the_run(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 2);
    mm_task task = fixture_claim_one(f, MM_TASK_COPY);
    mm_cursor cursor = {.row = 50, .mark_size = 3, .mark = {9, 0, 7}};
    mm_op op = {.kind = MM_OP_ADVANCE, .task = 1, .epoch = task.epoch, .cursor = &cursor,
                .rows = 40, .rejected = 6, .thinned = 4, .bytes = 160, .resent = 5,
                .checksum = UINT64_MAX - 1, .rejects_size = 300};
    fixture_apply(f, &op, 1);
    op.cursor = NULL;
    op.checksum = 12;
    op.rejects_size = 0;
    op.done = true;
    fixture_apply(f, &op, 1);
    task = fixture_task(f, 1);
    assert_int_equal(task.cursor.row, 50);
    assert_int_equal(task.cursor.mark_size, 3);
    assert_memory_equal(task.cursor.mark, cursor.mark, 3);
    assert_int_equal(task.rows_done, 80);
    assert_int_equal(task.rejected, 12);
    assert_int_equal(task.thinned, 8);
    assert_int_equal(task.bytes_done, 320);
    assert_int_equal(task.checksum, 10); /* modulo 2^64 */
    mm_run_record run = fixture_run(f);
    assert_int_equal(run.rows_done, 80);
    assert_int_equal(run.rows_rejected, 12);
    assert_int_equal(run.rows_thinned, 8);
    assert_int_equal(run.bytes_done, 320);
    assert_int_equal(run.rows_resent, 10);
    assert_int_equal(run.rejects_size, 300);
    assert_int_equal(run.tasks_done, 1);
    assert_int_equal(run.tasks_running, 0);
}

static void a_cursor_never_goes_back(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 1);
    mm_task task = fixture_claim_one(f, MM_TASK_COPY);
    mm_cursor cursor;
    mm_op op = fixture_advance(&task, &cursor, 500, false);
    fixture_apply(f, &op, 1);
    fixture_apply(f, &op, 1); /* to where it stands already */
    op = fixture_advance(&task, &cursor, 499, false);
    expect_status(f, db->apply(f->store, &op, 1, &f->err), MM_BUG);
    op.epoch = 0;
    expect_status(f, db->apply(f->store, &op, 1, &f->err), MM_BUG);
    assert_int_equal(fixture_task(f, 1).cursor.row, 500);
}

static void a_failing_operation_takes_the_whole_list_back(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 1);
    mm_task task = fixture_claim_one(f, MM_TASK_COPY);
    char *before = store_describe(f->store);
    mm_cursor cursor;
    mm_op ops[] = {fixture_advance(&task, &cursor, 10, false),
                   {.kind = MM_OP_TARGET, .collection = 99, .text = "?"}};
    expect_status(f, db->apply(f->store, ops, 2, &f->err), MM_BUG);
    char *after = store_describe(f->store);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

static void a_run_ends_with_state_error_and_verdict(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 1);
    mm_verdict verdict = {MM_VERDICT_DIFFERENT, 10, MM_COUNT_UNKNOWN, 2};
    mm_op ops[] = {{.kind = MM_OP_PHASE, .text = "verify", .active_ms = 20},
                   {.kind = MM_OP_RUN, .state = MM_RUN_FAILED, .text = "row 3 differs",
                    .exit_code = 4, .finished_ms = 77, .verdict = &verdict, .active_ms = 5}};
    fixture_apply(f, ops, 2);
    mm_run_record run = fixture_run(f);
    assert_int_equal(run.state, MM_RUN_FAILED);
    assert_string_equal(run.phase, "verify");
    assert_string_equal(run.error, "row 3 differs");
    assert_int_equal(run.exit_code, 4);
    assert_int_equal(run.finished_ms, 77);
    assert_int_equal(run.active_ms, 25);
    assert_int_equal(run.verdict.state, MM_VERDICT_DIFFERENT);
    assert_int_equal(run.verdict.source_rows, 10);
    assert_true(run.verdict.target_rows == MM_COUNT_UNKNOWN);

    mm_op again = {.kind = MM_OP_RUN, .state = MM_RUN_RUNNING};
    fixture_apply(f, &again, 1);
    run = fixture_run(f);
    assert_null(run.error);
    assert_int_equal(run.finished_ms, 0);
    assert_int_equal(run.verdict.state, MM_VERDICT_DIFFERENT);
}

static void a_fence_moves_forward_only_and_opens_a_seal(void **state)
{
    mm_fixture *f = *state;
    mm_plan_collection *c;
    size_t count;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 1);
    mm_op ops[] = {{.kind = MM_OP_FENCE, .row = 2, .flag = true},
                   {.kind = MM_OP_FENCE, .row = 2, .flag = false},
                   {.kind = MM_OP_TARGET, .text = "id 5"},
                   {.kind = MM_OP_SEAL}};
    fixture_apply(f, ops, 1);
    expect_ok(f, db->collections(f->store, &f->arena, &c, &count, &f->err));
    assert_int_equal(c->fence, 2);
    assert_true(c->fence_intended);
    fixture_apply(f, ops + 1, 3);
    expect_ok(f, db->collections(f->store, &f->arena, &c, &count, &f->err));
    assert_false(c->fence_intended);
    assert_true(c->sealed);
    assert_string_equal(c->target_fingerprint, "id 5");
    mm_op back = {.kind = MM_OP_FENCE, .row = 1};
    expect_status(f, db->apply(f->store, &back, 1, &f->err), MM_BUG);
    mm_op on = {.kind = MM_OP_FENCE, .row = 3, .flag = true};
    fixture_apply(f, &on, 1);
    expect_ok(f, db->collections(f->store, &f->arena, &c, &count, &f->err));
    assert_false(c->sealed);
}

static void steps_are_started_then_done_in_their_order(void **state)
{
    mm_fixture *f = *state;
    mm_step_record *steps;
    size_t count;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 1);
    mm_op ops[] = {{.kind = MM_OP_STEP, .key = "drop", .text = "id 4"},
                   {.kind = MM_OP_STEP, .key = "create", .text = NULL},
                   {.kind = MM_OP_STEP, .key = "drop", .text = "gone", .flag = true}};
    fixture_apply(f, ops, MM_COUNT(ops));
    expect_ok(f, db->steps(f->store, 0, &f->arena, &steps, &count, &f->err));
    assert_int_equal(count, 2);
    assert_string_equal(steps[0].name, "drop");
    assert_string_equal(steps[0].text, "gone");
    assert_true(steps[0].done);
    assert_string_equal(steps[1].name, "create");
    assert_false(steps[1].done);
    mm_op unknown = {.kind = MM_OP_STEP, .collection = 9, .key = "drop"};
    expect_status(f, db->apply(f->store, &unknown, 1, &f->err), MM_BUG);
}

static void states_are_set_replaced_and_removed(void **state)
{
    mm_fixture *f = *state;
    mm_state_record *states;
    size_t count;
    fixture_open(f, MM_STORE_CREATE);
    mm_op ops[] = {{.kind = MM_OP_STATE, .key = "b", .text = "1"},
                   {.kind = MM_OP_STATE, .key = "a", .text = "2"},
                   {.kind = MM_OP_STATE, .key = "c", .text = "3"},
                   {.kind = MM_OP_STATE, .key = "b", .text = "4"},
                   {.kind = MM_OP_STATE, .key = "c", .text = NULL}};
    fixture_apply(f, ops, MM_COUNT(ops));
    expect_ok(f, db->states(f->store, &f->arena, &states, &count, &f->err));
    assert_int_equal(count, 2);
    assert_string_equal(states[0].key, "a");
    assert_string_equal(states[1].value, "4");
}

/* Collections 0 and 1 in turn, three tasks each time. */
static void plan_two_collections(mm_fixture *f)
{
    mm_run_record record = {.run = 1, .state = MM_RUN_PLANNED};
    expect_ok(f, db->plan_begin(f->store, &record, &f->err));
    for (uint32_t id = 0; id < 2; id++) {
        mm_plan_collection collection = {.id = id, .source_name = "s", .target_name = "t"};
        expect_ok(f, db->plan_collection(f->store, &collection, &f->err));
    }
    for (size_t i = 0; i < 12; i++) {
        mm_task task = {.kind = MM_TASK_COPY, .collection = i / 3 % 2, .rows = 10,
                        .partition = (uint32_t)(i % 3)};
        expect_ok(f, db->plan_task(f->store, &task, &f->err));
    }
    expect_ok(f, db->plan_end(f->store, true, &f->err));
}

static void tasks_of_a_skipped_collection_count_as_done_and_are_not_claimed(void **state)
{
    mm_fixture *f = *state;
    mm_task tasks[16];
    fixture_open(f, MM_STORE_CREATE);
    plan_two_collections(f);
    fixture_claim(f, MM_TASK_COPY, 4, tasks); /* the fourth is of collection 1 */
    mm_op skip = {.kind = MM_OP_SKIP, .collection = 1};
    fixture_apply(f, &skip, 1);
    assert_int_equal(fixture_run(f).tasks_done, 6);
    fixture_apply(f, &skip, 1);
    assert_int_equal(fixture_run(f).tasks_done, 6);
    fixture_reopen(f);
    assert_int_equal(fixture_claim(f, MM_TASK_COPY, 16, tasks), 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(tasks[i].collection, 0);
    assert_int_equal(tasks[5].id, 9);
}

static void expected_rows_are_summed_by_collection_and_partition(void **state)
{
    mm_fixture *f = *state;
    mm_task tasks[12];
    mm_cursor cursor;
    uint64_t rows;
    fixture_open(f, MM_STORE_CREATE);
    plan_two_collections(f);
    fixture_claim(f, MM_TASK_COPY, 12, tasks);
    for (size_t i = 0; i < 12; i++) {
        mm_op op = fixture_advance(&tasks[i], &cursor, i + 1, true);
        fixture_apply(f, &op, 1);
    }
    expect_ok(f, db->expected(f->store, 0, UINT32_MAX, &rows, &f->err));
    assert_int_equal(rows, 1 + 2 + 3 + 7 + 8 + 9);
    expect_ok(f, db->expected(f->store, 1, 2, &rows, &f->err));
    assert_int_equal(rows, 6 + 12);
    expect_ok(f, db->expected(f->store, 5, 0, &rows, &f->err));
    assert_int_equal(rows, 0);
}

static mm_status count_task(void *context, const mm_task *task, mm_error *err)
{
    uint64_t *sum = context;
    if (task->id == 200)
        return mm_error_set(err, MM_CANCELLED, "enough");
    *sum += task->id;
    return MM_OK;
}

static void all_tasks_are_walked_in_order_until_the_callback_says_stop(void **state)
{
    mm_fixture *f = *state;
    uint64_t sum = 0;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 150);
    expect_ok(f, db->tasks(f->store, count_task, &sum, &f->err));
    assert_int_equal(sum, 150 * 151 / 2);
    fixture_plan(f, 2, 250);
    sum = 0;
    expect_status(f, db->tasks(f->store, count_task, &sum, &f->err), MM_CANCELLED);
    assert_int_equal(sum, 199 * 200 / 2);
}

/* Copies four tasks: rows 0, 10, 20, 30; the fourth with a doubt. */
static void copy_four(mm_fixture *f)
{
    mm_task tasks[4];
    mm_cursor cursor;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 4);
    fixture_claim(f, MM_TASK_COPY, 4, tasks);
    for (size_t i = 0; i < 4; i++) {
        mm_op op = fixture_advance(&tasks[i], &cursor, i * 10, true);
        fixture_apply(f, &op, 1);
    }
    mm_op doubt = {.kind = MM_OP_DOUBT, .task = 4, .row = 5, .to_row = 9};
    fixture_apply(f, &doubt, 1);
}

static void one_verify_task_is_made_for_each_copy_task_that_wrote_rows(void **state)
{
    mm_fixture *f = *state;
    mm_task tasks[8];
    copy_four(f);
    expect_ok(f, db->verify_plan(f->store, false, &f->err));
    expect_ok(f, db->verify_plan(f->store, false, &f->err)); /* replaces */
    assert_int_equal(fixture_run(f).verify_total, 3);
    assert_int_equal(fixture_claim(f, MM_TASK_VERIFY, 8, tasks), 3);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(tasks[i].copy_of, i + 2);
        assert_int_equal(tasks[i].kind, MM_TASK_VERIFY);
    }
    assert_memory_equal(tasks[0].spec, "extent 1", 8);
    expect_ok(f, db->verify_plan(f->store, true, &f->err));
    assert_int_equal(fixture_claim(f, MM_TASK_VERIFY, 8, tasks), 1);
    assert_int_equal(tasks[0].copy_of, 4);
    assert_int_equal(fixture_run(f).tasks_total, 4);
}

static void verify_tasks_count_apart_from_copy_tasks(void **state)
{
    mm_fixture *f = *state;
    copy_four(f);
    mm_verdict equal = {MM_VERDICT_EQUAL, 60, 60, 0};
    mm_op done = {.kind = MM_OP_RUN, .state = MM_RUN_DONE, .verdict = &equal};
    fixture_apply(f, &done, 1);
    expect_ok(f, db->verify_plan(f->store, false, &f->err));
    assert_int_equal(fixture_run(f).verdict.state, MM_VERDICT_NONE);
    mm_task task = fixture_claim_one(f, MM_TASK_VERIFY);
    mm_cursor cursor;
    mm_op op = fixture_advance(&task, &cursor, 10, true);
    op.mismatched = 2;
    fixture_apply(f, &op, 1);
    mm_run_record run = fixture_run(f);
    assert_int_equal(run.verify_done, 1);
    assert_int_equal(run.tasks_done, 4);
    assert_int_equal(run.rows_done, 60);
    uint64_t mismatches;
    expect_ok(f, db->mismatches(f->store, &mismatches, &f->err));
    assert_int_equal(mismatches, 2);
    uint64_t rows;
    expect_ok(f, db->expected(f->store, 0, UINT32_MAX, &rows, &f->err));
    assert_int_equal(rows, 60);
}

static void a_repair_puts_all_rows_of_wrong_tasks_in_doubt(void **state)
{
    mm_fixture *f = *state;
    mm_task tasks[8];
    mm_cursor cursor;
    copy_four(f);
    size_t count = 9;
    expect_ok(f, db->verify_plan(f->store, false, &f->err));
    expect_ok(f, db->repair_plan(f->store, NULL, 0, &count, &f->err));
    assert_int_equal(count, 0);
    assert_int_equal(fixture_claim(f, MM_TASK_VERIFY, 8, tasks), 3);
    for (size_t i = 0; i < 3; i++) {
        mm_op op = fixture_advance(&tasks[i], &cursor, 1, true);
        op.mismatched = i == 1 ? 3 : 0; /* of copy task 3 */
        fixture_apply(f, &op, 1);
    }
    expect_ok(f, db->repair_plan(f->store, NULL, 0, &count, &f->err));
    assert_int_equal(count, 1);
    mm_run_record run = fixture_run(f);
    assert_int_equal(run.tasks_done, 3);
    assert_int_equal(run.rows_done, 40);
    uint64_t rows;
    expect_ok(f, db->expected(f->store, 0, UINT32_MAX, &rows, &f->err));
    assert_int_equal(rows, 40);
    expect_ok(f, db->repair_plan(f->store, NULL, 0, &count, &f->err));
    assert_int_equal(count, 0);

    mm_task task = fixture_claim_one(f, MM_TASK_COPY);
    assert_int_equal(task.id, 3);
    assert_int_equal(task.epoch, 2);
    assert_int_equal(task.cursor.row, 0);
    assert_int_equal(task.reserved, 20);
    mm_doubt *doubts;
    expect_ok(f, db->doubts(f->store, &f->arena, &doubts, &count, &f->err));
    assert_int_equal(count, 2);
    assert_int_equal(doubts[0].task, 3);
    assert_int_equal(doubts[0].to, 20);
}

/* The only sweep that is asked for. */
static mm_sweep one_sweep(mm_fixture *f)
{
    mm_sweep *sweeps;
    size_t count = 0;
    expect_ok(f, db->sweeps(f->store, &f->arena, &sweeps, &count, &f->err));
    assert_int_equal(count, 1);
    return sweeps[0];
}

static size_t keys_left(mm_fixture *f, mm_extra **extras)
{
    size_t count = 9;
    expect_ok(f, db->sweep_keys(f->store, 0, 2, &f->arena, extras, &count, &f->err));
    return count;
}

static void keys_of_a_sweep_are_all_kept_or_none(void **state)
{
    mm_fixture *f = *state;
    mm_extra *extras;
    size_t count = 9;
    copy_four(f);
    expect_ok(f, db->sweeps(f->store, &f->arena, &(mm_sweep *){NULL}, &count, &f->err));
    assert_int_equal(count, 0);
    expect_ok(f, db->repair_plan(f->store, (const uint32_t[]){0}, 1, &count, &f->err));
    assert_int_equal(count, 0);
    assert_string_equal(fixture_run(f).phase, "copy");
    assert_int_equal(one_sweep(f).rows, 60);
    assert_false(one_sweep(f).found);
    for (int commit = 0; commit < 2; commit++) {
        expect_ok(f, db->sweep_begin(f->store, 0, &f->err));
        expect_ok(f, db->sweep_add(f->store, 0, "first", 5, &f->err));
        expect_ok(f, db->sweep_add(f->store, 0, "", 0, &f->err));
        expect_ok(f, db->sweep_add(f->store, 0, "a\0b", 3, &f->err));
        expect_ok(f, db->sweep_end(f->store, 0, commit, &f->err));
        fixture_reopen(f);
        assert_int_equal(one_sweep(f).found, commit);
        assert_int_equal(keys_left(f, &extras), commit ? 2 : 0);
    }
    assert_int_equal(extras[0].size, 5);
    assert_memory_equal(extras[0].key, "first", 5);
    assert_int_equal(extras[1].size, 0);
}

static void keys_that_the_target_lost_are_taken_off(void **state)
{
    mm_fixture *f = *state;
    mm_extra *extras;
    size_t count;
    copy_four(f);
    expect_ok(f, db->repair_plan(f->store, (const uint32_t[]){0}, 1, &count, &f->err));
    expect_ok(f, db->sweep_begin(f->store, 0, &f->err));
    for (int i = 0; i < 3; i++)
        expect_ok(f, db->sweep_add(f->store, 0, &(char){(char)('a' + i)}, 1, &f->err));
    expect_ok(f, db->sweep_end(f->store, 0, true, &f->err));
    assert_int_equal(keys_left(f, &extras), 2);
    mm_op op = {.kind = MM_OP_SWEPT, .row = extras[1].id, .rows = 2};
    fixture_apply(f, &op, 1);
    assert_int_equal(keys_left(f, &extras), 1);
    assert_memory_equal(extras[0].key, "c", 1);
    assert_int_equal(one_sweep(f).rows, 58);
    op = (mm_op){.kind = MM_OP_SWEPT, .row = extras[0].id, .rows = 1, .done = true};
    fixture_apply(f, &op, 1);
    assert_int_equal(keys_left(f, &extras), 0);
    expect_ok(f, db->sweeps(f->store, &f->arena, &(mm_sweep *){NULL}, &count, &f->err));
    assert_int_equal(count, 0);
    /* asked for again: what was removed is not the job's any more, whatever its tasks wrote */
    expect_ok(f, db->repair_plan(f->store, (const uint32_t[]){0}, 1, &count, &f->err));
    assert_int_equal(one_sweep(f).rows, 57);
}

/* Of 60 rows written, replaced ones included, verdicts found so many in the target. */
static void an_equal_verdict_says_how_many_rows_are_the_jobs(void **state)
{
    mm_fixture *f = *state;
    size_t count;
    copy_four(f);
    static const struct {
        uint64_t counted;
        bool equal;
        uint64_t rows, others;
    } verdicts[] = {{55, false, 55, 0}, {58, false, 55, 3}, {50, true, 50, 0}, {51, false, 50, 1}, {49, false, 50, 0}};
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        mm_op op = {.kind = MM_OP_COUNTED, .rows = verdicts[i].counted, .flag = verdicts[i].equal};
        fixture_apply(f, &op, 1);
        expect_ok(f, db->repair_plan(f->store, (const uint32_t[]){0}, 1, &count, &f->err));
        assert_int_equal(one_sweep(f).rows, verdicts[i].rows);
        assert_int_equal(one_sweep(f).others, verdicts[i].others);
    }
}

static void a_first_verdict_never_counts_more_rows_than_were_written(void **state)
{
    mm_fixture *f = *state;
    size_t count;
    copy_four(f);
    mm_op op = {.kind = MM_OP_COUNTED, .rows = 64};
    fixture_apply(f, &op, 1);
    expect_ok(f, db->repair_plan(f->store, (const uint32_t[]){0}, 1, &count, &f->err));
    assert_int_equal(one_sweep(f).rows, 60);
    assert_int_equal(one_sweep(f).others, 4);
}

static void rows_that_a_pass_wrote_later_are_the_jobs_too(void **state)
{
    mm_fixture *f = *state;
    mm_cursor cursor;
    size_t count;
    copy_four(f);
    mm_op op = {.kind = MM_OP_COUNTED, .rows = 60, .flag = true};
    fixture_apply(f, &op, 1);
    for (uint64_t pass = 1; pass <= 2; pass++) {
        mm_task task = {.kind = MM_TASK_CHANGE, .rows = 8, .spec = "more", .spec_size = 4};
        expect_ok(f, db->repair_plan(f->store, (const uint32_t[]){0}, 1, &count, &f->err));
        expect_ok(f, db->plan_more(f->store, "catch-up:1", &f->err));
        expect_ok(f, db->plan_task(f->store, &task, &f->err));
        expect_ok(f, db->plan_end(f->store, true, &f->err));
        task = fixture_claim_one(f, MM_TASK_CHANGE);
        op = fixture_advance(&task, &cursor, 8, true);
        fixture_apply(f, &op, 1);
        assert_int_equal(one_sweep(f).rows, 60 + 8 * pass);
    }
}

#define THREADS 4
#define SHARED_TASKS 200

typedef struct worker {
    mm_fixture *fixture;
    pthread_t thread;
    uint64_t claimed; /* tasks that this thread has claimed and done */
    mm_status status;
} worker;

static void *claim_and_finish_until_none_is_left(void *argument)
{
    worker *w = argument;
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_store *store = w->fixture->store;
    size_t count = 1;
    while (count > 0 && w->status == MM_OK) {
        mm_task task;
        mm_cursor cursor;
        mm_run_record run;
        w->status = db->claim(store, MM_TASK_COPY, 1, &arena, &task, &count, &err);
        if (w->status != MM_OK || count == 0)
            break;
        mm_op op = fixture_advance(&task, &cursor, 1000, true);
        w->status = db->apply(store, &op, 1, &err);
        if (w->status == MM_OK)
            w->status = db->run_read(store, &arena, &run, &err);
        w->claimed += !op.fenced;
        mm_arena_reset(&arena);
    }
    mm_arena_free(&arena);
    return NULL;
}

static void any_thread_may_call_and_each_task_goes_to_one(void **state)
{
    mm_fixture *f = *state;
    worker workers[THREADS];
    uint64_t claimed = 0;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, SHARED_TASKS);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.fixture = f};
        assert_int_equal(pthread_create(&workers[i].thread, NULL,
                                        claim_and_finish_until_none_is_left, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].status, MM_OK);
        claimed += workers[i].claimed;
    }
    assert_int_equal(claimed, SHARED_TASKS);
    assert_int_equal(fixture_run(f).tasks_done, SHARED_TASKS);
    assert_int_equal(fixture_run(f).rows_done, SHARED_TASKS * 1000);
}

static void names_of_states_are_those_of_the_status_command(void **state)
{
    (void)state;
    assert_string_equal(mm_run_state_name(MM_RUN_NONE), "none");
    assert_string_equal(mm_run_state_name(MM_RUN_INTERRUPTED), "interrupted");
    assert_string_equal(mm_run_state_name(MM_RUN_DONE), "done");
    assert_string_equal(mm_run_state_name((mm_run_state)99), "unknown");
    assert_string_equal(mm_verdict_state_name(MM_VERDICT_DIFFERENT), "different");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_missing_store_is_not_found_and_nothing_is_created),
        TEST(a_new_store_has_no_job_and_no_run),
        TEST(files_are_for_the_owner_alone),
        TEST(the_job_is_kept_and_its_tag_never_changes),
        TEST(a_job_written_in_a_plan_goes_with_the_plan),
        TEST(a_plan_is_there_whole_after_plan_end),
        TEST(a_plan_that_is_given_up_leaves_no_trace),
        TEST(a_plan_cut_off_by_close_leaves_no_trace),
        TEST(nothing_else_is_written_while_a_plan_is_open),
        TEST(a_new_plan_removes_the_former_runs_rows_and_keeps_its_record),
        TEST(a_plan_of_a_run_that_was_already_is_refused),
        TEST(an_unknown_total_of_rows_stays_unknown),
        TEST(the_total_settles_at_what_was_seen_unless_it_is_unknown),
        TEST(numbers_beyond_the_stores_integers_are_refused),
        TEST(thinning_belongs_to_the_copy_task_and_its_verify_task),
        TEST(claims_come_in_plan_order_and_only_once),
        TEST(tasks_of_a_former_owner_come_first_with_a_higher_epoch),
        TEST(a_claim_of_a_task_in_doubt_records_the_doubt),
        TEST(the_reserved_horizon_never_falls),
        TEST(operations_of_an_older_epoch_are_fenced_and_change_nothing),
        TEST(a_task_that_was_released_or_is_done_is_fenced_too),
        TEST(a_fenced_operation_does_not_hold_up_the_others),
        TEST(an_advance_adds_to_the_task_and_to_the_run),
        TEST(a_cursor_never_goes_back),
        TEST(a_failing_operation_takes_the_whole_list_back),
        TEST(a_run_ends_with_state_error_and_verdict),
        TEST(a_fence_moves_forward_only_and_opens_a_seal),
        TEST(steps_are_started_then_done_in_their_order),
        TEST(states_are_set_replaced_and_removed),
        TEST(tasks_of_a_skipped_collection_count_as_done_and_are_not_claimed),
        TEST(expected_rows_are_summed_by_collection_and_partition),
        TEST(all_tasks_are_walked_in_order_until_the_callback_says_stop),
        TEST(one_verify_task_is_made_for_each_copy_task_that_wrote_rows),
        TEST(verify_tasks_count_apart_from_copy_tasks),
        TEST(a_repair_puts_all_rows_of_wrong_tasks_in_doubt),
        TEST(keys_of_a_sweep_are_all_kept_or_none),
        TEST(keys_that_the_target_lost_are_taken_off),
        TEST(an_equal_verdict_says_how_many_rows_are_the_jobs),
        TEST(a_first_verdict_never_counts_more_rows_than_were_written),
        TEST(rows_that_a_pass_wrote_later_are_the_jobs_too),
        TEST(any_thread_may_call_and_each_task_goes_to_one),
        TEST(names_of_states_are_those_of_the_status_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
