/* HTTP requests on libcurl: the pool of handles, the bytes of a request and its answer, and what a failure proves. */
#include "net/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/transport.h"

#define SEND_BUFFER (256L * 1024)
#define RECEIVE_BUFFER (256L * 1024)
#define HEADERS_MAX (256u * 1024)
#define REPLY_MAX ((size_t)64 << 20)
/* Larger bodies go by HTTP/1.1: libcurl (7.88 at least) spins while HTTP/2's flow control holds an upload back, and
 * a connection that carries one request at a time gains nothing from it. */
#define BULK (1u << 20)

/* One handle with its connection: in use by one thread, or idle in the pool. */
typedef struct handle {
    CURL *curl;
    struct handle *next;
    char curl_error[CURL_ERROR_SIZE];
} handle;

struct mm_http {
    pthread_mutex_t lock; /* of idle */
    handle *idle;         /* the last one used comes first: its connection is the likeliest to live */
    char *ca_file, *ca_pem, *client_cert, *client_key; /* NULL: none */
    bool direct;
    uint64_t connect_timeout_ms, stall_timeout_ms;
};

/* A request under way. */
typedef struct transfer {
    const mm_http_request *request;
    mm_http_reply *reply;
    mm_http_body body;
    uint64_t sent; /* bytes of the body handed to libcurl */
    size_t reply_max;
    bool sends_body;
    bool too_large, no_memory, stopped;
    bool short_file;
    int read_errno;
} transfer;

/* --- callbacks ---------------------------------------------------------------------------------------------- */

static size_t read_body(char *out, size_t size, size_t count, void *context)
{
    transfer *t = context;
    uint64_t left = t->body.size - t->sent;
    size_t room = size * count, part = left < room ? (size_t)left : room;
    if (part == 0)
        return 0;
    if (t->body.cancel && atomic_load(t->body.cancel)) {
        t->stopped = true;
        return CURL_READFUNC_ABORT;
    }
    if (t->body.bytes) {
        memcpy(out, (const char *)t->body.bytes + t->sent, part);
    } else {
        ssize_t got;
        do
            got = pread(t->body.fd, out, part, (off_t)(t->body.offset + t->sent));
        while (got < 0 && errno == EINTR);
        if (got <= 0) {
            t->read_errno = got < 0 ? errno : 0;
            t->short_file = got == 0;
            return CURL_READFUNC_ABORT;
        }
        part = (size_t)got;
    }
    t->sent += part;
    return part;
}

/* libcurl repeats a request by itself when a reused connection turns out dead. Only a repeatable request may be
 * sent from the start again: see begin_transfer. */
static int seek_body(void *context, curl_off_t offset, int origin)
{
    transfer *t = context;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->body.size)
        return CURL_SEEKFUNC_FAIL;
    t->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t write_reply(char *data, size_t size, size_t count, void *context)
{
    transfer *t = context;
    size_t bytes = size * count;
    mm_http_reply *reply = t->reply;
    if (t->request->into && reply->status >= 200 && reply->status < 300) {
        if (bytes > t->request->into_size - reply->into_size) {
            t->too_large = true;
            return 0;
        }
        memcpy((char *)t->request->into + reply->into_size, data, bytes);
        reply->into_size += bytes;
        return bytes;
    }
    if (bytes > t->reply_max - reply->body.size) {
        t->too_large = true;
        return 0;
    }
    mm_buffer_append(&reply->body, data, bytes);
    t->no_memory |= reply->body.failed;
    return reply->body.failed ? 0 : bytes;
}

