/* `mmresume inspect` of a Milvus server or a Milvus Lite folder: version, databases, collections with
 * their schemas and row counts. Changes nothing. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sinks/milvus/internal.h"

static void print_field(const mm_field *field, mm_buffer *text)
{
    const char *type = mm_type_name(field->type);
    mm_buffer_printf(text, "  field: %s %s", field->name, type != NULL ? type : "?");
    if (field->dim > 0)
        mm_buffer_printf(text, " dim=%u", field->dim);
    if (field->max_length > 0)
        mm_buffer_printf(text, " max_length=%u", field->max_length);
    mm_buffer_printf(text, "%s%s%s%s%s\n", field->primary ? " primary" : "", field->auto_id ? " autoID" : "",
                     field->nullable ? " nullable" : "", field->partition_key ? " partition_key" : "",
                     field->dynamic ? " dynamic" : "");
}

static void print_indexes(mm_milvus *client, const char *name, mm_arena *arena, mm_buffer *text)
{
    mm_milvus_index *indexes;
    size_t count;
    mm_error err = MM_ERROR_INIT;
    if (mm_milvus_indexes(client, name, arena, &indexes, &count, &err) != MM_OK)
        return;
    for (size_t i = 0; i < count; i++)
        mm_buffer_printf(text, "  index: %s on %s: %s %s\n", indexes[i].name, indexes[i].field,
                         indexes[i].index_type != NULL ? indexes[i].index_type : "?",
                         indexes[i].metric_type != NULL ? indexes[i].metric_type : "");
}

/* Rows are known only where the collection is loaded; that it is not is no failure of the inspection. */
static void print_rows(mm_milvus *client, const char *name, mm_buffer *text)
{
    uint64_t rows;
    mm_error err = MM_ERROR_INIT;
    if (mm_milvus_count(client, name, NULL, NULL, &rows, &err) == MM_OK)
        mm_buffer_printf(text, "  rows: %" PRIu64 "\n", rows);
    else
        mm_buffer_printf(text, "  rows: unknown (%s)\n", err.status == MM_NOT_READY ? "not loaded" : err.text);
}

static mm_status print_collection(mm_milvus *client, const char *name, mm_buffer *text, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_milvus_description d;
    mm_status status = mm_milvus_describe(client, name, &arena, &d, err);
    if (status == MM_OK) {
        mm_buffer_printf(text, "collection: %s\n", name);
        if (d.id != 0)
            mm_buffer_printf(text, "  id: %" PRId64 "\n", d.id);
        for (size_t i = 0; i < d.schema->field_count; i++)
            print_field(&d.schema->fields[i], text);
        print_indexes(client, name, &arena, text);
        print_rows(client, name, text);
    }
    mm_arena_free(&arena);
    return status;
}

static mm_status print_server(mm_milvus *client, mm_buffer *text, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_names databases, collections = {NULL, 0};
    char version[64];
    mm_status status = mm_milvus_version(client, version, err);
    if (status != MM_OK)
        goto out;
    mm_buffer_printf(text, "server: Milvus %s\n", version[0] != '\0' ? version : "(version unknown)");
    status = mm_milvus_databases(client, &arena, &databases, err);
    if (status == MM_OK) {
        for (size_t i = 0; i < databases.count; i++)
            mm_buffer_printf(text, "database: %s\n", databases.items[i]);
    } else if (status == MM_TARGET) {
        mm_error_clear(err);
    } else {
        goto out;
    }
    status = mm_milvus_collections(client, &arena, &collections, err);
    for (size_t i = 0; status == MM_OK && i < collections.count; i++)
        status = print_collection(client, collections.items[i], text, err);
out:
    mm_arena_free(&arena);
    return status == MM_OK && text->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory") : status;
}

static bool is_folder(const char *location)
{
    size_t n = strlen(location);
    return strstr(location, "://") == NULL && n > 3 && strcmp(location + n - 3, ".db") == 0 &&
           access(location, F_OK) == 0;
}

/* The token comes from the environment: a command line is seen by everybody on the machine. */
mm_status mm_milvus_inspect(const char *location, mm_buffer *text, mm_error *err)
{
    mm_milvus_lite *lite = NULL;
    mm_milvus *client = NULL;
    char *url = NULL;
    mm_status status = MM_OK;
    bool folder = is_folder(location);
    if (folder) {
        mm_milvus_lite_args args = {.folder = location};
        status = mm_milvus_lite_start(&args, &lite, err);
    } else {
        status = mm_milvus_sink_url(location, &url, err);
        bool http = status == MM_OK && (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0);
        if (status == MM_CONFIG || (status == MM_OK && !http))
            status = mm_error_set(err, MM_NOT_FOUND, "'%s' is no Milvus server", location);
    }
    if (status != MM_OK)
        goto out;
    mm_milvus_config config = {.endpoint = folder ? mm_milvus_lite_endpoint(lite) : url,
                               .token = getenv("MILVUS_TOKEN"),
                               .timeout_ms = 30000};
    status = mm_milvus_open(&config, &client, err);
    if (status == MM_OK)
        status = print_server(client, text, err);
    if (status == MM_TARGET)
        status = mm_error_set(err, MM_NOT_FOUND, "'%s' is no Milvus server", location);
out:
    mm_milvus_close(client);
    mm_milvus_lite_stop(lite);
    free(url);
    return status;
}
