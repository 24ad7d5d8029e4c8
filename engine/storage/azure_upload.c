/* Uploads in parts to Azure Blob Storage: blocks under the key's name, which nobody sees until a list of them is
 * committed. The service drops uncommitted blocks after a week, or when the blob is written in another way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "storage/azure_internal.h"
#include "storage/xml.h"

#define NUMBER_SIZE 5
#define BLOCK_NAME (AZURE_ID_SIZE + 1 + NUMBER_SIZE) /* all ids of a blob's blocks have to be of one length */

mm_status azure_upload_begin(void *self, const char *key, uint64_t size, char **id, mm_error *err)
{
    (void)self;
    (void)key;
    (void)size;
    *id = mm_storage_id();
    return *id != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static void block_id(const char *id, unsigned number, char out[MM_BASE64_SIZE(BLOCK_NAME)])
{
    char name[BLOCK_NAME + 1];
    snprintf(name, sizeof(name), "%.*s-%0*u", AZURE_ID_SIZE, id, NUMBER_SIZE, number);
    mm_base64(name, BLOCK_NAME, out);
}

/* The number of a block of this upload; 0: it is another's. */
static unsigned block_number(const char *id, const char *text)
{
    uint8_t name[BLOCK_NAME + 4];
    size_t size, length = strlen(text);
    unsigned number = 0;
    if (length != MM_BASE64_SIZE(BLOCK_NAME) - 1 || !mm_base64_decode(text, length, name, &size) ||
        size != BLOCK_NAME || memcmp(name, id, AZURE_ID_SIZE) != 0 || name[AZURE_ID_SIZE] != '-') {
        return 0;
    }
    for (size_t i = AZURE_ID_SIZE + 1; i < BLOCK_NAME; i++) {
        if (name[i] < '0' || name[i] > '9') {
            return 0;
        }
        number = number * 10 + (unsigned)(name[i] - '0');
    }
    return number;
}

mm_status azure_upload_part(void *self, const char *key, const char *id, mm_part *part, const mm_http_body *body,
                            mm_error *err)
{
    char block[MM_BASE64_SIZE(BLOCK_NAME)], md5[AZURE_MD5_TEXT];
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    azure_call call = {.method = "PUT", .key = key, .body = *body};
    mm_status status = azure_md5(body, md5, err);
    block_id(id, part->number, block);
    azure_query(&call, "comp", "block");
    azure_query(&call, "blockid", block);
    azure_header(&call, "content-md5", md5);
    if (status == MM_OK) {
        status = azure_send(self, &call, &reply, err);
    }
    if (status == MM_NOT_FOUND) { /* of the container: there is no session that could be gone */
        status = MM_TARGET;
        if (err != NULL) {
            err->status = status;
        }
    }
    if (status == MM_OK) {
        snprintf(part->tag, sizeof(part->tag), "%s", id);
    }
    mm_http_reply_free(&reply);
    return status;
}

/* --- what is there ------------------------------------------------------------------------------ */

typedef struct {
    const char *id;
    mm_part_list *list;
    unsigned number;
    uint64_t size;
} blocks;

static mm_status take_block(void *context, const char *path, const char *text, mm_error *err)
{
    static const char block[] = "BlockList/UncommittedBlocks/Block";
    blocks *b = context;
    if (strncmp(path, block, sizeof(block) - 1) != 0) {
        return MM_OK;
    }
    path += sizeof(block) - 1;
    if (strcmp(path, "/Name") == 0) {
        b->number = block_number(b->id, text);
    } else if (strcmp(path, "/Size") == 0) {
        b->size = strtoull(text, NULL, 10);
    } else if (path[0] == '\0' && b->number > 0) {
        return mm_part_list_add(b->list, b->number, b->size, b->id, err);
    }
    return MM_OK;
}

mm_status azure_upload_parts(void *self, const char *key, const char *id, mm_part_list *list, mm_error *err)
{
    blocks b = {.id = id, .list = list};
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    azure_call call = {.method = "GET", .key = key};
    azure_query(&call, "comp", "blocklist");
    azure_query(&call, "blocklisttype", "uncommitted");
    mm_status status = azure_send(self, &call, &reply, err);
    if (status == MM_OK) {
        status = mm_xml_walk(reply.body.size > 0 ? reply.body.data : "", reply.body.size, take_block, &b, err);
    }
    if (status == MM_OK && list->count == 0) { /* none sent yet, or committed: the blob tells */
        status = mm_error_set(err, MM_NOT_FOUND, "%s: no block of upload %s is there", key, id);
    }
    mm_http_reply_free(&reply);
    return status;
}

/* --- completing and giving up ------------------------------------------------------------------- */

static mm_status commit(azure *az, const char *key, const mm_buffer *list, const char *meta, const char *id,
                        bool fresh, mm_object *out, mm_error *err)
{
    char md5[AZURE_MD5_TEXT];
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    azure_call call = {.method = "PUT", .key = key, .body = {.bytes = list->data, .size = list->size}};
    mm_status status = list->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory")
                                    : azure_md5(&call.body, md5, err);
    azure_query(&call, "comp", "blocklist");
    azure_header(&call, "content-md5", md5);
    azure_header(&call, "content-type", "application/xml");
    azure_header(&call, "x-ms-blob-content-type", "application/octet-stream");
    azure_header(&call, meta, id);
    if (fresh) {
        azure_header(&call, "if-none-match", "*");
    }
    if (status == MM_OK) {
        status = azure_send(az, &call, &reply, err);
    }
    if (status != MM_OK &&
        (strcmp(call.code, "InvalidBlockList") == 0 || strcmp(call.code, "InvalidBlobOrBlock") == 0)) {
        status = mm_error_set(err, MM_NOT_FOUND, "%s: blocks of upload %s are gone", key, id);
    }
    if (status == MM_OK) {
        status = azure_object(az, key, &reply, out, err);
    }
    mm_http_reply_free(&reply);
    return status;
}

/* "Latest" finds a block also when it is committed already, so that a repeated completion is the same again. */
mm_status azure_upload_complete(void *self, const char *key, const char *id, const mm_part *parts, size_t count,
                                mm_object *out, mm_error *err)
{
    char block[MM_BASE64_SIZE(BLOCK_NAME)];
    mm_buffer list = MM_BUFFER_INIT;
    mm_object object;
    mm_buffer_printf(&list, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for (size_t i = 0; i < count; i++) {
        block_id(id, parts[i].number, block);
        mm_buffer_printf(&list, "<Latest>%s</Latest>", block);
    }
    mm_buffer_printf(&list, "</BlockList>");
    mm_status status = commit(self, key, &list, AZURE_META_UPLOAD, id, false, &object, err);
    mm_buffer_free(&list);
    return status == MM_OK ? azure_stat(self, key, out, NULL, err) : status; /* for its size */
}

bool azure_upload_made(void *self, const mm_object *object, const mm_part *parts, size_t count)
{
    const char *upload = strchr(object->etag, '~');
    (void)self;
    return upload != NULL && count > 0 && strcmp(upload + 1, parts[0].tag) == 0;
}

static mm_status remove_as(azure *az, const char *key, const char *etag, mm_error *err)
{
    char match[112];
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    azure_call call = {.method = "DELETE", .key = key};
    azure_quoted_etag(etag, match, sizeof(match));
    azure_header(&call, "if-match", match);
    mm_status status = azure_send(az, &call, &reply, err);
    mm_http_reply_free(&reply);
    return status == MM_NOT_FOUND ? MM_OK : status;
}

/* Blocks cannot be removed; writing the blob drops them. So where there is no blob, an empty one is made and removed
 * again; a crash in between is seen by its metadata. A blob that is there is left alone, and the blocks beside it go
 * by themselves. */
mm_status azure_upload_abort(void *self, const char *key, const char *id, mm_error *err)
{
    azure *az = self;
    char marked[AZURE_ID_SIZE + 1];
    mm_object object;
    mm_part_list left = {0};
    mm_error looking = MM_ERROR_INIT;
    mm_status status = azure_stat(az, key, &object, marked, &looking);
    if (status == MM_OK && object.size == 0 && strcmp(marked, id) == 0) {
        return remove_as(az, key, object.etag, err);
    }
    if (status != MM_OK && status != MM_NOT_FOUND) {
        if (err != NULL) {
            *err = looking;
        }
        return status;
    }
    bool there = status == MM_OK;
    status = azure_upload_parts(az, key, id, &left, err);
    free(left.items);
    if (status != MM_OK) {
        return status == MM_NOT_FOUND ? MM_OK : status;
    }
    if (there) {
        mm_log(MM_LOG_INFO, "%s: blocks of an upload that was given up stay beside the blob that is there; the service "
               "drops them within a week", key);
        return MM_END;
    }
    mm_buffer list = MM_BUFFER_INIT;
    mm_buffer_printf(&list, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList></BlockList>");
    status = commit(az, key, &list, AZURE_META_ABORT, id, true, &object, err);
    mm_buffer_free(&list);
    return status == MM_OK ? remove_as(az, key, object.etag, err) : status;
}
