/* gRPC unary calls over libcurl's HTTP/2: the connection that a call goes out on, the request's bytes, and
 * the waiting. What a failure proves is judged in grpc_judge.c. */
#include "net/grpc_internal.h"

#include <ctype.h>
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/transport.h"

#define GRPC_WAIT_MS 100
#define GRPC_DOWNLOAD_BUFFER (512L * 1024)

/* --- callbacks -------------------------------------------------------------------------------- */

/* There is no seek callback on purpose: libcurl repeats a request by itself when a reused connection
 * turns out dead, and an Insert that went out twice would be in the target twice. Without it such a
 * repetition ends in CURLE_SEND_FAIL_REWIND as soon as one byte was handed over. */
static size_t read_request(char *out, size_t size, size_t count, void *context)
{
    mm_grpc_channel *ch = context;
    size_t room = size * count, filled = 0;
    while (filled < room && ch->segment <= ch->segment_count) {
        const uint8_t *from = ch->segment == 0 ? ch->prefix : ch->segments[ch->segment - 1].data;
        size_t length = ch->segment == 0 ? GRPC_PREFIX : ch->segments[ch->segment - 1].size;
        size_t part = length - ch->offset;
        if (part > room - filled) {
            part = room - filled;
        }
        if (part > 0) {
            memcpy(out + filled, from + ch->offset, part);
        }
        filled += part;
        ch->offset += part;
        if (ch->offset == length) {
            ch->segment++;
            ch->offset = 0;
        }
    }
    ch->handed += filled;
    return filled;
}

static size_t write_reply(char *data, size_t size, size_t count, void *context)
{
    mm_grpc_channel *ch = context;
    size_t bytes = size * count;
    if (bytes > ch->reply_max + GRPC_PREFIX - ch->body.size) {
        ch->body_too_large = true;
        return 0;
    }
    mm_buffer_append(&ch->body, data, bytes);
    return ch->body.failed ? 0 : bytes;
}

/* Value of header `name` in line, without surrounding blanks; NULL when it is another header. */
static const char *header_value(const char *line, size_t size, const char *name, size_t *length)
{
    size_t n = strlen(name);
    if (size <= n || strncasecmp(line, name, n) != 0 || line[n] != ':') {
        return NULL;
    }
    size_t begin = n + 1, end = size;
    while (begin < end && isspace((unsigned char)line[begin])) {
        begin++;
    }
    while (end > begin && isspace((unsigned char)line[end - 1])) {
        end--;
    }
    *length = end - begin;
    return line + begin;
}

/* Decimal digits only; false for anything else or more than 9 digits. */
static bool parse_number(const char *text, size_t length, uint64_t *out)
{
    if (length == 0 || length > 9) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *out = value;
    return true;
}

/* Headers and trailers alike: a reply without a message has grpc-status among its headers. */
static size_t read_header(char *line, size_t size, size_t count, void *context)
{
    mm_grpc_channel *ch = context;
    size_t bytes = size * count, length;
    uint64_t number;
    const char *value;
    if ((value = header_value(line, bytes, "grpc-status", &length)) != NULL) {
        /* an unreadable status counts as UNKNOWN (2), as the gRPC specification says */
        ch->grpc_status = parse_number(value, length, &number) ? (int)number : 2;
    } else if ((value = header_value(line, bytes, "grpc-message", &length)) != NULL) {
        mm_grpc_decode_message(value, length, ch->message, sizeof(ch->message));
    } else if ((value = header_value(line, bytes, "content-type", &length)) != NULL) {
        ch->has_content_type = true;
        ch->content_type_grpc = length >= 16 && strncasecmp(value, "application/grpc", 16) == 0;
    } else if ((value = header_value(line, bytes, "grpc-retry-pushback-ms", &length)) != NULL) {
        if (parse_number(value, length, &number)) {
            ch->pushback_ms = number;
        }
    } else if ((value = header_value(line, bytes, "retry-after", &length)) != NULL) {
        if (parse_number(value, length, &number)) {
            ch->pushback_ms = number * 1000;
        }
    }
    return bytes;
}

/* libcurl before 8.0 fails every call on a reused connection that was opened with prior knowledge of
 * HTTP/2 (curl issue 10634). Way round: only the first call says prior knowledge; later ones say
 * HTTP/2, which works on the open connection, but would go out as HTTP/1.1 on a new one. So a later
 * call may not open a connection: it is refused here, before a byte left, and made again as a first. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    mm_grpc_channel *ch = context;
    (void)purpose;
    if (ch->reuse_only) {
        ch->open_refused = true;
        return CURL_SOCKET_BAD;
    }
    curl_socket_t fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd != CURL_SOCKET_BAD) {
        ch->socket = fd; /* while two addresses race there are two, and none is waited for alone */
        ch->sockets_open++;
    }
    return fd;
}

