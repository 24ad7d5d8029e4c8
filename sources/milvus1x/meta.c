/* From rows of the metadata's tables to collections, partitions and live segments. Knows no database. */
#include "sources/milvus1x/meta.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "model/schema.h"

#define NAME_MOST 255         /* bytes of a folder's name; the columns are VARCHAR(255) too */
#define DIMENSION_MOST 1000000 /* far above what any release allows: only to keep sizes small */

static mm_status no_memory(const mm_milvus1x_meta *meta, mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", meta->name ? meta->name : "metadata");
}

const char *mm_milvus1x_metric_name(int64_t metric_type)
{
    static const char *const names[] = {NULL,      "L2",       "IP",           "HAMMING",
                                        "JACCARD", "TANIMOTO", "SUBSTRUCTURE", "SUPERSTRUCTURE"};
    return metric_type >= 0 && metric_type < (int64_t)MM_COUNT(names) ? names[metric_type] : NULL;
}

const char *mm_milvus1x_file_type_name(int64_t file_type)
{
    static const char *const names[] = {"NEW", "RAW", "TO_INDEX", "INDEX", "TO_DELETE", "NEW_MERGE", "NEW_INDEX",
                                        "BACKUP"};
    return file_type >= 0 && file_type < (int64_t)MM_COUNT(names) ? names[file_type] : "unknown";
}

static bool is_among(const char *tag, const char *const *tags, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tags[i], tag) == 0)
            return true;
    return false;
}

static bool has_partition(const mm_milvus1x_meta *meta, const char *tag)
{
    for (size_t i = 0; i < meta->collection_count; i++)
        for (size_t j = 0; j < meta->collections[i].partition_count; j++)
            if (strcmp(meta->collections[i].partitions[j].tag, tag) == 0)
                return true;
    return false;
}

mm_status mm_milvus1x_meta_choose(mm_milvus1x_meta *meta, const char *const *tags, size_t count, mm_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!has_partition(meta, tags[i]))
            return mm_error_set(err, MM_CONFIG, "%s: no collection has the partition `%.200s` (source.partitions)",
                                meta->name, tags[i]);
    for (size_t i = 0; count > 0 && i < meta->collection_count; i++) {
        mm_milvus1x_collection *c = &meta->collections[i];
        size_t kept = 0;
        for (size_t j = 0; j < c->partition_count; j++)
            if (is_among(c->partitions[j].tag, tags, count))
                c->partitions[kept++] = c->partitions[j];
        c->partition_count = kept;
    }
    return MM_OK;
}

void mm_milvus1x_meta_free(mm_milvus1x_meta *meta)
{
    free(meta->table_rows);
    free(meta->file_rows);
    mm_arena_free(&meta->arena);
    *meta = (mm_milvus1x_meta)MM_MILVUS1X_META_INIT;
}

/* --- taking rows ------------------------------------------------------------------------------------------------ */

/* Room for one more of `size` bytes; NULL: no memory. */
static void *grow(void **items, size_t *count, size_t *capacity, size_t size)
{
    if (*count == *capacity) {
        size_t more = *capacity > 0 ? 2 * *capacity : 64;
        void *grown = reallocarray(*items, more, size);
        if (grown == NULL)
            return NULL;
        *items = grown;
        *capacity = more;
    }
    return (char *)*items + (*count)++ * size;
}

/* A table_id or segment_id is the name of a folder; foreign metadata must not lead out of the data folder. */
static mm_status check_name(const mm_milvus1x_meta *meta, const char *what, const char *name, mm_error *err)
{
    size_t length = name != NULL ? strlen(name) : 0;
    if (length > 0 && length <= NAME_MOST && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
        strcmp(name, "..") != 0)
        return MM_OK;
    return mm_error_set(err, MM_DATA, "%s: a %s is \"%.80s\", which is no name of a folder", meta->name, what,
                        name != NULL ? name : "");
}

