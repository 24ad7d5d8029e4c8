/* AWS credentials: where they come from, and renewing them before they expire. Order: the job's options; the
 * environment; the shared files' profile; web identity; the container's and the instance's role. Knows no S3.
 *
 * Source: "AWS SDKs and Tools Reference Guide", standardized credential providers. */
#ifndef MM_STORAGE_CREDENTIALS_H
#define MM_STORAGE_CREDENTIALS_H

#include "net/http.h"
#include "storage/storage_internal.h"

typedef struct mm_credentials {
    char *access_key, *secret_key;
    char *session_token; /* NULL: none */
    int64_t expires_ms;  /* wall clock; 0: never */
} mm_credentials;
void mm_credentials_free(mm_credentials *credentials);

/* What a profile and the environment say besides keys; strings malloc'd, NULL: nothing. */
typedef struct mm_credentials_hints {
    char *region;
    char *endpoint; /* of S3 */
} mm_credentials_hints;
void mm_credentials_hints_free(mm_credentials_hints *hints);

typedef struct mm_credentials_source mm_credentials_source;

typedef struct mm_credentials_config {
    const mm_storage_place *place;
    const char *key_names[2]; /* environment variables of another provider, asked before AWS's; NULL: none */
    const char *token_name;
    bool aws_roles; /* web identity, container, instance: AWS's own (and what imitates them) */
} mm_credentials_config;

/* Decides where credentials will come from; asks no service. MM_CONFIG: an incomplete pair, an unreadable file, a
 * profile that is not there, or nowhere to take any from. hints: what the environment and profile say of region and
 * endpoint. The config and its place are not kept. */
mm_status mm_credentials_open(const mm_credentials_config *config, mm_credentials_source **out,
                              mm_credentials_hints *hints, mm_error *err) MM_MUST_USE;
void mm_credentials_close(mm_credentials_source *source);

/* A copy of those that are valid now, renewed where they expire within minutes. refused: access key that the
 * service just called expired (NULL: none): when it is still the current one, new ones are fetched, whatever their
 * date. Any thread. MM_AUTH: the role's service refuses; MM_UNAVAILABLE: it is not reachable. */
mm_status mm_credentials_get(mm_credentials_source *source, const char *refused, mm_credentials *out,
                             mm_error *err) MM_MUST_USE;
/* Whether new ones can be had when these have expired. */
bool mm_credentials_renewable(const mm_credentials_source *source);

#endif
