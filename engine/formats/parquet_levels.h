/* Repetition and definition levels of a data page (v1) as Parquet's RLE / bit-packing hybrid (parquet-format,
 * Encodings.md): runs of one level in a few bytes however long they are, the rest packed in groups of eight. In front
 * of them their length in bytes (u32). A buffer that is out of memory says so by its `failed`. */
#ifndef MM_FORMATS_PARQUET_LEVELS_H
#define MM_FORMATS_PARQUET_LEVELS_H

#include "formats/parquet_internal.h"

typedef struct mm_parquet_levels {
    mm_buffer *out;
    size_t start;    /* of the length word in out */
    unsigned width;  /* bits a level: 1 or 2 */
    uint64_t level;  /* the run that is not written yet, and how long it is */
    uint64_t count;
    unsigned held;   /* levels of a group of eight that is not full */
    uint32_t group;  /* their bits, the first lowest */
    size_t header;   /* of the bit-packed run under way in out; 0: none */
    unsigned groups; /* in it */
} mm_parquet_levels;

/* Appends to `out`. largest: the largest level, 1 to 3. */
mm_parquet_levels mm_parquet_levels_begin(mm_buffer *out, unsigned largest);
/* `count` times the same level. */
void mm_parquet_levels_run(mm_parquet_levels *levels, unsigned level, uint64_t count);
/* Levels 0 and 1 from the bits [from, from + count) of a bitmap, lowest first; after begin(out, 1), nothing else. */
void mm_parquet_levels_bits(mm_parquet_levels *levels, const uint8_t *bits, size_t from, size_t count);
void mm_parquet_levels_end(mm_parquet_levels *levels);

#endif
