/* The committer: the one thread that writes savepoints. Everything that has gathered while the last
 * transaction was on its way goes into the next one (group commit). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/json_text.h"
#include "base/log.h"
#include "run/pipeline_internal.h"

#define ACCOUNT_MS 300

/* ---- the dead-letter file ---- */

static mm_status open_rejects(mm_session *session, mm_error *err)
{
    int fd = open(session->rejects_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return mm_error_errno(err, MM_IO, "%s", session->rejects_path);
    /* what no savepoint vouches for was written by a process that died */
    if (ftruncate(fd, (off_t)session->rejects_size) != 0) {
        mm_status status = mm_error_errno(err, MM_IO, "%s", session->rejects_path);
        close(fd);
        return status;
    }
    session->rejects_fd = fd;
    return MM_OK;
}

mm_status mm_rejects_append(mm_session *session, const char *lines, size_t size, mm_error *err)
{
    if (session->rejects_fd < 0) {
        mm_status status = open_rejects(session, err);
        if (status != MM_OK)
            return status;
    }
    uint64_t at = session->rejects_size;
    for (size_t done = 0; done < size;) {
        ssize_t wrote = pwrite(session->rejects_fd, lines + done, size - done, (off_t)(at + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return mm_error_errno(err, MM_IO, "%s", session->rejects_path);
        done += (size_t)wrote;
    }
    MM_FAILPOINT("rejects.before_sync");
    if (fdatasync(session->rejects_fd) != 0)
        return mm_error_errno(err, MM_IO, "%s", session->rejects_path);
    session->rejects_size = at + size;
    return MM_OK;
}

void mm_rejects_format(mm_buffer *out, const char *collection, const mm_task *task, const mm_reject *reject)
{
    mm_buffer_printf(out, "{\"collection\":");
    mm_json_text(out, collection);
    mm_buffer_printf(out, ",\"task\":%" PRIu64 ",\"row\":%" PRIu64 ",\"key\":", task->id, reject->row);
    mm_json_text(out, reject->key);
    mm_buffer_append(out, ",\"field\":", 9);
    mm_json_text(out, reject->field);
    mm_buffer_append(out, ",\"reason\":", 10);
    mm_json_text(out, reject->reason);
    mm_buffer_append(out, "}\n", 2);
}

/* ---- claims ---- */

static mm_status keep_claimed(mm_pipeline *p, const mm_task *task, uint32_t at, mm_error *err)
{
    mm_pipeline_slot *slot = &p->slots[at];
    mm_arena_reset(&slot->arena);
    slot->task = *task;
    slot->abort = false;
    void *spec = mm_arena_alloc(&slot->arena, task->spec_size);
    void *thin = task->thin ? mm_arena_alloc(&slot->arena, task->thin_size) : NULL;
    if (spec == NULL || (task->thin && thin == NULL))
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a task");
    if (task->spec_size > 0)
        memcpy(spec, task->spec, task->spec_size);
    if (task->thin)
        memcpy(thin, task->thin, task->thin_size);
    slot->task.spec = spec;
    slot->task.thin = thin;
    return MM_OK;
}

static mm_status do_claim(mm_pipeline *p, const mm_core_command *command, mm_error *err)
{
    mm_session *session = p->session;
    mm_arena arena = MM_ARENA_INIT;
    size_t count = 0;
    mm_task *tasks = calloc(command->count, sizeof(*tasks));
    mm_core_task *claimed = calloc(command->count, sizeof(*claimed));
    mm_status status = MM_OK;
    if (tasks == NULL || claimed == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory for a claim");
        goto out;
    }
    pthread_mutex_lock(&session->store_lock);
    status = session->stores->claim(session->store, p->work->kind, command->count, &arena, tasks, &count, err);
    pthread_mutex_unlock(&session->store_lock);
    MM_FAILPOINT("committer.after_claim");
    if (status != MM_OK)
        goto out;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < count && status == MM_OK; i++) {
        uint32_t at = mm_core_free_slot(p->core, (uint32_t)i);
        status = keep_claimed(p, &tasks[i], at, err);
        claimed[i] = (mm_core_task){.id = tasks[i].id, .epoch = tasks[i].epoch,
                                    .collection = tasks[i].collection, .partition = tasks[i].partition,
                                    .cursor = tasks[i].cursor, .reserved = tasks[i].reserved};
    }
    if (status == MM_OK) {
        mm_core_on_claimed(p->core, claimed, count, count < command->count);
        mm_pipeline_pump(p);
    }
    pthread_mutex_unlock(&p->lock);
out:
    free(claimed);
    free(tasks);
    mm_arena_free(&arena);
    return status;
}

/* ---- commits ---- */

static void advance_op(mm_op *op, const mm_core_command *command)
{
    op->kind = MM_OP_ADVANCE;
    op->cursor = &command->cursor;
    op->row = command->row;
    op->done = command->done;
    for (const mm_core_item *item = command->items; item; item = item->next) {
        op->rows += item->rows;
        op->rejected += item->rejected;
        op->thinned += item->thinned;
        op->mismatched += item->mismatched;
        op->bytes += item->bytes;
        op->checksum += item->checksum;
        op->resent += item->resent;
    }
}

static mm_op to_op(const mm_core_command *command)
{
    mm_op op = {.task = command->task, .epoch = command->epoch, .collection = command->collection};
    switch (command->kind) {
    case MM_CORE_RESERVE:
        op.kind = MM_OP_RESERVE;
        op.row = command->row;
        break;
    case MM_CORE_ADVANCE:
        advance_op(&op, command);
        break;
    case MM_CORE_RELEASE:
        op.kind = MM_OP_RELEASE;
        break;
    case MM_CORE_SEAL:
        op.kind = MM_OP_SEAL;
        break;
    default: /* the fence is intended, or in force */
        op.kind = MM_OP_FENCE;
        op.row = command->fence;
        op.flag = command->kind == MM_CORE_FENCE_INTEND;
        break;
    }
    return op;
}

static mm_status write_rejects(mm_pipeline *p, const mm_core_command *commands, size_t count, mm_error *err)
{
    mm_buffer lines = MM_BUFFER_INIT;
    mm_status status = MM_OK;
    for (size_t i = 0; i < count; i++)
        for (const mm_core_item *item = commands[i].items; item; item = item->next) {
            const mm_flow *flow = (const mm_flow *)item;
            if (flow->rejects.size > 0)
                mm_buffer_append(&lines, flow->rejects.data, flow->rejects.size);
        }
    if (lines.failed)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory for rejects");
    else if (lines.size > 0)
        status = mm_rejects_append(p->session, lines.data, lines.size, err);
    mm_buffer_free(&lines);
    return status;
}

static void count_progress(mm_pipeline *p, const mm_op *ops, size_t count)
{
    mm_run_progress *progress = &p->session->progress;
    for (size_t i = 0; i < count; i++) {
        if (ops[i].kind != MM_OP_ADVANCE || ops[i].fenced)
            continue;
        progress->rows_done += ops[i].rows;
        progress->bytes_done += ops[i].bytes;
        progress->rows_rejected += ops[i].rejected;
        progress->tasks_done += ops[i].done;
    }
}

/* limits.rejects is checked after the commit: the rows are recorded, the run then ends. */
static void check_rejects(mm_pipeline *p)
{
    const mm_session *session = p->session;
    uint64_t rejected = session->progress.rows_rejected;
    if (!mm_pipeline_copies(p) || rejected <= session->job->rejects)
        return;
    mm_error err = MM_ERROR_INIT;
    mm_error_set(&err, MM_REJECTS, "%" PRIu64 " rows rejected, limits.rejects is %" PRIu64 "; they are in %s; "
                                   "`mmresume resume %s --set limits.rejects=none` goes on without them",
                 rejected, session->job->rejects, session->rejects_path, session->record.name);
    mm_pipeline_note(p, MM_REJECTS, &err);
    mm_core_on_stop(p->core, MM_REJECTS);
}

static void give_back(const mm_core_command *command)
{
    mm_core_item *item = command->items;
    while (item) {
        mm_core_item *next = item->next;
        mm_flow_free((mm_flow *)item);
        item = next;
    }
}

static size_t collect_ops(mm_pipeline *p, const mm_core_command *commands, size_t count,
                          const mm_changes *changes, mm_op *ops)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (commands[i].kind != MM_CORE_CLAIM)
            ops[used++] = to_op(&commands[i]);
    for (size_t i = 0; i < changes->count; i++)
        ops[used++] = (mm_op){.kind = MM_OP_STATE, .key = changes->items[i].key, .text = changes->items[i].value};
    if (used > 0 && p->session->rejects_size > 0)
        for (size_t i = 0; i < used; i++)
            if (ops[i].kind == MM_OP_ADVANCE)
                ops[i].rejects_size = p->session->rejects_size;
    return used;
}

/* Working time goes along with the savepoints, now and then, so that a kill loses little of it. */
static void account_time(mm_pipeline *p, mm_op *op)
{
    uint64_t now = mm_clock_ms();
    op->kind = MM_OP_PHASE;
    op->text = p->session->run.phase;
    op->active_ms = now - p->accounted_ms;
    p->accounted_ms = now;
}

void mm_pipeline_account_rest(mm_pipeline *p)
{
    mm_op op = {0};
    mm_error err = MM_ERROR_INIT;
    account_time(p, &op);
    if (mm_session_apply(p->session, &op, 1, &err) != MM_OK)
        mm_log(MM_LOG_WARN, "the working time could not be recorded: %s", err.text);
}

static mm_status do_commit(mm_pipeline *p, const mm_core_command *commands, size_t count,
                           const mm_changes *changes, mm_error *err)
{
    mm_op *ops = calloc(count + changes->count + 2, sizeof(*ops));
    if (ops == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a commit");
    mm_status status = write_rejects(p, commands, count, err);
    size_t used = collect_ops(p, commands, count, changes, ops);
    if (used > 0 && mm_pipeline_copies(p) && mm_clock_ms() - p->accounted_ms >= ACCOUNT_MS)
        account_time(p, &ops[used++]);
    MM_FAILPOINT("committer.before_commit");
    if (status == MM_OK && used > 0)
        status = mm_session_apply(p->session, ops, used, err);
    MM_FAILPOINT("committer.after_commit");
    if (status == MM_OK) {
        pthread_mutex_lock(&p->lock);
        count_progress(p, ops, used);
        check_rejects(p);
        size_t at = 0;
        for (size_t i = 0; i < count; i++) {
            if (commands[i].kind == MM_CORE_CLAIM)
                continue;
            give_back(&commands[i]);
            mm_core_on_stored(p->core, &commands[i], ops[at++].fenced);
        }
        mm_pipeline_pump(p);
        pthread_mutex_unlock(&p->lock);
    }
    free(ops);
    return status;
}

static void fail_store(mm_pipeline *p, const mm_core_command *commands, size_t count, mm_status status,
                       const mm_error *err)
{
    pthread_mutex_lock(&p->lock);
    p->store_failed = true;
    for (size_t i = 0; i < count; i++)
        give_back(&commands[i]);
    mm_pipeline_note(p, status, err);
    mm_core_on_store_failed(p->core, status);
    mm_pipeline_pump(p);
    pthread_mutex_unlock(&p->lock);
}

/* One round: everything that has gathered. */
static void commit_round(mm_pipeline *p, mm_core_command *commands, size_t count, const mm_changes *changes)
{
    mm_error err = MM_ERROR_INIT;
    if (p->store_failed) {
        fail_store(p, commands, count, MM_IO, &err);
        return;
    }
    mm_status status = do_commit(p, commands, count, changes, &err);
    if (status != MM_OK) {
        fail_store(p, commands, count, status, &err);
        return;
    }
    for (size_t i = 0; i < count && status == MM_OK; i++)
        if (commands[i].kind == MM_CORE_CLAIM)
            status = do_claim(p, &commands[i], &err);
    if (status != MM_OK)
        fail_store(p, NULL, 0, status, &err);
}

void *mm_pipeline_committer(void *worker)
{
    mm_worker *w = worker;
    mm_pipeline *p = w->pipeline;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        while (p->store_queue.count == 0 && !p->quit)
            pthread_cond_wait(&w->wake, &p->lock);
        mm_core_command *commands;
        size_t count;
        mm_command_queue_take(&p->store_queue, &commands, &count);
        mm_changes changes = p->changes;
        p->changes = (mm_changes){0};
        pthread_mutex_unlock(&p->lock);
        if (count == 0) {
            mm_changes_free(&changes);
            return NULL;
        }
        commit_round(p, commands, count, &changes);
        free(commands);
        mm_changes_free(&changes);
    }
}
