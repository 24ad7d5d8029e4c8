/* Inside of the table sources. Files are found once (find.c) and put into collections and units; a unit is what one
 * reader of a format reads: a file, or the .npy files of a folder. Rows of a collection are numbered over its units in
 * their order, which is that of their names' bytes.
 *
 *     a folder with manifest.json                 what the target `files` wrote: everything is as the manifest says
 *     a folder whose folders have manifest.json   the same, a collection each
 *     files, or a folder of files                 one collection, its schema from source.schema or the first unit */
#ifndef MM_SOURCES_TABLES_INTERNAL_H
#define MM_SOURCES_TABLES_INTERNAL_H

#include <pthread.h>

#include "formats/manifest.h"
#include "sources/tables/tables.h"

typedef struct mm_table_file {
    const char *location; /* absolute path or URL */
    const char *field;    /* of a format with a file a field; else NULL */
    uint64_t bytes;
    uint64_t checksum;    /* by the manifest */
} mm_table_file;

typedef struct mm_table_unit {
    const mm_format_driver *format;
    mm_table_file *files;
    size_t file_count;
    uint32_t partition;
    uint64_t rows;  /* once they are counted */
    uint64_t first; /* number of its first row in the collection */
} mm_table_unit;

typedef struct mm_table_collection {
    const char *name;
    const char *place; /* of its manifest or folder, without a slash behind it: for messages, and to list it again */
    bool manifest;
    const char **partitions; /* none: everything is in _default */
    size_t partition_count;
    mm_table_unit *units;
    size_t unit_count;
    const mm_schema *in_files; /* what readers of its units are given */
    const mm_schema *schema;   /* of batches: as in the files, or with numbered ids in front */
    const mm_schema *keys;     /* the primary key alone */
    size_t primary;            /* in schema */
    bool numbered;
    uint64_t rows, bytes;
} mm_table_collection;

/* Files as they are found, before they are put in order. */
typedef struct mm_table_object {
    const char *location;
    size_t root; /* bytes of location that are the path which was asked for, with a slash; SIZE_MAX: it is the path */
    mm_object object;
} mm_table_object;
typedef struct mm_table_objects {
    mm_arena arena;
    mm_table_object *items;
    size_t count, capacity;
} mm_table_objects;

struct mm_source {
    mm_arena arena;
    const mm_options *options; /* the job's, which outlives the source */
    const mm_format_driver *format; /* of the driver; NULL: any (dump) */
    int64_t start_id;
    uint64_t extent_bytes;
    bool checksums, number_rows, shards, by_folder;
    const char *id_field, *vector_field;

    pthread_mutex_t lock; /* guards what follows; once set, it is never changed again */
    bool found, described;
    mm_table_collection *collections;
    size_t count;
};

/* --- find.c ----------------------------------------------------------------------------------------------------- */

/* All files that source.path names, in order. Freed by mm_arena_free and free(items). */
mm_status mm_tables_list(mm_source *source, mm_table_objects *out, mm_error *err);
void mm_table_objects_free(mm_table_objects *objects);
/* Collections and units, with the lock held. */
mm_status mm_tables_find(mm_source *source, mm_error *err);

/* --- units.c: files into collections and units ------------------------------------------------------------------ */

bool mm_tables_is_ours(const mm_source *source, const char *location);
/* The format of a file, by its name; not NULL for one that is ours. */
const mm_format_driver *mm_tables_format_of(const mm_source *source, const char *location);
mm_status mm_tables_from_files(mm_source *source, const mm_table_objects *objects, mm_table_collection *out,
                               mm_error *err);
/* manifest: the object of that name among the others. */
mm_status mm_tables_from_manifest(mm_source *source, const mm_table_objects *objects, const mm_table_object *manifest,
                                  mm_table_collection *out, mm_error *err);

/* --- schema.c --------------------------------------------------------------------------------------------------- */

/* Rows of units, schemas; with the lock held. */
mm_status mm_tables_describe(mm_source *source, mm_table_collection *collection, mm_error *err);

/* --- rows.c ----------------------------------------------------------------------------------------------------- */

/* A unit, opened. field: NULL for all its files, else the one of this field alone (.npy). */
typedef struct mm_table_open {
    mm_input **inputs;
    const char **names;
    size_t count;
    mm_format_reader *reader;
} mm_table_open;
mm_status mm_tables_unit_open(const mm_source *source, const mm_table_unit *unit, const char *field,
                              const mm_schema *schema, mm_table_open *out, mm_error *err);
void mm_tables_unit_close(const mm_table_unit *unit, mm_table_open *open);

/* What an extent's spec says, as text: "unit first rows at". */
typedef struct mm_table_extent {
    uint64_t unit;
    mm_format_part part;
} mm_table_extent;
#define MM_TABLE_SPEC 128
size_t mm_tables_spec_print(const mm_table_extent *extent, char out[MM_TABLE_SPEC]);
/* MM_CHANGED: not an extent of this collection. */
mm_status mm_tables_spec_parse(const mm_table_collection *collection, const mm_extent *extent, mm_table_extent *out,
                               mm_error *err);
mm_status mm_tables_read_open(mm_source *source, const mm_table_collection *collection, const mm_extent *extent,
                              const mm_cursor *cursor, mm_read_mode mode, mm_reader **out, mm_error *err);
mm_status mm_tables_read_next(mm_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err);
void mm_tables_read_close(mm_reader *reader);

/* --- inspect.c -------------------------------------------------------------------------------------------------- */

mm_status mm_tables_inspect(const mm_format_driver *format, const char *location, mm_buffer *text, mm_error *err);

#endif
