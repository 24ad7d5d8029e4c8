/* The SQLite store's records that are read whole: job, runs, collections, steps, doubts, states,
 * sums; and the writing of the job. Changes nothing else. */
#include "checkpoint/sqlite_internal.h"

#include "base/clock.h"

static mm_status mm_job_from_row(mm_sql *sql, mm_arena *arena, mm_job_record *out)
{
    const char *tag = NULL;
    mm_job_record job = {0};
    mm_status status = mm_sql_column_text(sql, 0, arena, &job.name);
    if (status == MM_OK)
        status = mm_sql_column_text(sql, 1, arena, &tag);
    if (status == MM_OK)
        status = mm_sql_column_text(sql, 2, arena, &job.config_path);
    if (status == MM_OK)
        status = mm_sql_column_text(sql, 3, arena, &job.config_text);
    if (status == MM_OK)
        status = mm_sql_column_text(sql, 4, arena, &job.overrides);
    if (status != MM_OK)
        return status;
    snprintf(job.tag, sizeof job.tag, "%s", tag);
    *out = job;
    return MM_OK;
}

mm_status mm_sqlite_job_read(mm_store *store, mm_arena *arena, mm_job_record *out, mm_error *err)
{
    mm_store_lock(store);
    bool row = false;
    mm_sql sql = mm_sql_start(store, MM_SQL_JOB_READ, err);
    mm_status status = mm_sql_next(&sql, &row);
    if (status == MM_OK && !row)
        status = mm_error_set(err, MM_NOT_FOUND, "savepoint store %s is new", store->path);
    else if (status == MM_OK)
        status = mm_job_from_row(&sql, arena, out);
    mm_sql_end(&sql);
    mm_store_unlock(store);
    return status;
}

static bool mm_tag_valid(const char tag[17])
{
    return strlen(tag) == 16 && strspn(tag, "0123456789abcdef") == 16;
}

/* The tag names what the job owns in the target: once given it stays for the life of the store. */
static mm_status mm_job_check_tag(mm_store *store, const char *tag, mm_error *err)
{
    if (tag[0] != '\0' && !mm_tag_valid(tag))
        return mm_error_set(err, MM_BUG, "savepoint store %s: tag \"%s\" is not 16 hex digits",
                            store->path, tag);
    const char *stored = NULL;
    bool row = false;
    mm_sql sql = mm_sql_start(store, MM_SQL_JOB_READ, err);
    mm_status status = mm_sql_next(&sql, &row);
    if (status == MM_OK && row)
        stored = (const char *)sqlite3_column_text(sql.stmt, 1);
    if (stored && tag[0] != '\0' && strcmp(stored, tag) != 0)
        status = mm_error_set(err, MM_BUG, "savepoint store %s has tag %s, not %s", store->path,
                              stored, tag);
    mm_sql_end(&sql);
    return status;
}

static mm_status mm_job_put(mm_store *store, const mm_job_record *job, mm_error *err)
{
    char tag[17];
    uint64_t random;
    mm_random_bytes(&random, sizeof random);
    snprintf(tag, sizeof tag, "%016llx", (unsigned long long)random);

    mm_status status = mm_job_check_tag(store, job->tag, err);
    if (status != MM_OK)
        return status;
    mm_sql sql = mm_sql_start(store, MM_SQL_JOB_WRITE, err);
    mm_sql_text(&sql, job->name);
    mm_sql_text(&sql, job->tag[0] ? job->tag : tag);
    mm_sql_text(&sql, job->config_path ? job->config_path : "");
    mm_sql_text(&sql, job->config_text ? job->config_text : "");
    mm_sql_text(&sql, job->overrides ? job->overrides : "");
    return mm_sql_exec(&sql);
}

