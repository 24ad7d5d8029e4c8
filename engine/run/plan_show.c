/* The command plan: what a run would move, field by field; or the same as a job file. Changes nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json_text.h"
#include "run/collections.h"
#include "run/run.h"
#include "run/session.h"

typedef struct extent_sum {
    uint64_t tasks, rows, bytes;
} extent_sum;

static mm_status sum_extent(void *context, const mm_extent *extent, mm_error *err)
{
    (void)err;
    extent_sum *sum = context;
    sum->tasks++;
    sum->rows += extent->rows;
    sum->bytes += extent->bytes;
    return MM_OK;
}

/* "FloatVector(768)", "VarChar(100) nullable", "Array(Int32, 16)" */
static void add_type(mm_buffer *out, const mm_field *field)
{
    mm_buffer_printf(out, "%s", mm_type_name(field->type));
    if (field->type == MM_TYPE_ARRAY)
        mm_buffer_printf(out, "(%s, %u)", mm_type_name(field->element_type), field->max_capacity);
    else if (field->dim > 0 || field->max_length > 0)
        mm_buffer_printf(out, "(%u)", field->dim > 0 ? field->dim : field->max_length);
    mm_buffer_printf(out, "%s", field->nullable ? " nullable" : "");
}

static void add_field(mm_buffer *out, const mm_run_collection *collection, size_t i, bool json)
{
    const mm_field *field = &collection->mapping->target->fields[i];
    const mm_field *from = &collection->from->schema.fields[collection->mapping->source_index[i]];
    if (json) {
        mm_buffer_printf(out, "%s{\"from\":", i > 0 ? "," : "");
        mm_json_text(out, from->name);
        mm_buffer_printf(out, ",\"to\":");
        mm_json_text(out, field->name);
        mm_buffer_printf(out, ",\"type\":\"%s\",\"dim\":%u,\"primary\":%s}", mm_type_name(field->type), field->dim,
                         field->primary ? "true" : "false");
        return;
    }
    mm_buffer_printf(out, "    %s -> %s  ", from->name, field->name);
    add_type(out, field);
    mm_buffer_printf(out, "%s%s%s\n", field->primary ? "  primary key" : "", field->metric_type ? "  metric " : "",
                     field->metric_type ? field->metric_type : "");
}

/* What the source has and the target will not. */
static void add_notes(mm_buffer *out, const mm_session *session, const mm_run_collection *collection, bool json)
{
    bool first = true;
    for (size_t j = 0; session->sources->notes && j < collection->source_count; j++) {
        const char *at = session->sources->notes(session->source, collection->sources[j].number);
        for (size_t size; at && *at; at += size + (at[size] != '\0')) {
            char line[400];
            size = strcspn(at, "\n");
            snprintf(line, sizeof(line), "%.*s", (int)size, at);
            if (json) {
                mm_buffer_printf(out, "%s", first ? "" : ",");
                mm_json_text(out, line);
            } else if (size > 0) {
                mm_buffer_printf(out, "    note: %s\n", line);
            }
            first = false;
        }
    }
}

static void add_collection(mm_buffer *out, const mm_session *session, const mm_run_collection *collection,
                           const extent_sum *sum, bool json)
{
    const mm_schema *schema = collection->mapping->target;
    if (json) {
        mm_buffer_printf(out, "{\"from\":");
        mm_json_text(out, collection->from->schema.name);
        mm_buffer_printf(out, ",\"to\":");
        mm_json_text(out, schema->name);
        mm_buffer_printf(out, ",\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"tasks\":%" PRIu64 ",\"fields\":[", sum->rows,
                         sum->bytes, sum->tasks);
    } else {
        mm_buffer_printf(out, "  %s -> %s: %" PRIu64 " rows, %.1f MB, %" PRIu64 " task%s\n",
                         collection->from->schema.name, schema->name, sum->rows, (double)sum->bytes / 1e6, sum->tasks,
                         sum->tasks == 1 ? "" : "s");
    }
    for (size_t i = 0; i < schema->field_count; i++)
        add_field(out, collection, i, json);
    if (json)
        mm_buffer_printf(out, "],\"notes\":[");
    add_notes(out, session, collection, json);
    if (json)
        mm_buffer_printf(out, "]}");
    else if (!collection->from->unique_keys)
        mm_buffer_printf(out, "    keys are not proven unique: they are checked before the first row is sent\n");
}

