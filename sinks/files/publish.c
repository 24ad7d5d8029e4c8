/* Publishing a collection: its manifest, put last. On a local disk by rename; in an object store whole and at once, and
 * what it replaces is removed afterwards. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/json_text.h"
#include "base/util.h"
#include "sinks/files/internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a manifest");
}

/* --- on a local disk --- */

static mm_status write_file(const char *path, const mm_buffer *text, mm_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return mm_error_errno(err, MM_IO, "%s", path);
    mm_status status = MM_OK;
    for (size_t at = 0; status == MM_OK && at < text->size;) {
        ssize_t done = write(fd, text->data + at, text->size - at);
        if (done >= 0)
            at += (size_t)done;
        else if (errno != EINTR)
            status = mm_error_errno(err, MM_IO, "writing %s", path);
    }
    if (status == MM_OK && fsync(fd) != 0)
        status = mm_error_errno(err, MM_IO, "syncing %s", path);
    close(fd);
    return status;
}

static mm_status put_local(const mm_sink *sink, const mm_files_collection *c, const mm_buffer *text, mm_error *err)
{
    mm_status status;
    char *path = mm_format("%s/%s", c->root, MM_MANIFEST_NAME);
    char *part = mm_format("%s/%s%s", c->root, MM_MANIFEST_NAME, sink->suffix);
    if (path == NULL || part == NULL) {
        status = no_memory(err);
        goto out;
    }
    status = write_file(part, text, err);
    MM_FAILPOINT("files.publish.written");
    if (status == MM_OK && rename(part, path) != 0)
        status = mm_error_errno(err, MM_IO, "renaming %s", part);
    MM_FAILPOINT("files.publish.renamed");
    if (status == MM_OK)
        status = mm_folder_sync(c->root, err);
out:
    free(part);
    free(path);
    return status;
}

/* The text to publish: `earlier` and the units of this run. */
static mm_status make_text(mm_sink *sink, uint32_t number, const mm_manifest *earlier, mm_buffer *text, mm_error *err)
{
    mm_manifest manifest = MM_MANIFEST_INIT;
    mm_status status = mm_files_manifest_make(sink, number, earlier, &manifest, err);
    if (status == MM_OK)
        status = mm_manifest_print(&manifest, text, err);
    mm_manifest_free(&manifest);
    return status;
}

/* What stands there already; nothing where there is no manifest. */
static mm_status read_earlier(const mm_sink *sink, const mm_files_collection *c, mm_manifest *out, mm_error *err)
{
    mm_error absent = MM_ERROR_INIT;
    mm_status status = mm_files_manifest_read(sink, c, out, &absent);
    if (status == MM_OK || status == MM_NOT_FOUND)
        return MM_OK;
    if (err)
        *err = absent;
    return status;
}

