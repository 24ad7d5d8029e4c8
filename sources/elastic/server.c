/* Small answers as a tree, and which server gives them. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "sources/elastic/internal.h"

mm_status mm_elastic_json(mm_source *source, const char *method, const char *path, const char *body, cJSON **out,
                          mm_error *err)
{
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    mm_elastic_call call = {.method = method, .path = path, .body = body, .body_size = body ? strlen(body) : 0};
    mm_status status = mm_elastic_client_call(source->client, &call, &reply, err);
    cJSON *json = NULL;
    if (status == MM_OK) {
        json = cJSON_ParseWithLength(reply.body.data, reply.body.size);
        if (!cJSON_IsObject(json)) {
            cJSON_Delete(json);
            status = mm_error_set(err, MM_UNAVAILABLE, "%s%s: the answer is no JSON object: is it a proxy's?",
                                  mm_elastic_client_name(source->client), path);
        }
    }
    mm_http_reply_free(&reply);
    if (status == MM_OK)
        *out = json;
    return status;
}

static bool parse_version(const char *text, mm_elastic_server *out)
{
    unsigned major = 0, minor = 0, patch = 0;
    if (text == NULL || sscanf(text, "%3u.%3u.%3u", &major, &minor, &patch) < 2)
        return false;
    out->major = major;
    out->minor = minor;
    out->patch = patch;
    return true;
}

/* GET / where it is answered; servers without that handler, and users without the right, have their node asked. */
static mm_status ask_version(mm_source *source, char text[32], bool *opensearch, mm_error *err)
{
    cJSON *json = NULL;
    mm_status status = mm_elastic_json(source, "GET", "/", NULL, &json, err);
    if (status == MM_OK) {
        const cJSON *version = cJSON_GetObjectItemCaseSensitive(json, "version");
        const char *number = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(version, "number"));
        const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(version, "distribution"));
        snprintf(text, 32, "%s", number ? number : "");
        *opensearch = kind && strcmp(kind, "opensearch") == 0;
    } else if (status == MM_CONFIG || status == MM_NOT_FOUND) {
        mm_error_clear(err);
        status = mm_elastic_json(source, "GET", "/_nodes/_local?filter_path=nodes.*.version", NULL, &json, err);
        const cJSON *nodes = status == MM_OK ? cJSON_GetObjectItemCaseSensitive(json, "nodes") : NULL;
        const cJSON *node = nodes ? nodes->child : NULL;
        const char *number = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(node, "version"));
        snprintf(text, 32, "%s", number ? number : "");
    }
    if (status == MM_OK)
        cJSON_Delete(json);
    return status;
}

mm_status mm_elastic_identify(mm_source *source, mm_error *err)
{
    char text[32] = "";
    bool opensearch = false;
    mm_elastic_server *server = &source->server;
    const char *name = mm_elastic_client_name(source->client);
    mm_status status = ask_version(source, text, &opensearch, err);
    if (status != MM_OK)
        return status;
    if (!parse_version(text, server))
        return mm_error_set(err, MM_CONFIG, "%s: neither Elasticsearch nor OpenSearch: no version in its answer", name);
    /* OpenSearch began to count at 1 when Elasticsearch was at 7 */
    server->opensearch = opensearch || server->major < 5;
    mm_log(MM_LOG_DEBUG, "%s: %s %s", name, server->opensearch ? "OpenSearch" : "Elasticsearch", text);
    if (!server->opensearch && server->major < 7)
        return mm_error_set(err, MM_CONFIG, "%s: Elasticsearch %s; 7.0 is the oldest that can be read", name, text);
    return MM_OK;
}

/* Indices made by 9.2 and later leave vectors out; the word for it is known since 8.19 and 9.1, and an error before. */
bool mm_elastic_hides_vectors(const mm_elastic_server *server)
{
    if (server->opensearch)
        return false;
    return server->major > 9 || (server->major == 9 && server->minor >= 1) || (server->major == 8 && server->minor >= 19);
}
