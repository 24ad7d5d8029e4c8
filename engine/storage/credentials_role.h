/* Temporary credentials from the services that hand them out to machines: see credentials.h for who asks. */
#ifndef MM_STORAGE_CREDENTIALS_ROLE_H
#define MM_STORAGE_CREDENTIALS_ROLE_H

#include "storage/credentials.h"

typedef enum mm_role_kind { MM_ROLE_INSTANCE, MM_ROLE_CONTAINER, MM_ROLE_WEB_IDENTITY, MM_ROLE_ASSUME } mm_role_kind;

/* Strings as the kinds need them, malloc'd, NULL where not needed. */
typedef struct mm_role {
    mm_role_kind kind;
    char *endpoint;   /* INSTANCE: of the metadata service; CONTAINER: the URL; the others: of STS */
    char *token_file; /* CONTAINER: what to send as Authorization, or NULL; WEB_IDENTITY: the identity */
    char *token;      /* CONTAINER: the same, given directly */
    char *role_arn, *session_name, *external_id;
    char *region; /* of STS, for signing */
    mm_credentials base; /* ASSUME: who asks */
} mm_role;
void mm_role_free(mm_role *role);

/* One round of requests. As mm_credentials_get. */
mm_status mm_role_fetch(mm_http *http, const mm_role *role, mm_credentials *out, mm_error *err) MM_MUST_USE;

#endif
