/* A data folder or metadata in words; what Milvus 2.x calls metrics and indexes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sources/milvus1x/internal.h"

/* Tables.engine_type, Milvus 1.1 core/src/db/Types.h (EngineType). NSG, SPTAG and Annoy have no successor. */
const char *mm_milvus1x_index_name(const mm_milvus1x_collection *collection)
{
    switch (collection->engine_type) {
    case 1:
        return collection->binary ? "BIN_FLAT" : "FLAT";
    case 2:
        return collection->binary ? "BIN_IVF_FLAT" : "IVF_FLAT";
    case 3:
    case 5: /* IVFSQ8H: the same lists, partly on a GPU */
        return "IVF_SQ8";
    case 6:
        return "IVF_PQ";
    case 9:
        return "BIN_FLAT";
    case 10:
        return "BIN_IVF_FLAT";
    case 11:
        return "HNSW";
    default:
        return NULL;
    }
}

/* Milvus 2.x has no Tanimoto: its distance, -log2(1 - Jaccard distance), puts rows in the same order as Jaccard. */
const char *mm_milvus1x_metric_hint(const mm_milvus1x_collection *collection)
{
    bool tanimoto = collection->metric_type == MM_MILVUS1X_TANIMOTO;
    return mm_milvus1x_metric_name(tanimoto ? MM_MILVUS1X_JACCARD : collection->metric_type);
}

static bool exists(const char *folder, const char *name)
{
    char *path = mm_format("%s/%s", folder, name);
    bool there = path != NULL && access(path, F_OK) == 0;
    free(path);
    return there;
}


static void print_collection(mm_buffer *text, const mm_milvus1x_collection *c)
{
    mm_buffer_printf(text, "collection: %s\n  vectors: %s, dimension %" PRIu32 ", metric %s\n", c->name,
                     c->binary ? "binary" : "float", c->dimension, mm_milvus1x_metric_name(c->metric_type));
    const char *index = mm_milvus1x_index_name(c);
    if (index != NULL)
        mm_buffer_printf(text, "  index: %s %s\n", index, c->index_params);
    for (size_t i = 0; i < c->partition_count; i++)
        if (i > 0 || c->partition_count > 1)
            mm_buffer_printf(text, "  partition: %s, %zu segments\n", c->partitions[i].tag,
                             c->partitions[i].segment_count);
}

/* Rows as the files have them; without files what is wrong with them, in place of a number. */
static mm_status print_rows(mm_buffer *text, const mm_milvus1x_where *where, const mm_milvus1x_collection *c,
                            mm_error *err)
{
    mm_milvus1x_content content;
    mm_arena arena = MM_ARENA_INIT;
    mm_error why = MM_ERROR_INIT;
    mm_status status = mm_milvus1x_locate(where, c, &arena, &content, &why);
    if (status == MM_OK)
        status = mm_milvus1x_measure(where, &content, &why);
    if (status == MM_OK)
        mm_buffer_printf(text, "  segments: %zu\n  rows: %" PRIu64 "\n", content.count, content.rows);
    else if (mm_status_class(status) == MM_CLASS_DATA || mm_status_class(status) == MM_CLASS_CONFIG)
        mm_buffer_printf(text, "  cannot be read: %s\n", why.text);
    else
        *err = why;
    mm_class klass = mm_status_class(status);
    mm_arena_free(&arena);
    return klass == MM_CLASS_DATA || klass == MM_CLASS_CONFIG ? MM_OK : status;
}

static void print_unfinished(mm_buffer *text, const mm_milvus1x_meta *meta)
{
    for (size_t i = 0; i < meta->unfinished_count; i++) {
        const mm_milvus1x_unfinished *u = &meta->unfinished[i];
        mm_buffer_printf(text, "not finished: segment %s of %s, partition %s (%s)\n", u->segment_id, u->collection,
                         u->tag, mm_milvus1x_file_type_name(u->file_type));
    }
}

static mm_status inspect_where(const mm_milvus1x_where *where, mm_buffer *text, mm_error *err)
{
    mm_milvus1x_meta meta = MM_MILVUS1X_META_INIT;
    mm_status status = mm_milvus1x_meta_load(where, &meta, err);
    if (status == MM_OK)
        mm_buffer_printf(text, "format: milvus1x\nmetadata: %s\ncollections: %zu\n", meta.name, meta.collection_count);
    for (size_t i = 0; status == MM_OK && i < meta.collection_count; i++) {
        print_collection(text, &meta.collections[i]);
        if (where->root_count > 0)
            status = print_rows(text, where, &meta.collections[i], err);
    }
    if (status == MM_OK)
        print_unfinished(text, &meta);
    if (status == MM_OK && text->failed)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_milvus1x_meta_free(&meta);
    return status;
}

/* A folder with metadata in it, local; a file by the name that Milvus or an export gives it, anywhere. */
mm_status mm_milvus1x_inspect(const char *location, mm_buffer *text, mm_error *err)
{
    struct stat there;
    const char *slash = strrchr(location, '/'), *name = slash != NULL ? slash + 1 : location;
    if (strcmp(name, "meta.sqlite") == 0 || strcmp(name, "meta.json") == 0) {
        mm_milvus1x_where where = {.meta = location};
        return inspect_where(&where, text, err);
    }
    bool folder = stat(location, &there) == 0 && S_ISDIR(there.st_mode);
    const char *db = folder && exists(location, "db/meta.sqlite") ? "/db"
                     : folder && exists(location, "meta.sqlite")  ? ""
                                                                  : NULL;
    if (db == NULL)
        return mm_error_set(err, MM_NOT_FOUND, "%s: no data folder of Milvus 1.x", location);
    char *root = mm_format("%s%s/tables", location, db);
    if (root == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    const char *const roots[] = {root};
    mm_milvus1x_where where = {.path = location, .roots = roots, .root_count = 1};
    mm_status status = inspect_where(&where, text, err);
    free(root);
    return status;
}
