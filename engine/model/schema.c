/* Type names, widths and copies of schemas. */
#include "model/schema.h"

#include <string.h>
#include <strings.h>

#include "base/util.h"

static const struct {
    mm_type type;
    const char *name;
} names[] = {
    {MM_TYPE_BOOL, "Bool"},
    {MM_TYPE_INT8, "Int8"},
    {MM_TYPE_INT16, "Int16"},
    {MM_TYPE_INT32, "Int32"},
    {MM_TYPE_INT64, "Int64"},
    {MM_TYPE_FLOAT, "Float"},
    {MM_TYPE_DOUBLE, "Double"},
    {MM_TYPE_VARCHAR, "VarChar"},
    {MM_TYPE_ARRAY, "Array"},
    {MM_TYPE_JSON, "JSON"},
    {MM_TYPE_GEOMETRY, "Geometry"},
    {MM_TYPE_TEXT, "Text"},
    {MM_TYPE_TIMESTAMPTZ, "Timestamptz"},
    {MM_TYPE_BINARY_VECTOR, "BinaryVector"},
    {MM_TYPE_FLOAT_VECTOR, "FloatVector"},
    {MM_TYPE_FLOAT16_VECTOR, "Float16Vector"},
    {MM_TYPE_BFLOAT16_VECTOR, "BFloat16Vector"},
    {MM_TYPE_SPARSE_FLOAT_VECTOR, "SparseFloatVector"},
    {MM_TYPE_INT8_VECTOR, "Int8Vector"},
};

const char *mm_type_name(mm_type type)
{
    for (size_t i = 0; i < MM_COUNT(names); i++)
        if (names[i].type == type)
            return names[i].name;
    return NULL;
}

mm_type mm_type_from_name(const char *name)
{
    for (size_t i = 0; i < MM_COUNT(names); i++)
        if (strcasecmp(names[i].name, name) == 0)
            return names[i].type;
    return MM_TYPE_NONE;
}

bool mm_type_is_vector(mm_type type)
{
    return type >= MM_TYPE_BINARY_VECTOR && type <= MM_TYPE_INT8_VECTOR;
}

size_t mm_type_width(mm_type type, uint32_t dim)
{
    switch (type) {
    case MM_TYPE_BOOL:
    case MM_TYPE_INT8:
        return 1;
    case MM_TYPE_INT16:
        return 2;
    case MM_TYPE_INT32:
    case MM_TYPE_FLOAT:
        return 4;
    case MM_TYPE_INT64:
    case MM_TYPE_DOUBLE:
        return 8;
    case MM_TYPE_BINARY_VECTOR:
        return dim / 8;
    case MM_TYPE_FLOAT_VECTOR:
        return (size_t)dim * 4;
    case MM_TYPE_FLOAT16_VECTOR:
    case MM_TYPE_BFLOAT16_VECTOR:
        return (size_t)dim * 2;
    case MM_TYPE_INT8_VECTOR:
        return dim;
    default:
        return 0;
    }
}

int mm_schema_find(const mm_schema *schema, const char *field)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (strcmp(schema->fields[i].name, field) == 0)
            return (int)i;
    return -1;
}

int mm_schema_primary(const mm_schema *schema)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].primary)
            return (int)i;
    return -1;
}

static bool copy_text(mm_arena *arena, const char **text)
{
    if (*text == NULL)
        return true;
    *text = mm_arena_strdup(arena, *text);
    return *text != NULL;
}

mm_schema *mm_schema_copy(mm_arena *arena, const mm_schema *schema)
{
    mm_schema *copy = mm_arena_alloc(arena, sizeof(*copy));
    if (copy == NULL)
        return NULL;
    *copy = *schema;
    copy->fields = mm_arena_array(arena, schema->field_count, sizeof(mm_field));
    if (copy->fields == NULL || !copy_text(arena, &copy->name) || !copy_text(arena, &copy->description))
        return NULL;
    for (size_t i = 0; i < schema->field_count; i++) {
        mm_field *field = &copy->fields[i];
        *field = schema->fields[i];
        if (!copy_text(arena, &field->name) || !copy_text(arena, &field->description) ||
            !copy_text(arena, &field->metric_type) || !copy_text(arena, &field->index_type) ||
            !copy_text(arena, &field->index_params))
            return NULL;
    }
    return copy;
}

void mm_catalog_free(mm_catalog *catalog)
{
    mm_arena_free(&catalog->arena);
    catalog->collections = NULL;
    catalog->count = 0;
}
