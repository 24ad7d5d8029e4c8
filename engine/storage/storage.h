/* Objects under keys: the local file system, S3 and what speaks it, Google Cloud Storage, Azure Blob.
 *
 * One mm_storage is one bucket (container; the local file system) with its credentials. It may be used
 * by several threads at once. A key is the object's whole name in the bucket, verbatim; on the local file
 * system it is an absolute path. Requests are retried here, by class, a few times with backoff, since a
 * single part of a transfer must not restart it; what is then still failing is returned. Every byte that
 * arrives is checked (length, and the checksum where the service gives one). */
#ifndef MM_STORAGE_STORAGE_H
#define MM_STORAGE_STORAGE_H

#include "base/error.h"
#include "base/util.h"
#include "config/options.h"

typedef struct mm_storage mm_storage;

/* Keys that every driver that uses a storage puts into its option table (macro MM_STORAGE_OPTIONS). */
#define MM_STORAGE_OPTIONS                                                                                        \
    {.name = "storage_endpoint", .type = MM_OPT_STRING,                                                           \
     .help = "URL of the object store's API; default: the provider's own for the scheme and region"},             \
    {.name = "storage_region", .type = MM_OPT_STRING,                                                             \
     .help = "region that requests are signed for; default: from the environment or profile, else us-east-1"},    \
    {.name = "storage_access_key", .type = MM_OPT_STRING,                                                         \
     .help = "access key id (S3), HMAC key (gs), account name (az); default: environment, profile, role"},        \
    {.name = "storage_secret_key", .type = MM_OPT_STRING, .secret = true,                                         \
     .help = "secret of the access key; az: the account key; volume: the API key of Zilliz Cloud"},                                                    \
    {.name = "storage_session_token", .type = MM_OPT_STRING, .secret = true,                                      \
     .help = "token of temporary credentials; az: a SAS token; gs: an OAuth access token"},                                                  \
    {.name = "storage_credentials", .type = MM_OPT_PATH,                                                          \
     .help = "file with credentials: a service account's JSON (gs), a shared credentials file (s3)"},             \
    {.name = "storage_profile", .type = MM_OPT_STRING, .help = "profile in the shared credentials file"},         \
    {.name = "storage_use_iam", .type = MM_OPT_BOOL, .default_value = "false",                                    \
     .help = "take credentials from the machine's role only: instance metadata, container, web identity"},        \
    {.name = "storage_style", .type = MM_OPT_ENUM, .choices = "auto|path|virtual", .default_value = "auto",       \
     .help = "where the bucket's name stands in a URL: in the path or in the host"},                              \
    {.name = "storage_ca", .type = MM_OPT_PATH, .help = "PEM file of authorities instead of the system's"}

typedef struct mm_object {
    uint64_t size;
    char etag[96];       /* opaque: changes when the content does; local: inode, size and mtime */
    int64_t modified_ms; /* wall clock; 0: not known */
} mm_object;

/* True for "scheme://…" of an object store (s3, oss, cos, r2, gs, az, volume; https of a blob of Azure); false for a local path or file://. */
bool mm_storage_is_remote(const char *location);
/* The storage that holds `location` (s3://bucket/key, /a/path, …) and the key in it (malloc'd, the caller's).
 * options: of a table that has MM_STORAGE_OPTIONS; NULL: defaults (local files, tools). No request is sent.
 * MM_CONFIG: names what is wrong with the location or the credentials' source. */
mm_status mm_storage_open(const char *location, const mm_options *options, mm_storage **out, char **key,
                          mm_error *err) MM_MUST_USE;
void mm_storage_close(mm_storage *storage);
bool mm_storage_local(const mm_storage *storage);
/* "s3://bucket/key" of a key: for messages, manifests, and services that take URLs. malloc'd; NULL: no memory. */
char *mm_storage_url(const mm_storage *storage, const char *key);
/* The service's own https URL of a key, as services want it that fetch objects themselves. malloc'd. */
char *mm_storage_http_url(const mm_storage *storage, const char *key);

/* MM_NOT_FOUND when there is none. */
mm_status mm_storage_stat(mm_storage *storage, const char *key, mm_object *out, mm_error *err) MM_MUST_USE;
/* Every object whose key begins with `prefix`, in the order of keys' bytes, all pages. A status other than
 * MM_OK from fn ends the listing and is returned. Local: regular files below the folder `prefix`. */
typedef mm_status (*mm_storage_list_fn)(void *context, const char *key, const mm_object *object, mm_error *err);
mm_status mm_storage_list(mm_storage *storage, const char *prefix, mm_storage_list_fn fn, void *context,
                          mm_error *err) MM_MUST_USE;
/* Exactly `size` bytes from `offset`. etag: of the object as it was opened (NULL: any): MM_CHANGED when it is
 * another one now. MM_DATA: the object is shorter. */
mm_status mm_storage_read(mm_storage *storage, const char *key, const char *etag, uint64_t offset, void *out,
                          size_t size, mm_error *err) MM_MUST_USE;
/* A small object, whole and at once (local: temporary file, fsync, rename, 0600). fresh: MM_TARGET when the key
 * exists already. */
mm_status mm_storage_put(mm_storage *storage, const char *key, const void *bytes, size_t size, bool fresh,
                         mm_error *err) MM_MUST_USE;
/* Absent is fine. */
mm_status mm_storage_remove(mm_storage *storage, const char *key, mm_error *err) MM_MUST_USE;
/* Another name for the object; the old one is gone afterwards (local: rename; else a copy on the server's side
 * and a removal). Repeating it after a crash is fine: MM_OK when `from` is absent and `to` is there. */
mm_status mm_storage_move(mm_storage *storage, const char *from, const char *to, mm_error *err) MM_MUST_USE;

/* Uploads a local file that does not change any more. In parts, several at once, where it is large. */
typedef struct mm_upload {
    const char *path; /* local file */
    const char *key;
    /* Where a former process came to: the text that it last gave to `progress`; NULL: begin. Parts that the
     * service still has are not sent again. */
    const char *state;
    /* Called before the first part is sent and after some of them are there, for committing (may be NULL). A
     * status other than MM_OK ends the upload and is returned. Text of at most 64 KiB. */
    mm_status (*progress)(void *context, const char *state, mm_error *err);
    bool (*stopping)(void *context); /* ends early with MM_INTERRUPTED; may be NULL */
    void *context;
    unsigned connections; /* at once; 0: 4 */
} mm_upload;
/* MM_OK: the object is there, whole, as *out describes, and its content was verified by the service's checksum.
 * Idempotent for the same file and key. Local: a copy by way of a temporary name, fsynced. */
mm_status mm_storage_upload(mm_storage *storage, const mm_upload *upload, mm_object *out, mm_error *err) MM_MUST_USE;
/* Gives up an upload that `state` describes: no part stays behind. */
mm_status mm_storage_upload_abort(mm_storage *storage, const char *key, const char *state, mm_error *err) MM_MUST_USE;

#endif
