/* Values of arrays: the types that they become, and the ways there. */
#include "formats/npy_values.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/utf8.h"
#include "formats/json_parse.h"

#define TEXT_LENGTH_MAX 65535

static mm_status bad_value(const mm_npy_file *file, uint64_t row, size_t column, mm_error *err, const char *what)
{
    return mm_error_set(err, MM_DATA, "%s: byte %" PRIu64 ": row %" PRIu64 " of field %s: %s", file->input->name,
                        file->info.offset + row * file->width + column * file->info.item, row, file->name, what);
}

/* --- values ------------------------------------------------------------------------------------------------- */

/* One value of a file, whatever its width. */
typedef struct number {
    bool real;
    bool beyond; /* an unsigned number above int64 */
    int64_t integer;
    double real_value;
    float single; /* of f2 and f4: the same value, a NaN's bits untouched */
} number;

static uint64_t load_word(const uint8_t *from, size_t size, bool big_endian)
{
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)from[big_endian ? size - 1 - i : i] << (8 * i);
    return word;
}

static number load(const mm_npy_info *info, const uint8_t *from)
{
    number v = {.real = info->kind == 'f'};
    uint64_t word = load_word(from, info->item, info->big_endian);
    uint32_t low = (uint32_t)word;
    if (info->kind == 'i') { /* sign-extended */
        int spare = 64 - 8 * (int)info->item;
        v.integer = (int64_t)(word << spare) >> spare;
    } else if (info->kind == 'f' && info->item == 8) {
        memcpy(&v.real_value, &word, sizeof(v.real_value));
        v.single = (float)v.real_value;
    } else if (info->kind == 'f') {
        if (info->item == 4)
            memcpy(&v.single, &low, sizeof(v.single));
        else
            v.single = mm_half_to_float((uint16_t)word);
        v.real_value = (double)v.single;
    } else {
        v.integer = (int64_t)word;
        v.beyond = word > INT64_MAX;
    }
    return v;
}

static const char *store_float(const mm_npy_file *file, const number *v, uint8_t *to)
{
    float single = v->single;
    if (!v->real)
        return "an integer, not a float";
    if (isinf(single) && !isinf(v->real_value))
        return "beyond the range of a float";
    if (!file->round && !isnan(v->real_value) && (double)single != v->real_value)
        return "a double that is no float exactly";
    memcpy(to, &single, sizeof(single));
    return NULL;
}

static const char *store_integer(mm_type type, const number *v, uint8_t *to)
{
    size_t width = mm_type_width(type, 0);
    int spare = 64 - 8 * (int)width;
    if (v->real)
        return "a float, not an integer";
    if (v->beyond || (int64_t)((uint64_t)v->integer << spare) >> spare != v->integer)
        return "out of the field's range";
    memcpy(to, &v->integer, width); /* little-endian: the low bytes first */
    return NULL;
}

static const char *store(const mm_npy_file *file, const number *v, uint8_t *to)
{
    switch (file->element) {
    case MM_TYPE_FLOAT:
        return store_float(file, v, to);
    case MM_TYPE_DOUBLE:
        if (!v->real)
            return "an integer, not a float";
        memcpy(to, &v->real_value, sizeof(v->real_value));
        return NULL;
    default:
        return store_integer(file->element, v, to);
    }
}

static mm_status convert_numbers(const mm_npy_file *file, const uint8_t *from, uint64_t row, size_t rows, mm_column *to,
                                 size_t at, mm_error *err)
{
    size_t width = mm_type_width(file->element, 0), count = rows * file->columns;
    uint8_t *out = to->values + at * file->columns * width;
    for (size_t i = 0; i < count; i++, from += file->info.item, out += width) {
        number v = load(&file->info, from);
        const char *wrong = store(file, &v, out);
        if (wrong != NULL)
            return bad_value(file, row + i / file->columns, i % file->columns, err, wrong);
    }
    return MM_OK;
}

/* Values of the right width: truth values become 0 and 1, big-endian ones are turned. */
static mm_status convert_bytes(const mm_npy_file *file, const uint8_t *from, uint64_t row, size_t rows, mm_column *to,
                               size_t at, mm_error *err)
{
    size_t item = file->info.item, count = rows * file->columns;
    uint8_t *out = to->values + at * file->width;
    (void)row;
    (void)err;
    for (size_t i = 0; i < count; i++, from += item, out += item) {
        if (file->info.kind == 'b')
            *out = *from != 0;
        else
            for (size_t b = 0; b < item; b++)
                out[b] = from[file->info.big_endian ? item - 1 - b : b];
    }
    return MM_OK;
}

