/* What mapping*.c decides and page*.c follows: the fields of a collection, and the tree of names in which a document's
 * keys are found. Knows no server and no request. Made once, then shared by all readers and never changed. */
#ifndef MM_SOURCES_ELASTIC_FIELDS_H
#define MM_SOURCES_ELASTIC_FIELDS_H

#include "base/util.h"
#include "formats/json_quick.h"
#include "sources/elastic/dates.h"
#include "sources/elastic/documents.h"

/* How a value is read. Elasticsearch takes an array of one for the value in it, and so does this. */
typedef enum mm_elastic_kind {
    MM_ELASTIC_ID,      /* what stands beside _source: */
    MM_ELASTIC_ID_HASH, /* XXH3 of _id */
    MM_ELASTIC_PARENT,  /* _id of the document whose nested objects are rows */
    MM_ELASTIC_INDEX,
    MM_ELASTIC_ROUTING,
    MM_ELASTIC_TEXT,    /* strings; numbers and truth values by their text */
    MM_ELASTIC_INTEGER, /* numbers, and strings that hold one */
    MM_ELASTIC_NUMBER,
    MM_ELASTIC_BOOL,    /* truth values, "true", "false", "" */
    MM_ELASTIC_DATE,    /* by the field's formats, to Int64 */
    MM_ELASTIC_POINT,   /* geo_point in any of its forms, to WKT */
    MM_ELASTIC_JSON,    /* anything, as it stands there */
    MM_ELASTIC_DENSE,   /* an array, or base64 or hexadecimal text */
    MM_ELASTIC_BITS,    /* an array of signed bytes, or hexadecimal text */
    MM_ELASTIC_SPARSE,
    MM_ELASTIC_ARRAY
} mm_elastic_kind;

/* What a document without a value gives. */
typedef enum mm_elastic_missing {
    MM_ELASTIC_MISSING_REJECT,
    MM_ELASTIC_MISSING_NULL,
    MM_ELASTIC_MISSING_DEFAULT /* `text` of a constant_keyword; else 0, "", {}, [] */
} mm_elastic_missing;

typedef struct mm_elastic_field {
    const char *path; /* in the document: "meta.author"; "_id" … beside it */
    mm_elastic_kind kind;
    mm_elastic_kind element; /* of MM_ELASTIC_ARRAY */
    bool of_bytes;           /* MM_ELASTIC_DENSE: texts are bytes, in hexadecimal or base64; else base64 of floats */
    bool wrapped;            /* MM_ELASTIC_JSON: a value that is no object becomes {"value": …} */
    mm_elastic_dates dates;
    mm_elastic_missing missing;
    const char *text; /* NULL: none */
    const char *null_value; /* JSON: what the mapping has in the place of null; NULL: none */
    bool inner;       /* below the exploded path */
} mm_elastic_field;

/* A name in the mapping. Children are searched from the one behind the last that was found. */
typedef struct mm_elastic_node mm_elastic_node;
struct mm_elastic_node {
    const char *name;
    size_t size;
    mm_json_key key_text; /* the name as it stands in a document */
    unsigned number;      /* among the tree's nodes; the root has 0 */
    mm_elastic_node *parent, *first, *last, *next;
    int field;    /* number of the field, -1: none */
    int key;      /* the same for rows of keys alone: 0 or -1 */
    bool below;   /* a field is below */
    bool key_below, explode;

    /* the mapping's words */
    const char *type; /* NULL: not in the mapping */
    const char *element, *similarity, *format, *value;
    const char *null_value; /* JSON, not null; NULL: none, or indices have different ones */
    const char *index_type; /* hnsw, int8_hnsw, flat, …; NULL: not said */
    uint32_t dims, hnsw_m, hnsw_ef;

    /* the sample's */
    uint64_t seen;   /* values that are not null */
    uint64_t empty;  /* arrays without an element */
    uint64_t several; /* of them arrays of two or more */
    uint64_t longest; /* such an array */
    uint64_t numbers; /* length of the last array of numbers or base64 text, as a vector's */
    bool mixed;       /* arrays hold what is no element of an Array: null, arrays, objects */
};

