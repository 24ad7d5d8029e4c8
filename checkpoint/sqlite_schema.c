/* The schema of the SQLite store, as numbered migrations: version n is made by applying the texts
 * 1 … n in order. A text that was released is never changed; a change is a new text. */
#include "checkpoint/sqlite_internal.h"

/* Layout, and why:
 *
 * task      what the plan froze; written once. A verify task has copy_of and nothing else: its extent
 *           is that of the copy task.
 * progress  what changes while a task is worked on. A row is made by the first claim, so that a plan
 *           of millions of tasks is one narrow append, needs no index, and an advance never rewrites
 *           an extent's specification.
 * stretch   runs of consecutive tasks of one kind and collection. next_id is the first that nobody
 *           ever claimed: this finds the next fresh task, and skips a collection, without a scan.
 * share     rows in the target by collection and partition, kept up by differences.
 * run       the history. The newest row also carries the running totals, and txn, which every
 *           transaction raises: a COMMIT of unknown outcome is read back by it. Row 0 stands for
 *           "no run yet".
 *
 * state of progress: 0 open, 1 claimed, 2 done. kind: mm_task_kind. owner: random number of the open
 * store that claimed it. Numbers are below 2^63, but for checksum, which is a bit pattern. No foreign
 * key refers to task: DELETE FROM task must stay a truncation. */
