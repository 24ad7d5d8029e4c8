/* Vectors of documents. A dense_vector stands in _source as its writer gave it: an array of numbers, for bytes and bits
 * also hexadecimal text (Elasticsearch 8.15 and later), for floats base64 of big-endian float32 (9.3 and later). A
 * sparse vector is an object of weights by token (sparse_vector) or feature (rank_features). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/half.h"
#include "sources/elastic/fields.h"

/* --- numbers ---------------------------------------------------------------------------------------------------- */

/* One number into element `at` of a vector of any type; the reason, NULL: none. */
static const char *put(mm_type type, uint8_t *to, size_t at, double value)
{
    uint16_t half, exponent = type == MM_TYPE_FLOAT16_VECTOR ? 0x7C00 : 0x7F80;
    if (type == MM_TYPE_INT8_VECTOR) {
        if (!(value >= INT8_MIN && value <= INT8_MAX) || value != rint(value))
            return "a vector of bytes has integers from -128 to 127";
        to[at] = (uint8_t)(int8_t)value;
        return NULL;
    }
    half = type == MM_TYPE_FLOAT16_VECTOR ? mm_half_from_double(value) : mm_bfloat_from_double(value);
    if ((half & exponent) == exponent)
        return "a number beyond the range of a 16-bit float";
    memcpy(to + at * sizeof(half), &half, sizeof(half));
    return NULL;
}

/* Arrays of what is not float32. */
static mm_status read_numbers(mm_json *json, const mm_field *field, uint8_t *to, size_t *count, mm_error *err)
{
    mm_number number;
    bool more;
    size_t n = 0;
    mm_status status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
        if (n == field->dim)
            return mm_json_bad(json, json->at, err, "more than %u numbers", field->dim);
        status = mm_json_number(json, &number, err);
        const char *wrong = status == MM_OK ? put(field->type, to, n++, mm_number_double(&number)) : NULL;
        if (wrong != NULL)
            return mm_json_bad(json, number.text, err, "%s", wrong);
    }
    *count = n;
    return status;
}

/* --- texts ------------------------------------------------------------------------------------------------------ */

static int hex_digit(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    letter |= 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Two digits a byte. False: not hexadecimal. */
static bool from_hex(const char *text, size_t size, uint8_t *out)
{
    for (size_t i = 0; i < size; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int base64_digit(char letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

/* Exactly `wanted` bytes, padded or not. */
static bool from_base64(const char *text, size_t size, uint8_t *out, size_t wanted)
{
    uint32_t word = 0;
    size_t have = 0, bits = 0;
    while (size > 0 && text[size - 1] == '=')
        size--;
    if ((wanted * 8 + 5) / 6 != size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0)
            return false;
        word = word << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[have++] = (uint8_t)(word >> bits);
        }
    }
    return have == wanted && (word & ((1u << bits) - 1)) == 0;
}

/* `width` bytes an element, of which `count` are wanted, into room that the cell keeps. */
static mm_status take_bytes(mm_json *json, mm_elastic_cell *cell, size_t count, size_t width, const uint8_t **out,
                            mm_error *err)
{
    const char *text;
    size_t size, wanted = count * width;
    const uint8_t *begin = json->at;
    mm_status status = mm_json_string(json, &text, &size, err);
    if (status != MM_OK)
        return status;
    cell->texts.size = 0;
    uint8_t *room = mm_buffer_room(&cell->texts, wanted);
    if (room == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a vector");
    bool good = width == 1 && size == 2 * wanted && from_hex(text, size, room);
    if (!good && !from_base64(text, size, room, wanted))
        return mm_json_bad(json, begin, err, "the text is no vector of %zu %s: neither %s nor base64 of that length",
                           count, width == 1 ? "bytes" : "floats", width == 1 ? "hexadecimal" : "numbers");
    *out = room;
    return MM_OK;
}

static mm_status dense_text(mm_json *json, mm_elastic_cell *cell, uint8_t *to, mm_error *err)
{
    const uint8_t *bytes, *begin = json->at;
    size_t count = cell->field->dim;
    mm_status status = take_bytes(json, cell, count, cell->how->of_bytes ? 1 : sizeof(float), &bytes, err);
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        float value;
        uint32_t word;
        if (cell->how->of_bytes) {
            value = (float)(int8_t)bytes[i];
        } else {
            memcpy(&word, bytes + i * sizeof(word), sizeof(word));
            word = __builtin_bswap32(word);
            memcpy(&value, &word, sizeof(value));
        }
        if (!isfinite(value))
            return mm_json_bad(json, begin, err, "NaN or infinity in a vector");
        const char *wrong = NULL;
        if (cell->field->type == MM_TYPE_FLOAT_VECTOR)
            memcpy(to + i * sizeof(value), &value, sizeof(value));
        else
            wrong = put(cell->field->type, to, i, (double)value);
        if (wrong != NULL)
            return mm_json_bad(json, begin, err, "%s", wrong);
    }
    return status;
}

mm_status mm_elastic_read_dense(mm_json *json, mm_elastic_cell *cell, uint8_t *to, mm_error *err)
{
    mm_json_kind kind;
    size_t count = 0;
    const mm_field *field = cell->field;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status != MM_OK)
        return status;
    if (kind == MM_JSON_STRING)
        return dense_text(json, cell, to, err);
    const uint8_t *begin = json->at;
    if (field->type == MM_TYPE_FLOAT_VECTOR)
        status = mm_json_floats(json, (float *)(void *)to, field->dim, &count, err);
    else
        status = read_numbers(json, field, to, &count, err);
    if (status == MM_OK && count != field->dim)
        return mm_json_bad(json, begin, err, "a vector of %zu numbers, not %u", count, field->dim);
    return status;
}

/* Signed bytes, as Elasticsearch and OpenSearch want them. */
mm_status mm_elastic_read_bits(mm_json *json, mm_elastic_cell *cell, uint8_t *to, mm_error *err)
{
    mm_json_kind kind;
    mm_field bytes = {.type = MM_TYPE_INT8_VECTOR, .dim = cell->field->dim / 8};
    const uint8_t *from;
    size_t count = 0;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status != MM_OK)
        return status;
    const uint8_t *begin = json->at;
    if (kind == MM_JSON_STRING) {
        status = take_bytes(json, cell, bytes.dim, 1, &from, err);
        if (status == MM_OK)
            memcpy(to, from, bytes.dim);
        return status;
    }
    status = read_numbers(json, &bytes, to, &count, err);
    if (status == MM_OK && count != bytes.dim)
        return mm_json_bad(json, begin, err, "a vector of %zu bytes, not %u", count, bytes.dim);
    return status;
}

