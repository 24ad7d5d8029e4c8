/* The HDF5 library in a process of its own. It trusts files: a damaged one can crash it, or keep it busy for ever. So
 * it runs in a child, which is forked, told what to do by messages, and puts rows into memory that both have. When the
 * library ends the child, or uses more processor time than any sound file needs, that is an error with the file's name.
 * Several children read at once: the library's lock is one for each process. docs/hdf5.md, "A process of its own". */
#ifndef MM_SOURCES_HDF5_CHILD_H
#define MM_SOURCES_HDF5_CHILD_H

#include <pthread.h>

#include "sources/hdf5/front.h"

/* Bytes of the memory that is shared, in two parts: blocks of vectors, blocks of ids. */
#define MM_HDF5_VECTORS_ROOM ((size_t)8 << 20)
#define MM_HDF5_IDS_ROOM ((size_t)1 << 20)

typedef struct mm_hdf5_child mm_hdf5_child;

/* Children that nobody uses now. */
typedef struct mm_hdf5_pool {
    pthread_mutex_t lock;
    mm_hdf5_child *idle;
} mm_hdf5_pool;

void mm_hdf5_pool_init(mm_hdf5_pool *pool);
void mm_hdf5_pool_end(mm_hdf5_pool *pool);

/* An idle child, or a new one. One thread uses it at a time. */
mm_status mm_hdf5_child_take(mm_hdf5_pool *pool, mm_hdf5_child **out, mm_error *err) MM_MUST_USE;
/* Gives it back, with its file closed; one that does not answer any more is ended. NULL: nothing. */
void mm_hdf5_child_give(mm_hdf5_pool *pool, mm_hdf5_child *child);

/* What a look at a file needs to know. */
typedef struct mm_hdf5_looking {
    const char *path;
    uint64_t size, chunk_memory; /* as mm_hdf5_layout_check */
    const char *vectors, *ids;   /* as mm_hdf5_look */
    bool check;                  /* mm_hdf5_check, too */
} mm_hdf5_looking;

/* As mm_hdf5_look; the file stays open in the child. The layout is checked (mm_hdf5_layout_check). */
mm_status mm_hdf5_child_look(mm_hdf5_child *child, const mm_hdf5_looking *how, mm_hdf5_layout *out,
                             mm_error *err) MM_MUST_USE;
/* Rows of the open file, at *out until the next call for the same part; at most its room. */
mm_status mm_hdf5_child_read(mm_hdf5_child *child, bool ids, uint64_t first, uint64_t rows, const uint8_t **out,
                             mm_error *err) MM_MUST_USE;
/* As mm_hdf5_describe_file; *out lives until the next call. */
mm_status mm_hdf5_child_describe(mm_hdf5_child *child, const char *path, const char **out, mm_error *err) MM_MUST_USE;

#endif