static void clear_reply(mm_http_reply *reply)
{
    reply->status = 0;
    reply->body.size = reply->headers.size = reply->into_size = 0;
    reply->body.failed = reply->headers.failed = false;
    reply->retry_after_ms = 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A status line begins an answer (there may be several: 100, or a proxy's), a header line adds to it. */
static size_t read_header(char *line, size_t size, size_t count, void *context)
{
    transfer *t = context;
    mm_http_reply *reply = t->reply;
    size_t bytes = size * count, end = bytes;
    if (bytes > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        clear_reply(reply);
        const char *space = memchr(line, ' ', bytes);
        size_t left = space ? bytes - (size_t)(space - line) : 0;
        for (size_t i = 1; i < left && i <= 3 && space[i] >= '0' && space[i] <= '9'; i++)
            reply->status = reply->status * 10 + (space[i] - '0');
        return bytes;
    }
    const char *colon = memchr(line, ':', bytes);
    if (colon == NULL)
        return bytes;
    size_t name = (size_t)(colon - line), value = name + 1;
    while (value < end && is_blank(line[value]))
        value++;
    while (end > value && is_blank(line[end - 1]))
        end--;
    if (reply->headers.size + bytes > HEADERS_MAX || memchr(line, '\0', bytes) != NULL)
        return bytes;
    mm_buffer_append(&reply->headers, line, name);
    mm_buffer_append(&reply->headers, "", 1);
    mm_buffer_append(&reply->headers, line + value, end - value);
    mm_buffer_append(&reply->headers, "", 1);
    t->no_memory |= reply->headers.failed;
    return reply->headers.failed ? 0 : bytes;
}

static int watch(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    transfer *t = context;
    (void)a, (void)b, (void)c, (void)d;
    t->stopped = t->stopped || t->request->stopping(t->request->context);
    return t->stopped ? 1 : 0;
}

/* --- the pool ----------------------------------------------------------------------------------------------- */

static bool copy_text(const char *text, char **out)
{
    return text == NULL || (*out = strdup(text)) != NULL;
}

mm_status mm_http_open(const mm_http_config *config, mm_http **out, mm_error *err)
{
    mm_status status = mm_transport_start(err);
    if (status != MM_OK)
        return status;
    mm_http *http = calloc(1, sizeof(*http));
    if (http == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    pthread_mutex_init(&http->lock, NULL);
    http->direct = config->direct;
    http->connect_timeout_ms = config->connect_timeout_ms > 0 ? config->connect_timeout_ms : 10000;
    http->stall_timeout_ms = config->stall_timeout_ms > 0 ? config->stall_timeout_ms : 60000;
    if (!copy_text(config->ca_file, &http->ca_file) || !copy_text(config->ca_pem, &http->ca_pem) ||
        !copy_text(config->client_cert, &http->client_cert) || !copy_text(config->client_key, &http->client_key)) {
        mm_http_close(http);
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    *out = http;
    return MM_OK;
}

static void free_handle(handle *h)
{
    curl_easy_cleanup(h->curl);
    free(h);
}

void mm_http_close(mm_http *http)
{
    if (http == NULL)
        return;
    for (handle *h = http->idle, *next; h; h = next) {
        next = h->next;
        mm_transport_signals signals;
        mm_transport_hide_sigpipe(&signals); /* ending a TLS session writes */
        free_handle(h);
        mm_transport_show_sigpipe(&signals);
    }
    pthread_mutex_destroy(&http->lock);
    free(http->ca_file);
    free(http->ca_pem);
    free(http->client_cert);
    free(http->client_key);
    free(http);
}

static handle *take_handle(mm_http *http)
{
    pthread_mutex_lock(&http->lock);
    handle *h = http->idle;
    if (h)
        http->idle = h->next;
    pthread_mutex_unlock(&http->lock);
    if (h)
        return h;
    h = calloc(1, sizeof(*h));
    if (h && (h->curl = curl_easy_init()) == NULL) {
        free(h);
        return NULL;
    }
    return h;
}

static void give_back(mm_http *http, handle *h)
{
    curl_easy_reset(h->curl); /* forgets the options, keeps the connection */
    pthread_mutex_lock(&http->lock);
    h->next = http->idle;
    http->idle = h;
    pthread_mutex_unlock(&http->lock);
}

/* --- a request ---------------------------------------------------------------------------------------------- */

static bool set_body(CURL *c, transfer *t)
{
    const char *method = t->request->method;
    bool ok = true;
#define SET(option, value) (ok = ok && curl_easy_setopt(c, option, value) == CURLE_OK)
    if (t->sends_body) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->body.size);
        SET(CURLOPT_READFUNCTION, read_body);
        SET(CURLOPT_READDATA, t);
        if (t->request->repeatable) {
            SET(CURLOPT_SEEKFUNCTION, seek_body);
            SET(CURLOPT_SEEKDATA, t);
        }
    } else if (strcmp(method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, method);
    /* Without a byte of body to rewind, libcurl would repeat a request on a dead connection unasked. */
    if (!t->request->repeatable && t->body.size == 0)
        SET(CURLOPT_FRESH_CONNECT, 1L);
    return ok;
}

static bool set_curl(mm_http *http, handle *h, transfer *t, struct curl_slist *headers)
{
    CURL *c = h->curl;
    const mm_http_request *r = t->request;
    uint64_t stall_ms = r->stall_timeout_ms > 0 ? r->stall_timeout_ms : http->stall_timeout_ms;
    bool ok = true;
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_ERRORBUFFER, h->curl_error);
    SET(CURLOPT_URL, r->url);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_USERAGENT, "mmresume/" MM_VERSION);
    SET(CURLOPT_HTTP_VERSION, t->body.size > BULK ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_WRITEFUNCTION, write_reply);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_HEADERFUNCTION, read_header);
    SET(CURLOPT_HEADERDATA, t);
    /* Only wishes: a handle whose last transfer found no host keeps its buffer, and refuses (libcurl 7.88). */
    (void)curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
    (void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, (long)((stall_ms + 999) / 1000));
    SET(CURLOPT_TIMEOUT_MS, (long)r->total_timeout_ms);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (http->ca_file) {
        SET(CURLOPT_CAINFO, http->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (http->ca_pem) {
        struct curl_blob pem = {http->ca_pem, strlen(http->ca_pem), CURL_BLOB_NOCOPY};
        SET(CURLOPT_CAINFO_BLOB, &pem);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (http->client_cert) {
        SET(CURLOPT_SSLCERT, http->client_cert);
        SET(CURLOPT_SSLKEY, http->client_key ? http->client_key : http->client_cert);
    }
    if (http->direct)
        SET(CURLOPT_PROXY, "");
    if (r->compressed)
        SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    if (r->stopping) {
        SET(CURLOPT_NOPROGRESS, 0L);
        SET(CURLOPT_XFERINFOFUNCTION, watch);
        SET(CURLOPT_XFERINFODATA, t);
    }
    return ok && set_body(c, t);
}
#undef SET

static mm_status add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL)
        return MM_NO_MEMORY;
    *list = longer;
    return MM_OK;
}

/* "name: value" as libcurl wants it, which takes "name:" as a wish to leave the header out and has "name;" for an
 * empty value. */
static mm_status add_headers(struct curl_slist **list, const mm_http_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const char *line = request->headers[i], *colon = strchr(line, ':');
        const char *value = colon ? colon + 1 : "";
        while (is_blank(*value))
            value++;
        if (colon && *value == '\0') {
            char *empty = mm_format("%.*s;", (int)(colon - line), line);
            mm_status status = empty ? add_header(list, empty) : MM_NO_MEMORY;
            free(empty);
            if (status != MM_OK)
                return status;
        } else if (add_header(list, line) != MM_OK) {
            return MM_NO_MEMORY;
        }
    }
    /* waiting for "100 Continue" costs a round trip, or a second where the server never says it */
    return add_header(list, "Expect:");
}