/* --- texts -------------------------------------------------------------------------------------------------- */

static size_t put_utf8(uint32_t code, uint8_t *out)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 0x3F));
    out[0] = (uint8_t)((size == 2 ? 0xC0 : size == 3 ? 0xE0 : 0xF0) | code);
    return size;
}

/* A text of four bytes a character. SIZE_MAX: one of them is none. */
static size_t text_of_u(const mm_npy_file *file, const uint8_t *from, uint8_t *out)
{
    size_t length = file->info.item / 4, size = 0;
    while (length > 0 && load_word(from + 4 * (length - 1), 4, file->info.big_endian) == 0)
        length--;
    for (size_t i = 0; i < length; i++) {
        uint32_t code = (uint32_t)load_word(from + 4 * i, 4, file->info.big_endian);
        if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
            return SIZE_MAX;
        size += put_utf8(code, out + size);
    }
    return size;
}

/* Bytes, padded with NUL. SIZE_MAX: not UTF-8. */
static size_t text_of_s(const mm_npy_file *file, const uint8_t *from, uint8_t *out)
{
    size_t size = file->info.item;
    while (size > 0 && from[size - 1] == 0)
        size--;
    if (mm_utf8_prefix(from, size) < size)
        return SIZE_MAX;
    memcpy(out, from, size);
    return size;
}

static mm_status convert_texts(const mm_npy_file *file, const uint8_t *from, uint64_t row, size_t rows, mm_column *to,
                               size_t at, mm_error *err)
{
    uint64_t end = to->offsets[at];
    for (size_t i = 0; i < rows; i++, from += file->width) {
        uint8_t *out = to->values + end;
        size_t size = file->info.kind == 'U' ? text_of_u(file, from, out) : text_of_s(file, from, out);
        if (size == SIZE_MAX)
            return bad_value(file, row + i, 0, err, file->info.kind == 'U' ? "not Unicode" : "not UTF-8");
        if (to->field->type == MM_TYPE_JSON && !mm_json_valid((const char *)out, size))
            return bad_value(file, row + i, 0, err, "not JSON");
        end += size;
        to->offsets[at + i + 1] = end;
    }
    return MM_OK;
}

/* --- types -------------------------------------------------------------------------------------------------- */

static mm_type infer_scalar(const mm_npy_info *info)
{
    static const mm_type integers[] = {MM_TYPE_INT8, MM_TYPE_INT16, MM_TYPE_INT32, MM_TYPE_INT64};
    size_t place = info->item == 1 ? 0 : info->item == 2 ? 1 : info->item == 4 ? 2 : 3;
    switch (info->kind) {
    case 'b':
        return info->item == 1 ? MM_TYPE_BOOL : MM_TYPE_NONE;
    case 'i':
        return info->item <= 8 ? integers[place] : MM_TYPE_NONE;
    case 'u':
        return info->item <= 8 ? integers[place < 3 ? place + 1 : 3] : MM_TYPE_NONE;
    case 'f':
        return info->item == 8 ? MM_TYPE_DOUBLE : info->item <= 4 && info->item > 1 ? MM_TYPE_FLOAT : MM_TYPE_NONE;
    case 'S':
    case 'U':
        return MM_TYPE_VARCHAR;
    default:
        return MM_TYPE_NONE;
    }
}

static mm_type infer_vector(const mm_npy_info *info)
{
    if (info->kind == 'f')
        return info->item == 2 ? MM_TYPE_FLOAT16_VECTOR
               : info->item == 4 || info->item == 8 ? MM_TYPE_FLOAT_VECTOR
                                                    : MM_TYPE_NONE;
    if (info->item != 1)
        return MM_TYPE_NONE;
    return info->kind == 'u' ? MM_TYPE_BINARY_VECTOR : info->kind == 'i' ? MM_TYPE_INT8_VECTOR : MM_TYPE_NONE;
}

