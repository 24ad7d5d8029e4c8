/* Smallest and largest value of a column in a row group, as parquet.thrift wants them (Statistics, ColumnOrder:
 * numbers by value, strings by their bytes; NaN is left out, and a zero may stand for either zero). */
#include <math.h>
#include <string.h>

#include "formats/parquet_write.h"

/* --- loading ---------------------------------------------------------------------------------------------------- */

static int64_t integer_at(const mm_column *column, mm_type type, size_t row)
{
    int16_t i16;
    int32_t i32;
    int64_t i64;
    switch (type) {
    case MM_TYPE_BOOL:
        return column->values[row] != 0;
    case MM_TYPE_INT8:
        return (int8_t)column->values[row];
    case MM_TYPE_INT16:
        memcpy(&i16, column->values + row * sizeof(i16), sizeof(i16));
        return i16;
    case MM_TYPE_INT32:
        memcpy(&i32, column->values + row * sizeof(i32), sizeof(i32));
        return i32;
    default:
        memcpy(&i64, column->values + row * sizeof(i64), sizeof(i64));
        return i64;
    }
}

static double real_at(const mm_column *column, mm_type type, size_t row)
{
    float f32;
    double f64;
    if (type == MM_TYPE_FLOAT) {
        memcpy(&f32, column->values + row * sizeof(f32), sizeof(f32));
        return (double)f32;
    }
    memcpy(&f64, column->values + row * sizeof(f64), sizeof(f64));
    return f64;
}

/* --- setting ---------------------------------------------------------------------------------------------------- */

static void set_bounds(mm_parquet_chunk *chunk, const void *min, size_t min_size, const void *max, size_t max_size)
{
    chunk->bounded = true;
    chunk->min_size = (uint8_t)min_size;
    chunk->max_size = (uint8_t)max_size;
    memcpy(chunk->min, min, min_size);
    memcpy(chunk->max, max, max_size);
}

static void measure_integers(mm_type type, const mm_column *column, size_t from, size_t to, mm_parquet_chunk *chunk)
{
    int64_t min = INT64_MAX, max = INT64_MIN;
    for (size_t row = from; row < to; row++) {
        if (!mm_parquet_is_valid(column, row))
            continue;
        int64_t value = integer_at(column, type, row);
        min = value < min ? value : min;
        max = value > max ? value : max;
    }
    if (min > max)
        return;
    /* little-endian: the first bytes are those of the narrower number */
    size_t size = type == MM_TYPE_BOOL ? 1 : type == MM_TYPE_INT64 ? 8 : 4;
    set_bounds(chunk, &min, size, &max, size);
}

static void measure_reals(mm_type type, const mm_column *column, size_t from, size_t to, mm_parquet_chunk *chunk)
{
    double min = HUGE_VAL, max = -HUGE_VAL;
    bool any = false;
    for (size_t row = from; row < to; row++) {
        if (!mm_parquet_is_valid(column, row))
            continue;
        double value = real_at(column, type, row);
        if (isnan(value))
            continue;
        any = true;
        min = value < min ? value : min;
        max = value > max ? value : max;
    }
    if (!any)
        return;
    min = min == 0 ? -0.0 : min;
    max = max == 0 ? 0.0 : max;
    float narrow_min = (float)min, narrow_max = (float)max;
    if (type == MM_TYPE_FLOAT)
        set_bounds(chunk, &narrow_min, sizeof(narrow_min), &narrow_max, sizeof(narrow_max));
    else
        set_bounds(chunk, &min, sizeof(min), &max, sizeof(max));
}

typedef struct text {
    const uint8_t *bytes;
    size_t size;
} text;

static int compare(text a, text b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter > 0 ? memcmp(a.bytes, b.bytes, shorter) : 0;
    return order != 0 ? order : a.size < b.size ? -1 : a.size > b.size;
}

static void measure_texts(const mm_column *column, size_t from, size_t to, mm_parquet_chunk *chunk)
{
    text min = {0}, max = {0};
    bool any = false;
    for (size_t row = from; row < to; row++) {
        text value = {0};
        if (!mm_parquet_is_valid(column, row))
            continue;
        value.bytes = mm_column_at(column, row, &value.size);
        if (!any || compare(value, min) < 0)
            min = value;
        if (!any || compare(value, max) > 0)
            max = value;
        any = true;
    }
    if (any && min.size <= MM_PARQUET_BOUND_MAX && max.size <= MM_PARQUET_BOUND_MAX)
        set_bounds(chunk, min.size > 0 ? min.bytes : chunk->min, min.size, max.size > 0 ? max.bytes : chunk->max,
                   max.size);
}

void mm_parquet_measure(const mm_parquet_column *column, const mm_column *values, size_t from, size_t to,
                        mm_parquet_chunk *chunk)
{
    if (column->list)
        return;
    chunk->counted = true;
    for (size_t row = from; row < to && values->validity != NULL; row++)
        chunk->nulls += !mm_parquet_is_valid(values, row);
    switch (column->field->type) {
    case MM_TYPE_FLOAT:
    case MM_TYPE_DOUBLE:
        measure_reals(column->field->type, values, from, to, chunk);
        break;
    case MM_TYPE_VARCHAR:
    case MM_TYPE_TIMESTAMPTZ:
        measure_texts(values, from, to, chunk);
        break;
    case MM_TYPE_TEXT:
    case MM_TYPE_JSON:
    case MM_TYPE_GEOMETRY:
    case MM_TYPE_SPARSE_FLOAT_VECTOR:
        break; /* nobody looks for a range of those */
    default:
        measure_integers(column->field->type, values, from, to, chunk);
    }
}
