/* The pull parser: tokens, strings, and skipping. */
#include "formats/json_parse.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/utf8.h"

void mm_json_open(mm_json *json, const char *name, const void *bytes, size_t size)
{
    *json = (mm_json){.name = name, .text = MM_BUFFER_INIT};
    mm_json_set(json, bytes, size, 0, true);
}

void mm_json_set(mm_json *json, const void *bytes, size_t size, uint64_t offset, bool whole)
{
    json->start = json->at = bytes;
    json->end = size > 0 ? json->start + size : json->start; /* bytes may be NULL */
    json->offset = offset;
    json->whole = whole;
    json->first = false;
    json->field = NULL;
}

void mm_json_close(mm_json *json)
{
    mm_buffer_free(&json->text);
}

uint64_t mm_json_offset(const mm_json *json)
{
    return json->offset + (uint64_t)(json->at - json->start);
}

const char *mm_json_kind_name(mm_json_kind kind)
{
    static const char *const names[] = {"null", "a truth value", "a number", "a string", "an array", "an object"};
    return names[kind];
}

mm_status mm_json_bad(const mm_json *json, const uint8_t *at, mm_error *err, const char *format, ...)
{
    char text[MM_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return mm_error_set(err, MM_DATA, "%s: byte %" PRIu64 ": %s%s%s%s", json->name,
                        json->offset + (uint64_t)(at - json->start), json->field != NULL ? "field " : "",
                        json->field != NULL ? json->field : "", json->field != NULL ? ": " : "", text);
}

/* --- tokens ------------------------------------------------------------------------------------------------- */

/* The bytes end where more are needed. */
static mm_status starved(const mm_json *json, mm_error *err)
{
    if (!json->whole)
        return MM_END;
    return mm_json_bad(json, json->end, err, "the text ends in the middle of a value");
}

static mm_status expected(const mm_json *json, const char *what, mm_error *err)
{
    uint8_t byte = *json->at;
    if (byte > ' ' && byte < 0x7F)
        return mm_json_bad(json, json->at, err, "%s is wanted, not '%c'", what, byte);
    return mm_json_bad(json, json->at, err, "%s is wanted, not the byte 0x%02x", what, byte);
}

/* To the next byte that is no white space; MM_OK: there is one. */
static mm_status skip_space(mm_json *json, mm_error *err)
{
    const uint8_t *at = json->at;
    while (at < json->end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    json->at = at;
    return at < json->end ? MM_OK : starved(json, err);
}

mm_status mm_json_peek(mm_json *json, mm_json_kind *kind, mm_error *err)
{
    mm_status status = skip_space(json, err);
    if (status != MM_OK)
        return status;
    switch (*json->at) {
    case '{':
        *kind = MM_JSON_OBJECT;
        return MM_OK;
    case '[':
        *kind = MM_JSON_ARRAY;
        return MM_OK;
    case '"':
        *kind = MM_JSON_STRING;
        return MM_OK;
    case 't':
    case 'f':
        *kind = MM_JSON_BOOL;
        return MM_OK;
    case 'n':
        *kind = MM_JSON_NULL;
        return MM_OK;
    default:
        if (*json->at != '-' && (*json->at < '0' || *json->at > '9'))
            return expected(json, "a value", err);
        *kind = MM_JSON_NUMBER;
        return MM_OK;
    }
}

static mm_status want(mm_json *json, mm_json_kind kind, mm_error *err)
{
    mm_json_kind found;
    mm_status status = mm_json_peek(json, &found, err);
    if (status == MM_OK && found != kind)
        return mm_json_bad(json, json->at, err, "%s is wanted, not %s", mm_json_kind_name(kind),
                           mm_json_kind_name(found));
    return status;
}

mm_status mm_json_enter(mm_json *json, mm_json_kind kind, mm_error *err)
{
    mm_status status = want(json, kind, err);
    if (status != MM_OK)
        return status;
    json->at++;
    json->first = true;
    return MM_OK;
}

/* Behind the opening bracket or a value: past the comma to the next member, or past the closing bracket. */
static mm_status next_member(mm_json *json, uint8_t close, bool *more, mm_error *err)
{
    mm_status status = skip_space(json, err);
    if (status != MM_OK)
        return status;
    *more = *json->at != close;
    if (!*more) {
        json->at++;
        json->first = false;
        return MM_OK;
    }
    if (json->first) {
        json->first = false;
        return MM_OK;
    }
    if (*json->at != ',')
        return expected(json, close == '}' ? "',' or '}'" : "',' or ']'", err);
    json->at++;
    return MM_OK;
}

mm_status mm_json_next_item(mm_json *json, bool *more, mm_error *err)
{
    return next_member(json, ']', more, err);
}

mm_status mm_json_next_key(mm_json *json, const char **key, size_t *size, bool *more, mm_error *err)
{
    mm_status status = next_member(json, '}', more, err);
    if (status != MM_OK || !*more)
        return status;
    status = mm_json_string(json, key, size, err);
    if (status == MM_OK)
        status = skip_space(json, err);
    if (status != MM_OK)
        return status;
    if (*json->at != ':')
        return expected(json, "':'", err);
    json->at++;
    return MM_OK;
}

/* true, false, null */
static mm_status word(mm_json *json, const char *text, size_t size, mm_error *err)
{
    size_t there = (size_t)(json->end - json->at);
    if (memcmp(json->at, text, there < size ? there : size) != 0)
        return mm_json_bad(json, json->at, err, "%s is wanted", text);
    if (there < size)
        return starved(json, err);
    json->at += size;
    json->first = false;
    return MM_OK;
}

mm_status mm_json_bool(mm_json *json, bool *out, mm_error *err)
{
    mm_status status = want(json, MM_JSON_BOOL, err);
    if (status != MM_OK)
        return status;
    *out = *json->at == 't';
    return *out ? word(json, "true", 4, err) : word(json, "false", 5, err);
}

mm_status mm_json_null(mm_json *json, mm_error *err)
{
    mm_status status = want(json, MM_JSON_NULL, err);
    return status == MM_OK ? word(json, "null", 4, err) : status;
}

static bool ends_number(uint8_t byte)
{
    return byte == ',' || byte == ']' || byte == '}' || byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

/* At a byte that begins a number. */
static mm_status number_here(mm_json *json, mm_number *out, mm_error *err)
{
    size_t size = mm_number_scan(json->at, json->end, out);
    const uint8_t *behind = json->at + size;
    if (behind == json->end && !json->whole)
        return MM_END;
    if (size == 0 && json->end - json->at > MM_NUMBER_MAX)
        return mm_json_bad(json, json->at, err, "a number of more than %d characters, or none", MM_NUMBER_MAX);
    if (size == 0 || (behind < json->end && !ends_number(*behind))) {
        /* "1.", "1e+", "-" at the end of the bytes may still become numbers */
        if (!json->whole && json->end - behind < 3)
            return MM_END;
        return mm_json_bad(json, json->at, err, "malformed number");
    }
    json->at = behind;
    json->first = false;
    return MM_OK;
}

mm_status mm_json_number(mm_json *json, mm_number *out, mm_error *err)
{
    mm_status status = want(json, MM_JSON_NUMBER, err);
    return status == MM_OK ? number_here(json, out, err) : status;
}

/* --- strings ------------------------------------------------------------------------------------------------ */

/* To the first quote, backslash or control character, 16 bytes at a time; `end` if there is none. *wide is set when
 * there are bytes from 0x80 on, perhaps behind that place. */
static const uint8_t *plain_run(const uint8_t *at, const uint8_t *end, bool *wide)
{
    unsigned high = 0;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1F);
    for (; end - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i stops = _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, slash));
        stops = _mm_or_si128(stops, _mm_cmpeq_epi8(_mm_min_epu8(block, control), block));
        unsigned mask = (unsigned)_mm_movemask_epi8(stops);
        high |= (unsigned)_mm_movemask_epi8(block);
        if (mask != 0) {
            *wide = *wide || high != 0;
            return at + __builtin_ctz(mask);
        }
    }
#endif
    for (; at < end && *at != '"' && *at != '\\' && *at >= 0x20; at++)
        high |= *at & 0x80u;
    *wide = *wide || high != 0;
    return at;
}

