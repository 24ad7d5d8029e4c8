/* The pipeline's life: threads are started, the core's commands handed out, signals and deadlines
 * watched, threads joined. The core decides; this file only carries. */
#include "run/pipeline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/pipeline_internal.h"
#include "run/progress.h"

#define TICK_MS 200
#define DRAIN_MS 15000      /* a stop must end within 20 s */
#define BATCH_MAX (8u << 20)
#define BATCH_MIN (256u << 10)
#define BATCH_ORDERED (1u << 20) /* stays in the caches on its way from the reader to the file */
#define POOL_SPARE 4
#define CLAIM_BYTES (64u << 20)
#define SLOTS_MAX 256

void mm_flow_free(mm_flow *flow)
{
    if (flow->batch)
        mm_pool_give(flow->pool, flow->batch);
    mm_buffer_free(&flow->rejects);
    free(flow);
}

void mm_command_queue_take(mm_command_queue *queue, mm_core_command **items, size_t *count)
{
    *items = queue->items;
    *count = queue->count;
    *queue = (mm_command_queue){0};
}

static void queue_add(mm_pipeline *p, mm_command_queue *queue, const mm_core_command *command)
{
    if (queue->count == queue->capacity) {
        size_t capacity = queue->capacity ? queue->capacity * 2 : 32;
        mm_core_command *grown = realloc(queue->items, capacity * sizeof(*grown));
        if (grown == NULL) {
            mm_core_on_store_failed(p->core, MM_NO_MEMORY);
            return;
        }
        queue->items = grown;
        queue->capacity = capacity;
    }
    queue->items[queue->count++] = *command;
}

static void wake_worker(mm_worker *worker, const mm_core_command *command)
{
    worker->command = *command;
    worker->has_command = true;
    pthread_cond_signal(&worker->wake);
}

static void hand_out(mm_pipeline *p, const mm_core_command *command)
{
    switch (command->kind) {
    case MM_CORE_READ:
        wake_worker(&p->dumpers[command->count], command);
        break;
    case MM_CORE_ABORT_READ:
        p->slots[command->slot].abort = true;
        for (uint32_t i = 0; i < p->dumper_count; i++)
            mm_pool_wake(&p->pools[i]);
        break;
    case MM_CORE_SEND:
    case MM_CORE_FLUSH:
        wake_worker(&p->lanes[command->lane], command);
        break;
    case MM_CORE_FREE: {
        mm_flow *flow = (mm_flow *)command->item;
        mm_pool_give(flow->pool, flow->batch);
        flow->batch = NULL;
        break;
    }
    case MM_CORE_DROP:
        mm_flow_free((mm_flow *)command->item);
        break;
    case MM_CORE_FENCE_MOVE:
    case MM_CORE_FENCE_DROP:
        queue_add(p, &p->fence_queue, command);
        pthread_cond_signal(&p->keeper.wake);
        break;
    default:
        queue_add(p, &p->store_queue, command);
        pthread_cond_signal(&p->committer.wake);
        break;
    }
}

/* Time in which a worker could work and waits for a commit: what savepoints cost. */
static void watch_waiting(mm_pipeline *p)
{
    bool waiting = mm_core_waits_for_store(p->core);
    if (waiting == p->waiting)
        return;
    uint64_t now = mm_clock_ns();
    if (waiting)
        p->waiting_since_ns = now;
    else
        p->session->waited_ns += now - p->waiting_since_ns;
    p->waiting = waiting;
}

void mm_pipeline_pump(mm_pipeline *p)
{
    for (;;) {
        mm_core_end end = mm_core_tick(p->core, mm_clock_ms());
        mm_core_command command;
        if (!mm_core_next(p->core, &command)) {
            p->ended = end == MM_CORE_ENDED;
            break;
        }
        do
            hand_out(p, &command);
        while (mm_core_next(p->core, &command));
    }
    watch_waiting(p);
    pthread_cond_signal(&p->changed);
}

void mm_pipeline_note(mm_pipeline *p, mm_status status, const mm_error *err)
{
    mm_class klass = mm_status_class(status);
    bool temporary = klass == MM_CLASS_RETRY || klass == MM_CLASS_RATE || klass == MM_CLASS_UNKNOWN;
    mm_error *kept = &p->errors[status];
    if (temporary || kept->status == MM_OK) {
        *kept = *err;
        kept->status = status;
    }
    uint64_t now = mm_clock_ms();
    if (!temporary || (p->warned_ms > 0 && now - p->warned_ms < 5000))
        return;
    p->warned_ms = now;
    mm_log(MM_LOG_WARN, "%s; trying again for up to %" PRIu64 " s (limits.patience)", err->text,
           p->session->job->patience_ms / 1000);
}

/* ---- life ---- */

