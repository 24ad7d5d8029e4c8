/* Comparing a batch of the source with what the target gives back for it. */
#ifndef MM_RUN_COMPARE_H
#define MM_RUN_COMPARE_H

#include "model/batch.h"

#define MM_KEY_TEXT 64

/* A row that differs, for the report. */
typedef struct mm_difference {
    char key[MM_KEY_TEXT];
    const char *what; /* "is missing", "differs", "stands more than once" */
    const char *field; /* the first that differs, or NULL */
} mm_difference;

#define MM_DIFFERENCES_MAX 10

/* Both batches have the same schema; rows of `found` come in any order. Rows are equal when every
 * field has the same presence and the same bytes. Returns the number of rows of `expected` that are
 * missing or differ, plus surplus rows of `found`; describes the first MM_DIFFERENCES_MAX. */
mm_status mm_compare(const mm_batch *expected, const mm_batch *found, uint64_t *mismatched,
                     mm_difference differences[MM_DIFFERENCES_MAX], size_t *count, mm_error *err);

/* The primary key of a row as a report shows it; long text is cut. */
void mm_compare_key_text(const mm_batch *batch, size_t row, char out[MM_KEY_TEXT]);

#endif
