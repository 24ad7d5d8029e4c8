/* Rows too many, found and removed (sweep.h). Two halves: the keys to remove are found and committed; then they are removed
 * in pieces through an epoch of the fence of their own, each piece taken off the store once the target has confirmed it.
 * A crash repeats at most the finding, or one piece. */
#include "run/sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "run/collections.h"
#include "run/compare.h"
#include "run/keyset.h"
#include "run/plan.h"
#include "run/steps.h"

#define READ_BYTES (1u << 20)
#define PIECE 4096   /* keys that are removed at once */
#define EXAMPLES 10  /* keys that the log names */

static const mm_field *target_key(const mm_run_collection *collection)
{
    const mm_schema *schema = collection->mapping->target;
    return &schema->fields[mm_schema_primary(schema)];
}

static int source_key(const mm_run_collection *collection)
{
    return collection->mapping->source_index[mm_schema_primary(collection->mapping->target)];
}

bool mm_sweep_can(const mm_session *session, uint32_t at)
{
    const mm_run_collection *collection = &session->collections[at];
    const uint32_t caps = MM_SINK_IDEMPOTENT | MM_SINK_FENCE | MM_SINK_READ_BACK;
    if (!(session->sources->capabilities & MM_SOURCE_LIVE) || (session->sink_caps & caps) != caps ||
        session->sinks->list_keys == NULL || session->sinks->delete_keys == NULL)
        return false;
    if (collection->skipped || collection->sink.if_exists == MM_EXISTS_APPEND || target_key(collection)->auto_id)
        return false;
    int key = source_key(collection);
    return key >= 0 && collection->from->schema.fields[key].type == target_key(collection)->type;
}

/* ---- what the source has ---- */

typedef struct finding {
    mm_session *session;
    uint32_t at;
    mm_keyset *keys; /* of the source */
    mm_batch batch;
    uint64_t ours;   /* the most rows that the collection can hold of this job */
    uint64_t others; /* rows above that when the verdict was given */
    uint64_t rows, extra; /* of the target; of them not in the source */
    mm_lane *lane;
    bool first; /* page */
} finding;

static mm_status stop_asked(mm_session *session, mm_error *err)
{
    mm_status asked = mm_session_stop_asked(session);
    return asked == MM_OK ? MM_OK : mm_error_set(err, asked, "%s", mm_status_text(asked));
}

static mm_status read_extent(void *context, const mm_task *task, mm_error *err)
{
    finding *f = context;
    mm_session *session = f->session;
    const mm_run_collection *collection = &session->collections[f->at];
    if (task->collection != f->at)
        return MM_OK;
    int key = source_key(collection);
    bool alone = key == mm_schema_primary(&collection->from->schema);
    mm_extent extent = mm_collections_extent(collection, task);
    mm_reader *reader = NULL;
    mm_status status = session->sources->read_open(session->source, &extent, NULL, alone ? MM_READ_KEYS : MM_READ_ALL,
                                                   &reader, err);
    if (status != MM_OK)
        return status;
    while (status == MM_OK) {
        mm_batch_reset(&f->batch);
        status = session->sources->next(reader, SIZE_MAX, READ_BYTES, &f->batch, err);
        if (status == MM_OK)
            status = mm_keyset_add(f->keys, &f->batch.columns[alone ? 0 : key], f->batch.rows, err);
        if (status == MM_OK)
            status = stop_asked(session, err);
    }
    session->sources->read_close(reader);
    return status == MM_END ? MM_OK : status;
}

static mm_status call_read_source(void *context, mm_error *err)
{
    finding *f = context;
    mm_keyset_close(f->keys);
    f->keys = NULL;
    mm_status status = mm_keyset_open(f->session->args->state_dir, (size_t)(f->session->job->memory / 2), &f->keys, err);
    return status == MM_OK ? f->session->stores->tasks(f->session->store, read_extent, f, err) : status;
}

typedef struct changes_call {
    mm_session *session;
    uint64_t rows;
    bool blind;
} changes_call;

static mm_status call_count_changes(void *context, mm_error *err)
{
    changes_call *call = context;
    return mm_plan_count_changes(call->session, &call->rows, &call->blind, err);
}

