/* Plain HTTP requests on libcurl: method, URL, headers, a body from memory or a file, the answer in a buffer or in
 * fixed memory. Knows no service, no credentials, no retries.
 *
 * An mm_http is a pool of connections that are used again; any number of threads may perform requests on it at
 * once, each on a connection of its own. Nothing here raises a signal or follows a redirect. */
#ifndef MM_NET_HTTP_H
#define MM_NET_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/util.h"

typedef struct mm_http mm_http;

/* All strings are copied by mm_http_open. Zero values are defaults. */
typedef struct mm_http_config {
    const char *ca_file;         /* PEM, instead of the system's authorities; NULL: the system's */
    const char *ca_pem;          /* the same as text; NULL: none */
    const char *client_cert, *client_key; /* PEM files to log in with; key NULL: it is in client_cert's file */
    bool direct;                 /* through no proxy, whatever the environment says (metadata services) */
    uint64_t connect_timeout_ms; /* 0: 10 s */
    uint64_t stall_timeout_ms;   /* no byte moves either way: 0: 60 s */
} mm_http_config;

/* The bytes that a request sends; borrowed for the call. */
typedef struct mm_http_body {
    const void *bytes; /* NULL: from the file */
    int fd;            /* read with pread, so several threads may share it */
    uint64_t offset;   /* in the file, of the first byte */
    uint64_t size;     /* bytes; 0: an empty body */
    const atomic_bool *cancel; /* becomes true: nothing more is sent, MM_INTERRUPTED; NULL: never */
} mm_http_body;

/* All pointers are borrowed for the call. */
typedef struct mm_http_request {
    const char *method; /* GET, HEAD, PUT, POST, DELETE, PATCH */
    const char *url;    /* complete and encoded; path and query are sent as they are */
    const char *const *headers; /* "name: value"; nothing is added but what HTTP needs (and User-Agent) */
    size_t header_count;
    mm_http_body body; /* sent with PUT, POST and PATCH, and with DELETE when it is not empty */
    uint64_t total_timeout_ms; /* for the whole request; 0: none */
    uint64_t stall_timeout_ms; /* 0: the pool's */
    /* The request changes nothing, or repeating it does no harm: libcurl may send it again on a connection that
     * turned out dead, and an unknown outcome is reported as MM_UNAVAILABLE, not as MM_UNKNOWN. */
    bool repeatable;
    bool compressed; /* gzip is asked for; the body of the answer arrives as it was before, and so counts reply_max */
    void *into; /* memory for the body of an answer with status 2xx; NULL: reply->body */
    size_t into_size;
    size_t reply_max;                /* bytes of reply->body; 0: 64 MiB */
    bool (*stopping)(void *context); /* asked about once a second: true ends the request; may be NULL */
    void *context;
} mm_http_request;

/* Begin with MM_HTTP_REPLY_INIT; mm_http_reply_free in the end, also after a failure. May be used again. */
typedef struct mm_http_reply {
    long status;       /* HTTP's; 0: no answer came */
    mm_buffer body;    /* NUL behind it when not empty */
    size_t into_size;  /* bytes written to request->into */
    mm_buffer headers; /* of the last answer: name NUL value NUL … */
    uint32_t retry_after_ms; /* header Retry-After, seconds or a date; 0: none */
} mm_http_reply;
#define MM_HTTP_REPLY_INIT {0, MM_BUFFER_INIT, 0, MM_BUFFER_INIT, 0}
void mm_http_reply_free(mm_http_reply *reply);
/* Value of a header of the answer, name in any case; NULL: not there. Lives as long as the reply. */
const char *mm_http_header(const mm_http_reply *reply, const char *name);

/* Opens no connection yet. */
mm_status mm_http_open(const mm_http_config *config, mm_http **out, mm_error *err) MM_MUST_USE;
void mm_http_close(mm_http *http);

/* One request. Messages name the URL without its query, which may hold secrets. Statuses:
 *   MM_OK           an answer came whole, whatever its HTTP status says (see mm_http_judge)
 *   MM_UNAVAILABLE  proven not executed: never connected, or the body did not leave whole; or repeatable
 *   MM_UNKNOWN      sent, and no whole answer came: timeout, reset, answer cut off
 *   MM_TOO_LARGE    the answer is larger than reply_max or into_size (MM_UNKNOWN when not repeatable)
 *   MM_AUTH         the server's certificate does not verify
 *   MM_CONFIG       malformed URL, unreadable ca_file
 *   MM_IO           the body's file cannot be read; MM_DATA: it is shorter than the body
 *   MM_INTERRUPTED  stopping() said so before the request was sent, or it is repeatable (else MM_UNKNOWN) */
mm_status mm_http_perform(mm_http *http, const mm_http_request *request, mm_http_reply *reply, mm_error *err)
    MM_MUST_USE;

/* The certificate with this SHA-256 (hexadecimal digits, colons between them or not) among those that the server of an
 * https URL shows, as PEM: nothing else is asked of that server, and its name is not checked, so only as the ca_pem of a
 * pool is it worth anything. MM_CONFIG: not 64 digits, or not https; MM_AUTH: the server shows others. */
mm_status mm_http_find_certificate(const char *url, const char *sha256, mm_buffer *pem, mm_error *err) MM_MUST_USE;

/* What an HTTP status means by itself: 2xx MM_OK, 401 403 MM_AUTH, 404 MM_NOT_FOUND, 408 425 503 MM_UNAVAILABLE,
 * 409 MM_TARGET, 412 MM_CHANGED, 413 MM_TOO_LARGE, 416 MM_DATA, 429 MM_RATE_LIMITED, other 5xx MM_UNKNOWN
 * (repeatable: MM_UNAVAILABLE), 3xx and the rest of 4xx MM_CONFIG. */
mm_status mm_http_judge(long http_status, bool repeatable);

#endif
