/* The importer's ways over HTTP: Milvus 2.4 and later, and Zilliz Cloud. Several units go into one job. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "milvus/import_rest.h"
#include "sinks/milvus/import.h"

enum { UNITS_A_JOB = 64 }; /* of 1024 that a request may have: what fails together is tried again together */

static mm_status open_with(mm_importer *importer, const mm_import_rest_config *config, mm_error *err)
{
    mm_import_rest *rest = NULL;
    mm_status status = mm_import_rest_open(config, &rest, err);
    if (status == MM_OK)
        importer->api_context = rest;
    return status;
}

static mm_import_rest_config common(const mm_importer *importer)
{
    const mm_sink *sink = importer->sink;
    const char *endpoint = mm_options_str(sink->options, "rest_endpoint");
    return (mm_import_rest_config){.endpoint = endpoint != NULL && endpoint[0] != '\0' ? endpoint : sink->endpoint,
                                   .token = sink->config.token,
                                   .user = sink->config.user,
                                   .password = sink->config.password,
                                   .database = sink->config.database,
                                   .tls_ca = sink->config.tls_ca,
                                   .timeout_ms = sink->config.timeout_ms};
}

static mm_status rest_open(mm_importer *importer, mm_error *err)
{
    mm_import_rest_config config = common(importer);
    return open_with(importer, &config, err);
}

#define VOLUME "volume://"

static bool is_volume(const char *staging)
{
    return strncasecmp(staging, VOLUME, strlen(VOLUME)) == 0;
}

/* NAME of volume://NAME/path, malloc'd; NULL: it is none, or no memory. */
static char *volume_of(const char *staging)
{
    const char *name = staging + strlen(VOLUME);
    return is_volume(staging) ? strndup(name, strcspn(name, "/")) : NULL;
}

static mm_status cloud_open(mm_importer *importer, mm_error *err)
{
    const mm_options *o = importer->sink->options;
    const char *endpoint = mm_options_str(o, "rest_endpoint"), *staging = mm_options_str(o, "staging");
    mm_import_rest_config config = common(importer);
    if (!mm_storage_is_remote(staging))
        return mm_error_set(err, MM_CONFIG, "target.staging: Zilliz Cloud imports from object stores and volumes, not from "
                            "a local folder");
    config.endpoint = endpoint != NULL && endpoint[0] != '\0' ? endpoint : "https://api.cloud.zilliz.com";
    config.cloud = true;
    config.cluster_id = mm_options_str(o, "cluster_id");
    config.project_id = mm_options_str(o, "project_id");
    config.region_id = mm_options_str(o, "region_id");
    config.access_key = mm_options_str(o, "storage_access_key");
    config.secret_key = mm_options_str(o, "storage_secret_key");
    config.session_token = mm_options_str(o, "storage_session_token");
    char *volume = volume_of(staging);
    config.volume = volume;
    mm_status status = volume != NULL || !is_volume(staging) ? open_with(importer, &config, err)
                                                             : mm_error_set(err, MM_NO_MEMORY, "out of memory");
    free(volume);
    return status;
}

static void http_close(mm_importer *importer)
{
    mm_import_rest_close(importer->api_context);
    importer->api_context = NULL;
}

static mm_status http_create(mm_importer *importer, const mm_import_group *group, const char *target,
                             char id[MM_IMPORT_ID], mm_error *err)
{
    char key[128];
    const mm_sink *sink = importer->sink;
    snprintf(key, sizeof(key), "mmresume-%s-%" PRIu32 "-%" PRIu32 "-%" PRIu32 "-%" PRIu32, sink->tag, sink->run,
             group->collection, group->number, group->tries);
    mm_import_rest_request request = {.collection = target,
                                      .partition = mm_milvus_partition_name(&sink->targets[group->collection], group->partition),
                                      .files = (const char *const *)group->paths,
                                      .file_count = group->file_count,
                                      .group_files = group->file_count / group->unit_count,
                                      .key = key};
    return mm_import_rest_create(importer->api_context, &request, id, err);
}

static mm_status http_state(mm_importer *importer, const mm_import_group *group, mm_import_job *out, mm_error *err)
{
    return mm_import_rest_state(importer->api_context, group->job, out, err);
}

/* A job of another group. */
static bool is_of_other_group(void *context, const char *id)
{
    const mm_importer *importer = context;
    for (size_t i = 0; i < importer->group_count; i++)
        if (strcmp(importer->groups[i]->job, id) == 0)
            return true;
    return false;
}

static mm_status http_find(mm_importer *importer, const mm_import_group *group, bool *found, mm_import_job *out,
                           mm_error *err)
{
    return mm_import_rest_find(importer->api_context, importer->sink->targets[group->collection].work, group->paths[0],
                               is_of_other_group, importer, found, out, err);
}

static char *cloud_path(const mm_importer *importer, const char *key)
{
    if (is_volume(mm_options_str(importer->sink->options, "staging")))
        return strdup(key);
    return mm_storage_url(mm_files_storage(importer->files), key);
}

const mm_import_api mm_import_api_rest = {
    .name = "rest",
    .fenced = true,
    .units_max = UNITS_A_JOB,
    .open = rest_open,
    .close = http_close,
    .create = http_create,
    .state = http_state,
    .find = http_find,
    .path = mm_import_server_path,
};

/* Whether its control plane takes an alias is not documented: the files' moving alone keeps late requests out. */
const mm_import_api mm_import_api_zilliz = {
    .name = "zilliz",
    .units_max = UNITS_A_JOB,
    .open = cloud_open,
    .close = http_close,
    .create = http_create,
    .state = http_state,
    .find = http_find,
    .path = cloud_path,
};
