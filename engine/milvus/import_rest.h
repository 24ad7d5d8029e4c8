/* Bulk import over HTTP: the jobs of Milvus 2.4 and later (/v2/vectordb/jobs/import on the port of everything else),
 * and the same of Zilliz Cloud, whose control plane takes a cluster (or project and region) and URLs of objects with
 * the credentials to read them.
 *
 * Sources: the published REST references of Milvus v2.4 to v2.6 and of Zilliz Cloud v2; Milvus's
 * internal/distributed/proxy/httpserver. Knows no job of ours, no store, no retries. */
#ifndef MM_MILVUS_IMPORT_REST_H
#define MM_MILVUS_IMPORT_REST_H

#include "milvus/import_calls.h"
#include "net/http.h"

typedef struct mm_import_rest mm_import_rest;

/* Strings are copied. */
typedef struct mm_import_rest_config {
    const char *endpoint; /* http(s)://host[:port], without a path */
    const char *token;    /* API key or user:password; or user and password apart; or nothing */
    const char *user, *password;
    const char *database; /* NULL: the default one */
    const char *tls_ca;
    uint64_t timeout_ms;
    bool cloud; /* Zilliz Cloud: what follows is for it */
    const char *cluster_id;
    const char *project_id, *region_id; /* instead of a cluster */
    const char *access_key, *secret_key, *session_token; /* of the objects */
    const char *volume; /* the files are paths in this volume of the project; NULL: URLs */
} mm_import_rest_config;

mm_status mm_import_rest_open(const mm_import_rest_config *config, mm_import_rest **out, mm_error *err) MM_MUST_USE;
void mm_import_rest_close(mm_import_rest *rest);

typedef struct mm_import_rest_request {
    const char *collection; /* name or alias */
    const char *partition;  /* NULL: the default one, or decided by the partition key */
    const char *const *files; /* keys in the server's bucket, paths, URLs of objects, or paths in the volume; groups one after the other */
    size_t file_count, group_files; /* files of a group: 1, or one a field */
    const char *key; /* header Idempotency-Key: known to 2.6.24 and 3.0.2, ignored by others */
} mm_import_rest_request;

/* One job for all groups. Statuses as mm_milvus_import; a refusal of malformed requests is MM_CONFIG. */
mm_status mm_import_rest_create(mm_import_rest *rest, const mm_import_rest_request *request, char id[MM_IMPORT_ID],
                                mm_error *err) MM_MUST_USE;
/* An id that the server does not know (any more): MM_OK with MM_IMPORT_FORGOTTEN. */
mm_status mm_import_rest_state(mm_import_rest *rest, const char *id, mm_import_job *out, mm_error *err) MM_MUST_USE;
/* The job of a collection that has `file` among its files. skip: true for a job that it cannot be.
 * MM_NOT_READY: a job is there that does not tell its files yet (before its pre-import has ended). */
mm_status mm_import_rest_find(mm_import_rest *rest, const char *collection, const char *file,
                              bool (*skip)(void *context, const char *id), void *context, bool *found,
                              mm_import_job *out, mm_error *err) MM_MUST_USE;

/* --- parts, apart for tests -------------------------------------------------------------------------- */

/* What a description (the whole reply) says. names (may be NULL) gets the files' names, ' ' between; *named: there
 * are any. MM_UNAVAILABLE: not a description. */
mm_status mm_import_rest_read(const char *json, mm_import_job *out, mm_buffer *names, bool *named, mm_error *err) MM_MUST_USE;

#endif
