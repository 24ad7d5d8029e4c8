/* The stop flag: set by the first TERM or INT, a second ends the process at once. What does not hear the flag in time
 * (a storage that does not answer, a call with a long deadline) is not waited for. */
#include "run/signals.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "run/run.h"

#define STOP_MAX_S 18 /* a stop must end within 20 s; the pipeline drains for 15 s at most */

static atomic_bool stop_asked; /* lock-free: fit for a handler, and read by every thread */
static sem_t asked;

static void on_signal(int number)
{
    int before = errno;
    (void)number;
    if (atomic_exchange(&stop_asked, true))
        _exit(75); /* every savepoint is durable: nothing has to be tidied */
    sem_post(&asked);
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
    return atomic_load(&stop_asked);
}
