/* A set of primary keys, as many as a source has, in bounded memory: 64-bit hashes, spilled to a temporary file in streams
 * by their upper bits, and looked at part by part. Who asks for a key whose part is not in memory is told to ask again
 * later. Two keys of one hash are taken for one: with n keys, one that is not in the set is found in it with a probability
 * of n / 2^64. Knows no source and no store. Not thread-safe.
 *
 * Cost: 8 bytes written and read for each key that does not fit, and one walk over the questions for every `memory` / 2
 * bytes of hashes. */
#ifndef MM_RUN_KEYSET_H
#define MM_RUN_KEYSET_H

#include "model/batch.h"

typedef struct mm_keyset mm_keyset;

/* dir: of the temporary file; borrowed until close. memory: bytes, about. MM_NO_MEMORY. */
mm_status mm_keyset_open(const char *dir, size_t memory, mm_keyset **out, mm_error *err) MM_MUST_USE;
void mm_keyset_close(mm_keyset *set); /* NULL is allowed */

/* Adds the keys of a column (Int64 or VarChar); a null is no key. MM_DISK_FULL, MM_IO. */
mm_status mm_keyset_add(mm_keyset *set, const mm_column *keys, size_t rows, mm_error *err) MM_MUST_USE;

/* After the last add: takes the next part into memory, the first one at the first call. MM_END: there is no further one,
 * and the next call begins with the first again. An empty set has one part. MM_IO, MM_NO_MEMORY. */
mm_status mm_keyset_next(mm_keyset *set, mm_error *err) MM_MUST_USE;

typedef enum mm_keyset_answer { MM_KEYSET_ABSENT, MM_KEYSET_PRESENT, MM_KEYSET_OTHER_PART } mm_keyset_answer;
mm_keyset_answer mm_keyset_look(const mm_keyset *set, const uint8_t *key, size_t size);

#endif
