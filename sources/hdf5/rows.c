/* Extents, and batches from them. What lies in the file in one piece is read there by offsets, by as many threads as
 * there are; the rest comes in blocks from a child. Either way it goes to its place in the batch, converted where the
 * field has another form. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/hdf5/internal.h"
#include "sources/hdf5/values.h"

#define SPEC_MAX 96
#define STAGE_BYTES ((size_t)1 << 20) /* of one row at most: MM_HDF5_ROW_MAX */

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a reader");
}

/* --- extents ---------------------------------------------------------------------------------------------------- */

/* "file first rows": rows of one file. */
typedef struct part {
    uint64_t file, first, rows;
} part;

static uint64_t row_bytes(const mm_source *source)
{
    const mm_field *vector = &source->schema->fields[1];
    return sizeof(int64_t) + mm_type_width(vector->type, vector->dim);
}

/* Whole chunks, so that none is unpacked for two extents. */
static uint64_t rows_of_extent(const mm_source *source, const mm_hdf5_array *vectors)
{
    uint64_t rows = source->extent_rows > 0 ? source->extent_rows : source->extent_bytes / row_bytes(source);
    uint64_t chunk = vectors->chunk_rows;
    if (chunk > 0)
        rows = rows > chunk ? rows - rows % chunk : chunk;
    return rows > 0 ? rows : 1;
}

mm_status mm_hdf5_plan(const mm_source *source, mm_extent_fn emit, void *context, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t f = 0; status == MM_OK && f < source->file_count; f++) {
        const mm_hdf5_array *vectors = &source->files[f].layout.vectors;
        uint64_t most = rows_of_extent(source, vectors);
        for (uint64_t first = 0; status == MM_OK && first < vectors->rows;) {
            char spec[SPEC_MAX];
            uint64_t rows = vectors->rows - first < most ? vectors->rows - first : most;
            int size = snprintf(spec, sizeof(spec), "%zu %" PRIu64 " %" PRIu64, f, first, rows);
            mm_extent extent = {.partition = source->files[f].partition,
                                .rows = rows,
                                .bytes = rows * row_bytes(source),
                                .spec = spec,
                                .spec_size = (size_t)size};
            status = emit(context, &extent, err);
            first += rows;
        }
    }
    return status;
}