/* The closing quote from `at` on; NULL: not there, *stop is the control character that stands before it, if any.
 * *escaped, *wide: there are backslashes, bytes from 0x80 on. */
static const uint8_t *find_quote(const uint8_t *at, const uint8_t *end, bool *escaped, bool *wide,
                                 const uint8_t **stop)
{
    *stop = NULL;
    for (;;) {
        at = plain_run(at, end, wide);
        if (at == end)
            return NULL;
        if (*at == '"')
            return at;
        if (*at != '\\') {
            *stop = at;
            return NULL;
        }
        *escaped = true;
        if (end - at < 2)
            return NULL;
        at += at[1] < 0x20 ? 1 : 2; /* a control character is told as that, not as an unknown escape */
    }
}

static mm_status hex4(mm_json *json, const uint8_t *at, uint32_t *out, mm_error *err)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t byte = at[i], lower = byte | 0x20;
        if (byte >= '0' && byte <= '9')
            value = value << 4 | (uint32_t)(byte - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return mm_json_bad(json, at + i, err, "\\u wants four hexadecimal digits");
    }
    *out = value;
    return MM_OK;
}

static void put_code(mm_buffer *out, uint32_t code)
{
    uint8_t bytes[4];
    size_t size = 0;
    if (code < 0x80) {
        bytes[size++] = (uint8_t)code;
    } else if (code < 0x800) {
        bytes[size++] = (uint8_t)(0xC0 | code >> 6);
    } else if (code < 0x10000) {
        bytes[size++] = (uint8_t)(0xE0 | code >> 12);
        bytes[size++] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    } else {
        bytes[size++] = (uint8_t)(0xF0 | code >> 18);
        bytes[size++] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
        bytes[size++] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    }
    if (code >= 0x80)
        bytes[size++] = (uint8_t)(0x80 | (code & 0x3F));
    mm_buffer_append(out, bytes, size);
}

