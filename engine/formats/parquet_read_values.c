/* The values of a data page in each of Parquet's encodings: parquet-format, Encodings.md. Knows no field and no row. */
#include <string.h>

#include "formats/parquet_read_internal.h"

static const char short_values[] = "the values end too early";
static const char bad_delta[] = "malformed DELTA_BINARY_PACKED values";
static const char bad_index[] = "an index beyond the dictionary";

/* --- opening ------------------------------------------------------------------------------------------------------ */

static size_t width_of(int32_t type, int32_t type_length)
{
    switch (type) {
    case MM_PARQUET_BOOLEAN:
        return 1;
    case MM_PARQUET_INT32:
    case MM_PARQUET_FLOAT:
        return 4;
    case MM_PARQUET_INT64:
    case MM_PARQUET_DOUBLE:
        return 8;
    case MM_PARQUET_FIXED_LEN_BYTE_ARRAY:
        return (size_t)type_length;
    default:
        return 0;
    }
}

static const char *open_indices(mm_parquet_values *v, const mm_parquet_dictionary *dictionary)
{
    if (!dictionary->there)
        return "values of a dictionary, but there is none";
    v->dictionary = dictionary;
    if (v->at == v->end) { /* a page of nulls only */
        v->hybrid = mm_parquet_hybrid_over(v->at, 0, 0);
        return NULL;
    }
    unsigned bits = *v->at++;
    if (bits > 32)
        return "dictionary indices of more than 32 bits";
    v->hybrid = mm_parquet_hybrid_over(v->at, (size_t)(v->end - v->at), bits);
    return NULL;
}

/* Run-length booleans have their size in front. */
static const char *open_booleans(mm_parquet_values *v)
{
    uint32_t size;
    size_t rest = (size_t)(v->end - v->at);
    if (v->type != MM_PARQUET_BOOLEAN)
        return "RLE values of a type that is not BOOLEAN";
    if (rest == 0) {
        v->hybrid = mm_parquet_hybrid_over(v->at, 0, 1);
        return NULL;
    }
    if (rest < sizeof(size))
        return short_values;
    memcpy(&size, v->at, sizeof(size));
    if (size > rest - sizeof(size))
        return short_values;
    v->hybrid = mm_parquet_hybrid_over(v->at + sizeof(size), size, 1);
    return NULL;
}

/* Lengths, then the bytes; with prefixes: those first. */
static const char *open_delta(mm_parquet_values *v)
{
    uint64_t count;
    if (v->at == v->end)
        return NULL; /* a page of nulls only: no reader asks for a value */
    bool numbers = v->encoding == MM_PARQUET_DELTA_BINARY_PACKED;
    if (numbers != (v->type == MM_PARQUET_INT32 || v->type == MM_PARQUET_INT64))
        return "a delta encoding that the column's type cannot have";
    if (v->type != MM_PARQUET_BYTE_ARRAY && !numbers &&
        !(v->type == MM_PARQUET_FIXED_LEN_BYTE_ARRAY && v->encoding == MM_PARQUET_DELTA_BYTE_ARRAY))
        return "a delta encoding that the column's type cannot have";
    if (!mm_parquet_delta_open(&v->deltas, v->at, (size_t)(v->end - v->at), &count))
        return bad_delta;
    if (numbers)
        return NULL;
    const uint8_t *end = mm_parquet_delta_end(&v->deltas);
    if (end != NULL && v->encoding == MM_PARQUET_DELTA_BYTE_ARRAY) {
        if (!mm_parquet_delta_open(&v->suffixes, end, (size_t)(v->end - end), &count))
            return bad_delta;
        end = mm_parquet_delta_end(&v->suffixes);
    }
    if (end == NULL)
        return bad_delta;
    v->at = end;
    return NULL;
}