static const char *copy(mm_milvus1x_meta *meta, const char *text)
{
    return mm_arena_strdup(&meta->arena, text != NULL ? text : "");
}

mm_status mm_milvus1x_meta_table(mm_milvus1x_meta *meta, const mm_milvus1x_table_row *row, mm_error *err)
{
    mm_status status = check_name(meta, "table_id", row->table_id, err);
    if (status != MM_OK)
        return status;
    mm_milvus1x_table_row *own = grow((void **)&meta->table_rows, &meta->table_row_count, &meta->table_row_capacity,
                                      sizeof(*own));
    if (own == NULL)
        return no_memory(meta, err);
    *own = *row;
    own->table_id = copy(meta, row->table_id);
    own->owner_table = copy(meta, row->owner_table);
    own->partition_tag = copy(meta, row->partition_tag);
    own->index_params = copy(meta, row->index_params);
    bool room = own->table_id && own->owner_table && own->partition_tag && own->index_params;
    return room ? MM_OK : no_memory(meta, err);
}

mm_status mm_milvus1x_meta_file(mm_milvus1x_meta *meta, const mm_milvus1x_file_row *row, mm_error *err)
{
    mm_status status = check_name(meta, "table_id", row->table_id, err);
    if (status == MM_OK)
        status = check_name(meta, "segment_id", row->segment_id, err);
    if (status != MM_OK)
        return status;
    mm_milvus1x_file_row *own = grow((void **)&meta->file_rows, &meta->file_row_count, &meta->file_row_capacity,
                                     sizeof(*own));
    if (own == NULL)
        return no_memory(meta, err);
    *own = *row;
    own->table_id = copy(meta, row->table_id);
    own->segment_id = copy(meta, row->segment_id);
    return own->table_id && own->segment_id ? MM_OK : no_memory(meta, err);
}

/* --- tables ----------------------------------------------------------------------------------------------------- */

static bool is_partition(const mm_milvus1x_table_row *row)
{
    return row->owner_table[0] != '\0';
}

static int by_table(const void *a, const void *b)
{
    const mm_milvus1x_table_row *x = a, *y = b;
    int order = strcmp(x->table_id, y->table_id);
    return order != 0 ? order : (x->state > y->state) - (x->state < y->state);
}

static int table_by_name(const void *name, const void *row)
{
    return strcmp(name, ((const mm_milvus1x_table_row *)row)->table_id);
}

static const mm_milvus1x_table_row *find_table(const mm_milvus1x_meta *meta, const char *table_id)
{
    if (meta->table_row_count == 0)
        return NULL;
    return bsearch(table_id, meta->table_rows, meta->table_row_count, sizeof(*meta->table_rows), table_by_name);
}

/* Sorted, each table once (a dropped one of the same name aside), with states that Milvus has. */
static mm_status order_tables(mm_milvus1x_meta *meta, mm_error *err)
{
    mm_milvus1x_table_row *rows = meta->table_rows;
    size_t kept = 0;
    if (meta->table_row_count > 1)
        qsort(rows, meta->table_row_count, sizeof(*rows), by_table);
    for (size_t i = 0; i < meta->table_row_count; i++) {
        if (rows[i].state != MM_MILVUS1X_NORMAL && rows[i].state != MM_MILVUS1X_DROPPED)
            return mm_error_set(err, MM_DATA,
                                "%s: table `%.80s` has the state %" PRId64 ", which Milvus 1.x does not know",
                                meta->name, rows[i].table_id, rows[i].state);
        bool again = kept > 0 && strcmp(rows[kept - 1].table_id, rows[i].table_id) == 0;
        if (again && rows[i].state == MM_MILVUS1X_NORMAL)
            return mm_error_set(err, MM_DATA, "%s: table `%.80s` is there twice", meta->name, rows[i].table_id);
        if (!again)
            rows[kept++] = rows[i];
    }
    meta->table_row_count = kept;
    return MM_OK;
}

