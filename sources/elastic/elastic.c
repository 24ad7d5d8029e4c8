/* The drivers elasticsearch and opensearch: one implementation, two names; the server says which it is. */
#include "sources/elastic/elastic.h"

#include <stdlib.h>
#include <string.h>

#include "sources/elastic/internal.h"
#include "storage/storage.h"

/* --- options ---------------------------------------------------------------------------------------------------- */

static const mm_option options[] = {
    MM_ELASTIC_CLIENT_OPTIONS,
    {.name = "index", .type = MM_OPT_LIST, .required = true, .decides = true,
     .help = "indices, aliases, data streams or patterns; each is a collection, a pattern's indices one each"},
    {.name = "collection", .type = MM_OPT_STRING, .decides = true,
     .help = "name of the one collection that all of them make; default: one each"},
    {.name = "query", .type = MM_OPT_STRING, .decides = true,
     .help = "query in the server's language, as JSON: only the documents that it matches"},
    {.name = "primary_key", .type = MM_OPT_STRING, .default_value = "_id", .decides = true,
     .help = "_id (VarChar), _id_hash (Int64, a hash of it), or the name of a numeric or keyword field"},
    {.name = "id_length", .type = MM_OPT_INT, .choices = "1..65535", .default_value = "512", .decides = true,
     .help = "max_length of _id; no _id has more than 512 bytes"},
    {.name = "with_index", .type = MM_OPT_BOOL, .default_value = "false", .decides = true,
     .help = "a field _index: the name of the index"},
    {.name = "with_routing", .type = MM_OPT_BOOL, .default_value = "false", .decides = true,
     .help = "a field _routing: the routing value"},
    {.name = "include", .type = MM_OPT_LIST, .decides = true, .help = "names or patterns of fields; default: all"},
    {.name = "exclude", .type = MM_OPT_LIST, .decides = true, .help = "names or patterns of fields to leave out"},
    {.name = "types", .type = MM_OPT_LIST, .decides = true,
     .help = "other types than those inferred, each `name Type(…) [nullable]`"},
    {.name = "dates", .type = MM_OPT_ENUM, .choices = "epoch|text", .default_value = "epoch", .decides = true,
     .help = "date and date_nanos as Int64 (milliseconds, nanoseconds), or as they were written"},
    {.name = "geo", .type = MM_OPT_ENUM, .choices = "json|wkt", .default_value = "json", .decides = true,
     .help = "geo_point as JSON, or as WKT in a VarChar"},
    {.name = "arrays", .type = MM_OPT_ENUM, .choices = "json|array", .default_value = "json", .decides = true,
     .help = "fields with several values as JSON or as Array"},
    {.name = "json", .type = MM_OPT_ENUM, .choices = "any|object", .default_value = "any", .decides = true,
     .help = "JSON as it stands, or objects only, which Milvus before 2.4 wants: other values as {\"value\": …}"},
    {.name = "nulls", .type = MM_OPT_ENUM, .choices = "auto|nullable|default|reject", .default_value = "auto",
     .decides = true,
     .help = "documents without a value: auto: null where the sample has such, else a reject; default: 0, \"\", {}, []"},
    {.name = "explode", .type = MM_OPT_STRING, .decides = true,
     .help = "a nested field with a vector: a row for each of its objects"},
    {.name = "cursor", .type = MM_OPT_ENUM, .choices = "auto|seq_no|field|pit|scroll", .default_value = "auto",
     .decides = true,
     .help = "order in which a shard is read; auto: seq_no, where an index has none cursor_field, else pit, else scroll"},
    {.name = "cursor_field", .type = MM_OPT_STRING, .decides = true,
     .help = "numeric or keyword field with another value in each document, for cursor: field"},
    {.name = "keep_alive", .type = MM_OPT_DURATION, .default_value = "10m",
     .help = "how long the server keeps a point in time or a scroll that is not asked for"},
    {.name = "catch_up", .type = MM_OPT_INT, .choices = "0..1000", .default_value = "3",
     .help = "passes over what was written during the run, at most; 0: the documents as they were read"},
    {.name = "extent_bytes", .type = MM_OPT_SIZE, .default_value = "8MiB",
     .help = "bytes of column values in one extent, the part of a shard that is one task"},
    {.name = "page_bytes", .type = MM_OPT_SIZE, .choices = "64KiB..256MiB", .default_value = "8MiB",
     .help = "bytes of one reply, about"},
    {.name = "page_rows", .type = MM_OPT_INT, .choices = "1..10000", .default_value = "10000",
     .help = "documents of one reply at most"},
    MM_STORAGE_OPTIONS,
};