const char *mm_parquet_values_open(mm_parquet_values *v, int32_t encoding, int32_t type, int32_t type_length,
                                   const uint8_t *bytes, size_t size, const mm_parquet_dictionary *dictionary)
{
    mm_buffer made = v->made, last = v->last;
    *v = (mm_parquet_values){.encoding = encoding, .type = type, .width = width_of(type, type_length),
                             .begin = bytes, .at = bytes, .end = bytes + size, .made = made, .last = last};
    v->made.size = v->last.size = 0;
    switch (encoding) {
    case MM_PARQUET_PLAIN:
        return NULL;
    case MM_PARQUET_PLAIN_DICTIONARY:
    case MM_PARQUET_RLE_DICTIONARY:
        v->encoding = MM_PARQUET_RLE_DICTIONARY;
        return open_indices(v, dictionary);
    case MM_PARQUET_RLE:
        return open_booleans(v);
    case MM_PARQUET_DELTA_BINARY_PACKED:
    case MM_PARQUET_DELTA_LENGTH_BYTE_ARRAY:
    case MM_PARQUET_DELTA_BYTE_ARRAY:
        return open_delta(v);
    case MM_PARQUET_BYTE_STREAM_SPLIT:
        if (v->width == 0 || type == MM_PARQUET_BOOLEAN)
            return "BYTE_STREAM_SPLIT values of a type that cannot have them";
        return size % v->width == 0 ? NULL : "BYTE_STREAM_SPLIT values that are not whole";
    default:
        return "an encoding that this version does not know";
    }
}

void mm_parquet_values_free(mm_parquet_values *values)
{
    mm_buffer_free(&values->made);
    mm_buffer_free(&values->last);
}

/* --- byte arrays -------------------------------------------------------------------------------------------------- */

static uint32_t load_length(const uint8_t *at)
{
    uint32_t length;
    memcpy(&length, at, sizeof(length));
    return length;
}

static const char *plain_refs(mm_parquet_values *v, mm_parquet_ref *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t rest = (size_t)(v->end - v->at);
        if (v->type == MM_PARQUET_FIXED_LEN_BYTE_ARRAY) {
            if (v->width > rest)
                return short_values;
            out[i] = (mm_parquet_ref){v->at, v->width};
        } else {
            if (rest < 4 || load_length(v->at) > rest - 4)
                return short_values;
            out[i] = (mm_parquet_ref){v->at + 4, load_length(v->at)};
        }
        v->at = out[i].data + out[i].size;
    }
    return NULL;
}

static const char *dictionary_refs(mm_parquet_values *v, mm_parquet_ref *out, size_t n)
{
    uint32_t indices[MM_PARQUET_CHUNK];
    const mm_parquet_dictionary *d = v->dictionary;
    if (!mm_parquet_hybrid_u32(&v->hybrid, indices, n))
        return short_values;
    for (size_t i = 0; i < n; i++) {
        if (indices[i] >= d->count)
            return bad_index;
        if (v->width > 0) {
            out[i] = (mm_parquet_ref){d->bytes + v->width * indices[i], v->width};
        } else {
            const uint8_t *at = d->bytes + d->starts[indices[i]];
            out[i] = (mm_parquet_ref){at, load_length(at - 4)};
        }
    }
    return NULL;
}

static const char *delta_length_refs(mm_parquet_values *v, mm_parquet_ref *out, size_t n)
{
    int64_t lengths[MM_PARQUET_CHUNK];
    if (!mm_parquet_delta_next(&v->deltas, lengths, n))
        return bad_delta;
    for (size_t i = 0; i < n; i++) {
        if (lengths[i] < 0 || lengths[i] > v->end - v->at)
            return short_values;
        out[i] = (mm_parquet_ref){v->at, (size_t)lengths[i]};
        v->at += lengths[i];
    }
    return NULL;
}

