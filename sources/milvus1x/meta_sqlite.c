/* Metadata in meta.sqlite. The database is another program's, which may be writing to it: SQLite's own way of reading
 * would take locks and write the -shm file beside it. So its bytes are copied, with those of the WAL or of a rollback
 * journal, into a private folder, and SQLite opens the copy there.
 *
 * A copy of several files is one state of the database when the WAL did not begin anew meanwhile: until then every
 * page that a checkpoint moves into the database is in the WAL too, so that a page that was copied half old, half new
 * is covered by the WAL's. So the WAL that was read before the database has to be the beginning of the one read
 * afterwards (https://sqlite.org/walformat.html: a WAL that begins anew has other salts in its header). Without a WAL
 * the database itself has to be the same when read twice. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/folder.h"
#include "base/log.h"
#include "sources/milvus1x/meta.h"
#include "storage/input.h"

#define TRIES 50
#define PAUSE_MS 20
#define BYTES_MOST ((uint64_t)1 << 30) /* a row is a few hundred bytes: this is millions of segments */

/* --- copying ---------------------------------------------------------------------------------------------------- */

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

static void bytes_free(bytes *b)
{
    free(b->data);
    *b = (bytes){NULL, 0};
}

static bool starts_with(const bytes *whole, const bytes *start)
{
    return start->size <= whole->size && (start->size == 0 || memcmp(whole->data, start->data, start->size) == 0);
}

/* The whole of location + suffix; a side file that is not there has no bytes. MM_CHANGED: it changed while it was
 * read. */
