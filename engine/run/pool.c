/* The bounded pool of batches. */
#include "run/pool.h"

#include <stdlib.h>

mm_status mm_pool_init(mm_pool *pool, size_t count, mm_error *err)
{
    pool->batches = calloc(count, sizeof(*pool->batches));
    pool->idle = calloc(count, sizeof(*pool->idle));
    if (pool->batches == NULL || pool->idle == NULL) {
        free(pool->batches);
        free(pool->idle);
        pool->batches = NULL; /* there is nothing to destroy */
        pool->idle = NULL;
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for %zu batches", count);
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->given, NULL);
    pool->count = pool->idle_count = count;
    for (size_t i = 0; i < count; i++)
        pool->idle[i] = &pool->batches[i];
    return MM_OK;
}

void mm_pool_destroy(mm_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        mm_batch_free(&pool->batches[i]);
    free(pool->batches);
    free(pool->idle);
    pthread_cond_destroy(&pool->given);
    pthread_mutex_destroy(&pool->lock);
}

mm_batch *mm_pool_take(mm_pool *pool, const _Atomic bool *give_up)
{
    mm_batch *batch = NULL;
    pthread_mutex_lock(&pool->lock);
    while (pool->idle_count == 0 && !*give_up)
        pthread_cond_wait(&pool->given, &pool->lock);
    if (!*give_up)
        batch = pool->idle[--pool->idle_count];
    pthread_mutex_unlock(&pool->lock);
    if (batch)
        mm_batch_reset(batch);
    return batch;
}

void mm_pool_give(mm_pool *pool, mm_batch *batch)
{
    pthread_mutex_lock(&pool->lock);
    pool->idle[pool->idle_count++] = batch;
    pthread_cond_signal(&pool->given);
    pthread_mutex_unlock(&pool->lock);
}

void mm_pool_wake(mm_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->given);
    pthread_mutex_unlock(&pool->lock);
}
