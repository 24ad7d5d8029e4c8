/* Carrying sealed units to the object store, and telling them to who embeds this sink. The order of what is durable:
 * the unit's seal is committed before its first byte is sent; the object is there, proven by the service's checksum,
 * before its etag is recorded; and that is recorded before the local file goes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/files/internal.h"

#define IDLE_MS 200 /* until the attendant looks for sealed units again */

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for carrying files");
}

static char *upload_key(const mm_files_unit *unit, size_t file)
{
    return mm_format("upload/%" PRIu32 "/%" PRIu32 "/%05" PRIu32 "/%zu", unit->collection, unit->partition,
                     unit->number, file);
}

/* --- the state of uploads --- */

static mm_files_upload *find_upload(const mm_sink *sink, const char *key)
{
    for (size_t i = 0; i < sink->upload_count; i++)
        if (strcmp(sink->uploads[i].key, key) == 0)
            return &sink->uploads[i];
    return NULL;
}

static mm_status keep_upload(mm_sink *sink, const char *key, const char *state, mm_error *err)
{
    mm_files_upload *kept = find_upload(sink, key);
    char *copy = strdup(state);
    if (copy && kept) {
        free(kept->state);
        kept->state = copy;
        return MM_OK;
    }
    if (copy && sink->upload_count == sink->upload_capacity) {
        size_t capacity = sink->upload_capacity ? sink->upload_capacity * 2 : 8;
        mm_files_upload *uploads = reallocarray(sink->uploads, capacity, sizeof(*uploads));
        if (uploads) {
            sink->uploads = uploads;
            sink->upload_capacity = capacity;
        }
    }
    char *name = strdup(key);
    if (copy == NULL || name == NULL || sink->upload_count == sink->upload_capacity) {
        free(name);
        free(copy);
        return no_memory(err);
    }
    sink->uploads[sink->upload_count++] = (mm_files_upload){name, copy};
    return MM_OK;
}

static void drop_upload(mm_sink *sink, const char *key)
{
    mm_files_upload *kept = find_upload(sink, key);
    if (kept == NULL)
        return;
    free(kept->key);
    free(kept->state);
    *kept = sink->uploads[--sink->upload_count];
}

void mm_files_forget_uploads(mm_sink *sink)
{
    while (sink->upload_count > 0)
        drop_upload(sink, sink->uploads[0].key);
    free(sink->uploads);
}

mm_status mm_files_recall_upload(mm_sink *sink, const char *key, const char *value, mm_error *err)
{
    return strncmp(key, "upload/", 7) == 0 ? keep_upload(sink, key, value, err) : MM_END;
}

/* --- carrying --- */

typedef struct carrying {
    mm_sink *sink;
    const char *key; /* of the upload's record */
} carrying;

static mm_status record_progress(void *context, const char *state, mm_error *err)
{
    carrying *c = context;
    mm_status status = keep_upload(c->sink, c->key, state, err);
    if (status == MM_OK)
        status = c->sink->host.record(c->sink->host.context, c->key, state, err);
    MM_FAILPOINT("files.carry.progress");
    return status;
}

static bool is_stopping(void *context)
{
    const carrying *c = context;
    return c->sink->host.stopping(c->sink->host.context);
}

static mm_status send(mm_sink *sink, const mm_files_unit *unit, size_t file, const char *record, mm_object *out,
                      mm_error *err)
{
    const mm_files_upload *kept = find_upload(sink, record);
    char *path = mm_files_unit_path(sink, unit, file, true), *key = mm_files_unit_key(sink, unit, file);
    /* progress replaces what is kept while the upload still reads it */
    char *state = kept ? strdup(kept->state) : NULL;
    carrying context = {sink, record};
    mm_status status = MM_OK;
    if (path == NULL || key == NULL || (kept && state == NULL)) {
        status = no_memory(err);
    } else {
        const mm_upload upload = {.path = path, .key = key, .state = state, .progress = record_progress,
                                  .stopping = is_stopping, .context = &context};
        status = mm_storage_upload(sink->storage, &upload, out, err);
    }
    if (status == MM_OK && out->size != unit->files[file].size)
        status = mm_error_set(err, MM_UNKNOWN, "%s has %" PRIu64 " bytes after an upload of %" PRIu64, key, out->size,
                              unit->files[file].size);
    free(state);
    free(key);
    free(path);
    return status;
}

static mm_status carry(mm_sink *sink, mm_files_unit *unit, size_t file, mm_error *err)
{
    mm_object object;
    char *record = upload_key(unit, file);
    if (record == NULL)
        return no_memory(err);
    mm_status status = send(sink, unit, file, record, &object, err);
    MM_FAILPOINT("files.carry.sent");
    if (status == MM_OK) {
        snprintf(unit->files[file].etag, sizeof(unit->files[file].etag), "%s", object.etag[0] ? object.etag : "-");
        status = mm_files_unit_record(sink, unit, err);
        if (status != MM_OK)
            unit->files[file].etag[0] = '\0'; /* another try sends it again, which does no harm */
        else
            atomic_fetch_add(&sink->files_carried, 1);
        MM_FAILPOINT("files.carry.recorded");
    }
    if (status == MM_OK && find_upload(sink, record)) {
        status = sink->host.record(sink->host.context, record, NULL, err);
        drop_upload(sink, record);
    }
    if (status == MM_OK)
        status = mm_files_unit_remove_local(sink, unit, file, err);
    MM_FAILPOINT("files.carry.removed");
    free(record);
    return status;
}

/* The first file of a unit that is not carried; file_count: all are. */
static size_t first_left(const mm_files_unit *unit)
{
    size_t file = 0;
    while (file < unit->file_count && unit->files[file].etag[0])
        file++;
    return file;
}

/* The next unit that is sealed and committed and not all carried; NULL: none. */
static mm_files_unit *next_unit(mm_sink *sink)
{
    mm_files_unit *found = NULL;
    pthread_mutex_lock(&sink->lock);
    while (sink->carried < sink->unit_count && sink->units[sink->carried]->committed &&
           first_left(sink->units[sink->carried]) == sink->units[sink->carried]->file_count)
        sink->carried++;
    for (size_t i = sink->carried; i < sink->unit_count && found == NULL; i++)
        if (sink->units[i]->committed && first_left(sink->units[i]) < sink->units[i]->file_count)
            found = sink->units[i];
    pthread_mutex_unlock(&sink->lock);
    return found;
}

mm_status mm_files_attend(mm_sink *sink, bool closing, uint64_t *wait_ms, mm_error *err)
{
    mm_status status = closing ? mm_files_units_seal(sink, err) : MM_OK;
    if (status != MM_OK)
        return status;
    mm_files_unit *unit = sink->remote ? next_unit(sink) : NULL;
    if (unit)
        return carry(sink, unit, first_left(unit), err);
    *wait_ms = IDLE_MS;
    return closing ? MM_END : MM_OK;
}

void mm_files_activity(mm_sink *sink, char out[MM_ACTIVITY_MAX])
{
    uint64_t known = atomic_load(&sink->files_known), carried = atomic_load(&sink->files_carried);
    if (sink->remote && known > 0)
        snprintf(out, MM_ACTIVITY_MAX, "%" PRIu64 " of %" PRIu64 " files carried", carried, known);
    else
        out[0] = '\0';
}
