/* Reading .npy: the arrays of one unit, a field each, as columns. What stands there as the columns have it is read
 * straight into them; the rest (big-endian, column-major, other widths, texts) passes through a small buffer.
 *
 * Without a schema: 1-D numbers are scalars of the type that holds them (u1 Int16, u2 Int32, u4 and u8 Int64, f2
 * Float), texts VarChar; 2-D f4 and f8 FloatVector, f2 Float16Vector, u1 BinaryVector, i1 Int8Vector. Element types
 * as in Milvus's bulk import; f8 vectors are rounded to float as there. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/npy_values.h"

#define HEAD_BYTES 4096 /* of a file, read first: nearly every header fits */
#define STAGE_BYTES ((size_t)1 << 20)

struct mm_format_reader {
    mm_arena arena;
    mm_npy_file *files; /* one for each field, in the schema's order */
    size_t count;
    mm_schema *schema;
    uint64_t rows, row, end;
    uint8_t *stage;
    size_t stage_size;
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for reading .npy");
}

/* --- opening ------------------------------------------------------------------------------------------------ */

static mm_status read_header(mm_npy_file *file, mm_error *err)
{
    const mm_input *input = file->input;
    size_t size = input->size < HEAD_BYTES ? (size_t)input->size : HEAD_BYTES, need = 0;
    uint8_t *bytes = malloc(MM_NPY_HEADER_MAX);
    if (bytes == NULL)
        return no_memory(err);
    mm_status status = mm_input_read(input, 0, bytes, size, err);
    if (status == MM_OK)
        status = mm_npy_parse(bytes, size, &file->info, &need, err);
    if (status == MM_END && need <= input->size && need <= MM_NPY_HEADER_MAX) {
        status = mm_input_read(input, 0, bytes, need, err);
        if (status == MM_OK)
            status = mm_npy_parse(bytes, need, &file->info, &need, err);
    }
    free(bytes);
    if (status == MM_END)
        return mm_error_set(err, MM_DATA, "%s: byte %" PRIu64 ": the file ends in the middle of its header",
                            input->name, input->size);
    return status == MM_DATA ? mm_error_context(err, "%s", input->name) : status;
}

static mm_status check_shape(mm_npy_file *file, mm_error *err)
{
    const mm_npy_info *info = &file->info;
    const char *name = file->input->name;
    if (info->dims != 1 && info->dims != 2)
        return mm_error_set(err, MM_DATA, "%s: an array of %u dimensions; one (scalars) or two (vectors) are wanted",
                            name, info->dims);
    file->rows = info->shape[0];
    if (info->item == 0 || (info->dims == 2 && info->shape[1] == 0))
        return mm_error_set(err, MM_DATA, "%s: rows without bytes", name);
    /* without rows the product of the shape says nothing of a row's width */
    uint64_t columns = info->dims == 2 ? info->shape[1] : 1, width;
    if (!mm_mul_u64(columns, info->item, &width) || width > UINT32_MAX)
        return mm_error_set(err, MM_DATA, "%s: a row of %" PRIu64 " values is too long", name, columns);
    file->columns = (size_t)columns;
    file->width = (size_t)width;
    if (file->input->size != info->offset + info->bytes)
        return mm_error_set(err, MM_DATA, "%s: byte %" PRIu64 ": the file %s, its header says %" PRIu64 " bytes", name,
                            file->input->size < info->offset + info->bytes ? file->input->size
                                                                           : info->offset + info->bytes,
                            file->input->size < info->offset + info->bytes ? "ends here" : "goes on here",
                            info->offset + info->bytes);
    return MM_OK;
}

static mm_status find_input(const mm_format_read_args *args, const char *field, size_t *out, mm_error *err)
{
    for (size_t i = 0; i < args->count; i++)
        if (strcmp(args->names[i], field) == 0) {
            *out = i;
            return MM_OK;
        }
    return mm_error_set(err, MM_DATA, "%s: no file for field %s is with it", args->inputs[0]->name, field);
}

