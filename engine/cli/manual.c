/* mmresume.1 in roff (man(7) macros), from the command table. */
#include <string.h>

#include "cli/cli.h"

/* Text as roff: hyphens that are typed, no line that begins like a request. */
static void roff(mm_buffer *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        /* also behind the .PP that stands for an empty line */
        if ((c == text || c[-1] == '\n') && (*c == '.' || *c == '\''))
            mm_buffer_printf(out, "\\&");
        if (*c == '-')
            mm_buffer_printf(out, "\\-");
        else if (*c == '\\')
            mm_buffer_printf(out, "\\e");
        else if (*c == '~')
            mm_buffer_printf(out, "\\(ti");
        else if (strncmp(c, "\n\n", 2) == 0) {
            mm_buffer_printf(out, "\n.PP\n");
            c++;
        } else
            mm_buffer_append(out, c, 1);
    }
}

static void option(mm_buffer *out, const mm_cli_option *one)
{
    mm_buffer_printf(out, ".TP\n");
    if (one->letter)
        mm_buffer_printf(out, "\\fB\\-%c\\fR, ", one->letter);
    mm_buffer_printf(out, "\\fB\\-\\-");
    roff(out, one->name);
    mm_buffer_printf(out, "\\fR");
    if (one->kind != MM_CLI_FLAG)
        mm_buffer_printf(out, " \\fI%s\\fR", one->value);
    mm_buffer_append(out, "\n", 1);
    roff(out, one->help);
    mm_buffer_append(out, "\n", 1);
}

static void command(mm_buffer *out, const mm_command *one)
{
    mm_buffer_printf(out, ".SS mmresume ");
    roff(out, one->name);
    mm_buffer_printf(out, "%s%s\n", one->operand ? " " : "", one->operand ? one->operand : "");
    roff(out, one->help);
    mm_buffer_append(out, "\n", 1);
    if (one->alias)
        mm_buffer_printf(out, ".PP\nAlias: mmresume %s.\n", one->alias);
    for (size_t i = 0; i < one->option_count; i++)
        option(out, &one->options[i]);
    for (size_t i = 0; i < one->example_count; i++) {
        mm_buffer_printf(out, ".PP\n.EX\n");
        roff(out, one->examples[i].line);
        mm_buffer_printf(out, "\n.EE\n");
        roff(out, one->examples[i].what);
        mm_buffer_append(out, "\n", 1);
    }
}

static void exit_code(void *context, int code, const char *text)
{
    mm_buffer *out = context;
    mm_buffer_printf(out, ".TP\n\\fB%d\\fR\n", code);
    roff(out, text);
    mm_buffer_append(out, "\n", 1);
}

void mm_manual(const mm_cli_table *table, mm_buffer *out)
{
    mm_buffer_printf(out,
                     ".TH MMRESUME 1 \"\" \"mmresume %s\" \"User Commands\"\n"
                     ".SH NAME\nmmresume \\- crash\\-safe, resumable migration of vector data into "
                     "Milvus\n.SH SYNOPSIS\n\\fBmmresume\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...] "
                     "[\\fIOPERAND\\fR]\n.SH DESCRIPTION\n"
                     "Moves vector data from a source to a target as a job file says. Whatever is "
                     "killed on the way, after the last resume the target holds exactly the rows of "
                     "the source, each once, and the run ends with a verdict.\n.SH COMMANDS\n",
                     MM_VERSION);
    for (size_t i = 0; i < table->command_count; i++)
        command(out, &table->commands[i]);
    mm_buffer_printf(out, ".SH OPTIONS OF EVERY COMMAND\n");
    for (size_t i = 0; i < table->global_count; i++)
        option(out, &table->globals[i]);
    mm_buffer_printf(out, ".SH EXIT STATUS\n");
    mm_help_exit_codes(exit_code, out);
    mm_buffer_printf(
        out, ".SH ENVIRONMENT\n.TP\n\\fBMMRESUME_STATE_DIR\\fR\nwhere savepoints are kept\n"
             ".TP\n\\fBXDG_STATE_HOME\\fR\nits folder mmresume is taken otherwise\n"
             ".PP\nScalars of a job file may name any other variable as ${NAME} or "
             "${NAME:\\-default}.\n"
             ".SH FILES\n.TP\n\\fB./mmresume.yaml\\fR\nthe job file when none is named\n"
             ".TP\n\\fB\\(ti/.local/state/mmresume\\fR\nsavepoints, one store per job\n");
}
