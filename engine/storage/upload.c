/* Uploads of local files, resumable: one request for a small file, else parts over several connections, whose
 * progress is a text that a later process goes on from. Knows the drivers' table, no service.
 *
 * Order of what is durable: the upload's id is committed before its first part is sent, all parts before the upload
 * is completed. So an upload that is gone while all its parts are recorded was completed, or given up; which of the
 * two, the object tells. Whatever remains doubtful is sent anew, which does no harm. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/json_text.h"
#include "base/log.h"
#include "storage/storage_internal.h"

#define PART_SIZE ((uint64_t)16 << 20)
#define PARTS_WANTED 512u /* the state has at most 64 KiB */
#define MIB ((uint64_t)1 << 20)
#define CONNECTIONS 4u
#define CONNECTIONS_MAX 64u
#define COMMIT_EVERY_MS 500u
#define WAIT_MS 100u

typedef struct job {
    mm_storage *storage;
    const mm_upload *upload;
    int fd;
    uint64_t size, part_size;
    int64_t mtime_ns;
    char *id;
    mm_part *parts;
    size_t count;

    pthread_mutex_t lock; /* of what follows, and of parts[].sent and .tag */
    pthread_cond_t news;
    size_t next;      /* no unsent part before this one but those under way */
    size_t sent_now;  /* parts sent since the last commit */
    unsigned running; /* threads */
    mm_error error;   /* the first failure */
    atomic_bool cancel;
} job;

/* --- state -------------------------------------------------------------------------------------------------- */

static char *write_state(job *j, mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    mm_buffer_printf(&text, "{\"storage\":\"%s\",\"size\":%" PRIu64 ",\"mtime\":\"%" PRId64 "\",\"part\":%" PRIu64
                     ",\"id\":", j->storage->driver->name, j->size, j->mtime_ns, j->part_size);
    mm_json_text(&text, j->id);
    mm_buffer_printf(&text, ",\"parts\":[");
    pthread_mutex_lock(&j->lock);
    size_t last = j->count;
    while (last > 0 && !j->parts[last - 1].sent)
        last--;
    for (size_t i = 0; i < last; i++) {
        mm_buffer_printf(&text, i > 0 ? "," : "");
        if (j->parts[i].sent)
            mm_json_text(&text, j->parts[i].tag);
        else
            mm_buffer_printf(&text, "0");
    }
    j->sent_now = 0;
    pthread_mutex_unlock(&j->lock);
    mm_buffer_printf(&text, "]}");
    if (text.failed) {
        mm_buffer_free(&text);
        mm_error_set(err, MM_NO_MEMORY, "out of memory");
        return NULL;
    }
    return text.data;
}

static mm_status commit(job *j, mm_error *err)
{
    if (j->upload->progress == NULL)
        return MM_OK;
    char *state = write_state(j, err);
    if (state == NULL)
        return MM_NO_MEMORY;
    mm_status status = j->upload->progress(j->upload->context, state, err);
    free(state);
    return status;
}

/* The id of an upload that a state describes; NULL: none. */
static char *state_id(const cJSON *root, const mm_storage *storage)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(root, "storage");
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(root, "id");
    bool ours = cJSON_IsString(name) && strcmp(name->valuestring, storage->driver->name) == 0;
    return ours && cJSON_IsString(id) && id->valuestring[0] ? strdup(id->valuestring) : NULL;
}

static bool state_fits(const job *j, const cJSON *root)
{
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(root, "size");
    const cJSON *part = cJSON_GetObjectItemCaseSensitive(root, "part");
    const cJSON *mtime = cJSON_GetObjectItemCaseSensitive(root, "mtime");
    return cJSON_IsNumber(size) && size->valuedouble == (double)j->size && cJSON_IsNumber(part) &&
           part->valuedouble == (double)j->part_size && cJSON_IsString(mtime) &&
           strtoll(mtime->valuestring, NULL, 10) == j->mtime_ns;
}

static void take_recorded_parts(job *j, const cJSON *root)
{
    const cJSON *tag;
    size_t i = 0;
    cJSON_ArrayForEach(tag, cJSON_GetObjectItemCaseSensitive(root, "parts")) {
        if (i < j->count && cJSON_IsString(tag) && strlen(tag->valuestring) < MM_PART_TAG) {
            memcpy(j->parts[i].tag, tag->valuestring, strlen(tag->valuestring) + 1);
            j->parts[i].sent = true;
        }
        i++;
    }
}

/* --- single requests, repeated ------------------------------------------------------------------------------ */

static bool is_cancelled(void *context)
{
    const job *j = context;
    return atomic_load(&j->cancel);
}

