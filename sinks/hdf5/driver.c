/* The driver of the target `hdf5`: its table, opening, fingerprint, settling. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/hdf5/internal.h"

#define NAME_LIMIT 200 /* bytes of a file name: NAME_MAX less the extensions */
#define DEFAULT_NAME "None" /* MilvusDM's file of the default partition */
#define JOBS_FOLDER "yamls"

static const mm_option options[] = {
    {.name = "path", .type = MM_OPT_PATH, .required = true, .help = "local folder for the files, made if missing"},
    {.name = "run_folder", .type = MM_OPT_BOOL, .default_value = "true",
     .help = "each run into a new folder of its own below path, as MilvusDM does; false: collections stand in path "
             "itself, and if_exists decides", .decides = true},
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for the target hdf5");
}

/* --- which schemas --- */

static bool is_stored_vector(const mm_field *field)
{
    return field->type == MM_TYPE_FLOAT_VECTOR || field->type == MM_TYPE_BINARY_VECTOR ||
           field->type == MM_TYPE_FLOAT16_VECTOR || field->type == MM_TYPE_INT8_VECTOR;
}

/* The fields that have no place in such a file, by name, for who must leave them out. */
static mm_status refuse_fields(const mm_h5_collection *c, mm_error *err)
{
    const mm_schema *schema = c->plan->schema;
    mm_buffer names = MM_BUFFER_INIT;
    size_t vectors = 0;
    for (size_t i = 0; i < schema->field_count; i++) {
        const mm_field *field = &schema->fields[i];
        vectors += is_stored_vector(field);
        if (!field->primary && !(is_stored_vector(field) && vectors == 1))
            mm_buffer_printf(&names, "%s%s (%s)", names.size > 0 ? ", " : "", field->name, mm_type_name(field->type));
    }
    mm_status status;
    if (vectors == 0)
        status = mm_error_set(err, MM_TARGET,
                              "an HDF5 file holds a key and one vector (float32, float16, int8 or binary): there is no "
                              "such vector among the fields (%s)",
                              names.data ? names.data : "none");
    else
        status = mm_error_set(err, MM_TARGET,
                              "an HDF5 file holds an Int64 key and one vector: leave out %s, by listing the two fields "
                              "under `fields`",
                              names.data ? names.data : "the rest");
    mm_buffer_free(&names);
    return status;
}

static mm_status open_schema(mm_h5_collection *c, mm_error *err)
{
    const mm_schema *schema = c->plan->schema;
    int key = mm_schema_primary(schema);
    if (key < 0)
        return mm_error_set(err, MM_TARGET, "there is no primary key");
    c->key = &schema->fields[key];
    c->key_column = (size_t)key;
    if (c->key->type != MM_TYPE_INT64)
        return mm_error_set(err, MM_TARGET, "the key %s is %s: ids of an HDF5 file are Int64; choose another primary "
                            "field under `fields`", c->key->name, mm_type_name(c->key->type));
    for (size_t i = 0; i < schema->field_count && c->vector == NULL; i++) {
        if (!is_stored_vector(&schema->fields[i]))
            continue;
        c->vector = &schema->fields[i];
        c->vector_column = i;
    }
    if (c->vector == NULL || schema->field_count != 2)
        return refuse_fields(c, err);
    if (c->vector->nullable || c->key->nullable)
        return mm_error_set(err, MM_TARGET, "field %s may be null, which an HDF5 file cannot say",
                            c->vector->nullable ? c->vector->name : c->key->name);
    c->width = mm_type_width(c->vector->type, c->vector->dim);
    return c->width > 0 ? MM_OK : mm_error_set(err, MM_TARGET, "field %s has no dimension", c->vector->name);
}

/* --- opening --- */

static mm_status safe_name(const char *name, const char *what, char **out, mm_error *err)
{
    char *safe = mm_folder_quote(name);
    if (safe == NULL)
        return no_memory(err);
    if (safe[0] == '\0' || strlen(safe) > NAME_LIMIT) {
        free(safe);
        return mm_error_set(err, MM_TARGET, "%s %.80s: %s for a file name", what, name,
                            name[0] ? "too long" : "an empty name does not do");
    }
    *out = safe;
    return MM_OK;
}

/* A partition that is called like the file of the default one gets another name. */
static mm_status name_file(mm_h5_file *file, mm_error *err)
{
    file->filled = UINT64_MAX;
    if (strcmp(file->partition, DEFAULT_NAME) != 0)
        return safe_name(strcmp(file->partition, MM_DEFAULT_PARTITION) == 0 ? DEFAULT_NAME : file->partition,
                         "partition", &file->name, err);
    file->name = strdup("%4Eone");
    return file->name ? MM_OK : no_memory(err);
}

