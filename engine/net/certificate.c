/* Looking at the certificates that a server shows, for one that is known by its fingerprint. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "net/http.h"
#include "net/transport.h"

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END "-----END CERTIFICATE-----"
#define CONNECT_MS 10000L

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_digest(const char *text, uint8_t out[MM_SHA256_SIZE])
{
    size_t digits = 0;
    memset(out, 0, MM_SHA256_SIZE);
    for (; *text; text++) {
        int value = digit(*text);
        if (*text == ':' && digits > 0)
            continue;
        if (value < 0 || digits == 2 * MM_SHA256_SIZE)
            return false;
        out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | value);
        digits++;
    }
    return digits == 2 * MM_SHA256_SIZE;
}

/* The base64 between the lines of a PEM text, hashed. */
static bool matches(const char *pem, const uint8_t wanted[MM_SHA256_SIZE])
{
    uint8_t found[MM_SHA256_SIZE];
    const char *at = strstr(pem, BEGIN), *end = at ? strstr(at, END) : NULL;
    if (end == NULL)
        return false;
    at += strlen(BEGIN);
    char *text = malloc((size_t)(end - at) + 1);
    uint8_t *der = malloc((size_t)(end - at) + 1);
    size_t length = 0, size = 0;
    bool same = false;
    for (; text && at < end; at++)
        if (*at != '\n' && *at != '\r')
            text[length++] = *at;
    if (text && der && mm_base64_decode(text, length, der, &size) && mm_sha256(der, size, found))
        same = memcmp(found, wanted, MM_SHA256_SIZE) == 0;
    free(text);
    free(der);
    return same;
}

static bool find(const struct curl_certinfo *chain, const uint8_t wanted[MM_SHA256_SIZE], mm_buffer *pem)
{
    for (int i = 0; i < chain->num_of_certs; i++)
        for (const struct curl_slist *line = chain->certinfo[i]; line; line = line->next) {
            if (strncmp(line->data, "Cert:", 5) != 0 || !matches(line->data + 5, wanted))
                continue;
            mm_buffer_append(pem, line->data + 5, strlen(line->data + 5));
            return true;
        }
    return false;
}

static CURLcode connect_only(CURL *curl, const char *url)
{
    mm_transport_signals signals;
    bool ok = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L) == CURLE_OK &&
              /* nothing is sent: what is shown proves itself by its fingerprint */
              curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK;
    if (!ok)
        return CURLE_OUT_OF_MEMORY;
    mm_transport_hide_sigpipe(&signals);
    CURLcode code = curl_easy_perform(curl);
    mm_transport_show_sigpipe(&signals);
    return code;
}

mm_status mm_http_find_certificate(const char *url, const char *sha256, mm_buffer *pem, mm_error *err)
{
    uint8_t wanted[MM_SHA256_SIZE];
    struct curl_certinfo *chain = NULL;
    if (!parse_digest(sha256, wanted))
        return mm_error_set(err, MM_CONFIG, "`%s` is no SHA-256 of a certificate: 64 hexadecimal digits are wanted", sha256);
    if (strncmp(url, "https://", 8) != 0)
        return mm_error_set(err, MM_CONFIG, "%s: a certificate is only shown by https", url);
    mm_status status = mm_transport_start(err);
    if (status != MM_OK)
        return status;
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    CURLcode code = connect_only(curl, url);
    if (code != CURLE_OK)
        status = mm_error_set(err, MM_UNAVAILABLE, "%s: %s", url, curl_easy_strerror(code));
    else if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == NULL || !find(chain, wanted, pem))
        status = mm_error_set(err, MM_AUTH, "%s: none of the certificates that the server shows has the SHA-256 %s", url,
                              sha256);
    if (status == MM_OK && pem->failed)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    curl_easy_cleanup(curl);
    return status;
}