static int close_socket(void *context, curl_socket_t fd)
{
    mm_grpc_channel *ch = context;
    ch->sockets_open--;
    if (fd == ch->socket) {
        ch->socket = CURL_SOCKET_BAD;
    }
    return close(fd);
}

/* --- opening ---------------------------------------------------------------------------------- */

static mm_status copy_text(char **to, const char *from)
{
    if (from == NULL) {
        return MM_OK;
    }
    *to = strdup(from);
    return *to != NULL ? MM_OK : MM_NO_MEMORY;
}

static mm_status add_header(mm_grpc_channel *ch, const char *line)
{
    struct curl_slist *list = curl_slist_append(ch->headers, line);
    if (list == NULL) {
        return MM_NO_MEMORY;
    }
    ch->headers = list;
    return MM_OK;
}

/* Splits scheme://host:port and builds what server_name needs: the URL then carries that name, and
 * libcurl is told to connect to the real host for it, so that SNI and verification use the name. */
static mm_status set_endpoint(mm_grpc_channel *ch, const mm_grpc_config *config, mm_error *err)
{
    mm_status status = MM_CONFIG;
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL, *path = NULL, *line = NULL;
    CURLU *url = curl_url();
    if (url == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    if (curl_url_set(url, CURLUPART_URL, config->endpoint, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
        mm_error_set(err, MM_CONFIG, "endpoint '%s' is not http://host:port or https://host:port",
                     config->endpoint);
        goto out;
    }
    if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK) {
        mm_error_set(err, MM_CONFIG, "endpoint at '%s' names a user: credentials have keys of their own", host);
        goto out;
    }
    if (curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK && strcmp(path, "/") != 0) {
        mm_error_set(err, MM_CONFIG, "endpoint '%s' has a path: only scheme, host and port are meant", config->endpoint);
        goto out;
    }
    ch->tls = strcmp(scheme, "https") == 0;
    const char *name = ch->tls && config->server_name != NULL ? config->server_name : host;
    ch->endpoint = mm_format("%s://%s:%s", scheme, name, port);
    status = ch->endpoint != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (status == MM_OK && name != host) {
        line = mm_format("%s:%s:%s:%s", name, port, host, port);
        ch->connect_to = line != NULL ? curl_slist_append(NULL, line) : NULL;
        if (ch->connect_to == NULL) {
            status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        }
    }
out:
    free(line);
    curl_free(user);
    curl_free(path);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    return status;
}

/* The content type is exactly application/grpc: servers that share the port with HTTP/1 look for
 * that literal value. */
static mm_status set_headers(mm_grpc_channel *ch, const mm_grpc_config *config)
{
    static const char *const fixed[] = {"Content-Type: application/grpc", "TE: trailers",
                                        "User-Agent: mmresume/" MM_VERSION, "Expect:", "Accept:"};
    for (size_t i = 0; i < MM_COUNT(fixed); i++) {
        if (add_header(ch, fixed[i]) != MM_OK) {
            return MM_NO_MEMORY;
        }
    }
    for (size_t i = 0; i < config->header_count; i++) {
        if (add_header(ch, config->headers[i]) != MM_OK) {
            return MM_NO_MEMORY;
        }
    }
    return MM_OK;
}

static bool set_curl(mm_grpc_channel *ch)
{
    CURL *c = ch->curl;
    bool ok = true;
#define SET(option, value) (ok = ok && curl_easy_setopt(c, option, value) == CURLE_OK)
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_ERRORBUFFER, ch->curl_error);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_HTTPHEADER, ch->headers);
    SET(CURLOPT_READFUNCTION, read_request);
    SET(CURLOPT_READDATA, ch);
    SET(CURLOPT_WRITEFUNCTION, write_reply);
    SET(CURLOPT_WRITEDATA, ch);
    SET(CURLOPT_HEADERFUNCTION, read_header);
    SET(CURLOPT_HEADERDATA, ch);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, ch);
    SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, ch);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, GRPC_UPLOAD_BUFFER);
    SET(CURLOPT_BUFFERSIZE, GRPC_DOWNLOAD_BUFFER);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)ch->connect_timeout_ms);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    if (ch->tls) {
        SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        SET(CURLOPT_SSL_VERIFYPEER, 1L);
        SET(CURLOPT_SSL_VERIFYHOST, 2L);
        if (ch->ca_file != NULL) {
            SET(CURLOPT_CAINFO, ch->ca_file);
            SET(CURLOPT_CAPATH, NULL);
        }
        if (ch->cert_file != NULL) {
            SET(CURLOPT_SSLCERT, ch->cert_file);
            SET(CURLOPT_SSLKEY, ch->key_file != NULL ? ch->key_file : ch->cert_file);
        }
        if (ch->connect_to != NULL) {
            SET(CURLOPT_CONNECT_TO, ch->connect_to);
        }
    } else {
        SET(CURLOPT_PROXY, ""); /* an HTTP proxy cannot carry HTTP/2 without TLS */
    }
