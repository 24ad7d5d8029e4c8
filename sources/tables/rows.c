/* Reading: a unit behind a reader of its format, and batches from it with the collection's schema. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/tables/internal.h"
#include "storage/ahead.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a reader");
}

/* --- units ------------------------------------------------------------------------------------------------------ */

void mm_tables_unit_close(const mm_table_unit *unit, mm_table_open *open)
{
    if (open->reader != NULL)
        unit->format->read_close(open->reader);
    for (size_t i = 0; i < open->count; i++)
        mm_input_close(open->inputs[i]);
    free(open->inputs);
    free(open->names);
    *open = (mm_table_open){NULL, NULL, 0, NULL};
}

/* Small reads of remote files (headers, keys, pages) come from windows; of many fields each may have an input. */
static mm_status open_input(const mm_source *source, const mm_table_unit *unit, const mm_table_file *file,
                            mm_input **out, mm_error *err)
{
    mm_ahead how = MM_AHEAD_PARSER;
    mm_input *input;
    mm_status status = mm_input_open(file->location, source->options, &input, err);
    if (status != MM_OK)
        return status;
    if (unit->format->file_per_field)
        how.budget = 2 * how.most;
    if (input->remote)
        return mm_ahead_over(input, &how, out, err);
    *out = input;
    return MM_OK;
}

static mm_status open_inputs(const mm_source *source, const mm_table_unit *unit, const char *field, mm_table_open *open,
                             mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < unit->file_count; i++) {
        const mm_table_file *file = &unit->files[i];
        if (field != NULL && (file->field == NULL || strcmp(file->field, field) != 0))
            continue;
        status = open_input(source, unit, file, &open->inputs[open->count], err);
        if (status == MM_OK && open->inputs[open->count]->size != file->bytes)
            status = mm_error_set(err, MM_CHANGED, "%s: %" PRIu64 " bytes; it had %" PRIu64 " when the job was planned",
                                  file->location, open->inputs[open->count]->size, file->bytes);
        if (open->inputs[open->count] != NULL)
            open->names[open->count++] = file->field;
    }
    return status;
}

mm_status mm_tables_unit_open(const mm_source *source, const mm_table_unit *unit, const char *field,
                              const mm_schema *schema, mm_table_open *out, mm_error *err)
{
    *out = (mm_table_open){NULL, NULL, 0, NULL};
    out->inputs = calloc(unit->file_count, sizeof(*out->inputs));
    out->names = calloc(unit->file_count, sizeof(*out->names));
    bool room = out->inputs != NULL && out->names != NULL;
    mm_status status = room ? open_inputs(source, unit, field, out, err) : no_memory(err);
    mm_format_read_args args = {.inputs = (const mm_input *const *)out->inputs, .names = out->names,
                                .count = out->count, .schema = schema};
    if (status == MM_OK)
        status = unit->format->read_open(&args, &out->reader, err);
    if (status != MM_OK) {
        out->reader = NULL;
        mm_tables_unit_close(unit, out);
    }
    return status;
}

/* --- extents ---------------------------------------------------------------------------------------------------- */

size_t mm_tables_spec_print(const mm_table_extent *extent, char out[MM_TABLE_SPEC])
{
    int size = snprintf(out, MM_TABLE_SPEC, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, extent->unit,
                        extent->part.first, extent->part.rows, extent->part.at);
    return (size_t)size;
}

