/* Files into collections and units. Everything lives in the source's arena. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sources/tables/internal.h"

#define MANIFEST_MAX ((uint64_t)256 << 20)

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a list of files");
}

static const char *base_name(const char *location)
{
    const char *slash = strrchr(location, '/');
    return slash != NULL ? slash + 1 : location;
}

/* `size` bytes of text, in the arena. NULL: no memory. */
static const char *copy_part(mm_arena *arena, const char *text, size_t size)
{
    char *copy = mm_arena_alloc(arena, size + 1);
    if (copy != NULL) {
        memcpy(copy, text, size);
        copy[size] = '\0';
    }
    return copy;
}

/* "dir/products.parquet" is "products". */
static const char *stem_of(mm_arena *arena, const char *location)
{
    const char *base = base_name(location), *dot = strrchr(base, '.');
    return copy_part(arena, base, dot != NULL && dot != base ? (size_t)(dot - base) : strlen(base));
}

const mm_format_driver *mm_tables_format_of(const mm_source *source, const char *location)
{
    const mm_format_driver *format = mm_format_of_file(location);
    /* the driver jsonl reads both forms of JSON */
    if (format == source->format || (source->format == &mm_format_jsonl && format == &mm_format_json))
        return format;
    return NULL;
}

bool mm_tables_is_ours(const mm_source *source, const char *location)
{
    return mm_tables_format_of(source, location) != NULL;
}

/* --- files without a manifest ----------------------------------------------------------------------------------- */

/* Bytes of the folder of a file, less the slash. */
static size_t folder_size(const char *location)
{
    return (size_t)(base_name(location) - location) - (base_name(location) > location ? 1 : 0);
}

/* The partition that a file belongs to: the first folder below the path that was asked for. */
static mm_status partition_of(mm_source *source, const mm_table_object *object, mm_table_collection *c, uint32_t *out,
                              mm_error *err)
{
    const char *name = MM_DEFAULT_PARTITION;
    size_t size = strlen(name);
    const char *rest = object->root != SIZE_MAX ? object->location + object->root : "", *slash = strchr(rest, '/');
    *out = 0;
    if (!source->by_folder)
        return MM_OK;
    if (slash != NULL) {
        name = rest;
        size = (size_t)(slash - rest);
    }
    for (size_t i = 0; i < c->partition_count; i++)
        if (strlen(c->partitions[i]) == size && memcmp(c->partitions[i], name, size) == 0) {
            *out = (uint32_t)i;
            return MM_OK;
        }
    const char **grown = mm_arena_array(&source->arena, c->partition_count + 1, sizeof(*grown));
    const char *copy = copy_part(&source->arena, name, size);
    if (grown == NULL || copy == NULL)
        return no_memory(err);
    if (c->partition_count > 0)
        memcpy(grown, c->partitions, c->partition_count * sizeof(*grown));
    grown[c->partition_count] = copy;
    c->partitions = grown;
    *out = (uint32_t)c->partition_count++;
    return MM_OK;
}

/* Whether a file belongs to the unit before it: a further field of a folder of .npy files. */
static bool goes_on(const mm_source *source, const mm_table_unit *unit, const mm_table_file *file)
{
    const char *before = unit->files[0].location;
    return unit->format->file_per_field && !source->shards && folder_size(before) == folder_size(file->location) &&
           memcmp(before, file->location, folder_size(before)) == 0;
}

static mm_status name_fields(mm_source *source, mm_table_collection *c, mm_error *err)
{
    for (size_t u = 0; u < c->unit_count; u++) {
        mm_table_unit *unit = &c->units[u];
        if (!unit->format->file_per_field)
            continue;
        /* an array that stands alone holds vectors, whatever its name */
        bool alone = source->shards || unit->file_count == 1;
        for (size_t f = 0; f < unit->file_count; f++) {
            const char *name = alone ? source->vector_field : stem_of(&source->arena, unit->files[f].location);
            if (name == NULL)
                return no_memory(err);
            unit->files[f].field = name;
        }
    }
    return MM_OK;
}

