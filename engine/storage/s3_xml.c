/* What S3 answers in XML: errors, listings, parts. Knows no requests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "storage/s3.h"
#include "storage/xml.h"

static void copy_text(char *out, size_t size, const char *text)
{
    size_t length = strlen(text) < size ? strlen(text) : size - 1;
    memcpy(out, text, length);
    out[length] = '\0';
}

void mm_s3_copy_etag(const char *text, char *out, size_t size)
{
    copy_text(out, size, text + (text[0] == '"'));
    size_t length = strlen(out);
    if (length > 0 && out[length - 1] == '"')
        out[length - 1] = '\0';
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static mm_status walk(const mm_http_reply *reply, mm_xml_fn fn, void *context, mm_error *err)
{
    return mm_xml_walk(reply->body.data ? reply->body.data : "", reply->body.size, fn, context, err);
}

/* Decimal digits only. */
static bool read_number(const char *text, uint64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 19 || text[digits] != '\0')
        return false;
    *out = strtoull(text, NULL, 10);
    return true;
}

/* --- errors ------------------------------------------------------------------------------------------------- */

static mm_status take_failure(void *context, const char *path, const char *text, mm_error *err)
{
    mm_s3_failure *failure = context;
    (void)err;
    if (strncmp(path, "Error/", 6) != 0 && strncmp(path, "ErrorResponse/", 14) != 0)
        return MM_OK;
    const char *name = last_name(path);
    if (strcmp(name, "Code") == 0)
        copy_text(failure->code, sizeof(failure->code), text);
    else if (strcmp(name, "Message") == 0)
        copy_text(failure->message, sizeof(failure->message), text);
    else if (strcmp(name, "Region") == 0)
        copy_text(failure->region, sizeof(failure->region), text);
    return MM_OK;
}

