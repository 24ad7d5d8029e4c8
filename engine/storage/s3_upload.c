/* Uploads in parts and copies on S3: one request each. Who repeats them, and how files are cut, is not known here. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "storage/s3.h"
#include "storage/xml.h"

#define COPY_MAX ((uint64_t)5 << 30) /* larger objects are copied in parts. Source: Amazon S3, CopyObject */
#define COPY_PART ((uint64_t)1 << 30)
#define SLOW_MS (15 * 60 * 1000u) /* complete and copy answer when the work is done */

/* --- uploads in parts --------------------------------------------------------------------------------------- */

mm_status mm_s3_upload_begin(void *self, const char *key, uint64_t size, char **id, mm_error *err)
{
    mm_s3 *s3 = self;
    mm_sigv4_pair query[] = {{"uploads", ""}};
    mm_s3_call call = {.method = "POST", .key = key, .action = "s3:PutObject", .query = query, .query_count = 1,
                       .headers = {s3->provider->checksum ? "x-amz-checksum-algorithm: SHA256" : NULL},
                       .reply = MM_HTTP_REPLY_INIT};
    (void)size;
    char *found = NULL;
    mm_status status = mm_s3_perform(s3, &call, err);
    if (status == MM_OK)
        status = mm_s3_read_element(&call.reply, "UploadId", &found, err);
    if (status == MM_OK && (found == NULL || found[0] == '\0'))
        status = mm_error_set(err, MM_TARGET, "%s: the service began an upload without an id", key);
    mm_http_reply_free(&call.reply);
    if (status != MM_OK) {
        free(found);
        return status;
    }
    *id = found;
    return MM_OK;
}

/* etag, and where the service keeps it, ":" and the checksum. */
static mm_status make_tag(mm_s3 *s3, const mm_http_reply *reply, const char *sha256, mm_part *part, mm_error *err)
{
    const char *etag = mm_http_header(reply, "ETag");
    char bare[64];
    if (etag == NULL || strlen(etag) >= sizeof(bare) || etag[strcspn(etag, "\\:")] != '\0')
        return mm_error_set(err, MM_TARGET, "part %u: the service gave the etag '%.100s'", part->number,
                            etag ? etag : "");
    mm_s3_copy_etag(etag, bare, sizeof(bare));
    if (snprintf(part->tag, sizeof(part->tag), "%s%s%s", bare, s3->provider->checksum ? ":" : "",
                 s3->provider->checksum ? sha256 : "") >= (int)sizeof(part->tag))
        return mm_error_set(err, MM_TARGET, "part %u: the etag '%s' is too long", part->number, bare);
    return MM_OK;
}

mm_status mm_s3_upload_part(void *self, const char *key, const char *id, mm_part *part, const mm_http_body *body,
                                mm_error *err)
{
    mm_s3 *s3 = self;
    uint8_t sha256[32];
    char text[MM_BASE64_SIZE(MM_SHA256_SIZE)], number[16], *proof = NULL;
    snprintf(number, sizeof(number), "%u", part->number);
    mm_sigv4_pair query[] = {{"partNumber", number}, {"uploadId", id}};
    mm_status status = mm_s3_prove_body(s3, body, sha256, text, &proof, err);
    mm_s3_call call = {.method = "PUT", .key = key, .action = "s3:PutObject", .query = query, .query_count = 2,
                       .headers = {proof}, .body = *body, .sha256 = sha256, .reply = MM_HTTP_REPLY_INIT};
    if (status == MM_OK)
        status = mm_s3_perform(s3, &call, err);
    if (status == MM_OK)
        status = mm_s3_check_stored(&call, text, err);
    if (status == MM_OK)
        status = make_tag(s3, &call.reply, text, part, err);
    mm_http_reply_free(&call.reply);
    free(proof);
    return status;
}

mm_status mm_s3_upload_parts(void *self, const char *key, const char *id, mm_part_list *list, mm_error *err)
{
    mm_status status = MM_OK;
    for (unsigned marker = 0, next = 1; status == MM_OK && next > 0; marker = next) {
        char text[16];
        snprintf(text, sizeof(text), "%u", marker);
        mm_sigv4_pair query[] = {{"uploadId", id}, {"part-number-marker", text}};
        mm_s3_call call = {.method = "GET", .key = key, .action = "s3:ListMultipartUploadParts", .query = query,
                           .query_count = marker > 0 ? 2 : 1, .reply = MM_HTTP_REPLY_INIT};
        status = mm_s3_perform(self, &call, err);
        if (status == MM_OK)
            status = mm_s3_read_parts(&call.reply, list, &next, err);
        if (status == MM_OK && next > 0 && next <= marker)
            status = mm_error_set(err, MM_TARGET, "%s: the list of parts does not get on", key);
        mm_http_reply_free(&call.reply);
    }
    return status;
}

mm_status mm_s3_upload_abort(void *self, const char *key, const char *id, mm_error *err)
{
    mm_sigv4_pair query[] = {{"uploadId", id}};
    mm_s3_call call = {.method = "DELETE", .key = key, .action = "s3:AbortMultipartUpload", .query = query,
                       .query_count = 1, .reply = MM_HTTP_REPLY_INIT};
    mm_status status = mm_s3_perform(self, &call, err);
    mm_http_reply_free(&call.reply);
    return status == MM_NOT_FOUND ? MM_OK : status;
}

