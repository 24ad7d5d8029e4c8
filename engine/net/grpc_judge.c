/* What a gRPC call's end proves about the request: executed, certainly not executed, or not known; and the
 * framing of replies. Knows nothing of connections. */
#include "net/grpc_internal.h"

#include <ctype.h>
#include <string.h>

bool mm_grpc_unframe(const uint8_t *body, size_t size, const uint8_t **message, size_t *length)
{
    if (size < GRPC_PREFIX || body[0] != 0) {
        return false;
    }
    size_t said = (size_t)body[1] << 24 | (size_t)body[2] << 16 | (size_t)body[3] << 8 | body[4];
    if (said != size - GRPC_PREFIX) {
        return false;
    }
    *message = body + GRPC_PREFIX;
    *length = said;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void mm_grpc_decode_message(const char *text, size_t size, char *out, size_t capacity)
{
    size_t used = 0;
    for (size_t i = 0; i < size && used + 1 < capacity; i++) {
        char c = text[i];
        if (c == '%' && i + 2 < size && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        }
        out[used++] = (unsigned char)c < 0x20 || c == 0x7F ? ' ' : c;
    }
    if (capacity > 0) {
        out[used] = '\0';
    }
}

/* What the transport's failure proves. A server executes a unary call only when it has the whole
 * message; as long as libcurl was not handed the last byte, it cannot have it. */
static mm_status judge_transport(mm_grpc_channel *ch, const mm_grpc_call *call, CURLcode code,
                                 mm_error *err)
{
    const char *text = ch->curl_error[0] != '\0' ? ch->curl_error : curl_easy_strerror(code);
    if (code == CURLE_SSL_CONNECT_ERROR && strstr(text, "wrong version number")) /* how OpenSSL calls an answer in clear */
        return mm_error_set(err, MM_UNAVAILABLE, "%s: no TLS is spoken there (%s); http:// is without", ch->endpoint, text);
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return mm_error_set(err, MM_AUTH, "%s: %s", ch->endpoint, text);
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return mm_error_set(err, MM_CONFIG, "%s: %s", ch->endpoint, text);
    case CURLE_OUT_OF_MEMORY:
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    default:
        break;
    }
    if (ch->handed < ch->total) {
        /* a stream reset in mid-request without a word is how some servers refuse a large one */
        if (code == CURLE_HTTP2_STREAM && ch->total > 2 * GRPC_UPLOAD_BUFFER) {
            return mm_error_set(err, MM_TOO_LARGE, "%s: stream reset after %zu of %zu bytes: %s",
                                ch->endpoint, ch->handed, ch->total, text);
        }
        return mm_error_set(err, MM_UNAVAILABLE, "%s: %s", ch->endpoint, text);
    }
    if (ch->body_too_large) {
        return mm_error_set(err, call->repeatable ? MM_TOO_LARGE : MM_UNKNOWN,
                            "%s: reply above %zu bytes", ch->endpoint, ch->reply_max);
    }
    return mm_error_set(err, call->repeatable ? MM_UNAVAILABLE : MM_UNKNOWN, "%s: %s", ch->endpoint, text);
}

/* HTTP status without a grpc-status: something between us and the server answered. Codes as the gRPC
 * specification maps them. */
static mm_status judge_http(mm_grpc_channel *ch, const mm_grpc_call *call, long http, mm_error *err)
{
    mm_status unsure = call->repeatable ? MM_UNAVAILABLE : MM_UNKNOWN;
    switch (http) {
    case 200:
        if (ch->has_content_type && !ch->content_type_grpc) {
            return mm_error_set(err, MM_TARGET, "%s is no gRPC server", ch->endpoint);
        }
        return mm_error_set(err, unsure, "%s: reply without a grpc-status", ch->endpoint);
    case 401:
    case 403:
        return mm_error_set(err, MM_AUTH, "%s: HTTP status %ld", ch->endpoint, http);
    case 400:
    case 404:
    case 405:
    case 415:
        return mm_error_set(err, MM_TARGET, "%s is no gRPC server (HTTP status %ld)", ch->endpoint, http);
    case 413:
        return mm_error_set(err, MM_TOO_LARGE, "%s: HTTP status 413", ch->endpoint);
    case 429:
        return mm_error_set(err, MM_RATE_LIMITED, "%s: HTTP status 429", ch->endpoint);
    default:
        return mm_error_set(err, unsure, "%s: HTTP status %ld", ch->endpoint, http);
    }
}

/* A grpc-status other than 0. Only those are taken as proof of non-execution that a server gives
 * before it calls the handler. */
static mm_status judge_grpc(mm_grpc_channel *ch, const mm_grpc_call *call, mm_error *err)
{
    mm_status unsure = call->repeatable ? MM_UNAVAILABLE : MM_UNKNOWN;
    mm_status status = unsure;
    switch (ch->grpc_status) {
    case 3:  /* INVALID_ARGUMENT */
    case 9:  /* FAILED_PRECONDITION */
    case 11: /* OUT_OF_RANGE */
        status = MM_DATA;
        break;
    case 5: /* NOT_FOUND */
        status = MM_NOT_FOUND;
        break;
    case 7:  /* PERMISSION_DENIED */
    case 16: /* UNAUTHENTICATED */
        status = MM_AUTH;
        break;
    case 8: /* RESOURCE_EXHAUSTED */
        if (strcasestr(ch->message, "send message larger") != NULL) {
            status = call->repeatable ? MM_TOO_LARGE : MM_UNKNOWN; /* it is the reply that is too large */
        } else if (strcasestr(ch->message, "larger than") != NULL) {
            status = MM_TOO_LARGE;
        } else {
            status = MM_RATE_LIMITED;
        }
        break;
    case MM_GRPC_UNIMPLEMENTED:
        status = MM_TARGET;
        break;
    default:
        break;
    }
    return mm_error_set(err, status, "%s: grpc-status %d: %s", ch->endpoint, ch->grpc_status, ch->message);
}

mm_status mm_grpc_judge(mm_grpc_channel *ch, const mm_grpc_call *call, CURLcode code, mm_grpc_reply *reply,
                        mm_error *err)
{
    long http = 0;
    curl_easy_getinfo(ch->curl, CURLINFO_RESPONSE_CODE, &http);
    reply->grpc_status = ch->grpc_status;
    if (ch->body.failed) {
        return mm_error_set(err, call->repeatable ? MM_NO_MEMORY : MM_UNKNOWN, "out of memory for a reply");
    }
    if (ch->grpc_status > 0) {
        return judge_grpc(ch, call, err); /* also where the stream was reset after the trailers */
    }
    if (code != CURLE_OK) {
        return judge_transport(ch, call, code, err);
    }
    if (ch->grpc_status == MM_GRPC_NO_STATUS || http != 200) {
        return judge_http(ch, call, http, err);
    }
    const uint8_t *data;
    size_t size;
    if (!mm_grpc_unframe((const uint8_t *)ch->body.data, ch->body.size, &data, &size)) {
        return mm_error_set(err, call->repeatable ? MM_UNAVAILABLE : MM_UNKNOWN,
                            "%s: malformed reply of %zu bytes", ch->endpoint, ch->body.size);
    }
    reply->data = data;
    reply->size = size;
    return MM_OK;
}
