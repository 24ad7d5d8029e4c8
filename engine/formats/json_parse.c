/* The pull parser: tokens and numbers. Strings: json_string.c; what is passed over: json_skip.c. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "formats/json_quick.h"

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

mm_status mm_json_starved(const mm_json *json, mm_error *err)
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
    return at < json->end ? MM_OK : mm_json_starved(json, err);
}

const uint8_t mm_json_kinds[256] = {
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
    uint8_t found = mm_json_kinds[*json->at];
    if (found == 0)
        return expected(json, "a value", err);
    *kind = (mm_json_kind)(found - 1);
    return MM_OK;
}

mm_status mm_json_peek(mm_json *json, mm_json_kind *kind, mm_error *err)
{
    return peek(json, kind, err);
}

mm_status mm_json_want(mm_json *json, mm_json_kind kind, mm_error *err)
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
    mm_status status = mm_json_want(json, kind, err);
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
static inline bool any_quick_key(mm_json *json, const char **key, size_t *size)
{
    const uint8_t *before = json->at;
    bool first = json->first;
    if (!first && (before == json->end || *before != ','))
        return false;
    json->at += !first;
    if (mm_json_quick_string(json, key, size) && json->at < json->end && *json->at == ':') {
        json->at++;
        return true;
    }
    json->at = before;
    json->first = first;
    return false;
}

void mm_json_key_set(mm_json_key *key, const char *name, size_t size)
{
    const uint8_t *text = (const uint8_t *)name, *end = text + size;
    bool wide = false;
    *key = (mm_json_key){.size = 0};
    if (size + 3 > sizeof(key->text) || mm_json_plain_run(text, end, &wide) != end)
        return;
    key->text[0] = '"';
    memcpy(key->text + 1, name, size);
    memcpy(key->text + 1 + size, "\":", 2);
    key->size = (uint32_t)size + 3;
    key->mask = (uint32_t)(((uint64_t)1 << key->size) - 1);
}

mm_status mm_json_next_key(mm_json *json, const char **key, size_t *size, bool *more, mm_error *err)
{
    *more = true;
    if (any_quick_key(json, key, size))
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
        return mm_json_starved(json, err);
    json->at += size;
    json->first = false;
    return MM_OK;
}

mm_status mm_json_bool(mm_json *json, bool *out, mm_error *err)
{
    mm_status status = mm_json_want(json, MM_JSON_BOOL, err);
    if (status != MM_OK)
        return status;
    *out = *json->at == 't';
    return *out ? word(json, "true", 4, err) : word(json, "false", 5, err);
}

mm_status mm_json_null(mm_json *json, mm_error *err)
{
    mm_status status = mm_json_want(json, MM_JSON_NULL, err);
    return status == MM_OK ? word(json, "null", 4, err) : status;
}

const bool mm_json_ends_number[256] = {[','] = true,  [']'] = true,  ['}'] = true, [' '] = true,
                                       ['\n'] = true, ['\r'] = true, ['\t'] = true};

/* At a byte that begins a number. */
static mm_status number_here(mm_json *json, mm_number *out, mm_error *err)
{
    size_t size = mm_number_scan(json->at, json->end, out);
    const uint8_t *behind = json->at + size;
    if (behind == json->end && !json->whole)
        return MM_END;
    if (size == 0 && json->end - json->at > MM_NUMBER_MAX)
        return mm_json_bad(json, json->at, err, "a number of more than %d characters, or none", MM_NUMBER_MAX);
    if (size == 0 || (behind < json->end && !mm_json_ends_number[*behind])) {
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
    if (mm_json_quick_number(json, out))
        return MM_OK;
    mm_status status = mm_json_want(json, MM_JSON_NUMBER, err);
    return status == MM_OK ? number_here(json, out, err) : status;
}

mm_status mm_json_finish(mm_json *json, mm_error *err)
{
    mm_error nothing = MM_ERROR_INIT; /* the end of the text is what is wanted */
    if (skip_space(json, &nothing) != MM_OK)
        return MM_OK;
    return expected(json, "the end of the text", err);
}
