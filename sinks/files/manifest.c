/* manifest.json of the target `files`: read for append, overwrite and inspect; put together and written as the last
 * act. Where it stands, local or in an object store, and what is removed afterwards: publish.c. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "sinks/files/internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a manifest");
}

/* --- reading --- */

static mm_status read_object(mm_storage *storage, const char *key, mm_buffer *text, mm_error *err)
{
    mm_object object;
    mm_status status = mm_storage_stat(storage, key, &object, err);
    if (status != MM_OK)
        return status;
    char *bytes = object.size < SIZE_MAX ? malloc((size_t)object.size + 1) : NULL;
    if (bytes == NULL)
        return no_memory(err);
    status = mm_storage_read(storage, key, object.etag, 0, bytes, (size_t)object.size, err);
    if (status == MM_OK)
        mm_buffer_append(text, bytes, (size_t)object.size);
    free(bytes);
    return status == MM_OK && text->failed ? no_memory(err) : status;
}

mm_status mm_files_manifest_text(const mm_sink *sink, const mm_files_collection *c, mm_buffer *text, mm_error *err)
{
    char *path = mm_format("%s/%s", sink->remote ? c->prefix : c->root, MM_MANIFEST_NAME);
    if (path == NULL)
        return no_memory(err);
    mm_status status = sink->remote ? read_object(sink->storage, path, text, err) : mm_files_read_text(path, text, err);
    free(path);
    return status;
}

mm_status mm_files_manifest_read(const mm_sink *sink, const mm_files_collection *c, mm_manifest *out, mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    mm_status status = mm_files_manifest_text(sink, c, &text, err);
    if (status == MM_OK) {
        status = mm_manifest_parse(text.data, text.size, out, err);
        if (status == MM_DATA) {
            err->status = status = MM_TARGET;
            mm_error_context(err, "%s/%s", sink->remote ? c->final : c->root, MM_MANIFEST_NAME);
        }
    }
    mm_buffer_free(&text);
    return status;
}

/* --- comparing --- */

static mm_status check_type(const mm_field *field, const mm_field *there, mm_error *err)
{
    if (there->type != field->type || there->dim != (mm_type_is_vector(field->type) ? field->dim : 0))
        return mm_error_set(err, MM_TARGET, "field %s is %s(%" PRIu32 ") there and %s(%" PRIu32 ") in this job",
                            field->name, mm_type_name(there->type), there->dim, mm_type_name(field->type), field->dim);
    if (field->type == MM_TYPE_ARRAY && there->element_type != field->element_type)
        return mm_error_set(err, MM_TARGET, "field %s has elements of %s there and of %s in this job", field->name,
                            mm_type_name(there->element_type), mm_type_name(field->element_type));
    return MM_OK;
}

static mm_status check_field(const mm_field *field, const mm_field *there, mm_error *err)
{
    mm_status status = check_type(field, there, err);
    if (status != MM_OK)
        return status;
    if (there->primary != field->primary)
        return mm_error_set(err, MM_TARGET, "field %s is the primary key in only one of the two", field->name);
    if (there->nullable != field->nullable)
        return mm_error_set(err, MM_TARGET, "field %s is nullable in only one of the two", field->name);
    if (there->max_length != field->max_length)
        return mm_error_set(err, MM_TARGET, "field %s has max_length %" PRIu32 " there and %" PRIu32 " in this job",
                            field->name, there->max_length, field->max_length);
    if (there->max_capacity != field->max_capacity)
        return mm_error_set(err, MM_TARGET, "field %s has max_capacity %" PRIu32 " there and %" PRIu32 " in this job",
                            field->name, there->max_capacity, field->max_capacity);
    return MM_OK;
}

static mm_status check_schema(const mm_sink *sink, const mm_schema *schema, const mm_manifest *there, mm_error *err)
{
    if (there->format != sink->format)
        return mm_error_set(err, MM_TARGET, "its files are %s and this job's %s", there->format->name,
                            sink->format->name);
    for (size_t i = 0; i < schema->field_count; i++) {
        int at = mm_schema_find(&there->schema, schema->fields[i].name);
        if (at < 0)
            return mm_error_set(err, MM_TARGET, "field %s is not there", schema->fields[i].name);
        mm_status status = check_field(&schema->fields[i], &there->schema.fields[at], err);
        if (status != MM_OK)
            return status;
        if ((size_t)at != i)
            return mm_error_set(err, MM_TARGET, "field %s is number %d there and %zu in this job",
                                schema->fields[i].name, at + 1, i + 1);
    }
    if (there->schema.field_count != schema->field_count)
        return mm_error_set(err, MM_TARGET, "%zu fields there and %zu in this job", there->schema.field_count,
                            schema->field_count);
    return MM_OK;
}

mm_status mm_files_check_manifest(mm_sink *sink, uint32_t number, mm_error *err)
{
    const mm_files_collection *c = &sink->collections[number];
    mm_manifest there = MM_MANIFEST_INIT;
    mm_status status = mm_files_manifest_read(sink, c, &there, err);
    if (status == MM_OK)
        status = check_schema(sink, c->plan->schema, &there, err);
    if (status != MM_OK)
        mm_error_context(err, "append to %s", c->final);
    mm_manifest_free(&there);
    return status;
}

