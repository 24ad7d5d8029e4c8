/* What a collection holds: its mapping and a sample of its documents, given to mapping.c; how many there are; whether a
 * key can stand on two of them. */
#include <stdlib.h>
#include <string.h>

#include "sources/elastic/internal.h"

#define SAMPLE_HITS 200
#define SAMPLE_INDICES 16 /* of many indices of the same kind some are looked at */
#define VARIABLE_BYTES 48 /* of a value of variable length, about */

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a description");
}

void mm_elastic_query(const mm_source *source, const char *clause, mm_buffer *out)
{
    mm_buffer_printf(out, "{\"bool\":{\"filter\":[%s%s%s]}}", clause ? clause : "", clause && source->query ? "," : "",
                     source->query ? source->query : "");
}

/* "/a,b,c" of the first indices. */
static void put_indices(const mm_elastic_collection *c, size_t most, mm_buffer *out)
{
    for (size_t i = 0; i < c->index_count && i < most; i++)
        mm_buffer_printf(out, "%s%s", i > 0 ? "," : "/", c->indices[i].path + 1);
}

/* --- the sample ------------------------------------------------------------------------------------------------- */

/* The same documents each time, as long as they are not changed: the schema must not differ on resume. */
static mm_status fetch_sample(mm_source *source, const mm_elastic_collection *c, mm_http_reply *reply, mm_error *err)
{
    mm_buffer path = MM_BUFFER_INIT, body = MM_BUFFER_INIT;
    put_indices(c, SAMPLE_INDICES, &path);
    mm_buffer_printf(&path, "/_search?request_cache=false");
    mm_buffer_printf(&body, "{\"size\":%d,\"sort\":[\"%s\"],\"query\":", SAMPLE_HITS,
                     c->indices[0].seq_no ? "_seq_no" : "_doc");
    mm_elastic_query(source, NULL, &body);
    if (mm_elastic_hides_vectors(&source->server))
        mm_buffer_printf(&body, ",\"_source\":{\"exclude_vectors\":false}");
    mm_buffer_append(&body, "}", 1);
    mm_status status = path.failed || body.failed ? no_memory(err) : MM_OK;
    mm_elastic_call call = {.method = "POST", .path = path.data, .body = body.data, .body_size = body.size,
                            .reply_max = (size_t)256 << 20};
    if (status == MM_OK)
        status = mm_elastic_client_call(source->client, &call, reply, err);
    mm_buffer_free(&path);
    mm_buffer_free(&body);
    return status;
}

/* --- mappings --------------------------------------------------------------------------------------------------- */

static mm_status fetch_mapping(mm_source *source, const mm_elastic_index *index, mm_arena *arena, const char **out,
                               mm_error *err)
{
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    char *path = mm_format("%s/_mapping", index->path);
    mm_elastic_call call = {.method = "GET", .path = path};
    mm_status status = path ? mm_elastic_client_call(source->client, &call, &reply, err) : no_memory(err);
    if (status == MM_OK && (*out = mm_arena_strdup(arena, reply.body.data ? reply.body.data : "")) == NULL)
        status = no_memory(err);
    free(path);
    mm_http_reply_free(&reply);
    return status;
}

/* The columns' widths; what varies is guessed. */
static uint64_t row_bytes(const mm_schema *schema)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < schema->field_count; i++) {
        size_t width = mm_type_width(schema->fields[i].type, schema->fields[i].dim);
        bytes += width > 0 ? width : VARIABLE_BYTES;
    }
    return bytes;
}

static mm_status build_fields(mm_source *source, mm_elastic_collection *c, const mm_http_reply *sample, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    const char **mappings = mm_arena_array(&arena, c->index_count, sizeof(*mappings));
    mm_status status = mappings ? MM_OK : no_memory(err);
    for (size_t i = 0; status == MM_OK && i < c->index_count; i++)
        status = fetch_mapping(source, &c->indices[i], &arena, &mappings[i], err);
    mm_elastic_choice choice;
    if (status == MM_OK)
        status = mm_elastic_memo_choice(&source->arena, source->memo, c->name, &source->choice, &choice, err);
    if (status == MM_OK)
        status = mm_elastic_fields_build(&source->arena, c->name, &choice, mappings, c->index_count,
                                         sample->body.data, sample->body.size, &c->fields, err);
    if (status == MM_OK)
        mm_elastic_memo_follow(source->memo, c->name, c->fields);
    mm_arena_free(&arena);
    return status;
}

/* --- counts ----------------------------------------------------------------------------------------------------- */

