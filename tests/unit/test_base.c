/* Status table, errors, arena, strings, log redaction. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/util.h"

static void every_status_has_a_name_a_text_and_an_exit_code(void **state)
{
    (void)state;
    static const int documented[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 75};
    for (int status = 0; status < MM_STATUS_COUNT; status++) {
        assert_true(strlen(mm_status_name((mm_status)status)) > 0);
        assert_true(strlen(mm_status_text((mm_status)status)) > 0);
        size_t known = 0;
        for (size_t i = 0; i < MM_COUNT(documented); i++)
            known += documented[i] == mm_status_exit((mm_status)status);
        assert_int_equal(known, 1);
    }
}

static void a_status_outside_of_the_table_is_a_bug(void **state)
{
    (void)state;
    assert_string_equal(mm_status_name((mm_status)9999), "BUG");
    assert_int_equal(mm_status_exit((mm_status)9999), 1);
}

static void context_goes_in_front_of_the_text(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_error_set(&err, MM_DATA, "byte %d", 7), MM_DATA);
    assert_int_equal(mm_error_context(&err, "extent %d", 3), MM_DATA);
    assert_string_equal(err.text, "extent 3: byte 7");
}

static void an_error_may_quote_itself(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_error_set(&err, MM_DATA, "inner");
    mm_error_set(&err, MM_CONFIG, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
}

static void a_long_error_is_cut_not_overrun(void **state)
{
    (void)state;
    char text[3 * MM_ERROR_TEXT];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    mm_error err = MM_ERROR_INIT;
    mm_error_set(&err, MM_DATA, "%s", text);
    mm_error_context(&err, "%s", text);
    assert_int_equal(strlen(err.text), MM_ERROR_TEXT - 1);
}

static void a_full_disk_is_told_from_other_input_output_errors(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    errno = ENOSPC;
    assert_int_equal(mm_error_errno(&err, MM_IO, "f"), MM_DISK_FULL);
    errno = EIO;
    assert_int_equal(mm_error_errno(&err, MM_IO, "f"), MM_IO);
    errno = EACCES;
    assert_int_equal(mm_error_errno(&err, MM_IO, "f"), MM_AUTH);
}

static void arena_memory_is_aligned_and_apart(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    unsigned char *former = NULL;
    for (size_t size = 0; size < 5000; size += 37) {
        unsigned char *at = mm_arena_alloc(&arena, size);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % 64, 0);
        assert_true(at != former);
        memset(at, 0xAB, size);
        former = at;
    }
    mm_arena_free(&arena);
    assert_int_equal(arena.reserved, 0);
}

static void a_reset_arena_serves_the_same_allocations_from_one_block(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    size_t reserved = 0;
    for (int round = 0; round < 4; round++) {
        mm_arena_reset(&arena);
        assert_non_null(mm_arena_alloc(&arena, 100));
        assert_non_null(mm_arena_alloc(&arena, 1 << 19));
        assert_non_null(mm_arena_alloc(&arena, 1 << 22));
        if (round > 1)
            assert_int_equal(arena.reserved, reserved); /* nothing more from the system */
        reserved = arena.reserved;
        assert_true(reserved < 5 << 20);
    }
    mm_arena_free(&arena);
}

static void what_an_arena_adopted_comes_back_after_a_reset(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    size_t size = 0;
    void *first = malloc(100), *second = malloc(200), *third = malloc(300);
    assert_null(mm_arena_reclaim(&arena, &size));
    assert_true(mm_arena_adopt(&arena, first, 100));
    assert_true(mm_arena_adopt(&arena, second, 200));
    assert_null(mm_arena_reclaim(&arena, &size)); /* it is in use */
    assert_int_equal(arena.reserved, 300);
    mm_arena_reset(&arena);
    mm_arena_reset(&arena); /* nothing was allocated in between: it waits */
    assert_ptr_equal(mm_arena_reclaim(&arena, &size), first);
    assert_int_equal(size, 100);
    assert_true(mm_arena_adopt(&arena, third, 300));
    assert_int_equal(arena.reserved, 500);
    mm_arena_reset(&arena); /* the second was not taken, and is freed */
    assert_int_equal(arena.reserved, 300);
    assert_ptr_equal(mm_arena_reclaim(&arena, &size), third);
    assert_null(mm_arena_reclaim(&arena, &size));
    assert_true(mm_arena_adopt(&arena, first, 100));
    mm_arena_reset(&arena);
    assert_true(mm_arena_adopt(&arena, third, 300));
    mm_arena_free(&arena); /* one that waits, and one in use */
    assert_int_equal(arena.reserved, 0);
}