static mm_status publish_local(mm_sink *sink, uint32_t number, mm_error *err)
{
    const mm_files_collection *c = &sink->collections[number];
    mm_manifest earlier = MM_MANIFEST_INIT;
    mm_buffer text = MM_BUFFER_INIT;
    /* two jobs that append here at once take turns, so that neither loses the other's entries */
    int lock = open(c->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mm_status status = MM_OK;
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        status = mm_error_errno(err, MM_IO, "locking %s", c->root);
    if (status == MM_OK)
        status = read_earlier(sink, c, &earlier, err);
    if (status == MM_OK)
        status = make_text(sink, number, &earlier, &text, err);
    if (status == MM_OK)
        status = put_local(sink, c, &text, err);
    if (lock >= 0)
        close(lock);
    mm_buffer_free(&text);
    mm_manifest_free(&earlier);
    return status;
}

/* --- in an object store --- */

/* The files of the manifest that is about to be replaced, recorded before: afterwards nothing names them. */
static mm_status record_replaced(mm_sink *sink, uint32_t number, const mm_manifest *old, mm_error *err)
{
    mm_files_collection *c = &sink->collections[number];
    mm_buffer text = MM_BUFFER_INIT;
    char *key = mm_format("replaced/%" PRIu32, number);
    mm_buffer_printf(&text, "[");
    for (size_t i = 0; i < old->file_count; i++) {
        mm_buffer_printf(&text, i ? "," : "");
        mm_json_text(&text, old->files[i].path);
    }
    mm_buffer_append(&text, "]", 2); /* with the NUL */
    mm_status status = MM_OK;
    if (key == NULL || text.failed)
        status = no_memory(err);
    else
        status = sink->host.record(sink->host.context, key, text.data, err);
    free(key);
    if (status != MM_OK) {
        mm_buffer_free(&text);
        return status;
    }
    free(c->replaced);
    c->replaced = text.data;
    MM_FAILPOINT("files.publish.replacing");
    return MM_OK;
}

static mm_status remove_object(mm_sink *sink, const mm_files_collection *c, const char *path, mm_error *err)
{
    char *key = mm_format("%s/%s", c->prefix, path);
    if (key == NULL)
        return no_memory(err);
    mm_status status = mm_storage_remove(sink->storage, key, err);
    free(key);
    MM_FAILPOINT("files.publish.removed");
    return status;
}

/* The new manifest is there: the objects that only the old one named go. */
static mm_status remove_replaced(mm_sink *sink, uint32_t number, mm_error *err)
{
    mm_files_collection *c = &sink->collections[number];
    if (c->replaced == NULL)
        return MM_OK;
    cJSON *list = cJSON_Parse(c->replaced);
    const cJSON *item;
    mm_status status = cJSON_IsArray(list) ? MM_OK : mm_error_set(err, MM_CHANGED, "not a record of replaced files");
    cJSON_ArrayForEach(item, list)
    {
        if (status == MM_OK && cJSON_IsString(item))
            status = remove_object(sink, c, item->valuestring, err);
    }
    cJSON_Delete(list);
    char *key = mm_format("replaced/%" PRIu32, number);
    if (status == MM_OK && key == NULL)
        status = no_memory(err);
    if (status == MM_OK)
        status = sink->host.record(sink->host.context, key, NULL, err);
    free(key);
    if (status == MM_OK) {
        free(c->replaced);
        c->replaced = NULL;
    }
    return status;
}

/* Puts the manifest, unless a former process did. What stands there must be what the job saw when it began. */
static mm_status put_remote(mm_sink *sink, uint32_t number, const mm_buffer *now, const mm_manifest *earlier,
                            const mm_buffer *text, mm_error *err)
{
    const mm_files_collection *c = &sink->collections[number];
    bool present = now->data != NULL;
    if (present && now->size == text->size && memcmp(now->data, text->data, text->size) == 0)
        return MM_OK;
    char *key = mm_format("%s/%s", c->prefix, MM_MANIFEST_NAME);
    if (key == NULL)
        return no_memory(err);
    mm_status status = MM_OK;
    mm_object object = {0};
    if (c->old[0] && present)
        status = mm_storage_stat(sink->storage, key, &object, err);
    if (status == MM_OK && c->old[0] && strcmp(object.etag, c->old) != 0)
        status = mm_error_set(err, MM_CHANGED, "%s/%s was %s and is now %s: it is not overwritten", c->final,
                              MM_MANIFEST_NAME, c->old, present ? object.etag : "gone");
    if (status == MM_OK && c->old[0])
        status = record_replaced(sink, number, earlier, err);
    MM_FAILPOINT("files.publish.before_put");
    if (status == MM_OK)
        status = mm_storage_put(sink->storage, key, text->data, text->size, !c->appends && !c->old[0], err);
    MM_FAILPOINT("files.publish.put");
    free(key);
    return status;
}

static mm_status read_now(const mm_sink *sink, const mm_files_collection *c, mm_buffer *text, mm_manifest *out,
                          mm_error *err)
{
    mm_error absent = MM_ERROR_INIT;
    mm_status status = mm_files_manifest_text(sink, c, text, &absent);
    if (status == MM_NOT_FOUND)
        return MM_OK;
    if (status == MM_OK)
        status = mm_manifest_parse(text->data, text->size, out, &absent);
    if (status != MM_OK && err)
        *err = absent;
    return status;
}

static mm_status publish_remote(mm_sink *sink, uint32_t number, mm_error *err)
{
    mm_files_collection *c = &sink->collections[number];
    mm_manifest earlier = MM_MANIFEST_INIT, none = MM_MANIFEST_INIT;
    mm_buffer now = MM_BUFFER_INIT, text = MM_BUFFER_INIT;
    mm_status status = read_now(sink, c, &now, &earlier, err);
    if (status == MM_OK && c->appends && now.data == NULL)
        status = mm_error_set(err, MM_CHANGED, "%s/%s is gone", c->final, MM_MANIFEST_NAME);
    if (status == MM_OK)
        status = make_text(sink, number, c->appends ? &earlier : &none, &text, err);
    if (status == MM_OK)
        status = put_remote(sink, number, &now, &earlier, &text, err);
    if (status == MM_OK)
        status = remove_replaced(sink, number, err);
    if (status == MM_OK)
        status = mm_files_spool_done(sink, c, err);
    mm_buffer_free(&text);
    mm_buffer_free(&now);
    mm_manifest_free(&earlier);
    return status;
}

mm_status mm_files_publish(mm_sink *sink, uint32_t number, mm_error *err)
{
    return sink->remote ? publish_remote(sink, number, err) : publish_local(sink, number, err);
}
