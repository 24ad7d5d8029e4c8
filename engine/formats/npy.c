/* .npy headers: the dtype of a field, writing with room to spare, and a strict reader. */
#include "formats/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAGIC "\x93NUMPY"
#define MAGIC_SIZE 6
#define ITEM_MAX (1u << 30)

/* --- fields --- */

static mm_status text_column(const mm_field *field, mm_npy_column *out, mm_error *err)
{
    if (field->max_length == 0)
        return mm_error_set(err, MM_TARGET,
                            "field %s: a %s without max_length has no .npy form (its strings have one length)",
                            field->name, mm_type_name(field->type));
    out->text = true;
    out->width = field->max_length;
    snprintf(out->descr, sizeof(out->descr), "|S%" PRIu32, field->max_length);
    return MM_OK;
}

static const char *fixed_descr(mm_type type)
{
    switch (type) {
    case MM_TYPE_BOOL:
        return "|b1";
    case MM_TYPE_INT8:
    case MM_TYPE_INT8_VECTOR:
        return "|i1";
    case MM_TYPE_INT16:
        return "<i2";
    case MM_TYPE_INT32:
        return "<i4";
    case MM_TYPE_INT64:
        return "<i8";
    case MM_TYPE_FLOAT:
    case MM_TYPE_FLOAT_VECTOR:
        return "<f4";
    case MM_TYPE_DOUBLE:
        return "<f8";
    case MM_TYPE_BINARY_VECTOR:
    case MM_TYPE_FLOAT16_VECTOR:
    case MM_TYPE_BFLOAT16_VECTOR:
        return "|u1";
    default:
        return NULL;
    }
}

mm_status mm_npy_column_of(const mm_field *field, mm_npy_column *out, mm_error *err)
{
    mm_npy_column column = {.columns = 0};
    switch (field->type) {
    case MM_TYPE_VARCHAR:
    case MM_TYPE_TEXT:
    case MM_TYPE_JSON:
    case MM_TYPE_GEOMETRY:
    case MM_TYPE_TIMESTAMPTZ: {
        mm_status status = text_column(field, &column, err);
        if (status == MM_OK)
            *out = column;
        return status;
    }
    default:
        break;
    }
    const char *descr = fixed_descr(field->type);
    column.width = mm_type_width(field->type, field->dim);
    if (descr == NULL || column.width == 0)
        return mm_error_set(err, MM_TARGET, "field %s: a %s has no .npy form", field->name,
                            mm_type_name(field->type) ? mm_type_name(field->type) : "field of unknown type");
    memcpy(column.descr, descr, strlen(descr) + 1);
    if (mm_type_is_vector(field->type))
        column.columns = column.width / (uint64_t)(descr[2] - '0');
    *out = column;
    return MM_OK;
}

void mm_npy_header(const mm_npy_column *column, uint64_t rows, char out[MM_NPY_HEADER])
{
    char shape[48], text[MM_NPY_HEADER];
    if (column->columns == 0)
        snprintf(shape, sizeof(shape), "(%" PRIu64 ",)", rows);
    else
        snprintf(shape, sizeof(shape), "(%" PRIu64 ", %" PRIu64 ")", rows, column->columns);
    int used = snprintf(text, sizeof(text), "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                        column->descr, shape);
    const uint16_t length = MM_NPY_HEADER - MAGIC_SIZE - 4;
    memset(out, ' ', MM_NPY_HEADER);
    memcpy(out, MAGIC, MAGIC_SIZE);
    out[6] = 1;
    out[7] = 0;
    out[8] = (char)(length & 0xff);
    out[9] = (char)(length >> 8);
    /* the longest text (20 + 20 digits, dtype of 12) takes 107 of the 118 bytes */
    memcpy(out + 10, text, (size_t)used);
    out[MM_NPY_HEADER - 1] = '\n';
}

/* --- the reader --- */

typedef struct cursor {
    const char *start, *at, *end;
    size_t base; /* of `start` in the file, for messages */
    mm_error *err;
} cursor;

static mm_status bad(const cursor *c, const char *what)
{
    return mm_error_set(c->err, MM_DATA, "npy header: %s at byte %zu", what,
                        c->base + (size_t)(c->at - c->start));
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
}

static bool accept(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool accept_word(cursor *c, const char *word)
{
    skip_space(c);
    size_t length = strlen(word);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

/* A quoted string without escapes. */
static mm_status read_string(cursor *c, char *out, size_t size)
{
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return bad(c, "expected a string");
    char quote = *c->at++;
    const char *start = c->at;
    while (c->at < c->end && *c->at != quote && *c->at != '\\' && *c->at != '\n')
        c->at++;
    if (c->at == c->end || *c->at != quote)
        return bad(c, "unfinished string");
    size_t length = (size_t)(c->at - start);
    if (length >= size)
        return bad(c, "string too long");
    memcpy(out, start, length);
    out[length] = '\0';
    c->at++;
    return MM_OK;
}

static mm_status read_number(cursor *c, uint64_t *out)
{
    skip_space(c);
    if (c->at == c->end || *c->at < '0' || *c->at > '9')
        return bad(c, "expected a number");
    uint64_t value = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*c->at - '0'), &value))
            return bad(c, "number too large");
        c->at++;
    }
    if (c->at < c->end && *c->at == 'L') /* Python 2 wrote its long integers so */
        c->at++;
    *out = value;
    return MM_OK;
}

