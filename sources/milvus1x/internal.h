/* Inside of the milvus1x source: metadata (meta.h) and the files of segments (segment.h) brought together. */
#ifndef MM_SOURCES_MILVUS1X_INTERNAL_H
#define MM_SOURCES_MILVUS1X_INTERNAL_H

#include <pthread.h>

#include "sources/milvus1x/meta.h"
#include "sources/milvus1x/segment.h"
#include "storage/storage.h"

/* One file of a segment as a listing shows it. */
typedef struct mm_milvus1x_file {
    const char *location; /* path or URL; NULL: there is none */
    mm_object object;
} mm_milvus1x_file;

/* A live segment with its files. */
typedef struct mm_milvus1x_part {
    const mm_milvus1x_segment *segment;
    const char *table_id;
    uint32_t partition;   /* of the collection */
    const char *folder;   /* where its files are; NULL: found in no root */
    mm_milvus1x_file rv, uid, deleted;
    /* Once it is measured. */
    mm_milvus1x_shape shape;
    uint64_t live; /* rows that are not deleted */
} mm_milvus1x_part;

/* The segments of one collection over all its partitions. */
typedef struct mm_milvus1x_content {
    const mm_milvus1x_collection *collection;
    mm_milvus1x_part *parts; /* oldest first */
    mm_milvus1x_part **by_name; /* by table_id, then segment_id */
    size_t count;
    uint64_t row_bytes; /* of a vector */
    /* Once it is measured. */
    uint64_t rows;           /* live ones */
    uint64_t without_deleted; /* segments that have no file deleted_docs */
} mm_milvus1x_content;

/* What source.path, meta, mysql, tables and partitions name. Borrowed strings. */
typedef struct mm_milvus1x_where {
    const char *path, *meta, *mysql; /* NULL: not given */
    const char *const *roots;        /* folders of collections' folders */
    size_t root_count;
    const char *const *partitions; /* tags of those that are wanted; count 0: all */
    size_t partition_count;
    const mm_options *options; /* of the storage; NULL: defaults */
} mm_milvus1x_where;

/* Reads the metadata. With `path`: of db/meta.sqlite in it, or meta.sqlite. An empty meta comes in. */
mm_status mm_milvus1x_meta_load(const mm_milvus1x_where *where, mm_milvus1x_meta *meta, mm_error *err) MM_MUST_USE;
/* Appends a text that changes when the metadata's file does; nothing where that cannot be said. */
mm_status mm_milvus1x_meta_identity(const mm_milvus1x_where *where, const char *name, mm_buffer *out,
                                    mm_error *err) MM_MUST_USE;

/* Finds the files of a collection's segments in the roots. Everything lives in the arena. */
mm_status mm_milvus1x_locate(const mm_milvus1x_where *where, const mm_milvus1x_collection *collection, mm_arena *arena,
                             mm_milvus1x_content *out, mm_error *err) MM_MUST_USE;
/* Counts rows from the files: shapes and live rows of all segments. */
mm_status mm_milvus1x_measure(const mm_milvus1x_where *where, mm_milvus1x_content *content, mm_error *err) MM_MUST_USE;
/* NULL: no such segment. */
const mm_milvus1x_part *mm_milvus1x_find(const mm_milvus1x_content *content, const char *table_id,
                                         const char *segment_id);
/* Opens a file of a segment; MM_CHANGED when its size is not that of the listing. */
mm_status mm_milvus1x_open_file(const mm_milvus1x_where *where, const mm_milvus1x_file *file, mm_input **out,
                                mm_error *err) MM_MUST_USE;
/* The deleted rows of a range of a segment's rows. */
mm_status mm_milvus1x_open_deleted(const mm_milvus1x_where *where, const mm_milvus1x_part *part, uint64_t first,
                                   uint64_t count, mm_milvus1x_deleted *out, mm_error *err) MM_MUST_USE;

/* "IVF_FLAT", …: what Milvus 2.x calls it; NULL: it has none. */
const char *mm_milvus1x_index_name(const mm_milvus1x_collection *collection);
/* The metric of Milvus 2.x. */
const char *mm_milvus1x_metric_hint(const mm_milvus1x_collection *collection);

mm_status mm_milvus1x_inspect(const char *location, mm_buffer *text, mm_error *err) MM_MUST_USE;

#endif
