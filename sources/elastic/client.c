/* Nodes and requests. */
#include "sources/elastic/client.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "sources/elastic/auth.h"
#include "storage/endpoint.h"

#define NODES_MAX 64
#define DOWN_MS 5000 /* a node that failed is asked last for so long */
#define REASON_MAX 400

typedef struct node {
    mm_endpoint at;
    _Atomic uint64_t down_until; /* monotonic */
} node;

struct mm_elastic_client {
    mm_http *http;
    mm_elastic_auth *auth;
    node nodes[NODES_MAX];
    size_t count;
    char *name;
    atomic_uint turn; /* requests go round */
    bool gzip;
    uint64_t timeout_ms;
};

/* --- opening ---------------------------------------------------------------------------------------------------- */

static mm_status add_node(mm_elastic_client *client, const char *option, const char *url, mm_error *err)
{
    if (client->count == NODES_MAX)
        return mm_error_set(err, MM_CONFIG, "source.endpoint: more than %d nodes; some of them are enough", NODES_MAX);
    mm_status status = mm_endpoint_parse(option, url, &client->nodes[client->count].at, err);
    if (status == MM_OK)
        client->count++;
    return status;
}

static mm_status find_nodes(mm_elastic_client *client, const mm_options *options, mm_error *err)
{
    const char *const *urls = NULL;
    size_t count = mm_options_list(options, "endpoint", &urls);
    const char *cloud_id = mm_options_str(options, "cloud_id");
    if ((count > 0) == (cloud_id != NULL))
        return mm_error_set(err, MM_CONFIG, "source: either endpoint or cloud_id says where the cluster is");
    mm_status status = MM_OK;
    if (cloud_id) {
        char *url = NULL;
        status = mm_elastic_cloud_url(cloud_id, &url, err);
        if (status == MM_OK)
            status = add_node(client, "source.cloud_id", url, err);
        free(url);
    }
    for (size_t i = 0; status == MM_OK && i < count; i++)
        status = add_node(client, "source.endpoint", urls[i], err);
    if (status != MM_OK)
        return status;
    client->name = mm_format("%s%s", client->nodes[0].at.origin, client->nodes[0].at.path);
    return client->name ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

mm_status mm_elastic_client_open(const mm_options *options, mm_elastic_client **out, mm_error *err)
{
    mm_elastic_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    client->gzip = mm_options_bool(options, "gzip");
    client->timeout_ms = mm_options_ms(options, "request_timeout");
    mm_status status = find_nodes(client, options, err);
    if (status == MM_OK)
        status = mm_elastic_auth_open(options, client->nodes[0].at.host, &client->auth, err);
    if (status == MM_OK)
        status = mm_elastic_http_open(options, client->name, &client->http, err);
    if (status != MM_OK) {
        mm_elastic_client_close(client);
        return status;
    }
    *out = client;
    return MM_OK;
}

void mm_elastic_client_close(mm_elastic_client *client)
{
    if (client == NULL)
        return;
    mm_http_close(client->http);
    mm_elastic_auth_close(client->auth);
    for (size_t i = 0; i < client->count; i++)
        mm_endpoint_free(&client->nodes[i].at);
    free(client->name);
    free(client);
}

const char *mm_elastic_client_name(const mm_elastic_client *client)
{
    return client->name;
}

/* --- what an answer means --------------------------------------------------------------------------------------- */

/* {"error":{"type":…,"reason":…,"root_cause":[{…}]},"status":…}, {"error":"text"}, or anything a proxy says. */
typedef struct failure {
    char type[80], reason[REASON_MAX];
} failure;

static void take_text(const cJSON *object, const char *key, char *out, size_t size)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    if (text && text[0])
        snprintf(out, size, "%s", text);
}

static void read_failure(const mm_http_reply *reply, failure *out)
{
    cJSON *json = cJSON_ParseWithLength(reply->body.data, reply->body.size);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(json, "error");
    const cJSON *root = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(error, "root_cause"), 0);
    *out = (failure){"", ""};
    take_text(error, "type", out->type, sizeof(out->type));
    take_text(error, "reason", out->reason, sizeof(out->reason));
    /* "all shards failed" is no reason; what happened to one of them is */
    take_text(root, "type", out->type, sizeof(out->type));
    take_text(root, "reason", out->reason, sizeof(out->reason));
    if (cJSON_IsString(error))
        snprintf(out->reason, sizeof(out->reason), "%s", error->valuestring);
    if (json == NULL && reply->body.size > 0)
        snprintf(out->reason, sizeof(out->reason), "%.*s", (int)(reply->body.size < 200 ? reply->body.size : 200),
                 reply->body.data);
    for (char *c = out->reason; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    cJSON_Delete(json);
}