/* The tag's two halves; checksum NULL: none. */
static void split_tag(const char *tag, char *etag, size_t size, const char **checksum)
{
    const char *colon = strchr(tag, ':');
    snprintf(etag, size, "%.*s", (int)(colon ? colon - tag : (ptrdiff_t)strlen(tag)), tag);
    *checksum = colon && colon[1] ? colon + 1 : NULL;
}

static mm_status build_completion(const mm_s3 *s3, const mm_part *parts, size_t count, mm_buffer *xml, mm_error *err)
{
    mm_buffer_printf(xml, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < count; i++) {
        char etag[MM_PART_TAG];
        const char *checksum;
        split_tag(parts[i].tag, etag, sizeof(etag), &checksum);
        mm_buffer_printf(xml, "<Part>");
        if (s3->provider->checksum && checksum) {
            mm_buffer_printf(xml, "<ChecksumSHA256>");
            mm_xml_text(xml, checksum);
            mm_buffer_printf(xml, "</ChecksumSHA256>");
        }
        mm_buffer_printf(xml, "<ETag>&quot;");
        mm_xml_text(xml, etag);
        mm_buffer_printf(xml, "&quot;</ETag><PartNumber>%u</PartNumber></Part>", parts[i].number);
    }
    mm_buffer_printf(xml, "</CompleteMultipartUpload>");
    return xml->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory") : MM_OK;
}

/* The checksum of the whole that S3 makes of parts' SHA-256: SHA-256 of those, and their number. */
static mm_status check_composite(const mm_s3_call *call, const mm_part *parts, size_t count, mm_error *err)
{
    char *told = NULL, text[MM_BASE64_SIZE(MM_SHA256_SIZE)];
    uint8_t *all = malloc(count * 32), digest[32];
    mm_status status = all ? mm_s3_read_element(&call->reply, "ChecksumSHA256", &told, err)
                           : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    bool known = status == MM_OK && told != NULL;
    for (size_t i = 0; known && i < count; i++) {
        char etag[MM_PART_TAG];
        const char *checksum;
        split_tag(parts[i].tag, etag, sizeof(etag), &checksum);
        known = checksum && mm_s3_decode(checksum, all + 32 * i, 32);
    }
    if (known) {
        if (!mm_sha256(all, count * 32, digest))
            status = mm_error_set(err, MM_CONFIG, "libcrypto refuses SHA-256");
        mm_base64(digest, 32, text);
        if (status == MM_OK && strncmp(told, text, 44) != 0)
            status = mm_error_set(err, MM_MISMATCH, "%s: the service put together other parts than were sent (checksum "
                                  "%s, not %s-%zu)", call->key, told, text, count);
    }
    free(told);
    free(all);
    return status;
}

