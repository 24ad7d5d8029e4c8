/* Completion scripts from the command table. Names of jobs are asked from `mmresume completion jobs`
 * at the moment of completion; everything else is fixed in the script. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "sinks/sink.h"
#include "sources/source.h"

static void words_of(mm_buffer *out, const char *choices)
{
    for (const char *c = choices; *c; c++)
        mm_buffer_append(out, *c == '|' ? " " : c, 1);
}

static void driver_names(mm_buffer *out)
{
    size_t count;
    const mm_source_driver *const *sources = mm_source_registry(&count);
    for (size_t i = 0; i < count; i++)
        mm_buffer_printf(out, "%s ", sources[i]->name);
    const mm_sink_driver *const *sinks = mm_sink_registry(&count);
    for (size_t i = 0; i < count; i++) {
        if (mm_source_find(sinks[i]->name) == NULL)
            mm_buffer_printf(out, "%s ", sinks[i]->name);
    }
}

static void command_names(const mm_cli_table *table, mm_buffer *out)
{
    for (size_t i = 0; i < table->command_count; i++)
        mm_buffer_printf(out, "%s%s", i ? " " : "", table->commands[i].name);
    for (size_t i = 0; i < table->command_count; i++) {
        if (table->commands[i].alias)
            mm_buffer_printf(out, " %s", table->commands[i].alias);
    }
}

static void bash_options(mm_buffer *out, const mm_cli_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mm_buffer_printf(out, " --%s", options[i].name);
}

/* Commands share options; the script asks for each once. */
static bool said_before(const mm_cli_table *table, size_t before, const mm_cli_option *option)
{
    for (size_t i = 0; i < before; i++)
        for (size_t j = 0; j < table->commands[i].option_count; j++) {
            const mm_cli_option *other = &table->commands[i].options[j];
            if (strcmp(other->name, option->name) == 0 && other->letter == option->letter)
                return true;
        }
    return false;
}

/* The words after an option that takes a value; of the options of command number `before`, or the global ones (0). */
static void bash_values(const mm_cli_table *table, size_t before, mm_buffer *out, const mm_cli_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (options[i].kind == MM_CLI_FLAG || said_before(table, before, &options[i]))
            continue;
        if (options[i].letter)
            mm_buffer_printf(out, "        -%c|--%s) ", options[i].letter, options[i].name);
        else
            mm_buffer_printf(out, "        --%s) ", options[i].name);
        if (options[i].choices) {
            mm_buffer_printf(out, "COMPREPLY=($(compgen -W '");
            words_of(out, options[i].choices);
            mm_buffer_printf(out, "' -- \"$current\"))");
        } else if (strcmp(options[i].value, "DIR") == 0) {
            mm_buffer_printf(out, "COMPREPLY=($(compgen -d -- \"$current\"))");
        } else if (strcmp(options[i].value, "FILE") == 0) {
            mm_buffer_printf(out, "COMPREPLY=($(compgen -f -- \"$current\"))");
        } else {
            mm_buffer_printf(out, "COMPREPLY=()");
        }
        mm_buffer_printf(out, "; return;;\n");
    }
}

static void bash_operand(const mm_cli_table *table, mm_buffer *out, const mm_command *command)
{
    switch (command->hint) {
    case MM_HINT_JOB:
        mm_buffer_printf(out, "words=$(mmresume completion jobs 2>/dev/null)");
        break;
    case MM_HINT_JOB_FILE:
    case MM_HINT_FILE:
        mm_buffer_printf(out, "files=1");
        break;
    case MM_HINT_DRIVER:
        mm_buffer_printf(out, "words='");
        driver_names(out);
        mm_buffer_printf(out, "'");
        break;
    case MM_HINT_SHELL:
        mm_buffer_printf(out, "words='bash zsh fish'");
        break;
    case MM_HINT_COMMAND:
        mm_buffer_printf(out, "words='");
        command_names(table, out);
        mm_buffer_printf(out, "'");
        break;
    case MM_HINT_NONE:
        mm_buffer_printf(out, ":");
        break;
    }
}

