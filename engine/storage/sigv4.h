/* AWS Signature Version 4 by header: canonical request, string to sign, signature. Knows no service's operations.
 *
 * Source: "AWS Signature Version 4 signing process" (canonical request of S3: path encoded once, not normalised). */
#ifndef MM_STORAGE_SIGV4_H
#define MM_STORAGE_SIGV4_H

#include "base/error.h"
#include "base/util.h"

typedef struct mm_sigv4_pair {
    const char *name, *value; /* not encoded */
} mm_sigv4_pair;

/* The query string of pairs, encoded and in canonical order: to be sent and signed as it is. */
mm_status mm_sigv4_query(const mm_sigv4_pair *pairs, size_t count, mm_buffer *out, mm_error *err) MM_MUST_USE;

/* All borrowed. */
typedef struct mm_sigv4 {
    const char *access_key, *secret_key;
    const char *region, *service; /* "us-east-1", "s3" */
    const char *method;
    const char *host;  /* as in the Host header: with the port where it is not the scheme's own */
    const char *path;  /* as it is sent, encoded, from the slash on */
    const char *query; /* of mm_sigv4_query; NULL: none */
    /* "name: value": those that are to be signed besides host; names lower-case. x-amz-date is among them. */
    const char *const *headers;
    size_t header_count;
    const char *payload_hash; /* hexadecimal SHA-256 of the body, or UNSIGNED-PAYLOAD */
    const char *date;         /* "20261121T010203Z": the value of x-amz-date */
} mm_sigv4;

/* "20261121T010203Z" */
#define MM_SIGV4_DATE 17
void mm_sigv4_date(int64_t wall_ms, char out[MM_SIGV4_DATE]);

/* Appends the value of the Authorization header. */
mm_status mm_sigv4_sign(const mm_sigv4 *request, mm_buffer *authorization, mm_error *err) MM_MUST_USE;

#endif
