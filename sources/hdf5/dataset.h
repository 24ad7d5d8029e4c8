/* Inside the process of the library: one dataset. Every call with the library's lock held. */
#ifndef MM_SOURCES_HDF5_DATASET_H
#define MM_SOURCES_HDF5_DATASET_H

#include "sources/hdf5/front.h"

#define MM_HDF5_FILTERS_TEXT 120

/* What a dataset is before anybody asks whether it can be read. */
typedef struct mm_hdf5_shape {
    int rank; /* -1: no simple extent */
    hsize_t dims[2];
    mm_hdf5_element element;
    const char *class_name; /* of an element that is MM_HDF5_OTHER */
    H5D_layout_t layout;
    hsize_t chunk[2];
    char filters[MM_HDF5_FILTERS_TEXT]; /* "shuffle, deflate" */
    char missing[80];                   /* a filter that this library does not have; "": none */
    bool external;
    bool beyond; /* more than the largest extent that it says */
} mm_hdf5_shape;

mm_status mm_hdf5_shape_of(hid_t dataset, const char *file, const char *name, mm_hdf5_shape *out,
                           mm_error *err) MM_MUST_USE;
/* Opens a dataset for reading by rows, with a cache that a row of its chunks fits into, and says how it lies.
 * MM_DATA names what cannot be read. */
mm_status mm_hdf5_dataset_open(hid_t file_id, const char *file, const char *name, hid_t *out, mm_hdf5_array *array,
                               mm_error *err) MM_MUST_USE;

#endif
