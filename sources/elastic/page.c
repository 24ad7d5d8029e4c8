/* An answer of _search: what stands around the hits, the hits, and batches of them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sources/elastic/page_internal.h"

/* Bytes of JSON that a hit takes at least: {"_id":""}, */
#define HIT_MIN 11

/* Keys of a hit, as servers write them. */
enum { INDEX, TYPE, ID, VERSION, SEQ_NO, PRIMARY_TERM, SCORE, ROUTING, SOURCE, SORT, HIT_KEYS };
static const char *const hit_keys[] = {"_index", "_type", "_id", "_version", "_seq_no", "_primary_term", "_score",
                                       "_routing", "_source", "sort"};
_Static_assert(MM_COUNT(hit_keys) == HIT_KEYS, "a name for each");

struct mm_elastic_page {
    mm_elastic_rows_out rows;
    mm_elastic_hit hit;
    mm_json json;
    mm_json_key keys[HIT_KEYS];
    uint8_t foreseen[HIT_KEYS + 1]; /* which key stood behind that one in the hit before; behind HIT_KEYS: the first */
    bool ascending;
    bool before_hit;    /* the parser stands before a hit */
    bool ended;         /* behind the last one, and all of the answer was read */
    bool looked_ahead;  /* what stands behind the hits is known already */
    uint64_t after;     /* _seq_no of the last hit; UINT64_MAX: none */
    unsigned known;     /* bits of the envelope's keys that were read */
};

enum { TIMED_OUT = 1, TERMINATED = 2, SHARDS = 4, TOTAL = 8, CONTEXT = 16 };

/* With a literal, whose length the compiler knows. */
static inline __attribute__((always_inline)) bool is(const char *key, size_t size, const char *word)
{
    return strlen(word) == size && memcmp(key, word, strlen(word)) == 0;
}

static inline mm_status skip(mm_json *json, mm_error *err)
{
    const char *text;
    size_t size;
    return mm_json_quick_string(json, &text, &size) ? MM_OK : mm_json_skip(json, &text, &size, err);
}

mm_status mm_elastic_page_new(const mm_elastic_fields *fields, bool keys_only, bool ascending, mm_elastic_page **out,
                              mm_error *err)
{
    mm_elastic_page *page = calloc(1, sizeof(*page));
    if (page == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a page");
    page->ascending = ascending;
    page->ended = true;
    for (size_t i = 0; i < HIT_KEYS; i++) {
        mm_json_key_set(&page->keys[i], hit_keys[i], strlen(hit_keys[i]));
        page->foreseen[i] = (uint8_t)i + 1;
    }
    mm_json_open(&page->json, "", "", 0);
    mm_status status = mm_elastic_rows_open(fields, keys_only, &page->rows, err);
    if (status != MM_OK) {
        mm_elastic_page_free(page);
        return status;
    }
    *out = page;
    return MM_OK;
}

void mm_elastic_page_free(mm_elastic_page *page)
{
    if (page == NULL)
        return;
    mm_elastic_rows_close(&page->rows);
    mm_buffer_free(&page->hit.id);
    mm_buffer_free(&page->hit.index);
    mm_buffer_free(&page->hit.routing);
    mm_json_close(&page->json);
    free(page);
}

/* --- the envelope ----------------------------------------------------------------------------------------------- */

static mm_status take_count(mm_json *json, uint64_t *out, mm_error *err)
{
    mm_number number;
    int64_t value = 0;
    mm_status status = mm_json_quick_number(json, &number) ? MM_OK : mm_json_number(json, &number, err);
    if (status == MM_OK && (!mm_number_int64(&number, &value) || value < 0))
        return mm_json_bad(json, number.text, err, "a count is wanted");
    *out = (uint64_t)value;
    return status;
}

static mm_status read_failures(mm_json *json, mm_elastic_envelope *out, mm_error *err)
{
    bool more;
    mm_status status = mm_json_enter(json, MM_JSON_ARRAY, err);
    while (status == MM_OK && (status = mm_json_next_item(json, &more, err)) == MM_OK && more) {
        bool first = out->failure == NULL;
        const char *text;
        size_t size;
        status = mm_json_skip(json, &text, &size, err);
        if (status == MM_OK && first) {
            out->failure = text;
            out->failure_size = size;
        }
    }
    return status;
}

static mm_status read_shards(mm_json *json, mm_elastic_envelope *out, mm_error *err)
{
    const char *key;
    size_t size;
    bool more;
    unsigned counts = 0;
    mm_status status = mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(json, &key, &size, &more, err)) == MM_OK && more) {
        counts += is(key, size, "total") || is(key, size, "successful") || is(key, size, "failed");
        if (is(key, size, "total"))
            status = take_count(json, &out->shards_total, err);
        else if (is(key, size, "successful"))
            status = take_count(json, &out->shards_successful, err);
        else if (is(key, size, "skipped"))
            status = take_count(json, &out->shards_skipped, err);
        else if (is(key, size, "failed"))
            status = take_count(json, &out->shards_failed, err);
        else if (is(key, size, "failures"))
            status = read_failures(json, out, err);
        else
            status = skip(json, err);
    }
    if (status == MM_OK && counts != 3)
        return mm_json_bad(json, json->at, err, "_shards without total, successful and failed");
    out->has_shards = true;
    return status;
}