/* One value of DELTA_BYTE_ARRAY behind those in `made`: the beginning of the last one, and its own rest. */
static const char *make_value(mm_parquet_values *v, size_t *size)
{
    int64_t prefix, suffix;
    if (!mm_parquet_delta_next(&v->deltas, &prefix, 1) || !mm_parquet_delta_next(&v->suffixes, &suffix, 1))
        return bad_delta;
    if (prefix < 0 || suffix < 0 || (uint64_t)prefix > v->last.size || suffix > v->end - v->at)
        return "a malformed DELTA_BYTE_ARRAY value";
    v->last.size = (size_t)prefix;
    mm_buffer_append(&v->last, v->at, (size_t)suffix);
    mm_buffer_append(&v->made, v->last.data, v->last.size);
    v->at += suffix;
    *size = v->last.size;
    return v->last.failed || v->made.failed ? "out of memory for DELTA_BYTE_ARRAY values" : NULL;
}

static const char *delta_refs(mm_parquet_values *v, mm_parquet_ref *out, size_t n, size_t bytes, size_t *got)
{
    v->made.size = 0;
    for (*got = 0; *got < n && (*got == 0 || v->made.size < bytes); (*got)++) {
        const char *wrong = make_value(v, &out[*got].size);
        if (wrong != NULL)
            return wrong;
    }
    /* only now, since the buffer moves while it grows */
    const uint8_t *at = v->made.data != NULL ? (const uint8_t *)v->made.data : v->begin;
    for (size_t i = 0; i < *got; i++) {
        out[i].data = at;
        at += out[i].size;
    }
    return NULL;
}

/* Byte arrays of any encoding, also fixed ones; all but those of DELTA_BYTE_ARRAY lie in the page or dictionary. */
const char *mm_parquet_values_refs(mm_parquet_values *v, mm_parquet_ref *out, size_t n, size_t bytes, size_t *got)
{
    *got = n;
    switch (v->encoding) {
    case MM_PARQUET_PLAIN:
        return plain_refs(v, out, n);
    case MM_PARQUET_RLE_DICTIONARY:
        return dictionary_refs(v, out, n);
    case MM_PARQUET_DELTA_LENGTH_BYTE_ARRAY:
        return delta_length_refs(v, out, n);
    case MM_PARQUET_DELTA_BYTE_ARRAY:
        return delta_refs(v, out, n, bytes, got);
    default:
        return "an encoding that the column's type cannot have";
    }
}

/* --- fixed values ------------------------------------------------------------------------------------------------- */

static const char *plain_fixed(mm_parquet_values *v, uint8_t *out, size_t n)
{
    if (v->type == MM_PARQUET_BOOLEAN) {
        if (v->bit + n > 8 * (uint64_t)(v->end - v->begin))
            return short_values;
        for (size_t i = 0; i < n; i++, v->bit++)
            out[i] = v->begin[v->bit / 8] >> (v->bit % 8) & 1;
        return NULL;
    }
    if (n > (size_t)(v->end - v->at) / v->width)
        return short_values;
    memcpy(out, v->at, n * v->width);
    v->at += n * v->width;
    return NULL;
}

static const char *dictionary_fixed(mm_parquet_values *v, uint8_t *out, size_t n)
{
    uint32_t indices[MM_PARQUET_CHUNK], most = 0;
    const uint8_t *from = v->dictionary->bytes;
    if (!mm_parquet_hybrid_u32(&v->hybrid, indices, n))
        return short_values;
    for (size_t i = 0; i < n; i++)
        most = indices[i] > most ? indices[i] : most;
    if (n > 0 && most >= v->dictionary->count)
        return bad_index;
    switch (v->width) { /* of constant size: one instruction each */
    case 4:
        for (size_t i = 0; i < n; i++)
            memcpy(out + 4 * i, from + 4 * (size_t)indices[i], 4);
        break;
    case 8:
        for (size_t i = 0; i < n; i++)
            memcpy(out + 8 * i, from + 8 * (size_t)indices[i], 8);
        break;
    default:
        for (size_t i = 0; i < n; i++)
            memcpy(out + v->width * i, from + v->width * indices[i], v->width);
    }
    return NULL;
}