static mm_status read_whole(const char *location, const char *suffix, const mm_options *options, bytes *out,
                            mm_error *err)
{
    mm_input *input = NULL;
    char *name = mm_format("%s%s", location, suffix);
    if (name == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", location);
    mm_error why = MM_ERROR_INIT;
    mm_status status = mm_input_open(name, options, &input, &why);
    if (status == MM_NOT_FOUND && suffix[0] != '\0') {
        free(name);
        return MM_OK;
    }
    if (status == MM_OK && input->size > BYTES_MOST)
        status = mm_error_set(&why, MM_DATA, "%s: %" PRIu64 " bytes are more than metadata has", name, input->size);
    if (status == MM_OK) {
        out->size = (size_t)input->size;
        out->data = malloc(out->size + 1);
        status = out->data != NULL ? mm_input_read(input, 0, out->data, out->size, &why)
                                   : mm_error_set(&why, MM_NO_MEMORY, "%s: out of memory", name);
    }
    mm_input_close(input);
    free(name);
    if (status != MM_OK && err != NULL)
        *err = why;
    return status;
}

typedef struct files {
    bytes db, wal, journal;
} files;

static void files_free(files *f)
{
    bytes_free(&f->db);
    bytes_free(&f->wal);
    bytes_free(&f->journal);
}

/* MM_END: a writer came between. */
static mm_status copy_once(const char *location, const mm_options *options, files *out, mm_error *err)
{
    bytes before = {NULL, 0}, again = {NULL, 0};
    bool stable = false;
    mm_status status = read_whole(location, "-wal", options, &before, err);
    if (status == MM_OK)
        status = read_whole(location, "", options, &out->db, err);
    if (status == MM_OK)
        status = read_whole(location, "-journal", options, &out->journal, err);
    MM_FAILPOINT("milvus1x.meta.between");
    if (status == MM_OK)
        status = read_whole(location, "-wal", options, &out->wal, err);
    if (status == MM_OK && before.size > 0) {
        stable = starts_with(&out->wal, &before);
    } else if (status == MM_OK && out->wal.size == 0) {
        status = read_whole(location, "", options, &again, err);
        stable = status == MM_OK && again.size == out->db.size && starts_with(&again, &out->db);
    }
    bytes_free(&before);
    bytes_free(&again);
    return status == MM_CHANGED || (status == MM_OK && !stable) ? MM_END : status;
}

static mm_status copy_files(const char *location, const mm_options *options, files *out, mm_error *err)
{
    for (int i = 0; i < TRIES; i++) {
        mm_status status = copy_once(location, options, out, err);
        if (status != MM_END)
            return status;
        files_free(out);
        nanosleep(&(struct timespec){0, PAUSE_MS * 1000000L}, NULL);
    }
    return mm_error_set(err, MM_CHANGED, "%s: it is written to faster than it can be read; stop Milvus, or export its "
                        "metadata", location);
}

static mm_status put(const char *folder, const char *name, const bytes *b, mm_error *err)
{
    char *path = b->size > 0 ? mm_format("%s/%s", folder, name) : NULL;
    if (b->size == 0)
        return MM_OK;
    if (path == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = MM_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        status = mm_error_errno(err, MM_IO, "%s", path);
    for (size_t done = 0; status == MM_OK && done < b->size;) {
        ssize_t wrote = write(fd, b->data + done, b->size - done);
        if (wrote < 0 && errno != EINTR)
            status = mm_error_errno(err, MM_IO, "%s", path);
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    if (fd >= 0)
        close(fd);
    free(path);
    return status;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

typedef struct reading {
    mm_milvus1x_meta *meta;
    sqlite3 *db;
    mm_error *err;
} reading;

static mm_status damaged(const reading *r)
{
    int rc = sqlite3_errcode(r->db);
    return mm_error_set(r->err, rc == SQLITE_NOMEM ? MM_NO_MEMORY : MM_DATA, "%s: %s (SQLite %d)", r->meta->name,
                        sqlite3_errmsg(r->db), sqlite3_extended_errcode(r->db));
}

static mm_status prepare(const reading *r, const char *sql, sqlite3_stmt **out)
{
    return sqlite3_prepare_v2(r->db, sql, -1, out, NULL) == SQLITE_OK ? MM_OK : damaged(r);
}

/* Whether the first row of `sql` has a number other than 0 (or is the text "ok"). */
static mm_status ask(const reading *r, const char *sql, bool *out)
{
    sqlite3_stmt *stmt = NULL;
    mm_status status = prepare(r, sql, &stmt);
    int rc = status == MM_OK ? sqlite3_step(stmt) : SQLITE_ERROR;
    if (status == MM_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
        status = damaged(r);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        *out = text != NULL && (strcmp(text, "ok") == 0 || sqlite3_column_int64(stmt, 0) != 0);
    }
    sqlite3_finalize(stmt);
    return status;
}

/* A text without a NUL in it; NULL becomes empty. */
static mm_status text_at(const reading *r, sqlite3_stmt *stmt, int column, const char **out)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    if (text != NULL && strlen(text) != (size_t)sqlite3_column_bytes(stmt, column))
        return mm_error_set(r->err, MM_DATA, "%s: a text in column %s has a zero byte", r->meta->name,
                            sqlite3_column_name(stmt, column));
    *out = text;
    return MM_OK;
}

/* An integer; NULL becomes 0. */
static mm_status number_at(const reading *r, sqlite3_stmt *stmt, int column, int64_t *out)
{
    int type = sqlite3_column_type(stmt, column);
    if (type != SQLITE_INTEGER && type != SQLITE_NULL)
        return mm_error_set(r->err, MM_DATA, "%s: a value of column %s is no whole number", r->meta->name,
                            sqlite3_column_name(stmt, column));
    *out = sqlite3_column_int64(stmt, column);
    return MM_OK;
}

static mm_status numbers_from(const reading *r, sqlite3_stmt *stmt, int column, int64_t *const *out, size_t count)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < count; i++)
        status = number_at(r, stmt, column + (int)i, out[i]);
    return status;
}

static const char *const table_columns[] = {"table_id", "owner_table", "partition_tag", "state", "dimension",
                                            "metric_type",
                                            "created_on", "flag", "index_file_size", "engine_type", "index_params"};
#define TABLE_NEEDED 6 /* of these, the first ones; others came or went between releases */

static mm_status take_table(const reading *r, sqlite3_stmt *stmt)
{
    mm_milvus1x_table_row row = {.table_id = NULL};
    int64_t *const numbers[] = {&row.state, &row.dimension, &row.metric_type, &row.created,
                                &row.flag,  &row.index_file_size, &row.engine_type};
    mm_status status = text_at(r, stmt, 0, &row.table_id);
    if (status == MM_OK)
        status = text_at(r, stmt, 1, &row.owner_table);
    if (status == MM_OK)
        status = text_at(r, stmt, 2, &row.partition_tag);
    if (status == MM_OK)
        status = text_at(r, stmt, 10, &row.index_params);
    if (status == MM_OK)
        status = numbers_from(r, stmt, 3, numbers, MM_COUNT(numbers));
    return status == MM_OK ? mm_milvus1x_meta_table(r->meta, &row, r->err) : status;
}

static const char *const file_columns[] = {"table_id", "segment_id", "file_type",    "engine_type",
                                           "file_size", "row_count", "updated_time", "created_on"};
#define FILE_NEEDED 3

static mm_status take_file(const reading *r, sqlite3_stmt *stmt)
{
    mm_milvus1x_file_row row = {.table_id = NULL};
    int64_t *const numbers[] = {&row.file_type, &row.engine_type, &row.file_size, &row.row_count, &row.updated,
                                &row.created};
    mm_status status = text_at(r, stmt, 0, &row.table_id);
    if (status == MM_OK)
        status = text_at(r, stmt, 1, &row.segment_id);
    if (status == MM_OK)
        status = numbers_from(r, stmt, 2, numbers, MM_COUNT(numbers));
    return status == MM_OK ? mm_milvus1x_meta_file(r->meta, &row, r->err) : status;
}

/* "SELECT a, b, NULL FROM table": NULL in the place of a column that this release's table does not have. */
static mm_status select_columns(const reading *r, const char *table, const char *const *columns, size_t count,
                                size_t needed, mm_buffer *sql)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        int rc = sqlite3_table_column_metadata(r->db, "main", table, columns[i], NULL, NULL, NULL, NULL, NULL);
        bool there = rc == SQLITE_OK;
        if (!there && i < needed)
            status = mm_error_set(r->err, MM_DATA, "%s: table %s has no column %s: it is not of a Milvus 0.9 to 1.x",
                                  r->meta->name, table, columns[i]);
        mm_buffer_printf(sql, "%s%s", i > 0 ? ", " : "SELECT ", there ? columns[i] : "NULL");
    }
    mm_buffer_printf(sql, " FROM %s", table);
    return status == MM_OK && sql->failed ? mm_error_set(r->err, MM_NO_MEMORY, "out of memory") : status;
}

