/* Metadata from the tables of MySQL or MariaDB: both read in one snapshot, so that a collection and its segments belong
 * together while a Milvus still writes. Nothing is changed there.
 *
 * The tables: Milvus 1.1 core/src/db/meta/MySQLMetaImpl.cpp. Of columns that came later than 0.9 none is needed. */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <errmsg.h>
#include <mysql.h>

#include "base/log.h"
#include "base/utf8.h"
#include "base/util.h"
#include "sources/milvus1x/meta.h"
#include "sources/milvus1x/mysql.h"

/* Ways to prove a password that do not send it as it is. */
#define PLUGINS "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519"
#define DEFAULT_MS 10000
#define SAID_MOST 400
#define COLUMNS_MAX 11

/* What the server says by number: https://mariadb.com/docs/server/reference/error-codes (the same in MySQL). */
static mm_status classify(unsigned number)
{
    switch (number) {
    case CR_CONNECTION_ERROR:
    case CR_CONN_HOST_ERROR:
    case CR_UNKNOWN_HOST:
    case CR_SERVER_GONE_ERROR:
    case CR_SERVER_LOST:
    case CR_SERVER_LOST_EXTENDED:
    case 1053: /* shutdown in progress */
    case 1158: /* packets not read, late, not written, late */
    case 1159:
    case 1160:
    case 1161:
    case 1205: /* lock wait timeout */
    case 1213: /* deadlock */
    case 1317: /* interrupted */
    case 1927: /* connection killed */
        return MM_UNAVAILABLE;
    case 1040: /* too many connections: of all, of the user, of the user by hour */
    case 1203:
    case 1226:
        return MM_QUOTA;
    case 1044: /* no right to the database; wrong password */
    case 1045:
    case 1129: /* host blocked, host not allowed */
    case 1130:
    case 1142: /* no right to the table, to the column */
    case 1143:
    case 1227:
    case 1251: /* the way of logging in is refused by one side */
    case 1275:
    case 1698:
    case 1820: /* password has expired */
    case 1862:
    case 3118: /* account locked; 4151 of MariaDB */
    case 4151:
    case 3159: /* only by TLS */
        return MM_AUTH;
    case 1049: /* no such database, no such table */
    case 1146:
        return MM_NOT_FOUND;
    case CR_OUT_OF_MEMORY:
        return MM_NO_MEMORY;
    default:
        return MM_CONFIG; /* TLS, a proxy that is no MySQL, …: somebody must look */
    }
}

/* What a server says, as a message may show it. */
static void show(const char *said, char out[SAID_MOST])
{
    size_t size = mm_utf8_prefix(said, strnlen(said, SAID_MOST - 1));
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)said[i] < 0x20 || said[i] == 0x7f ? '?' : said[i];
    out[size] = '\0';
}

static mm_status failed(MYSQL *mysql, const char *name, mm_error *err)
{
    unsigned number = mysql_errno(mysql);
    char said[SAID_MOST];
    if (number == CR_PLUGIN_NOT_ALLOWED) /* the library puts a piece of what it sent where it means the way's name */
        return mm_error_set(err, MM_AUTH, "%s: the server wants the password in another way than %s (error %u)", name,
                            PLUGINS, number);
    show(mysql_error(mysql), said);
    const char *hint = number == 1146   ? "; a Milvus 0.9 to 1.x keeps its metadata in Tables and TableFiles"
                       : number == 1045 ? "; the password is that of source.mysql or source.mysql_password"
                                        : "";
    return mm_error_set(err, classify(number), "%s: %s (error %u)%s", name, said, number, hint);
}

/* --- connecting ------------------------------------------------------------------------------------------------- */

static pthread_once_t library = PTHREAD_ONCE_INIT;

static void start_library(void)
{
    mysql_library_init(0, NULL, NULL); /* by itself it is not safe against two threads at once */
}

static void set_seconds(MYSQL *mysql, enum mysql_option option, uint64_t ms)
{
    unsigned seconds = ms / 1000 > 86400 ? 86400 : (unsigned)((ms + 999) / 1000);
    mysql_options(mysql, option, &seconds);
}

/* To name authorities or a certificate is to ask for TLS that is verified. */
static mm_milvus1x_tls tls_of(const mm_milvus1x_dsn *dsn, const mm_options *options)
{
    bool named = mm_options_str(options, "mysql_ca") || mm_options_str(options, "mysql_cert");
    return dsn->tls_said || !named ? dsn->tls : MM_MILVUS1X_TLS_VERIFIED;
}

