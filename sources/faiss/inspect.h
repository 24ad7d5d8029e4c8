/* What an index file tells about itself: for `mmresume inspect`, and as a hint for the index that the
 * target should have. */
#ifndef MM_SOURCES_FAISS_INSPECT_H
#define MM_SOURCES_FAISS_INSPECT_H

#include "model/schema.h"
#include "sources/faiss/node.h"

/* As mm_source_driver.inspect. */
mm_status mm_faiss_inspect(const char *location, mm_buffer *text, mm_error *err) MM_MUST_USE;

/* Sets metric_type, index_type and index_params of a vector field from the outermost index, where
 * Milvus has the same. Texts live in the arena. */
mm_status mm_faiss_hint(const mm_faiss_node *root, mm_arena *arena, mm_field *field,
                        mm_error *err) MM_MUST_USE;

#endif
