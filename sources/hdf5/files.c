/* Which files there are, and what they hold together. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sources/hdf5/internal.h"
#include "sources/hdf5/values.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a list of files");
}

/* --- paths ------------------------------------------------------------------------------------------------------ */

static bool is_hdf5_name(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot != NULL && (strcmp(dot, ".h5") == 0 || strcmp(dot, ".hdf5") == 0);
}

static int keep_hdf5(const struct dirent *entry)
{
    return is_hdf5_name(entry);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Files of a folder in the order of their names' bytes; what has such a name and is no file is passed over. */
static mm_status list_folder(const char *folder, mm_arena *arena, const char ***out, size_t *count, mm_error *err)
{
    struct dirent **entries;
    struct stat there;
    size_t length = strlen(folder);
    int found = scandir(folder, &entries, keep_hdf5, by_bytes);
    if (found < 0)
        return mm_error_errno(err, errno == ENOENT || errno == ENOTDIR ? MM_NOT_FOUND : MM_CONFIG, "source.dir: %s",
                              folder);
    const char **paths = mm_arena_array(arena, (size_t)found + 1, sizeof(*paths));
    mm_status status = paths != NULL ? MM_OK : no_memory(err);
    *count = 0;
    for (int i = 0; i < found; i++) {
        const char *slash = length > 0 && folder[length - 1] == '/' ? "" : "/";
        char *path = mm_format("%s%s%s", folder, slash, entries[i]->d_name);
        free(entries[i]);
        if (status == MM_OK && path != NULL && stat(path, &there) == 0 && S_ISREG(there.st_mode)) {
            paths[*count] = mm_arena_strdup(arena, path);
            status = paths[(*count)++] != NULL ? MM_OK : no_memory(err);
        }
        status = path != NULL ? status : no_memory(err);
        free(path);
    }
    free(entries);
    if (status == MM_OK && *count == 0)
        status = mm_error_set(err, MM_NOT_FOUND, "source.dir: %s: no file whose name ends in .h5 or .hdf5 is there",
                              folder);
    *out = paths;
    return status;
}

static mm_status check_path(const char *path, mm_error *err)
{
    struct stat there;
    if (strstr(path, "://") != NULL)
        return mm_error_set(err, MM_CONFIG, "source.path: %s: HDF5 files are read from a local disk, since the HDF5 "
                                            "library wants files; copy it there first", path);
    if (stat(path, &there) != 0)
        return mm_error_errno(err, errno == ENOENT || errno == ENOTDIR ? MM_NOT_FOUND : MM_CONFIG, "source.path: %s",
                              path);
    if (S_ISDIR(there.st_mode))
        return mm_error_set(err, MM_CONFIG, "source.path: %s is a folder; source.dir takes one", path);
    if (!S_ISREG(there.st_mode))
        return mm_error_set(err, MM_CONFIG, "source.path: %s: not a regular file", path);
    return MM_OK;
}

mm_status mm_hdf5_paths(const mm_options *options, mm_arena *arena, const char ***out, size_t *count, mm_error *err)
{
    const char *const *given;
    size_t given_count = mm_options_list(options, "path", &given);
    const char *folder = mm_options_str(options, "dir");
    if (folder != NULL && strstr(folder, "://") != NULL)
        return mm_error_set(err, MM_CONFIG, "source.dir: %s: HDF5 files are read from a local disk, since the HDF5 "
                                            "library wants files; copy them there first", folder);
    if (folder != NULL)
        return list_folder(folder, arena, out, count, err);
    const char **paths = mm_arena_array(arena, given_count, sizeof(*paths));
    mm_status status = paths != NULL ? MM_OK : no_memory(err);
    for (size_t i = 0; status == MM_OK && i < given_count; i++) {
        status = check_path(given[i], err);
        paths[i] = mm_arena_strdup(arena, given[i]);
        if (status == MM_OK && paths[i] == NULL)
            status = no_memory(err);
    }
    *out = paths;
    *count = given_count;
    return status;
}

/* "dir/products.h5" is "products". */
static char *stem_of(mm_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *stem = mm_arena_strdup(arena, slash != NULL ? slash + 1 : path);
    char *dot = stem != NULL ? strrchr(stem, '.') : NULL;
    if (dot != NULL && dot != stem)
        *dot = '\0';
    return stem;
}

/* "dir/products/" is "products". */
static const char *folder_name(mm_arena *arena, const char *folder)
{
    char *copy = mm_arena_strdup(arena, folder);
    size_t length = copy != NULL ? strlen(copy) : 0;
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    const char *slash = copy != NULL ? strrchr(copy, '/') : NULL;
    return slash != NULL && slash[1] != '\0' ? slash + 1 : copy;
}

static mm_status name_collection(mm_source *source, mm_error *err)
{
    const char *given = mm_options_str(source->options, "collection"), *folder = mm_options_str(source->options, "dir");
    source->collection = given != NULL && given[0] != '\0' ? mm_arena_strdup(&source->arena, given)
                         : folder != NULL                  ? folder_name(&source->arena, folder)
                                                           : stem_of(&source->arena, source->files[0].path);
    return source->collection != NULL ? MM_OK : no_memory(err);
}

/* "%4Eone" is "None": so the target hdf5 writes names that files cannot have, or that mean something else. */
static void decode(char *name)
{
    char *to = name;
    for (const char *from = name; *from != '\0'; from++) {
        char digits[3] = {from[0] == '%' ? from[1] : '\0', '\0', '\0'}, *end = digits;
        digits[1] = digits[0] != '\0' ? from[2] : '\0';
        long byte = isxdigit((unsigned char)digits[0]) ? strtol(digits, &end, 16) : 0;
        bool coded = end == digits + 2 && byte != 0;
        *to++ = coded ? (char)byte : *from;
        from += coded ? 2 : 0;
    }
    *to = '\0';
}

/* A file's stem; files of the same stem share a partition. MilvusDM calls the file of the default one None. */
static mm_status name_partition(mm_source *source, mm_hdf5_file *file, mm_error *err)
{
    char *stem = stem_of(&source->arena, file->path);
    if (!source->by_file)
        return MM_OK;
    if (stem == NULL)
        return no_memory(err);
    const char *name = strcmp(stem, "None") == 0 ? MM_DEFAULT_PARTITION : stem;
    decode(stem);
    for (size_t i = 0; i < source->partition_count; i++)
        if (strcmp(source->partitions[i], name) == 0) {
            file->partition = (uint32_t)i;
            return MM_OK;
        }
    file->partition = (uint32_t)source->partition_count;
    source->partitions[source->partition_count++] = name;
    return MM_OK;
}

/* --- looking ---------------------------------------------------------------------------------------------------- */

static mm_status look(const mm_source *source, mm_hdf5_child *child, mm_hdf5_file *file, mm_error *err)
{
    mm_input *input;
    mm_status status = mm_input_open(file->path, NULL, &input, err);
    if (status != MM_OK)
        return status;
    status = mm_hdf5_front_check(input, err);
    if (status == MM_NOT_FOUND)
        err->status = status = MM_DATA;
    file->size = input->size;
    snprintf(file->identity, sizeof(file->identity), "%s", mm_input_identity(input));
    mm_input_close(input);
    if (status == MM_OK)
        status = mm_hdf5_child_look(child,
                                    &(mm_hdf5_looking){.path = file->path, .size = file->size,
                                                       .chunk_memory = source->chunk_memory,
                                                       .vectors = source->vectors, .ids = source->ids, .check = true},
                                    &file->layout, err);
    if (status == MM_OK && file->layout.has_ids)
        status = mm_hdf5_check_ids(&file->layout.ids, file->path, err);
    return status;
}

/* Every file has the same field, and either all have ids or none has. */
static mm_status agree(mm_source *source, const mm_hdf5_file *file, const mm_field *field, const mm_field *of_first,
                       mm_error *err)
{
    const mm_hdf5_file *first = &source->files[0];
    if (field->type != of_first->type || field->dim != of_first->dim)
        return mm_error_set(err, MM_DATA, "%s: %s of dimension %" PRIu32 ", and %s has %s of %" PRIu32
                            "; source.vector_type may make them alike", file->path, mm_type_name(field->type),
                            field->dim, first->path, mm_type_name(of_first->type), of_first->dim);
    if (file->layout.has_ids != first->layout.has_ids)
        return mm_error_set(err, MM_DATA, "%s has ids and %s has none; ids that are numbered would collide with them",
                            file->layout.has_ids ? file->path : first->path,
                            file->layout.has_ids ? first->path : file->path);
    return MM_OK;
}

static mm_status make_schema(mm_source *source, const mm_field *vector, mm_error *err)
{
    mm_field *fields = mm_arena_array(&source->arena, 2, sizeof(*fields));
    source->schema = mm_arena_array(&source->arena, 2, sizeof(*source->schema));
    if (fields == NULL || source->schema == NULL)
        return no_memory(err);
    fields[0] = (mm_field){.name = source->id_field, .type = MM_TYPE_INT64, .primary = true};
    fields[1] = *vector;
    fields[1].name = source->vector_field;
    source->keys = &source->schema[1];
    source->schema[0] = (mm_schema){.name = source->collection, .fields = fields, .field_count = 2};
    source->schema[1] = (mm_schema){.name = source->collection, .fields = fields, .field_count = 1};
    return MM_OK;
}

static mm_status look_at_all(mm_source *source, mm_hdf5_child *child, mm_error *err)
{
    mm_field vector = {.name = NULL};
    mm_status status = MM_OK;
    source->rows = 0;
    for (size_t i = 0; status == MM_OK && i < source->file_count; i++) {
        mm_hdf5_file *file = &source->files[i];
        mm_field field = {.name = NULL};
        status = look(source, child, file, err);
        if (status == MM_OK)
            status = mm_hdf5_vector_field(&file->layout.vectors, file->path, file->layout.distance,
                                          source->vector_type, &field, err);
        if (status != MM_OK)
            return status;
        field.metric_type = mm_hdf5_metric(file->layout.distance, field.type);
        if (i == 0)
            vector = field;
        else if (field.metric_type != vector.metric_type) /* of the table in values.c */
            vector.metric_type = NULL;
        file->first = source->rows;
        status = agree(source, file, &field, &vector, err);
        if (status == MM_OK && !mm_add_u64(source->rows, file->layout.vectors.rows, &source->rows))
            status = mm_error_set(err, MM_DATA, "%s: too many rows", file->path);
        if (status == MM_OK)
            status = name_partition(source, file, err);
    }
    source->numbered = !source->files[0].layout.has_ids;
    if (status == MM_OK && source->numbered && source->rows > 0 &&
        (source->rows > INT64_MAX || source->start_id > INT64_MAX - (int64_t)(source->rows - 1)))
        status = mm_error_set(err, MM_CONFIG,
                              "source.start_id: %" PRId64 " and %" PRIu64 " rows do not fit into 64 bits",
                              source->start_id, source->rows);
    return status == MM_OK ? make_schema(source, &vector, err) : status;
}

mm_status mm_hdf5_find(mm_source *source, mm_error *err)
{
    const char **paths;
    size_t count;
    mm_hdf5_child *child = NULL;
    if (source->found)
        return MM_OK;
    mm_status status = mm_hdf5_paths(source->options, &source->arena, &paths, &count, err);
    if (status != MM_OK)
        return status;
    source->files = mm_arena_array(&source->arena, count, sizeof(*source->files));
    source->partitions = mm_arena_array(&source->arena, count, sizeof(*source->partitions));
    source->partition_count = 0;
    if (source->files == NULL || source->partitions == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++)
        source->files[i] = (mm_hdf5_file){.path = paths[i]};
    source->file_count = count;
    status = name_collection(source, err);
    if (status == MM_OK)
        status = mm_hdf5_child_take(&source->pool, &child, err);
    if (status == MM_OK)
        status = look_at_all(source, child, err);
    mm_hdf5_child_give(&source->pool, child);
    source->found = status == MM_OK;
    return status;
}
