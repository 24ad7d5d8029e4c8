/* Extents: ranges of `_seq_no` of one shard, or whole shards where an index cannot be read so. A document that is
 * changed gets a new number above all others of its shard, so a range only ever loses documents. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/elastic/internal.h"

#define COUNTED_AT_ONCE 128 /* ranges whose documents one request counts */

static const char *const way_names[] = {[MM_ELASTIC_SEQ_NO] = "seq_no", [MM_ELASTIC_FIELD] = "field",
                                        [MM_ELASTIC_PIT] = "pit", [MM_ELASTIC_SCROLL] = "scroll"};

size_t mm_elastic_spec_print(const mm_elastic_extent *extent, char out[MM_ELASTIC_SPEC])
{
    int size = snprintf(out, MM_ELASTIC_SPEC, "%s %u %" PRId64 " %" PRId64 " %s", way_names[extent->way],
                        extent->shard, extent->after, extent->upto, extent->index->name);
    return (size_t)size;
}

static const mm_elastic_index *find_index(const mm_elastic_collection *c, const char *name)
{
    for (size_t i = 0; i < c->index_count; i++)
        if (strcmp(c->indices[i].name, name) == 0)
            return &c->indices[i];
    return NULL;
}

mm_status mm_elastic_spec_parse(const mm_elastic_collection *c, const mm_extent *extent, mm_elastic_extent *out,
                                mm_error *err)
{
    char text[MM_ELASTIC_SPEC], way[16], name[256];
    size_t size = extent->spec_size < sizeof(text) - 1 ? extent->spec_size : sizeof(text) - 1;
    memcpy(text, extent->spec, size);
    text[size] = '\0';
    mm_elastic_extent found = {0};
    bool good = sscanf(text, "%15s %" SCNu32 " %" SCNd64 " %" SCNd64 " %255s", way, &found.shard, &found.after,
                       &found.upto, name) == 5 && strcmp(way, way_names[c->way]) == 0;
    if (good) {
        found.way = c->way;
        found.index = find_index(c, name);
    }
    if (!good || found.index == NULL || found.shard >= found.index->shards)
        return mm_error_set(err, MM_CHANGED, "%s: its indices are others than those of the plan (extent %s)", c->name,
                            text);
    *out = found;
    return MM_OK;
}

/* --- planning --------------------------------------------------------------------------------------------------- */

typedef struct planner {
    mm_source *source;
    mm_elastic_collection *collection;
    uint32_t number;
    double density; /* documents for each `_seq_no` */
    mm_extent_fn emit;
    void *context;
} planner;

/* Ranges of one shard as extents, each with the documents that it has now: it never gets more. With explode rows are
 * more than documents, or fewer: the density has to do. */
static mm_status emit_counted(const planner *p, const mm_elastic_extent *ranges, size_t count, mm_error *err)
{
    uint64_t rows[COUNTED_AT_ONCE];
    mm_status status = MM_OK;
    if (p->collection->bounded)
        status = mm_elastic_count_ranges(p->source, ranges, count, rows, err);
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        char spec[MM_ELASTIC_SPEC];
        mm_extent extent = {.collection = p->number, .spec = spec};
        extent.rows = p->collection->bounded ? rows[i]
                                             : (uint64_t)((double)(ranges[i].upto - ranges[i].after) * p->density + 0.5);
        extent.bytes = extent.rows * p->collection->row_bytes;
        extent.spec_size = mm_elastic_spec_print(&ranges[i], spec);
        status = p->emit(p->context, &extent, err);
    }
    return status;
}

