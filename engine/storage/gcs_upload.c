/* Uploads in parts to Google Cloud Storage: each part is an object of its own, "<key>.mmresume-<id>/<number>", and
 * the service composes them in the end.
 *
 * Of the service's three ways this one is parallel, goes on after a crash from what a listing shows, and has its
 * content proven by the service at every step: the CRC-32C of each part, and that of the whole, which follows from
 * those of the parts. A resumable session takes one chunk after the other; the multipart upload of the XML API
 * proves parts only. The price: the account needs the right to delete, and where the bucket keeps deleted objects
 * the parts are kept for as long. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/json_text.h"
#include "storage/gcs_internal.h"

#define COMPOSE_MAX 32u
#define NUMBER_SIZE 5
#define UPLOAD_ID "mmresume-upload" /* metadata of what an upload composed */

static char *folder_of(const char *key, const char *id)
{
    return mm_format("%s.mmresume-%s/", key, id);
}

/* kind: "" for a part, "g" for a group of them. */
static char *name_of(const char *key, const char *id, const char *kind, unsigned number)
{
    return mm_format("%s.mmresume-%s/%s%0*u", key, id, kind, NUMBER_SIZE, number);
}

mm_status gcs_upload_begin(void *self, const char *key, uint64_t size, char **id, mm_error *err)
{
    (void)self;
    (void)key;
    (void)size;
    *id = mm_storage_id();
    return *id != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* --- parts -------------------------------------------------------------------------------------- */

mm_status gcs_upload_part(void *self, const char *key, const char *id, mm_part *part, const mm_http_body *body,
                          mm_error *err)
{
    gcs *g = self;
    cJSON *root = NULL;
    gcs_object object;
    mm_object out;
    uint32_t crc = 0;
    char *name = name_of(key, id, "", part->number);
    mm_status status = name != NULL ? mm_body_crc32c(body, &crc, err)
                                    : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (status == MM_OK) {
        gcs_call call = {.method = "POST", .key = name, .headers = {"Content-Type: application/octet-stream"},
                         .header_count = 1, .body = *body};
        gcs_target(g, &call, "/upload", NULL);
        gcs_query(&call, "uploadType", "media");
        gcs_query(&call, "name", name);
        gcs_query(&call, "fields", GCS_FIELDS);
        status = gcs_send_json(g, &call, &root, err);
    }
    if (status == MM_NOT_FOUND) { /* of the bucket: there is no session that could be gone */
        status = MM_TARGET;
        if (err != NULL) {
            err->status = status;
        }
    }
    if (status == MM_OK) {
        status = gcs_object_read(g, name, root, &object, err);
    }
    if (status == MM_OK && (object.size != body->size || object.crc32c != crc)) {
        status = mm_error_set(err, MM_UNAVAILABLE, "gs://%s/%s arrived damaged: %" PRIu64 " bytes with CRC-32C "
                              "%08" PRIx32 ", sent were %" PRIu64 " with %08" PRIx32, g->bucket, name, object.size, object.crc32c,
                              body->size, crc);
    }
    if (status == MM_OK) {
        gcs_object_out(&object, &out);
        snprintf(part->tag, sizeof(part->tag), "%s", out.etag);
    }
    cJSON_Delete(root);
    free(name);
    return status;
}

/* The number at the end of a part's name; 0: it is none. */
static unsigned number_of(const char *name)
{
    unsigned number = 0;
    for (size_t i = 0; i < NUMBER_SIZE; i++) {
        if (name[i] < '0' || name[i] > '9') {
            return 0;
        }
        number = number * 10 + (unsigned)(name[i] - '0');
    }
    return name[NUMBER_SIZE] == '\0' ? number : 0;
}

/* Calls fn for every object of the upload. */
typedef mm_status (*each_fn)(void *context, const char *key, const char *name, const mm_object *object, mm_error *err);
static mm_status each_object(gcs *g, const char *key, const char *id, each_fn fn, void *context, mm_error *err)
{
    mm_status status = MM_OK;
    char *folder = folder_of(key, id), *token = NULL;
    if (folder == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    do {
        mm_list_page page = {0};
        status = gcs_list(g, folder, token, &page, err);
        for (size_t i = 0; status == MM_OK && i < page.count; i++) {
            const char *found = page.items[i].key;
            status = fn(context, found, found + strlen(folder), &page.items[i].object, err);
        }
        free(token);
        token = page.next;
        page.next = NULL;
        mm_list_page_free(&page);
    } while (status == MM_OK && token != NULL);
    free(token);
    free(folder);
    return status;
}

static mm_status add_part(void *context, const char *key, const char *name, const mm_object *object, mm_error *err)
{
    unsigned number = number_of(name);
    (void)key;
    return number > 0 ? mm_part_list_add(context, number, object->size, object->etag, err) : MM_OK;
}

/* Whether the object under the key was composed by this upload: then what parts are left were about to be removed. */
static mm_status is_composed(gcs *g, const char *key, const char *id, bool *composed, mm_error *err)
{
    cJSON *root = NULL;
    mm_error looking = MM_ERROR_INIT;
    gcs_call call = {.method = "GET", .key = key};
    gcs_target(g, &call, "", key);
    gcs_query(&call, "fields", "metadata");
    mm_status status = gcs_send_json(g, &call, &root, &looking);
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(root, "metadata");
    const char *by = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, UPLOAD_ID));
    *composed = by != NULL && strcmp(by, id) == 0;
    cJSON_Delete(root);
    if (status == MM_OK || status == MM_NOT_FOUND) {
        return MM_OK;
    }
    if (err != NULL) {
        *err = looking;
    }
    return status;
}

