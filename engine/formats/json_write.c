/* Writing json and jsonl: rows become text in one buffer, which is put whenever it is full. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "formats/json_internal.h"
#include "model/array.h"

#define PUT_BYTES ((size_t)1 << 20)

struct mm_format_writer {
    const mm_schema *schema;
    bool lines;      /* jsonl */
    bool for_import; /* a primary key that the target makes is left out, JSON is text */
    uint64_t rows;
    mm_buffer *keys; /* for each field what stands before its value, "\"id\":" */
    mm_buffer text;
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for writing JSON");
}

mm_status mm_json_check(const mm_schema *schema, bool for_import, mm_error *err)
{
    (void)for_import; /* the form is the one that Milvus imports */
    for (size_t i = 0; i < schema->field_count; i++) {
        const mm_field *field = &schema->fields[i];
        if (mm_type_name(field->type) == NULL)
            return mm_error_set(err, MM_TARGET, "field %s: a field of unknown type has no JSON form", field->name);
        if (field->type == MM_TYPE_ARRAY && !mm_array_element_valid(field->element_type))
            return mm_error_set(err, MM_TARGET, "field %s: an Array without a type of elements has no JSON form",
                                field->name);
        if (mm_utf8_prefix(field->name, strlen(field->name)) < strlen(field->name))
            return mm_error_set(err, MM_TARGET, "field %zu: its name is not UTF-8", i);
    }
    return MM_OK;
}

uint64_t mm_json_rows_max(const mm_schema *schema, uint64_t file_size)
{
    (void)schema;
    (void)file_size;
    return 0; /* text has no fixed width */
}

static bool is_written(const mm_format_writer *writer, size_t field)
{
    return !(writer->for_import && writer->schema->fields[field].auto_id && writer->schema->fields[field].primary);
}

static mm_status write_open(const mm_format_write_args *args, bool lines, mm_format_writer **out, mm_error *err)
{
    size_t fields = args->schema->field_count;
    mm_status status = mm_json_check(args->schema, args->for_import, err);
    if (status != MM_OK)
        return status;
    mm_format_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        return no_memory(err);
    *writer = (mm_format_writer){.schema = args->schema, .lines = lines, .for_import = args->for_import};
    writer->keys = calloc(fields > 0 ? fields : 1, sizeof(*writer->keys));
    if (writer->keys == NULL)
        status = no_memory(err);
    for (size_t i = 0; status == MM_OK && i < fields; i++) {
        const char *key = mm_json_field_key(&args->schema->fields[i]);
        mm_json_put_string(&writer->keys[i], key, strlen(key)); /* its form was checked */
        mm_buffer_append(&writer->keys[i], ":", 1);
        if (writer->keys[i].failed)
            status = no_memory(err);
    }
    if (status == MM_OK && args->state != NULL) {
        char *end;
        errno = 0;
        writer->rows = strtoull(args->state, &end, 10);
        if (errno != 0 || *end != '\0' || args->state[0] < '0' || args->state[0] > '9')
            status = mm_error_set(err, MM_CHANGED, "not the state of a JSON file: %.40s", args->state);
    }
    if (status != MM_OK) {
        mm_json_write_close(writer);
        return status;
    }
    *out = writer;
    return MM_OK;
}

mm_status mm_json_write_open(const mm_format_write_args *args, mm_format_writer **out, mm_error *err)
{
    return write_open(args, false, out, err);
}

mm_status mm_jsonl_write_open(const mm_format_write_args *args, mm_format_writer **out, mm_error *err)
{
    return write_open(args, true, out, err);
}

void mm_json_write_close(mm_format_writer *writer)
{
    if (writer == NULL)
        return;
    for (size_t i = 0; writer->keys != NULL && i < writer->schema->field_count; i++)
        mm_buffer_free(&writer->keys[i]);
    free(writer->keys);
    mm_buffer_free(&writer->text);
    free(writer);
}

static mm_status put_text(const mm_format_out *out, const char *text, mm_error *err)
{
    return out->put(out->context, 0, text, strlen(text), err);
}

mm_status mm_json_write_begin(mm_format_writer *writer, const mm_format_out *out, mm_error *err)
{
    return writer->lines ? MM_OK : put_text(out, "{\"rows\":[", err);
}

static mm_status add_row(mm_format_writer *writer, const mm_batch *batch, size_t row, mm_error *err)
{
    mm_buffer *text = &writer->text;
    size_t begin = text->size;
    bool first = true;
    if (!writer->lines)
        mm_buffer_append(text, writer->rows > 0 ? ",\n" : "\n", writer->rows > 0 ? 2 : 1);
    mm_buffer_append(text, "{", 1);
    for (size_t i = 0; i < batch->column_count; i++) {
        if (!is_written(writer, i))
            continue;
        if (!first)
            mm_buffer_append(text, ",", 1);
        first = false;
        mm_buffer_append(text, writer->keys[i].data, writer->keys[i].size);
        const char *wrong = mm_json_put_value(text, &batch->columns[i], row, writer->for_import);
        if (wrong != NULL)
            return mm_error_set(err, MM_DATA, "field %s: %s", batch->columns[i].field->name, wrong);
    }
    mm_buffer_append(text, writer->lines ? "}\n" : "}", writer->lines ? 2 : 1);
    if (text->failed)
        return no_memory(err);
    if (text->size - begin > MM_JSON_ROW_MAX)
        return mm_error_set(err, MM_DATA, "a row of %zu bytes as JSON; more than %zu are not read back",
                            text->size - begin, MM_JSON_ROW_MAX);
    writer->rows++;
    return MM_OK;
}

mm_status mm_json_write_rows(mm_format_writer *writer, const mm_batch *batch, size_t from, size_t count,
                             const mm_format_out *out, mm_error *err)
{
    mm_status status = MM_OK;
    if (batch->column_count != writer->schema->field_count)
        return mm_error_set(err, MM_BUG, "batch of %zu columns for %zu fields", batch->column_count,
                            writer->schema->field_count);
    for (size_t row = from; status == MM_OK && row < from + count; row++) {
        status = add_row(writer, batch, row, err);
        if (status == MM_OK && (writer->text.size >= PUT_BYTES || row + 1 == from + count)) {
            status = out->put(out->context, 0, writer->text.data, writer->text.size, err);
            writer->text.size = 0;
        }
    }
    return status;
}

mm_status mm_json_write_state(const mm_format_writer *writer, mm_buffer *text, mm_error *err)
{
    mm_buffer_printf(text, "%" PRIu64, writer->rows);
    return text->failed ? no_memory(err) : MM_OK;
}

mm_status mm_json_write_end(mm_format_writer *writer, const mm_format_out *out, mm_error *err)
{
    return writer->lines ? MM_OK : put_text(out, "\n]}\n", err);
}
