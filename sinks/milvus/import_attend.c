/* The attendant: from sealed units to imported rows. One call does one round: takes what is sealed, settles what is
 * in doubt, looks at the jobs that are due, asks for new ones. Everything that is asked of the server has its intent
 * committed before (docs/staging.md, "The importer"). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "sinks/files/files.h"
#include "sinks/milvus/import.h"

enum { POLL_MIN_MS = 50, POLL_MAX_MS = 1000, IDLE_MS = 200 };

static const char *collection_name(const mm_importer *importer, const mm_import_group *group)
{
    return importer->sink->targets[group->collection].plan->name;
}

/* --- causes of failures ----------------------------------------------------------------------------------- */

/* Observed on 2.3.5, and from the texts in later versions' importutilv2. What is not listed is decided by keys. */
static const char *const nothing_written[] = {"no such file",     "does not exist",       "doesn't exist", "NoSuchKey",
                                              "not found",        "quota exceeded",       "quota",         "too many",
                                              "failed to get file size"};
static const char *const lies_in_data[] = {"illegal dimension",  "unsupported file type", "illegal data type",
                                           "illegal row width",  "doesn't match",         "not match",
                                           "mismatch",           "is not defined in",     "schema not equal",
                                           "failed to parse",    "failed to decode",      "invalid JSON",
                                           "exceeds max",        "should not be provided", "duplicated file"};

static bool holds_one_of(const char *text, const char *const *phrases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcasestr(text, phrases[i]) != NULL)
            return true;
    return false;
}

mm_import_cause mm_import_judge(const char *reason)
{
    if (holds_one_of(reason, lies_in_data, MM_COUNT(lies_in_data)))
        return MM_IMPORT_CAUSE_DATA;
    if (holds_one_of(reason, nothing_written, MM_COUNT(nothing_written)))
        return MM_IMPORT_CAUSE_NOTHING;
    return MM_IMPORT_CAUSE_UNKNOWN;
}

/* --- one group -------------------------------------------------------------------------------------------- */

static mm_status set_state(mm_importer *importer, mm_import_group *group, mm_group_state state, mm_error *err)
{
    mm_group_state before = group->state;
    group->state = state;
    mm_status status = mm_import_record_group(importer, group, err);
    if (status != MM_OK)
        group->state = before;
    return status;
}

static mm_status is_sent(mm_importer *importer, mm_import_group *group, const char *job, mm_error *err)
{
    snprintf(group->job, sizeof(group->job), "%s", job);
    mm_status status = set_state(importer, group, MM_GROUP_SENT, err);
    group->sent_ms = group->progress_ms = mm_clock_ms();
    group->due_ms = group->sent_ms + POLL_MIN_MS;
    group->percent = 0;
    MM_FAILPOINT("import.sent.recorded");
    if (status == MM_OK)
        mm_log(MM_LOG_DEBUG, "%s: import of %" PRIu64 " rows is job %s (try %" PRIu32 ")", collection_name(importer, group),
               group->rows, job, group->tries);
    return status;
}

static mm_status too_often(const mm_importer *importer, const mm_import_group *group, mm_error *err)
{
    const char *reason = group->reason[0] != '\0' ? group->reason : "unknown";
    bool unseen = strstr(reason, "no such file") != NULL;
    return mm_error_set(err, MM_DATA, "%s: the import of %s was tried %" PRIu32 " times (target.import_tries; when the cause is gone, "
                        "`mmresume resume` with --set target.import_tries=%" PRIu32 " tries again)%s, at last: %s",
                        collection_name(importer, group), group->paths[0], group->tries, group->tries * 2,
                        unseen ? "; target.staging is not where the server reads: its own bucket or folder, or what "
                                 "target.staging_as says" : "", reason);
}

/* Another try will be needed: from now on the files are on their way to its paths. */
static mm_status begin_moving(mm_importer *importer, mm_import_group *group, mm_error *err)
{
    mm_status status = set_state(importer, group, MM_GROUP_MOVING, err);
    MM_FAILPOINT("import.moving.recorded");
    return status;
}

