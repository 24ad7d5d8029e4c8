/* What the metadata of a Milvus 0.9 to 1.x says: collections, their partitions, the segments that hold their rows.
 * Three providers read it (SQLite, MySQL, an exported meta.json): each hands over rows as they stand in the tables
 * `Tables` and `TableFiles`; what they mean together is decided once, by mm_milvus1x_meta_finish, so that a collection
 * is the same wherever its metadata came from. Knows no segment's files.
 *
 * Source of the facts: Milvus 1.1 core/src/db/meta (MetaTypes.h, MetaSchema.h, SqliteMetaImpl.cpp). */
#ifndef MM_SOURCES_MILVUS1X_META_H
#define MM_SOURCES_MILVUS1X_META_H

#include "base/arena.h"
#include "base/error.h"
#include "config/options.h"

/* Tables.state */
enum { MM_MILVUS1X_NORMAL = 0, MM_MILVUS1X_DROPPED = 1 };

/* Tables.metric_type; from HAMMING on vectors are binary. */
enum {
    MM_MILVUS1X_L2 = 1,
    MM_MILVUS1X_IP,
    MM_MILVUS1X_HAMMING,
    MM_MILVUS1X_JACCARD,
    MM_MILVUS1X_TANIMOTO,
    MM_MILVUS1X_SUBSTRUCTURE,
    MM_MILVUS1X_SUPERSTRUCTURE
};

/* TableFiles.file_type. Rows of a segment count when it has a file of type RAW, TO_INDEX, BACKUP (its vectors beside
 * an index) or INDEX; NEW, NEW_MERGE and NEW_INDEX are not finished; TO_DELETE waits for its removal. */
enum {
    MM_MILVUS1X_NEW = 0,
    MM_MILVUS1X_RAW,
    MM_MILVUS1X_TO_INDEX,
    MM_MILVUS1X_INDEX,
    MM_MILVUS1X_TO_DELETE,
    MM_MILVUS1X_NEW_MERGE,
    MM_MILVUS1X_NEW_INDEX,
    MM_MILVUS1X_BACKUP
};

/* A row of `Tables`: a collection, or a partition of one. Strings may be NULL, which is as empty. */
typedef struct mm_milvus1x_table_row {
    const char *table_id;      /* a collection's name; also the name of the folder of its segments */
    const char *owner_table;   /* of a partition: its collection's table_id; a collection: empty */
    const char *partition_tag; /* of a partition: what users call it */
    int64_t state;
    int64_t dimension; /* elements; of binary vectors bits */
    int64_t created;   /* created_on: microseconds since 1970; 0: not known */
    int64_t flag;      /* 1: ids were made by Milvus; 2: given by users; 0: not known */
    int64_t index_file_size; /* bytes; 0: not known */
    int64_t engine_type;     /* 1 FLAT … 12 ANNOY; 0: not known */
    const char *index_params; /* JSON object */
    int64_t metric_type;
} mm_milvus1x_table_row;

/* A row of `TableFiles`. */
typedef struct mm_milvus1x_file_row {
    const char *table_id;   /* of the collection or partition */
    const char *segment_id; /* the folder of its files */
    int64_t engine_type;
    int64_t file_type;
    int64_t file_size;
    int64_t row_count; /* never trusted: each delete subtracts the size of its request from it */
    int64_t updated;   /* updated_time: microseconds since 1970; 0: not known */
    int64_t created;   /* created_on, the same */
} mm_milvus1x_file_row;

typedef struct mm_milvus1x_segment {
    const char *segment_id;
    int64_t created, updated;
    int64_t row_count; /* never trusted, may be negative */
    int64_t file_size;
    int64_t file_type; /* of its vectors: RAW, TO_INDEX or BACKUP; INDEX where the metadata has only that */
} mm_milvus1x_segment;

/* Rows that users put into one partition. */
typedef struct mm_milvus1x_partition {
    const char *tag;      /* "_default" for what is in none */
    const char *table_id; /* folder */
    mm_milvus1x_segment *segments; /* live ones, oldest first: by time of creation, then segment_id as a number */
    size_t segment_count;
} mm_milvus1x_partition;

