/* The faiss driver: options, the open file, and the contract of sources/source.h on top of the walk,
 * the plan and the reader. One file is one collection. */
#include "sources/faiss/faiss.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/faiss/decode.h"
#include "sources/faiss/inspect.h"
#include "sources/faiss/plan.h"
#include "sources/faiss/rows.h"
#include "sources/faiss/side.h"

struct mm_source {
    mm_arena arena; /* names and schemas */
    const char *path, *collection, *id_field, *vector_field;
    bool lossy;
    uint64_t extent_bytes, extent_rows;
    int64_t start_id;
    mm_input *file, *given_side; /* given_side: source.invlists; NULL: not given */

    pthread_mutex_t lock; /* guards what follows; once set, a thing is never changed again */
    mm_input *found_side;
    const mm_input *side; /* the file of on-disk lists, one of the two */
    mm_arena walk_arena;
    const mm_faiss_node *root; /* NULL: not walked yet */
    mm_faiss_view view;
    mm_faiss_decoder *decoder; /* NULL: not opened yet, or not needed */
    mm_schema *schema, *keys;  /* NULL: not made yet */
};

static const mm_option options[] = {
    {.name = "path",
     .type = MM_OPT_PATH,
     .required = true,
     .help = "the index file: a path, or an object's URL (s3://bucket/products.index, gs://, az://, ...)"},
    {.name = "id_field",
     .type = MM_OPT_STRING,
     .default_value = "id",
     .decides = true,
     .help = "name of the field that holds the ids"},
    {.name = "vector_field",
     .type = MM_OPT_STRING,
     .default_value = "vector",
     .decides = true,
     .help = "name of the field that holds the vectors"},
    {.name = "lossy",
     .type = MM_OPT_BOOL,
     .default_value = "false",
     .decides = true,
     .help = "read index types that hold vectors approximately, as FAISS's reconstruct does"},
    {.name = "start_id",
     .type = MM_OPT_INT,
     .default_value = "0",
     .decides = true,
     .help = "id of the first row of an index without ids; the others count up from it"},
    {.name = "extent_bytes",
     .type = MM_OPT_SIZE,
     .default_value = "64MiB",
     .help = "bytes of vectors in one extent, the part of the file that is one task"},
    {.name = "extent_rows",
     .type = MM_OPT_INT,
     .default_value = "0",
     .help = "rows in one extent; 0: by extent_bytes"},
    {.name = "invlists",
     .type = MM_OPT_PATH,
     .help = "file of on-disk inverted lists, path or URL, where it is not the one that the index names"},
    MM_STORAGE_OPTIONS,
};

static mm_status no_memory(const char *path, mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", path);
}

