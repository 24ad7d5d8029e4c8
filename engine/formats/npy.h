/* The .npy format of NumPy, one array a file: numpy/lib/format.py, "NPY format", versions 1.0 to 3.0
 * ("\x93NUMPY", two version bytes, header length, a Python dict literal, the values). Headers are
 * written in 1.0 with room to spare, so that the number of rows can be put in afterwards. Knows the
 * types of a schema, no files. */
#ifndef MM_FORMATS_NPY_H
#define MM_FORMATS_NPY_H

#include "model/schema.h"

/* Bytes of a header that this module writes, a multiple of 64 as the format asks. */
#define MM_NPY_HEADER 128

/* How a field's column stands in a .npy file, as Milvus's bulk import takes it (its NumPy table):
 * scalars one-dimensional; FloatVector <f4 (rows, dim); BinaryVector |u1 (rows, dim / 8); Float16Vector
 * and BFloat16Vector |u1 (rows, 2 dim); Int8Vector |i1 (rows, dim); VarChar, Text, JSON, Geometry and
 * Timestamptz |S<max_length>, UTF-8 padded with NUL. */
typedef struct mm_npy_column {
    char descr[16];   /* dtype, e.g. "<f4" */
    uint64_t columns; /* second dimension; 0: one-dimensional */
    size_t width;     /* bytes a row */
    bool text;        /* |S: values of variable length, padded */
} mm_npy_column;

/* MM_TARGET: the format cannot hold the field (Array, SparseFloatVector, text without max_length), by
 * name and reason. */
mm_status mm_npy_column_of(const mm_field *field, mm_npy_column *out, mm_error *err);

/* The header of a column with so many rows. */
void mm_npy_header(const mm_npy_column *column, uint64_t rows, char out[MM_NPY_HEADER]);

#define MM_NPY_DIMS 8
typedef struct mm_npy_info {
    char kind;       /* b i u f c S U V */
    bool big_endian; /* false as well where it does not matter */
    bool fortran;    /* column-major */
    size_t item;     /* bytes of one value; U: 4 per character */
    unsigned dims;
    uint64_t shape[MM_NPY_DIMS];
    uint64_t offset; /* of the values in the file */
    uint64_t bytes;  /* of the values: product of shape × item; no overflow with offset */
} mm_npy_info;

/* Reads the header from the first `size` bytes of a file. Strict: exactly the three keys, a simple
 * dtype, at most MM_NPY_DIMS dimensions. MM_DATA names the byte. MM_END: the header is longer than
 * `size`; *need is then the number of bytes to call again with (at most 64 KiB + 12 are accepted). */
mm_status mm_npy_parse(const void *bytes, size_t size, mm_npy_info *out, size_t *need, mm_error *err);

/* Bytes that suffice for mm_npy_parse. */
#define MM_NPY_HEADER_MAX (65536 + 12)

#endif
