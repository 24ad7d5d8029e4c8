/* The plan grows: what was written to a live source while it was read. */
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "run/collections.h"
#include "run/plan.h"

mm_status mm_plan_recall_fences(mm_session *session, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_plan_collection *plans = NULL;
    size_t count = 0;
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->collections(session->store, &arena, &plans, &count, err);
    pthread_mutex_unlock(&session->store_lock);
    for (size_t i = 0; status == MM_OK && i < count && plans[i].id < session->collection_count; i++) {
        session->collections[plans[i].id].fence = plans[i].fence;
        session->collections[plans[i].id].sealed = plans[i].sealed;
    }
    mm_arena_free(&arena);
    return status;
}

/* --- former extents --------------------------------------------------------------------------------------------- */

typedef struct walk {
    const mm_plan_walk *of;
    mm_extent_fn each;
    void *context;
} walk;

static mm_status walk_task(void *context, const mm_task *task, mm_error *err)
{
    const walk *w = context;
    if (task->collection != w->of->at)
        return MM_OK;
    const mm_run_collection *collection = &w->of->session->collections[w->of->at];
    mm_extent extent = mm_collections_extent(collection, task);
    if (extent.collection != collection->sources[w->of->source].number)
        return MM_OK;
    return w->each(w->context, &extent, err);
}

mm_status mm_plan_former(void *context, mm_extent_fn each, void *each_context, mm_error *err)
{
    walk w = {context, each, each_context};
    mm_session *session = w.of->session;
    return session->stores->tasks(session->store, walk_task, &w, err);
}

/* --- further ones ----------------------------------------------------------------------------------------------- */

typedef struct found {
    mm_session *session;
    uint32_t collection, first_partition;
    bool plan;  /* else they are only counted */
    bool blind; /* there is a collection of which nothing can be told */
    uint64_t tasks, rows, bytes;
} found;

static mm_status add_extent(void *context, const mm_extent *extent, mm_error *err)
{
    found *f = context;
    f->tasks++;
    f->rows += extent->rows;
    f->bytes += extent->bytes;
    if (!f->plan)
        return MM_OK;
    if (extent->spec_size > MM_EXTENT_SPEC_MAX)
        return mm_error_set(err, MM_BUG, "an extent's description has %zu bytes", extent->spec_size);
    mm_task task = {.kind = MM_TASK_CHANGE, .collection = f->collection, .partition = f->first_partition + extent->partition,
                    .rows = extent->rows, .bytes = extent->bytes, .spec = extent->spec,
                    .spec_size = extent->spec_size};
    return f->session->stores->plan_task(f->session->store, &task, err);
}

static mm_status find_changes(found *f, mm_error *err)
{
    mm_session *session = f->session;
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && i < session->collection_count; i++) {
        const mm_run_collection *collection = &session->collections[i];
        f->collection = i;
        for (size_t j = 0; status == MM_OK && !collection->skipped && j < collection->source_count; j++) {
            mm_plan_walk former = {session, i, j};
            f->first_partition = collection->sources[j].first_partition;
            status = session->sources->plan_changes(session->source, collection->sources[j].number, mm_plan_former, &former,
                                                    add_extent, f, err);
            f->blind = f->blind || status == MM_END;
            status = status == MM_END ? MM_OK : status;
        }
    }
    return status;
}

static mm_status add_totals(mm_session *session, const found *f, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_run_record run;
    mm_status status = session->stores->run_read(session->store, &arena, &run, err);
    if (status == MM_OK) {
        run.bytes_total += f->bytes;
        if (run.rows_total != MM_COUNT_UNKNOWN)
            run.rows_total += f->rows;
        status = session->stores->plan_totals(session->store, &run, err);
    }
    mm_arena_free(&arena);
    return status;
}

mm_status mm_plan_changes(mm_session *session, const char *phase, uint64_t *tasks, mm_error *err)
{
    found f = {.session = session, .plan = true};
    mm_status status = session->stores->plan_more(session->store, phase, err);
    if (status != MM_OK)
        return status;
    status = find_changes(&f, err);
    if (status == MM_OK && f.tasks > 0)
        status = add_totals(session, &f, err);
    MM_FAILPOINT("changes.before_commit");
    mm_error ignored = MM_ERROR_INIT; /* the failure that led here is the one to tell */
    bool keep = status == MM_OK && f.tasks > 0;
    mm_status ended = session->stores->plan_end(session->store, keep, keep ? err : &ignored);
    MM_FAILPOINT("changes.after_commit");
    if (keep)
        status = ended;
    else if (ended != MM_OK)
        mm_log(MM_LOG_DEBUG, "undoing a plan: %s", ignored.text);
    if (status != MM_OK)
        return status;
    session->progress.tasks_total += f.tasks;
    session->progress.bytes_total += f.bytes;
    if (session->progress.rows_total != MM_COUNT_UNKNOWN)
        session->progress.rows_total += f.rows;
    *tasks = f.tasks;
    return MM_OK;
}

mm_status mm_plan_count_changes(mm_session *session, uint64_t *rows, bool *blind, mm_error *err)
{
    found f = {.session = session};
    mm_status status = find_changes(&f, err);
    if (status != MM_OK)
        return status;
    *rows = f.rows;
    *blind = f.blind;
    return MM_OK;
}
