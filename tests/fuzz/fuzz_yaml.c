/* Any text as a job file, this program's own or another tool's: it must be refused or read, without a crash, a leak or
 * a hang. A text that is read must also be shown, and what is shown must read back as the same job; so must the text
 * that the savepoint store keeps. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/job.h"
#include "config/node.h"
#include "storage/storage.h"

static const mm_option source_options[] = {
    {.name = "path", .type = MM_OPT_PATH, .required = true, .decides = true, .help = "the file"},
    {.name = "size", .type = MM_OPT_SIZE, .default_value = "64MiB", .decides = true, .help = "size"},
    {.name = "also", .type = MM_OPT_LIST, .decides = true, .help = "more"},
    {.name = "time", .type = MM_OPT_DURATION, .decides = true, .help = "time"},
};
static const mm_option target_options[] = {
    {.name = "endpoint", .type = MM_OPT_ENDPOINT, .help = "address"},
    {.name = "token", .type = MM_OPT_STRING, .secret = true, .help = "token"},
    {.name = "lossy", .type = MM_OPT_BOOL, .default_value = "false", .decides = true, .help = "flag"},
};
/* What the translations of other tools' files give to their drivers. */
static const mm_option foreign_options[] = {
    {.name = "path", .type = MM_OPT_PATHS, .decides = true, .help = "files"},
    {.name = "dir", .type = MM_OPT_PATH, .help = "a folder"},
    {.name = "meta", .type = MM_OPT_PATH, .help = "metadata"},
    {.name = "mysql", .type = MM_OPT_STRING, .secret = true, .help = "metadata in MySQL"},
    {.name = "mysql_password", .type = MM_OPT_STRING, .secret = true, .help = "its password"},
    {.name = "tables", .type = MM_OPT_PATHS, .help = "segments"},
    {.name = "partitions", .type = MM_OPT_LIST, .decides = true, .help = "some partitions"},
    {.name = "vectors", .type = MM_OPT_STRING, .help = "a dataset"},
    {.name = "vector_field", .type = MM_OPT_STRING, .decides = true, .help = "a name"},
    {.name = "endpoint", .type = MM_OPT_LIST, .help = "nodes"},
    {.name = "cloud_id", .type = MM_OPT_STRING, .help = "cloud"},
    {.name = "username", .type = MM_OPT_STRING, .help = "user"},
    {.name = "user", .type = MM_OPT_STRING, .help = "user"},
    {.name = "password", .type = MM_OPT_STRING, .secret = true, .help = "password"},
    {.name = "api_key", .type = MM_OPT_STRING, .secret = true, .help = "key"},
    {.name = "token", .type = MM_OPT_STRING, .secret = true, .help = "token"},
    {.name = "ca_file", .type = MM_OPT_PATH, .help = "authorities"},
    {.name = "ca_fingerprint", .type = MM_OPT_STRING, .help = "fingerprint"},
    {.name = "index", .type = MM_OPT_LIST, .decides = true, .help = "index"},
    {.name = "primary_key", .type = MM_OPT_STRING, .decides = true, .help = "key"},
    {.name = "include", .type = MM_OPT_LIST, .help = "fields"},
    {.name = "types", .type = MM_OPT_LIST, .decides = true, .help = "types"},
    {.name = "id_length", .type = MM_OPT_INT, .help = "length"},
    {.name = "page_rows", .type = MM_OPT_INT, .choices = "1..10000", .help = "rows"},
    {.name = "database", .type = MM_OPT_STRING, .decides = true, .help = "database"},
    {.name = "create_database", .type = MM_OPT_BOOL, .help = "made"},
    {.name = "consistency", .type = MM_OPT_STRING, .help = "level"},
    {.name = "shards", .type = MM_OPT_INT, .help = "shards"},
    {.name = "staging", .type = MM_OPT_PATH, .help = "files"},
    {.name = "format", .type = MM_OPT_STRING, .help = "form"},
    MM_STORAGE_OPTIONS,
};
#define FOREIGN(word) {word, foreign_options, MM_COUNT(foreign_options)}
static const mm_job_driver sources[] = {{"s", source_options, MM_COUNT(source_options)},
                                        FOREIGN("faiss"), FOREIGN("hdf5"), FOREIGN("milvus1x"),
                                        FOREIGN("elasticsearch"), FOREIGN("milvus")};
static const mm_job_driver targets[] = {{"t", target_options, MM_COUNT(target_options)},
                                        FOREIGN("milvus"), FOREIGN("hdf5")};
static const mm_job_tables tables = {sources, targets, MM_COUNT(sources), MM_COUNT(targets)};

static void check_round_trip(const mm_job *job)
{
    mm_error err = MM_ERROR_INIT;
    mm_buffer text = MM_BUFFER_INIT;
    mm_job *again = NULL;
    if (mm_job_show(job, &tables, &text, &err) != MM_OK)
        abort();
    mm_buffer_append(&text, "", 1);
    /* a hidden secret cannot be read back without its file; a large job may be shown larger than the
     * limit of a file */
    if (strstr(text.data, "\"***\"") == NULL && text.size <= MM_YAML_BYTES_MAX) {
        if (mm_job_parse(text.data, "/nowhere/job.yaml", "", &tables, &again, &err) != MM_OK ||
            strcmp(job->fingerprint, again->fingerprint) != 0)
            abort();
    }
    mm_job_free(again);
    mm_buffer_free(&text);
}

static void check_stored(const mm_job *job)
{
    mm_error err = MM_ERROR_INIT;
    mm_job *again = NULL;
    if (strstr(job->text, "***"))
        return;
    if (mm_job_parse(job->text, job->path, job->overrides, &tables, &again, &err) != MM_OK ||
        strcmp(job->fingerprint, again->fingerprint) != 0 || strcmp(job->text, again->text) != 0)
        abort();
    mm_job_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    /* behind a line of only %%%, the rest is what --set gives */
    char *overrides = strstr(text, "%%%\n");
    if (overrides) {
        *overrides = '\0';
        overrides += 4;
    }
    if (mm_job_parse(text, "/nowhere/job.yaml", overrides, &tables, &job, &err) == MM_OK) {
        check_round_trip(job);
        check_stored(job);
    }
    mm_job_free(job);
    free(text);
    return 0;
}
