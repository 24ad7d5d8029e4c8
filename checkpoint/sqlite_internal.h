/* Inside of the SQLite store: the open store, and the small layer by which its files run prepared
 * statements. Nothing outside checkpoint/ includes this. */
#ifndef MM_CHECKPOINT_SQLITE_INTERNAL_H
#define MM_CHECKPOINT_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/sqlite_sql.h"

#define MM_STORE_APPLICATION_ID 0x6D6D7273 /* "mmrs" */

/* The plan that is being written. */
typedef struct mm_plan {
    bool open;
    bool failed;        /* a write failed: the transaction may be gone, nothing may follow */
    uint64_t txn;       /* what the run row will hold when it is committed */
    uint64_t next_id;   /* of the next task */
    uint64_t copies;    /* tasks so far, verify tasks apart */
    uint64_t first_id;  /* of the stretch under way; 0: none */
    mm_task_kind kind;  /* of the stretch under way */
    uint32_t collection;
} mm_plan;

struct mm_store {
    sqlite3 *db;
    char *path; /* of the database file */
    int lock;   /* descriptor of the lock file; -1 when reading */
    mm_store_mode mode;
    uint64_t owner; /* random number of this open store, never 0 */
    mm_plan plan;
    pthread_mutex_t mutex; /* recursive: a callback of `tasks` may use the store */
    sqlite3_stmt *statements[MM_SQL_COUNT];
};

/* ---- sqlite_schema.c ---- */

/* Checks that the open database is a store and brings it to the newest version. MM_NOT_FOUND: it is
 * empty and mode does not create; MM_CONFIG: not a store, or newer than this program. */
mm_status mm_schema_open(mm_store *store, mm_error *err) MM_MUST_USE;

/* ---- sqlite_db.c ---- */

/* Describes the failure rc of the last call on store->db; never MM_OK. */
mm_status mm_sql_fail(mm_store *store, int rc, mm_error *err) MM_MUST_USE;
/* Runs a text of statements whose results do not matter. */
mm_status mm_sql_script(mm_store *store, const char *sql, mm_error *err) MM_MUST_USE;
/* Adds the SQL functions that the statements use. */
mm_status mm_sql_functions(mm_store *store, mm_error *err) MM_MUST_USE;
void mm_sql_finalize(mm_store *store);

/* One use of a prepared statement: start, bind in order, then exec or next … end. The first failure
 * sticks and comes out of exec or next, so that binding needs no check. */
typedef struct mm_sql {
    mm_store *store;
    sqlite3_stmt *stmt;
    int bound;
    mm_status status;
    mm_error *err;
} mm_sql;

mm_sql mm_sql_start(mm_store *store, mm_sql_id id, mm_error *err);
void mm_sql_int(mm_sql *sql, int64_t value);
/* MM_DATA when the value does not fit the store (above INT64_MAX). */
void mm_sql_u64(mm_sql *sql, uint64_t value);
void mm_sql_count(mm_sql *sql, uint64_t value); /* MM_COUNT_UNKNOWN: NULL */
void mm_sql_text(mm_sql *sql, const char *text); /* NULL: NULL. Borrowed until the end */
void mm_sql_blob(mm_sql *sql, const void *bytes, size_t size); /* size 0: NULL */
/* Runs to the end without looking at rows; ends. */
mm_status mm_sql_exec(mm_sql *sql) MM_MUST_USE;
/* As exec, and MM_BUG unless exactly one row was changed; `what` names it in the message. */
mm_status mm_sql_exec_one(mm_sql *sql, const char *what) MM_MUST_USE;
/* *row: there is one more row to read with sqlite3_column_… After false or failure it is ended. */
mm_status mm_sql_next(mm_sql *sql, bool *row) MM_MUST_USE;
void mm_sql_end(mm_sql *sql);
/* Runs a statement of one row and one number; ends. */
mm_status mm_sql_number(mm_sql *sql, uint64_t *out) MM_MUST_USE;

uint64_t mm_sql_column_u64(const mm_sql *sql, int column);
uint64_t mm_sql_column_count(const mm_sql *sql, int column); /* NULL: MM_COUNT_UNKNOWN */
/* Copies into the arena; NULL stays NULL. */
mm_status mm_sql_column_text(mm_sql *sql, int column, mm_arena *arena, const char **out) MM_MUST_USE;
mm_status mm_sql_column_blob(mm_sql *sql, int column, mm_arena *arena, const void **out,
                             size_t *size) MM_MUST_USE;

void mm_store_lock(mm_store *store);
void mm_store_unlock(mm_store *store);

/* A write transaction. begin: MM_BUG when the store is read-only or a plan is open. commit makes it
 * durable: `txn` is what TXN_NEXT, RUN_ADD or RUN_VERIFY returned in it; when COMMIT fails the
 * counter is read back, and MM_OK is answered if it was committed after all. Any other failure has
 * rolled back. */
