/* The functions behind the command table, one file each, and what they share. Internal to
 * engine/cli. */
#ifndef MM_CLI_COMMANDS_H
#define MM_CLI_COMMANDS_H

#include <limits.h>

#include "cli/cli.h"
#include "run/run.h"

mm_status mm_cmd_run(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_dump(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_load(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_resume(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_status(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_plan(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_verify(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_cancel(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_reset(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_export(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_inspect(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_drivers(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_config(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_completion(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_version(const mm_cli_args *args, mm_error *err);
mm_status mm_cmd_help(const mm_cli_args *args, mm_error *err);

/* What most commands hand to engine/run. Freed by mm_request_free. */
typedef struct mm_request {
    mm_run_args run;
    char state_dir[PATH_MAX];
    char job_name[65];
    char job_path[PATH_MAX]; /* of the file that named the job */
    mm_buffer overrides;
} mm_request;

/* Which operand the command takes. */
typedef enum mm_request_kind {
    MM_REQUEST_FILE,      /* a job file, or the default */
    MM_REQUEST_JOB,       /* a job's name, or its file */
    MM_REQUEST_MAYBE_JOB, /* the same, or nothing */
    MM_REQUEST_WRITES = 1 << 4 /* the state folder is made when it is missing */
} mm_request_kind;

/* MM_USAGE for contradictions. The request is freed by the caller only after MM_OK. */
mm_status mm_request_make(const mm_cli_args *args, unsigned kind, mm_request *out,
                          mm_error *err) MM_MUST_USE;
void mm_request_free(mm_request *request);
/* The job file that is taken when none is given; NULL: there is none here. */
const char *mm_request_default_file(void);
/* The job file of the command line: operand, --config, or the default. */
mm_status mm_request_file(const mm_cli_args *args, const char **out, mm_error *err) MM_MUST_USE;
mm_status mm_request_overrides(const mm_cli_args *args, mm_buffer *out, mm_error *err) MM_MUST_USE;
/* $MMRESUME_STATE_DIR, $XDG_STATE_HOME/mmresume or ~/.local/state/mmresume, unless --state-dir. */
mm_status mm_request_state_dir(const mm_cli_args *args, bool make, char out[PATH_MAX],
                               mm_error *err) MM_MUST_USE;

/* Writes a result to stdout, whole; MM_IO when that fails (a full disk, a closed pipe). */
mm_status mm_cli_print(const mm_buffer *text, mm_error *err) MM_MUST_USE;

/* "" or what to do next after this status of this command. job may be NULL. */
void mm_cli_next_step(const mm_command *command, mm_status status, const char *job, char *out,
                      size_t size);

/* Words for option types and capabilities, shared by drivers and reference. */
struct mm_option;
const char *mm_option_type_word(const struct mm_option *option);
/* For programs: "string", "bool", "int", … */
const char *mm_option_type_name(const struct mm_option *option);
/* "seek, keys"; for kind "source" or "target". */
void mm_capability_words(mm_buffer *out, bool source, unsigned capabilities, const char *separator);
/* A line for each, with what it means. */
void mm_capability_help(mm_buffer *out, bool source, unsigned capabilities);

#endif
