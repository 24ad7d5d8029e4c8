/* The arrays of a unit as fields: what a dtype and shape become, and how their bytes become a column's. Used by
 * npy_read.c alone. */
#ifndef MM_FORMATS_NPY_VALUES_H
#define MM_FORMATS_NPY_VALUES_H

#include "formats/npy_internal.h"

typedef struct mm_npy_file mm_npy_file;
/* `rows` rows, row-major, to rows [at, at + rows) of the column; `row`: the first one's number, for messages. */
typedef mm_status (*mm_npy_convert)(const mm_npy_file *file, const uint8_t *from, uint64_t row, size_t rows,
                                    mm_column *to, size_t at, mm_error *err);

struct mm_npy_file {
    const mm_input *input;
    const char *name; /* of the field */
    mm_npy_info info;
    uint64_t rows;
    size_t columns;     /* values a row: 1 for a scalar */
    size_t width;       /* bytes a row, in the file */
    mm_type element;    /* that numbers become: the field's type, or a vector's element type */
    bool round;         /* f8 may be rounded to float */
    mm_npy_convert convert; /* NULL: the bytes are right as they are */
};

/* The field that an array without a schema becomes; its type is MM_TYPE_NONE when there is none for it. */
void mm_npy_infer(const mm_npy_file *file, mm_field *field);
/* Sets element, round and convert. MM_DATA: the array cannot become the field. */
mm_status mm_npy_choose(mm_npy_file *file, const mm_field *field, mm_error *err);

#endif
