/* Google Cloud Storage by its JSON API: everything but uploads in parts. An object's etag is its generation, which
 * changes with every writing, and its CRC-32C. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/json_text.h"
#include "storage/gcs_internal.h"

#define ENDPOINT "https://storage.googleapis.com"

/* --- opening ------------------------------------------------------------------------------------ */

static void close_gcs(void *self)
{
    gcs *g = self;
    mm_http_close(g->http);
    mm_gcs_auth_close(g->auth);
    mm_endpoint_free(&g->endpoint);
    free(g->bucket);
    free(g->bucket_path);
    free(g);
}

static mm_status open_gcs(const mm_storage_place *place, void **self, mm_error *err)
{
    const char *endpoint = mm_storage_option(place, "storage_endpoint");
    mm_buffer path = MM_BUFFER_INIT;
    gcs *g = calloc(1, sizeof(*g));
    if (g == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    mm_percent_encode(&path, place->bucket, false);
    g->bucket = strdup(place->bucket);
    g->bucket_path = path.data;
    mm_http_config config = {.ca_file = mm_storage_option(place, "storage_ca")};
    mm_status status = g->bucket == NULL || path.failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory") : MM_OK;
    if (status == MM_OK) {
        status = mm_endpoint_parse("storage_endpoint", endpoint ? endpoint : ENDPOINT, &g->endpoint, err);
    }
    if (status == MM_OK) {
        status = mm_gcs_auth_open(place, g->endpoint.plain, g->endpoint.loopback, &g->auth, err);
    }
    if (status == MM_OK) {
        status = mm_http_open(&config, &g->http, err);
    }
    if (status != MM_OK) {
        close_gcs(g);
        return status;
    }
    *self = g;
    return MM_OK;
}

static char *http_url(void *self, const char *key)
{
    const gcs *g = self;
    mm_buffer url = MM_BUFFER_INIT;
    mm_buffer_printf(&url, "%s%s/%s/", g->endpoint.origin, g->endpoint.path, g->bucket_path);
    mm_percent_encode(&url, key, true);
    if (url.failed) {
        mm_buffer_free(&url);
        return NULL;
    }
    return url.data;
}

/* --- looking ------------------------------------------------------------------------------------ */

static mm_status stat_gcs(void *self, const char *key, mm_object *out, mm_error *err)
{
    gcs *g = self;
    cJSON *root = NULL;
    gcs_object object;
    gcs_call call = {.method = "GET", .key = key};
    gcs_target(g, &call, "", key);
    gcs_query(&call, "fields", GCS_FIELDS);
    mm_status status = gcs_send_json(g, &call, &root, err);
    if (status == MM_OK) {
        status = gcs_object_read(g, key, root, &object, err);
    }
    if (status == MM_OK) {
        gcs_object_out(&object, out);
    }
    cJSON_Delete(root);
    return status;
}

mm_status gcs_list(gcs *g, const char *prefix, const char *token, mm_list_page *page, mm_error *err)
{
    cJSON *root = NULL;
    const cJSON *item;
    gcs_call call = {.method = "GET"};
    gcs_target(g, &call, "", NULL);
    gcs_query(&call, "prefix", prefix);
    gcs_query(&call, "maxResults", "1000");
    gcs_query(&call, "fields", "nextPageToken,items(" GCS_FIELDS ")");
    if (token != NULL) {
        gcs_query(&call, "pageToken", token);
    }
    mm_status status = gcs_send_json(g, &call, &root, err);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "items")) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        gcs_object object;
        mm_object out;
        status = name != NULL ? gcs_object_read(g, name, item, &object, err)
                              : mm_error_set(err, MM_DATA, "gs://%s: a listed object has no name", g->bucket);
        if (status == MM_OK) {
            gcs_object_out(&object, &out);
            status = mm_list_page_add(page, name, &out, err);
        }
        if (status != MM_OK) {
            break;
        }
    }
    const char *next = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "nextPageToken"));
    if (status == MM_OK && next != NULL && next[0] != '\0') {
        status = mm_list_page_next(page, next, err);
    }
    cJSON_Delete(root);
    return status;
}

static mm_status list(void *self, const char *prefix, const char *token, mm_list_page *page, mm_error *err)
{
    return gcs_list(self, prefix, token, page, err);
}

/* --- reading ------------------------------------------------------------------------------------ */

/* The CRC-32C of the whole object; the header comes once with both hashes, or once for each. */
static bool reply_crc32c(const mm_http_reply *reply, uint32_t *out)
{
    const char *at = reply->headers.data, *end = at + reply->headers.size;
    while (reply->headers.size > 0 && at < end) {
        const char *name = at, *value = name + strlen(name) + 1;
        const char *hash = strcasecmp(name, "x-goog-hash") == 0 ? strstr(value, "crc32c=") : NULL;
        if (hash != NULL) {
            hash += strlen("crc32c=");
            return gcs_crc32c_decode(hash, strcspn(hash, ", "), out);
        }
        at = value + strlen(value) + 1;
    }
    return false;
}

