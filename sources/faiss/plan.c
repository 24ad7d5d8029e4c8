/* Plans: sequential rows, inverted lists packed together or cut, duplicates. */
#include "sources/faiss/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define NOT_FOUND UINT64_MAX
/* Duplicates that are looked up in one pass over the ids of all lists. */
#define PAIRS_MAX (1u << 17)
#define SLOTS (PAIRS_MAX * 2)
/* Ids read at once. */
#define IDS_MAX 8192

typedef struct emitter {
    const mm_faiss_plan *plan;
    mm_extent_fn emit;
    void *context;
    mm_faiss_spec spec;
} emitter;

static mm_faiss_extent extent_head(const mm_faiss_plan *plan)
{
    const mm_faiss_view *view = plan->view;
    mm_faiss_extent head = {.binary = view->binary,
                            .lossy = view->lossy != NULL,
                            .side = plan->side != NULL,
                            .ids_count = false,
                            .d = view->d,
                            .code_size = view->codes->code_size,
                            .map_count = view->map_count};
    for (size_t i = 0; i < view->map_count; i++) {
        head.maps[i].at = view->maps[i]->id_map;
        head.maps[i].count = view->maps[i]->rows;
    }
    return head;
}

/* Emits what was gathered and begins anew. */
static mm_status flush(emitter *e, mm_error *err)
{
    mm_faiss_extent head = e->spec.head;
    if (e->spec.rows > 0) {
        mm_extent extent = {.rows = e->spec.rows,
                            .bytes = e->spec.rows * (e->plan->view->width + sizeof(int64_t)),
                            .spec = e->spec.bytes,
                            .spec_size = e->spec.size};
        mm_status status = e->emit(e->context, &extent, err);
        if (status != MM_OK)
            return status;
    }
    mm_faiss_spec_begin(&e->spec, &head);
    return MM_OK;
}

/* Adds a segment, cut where an extent is full. */
static mm_status add(emitter *e, mm_faiss_segment segment, mm_error *err)
{
    const mm_faiss_extent *head = &e->spec.head;
    while (segment.rows > 0) {
        mm_faiss_segment piece = segment;
        uint64_t room = e->plan->extent_rows - e->spec.rows;
        if (piece.rows > room)
            piece.rows = room;
        if (room == 0 || !mm_faiss_spec_add(&e->spec, &piece)) {
            mm_status status = flush(e, err);
            if (status != MM_OK)
                return status;
            continue;
        }
        segment.rows -= piece.rows;
        segment.codes += piece.rows * head->code_size;
        if (head->ids_count)
            segment.ids.first = (int64_t)((uint64_t)segment.ids.first + piece.rows);
        else
            segment.ids.at += piece.rows * sizeof(int64_t);
    }
    return MM_OK;
}

/* Rows one after the other: their ids stand in the innermost map, or count up from start_id. */
static mm_status plan_sequence(emitter *e, mm_error *err)
{
    const mm_faiss_view *view = e->plan->view;
    mm_faiss_extent head = extent_head(e->plan);
    mm_faiss_segment all = {.rows = view->rows, .codes = view->codes->codes};
    if (view->map_count > 0) {
        all.ids.at = head.maps[0].at;
        head.map_count--;
        memmove(&head.maps[0], &head.maps[1], head.map_count * sizeof(head.maps[0]));
    } else {
        int64_t last;
        head.ids_count = true;
        all.ids.first = e->plan->start_id;
        if (__builtin_add_overflow(all.ids.first, (int64_t)all.rows, &last))
            return mm_error_set(err, MM_CONFIG,
                                "%s: %" PRIu64 " rows from source.start_id %" PRId64
                                " on have ids beyond 64 bits",
                                e->plan->file->name, all.rows, all.ids.first);
    }
    mm_faiss_spec_begin(&e->spec, &head);
    mm_status status = add(e, all, err);
    return status == MM_OK ? flush(e, err) : status;
}

static mm_status plan_lists(emitter *e, mm_faiss_list_cursor *cursor, mm_error *err)
{
    const mm_faiss_plan *plan = e->plan;
    mm_faiss_extent head = extent_head(plan);
    mm_faiss_list list;
    mm_status status;
    mm_faiss_spec_begin(&e->spec, &head);
    mm_faiss_lists_begin(cursor, &plan->view->codes->lists, plan->file, plan->side);
    while ((status = mm_faiss_lists_next(cursor, &list, err)) == MM_OK) {
        mm_faiss_segment segment = {
            .rows = list.rows, .codes = list.codes, .list = list.number, .ids.at = list.ids};
        status = add(e, segment, err);
        if (status != MM_OK)
            return status;
    }
    return status == MM_END ? flush(e, err) : status;
}

/* A chunk of (kept id, further id) pairs and a hash table of the kept ids, to find where their rows
 * stand. Slots hold a pair's number + 1; pairs of one kept id are chained. */
typedef struct chunk {
    int64_t pairs[PAIRS_MAX][2];
    uint64_t codes[PAIRS_MAX]; /* offset of the row's code, or NOT_FOUND */
    uint32_t next[PAIRS_MAX];
    uint32_t slots[SLOTS];
    size_t count, found;
    int64_t ids[IDS_MAX];
} chunk;

