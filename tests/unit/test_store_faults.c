/* The savepoint store when the disk is full or broken: every write, sync and creation fails once.
 * The operation answers with class STORE, the store tells what it told before, and after the disk is
 * mended the same life goes on to the same end. */
#include "support/store_workload.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/powerloss_vfs.h"

#define STEPS 20
#define VFS "mm-faults"
#define SEED 11

typedef struct fault {
    int code;
    bool forever;
} fault;

/* The store's own words about its state; compared only while it can be asked. */
static void check_unchanged(mm_workload *w, char **texts, size_t step)
{
    if (w->store == NULL || step == 0)
        return;
    char *text = store_describe(w->store);
    assert_non_null(text);
    assert_string_equal(text, texts[step - 1]);
    free(text);
}

static void check_reopened(mm_workload *w, char **texts, size_t step)
{
    if (w->store)
        mm_store_sqlite.close(w->store);
    w->store = NULL;
    assert_int_equal(mm_store_sqlite.open(&w->args, &w->store, &w->err), MM_OK);
    char *text = store_describe(w->store);
    assert_non_null(text);
    bool before = step == 0 || strcmp(text, texts[step - 1]) == 0;
    assert_true(before || strcmp(text, texts[step]) == 0);
    free(text);
}

/* False: the life ended before event `event`. */
static bool live_with_fault(mm_fixture *f, uint64_t event, fault what, char **texts)
{
    mm_store_args args = {.dir = fixture_path(f, "faults"), .job = FIXTURE_JOB,
                          .mode = MM_STORE_CREATE, .sync = true, .vfs = VFS};
    mm_powerloss *disk = mm_powerloss_new(VFS, event);
    mm_workload w;
    bool reopen = event % 2, met = false;
    mm_powerloss_fail_at(disk, event, what.code, what.forever);
    workload_begin(&w, &args, SEED);
    size_t step = 0;
    while (step < STEPS) {
        mm_status status = workload_step(&w, step);
        if (status == MM_OK) {
            step++;
            continue;
        }
        if (met || !mm_powerloss_fired(disk))
            fail_msg("event %llu, step %zu without a fault: %s", (unsigned long long)event, step,
                     w.err.text);
        met = true;
        if (mm_status_class(status) != MM_CLASS_STORE)
            fail_msg("event %llu, step %zu: class %d: %s", (unsigned long long)event, step,
                     (int)mm_status_class(status), w.err.text);
        check_unchanged(&w, texts, step);
        mm_powerloss_mend(disk);
        if (reopen) {
            check_reopened(&w, texts, step);
            break;
        }
    }
    if (step == STEPS)
        check_unchanged(&w, texts, STEPS);
    bool fired = mm_powerloss_fired(disk);
    workload_end(&w);
    mm_powerloss_free(disk);
    (void)unlink(fixture_path(f, "faults/products.db"));
    mm_arena_reset(&f->arena);
    return fired;
}

static void every_event_fails_once(mm_fixture *f, fault what)
{
    char *texts[STEPS];
    mm_store_args args = {.dir = f->dir, .job = FIXTURE_JOB, .mode = MM_STORE_CREATE};
    workload_reference(&args, SEED, STEPS, texts);
    uint64_t event = 1;
    while (live_with_fault(f, event, what, texts))
        event++;
    assert_true(event > 100);
    for (size_t i = 0; i < STEPS; i++)
        free(texts[i]);
}

static void a_full_disk_stops_the_store_and_loses_nothing(void **state)
{
    every_event_fails_once(*state, (fault){SQLITE_FULL, true});
}

static void a_write_error_stops_the_store_and_loses_nothing(void **state)
{
    every_event_fails_once(*state, (fault){SQLITE_IOERR, false});
}

/* In a child of its own: the limit holds for the process. Exits 0 when all is as expected. */
static void plan_into_a_small_file(mm_fixture *f)
{
    struct rlimit limit = {400000, 400000};
    signal(SIGXFSZ, SIG_IGN);
    mm_run_record run = {.run = 2, .state = MM_RUN_PLANNED};
    fixture_open(f, MM_STORE_WRITE);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
    mm_status status = mm_store_sqlite.plan_begin(f->store, &run, &f->err);
    char spec[1000] = "";
    mm_task task = {.kind = MM_TASK_COPY, .spec = spec, .spec_size = sizeof spec};
    for (size_t i = 0; status == MM_OK && i < 100000; i++)
        status = mm_store_sqlite.plan_task(f->store, &task, &f->err);
    if (mm_status_class(status) != MM_CLASS_STORE)
        _exit(3);
    if (mm_store_sqlite.plan_end(f->store, true, &f->err) == MM_OK)
        _exit(4);
    _exit(fixture_run(f).run == 1 ? 0 : 5);
}

static void a_file_that_may_not_grow_is_a_full_disk(void **state)
{
    mm_fixture *f = *state;
    fixture_open(f, MM_STORE_CREATE);
    fixture_plan(f, 1, 3);
    char *before = store_describe(f->store);
    fixture_close(f);
    pid_t child = fork();
    if (child == 0)
        plan_into_a_small_file(f);
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
    fixture_open(f, MM_STORE_WRITE);
    char *after = store_describe(f->store);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_disk_stops_the_store_and_loses_nothing,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_write_error_stops_the_store_and_loses_nothing,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_file_that_may_not_grow_is_a_full_disk, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
