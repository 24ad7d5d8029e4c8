/* S3 and what speaks it: the operations of a storage but uploads and copies, one request each. Who repeats them is
 * not known here.
 *
 * Every body is signed with its SHA-256, which the service checks when it arrives; where it takes it, the same digest
 * is stored with the object (x-amz-checksum-sha256), and proven when a whole object is read. */
#include "storage/s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/digest.h"

static const char *const schemes[] = {"s3", "oss", "cos", "r2", NULL};

static mm_status s3_open(const mm_storage_place *place, void **self, mm_error *err)
{
    mm_s3 *s3;
    mm_status status = mm_s3_open(place, mm_s3_provider_find(place->scheme), &s3, err);
    if (status == MM_OK)
        *self = s3;
    return status;
}

static void s3_close(void *self)
{
    mm_s3_close(self);
}

static char *s3_http_url(void *self, const char *key)
{
    return mm_s3_url(self, key);
}

/* --- looking ------------------------------------------------------------------------------------------------ */

static bool read_size(const char *text, uint64_t *out)
{
    size_t digits = text ? strspn(text, "0123456789") : 0;
    if (digits == 0 || digits > 18)
        return false;
    *out = strtoull(text, NULL, 10);
    return true;
}

/* etag and time of an answer; the size is the caller's. */
static void describe(const mm_http_reply *reply, mm_object *out)
{
    const char *etag = mm_http_header(reply, "ETag");
    *out = (mm_object){0};
    mm_s3_copy_etag(etag ? etag : "", out->etag, sizeof(out->etag));
    out->modified_ms = mm_storage_time(mm_http_header(reply, "Last-Modified"));
}

/* "bytes 0-99/1000": the first byte and the whole size. */
static bool read_content_range(const mm_http_reply *reply, uint64_t *first, uint64_t *whole)
{
    const char *text = mm_http_header(reply, "Content-Range");
    const char *slash = text ? strchr(text, '/') : NULL;
    return slash && strncmp(text, "bytes ", 6) == 0 && read_size(text + 6, first) && read_size(slash + 1, whole);
}

/* The answer to HEAD has no body to say why it refuses: the same is asked by a GET of one byte. */
static mm_status ask_why(mm_s3 *s3, const char *key, mm_object *out, mm_error *err)
{
    mm_s3_call call = {.method = "GET", .key = key, .action = "s3:GetObject", .headers = {"range: bytes=0-0"},
                       .reply = MM_HTTP_REPLY_INIT};
    uint64_t first, whole;
    mm_status status = mm_s3_perform(s3, &call, err);
    if (status == MM_OK) { /* it was the time, or the region */
        describe(&call.reply, out);
        if (read_content_range(&call.reply, &first, &whole))
            out->size = whole;
        else
            status = mm_error_set(err, MM_TARGET, "%s: no Content-Range in the answer to a range", key);
    }
    mm_http_reply_free(&call.reply);
    return status;
}

mm_status mm_s3_stat(void *self, const char *key, mm_object *out, mm_error *err)
{
    mm_s3_call call = {.method = "HEAD", .key = key, .action = "s3:GetObject", .reply = MM_HTTP_REPLY_INIT};
    mm_status status = mm_s3_perform(self, &call, err);
    if (status == MM_OK) {
        describe(&call.reply, out);
        if (!read_size(mm_http_header(&call.reply, "Content-Length"), &out->size))
            status = mm_error_set(err, MM_TARGET, "%s: no Content-Length in the answer to HEAD", key);
    } else if (status == MM_AUTH || status == MM_CONFIG) {
        status = ask_why(self, key, out, err);
    }
    mm_http_reply_free(&call.reply);
    return status;
}

static mm_status s3_list(void *self, const char *prefix, const char *token, mm_list_page *page, mm_error *err)
{
    mm_sigv4_pair query[4] = {{"list-type", "2"}, {"prefix", prefix}, {"encoding-type", "url"},
                              {"continuation-token", token}};
    mm_s3_call call = {.method = "GET", .action = "s3:ListBucket", .query = query, .query_count = token ? 4 : 3,
                       .reply = MM_HTTP_REPLY_INIT};
    mm_status status = mm_s3_perform(self, &call, err);
    if (status == MM_OK)
        status = mm_s3_read_list(&call.reply, page, err);
    mm_http_reply_free(&call.reply);
    return status;
}

/* --- reading ------------------------------------------------------------------------------------------------ */

