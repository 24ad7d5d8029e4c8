/* The one way in and out of the program: parse, set up the log, call the command, say once what went
 * wrong, and turn the status into the exit code. */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/commands.h"
#include "sinks/sink.h"
#include "sources/source.h"

static void setup_log(const mm_cli_args *args)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    mm_log_level level = MM_LOG_INFO;
    const char *format = mm_cli_text(args, "log-format");
    for (size_t i = 0; i < args->value_count; i++) { /* the last word counts */
        const mm_cli_value *value = &args->values[i];
        if (strcmp(value->option->name, "verbose") == 0)
            level = MM_LOG_DEBUG;
        else if (strcmp(value->option->name, "quiet") == 0)
            level = MM_LOG_WARN;
        for (size_t j = 0; strcmp(value->option->name, "log-level") == 0 && j < MM_COUNT(levels); j++) {
            if (strcmp(levels[j], value->text) == 0)
                level = (mm_log_level)j;
        }
    }
    mm_log_setup(level, format && strcmp(format, "json") == 0 ? MM_LOG_JSON : MM_LOG_TEXT);
}

/* The job's name for the next step, as far as the command line tells. */
static const char *find_name(const mm_cli_args *args, char out[MM_JOB_NAME_MAX + 1])
{
    const char *operand = args->operand_count ? args->operands[0] : NULL;
    mm_error ignored = MM_ERROR_INIT; /* without a name the clause says JOB */
    if (args->command == NULL)
        return NULL;
    if (operand && args->command->hint == MM_HINT_JOB && mm_job_name_valid(operand))
        return operand;
    const char *file = operand ? operand : mm_cli_text(args, "config");
    if (file == NULL && args->command->hint == MM_HINT_JOB_FILE)
        file = mm_request_default_file();
    if (file == NULL || mm_job_peek_name(file, out, &ignored) != MM_OK)
        return NULL;
    bool half = strcmp(args->command->name, "dump") == 0 || strcmp(args->command->name, "load") == 0;
    if (half && strlen(out) + sizeof("-dump") <= MM_JOB_NAME_MAX + 1) { /* halves are jobs of their own */
        size_t n = strlen(out);
        snprintf(out + n, MM_JOB_NAME_MAX + 1 - n, "-%s", args->command->name);
    }
    return out;
}

static void report(const mm_cli_args *args, const mm_error *err, mm_status status)
{
    char name[MM_JOB_NAME_MAX + 1], next[300];
    mm_cli_next_step(args->command, status, find_name(args, name), next, sizeof(next));
    if (strstr(err->text, "`mmresume ")) /* the engine has said it, knowing more */
        next[0] = '\0';
    /* to be stopped on request is no error */
    mm_log_level level = mm_status_class(status) == MM_CLASS_STOP ? MM_LOG_WARN : MM_LOG_ERROR;
    mm_log(level, "%s%s%s%s", err->text[0] ? err->text : mm_status_text(status), next[0] ? " (" : "",
           next, next[0] ? ")" : "");
}

static mm_status help_or_version(const mm_cli_args *args, mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    if (mm_cli_flag(args, "help") && args->command)
        mm_help_command(&mm_cli, args->command, &text);
    else if (mm_cli_flag(args, "help"))
        mm_help_overview(&mm_cli, &text);
    else
        mm_buffer_printf(&text, "mmresume %s\n", MM_VERSION);
    mm_status status = mm_cli_print(&text, err);
    mm_buffer_free(&text);
    return status;
}

static mm_status dispatch(const mm_cli_args *args, mm_error *err)
{
    if (mm_cli_flag(args, "help") || mm_cli_flag(args, "version"))
        return help_or_version(args, err);
    if (args->command == NULL)
        return mm_error_set(err, MM_USAGE, "no command is given");
    mm_status status = mm_source_registry_check(err);
    if (status == MM_OK)
        status = mm_sink_registry_check(err);
    return status == MM_OK ? args->command->run(args, err) : status;
}

int mm_cli_main(int argc, char **argv)
{
    mm_error err = MM_ERROR_INIT;
    mm_cli_args args;
    signal(SIGPIPE, SIG_IGN); /* a closed pipe or socket is an error of one call, not the end */
    mm_status status = mm_cli_parse(&mm_cli, argc, argv, &args, &err);
    setup_log(&args);
    if (status == MM_OK)
        status = dispatch(&args, &err);
    if (status != MM_OK && status != MM_END)
        report(&args, &err, status);
    mm_cli_args_free(&args);
    return mm_status_exit(status);
}
