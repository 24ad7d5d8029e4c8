/* The drivers npy, parquet, jsonl and dump: one implementation, four tables. */
#include "sources/tables/tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sources/tables/internal.h"
#include "sources/tables/plan.h"

/* --- options ---------------------------------------------------------------------------------------------------- */

#define PATH_OPTION(text) {.name = "path", .type = MM_OPT_PATHS, .required = true, .help = text}
#define CHECKSUM_OPTION                                                                                            \
    {.name = "checksums", .type = MM_OPT_BOOL, .default_value = "true",                                            \
     .help = "read files of a manifest once before and compare their checksums"}
#define COMMON_OPTIONS                                                                                             \
    {.name = "collection", .type = MM_OPT_STRING, .decides = true,                                                 \
     .help = "name of the collection; default: the folder's or the file's, without extension"},                    \
    {.name = "schema", .type = MM_OPT_LIST, .decides = true,                                                       \
     .help = "the fields, each `name Type(…) [primary] [nullable]`; default: as the files have them"},             \
    {.name = "id_field", .type = MM_OPT_STRING, .default_value = "id", .decides = true,                            \
     .help = "name of the primary key's field, where neither schema nor manifest says it"},                        \
    {.name = "number_rows", .type = MM_OPT_BOOL, .default_value = "false", .decides = true,                        \
     .help = "number the rows where no field is called as id_field says"},                                         \
    {.name = "start_id", .type = MM_OPT_INT, .default_value = "0", .decides = true,                                \
     .help = "id of the first row, where rows are numbered"},                                                      \
    {.name = "partition_by", .type = MM_OPT_ENUM, .choices = "none|folder", .default_value = "none",               \
     .decides = true, .help = "folder: the folders below path are partitions"},                                    \
    {.name = "extent_bytes", .type = MM_OPT_SIZE, .default_value = "64MiB",                                        \
     .help = "bytes of column values in one extent, the part of a file that is one task"},                         \
    CHECKSUM_OPTION, MM_STORAGE_OPTIONS

static const mm_option npy_options[] = {
    PATH_OPTION("an array, or a folder of them, one file a field"),
    {.name = "vector_field", .type = MM_OPT_STRING, .default_value = "vector", .decides = true,
     .help = "name of the field of an array that stands alone; in a folder fields are called as their files"},
    {.name = "layout", .type = MM_OPT_ENUM, .choices = "fields|shards", .default_value = "fields", .decides = true,
     .help = "fields: the arrays of a folder are fields of the same rows; shards: each has further rows of vector_field"},
    COMMON_OPTIONS,
};

static const mm_option file_options[] = {
    PATH_OPTION("a file, a list of files, or a folder of them"),
    COMMON_OPTIONS,
};

static const mm_option dump_options[] = {
    PATH_OPTION("the folder that was dumped to, or that of one of its collections"),
    CHECKSUM_OPTION,
    MM_STORAGE_OPTIONS,
};

/* --- opening ---------------------------------------------------------------------------------------------------- */