/* --- putting together --- */

/* Hints of the job for this field, over those of the source. */
static void add_hints(const mm_sink_collection *plan, mm_field *field)
{
    for (size_t i = 0; i < plan->index_count; i++) {
        const mm_index_rule *rule = &plan->indexes[i];
        if (strcmp(rule->field, field->name) != 0)
            continue;
        field->index_type = rule->index_type ? rule->index_type : field->index_type;
        field->metric_type = rule->metric_type ? rule->metric_type : field->metric_type;
        field->index_params = rule->params ? rule->params : field->index_params;
    }
}

static mm_status add_schema(const mm_files_collection *c, mm_manifest *out, mm_error *err)
{
    mm_schema *copy = mm_schema_copy(&out->arena, c->plan->schema);
    char *name = mm_arena_strdup(&out->arena, c->plan->name);
    if (copy == NULL || name == NULL)
        return no_memory(err);
    out->schema = *copy;
    out->schema.name = name;
    for (size_t i = 0; i < out->schema.field_count; i++)
        add_hints(c->plan, &out->schema.fields[i]);
    return MM_OK;
}

static bool has_partition(const mm_manifest *m, const char *name)
{
    for (size_t i = 0; i < m->partition_count; i++)
        if (strcmp(m->partitions[i], name) == 0)
            return true;
    return false;
}

/* Those that were there before, then the plan's. */
static mm_status add_partitions(const mm_files_collection *c, const mm_manifest *earlier, mm_manifest *out,
                                mm_error *err)
{
    out->partitions = mm_arena_array(&out->arena, earlier->partition_count + c->partition_count, sizeof(char *));
    if (out->partitions == NULL)
        return no_memory(err);
    for (size_t i = 0; i < earlier->partition_count + c->partition_count; i++) {
        const char *name = i < earlier->partition_count ? earlier->partitions[i]
                                                        : c->partitions[i - earlier->partition_count].name;
        if (has_partition(out, name))
            continue;
        out->partitions[out->partition_count] = mm_arena_strdup(&out->arena, name);
        if (out->partitions[out->partition_count++] == NULL)
            return no_memory(err);
    }
    return MM_OK;
}

