/* Writing .npy: one file a field, its header with the number of rows that is expected, then the values as they
 * come. Only where another number came in the end (or a former process began the file) is the header put right.
 * Values are looked at before the first byte is put, so that rows without a form leave nothing behind. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/npy_internal.h"

#define STAGE ((size_t)256 << 10) /* bytes of padded text put at once */

struct mm_format_writer {
    const mm_schema *schema;
    mm_npy_column *columns; /* one for each field */
    uint64_t rows, expected;
    bool resumed;
    char head[MM_NPY_HEADER];
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for writing .npy");
}

mm_status mm_npy_check(const mm_schema *schema, bool for_import, mm_error *err)
{
    (void)for_import; /* the form is the one that Milvus imports */
    mm_status status = MM_OK;
    mm_npy_column column;
    for (size_t i = 0; status == MM_OK && i < schema->field_count; i++)
        status = mm_npy_column_of(&schema->fields[i], &column, err);
    return status;
}

/* As many rows as the widest field lets a file have. */
uint64_t mm_npy_rows_max(const mm_schema *schema, uint64_t file_size)
{
    size_t widest = 1;
    mm_npy_column column;
    for (size_t i = 0; i < schema->field_count; i++)
        if (mm_npy_column_of(&schema->fields[i], &column, NULL) == MM_OK && column.width > widest)
            widest = column.width;
    return file_size > widest ? file_size / widest : 1;
}

mm_status mm_npy_write_open(const mm_format_write_args *args, mm_format_writer **out, mm_error *err)
{
    size_t fields = args->schema->field_count;
    mm_status status = MM_OK;
    mm_format_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        return no_memory(err);
    writer->schema = args->schema;
    writer->expected = args->rows_expected;
    writer->columns = calloc(fields ? fields : 1, sizeof(*writer->columns));
    if (writer->columns == NULL)
        status = no_memory(err);
    for (size_t i = 0; status == MM_OK && i < fields; i++)
        status = mm_npy_column_of(&args->schema->fields[i], &writer->columns[i], err);
    if (status == MM_OK && args->state) {
        char *end;
        errno = 0;
        writer->rows = strtoull(args->state, &end, 10);
        writer->resumed = true;
        if (errno != 0 || *end != '\0' || args->state[0] < '0' || args->state[0] > '9')
            status = mm_error_set(err, MM_CHANGED, "not the state of .npy files: %.40s", args->state);
    }
    if (status != MM_OK) {
        mm_npy_write_close(writer);
        return status;
    }
    *out = writer;
    return MM_OK;
}

void mm_npy_write_close(mm_format_writer *writer)
{
    if (writer == NULL)
        return;
    free(writer->columns);
    free(writer);
}

mm_status mm_npy_write_begin(mm_format_writer *writer, const mm_format_out *out, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < writer->schema->field_count; i++) {
        mm_npy_header(&writer->columns[i], writer->expected, writer->head);
        status = out->put(out->context, i, writer->head, MM_NPY_HEADER, err);
    }
    return status;
}

/* --- rows --- */

static mm_status check_present(const mm_column *column, size_t from, size_t count, mm_error *err)
{
    if (column->validity == NULL)
        return MM_OK;
    for (size_t row = from; row < from + count; row++)
        if (!(column->validity[row / 8] >> (row % 8) & 1))
            return mm_error_set(err, MM_DATA, "field %s: a null has no .npy form", column->field->name);
    return MM_OK;
}

/* Texts are padded with NUL, which is why they cannot end with one. */
static mm_status check_texts(const mm_column *column, size_t width, size_t from, size_t count, mm_error *err)
{
    for (size_t row = from; row < from + count; row++) {
        uint64_t end = column->offsets[row + 1], size = end - column->offsets[row];
        if (size > width)
            return mm_error_set(err, MM_DATA, "field %s: %" PRIu64 " bytes are more than max_length %zu",
                                column->field->name, size, width);
        if (size > 0 && column->values[end - 1] == 0)
            return mm_error_set(err, MM_DATA, "field %s: a text that ends with NUL has no .npy form",
                                column->field->name);
    }
    return MM_OK;
}

static void pad_text(const mm_column *column, size_t row, size_t width, uint8_t *out)
{
    uint64_t start = column->offsets[row];
    size_t size = (size_t)(column->offsets[row + 1] - start);
    if (size > 0)
        memcpy(out, column->values + start, size);
    memset(out + size, 0, width - size);
}

static mm_status put_texts(const mm_column *column, size_t width, size_t from, size_t count,
                           const mm_format_out *out, size_t file, mm_error *err)
{
    size_t fit = width < STAGE ? STAGE / width : 1;
    if (fit > count)
        fit = count;
    uint8_t *stage = malloc(fit * width);
    if (stage == NULL)
        return no_memory(err);
    mm_status status = MM_OK;
    for (size_t done = 0; status == MM_OK && done < count;) {
        size_t rows = count - done < fit ? count - done : fit;
        for (size_t i = 0; i < rows; i++)
            pad_text(column, from + done + i, width, stage + i * width);
        status = out->put(out->context, file, stage, rows * width, err);
        done += rows;
    }
    free(stage);
    return status;
}

mm_status mm_npy_write_rows(mm_format_writer *writer, const mm_batch *batch, size_t from, size_t count,
                            const mm_format_out *out, mm_error *err)
{
    mm_status status = MM_OK;
    size_t fields = writer->schema->field_count;
    if (batch->column_count != fields)
        return mm_error_set(err, MM_BUG, "batch of %zu columns for %zu files", batch->column_count, fields);
    for (size_t i = 0; status == MM_OK && i < fields; i++) {
        status = check_present(&batch->columns[i], from, count, err);
        if (status == MM_OK && writer->columns[i].text)
            status = check_texts(&batch->columns[i], writer->columns[i].width, from, count, err);
    }
    for (size_t i = 0; status == MM_OK && i < fields; i++) {
        const mm_npy_column *npy = &writer->columns[i];
        const mm_column *column = &batch->columns[i];
        if (npy->text)
            status = put_texts(column, npy->width, from, count, out, i, err);
        else
            status = out->put(out->context, i, column->values + from * npy->width, count * npy->width, err);
    }
    if (status == MM_OK)
        writer->rows += count;
    return status;
}

mm_status mm_npy_write_state(const mm_format_writer *writer, mm_buffer *text, mm_error *err)
{
    mm_buffer_printf(text, "%" PRIu64, writer->rows);
    return text->failed ? no_memory(err) : MM_OK;
}

mm_status mm_npy_write_end(mm_format_writer *writer, const mm_format_out *out, mm_error *err)
{
    (void)writer;
    (void)out;
    (void)err;
    return MM_OK;
}

const void *mm_npy_write_head(mm_format_writer *writer, size_t file, size_t *size)
{
    bool right = writer->rows == writer->expected && !writer->resumed;
    *size = right ? 0 : MM_NPY_HEADER;
    mm_npy_header(&writer->columns[file], writer->rows, writer->head);
    return writer->head;
}
