/* Batches: allocation from their arena, filtering in place, row hashes. */
#include "model/batch.h"

#include <string.h>
#include <xxhash.h>

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a batch");
}

mm_status mm_batch_begin(mm_batch *batch, const mm_schema *schema, size_t capacity, mm_error *err)
{
    size_t count = schema->field_count;
    mm_column *columns = mm_arena_array(&batch->arena, count, sizeof(*columns));
    if (columns == NULL)
        return no_memory(err);
    memset(columns, 0, count * sizeof(*columns));
    for (size_t i = 0; i < count; i++) {
        const mm_field *field = &schema->fields[i];
        size_t width = mm_type_width(field->type, field->dim);
        columns[i].field = field;
        if (width > 0)
            columns[i].values = mm_arena_array(&batch->arena, capacity, width);
        else
            columns[i].offsets = mm_arena_array(&batch->arena, capacity + 1, sizeof(uint64_t));
        if (columns[i].values == NULL && columns[i].offsets == NULL)
            return no_memory(err);
        if (columns[i].offsets)
            columns[i].offsets[0] = 0;
    }
    batch->schema = schema;
    batch->columns = columns;
    batch->column_count = count;
    return MM_OK;
}

void mm_batch_reset(mm_batch *batch)
{
    mm_arena arena = batch->arena;
    mm_arena_reset(&arena);
    memset(batch, 0, sizeof(*batch));
    batch->arena = arena;
}

void mm_batch_free(mm_batch *batch)
{
    mm_arena_free(&batch->arena);
    memset(batch, 0, sizeof(*batch));
}

const uint8_t *mm_column_at(const mm_column *column, size_t row, size_t *length)
{
    if (column->validity && !(column->validity[row / 8] >> (row % 8) & 1))
        return NULL;
    if (column->offsets) {
        const uint8_t *value = column->values + column->offsets[row];
        *length = (size_t)(column->offsets[row + 1] - column->offsets[row]);
        if (column->field->type == MM_TYPE_ARRAY && *length == 2 && value[1] == 0)
            *length = 0; /* a slot without elements: Milvus gives no bytes for it */
        return value;
    }
    *length = mm_type_width(column->field->type, column->field->dim);
    return column->values + row * *length;
}

static bool is_kept(const uint8_t *keep, size_t row)
{
    return keep[row / 8] >> (row % 8) & 1;
}

static void filter_fixed(mm_column *column, size_t rows, const uint8_t *keep)
{
    size_t width = mm_type_width(column->field->type, column->field->dim);
    size_t to = 0;
    for (size_t row = 0; row < rows;) {
        if (!is_kept(keep, row)) {
            row++;
            continue;
        }
        size_t end = row + 1; /* a run of kept rows moves in one piece */
        while (end < rows && is_kept(keep, end))
            end++;
        if (to != row)
            memmove(column->values + to * width, column->values + row * width, (end - row) * width);
        to += end - row;
        row = end;
    }
}

static void filter_variable(mm_column *column, size_t rows, const uint8_t *keep)
{
    size_t to = 0;
    uint64_t at = 0;
    for (size_t row = 0; row < rows; row++) {
        uint64_t from = column->offsets[row], size = column->offsets[row + 1] - from;
        if (!is_kept(keep, row))
            continue;
        memmove(column->values + at, column->values + from, size);
        column->offsets[to++] = at;
        at += size;
    }
    column->offsets[to] = at;
}

static void filter_validity(mm_column *column, size_t rows, const uint8_t *keep)
{
    size_t to = 0;
    for (size_t row = 0; row < rows; row++) {
        if (!is_kept(keep, row))
            continue;
        uint8_t bit = (uint8_t)(1u << (to % 8));
        if (column->validity[row / 8] >> (row % 8) & 1)
            column->validity[to / 8] |= bit;
        else
            column->validity[to / 8] &= (uint8_t)~bit;
        to++;
    }
}

/* The offset of row i is read after that of row i - 1 was written, at an index that is never ahead
 * of i: filtering in place is safe for every column. */
