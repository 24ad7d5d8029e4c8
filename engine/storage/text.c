/* What requests to object stores are made of: digests of bodies, percent-encoding, dates. */
#include <errno.h>
#include <string.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/digest.h"
#include "storage/storage_internal.h"

#define READ_CHUNK ((size_t)128 << 10) /* stays in the second-level cache between reading and hashing */

typedef bool (*digest_fn)(void *context, const void *bytes, size_t size);

static mm_status each_chunk(const mm_http_body *body, digest_fn update, void *context, mm_error *err)
{
    if (body->bytes != NULL)
        return update(context, body->bytes, (size_t)body->size) ? MM_OK
                                                                 : mm_error_set(err, MM_BUG, "libcrypto's digest failed");
    char *chunk = malloc(READ_CHUNK);
    mm_status status = chunk ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (uint64_t done = 0; status == MM_OK && done < body->size;) {
        uint64_t left = body->size - done;
        ssize_t got = pread(body->fd, chunk, left < READ_CHUNK ? (size_t)left : READ_CHUNK,
                            (off_t)(body->offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = mm_error_errno(err, MM_IO, "reading the file at byte %llu",
                                    (unsigned long long)(body->offset + done));
        else if (got == 0)
            status = mm_error_set(err, MM_DATA, "the file ended at byte %llu",
                                  (unsigned long long)(body->offset + done));
        else if (!update(context, chunk, (size_t)got))
            status = mm_error_set(err, MM_BUG, "libcrypto's digest failed");
        done += got > 0 ? (uint64_t)got : 0;
    }
    free(chunk);
    return status;
}

static bool update_digest(void *context, const void *bytes, size_t size)
{
    return EVP_DigestUpdate(context, bytes, size) == 1;
}

static bool update_crc32c(void *context, const void *bytes, size_t size)
{
    uint32_t *crc = context;
    *crc = mm_crc32c(*crc, bytes, size);
    return true;
}

static mm_status digest_body(const mm_http_body *body, const EVP_MD *kind, uint8_t *out, mm_error *err)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (digest == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = kind != NULL && EVP_DigestInit_ex(digest, kind, NULL) == 1
                           ? each_chunk(body, update_digest, digest, err)
                           : mm_error_set(err, MM_CONFIG, "libcrypto has no such digest (a restricted configuration?)");
    if (status == MM_OK && EVP_DigestFinal_ex(digest, out, NULL) != 1)
        status = mm_error_set(err, MM_BUG, "libcrypto's digest failed");
    EVP_MD_CTX_free(digest);
    return status;
}

mm_status mm_body_crc32c(const mm_http_body *body, uint32_t *out, mm_error *err)
{
    uint32_t crc = 0;
    mm_status status = each_chunk(body, update_crc32c, &crc, err);
    if (status == MM_OK)
        *out = crc;
    return status;
}

mm_status mm_body_sha256(const mm_http_body *body, uint8_t out[32], mm_error *err)
{
    return digest_body(body, EVP_sha256(), out, err);
}

mm_status mm_body_md5(const mm_http_body *body, uint8_t out[16], mm_error *err)
{
    return digest_body(body, EVP_md5(), out, err);
}

void mm_percent_encode(mm_buffer *out, const char *text, bool keep_slash)
{
    for (const char *at = text; *at; at++) {
        char c = *at;
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
        if (plain)
            mm_buffer_append(out, at, 1);
        else
            mm_buffer_printf(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

char *mm_storage_id(void)
{
    uint8_t random[MM_STORAGE_ID_SIZE / 2];
    char *id = malloc(MM_STORAGE_ID_SIZE + 1);
    if (id != NULL) {
        mm_random_bytes(random, sizeof(random));
        mm_hex(random, sizeof(random), id);
    }
    return id;
}

int64_t mm_storage_time(const char *text)
{
    struct tm parts = {0};
    if (text == NULL)
        return 0;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (end == NULL) {
        time_t when = curl_getdate(text, NULL);
        return when < 0 ? 0 : (int64_t)when * 1000;
    }
    int64_t ms = 0;
    if (*end == '.')
        for (int64_t i = 1, unit = 100; i <= 3 && end[i] >= '0' && end[i] <= '9'; i++, unit /= 10)
            ms += (end[i] - '0') * unit;
    return (int64_t)timegm(&parts) * 1000 + ms;
}
