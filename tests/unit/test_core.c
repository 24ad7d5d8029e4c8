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

/* ---- a target that fails ---- */

/* Milliseconds from the first write on, and what the target says then. */
typedef mm_status (*answer)(uint64_t now);

/* One batch behind a fence. The clock goes on by 10 ms where nothing else is to be done. *ended: when it was over. */
static mm_status run_against(answer write, answer fence, uint64_t *ended)
{
    const mm_core_config config = {.dumpers = 1, .lanes = 1, .slots = 1, .claim = 1, .ack = true, .fence = true,
                                   .patience_ms = 1000, .backoff_ms = 10, .backoff_max_ms = 20,
                                   .fences = &(mm_core_fence){0}, .collections = 1};
    const mm_core_task task = {.id = 1, .epoch = 1};
    mm_core_item item = {.end = {.row = 3}, .rows = 3};
    mm_core *core = mm_core_new(&config);
    mm_core_end end = MM_CORE_RUNNING;
    bool claimed = false;
    assert_non_null(core);
    for (*ended = 1; end == MM_CORE_RUNNING && *ended < 20000; *ended += 10) {
        mm_core_command command;
        bool any = true;
        while (any && (end = mm_core_tick(core, *ended)) == MM_CORE_RUNNING) {
            for (any = false; mm_core_next(core, &command); any = true) {
                if (command.kind == MM_CORE_CLAIM) {
                    mm_core_on_claimed(core, &task, claimed ? 0 : 1, true);
                    claimed = true;
                } else if (command.kind == MM_CORE_READ) {
                    mm_core_on_item(core, &item);
                    mm_core_on_read_end(core, command.slot, MM_OK, 0);
                } else if (command.kind == MM_CORE_SEND) {
                    mm_core_on_sent(core, command.item, write(*ended), 0, 0);
                } else if (command.kind == MM_CORE_FENCE_MOVE || command.kind == MM_CORE_FENCE_DROP) {
                    mm_core_on_fenced(core, command.collection, fence(*ended), 0);
                } else if (command.kind != MM_CORE_FREE && command.kind != MM_CORE_DROP) {
                    mm_core_on_stored(core, &command, false);
                }
            }
        }
    }
    mm_status result = end == MM_CORE_ENDED ? mm_core_result(core) : MM_OK;
    assert_int_equal(end, MM_CORE_ENDED);
    mm_core_free(core);
    return result;
}

static mm_status well(uint64_t now)
{
    (void)now;
    return MM_OK;
}

static mm_status never(uint64_t now)
{
    (void)now;
    return MM_UNKNOWN;
}

static mm_status well_from_900(uint64_t now)
{
    return now < 20 || now >= 900 ? MM_OK : MM_UNAVAILABLE;
}

static mm_status well_from_1500(uint64_t now)
{
    return now >= 1500 ? MM_OK : now < 900 ? MM_UNKNOWN : MM_UNAVAILABLE;
}

static void a_write_that_always_fails_uses_up_the_patience_whatever_the_fence_does(void **state)
{
    (void)state;
    uint64_t ended = 0;
    assert_int_equal(run_against(never, well, &ended), MM_UNKNOWN);
    assert_in_range(ended, 1000, 1200);
}

static void a_target_that_was_away_and_is_back_has_the_whole_patience(void **state)
{
    (void)state;
    uint64_t ended = 0;
    assert_int_equal(run_against(well_from_1500, well_from_900, &ended), MM_OK);
    assert_in_range(ended, 1500, 1700);
    assert_int_equal(run_against(well_from_1500, well, &ended), MM_UNAVAILABLE); /* not away: not back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_follow_one_another_are_sent_and_committed),
        cmocka_unit_test(rows_that_are_left_out_behind_a_cursor_end_the_run),
        cmocka_unit_test(rows_that_come_twice_end_the_run),
        cmocka_unit_test(a_batch_that_ends_before_it_begins_ends_the_run),
        cmocka_unit_test(a_write_that_always_fails_uses_up_the_patience_whatever_the_fence_does),
        cmocka_unit_test(a_target_that_was_away_and_is_back_has_the_whole_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
