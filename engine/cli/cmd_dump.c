/* mmresume dump and mmresume load: the two halves of a job with staged files. */
#include "cli/commands.h"

/* As `run` with --set half=…, which the savepoint store keeps, so that `resume` knows it. */
static mm_status start_half(const mm_cli_args *args, const char *half, mm_error *err)
{
    mm_request request;
    mm_buffer overrides = MM_BUFFER_INIT;
    mm_status status = mm_request_make(args, MM_REQUEST_FILE | MM_REQUEST_WRITES, &request, err);
    if (status != MM_OK)
        return status;
    mm_buffer_printf(&overrides, "%s%shalf=%s", request.run.overrides, request.run.overrides[0] ? "\n" : "", half);
    if (overrides.failed) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    } else {
        request.run.overrides = overrides.data;
        mm_run_install_signals();
        status = mm_run_start(&request.run, err);
    }
    mm_buffer_free(&overrides);
    mm_request_free(&request);
    return status;
}

mm_status mm_cmd_dump(const mm_cli_args *args, mm_error *err)
{
    return start_half(args, "dump", err);
}

mm_status mm_cmd_load(const mm_cli_args *args, mm_error *err)
{
    return start_half(args, "load", err);
}
