/* What to do next after a failure: one short clause behind the error. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

void mm_cli_next_step(const mm_command *command, mm_status status, const char *job, char *out,
                      size_t size)
{
    const char *name = command ? command->name : "";
    bool starts = strcmp(name, "run") == 0 || strcmp(name, "dump") == 0 || strcmp(name, "load") == 0;
    bool goes_on = strcmp(name, "resume") == 0 || strcmp(name, "verify") == 0;
    const char *known = job && *job ? job : "JOB";
    out[0] = '\0';
    switch (mm_status_exit(status)) {
    case 2:
        snprintf(out, size, "try: mmresume %s%s--help", name, *name ? " " : "");
        break;
    case 5:
        if (starts) /* it may have ended before there was a run to resume */
            snprintf(out, size, "once it is back: the same command with --or-resume");
        else if (goes_on)
            snprintf(out, size, "once it is back: mmresume %s %s", name, known);
        break;
    case 6:
        if (strcmp(name, "resume") == 0)
            snprintf(out, size, "start anew: mmresume run JOB.yaml");
        else
            snprintf(out, size, "go on: mmresume resume %s; or forget it: mmresume reset %s", known, known);
        break;
    case 7:
        snprintf(out, size, "see: mmresume status %s --watch", known);
        break;
    case 75:
        snprintf(out, size, "go on: mmresume resume %s", known);
        break;
    default:
        break;
    }
}
