/* Manifests: from and to text. */
#include "formats/manifest.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"

#define VERSION 1

void mm_manifest_free(mm_manifest *manifest)
{
    mm_arena_free(&manifest->arena);
    *manifest = (mm_manifest)MM_MANIFEST_INIT;
}

size_t mm_manifest_unit_files(const mm_manifest *manifest)
{
    return manifest->format->file_per_field ? manifest->schema.field_count : 1;
}

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a manifest");
}

/* --- printing --- */

static void print_text(mm_buffer *out, const char *key, const char *text)
{
    if (text == NULL)
        return;
    mm_buffer_printf(out, ", \"%s\": ", key);
    mm_json_text(out, text);
}

static void print_flag(mm_buffer *out, const char *key, bool flag)
{
    if (flag)
        mm_buffer_printf(out, ", \"%s\": true", key);
}

static void print_field(mm_buffer *out, const mm_field *field)
{
    mm_buffer_printf(out, "  {\"name\": ");
    mm_json_text(out, field->name);
    mm_buffer_printf(out, ", \"type\": \"%s\"", mm_type_name(field->type));
    if (mm_type_is_vector(field->type) && field->dim > 0)
        mm_buffer_printf(out, ", \"dim\": %" PRIu32, field->dim);
    if (field->type == MM_TYPE_ARRAY)
        print_text(out, "element_type", mm_type_name(field->element_type));
    if (field->max_length > 0)
        mm_buffer_printf(out, ", \"max_length\": %" PRIu32, field->max_length);
    if (field->max_capacity > 0)
        mm_buffer_printf(out, ", \"max_capacity\": %" PRIu32, field->max_capacity);
    print_flag(out, "primary", field->primary);
    print_flag(out, "auto_id", field->auto_id);
    print_flag(out, "nullable", field->nullable);
    print_flag(out, "partition_key", field->partition_key);
    print_flag(out, "dynamic", field->dynamic);
    print_text(out, "description", field->description);
    print_text(out, "metric_type", field->metric_type);
    print_text(out, "index_type", field->index_type);
    print_text(out, "index_params", field->index_params);
    mm_buffer_printf(out, "}");
}

static void print_schema(mm_buffer *out, const mm_schema *schema)
{
    mm_buffer_printf(out, " \"schema\": {\"enable_dynamic_field\": %s", schema->enable_dynamic_field ? "true" : "false");
    print_text(out, "description", schema->description);
    mm_buffer_printf(out, ", \"fields\": [");
    for (size_t i = 0; i < schema->field_count; i++) {
        mm_buffer_printf(out, i ? ",\n" : "\n");
        print_field(out, &schema->fields[i]);
    }
    mm_buffer_printf(out, "\n ]},\n");
}

static void print_files(mm_buffer *out, const mm_manifest *manifest)
{
    mm_buffer_printf(out, " \"checksum\": \"xxh3-64\",\n \"files\": [");
    for (size_t i = 0; i < manifest->file_count; i++) {
        const mm_manifest_file *file = &manifest->files[i];
        mm_buffer_printf(out, "%s\n  {\"partition\": ", i ? "," : "");
        mm_json_text(out, file->partition);
        print_text(out, "path", file->path);
        print_text(out, "field", file->field);
        mm_buffer_printf(out, ", \"rows\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"checksum\": \"%016" PRIx64 "\"}",
                         file->rows, file->bytes, file->checksum);
    }
    mm_buffer_printf(out, "\n ]\n}\n");
}

static uint64_t rows_of(const mm_manifest *manifest)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < manifest->file_count; i += mm_manifest_unit_files(manifest))
        rows += manifest->files[i].rows;
    return rows;
}

mm_status mm_manifest_print(const mm_manifest *manifest, mm_buffer *out, mm_error *err)
{
    mm_buffer_printf(out, "{\n \"version\": %d,\n \"format\": \"%s\",\n \"collection\": ", VERSION,
                     manifest->format->name);
    mm_json_text(out, manifest->schema.name);
    mm_buffer_printf(out, ",\n");
    print_schema(out, &manifest->schema);
    mm_buffer_printf(out, " \"partitions\": [");
    for (size_t i = 0; i < manifest->partition_count; i++) {
        mm_buffer_printf(out, i ? ", " : "");
        mm_json_text(out, manifest->partitions[i]);
    }
    mm_buffer_printf(out, "],\n \"rows\": %" PRIu64 ",\n", rows_of(manifest));
    print_files(out, manifest);
    return out->failed ? no_memory(err) : MM_OK;
}

/* --- parsing --- */