static mm_status parse_spec(const mm_source *source, const mm_extent *extent, part *out, mm_error *err)
{
    char text[SPEC_MAX];
    uint64_t numbers[3], end;
    size_t size = extent->spec_size < sizeof(text) - 1 ? extent->spec_size : sizeof(text) - 1;
    memcpy(text, extent->spec, size);
    text[size] = '\0';
    char *at = text;
    for (size_t i = 0; i < 3; i++)
        numbers[i] = strtoull(at, &at, 10);
    *out = (part){numbers[0], numbers[1], numbers[2]};
    if (*at != '\0' || out->file >= source->file_count || out->rows != extent->rows ||
        !mm_add_u64(out->first, out->rows, &end) || end > source->files[out->file].layout.vectors.rows)
        return mm_error_set(err, MM_CHANGED, "%s: the files are others than those of the plan (extent %s)",
                            source->collection, text);
    return MM_OK;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

/* Rows of a dataset that a child has in its memory now. */
typedef struct block {
    uint64_t first, rows;
    const uint8_t *bytes;
} block;

struct mm_reader {
    mm_source *source;
    const mm_hdf5_file *file;
    bool keys;
    uint64_t first;     /* row of the file that the extent begins with */
    uint64_t rows, row; /* of the extent, and how many of them are behind */
    mm_input *input;    /* NULL: numbered ids alone are read */
    mm_hdf5_child *child;
    block vectors, ids;
    uint8_t *stage;
};

static bool by_child(const mm_hdf5_array *array)
{
    return array->offset == MM_HDF5_NOWHERE;
}

static bool is_same_array(const mm_hdf5_array *a, const mm_hdf5_array *b)
{
    return strcmp(a->name, b->name) == 0 && a->element.kind == b->element.kind && a->element.size == b->element.size &&
           a->element.big_endian == b->element.big_endian && a->rows == b->rows && a->columns == b->columns &&
           a->offset == b->offset && a->chunk_rows == b->chunk_rows && a->chunk_bytes == b->chunk_bytes;
}

static mm_status open_child(mm_reader *r, mm_error *err)
{
    const mm_source *source = r->source;
    const mm_hdf5_layout *known = &r->file->layout;
    mm_hdf5_layout now;
    mm_status status = mm_hdf5_child_take(&r->source->pool, &r->child, err);
    if (status == MM_OK)
        status = mm_hdf5_child_look(r->child,
                                    &(mm_hdf5_looking){.path = r->file->path, .size = r->file->size,
                                                       .chunk_memory = source->chunk_memory,
                                                       .vectors = source->vectors, .ids = source->ids},
                                    &now, err);
    if (status == MM_OK && (!is_same_array(&now.vectors, &known->vectors) || now.has_ids != known->has_ids ||
                            (now.has_ids && !is_same_array(&now.ids, &known->ids))))
        status = mm_error_set(err, MM_CHANGED, "%s: its datasets are others than when it was looked at", r->file->path);
    return status;
}

static mm_status open_file(mm_reader *r, mm_error *err)
{
    const mm_hdf5_file *file = r->file;
    mm_status status = mm_input_open(file->path, NULL, &r->input, err);
    if (status == MM_OK && strcmp(mm_input_identity(r->input), file->identity) != 0)
        return mm_error_set(err, MM_CHANGED, "%s: %s when it was looked at, %s now", file->path, file->identity,
                            mm_input_identity(r->input));
    bool of_vectors = !r->keys && by_child(&file->layout.vectors);
    bool of_ids = file->layout.has_ids && by_child(&file->layout.ids);
    if (status == MM_OK && (of_vectors || of_ids))
        status = open_child(r, err);
    if (status == MM_OK && (r->stage = malloc(STAGE_BYTES)) == NULL)
        status = no_memory(err);
    return status;
}

mm_status mm_hdf5_read_open(mm_source *source, const mm_extent *extent, const mm_cursor *cursor, mm_read_mode mode,
                            mm_reader **out, mm_error *err)
{
    part where;
    uint64_t skip = cursor != NULL ? cursor->row : 0;
    mm_status status = parse_spec(source, extent, &where, err);
    if (status != MM_OK)
        return status;
    if (skip > extent->rows)
        return mm_error_set(err, MM_DATA, "the cursor is at row %" PRIu64 " of an extent of %" PRIu64 " rows", skip,
                            extent->rows);
    mm_reader *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return no_memory(err);
    *r = (mm_reader){.source = source, .file = &source->files[where.file], .keys = mode == MM_READ_KEYS,
                     .first = where.first, .rows = extent->rows, .row = skip};
    if (!(r->keys && source->numbered))
        status = open_file(r, err);
    if (status != MM_OK) {
        mm_hdf5_read_close(r);
        return status;
    }
    *out = r;
    return MM_OK;
}

void mm_hdf5_read_close(mm_reader *r)
{
    if (r == NULL)
        return;
    mm_hdf5_child_give(&r->source->pool, r->child);
    mm_input_close(r->input);
    free(r->stage);
    free(r);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* Straight from the file: `rows` rows from row `row` of it. */
static mm_status read_direct(mm_reader *r, const mm_hdf5_array *array, mm_type type, uint64_t row, size_t rows,
                             size_t width_out, uint8_t *out, mm_error *err)
{
    size_t width = (size_t)mm_hdf5_width(array), fit = STAGE_BYTES / width;
    mm_status status = MM_OK;
    if (mm_hdf5_is_same(array, type))
        return mm_input_read(r->input, array->offset + row * width, out, rows * width, err);
    for (size_t done = 0; status == MM_OK && done < rows;) {
        size_t count = rows - done < fit ? rows - done : fit;
        status = mm_input_read(r->input, array->offset + (row + done) * width, r->stage, count * width, err);
        if (status == MM_OK)
            status = mm_hdf5_convert(array, type, r->file->path, row + done, count, r->stage, out + done * width_out,
                                     err);
        done += count;
    }
    return status;
}

/* The next block: to the end of a chunk where that is near, so that the next one begins with another. */
static mm_status next_block(mm_reader *r, const mm_hdf5_array *array, bool ids, uint64_t row, block *b, mm_error *err)
{
    uint64_t most = (ids ? MM_HDF5_IDS_ROOM : MM_HDF5_VECTORS_ROOM) / mm_hdf5_width(array);
    uint64_t end = row + most, last = r->first + r->rows;
    if (array->chunk_rows > 0 && end - end % array->chunk_rows > row)
        end -= end % array->chunk_rows;
    end = end < last ? end : last;
    b->rows = 0;
    mm_status status = mm_hdf5_child_read(r->child, ids, row, end - row, &b->bytes, err);
    if (status == MM_OK) {
        b->first = row;
        b->rows = end - row;
    }
    return status;
}

static mm_status read_blocks(mm_reader *r, const mm_hdf5_array *array, bool ids, mm_type type, uint64_t row,
                             size_t rows, size_t width_out, uint8_t *out, mm_error *err)
{
    block *b = ids ? &r->ids : &r->vectors;
    mm_status status = MM_OK;
    for (size_t done = 0; status == MM_OK && done < rows;) {
        uint64_t at = row + done;
        if (at < b->first || at >= b->first + b->rows)
            status = next_block(r, array, ids, at, b, err);
        if (status != MM_OK)
            break;
        uint64_t left = b->first + b->rows - at;
        size_t count = left < rows - done ? (size_t)left : rows - done;
        status = mm_hdf5_convert(array, type, r->file->path, at, count,
                                 b->bytes + (at - b->first) * mm_hdf5_width(array), out + done * width_out, err);
        done += count;
    }
    return status;
}

static mm_status read_column(mm_reader *r, bool ids, size_t rows, mm_column *column, mm_error *err)
{
    const mm_hdf5_array *array = ids ? &r->file->layout.ids : &r->file->layout.vectors;
    const mm_field *field = column->field;
    uint64_t row = r->first + r->row;
    size_t width = mm_type_width(field->type, field->dim);
    if (by_child(array))
        return read_blocks(r, array, ids, field->type, row, rows, width, column->values, err);
    return read_direct(r, array, field->type, row, rows, width, column->values, err);
}

static void number(const mm_reader *r, size_t rows, mm_column *column)
{
    int64_t *ids = (int64_t *)(void *)column->values;
    int64_t first = r->source->start_id + (int64_t)(r->file->first + r->first + r->row);
    for (size_t i = 0; i < rows; i++)
        ids[i] = first + (int64_t)i;
}

mm_status mm_hdf5_read_next(mm_reader *r, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err)
{
    size_t width = r->keys ? sizeof(int64_t) : (size_t)row_bytes(r->source);
    size_t rows = max_bytes / width > 0 ? max_bytes / width : 1;
    if (r->row == r->rows)
        return MM_END;
    if (rows > max_rows)
        rows = max_rows > 0 ? max_rows : 1;
    if (rows > r->rows - r->row)
        rows = (size_t)(r->rows - r->row);
    mm_status status = mm_batch_begin(batch, r->keys ? r->source->keys : r->source->schema, rows, err);
    if (status == MM_OK && r->source->numbered)
        number(r, rows, &batch->columns[0]);
    else if (status == MM_OK)
        status = read_column(r, true, rows, &batch->columns[0], err);
    if (status == MM_OK && !r->keys)
        status = read_column(r, false, rows, &batch->columns[1], err);
    if (status != MM_OK)
        return status;
    batch->rows = rows;
    batch->first_row = r->row;
    r->row += rows;
    batch->end = (mm_cursor){.row = r->row};
    batch->bytes = rows * width;
    return MM_OK;
}