mm_status mm_tables_from_files(mm_source *source, const mm_table_objects *objects, mm_table_collection *out,
                               mm_error *err)
{
    const char *name = mm_options_str(source->options, "collection");
    const mm_table_object *first = NULL;
    size_t files = 0;
    mm_status status = MM_OK;
    mm_table_file *list = mm_arena_array(&source->arena, objects->count, sizeof(*list));
    out->units = mm_arena_array(&source->arena, objects->count, sizeof(*out->units));
    if (list == NULL || out->units == NULL)
        return no_memory(err);
    for (size_t i = 0; status == MM_OK && i < objects->count; i++) {
        const mm_table_object *object = &objects->items[i];
        const mm_format_driver *format = mm_tables_format_of(source, object->location);
        if (format == NULL && object->root == SIZE_MAX)
            return mm_error_set(err, MM_CONFIG, "source.path: %s: its name does not end in %s", object->location,
                                source->format->extension);
        if (format == NULL)
            continue; /* something else in the folder */
        first = first != NULL ? first : object;
        mm_table_file *file = &list[files];
        *file = (mm_table_file){.location = mm_arena_strdup(&source->arena, object->location),
                                .bytes = object->object.size};
        if (file->location == NULL)
            return no_memory(err);
        if (out->unit_count > 0 && goes_on(source, &out->units[out->unit_count - 1], file)) {
            out->units[out->unit_count - 1].file_count++;
        } else {
            mm_table_unit *unit = &out->units[out->unit_count++];
            *unit = (mm_table_unit){.format = format, .files = file, .file_count = 1};
            status = partition_of(source, object, out, &unit->partition, err);
        }
        files++;
    }
    if (status != MM_OK)
        return status;
    if (first == NULL)
        return mm_error_set(err, MM_NOT_FOUND, "%.*s: none of its files is called *%s",
                            (int)(objects->items[0].root - 1), objects->items[0].location, source->format->extension);
    bool folder = first->root != SIZE_MAX && first->root > 1;
    out->place = folder ? copy_part(&source->arena, first->location, first->root - 1)
                        : mm_arena_strdup(&source->arena, first->location);
    if (name == NULL && out->place != NULL)
        name = folder ? base_name(out->place) : stem_of(&source->arena, out->place);
    out->name = name != NULL ? mm_arena_strdup(&source->arena, name) : NULL;
    return out->name != NULL ? name_fields(source, out, err) : no_memory(err);
}

/* --- manifests -------------------------------------------------------------------------------------------------- */

static mm_status read_manifest(mm_source *source, const mm_table_object *object, mm_manifest *out, mm_error *err)
{
    mm_input *input;
    if (object->object.size > MANIFEST_MAX)
        return mm_error_set(err, MM_DATA, "%s: %" PRIu64 " bytes are no manifest", object->location,
                            object->object.size);
    mm_status status = mm_input_open(object->location, source->options, &input, err);
    if (status != MM_OK)
        return status;
    char *text = malloc((size_t)input->size + 1);
    status = text != NULL ? mm_input_read(input, 0, text, (size_t)input->size, err) : no_memory(err);
    if (status == MM_OK) {
        status = mm_manifest_parse(text, (size_t)input->size, out, err);
        if (status != MM_OK)
            mm_error_context(err, "%s", object->location);
    }
    free(text);
    mm_input_close(input);
    return status;
}

static int compare_objects(const void *key, const void *item)
{
    return strcmp(key, ((const mm_table_object *)item)->location);
}

static mm_status add_manifest_file(mm_source *source, const mm_table_objects *objects, const mm_table_object *manifest,
                                   const mm_manifest_file *from, mm_table_file *to, mm_error *err)
{
    char *location = mm_format("%.*s/%s", (int)folder_size(manifest->location), manifest->location, from->path);
    if (location == NULL)
        return no_memory(err);
    /* objects of one listing are in the order of their names' bytes */
    const mm_table_object *there =
        bsearch(location, objects->items, objects->count, sizeof(*objects->items), compare_objects);
    *to = (mm_table_file){.location = mm_arena_strdup(&source->arena, location), .bytes = from->bytes,
                          .checksum = from->checksum};
    to->field = from->field != NULL ? mm_arena_strdup(&source->arena, from->field) : NULL;
    mm_status status = MM_OK;
    if (to->location == NULL || (from->field != NULL && to->field == NULL))
        status = no_memory(err);
    else if (there == NULL)
        status = mm_error_set(err, MM_DATA, "%s: the manifest names it, and it is not there", location);
    else if (there->object.size != from->bytes)
        status = mm_error_set(err, MM_DATA, "%s: %" PRIu64 " bytes; the manifest says %" PRIu64, location,
                              there->object.size, from->bytes);
    free(location);
    return status;
}

