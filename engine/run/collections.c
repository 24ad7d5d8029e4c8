/* Resolving `collections:` of a job: which of the source's collections move, under which names, with
 * which fields and partitions. The result is frozen in the plan as text and compared on resume. */
#include "run/collections.h"

#include <inttypes.h>
#include <stdlib.h>
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

/* Target partitions of `from`, behind those that are there already. */
static mm_status resolve_partitions(mm_session *session, const mm_job_collection *rule, const mm_collection *from,
                                    mm_run_collection *out, mm_error *err)
{
    size_t before = out->sink.partition_count, count = from->partition_count > 0 ? from->partition_count : 1;
    const char **all = mm_arena_array(&session->arena, before + count, sizeof(*all));
    if (all == NULL)
        return no_memory(err);
    if (before > 0)
        memcpy(all, out->sink.partitions, before * sizeof(*all));
    const char **names = all + before;
    for (size_t i = 0; i < count; i++) {
        names[i] = from->partition_count > 0 ? from->partitions[i] : NULL;
        for (size_t j = 0; rule && names[i] && j < rule->partition_count; j++)
            if (strcmp(rule->partition_from[j], from->partitions[i]) == 0)
                names[i] = rule->partition_to[j];
        if (rule && rule->partition)
            names[i] = rule->partition;
        if (names[i] && strcmp(names[i], MM_DEFAULT_PARTITION) == 0)
            names[i] = NULL;
    }
    out->sink.partitions = all;
    out->sink.partition_count = before + count;
    return MM_OK;
}

static mm_status resolve_index(mm_session *session, const mm_job_collection *rule, mm_run_collection *out,
                               mm_error *err)
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
    return mm_error_set(err, MM_CONFIG,
                        "%s: the primary key `%s` is autoID: new keys cannot be replayed after a crash; "
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
        mm_buffer_printf(&text, " %s",
                         collection->sink.partitions[i] ? collection->sink.partitions[i] : MM_DEFAULT_PARTITION);
    const char *copy = text.failed ? NULL : mm_arena_strdup(&session->arena, text.data);
    mm_buffer_free(&text);
    return copy;
}

/* The source that a partition of the collection comes from. */
static const mm_run_source *find_part(const mm_run_collection *collection, uint32_t partition)
{
    size_t at = collection->source_count - 1;
    while (at > 0 && collection->sources[at].first_partition > partition)
        at--;
    return &collection->sources[at];
}

static mm_status add_source(mm_session *session, uint32_t source, mm_run_collection *out, mm_error *err)
{
    mm_run_source *sources = mm_arena_array(&session->arena, out->source_count + 1, sizeof(*sources));
    if (sources == NULL)
        return no_memory(err);
    if (out->source_count > 0)
        memcpy(sources, out->sources, out->source_count * sizeof(*sources));
    sources[out->source_count] = (mm_run_source){source, (uint32_t)out->sink.partition_count};
    out->sources = sources;
    out->source_count++;
    return MM_OK;
}