static void set_tls(MYSQL *mysql, mm_milvus1x_tls tls, const mm_options *options)
{
    my_bool verify = tls == MM_MILVUS1X_TLS_VERIFIED;
    if (tls == MM_MILVUS1X_TLS_OFF)
        return;
    mysql_ssl_set(mysql, mm_options_str(options, "mysql_key"), mm_options_str(options, "mysql_cert"),
                  mm_options_str(options, "mysql_ca"), NULL, NULL);
    mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

/* Unless it verifies, the library goes on in clear text with a server that has no TLS, also with
 * MYSQL_OPT_SSL_ENFORCE (3.3.20). A proof of the password was sent by then, never the password (PLUGINS). */
static mm_status check_tls(MYSQL *mysql, mm_milvus1x_tls tls, const char *name, mm_error *err)
{
    bool wanted = tls == MM_MILVUS1X_TLS_VERIFIED || tls == MM_MILVUS1X_TLS_UNVERIFIED;
    if (wanted && mysql_get_ssl_cipher(mysql) == NULL)
        return mm_error_set(err, MM_CONFIG, "%s: TLS is asked for, and the server has none", name);
    return MM_OK;
}

static mm_status connect_to(MYSQL *mysql, const mm_milvus1x_dsn *dsn, const mm_options *options, mm_error *err)
{
    const char *password = mm_options_str(options, "mysql_password");
    uint64_t ms = mm_options_ms(options, "mysql_timeout");
    mm_milvus1x_tls tls = tls_of(dsn, options);
    unsigned no = 0, protocol = dsn->socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    if (password && dsn->password)
        return mm_error_set(err, MM_CONFIG, "the password of %s is given twice: in mysql and by mysql_password",
                            dsn->name);
    if (ms == 0)
        ms = DEFAULT_MS;
    set_seconds(mysql, MYSQL_OPT_CONNECT_TIMEOUT, dsn->connect_ms ? dsn->connect_ms : ms);
    set_seconds(mysql, MYSQL_OPT_READ_TIMEOUT, dsn->read_ms ? dsn->read_ms : ms);
    set_seconds(mysql, MYSQL_OPT_WRITE_TIMEOUT, dsn->read_ms ? dsn->read_ms : ms);
    mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol); /* "localhost" is no socket unless it is said */
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &no); /* a server may ask for files otherwise */
    mysql_options(mysql, MARIADB_OPT_RESTRICTED_AUTH, PLUGINS);
    set_tls(mysql, tls, options);
    if (!mysql_real_connect(mysql, dsn->host, dsn->user, dsn->password ? dsn->password : password, dsn->database,
                            dsn->port, dsn->socket, 0))
        return failed(mysql, dsn->name, err);
    return check_tls(mysql, tls, dsn->name, err);
}

static mm_status run(MYSQL *mysql, const char *name, const char *statement, mm_error *err)
{
    return mysql_query(mysql, statement) == 0 ? MM_OK : failed(mysql, name, err);
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

typedef struct column {
    const char *name;
    size_t offset; /* in the row: of a const char * when it is text, else of an int64_t */
    bool text, needed;
} column;

#define TEXT(row, field, needed_) {#field, offsetof(row, field), true, needed_}
#define NUMBER(row, column_, field, needed_) {column_, offsetof(row, field), false, needed_}

static const column table_columns[] = {
    TEXT(mm_milvus1x_table_row, table_id, true),
    TEXT(mm_milvus1x_table_row, owner_table, true),
    TEXT(mm_milvus1x_table_row, partition_tag, true),
    NUMBER(mm_milvus1x_table_row, "state", state, true),
    NUMBER(mm_milvus1x_table_row, "dimension", dimension, true),
    NUMBER(mm_milvus1x_table_row, "created_on", created, false),
    NUMBER(mm_milvus1x_table_row, "flag", flag, false),
    NUMBER(mm_milvus1x_table_row, "index_file_size", index_file_size, false),
    NUMBER(mm_milvus1x_table_row, "engine_type", engine_type, false),
    TEXT(mm_milvus1x_table_row, index_params, false),
    NUMBER(mm_milvus1x_table_row, "metric_type", metric_type, true),
};
static const column file_columns[] = {
    TEXT(mm_milvus1x_file_row, table_id, true),
    TEXT(mm_milvus1x_file_row, segment_id, true),
    NUMBER(mm_milvus1x_file_row, "engine_type", engine_type, false),
    NUMBER(mm_milvus1x_file_row, "file_type", file_type, true),
    NUMBER(mm_milvus1x_file_row, "file_size", file_size, false),
    NUMBER(mm_milvus1x_file_row, "row_count", row_count, false),
    NUMBER(mm_milvus1x_file_row, "updated_time", updated, false),
    NUMBER(mm_milvus1x_file_row, "created_on", created, false),
};

typedef struct table {
    const char *name;
    const column *columns;
    size_t count;
    mm_status (*take)(mm_milvus1x_meta *meta, const void *row, mm_error *err);
    int place[COLUMNS_MAX]; /* of each column in the result; -1: it has none */
} table;

static mm_status take_table(mm_milvus1x_meta *meta, const void *row, mm_error *err)
{
    return mm_milvus1x_meta_table(meta, row, err);
}

static mm_status take_file(mm_milvus1x_meta *meta, const void *row, mm_error *err)
{
    return mm_milvus1x_meta_file(meta, row, err);
}

static mm_status find_columns(MYSQL_RES *result, table *t, const char *name, mm_error *err)
{
    MYSQL_FIELD *fields = mysql_fetch_fields(result);
    unsigned count = mysql_num_fields(result);
    for (size_t i = 0; i < t->count; i++) {
        t->place[i] = -1;
        for (unsigned j = 0; j < count; j++)
            if (strcasecmp(fields[j].name, t->columns[i].name) == 0)
                t->place[i] = (int)j;
        if (t->place[i] < 0 && t->columns[i].needed)
            return mm_error_set(err, MM_DATA, "%s: table %s has no column %s: it is not of a Milvus 0.9 to 1.x", name,
                                t->name, t->columns[i].name);
    }
    return MM_OK;
}

/* A value that is NULL is empty text or 0. */
static mm_status read_value(const table *t, const column *c, const char *value, unsigned long size, void *row,
                            const char *name, mm_error *err)
{
    char *end;
    if (c->text) {
        if (value && strlen(value) != size)
            return mm_error_set(err, MM_DATA, "%s: table %s: %s holds a NUL", name, t->name, c->name);
        memcpy((char *)row + c->offset, &value, sizeof(value));
        return MM_OK;
    }
    errno = 0;
    int64_t number = value ? strtoll(value, &end, 10) : 0;
    if (value && (errno != 0 || end == value || *end != '\0'))
        return mm_error_set(err, MM_DATA, "%s: table %s: %s is no number", name, t->name, c->name);
    memcpy((char *)row + c->offset, &number, sizeof(number));
    return MM_OK;
}

static mm_status read_row(MYSQL_RES *result, MYSQL_ROW values, const table *t, mm_milvus1x_meta *meta, mm_error *err)
{
    union {
        mm_milvus1x_table_row table;
        mm_milvus1x_file_row file;
    } row;
    memset(&row, 0, sizeof(row));
    const unsigned long *sizes = mysql_fetch_lengths(result);
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < t->count; i++) {
        int place = t->place[i];
        if (place >= 0)
            status = read_value(t, &t->columns[i], values[place], sizes[place], &row, meta->name, err);
    }
    return status == MM_OK ? t->take(meta, &row, err) : status;
}