static mm_status ask(mm_importer *importer, mm_import_group *group, mm_error *err)
{
    char target[MM_MILVUS_NAME], job[MM_IMPORT_ID];
    mm_status status = mm_import_target(importer, group->collection, target, err);
    if (status == MM_OK && group->epoch != importer->fences[group->collection].epoch) {
        group->epoch = importer->fences[group->collection].epoch;
        status = mm_import_record_group(importer, group, err);
    }
    if (status != MM_OK)
        return status;
    group->asked = true;
    MM_FAILPOINT("import.create.before");
    status = importer->api->create(importer, group, target, job, err);
    MM_FAILPOINT("import.create.after");
    if (status == MM_OK)
        return is_sent(importer, group, job, err);
    mm_class klass = mm_status_class(status);
    if (klass == MM_CLASS_RETRY || klass == MM_CLASS_RATE)
        group->asked = false; /* proven not to be there */
    else
        importer->fences[group->collection].stale = true;
    return mm_error_context(err, "%s: import of %s", collection_name(importer, group), group->paths[0]);
}

/* Before another try, a job that is found is news only if it is not the one that failed, and, where the keys have told
 * what is there, if it has not ended. */
static bool is_news(const mm_import_group *group, const mm_import_job *job)
{
    bool ended = job->phase == MM_IMPORT_DONE || job->phase == MM_IMPORT_FAILED;
    return group->state != MM_GROUP_MOVING || (strcmp(job->id, group->job) != 0 && !(group->decided && ended));
}

static mm_status find(mm_importer *importer, mm_import_group *group, bool *found, mm_import_job *job, mm_error *err)
{
    mm_status status = importer->api->find(importer, group, found, job, err);
    if (status == MM_OK && *found)
        *found = is_news(group, job);
    return status;
}

/* The files go to new paths, so that what might still start fails for want of them; what started before is in the
 * server's list by then. */
static mm_status move_and_ask_again(mm_importer *importer, mm_import_group *group, mm_error *err)
{
    bool found = false;
    mm_import_job job;
    if (group->tries >= importer->tries_max)
        return too_often(importer, group, err);
    mm_status status = mm_import_move_files(importer, group, err);
    MM_FAILPOINT("import.moved");
    if (status == MM_OK)
        status = find(importer, group, &found, &job, err);
    if (status != MM_OK)
        return status;
    group->tries++;
    if (found)
        return is_sent(importer, group, job.id, err);
    status = mm_import_set_paths(importer, group, err);
    group->job[0] = '\0';
    group->decided = group->asked = false;
    if (status == MM_OK)
        status = set_state(importer, group, MM_GROUP_INTENT, err);
    MM_FAILPOINT("import.again.intent");
    return status == MM_OK ? ask(importer, group, err) : status;
}

/* A request whose outcome nobody knows. */
static mm_status settle_doubt(mm_importer *importer, mm_import_group *group, mm_error *err)
{
    char target[MM_MILVUS_NAME];
    bool found = false;
    mm_import_job job;
    importer->fences[group->collection].stale |= importer->fences[group->collection].epoch == group->epoch;
    mm_status status = mm_import_target(importer, group->collection, target, err);
    if (status == MM_OK)
        status = find(importer, group, &found, &job, err);
    if (status == MM_OK && found)
        return is_sent(importer, group, job.id, err);
    if (status == MM_OK)
        status = begin_moving(importer, group, err);
    return status == MM_OK ? move_and_ask_again(importer, group, err) : status;
}

