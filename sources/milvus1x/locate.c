/* Where the metadata and the segments' files are: roots are listed, files matched with segments by folder and ending,
 * rows counted from the files. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sources/milvus1x/internal.h"
#include "sources/milvus1x/mysql.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a list of segments");
}

/* --- metadata --------------------------------------------------------------------------------------------------- */

/* "folder/name", without a second slash. */
static char *join(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    return mm_format("%.*s/%s", (int)length, folder, name);
}

/* The folder may be that of the server (db/meta.sqlite) or the db folder itself. */
static mm_status load_from_folder(const mm_milvus1x_where *where, mm_milvus1x_meta *meta, mm_error *err)
{
    static const char *const names[] = {"db/meta.sqlite", "meta.sqlite"};
    mm_error first = MM_ERROR_INIT;
    for (size_t i = 0; i < MM_COUNT(names); i++) {
        mm_error why = MM_ERROR_INIT;
        char *location = join(where->path, names[i]);
        if (location == NULL)
            return no_memory(err);
        mm_status status = mm_milvus1x_meta_sqlite(location, where->options, meta, &why);
        free(location);
        if (i == 0)
            first = why;
        if (status != MM_NOT_FOUND) {
            *err = why;
            return status;
        }
        mm_milvus1x_meta_free(meta);
    }
    return mm_error_set(err, MM_NOT_FOUND,
                        "%s: no metadata of Milvus 1.x is there (%s); source.meta names a meta.sqlite or "
                        "meta.json elsewhere, source.mysql a database", where->path, first.text);
}

static mm_status load(const mm_milvus1x_where *where, mm_milvus1x_meta *meta, mm_error *err)
{
    if (where->mysql != NULL)
        return mm_milvus1x_meta_mysql(where->options, meta, err);
    if (where->meta == NULL)
        return load_from_folder(where, meta, err);
    if (mm_milvus1x_dsn_is(where->meta))
        return mm_error_set(err, MM_CONFIG, "source.meta is a file; the address of a database belongs to source.mysql");
    size_t length = strlen(where->meta);
    bool json = length > 5 && strcasecmp(where->meta + length - 5, ".json") == 0;
    return json ? mm_milvus1x_meta_json(where->meta, where->options, meta, err)
                : mm_milvus1x_meta_sqlite(where->meta, where->options, meta, err);
}

mm_status mm_milvus1x_meta_load(const mm_milvus1x_where *where, mm_milvus1x_meta *meta, mm_error *err)
{
    mm_status status = load(where, meta, err);
    return status == MM_OK ? mm_milvus1x_meta_choose(meta, where->partitions, where->partition_count, err) : status;
}

mm_status mm_milvus1x_meta_identity(const mm_milvus1x_where *where, const char *name, mm_buffer *out, mm_error *err)
{
    static const char *const suffixes[] = {"", "-wal", "-journal"};
    mm_storage *storage = NULL;
    char *key = NULL;
    if (where->mysql != NULL)
        return MM_OK;
    mm_status status = mm_storage_open(name, where->options, &storage, &key, err);
    for (size_t i = 0; status == MM_OK && i < MM_COUNT(suffixes); i++) {
        mm_object object;
        mm_error why = MM_ERROR_INIT;
        char *file = mm_format("%s%s", key, suffixes[i]);
        status = file != NULL ? mm_storage_stat(storage, file, &object, &why) : no_memory(&why);
        free(file);
        if (status == MM_OK)
            mm_buffer_printf(out, "%s:%" PRIu64 ":%s:%" PRId64 " ", suffixes[i], object.size, object.etag,
                             object.modified_ms);
        else if (status == MM_NOT_FOUND && i > 0)
            status = MM_OK;
        else
            *err = why;
    }
    free(key);
    if (storage != NULL)
        mm_storage_close(storage);
    return status == MM_OK && out->failed ? no_memory(err) : status;
}

/* --- segments --------------------------------------------------------------------------------------------------- */

static int by_age(const void *a, const void *b)
{
    const mm_milvus1x_part *x = a, *y = b;
    int order = mm_milvus1x_segment_compare(x->segment, y->segment);
    return order != 0 ? order : strcmp(x->table_id, y->table_id);
}

static int compare_names(const char *table_a, const char *segment_a, const mm_milvus1x_part *b)
{
    int order = strcmp(table_a, b->table_id);
    return order != 0 ? order : strcmp(segment_a, b->segment->segment_id);
}

static int by_name(const void *a, const void *b)
{
    const mm_milvus1x_part *x = *(mm_milvus1x_part *const *)a, *y = *(mm_milvus1x_part *const *)b;
    return compare_names(x->table_id, x->segment->segment_id, y);
}

static mm_milvus1x_part *find(const mm_milvus1x_content *content, const char *table_id, const char *segment_id)
{
    for (size_t low = 0, high = content->count; low < high;) {
        size_t at = low + (high - low) / 2;
        int order = compare_names(table_id, segment_id, content->by_name[at]);
        if (order == 0)
            return content->by_name[at];
        if (order < 0)
            high = at;
        else
            low = at + 1;
    }
    return NULL;
}