static mm_status each_row(const reading *r, const char *table, const char *const *columns, size_t count, size_t needed,
                          mm_status (*take)(const reading *, sqlite3_stmt *))
{
    sqlite3_stmt *stmt = NULL;
    mm_buffer sql = MM_BUFFER_INIT;
    int rc = SQLITE_DONE;
    mm_status status = select_columns(r, table, columns, count, needed, &sql);
    if (status == MM_OK)
        status = prepare(r, sql.data, &stmt);
    mm_buffer_free(&sql);
    while (status == MM_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        status = take(r, stmt);
    if (status == MM_OK && rc != SQLITE_DONE)
        status = damaged(r);
    sqlite3_finalize(stmt);
    return status;
}

/* Real tables of these names: a view could be anything. 0.11 kept its metadata in other tables. */
static mm_status check_kind(const reading *r)
{
    bool ours = false, newer = false, whole = false;
    mm_status status = ask(r, "SELECT count(*) = 2 FROM sqlite_master WHERE type = 'table' AND"
                              " name IN ('Tables', 'TableFiles') AND sql NOT LIKE 'CREATE VIRTUAL%'", &ours);
    if (status == MM_OK)
        status = ask(r, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND lower(name) IN "
                        "('collectioncommits', 'segmentcommits', 'schemacommits')", &newer);
    if (status == MM_OK && !ours && newer)
        return mm_error_set(r->err, MM_DATA,
                            "%s: this is the metadata of Milvus 0.11, whose files are laid out otherwise; "
                            "Milvus 0.9, 0.10 and 1.x are read", r->meta->name);
    if (status == MM_OK && !ours)
        return mm_error_set(r->err, MM_DATA,
                            "%s: it has no tables `Tables` and `TableFiles`: no metadata of Milvus 0.9 to 1.x",
                            r->meta->name);
    if (status == MM_OK)
        status = ask(r, "PRAGMA quick_check(1)", &whole);
    if (status == MM_OK && !whole)
        return mm_error_set(r->err, MM_DATA, "%s: the database is damaged (PRAGMA quick_check)", r->meta->name);
    return status;
}

static mm_status read_copy(const reading *r)
{
    mm_status status = check_kind(r);
    if (status == MM_OK)
        status = each_row(r, "Tables", table_columns, MM_COUNT(table_columns), TABLE_NEEDED, take_table);
    if (status == MM_OK)
        status = each_row(r, "TableFiles", file_columns, MM_COUNT(file_columns), FILE_NEEDED, take_file);
    return status;
}

static mm_status open_copy(const char *folder, mm_milvus1x_meta *meta, mm_error *err)
{
    reading r = {.meta = meta, .err = err};
    char *path = mm_format("%s/meta.sqlite", folder);
    if (path == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = MM_OK;
    int rc = sqlite3_open_v2(path, &r.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK) {
        status = r.db != NULL ? damaged(&r) : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    } else {
        sqlite3_db_config(r.db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(r.db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        status = read_copy(&r);
    }
    sqlite3_close(r.db);
    free(path);
    return status;
}

mm_status mm_milvus1x_meta_sqlite(const char *location, const mm_options *options, mm_milvus1x_meta *meta,
                                  mm_error *err)
{
    files copy = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    const char *temporary = getenv("TMPDIR");
    char *folder = mm_format("%s/mmresume-XXXXXX", temporary != NULL && temporary[0] == '/' ? temporary : "/tmp");
    meta->name = mm_arena_strdup(&meta->arena, location);
    bool made = false;
    mm_status status = folder != NULL && meta->name != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (status == MM_OK)
        status = copy_files(location, options, &copy, err);
    if (status == MM_OK && copy.db.size == 0)
        status = mm_error_set(err, MM_DATA, "%s: the file is empty", location);
    if (status == MM_OK) {
        made = mkdtemp(folder) != NULL;
        if (!made)
            status = mm_error_errno(err, MM_IO, "%s: a folder for a copy of the metadata (TMPDIR)", folder);
    }
    if (status == MM_OK)
        status = put(folder, "meta.sqlite", &copy.db, err);
    if (status == MM_OK)
        status = put(folder, "meta.sqlite-wal", &copy.wal, err);
    if (status == MM_OK)
        status = put(folder, "meta.sqlite-journal", &copy.journal, err);
    if (status == MM_OK)
        status = open_copy(folder, meta, err);
    mm_error left = MM_ERROR_INIT;
    if (made && mm_folder_remove(folder, &left) != MM_OK)
        mm_log(MM_LOG_WARN, "%s", left.text);
    free(folder);
    files_free(&copy);
    return status == MM_OK ? mm_milvus1x_meta_finish(meta, err) : status;
}
