/* The SQLite store's transactions while a run goes on: a list of operations, applied together or not
 * at all. Differences to the run's totals are summed over the list and written once. */
#include "checkpoint/sqlite_internal.h"

/* What one list adds to the run's row. */
typedef struct mm_totals {
    uint64_t rows, bytes, rejected, thinned, resent, mismatched, active_ms, rejects_size;
    uint64_t tasks_done, verify_done;
} mm_totals;

static mm_status mm_apply_overflow(mm_store *store, mm_error *err)
{
    return mm_error_set(err, MM_DATA, "savepoint store %s: a total is more than it can hold",
                        store->path);
}

/* An operation on a task that the epoch guards changed no row: fenced. Without epoch: no such task. */
static mm_status mm_apply_guarded(mm_sql *sql, mm_op *op)
{
    if (op->epoch == 0)
        return mm_sql_exec_one(sql, "task");
    mm_status status = mm_sql_exec(sql);
    if (status == MM_OK)
        op->fenced = sqlite3_changes(sql->store->db) == 0;
    return status;
}

/* Gives a task that was never claimed its row of progress, for operations without an epoch. */
static mm_status mm_apply_make(mm_store *store, uint64_t task, mm_error *err)
{
    mm_sql sql = mm_sql_start(store, MM_SQL_PROGRESS_MAKE, err);
    mm_sql_u64(&sql, task);
    return mm_sql_exec(&sql);
}

static mm_status mm_apply_reserve(mm_store *store, mm_op *op, mm_error *err)
{
    mm_status status = op->epoch == 0 ? mm_apply_make(store, op->task, err) : MM_OK;
    if (status != MM_OK)
        return status;
    mm_sql sql = mm_sql_start(store, MM_SQL_PROGRESS_RESERVE, err);
    mm_sql_u64(&sql, op->task);
    mm_sql_u64(&sql, op->epoch);
    mm_sql_u64(&sql, op->row);
    return mm_apply_guarded(&sql, op);
}

static mm_status mm_apply_release(mm_store *store, mm_op *op, mm_error *err)
{
    mm_sql sql = mm_sql_start(store, MM_SQL_PROGRESS_RELEASE, err);
    mm_sql_u64(&sql, op->task);
    mm_sql_u64(&sql, op->epoch);
    mm_status status = mm_sql_exec(&sql);
    if (status == MM_OK && op->epoch != 0)
        op->fenced = sqlite3_changes(store->db) == 0;
    return status;
}

/* Whether the task is done already; only an operation without epoch can meet one that is. */
static mm_status mm_apply_was_done(mm_store *store, const mm_op *op, bool *done, mm_error *err)
{
    *done = false;
    if (op->epoch != 0)
        return MM_OK;
    mm_status status = mm_apply_make(store, op->task, err);
    if (status != MM_OK)
        return status;
    bool row = false;
    mm_sql sql = mm_sql_start(store, MM_SQL_PROGRESS_STATE, err);
    mm_sql_u64(&sql, op->task);
    status = mm_sql_next(&sql, &row);
    if (status == MM_OK && row)
        *done = mm_sql_column_u64(&sql, 0) == 2;
    mm_sql_end(&sql);
    return status;
}

static mm_status mm_apply_share(mm_store *store, uint64_t collection, uint64_t part, uint64_t rows,
                                mm_error *err)
{
    mm_sql sql = mm_sql_start(store, MM_SQL_SHARE_ADD, err);
    mm_sql_u64(&sql, collection);
    mm_sql_u64(&sql, part);
    mm_sql_u64(&sql, rows);
    return mm_sql_exec(&sql);
}

static mm_status mm_apply_sum(mm_store *store, mm_totals *totals, const mm_op *op,
                              mm_task_kind kind, bool newly_done, mm_error *err)
{
    bool fits = mm_add_u64(totals->mismatched, kind == MM_TASK_VERIFY ? op->mismatched : 0,
                           &totals->mismatched);
    if (kind != MM_TASK_VERIFY)
        fits = fits && mm_add_u64(totals->rows, op->rows, &totals->rows) &&
               mm_add_u64(totals->bytes, op->bytes, &totals->bytes) &&
               mm_add_u64(totals->rejected, op->rejected, &totals->rejected) &&
               mm_add_u64(totals->thinned, op->thinned, &totals->thinned) &&
               mm_add_u64(totals->resent, op->resent, &totals->resent);
    if (!fits)
        return mm_apply_overflow(store, err);
    if (op->rejects_size > 0)
        totals->rejects_size = op->rejects_size;
    if (newly_done && kind == MM_TASK_VERIFY)
        totals->verify_done++;
    else if (newly_done && kind != MM_TASK_LOAD)
        totals->tasks_done++;
    return MM_OK;
}