static void source_close(mm_source *source)
{
    if (source == NULL)
        return;
    mm_input_close(source->found_side); /* may use the storage of the file */
    mm_input_close(source->given_side);
    mm_input_close(source->file);
    mm_arena_free(&source->walk_arena);
    mm_arena_free(&source->arena);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

/* "dir/products.index" is the collection "products". */
static char *stem_of(mm_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *stem = mm_arena_strdup(arena, slash != NULL ? slash + 1 : path);
    char *dot = stem != NULL ? strrchr(stem, '.') : NULL;
    if (dot != NULL && dot != stem)
        *dot = '\0';
    return stem;
}

static char *copy_option(mm_arena *arena, const mm_options *values, const char *name)
{
    const char *text = mm_options_str(values, name);
    return mm_arena_strdup(arena, text != NULL ? text : "");
}

static mm_status read_options(mm_source *source, const mm_options *values, mm_error *err)
{
    int64_t extent_rows = mm_options_int(values, "extent_rows");
    source->path = copy_option(&source->arena, values, "path");
    source->id_field = copy_option(&source->arena, values, "id_field");
    source->vector_field = copy_option(&source->arena, values, "vector_field");
    if (source->path == NULL || source->id_field == NULL || source->vector_field == NULL ||
        (source->collection = stem_of(&source->arena, source->path)) == NULL)
        return no_memory("source.path", err);
    source->lossy = mm_options_bool(values, "lossy");
    source->start_id = mm_options_int(values, "start_id");
    source->extent_bytes = mm_options_size(values, "extent_bytes");
    source->extent_rows = (uint64_t)extent_rows;
    if (extent_rows < 0)
        return mm_error_set(err, MM_CONFIG, "source.extent_rows: %" PRId64 " is below 0",
                            extent_rows);
    if (source->extent_bytes == 0)
        return mm_error_set(err, MM_CONFIG, "source.extent_bytes: 0 bytes hold no row");
    if (source->id_field[0] == '\0' || source->vector_field[0] == '\0' ||
        strcmp(source->id_field, source->vector_field) == 0)
        return mm_error_set(err, MM_CONFIG,
                            "source.id_field and source.vector_field: two different names are "
                            "wanted, not \"%s\" and \"%s\"",
                            source->id_field, source->vector_field);
    return MM_OK;
}

static mm_status source_open(const mm_options *values, mm_source **out, mm_error *err)
{
    mm_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return no_memory("source.path", err);
    pthread_mutex_init(&source->lock, NULL);
    const char *invlists = mm_options_str(values, "invlists");
    mm_status status = read_options(source, values, err);
    if (status == MM_OK)
        status = mm_faiss_open(source->path, values, &source->file, err);
    if (status == MM_OK && invlists != NULL && invlists[0] != '\0')
        status = mm_faiss_open(invlists, values, &source->given_side, err);
    if (status != MM_OK) {
        source_close(source);
        return status;
    }
    *out = source;
    return MM_OK;
}

/* With the lock held. Opens and checks the file of on-disk lists, where there is one. */
static mm_status side_locked(mm_source *source, const mm_faiss_view *view, mm_error *err)
{
    if (!mm_faiss_side_wanted(view))
        return MM_OK;
    mm_status status = MM_OK;
    if (source->given_side == NULL && source->found_side == NULL)
        status = mm_faiss_side_open(source->file, view, &source->found_side, err);
    const mm_input *side = source->given_side != NULL ? source->given_side : source->found_side;
    if (status == MM_OK)
        status = mm_faiss_lists_check(&view->codes->lists, source->file, side, err);
    if (status == MM_OK)
        source->side = side;
    return status;
}

/* With the lock held. Walks the file once; a failed walk leaves nothing of it behind. */
static mm_status walk_locked(mm_source *source, mm_error *err)
{
    mm_faiss_node *root = NULL;
    mm_faiss_view view;
    if (source->root != NULL)
        return MM_OK;
    mm_status status = mm_faiss_walk(source->file, &source->walk_arena, &root, err);
    if (status == MM_OK)
        status = mm_faiss_view_make(source->file, &source->walk_arena, root, &view, err);
    if (status == MM_OK)
        status = side_locked(source, &view, err);
    if (status != MM_OK) {
        mm_arena_free(&source->walk_arena);
        source->walk_arena = (mm_arena)MM_ARENA_INIT;
        return status;
    }
    source->view = view;
    source->root = root;
    return MM_OK;
}

/* With the lock held, after the walk. */
static mm_status check_lossy(const mm_source *source, mm_error *err)
{
    const mm_faiss_view *view = &source->view;
    if (view->lossy == NULL || source->lossy)
        return MM_OK;
    return mm_error_set(err, MM_CONFIG,
                        "%s: byte %" PRIu64
                        ": %s ('%s') holds vectors approximately; set source.lossy: true to read "
                        "them as FAISS reconstructs them",
                        source->path, view->lossy_at, view->lossy,
                        mm_faiss_fourcc_text(view->lossy_fourcc).text);
}

static mm_status decoder_locked(mm_source *source, mm_error *err)
{
    if (source->view.lossy == NULL || source->decoder != NULL)
        return MM_OK;
    return mm_faiss_decoder_open(source->file, &source->walk_arena, &source->view,
                                 &source->decoder, err);
}

/* Walked, and fit to be read. */
static mm_status prepare(mm_source *source, mm_error *err)
{
    pthread_mutex_lock(&source->lock);
    mm_status status = walk_locked(source, err);
    if (status == MM_OK)
        status = check_lossy(source, err);
    if (status == MM_OK)
        status = decoder_locked(source, err);
    pthread_mutex_unlock(&source->lock);
    return status;
}

static mm_status fill_schema(mm_source *source, mm_arena *arena, bool binary, uint32_t d,
                             mm_schema *schema, mm_error *err)
{
    mm_field *fields = mm_arena_array(arena, 2, sizeof(*fields));
    *schema = (mm_schema){.name = mm_arena_strdup(arena, source->collection), .field_count = 2};
    if (fields == NULL || schema->name == NULL)
        return no_memory(source->path, err);
    fields[0] = (mm_field){.name = mm_arena_strdup(arena, source->id_field),
                           .type = MM_TYPE_INT64,
                           .primary = true};
    fields[1] = (mm_field){.name = mm_arena_strdup(arena, source->vector_field),
                           .type = binary ? MM_TYPE_BINARY_VECTOR : MM_TYPE_FLOAT_VECTOR,
                           .dim = d};
    schema->fields = fields;
    return fields[0].name != NULL && fields[1].name != NULL ? MM_OK : no_memory(source->path, err);
}

/* The schemas of batches: as those of describe, without what is known of indexes. */
static mm_status schema_locked(mm_source *source, const mm_faiss_extent *head, mm_error *err)
{
    if (source->schema == NULL) {
        mm_schema *all = mm_arena_alloc(&source->arena, sizeof(*all));
        mm_schema *keys = mm_arena_alloc(&source->arena, sizeof(*keys));
        if (all == NULL || keys == NULL)
            return no_memory(source->path, err);
        mm_status status =
            fill_schema(source, &source->arena, head->binary, head->d, all, err);
        if (status != MM_OK)
            return status;
        *keys = *all;
        keys->field_count = 1;
        source->keys = keys;
        source->schema = all;
    }
    const mm_field *vector = &source->schema->fields[1];
    if (vector->dim != head->d || (vector->type == MM_TYPE_BINARY_VECTOR) != head->binary)
        return mm_error_set(err, MM_CHANGED, "%s: extents of different dimensions, %u and %u",
                            source->path, vector->dim, head->d);
    return MM_OK;
}

static mm_status source_describe(mm_source *source, mm_catalog *out, mm_error *err)
{
    mm_status status = prepare(source, err);
    if (status != MM_OK)
        return status;
    const mm_faiss_view *view = &source->view;
    mm_collection *collection = mm_arena_alloc(&out->arena, sizeof(*collection));
    if (collection == NULL)
        return no_memory(source->path, err);
    *collection = (mm_collection){.rows = view->rows, .rows_exact = true};
    status = fill_schema(source, &out->arena, view->binary, view->d, &collection->schema, err);
    if (status == MM_OK)
        status = mm_faiss_hint(source->root, &out->arena, &collection->schema.fields[1], err);
    if (status != MM_OK)
        return status;
    collection->bytes = view->rows * (view->width + sizeof(int64_t));
    collection->unique_keys = view->map_count == 0 && view->codes->kind != MM_FAISS_IVF;
    out->collections = collection;
    out->count = 1;
    return MM_OK;
}

static mm_status source_fingerprint(mm_source *source, uint32_t collection,
                                    char out[MM_FINGERPRINT_MAX], mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    (void)collection; /* there is one */
    pthread_mutex_lock(&source->lock);
    mm_status status = walk_locked(source, err);
    pthread_mutex_unlock(&source->lock);
    if (status == MM_OK)
        status = mm_input_fingerprint(source->file, &text, err);
    if (status == MM_OK && source->side != NULL) {
        mm_buffer_printf(&text, " invlists: ");
        status = mm_input_fingerprint(source->side, &text, err);
    }
    if (status == MM_OK)
        snprintf(out, MM_FINGERPRINT_MAX, "%.*s", (int)text.size, text.data);
    mm_buffer_free(&text);
    return status;
}

static mm_status source_plan(mm_source *source, uint32_t collection, mm_extent_fn emit,
                             void *context, mm_error *err)
{
    (void)collection; /* there is one: extents carry 0 */
    mm_status status = prepare(source, err);
    if (status != MM_OK)
        return status;
    uint64_t by_bytes = source->extent_bytes / source->view.width;
    mm_faiss_plan plan = {.file = source->file,
                          .side = source->side,
                          .view = &source->view,
                          .extent_rows = source->extent_rows > 0 ? source->extent_rows
                                         : by_bytes > 0          ? by_bytes
                                                                 : 1,
                          .start_id = source->start_id};
    return mm_faiss_plan_emit(&plan, emit, context, err);
}

static mm_status source_read_open(mm_source *source, const mm_extent *extent,
                                  const mm_cursor *cursor, mm_read_mode mode, mm_reader **out,
                                  mm_error *err)
{
    mm_faiss_spec_reader spec;
    mm_status status = mm_faiss_spec_open(&spec, extent->spec, extent->spec_size, err);
    if (status != MM_OK)
        return status;
    pthread_mutex_lock(&source->lock);
    status = schema_locked(source, &spec.head, err);
    /* The spec is enough, but for decoders' tables and the name of a file of lists. */
    if (status == MM_OK && (spec.head.lossy || spec.head.side))
        status = walk_locked(source, err);
    if (status == MM_OK && spec.head.lossy)
        status = check_lossy(source, err);
    if (status == MM_OK && spec.head.lossy)
        status = decoder_locked(source, err);
    mm_faiss_rows_args args = {.ids_file = source->file,
                               .rows_file = spec.head.side ? source->side : source->file,
                               .decoder = spec.head.lossy ? source->decoder : NULL,
                               .schema = mode == MM_READ_KEYS ? source->keys : source->schema,
                               .mode = mode};
    bool changed = status == MM_OK && ((spec.head.side && source->side == NULL) ||
                                       (spec.head.lossy && source->decoder == NULL) ||
                                       (spec.head.lossy && source->view.d != spec.head.d) ||
                                       (spec.head.lossy &&
                                        source->view.codes->code_size != spec.head.code_size));
    pthread_mutex_unlock(&source->lock);
    if (changed)
        return mm_error_set(err, MM_CHANGED, "%s: the index is another than that of the plan",
                            source->path);
    if (status != MM_OK)
        return status;
    return mm_faiss_rows_open(&args, extent->spec, extent->spec_size, extent->rows,
                              cursor != NULL ? cursor->row : 0, out, err);
}

const mm_source_driver mm_source_faiss = {
    .abi = MM_SOURCE_ABI,
    .name = "faiss",
    .summary = "an index file written by the FAISS library",
    .capabilities = MM_SOURCE_SEEK | MM_SOURCE_KEYS | MM_SOURCE_MUTABLE,
    .options = options,
    .option_count = MM_COUNT(options),
    .open = source_open,
    .close = source_close,
    .describe = source_describe,
    .fingerprint = source_fingerprint,
    .plan = source_plan,
    .read_open = source_read_open,
    .next = mm_faiss_rows_next,
    .read_close = mm_faiss_rows_close,
    .inspect = mm_faiss_inspect,
};
