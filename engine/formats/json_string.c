/* Strings of JSON: their end, their escapes, their UTF-8. A block of bytes is looked at once, and copied where the text is
 * wanted elsewhere; only texts in which a byte from 0x80 on was seen are checked for UTF-8. */
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "base/utf8.h"
#include "formats/json_quick.h"

static mm_status hex4(mm_json *json, const uint8_t *at, uint32_t *out, mm_error *err)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        if (at + i >= json->end)
            return mm_json_starved(json, err);
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

#ifdef __x86_64__
/* As copy_run below, while 64 bytes are left; true: it ended at such a byte. *high: not 0 for bytes from 0x80 on. */
__attribute__((target("avx2"))) static bool copy_long(const uint8_t **from, const uint8_t *end, char **to, unsigned *high)
{
    const __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\'), control = _mm256_set1_epi8(0x1F);
    __m256i all = _mm256_setzero_si256();
    const uint8_t *at = *from;
    char *out = *to;
    uint64_t mask = 0;
    for (; end - at >= 64; at += 64, out += 64) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)at);
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(at + 32));
        __m256i stops_a = _mm256_or_si256(_mm256_cmpeq_epi8(a, quote), _mm256_cmpeq_epi8(a, backslash));
        __m256i stops_b = _mm256_or_si256(_mm256_cmpeq_epi8(b, quote), _mm256_cmpeq_epi8(b, backslash));
        stops_a = _mm256_or_si256(stops_a, _mm256_cmpeq_epi8(_mm256_min_epu8(a, control), a));
        stops_b = _mm256_or_si256(stops_b, _mm256_cmpeq_epi8(_mm256_min_epu8(b, control), b));
        _mm256_storeu_si256((__m256i *)(void *)out, a);
        _mm256_storeu_si256((__m256i *)(void *)(out + 32), b);
        all = _mm256_or_si256(all, _mm256_or_si256(a, b));
        mask = (uint32_t)_mm256_movemask_epi8(stops_a) | (uint64_t)(uint32_t)_mm256_movemask_epi8(stops_b) << 32;
        if (mask != 0) {
            at += __builtin_ctzll(mask);
            out += __builtin_ctzll(mask);
            break;
        }
    }
    *high |= (unsigned)_mm256_movemask_epi8(all);
    *from = at;
    *to = out;
    return mask != 0;
}
#endif

/* Copies to the next quote, backslash or control character, a block at a time, or to `end`; no byte of the copy stands
 * farther from its beginning than the last one before `end`. */
static const uint8_t *copy_run(const uint8_t *at, const uint8_t *end, char **to, bool *wide)
{
    char *out = *to;
    unsigned high = 0;
    bool stopped = false;
#ifdef __x86_64__
    if (end - at >= 64 && __builtin_cpu_supports("avx2"))
        stopped = copy_long(&at, end, &out, &high);
#endif
#ifdef __SSE2__
    while (!stopped && end - at >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        unsigned mask = mm_json_stops(block);
        high |= (unsigned)_mm_movemask_epi8(block);
        _mm_storeu_si128((__m128i *)(void *)out, block);
        stopped = mask != 0;
        unsigned size = stopped ? (unsigned)__builtin_ctz(mask) : 16;
        at += size;
        out += size;
    }
#endif
    for (; !stopped && at < end && *at != '"' && *at != '\\' && *at >= 0x20; at++) {
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
        return mm_json_starved(json, err);
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

/* Room for `size` bytes and a NUL behind those that are there, of which nothing is touched yet; NULL: no memory. */
static char *room_for(mm_buffer *buffer, size_t size)
{
    if (buffer->capacity - buffer->size <= size) {
        if (mm_buffer_room(buffer, size) == NULL)
            return NULL;
        buffer->size -= size;
    }
    return buffer->data + buffer->size;
}

/* Appends what stands at *at, inside of a string, to `text`, without its escapes; *at: then its closing quote. Bytes from
 * 0x80 on are not looked at, but told. */
static mm_status unescape(mm_json *json, mm_buffer *text, const uint8_t **from, bool *wide, mm_error *err)
{
    const uint8_t *at = *from;
    mm_status status = MM_OK;
    for (;;) {
        size_t left = (size_t)(json->end - at), run = left < RUN ? left : RUN, before = text->size;
        char *to = room_for(text, run + 32);
        if (to == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory for a string", json->name);
        char *begin = to;
        const uint8_t *end = at + run;
        for (;;) {
            at = copy_run(at, end, &to, wide);
            if (at >= end || *at != '\\' || (status = escape(json, &at, &to, err)) != MM_OK)
                break;
        }
        text->size = before + (size_t)(to - begin);
        *to = '\0';
        if (status != MM_OK)
            return status;
        if (at == json->end)
            return mm_json_starved(json, err);
        if (at >= end)
            continue;
        if (*at != '"')
            return mm_json_bad(json, at, err, "control character in a string");
        *from = at;
        return MM_OK;
    }
}

/* Escapes give whole characters, so that a text is UTF-8 where what stands between them is. */
static mm_status check_utf8(const mm_json *json, const char *text, size_t size, const uint8_t *begin,
                            const uint8_t *close, mm_error *err)
{
    if (mm_utf8_prefix(text, size) == size)
        return MM_OK;
    return mm_json_bad(json, begin + mm_utf8_prefix(begin, (size_t)(close - begin)), err, "not UTF-8");
}

mm_status mm_json_string(mm_json *json, const char **text, size_t *size, mm_error *err)
{
    bool wide = false;
    mm_status status = MM_OK;
    if (json->at == json->end || *json->at != '"')
        status = mm_json_want(json, MM_JSON_STRING, err);
    if (status != MM_OK)
        return status;
    const uint8_t *begin = json->at + 1, *close = mm_json_plain_run(begin, json->end, &wide);
    *text = (const char *)begin;
    *size = (size_t)(close - begin);
    if (close == json->end || *close != '"') {
        json->text.size = 0;
        mm_buffer_append(&json->text, begin, *size);
        status = unescape(json, &json->text, &close, &wide, err);
        *text = json->text.data;
        *size = json->text.size;
    }
    if (status == MM_OK && wide)
        status = check_utf8(json, *text, *size, begin, close, err);
    if (status != MM_OK)
        return status;
    json->at = close + 1;
    json->first = false;
    return MM_OK;
}

mm_status mm_json_string_append(mm_json *json, mm_buffer *out, mm_error *err)
{
    bool wide = false;
    size_t before = out->size;
    mm_status status = MM_OK;
    if (json->at == json->end || *json->at != '"')
        status = mm_json_want(json, MM_JSON_STRING, err);
    if (status != MM_OK)
        return status;
    const uint8_t *begin = json->at + 1, *close = begin;
    status = unescape(json, out, &close, &wide, err);
    if (status == MM_OK && wide)
        status = check_utf8(json, out->data + before, out->size - before, begin, close, err);
    if (status != MM_OK) {
        out->size = before;
        return status;
    }
    json->at = close + 1;
    json->first = false;
    return MM_OK;
}
