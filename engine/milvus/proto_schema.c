/* mm_schema to and from CollectionSchema. See proto_schema.h. Source: milvus-proto schema.proto;
 * type_params keys dim, max_length, max_capacity as Milvus's servers check them. */
#include "milvus/proto_schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMS_MAX = 3, DIGITS = 24 };

typedef struct field_parts {
    Mmpb__FieldSchema field;
    Mmpb__KeyValue params[PARAMS_MAX];
    Mmpb__KeyValue *list[PARAMS_MAX];
    char digits[PARAMS_MAX][DIGITS];
} field_parts;

static void add_param(field_parts *parts, const char *key, uint32_t value)
{
    size_t n = parts->field.n_type_params++;
    snprintf(parts->digits[n], DIGITS, "%u", value);
    mmpb__key_value__init(&parts->params[n]);
    parts->params[n].key = mm_proto_text(key);
    parts->params[n].value = parts->digits[n];
    parts->list[n] = &parts->params[n];
}

static bool is_string(mm_type type)
{
    return type == MM_TYPE_VARCHAR || type == MM_TYPE_TEXT;
}

static void write_field(const mm_field *from, field_parts *parts)
{
    mmpb__field_schema__init(&parts->field);
    Mmpb__FieldSchema *to = &parts->field;
    to->name = mm_proto_text(from->name);
    to->description = mm_proto_text(from->description);
    to->is_primary_key = from->primary;
    to->auto_id = from->auto_id;
    to->data_type = (int32_t)from->type;
    to->element_type = (int32_t)from->element_type;
    to->nullable = from->nullable;
    to->is_partition_key = from->partition_key;
    to->type_params = parts->list;
    if (mm_type_is_vector(from->type) && from->type != MM_TYPE_SPARSE_FLOAT_VECTOR)
        add_param(parts, "dim", from->dim);
    if (is_string(from->type) || (from->type == MM_TYPE_ARRAY && is_string(from->element_type)))
        add_param(parts, "max_length", from->max_length > 0 ? from->max_length : 65535);
    if (from->type == MM_TYPE_ARRAY)
        add_param(parts, "max_capacity", from->max_capacity > 0 ? from->max_capacity : 4096);
}

mm_status mm_proto_write_schema(const mm_schema *schema, const char *name, mm_buffer *out, mm_error *err)
{
    mm_status status = MM_NO_MEMORY;
    Mmpb__CollectionSchema to = MMPB__COLLECTION_SCHEMA__INIT;
    uint8_t *bytes = NULL;
    field_parts *parts = calloc(schema->field_count + 1, sizeof(*parts));
    to.fields = calloc(schema->field_count + 1, sizeof(*to.fields));
    if (parts == NULL || to.fields == NULL)
        goto out;
    to.name = mm_proto_text(name);
    to.description = mm_proto_text(schema->description);
    to.enable_dynamic_field = schema->enable_dynamic_field;
    for (size_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].dynamic) {
            to.enable_dynamic_field = true;
            continue;
        }
        if (schema->fields[i].primary && schema->fields[i].auto_id)
            to.auto_id = true;
        write_field(&schema->fields[i], &parts[i]);
        to.fields[to.n_fields++] = &parts[i].field;
    }
    size_t size = protobuf_c_message_get_packed_size(&to.base);
    if ((bytes = malloc(size + 1)) == NULL)
        goto out;
    protobuf_c_message_pack(&to.base, bytes);
    mm_buffer_append(out, bytes, size);
    status = out->failed ? MM_NO_MEMORY : MM_OK;
out:
    free(bytes);
    free(to.fields);
    free(parts);
    return status == MM_OK ? MM_OK : mm_error_set(err, status, "out of memory for a schema");
}

/* A decimal number of 32 bits; anything else is an error of the server. */
static mm_status read_number(const char *field, const char *key, const char *value, uint32_t *out, mm_error *err)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number > UINT32_MAX || value[0] == '-')
        return mm_error_set(err, MM_TARGET, "field '%s': %s '%s' is no number", field, key, value);
    *out = (uint32_t)number;
    return MM_OK;
}

static mm_status read_field(const Mmpb__FieldSchema *from, mm_arena *arena, mm_field *to, mm_error *err)
{
    mm_status status = MM_OK;
    memset(to, 0, sizeof(*to));
    to->name = mm_arena_strdup(arena, from->name);
    if (to->name == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (from->description[0] != '\0' && (to->description = mm_arena_strdup(arena, from->description)) == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    to->type = (mm_type)from->data_type;
    to->element_type = (mm_type)from->element_type;
    to->primary = from->is_primary_key;
    to->auto_id = from->auto_id;
    to->nullable = from->nullable;
    to->partition_key = from->is_partition_key;
    to->dynamic = from->is_dynamic;
    for (size_t i = 0; i < from->n_type_params && status == MM_OK; i++) {
        const char *key = from->type_params[i]->key, *value = from->type_params[i]->value;
        if (strcmp(key, "dim") == 0)
            status = read_number(to->name, key, value, &to->dim, err);
        else if (strcmp(key, "max_length") == 0)
            status = read_number(to->name, key, value, &to->max_length, err);
        else if (strcmp(key, "max_capacity") == 0)
            status = read_number(to->name, key, value, &to->max_capacity, err);
    }
    return status;
}

mm_status mm_proto_read_schema(const Mmpb__CollectionSchema *from, mm_arena *arena, mm_schema **out,
                               mm_error *err)
{
    mm_schema *schema = mm_arena_alloc(arena, sizeof(*schema));
    mm_field *fields = mm_arena_array(arena, from->n_fields + 1, sizeof(*fields));
    if (schema == NULL || fields == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    memset(schema, 0, sizeof(*schema));
    bool has_meta = false;
    for (size_t i = 0; i < from->n_fields; i++) {
        mm_status status = read_field(from->fields[i], arena, &fields[i], err);
        if (status != MM_OK)
            return status;
        if (fields[i].primary && from->auto_id)
            fields[i].auto_id = true;
        has_meta = has_meta || fields[i].dynamic;
    }
    schema->field_count = from->n_fields;
    if (from->enable_dynamic_field && !has_meta)
        fields[schema->field_count++] = (mm_field){.name = "$meta", .type = MM_TYPE_JSON, .dynamic = true};
    schema->fields = fields;
    schema->enable_dynamic_field = from->enable_dynamic_field;
    schema->name = mm_arena_strdup(arena, from->name);
    schema->description = mm_arena_strdup(arena, from->description);
    if (schema->name == NULL || schema->description == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    *out = schema;
    return MM_OK;
}
