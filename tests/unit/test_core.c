/* The core against a source that breaks its contract. What it does in good order is the simulator's to check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "run/core.h"

/* One task, of which 5 rows are done; the dumper was told to read on. */
static mm_core *reading_from_row_5(void)
{
    const mm_core_config config = {.dumpers = 1, .lanes = 1, .slots = 1, .claim = 1, .ack = true, .patience_ms = 1000,
                                   .backoff_ms = 1, .backoff_max_ms = 1, .fences = &(mm_core_fence){0}, .collections = 1};
    const mm_core_task task = {.id = 1, .epoch = 1, .cursor = {.row = 5}, .reserved = 5};
    mm_core *core = mm_core_new(&config);
    mm_core_command command;
    assert_non_null(core);
    assert_int_equal(mm_core_tick(core, 1), MM_CORE_RUNNING);
    assert_true(mm_core_next(core, &command));
    assert_int_equal(command.kind, MM_CORE_CLAIM);
    mm_core_on_claimed(core, &task, 1, true);
    assert_int_equal(mm_core_tick(core, 2), MM_CORE_RUNNING);
    assert_true(mm_core_next(core, &command));
    assert_int_equal(command.kind, MM_CORE_READ);
    assert_int_equal(command.cursor.row, 5);
    return core;
}

/* Answers what the core asks for until it has nothing more to say; the number of its ticks is bounded, since a core that
 * waits for rows that never come would go on for ever. sent, dropped: items. */
static mm_status run_to_the_end(mm_core *core, unsigned *sent, unsigned *dropped)
{
    bool reading = true;
    for (uint64_t now = 3; now < 100; now++) {
        mm_core_end end = mm_core_tick(core, now);
        mm_core_command command;
        bool any = false;
        while (mm_core_next(core, &command)) {
            any = true;
            if (command.kind == MM_CORE_SEND) {
                ++*sent;
                mm_core_on_sent(core, command.item, MM_OK, command.item->rows, 0);
            } else if (command.kind == MM_CORE_DROP) {
                ++*dropped;
            } else if (command.kind == MM_CORE_ABORT_READ) {
                mm_core_on_read_end(core, command.slot, MM_INTERRUPTED, 0);
                reading = false;
            } else if (command.kind == MM_CORE_ADVANCE || command.kind == MM_CORE_RELEASE) {
                mm_core_on_stored(core, &command, false);
            }
        }
        if (end == MM_CORE_ENDED)
            return mm_core_result(core);
        if (!any && reading) {
            mm_core_on_read_end(core, 0, MM_OK, 0);
            reading = false;
        }
    }
    fail_msg("the core waits for ever");
    return MM_OK;
}

static void rows_that_follow_one_another_are_sent_and_committed(void **state)
{
    (void)state;
    unsigned sent = 0, dropped = 0;
    mm_core *core = reading_from_row_5();
    mm_core_item first = {.first = 5, .end = {.row = 8}, .rows = 3}, second = {.first = 8, .end = {.row = 9}, .rows = 1};
    mm_core_on_item(core, &first);
    mm_core_on_item(core, &second);
    assert_int_equal(run_to_the_end(core, &sent, &dropped), MM_OK);
    assert_int_equal(sent, 2);
    assert_int_equal(dropped, 0);
    mm_core_free(core);
}

static void rows_that_are_left_out_behind_a_cursor_end_the_run(void **state)
{
    (void)state;
    unsigned sent = 0, dropped = 0;
    mm_core *core = reading_from_row_5();
    mm_core_item item = {.first = 7, .end = {.row = 9}, .rows = 2};
    mm_core_on_item(core, &item);
    assert_int_equal(run_to_the_end(core, &sent, &dropped), MM_BUG);
    assert_int_equal(sent, 0);
    assert_int_equal(dropped, 1);
    mm_core_free(core);
}

static void rows_that_come_twice_end_the_run(void **state)
{
    (void)state;
    unsigned sent = 0, dropped = 0;
    mm_core *core = reading_from_row_5();
    mm_core_item first = {.first = 5, .end = {.row = 8}, .rows = 3}, again = {.first = 5, .end = {.row = 8}, .rows = 3};
    mm_core_on_item(core, &first);
    mm_core_on_item(core, &again);
    assert_int_equal(run_to_the_end(core, &sent, &dropped), MM_BUG);
    assert_int_equal(sent, 0);
    assert_int_equal(dropped, 2);
    mm_core_free(core);
}

static void a_batch_that_ends_before_it_begins_ends_the_run(void **state)
{
    (void)state;
    unsigned sent = 0, dropped = 0;
    mm_core *core = reading_from_row_5();
    mm_core_item item = {.first = 5, .end = {.row = 4}, .rows = 1};
    mm_core_on_item(core, &item);
    assert_int_equal(run_to_the_end(core, &sent, &dropped), MM_BUG);
    assert_int_equal(dropped, 1);
    mm_core_free(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_follow_one_another_are_sent_and_committed),
        cmocka_unit_test(rows_that_are_left_out_behind_a_cursor_end_the_run),
        cmocka_unit_test(rows_that_come_twice_end_the_run),
        cmocka_unit_test(a_batch_that_ends_before_it_begins_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