void mm_s3_read_failure(const mm_http_reply *reply, mm_s3_failure *out)
{
    *out = (mm_s3_failure){"", "", ""};
    mm_error ignored = MM_ERROR_INIT;
    if (reply->body.size > 0 && walk(reply, take_failure, out, &ignored) != MM_OK)
        copy_text(out->message, sizeof(out->message), "(the answer is not XML)");
    for (char *at = out->message; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
}

/* --- listings ----------------------------------------------------------------------------------------------- */

typedef struct list_reader {
    mm_list_page *page;
    char *key, *next;
    mm_object object;
    bool truncated, encoded, seen;
} list_reader;

static mm_status keep_text(char **to, const char *text, mm_error *err)
{
    free(*to);
    *to = strdup(text);
    return *to ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static mm_status take_list(void *context, const char *path, const char *text, mm_error *err)
{
    list_reader *r = context;
    mm_status status = MM_OK;
    uint64_t size;
    if (strcmp(path, "ListBucketResult/Contents/Key") == 0) {
        status = keep_text(&r->key, text, err);
    } else if (strcmp(path, "ListBucketResult/Contents/Size") == 0) {
        if (!read_number(text, &size))
            return mm_error_set(err, MM_TARGET, "the listing gives the size '%.40s'", text);
        r->object.size = size;
    } else if (strcmp(path, "ListBucketResult/Contents/ETag") == 0) {
        mm_s3_copy_etag(text, r->object.etag, sizeof(r->object.etag));
    } else if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0) {
        r->object.modified_ms = mm_storage_time(text);
    } else if (strcmp(path, "ListBucketResult/Contents") == 0) {
        if (r->key == NULL)
            return mm_error_set(err, MM_TARGET, "the listing has an entry without a key");
        status = mm_list_page_add(r->page, r->key, &r->object, err);
        free(r->key);
        r->key = NULL;
        r->object = (mm_object){0};
    } else if (strcmp(path, "ListBucketResult/IsTruncated") == 0) {
        r->truncated = strcasecmp(text, "true") == 0;
    } else if (strcmp(path, "ListBucketResult/EncodingType") == 0) {
        r->encoded = strcasecmp(text, "url") == 0;
    } else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
        status = keep_text(&r->next, text, err);
    } else if (strcmp(path, "ListBucketResult") == 0) {
        r->seen = true;
    }
    return status;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As forms are encoded: S3 writes a space as '+'. */
static bool decode_url(char *text)
{
    char *out = text;
    for (const char *at = text; *at; at++) {
        if (*at == '%') {
            int high = hex_value(at[1]), low = high < 0 ? -1 : hex_value(at[2]);
            if (low < 0 || (high == 0 && low == 0))
                return false;
            *out++ = (char)(high * 16 + low);
            at += 2;
        } else {
            *out++ = *at == '+' ? ' ' : *at;
        }
    }
    *out = '\0';
    return true;
}

mm_status mm_s3_read_list(const mm_http_reply *reply, mm_list_page *page, mm_error *err)
{
    list_reader r = {.page = page};
    mm_status status = walk(reply, take_list, &r, err);
    if (status == MM_OK && !r.seen)
        status = mm_error_set(err, MM_TARGET, "the answer to a listing is none");
    /* the encoding may be told behind the entries */
    for (size_t i = 0; status == MM_OK && r.encoded && i < page->count; i++)
        if (!decode_url(page->items[i].key))
            status = mm_error_set(err, MM_TARGET, "the listing has a key that does not decode: '%.200s'",
                                  page->items[i].key);
    if (status == MM_OK && r.truncated && r.next == NULL)
        status = mm_error_set(err, MM_TARGET, "the listing is cut off and has no token to go on with: does the "
                              "service know ListObjectsV2?");
    if (status == MM_OK && r.truncated)
        status = mm_list_page_next(page, r.next, err);
    free(r.key);
    free(r.next);
    return status;
}

/* --- parts -------------------------------------------------------------------------------------------------- */

typedef struct parts_reader {
    mm_part_list *list;
    uint64_t number, size, next;
    char etag[MM_PART_TAG], checksum[64];
    bool truncated, seen;
} parts_reader;

static mm_status take_part(void *context, const char *path, const char *text, mm_error *err)
{
    parts_reader *r = context;
    if (strcmp(path, "ListPartsResult/Part/PartNumber") == 0 || strcmp(path, "ListPartsResult/Part/Size") == 0) {
        if (!read_number(text, strcmp(last_name(path), "Size") == 0 ? &r->size : &r->number))
            return mm_error_set(err, MM_TARGET, "the list of parts has the number '%.40s'", text);
    } else if (strcmp(path, "ListPartsResult/Part/ETag") == 0) {
        mm_s3_copy_etag(text, r->etag, sizeof(r->etag));
    } else if (strcmp(path, "ListPartsResult/Part/ChecksumSHA256") == 0) {
        copy_text(r->checksum, sizeof(r->checksum), text);
    } else if (strcmp(path, "ListPartsResult/Part") == 0) {
        char tag[sizeof(r->etag) + sizeof(r->checksum) + 1];
        snprintf(tag, sizeof(tag), "%s%s%s", r->etag, r->checksum[0] ? ":" : "", r->checksum);
        mm_status status = r->number > 0 && r->number <= 10000
                               ? mm_part_list_add(r->list, (unsigned)r->number, r->size, tag, err)
                               : mm_error_set(err, MM_TARGET, "the list of parts has one without a number");
        r->number = r->size = 0;
        r->etag[0] = r->checksum[0] = '\0';
        return status;
    } else if (strcmp(path, "ListPartsResult/IsTruncated") == 0) {
        r->truncated = strcasecmp(text, "true") == 0;
    } else if (strcmp(path, "ListPartsResult/NextPartNumberMarker") == 0) {
        if (!read_number(text, &r->next))
            r->next = 0;
    } else if (strcmp(path, "ListPartsResult") == 0) {
        r->seen = true;
    }
    return MM_OK;
}

mm_status mm_s3_read_parts(const mm_http_reply *reply, mm_part_list *list, unsigned *next_marker, mm_error *err)
{
    parts_reader r = {.list = list};
    mm_status status = walk(reply, take_part, &r, err);
    if (status == MM_OK && !r.seen)
        status = mm_error_set(err, MM_TARGET, "the answer to ListParts is none");
    if (status == MM_OK)
        *next_marker = r.truncated && r.next <= 10000 ? (unsigned)r.next : 0;
    return status;
}

/* --- single elements ---------------------------------------------------------------------------------------- */

typedef struct element_reader {
    const char *name;
    char *text;
} element_reader;

static mm_status take_element(void *context, const char *path, const char *text, mm_error *err)
{
    element_reader *r = context;
    return r->text == NULL && strcmp(last_name(path), r->name) == 0 ? keep_text(&r->text, text, err) : MM_OK;
}

mm_status mm_s3_read_element(const mm_http_reply *reply, const char *name, char **out, mm_error *err)
{
    element_reader r = {.name = name};
    mm_status status = walk(reply, take_element, &r, err);
    if (status != MM_OK) {
        free(r.text);
        return status;
    }
    *out = r.text;
    return MM_OK;
}