typedef struct mm_milvus1x_collection {
    const char *name;  /* table_id */
    uint32_t dimension; /* above 0; of binary vectors bits, a multiple of 8 */
    bool binary;
    int64_t metric_type, flag, index_file_size, engine_type, created;
    const char *index_params; /* JSON object; "" when there is none */
    mm_milvus1x_partition *partitions; /* the first is _default; the others by tag */
    size_t partition_count;            /* at least 1 */
} mm_milvus1x_collection;

/* A segment that is not read because it is not finished: for a line of the log. */
typedef struct mm_milvus1x_unfinished {
    const char *collection, *tag, *segment_id;
    int64_t file_type;
} mm_milvus1x_unfinished;

typedef struct mm_milvus1x_meta {
    mm_arena arena;   /* everything below lives in it */
    const char *name; /* where it came from: for messages; never with a password */
    /* While a provider is at work: rows as they came, in malloc'd arrays. */
    mm_milvus1x_table_row *table_rows;
    mm_milvus1x_file_row *file_rows;
    size_t table_row_count, table_row_capacity, file_row_count, file_row_capacity;
    /* Afterwards: collections that are not dropped, by name. */
    mm_milvus1x_collection *collections;
    size_t collection_count;
    mm_milvus1x_unfinished *unfinished;
    size_t unfinished_count;
} mm_milvus1x_meta;
#define MM_MILVUS1X_META_INIT {.arena = MM_ARENA_INIT}

/* --- providers: each fills an empty meta, finished; on failure too the caller frees it ---------------------------- */

/* location: the file meta.sqlite, local or in an object store. It is not changed, nor is anything written beside it;
 * what its WAL holds is seen. options: of a table with MM_STORAGE_OPTIONS; NULL: defaults. */
mm_status mm_milvus1x_meta_sqlite(const char *location, const mm_options *options, mm_milvus1x_meta *meta,
                                  mm_error *err) MM_MUST_USE;
/* options: of a table with MM_MILVUS1X_MYSQL_OPTIONS (mysql.h), `mysql` given. MM_UNAVAILABLE, MM_QUOTA: the server is
 * not there for now; MM_AUTH: it refuses the user; MM_NOT_FOUND: no such database, or no Milvus's. */
mm_status mm_milvus1x_meta_mysql(const mm_options *options, mm_milvus1x_meta *meta, mm_error *err) MM_MUST_USE;
/* location: a meta.json as `mmresume export` and milvus-migration's export write it, local or in an object store. */
mm_status mm_milvus1x_meta_json(const char *location, const mm_options *options, mm_milvus1x_meta *meta,
                                mm_error *err) MM_MUST_USE;

/* --- for providers ------------------------------------------------------------------------------------------------ */

/* Copy a row, strings too. MM_DATA where a table_id or segment_id is empty or is no name of a folder ("..", with a
 * slash): they become parts of paths. */
mm_status mm_milvus1x_meta_table(mm_milvus1x_meta *meta, const mm_milvus1x_table_row *row, mm_error *err) MM_MUST_USE;
mm_status mm_milvus1x_meta_file(mm_milvus1x_meta *meta, const mm_milvus1x_file_row *row, mm_error *err) MM_MUST_USE;
/* Turns the rows into collections, in any order of the rows. MM_DATA names what cannot be: a state, metric or dimension
 * that Milvus does not have, a table_id or a tag of a collection twice. Partitions and files whose table is not there
 * are told in the log and left out. */
mm_status mm_milvus1x_meta_finish(mm_milvus1x_meta *meta, mm_error *err) MM_MUST_USE;

/* Keeps only those partitions of every collection, by their tags; a collection may then have none. count 0: keeps all.
 * MM_CONFIG names one that no collection has. */
mm_status mm_milvus1x_meta_choose(mm_milvus1x_meta *meta, const char *const *tags, size_t count,
                                  mm_error *err) MM_MUST_USE;

void mm_milvus1x_meta_free(mm_milvus1x_meta *meta);

/* Below 0: a is older than b. */
int mm_milvus1x_segment_compare(const mm_milvus1x_segment *a, const mm_milvus1x_segment *b);

/* "L2", "IP", "HAMMING", …; NULL: unknown. */
const char *mm_milvus1x_metric_name(int64_t metric_type);
/* "RAW", "TO_INDEX", …; "unknown" for others. */
const char *mm_milvus1x_file_type_name(int64_t file_type);

#endif