static void size_pipeline(mm_pipeline *p)
{
    const mm_session *session = p->session;
    const mm_job *job = session->job;
    uint32_t most = session->sinks->lanes_max ? session->sinks->lanes_max(session->sink) : 0;
    p->dumper_count = job->dumpers;
    p->lane_count = most > 0 && most < job->loaders ? most : job->loaders;
    uint64_t share = job->memory / (2 * (p->dumper_count + p->lane_count + 2));
    uint64_t most_bytes = session->sink_caps & MM_SINK_ORDERED && mm_pipeline_copies(p) ? BATCH_ORDERED : BATCH_MAX;
    if (job->rate_bytes > 0 && job->rate_bytes < most_bytes && mm_pipeline_copies(p))
        most_bytes = job->rate_bytes; /* a second's worth: a batch goes at once */
    uint64_t bytes = share < BATCH_MIN ? BATCH_MIN : share;
    p->batch_bytes = (size_t)(bytes > most_bytes ? most_bytes : bytes);
    const mm_run_progress *progress = &session->progress;
    bool small_tasks = progress->tasks_total > 0 && progress->bytes_total / progress->tasks_total < BATCH_MAX;
    p->slot_count = small_tasks ? SLOTS_MAX : 32;
}

/* Small tasks are claimed many at a time, so that a claim's commit is not paid for each. */
static uint32_t claim_count(const mm_pipeline *p)
{
    const mm_run_progress *progress = &p->session->progress;
    uint64_t per_task = progress->tasks_total > 0 ? progress->bytes_total / progress->tasks_total : 0;
    uint64_t count = CLAIM_BYTES / (per_task + 1);
    /* a stock that outlasts a commit on a busy disk */
    uint64_t least = 4 * (uint64_t)p->dumper_count, most = p->slot_count / 2;
    if (count < least)
        count = least;
    return (uint32_t)(count < most ? count : most);
}