mm_status mm_sqlite_job_write(mm_store *store, const mm_job_record *job, mm_error *err)
{
    uint64_t txn = 0;
    mm_store_lock(store);
    if (store->plan.open) { /* commits or goes with it */
        mm_status status = mm_job_put(store, job, err);
        mm_store_unlock(store);
        return status;
    }
    mm_status status = mm_sql_begin(store, err);
    if (status != MM_OK)
        goto out;
    status = mm_job_put(store, job, err);
    if (status == MM_OK) {
        mm_sql sql = mm_sql_start(store, MM_SQL_TXN_NEXT, err);
        status = mm_sql_number(&sql, &txn);
    }
    MM_FAILPOINT("store.job.before_commit");
    if (status == MM_OK)
        status = mm_sql_commit(store, txn, err);
    else
        mm_sql_rollback(store);
    MM_FAILPOINT("store.job.after_commit");
out:
    mm_store_unlock(store);
    return status;
}

/* Columns in the order of MM_SQL_RUN_COLUMNS. */
static mm_status mm_run_from_row(mm_sql *sql, mm_arena *arena, mm_run_record *out)
{
    mm_run_record run = {
        .run = (uint32_t)mm_sql_column_u64(sql, 0),
        .state = (mm_run_state)mm_sql_column_u64(sql, 1),
        .started_ms = sqlite3_column_int64(sql->stmt, 2),
        .finished_ms = sqlite3_column_int64(sql->stmt, 3),
        .exit_code = sqlite3_column_int(sql->stmt, 6),
        .rows_total = mm_sql_column_count(sql, 7),
        .bytes_total = mm_sql_column_u64(sql, 8),
        .rows_done = mm_sql_column_u64(sql, 9),
        .bytes_done = mm_sql_column_u64(sql, 10),
        .rows_rejected = mm_sql_column_u64(sql, 11),
        .rows_thinned = mm_sql_column_u64(sql, 12),
        .rows_resent = mm_sql_column_u64(sql, 13),
        .tasks_total = mm_sql_column_u64(sql, 14),
        .tasks_done = mm_sql_column_u64(sql, 15),
        .verify_total = mm_sql_column_u64(sql, 16),
        .verify_done = mm_sql_column_u64(sql, 17),
        .active_ms = mm_sql_column_u64(sql, 18),
        .duplicates = mm_sql_column_u64(sql, 19),
        .rejects_size = mm_sql_column_u64(sql, 20),
        .verdict = {(mm_verdict_state)mm_sql_column_u64(sql, 21), mm_sql_column_count(sql, 22),
                    mm_sql_column_count(sql, 23), mm_sql_column_count(sql, 24)},
        .tasks_running = mm_sql_column_u64(sql, 26),
    };
    mm_status status = mm_sql_column_text(sql, 4, arena, &run.error);
    if (status == MM_OK)
        status = mm_sql_column_text(sql, 5, arena, &run.phase);
    if (status == MM_OK)
        status = mm_sql_column_text(sql, 25, arena, &run.config_fingerprint);
    if (status == MM_OK)
        *out = run;
    return status;
}

mm_status mm_sqlite_run_read(mm_store *store, mm_arena *arena, mm_run_record *out, mm_error *err)
{
    mm_store_lock(store);
    bool row = false;
    mm_sql sql = mm_sql_start(store, MM_SQL_RUN_READ, err);
    mm_status status = mm_sql_next(&sql, &row);
    if (status == MM_OK && row)
        status = mm_run_from_row(&sql, arena, out);
    mm_sql_end(&sql);
    mm_store_unlock(store);
    return status;
}

/* A list: one statement counts its rows, one reads them, `read` turns one row into one item. The
 * count and the rows are of one snapshot. */
typedef mm_status (*mm_row_fn)(mm_sql *sql, mm_arena *arena, void *item);
typedef struct mm_list {
    mm_sql_id count, rows;
    int64_t key; /* bound to both when not negative */
    size_t item_size;
    mm_row_fn read;
} mm_list;

static mm_sql mm_list_start(mm_store *store, const mm_list *list, mm_sql_id id, mm_error *err)
{
    mm_sql sql = mm_sql_start(store, id, err);
    if (list->key >= 0)
        mm_sql_int(&sql, list->key);
    return sql;
}