static mm_status fill_collection(mm_milvus1x_meta *meta, const mm_milvus1x_table_row *row, mm_milvus1x_collection *out,
                                 mm_error *err)
{
    bool binary = row->metric_type >= MM_MILVUS1X_HAMMING;
    if (mm_milvus1x_metric_name(row->metric_type) == NULL)
        return mm_error_set(err, MM_DATA,
                            "%s: collection `%.80s` has the metric %" PRId64 ", which Milvus 1.x does not know",
                            meta->name, row->table_id, row->metric_type);
    if (row->dimension <= 0 || row->dimension > DIMENSION_MOST || (binary && row->dimension % 8 != 0))
        return mm_error_set(err, MM_DATA, "%s: collection `%.80s` has vectors of dimension %" PRId64 "%s", meta->name,
                            row->table_id, row->dimension, binary ? " (binary: a multiple of 8 is wanted)" : "");
    *out = (mm_milvus1x_collection){.name = row->table_id, .dimension = (uint32_t)row->dimension, .binary = binary,
                                    .metric_type = row->metric_type, .flag = row->flag,
                                    .index_file_size = row->index_file_size, .engine_type = row->engine_type,
                                    .created = row->created, .index_params = row->index_params};
    return MM_OK;
}

static mm_milvus1x_collection *find_collection(const mm_milvus1x_meta *meta, const char *name)
{
    for (size_t low = 0, high = meta->collection_count; low < high;) {
        size_t at = low + (high - low) / 2;
        int order = strcmp(name, meta->collections[at].name);
        if (order == 0)
            return &meta->collections[at];
        if (order < 0)
            high = at;
        else
            low = at + 1;
    }
    return NULL;
}

/* Collections by name, each with room for its partitions. */
static mm_status make_collections(mm_milvus1x_meta *meta, mm_error *err)
{
    meta->collections = mm_arena_array(&meta->arena, meta->table_row_count + 1, sizeof(*meta->collections));
    if (meta->collections == NULL)
        return no_memory(meta, err);
    for (size_t i = 0; i < meta->table_row_count; i++) {
        const mm_milvus1x_table_row *row = &meta->table_rows[i];
        if (row->state != MM_MILVUS1X_NORMAL || is_partition(row))
            continue;
        mm_status status = fill_collection(meta, row, &meta->collections[meta->collection_count], err);
        if (status != MM_OK)
            return status;
        meta->collections[meta->collection_count++].partition_count = 1;
    }
    return MM_OK;
}

/* The collection of a partition that counts; NULL: it does not. */
static mm_milvus1x_collection *owner_of(const mm_milvus1x_meta *meta, const mm_milvus1x_table_row *row)
{
    if (row->state != MM_MILVUS1X_NORMAL || !is_partition(row))
        return NULL;
    return find_collection(meta, row->owner_table);
}

static int by_tag(const void *a, const void *b)
{
    return strcmp(((const mm_milvus1x_partition *)a)->tag, ((const mm_milvus1x_partition *)b)->tag);
}

static mm_status check_tags(const mm_milvus1x_meta *meta, const mm_milvus1x_collection *c, mm_error *err)
{
    for (size_t i = 0; i < c->partition_count; i++) {
        const char *tag = c->partitions[i].tag;
        bool again = i > 0 && (strcmp(tag, MM_DEFAULT_PARTITION) == 0 || strcmp(tag, c->partitions[i - 1].tag) == 0);
        if (tag[0] == '\0' || again)
            return mm_error_set(err, MM_DATA,
                                "%s: collection `%.80s`: the partition tag \"%.80s\" is there twice or empty",
                                meta->name, c->name, tag);
    }
    return MM_OK;
}

