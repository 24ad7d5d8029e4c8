/* Who asks Google Cloud Storage: where the credentials come from, and the token that they give.
 *
 * In this order: the file of storage_credentials; with storage_use_iam the metadata server alone; nothing for an
 * endpoint of plain http (an emulator); the file of GOOGLE_APPLICATION_CREDENTIALS; gcloud's application default
 * credentials; the metadata server (GCE_METADATA_HOST says where it is). Files of the types service_account (a
 * signed JWT is exchanged for a token, RFC 7523) and authorized_user (a refresh token) are known. */
#ifndef MM_STORAGE_GCS_AUTH_H
#define MM_STORAGE_GCS_AUTH_H

#include "storage/storage_internal.h"

typedef struct mm_gcs_auth mm_gcs_auth;

/* Reads files, sends nothing. plain: the service's endpoint is http, loopback: it is on this machine; a token goes
 * in the clear only there. ca_file: NULL: the system's. MM_CONFIG. */
mm_status mm_gcs_auth_open(const mm_storage_place *place, bool plain, bool loopback, mm_gcs_auth **out,
                           mm_error *err) MM_MUST_USE;
void mm_gcs_auth_close(mm_gcs_auth *auth);
/* *token: malloc'd, the caller's; NULL when requests go out without one. Any thread. */
mm_status mm_gcs_auth_token(mm_gcs_auth *auth, char **token, mm_error *err) MM_MUST_USE;
/* The service answered 401 to `token`. */
void mm_gcs_auth_refused(mm_gcs_auth *auth, const char *token);

/* A JSON Web Token (RFC 7519) that asks `audience` for the scope on behalf of `email`, signed RS256 with a PEM key;
 * issued at `now_s`, good for an hour. key_id may be NULL. malloc'd. MM_CONFIG: the key is no RSA key. */
mm_status mm_gcs_jwt(const char *email, const char *key_pem, const char *key_id, const char *audience, int64_t now_s,
                     char **out, mm_error *err) MM_MUST_USE;

#endif
