/* The SQLite store's plans: the plan of a run, streamed into one transaction, and the two plans that
 * the store makes out of its own rows (verification, repair). Claims nothing. */
#include "checkpoint/sqlite_internal.h"

static mm_status mm_plan_check(mm_store *store, mm_error *err)
{
    if (!store->plan.open)
        return mm_error_set(err, MM_BUG, "savepoint store %s: no plan is being written",
                            store->path);
    if (store->plan.failed)
        return mm_error_set(err, MM_IO, "savepoint store %s: the plan failed before", store->path);
    return MM_OK;
}

/* After a failed write SQLite may have rolled back by itself; a write that followed would be
 * committed on its own, half a plan. */
static mm_status mm_plan_note(mm_store *store, mm_status status)
{
    if (status != MM_OK)
        store->plan.failed = true;
    return status;
}

/* All of these are DELETE without WHERE, which SQLite does page by page, not row by row. */
static const char mm_plan_clear[] =
    "DELETE FROM task; DELETE FROM progress; DELETE FROM stretch; DELETE FROM share; "
    "DELETE FROM thin; DELETE FROM doubt; DELETE FROM step; DELETE FROM state; "
    "DELETE FROM collection; DELETE FROM sweep; DELETE FROM extra";

static mm_status mm_plan_insert_run(mm_store *store, const mm_run_record *run, mm_error *err)
{
    mm_sql sql = mm_sql_start(store, MM_SQL_RUN_INSERT, err);
    mm_sql_u64(&sql, run->run);
    mm_sql_int(&sql, run->state);
    mm_sql_int(&sql, run->started_ms);
    mm_sql_int(&sql, run->finished_ms);
    mm_sql_text(&sql, run->error);
    mm_sql_text(&sql, run->phase ? run->phase : "");
    mm_sql_int(&sql, run->exit_code);
    mm_sql_count(&sql, run->rows_total);
    mm_sql_u64(&sql, run->bytes_total);
    mm_sql_u64(&sql, run->active_ms);
    mm_sql_u64(&sql, run->duplicates);
    mm_sql_text(&sql, run->config_fingerprint ? run->config_fingerprint : "");
    return mm_sql_exec(&sql);
}

static mm_status mm_plan_check_run(mm_store *store, const mm_run_record *run, mm_error *err)
{
    uint64_t newest = 0;
    mm_sql sql = mm_sql_start(store, MM_SQL_RUN_READ, err);
    mm_status status = mm_sql_number(&sql, &newest);
    if (status == MM_OK && (run->run <= newest || run->state == MM_RUN_NONE))
        status = mm_error_set(err, MM_BUG,
                              "savepoint store %s: a plan of run %u, state %s, after run %llu",
                              store->path, run->run, mm_run_state_name(run->state),
                              (unsigned long long)newest);
    return status;
}

mm_status mm_sqlite_plan_begin(mm_store *store, const mm_run_record *run, mm_error *err)
{
    mm_store_lock(store);
    mm_plan plan = {.open = true, .next_id = 1};
    mm_status status = mm_sql_begin(store, err);
    if (status != MM_OK)
        goto out;
    MM_FAILPOINT("store.plan.begin");
    status = mm_plan_check_run(store, run, err);
    if (status == MM_OK)
        status = mm_sql_script(store, mm_plan_clear, err);
    if (status == MM_OK)
        status = mm_plan_insert_run(store, run, err);
    if (status == MM_OK) {
        mm_sql sql = mm_sql_start(store, MM_SQL_TXN_READ, err);
        status = mm_sql_number(&sql, &plan.txn);
    }
    if (status == MM_OK)
        store->plan = plan;
    else
        mm_sql_rollback(store);
out:
    mm_store_unlock(store);
    return status;
}

mm_status mm_sqlite_plan_collection(mm_store *store, const mm_plan_collection *collection,
                                    mm_error *err)
{
    mm_store_lock(store);
    mm_status status = mm_plan_check(store, err);
    if (status != MM_OK)
        goto out;
    mm_sql sql = mm_sql_start(store, MM_SQL_COLLECTION_INSERT, err);
    mm_sql_u64(&sql, collection->id);
    mm_sql_text(&sql, collection->source_name);
    mm_sql_text(&sql, collection->target_name);
    mm_sql_text(&sql, collection->mapping ? collection->mapping : "");
    mm_sql_text(&sql, collection->source_fingerprint ? collection->source_fingerprint : "");
    mm_sql_text(&sql, collection->target_fingerprint);
    mm_sql_u64(&sql, collection->fence);
    mm_sql_int(&sql, collection->fence_intended);
    mm_sql_int(&sql, collection->sealed);
    mm_sql_int(&sql, collection->skipped);
    status = mm_plan_note(store, mm_sql_exec(&sql));
out:
    mm_store_unlock(store);
    return status;
}

