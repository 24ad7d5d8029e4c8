/* mmresume drivers: the registries as a table, one driver in detail, or all of it as JSON. */
#include <cjson/cJSON.h>
#include <string.h>

#include "cli/commands.h"
#include "config/tables.h"
#include "sinks/sink.h"
#include "sources/source.h"

typedef struct driver {
    bool source;
    const char *name, *summary;
    uint32_t capabilities;
    const mm_option *options;
    size_t option_count;
} driver;

#define DRIVERS_MAX 64

static size_t all_drivers(const char *name, driver out[DRIVERS_MAX])
{
    size_t count, n = 0;
    const mm_source_driver *const *sources = mm_source_registry(&count);
    for (size_t i = 0; i < count && n < DRIVERS_MAX; i++) {
        if (name == NULL || strcmp(sources[i]->name, name) == 0)
            out[n++] = (driver){true, sources[i]->name, sources[i]->summary, sources[i]->capabilities,
                                sources[i]->options, sources[i]->option_count};
    }
    const mm_sink_driver *const *sinks = mm_sink_registry(&count);
    for (size_t i = 0; i < count && n < DRIVERS_MAX; i++) {
        if (name == NULL || strcmp(sinks[i]->name, name) == 0)
            out[n++] = (driver){false, sinks[i]->name, sinks[i]->summary, sinks[i]->capabilities,
                                sinks[i]->options, sinks[i]->option_count};
    }
    return n;
}

static void show_option(mm_buffer *out, const mm_option *option)
{
    bool words = option->type == MM_OPT_ENUM;
    mm_buffer_printf(out, "  %s: %s%s%s%s", option->name, words ? option->choices : mm_option_type_word(option),
                     !words && option->choices ? " " : "",
                     !words && option->choices ? option->choices : "",
                     option->required ? ", required" : "");
    if (option->default_value)
        mm_buffer_printf(out, ", default %s", option->default_value);
    if (option->secret)
        mm_buffer_printf(out, ", secret (or %s_file)", option->name);
    mm_buffer_printf(out, "\n      ");
    mm_help_wrap(out, option->help, 6, 6);
}

static void show_driver(mm_buffer *out, const driver *one)
{
    mm_buffer_printf(out, "%s %s: %s\ncapabilities:\n", one->source ? "source" : "target", one->name,
                     one->summary);
    mm_capability_help(out, one->source, one->capabilities);
    mm_buffer_printf(out, "keys:\n");
    for (size_t i = 0; i < one->option_count; i++)
        show_option(out, &one->options[i]);
    const mm_job_section *common = &mm_job_sections[MM_SECTION_TARGET];
    for (size_t i = 0; !one->source && i < common->count; i++) {
        if (strcmp(common->table[i].name, "driver") != 0)
            show_option(out, &common->table[i]);
    }
}

static void show_table(mm_buffer *out, const driver *drivers, size_t count)
{
    mm_buffer_printf(out, "%-7s %-14s %s\n", "KIND", "DRIVER", "WHAT IT IS");
    for (size_t i = 0; i < count; i++) {
        mm_buffer_printf(out, "%-7s %-14s %s (", drivers[i].source ? "source" : "target",
                         drivers[i].name, drivers[i].summary);
        mm_capability_words(out, drivers[i].source, drivers[i].capabilities, ", ");
        mm_buffer_printf(out, ")\n");
    }
}

static void option_json(cJSON *list, const mm_option *option)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", option->name);
    cJSON_AddStringToObject(item, "type", mm_option_type_name(option));
    if (option->default_value)
        cJSON_AddStringToObject(item, "default", option->default_value);
    else
        cJSON_AddNullToObject(item, "default");
    if (option->choices)
        cJSON_AddStringToObject(item, "choices", option->choices);
    cJSON_AddBoolToObject(item, "required", option->required);
    cJSON_AddBoolToObject(item, "secret", option->secret);
    cJSON_AddBoolToObject(item, "decides", option->decides);
    cJSON_AddStringToObject(item, "help", option->help);
    cJSON_AddItemToArray(list, item);
}

static void show_json(mm_buffer *out, const driver *drivers, size_t count)
{
    cJSON *list = cJSON_CreateArray();
    const mm_job_section *common = &mm_job_sections[MM_SECTION_TARGET];
    for (size_t i = 0; i < count; i++) {
        cJSON *item = cJSON_CreateObject();
        mm_buffer words = MM_BUFFER_INIT;
        cJSON_AddStringToObject(item, "kind", drivers[i].source ? "source" : "target");
        cJSON_AddStringToObject(item, "name", drivers[i].name);
        cJSON_AddStringToObject(item, "summary", drivers[i].summary);
        mm_capability_words(&words, drivers[i].source, drivers[i].capabilities, "|");
        mm_buffer_append(&words, "", 1);
        cJSON *capabilities = cJSON_AddArrayToObject(item, "capabilities");
        char *rest = words.failed || words.data[0] == '\0' ? NULL : words.data;
        for (char *word; (word = strsep(&rest, "|")) != NULL;)
            cJSON_AddItemToArray(capabilities, cJSON_CreateString(word));
        mm_buffer_free(&words);
        cJSON *options = cJSON_AddArrayToObject(item, "options");
        for (size_t j = 0; j < drivers[i].option_count; j++)
            option_json(options, &drivers[i].options[j]);
        for (size_t j = 0; !drivers[i].source && j < common->count; j++) {
            if (strcmp(common->table[j].name, "driver") != 0)
                option_json(options, &common->table[j]);
        }
        cJSON_AddItemToArray(list, item);
    }
    char *text = cJSON_Print(list);
    if (text)
        mm_buffer_printf(out, "%s\n", text);
    else
        out->failed = true;
    cJSON_free(text);
    cJSON_Delete(list);
}

static mm_status no_driver(const char *name, mm_error *err)
{
    driver drivers[DRIVERS_MAX];
    const char *names[DRIVERS_MAX];
    size_t count = all_drivers(NULL, drivers);
    for (size_t i = 0; i < count; i++)
        names[i] = drivers[i].name;
    const char *nearest = mm_nearest(name, names, count);
    return mm_error_set(err, MM_USAGE, "there is no driver %.60s%s%s%s", name, nearest ? " (did you mean " : "",
                        nearest ? nearest : "", nearest ? "?)" : "");
}

mm_status mm_cmd_drivers(const mm_cli_args *args, mm_error *err)
{
    driver drivers[DRIVERS_MAX];
    mm_buffer text = MM_BUFFER_INIT;
    const char *name = args->operand_count ? args->operands[0] : NULL;
    size_t count = all_drivers(name, drivers);
    if (count == 0)
        return no_driver(name, err);
    if (mm_cli_flag(args, "json"))
        show_json(&text, drivers, count);
    else if (name == NULL)
        show_table(&text, drivers, count);
    for (size_t i = 0; name && !mm_cli_flag(args, "json") && i < count; i++)
        show_driver(&text, &drivers[i]);
    mm_status status = mm_cli_print(&text, err);
    mm_buffer_free(&text);
    return status;
}