void mm_npy_infer(const mm_npy_file *file, mm_field *field)
{
    const mm_npy_info *info = &file->info;
    *field = (mm_field){.name = file->name, .type = info->dims == 1 ? infer_scalar(info) : infer_vector(info)};
    if (info->dims == 2)
        field->dim = (uint32_t)file->columns * (field->type == MM_TYPE_BINARY_VECTOR ? 8 : 1);
    if (field->type == MM_TYPE_VARCHAR)
        field->max_length = info->item < TEXT_LENGTH_MAX ? (uint32_t)info->item : TEXT_LENGTH_MAX;
}

static mm_status no_form(const mm_npy_file *file, const mm_field *field, mm_error *err)
{
    char shape[32] = "";
    if (file->info.dims == 2)
        snprintf(shape, sizeof(shape), " of %zu columns", file->columns);
    char dim[32] = "";
    if (field->dim > 0)
        snprintf(dim, sizeof(dim), " of dim %" PRIu32, field->dim);
    return mm_error_set(err, MM_DATA, "%s: %c%zu%s cannot become field %s, a %s%s", file->input->name, file->info.kind,
                        file->info.kind == 'U' ? file->info.item / 4 : file->info.item, shape, field->name,
                        mm_type_name(field->type) ? mm_type_name(field->type) : "field without a Milvus type", dim);
}

static bool is_number(const mm_npy_info *info)
{
    return infer_scalar(info) != MM_TYPE_NONE && strchr("iuf", info->kind) != NULL;
}

/* How the bytes of a file become those of a column; false: not at all. */
static bool choose_vector(mm_npy_file *file, const mm_field *field)
{
    const mm_npy_info *info = &file->info;
    size_t width = mm_type_width(field->type, field->dim);
    bool bytes = info->kind == 'u' && info->item == 1 && file->width == width;
    switch (field->type) {
    case MM_TYPE_FLOAT_VECTOR:
        file->element = MM_TYPE_FLOAT;
        file->round = true;
        if (info->kind == 'f' && info->item == 4)
            file->convert = info->big_endian ? convert_bytes : NULL;
        else
            file->convert = convert_numbers;
        return info->kind == 'f' && is_number(info) && file->columns == field->dim;
    case MM_TYPE_BINARY_VECTOR:
        return bytes;
    case MM_TYPE_FLOAT16_VECTOR:
    case MM_TYPE_BFLOAT16_VECTOR:
        if (bytes)
            return true;
        file->convert = info->big_endian ? convert_bytes : NULL;
        return info->item == 2 && info->kind == (field->type == MM_TYPE_FLOAT16_VECTOR ? 'f' : 'V') &&
               file->columns == field->dim;
    case MM_TYPE_INT8_VECTOR:
        return info->kind == 'i' && info->item == 1 && file->columns == field->dim;
    default:
        return false;
    }
}

static bool choose_scalar(mm_npy_file *file, const mm_field *field)
{
    const mm_npy_info *info = &file->info;
    switch (field->type) {
    case MM_TYPE_VARCHAR:
    case MM_TYPE_TEXT:
    case MM_TYPE_JSON:
    case MM_TYPE_GEOMETRY:
    case MM_TYPE_TIMESTAMPTZ:
        file->convert = convert_texts;
        return info->kind == 'S' || info->kind == 'U';
    case MM_TYPE_BOOL:
        file->convert = convert_bytes;
        return info->kind == 'b' && info->item == 1;
    case MM_TYPE_INT8:
    case MM_TYPE_INT16:
    case MM_TYPE_INT32:
    case MM_TYPE_INT64:
    case MM_TYPE_FLOAT:
    case MM_TYPE_DOUBLE:
        file->element = field->type;
        if (infer_scalar(info) == field->type && mm_type_width(field->type, 0) == info->item && info->kind != 'u')
            file->convert = info->big_endian ? convert_bytes : NULL;
        else
            file->convert = convert_numbers;
        return is_number(info) &&
               (info->kind == 'f') == (field->type == MM_TYPE_FLOAT || field->type == MM_TYPE_DOUBLE);
    default:
        return false;
    }
}

mm_status mm_npy_choose(mm_npy_file *file, const mm_field *field, mm_error *err)
{
    bool vector = mm_type_is_vector(field->type);
    if (vector != (file->info.dims == 2) || !(vector ? choose_vector : choose_scalar)(file, field))
        return no_form(file, field, err);
    return MM_OK;
}
