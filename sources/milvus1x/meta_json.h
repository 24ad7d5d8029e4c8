/* The form of a meta.json. milvus-migration writes it by its command `export` (Go's encoding/json of three structs:
 * core/type/milvustype), without a byte between the tokens:
 *
 *     {"collections":[{"collection":NAME,"metric":1,"rows":N,"dim":D,"segments":[
 *         {"collection":NAME,"segment":ID,"dim":D,"rows":N,"fileSize":BYTES}, …]}, …],"rows":N}
 *
 * It knows no partitions: each stands there as a collection by the name of its folder, and those without segments do
 * not stand there. `mmresume export` writes the same with further keys behind them, which Go's decoder passes over:
 *
 *     of a collection   "created" "flag" "indexFileSize" "engine" "indexParams", as in the table `Tables`, where not 0
 *     of a partition    "owner":COLLECTION,"partition":TAG
 *     of a segment      "created" "updated", where not 0; "fileType" where it is not 1 (RAW)
 *     of the file       "empty":[…]: collections and partitions without segments, in the form of the others */
#ifndef MM_SOURCES_MILVUS1X_META_JSON_H
#define MM_SOURCES_MILVUS1X_META_JSON_H

#include "base/util.h"
#include "sources/milvus1x/meta.h"

/* Fills an empty meta, finished, from bytes in memory. MM_DATA names the byte. name: for messages. */
mm_status mm_milvus1x_meta_json_parse(const char *name, const void *bytes, size_t size, mm_milvus1x_meta *meta,
                                      mm_error *err) MM_MUST_USE;
/* Appends the text of a finished meta. MM_DATA: a name is not UTF-8, or counts of rows add up to more than 64 bits. */
mm_status mm_milvus1x_meta_json_print(const mm_milvus1x_meta *meta, mm_buffer *out, mm_error *err) MM_MUST_USE;

#endif
