/* What grpc.c and grpc_judge.c share: a channel with the call under way. */
#ifndef MM_NET_GRPC_INTERNAL_H
#define MM_NET_GRPC_INTERNAL_H

#include <curl/curl.h>

#include "net/grpc.h"

#define GRPC_PREFIX 5
#define GRPC_MESSAGE_MAX 600
/* Small on purpose: what libcurl was not handed yet cannot have left, which is the proof that a failed
 * request was not executed. */
#define GRPC_UPLOAD_BUFFER (64L * 1024)

struct mm_grpc_channel {
    CURL *curl;
    CURLM *multi; /* holds the connection, and lets us decide how to wait */
    char *endpoint; /* scheme://host:port, without a path */
    char *ca_file, *cert_file, *key_file;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    uint64_t connect_timeout_ms;
    size_t reply_max;
    bool tls;
    bool reuse_bug;   /* this libcurl cannot reuse a prior-knowledge connection: see open_socket */
    bool connected;   /* the last call left a connection that the next one may go out on */
    bool reuse_only;  /* this attempt may not open a connection */
    bool open_refused;
    curl_socket_t socket; /* the last one opened */
    int sockets_open;
    char curl_error[CURL_ERROR_SIZE];

    /* the request under way */
    uint8_t prefix[GRPC_PREFIX];
    const mm_grpc_segment *segments;
    size_t segment_count, segment, offset;
    size_t total, handed; /* bytes of prefix and message; of these, given to libcurl */

    /* the reply under way */
    mm_buffer body;
    bool body_too_large;
    int grpc_status;
    bool content_type_grpc, has_content_type;
    char message[GRPC_MESSAGE_MAX];
    uint64_t pushback_ms;

};

/* The status of a transfer that ended with `code`, and on success the reply's message. */
mm_status mm_grpc_judge(mm_grpc_channel *ch, const mm_grpc_call *call, CURLcode code, mm_grpc_reply *reply,
                        mm_error *err) MM_MUST_USE;

#endif