static mm_status check_read(const gcs *g, const char *key, const mm_http_reply *reply, const char *generation,
                            uint64_t offset, const void *bytes, size_t size, mm_error *err)
{
    const char *range = mm_http_header(reply, "Content-Range"), *now = mm_http_header(reply, "x-goog-generation");
    uint64_t from = 0, to = 0, total = 0;
    uint32_t crc;
    if (generation[0] != '\0' && now != NULL && strcmp(generation, now) != 0) {
        return mm_error_set(err, MM_CHANGED, "gs://%s/%s was written again: generation %s, now %s", g->bucket, key,
                            generation, now);
    }
    if (reply->into_size < size) {
        return mm_error_set(err, MM_DATA, "gs://%s/%s has %zu bytes from byte %" PRIu64 " on, not %zu", g->bucket, key,
                            reply->into_size, offset, size);
    }
    if (reply->status != 206 || range == NULL ||
        sscanf(range, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &from, &to, &total) != 3 || from != offset ||
        to - from != size - 1) {
        return mm_error_set(err, MM_UNAVAILABLE, "gs://%s/%s: the answer to a read at byte %" PRIu64 " is another "
                            "range (HTTP %ld, %.60s)", g->bucket, key, offset, reply->status, range ? range : "no range");
    }
    if (size == total && reply_crc32c(reply, &crc) && crc != mm_crc32c(0, bytes, size)) {
        return mm_error_set(err, MM_UNAVAILABLE, "gs://%s/%s arrived damaged: CRC-32C %08" PRIx32 ", not %08" PRIx32,
                            g->bucket, key, mm_crc32c(0, bytes, size), crc);
    }
    return MM_OK;
}

static mm_status read_gcs(void *self, const char *key, const char *etag, uint64_t offset, void *out, size_t size,
                          mm_error *err)
{
    gcs *g = self;
    char range[64], generation[24] = "";
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    /* with gzip accepted, an object that was stored compressed comes as it is stored, else it is unpacked and its
     * ranges are not heeded */
    gcs_call call = {.method = "GET", .key = key, .headers = {range, "Accept-Encoding: gzip"}, .header_count = 2,
                     .into = out, .into_size = size};
    snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-%" PRIu64, offset, offset + size - 1);
    gcs_target(g, &call, "", key);
    gcs_query(&call, "alt", "media");
    if (etag != NULL) {
        snprintf(generation, sizeof(generation), "%.*s", (int)strcspn(etag, "-"), etag);
        gcs_query(&call, "ifGenerationMatch", generation);
    }
    mm_status status = gcs_send(g, &call, &reply, err);
    if (status == MM_TOO_LARGE) { /* the range was not heeded */
        status = mm_error_set(err, MM_DATA, "gs://%s/%s: more bytes came than were asked for", g->bucket, key);
    } else if (status == MM_OK) {
        status = check_read(g, key, &reply, generation, offset, out, size, err);
    }
    mm_http_reply_free(&reply);
    return status;
}

/* --- writing ------------------------------------------------------------------------------------ */

