/* Who asks, and by which certificates: headers of a request, and the pool of connections. Knows no API. */
#ifndef MM_SOURCES_ELASTIC_AUTH_H
#define MM_SOURCES_ELASTIC_AUTH_H

#include "sources/elastic/client.h"
#include "storage/endpoint.h"

typedef struct mm_elastic_auth mm_elastic_auth;

/* MM_CONFIG: more than one way, or half of one. host: of the first node; AWS's names say the region. */
mm_status mm_elastic_auth_open(const mm_options *options, const char *host, mm_elastic_auth **out,
                               mm_error *err) MM_MUST_USE;
void mm_elastic_auth_close(mm_elastic_auth *auth);

/* "name: value" of one request, and where it goes. */
#define MM_ELASTIC_LINES 8
typedef struct mm_elastic_lines {
    const char *items[MM_ELASTIC_LINES];
    size_t count;
    char *own[MM_ELASTIC_LINES]; /* malloc'd ones among them */
    size_t own_count;
    char *path; /* as it must be sent: signatures want their own encoding of the query */
} mm_elastic_lines;
mm_status mm_elastic_auth_lines(mm_elastic_auth *auth, const mm_endpoint *at, const mm_elastic_call *call,
                                mm_elastic_lines *out, mm_error *err) MM_MUST_USE;
void mm_elastic_lines_free(mm_elastic_lines *lines);

/* The URL in a cloud id: "name:" and base64 of "host[:port]$id of the cluster$id of Kibana" is https://id.host[:port].
 * malloc'd. */
mm_status mm_elastic_cloud_url(const char *cloud_id, char **out, mm_error *err) MM_MUST_USE;

/* Connections as ca_file, ca_fingerprint, client_cert and client_key say. */
mm_status mm_elastic_http_open(const mm_options *options, const char *url, mm_http **out, mm_error *err) MM_MUST_USE;

#endif
