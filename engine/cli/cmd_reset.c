/* mmresume reset: the only command that destroys savepoints; asks first. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"

/* The name has to be typed: a stray "y" in the terminal's buffer destroys nothing. */
static mm_status confirm(const char *job, mm_error *err)
{
    char answer[128];
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return mm_error_set(err, MM_USAGE,
                            "reset removes the savepoints of %s: without a terminal to ask on it "
                            "needs --yes",
                            job);
    fprintf(stderr,
            "This removes the savepoints and the history of job %s; an unfinished run cannot be\n"
            "resumed afterwards. Rows in the target stay. Type the job's name to go on: ",
            job);
    if (fgets(answer, sizeof(answer), stdin) == NULL)
        answer[0] = '\0';
    answer[strcspn(answer, "\r\n")] = '\0';
    if (strcmp(answer, job) != 0)
        return mm_error_set(err, MM_CANCELLED, "not confirmed: nothing was removed");
    return MM_OK;
}

mm_status mm_cmd_reset(const mm_cli_args *args, mm_error *err)
{
    mm_request request;
    mm_status status = mm_request_make(args, MM_REQUEST_JOB | MM_REQUEST_WRITES, &request, err);
    if (status != MM_OK)
        return status;
    if (!mm_cli_flag(args, "yes"))
        status = confirm(request.run.job_name, err);
    if (status == MM_OK)
        status = mm_run_reset(&request.run, err);
    if (status == MM_OK)
        mm_log(MM_LOG_INFO, "job `%s` is forgotten; what it wrote stays in the target", request.run.job_name);
    mm_request_free(&request);
    return status;
}
