/* Requests to Azure Blob Storage: address, headers, signature, what a refusal says. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/digest.h"
#include "storage/azure_internal.h"
#include "storage/xml.h"

#define API_VERSION "2020-10-02"

void azure_query(azure_call *call, const char *name, const char *value)
{
    call->query[call->query_count++] = (mm_pair){name, value};
}

void azure_header(azure_call *call, const char *name, const char *value)
{
    call->headers[call->header_count++] = (mm_pair){name, value};
}

char *azure_url(const azure *az, const char *key)
{
    mm_buffer url = MM_BUFFER_INIT;
    mm_buffer_printf(&url, "%s%s/", az->origin, az->base);
    mm_percent_encode(&url, key, true);
    if (url.failed) {
        mm_buffer_free(&url);
        return NULL;
    }
    return url.data;
}

/* --- what is signed and sent -------------------------------------------------------------------- */

static void sort(mm_pair *pairs, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        mm_pair pair = pairs[i];
        size_t at = i;
        for (; at > 0 && strcmp(pairs[at - 1].name, pair.name) > 0; at--) {
            pairs[at] = pairs[at - 1];
        }
        pairs[at] = pair;
    }
}

/* "Sat, 21 Nov 2026 01:02:03 GMT": not by strftime, which heeds the locale. */
static void format_date(int64_t wall_ms, char *out, size_t size)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm t;
    time_t seconds = (time_t)(wall_ms / 1000);
    gmtime_r(&seconds, &t);
    snprintf(out, size, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
             t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static char *target(const azure *az, const azure_call *call, const char *path)
{
    const char *sas = mm_azure_auth_sas(az->auth);
    mm_buffer url = MM_BUFFER_INIT;
    mm_buffer_printf(&url, "%s%s", az->origin, path);
    for (size_t i = 0; i < call->query_count; i++) {
        mm_buffer_printf(&url, "%c%s=", i == 0 ? '?' : '&', call->query[i].name);
        mm_percent_encode(&url, call->query[i].value, false);
    }
    if (sas != NULL) {
        mm_buffer_printf(&url, "%c%s", call->query_count == 0 ? '?' : '&', sas);
    }
    if (url.failed) {
        mm_buffer_free(&url);
        return NULL;
    }
    return url.data;
}

static mm_status perform(azure *az, const azure_call *call, const char *url, const char *authorization,
                         mm_http_reply *reply, mm_error *err)
{
    char *lines[AZURE_HEADERS_MAX + 1];
    const char *headers[AZURE_HEADERS_MAX + 1];
    size_t count = 0;
    bool good = true;
    for (size_t i = 0; i < call->header_count; i++, count++) {
        headers[count] = lines[count] = mm_format("%s: %s", call->headers[i].name, call->headers[i].value);
        good = good && lines[count] != NULL;
    }
    if (authorization != NULL) {
        headers[count] = lines[count] = mm_format("Authorization: %s", authorization);
        good = good && lines[count] != NULL;
        count++;
    }
    mm_http_request request = {.method = call->method, .url = url, .headers = headers, .header_count = count,
                               .body = call->body, .repeatable = !call->once, .into = call->into,
                               .into_size = call->into_size};
    mm_status status = good ? mm_http_perform(az->http, &request, reply, err)
                            : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        free(lines[i]);
    }
    return status;
}

/* --- refusals ----------------------------------------------------------------------------------- */

typedef struct {
    char code[AZURE_ERROR_CODE], message[320];
} refusal;

/* <Error><Code>…</Code><Message>…</Message></Error>; the message's first line says it all */
static mm_status take_refusal(void *context, const char *path, const char *text, mm_error *err)
{
    refusal *r = context;
    (void)err;
    if (strcmp(path, "Error/Code") == 0) {
        snprintf(r->code, sizeof(r->code), "%s", text);
    } else if (strcmp(path, "Error/Message") == 0) {
        snprintf(r->message, sizeof(r->message), "%.*s", (int)strcspn(text, "\r\n"), text);
    }
    return MM_OK;
}

static mm_status status_of(const azure_call *call, long http, const char *code)
{
    static const struct {
        const char *code;
        mm_status status;
    } known[] = {
        {"Md5Mismatch", MM_UNAVAILABLE}, /* damaged on the way, and refused for it: it may be sent again */
        {"ServerBusy", MM_RATE_LIMITED},
        {"OperationTimedOut", MM_UNAVAILABLE},
        {"LeaseIdMissing", MM_TARGET},
        {"BlobAlreadyExists", MM_TARGET},
        {"AccountIsDisabled", MM_AUTH},
    };
    for (size_t i = 0; i < MM_COUNT(known); i++) {
        if (strcmp(code, known[i].code) == 0) {
            return known[i].status;
        }
    }
    return mm_http_judge(http, !call->once);
}

static const char *advice(mm_status status, const char *code)
{
    if (status != MM_AUTH) {
        return "";
    }
    if (strncmp(code, "AuthorizationPermission", 23) == 0) {
        return "; the identity wants the role Storage Blob Data Contributor, the SAS token the rights rwdlc";
    }
    return "; are the account's name, the key or SAS token and this machine's clock right?";
}

