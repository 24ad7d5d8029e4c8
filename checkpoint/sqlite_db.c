/* The layer between the store's operations and SQLite: prepared statements, binding with checks,
 * transactions, and what a failure of SQLite means to the engine. Knows no table. */
#include "checkpoint/sqlite_internal.h"

#include <errno.h>

static const char *const mm_sql_texts[MM_SQL_COUNT] = {
#define MM_X(name, text) text,
    MM_SQL_TABLE(MM_X)
#undef MM_X
};

static bool mm_sql_is_disk_full(int code)
{
    return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

static mm_status mm_sql_status(sqlite3 *db, int rc)
{
    if (rc == SQLITE_READONLY_ROLLBACK) /* only the making of a store has a rollback journal */
        return MM_NOT_FOUND;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return MM_DISK_FULL;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return mm_sql_is_disk_full(sqlite3_system_errno(db)) ? MM_DISK_FULL : MM_IO;
    case SQLITE_NOMEM:
        return MM_NO_MEMORY;
    case SQLITE_TOOBIG:
        return MM_DATA;
    case SQLITE_NOTADB:
        return MM_CONFIG;
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
        return MM_BUG;
    default: /* busy, locked, corrupt, read-only file system, …: it cannot commit */
        return MM_IO;
    }
}

mm_status mm_sql_fail(mm_store *store, int rc, mm_error *err)
{
    int extended = sqlite3_extended_errcode(store->db);
    if ((extended & 0xff) == (rc & 0xff))
        rc = extended;
    bool damaged = (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
    return mm_error_set(err, mm_sql_status(store->db, rc), "savepoint store %s: %s (SQLite %d)%s", store->path,
                        sqlite3_errmsg(store->db), rc,
                        damaged ? "; bring it back from a backup, or remove it to give the job's savepoints up" : "");
}

mm_status mm_store_no_memory(mm_store *store, mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "savepoint store %s: out of memory", store->path);
}

mm_status mm_sql_script(mm_store *store, const char *sql, mm_error *err)
{
    int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? MM_OK : mm_sql_fail(store, rc, err);
}

/* mm_wrap_add(a, b): a + b modulo 2^64; SQLite's own + would leave the integers on overflow. */
static void mm_sql_wrap_add(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    uint64_t sum = (uint64_t)sqlite3_value_int64(values[0]) +
                   (uint64_t)sqlite3_value_int64(values[1]);
    sqlite3_result_int64(context, (int64_t)sum);
}

mm_status mm_sql_functions(mm_store *store, mm_error *err)
{
    int rc = sqlite3_create_function(store->db, "mm_wrap_add", 2,
                                     SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL,
                                     mm_sql_wrap_add, NULL, NULL);
    return rc == SQLITE_OK ? MM_OK : mm_sql_fail(store, rc, err);
}

