/* Inside of the hdf5 source. A file is looked at once; its datasets, as they were found then, are what every extent of
 * it is read by. Rows are numbered over the files in their order. */
#ifndef MM_SOURCES_HDF5_INTERNAL_H
#define MM_SOURCES_HDF5_INTERNAL_H

#include "sources/hdf5/child.h"
#include "sources/hdf5/hdf5.h"
#include "storage/input.h"

typedef struct mm_hdf5_file {
    const char *path;
    uint64_t size;
    char identity[MM_INPUT_IDENTITY]; /* as it was looked at */
    mm_hdf5_layout layout;
    uint32_t partition;
    uint64_t first; /* number of its first row */
} mm_hdf5_file;

struct mm_source {
    mm_arena arena;
    const mm_options *options; /* the job's, which outlives the source */
    const char *collection, *vectors, *ids, *id_field, *vector_field;
    mm_type vector_type; /* MM_TYPE_NONE: by the data */
    bool by_file;        /* each file is a partition */
    int64_t start_id;
    uint64_t extent_bytes, extent_rows, chunk_memory;
    mm_hdf5_pool pool;

    pthread_mutex_t lock; /* guards what follows; once set, it is never changed again */
    bool found;
    mm_hdf5_file *files;
    size_t file_count;
    const char **partitions;
    size_t partition_count;
    bool numbered;
    mm_schema *schema, *keys; /* of batches: ids and vectors; ids alone */
    uint64_t rows;
};

/* --- files.c ---------------------------------------------------------------------------------------------------- */

/* The paths that source.path or source.dir names, in order; they live in the arena. */
mm_status mm_hdf5_paths(const mm_options *options, mm_arena *arena, const char ***out, size_t *count,
                        mm_error *err) MM_MUST_USE;
/* Finds and looks at the files, with the lock held. */
mm_status mm_hdf5_find(mm_source *source, mm_error *err) MM_MUST_USE;

/* --- rows.c ----------------------------------------------------------------------------------------------------- */

/* As mm_source_driver.plan, read_open, next and read_close, of a source that is found. */
mm_status mm_hdf5_plan(const mm_source *source, mm_extent_fn emit, void *context, mm_error *err) MM_MUST_USE;
mm_status mm_hdf5_read_open(mm_source *source, const mm_extent *extent, const mm_cursor *cursor, mm_read_mode mode,
                            mm_reader **out, mm_error *err) MM_MUST_USE;
mm_status mm_hdf5_read_next(mm_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch,
                            mm_error *err) MM_MUST_USE;
void mm_hdf5_read_close(mm_reader *reader);

#endif
