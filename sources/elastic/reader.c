/* Reading an extent: pages in the order of `_seq_no`, each asked for by a range that begins behind the last document,
 * so that the answer's total says how many there are left: a page proves by itself that nothing is missing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "sources/elastic/internal.h"

#define PAGE_TRIES 3 /* of an answer that is malformed */
#define SEQ_NO_KEY "\"_seq_no\":"

struct mm_reader {
    mm_source *source;
    mm_elastic_collection *collection;
    mm_elastic_extent extent;
    mm_elastic_page *page;
    mm_http_reply reply;
    mm_buffer path, body;
    char *name;      /* of the page, for messages */
    uint64_t row;    /* rows before the next one */
    int64_t after;   /* `_seq_no` of the last document that was given */
    bool keys;
    bool open;       /* a page is being read, of which */
    uint64_t expected, given; /* documents are expected, and were given */
    bool last;       /* nothing comes behind this page */
    unsigned bad;    /* pages in a row that turned out malformed */
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a reader");
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static mm_status take_cursor(mm_reader *r, const mm_cursor *cursor, mm_error *err)
{
    char text[24];
    if (cursor == NULL || cursor->row == 0)
        return MM_OK;
    size_t size = cursor->mark_size < sizeof(text) ? cursor->mark_size : 0;
    memcpy(text, cursor->mark, size);
    text[size] = '\0';
    char *end = text;
    r->after = strtoll(text, &end, 10);
    r->row = cursor->row;
    if (size == 0 || *end != '\0' || r->after <= r->extent.after || r->after > r->extent.upto)
        return mm_error_set(err, MM_DATA, "%s: the savepoint's mark `%s` is not within the extent", r->collection->name, text);
    return MM_OK;
}

mm_status mm_elastic_read_open(mm_source *source, mm_elastic_collection *c, const mm_extent *extent,
                               const mm_cursor *cursor, mm_read_mode mode, mm_reader **out, mm_error *err)
{
    mm_reader *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return no_memory(err);
    *r = (mm_reader){.source = source, .collection = c, .keys = mode == MM_READ_KEYS};
    mm_status status = mm_elastic_spec_parse(c, extent, &r->extent, err);
    r->after = r->extent.after;
    if (status == MM_OK)
        status = take_cursor(r, cursor, err);
    if (status == MM_OK)
        status = mm_elastic_page_new(c->fields, r->keys, true, &r->page, err);
    if (status == MM_OK && (r->name = mm_format("%s%s/_search, shard %u", mm_elastic_client_name(source->client),
                                                r->extent.index->path, r->extent.shard)) == NULL)
        status = no_memory(err);
    if (status != MM_OK) {
        mm_elastic_read_close(r);
        return status;
    }
    *out = r;
    return MM_OK;
}

void mm_elastic_read_close(mm_reader *r)
{
    if (r == NULL)
        return;
    mm_elastic_page_free(r->page);
    mm_http_reply_free(&r->reply);
    mm_buffer_free(&r->path);
    mm_buffer_free(&r->body);
    free(r->name);
    free(r);
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

/* As many documents as make a reply of about page_bytes. */
static uint32_t page_rows(const mm_reader *r)
{
    uint64_t each = r->collection->document_bytes;
    uint64_t rows = (r->keys ? r->source->page_rows : r->source->page_bytes / (each > 0 ? each : 1));
    if (rows > r->source->page_rows)
        rows = r->source->page_rows;
    if (rows > r->extent.index->window)
        rows = r->extent.index->window;
    return rows > 0 ? (uint32_t)rows : 1;
}

static mm_status write_request(mm_reader *r, uint32_t rows, mm_error *err)
{
    char range[128];
    snprintf(range, sizeof(range), "{\"range\":{\"_seq_no\":{\"gt\":%" PRId64 ",\"lte\":%" PRId64 "}}}", r->after,
             r->extent.upto);
    r->path.size = r->body.size = 0;
    mm_buffer_printf(&r->path, "%s/_search?preference=_shards:%u&allow_partial_search_results=false&request_cache=false",
                     r->extent.index->path, r->extent.shard);
    mm_buffer_printf(&r->body, "{\"size\":%u,\"track_total_hits\":true,\"seq_no_primary_term\":true,"
                               "\"sort\":[{\"_seq_no\":\"asc\"}],\"_source\":", rows);
    mm_elastic_fields_source(r->collection->fields, r->keys, mm_elastic_hides_vectors(&r->source->server), &r->body);
    mm_buffer_printf(&r->body, ",\"query\":");
    mm_elastic_query(r->source, range, &r->body);
    mm_buffer_append(&r->body, "}", 1);
    return r->path.failed || r->body.failed ? no_memory(err) : MM_OK;
}

/* Fewer documents in a page from now on, for all readers of the collection. */
static void shrink_pages(mm_reader *r, uint32_t rows)
{
    uint64_t each = r->source->page_bytes / (rows / 2 > 0 ? rows / 2 : 1);
    if (each > r->collection->document_bytes)
        r->collection->document_bytes = each > UINT32_MAX ? UINT32_MAX : (uint32_t)each;
}

/* An answer that is too large for us, or for the server's memory, is asked for in smaller pages. */
static mm_status fetch(mm_reader *r, uint32_t *rows, mm_error *err)
{
    for (;;) {
        *rows = page_rows(r);
        mm_status status = write_request(r, *rows, err);
        mm_elastic_call call = {.method = "POST", .path = r->path.data, .body = r->body.data, .body_size = r->body.size,
                                .reply_max = *rows == 1 ? (size_t)1 << 30 : (size_t)(8 * r->source->page_bytes)};
        if (status == MM_OK)
            status = mm_elastic_client_call(r->source->client, &call, &r->reply, err);
        if ((status != MM_TOO_LARGE && status != MM_RATE_LIMITED) || *rows == 1)
            return status;
        shrink_pages(r, *rows);
        if (status == MM_RATE_LIMITED)
            return status;
        mm_log(MM_LOG_DEBUG, "%s: pages become smaller: %s", r->name, err ? err->text : "");
        mm_error_clear(err);
    }
}

/* --- what a page must prove ------------------------------------------------------------------------------------- */

static mm_status check_shards(const mm_reader *r, const mm_elastic_envelope *e, mm_error *err)
{
    if (!e->has_shards || !e->has_total || !e->total_exact)
        return mm_error_set(err, MM_DATA, "%s: the answer says nothing of its shards or has no exact total", r->name);
    if (e->timed_out || e->terminated_early)
        return mm_error_set(err, MM_UNAVAILABLE, "%s: the search timed out, the answer is a part of what there is", r->name);
    if (e->shards_failed > 0)
        return mm_error_set(err, MM_UNAVAILABLE, "%s: the shard failed: %.*s", r->name,
                            (int)(e->failure_size < 300 ? e->failure_size : 300), e->failure ? e->failure : "");
    if (e->shards_total == 0)
        return mm_error_set(err, MM_CHANGED, "%s: the index has no such shard any more", r->name);
    if (e->shards_total != 1 || e->shards_successful != 1)
        return mm_error_set(err, MM_UNAVAILABLE, "%s: %" PRIu64 " of %" PRIu64 " shards answered; one was asked", r->name,
                            e->shards_successful, e->shards_total);
    return MM_OK;
}

/* Hits of an answer, without reading it: what a document holds may only make it more. */
static uint64_t count_hits(const mm_http_reply *reply)
{
    const char *at = reply->body.data, *end = at + reply->body.size;
    uint64_t found = 0;
    while (at && (at = memmem(at, (size_t)(end - at), SEQ_NO_KEY, sizeof(SEQ_NO_KEY) - 1)) != NULL) {
        found++;
        at += sizeof(SEQ_NO_KEY) - 1;
    }
    return found;
}

/* Before the first row of a page is given: a row that is missing must not get behind a savepoint. */
static mm_status check_page(mm_reader *r, uint32_t rows, const mm_elastic_envelope *e, mm_error *err)
{
    mm_status status = check_shards(r, e, err);
    if (status != MM_OK)
        return status;
    r->expected = e->total < rows ? e->total : rows;
    r->given = 0;
    r->last = e->total <= rows;
    uint64_t hits = count_hits(&r->reply);
    if (hits < r->expected)
        return mm_error_set(err, MM_DATA, "%s: %" PRIu64 " documents where %" PRIu64 " are left and %u were asked for",
                            r->name, hits, e->total, rows);
    return MM_OK;
}

/* The next page, opened. A malformed one is asked for again: it may have been damaged on its way. */
static mm_status turn_page(mm_reader *r, mm_error *err)
{
    mm_status status = MM_DATA;
    for (int i = 0; i < PAGE_TRIES && status == MM_DATA; i++) {
        mm_elastic_envelope envelope;
        uint32_t rows = 0;
        mm_error_clear(err);
        status = fetch(r, &rows, err);
        MM_FAILPOINT("elastic.page.fetched");
        if (status == MM_OK)
            status = mm_elastic_page_begin(r->page, r->name, r->reply.body.data ? r->reply.body.data : "",
                                           r->reply.body.size, r->after < 0 ? UINT64_MAX : (uint64_t)r->after, &envelope,
                                           err);
        if (status == MM_OK)
            status = check_page(r, rows, &envelope, err);
    }
    r->open = status == MM_OK;
    if (r->open && r->expected > 0 && !r->keys) {
        uint64_t each = r->reply.body.size / r->expected;
        r->collection->document_bytes = each < 64 ? 64 : (uint32_t)each;
    }
    return status;
}

/* --- giving ----------------------------------------------------------------------------------------------------- */

static void place(mm_reader *r, mm_batch *batch, const mm_elastic_rows *rows)
{
    batch->first_row = r->row;
    for (size_t i = 0; i < batch->reject_count; i++)
        batch->rejects[i].row += r->row;
    r->row += rows->covered;
    r->given += rows->documents;
    r->after = (int64_t)rows->seq_no;
    batch->end = (mm_cursor){.row = r->row};
    batch->end.mark_size = (uint32_t)snprintf((char *)batch->end.mark, MM_MARK_MAX, "%" PRId64, r->after);
}

mm_status mm_elastic_read_next(mm_reader *r, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err)
{
    for (;;) {
        if (!r->open) {
            if (r->last || r->after >= r->extent.upto)
                return MM_END;
            mm_status status = turn_page(r, err);
            if (status != MM_OK)
                return status;
        }
        mm_elastic_rows rows;
        mm_status status = mm_elastic_page_next(r->page, max_rows, max_bytes, batch, &rows, err);
        if (status == MM_OK) {
            if (rows.seq_no > (uint64_t)r->extent.upto)
                return mm_error_set(err, MM_DATA, "%s: a document with _seq_no %" PRIu64 " was not asked for", r->name,
                                    rows.seq_no);
            place(r, batch, &rows);
            r->bad = 0;
            return MM_OK;
        }
        if (status == MM_DATA && ++r->bad < PAGE_TRIES) { /* what was given stands: on from there, with a new answer */
            mm_batch_reset(batch);
            r->open = r->last = false;
            continue;
        }
        if (status != MM_END)
            return status;
        r->open = false;
        if (r->given != r->expected)
            return mm_error_set(err, MM_DATA, "%s: %" PRIu64 " documents where %" PRIu64 " were expected; `mmresume reset` "
                                              "and run again", r->name, r->given, r->expected);
    }
}
