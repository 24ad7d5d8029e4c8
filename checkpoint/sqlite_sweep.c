/* The SQLite store's sweeps: which collections of a repair are looked through for rows that the source no longer has, and
 * the keys of those rows, from the moment when they are known until the target has none of them left. */
#include "checkpoint/sqlite_internal.h"

mm_status mm_sweep_want(mm_store *store, const uint32_t *collections, size_t count, uint64_t last_task, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        mm_sql sql = mm_sql_start(store, MM_SQL_SWEEP_WANT, err);
        mm_sql_u64(&sql, collections[i]);
        mm_sql_u64(&sql, last_task);
        status = mm_sql_exec(&sql);
    }
    return status;
}

mm_status mm_sqlite_sweeps(mm_store *store, mm_arena *arena, mm_sweep **out, size_t *count, mm_error *err)
{
    uint64_t most = 0;
    bool row = true;
    mm_store_lock(store);
    mm_sql sql = mm_sql_start(store, MM_SQL_SWEEP_COUNT, err);
    mm_status status = mm_sql_number(&sql, &most);
    mm_sweep *items = status == MM_OK ? mm_arena_array(arena, (size_t)most, sizeof(*items)) : NULL;
    if (status == MM_OK && items == NULL)
        status = mm_store_no_memory(store, err);
    size_t got = 0;
    if (status == MM_OK)
        sql = mm_sql_start(store, MM_SQL_SWEEPS, err);
    while (status == MM_OK && got < most) {
        status = mm_sql_next(&sql, &row);
        if (status != MM_OK || !row)
            break;
        items[got++] = (mm_sweep){(uint32_t)mm_sql_column_u64(&sql, 0), mm_sql_column_u64(&sql, 1) == 2,
                                  mm_sql_column_u64(&sql, 2), mm_sql_column_u64(&sql, 3)};
    }
    if (status == MM_OK) {
        mm_sql_end(&sql);
        *out = items;
        *count = got;
    }
    mm_store_unlock(store);
    return status;
}

/* ---- the keys ---- */

mm_status mm_sqlite_sweep_begin(mm_store *store, uint32_t collection, mm_error *err)
{
    mm_store_lock(store);
    mm_status status = mm_sql_begin(store, err);
    if (status == MM_OK) {
        mm_sql sql = mm_sql_start(store, MM_SQL_EXTRA_CLEAR, err);
        mm_sql_u64(&sql, collection);
        status = mm_sql_exec(&sql);
        if (status != MM_OK)
            mm_sql_rollback(store);
    }
    mm_store_unlock(store);
    return status;
}

mm_status mm_sqlite_sweep_add(mm_store *store, uint32_t collection, const void *key, size_t size, mm_error *err)
{
    mm_store_lock(store);
    mm_sql sql = mm_sql_start(store, MM_SQL_EXTRA_ADD, err);
    mm_sql_u64(&sql, collection);
    mm_sql_blob(&sql, key, size);
    mm_status status = mm_sql_exec(&sql);
    mm_store_unlock(store);
    return status;
}

mm_status mm_sqlite_sweep_end(mm_store *store, uint32_t collection, bool commit, mm_error *err)
{
    uint64_t txn = 0;
    mm_status status = MM_OK;
    mm_store_lock(store);
    if (commit) {
        mm_sql sql = mm_sql_start(store, MM_SQL_SWEEP_FOUND, err);
        mm_sql_u64(&sql, collection);
        status = mm_sql_exec_one(&sql, "sweep");
        if (status == MM_OK) {
            sql = mm_sql_start(store, MM_SQL_TXN_NEXT, err);
            status = mm_sql_number(&sql, &txn);
        }
    }
    MM_FAILPOINT("store.sweep.before_commit");
    if (status == MM_OK && commit)
        status = mm_sql_commit(store, txn, err);
    else
        mm_sql_rollback(store);
    MM_FAILPOINT("store.sweep.after_commit");
    mm_store_unlock(store);
    return status;
}

mm_status mm_sqlite_sweep_keys(mm_store *store, uint32_t collection, size_t most, mm_arena *arena, mm_extra **out,
                               size_t *count, mm_error *err)
{
    size_t got = 0;
    bool row = true;
    mm_extra *items = mm_arena_array(arena, most, sizeof(*items));
    if (items == NULL)
        return mm_store_no_memory(store, err);
    mm_store_lock(store);
    mm_sql sql = mm_sql_start(store, MM_SQL_EXTRAS, err);
    mm_sql_u64(&sql, collection);
    mm_sql_u64(&sql, most);
    mm_status status = MM_OK;
    while (status == MM_OK && got < most) {
        status = mm_sql_next(&sql, &row);
        if (status != MM_OK || !row)
            break;
        items[got].id = mm_sql_column_u64(&sql, 0);
        status = mm_sql_column_blob(&sql, 1, arena, &items[got].key, &items[got].size);
        got += status == MM_OK;
    }
    mm_sql_end(&sql);
    mm_store_unlock(store);
    if (status == MM_OK) {
        *out = items;
        *count = got;
    }
    return status;
}

mm_status mm_apply_swept(mm_store *store, const mm_op *op, mm_error *err)
{
    mm_sql sql = mm_sql_start(store, MM_SQL_EXTRA_DROP, err);
    mm_sql_u64(&sql, op->collection);
    mm_sql_u64(&sql, op->row);
    mm_status status = mm_sql_exec(&sql);
    if (status != MM_OK)
        return status;
    sql = mm_sql_start(store, MM_SQL_SWEEP_REMOVED, err);
    mm_sql_u64(&sql, op->collection);
    mm_sql_u64(&sql, op->rows);
    mm_sql_int(&sql, op->done);
    return mm_sql_exec_one(&sql, "sweep");
}

mm_status mm_apply_counted(mm_store *store, const mm_op *op, mm_error *err)
{
    mm_sql sql = mm_sql_start(store, MM_SQL_SWEEP_COUNTED, err);
    mm_sql_u64(&sql, op->collection);
    mm_sql_u64(&sql, op->rows);
    mm_sql_int(&sql, op->flag);
    return mm_sql_exec(&sql);
}
