/* The stop flag: set by the first TERM or INT, a second ends the process at once. What does not hear the flag in time
 * (a storage that does not answer, a call with a long deadline) is not waited for. One wish to stop often comes twice:
 * timeout(1) signals its child and then the child's whole group, and a wrapper passes on what the terminal has told us
 * already. Such an echo is no second signal. */
#include "run/signals.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "run/run.h"

#define STOP_MAX_S 18 /* a stop must end within 20 s; the pipeline drains for 15 s at most */
#define ECHO_MS 200

static _Atomic uint64_t asked_ms; /* 0: not yet; lock-free: fit for a handler, and read by every thread */
static sem_t asked;

static void on_signal(int number)
{
    int before = errno;
    struct timespec now = {0};
    (void)number;
    clock_gettime(CLOCK_MONOTONIC, &now); /* safe in a handler, as POSIX lists it */
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + 1, first_ms = 0;
    if (atomic_compare_exchange_strong(&asked_ms, &first_ms, now_ms)) /* another thread may be in here with the echo */
        sem_post(&asked);
    else if (now_ms >= first_ms + ECHO_MS)
        _exit(75); /* every savepoint is durable: nothing has to be tidied */
    errno = before;
}

static void *end_in_time(void *unused)
{
    (void)unused;
    while (sem_wait(&asked) != 0) {
    }
    struct timespec left = {.tv_sec = STOP_MAX_S};
    while (nanosleep(&left, &left) != 0) {
    }
    mm_log(MM_LOG_WARN, "what was under way at the stop did not end within %d s and is left: every savepoint is durable, "
                        "`mmresume resume` goes on from the last", STOP_MAX_S);
    _exit(75);
}

void mm_run_install_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    pthread_t thread;
    sem_init(&asked, 0, 0);
    if (pthread_create(&thread, NULL, end_in_time, NULL) == 0)
        pthread_detach(thread);
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL); /* a cut connection is an error of the call */
    sigaction(SIGXFSZ, &action, NULL); /* a file size limit is a full disk */
}

bool mm_signals_stop_asked(void)
{
    return atomic_load(&asked_ms) != 0;
}
