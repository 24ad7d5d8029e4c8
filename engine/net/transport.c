/* libcurl's start, and SIGPIPE kept away from the process. */
#include "net/transport.h"

#include <curl/curl.h>
#include <pthread.h>
#include <time.h>

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_started;

static void start_curl(void)
{
    curl_started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

mm_status mm_transport_start(mm_error *err)
{
    pthread_once(&curl_once, start_curl);
    if (curl_started != CURLE_OK)
        return mm_error_set(err, MM_BUG, "libcurl does not start: %s", curl_easy_strerror(curl_started));
    return MM_OK;
}

void mm_transport_hide_sigpipe(mm_transport_signals *signals)
{
    sigset_t pipe_set, pending;
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    sigpending(&pending);
    signals->was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_set, &signals->old);
}

void mm_transport_show_sigpipe(const mm_transport_signals *signals)
{
    sigset_t pipe_set;
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    if (!signals->was_pending) {
        const struct timespec now = {0, 0};
        while (sigtimedwait(&pipe_set, NULL, &now) > 0) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &signals->old, NULL);
}
