/* Resolving `collections:` of a job: which of the source's collections move, under which names, with
 * which fields and partitions. The result is frozen in the plan as text and compared on resume. */
#include "run/collections.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static mm_status find_source(const mm_session *session, const mm_job_collection *rule, uint32_t *out, mm_error *err)
{
    const mm_catalog *catalog = &session->catalog;
    if (rule->from == NULL) {
        if (catalog->count != 1)
            return mm_error_set(err, MM_CONFIG, "%s:%d: `from` is needed: the source has %zu collections",
                                session->job->path, rule->line, catalog->count);
        *out = 0;
        return MM_OK;
    }
    const char *names[128] = {NULL};
    for (uint32_t i = 0; i < catalog->count; i++) {
        if (strcmp(catalog->collections[i].schema.name, rule->from) == 0) {
            *out = i;
            return MM_OK;
        }
        if (i < MM_COUNT(names))
            names[i] = catalog->collections[i].schema.name;
    }
    size_t count = catalog->count < MM_COUNT(names) ? catalog->count : MM_COUNT(names);
    const char *nearest = mm_nearest(rule->from, names, count);
    if (nearest == NULL && count > 0)
        nearest = names[0];
    return mm_error_set(err, MM_CONFIG, "%s:%d: the source has no collection `%s` (it has `%s`%s)", session->job->path,
                        rule->line, rule->from, nearest ? nearest : "none", count > 1 ? ", …" : "");
}

static mm_if_exists parse_if_exists(const char *text)
{
    static const char *const names[] = {"fail", "append", "skip", "overwrite"};
    for (size_t i = 0; text && i < MM_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0)
            return (mm_if_exists)i;
    return MM_EXISTS_FAIL;
}

static mm_index_mode parse_index_mode(const char *text)
{
    static const char *const names[] = {"auto", "source", "none", "explicit"};
    for (size_t i = 0; text && i < MM_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0)
            return (mm_index_mode)i;
    return MM_INDEX_AUTO;
}

static mm_status resolve_partitions(mm_session *session, const mm_job_collection *rule, mm_run_collection *out,
                                    mm_error *err)
{
    size_t count = out->from->partition_count > 0 ? out->from->partition_count : 1;
    const char **names = mm_arena_array(&session->arena, count, sizeof(*names));
    if (names == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        names[i] = out->from->partition_count > 0 ? out->from->partitions[i] : NULL;
        for (size_t j = 0; rule && names[i] && j < rule->partition_count; j++)
            if (strcmp(rule->partition_from[j], out->from->partitions[i]) == 0)
                names[i] = rule->partition_to[j];
        if (rule && rule->partition)
            names[i] = rule->partition;
        if (names[i] && strcmp(names[i], MM_DEFAULT_PARTITION) == 0)
            names[i] = NULL;
    }
    out->sink.partitions = names;
    out->sink.partition_count = count;
    return MM_OK;
}

static mm_status resolve_index(mm_session *session, const mm_job_collection *rule, mm_run_collection *out, mm_error *err)
{
    out->sink.index_mode = parse_index_mode(rule ? rule->index_mode : NULL);
    if (rule == NULL || rule->index_count == 0)
        return MM_OK;
    mm_index_rule *indexes = mm_arena_array(&session->arena, rule->index_count, sizeof(*indexes));
    if (indexes == NULL)
        return no_memory(err);
    for (size_t i = 0; i < rule->index_count; i++) {
        const mm_job_index *from = &rule->indexes[i];
        if (mm_schema_find(out->mapping->target, from->field) < 0)
            return mm_error_set(err, MM_CONFIG, "%s:%d: index: `%s` has no field `%s`", session->job->path, rule->line,
                                out->mapping->target->name, from->field);
        indexes[i] = (mm_index_rule){from->field, from->index_type, from->metric_type, from->params};
    }
    out->sink.indexes = indexes;
    out->sink.index_count = rule->index_count;
    return MM_OK;
}

static mm_status resolve_conflict(const mm_session *session, mm_run_collection *out, mm_error *err)
{
    const char *choice = mm_options_str(session->job->target, "on_conflict");
    bool append = out->sink.if_exists == MM_EXISTS_APPEND;
    out->sink.upsert = choice ? strcmp(choice, "upsert") == 0 : append;
    if (append && !out->sink.upsert && !mm_options_bool(session->job->target, "at_least_once"))
        return mm_error_set(err, MM_CONFIG, "%s: on_conflict: insert into a collection that may hold the same keys "
                            "cannot be replayed after a crash; target.at_least_once: true accepts that",
                            out->sink.name);
    return MM_OK;
}

