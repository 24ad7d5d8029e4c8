/* The SQLite store's tasks: claiming, reading one, going through all. Plans and advances nothing. */
#include "checkpoint/sqlite_internal.h"

/* Tasks read at once by `tasks`: bounds what is held (an extent's specification is at most 64 KiB). */
#define MM_TASK_PAGE 64

mm_status mm_sql_column_task(mm_sql *sql, mm_arena *arena, mm_task *out)
{
    mm_task task = {
        .id = mm_sql_column_u64(sql, 0),
        .kind = (mm_task_kind)mm_sql_column_u64(sql, 1),
        .collection = (uint32_t)mm_sql_column_u64(sql, 2),
        .partition = (uint32_t)mm_sql_column_u64(sql, 3),
        .rows = mm_sql_column_u64(sql, 4),
        .bytes = mm_sql_column_u64(sql, 5),
        .copy_of = mm_sql_column_u64(sql, 7),
        .epoch = mm_sql_column_u64(sql, 8),
        .cursor = {.row = mm_sql_column_u64(sql, 9)},
        .reserved = mm_sql_column_u64(sql, 11),
        .rows_done = mm_sql_column_u64(sql, 12),
        .rejected = mm_sql_column_u64(sql, 13),
        .thinned = mm_sql_column_u64(sql, 14),
        .mismatched = mm_sql_column_u64(sql, 15),
        .bytes_done = mm_sql_column_u64(sql, 16),
        .checksum = mm_sql_column_u64(sql, 17),
    };
    const void *mark = sqlite3_column_blob(sql->stmt, 10);
    size_t mark_size = (size_t)sqlite3_column_bytes(sql->stmt, 10);
    if (mark_size > MM_MARK_MAX)
        return mm_error_set(sql->err, MM_IO, "savepoint store %s: task %llu has a mark of %zu bytes",
                            sql->store->path, (unsigned long long)task.id, mark_size);
    if (mark_size > 0)
        memcpy(task.cursor.mark, mark, mark_size);
    task.cursor.mark_size = (uint32_t)mark_size;
    mm_status status = mm_sql_column_blob(sql, 6, arena, &task.spec, &task.spec_size);
    if (status == MM_OK)
        status = mm_sql_column_blob(sql, 18, arena, &task.thin, &task.thin_size);
    if (status == MM_OK)
        *out = task;
    return status;
}

static mm_status mm_task_load(mm_store *store, uint64_t id, mm_arena *arena, mm_task *out,
                              mm_error *err)
{
    bool row = false;
    mm_sql sql = mm_sql_start(store, MM_SQL_TASK_READ, err);
    mm_sql_u64(&sql, id);
    mm_status status = mm_sql_next(&sql, &row);
    if (status == MM_OK && !row)
        status = mm_error_set(err, MM_NOT_FOUND, "savepoint store %s: no task %llu", store->path,
                              (unsigned long long)id);
    else if (status == MM_OK)
        status = mm_sql_column_task(&sql, arena, out);
    mm_sql_end(&sql);
    return status;
}

mm_status mm_sqlite_task_read(mm_store *store, uint64_t id, mm_arena *arena, mm_task *out,
                              mm_error *err)
{
    mm_store_lock(store);
    mm_status status = mm_task_load(store, id, arena, out, err);
    mm_store_unlock(store);
    return status;
}

/* ---- claim ---- */

/* A claim under way: ids found so far, in the order in which they are handed out. */
typedef struct mm_claim {
    mm_store *store;
    mm_task_kind kind;
    uint64_t *ids;
    size_t count, max;
    mm_error *err;
} mm_claim;

static mm_status mm_claim_collect(mm_claim *claim, mm_sql *sql)
{
    bool row = true;
    mm_status status = MM_OK;
    while (claim->count < claim->max) {
        status = mm_sql_next(sql, &row);
        if (status != MM_OK || !row)
            return status;
        claim->ids[claim->count++] = mm_sql_column_u64(sql, 0);
    }
    mm_sql_end(sql);
    return MM_OK;
}

