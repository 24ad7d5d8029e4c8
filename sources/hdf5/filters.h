/* Undoing the filters of chunks: deflate, LZF, shuffle, Fletcher's checksum. Bytes alone; asks the library nothing. */
#ifndef MM_SOURCES_HDF5_FILTERS_H
#define MM_SOURCES_HDF5_FILTERS_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

#define MM_HDF5_FILTERS_MAX 8

/* LZF, of h5py, by its registered number; the library itself does not have it. */
#define MM_HDF5_FILTER_LZF 32000

/* In the order in which a writer applies them; each is H5Z_FILTER_DEFLATE, _SHUFFLE, _FLETCHER32 or LZF. */
typedef struct mm_hdf5_pipeline {
    H5Z_filter_t filters[MM_HDF5_FILTERS_MAX];
    int count;
    size_t item;        /* bytes of an element, at least 1 */
    size_t chunk_bytes; /* of a whole chunk */
} mm_hdf5_pipeline;

/* `size` bytes of rooms[0], at most room_bytes, become a chunk in one of the two rooms: *data. Bit i of `skipped`: the
 * writer did without filter i. NULL, or what is wrong with the chunk: one that is not whole, too. */
const char *mm_hdf5_unpack(const mm_hdf5_pipeline *pipeline, uint32_t skipped, uint8_t *const rooms[2],
                           size_t room_bytes, size_t size, const uint8_t **data);

#endif