static mm_status count(mm_source *source, const mm_elastic_collection *c, const char *clause, uint64_t *out,
                       mm_error *err)
{
    *out = 0;
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < c->index_count; i++) {
        cJSON *json = NULL;
        mm_buffer body = MM_BUFFER_INIT;
        char *path = mm_format("%s/_count", c->indices[i].path);
        mm_buffer_printf(&body, "{\"query\":");
        mm_elastic_query(source, clause, &body);
        mm_buffer_append(&body, "}", 1);
        status = path && !body.failed ? mm_elastic_json(source, "POST", path, body.data, &json, err) : no_memory(err);
        const cJSON *found = status == MM_OK ? cJSON_GetObjectItemCaseSensitive(json, "count") : NULL;
        if (status == MM_OK && (!cJSON_IsNumber(found) || found->valuedouble < 0))
            status = mm_error_set(err, MM_UNAVAILABLE, "%s/_count: the answer has no count", c->indices[i].name);
        if (status == MM_OK)
            *out += (uint64_t)found->valuedouble;
        cJSON_Delete(json);
        mm_buffer_free(&body);
        free(path);
    }
    return status;
}

/* An _id is unique in a shard; in an index, where no document chose its shard by a routing value. */
static mm_status prove_unique(mm_source *source, mm_elastic_collection *c, mm_error *err)
{
    uint64_t routed = 0;
    if (!c->fields->unique_by_id || c->index_count != 1)
        return MM_OK;
    mm_status status = MM_OK;
    if (c->indices[0].shards > 1)
        status = count(source, c, "{\"exists\":{\"field\":\"_routing\"}}", &routed, err);
    c->unique = status == MM_OK && routed == 0;
    return status;
}

static bool has_points(const mm_elastic_server *server)
{
    unsigned version = server->major * 100 + server->minor;
    return server->opensearch ? version >= 204 : version >= 712;
}

static mm_status check_field(mm_source *source, const mm_elastic_collection *c, mm_error *err)
{
    uint64_t without = 0;
    if (source->cursor_field == NULL || strpbrk(source->cursor_field, "\"\\*") != NULL)
        return mm_error_set(err, MM_CONFIG, "source.cursor_field: with cursor: field the name of a unique field is needed");
    char *clause = mm_format("{\"bool\":{\"must_not\":{\"exists\":{\"field\":\"%s\"}}}}", source->cursor_field);
    mm_status status = clause ? count(source, c, clause, &without, err) : no_memory(err);
    free(clause);
    if (status == MM_OK && without > 0)
        status = mm_error_set(err, MM_CONFIG, "%s: %llu documents have no `%s`: it cannot be the cursor", c->name,
                              (unsigned long long)without, source->cursor_field);
    return status;
}

mm_status mm_elastic_choose_way(mm_source *source, mm_elastic_collection *c, mm_error *err)
{
    static const char *const names[] = {"seq_no", "field", "pit", "scroll"};
    const char *wanted = mm_options_str(source->options, "cursor");
    bool numbered = true;
    for (size_t i = 0; i < c->index_count; i++)
        numbered = numbered && c->indices[i].seq_no;
    c->way = numbered               ? MM_ELASTIC_SEQ_NO
             : source->cursor_field ? MM_ELASTIC_FIELD
             : has_points(&source->server) ? MM_ELASTIC_PIT
                                           : MM_ELASTIC_SCROLL;
    for (size_t i = 0; i < MM_COUNT(names); i++)
        if (strcmp(wanted, names[i]) == 0)
            c->way = (mm_elastic_way)i;
    if (c->way == MM_ELASTIC_SEQ_NO && !numbered)
        return mm_error_set(err, MM_CONFIG, "%s: an index has no sequence numbers to sort by: cursor: pit or field",
                            c->name);
    return c->way == MM_ELASTIC_FIELD ? check_field(source, c, err) : MM_OK;
}

/* What is relative to the time of the search may come to match later. */
static bool is_bounded(const mm_source *source, const mm_elastic_collection *c)
{
    bool relative = source->query != NULL && strcasestr(source->query, "now") != NULL;
    return c->way == MM_ELASTIC_SEQ_NO && source->choice.explode == NULL && !relative;
}

mm_status mm_elastic_describe(mm_source *source, mm_elastic_collection *c, mm_error *err)
{
    mm_http_reply sample = MM_HTTP_REPLY_INIT;
    mm_status status = mm_elastic_choose_way(source, c, err);
    if (status == MM_OK)
        status = fetch_sample(source, c, &sample, err);
    if (status == MM_OK)
        status = build_fields(source, c, &sample, err);
    if (status == MM_OK)
        status = count(source, c, NULL, &c->documents, err);
    if (status == MM_OK)
        status = prove_unique(source, c, err);
    if (status == MM_OK) {
        c->bounded = is_bounded(source, c);
        uint64_t hits = c->documents < SAMPLE_HITS ? c->documents : SAMPLE_HITS;
        uint64_t each = hits > 0 ? sample.body.size / hits : 1024;
        c->row_bytes = row_bytes(c->fields->schema);
        c->document_bytes = (uint32_t)(each < 64 ? 64 : each > UINT32_MAX ? UINT32_MAX : each);
    }
    mm_http_reply_free(&sample);
    return status;
}
