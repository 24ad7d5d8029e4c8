/* mmresume config: check a job file, print it complete, or print the JSON schema of job files. */
#include "cli/commands.h"
#include "sinks/sink.h"

static mm_status show_file(const mm_cli_args *args, bool show, mm_buffer *out, mm_error *err)
{
    mm_buffer overrides = MM_BUFFER_INIT;
    mm_job *job = NULL;
    const char *file = NULL;
    mm_status status = mm_request_file(args, &file, err);
    if (status == MM_OK)
        status = mm_request_overrides(args, &overrides, err);
    if (status == MM_OK)
        status = mm_job_load(file, overrides.data, mm_run_tables(), &job, err);
    if (status == MM_OK)
        mm_job_warn(job);
    const mm_sink_driver *driver;
    if (status == MM_OK && !show) {
        status = mm_sink_resolve(job->target_driver, job->target, &driver, err);
        if (status != MM_OK)
            status = mm_error_context(err, "%s", file);
    }
    if (status == MM_OK && show)
        status = mm_job_show(job, mm_run_tables(), out, err);
    else if (status == MM_OK)
        mm_buffer_printf(out, "%s: ok: job %s, %s to %s\n", file, job->name, job->source_driver,
                         job->target_driver);
    mm_job_free(job);
    mm_buffer_free(&overrides);
    return status;
}

mm_status mm_cmd_config(const mm_cli_args *args, mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    bool schema = mm_cli_flag(args, "schema"), show = mm_cli_flag(args, "show");
    if (schema + show + mm_cli_flag(args, "check") > 1)
        return mm_error_set(err, MM_USAGE, "config does one of --check, --show and --schema at a time");
    mm_status status = schema ? mm_job_schema(mm_run_tables(), &text, err)
                              : show_file(args, show, &text, err);
    if (status == MM_OK)
        status = mm_cli_print(&text, err);
    mm_buffer_free(&text);
    return status;
}