/* The keys of every planned extent, and that nothing was written until they were all read: a row that is changed leaves
 * its extent, and must not be taken for one that is gone. *reason: why it cannot be told; NULL: it can. */
static mm_status read_source(finding *f, const char **reason, mm_error *err)
{
    changes_call changes = {.session = f->session};
    mm_status status = mm_steps_retry(f->session, call_read_source, f, err);
    MM_FAILPOINT("sweep.read");
    if (status == MM_OK)
        status = mm_steps_retry(f->session, call_count_changes, &changes, err);
    *reason = changes.blind ? "with this cursor a row that was changed cannot be told from one that is gone"
              : changes.rows > 0
                  ? "the source was written to while its keys were read: repair again while nothing is written"
                  : NULL;
    return status;
}

/* ---- what the target has too many ---- */

static mm_status call_page(void *context, mm_error *err)
{
    finding *f = context;
    mm_batch_reset(&f->batch);
    return f->session->sinks->list_keys(f->lane, f->at, f->first, &f->batch, err);
}

static mm_status take_page(finding *f, bool count, mm_error *err)
{
    const mm_session *session = f->session;
    mm_status status = MM_OK;
    for (size_t row = 0; status == MM_OK && row < f->batch.rows; row++) {
        size_t size = 0;
        const uint8_t *key = mm_column_at(&f->batch.columns[0], row, &size);
        f->rows += count;
        if (key == NULL || mm_keyset_look(f->keys, key, size) != MM_KEYSET_ABSENT)
            continue;
        f->extra++;
        status = session->stores->sweep_add(session->store, f->at, key, size, err);
    }
    return status;
}

/* Walks over all keys of the target, once for each part of the source's keys that fits the memory. */
static mm_status walk_target(finding *f, mm_error *err)
{
    mm_session *session = f->session;
    mm_status status = MM_OK;
    for (bool count = true; (status = mm_keyset_next(f->keys, err)) == MM_OK; count = false) {
        for (f->first = true; status == MM_OK; f->first = false) {
            status = mm_steps_retry(session, call_page, f, err);
            if (status == MM_OK)
                status = take_page(f, count, err);
            if (status == MM_OK)
                status = stop_asked(session, err);
        }
        if (status != MM_END)
            return status;
    }
    return status == MM_END ? MM_OK : status;
}

/* A collection with more rows than the job ever wrote has rows of others among them, which nobody can tell apart. */
static mm_status record(finding *f, bool *others, mm_error *err)
{
    const mm_session *session = f->session;
    mm_status status = session->stores->sweep_begin(session->store, f->at, err);
    if (status != MM_OK)
        return status;
    status = walk_target(f, err);
    *others = f->extra > 0 && (f->others > 0 || f->rows > f->ours);
    mm_error ignored = MM_ERROR_INIT; /* the failure that led here is the one to tell */
    bool keep = status == MM_OK && !*others;
    mm_status ended = session->stores->sweep_end(session->store, f->at, keep, keep ? err : &ignored);
    return status == MM_OK && keep ? ended : status;
}

static mm_status leave(mm_session *session, uint32_t at, const char *reason, mm_error *err)
{
    mm_op op = {.kind = MM_OP_SWEPT, .collection = at, .done = true};
    mm_log(MM_LOG_WARN, "%s: no row is removed: %s", session->collections[at].sink.name, reason);
    session->collections[at].left = true;
    return mm_session_apply(session, &op, 1, err);
}

/* *found: the keys are recorded (there may be none); false: left as it is. */
static mm_status find(mm_session *session, const mm_sweep *sweep, bool *found, mm_error *err)
{
    finding f = {.session = session, .at = sweep->collection, .ours = sweep->rows, .others = sweep->others,
                 .batch = {.arena = MM_ARENA_INIT}};
    const char *reason = NULL;
    char text[256];
    bool others = false;
    mm_status status = read_source(&f, &reason, err);
    if (status == MM_OK && reason == NULL)
        status = session->sinks->lane_open(session->sink, 0, &f.lane, err);
    if (status == MM_OK && reason == NULL)
        status = record(&f, &others, err);
    if (f.lane)
        session->sinks->lane_close(f.lane);
    mm_keyset_close(f.keys);
    mm_batch_free(&f.batch);
    if (status != MM_OK)
        return status;
    if (others) {
        uint64_t foreign = f.others > 0 ? f.others : f.rows - f.ours;
        snprintf(text, sizeof(text), "of the %" PRIu64 " rows that the source does not have at least %" PRIu64 " were not written "
                 "by this job, and nobody can tell which: remove them by hand", f.extra, foreign);
        reason = text;
    }
    *found = reason == NULL;
    return reason ? leave(session, f.at, reason, err) : MM_OK;
}

