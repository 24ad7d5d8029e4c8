/* What a collection of files looks like: the schema in the files, the primary key, numbered ids, rows. */
#include <inttypes.h>
#include <string.h>

#include "model/schema_text.h"
#include "sources/tables/internal.h"

#define TEXT_LENGTH 65535

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a schema");
}

/* The schema that the first unit has by itself. */
static mm_status infer(mm_source *source, mm_table_collection *c, mm_schema **out, mm_error *err)
{
    mm_table_open open;
    const mm_table_unit *unit = &c->units[0];
    mm_status status = mm_tables_unit_open(source, unit, NULL, NULL, &open, err);
    if (status != MM_OK)
        return status;
    *out = mm_schema_copy(&source->arena, unit->format->read_schema(open.reader));
    mm_tables_unit_close(unit, &open);
    if (*out == NULL)
        return no_memory(err);
    for (size_t i = 0; i < (*out)->field_count; i++) /* texts of further files may be longer */
        if ((*out)->fields[i].type == MM_TYPE_VARCHAR && c->unit_count > 1)
            (*out)->fields[i].max_length = TEXT_LENGTH;
    return MM_OK;
}

static mm_status schema_in_files(mm_source *source, mm_table_collection *c, mm_error *err)
{
    const char *const *entries;
    mm_schema *schema = NULL;
    mm_status status;
    if (c->in_files != NULL)
        return MM_OK;
    size_t count = mm_options_list(source->options, "schema", &entries);
    if (count > 0)
        status = mm_schema_parse(&source->arena, "source.schema", entries, count, &schema, err);
    else
        status = infer(source, c, &schema, err);
    if (status != MM_OK)
        return status;
    schema->name = c->name;
    c->in_files = schema;
    return MM_OK;
}

/* "id, title and vector" */
static void name_fields(const mm_schema *schema, mm_buffer *out)
{
    for (size_t i = 0; i < schema->field_count && i < 30; i++)
        mm_buffer_printf(out, "%s%s", i > 0 ? ", " : "", schema->fields[i].name);
}

static mm_status no_primary(const mm_source *source, const mm_table_collection *c, mm_error *err)
{
    mm_buffer names = MM_BUFFER_INIT;
    name_fields(c->in_files, &names);
    mm_status status = mm_error_set(err, MM_CONFIG,
                                    "%s: there is no field `%s` among %s; set source.id_field to the primary key's "
                                    "name%s",
                                    c->place, source->id_field, names.data != NULL ? names.data : "none",
                                    c->manifest ? "" : ", or source.number_rows: true to number the rows");
    mm_buffer_free(&names);
    return status;
}

/* Chooses the primary key among the fields; an integer of another width becomes Int64. */
static mm_status choose_primary(mm_source *source, mm_table_collection *c, mm_error *err)
{
    mm_schema *schema = mm_schema_copy(&source->arena, c->in_files);
    if (schema == NULL)
        return no_memory(err);
    int at = mm_schema_primary(schema);
    if (at < 0)
        at = mm_schema_find(schema, source->id_field);
    bool may_number = !c->manifest && (source->number_rows || c->units[0].format->file_per_field);
    c->numbered = may_number && at < 0;
    if (at < 0 && !c->numbered)
        return no_primary(source, c, err);
    if (c->numbered)
        return MM_OK;
    mm_field *field = &schema->fields[at];
    field->primary = true;
    field->nullable = false;
    if (field->type == MM_TYPE_INT8 || field->type == MM_TYPE_INT16 || field->type == MM_TYPE_INT32)
        field->type = MM_TYPE_INT64;
    if (field->type != MM_TYPE_INT64 && field->type != MM_TYPE_VARCHAR)
        return mm_error_set(err, MM_CONFIG, "%s: the primary key `%s` is a %s; it must be Int64 or VarChar", c->place,
                            field->name, mm_type_name(field->type));
    c->primary = (size_t)at;
    c->in_files = schema;
    return MM_OK;
}

/* The schema of batches, and that of the key alone. */
static mm_status schema_of_batches(mm_source *source, mm_table_collection *c, mm_error *err)
{
    mm_schema *schema = mm_schema_copy(&source->arena, c->in_files), *keys = mm_schema_copy(&source->arena, c->in_files);
    size_t more = c->numbered ? 1 : 0, count = c->in_files->field_count + more;
    mm_field *fields = mm_arena_array(&source->arena, count, sizeof(*fields));
    if (schema == NULL || keys == NULL || fields == NULL)
        return no_memory(err);
    memcpy(fields + more, schema->fields, schema->field_count * sizeof(*fields));
    if (c->numbered)
        fields[0] = (mm_field){.name = source->id_field, .type = MM_TYPE_INT64, .primary = true};
    schema->name = keys->name = c->name;
    schema->fields = fields;
    schema->field_count = count;
    keys->fields = &fields[c->primary];
    keys->field_count = 1;
    c->schema = schema;
    c->keys = keys;
    return MM_OK;
}

static mm_status count_rows(mm_source *source, mm_table_collection *c, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t u = 0; status == MM_OK && u < c->unit_count; u++) {
        mm_table_unit *unit = &c->units[u];
        mm_table_open open;
        for (size_t f = 0; f < unit->file_count; f++)
            c->bytes += unit->files[f].bytes;
        if (c->manifest)
            continue; /* what it says is compared with what is there when the unit is planned */
        status = mm_tables_unit_open(source, unit, NULL, c->in_files, &open, err);
        if (status != MM_OK)
            return status;
        status = unit->format->read_count(open.reader, &unit->rows, err);
        mm_tables_unit_close(unit, &open);
        unit->first = c->rows;
        if (status == MM_OK && !mm_add_u64(c->rows, unit->rows, &c->rows))
            status = mm_error_set(err, MM_DATA, "%s: too many rows", c->place);
    }
    if (status == MM_OK && c->numbered && c->rows > 0 &&
        (c->rows > INT64_MAX || source->start_id > INT64_MAX - (int64_t)(c->rows - 1)))
        status = mm_error_set(err, MM_CONFIG,
                              "source.start_id: %" PRId64 " and %" PRIu64 " rows do not fit into 64 bits",
                              source->start_id, c->rows);
    return status;
}

mm_status mm_tables_describe(mm_source *source, mm_table_collection *c, mm_error *err)
{
    c->rows = c->manifest ? c->rows : 0;
    c->bytes = 0;
    mm_status status = schema_in_files(source, c, err);
    if (status == MM_OK)
        status = choose_primary(source, c, err);
    if (status == MM_OK)
        status = schema_of_batches(source, c, err);
    return status == MM_OK ? count_rows(source, c, err) : status;
}
