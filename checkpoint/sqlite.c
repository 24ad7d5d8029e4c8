/* The SQLite savepoint store: opening, closing and removing it, and its driver table. One database
 * file per job with a lock file beside it. What the tables hold stands in sqlite_schema.c. */
#include "checkpoint/sqlite_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "checkpoint/lock.h"

/* A reader or a checkpoint may hold the database for a moment. */
#define MM_STORE_BUSY_MS 10000
/* The log of a big plan is cut back to this when it is used again. */
#define MM_STORE_LOG_BYTES (16 << 20)

static mm_status mm_sync_folder(const char *path, mm_error *err)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return mm_error_errno(err, MM_IO, "state folder %s", path);
    mm_status status = MM_OK;
    if (fsync(folder) != 0)
        status = mm_error_errno(err, MM_IO, "state folder %s", path);
    close(folder);
    return status;
}

/* Makes the state folder and those above it that are missing, 0700, durably. */
static mm_status mm_store_make_folder(const char *dir, mm_error *err)
{
    struct stat info;
    if (stat(dir, &info) == 0)
        return S_ISDIR(info.st_mode)
                   ? MM_OK
                   : mm_error_set(err, MM_CONFIG, "state folder %s is not a folder", dir);
    if (errno != ENOENT)
        return mm_error_errno(err, MM_IO, "state folder %s", dir);

    char *copy = strdup(dir);
    if (copy == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "state folder %s: out of memory", dir);
    const char *above = dirname(copy);
    mm_status status = mm_store_make_folder(above, err);
    if (status == MM_OK && mkdir(dir, 0700) != 0 && errno != EEXIST)
        status = mm_error_errno(err, MM_IO, "state folder %s", dir);
    if (status == MM_OK)
        status = mm_sync_folder(above, err);
    free(copy);
    return status;
}

/* SQLite would make the file readable for others; an empty one of our own mode is as good to it. */
static mm_status mm_store_make_file(const char *path, const char *dir, mm_error *err)
{
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return errno == EEXIST ? MM_OK : mm_error_errno(err, MM_IO, "savepoint store %s", path);
    close(file);
    return mm_sync_folder(dir, err);
}

