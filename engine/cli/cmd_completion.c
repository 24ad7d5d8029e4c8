/* mmresume completion: the script of a shell, or (for those scripts) the names of jobs. */
#include <cjson/cJSON.h>
#include <string.h>

#include "cli/commands.h"

static mm_status job_names(const mm_cli_args *args, mm_buffer *out, mm_error *err)
{
    mm_buffer json = MM_BUFFER_INIT;
    char dir[PATH_MAX];
    mm_run_args run = {.overrides = "", .json = true};
    mm_status status = mm_request_state_dir(args, false, dir, err);
    run.state_dir = dir;
    if (status == MM_OK)
        status = mm_run_status(&run, &json, err);
    cJSON *root = status == MM_OK ? cJSON_ParseWithLength(json.data, json.size) : NULL;
    const cJSON *jobs = cJSON_GetObjectItemCaseSensitive(root, "jobs"), *job;
    cJSON_ArrayForEach(job, jobs)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(job, "job"));
        if (name)
            mm_buffer_printf(out, "%s\n", name);
    }
    cJSON_Delete(root);
    mm_buffer_free(&json);
    return status;
}

mm_status mm_cmd_completion(const mm_cli_args *args, mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    mm_status status = MM_OK;
    const char *shell = args->operand_count ? args->operands[0] : "";
    if (strcmp(shell, "jobs") == 0)
        status = job_names(args, &text, err);
    else if (!mm_completion(&mm_cli, shell, &text))
        status = mm_error_set(err, MM_USAGE, "completion is for bash, zsh and fish, not for %.40s", shell);
    if (status == MM_OK)
        status = mm_cli_print(&text, err);
    mm_buffer_free(&text);
    return status;
}
