/* Addresses of MySQL taken apart. A message from here never holds a piece of the text: it could be of the password. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/util.h"
#include "config/values.h"
#include "sources/milvus1x/mysql.h"

#define SCHEME "mysql://"
#define DEFAULT_PORT 3306
#define DEFAULT_SOCKET "/tmp/mysql.sock" /* of Go's driver for unix without an address */

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for an address");
}

static mm_status bad(mm_error *err, const char *what)
{
    return mm_error_set(err, MM_CONFIG,
                        "the address of MySQL %s; it is user:password@tcp(host:port)/database or "
                        "mysql://user:password@host:port/database", what);
}

bool mm_milvus1x_dsn_is(const char *text)
{
    if (strncasecmp(text, SCHEME, strlen(SCHEME)) == 0)
        return true;
    return strstr(text, "://") == NULL && (strstr(text, "tcp(") != NULL || strstr(text, "unix(") != NULL);
}

/* --- pieces ----------------------------------------------------------------------------------------------------- */

static mm_status copy(mm_arena *arena, const char *at, const char *end, const char **out, mm_error *err)
{
    size_t size = (size_t)(end - at);
    char *text = mm_arena_alloc(arena, size + 1);
    if (text == NULL)
        return no_memory(err);
    memcpy(text, at, size);
    text[size] = '\0';
    *out = text;
    return MM_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20; /* to lower case */
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The same with %XX decoded. */
static mm_status decode(mm_arena *arena, const char *at, const char *end, const char **out, mm_error *err)
{
    char *text = mm_arena_alloc(arena, (size_t)(end - at) + 1), *put = text;
    if (text == NULL)
        return no_memory(err);
    while (at < end) {
        int high = *at == '%' && end - at > 2 ? hex_digit(at[1]) : -1, low = high >= 0 ? hex_digit(at[2]) : -1;
        if (*at != '%')
            *put++ = *at++;
        else if (low < 0 || (high == 0 && low == 0))
            return bad(err, "has a percent sign that begins no %XX (one in a password of a URL is written %25)");
        else {
            *put++ = (char)(high << 4 | low);
            at += 3;
        }
    }
    *put = '\0';
    *out = text;
    return MM_OK;
}

static const char *last(const char *at, const char *end, char c)
{
    return memrchr(at, c, (size_t)(end - at));
}

static const char *first(const char *at, const char *end, char c)
{
    return memchr(at, c, (size_t)(end - at));
}

/* "host", "host:port", "[::1]", "[::1]:port". */
static mm_status read_host(mm_arena *arena, const char *at, const char *end, mm_milvus1x_dsn *out, mm_error *err)
{
    const char *close = at < end && *at == '[' ? first(at, end, ']') : NULL;
    const char *colon = last(close ? close : at, end, ':');
    const char *host = at, *host_end = colon ? colon : end;
    if (at < end && *at == '[') {
        if (close == NULL || (close + 1 != end && close + 1 != colon))
            return bad(err, "has a bracket that is not closed");
        host = at + 1;
        host_end = close;
    } else if (colon && first(at, colon, ':')) {
        return bad(err, "has an IPv6 address without brackets around it");
    }
    out->port = DEFAULT_PORT;
    if (colon) {
        uint64_t port;
        const char *digits = "";
        mm_status status = copy(arena, colon + 1, end, &digits, err);
        if (status != MM_OK)
            return status;
        if (!mm_value_count(digits, &port) || port == 0 || port > UINT16_MAX)
            return bad(err, "has a port that is none");
        out->port = (uint16_t)port;
    }
    return copy(arena, host, host_end, &out->host, err);
}

/* --- parameters ------------------------------------------------------------------------------------------------- */

static mm_status read_tls(const char *value, mm_milvus1x_dsn *out, mm_error *err)
{
    static const struct {
        const char *word;
        mm_milvus1x_tls tls;
    } words[] = {{"true", MM_MILVUS1X_TLS_VERIFIED},     {"1", MM_MILVUS1X_TLS_VERIFIED},
                 {"false", MM_MILVUS1X_TLS_OFF},         {"0", MM_MILVUS1X_TLS_OFF},
                 {"skip-verify", MM_MILVUS1X_TLS_UNVERIFIED}, {"preferred", MM_MILVUS1X_TLS_PREFERRED}};
    for (size_t i = 0; i < MM_COUNT(words); i++) {
        if (strcasecmp(words[i].word, value) == 0) {
            out->tls = words[i].tls;
            out->tls_said = true;
            return MM_OK;
        }
    }
    return mm_error_set(err, MM_CONFIG, "the address of MySQL: tls is true, false, skip-verify or preferred");
}

/* Keys of Go's driver that change nothing of what is read here: names arrive as UTF-8, whatever charset says. */
static bool has_no_meaning(const char *key)
{
    static const char *const keys[] = {
        "allowAllFiles",   "allowCleartextPasswords", "allowFallbackToPlaintext", "allowNativePasswords",
        "allowOldPasswords", "charset",               "checkConnLiveness",        "clientFoundRows",
        "collation",       "columnsWithAlias",        "compress",                 "connectionAttributes",
        "interpolateParams", "loc",                   "maxAllowedPacket",         "multiStatements",
        "parseTime",       "rejectReadOnly",          "serverPubKey",             "timeTruncate",
        "writeTimeout"};
    for (size_t i = 0; i < MM_COUNT(keys); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static mm_status read_parameter(const char *key, const char *value, bool url, mm_milvus1x_dsn *out, mm_error *err)
{
    if (strcmp(key, "tls") == 0)
        return read_tls(value, out, err);
    if (strcmp(key, "timeout") == 0 || strcmp(key, "readTimeout") == 0) {
        uint64_t *ms = key[0] == 't' ? &out->connect_ms : &out->read_ms;
        if (!mm_value_duration(value, ms))
            return mm_error_set(err, MM_CONFIG, "the address of MySQL: %s is a duration such as 30s", key);
        return MM_OK;
    }
    if (url && strcmp(key, "socket") == 0) {
        out->socket = value;
        return MM_OK;
    }
    /* a key that is unknown may be a piece of a password with an unescaped question mark: it is not said */
    if (!has_no_meaning(key))
        mm_log(MM_LOG_WARN, "the address of MySQL has a key that means nothing here and is passed over");
    return MM_OK;
}

static mm_status read_parameters(mm_arena *arena, const char *at, bool url, mm_milvus1x_dsn *out, mm_error *err)
{
    while (*at) {
        const char *end = at + strcspn(at, "&"), *equals = first(at, end, '='), *key = "", *value = "";
        mm_status status = copy(arena, at, equals ? equals : end, &key, err);
        if (status == MM_OK)
            status = decode(arena, equals ? equals + 1 : end, end, &value, err);
        if (status == MM_OK && key[0])
            status = read_parameter(key, value, url, out, err);
        if (status != MM_OK)
            return status;
        at = *end ? end + 1 : end;
    }
    return MM_OK;
}

/* --- the two forms ---------------------------------------------------------------------------------------------- */

typedef mm_status (*piece_fn)(mm_arena *, const char *, const char *, const char **, mm_error *);

/* "user", "user:password", ":password". A user name of MySQL has no colon in it, a password may. */
static mm_status read_user(mm_arena *arena, const char *at, const char *end, piece_fn piece, mm_milvus1x_dsn *out,
                           mm_error *err)
{
    const char *colon = first(at, end, ':');
    mm_status status = piece(arena, at, colon ? colon : end, &out->user, err);
    if (status == MM_OK && colon)
        status = piece(arena, colon + 1, end, &out->password, err);
    return status;
}

/* "tcp(host:port)", "unix(/path)", "tcp", "". */
static mm_status read_protocol(mm_arena *arena, const char *at, const char *end, mm_milvus1x_dsn *out, mm_error *err)
{
    const char *open = first(at, end, '('), *word_end = open ? open : end;
    size_t word = (size_t)(word_end - at);
    bool is_unix = word == 4 && memcmp(at, "unix", 4) == 0;
    if (!is_unix && !(word == 3 && memcmp(at, "tcp", 3) == 0) && word != 0)
        return bad(err, "names a way that is neither tcp nor unix");
    if (open && (end[-1] != ')' || open + 1 >= end))
        return bad(err, "has a bracket that is not closed");
    const char *inner = open ? open + 1 : end, *inner_end = open ? end - 1 : end;
    if (is_unix && inner == inner_end)
        out->socket = DEFAULT_SOCKET;
    else if (is_unix)
        return copy(arena, inner, inner_end, &out->socket, err);
    return is_unix ? MM_OK : read_host(arena, inner, inner_end, out, err);
}

/* The last slash parts the database, since passwords and paths of sockets have slashes in them; the last at sign before
 * it parts the user: so does Go's driver. */
static mm_status read_go(mm_arena *arena, const char *text, mm_milvus1x_dsn *out, mm_error *err)
{
    const char *slash = strrchr(text, '/');
    if (slash == NULL)
        return bad(err, "has no /database");
    const char *at = last(text, slash, '@'), *question = strchr(slash, '?');
    mm_status status = at ? read_user(arena, text, at, copy, out, err) : MM_OK;
    if (status == MM_OK)
        status = read_protocol(arena, at ? at + 1 : text, slash, out, err);
    if (status == MM_OK)
        status = decode(arena, slash + 1, question ? question : slash + strlen(slash), &out->database, err);
    return status == MM_OK && question ? read_parameters(arena, question + 1, false, out, err) : status;
}

static mm_status read_url(mm_arena *arena, const char *text, mm_milvus1x_dsn *out, mm_error *err)
{
    const char *begin = text + strlen(SCHEME), *end = begin + strcspn(begin, "/");
    if (*end == '\0')
        return bad(err, "has no /database");
    const char *at = last(begin, end, '@'), *question = strchr(end, '?');
    mm_status status = at ? read_user(arena, begin, at, decode, out, err) : MM_OK;
    if (status == MM_OK)
        status = read_host(arena, at ? at + 1 : begin, end, out, err);
    if (status == MM_OK)
        status = decode(arena, end + 1, question ? question : end + strlen(end), &out->database, err);
    return status == MM_OK && question ? read_parameters(arena, question + 1, true, out, err) : status;
}

mm_status mm_milvus1x_dsn_parse(mm_arena *arena, const char *text, mm_milvus1x_dsn *out, mm_error *err)
{
    mm_milvus1x_dsn dsn = {.user = ""};
    bool url = strncasecmp(text, SCHEME, strlen(SCHEME)) == 0;
    if (!url && strstr(text, "://"))
        return bad(err, "is a URL that does not begin with mysql://");
    mm_status status = url ? read_url(arena, text, &dsn, err) : read_go(arena, text, &dsn, err);
    if (status != MM_OK)
        return status;
    if (dsn.database[0] == '\0')
        return bad(err, "names no database");
    if (dsn.socket)
        dsn.host = NULL;
    else if (dsn.host[0] == '\0')
        dsn.host = "127.0.0.1";
    char *name = dsn.socket ? mm_format("MySQL %s, database %s", dsn.socket, dsn.database)
                            : mm_format("MySQL %s:%u, database %s", dsn.host, dsn.port, dsn.database);
    dsn.name = name ? mm_arena_strdup(arena, name) : NULL;
    free(name);
    if (dsn.name == NULL)
        return no_memory(err);
    *out = dsn;
    return MM_OK;
}
