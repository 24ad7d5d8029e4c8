/* Volumes of Zilliz Cloud (volume://NAME/path): object storage that belongs to a project. The control plane says in
 * which bucket a volume lies and hands out temporary keys to it; everything else is the work of that bucket's driver.
 *
 * Such a lease (bucket, prefix, keys) is taken with the first request, and taken again before its keys end or when
 * they are refused. Requests under way keep theirs to their end.
 *
 * Source: Zilliz Cloud's REST reference v2, "Apply Volume": POST /v2/volumes/apply {"volumeName", "path"} answers
 * endpoint, cloud, region, bucketName, volumePrefix and credentials {tmpAK, tmpSK, sessionToken, expireTime}. Where
 * cloud is "gcp", sessionToken is an OAuth access token of Google's. */
#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/log.h"
#include "storage/endpoint.h"
#include "storage/storage_internal.h"

#define CONTROL_PLANE "https://api.cloud.zilliz.com"
#define APPLY_TIMEOUT_MS 60000
#define RENEW_BEFORE_MS (5 * 60 * 1000) /* of the keys' end */
#define LEASE_LEAST_MS 10000            /* keys refused so soon after they were made are no matter of time */

static const char *const schemes[] = {"volume", NULL};

typedef struct lease {
    const mm_storage_driver *driver;
    void *self;
    char *prefix; /* of the volume in its bucket */
    int64_t taken_ms, renew_ms; /* wall clock */
    unsigned users;
} lease;

typedef struct volume {
    mm_http *http;
    char *url, *authorization, *name;
    bool plain; /* the control plane is asked without TLS: a test's */
    char *ca, *style;
    pthread_mutex_t lock; /* of `current`, and of every lease's users; held while a lease is taken */
    lease *current;
} volume;

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* --- opening ------------------------------------------------------------------------------------------------- */

static void free_lease(lease *l)
{
    if (l == NULL)
        return;
    if (l->self != NULL)
        l->driver->close(l->self);
    free(l->prefix);
    free(l);
}

