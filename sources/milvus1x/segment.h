/* The files of one segment: how many rows they hold, which of them are deleted, and reading the others. Knows no
 * metadata and no folder: inputs come in, columns go out.
 *
 * Source of the format: Milvus 0.9 to 1.1, core/src/codecs/default (little-endian):
 *
 *     <name>.rv        u64 bytes that follow; rows × float32[dimension], or rows × dimension / 8 bytes (binary)
 *     <name>.uid       u64 bytes that follow; rows × i64
 *     deleted_docs     u64 bytes that follow; i32 numbers of rows, in no order, some more than once
 *
 * Very early builds wrote no u64 in front. Which of the two a segment has follows from the sizes of both files. */
#ifndef MM_SOURCES_MILVUS1X_SEGMENT_H
#define MM_SOURCES_MILVUS1X_SEGMENT_H

#include "sources/source.h"
#include "storage/input.h"

#define MM_MILVUS1X_HEAD 8 /* bytes of the u64 in front */

/* What a segment's files are. */
typedef struct mm_milvus1x_shape {
    uint64_t rows;      /* deleted ones included */
    uint64_t row_bytes; /* of a vector */
    uint32_t head;      /* MM_MILVUS1X_HEAD, or 0: no u64 in front */
} mm_milvus1x_shape;

/* From sizes alone. MM_DATA: they fit no number of rows. MM_END: both forms are possible (vectors of 8 bytes); out is
 * the one with a u64 in front, and mm_milvus1x_shape_check decides. */
mm_status mm_milvus1x_shape_of(const char *name, uint64_t rv_size, uint64_t uid_size, uint64_t row_bytes,
                               mm_milvus1x_shape *out, mm_error *err) MM_MUST_USE;
/* Compares the u64 in front with the sizes; may turn a shape for which mm_milvus1x_shape_of said MM_END (`open`) into
 * the form without. rv may be NULL: not looked at. MM_DATA names the file. */
mm_status mm_milvus1x_shape_check(const mm_input *rv, const mm_input *uid, bool open, mm_milvus1x_shape *shape,
                                  mm_error *err) MM_MUST_USE;

/* Deleted rows among `count` rows from `first` on: one bit each. */
typedef struct mm_milvus1x_deleted {
    uint8_t *bits; /* malloc'd; NULL: none is deleted */
    uint64_t first, count;
    uint64_t deleted; /* set bits */
} mm_milvus1x_deleted;

/* deleted: the file deleted_docs. Reads all of it, keeps the rows of the range. MM_DATA: not such a file, or a row
 * that the segment does not have. */
mm_status mm_milvus1x_deleted_read(const mm_input *deleted, const mm_milvus1x_shape *shape, uint64_t first,
                                   uint64_t count, mm_milvus1x_deleted *out, mm_error *err) MM_MUST_USE;
void mm_milvus1x_deleted_free(mm_milvus1x_deleted *deleted);
/* Rows among [from, to) of the range, counted from its first, that are not deleted. */
uint64_t mm_milvus1x_live(const mm_milvus1x_deleted *deleted, uint64_t from, uint64_t to);

/* What a reader of rows is given. The inputs are its own from the call on, also when it fails. */
typedef struct mm_milvus1x_rows_args {
    mm_input *rv;  /* NULL: ids only */
    mm_input *uid;
    mm_milvus1x_shape shape;
    mm_milvus1x_deleted deleted; /* the reader's own; its range is that of the extent */
    const mm_schema *schema;     /* id, then vector; or id alone */
} mm_milvus1x_rows_args;

/* skip: live rows of the extent that are not wanted again. MM_DATA: there are fewer. */
mm_status mm_milvus1x_rows_open(const mm_milvus1x_rows_args *args, uint64_t skip, mm_reader **out,
                                mm_error *err) MM_MUST_USE;
/* As mm_source_driver.next. */
mm_status mm_milvus1x_rows_next(mm_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch,
                                mm_error *err) MM_MUST_USE;
void mm_milvus1x_rows_close(mm_reader *reader);

#endif