/* Those whose owner is gone, then those that were given back. Both are found in progress_open, which
 * holds only what is under way. */
static mm_status mm_claim_again(mm_claim *claim)
{
    mm_sql sql = mm_sql_start(claim->store, MM_SQL_CLAIM_FORMER, claim->err);
    mm_sql_int(&sql, claim->kind);
    mm_sql_u64(&sql, claim->store->owner);
    mm_sql_u64(&sql, claim->max);
    mm_status status = mm_claim_collect(claim, &sql);
    if (status == MM_OK && claim->count < claim->max) {
        sql = mm_sql_start(claim->store, MM_SQL_CLAIM_RELEASED, claim->err);
        mm_sql_int(&sql, claim->kind);
        mm_sql_u64(&sql, claim->max - claim->count);
        status = mm_claim_collect(claim, &sql);
    }
    for (size_t i = 0; status == MM_OK && i < claim->count; i++) {
        sql = mm_sql_start(claim->store, MM_SQL_CLAIM_AGAIN, claim->err);
        mm_sql_u64(&sql, claim->ids[i]);
        mm_sql_u64(&sql, claim->store->owner);
        status = mm_sql_exec_one(&sql, "task to claim again");
        if (status != MM_OK)
            break;
        sql = mm_sql_start(claim->store, MM_SQL_CLAIM_DOUBT, claim->err);
        mm_sql_u64(&sql, claim->ids[i]);
        status = mm_sql_exec(&sql);
    }
    return status;
}

/* Takes fresh tasks from one stretch. */
static mm_status mm_claim_stretch(mm_claim *claim, uint64_t first, uint64_t next, uint64_t last)
{
    mm_status status = MM_OK;
    while (status == MM_OK && next <= last && claim->count < claim->max) {
        mm_sql sql = mm_sql_start(claim->store, MM_SQL_CLAIM_FRESH, claim->err);
        mm_sql_u64(&sql, next);
        mm_sql_u64(&sql, claim->store->owner);
        status = mm_sql_exec(&sql);
        /* no change: an unfenced operation touched it before it was ever claimed */
        if (status == MM_OK && sqlite3_changes(claim->store->db) == 1)
            claim->ids[claim->count++] = next;
        next++;
    }
    if (status != MM_OK)
        return status;
    mm_sql sql = mm_sql_start(claim->store, MM_SQL_STRETCH_NEXT, claim->err);
    mm_sql_u64(&sql, first);
    mm_sql_u64(&sql, next);
    return mm_sql_exec_one(&sql, "stretch");
}