static mm_status make_core(mm_pipeline *p, mm_error *err)
{
    const mm_session *session = p->session;
    uint32_t caps = session->sink_caps;
    bool copy = mm_pipeline_copies(p);
    bool keyed = (caps & MM_SINK_IDEMPOTENT) && !(caps & MM_SINK_REWIND);
    mm_core_fence *fences = calloc(session->collection_count + 1, sizeof(*fences));
    if (fences == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < session->collection_count; i++)
        fences[i] = (mm_core_fence){session->collections[i].fence, session->collections[i].sealed,
                                    session->collections[i].skipped};
    mm_core_config config = {
        .dumpers = p->dumper_count,
        .lanes = p->lane_count,
        .slots = p->slot_count,
        .claim = claim_count(p),
        .reserve_ahead = p->lane_count,
        .ordered = copy && (caps & MM_SINK_ORDERED),
        .ack = !copy || (caps & MM_SINK_ACK),
        .reserve = copy && keyed,
        .fence = copy && (caps & MM_SINK_FENCE),
        .upsert_all = copy && keyed && (!(caps & MM_SINK_FENCE) || p->work->kind == MM_TASK_CHANGE),
        .flush_bytes = 128u << 20,
        .flush_ms = 2000,
        .patience_ms = session->job->patience_ms,
        .backoff_ms = 100,
        .backoff_max_ms = 10000,
        .fences = fences,
        .collections = session->collection_count,
    };
    mm_random_bytes(&config.seed, sizeof(config.seed));
    p->core = mm_core_new(&config);
    free(fences);
    return p->core ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static mm_status start_worker(mm_pipeline *p, mm_worker *worker, uint32_t number, void *(*run)(void *), mm_error *err)
{
    worker->pipeline = p;
    worker->number = number;
    init_condition(&worker->wake);
    if (pthread_create(&worker->thread, NULL, run, worker) != 0)
        return mm_error_set(err, MM_NO_MEMORY, "cannot start a thread");
    worker->started = true;
    return MM_OK;
}

static mm_status start_workers(mm_pipeline *p, mm_error *err)
{
    const mm_session *session = p->session;
    mm_status status = MM_OK;
    for (uint32_t i = 0; i < p->lane_count && status == MM_OK; i++) {
        status = session->sinks->lane_open(session->sink, i, &p->lanes[i].lane, err);
        if (status == MM_OK)
            status = start_worker(p, &p->lanes[i], i, mm_pipeline_lane, err);
    }
    for (uint32_t i = 0; i < p->dumper_count && status == MM_OK; i++)
        status = start_worker(p, &p->dumpers[i], i, mm_pipeline_dumper, err);
    if (status == MM_OK)
        status = start_worker(p, &p->keeper, 0, mm_pipeline_keeper, err);
    if (status == MM_OK)
        status = start_worker(p, &p->committer, 0, mm_pipeline_committer, err);
    if (status == MM_OK && session->sinks->attend && p->work->kind == MM_TASK_COPY)
        status = start_worker(p, &p->attendant, 0, mm_pipeline_attendant, err);
    return status;
}

/* Enough batches to keep every lane busy, within the budget; more would only cost memory that is cold. */
static mm_status make_pools(mm_pipeline *p, mm_error *err)
{
    uint64_t budget = p->session->job->memory * 3 / 4 / p->batch_bytes / p->dumper_count + 1;
    uint64_t enough = 2 * p->lane_count / p->dumper_count + POOL_SPARE;
    p->pools = calloc(p->dumper_count, sizeof(*p->pools));
    if (p->pools == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = MM_OK;
    for (uint32_t i = 0; i < p->dumper_count && status == MM_OK; i++)
        status = mm_pool_init(&p->pools[i], (size_t)(budget < enough ? budget : enough), err);
    return status;
}

static mm_status init(mm_pipeline *p, mm_session *session, const mm_pipeline_work *work, mm_error *err)
{
    p->session = session;
    p->work = work;
    p->accounted_ms = mm_clock_ms();
    pthread_mutex_init(&p->lock, NULL);
    init_condition(&p->changed);
    size_pipeline(p);
    p->slots = calloc(p->slot_count, sizeof(*p->slots));
    p->dumpers = calloc(p->dumper_count, sizeof(*p->dumpers));
    p->lanes = calloc(p->lane_count, sizeof(*p->lanes));
    if (p->slots == NULL || p->dumpers == NULL || p->lanes == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status = make_pools(p, err);
    return status == MM_OK ? make_core(p, err) : status;
}

static void stop_worker(mm_worker *worker)
{
    if (!worker->started)
        return;
    pthread_cond_signal(&worker->wake);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->wake);
}

static void destroy(mm_pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    for (uint32_t i = 0; p->lanes && i < p->lane_count; i++)
        if (p->lanes[i].started)
            pthread_cond_signal(&p->lanes[i].wake);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; p->dumpers && i < p->dumper_count; i++)
        stop_worker(&p->dumpers[i]);
    for (uint32_t i = 0; p->lanes && i < p->lane_count; i++) {
        stop_worker(&p->lanes[i]);
        if (p->lanes[i].lane) /* its thread was never started */
            p->session->sinks->lane_close(p->lanes[i].lane);
    }
    stop_worker(&p->keeper);
    stop_worker(&p->committer);
    stop_worker(&p->attendant);
    for (uint32_t i = 0; p->slots && i < p->slot_count; i++)
        mm_arena_free(&p->slots[i].arena);
    mm_core_free(p->core);
    for (uint32_t i = 0; p->pools && i < p->dumper_count; i++)
        if (p->pools[i].batches)
            mm_pool_destroy(&p->pools[i]);
    mm_changes_free(&p->changes);
    free(p->store_queue.items);
    free(p->fence_queue.items);
    free(p->slots);
    free(p->pools);
    free(p->dumpers);
    free(p->lanes);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
}

/* A drain that takes too long: everything that matters is in the store, so the process just ends. */
static void end_at_once(mm_status status)
{
    mm_log(MM_LOG_WARN, "requests in flight did not end in time; their rows are in doubt and will be "
                        "written again on resume");
    _exit(mm_status_exit(status));
}

static void wait_for_change(mm_pipeline *p)
{
    uint64_t now = mm_clock_ms(), deadline = mm_core_deadline(p->core);
    uint64_t until = deadline < now + TICK_MS ? deadline : now + TICK_MS;
    struct timespec at = {(time_t)(until / 1000), (long)(until % 1000) * 1000000};
    pthread_cond_timedwait(&p->changed, &p->lock, &at);
}

/* The main thread: deadlines, signals and progress. */
static void watch(mm_pipeline *p)
{
    mm_progress progress;
    mm_progress_begin(&progress, p->session, p->work->kind);
    uint64_t asked_ms = 0;
    pthread_mutex_lock(&p->lock);
    mm_pipeline_pump(p);
    while (!p->ended) {
        wait_for_change(p);
        mm_status asked = mm_session_stop_asked(p->session);
        if (asked != MM_OK && asked_ms == 0) {
            asked_ms = mm_clock_ms();
            mm_log(MM_LOG_INFO, "stopping: waiting for requests in flight and the last savepoint");
            mm_core_on_stop(p->core, asked);
        }
        if (asked_ms > 0 && mm_clock_ms() - asked_ms > DRAIN_MS)
            end_at_once(asked);
        uint64_t paused_since = mm_core_paused_since(p->core);
        if (mm_core_deadline(p->core) <= mm_clock_ms() || asked_ms > 0)
            mm_pipeline_pump(p);
        pthread_mutex_unlock(&p->lock);
        mm_progress_show(&progress, paused_since);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    mm_progress_end(&progress);
}

static mm_status conclude(const mm_pipeline *p, mm_error *err)
{
    mm_status status = mm_core_result(p->core);
    if (status == MM_OK)
        return MM_OK;
    if (p->errors[status].text[0]) {
        *err = p->errors[status];
        return status;
    }
    return mm_error_set(err, status, "%s", mm_status_text(status));
}

mm_status mm_pipeline_run(mm_session *session, const mm_pipeline_work *work, mm_error *err)
{
    mm_pipeline *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    uint64_t began = mm_clock_ns();
    mm_status status = init(p, session, work, err);
    if (status == MM_OK)
        status = start_workers(p, err);
    if (status == MM_OK) {
        watch(p);
        status = conclude(p, err);
        if (!p->store_failed && mm_pipeline_copies(p))
            mm_pipeline_account_rest(p);
    }
    session->worked_ns += mm_clock_ns() - began;
    destroy(p);
    free(p);
    return status;
}