/* ---- removing ---- */

typedef struct removal {
    mm_session *session;
    uint32_t at;
    mm_lane *lane;
    mm_batch keys;
    mm_field field;
    mm_schema schema;
    bool fenced, doubt; /* an epoch of this sweep stands; a request may still be executed */
} removal;

/* Intent, move, record: as for rows (docs/savepoints.md, rule 5). */
static mm_status raise_fence(removal *r, mm_error *err)
{
    mm_session *session = r->session;
    mm_run_collection *collection = &session->collections[r->at];
    mm_op op = {.kind = MM_OP_FENCE, .collection = r->at, .row = collection->fence + 1, .flag = true};
    mm_status status = mm_session_apply(session, &op, 1, err);
    MM_FAILPOINT("sweep.fence.intended");
    if (status != MM_OK)
        return status;
    collection->fence = op.row;
    collection->sealed = false;
    status = session->sinks->fence_move(session->sink, r->at, op.row - 1, op.row, err);
    MM_FAILPOINT("sweep.fence.moved");
    op.flag = false;
    if (status == MM_OK)
        status = mm_session_apply(session, &op, 1, err);
    r->fenced = r->fenced || status == MM_OK;
    return status;
}

static mm_status call_delete(void *context, mm_error *err)
{
    removal *r = context;
    mm_session *session = r->session;
    mm_status status = r->fenced && !r->doubt ? MM_OK : raise_fence(r, err);
    if (status != MM_OK)
        return status;
    r->doubt = false;
    MM_FAILPOINT("sweep.before_delete");
    status = session->sinks->delete_keys(r->lane, r->at, MM_PARTITION_ANY, false, &r->keys, 0, r->keys.rows, err);
    MM_FAILPOINT("sweep.after_delete");
    r->doubt = mm_status_class(status) == MM_CLASS_UNKNOWN;
    return status;
}

