/* What page.c (an answer and its hits), page_document.c (a document to columns) and page_rows.c (rows) share. */
#ifndef MM_SOURCES_ELASTIC_PAGE_INTERNAL_H
#define MM_SOURCES_ELASTIC_PAGE_INTERNAL_H

#include "sources/elastic/fields.h"

/* More objects in one document are no rows: index.mapping.nested_objects.limit is 10,000. */
#define MM_ELASTIC_OBJECTS_MAX 100000
#define MM_ELASTIC_OBJECTS_BYTES ((size_t)256 << 20) /* nor when their columns take more */

/* What stands beside _source in a hit. Copies: a string with escapes does not outlive the next one. */
typedef struct mm_elastic_hit {
    bool has_id, has_source, has_seq_no;
    mm_buffer id, index, routing;
    uint64_t seq_no;
    const char *sort; /* in the JSON */
    size_t sort_size;
} mm_elastic_hit;

/* Documents into the columns of a batch. Memory: the values of variable length of one batch. */
typedef struct mm_elastic_rows_out {
    const struct mm_elastic_tree *tree;
    bool keys_only, with_index;
    const mm_schema *schema;
    mm_elastic_cell *cells;
    size_t count;
    /* What the documents before had: two of each node, its first member, and the one that stood behind it. */
    const mm_elastic_node **foreseen;
    size_t least; /* bytes that a row takes at least */
    mm_batch *batch;
    size_t capacity, rows;
    uint64_t covered, limit; /* rows and rejects; how many there may be, unless one document has more */
    uint64_t turn;      /* number of the row that is read, over all batches */
    mm_buffer ordinals; /* uint32_t for each row, once there is a reject */
    mm_buffer rejects;  /* mm_reject */
    mm_buffer key;      /* "id#3" */
    bool touched;       /* something may stand already in the row that is read */
    /* why the row that is read cannot be held; field NULL: it can */
    const char *field;
    char reason[MM_ERROR_TEXT];
    const char *objects; /* text of what is exploded; NULL: the document has none */
    size_t objects_size;
} mm_elastic_rows_out;

mm_status mm_elastic_rows_open(const mm_elastic_fields *fields, bool keys_only, mm_elastic_rows_out *out, mm_error *err)
    MM_MUST_USE;
void mm_elastic_rows_close(mm_elastic_rows_out *rows);
mm_status mm_elastic_rows_begin(mm_elastic_rows_out *rows, mm_batch *batch, size_t capacity, mm_error *err)
    MM_MUST_USE;
/* Before a hit: the next row is empty again, whatever an attempt at it left. */
void mm_elastic_rows_clear(mm_elastic_rows_out *rows);
/* The row that is read cannot be held; the first reason counts. field: borrowed. */
void mm_elastic_rows_reject(mm_elastic_rows_out *rows, const char *field, const char *reason);
/* The hit is read: its row, or its rows, or rejects. MM_END: they do not fit into the batch, which is as it was
 * before; *needed rows would. */
mm_status mm_elastic_rows_add(mm_elastic_rows_out *rows, mm_json *json, const mm_elastic_hit *hit, size_t *needed,
                              mm_error *err) MM_MUST_USE;
size_t mm_elastic_rows_bytes(const mm_elastic_rows_out *rows);
mm_status mm_elastic_rows_end(mm_elastic_rows_out *rows, mm_error *err) MM_MUST_USE;

/* --- page_document.c -------------------------------------------------------------------------------------------- */

/* The value of _source into the next row. */
mm_status mm_elastic_rows_source(mm_elastic_rows_out *rows, mm_json *json, mm_error *err) MM_MUST_USE;
/* An object whose members are the children of `node`, the same way. */
mm_status mm_elastic_rows_object(mm_elastic_rows_out *rows, mm_json *json, const mm_elastic_node *node, mm_error *err)
    MM_MUST_USE;

#endif