static mm_status failed(mm_importer *importer, mm_import_group *group, const mm_import_job *job, mm_error *err)
{
    mm_import_cause cause = mm_import_judge(job->reason);
    const char *said = job->phase == MM_IMPORT_FORGOTTEN ? "the server has forgotten the job" : job->reason;
    snprintf(group->reason, sizeof(group->reason), "%s", said);
    if (cause == MM_IMPORT_CAUSE_NOTHING && job->phase == MM_IMPORT_FAILED) {
        mm_log(MM_LOG_WARN, "%s: import job %s failed before it wrote anything, it is tried again: %s",
               collection_name(importer, group), group->job, said);
        return begin_moving(importer, group, err);
    }
    mm_status status = set_state(importer, group, MM_GROUP_UNCLEAR, err);
    MM_FAILPOINT("import.unclear.recorded");
    if (status == MM_OK && cause == MM_IMPORT_CAUSE_DATA)
        return mm_error_set(err, MM_DATA, "%s: the server cannot import %s: %s", collection_name(importer, group),
                            group->paths[0], said);
    if (status == MM_OK)
        mm_log(MM_LOG_WARN, "%s: import job %s failed, its keys will tell what is there: %s",
               collection_name(importer, group), group->job, said);
    return status;
}

/* Looks come often enough to notice the end within a hundredth of what the job took. */
static uint64_t poll_pause(uint64_t elapsed_ms)
{
    uint64_t pause = elapsed_ms / 100;
    return pause < POLL_MIN_MS ? POLL_MIN_MS : pause > POLL_MAX_MS ? POLL_MAX_MS : pause;
}

static mm_status look(mm_importer *importer, mm_import_group *group, mm_error *err)
{
    mm_import_job job;
    mm_status status = importer->api->state(importer, group, &job, err);
    uint64_t now = mm_clock_ms();
    if (status != MM_OK)
        return mm_error_context(err, "%s: import job %s", collection_name(importer, group), group->job);
    group->due_ms = now + poll_pause(group->sent_ms > 0 ? now - group->sent_ms : 0);
    if (job.phase == MM_IMPORT_DONE) {
        status = set_state(importer, group, MM_GROUP_DONE, err);
        atomic_fetch_add(&importer->files_done, group->unit_count);
        MM_FAILPOINT("import.done.recorded");
        return status;
    }
    if (job.phase == MM_IMPORT_FAILED || job.phase == MM_IMPORT_FORGOTTEN)
        return failed(importer, group, &job, err);
    if (job.percent != group->percent || group->progress_ms == 0)
        group->progress_ms = now;
    group->percent = job.percent;
    if (now - group->progress_ms > importer->timeout_ms)
        return mm_error_set(err, MM_UNAVAILABLE, "%s: import job %s stands at %u %% without progress for %" PRIu64
                            " s (target.import_timeout)", collection_name(importer, group), group->job, job.percent,
                            importer->timeout_ms / 1000);
    return MM_OK;
}

/* --- a round ---------------------------------------------------------------------------------------------- */

static bool is_stopping(const mm_importer *importer)
{
    const mm_sink_host *host = importer->sink->host;
    return host->stopping != NULL && host->stopping(host->context);
}

static size_t running(const mm_importer *importer)
{
    size_t count = 0;
    for (size_t i = 0; i < importer->group_count; i++)
        count += importer->groups[i]->state == MM_GROUP_SENT;
    return count;
}

/* What a former process, a refusal or a failure left to be asked for (again). */
static mm_status ask_open_groups(mm_importer *importer, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < importer->group_count && !is_stopping(importer); i++) {
        mm_import_group *group = importer->groups[i];
        if (group->state == MM_GROUP_INTENT && group->asked)
            status = settle_doubt(importer, group, err);
        else if (group->state == MM_GROUP_MOVING)
            status = move_and_ask_again(importer, group, err);
        else if (group->state == MM_GROUP_INTENT && running(importer) < importer->jobs_max)
            status = ask(importer, group, err);
    }
    return status;
}

static mm_status look_at_jobs(mm_importer *importer, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < importer->group_count; i++) {
        mm_import_group *group = importer->groups[i];
        if (group->state == MM_GROUP_SENT && mm_clock_ms() >= group->due_ms)
            status = look(importer, group, err);
    }
    return status;
}

