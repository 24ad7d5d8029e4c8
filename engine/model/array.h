/* Rows of an Array column: each is the bytes of a serialised ScalarField (milvus-proto schema.proto): one of
 * bool_data 1, int_data 2 (Int8 to Int32), long_data 3, float_data 4, double_data 5, string_data 6, and in it field 1,
 * repeated, numbers packed. No bytes at all are an array without elements. */
#ifndef MM_MODEL_ARRAY_H
#define MM_MODEL_ARRAY_H

#include "base/util.h"
#include "base/wire.h"
#include "model/schema.h"

/* One element; which member holds depends on the element type. */
typedef union mm_array_value {
    int64_t integer; /* Bool (0, 1), Int8 to Int64 */
    float f32;       /* Float */
    double f64;      /* Double */
    struct {         /* VarChar: points into the row */
        const uint8_t *data;
        size_t size;
    } text;
} mm_array_value;

/* Walks the elements of a row. */
typedef struct mm_array_reader {
    mm_type element;
    mm_wire slots, values, packed;
    bool bad; /* malformed, of another element type, or a number outside the element type's range */
} mm_array_reader;

/* The types that an Array may have as elements. */
bool mm_array_element_valid(mm_type element);
mm_array_reader mm_array_over(mm_type element, const uint8_t *row, size_t size);
/* The next element; false at the end, or when the row is bad (then reader->bad). */
bool mm_array_next(mm_array_reader *reader, mm_array_value *value);

/* Appends a row with these elements to `out` (whose `failed` tells of no memory). */
void mm_array_append(mm_buffer *out, mm_type element, const mm_array_value *values, size_t count);

#endif
