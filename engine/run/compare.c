/* Comparison of two batches as multisets of rows, by row hash; rows without a partner are then looked
 * up by their key, to say what is wrong with them. */
#include "run/compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct hashed {
    uint64_t hash;
    size_t row;
} hashed;

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const hashed *)a)->hash, y = ((const hashed *)b)->hash;
    return x < y ? -1 : x > y;
}

static hashed *hash_rows(const mm_batch *batch)
{
    hashed *rows = malloc((batch->rows + 1) * sizeof(*rows));
    if (rows == NULL)
        return NULL;
    for (size_t i = 0; i < batch->rows; i++)
        rows[i] = (hashed){mm_batch_row_hash(batch, i), i};
    qsort(rows, batch->rows, sizeof(*rows), by_hash);
    return rows;
}

static bool same_cell(const mm_batch *a, size_t row_a, const mm_batch *b, size_t row_b, size_t column)
{
    size_t size_a = 0, size_b = 0;
    const uint8_t *x = mm_column_at(&a->columns[column], row_a, &size_a);
    const uint8_t *y = mm_column_at(&b->columns[column], row_b, &size_b);
    if (x == NULL || y == NULL)
        return x == y;
    return size_a == size_b && memcmp(x, y, size_a) == 0;
}

void mm_compare_key_text(const mm_batch *batch, size_t row, char out[MM_KEY_TEXT])
{
    const mm_column *column = &batch->columns[mm_schema_primary(batch->schema)];
    size_t size = 0;
    const uint8_t *value = mm_column_at(column, row, &size);
    int64_t number;
    if (value == NULL)
        snprintf(out, MM_KEY_TEXT, "null");
    else if (column->field->type == MM_TYPE_INT64) {
        memcpy(&number, value, sizeof(number));
        snprintf(out, MM_KEY_TEXT, "%" PRId64, number);
    } else
        snprintf(out, MM_KEY_TEXT, "\"%.*s\"", size > 60 ? 60 : (int)size, (const char *)value);
}

static const char *first_difference(const mm_batch *a, size_t row_a, const mm_batch *b, size_t row_b)
{
    for (size_t i = 0; i < a->column_count; i++)
        if (!same_cell(a, row_a, b, row_b, i))
            return a->columns[i].field->name;
    return NULL;
}

/* Looks for the row with the same key. Only for the few rows that are reported. */
static void describe_missing(const mm_batch *expected, size_t row, const mm_batch *found, mm_difference *out)
{
    size_t primary = (size_t)mm_schema_primary(expected->schema);
    mm_compare_key_text(expected, row, out->key);
    out->what = "is missing";
    out->field = NULL;
    for (size_t i = 0; i < found->rows; i++)
        if (same_cell(expected, row, found, i, primary)) {
            out->what = "differs";
            out->field = first_difference(expected, row, found, i);
            return;
        }
}

mm_status mm_compare(const mm_batch *expected, const mm_batch *found, uint64_t *mismatched,
                     mm_difference differences[MM_DIFFERENCES_MAX], size_t *count, mm_error *err)
{
    hashed *want = hash_rows(expected), *have = hash_rows(found);
    if (want == NULL || have == NULL) {
        free(want);
        free(have);
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a comparison");
    }
    uint64_t missing = 0, surplus = 0;
    size_t i = 0, j = 0;
    *count = 0;
    while (i < expected->rows || j < found->rows) {
        bool take_want = j == found->rows || (i < expected->rows && want[i].hash < have[j].hash);
        bool take_have = i == expected->rows || (j < found->rows && have[j].hash < want[i].hash);
        if (take_want) {
            missing++;
            if (*count < MM_DIFFERENCES_MAX)
                describe_missing(expected, want[i].row, found, &differences[(*count)++]);
            i++;
        } else if (take_have) {
            surplus++;
            j++;
        } else {
            i++;
            j++;
        }
    }
    /* a row that differs is missing here and surplus there: it is one row that is wrong */
    *mismatched = missing > surplus ? missing : surplus;
    for (j = 0; missing == 0 && surplus > 0 && j < found->rows && *count < MM_DIFFERENCES_MAX; j++)
        if (j > 0 && have[j].hash == have[j - 1].hash) {
            mm_difference *out = &differences[(*count)++];
            mm_compare_key_text(found, have[j].row, out->key);
            out->what = "stands more than once";
            out->field = NULL;
        }
    free(want);
    free(have);
    return MM_OK;
}