/* \uXXXX, or a pair of surrogates; *at stands on the 'u', and behind it afterwards. close: the string's end. */
static mm_status unicode(mm_json *json, const uint8_t **at, const uint8_t *close, mm_error *err)
{
    const uint8_t *p = *at + 1;
    uint32_t code = 0, low = 0;
    if (close - p < 4)
        return mm_json_bad(json, p, err, "\\u wants four hexadecimal digits");
    mm_status status = hex4(json, p, &code, err);
    if (status != MM_OK)
        return status;
    p += 4;
    if (code >= 0xD800 && code < 0xE000) {
        if (code >= 0xDC00 || close - p < 6 || p[0] != '\\' || p[1] != 'u')
            return mm_json_bad(json, *at, err, "half of a surrogate pair");
        status = hex4(json, p + 2, &low, err);
        if (status != MM_OK)
            return status;
        if (low < 0xDC00 || low >= 0xE000)
            return mm_json_bad(json, *at, err, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        p += 6;
    }
    put_code(&json->text, code);
    *at = p;
    return MM_OK;
}

static mm_status unescape(mm_json *json, const uint8_t *at, const uint8_t *close, mm_error *err)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    json->text.size = 0;
    while (at < close) {
        const uint8_t *run = at;
        while (at < close && *at != '\\')
            at++;
        mm_buffer_append(&json->text, run, (size_t)(at - run));
        if (at == close)
            break;
        const char *which = at[1] != '\0' ? strchr(from, at[1]) : NULL;
        if (which != NULL) {
            mm_buffer_append(&json->text, &to[which - from], 1);
            at += 2;
        } else if (at[1] == 'u') {
            at++;
            mm_status status = unicode(json, &at, close, err);
            if (status != MM_OK)
                return status;
        } else {
            return mm_json_bad(json, at, err, "unknown escape");
        }
    }
    if (json->text.failed)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory for a string", json->name);
    return MM_OK;
}