mm_status mm_s3_upload_complete(void *self, const char *key, const char *id, const mm_part *parts, size_t count,
                                    mm_object *out, mm_error *err)
{
    mm_s3 *s3 = self;
    mm_buffer xml = MM_BUFFER_INIT;
    mm_sigv4_pair query[] = {{"uploadId", id}};
    mm_status status = build_completion(s3, parts, count, &xml, err);
    mm_s3_call call = {.method = "POST", .key = key, .action = "s3:PutObject", .query = query, .query_count = 1,
                       .headers = {"content-type: application/xml"}, .body = {.bytes = xml.data, .size = xml.size},
                       .stall_ms = SLOW_MS, .reply = MM_HTTP_REPLY_INIT};
    if (status == MM_OK)
        status = mm_s3_perform(s3, &call, err);
    if (status == MM_OK)
        status = mm_s3_judge_body(s3, &call, err);
    if (status != MM_OK && call.reply.status != 0) {
        mm_s3_failure failure;
        mm_s3_read_failure(&call.reply, &failure);
        if (strcmp(failure.code, "InvalidPart") == 0) { /* parts that were there are gone: nothing to go on with */
            mm_status aborted = mm_s3_upload_abort(self, key, id, err);
            status = aborted == MM_OK ? MM_NOT_FOUND : aborted;
        }
    }
    if (status == MM_OK)
        status = check_composite(&call, parts, count, err);
    if (status == MM_OK)
        status = mm_s3_stat(self, key, out, err);
    mm_buffer_free(&xml);
    mm_http_reply_free(&call.reply);
    return status;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The etag of an object in parts is the MD5 of its parts' etags, and their number. */
bool mm_s3_upload_made(void *self, const mm_object *object, const mm_part *parts, size_t count)
{
    (void)self;
    uint8_t *all = malloc(count * 16), digest[16];
    bool known = all != NULL;
    for (size_t i = 0; known && i < count; i++) {
        char etag[MM_PART_TAG];
        const char *checksum;
        split_tag(parts[i].tag, etag, sizeof(etag), &checksum);
        known = strlen(etag) == 32;
        for (size_t k = 0; known && k < 16; k++) {
            int high = nibble(etag[2 * k]), low = nibble(etag[2 * k + 1]);
            known = high >= 0 && low >= 0;
            all[16 * i + k] = (uint8_t)(known ? high * 16 + low : 0);
        }
    }
    char text[33], wanted[64];
    known = known && mm_md5(all, count * 16, digest);
    free(all);
    if (!known)
        return false;
    mm_hex(digest, 16, text);
    snprintf(wanted, sizeof(wanted), "%s-%zu", text, count);
    return strcmp(wanted, object->etag) == 0;
}

/* --- copying ------------------------------------------------------------------------------------------------ */

static char *copy_source(const mm_s3 *s3, const char *key)
{
    mm_buffer text = MM_BUFFER_INIT;
    mm_buffer_printf(&text, "x-amz-copy-source: /");
    mm_percent_encode(&text, s3->bucket, false);
    mm_buffer_printf(&text, "/");
    mm_percent_encode(&text, key, true);
    if (text.failed)
        mm_buffer_free(&text);
    return text.data;
}

static mm_status copy_part(mm_s3 *s3, const char *source, const char *to, const char *id, mm_part *part, mm_error *err)
{
    char number[16], *etag = NULL;
    snprintf(number, sizeof(number), "%u", part->number);
    char *range = mm_format("x-amz-copy-source-range: bytes=%" PRIu64 "-%" PRIu64, part->offset,
                            part->offset + part->size - 1);
    mm_sigv4_pair query[] = {{"partNumber", number}, {"uploadId", id}};
    mm_s3_call call = {.method = "PUT", .key = to, .action = "s3:PutObject", .query = query, .query_count = 2,
                       .headers = {source, range}, .stall_ms = SLOW_MS, .reply = MM_HTTP_REPLY_INIT};
    mm_status status;
    mm_retry retry = {0};
    do {
        status = range ? mm_s3_perform(s3, &call, err) : mm_error_set(err, MM_NO_MEMORY, "out of memory");
        if (status == MM_OK)
            status = mm_s3_judge_body(s3, &call, err);
    } while (mm_retry_again(&retry, status, err));
    if (status == MM_OK)
        status = mm_s3_read_element(&call.reply, "ETag", &etag, err);
    if (status == MM_OK && (etag == NULL || strlen(etag) >= sizeof(part->tag)))
        status = mm_error_set(err, MM_TARGET, "%s: a copied part has no etag", to);
    if (status == MM_OK)
        mm_s3_copy_etag(etag, part->tag, sizeof(part->tag));
    mm_http_reply_free(&call.reply);
    free(etag);
    free(range);
    return status;
}

static mm_status copy_in_parts(mm_s3 *s3, const char *source, const char *to, uint64_t size, mm_error *err)
{
    char *id = NULL;
    mm_object made;
    size_t count = (size_t)((size + COPY_PART - 1) / COPY_PART);
    mm_part *parts = calloc(count, sizeof(*parts));
    mm_status status = parts ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_sigv4_pair query[] = {{"uploads", ""}};
    mm_s3_call call = {.method = "POST", .key = to, .action = "s3:PutObject", .query = query, .query_count = 1,
                       .reply = MM_HTTP_REPLY_INIT};
    if (status == MM_OK)
        status = mm_s3_perform(s3, &call, err);
    if (status == MM_OK)
        status = mm_s3_read_element(&call.reply, "UploadId", &id, err);
    if (status == MM_OK && id == NULL)
        status = mm_error_set(err, MM_TARGET, "%s: the service began an upload without an id", to);
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        uint64_t offset = i * COPY_PART, left = size - offset;
        parts[i] = (mm_part){.number = (unsigned)i + 1, .offset = offset, .size = left < COPY_PART ? left : COPY_PART};
        status = copy_part(s3, source, to, id, &parts[i], err);
    }
    if (status == MM_OK)
        status = mm_s3_upload_complete(s3, to, id, parts, count, &made, err);
    if (status != MM_OK && id) { /* the first error is the one to tell */
        mm_error ignored = MM_ERROR_INIT;
        if (mm_s3_upload_abort(s3, to, id, &ignored) != MM_OK && err)
            mm_error_context(err, "(parts of %s stay behind: %s)", to, ignored.text);
    }
    mm_http_reply_free(&call.reply);
    free(id);
    free(parts);
    return status;
}

mm_status mm_s3_copy(void *self, const char *from, const char *to, mm_error *err)
{
    mm_s3 *s3 = self;
    mm_object object;
    mm_status status = mm_s3_stat(s3, from, &object, err);
    if (status != MM_OK)
        return status;
    char *source = copy_source(s3, from);
    if (source == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (object.size > COPY_MAX) {
        status = copy_in_parts(s3, source, to, object.size, err);
    } else {
        mm_s3_call call = {.method = "PUT", .key = to, .action = "s3:PutObject", .headers = {source},
                           .stall_ms = SLOW_MS, .reply = MM_HTTP_REPLY_INIT};
        status = mm_s3_perform(s3, &call, err);
        if (status == MM_OK)
            status = mm_s3_judge_body(s3, &call, err);
        mm_http_reply_free(&call.reply);
    }
    free(source);
    return status;
}
