/* The JSON schema (draft 2020-12) of job files, made from the same tables as the parser, for editors
 * that complete and check YAML. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/job_parts.h"
#include "config/tables.h"

/* A scalar of any type may come from the environment. */
#define ENV_PATTERN "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}"

static cJSON *object(cJSON *parent, const char *key)
{
    return cJSON_AddObjectToObject(parent, key);
}

static void add_env(cJSON *any)
{
    cJSON *env = cJSON_CreateObject();
    cJSON_AddStringToObject(env, "type", "string");
    cJSON_AddStringToObject(env, "pattern", ENV_PATTERN);
    cJSON_AddItemToArray(any, env);
}

static void add_choices(cJSON *to, const char *choices)
{
    mm_arena arena = MM_ARENA_INIT;
    size_t count = 0;
    const char **list = mm_choice_list(&arena, choices, &count);
    cJSON *values = cJSON_AddArrayToObject(to, "enum");
    for (size_t i = 0; list && i < count; i++)
        cJSON_AddItemToArray(values, cJSON_CreateString(list[i]));
    mm_arena_free(&arena);
}

static cJSON *typed(cJSON *any, const char *type)
{
    cJSON *item = cJSON_CreateObject();
    if (type)
        cJSON_AddStringToObject(item, "type", type);
    cJSON_AddItemToArray(any, item);
    return item;
}

static void add_pattern(cJSON *any, const char *pattern)
{
    cJSON_AddStringToObject(typed(any, "string"), "pattern", pattern);
}

/* The alternatives that a value of this option may have. */
static void add_forms(cJSON *any, const mm_option *option)
{
    int64_t low, high;
    cJSON *item;
    switch (option->type) {
    case MM_OPT_BOOL:
        typed(any, "boolean");
        add_choices(typed(any, NULL), "yes|no|on|off");
        break;
    case MM_OPT_INT:
        item = typed(any, "integer");
        mm_option_range(option, &low, &high);
        if (low != INT64_MIN)
            cJSON_AddNumberToObject(item, "minimum", (double)low);
        if (high != INT64_MAX)
            cJSON_AddNumberToObject(item, "maximum", (double)high);
        break;
    case MM_OPT_SIZE:
        cJSON_AddNumberToObject(typed(any, "integer"), "minimum", 0);
        add_pattern(any, "^[0-9][0-9_]*(\\.[0-9]+)? *(B|[KMGTP]iB|[kKMGTP]B)?$");
        break;
    case MM_OPT_COUNT:
        cJSON_AddNumberToObject(typed(any, "integer"), "minimum", 0);
        add_choices(typed(any, NULL), "none");
        break;
    case MM_OPT_DURATION:
        add_pattern(any, "^(0|([0-9][0-9_]*(\\.[0-9]+)? *(ms|s|m|h|d) *)+)$");
        cJSON_AddNumberToObject(typed(any, NULL), "const", 0);
        break;
    case MM_OPT_RATE:
        add_pattern(any, "^(none|[0-9][0-9_]* *rows/s|[0-9][0-9_]*(\\.[0-9]+)? *(B|[KMGTP]iB|[kKMGTP]B)/s)$");
        break;
    case MM_OPT_ENUM:
        add_choices(typed(any, NULL), option->choices);
        break;
    case MM_OPT_LIST:
    case MM_OPT_PATHS:
        item = typed(any, "array");
        cJSON_AddStringToObject(object(item, "items"), "type", "string");
        typed(any, "string");
        break;
    default:
        /* an unquoted 123 is a text to the parser, a number to an editor */
        typed(any, "string");
        typed(any, "number");
    }
}

static void add_help(cJSON *to, const mm_option *option)
{
    cJSON_AddStringToObject(to, "description", option->help);
    if (option->default_value && option->type == MM_OPT_INT)
        cJSON_AddNumberToObject(to, "default", strtod(option->default_value, NULL));
    else if (option->default_value && option->type == MM_OPT_BOOL)
        cJSON_AddBoolToObject(to, "default", strcmp(option->default_value, "true") == 0);
    else if (option->default_value)
        cJSON_AddStringToObject(to, "default", option->default_value);
}