static void source_close(mm_source *source)
{
    if (source == NULL)
        return;
    mm_arena_free(&source->arena);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

static mm_status read_options(mm_source *source, const mm_options *options, mm_error *err)
{
    source->options = options;
    source->checksums = mm_options_bool(options, "checksums");
    source->id_field = source->vector_field = "";
    if (source->format == NULL)
        return MM_OK;
    source->id_field = mm_options_str(options, "id_field");
    source->number_rows = mm_options_bool(options, "number_rows");
    source->start_id = mm_options_int(options, "start_id");
    source->extent_bytes = mm_options_size(options, "extent_bytes");
    source->by_folder = strcmp(mm_options_str(options, "partition_by"), "folder") == 0;
    if (source->format->file_per_field) {
        source->vector_field = mm_options_str(options, "vector_field");
        source->shards = strcmp(mm_options_str(options, "layout"), "shards") == 0;
    }
    if (source->extent_bytes == 0)
        return mm_error_set(err, MM_CONFIG, "source.extent_bytes: 0 bytes hold no row");
    if (source->id_field[0] == '\0' || (source->format->file_per_field && source->vector_field[0] == '\0') ||
        strcmp(source->id_field, source->vector_field) == 0)
        return mm_error_set(err, MM_CONFIG, "source.id_field and source.vector_field: two different names are wanted");
    return MM_OK;
}

static mm_status open_driver(const mm_format_driver *format, const mm_options *options, mm_source **out, mm_error *err)
{
    mm_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a source");
    source->format = format;
    pthread_mutex_init(&source->lock, NULL);
    mm_status status = read_options(source, options, err);
    if (status != MM_OK) {
        source_close(source);
        return status;
    }
    *out = source;
    return MM_OK;
}

static mm_status open_npy(const mm_options *options, mm_source **out, mm_error *err)
{
    return open_driver(&mm_format_npy, options, out, err);
}

static mm_status open_parquet(const mm_options *options, mm_source **out, mm_error *err)
{
    return open_driver(&mm_format_parquet, options, out, err);
}

static mm_status open_jsonl(const mm_options *options, mm_source **out, mm_error *err)
{
    return open_driver(&mm_format_jsonl, options, out, err);
}

static mm_status open_dump(const mm_options *options, mm_source **out, mm_error *err)
{
    return open_driver(NULL, options, out, err);
}

/* Files found, schemas known, rows counted: once. */
static mm_status prepare(mm_source *source, mm_error *err)
{
    pthread_mutex_lock(&source->lock);
    mm_status status = mm_tables_find(source, err);
    for (size_t i = 0; status == MM_OK && !source->described && i < source->count; i++)
        status = mm_tables_describe(source, &source->collections[i], err);
    source->described = source->described || status == MM_OK;
    pthread_mutex_unlock(&source->lock);
    return status;
}

/* --- the contract ----------------------------------------------------------------------------------------------- */

static mm_status describe_collection(const mm_table_collection *c, mm_arena *arena, mm_collection *out)
{
    mm_schema *schema = mm_schema_copy(arena, c->schema);
    const char **partitions = mm_arena_array(arena, c->partition_count + 1, sizeof(*partitions));
    if (schema == NULL || partitions == NULL)
        return MM_NO_MEMORY;
    for (size_t i = 0; i < c->partition_count; i++)
        if ((partitions[i] = mm_arena_strdup(arena, c->partitions[i])) == NULL)
            return MM_NO_MEMORY;
    *out = (mm_collection){.schema = *schema, .partitions = partitions, .partition_count = c->partition_count,
                           .rows = c->rows, .bytes = c->bytes, .rows_exact = true, .unique_keys = c->numbered};
    return MM_OK;
}

static mm_status source_describe(mm_source *source, mm_catalog *out, mm_error *err)
{
    mm_status status = prepare(source, err);
    if (status != MM_OK)
        return status;
    out->collections = mm_arena_array(&out->arena, source->count, sizeof(*out->collections));
    if (out->collections == NULL)
        status = MM_NO_MEMORY;
    for (size_t i = 0; status == MM_OK && i < source->count; i++)
        status = describe_collection(&source->collections[i], &out->arena, &out->collections[i]);
    if (status != MM_OK)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a catalog");
    out->count = source->count;
    return MM_OK;
}

/* Whether a file counts for a collection. */
static bool belongs(const mm_source *source, const mm_table_collection *c, const char *location)
{
    size_t length = strlen(c->place);
    if (!c->manifest)
        return mm_tables_is_ours(source, location);
    return strncmp(location, c->place, length) == 0 && location[length] == '/';
}

/* Names, sizes and etags (local: inode and time) of the files as they are now. */
static mm_status source_fingerprint(mm_source *source, uint32_t number, char out[MM_FINGERPRINT_MAX], mm_error *err)
{
    mm_table_objects objects;
    uint64_t files = 0, bytes = 0, hash = 0;
    mm_status status = prepare(source, err);
    if (status == MM_OK)
        status = mm_tables_list(source, &objects, err);
    if (status != MM_OK)
        return status;
    const mm_table_collection *c = &source->collections[number];
    for (size_t i = 0; i < objects.count; i++) {
        const mm_table_object *object = &objects.items[i];
        if (!belongs(source, c, object->location))
            continue;
        files++;
        bytes += object->object.size;
        hash = XXH3_64bits_withSeed(object->location, strlen(object->location), hash);
        hash = XXH3_64bits_withSeed(object->object.etag, strlen(object->object.etag), hash + object->object.size);
    }
    mm_table_objects_free(&objects);
    snprintf(out, MM_FINGERPRINT_MAX, "files=%" PRIu64 " bytes=%" PRIu64 " hash=%016" PRIx64, files, bytes, hash);
    return MM_OK;
}

static mm_status source_plan(mm_source *source, uint32_t collection, mm_extent_fn emit, void *context, mm_error *err)
{
    mm_status status = prepare(source, err);
    return status == MM_OK ? mm_tables_plan(source, collection, emit, context, err) : status;
}

static mm_status find_collection(mm_source *source, const mm_extent *extent, mm_error *err)
{
    mm_status status = prepare(source, err);
    if (status == MM_OK && extent->collection >= source->count)
        return mm_error_set(err, MM_CHANGED, "there are %zu collections, and the plan has more", source->count);
    return status;
}

static mm_status source_read_open(mm_source *source, const mm_extent *extent, const mm_cursor *cursor,
                                  mm_read_mode mode, mm_reader **out, mm_error *err)
{
    mm_status status = find_collection(source, extent, err);
    if (status != MM_OK)
        return status;
    return mm_tables_read_open(source, &source->collections[extent->collection], extent, cursor, mode, out, err);
}

static mm_status source_staged(mm_source *source, const mm_extent *extent, mm_arena *arena, mm_staged *out,
                               mm_error *err)
{
    mm_status status = find_collection(source, extent, err);
    return status == MM_OK ? mm_tables_staged(source, extent, arena, out, err) : status;
}

static mm_status inspect_npy(const char *location, mm_buffer *text, mm_error *err)
{
    return mm_tables_inspect(&mm_format_npy, location, text, err);
}

static mm_status inspect_parquet(const char *location, mm_buffer *text, mm_error *err)
{
    return mm_tables_inspect(&mm_format_parquet, location, text, err);
}

static mm_status inspect_jsonl(const char *location, mm_buffer *text, mm_error *err)
{
    mm_status status = mm_tables_inspect(&mm_format_jsonl, location, text, err);
    return status == MM_NOT_FOUND ? mm_tables_inspect(&mm_format_json, location, text, err) : status;
}

#define DRIVER(name_, summary_, more, table, open_, inspect_)                                                      \
    {                                                                                                              \
        .abi = MM_SOURCE_ABI, .name = name_, .summary = summary_,                                                  \
        .capabilities = MM_SOURCE_SEEK | MM_SOURCE_MUTABLE | (more), .options = table,                             \
        .option_count = MM_COUNT(table), .open = open_, .close = source_close, .describe = source_describe,        \
        .fingerprint = source_fingerprint, .plan = source_plan, .read_open = source_read_open,                     \
        .next = mm_tables_read_next, .read_close = mm_tables_read_close, .staged = source_staged,                  \
        .inspect = inspect_                                                                                        \
    }

const mm_source_driver mm_source_npy =
    DRIVER("npy", "NumPy arrays: a .npy file, or folders of them, one a field", MM_SOURCE_KEYS, npy_options, open_npy,
           inspect_npy);
const mm_source_driver mm_source_parquet =
    DRIVER("parquet", "Parquet files", 0, file_options, open_parquet, inspect_parquet);
const mm_source_driver mm_source_jsonl =
    DRIVER("jsonl", "JSON: files of one object a line, or {\"rows\": [...]}", 0, file_options, open_jsonl,
           inspect_jsonl);
const mm_source_driver mm_source_dump =
    DRIVER("dump", "what `mmresume dump` left: collections by their manifests", 0, dump_options, open_dump, NULL);
