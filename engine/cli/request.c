/* From a parsed command line to what engine/run wants: job file or job name, overrides, state folder. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "config/values.h"

/* Looked for in this order: this program's own, then where milvus-migration had its. */
static const char *const default_files[] = {"./mmresume.yaml", "./migration.yaml", "./configs/migration.yaml"};

const char *mm_request_default_file(void)
{
    for (size_t i = 0; i < MM_COUNT(default_files); i++)
        if (access(default_files[i], F_OK) == 0)
            return default_files[i];
    return NULL;
}

mm_status mm_request_file(const mm_cli_args *args, const char **out, mm_error *err)
{
    const char *config = mm_cli_text(args, "config");
    const char *operand = args->operand_count ? args->operands[0] : NULL;
    if (config && operand)
        return mm_error_set(err, MM_USAGE, "a job file is given twice: %.200s and --config %.200s",
                            operand, config);
    const char *file = operand ? operand : config;
    if (file == NULL) {
        file = mm_request_default_file();
        if (file == NULL)
            return mm_error_set(err, MM_USAGE, "no job file is given, and there is no %s here", default_files[0]);
    }
    *out = file;
    return MM_OK;
}

/* --col a,b --table c: further entries of the list `only`. */
static mm_status add_only(const mm_cli_value *value, size_t *count, mm_buffer *out, mm_error *err)
{
    for (const char *at = value->text;;) {
        size_t length = strcspn(at, ",");
        if (length == 0 || strchr(at, '\n'))
            return mm_error_set(err, MM_USAGE, "--%s wants names of collections, such as --col products,users",
                                value->option->name);
        mm_buffer_printf(out, "%sonly.%zu=%.*s", out->size ? "\n" : "", (*count)++, (int)length, at);
        if (at[length] == '\0')
            return MM_OK;
        at += length + 1;
    }
}

mm_status mm_request_overrides(const mm_cli_args *args, mm_buffer *out, mm_error *err)
{
    size_t only = 0;
    for (size_t i = 0; i < args->value_count; i++) {
        const char *name = args->values[i].option->name;
        if (strcmp(name, "col") == 0 || strcmp(name, "table") == 0) {
            mm_status status = add_only(&args->values[i], &only, out, err);
            if (status != MM_OK)
                return status;
        }
        if (strcmp(name, "set") != 0)
            continue;
        const char *text = args->values[i].text, *equals = strchr(text, '=');
        if (equals == NULL || equals == text)
            return mm_error_set(err, MM_USAGE,
                                "--set wants key=value, such as --set limits.loaders=2");
        if (strchr(text, '\n'))
            return mm_error_set(err, MM_USAGE, "--set %.*s: a value is one line",
                                (int)(equals - text), text);
        mm_buffer_printf(out, "%s%s", out->size ? "\n" : "", text);
    }
    mm_buffer_append(out, "", 1);
    return out->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory") : MM_OK;
}

/* Every missing folder of the path, readable by the owner alone: jobs name what they move. */
static mm_status make_folders(const char *path, mm_error *err)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *at = copy + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            return mm_error_errno(err, MM_CONFIG, "cannot make the state folder %s", path);
        *at = '/';
    }
    if (mkdir(copy, 0700) != 0 && errno != EEXIST)
        return mm_error_errno(err, MM_CONFIG, "cannot make the state folder %s", path);
    return MM_OK;
}

mm_status mm_request_state_dir(const mm_cli_args *args, bool make, char out[PATH_MAX], mm_error *err)
{
    const char *given = mm_cli_text(args, "state-dir"), *own = getenv("MMRESUME_STATE_DIR");
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int size;
    if (given == NULL || *given == '\0')
        given = own;
    if (given && *given)
        size = snprintf(out, PATH_MAX, "%s", given);
    else if (xdg && *xdg == '/')
        size = snprintf(out, PATH_MAX, "%s/mmresume", xdg);
    else if (home && *home)
        size = snprintf(out, PATH_MAX, "%s/.local/state/mmresume", home);
    else
        return mm_error_set(err, MM_USAGE,
                            "no state folder: give --state-dir, or set MMRESUME_STATE_DIR or HOME");
    if (size >= PATH_MAX)
        return mm_error_set(err, MM_USAGE, "the path of the state folder is too long");
    return make ? make_folders(out, err) : MM_OK;
}

