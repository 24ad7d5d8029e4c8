/* mmresume help: overview, one command, and the texts that are generated for man and docs. */
#include "cli/commands.h"

static mm_status write_help(const mm_cli_args *args, mm_buffer *out, mm_error *err)
{
    const char *word = args->operand_count ? args->operands[0] : NULL;
    if (mm_cli_flag(args, "man")) {
        mm_manual(&mm_cli, out);
        return MM_OK;
    }
    if (mm_cli_flag(args, "markdown")) {
        if (mm_reference(&mm_cli, word, out))
            return MM_OK;
        return mm_error_set(err, MM_USAGE, "%.60s is none of commands, exit-codes, job and drivers",
                            word);
    }
    if (word == NULL) {
        mm_help_overview(&mm_cli, out);
        return MM_OK;
    }
    const mm_command *command = mm_cli_find(&mm_cli, word);
    if (command == NULL)
        return mm_cli_no_command(&mm_cli, word, err);
    mm_help_command(&mm_cli, command, out);
    return MM_OK;
}

mm_status mm_cmd_help(const mm_cli_args *args, mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    mm_status status = write_help(args, &text, err);
    if (status == MM_OK)
        status = mm_cli_print(&text, err);
    mm_buffer_free(&text);
    return status;
}
