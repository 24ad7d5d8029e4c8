/* The savepoint store and other processes: the lock, its holder, readers beside a writer, what a
 * killed writer leaves, removal, and files that are no store of this version. */
#include "support/store_workload.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

static const mm_store_driver *const db = &mm_store_sqlite;

/* A child that has done `work` on the store and holds it open until it is killed. */
static pid_t start_holder(mm_fixture *f, void (*work)(mm_fixture *f))
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_open(f, MM_STORE_CREATE);
        work(f);
        if (write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void end_holder(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void plan_three(mm_fixture *f)
{
    fixture_plan(f, 1, 3);
}

static void plan_and_begin_another(mm_fixture *f)
{
    mm_run_record run = {.run = 2, .state = MM_RUN_PLANNED};
    fixture_plan(f, 1, 3);
    expect_ok(f, db->plan_begin(f->store, &run, &f->err));
}

static void a_second_process_is_told_at_once_that_the_job_is_busy(void **state)
{
    mm_fixture *f = *state;
    pid_t child = start_holder(f, plan_three);
    uint64_t start = mm_clock_ms();
    expect_status(f, fixture_try_open(f, MM_STORE_WRITE), MM_BUSY);
    char pid[32];
    snprintf(pid, sizeof pid, "process %d ", (int)child);
    assert_non_null(strstr(f->err.text, pid));
    expect_status(f, fixture_try_open(f, MM_STORE_CREATE), MM_BUSY);
    assert_true(mm_clock_ms() - start < 500);
    end_holder(child);
}

static void the_same_process_cannot_open_it_twice(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    mm_store *first = f->store;
    f->store = NULL;
    expect_status(f, fixture_try_open(f, MM_STORE_WRITE), MM_BUSY);
    db->close(first);
    fixture_open(f, MM_STORE_WRITE);
}

static void the_holder_is_named_without_disturbing_anybody(void **state)
{
    mm_fixture *f = *state;
    assert_int_equal(mm_store_holder(f->dir, FIXTURE_JOB), 0);
    pid_t child = start_holder(f, plan_three);
    assert_int_equal(mm_store_holder(f->dir, FIXTURE_JOB), child);
    end_holder(child);
    assert_int_equal(mm_store_holder(f->dir, FIXTURE_JOB), 0);
}

static void a_killed_holder_frees_the_lock(void **state)
{
    mm_fixture *f = *state;
    pid_t child = start_holder(f, plan_three);
    end_holder(child);
    fixture_open(f, MM_STORE_WRITE);
    assert_int_equal(fixture_run(f).tasks_total, 3);
}

static void a_lock_is_not_inherited_by_programs_that_are_started(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    pid_t child = fork();
    if (child == 0) {
        execlp("sleep", "sleep", "20", (char *)NULL);
        _exit(127);
    }
    nanosleep(&(struct timespec){0, 200000000}, NULL);
    fixture_close(f);
    fixture_open(f, MM_STORE_WRITE);
    end_holder(child);
}

static void a_reader_sees_what_a_live_writer_has_committed(void **state)
{
    mm_fixture *f = *state;
    pid_t child = start_holder(f, plan_and_begin_another);
    fixture_open(f, MM_STORE_READ);
    assert_int_equal(fixture_run(f).run, 1); /* the plan under way is not committed */
    assert_int_equal(fixture_run(f).tasks_total, 3);
    end_holder(child);
    assert_int_equal(fixture_run(f).run, 1);
}

static void a_reader_reads_what_a_killed_writer_left(void **state)
{
    mm_fixture *f = *state;
    pid_t child = start_holder(f, plan_and_begin_another);
    end_holder(child);
    assert_int_equal(access(fixture_path(f, "products.db-wal"), F_OK), 0);
    fixture_open(f, MM_STORE_READ);
    assert_int_equal(fixture_run(f).run, 1);
    assert_int_equal(fixture_task(f, 3).id, 3);
}

static void a_reader_changes_nothing(void **state)
{
    mm_fixture *f = *state;
    size_t count;
    mm_task task;
    mm_op op = {.kind = MM_OP_STATE, .key = "k", .text = "v"};
    mm_job_record job = {.name = "products"};
    mm_run_record run = {.run = 2, .state = MM_RUN_PLANNED};
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 3);
    fixture_close(f);
    fixture_open(f, MM_STORE_READ);
    expect_status(f, db->apply(f->store, &op, 1, &f->err), MM_BUG);
    expect_status(f, db->job_write(f->store, &job, &f->err), MM_BUG);
    expect_status(f, db->plan_begin(f->store, &run, &f->err), MM_BUG);
    expect_status(f, db->verify_plan(f->store, false, &f->err), MM_BUG);
    expect_status(f, db->claim(f->store, MM_TASK_COPY, 1, &f->arena, &task, &count, &f->err),
                  MM_BUG);
    expect_status(f, db->destroy(f->store, &f->err), MM_BUG);
    f->store = NULL;
    assert_int_equal(access(fixture_path(f, "products.db"), F_OK), 0);
}

static void a_destroyed_store_is_gone_and_can_be_made_anew(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 3);
    expect_ok(f, db->destroy(f->store, &f->err));
    f->store = NULL;
    assert_int_not_equal(access(fixture_path(f, "products.db"), F_OK), 0);
    assert_int_not_equal(access(fixture_path(f, "products.db-wal"), F_OK), 0);
    assert_int_not_equal(access(fixture_path(f, "products.db-shm"), F_OK), 0);
    assert_int_equal(mm_store_holder(f->dir, FIXTURE_JOB), 0);
    expect_status(f, fixture_try_open(f, MM_STORE_WRITE), MM_NOT_FOUND);
    fixture_open(f, MM_STORE_CREATE);
    assert_int_equal(fixture_run(f).run, 0);
}

