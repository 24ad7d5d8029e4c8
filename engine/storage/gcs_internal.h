/* What the files of the Google Cloud Storage driver share: one bucket, its requests and its objects as JSON.
 *
 * Source of the format: Cloud Storage JSON API v1. Its integers of 64 bits are texts; crc32c is base64 of four
 * bytes, the highest first. */
#ifndef MM_STORAGE_GCS_INTERNAL_H
#define MM_STORAGE_GCS_INTERNAL_H

#include <cjson/cJSON.h>

#include "storage/endpoint.h"
#include "storage/gcs_auth.h"

#define GCS_FIELDS "name,size,generation,updated,crc32c"

typedef struct gcs {
    mm_http *http;
    mm_gcs_auth *auth;
    mm_endpoint endpoint;
    char *bucket;
    char *bucket_path; /* percent-encoded */
} gcs;

typedef struct gcs_call {
    const char *method;
    const char *key;  /* for messages; NULL: the bucket */
    mm_buffer target; /* path and query; freed by gcs_send */
    const char *headers[3];
    size_t header_count;
    mm_http_body body;
    void *into;
    size_t into_size;
    bool once; /* a second execution would be refused: libcurl must not repeat it by itself */
} gcs_call;

/* An object as the service describes it. */
typedef struct gcs_object {
    uint64_t size;
    char generation[24]; /* digits */
    uint32_t crc32c;
    int64_t modified_ms;
} gcs_object;

/* Puts "/storage/v1/b/<bucket>/o[/<key>]" (prefix: "" or "/upload") at the beginning of a call's target. */
void gcs_target(const gcs *g, gcs_call *call, const char *prefix, const char *key);
/* Appends ?name=value or &name=value. */
void gcs_query(gcs_call *call, const char *name, const char *value);
/* One request with a token; with a new one again when the first is refused. MM_OK: 2xx; else as mm_http_judge says,
 * with the service's message. */
mm_status gcs_send(gcs *g, gcs_call *call, mm_http_reply *reply, mm_error *err) MM_MUST_USE;
/* Its answer as JSON: *out is the caller's. */
mm_status gcs_send_json(gcs *g, gcs_call *call, cJSON **out, mm_error *err) MM_MUST_USE;

mm_status gcs_object_read(const gcs *g, const char *key, const cJSON *json, gcs_object *out, mm_error *err) MM_MUST_USE;
/* etag: "<generation>-<crc32c in hexadecimal>". */
void gcs_object_out(const gcs_object *object, mm_object *out);
bool gcs_crc32c_decode(const char *text, size_t length, uint32_t *out);
void gcs_crc32c_encode(uint32_t crc, char out[9]);
mm_status gcs_remove(gcs *g, const char *key, mm_error *err) MM_MUST_USE;
mm_status gcs_list(gcs *g, const char *prefix, const char *token, mm_list_page *page, mm_error *err) MM_MUST_USE;

/* gcs_upload.c: parts are objects of their own, composed in the end. */
mm_status gcs_upload_begin(void *self, const char *key, uint64_t size, char **id, mm_error *err);
mm_status gcs_upload_part(void *self, const char *key, const char *id, mm_part *part, const mm_http_body *body,
                          mm_error *err);
mm_status gcs_upload_parts(void *self, const char *key, const char *id, mm_part_list *list, mm_error *err);
mm_status gcs_upload_complete(void *self, const char *key, const char *id, const mm_part *parts, size_t count,
                              mm_object *out, mm_error *err);
bool gcs_upload_made(void *self, const mm_object *object, const mm_part *parts, size_t count);
mm_status gcs_upload_abort(void *self, const char *key, const char *id, mm_error *err);

#endif
