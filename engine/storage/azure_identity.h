/* Tokens of Microsoft Entra identities for Azure Storage: of a workload, an application, a managed identity. Which of
 * them, the environment says: see azure_auth.h. */
#ifndef MM_STORAGE_AZURE_IDENTITY_H
#define MM_STORAGE_AZURE_IDENTITY_H

#include "base/error.h"

typedef struct mm_azure_identity mm_azure_identity;

/* Sends nothing. ca_file: for the authority, not for what is on the machine itself; NULL: the system's. */
mm_status mm_azure_identity_open(const char *ca_file, mm_azure_identity **out, mm_error *err) MM_MUST_USE;
void mm_azure_identity_close(mm_azure_identity *identity);
/* "Bearer …": malloc'd. Any thread. */
mm_status mm_azure_identity_header(mm_azure_identity *identity, char **out, mm_error *err) MM_MUST_USE;
/* The service answered 401 to this header. */
void mm_azure_identity_refused(mm_azure_identity *identity, const char *header);

#endif