static mm_status make_partitions(mm_milvus1x_meta *meta, mm_error *err)
{
    for (size_t i = 0; i < meta->table_row_count; i++) {
        const mm_milvus1x_table_row *row = &meta->table_rows[i];
        mm_milvus1x_collection *owner = owner_of(meta, row);
        if (owner != NULL)
            owner->partition_count++;
        else if (row->state == MM_MILVUS1X_NORMAL && is_partition(row) && find_table(meta, row->owner_table) == NULL)
            mm_log(MM_LOG_WARN, "%s: partition `%s` (%s) is left out: its collection `%s` is not there", meta->name,
                   row->partition_tag, row->table_id, row->owner_table);
    }
    for (size_t i = 0; i < meta->collection_count; i++) {
        mm_milvus1x_collection *c = &meta->collections[i];
        c->partitions = mm_arena_array(&meta->arena, c->partition_count, sizeof(*c->partitions));
        if (c->partitions == NULL)
            return no_memory(meta, err);
        c->partitions[0] = (mm_milvus1x_partition){.tag = MM_DEFAULT_PARTITION, .table_id = c->name};
        c->partition_count = 1;
    }
    for (size_t i = 0; i < meta->table_row_count; i++) {
        const mm_milvus1x_table_row *row = &meta->table_rows[i];
        mm_milvus1x_collection *owner = owner_of(meta, row);
        if (owner != NULL)
            owner->partitions[owner->partition_count++] =
                (mm_milvus1x_partition){.tag = row->partition_tag, .table_id = row->table_id};
    }
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < meta->collection_count; i++) {
        mm_milvus1x_collection *c = &meta->collections[i];
        if (c->partition_count > 2)
            qsort(c->partitions + 1, c->partition_count - 1, sizeof(*c->partitions), by_tag);
        status = check_tags(meta, c, err);
    }
    return status;
}

/* --- segments --------------------------------------------------------------------------------------------------- */

/* Ids are numbers made from the clock; as numbers they are in the order of time. */
static int compare_ids(const char *a, const char *b)
{
    size_t a_digits = strspn(a, "0123456789"), b_digits = strspn(b, "0123456789");
    if (a[a_digits] != '\0' || b[b_digits] != '\0')
        return strcmp(a, b);
    size_t a_zeros = strspn(a, "0"), b_zeros = strspn(b, "0");
    if (a_digits - a_zeros != b_digits - b_zeros)
        return a_digits - a_zeros < b_digits - b_zeros ? -1 : 1;
    int order = strcmp(a + a_zeros, b + b_zeros);
    return order != 0 ? order : strcmp(a, b);
}

int mm_milvus1x_segment_compare(const mm_milvus1x_segment *a, const mm_milvus1x_segment *b)
{
    if (a->created != b->created)
        return a->created < b->created ? -1 : 1;
    return compare_ids(a->segment_id, b->segment_id);
}

static int by_age(const void *a, const void *b)
{
    return mm_milvus1x_segment_compare(a, b);
}

/* How much a row says of its segment: its vectors, before an index of them. */
static int rank(int64_t file_type)
{
    switch (file_type) {
    case MM_MILVUS1X_RAW:
    case MM_MILVUS1X_TO_INDEX:
    case MM_MILVUS1X_BACKUP:
        return 0;
    case MM_MILVUS1X_INDEX:
        return 1;
    case MM_MILVUS1X_TO_DELETE:
        return 3;
    default:
        return 2; /* not finished */
    }
}

/* By segment, and of a segment the row that says most of it first. */
static int by_segment(const void *a, const void *b)
{
    const mm_milvus1x_file_row *x = a, *y = b;
    int order = strcmp(x->table_id, y->table_id);
    if (order == 0)
        order = strcmp(x->segment_id, y->segment_id);
    if (order == 0)
        order = rank(x->file_type) - rank(y->file_type);
    if (order == 0)
        order = (x->created > y->created) - (x->created < y->created);
    return order;
}

typedef struct owner {
    mm_milvus1x_collection *collection;
    mm_milvus1x_partition *partition;
} owner;