static mm_status mm_apply_held(mm_store *store, const mm_op *op, bool *held, mm_error *err)
{
    bool row = false;
    mm_sql sql = mm_sql_start(store, MM_SQL_PROGRESS_HELD, err);
    mm_sql_u64(&sql, op->task);
    mm_sql_u64(&sql, op->epoch);
    mm_status status = mm_sql_next(&sql, &row);
    mm_sql_end(&sql);
    *held = row;
    return status;
}

/* An advance changed no row: fenced, or a bug of the caller. */
static mm_status mm_apply_not_advanced(mm_store *store, mm_op *op, mm_error *err)
{
    bool held = op->epoch == 0;
    mm_status status = held ? MM_OK : mm_apply_held(store, op, &held, err);
    if (status != MM_OK)
        return status;
    op->fenced = !held;
    if (held)
        status = mm_error_set(err, MM_BUG,
                              "savepoint store %s: task %llu is not there, or its cursor would go back",
                              store->path, (unsigned long long)op->task);
    return status;
}

static mm_sql mm_apply_bind_advance(mm_store *store, const mm_op *op, mm_error *err)
{
    mm_sql sql = mm_sql_start(store, MM_SQL_PROGRESS_ADVANCE, err);
    mm_sql_u64(&sql, op->task);
    mm_sql_u64(&sql, op->epoch);
    mm_sql_u64(&sql, op->row);
    mm_sql_int(&sql, op->cursor != NULL);
    mm_sql_u64(&sql, op->cursor ? op->cursor->row : 0);
    mm_sql_blob(&sql, op->cursor ? op->cursor->mark : NULL, op->cursor ? op->cursor->mark_size : 0);
    mm_sql_int(&sql, op->done);
    mm_sql_u64(&sql, op->rows);
    mm_sql_u64(&sql, op->rejected);
    mm_sql_u64(&sql, op->thinned);
    mm_sql_u64(&sql, op->mismatched);
    mm_sql_u64(&sql, op->bytes);
    mm_sql_int(&sql, (int64_t)op->checksum);
    return sql;
}

static mm_status mm_apply_advance(mm_store *store, mm_op *op, mm_totals *totals, mm_error *err)
{
    bool was_done = false, row = false;
    if (op->cursor && op->cursor->mark_size > MM_MARK_MAX)
        return mm_error_set(err, MM_BUG, "savepoint store %s: a mark of %u bytes", store->path,
                            op->cursor->mark_size);
    mm_status status = mm_apply_was_done(store, op, &was_done, err);
    if (status != MM_OK)
        return status;
    mm_sql sql = mm_apply_bind_advance(store, op, err);
    status = mm_sql_next(&sql, &row);
    if (status != MM_OK)
        return status;
    if (!row)
        return mm_apply_not_advanced(store, op, err);
    mm_task_kind kind = (mm_task_kind)mm_sql_column_u64(&sql, 0);
    uint64_t collection = mm_sql_column_u64(&sql, 1), part = mm_sql_column_u64(&sql, 2);
    mm_sql_end(&sql);
    status = mm_apply_sum(store, totals, op, kind, op->done && !was_done, err);
    if (status == MM_OK && op->rows > 0 && (kind == MM_TASK_COPY || kind == MM_TASK_CHANGE))
        status = mm_apply_share(store, collection, part, op->rows, err);
    return status;
}

static mm_status mm_apply_doubt(mm_store *store, mm_op *op, mm_error *err)
{
    mm_status status = MM_OK;
    if (op->epoch != 0) {
        bool held = false;
        status = mm_apply_held(store, op, &held, err);
        op->fenced = status == MM_OK && !held;
    }
    if (status != MM_OK || op->fenced || op->row >= op->to_row)
        return status;
    mm_sql sql = mm_sql_start(store, MM_SQL_DOUBT_INSERT, err);
    mm_sql_u64(&sql, op->task);
    mm_sql_u64(&sql, op->row);
    mm_sql_u64(&sql, op->to_row);
    return mm_sql_exec(&sql);
}

