/* Inside the process of the library: the index of a dataset's chunks. */
#ifndef MM_SOURCES_HDF5_CHUNKS_H
#define MM_SOURCES_HDF5_CHUNKS_H

#include "sources/hdf5/dataset.h"

/* The library takes a chunk that it does not find for one that was never written, and gives zeros for its rows, also
 * where a damaged index has the chunk under a wrong place. So: every chunk that the index counts has to be found at a
 * place where chunks of this extent begin, and have its size where no filter changes that. MM_DATA: some have not.
 * Beyond MM_HDF5_CHUNKS_CHECKED places: MM_OK. With the lock held. */
#define MM_HDF5_CHUNKS_CHECKED 2000000
mm_status mm_hdf5_check_chunks(hid_t dataset, const char *file, const char *name, mm_error *err) MM_MUST_USE;

#endif