mm_status gcs_upload_parts(void *self, const char *key, const char *id, mm_part_list *list, mm_error *err)
{
    gcs *g = self;
    bool composed;
    mm_status status = is_composed(g, key, id, &composed, err);
    if (status == MM_OK) {
        status = composed ? gcs_upload_abort(g, key, id, err) : each_object(g, key, id, add_part, list, err);
    }
    if (status == MM_OK && list->count == 0) { /* none sent yet, or composed: the object tells */
        status = mm_error_set(err, MM_NOT_FOUND, "gs://%s/%s: no part of upload %s is there", g->bucket, key, id);
    }
    return status;
}

static mm_status remove_object(void *context, const char *key, const char *name, const mm_object *object, mm_error *err)
{
    (void)name;
    (void)object;
    return gcs_remove(context, key, err);
}

mm_status gcs_upload_abort(void *self, const char *key, const char *id, mm_error *err)
{
    return each_object(self, key, id, remove_object, self, err);
}

/* --- completing --------------------------------------------------------------------------------- */

/* An object that is composed, or goes into a composition. */
typedef struct {
    char *name;
    gcs_object object;
} piece;

static bool tag_read(const char *tag, gcs_object *out)
{
    size_t digits = strspn(tag, "0123456789");
    char *end;
    if (digits == 0 || digits >= sizeof(out->generation) || tag[digits] != '-' || strlen(tag + digits + 1) != 8) {
        return false;
    }
    out->crc32c = (uint32_t)strtoul(tag + digits + 1, &end, 16);
    memcpy(out->generation, tag, digits);
    out->generation[digits] = '\0';
    return *end == '\0';
}

static void append_sources(mm_buffer *out, const char *id, const piece *pieces, size_t count)
{
    mm_buffer_printf(out, "{\"destination\":{\"contentType\":\"application/octet-stream\",\"metadata\":{\"" UPLOAD_ID
                     "\":\"%s\"}},\"sourceObjects\":[", id);
    for (size_t i = 0; i < count; i++) {
        mm_buffer_printf(out, "%s{\"name\":", i > 0 ? "," : "");
        mm_json_text(out, pieces[i].name);
        mm_buffer_printf(out, ",\"generation\":\"%s\"}", pieces[i].object.generation);
    }
    mm_buffer_printf(out, "]}");
}

/* Takes a wrong object away again, that one only. */
static void retract(gcs *g, const char *name, const gcs_object *made, mm_error *err)
{
    mm_error ignored = MM_ERROR_INIT;
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    gcs_call call = {.method = "DELETE", .key = name};
    gcs_target(g, &call, "", name);
    gcs_query(&call, "ifGenerationMatch", made->generation);
    if (gcs_send(g, &call, &reply, &ignored) != MM_OK) {
        mm_error_context(err, "this object is wrong and could not be removed: remove it by hand");
    }
    mm_http_reply_free(&reply);
}