mm_status mm_tables_spec_parse(const mm_table_collection *c, const mm_extent *extent, mm_table_extent *out,
                               mm_error *err)
{
    char text[MM_TABLE_SPEC];
    uint64_t numbers[4];
    uint64_t end;
    size_t size = extent->spec_size < sizeof(text) - 1 ? extent->spec_size : sizeof(text) - 1;
    memcpy(text, extent->spec, size);
    text[size] = '\0';
    char *at = text;
    for (size_t i = 0; i < 4; i++)
        numbers[i] = strtoull(at, &at, 10);
    *out = (mm_table_extent){numbers[0], {.first = numbers[1], .rows = numbers[2], .at = numbers[3]}};
    if (*at != '\0' || out->unit >= c->unit_count || out->part.rows != extent->rows ||
        !mm_add_u64(out->part.first, out->part.rows, &end) || end > c->units[out->unit].rows)
        return mm_error_set(err, MM_CHANGED, "%s: the files are others than those of the plan (extent %s)", c->place,
                            text);
    return MM_OK;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

struct mm_reader {
    const mm_table_collection *collection;
    const mm_table_unit *unit;
    mm_table_open open; /* not for numbered keys alone */
    bool keys;
    int64_t first_id; /* of the extent's first row */
    uint64_t rows, row; /* of the extent, and how many of them are behind */
};

/* Numbered keys alone need no file. */
static bool needs_file(const mm_reader *r)
{
    return !(r->keys && r->collection->numbered);
}

mm_status mm_tables_read_open(mm_source *source, const mm_table_collection *c, const mm_extent *extent,
                              const mm_cursor *cursor, mm_read_mode mode, mm_reader **out, mm_error *err)
{
    mm_table_extent spec;
    mm_status status = mm_tables_spec_parse(c, extent, &spec, err);
    uint64_t skip = cursor != NULL ? cursor->row : 0;
    if (status != MM_OK)
        return status;
    if (skip > extent->rows)
        return mm_error_set(err, MM_DATA, "the cursor is at row %" PRIu64 " of an extent of %" PRIu64 " rows", skip,
                            extent->rows);
    mm_reader *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return no_memory(err);
    *r = (mm_reader){.collection = c, .unit = &c->units[spec.unit], .keys = mode == MM_READ_KEYS, .rows = extent->rows,
                     .row = skip};
    if (c->numbered)
        r->first_id = source->start_id + (int64_t)(r->unit->first + spec.part.first);
    const char *field = r->keys && r->unit->format->file_per_field ? c->keys->fields[0].name : NULL;
    if (needs_file(r)) {
        status = mm_tables_unit_open(source, r->unit, field, field != NULL ? c->keys : c->in_files, &r->open, err);
        if (status == MM_OK)
            status = r->unit->format->read_seek(r->open.reader, &spec.part, spec.part.first + skip, err);
    }
    if (status != MM_OK) {
        mm_tables_read_close(r);
        return status;
    }
    *out = r;
    return MM_OK;
}

static void number(mm_reader *r, mm_column *column, size_t rows)
{
    int64_t *ids = (int64_t *)(void *)column->values;
    for (size_t i = 0; i < rows; i++)
        ids[i] = r->first_id + (int64_t)(r->row + i);
}

static mm_status number_alone(mm_reader *r, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err)
{
    size_t rows = max_bytes / sizeof(int64_t) > 0 ? max_bytes / sizeof(int64_t) : 1;
    rows = rows > max_rows && max_rows > 0 ? max_rows : rows;
    rows = rows > r->rows - r->row ? (size_t)(r->rows - r->row) : rows;
    mm_status status = mm_batch_begin(batch, r->collection->keys, rows, err);
    if (status != MM_OK)
        return status;
    number(r, &batch->columns[0], rows);
    batch->rows = rows;
    return MM_OK;
}

/* The format's columns under the collection's schema, which outlives the reader; with ids in front, or the key alone. */
static mm_status present(mm_reader *r, mm_batch *batch, mm_error *err)
{
    const mm_table_collection *c = r->collection;
    const mm_schema *schema = r->keys ? c->keys : c->schema;
    mm_column *from = batch->columns;
    if (r->keys) {
        from += batch->column_count > 1 ? c->primary : 0;
    } else if (c->numbered) {
        mm_column *columns = mm_arena_array(&batch->arena, schema->field_count, sizeof(*columns));
        if (columns == NULL)
            return no_memory(err);
        memcpy(columns + 1, batch->columns, batch->column_count * sizeof(*columns));
        columns[0] = (mm_column){.values = mm_arena_array(&batch->arena, batch->rows, sizeof(int64_t))};
        if (columns[0].values == NULL)
            return no_memory(err);
        from = columns;
        number(r, &columns[0], batch->rows);
    }
    for (size_t i = 0; i < schema->field_count; i++)
        from[i].field = &schema->fields[i];
    batch->columns = from;
    batch->column_count = schema->field_count;
    batch->schema = schema;
    return MM_OK;
}

mm_status mm_tables_read_next(mm_reader *r, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err)
{
    mm_status status;
    if (r->row == r->rows)
        return MM_END;
    if (needs_file(r)) {
        status = r->unit->format->read_next(r->open.reader, max_rows, max_bytes, batch, err);
        if (status == MM_OK)
            status = present(r, batch, err);
    } else {
        status = number_alone(r, max_rows, max_bytes, batch, err);
    }
    if (status == MM_END)
        return mm_error_set(err, MM_CHANGED, "%s: the file has fewer rows than when the job was planned",
                            r->unit->files[0].location);
    if (status != MM_OK)
        return status;
    batch->first_row = r->row;
    r->row += batch->rows;
    batch->end = (mm_cursor){.row = r->row};
    return MM_OK;
}

void mm_tables_read_close(mm_reader *r)
{
    if (r == NULL)
        return;
    mm_tables_unit_close(r->unit, &r->open);
    free(r);
}