static mm_status send_part(job *j, mm_part *part, mm_error *err)
{
    mm_status status;
    mm_retry retry = {.stopping = is_cancelled, .context = j};
    mm_http_body body = {.fd = j->fd, .offset = part->offset, .size = part->size, .cancel = &j->cancel};
    do
        status = j->storage->driver->upload_part(j->storage->self, j->upload->key, j->id, part, &body, err);
    while (mm_retry_again(&retry, status, err));
    return status;
}

static mm_status put_whole(job *j, mm_object *out, mm_error *err)
{
    mm_status status;
    mm_retry retry = {.stopping = j->upload->stopping, .context = j->upload->context};
    mm_http_body body = {.fd = j->fd, .size = j->size};
    do
        status = j->storage->driver->put(j->storage->self, j->upload->key, &body, false, out, err);
    while (mm_retry_again(&retry, status, err));
    return status;
}

static mm_status list_parts(mm_storage *storage, const char *key, const char *id, mm_part_list *list, mm_error *err)
{
    mm_status status;
    mm_retry retry = {0};
    do {
        list->count = 0;
        status = storage->driver->upload_parts(storage->self, key, id, list, err);
    } while (mm_retry_again(&retry, status, err));
    return status;
}

/* Asked again after the abort, since a part that was under way can come in behind it. */
static mm_status abort_upload(mm_storage *storage, const char *key, const char *id, mm_error *err)
{
    mm_status status = MM_OK;
    for (int round = 0; round < 3; round++) {
        mm_retry retry = {0};
        mm_part_list left = {0};
        do
            status = storage->driver->upload_abort(storage->self, key, id, err);
        while (mm_retry_again(&retry, status, err));
        if (status != MM_OK || storage->driver->upload_parts == NULL)
            return status == MM_END ? MM_OK : status;
        status = list_parts(storage, key, id, &left, err);
        free(left.items);
        if (status == MM_NOT_FOUND || status == MM_TARGET)
            return MM_OK;
        if (status != MM_OK)
            return status;
        if (left.count == 0)
            return MM_OK;
    }
    return mm_error_set(err, MM_TARGET, "%s: parts of the upload come back after it was aborted three times: is "
                        "another process sending them?", key);
}

/* --- going on with a former process's upload ---------------------------------------------------------------- */

/* What the service holds counts, where it can be asked. */
static mm_status compare_with_service(job *j, mm_error *err)
{
    mm_part_list list = {0};
    mm_status status = list_parts(j->storage, j->upload->key, j->id, &list, err);
    if (status == MM_TARGET) { /* this service cannot be asked */
        status = MM_OK;
        goto out;
    }
    if (status != MM_OK)
        goto out;
    for (size_t i = 0; i < j->count; i++)
        j->parts[i].sent = false;
    for (size_t i = 0; i < list.count; i++) {
        const mm_part *there = &list.items[i];
        mm_part *mine = there->number >= 1 && there->number <= j->count ? &j->parts[there->number - 1] : NULL;
        if (mine && there->size == mine->size) {
            memcpy(mine->tag, there->tag, sizeof(mine->tag));
            mine->sent = true;
        }
    }
out:
    free(list.items);
    return status;
}

/* The upload is gone: the object is there when it was completed. */
static mm_status look_for_object(job *j, bool *there, mm_object *out, mm_error *err)
{
    mm_object object;
    mm_status status = mm_storage_stat(j->storage, j->upload->key, &object, err);
    *there = false;
    if (status == MM_NOT_FOUND)
        return MM_OK;
    if (status != MM_OK)
        return status;
    if (object.size == j->size &&
        j->storage->driver->upload_made(j->storage->self, &object, j->parts, j->count)) {
        *there = true;
        *out = object;
    }
    return MM_OK;
}

static bool all_sent(const job *j)
{
    for (size_t i = 0; i < j->count; i++)
        if (!j->parts[i].sent)
            return false;
    return true;
}

/* Takes up what `upload->state` describes: sets id and parts, or *done when the object is there already; neither:
 * there is nothing to go on with. */
static mm_status take_up(job *j, bool *done, mm_object *out, mm_error *err)
{
    mm_status status = MM_OK;
    cJSON *root = j->upload->state ? cJSON_Parse(j->upload->state) : NULL;
    char *id = root ? state_id(root, j->storage) : NULL;
    if (id && !state_fits(j, root)) {
        mm_log(MM_LOG_INFO, "%s: the file is another one than the upload was begun with: it begins anew",
               j->upload->key);
        status = abort_upload(j->storage, j->upload->key, id, err);
        free(id);
        id = NULL;
    }
    if (id) {
        j->id = id;
        take_recorded_parts(j, root);
        bool recorded = all_sent(j);
        if (j->storage->driver->upload_parts)
            status = compare_with_service(j, err);
        if (status == MM_NOT_FOUND) {
            status = recorded ? look_for_object(j, done, out, err) : MM_OK;
            free(j->id);
            j->id = NULL;
        }
    }
    cJSON_Delete(root);
    return status;
}

