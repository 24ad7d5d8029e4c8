/* AWS Signature Version 4 with libcrypto's HMAC and SHA-256. */
#include "storage/sigv4.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "base/digest.h"
#include "storage/storage_internal.h"

#define HEADERS_MAX 32

/* --- query -------------------------------------------------------------------------------------------------- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Encoded pairs are in order by name, then value: '=' is below every character of a longer encoded name but
 * '%', '-', '.' and digits, so it cannot stand between them while they are compared; 0x01 can. */
static char *encode_pair(const mm_sigv4_pair *pair)
{
    mm_buffer text = MM_BUFFER_INIT;
    mm_percent_encode(&text, pair->name, false);
    mm_buffer_append(&text, "\x01", 1);
    mm_percent_encode(&text, pair->value, false);
    if (text.failed)
        mm_buffer_free(&text);
    return text.data;
}

mm_status mm_sigv4_query(const mm_sigv4_pair *pairs, size_t count, mm_buffer *out, mm_error *err)
{
    char **texts = calloc(count > 0 ? count : 1, sizeof(*texts));
    bool ok = texts != NULL;
    for (size_t i = 0; ok && i < count; i++)
        ok = (texts[i] = encode_pair(&pairs[i])) != NULL;
    if (ok) {
        qsort(texts, count, sizeof(*texts), compare_texts);
        for (size_t i = 0; i < count; i++) {
            *strchr(texts[i], '\x01') = '=';
            mm_buffer_printf(out, "%s%s", i > 0 ? "&" : "", texts[i]);
        }
    }
    for (size_t i = 0; texts && i < count; i++)
        free(texts[i]);
    free(texts);
    return ok && !out->failed ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* --- canonical request -------------------------------------------------------------------------------------- */

/* "name:value" with the blanks of a value as the canonical form wants them. */
static void canonical_header(mm_buffer *out, const char *line)
{
    const char *colon = strchr(line, ':');
    mm_buffer_append(out, line, (size_t)(colon - line) + 1);
    const char *at = colon + 1, *end = at + strlen(at);
    while (*at == ' ')
        at++;
    while (end > at && end[-1] == ' ')
        end--;
    for (; at < end; at++)
        if (*at != ' ' || at[-1] != ' ')
            mm_buffer_append(out, at, 1);
    mm_buffer_append(out, "\n", 1);
}

static int compare_names(const void *a, const void *b)
{
    const char *one = *(const char *const *)a, *two = *(const char *const *)b;
    size_t n1 = strcspn(one, ":"), n2 = strcspn(two, ":");
    int order = memcmp(one, two, n1 < n2 ? n1 : n2);
    return order != 0 ? order : (n1 > n2) - (n1 < n2);
}

/* Appends canonical headers, an empty line, and the list of their names; the list alone goes to `names`, too. */
static mm_status canonical_headers(const mm_sigv4 *request, mm_buffer *out, mm_buffer *names, mm_error *err)
{
    const char *lines[HEADERS_MAX];
    size_t count = 0;
    if (request->header_count >= HEADERS_MAX)
        return mm_error_set(err, MM_BUG, "%zu headers to sign", request->header_count);
    char *host = mm_format("host:%s", request->host);
    if (host == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    lines[count++] = host;
    for (size_t i = 0; i < request->header_count; i++)
        lines[count++] = request->headers[i];
    qsort(lines, count, sizeof(*lines), compare_names);
    for (size_t i = 0; i < count; i++) {
        canonical_header(out, lines[i]);
        mm_buffer_printf(names, "%s%.*s", i > 0 ? ";" : "", (int)strcspn(lines[i], ":"), lines[i]);
    }
    free(host);
    mm_buffer_printf(out, "\n%s", names->data ? names->data : "");
    return MM_OK;
}

/* --- signature ---------------------------------------------------------------------------------------------- */

static bool hmac(const void *key, size_t key_size, const char *text, uint8_t out[MM_SHA256_SIZE])
{
    return mm_hmac_sha256(key, key_size, text, strlen(text), out);
}

static bool signing_key(const mm_sigv4 *request, const char *day, uint8_t out[MM_SHA256_SIZE])
{
    char *secret = mm_format("AWS4%s", request->secret_key);
    if (secret == NULL)
        return false;
    uint8_t a[MM_SHA256_SIZE], b[MM_SHA256_SIZE];
    bool ok = hmac(secret, strlen(secret), day, a) && hmac(a, MM_SHA256_SIZE, request->region, b) &&
              hmac(b, MM_SHA256_SIZE, request->service, a) && hmac(a, MM_SHA256_SIZE, "aws4_request", out);
    OPENSSL_cleanse(secret, strlen(secret));
    OPENSSL_cleanse(a, sizeof(a));
    OPENSSL_cleanse(b, sizeof(b));
    free(secret);
    return ok;
}

void mm_sigv4_date(int64_t wall_ms, char out[MM_SIGV4_DATE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL || strftime(out, MM_SIGV4_DATE, "%Y%m%dT%H%M%SZ", &parts) == 0)
        memcpy(out, "00000000T000000Z", MM_SIGV4_DATE);
}

mm_status mm_sigv4_sign(const mm_sigv4 *request, mm_buffer *authorization, mm_error *err)
{
    mm_buffer canonical = MM_BUFFER_INIT, names = MM_BUFFER_INIT, to_sign = MM_BUFFER_INIT;
    uint8_t key[MM_SHA256_SIZE], digest[MM_SHA256_SIZE];
    char hash[2 * MM_SHA256_SIZE + 1], signature[2 * MM_SHA256_SIZE + 1], day[9];
    memcpy(day, request->date, 8);
    day[8] = '\0';

    mm_buffer_printf(&canonical, "%s\n%s\n%s\n", request->method, request->path, request->query ? request->query : "");
    mm_status status = canonical_headers(request, &canonical, &names, err);
    if (status != MM_OK)
        goto out;
    mm_buffer_printf(&canonical, "\n%s", request->payload_hash);
    if (canonical.failed || names.failed) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        goto out;
    }
    if (!mm_sha256(canonical.data, canonical.size, digest)) {
        status = mm_error_set(err, MM_CONFIG, "libcrypto refuses SHA-256");
        goto out;
    }
    mm_hex(digest, MM_SHA256_SIZE, hash);
    mm_buffer_printf(&to_sign, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", request->date, day, request->region,
                     request->service, hash);
    if (to_sign.failed || !signing_key(request, day, key) || !hmac(key, MM_SHA256_SIZE, to_sign.data, digest)) {
        status = mm_error_set(err, to_sign.failed ? MM_NO_MEMORY : MM_BUG, "the signature cannot be made");
        goto out;
    }
    mm_hex(digest, MM_SHA256_SIZE, signature);
    mm_buffer_printf(authorization, "AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, "
                     "Signature=%s", request->access_key, day, request->region, request->service, names.data,
                     signature);
    if (authorization->failed)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
out:
    OPENSSL_cleanse(key, sizeof(key));
    mm_buffer_free(&canonical);
    mm_buffer_free(&names);
    mm_buffer_free(&to_sign);
    return status;
}
