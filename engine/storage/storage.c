/* The front of every storage: which driver a location means, its options, repeated requests, and operations that
 * are made of several. Knows no service. */
#include "storage/storage.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "storage/storage_internal.h"

#define TRIES_MAX 6
#define PAUSE_FIRST_MS 200u
#define PAUSE_MAX_MS 20000u
#define WISH_MAX_MS 120000u /* of the peer; who wants more is left to the engine's patience */

static const mm_storage_driver *const drivers[] = {
    &mm_storage_s3,
    &mm_storage_gcs,
    &mm_storage_azure,
    &mm_storage_volume,
};

/* --- locations ---------------------------------------------------------------------------------------------- */

/* Length of the scheme of "scheme://…"; 0: a path. */
static size_t scheme_length(const char *location)
{
    size_t length = strspn(location, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return length > 0 && strncmp(location + length, "://", 3) == 0 ? length : 0;
}

static bool scheme_is(const char *location, size_t length, const char *scheme)
{
    return strlen(scheme) == length && strncasecmp(location, scheme, length) == 0;
}

static const mm_storage_driver *find_driver(const char *location, size_t length)
{
    for (size_t i = 0; i < MM_COUNT(drivers); i++)
        for (const char *const *scheme = drivers[i]->schemes; *scheme; scheme++)
            if (scheme_is(location, length, *scheme))
                return drivers[i];
    return NULL;
}

/* "https://account.blob.…/container/…": a location of Azure written as its URL. */
static bool is_blob_url(const char *location, size_t length)
{
    const char *host = location + length + 3;
    return scheme_is(location, length, "https") && strncmp(host + strcspn(host, "./"), ".blob.", 6) == 0;
}

bool mm_storage_is_remote(const char *location)
{
    size_t length = scheme_length(location);
    return find_driver(location, length) != NULL || is_blob_url(location, length);
}

const char *mm_storage_option(const mm_storage_place *place, const char *name)
{
    const char *value = place->options ? mm_options_str(place->options, name) : NULL;
    for (size_t i = 0; i < place->given_count; i++)
        if (strcmp(place->given[i].name, name) == 0)
            value = place->given[i].value;
    return value && value[0] ? value : NULL;
}

static mm_status open_local(const char *location, char **key, mm_storage *storage, mm_error *err)
{
    size_t length = scheme_length(location);
    const char *path = length > 0 ? location + length + 3 : location;
    if (path[0] != '/')
        return mm_error_set(err, MM_CONFIG, "'%s' is not an absolute path", location);
    storage->driver = NULL;
    *key = strdup(path);
    return *key ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* The host, the container and the key, which is percent-encoded there. */
static mm_status take_blob_url(const char *location, const char *rest, char **host, char **container, char **key,
                               mm_error *err)
{
    if (strchr(rest, '?') != NULL)
        return mm_error_set(err, MM_CONFIG, "https://%.*s…: a location has no query; a SAS token belongs into "
                            "storage_session_token", (int)strcspn(rest, "?"), rest);
    size_t first = strcspn(rest, "/");
    const char *path = rest[first] == '/' ? rest + first + 1 : "";
    size_t second = strcspn(path, "/");
    if (second == 0)
        return mm_error_set(err, MM_CONFIG, "'%s' names no container", location);
    const char *encoded = path[second] == '/' ? path + second + 1 : "";
    char *decoded = curl_easy_unescape(NULL, encoded, (int)strlen(encoded), NULL);
    *host = strndup(rest, first);
    *container = strndup(path, second);
    *key = decoded ? strdup(decoded) : NULL;
    curl_free(decoded);
    return *host && *container && *key ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static mm_status open_blob_url(const char *location, const char *rest, const mm_options *options, mm_storage *storage,
                               char **key, mm_error *err)
{
    char *host = NULL, *container = NULL;
    mm_status status = take_blob_url(location, rest, &host, &container, key, err);
    if (status == MM_OK) {
        mm_storage_place place = {.location = location, .scheme = "az", .bucket = container, .host = host,
                                  .options = options};
        storage->driver = &mm_storage_azure;
        storage->scheme = strdup("https");
        storage->bucket = mm_format("%s/%s", host, container);
        status = storage->scheme && storage->bucket ? storage->driver->open(&place, &storage->self, err)
                                                    : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    free(host);
    free(container);
    return status;
}

static mm_status open_remote(const char *location, const mm_options *options, mm_storage *storage, char **key,
                             mm_error *err)
{
    size_t length = scheme_length(location);
    const char *rest = location + length + 3;
    size_t bucket = strcspn(rest, "/");
    if (is_blob_url(location, length))
        return open_blob_url(location, rest, options, storage, key, err);
    storage->driver = find_driver(location, length);
    if (storage->driver == NULL)
        return mm_error_set(err, MM_CONFIG, "'%s': no storage is called '%.*s' (there are s3, oss, cos, r2, gs, az, "
                            "volume, and local paths)", location, (int)length, location);
    if (bucket == 0)
        return mm_error_set(err, MM_CONFIG, "'%s' names no bucket: %.*s://bucket/key is meant", location,
                            (int)length, location);
    storage->scheme = strndup(location, length);
    storage->bucket = strndup(rest, bucket);
    *key = strdup(rest[bucket] == '/' ? rest + bucket + 1 : "");
    if (storage->scheme == NULL || storage->bucket == NULL || *key == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_storage_place place = {.location = location, .scheme = storage->scheme, .bucket = storage->bucket, .options = options};
    for (char *at = storage->scheme; *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    const mm_storage_driver *other = storage->driver->instead ? storage->driver->instead(&place) : NULL;
    storage->driver = other ? other : storage->driver;
    return storage->driver->open(&place, &storage->self, err);
}

mm_status mm_storage_open(const char *location, const mm_options *options, mm_storage **out, char **key, mm_error *err)
{
    char *found = NULL;
    size_t length = scheme_length(location);
    mm_storage *storage = calloc(1, sizeof(*storage));
    if (storage == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = length > 0 && !scheme_is(location, length, "file")
                           ? open_remote(location, options, storage, &found, err)
                           : open_local(location, &found, storage, err);
    if (status != MM_OK) {
        free(found);
        mm_storage_close(storage);
        return status;
    }
    *out = storage;
    *key = found;
    return MM_OK;
}

void mm_storage_close(mm_storage *storage)
{
    if (storage == NULL)
        return;
    if (storage->driver && storage->self)
        storage->driver->close(storage->self);
    free(storage->scheme);
    free(storage->bucket);
    free(storage);
}

bool mm_storage_local(const mm_storage *storage)
{
    return storage->driver == NULL;
}

char *mm_storage_url(const mm_storage *storage, const char *key)
{
    if (storage->driver && strcmp(storage->scheme, "https") == 0)
        return storage->driver->http_url(storage->self, key);
    return storage->driver ? mm_format("%s://%s/%s", storage->scheme, storage->bucket, key) : strdup(key);
}

char *mm_storage_http_url(const mm_storage *storage, const char *key)
{
    return storage->driver ? storage->driver->http_url(storage->self, key) : mm_format("file://%s", key);
}

/* --- repeating ---------------------------------------------------------------------------------------------- */

/* In slices, so that a stop wish is heard. */
static bool pause_for(const mm_retry *retry, uint64_t ms)
{
    for (uint64_t end = mm_clock_ms() + ms, now; (now = mm_clock_ms()) < end;) {
        if (retry->stopping && retry->stopping(retry->context))
            return false;
        uint64_t slice = end - now < 200 ? end - now : 200;
        nanosleep(&(struct timespec){(time_t)(slice / 1000), (long)(slice % 1000) * 1000000}, NULL);
    }
    return true;
}

bool mm_retry_again(mm_retry *retry, mm_status status, const mm_error *err)
{
    mm_class class = mm_status_class(status);
    if (class != MM_CLASS_RETRY && class != MM_CLASS_RATE && class != MM_CLASS_UNKNOWN)
        return false;
    retry->unknown |= class == MM_CLASS_UNKNOWN;
    uint32_t wish = err ? err->retry_after_ms : 0;
    if (++retry->tries >= TRIES_MAX || wish > WISH_MAX_MS)
        return false;
    if (retry->seed == 0)
        mm_random_bytes(&retry->seed, sizeof(retry->seed));
    uint64_t most = (uint64_t)PAUSE_FIRST_MS << retry->tries;
    most = most < PAUSE_MAX_MS ? most : PAUSE_MAX_MS;
    uint64_t pause = most / 2 + mm_random_next(&retry->seed) % (most / 2);
    mm_log(MM_LOG_DEBUG, "storage: try %u failed, again in %" PRIu64 " ms: %s", retry->tries,
           pause > wish ? pause : wish, err ? err->text : mm_status_text(status));
    return pause_for(retry, pause > wish ? pause : wish);
}

/* --- operations --------------------------------------------------------------------------------------------- */

mm_status mm_storage_stat(mm_storage *storage, const char *key, mm_object *out, mm_error *err)
{
    if (storage->driver == NULL)
        return mm_local_stat(key, out, err);
    mm_status status;
    mm_retry retry = {0};
    do
        status = storage->driver->stat(storage->self, key, out, err);
    while (mm_retry_again(&retry, status, err));
    return status;
}

static mm_status emit_page(const mm_list_page *page, mm_storage_list_fn fn, void *context, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < page->count; i++)
        status = fn(context, page->items[i].key, &page->items[i].object, err);
    return status;
}

mm_status mm_storage_list(mm_storage *storage, const char *prefix, mm_storage_list_fn fn, void *context, mm_error *err)
{
    if (storage->driver == NULL)
        return mm_local_list(prefix, fn, context, err);
    mm_status status;
    char *token = NULL;
    do {
        mm_list_page page = {0};
        mm_retry retry = {0};
        do {
            mm_list_page_free(&page); /* of a try that broke off */
            status = storage->driver->list(storage->self, prefix, token, &page, err);
        } while (mm_retry_again(&retry, status, err));
        if (status == MM_OK)
            status = emit_page(&page, fn, context, err);
        if (status == MM_OK && page.next && token && strcmp(page.next, token) == 0)
            status = mm_error_set(err, MM_TARGET, "%s://%s: the listing does not get on: the service gave the same "
                                  "page's token twice", storage->scheme, storage->bucket);
        free(token);
        token = page.next;
        page.next = NULL;
        mm_list_page_free(&page);
    } while (status == MM_OK && token);
    free(token);
    return status;
}

mm_status mm_storage_read(mm_storage *storage, const char *key, const char *etag, uint64_t offset, void *out,
                          size_t size, mm_error *err)
{
    uint64_t end;
    if (!mm_add_u64(offset, size, &end) || end > INT64_MAX)
        return mm_error_set(err, MM_DATA, "%s: no file has %zu bytes at %" PRIu64, key, size, offset);
    if (storage->driver == NULL)
        return mm_local_read(key, etag, offset, out, size, err);
    if (size == 0)
        return MM_OK;
    mm_status status;
    mm_retry retry = {0};
    do
        status = storage->driver->read(storage->self, key, etag, offset, out, size, err);
    while (mm_retry_again(&retry, status, err));
    return status;
}

/* Whether the object is these bytes: tells a first try that went through without an answer from another's object. */
static mm_status is_same(mm_storage *storage, const char *key, const void *bytes, size_t size, bool *same,
                         mm_error *err)
{
    mm_object there;
    mm_status status = mm_storage_stat(storage, key, &there, err);
    *same = false;
    if (status != MM_OK || there.size != size)
        return status;
    char *read = malloc(size + 1);
    if (read == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    status = mm_storage_read(storage, key, there.etag, 0, read, size, err);
    *same = status == MM_OK && memcmp(read, bytes, size) == 0;
    free(read);
    return status;
}

mm_status mm_storage_put(mm_storage *storage, const char *key, const void *bytes, size_t size, bool fresh,
                         mm_error *err)
{
    if (storage->driver == NULL)
        return mm_local_put(key, bytes, size, fresh, err);
    mm_status status;
    mm_retry retry = {0};
    mm_http_body body = {.bytes = size > 0 ? bytes : "", .size = size};
    do
        status = storage->driver->put(storage->self, key, &body, fresh, NULL, err);
    while (mm_retry_again(&retry, status, err));
    if (status == MM_TARGET && fresh && retry.tries > 0) {
        bool same;
        mm_error looking = MM_ERROR_INIT;
        mm_status looked = is_same(storage, key, bytes, size, &same, &looking);
        if (looked == MM_OK && same)
            status = MM_OK;
    }
    return status;
}

mm_status mm_storage_remove(mm_storage *storage, const char *key, mm_error *err)
{
    if (storage->driver == NULL)
        return mm_local_remove(key, err);
    mm_status status;
    mm_retry retry = {0};
    do
        status = storage->driver->remove(storage->self, key, err);
    while (mm_retry_again(&retry, status, err));
    return status;
}

mm_status mm_storage_move(mm_storage *storage, const char *from, const char *to, mm_error *err)
{
    if (storage->driver == NULL)
        return mm_local_move(from, to, err);
    mm_status status;
    mm_object there;
    mm_retry retry = {0};
    if (strcmp(from, to) == 0)
        return mm_storage_stat(storage, to, &there, err);
    do
        status = storage->driver->copy(storage->self, from, to, err);
    while (mm_retry_again(&retry, status, err));
    if (status == MM_NOT_FOUND) { /* a former try came to the end? */
        mm_error looking = MM_ERROR_INIT;
        mm_status looked = mm_storage_stat(storage, to, &there, &looking);
        return looked == MM_OK ? MM_OK : status;
    }
    if (status != MM_OK)
        return status;
    MM_FAILPOINT("storage.move.copied");
    return mm_storage_remove(storage, from, err);
}

mm_status mm_storage_upload(mm_storage *storage, const mm_upload *upload, mm_object *out, mm_error *err)
{
    return storage->driver ? mm_upload_run(storage, upload, out, err) : mm_local_upload(upload, out, err);
}

mm_status mm_storage_upload_abort(mm_storage *storage, const char *key, const char *state, mm_error *err)
{
    return storage->driver ? mm_upload_abort(storage, key, state, err) : mm_local_upload_abort(key, err);
}

/* --- pages and parts ---------------------------------------------------------------------------------------- */

mm_status mm_list_page_add(mm_list_page *page, const char *key, const mm_object *object, mm_error *err)
{
    if (page->count == page->capacity) {
        size_t capacity = page->capacity ? page->capacity * 2 : 256;
        mm_list_item *items = reallocarray(page->items, capacity, sizeof(*items));
        if (items == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory");
        page->items = items;
        page->capacity = capacity;
    }
    char *copy = strdup(key);
    if (copy == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    page->items[page->count++] = (mm_list_item){copy, *object};
    return MM_OK;
}

mm_status mm_list_page_next(mm_list_page *page, const char *token, mm_error *err)
{
    char *copy = strdup(token);
    if (copy == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    free(page->next);
    page->next = copy;
    return MM_OK;
}

void mm_list_page_free(mm_list_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        free(page->items[i].key);
    free(page->items);
    free(page->next);
    *page = (mm_list_page){0};
}

mm_status mm_part_list_add(mm_part_list *list, unsigned number, uint64_t size, const char *tag, mm_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        mm_part *items = reallocarray(list->items, capacity, sizeof(*items));
        if (items == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory");
        list->items = items;
        list->capacity = capacity;
    }
    mm_part part = {.number = number, .size = size, .sent = true};
    if (strlen(tag) >= sizeof(part.tag))
        return mm_error_set(err, MM_TARGET, "part %u has a tag of %zu characters", number, strlen(tag));
    memcpy(part.tag, tag, strlen(tag) + 1);
    list->items[list->count++] = part;
    return MM_OK;
}
