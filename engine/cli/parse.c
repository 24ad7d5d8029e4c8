/* The parser of the command line, GNU style, driven by the command table. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct parser {
    const mm_cli_table *table;
    int argc, at;
    char *const *argv;
    mm_cli_args *args;
    bool only_operands; /* behind -- */
    mm_error *err;
} parser;

const mm_command *mm_cli_find(const mm_cli_table *table, const char *name)
{
    for (size_t i = 0; i < table->command_count; i++) {
        const mm_command *command = &table->commands[i];
        if (strcmp(command->name, name) == 0 ||
            (command->alias && strcmp(command->alias, name) == 0))
            return command;
    }
    return NULL;
}

static const mm_cli_option *find_option(const parser *p, const char *name, size_t length, char letter)
{
    const mm_command *command = p->args->command;
    size_t own = command ? command->option_count : 0;
    for (size_t i = 0; i < own + p->table->global_count; i++) {
        const mm_cli_option *option = i < own ? &command->options[i] : &p->table->globals[i - own];
        if (letter ? option->letter == letter
                   : strlen(option->name) == length && strncmp(option->name, name, length) == 0)
            return option;
    }
    return NULL;
}

static mm_status unknown_option(parser *p, const char *text, size_t length)
{
    const mm_command *command = p->args->command;
    size_t own = command ? command->option_count : 0, count = own + p->table->global_count;
    const char **names = calloc(count, sizeof(*names));
    char word[80];
    size_t copied = length < sizeof(word) - 1 ? length : sizeof(word) - 1;
    memcpy(word, text, copied);
    word[copied] = '\0';
    for (size_t i = 0; names && i < count; i++)
        names[i] = i < own ? command->options[i].name : p->table->globals[i - own].name;
    const char *nearest = names && length > 2 && word[1] == '-' ? mm_nearest(word + 2, names, count) : NULL;
    mm_status status = mm_error_set(
        p->err, MM_USAGE, "unknown option %s%s%s%s%s%s", word, command ? " of " : "",
        command ? command->name : "", nearest ? " (did you mean --" : "", nearest ? nearest : "",
        nearest ? "?)" : "");
    free(names);
    return status;
}

static bool choice_fits(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (const char *at = choices; at; at = strchr(at, '|')) {
        at += *at == '|';
        size_t size = strcspn(at, "|");
        if (size == length && strncmp(at, text, size) == 0)
            return true;
    }
    return false;
}

static mm_status add_value(parser *p, const mm_cli_option *option, const char *text)
{
    if (text && option->choices && !choice_fits(option->choices, text))
        return mm_error_set(p->err, MM_USAGE, "--%s is one of %s, not %.60s", option->name,
                            option->choices, text);
    p->args->values[p->args->value_count++] = (mm_cli_value){option, text};
    return MM_OK;
}

static mm_status take_value(parser *p, const mm_cli_option *option, const char *attached)
{
    if (option->kind == MM_CLI_FLAG)
        return add_value(p, option, NULL);
    if (attached)
        return add_value(p, option, attached);
    if (p->at >= p->argc)
        return mm_error_set(p->err, MM_USAGE, "--%s needs a value: --%s %s", option->name,
                            option->name, option->value);
    return add_value(p, option, p->argv[p->at++]);
}

static mm_status parse_long(parser *p, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    const mm_cli_option *option = find_option(p, text + 2, length - 2, 0);
    if (option == NULL)
        return unknown_option(p, text, length);
    if (option->kind == MM_CLI_FLAG && equals)
        return mm_error_set(p->err, MM_USAGE, "--%s takes no value", option->name);
    return take_value(p, option, equals ? equals + 1 : NULL);
}

/* -q, -qv, -c FILE, -cFILE */
static mm_status parse_short(parser *p, const char *text)
{
    for (const char *c = text + 1; *c; c++) {
        const mm_cli_option *option = find_option(p, NULL, 0, *c);
        if (option == NULL) {
            char word[3] = {'-', *c, '\0'};
            return unknown_option(p, word, 2);
        }
        bool flag = option->kind == MM_CLI_FLAG;
        mm_status status = take_value(p, option, flag || c[1] == '\0' ? NULL : c + 1);
        if (status != MM_OK || !flag)
            return status;
    }
    return MM_OK;
}

mm_status mm_cli_no_command(const mm_cli_table *table, const char *word, mm_error *err)
{
    const char **names = calloc(table->command_count, sizeof(*names));
    for (size_t i = 0; names && i < table->command_count; i++)
        names[i] = table->commands[i].name;
    const char *nearest = names ? mm_nearest(word, names, table->command_count) : NULL;
    mm_status status = mm_error_set(err, MM_USAGE, "there is no command %.60s%s%s%s", word,
                                    nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "");
    free(names);
    return status;
}

static mm_status parse_operand(parser *p, const char *text)
{
    mm_cli_args *args = p->args;
    if (args->command == NULL) {
        args->command = mm_cli_find(p->table, text);
        return args->command ? MM_OK : mm_cli_no_command(p->table, text, p->err);
    }
    if (args->operand_count >= args->command->operands_max ||
        args->operand_count >= MM_CLI_OPERANDS_MAX)
        return mm_error_set(p->err, MM_USAGE, "%s: one operand too many: %.200s",
                            args->command->name, text);
    args->operands[args->operand_count++] = text;
    return MM_OK;
}

static mm_status parse_one(parser *p, const char *text)
{
    if (p->only_operands || text[0] != '-' || text[1] == '\0')
        return parse_operand(p, text);
    if (strcmp(text, "--") == 0) {
        p->only_operands = true;
        return MM_OK;
    }
    return text[1] == '-' ? parse_long(p, text) : parse_short(p, text);
}

mm_status mm_cli_parse(const mm_cli_table *table, int argc, char *const *argv, mm_cli_args *out,
                       mm_error *err)
{
    /* every argument gives at most as many values as it has characters (-qqq) */
    size_t most = 1;
    for (int i = 1; i < argc; i++)
        most += strlen(argv[i]);
    *out = (mm_cli_args){.values = calloc(most, sizeof(*out->values))};
    parser p = {.table = table, .argc = argc, .at = 1, .argv = argv, .args = out, .err = err};
    mm_status status = MM_OK;
    if (out->values == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    while (status == MM_OK && p.at < argc) {
        const char *text = argv[p.at++];
        status = parse_one(&p, text);
    }
    if (status == MM_OK && out->command && !mm_cli_flag(out, "help") &&
        out->operand_count < out->command->operands_min &&
        mm_cli_text(out, "config") == NULL)
        status = mm_error_set(err, MM_USAGE, "%s needs %s", out->command->name, out->command->operand);
    return status;
}

void mm_cli_args_free(mm_cli_args *args)
{
    free(args->values);
    args->values = NULL;
    args->value_count = 0;
}

bool mm_cli_flag(const mm_cli_args *args, const char *name)
{
    for (size_t i = 0; i < args->value_count; i++) {
        if (strcmp(args->values[i].option->name, name) == 0)
            return true;
    }
    return false;
}

const char *mm_cli_text(const mm_cli_args *args, const char *name)
{
    const char *text = NULL;
    for (size_t i = 0; i < args->value_count; i++) {
        if (strcmp(args->values[i].option->name, name) == 0)
            text = args->values[i].text;
    }
    return text;
}
