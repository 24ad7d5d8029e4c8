/* The data folder of a Milvus 0.9 to 1.x: its collections, read from the files of their segments. */
#ifndef MM_SOURCES_MILVUS1X_H
#define MM_SOURCES_MILVUS1X_H

#include "sources/source.h"

extern const mm_source_driver mm_source_milvus1x;

#endif
