/* One bucket's client: its address, signed requests, and what a refusal means. Knows no operations. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "storage/endpoint.h"
#include "storage/s3.h"

#define SKEW_MATTERS_MS 60000
#define LINES_MAX 20

static const mm_s3_provider providers[] = {
    {.scheme = "s3", .endpoint = "https://s3.%s.amazonaws.com", .region = "us-east-1",
     .fresh_header = "if-none-match: *", .checksum = true, .aws_roles = true},
    {.scheme = "oss", .endpoint = "https://s3.oss-%s.aliyuncs.com",
     .key_names = {"OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"}, .token_name = "OSS_SESSION_TOKEN",
     .fresh_header = "x-oss-forbid-overwrite: true", .virtual_only = true},
    {.scheme = "cos", .endpoint = "https://cos.%s.myqcloud.com",
     .key_names = {"TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"},
     .token_name = "TENCENTCLOUD_SECURITY_TOKEN", .fresh_header = "x-cos-forbid-overwrite: true"},
    {.scheme = "r2", .region = "auto", .fresh_header = "if-none-match: *"},
    /* its HMAC keys; x-goog-if-generation-match may not stand beside the x-amz- headers of this signature */
    {.scheme = "gs", .endpoint = "https://storage.googleapis.com", .region = "auto"},
};

const mm_s3_provider *mm_s3_provider_find(const char *scheme)
{
    for (size_t i = 0; i < MM_COUNT(providers); i++)
        if (strcmp(providers[i].scheme, scheme) == 0)
            return &providers[i];
    return NULL;
}

/* --- opening ------------------------------------------------------------------------------------------------ */

static bool ends_with(const char *text, size_t size, const char *tail)
{
    size_t length = strlen(tail);
    return size >= length && strncasecmp(text + size - length, tail, length) == 0;
}

/* Hosts whose certificates and routing are made for the bucket's name in the host. */
static bool is_virtual_provider(const char *host)
{
    static const char *const tails[] = {".amazonaws.com", ".amazonaws.com.cn", ".aliyuncs.com", ".myqcloud.com"};
    size_t size = strcspn(host, ":");
    for (size_t i = 0; i < MM_COUNT(tails); i++)
        if (ends_with(host, size, tails[i]))
            return true;
    return false;
}

