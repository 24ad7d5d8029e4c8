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

static const char *const source_words[] = {"seek", "keys", "mutable", "live", "newest-last"};
static const char *const sink_words[] = {"idempotent", "rewind",    "atomic",     "ack",      "ordered",
                                         "fence",      "read-back", "duplicates", "nonfinite"};

void mm_capability_words(mm_buffer *out, bool source, unsigned capabilities, const char *separator)
{
    const char *const *words = source ? source_words : sink_words;
    size_t count = source ? MM_COUNT(source_words) : MM_COUNT(sink_words);
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        if ((capabilities & (1u << i)) == 0)
            continue;
        mm_buffer_printf(out, "%s%s", first ? "" : separator, words[i]);
        first = false;
    }
}