static mm_status mm_list_rows(mm_store *store, const mm_list *list, mm_arena *arena, void **out,
                              size_t *count, mm_error *err)
{
    uint64_t expected = 0;
    size_t got = 0;
    bool row = true;
    mm_sql sql = mm_list_start(store, list, list->count, err);
    mm_status status = mm_sql_number(&sql, &expected);
    if (status != MM_OK)
        return status;
    char *items = mm_arena_array(arena, (size_t)expected, list->item_size);
    if (items == NULL)
        return mm_store_no_memory(store, err);
    sql = mm_list_start(store, list, list->rows, err);
    for (;;) {
        status = mm_sql_next(&sql, &row);
        if (status != MM_OK || !row || got == expected)
            break;
        status = list->read(&sql, arena, items + got++ * list->item_size);
        if (status != MM_OK)
            break;
    }
    mm_sql_end(&sql);
    if (status == MM_OK) {
        *out = items;
        *count = got;
    }
    return status;
}

static mm_status mm_list_read(mm_store *store, const mm_list *list, mm_arena *arena, void **out,
                              size_t *count, mm_error *err)
{
    mm_store_lock(store);
    /* The writer alone sees no change between two statements; a reader needs a transaction. */
    bool snapshot = store->mode == MM_STORE_READ;
    mm_status status = snapshot ? mm_sql_script(store, "BEGIN", err) : MM_OK;
    if (status == MM_OK)
        status = mm_list_rows(store, list, arena, out, count, err);
    if (snapshot)
        mm_sql_rollback(store);
    mm_store_unlock(store);
    return status;
}

static mm_status mm_run_item(mm_sql *sql, mm_arena *arena, void *item)
{
    return mm_run_from_row(sql, arena, item);
}

mm_status mm_sqlite_runs(mm_store *store, mm_arena *arena, mm_run_record **out, size_t *count,
                         mm_error *err)
{
    static const mm_list list = {MM_SQL_RUN_COUNT, MM_SQL_RUNS, -1, sizeof(mm_run_record),
                                 mm_run_item};
    void *items = NULL;
    mm_status status = mm_list_read(store, &list, arena, &items, count, err);
    if (status == MM_OK)
        *out = items;
    return status;
}

static mm_status mm_collection_item(mm_sql *sql, mm_arena *arena, void *item)
{
    mm_plan_collection *collection = item;
    memset(collection, 0, sizeof *collection);
    collection->id = (uint32_t)mm_sql_column_u64(sql, 0);
    collection->fence = mm_sql_column_u64(sql, 6);
    collection->fence_intended = mm_sql_column_u64(sql, 7) != 0;
    collection->sealed = mm_sql_column_u64(sql, 8) != 0;
    collection->skipped = mm_sql_column_u64(sql, 9) != 0;
    const char **const texts[] = {&collection->source_name, &collection->target_name,
                                  &collection->mapping, &collection->source_fingerprint,
                                  &collection->target_fingerprint};
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < MM_COUNT(texts); i++)
        status = mm_sql_column_text(sql, (int)i + 1, arena, texts[i]);
    return status;
}

mm_status mm_sqlite_collections(mm_store *store, mm_arena *arena, mm_plan_collection **out,
                                size_t *count, mm_error *err)
{
    static const mm_list list = {MM_SQL_COLLECTION_COUNT, MM_SQL_COLLECTIONS, -1,
                                 sizeof(mm_plan_collection), mm_collection_item};
    void *items = NULL;
    mm_status status = mm_list_read(store, &list, arena, &items, count, err);
    if (status == MM_OK)
        *out = items;
    return status;
}

static mm_status mm_step_item(mm_sql *sql, mm_arena *arena, void *item)
{
    mm_step_record *step = item;
    step->done = mm_sql_column_u64(sql, 2) != 0;
    mm_status status = mm_sql_column_text(sql, 0, arena, &step->name);
    return status == MM_OK ? mm_sql_column_text(sql, 1, arena, &step->text) : status;
}