/* What the end of a transfer proves. A server executes a request only when it has the whole body; as long as
 * libcurl was not handed the last byte, it cannot have it. */
static mm_status judge_transport(const transfer *t, handle *h, CURLcode code, mm_error *err)
{
    const char *text = h->curl_error[0] ? h->curl_error : curl_easy_strerror(code);
    const char *url = t->request->url, *method = t->request->method;
    int shown = (int)strcspn(url, "?");
    mm_status unsure = t->request->repeatable ? MM_UNAVAILABLE : MM_UNKNOWN;
    long sent_headers = 0;
    curl_easy_getinfo(h->curl, CURLINFO_REQUEST_SIZE, &sent_headers);
    bool left = sent_headers > 0 && (!t->sends_body || t->sent == t->body.size);

    if (t->no_memory || code == CURLE_OUT_OF_MEMORY)
        return mm_error_set(err, t->request->repeatable ? MM_NO_MEMORY : MM_UNKNOWN, "out of memory for an answer");
    if (t->short_file)
        return mm_error_set(err, MM_DATA, "%s %.*s: the file ends %llu bytes early", method, shown, url,
                            (unsigned long long)(t->body.size - t->sent));
    if (t->read_errno != 0) {
        errno = t->read_errno;
        return mm_error_errno(err, MM_IO, "%s %.*s: reading the file", method, shown, url);
    }
    if (t->stopped)
        return mm_error_set(err, left ? (t->request->repeatable ? MM_INTERRUPTED : MM_UNKNOWN) : MM_INTERRUPTED,
                            "%s %.*s: stopped", method, shown, url);
    if (t->too_large)
        return mm_error_set(err, t->request->repeatable ? MM_TOO_LARGE : MM_UNKNOWN,
                            "%s %.*s: the answer is larger than %zu bytes", method, shown, url,
                            t->request->into ? t->request->into_size : t->reply_max);
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return mm_error_set(err, MM_AUTH, "%s %.*s: %s", method, shown, url, text);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return mm_error_set(err, MM_CONFIG, "%s %.*s: %s", method, shown, url, text);
    default:
        return mm_error_set(err, left ? unsure : MM_UNAVAILABLE, "%s %.*s: %s", method, shown, url, text);
    }
}