/* ---- as a job file ---- */

/* A name that Milvus takes: letters, digits and underscores, no digit first. */
static void add_name(mm_buffer *out, const char *name)
{
    if (name[0] >= '0' && name[0] <= '9')
        mm_buffer_append(out, "_", 1);
    for (; *name; name++) {
        bool good = (*name >= '0' && *name <= '9') || (*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z');
        mm_buffer_append(out, good ? name : "_", 1);
    }
}

static void write_collection(mm_buffer *out, const mm_session *session, const mm_run_collection *collection)
{
    const mm_schema *target = collection->mapping->target;
    mm_buffer notes = MM_BUFFER_INIT;
    mm_buffer_printf(out, "  - from: ");
    mm_json_text(out, collection->from->schema.name);
    mm_buffer_printf(out, "\n    to: ");
    add_name(out, target->name);
    mm_buffer_printf(out, "\n    fields:\n");
    for (size_t i = 0; i < target->field_count; i++) {
        const mm_field *field = &target->fields[i];
        mm_buffer_printf(out, "      - {from: ");
        mm_json_text(out, collection->from->schema.fields[collection->mapping->source_index[i]].name);
        mm_buffer_printf(out, ", to: ");
        mm_json_text(out, field->name);
        mm_buffer_printf(out, "%s}", field->primary ? ", primary: true" : "");
        mm_buffer_printf(out, "  # ");
        add_type(out, field);
        mm_buffer_printf(out, "\n");
    }
    add_notes(&notes, session, collection, false);
    for (char *at = notes.data, *end; at && *at; at = end + 1) {
        end = strchr(at, '\n');
        mm_buffer_printf(out, "    #%.*s\n", (int)(end - at) - 3, at + 3);
    }
    out->failed = out->failed || notes.failed;
    mm_buffer_free(&notes);
}

/* The job file as it stands, with what it leaves to the source written out. */
static mm_status write_job(const mm_session *session, mm_buffer *out, mm_error *err)
{
    const mm_job *job = session->job;
    if (job->collection_count > 0)
        return mm_error_set(err, MM_CONFIG, "%s has `collections:` already: there is nothing to write out", job->path);
    size_t size = strlen(job->text);
    mm_buffer_printf(out, "%s%scollections:\n", job->text, size > 0 && job->text[size - 1] == '\n' ? "" : "\n");
    for (size_t i = 0; i < session->collection_count; i++)
        write_collection(out, session, &session->collections[i]);
    return out->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory for a job file") : MM_OK;
}

static mm_status show(mm_session *session, mm_buffer *out, mm_error *err)
{
    bool json = session->args->json;
    mm_status status = MM_OK;
    if (json)
        mm_buffer_printf(out, "{\"job\":\"%s\",\"collections\":[", session->job->name);
    else
        mm_buffer_printf(out, "%s: %s -> %s\n", session->job->name, session->job->source_driver,
                         session->job->target_driver);
    for (size_t i = 0; status == MM_OK && i < session->collection_count; i++) {
        extent_sum sum = {0};
        status = mm_collections_plan(session, &session->collections[i], sum_extent, &sum, err);
        if (status != MM_OK)
            break;
        if (json && i > 0)
            mm_buffer_printf(out, ",");
        add_collection(out, session, &session->collections[i], &sum, json);
    }
    if (status == MM_OK && json)
        mm_buffer_printf(out, "]}\n");
    return status;
}

mm_status mm_run_plan(const mm_run_args *args, mm_buffer *out, mm_error *err)
{
    mm_session session = {.args = args, .rejects_fd = -1, .stores = &mm_store_sqlite};
    pthread_mutex_init(&session.store_lock, NULL);
    mm_status status = mm_job_load(args->job_file, args->overrides, mm_run_tables(), &session.job, err);
    if (status == MM_OK)
        mm_job_warn(session.job);
    if (status == MM_OK)
        status = mm_sink_resolve(session.job->target_driver, session.job->target, &session.sinks, err);
    if (status == MM_OK)
        status = mm_session_open_source(&session, err);
    if (status == MM_OK)
        status = args->write ? write_job(&session, out, err) : show(&session, out, err);
    mm_session_close(&session);
    return status;
}