static mm_status read_total(mm_json *json, mm_elastic_envelope *out, mm_error *err)
{
    const char *key, *text;
    size_t size;
    bool more;
    mm_json_kind kind;
    mm_status status = mm_json_peek(json, &kind, err);
    if (status == MM_OK && kind == MM_JSON_NUMBER) {
        out->has_total = out->total_exact = true;
        return take_count(json, &out->total, err);
    }
    if (status == MM_OK)
        status = mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(json, &key, &size, &more, err)) == MM_OK && more) {
        if (is(key, size, "value")) {
            status = take_count(json, &out->total, err);
            out->has_total = true;
        } else if (is(key, size, "relation")) {
            status = mm_json_string(json, &text, &size, err);
            out->total_exact = status == MM_OK && is(text, size, "eq");
        } else {
            status = skip(json, err);
        }
    }
    return status;
}

static mm_status read_context(mm_json *json, mm_elastic_envelope *out, mm_error *err)
{
    const char *text;
    size_t size;
    mm_status status = mm_json_string(json, &text, &size, err);
    if (status == MM_OK && json->text.data != NULL && text == json->text.data)
        return mm_json_bad(json, json->at, err, "an id with escapes in it");
    if (status != MM_OK)
        return status;
    out->context = text;
    out->context_size = size;
    return MM_OK;
}

/* The value of a key beside the hits (inside: of the object `hits`). */
static mm_status read_beside(mm_elastic_page *page, const char *key, size_t size, bool inside, mm_elastic_envelope *out,
                             mm_error *err)
{
    mm_json *json = &page->json;
    unsigned bit = 0;
    if (inside)
        bit = is(key, size, "total") ? TOTAL : 0;
    else if (is(key, size, "timed_out"))
        bit = TIMED_OUT;
    else if (is(key, size, "terminated_early"))
        bit = TERMINATED;
    else if (is(key, size, "_shards"))
        bit = SHARDS;
    else if (is(key, size, "pit_id") || is(key, size, "_scroll_id"))
        bit = CONTEXT;
    if (page->known & bit)
        return mm_json_bad(json, json->at, err, "a key stands there twice");
    page->known |= bit;
    switch (bit) {
    case TIMED_OUT:
        return mm_json_bool(json, &out->timed_out, err);
    case TERMINATED:
        return mm_json_bool(json, &out->terminated_early, err);
    case SHARDS:
        return read_shards(json, out, err);
    case TOTAL:
        return read_total(json, out, err);
    case CONTEXT:
        return read_context(json, out, err);
    default:
        return skip(json, err);
    }
}

/* Members of an object up to the key `hits`, whose value comes next. */
static mm_status find_hits(mm_elastic_page *page, bool inside, mm_elastic_envelope *out, mm_error *err)
{
    const char *key;
    size_t size;
    bool more;
    mm_status status = mm_json_enter(&page->json, MM_JSON_OBJECT, err);
    while (status == MM_OK && (status = mm_json_next_key(&page->json, &key, &size, &more, err)) == MM_OK && more) {
        if (is(key, size, "hits"))
            return MM_OK;
        status = read_beside(page, key, size, inside, out, err);
    }
    if (status == MM_OK)
        return mm_json_bad(&page->json, page->json.at, err, "the answer has no hits");
    return status;
}

/* Behind the array of hits to the end of the text. out NULL: a key of the envelope is one too many, unless it was read
 * ahead. */
static mm_status read_behind(mm_elastic_page *page, mm_elastic_envelope *out, mm_error *err)
{
    const char *key;
    size_t size;
    bool more, inside = true;
    mm_elastic_envelope nothing;
    mm_status status = MM_OK;
    while (status == MM_OK) {
        status = mm_json_next_key(&page->json, &key, &size, &more, err);
        if (status == MM_OK && more && is(key, size, "hits"))
            return mm_json_bad(&page->json, page->json.at, err, "hits stand there twice");
        if (status == MM_OK && more && page->looked_ahead && out == NULL)
            status = skip(&page->json, err);
        else if (status == MM_OK && more)
            status = read_beside(page, key, size, inside, out != NULL ? out : &nothing, err);
        if (status != MM_OK || more)
            continue;
        if (!inside)
            return mm_json_finish(&page->json, err);
        inside = false;
    }
    return status;
}

