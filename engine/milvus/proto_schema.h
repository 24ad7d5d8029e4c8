/* mm_schema to and from Milvus's CollectionSchema. Knows no connection. */
#ifndef MM_MILVUS_PROTO_SCHEMA_H
#define MM_MILVUS_PROTO_SCHEMA_H

#include "base/util.h"
#include "milvus.pb-c.h"
#include "model/schema.h"

/* protobuf-c's string members are not const, though requests only read them; NULL becomes "". */
static inline char *mm_proto_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } cast = {text != NULL ? text : ""};
    return cast.out;
}

/* Appends the serialised CollectionSchema of `schema` under `name` to out. The dynamic field is not a
 * field there but a flag. MM_CONFIG: a schema that Milvus cannot express. */
mm_status mm_proto_write_schema(const mm_schema *schema, const char *name, mm_buffer *out,
                                mm_error *err) MM_MUST_USE;
/* Everything in the arena. A collection with a dynamic field gets a field "$meta" (JSON) at its end.
 * MM_TARGET: numbers that make no sense (a dim that is no number). */
mm_status mm_proto_read_schema(const Mmpb__CollectionSchema *from, mm_arena *arena, mm_schema **out,
                               mm_error *err) MM_MUST_USE;

#endif