static void a_reader_of_a_destroyed_store_never_meets_the_new_one(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 3);
    mm_store *writer = f->store;
    fixture_open(f, MM_STORE_READ);
    mm_store *reader = f->store;
    assert_int_equal(fixture_run(f).run, 1);
    expect_ok(f, db->destroy(writer, &f->err));
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 4, 9);
    char *before = store_describe(f->store);
    mm_store *fresh = f->store;
    f->store = reader;
    assert_int_equal(fixture_run(f).run, 1);
    assert_int_equal(fixture_run(f).tasks_total, 3);
    fixture_close(f);
    f->store = fresh;
    fixture_reopen(f);
    char *after = store_describe(f->store);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

static void a_removal_cut_short_leaves_no_older_savepoint(void **state)
{
    mm_fixture *f = *state;
    pid_t child = start_holder(f, plan_three);
    end_holder(child); /* the log is there */
    assert_int_equal(unlink(fixture_path(f, "products.db")), 0);
    expect_status(f, fixture_try_open(f, MM_STORE_WRITE), MM_NOT_FOUND);
    fixture_open(f, MM_STORE_CREATE);
    assert_int_equal(fixture_run(f).run, 0);
}

static void run_sql(mm_fixture *f, const char *name, const char *sql)
{
    sqlite3 *raw = NULL;
    assert_int_equal(sqlite3_open(fixture_path(f, name), &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(raw);
}

static void a_store_of_a_newer_version_is_refused(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_close(f);
    run_sql(f, "products.db", "PRAGMA user_version = 99");
    expect_status(f, fixture_try_open(f, MM_STORE_WRITE), MM_CONFIG);
    assert_non_null(strstr(f->err.text, "version 99"));
    expect_status(f, fixture_try_open(f, MM_STORE_READ), MM_CONFIG);
}

static void a_store_of_the_first_version_is_brought_up_to_date(void **state)
{
    mm_fixture *f = *state;
    size_t count = 9;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 4);
    fixture_close(f);
    run_sql(f, "products.db", "DROP TABLE sweep; DROP TABLE extra; PRAGMA user_version = 1");
    expect_status(f, fixture_try_open(f, MM_STORE_READ), MM_CONFIG);
    fixture_open(f, MM_STORE_WRITE);
    expect_ok(f, db->sweeps(f->store, &f->arena, &(mm_sweep *){NULL}, &count, &f->err));
    assert_int_equal(count, 0);
    assert_int_equal(fixture_run(f).tasks_total, 4);
}

static void files_that_are_no_store_are_refused_and_left_alone(void **state)
{
    mm_fixture *f = *state;
    run_sql(f, "products.db", "CREATE TABLE mine (x); INSERT INTO mine VALUES (1)");
    expect_status(f, fixture_try_open(f, MM_STORE_CREATE), MM_CONFIG);
    run_sql(f, "products.db", "SELECT x FROM mine");
    FILE *text = fopen(fixture_path(f, "products.db"), "w");
    assert_non_null(text);
    for (int i = 0; i < 200; i++)
        fputs("this is no database\n", text);
    fclose(text);
    expect_status(f, fixture_try_open(f, MM_STORE_CREATE), MM_CONFIG);
    expect_status(f, fixture_try_open(f, MM_STORE_READ), MM_CONFIG);
}

static void an_empty_file_is_no_store_yet(void **state)
{
    mm_fixture *f = *state;
    fclose(fopen(fixture_path(f, "products.db"), "w"));
    expect_status(f, fixture_try_open(f, MM_STORE_READ), MM_NOT_FOUND);
    expect_status(f, fixture_try_open(f, MM_STORE_WRITE), MM_NOT_FOUND);
    fixture_open(f, MM_STORE_CREATE);
}

static void the_list_names_the_jobs_that_have_a_store(void **state)
{
    mm_fixture *f = *state;
    const char **names;
    size_t count;
    expect_ok(f, mm_store_list(fixture_path(f, "nowhere"), &f->arena, &names, &count, &f->err));
    assert_int_equal(count, 0);
    const char *const jobs[] = {"zebra", "a.b", "products"};
    for (size_t i = 0; i < MM_COUNT(jobs); i++) {
        mm_store_args args = {.dir = f->dir, .job = jobs[i], .mode = MM_STORE_CREATE};
        expect_ok(f, db->open(&args, &f->store, &f->err));
        fixture_close(f);
    }
    fclose(fopen(fixture_path(f, "empty.db"), "w"));
    run_sql(f, "other.db", "CREATE TABLE mine (x)");
    expect_ok(f, mm_store_list(f->dir, &f->arena, &names, &count, &f->err));
    assert_int_equal(count, 3);
    assert_string_equal(names[0], "a.b");
    assert_string_equal(names[1], "products");
    assert_string_equal(names[2], "zebra");
}

/* ---- kill -9 at any moment ---- */

#define STEPS 60
#define KILLS 25

/* Lives its life and tells after each step; ends by being killed. */
static pid_t start_life(const mm_store_args *args, uint64_t seed, int *told)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        mm_workload w;
        workload_begin(&w, args, seed);
        for (size_t step = 0; step < STEPS; step++)
            if (workload_step(&w, step) != MM_OK || write(ends[1], "s", 1) != 1)
                _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    *told = ends[0];
    return child;
}