static bool looks_like_file(const char *text)
{
    size_t length = strlen(text);
    bool yaml = (length > 5 && strcmp(text + length - 5, ".yaml") == 0) ||
                (length > 4 && strcmp(text + length - 4, ".yml") == 0);
    return strchr(text, '/') != NULL || (yaml && access(text, F_OK) == 0);
}

static mm_status name_by_file(const char *file, mm_request *out, mm_error *err)
{
    mm_status status = mm_job_peek_name(file, out->job_name, err);
    if (status == MM_OK && realpath(file, out->job_path) == NULL)
        status = mm_error_errno(err, MM_CONFIG, "%s", file);
    return status;
}

static mm_status find_job(const mm_cli_args *args, bool needed, mm_request *out, mm_error *err)
{
    const char *config = mm_cli_text(args, "config");
    const char *operand = args->operand_count ? args->operands[0] : NULL;
    if (config && operand)
        return mm_error_set(err, MM_USAGE, "a job is given twice: %.100s and --config %.200s", operand,
                            config);
    if (config)
        return name_by_file(config, out, err);
    if (operand == NULL)
        return needed ? mm_error_set(err, MM_USAGE, "no job is given") : MM_OK;
    if (looks_like_file(operand))
        return name_by_file(operand, out, err);
    if (!mm_job_name_valid(operand))
        return mm_error_set(err, MM_USAGE, "%.100s is no name of a job, nor a job file", operand);
    snprintf(out->job_name, sizeof(out->job_name), "%s", operand);
    return MM_OK;
}

static mm_status read_stop_after(const mm_cli_args *args, uint64_t *ms, mm_error *err)
{
    const char *text = mm_cli_text(args, "stop-after");
    if (text && (!mm_value_duration(text, ms) || *ms == 0))
        return mm_error_set(err, MM_USAGE, "--stop-after is a duration such as 5h or 90m, not %.60s",
                            text);
    return MM_OK;
}

mm_status mm_request_make(const mm_cli_args *args, unsigned kind, mm_request *out, mm_error *err)
{
    unsigned operand = kind & ~(unsigned)MM_REQUEST_WRITES;
    *out = (mm_request){.overrides = MM_BUFFER_INIT};
    mm_run_args *run = &out->run;
    mm_status status = mm_request_overrides(args, &out->overrides, err);
    if (status == MM_OK)
        status = read_stop_after(args, &run->stop_after_ms, err);
    if (status == MM_OK && operand == MM_REQUEST_FILE)
        status = mm_request_file(args, &run->job_file, err);
    else if (status == MM_OK)
        status = find_job(args, operand == MM_REQUEST_JOB, out, err);
    if (status == MM_OK)
        status = mm_request_state_dir(args, (kind & MM_REQUEST_WRITES) != 0, out->state_dir, err);
    if (status != MM_OK) {
        mm_buffer_free(&out->overrides);
        return status;
    }
    run->state_dir = out->state_dir;
    run->job_name = out->job_name[0] ? out->job_name : NULL;
    run->job_path = out->job_path[0] ? out->job_path : NULL;
    run->overrides = out->overrides.data;
    run->or_resume = mm_cli_flag(args, "or-resume");
    run->repair = mm_cli_flag(args, "repair");
    run->full = mm_cli_flag(args, "full");
    run->write = mm_cli_flag(args, "write");
    run->json = mm_cli_flag(args, "json");
    run->quiet = mm_cli_flag(args, "quiet");
    return MM_OK;
}

void mm_request_free(mm_request *request)
{
    mm_buffer_free(&request->overrides);
}

mm_status mm_cli_print(const mm_buffer *text, mm_error *err)
{
    size_t done = 0;
    if (text->failed)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    while (done < text->size) {
        ssize_t wrote = write(STDOUT_FILENO, text->data + done, text->size - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return mm_error_errno(err, MM_IO, "cannot write to the standard output");
        done += (size_t)wrote;
    }
    return MM_OK;
}
