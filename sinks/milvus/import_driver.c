/* The variant of the Milvus sink that `transfer: import` means: its table and steps, opening, and its lanes, which
 * write staged files, and rows themselves only for a repair. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sinks/files/files.h"
#include "sinks/milvus/import.h"

/* --- opening ------------------------------------------------------------------------------------------------ */

static const mm_import_api *const apis[] = {&mm_import_api_grpc, &mm_import_api_rest, &mm_import_api_zilliz};

static mm_status choose_api(mm_importer *importer, mm_error *err)
{
    const mm_sink *sink = importer->sink;
    const char *asked = mm_options_str(sink->options, "import_api");
    unsigned major = 2, minor = 3;
    if (sink->lite)
        return mm_error_set(err, MM_CONFIG, "Milvus Lite has no bulk import: use transfer: insert");
    if (strcmp(asked, "auto") == 0) {
        const char *version = sink->version[0] == 'v' ? sink->version + 1 : sink->version;
        bool known = sscanf(version, "%u.%u", &major, &minor) == 2;
        asked = known && (major > 2 || minor > 3) ? "rest" : "grpc";
    }
    for (size_t i = 0; i < MM_COUNT(apis); i++)
        if (strcmp(apis[i]->name, asked) == 0)
            importer->api = apis[i];
    if (importer->api == NULL)
        return mm_error_set(err, MM_CONFIG, "target.import_api: %s is not known", asked);
    return importer->api->open(importer, err);
}

static mm_status check_rules(const mm_sink *sink, const mm_sink_args *args, mm_error *err)
{
    bool relaxed = mm_options_bool(sink->options, "at_least_once");
    for (size_t i = 0; i < args->collection_count; i++) {
        const mm_sink_collection *plan = &args->collections[i];
        if (plan->if_exists != MM_EXISTS_APPEND || relaxed)
            continue;
        if (!plan->verify)
            return mm_error_set(err, MM_CONFIG,
                                "collection '%s': an import into a collection with rows (if_exists: append) does not replace "
                                "those of the same key, and verify: none would not notice them; use verify: count, or accept "
                                "doubled rows with at_least_once: true", plan->name);
    }
    return MM_OK;
}

