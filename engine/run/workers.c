/* The workers of the pipeline: dumpers read, map and thin; lanes write within the rate; the keeper
 * moves the fence; the attendant calls the sink's own work. Each takes one command at a time and reports to the core. They decide nothing. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "run/attend.h"
#include "run/collections.h"
#include "run/pipeline_internal.h"
#include "run/thin.h"

/* Waits for the next command; false: the pipeline is over. */
static bool next_command(mm_worker *w, mm_core_command *out)
{
    mm_pipeline *p = w->pipeline;
    pthread_mutex_lock(&p->lock);
    while (!w->has_command && !p->quit)
        pthread_cond_wait(&w->wake, &p->lock);
    bool have = w->has_command;
    *out = w->command;
    w->has_command = false;
    pthread_mutex_unlock(&p->lock);
    return have;
}

/* ---- dumpers ---- */

typedef struct reading {
    mm_pipeline *p;
    mm_pipeline_slot *slot;
    uint32_t slot_number, dumper;
    mm_run_collection *collection;
    mm_reader *reader;
    uint64_t row, boundary;
} reading;

static mm_status add_rejects(const reading *r, mm_flow *flow, const mm_reject *rejects, size_t count, mm_error *err)
{
    if (!mm_pipeline_copies(r->p))
        return MM_OK; /* the copy has written them */
    const char *name = mm_collections_source_name(r->p->session, r->collection, r->slot->task.partition);
    for (size_t i = 0; i < count; i++)
        mm_rejects_format(&flow->rejects, name, &r->slot->task, &rejects[i]);
    return flow->rejects.failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory for rejects") : MM_OK;
}

/* Source batch to target batch: thinned, mapped, hashed. */
static mm_status transform(const reading *r, mm_flow *flow, mm_error *err)
{
    const mm_session *session = r->p->session;
    mm_batch *batch = flow->batch;
    mm_reject *rejects = NULL;
    size_t count = 0;
    mm_status status = add_rejects(r, flow, batch->rejects, batch->reject_count, err);
    if (status == MM_OK && r->slot->task.thin)
        status = mm_thin_filter(batch, r->slot->task.thin, r->slot->task.thin_size, err);
    if (status == MM_OK)
        status = mm_mapping_apply(r->collection->mapping, batch, session->sink_caps & MM_SINK_NONFINITE,
                                  &rejects, &count, err);
    if (status == MM_OK)
        status = add_rejects(r, flow, rejects, count, err);
    if (status == MM_OK)
        mm_batch_hash(batch);
    return status;
}

static void fill_item(const reading *r, mm_flow *flow)
{
    const mm_batch *batch = flow->batch;
    mm_core_item *item = &flow->item;
    item->slot = r->slot_number;
    item->first = batch->first_row;
    item->end = batch->end;
    item->rows = batch->rows;
    item->rejected = batch->rejected;
    item->thinned = batch->thinned;
    item->bytes = batch->bytes;
    item->checksum = batch->checksum;
}