/* Seconds, or an HTTP date. Source: RFC 9110, 10.2.3. */
static uint32_t read_retry_after(const mm_http_reply *reply)
{
    const char *text = mm_http_header(reply, "Retry-After");
    if (text == NULL)
        return 0;
    int64_t ms = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits < 10 && text[digits] == '\0') {
        ms = (int64_t)strtoll(text, NULL, 10) * 1000;
    } else {
        time_t when = curl_getdate(text, NULL);
        ms = when < 0 ? 0 : (int64_t)when * 1000 - mm_clock_wall_ms();
    }
    return ms <= 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static bool request_has_body(const mm_http_request *request)
{
    const char *method = request->method;
    return strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0 ||
           (strcmp(method, "DELETE") == 0 && request->body.size > 0);
}

mm_status mm_http_perform(mm_http *http, const mm_http_request *request, mm_http_reply *reply, mm_error *err)
{
    mm_status status = MM_OK;
    struct curl_slist *headers = NULL;
    bool sends_body = request_has_body(request);
    transfer t = {.request = request, .reply = reply, .sends_body = sends_body,
                  .reply_max = request->reply_max > 0 ? request->reply_max : REPLY_MAX};
    if (sends_body)
        t.body = request->body;
    clear_reply(reply);
    handle *h = take_handle(http);
    if (h == NULL || add_headers(&headers, request) != MM_OK) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        goto out;
    }
    h->curl_error[0] = '\0';
    if (!set_curl(http, h, &t, headers)) {
        status = mm_error_set(err, MM_CONFIG, "libcurl %s refuses an option for %.*s",
                              curl_version_info(CURLVERSION_NOW)->version, (int)strcspn(request->url, "?"),
                              request->url);
        goto out;
    }
    mm_transport_signals signals;
    mm_transport_hide_sigpipe(&signals);
    CURLcode code = curl_easy_perform(h->curl);
    mm_transport_show_sigpipe(&signals);
    /* a server that refuses a large body answers and closes: its answer counts, not the broken pipe */
    bool refused = code == CURLE_SEND_ERROR && reply->status >= 300;
    if (code != CURLE_OK && !refused)
        status = judge_transport(&t, h, code, err);
    reply->retry_after_ms = read_retry_after(reply);
out:
    if (h)
        give_back(http, h);
    curl_slist_free_all(headers);
    return status;
}

void mm_http_reply_free(mm_http_reply *reply)
{
    mm_buffer_free(&reply->body);
    mm_buffer_free(&reply->headers);
    clear_reply(reply);
}

const char *mm_http_header(const mm_http_reply *reply, const char *name)
{
    for (size_t at = 0; at < reply->headers.size;) {
        const char *found = reply->headers.data + at, *value = found + strlen(found) + 1;
        if (strcasecmp(found, name) == 0)
            return value;
        at = (size_t)(value - reply->headers.data) + strlen(value) + 1;
    }
    return NULL;
}

mm_status mm_http_judge(long http_status, bool repeatable)
{
    if (http_status >= 200 && http_status < 300)
        return MM_OK;
    switch (http_status) {
    case 401:
    case 403:
        return MM_AUTH;
    case 404:
        return MM_NOT_FOUND;
    case 408:
    case 425:
    case 503:
        return MM_UNAVAILABLE;
    case 409:
        return MM_TARGET;
    case 412:
        return MM_CHANGED;
    case 413:
        return MM_TOO_LARGE;
    case 416:
        return MM_DATA;
    case 429:
        return MM_RATE_LIMITED;
    default:
        return http_status < 500 ? MM_CONFIG : repeatable ? MM_UNAVAILABLE : MM_UNKNOWN;
    }
}