#undef SET
    return ok;
}

mm_status mm_grpc_open(const mm_grpc_config *config, mm_grpc_channel **out, mm_error *err)
{
    mm_status status = mm_transport_start(err);
    if (status != MM_OK) {
        return status;
    }
    mm_grpc_channel *ch = calloc(1, sizeof(*ch));
    if (ch == NULL) {
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    ch->socket = CURL_SOCKET_BAD;
    ch->connect_timeout_ms = config->connect_timeout_ms > 0 ? config->connect_timeout_ms : 10000;
    ch->reply_max = config->reply_max > 0 ? config->reply_max : (size_t)256 << 20;
    ch->reuse_bug = curl_version_info(CURLVERSION_NOW)->version_num < 0x080000;
    status = set_endpoint(ch, config, err);
    if (status != MM_OK) {
        goto fail;
    }
    if (copy_text(&ch->ca_file, config->ca_file) != MM_OK ||
        copy_text(&ch->cert_file, config->cert_file) != MM_OK ||
        copy_text(&ch->key_file, config->key_file) != MM_OK || set_headers(ch, config) != MM_OK ||
        (ch->curl = curl_easy_init()) == NULL || (ch->multi = curl_multi_init()) == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        goto fail;
    }
    if (!set_curl(ch)) {
        status = mm_error_set(err, MM_CONFIG, "libcurl %s lacks HTTP/2 or TLS",
                              curl_version_info(CURLVERSION_NOW)->version);
        goto fail;
    }
    *out = ch;
    return MM_OK;
fail:
    mm_grpc_close(ch);
    return status;
}

void mm_grpc_close(mm_grpc_channel *ch)
{
    if (ch == NULL) {
        return;
    }
    curl_easy_cleanup(ch->curl);
    curl_multi_cleanup(ch->multi);
    curl_slist_free_all(ch->headers);
    curl_slist_free_all(ch->connect_to);
    mm_buffer_free(&ch->body);
    free(ch->endpoint);
    free(ch->ca_file);
    free(ch->cert_file);
    free(ch->key_file);
    free(ch);
}

mm_buffer mm_grpc_take_buffer(mm_grpc_channel *ch)
{
    mm_buffer taken = ch->body;
    ch->body = (mm_buffer)MM_BUFFER_INIT;
    return taken;
}

/* --- calling ---------------------------------------------------------------------------------- */

static mm_status begin_request(mm_grpc_channel *ch, const mm_grpc_call *call, mm_error *err)
{
    uint64_t size = 0;
    for (size_t i = 0; i < call->segment_count; i++) {
        if (!mm_add_u64(size, call->segments[i].size, &size)) {
            return mm_error_set(err, MM_BUG, "request size overflows");
        }
    }
    if (size > UINT32_MAX) {
        return mm_error_set(err, MM_TOO_LARGE, "request of %llu bytes: a gRPC message has at most 4 GiB",
                            (unsigned long long)size);
    }
    ch->prefix[0] = 0;
    for (int i = 0; i < 4; i++) {
        ch->prefix[1 + i] = (uint8_t)(size >> (24 - 8 * i));
    }
    ch->segments = call->segments;
    ch->segment_count = call->segment_count;
    ch->total = (size_t)size + GRPC_PREFIX;
    return MM_OK;
}

static void begin_attempt(mm_grpc_channel *ch)
{
    ch->segment = ch->offset = ch->handed = 0;
    ch->body.size = 0;
    ch->body.failed = false;
    ch->body_too_large = false;
    ch->grpc_status = MM_GRPC_NO_STATUS;
    ch->content_type_grpc = ch->has_content_type = false;
    ch->message[0] = '\0';
    ch->curl_error[0] = '\0';
    ch->pushback_ms = 0;
    ch->open_refused = false;
}

/* Waits until libcurl can go on. While HTTP/2's flow control holds an upload back, libcurl (7.88 at
 * least) polls for a writable socket, which it always is, and spins: seen as a socket that is writable
 * although the last turn moved nothing. Then only the peer's next frame can help, so we wait for that. */
static CURLMcode wait_turn(mm_grpc_channel *ch, bool moved)
{
    if (!moved && ch->sockets_open == 1 && ch->socket != CURL_SOCKET_BAD) {
        struct pollfd state = {.fd = ch->socket, .events = POLLIN | POLLOUT};
        if (poll(&state, 1, 0) == 1 && state.revents == POLLOUT) {
            long ms = -1;
            curl_multi_timeout(ch->multi, &ms);
            state.events = POLLIN;
            poll(&state, 1, ms < 0 || ms > GRPC_WAIT_MS ? GRPC_WAIT_MS : (int)ms);
            return CURLM_OK;
        }
    }
    return curl_multi_poll(ch->multi, NULL, 0, 1000, NULL);
}

static CURLcode finish_transfer(mm_grpc_channel *ch)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(ch->multi, &left)) != NULL;)
        if (message->msg == CURLMSG_DONE)
            return message->data.result;
    return CURLE_FAILED_INIT;
}

