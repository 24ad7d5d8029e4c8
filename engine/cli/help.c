/* --help from the command table, for a terminal of 80 columns. */
#include "cli/cli.h"

#include <string.h>

#define WIDTH 80
#define HELP_COLUMN 26

/* Columns, not bytes: continuation bytes of UTF-8 take none. */
static size_t columns(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

void mm_help_wrap(mm_buffer *out, const char *text, size_t column, size_t indent)
{
    bool first = true;
    while (*text) {
        text += strspn(text, " ");
        size_t length = strcspn(text, " ");
        size_t width = columns(text, length);
        if (length == 0)
            break;
        if (!first && column + 1 + width > WIDTH) {
            mm_buffer_printf(out, "\n%*s", (int)indent, "");
            column = indent;
            first = true;
        }
        if (!first) {
            mm_buffer_append(out, " ", 1);
            column++;
        }
        mm_buffer_append(out, text, length);
        column += width;
        text += length;
        first = false;
    }
    mm_buffer_append(out, "\n", 1);
}

void mm_help_option_name(mm_buffer *out, const mm_cli_option *option)
{
    if (option->letter)
        mm_buffer_printf(out, "-%c, ", option->letter);
    mm_buffer_printf(out, "--%s", option->name);
    if (option->kind != MM_CLI_FLAG)
        mm_buffer_printf(out, " %s", option->value);
}

static void pad_to(mm_buffer *out, size_t start, size_t column)
{
    size_t now = columns(out->data + start, out->size - start);
    if (now + 2 > column)
        mm_buffer_printf(out, "\n%*s", (int)column, "");
    else
        mm_buffer_printf(out, "%*s", (int)(column - now), "");
}

static void option_lines(mm_buffer *out, const mm_cli_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t start = out->size;
        mm_buffer_printf(out, options[i].letter ? "  " : "      ");
        mm_help_option_name(out, &options[i]);
        if (out->failed)
            return;
        pad_to(out, start, HELP_COLUMN);
        mm_help_wrap(out, options[i].help, HELP_COLUMN, HELP_COLUMN);
    }
}

static void paragraphs(mm_buffer *out, const char *text)
{
    while (text) {
        const char *end = strstr(text, "\n\n");
        char paragraph[2048];
        size_t length = end ? (size_t)(end - text) : strlen(text);
        if (length >= sizeof(paragraph))
            length = sizeof(paragraph) - 1;
        memcpy(paragraph, text, length);
        paragraph[length] = '\0';
        mm_help_wrap(out, paragraph, 0, 0);
        mm_buffer_append(out, "\n", 1);
        text = end ? end + 2 : NULL;
    }
}

void mm_help_exit_codes(void (*emit)(void *context, int code, const char *text), void *context)
{
    for (int code = 0; code < 256; code++) {
        mm_buffer text = MM_BUFFER_INIT;
        for (int status = 0; status < MM_STATUS_COUNT; status++) {
            if (mm_status_exit((mm_status)status) != code || status == MM_END)
                continue;
            mm_buffer_printf(&text, "%s%s", text.size ? "; " : "",
                             status == MM_OK ? "done, with the verification that was asked for"
                                             : mm_status_text((mm_status)status));
        }
        mm_buffer_append(&text, "", 1);
        if (text.size > 1 && !text.failed)
            emit(context, code, text.data);
        mm_buffer_free(&text);
    }
}

static void exit_line(void *context, int code, const char *text)
{
    mm_buffer *out = context;
    mm_buffer_printf(out, "  %2d  ", code);
    mm_help_wrap(out, text, 6, 6);
}

void mm_help_overview(const mm_cli_table *table, mm_buffer *out)
{
    mm_buffer_printf(out, "mmresume moves vector data into Milvus: crash-safe, resumable, proven "
                          "equal.\n\nUsage: mmresume COMMAND [OPTION…] [OPERAND]\n\nCommands:\n");
    for (size_t i = 0; i < table->command_count; i++) {
        const mm_command *command = &table->commands[i];
        size_t start = out->size;
        mm_buffer_printf(out, "  %s%s%s", command->name, command->operand ? " " : "",
                         command->operand ? command->operand : "");
        if (out->failed)
            return;
        pad_to(out, start, HELP_COLUMN);
        mm_help_wrap(out, command->summary, HELP_COLUMN, HELP_COLUMN);
    }
    mm_buffer_printf(out, "\nOptions of every command:\n");
    option_lines(out, table->globals, table->global_count);
    mm_buffer_printf(out, "\nExit codes:\n");
    mm_help_exit_codes(exit_line, out);
    mm_buffer_printf(out, "\n`mmresume COMMAND --help` tells more about a command.\n");
}

void mm_help_command(const mm_cli_table *table, const mm_command *command, mm_buffer *out)
{
    mm_buffer_printf(out, "Usage: mmresume %s%s%s%s\n", command->name,
                     command->option_count ? " [OPTION…]" : "", command->operand ? " " : "",
                     command->operand ? command->operand : "");
    if (command->alias)
        mm_buffer_printf(out, "Alias: mmresume %s\n", command->alias);
    mm_buffer_append(out, "\n", 1);
    paragraphs(out, command->help);
    if (command->option_count)
        mm_buffer_printf(out, "Options:\n");
    option_lines(out, command->options, command->option_count);
    mm_buffer_printf(out, "%sOptions of every command:\n", command->option_count ? "\n" : "");
    option_lines(out, table->globals, table->global_count);
    if (command->example_count)
        mm_buffer_printf(out, "\nExamples:\n");
    for (size_t i = 0; i < command->example_count; i++)
        mm_buffer_printf(out, "  %s\n      %s\n", command->examples[i].line, command->examples[i].what);
}
