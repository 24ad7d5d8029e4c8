/* mmresume plan: what a run would move. Changes nothing. */
#include "cli/commands.h"

mm_status mm_cmd_plan(const mm_cli_args *args, mm_error *err)
{
    mm_request request;
    mm_buffer text = MM_BUFFER_INIT;
    mm_status status = mm_request_make(args, MM_REQUEST_FILE, &request, err);
    if (status != MM_OK)
        return status;
    status = mm_run_plan(&request.run, &text, err);
    if (status == MM_OK)
        status = mm_cli_print(&text, err);
    mm_buffer_free(&text);
    mm_request_free(&request);
    return status;
}
