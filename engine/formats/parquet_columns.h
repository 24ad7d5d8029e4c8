/* How each field stands in the Parquet files that we write: physical and logical type, levels, where the values
 * come from. Sources: parquet-format LogicalTypes.md; what Milvus's bulk import takes (internal/util/importutilv2/
 * parquet of 2.4 to 2.6; 2.3.5 was tried). */
#ifndef MM_FORMATS_PARQUET_COLUMNS_H
#define MM_FORMATS_PARQUET_COLUMNS_H

#include "formats/parquet_internal.h"

/* How a column's values become PLAIN pages. */
typedef enum mm_parquet_form {
    MM_PARQUET_DIRECT, /* as they are in the batch */
    /* One byte an element: indices of a dictionary with all 256 values of a byte. So Parquet, whose smallest number
     * has four bytes, stores one byte all the same, and pages are the batch's own bytes. */
    MM_PARQUET_INDEX,
    MM_PARQUET_WIDEN, /* Int16 to INT32 */
    MM_PARQUET_BITS,  /* Bool: one bit a row */
    MM_PARQUET_TEXT,
    MM_PARQUET_SPARSE, /* text: a JSON object of index and value */
    MM_PARQUET_ARRAY   /* elements of ScalarField rows */
} mm_parquet_form;

typedef struct mm_parquet_column {
    const mm_field *field;
    size_t index; /* of the batch's column */
    const char *name;
    mm_parquet_form form;
    mm_parquet_type physical;
    mm_parquet_logical logical; /* of the leaf: NONE, STRING or INTEGER */
    uint8_t bits;               /* of INTEGER */
    bool is_signed;
    bool list, nullable;
    bool packs;      /* compressed where that pays */
    uint64_t length; /* values in each row of a list; 0: it varies */
    size_t width;    /* bytes of a row in the batch; 0: it varies */
} mm_parquet_column;

/* Largest levels: of a list that may be null 1 and 2, and so on. */
static inline unsigned mm_parquet_definition_max(const mm_parquet_column *column)
{
    return (column->list ? 1u : 0u) + (column->nullable ? 1u : 0u);
}

/* The columns of a schema, in order; into the arena. for_import leaves out a primary key that the server makes.
 * MM_TARGET: a field that the format cannot hold, by name and reason. */
mm_status mm_parquet_columns_of(mm_arena *arena, const mm_schema *schema, bool for_import, mm_parquet_column **out,
                                size_t *count, mm_error *err);

#endif