static mm_status read_rules(mm_importer *importer, mm_error *err)
{
    const mm_sink *sink = importer->sink;
    const char *staging = mm_options_str(sink->options, "staging");
    size_t n = strlen(staging);
    while (n > 1 && staging[n - 1] == '/')
        n--;
    importer->jobs_max = (size_t)mm_options_int(sink->options, "import_jobs");
    importer->tries_max = (uint32_t)mm_options_int(sink->options, "import_tries");
    importer->timeout_ms = mm_options_ms(sink->options, "import_timeout");
    importer->folder = mm_format("%.*s/mmresume-%s-%" PRIu32, (int)n, staging, sink->tag, sink->run);
    return importer->folder != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* The staging folder is this run's own, so nothing stands there. */
static mm_status copy_collections(mm_importer *importer, const mm_sink_args *args, mm_error *err)
{
    size_t count = args->collection_count;
    importer->collections = calloc(count + 1, sizeof(*importer->collections));
    importer->fences = calloc(count + 1, sizeof(*importer->fences));
    importer->next_number = calloc(count + 1, sizeof(*importer->next_number));
    importer->staging_details = calloc(count + 1, sizeof(*importer->staging_details));
    if (importer->collections == NULL || importer->fences == NULL || importer->next_number == NULL ||
        importer->staging_details == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    importer->collection_count = count;
    for (size_t i = 0; i < count; i++) {
        importer->collections[i] = args->collections[i];
        importer->collections[i].if_exists = MM_EXISTS_FAIL;
        importer->next_number[i] = 1;
    }
    return MM_OK;
}

mm_status mm_importer_open(mm_sink *sink, const mm_sink_args *args, mm_error *err)
{
    mm_importer *importer = calloc(1, sizeof(*importer));
    if (importer == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    importer->sink = sink;
    importer->spool = args->folder;
    sink->importer = importer;
    mm_status status = check_rules(sink, args, err);
    if (status == MM_OK)
        status = read_rules(importer, err);
    if (status == MM_OK)
        status = copy_collections(importer, args, err);
    return status == MM_OK ? choose_api(importer, err) : status;
}

void mm_importer_close(mm_importer *importer)
{
    if (importer == NULL)
        return;
    if (importer->files != NULL)
        mm_sink_files.close(importer->files);
    if (importer->api != NULL)
        importer->api->close(importer);
    for (size_t i = 0; i < importer->group_count; i++)
        mm_import_group_free(importer->groups[i]);
    for (size_t i = 0; i < importer->waiting_count; i++) {
        for (size_t j = 0; j < importer->waiting[i].key_count; j++)
            free(importer->waiting[i].keys[j]);
        free(importer->waiting[i].keys);
    }
    for (size_t i = 0; i < importer->collection_count; i++)
        free(importer->staging_details[i]);
    mm_options_free(importer->files_options);
    free(importer->groups);
    free(importer->grouped);
    free(importer->waiting);
    free(importer->staging_details);
    free(importer->next_number);
    free(importer->fences);
    free(importer->collections);
    free(importer->folder);
    free(importer);
}

static mm_status import_open(const mm_sink_args *args, mm_sink **out, mm_error *err)
{
    mm_sink *sink = NULL;
    mm_status status = mm_sink_milvus.open(args, &sink, err);
    if (status == MM_OK)
        status = mm_importer_open(sink, args, err);
    if (status == MM_OK)
        *out = sink;
    else
        mm_sink_milvus.close(sink);
    return status;
}

/* --- lanes -------------------------------------------------------------------------------------------------- */

static mm_status import_lane_open(mm_sink *sink, uint32_t number, mm_lane **out, mm_error *err)
{
    mm_lane *lane = NULL;
    mm_status status = mm_milvus_lane_open(sink, number, &lane, err);
    if (status == MM_OK && sink->importer->files != NULL)
        status = mm_sink_files.lane_open(sink->importer->files, number, &lane->staged, err);
    if (status == MM_OK)
        *out = lane;
    else
        mm_milvus_lane_close(lane);
    return status;
}

static void import_lane_close(mm_lane *lane)
{
    if (lane == NULL)
        return;
    if (lane->staged != NULL)
        mm_sink_files.lane_close(lane->staged);
    mm_milvus_lane_close(lane);
}

/* Rows that come when everything is imported are those that a verification found wrong (resume --repair): written by
 * Upsert. All others are staged. */
static mm_status import_write(mm_lane *lane, const mm_write *what, const mm_batch *batch, size_t *acknowledged,
                              mm_error *err)
{
    const mm_importer *importer = lane->sink->importer;
    if (importer->ended) {
        mm_write again = *what;
        again.mode = MM_WRITE_UPSERT;
        return mm_milvus_lane_write(lane, &again, batch, acknowledged, err);
    }
    if (lane->staged == NULL)
        return mm_error_set(err, MM_CHANGED, "the folder of staged files %s is gone", importer->folder);
    return mm_sink_files.write(lane->staged, what, batch, acknowledged, err);
}

static bool import_adopts(mm_sink *sink, uint32_t collection, const mm_staged *staged)
{
    const mm_importer *importer = sink->importer;
    return importer->files != NULL && !importer->ended && mm_files_adopts(importer->files, collection, staged);
}

static mm_status import_adopt(mm_lane *lane, const mm_write *what, const mm_staged *staged, mm_error *err)
{
    if (lane->staged == NULL)
        return mm_error_set(err, MM_CHANGED, "the folder of staged files %s is gone", lane->sink->importer->folder);
    return mm_files_adopt(lane->staged, what, staged, err);
}

static mm_status import_flush(mm_lane *lane, mm_changes *changes, mm_error *err)
{
    return lane->staged != NULL ? mm_sink_files.flush(lane->staged, changes, err) : MM_OK;
}

/* --- the table ---------------------------------------------------------------------------------------------- */

static mm_status import_fingerprint(mm_sink *sink, uint32_t collection, char out[512], mm_error *err)
{
    return mm_sink_milvus.fingerprint(sink, collection, out, err);
}

static mm_status import_count(mm_sink *sink, uint32_t collection, const char *partition, uint64_t *rows, mm_error *err)
{
    return mm_sink_milvus.count(sink, collection, partition, rows, err);
}

static void import_close(mm_sink *sink)
{
    mm_sink_milvus.close(sink);
}

/* No flush: imported segments are sealed, and what a repair wrote is acknowledged. */
static const mm_step steps[] = {
    {.name = "database", .phase = MM_STEP_BEFORE, .run = mm_milvus_step_database},
    {.name = "collection",
     .phase = MM_STEP_BEFORE,
     .intend = mm_milvus_intend_collection,
     .run = mm_milvus_step_collection,
     .recall = mm_milvus_recall_collection},
    {.name = "partitions", .phase = MM_STEP_BEFORE, .run = mm_milvus_step_partitions},
    {.name = "staging",
     .phase = MM_STEP_BEFORE,
     .intend = mm_import_intend_staging,
     .run = mm_import_step_staging,
     .recall = mm_import_recall_staging},
    {.name = "index", .phase = MM_STEP_AFTER, .run = mm_milvus_step_index},
    {.name = "load",
     .phase = MM_STEP_AFTER,
     .intend = mm_milvus_intend_load,
     .run = mm_milvus_step_load,
     .recall = mm_milvus_recall_load},
    {.name = "refresh", .phase = MM_STEP_AFTER, .run = mm_import_step_refresh},
    {.name = "decide", .phase = MM_STEP_AFTER, .run = mm_import_step_decide},
    {.name = "swap", .phase = MM_STEP_FINISH, .once = true, .run = mm_milvus_step_swap, .recall = mm_milvus_recall_swap},
    {.name = "unstage", .phase = MM_STEP_FINISH, .run = mm_import_step_unstage, .recall = mm_import_recall_unstage},
    {.name = "cleanup", .phase = MM_STEP_FINISH, .run = mm_milvus_step_cleanup},
};

const mm_sink_driver mm_sink_milvus_import = {
    .abi = MM_SINK_ABI,
    .name = "milvus",
    .summary = "Milvus 2.x and Zilliz Cloud: staged files and bulk import",
    .capabilities = MM_SINK_ORDERED | MM_SINK_REWIND | MM_SINK_ATOMIC | MM_SINK_READ_BACK | MM_SINK_REPAIR,
    .options = mm_milvus_options,
    .option_count = MM_MILVUS_OPTIONS,
    .steps = steps,
    .step_count = MM_COUNT(steps),
    .open = import_open,
    .close = import_close,
    .fingerprint = import_fingerprint,
    .settle = mm_import_settle,
    .lane_open = import_lane_open,
    .write = import_write,
    .adopts = import_adopts,
    .adopt = import_adopt,
    .flush = import_flush,
    .lane_close = import_lane_close,
    .attend = mm_import_attend,
    .activity = mm_import_activity,
    .cancel = mm_import_cancel,
    .count = import_count,
    .count_keys = mm_milvus_lane_count_keys,
    .read_back = mm_milvus_lane_read_back,
    .delete_keys = mm_milvus_lane_delete_keys,
};