static mm_status ask_new_groups(mm_importer *importer, mm_error *err)
{
    mm_status status = MM_OK;
    while (status == MM_OK && running(importer) < importer->jobs_max && !is_stopping(importer)) {
        mm_import_group *group = NULL;
        char target[MM_MILVUS_NAME];
        if (importer->waiting_count == 0)
            break;
        status = mm_import_target(importer, importer->waiting[0].collection, target, err);
        if (status == MM_OK)
            status = mm_import_new_group(importer, &group, err);
        if (status == MM_OK)
            status = mm_import_set_paths(importer, group, err);
        if (status != MM_OK)
            break;
        group->epoch = importer->fences[group->collection].epoch;
        status = mm_import_record_group(importer, group, err);
        MM_FAILPOINT("import.group.recorded");
        if (status == MM_OK)
            status = ask(importer, group, err);
    }
    return status;
}

/* True when nothing is left but groups that are done or wait for their keys. */
static bool is_over(const mm_importer *importer)
{
    for (size_t i = 0; i < importer->group_count; i++)
        if (importer->groups[i]->state != MM_GROUP_DONE && importer->groups[i]->state != MM_GROUP_UNCLEAR)
            return false;
    return importer->waiting_count == 0 && (importer->files == NULL || mm_sink_files.attend == NULL || importer->carried);
}

static void note_progress(mm_importer *importer, uint64_t *wait_ms)
{
    uint64_t now = mm_clock_ms(), sum = 0, wait = IDLE_MS, count = 0;
    for (size_t i = 0; i < importer->group_count; i++) {
        const mm_import_group *group = importer->groups[i];
        if (group->state != MM_GROUP_SENT)
            continue;
        uint64_t left = group->due_ms > now ? group->due_ms - now : 0;
        wait = left < wait ? left : wait;
        sum += group->percent;
        count++;
    }
    atomic_store(&importer->running, count);
    atomic_store(&importer->percent_sum, sum);
    *wait_ms = wait;
}

/* The staging writer's own work: sealing at the end, carrying to an object store. */
static mm_status attend_files(mm_importer *importer, bool closing, mm_error *err)
{
    uint64_t wait_ms;
    mm_status status = MM_OK;
    if (closing && !importer->sealed) {
        status = mm_files_units_seal(importer->files, err);
        importer->sealed = status == MM_OK;
    }
    if (status != MM_OK || importer->carried || mm_sink_files.attend == NULL)
        return status;
    status = mm_sink_files.attend(importer->files, closing, &wait_ms, err);
    importer->carried = status == MM_END;
    return status == MM_END ? MM_OK : status;
}

mm_status mm_import_attend(mm_sink *sink, bool closing, uint64_t *wait_ms, mm_error *err)
{
    mm_importer *importer = sink->importer;
    mm_status status = mm_import_check_fences(importer, err);
    if (status == MM_OK && importer->files != NULL)
        status = attend_files(importer, closing, err);
    if (status == MM_OK)
        status = mm_import_take_units(importer, err);
    if (status == MM_OK)
        status = ask_open_groups(importer, err);
    if (status == MM_OK)
        status = look_at_jobs(importer, err);
    if (status == MM_OK)
        status = ask_new_groups(importer, err);
    note_progress(importer, wait_ms);
    if (status != MM_OK || !closing || !is_over(importer) || is_stopping(importer))
        return status;
    status = mm_import_drop_fences(importer, err);
    if (status == MM_OK && !importer->ended)
        status = sink->host->record(sink->host->context, "imported", "1", err);
    importer->ended = importer->ended || status == MM_OK;
    MM_FAILPOINT("import.ended");
    return status == MM_OK ? MM_END : status;
}

void mm_import_activity(mm_sink *sink, char out[MM_ACTIVITY_MAX])
{
    const mm_importer *importer = sink->importer;
    uint64_t known = atomic_load(&importer->files_known), done = atomic_load(&importer->files_done);
    uint64_t count = atomic_load(&importer->running), sum = atomic_load(&importer->percent_sum);
    out[0] = '\0';
    if (known > 0 && count > 0)
        snprintf(out, MM_ACTIVITY_MAX, "imported %" PRIu64 " of %" PRIu64 " files, %" PRIu64 " jobs at %" PRIu64 " %%", done,
                 known, count, sum / count);
    else if (known > 0)
        snprintf(out, MM_ACTIVITY_MAX, "imported %" PRIu64 " of %" PRIu64 " files", done, known);
}
