/* What every user of libcurl in this program needs: libcurl started once, and its writes kept from raising
 * SIGPIPE in the process. Knows no protocol. */
#ifndef MM_NET_TRANSPORT_H
#define MM_NET_TRANSPORT_H

#include <signal.h>
#include <stdbool.h>

#include "base/error.h"

/* Starts libcurl, once. Any thread. MM_BUG: it does not start. */
mm_status mm_transport_start(mm_error *err) MM_MUST_USE;

/* OpenSSL writes with write(2), so a connection that is gone would raise SIGPIPE: between hide and show it is
 * held back from the calling thread, and one that came meanwhile is taken away. */
typedef struct mm_transport_signals {
    sigset_t old;
    bool was_pending;
} mm_transport_signals;
void mm_transport_hide_sigpipe(mm_transport_signals *signals);
void mm_transport_show_sigpipe(const mm_transport_signals *signals);

#endif