static void volume_close(void *self)
{
    volume *v = self;
    mm_http_close(v->http);
    free_lease(v->current);
    free(v->url);
    if (v->authorization != NULL)
        explicit_bzero(v->authorization, strlen(v->authorization));
    free(v->authorization);
    free(v->name);
    free(v->ca);
    free(v->style);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

static bool keep(const char *value, char **out)
{
    return value == NULL || (*out = strdup(value)) != NULL;
}

static mm_status volume_open(const mm_storage_place *place, void **self, mm_error *err)
{
    const char *key = mm_storage_option(place, "storage_secret_key");
    const char *plane = mm_storage_option(place, "storage_endpoint");
    if (key == NULL)
        return mm_error_set(err, MM_CONFIG, "%s: storage_secret_key is needed: an API key of Zilliz Cloud (or "
                            "storage_secret_key_file)", place->location);
    mm_endpoint endpoint;
    mm_status status = mm_endpoint_parse("storage_endpoint", plane ? plane : CONTROL_PLANE, &endpoint, err);
    if (status != MM_OK)
        return status;
    volume *v = calloc(1, sizeof(*v));
    if (v == NULL) {
        mm_endpoint_free(&endpoint);
        return no_memory(err);
    }
    pthread_mutex_init(&v->lock, NULL);
    mm_log_add_secret(key);
    v->plain = endpoint.plain;
    v->url = mm_format("%s%s/v2/volumes/apply", endpoint.origin, endpoint.path);
    v->authorization = mm_format("Authorization: Bearer %s", key);
    if (v->plain && !endpoint.loopback)
        status = mm_error_set(err, MM_CONFIG, "storage_endpoint: the API key would go to %s in the clear: use https",
                              endpoint.origin);
    else if (v->url == NULL || v->authorization == NULL || !keep(place->bucket, &v->name) ||
             !keep(mm_storage_option(place, "storage_ca"), &v->ca) ||
             !keep(mm_storage_option(place, "storage_style"), &v->style))
        status = no_memory(err);
    mm_endpoint_free(&endpoint);
    mm_http_config http = {.ca_file = v->ca};
    if (status == MM_OK)
        status = mm_http_open(&http, &v->http, err);
    if (status == MM_OK)
        *self = v;
    else
        volume_close(v);
    return status;
}

/* --- leases -------------------------------------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

/* The bucket's driver, opened with what the control plane has said. */
static mm_status open_bucket(const volume *v, const cJSON *data, lease *l, mm_error *err)
{
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(data, "credentials");
    const char *cloud = text_of(data, "cloud"), *host = text_of(data, "endpoint"), *bucket = text_of(data, "bucketName");
    bool google = strcmp(cloud, "gcp") == 0, whole_url = strstr(host, "://") != NULL;
    const char *scheme = google ? "gs" : strcmp(cloud, "ali") == 0 ? "oss" : "s3";
    if (bucket[0] == '\0' || text_of(keys, google ? "sessionToken" : "tmpSK")[0] == '\0' || (host[0] == '\0' && !google))
        return mm_error_set(err, MM_TARGET, "volume %s: %s names no bucket, endpoint or keys in its reply", v->name, v->url);
    if (strcmp(cloud, "azure") == 0)
        return mm_error_set(err, MM_CONFIG, "volume %s lies on Azure, whose volumes are not served here: stage in a "
                            "container of your own (az://…)", v->name);
    if (whole_url && strncmp(host, "https://", 8) != 0 && !v->plain)
        return mm_error_set(err, MM_TARGET, "volume %s: %s sends its keys to %s in the clear", v->name, v->url, host);
    char *location = mm_format("volume://%s/", v->name);
    char *endpoint = host[0] == '\0' ? NULL : mm_format("%s%s", whole_url ? "" : "https://", host);
    mm_storage_given given[] = {{"storage_endpoint", google && !whole_url ? NULL : endpoint},
                                {"storage_region", text_of(data, "region")},
                                {"storage_access_key", google ? NULL : text_of(keys, "tmpAK")},
                                {"storage_secret_key", google ? NULL : text_of(keys, "tmpSK")},
                                {"storage_session_token", text_of(keys, "sessionToken")},
                                {"storage_ca", v->ca},
                                {"storage_style", v->style}};
    mm_storage_place place = {.location = location, .scheme = scheme, .bucket = bucket, .given = given,
                              .given_count = MM_COUNT(given)};
    l->driver = google ? &mm_storage_gcs : &mm_storage_s3;
    mm_status status = location != NULL && (host[0] == '\0' || endpoint != NULL) ? l->driver->open(&place, &l->self, err)
                                                                                  : no_memory(err);
    free(location);
    free(endpoint);
    return status;
}

/* {"code":0,"data":{…}}, with HTTP 200 for refusals too. */
static mm_status read_reply(const volume *v, const mm_http_reply *reply, lease *l, mm_error *err)
{
    mm_status status = mm_http_judge(reply->status, true);
    cJSON *root = reply->body.size > 0 ? cJSON_ParseWithLength(reply->body.data, reply->body.size) : NULL;
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(root, "code");
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(root, "data");
    if (status == MM_OK && !cJSON_IsNumber(code))
        status = mm_error_set(err, MM_UNAVAILABLE, "volume %s: %s answered no JSON with a code", v->name, v->url);
    else if (status != MM_OK || code->valueint != 0)
        status = mm_error_set(err, status != MM_OK ? status : MM_CONFIG, "volume %s: %s refuses: %.400s (HTTP %ld, code %d); "
                              "check the volume's name and the API key's rights", v->name, v->url, text_of(root, "message"),
                              reply->status, cJSON_IsNumber(code) ? code->valueint : 0);
    if (status != MM_OK && err != NULL)
        err->retry_after_ms = reply->retry_after_ms;
    if (status == MM_OK)
        status = open_bucket(v, data, l, err);
    if (status == MM_OK && (l->prefix = strdup(text_of(data, "volumePrefix"))) == NULL)
        status = no_memory(err);
    if (status == MM_OK) {
        int64_t ends = mm_storage_time(text_of(cJSON_GetObjectItemCaseSensitive(data, "credentials"), "expireTime"));
        l->taken_ms = (int64_t)mm_clock_wall_ms();
        l->renew_ms = ends > 0 ? ends - RENEW_BEFORE_MS : INT64_MAX;
    }
    cJSON_Delete(root);
    return status;
}

static mm_status take_lease(const volume *v, lease **out, mm_error *err)
{
    mm_buffer body = MM_BUFFER_INIT;
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    lease *l = calloc(1, sizeof(*l));
    mm_buffer_printf(&body, "{\"volumeName\":");
    mm_json_text(&body, v->name);
    mm_buffer_printf(&body, ",\"path\":\"\"}");
    const char *headers[] = {"Content-Type: application/json", "Accept: application/json", v->authorization};
    mm_http_request request = {.method = "POST", .url = v->url, .headers = headers, .header_count = MM_COUNT(headers),
                               .body = {.bytes = body.data, .size = body.size}, .total_timeout_ms = APPLY_TIMEOUT_MS,
                               .repeatable = true, .reply_max = 1 << 20};
    mm_status status = l != NULL && !body.failed ? mm_http_perform(v->http, &request, &reply, err) : no_memory(err);
    if (status == MM_OK)
        status = read_reply(v, &reply, l, err);
    if (reply.body.data != NULL)
        explicit_bzero(reply.body.data, reply.body.size);
    mm_http_reply_free(&reply);
    mm_buffer_free(&body);
    if (status == MM_OK)
        *out = l;
    else
        free_lease(l);
    return status;
}

/* One use of the current lease. */
typedef struct use {
    volume *volume;
    lease *lease;
    char *key; /* in the bucket; NULL where none was given */
} use;

static void drop(volume *v, lease *l)
{
    if (--l->users == 0 && l != v->current)
        free_lease(l);
}

static mm_status enter(void *self, const char *key, use *u, mm_error *err)
{
    volume *v = self;
    mm_status status = MM_OK;
    *u = (use){.volume = v};
    pthread_mutex_lock(&v->lock);
    if (v->current == NULL || (int64_t)mm_clock_wall_ms() >= v->current->renew_ms) {
        lease *fresh = NULL, *old = v->current;
        status = take_lease(v, &fresh, err);
        if (status == MM_OK) {
            v->current = fresh;
            if (old != NULL && old->users == 0)
                free_lease(old);
        }
    }
    if (status == MM_OK) {
        u->lease = v->current;
        u->lease->users++;
        u->key = key != NULL ? mm_format("%s%s", u->lease->prefix, key) : NULL;
        if (key != NULL && u->key == NULL) {
            drop(v, u->lease);
            status = no_memory(err);
        }
    }
    pthread_mutex_unlock(&v->lock);
    return status;
}

/* Ends a use. Keys that are refused after a while may have ended: the request is then to be made again, with others. */
static mm_status leave(use *u, mm_status status)
{
    if (u->lease == NULL)
        return status;
    int64_t now = (int64_t)mm_clock_wall_ms();
    pthread_mutex_lock(&u->volume->lock);
    if (status == MM_AUTH && now - u->lease->taken_ms >= LEASE_LEAST_MS) {
        u->lease->renew_ms = now;
        status = MM_UNAVAILABLE;
    }
    drop(u->volume, u->lease);
    pthread_mutex_unlock(&u->volume->lock);
    free(u->key);
    return status;
}

/* --- operations ---------------------------------------------------------------------------------------------- */

/* Services that take volumes take the path in the volume. */
static char *volume_http_url(void *self, const char *key)
{
    const volume *v = self;
    return mm_format("volume://%s/%s", v->name, key);
}

static mm_status volume_stat(void *self, const char *key, mm_object *out, mm_error *err)
{
    use u;
    mm_status status = enter(self, key, &u, err);
    if (status == MM_OK)
        status = u.lease->driver->stat(u.lease->self, u.key, out, err);
    return leave(&u, status);
}

static mm_status volume_list(void *self, const char *prefix, const char *token, mm_list_page *page, mm_error *err)
{
    use u;
    mm_status status = enter(self, prefix, &u, err);
    if (status == MM_OK)
        status = u.lease->driver->list(u.lease->self, u.key, token, page, err);
    size_t skip = status == MM_OK ? strlen(u.lease->prefix) : 0;
    for (size_t i = 0; skip > 0 && i < page->count; i++) /* every key begins with it, since the prefix asked for does */
        memmove(page->items[i].key, page->items[i].key + skip, strlen(page->items[i].key + skip) + 1);
    return leave(&u, status);
}

static mm_status volume_read(void *self, const char *key, const char *etag, uint64_t offset, void *out, size_t size,
                             mm_error *err)
{
    use u;
    mm_status status = enter(self, key, &u, err);
    if (status == MM_OK)
        status = u.lease->driver->read(u.lease->self, u.key, etag, offset, out, size, err);
    return leave(&u, status);
}

static mm_status volume_put(void *self, const char *key, const mm_http_body *body, bool fresh, mm_object *out,
                            mm_error *err)
{
    use u;
    mm_status status = enter(self, key, &u, err);
    if (status == MM_OK)
        status = u.lease->driver->put(u.lease->self, u.key, body, fresh, out, err);
    return leave(&u, status);
}

static mm_status volume_remove(void *self, const char *key, mm_error *err)
{
    use u;
    mm_status status = enter(self, key, &u, err);
    if (status == MM_OK)
        status = u.lease->driver->remove(u.lease->self, u.key, err);
    return leave(&u, status);
}

static mm_status volume_copy(void *self, const char *from, const char *to, mm_error *err)
{
    use u;
    mm_status status = enter(self, from, &u, err);
    char *there = status == MM_OK ? mm_format("%s%s", u.lease->prefix, to) : NULL;
    if (status == MM_OK)
        status = there != NULL ? u.lease->driver->copy(u.lease->self, u.key, there, err) : no_memory(err);
    free(there);
    return leave(&u, status);
}

static mm_status volume_upload_begin(void *self, const char *key, uint64_t size, char **id, mm_error *err)
{
    use u;
    mm_status status = enter(self, key, &u, err);
    if (status == MM_OK)
        status = u.lease->driver->upload_begin(u.lease->self, u.key, size, id, err);
    return leave(&u, status);
}

static mm_status volume_upload_part(void *self, const char *key, const char *id, mm_part *part, const mm_http_body *body,
                                    mm_error *err)
{
    use u;
    mm_status status = enter(self, key, &u, err);
    if (status == MM_OK)
        status = u.lease->driver->upload_part(u.lease->self, u.key, id, part, body, err);
    return leave(&u, status);
}

static mm_status volume_upload_parts(void *self, const char *key, const char *id, mm_part_list *list, mm_error *err)
{
    use u;
    mm_status status = enter(self, key, &u, err);
    if (status == MM_OK)
        status = u.lease->driver->upload_parts != NULL
                     ? u.lease->driver->upload_parts(u.lease->self, u.key, id, list, err)
                     : mm_error_set(err, MM_TARGET, "volume %s: its parts cannot be asked for", u.volume->name);
    return leave(&u, status);
}

static mm_status volume_upload_complete(void *self, const char *key, const char *id, const mm_part *parts, size_t count,
                                        mm_object *out, mm_error *err)
{
    use u;
    mm_status status = enter(self, key, &u, err);
    if (status == MM_OK)
        status = u.lease->driver->upload_complete(u.lease->self, u.key, id, parts, count, out, err);
    return leave(&u, status);
}

static bool volume_upload_made(void *self, const mm_object *object, const mm_part *parts, size_t count)
{
    use u;
    mm_error err = MM_ERROR_INIT;
    bool made = enter(self, NULL, &u, &err) == MM_OK && u.lease->driver->upload_made(u.lease->self, object, parts, count);
    return leave(&u, MM_OK) == MM_OK && made;
}

static mm_status volume_upload_abort(void *self, const char *key, const char *id, mm_error *err)
{
    use u;
    mm_status status = enter(self, key, &u, err);
    if (status == MM_OK)
        status = u.lease->driver->upload_abort(u.lease->self, u.key, id, err);
    return leave(&u, status);
}

/* Parts as all clouds that volumes lie on take them. */
const mm_storage_driver mm_storage_volume = {
    .name = "volume",
    .schemes = schemes,
    .parts_max = 1000,
    .part_max = (uint64_t)5 << 30,
    .open = volume_open,
    .close = volume_close,
    .http_url = volume_http_url,
    .stat = volume_stat,
    .list = volume_list,
    .read = volume_read,
    .put = volume_put,
    .remove = volume_remove,
    .copy = volume_copy,
    .upload_begin = volume_upload_begin,
    .upload_part = volume_upload_part,
    .upload_parts = volume_upload_parts,
    .upload_complete = volume_upload_complete,
    .upload_made = volume_upload_made,
    .upload_abort = volume_upload_abort,
};
