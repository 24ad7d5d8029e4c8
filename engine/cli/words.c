/* Words for option types and capabilities, for people. */
#include <string.h>

#include "cli/commands.h"
#include "sinks/sink.h"
#include "sources/source.h"

const char *mm_option_type_word(const mm_option *option)
{
    switch (option->type) {
    case MM_OPT_STRING:
        return "text";
    case MM_OPT_BOOL:
        return "true or false";
    case MM_OPT_INT:
        return "whole number";
    case MM_OPT_SIZE:
        return "size";
    case MM_OPT_DURATION:
        return "duration";
    case MM_OPT_ENUM:
        return "word";
    case MM_OPT_PATH:
        return "path or URL";
    case MM_OPT_LIST:
        return "list of texts";
    case MM_OPT_PATHS:
        return "paths or URLs";
    case MM_OPT_ENDPOINT:
        return "address";
    case MM_OPT_COUNT:
        return "number or none";
    case MM_OPT_RATE:
        return "rate or none";
    case MM_OPT_SECTION:
        return "section";
    }
    return "text";
}

const char *mm_option_type_name(const mm_option *option)
{
    static const char *const names[] = {
        [MM_OPT_STRING] = "string", [MM_OPT_BOOL] = "bool",         [MM_OPT_INT] = "int",
        [MM_OPT_SIZE] = "size",     [MM_OPT_DURATION] = "duration", [MM_OPT_ENUM] = "enum",
        [MM_OPT_PATH] = "path",     [MM_OPT_LIST] = "list",         [MM_OPT_PATHS] = "paths",
        [MM_OPT_ENDPOINT] = "endpoint", [MM_OPT_COUNT] = "count",   [MM_OPT_RATE] = "rate",
        [MM_OPT_SECTION] = "section"};
    return names[option->type];
}

typedef struct capability {
    const char *word, *help;
} capability;

/* In the order of the bits in sources/source.h and sinks/sink.h. */
static const capability of_sources[] = {
    {"seek", "reading can begin at any row number"},
    {"keys", "primary keys can be read without the rest of a row"},
    {"mutable", "it can change while it is read: a fingerprint is compared"},
    {"live", "its rows may be deleted or changed while it is read: what comes late is caught up with"},
    {"newest-last", "a primary key on several rows is ordinary, the newest row comes last"},
};
static const capability of_sinks[] = {
    {"idempotent", "rows in doubt after a crash are written again by key"},
    {"rewind", "what no savepoint vouches for is cut off before a resume"},
    {"atomic", "a unit appears whole or not at all"},
    {"ack", "a write that is acknowledged is durable"},
    {"ordered", "the rows of a task arrive in their order"},
    {"fence", "late requests of a dead process are refused"},
    {"read-back", "it can be counted and read again, for the verification"},
    {"duplicates", "it can hold a primary key on several rows"},
    {"nonfinite", "it keeps NaN and infinite values"},
    {"repair", "rows that a verification found wrong can be written again"},
};

static const capability *table_of(bool source, size_t *count)
{
    *count = source ? MM_COUNT(of_sources) : MM_COUNT(of_sinks);
    return source ? of_sources : of_sinks;
}

void mm_capability_words(mm_buffer *out, bool source, unsigned capabilities, const char *separator)
{
    size_t count;
    const capability *table = table_of(source, &count);
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        if ((capabilities & (1u << i)) == 0)
            continue;
        mm_buffer_printf(out, "%s%s", first ? "" : separator, table[i].word);
        first = false;
    }
}

void mm_capability_help(mm_buffer *out, bool source, unsigned capabilities)
{
    size_t count;
    const capability *table = table_of(source, &count);
    for (size_t i = 0; i < count; i++)
        if (capabilities & (1u << i))
            mm_buffer_printf(out, "  %-12s %s\n", table[i].word, table[i].help);
}