static mm_status fill_keys(removal *r, const mm_extra *extras, size_t count, mm_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += extras[i].size;
    mm_batch_reset(&r->keys);
    mm_status status = mm_batch_begin(&r->keys, &r->schema, count, err);
    if (status != MM_OK)
        return status;
    mm_column *column = &r->keys.columns[0];
    if (column->offsets && (column->values = mm_arena_alloc(&r->keys.arena, bytes + 1)) == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for keys");
    for (size_t i = 0, at = 0; i < count; i++) {
        if (column->offsets == NULL && extras[i].size != sizeof(int64_t))
            return mm_error_set(err, MM_BUG, "a recorded key has %zu bytes", extras[i].size);
        if (extras[i].size > 0)
            memcpy(column->values + at, extras[i].key, extras[i].size);
        at += extras[i].size;
        if (column->offsets)
            column->offsets[i + 1] = at;
    }
    r->keys.rows = count;
    return MM_OK;
}

static void name_keys(const removal *r)
{
    for (size_t i = 0; i < r->keys.rows && i < EXAMPLES; i++) {
        char key[MM_KEY_TEXT];
        mm_compare_key_text(&r->keys, i, key);
        mm_log(MM_LOG_INFO, "%s: row with primary key %s is gone from the source: removed",
               r->session->collections[r->at].sink.name, key);
    }
}

/* *count 0: none was left. */
static mm_status remove_piece(removal *r, size_t *count, mm_error *err)
{
    mm_session *session = r->session;
    mm_arena arena = MM_ARENA_INIT;
    mm_extra *extras = NULL;
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->sweep_keys(session->store, r->at, PIECE, &arena, &extras, count, err);
    pthread_mutex_unlock(&session->store_lock);
    if (status == MM_OK && *count > 0) {
        status = fill_keys(r, extras, *count, err);
        if (status == MM_OK)
            status = mm_steps_retry(session, call_delete, r, err);
        mm_op op = {.kind = MM_OP_SWEPT, .collection = r->at, .row = extras[*count - 1].id, .rows = *count};
        if (status == MM_OK)
            status = mm_session_apply(session, &op, 1, err);
        MM_FAILPOINT("sweep.taken_off");
    }
    mm_arena_free(&arena);
    return status;
}

static mm_status call_drop_fence(void *context, mm_error *err)
{
    removal *r = context;
    return r->session->sinks->fence_drop(r->session->sink, r->at, r->session->collections[r->at].fence, err);
}

/* The epoch's end and the sweep's are one transaction: while the sweep is not over, a resume drops the alias. */
static mm_status finish(removal *r, mm_error *err)
{
    mm_session *session = r->session;
    mm_op ops[] = {{.kind = MM_OP_SWEPT, .collection = r->at, .done = true}, {.kind = MM_OP_SEAL, .collection = r->at}};
    bool fence = session->collections[r->at].fence > 0;
    mm_status status = fence ? mm_steps_retry(session, call_drop_fence, r, err) : MM_OK;
    MM_FAILPOINT("sweep.fence.dropped");
    if (status == MM_OK)
        status = mm_session_apply(session, ops, fence ? 2 : 1, err);
    if (status == MM_OK)
        session->collections[r->at].sealed = true;
    return status;
}

static mm_status remove_keys(mm_session *session, uint32_t at, mm_error *err)
{
    removal r = {.session = session, .at = at, .keys = {.arena = MM_ARENA_INIT},
                 .field = *target_key(&session->collections[at])};
    r.schema = (mm_schema){.name = session->collections[at].sink.name, .fields = &r.field, .field_count = 1};
    uint64_t removed = 0;
    size_t count = 1;
    mm_status status = session->sinks->lane_open(session->sink, 0, &r.lane, err);
    while (status == MM_OK && count > 0) {
        status = remove_piece(&r, &count, err);
        if (status == MM_OK && removed == 0 && count > 0)
            name_keys(&r);
        removed += count;
        if (status == MM_OK && count > 0)
            status = stop_asked(session, err);
    }
    if (r.lane)
        session->sinks->lane_close(r.lane);
    mm_batch_free(&r.keys);
    if (status == MM_OK)
        status = finish(&r, err);
    if (status == MM_OK)
        mm_log(MM_LOG_INFO, "%s: %" PRIu64 " rows that the source no longer has are removed", session->collections[at].sink.name,
               removed);
    return status;
}

/* ---- the whole ---- */

static mm_status list(mm_session *session, mm_arena *arena, mm_sweep **sweeps, size_t *count, mm_error *err)
{
    pthread_mutex_lock(&session->store_lock);
    mm_status status = session->stores->sweeps(session->store, arena, sweeps, count, err);
    pthread_mutex_unlock(&session->store_lock);
    return status;
}

mm_status mm_sweep_pending(mm_session *session, bool *pending, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_sweep *sweeps = NULL;
    size_t count = 0;
    mm_status status = list(session, &arena, &sweeps, &count, err);
    *pending = status == MM_OK && count > 0;
    mm_arena_free(&arena);
    return status;
}

mm_status mm_sweep_run(mm_session *session, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_sweep *sweeps = NULL;
    size_t count = 0;
    mm_status status = list(session, &arena, &sweeps, &count, err);
    if (status == MM_OK && count > 0)
        status = mm_plan_recall_fences(session, err); /* the copy before this moved them */
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        bool found = sweeps[i].found;
        if (sweeps[i].collection >= session->collection_count)
            status = mm_error_set(err, MM_BUG, "a sweep of collection %" PRIu32 ", which is none", sweeps[i].collection);
        else if (!mm_sweep_can(session, sweeps[i].collection))
            status = leave(session, sweeps[i].collection, "the target has no fence against late requests", err), found = false;
        else if (!found)
            status = find(session, &sweeps[i], &found, err);
        if (status == MM_OK && found)
            status = remove_keys(session, sweeps[i].collection, err);
    }
    mm_arena_free(&arena);
    return status;
}
