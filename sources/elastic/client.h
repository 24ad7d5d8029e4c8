/* Requests to the nodes of a cluster: which node, with whose rights, and what an answer's status means. Knows the
 * form of an error, no API. Any number of threads may call at once. */
#ifndef MM_SOURCES_ELASTIC_CLIENT_H
#define MM_SOURCES_ELASTIC_CLIENT_H

#include "config/options.h"
#include "net/http.h"

typedef struct mm_elastic_client mm_elastic_client;

/* Options of where the cluster is and who asks. */
#define MM_ELASTIC_CLIENT_OPTIONS                                                                                   \
    {.name = "endpoint", .type = MM_OPT_LIST,                                                                      \
     .help = "URL of the cluster, or of several of its nodes: where one fails, the next is asked"},                \
    {.name = "cloud_id", .type = MM_OPT_STRING, .help = "cloud id of a hosted deployment, instead of endpoint"},   \
    {.name = "username", .type = MM_OPT_STRING, .help = "user name of basic authentication"},                      \
    {.name = "password", .type = MM_OPT_STRING, .secret = true, .help = "password of the user"},                   \
    {.name = "api_key", .type = MM_OPT_STRING, .secret = true, .help = "API key: `id:key`, or encoded as given"},  \
    {.name = "token", .type = MM_OPT_STRING, .secret = true, .help = "bearer token, or a service account's token"}, \
    {.name = "aws_service", .type = MM_OPT_ENUM, .choices = "none|es|aoss", .default_value = "none",               \
     .help = "sign requests for this AWS service, with the storage_… credentials (or environment, profile, role)"}, \
    {.name = "ca_file", .type = MM_OPT_PATH, .help = "PEM file of authorities instead of the system's"},           \
    {.name = "ca_fingerprint", .type = MM_OPT_STRING,                                                              \
     .help = "SHA-256 of the certificate that the server's must be signed by, in hexadecimal digits"},             \
    {.name = "client_cert", .type = MM_OPT_PATH, .help = "PEM file with the certificate to log in with"},          \
    {.name = "client_key", .type = MM_OPT_PATH, .help = "PEM file with the key of client_cert; default: the same file"}, \
    {.name = "gzip", .type = MM_OPT_BOOL, .default_value = "false",                                                \
     .help = "ask for compressed replies: a third of the bytes, for more processor time on both sides"},           \
    {.name = "request_timeout", .type = MM_OPT_DURATION, .default_value = "2m",                                    \
     .help = "how long one request may take in all"}

/* No request is sent but where ca_fingerprint has the certificates looked at. MM_CONFIG, MM_AUTH. */
mm_status mm_elastic_client_open(const mm_options *options, mm_elastic_client **out, mm_error *err) MM_MUST_USE;
void mm_elastic_client_close(mm_elastic_client *client);

typedef struct mm_elastic_call {
    const char *method;
    const char *path; /* from the slash on, encoded, with its query */
    const char *body; /* JSON; NULL: none */
    size_t body_size;
    size_t reply_max; /* 0: 64 MiB */
    bool once;        /* repeating it does harm: a scroll's next page */
} mm_elastic_call;

/* One request; another node is asked where one cannot be reached. reply is used again from call to call; its body is the
 * answer when MM_OK. The message names method, URL, HTTP status, type and reason of the error. Statuses:
 *   MM_RATE_LIMITED  429: queues are full, a circuit breaker; retry_after_ms where the server says it
 *   MM_UNAVAILABLE   no node is reachable, a timeout, a cut answer, 502, 503, 504, other 5xx
 *   MM_TOO_LARGE     the answer is larger than reply_max
 *   MM_NOT_FOUND     404: no such index; MM_CHANGED: a context (PIT, scroll) that is gone
 *   MM_AUTH, MM_CONFIG, MM_UNKNOWN (only `once`) */
mm_status mm_elastic_client_call(mm_elastic_client *client, const mm_elastic_call *call, mm_http_reply *reply,
                                 mm_error *err) MM_MUST_USE;

/* The first node's URL: for messages. */
const char *mm_elastic_client_name(const mm_elastic_client *client);

#endif