static const char mm_schema_1[] =
    "CREATE TABLE job (\n"
    "  id INTEGER PRIMARY KEY CHECK (id = 1),\n"
    "  name TEXT NOT NULL,\n"
    "  tag TEXT NOT NULL CHECK (length(tag) = 16),\n"
    "  config_path TEXT NOT NULL,\n"
    "  config_text TEXT NOT NULL,\n"
    "  overrides TEXT NOT NULL\n"
    ") STRICT;\n"
    "CREATE TABLE run (\n"
    "  run INTEGER PRIMARY KEY,\n"
    "  txn INTEGER NOT NULL,\n"
    "  state INTEGER NOT NULL,\n"
    "  started_ms INTEGER NOT NULL DEFAULT 0,\n"
    "  finished_ms INTEGER NOT NULL DEFAULT 0,\n"
    "  error TEXT,\n"
    "  phase TEXT NOT NULL DEFAULT '',\n"
    "  exit_code INTEGER NOT NULL DEFAULT 0,\n"
    "  rows_total INTEGER,\n"
    "  bytes_total INTEGER NOT NULL DEFAULT 0,\n"
    "  rows_done INTEGER NOT NULL DEFAULT 0 CHECK (rows_done >= 0),\n"
    "  bytes_done INTEGER NOT NULL DEFAULT 0 CHECK (bytes_done >= 0),\n"
    "  rows_rejected INTEGER NOT NULL DEFAULT 0 CHECK (rows_rejected >= 0),\n"
    "  rows_thinned INTEGER NOT NULL DEFAULT 0 CHECK (rows_thinned >= 0),\n"
    "  rows_resent INTEGER NOT NULL DEFAULT 0,\n"
    "  tasks_total INTEGER NOT NULL DEFAULT 0,\n"
    "  tasks_done INTEGER NOT NULL DEFAULT 0 CHECK (tasks_done BETWEEN 0 AND tasks_total),\n"
    "  verify_total INTEGER NOT NULL DEFAULT 0,\n"
    "  verify_done INTEGER NOT NULL DEFAULT 0 CHECK (verify_done BETWEEN 0 AND verify_total),\n"
    "  active_ms INTEGER NOT NULL DEFAULT 0,\n"
    "  duplicates INTEGER NOT NULL DEFAULT 0,\n"
    "  rejects_size INTEGER NOT NULL DEFAULT 0,\n"
    "  mismatched INTEGER NOT NULL DEFAULT 0,\n"
    "  verdict INTEGER NOT NULL DEFAULT 0,\n"
    "  source_rows INTEGER,\n"
    "  target_rows INTEGER,\n"
    "  mismatches INTEGER,\n"
    "  config_fingerprint TEXT NOT NULL DEFAULT ''\n"
    ") STRICT;\n"
    "INSERT INTO run (run, txn, state) VALUES (0, 1, 0);\n"
    "CREATE TABLE collection (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  source_name TEXT NOT NULL,\n"
    "  target_name TEXT NOT NULL,\n"
    "  mapping TEXT NOT NULL,\n"
    "  source_fingerprint TEXT NOT NULL,\n"
    "  target_fingerprint TEXT,\n"
    "  fence INTEGER NOT NULL DEFAULT 0,\n"
    "  fence_intended INTEGER NOT NULL DEFAULT 0,\n"
    "  sealed INTEGER NOT NULL DEFAULT 0,\n"
    "  skipped INTEGER NOT NULL DEFAULT 0\n"
    ") STRICT;\n"
    "CREATE TABLE task (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  kind INTEGER NOT NULL,\n"
    "  collection INTEGER NOT NULL,\n"
    "  part INTEGER NOT NULL,\n"
    "  rows INTEGER,\n"
    "  bytes INTEGER,\n"
    "  spec BLOB,\n"
    "  copy_of INTEGER\n"
    ") STRICT;\n"
    "CREATE TABLE stretch (\n"
    "  first_id INTEGER PRIMARY KEY,\n"
    "  last_id INTEGER NOT NULL,\n"
    "  next_id INTEGER NOT NULL,\n"
    "  kind INTEGER NOT NULL,\n"
    "  collection INTEGER\n" /* NULL: of several (verify tasks) */
    ") STRICT;\n"
    "CREATE INDEX stretch_open ON stretch (kind, first_id) WHERE next_id <= last_id;\n"
    "CREATE TABLE progress (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  kind INTEGER NOT NULL,\n"
    "  collection INTEGER NOT NULL,\n"
    "  part INTEGER NOT NULL,\n"
    "  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),\n"
    "  owner INTEGER NOT NULL DEFAULT 0,\n"
    "  epoch INTEGER NOT NULL,\n"
    "  cursor_row INTEGER NOT NULL DEFAULT 0,\n"
    "  mark BLOB,\n"
    "  reserved INTEGER NOT NULL DEFAULT 0,\n"
    "  rows_done INTEGER NOT NULL DEFAULT 0,\n"
    "  rejected INTEGER NOT NULL DEFAULT 0,\n"
    "  thinned INTEGER NOT NULL DEFAULT 0,\n"
    "  mismatched INTEGER NOT NULL DEFAULT 0,\n"
    "  bytes_done INTEGER NOT NULL DEFAULT 0,\n"
    "  checksum INTEGER NOT NULL DEFAULT 0\n"
    ") STRICT;\n"
    "CREATE INDEX progress_open ON progress (kind, state, id) WHERE state < 2;\n"
    "CREATE TABLE share (\n"
    "  collection INTEGER NOT NULL,\n"
    "  part INTEGER NOT NULL,\n"
    "  rows INTEGER NOT NULL,\n"
    "  PRIMARY KEY (collection, part)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE thin (task INTEGER PRIMARY KEY, rows BLOB NOT NULL) STRICT;\n"
    "CREATE TABLE doubt (\n"
    "  task INTEGER NOT NULL,\n"
    "  from_row INTEGER NOT NULL,\n"
    "  to_row INTEGER NOT NULL,\n"
    "  PRIMARY KEY (task, from_row, to_row)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE step (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  collection INTEGER NOT NULL REFERENCES collection (id),\n"
    "  name TEXT NOT NULL,\n"
    "  text TEXT NOT NULL,\n"
    "  done INTEGER NOT NULL,\n"
    "  UNIQUE (collection, name)\n"
    ") STRICT;\n"
    "CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;\n";