static mm_status read_table(MYSQL *mysql, table *t, mm_milvus1x_meta *meta, mm_error *err)
{
    char statement[64];
    MYSQL_ROW values;
    snprintf(statement, sizeof(statement), "SELECT * FROM `%s` ORDER BY id", t->name);
    mm_status status = run(mysql, meta->name, statement, err);
    if (status != MM_OK)
        return status;
    MYSQL_RES *result = mysql_use_result(mysql);
    if (result == NULL)
        return failed(mysql, meta->name, err);
    status = find_columns(result, t, meta->name, err);
    while (status == MM_OK && (values = mysql_fetch_row(result)) != NULL)
        status = read_row(result, values, t, meta, err);
    if (status == MM_OK && mysql_errno(mysql) != 0) /* the rows end, or the connection did */
        status = failed(mysql, meta->name, err);
    mysql_free_result(result);
    return status;
}

static mm_status read_all(MYSQL *mysql, mm_milvus1x_meta *meta, mm_error *err)
{
    table tables = {.name = "Tables", .columns = table_columns, .count = MM_COUNT(table_columns), .take = take_table};
    table files = {.name = "TableFiles", .columns = file_columns, .count = MM_COUNT(file_columns), .take = take_file};
    /* other isolation levels ignore the wish for a snapshot */
    mm_status status = run(mysql, meta->name, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", err);
    if (status == MM_OK)
        status = run(mysql, meta->name, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", err);
    if (status == MM_OK)
        status = read_table(mysql, &tables, meta, err);
    if (status == MM_OK)
        status = read_table(mysql, &files, meta, err);
    return status;
}

mm_status mm_milvus1x_meta_mysql(const mm_options *options, mm_milvus1x_meta *meta, mm_error *err)
{
    mm_milvus1x_dsn dsn;
    mm_status status = mm_milvus1x_dsn_parse(&meta->arena, mm_options_str(options, "mysql"), &dsn, err);
    if (status != MM_OK)
        return status;
    mm_log_add_secret(dsn.password);
    meta->name = dsn.name;
    pthread_once(&library, start_library);
    MYSQL *mysql = mysql_init(NULL);
    if (mysql == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a connection to MySQL");
    status = connect_to(mysql, &dsn, options, err);
    if (status == MM_OK)
        status = read_all(mysql, meta, err);
    mysql_close(mysql); /* ends the transaction */
    return status == MM_OK ? mm_milvus1x_meta_finish(meta, err) : status;
}