/* Reads one batch and hands it to the core. */
static mm_status read_batch(reading *r, mm_error *err)
{
    mm_pipeline *p = r->p;
    mm_flow *flow = calloc(1, sizeof(*flow));
    if (flow == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a batch");
    flow->pool = &p->pools[r->dumper];
    flow->batch = mm_pool_take(flow->pool, &r->slot->abort);
    if (flow->batch == NULL) {
        free(flow);
        return MM_INTERRUPTED;
    }
    size_t max_rows = SIZE_MAX;
    uint64_t rate = mm_pipeline_copies(p) ? p->session->job->rate_rows : 0;
    if (rate > 0 && rate < max_rows)
        max_rows = (size_t)rate; /* a second's worth: a batch goes at once */
    if (r->row < r->boundary && r->boundary - r->row < max_rows)
        max_rows = (size_t)(r->boundary - r->row);
    mm_status status = p->session->sources->next(r->reader, max_rows, p->batch_bytes, flow->batch, err);
    if (status == MM_OK && flow->batch->end.row <= r->row)
        status = mm_error_set(err, MM_BUG, "the source gave a batch without rows");
    if (status == MM_OK && flow->batch->first_row != r->row)
        status = mm_error_set(err, MM_BUG, "%s, task %llu: the source gave rows from %llu on where row %llu comes next",
                              r->collection->from->schema.name, (unsigned long long)r->slot->task.id,
                              (unsigned long long)flow->batch->first_row, (unsigned long long)r->row);
    if (status == MM_OK)
        status = transform(r, flow, err);
    if (status != MM_OK) {
        mm_flow_free(flow);
        return status;
    }
    MM_FAILPOINT("dumper.batch");
    r->row = flow->batch->end.row;
    fill_item(r, flow);
    pthread_mutex_lock(&p->lock);
    mm_core_on_item(p->core, &flow->item);
    mm_pipeline_pump(p);
    pthread_mutex_unlock(&p->lock);
    return MM_OK;
}

/* Extents may be tiny, and a look at a source of many files long: once a second is often enough, since the verdict checks
 * again, and a twentieth of the time is. */
static mm_status check_source(mm_pipeline *p, mm_error *err)
{
    uint64_t now = mm_clock_ms();
    pthread_mutex_lock(&p->lock);
    bool due = now >= p->source_check_ms;
    if (due)
        p->source_check_ms = UINT64_MAX; /* one at a time */
    pthread_mutex_unlock(&p->lock);
    if (!due)
        return MM_OK;
    mm_status status = mm_session_check_source(p->session, err);
    uint64_t took = mm_clock_ms() - now;
    pthread_mutex_lock(&p->lock);
    p->source_check_ms = now + took + (20 * took > 1000 ? 20 * took : 1000);
    pthread_mutex_unlock(&p->lock);
    return status;
}

/* At an extent's end, before its last rows are called done: is the source still the one of the plan,
 * and did it give the rows it promised? */
static mm_status check_extent_end(const reading *r, mm_error *err)
{
    const mm_session *session = r->p->session;
    const mm_collection *from = r->collection->from;
    if (from->rows_exact && r->row != r->slot->task.rows)
        return mm_error_set(err, MM_CHANGED, "%s: an extent gave %llu rows where the plan has %llu",
                            from->schema.name, (unsigned long long)r->row,
                            (unsigned long long)r->slot->task.rows);
    return session->sources->capabilities & MM_SOURCE_MUTABLE ? check_source(r->p, err) : MM_OK;
}

/* ---- whole files in the place of rows ---- */

/* Source and sink know files, and nothing is to be done with the rows on their way: same fields, no thinning. */
static bool may_hand_over(const reading *r)
{
    const mm_session *session = r->p->session;
    if (r->p->work->kind != MM_TASK_COPY || session->sources->staged == NULL || session->sinks->adopt == NULL)
        return false;
    const mm_schema *from = &r->collection->from->schema, *to = r->collection->mapping->target;
    if (r->slot->task.thin || r->row > 0 || from->field_count != to->field_count)
        return false;
    for (size_t i = 0; i < to->field_count; i++) {
        const mm_field *a = &from->fields[i], *b = &to->fields[i];
        if (r->collection->mapping->source_index[i] != (int)i || strcmp(a->name, b->name) != 0 || a->type != b->type ||
            a->element_type != b->element_type || a->dim != b->dim || a->max_length != b->max_length ||
            a->nullable != b->nullable)
            return false;
    }
    return true;
}

/* The extent's files, if source and sink agree on them; MM_END: its rows are to be read. */
static mm_status find_staged(const reading *r, const mm_extent *extent, mm_arena *arena, mm_staged *out, mm_error *err)
{
    const mm_session *session = r->p->session;
    mm_status status = session->sources->staged(session->source, extent, arena, out, err);
    if (status == MM_OK && !session->sinks->adopts(session->sink, r->slot->task.collection, out))
        status = MM_END;
    return status;
}

static mm_status hand_over(reading *r, const mm_extent *extent, mm_error *err)
{
    mm_pipeline *p = r->p;
    mm_flow *flow = calloc(1, sizeof(*flow));
    if (flow == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a file");
    flow->pool = &p->pools[r->dumper];
    flow->batch = mm_pool_take(flow->pool, &r->slot->abort);
    if (flow->batch == NULL) {
        free(flow);
        return MM_INTERRUPTED;
    }
    mm_status status = MM_NO_MEMORY;
    flow->staged = mm_arena_alloc(&flow->batch->arena, sizeof(*flow->staged));
    if (flow->staged)
        status = find_staged(r, extent, &flow->batch->arena, flow->staged, err);
    if (status == MM_OK && flow->staged->rows != r->slot->task.rows)
        status = mm_error_set(err, MM_CHANGED, "%s: a file has %llu rows where the plan has %llu",
                              r->collection->from->schema.name, (unsigned long long)flow->staged->rows,
                              (unsigned long long)r->slot->task.rows);
    if (status != MM_OK) {
        mm_flow_free(flow);
        return status;
    }
    flow->item = (mm_core_item){.slot = r->slot_number, .end = {.row = flow->staged->rows}, .rows = flow->staged->rows,
                                .bytes = r->slot->task.bytes};
    r->row = flow->staged->rows;
    pthread_mutex_lock(&p->lock);
    mm_core_on_item(p->core, &flow->item);
    mm_pipeline_pump(p);
    pthread_mutex_unlock(&p->lock);
    return MM_OK;
}

static mm_status read_task(mm_pipeline *p, const mm_core_command *command, mm_error *err)
{
    mm_session *session = p->session;
    mm_pipeline_slot *slot = &p->slots[command->slot];
    reading r = {.p = p, .slot = slot, .slot_number = command->slot, .dumper = command->count,
                 .row = command->cursor.row,
                 .boundary = command->boundary, .collection = &session->collections[slot->task.collection]};
    mm_extent extent = mm_collections_extent(r.collection, &slot->task);
    mm_status status = may_hand_over(&r) ? hand_over(&r, &extent, err) : MM_END;
    if (status == MM_OK)
        return check_extent_end(&r, err);
    if (status != MM_END)
        return status;
    status = session->sources->read_open(session->source, &extent, &command->cursor, MM_READ_ALL, &r.reader, err);
    if (status != MM_OK)
        return status;
    while (status == MM_OK) {
        if (slot->abort)
            status = MM_INTERRUPTED;
        else
            status = read_batch(&r, err);
    }
    session->sources->read_close(r.reader);
    return status == MM_END ? check_extent_end(&r, err) : status;
}

void *mm_pipeline_dumper(void *worker)
{
    mm_worker *w = worker;
    mm_pipeline *p = w->pipeline;
    mm_core_command command;
    while (next_command(w, &command)) {
        mm_error err = MM_ERROR_INIT;
        mm_status status = read_task(p, &command, &err);
        pthread_mutex_lock(&p->lock);
        if (status != MM_OK && status != MM_INTERRUPTED)
            mm_pipeline_note(p, status, &err);
        mm_core_on_read_end(p->core, command.slot, status, err.retry_after_ms);
        mm_pipeline_pump(p);
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

/* ---- lanes ---- */

/* limits.rate: each write books its share of time; the next one waits until its turn. What waits when a
 * stop is asked for is not sent: otherwise the end of a slow run would be a burst. */
static mm_status keep_rate(mm_pipeline *p, uint64_t rows, uint64_t bytes, mm_error *err)
{
    const mm_job *job = p->session->job;
    uint64_t cost_ns = 0;
    if (job->rate_rows > 0)
        cost_ns = rows * 1000000000ull / job->rate_rows;
    if (job->rate_bytes > 0 && bytes * 1000000000ull / job->rate_bytes > cost_ns)
        cost_ns = bytes * 1000000000ull / job->rate_bytes;
    if (cost_ns == 0 || !mm_pipeline_copies(p))
        return MM_OK;
    pthread_mutex_lock(&p->lock);
    uint64_t now = mm_clock_ns();
    if (p->rate_next_ns < now)
        p->rate_next_ns = now;
    uint64_t turn = p->rate_next_ns;
    p->rate_next_ns += cost_ns;
    pthread_mutex_unlock(&p->lock);
    for (; now < turn; now = mm_clock_ns()) {
        mm_status asked = mm_session_stop_asked(p->session);
        if (asked != MM_OK)
            return mm_error_set(err, asked, "%s", mm_status_text(asked));
        mm_session_sleep(p->session, (turn - now + 999999) / 1000000);
    }
    return MM_OK;
}

/* For the debug log: how soon the first batch went, how long the copy took at the target. */
static void note_times(mm_pipeline *p, uint64_t began, mm_status status)
{
    mm_session *session = p->session;
    if (!mm_pipeline_copies(p))
        return;
    if (session->first_send_ns == 0 || began < session->first_send_ns)
        session->first_send_ns = began;
    if (status != MM_OK)
        return;
    if (session->last_ack_ns == 0)
        mm_log(MM_LOG_DEBUG, "the first batch is written");
    session->last_ack_ns = mm_clock_ns();
}

static mm_status write_or_adopt(mm_worker *w, const mm_write *what, mm_flow *flow, size_t *acknowledged,
                                uint64_t *mismatched, mm_error *err)
{
    mm_pipeline *p = w->pipeline;
    if (flow->staged == NULL)
        return p->work->write(p->session, w->lane, what, flow->batch, acknowledged, mismatched, err);
    mm_status status = p->session->sinks->adopt(w->lane, what, flow->staged, err);
    if (status == MM_OK)
        *acknowledged = (size_t)flow->staged->rows;
    return status;
}

static void do_send(mm_worker *w, const mm_core_command *command)
{
    mm_pipeline *p = w->pipeline;
    mm_flow *flow = (mm_flow *)command->item;
    mm_write what = {.collection = command->collection, .partition = p->slots[command->slot].task.partition,
                     .task = command->task, .mode = command->upsert ? MM_WRITE_UPSERT : MM_WRITE_INSERT,
                     .fence = command->fence, .from = (size_t)command->from};
    what.task_rows = p->slots[command->slot].task.rows;
    if (p->work->kind == MM_TASK_VERIFY)
        what.task = p->slots[command->slot].task.copy_of;
    size_t acknowledged = (size_t)command->from;
    uint64_t mismatched = 0;
    mm_error err = MM_ERROR_INIT;
    mm_status status = MM_OK;
    if (flow->staged == NULL)
        status = keep_rate(p, flow->batch->rows - command->from, flow->batch->bytes, &err);
    MM_FAILPOINT("lane.before_send");
    uint64_t began = mm_clock_ns();
    if (status == MM_OK)
        status = write_or_adopt(w, &what, flow, &acknowledged, &mismatched, &err);
    MM_FAILPOINT("lane.after_send");
    pthread_mutex_lock(&p->lock);
    note_times(p, began, status);
    flow->item.mismatched = mismatched;
    if (status != MM_OK)
        mm_pipeline_note(p, status, &err);
    mm_core_on_sent(p->core, &flow->item, status, acknowledged, err.retry_after_ms);
    mm_pipeline_pump(p);
    pthread_mutex_unlock(&p->lock);
}

static mm_status move_changes(mm_changes *to, const mm_changes *from, mm_error *err)
{
    for (size_t i = 0; i < from->count; i++)
        if (mm_sink_change(to, from->items[i].key, from->items[i].value) != MM_OK)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory for the sink's changes");
    return MM_OK;
}

static void do_flush(mm_worker *w)
{
    mm_pipeline *p = w->pipeline;
    mm_changes changes = {0};
    mm_error err = MM_ERROR_INIT;
    MM_FAILPOINT("lane.before_flush");
    mm_status status = p->session->sinks->flush(w->lane, &changes, &err);
    MM_FAILPOINT("lane.after_flush");
    pthread_mutex_lock(&p->lock);
    if (status == MM_OK)
        status = move_changes(&p->changes, &changes, &err);
    if (status != MM_OK)
        mm_pipeline_note(p, status, &err);
    mm_core_on_flushed(p->core, w->number, status);
    mm_pipeline_pump(p);
    pthread_mutex_unlock(&p->lock);
    mm_changes_free(&changes);
}

void *mm_pipeline_lane(void *worker)
{
    mm_worker *w = worker;
    mm_core_command command;
    while (next_command(w, &command)) {
        if (command.kind == MM_CORE_FLUSH)
            do_flush(w);
        else
            do_send(w, &command);
    }
    /* here, since closing can be work: the lanes do theirs at once */
    w->pipeline->session->sinks->lane_close(w->lane);
    w->lane = NULL;
    return NULL;
}

/* ---- the keeper of the fence ---- */

static void keep_fence(mm_pipeline *p, const mm_core_command *command)
{
    const mm_session *session = p->session;
    mm_error err = MM_ERROR_INIT;
    mm_status status;
    MM_FAILPOINT("fence.before");
    if (command->kind == MM_CORE_FENCE_MOVE)
        status = session->sinks->fence_move(session->sink, command->collection, command->fence - 1,
                                            command->fence, &err);
    else
        status = session->sinks->fence_drop(session->sink, command->collection, command->fence, &err);
    MM_FAILPOINT("fence.after");
    pthread_mutex_lock(&p->lock);
    if (status != MM_OK)
        mm_pipeline_note(p, status, &err);
    mm_core_on_fenced(p->core, command->collection, status, err.retry_after_ms);
    mm_pipeline_pump(p);
    pthread_mutex_unlock(&p->lock);
}

void *mm_pipeline_keeper(void *worker)
{
    mm_worker *w = worker;
    mm_pipeline *p = w->pipeline;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        while (p->fence_queue.count == 0 && !p->quit)
            pthread_cond_wait(&w->wake, &p->lock);
        mm_core_command *commands;
        size_t count;
        mm_command_queue_take(&p->fence_queue, &commands, &count);
        pthread_mutex_unlock(&p->lock);
        if (count == 0)
            return NULL;
        for (size_t i = 0; i < count; i++)
            keep_fence(p, &commands[i]);
        free(commands);
    }
}

/* ---- the attendant ---- */

/* Until the pipeline is over or `wait_ms` have passed; false: it is over. */
static bool rest(mm_worker *w, uint64_t wait_ms)
{
    mm_pipeline *p = w->pipeline;
    uint64_t until = mm_clock_ms() + wait_ms;
    struct timespec at = {(time_t)(until / 1000), (long)(until % 1000) * 1000000};
    pthread_mutex_lock(&p->lock);
    while (!p->quit && mm_clock_ms() < until)
        pthread_cond_timedwait(&w->wake, &p->lock, &at);
    bool goes_on = !p->quit;
    pthread_mutex_unlock(&p->lock);
    return goes_on;
}

void *mm_pipeline_attendant(void *worker)
{
    mm_worker *w = worker;
    mm_pipeline *p = w->pipeline;
    mm_attendance attendance = {0};
    mm_status status = MM_OK;
    mm_error err = MM_ERROR_INIT;
    for (uint64_t wait_ms = 0; status == MM_OK && rest(w, wait_ms);)
        status = mm_attend_once(p->session, &attendance, false, &wait_ms, &err);
    if (status == MM_OK || mm_status_class(status) == MM_CLASS_STOP)
        return NULL; /* who was asked to stop is the main thread's to see */
    pthread_mutex_lock(&p->lock);
    mm_pipeline_note(p, status, &err);
    mm_core_on_stop(p->core, status);
    mm_pipeline_pump(p);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}
