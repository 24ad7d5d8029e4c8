/* Bulk import over gRPC. See import_calls.h. */
#include "milvus/import_calls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milvus/proto_schema.h"

/* ImportState of common.proto. Persisted: written, but not yet indexed and attached; Flushed: the same in versions
 * that say so apart. */
enum { STATE_PENDING = 0, STATE_FAILED = 1, STATE_COMPLETED = 6, STATE_CLEANED = 7 };

static mm_import_phase phase_of(int32_t state)
{
    switch (state) {
    case STATE_PENDING:
        return MM_IMPORT_PENDING;
    case STATE_COMPLETED:
        return MM_IMPORT_DONE;
    case STATE_FAILED:
    case STATE_CLEANED:
        return MM_IMPORT_FAILED;
    default:
        return MM_IMPORT_RUNNING;
    }
}

static const char *info(const Mmpb__GetImportStateResponse *task, const char *key)
{
    for (size_t i = 0; i < task->n_infos; i++)
        if (strcmp(task->infos[i]->key, key) == 0)
            return task->infos[i]->value;
    return "";
}

static void read_task(const Mmpb__GetImportStateResponse *task, mm_import_job *out)
{
    *out = (mm_import_job){.phase = phase_of(task->state),
                           .cleaned = task->state == STATE_CLEANED,
                           .rows = task->row_count > 0 ? (uint64_t)task->row_count : 0};
    long percent = strtol(info(task, "progress_percent"), NULL, 10);
    out->percent = out->phase == MM_IMPORT_DONE ? 100 : percent < 0 ? 0 : percent > 100 ? 100 : (unsigned)percent;
    snprintf(out->id, sizeof(out->id), "%" PRId64, task->id);
    snprintf(out->reason, sizeof(out->reason), "%s", out->phase == MM_IMPORT_FAILED ? info(task, "failed_reason") : "");
    for (char *at = out->reason; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            *at = ' ';
}

mm_status mm_milvus_import(mm_milvus *client, const char *collection, const char *partition, const char *const *files,
                           size_t count, char id[MM_IMPORT_ID], mm_error *err)
{
    Mmpb__ImportRequest request = MMPB__IMPORT_REQUEST__INIT;
    Mmpb__ImportResponse *message = NULL;
    mm_grpc_reply reply;
    char **names = calloc(count + 1, sizeof(*names));
    if (names == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        names[i] = mm_proto_text(files[i]);
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    request.partition_name = mm_proto_text(partition != NULL ? partition : "");
    request.files = names;
    request.n_files = count;
    mm_status status = mm_milvus_call(client, MM_MILVUS_WRITE, "Import", &request.base, &reply, err);
    free(names);
    if (status == MM_UNKNOWN && strstr(mm_milvus_last(client)->reason, "collection not found") != NULL)
        return mm_error_set(err, MM_NOT_FOUND, "Import: %s", mm_milvus_last(client)->reason);
    if (status != MM_OK)
        return status;
    status = mm_milvus_unpack(&mmpb__import_response__descriptor, &reply, &message, err);
    if (status != MM_OK)
        return mm_error_set(err, MM_UNKNOWN, "Import: malformed reply of %zu bytes", reply.size);
    if (message->n_tasks == 1)
        snprintf(id, MM_IMPORT_ID, "%" PRId64, message->tasks[0]);
    else
        status = mm_error_set(err, MM_UNKNOWN, "Import: %zu tasks for one file group", message->n_tasks);
    protobuf_c_message_free_unpacked(&message->base, NULL);
    return status;
}

/* A server of 2.3.5 says of an id that it does not know: code 1000, "key not found[key=…/importtask/…]". */
static bool is_forgotten(const mm_milvus_answer *answer)
{
    return answer->grpc_status == 0 && strstr(answer->reason, "key not found") != NULL;
}

mm_status mm_milvus_import_state(mm_milvus *client, const char *id, mm_import_job *out, mm_error *err)
{
    Mmpb__GetImportStateRequest request = MMPB__GET_IMPORT_STATE_REQUEST__INIT;
    Mmpb__GetImportStateResponse *message = NULL;
    mm_grpc_reply reply;
    char *end;
    errno = 0;
    request.task = strtoll(id, &end, 10);
    if (end == id || *end != '\0' || errno != 0)
        return mm_error_set(err, MM_CHANGED, "'%.63s' is not the id of an import task", id);
    mm_status status = mm_milvus_call(client, MM_MILVUS_READ, "GetImportState", &request.base, &reply, err);
    if (status != MM_OK && is_forgotten(mm_milvus_last(client))) {
        mm_error_clear(err);
        *out = (mm_import_job){.phase = MM_IMPORT_FORGOTTEN};
        snprintf(out->id, sizeof(out->id), "%s", id);
        return MM_OK;
    }
    if (status == MM_OK)
        status = mm_milvus_unpack(&mmpb__get_import_state_response__descriptor, &reply, &message, err);
    if (status != MM_OK)
        return status;
    read_task(message, out);
    snprintf(out->id, sizeof(out->id), "%s", id);
    protobuf_c_message_free_unpacked(&message->base, NULL);
    return MM_OK;
}

/* `files` of a task: the paths, verbatim, with commas between. */
static bool has_files(const char *joined, const char *const *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(files[i]);
        if (strncmp(joined, files[i], n) != 0 || joined[n] != (i + 1 < count ? ',' : '\0'))
            return false;
        joined += n + 1;
    }
    return count > 0;
}

/* Of several with the same files: one that may still do something, else one that did. */
static int worth(const mm_import_job *job)
{
    return job->phase == MM_IMPORT_FAILED ? 0 : job->phase == MM_IMPORT_DONE ? 1 : 2;
}

mm_status mm_milvus_import_find(mm_milvus *client, const char *const *files, size_t count, bool *found,
                                mm_import_job *out, mm_error *err)
{
    Mmpb__ListImportTasksRequest request = MMPB__LIST_IMPORT_TASKS_REQUEST__INIT;
    Mmpb__ListImportTasksResponse *message = NULL;
    mm_grpc_reply reply;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    mm_status status = mm_milvus_call(client, MM_MILVUS_READ, "ListImportTasks", &request.base, &reply, err);
    if (status == MM_OK)
        status = mm_milvus_unpack(&mmpb__list_import_tasks_response__descriptor, &reply, &message, err);
    if (status != MM_OK)
        return status;
    *found = false;
    for (size_t i = 0; i < message->n_tasks; i++) {
        mm_import_job job;
        if (!has_files(info(message->tasks[i], "files"), files, count))
            continue;
        read_task(message->tasks[i], &job);
        if (!*found || worth(&job) > worth(out))
            *out = job;
        *found = true;
    }
    protobuf_c_message_free_unpacked(&message->base, NULL);
    return MM_OK;
}

/* --- visibility --------------------------------------------------------------------------------------- */

mm_status mm_milvus_refresh(mm_milvus *client, const char *collection, mm_error *err)
{
    Mmpb__LoadRequest request = MMPB__LOAD_REQUEST__INIT;
    mm_grpc_reply reply;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    request.refresh = true;
    return mm_milvus_call(client, MM_MILVUS_DEFINE, "LoadCollection", &request.base, &reply, err);
}

mm_status mm_milvus_refresh_progress(mm_milvus *client, const char *collection, int64_t *percent, mm_error *err)
{
    Mmpb__GetLoadingProgressRequest request = MMPB__GET_LOADING_PROGRESS_REQUEST__INIT;
    Mmpb__GetLoadingProgressResponse *message = NULL;
    mm_grpc_reply reply;
    request.db_name = mm_proto_text(mm_milvus_database(client));
    request.collection_name = mm_proto_text(collection);
    mm_status status = mm_milvus_call(client, MM_MILVUS_READ, "GetLoadingProgress", &request.base, &reply, err);
    if (status == MM_OK)
        status = mm_milvus_unpack(&mmpb__get_loading_progress_response__descriptor, &reply, &message, err);
    if (status != MM_OK)
        return status;
    *percent = message->refresh_progress;
    protobuf_c_message_free_unpacked(&message->base, NULL);
    return MM_OK;
}