static mm_status mm_claim_fresh(mm_claim *claim)
{
    while (claim->count < claim->max) {
        bool row = false;
        mm_sql sql = mm_sql_start(claim->store, MM_SQL_STRETCH_OPEN, claim->err);
        mm_sql_int(&sql, claim->kind);
        mm_status status = mm_sql_next(&sql, &row);
        if (status != MM_OK || !row)
            return status;
        uint64_t first = mm_sql_column_u64(&sql, 0), next = mm_sql_column_u64(&sql, 1),
                 last = mm_sql_column_u64(&sql, 2);
        mm_sql_end(&sql);
        status = mm_claim_stretch(claim, first, next, last);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

static mm_status mm_claim_run(mm_claim *claim, mm_arena *arena, mm_task *tasks, uint64_t *txn)
{
    mm_status status = mm_claim_again(claim);
    if (status == MM_OK)
        status = mm_claim_fresh(claim);
    for (size_t i = 0; status == MM_OK && i < claim->count; i++)
        status = mm_task_load(claim->store, claim->ids[i], arena, &tasks[i], claim->err);
    if (status != MM_OK)
        return status;
    mm_sql sql = mm_sql_start(claim->store, MM_SQL_TXN_NEXT, claim->err);
    return mm_sql_number(&sql, txn);
}

mm_status mm_sqlite_claim(mm_store *store, mm_task_kind kind, size_t max, mm_arena *arena,
                          mm_task *out, size_t *count, mm_error *err)
{
    uint64_t txn = 0;
    uint64_t *ids = mm_arena_array(arena, max, sizeof *ids);
    mm_task *tasks = mm_arena_array(arena, max, sizeof *tasks);
    if (ids == NULL || tasks == NULL)
        return mm_store_no_memory(store, err);
    mm_claim claim = {store, kind, ids, 0, max, err};

    mm_store_lock(store);
    mm_status status = mm_sql_begin(store, err);
    if (status != MM_OK)
        goto out;
    MM_FAILPOINT("store.claim.begin");
    status = mm_claim_run(&claim, arena, tasks, &txn);
    MM_FAILPOINT("store.claim.before_commit");
    if (status == MM_OK && claim.count > 0)
        status = mm_sql_commit(store, txn, err);
    else
        mm_sql_rollback(store);
    MM_FAILPOINT("store.claim.after_commit");
    if (status == MM_OK) {
        memcpy(out, tasks, claim.count * sizeof *tasks);
        *count = claim.count;
    }
out:
    mm_store_unlock(store);
    return status;
}

/* ---- all tasks ---- */

static mm_status mm_task_read_page(mm_store *store, uint64_t after, uint64_t last, mm_arena *arena,
                                   mm_task tasks[MM_TASK_PAGE], size_t *count, mm_error *err)
{
    size_t got = 0;
    bool row = true;
    mm_store_lock(store);
    mm_sql sql = mm_sql_start(store, MM_SQL_TASK_PAGE, err);
    mm_sql_u64(&sql, after);
    mm_sql_u64(&sql, last);
    mm_sql_int(&sql, MM_TASK_PAGE);
    mm_status status = MM_OK;
    while (got < MM_TASK_PAGE) {
        status = mm_sql_next(&sql, &row);
        if (status != MM_OK || !row)
            break;
        status = mm_sql_column_task(&sql, arena, &tasks[got]);
        if (status != MM_OK)
            break;
        got++;
    }
    mm_sql_end(&sql);
    mm_store_unlock(store);
    if (status == MM_OK)
        *count = got;
    return status;
}

/* In a plan under way the last stretch is not recorded yet. */
static mm_status mm_task_last(mm_store *store, uint64_t *last, mm_error *err)
{
    mm_status status = MM_OK;
    mm_store_lock(store);
    if (store->plan.open) {
        *last = store->plan.next_id - 1;
    } else {
        mm_sql sql = mm_sql_start(store, MM_SQL_COPY_LAST, err);
        status = mm_sql_number(&sql, last);
    }
    mm_store_unlock(store);
    return status;
}

mm_status mm_sqlite_tasks(mm_store *store,
                          mm_status (*fn)(void *context, const mm_task *task, mm_error *err),
                          void *context, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    uint64_t after = 0, last = 0;
    mm_status status = mm_task_last(store, &last, err);
    mm_task *tasks = mm_arena_array(&arena, MM_TASK_PAGE, sizeof *tasks);
    mm_arena page = MM_ARENA_INIT;
    if (status == MM_OK && tasks == NULL)
        status = mm_store_no_memory(store, err);
    while (status == MM_OK && after < last) {
        size_t count = 0;
        mm_arena_reset(&page);
        status = mm_task_read_page(store, after, last, &page, tasks, &count, err);
        if (status != MM_OK || count == 0)
            break;
        after = tasks[count - 1].id;
        /* without the lock: fn may take its time */
        for (size_t i = 0; status == MM_OK && i < count; i++)
            status = fn(context, &tasks[i], err);
    }
    mm_arena_free(&page);
    mm_arena_free(&arena);
    return status;
}
