/* mmresume inspect: asks each driver in turn whether it knows what stands at a path or URL. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "formats/manifest.h"
#include "sinks/sink.h"
#include "sources/source.h"

/* The first driver that knows the kind decides; its failure is the answer, too. */
static mm_status ask_all(const char *location, mm_buffer *text, mm_error *err)
{
    size_t count;
    const mm_source_driver *const *sources = mm_source_registry(&count);
    for (size_t i = 0; i < count; i++) {
        if (sources[i]->inspect == NULL)
            continue;
        mm_status status = sources[i]->inspect(location, text, err);
        if (status != MM_NOT_FOUND)
            return status == MM_OK ? MM_OK : mm_error_context(err, "%s", sources[i]->name);
    }
    const mm_sink_driver *const *sinks = mm_sink_registry(&count);
    for (size_t i = 0; i < count; i++) {
        if (sinks[i]->inspect == NULL)
            continue;
        mm_status status = sinks[i]->inspect(location, text, err);
        if (status != MM_NOT_FOUND)
            return status == MM_OK ? MM_OK : mm_error_context(err, "%s", sinks[i]->name);
    }
    struct stat there;
    bool folder = stat(location, &there) == 0 && S_ISDIR(there.st_mode);
    return mm_error_set(err, MM_NOT_FOUND, "no driver knows what %s is; inspect takes a file of rows or an index, a "
                                           "folder or prefix with a manifest.json, a Milvus, an Elasticsearch or OpenSearch%s", location,
                        folder ? ": of a folder of files ask about one of them" : "");
}

/* A manifest by its own name is the collection that it stands in. */
static mm_status ask_about(const char *location, mm_buffer *text, mm_error *err)
{
    const char *slash = strrchr(location, '/');
    if (strcmp(slash ? slash + 1 : location, MM_MANIFEST_NAME) != 0)
        return ask_all(location, text, err);
    char *folder = slash ? strndup(location, (size_t)(slash - location) + (slash == location)) : strdup(".");
    if (folder == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = ask_all(folder, text, err);
    free(folder);
    return status;
}

mm_status mm_cmd_inspect(const mm_cli_args *args, mm_error *err)
{
    const char *location = args->operands[0];
    mm_buffer text = MM_BUFFER_INIT;
    if (location == NULL)
        return mm_error_set(err, MM_USAGE, "inspect needs a path or URL");
    /* host:port is no path, but a path with a slash that is not there is a slip */
    if (strstr(location, "://") == NULL && strchr(location, ':') == NULL && access(location, R_OK) != 0)
        return mm_error_errno(err, MM_NOT_FOUND, "cannot read %s", location);
    mm_status status = ask_about(location, &text, err);
    if (status == MM_OK)
        status = mm_cli_print(&text, err);
    mm_buffer_free(&text);
    return status;
}