/* --- sparse vectors --------------------------------------------------------------------------------------------- */

/* A row in memory: pairs of u32 index, f32 value, ascending by index. */
typedef struct pair {
    uint32_t index;
    float value;
} pair;

static int compare_pairs(const void *a, const void *b)
{
    uint32_t left = ((const pair *)a)->index, right = ((const pair *)b)->index;
    return left < right ? -1 : left > right;
}

/* A number below 2^32 - 1 is the index; any other token has the lower half of its XXH3 hash, less than that. */
static uint32_t index_of(const char *token, size_t size)
{
    uint64_t index = 0;
    size_t at = 0;
    while (at < size && at < 10 && token[at] >= '0' && token[at] <= '9')
        index = index * 10 + (uint64_t)(token[at++] - '0');
    bool plain = at == size && at > 0 && (token[0] != '0' || size == 1) && index < UINT32_MAX;
    return plain ? (uint32_t)index : (uint32_t)XXH3_64bits(token, size) % UINT32_MAX;
}

/* Pairs in order; of one index the greatest weight, as Elasticsearch does it for a token that stands there twice. */
static size_t put_in_order(pair *pairs, size_t count)
{
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = pairs[i - 1].index < pairs[i].index;
    if (sorted)
        return count;
    qsort(pairs, count, sizeof(pair), compare_pairs);
    size_t to = 0;
    for (size_t i = 1; i < count; i++) {
        if (pairs[i].index != pairs[to].index)
            pairs[++to] = pairs[i];
        else if (pairs[i].value > pairs[to].value)
            pairs[to].value = pairs[i].value;
    }
    return to + 1;
}

mm_status mm_elastic_read_sparse(mm_json *json, mm_elastic_cell *cell, mm_error *err)
{
    const char *key;
    size_t size, begin = cell->bytes.size;
    bool more;
    const uint8_t *at = json->at;
    mm_status status = mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(json, &key, &size, &more, err)) == MM_OK && more) {
        pair p = {index_of(key, size), 0};
        mm_number number;
        status = mm_json_number(json, &number, err);
        if (status != MM_OK)
            break;
        p.value = mm_number_float(&number);
        if (!isfinite(p.value) || p.value < 0)
            return mm_json_bad(json, number.text, err, "the weight of a sparse vector is at least 0 and finite");
        mm_buffer_append(&cell->bytes, &p, sizeof(p));
    }
    if (status != MM_OK || cell->bytes.failed)
        return status;
    if (cell->bytes.size == begin)
        return mm_json_bad(json, at, err, "a sparse vector without any weight");
    pair *pairs = (pair *)(void *)(cell->bytes.data + begin); /* the buffer holds nothing but pairs */
    cell->bytes.size = begin + put_in_order(pairs, (cell->bytes.size - begin) / sizeof(pair)) * sizeof(pair);
    return MM_OK;
}
