/* Vectors in datasets of HDF5 files: what MilvusDM exports, the sets of ann-benchmarks, and any others. */
#ifndef MM_SOURCES_HDF5_H
#define MM_SOURCES_HDF5_H

#include "sources/source.h"

extern const mm_source_driver mm_source_hdf5;

#endif