static mm_status mm_apply_skip(mm_store *store, mm_op *op, mm_totals *totals, mm_error *err)
{
    uint64_t undone = 0;
    mm_sql sql = mm_sql_start(store, MM_SQL_SKIP_COUNT, err);
    mm_sql_u64(&sql, op->collection);
    mm_status status = mm_sql_number(&sql, &undone);
    if (status != MM_OK)
        return status;
    sql = mm_sql_start(store, MM_SQL_COLLECTION_SKIP, err);
    mm_sql_u64(&sql, op->collection);
    status = mm_sql_exec_one(&sql, "collection");
    static const mm_sql_id marks[] = {MM_SQL_SKIP_PROGRESS, MM_SQL_SKIP_STRETCH};
    for (size_t i = 0; status == MM_OK && i < MM_COUNT(marks); i++) {
        sql = mm_sql_start(store, marks[i], err);
        mm_sql_u64(&sql, op->collection);
        status = mm_sql_exec(&sql);
    }
    if (status == MM_OK && !mm_add_u64(totals->tasks_done, undone, &totals->tasks_done))
        status = mm_apply_overflow(store, err);
    return status;
}

static mm_status mm_apply_collection(mm_store *store, mm_op *op, mm_error *err)
{
    mm_sql_id id = op->kind == MM_OP_FENCE  ? MM_SQL_COLLECTION_FENCE
                   : op->kind == MM_OP_SEAL ? MM_SQL_COLLECTION_SEAL
                                            : MM_SQL_COLLECTION_TARGET;
    mm_sql sql = mm_sql_start(store, id, err);
    mm_sql_u64(&sql, op->collection);
    if (op->kind == MM_OP_FENCE) {
        mm_sql_u64(&sql, op->row);
        mm_sql_int(&sql, op->flag);
    } else if (op->kind == MM_OP_TARGET) {
        mm_sql_text(&sql, op->text);
    }
    return mm_sql_exec_one(&sql, op->kind == MM_OP_FENCE ? "collection with a fence not above this"
                                                         : "collection");
}

static mm_status mm_apply_step(mm_store *store, mm_op *op, mm_error *err)
{
    mm_sql sql = mm_sql_start(store, MM_SQL_STEP_WRITE, err);
    mm_sql_u64(&sql, op->collection);
    mm_sql_text(&sql, op->key);
    mm_sql_text(&sql, op->text ? op->text : "");
    mm_sql_int(&sql, op->flag);
    return mm_sql_exec(&sql);
}

static mm_status mm_apply_state(mm_store *store, mm_op *op, mm_error *err)
{
    mm_sql sql = mm_sql_start(store, op->text ? MM_SQL_STATE_WRITE : MM_SQL_STATE_REMOVE, err);
    mm_sql_text(&sql, op->key);
    if (op->text)
        mm_sql_text(&sql, op->text);
    return mm_sql_exec(&sql);
}

static mm_status mm_apply_active(mm_store *store, const mm_op *op, mm_totals *totals, mm_error *err)
{
    if (!mm_add_u64(totals->active_ms, op->active_ms, &totals->active_ms))
        return mm_apply_overflow(store, err);
    return MM_OK;
}

static mm_status mm_apply_phase(mm_store *store, mm_op *op, mm_totals *totals, mm_error *err)
{
    mm_sql sql = mm_sql_start(store, MM_SQL_RUN_PHASE, err);
    mm_sql_text(&sql, op->text);
    mm_status status = mm_sql_exec_one(&sql, "run");
    if (status == MM_OK && op->flag) {
        sql = mm_sql_start(store, MM_SQL_RUN_SETTLED, err);
        status = mm_sql_exec(&sql);
    }
    return status == MM_OK ? mm_apply_active(store, op, totals, err) : status;
}

