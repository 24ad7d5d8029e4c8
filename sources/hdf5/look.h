/* Inside the process of the library: datasets of an open file. Every call with the library's lock held. */
#ifndef MM_SOURCES_HDF5_LOOK_H
#define MM_SOURCES_HDF5_LOOK_H

#include "sources/hdf5/unpack.h"

/* For reading. Closed by H5Fclose. */
mm_status mm_hdf5_file_open(const char *path, hid_t *out, mm_error *err) MM_MUST_USE;

/* A file and its two datasets, open. Closed by mm_hdf5_close, also after a failure; {0} is closed. */
typedef struct mm_hdf5_open {
    bool is_open, has_ids;
    hid_t file, vectors, ids;
    bool prepared[2]; /* to unpack chunks: of vectors, of ids */
    mm_hdf5_unpacker *unpackers[2];
    mm_hdf5_layout layout;
} mm_hdf5_open;

/* vectors, ids: names of the datasets, "": by the layout of the file, which is MilvusDM's (`embeddings`, `ids`), that
 * of ann-benchmarks (`train`), or one with a single dataset that can be vectors. MM_DATA, MM_CONFIG (a name, or what to
 * name), MM_NOT_FOUND. */
mm_status mm_hdf5_look(mm_hdf5_open *open, const char *path, const char *vectors, const char *ids,
                       mm_error *err) MM_MUST_USE;
/* What costs a look at every chunk: once for a file. MM_DATA. */
mm_status mm_hdf5_check(const mm_hdf5_open *open, const char *path, mm_error *err) MM_MUST_USE;
/* `rows` rows from `first`, as they are in the file, into out: rows × width bytes. */
mm_status mm_hdf5_read_block(mm_hdf5_open *open, bool ids, uint64_t first, uint64_t rows, void *out,
                             mm_error *err) MM_MUST_USE;
void mm_hdf5_close(mm_hdf5_open *open);

/* The datasets of a file in words, at most `size` bytes with a NUL. */
mm_status mm_hdf5_describe_file(const char *path, char *text, size_t size, mm_error *err) MM_MUST_USE;

#endif