/* Whether an etag is the content's MD5: 32 hexadecimal digits, and no encryption that changes its meaning. */
static bool is_md5(const char *etag, const mm_http_reply *reply)
{
    const char *encryption = mm_http_header(reply, "x-amz-server-side-encryption");
    return strlen(etag) == 32 && strspn(etag, "0123456789abcdef") == 32 &&
           (encryption == NULL || strcmp(encryption, "AES256") == 0) &&
           mm_http_header(reply, "x-amz-server-side-encryption-customer-algorithm") == NULL;
}

/* Base64 of exactly `size` bytes. */
bool mm_s3_decode(const char *text, uint8_t *out, size_t size)
{
    uint8_t bytes[MM_SHA256_SIZE + 3];
    size_t length = strlen(text), got;
    if (length != MM_BASE64_SIZE(size) - 1 || length > sizeof(bytes) / 3 * 4 ||
        !mm_base64_decode(text, length, bytes, &got) || got != size)
        return false;
    memcpy(out, bytes, size);
    return true;
}

static uint32_t number_of(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* A whole object against the checksum that came with it. */
static mm_status verify_whole(const char *key, const mm_http_reply *reply, const void *bytes, size_t size,
                              mm_error *err)
{
    const char *sha256 = mm_http_header(reply, "x-amz-checksum-sha256");
    const char *crc32_text = mm_http_header(reply, "x-amz-checksum-crc32");
    const char *crc32c_text = mm_http_header(reply, "x-amz-checksum-crc32c");
    uint8_t told[MM_SHA256_SIZE], found[MM_SHA256_SIZE];
    mm_object object;
    char text[33];
    bool same = true;
    describe(reply, &object);
    if (sha256 && mm_s3_decode(sha256, told, MM_SHA256_SIZE)) { /* one of parts ends in -N, and is passed over */
        same = mm_sha256(bytes, size, found) && memcmp(told, found, MM_SHA256_SIZE) == 0;
    } else if (crc32c_text && mm_s3_decode(crc32c_text, told, 4)) {
        same = mm_crc32c(0, bytes, size) == number_of(told);
    } else if (crc32_text && mm_s3_decode(crc32_text, told, 4)) {
        same = crc32_z(0, bytes, size) == number_of(told);
    } else if (is_md5(object.etag, reply)) {
        same = mm_md5(bytes, size, found);
        mm_hex(found, MM_MD5_SIZE, text);
        same = same && strcmp(text, object.etag) == 0;
    }
    return same ? MM_OK : mm_error_set(err, MM_UNAVAILABLE, "%s: the bytes that arrived do not have the checksum that "
                                       "the service gives", key);
}

static mm_status s3_read(void *self, const char *key, const char *etag, uint64_t offset, void *out, size_t size,
                         mm_error *err)
{
    char *range = mm_format("range: bytes=%" PRIu64 "-%" PRIu64, offset, offset + size - 1);
    char *match = etag ? mm_format("if-match: \"%s\"", etag) : NULL;
    if (range == NULL || (etag && match == NULL)) {
        free(range);
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    mm_s3_call call = {.method = "GET", .key = key, .action = "s3:GetObject",
                       .headers = {range, "x-amz-checksum-mode: ENABLED", match}, .into = out, .into_size = size,
                       .reply = MM_HTTP_REPLY_INIT};
    uint64_t first = 0, whole = size;
    mm_status status = mm_s3_perform(self, &call, err);
    if (status == MM_CHANGED && err)
        mm_error_context(err, "%s is not what it was when it was opened", key);
    if (status == MM_TOO_LARGE && call.reply.status == 200)
        status = mm_error_set(err, MM_TARGET, "%s: the service answers a range with the whole object", key);
    if (status != MM_OK)
        goto out;
    bool ranged = call.reply.status == 206;
    if (ranged && (!read_content_range(&call.reply, &first, &whole) || first != offset))
        status = mm_error_set(err, MM_TARGET, "%s: the service answered another range than %" PRIu64 "+%zu", key,
                              offset, size);
    else if (call.reply.into_size < size)
        status = mm_error_set(err, MM_DATA, "%s has %" PRIu64 " bytes: %zu were to be read at %" PRIu64, key,
                              ranged ? whole : call.reply.into_size, size, offset);
    else if (!ranged && offset > 0)
        status = mm_error_set(err, MM_TARGET, "%s: the service answers a range with the whole object", key);
    if (status == MM_OK && offset == 0 && whole == size)
        status = verify_whole(key, &call.reply, out, size, err);
out:
    mm_http_reply_free(&call.reply);
    free(range);
    free(match);
    return status;
}

/* --- writing ------------------------------------------------------------------------------------------------ */

/* The body's SHA-256, and the header that proves it where the service does not take that: Content-MD5. */
mm_status mm_s3_prove_body(mm_s3 *s3, const mm_http_body *body, uint8_t sha256[32], char sha256_text[MM_BASE64_SIZE(MM_SHA256_SIZE)],
                            char **header, mm_error *err)
{
    uint8_t md5[16];
    char text[MM_BASE64_SIZE(MM_MD5_SIZE)];
    mm_status status = mm_body_sha256(body, sha256, err);
    if (status != MM_OK)
        return status;
    mm_base64(sha256, 32, sha256_text);
    if (s3->provider->checksum) {
        *header = mm_format("x-amz-checksum-sha256: %s", sha256_text);
    } else {
        status = mm_body_md5(body, md5, err);
        mm_base64(md5, 16, text);
        *header = mm_format("content-md5: %s", text);
    }
    if (status == MM_OK && *header == NULL)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    return status;
}

/* What the service says it has stored, where it says so. */
mm_status mm_s3_check_stored(const mm_s3_call *call, const char *sha256, mm_error *err)
{
    const char *stored = mm_http_header(&call->reply, "x-amz-checksum-sha256");
    if (stored && strcmp(stored, sha256) != 0)
        return mm_error_set(err, MM_UNAVAILABLE, "%s: the service stored other bytes than were sent (sha256 %s, not %s)",
                            call->key, stored, sha256);
    return MM_OK;
}

/* Where the service cannot be asked to create only. Another writer between this and the PUT is not noticed. */
static mm_status check_absent(mm_s3 *s3, const char *key, mm_error *err)
{
    mm_object there;
    mm_error looking = MM_ERROR_INIT;
    mm_status status = mm_storage_s3.stat(s3, key, &there, &looking);
    if (status == MM_OK)
        return mm_error_set(err, MM_TARGET, "%s/%s exists already", s3->bucket, key);
    if (status != MM_NOT_FOUND && err)
        *err = looking;
    return status == MM_NOT_FOUND ? MM_OK : status;
}

static mm_status s3_put(void *self, const char *key, const mm_http_body *body, bool fresh, mm_object *out,
                        mm_error *err)
{
    mm_s3 *s3 = self;
    uint8_t sha256[32];
    char text[MM_BASE64_SIZE(MM_SHA256_SIZE)], *proof = NULL;
    mm_status status = mm_s3_prove_body(s3, body, sha256, text, &proof, err);
    if (status == MM_OK && fresh && s3->provider->fresh_header == NULL)
        status = check_absent(s3, key, err);
    mm_s3_call call = {.method = "PUT", .key = key, .action = "s3:PutObject",
                       .headers = {proof, fresh ? s3->provider->fresh_header : NULL}, .body = *body,
                       .sha256 = sha256, .once = fresh, .reply = MM_HTTP_REPLY_INIT};
    if (status == MM_OK)
        status = mm_s3_perform(s3, &call, err);
    if (status == MM_OK)
        status = mm_s3_check_stored(&call, text, err);
    if (status == MM_CHANGED && fresh) {
        status = MM_TARGET;
        if (err)
            err->status = status;
    }
    if (status == MM_OK && out) {
        describe(&call.reply, out);
        out->size = body->size;
        out->modified_ms = mm_storage_time(mm_http_header(&call.reply, "Date"));
    }
    mm_http_reply_free(&call.reply);
    free(proof);
    return status;
}

static mm_status s3_remove(void *self, const char *key, mm_error *err)
{
    mm_s3_call call = {.method = "DELETE", .key = key, .action = "s3:DeleteObject", .reply = MM_HTTP_REPLY_INIT};
    mm_status status = mm_s3_perform(self, &call, err);
    mm_http_reply_free(&call.reply);
    return status == MM_NOT_FOUND ? MM_OK : status;
}

const mm_storage_driver mm_storage_s3 = {
    .name = "S3",
    .schemes = schemes,
    .parts_max = 10000,
    .part_max = (uint64_t)5 << 30,
    .open = s3_open,
    .close = s3_close,
    .http_url = s3_http_url,
    .stat = mm_s3_stat,
    .list = s3_list,
    .read = s3_read,
    .put = s3_put,
    .remove = s3_remove,
    .copy = mm_s3_copy,
    .upload_begin = mm_s3_upload_begin,
    .upload_part = mm_s3_upload_part,
    .upload_parts = mm_s3_upload_parts,
    .upload_complete = mm_s3_upload_complete,
    .upload_made = mm_s3_upload_made,
    .upload_abort = mm_s3_upload_abort,
};
