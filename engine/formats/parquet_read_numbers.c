/* Numbers of one type as another, exactly: what would lose something is refused, but for vectors of doubles, which
 * become floats. Knows no page and no field. */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "formats/parquet_read_internal.h"

static const char out_of_range[] = "is out of the field's range";
static const char not_exact[] = "cannot be held exactly by the field's type";

static bool is_integer(mm_parquet_kind kind)
{
    return kind == MM_PARQUET_KIND_INT32 || kind == MM_PARQUET_KIND_UINT32 || kind == MM_PARQUET_KIND_INT64 ||
           kind == MM_PARQUET_KIND_UINT64 || kind == MM_PARQUET_KIND_DECIMAL;
}

static bool is_real(mm_parquet_kind kind)
{
    return kind == MM_PARQUET_KIND_FLOAT || kind == MM_PARQUET_KIND_DOUBLE || kind == MM_PARQUET_KIND_HALF;
}

bool mm_parquet_converts(mm_parquet_kind kind, mm_type type)
{
    switch (type) {
    case MM_TYPE_BOOL:
        return kind == MM_PARQUET_KIND_BOOL;
    case MM_TYPE_INT8:
    case MM_TYPE_INT16:
    case MM_TYPE_INT32:
    case MM_TYPE_INT64:
    case MM_TYPE_BINARY_VECTOR:
        return is_integer(kind);
    case MM_TYPE_FLOAT:
    case MM_TYPE_DOUBLE:
        return is_integer(kind) || is_real(kind);
    case MM_TYPE_FLOAT16_VECTOR:
        return kind == MM_PARQUET_KIND_HALF;
    default:
        return false;
    }
}

/* The values of narrow integers are looked at, since they stand in 32 bits. */
bool mm_parquet_same(const mm_parquet_leaf *leaf, mm_type type)
{
    mm_parquet_kind kind = leaf->kind;
    switch (type) {
    case MM_TYPE_BOOL:
        return kind == MM_PARQUET_KIND_BOOL;
    case MM_TYPE_INT32:
        return kind == MM_PARQUET_KIND_INT32 && leaf->bits == 32;
    case MM_TYPE_INT64:
        return kind == MM_PARQUET_KIND_INT64 && leaf->bits == 64;
    case MM_TYPE_FLOAT:
        return kind == MM_PARQUET_KIND_FLOAT;
    case MM_TYPE_DOUBLE:
        return kind == MM_PARQUET_KIND_DOUBLE;
    case MM_TYPE_FLOAT16_VECTOR:
        return kind == MM_PARQUET_KIND_HALF;
    default:
        return false;
    }
}

/* Big-endian two's complement; false: it does not fit into 64 bits. */
static bool load_decimal(const uint8_t *in, size_t width, int64_t *out)
{
    uint8_t sign = in[0] & 0x80 ? 0xFF : 0;
    uint64_t value = sign != 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < width; i++) {
        if (width - i > 8 && in[i] != sign)
            return false;
        value = value << 8 | in[i];
    }
    *out = (int64_t)value;
    return width <= 8 || ((*out < 0) == (sign != 0));
}

static bool load_integer(mm_parquet_kind kind, size_t width, const uint8_t *in, int64_t *out)
{
    int32_t i32;
    uint32_t u32;
    switch (kind) {
    case MM_PARQUET_KIND_INT32:
        memcpy(&i32, in, 4);
        *out = i32;
        return true;
    case MM_PARQUET_KIND_UINT32:
        memcpy(&u32, in, 4);
        *out = u32;
        return true;
    case MM_PARQUET_KIND_DECIMAL:
        return load_decimal(in, width, out);
    default:
        memcpy(out, in, 8);
        return kind == MM_PARQUET_KIND_INT64 || *out >= 0;
    }
}

static double load_real(mm_parquet_kind kind, const uint8_t *in)
{
    uint16_t half;
    float f;
    double d;
    if (kind == MM_PARQUET_KIND_HALF) {
        memcpy(&half, in, 2);
        return (double)mm_half_to_float(half);
    }
    if (kind == MM_PARQUET_KIND_FLOAT) {
        memcpy(&f, in, 4);
        return (double)f;
    }
    memcpy(&d, in, 8);
    return d;
}

