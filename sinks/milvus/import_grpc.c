/* The importer's way to servers up to 2.3: gRPC Import, one unit a job. */
#include "sinks/milvus/import.h"

static mm_status grpc_open(mm_importer *importer, mm_error *err)
{
    return mm_milvus_open(&importer->sink->config, &importer->client, err);
}

static void grpc_close(mm_importer *importer)
{
    mm_milvus_close(importer->client);
    importer->client = NULL;
}

static mm_status grpc_create(mm_importer *importer, const mm_import_group *group, const char *target,
                             char id[MM_IMPORT_ID], mm_error *err)
{
    const char *partition = mm_milvus_partition_name(&importer->sink->targets[group->collection], group->partition);
    return mm_milvus_import(importer->client, target, partition, (const char *const *)group->paths, group->file_count, id,
                            err);
}

static mm_status grpc_state(mm_importer *importer, const mm_import_group *group, mm_import_job *out, mm_error *err)
{
    return mm_milvus_import_state(importer->client, group->job, out, err);
}

static mm_status grpc_find(mm_importer *importer, const mm_import_group *group, bool *found, mm_import_job *out,
                           mm_error *err)
{
    return mm_milvus_import_find(importer->client, (const char *const *)group->paths, group->file_count, found, out, err);
}

const mm_import_api mm_import_api_grpc = {
    .name = "grpc",
    .fenced = true,
    .units_max = 1,
    .open = grpc_open,
    .close = grpc_close,
    .create = grpc_create,
    .state = grpc_state,
    .find = grpc_find,
    .path = mm_import_server_path,
};
