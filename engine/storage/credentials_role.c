/* Temporary credentials of roles: instance metadata (IMDSv2), container credentials, STS. Keeps nothing. */
#include "storage/credentials_role.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "storage/sigv4.h"
#include "storage/token.h"
#include "storage/xml.h"

#define METADATA_TIMEOUT_MS 5000u
#define STS_TIMEOUT_MS 20000u
#define REPLY_MAX ((size_t)1 << 20)

static void free_secret(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

void mm_role_free(mm_role *role)
{
    free(role->endpoint);
    free(role->token_file);
    free_secret(role->token);
    free(role->role_arn);
    free(role->session_name);
    free(role->external_id);
    free(role->region);
    mm_credentials_free(&role->base);
    *role = (mm_role){0};
}

/* A token's file, without the line's end. */
static mm_status read_token(const char *path, char **out, mm_error *err)
{
    size_t size;
    mm_status status = mm_credentials_file(path, out, &size, err);
    if (status == MM_OK)
        (*out)[strcspn(*out, "\r\n")] = '\0';
    return status;
}

static mm_status ask(mm_http *http, const char *what, const mm_http_request *request, mm_http_reply *reply,
                     mm_error *err)
{
    mm_status status = mm_http_perform(http, request, reply, err);
    if (status == MM_OK && (reply->status < 200 || reply->status >= 300)) {
        status = mm_http_judge(reply->status, true);
        status = status == MM_CONFIG || status == MM_NOT_FOUND ? MM_AUTH : status;
        mm_error_set(err, status, "%.*s answered HTTP %ld", (int)strcspn(request->url, "?"), request->url,
                     reply->status);
    }
    if (status != MM_OK && err)
        mm_error_context(err, "credentials from %s", what);
    return status;
}

static char *copy_string(const cJSON *root, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(root, name);
    return cJSON_IsString(value) && value->valuestring[0] ? strdup(value->valuestring) : NULL;
}

static mm_status check_whole(mm_credentials *got, const char *what, mm_credentials *out, mm_error *err)
{
    if (got->access_key == NULL || got->secret_key == NULL) {
        mm_credentials_free(got);
        return mm_error_set(err, MM_AUTH, "credentials from %s: the answer holds no key", what);
    }
    mm_log_add_secret(got->secret_key);
    mm_log_add_secret(got->session_token);
    *out = *got;
    return MM_OK;
}

/* {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}, of instance and container alike. */
static mm_status read_json(const mm_http_reply *reply, const char *what, mm_credentials *out, mm_error *err)
{
    cJSON *root = reply->body.size > 0 ? cJSON_ParseWithLength(reply->body.data, reply->body.size) : NULL;
    if (root == NULL)
        return mm_error_set(err, MM_AUTH, "credentials from %s: the answer is not JSON", what);
    char *expires = copy_string(root, "Expiration");
    mm_credentials got = {copy_string(root, "AccessKeyId"), copy_string(root, "SecretAccessKey"),
                          copy_string(root, "Token"), mm_storage_time(expires)};
    free(expires);
    cJSON_Delete(root);
    return check_whole(&got, what, out, err);
}

/* Session-oriented metadata only (IMDSv2): the older way lets any redirected request read the keys. */
static mm_status fetch_instance(mm_http *http, const mm_role *role, mm_credentials *out, mm_error *err)
{
    static const char *what = "the instance's role";
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    char *token = NULL, *url = mm_format("%s/latest/api/token", role->endpoint), *name = NULL;
    mm_status status = url ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_http_request request = {.repeatable = true, .total_timeout_ms = METADATA_TIMEOUT_MS, .reply_max = REPLY_MAX};
    const char *ttl = "X-aws-ec2-metadata-token-ttl-seconds: 21600";
    if (status == MM_OK) {
        request.method = "PUT", request.url = url, request.headers = &ttl, request.header_count = 1;
        status = ask(http, what, &request, &reply, err);
    }
    if (status == MM_OK && (token = mm_format("X-aws-ec2-metadata-token: %s", reply.body.data)) == NULL)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    const char *headers[] = {token};
    request.method = "GET", request.headers = headers;
    for (int step = 0; status == MM_OK && step < 2; step++) { /* the role's name, then its keys */
        free(url);
        url = mm_format("%s/latest/meta-data/iam/security-credentials/%s", role->endpoint, name ? name : "");
        request.url = url;
        status = url ? ask(http, what, &request, &reply, err) : mm_error_set(err, MM_NO_MEMORY, "out of memory");
        if (status == MM_OK && step == 0) {
            name = strndup(reply.body.data ? reply.body.data : "",
                           strcspn(reply.body.data ? reply.body.data : "", "\r\n"));
            if (name == NULL || name[0] == '\0')
                status = mm_error_set(err, MM_AUTH, "the instance has no role: attach one, or give keys");
        }
    }
    if (status == MM_OK)
        status = read_json(&reply, what, out, err);
    if (status != MM_OK && status != MM_NO_MEMORY && err)
        mm_error_context(err, "this machine gives no keys; give them by storage_access_key, the environment or a "
                              "profile");
    mm_http_reply_free(&reply);
    free_secret(token);
    free(name);
    free(url);
    return status;
}

static mm_status fetch_container(mm_http *http, const mm_role *role, mm_credentials *out, mm_error *err)
{
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    char *token = NULL, *header = NULL;
    mm_status status = MM_OK;
    if (role->token_file)
        status = read_token(role->token_file, &token, err);
    else if (role->token && (token = strdup(role->token)) == NULL)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (status == MM_OK && token && (header = mm_format("Authorization: %s", token)) == NULL)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    const char *headers[] = {header};
    mm_http_request request = {.method = "GET", .url = role->endpoint, .headers = headers,
                               .header_count = header ? 1 : 0, .repeatable = true,
                               .total_timeout_ms = METADATA_TIMEOUT_MS, .reply_max = REPLY_MAX};
    if (status == MM_OK)
        status = ask(http, "the container's role", &request, &reply, err);
    if (status == MM_OK)
        status = read_json(&reply, "the container's role", out, err);
    mm_http_reply_free(&reply);
    free_secret(header);
    free_secret(token);
    return status;
}

/* --- STS ---------------------------------------------------------------------------------------------------- */

typedef struct sts_answer {
    mm_credentials credentials;
    char *code, *message;
    bool failed;
} sts_answer;

static void take(sts_answer *answer, char **to, const char *text)
{
    free(*to);
    *to = strdup(text);
    answer->failed |= *to == NULL;
}

static bool ends_with(const char *path, const char *tail)
{
    size_t length = strlen(path), size = strlen(tail);
    return length >= size && strcmp(path + length - size, tail) == 0;
}

static mm_status take_element(void *context, const char *path, const char *text, mm_error *err)
{
    sts_answer *answer = context;
    if (ends_with(path, "Result/Credentials/AccessKeyId"))
        take(answer, &answer->credentials.access_key, text);
    else if (ends_with(path, "Result/Credentials/SecretAccessKey"))
        take(answer, &answer->credentials.secret_key, text);
    else if (ends_with(path, "Result/Credentials/SessionToken"))
        take(answer, &answer->credentials.session_token, text);
    else if (ends_with(path, "Result/Credentials/Expiration"))
        answer->credentials.expires_ms = mm_storage_time(text);
    else if (ends_with(path, "Error/Code"))
        take(answer, &answer->code, text);
    else if (ends_with(path, "Error/Message"))
        take(answer, &answer->message, text);
    return answer->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory") : MM_OK;
}

static mm_status read_sts(const mm_role *role, const mm_http_reply *reply, mm_credentials *out, mm_error *err)
{
    sts_answer answer = {0};
    mm_status status = mm_xml_walk(reply->body.data ? reply->body.data : "", reply->body.size, take_element, &answer,
                                   err);
    bool good = reply->status >= 200 && reply->status < 300;
    if (good && status == MM_OK) {
        status = check_whole(&answer.credentials, "STS", out, err);
        answer.credentials = (mm_credentials){0};
    } else if (!good) { /* whatever else the answer is */
        status = mm_http_judge(reply->status, true);
        status = status == MM_CONFIG || status == MM_NOT_FOUND ? MM_AUTH : status;
        mm_error_set(err, status, "role %s: %s answered HTTP %ld %s: %s", role->role_arn, role->endpoint,
                     reply->status, answer.code ? answer.code : "", answer.message ? answer.message : "");
    }
    mm_credentials_free(&answer.credentials);
    free(answer.code);
    free(answer.message);
    return status;
}

static void form_field(mm_buffer *form, const char *name, const char *value)
{
    if (value)
        mm_form_add(form, name, value);
}

/* Signs a POST with an empty path for AssumeRole; web identities go unsigned. */
static mm_status sign_sts(const mm_role *role, const mm_buffer *form, char *lines[3], mm_error *err)
{
    char date[MM_SIGV4_DATE], hash[65];
    uint8_t digest[MM_SHA256_SIZE];
    mm_buffer authorization = MM_BUFFER_INIT;
    const char *host = strstr(role->endpoint, "://") + 3;
    char *bare = strndup(host, strcspn(host, "/"));
    mm_sigv4_date(mm_clock_wall_ms(), date);
    mm_status status = mm_sha256(form->data, form->size, digest) ? MM_OK : mm_error_set(err, MM_CONFIG,
                                                                                  "libcrypto refuses SHA-256");
    mm_hex(digest, sizeof(digest), hash);
    lines[0] = mm_format("x-amz-date: %s", date);
    lines[1] = role->base.session_token ? mm_format("x-amz-security-token: %s", role->base.session_token) : NULL;
    if (status == MM_OK && (bare == NULL || lines[0] == NULL || (role->base.session_token && lines[1] == NULL)))
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    const char *signed_lines[] = {lines[0], lines[1]};
    mm_sigv4 request = {.access_key = role->base.access_key, .secret_key = role->base.secret_key,
                        .region = role->region, .service = "sts", .method = "POST", .host = bare, .path = "/",
                        .headers = signed_lines, .header_count = lines[1] ? 2 : 1, .payload_hash = hash, .date = date};
    if (status == MM_OK)
        status = mm_sigv4_sign(&request, &authorization, err);
    if (status == MM_OK && (lines[2] = mm_format("Authorization: %s", authorization.data)) == NULL)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_buffer_free(&authorization);
    free(bare);
    return status;
}

static mm_status fetch_sts(mm_http *http, const mm_role *role, mm_credentials *out, mm_error *err)
{
    bool web = role->kind == MM_ROLE_WEB_IDENTITY;
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    mm_buffer form = MM_BUFFER_INIT;
    char *identity = NULL, *url = mm_format("%s/", role->endpoint), *lines[3] = {NULL, NULL, NULL};
    mm_status status = url ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (status == MM_OK && web)
        status = read_token(role->token_file, &identity, err); /* anew each time: it is renewed in its file */
    mm_buffer_printf(&form, "Action=%s&Version=2011-06-15", web ? "AssumeRoleWithWebIdentity" : "AssumeRole");
    form_field(&form, "RoleArn", role->role_arn);
    form_field(&form, "RoleSessionName", role->session_name ? role->session_name : "mmresume");
    form_field(&form, "ExternalId", role->external_id);
    form_field(&form, "WebIdentityToken", identity);
    if (status == MM_OK && form.failed)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (status == MM_OK && !web)
        status = sign_sts(role, &form, lines, err);
    const char *headers[4] = {"Content-Type: application/x-www-form-urlencoded"};
    size_t count = 1;
    for (size_t i = 0; i < MM_COUNT(lines); i++)
        if (lines[i])
            headers[count++] = lines[i];
    mm_http_request request = {.method = "POST", .url = url, .headers = headers, .header_count = count,
                               .body = {.bytes = form.data, .size = form.size}, .repeatable = true,
                               .total_timeout_ms = STS_TIMEOUT_MS, .reply_max = REPLY_MAX};
    if (status == MM_OK)
        status = mm_http_perform(http, &request, &reply, err);
    if (status == MM_OK)
        status = read_sts(role, &reply, out, err);
    mm_http_reply_free(&reply);
    if (form.data)
        OPENSSL_cleanse(form.data, form.size);
    mm_buffer_free(&form);
    for (size_t i = 0; i < MM_COUNT(lines); i++)
        free_secret(lines[i]);
    free_secret(identity);
    free(url);
    return status;
}

mm_status mm_role_fetch(mm_http *http, const mm_role *role, mm_credentials *out, mm_error *err)
{
    switch (role->kind) {
    case MM_ROLE_INSTANCE:
        return fetch_instance(http, role, out, err);
    case MM_ROLE_CONTAINER:
        return fetch_container(http, role, out, err);
    case MM_ROLE_WEB_IDENTITY:
    case MM_ROLE_ASSUME:
        return fetch_sts(http, role, out, err);
    }
    return mm_error_set(err, MM_BUG, "role kind %d", (int)role->kind);
}
