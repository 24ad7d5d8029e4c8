/* Thinning: the rows of one extent that are to be left out, as a small text of bytes that the plan
 * keeps with the task. Made by the search for duplicates, applied to every source batch, so that a
 * replay leaves out the same rows. */
#ifndef MM_RUN_THIN_H
#define MM_RUN_THIN_H

#include "base/util.h"
#include "model/batch.h"

/* Format: blocks of up to MM_THIN_BLOCK rows. A block is
 *   varint  its first row, less the first row of the block before it (of 0 for the first block)
 *   varint  bytes that follow in this block
 *   varint* each further row, less the one before it, less 1
 * varint: 7 bits a byte, low ones first, the high bit says that more follow (LEB128, at most 10 bytes).
 * Rows ascend strictly. A reader skips a block by its two numbers: finding a row in n costs
 * n / MM_THIN_BLOCK. Typical size: 1 byte for each row left out. */
#define MM_THIN_BLOCK 128

/* Writes rows in ascending order. Zero it to begin; the bytes are in `blob` after mm_thin_end. */
typedef struct mm_thin_writer {
    mm_buffer blob;
    uint8_t payload[MM_THIN_BLOCK * 10];
    size_t payload_size, block_rows;
    uint64_t block_first, former_first, last;
} mm_thin_writer;

void mm_thin_add(mm_thin_writer *writer, uint64_t row);
/* MM_NO_MEMORY when an append failed. */
mm_status mm_thin_end(mm_thin_writer *writer, mm_error *err) MM_MUST_USE;
/* Empties it for the next extent; keeps the memory. */
void mm_thin_reset(mm_thin_writer *writer);
void mm_thin_free(mm_thin_writer *writer);

/* Walks through the rows of a blob. */
typedef struct mm_thin_reader {
    const uint8_t *at, *block_end, *end;
    uint64_t row, block_first;
    bool begun;
    bool damaged; /* set when the bytes are not of the format; the walk has ended then */
} mm_thin_reader;

mm_thin_reader mm_thin_open(const void *blob, size_t size);
/* The next row not below `from`; false at the end or when damaged. Whole blocks below it are skipped. */
bool mm_thin_next(mm_thin_reader *reader, uint64_t from, uint64_t *row);
/* How many rows the blob leaves out. MM_DATA: damaged. */
mm_status mm_thin_count(const void *blob, size_t size, uint64_t *count, mm_error *err) MM_MUST_USE;

/* Takes the rows of the blob out of a source batch, by their ordinal in the extent, and adds their
 * number to batch->thinned. Rows that other filters removed before are not counted. MM_DATA:
 * damaged. */
mm_status mm_thin_filter(mm_batch *batch, const void *blob, size_t size, mm_error *err) MM_MUST_USE;

#endif
