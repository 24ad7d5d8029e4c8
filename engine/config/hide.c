/* Keeps secrets out of the text of a job file that goes into the savepoint store. A reference to the
 * environment is no secret; a value that is written out is. */
#include <string.h>

#include "config/job_parts.h"

static bool written_out(const mm_option_value *value)
{
    const mm_node *node = value->node;
    if (!value->option->secret || node == NULL || value->file || node->origin)
        return false;
    if (strcmp(node->text, MM_SECRET_MARK) == 0)
        return false;
    /* a default in ${NAME:-default} is written out too */
    return strstr(node->text, "${") == NULL || strstr(node->text, ":-") != NULL;
}

static void mark_spans(const mm_options *options, const mm_node **spans, size_t *count)
{
    for (size_t i = 0; i < options->count; i++) {
        if (written_out(&options->values[i]))
            spans[(*count)++] = options->values[i].node;
    }
}

mm_status mm_job_hide_secrets(mm_job *job, const char *text, mm_error *err)
{
    size_t count = 0, size = strlen(text), at = 0;
    const mm_node **spans = mm_arena_array(&job->arena, job->source->count + job->target->count + 1,
                                           sizeof(*spans));
    mm_buffer out = MM_BUFFER_INIT;
    if (spans == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mark_spans(job->source, spans, &count);
    mark_spans(job->target, spans, &count);
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