struct mm_elastic_tree {
    mm_elastic_node root;
    unsigned nodes; /* with the root */
    mm_elastic_field *fields; /* as schema->fields */
    mm_elastic_field key;     /* as keys->fields */
    const mm_elastic_node *explode; /* NULL: none */
    const char *explode_path;
    const char *const *include;     /* for _source: paths of what is wanted; NULL: all */
    size_t include_count;
    const char *const *exclude;
    size_t exclude_count;
    bool from_source; /* a field, or the key, stands in _source */
    bool key_from_source;
};

/* The child of that name, looked for from `hint` on (NULL: the first); NULL: none. */
const mm_elastic_node *mm_elastic_child(const mm_elastic_node *node, const mm_elastic_node *hint, const char *name,
                                        size_t size);
/* A key that has points in it, as it stands in a document: the deepest node that its first parts name, or the first one
 * that `stop` (may be NULL) holds; *rest: bytes of the key behind that. NULL: not even the first part is known. */
const mm_elastic_node *mm_elastic_dotted(const mm_elastic_node *node, const char *key, size_t size,
                                         bool (*stop)(const mm_elastic_node *node), size_t *rest);

/* --- mapping_tree.c --------------------------------------------------------------------------------------------- */

/* Adds an answer of GET /<index>/_mapping to the tree. MM_CONFIG: another type than an index before had. */
mm_status mm_elastic_tree_add(mm_arena *arena, mm_elastic_node *root, const char *mapping, mm_error *err) MM_MUST_USE;
/* The child of that name, made with type NULL where there is none. NULL: no memory. */
mm_elastic_node *mm_elastic_tree_child(mm_arena *arena, mm_elastic_node *parent, const char *name, size_t size);
/* The node of a path with points; where the mapping has none, it is made, of type NULL. NULL: no memory. */
mm_elastic_node *mm_elastic_tree_at(mm_arena *arena, mm_elastic_node *root, const char *path);
/* Numbers of all nodes, from `number` on, and what their keys look like, once the tree is complete; the number behind
 * the last. */
unsigned mm_elastic_tree_number(mm_elastic_node *node, unsigned number) MM_MUST_USE;

/* --- mapping_sample.c ------------------------------------------------------------------------------------------- */

/* Looks at the documents of an answer of _search. explode: NULL or the node whose objects become rows.
 * *documents, *objects: how many there were. What documents have and the mapping has not, gets nodes of type NULL below
 * the root and below objects of which the mapping has some part. */
mm_status mm_elastic_sample(mm_arena *arena, mm_elastic_node *root, const mm_elastic_node *explode, const char *text,
                            size_t size, uint64_t *documents, uint64_t *objects, mm_error *err) MM_MUST_USE;

/* --- mapping_types.c -------------------------------------------------------------------------------------------- */

bool mm_elastic_is_vector(const mm_elastic_node *node);
/* Type, dims, metric and kind of a leaf. given: the line of `types`, NULL: as the mapping has it. What is lost goes to
 * `lost`. field->name is not set. */
mm_status mm_elastic_type(mm_arena *arena, const mm_elastic_node *node, const char *path, const mm_field *given,
                          const mm_elastic_choice *choice, mm_field *field, mm_elastic_field *how, mm_buffer *lost,
                          mm_error *err) MM_MUST_USE;

/* --- page_values.c, page_vectors.c: one value into a column ----------------------------------------------------- */

typedef struct mm_elastic_cell {
    const mm_elastic_field *how;
    const mm_field *field;
    mm_column *column;
    size_t width;     /* 0: variable */
    mm_buffer bytes;  /* variable length: the values so far */
    mm_buffer elements, texts; /* of an Array */
    uint64_t seen;    /* number of the last row that had a value */
} mm_elastic_cell;

/* The next value, which is of that kind, and not null unless the mapping has a value in its place, as row `row`;
 * *present false: an empty array, or one that holds nothing but null.
 * MM_DATA: malformed, or not to be held; *json stands anywhere then. */
mm_status mm_elastic_read_value(mm_json *json, mm_json_kind kind, mm_elastic_cell *cell, size_t row, bool *present,
                                mm_error *err) MM_MUST_USE;
mm_status mm_elastic_read_dense(mm_json *json, mm_elastic_cell *cell, uint8_t *to, mm_error *err) MM_MUST_USE;
mm_status mm_elastic_read_bits(mm_json *json, mm_elastic_cell *cell, uint8_t *to, mm_error *err) MM_MUST_USE;
mm_status mm_elastic_read_sparse(mm_json *json, mm_elastic_cell *cell, mm_error *err) MM_MUST_USE;

#endif