static int compare_units(const void *a, const void *b)
{
    const mm_files_unit *left = *(mm_files_unit *const *)a, *right = *(mm_files_unit *const *)b;
    if (left->partition != right->partition)
        return left->partition < right->partition ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

static mm_status add_unit(const mm_sink *sink, const mm_files_unit *unit, mm_manifest *out, mm_error *err)
{
    const mm_files_collection *c = &sink->collections[unit->collection];
    if (unit->state != MM_FILES_SEALED)
        return mm_error_set(err, MM_BUG, "unit %05" PRIu32 " is not sealed", unit->number);
    for (size_t i = 0; i < unit->file_count; i++) {
        char *name = mm_files_unit_name(sink, unit, i);
        out->files[out->file_count++] = (mm_manifest_file){
            .partition = c->partitions[unit->partition].name,
            .path = name ? mm_arena_strdup(&out->arena, name) : NULL,
            .field = unit->format->file_per_field ? c->plan->schema->fields[i].name : NULL,
            .rows = unit->rows,
            .bytes = unit->files[i].size,
            .checksum = unit->files[i].checksum,
        };
        bool failed = name == NULL || out->files[out->file_count - 1].path == NULL;
        free(name);
        if (failed)
            return no_memory(err);
        if (sink->remote && unit->files[i].etag[0] == '\0')
            return mm_error_set(err, MM_BUG, "unit %05" PRIu32 " was not carried", unit->number);
    }
    return MM_OK;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Earlier entries but those of this run's own units (a publication that is repeated). */
static mm_status add_earlier(const mm_manifest *earlier, mm_manifest *out, size_t own, mm_error *err)
{
    const char **paths = calloc(own + 1, sizeof(*paths));
    if (paths == NULL)
        return no_memory(err);
    for (size_t i = 0; i < own; i++)
        paths[i] = out->files[i].path;
    qsort(paths, own, sizeof(*paths), compare_texts);
    size_t kept = 0;
    mm_manifest_file *files = mm_arena_array(&out->arena, earlier->file_count + own, sizeof(*files));
    for (size_t i = 0; files && i < earlier->file_count; i++)
        if (bsearch(&earlier->files[i].path, paths, own, sizeof(*paths), compare_texts) == NULL)
            files[kept++] = earlier->files[i];
    free(paths);
    if (files == NULL)
        return no_memory(err);
    if (own > 0)
        memcpy(files + kept, out->files, own * sizeof(*files));
    out->files = files;
    out->file_count = kept + own;
    return MM_OK;
}

mm_status mm_files_manifest_make(mm_sink *sink, uint32_t number, const mm_manifest *earlier, mm_manifest *out,
                                 mm_error *err)
{
    const mm_files_collection *c = &sink->collections[number];
    out->format = sink->format;
    mm_status status = add_schema(c, out, err);
    if (status == MM_OK)
        status = add_partitions(c, earlier, out, err);
    if (status == MM_OK && sink->unit_count > 0)
        qsort(sink->units, sink->unit_count, sizeof(*sink->units), compare_units);
    out->files = mm_arena_array(&out->arena, sink->unit_count * c->file_count + 1, sizeof(*out->files));
    if (status == MM_OK && out->files == NULL)
        status = no_memory(err);
    for (size_t i = 0; status == MM_OK && i < sink->unit_count; i++)
        if (sink->units[i]->collection == number && sink->units[i]->rows > 0)
            status = add_unit(sink, sink->units[i], out, err);
    return status == MM_OK ? add_earlier(earlier, out, out->file_count, err) : status;
}

/* --- inspect --- */

static void print_inspection(const mm_manifest *m, mm_buffer *text)
{
    uint64_t bytes = 0;
    mm_buffer_printf(text, "format: %s\ncollection: %s\nrows: %" PRIu64 "\n", m->format->name, m->schema.name, m->rows);
    for (size_t i = 0; i < m->schema.field_count; i++) {
        const mm_field *field = &m->schema.fields[i];
        mm_buffer_printf(text, "field: %s %s", field->name, mm_type_name(field->type));
        if (field->dim > 0)
            mm_buffer_printf(text, "(%" PRIu32 ")", field->dim);
        mm_buffer_printf(text, "%s%s\n", field->primary ? " primary" : "", field->nullable ? " nullable" : "");
    }
    for (size_t i = 0; i < m->partition_count; i++)
        mm_buffer_printf(text, "partition: %s\n", m->partitions[i]);
    for (size_t i = 0; i < m->file_count; i++)
        bytes += m->files[i].bytes;
    mm_buffer_printf(text, "files: %zu\nbytes: %" PRIu64 "\n", m->file_count, bytes);
}

/* A collection by its manifest. MM_NOT_FOUND: there is none; MM_DATA: it is no manifest of ours. */
static mm_status inspect_collection(const char *location, mm_buffer *text, mm_error *err)
{
    mm_storage *storage = NULL;
    char *key = NULL;
    mm_buffer found = MM_BUFFER_INIT;
    mm_manifest manifest = MM_MANIFEST_INIT;
    char *path = mm_format("%s/%s", location, MM_MANIFEST_NAME);
    if (path == NULL)
        return no_memory(err);
    mm_status status = MM_OK;
    if (mm_storage_is_remote(location)) {
        status = mm_storage_open(path, NULL, &storage, &key, err);
        if (status == MM_OK)
            status = read_object(storage, key, &found, err);
    } else {
        status = mm_files_read_text(path, &found, err);
    }
    if (status == MM_OK && (status = mm_manifest_parse(found.data, found.size, &manifest, err)) != MM_OK)
        mm_error_context(err, "%s", path);
    if (status == MM_OK)
        print_inspection(&manifest, text);
    mm_manifest_free(&manifest);
    mm_buffer_free(&found);
    mm_storage_close(storage);
    free(key);
    free(path);
    return status == MM_OK && text->failed ? no_memory(err) : status;
}

/* What a target's `path` holds: a collection in each folder that has a manifest. */
static mm_status inspect_folders(const char *location, mm_buffer *text, mm_error *err)
{
    struct dirent **entries = NULL;
    size_t shown = 0;
    int count = scandir(location, &entries, NULL, alphasort);
    if (count < 0)
        return mm_error_errno(err, MM_IO, "%s", location);
    mm_status status = MM_OK;
    for (int i = 0; i < count; i++) {
        char *path = entries[i]->d_name[0] == '.' ? NULL : mm_format("%s/%s/" MM_MANIFEST_NAME, location, entries[i]->d_name);
        if (status == MM_OK && path != NULL && access(path, F_OK) == 0) {
            path[strlen(path) - sizeof(MM_MANIFEST_NAME)] = '\0';
            mm_buffer_printf(text, "%s", shown++ > 0 ? "\n" : "");
            status = inspect_collection(path, text, err);
        }
        free(path);
        free(entries[i]);
    }
    free(entries);
    return status == MM_OK && shown == 0 ? mm_error_set(err, MM_NOT_FOUND, "%s: no " MM_MANIFEST_NAME, location) : status;
}

mm_status mm_files_inspect(const char *location, mm_buffer *text, mm_error *err)
{
    struct stat there;
    if (mm_storage_is_remote(location))
        return inspect_collection(location, text, err);
    if (stat(location, &there) != 0 || !S_ISDIR(there.st_mode))
        return mm_error_set(err, MM_NOT_FOUND, "%s is no folder", location);
    mm_status status = inspect_collection(location, text, err);
    return status == MM_NOT_FOUND ? inspect_folders(location, text, err) : status;
}