static void bash(const mm_cli_table *table, mm_buffer *out)
{
    mm_buffer_printf(out, "# bash completion for mmresume\n_mmresume()\n{\n"
                          "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
                          "    local command= word words= options= files=\n"
                          "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                          "        case $word in -*) ;; *) command=$word; break;; esac\n    done\n"
                          "    case $previous in\n");
    bash_values(table, 0, out, table->globals, table->global_count);
    for (size_t i = 0; i < table->command_count; i++)
        bash_values(table, i, out, table->commands[i].options, table->commands[i].option_count);
    mm_buffer_printf(out, "    esac\n    case $command in\n        '') words='");
    command_names(table, out);
    mm_buffer_printf(out, "';;\n");
    for (size_t i = 0; i < table->command_count; i++) {
        const mm_command *command = &table->commands[i];
        mm_buffer_printf(out, "        %s%s%s) options='", command->name, command->alias ? "|" : "",
                         command->alias ? command->alias : "");
        bash_options(out, command->options, command->option_count);
        mm_buffer_printf(out, "'; ");
        bash_operand(table, out, command);
        mm_buffer_printf(out, ";;\n");
    }
    mm_buffer_printf(out, "    esac\n    case $current in\n        -*) words=\"$options");
    bash_options(out, table->globals, table->global_count);
    mm_buffer_printf(out, "\"; files=;;\n    esac\n"
                          "    if [ -n \"$files\" ]; then COMPREPLY=($(compgen -f -- \"$current\"))\n"
                          "    else COMPREPLY=($(compgen -W \"$words\" -- \"$current\")); fi\n}\n"
                          "complete -o filenames -F _mmresume mmresume\n");
}

/* Help in single quotes: a quote and a bracket in it would end them. */
static void quoted_help(mm_buffer *out, const char *text, bool brackets)
{
    for (const char *c = text; *c; c++) {
        if (*c == '\'')
            mm_buffer_printf(out, brackets ? "'\\''" : "\\'");
        else if (brackets && (*c == '[' || *c == ']' || *c == ':'))
            mm_buffer_printf(out, "\\%c", *c);
        else
            mm_buffer_append(out, c, 1);
    }
}

static void zsh_option(mm_buffer *out, const mm_cli_option *option)
{
    mm_buffer_printf(out, " \\\n            '%s--%s%s[", option->kind == MM_CLI_LIST ? "*" : "",
                     option->name, option->kind == MM_CLI_FLAG ? "" : "=");
    quoted_help(out, option->help, true);
    mm_buffer_printf(out, "]");
    if (option->choices) {
        mm_buffer_printf(out, ":%s:(", option->value);
        words_of(out, option->choices);
        mm_buffer_printf(out, ")");
    } else if (option->kind != MM_CLI_FLAG) {
        bool file = strcmp(option->value, "FILE") == 0 || strcmp(option->value, "DIR") == 0;
        mm_buffer_printf(out, ":%s:%s", option->value, file ? "_files" : "");
    }
    mm_buffer_printf(out, "'");
}

static void zsh_operand(mm_buffer *out, const mm_command *command)
{
    static const char *const actions[] = {
        [MM_HINT_NONE] = NULL,
        [MM_HINT_JOB_FILE] = "_files",
        [MM_HINT_JOB] = "->jobs",
        [MM_HINT_FILE] = "_files",
        [MM_HINT_DRIVER] = "->drivers",
        [MM_HINT_SHELL] = "(bash zsh fish)",
        [MM_HINT_COMMAND] = "->commands",
    };
    if (actions[command->hint])
        mm_buffer_printf(out, " \\\n            '1:operand:%s'", actions[command->hint]);
}

