/* mmresume cancel: end a run for good, be it running in another process or left unfinished. */
#include "cli/commands.h"

mm_status mm_cmd_cancel(const mm_cli_args *args, mm_error *err)
{
    mm_request request;
    mm_status status = mm_request_make(args, MM_REQUEST_JOB | MM_REQUEST_WRITES, &request, err);
    if (status != MM_OK)
        return status;
    status = mm_run_cancel(&request.run, err);
    mm_request_free(&request);
    return status;
}