const mm_milvus1x_part *mm_milvus1x_find(const mm_milvus1x_content *content, const char *table_id,
                                         const char *segment_id)
{
    return find(content, table_id, segment_id);
}

static mm_status make_parts(const mm_milvus1x_collection *collection, mm_arena *arena, mm_milvus1x_content *out,
                            mm_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < collection->partition_count; i++)
        count += collection->partitions[i].segment_count;
    *out = (mm_milvus1x_content){.collection = collection,
                                 .row_bytes = collection->binary ? collection->dimension / 8
                                                                 : collection->dimension * sizeof(float)};
    out->parts = mm_arena_array(arena, count + 1, sizeof(*out->parts));
    out->by_name = mm_arena_array(arena, count + 1, sizeof(*out->by_name));
    if (out->parts == NULL || out->by_name == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < collection->partition_count; i++) {
        const mm_milvus1x_partition *partition = &collection->partitions[i];
        for (size_t j = 0; j < partition->segment_count; j++)
            out->parts[out->count++] = (mm_milvus1x_part){.segment = &partition->segments[j],
                                                          .table_id = partition->table_id, .partition = i};
    }
    if (count > 1)
        qsort(out->parts, count, sizeof(*out->parts), by_age);
    for (size_t i = 0; i < count; i++)
        out->by_name[i] = &out->parts[i];
    if (count > 1)
        qsort(out->by_name, count, sizeof(*out->by_name), by_name);
    return MM_OK;
}

/* One root while a table's folder in it is listed. */
typedef struct listing {
    mm_storage *storage;
    mm_arena *arena;
    mm_milvus1x_content *content;
    const char *table_id;
    size_t prefix; /* bytes of a key up to the segment's folder */
} listing;

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), size = strlen(ending);
    return length > size && strcmp(name + length - size, ending) == 0;
}

/* Vectors are called as their segment; where a build called them otherwise, there is one such file in the folder. */
static mm_milvus1x_file *file_of(mm_milvus1x_part *part, const char *name)
{
    return ends_with(name, ".rv") ? &part->rv : ends_with(name, ".uid") ? &part->uid
           : strcmp(name, "deleted_docs") == 0 ? &part->deleted : NULL;
}

static mm_status take_file(listing *l, mm_milvus1x_part *part, const char *key, const char *name,
                           const mm_object *object, mm_error *err)
{
    mm_milvus1x_file *file = file_of(part, name);
    char *location = file != NULL ? mm_storage_url(l->storage, key) : NULL;
    if (file == NULL)
        return MM_OK; /* an index, a bloom filter */
    if (location == NULL)
        return no_memory(err);
    size_t folder = strlen(location) - strlen(name) - 1;
    mm_status status = MM_OK;
    bool elsewhere = part->folder != NULL &&
                     (strncmp(part->folder, location, folder) != 0 || part->folder[folder] != '\0');
    if (file->location != NULL || elsewhere)
        status = mm_error_set(err, MM_DATA,
                              "%s: segment %s has files in %s too: one of them has to go (source.tables)", location,
                              part->segment->segment_id, file->location != NULL ? file->location : part->folder);
    if (status == MM_OK) {
        *file = (mm_milvus1x_file){mm_arena_strdup(l->arena, location), *object};
        location[folder] = '\0';
        if (part->folder == NULL)
            part->folder = mm_arena_strdup(l->arena, location);
        status = file->location != NULL && part->folder != NULL ? MM_OK : no_memory(err);
    }
    free(location);
    return status;
}

static mm_status take_listed(void *context, const char *key, const mm_object *object, mm_error *err)
{
    listing *l = context;
    const char *rest = key + l->prefix, *slash = strchr(rest, '/');
    char segment_id[256];
    if (slash == NULL || strchr(slash + 1, '/') != NULL || (size_t)(slash - rest) >= sizeof(segment_id))
        return MM_OK;
    memcpy(segment_id, rest, (size_t)(slash - rest));
    segment_id[slash - rest] = '\0';
    mm_milvus1x_part *part = find(l->content, l->table_id, segment_id);
    return part != NULL ? take_file(l, part, key, slash + 1, object, err) : MM_OK;
}

/* All tables of the collection in one root; partitions have folders beside that of their collection. */
static mm_status list_root(const mm_milvus1x_where *where, const char *root, mm_arena *arena,
                           mm_milvus1x_content *content, mm_error *err)
{
    mm_storage *storage = NULL;
    char *key = NULL;
    mm_status status = mm_storage_open(root, where->options, &storage, &key, err);
    if (status != MM_OK)
        return status;
    size_t length = strlen(key);
    while (length > 0 && key[length - 1] == '/')
        length--;
    for (uint32_t i = 0; status == MM_OK && i < content->collection->partition_count; i++) {
        const mm_milvus1x_partition *partition = &content->collection->partitions[i];
        if (partition->segment_count == 0)
            continue;
        const char *slash = length > 0 || mm_storage_local(storage) ? "/" : "";
        char *prefix = mm_format("%.*s%s%s/", (int)length, key, slash, partition->table_id);
        listing l = {storage, arena, content, partition->table_id, prefix != NULL ? strlen(prefix) : 0};
        status = prefix != NULL ? mm_storage_list(storage, prefix, take_listed, &l, err) : no_memory(err);
        free(prefix);
    }
    free(key);
    mm_storage_close(storage);
    return status;
}