/* Where what has to be checked does not stand before the hits, it stands behind them. */
static mm_status look_ahead(mm_elastic_page *page, mm_elastic_envelope *out, mm_error *err)
{
    mm_json *json = &page->json;
    const uint8_t *at = json->at;
    mm_status status = skip(json, err);
    if (status == MM_OK)
        status = read_behind(page, out, err);
    page->looked_ahead = true;
    json->at = at;
    json->first = false;
    return status;
}

mm_status mm_elastic_page_begin(mm_elastic_page *page, const char *name, const char *text, size_t size, uint64_t after,
                                mm_elastic_envelope *out, mm_error *err)
{
    mm_json *json = &page->json;
    mm_elastic_envelope found = {.timed_out = false};
    size_t end = size;
    json->name = name;
    mm_json_set(json, text, size, 0, true);
    page->before_hit = page->looked_ahead = false;
    page->ended = true; /* until the hits are found */
    page->after = after;
    page->known = 0;
    while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == ' ' || text[end - 1] == '\r'))
        end--;
    if (end == 0 || text[end - 1] != '}')
        return mm_json_bad(json, json->start + end, err, "the answer is cut off");
    mm_status status = find_hits(page, false, &found, err);
    if (status == MM_OK)
        status = find_hits(page, true, &found, err);
    if (status == MM_OK && (~page->known & (TIMED_OUT | SHARDS | TOTAL)) != 0)
        status = look_ahead(page, &found, err);
    if (status == MM_OK)
        status = mm_json_enter(json, MM_JSON_ARRAY, err);
    if (status != MM_OK)
        return status;
    page->ended = false;
    *out = found;
    return MM_OK;
}

/* --- hits ------------------------------------------------------------------------------------------------------- */

static mm_status take_text(mm_json *json, mm_buffer *out, bool *has, mm_error *err)
{
    if (*has)
        return mm_json_bad(json, json->at, err, "a key of a hit stands there twice");
    *has = true;
    return mm_json_quick_append(json, out) ? MM_OK : mm_json_string_append(json, out, err);
}

static mm_status read_hit_value(mm_elastic_page *page, unsigned key, bool *indexed, bool *routed, mm_error *err)
{
    mm_json *json = &page->json;
    mm_elastic_hit *hit = &page->hit;
    switch (key) {
    case ID:
        return take_text(json, &hit->id, &hit->has_id, err);
    case INDEX:
        return page->rows.with_index ? take_text(json, &hit->index, indexed, err) : skip(json, err);
    case ROUTING:
        return take_text(json, &hit->routing, routed, err);
    case SOURCE:
        if (hit->has_source)
            return mm_json_bad(json, json->at, err, "_source stands there twice");
        hit->has_source = true;
        return mm_elastic_rows_source(&page->rows, json, err);
    case SEQ_NO:
        if (hit->has_seq_no)
            return mm_json_bad(json, json->at, err, "_seq_no stands there twice");
        hit->has_seq_no = true;
        return take_count(json, &hit->seq_no, err);
    case SORT:
        return mm_json_skip(json, &hit->sort, &hit->sort_size, err);
    default:
        return skip(json, err);
    }
}

static unsigned hit_key(const char *key, size_t size)
{
    unsigned i = 0;
    while (i < HIT_KEYS && (strlen(hit_keys[i]) != size || memcmp(key, hit_keys[i], size) != 0))
        i++;
    return i;
}

/* Hits of an answer have the same keys in the same order: each is first compared with the one that stood there before. */
static mm_status read_members(mm_elastic_page *page, mm_error *err)
{
    mm_json *json = &page->json;
    const char *text;
    size_t size;
    bool more, indexed = false, routed = false;
    uint8_t *foreseen = &page->foreseen[HIT_KEYS];
    mm_status status = mm_json_enter(json, MM_JSON_OBJECT, err);
    while (status == MM_OK) {
        unsigned key = *foreseen;
        if (key == HIT_KEYS || !mm_json_quick_key(json, &page->keys[key])) {
            if (mm_json_quick_end(json))
                break;
            status = mm_json_next_key(json, &text, &size, &more, err);
            if (status != MM_OK || !more)
                break;
            key = hit_key(text, size);
            if (key < HIT_KEYS)
                *foreseen = (uint8_t)key;
        }
        if (key < HIT_KEYS)
            foreseen = &page->foreseen[key];
        status = read_hit_value(page, key, &indexed, &routed, err);
    }
    return status;
}