static mm_status mm_apply_run(mm_store *store, mm_op *op, mm_totals *totals, mm_error *err)
{
    if (op->state == MM_RUN_NONE)
        return mm_error_set(err, MM_BUG, "savepoint store %s: a run without state", store->path);
    mm_sql sql = mm_sql_start(store, MM_SQL_RUN_STATE, err);
    mm_sql_int(&sql, op->state);
    mm_sql_text(&sql, op->text);
    mm_sql_int(&sql, op->exit_code);
    mm_sql_int(&sql, op->finished_ms);
    mm_status status = mm_sql_exec_one(&sql, "run");
    if (status == MM_OK && op->verdict) {
        sql = mm_sql_start(store, MM_SQL_RUN_VERDICT, err);
        mm_sql_int(&sql, op->verdict->state);
        mm_sql_count(&sql, op->verdict->source_rows);
        mm_sql_count(&sql, op->verdict->target_rows);
        mm_sql_count(&sql, op->verdict->mismatches);
        status = mm_sql_exec_one(&sql, "run");
    }
    return status == MM_OK ? mm_apply_active(store, op, totals, err) : status;
}

static mm_status mm_apply_one(mm_store *store, mm_op *op, mm_totals *totals, mm_error *err)
{
    op->fenced = false;
    switch (op->kind) {
    case MM_OP_RESERVE:
        return mm_apply_reserve(store, op, err);
    case MM_OP_ADVANCE:
        return mm_apply_advance(store, op, totals, err);
    case MM_OP_RELEASE:
        return mm_apply_release(store, op, err);
    case MM_OP_DOUBT:
        return mm_apply_doubt(store, op, err);
    case MM_OP_FENCE:
    case MM_OP_SEAL:
    case MM_OP_TARGET:
        return mm_apply_collection(store, op, err);
    case MM_OP_SKIP:
        return mm_apply_skip(store, op, totals, err);
    case MM_OP_STEP:
        return mm_apply_step(store, op, err);
    case MM_OP_STATE:
        return mm_apply_state(store, op, err);
    case MM_OP_COUNTED:
        return mm_apply_counted(store, op, err);
    case MM_OP_SWEPT:
        return mm_apply_swept(store, op, err);
    case MM_OP_PHASE:
        return mm_apply_phase(store, op, totals, err);
    case MM_OP_RUN:
        return mm_apply_run(store, op, totals, err);
    }
    return mm_error_set(err, MM_BUG, "savepoint store %s: operation %d", store->path,
                        (int)op->kind);
}

static mm_status mm_apply_totals(mm_store *store, const mm_totals *totals, uint64_t *txn,
                                 mm_error *err)
{
    mm_sql sql = mm_sql_start(store, MM_SQL_RUN_ADD, err);
    mm_sql_u64(&sql, totals->rows);
    mm_sql_u64(&sql, totals->bytes);
    mm_sql_u64(&sql, totals->rejected);
    mm_sql_u64(&sql, totals->thinned);
    mm_sql_u64(&sql, totals->resent);
    mm_sql_u64(&sql, totals->tasks_done);
    mm_sql_u64(&sql, totals->verify_done);
    mm_sql_u64(&sql, totals->mismatched);
    mm_sql_u64(&sql, totals->active_ms);
    mm_sql_u64(&sql, totals->rejects_size);
    return mm_sql_number(&sql, txn);
}

static mm_status mm_apply_all(mm_store *store, mm_op *ops, size_t count, uint64_t *txn,
                              mm_error *err)
{
    mm_totals totals = {0};
    for (size_t i = 0; i < count; i++) {
        mm_status status = mm_apply_one(store, &ops[i], &totals, err);
        if (status != MM_OK)
            return status;
    }
    return mm_apply_totals(store, &totals, txn, err);
}

mm_status mm_sqlite_apply(mm_store *store, mm_op *ops, size_t count, mm_error *err)
{
    uint64_t txn = 0;
    mm_store_lock(store);
    mm_status status = MM_OK;
    if (count == 0)
        goto out;
    if (MM_FAILPOINT_FAILS("store.apply.begin")) {
        status = mm_error_set(err, MM_IO, "savepoint store %s: failpoint", store->path);
        goto out;
    }
    status = mm_sql_begin(store, err);
    if (status != MM_OK)
        goto out;
    status = mm_apply_all(store, ops, count, &txn, err);
    if (status == MM_OK && MM_FAILPOINT_FAILS("store.apply.before_commit"))
        status = mm_error_set(err, MM_IO, "savepoint store %s: failpoint", store->path);
    if (status == MM_OK)
        status = mm_sql_commit(store, txn, err);
    else
        mm_sql_rollback(store);
    MM_FAILPOINT("store.apply.after_commit");
out:
    mm_store_unlock(store);
    return status;
}