mm_status mm_milvus1x_locate(const mm_milvus1x_where *where, const mm_milvus1x_collection *collection, mm_arena *arena,
                             mm_milvus1x_content *out, mm_error *err)
{
    mm_status status = make_parts(collection, arena, out, err);
    for (size_t i = 0; status == MM_OK && out->count > 0 && i < where->root_count; i++)
        status = list_root(where, where->roots[i], arena, out, err);
    return status;
}

/* --- counting --------------------------------------------------------------------------------------------------- */

mm_status mm_milvus1x_open_file(const mm_milvus1x_where *where, const mm_milvus1x_file *file, mm_input **out,
                                mm_error *err)
{
    mm_input *input = NULL;
    mm_status status = mm_input_open(file->location, where->options, &input, err);
    if (status == MM_OK && input->size != file->object.size) {
        status = mm_error_set(err, MM_CHANGED, "%s: %" PRIu64 " bytes; it had %" PRIu64 " when the source was opened",
                              file->location, input->size, file->object.size);
        mm_input_close(input);
    }
    if (status == MM_OK)
        *out = input;
    return status;
}

mm_status mm_milvus1x_open_deleted(const mm_milvus1x_where *where, const mm_milvus1x_part *part, uint64_t first,
                                   uint64_t count, mm_milvus1x_deleted *out, mm_error *err)
{
    mm_input *input = NULL;
    *out = (mm_milvus1x_deleted){.first = first, .count = count};
    if (part->deleted.location == NULL)
        return MM_OK;
    mm_status status = mm_milvus1x_open_file(where, &part->deleted, &input, err);
    if (status == MM_OK)
        status = mm_milvus1x_deleted_read(input, &part->shape, first, count, out, err);
    mm_input_close(input);
    return status;
}

/* Each segment has to be somewhere, with vectors and ids. */
static mm_status check_found(const mm_milvus1x_where *where, const mm_milvus1x_part *part, mm_error *err)
{
    if (part->rv.location != NULL && part->uid.location != NULL)
        return MM_OK;
    if (part->folder != NULL)
        return mm_error_set(err, MM_NOT_FOUND, "%s: the segment has no file *.%s", part->folder,
                            part->rv.location == NULL ? "rv" : "uid");
    return mm_error_set(err, MM_NOT_FOUND,
                        "segment %s/%s has no files in %s%s; source.tables is the list of all data roots of "
                        "this Milvus", part->table_id, part->segment->segment_id, where->roots[0],
                        where->root_count > 1 ? " and the other roots" : "");
}

/* The lengths in front of local files are looked at here: damage is told before the first row is sent. Those of
 * objects cost requests: when they are read, unless the sizes alone say too little. */
static mm_status check_words(const mm_milvus1x_where *where, mm_milvus1x_part *part, bool open, mm_error *err)
{
    mm_input *rv = NULL, *uid = NULL;
    if (!open && mm_storage_is_remote(part->uid.location))
        return MM_OK;
    mm_status status = mm_milvus1x_open_file(where, &part->uid, &uid, err);
    if (status == MM_OK)
        status = mm_milvus1x_open_file(where, &part->rv, &rv, err);
    if (status == MM_OK)
        status = mm_milvus1x_shape_check(rv, uid, open, &part->shape, err);
    mm_input_close(rv);
    mm_input_close(uid);
    return status;
}

static mm_status measure_part(const mm_milvus1x_where *where, uint64_t row_bytes, mm_milvus1x_part *part, mm_error *err)
{
    mm_milvus1x_deleted deleted = {NULL, 0, 0, 0};
    mm_status status = check_found(where, part, err);
    if (status == MM_OK)
        status = mm_milvus1x_shape_of(part->folder, part->rv.object.size, part->uid.object.size, row_bytes,
                                      &part->shape, err);
    if (status == MM_OK || status == MM_END)
        status = check_words(where, part, status == MM_END, err);
    /* most lists are empty, which their size says; in an object store that has to do */
    const mm_milvus1x_file *list = &part->deleted;
    bool look = list->location != NULL &&
                (list->object.size != part->shape.head || !mm_storage_is_remote(list->location));
    if (status == MM_OK && look)
        status = mm_milvus1x_open_deleted(where, part, 0, part->shape.rows, &deleted, err);
    if (status == MM_OK)
        part->live = part->shape.rows - deleted.deleted;
    mm_milvus1x_deleted_free(&deleted);
    return status;
}

mm_status mm_milvus1x_measure(const mm_milvus1x_where *where, mm_milvus1x_content *content, mm_error *err)
{
    mm_status status = MM_OK;
    content->rows = content->without_deleted = 0;
    for (size_t i = 0; status == MM_OK && i < content->count; i++) {
        mm_milvus1x_part *part = &content->parts[i];
        status = measure_part(where, content->row_bytes, part, err);
        content->without_deleted += part->deleted.location == NULL;
        content->rows += part->live;
    }
    return status;
}
