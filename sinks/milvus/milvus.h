/* The sink driver for Milvus 2.x and Milvus Lite, by Insert and Upsert over gRPC. */
#ifndef MM_SINKS_MILVUS_MILVUS_H
#define MM_SINKS_MILVUS_MILVUS_H

#include "sinks/sink.h"

extern const mm_sink_driver mm_sink_milvus;

#endif
