/* A bounded pool of batches: the memory budget of a pipeline. A batch is taken before it is filled
 * and given back when the target has its rows, so that reading cannot run ahead of writing by more
 * than the budget. */
#ifndef MM_RUN_POOL_H
#define MM_RUN_POOL_H

#include <pthread.h>

#include "model/batch.h"

typedef struct mm_pool {
    pthread_mutex_t lock;
    pthread_cond_t given;
    mm_batch *batches;
    mm_batch **idle;
    size_t count, idle_count;
} mm_pool;

mm_status mm_pool_init(mm_pool *pool, size_t count, mm_error *err);
void mm_pool_destroy(mm_pool *pool);
/* Waits for an idle batch; NULL as soon as *give_up is true (and mm_pool_wake was called). The batch
 * is reset. */
mm_batch *mm_pool_take(mm_pool *pool, const _Atomic bool *give_up);
void mm_pool_give(mm_pool *pool, mm_batch *batch);
void mm_pool_wake(mm_pool *pool);

#endif