static mm_status mm_store_connect(mm_store *store, const mm_store_args *args, mm_error *err)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                (store->mode == MM_STORE_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    int rc = sqlite3_open_v2(store->path, &store->db, flags, args->vfs);
    if (store->db == NULL)
        return mm_store_no_memory(store, err);
    if (rc != SQLITE_OK)
        return mm_sql_fail(store, rc, err);
    (void)sqlite3_extended_result_codes(store->db, 1);
    (void)sqlite3_busy_timeout(store->db, MM_STORE_BUSY_MS);
    if (store->mode == MM_STORE_READ) /* a reader leaves everything as it found it */
        (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return mm_sql_functions(store, err);
}

/* journal_mode answers with the mode in force instead of failing. */
static mm_status mm_store_use_log(mm_store *store, mm_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(store->db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    mm_status status = MM_OK;
    if (rc != SQLITE_ROW)
        status = mm_sql_fail(store, rc, err);
    else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") != 0)
        status = mm_error_set(err, MM_IO,
                              "savepoint store %s: no write-ahead log on this file system (shared "
                              "memory is needed); use a state folder on a local disk",
                              store->path);
    sqlite3_finalize(stmt);
    return status;
}

static mm_status mm_store_configure(mm_store *store, bool sync, mm_error *err)
{
    char settings[256];
    bool full = sync && !MM_SEEDED("no_fsync");
    snprintf(settings, sizeof settings,
             "PRAGMA synchronous = %s; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; "
             "PRAGMA cache_size = -4096; PRAGMA journal_size_limit = %d",
             full ? "FULL" : "OFF", MM_STORE_LOG_BYTES);
    mm_status status = mm_sql_script(store, settings, err);
    if (status == MM_OK)
        status = mm_schema_open(store, err);
    /* After the schema: the application id then stands in the file itself from the beginning. */
    if (status == MM_OK && store->mode != MM_STORE_READ)
        status = mm_store_use_log(store, err);
    return status;
}

static void mm_store_free(mm_store *store)
{
    mm_sql_finalize(store);
    (void)sqlite3_close(store->db); /* cannot be busy: no statement is left */
    if (store->lock >= 0)
        close(store->lock); /* last: until here nobody else may write */
    pthread_mutex_destroy(&store->mutex);
    free(store->path);
    free(store);
}

static mm_store *mm_store_new(const mm_store_args *args)
{
    mm_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&store->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    store->lock = -1;
    store->mode = args->mode;
    store->path = mm_format("%s/%s.db", args->dir, args->job);
    mm_random_bytes(&store->owner, sizeof store->owner);
    store->owner = store->owner >> 1 | 1;
    if (store->path == NULL) {
        mm_store_free(store);
        return NULL;
    }
    return store;
}

static mm_status mm_store_missing(const char *path, mm_error *err)
{
    return access(path, F_OK) == 0 ? MM_OK
                                   : mm_error_set(err, MM_NOT_FOUND, "no savepoint store %s", path);
}

/* Takes the lock and sees to it that the file is there. */
static mm_status mm_store_acquire(mm_store *store, const mm_store_args *args, mm_error *err)
{
    if (store->mode == MM_STORE_READ)
        return mm_store_missing(store->path, err);

    mm_status status = store->mode == MM_STORE_CREATE ? mm_store_make_folder(args->dir, err)
                                                      : mm_store_missing(store->path, err);
    char *lock = mm_format("%s/%s.lock", args->dir, args->job);
    if (status == MM_OK && lock == NULL)
        status = mm_store_no_memory(store, err);
    if (status == MM_OK)
        status = mm_lock_take(lock, &store->lock, err);
    free(lock);
    if (status != MM_OK)
        return status;
    /* Again: the store may have been removed before the lock was ours. */
    return store->mode == MM_STORE_CREATE ? mm_store_make_file(store->path, args->dir, err)
                                          : mm_store_missing(store->path, err);
}

static mm_status mm_sqlite_open(const mm_store_args *args, mm_store **out, mm_error *err)
{
    mm_store *store = mm_store_new(args);
    if (store == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "savepoint store of %s: out of memory", args->job);
    mm_status status = mm_store_acquire(store, args, err);
    if (status == MM_OK)
        status = mm_store_connect(store, args, err);
    if (status == MM_OK)
        status = mm_store_configure(store, args->sync, err);
    if (status != MM_OK) {
        mm_store_free(store);
        return status;
    }
    *out = store;
    return MM_OK;
}

static void mm_sqlite_close(mm_store *store)
{
    if (store == NULL)
        return;
    if (store->plan.open)
        mm_sql_rollback(store);
    mm_store_free(store);
}

static mm_status mm_store_unlink(const char *path, mm_error *err)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return mm_error_errno(err, MM_IO, "removing %s", path);
    return MM_OK;
}

/* The database goes first: with it the store is gone, whatever stops us after that (a log without its
 * database is emptied by the next that makes one). The other way round, a database without its log
 * would be an older savepoint. The lock is held to the end, and its file stays (lock.c). */
static mm_status mm_store_remove(const char *path, mm_error *err)
{
    char *log = mm_format("%s-wal", path), *shared = mm_format("%s-shm", path);
    char *copy = strdup(path);
    mm_status status = MM_OK;
    if (log == NULL || shared == NULL || copy == NULL)
        status = mm_error_set(err, MM_NO_MEMORY, "removing %s: out of memory", path);
    if (status == MM_OK)
        status = mm_store_unlink(path, err);
    MM_FAILPOINT("store.destroy.after_unlink");
    if (status == MM_OK)
        status = mm_sync_folder(dirname(copy), err);
    if (status == MM_OK)
        status = mm_store_unlink(log, err);
    if (status == MM_OK)
        status = mm_store_unlink(shared, err);
    free(log);
    free(shared);
    free(copy);
    return status;
}

static mm_status mm_sqlite_destroy(mm_store *store, mm_error *err)
{
    if (store->mode == MM_STORE_READ) {
        mm_error_set(err, MM_BUG, "savepoint store %s is open for reading only", store->path);
        mm_sqlite_close(store);
        return MM_BUG;
    }
    MM_FAILPOINT("store.destroy.begin");
    mm_sql_rollback(store);
    mm_sql_finalize(store);
    (void)sqlite3_close(store->db);
    store->db = NULL;
    mm_status status = mm_store_remove(store->path, err);
    mm_store_free(store);
    return status;
}

const mm_store_driver mm_store_sqlite = {
    .abi = 1,
    .name = "sqlite",
    .open = mm_sqlite_open,
    .close = mm_sqlite_close,
    .destroy = mm_sqlite_destroy,
    .job_read = mm_sqlite_job_read,
    .job_write = mm_sqlite_job_write,
    .run_read = mm_sqlite_run_read,
    .runs = mm_sqlite_runs,
    .plan_begin = mm_sqlite_plan_begin,
    .plan_collection = mm_sqlite_plan_collection,
    .plan_task = mm_sqlite_plan_task,
    .plan_thin = mm_sqlite_plan_thin,
    .plan_totals = mm_sqlite_plan_totals,
    .plan_end = mm_sqlite_plan_end,
    .plan_more = mm_sqlite_plan_more,
    .collections = mm_sqlite_collections,
    .claim = mm_sqlite_claim,
    .task_read = mm_sqlite_task_read,
    .tasks = mm_sqlite_tasks,
    .apply = mm_sqlite_apply,
    .verify_plan = mm_sqlite_verify_plan,
    .repair_plan = mm_sqlite_repair_plan,
    .sweeps = mm_sqlite_sweeps,
    .sweep_begin = mm_sqlite_sweep_begin,
    .sweep_add = mm_sqlite_sweep_add,
    .sweep_end = mm_sqlite_sweep_end,
    .sweep_keys = mm_sqlite_sweep_keys,
    .steps = mm_sqlite_steps,
    .doubts = mm_sqlite_doubts,
    .states = mm_sqlite_states,
    .expected = mm_sqlite_expected,
    .verified = mm_sqlite_verified,
    .changed = mm_sqlite_changed,
    .mismatches = mm_sqlite_mismatches,
};