/* Records tasks first_id … next_id - 1 as one stretch. */
static mm_status mm_plan_end_stretch(mm_store *store, mm_error *err)
{
    mm_plan *plan = &store->plan;
    if (plan->first_id == 0)
        return MM_OK;
    mm_sql sql = mm_sql_start(store, MM_SQL_STRETCH_INSERT, err);
    mm_sql_u64(&sql, plan->first_id);
    mm_sql_u64(&sql, plan->next_id - 1);
    mm_sql_int(&sql, plan->kind);
    mm_sql_u64(&sql, plan->collection);
    plan->first_id = 0;
    return mm_sql_exec(&sql);
}

static mm_status mm_plan_insert_task(mm_store *store, const mm_task *task, mm_error *err)
{
    mm_plan *plan = &store->plan;
    if (task->kind < MM_TASK_COPY || task->kind > MM_TASK_LOAD)
        return mm_error_set(err, MM_BUG, "savepoint store %s: a plan has no tasks of kind %d",
                            store->path, (int)task->kind);
    if (task->kind != plan->kind || task->collection != plan->collection) {
        mm_status status = mm_plan_end_stretch(store, err);
        if (status != MM_OK)
            return status;
        plan->kind = task->kind;
        plan->collection = task->collection;
    }
    mm_sql sql = mm_sql_start(store, MM_SQL_TASK_INSERT, err);
    mm_sql_u64(&sql, plan->next_id);
    mm_sql_int(&sql, task->kind);
    mm_sql_u64(&sql, task->collection);
    mm_sql_u64(&sql, task->partition);
    mm_sql_u64(&sql, task->rows);
    mm_sql_u64(&sql, task->bytes);
    mm_sql_blob(&sql, task->spec, task->spec_size);
    mm_status status = mm_sql_exec(&sql);
    if (status != MM_OK)
        return status;
    if (plan->first_id == 0)
        plan->first_id = plan->next_id;
    plan->next_id++;
    if (task->kind != MM_TASK_LOAD)
        plan->copies++;
    return MM_OK;
}

mm_status mm_sqlite_plan_task(mm_store *store, mm_task *task, mm_error *err)
{
    mm_store_lock(store);
    mm_status status = mm_plan_check(store, err);
    if (status == MM_OK)
        status = mm_plan_note(store, mm_plan_insert_task(store, task, err));
    if (status == MM_OK)
        task->id = store->plan.next_id - 1;
    mm_store_unlock(store);
    return status;
}

mm_status mm_sqlite_plan_thin(mm_store *store, uint64_t task, const void *thin, size_t size,
                              mm_error *err)
{
    mm_store_lock(store);
    mm_status status = mm_plan_check(store, err);
    if (status == MM_OK && size > 0) {
        mm_sql sql = mm_sql_start(store, MM_SQL_THIN_WRITE, err);
        mm_sql_u64(&sql, task);
        mm_sql_blob(&sql, thin, size);
        status = mm_plan_note(store, mm_sql_exec_one(&sql, "task"));
    }
    mm_store_unlock(store);
    return status;
}

mm_status mm_sqlite_plan_totals(mm_store *store, const mm_run_record *run, mm_error *err)
{
    mm_store_lock(store);
    mm_status status = mm_plan_check(store, err);
    if (status == MM_OK) {
        mm_sql sql = mm_sql_start(store, MM_SQL_RUN_TOTALS, err);
        mm_sql_count(&sql, run->rows_total);
        mm_sql_u64(&sql, run->bytes_total);
        mm_sql_u64(&sql, run->duplicates);
        status = mm_plan_note(store, mm_sql_exec(&sql));
    }
    mm_store_unlock(store);
    return status;
}

static mm_status mm_plan_commit(mm_store *store, mm_error *err)
{
    mm_status status = mm_plan_check(store, err);
    if (status == MM_OK)
        status = mm_plan_end_stretch(store, err);
    if (status == MM_OK) {
        mm_sql sql = mm_sql_start(store, MM_SQL_RUN_TASKS, err);
        mm_sql_u64(&sql, store->plan.copies);
        status = mm_sql_exec(&sql);
    }
    MM_FAILPOINT("store.plan.before_commit");
    if (status == MM_OK)
        status = mm_sql_commit(store, store->plan.txn, err);
    MM_FAILPOINT("store.plan.after_commit");
    return status;
}