static uint32_t *slot_of(chunk *c, int64_t id)
{
    size_t slot = (size_t)XXH3_64bits(&id, sizeof(id)) % SLOTS;
    while (c->slots[slot] != 0 && c->pairs[c->slots[slot] - 1][0] != id)
        slot = (slot + 1) % SLOTS;
    return &c->slots[slot];
}

static mm_status load_chunk(chunk *c, const mm_input *file, uint64_t at, size_t count, mm_error *err)
{
    memset(c->slots, 0, sizeof(c->slots));
    memset(c->codes, 0xff, sizeof(c->codes)); /* NOT_FOUND */
    c->count = count;
    c->found = 0;
    mm_status status = mm_faiss_read(file, at, c->pairs, count * sizeof(c->pairs[0]), err);
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        uint32_t *slot = slot_of(c, c->pairs[i][0]);
        c->next[i] = *slot;
        *slot = (uint32_t)i + 1;
    }
    return status;
}

/* Looks for the chunk's kept ids among the ids of one list. */
static mm_status search_list(chunk *c, const mm_input *file, const mm_faiss_list *list,
                             uint64_t code_size, mm_error *err)
{
    for (uint64_t row = 0; row < list->rows && c->found < c->count; row += IDS_MAX) {
        size_t count = list->rows - row < IDS_MAX ? (size_t)(list->rows - row) : IDS_MAX;
        mm_status status = mm_faiss_read(file, list->ids + row * sizeof(int64_t), c->ids, count * sizeof(int64_t), err);
        if (status != MM_OK)
            return status;
        for (size_t i = 0; i < count; i++) {
            uint32_t pair = *slot_of(c, c->ids[i]);
            /* an id on several rows: the first one counts */
            for (; pair != 0 && c->codes[pair - 1] == NOT_FOUND; pair = c->next[pair - 1]) {
                c->codes[pair - 1] = list->codes + (row + i) * code_size;
                c->found++;
            }
        }
    }
    return MM_OK;
}

static mm_status emit_chunk(emitter *e, const chunk *c, uint64_t pairs_at, mm_error *err)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->codes[i] == NOT_FOUND)
            return mm_faiss_bad(e->plan->file, pairs_at + i * sizeof(c->pairs[0]), err,
                                "the id %" PRId64 ", whose duplicate is %" PRId64
                                ", is in no inverted list",
                                c->pairs[i][0], c->pairs[i][1]);
        mm_faiss_segment row = {.rows = 1, .codes = c->codes[i], .ids.first = c->pairs[i][1]};
        mm_status status = add(e, row, err);
        if (status != MM_OK)
            return status;
    }
    return MM_OK;
}

/* The further ids of stored rows. Each chunk costs one pass over all ids; the rows found are written
 * into the extents one by one, so that reading them needs no search. */
static mm_status plan_duplicates(emitter *e, mm_faiss_list_cursor *cursor, mm_error *err)
{
    const mm_faiss_plan *plan = e->plan;
    const mm_faiss_node *ivf = plan->view->codes;
    const mm_input *rows_file = plan->side != NULL ? plan->side : plan->file;
    mm_faiss_extent head = extent_head(plan);
    mm_status status = MM_OK;
    chunk *c = malloc(sizeof(*c));
    if (c == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", plan->file->name);
    head.ids_count = true;
    mm_faiss_spec_begin(&e->spec, &head);
    for (uint64_t done = 0; status == MM_OK && done < ivf->pair_count; done += c->count) {
        uint64_t left = ivf->pair_count - done, at = ivf->pairs + done * sizeof(c->pairs[0]);
        mm_faiss_list list;
        status = load_chunk(c, plan->file, at, left < PAIRS_MAX ? (size_t)left : PAIRS_MAX, err);
        mm_faiss_lists_begin(cursor, &ivf->lists, plan->file, plan->side);
        while (status == MM_OK && c->found < c->count &&
               (status = mm_faiss_lists_next(cursor, &list, err)) == MM_OK)
            status = search_list(c, rows_file, &list, ivf->code_size, err);
        if (status == MM_OK || status == MM_END)
            status = emit_chunk(e, c, at, err);
    }
    free(c);
    return status == MM_OK ? flush(e, err) : status;
}

mm_status mm_faiss_plan_emit(const mm_faiss_plan *plan, mm_extent_fn emit, void *context,
                             mm_error *err)
{
    mm_status status;
    mm_faiss_list_cursor *cursor = malloc(sizeof(*cursor));
    emitter *e = malloc(sizeof(*e));
    if (e == NULL || cursor == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", plan->file->name);
        goto out;
    }
    e->plan = plan;
    e->emit = emit;
    e->context = context;
    if (plan->view->codes->kind == MM_FAISS_IVF) {
        status = plan_lists(e, cursor, err);
        if (status == MM_OK && plan->view->codes->pair_count > 0)
            status = plan_duplicates(e, cursor, err);
    } else {
        status = plan_sequence(e, err);
    }
out:
    free(e);
    free(cursor);
    return status;
}