void mm_sql_finalize(mm_store *store)
{
    for (size_t i = 0; i < MM_SQL_COUNT; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
}

mm_sql mm_sql_start(mm_store *store, mm_sql_id id, mm_error *err)
{
    mm_sql sql = {store, store->statements[id], 0, MM_OK, err};
    if (sql.stmt == NULL) {
        int rc = sqlite3_prepare_v3(store->db, mm_sql_texts[id], -1, SQLITE_PREPARE_PERSISTENT,
                                    &store->statements[id], NULL);
        sql.stmt = store->statements[id];
        if (rc != SQLITE_OK)
            sql.status = mm_sql_fail(store, rc, err);
    }
    return sql;
}

static void mm_sql_bound(mm_sql *sql, int rc)
{
    if (rc != SQLITE_OK)
        sql->status = mm_sql_fail(sql->store, rc, sql->err);
}

void mm_sql_int(mm_sql *sql, int64_t value)
{
    if (sql->status == MM_OK)
        mm_sql_bound(sql, sqlite3_bind_int64(sql->stmt, ++sql->bound, value));
}

void mm_sql_u64(mm_sql *sql, uint64_t value)
{
    if (sql->status != MM_OK)
        return;
    if (value > INT64_MAX)
        sql->status = mm_error_set(sql->err, MM_DATA,
                                   "savepoint store %s: %llu is more than it can hold",
                                   sql->store->path, (unsigned long long)value);
    else
        mm_sql_int(sql, (int64_t)value);
}

void mm_sql_count(mm_sql *sql, uint64_t value)
{
    if (value != MM_COUNT_UNKNOWN)
        mm_sql_u64(sql, value);
    else if (sql->status == MM_OK)
        mm_sql_bound(sql, sqlite3_bind_null(sql->stmt, ++sql->bound));
}

void mm_sql_text(mm_sql *sql, const char *text)
{
    if (sql->status == MM_OK)
        mm_sql_bound(sql, sqlite3_bind_text(sql->stmt, ++sql->bound, text, -1, SQLITE_STATIC));
}

void mm_sql_blob(mm_sql *sql, const void *bytes, size_t size)
{
    if (sql->status != MM_OK)
        return;
    sql->bound++;
    if (size == 0)
        mm_sql_bound(sql, sqlite3_bind_null(sql->stmt, sql->bound));
    else
        mm_sql_bound(sql, sqlite3_bind_blob64(sql->stmt, sql->bound, bytes, size, SQLITE_STATIC));
}

void mm_sql_end(mm_sql *sql)
{
    if (sql->stmt == NULL)
        return;
    /* reset repeats the failure of the last step, which was reported already */
    (void)sqlite3_reset(sql->stmt);
    (void)sqlite3_clear_bindings(sql->stmt);
}

mm_status mm_sql_next(mm_sql *sql, bool *row)
{
    if (sql->status == MM_OK) {
        int rc = sqlite3_step(sql->stmt);
        if (rc == SQLITE_ROW) {
            *row = true;
            return MM_OK;
        }
        if (rc != SQLITE_DONE)
            sql->status = mm_sql_fail(sql->store, rc, sql->err);
    }
    mm_sql_end(sql);
    if (sql->status == MM_OK)
        *row = false;
    return sql->status;
}

mm_status mm_sql_exec(mm_sql *sql)
{
    bool row = true;
    while (row) {
        mm_status status = mm_sql_next(sql, &row);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

mm_status mm_sql_exec_one(mm_sql *sql, const char *what)
{
    mm_status status = mm_sql_exec(sql);
    if (status == MM_OK && sqlite3_changes(sql->store->db) != 1)
        status = mm_error_set(sql->err, MM_BUG, "savepoint store %s: no such %s",
                              sql->store->path, what);
    return status;
}

mm_status mm_sql_number(mm_sql *sql, uint64_t *out)
{
    bool row = false;
    mm_status status = mm_sql_next(sql, &row);
    if (status != MM_OK)
        return status;
    if (!row)
        return mm_error_set(sql->err, MM_BUG, "savepoint store %s: a row is missing",
                            sql->store->path);
    uint64_t number = mm_sql_column_u64(sql, 0);
    /* to its end: a RETURNING statement has done its work only then */
    status = mm_sql_next(sql, &row);
    if (status != MM_OK)
        return status;
    if (row)
        mm_sql_end(sql);
    *out = number;
    return MM_OK;
}

uint64_t mm_sql_column_u64(const mm_sql *sql, int column)
{
    return (uint64_t)sqlite3_column_int64(sql->stmt, column);
}

uint64_t mm_sql_column_count(const mm_sql *sql, int column)
{
    if (sqlite3_column_type(sql->stmt, column) == SQLITE_NULL)
        return MM_COUNT_UNKNOWN;
    return mm_sql_column_u64(sql, column);
}

/* The size of a column is valid only after its bytes were asked for. */
static mm_status mm_sql_column_copy(mm_sql *sql, const void *bytes, int column, mm_arena *arena,
                                    char **out, size_t *size)
{
    *out = NULL;
    *size = 0;
    if (bytes == NULL && sqlite3_column_type(sql->stmt, column) == SQLITE_NULL)
        return MM_OK;
    size_t length = (size_t)sqlite3_column_bytes(sql->stmt, column);
    char *copy = mm_arena_alloc(arena, length + 1);
    if (copy == NULL || (bytes == NULL && length > 0))
        return mm_store_no_memory(sql->store, sql->err);
    if (length > 0)
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    *out = copy;
    *size = length;
    return MM_OK;
}

mm_status mm_sql_column_text(mm_sql *sql, int column, mm_arena *arena, const char **out)
{
    char *copy;
    size_t size;
    mm_status status = mm_sql_column_copy(sql, sqlite3_column_text(sql->stmt, column), column,
                                          arena, &copy, &size);
    if (status == MM_OK)
        *out = copy;
    return status;
}

mm_status mm_sql_column_blob(mm_sql *sql, int column, mm_arena *arena, const void **out,
                             size_t *size)
{
    char *copy;
    mm_status status = mm_sql_column_copy(sql, sqlite3_column_blob(sql->stmt, column), column,
                                          arena, &copy, size);
    if (status == MM_OK)
        *out = copy;
    return status;
}

void mm_store_lock(mm_store *store)
{
    pthread_mutex_lock(&store->mutex);
}

void mm_store_unlock(mm_store *store)
{
    pthread_mutex_unlock(&store->mutex);
}

mm_status mm_sql_begin(mm_store *store, mm_error *err)
{
    if (store->mode == MM_STORE_READ)
        return mm_error_set(err, MM_BUG, "savepoint store %s is open for reading only",
                            store->path);
    if (store->plan.open)
        return mm_error_set(err, MM_BUG, "savepoint store %s: a plan is being written",
                            store->path);
    mm_sql sql = mm_sql_start(store, MM_SQL_BEGIN, err);
    return mm_sql_exec(&sql);
}

void mm_sql_rollback(mm_store *store)
{
    /* A severe failure has rolled back already; then, and when this fails, there is nothing more to
     * be done: what is not committed is not there for the next opener. */
    if (!sqlite3_get_autocommit(store->db)) {
        mm_sql sql = mm_sql_start(store, MM_SQL_ROLLBACK, NULL);
        (void)!mm_sql_exec(&sql);
    }
}

mm_status mm_sql_commit(mm_store *store, uint64_t txn, mm_error *err)
{
    mm_error failure = MM_ERROR_INIT;
    mm_sql sql = mm_sql_start(store, MM_SQL_COMMIT, &failure);
    if (mm_sql_exec(&sql) == MM_OK)
        return MM_OK;
    mm_sql_rollback(store);

    /* Only this process writes: if the counter stands where this transaction put it, it is in. If the
     * counter cannot be read or is older, the failure stands; the next opener reads from the disk
     * what there is, all of the transaction or nothing. */
    uint64_t now = 0;
    sql = mm_sql_start(store, MM_SQL_TXN_READ, NULL);
    if (mm_sql_number(&sql, &now) == MM_OK && now == txn)
        return MM_OK;
    return mm_error_set(err, failure.status, "%s", failure.text);
}
