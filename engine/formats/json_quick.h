/* The pull parser's usual cases, inline: strings of ASCII without escapes, short numbers, keys that were foreseen, all of
 * them without white space. Each tells whether it read anything: where it did not, nothing has changed, and the
 * function of json_parse.h that is of the same kind reads the value or says what is wrong with it. */
#ifndef MM_FORMATS_JSON_QUICK_H
#define MM_FORMATS_JSON_QUICK_H

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "formats/digits.h"
#include "formats/json_parse.h"

/* --- what the parser's own files share ------------------------------------------------------------------------- */

/* The kind of a value by its first byte, and one more; 0: no value begins so. */
extern const uint8_t mm_json_kinds[256];
/* What may stand right behind a number. */
extern const bool mm_json_ends_number[256];

/* The bytes end where more are needed: MM_END, or MM_DATA where nothing comes any more. */
mm_status mm_json_starved(const mm_json *json, mm_error *err) MM_MUST_USE;
/* White space is passed over; MM_OK: a value of that kind begins. */
mm_status mm_json_want(mm_json *json, mm_json_kind kind, mm_error *err) MM_MUST_USE;

#ifdef __SSE2__
/* A bit for each of 16 bytes that is a quote, a backslash or a control character. */
static inline unsigned mm_json_stops(__m128i block)
{
    __m128i stops = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
    stops = _mm_or_si128(stops, _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block));
    return (unsigned)_mm_movemask_epi8(stops);
}
#endif

/* To the first such byte; `end` if there is none. *wide is set when there are bytes from 0x80 on, perhaps behind that
 * place. */
