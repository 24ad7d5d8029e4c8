/* mmresume version. */
#include "cli/commands.h"

mm_status mm_cmd_version(const mm_cli_args *args, mm_error *err)
{
    (void)args;
    mm_buffer text = MM_BUFFER_INIT;
    mm_buffer_printf(&text, "mmresume %s\n", MM_VERSION);
    mm_status status = mm_cli_print(&text, err);
    mm_buffer_free(&text);
    return status;
}