/* NULL: not there, or of another type (*wrong then). */
static const char *text_of(mm_arena *arena, const cJSON *object, const char *key, bool *wrong)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (item == NULL)
        return NULL;
    const char *copy = cJSON_IsString(item) ? mm_arena_strdup(arena, item->valuestring) : NULL;
    *wrong = *wrong || copy == NULL;
    return copy;
}

static uint64_t number_of(const cJSON *object, const char *key, uint64_t most, bool *wrong)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (item == NULL || cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > (double)most) {
        *wrong = true;
        return 0;
    }
    return (uint64_t)item->valuedouble;
}

static bool flag_of(const cJSON *object, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}

#define EXACT ((uint64_t)1 << 53)

static mm_status parse_field(mm_arena *arena, const cJSON *item, mm_field *out, mm_error *err)
{
    bool wrong = false;
    const char *type = text_of(arena, item, "type", &wrong);
    const char *element = text_of(arena, item, "element_type", &wrong);
    *out = (mm_field){
        .name = text_of(arena, item, "name", &wrong),
        .description = text_of(arena, item, "description", &wrong),
        .type = type ? mm_type_from_name(type) : MM_TYPE_NONE,
        .element_type = element ? mm_type_from_name(element) : MM_TYPE_NONE,
        .dim = (uint32_t)number_of(item, "dim", UINT32_MAX, &wrong),
        .max_length = (uint32_t)number_of(item, "max_length", UINT32_MAX, &wrong),
        .max_capacity = (uint32_t)number_of(item, "max_capacity", UINT32_MAX, &wrong),
        .primary = flag_of(item, "primary"),
        .auto_id = flag_of(item, "auto_id"),
        .nullable = flag_of(item, "nullable"),
        .partition_key = flag_of(item, "partition_key"),
        .dynamic = flag_of(item, "dynamic"),
        .metric_type = text_of(arena, item, "metric_type", &wrong),
        .index_type = text_of(arena, item, "index_type", &wrong),
        .index_params = text_of(arena, item, "index_params", &wrong),
    };
    bool dense = mm_type_is_vector(out->type) && out->type != MM_TYPE_SPARSE_FLOAT_VECTOR;
    if (wrong || out->name == NULL || out->type == MM_TYPE_NONE || (dense && mm_type_width(out->type, out->dim) == 0) ||
        (out->type == MM_TYPE_ARRAY && out->element_type == MM_TYPE_NONE))
        return mm_error_set(err, MM_DATA, "the manifest's field %.80s is not understood", out->name ? out->name : "?");
    return MM_OK;
}

/* A list of objects or texts as an array in the arena; *count 0 where there is none. */
static mm_status array_for(mm_arena *arena, const cJSON *list, size_t item, void **out, size_t *count, mm_error *err)
{
    int size = cJSON_GetArraySize(list);
    *count = size > 0 ? (size_t)size : 0;
    *out = mm_arena_array(arena, *count ? *count : 1, item);
    return *out ? MM_OK : no_memory(err);
}

static mm_status parse_schema(mm_manifest *m, const cJSON *root, mm_error *err)
{
    bool wrong = false;
    const cJSON *item, *schema = cJSON_GetObjectItemCaseSensitive(root, "schema");
    const cJSON *fields = cJSON_GetObjectItemCaseSensitive(schema, "fields");
    m->schema.name = text_of(&m->arena, root, "collection", &wrong);
    m->schema.description = text_of(&m->arena, schema, "description", &wrong);
    m->schema.enable_dynamic_field = flag_of(schema, "enable_dynamic_field");
    if (wrong || m->schema.name == NULL || !cJSON_IsArray(fields) || cJSON_GetArraySize(fields) == 0)
        return mm_error_set(err, MM_DATA, "the manifest has no collection, or no fields");
    void *list;
    size_t i = 0, count;
    mm_status status = array_for(&m->arena, fields, sizeof(mm_field), &list, &count, err);
    if (status != MM_OK)
        return status;
    m->schema.fields = list;
    cJSON_ArrayForEach(item, fields)
    {
        status = parse_field(&m->arena, item, &m->schema.fields[i++], err);
        if (status != MM_OK)
            return status;
    }
    m->schema.field_count = count;
    return MM_OK;
}

static mm_status parse_partitions(mm_manifest *m, const cJSON *root, mm_error *err)
{
    const cJSON *item, *names = cJSON_GetObjectItemCaseSensitive(root, "partitions");
    void *list;
    size_t i = 0;
    mm_status status = array_for(&m->arena, names, sizeof(char *), &list, &m->partition_count, err);
    if (status != MM_OK)
        return status;
    m->partitions = list;
    cJSON_ArrayForEach(item, names)
    {
        if (!cJSON_IsString(item))
            return mm_error_set(err, MM_DATA, "the manifest's partitions are not texts");
        m->partitions[i] = mm_arena_strdup(&m->arena, item->valuestring);
        if (m->partitions[i++] == NULL)
            return no_memory(err);
    }
    return MM_OK;
}

