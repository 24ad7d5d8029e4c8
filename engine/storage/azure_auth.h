/* Who asks Azure Blob Storage: an account's key (SharedKey), a shared access signature, or an identity's token.
 *
 * In this order: with storage_use_iam an identity alone; storage_session_token (SAS); storage_secret_key; the
 * environment's AZURE_STORAGE_SAS_TOKEN and AZURE_STORAGE_KEY, unless AZURE_STORAGE_ACCOUNT names another account; an
 * identity: AZURE_FEDERATED_TOKEN_FILE (workload identity) or AZURE_CLIENT_SECRET, each with AZURE_TENANT_ID and
 * AZURE_CLIENT_ID (AZURE_AUTHORITY_HOST says where); IDENTITY_ENDPOINT with IDENTITY_HEADER; the instance metadata
 * service (AZURE_POD_IDENTITY_AUTHORITY_HOST says where it is, AZURE_CLIENT_ID which identity). */
#ifndef MM_STORAGE_AZURE_AUTH_H
#define MM_STORAGE_AZURE_AUTH_H

#include "storage/storage_internal.h"

/* A name and its value: a header, or a parameter of the query (not encoded). */
typedef struct mm_pair {
    const char *name, *value;
} mm_pair;

typedef struct mm_azure_auth mm_azure_auth;

/* Reads no file, sends nothing. account: borrowed for the call. plain: the endpoint is http; loopback: it is on this
 * machine; a token goes in the clear only there. MM_CONFIG. */
mm_status mm_azure_auth_open(const mm_storage_place *place, const char *account, bool plain, bool loopback,
                             mm_azure_auth **out, mm_error *err) MM_MUST_USE;
void mm_azure_auth_close(mm_azure_auth *auth);

/* The value of the header Authorization: *out malloc'd, NULL when the query has a SAS instead. path: of the URL, as
 * it is sent; query: sorted by name; headers: those that are sent, names in lower case, sorted. Any thread. */
mm_status mm_azure_auth_header(mm_azure_auth *auth, const char *method, const char *path, const mm_pair *query,
                               size_t query_count, const mm_pair *headers, size_t header_count, uint64_t body_size,
                               char **out, mm_error *err) MM_MUST_USE;
/* The SAS without a question mark, to be appended to every query; NULL: none. */
const char *mm_azure_auth_sas(const mm_azure_auth *auth);
/* The service answered 401 to a token: true when the request is worth another try. */
bool mm_azure_auth_refused(mm_azure_auth *auth, const char *header);

/* The text that SharedKey signs. Source: "Authorize with Shared Key", versions 2015-02-21 and later: the account
 * stands before the path, so twice where the path has it, too (path style). */
mm_status mm_azure_string_to_sign(const char *account, const char *method, const char *path, const mm_pair *query,
                                  size_t query_count, const mm_pair *headers, size_t header_count, uint64_t body_size,
                                  mm_buffer *out, mm_error *err) MM_MUST_USE;

#endif
