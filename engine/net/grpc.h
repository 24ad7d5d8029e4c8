/* gRPC unary calls over libcurl's HTTP/2: framing, deadlines, TLS, trailers, and the judgement whether
 * a failed request may have been executed. Knows no service and no message.
 *
 * A channel is one connection, reused between calls, for one thread at a time. Nothing here installs
 * or raises a signal. */
#ifndef MM_NET_GRPC_H
#define MM_NET_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/util.h"

typedef struct mm_grpc_channel mm_grpc_channel;

/* How to reach a server. All strings are copied by mm_grpc_open. */
typedef struct mm_grpc_config {
    const char *endpoint;    /* http://host:port (HTTP/2 without TLS) or https://host:port */
    const char *ca_file;     /* PEM, instead of the system's authorities; NULL: the system's */
    const char *cert_file;   /* PEM client certificate and its key; NULL: none */
    const char *key_file;
    const char *server_name; /* the name in the server's certificate, where it is not the host */
    const char *const *headers; /* metadata for every call: "name: value" */
    size_t header_count;
    uint64_t connect_timeout_ms; /* 0: 10 s */
    size_t reply_max;            /* bytes of a reply message; 0: 256 MiB */
} mm_grpc_config;

/* A piece of a request message; borrowed for the call. */
typedef struct mm_grpc_segment {
    const void *data;
    size_t size;
} mm_grpc_segment;

typedef struct mm_grpc_call {
    const char *path; /* "/package.Service/Method" */
    const mm_grpc_segment *segments; /* the message, in order */
    size_t segment_count;
    uint64_t timeout_ms; /* deadline for the whole call; 0: 60 s */
    /* The call changes nothing, or repeating it does no harm: an unknown outcome is then reported as
     * MM_UNAVAILABLE, not as MM_UNKNOWN. */
    bool repeatable;
} mm_grpc_call;

#define MM_GRPC_NO_STATUS (-1)
#define MM_GRPC_UNIMPLEMENTED 12

typedef struct mm_grpc_reply {
    const uint8_t *data; /* the message, in the channel's buffer: valid until the next call */
    size_t size;
    int grpc_status;     /* as the server gave it; MM_GRPC_NO_STATUS when none came */
} mm_grpc_reply;

/* Opens no connection yet. MM_CONFIG for an endpoint that is no URL. */
mm_status mm_grpc_open(const mm_grpc_config *config, mm_grpc_channel **out, mm_error *err) MM_MUST_USE;
void mm_grpc_close(mm_grpc_channel *channel);

/* One unary call. reply is set whenever the server gave a grpc-status, also on failure (then without
 * data). Statuses:
 *   MM_OK           grpc-status 0 and one whole message
 *   MM_UNAVAILABLE  proven not executed: never connected, or the request did not leave whole (a gRPC
 *                   server executes only a complete message); or the call is repeatable
 *   MM_UNKNOWN      sent whole, fate not known: timeout, reset, connection lost, HTTP/2 stream error,
 *                   broken reply, or a grpc-status that does not exclude execution
 *   MM_TOO_LARGE    refused because of the message's size
 *   MM_RATE_LIMITED grpc-status 8 otherwise, HTTP 429; err->retry_after_ms when the server says
 *   MM_AUTH         grpc-status 7 or 16, HTTP 401 or 403, a certificate that does not verify
 *   MM_CONFIG       an unreadable certificate file
 *   MM_TARGET       grpc-status 12, or what answers is no gRPC server
 *   MM_DATA         grpc-status 3, 9 or 11
 *   MM_NOT_FOUND    grpc-status 5 */
mm_status mm_grpc_perform(mm_grpc_channel *channel, const mm_grpc_call *call, mm_grpc_reply *reply,
                          mm_error *err) MM_MUST_USE;

/* The reply's buffer becomes the caller's (free with mm_buffer_free); reply->data stays valid in it. */
mm_buffer mm_grpc_take_buffer(mm_grpc_channel *channel);

/* Parts, apart for tests and fuzzing. */

/* The one message in a unary reply's body: u8 compressed flag (0), u32 big-endian length, bytes.
 * Source: gRPC over HTTP/2, "Length-Prefixed-Message". False when the body is anything else. */
bool mm_grpc_unframe(const uint8_t *body, size_t size, const uint8_t **message, size_t *length);
/* Decodes percent-encoding (grpc-message) of `size` bytes into out, NUL-terminated, truncated to
 * capacity; control characters become spaces. */
void mm_grpc_decode_message(const char *text, size_t size, char *out, size_t capacity);

#endif
