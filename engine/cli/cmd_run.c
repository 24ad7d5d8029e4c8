/* mmresume run: start a run of a job file. */
#include "cli/commands.h"

mm_status mm_cmd_run(const mm_cli_args *args, mm_error *err)
{
    mm_request request;
    mm_status status = mm_request_make(args, MM_REQUEST_FILE | MM_REQUEST_WRITES, &request, err);
    if (status != MM_OK)
        return status;
    mm_run_install_signals();
    status = mm_run_start(&request.run, err);
    mm_request_free(&request);
    return status;
}