static size_t count_told(int told)
{
    char bytes[STEPS];
    size_t steps = 0;
    ssize_t got;
    while ((got = read(told, bytes, sizeof bytes)) > 0)
        steps += (size_t)got;
    close(told);
    return steps;
}

static void a_writer_killed_at_any_moment_loses_nothing_acknowledged(void **state)
{
    mm_fixture *f = *state;
    char *texts[STEPS];
    mm_store_args args = {.dir = fixture_path(f, "reference"), .job = FIXTURE_JOB,
                          .mode = MM_STORE_CREATE};
    workload_reference(&args, 5, STEPS, texts);
    uint64_t random = 1;
    for (int i = 0; i < KILLS; i++) {
        char name[16];
        int told;
        snprintf(name, sizeof name, "life%d", i);
        args.dir = fixture_path(f, name);
        pid_t child = start_life(&args, 5, &told);
        nanosleep(&(struct timespec){0, (long)(mm_random_next(&random) % 40000000)}, NULL);
        end_holder(child);
        size_t steps = count_told(told);
        expect_ok(f, db->open(&args, &f->store, &f->err));
        char *text = store_describe(f->store);
        size_t last = steps > 0 ? steps - 1 : 0;
        assert_true(strcmp(text, texts[last]) == 0 ||
                    (last + 1 < STEPS && strcmp(text, texts[last + 1]) == 0));
        free(text);
        fixture_close(f);
    }
    for (size_t i = 0; i < STEPS; i++)
        free(texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_process_is_told_at_once_that_the_job_is_busy),
        TEST(the_same_process_cannot_open_it_twice),
        TEST(the_holder_is_named_without_disturbing_anybody),
        TEST(a_killed_holder_frees_the_lock),
        TEST(a_lock_is_not_inherited_by_programs_that_are_started),
        TEST(a_reader_sees_what_a_live_writer_has_committed),
        TEST(a_reader_reads_what_a_killed_writer_left),
        TEST(a_reader_changes_nothing),
        TEST(a_destroyed_store_is_gone_and_can_be_made_anew),
        TEST(a_reader_of_a_destroyed_store_never_meets_the_new_one),
        TEST(a_removal_cut_short_leaves_no_older_savepoint),
        TEST(a_store_of_a_newer_version_is_refused),
        TEST(a_store_of_the_first_version_is_brought_up_to_date),
        TEST(files_that_are_no_store_are_refused_and_left_alone),
        TEST(an_empty_file_is_no_store_yet),
        TEST(the_list_names_the_jobs_that_have_a_store),
        TEST(a_writer_killed_at_any_moment_loses_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
