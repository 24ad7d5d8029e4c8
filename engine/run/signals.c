/* The stop flag: set by the first TERM or INT, a second ends the process at once. */
#include "run/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "run/run.h"

static atomic_bool stop_asked; /* lock-free: fit for a handler, and read by every thread */

static void on_signal(int number)
{
    (void)number;
    if (atomic_exchange(&stop_asked, true))
        _exit(75); /* every savepoint is durable: nothing has to be tidied */
}

void mm_run_install_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
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