static owner find_owner(const mm_milvus1x_meta *meta, const char *table_id)
{
    const mm_milvus1x_table_row *row = find_table(meta, table_id);
    owner none = {NULL, NULL};
    if (row == NULL || row->state != MM_MILVUS1X_NORMAL)
        return none;
    mm_milvus1x_collection *c = is_partition(row) ? owner_of(meta, row) : find_collection(meta, table_id);
    for (size_t i = 0; c != NULL && i < c->partition_count; i++)
        if (strcmp(c->partitions[i].table_id, table_id) == 0)
            return (owner){c, &c->partitions[i]};
    return none;
}

/* The rows of one table, from..to; of each segment the first decides. */
static mm_status take_segments(mm_milvus1x_meta *meta, owner at, size_t from, size_t to, mm_error *err)
{
    mm_milvus1x_partition *partition = at.partition;
    partition->segments = mm_arena_array(&meta->arena, to - from, sizeof(*partition->segments));
    if (partition->segments == NULL)
        return no_memory(meta, err);
    for (size_t i = from; i < to; i++) {
        const mm_milvus1x_file_row *row = &meta->file_rows[i];
        if (i > from && strcmp(row->segment_id, row[-1].segment_id) == 0)
            continue;
        if (rank(row->file_type) < 2)
            partition->segments[partition->segment_count++] =
                (mm_milvus1x_segment){.segment_id = row->segment_id, .created = row->created, .updated = row->updated,
                                      .row_count = row->row_count, .file_size = row->file_size,
                                      .file_type = row->file_type};
        else if (rank(row->file_type) == 2)
            meta->unfinished[meta->unfinished_count++] =
                (mm_milvus1x_unfinished){at.collection->name, partition->tag, row->segment_id, row->file_type};
    }
    if (partition->segment_count > 1)
        qsort(partition->segments, partition->segment_count, sizeof(*partition->segments), by_age);
    return MM_OK;
}

static mm_status make_segments(mm_milvus1x_meta *meta, mm_error *err)
{
    mm_milvus1x_file_row *rows = meta->file_rows;
    size_t count = meta->file_row_count;
    mm_status status = MM_OK;
    for (size_t i = 0; i < count; i++)
        if (rows[i].file_type < MM_MILVUS1X_NEW || rows[i].file_type > MM_MILVUS1X_BACKUP)
            return mm_error_set(err, MM_DATA, "%s: segment %.80s of `%.80s` has a file of type %" PRId64
                                ", which Milvus 1.x does not know", meta->name, rows[i].segment_id, rows[i].table_id,
                                rows[i].file_type);
    if (count > 1)
        qsort(rows, count, sizeof(*rows), by_segment);
    meta->unfinished = mm_arena_array(&meta->arena, count + 1, sizeof(*meta->unfinished));
    if (meta->unfinished == NULL)
        return no_memory(meta, err);
    for (size_t from = 0, to; status == MM_OK && from < count; from = to) {
        for (to = from + 1; to < count && strcmp(rows[to].table_id, rows[from].table_id) == 0;)
            to++;
        owner at = find_owner(meta, rows[from].table_id);
        if (at.partition != NULL)
            status = take_segments(meta, at, from, to, err);
        else if (find_table(meta, rows[from].table_id) == NULL)
            mm_log(MM_LOG_WARN, "%s: %zu files of `%s` are left out: there is no such collection", meta->name,
                   to - from, rows[from].table_id);
    }
    return status;
}

mm_status mm_milvus1x_meta_finish(mm_milvus1x_meta *meta, mm_error *err)
{
    mm_status status = order_tables(meta, err);
    if (status == MM_OK)
        status = make_collections(meta, err);
    if (status == MM_OK)
        status = make_partitions(meta, err);
    if (status == MM_OK)
        status = make_segments(meta, err);
    free(meta->table_rows); /* the strings stay in the arena */
    free(meta->file_rows);
    meta->table_rows = NULL;
    meta->file_rows = NULL;
    meta->table_row_count = meta->table_row_capacity = meta->file_row_count = meta->file_row_capacity = 0;
    return status;
}