static mm_status read_hit(mm_elastic_page *page, mm_error *err)
{
    mm_json *json = &page->json;
    mm_elastic_hit *hit = &page->hit;
    const uint8_t *begin = json->at;
    hit->has_id = hit->has_source = hit->has_seq_no = false;
    hit->sort = NULL;
    hit->id.size = hit->index.size = hit->routing.size = 0;
    mm_elastic_rows_clear(&page->rows);
    mm_status status = read_members(page, err);
    if (status == MM_OK && !hit->has_id)
        return mm_json_bad(json, begin, err, "a hit without _id");
    if (status != MM_OK || !page->ascending)
        return status;
    if (!hit->has_seq_no)
        return mm_json_bad(json, begin, err, "the hit %.*s has no _seq_no", (int)hit->id.size, hit->id.data);
    if (page->after != UINT64_MAX && hit->seq_no <= page->after)
        return mm_json_bad(json, begin, err, "the hit %.*s has the _seq_no %" PRIu64 ", which is not above %" PRIu64
                           ", that of the one before",
                           (int)hit->id.size, hit->id.data, hit->seq_no, page->after);
    return MM_OK;
}

/* To the next hit; what stands behind the last one is read at once. */
static mm_status step(mm_elastic_page *page, mm_error *err)
{
    bool more;
    mm_status status = mm_json_next_item(&page->json, &more, err);
    if (status == MM_OK && !more) {
        status = read_behind(page, NULL, err);
        page->ended = status == MM_OK;
    }
    page->before_hit = status == MM_OK && !page->ended;
    return status;
}

/* The hit, read again from its beginning where the batch has to have room for more of its objects. */
static mm_status add_hit(mm_elastic_page *page, mm_batch *batch, bool first, mm_error *err)
{
    mm_json *json = &page->json;
    const uint8_t *begin = json->at;
    size_t needed = 0;
    mm_status status = read_hit(page, err);
    if (status == MM_OK)
        status = mm_elastic_rows_add(&page->rows, json, &page->hit, &needed, err);
    if (status == MM_END && first) {
        json->at = begin;
        json->first = false;
        mm_batch_reset(batch);
        status = mm_elastic_rows_begin(&page->rows, batch, needed, err);
        if (status == MM_OK)
            status = read_hit(page, err);
        if (status == MM_OK)
            status = mm_elastic_rows_add(&page->rows, json, &page->hit, &needed, err);
    }
    if (status == MM_END) {
        json->at = begin;
        json->first = false;
    }
    return status;
}

static size_t capacity_of(const mm_elastic_page *page, size_t max_rows, size_t max_bytes)
{
    size_t capacity = max_rows > 0 ? max_rows : 1, least = page->rows.least > 0 ? page->rows.least : 1;
    size_t left = (size_t)(page->json.end - page->json.at) / HIT_MIN + 1;
    capacity = capacity < max_bytes / least ? capacity : max_bytes / least;
    capacity = capacity < left ? capacity : left;
    return capacity > 0 ? capacity : 1;
}

mm_status mm_elastic_page_next(mm_elastic_page *page, size_t max_rows, size_t max_bytes, mm_batch *batch,
                               mm_elastic_rows *out, mm_error *err)
{
    mm_elastic_rows found = {.seq_no = UINT64_MAX};
    mm_status status = MM_OK;
    if (!page->ended && !page->before_hit)
        status = step(page, err);
    if (status != MM_OK)
        return status;
    if (page->ended)
        return MM_END;
    size_t capacity = capacity_of(page, max_rows, max_bytes);
    page->rows.limit = max_rows;
    status = mm_elastic_rows_begin(&page->rows, batch, capacity, err);
    while (status == MM_OK && page->before_hit) {
        status = add_hit(page, batch, found.documents == 0, err);
        if (status != MM_OK)
            break;
        found.documents++;
        found.seq_no = page->hit.has_seq_no ? page->hit.seq_no : UINT64_MAX;
        found.sort = page->hit.sort;
        found.sort_size = page->hit.sort_size;
        page->after = page->hit.has_seq_no ? page->hit.seq_no : page->after;
        page->before_hit = false;
        bool full = page->rows.rows >= page->rows.capacity || page->rows.covered >= max_rows ||
                    mm_elastic_rows_bytes(&page->rows) >= max_bytes;
        if (full)
            break;
        status = step(page, err);
    }
    if (status == MM_END) /* the next hit is for the next batch */
        status = MM_OK;
    if (status == MM_OK)
        status = mm_elastic_rows_end(&page->rows, err);
    if (status != MM_OK)
        return status;
    found.covered = page->rows.covered;
    *out = found;
    return MM_OK;
}