/* A manifest must not lead out of its folder. */
static bool is_inner_path(const char *path)
{
    if (path[0] == '\0' || path[0] == '/')
        return false;
    for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.'))
            return false;
    }
    return true;
}

static bool parse_checksum(const char *text, uint64_t *out)
{
    if (text == NULL || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    *out = strtoull(text, NULL, 16);
    return true;
}

static mm_status parse_file(mm_arena *arena, const cJSON *item, mm_manifest_file *out, mm_error *err)
{
    bool wrong = false;
    *out = (mm_manifest_file){
        .partition = text_of(arena, item, "partition", &wrong),
        .path = text_of(arena, item, "path", &wrong),
        .field = text_of(arena, item, "field", &wrong),
        .rows = number_of(item, "rows", EXACT, &wrong),
        .bytes = number_of(item, "bytes", EXACT, &wrong),
    };
    if (wrong || out->partition == NULL || out->path == NULL || !is_inner_path(out->path) ||
        !parse_checksum(text_of(arena, item, "checksum", &wrong), &out->checksum))
        return mm_error_set(err, MM_DATA, "the manifest's file %.200s is not understood", out->path ? out->path : "?");
    return MM_OK;
}

/* Files of a unit: each field once, in order, with the same number of rows. */
static mm_status check_units(const mm_manifest *m, mm_error *err)
{
    size_t of_unit = mm_manifest_unit_files(m);
    uint64_t rows = 0;
    for (size_t i = 0; i < m->file_count; i++) {
        const mm_manifest_file *file = &m->files[i];
        const char *field = m->format->file_per_field ? m->schema.fields[i % of_unit].name : NULL;
        bool fits = field == NULL ? file->field == NULL : file->field != NULL && strcmp(file->field, field) == 0;
        if (!fits || file->rows != m->files[i - i % of_unit].rows)
            return mm_error_set(err, MM_DATA, "the manifest's file %.200s stands where one of field %s with %" PRIu64
                                " rows is expected", file->path, field ? field : "-", m->files[i - i % of_unit].rows);
        if (i % of_unit == 0 && !mm_add_u64(rows, file->rows, &rows))
            return mm_error_set(err, MM_DATA, "the manifest's files have too many rows");
    }
    if (m->file_count % of_unit != 0)
        return mm_error_set(err, MM_DATA, "the manifest's last unit lacks files");
    if (rows != m->rows)
        return mm_error_set(err, MM_DATA, "the manifest says %" PRIu64 " rows, its files %" PRIu64, m->rows, rows);
    return MM_OK;
}

static mm_status parse_files(mm_manifest *m, const cJSON *root, mm_error *err)
{
    const cJSON *item, *files = cJSON_GetObjectItemCaseSensitive(root, "files");
    void *list;
    size_t i = 0;
    if (!cJSON_IsArray(files))
        return mm_error_set(err, MM_DATA, "the manifest has no files");
    mm_status status = array_for(&m->arena, files, sizeof(*m->files), &list, &m->file_count, err);
    if (status != MM_OK)
        return status;
    m->files = list;
    cJSON_ArrayForEach(item, files)
    {
        status = parse_file(&m->arena, item, &m->files[i++], err);
        if (status != MM_OK)
            return status;
    }
    return check_units(m, err);
}

static mm_status parse_root(mm_manifest *m, const cJSON *root, mm_error *err)
{
    bool wrong = false;
    uint64_t version = number_of(root, "version", UINT32_MAX, &wrong);
    const char *format = text_of(&m->arena, root, "format", &wrong);
    m->rows = number_of(root, "rows", EXACT, &wrong);
    if (wrong || version == 0 || format == NULL)
        return mm_error_set(err, MM_DATA, "not a manifest of this program");
    if (version != VERSION)
        return mm_error_set(err, MM_DATA, "a manifest of version %" PRIu64 "; this program knows %d", version, VERSION);
    m->format = mm_format_find(format);
    if (m->format == NULL)
        return mm_error_set(err, MM_DATA, "the manifest's format %.40s is not known", format);
    mm_status status = parse_schema(m, root, err);
    if (status == MM_OK)
        status = parse_partitions(m, root, err);
    return status == MM_OK ? parse_files(m, root, err) : status;
}

mm_status mm_manifest_parse(const char *text, size_t size, mm_manifest *out, mm_error *err)
{
    cJSON *root = cJSON_ParseWithLength(text, size);
    mm_status status = cJSON_IsObject(root) ? parse_root(out, root, err)
                                            : mm_error_set(err, MM_DATA, "not a manifest of this program: no JSON");
    cJSON_Delete(root);
    return status;
}