mm_status mm_batch_filter(mm_batch *batch, const uint8_t *keep, size_t kept, mm_error *err)
{
    if (kept == batch->rows)
        return MM_OK;
    uint32_t *ordinals = mm_arena_array(&batch->arena, kept, sizeof(*ordinals));
    if (ordinals == NULL)
        return no_memory(err);
    size_t to = 0;
    for (size_t row = 0; row < batch->rows; row++)
        if (is_kept(keep, row))
            ordinals[to++] = batch->ordinals ? batch->ordinals[row] : (uint32_t)row;
    for (size_t i = 0; i < batch->column_count; i++) {
        mm_column *column = &batch->columns[i];
        if (column->validity)
            filter_validity(column, batch->rows, keep);
        if (column->offsets)
            filter_variable(column, batch->rows, keep);
        else
            filter_fixed(column, batch->rows, keep);
    }
    batch->ordinals = ordinals;
    batch->rows = kept;
    return MM_OK;
}

/* One column's contribution: its value hashed with the column's number as seed, so that swapped
 * columns differ; null hashes to a constant of the column. */
static uint64_t cell_hash(const mm_column *column, size_t index, size_t row)
{
    size_t length = 0;
    const uint8_t *value = mm_column_at(column, row, &length);
    return value ? XXH3_64bits_withSeed(value, length, index + 1) : 0x9E3779B97F4A7C15ull * (index + 1);
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xFF51AFD7ED558CCDull;
    return h ^ (h >> 33);
}

uint64_t mm_batch_row_hash(const mm_batch *batch, size_t row)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < batch->column_count; i++)
        hash = mix(hash + cell_hash(&batch->columns[i], i, row));
    return hash;
}

void mm_batch_hash(mm_batch *batch)
{
    uint64_t sum = 0;
    for (size_t row = 0; row < batch->rows; row++)
        sum += mm_batch_row_hash(batch, row);
    batch->checksum = sum;
    size_t bytes = 0;
    for (size_t i = 0; i < batch->column_count; i++) {
        const mm_column *column = &batch->columns[i];
        if (column->offsets)
            bytes += (size_t)column->offsets[batch->rows] + (batch->rows + 1) * sizeof(uint64_t);
        else
            bytes += batch->rows * mm_type_width(column->field->type, column->field->dim);
    }
    batch->bytes = bytes;
}

/* A float is not finite when all exponent bits are set. The loops below look at whole rows in
 * integer arithmetic, which the compiler turns into vector instructions. */
static bool any_nonfinite32(const uint8_t *bytes, size_t count)
{
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, bytes + i * 4, 4);
        found |= (word & 0x7F800000u) == 0x7F800000u;
    }
    return found;
}

static bool any_nonfinite64(const uint8_t *bytes, size_t count)
{
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * 8, 8);
        found |= (word & 0x7FF0000000000000ull) == 0x7FF0000000000000ull;
    }
    return found;
}

static bool any_nonfinite16(const uint8_t *bytes, size_t count, uint16_t exponent)
{
    uint16_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t word;
        memcpy(&word, bytes + i * 2, 2);
        found |= (word & exponent) == exponent;
    }
    return found;
}

static bool nonfinite(mm_type type, const uint8_t *bytes, size_t size)
{
    switch (type) {
    case MM_TYPE_FLOAT:
    case MM_TYPE_FLOAT_VECTOR:
        return any_nonfinite32(bytes, size / 4);
    case MM_TYPE_DOUBLE:
        return any_nonfinite64(bytes, size / 8);
    case MM_TYPE_FLOAT16_VECTOR:
        return any_nonfinite16(bytes, size / 2, 0x7C00);
    case MM_TYPE_BFLOAT16_VECTOR:
        return any_nonfinite16(bytes, size / 2, 0x7F80);
    default:
        return false;
    }
}

size_t mm_column_find_nonfinite(const mm_column *column, size_t rows, size_t from)
{
    mm_type type = column->field->type;
    size_t width = mm_type_width(type, column->field->dim);
    if (width == 0 || from >= rows || !nonfinite(type, column->values + from * width, (rows - from) * width))
        return rows;
    for (size_t row = from; row < rows; row++) {
        bool present = column->validity == NULL || (column->validity[row / 8] >> (row % 8) & 1);
        if (present && nonfinite(type, column->values + row * width, width))
            return row;
    }
    return rows;
}
