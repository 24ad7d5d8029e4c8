/* Parts of the S3 driver: one bucket's client, a signed request, and the XML of answers. Other drivers that speak
 * S3's API with keys of their own are given to this one (GCS with HMAC keys). */
#ifndef MM_STORAGE_S3_H
#define MM_STORAGE_S3_H

#include <pthread.h>
#include <stdatomic.h>

#include "storage/credentials.h"
#include "storage/sigv4.h"
#include "storage/storage_internal.h"

/* How one provider differs. */
typedef struct mm_s3_provider {
    const char *scheme;
    const char *endpoint;      /* with at most one %s, for the region; NULL: must be given */
    const char *region;        /* when none is given; NULL: must be given where the endpoint needs one */
    const char *key_names[2];  /* its own environment variables; NULL: only AWS's */
    const char *token_name;
    const char *fresh_header;  /* what makes a PUT create only; NULL: it has to be looked before */
    bool checksum;             /* takes x-amz-checksum-sha256; else Content-MD5 is sent */
    bool aws_roles;
    bool virtual_only;         /* refuses the bucket's name in the path */
} mm_s3_provider;
const mm_s3_provider *mm_s3_provider_find(const char *scheme);

/* One bucket. */
typedef struct mm_s3 {
    const mm_s3_provider *provider;
    mm_http *http;
    mm_credentials_source *credentials;
    char *bucket;
    char *base_path;       /* of the endpoint, without a slash at its end: "" mostly */
    bool tls, virtual_host;
    bool own_endpoint;     /* the provider's default: follows the bucket's region */
    pthread_mutex_t lock;  /* of the next two, which change when the service names the bucket's region */
    char *region, *host;   /* host: of the endpoint, with a port that is not the scheme's own */
    atomic_llong skew_ms;  /* the service's clock less ours */
} mm_s3;

mm_status mm_s3_open(const mm_storage_place *place, const mm_s3_provider *provider, mm_s3 **out,
                     mm_error *err) MM_MUST_USE;
void mm_s3_close(mm_s3 *s3);

/* One request. Borrowed: all but reply. */
typedef struct mm_s3_call {
    const char *method;
    const char *key;    /* NULL: the bucket itself */
    const char *action; /* the right that it needs, for messages: "s3:PutObject" */
    const mm_sigv4_pair *query;
    size_t query_count;
    const char *headers[10]; /* "name: value", names in lower case; up to the first NULL */
    mm_http_body body;
    const uint8_t *sha256; /* of the body; NULL: computed */
    bool once;             /* repeating it is not harmless: an unknown outcome is told as such */
    uint64_t stall_ms;     /* 0: the default */
    void *into;
    size_t into_size;
    mm_http_reply reply; /* the caller's to free, also after a failure */
} mm_s3_call;

/* Signs, sends, and judges; renews credentials, corrects the clock's skew and follows the bucket's region, each at
 * most once. MM_OK: status 2xx. The error names place, status, S3's code and what to do. */
mm_status mm_s3_perform(mm_s3 *s3, mm_s3_call *call, mm_error *err) MM_MUST_USE;
/* For answers with status 200 whose body may be an error all the same (complete, copy). */
mm_status mm_s3_judge_body(mm_s3 *s3, const mm_s3_call *call, mm_error *err) MM_MUST_USE;
/* https://host/path of a key. malloc'd. */
char *mm_s3_url(mm_s3 *s3, const char *key);

/* The body's SHA-256 and its Base64, and the header that proves the body: that digest, or Content-MD5 where the service
 * does not take it. *header: malloc'd. */
mm_status mm_s3_prove_body(mm_s3 *s3, const mm_http_body *body, uint8_t sha256[32], char sha256_text[45], char **header,
                           mm_error *err) MM_MUST_USE;
/* Compares with what the service says it has stored, where it says so. */
mm_status mm_s3_check_stored(const mm_s3_call *call, const char *sha256_text, mm_error *err) MM_MUST_USE;
/* Base64 of exactly `size` bytes, at most 32. */
bool mm_s3_decode(const char *text, uint8_t *out, size_t size) MM_MUST_USE;

/* Operations of the driver's table that stand in s3_upload.c, and the one of s3.c that they need. */
mm_status mm_s3_stat(void *self, const char *key, mm_object *out, mm_error *err);
mm_status mm_s3_upload_begin(void *self, const char *key, uint64_t size, char **id, mm_error *err);
mm_status mm_s3_upload_part(void *self, const char *key, const char *id, mm_part *part, const mm_http_body *body,
                            mm_error *err);
mm_status mm_s3_upload_parts(void *self, const char *key, const char *id, mm_part_list *list, mm_error *err);
mm_status mm_s3_upload_complete(void *self, const char *key, const char *id, const mm_part *parts, size_t count,
                                mm_object *out, mm_error *err);
bool mm_s3_upload_made(void *self, const mm_object *object, const mm_part *parts, size_t count);
mm_status mm_s3_upload_abort(void *self, const char *key, const char *id, mm_error *err);
mm_status mm_s3_copy(void *self, const char *from, const char *to, mm_error *err);

/* The XML of answers. Texts are truncated to fit. */
typedef struct mm_s3_failure {
    char code[64], message[400], region[64];
} mm_s3_failure;
/* Whatever the body is, *out is set; code "" when it is no S3 error. */
void mm_s3_read_failure(const mm_http_reply *reply, mm_s3_failure *out);
mm_status mm_s3_read_list(const mm_http_reply *reply, mm_list_page *page, mm_error *err) MM_MUST_USE;
/* *next_marker: 0: the last page. */
mm_status mm_s3_read_parts(const mm_http_reply *reply, mm_part_list *list, unsigned *next_marker,
                           mm_error *err) MM_MUST_USE;
/* The text of the first element called `name` at any depth below the root: malloc'd; *out NULL: none. */
mm_status mm_s3_read_element(const mm_http_reply *reply, const char *name, char **out, mm_error *err) MM_MUST_USE;
/* An etag without its quotes, truncated. */
void mm_s3_copy_etag(const char *text, char *out, size_t size);

#endif