static cJSON *add_option(cJSON *properties, const mm_option *option)
{
    cJSON *item = object(properties, option->name);
    add_help(item, option);
    cJSON *any = cJSON_AddArrayToObject(item, "anyOf");
    add_forms(any, option);
    if (option->type != MM_OPT_STRING && option->type != MM_OPT_PATH &&
        option->type != MM_OPT_ENDPOINT && !mm_option_is_list(option))
        add_env(any);
    if (option->secret) {
        char name[160], help[600];
        snprintf(name, sizeof(name), "%.140s_file", option->name);
        snprintf(help, sizeof(help), "file that holds `%.100s`: %.400s", option->name, option->help);
        cJSON *file = object(properties, name);
        cJSON_AddStringToObject(file, "description", help);
        cJSON_AddStringToObject(file, "type", "string");
    }
    return item;
}

/* A required secret may come as itself or as a file. */
static void add_required(cJSON *to, const mm_option *table, size_t count, const char *first)
{
    cJSON *required = cJSON_CreateArray();
    cJSON *both = cJSON_CreateArray();
    if (first)
        cJSON_AddItemToArray(required, cJSON_CreateString(first));
    for (size_t i = 0; i < count; i++) {
        if (!table[i].required || (first && strcmp(first, table[i].name) == 0))
            continue;
        if (!table[i].secret) {
            cJSON_AddItemToArray(required, cJSON_CreateString(table[i].name));
            continue;
        }
        char file[160];
        snprintf(file, sizeof(file), "%.140s_file", table[i].name);
        cJSON *choice = cJSON_CreateObject(), *any = cJSON_AddArrayToObject(choice, "anyOf");
        cJSON_AddItemToArray(cJSON_AddArrayToObject(typed(any, NULL), "required"),
                             cJSON_CreateString(table[i].name));
        cJSON_AddItemToArray(cJSON_AddArrayToObject(typed(any, NULL), "required"),
                             cJSON_CreateString(file));
        cJSON_AddItemToArray(both, choice);
    }
    if (cJSON_GetArraySize(required) > 0)
        cJSON_AddItemToObject(to, "required", required);
    else
        cJSON_Delete(required);
    if (cJSON_GetArraySize(both) > 0)
        cJSON_AddItemToObject(to, "allOf", both);
    else
        cJSON_Delete(both);
}

/* {type: object, properties, required, additionalProperties: false}; sections are left to the
 * caller, who gets the properties. */
static cJSON *fill_section(cJSON *to, const mm_option *table, size_t count)
{
    cJSON_AddStringToObject(to, "type", "object");
    cJSON *properties = object(to, "properties");
    for (size_t i = 0; i < count; i++) {
        if (table[i].type != MM_OPT_SECTION)
            add_option(properties, &table[i]);
    }
    cJSON_AddBoolToObject(to, "additionalProperties", false);
    return properties;
}

static void add_drivers(cJSON *properties, mm_job_section_id id, const char *key,
                        const mm_job_driver *drivers, size_t count)
{
    const mm_job_section *section = &mm_job_sections[id];
    cJSON *item = object(properties, key);
    cJSON_AddStringToObject(item, "description", section->help);
    cJSON *one = cJSON_AddArrayToObject(item, "oneOf");
    for (size_t i = 0; i < count; i++) {
        cJSON *driver = typed(one, NULL);
        cJSON_AddStringToObject(driver, "title", drivers[i].name);
        cJSON *own = fill_section(driver, drivers[i].options, drivers[i].option_count);
        for (size_t j = 0; j < section->count; j++) {
            if (strcmp(section->table[j].name, "driver") == 0) {
                cJSON *name = object(own, "driver");
                cJSON_AddStringToObject(name, "description", section->table[j].help);
                cJSON_AddStringToObject(name, "const", drivers[i].name);
            } else {
                add_option(own, &section->table[j]);
            }
        }
        add_required(driver, drivers[i].options, drivers[i].option_count, "driver");
    }
}

