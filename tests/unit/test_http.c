/* HTTP against a small server of its own that answers well, badly or not at all: what each end of a request proves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/http.h"

#define BIG ((size_t)4 << 20)

static struct {
    int listener;
    unsigned port;
    atomic_int connections, requests;
    atomic_int open; /* connections that are being served */
    pthread_mutex_t lock;
    char head[8192]; /* of the last request */
    uint64_t body;   /* its bytes */
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void say(int fd, const char *text)
{
    size_t size = strlen(text);
    while (size > 0) {
        ssize_t put = send(fd, text, size, MSG_NOSIGNAL);
        if (put <= 0)
            return;
        text += put;
        size -= (size_t)put;
    }
}

static void reset(int fd)
{
    struct linger hard = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

/* A head, into `head`; bytes behind it are left unread. False at the end. */
static bool read_head(int fd, char *head, size_t size)
{
    size_t used = 0;
    while (used + 1 < size && recv(fd, head + used, 1, 0) == 1) {
        head[++used] = '\0';
        if (used >= 4 && memcmp(head + used - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

static uint64_t read_body(int fd, const char *head)
{
    char waste[65536];
    const char *length = strcasestr(head, "content-length:");
    uint64_t left = length ? strtoull(length + 15, NULL, 10) : 0, all = left;
    while (left > 0) {
        ssize_t got = recv(fd, waste, left < sizeof(waste) ? (size_t)left : sizeof(waste), 0);
        if (got <= 0)
            break;
        left -= (uint64_t)got;
    }
    return all - left;
}

static bool asked(const char *head, const char *path)
{
    const char *at = strchr(head, ' ');
    return at && strncmp(at + 1, path, strlen(path)) == 0;
}

/* False: the connection ends. */
static bool answer(int fd, const char *head, int nth)
{
    if (asked(head, "/cutbody")) {
        usleep(50000);
        reset(fd);
        return false;
    }
    uint64_t body = read_body(fd, head);
    pthread_mutex_lock(&server.lock);
    snprintf(server.head, sizeof(server.head), "%s", head);
    server.body = body;
    pthread_mutex_unlock(&server.lock);
    if (asked(head, "/silent") || (asked(head, "/second") && nth == 2))
        return false;
    if (asked(head, "/stall")) {
        char byte;
        return recv(fd, &byte, 1, 0) > 0; /* until the other side has enough */
    }
    if (asked(head, "/short")) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
        return false;
    }
    if (asked(head, "/busy"))
        say(fd, "HTTP/1.1 503 Slow Down\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy");
    else if (asked(head, "/moved"))
        say(fd, "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    else if (strncmp(head, "HEAD ", 5) == 0)
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    else
        say(fd, "HTTP/1.1 200 OK\r\nX-First: one \r\nx-second:\r\nContent-Length: 5\r\n\r\nhello");
    return true;
}

static void *serve_one(void *context)
{
    int fd = (int)(intptr_t)context;
    char head[8192];
    for (int nth = 1; read_head(fd, head, sizeof(head)); nth++) {
        atomic_fetch_add(&server.requests, 1);
        if (!answer(fd, head, nth))
            break;
    }
    close(fd);
    atomic_fetch_sub(&server.open, 1);
    return NULL;
}

static void *serve(void *context)
{
    (void)context;
    for (int fd; (fd = accept(server.listener, NULL, NULL)) >= 0;) {
        pthread_t thread;
        atomic_fetch_add(&server.connections, 1);
        atomic_fetch_add(&server.open, 1);
        if (pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd) != 0)
            abort();
        pthread_detach(thread);
    }
    return NULL;
}

static int start_server(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    pthread_t thread;
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server.listener, (struct sockaddr *)&address, size) != 0 || listen(server.listener, 16) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&thread, NULL, serve, NULL) != 0)
        return -1;
    pthread_detach(thread);
    server.port = ntohs(address.sin_port);
    return 0;
}

/* --- asking ------------------------------------------------------------------------------------------------- */

static mm_http *http;
static mm_http_reply reply = MM_HTTP_REPLY_INIT;
static mm_error err;

static int open_pool(void **state)
{
    (void)state;
    mm_http_config config = {.direct = true, .stall_timeout_ms = 2000};
    err = (mm_error)MM_ERROR_INIT;
    atomic_store(&server.connections, 0);
    atomic_store(&server.requests, 0);
    return mm_http_open(&config, &http, &err);
}

/* Until nothing that a test has left behind can reach the counters of the next one: a connection of our own is accepted
 * after all that were made before it. */
static int settle_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)server.port)};
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return -1;
    say(fd, "GET /ok HTTP/1.1\r\n\r\n");
    ssize_t got = recv(fd, &byte, 1, 0);
    close(fd);
    while (got == 1 && atomic_load(&server.open) > 0)
        usleep(1000);
    return got == 1 ? 0 : -1;
}

static int close_pool(void **state)
{
    (void)state;
    mm_http_reply_free(&reply);
    mm_http_close(http);
    return settle_server();
}

