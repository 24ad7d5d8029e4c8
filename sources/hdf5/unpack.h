/* Inside the process of the library: chunks of the common kinds (plain, shuffled, deflated, LZF, with a checksum),
 * unpacked here. The library does not ask whether what a filter gives is a whole chunk: where it is less, the rest is whatever
 * memory held before. So the library finds the chunks and reads their bytes, and this proves their sizes. */
#ifndef MM_SOURCES_HDF5_UNPACK_H
#define MM_SOURCES_HDF5_UNPACK_H

#include "sources/hdf5/dataset.h"

typedef struct mm_hdf5_unpacker mm_hdf5_unpacker;

/* *out NULL: the dataset has no chunks, or of another kind, which are the library's to unpack. `array` and `dataset`
 * outlive it. With the lock held. */
mm_status mm_hdf5_unpacker_open(hid_t dataset, const mm_hdf5_array *array, mm_hdf5_unpacker **out,
                                mm_error *err) MM_MUST_USE;
/* As mm_hdf5_read_block. Reading on is cheap where the last block ended within a chunk. */
mm_status mm_hdf5_unpack_rows(mm_hdf5_unpacker *unpacker, uint64_t first, uint64_t rows, uint8_t *out,
                              mm_error *err) MM_MUST_USE;
void mm_hdf5_unpacker_close(mm_hdf5_unpacker *unpacker);

#endif
