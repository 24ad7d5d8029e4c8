/* Elasticsearch and OpenSearch as sources. */
#ifndef MM_SOURCES_ELASTIC_ELASTIC_H
#define MM_SOURCES_ELASTIC_ELASTIC_H

#include "sources/source.h"

extern const mm_source_driver mm_source_elasticsearch, mm_source_opensearch;

#endif