/* --- sending ------------------------------------------------------------------------------------------------ */

static void *work(void *context)
{
    job *j = context;
    pthread_mutex_lock(&j->lock);
    while (!atomic_load(&j->cancel)) {
        while (j->next < j->count && j->parts[j->next].sent)
            j->next++;
        if (j->next == j->count)
            break;
        mm_part part = j->parts[j->next++];
        pthread_mutex_unlock(&j->lock);
        mm_error err = MM_ERROR_INIT;
        mm_status status = send_part(j, &part, &err);
        MM_FAILPOINT("upload.part.sent");
        pthread_mutex_lock(&j->lock);
        if (status == MM_OK) {
            part.sent = true;
            j->parts[part.number - 1] = part;
            j->sent_now++;
        } else {
            if (j->error.status == MM_OK) {
                j->error = err;
                j->error.status = status;
            }
            atomic_store(&j->cancel, true);
        }
        pthread_cond_signal(&j->news);
    }
    j->running--;
    pthread_cond_signal(&j->news);
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* With the lock held: until there is something new, or WAIT_MS. */
static void wait_news(job *j)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&j->news, &j->lock, &until);
}

/* The calling thread commits and watches for a stop while the others send. */
static mm_status watch_workers(job *j, mm_error *err)
{
    mm_status status = MM_OK;
    uint64_t committed = mm_clock_ms();
    pthread_mutex_lock(&j->lock);
    while (j->running > 0) {
        wait_news(j);
        bool due = j->sent_now > 0 && mm_clock_ms() - committed >= COMMIT_EVERY_MS;
        pthread_mutex_unlock(&j->lock);
        if (status == MM_OK && j->upload->stopping && j->upload->stopping(j->upload->context))
            status = mm_error_set(err, MM_INTERRUPTED, "%s: the upload was stopped", j->upload->key);
        if (status == MM_OK && due) {
            status = commit(j, err);
            committed = mm_clock_ms();
        }
        if (status != MM_OK)
            atomic_store(&j->cancel, true);
        pthread_mutex_lock(&j->lock);
    }
    pthread_mutex_unlock(&j->lock);
    return status;
}

static mm_status send_parts(job *j, mm_error *err)
{
    pthread_t threads[CONNECTIONS_MAX];
    size_t left = 0, started = 0;
    for (size_t i = 0; i < j->count; i++)
        left += !j->parts[i].sent;
    size_t wanted = j->upload->connections > 0 ? j->upload->connections : CONNECTIONS;
    wanted = wanted < CONNECTIONS_MAX ? wanted : CONNECTIONS_MAX;
    wanted = wanted < left ? wanted : left;
    pthread_mutex_lock(&j->lock);
    while (started < wanted && pthread_create(&threads[started], NULL, work, j) == 0)
        started++;
    j->running = (unsigned)started;
    pthread_mutex_unlock(&j->lock);
    if (wanted > 0 && started == 0)
        return mm_error_set(err, MM_NO_MEMORY, "%s: no thread can be started", j->upload->key);
    mm_status status = watch_workers(j, err);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (status == MM_OK && j->error.status != MM_OK) {
        status = j->error.status;
        if (err)
            *err = j->error;
    }
    return status;
}

/* --- the whole ---------------------------------------------------------------------------------------------- */

static mm_status complete(job *j, bool *gone, mm_object *out, mm_error *err)
{
    mm_status status;
    mm_retry retry = {0};
    mm_object object = {0};
    *gone = false;
    do
        status = j->storage->driver->upload_complete(j->storage->self, j->upload->key, j->id, j->parts, j->count,
                                                     &object, err);
    while (mm_retry_again(&retry, status, err));
    if (status == MM_NOT_FOUND) {
        bool there;
        status = look_for_object(j, &there, out, err);
        *gone = status == MM_OK && !there;
        return status;
    }
    if (status == MM_OK && object.size != j->size)
        return mm_error_set(err, MM_UNKNOWN, "%s has %" PRIu64 " bytes after the upload of %" PRIu64, j->upload->key,
                            object.size, j->size);
    if (status == MM_OK)
        *out = object;
    return status;
}

static mm_status begin(job *j, mm_error *err)
{
    mm_status status;
    mm_retry retry = {.stopping = j->upload->stopping, .context = j->upload->context};
    do
        status = j->storage->driver->upload_begin(j->storage->self, j->upload->key, j->size, &j->id, err);
    while (mm_retry_again(&retry, status, err));
    if (status != MM_OK)
        return status;
    for (size_t i = 0; i < j->count; i++)
        j->parts[i].sent = false;
    MM_FAILPOINT("upload.begun");
    return commit(j, err);
}

