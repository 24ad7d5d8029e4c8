/* Reader of Thrift's compact protocol (thrift/doc/specs/thrift-compact-protocol.md) over foreign bytes: never reads
 * beyond them, never recurses, and remembers the first thing that is wrong. Knows no structure of Parquet. */
#ifndef MM_FORMATS_PARQUET_THRIFT_READ_H
#define MM_FORMATS_PARQUET_THRIFT_READ_H

#include "formats/parquet_internal.h"

typedef struct mm_thrift_reader {
    const uint8_t *begin, *at, *end;
    const char *wrong; /* NULL: nothing so far. After that every reader gives 0 and every struct and list ends */
    bool cut;          /* what is wrong is that the bytes end */
} mm_thrift_reader;

/* A field of a struct; id 0 before the first. */
typedef struct mm_thrift_field {
    int32_t id;
    mm_thrift_type type;
} mm_thrift_field;

mm_thrift_reader mm_thrift_read_over(const void *bytes, size_t size);
/* The next field of the struct that *field is in (start with {0}); false after the last. */
bool mm_thrift_read_next(mm_thrift_reader *reader, mm_thrift_field *field);
/* The value of a field, of the type that is asked for (wrong otherwise). */
bool mm_thrift_read_bool(mm_thrift_reader *reader, const mm_thrift_field *field);
int64_t mm_thrift_read_int(mm_thrift_reader *reader, const mm_thrift_field *field); /* I8 to I64 */
int32_t mm_thrift_read_i32(mm_thrift_reader *reader, const mm_thrift_field *field);
/* Points into the input. */
const uint8_t *mm_thrift_read_bytes(mm_thrift_reader *reader, const mm_thrift_field *field, size_t *size);
/* Number of elements, at most the bytes that are left; they are of `element`. */
size_t mm_thrift_read_list(mm_thrift_reader *reader, const mm_thrift_field *field, mm_thrift_type element);
bool mm_thrift_read_struct(mm_thrift_reader *reader, const mm_thrift_field *field);
void mm_thrift_read_skip(mm_thrift_reader *reader, const mm_thrift_field *field);
/* The first thing that is wrong. */
void mm_thrift_read_fail(mm_thrift_reader *reader, const char *wrong);

#endif
