/* A seeded life of a store, step by step: created, planned, claimed, advanced, closed and opened,
 * verified, repaired, planned again. Every step is at most one transaction, so that after a fault in
 * step n the store must tell what it told after step n - 1 or after step n, nothing else. */
#ifndef MM_TESTS_STORE_WORKLOAD_H
#define MM_TESTS_STORE_WORKLOAD_H

#include "support/store_fixture.h"

#define WORKLOAD_CLAIMS 8

typedef struct mm_workload {
    mm_store_args args;
    mm_store *store; /* NULL: not open */
    mm_arena arena;
    mm_error err;
    uint64_t random; /* what comes next depends on this alone */
    uint32_t run;
    mm_task claimed[WORKLOAD_CLAIMS];
    size_t claimed_count;
} mm_workload;

void workload_begin(mm_workload *workload, const mm_store_args *args, uint64_t seed);
/* Runs step `number` (0, 1, …). After a failure the same step can be run again. */
mm_status workload_step(mm_workload *workload, size_t number);
void workload_end(mm_workload *workload);

/* Runs `steps` steps without faults in an otherwise empty folder; texts[i] is the description after
 * step i (malloc'd). */
void workload_reference(const mm_store_args *args, uint64_t seed, size_t steps, char **texts);

#endif