/* sweep    how many rows of a collection are the job's, and whether a repair looks through it for rows too many. state: 0 not
 *          now, 1 asked for, 2 their keys are in extra. written: rows that stood there when a verdict was `equal`; as long
 *          as there was none, those that the job had written, replaced ones included. Those of later changes (tasks above
 *          last_task) come on top, what sweeps took away since is in removed. others: how many more a verdict found.
 * extra    keys that are still to be removed; NULL is the empty text. */
static const char mm_schema_2[] =
    "CREATE TABLE sweep (\n"
    "  collection INTEGER PRIMARY KEY,\n"
    "  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),\n"
    "  written INTEGER NOT NULL,\n"
    "  removed INTEGER NOT NULL DEFAULT 0,\n"
    "  others INTEGER NOT NULL DEFAULT 0,\n"
    "  last_task INTEGER NOT NULL\n"
    ") STRICT;\n"
    "CREATE TABLE extra (id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, key BLOB) STRICT;\n"
    "CREATE INDEX extra_of ON extra (collection, id);\n";

static const char *const mm_migrations[] = {mm_schema_1, mm_schema_2};

#define MM_SCHEMA_VERSION ((int)MM_COUNT(mm_migrations))

/* One number from a pragma or query that has exactly one. */
static mm_status mm_schema_number(mm_store *store, const char *sql, int *out, mm_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    mm_status status = MM_OK;
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int(stmt, 0);
    else
        status = mm_sql_fail(store, rc, err);
    sqlite3_finalize(stmt);
    return status;
}

/* Brings the database from version `have` to the newest, in one transaction. */
static mm_status mm_schema_migrate(mm_store *store, int have, mm_error *err)
{
    char pragmas[96];
    mm_status status = mm_sql_script(store, "BEGIN IMMEDIATE", err);
    for (int i = have; status == MM_OK && i < MM_SCHEMA_VERSION; i++)
        status = mm_sql_script(store, mm_migrations[i], err);
    snprintf(pragmas, sizeof pragmas, "PRAGMA application_id=%d; PRAGMA user_version=%d",
             MM_STORE_APPLICATION_ID, MM_SCHEMA_VERSION);
    if (status == MM_OK)
        status = mm_sql_script(store, pragmas, err);
    MM_FAILPOINT("store.create.before_commit");
    if (status == MM_OK)
        status = mm_sql_script(store, "COMMIT", err);
    if (status != MM_OK)
        mm_sql_rollback(store);
    return status;
}

mm_status mm_schema_open(mm_store *store, mm_error *err)
{
    int id = 0, version = 0, tables = 0;
    mm_status status = mm_schema_number(store, "PRAGMA application_id", &id, err);
    if (status == MM_OK)
        status = mm_schema_number(store, "PRAGMA user_version", &version, err);
    if (status == MM_OK)
        status = mm_schema_number(store, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (status != MM_OK)
        return status;

    /* An empty database: a process died while it made the store. There is none yet. */
    bool blank = id == 0 && version == 0 && tables == 0;
    if (blank && store->mode != MM_STORE_CREATE)
        return mm_error_set(err, MM_NOT_FOUND, "no savepoint store %s", store->path);
    if (!blank && id != MM_STORE_APPLICATION_ID)
        return mm_error_set(err, MM_CONFIG, "%s is not a savepoint store of mmresume",
                            store->path);
    if (version > MM_SCHEMA_VERSION)
        return mm_error_set(err, MM_CONFIG,
                            "savepoint store %s has version %d, newer than this program knows (%d)",
                            store->path, version, MM_SCHEMA_VERSION);
    if (version == MM_SCHEMA_VERSION)
        return MM_OK;
    if (store->mode == MM_STORE_READ)
        return mm_error_set(err, MM_CONFIG,
                            "savepoint store %s has version %d, this program reads %d: resume the "
                            "job once to bring it up to date",
                            store->path, version, MM_SCHEMA_VERSION);
    return mm_schema_migrate(store, version, err);
}