/* "<f4", "|S12", "|b1": byte order, kind, size. */
static mm_status read_descr(cursor *c, mm_npy_info *info)
{
    char text[24];
    mm_status status = read_string(c, text, sizeof(text));
    if (status != MM_OK)
        return status;
    const char *at = text;
    char order = '=';
    if (*at && strchr("<>|=", *at))
        order = *at++;
    if (*at == '\0' || strchr("biufcSUV", *at) == NULL)
        return bad(c, "dtype that is not a plain number, string or bytes");
    info->kind = *at++;
    uint64_t item = 0;
    if (*at < '0' || *at > '9')
        return bad(c, "dtype without a size");
    while (*at >= '0' && *at <= '9' && item <= ITEM_MAX)
        item = item * 10 + (uint64_t)(*at++ - '0');
    if (*at != '\0' || item > ITEM_MAX / 4)
        return bad(c, "dtype of unsupported size");
    if (info->kind == 'U')
        item *= 4;
    if (strchr("biufc", info->kind) && item != 1 && item != 2 && item != 4 && item != 8 && item != 16)
        return bad(c, "dtype of unsupported size");
    info->item = (size_t)item;
    info->big_endian = order == '>';
    return MM_OK;
}

static mm_status read_shape(cursor *c, mm_npy_info *info)
{
    if (!accept(c, '('))
        return bad(c, "expected a tuple");
    info->dims = 0;
    while (!accept(c, ')')) {
        if (info->dims == MM_NPY_DIMS)
            return bad(c, "too many dimensions");
        mm_status status = read_number(c, &info->shape[info->dims]);
        if (status != MM_OK)
            return status;
        info->dims++;
        if (accept(c, ','))
            continue;
        if (info->dims == 1 || !accept(c, ')')) /* (3) is a number in Python, (3,) a tuple */
            return bad(c, "expected ',' in a tuple");
        break;
    }
    return MM_OK;
}

enum { KEY_DESCR = 1, KEY_ORDER = 2, KEY_SHAPE = 4, KEY_ALL = 7 };

static mm_status read_entry(cursor *c, mm_npy_info *info, unsigned *seen)
{
    char key[16];
    mm_status status = read_string(c, key, sizeof(key));
    if (status != MM_OK)
        return status;
    if (!accept(c, ':'))
        return bad(c, "expected ':'");
    unsigned bit;
    if (strcmp(key, "descr") == 0) {
        bit = KEY_DESCR;
        status = read_descr(c, info);
    } else if (strcmp(key, "fortran_order") == 0) {
        bit = KEY_ORDER;
        info->fortran = accept_word(c, "True");
        if (!info->fortran && !accept_word(c, "False"))
            return bad(c, "expected True or False");
    } else if (strcmp(key, "shape") == 0) {
        bit = KEY_SHAPE;
        status = read_shape(c, info);
    } else {
        return bad(c, "unknown key");
    }
    if (status == MM_OK && (*seen & bit))
        return bad(c, "key given twice");
    *seen |= bit;
    return status;
}

static mm_status read_dict(cursor *c, mm_npy_info *info)
{
    unsigned seen = 0;
    if (!accept(c, '{'))
        return bad(c, "expected '{'");
    while (!accept(c, '}')) {
        mm_status status = read_entry(c, info, &seen);
        if (status != MM_OK)
            return status;
        if (accept(c, ','))
            continue;
        if (!accept(c, '}'))
            return bad(c, "expected ',' or '}'");
        break;
    }
    if (seen != KEY_ALL)
        return bad(c, "descr, fortran_order or shape is missing");
    skip_space(c);
    return c->at == c->end ? MM_OK : bad(c, "something after the dict");
}

/* Product of the shape and the item, checked: also where a zero dimension hides an overflow, as NumPy
 * refuses to make such an array. */
static mm_status set_bytes(const cursor *c, mm_npy_info *info)
{
    uint64_t bytes = info->item;
    bool empty = false;
    for (unsigned i = 0; i < info->dims; i++) {
        if (info->shape[i] == 0)
            empty = true;
        else if (__builtin_mul_overflow(bytes, info->shape[i], &bytes))
            return bad(c, "shape too large");
    }
    uint64_t end;
    if (__builtin_add_overflow(bytes, info->offset, &end) || end > INT64_MAX)
        return bad(c, "shape too large");
    info->bytes = empty ? 0 : bytes;
    return MM_OK;
}

mm_status mm_npy_parse(const void *bytes, size_t size, mm_npy_info *out, size_t *need, mm_error *err)
{
    const unsigned char *front = bytes;
    if (size < 12) {
        if (size >= MAGIC_SIZE && memcmp(front, MAGIC, MAGIC_SIZE) != 0)
            return mm_error_set(err, MM_DATA, "npy header: no \\x93NUMPY at byte 0");
        *need = 12;
        return MM_END;
    }
    if (memcmp(front, MAGIC, MAGIC_SIZE) != 0)
        return mm_error_set(err, MM_DATA, "npy header: no \\x93NUMPY at byte 0");
    if (front[6] < 1 || front[6] > 3 || front[7] != 0)
        return mm_error_set(err, MM_DATA, "npy header: unknown version %u.%u at byte 6", front[6], front[7]);
    uint64_t length = (uint64_t)front[8] | (uint64_t)front[9] << 8;
    size_t base = 10;
    if (front[6] > 1) {
        length |= (uint64_t)front[10] << 16 | (uint64_t)front[11] << 24;
        base = 12;
    }
    if (length > MM_NPY_HEADER_MAX - base)
        return mm_error_set(err, MM_DATA, "npy header: length %" PRIu64 " at byte 8 is too large", length);
    if (size < base + length) {
        *need = base + (size_t)length;
        return MM_END;
    }
    const char *text = (const char *)front + base;
    cursor c = {text, text, text + length, base, err};
    mm_npy_info info = {.offset = base + length};
    mm_status status = read_dict(&c, &info);
    if (status == MM_OK)
        status = set_bytes(&c, &info);
    if (status == MM_OK)
        *out = info;
    return status;
}
