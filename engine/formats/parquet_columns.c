/* Fields as Parquet columns. See parquet_columns.h. */
#include "formats/parquet_columns.h"

#include "model/array.h"

/* A page holds at least one row, and its size is an i32. */
#define ROW_MAX ((size_t)256 << 20)

/* Physical type, annotation and form of a scalar, or of an Array's element. */
static bool set_leaf(mm_parquet_column *column, mm_type type)
{
    switch (type) {
    case MM_TYPE_BOOL:
        column->physical = MM_PARQUET_BOOLEAN;
        column->form = MM_PARQUET_BITS;
        return true;
    case MM_TYPE_INT8:
    case MM_TYPE_INT16:
        column->physical = MM_PARQUET_INT32;
        column->logical = MM_PARQUET_LOGICAL_INTEGER;
        column->bits = type == MM_TYPE_INT8 ? 8 : 16;
        column->is_signed = true;
        column->form = type == MM_TYPE_INT8 ? MM_PARQUET_INDEX : MM_PARQUET_WIDEN;
        return true;
    case MM_TYPE_INT32:
        column->physical = MM_PARQUET_INT32;
        return true;
    case MM_TYPE_INT64:
        column->physical = MM_PARQUET_INT64;
        return true;
    case MM_TYPE_FLOAT:
        column->physical = MM_PARQUET_FLOAT;
        return true;
    case MM_TYPE_DOUBLE:
        column->physical = MM_PARQUET_DOUBLE;
        return true;
    case MM_TYPE_VARCHAR:
    case MM_TYPE_TEXT:
    case MM_TYPE_JSON:
    case MM_TYPE_GEOMETRY:
    case MM_TYPE_TIMESTAMPTZ:
    case MM_TYPE_SPARSE_FLOAT_VECTOR:
        column->physical = MM_PARQUET_BYTE_ARRAY;
        column->logical = MM_PARQUET_LOGICAL_STRING;
        column->form = type == MM_TYPE_SPARSE_FLOAT_VECTOR ? MM_PARQUET_SPARSE : MM_PARQUET_TEXT;
        return true;
    default:
        return false;
    }
}

/* A dense vector is a list of so many values; what has no type of its own in Parquet is a list of its bytes. */
static bool set_vector(mm_parquet_column *column, const mm_field *field)
{
    column->list = true;
    column->packs = false;
    column->length = column->width;
    if (field->type == MM_TYPE_FLOAT_VECTOR) {
        column->physical = MM_PARQUET_FLOAT;
        column->length = field->dim;
        return true;
    }
    column->physical = MM_PARQUET_INT32;
    column->logical = MM_PARQUET_LOGICAL_INTEGER;
    column->bits = 8;
    column->is_signed = field->type == MM_TYPE_INT8_VECTOR;
    column->form = MM_PARQUET_INDEX;
    return field->type != MM_TYPE_BINARY_VECTOR || field->dim % 8 == 0;
}

static mm_status column_of(const mm_field *field, mm_parquet_column *out, mm_error *err)
{
    mm_parquet_column column = {.field = field,
                                .name = field->dynamic ? "$meta" : field->name,
                                .nullable = field->nullable,
                                .packs = true,
                                .width = mm_type_width(field->type, field->dim)};
    bool known;
    if (field->type == MM_TYPE_ARRAY) {
        known = mm_array_element_valid(field->element_type) && set_leaf(&column, field->element_type);
        column.list = true;
        column.form = MM_PARQUET_ARRAY;
    } else if (column.width > 0 && mm_type_is_vector(field->type)) {
        known = set_vector(&column, field);
    } else {
        known = set_leaf(&column, field->type);
    }
    if (!known || column.width > ROW_MAX)
        return mm_error_set(err, MM_TARGET, "field %s: a %s%s of dim %u has no Parquet form", field->name,
                            mm_type_name(field->type) ? mm_type_name(field->type) : "field of unknown type",
                            field->type == MM_TYPE_ARRAY ? " of such elements" : "", (unsigned)field->dim);
    *out = column;
    return MM_OK;
}

mm_status mm_parquet_columns_of(mm_arena *arena, const mm_schema *schema, bool for_import, mm_parquet_column **out,
                                size_t *count, mm_error *err)
{
    mm_parquet_column *columns = mm_arena_array(arena, schema->field_count, sizeof(*columns));
    size_t used = 0;
    if (columns == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < schema->field_count; i++) {
        const mm_field *field = &schema->fields[i];
        if (for_import && field->primary && field->auto_id)
            continue;
        mm_status status = column_of(field, &columns[used], err);
        if (status != MM_OK)
            return status;
        columns[used++].index = i;
    }
    if (used == 0)
        return mm_error_set(err, MM_TARGET, "collection %s has no field that a Parquet file could hold",
                            schema->name != NULL ? schema->name : "");
    *out = columns;
    *count = used;
    return MM_OK;
}

mm_status mm_parquet_check(const mm_schema *schema, bool for_import, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_parquet_column *columns;
    size_t count;
    mm_status status = mm_parquet_columns_of(&arena, schema, for_import, &columns, &count, err);
    mm_arena_free(&arena);
    return status;
}

/* Bytes of the levels of a list's row: a bit-packed group (header and eight levels) and a run (header, value). */
enum { LIST_LEVELS = 6 };

uint64_t mm_parquet_rows_max(const mm_schema *schema, uint64_t file_size)
{
    uint64_t row = 0;
    for (size_t i = 0; i < schema->field_count; i++) {
        mm_parquet_column column = {0};
        if (column_of(&schema->fields[i], &column, NULL) != MM_OK || column.width == 0 || column.nullable)
            return 0;
        row += column.form == MM_PARQUET_WIDEN ? 4 : column.width;
        row += column.list ? LIST_LEVELS : 0;
    }
    uint64_t rows = row > 0 ? file_size / row : 0;
    return row > 0 && rows == 0 ? 1 : rows;
}
