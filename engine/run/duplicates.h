/* The search for primary keys that stand on several rows of a collection, before its first row is
 * sent. Fed with the keys of all extents in plan order; counts, names the first, and says which rows
 * to leave out. Knows no source and no store.
 *
 * How: every key becomes a hash (of Int64 a bijection, of VarChar 128 bits of XXH3, where two
 * different keys are taken for equal with a probability of about rows² / 2^129: 10^-19 at 10^10 rows)
 * and goes with its place in plan order into one of up to 256 streams by its upper bits. Each stream
 * is then walked in plan order with a hash table that fits the caches. A stream with more different
 * keys than the table takes is split again by further bits for the keys that found no room: memory is
 * bounded for any number of rows and any distribution, one key on all rows included.
 *
 * Cost for n rows, d of them duplicates, in m bytes of memory: time O(n + d), about 25 ns of one core a row while
 * n * 16 bytes (VarChar: n * 24) are below m / 2; beyond that the same bytes are written once to an
 * unlinked temporary file and read once (again for every level of splitting, one for every factor of
 * about m / 64 in different keys per stream). d * 8 bytes more, once written and read. */
#ifndef MM_RUN_DUPLICATES_H
#define MM_RUN_DUPLICATES_H

#include "config/job.h"
#include "model/batch.h"
#include "run/thin.h"

typedef struct mm_duplicate_finder mm_duplicate_finder;

typedef struct mm_duplicates_args {
    size_t memory;        /* bytes, about; never less than MM_DUPLICATES_MEMORY_MIN */
    const char *dir;      /* for temporary files; borrowed until close */
    bool integer;         /* the primary key is Int64 (else VarChar) */
    mm_duplicates policy; /* FIRST and LAST make lists of rows to leave out; others only count */
} mm_duplicates_args;
#define MM_DUPLICATES_MEMORY_MIN 65536

/* A row whose key stands on an earlier row too. Task as given to add, row: ordinal in its extent.
 * `key` only for Int64; a VarChar key must be read again at its place. */
typedef struct mm_duplicate {
    uint64_t task, row;
    uint64_t earlier_task, earlier_row;
    int64_t key;
} mm_duplicate;

#define MM_DUPLICATES_EXAMPLES 5
typedef struct mm_duplicates_result {
    uint64_t rows;       /* that had a key */
    uint64_t duplicates; /* rows that share their key with an earlier row */
    mm_duplicate examples[MM_DUPLICATES_EXAMPLES]; /* the first in plan order */
    size_t example_count;
} mm_duplicates_result;

/* MM_NO_MEMORY. */
mm_status mm_duplicates_open(const mm_duplicates_args *args, mm_duplicate_finder **out,
                             mm_error *err) MM_MUST_USE;
void mm_duplicates_close(mm_duplicate_finder *finder); /* NULL is allowed */

/* Takes the keys of one batch, as MM_READ_KEYS delivers it: its only column is the primary key.
 * Tasks come in plan order, the batches of a task in the order of its rows. A null key is no key.
 * MM_DISK_FULL, MM_IO, MM_NO_MEMORY; MM_BUG when the column is not of the kind announced. */
mm_status mm_duplicates_add(mm_duplicate_finder *finder, uint64_t task, const mm_batch *batch,
                            mm_error *err) MM_MUST_USE;

/* Searches. Once, after the last add. */
mm_status mm_duplicates_finish(mm_duplicate_finder *finder, mm_duplicates_result *out,
                               mm_error *err) MM_MUST_USE;

/* Receives the rows of one task that are to be left out, as a blob for mm_thin_filter, valid for the
 * call. */
typedef mm_status (*mm_duplicates_fn)(void *context, uint64_t task, const void *blob, size_t size,
                                      uint64_t rows, mm_error *err);

/* After finish, with policy FIRST (all rows of a key but its first are left out) or LAST (all but its
 * last): calls fn for each task that loses rows, in plan order. Memory beyond the budget: one blob,
 * about a byte for each row that its task loses. A status of fn other than MM_OK ends it. */
mm_status mm_duplicates_thin(mm_duplicate_finder *finder, mm_duplicates_fn fn, void *context,
                             mm_error *err) MM_MUST_USE;

#endif