/* --- opening ---------------------------------------------------------------------------------------------------- */

static void source_close(mm_source *source)
{
    if (source == NULL)
        return;
    mm_elastic_client_close(source->client);
    mm_arena_free(&source->arena);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

static mm_status check_query(mm_source *source, mm_error *err)
{
    source->query = mm_options_str(source->options, "query");
    if (source->query == NULL)
        return MM_OK;
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithOpts(source->query, &end, true);
    bool good = cJSON_IsObject(json);
    cJSON_Delete(json);
    if (good)
        return MM_OK;
    return mm_error_set(err, MM_CONFIG, "source.query: not a JSON object, such as {\"term\":{\"lang\":\"en\"}}");
}

static mm_status read_options(mm_source *source, const mm_options *given, mm_error *err)
{
    mm_elastic_choice *choice = &source->choice;
    source->options = given;
    choice->primary_key = mm_options_str(given, "primary_key");
    choice->id_length = (uint32_t)mm_options_int(given, "id_length");
    choice->with_index = mm_options_bool(given, "with_index");
    choice->with_routing = mm_options_bool(given, "with_routing");
    choice->include_count = mm_options_list(given, "include", &choice->include);
    choice->exclude_count = mm_options_list(given, "exclude", &choice->exclude);
    choice->type_count = mm_options_list(given, "types", &choice->types);
    choice->dates = mm_options_str(given, "dates");
    choice->geo = mm_options_str(given, "geo");
    choice->arrays = mm_options_str(given, "arrays");
    choice->json = mm_options_str(given, "json");
    choice->nulls = mm_options_str(given, "nulls");
    choice->explode = mm_options_str(given, "explode");
    source->extent_bytes = mm_options_size(given, "extent_bytes");
    source->cursor_field = mm_options_str(given, "cursor_field");
    source->keep_alive_s = mm_options_ms(given, "keep_alive") / 1000 + 1;
    source->page_bytes = mm_options_size(given, "page_bytes");
    source->page_rows = (uint32_t)mm_options_int(given, "page_rows");
    if (source->extent_bytes == 0)
        return mm_error_set(err, MM_CONFIG, "source.extent_bytes: 0 bytes hold no row");
    return check_query(source, err);
}

static mm_status source_open(const mm_options *given, mm_source **out, mm_error *err)
{
    mm_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a source");
    pthread_mutex_init(&source->lock, NULL);
    mm_status status = read_options(source, given, err);
    if (status == MM_OK)
        status = mm_elastic_client_open(given, &source->client, err);
    if (status != MM_OK) {
        source_close(source);
        return status;
    }
    *out = source;
    return MM_OK;
}

/* The server known, indices found, schemas inferred: once. */
static mm_status prepare(mm_source *source, mm_error *err)
{
    mm_status status = MM_OK;
    pthread_mutex_lock(&source->lock);
    if (!source->found)
        status = mm_elastic_identify(source, err);
    source->choice.opensearch = source->server.opensearch;
    if (status == MM_OK && !source->found)
        status = mm_elastic_find(source, err);
    for (size_t i = 0; status == MM_OK && !source->described && i < source->count; i++)
        status = mm_elastic_describe(source, &source->collections[i], err);
    source->described = source->described || status == MM_OK;
    pthread_mutex_unlock(&source->lock);
    return status;
}

/* --- the contract ----------------------------------------------------------------------------------------------- */

static mm_status source_describe(mm_source *source, mm_catalog *out, mm_error *err)
{
    mm_status status = prepare(source, err);
    if (status != MM_OK)
        return status;
    out->collections = mm_arena_array(&out->arena, source->count, sizeof(*out->collections));
    for (size_t i = 0; out->collections && i < source->count; i++) {
        const mm_elastic_collection *c = &source->collections[i];
        mm_schema *schema = mm_schema_copy(&out->arena, c->fields->schema);
        if (schema == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for a catalog");
        out->collections[i] = (mm_collection){.schema = *schema, .rows = c->documents,
                                              .bytes = c->documents * c->row_bytes, .rows_bound = c->bounded,
                                              .unique_keys = c->unique};
    }
    if (out->collections == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a catalog");
    out->count = source->count;
    return MM_OK;
}

static mm_status source_memo(mm_source *source, mm_buffer *text, mm_error *err)
{
    mm_status status = prepare(source, err);
    for (size_t i = 0; status == MM_OK && i < source->count; i++)
        mm_elastic_memo_write(&source->collections[i], &source->choice, text);
    return status == MM_OK && text->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory for a memo") : status;
}

static mm_status source_recall(mm_source *source, const char *memo, mm_error *err)
{
    source->memo = mm_arena_strdup(&source->arena, memo);
    return source->memo ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory for a memo");
}

static const char *source_notes(mm_source *source, uint32_t number)
{
    return source->collections[number].fields->lost;
}

static mm_status source_fingerprint(mm_source *source, uint32_t number, char out[MM_FINGERPRINT_MAX], mm_error *err)
{
    mm_status status = prepare(source, err);
    return status == MM_OK ? mm_elastic_fingerprint(source, &source->collections[number], out, err) : status;
}

static mm_status source_plan(mm_source *source, uint32_t number, mm_extent_fn emit, void *context, mm_error *err)
{
    mm_status status = prepare(source, err);
    return status == MM_OK ? mm_elastic_plan(source, number, emit, context, err) : status;
}

static mm_status source_read_open(mm_source *source, const mm_extent *extent, const mm_cursor *cursor,
                                  mm_read_mode mode, mm_reader **out, mm_error *err)
{
    mm_status status = prepare(source, err);
    if (status == MM_OK && extent->collection >= source->count)
        status = mm_error_set(err, MM_CHANGED, "there are %zu collections, and the plan has more", source->count);
    if (status != MM_OK)
        return status;
    return mm_elastic_read_open(source, &source->collections[extent->collection], extent, cursor, mode, out, err);
}

static mm_status source_plan_changes(mm_source *source, uint32_t number, mm_extent_walk former, void *former_context,
                                     mm_extent_fn emit, void *context, mm_error *err)
{
    mm_status status = prepare(source, err);
    if (status != MM_OK)
        return status;
    return mm_elastic_plan_changes(source, number, former, former_context, emit, context, err);
}

static mm_status source_count(mm_source *source, uint32_t number, mm_extent_walk former, void *former_context,
                              uint64_t *rows, mm_error *err)
{
    mm_status status = prepare(source, err);
    return status == MM_OK ? mm_elastic_count(source, number, former, former_context, rows, err) : status;
}

#define DRIVER(name_, summary_, inspect_)                                                                                   \
    {                                                                                                              \
        .abi = MM_SOURCE_ABI, .name = name_, .summary = summary_,                                                  \
        .capabilities = MM_SOURCE_KEYS | MM_SOURCE_MUTABLE | MM_SOURCE_LIVE, .options = options,                   \
        .option_count = MM_COUNT(options), .open = source_open, .close = source_close,                             \
        .memo = source_memo, .recall = source_recall, .describe = source_describe, .notes = source_notes,          \
        .fingerprint = source_fingerprint,                                                                         \
        .plan = source_plan, .plan_changes = source_plan_changes, .count = source_count,                           \
        .read_open = source_read_open, .next = mm_elastic_read_next, .read_close = mm_elastic_read_close,          \
        .inspect = inspect_                                                                                        \
    }

const mm_source_driver mm_source_elasticsearch =
    DRIVER("elasticsearch", "Elasticsearch 7 to 9: indices, aliases, data streams", mm_elastic_inspect);
/* inspect: elasticsearch's tells of both */
const mm_source_driver mm_source_opensearch =
    DRIVER("opensearch", "OpenSearch 1 to 3: indices, aliases, data streams", NULL);