/* Whether a value is one of the type that the column says it has. */
static bool in_bits(const mm_parquet_leaf *leaf, int64_t value)
{
    if (leaf->bits == 0 || leaf->bits >= 64)
        return true;
    bool is_signed = leaf->kind == MM_PARQUET_KIND_INT32 || leaf->kind == MM_PARQUET_KIND_INT64;
    int64_t end = (int64_t)1 << (is_signed ? leaf->bits - 1 : leaf->bits);
    return value < end && value >= (is_signed ? -end : 0);
}

static bool store_integer(int64_t value, mm_type type, uint8_t *out)
{
    int64_t low = type == MM_TYPE_BINARY_VECTOR ? 0 : INT8_MIN, high = type == MM_TYPE_BINARY_VECTOR ? 255 : INT8_MAX;
    size_t width = 1;
    if (type == MM_TYPE_INT16) {
        low = INT16_MIN, high = INT16_MAX, width = 2;
    } else if (type == MM_TYPE_INT32) {
        low = INT32_MIN, high = INT32_MAX, width = 4;
    } else if (type == MM_TYPE_INT64) {
        low = INT64_MIN, high = INT64_MAX, width = 8;
    }
    memcpy(out, &value, width); /* little-endian: the low bytes first */
    return value >= low && value <= high;
}

/* A double as a float: what is finite stays finite; without rounding nothing changes at all. */
static const char *store_real(double value, mm_type type, bool rounding, uint8_t *out)
{
    if (type == MM_TYPE_DOUBLE) {
        memcpy(out, &value, 8);
        return NULL;
    }
    float f = (float)value;
    memcpy(out, &f, 4);
    if (isfinite(value) && !isfinite(f))
        return out_of_range;
    return !rounding && !isnan(value) && (double)f != value ? not_exact : NULL;
}

/* Whole numbers as floats: exact, or not at all. */
static const char *store_whole(int64_t value, mm_type type, uint8_t *out)
{
    double d = (double)value;
    if (d >= 9223372036854775808.0 || (int64_t)d != value)
        return not_exact;
    return store_real(d, type, false, out);
}

static size_t width_of(mm_type type)
{
    return type == MM_TYPE_BINARY_VECTOR ? 1 : mm_type_width(type, 0);
}

/* The ones that carry vectors of bytes (offset 0) and of Int8 (128): a value outside the range shows in the bits of all
 * together. */
static bool narrow_bytes(const uint8_t *in, size_t n, uint32_t offset, uint8_t *out)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t value;
        memcpy(&value, in + 4 * i, 4);
        seen |= value + offset;
        out[i] = (uint8_t)value;
    }
    return seen <= 255;
}

const char *mm_parquet_convert(const mm_parquet_leaf *leaf, size_t width, const uint8_t *in, size_t n, mm_type type,
                               bool rounding, uint8_t *out, size_t *bad)
{
    mm_parquet_kind kind = leaf->kind;
    size_t out_width = width_of(type);
    bool all_bytes = kind == MM_PARQUET_KIND_UINT32 || (kind == MM_PARQUET_KIND_INT32 && leaf->bits > 8);
    if (type == MM_TYPE_BINARY_VECTOR && all_bytes && narrow_bytes(in, n, 0, out))
        return NULL;
    if (type == MM_TYPE_INT8 && kind == MM_PARQUET_KIND_INT32 && narrow_bytes(in, n, 128, out))
        return NULL;
    for (size_t i = 0; i < n; i++, in += width, out += out_width) {
        const char *wrong = NULL;
        int64_t value;
        if (is_real(kind))
            wrong = store_real(load_real(kind, in), type, rounding, out);
        else if (!load_integer(kind, width, in, &value))
            wrong = out_of_range;
        else if (!in_bits(leaf, value))
            wrong = "is none of the column's own type";
        else if (type == MM_TYPE_FLOAT || type == MM_TYPE_DOUBLE)
            wrong = store_whole(value, type, out);
        else if (!store_integer(value, type, out))
            wrong = out_of_range;
        if (wrong != NULL) {
            *bad = i;
            return wrong;
        }
    }
    return NULL;
}