/* A name that can be a label of a host, also under a wildcard certificate. */
static bool is_label(const char *bucket)
{
    size_t length = strlen(bucket);
    return length >= 3 && length <= 63 && strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static mm_status choose_style(mm_s3 *s3, const mm_storage_place *place, mm_error *err)
{
    const char *style = mm_storage_option(place, "storage_style");
    bool automatic = style == NULL || strcmp(style, "auto") == 0;
    s3->virtual_host = automatic ? is_virtual_provider(s3->host) && is_label(s3->bucket)
                                 : strcmp(style, "virtual") == 0;
    if (s3->virtual_host && !is_label(s3->bucket) && s3->tls && !automatic)
        mm_log(MM_LOG_WARN, "%s: the certificate will hardly fit a bucket's name with dots or capitals",
               place->location);
    if (!s3->virtual_host && s3->provider->virtual_only && is_virtual_provider(s3->host))
        return mm_error_set(err, MM_CONFIG, "%s: this provider takes the bucket's name in the host only "
                            "(storage_style: virtual), and '%s' cannot stand there", place->location, s3->bucket);
    return MM_OK;
}

/* As the Host header will have it, which is signed: libcurl leaves out the scheme's own port. */
static mm_status set_endpoint(mm_s3 *s3, const char *url, mm_error *err)
{
    mm_endpoint endpoint;
    mm_status status = mm_endpoint_parse("storage_endpoint", url, &endpoint, err);
    if (status != MM_OK)
        return status;
    const char *authority = strstr(endpoint.origin, "://") + 3, *port = endpoint.plain ? ":80" : ":443";
    size_t length = strlen(authority);
    if (ends_with(authority, length, port))
        length -= strlen(port);
    s3->tls = !endpoint.plain;
    s3->host = strndup(authority, length);
    s3->base_path = strdup(endpoint.path);
    mm_endpoint_free(&endpoint);
    return s3->host && s3->base_path ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* The provider's own, for a region. malloc'd. */
static char *default_endpoint(const mm_s3_provider *provider, const char *region)
{
    bool china = strcmp(provider->scheme, "s3") == 0 && strncmp(region, "cn-", 3) == 0;
    const char *format = provider->endpoint, *mark = strstr(format, "%s");
    if (mark == NULL)
        return strdup(format);
    return mm_format("%.*s%s%s%s", (int)(mark - format), format, region, mark + 2, china ? ".cn" : "");
}

static mm_status set_address(mm_s3 *s3, const mm_storage_place *place, const mm_credentials_hints *hints,
                             mm_error *err)
{
    const mm_s3_provider *provider = s3->provider;
    const char *endpoint = mm_storage_option(place, "storage_endpoint");
    const char *region = mm_storage_option(place, "storage_region");
    bool aws = provider->aws_roles;
    if (endpoint == NULL && (aws || provider->endpoint == NULL))
        endpoint = hints->endpoint;
    if (region == NULL)
        region = provider->region && !aws ? provider->region : hints->region ? hints->region : provider->region;
    if (strcmp(provider->scheme, "oss") == 0 && region && strncmp(region, "oss-", 4) == 0)
        region += 4;
    if (endpoint == NULL && provider->endpoint == NULL)
        return mm_error_set(err, MM_CONFIG, "%s: storage_endpoint is needed (r2: "
                            "https://ACCOUNT.r2.cloudflarestorage.com)", place->location);
    if (endpoint == NULL && region == NULL)
        return mm_error_set(err, MM_CONFIG, "%s: storage_region or storage_endpoint is needed", place->location);
    s3->region = strdup(region ? region : "us-east-1");
    s3->own_endpoint = endpoint == NULL;
    char *own = endpoint ? NULL : default_endpoint(provider, region);
    if (s3->region == NULL || (endpoint == NULL && own == NULL))
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = set_endpoint(s3, own ? own : endpoint, err);
    free(own);
    return status == MM_OK ? choose_style(s3, place, err) : status;
}

mm_status mm_s3_open(const mm_storage_place *place, const mm_s3_provider *provider, mm_s3 **out, mm_error *err)
{
    mm_credentials_hints hints = {0};
    mm_s3 *s3 = calloc(1, sizeof(*s3));
    if (s3 == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    pthread_mutex_init(&s3->lock, NULL);
    s3->provider = provider;
    s3->bucket = strdup(place->bucket);
    mm_http_config http = {.ca_file = mm_storage_option(place, "storage_ca")};
    mm_credentials_config credentials = {.place = place,
                                         .key_names = {provider->key_names[0], provider->key_names[1]},
                                         .token_name = provider->token_name, .aws_roles = provider->aws_roles};
    mm_status status = s3->bucket ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (status == MM_OK)
        status = mm_credentials_open(&credentials, &s3->credentials, &hints, err);
    if (status == MM_OK)
        status = set_address(s3, place, &hints, err);
    if (status == MM_OK)
        status = mm_http_open(&http, &s3->http, err);
    mm_credentials_hints_free(&hints);
    if (status != MM_OK) {
        mm_s3_close(s3);
        return status;
    }
    *out = s3;
    return MM_OK;
}

void mm_s3_close(mm_s3 *s3)
{
    if (s3 == NULL)
        return;
    mm_http_close(s3->http);
    mm_credentials_close(s3->credentials);
    free(s3->bucket);
    free(s3->base_path);
    free(s3->region);
    free(s3->host);
    pthread_mutex_destroy(&s3->lock);
    free(s3);
}

/* --- addresses ---------------------------------------------------------------------------------------------- */

/* Where a request goes; all malloc'd. */
typedef struct address {
    char *region, *host, *path;
} address;

static void free_address(address *at)
{
    free(at->region);
    free(at->host);
    free(at->path);
}

/* Keys are encoded but for the slashes between their parts; nothing is normalised: "a//b" and "a/../b" are names. */
static mm_status find_address(mm_s3 *s3, const char *key, address *out, mm_error *err)
{
    mm_buffer path = MM_BUFFER_INIT;
    pthread_mutex_lock(&s3->lock);
    *out = (address){strdup(s3->region),
                     s3->virtual_host ? mm_format("%s.%s", s3->bucket, s3->host) : strdup(s3->host), NULL};
    pthread_mutex_unlock(&s3->lock);
    mm_buffer_printf(&path, "%s/", s3->base_path);
    if (!s3->virtual_host) {
        mm_percent_encode(&path, s3->bucket, false);
        mm_buffer_printf(&path, "%s", key ? "/" : "");
    }
    if (key)
        mm_percent_encode(&path, key, true);
    out->path = path.data;
    if (path.failed || out->region == NULL || out->host == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    return MM_OK;
}

char *mm_s3_url(mm_s3 *s3, const char *key)
{
    address at = {0};
    char *url = NULL;
    if (find_address(s3, key, &at, NULL) == MM_OK)
        url = mm_format("http%s://%s%s", s3->tls ? "s" : "", at.host, at.path);
    free_address(&at);
    return url;
}

/* The service says where the bucket is. True when that is news. */
static bool follow_region(mm_s3 *s3, const char *region)
{
    bool moved = false;
    pthread_mutex_lock(&s3->lock);
    if (region[0] && strcmp(region, s3->region) != 0 && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") ==
                                                            strlen(region)) {
        char *copy = strdup(region), *host = NULL;
        if (s3->own_endpoint) {
            char *url = default_endpoint(s3->provider, region);
            host = url ? strdup(strstr(url, "://") + 3) : NULL;
            free(url);
        }
        if (copy && (host || !s3->own_endpoint)) {
            free(s3->region);
            s3->region = copy;
            copy = NULL;
            if (host) {
                free(s3->host);
                s3->host = host;
                host = NULL;
            }
            moved = true;
        }
        free(copy);
        free(host);
    }
    pthread_mutex_unlock(&s3->lock);
    return moved;
}

/* --- a signed request --------------------------------------------------------------------------------------- */

static bool is_signed(const char *line)
{
    return strncmp(line, "x-amz-", 6) == 0 || strncmp(line, "content-", 8) == 0;
}

/* Lines of one request: those that are signed first. */
typedef struct lines {
    const char *items[LINES_MAX];
    size_t count;
    char *own[5]; /* malloc'd ones among them */
    size_t own_count;
} lines;

static bool add_own(lines *all, char *line)
{
    if (line == NULL)
        return false;
    all->own[all->own_count++] = line;
    all->items[all->count++] = line;
    return true;
}

static void free_lines(lines *all)
{
    for (size_t i = 0; i < all->own_count; i++)
        free(all->own[i]);
}

static mm_status build_lines(mm_s3 *s3, const mm_s3_call *call, const address *at, const char *query,
                             const mm_credentials *keys, const char *hash, lines *out, mm_error *err)
{
    char date[MM_SIGV4_DATE];
    mm_buffer authorization = MM_BUFFER_INIT;
    mm_sigv4_date(mm_clock_wall_ms() + atomic_load(&s3->skew_ms), date);
    bool ok = add_own(out, mm_format("x-amz-date: %s", date)) &&
              add_own(out, mm_format("x-amz-content-sha256: %s", hash)) &&
              (keys->session_token == NULL ||
               add_own(out, mm_format("x-amz-security-token: %s", keys->session_token)));
    for (size_t i = 0; i < MM_COUNT(call->headers) && call->headers[i]; i++)
        if (is_signed(call->headers[i]))
            out->items[out->count++] = call->headers[i];
    if (!ok)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_sigv4 request = {.access_key = keys->access_key, .secret_key = keys->secret_key, .region = at->region,
                        .service = "s3", .method = call->method, .host = at->host, .path = at->path, .query = query,
                        .headers = out->items, .header_count = out->count, .payload_hash = hash, .date = date};
    mm_status status = mm_sigv4_sign(&request, &authorization, err);
    if (status == MM_OK && !add_own(out, mm_format("Authorization: %s", authorization.data)))
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < MM_COUNT(call->headers) && call->headers[i]; i++)
        if (!is_signed(call->headers[i]))
            out->items[out->count++] = call->headers[i];
    mm_buffer_free(&authorization);
    return status;
}

static mm_status send_once(mm_s3 *s3, mm_s3_call *call, const char *query, const mm_credentials *keys,
                           const char *hash, mm_error *err)
{
    address at = {0};
    lines all = {0};
    char *url = NULL;
    mm_status status = find_address(s3, call->key, &at, err);
    if (status == MM_OK)
        status = build_lines(s3, call, &at, query, keys, hash, &all, err);
    if (status == MM_OK && (url = mm_format("http%s://%s%s%s%s", s3->tls ? "s" : "", at.host, at.path,
                                            query ? "?" : "", query ? query : "")) == NULL)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_http_request request = {.method = call->method, .url = url, .headers = all.items, .header_count = all.count,
                               .body = call->body, .repeatable = !call->once, .stall_timeout_ms = call->stall_ms,
                               .into = call->into, .into_size = call->into_size};
    if (status == MM_OK)
        status = mm_http_perform(s3->http, &request, &call->reply, err);
    free(url);
    free_lines(&all);
    free_address(&at);
    return status;
}

/* --- what a refusal means ----------------------------------------------------------------------------------- */

static const struct {
    const char *code;
    mm_status status;
} meanings[] = {
    {"SlowDown", MM_RATE_LIMITED},
    {"SlowDownRead", MM_RATE_LIMITED},
    {"SlowDownWrite", MM_RATE_LIMITED},
    {"Throttling", MM_RATE_LIMITED},
    {"ThrottlingException", MM_RATE_LIMITED},
    {"RequestLimitExceeded", MM_RATE_LIMITED},
    {"TooManyRequests", MM_RATE_LIMITED},
    {"QpsLimitExceeded", MM_RATE_LIMITED},
    {"BandwidthLimitExceeded", MM_RATE_LIMITED},
    {"QuotaExceeded", MM_QUOTA},
    {"XMinioStorageFull", MM_QUOTA},
    {"XMinioAdminBucketQuotaExceeded", MM_QUOTA},
    {"InternalError", MM_UNAVAILABLE},
    {"ServiceUnavailable", MM_UNAVAILABLE},
    {"RequestTimeout", MM_UNAVAILABLE},
    {"OperationAborted", MM_UNAVAILABLE},
    {"ConditionalRequestConflict", MM_UNAVAILABLE},
    /* what arrived is not what was signed: damaged on the way */
    {"XAmzContentSHA256Mismatch", MM_UNAVAILABLE},
    {"XAmzContentChecksumMismatch", MM_UNAVAILABLE},
    {"BadDigest", MM_UNAVAILABLE},
    {"IncompleteBody", MM_UNAVAILABLE},
    {"NoSuchBucket", MM_TARGET},
    {"InvalidBucketName", MM_CONFIG},
    {"NoSuchKey", MM_NOT_FOUND},
    {"NoSuchUpload", MM_NOT_FOUND},
    {"NotImplemented", MM_TARGET},
    {"MethodNotAllowed", MM_TARGET},
    {"FileAlreadyExists", MM_TARGET},
    {"ObjectAlreadyExists", MM_TARGET},
    {"PreconditionFailed", MM_CHANGED},
    {"EntityTooLarge", MM_TOO_LARGE},
    {"InvalidRange", MM_DATA},
    {"AccessDenied", MM_AUTH},
    {"SignatureDoesNotMatch", MM_AUTH},
    {"InvalidAccessKeyId", MM_AUTH},
    {"XAdminUserNotFound", MM_AUTH},
    {"ExpiredToken", MM_AUTH},
    {"InvalidToken", MM_AUTH},
    {"TokenRefreshRequired", MM_AUTH},
    {"RequestTimeTooSkewed", MM_AUTH},
    {"AuthorizationHeaderMalformed", MM_CONFIG},
};

static const char *next_step(const mm_s3_failure *failure, long http)
{
    const char *code = failure->code;
    if (strcmp(code, "SignatureDoesNotMatch") == 0)
        return "; the secret key does not belong to the access key";
    if (strcmp(code, "InvalidAccessKeyId") == 0 || strcmp(code, "XAdminUserNotFound") == 0)
        return "; the service does not know the access key: is it meant for this endpoint?";
    if (strcmp(code, "ExpiredToken") == 0 || strcmp(code, "InvalidToken") == 0 ||
        strcmp(code, "TokenRefreshRequired") == 0)
        return "; get new temporary credentials, or let a role give them (storage_use_iam)";
    if (strcmp(code, "RequestTimeTooSkewed") == 0)
        return "; set this machine's clock";
    if (strcmp(code, "NoSuchBucket") == 0)
        return "; create the bucket, or correct its name, region or endpoint";
    if (http == 301 || http == 307 || strcmp(code, "AuthorizationHeaderMalformed") == 0)
        return "; set storage_region to the bucket's region";
    return "";
}

static mm_status judge(mm_s3 *s3, const mm_s3_call *call, const mm_s3_failure *failure, const char *access_key,
                       mm_error *err)
{
    long http = call->reply.status;
    bool ok = http >= 200 && http < 300; /* an error in a body behind status 200 */
    mm_status status = ok ? MM_UNAVAILABLE : mm_http_judge(http, !call->once);
    for (size_t i = 0; i < MM_COUNT(meanings); i++)
        if (strcmp(failure->code, meanings[i].code) == 0)
            status = meanings[i].status;
    char right[300] = "";
    if (status == MM_AUTH && (failure->code[0] == '\0' || strcmp(failure->code, "AccessDenied") == 0))
        snprintf(right, sizeof(right), "; the key %s needs the right %s there", access_key, call->action);
    mm_error_set(err, status, "%s://%s%s%s: %s answered HTTP %ld%s%s%s%s%s%s%s", s3->provider->scheme, s3->bucket,
                 call->key ? "/" : "", call->key ? call->key : "", call->method, http, failure->code[0] ? " " : "",
                 failure->code, failure->message[0] ? " (" : "", failure->message, failure->message[0] ? ")" : "",
                 right, next_step(failure, http));
    if (err)
        err->retry_after_ms = call->reply.retry_after_ms;
    return status;
}

mm_status mm_s3_judge_body(mm_s3 *s3, const mm_s3_call *call, mm_error *err)
{
    mm_s3_failure failure;
    mm_s3_read_failure(&call->reply, &failure);
    return failure.code[0] ? judge(s3, call, &failure, "in use", err) : MM_OK;
}

/* What may be put right at once: each at most once a call. */
typedef struct remedies {
    bool renewed, adjusted, moved;
    char *refused; /* access key */
} remedies;

static bool is_expired(const char *code)
{
    return strcmp(code, "ExpiredToken") == 0 || strcmp(code, "TokenRefreshRequired") == 0 ||
           strcmp(code, "RequestExpired") == 0 || strcmp(code, "InvalidToken") == 0;
}

static bool remedy(mm_s3 *s3, const mm_s3_call *call, const mm_s3_failure *failure, const mm_credentials *keys,
                   remedies *done)
{
    const mm_http_reply *reply = &call->reply;
    if (!done->renewed && is_expired(failure->code) && mm_credentials_renewable(s3->credentials)) {
        done->renewed = true;
        done->refused = strdup(keys->access_key);
        return done->refused != NULL;
    }
    if (!done->adjusted && strcmp(failure->code, "RequestTimeTooSkewed") == 0) {
        int64_t theirs = mm_storage_time(mm_http_header(reply, "Date"));
        int64_t skew = theirs - mm_clock_wall_ms();
        done->adjusted = true;
        if (theirs > 0 && llabs(skew - atomic_load(&s3->skew_ms)) > SKEW_MATTERS_MS) {
            atomic_store(&s3->skew_ms, skew);
            mm_log(MM_LOG_WARN, "s3: this machine's clock is %" PRId64 " s off the service's: set it; requests are "
                   "signed with the service's time meanwhile", -skew / 1000);
            return true;
        }
    }
    if (!done->moved && (reply->status == 301 || reply->status == 400 || reply->status == 307)) {
        const char *region = mm_http_header(reply, "x-amz-bucket-region");
        done->moved = true;
        return follow_region(s3, region ? region : failure->region);
    }
    return false;
}

mm_status mm_s3_perform(mm_s3 *s3, mm_s3_call *call, mm_error *err)
{
    static const char nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    mm_status status = MM_OK;
    mm_buffer query = MM_BUFFER_INIT;
    remedies done = {0};
    uint8_t digest[32];
    char hash[65];
    memcpy(hash, nothing, sizeof(nothing));
    if (call->body.size > 0) {
        if (call->sha256 == NULL)
            status = mm_body_sha256(&call->body, digest, err);
        mm_hex(call->sha256 ? call->sha256 : digest, 32, hash);
    }
    if (status == MM_OK && call->query_count > 0)
        status = mm_sigv4_query(call->query, call->query_count, &query, err);
    for (bool again = true; status == MM_OK && again;) {
        mm_credentials keys = {0};
        status = mm_credentials_get(s3->credentials, done.refused, &keys, err);
        again = false;
        if (status == MM_OK)
            status = send_once(s3, call, query.data, &keys, hash, err);
        if (status == MM_OK && (call->reply.status < 200 || call->reply.status >= 300)) {
            mm_s3_failure failure;
            mm_s3_read_failure(&call->reply, &failure);
            again = remedy(s3, call, &failure, &keys, &done);
            if (!again)
                status = judge(s3, call, &failure, keys.access_key, err);
        }
        mm_credentials_free(&keys);
    }
    free(done.refused);
    mm_buffer_free(&query);
    return status;
}
