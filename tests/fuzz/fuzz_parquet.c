/* Any bytes as a Parquet file: refused with a byte offset or read, without a crash, a leak or a hang; the rows that
 * were promised are the rows that come, and Array and sparse rows are well-formed. Read as the file suggests, and again with
 * every column as some other field. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/format.h"
#include "model/array.h"

#define ROWS_MAX 50000 /* of one file: a few bytes can stand for any number of rows */
#define PARTS_MAX 16

typedef struct reading {
    mm_format_reader *reader;
    mm_format_part parts[PARTS_MAX];
    size_t count;
    uint64_t rows;
} reading;

static mm_status take_part(void *context, const mm_format_part *part, mm_error *err)
{
    reading *r = context;
    (void)err;
    if (part->rows == 0 || part->first != r->rows)
        abort();
    r->rows += part->rows;
    if (r->count < PARTS_MAX)
        r->parts[r->count++] = *part;
    return MM_OK;
}

static void check_failure(mm_status status, const mm_error *err)
{
    if (status == MM_BUG || status == MM_CHANGED ||
        (status == MM_DATA && strstr(err->text, "input: byte ") != err->text))
        abort();
}

static void check_column(const mm_column *column, size_t rows)
{
    for (size_t row = 0; row < rows; row++) {
        size_t size;
        mm_array_value value;
        const uint8_t *bytes = mm_column_at(column, row, &size);
        if (bytes == NULL) {
            if (!column->field->nullable)
                abort();
            continue;
        }
        if (column->field->type == MM_TYPE_ARRAY) {
            mm_array_reader array = mm_array_over(column->field->element_type, bytes, size);
            while (mm_array_next(&array, &value))
                continue;
            if (array.bad)
                abort();
        }
        for (size_t i = 8; column->field->type == MM_TYPE_SPARSE_FLOAT_VECTOR && i + 8 <= size; i += 8) {
            uint32_t before, index;
            memcpy(&before, bytes + i - 8, 4);
            memcpy(&index, bytes + i, 4);
            if (before >= index)
                abort();
        }
    }
}

static void read_part(reading *r, const mm_format_part *part, uint64_t skip)
{
    mm_error err = MM_ERROR_INIT;
    mm_batch batch;
    memset(&batch, 0, sizeof(batch));
    uint64_t row = part->first + skip % (part->rows + 1), read = 0;
    mm_status status = mm_format_parquet.read_seek(r->reader, part, row, &err);
    if (status != MM_OK)
        abort();
    while (status == MM_OK && read < ROWS_MAX) {
        mm_batch_reset(&batch);
        status = mm_format_parquet.read_next(r->reader, 300, 1 << 16, &batch, &err);
        if (status != MM_OK)
            break;
        if (batch.rows == 0 || batch.rows > 300)
            abort();
        for (size_t i = 0; i < batch.column_count; i++)
            check_column(&batch.columns[i], batch.rows);
        mm_batch_hash(&batch);
        read += batch.rows;
    }
    if (status == MM_END && row + read != part->first + part->rows)
        abort();
    check_failure(status, &err);
    mm_batch_free(&batch);
}

/* The schema that was read with is copied, with other types, when `other` is given. */
static void read_all(const mm_input *input, const mm_schema *schema, size_t skip, mm_arena *arena, mm_schema **other)
{
    static reading r;
    mm_error err = MM_ERROR_INIT;
    const mm_input *inputs[1] = {input};
    mm_format_read_args args = {.inputs = inputs, .count = 1, .schema = schema};
    memset(&r, 0, sizeof(r));
    uint64_t rows;
    mm_status status = mm_format_parquet.read_open(&args, &r.reader, &err);
    check_failure(status, &err);
    if (status != MM_OK)
        return;
    if (mm_format_parquet.read_count(r.reader, &rows, &err) != MM_OK ||
        mm_format_parquet.read_parts(r.reader, 4000, take_part, &r, &err) != MM_OK || r.rows != rows)
        abort();
    for (size_t i = 0; i < r.count; i++)
        read_part(&r, &r.parts[i], i % 2 == 0 ? 0 : skip);
    if (other != NULL)
        *other = mm_schema_copy(arena, mm_format_parquet.read_schema(r.reader));
    mm_format_parquet.read_close(r.reader);
}

static void change_types(mm_schema *schema, size_t seed)
{
    static const mm_field others[] = {
        {.type = MM_TYPE_VARCHAR, .nullable = true},
        {.type = MM_TYPE_SPARSE_FLOAT_VECTOR},
        {.type = MM_TYPE_INT8, .nullable = true},
        {.type = MM_TYPE_DOUBLE, .nullable = true},
        {.type = MM_TYPE_FLOAT, .nullable = true},
        {.type = MM_TYPE_ARRAY, .element_type = MM_TYPE_DOUBLE, .nullable = true},
        {.type = MM_TYPE_ARRAY, .element_type = MM_TYPE_INT16, .nullable = true},
        {.type = MM_TYPE_ARRAY, .element_type = MM_TYPE_VARCHAR, .nullable = true},
        {.type = MM_TYPE_FLOAT_VECTOR, .dim = 2, .nullable = true},
        {.type = MM_TYPE_BINARY_VECTOR, .dim = 32, .nullable = true},
        {.type = MM_TYPE_FLOAT16_VECTOR, .dim = 2},
        {.type = MM_TYPE_INT8_VECTOR, .dim = 3},
    };
    for (size_t i = 0; i < schema->field_count; i++) {
        const char *name = schema->fields[i].name;
        schema->fields[i] = others[(i + seed) % MM_COUNT(others)];
        schema->fields[i].name = name;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mm_error err = MM_ERROR_INIT;
    mm_input *input = NULL;
    mm_arena arena = MM_ARENA_INIT;
    mm_schema *schema = NULL;
    if (mm_input_memory("input", data, size, &input, &err) != MM_OK)
        abort();
    read_all(input, NULL, size, &arena, &schema);
    /* one column at a time, so that one that is refused does not hide the others */
    for (size_t i = 0; schema != NULL && i < schema->field_count && i < 8; i++) {
        mm_field field = schema->fields[i];
        mm_schema one = {.name = "one", .fields = &field, .field_count = 1};
        change_types(&one, size + i);
        read_all(input, &one, size / 3, &arena, NULL);
    }
    mm_arena_free(&arena);
    mm_input_close(input);
    return 0;
}