/* A range as extents of about source.extent_bytes. */
static mm_status emit_range(const planner *p, const mm_elastic_index *index, uint32_t shard, int64_t after, int64_t upto,
                            mm_error *err)
{
    mm_elastic_extent ranges[COUNTED_AT_ONCE];
    size_t count = 0;
    uint64_t rows = p->source->extent_bytes / p->collection->row_bytes;
    double wanted = (double)(rows > 0 ? rows : 1) / (p->density > 0 ? p->density : 1);
    uint64_t span = (uint64_t)(upto - after);
    uint64_t parts = wanted >= (double)span ? 1 : (uint64_t)((double)span / wanted + 0.999);
    mm_status status = MM_OK;
    for (uint64_t i = 0; status == MM_OK && i < parts; i++) {
        mm_elastic_extent *e = &ranges[count++];
        *e = (mm_elastic_extent){.shard = shard, .index = index};
        e->after = after + (int64_t)((double)span * ((double)i / (double)parts));
        e->upto = i + 1 == parts ? upto : after + (int64_t)((double)span * ((double)(i + 1) / (double)parts));
        if (count == COUNTED_AT_ONCE || i + 1 == parts) {
            status = emit_counted(p, ranges, count, err);
            count = 0;
        }
    }
    return status;
}

/* A shard whole: documents may come twice. */
static mm_status emit_shard(const planner *p, const mm_elastic_index *index, uint32_t shard, mm_error *err)
{
    char spec[MM_ELASTIC_SPEC];
    uint64_t shards = 0;
    for (size_t i = 0; i < p->collection->index_count; i++)
        shards += p->collection->indices[i].shards;
    mm_elastic_extent e = {.way = p->collection->way, .shard = shard, .after = -1, .upto = -1, .index = index};
    mm_extent extent = {.collection = p->number, .spec = spec, .upsert = true};
    extent.rows = p->collection->documents / shards;
    extent.bytes = extent.rows * p->collection->row_bytes;
    extent.spec_size = mm_elastic_spec_print(&e, spec);
    return p->emit(p->context, &extent, err);
}

static mm_status plan_shards(const planner *p, mm_error *err)
{
    const mm_elastic_collection *c = p->collection;
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < c->index_count; i++)
        for (uint32_t shard = 0; status == MM_OK && shard < c->indices[i].shards; shard++)
            status = emit_shard(p, &c->indices[i], shard, err);
    return status;
}

static mm_status plan_index(const planner *p, const mm_elastic_index *index, const mm_elastic_shard *shards,
                            mm_error *err)
{
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && i < index->shards; i++)
        if (shards[i].checkpoint >= 0)
            status = emit_range(p, index, i, -1, shards[i].checkpoint, err);
    return status;
}

/* Checkpoints of all shards of all indices, one array behind the other. malloc'd. */
static mm_status all_bounds(mm_source *source, const mm_elastic_collection *c, mm_elastic_shard **out, uint64_t *numbers,
                            mm_error *err)
{
    size_t count = 0, at = 0;
    *numbers = 0;
    for (size_t i = 0; i < c->index_count; i++)
        count += c->indices[i].shards;
    mm_elastic_shard *shards = calloc(count + 1, sizeof(*shards));
    mm_status status = shards ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory for a plan");
    for (size_t i = 0; status == MM_OK && i < c->index_count; i++) {
        status = mm_elastic_bounds(source, &c->indices[i], &shards[at], err);
        at += c->indices[i].shards;
    }
    for (size_t i = 0; i < count && status == MM_OK; i++)
        *numbers += (uint64_t)(shards[i].checkpoint + 1);
    if (status != MM_OK) {
        free(shards);
        return status;
    }
    *out = shards;
    return MM_OK;
}

mm_status mm_elastic_plan(mm_source *source, uint32_t number, mm_extent_fn emit, void *context, mm_error *err)
{
    mm_elastic_collection *c = &source->collections[number];
    planner p = {source, c, number, 1, emit, context};
    mm_elastic_shard *shards = NULL;
    uint64_t numbers = 0;
    if (c->way != MM_ELASTIC_SEQ_NO)
        return plan_shards(&p, err);
    mm_status status = all_bounds(source, c, &shards, &numbers, err);
    if (status != MM_OK)
        return status;
    if (numbers > 0)
        p.density = (double)c->documents / (double)numbers;
    size_t at = 0;
    for (size_t i = 0; status == MM_OK && i < c->index_count; i++) {
        status = plan_index(&p, &c->indices[i], &shards[at], err);
        at += c->indices[i].shards;
    }
    free(shards);
    return status;
}

/* --- what changed ----------------------------------------------------------------------------------------------- */

