/* Target `hdf5`: collections as folders of HDF5 files in MilvusDM's layout, one a partition. See docs/hdf5.md for the
 * layout and internal.h for what stands where in the meantime. */
#ifndef MM_SINKS_HDF5_HDF5_H
#define MM_SINKS_HDF5_HDF5_H

#include "sinks/sink.h"

extern const mm_sink_driver mm_sink_hdf5;

#endif
