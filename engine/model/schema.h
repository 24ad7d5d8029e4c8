/* Types, fields, schemas and catalogs, in Milvus's words. Plain data; knows no driver. */
#ifndef MM_MODEL_SCHEMA_H
#define MM_MODEL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/* Numbers as in milvus-proto schema.proto, DataType. */
typedef enum mm_type {
    MM_TYPE_NONE = 0,
    MM_TYPE_BOOL = 1,
    MM_TYPE_INT8 = 2,
    MM_TYPE_INT16 = 3,
    MM_TYPE_INT32 = 4,
    MM_TYPE_INT64 = 5,
    MM_TYPE_FLOAT = 10,
    MM_TYPE_DOUBLE = 11,
    MM_TYPE_VARCHAR = 21,
    MM_TYPE_ARRAY = 22,
    MM_TYPE_JSON = 23,
    MM_TYPE_GEOMETRY = 24,
    MM_TYPE_TEXT = 25,
    MM_TYPE_TIMESTAMPTZ = 26,
    MM_TYPE_BINARY_VECTOR = 100,
    MM_TYPE_FLOAT_VECTOR = 101,
    MM_TYPE_FLOAT16_VECTOR = 102,
    MM_TYPE_BFLOAT16_VECTOR = 103,
    MM_TYPE_SPARSE_FLOAT_VECTOR = 104,
    MM_TYPE_INT8_VECTOR = 105
} mm_type;

/* "Int64", "FloatVector", …: Milvus's spelling. NULL for an unknown number. */
const char *mm_type_name(mm_type type);
/* Case-insensitive; MM_TYPE_NONE when unknown. */
mm_type mm_type_from_name(const char *name);
bool mm_type_is_vector(mm_type type);
/* Bytes that one row takes in a column's values, 0 for types of variable length
 * (VarChar, Text, JSON, Geometry, Timestamptz, Array, SparseFloatVector). Bool is one byte a row.
 * dim counts elements; for BinaryVector, bits (a multiple of 8). */
size_t mm_type_width(mm_type type, uint32_t dim);

typedef struct mm_field {
    const char *name;
    const char *description; /* NULL: none */
    mm_type type;
    mm_type element_type; /* of an Array */
    uint32_t dim;         /* of a dense vector; BinaryVector: bits */
    uint32_t max_length;  /* of VarChar, in bytes; 0: not known */
    uint32_t max_capacity;
    bool primary, auto_id, nullable, partition_key;
    bool dynamic; /* the "$meta" field */
    /* What the source knows of an index on this field; NULL: nothing. */
    const char *metric_type; /* L2, IP, COSINE, HAMMING, JACCARD, … */
    const char *index_type;
    const char *index_params; /* JSON object */
} mm_field;

typedef struct mm_schema {
    const char *name; /* the collection's */
    const char *description;
    mm_field *fields;
    size_t field_count;
    bool enable_dynamic_field;
} mm_schema;

/* -1 when there is none. */
int mm_schema_find(const mm_schema *schema, const char *field);
int mm_schema_primary(const mm_schema *schema);
/* Deep copy into the arena; NULL when out of memory. */
mm_schema *mm_schema_copy(mm_arena *arena, const mm_schema *schema);

/* One collection of a source or target. */
typedef struct mm_collection {
    mm_schema schema;
    const char **partitions; /* names; none: everything is in _default */
    size_t partition_count;
    uint64_t rows; /* estimate, MM_ROWS_UNKNOWN when the source cannot say */
    uint64_t bytes;
    bool rows_exact;  /* rows is the count, not an estimate */
    bool rows_bound;  /* extents were counted when they were planned, and only lose rows: MM_SOURCE_LIVE */
    bool unique_keys; /* the source proves that no primary key stands on two rows */
} mm_collection;

#define MM_ROWS_UNKNOWN UINT64_MAX
#define MM_DEFAULT_PARTITION "_default"

/* What a source holds. Everything lives in the arena. */
typedef struct mm_catalog {
    mm_arena arena;
    mm_collection *collections;
    size_t count;
} mm_catalog;
#define MM_CATALOG_INIT {MM_ARENA_INIT, NULL, 0}
void mm_catalog_free(mm_catalog *catalog);

#endif