static mm_status check_unchanged(const job *j, mm_error *err)
{
    struct stat st;
    if (fstat(j->fd, &st) != 0)
        return mm_error_errno(err, MM_IO, "%s", j->upload->path);
    if ((uint64_t)st.st_size != j->size || (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec != j->mtime_ns)
        return mm_error_set(err, MM_CHANGED, "%s was written to while it was uploaded", j->upload->path);
    return MM_OK;
}

static mm_status upload_in_parts(job *j, mm_object *out, mm_error *err)
{
    bool done = false, gone = false;
    mm_status status = take_up(j, &done, out, err);
    /* twice at most: an upload that vanishes again and again is another one's doing */
    for (int round = 0; status == MM_OK && !done && round < 2; round++) {
        if (j->id == NULL)
            status = begin(j, err);
        if (status == MM_OK)
            status = send_parts(j, err);
        if (status == MM_OK)
            status = check_unchanged(j, err);
        if (status == MM_OK)
            status = commit(j, err);
        MM_FAILPOINT("upload.all_sent");
        gone = status == MM_NOT_FOUND; /* in mid-sending */
        if (status == MM_OK)
            status = complete(j, &gone, out, err);
        MM_FAILPOINT("upload.completed");
        done = status == MM_OK && !gone;
        if (gone && round == 0) {
            status = MM_OK;
            mm_log(MM_LOG_WARN, "%s: the service has forgotten the upload: it begins anew", j->upload->key);
            free(j->id);
            j->id = NULL;
            j->next = 0;
            j->error = (mm_error)MM_ERROR_INIT;
            atomic_store(&j->cancel, false);
        }
    }
    if (status == MM_OK && !done)
        status = mm_error_set(err, MM_TARGET, "%s: the service forgot the upload twice: does another process abort it, "
                              "or a rule of the bucket?", j->upload->key);
    return status;
}

static mm_status plan_parts(job *j, mm_error *err)
{
    const mm_storage_driver *driver = j->storage->driver;
    uint64_t wanted = (j->size / PARTS_WANTED + MIB - 1) / MIB * MIB;
    j->part_size = wanted > PART_SIZE ? wanted : PART_SIZE;
    j->part_size = j->part_size < driver->part_max ? j->part_size : driver->part_max;
    uint64_t count = j->size / j->part_size + (j->size % j->part_size > 0);
    if (count > driver->parts_max)
        return mm_error_set(err, MM_TOO_LARGE, "%s: %" PRIu64 " bytes are more than %s takes in one object",
                            j->upload->path, j->size, driver->name);
    j->count = (size_t)count;
    j->parts = calloc(j->count > 0 ? j->count : 1, sizeof(*j->parts));
    if (j->parts == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < j->count; i++) {
        uint64_t offset = i * j->part_size, left = j->size - offset;
        j->parts[i] = (mm_part){.number = (unsigned)i + 1, .offset = offset,
                                .size = left < j->part_size ? left : j->part_size};
    }
    return MM_OK;
}

mm_status mm_upload_run(mm_storage *storage, const mm_upload *upload, mm_object *out, mm_error *err)
{
    struct stat st;
    job j = {.storage = storage, .upload = upload, .error = MM_ERROR_INIT};
    pthread_mutex_init(&j.lock, NULL);
    pthread_cond_init(&j.news, NULL);
    mm_status status = MM_OK;
    j.fd = open(upload->path, O_RDONLY | O_CLOEXEC);
    if (j.fd < 0 || fstat(j.fd, &st) != 0) {
        status = mm_error_errno(err, errno == ENOENT ? MM_NOT_FOUND : MM_IO, "%s", upload->path);
        goto out;
    }
    j.size = (uint64_t)st.st_size;
    j.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    status = plan_parts(&j, err);
    if (status != MM_OK)
        goto out;
    if (j.size <= PART_SIZE)
        status = put_whole(&j, out, err);
    else
        status = upload_in_parts(&j, out, err);
out:
    if (j.fd >= 0)
        close(j.fd);
    free(j.id);
    free(j.parts);
    pthread_cond_destroy(&j.news);
    pthread_mutex_destroy(&j.lock);
    return status;
}

mm_status mm_upload_abort(mm_storage *storage, const char *key, const char *state, mm_error *err)
{
    cJSON *root = cJSON_Parse(state);
    char *id = root ? state_id(root, storage) : NULL;
    cJSON_Delete(root);
    if (id == NULL)
        return MM_OK; /* nothing was begun */
    mm_status status = abort_upload(storage, key, id, err);
    free(id);
    return status;
}
