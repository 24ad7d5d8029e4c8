/* Values of option tables: getters, and the checks that every table must pass. Where values come
 * from (YAML, environment, files) is options_read.c's business. */
#include "config/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/reader.h"
#include "config/values.h"

const mm_option_value *mm_options_find(const mm_options *options, const char *name)
{
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->values[i].option->name, name) == 0)
            return &options->values[i];
    }
    return NULL;
}

/* A getter that does not fit the table is a bug of the caller, which no job file can cause. */
static const mm_option_value *need(const mm_options *options, const char *name, unsigned types)
{
    const mm_option_value *value = mm_options_find(options, name);
    if (value == NULL || (types & (1u << value->option->type)) == 0) {
        fprintf(stderr, "mmresume: internal error: option %s is not in the table as this type\n",
                name);
        abort();
    }
    return value;
}

#define T(type) (1u << MM_OPT_##type)

const char *mm_options_str(const mm_options *options, const char *name)
{
    return need(options, name, T(STRING) | T(ENUM) | T(PATH) | T(ENDPOINT) | T(RATE))->text;
}

bool mm_options_bool(const mm_options *options, const char *name)
{
    return need(options, name, T(BOOL))->as.truth;
}

int64_t mm_options_int(const mm_options *options, const char *name)
{
    return need(options, name, T(INT))->as.number;
}

uint64_t mm_options_size(const mm_options *options, const char *name)
{
    return need(options, name, T(SIZE) | T(COUNT))->as.size;
}

uint64_t mm_options_ms(const mm_options *options, const char *name)
{
    return need(options, name, T(DURATION))->as.size;
}

size_t mm_options_list(const mm_options *options, const char *name, const char *const **items)
{
    const mm_option_value *value = need(options, name, T(LIST) | T(PATHS));
    *items = value->items;
    return value->item_count;
}

bool mm_options_given(const mm_options *options, const char *name)
{
    const mm_option_value *value = need(options, name, ~0u);
    return value->node != NULL;
}

void mm_options_free(mm_options *options)
{
    if (options == NULL || options->own == NULL)
        return;
    mm_arena arena = *options->own; /* the arena's own record lies inside it */
    mm_arena_free(&arena);
}

const char **mm_choice_list(mm_arena *arena, const char *choices, size_t *count)
{
    size_t n = 1;
    for (const char *c = choices; *c; c++)
        n += *c == '|';
    char *copy = mm_arena_strdup(arena, choices);
    const char **list = mm_arena_array(arena, n, sizeof(*list));
    if (copy == NULL || list == NULL)
        return NULL;
    n = 0;
    for (char *at = copy; at; n++) {
        list[n] = at;
        at = strchr(at, '|');
        if (at)
            *at++ = '\0';
    }
    *count = n;
    return list;
}

const char *mm_config_suggest(mm_arena *arena, const char *word, const char *const *names,
                              size_t count)
{
    const char *nearest = mm_nearest(word, names, count);
    char text[160];
    if (nearest == NULL)
        return "";
    snprintf(text, sizeof(text), " (did you mean `%.100s`?)", nearest);
    const char *copy = mm_arena_strdup(arena, text);
    return copy ? copy : "";
}

static bool bound(const mm_option *option, const char *text, size_t length, int64_t *out)
{
    char copy[MM_VALUE_TEXT];
    uint64_t size;
    if (length == 0 || length >= sizeof(copy))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (option->type == MM_OPT_INT)
        return mm_value_int(copy, out);
    if (!mm_value_size(copy, &size) || size > INT64_MAX)
        return false;
    *out = (int64_t)size;
    return true;
}

void mm_option_range(const mm_option *option, int64_t *low, int64_t *high)
{
    *low = option->type == MM_OPT_INT ? INT64_MIN : 0;
    *high = INT64_MAX;
    const char *dots = option->choices ? strstr(option->choices, "..") : NULL;
    if (dots) {
        bound(option, option->choices, (size_t)(dots - option->choices), low);
        bound(option, dots + 2, strlen(dots + 2), high);
    }
}

static const char *table_fault(const mm_option *option)
{
    if (option->type > MM_OPT_SECTION)
        return "has an unknown type";
    if (option->help == NULL || *option->help == '\0')
        return "has no help";
    if (option->type == MM_OPT_ENUM && (option->choices == NULL || *option->choices == '\0'))
        return "is an ENUM without choices";
    if (option->choices && (option->type == MM_OPT_INT || option->type == MM_OPT_SIZE) &&
        strstr(option->choices, "..") == NULL)
        return "has choices that are no range";
    if (option->secret && option->default_value)
        return "is a secret with a default";
    if (option->secret && option->type != MM_OPT_STRING)
        return "is a secret and no STRING";
    if (option->required && option->default_value)
        return "is required and has a default";
    return NULL;
}

static bool names_clash(const mm_option *a, const mm_option *b)
{
    size_t length = strlen(a->name);
    if (strcmp(a->name, b->name) == 0)
        return true;
    return a->secret && strncmp(a->name, b->name, length) == 0 &&
           strcmp(b->name + length, "_file") == 0;
}

mm_status mm_options_check_table(const mm_option *table, size_t count, mm_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].name == NULL || *table[i].name == '\0')
            return mm_error_set(err, MM_BUG, "option %zu has no name", i);
        const char *fault = table_fault(&table[i]);
        if (fault)
            return mm_error_set(err, MM_BUG, "option %s %s", table[i].name, fault);
        for (size_t j = 0; j < count; j++) {
            if (i != j && names_clash(&table[i], &table[j]))
                return mm_error_set(err, MM_BUG, "options %s and %s clash", table[i].name,
                                    table[j].name);
        }
    }
    mm_arena arena = MM_ARENA_INIT;
    mm_config_reader reader = {.arena = &arena, .path = "defaults", .folder = "/"};
    mm_options *options;
    mm_option *optional = mm_arena_array(&arena, count ? count : 1, sizeof(*optional));
    mm_status status = MM_NO_MEMORY;
    if (optional) {
        for (size_t i = 0; i < count; i++) {
            optional[i] = table[i];
            optional[i].required = false;
        }
        mm_option_part part = {optional, count};
        status = mm_options_read(&reader, NULL, NULL, "defaults", &part, 1, &options, err);
        if (status == MM_CONFIG)
            status = mm_error_set(err, MM_BUG, "a default does not fit its option");
    }
    mm_arena_free(&arena);
    return status;
}
