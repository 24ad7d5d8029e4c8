/* Requests of a reader, by its kind of cursor, and the marks that cursors leave in the savepoints. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sources/elastic/internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a request");
}

void mm_elastic_request_free(mm_elastic_request *r)
{
    mm_buffer_free(&r->value);
    mm_buffer_free(&r->context);
    mm_buffer_free(&r->path);
    mm_buffer_free(&r->body);
}

void mm_elastic_request_restart(mm_elastic_request *r)
{
    r->value.size = r->context.size = 0;
    r->before = 0;
}

static const char *text_of(const mm_buffer *buffer)
{
    return buffer->size > 0 ? buffer->data : "";
}

/* --- points in time --------------------------------------------------------------------------------------------- */

static mm_status open_point(mm_elastic_request *r, mm_error *err)
{
    bool opensearch = r->source->server.opensearch;
    cJSON *json = NULL;
    char *path = mm_format("%s/%s?keep_alive=%" PRIu64 "s&preference=_shards:%u", r->extent.index->path,
                           opensearch ? "_search/point_in_time" : "_pit", r->source->keep_alive_s, r->extent.shard);
    mm_status status = path ? mm_elastic_json(r->source, "POST", path, NULL, &json, err) : no_memory(err);
    free(path);
    if (status != MM_OK)
        return status;
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, opensearch ? "pit_id" : "id"));
    if (id == NULL)
        status = mm_error_set(err, MM_UNAVAILABLE, "%s: no point in time in the answer", r->extent.index->name);
    else
        mm_buffer_append(&r->context, id, strlen(id));
    cJSON_Delete(json);
    return r->context.failed ? no_memory(err) : status;
}

void mm_elastic_request_end(mm_elastic_request *r)
{
    mm_error err = MM_ERROR_INIT;
    cJSON *json = NULL;
    char *body = NULL;
    const char *path = "/_pit";
    if (r->context.size == 0)
        return;
    if (r->extent.way == MM_ELASTIC_SCROLL) {
        path = "/_search/scroll";
        body = mm_format("{\"scroll_id\":\"%s\"}", r->context.data);
    } else if (r->source->server.opensearch) {
        path = "/_search/point_in_time";
        body = mm_format("{\"pit_id\":[\"%s\"]}", r->context.data);
    } else {
        body = mm_format("{\"id\":\"%s\"}", r->context.data);
    }
    if (body && mm_elastic_json(r->source, "DELETE", path, body, &json, &err) != MM_OK)
        mm_log(MM_LOG_DEBUG, "%s", err.text); /* it expires by itself */
    cJSON_Delete(json);
    free(body);
    r->context.size = 0;
}

/* --- pages ------------------------------------------------------------------------------------------------------ */

static void put_clause(const mm_elastic_request *r, char *out, size_t size)
{
    if (r->extent.way == MM_ELASTIC_SEQ_NO)
        snprintf(out, size, "{\"range\":{\"_seq_no\":{\"gt\":%" PRId64 ",\"lte\":%" PRId64 "}}}", r->after, r->extent.upto);
    else if (r->extent.way == MM_ELASTIC_FIELD && r->value.size > 0)
        snprintf(out, size, "{\"range\":{\"%s\":{\"gt\":%s}}}", r->source->cursor_field, r->value.data);
}

static void put_order(mm_elastic_request *r)
{
    switch (r->extent.way) {
    case MM_ELASTIC_SEQ_NO:
        mm_buffer_printf(&r->body, ",\"seq_no_primary_term\":true,\"sort\":[{\"_seq_no\":\"asc\"}]");
        break;
    case MM_ELASTIC_FIELD:
        mm_buffer_printf(&r->body, ",\"sort\":[{\"%s\":\"asc\"}]", r->source->cursor_field);
        break;
    case MM_ELASTIC_PIT:
        mm_buffer_printf(&r->body, ",\"pit\":{\"id\":\"%s\",\"keep_alive\":\"%" PRIu64 "s\"},\"sort\":[{\"%s\":\"asc\"}]",
                         text_of(&r->context), r->source->keep_alive_s,
                         r->source->server.opensearch ? "_doc" : "_shard_doc");
        if (r->value.size > 0)
            mm_buffer_printf(&r->body, ",\"search_after\":[%s]", r->value.data);
        break;
    case MM_ELASTIC_SCROLL:
        mm_buffer_printf(&r->body, ",\"sort\":[\"_doc\"]");
        break;
    }
}

static void put_path(mm_elastic_request *r)
{
    if (r->extent.way == MM_ELASTIC_PIT) { /* index and shard are the point's */
        mm_buffer_printf(&r->path, "/_search?allow_partial_search_results=false");
        return;
    }
    mm_buffer_printf(&r->path, "%s/_search?preference=_shards:%u&allow_partial_search_results=false", r->extent.index->path,
                     r->extent.shard);
    if (r->extent.way == MM_ELASTIC_SCROLL)
        mm_buffer_printf(&r->path, "&scroll=%" PRIu64 "s", r->source->keep_alive_s);
    else
        mm_buffer_printf(&r->path, "&request_cache=false");
}

static void put_search(mm_elastic_request *r, uint32_t rows)
{
    char clause[1024] = "";
    put_clause(r, clause, sizeof(clause));
    put_path(r);
    mm_buffer_printf(&r->body, "{\"size\":%u,\"track_total_hits\":true", rows);
    put_order(r);
    mm_buffer_printf(&r->body, ",\"_source\":");
    mm_elastic_fields_source(r->collection->fields, r->keys, mm_elastic_hides_vectors(&r->source->server), &r->body);
    mm_buffer_printf(&r->body, ",\"query\":");
    mm_elastic_query(r->source, clause[0] ? clause : NULL, &r->body);
    mm_buffer_append(&r->body, "}", 1);
}