/* Makes `name` of at most COMPOSE_MAX pieces and proves it. */
static mm_status compose(gcs *g, const char *name, const char *id, const piece *pieces, size_t count,
                         gcs_object *out, mm_error *err)
{
    cJSON *root = NULL;
    gcs_object made;
    mm_buffer sources = MM_BUFFER_INIT;
    uint64_t size = 0;
    uint32_t crc = 0;
    for (size_t i = 0; i < count; i++) {
        crc = mm_crc32c_combine(crc, pieces[i].object.crc32c, pieces[i].object.size);
        size += pieces[i].object.size;
    }
    append_sources(&sources, id, pieces, count);
    if (sources.failed) {
        mm_buffer_free(&sources);
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    gcs_call call = {.method = "POST", .key = name, .headers = {"Content-Type: application/json"}, .header_count = 1,
                     .body = {.bytes = sources.data, .size = sources.size}};
    gcs_target(g, &call, "", name);
    mm_buffer_printf(&call.target, "/compose");
    gcs_query(&call, "fields", GCS_FIELDS);
    mm_status status = gcs_send_json(g, &call, &root, err);
    if (status == MM_OK) {
        status = gcs_object_read(g, name, root, &made, err);
    }
    if (status == MM_OK && (made.size != size || made.crc32c != crc)) {
        status = mm_error_set(err, MM_MISMATCH, "gs://%s/%s was composed of %zu parts to %" PRIu64 " bytes with "
                              "CRC-32C %08" PRIx32 ", not %" PRIu64 " with %08" PRIx32, g->bucket, name, count, made.size,
                              made.crc32c, size, crc);
        retract(g, name, &made, err);
    }
    if (status == MM_OK) {
        *out = made;
    }
    cJSON_Delete(root);
    mm_buffer_free(&sources);
    return status;
}

static void free_pieces(piece *pieces, size_t count)
{
    for (size_t i = 0; pieces != NULL && i < count; i++) {
        free(pieces[i].name);
    }
    free(pieces);
}

static mm_status pieces_of(const char *key, const char *id, const mm_part *parts, size_t count, piece **out,
                           mm_error *err)
{
    piece *pieces = calloc(count > 0 ? count : 1, sizeof(*pieces));
    mm_status status = pieces != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        pieces[i].object.size = parts[i].size;
        if (!tag_read(parts[i].tag, &pieces[i].object)) {
            status = mm_error_set(err, MM_BUG, "%s: part %u has the tag '%s'", key, parts[i].number, parts[i].tag);
        } else if ((pieces[i].name = name_of(key, id, "", parts[i].number)) == NULL) {
            status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        }
    }
    if (status != MM_OK) {
        free_pieces(pieces, count);
        return status;
    }
    *out = pieces;
    return MM_OK;
}

/* More than COMPOSE_MAX: groups of as many, each an object of its own, which take the pieces' place. */
static mm_status group(gcs *g, const char *key, const char *id, piece **pieces, size_t *count, mm_error *err)
{
    size_t groups = (*count + COMPOSE_MAX - 1) / COMPOSE_MAX;
    piece *made = calloc(groups, sizeof(*made));
    mm_status status = made != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (size_t i = 0; status == MM_OK && i < groups; i++) {
        size_t first = i * COMPOSE_MAX, left = *count - first;
        made[i].name = name_of(key, id, "g", (unsigned)i + 1);
        size_t members = left < COMPOSE_MAX ? left : COMPOSE_MAX;
        status = made[i].name != NULL ? compose(g, made[i].name, id, *pieces + first, members, &made[i].object, err)
                                      : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    if (status != MM_OK) {
        free_pieces(made, groups);
        return status;
    }
    free_pieces(*pieces, *count);
    *pieces = made;
    *count = groups;
    return MM_OK;
}

mm_status gcs_upload_complete(void *self, const char *key, const char *id, const mm_part *parts, size_t count,
                              mm_object *out, mm_error *err)
{
    gcs *g = self;
    piece *pieces = NULL;
    gcs_object made;
    mm_status status = pieces_of(key, id, parts, count, &pieces, err);
    if (status == MM_OK && count > COMPOSE_MAX) {
        status = group(g, key, id, &pieces, &count, err);
    }
    if (status == MM_OK) {
        status = compose(g, key, id, pieces, count, &made, err);
    }
    if (status == MM_OK) { /* whatever a former try left goes, too */
        status = gcs_upload_abort(self, key, id, err);
    }
    if (status == MM_OK) {
        gcs_object_out(&made, out);
    }
    free_pieces(pieces, count);
    return status;
}

bool gcs_upload_made(void *self, const mm_object *object, const mm_part *parts, size_t count)
{
    gcs_object one, whole = {0};
    (void)self;
    for (size_t i = 0; i < count; i++) {
        if (!tag_read(parts[i].tag, &one)) {
            return false;
        }
        whole.crc32c = mm_crc32c_combine(whole.crc32c, one.crc32c, parts[i].size);
        whole.size += parts[i].size;
    }
    gcs_object there;
    return tag_read(object->etag, &there) && there.crc32c == whole.crc32c && object->size == whole.size;
}