static mm_status meaning(const mm_elastic_call *call, long http, const failure *found)
{
    if (strcmp(found->type, "search_context_missing_exception") == 0)
        return MM_CHANGED;
    if (strcmp(found->type, "circuit_breaking_exception") == 0 ||
        strcmp(found->type, "es_rejected_execution_exception") == 0 ||
        strcmp(found->type, "rejected_execution_exception") == 0)
        return MM_RATE_LIMITED;
    if (http == 413)
        return MM_CONFIG; /* of the request: it is small, so a proxy is in the way */
    return mm_http_judge(http, !call->once);
}

static const char *next_step(mm_status status, long http)
{
    if (http == 401)
        return "; give username and password, api_key or token";
    if (http == 403)
        return "; the user needs the rights read, view_index_metadata, monitor and maintenance on the index";
    return status == MM_CONFIG && http >= 300 && http < 400 ? "; the endpoint is that of something else" : "";
}

static mm_status judge(const mm_elastic_call *call, const char *url, const mm_http_reply *reply, mm_error *err)
{
    if (reply->status >= 200 && reply->status < 300)
        return MM_OK;
    failure found;
    read_failure(reply, &found);
    mm_status status = meaning(call, reply->status, &found);
    int shown = (int)strcspn(url, "?");
    mm_error_set(err, status, "%s %.*s: HTTP %ld%s%s%s%s%s", call->method, shown, url, reply->status,
                 found.type[0] ? " " : "", found.type, found.reason[0] ? ": " : "", found.reason,
                 next_step(status, reply->status));
    if (err)
        err->retry_after_ms = reply->retry_after_ms;
    return status;
}

/* --- a request -------------------------------------------------------------------------------------------------- */

/* The next node in turn, those that failed a moment ago last. tried: bits of nodes that this call has asked. */
static size_t choose(mm_elastic_client *client, uint64_t tried)
{
    uint64_t now = mm_clock_ms();
    size_t from = atomic_fetch_add(&client->turn, 1) % client->count, fallback = client->count;
    for (size_t i = 0; i < client->count; i++) {
        size_t at = (from + i) % client->count;
        if (tried >> at & 1)
            continue;
        if (client->nodes[at].down_until <= now)
            return at;
        if (fallback == client->count)
            fallback = at;
    }
    return fallback;
}

static mm_status ask(mm_elastic_client *client, const node *n, const mm_elastic_call *call, mm_http_reply *reply,
                     mm_error *err)
{
    mm_elastic_lines lines = {0};
    mm_status status = mm_elastic_auth_lines(client->auth, &n->at, call, &lines, err);
    char *url = status == MM_OK ? mm_format("%s%s", n->at.origin, lines.path) : NULL;
    if (status == MM_OK && url == NULL)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_http_request request = {.method = call->method, .url = url, .headers = lines.items, .header_count = lines.count,
                               .body = {.bytes = call->body ? call->body : "", .size = call->body_size},
                               .total_timeout_ms = client->timeout_ms, .repeatable = !call->once,
                               .compressed = client->gzip, .reply_max = call->reply_max};
    if (status == MM_OK)
        status = mm_http_perform(client->http, &request, reply, err);
    if (status == MM_OK)
        status = judge(call, url, reply, err);
    mm_elastic_lines_free(&lines);
    free(url);
    return status;
}

mm_status mm_elastic_client_call(mm_elastic_client *client, const mm_elastic_call *call, mm_http_reply *reply,
                                 mm_error *err)
{
    mm_status status = MM_UNAVAILABLE;
    uint64_t tried = 0;
    for (size_t i = 0; i < client->count; i++) {
        size_t at = choose(client, tried);
        node *n = &client->nodes[at];
        tried |= UINT64_C(1) << at;
        status = ask(client, n, call, reply, err);
        if (status != MM_UNAVAILABLE) {
            n->down_until = 0;
            return status;
        }
        n->down_until = mm_clock_ms() + DOWN_MS;
        if (i + 1 < client->count)
            mm_log(MM_LOG_DEBUG, "%s; asking another node", err ? err->text : "a node failed");
    }
    return status;
}