static uint32_t find_file(const mm_h5_collection *c, const char *partition)
{
    uint32_t i = 0;
    while (i < c->file_count && strcmp(c->files[i].partition, partition) != 0)
        i++;
    return i;
}

static mm_status open_partitions(mm_h5_collection *c, mm_error *err)
{
    size_t count = c->plan->partition_count ? c->plan->partition_count : 1;
    c->files = calloc(count, sizeof(*c->files));
    c->file_of = calloc(count, sizeof(*c->file_of));
    if (c->files == NULL || c->file_of == NULL)
        return no_memory(err);
    c->partition_count = count;
    for (size_t i = 0; i < count; i++) {
        const char *name = i < c->plan->partition_count ? c->plan->partitions[i] : NULL;
        const char *partition = name ? name : MM_DEFAULT_PARTITION;
        c->file_of[i] = find_file(c, partition);
        if (c->file_of[i] < c->file_count)
            continue;
        c->files[c->file_count++].partition = partition;
        mm_status status = name_file(&c->files[c->file_of[i]], err);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

static mm_status open_paths(const mm_sink *sink, mm_h5_collection *c, size_t number, const char *place, mm_error *err)
{
    char *name = NULL;
    mm_status status = safe_name(c->plan->name, "collection", &name, err);
    if (status != MM_OK)
        return status;
    if (strcmp(name, JOBS_FOLDER) == 0) {
        free(name);
        return mm_error_set(err, MM_TARGET, "the folder " JOBS_FOLDER " is for job files: give the collection another "
                            "name by `to`");
    }
    c->place = strdup(place);
    c->final = mm_format("%s/%s", place, name);
    c->jobs = mm_format("%s/" JOBS_FOLDER "/%s", place, name);
    c->beside = mm_format("%s/%s%" PRIu32 "-%zu", sink->path, sink->prefix, sink->run, number);
    c->aside = mm_format("%s-old", c->beside);
    free(name);
    return c->place && c->final && c->jobs && c->beside && c->aside ? MM_OK : no_memory(err);
}

static mm_status open_collection(mm_sink *sink, const mm_sink_args *args, size_t number, const char *place,
                                 mm_error *err)
{
    mm_h5_collection *c = &sink->collections[number];
    c->plan = &args->collections[number];
    mm_status status = MM_OK;
    if (c->plan->if_exists == MM_EXISTS_APPEND)
        status = mm_error_set(err, MM_CONFIG, "if_exists: append: HDF5 files are written whole; use another path, or "
                              "if_exists: overwrite or skip");
    if (status == MM_OK)
        status = open_schema(c, err);
    if (status == MM_OK)
        status = open_partitions(c, err);
    if (status == MM_OK)
        status = open_paths(sink, c, number, place, err);
    return status == MM_OK ? MM_OK : mm_error_context(err, "collection %s", c->plan->name);
}

static void free_collection(mm_h5_collection *c)
{
    for (size_t i = 0; i < c->file_count; i++)
        free(c->files[i].name);
    free(c->files);
    free(c->file_of);
    free(c->place);
    free(c->final);
    free(c->jobs);
    free(c->beside);
    free(c->aside);
}

static void h5_close(mm_sink *sink)
{
    if (sink == NULL)
        return;
    for (size_t i = 0; i < sink->range_count; i++)
        mm_h5_range_free(sink->ranges[i]);
    for (size_t i = 0; i < sink->collection_count; i++)
        free_collection(&sink->collections[i]);
    pthread_mutex_destroy(&sink->lock);
    free(sink->places);
    free(sink->ranges);
    free(sink->collections);
    free(sink->path);
    free(sink);
}

static mm_status open_place(mm_sink *sink, const mm_sink_args *args, char **place, mm_error *err)
{
    const char *path = mm_options_str(args->options, "path");
    if (strstr(path, "://"))
        return mm_error_set(err, MM_CONFIG, "target.path %s: HDF5 files are written to a local folder", path);
    sink->path = strdup(path);
    if (sink->path == NULL)
        return no_memory(err);
    for (size_t length = strlen(sink->path); length > 1 && sink->path[length - 1] == '/';)
        sink->path[--length] = '\0';
    sink->run = args->run;
    snprintf(sink->prefix, sizeof(sink->prefix), ".mmresume-%.16s-", args->job_tag);
    if (mm_options_bool(args->options, "run_folder"))
        *place = mm_format("%s/%.16s-%" PRIu32, sink->path, args->job_tag, args->run);
    else
        *place = strdup(sink->path);
    return *place ? MM_OK : no_memory(err);
}

static mm_status h5_open(const mm_sink_args *args, mm_sink **out, mm_error *err)
{
    char *place = NULL;
    mm_sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL)
        return no_memory(err);
    pthread_mutex_init(&sink->lock, NULL);
    sink->host = *args->host;
    sink->collections = calloc(args->collection_count ? args->collection_count : 1, sizeof(*sink->collections));
    mm_status status = sink->collections ? open_place(sink, args, &place, err) : no_memory(err);
    for (size_t i = 0; status == MM_OK && i < args->collection_count; i++) {
        sink->collection_count = i + 1;
        status = open_collection(sink, args, i, place, err);
    }
    free(place);
    if (status != MM_OK) {
        h5_close(sink);
        return status;
    }
    *out = sink;
    return MM_OK;
}

/* --- state --- */

static mm_status h5_fingerprint(mm_sink *sink, uint32_t collection, char out[512], mm_error *err)
{
    char id[MM_FOLDER_ID];
    const mm_h5_collection *c = &sink->collections[collection];
    mm_status status = mm_folder_id(c->root ? c->root : c->final, id, err);
    if (status == MM_OK)
        snprintf(out, 512, "folder %s", id);
    return status;
}

/* Rows that the records vouch for were on the disk: a file that is gone or shorter was changed by somebody. */
static mm_status settle_file(const mm_sink *sink, uint32_t collection, uint32_t file, mm_error *err)
{
    const mm_h5_collection *c = &sink->collections[collection];
    uint64_t end = 0;
    struct stat st;
    for (size_t i = 0; i < sink->range_count; i++) {
        const mm_h5_range *range = sink->ranges[i];
        if (range->collection == collection && range->file == file && range->rows > 0 &&
            range->start + range->rows > end)
            end = range->start + range->rows;
    }
    char *whole = mm_h5_path(c, &c->files[file], MM_H5_WHOLE), *part = mm_h5_path(c, &c->files[file], MM_H5_PART);
    mm_status status = whole && part ? MM_OK : no_memory(err);
    if (status == MM_OK && stat(whole, &st) != 0) {
        uint64_t wanted = c->files[file].filled == UINT64_MAX && end > 0 ? c->head + end * c->width : 0;
        if (stat(part, &st) != 0)
            status = errno == ENOENT ? mm_error_set(err, MM_CHANGED, "%s is gone", part)
                                     : mm_error_errno(err, MM_IO, "%s", part);
        else if ((uint64_t)st.st_size < wanted)
            status = mm_error_set(err, MM_CHANGED, "%s has %jd bytes where %" PRIu64 " were recorded", part,
                                  (intmax_t)st.st_size, wanted);
    }
    free(part);
    free(whole);
    return status;
}

static mm_status h5_settle(mm_sink *sink, bool (*next)(void *context, const char **key, const char **value),
                           void *context, mm_error *err)
{
    const char *key, *value;
    mm_status status = MM_OK;
    while (status == MM_OK && next(context, &key, &value))
        status = mm_h5_recall(sink, key, value, err);
    for (uint32_t i = 0; i < sink->collection_count; i++)
        for (uint32_t j = 0; status == MM_OK && sink->collections[i].root && j < sink->collections[i].file_count; j++)
            status = settle_file(sink, i, j, err);
    MM_FAILPOINT("hdf5.settle.after");
    return status;
}

const mm_sink_driver mm_sink_hdf5 = {
    .abi = MM_SINK_ABI,
    .name = "hdf5",
    .summary = "HDF5 files in MilvusDM's layout, one a partition, with ready job files",
    .capabilities = MM_SINK_REWIND | MM_SINK_ORDERED | MM_SINK_READ_BACK | MM_SINK_DUPLICATES | MM_SINK_NONFINITE,
    .options = options,
    .option_count = MM_COUNT(options),
    .steps = mm_h5_steps,
    .step_count = MM_H5_STEPS,
    .open = h5_open,
    .close = h5_close,
    .fingerprint = h5_fingerprint,
    .settle = h5_settle,
    .lane_open = mm_h5_lane_open,
    .write = mm_h5_write,
    .flush = mm_h5_flush,
    .lane_close = mm_h5_lane_close,
    .count = mm_h5_count,
    .read_back = mm_h5_read_back,
};