static void an_arena_refuses_what_overflows(void **state)
{
    (void)state;
    mm_arena arena = MM_ARENA_INIT;
    assert_null(mm_arena_array(&arena, SIZE_MAX / 2, 4));
    assert_null(mm_arena_alloc(&arena, SIZE_MAX - 3));
    mm_arena_free(&arena);
}

static void the_nearest_name_is_found_only_when_it_is_near(void **state)
{
    (void)state;
    const char *names[] = {"endpoint", "token", "transfer"};
    assert_string_equal(mm_nearest("endpont", names, 3), "endpoint");
    assert_string_equal(mm_nearest("tokn", names, 3), "token");
    assert_string_equal(mm_nearest("end", names, 3), "endpoint");
    assert_null(mm_nearest("en", names, 3));
    assert_null(mm_nearest("zzzzzzzz", names, 3));
}

static void a_buffer_grows_and_ends_with_a_nul(void **state)
{
    (void)state;
    mm_buffer buffer = MM_BUFFER_INIT;
    for (int i = 0; i < 1000; i++)
        mm_buffer_printf(&buffer, "%d,", i % 10);
    assert_false(buffer.failed);
    assert_int_equal(buffer.size, 2000);
    assert_int_equal(strlen(buffer.data), 2000);
    mm_buffer_free(&buffer);
}

static void json_text_escapes_what_json_must(void **state)
{
    (void)state;
    mm_buffer buffer = MM_BUFFER_INIT;
    mm_json_text(&buffer, "a\"b\\c\n\x01\xC3\xA4");
    assert_string_equal(buffer.data, "\"a\\\"b\\\\c\\u000a\\u0001\xC3\xA4\"");
    mm_buffer_free(&buffer);
}

static void a_registered_secret_disappears_from_text(void **state)
{
    (void)state;
    char text[] = "token s3cr3t-token and s3cr3t-token again";
    mm_log_add_secret("s3cr3t-token");
    mm_log_redact(text);
    assert_string_equal(text, "token *** and *** again");
    char nested[] = "inner and inner-and-more";
    mm_log_add_secret("inner");
    mm_log_add_secret("inner-and-more");
    mm_log_redact(nested);
    assert_string_equal(nested, "*** and ***");
}

static void wall_time_is_printed_in_utc(void **state)
{
    (void)state;
    char text[MM_CLOCK_TEXT];
    mm_clock_format(1795222923000, text);
    assert_string_equal(text, "2026-11-21T01:02:03Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_a_text_and_an_exit_code),
        cmocka_unit_test(a_status_outside_of_the_table_is_a_bug),
        cmocka_unit_test(context_goes_in_front_of_the_text),
        cmocka_unit_test(an_error_may_quote_itself),
        cmocka_unit_test(a_long_error_is_cut_not_overrun),
        cmocka_unit_test(a_full_disk_is_told_from_other_input_output_errors),
        cmocka_unit_test(arena_memory_is_aligned_and_apart),
        cmocka_unit_test(a_reset_arena_serves_the_same_allocations_from_one_block),
        cmocka_unit_test(what_an_arena_adopted_comes_back_after_a_reset),
        cmocka_unit_test(an_arena_refuses_what_overflows),
        cmocka_unit_test(the_nearest_name_is_found_only_when_it_is_near),
        cmocka_unit_test(a_buffer_grows_and_ends_with_a_nul),
        cmocka_unit_test(json_text_escapes_what_json_must),
        cmocka_unit_test(a_registered_secret_disappears_from_text),
        cmocka_unit_test(wall_time_is_printed_in_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