static const char *delta_fixed(mm_parquet_values *v, uint8_t *out, size_t n)
{
    int64_t numbers[MM_PARQUET_CHUNK];
    if (!mm_parquet_delta_next(&v->deltas, numbers, n))
        return bad_delta;
    if (v->width == 8) {
        memcpy(out, numbers, n * 8);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) /* differences of 32-bit numbers wrap around at 32 bits */
        memcpy(out + 4 * i, &numbers[i], 4);
    return NULL;
}

/* Byte k of all values, then byte k + 1 of all. */
static const char *split_fixed(mm_parquet_values *v, uint8_t *out, size_t n)
{
    size_t count = (size_t)(v->end - v->begin) / v->width;
    if (n > count - v->taken)
        return short_values;
    for (size_t k = 0; k < v->width; k++) {
        const uint8_t *from = v->begin + k * count + v->taken;
        for (size_t i = 0; i < n; i++)
            out[i * v->width + k] = from[i];
    }
    v->taken += n;
    return NULL;
}

/* Fixed byte arrays that are encoded as if they were variable. */
static const char *refs_fixed(mm_parquet_values *v, uint8_t *out, size_t n)
{
    for (size_t done = 0; done < n; done++) {
        mm_parquet_ref ref;
        size_t got;
        const char *wrong = delta_refs(v, &ref, 1, 1, &got);
        if (wrong != NULL)
            return wrong;
        if (ref.size != v->width)
            return "a value of another length than the column's";
        memcpy(out + done * v->width, ref.data, v->width);
    }
    return NULL;
}

const char *mm_parquet_values_fixed(mm_parquet_values *v, uint8_t *out, size_t n)
{
    switch (v->encoding) {
    case MM_PARQUET_PLAIN:
        return plain_fixed(v, out, n);
    case MM_PARQUET_RLE_DICTIONARY:
        return dictionary_fixed(v, out, n);
    case MM_PARQUET_RLE:
        return mm_parquet_hybrid_u8(&v->hybrid, out, n) ? NULL : short_values;
    case MM_PARQUET_DELTA_BINARY_PACKED:
        return delta_fixed(v, out, n);
    case MM_PARQUET_BYTE_STREAM_SPLIT:
        return split_fixed(v, out, n);
    case MM_PARQUET_DELTA_BYTE_ARRAY:
        return refs_fixed(v, out, n);
    default:
        return "an encoding that the column's type cannot have";
    }
}

/* --- passing over values ------------------------------------------------------------------------------------------ */

static const char *skip_refs(mm_parquet_values *v, size_t n)
{
    mm_parquet_ref refs[MM_PARQUET_CHUNK];
    for (size_t got; n > 0; n -= got) {
        const char *wrong = mm_parquet_values_refs(v, refs, n, 1 << 20, &got);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

const char *mm_parquet_values_skip(mm_parquet_values *v, size_t n)
{
    uint32_t indices[MM_PARQUET_CHUNK];
    int64_t numbers[MM_PARQUET_CHUNK];
    uint8_t bytes[MM_PARQUET_CHUNK];
    switch (v->encoding) {
    case MM_PARQUET_RLE_DICTIONARY:
        return mm_parquet_hybrid_u32(&v->hybrid, indices, n) ? NULL : short_values;
    case MM_PARQUET_RLE:
        return mm_parquet_hybrid_u8(&v->hybrid, bytes, n) ? NULL : short_values;
    case MM_PARQUET_DELTA_BINARY_PACKED:
        return mm_parquet_delta_next(&v->deltas, numbers, n) ? NULL : bad_delta;
    case MM_PARQUET_BYTE_STREAM_SPLIT:
        v->taken += n;
        return v->taken <= (uint64_t)(v->end - v->begin) / v->width ? NULL : short_values;
    case MM_PARQUET_PLAIN:
        if (v->type == MM_PARQUET_BOOLEAN) {
            v->bit += n;
            return NULL;
        }
        if (v->width == 0)
            return skip_refs(v, n);
        if (n > (size_t)(v->end - v->at) / v->width)
            return short_values;
        v->at += n * v->width;
        return NULL;
    default:
        return skip_refs(v, n);
    }
}
