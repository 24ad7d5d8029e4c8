/* Drivers and helpers for the tests of other tools' job files. */
#include "support/foreign_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/storage.h"

static const mm_option faiss_options[] = {
    {.name = "path", .type = MM_OPT_PATH, .required = true, .help = "the file"},
    {.name = "id_field", .type = MM_OPT_STRING, .default_value = "id", .help = "ids"},
    {.name = "vector_field", .type = MM_OPT_STRING, .default_value = "vector", .help = "vectors"},
    MM_STORAGE_OPTIONS,
};
static const mm_option hdf5_options[] = {
    {.name = "path", .type = MM_OPT_PATHS, .help = "files"},
    {.name = "dir", .type = MM_OPT_PATH, .help = "a folder"},
    {.name = "vectors", .type = MM_OPT_STRING, .help = "dataset"},
    {.name = "vector_field", .type = MM_OPT_STRING, .default_value = "vector", .help = "vectors"},
};
static const mm_option milvus1x_options[] = {
    {.name = "path", .type = MM_OPT_PATH, .help = "the folder"},
    {.name = "meta", .type = MM_OPT_PATH, .help = "metadata"},
    {.name = "mysql", .type = MM_OPT_STRING, .secret = true, .help = "metadata in MySQL"},
    {.name = "mysql_password", .type = MM_OPT_STRING, .secret = true, .help = "its password"},
    {.name = "tables", .type = MM_OPT_PATHS, .help = "segments"},
    {.name = "partitions", .type = MM_OPT_LIST, .help = "some partitions"},
    {.name = "vector_field", .type = MM_OPT_STRING, .default_value = "vector", .help = "vectors"},
    MM_STORAGE_OPTIONS,
};
static const mm_option elastic_options[] = {
    {.name = "endpoint", .type = MM_OPT_LIST, .help = "nodes"},
    {.name = "cloud_id", .type = MM_OPT_STRING, .help = "cloud"},
    {.name = "username", .type = MM_OPT_STRING, .help = "user"},
    {.name = "password", .type = MM_OPT_STRING, .secret = true, .help = "password"},
    {.name = "api_key", .type = MM_OPT_STRING, .secret = true, .help = "key"},
    {.name = "token", .type = MM_OPT_STRING, .secret = true, .help = "token"},
    {.name = "ca_file", .type = MM_OPT_PATH, .help = "authorities"},
    {.name = "ca_fingerprint", .type = MM_OPT_STRING, .help = "fingerprint"},
    {.name = "index", .type = MM_OPT_STRING, .help = "index"},
    {.name = "primary_key", .type = MM_OPT_STRING, .help = "key"},
    {.name = "id_length", .type = MM_OPT_INT, .help = "length"},
    {.name = "include", .type = MM_OPT_LIST, .help = "fields"},
    {.name = "types", .type = MM_OPT_LIST, .help = "types"},
    {.name = "page_rows", .type = MM_OPT_INT, .choices = "1..10000", .help = "rows"},
};
static const mm_option milvus_options[] = {
    {.name = "endpoint", .type = MM_OPT_ENDPOINT, .required = true, .help = "address"},
    {.name = "user", .type = MM_OPT_STRING, .help = "user"},
    {.name = "password", .type = MM_OPT_STRING, .secret = true, .help = "password"},
    {.name = "database", .type = MM_OPT_STRING, .help = "database"},
    {.name = "create_database", .type = MM_OPT_BOOL, .default_value = "false", .help = "made"},
    {.name = "consistency", .type = MM_OPT_ENUM, .choices = "default|strong|session|bounded|eventually",
     .default_value = "default", .help = "level"},
    {.name = "shards", .type = MM_OPT_INT, .default_value = "0", .help = "shards"},
    {.name = "staging", .type = MM_OPT_PATH, .help = "files"},
    {.name = "format", .type = MM_OPT_STRING, .default_value = "auto", .help = "form"},
    {.name = "file_size", .type = MM_OPT_SIZE, .default_value = "512MiB", .help = "size"},
    MM_STORAGE_OPTIONS,
};
static const mm_option path_options[] = {
    {.name = "path", .type = MM_OPT_PATH, .required = true, .help = "the folder"},
    {.name = "format", .type = MM_OPT_STRING, .default_value = "auto", .help = "form"},
    MM_STORAGE_OPTIONS,
};
#define DRIVER(word, options) {word, options, MM_COUNT(options)}
static const mm_job_driver sources[] = {DRIVER("faiss", faiss_options), DRIVER("hdf5", hdf5_options),
                                        DRIVER("milvus1x", milvus1x_options), DRIVER("elasticsearch", elastic_options),
                                        DRIVER("milvus", milvus_options), DRIVER("dump", path_options)};
static const mm_job_driver targets[] = {DRIVER("milvus", milvus_options), DRIVER("hdf5", path_options),
                                        DRIVER("files", path_options)};
const mm_job_tables mm_foreign_tables = {sources, targets, MM_COUNT(sources), MM_COUNT(targets)};

mm_job *parse_as(const char *text, const char *path, const char *overrides)
{
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    if (mm_job_parse(text, path, overrides, &mm_foreign_tables, &job, &err) != MM_OK)
        fail_msg("%s\nof\n%s", err.text, text);
    return job;
}

mm_job *parse(const char *text)
{
    return parse_as(text, "/d/old.yaml", "");
}

void refused_with(const char *text, const char *overrides, const char *expected)
{
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    assert_int_equal(mm_job_parse(text, "/d/old.yaml", overrides, &mm_foreign_tables, &job, &err), MM_CONFIG);
    if (strncmp(err.text, expected, strlen(expected)) != 0)
        fail_msg("wanted \"%s…\", got \"%s\" of\n%s", expected, err.text, text);
}

void refused(const char *text, const char *expected)
{
    refused_with(text, "", expected);
}

/* The job as `config --show` prints it, with these lines in it and the others not. */
static void shows(const mm_job *job, const char *const *lines, const char *const *without)
{
    mm_error err = MM_ERROR_INIT;
    mm_buffer out = MM_BUFFER_INIT;
    assert_int_equal(mm_job_show(job, &mm_foreign_tables, &out, &err), MM_OK);
    for (size_t i = 0; lines[i]; i++)
        if (strstr(out.data, lines[i]) == NULL)
            fail_msg("no \"%s\" in\n%s", lines[i], out.data);
    for (size_t i = 0; without && without[i]; i++)
        if (strstr(out.data, without[i]))
            fail_msg("\"%s\" stands in\n%s", without[i], out.data);
    mm_buffer_free(&out);
}

void becomes(const char *text, const char *const *lines, const char *const *without)
{
    mm_job *job = parse(text);
    shows(job, lines, without);
    mm_job_free(job);
}

void warns(const char *text, const char *const *lines)
{
    mm_job *job = parse(text);
    size_t count = 0;
    for (; lines[count]; count++) {
        bool found = false;
        for (size_t i = 0; i < job->warning_count; i++)
            found = found || strncmp(job->warnings[i], lines[count], strlen(lines[count])) == 0;
        if (!found)
            fail_msg("no warning \"%s…\"; the first of %zu is \"%s\"", lines[count], job->warning_count,
                     job->warning_count ? job->warnings[0] : "");
    }
    if (job->warning_count != count)
        fail_msg("%zu warnings, not %zu; the last is \"%s\"", job->warning_count, count,
                 job->warnings[job->warning_count - 1]);
    mm_job_free(job);
}
