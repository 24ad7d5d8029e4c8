/* Memory that runs out at the n-th allocation, for every n: a job file is then read as it is, or refused
 * for want of memory; never misread, never a crash. Not built with sanitizers, which own the allocator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/job.h"

/* The C library's own names; ours stand before them in the whole program. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);

static size_t countdown; /* 0: no failure is due */
static bool fired;

static bool is_due(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    fired = true;
    return true;
}

void *malloc(size_t size)
{
    return is_due() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return is_due() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return is_due() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    return is_due() ? NULL : __libc_memalign(align, size);
}

static const mm_option source_options[] = {
    {.name = "path", .type = MM_OPT_PATH, .required = true, .decides = true, .help = "the file"},
    {.name = "also", .type = MM_OPT_LIST, .decides = true, .help = "more"},
    {.name = "vector_field", .type = MM_OPT_STRING, .help = "name"},
};
static const mm_option target_options[] = {
    {.name = "endpoint", .type = MM_OPT_ENDPOINT, .required = true, .help = "address"},
    {.name = "token", .type = MM_OPT_STRING, .secret = true, .help = "token"},
};
static const mm_job_driver sources[] = {{"faiss", source_options, MM_COUNT(source_options)}};
static const mm_job_driver targets[] = {{"milvus", target_options, MM_COUNT(target_options)}};
static const mm_job_tables tables = {sources, targets, MM_COUNT(sources), MM_COUNT(targets)};

static const char own[] =
    "job: &name products\n"
    "source: {driver: faiss, path: a, also: [x, \"${HOME:-y}\"]}\n"
    "target: {driver: milvus, endpoint: ./demo.db, token: a-secret, transfer: insert}\n"
    "collections:\n"
    "  - from: *name\n"
    "    fields: [{from: id, type: Int64, primary: true}, {from: v, to: w}]\n"
    "    index: {w: {index_type: HNSW, params: {M: 16, l: [a, 1]}}}\n"
    "    partitions: {b: c, a: b}\n"
    "limits: {memory: 1GiB, rate: 5 rows/s}\n"
    "verify: {sample: 50}\n";

/* One of another tool, with what its translation has to build. */
static const char foreign[] =
    "F2M:\n"
    "  data_path: a$b\n"
    "  dest_host: h\n"
    "  dest_port: 1\n"
    "  mode: skip\n"
    "  dest_collection_name: t\n"
    "  dest_partition_name: p\n"
    "  collection_parameter: {dimension: 8, metric_type: HAMMING}\n";

/* Reads and shows a job; the n-th allocation fails. */
static mm_status read_and_show(const char *text, size_t n, mm_buffer *shown, mm_error *err)
{
    mm_job *job = NULL;
    countdown = n;
    mm_status status = mm_job_parse(text, "/d/job.yaml", "limits.loaders=2\nverify={sample: 7}", &tables, &job, err);
    if (status == MM_OK)
        status = mm_job_show(job, &tables, shown, err);
    mm_job_free(job);
    countdown = 0;
    mm_buffer_append(shown, "", 1);
    return status;
}

static void run_out(const char *text)
{
    mm_error err = MM_ERROR_INIT;
    mm_buffer whole = MM_BUFFER_INIT;
    size_t refused = 0;
    assert_int_equal(read_and_show(text, 0, &whole, &err), MM_OK);
    for (size_t n = 1;; n++) {
        mm_buffer shown = MM_BUFFER_INIT;
        mm_error_clear(&err);
        fired = false;
        mm_status status = read_and_show(text, n, &shown, &err);
        if (status == MM_OK)
            assert_string_equal(shown.data, whole.data);
        else if (status != MM_NO_MEMORY)
            fail_msg("allocation %zu: %s: %s", n, mm_status_name(status), err.text);
        refused += status == MM_NO_MEMORY;
        mm_buffer_free(&shown);
        if (!fired)
            break;
    }
    assert_true(refused > 20);
    mm_buffer_free(&whole);
}

static void memory_that_runs_out_is_said(void **state)
{
    (void)state;
    run_out(own);
    run_out(foreign);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_that_runs_out_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
