/* Reading an extent: pages, each of which must prove that nothing is missing in it before its first row is given. By
 * `_seq_no` and by field a page is asked for by a range that begins behind the last document, so that the answer's total
 * says how many there are left; a point in time and a scroll have one total for all pages. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "sources/elastic/internal.h"

#define PAGE_TRIES 3 /* of an answer that is malformed */

struct mm_reader {
    mm_elastic_collection *collection;
    mm_elastic_request at;
    mm_elastic_page *page;
    mm_http_reply reply;
    char *name;       /* of the page, for messages */
    uint64_t row;     /* rows before the next one */
    uint64_t left;    /* FIELD: documents that must be left behind this page; UINT64_MAX: not known */
    bool open;        /* a page is being read, of which */
    uint64_t expected, given; /* documents are expected, and were given */
    bool last;        /* nothing comes behind this page */
    unsigned bad;     /* pages in a row that turned out malformed */
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a reader");
}

static bool has_context(const mm_reader *r)
{
    return r->at.extent.way == MM_ELASTIC_PIT || r->at.extent.way == MM_ELASTIC_SCROLL;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static mm_status take_cursor(mm_reader *r, const mm_cursor *cursor, mm_error *err)
{
    if (cursor == NULL || cursor->row == 0)
        return MM_OK;
    r->row = cursor->row;
    if (!mm_elastic_mark_read(&r->at, cursor))
        return mm_error_set(err, MM_DATA, "%s: the savepoint's mark `%.*s` is none of this extent", r->collection->name,
                            (int)cursor->mark_size, (const char *)cursor->mark);
    if (r->at.extent.way == MM_ELASTIC_SCROLL)
        mm_log(MM_LOG_WARN, "%s: a scroll was lost: its shard is read again from the start", r->name);
    return MM_OK;
}

mm_status mm_elastic_read_open(mm_source *source, mm_elastic_collection *c, const mm_extent *extent,
                               const mm_cursor *cursor, mm_read_mode mode, mm_reader **out, mm_error *err)
{
    mm_reader *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return no_memory(err);
    *r = (mm_reader){.collection = c, .left = UINT64_MAX};
    r->at.source = source;
    r->at.collection = c;
    r->at.keys = mode == MM_READ_KEYS;
    mm_status status = mm_elastic_spec_parse(c, extent, &r->at.extent, err);
    r->at.after = r->at.extent.after;
    if (status == MM_OK && (r->name = mm_format("%s%s/_search, shard %u", mm_elastic_client_name(source->client),
                                                r->at.extent.index->path, r->at.extent.shard)) == NULL)
        status = no_memory(err);
    if (status == MM_OK)
        status = take_cursor(r, cursor, err);
    if (status == MM_OK)
        status = mm_elastic_page_new(c->fields, r->at.keys, r->at.extent.way == MM_ELASTIC_SEQ_NO, &r->page, err);
    if (status != MM_OK) {
        mm_elastic_read_close(r);
        return status;
    }
    *out = r;
    return MM_OK;
}

/* A point in time stays for the reader that goes on; a scroll can only be begun again. */
void mm_elastic_read_close(mm_reader *r)
{
    if (r == NULL)
        return;
    if ((r->last && !r->open) || r->at.extent.way == MM_ELASTIC_SCROLL)
        mm_elastic_request_end(&r->at);
    mm_elastic_page_free(r->page);
    mm_http_reply_free(&r->reply);
    mm_elastic_request_free(&r->at);
    free(r->name);
    free(r);
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

/* As many documents as make a reply of about page_bytes. */
static uint32_t page_rows(const mm_reader *r)
{
    uint64_t each = r->collection->document_bytes;
    const mm_source *source = r->at.source;
    uint64_t rows = r->at.keys ? source->page_rows : source->page_bytes / (each > 0 ? each : 1);
    if (rows > source->page_rows)
        rows = source->page_rows;
    if (rows > r->at.extent.index->window)
        rows = r->at.extent.index->window;
    return rows > 0 ? (uint32_t)rows : 1;
}

/* Fewer documents in a page from now on, for all readers of the collection. */
static void shrink_pages(mm_reader *r, uint32_t rows)
{
    uint64_t each = r->at.source->page_bytes / (rows / 2 > 0 ? rows / 2 : 1);
    if (each > r->collection->document_bytes)
        r->collection->document_bytes = each > UINT32_MAX ? UINT32_MAX : (uint32_t)each;
}

/* The next page of a scroll comes once. */
static void restart_scroll(mm_reader *r)
{
    mm_elastic_request_end(&r->at);
    mm_elastic_request_restart(&r->at);
}

/* An answer that is too large for us, or for the server's memory, is asked for in smaller pages. */
static mm_status fetch(mm_reader *r, uint32_t *rows, mm_error *err)
{
    for (;;) {
        *rows = page_rows(r);
        size_t most = *rows == 1 ? (size_t)1 << 30 : (size_t)(8 * r->at.source->page_bytes);
        mm_status status = mm_elastic_request_page(&r->at, *rows, most, &r->reply, err);
        if ((status != MM_TOO_LARGE && status != MM_RATE_LIMITED) || *rows == 1)
            return status;
        shrink_pages(r, *rows);
        if (status == MM_RATE_LIMITED)
            return status;
        if (r->at.extent.way == MM_ELASTIC_SCROLL) /* the size of its pages is fixed */
            restart_scroll(r);
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

/* By field: documents with equal values would be passed over where a page ends between them. */
static mm_status check_left(mm_reader *r, uint64_t total, mm_error *err)
{
    if (r->at.extent.way == MM_ELASTIC_FIELD && r->left != UINT64_MAX && total != r->left)
        return mm_error_set(err, MM_CHANGED, "%s: %" PRIu64 " documents where %" PRIu64 " were left: `%s` is not another one "
                                             "in each document, or documents were written or deleted", r->name, total,
                            r->left, r->at.source->cursor_field);
    r->left = total - r->expected;
    return MM_OK;
}

/* Before the first row of a page is given. */
static mm_status check_page(mm_reader *r, uint32_t rows, const mm_elastic_envelope *e, mm_error *err)
{
    mm_status status = check_shards(r, e, err);
    if (status != MM_OK)
        return status;
    uint64_t gone = has_context(r) ? r->at.before : 0;
    if (e->total < gone)
        return mm_error_set(err, MM_DATA, "%s: %" PRIu64 " documents in all, and %" PRIu64 " were given already", r->name,
                            e->total, gone);
    uint64_t left = e->total - gone;
    r->expected = left < rows ? left : rows;
    r->given = 0;
    r->last = left <= rows;
    return check_left(r, e->total, err);
}

/* An answer, opened and checked. */
static mm_status open_page(mm_reader *r, mm_error *err)
{
    mm_elastic_envelope envelope;
    uint32_t rows = 0;
    mm_status status = fetch(r, &rows, err);
    MM_FAILPOINT("elastic.page.fetched");
    if (status == MM_OK)
        status = mm_elastic_page_begin(r->page, r->name, r->reply.body.data ? r->reply.body.data : "",
                                       r->reply.body.size, r->at.after < 0 ? UINT64_MAX : (uint64_t)r->at.after, &envelope,
                                       err);
    if (status == MM_OK)
        status = check_page(r, rows, &envelope, err);
    return status == MM_OK ? mm_elastic_request_note(&r->at, &envelope, err) : status;
}

/* The next page. A malformed one is asked for again: it may have been damaged on its way. A context that is gone means
 * the start again, whose rows go on counting: such an extent goes by Upsert. */
static mm_status turn_page(mm_reader *r, mm_error *err)
{
    mm_status status = MM_DATA;
    for (int i = 0; i < PAGE_TRIES && status == MM_DATA; i++) {
        bool known = r->at.context.size > 0;
        mm_error_clear(err);
        status = open_page(r, err);
        if (status == MM_CHANGED && has_context(r) && known) {
            mm_log(MM_LOG_WARN, "%s: the server has let go of the %s: the shard is read again from the start", r->name,
                   r->at.extent.way == MM_ELASTIC_PIT ? "point in time" : "scroll");
            mm_elastic_request_restart(&r->at);
            status = MM_DATA;
        } else if (status == MM_DATA && r->at.extent.way == MM_ELASTIC_SCROLL) {
            restart_scroll(r);
        }
    }
    r->open = status == MM_OK;
    if (r->open && r->expected > 0 && !r->at.keys) {
        uint64_t each = r->reply.body.size / r->expected;
        r->collection->document_bytes = each < 64 ? 64 : (uint32_t)each;
    }
    return status;
}

/* --- giving ----------------------------------------------------------------------------------------------------- */

/* Hits behind `at`, without reading them: what a document holds may only make it more. Brackets are rare. */
static uint64_t count_hits(const mm_reader *r, const char *at)
{
    static const char key[] = "\"sort\":";
    const size_t size = sizeof(key) - 1;
    const char *begin = at, *end = r->reply.body.data + r->reply.body.size;
    uint64_t found = 0;
    while (at && (at = memchr(at, '[', (size_t)(end - at))) != NULL) {
        found += (size_t)(at - begin) >= size && memcmp(at - size, key, size) == 0;
        at++;
    }
    return found;
}

/* Before a page's first rows are given, where they are not all of them: a document that is missing further back must not get
 * behind a savepoint. rows: NULL: there are none. */
static mm_status check_count(const mm_reader *r, const mm_elastic_rows *rows, mm_error *err)
{
    uint64_t found = rows ? rows->documents : 0;
    if (found < r->expected)
        found += count_hits(r, rows && rows->sort ? rows->sort + rows->sort_size : r->reply.body.data);
    if (found >= r->expected)
        return MM_OK;
    return mm_error_set(err, MM_DATA, "%s: %" PRIu64 " documents where %" PRIu64 " were to come", r->name, found, r->expected);
}

static mm_status place(mm_reader *r, mm_batch *batch, const mm_elastic_rows *rows, mm_error *err)
{
    if (r->at.extent.way == MM_ELASTIC_SEQ_NO && rows->seq_no > (uint64_t)r->at.extent.upto)
        return mm_error_set(err, MM_DATA, "%s: a document with _seq_no %" PRIu64 " was not asked for", r->name,
                            rows->seq_no);
    batch->first_row = r->row;
    for (size_t i = 0; i < batch->reject_count; i++)
        batch->rejects[i].row += r->row;
    r->row += rows->covered;
    r->given += rows->documents;
    mm_status status = mm_elastic_request_advance(&r->at, rows, err);
    batch->end = (mm_cursor){.row = r->row};
    return status == MM_OK ? mm_elastic_mark_write(&r->at, &batch->end, err) : status;
}

/* What was given stands: on from there, with a new answer. Of a scroll, from the start, as long as nothing of the page was
 * given. */
static bool turn_back(mm_reader *r)
{
    bool scroll = r->at.extent.way == MM_ELASTIC_SCROLL;
    if (++r->bad >= PAGE_TRIES || (scroll && r->given > 0))
        return false;
    if (scroll)
        restart_scroll(r);
    r->open = r->last = false;
    r->left = UINT64_MAX;
    return true;
}

static bool at_end(const mm_reader *r)
{
    return r->last || (r->at.extent.way == MM_ELASTIC_SEQ_NO && r->at.after >= r->at.extent.upto);
}

mm_status mm_elastic_read_next(mm_reader *r, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err)
{
    for (;;) {
        if (!r->open) {
            if (at_end(r))
                return MM_END;
            mm_status status = turn_page(r, err);
            if (status != MM_OK)
                return status;
        }
        mm_elastic_rows rows;
        mm_status status = mm_elastic_page_next(r->page, max_rows, max_bytes, batch, &rows, err);
        if ((status == MM_OK || status == MM_END) && r->given == 0) {
            mm_status whole = check_count(r, status == MM_OK ? &rows : NULL, err);
            status = whole == MM_OK ? status : whole;
        }
        if (status == MM_OK) {
            r->bad = 0;
            return place(r, batch, &rows, err);
        }
        if (status == MM_DATA && turn_back(r)) {
            mm_batch_reset(batch);
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
