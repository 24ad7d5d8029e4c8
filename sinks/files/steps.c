/* Steps of the target `files`: prepare the folder, give the files their names, publish. What a folder is,
 * is told by its identity, not by its name: an overwritten collection changes places with the new one. */
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
#include "sinks/files/internal.h"

/* --- prepare --- */

/* What stands at the collection's place before anything is done: "id" of the folder (the manifest's etag) that an
 * overwriting job may replace. */
static mm_status prepare_intend(mm_sink *sink, uint32_t number, char intent[MM_STEP_DETAIL], mm_error *err)
{
    mm_files_collection *c = &sink->collections[number];
    char id[96] = "";
    mm_error absent = MM_ERROR_INIT;
    mm_status status = sink->remote ? mm_files_remote_id(sink, c, id, &absent) : mm_folder_id(c->final, id, &absent);
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

static mm_status read_text_value(const char *json, const char *name, char out[96], mm_error *err)
{
    cJSON *root = cJSON_Parse(json);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);
    mm_status status = MM_OK;
    if (cJSON_IsString(item) && strlen(item->valuestring) < 96)
        memcpy(out, item->valuestring, strlen(item->valuestring) + 1);
    else
        status = mm_error_set(err, MM_CHANGED, "the record of a step of the target files has no %s", name);
    cJSON_Delete(root);
    return status;
}

static mm_status make_root(mm_sink *sink, mm_files_collection *c, char *root, mm_error *err)
{
    mm_status status = mm_folder_make(sink->path, err);
    if (status == MM_OK)
        status = mm_folder_make(root, err);
    MM_FAILPOINT("files.prepare.created");
    if (status == MM_OK)
        status = mm_folder_id(root, c->id, err);
    if (status == MM_OK)
        c->root = root;
    return status;
}

/* What a cancelled run of this job left beside: <path>/.mmresume-<tag>-<run>-<n> with a lower run. */
static mm_status remove_leftovers(const mm_sink *sink, const mm_files_collection *c, mm_error *err)
{
    char prefix[32]; /* the tag has 16 digits */
    const char *own = strrchr(c->beside, '/') + 1;
    snprintf(prefix, sizeof(prefix), "%.*s", (int)strlen(".mmresume-") + 16 + 1, own);
    return mm_folder_remove_below(sink->path, prefix, strtoul(own + strlen(prefix), NULL, 10), err);
}

/* The old collection stays where it is until the new one is proven. */
static mm_status make_beside(mm_sink *sink, mm_files_collection *c, const char *replaces, mm_error *err)
{
    mm_files_found found;
    mm_status status = mm_folder_id(c->final, c->old, err);
    if (status != MM_OK)
        return status;
    if (strcmp(c->old, replaces) != 0)
        return mm_error_set(err, MM_CHANGED, "%s was %s and is now %s: it is not overwritten", c->final,
                            replaces[0] ? replaces : "not there", c->old);
    status = remove_leftovers(sink, c, err);
    if (status == MM_OK)
        status = mm_files_look(c->beside, &found, err);
    if (status == MM_OK && found != MM_FILES_ABSENT && found != MM_FILES_EMPTY)
        status = mm_error_set(err, MM_TARGET, "%s is not empty; remove it", c->beside);
    return status == MM_OK ? make_root(sink, c, c->beside, err) : status;
}

static mm_status refuse(const mm_files_collection *c, mm_files_found found, mm_error *err)
{
    if (found == MM_FILES_MANIFEST)
        return mm_error_set(err, MM_TARGET,
                            "%s holds a collection already; if_exists: append, skip or overwrite", c->final);
    return mm_error_set(err, MM_TARGET,
                        "%s is not empty and has no manifest.json: another job is writing there, or did not "
                        "finish; remove it, or use if_exists: overwrite",
                        c->final);
}

static mm_status prepare(mm_sink *sink, mm_files_collection *c, const char *replaces, mm_error *err)
{
    mm_files_found found;
    mm_status status = mm_files_look(c->final, &found, err);
    if (status != MM_OK)
        return status;
    if (found == MM_FILES_ABSENT || found == MM_FILES_EMPTY)
        return make_root(sink, c, c->final, err);
    if (c->plan->if_exists == MM_EXISTS_OVERWRITE)
        return make_beside(sink, c, replaces, err);
    if (found == MM_FILES_OTHER || c->plan->if_exists == MM_EXISTS_FAIL)
        return refuse(c, found, err);
    if (c->plan->if_exists == MM_EXISTS_SKIP)
        return MM_END;
    c->root = c->final;
    c->appends = true;
    status = mm_files_check_manifest(sink, (uint32_t)(c - sink->collections), err);
    return status == MM_OK ? mm_folder_id(c->final, c->id, err) : status;
}