static mm_status resolve_one(mm_session *session, const mm_job_collection *rule, uint32_t source,
                             mm_run_collection *out, mm_error *err)
{
    out->from = &session->catalog.collections[source];
    mm_status status = add_source(session, source, out, err);
    if (status != MM_OK)
        return status;
    const char *name = rule && rule->to ? rule->to : out->from->schema.name;
    status = mm_mapping_build(&session->arena, &out->from->schema, rule ? rule->fields : NULL,
                              rule ? rule->field_count : 0, name, &out->mapping, err);
    if (status != MM_OK)
        return rule ? mm_error_context(err, "%s:%d", session->job->path, rule->line) : status;
    out->sink.name = name;
    out->sink.schema = out->mapping->target;
    out->sink.if_exists = parse_if_exists(rule ? rule->if_exists : NULL);
    out->sink.load = rule ? rule->load : true;
    out->sink.rows = out->from->rows;
    out->sink.verify = session->job->verify != MM_VERIFY_NONE;
    status = resolve_partitions(session, rule, out->from, out, err);
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

/* ---- several collections into one ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_field(const mm_field *a, const mm_field *b)
{
    return strcmp(a->name, b->name) == 0 && a->type == b->type && a->element_type == b->element_type &&
           a->dim == b->dim && a->max_length == b->max_length && a->max_capacity == b->max_capacity &&
           a->primary == b->primary && a->auto_id == b->auto_id && a->nullable == b->nullable &&
           a->partition_key == b->partition_key && a->dynamic == b->dynamic;
}

/* Batches of both go through one mapping: the fields have to be the same before it. */
static mm_status check_same_schema(const mm_session *session, const mm_job_collection *rule,
                                   const mm_run_collection *into, const mm_collection *from, mm_error *err)
{
    const mm_schema *a = &into->from->schema, *b = &from->schema;
    size_t at = 0;
    while (at < a->field_count && at < b->field_count && same_field(&a->fields[at], &b->fields[at]))
        at++;
    if (at == a->field_count && at == b->field_count)
        return MM_OK;
    const char *field = at < b->field_count ? b->fields[at].name : a->fields[at].name;
    return mm_error_set(err, MM_CONFIG, "%s:%d: `%s` cannot go to `%s` too: its field `%s` is not as in `%s`, and only "
                        "collections of the same fields can be merged", session->job->path, rule->line, b->name,
                        into->sink.name, field, a->name);
}

static bool same_rule(const mm_field_rule *a, const mm_field_rule *b)
{
    return same_text(a->from, b->from) && same_text(a->to, b->to) && a->type == b->type && a->primary == b->primary &&
           a->max_length == b->max_length;
}

static bool same_index(const mm_job_index *a, const mm_job_index *b)
{
    return same_text(a->field, b->field) && same_text(a->index_type, b->index_type) &&
           same_text(a->metric_type, b->metric_type) && same_text(a->params, b->params);
}

/* What holds for the target's collection is said once, or twice the same. */
static const char *different_key(const mm_job_collection *a, const mm_job_collection *b)
{
    bool fields = a->field_count == b->field_count;
    bool index = a->index_count == b->index_count && same_text(a->index_mode, b->index_mode);
    for (size_t i = 0; fields && i < a->field_count; i++)
        fields = same_rule(&a->fields[i], &b->fields[i]);
    for (size_t i = 0; index && i < a->index_count; i++)
        index = same_index(&a->indexes[i], &b->indexes[i]);
    return !fields                                    ? "fields"
           : !index                                   ? "index"
           : !same_text(a->if_exists, b->if_exists) ? "if_exists"
           : a->load != b->load                       ? "load"
                                                      : NULL;
}

/* One collection in the place of all that are merged: names joined, rows and bytes added up. */
static mm_status join_sources(mm_session *session, mm_run_collection *out, const mm_collection *from, mm_error *err)
{
    mm_collection *all = mm_arena_alloc(&session->arena, sizeof(*all));
    char *names = mm_format("%s + %s", out->from->schema.name, from->schema.name);
    if (all == NULL || names == NULL) {
        free(names);
        return no_memory(err);
    }
    *all = *out->from;
    all->schema.name = mm_arena_strdup(&session->arena, names);
    free(names);
    bool known = all->rows != MM_ROWS_UNKNOWN && from->rows != MM_ROWS_UNKNOWN;
    all->rows = known ? all->rows + from->rows : MM_ROWS_UNKNOWN;
    all->bytes += from->bytes;
    all->rows_exact = all->rows_exact && from->rows_exact;
    all->rows_bound = all->rows_bound && from->rows_bound;
    all->unique_keys = false;
    all->partitions = NULL; /* numbered by mm_run_source */
    all->partition_count = 0;
    out->from = all;
    out->sink.rows = all->rows;
    return all->schema.name ? MM_OK : no_memory(err);
}

static mm_status merge(mm_session *session, const mm_job_collection *first, const mm_job_collection *rule,
                       uint32_t source, mm_run_collection *into, mm_error *err)
{
    const mm_collection *from = &session->catalog.collections[source];
    const char *key = different_key(first, rule);
    for (size_t i = 0; i < into->source_count; i++)
        if (into->sources[i].number == source)
            return mm_error_set(err, MM_CONFIG, "%s:%d: `%s` goes to `%s` twice", session->job->path, rule->line,
                                from->schema.name, into->sink.name);
    if (key)
        return mm_error_set(err, MM_CONFIG, "%s:%d: `%s` of `%s` is not as in line %d, and both go to `%s`",
                            session->job->path, rule->line, key, from->schema.name, first->line, into->sink.name);
    mm_status status = check_same_schema(session, rule, into, from, err);
    if (status == MM_OK)
        status = add_source(session, source, into, err);
    if (status == MM_OK)
        status = resolve_partitions(session, rule, from, into, err);
    if (status == MM_OK)
        status = join_sources(session, into, from, err);
    if (status != MM_OK)
        return status;
    into->mapping_text = mapping_text(session, into);
    return into->mapping_text ? MM_OK : no_memory(err);
}

/* The collection of that name among those that are resolved, and the rule that made it. */
static mm_run_collection *find_target(mm_session *session, const char *name)
{
    for (size_t i = 0; i < session->collection_count; i++)
        if (strcmp(session->collections[i].sink.name, name) == 0)
            return &session->collections[i];
    return NULL;
}

mm_extent mm_collections_extent(const mm_run_collection *collection, const mm_task *task)
{
    const mm_run_source *source = find_part(collection, task->partition);
    return (mm_extent){.collection = source->number, .partition = task->partition - source->first_partition,
                       .rows = task->rows, .bytes = task->bytes, .spec = task->spec, .spec_size = task->spec_size};
}

const char *mm_collections_source_name(const mm_session *session, const mm_run_collection *collection,
                                       uint32_t partition)
{
    return session->catalog.collections[find_part(collection, partition)->number].schema.name;
}

mm_status mm_collections_fingerprint(mm_session *session, const mm_run_collection *collection, mm_arena *arena,
                                     const char **out, mm_error *err)
{
    mm_buffer text = MM_BUFFER_INIT;
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < collection->source_count; i++) {
        char one[MM_FINGERPRINT_MAX];
        uint32_t number = collection->sources[i].number;
        status = session->sources->fingerprint(session->source, number, one, err);
        if (status == MM_OK && collection->source_count > 1)
            mm_buffer_printf(&text, "%s%s: ", i > 0 ? "; " : "", session->catalog.collections[number].schema.name);
        if (status == MM_OK)
            mm_buffer_printf(&text, "%s", one);
    }
    const char *copy = status == MM_OK && !text.failed ? mm_arena_strdup(arena, text.data ? text.data : "") : NULL;
    mm_buffer_free(&text);
    if (status == MM_OK && copy == NULL)
        return no_memory(err);
    if (status == MM_OK)
        *out = copy;
    return status;
}