static cJSON *add_section(cJSON *to, mm_job_section_id id)
{
    const mm_job_section *section = &mm_job_sections[id];
    cJSON_AddStringToObject(to, "description", section->help);
    cJSON *properties = fill_section(to, section->table, section->count);
    add_required(to, section->table, section->count, NULL);
    return properties;
}

static const char *section_help(mm_job_section_id id, const char *name)
{
    const mm_job_section *section = &mm_job_sections[id];
    for (size_t i = 0; i < section->count; i++) {
        if (strcmp(section->table[i].name, name) == 0)
            return section->table[i].help;
    }
    return "";
}

static cJSON *described(cJSON *properties, mm_job_section_id id, const char *name)
{
    cJSON *item = object(properties, name);
    cJSON_AddStringToObject(item, "description", section_help(id, name));
    return item;
}

static void add_collections(cJSON *properties)
{
    cJSON *list = described(properties, MM_SECTION_JOB, "collections");
    cJSON_AddStringToObject(list, "type", "array");
    cJSON_AddNumberToObject(list, "minItems", 1);
    cJSON *own = add_section(object(list, "items"), MM_SECTION_COLLECTION);

    cJSON *fields = described(own, MM_SECTION_COLLECTION, "fields");
    cJSON_AddStringToObject(fields, "type", "array");
    cJSON_AddNumberToObject(fields, "minItems", 1);
    add_section(object(fields, "items"), MM_SECTION_FIELD);

    cJSON *index = described(own, MM_SECTION_COLLECTION, "index");
    cJSON_AddStringToObject(index, "default", "auto");
    cJSON *one = cJSON_AddArrayToObject(index, "oneOf");
    add_choices(typed(one, NULL), "auto|source|none");
    add_env(one);
    cJSON *map = typed(one, "object");
    cJSON_AddNumberToObject(map, "minProperties", 1);
    cJSON *rule = add_section(object(map, "additionalProperties"), MM_SECTION_INDEX);
    cJSON_AddStringToObject(described(rule, MM_SECTION_INDEX, "params"), "type", "object");

    cJSON *partitions = described(own, MM_SECTION_COLLECTION, "partitions");
    cJSON_AddStringToObject(partitions, "type", "object");
    cJSON *names = cJSON_AddArrayToObject(object(partitions, "additionalProperties"), "type");
    cJSON_AddItemToArray(names, cJSON_CreateString("string"));
    cJSON_AddItemToArray(names, cJSON_CreateString("number"));
}

mm_status mm_job_schema(const mm_job_tables *tables, mm_buffer *out, mm_error *err)
{
    const mm_job_section *job = &mm_job_sections[MM_SECTION_JOB];
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "$schema", "https://json-schema.org/draft/2020-12/schema");
    cJSON_AddStringToObject(root, "title", "mmresume job file");
    cJSON *properties = fill_section(root, job->table, job->count);
    add_required(root, job->table, job->count, NULL);
    add_drivers(properties, MM_SECTION_SOURCE, "source", tables->sources, tables->source_count);
    add_drivers(properties, MM_SECTION_TARGET, "target", tables->targets, tables->target_count);
    add_collections(properties);
    add_section(object(properties, "limits"), MM_SECTION_LIMITS);
    cJSON *verify = cJSON_GetObjectItem(cJSON_GetObjectItem(properties, "verify"), "anyOf");
    if (verify) {
        cJSON *map = typed(verify, NULL);
        add_section(map, MM_SECTION_VERIFY);
        cJSON_AddItemToArray(cJSON_AddArrayToObject(map, "required"), cJSON_CreateString("sample"));
    }
    char *text = root ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (text)
        mm_buffer_printf(out, "%s\n", text);
    cJSON_free(text);
    return text && !out->failed ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}
