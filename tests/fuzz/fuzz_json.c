/* Any bytes as a file of json or jsonl, with a schema of every type, a small one, or none: refused with words or read,
 * and what was read is written and read again as the same rows. The first byte chooses. */
#include <stdint.h>

#include "tests/fuzz/read_unit.h"

static mm_field every[] = {
    {.name = "id", .type = MM_TYPE_INT64, .primary = true, .nullable = true},
    {.name = "b", .type = MM_TYPE_BOOL, .nullable = true},
    {.name = "i", .type = MM_TYPE_INT8, .nullable = true},
    {.name = "f", .type = MM_TYPE_FLOAT, .nullable = true},
    {.name = "d", .type = MM_TYPE_DOUBLE, .nullable = true},
    {.name = "t", .type = MM_TYPE_VARCHAR, .max_length = 100, .nullable = true},
    {.name = "j", .type = MM_TYPE_JSON, .nullable = true},
    {.name = "a", .type = MM_TYPE_ARRAY, .element_type = MM_TYPE_INT32, .nullable = true},
    {.name = "w", .type = MM_TYPE_ARRAY, .element_type = MM_TYPE_VARCHAR, .nullable = true},
    {.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = 2, .nullable = true},
    {.name = "x", .type = MM_TYPE_BINARY_VECTOR, .dim = 16, .nullable = true},
    {.name = "h", .type = MM_TYPE_FLOAT16_VECTOR, .dim = 2, .nullable = true},
    {.name = "g", .type = MM_TYPE_BFLOAT16_VECTOR, .dim = 2, .nullable = true},
    {.name = "s", .type = MM_TYPE_SPARSE_FLOAT_VECTOR, .nullable = true},
    {.name = "y", .type = MM_TYPE_INT8_VECTOR, .dim = 2, .nullable = true},
    {.name = "rest", .type = MM_TYPE_JSON, .dynamic = true},
};
static mm_field few[] = {{.name = "id", .type = MM_TYPE_INT64}, {.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = 2}};
static const mm_schema schemas[] = {{.name = "every", .fields = every, .field_count = MM_COUNT(every)},
                                    {.name = "few", .fields = few, .field_count = MM_COUNT(few)}};

typedef struct again {
    const mm_format_driver *format;
    mm_format_writer *writer;
    mm_buffer text;
} again;

static mm_status keep(void *context, size_t file, const void *bytes, size_t size, mm_error *err)
{
    again *a = context;
    (void)err;
    if (file != 0)
        abort();
    mm_buffer_append(&a->text, bytes, size);
    return MM_OK;
}

static void write_batch(void *context, const mm_batch *batch)
{
    again *a = context;
    mm_error err = MM_ERROR_INIT;
    mm_format_out out = {a, keep};
    if (a->format->write_rows(a->writer, batch, 0, batch->rows, &out, &err) != MM_OK)
        abort(); /* what was read has a form */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static read_unit unit, second;
    mm_error err = MM_ERROR_INIT;
    if (size == 0)
        return 0;
    const mm_format_driver *format = data[0] & 1 ? &mm_format_json : &mm_format_jsonl;
    size_t which = data[0] >> 1 & 3;
    const mm_schema *schema = which < 2 ? &schemas[which] : NULL;
    again a = {.format = format, .text = MM_BUFFER_INIT};
    memset(&unit, 0, sizeof(unit));
    memset(&second, 0, sizeof(second));
    if (schema != NULL) {
        mm_format_write_args args = {.schema = schema};
        mm_format_out out = {&a, keep};
        if (format->write_open(&args, &a.writer, &err) != MM_OK || format->write_begin(a.writer, &out, &err) != MM_OK)
            abort();
        unit.take = write_batch;
        unit.context = &a;
    }
    mm_status status = read_unit_all(format, NULL, schema, data + 1, size - 1, &unit, &err);
    if (status == MM_OK && schema != NULL) {
        mm_format_out out = {&a, keep};
        if (format->write_end(a.writer, &out, &err) != MM_OK ||
            read_unit_all(format, NULL, schema, a.text.data != NULL ? a.text.data : "", a.text.size, &second,
                          &err) != MM_OK ||
            second.rows != unit.rows || second.checksum != unit.checksum)
            abort();
    }
    if (schema != NULL)
        format->write_close(a.writer);
    mm_buffer_free(&a.text);
    return 0;
}