mm_status mm_elastic_request_page(mm_elastic_request *r, uint32_t rows, size_t reply_max, mm_http_reply *reply,
                                  mm_error *err)
{
    mm_status status = MM_OK;
    bool scrolling = r->extent.way == MM_ELASTIC_SCROLL && r->context.size > 0;
    r->path.size = r->body.size = 0;
    if (r->extent.way == MM_ELASTIC_PIT && r->context.size == 0)
        status = open_point(r, err);
    if (status != MM_OK)
        return status;
    if (scrolling) {
        mm_buffer_printf(&r->path, "/_search/scroll");
        mm_buffer_printf(&r->body, "{\"scroll\":\"%" PRIu64 "s\",\"scroll_id\":\"%s\"}", r->source->keep_alive_s,
                         r->context.data);
    } else {
        put_search(r, rows);
    }
    if (r->path.failed || r->body.failed)
        return no_memory(err);
    mm_elastic_call call = {.method = "POST", .path = r->path.data, .body = r->body.data, .body_size = r->body.size,
                            .reply_max = reply_max, .once = scrolling};
    return mm_elastic_client_call(r->source->client, &call, reply, err);
}

mm_status mm_elastic_request_note(mm_elastic_request *r, const mm_elastic_envelope *envelope, mm_error *err)
{
    if (r->extent.way != MM_ELASTIC_PIT && r->extent.way != MM_ELASTIC_SCROLL)
        return MM_OK;
    if (envelope->context == NULL || envelope->context_size == 0 ||
        memchr(envelope->context, '\\', envelope->context_size) != NULL)
        return mm_error_set(err, MM_DATA, "%s: the answer does not name its context", r->extent.index->name);
    r->context.size = 0;
    mm_buffer_append(&r->context, envelope->context, envelope->context_size);
    return r->context.failed ? no_memory(err) : MM_OK;
}

/* [value] */
static mm_status take_value(mm_elastic_request *r, const mm_elastic_rows *rows, mm_error *err)
{
    if (rows->sort == NULL || rows->sort_size < 3 || rows->sort[0] != '[' || rows->sort[rows->sort_size - 1] != ']' ||
        strncmp(rows->sort + 1, "null", 4) == 0)
        return mm_error_set(err, MM_DATA, "%s: a document without the value that it is sorted by", r->extent.index->name);
    r->value.size = 0;
    mm_buffer_append(&r->value, rows->sort + 1, rows->sort_size - 2);
    return r->value.failed ? no_memory(err) : MM_OK;
}

mm_status mm_elastic_request_advance(mm_elastic_request *r, const mm_elastic_rows *rows, mm_error *err)
{
    r->before += rows->documents;
    if (r->extent.way == MM_ELASTIC_SEQ_NO) {
        r->after = (int64_t)rows->seq_no;
        return MM_OK;
    }
    return r->extent.way == MM_ELASTIC_SCROLL ? MM_OK : take_value(r, rows, err);
}

/* --- marks ------------------------------------------------------------------------------------------------------ */

/* "12345"; the value; "documents value context"; "scroll". */
mm_status mm_elastic_mark_write(const mm_elastic_request *r, mm_cursor *out, mm_error *err)
{
    char *mark = (char *)out->mark;
    int size = 0;
    switch (r->extent.way) {
    case MM_ELASTIC_SEQ_NO:
        size = snprintf(mark, MM_MARK_MAX, "%" PRId64, r->after);
        break;
    case MM_ELASTIC_FIELD:
        size = snprintf(mark, MM_MARK_MAX, "%s", text_of(&r->value));
        break;
    case MM_ELASTIC_PIT:
        size = snprintf(mark, MM_MARK_MAX, "%" PRIu64 " %s %s", r->before, text_of(&r->value), text_of(&r->context));
        break;
    case MM_ELASTIC_SCROLL:
        size = snprintf(mark, MM_MARK_MAX, "scroll");
        break;
    }
    if (size <= 0 || size >= MM_MARK_MAX)
        return mm_error_set(err, MM_CONFIG, "%s: the cursor has more than %d bytes: another source.cursor or cursor_field is "
                                            "needed", r->extent.index->name, MM_MARK_MAX - 1);
    out->mark_size = (uint32_t)size;
    return MM_OK;
}

static bool read_point(mm_elastic_request *r, const char *text)
{
    char *end = NULL;
    r->before = strtoull(text, &end, 10);
    const char *value = *end == ' ' ? end + 1 : NULL, *space = value ? strchr(value, ' ') : NULL;
    if (end == text || space == NULL || space == value || space[1] == '\0')
        return false;
    mm_buffer_append(&r->value, value, (size_t)(space - value));
    mm_buffer_append(&r->context, space + 1, strlen(space + 1));
    return true;
}

bool mm_elastic_mark_read(mm_elastic_request *r, const mm_cursor *cursor)
{
    char text[MM_MARK_MAX + 1], *end = NULL;
    if (cursor->mark_size == 0)
        return false;
    memcpy(text, cursor->mark, cursor->mark_size);
    text[cursor->mark_size] = '\0';
    switch (r->extent.way) {
    case MM_ELASTIC_SEQ_NO:
        r->after = strtoll(text, &end, 10);
        return *end == '\0' && r->after > r->extent.after && r->after <= r->extent.upto;
    case MM_ELASTIC_FIELD:
        mm_buffer_append(&r->value, text, cursor->mark_size);
        return !r->value.failed;
    case MM_ELASTIC_PIT:
        return read_point(r, text) && !r->value.failed && !r->context.failed;
    case MM_ELASTIC_SCROLL:
        return strcmp(text, "scroll") == 0;
    }
    return false;
}