static mm_status open_files(mm_format_reader *reader, const mm_format_read_args *args, mm_error *err)
{
    const mm_schema *given = args->schema;
    mm_status status = MM_OK;
    reader->count = given != NULL ? given->field_count : args->count;
    if (reader->count != args->count || reader->count == 0)
        return mm_error_set(err, MM_DATA, "%zu .npy files for %zu fields", args->count, reader->count);
    reader->files = mm_arena_array(&reader->arena, reader->count, sizeof(*reader->files));
    mm_schema draft = {.name = "", .field_count = reader->count};
    draft.fields = mm_arena_array(&reader->arena, reader->count, sizeof(*draft.fields));
    if (reader->files == NULL || draft.fields == NULL)
        return no_memory(err);
    for (size_t i = 0; status == MM_OK && i < reader->count; i++) {
        mm_npy_file *file = &reader->files[i];
        size_t from = i;
        if (given != NULL)
            status = find_input(args, given->fields[i].name, &from, err);
        if (status != MM_OK)
            return status;
        *file = (mm_npy_file){.input = args->inputs[from], .name = mm_arena_strdup(&reader->arena, args->names[from])};
        status = file->name != NULL ? read_header(file, err) : no_memory(err);
        if (status == MM_OK)
            status = check_shape(file, err);
        if (status != MM_OK)
            return status;
        if (file->rows != reader->files[0].rows)
            return mm_error_set(err, MM_DATA, "%s: %" PRIu64 " rows, and %s has %" PRIu64, file->input->name,
                                file->rows, reader->files[0].input->name, reader->files[0].rows);
        if (given == NULL)
            mm_npy_infer(file, &draft.fields[i]);
        const mm_field *field = given != NULL ? &given->fields[i] : &draft.fields[i];
        status = mm_npy_choose(file, field, err);
    }
    if (status != MM_OK)
        return status;
    reader->schema = mm_schema_copy(&reader->arena, given != NULL ? given : &draft);
    return reader->schema != NULL ? MM_OK : no_memory(err);
}

mm_status mm_npy_read_open(const mm_format_read_args *args, mm_format_reader **out, mm_error *err)
{
    mm_format_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL)
        return no_memory(err);
    mm_status status = open_files(reader, args, err);
    if (status != MM_OK) {
        mm_npy_read_close(reader);
        return status;
    }
    reader->rows = reader->end = reader->files[0].rows;
    *out = reader;
    return MM_OK;
}

void mm_npy_read_close(mm_format_reader *reader)
{
    if (reader == NULL)
        return;
    free(reader->stage);
    mm_arena_free(&reader->arena);
    free(reader);
}

/* --- reading ------------------------------------------------------------------------------------------------ */

const mm_schema *mm_npy_read_schema(const mm_format_reader *reader)
{
    return reader->schema;
}

mm_status mm_npy_read_count(mm_format_reader *reader, uint64_t *rows, mm_error *err)
{
    (void)err;
    *rows = reader->rows;
    return MM_OK;
}

/* Bytes that a row takes in columns, at most: a text as many as in the file. */
static size_t row_bytes(const mm_format_reader *reader)
{
    size_t bytes = 0;
    for (size_t i = 0; i < reader->count; i++) {
        const mm_field *field = &reader->schema->fields[i];
        size_t width = mm_type_width(field->type, field->dim);
        bytes += width > 0 ? width : reader->files[i].width;
    }
    return bytes;
}

mm_status mm_npy_read_parts(mm_format_reader *reader, uint64_t bytes, mm_format_part_fn emit, void *context,
                            mm_error *err)
{
    uint64_t width = row_bytes(reader), rows = bytes / width > 0 ? bytes / width : 1;
    mm_status status = MM_OK;
    for (uint64_t first = 0; status == MM_OK && first < reader->rows; first += rows) {
        mm_format_part part = {.first = first, .rows = reader->rows - first < rows ? reader->rows - first : rows};
        part.bytes = part.rows * width;
        status = emit(context, &part, err);
    }
    return status;
}

