/* Rows in files of a table format: .npy, Parquet, JSON lines; and what `mmresume dump` left. */
#ifndef MM_SOURCES_TABLES_H
#define MM_SOURCES_TABLES_H

#include "sources/source.h"

extern const mm_source_driver mm_source_npy, mm_source_parquet, mm_source_jsonl, mm_source_dump;

#endif
