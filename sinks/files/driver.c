/* The driver of the target `files`: its table, opening, fingerprint, settling. */
#include "sinks/files/files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/files/internal.h"

#define NAME_LIMIT 200 /* bytes of an encoded name: NAME_MAX less the extension and the suffix */
#define GROUP_MIN ((size_t)256 << 10) /* a piece of a file, however little memory there is */

static const mm_option options[] = {
    {.name = "path", .type = MM_OPT_PATH, .required = true,
     .help = "folder for the collections, made if missing, or a place in an object store: s3://bucket/prefix"},
    {.name = "format", .type = MM_OPT_ENUM, .default_value = "npy", .choices = "npy|parquet|json|jsonl",
     .help = "what the files are", .decides = true},
    {.name = "file_size", .type = MM_OPT_SIZE, .default_value = "512MiB",
     .help = "bytes after which a file is followed by a new one", .decides = true},
    {.name = "spool", .type = MM_OPT_PATH,
     .help = "local folder for files on their way to an object store; default: beside the savepoints"},
    MM_STORAGE_OPTIONS,
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for the target files");
}

/* --- opening --- */

static mm_status safe_name(const char *name, const char *what, char **out, mm_error *err)
{
    char *safe = mm_files_quote(name);
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

static mm_status open_files(mm_sink *sink, mm_files_collection *c, mm_error *err)
{
    const mm_schema *schema = c->plan->schema;
    if (schema->field_count == 0)
        return mm_error_set(err, MM_TARGET, "collection %s has no fields", c->plan->name);
    mm_status status = sink->format->check(schema, sink->for_import, err);
    if (status != MM_OK)
        return status;
    c->file_count = sink->format->file_per_field ? schema->field_count : 1;
    c->names = calloc(c->file_count, sizeof(*c->names));
    if (c->names == NULL)
        return no_memory(err);
    for (size_t i = 0; status == MM_OK && i < c->file_count; i++)
        status = safe_name(sink->format->file_per_field ? schema->fields[i].name : "rows", "field", &c->names[i], err);
    uint64_t rows_max = sink->format->rows_max(schema, sink->file_size);
    c->rows_max = rows_max ? rows_max : UINT64_MAX;
    return status;
}

static mm_status open_partitions(mm_files_collection *c, mm_error *err)
{
    size_t count = c->plan->partition_count ? c->plan->partition_count : 1;
    c->partitions = calloc(count, sizeof(*c->partitions));
    if (c->partitions == NULL)
        return no_memory(err);
    c->partition_count = count;
    for (size_t i = 0; i < count; i++) {
        const char *name = i < c->plan->partition_count ? c->plan->partitions[i] : NULL;
        c->partitions[i].name = name ? name : MM_DEFAULT_PARTITION;
        mm_status status = safe_name(c->partitions[i].name, "partition", &c->partitions[i].folder, err);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

static mm_status open_collection(mm_sink *sink, const mm_sink_args *args, size_t number, mm_error *err)
{
    mm_files_collection *c = &sink->collections[number];
    char *name = NULL;
    c->plan = &args->collections[number];
    mm_status status = safe_name(c->plan->name, "collection", &name, err);
    if (status == MM_OK)
        status = open_files(sink, c, err);
    if (status == MM_OK)
        status = open_partitions(c, err);
    if (status != MM_OK) {
        free(name);
        return mm_error_context(err, "collection %s", c->plan->name);
    }
    c->final = mm_format("%s/%s", sink->path, name);
    c->beside = mm_format("%s/.mmresume-%s-%" PRIu32 "-%zu", sink->path, args->job_tag, args->run, number);
    c->prefix = mm_format("%s%s%s", sink->prefix, sink->prefix[0] ? "/" : "", name);
    c->root = sink->remote ? mm_format("%s/%zu", sink->spool, number) : c->final;
    free(name);
    return c->final && c->beside && c->prefix && c->root ? MM_OK : no_memory(err);
}

static void files_close(mm_sink *sink)
{
    if (sink == NULL)
        return;
    for (size_t i = 0; i < sink->unit_count; i++)
        mm_files_unit_free(sink->units[i]);
    for (size_t i = 0; i < sink->collection_count; i++) {
        mm_files_collection *c = &sink->collections[i];
        for (size_t j = 0; c->names && j < c->file_count; j++)
            free(c->names[j]);
        for (size_t j = 0; j < c->partition_count; j++)
            free(c->partitions[j].folder);
        free(c->names);
        free(c->partitions);
        free(c->final);
        free(c->beside);
        free(c->prefix);
        free(c->replaced);
        if (sink->remote)
            free(c->root);
    }
    pthread_mutex_destroy(&sink->lock);
    mm_files_forget_uploads(sink);
    mm_storage_close(sink->storage);
    free(sink->prefix);
    free(sink->spool);
    free(sink->places);
    free(sink->units);
    free(sink->collections);
    free(sink->path);
    free(sink);
}

/* Where units lie until they are carried: kept between processes, private to the user. */
static mm_status open_spool(mm_sink *sink, const mm_sink_args *args, mm_error *err)
{
    const char *given = mm_options_str(args->options, "spool");
    if (given)
        sink->spool = mm_format("%s/mmresume-%.16s/%" PRIu32, given, args->job_tag, args->run);
    else if (args->folder)
        sink->spool = mm_format("%s/%" PRIu32, args->folder, args->run);
    else
        return mm_error_set(err, MM_CONFIG, "an object store needs a spool: a local folder");
    return sink->spool ? MM_OK : no_memory(err);
}

static void cut_slashes(char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
}

static mm_status open_place(mm_sink *sink, const mm_sink_args *args, mm_error *err)
{
    sink->path = strdup(mm_options_str(args->options, "path"));
    if (sink->path == NULL)
        return no_memory(err);
    cut_slashes(sink->path);
    sink->remote = mm_storage_is_remote(sink->path);
    snprintf(sink->suffix, sizeof(sink->suffix), ".part-%.16s-%" PRIu32, args->job_tag, args->run);
    if (sink->remote)
        snprintf(sink->unique, sizeof(sink->unique), "-%.16s-%" PRIu32, args->job_tag, args->run);
    mm_status status = mm_storage_open(sink->path, args->options, &sink->storage, &sink->prefix, err);
    return status == MM_OK && sink->remote ? open_spool(sink, args, err) : status;
}

static mm_status open_format(mm_sink *sink, const mm_sink_args *args, mm_error *err)
{
    const char *name = mm_options_str(args->options, "format");
    sink->format = mm_format_find(name);
    if (sink->format == NULL || sink->format->write_open == NULL)
        return mm_error_set(err, MM_CONFIG, "files of format %s cannot be written", name);
    sink->file_size = mm_options_size(args->options, "file_size");
    sink->group_bytes = sink->format->group_bytes;
    if (sink->group_bytes > sink->file_size)
        sink->group_bytes = sink->file_size > 0 ? (size_t)sink->file_size : 1;
    if (args->lane_memory > 0 && sink->group_bytes > args->lane_memory && sink->group_bytes > GROUP_MIN)
        sink->group_bytes = args->lane_memory > GROUP_MIN ? (size_t)args->lane_memory : GROUP_MIN;
    return MM_OK;
}

static mm_status open_sink(const mm_sink_args *args, bool for_import, mm_sink **out, mm_error *err)
{
    mm_sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL)
        return no_memory(err);
    pthread_mutex_init(&sink->lock, NULL);
    sink->for_import = for_import;
    sink->host = *args->host;
    sink->options = args->options;
    sink->collections = calloc(args->collection_count ? args->collection_count : 1, sizeof(*sink->collections));
    mm_status status = sink->collections ? open_format(sink, args, err) : no_memory(err);
    if (status == MM_OK)
        status = open_place(sink, args, err);
    for (size_t i = 0; status == MM_OK && i < args->collection_count; i++) {
        sink->collection_count = i + 1;
        status = open_collection(sink, args, i, err);
    }
    if (status != MM_OK) {
        files_close(sink);
        return status;
    }
    *out = sink;
    return MM_OK;
}

static mm_status files_open(const mm_sink_args *args, mm_sink **out, mm_error *err)
{
    return open_sink(args, false, out, err);
}

mm_status mm_files_open_for_import(const mm_sink_args *args, mm_sink **out, mm_error *err)
{
    return open_sink(args, true, out, err);
}

/* --- state --- */

/* JSON has no word for NaN and infinity: rows with one are rejected, as by Milvus. */
static uint32_t files_capabilities(mm_sink *sink)
{
    bool json = sink->format == &mm_format_json || sink->format == &mm_format_jsonl;
    return mm_sink_files.capabilities & ~(json ? (uint32_t)MM_SINK_NONFINITE : 0);
}

static mm_status files_fingerprint(mm_sink *sink, uint32_t collection, char out[512], mm_error *err)
{
    char id[96];
    if (sink->remote) {
        snprintf(out, 512, "objects %s", sink->collections[collection].final);
        return MM_OK;
    }
    mm_status status = mm_folder_id(sink->collections[collection].root, id, err);
    if (status == MM_OK)
        snprintf(out, 512, "folder %s", id);
    return status;
}

static mm_status settle_unit(mm_sink *sink, const char *key, mm_files_unit *unit, mm_error *err)
{
    bool gone = false;
    mm_status status = mm_files_unit_settle(sink, unit, &gone, err);
    unit->idle = unit->state == MM_FILES_OPEN;
    if (unit->state == MM_FILES_SEALED)
        mm_files_unit_set_committed(sink, unit);
    for (size_t i = 0; i < unit->file_count; i++)
        atomic_fetch_add(&sink->files_carried, unit->files[i].etag[0] != '\0');
    MM_FAILPOINT("files.settle.unit");
    if (status == MM_OK && gone)
        status = sink->host.record(sink->host.context, key, NULL, err);
    if (status == MM_OK && !gone)
        status = mm_files_add_unit(sink, unit, err);
    if (status != MM_OK || gone)
        mm_files_unit_free(unit);
    return status;
}

static mm_status settle_replaced(mm_sink *sink, const char *key, const char *value, mm_error *err)
{
    char *end;
    unsigned long number = strtoul(key + strlen("replaced/"), &end, 10);
    if (*end != '\0' || number >= sink->collection_count)
        return mm_error_set(err, MM_CHANGED, "the record %s does not belong to this plan", key);
    free(sink->collections[number].replaced);
    sink->collections[number].replaced = strdup(value);
    return sink->collections[number].replaced ? MM_OK : no_memory(err);
}

static mm_status settle_record(mm_sink *sink, const char *key, const char *value, mm_error *err)
{
    mm_files_unit *unit;
    mm_status status = mm_files_record_parse(sink, key, value, &unit, err);
    if (status == MM_OK)
        return settle_unit(sink, key, unit, err);
    if (status == MM_END)
        status = mm_files_recall_upload(sink, key, value, err);
    if (status == MM_END && strncmp(key, "replaced/", strlen("replaced/")) == 0)
        status = settle_replaced(sink, key, value, err);
    return status == MM_END ? MM_OK : status;
}

static mm_status files_settle(mm_sink *sink, bool (*next)(void *context, const char **key, const char **value),
                              void *context, mm_error *err)
{
    const char *key, *value;
    while (next(context, &key, &value)) {
        mm_status status = settle_record(sink, key, value, err);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

const mm_sink_driver mm_sink_files = {
    .abi = MM_SINK_ABI,
    .name = "files",
    .summary = "files with a manifest: NumPy, Parquet or JSON, local or in an object store",
    .capabilities = MM_SINK_REWIND | MM_SINK_ORDERED | MM_SINK_READ_BACK | MM_SINK_DUPLICATES | MM_SINK_NONFINITE,
    .options = options,
    .option_count = MM_COUNT(options),
    .steps = mm_files_steps,
    .step_count = MM_FILES_STEPS,
    .open = files_open,
    .close = files_close,
    .capabilities_now = files_capabilities,
    .fingerprint = files_fingerprint,
    .settle = files_settle,
    .lane_open = mm_files_lane_open,
    .write = mm_files_write,
    .flush = mm_files_flush,
    .lane_close = mm_files_lane_close,
    .attend = mm_files_attend,
    .activity = mm_files_activity,
    .count = mm_files_count,
    .read_back = mm_files_read_back,
    .inspect = mm_files_inspect,
};