mm_status mm_sqlite_steps(mm_store *store, uint32_t collection, mm_arena *arena,
                          mm_step_record **out, size_t *count, mm_error *err)
{
    const mm_list list = {MM_SQL_STEP_COUNT, MM_SQL_STEPS, collection, sizeof(mm_step_record),
                          mm_step_item};
    void *items = NULL;
    mm_status status = mm_list_read(store, &list, arena, &items, count, err);
    if (status == MM_OK)
        *out = items;
    return status;
}

static mm_status mm_doubt_item(mm_sql *sql, mm_arena *arena, void *item)
{
    (void)arena;
    mm_doubt *doubt = item;
    doubt->task = mm_sql_column_u64(sql, 0);
    doubt->from = mm_sql_column_u64(sql, 1);
    doubt->to = mm_sql_column_u64(sql, 2);
    return MM_OK;
}

mm_status mm_sqlite_doubts(mm_store *store, mm_arena *arena, mm_doubt **out, size_t *count,
                           mm_error *err)
{
    static const mm_list list = {MM_SQL_DOUBT_COUNT, MM_SQL_DOUBTS, -1, sizeof(mm_doubt),
                                 mm_doubt_item};
    void *items = NULL;
    mm_status status = mm_list_read(store, &list, arena, &items, count, err);
    if (status == MM_OK)
        *out = items;
    return status;
}

static mm_status mm_state_item(mm_sql *sql, mm_arena *arena, void *item)
{
    mm_state_record *state = item;
    mm_status status = mm_sql_column_text(sql, 0, arena, &state->key);
    return status == MM_OK ? mm_sql_column_text(sql, 1, arena, &state->value) : status;
}

mm_status mm_sqlite_states(mm_store *store, mm_arena *arena, mm_state_record **out, size_t *count,
                           mm_error *err)
{
    static const mm_list list = {MM_SQL_STATE_COUNT, MM_SQL_STATES, -1, sizeof(mm_state_record),
                                 mm_state_item};
    void *items = NULL;
    mm_status status = mm_list_read(store, &list, arena, &items, count, err);
    if (status == MM_OK)
        *out = items;
    return status;
}

mm_status mm_sqlite_expected(mm_store *store, uint32_t collection, uint32_t partition,
                             uint64_t *rows, mm_error *err)
{
    bool all = partition == UINT32_MAX;
    mm_store_lock(store);
    mm_sql sql = mm_sql_start(store, all ? MM_SQL_SHARE_SUM : MM_SQL_SHARE_ONE, err);
    mm_sql_u64(&sql, collection);
    if (!all)
        mm_sql_u64(&sql, partition);
    mm_status status = mm_sql_number(&sql, rows);
    mm_store_unlock(store);
    return status;
}

mm_status mm_sqlite_verified(mm_store *store, uint32_t collection, uint32_t partition,
                             uint64_t *rows, mm_error *err)
{
    bool all = partition == UINT32_MAX;
    mm_store_lock(store);
    mm_sql sql = mm_sql_start(store, all ? MM_SQL_VERIFIED_SUM : MM_SQL_VERIFIED_ONE, err);
    mm_sql_u64(&sql, collection);
    if (!all)
        mm_sql_u64(&sql, partition);
    mm_status status = mm_sql_number(&sql, rows);
    mm_store_unlock(store);
    return status;
}

mm_status mm_sqlite_changed(mm_store *store, uint32_t collection, uint64_t *rows, mm_error *err)
{
    mm_store_lock(store);
    mm_sql sql = mm_sql_start(store, MM_SQL_CHANGED_SUM, err);
    mm_sql_int(&sql, collection == UINT32_MAX ? -1 : (int64_t)collection);
    mm_status status = mm_sql_number(&sql, rows);
    mm_store_unlock(store);
    return status;
}

mm_status mm_sqlite_mismatches(mm_store *store, uint64_t *count, mm_error *err)
{
    mm_store_lock(store);
    mm_sql sql = mm_sql_start(store, MM_SQL_MISMATCHES, err);
    mm_status status = mm_sql_number(&sql, count);
    mm_store_unlock(store);
    return status;
}
