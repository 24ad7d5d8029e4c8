/* The milvus1x driver: options, the metadata and what the files hold, and the contract of sources/source.h on top.
 * A collection whose files are damaged is told when it is asked for: the others can be read all the same. */
#include "sources/milvus1x/milvus1x.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/log.h"
#include "sources/milvus1x/internal.h"
#include "sources/milvus1x/mysql.h"

/* One collection as it was found when the source was opened. */
typedef struct entry {
    mm_milvus1x_content content;
    mm_schema *schema, *keys; /* of batches */
    mm_status status;         /* why it cannot be read; MM_OK: it can */
    char *why;
} entry;

struct mm_source {
    mm_arena arena;
    mm_milvus1x_where where;
    const char *id_field, *vector_field;
    uint64_t extent_bytes;

    pthread_mutex_t lock; /* guards what follows; once `prepared`, meta and entries are never changed again */
    bool prepared;
    mm_milvus1x_meta meta;
    entry *entries; /* as meta.collections */
    pthread_mutex_t now_lock; /* guards the metadata as it was last looked at, for fingerprints; readers do not wait */
    mm_milvus1x_meta now;
    char *now_identity; /* NULL: look again */
};

static const mm_option options[] = {
    {.name = "path", .type = MM_OPT_PATH,
     .help = "the data folder of Milvus, with db/meta.sqlite and db/tables; a path or an object store's URL"},
    {.name = "meta", .type = MM_OPT_PATH,
     .help = "the metadata where it is not in path: a meta.sqlite, or a meta.json that was exported; path or URL"},
    MM_MILVUS1X_MYSQL_OPTIONS,
    {.name = "tables", .type = MM_OPT_PATHS,
     .help = "the folders that hold the collections' folders, all of them; default: db/tables of path"},
    {.name = "partitions", .type = MM_OPT_LIST, .decides = true,
     .help = "only these partitions of the collections, by their tags; _default: what is in none; default: all"},
    {.name = "id_field", .type = MM_OPT_STRING, .default_value = "id", .decides = true,
     .help = "name of the field that holds the ids"},
    {.name = "vector_field", .type = MM_OPT_STRING, .default_value = "vector", .decides = true,
     .help = "name of the field that holds the vectors"},
    {.name = "extent_bytes", .type = MM_OPT_SIZE, .default_value = "64MiB",
     .help = "bytes of ids and vectors in one extent, the part of a segment that is one task"},
    MM_STORAGE_OPTIONS,
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
    mm_milvus1x_meta_free(&source->meta);
    mm_milvus1x_meta_free(&source->now);
    free(source->now_identity);
    mm_arena_free(&source->arena);
    pthread_mutex_destroy(&source->lock);
    pthread_mutex_destroy(&source->now_lock);
    free(source);
}

