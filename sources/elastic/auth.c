/* Authentication: headers, signatures, certificates. */
#include "sources/elastic/auth.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "storage/credentials.h"
#include "storage/sigv4.h"
#include "storage/storage_internal.h"

struct mm_elastic_auth {
    char *header;        /* "Authorization: …"; NULL: none, or signed */
    const char *service; /* of AWS; NULL: none */
    char *region;
    mm_credentials_source *credentials;
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* --- headers that stay the same --------------------------------------------------------------------------------- */

static char *encode(const char *scheme, const char *text)
{
    size_t size = strlen(text);
    char *coded = malloc(MM_BASE64_SIZE(size)), *line = NULL;
    if (coded) {
        mm_base64(text, size, coded);
        mm_log_add_secret(coded);
        line = mm_format("Authorization: %s %s", scheme, coded);
    }
    free(coded);
    return line;
}

/* NULL: not given, or empty, as an environment variable that is not set leaves it. */
static const char *option(const mm_options *options, const char *name)
{
    const char *value = mm_options_str(options, name);
    return value && value[0] ? value : NULL;
}

static mm_status make_header(mm_elastic_auth *auth, const mm_options *options, mm_error *err)
{
    const char *user = option(options, "username"), *password = option(options, "password");
    const char *key = option(options, "api_key"), *token = option(options, "token");
    if ((user != NULL) + (key != NULL) + (token != NULL) + (auth->service != NULL) > 1)
        return mm_error_set(err, MM_CONFIG, "source: one of username, api_key, token and aws_service says who asks");
    if ((user != NULL) != (password != NULL))
        return mm_error_set(err, MM_CONFIG, "source.username and source.password belong together");
    if (user) {
        char *both = mm_format("%s:%s", user, password);
        auth->header = both ? encode("Basic", both) : NULL;
        free(both);
    } else if (key) {
        /* as "id:key"; what the server calls "encoded" is that in base64, which has no colon */
        auth->header = strchr(key, ':') ? encode("ApiKey", key) : mm_format("Authorization: ApiKey %s", key);
    } else if (token) {
        auth->header = mm_format("Authorization: Bearer %s", token);
    } else {
        return MM_OK;
    }
    return auth->header ? MM_OK : no_memory(err);
}

/* --- AWS -------------------------------------------------------------------------------------------------------- */

/* "…us-east-1.es.amazonaws.com", "…us-east-1.aoss.amazonaws.com". */
static char *region_of(const char *host, const char *service)
{
    char *tail = mm_format(".%s.amazonaws.com", service), *region = NULL;
    const char *found = tail ? strstr(host, tail) : NULL;
    if (found) {
        const char *from = found;
        while (from > host && from[-1] != '.')
            from--;
        region = strndup(from, (size_t)(found - from));
    }
    free(tail);
    return region;
}

static mm_status open_aws(mm_elastic_auth *auth, const mm_options *options, const char *host, mm_error *err)
{
    mm_storage_place place = {.location = host, .scheme = auth->service, .bucket = host, .options = options};
    mm_credentials_config config = {.place = &place, .aws_roles = true};
    mm_credentials_hints hints = {0};
    mm_status status = mm_credentials_open(&config, &auth->credentials, &hints, err);
    const char *given = mm_options_str(options, "storage_region");
    if (status == MM_OK) {
        auth->region = given ? strdup(given) : region_of(host, auth->service);
        if (auth->region == NULL && hints.region)
            auth->region = strdup(hints.region);
        if (auth->region == NULL)
            status = mm_error_set(err, MM_CONFIG, "source.storage_region: the region that requests are signed for is not "
                                                  "in the name %s, nor in environment or profile", host);
    }
    mm_credentials_hints_free(&hints);
    return status;
}

static bool add_own(mm_elastic_lines *lines, char *line)
{
    if (line == NULL)
        return false;
    lines->own[lines->own_count++] = line;
    lines->items[lines->count++] = line;
    return true;
}

/* The query as it is signed, and sent: names and values in order, encoded, each with its "=". */
static mm_status canonical_query(const char *query, mm_buffer *out, mm_error *err)
{
    enum { MOST = 16 };
    mm_sigv4_pair pairs[MOST];
    size_t count = 0;
    char *copy = strdup(query), *rest = copy;
    if (copy == NULL)
        return no_memory(err);
    for (char *part; (part = strsep(&rest, "&")) != NULL && count < MOST; count++) { /* none of ours has so many */
        char *value = strchr(part, '=');
        if (value)
            *value++ = '\0';
        pairs[count] = (mm_sigv4_pair){part, value ? value : ""};
    }
    mm_status status = mm_sigv4_query(pairs, count, out, err);
    free(copy);
    return status;
}

static mm_status sign(mm_elastic_auth *auth, const mm_endpoint *at, const mm_elastic_call *call, mm_elastic_lines *out,
                      mm_error *err)
{
    mm_credentials keys = {0};
    char date[MM_SIGV4_DATE], hash[2 * MM_SHA256_SIZE + 1];
    uint8_t digest[MM_SHA256_SIZE];
    mm_buffer authorization = MM_BUFFER_INIT, query = MM_BUFFER_INIT;
    size_t length = strcspn(call->path, "?");
    mm_buffer twice = MM_BUFFER_INIT; /* but for S3, what is sent is encoded once more where it is signed */
    char *path = mm_format("%s%.*s", at->path, (int)length, call->path);
    if (path)
        mm_percent_encode(&twice, path, true);
    mm_status status = path && !twice.failed ? mm_credentials_get(auth->credentials, NULL, &keys, err) : no_memory(err);
    if (status != MM_OK)
        goto out;
    if (!mm_sha256(call->body ? call->body : "", call->body_size, digest)) {
        status = mm_error_set(err, MM_BUG, "libcrypto has no SHA-256");
        goto out;
    }
    mm_hex(digest, sizeof(digest), hash);
    mm_sigv4_date(mm_clock_wall_ms(), date);
    bool ok = add_own(out, mm_format("x-amz-date: %s", date)) &&
              add_own(out, mm_format("x-amz-content-sha256: %s", hash)) &&
              (keys.session_token == NULL || add_own(out, mm_format("x-amz-security-token: %s", keys.session_token)));
    if (!ok) {
        status = no_memory(err);
        goto out;
    }
    if (call->path[length] == '?')
        status = canonical_query(call->path + length + 1, &query, err);
    mm_sigv4 request = {.access_key = keys.access_key, .secret_key = keys.secret_key, .region = auth->region,
                        .service = auth->service, .method = call->method, .host = strstr(at->origin, "://") + 3,
                        .path = twice.data, .query = query.size > 0 ? query.data : NULL, .headers = out->items,
                        .header_count = out->count, .payload_hash = hash, .date = date};
    if (status == MM_OK)
        status = mm_sigv4_sign(&request, &authorization, err);
    if (status == MM_OK && !add_own(out, mm_format("Authorization: %s", authorization.data)))
        status = no_memory(err);
    if (status == MM_OK)
        out->path = mm_format("%s%s%s", path, query.size > 0 ? "?" : "", query.size > 0 ? query.data : "");
out:
    mm_credentials_free(&keys);
    mm_buffer_free(&authorization);
    mm_buffer_free(&query);
    mm_buffer_free(&twice);
    free(path);
    return status;
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

mm_status mm_elastic_auth_open(const mm_options *options, const char *host, mm_elastic_auth **out, mm_error *err)
{
    const char *service = mm_options_str(options, "aws_service");
    mm_elastic_auth *auth = calloc(1, sizeof(*auth));
    if (auth == NULL)
        return no_memory(err);
    auth->service = strcmp(service, "none") == 0 ? NULL : service;
    mm_status status = make_header(auth, options, err);
    if (status == MM_OK && auth->service)
        status = open_aws(auth, options, host, err);
    if (status != MM_OK) {
        mm_elastic_auth_close(auth);
        return status;
    }
    *out = auth;
    return MM_OK;
}

void mm_elastic_auth_close(mm_elastic_auth *auth)
{
    if (auth == NULL)
        return;
    mm_credentials_close(auth->credentials);
    free(auth->region);
    free(auth->header);
    free(auth);
}

mm_status mm_elastic_auth_lines(mm_elastic_auth *auth, const mm_endpoint *at, const mm_elastic_call *call,
                                mm_elastic_lines *out, mm_error *err)
{
    mm_status status = auth->service ? sign(auth, at, call, out, err) : MM_OK;
    if (status == MM_OK && auth->service == NULL)
        out->path = mm_format("%s%s", at->path, call->path);
    if (status == MM_OK && out->path == NULL)
        status = no_memory(err);
    if (status == MM_OK && auth->header)
        out->items[out->count++] = auth->header;
    if (call->body)
        out->items[out->count++] = "Content-Type: application/json";
    return status;
}

void mm_elastic_lines_free(mm_elastic_lines *lines)
{
    for (size_t i = 0; i < lines->own_count; i++)
        free(lines->own[i]);
    free(lines->path);
    *lines = (mm_elastic_lines){0};
}

mm_status mm_elastic_cloud_url(const char *cloud_id, char **out, mm_error *err)
{
    const char *coded = strrchr(cloud_id, ':');
    coded = coded ? coded + 1 : cloud_id;
    size_t length = strlen(coded), size = 0, padded = (length + 3) / 4 * 4;
    char *text = malloc(padded + 1), *id = NULL;
    uint8_t *plain = malloc(padded + 1);
    mm_status status = MM_OK;
    if (text == NULL || plain == NULL) {
        status = no_memory(err);
        goto out;
    }
    memcpy(text, coded, length);
    memset(text + length, '=', padded - length); /* some consoles leave the padding out */
    if (length == 0 || !mm_base64_decode(text, padded, plain, &size))
        goto bad;
    plain[size] = '\0';
    id = strchr((char *)plain, '$');
    if (id == NULL || id == (char *)plain || strlen((char *)plain) != size)
        goto bad;
    *id++ = '\0';
    id[strcspn(id, "$")] = '\0';
    if (id[0] == '\0' || strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != strlen(id))
        goto bad;
    *out = mm_format("https://%s.%s", id, (char *)plain);
    status = *out ? MM_OK : no_memory(err);
    goto out;
bad:
    status = mm_error_set(err, MM_CONFIG, "source.cloud_id: not `name:` and base64 of `host$id`, as the console shows it");
out:
    free(text);
    free(plain);
    return status;
}

mm_status mm_elastic_http_open(const mm_options *options, const char *url, mm_http **out, mm_error *err)
{
    mm_http_config config = {.ca_file = mm_options_str(options, "ca_file"),
                             .client_cert = mm_options_str(options, "client_cert"),
                             .client_key = mm_options_str(options, "client_key")};
    const char *fingerprint = mm_options_str(options, "ca_fingerprint");
    mm_buffer pem = MM_BUFFER_INIT;
    mm_status status = MM_OK;
    if (config.client_key && config.client_cert == NULL)
        return mm_error_set(err, MM_CONFIG, "source.client_key: client_cert is missing");
    if (fingerprint && config.ca_file)
        return mm_error_set(err, MM_CONFIG, "source: either ca_file or ca_fingerprint");
    if (fingerprint) {
        status = mm_http_find_certificate(url, fingerprint, &pem, err);
        config.ca_pem = pem.data;
    }
    if (status == MM_OK)
        status = mm_http_open(&config, out, err);
    mm_buffer_free(&pem);
    return status;
}
