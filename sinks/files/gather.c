/* Rows of a unit on their way to becoming one piece of its file (a row group): copied together until there are
 * enough, or until a flush wants them on the disk. Columns as in a batch, in memory that grows and stays. */
#include <stdlib.h>
#include <string.h>

#include "sinks/files/internal.h"

typedef struct part {
    uint8_t *values;
    uint64_t *offsets;
    uint8_t *validity;
    size_t value_capacity, row_capacity; /* bytes; rows of offsets and validity */
    bool nulls; /* validity is in use */
} part;

struct mm_files_gather {
    mm_batch batch; /* its columns show the parts; its arena holds only them */
    part *parts;
    size_t bytes;
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for gathering rows");
}

mm_status mm_files_gather_new(const mm_schema *schema, mm_files_gather **out, mm_error *err)
{
    mm_files_gather *gather = calloc(1, sizeof(*gather));
    if (gather == NULL)
        return no_memory(err);
    gather->parts = calloc(schema->field_count, sizeof(*gather->parts));
    mm_status status = gather->parts ? mm_batch_begin(&gather->batch, schema, 0, err) : no_memory(err);
    if (status != MM_OK) {
        mm_files_gather_free(gather);
        return status;
    }
    *out = gather;
    return MM_OK;
}

void mm_files_gather_free(mm_files_gather *gather)
{
    if (gather == NULL)
        return;
    for (size_t i = 0; gather->parts && i < gather->batch.column_count; i++) {
        free(gather->parts[i].values);
        free(gather->parts[i].offsets);
        free(gather->parts[i].validity);
    }
    free(gather->parts);
    mm_batch_free(&gather->batch);
    free(gather);
}

const mm_batch *mm_files_gather_batch(const mm_files_gather *gather)
{
    return &gather->batch;
}

size_t mm_files_gather_bytes(const mm_files_gather *gather)
{
    return gather ? gather->bytes : 0;
}

void mm_files_gather_empty(mm_files_gather *gather)
{
    gather->batch.rows = 0;
    gather->bytes = 0;
    for (size_t i = 0; i < gather->batch.column_count; i++) {
        gather->parts[i].nulls = false;
        gather->batch.columns[i].validity = NULL;
    }
}

static size_t column_bytes(const mm_column *column, size_t from, size_t count)
{
    if (column->offsets)
        return (size_t)(column->offsets[from + count] - column->offsets[from]) + count * sizeof(uint64_t);
    return count * mm_type_width(column->field->type, column->field->dim);
}

size_t mm_files_rows_bytes(const mm_batch *batch, size_t from, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < batch->column_count; i++)
        bytes += column_bytes(&batch->columns[i], from, count);
    return bytes;
}

/* Grows by doubling; what is there stays. */
static bool grow(void **memory, size_t *capacity, size_t wanted, size_t item)
{
    if (wanted <= *capacity && *memory)
        return true;
    size_t bigger = *capacity * 2 > wanted ? *capacity * 2 : wanted;
    void *grown = reallocarray(*memory, bigger ? bigger : 1, item);
    if (grown == NULL)
        return false;
    *memory = grown;
    *capacity = bigger;
    return true;
}

static bool grow_rows(part *p, size_t rows, bool variable)
{
    if (rows + 1 <= p->row_capacity)
        return true;
    size_t bigger = p->row_capacity * 2 > rows + 1 ? p->row_capacity * 2 : rows + 1;
    size_t before = p->row_capacity / 8 + (p->row_capacity > 0), after = bigger / 8 + 1;
    uint64_t *offsets = variable ? reallocarray(p->offsets, bigger, sizeof(*offsets)) : NULL;
    if (variable && offsets == NULL)
        return false;
    if (variable)
        p->offsets = offsets;
    uint8_t *validity = realloc(p->validity, after);
    if (validity == NULL)
        return false;
    memset(validity + before, 0, after - before);
    p->validity = validity;
    p->row_capacity = bigger;
    return true;
}

static void set_validity(part *p, const mm_column *column, size_t at, size_t from, size_t count)
{
    if (column->validity && !p->nulls)
        for (size_t row = 0; row < at; row++) /* no row was null so far */
            p->validity[row / 8] |= (uint8_t)(1u << (row % 8));
    p->nulls = p->nulls || column->validity;
    for (size_t i = 0; p->nulls && i < count; i++) {
        bool present = column->validity == NULL || (column->validity[(from + i) / 8] >> ((from + i) % 8) & 1);
        uint8_t bit = (uint8_t)(1u << ((at + i) % 8));
        p->validity[(at + i) / 8] = (uint8_t)(present ? p->validity[(at + i) / 8] | bit : p->validity[(at + i) / 8] & ~bit);
    }
}

static mm_status add_column(part *p, mm_column *to, const mm_column *column, size_t at, size_t from, size_t count,
                            mm_error *err)
{
    size_t width = mm_type_width(column->field->type, column->field->dim);
    bool variable = column->offsets != NULL;
    uint64_t begin = variable ? column->offsets[from] : from * width;
    uint64_t size = variable ? column->offsets[from + count] - begin : count * width;
    if (!grow_rows(p, at + count, variable))
        return no_memory(err);
    if (variable && at == 0)
        p->offsets[0] = 0;
    uint64_t used = variable ? p->offsets[at] : at * width;
    if (!grow((void **)&p->values, &p->value_capacity, (size_t)(used + size), 1))
        return no_memory(err);
    if (size > 0)
        memcpy(p->values + used, column->values + begin, (size_t)size);
    for (size_t i = 1; variable && i <= count; i++)
        p->offsets[at + i] = used + (column->offsets[from + i] - begin);
    set_validity(p, column, at, from, count);
    to->values = p->values;
    to->offsets = p->offsets;
    to->validity = p->nulls ? p->validity : NULL;
    return MM_OK;
}

mm_status mm_files_gather_add(mm_files_gather *gather, const mm_batch *batch, size_t from, size_t count, mm_error *err)
{
    mm_status status = MM_OK;
    if (batch->column_count != gather->batch.column_count)
        return mm_error_set(err, MM_BUG, "batch of %zu columns for %zu", batch->column_count, gather->batch.column_count);
    for (size_t i = 0; status == MM_OK && i < batch->column_count; i++)
        status = add_column(&gather->parts[i], &gather->batch.columns[i], &batch->columns[i], gather->batch.rows, from,
                            count, err);
    if (status != MM_OK)
        return status;
    gather->batch.rows += count;
    gather->bytes += mm_files_rows_bytes(batch, from, count);
    return MM_OK;
}