typedef struct numbering {
    uint32_t first_partition;
    mm_extent_fn emit;
    void *context;
} numbering;

static mm_status number_extent(void *context, const mm_extent *extent, mm_error *err)
{
    const numbering *n = context;
    mm_extent numbered = *extent;
    numbered.partition += n->first_partition;
    return n->emit(n->context, &numbered, err);
}

mm_status mm_collections_plan(mm_session *session, const mm_run_collection *collection, mm_extent_fn emit,
                              void *context, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < collection->source_count; i++) {
        numbering n = {collection->sources[i].first_partition, emit, context};
        status = session->sources->plan(session->source, collection->sources[i].number, number_extent, &n, err);
    }
    return status;
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
    const mm_job_collection **rules = mm_arena_array(&session->arena, count + 1, sizeof(*rules));
    if (rules == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const mm_job_collection *rule = job->collection_count > 0 ? &job->collections[i] : NULL;
        uint32_t source = (uint32_t)i;
        mm_status status = rule ? find_source(session, rule, &source, err) : MM_OK;
        if (status != MM_OK)
            return status;
        const char *name = rule && rule->to ? rule->to : session->catalog.collections[source].schema.name;
        mm_run_collection *there = find_target(session, name);
        size_t at = there ? (size_t)(there - session->collections) : session->collection_count;
        if (there && rule == NULL)
            return mm_error_set(err, MM_CONFIG, "the source has two collections `%s`", name);
        if (there == NULL)
            rules[session->collection_count++] = rule;
        status = there ? merge(session, rules[at], rule, source, there, err)
                       : resolve_one(session, rule, source, &session->collections[at], err);
        if (status != MM_OK)
            return status;
        session->sink_collections[at] = session->collections[at].sink;
    }
    return MM_OK;
}
