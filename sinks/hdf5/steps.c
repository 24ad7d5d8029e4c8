/* Steps of the target `hdf5`: prepare a hidden folder, make the files whole, give the folder its name. What a folder
 * is, is told by its identity, not by its name. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/util.h"
#include "sinks/hdf5/internal.h"

/* --- prepare --- */

/* Which folder an overwriting job may replace: the one that stands there before anything is done. */
static mm_status prepare_intend(mm_sink *sink, uint32_t number, char intent[MM_STEP_DETAIL], mm_error *err)
{
    char id[MM_FOLDER_ID] = "";
    mm_error absent = MM_ERROR_INIT;
    mm_status status = mm_folder_id(sink->collections[number].final, id, &absent);
    if (status == MM_NOT_FOUND)
        id[0] = '\0';
    else if (status != MM_OK) {
        if (err)
            *err = absent;
        return status;
    }
    snprintf(intent, MM_STEP_DETAIL, "{\"replaces\":\"%s\"}", id);
    return MM_OK;
}

static mm_status read_text(const cJSON *root, const char *name, char out[MM_FOLDER_ID], mm_error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= MM_FOLDER_ID)
        return mm_error_set(err, MM_CHANGED, "the record of a step of the target hdf5 has no %s", name);
    memcpy(out, item->valuestring, strlen(item->valuestring) + 1);
    return MM_OK;
}

/* What is in a collection's folder: nothing (also when there is none), HDF5 files alone, or something else, which is
 * told. */