/* The body's bytes: as they are, or read into *owned. */
static mm_status body_bytes(const mm_http_body *body, const void **bytes, char **owned, mm_error *err)
{
    *bytes = body->bytes;
    if (body->bytes != NULL) {
        return MM_OK;
    }
    *owned = malloc((size_t)body->size + 1);
    if (*owned == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    for (size_t done = 0; done < body->size;) {
        ssize_t got = pread(body->fd, *owned + done, (size_t)body->size - done, (off_t)(body->offset + done));
        if (got < 0) {
            return mm_error_errno(err, MM_IO, "reading the file at byte %" PRIu64, body->offset + done);
        }
        if (got == 0) {
            return mm_error_set(err, MM_DATA, "the file ended at byte %" PRIu64, body->offset + done);
        }
        done += (size_t)got;
    }
    *bytes = *owned;
    return MM_OK;
}

/* Name, checksum and bytes in one body (RFC 2387), so that the service refuses a damaged one before it is there. */
static mm_status related_body(const char *key, const char *boundary, const mm_http_body *body, mm_buffer *out,
                              mm_error *err)
{
    char encoded[9], *owned = NULL;
    const void *bytes;
    mm_status status = body_bytes(body, &bytes, &owned, err);
    if (status == MM_OK) {
        gcs_crc32c_encode(mm_crc32c(0, bytes, (size_t)body->size), encoded);
        mm_buffer_printf(out, "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{\"name\":", boundary);
        mm_json_text(out, key);
        mm_buffer_printf(out, ",\"crc32c\":\"%s\"}\r\n--%s\r\nContent-Type: application/octet-stream\r\n\r\n", encoded,
                         boundary);
        mm_buffer_append(out, bytes, (size_t)body->size);
        mm_buffer_printf(out, "\r\n--%s--\r\n", boundary);
        status = out->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory") : MM_OK;
    }
    free(owned);
    return status;
}

static mm_status put(void *self, const char *key, const mm_http_body *body, bool fresh, mm_object *out, mm_error *err)
{
    gcs *g = self;
    uint8_t random[16];
    char boundary[33], type[96];
    cJSON *root = NULL;
    gcs_object object;
    mm_buffer content = MM_BUFFER_INIT;
    mm_random_bytes(random, sizeof(random));
    mm_hex(random, sizeof(random), boundary);
    snprintf(type, sizeof(type), "Content-Type: multipart/related; boundary=%s", boundary);
    mm_status status = related_body(key, boundary, body, &content, err);
    if (status == MM_OK) {
        gcs_call call = {.method = "POST", .key = key, .headers = {type}, .header_count = 1, .once = fresh,
                         .body = {.bytes = content.data, .size = content.size, .cancel = body->cancel}};
        gcs_target(g, &call, "/upload", NULL);
        gcs_query(&call, "uploadType", "multipart");
        gcs_query(&call, "fields", GCS_FIELDS);
        if (fresh) {
            gcs_query(&call, "ifGenerationMatch", "0");
        }
        status = gcs_send_json(g, &call, &root, err);
    }
    if (status == MM_CHANGED && fresh) {
        status = mm_error_set(err, MM_TARGET, "gs://%s/%s exists already", g->bucket, key);
    }
    if (status == MM_OK) {
        status = gcs_object_read(g, key, root, &object, err);
    }
    if (status == MM_OK && object.size != body->size) {
        status = mm_error_set(err, MM_UNAVAILABLE, "gs://%s/%s has %" PRIu64 " bytes after %" PRIu64 " were sent",
                              g->bucket, key, object.size, body->size);
    }
    if (status == MM_OK && out != NULL) {
        gcs_object_out(&object, out);
    }
    cJSON_Delete(root);
    mm_buffer_free(&content);
    return status;
}

mm_status gcs_remove(gcs *g, const char *key, mm_error *err)
{
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    gcs_call call = {.method = "DELETE", .key = key};
    gcs_target(g, &call, "", key);
    mm_status status = gcs_send(g, &call, &reply, err);
    mm_http_reply_free(&reply);
    return status == MM_NOT_FOUND ? MM_OK : status;
}

static mm_status remove_gcs(void *self, const char *key, mm_error *err)
{
    return gcs_remove(self, key, err);
}

/* A large object, or one that changes its storage class, is rewritten in several calls. */
static mm_status copy(void *self, const char *from, const char *to, mm_error *err)
{
    gcs *g = self;
    char *token = NULL;
    bool done = false;
    mm_status status = MM_OK;
    while (status == MM_OK && !done) {
        cJSON *root = NULL;
        gcs_call call = {.method = "POST", .key = from, .headers = {"Content-Type: application/json"},
                         .header_count = 1, .body = {.bytes = "{}", .size = 2}};
        gcs_target(g, &call, "", from);
        mm_buffer_printf(&call.target, "/rewriteTo/b/%s/o/", g->bucket_path);
        mm_percent_encode(&call.target, to, false);
        gcs_query(&call, "fields", "done,rewriteToken");
        if (token != NULL) {
            gcs_query(&call, "rewriteToken", token);
        }
        status = gcs_send_json(g, &call, &root, err);
        free(token);
        token = NULL;
        done = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "done"));
        const char *next = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "rewriteToken"));
        if (status == MM_OK && !done && (next == NULL || (token = strdup(next)) == NULL)) {
            status = mm_error_set(err, MM_TARGET, "gs://%s/%s: its copying to %s does not get on", g->bucket, from, to);
        }
        cJSON_Delete(root);
    }
    free(token);
    return status;
}

/* HMAC keys are for the API that speaks S3. */
static const mm_storage_driver *instead(const mm_storage_place *place)
{
    return mm_storage_option(place, "storage_access_key") != NULL ? &mm_storage_s3 : NULL;
}

static const char *const schemes[] = {"gs", NULL};

/* Compose takes 32 objects in one request, so 32 × 32 in two levels. */
const mm_storage_driver mm_storage_gcs = {
    .name = "GCS",
    .schemes = schemes,
    .parts_max = 1024,
    .part_max = (uint64_t)5 << 40,
    .instead = instead,
    .open = open_gcs,
    .close = close_gcs,
    .http_url = http_url,
    .stat = stat_gcs,
    .list = list,
    .read = read_gcs,
    .put = put,
    .remove = remove_gcs,
    .copy = copy,
    .upload_begin = gcs_upload_begin,
    .upload_part = gcs_upload_part,
    .upload_parts = gcs_upload_parts,
    .upload_complete = gcs_upload_complete,
    .upload_made = gcs_upload_made,
    .upload_abort = gcs_upload_abort,
};