static mm_status copy_partitions(mm_source *source, const mm_manifest *manifest, mm_table_collection *out,
                                 mm_error *err)
{
    size_t count = manifest->partition_count;
    out->partitions = mm_arena_array(&source->arena, count + 1, sizeof(*out->partitions));
    if (out->partitions == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++)
        if ((out->partitions[i] = mm_arena_strdup(&source->arena, manifest->partitions[i])) == NULL)
            return no_memory(err);
    out->partition_count = count;
    return MM_OK;
}

static mm_status find_partition(const mm_table_collection *c, const mm_table_object *manifest, const char *name,
                                uint32_t *out, mm_error *err)
{
    *out = 0;
    if (c->partition_count == 0 && strcmp(name, MM_DEFAULT_PARTITION) == 0)
        return MM_OK;
    for (size_t i = 0; i < c->partition_count; i++)
        if (strcmp(c->partitions[i], name) == 0) {
            *out = (uint32_t)i;
            return MM_OK;
        }
    return mm_error_set(err, MM_DATA, "%s: its list of partitions lacks `%s`", manifest->location, name);
}

static mm_status take_manifest(mm_source *source, const mm_table_objects *objects, const mm_table_object *object,
                               const mm_manifest *manifest, mm_table_collection *out, mm_error *err)
{
    size_t of_unit = mm_manifest_unit_files(manifest), units = manifest->file_count / of_unit;
    mm_table_file *files = mm_arena_array(&source->arena, manifest->file_count + 1, sizeof(*files));
    out->units = mm_arena_array(&source->arena, units + 1, sizeof(*out->units));
    out->name = mm_arena_strdup(&source->arena, manifest->schema.name);
    out->place = copy_part(&source->arena, object->location, folder_size(object->location));
    out->in_files = mm_schema_copy(&source->arena, &manifest->schema);
    if (files == NULL || out->units == NULL || out->name == NULL || out->place == NULL || out->in_files == NULL)
        return no_memory(err);
    mm_status status = copy_partitions(source, manifest, out, err);
    for (size_t i = 0; status == MM_OK && i < manifest->file_count; i++)
        status = add_manifest_file(source, objects, object, &manifest->files[i], &files[i], err);
    for (size_t u = 0; status == MM_OK && u < units; u++) {
        const mm_manifest_file *from = &manifest->files[u * of_unit];
        mm_table_unit *unit = &out->units[u];
        *unit = (mm_table_unit){.format = manifest->format, .files = &files[u * of_unit], .file_count = of_unit,
                                .rows = from->rows, .first = out->rows};
        out->rows += from->rows;
        status = find_partition(out, object, from->partition, &unit->partition, err);
    }
    out->unit_count = units;
    out->manifest = true;
    return status;
}

mm_status mm_tables_from_manifest(mm_source *source, const mm_table_objects *objects, const mm_table_object *object,
                                  mm_table_collection *out, mm_error *err)
{
    mm_manifest manifest = MM_MANIFEST_INIT;
    mm_status status = read_manifest(source, object, &manifest, err);
    if (status == MM_OK && source->format != NULL && manifest.format != source->format &&
        !(source->format == &mm_format_jsonl && manifest.format == &mm_format_json))
        status = mm_error_set(err, MM_CONFIG, "%s: its files are %s; set source.driver: %s", object->location,
                              manifest.format->name,
                              manifest.format == &mm_format_json ? mm_format_jsonl.name : manifest.format->name);
    if (status == MM_OK)
        status = take_manifest(source, objects, object, &manifest, out, err);
    mm_manifest_free(&manifest);
    return status;
}