mm_status mm_sqlite_plan_end(mm_store *store, bool commit, mm_error *err)
{
    mm_status status = MM_OK;
    mm_store_lock(store);
    if (!store->plan.open)
        status = mm_plan_check(store, err);
    else if (commit)
        status = mm_plan_commit(store, err);
    mm_sql_rollback(store); /* nothing is open after a commit */
    store->plan.open = false;
    mm_store_unlock(store);
    return status;
}

/* ---- verification ---- */

/* Removes verify tasks: they are those after the last task of the plan. */
static mm_status mm_verify_drop(mm_store *store, uint64_t last, mm_error *err)
{
    static const mm_sql_id drops[] = {MM_SQL_VERIFY_PROGRESS_DROP, MM_SQL_VERIFY_TASK_DROP};
    for (size_t i = 0; i < MM_COUNT(drops); i++) {
        mm_sql sql = mm_sql_start(store, drops[i], err);
        mm_sql_u64(&sql, last);
        mm_status status = mm_sql_exec(&sql);
        if (status != MM_OK)
            return status;
    }
    mm_sql sql = mm_sql_start(store, MM_SQL_VERIFY_STRETCH_DROP, err);
    return mm_sql_exec(&sql);
}

/* ---- more tasks ---- */

static mm_status mm_plan_more_begin(mm_store *store, const char *phase, mm_plan *plan, mm_error *err)
{
    uint64_t last = 0;
    mm_sql sql = mm_sql_start(store, MM_SQL_COPY_LAST, err);
    mm_status status = mm_sql_number(&sql, &last);
    if (status == MM_OK)
        status = mm_verify_drop(store, last, err);
    if (status != MM_OK)
        return status;
    plan->next_id = last + 1;
    sql = mm_sql_start(store, MM_SQL_RUN_TASKS_READ, err);
    status = mm_sql_number(&sql, &plan->copies);
    if (status != MM_OK)
        return status;
    sql = mm_sql_start(store, MM_SQL_RUN_PHASE, err);
    mm_sql_text(&sql, phase);
    status = mm_sql_exec_one(&sql, "run");
    if (status != MM_OK)
        return status;
    sql = mm_sql_start(store, MM_SQL_TXN_NEXT, err);
    return mm_sql_number(&sql, &plan->txn);
}

mm_status mm_sqlite_plan_more(mm_store *store, const char *phase, mm_error *err)
{
    mm_store_lock(store);
    mm_plan plan = {.open = true};
    mm_status status = mm_sql_begin(store, err);
    if (status == MM_OK) {
        status = mm_plan_more_begin(store, phase, &plan, err);
        if (status == MM_OK)
            store->plan = plan;
        else
            mm_sql_rollback(store);
    }
    mm_store_unlock(store);
    return status;
}

/* ---- verify tasks ---- */

static mm_status mm_verify_fill(mm_store *store, uint64_t last, bool doubt_only, uint64_t *count,
                                mm_error *err)
{
    mm_sql sql = mm_sql_start(store, doubt_only ? MM_SQL_VERIFY_DOUBTFUL : MM_SQL_VERIFY_ALL, err);
    mm_sql_u64(&sql, last);
    mm_status status = mm_sql_exec(&sql);
    if (status != MM_OK)
        return status;
    *count = (uint64_t)sqlite3_changes64(store->db);
    if (*count == 0)
        return MM_OK;
    /* New rows got the numbers after the greatest one: last + 1, last + 2, … */
    sql = mm_sql_start(store, MM_SQL_STRETCH_INSERT, err);
    mm_sql_u64(&sql, last + 1);
    mm_sql_u64(&sql, last + *count);
    mm_sql_int(&sql, MM_TASK_VERIFY);
    mm_sql_count(&sql, MM_COUNT_UNKNOWN);
    return mm_sql_exec(&sql);
}

/* Drops the verify tasks, makes new ones if asked, sets the run's verdict back. */
static mm_status mm_verify_replace(mm_store *store, bool fill, bool doubt_only, uint64_t *txn,
                                   mm_error *err)
{
    uint64_t last = 0, count = 0;
    mm_sql sql = mm_sql_start(store, MM_SQL_COPY_LAST, err);
    mm_status status = mm_sql_number(&sql, &last);
    if (status == MM_OK)
        status = mm_verify_drop(store, last, err);
    if (status == MM_OK && fill)
        status = mm_verify_fill(store, last, doubt_only, &count, err);
    if (status != MM_OK)
        return status;
    sql = mm_sql_start(store, MM_SQL_RUN_VERIFY, err);
    mm_sql_u64(&sql, count);
    return mm_sql_number(&sql, txn);
}

