/* What a driver of an object store implements, and what the drivers share. A driver does single requests; when to
 * repeat one, how a file is cut into parts and what a crash leaves is the business of storage.c and upload.c.
 *
 * A driver's functions may be called by several threads at once. They return classes as the engine wants them:
 * RETRY, RATE and UNKNOWN are tried again by the caller (every operation here may be repeated, see upload_complete
 * and put), others are returned. Messages name bucket, key, HTTP status, the service's code and message, and for
 * rights the next step; never a secret. */
#ifndef MM_STORAGE_STORAGE_INTERNAL_H
#define MM_STORAGE_STORAGE_INTERNAL_H

#include "net/http.h"
#include "storage/storage.h"

/* An option's value that stands instead of the job's; NULL: not given. */
typedef struct mm_storage_given {
    const char *name, *value;
} mm_storage_given;

/* What a location says; borrowed for open. */
typedef struct mm_storage_place {
    const char *location; /* as given, for messages */
    const char *scheme;   /* "s3" */
    const char *bucket;   /* between "://" and the next slash; not empty */
    const char *host;     /* where the location is an https URL of the service; else NULL */
    const mm_options *options; /* of a table that has MM_STORAGE_OPTIONS; NULL: defaults (read with mm_storage_option) */
    const mm_storage_given *given; /* looked at first; options is NULL then */
    size_t given_count;
} mm_storage_place;

/* Value of a storage_… option; NULL: not given, empty, or no options. */
const char *mm_storage_option(const mm_storage_place *place, const char *name);

/* One page of a listing. Filled by mm_list_page_add and mm_list_page_next; freed by the caller of `list`. */
typedef struct mm_list_item {
    char *key;
    mm_object object;
} mm_list_item;
typedef struct mm_list_page {
    mm_list_item *items; /* in the order of keys' bytes */
    size_t count, capacity;
    char *next; /* token of the next page; NULL: this was the last */
} mm_list_page;
mm_status mm_list_page_add(mm_list_page *page, const char *key, const mm_object *object, mm_error *err) MM_MUST_USE;
mm_status mm_list_page_next(mm_list_page *page, const char *token, mm_error *err) MM_MUST_USE;
void mm_list_page_free(mm_list_page *page);

/* A part of an upload in parts. tag: what the driver wants back at the end (etag, checksum); no control characters,
 * quotes or backslashes, since it stands in the upload's state. */
#define MM_PART_TAG 100
typedef struct mm_part {
    unsigned number; /* from 1 */
    uint64_t offset, size;
    bool sent;
    char tag[MM_PART_TAG];
} mm_part;

typedef struct mm_part_list {
    mm_part *items; /* malloc'd; number, size and tag of what the service holds, in any order */
    size_t count, capacity;
} mm_part_list;
mm_status mm_part_list_add(mm_part_list *list, unsigned number, uint64_t size, const char *tag,
                           mm_error *err) MM_MUST_USE;

/* All functions are required but where it says otherwise. */
typedef struct mm_storage_driver {
    const char *name;           /* for messages: "S3" */
    const char *const *schemes; /* "s3", …, NULL */
    unsigned parts_max;         /* of one upload */
    uint64_t part_max;          /* bytes of one part */

    /* Another driver, where the place's options want one; NULL, also as a result: this one. */
    const struct mm_storage_driver *(*instead)(const mm_storage_place *place);
    /* No request is sent. MM_CONFIG. */
    mm_status (*open)(const mm_storage_place *place, void **self, mm_error *err);
    void (*close)(void *self);
    char *(*http_url)(void *self, const char *key);

    mm_status (*stat)(void *self, const char *key, mm_object *out, mm_error *err);
    /* The page that `token` of the former page begins; NULL: the first. */
    mm_status (*list)(void *self, const char *prefix, const char *token, mm_list_page *page, mm_error *err);
    mm_status (*read)(void *self, const char *key, const char *etag, uint64_t offset, void *out, size_t size,
                      mm_error *err);
    /* The whole object in one request. out: may be NULL. The content is proven by a checksum that the service
     * verifies. fresh: MM_TARGET when the key exists (also when it is this request's own, repeated: the caller
     * looks). */
    mm_status (*put)(void *self, const char *key, const mm_http_body *body, bool fresh, mm_object *out, mm_error *err);
    mm_status (*remove)(void *self, const char *key, mm_error *err); /* absent: MM_OK */
    /* On the server's side; `to` is replaced. MM_NOT_FOUND: no `from`. */
    mm_status (*copy)(void *self, const char *from, const char *to, mm_error *err);

    /* Uploads in parts. id: text that a later process can go on with; malloc'd; no control characters. */
    mm_status (*upload_begin)(void *self, const char *key, uint64_t size, char **id, mm_error *err);
    /* Sends one part and proves its content; sets part->tag. MM_NOT_FOUND: the upload is gone. */
    mm_status (*upload_part)(void *self, const char *key, const char *id, mm_part *part, const mm_http_body *body,
                             mm_error *err);
    /* Parts that the service holds. MM_NOT_FOUND: the upload is gone. MM_TARGET, or NULL: it cannot be asked; the
     * recorded ones count. */
    mm_status (*upload_parts)(void *self, const char *key, const char *id, mm_part_list *list, mm_error *err);
    /* parts: all of them, in order, with their tags. out: the object as it is then. MM_NOT_FOUND: the upload is
     * gone (the caller looks whether a former try completed it). */
    mm_status (*upload_complete)(void *self, const char *key, const char *id, const mm_part *parts, size_t count,
                                 mm_object *out, mm_error *err);
    /* Whether an object of the right size is what these parts, all of them, make. In doubt false: it is then sent
     * again. */
    bool (*upload_made)(void *self, const mm_object *object, const mm_part *parts, size_t count);
    /* Gone already: MM_OK. MM_END: what is left cannot be removed, is not seen, and goes by itself. */
    mm_status (*upload_abort)(void *self, const char *key, const char *id, mm_error *err);
} mm_storage_driver;