static void zsh(const mm_cli_table *table, mm_buffer *out)
{
    mm_buffer_printf(out, "#compdef mmresume\n_mmresume()\n{\n    local state line\n"
                          "    local -a commands\n    commands=(\n");
    for (size_t i = 0; i < table->command_count; i++) {
        mm_buffer_printf(out, "        '%s:", table->commands[i].name);
        quoted_help(out, table->commands[i].summary, true);
        mm_buffer_printf(out, "'\n");
    }
    mm_buffer_printf(out, "    )\n    if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
                          "    local command=$words[2]\n    shift words; (( CURRENT-- ))\n"
                          "    case $command in\n");
    for (size_t i = 0; i < table->command_count; i++) {
        const mm_command *command = &table->commands[i];
        mm_buffer_printf(out, "        %s%s%s) _arguments", command->name, command->alias ? "|" : "",
                         command->alias ? command->alias : "");
        for (size_t j = 0; j < command->option_count; j++)
            zsh_option(out, &command->options[j]);
        for (size_t j = 0; j < table->global_count; j++)
            zsh_option(out, &table->globals[j]);
        zsh_operand(out, command);
        mm_buffer_printf(out, ";;\n");
    }
    mm_buffer_printf(out, "    esac\n    case $state in\n"
                          "        jobs) compadd -- ${(f)\"$(mmresume completion jobs 2>/dev/null)\"};;\n"
                          "        drivers) compadd -- ");
    driver_names(out);
    mm_buffer_printf(out, ";;\n        commands) _describe command commands;;\n    esac\n}\n"
                          "compdef _mmresume mmresume\n");
}

static void fish_option(mm_buffer *out, const char *condition, const mm_cli_option *option)
{
    mm_buffer_printf(out, "complete -c mmresume%s -l %s", condition, option->name);
    if (option->letter)
        mm_buffer_printf(out, " -s %c", option->letter);
    if (option->kind != MM_CLI_FLAG)
        mm_buffer_printf(out, " -r");
    if (option->choices) {
        mm_buffer_printf(out, " -f -a '");
        words_of(out, option->choices);
        mm_buffer_printf(out, "'");
    }
    mm_buffer_printf(out, " -d '");
    quoted_help(out, option->help, false);
    mm_buffer_printf(out, "'\n");
}

static void fish_operand(const mm_cli_table *table, mm_buffer *out, const char *condition,
                         const mm_command *command)
{
    if (command->hint == MM_HINT_NONE)
        return;
    mm_buffer_printf(out, "complete -c mmresume%s ", condition);
    switch (command->hint) {
    case MM_HINT_JOB:
        mm_buffer_printf(out, "-f -a '(mmresume completion jobs 2>/dev/null)'\n");
        break;
    case MM_HINT_DRIVER:
        mm_buffer_printf(out, "-f -a '");
        driver_names(out);
        mm_buffer_printf(out, "'\n");
        break;
    case MM_HINT_SHELL:
        mm_buffer_printf(out, "-f -a 'bash zsh fish'\n");
        break;
    case MM_HINT_COMMAND:
        mm_buffer_printf(out, "-f -a '");
        command_names(table, out);
        mm_buffer_printf(out, "'\n");
        break;
    default:
        mm_buffer_printf(out, "-F\n");
        break;
    }
}

static void fish(const mm_cli_table *table, mm_buffer *out)
{
    mm_buffer_printf(out, "# fish completion for mmresume\ncomplete -c mmresume -f\n");
    for (size_t i = 0; i < table->global_count; i++)
        fish_option(out, "", &table->globals[i]);
    for (size_t i = 0; i < table->command_count; i++) {
        const mm_command *command = &table->commands[i];
        char condition[160];
        mm_buffer_printf(out, "complete -c mmresume -n __fish_use_subcommand -f -a %s -d '",
                         command->name);
        quoted_help(out, command->summary, false);
        mm_buffer_printf(out, "'\n");
        snprintf(condition, sizeof(condition), " -n '__fish_seen_subcommand_from %s%s%s'",
                 command->name, command->alias ? " " : "", command->alias ? command->alias : "");
        for (size_t j = 0; j < command->option_count; j++)
            fish_option(out, condition, &command->options[j]);
        fish_operand(table, out, condition, command);
    }
}

bool mm_completion(const mm_cli_table *table, const char *shell, mm_buffer *out)
{
    if (strcmp(shell, "bash") == 0)
        bash(table, out);
    else if (strcmp(shell, "zsh") == 0)
        zsh(table, out);
    else if (strcmp(shell, "fish") == 0)
        fish(table, out);
    else
        return false;
    return true;
}