mm_status mm_npy_read_seek(mm_format_reader *reader, const mm_format_part *part, uint64_t row, mm_error *err)
{
    uint64_t end;
    if (!mm_add_u64(part->first, part->rows, &end) || end > reader->rows || row < part->first || row > end)
        return mm_error_set(err, MM_CHANGED, "%s: row %" PRIu64 " of rows %" PRIu64 " to %" PRIu64
                            " is wanted, and there are %" PRIu64, reader->files[0].input->name, row, part->first, end,
                            reader->rows);
    reader->row = row;
    reader->end = end;
    return MM_OK;
}

static mm_status need_stage(mm_format_reader *reader, size_t size, mm_error *err)
{
    if (size <= reader->stage_size)
        return MM_OK;
    uint8_t *larger = realloc(reader->stage, size);
    if (larger == NULL)
        return no_memory(err);
    reader->stage = larger;
    reader->stage_size = size;
    return MM_OK;
}

/* The rows of a file as they would stand in row-major order. The other half of `stage` takes a piece of a column. */
static mm_status read_rows(mm_format_reader *reader, const mm_npy_file *file, uint64_t row, size_t rows, uint8_t *out,
                           mm_error *err)
{
    const mm_npy_info *info = &file->info;
    mm_status status = MM_OK;
    if (!info->fortran || file->columns == 1)
        return mm_input_read(file->input, info->offset + row * file->width, out, rows * file->width, err);
    uint8_t *piece = reader->stage + reader->stage_size / 2;
    for (size_t column = 0; status == MM_OK && column < file->columns; column++) {
        status = mm_input_read(file->input, info->offset + (column * file->rows + row) * info->item, piece,
                               rows * info->item, err);
        for (size_t i = 0; status == MM_OK && i < rows; i++)
            memcpy(out + i * file->width + column * info->item, piece + i * info->item, info->item);
    }
    return status;
}

static mm_status fill_column(mm_format_reader *reader, const mm_npy_file *file, uint64_t row, size_t rows,
                             mm_batch *batch, mm_column *to, mm_error *err)
{
    bool fortran = file->info.fortran && file->columns > 1;
    if (to->offsets != NULL && (to->values = mm_arena_array(&batch->arena, rows, file->width)) == NULL)
        return no_memory(err);
    if (file->convert == NULL && !fortran)
        return read_rows(reader, file, row, rows, to->values, err);
    size_t fit = STAGE_BYTES / file->width > 0 ? STAGE_BYTES / file->width : 1;
    mm_status status = need_stage(reader, 2 * fit * file->width, err);
    for (size_t done = 0; status == MM_OK && done < rows;) {
        size_t count = rows - done < fit ? rows - done : fit;
        uint8_t *out = file->convert != NULL ? reader->stage : to->values + done * file->width;
        status = read_rows(reader, file, row + done, count, out, err);
        if (status == MM_OK && file->convert != NULL)
            status = file->convert(file, out, row + done, count, to, done, err);
        done += count;
    }
    return status;
}

mm_status mm_npy_read_next(mm_format_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err)
{
    size_t width = row_bytes(reader), rows = max_bytes / width > 0 ? max_bytes / width : 1;
    if (reader->row == reader->end)
        return MM_END;
    if (rows > max_rows)
        rows = max_rows > 0 ? max_rows : 1;
    if (rows > reader->end - reader->row)
        rows = (size_t)(reader->end - reader->row);
    mm_status status = mm_batch_begin(batch, reader->schema, rows, err);
    for (size_t i = 0; status == MM_OK && i < reader->count; i++)
        status = fill_column(reader, &reader->files[i], reader->row, rows, batch, &batch->columns[i], err);
    if (status != MM_OK)
        return status;
    batch->rows = rows;
    reader->row += rows;
    return MM_OK;
}