extern const mm_storage_driver mm_storage_s3;
extern const mm_storage_driver mm_storage_gcs;
extern const mm_storage_driver mm_storage_azure;
extern const mm_storage_driver mm_storage_volume;

struct mm_storage {
    const mm_storage_driver *driver; /* NULL: the local file system */
    void *self;
    char *scheme, *bucket; /* NULL: local */
};

/* Repeating a request: false when `status` is final, else it has waited (the peer's wish, or a growing pause with
 * jitter) and the request is to be made again. Begin with {0}. */
typedef struct mm_retry {
    unsigned tries;
    uint64_t seed;
    bool unknown; /* a try's outcome was not known */
    bool (*stopping)(void *context); /* may be NULL: ends the wait, and the repeating */
    void *context;
} mm_retry;
bool mm_retry_again(mm_retry *retry, mm_status status, const mm_error *err);

/* Digests of a body, for signatures and checksums; hardware's instructions where libcrypto has them. MM_IO, MM_DATA
 * (the file is shorter). */
mm_status mm_body_sha256(const mm_http_body *body, uint8_t out[32], mm_error *err) MM_MUST_USE;
mm_status mm_body_md5(const mm_http_body *body, uint8_t out[16], mm_error *err) MM_MUST_USE;
mm_status mm_body_crc32c(const mm_http_body *body, uint32_t *out, mm_error *err) MM_MUST_USE;
/* Appends text percent-encoded: all but A-Z a-z 0-9 - . _ ~, and '/' where keep_slash. Source: RFC 3986. */
void mm_percent_encode(mm_buffer *out, const char *text, bool keep_slash);
/* A random id of an upload, lower-case hexadecimal digits. malloc'd; NULL: no memory. */
#define MM_STORAGE_ID_SIZE 16
char *mm_storage_id(void);
/* "Sat, 21 Nov 2026 01:02:03 GMT" or "2026-11-21T01:02:03.000Z" as wall milliseconds; 0: neither. */
int64_t mm_storage_time(const char *text);

/* local.c */
mm_status mm_local_stat(const char *path, mm_object *out, mm_error *err) MM_MUST_USE;
mm_status mm_local_list(const char *folder, mm_storage_list_fn fn, void *context, mm_error *err) MM_MUST_USE;
mm_status mm_local_read(const char *path, const char *etag, uint64_t offset, void *out, size_t size,
                        mm_error *err) MM_MUST_USE;
mm_status mm_local_put(const char *path, const void *bytes, size_t size, bool fresh, mm_error *err) MM_MUST_USE;
mm_status mm_local_remove(const char *path, mm_error *err) MM_MUST_USE;
mm_status mm_local_move(const char *from, const char *to, mm_error *err) MM_MUST_USE;
mm_status mm_local_upload(const mm_upload *upload, mm_object *out, mm_error *err) MM_MUST_USE;
mm_status mm_local_upload_abort(const char *path, mm_error *err) MM_MUST_USE;

/* upload.c: see mm_storage_upload. */
mm_status mm_upload_run(mm_storage *storage, const mm_upload *upload, mm_object *out, mm_error *err) MM_MUST_USE;
mm_status mm_upload_abort(mm_storage *storage, const char *key, const char *state, mm_error *err) MM_MUST_USE;

#endif
