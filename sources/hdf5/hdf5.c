/* The hdf5 driver: options, and the contract of sources/source.h. All files together are one collection. */
#include "sources/hdf5/hdf5.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "sources/hdf5/internal.h"

static const mm_option options[] = {
    {.name = "path", .type = MM_OPT_PATHS, .help = "a file, or a list of files"},
    {.name = "dir", .type = MM_OPT_PATH,
     .help = "instead of path: a folder; its files *.h5 and *.hdf5 are read in the order of their names"},
    {.name = "collection", .type = MM_OPT_STRING, .decides = true,
     .help = "name of the collection; default: the folder's or the first file's, without extension"},
    {.name = "vectors", .type = MM_OPT_STRING, .decides = true,
     .help = "the dataset of vectors; default: embeddings, else train, else the only one of two dimensions"},
    {.name = "ids", .type = MM_OPT_STRING, .decides = true,
     .help = "the dataset of ids; default: ids, and where that is not there rows are numbered"},
    {.name = "vector_type", .type = MM_OPT_ENUM, .choices = "auto|FloatVector|Float16Vector|BinaryVector|Int8Vector",
     .default_value = "auto", .decides = true,
     .help = "what the vectors become; auto: by their elements, uint8 in embeddings being bits and elsewhere numbers"},
    {.name = "id_field", .type = MM_OPT_STRING, .default_value = "id", .decides = true,
     .help = "name of the field that holds the ids"},
    {.name = "vector_field", .type = MM_OPT_STRING, .default_value = "vector", .decides = true,
     .help = "name of the field that holds the vectors"},
    {.name = "start_id", .type = MM_OPT_INT, .default_value = "0", .decides = true,
     .help = "id of the first row, where there are no ids; the others count up over all files"},
    {.name = "partitions", .type = MM_OPT_ENUM, .choices = "none|file", .default_value = "none", .decides = true,
     .help = "file: each file is a partition, called as the file without extension"},
    {.name = "extent_bytes", .type = MM_OPT_SIZE, .default_value = "64MiB",
     .help = "bytes of rows in one extent, the part of a file that is one task"},
    {.name = "extent_rows", .type = MM_OPT_INT, .default_value = "0", .choices = "0..",
     .help = "rows in one extent; 0: by extent_bytes"},
    {.name = "chunk_memory", .type = MM_OPT_SIZE, .default_value = "256MiB",
     .help = "the most that the chunks of the same rows may take unpacked, for each dumper"},
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a source");
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static void source_close(mm_source *source)
{
    if (source == NULL)
        return;
    mm_hdf5_pool_end(&source->pool);
    mm_arena_free(&source->arena);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

static const char *text_of(const mm_options *values, const char *name)
{
    const char *text = mm_options_str(values, name);
    return text != NULL ? text : "";
}

static mm_status read_options(mm_source *source, const mm_options *values, mm_error *err)
{
    const char *const *paths;
    bool path = mm_options_list(values, "path", &paths) > 0, folder = mm_options_str(values, "dir") != NULL;
    source->options = values;
    source->vectors = text_of(values, "vectors");
    source->ids = text_of(values, "ids");
    source->id_field = text_of(values, "id_field");
    source->vector_field = text_of(values, "vector_field");
    source->vector_type = mm_type_from_name(mm_options_str(values, "vector_type")); /* auto: none */
    source->by_file = strcmp(mm_options_str(values, "partitions"), "file") == 0;
    source->start_id = mm_options_int(values, "start_id");
    source->extent_bytes = mm_options_size(values, "extent_bytes");
    source->extent_rows = (uint64_t)mm_options_int(values, "extent_rows");
    source->chunk_memory = mm_options_size(values, "chunk_memory");
    if (path == folder)
        return mm_error_set(err, MM_CONFIG, path ? "source.path and source.dir: one of the two is wanted, not both"
                                                 : "source.path is missing (or source.dir: a folder)");
    if (source->extent_bytes == 0)
        return mm_error_set(err, MM_CONFIG, "source.extent_bytes: 0 bytes hold no row");
    if (source->id_field[0] == '\0' || source->vector_field[0] == '\0' ||
        strcmp(source->id_field, source->vector_field) == 0)
        return mm_error_set(err, MM_CONFIG, "source.id_field and source.vector_field: two different names are wanted");
    return MM_OK;
}

static mm_status source_open(const mm_options *values, mm_source **out, mm_error *err)
{
    mm_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return no_memory(err);
    pthread_mutex_init(&source->lock, NULL);
    mm_hdf5_pool_init(&source->pool);
    mm_status status = read_options(source, values, err);
    if (status != MM_OK) {
        source_close(source);
        return status;
    }
    *out = source;
    return MM_OK;
}

static mm_status prepare(mm_source *source, mm_error *err)
{
    pthread_mutex_lock(&source->lock);
    mm_status status = mm_hdf5_find(source, err);
    pthread_mutex_unlock(&source->lock);
    return status;
}

/* --- the contract ----------------------------------------------------------------------------------------------- */

static mm_status source_describe(mm_source *source, mm_catalog *out, mm_error *err)
{
    mm_status status = prepare(source, err);
    if (status != MM_OK)
        return status;
    const mm_field *vector = &source->schema->fields[1];
    mm_collection *collection = mm_arena_array(&out->arena, 1, sizeof(*collection));
    mm_schema *schema = mm_schema_copy(&out->arena, source->schema);
    const char **partitions = mm_arena_array(&out->arena, source->partition_count + 1, sizeof(*partitions));
    if (collection == NULL || schema == NULL || partitions == NULL)
        return no_memory(err);
    for (size_t i = 0; i < source->partition_count; i++)
        if ((partitions[i] = mm_arena_strdup(&out->arena, source->partitions[i])) == NULL)
            return no_memory(err);
    *collection = (mm_collection){.schema = *schema,
                                  .partitions = partitions,
                                  .partition_count = source->partition_count,
                                  .rows = source->rows,
                                  .bytes = source->rows * (mm_type_width(vector->type, vector->dim) + sizeof(int64_t)),
                                  .rows_exact = true,
                                  .unique_keys = source->numbered};
    out->collections = collection;
    out->count = 1;
    return MM_OK;
}

/* Of many files the number, the bytes, and a hash of what one file would show. */
static mm_status source_fingerprint(mm_source *source, uint32_t collection, char out[MM_FINGERPRINT_MAX], mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    const char **paths;
    size_t count = 0;
    uint64_t bytes = 0, hash = 0;
    mm_buffer text = MM_BUFFER_INIT;
    (void)collection; /* there is one */
    mm_status status = mm_hdf5_paths(source->options, &arena, &paths, &count, err);
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        mm_input *input;
        status = mm_input_open(paths[i], NULL, &input, err);
        if (status != MM_OK)
            break;
        text.size = 0;
        bytes += input->size;
        status = mm_input_fingerprint(input, &text, err);
        mm_input_close(input);
        if (status == MM_OK) {
            hash = XXH3_64bits_withSeed(paths[i], strlen(paths[i]), hash);
            hash = XXH3_64bits_withSeed(text.data, text.size, hash);
        }
    }
    if (status == MM_OK && count == 1)
        snprintf(out, MM_FINGERPRINT_MAX, "%.*s", (int)text.size, text.data);
    else if (status == MM_OK)
        snprintf(out, MM_FINGERPRINT_MAX, "files=%zu bytes=%" PRIu64 " hash=%016" PRIx64, count, bytes, hash);
    mm_buffer_free(&text);
    mm_arena_free(&arena);
    return status;
}

static mm_status source_plan(mm_source *source, uint32_t collection, mm_extent_fn emit, void *context, mm_error *err)
{
    (void)collection; /* there is one: extents carry 0 */
    mm_status status = prepare(source, err);
    return status == MM_OK ? mm_hdf5_plan(source, emit, context, err) : status;
}

static mm_status source_read_open(mm_source *source, const mm_extent *extent, const mm_cursor *cursor,
                                  mm_read_mode mode, mm_reader **out, mm_error *err)
{
    mm_status status = prepare(source, err);
    return status == MM_OK ? mm_hdf5_read_open(source, extent, cursor, mode, out, err) : status;
}

/* --- inspect ---------------------------------------------------------------------------------------------------- */

static mm_status inspect_datasets(const char *location, uint64_t size, mm_buffer *text, mm_error *err)
{
    mm_hdf5_pool pool;
    mm_hdf5_child *child = NULL;
    mm_hdf5_layout layout;
    mm_error why = MM_ERROR_INIT;
    const char *lines = NULL;
    mm_hdf5_pool_init(&pool);
    mm_status status = mm_hdf5_child_take(&pool, &child, err);
    if (status == MM_OK)
        status = mm_hdf5_child_describe(child, location, &lines, err);
    if (status == MM_OK) {
        mm_buffer_printf(text, "format: hdf5\nfile: %s\nsize: %" PRIu64 "\n%s", location, size, lines);
        mm_hdf5_looking how = {.path = location, .size = size, .chunk_memory = UINT64_MAX, .vectors = "", .ids = ""};
        if (mm_hdf5_child_look(child, &how, &layout, &why) == MM_OK)
            mm_buffer_printf(text, "vectors: %s\nids: %s\n", layout.vectors.name,
                             layout.has_ids ? layout.ids.name : "none, rows are numbered");
        else
            mm_buffer_printf(text, "vectors: %s\n", why.text);
        if (text->failed)
            status = mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", location);
    }
    mm_hdf5_child_give(&pool, child);
    mm_hdf5_pool_end(&pool);
    return status;
}

/* Local files alone: by their signature, not by their name. */
static mm_status inspect(const char *location, mm_buffer *text, mm_error *err)
{
    mm_input *input;
    struct stat there;
    if (strstr(location, "://") != NULL || stat(location, &there) != 0 || !S_ISREG(there.st_mode))
        return mm_error_set(err, MM_NOT_FOUND, "%s: not a local HDF5 file", location);
    mm_status status = mm_input_open(location, NULL, &input, err);
    if (status != MM_OK)
        return status;
    status = mm_hdf5_front_check(input, err);
    uint64_t size = input->size;
    mm_input_close(input);
    return status == MM_OK ? inspect_datasets(location, size, text, err) : status;
}

const mm_source_driver mm_source_hdf5 = {
    .abi = MM_SOURCE_ABI,
    .name = "hdf5",
    .summary = "HDF5 files: of MilvusDM, of ann-benchmarks, or any dataset of vectors",
    .capabilities = MM_SOURCE_SEEK | MM_SOURCE_KEYS | MM_SOURCE_MUTABLE,
    .options = options,
    .option_count = MM_COUNT(options),
    .open = source_open,
    .close = source_close,
    .describe = source_describe,
    .fingerprint = source_fingerprint,
    .plan = source_plan,
    .read_open = source_read_open,
    .next = mm_hdf5_read_next,
    .read_close = mm_hdf5_read_close,
    .inspect = inspect,
};
