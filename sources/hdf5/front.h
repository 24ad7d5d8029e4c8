/* What is looked at in an HDF5 file before the library opens it, and in what the library says of one: nothing that
 * comes from the file is believed. */
#ifndef MM_SOURCES_HDF5_FRONT_H
#define MM_SOURCES_HDF5_FRONT_H

#include "formats/hdf5.h"
#include "storage/input.h"

#define MM_HDF5_NAME 256

/* A dataset of rows, in plain data, as it comes over the wire from the process of the library. */
typedef struct mm_hdf5_array {
    char name[MM_HDF5_NAME]; /* its path in the file */
    mm_hdf5_element element;
    uint64_t rows, columns; /* columns: elements a row */
    uint64_t offset;        /* of its bytes in the file, where they lie there in one piece and as they are; UINT64_MAX:
                             * only the library can read them */
    uint64_t chunk_rows;    /* rows of a chunk; 0: no chunks */
    uint64_t chunk_bytes;   /* of all chunks that share their rows, unpacked */
} mm_hdf5_array;

/* What a file holds for us. */
typedef struct mm_hdf5_layout {
    mm_hdf5_array vectors, ids;
    bool has_ids;
    char distance[32]; /* the root's attribute; "": none */
} mm_hdf5_layout;

#define MM_HDF5_NOWHERE UINT64_MAX
/* Bytes of a row, at most: more than any vector of Milvus has. */
#define MM_HDF5_ROW_MAX ((uint64_t)1 << 20)

static inline uint64_t mm_hdf5_width(const mm_hdf5_array *array)
{
    return array->columns * array->element.size;
}

/* The signature and the superblock (HDF5 File Format Specification 3.0, II.A). MM_NOT_FOUND: not an HDF5 file;
 * MM_DATA: it was cut, or is of a version that nobody knows. */
mm_status mm_hdf5_front_check(const mm_input *input, mm_error *err) MM_MUST_USE;

/* Whether what was said of a file can be: texts end, sizes can be multiplied, what lies in the file lies within its
 * `size` bytes, ids are as many as vectors. chunk_memory: bytes that a row of chunks may take. MM_DATA; MM_CONFIG names
 * chunk_memory. */
mm_status mm_hdf5_layout_check(mm_hdf5_layout *layout, const char *file, uint64_t size, uint64_t chunk_memory,
                               mm_error *err) MM_MUST_USE;

#endif
