/* Target `files`: collections as folders of .npy files with a manifest. See docs/formats.md and
 * internal.h for the layout. */
#ifndef MM_SINKS_FILES_FILES_H
#define MM_SINKS_FILES_FILES_H

#include "sinks/sink.h"

extern const mm_sink_driver mm_sink_files;

#endif
