/* Keeps secrets out of the text of a job file that goes into the savepoint store. A reference to the
 * environment is no secret; a value that is written out is. */
#include <string.h>

#include "config/job_parts.h"
#include "config/tree.h"

static bool written_out(const mm_node *node)
{
    if (node->kind != MM_NODE_SCALAR || node->origin || node->end <= node->start ||
        *node->text == '\0' || mm_node_is_null(node))
        return false;
    if (strcmp(node->text, MM_SECRET_MARK) == 0)
        return false;
    /* a default in ${NAME:-default} is written out too */
    return strstr(node->text, "${") == NULL || strstr(node->text, ":-") != NULL;
}

static bool is_secret(const mm_job_driver *drivers, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < drivers[i].option_count; j++)
            if (drivers[i].options[j].secret && strcmp(drivers[i].options[j].name, key) == 0)
                return true;
    return false;
}

mm_status mm_job_collect_secrets(mm_config_reader *reader, const mm_node *root, const mm_job_tables *tables,
                                 mm_error *err)
{
    static const char *const sections[] = {"source", "target"};
    for (size_t i = 0; i < MM_COUNT(sections); i++) {
        const mm_node *map = mm_node_get(root, sections[i]);
        for (size_t j = 0; map && map->kind == MM_NODE_MAP && j < map->count; j++) {
            const char *key = map->keys[j]->text;
            bool secret = is_secret(tables->sources, tables->source_count, key) ||
                          is_secret(tables->targets, tables->target_count, key);
            if (secret && !mm_tree_add(reader->arena, &reader->secrets, map->items[j]))
                return mm_error_set(err, MM_NO_MEMORY, "out of memory");
        }
    }
    return MM_OK;
}

mm_status mm_job_hide_secrets(mm_config_reader *reader, mm_job *job, const char *text, mm_error *err)
{
    size_t count = 0, size = strlen(text), at = 0;
    const mm_node **spans = mm_arena_array(&job->arena, reader->secrets.count + 1, sizeof(*spans));
    mm_buffer out = MM_BUFFER_INIT;
    if (spans == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < reader->secrets.count; i++)
        if (written_out(reader->secrets.items[i]))
            spans[count++] = reader->secrets.items[i];
    while (at < size) {
        const mm_node *next = NULL; /* the first span from here on; there are few */
        for (size_t i = 0; i < count; i++) {
            if (spans[i]->start >= at && spans[i]->end <= size &&
                (next == NULL || spans[i]->start < next->start))
                next = spans[i];
        }
        size_t end = next ? next->start : size;
        mm_buffer_append(&out, text + at, end - at);
        at = end;
        if (next) {
            mm_buffer_printf(&out, "\"%s\"", MM_SECRET_MARK);
            at = next->end;
            if (at > next->start && text[at - 1] == '\n') /* a block scalar ends its own line */
                mm_buffer_append(&out, "\n", 1);
        }
    }
    mm_buffer_append(&out, "", 1);
    job->text = out.failed ? NULL : mm_arena_strdup(&job->arena, out.data);
    mm_buffer_free(&out);
    return job->text ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}
