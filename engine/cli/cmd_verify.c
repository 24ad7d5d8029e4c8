/* mmresume verify: prove again that the target of the last run equals its source. */
#include "cli/commands.h"

mm_status mm_cmd_verify(const mm_cli_args *args, mm_error *err)
{
    mm_request request;
    mm_status status = mm_request_make(args, MM_REQUEST_JOB | MM_REQUEST_WRITES, &request, err);
    if (status != MM_OK)
        return status;
    mm_run_install_signals();
    status = mm_run_verify(&request.run, err);
    mm_request_free(&request);
    return status;
}