mm_status mm_sqlite_verify_plan(mm_store *store, bool doubt_only, mm_error *err)
{
    uint64_t txn = 0;
    mm_store_lock(store);
    mm_status status = mm_sql_begin(store, err);
    if (status != MM_OK)
        goto out;
    status = mm_verify_replace(store, true, doubt_only, &txn, err);
    MM_FAILPOINT("store.verify.before_commit");
    if (status == MM_OK)
        status = mm_sql_commit(store, txn, err);
    else
        mm_sql_rollback(store);
    MM_FAILPOINT("store.verify.after_commit");
out:
    mm_store_unlock(store);
    return status;
}

/* ---- repair ---- */

/* What the tasks to repair have contributed to the run's totals. */
typedef struct mm_repair {
    uint64_t tasks, done, rows, bytes, rejected, thinned;
} mm_repair;

static mm_status mm_repair_read(mm_store *store, mm_repair *out, mm_error *err)
{
    bool row = false;
    mm_sql sql = mm_sql_start(store, MM_SQL_REPAIR_SUMS, err);
    mm_status status = mm_sql_next(&sql, &row);
    if (status == MM_OK && row)
        *out = (mm_repair){mm_sql_column_u64(&sql, 0), mm_sql_column_u64(&sql, 1),
                           mm_sql_column_u64(&sql, 2), mm_sql_column_u64(&sql, 3),
                           mm_sql_column_u64(&sql, 4), mm_sql_column_u64(&sql, 5)};
    mm_sql_end(&sql);
    return status;
}

/* Before anything is set back: what the tasks have written counts. */
static mm_status mm_repair_want(mm_store *store, const uint32_t *sweep, size_t count, mm_error *err)
{
    uint64_t last = 0;
    mm_sql sql = mm_sql_start(store, MM_SQL_COPY_LAST, err);
    mm_status status = mm_sql_number(&sql, &last);
    return status == MM_OK ? mm_sweep_want(store, sweep, count, last, err) : status;
}

static mm_status mm_repair_apply(mm_store *store, const mm_repair *repair, uint64_t *txn,
                                 mm_error *err)
{
    mm_sql sql = mm_sql_start(store, MM_SQL_RUN_PHASE, err);
    mm_sql_text(&sql, "copy");
    mm_status status = mm_sql_exec_one(&sql, "run");
    if (status != MM_OK)
        return status;
    sql = mm_sql_start(store, MM_SQL_REPAIR_RESET, err);
    status = mm_sql_exec(&sql);
    if (status != MM_OK)
        return status;
    sql = mm_sql_start(store, MM_SQL_REPAIR_TOTALS, err);
    mm_sql_u64(&sql, repair->done);
    mm_sql_u64(&sql, repair->rows);
    mm_sql_u64(&sql, repair->bytes);
    mm_sql_u64(&sql, repair->rejected);
    mm_sql_u64(&sql, repair->thinned);
    status = mm_sql_exec(&sql);
    if (status == MM_OK)
        status = mm_sql_script(store, "DELETE FROM share", err);
    if (status != MM_OK)
        return status;
    sql = mm_sql_start(store, MM_SQL_SHARE_REMAKE, err);
    status = mm_sql_exec(&sql);
    /* What the verify tasks found no longer describes the target: a second repair must not find it
     * again. */
    return status == MM_OK ? mm_verify_replace(store, false, false, txn, err) : status;
}

mm_status mm_sqlite_repair_plan(mm_store *store, const uint32_t *sweep, size_t sweep_count, size_t *count, mm_error *err)
{
    mm_repair repair = {0};
    uint64_t txn = 0;
    mm_store_lock(store);
    mm_status status = mm_sql_begin(store, err);
    if (status != MM_OK)
        goto out;
    status = mm_repair_read(store, &repair, err);
    bool any = repair.tasks > 0 || sweep_count > 0;
    if (status == MM_OK)
        status = mm_repair_want(store, sweep, sweep_count, err);
    if (status == MM_OK && any)
        status = mm_repair_apply(store, &repair, &txn, err);
    MM_FAILPOINT("store.repair.before_commit");
    if (status == MM_OK && any)
        status = mm_sql_commit(store, txn, err);
    else
        mm_sql_rollback(store);
    MM_FAILPOINT("store.repair.after_commit");
    if (status == MM_OK)
        *count = (size_t)repair.tasks;
out:
    mm_store_unlock(store);
    return status;
}