static mm_status ask(const char *path, mm_http_request request)
{
    char url[256];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", server.port, path);
    request.url = url;
    request.method = request.method ? request.method : "GET";
    return mm_http_perform(http, &request, &reply, &err);
}

static void an_answer_with_its_headers(void **state)
{
    (void)state;
    const char *headers[] = {"x-asked: a  b", "x-empty:"};
    assert_int_equal(ask("/a/../b//c?d=e%2Ff", (mm_http_request){.headers = headers, .header_count = 2}), MM_OK);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body.data, "hello");
    assert_string_equal(mm_http_header(&reply, "X-FIRST"), "one");
    assert_string_equal(mm_http_header(&reply, "X-Second"), "");
    assert_null(mm_http_header(&reply, "X-Third"));
    assert_memory_equal(server.head, "GET /a/../b//c?d=e%2Ff HTTP/1.1\r\n", 33);
    assert_non_null(strstr(server.head, "x-asked: a  b\r\n"));
    assert_non_null(strstr(server.head, "x-empty:\r\n"));
    assert_null(strstr(server.head, "Expect"));
}

static void connections_are_used_again(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask("/ok", (mm_http_request){.repeatable = true}), MM_OK);
    assert_int_equal(ask("/ok", (mm_http_request){.method = "HEAD", .repeatable = true}), MM_OK);
    assert_int_equal(atomic_load(&server.connections), 1);
    assert_int_equal(atomic_load(&server.requests), 11);
}

static void bodies_from_memory_and_from_files(void **state)
{
    (void)state;
    char path[] = "/tmp/mm-http-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && unlink(path) == 0 && ftruncate(fd, (off_t)BIG) == 0);
    assert_int_equal(ask("/ok", (mm_http_request){.method = "PUT", .body = {.bytes = "abc", .size = 3}}), MM_OK);
    assert_true(server.body == 3);
    assert_int_equal(ask("/ok", (mm_http_request){.method = "POST"}), MM_OK);
    assert_non_null(strstr(server.head, "Content-Length: 0\r\n"));
    assert_int_equal(ask("/ok", (mm_http_request){.method = "PUT", .body = {.fd = fd, .offset = 1000, .size = BIG - 1000}}),
                     MM_OK);
    assert_true(server.body == BIG - 1000);
    assert_int_equal(ask("/ok", (mm_http_request){.method = "PUT", .body = {.fd = fd, .offset = 1000, .size = BIG}}),
                     MM_DATA);
    assert_int_equal(ask("/ok", (mm_http_request){.method = "PUT", .body = {.fd = -1, .size = 1}}), MM_IO);
    close(fd);
}

static void an_answer_into_fixed_memory(void **state)
{
    (void)state;
    char into[8] = "-------";
    assert_int_equal(ask("/ok", (mm_http_request){.into = into, .into_size = 5, .repeatable = true}), MM_OK);
    assert_memory_equal(into, "hello--", 7);
    assert_int_equal(reply.into_size, 5);
    assert_int_equal(reply.body.size, 0);
    assert_int_equal(ask("/ok", (mm_http_request){.into = into, .into_size = 4, .repeatable = true}), MM_TOO_LARGE);
    assert_int_equal(ask("/ok", (mm_http_request){.reply_max = 4, .repeatable = true}), MM_TOO_LARGE);
    assert_int_equal(ask("/ok", (mm_http_request){.reply_max = 4}), MM_UNKNOWN);
    /* the body of a refusal is not what the memory is for */
    assert_int_equal(ask("/busy", (mm_http_request){.into = into, .into_size = 5}), MM_OK);
    assert_int_equal(reply.status, 503);
    assert_string_equal(reply.body.data, "busy");
    assert_int_equal(reply.retry_after_ms, 7000);
}

static void never_connected_is_not_executed(void **state)
{
    (void)state;
    mm_http_request request = {.method = "POST", .url = "http://127.0.0.1:1/secret?token=xyz", .body = {.bytes = "a", .size = 1}};
    assert_int_equal(mm_http_perform(http, &request, &reply, &err), MM_UNAVAILABLE);
    assert_non_null(strstr(err.text, "POST http://127.0.0.1:1/secret: "));
    assert_null(strstr(err.text, "xyz"));
    assert_int_equal(reply.status, 0);
}

static void sent_without_an_answer_is_unknown(void **state)
{
    (void)state;
    mm_http_body body = {.bytes = "abc", .size = 3};
    assert_int_equal(ask("/silent", (mm_http_request){.method = "POST", .body = body}), MM_UNKNOWN);
    assert_int_equal(ask("/silent", (mm_http_request){0}), MM_UNKNOWN);
    assert_int_equal(ask("/silent", (mm_http_request){.repeatable = true}), MM_UNAVAILABLE);
    assert_int_equal(ask("/short", (mm_http_request){.method = "POST", .body = body}), MM_UNKNOWN);
    assert_int_equal(ask("/short", (mm_http_request){.repeatable = true}), MM_UNAVAILABLE);
}