static mm_status prepare_run(mm_sink *sink, uint32_t number, const char *intent,
                             char detail[MM_STEP_DETAIL], mm_error *err)
{
    mm_files_collection *c = &sink->collections[number];
    char replaces[96];
    mm_status status = read_text_value(intent, "replaces", replaces, err);
    if (status == MM_OK)
        status = sink->remote ? mm_files_prepare_remote(sink, c, replaces, err) : prepare(sink, c, replaces, err);
    if (status == MM_OK)
        snprintf(detail, MM_STEP_DETAIL, "{\"id\":\"%s\",\"old\":\"%s\",\"appends\":%s}", c->id, c->old,
                 c->appends ? "true" : "false");
    return status;
}

static mm_status prepare_recall(mm_sink *sink, uint32_t number, const char *detail, mm_error *err)
{
    mm_files_collection *c = &sink->collections[number];
    mm_status status = read_text_value(detail, "id", c->id, err);
    if (status == MM_OK)
        status = read_text_value(detail, "old", c->old, err);
    if (status != MM_OK)
        return status;
    c->appends = strstr(detail, "\"appends\":true") != NULL;
    if (sink->remote)
        return MM_OK;
    if (c->old[0] && mm_folder_is(c->beside, c->id)) {
        c->root = c->beside;
    } else if (mm_folder_is(c->final, c->id)) {
        c->root = c->final;
    } else {
        status = mm_error_set(err, MM_CHANGED, "%s is not the folder of this run (%s) any more", c->final,
                              c->id);
        c->id[0] = '\0';
    }
    return status;
}

/* --- seal --- */

/* All tasks are done and committed: open units become complete, and every file gets its name. (In an object store the
 * attendant has sealed and carried them.) */
static mm_status seal_run(mm_sink *sink, uint32_t number, const char *intent, char detail[MM_STEP_DETAIL],
                          mm_error *err)
{
    (void)intent;
    for (size_t i = 0; i < sink->unit_count; i++) {
        if (sink->units[i]->collection != number || sink->units[i]->rows == 0)
            continue;
        mm_status status = mm_files_unit_seal(sink, sink->units[i], err);
        if (status == MM_OK && !sink->remote)
            status = mm_files_unit_rename(sink, sink->units[i], err);
        if (status != MM_OK)
            return status;
    }
    detail[0] = '\0';
    return MM_OK;
}

/* --- publish --- */

static mm_status remove_old(const mm_files_collection *c, const char *path, mm_error *err)
{
    return mm_folder_is(path, c->old) ? mm_folder_remove(path, err) : MM_OK;
}

static mm_status swap(mm_sink *sink, mm_files_collection *c, mm_error *err)
{
    mm_status status = MM_OK;
    char *aside = mm_format("%s-old", c->beside);
    if (aside == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (c->root == c->beside) {
        char now[96] = "";
        /* somebody put another folder there while the job ran: it is not ours to remove */
        if (mm_folder_id(c->final, now, NULL) == MM_OK && strcmp(now, c->old) != 0)
            status = mm_error_set(err, MM_CHANGED, "%s was %s and is now %s: it is not overwritten", c->final,
                                  c->old, now);
        else
            status = mm_folder_exchange(c->beside, c->final, aside, err);
        if (status != MM_OK)
            goto out;
        c->root = c->final;
    }
    status = mm_folder_sync(sink->path, err);
    MM_FAILPOINT("files.swap.exchanged");
    if (status == MM_OK)
        status = remove_old(c, c->beside, err);
    if (status == MM_OK)
        status = remove_old(c, aside, err);
    MM_FAILPOINT("files.swap.removed");
out:
    free(aside);
    return status;
}

static mm_status publish_run(mm_sink *sink, uint32_t number, const char *intent, char detail[MM_STEP_DETAIL],
                             mm_error *err)
{
    (void)intent;
    mm_files_collection *c = &sink->collections[number];
    mm_status status = mm_files_publish(sink, number, err);
    if (status == MM_OK && c->old[0] && !sink->remote)
        status = swap(sink, c, err);
    if (status == MM_OK)
        detail[0] = '\0';
    return status;
}

const mm_step mm_files_steps[MM_FILES_STEPS] = {
    {.name = "prepare", .phase = MM_STEP_BEFORE, .intend = prepare_intend, .run = prepare_run, .recall = prepare_recall},
    {.name = "seal", .phase = MM_STEP_AFTER, .once = true, .run = seal_run},
    {.name = "publish", .phase = MM_STEP_FINISH, .once = true, .run = publish_run},
};
