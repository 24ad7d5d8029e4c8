/* The savepoint store when the power fails, at every single write, sync, truncation, creation and
 * deletion that it asks for: what was acknowledged is there, whole; what was not is there whole or
 * not at all. And the same harness without syncs, to show that it would notice. */
#include "support/store_workload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/powerloss_vfs.h"

#define STEPS 44
#define VFS "mm-powerloss"

static void remove_store(mm_fixture *f)
{
    static const char *const names[] = {"products.db", "products.db-wal", "products.db-shm",
                                        "products.db-journal", "products.lock"};
    for (size_t i = 0; i < MM_COUNT(names); i++)
        (void)unlink(fixture_path(f, names[i]));
    mm_arena_reset(&f->arena);
}

/* Runs the workload until the power fails in event `event`. *acknowledged: steps that succeeded.
 * False: the workload ended before that. */
static bool run_until_cut(mm_fixture *f, uint64_t seed, uint64_t event, bool sync,
                          size_t *acknowledged)
{
    mm_store_args args = {.dir = f->dir, .job = FIXTURE_JOB, .mode = MM_STORE_CREATE,
                          .sync = sync, .vfs = VFS};
    mm_powerloss *power = mm_powerloss_new(VFS, seed * 1000003 + event);
    mm_workload w;
    mm_powerloss_cut_at(power, event);
    workload_begin(&w, &args, seed);
    size_t step = 0;
    while (step < STEPS && workload_step(&w, step) == MM_OK)
        step++;
    bool fired = mm_powerloss_fired(power);
    if (step < STEPS && !fired)
        fail_msg("step %zu failed without a cut: %s", step, w.err.text);
    workload_end(&w);
    fired = mm_powerloss_fired(power); /* the last close syncs too */
    mm_powerloss_materialise(power);
    mm_powerloss_free(power);
    *acknowledged = step;
    return fired;
}

/* Opens the store as the next process would, with the power failing again soon. */
static void recover_until_cut(mm_fixture *f, uint64_t seed, uint64_t event)
{
    mm_store_args args = {.dir = f->dir, .job = FIXTURE_JOB, .mode = MM_STORE_CREATE, .sync = true,
                          .vfs = VFS};
    mm_powerloss *power = mm_powerloss_new(VFS, seed ^ event);
    mm_store *store = NULL;
    mm_error err = MM_ERROR_INIT;
    mm_powerloss_cut_at(power, event);
    if (mm_store_sqlite.open(&args, &store, &err) == MM_OK)
        mm_store_sqlite.close(store);
    mm_powerloss_materialise(power);
    mm_powerloss_free(power);
}

/* What the next process finds; NULL when it cannot open the store. */
static char *describe_real(mm_fixture *f)
{
    mm_store_args args = {.dir = f->dir, .job = FIXTURE_JOB, .mode = MM_STORE_CREATE};
    mm_store *store = NULL;
    if (mm_store_sqlite.open(&args, &store, &f->err) != MM_OK)
        return NULL;
    char *text = store_describe(store);
    mm_store_sqlite.close(store);
    return text;
}

static bool is_after(char **texts, size_t step, const char *text)
{
    return step < STEPS && strcmp(texts[step], text) == 0;
}

/* Cuts at every event of the workload; the number of cuts after which something acknowledged was
 * missing, or something was there by half. */
static size_t count_violations(mm_fixture *f, uint64_t seed, bool sync, uint64_t *cuts)
{
    char *texts[STEPS];
    size_t violations = 0, acknowledged = 0;
    mm_store_args args = {.dir = f->dir, .job = FIXTURE_JOB, .mode = MM_STORE_CREATE};
    remove_store(f);
    workload_reference(&args, seed, STEPS, texts);
    for (uint64_t event = 1;; event++) {
        remove_store(f);
        if (!run_until_cut(f, seed, event, sync, &acknowledged))
            break;
        (*cuts)++;
        if (event % 2 == 0)
            recover_until_cut(f, seed, 1 + event / 2 % 9);
        char *text = describe_real(f);
        size_t last = acknowledged > 0 ? acknowledged - 1 : 0;
        if (text == NULL || !(is_after(texts, last, text) || is_after(texts, last + 1, text))) {
            violations++;
            if (sync)
                print_error("seed %llu, event %llu, after step %zu:\n%s\n---\n%s\n",
                            (unsigned long long)seed, (unsigned long long)event, last,
                            text ? text : f->err.text, texts[last]);
        }
        free(text);
        if (violations > 0 && !sync)
            break; /* noticed */
    }
    for (size_t i = 0; i < STEPS; i++)
        free(texts[i]);
    return violations;
}

/* More with MM_POWERLOSS_SEEDS. */
static uint64_t seed_count(void)
{
    const char *text = getenv("MM_POWERLOSS_SEEDS");
    return text ? strtoull(text, NULL, 10) : 1;
}

static void no_acknowledged_transaction_is_lost_or_halved_at_any_cut(void **state)
{
    mm_fixture *f = *state;
    uint64_t cuts = 0, seeds = seed_count();
    for (uint64_t seed = 1; seed <= seeds; seed++)
        assert_int_equal(count_violations(f, seed, true, &cuts), 0);
    assert_true(cuts > 100 * seeds);
    print_message("%llu cuts\n", (unsigned long long)cuts);
}

static void without_syncs_the_same_cuts_lose_transactions(void **state)
{
    mm_fixture *f = *state;
    uint64_t cuts = 0;
    assert_true(count_violations(f, 1, false, &cuts) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_acknowledged_transaction_is_lost_or_halved_at_any_cut,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(without_syncs_the_same_cuts_lose_transactions,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
