/* Bearer tokens of cloud services: one that several threads use, fetched when there is none and again before it
 * ends; and the request that fetches it, which all OAuth 2 endpoints answer alike (RFC 6749, section 5). */
#ifndef MM_STORAGE_TOKEN_H
#define MM_STORAGE_TOKEN_H

#include <pthread.h>

#include "net/http.h"

/* Sets *token (malloc'd) and how long it is good for. */
typedef mm_status (*mm_token_fetch)(void *context, char **token, uint64_t *lifetime_ms, mm_error *err);

typedef struct mm_token {
    pthread_mutex_t lock; /* held while one is fetched: the others wait for it */
    mm_token_fetch fetch;
    void *context;
    char *text; /* NULL: none */
    uint64_t refresh_at_ms, ends_ms; /* monotonic */
} mm_token;

void mm_token_init(mm_token *token, mm_token_fetch fetch, void *context);
void mm_token_free(mm_token *token);
/* *text: a copy, the caller's. While an old token is good, a failure to fetch the next one is passed over. */
mm_status mm_token_get(mm_token *token, char **text, mm_error *err) MM_MUST_USE;
/* The service refused `text`: it is not given out again. */
void mm_token_refused(mm_token *token, const char *text);

/* Asks an endpoint. `what` names it in messages ("token endpoint of the service account …"). The answer's JSON has
 * access_token, and expires_in (number or text) or expires_on (seconds since 1970). MM_AUTH: refused, with the
 * endpoint's error and description; MM_NOT_FOUND: 404; MM_DATA: an answer that is none. */
mm_status mm_token_request(mm_http *http, const mm_http_request *request, const char *what, char **token,
                           uint64_t *lifetime_ms, mm_error *err) MM_MUST_USE;

/* Appends &name=value (without & at the beginning of out), percent-encoded: application/x-www-form-urlencoded. */
void mm_form_add(mm_buffer *out, const char *name, const char *value);
/* A small text file (1 MiB at most), NUL behind it, malloc'd. MM_CONFIG: not readable, empty or too large. */
mm_status mm_credentials_file(const char *path, char **out, size_t *size, mm_error *err) MM_MUST_USE;

#endif