static const char *given(const mm_options *values, const char *name)
{
    const char *text = mm_options_str(values, name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* db/tables of path; tables, where path is the db folder itself. */
static mm_status default_roots(mm_source *source, mm_error *err)
{
    static const char *const names[] = {"db/tables", "tables"};
    const char **roots = mm_arena_array(&source->arena, MM_COUNT(names), sizeof(*roots));
    if (roots == NULL)
        return no_memory(err);
    for (size_t i = 0; i < MM_COUNT(names); i++) {
        char *root = mm_format("%s/%s", source->where.path, names[i]);
        roots[i] = root != NULL ? mm_arena_strdup(&source->arena, root) : NULL;
        free(root);
        if (roots[i] == NULL)
            return no_memory(err);
    }
    source->where.roots = roots;
    source->where.root_count = MM_COUNT(names);
    return MM_OK;
}

static mm_status read_options(mm_source *source, const mm_options *values, mm_error *err)
{
    mm_milvus1x_where *where = &source->where;
    *where = (mm_milvus1x_where){.path = given(values, "path"), .meta = given(values, "meta"),
                                 .mysql = given(values, "mysql"), .options = values};
    where->root_count = mm_options_list(values, "tables", &where->roots);
    where->partition_count = mm_options_list(values, "partitions", &where->partitions);
    source->id_field = mm_options_str(values, "id_field");
    source->vector_field = mm_options_str(values, "vector_field");
    source->extent_bytes = mm_options_size(values, "extent_bytes");
    if (where->meta != NULL && where->mysql != NULL)
        return mm_error_set(err, MM_CONFIG, "source.meta and source.mysql: the metadata is in one of them");
    if (where->path == NULL && (where->root_count == 0 || (where->meta == NULL && where->mysql == NULL)))
        return mm_error_set(err, MM_CONFIG, "source.path names the data folder of Milvus; without it, source.meta or "
                            "source.mysql and source.tables say where its parts are");
    if (source->extent_bytes == 0)
        return mm_error_set(err, MM_CONFIG, "source.extent_bytes: 0 bytes hold no row");
    if (source->id_field[0] == '\0' || source->vector_field[0] == '\0' ||
        strcmp(source->id_field, source->vector_field) == 0)
        return mm_error_set(err, MM_CONFIG, "source.id_field and source.vector_field: two different names are wanted");
    return where->root_count == 0 ? default_roots(source, err) : MM_OK;
}

static mm_status source_open(const mm_options *values, mm_source **out, mm_error *err)
{
    mm_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return no_memory(err);
    pthread_mutex_init(&source->lock, NULL);
    pthread_mutex_init(&source->now_lock, NULL);
    mm_status status = read_options(source, values, err);
    if (status != MM_OK) {
        source_close(source);
        return status;
    }
    *out = source;
    return MM_OK;
}

static mm_status fill_schema(const mm_source *source, const mm_milvus1x_collection *c, mm_arena *arena, mm_schema *out,
                             mm_error *err)
{
    mm_field *fields = mm_arena_array(arena, 2, sizeof(*fields));
    if (fields == NULL)
        return no_memory(err);
    fields[0] = (mm_field){.name = mm_arena_strdup(arena, source->id_field), .type = MM_TYPE_INT64, .primary = true};
    fields[1] = (mm_field){.name = mm_arena_strdup(arena, source->vector_field), .dim = c->dimension,
                           .type = c->binary ? MM_TYPE_BINARY_VECTOR : MM_TYPE_FLOAT_VECTOR};
    *out = (mm_schema){.name = mm_arena_strdup(arena, c->name), .fields = fields, .field_count = 2};
    return out->name != NULL && fields[0].name != NULL && fields[1].name != NULL ? MM_OK : no_memory(err);
}

static mm_status make_schemas(mm_source *source, entry *e, mm_error *err)
{
    e->schema = mm_arena_alloc(&source->arena, sizeof(*e->schema));
    e->keys = mm_arena_alloc(&source->arena, sizeof(*e->keys));
    if (e->schema == NULL || e->keys == NULL)
        return no_memory(err);
    mm_status status = fill_schema(source, e->content.collection, &source->arena, e->schema, err);
    if (status != MM_OK)
        return status;
    *e->keys = *e->schema;
    e->keys->field_count = 1;
    return MM_OK;
}

/* What is wrong with this collection alone is kept for whoever wants it. */
static mm_status prepare_entry(mm_source *source, const mm_milvus1x_collection *c, entry *e, mm_error *err)
{
    mm_error why = MM_ERROR_INIT;
    mm_status status = mm_milvus1x_locate(&source->where, c, &source->arena, &e->content, &why);
    if (status == MM_OK && c->partition_count == 0)
        status = mm_error_set(&why, MM_CONFIG, "it has none of the partitions that source.partitions names");
    if (status == MM_OK)
        status = mm_milvus1x_measure(&source->where, &e->content, &why);
    mm_class klass = mm_status_class(status);
    if (status != MM_OK && klass != MM_CLASS_DATA && klass != MM_CLASS_CONFIG) {
        *err = why;
        return status;
    }
    e->status = status;
    e->why = mm_arena_strdup(&source->arena, why.text);
    return e->why != NULL ? make_schemas(source, e, err) : no_memory(err);
}

static mm_status prepare_locked(mm_source *source, mm_error *err)
{
    if (source->prepared)
        return MM_OK;
    mm_milvus1x_meta_free(&source->meta);
    mm_status status = mm_milvus1x_meta_load(&source->where, &source->meta, err);
    const size_t count = source->meta.collection_count;
    if (status == MM_OK) {
        source->entries = mm_arena_array(&source->arena, count + 1, sizeof(*source->entries));
        if (source->entries == NULL)
            return no_memory(err);
        memset(source->entries, 0, (count + 1) * sizeof(*source->entries));
    }
    for (size_t i = 0; status == MM_OK && i < count; i++)
        status = prepare_entry(source, &source->meta.collections[i], &source->entries[i], err);
    source->prepared = status == MM_OK;
    return status;
}

static mm_status prepare(mm_source *source, mm_error *err)
{
    pthread_mutex_lock(&source->lock);
    mm_status status = prepare_locked(source, err);
    pthread_mutex_unlock(&source->lock);
    return status;
}

/* A collection that can be read. */
static mm_status find_entry(mm_source *source, uint32_t number, const entry **out, mm_error *err)
{
    mm_status status = prepare(source, err);
    if (status != MM_OK)
        return status;
    if (number >= source->meta.collection_count)
        return mm_error_set(err, MM_CHANGED, "there are %zu collections, and the plan has more",
                            source->meta.collection_count);
    const entry *e = &source->entries[number];
    if (e->status != MM_OK)
        return mm_error_set(err, e->status, "collection `%s`: %s", e->content.collection->name, e->why);
    *out = e;
    return MM_OK;
}

/* --- describing ------------------------------------------------------------------------------------------------- */

static mm_status describe_entry(const mm_source *source, const entry *e, mm_arena *arena, mm_collection *out,
                                mm_error *err)
{
    const mm_milvus1x_collection *c = e->content.collection;
    mm_status status = fill_schema(source, c, arena, &out->schema, err);
    if (status != MM_OK)
        return status;
    mm_field *vector = &out->schema.fields[1];
    vector->metric_type = mm_milvus1x_metric_hint(c);
    vector->index_type = mm_milvus1x_index_name(c);
    if (vector->index_type != NULL && c->index_params[0] == '{' &&
        (vector->index_params = mm_arena_strdup(arena, c->index_params)) == NULL)
        return no_memory(err);
    /* without partitions everything is in _default, which then needs no name */
    bool named = c->partition_count > 1 || (c->partition_count == 1 && strcmp(c->partitions[0].tag, "_default") != 0);
    const char **partitions = mm_arena_array(arena, c->partition_count + 1, sizeof(*partitions));
    if (partitions == NULL)
        return no_memory(err);
    for (size_t i = 0; i < c->partition_count; i++)
        if ((partitions[i] = mm_arena_strdup(arena, c->partitions[i].tag)) == NULL)
            return no_memory(err);
    out->partitions = partitions;
    out->partition_count = named ? c->partition_count : 0;
    out->rows = e->status == MM_OK ? e->content.rows : MM_ROWS_UNKNOWN;
    out->bytes = e->content.rows * (e->content.row_bytes + sizeof(int64_t));
    out->rows_exact = e->status == MM_OK;
    return MM_OK;
}

static mm_status source_describe(mm_source *source, mm_catalog *out, mm_error *err)
{
    mm_status status = prepare(source, err);
    if (status != MM_OK)
        return status;
    const size_t count = source->meta.collection_count;
    out->collections = mm_arena_array(&out->arena, count + 1, sizeof(*out->collections));
    if (out->collections == NULL)
        return no_memory(err);
    memset(out->collections, 0, (count + 1) * sizeof(*out->collections));
    for (size_t i = 0; status == MM_OK && i < count; i++)
        status = describe_entry(source, &source->entries[i], &out->arena, &out->collections[i], err);
    if (status == MM_OK)
        out->count = count;
    return status;
}

/* --- fingerprints ----------------------------------------------------------------------------------------------- */

/* With now_lock held: the metadata as it is now, read again only where its file is another one. */
static mm_status look_again(mm_source *source, mm_error *err)
{
    mm_buffer identity = MM_BUFFER_INIT;
    mm_status status = mm_milvus1x_meta_identity(&source->where, source->meta.name, &identity, err);
    bool same = status == MM_OK && identity.size > 0 && source->now_identity != NULL &&
                strcmp(identity.data, source->now_identity) == 0;
    if (status == MM_OK && !same) {
        mm_milvus1x_meta_free(&source->now);
        free(source->now_identity);
        source->now_identity = NULL;
        status = mm_milvus1x_meta_load(&source->where, &source->now, err);
        if (status == MM_OK && identity.size > 0) {
            source->now_identity = identity.data;
            identity.data = NULL;
        }
    }
    free(identity.data);
    return status;
}

static uint64_t hash_text(const char *text, uint64_t seed)
{
    return XXH3_64bits_withSeed(text, strlen(text), seed);
}

static uint64_t hash_file(const mm_milvus1x_file *file, uint64_t seed)
{
    return file->location != NULL ? hash_text(file->object.etag, seed + file->object.size) : seed + 1;
}

/* Live segments by the metadata, and sizes and etags (local: inode and time) of their files. */
static void print_content(const mm_milvus1x_content *content, char out[MM_FINGERPRINT_MAX])
{
    const mm_milvus1x_collection *c = content->collection;
    uint64_t hash = c->dimension * 2 + c->binary, bytes = 0;
    for (size_t i = 0; i < c->partition_count; i++)
        hash = hash_text(c->partitions[i].table_id, hash_text(c->partitions[i].tag, hash));
    for (size_t i = 0; i < content->count; i++) {
        const mm_milvus1x_part *part = &content->parts[i];
        hash = hash_text(part->segment->segment_id, hash_text(part->table_id, hash));
        hash = hash_file(&part->deleted, hash_file(&part->uid, hash_file(&part->rv, hash)));
        bytes += part->rv.object.size + part->uid.object.size + part->deleted.object.size;
    }
    snprintf(out, MM_FINGERPRINT_MAX, "segments=%zu bytes=%" PRIu64 " hash=%016" PRIx64, content->count, bytes, hash);
}

static mm_status fingerprint_locked(mm_source *source, const char *name, char out[MM_FINGERPRINT_MAX], mm_error *err)
{
    mm_milvus1x_content content;
    mm_arena arena = MM_ARENA_INIT;
    mm_status status = look_again(source, err);
    const mm_milvus1x_collection *c = NULL;
    for (size_t i = 0; status == MM_OK && i < source->now.collection_count; i++)
        if (strcmp(source->now.collections[i].name, name) == 0)
            c = &source->now.collections[i];
    if (status == MM_OK && c == NULL)
        return mm_error_set(err, MM_CHANGED, "%s: collection `%s` is not there any more", source->meta.name, name);
    if (status == MM_OK)
        status = mm_milvus1x_locate(&source->where, c, &arena, &content, err);
    if (status == MM_OK)
        print_content(&content, out);
    mm_arena_free(&arena);
    return status;
}

static mm_status source_fingerprint(mm_source *source, uint32_t collection, char out[MM_FINGERPRINT_MAX], mm_error *err)
{
    const entry *e = NULL;
    mm_status status = find_entry(source, collection, &e, err);
    if (status != MM_OK)
        return status;
    pthread_mutex_lock(&source->now_lock);
    status = fingerprint_locked(source, e->content.collection->name, out, err);
    pthread_mutex_unlock(&source->now_lock);
    return status;
}

/* --- planning --------------------------------------------------------------------------------------------------- */

static void tell_left_out(const mm_source *source, const entry *e)
{
    const char *name = e->content.collection->name;
    for (size_t i = 0; i < source->meta.unfinished_count; i++) {
        const mm_milvus1x_unfinished *u = &source->meta.unfinished[i];
        if (strcmp(u->collection, name) == 0)
            mm_log(MM_LOG_WARN,
                   "%s, partition %s: segment %s is left out: it is not finished (file type %" PRId64 ", %s); its rows "
                   "are in other segments still, or only in the write-ahead log: flush, then stop Milvus", name, u->tag,
                   u->segment_id, u->file_type, mm_milvus1x_file_type_name(u->file_type));
    }
    if (e->content.without_deleted > 0)
        mm_log(MM_LOG_WARN,
               "%s: %" PRIu64 " of %zu segments have no file deleted_docs: none of their rows is taken for deleted",
               name, e->content.without_deleted, e->content.count);
}

/* What an extent's spec says, as text: "table/segment first count". */
#define SPEC_MAX 600
typedef struct extent_spec {
    const mm_milvus1x_part *part;
    uint64_t first, count;
} extent_spec;

typedef struct planning {
    const mm_source *source;
    mm_extent_fn emit;
    void *context;
    uint32_t collection;
} planning;

static mm_status emit_extent(const planning *p, const mm_milvus1x_part *part, uint64_t first, uint64_t count,
                             uint64_t live, mm_error *err)
{
    char spec[SPEC_MAX];
    int size = snprintf(spec, sizeof(spec), "%s/%s %" PRIu64 " %" PRIu64, part->table_id, part->segment->segment_id,
                        first, count);
    mm_extent extent = {.collection = p->collection, .partition = part->partition, .rows = live,
                        .bytes = live * (part->shape.row_bytes + sizeof(int64_t)), .spec = spec,
                        .spec_size = (size_t)size};
    return p->emit(p->context, &extent, err);
}

static mm_status plan_part(const planning *p, const mm_milvus1x_part *part, mm_error *err)
{
    mm_milvus1x_deleted deleted;
    uint64_t step = p->source->extent_bytes / (part->shape.row_bytes + sizeof(int64_t));
    mm_status status = mm_milvus1x_open_deleted(&p->source->where, part, 0, part->shape.rows, &deleted, err);
    for (uint64_t first = 0; status == MM_OK && first < part->shape.rows;) {
        uint64_t left = part->shape.rows - first, count = step > 0 ? step : 1;
        count = count < left ? count : left;
        uint64_t live = mm_milvus1x_live(&deleted, first, first + count);
        if (live > 0)
            status = emit_extent(p, part, first, count, live, err);
        first += count;
    }
    if (deleted.bits != NULL)
        mm_milvus1x_deleted_free(&deleted);
    return status;
}

/* Segment by segment over all partitions, the oldest first: of rows with one id the last is the newest. */
static mm_status source_plan(mm_source *source, uint32_t collection, mm_extent_fn emit, void *context, mm_error *err)
{
    const entry *e = NULL;
    mm_status status = find_entry(source, collection, &e, err);
    if (status != MM_OK)
        return status;
    planning p = {source, emit, context, collection};
    tell_left_out(source, e);
    for (size_t i = 0; status == MM_OK && i < e->content.count; i++)
        status = plan_part(&p, &e->content.parts[i], err);
    return status;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static mm_status parse_spec(const entry *e, const mm_extent *extent, extent_spec *out, mm_error *err)
{
    char text[SPEC_MAX];
    size_t size = extent->spec_size < sizeof(text) - 1 ? extent->spec_size : sizeof(text) - 1;
    memcpy(text, extent->spec, size);
    text[size] = '\0';
    /* names may have spaces: the numbers are behind the last two */
    char *slash = strchr(text, '/'), *second = strrchr(text, ' '), *end = NULL;
    if (second != NULL) {
        *second++ = '\0';
        out->count = strtoull(second, &end, 10);
    }
    char *first = second != NULL ? strrchr(text, ' ') : NULL;
    bool good = slash != NULL && first != NULL && end != second && *end == '\0';
    if (good) {
        *first++ = '\0';
        *slash++ = '\0';
        out->first = strtoull(first, &end, 10);
        good = end != first && *end == '\0';
    }
    out->part = good ? mm_milvus1x_find(&e->content, text, slash) : NULL;
    uint64_t last;
    if (out->part != NULL && mm_add_u64(out->first, out->count, &last) && last <= out->part->shape.rows &&
        extent->rows <= out->count)
        return MM_OK;
    return mm_error_set(err, MM_CHANGED,
                        "collection `%s`: its segments are others than those of the plan (extent %.*s)",
                        e->content.collection->name, (int)(extent->spec_size < 200 ? extent->spec_size : 200),
                        (const char *)extent->spec);
}

static mm_status open_files(const mm_source *source, const extent_spec *spec, mm_read_mode mode,
                            mm_milvus1x_rows_args *args, mm_error *err)
{
    args->shape = spec->part->shape;
    mm_status status = mm_milvus1x_open_deleted(&source->where, spec->part, spec->first, spec->count, &args->deleted,
                                                err);
    if (status == MM_OK)
        status = mm_milvus1x_open_file(&source->where, &spec->part->uid, &args->uid, err);
    if (status == MM_OK && mode == MM_READ_ALL)
        status = mm_milvus1x_open_file(&source->where, &spec->part->rv, &args->rv, err);
    return status == MM_OK ? mm_milvus1x_shape_check(args->rv, args->uid, false, &args->shape, err) : status;
}

static mm_status source_read_open(mm_source *source, const mm_extent *extent, const mm_cursor *cursor,
                                  mm_read_mode mode, mm_reader **out, mm_error *err)
{
    const entry *e = NULL;
    extent_spec spec = {0};
    mm_milvus1x_rows_args args = {NULL};
    mm_status status = find_entry(source, extent->collection, &e, err);
    if (status == MM_OK)
        status = parse_spec(e, extent, &spec, err);
    if (status != MM_OK)
        return status;
    args.schema = mode == MM_READ_KEYS ? e->keys : e->schema;
    status = open_files(source, &spec, mode, &args, err);
    if (status == MM_OK && args.deleted.count - args.deleted.deleted != extent->rows)
        status = mm_error_set(err, MM_CHANGED,
                              "%s: %" PRIu64 " rows of the extent are not deleted; the plan has %" PRIu64,
                              spec.part->folder, args.deleted.count - args.deleted.deleted, extent->rows);
    if (status == MM_OK)
        return mm_milvus1x_rows_open(&args, cursor != NULL ? cursor->row : 0, out, err);
    mm_input_close(args.rv);
    mm_input_close(args.uid);
    mm_milvus1x_deleted_free(&args.deleted);
    return status;
}

const mm_source_driver mm_source_milvus1x = {
    .abi = MM_SOURCE_ABI,
    .name = "milvus1x",
    .summary = "Milvus 0.9 to 1.x: the data folder of a server that is stopped",
    .capabilities = MM_SOURCE_SEEK | MM_SOURCE_KEYS | MM_SOURCE_MUTABLE | MM_SOURCE_NEWEST_LAST,
    .options = options,
    .option_count = MM_COUNT(options),
    .open = source_open,
    .close = source_close,
    .describe = source_describe,
    .fingerprint = source_fingerprint,
    .plan = source_plan,
    .read_open = source_read_open,
    .next = mm_milvus1x_rows_next,
    .read_close = mm_milvus1x_rows_close,
    .inspect = mm_milvus1x_inspect,
};
