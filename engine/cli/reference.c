/* The reference in Markdown: commands, exit codes, keys of the job file, drivers. Generated, so that
 * it cannot say anything else than the program. */
#include <ctype.h>
#include <string.h>

#include "cli/commands.h"
#include "config/tables.h"
#include "sinks/sink.h"
#include "sources/source.h"

/* A table's cell: no bar and no line break may end it. */
static void cell(mm_buffer *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '|')
            mm_buffer_printf(out, "\\|");
        else if (*c == '<')
            mm_buffer_printf(out, "&lt;");
        else
            mm_buffer_append(out, *c == '\n' ? " " : c, 1);
    }
}

static void option_rows(mm_buffer *out, const mm_cli_option *options, size_t count)
{
    mm_buffer_printf(out, "| option | |\n|---|---|\n");
    for (size_t i = 0; i < count; i++) {
        mm_buffer_printf(out, "| `");
        mm_help_option_name(out, &options[i]);
        mm_buffer_printf(out, "` | ");
        cell(out, options[i].help);
        mm_buffer_printf(out, " |\n");
    }
    mm_buffer_append(out, "\n", 1);
}

static void commands(const mm_cli_table *table, mm_buffer *out)
{
    mm_buffer_printf(out, "## Commands\n\n| command | |\n|---|---|\n");
    for (size_t i = 0; i < table->command_count; i++) {
        const mm_command *command = &table->commands[i];
        mm_buffer_printf(out, "| [`mmresume %s`](#mmresume-%s) | ", command->name, command->name);
        cell(out, command->summary);
        mm_buffer_printf(out, " |\n");
    }
    mm_buffer_printf(out, "\nEvery command understands:\n\n");
    option_rows(out, table->globals, table->global_count);
    for (size_t i = 0; i < table->command_count; i++) {
        const mm_command *command = &table->commands[i];
        mm_buffer_printf(out, "### mmresume %s\n\n`mmresume %s%s%s%s`", command->name, command->name,
                         command->option_count ? " [OPTION…]" : "", command->operand ? " " : "",
                         command->operand ? command->operand : "");
        if (command->alias)
            mm_buffer_printf(out, ", alias `mmresume %s`", command->alias);
        mm_buffer_printf(out, "\n\n%s\n\n", command->help);
        if (command->option_count)
            option_rows(out, command->options, command->option_count);
        for (size_t j = 0; j < command->example_count; j++)
            mm_buffer_printf(out, "- `%s`: %s\n", command->examples[j].line, command->examples[j].what);
        if (command->example_count)
            mm_buffer_append(out, "\n", 1);
    }
}

static void exit_row(void *context, int code, const char *text)
{
    mm_buffer *out = context;
    mm_buffer_printf(out, "| %d | ", code);
    cell(out, text);
    mm_buffer_printf(out, " |\n");
}

static void exit_codes(mm_buffer *out)
{
    mm_buffer_printf(out, "## Exit codes\n\n| code | |\n|---|---|\n");
    mm_help_exit_codes(exit_row, out);
    mm_buffer_append(out, "\n", 1);
}

static void key_rows(mm_buffer *out, const mm_option *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const mm_option *option = &table[i];
        mm_buffer_printf(out, "| `%s` | ", option->name);
        if (option->type == MM_OPT_ENUM) {
            cell(out, option->choices);
        } else {
            cell(out, mm_option_type_word(option));
            if (option->choices)
                mm_buffer_printf(out, ", %s", option->choices);
        }
        mm_buffer_printf(out, " | ");
        if (option->required)
            mm_buffer_printf(out, "required");
        else if (option->default_value)
            mm_buffer_printf(out, "`%s`", option->default_value);
        mm_buffer_printf(out, " | ");
        cell(out, option->help);
        if (option->secret)
            mm_buffer_printf(out, "; secret: also `%s_file`", option->name);
        if (option->decides)
            mm_buffer_printf(out, "; *decides*");
        mm_buffer_printf(out, " |\n");
    }
    mm_buffer_append(out, "\n", 1);
}

static void key_head(mm_buffer *out)
{
    mm_buffer_printf(out, "| key | value | default | |\n|---|---|---|---|\n");
}

/* A help text as a sentence of its own. */
static void sentence(mm_buffer *out, const char *help)
{
    mm_buffer_printf(out, "%c%s.\n\n", toupper((unsigned char)help[0]), help + 1);
}

static void job_keys(mm_buffer *out)
{
    mm_buffer_printf(out, "## Keys of a job file\n\nKeys marked *decides* say which rows arrive and "
                          "how: they cannot change between a run and its resume.\n\n");
    for (size_t i = 0; i < MM_SECTION_COUNT; i++) {
        const mm_job_section *section = &mm_job_sections[i];
        if (*section->where)
            mm_buffer_printf(out, "### `%s`\n\n", section->where);
        else
            mm_buffer_printf(out, "### Top level\n\n");
        sentence(out, section->help);
        key_head(out);
        key_rows(out, section->table, section->count);
    }
}

static void driver(mm_buffer *out, bool source, const char *name, const char *summary,
                   uint32_t capabilities, const mm_option *options, size_t count)
{
    mm_buffer_printf(out, "### %s `%s`\n\n", source ? "Source" : "Target", name);
    sentence(out, summary);
    mm_buffer_printf(out, "Capabilities: ");
    mm_capability_words(out, source, capabilities, ", ");
    mm_buffer_printf(out, ".\n\n");
    key_head(out);
    key_rows(out, options, count);
}

static void drivers(mm_buffer *out)
{
    size_t count;
    mm_buffer_printf(out, "## Drivers\n\n");
    const mm_source_driver *const *sources = mm_source_registry(&count);
    for (size_t i = 0; i < count; i++)
        driver(out, true, sources[i]->name, sources[i]->summary, sources[i]->capabilities,
               sources[i]->options, sources[i]->option_count);
    const mm_sink_driver *const *sinks = mm_sink_registry(&count);
    for (size_t i = 0; i < count; i++)
        driver(out, false, sinks[i]->name, sinks[i]->summary, sinks[i]->capabilities,
               sinks[i]->options, sinks[i]->option_count);
}

bool mm_reference(const mm_cli_table *table, const char *topic, mm_buffer *out)
{
    if (topic == NULL) {
        mm_buffer_printf(out, "# Reference\n\nMade by `mmresume help --markdown`: do not edit.\n\n");
        commands(table, out);
        exit_codes(out);
        job_keys(out);
        drivers(out);
    } else if (strcmp(topic, "commands") == 0) {
        commands(table, out);
    } else if (strcmp(topic, "exit-codes") == 0) {
        exit_codes(out);
    } else if (strcmp(topic, "job") == 0) {
        job_keys(out);
    } else if (strcmp(topic, "drivers") == 0) {
        drivers(out);
    } else {
        return false;
    }
    while (out->size > 1 && !out->failed && out->data[out->size - 1] == '\n' &&
           out->data[out->size - 2] == '\n')
        out->size--;
    return true;
}
