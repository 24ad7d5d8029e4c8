/* Reading ahead: every byte as it is beneath, whatever is asked in which order by how many threads; few requests for
 * a walk, none for what is there, no more memory than allowed, and no byte beyond the ends. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/ahead.h"

#define SIZE (3u << 20)

/* An input that counts what is asked of it. */
typedef struct counted {
    mm_input input;
    pthread_mutex_t lock;
    unsigned requests, fail_at; /* fail_at: this request fails; 0: none */
    uint64_t bytes, highest;    /* highest: end of the range that ended last */
    size_t largest;
} counted;

static uint8_t *content;

static mm_status counted_read(const mm_input *input, uint64_t offset, void *out, size_t size, mm_error *err)
{
    counted *c = input->context;
    pthread_mutex_lock(&c->lock);
    unsigned number = ++c->requests;
    c->bytes += size;
    c->highest = offset + size > c->highest ? offset + size : c->highest;
    c->largest = size > c->largest ? size : c->largest;
    pthread_mutex_unlock(&c->lock);
    if (number == c->fail_at)
        return mm_error_set(err, MM_UNAVAILABLE, "gone");
    memcpy(out, content + offset, size);
    return MM_OK;
}

static counted *make(const mm_ahead *how, mm_input **ahead)
{
    mm_error err = MM_ERROR_INIT;
    counted *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    c->input = (mm_input){.name = (char *)"counted", .size = SIZE, .remote = true, .read = counted_read, .context = c};
    pthread_mutex_init(&c->lock, NULL);
    assert_int_equal(mm_ahead_open(&c->input, how, ahead, &err), MM_OK);
    return c;
}

static void done(counted *c, mm_input *ahead)
{
    mm_input_close(ahead);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static void check(const mm_input *ahead, uint64_t offset, size_t size)
{
    mm_error err = MM_ERROR_INIT;
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    bytes[size] = 0xA5;
    if (mm_input_read(ahead, offset, bytes, size, &err) != MM_OK)
        fail_msg("%s", err.text);
    assert_memory_equal(bytes, content + offset, size);
    assert_int_equal(bytes[size], 0xA5);
    free(bytes);
}

static void reading_straight_on_takes_windows_that_grow(void **state)
{
    (void)state;
    mm_input *ahead;
    counted *c = make(&MM_AHEAD_PARSER, &ahead);
    for (uint64_t at = 0; at < SIZE; at += 8)
        check(ahead, at, 8);
    /* 64, 128, 256, 512, 1024, 1024 KiB, the rest */
    assert_int_equal(c->requests, 7);
    assert_int_equal(c->bytes, SIZE);
    done(c, ahead);
}

static void hops_cost_small_windows_and_what_is_there_costs_nothing(void **state)
{
    (void)state;
    mm_input *ahead;
    counted *c = make(&MM_AHEAD_PARSER, &ahead);
    for (int pass = 0; pass < 3; pass++)
        for (uint64_t at = 100; at < SIZE - 8; at += 1u << 19)
            check(ahead, at, 8);
    assert_int_equal(c->requests, 6);
    assert_int_equal(c->bytes, 6 * (64u << 10));
    done(c, ahead);
}

static void a_large_read_passes_through_but_for_what_is_there(void **state)
{
    (void)state;
    mm_input *ahead;
    counted *c = make(&MM_AHEAD_PARSER, &ahead);
    check(ahead, 5000, 100); /* 4096 to 69632 */
    check(ahead, 5000, 2u << 20);
    assert_int_equal(c->requests, 2);
    assert_int_equal(c->bytes, (64u << 10) + (2u << 20) - (69632 - 5000));
    check(ahead, 0, 4096); /* in front of the window: no byte twice */
    assert_int_equal(c->requests, 3);
    assert_int_equal(c->bytes, (64u << 10) + (2u << 20) - (69632 - 5000) + 4096);
    done(c, ahead);
}

static void no_window_crosses_the_ends(void **state)
{
    (void)state;
    mm_input *ahead;
    mm_ahead how = {.first = 1u << 20, .most = 1u << 20, .budget = 2u << 20, .ends = {100000, 1500000}};
    counted *c = make(&how, &ahead);
    for (uint64_t at = 0; at < 100000; at += 100)
        check(ahead, at, 100);
    assert_int_equal(c->requests, 1);
    assert_int_equal(c->highest, 100000);
    for (uint64_t at = 1400000; at < 1500000; at += 100)
        check(ahead, at, 100);
    assert_int_equal(c->requests, 2);
    assert_int_equal(c->highest, 1500000);
    done(c, ahead);
}

static void the_windows_used_last_stay_within_the_budget(void **state)
{
    (void)state;
    mm_input *ahead;
    mm_ahead how = {.first = 64u << 10, .most = 64u << 10, .budget = 256u << 10};
    counted *c = make(&how, &ahead);
    for (uint64_t at = 0; at < SIZE - 8; at += 1u << 18) {
        check(ahead, at, 8);
        check(ahead, 0, 8); /* in use: stays */
    }
    assert_int_equal(c->requests, 12);
    check(ahead, 11u << 18, 8);
    check(ahead, 10u << 18, 8);
    check(ahead, 9u << 18, 8);
    assert_int_equal(c->requests, 12);
    check(ahead, 8u << 18, 8); /* the fifth: was dropped */
    assert_int_equal(c->requests, 13);
    done(c, ahead);
}

static void a_failure_is_reported_and_leaves_nothing_behind(void **state)
{
    (void)state;
    mm_input *ahead;
    mm_error err = MM_ERROR_INIT;
    uint8_t bytes[8];
    counted *c = make(&MM_AHEAD_PARSER, &ahead);
    c->fail_at = 1;
    assert_int_equal(mm_input_read(ahead, 10, bytes, 8, &err), MM_UNAVAILABLE);
    check(ahead, 10, 8);
    assert_int_equal(c->requests, 2);
    done(c, ahead);
}

static void *hop_about(void *context)
{
    uint64_t seed = (uint64_t)(uintptr_t)&seed;
    for (int i = 0; i < 3000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t at = (seed >> 20) % SIZE;
        size_t size = (size_t)(seed >> 50) % (i % 50 == 0 ? 150000 : 300);
        check(context, at, at + size > SIZE ? (size_t)(SIZE - at) : size);
    }
    return NULL;
}

static void threads_may_share_it(void **state)
{
    (void)state;
    mm_input *ahead;
    mm_ahead how = {.first = 8u << 10, .most = 64u << 10, .budget = 128u << 10};
    counted *c = make(&how, &ahead);
    pthread_t threads[4];
    for (size_t i = 0; i < MM_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hop_about, ahead), 0);
    for (size_t i = 0; i < MM_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    done(c, ahead);
}

static int make_content(void **state)
{
    (void)state;
    content = malloc(SIZE);
    for (size_t i = 0; content != NULL && i < SIZE; i++)
        content[i] = (uint8_t)(i * 2654435761u >> 13);
    return content != NULL ? 0 : -1;
}

static int free_content(void **state)
{
    (void)state;
    free(content);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_straight_on_takes_windows_that_grow),
        cmocka_unit_test(hops_cost_small_windows_and_what_is_there_costs_nothing),
        cmocka_unit_test(a_large_read_passes_through_but_for_what_is_there),
        cmocka_unit_test(no_window_crosses_the_ends),
        cmocka_unit_test(the_windows_used_last_stay_within_the_budget),
        cmocka_unit_test(a_failure_is_reported_and_leaves_nothing_behind),
        cmocka_unit_test(threads_may_share_it),
    };
    return cmocka_run_group_tests(tests, make_content, free_content);
}
