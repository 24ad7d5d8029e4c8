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

#ifdef __SSE2__
/* A bit for each of 16 bytes that is a quote, a backslash or a control character. */
static inline unsigned stops_in(__m128i block)
{
    __m128i stops = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
    stops = _mm_or_si128(stops, _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block));
    return (unsigned)_mm_movemask_epi8(stops);
}
#endif

/* To the first such byte; `end` if there is none. *wide is set when there are bytes from 0x80 on, perhaps behind that
 * place. */
static inline __attribute__((always_inline)) const uint8_t *plain_run(const uint8_t *at, const uint8_t *end, bool *wide)
{
    unsigned high = 0;
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        unsigned mask = stops_in(block);
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

/* The usual string, without escapes and in ASCII, that begins at `at`. False: nothing was read, the long way tells
 * why. */
static bool quick_string(mm_json *json, const uint8_t *at, const char **text, size_t *size)
{
    bool wide = false;
    if (at == json->end || *at != '"')
        return false;
    const uint8_t *close = plain_run(at + 1, json->end, &wide);
    if (close == json->end || *close != '"' || wide)
        return false;
    *text = (const char *)at + 1;
    *size = (size_t)(close - at) - 1;
    json->at = close + 1;
    json->first = false;
    return true;
}

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
static inline mm_status skip_space(mm_json *json, mm_error *err)
{
    const uint8_t *at = json->at;
    if (at < json->end && *at > ' ')
        return MM_OK;
    while (at < json->end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    json->at = at;
    return at < json->end ? MM_OK : starved(json, err);
}

/* The kind of a value by its first byte, less one. */
static const uint8_t kinds[256] = {
    ['{'] = 1 + MM_JSON_OBJECT, ['['] = 1 + MM_JSON_ARRAY,  ['"'] = 1 + MM_JSON_STRING, ['t'] = 1 + MM_JSON_BOOL,
    ['f'] = 1 + MM_JSON_BOOL,   ['n'] = 1 + MM_JSON_NULL,   ['-'] = 1 + MM_JSON_NUMBER, ['0'] = 1 + MM_JSON_NUMBER,
    ['1'] = 1 + MM_JSON_NUMBER, ['2'] = 1 + MM_JSON_NUMBER, ['3'] = 1 + MM_JSON_NUMBER, ['4'] = 1 + MM_JSON_NUMBER,
    ['5'] = 1 + MM_JSON_NUMBER, ['6'] = 1 + MM_JSON_NUMBER, ['7'] = 1 + MM_JSON_NUMBER, ['8'] = 1 + MM_JSON_NUMBER,
    ['9'] = 1 + MM_JSON_NUMBER};

static inline mm_status peek(mm_json *json, mm_json_kind *kind, mm_error *err)
{
    mm_status status = skip_space(json, err);
    if (status != MM_OK)
        return status;
    uint8_t found = kinds[*json->at];
    if (found == 0)
        return expected(json, "a value", err);
    *kind = (mm_json_kind)(found - 1);
    return MM_OK;
}

mm_status mm_json_peek(mm_json *json, mm_json_kind *kind, mm_error *err)
{
    return peek(json, kind, err);
}

static mm_status want(mm_json *json, mm_json_kind kind, mm_error *err)
{
    mm_json_kind found = MM_JSON_NULL;
    mm_status status = peek(json, &found, err);
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

/* ,"key": without white space in it. */
static bool quick_key(mm_json *json, const char **key, size_t *size)
{
    const uint8_t *at = json->at;
    bool first = json->first;
    if (!first && (at == json->end || *at++ != ','))
        return false;
    if (!quick_string(json, at, key, size))
        return false;
    if (json->at == json->end || *json->at != ':') {
        json->at = first ? at : at - 1;
        json->first = first;
        return false;
    }
    json->at++;
    return true;
}

mm_status mm_json_next_key(mm_json *json, const char **key, size_t *size, bool *more, mm_error *err)
{
    *more = true;
    if (quick_key(json, key, size))
        return MM_OK;
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

static inline bool ends_number(uint8_t byte)
{
    static const bool ends[256] = {[','] = true, [']'] = true, ['}'] = true, [' '] = true,
                                   ['\n'] = true, ['\r'] = true, ['\t'] = true};
    return ends[byte];
}

/* The usual integer: at most 18 digits, and its end in sight. */
static bool quick_integer(mm_json *json, mm_number *out)
{
    const uint8_t *at = json->at, *end = json->end;
    bool negative = at < end && *at == '-';
    uint64_t digits = 0;
    at += negative;
    const uint8_t *begin = at;
    for (; at < end && (uint8_t)(*at - '0') < 10; at++) {
        if (at - begin == 18)
            return false;
        digits = 10 * digits + (uint64_t)(*at - '0');
    }
    if (at == begin || at == end || !ends_number(*at) || (*begin == '0' && at - begin > 1))
        return false;
    *out = (mm_number){.text = json->at, .size = (uint32_t)(at - json->at), .negative = negative, .integer = true,
                       .digits = digits};
    json->at = at;
    json->first = false;
    return true;
}

/* At a byte that begins a number. */
static mm_status number_here(mm_json *json, mm_number *out, mm_error *err)
{
    if (quick_integer(json, out))
        return MM_OK;
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

static mm_status hex4(mm_json *json, const uint8_t *at, uint32_t *out, mm_error *err)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        if (at + i >= json->end)
            return starved(json, err);
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

/* UTF-8 of a code point, at most 4 bytes. */
static char *put_code(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    if (code < 0x800) {
        *to++ = (char)(0xC0 | code >> 6);
    } else if (code < 0x10000) {
        *to++ = (char)(0xE0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
    } else {
        *to++ = (char)(0xF0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3F));
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
    }
    *to++ = (char)(0x80 | (code & 0x3F));
    return to;
}

/* \uXXXX, or a pair of surrogates; *at stands on the 'u', and behind it afterwards. */
static mm_status unicode(mm_json *json, const uint8_t **at, char **to, mm_error *err)
{
    const uint8_t *p = *at + 1, *close = json->end;
    uint32_t code = 0, low = 0;
    mm_status status = hex4(json, p, &code, err);
    if (status != MM_OK)
        return status;
    p += 4;
    if (code >= 0xD800 && code < 0xE000) {
        if (!json->whole && close - p < 6)
            return MM_END;
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
    *to = put_code(*to, code);
    *at = p;
    return MM_OK;
}

/* Copies to the next quote, backslash or control character, 16 bytes at a time, or to `end`; there is room for 16 bytes
 * more than that. */
static const uint8_t *copy_run(const uint8_t *at, const uint8_t *end, char **to, bool *wide)
{
    char *out = *to;
    unsigned high = 0;
#ifdef __SSE2__
    for (; end - at >= 16; at += 16, out += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        unsigned mask = stops_in(block);
        high |= (unsigned)_mm_movemask_epi8(block);
        _mm_storeu_si128((__m128i *)(void *)out, block);
        if (mask != 0) {
            *wide = *wide || high != 0;
            *to = out + __builtin_ctz(mask);
            return at + __builtin_ctz(mask);
        }
    }
#endif
    for (; at < end && *at != '"' && *at != '\\' && *at >= 0x20; at++) {
        high |= *at & 0x80u;
        *out++ = (char)*at;
    }
    *wide = *wide || high != 0;
    *to = out;
    return at;
}

/* What a letter behind a backslash stands for; 0: nothing. */
static const char escapes[256] = {['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b',
                                  ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};

/* At the backslash *at: what it means to *to, which has room for 4 bytes. */
static mm_status escape(mm_json *json, const uint8_t **at, char **to, mm_error *err)
{
    const uint8_t *p = *at + 1;
    if (p == json->end)
        return starved(json, err);
    char letter = escapes[*p];
    if (letter != 0) {
        *(*to)++ = letter;
        *at = p + 1;
        return MM_OK;
    }
    if (*p != 'u')
        return *p < 0x20 ? mm_json_bad(json, p, err, "control character in a string")
                         : mm_json_bad(json, *at, err, "unknown escape");
    *at = p;
    return unicode(json, at, to, err);
}

#define RUN 4096 /* bytes between two looks at the room that is left */

/* The string behind the quote at `begin`, in json->text without its escapes; *close: where the first may be, then the
 * closing quote. */
static mm_status unescape(mm_json *json, const uint8_t *begin, const uint8_t **close, bool *wide, mm_error *err)
{
    mm_buffer *text = &json->text;
    const uint8_t *at = *close;
    mm_status status = MM_OK;
    text->size = 0;
    mm_buffer_append(text, begin, (size_t)(at - begin));
    while (status == MM_OK) {
        size_t left = (size_t)(json->end - at), run = left < RUN ? left : RUN;
        char *to = mm_buffer_room(text, run + 32);
        if (to == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory for a string", json->name);
        const uint8_t *end = at + run;
        for (;;) {
            at = copy_run(at, end, &to, wide);
            if (at >= end || *at != '\\' || (status = escape(json, &at, &to, err)) != MM_OK)
                break;
        }
        text->size = (size_t)(to - text->data);
        if (status != MM_OK)
            break;
        if (at == json->end)
            return starved(json, err);
        if (at >= end)
            continue;
        if (*at != '"')
            return mm_json_bad(json, at, err, "control character in a string");
        *close = at;
        return MM_OK;
    }
    return status;
}

mm_status mm_json_string(mm_json *json, const char **text, size_t *size, mm_error *err)
{
    bool wide = false;
    if (json->at == json->end || *json->at != '"') {
        mm_status status = want(json, MM_JSON_STRING, err);
        if (status != MM_OK)
            return status;
    }
    const uint8_t *begin = json->at + 1, *close = plain_run(begin, json->end, &wide);
    *text = (const char *)begin;
    if (close == json->end || *close != '"') {
        mm_status status = unescape(json, begin, &close, &wide, err);
        if (status != MM_OK)
            return status;
        *text = json->text.size > 0 ? json->text.data : "";
        *size = json->text.size;
    } else {
        *size = (size_t)(close - begin);
    }
    /* escapes give whole characters, so that their text is UTF-8 where what stands between them is */
    if (wide && mm_utf8_prefix(*text, *size) < *size)
        return mm_json_bad(json, begin + mm_utf8_prefix(begin, (size_t)(close - begin)), err, "not UTF-8");
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
    mm_json_kind kind = MM_JSON_NULL;
    mm_status status = peek(json, &kind, err);
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
        status = peek(json, &kind, err);
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
