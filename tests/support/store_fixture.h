/* What the tests of the savepoint store share: a state folder of their own, a store in it, small
 * plans and operations. Every helper fails the running test when the store does. */
#ifndef MM_TESTS_STORE_FIXTURE_H
#define MM_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "checkpoint/checkpoint.h"

typedef struct mm_fixture {
    char *dir; /* made by mkdtemp, removed with everything in it at the end */
    mm_arena arena;
    mm_error err;
    mm_store *store; /* closed at the end when still open */
} mm_fixture;

#define FIXTURE_JOB "products"

/* For cmocka_unit_test_setup_teardown. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* The folder as the parent process and its children name it. */
char *fixture_path(mm_fixture *fixture, const char *name); /* in the arena */
mm_status fixture_try_open(mm_fixture *fixture, mm_store_mode mode);
void fixture_open(mm_fixture *fixture, mm_store_mode mode);
void fixture_close(mm_fixture *fixture);
void fixture_reopen(mm_fixture *fixture); /* as after a crash: owner changes */

/* Fails the test with err's text unless status is expected. */
void expect_status(const mm_fixture *fixture, mm_status status, mm_status expected);
#define expect_ok(fixture, status) expect_status(fixture, status, MM_OK)

/* A plan of run `run` with one collection ("from" to "to") and count copy tasks of 1000 rows. */
void fixture_plan(mm_fixture *fixture, uint32_t run, size_t count);
mm_task fixture_claim_one(mm_fixture *fixture, mm_task_kind kind);
size_t fixture_claim(mm_fixture *fixture, mm_task_kind kind, size_t max, mm_task *out);
void fixture_apply(mm_fixture *fixture, mm_op *ops, size_t count);
/* Advances a claimed task to row `to`: as many rows, one byte each. */
mm_op fixture_advance(const mm_task *task, mm_cursor *cursor, uint64_t to, bool done);
mm_run_record fixture_run(mm_fixture *fixture);
mm_task fixture_task(mm_fixture *fixture, uint64_t id);

/* Everything that the store tells about itself, as text (malloc'd): two stores are equal when their
 * texts are. NULL when the store cannot be read. */
char *store_describe(mm_store *store);

#endif
