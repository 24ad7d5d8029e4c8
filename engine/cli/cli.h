/* The command line as data: one table of commands, from which the parser, --help, the man page, the
 * reference and the shell completions are made. The commands themselves call engine/run; nothing
 * here knows how a run works. */
#ifndef MM_CLI_CLI_H
#define MM_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/util.h"

typedef enum mm_cli_kind {
    MM_CLI_FLAG,
    MM_CLI_VALUE, /* given twice, the last one counts */
    MM_CLI_LIST   /* may be repeated */
} mm_cli_kind;

typedef struct mm_cli_option {
    const char *name; /* without the dashes */
    char letter;      /* of the short form; 0: none */
    mm_cli_kind kind;
    const char *value;   /* what help calls the value: "FILE" */
    const char *choices; /* "text|json"; NULL: any */
    const char *help;    /* one sentence, lower case, no full stop */
} mm_cli_option;

/* What an operand names, for completion. */
typedef enum mm_cli_hint {
    MM_HINT_NONE,
    MM_HINT_JOB_FILE,
    MM_HINT_JOB,
    MM_HINT_FILE,
    MM_HINT_DRIVER,
    MM_HINT_SHELL,
    MM_HINT_COMMAND
} mm_cli_hint;

typedef struct mm_cli_example {
    const char *line, *what;
} mm_cli_example;

typedef struct mm_cli_args mm_cli_args;

typedef struct mm_command {
    const char *name, *alias; /* alias NULL: none */
    const char *operand;      /* as help shows it: "[JOB.yaml]"; NULL: takes none */
    size_t operands_min, operands_max;
    mm_cli_hint hint;
    const mm_cli_option *options;
    size_t option_count;
    const char *summary; /* one line, lower case, no full stop */
    const char *help;    /* paragraphs between empty lines */
    const mm_cli_example *examples;
    size_t example_count;
    mm_status (*run)(const mm_cli_args *args, mm_error *err);
} mm_command;

typedef struct mm_cli_table {
    const mm_command *commands;
    size_t command_count;
    const mm_cli_option *globals; /* understood by every command */
    size_t global_count;
} mm_cli_table;

extern const mm_cli_table mm_cli;

/* A parsed command line. Borrows argv. */
#define MM_CLI_OPERANDS_MAX 4
typedef struct mm_cli_value {
    const mm_cli_option *option;
    const char *text; /* FLAG: NULL */
} mm_cli_value;
struct mm_cli_args {
    const mm_command *command; /* NULL: none was named */
    const char *operands[MM_CLI_OPERANDS_MAX];
    size_t operand_count;
    mm_cli_value *values; /* in the order given */
    size_t value_count;
};

/* MM_USAGE names what is wrong, with the nearest option or command; out then holds what was read
 * before. out is freed by mm_cli_args_free in either case. */
mm_status mm_cli_parse(const mm_cli_table *table, int argc, char *const *argv, mm_cli_args *out,
                       mm_error *err) MM_MUST_USE;
void mm_cli_args_free(mm_cli_args *args);
bool mm_cli_flag(const mm_cli_args *args, const char *name);
/* NULL: not given. */
const char *mm_cli_text(const mm_cli_args *args, const char *name);
/* By name or alias; NULL: none. */
const mm_command *mm_cli_find(const mm_cli_table *table, const char *name);
/* MM_USAGE, with the command that is nearest to word. */
mm_status mm_cli_no_command(const mm_cli_table *table, const char *word, mm_error *err);

/* Text for a terminal, at most 80 columns. */
void mm_help_overview(const mm_cli_table *table, mm_buffer *out);
void mm_help_command(const mm_cli_table *table, const mm_command *command, mm_buffer *out);
/* text wrapped at 80 columns, every line but the first indented. */
void mm_help_wrap(mm_buffer *out, const char *text, size_t column, size_t indent);
/* "-c, --config FILE" */
void mm_help_option_name(mm_buffer *out, const mm_cli_option *option);
/* Exit code by exit code, ascending, with the texts of the statuses that it stands for. */
void mm_help_exit_codes(void (*emit)(void *context, int code, const char *text), void *context);

/* mmresume.1 in roff. */
void mm_manual(const mm_cli_table *table, mm_buffer *out);
/* Markdown of one topic: commands, exit-codes, job, drivers. False: there is no such topic. topic
 * NULL: all, as docs/reference.md has them. */
bool mm_reference(const mm_cli_table *table, const char *topic, mm_buffer *out);
/* shell: bash, zsh, fish. False: another. */
bool mm_completion(const mm_cli_table *table, const char *shell, mm_buffer *out);

/* Parses, runs the command, logs an error once, returns the process exit code. */
int mm_cli_main(int argc, char **argv);

#endif