static mm_status check_auto_id(const mm_session *session, const mm_run_collection *collection, mm_error *err)
{
    const mm_schema *schema = collection->mapping->target;
    const mm_field *primary = &schema->fields[mm_schema_primary(schema)];
    if (!primary->auto_id || mm_options_bool(session->job->target, "at_least_once"))
        return MM_OK;
    return mm_error_set(err, MM_CONFIG, "%s: the primary key `%s` is autoID: new keys cannot be replayed after a crash; "
                        "target.at_least_once: true accepts that", schema->name, primary->name);
}

/* Everything that decides which rows arrive and how, in one line. */
static const char *mapping_text(mm_session *session, const mm_run_collection *collection)
{
    mm_buffer text = MM_BUFFER_INIT;
    const mm_schema *schema = collection->mapping->target;
    mm_buffer_printf(&text, "%s -> %s:", collection->from->schema.name, schema->name);
    for (size_t i = 0; i < schema->field_count; i++) {
        const mm_field *field = &schema->fields[i];
        const mm_field *from = &collection->from->schema.fields[collection->mapping->source_index[i]];
        mm_buffer_printf(&text, " %s=%s:%s", field->name, from->name, mm_type_name(field->type));
        if (field->dim > 0)
            mm_buffer_printf(&text, "(%u)", field->dim);
        if (field->max_length > 0)
            mm_buffer_printf(&text, "(%u)", field->max_length);
        if (field->primary)
            mm_buffer_printf(&text, ":primary");
    }
    mm_buffer_printf(&text, "; partitions");
    for (size_t i = 0; i < collection->sink.partition_count; i++)
        mm_buffer_printf(&text, " %s", collection->sink.partitions[i] ? collection->sink.partitions[i] : MM_DEFAULT_PARTITION);
    const char *copy = text.failed ? NULL : mm_arena_strdup(&session->arena, text.data);
    mm_buffer_free(&text);
    return copy;
}

static mm_status resolve_one(mm_session *session, const mm_job_collection *rule, uint32_t source, mm_run_collection *out,
                             mm_error *err)
{
    out->source = source;
    out->from = &session->catalog.collections[source];
    const char *name = rule && rule->to ? rule->to : out->from->schema.name;
    mm_status status = mm_mapping_build(&session->arena, &out->from->schema, rule ? rule->fields : NULL,
                                        rule ? rule->field_count : 0, name, &out->mapping, err);
    if (status != MM_OK)
        return status;
    out->sink.name = name;
    out->sink.schema = out->mapping->target;
    out->sink.if_exists = parse_if_exists(rule ? rule->if_exists : NULL);
    out->sink.load = rule ? rule->load : true;
    out->sink.rows = out->from->rows;
    out->sink.verify = session->job->verify != MM_VERIFY_NONE;
    status = resolve_partitions(session, rule, out, err);
    if (status == MM_OK)
        status = resolve_index(session, rule, out, err);
    if (status == MM_OK)
        status = resolve_conflict(session, out, err);
    if (status == MM_OK)
        status = check_auto_id(session, out, err);
    if (status != MM_OK)
        return status;
    out->mapping_text = mapping_text(session, out);
    return out->mapping_text ? MM_OK : no_memory(err);
}

static mm_status check_targets(const mm_session *session, mm_error *err)
{
    for (size_t i = 0; i < session->collection_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(session->collections[i].sink.name, session->collections[j].sink.name) == 0)
                return mm_error_set(err, MM_CONFIG, "two collections go to `%s`: merging is not supported yet",
                                    session->collections[i].sink.name);
    return MM_OK;
}

mm_status mm_collections_resolve(mm_session *session, mm_error *err)
{
    const mm_job *job = session->job;
    size_t count = job->collection_count > 0 ? job->collection_count : session->catalog.count;
    session->collections = mm_arena_array(&session->arena, count + 1, sizeof(mm_run_collection));
    session->sink_collections = mm_arena_array(&session->arena, count + 1, sizeof(mm_sink_collection));
    if (session->collections == NULL || session->sink_collections == NULL)
        return no_memory(err);
    memset(session->collections, 0, (count + 1) * sizeof(mm_run_collection));
    session->collection_count = count;
    for (size_t i = 0; i < count; i++) {
        const mm_job_collection *rule = job->collection_count > 0 ? &job->collections[i] : NULL;
        uint32_t source = (uint32_t)i;
        mm_status status = rule ? find_source(session, rule, &source, err) : MM_OK;
        if (status == MM_OK)
            status = resolve_one(session, rule, source, &session->collections[i], err);
        if (status != MM_OK)
            return status;
        session->sink_collections[i] = session->collections[i].sink;
    }
    return check_targets(session, err);
}
