/* Writing structs of Thrift's compact protocol (thrift/doc/specs/thrift-compact-protocol.md) into a buffer: what
 * Parquet's page headers and footer are made of. Fields are written in the order of their numbers; a buffer that
 * is out of memory says so by its `failed`. */
#ifndef MM_FORMATS_PARQUET_THRIFT_WRITE_H
#define MM_FORMATS_PARQUET_THRIFT_WRITE_H

#include "formats/parquet_internal.h"

enum { MM_THRIFT_DEPTH = 8 };

typedef struct mm_thrift_writer {
    mm_buffer *out;
    int last[MM_THRIFT_DEPTH]; /* number of the field before, for each struct that is open */
    unsigned depth;
} mm_thrift_writer;

/* The writer with its outermost struct open. */
mm_thrift_writer mm_thrift_write_to(mm_buffer *out);
/* Closes the innermost struct. */
void mm_thrift_end(mm_thrift_writer *writer);

void mm_thrift_bool(mm_thrift_writer *writer, int field, bool value);
void mm_thrift_i8(mm_thrift_writer *writer, int field, int8_t value);
void mm_thrift_i16(mm_thrift_writer *writer, int field, int16_t value);
void mm_thrift_i32(mm_thrift_writer *writer, int field, int32_t value);
void mm_thrift_i64(mm_thrift_writer *writer, int field, int64_t value);
void mm_thrift_binary(mm_thrift_writer *writer, int field, const void *bytes, size_t size);
void mm_thrift_text(mm_thrift_writer *writer, int field, const char *text);
/* Opens a struct in a field; its fields follow, then mm_thrift_end. */
void mm_thrift_struct(mm_thrift_writer *writer, int field);
/* Head of a list of `count` elements, which follow by the functions below. */
void mm_thrift_list(mm_thrift_writer *writer, int field, mm_thrift_type element, size_t count);

void mm_thrift_element_i32(mm_thrift_writer *writer, int32_t value);
void mm_thrift_element_text(mm_thrift_writer *writer, const char *text);
void mm_thrift_element_struct(mm_thrift_writer *writer); /* opens it */

#endif