static mm_status look(const char *path, bool *empty, char other[256], mm_error *err)
{
    struct dirent *entry;
    *empty = true;
    other[0] = '\0';
    DIR *folder = opendir(path);
    if (folder == NULL && errno == ENOENT)
        return MM_OK;
    if (folder == NULL)
        return mm_error_errno(err, errno == ENOTDIR ? MM_TARGET : MM_IO, "%s", path);
    while ((entry = readdir(folder)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        *empty = false;
        if (dot == NULL || strcmp(dot, MM_H5_WHOLE) != 0)
            snprintf(other, 256, "%s", entry->d_name);
    }
    closedir(folder);
    return MM_OK;
}

/* if_exists: MM_END means skip. */
static mm_status check_exists(mm_h5_collection *c, const char *replaces, mm_error *err)
{
    bool empty;
    char other[256];
    mm_status status = look(c->final, &empty, other, err);
    if (status != MM_OK || empty)
        return status;
    if (c->plan->if_exists == MM_EXISTS_SKIP)
        return MM_END;
    if (c->plan->if_exists != MM_EXISTS_OVERWRITE)
        return mm_error_set(err, MM_TARGET, "%s is there already; if_exists: skip or overwrite", c->final);
    if (other[0])
        return mm_error_set(err, MM_TARGET, "%s holds %s, which is no HDF5 file: not overwritten; remove it, or choose "
                            "another path", c->final, other);
    status = mm_folder_id(c->final, c->old, err);
    if (status == MM_OK && strcmp(c->old, replaces) != 0)
        status = mm_error_set(err, MM_CHANGED, "%s was %s and is now %s: it is not overwritten", c->final,
                              replaces[0] ? replaces : "not there", c->old);
    return status;
}

static mm_status make_file(const mm_h5_collection *c, const mm_h5_file *file, const char *extension, mm_error *err)
{
    char *path = mm_h5_path(c, file, extension);
    if (path == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a path");
    mm_status status = MM_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        status = mm_error_errno(err, MM_IO, "%s", path);
    else
        close(fd);
    free(path);
    return status;
}

/* How many bytes the library wants in front of the rows of this collection: it is asked with a file of one row. */
static mm_status learn_head(mm_h5_collection *c, mm_error *err)
{
    mm_h5_layout layout;
    char *path = mm_h5_path(c, &c->files[0], MM_H5_HEAD);
    if (path == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a path");
    mm_status status = mm_h5_layout_create(path, c, 1, &layout, err);
    if (status == MM_OK)
        c->head = layout.vectors_at;
    if (status == MM_OK && unlink(path) != 0)
        status = mm_error_errno(err, MM_IO, "removing %s", path);
    free(path);
    return status;
}

/* Nothing of value is in it before this step is done: what a former try left goes. */
static mm_status make_beside(const mm_sink *sink, mm_h5_collection *c, mm_error *err)
{
    mm_status status = mm_folder_make(sink->path, err);
    if (status == MM_OK)
        status = mm_folder_remove_below(sink->path, sink->prefix, sink->run, err);
    if (status == MM_OK)
        status = mm_folder_remove(c->beside, err);
    if (status == MM_OK)
        status = mm_folder_make(c->beside, err);
    MM_FAILPOINT("hdf5.prepare.folder");
    c->root = c->beside;
    for (size_t i = 0; status == MM_OK && i < c->file_count; i++) {
        status = make_file(c, &c->files[i], MM_H5_PART, err);
        if (status == MM_OK)
            status = make_file(c, &c->files[i], MM_H5_KEYS, err);
    }
    if (status == MM_OK)
        status = learn_head(c, err);
    MM_FAILPOINT("hdf5.prepare.files");
    if (status == MM_OK)
        status = mm_folder_sync(c->beside, err);
    return status == MM_OK ? mm_folder_id(c->beside, c->id, err) : status;
}

static mm_status prepare_run(mm_sink *sink, uint32_t number, const char *intent, char detail[MM_STEP_DETAIL],
                             mm_error *err)
{
    mm_h5_collection *c = &sink->collections[number];
    char replaces[MM_FOLDER_ID];
    cJSON *root = cJSON_Parse(intent);
    mm_status status = read_text(root, "replaces", replaces, err);
    cJSON_Delete(root);
    if (status == MM_OK)
        status = check_exists(c, replaces, err);
    if (status == MM_OK)
        status = make_beside(sink, c, err);
    if (status == MM_OK)
        snprintf(detail, MM_STEP_DETAIL, "{\"id\":\"%s\",\"old\":\"%s\",\"head\":%" PRIu64 "}", c->id, c->old, c->head);
    return status;
}

static mm_status prepare_recall(mm_sink *sink, uint32_t number, const char *detail, mm_error *err)
{
    mm_h5_collection *c = &sink->collections[number];
    cJSON *root = cJSON_Parse(detail);
    const cJSON *head = cJSON_GetObjectItemCaseSensitive(root, "head");
    mm_status status = read_text(root, "id", c->id, err);
    if (status == MM_OK)
        status = read_text(root, "old", c->old, err);
    if (status == MM_OK && (!cJSON_IsNumber(head) || head->valuedouble < 1 || head->valuedouble > UINT32_MAX))
        status = mm_error_set(err, MM_CHANGED, "the record of a step of the target hdf5 has no head");
    if (status == MM_OK)
        c->head = (uint64_t)head->valuedouble;
    cJSON_Delete(root);
    if (status != MM_OK)
        return status;
    if (mm_folder_is(c->beside, c->id))
        c->root = c->beside;
    else if (mm_folder_is(c->final, c->id))
        c->root = c->final;
    else
        return mm_error_set(err, MM_CHANGED, "neither %s nor %s is the folder of this run (%s) any more", c->beside,
                            c->final, c->id);
    return MM_OK;
}

/* --- seal --- */

/* All tasks are done and committed. */
static mm_status seal_run(mm_sink *sink, uint32_t number, const char *intent, char detail[MM_STEP_DETAIL],
                          mm_error *err)
{
    (void)intent;
    const mm_h5_collection *c = &sink->collections[number];
    mm_status status = MM_OK;
    for (uint32_t i = 0; status == MM_OK && i < c->file_count; i++)
        status = mm_h5_seal(sink, number, i, err);
    if (status == MM_OK)
        status = mm_folder_sync(c->root, err);
    detail[0] = '\0';
    return status;
}

/* --- publish --- */

static mm_status give_name(mm_h5_collection *c, mm_error *err)
{
    char now[MM_FOLDER_ID] = "";
    mm_status status = mm_folder_make(c->place, err);
    if (status != MM_OK)
        return status;
    if (c->old[0]) {
        /* somebody put another folder there while the job ran: it is not ours to remove */
        if (mm_folder_id(c->final, now, NULL) == MM_OK && strcmp(now, c->old) != 0)
            return mm_error_set(err, MM_CHANGED, "%s was %s and is now %s: it is not overwritten", c->final, c->old,
                                now);
        status = mm_folder_exchange(c->beside, c->final, c->aside, err);
    } else if (rename(c->beside, c->final) != 0) { /* an empty folder may stand there, but no other */
        status = errno == ENOTEMPTY || errno == EEXIST
                     ? mm_error_set(err, MM_TARGET, "%s appeared while the job ran; move it away, and resume", c->final)
                     : mm_error_errno(err, MM_IO, "renaming %s to %s", c->beside, c->final);
    }
    if (status == MM_OK)
        c->root = c->final;
    return status;
}

static mm_status remove_old(const mm_h5_collection *c, const char *path, mm_error *err)
{
    return c->old[0] && mm_folder_is(path, c->old) ? mm_folder_remove(path, err) : MM_OK;
}

static mm_status publish_run(mm_sink *sink, uint32_t number, const char *intent, char detail[MM_STEP_DETAIL],
                             mm_error *err)
{
    (void)intent;
    mm_h5_collection *c = &sink->collections[number];
    mm_status status = c->root == c->beside ? give_name(c, err) : MM_OK;
    MM_FAILPOINT("hdf5.publish.named");
    if (status == MM_OK)
        status = mm_folder_sync(c->place, err);
    if (status == MM_OK)
        status = mm_folder_sync(sink->path, err);
    if (status == MM_OK)
        status = remove_old(c, c->beside, err);
    if (status == MM_OK)
        status = remove_old(c, c->aside, err);
    MM_FAILPOINT("hdf5.publish.removed");
    if (status == MM_OK)
        status = mm_h5_jobs_write(c, err);
    detail[0] = '\0';
    return status;
}

const mm_step mm_h5_steps[MM_H5_STEPS] = {
    {.name = "prepare", .phase = MM_STEP_BEFORE, .intend = prepare_intend, .run = prepare_run,
     .recall = prepare_recall},
    {.name = "seal", .phase = MM_STEP_AFTER, .once = true, .run = seal_run},
    {.name = "publish", .phase = MM_STEP_FINISH, .once = true, .run = publish_run},
};
