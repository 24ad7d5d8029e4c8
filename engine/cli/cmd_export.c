/* mmresume export: the metadata of a Milvus 0.9 to 1.x as a meta.json, so that a run elsewhere needs no database. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/commands.h"
#include "sources/milvus1x/meta_json.h"
#include "sources/milvus1x/mysql.h"
#include "storage/storage.h"

#define FILE_NAME "meta.json"

/* What the command line says, read by the rules of job files: ${NAME} from the environment, secrets from files. */
static const mm_option table[] = {
    {.name = "sqlite", .type = MM_OPT_PATH, .help = "meta.sqlite"},
    {.name = "output", .type = MM_OPT_PATH, .default_value = ".", .help = "folder or prefix of the file"},
    MM_MILVUS1X_MYSQL_OPTIONS,
    MM_STORAGE_OPTIONS,
};

/* A password that stands in the command line is taken out of the list of processes as soon as it is known. */
static void hide_argument(const char *text)
{
    char *argument = (char *)(uintptr_t)text; /* of argv, whose strings a program may change (C17, 5.1.2.2.1) */
    memset(argument, 'x', strlen(argument));
}

static mm_status make_options(const mm_cli_args *args, mm_options **out, mm_error *err)
{
    static const struct {
        const char *flag, *option;
    } names[] = {{"sqlite", "sqlite"}, {"output", "output"}, {"mysql", "mysql"}, {"mysql-ca", "mysql_ca"},
                 {"mysql-password-file", "mysql_password_file"}};
    char *pairs[MM_COUNT(names) + 1] = {NULL};
    mm_status status = MM_OK;
    size_t count = 0;
    for (size_t i = 0; status == MM_OK && i < MM_COUNT(names); i++) {
        const char *text = mm_cli_text(args, names[i].flag);
        if (text && (pairs[count++] = mm_format("%s=%s", names[i].option, text)) == NULL)
            status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    if (mm_cli_text(args, "mysql"))
        hide_argument(mm_cli_text(args, "mysql"));
    if (status == MM_OK)
        status = mm_options_make(table, MM_COUNT(table), (const char *const *)pairs, out, err);
    for (size_t i = 0; i < count; i++)
        free(pairs[i]);
    return status;
}

static mm_status read_meta(const mm_options *options, mm_milvus1x_meta *meta, mm_error *err)
{
    const char *sqlite = mm_options_str(options, "sqlite");
    mm_status status = sqlite ? mm_milvus1x_meta_sqlite(sqlite, options, meta, err)
                              : mm_milvus1x_meta_mysql(options, meta, err);
    for (size_t i = 0; status == MM_OK && i < meta->unfinished_count; i++) {
        const mm_milvus1x_unfinished *u = &meta->unfinished[i];
        mm_log(MM_LOG_WARN, "segment %s of collection `%s`, partition `%s`, is left out: it is not finished (%s)",
               u->segment_id, u->collection, u->tag, mm_milvus1x_file_type_name(u->file_type));
    }
    if (status == MM_OK && meta->collection_count == 0)
        return mm_error_set(err, MM_NOT_FOUND, "%s: there are no collections in it", meta->name);
    return status;
}

/* Whole or not at all: a storage gives it its name when all of it is there. */
static mm_status write_file(const mm_options *options, const mm_buffer *text, char **url, mm_error *err)
{
    const char *folder = mm_options_str(options, "output");
    size_t length = strlen(folder);
    mm_storage *storage = NULL;
    char *key = NULL;
    char *location = mm_format("%s%s%s", folder, length > 0 && folder[length - 1] == '/' ? "" : "/", FILE_NAME);
    if (location == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = mm_storage_open(location, options, &storage, &key, err);
    if (status == MM_OK)
        status = mm_storage_put(storage, key, text->data, text->size, false, err);
    if (status == MM_OK) {
        *url = location;
        location = NULL;
    }
    free(location);
    free(key);
    mm_storage_close(storage);
    return status;
}

static mm_status say(const mm_milvus1x_meta *meta, const char *url, mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    size_t partitions = 0, segments = 0;
    for (size_t i = 0; i < meta->collection_count; i++) {
        partitions += meta->collections[i].partition_count - 1;
        for (size_t j = 0; j < meta->collections[i].partition_count; j++)
            segments += meta->collections[i].partitions[j].segment_count;
    }
    mm_buffer_printf(&text, "%s: collections %zu, partitions %zu, segments %zu\n", url, meta->collection_count,
                     partitions, segments);
    mm_status status = mm_cli_print(&text, err);
    mm_buffer_free(&text);
    return status;
}

mm_status mm_cmd_export(const mm_cli_args *args, mm_error *err)
{
    mm_milvus1x_meta meta = MM_MILVUS1X_META_INIT;
    mm_buffer text = MM_BUFFER_INIT;
    mm_options *options = NULL;
    char *url = NULL;
    if ((mm_cli_text(args, "sqlite") == NULL) == (mm_cli_text(args, "mysql") == NULL))
        return mm_error_set(err, MM_USAGE, "export reads one of --sqlite and --mysql");
    mm_status status = make_options(args, &options, err);
    if (status == MM_OK)
        status = read_meta(options, &meta, err);
    if (status == MM_OK)
        status = mm_milvus1x_meta_json_print(&meta, &text, err);
    if (status == MM_OK)
        status = write_file(options, &text, &url, err);
    if (status == MM_OK)
        status = say(&meta, url, err);
    free(url);
    mm_buffer_free(&text);
    mm_milvus1x_meta_free(&meta);
    mm_options_free(options);
    return status;
}
