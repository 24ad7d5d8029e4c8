/* What the files of the Azure Blob Storage driver share: one container, and its requests.
 *
 * Source of the format: Blob service REST API, version 2020-10-02 (from 2021-02-12 on a listing may encode names). */
#ifndef MM_STORAGE_AZURE_INTERNAL_H
#define MM_STORAGE_AZURE_INTERNAL_H

#include "storage/azure_auth.h"
#include "storage/endpoint.h"

#define AZURE_QUERY_MAX 6
#define AZURE_HEADERS_MAX 12
#define AZURE_MD5_TEXT 25
#define AZURE_ERROR_CODE 64

/* Metadata of a blob that was made of blocks: the upload's id. It is part of the etag that the driver gives out. */
#define AZURE_META_UPLOAD "x-ms-meta-mmresumeupload"
/* Of an empty blob that only exists to drop the blocks of an upload that was given up. */
#define AZURE_META_ABORT "x-ms-meta-mmresumeabort"

typedef struct azure {
    mm_http *http;
    mm_azure_auth *auth;
    char *account, *container;
    char *origin; /* scheme://host:port */
    char *base;   /* path of the container, encoded: "/container", "/account/container" */
} azure;

/* Values are borrowed until azure_send returns. */
typedef struct azure_call {
    const char *method;
    const char *key; /* NULL: the container */
    mm_pair query[AZURE_QUERY_MAX];
    size_t query_count;
    mm_pair headers[AZURE_HEADERS_MAX]; /* names in lower case */
    size_t header_count;
    mm_http_body body;
    void *into;
    size_t into_size;
    bool once; /* a second execution would be refused: libcurl must not repeat it by itself */
    char code[AZURE_ERROR_CODE]; /* filled in: the service's error code; "" */
} azure_call;

void azure_query(azure_call *call, const char *name, const char *value);
void azure_header(azure_call *call, const char *name, const char *value);
/* MM_OK: 2xx; else as mm_http_judge says, with the service's code and message. */
mm_status azure_send(azure *az, azure_call *call, mm_http_reply *reply, mm_error *err) MM_MUST_USE;
/* What the headers of a blob's answer say. size: Content-Length where it is the blob's. etag: "<etag>" or
 * "<etag>~<upload id>". */
mm_status azure_object(const azure *az, const char *key, const mm_http_reply *reply, mm_object *out,
                       mm_error *err) MM_MUST_USE;
void azure_etag(const char *etag, const char *upload, char *out, size_t size);
/* A blob's properties; abort: room for ID + 1 characters of AZURE_META_ABORT's value, NULL: not wanted. */
#define AZURE_ID_SIZE MM_STORAGE_ID_SIZE
mm_status azure_stat(azure *az, const char *key, mm_object *out, char *abort, mm_error *err) MM_MUST_USE;
/* Header content-md5 of a body. */
mm_status azure_md5(const mm_http_body *body, char out[AZURE_MD5_TEXT], mm_error *err) MM_MUST_USE;
/* "\"0x8D…\"" for If-Match, from an etag that the driver gave out. */
void azure_quoted_etag(const char *etag, char *out, size_t size);
/* The URL of a key; the caller's; NULL: no memory. */
char *azure_url(const azure *az, const char *key);

/* azure_upload.c: blocks, committed in the end. */
mm_status azure_upload_begin(void *self, const char *key, uint64_t size, char **id, mm_error *err);
mm_status azure_upload_part(void *self, const char *key, const char *id, mm_part *part, const mm_http_body *body,
                            mm_error *err);
mm_status azure_upload_parts(void *self, const char *key, const char *id, mm_part_list *list, mm_error *err);
mm_status azure_upload_complete(void *self, const char *key, const char *id, const mm_part *parts, size_t count,
                                mm_object *out, mm_error *err);
bool azure_upload_made(void *self, const mm_object *object, const mm_part *parts, size_t count);
mm_status azure_upload_abort(void *self, const char *key, const char *id, mm_error *err);

#endif