static void a_body_that_did_not_leave_whole_is_not_executed(void **state)
{
    (void)state;
    char *bytes = calloc(8, BIG);
    assert_int_equal(ask("/cutbody", (mm_http_request){.method = "POST", .body = {.bytes = bytes, .size = 8 * BIG}}),
                     MM_UNAVAILABLE);
    free(bytes);
}

/* The server ends a kept connection just when the next request comes. */
static void only_what_may_be_repeated_is_sent_again_on_a_dead_connection(void **state)
{
    (void)state;
    mm_http_body body = {.bytes = "abc", .size = 3};
    assert_int_equal(ask("/second", (mm_http_request){.method = "PUT", .body = body, .repeatable = true}), MM_OK);
    assert_int_equal(ask("/second", (mm_http_request){.method = "PUT", .body = body, .repeatable = true}), MM_OK);
    assert_int_equal(atomic_load(&server.requests), 3);
    assert_int_equal(ask("/second", (mm_http_request){.method = "POST", .body = body}), MM_UNKNOWN);
    assert_int_equal(atomic_load(&server.requests), 4);
    assert_int_equal(ask("/second", (mm_http_request){.method = "POST"}), MM_OK);
    assert_int_equal(ask("/second", (mm_http_request){.method = "POST"}), MM_OK); /* not on the old connection */
    assert_int_equal(atomic_load(&server.requests), 6);
}

static void a_stalled_request_ends(void **state)
{
    (void)state;
    uint64_t began = mm_clock_ms();
    assert_int_equal(ask("/stall", (mm_http_request){.method = "POST"}), MM_UNKNOWN);
    assert_true(mm_clock_ms() - began < 20000);
    began = mm_clock_ms();
    assert_int_equal(ask("/stall", (mm_http_request){.total_timeout_ms = 300, .repeatable = true}), MM_UNAVAILABLE);
    assert_true(mm_clock_ms() - began < 1900);
}

static bool say_stop(void *context)
{
    (void)context;
    return true;
}

static void a_stop_is_heard(void **state)
{
    (void)state;
    assert_int_equal(ask("/stall", (mm_http_request){.stopping = say_stop, .repeatable = true}), MM_INTERRUPTED);
    atomic_bool cancel = true;
    assert_int_equal(ask("/ok", (mm_http_request){.method = "PUT", .body = {.bytes = "a", .size = 1, .cancel = &cancel}}),
                     MM_INTERRUPTED);
}

static void redirects_are_answers(void **state)
{
    (void)state;
    assert_int_equal(ask("/moved", (mm_http_request){0}), MM_OK);
    assert_int_equal(reply.status, 301);
    assert_string_equal(mm_http_header(&reply, "Location"), "http://127.0.0.1:1/");
    assert_int_equal(mm_http_judge(301, false), MM_CONFIG);
    assert_int_equal(mm_http_judge(503, false), MM_UNAVAILABLE);
    assert_int_equal(mm_http_judge(500, false), MM_UNKNOWN);
    assert_int_equal(mm_http_judge(500, true), MM_UNAVAILABLE);
    assert_int_equal(mm_http_judge(429, false), MM_RATE_LIMITED);
}

static void what_is_no_url_is_refused(void **state)
{
    (void)state;
    mm_http_request request = {.method = "GET", .url = "file:///etc/passwd"};
    assert_int_equal(mm_http_perform(http, &request, &reply, &err), MM_CONFIG);
    request.url = "http://[";
    assert_int_equal(mm_http_perform(http, &request, &reply, &err), MM_CONFIG);
}

static void *ask_often(void *context)
{
    mm_http_reply mine = MM_HTTP_REPLY_INIT;
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/ok", server.port);
    for (int i = 0; i < 200; i++) {
        mm_http_request request = {.method = "GET", .url = url, .repeatable = true};
        if (mm_http_perform(http, &request, &mine, NULL) != MM_OK || mine.body.size != 5)
            atomic_fetch_add((atomic_int *)context, 1);
    }
    mm_http_reply_free(&mine);
    return NULL;
}

static void several_threads_share_a_pool(void **state)
{
    (void)state;
    pthread_t threads[4];
    atomic_int failures = 0;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &failures), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&failures), 0);
    assert_int_equal(atomic_load(&server.requests), 800);
    assert_true(atomic_load(&server.connections) <= 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pool, close_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_with_its_headers),
        TEST(connections_are_used_again),
        TEST(bodies_from_memory_and_from_files),
        TEST(an_answer_into_fixed_memory),
        TEST(never_connected_is_not_executed),
        TEST(sent_without_an_answer_is_unknown),
        TEST(a_body_that_did_not_leave_whole_is_not_executed),
        TEST(only_what_may_be_repeated_is_sent_again_on_a_dead_connection),
        TEST(a_stalled_request_ends),
        TEST(a_stop_is_heard),
        TEST(redirects_are_answers),
        TEST(what_is_no_url_is_refused),
        TEST(several_threads_share_a_pool),
    };
    return cmocka_run_group_tests(tests, start_server, NULL);
}
