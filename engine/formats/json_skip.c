/* Values that are passed over: checked as strictly as those that are read, but nothing is made of them. What is written
 * in the usual way is passed in one loop with all its state in registers; at anything else the loop stops before that
 * token, and the parser's functions pass it or say what is wrong. */
#include "base/utf8.h"
#include "formats/json_quick.h"

/* The longest of the tokens that are looked at without asking where the bytes end. */
#define MARGIN 32

typedef enum place {
    VALUE, /* a value comes next */
    FIRST, /* right behind a bracket that opens */
    BEHIND /* behind a value */
} place;

typedef struct skipper {
    uint8_t closes[MM_JSON_DEPTH]; /* for each open bracket, the one that closes it */
    unsigned depth;
    place place;
} skipper;

/* Behind the string whose opening quote is at `at`; NULL: it has escapes, or is not as it should be. */
static const uint8_t *long_string_end(const uint8_t *at, const uint8_t *end)
{
    bool wide = false;
    const uint8_t *close = mm_json_plain_run(at + 1, end, &wide);
    if (close == end || *close != '"')
        return NULL;
    size_t size = (size_t)(close - at) - 1;
    return wide && mm_utf8_prefix(at + 1, size) != size ? NULL : close + 1;
}

/* The same where MARGIN bytes are there. */
static inline const uint8_t *string_end(const uint8_t *at, const uint8_t *end)
{
#ifdef __SSE2__
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(at + 1));
    unsigned stops = mm_json_stops(block);
    if (stops != 0 && _mm_movemask_epi8(block) == 0) {
        at += 1 + __builtin_ctz(stops);
        return *at == '"' ? at + 1 : NULL;
    }
#endif
    return long_string_end(at, end);
}

/* Behind the number at `at`, of which MARGIN bytes are there; NULL: it is long, has an exponent, or is none. */
static inline const uint8_t *number_end(const uint8_t *at)
{
    const uint8_t *most = at + MARGIN - 1;
    at += *at == '-';
    const uint8_t *begin = at;
    while ((uint8_t)(*at - '0') < 10 && at < most)
        at++;
    if (at == begin || (*begin == '0' && at - begin > 1))
        return NULL;
    if (*at == '.') {
        begin = ++at;
        while (at < most && (uint8_t)(*at - '0') < 10)
            at++;
        if (at == begin)
            return NULL;
    }
    return at < most && mm_json_ends_number[*at] ? at : NULL;
}

/* Behind the plain value at `at`, of which MARGIN bytes are there; NULL: it is unusual, or a bracket. */
static inline const uint8_t *plain_end(const uint8_t *at, const uint8_t *end)
{
    if (*at == '"')
        return string_end(at, end);
    if (mm_json_kinds[*at] == 1 + MM_JSON_NUMBER)
        return number_end(at);
    if (memcmp(at, "null", 4) == 0 || memcmp(at, "true", 4) == 0)
        return at + 4;
    return memcmp(at, "false", 5) == 0 ? at + 5 : NULL;
}

/* From json->at on while all is usual, at most to the end of the value. */
static void skip_usual(skipper *s, mm_json *json)
{
    const uint8_t *at = json->at, *end = json->end, *next;
    unsigned depth = s->depth;
    place now = s->place;
    uint8_t close = depth > 0 ? s->closes[depth - 1] : 0;
    while (end - at >= MARGIN) {
        if (now == VALUE && (*at | 0x20) == '{') { /* or '[' */
            if (depth == MM_JSON_DEPTH)
                break;
            close = s->closes[depth++] = *at++ + 2;
            now = FIRST;
        } else if (now == VALUE) {
            if ((next = plain_end(at, end)) == NULL)
                break;
            at = next;
            now = BEHIND;
            if (depth == 0 || end - at < MARGIN)
                break;
        }
        if (*at == close) {
            at++;
            now = BEHIND;
            if (--depth == 0)
                break;
            close = s->closes[depth - 1];
            continue;
        }
        if (now == BEHIND ? *at != ',' : *at <= ' ') /* a bracket may close behind white space */
            break;
        next = at + (now == BEHIND);
        if (close == '}') {
            if (*next != '"' || end - next < MARGIN || (next = string_end(next, end)) == NULL || next == end ||
                *next++ != ':')
                break;
        }
        at = next;
        now = VALUE;
    }
    json->at = at;
    s->depth = depth;
    s->place = now;
}

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

/* One token, whatever it is. */
static mm_status skip_token(skipper *s, mm_json *json, mm_error *err)
{
    mm_json_kind kind;
    mm_status status;
    if (s->place != VALUE) {
        const char *key;
        size_t size;
        bool more;
        json->first = s->place == FIRST;
        status = s->closes[s->depth - 1] == '}' ? mm_json_next_key(json, &key, &size, &more, err) : mm_json_next_item(json, &more, err);
        if (status != MM_OK)
            return status;
        s->depth -= !more;
        s->place = more ? VALUE : BEHIND;
        return MM_OK;
    }
    status = mm_json_peek(json, &kind, err);
    if (status != MM_OK)
        return status;
    if (kind != MM_JSON_OBJECT && kind != MM_JSON_ARRAY) {
        s->place = BEHIND;
        return skip_plain(json, kind, err);
    }
    if (s->depth == MM_JSON_DEPTH)
        return mm_json_bad(json, json->at, err, "more than %d levels", MM_JSON_DEPTH);
    s->closes[s->depth++] = kind == MM_JSON_OBJECT ? '}' : ']';
    s->place = FIRST;
    json->at++;
    return MM_OK;
}

/* A value with brackets, or anything unusual. */
static mm_status skip_any(mm_json *json, mm_error *err)
{
    skipper s;
    s.depth = 0;
    s.place = VALUE;
    mm_status status = MM_OK;
    while (status == MM_OK && (s.place == VALUE || s.depth > 0)) {
        skip_usual(&s, json);
        if (s.place == VALUE || s.depth > 0)
            status = skip_token(&s, json, err);
    }
    return status;
}

mm_status mm_json_skip(mm_json *json, const char **text, size_t *size, mm_error *err)
{
    mm_json_kind kind;
    mm_status status = mm_json_quick_kind(json, &kind, err); /* white space is no part of the value */
    if (status != MM_OK)
        return status;
    const uint8_t *begin = json->at, *end = json->end, *behind = NULL;
    if (end - begin > MARGIN && kind == MM_JSON_ARRAY) { /* of one plain value? */
        behind = plain_end(begin + 1, end);
        behind = behind != NULL && behind < end && *behind == ']' ? behind + 1 : NULL;
    } else if (end - begin >= MARGIN) {
        behind = plain_end(begin, end);
    }
    if (behind != NULL)
        json->at = behind;
    else
        status = skip_any(json, err);
    if (status != MM_OK)
        return status;
    json->first = false;
    *text = (const char *)begin;
    *size = (size_t)(json->at - begin);
    return MM_OK;
}
