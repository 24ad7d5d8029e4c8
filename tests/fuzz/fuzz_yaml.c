/* Any text as a job file: it must be refused or read, without a crash, a leak or a hang. A text that is
 * read must also be shown, and what is shown must read back as the same job. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/job.h"
#include "config/node.h"

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
static const mm_job_driver sources[] = {{"s", source_options, MM_COUNT(source_options)}};
static const mm_job_driver targets[] = {{"t", target_options, MM_COUNT(target_options)}};
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
    if (mm_job_parse(text, "/nowhere/job.yaml", overrides, &tables, &job, &err) == MM_OK)
        check_round_trip(job);
    mm_job_free(job);
    free(text);
    return 0;
}
