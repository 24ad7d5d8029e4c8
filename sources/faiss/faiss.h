/* The FAISS source: reads index files that the FAISS library wrote (write_index and
 * write_index_binary), without that library. It knows bytes and rows, no target. */
#ifndef MM_SOURCES_FAISS_FAISS_H
#define MM_SOURCES_FAISS_FAISS_H

#include "sources/source.h"

extern const mm_source_driver mm_source_faiss;

#endif