static mm_status refuse(const azure *az, azure_call *call, const mm_http_reply *reply, mm_error *err)
{
    refusal r = {"", ""};
    const char *code = mm_http_header(reply, "x-ms-error-code");
    if (reply->body.size > 0) {
        mm_error ignored = MM_ERROR_INIT; /* not the service's own answer, then: the HTTP status has to do */
        mm_status walked = mm_xml_walk(reply->body.data, reply->body.size, take_refusal, &r, &ignored);
        (void)walked;
    }
    snprintf(call->code, sizeof(call->code), "%s", code != NULL ? code : r.code);
    mm_status status = status_of(call, reply->status, call->code);
    if (reply->status == 400 && strcasestr(r.message, "contentMD5 doesn't match") != NULL) {
        status = MM_UNAVAILABLE; /* as Azurite says Md5Mismatch */
    }
    mm_error_set(err, status, "%s/%s%s%s: %s answered HTTP %ld %s%s%s%s", az->account, az->container,
                 call->key ? "/" : "", call->key ? call->key : "", call->method, reply->status, call->code,
                 r.message[0] ? ": " : "", r.message, advice(status, call->code));
    if (err != NULL) {
        err->retry_after_ms = reply->retry_after_ms;
    }
    return status;
}

/* --- sending ------------------------------------------------------------------------------------ */

static mm_status attempt(azure *az, azure_call *call, const char *path, bool *expired, mm_http_reply *reply,
                         mm_error *err)
{
    char *authorization = NULL, *url = target(az, call, path);
    mm_status status = url != NULL ? mm_azure_auth_header(az->auth, call->method, path, call->query, call->query_count,
                                                          call->headers, call->header_count, call->body.size,
                                                          &authorization, err)
                                   : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (status == MM_OK) {
        status = perform(az, call, url, authorization, reply, err);
        if (status != MM_OK) {
            mm_error_context(err, "%s/%s%s%s", az->account, az->container, call->key ? "/" : "",
                             call->key ? call->key : "");
        }
    }
    const char *code = mm_http_header(reply, "x-ms-error-code");
    bool refused = reply->status == 401 ||
                   (reply->status == 403 && code != NULL && strcmp(code, "AuthenticationFailed") == 0);
    *expired = status == MM_OK && refused && mm_azure_auth_refused(az->auth, authorization);
    free(authorization);
    free(url);
    return status;
}

mm_status azure_send(azure *az, azure_call *call, mm_http_reply *reply, mm_error *err)
{
    char date[40];
    mm_buffer path = MM_BUFFER_INIT;
    bool expired = true;
    format_date(mm_clock_wall_ms(), date, sizeof(date));
    azure_header(call, "x-ms-date", date);
    azure_header(call, "x-ms-version", API_VERSION);
    sort(call->headers, call->header_count);
    sort(call->query, call->query_count);
    mm_buffer_printf(&path, "%s", az->base);
    if (call->key != NULL) {
        mm_buffer_append(&path, "/", 1);
        mm_percent_encode(&path, call->key, true);
    }
    mm_status status = path.failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory") : MM_OK;
    for (int round = 0; status == MM_OK && expired && round < 2; round++) {
        status = attempt(az, call, path.data, &expired, reply, err);
    }
    if (status == MM_OK && (reply->status < 200 || reply->status > 299)) {
        status = refuse(az, call, reply, err);
    }
    mm_buffer_free(&path);
    return status;
}

/* --- blobs -------------------------------------------------------------------------------------- */

void azure_etag(const char *etag, const char *upload, char *out, size_t size)
{
    size_t length = strlen(etag);
    if (length >= 2 && etag[0] == '"' && etag[length - 1] == '"') {
        etag++;
        length -= 2;
    }
    snprintf(out, size, "%.*s%s%s", (int)length, etag, upload != NULL ? "~" : "", upload != NULL ? upload : "");
}

void azure_quoted_etag(const char *etag, char *out, size_t size)
{
    snprintf(out, size, "\"%.*s\"", (int)strcspn(etag, "~"), etag);
}

mm_status azure_object(const azure *az, const char *key, const mm_http_reply *reply, mm_object *out, mm_error *err)
{
    const char *etag = mm_http_header(reply, "ETag"), *size = mm_http_header(reply, "Content-Length");
    if (etag == NULL) {
        return mm_error_set(err, MM_DATA, "%s/%s/%s: the service's answer has no ETag", az->account, az->container,
                            key);
    }
    *out = (mm_object){.size = size != NULL ? strtoull(size, NULL, 10) : 0,
                       .modified_ms = mm_storage_time(mm_http_header(reply, "Last-Modified"))};
    azure_etag(etag, mm_http_header(reply, AZURE_META_UPLOAD), out->etag, sizeof(out->etag));
    return MM_OK;
}

mm_status azure_stat(azure *az, const char *key, mm_object *out, char *abort, mm_error *err)
{
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    azure_call call = {.method = "HEAD", .key = key};
    mm_status status = azure_send(az, &call, &reply, err);
    if (status == MM_OK) {
        status = azure_object(az, key, &reply, out, err);
    }
    if (status == MM_OK && abort != NULL) {
        const char *id = mm_http_header(&reply, AZURE_META_ABORT);
        snprintf(abort, AZURE_ID_SIZE + 1, "%s", id != NULL ? id : "");
    }
    mm_http_reply_free(&reply);
    return status;
}

mm_status azure_md5(const mm_http_body *body, char out[AZURE_MD5_TEXT], mm_error *err)
{
    uint8_t digest[MM_MD5_SIZE];
    mm_status status = mm_body_md5(body, digest, err);
    if (status == MM_OK) {
        mm_base64(digest, sizeof(digest), out);
    }
    return status;
}
