/* Fields in words, as jobs say them: "name Type(…) [primary] [nullable]". */
#ifndef MM_MODEL_SCHEMA_TEXT_H
#define MM_MODEL_SCHEMA_TEXT_H

#include "model/schema.h"

/* One entry a field; the schema has no name and lives in the arena. key: of the job file, for messages
 * ("source.schema"). MM_CONFIG names the entry and what is wrong with it. */
mm_status mm_schema_parse(mm_arena *arena, const char *key, const char *const *entries, size_t count, mm_schema **out,
                          mm_error *err);

#endif