mm_status mm_json_string(mm_json *json, const char **text, size_t *size, mm_error *err)
{
    bool escaped = false, wide = false;
    mm_status status = want(json, MM_JSON_STRING, err);
    if (status != MM_OK)
        return status;
    const uint8_t *stop, *begin = json->at + 1, *close = find_quote(begin, json->end, &escaped, &wide, &stop);
    if (stop != NULL)
        return mm_json_bad(json, stop, err, "control character in a string");
    if (close == NULL)
        return starved(json, err);
    size_t length = (size_t)(close - begin), good = wide ? mm_utf8_prefix(begin, length) : length;
    if (good < length)
        return mm_json_bad(json, begin + good, err, "not UTF-8");
    if (escaped) {
        status = unescape(json, begin, close, err);
        if (status != MM_OK)
            return status;
        *text = json->text.size > 0 ? json->text.data : "";
        *size = json->text.size;
    } else {
        *text = (const char *)begin;
        *size = length;
    }
    json->at = close + 1;
    json->first = false;
    return MM_OK;
}

/* --- skipping ----------------------------------------------------------------------------------------------- */

/* A value that is no array and no object. */
static mm_status skip_plain(mm_json *json, mm_json_kind kind, mm_error *err)
{
    const char *text;
    size_t size;
    mm_number number;
    bool truth;
    switch (kind) {
    case MM_JSON_STRING:
        return mm_json_string(json, &text, &size, err);
    case MM_JSON_NUMBER:
        return mm_json_number(json, &number, err);
    case MM_JSON_BOOL:
        return mm_json_bool(json, &truth, err);
    default:
        return mm_json_null(json, err);
    }
}

mm_status mm_json_skip(mm_json *json, const char **text, size_t *size, mm_error *err)
{
    uint8_t objects[MM_JSON_DEPTH / 8]; /* a bit for each open bracket: 1 for an object */
    unsigned depth = 0;
    mm_json_kind kind;
    mm_status status = mm_json_peek(json, &kind, err);
    const uint8_t *begin = json->at;
    while (status == MM_OK) {
        if (kind == MM_JSON_OBJECT || kind == MM_JSON_ARRAY) {
            if (depth == MM_JSON_DEPTH)
                return mm_json_bad(json, json->at, err, "more than %d levels", MM_JSON_DEPTH);
            uint8_t bit = (uint8_t)(1u << (depth % 8));
            objects[depth / 8] = kind == MM_JSON_OBJECT ? objects[depth / 8] | bit : objects[depth / 8] & (uint8_t)~bit;
            depth++;
            status = mm_json_enter(json, kind, err);
        } else {
            status = skip_plain(json, kind, err);
        }
        bool more = false;
        while (status == MM_OK && depth > 0 && !more) {
            const char *key;
            size_t key_size;
            if (objects[(depth - 1) / 8] >> ((depth - 1) % 8) & 1)
                status = mm_json_next_key(json, &key, &key_size, &more, err);
            else
                status = mm_json_next_item(json, &more, err);
            depth -= status == MM_OK && !more;
        }
        if (status != MM_OK || depth == 0)
            break;
        status = mm_json_peek(json, &kind, err);
    }
    if (status != MM_OK)
        return status;
    *text = (const char *)begin;
    *size = (size_t)(json->at - begin);
    return MM_OK;
}

mm_status mm_json_finish(mm_json *json, mm_error *err)
{
    mm_error nothing = MM_ERROR_INIT; /* the end of the text is what is wanted */
    if (skip_space(json, &nothing) != MM_OK)
        return MM_OK;
    return expected(json, "the end of the text", err);
}