/* How far each shard was planned, in the order of all_bounds. */
typedef struct former_bounds {
    const mm_elastic_collection *collection;
    int64_t *upto; /* -1: nothing was */
} former_bounds;

static mm_status take_former(void *context, const mm_extent *extent, mm_error *err)
{
    former_bounds *f = context;
    mm_elastic_extent e;
    mm_status status = mm_elastic_spec_parse(f->collection, extent, &e, err);
    if (status != MM_OK)
        return status;
    size_t at = e.shard;
    for (const mm_elastic_index *index = f->collection->indices; index < e.index; index++)
        at += index->shards;
    if (f->upto[at] < e.upto)
        f->upto[at] = e.upto;
    return MM_OK;
}

static mm_status read_former(const mm_elastic_collection *c, mm_extent_walk former, void *context, int64_t **out,
                             mm_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < c->index_count; i++)
        count += c->indices[i].shards;
    former_bounds f = {c, malloc((count + 1) * sizeof(*f.upto))};
    if (f.upto == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a plan");
    for (size_t i = 0; i < count; i++)
        f.upto[i] = -1;
    mm_status status = former(context, take_former, &f, err);
    if (status != MM_OK) {
        free(f.upto);
        return status;
    }
    *out = f.upto;
    return MM_OK;
}

/* A shard whose checkpoint went on: only where documents came, not where some were only deleted. */
static mm_status plan_further(planner *p, const mm_elastic_index *index, uint32_t shard, int64_t after, int64_t upto,
                              mm_error *err)
{
    uint64_t rows = 0;
    mm_elastic_extent range = {.shard = shard, .after = after, .upto = upto, .index = index};
    if (upto <= after)
        return MM_OK;
    mm_status status = mm_elastic_count_ranges(p->source, &range, 1, &rows, err);
    if (status != MM_OK || rows == 0)
        return status;
    p->density = (double)rows / (double)(upto - after);
    return emit_range(p, index, shard, after, upto, err);
}

mm_status mm_elastic_plan_changes(mm_source *source, uint32_t number, mm_extent_walk former, void *former_context,
                                  mm_extent_fn emit, void *context, mm_error *err)
{
    mm_elastic_collection *c = &source->collections[number];
    planner p = {source, c, number, 1, emit, context};
    mm_elastic_shard *shards = NULL;
    int64_t *upto = NULL;
    uint64_t numbers = 0;
    if (c->way != MM_ELASTIC_SEQ_NO)
        return MM_END;
    mm_status status = read_former(c, former, former_context, &upto, err);
    if (status == MM_OK)
        status = all_bounds(source, c, &shards, &numbers, err);
    for (size_t i = 0, at = 0; status == MM_OK && i < c->index_count; i++)
        for (uint32_t shard = 0; status == MM_OK && shard < c->indices[i].shards; shard++, at++)
            status = plan_further(&p, &c->indices[i], shard, upto[at], shards[at].checkpoint, err);
    free(shards);
    free(upto);
    return status;
}

mm_status mm_elastic_count(mm_source *source, uint32_t number, mm_extent_walk former, void *former_context,
                           uint64_t *rows, mm_error *err)
{
    mm_elastic_collection *c = &source->collections[number];
    int64_t *upto = NULL;
    *rows = c->documents;
    if (c->way != MM_ELASTIC_SEQ_NO) /* a verification reads it again in any case */
        return MM_OK;
    mm_status status = read_former(c, former, former_context, &upto, err);
    *rows = 0;
    for (size_t i = 0; status == MM_OK && i < c->index_count; i++)
        status = mm_elastic_refresh(source, &c->indices[i], err); /* deletions are seen then */
    for (size_t i = 0, at = 0; status == MM_OK && i < c->index_count; i++)
        for (uint32_t shard = 0; status == MM_OK && shard < c->indices[i].shards; shard++, at++) {
            uint64_t found = 0;
            mm_elastic_extent range = {.shard = shard, .after = -1, .upto = upto[at], .index = &c->indices[i]};
            if (upto[at] >= 0)
                status = mm_elastic_count_ranges(source, &range, 1, &found, err);
            *rows += found;
        }
    free(upto);
    return status;
}
