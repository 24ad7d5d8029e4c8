/* Azure Blob Storage: everything but uploads in blocks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/digest.h"
#include "storage/azure_internal.h"
#include "storage/xml.h"

#define RANGE_MD5_MAX ((size_t)4 << 20) /* of larger ranges the service gives no checksum */
#define COPY_PATIENCE_MS (600 * (uint64_t)1000)

/* --- opening ------------------------------------------------------------------------------------ */

static void close_azure(void *self)
{
    azure *az = self;
    mm_http_close(az->http);
    mm_azure_auth_close(az->auth);
    free(az->account);
    free(az->container);
    free(az->origin);
    free(az->base);
    free(az);
}

/* Digits and lower-case letters: the rule for accounts. It also keeps what goes into a host's name harmless. */
static bool account_valid(const char *account)
{
    size_t length = strspn(account, "abcdefghijklmnopqrstuvwxyz0123456789");
    return length > 0 && account[length] == '\0';
}

static mm_status set_account(azure *az, const mm_storage_place *place, mm_error *err)
{
    const char *account = mm_storage_option(place, "storage_access_key");
    if (place->host != NULL) {
        size_t length = strcspn(place->host, ".");
        if (account != NULL && (strlen(account) != length || strncmp(account, place->host, length) != 0)) {
            return mm_error_set(err, MM_CONFIG, "%s is of another account than storage_access_key: %s", place->location,
                                account);
        }
        az->account = strndup(place->host, length);
        return az->account != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    if (account == NULL) {
        account = getenv("AZURE_STORAGE_ACCOUNT");
    }
    if (account == NULL || !account_valid(account)) {
        return mm_error_set(err, MM_CONFIG, "%s: %s: name the storage account in storage_access_key or "
                            "AZURE_STORAGE_ACCOUNT, or write https://<account>.blob.core.windows.net/<container>/…",
                            place->location, account == NULL ? "of which account" : "no account is called that");
    }
    az->account = strdup(account);
    return az->account != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static bool begins_with_account(const char *host, const char *account)
{
    size_t length = strlen(account);
    return strncmp(host, account, length) == 0 && host[length] == '.';
}

/* Where the account stands: in the host, or at the beginning of the path. */
static mm_status set_address(azure *az, const mm_storage_place *place, const mm_endpoint *endpoint, mm_error *err)
{
    const char *style = place->options ? mm_options_str(place->options, "storage_style") : "auto";
    bool named = begins_with_account(endpoint->host, az->account);
    bool in_path = strcmp(style, "path") == 0 || (strcmp(style, "auto") == 0 && endpoint->bare);
    bool in_host = !in_path && !named && strncmp(endpoint->host, "blob.", 5) == 0;
    char *own = mm_format("/%s", az->account);
    mm_buffer base = MM_BUFFER_INIT;
    mm_buffer_printf(&base, "%s%s/", endpoint->path, in_path && own && strcmp(endpoint->path, own) != 0 ? own : "");
    mm_percent_encode(&base, place->bucket, false);
    const char *host = strstr(endpoint->origin, "://") + 3;
    az->origin = in_host ? mm_format("%.*s%s.%s", (int)(host - endpoint->origin), endpoint->origin, az->account, host)
                         : strdup(endpoint->origin);
    az->base = base.data;
    az->container = strdup(place->bucket);
    bool good = own != NULL && !base.failed && az->origin != NULL && az->container != NULL;
    free(own);
    return good ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* What means nothing here would otherwise be passed over, and other credentials taken. */
static mm_status check_options(const mm_storage_place *place, mm_error *err)
{
    static const char *const foreign[] = {"storage_credentials", "storage_profile"};
    for (size_t i = 0; i < MM_COUNT(foreign); i++) {
        if (mm_storage_option(place, foreign[i]) != NULL) {
            return mm_error_set(err, MM_CONFIG, "%s: Azure has no %s: storage_secret_key, storage_session_token or an "
                                "identity are meant", place->location, foreign[i]);
        }
    }
    return MM_OK;
}

static mm_status open_azure(const mm_storage_place *place, void **self, mm_error *err)
{
    const char *given = mm_storage_option(place, "storage_endpoint");
    mm_endpoint endpoint = {0};
    char *usual = NULL;
    azure *az = calloc(1, sizeof(*az));
    if (az == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    mm_status status = check_options(place, err);
    if (status == MM_OK) {
        status = set_account(az, place, err);
    }
    if (status == MM_OK) {
        usual = place->host != NULL ? mm_format("https://%s", place->host)
                                    : mm_format("https://%s.blob.core.windows.net", az->account);
        status = usual == NULL ? mm_error_set(err, MM_NO_MEMORY, "out of memory")
                               : mm_endpoint_parse("storage_endpoint", given ? given : usual, &endpoint, err);
    }
    if (status == MM_OK) {
        status = set_address(az, place, &endpoint, err);
    }
    if (status == MM_OK) {
        status = mm_azure_auth_open(place, az->account, endpoint.plain, endpoint.loopback, &az->auth, err);
    }
    if (status == MM_OK) {
        mm_http_config config = {.ca_file = mm_storage_option(place, "storage_ca")};
        status = mm_http_open(&config, &az->http, err);
    }
    mm_endpoint_free(&endpoint);
    free(usual);
    if (status != MM_OK) {
        close_azure(az);
        return status;
    }
    *self = az;
    return MM_OK;
}

static char *http_url(void *self, const char *key)
{
    return azure_url(self, key);
}

static mm_status stat_azure(void *self, const char *key, mm_object *out, mm_error *err)
{
    return azure_stat(self, key, out, NULL, err);
}

/* --- listing ------------------------------------------------------------------------------------ */

typedef struct {
    mm_list_page *page;
    mm_buffer name, etag, upload;
    mm_object object;
    bool folder;
} listing;

static void keep(mm_buffer *out, const char *text)
{
    out->size = 0;
    mm_buffer_append(out, text, strlen(text));
}

static mm_status end_blob(listing *l, mm_error *err)
{
    mm_status status = MM_OK;
    if (l->name.failed || l->etag.failed || l->upload.failed) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    if (l->name.size == 0 || l->etag.size == 0) {
        return mm_error_set(err, MM_DATA, "a listed blob has no name or etag");
    }
    if (!l->folder) {
        azure_etag(l->etag.data, l->upload.size > 0 ? l->upload.data : NULL, l->object.etag, sizeof(l->object.etag));
        status = mm_list_page_add(l->page, l->name.data, &l->object, err);
    }
    l->name.size = l->etag.size = l->upload.size = 0;
    l->object = (mm_object){0};
    l->folder = false;
    return status;
}

static mm_status take_listing(void *context, const char *path, const char *text, mm_error *err)
{
    static const char blob[] = "EnumerationResults/Blobs/Blob";
    listing *l = context;
    if (strcmp(path, "EnumerationResults/NextMarker") == 0) {
        return text[0] != '\0' ? mm_list_page_next(l->page, text, err) : MM_OK;
    }
    if (strncmp(path, blob, sizeof(blob) - 1) != 0) {
        return MM_OK;
    }
    path += sizeof(blob) - 1;
    if (path[0] == '\0') {
        return end_blob(l, err);
    }
    if (strcmp(path, "/Name") == 0) {
        keep(&l->name, text);
    } else if (strcmp(path, "/Properties/Etag") == 0) {
        keep(&l->etag, text);
    } else if (strcmp(path, "/Properties/Content-Length") == 0) {
        l->object.size = strtoull(text, NULL, 10);
    } else if (strcmp(path, "/Properties/Last-Modified") == 0) {
        l->object.modified_ms = mm_storage_time(text);
    } else if (strcmp(path, "/Properties/ResourceType") == 0) {
        l->folder = strcmp(text, "directory") == 0; /* accounts with a hierarchical namespace list those, too */
    } else if (strcasecmp(path, "/Metadata/mmresumeupload") == 0) {
        keep(&l->upload, text);
    }
    return MM_OK;
}

static mm_status list(void *self, const char *prefix, const char *token, mm_list_page *page, mm_error *err)
{
    azure *az = self;
    listing l = {.page = page};
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    azure_call call = {.method = "GET"};
    azure_query(&call, "restype", "container");
    azure_query(&call, "comp", "list");
    azure_query(&call, "include", "metadata");
    azure_query(&call, "maxresults", "1000");
    if (prefix[0] != '\0') {
        azure_query(&call, "prefix", prefix);
    }
    if (token != NULL) {
        azure_query(&call, "marker", token);
    }
    mm_status status = azure_send(az, &call, &reply, err);
    if (status == MM_OK) {
        status = mm_xml_walk(reply.body.size > 0 ? reply.body.data : "", reply.body.size, take_listing, &l, err);
        if (status != MM_OK) {
            mm_error_context(err, "%s/%s: listing", az->account, az->container);
        }
    }
    mm_buffer_free(&l.name);
    mm_buffer_free(&l.etag);
    mm_buffer_free(&l.upload);
    mm_http_reply_free(&reply);
    return status;
}

/* --- reading ------------------------------------------------------------------------------------ */

static mm_status check_read(const azure *az, const char *key, const mm_http_reply *reply, uint64_t offset,
                            const void *bytes, size_t size, mm_error *err)
{
    const char *range = mm_http_header(reply, "Content-Range"), *md5 = mm_http_header(reply, "Content-MD5");
    const char *whole = mm_http_header(reply, "x-ms-blob-content-md5");
    uint64_t from = 0, to = 0, total = 0;
    uint8_t digest[MM_MD5_SIZE];
    char text[AZURE_MD5_TEXT];
    if (reply->into_size < size) {
        return mm_error_set(err, MM_DATA, "%s/%s/%s has %zu bytes from byte %" PRIu64 " on, not %zu", az->account,
                            az->container, key, reply->into_size, offset, size);
    }
    if (reply->status != 206 || range == NULL ||
        sscanf(range, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &from, &to, &total) != 3 || from != offset ||
        to - from != size - 1) {
        return mm_error_set(err, MM_UNAVAILABLE, "%s/%s/%s: the answer to a read at byte %" PRIu64 " is another range "
                            "(HTTP %ld, %.60s)", az->account, az->container, key, offset, reply->status,
                            range ? range : "no range");
    }
    if (size > RANGE_MD5_MAX) {
        md5 = NULL; /* some services put the whole blob's there */
    }
    if (md5 == NULL && size == total) {
        md5 = whole;
    }
    if (md5 == NULL) {
        return MM_OK;
    }
    if (!mm_md5(bytes, size, digest)) {
        return mm_error_set(err, MM_CONFIG, "libcrypto has no MD5 (a restricted configuration?)");
    }
    mm_base64(digest, sizeof(digest), text);
    if (strcmp(text, md5) != 0) {
        return mm_error_set(err, MM_UNAVAILABLE, "%s/%s/%s: bytes %" PRIu64 " to %" PRIu64 " arrived damaged: MD5 %s, "
                            "not %.24s", az->account, az->container, key, from, to, text, md5);
    }
    return MM_OK;
}

static mm_status read_azure(void *self, const char *key, const char *etag, uint64_t offset, void *out, size_t size,
                            mm_error *err)
{
    azure *az = self;
    char range[64], match[112];
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    azure_call call = {.method = "GET", .key = key, .into = out, .into_size = size};
    snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, offset, offset + size - 1);
    azure_header(&call, "x-ms-range", range);
    if (size <= RANGE_MD5_MAX) {
        azure_header(&call, "x-ms-range-get-content-md5", "true");
    }
    if (etag != NULL) {
        azure_quoted_etag(etag, match, sizeof(match));
        azure_header(&call, "if-match", match);
    }
    mm_status status = azure_send(az, &call, &reply, err);
    if (status == MM_TOO_LARGE) {
        status = mm_error_set(err, MM_DATA, "%s/%s/%s: more bytes came than were asked for", az->account, az->container,
                              key);
    } else if (status == MM_OK) {
        status = check_read(az, key, &reply, offset, out, size, err);
    }
    mm_http_reply_free(&reply);
    return status;
}

/* --- writing ------------------------------------------------------------------------------------ */

static mm_status put(void *self, const char *key, const mm_http_body *body, bool fresh, mm_object *out, mm_error *err)
{
    azure *az = self;
    char md5[AZURE_MD5_TEXT];
    mm_object object;
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    azure_call call = {.method = "PUT", .key = key, .body = *body, .once = fresh};
    mm_status status = azure_md5(body, md5, err);
    azure_header(&call, "x-ms-blob-type", "BlockBlob");
    azure_header(&call, "content-md5", md5);
    azure_header(&call, "content-type", "application/octet-stream");
    if (fresh) {
        azure_header(&call, "if-none-match", "*");
    }
    if (status == MM_OK) {
        status = azure_send(az, &call, &reply, err);
    }
    if ((status == MM_CHANGED || strcmp(call.code, "BlobAlreadyExists") == 0) && fresh) {
        status = mm_error_set(err, MM_TARGET, "%s/%s/%s exists already", az->account, az->container, key);
    }
    if (status == MM_OK) {
        status = azure_object(az, key, &reply, &object, err);
    }
    if (status == MM_OK && out != NULL) {
        object.size = body->size; /* that of the answer is of its own body */
        *out = object;
    }
    mm_http_reply_free(&reply);
    return status;
}

static mm_status remove_azure(void *self, const char *key, mm_error *err)
{
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    azure_call call = {.method = "DELETE", .key = key};
    mm_status status = azure_send(self, &call, &reply, err);
    mm_http_reply_free(&reply);
    return status == MM_NOT_FOUND ? MM_OK : status;
}

/* Follows a copy that the service makes in the background. */
static mm_status await_copy(azure *az, const char *to, mm_error *err)
{
    uint64_t end = mm_clock_ms() + COPY_PATIENCE_MS;
    for (;;) {
        mm_http_reply reply = MM_HTTP_REPLY_INIT;
        azure_call call = {.method = "HEAD", .key = to};
        mm_status status = azure_send(az, &call, &reply, err);
        const char *state = mm_http_header(&reply, "x-ms-copy-status");
        const char *more = mm_http_header(&reply, "x-ms-copy-status-description");
        bool pending = status == MM_OK && state != NULL && strcmp(state, "pending") == 0;
        if (status == MM_OK && !pending && (state == NULL || strcmp(state, "success") != 0)) {
            status = mm_error_set(err, MM_UNAVAILABLE, "%s/%s/%s: its copying ended with %s (%.200s)", az->account,
                                  az->container, to, state ? state : "nothing", more ? more : "");
        }
        mm_http_reply_free(&reply);
        if (!pending) {
            return status;
        }
        if (mm_clock_ms() >= end) {
            return mm_error_set(err, MM_UNAVAILABLE, "%s/%s/%s: its copying did not end within %u minutes", az->account,
                                az->container, to, (unsigned)(COPY_PATIENCE_MS / 60000));
        }
        nanosleep(&(struct timespec){0, 500 * 1000000L}, NULL);
    }
}

static mm_status copy(void *self, const char *from, const char *to, mm_error *err)
{
    azure *az = self;
    const char *sas = mm_azure_auth_sas(az->auth);
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    char *url = azure_url(az, from);
    char *source = url != NULL ? mm_format("%s%s%s", url, sas ? "?" : "", sas ? sas : "") : NULL;
    azure_call call = {.method = "PUT", .key = to};
    mm_status status = MM_NO_MEMORY;
    bool pending = false;
    if (source != NULL) {
        azure_header(&call, "x-ms-copy-source", source);
        status = azure_send(az, &call, &reply, err);
        if (status != MM_OK) {
            mm_error_context(err, "copying %s", from);
        }
        const char *state = mm_http_header(&reply, "x-ms-copy-status");
        pending = status == MM_OK && state != NULL && strcmp(state, "pending") == 0;
    } else {
        mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    mm_http_reply_free(&reply);
    free(source);
    free(url);
    return pending ? await_copy(az, to, err) : status;
}

static const char *const schemes[] = {"az", NULL};

const mm_storage_driver mm_storage_azure = {
    .name = "Azure",
    .schemes = schemes,
    .parts_max = 50000,
    .part_max = (uint64_t)4000 << 20,
    .open = open_azure,
    .close = close_azure,
    .http_url = http_url,
    .stat = stat_azure,
    .list = list,
    .read = read_azure,
    .put = put,
    .remove = remove_azure,
    .copy = copy,
    .upload_begin = azure_upload_begin,
    .upload_part = azure_upload_part,
    .upload_parts = azure_upload_parts,
    .upload_complete = azure_upload_complete,
    .upload_made = azure_upload_made,
    .upload_abort = azure_upload_abort,
};
