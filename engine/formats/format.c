/* The formats by name and by file name. */
#include "formats/format.h"

#include <string.h>
#include <strings.h>

static const mm_format_driver *const formats[] = {&mm_format_npy, &mm_format_parquet, &mm_format_json, &mm_format_jsonl};

const mm_format_driver *mm_format_find(const char *name)
{
    for (size_t i = 0; i < MM_COUNT(formats); i++)
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    return NULL;
}

const mm_format_driver *mm_format_of_file(const char *name)
{
    const char *base = strrchr(name, '/');
    const char *extension = strrchr(base != NULL ? base : name, '.');
    if (extension != NULL && strcasecmp(extension, ".ndjson") == 0)
        return &mm_format_jsonl;
    for (size_t i = 0; extension != NULL && i < MM_COUNT(formats); i++)
        if (strcasecmp(formats[i]->extension, extension) == 0)
            return formats[i];
    return NULL;
}
