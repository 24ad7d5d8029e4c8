/* Requests to Google Cloud Storage: address, token, what a refusal says; objects read from JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "storage/gcs_internal.h"

void gcs_target(const gcs *g, gcs_call *call, const char *prefix, const char *key)
{
    mm_buffer_printf(&call->target, "%s%s%s/storage/v1/b/%s/o", g->endpoint.origin, g->endpoint.path, prefix,
                     g->bucket_path);
    if (key != NULL) {
        mm_buffer_append(&call->target, "/", 1);
        mm_percent_encode(&call->target, key, false);
    }
}

void gcs_query(gcs_call *call, const char *name, const char *value)
{
    char first = call->target.data != NULL && strchr(call->target.data, '?') != NULL ? '&' : '?';
    mm_buffer_printf(&call->target, "%c%s=", first, name);
    mm_percent_encode(&call->target, value, false);
}

/* --- sending ------------------------------------------------------------------------------------ */

static mm_status perform(gcs *g, const gcs_call *call, const char *token, mm_http_reply *reply, mm_error *err)
{
    const char *headers[MM_COUNT(call->headers) + 1];
    size_t count = 0;
    char *authorization = token != NULL ? mm_format("Authorization: Bearer %s", token) : NULL;
    if (token != NULL && authorization == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    for (; count < call->header_count; count++) {
        headers[count] = call->headers[count];
    }
    if (authorization != NULL) {
        headers[count++] = authorization;
    }
    mm_http_request request = {.method = call->method, .url = call->target.data, .headers = headers,
                               .header_count = count, .body = call->body, .repeatable = !call->once,
                               .into = call->into, .into_size = call->into_size};
    mm_status status = mm_http_perform(g->http, &request, reply, err);
    free(authorization);
    return status;
}

/* {"error": {"code": 403, "message": "…", "errors": [{"reason": "forbidden"}]}}, or plain text for media. */
static mm_status refuse(const gcs *g, const gcs_call *call, const mm_http_reply *reply, mm_error *err)
{
    mm_status status = mm_http_judge(reply->status, !call->once);
    cJSON *root = reply->body.size > 0 ? cJSON_ParseWithLength(reply->body.data, reply->body.size) : NULL;
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(error, "errors"), 0);
    const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "message"));
    const char *reason = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(first, "reason"));
    if (message == NULL && reply->body.size > 0 && reply->body.data[0] != '{') {
        message = reply->body.data;
    }
    message = message != NULL ? message : "no reason given";
    if (reason != NULL && (strcmp(reason, "rateLimitExceeded") == 0 || strcmp(reason, "userRateLimitExceeded") == 0)) {
        status = MM_RATE_LIMITED; /* comes as 403, too */
    }
    if (reply->status == 400 && call->body.size > 0 && strcasestr(message, "crc32c") != NULL) {
        status = MM_UNAVAILABLE; /* damaged on the way, and refused for it: it may be sent again */
    }
    mm_error_set(err, status, "gs://%s%s%s: %s answered HTTP %ld: %.*s%s%s%s%s", g->bucket, call->key ? "/" : "",
                 call->key ? call->key : "", call->method, reply->status, (int)strcspn(message, "\r\n"), message,
                 reason ? " (" : "", reason ? reason : "", reason ? ")" : "",
                 status == MM_AUTH ? "; does the account have the role roles/storage.objectUser on the bucket?" : "");
    if (err != NULL) {
        err->retry_after_ms = reply->retry_after_ms;
    }
    cJSON_Delete(root);
    return status;
}

mm_status gcs_send(gcs *g, gcs_call *call, mm_http_reply *reply, mm_error *err)
{
    mm_status status = call->target.failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory") : MM_OK;
    for (int round = 0; status == MM_OK && round < 2; round++) {
        char *token = NULL;
        status = mm_gcs_auth_token(g->auth, &token, err);
        if (status == MM_OK) {
            status = perform(g, call, token, reply, err);
        }
        bool expired = status == MM_OK && reply->status == 401 && token != NULL;
        if (expired) {
            mm_gcs_auth_refused(g->auth, token);
        }
        free(token);
        if (!expired) {
            break;
        }
    }
    if (status == MM_OK && (reply->status < 200 || reply->status > 299)) {
        status = refuse(g, call, reply, err);
    } else if (status != MM_OK) {
        mm_error_context(err, "gs://%s%s%s", g->bucket, call->key ? "/" : "", call->key ? call->key : "");
    }
    mm_buffer_free(&call->target);
    return status;
}

mm_status gcs_send_json(gcs *g, gcs_call *call, cJSON **out, mm_error *err)
{
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    mm_status status = gcs_send(g, call, &reply, err);
    if (status == MM_OK) {
        *out = reply.body.size > 0 ? cJSON_ParseWithLength(reply.body.data, reply.body.size) : NULL;
        if (*out == NULL) {
            status = mm_error_set(err, MM_UNAVAILABLE, "gs://%s: %s was answered with something that is not JSON",
                                  g->bucket, call->method);
        }
    }
    mm_http_reply_free(&reply);
    return status;
}

/* --- objects ------------------------------------------------------------------------------------ */

bool gcs_crc32c_decode(const char *text, size_t length, uint32_t *out)
{
    uint8_t bytes[6];
    size_t size;
    if (length != 8 || !mm_base64_decode(text, length, bytes, &size) || size != 4) {
        return false;
    }
    *out = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    return true;
}

void gcs_crc32c_encode(uint32_t crc, char out[9])
{
    uint8_t bytes[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc};
    mm_base64(bytes, 4, out);
}

static const char *text_of(const cJSON *json, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

static bool digits(const char *text, size_t most)
{
    size_t length = text != NULL ? strspn(text, "0123456789") : 0;
    return length > 0 && length <= most && text[length] == '\0';
}

mm_status gcs_object_read(const gcs *g, const char *key, const cJSON *json, gcs_object *out, mm_error *err)
{
    const char *size = text_of(json, "size"), *generation = text_of(json, "generation");
    const char *crc = text_of(json, "crc32c");
    gcs_object object = {.modified_ms = mm_storage_time(text_of(json, "updated"))};
    if (!digits(size, 18) || !digits(generation, 20) || crc == NULL ||
        !gcs_crc32c_decode(crc, strlen(crc), &object.crc32c)) {
        return mm_error_set(err, MM_DATA, "gs://%s/%s: the service describes it without size, generation or crc32c",
                            g->bucket, key);
    }
    object.size = strtoull(size, NULL, 10);
    memcpy(object.generation, generation, strlen(generation) + 1);
    *out = object;
    return MM_OK;
}

void gcs_object_out(const gcs_object *object, mm_object *out)
{
    *out = (mm_object){.size = object->size, .modified_ms = object->modified_ms};
    snprintf(out->etag, sizeof(out->etag), "%s-%08" PRIx32, object->generation, object->crc32c);
}