static CURLcode transfer(mm_grpc_channel *ch)
{
    int running = 0;
    curl_off_t sent = 0, before = -1;
    CURLMcode code = curl_multi_add_handle(ch->multi, ch->curl);
    if (code != CURLM_OK) {
        return CURLE_FAILED_INIT;
    }
    while ((code = curl_multi_perform(ch->multi, &running)) == CURLM_OK && running > 0) {
        curl_easy_getinfo(ch->curl, CURLINFO_SIZE_UPLOAD_T, &sent);
        bool uploading = ch->handed > 0 && (size_t)sent < ch->total;
        if ((code = wait_turn(ch, !uploading || sent != before)) != CURLM_OK) {
            break;
        }
        before = sent;
    }
    CURLcode result = code == CURLM_OK ? finish_transfer(ch) : CURLE_FAILED_INIT;
    curl_multi_remove_handle(ch->multi, ch->curl);
    return result;
}

static CURLcode attempt(mm_grpc_channel *ch, uint64_t timeout_ms, bool reuse_only)
{
    begin_attempt(ch);
    ch->reuse_only = reuse_only;
    if (!ch->tls) {
        long version = reuse_only ? CURL_HTTP_VERSION_2_0 : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
        curl_easy_setopt(ch->curl, CURLOPT_HTTP_VERSION, version);
        /* a first call must not meet an old connection: that is what the bug is about */
        curl_easy_setopt(ch->curl, CURLOPT_FRESH_CONNECT, ch->reuse_bug && !reuse_only ? 1L : 0L);
    }
    curl_easy_setopt(ch->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    mm_transport_signals signals;
    mm_transport_hide_sigpipe(&signals);
    CURLcode code = transfer(ch);
    mm_transport_show_sigpipe(&signals);
    return code;
}

mm_status mm_grpc_perform(mm_grpc_channel *ch, const mm_grpc_call *call, mm_grpc_reply *reply,
                          mm_error *err)
{
    uint64_t timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : 60000;
    struct curl_slist *headers = NULL;
    *reply = (mm_grpc_reply){NULL, 0, MM_GRPC_NO_STATUS};
    mm_status status = begin_request(ch, call, err);
    if (status != MM_OK) {
        return status;
    }
    char *url = mm_format("%s%s", ch->endpoint, call->path);
    char *deadline = mm_format("grpc-timeout: %llum", (unsigned long long)(timeout_ms < 99999999 ? timeout_ms : 99999999));
    if (url == NULL || deadline == NULL || (headers = curl_slist_append(NULL, deadline)) == NULL ||
        curl_easy_setopt(ch->curl, CURLOPT_URL, url) != CURLE_OK) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        goto out;
    }
    headers->next = ch->headers; /* one more line in front of the fixed ones, for this call */
    curl_easy_setopt(ch->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(ch->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ch->total);

    bool careful = !ch->tls && ch->reuse_bug && ch->connected;
    CURLcode code = attempt(ch, timeout_ms, careful);
    if (careful && ch->open_refused && ch->handed == 0) {
        code = attempt(ch, timeout_ms, false);
    }
    ch->connected = code == CURLE_OK;
    status = mm_grpc_judge(ch, call, code, reply, err);
    if (status != MM_OK && err != NULL && ch->pushback_ms > 0) {
        err->retry_after_ms = ch->pushback_ms < UINT32_MAX ? (uint32_t)ch->pushback_ms : UINT32_MAX;
    }
    curl_easy_setopt(ch->curl, CURLOPT_HTTPHEADER, NULL);
    headers->next = NULL;
out:
    curl_slist_free_all(headers);
    free(deadline);
    free(url);
    return status;
}