mm_status mm_sql_begin(mm_store *store, mm_error *err) MM_MUST_USE;
mm_status mm_sql_commit(mm_store *store, uint64_t txn, mm_error *err) MM_MUST_USE;
void mm_sql_rollback(mm_store *store);

mm_status mm_store_no_memory(mm_store *store, mm_error *err) MM_MUST_USE;

/* ---- sqlite_task.c ---- */

/* Reads the row of a statement made with MM_SQL_TASK. */
mm_status mm_sql_column_task(mm_sql *sql, mm_arena *arena, mm_task *out) MM_MUST_USE;

/* ---- sqlite_sweep.c: inside of the caller's transaction ---- */

/* Asks for a sweep of each collection; last_task: the plan's last task now. */
mm_status mm_sweep_want(mm_store *store, const uint32_t *collections, size_t count, uint64_t last_task,
                        mm_error *err) MM_MUST_USE;
mm_status mm_apply_counted(mm_store *store, const mm_op *op, mm_error *err) MM_MUST_USE;
mm_status mm_apply_swept(mm_store *store, const mm_op *op, mm_error *err) MM_MUST_USE;

/* ---- operations of the driver table, by file ---- */

mm_status mm_sqlite_job_read(mm_store *store, mm_arena *arena, mm_job_record *out, mm_error *err);
mm_status mm_sqlite_job_write(mm_store *store, const mm_job_record *job, mm_error *err);
mm_status mm_sqlite_run_read(mm_store *store, mm_arena *arena, mm_run_record *out, mm_error *err);
mm_status mm_sqlite_runs(mm_store *store, mm_arena *arena, mm_run_record **out, size_t *count,
                         mm_error *err);
mm_status mm_sqlite_collections(mm_store *store, mm_arena *arena, mm_plan_collection **out,
                                size_t *count, mm_error *err);
mm_status mm_sqlite_steps(mm_store *store, uint32_t collection, mm_arena *arena,
                          mm_step_record **out, size_t *count, mm_error *err);
mm_status mm_sqlite_doubts(mm_store *store, mm_arena *arena, mm_doubt **out, size_t *count,
                           mm_error *err);
mm_status mm_sqlite_states(mm_store *store, mm_arena *arena, mm_state_record **out, size_t *count,
                           mm_error *err);
mm_status mm_sqlite_expected(mm_store *store, uint32_t collection, uint32_t partition,
                             uint64_t *rows, mm_error *err);
mm_status mm_sqlite_verified(mm_store *store, uint32_t collection, uint32_t partition, uint64_t *rows,
                             mm_error *err);
mm_status mm_sqlite_changed(mm_store *store, uint32_t collection, uint64_t *rows, mm_error *err);
mm_status mm_sqlite_mismatches(mm_store *store, uint64_t *count, mm_error *err);

mm_status mm_sqlite_plan_begin(mm_store *store, const mm_run_record *run, mm_error *err);
mm_status mm_sqlite_plan_collection(mm_store *store, const mm_plan_collection *collection,
                                    mm_error *err);
mm_status mm_sqlite_plan_task(mm_store *store, mm_task *task, mm_error *err);
mm_status mm_sqlite_plan_thin(mm_store *store, uint64_t task, const void *thin, size_t size,
                              mm_error *err);
mm_status mm_sqlite_plan_totals(mm_store *store, const mm_run_record *run, mm_error *err);
mm_status mm_sqlite_plan_end(mm_store *store, bool commit, mm_error *err);
mm_status mm_sqlite_plan_more(mm_store *store, const char *phase, mm_error *err);
mm_status mm_sqlite_verify_plan(mm_store *store, bool doubt_only, mm_error *err);
mm_status mm_sqlite_repair_plan(mm_store *store, const uint32_t *sweep, size_t sweep_count, size_t *count,
                                mm_error *err);
mm_status mm_sqlite_sweeps(mm_store *store, mm_arena *arena, mm_sweep **out, size_t *count, mm_error *err);
mm_status mm_sqlite_sweep_begin(mm_store *store, uint32_t collection, mm_error *err);
mm_status mm_sqlite_sweep_add(mm_store *store, uint32_t collection, const void *key, size_t size,
                              mm_error *err);
mm_status mm_sqlite_sweep_end(mm_store *store, uint32_t collection, bool commit, mm_error *err);
mm_status mm_sqlite_sweep_keys(mm_store *store, uint32_t collection, size_t most, mm_arena *arena,
                               mm_extra **out, size_t *count, mm_error *err);

mm_status mm_sqlite_claim(mm_store *store, mm_task_kind kind, size_t max, mm_arena *arena,
                          mm_task *out, size_t *count, mm_error *err);
mm_status mm_sqlite_task_read(mm_store *store, uint64_t id, mm_arena *arena, mm_task *out,
                              mm_error *err);
mm_status mm_sqlite_tasks(mm_store *store,
                          mm_status (*fn)(void *context, const mm_task *task, mm_error *err),
                          void *context, mm_error *err);
mm_status mm_sqlite_apply(mm_store *store, mm_op *ops, size_t count, mm_error *err);

#endif