static inline __attribute__((always_inline)) const uint8_t *mm_json_plain_run(const uint8_t *at, const uint8_t *end,
                                                                              bool *wide)
{
    unsigned high = 0;
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        unsigned mask = mm_json_stops(block);
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

/* --- values ----------------------------------------------------------------------------------------------------- */

/* As mm_json_peek, which is asked where white space stands before the value. */
static inline mm_status mm_json_quick_kind(mm_json *json, mm_json_kind *kind, mm_error *err)
{
    uint8_t found = json->at < json->end ? mm_json_kinds[*json->at] : 0;
    if (found == 0)
        return mm_json_peek(json, kind, err);
    *kind = (mm_json_kind)(found - 1);
    return MM_OK;
}

/* Valid as long as the bytes are. */
static inline bool mm_json_quick_string(mm_json *json, const char **text, size_t *size)
{
    const uint8_t *at = json->at;
    bool wide = false;
    if (at == json->end || *at != '"')
        return false;
    const uint8_t *close = mm_json_plain_run(at + 1, json->end, &wide);
    if (close == json->end || *close != '"' || wide)
        return false;
    *text = (const char *)at + 1;
    *size = (size_t)(close - at) - 1;
    json->at = close + 1;
    json->first = false;
    return true;
}

#define MM_JSON_SHORT 32

/* The same for one of less than MM_JSON_SHORT bytes, to the end of `out`. */
static inline bool mm_json_quick_append(mm_json *json, mm_buffer *out)
{
    const uint8_t *at = json->at;
    unsigned size = 0;
    if (json->end - at <= MM_JSON_SHORT || out->capacity - out->size <= MM_JSON_SHORT || *at++ != '"')
        return false;
    char *to = out->data + out->size;
#ifdef __SSE2__
    const __m128i *from = (const __m128i *)(const void *)at;
    __m128i low = _mm_loadu_si128(from), high = _mm_loadu_si128(from + 1);
    uint32_t stops = mm_json_stops(low) | mm_json_stops(high) << 16;
    uint32_t wide = (uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16;
    if (stops == 0 || (wide & (stops ^ (stops - 1))) != 0)
        return false;
    size = (unsigned)__builtin_ctz(stops);
#else
    while (size < MM_JSON_SHORT && at[size] >= 0x20 && at[size] < 0x80 && at[size] != '"' && at[size] != '\\')
        size++;
#endif
    if (size == MM_JSON_SHORT || at[size] != '"')
        return false;
#ifdef __SSE2__
    _mm_storeu_si128((__m128i *)(void *)to, low);
    _mm_storeu_si128((__m128i *)(void *)(to + 16), high);
#else
    memcpy(to, at, size);
#endif
    to[size] = '\0';
    out->size += size;
    json->at = at + size + 1;
    json->first = false;
    return true;
}

/* Digits from *at on, at most 16 (more may follow), added to *value; 16 bytes are there. */
static inline unsigned mm_json_quick_digits(const uint8_t **at, uint64_t *value)
{
    uint64_t part;
    unsigned count = mm_digits_lead(*at, &part), all = count;
    *value = *value * mm_tens[count] + part;
    if (count == 8) {
        count = mm_digits_lead(*at + 8, &part);
        *value = *value * mm_tens[count] + part;
        all += count;
    }
    *at += all;
    return all;
}

/* At most 16 digits, 18 with a point in them, and the number's end in sight. */
static inline bool mm_json_quick_number(mm_json *json, mm_number *out)
{
    const uint8_t *at = json->at;
    if (json->end - at < 48)
        return false;
    bool negative = *at == '-';
    uint64_t digits = 0;
    unsigned places = 0;
    at += negative;
    const uint8_t *begin = at;
    unsigned count = mm_json_quick_digits(&at, &digits);
    if (count == 0 || (*begin == '0' && count > 1))
        return false;
    bool integer = *at != '.';
    if (!integer) {
        at++;
        places = mm_json_quick_digits(&at, &digits);
        if (places == 0 || count + places > 18)
            return false;
    }
    if (!mm_json_ends_number[*at])
        return false;
    *out = (mm_number){.text = json->at, .size = (uint32_t)(at - json->at), .negative = negative, .integer = integer,
                       .digits = digits, .exponent = -(int32_t)places};
    json->at = at;
    json->first = false;
    return true;
}

/* --- objects ---------------------------------------------------------------------------------------------------- */

/* Into an object. */
static inline bool mm_json_quick_enter(mm_json *json)
{
    if (json->at == json->end || *json->at != '{')
        return false;
    json->at++;
    json->first = true;
    return true;
}

/* Behind a member, or the bracket that opened it: the object ends here, and is behind the parser. */
static inline bool mm_json_quick_end(mm_json *json)
{
    if (json->at == json->end || *json->at != '}')
        return false;
    json->at++;
    json->first = false;
    return true;
}

/* --- keys ------------------------------------------------------------------------------------------------------- */

/* A key as it usually stands in a text, with its quotes and the colon. */
#define MM_JSON_KEY_MAX 32
typedef struct mm_json_key {
    char text[MM_JSON_KEY_MAX];
    uint32_t size; /* 0: too long, or it is written with escapes */
    uint32_t mask; /* a bit for each byte */
} mm_json_key;

/* name: UTF-8. */
void mm_json_key_set(mm_json_key *key, const char *name, size_t size);

/* Reads the next key of the object if it is this one. */
static inline bool mm_json_quick_key(mm_json *json, const mm_json_key *key)
{
    const uint8_t *at = json->at;
    if (json->end - at <= MM_JSON_KEY_MAX || key->size == 0 || (!json->first && *at != ','))
        return false;
    at += !json->first;
#ifdef __SSE2__
    const __m128i *here = (const __m128i *)(const void *)at, *wanted = (const __m128i *)(const void *)key->text;
    uint32_t same = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(here), _mm_loadu_si128(wanted)));
    if (key->size > 16)
        same |= (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(here + 1), _mm_loadu_si128(wanted + 1))) << 16;
    if ((same & key->mask) != key->mask)
        return false;
#else
    if (memcmp(at, key->text, key->size) != 0)
        return false;
#endif
    json->at = at + key->size;
    json->first = false;
    return true;
}

#endif
