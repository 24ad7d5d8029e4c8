/* The URL of a service's API, taken apart. */
#ifndef MM_STORAGE_ENDPOINT_H
#define MM_STORAGE_ENDPOINT_H

#include <stdbool.h>

#include "base/error.h"

typedef struct mm_endpoint {
    char *origin; /* "https://host:port", the port only where it was given */
    char *host;
    char *path;    /* "/a/b" without a slash at the end; "" */
    bool plain;    /* http */
    bool loopback; /* localhost, 127.0.0.0/8, ::1 */
    bool bare;     /* an address, or a name without a dot: no account or bucket can stand in it */
} mm_endpoint;

/* MM_CONFIG: not http(s)://host[:port][/path]; a user, a query or a fragment is refused. `option` names it. */
mm_status mm_endpoint_parse(const char *option, const char *url, mm_endpoint *out, mm_error *err) MM_MUST_USE;
void mm_endpoint_free(mm_endpoint *endpoint);

#endif
