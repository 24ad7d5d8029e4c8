/* The Milvus sink: its table, options, opening and closing. Steps, fence and lanes have files of their
 * own. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sinks/milvus/import.h"

const mm_option mm_milvus_options[] = {
    {.name = "endpoint",
     .type = MM_OPT_ENDPOINT,
     .required = true,
     .help = "http://host:port, https://host:port, host:port, or a path ending in .db for an embedded Milvus Lite"},
    {.name = "token", .type = MM_OPT_STRING, .secret = true, .help = "API key, or user:password"},
    {.name = "user", .type = MM_OPT_STRING, .help = "user name, with password"},
    {.name = "password", .type = MM_OPT_STRING, .secret = true, .help = "password of user"},
    {.name = "database", .type = MM_OPT_STRING, .decides = true, .help = "database; the server's default one without"},
    {.name = "create_database",
     .type = MM_OPT_BOOL,
     .default_value = "false",
     .help = "create the database when it is missing"},
    {.name = "tls_ca", .type = MM_OPT_PATH, .help = "PEM file of authorities instead of the system's"},
    {.name = "tls_cert", .type = MM_OPT_PATH, .help = "PEM file of a client certificate"},
    {.name = "tls_key", .type = MM_OPT_PATH, .help = "PEM file of the client certificate's key"},
    {.name = "tls_server_name", .type = MM_OPT_STRING, .help = "name in the server's certificate, if not the host"},
    {.name = "request_bytes",
     .type = MM_OPT_SIZE,
     .default_value = "8MiB",
     .help = "size of one Insert or Upsert request, at most 60MiB"},
    {.name = "timeout", .type = MM_OPT_DURATION, .default_value = "60s", .help = "deadline of each request"},
    {.name = "consistency",
     .type = MM_OPT_ENUM,
     .choices = "default|strong|session|bounded|eventually",
     .default_value = "default",
     .help = "consistency level of created collections"},
    {.name = "shards", .type = MM_OPT_INT, .default_value = "0", .help = "shards of created collections; 0: the server's default"},
    {.name = "lite_python", .type = MM_OPT_PATH, .help = "Python interpreter that has milvus_lite, instead of milvus-lite from PATH"},
    {.name = "staging", .type = MM_OPT_PATH,
     .help = "transfer: import: folder or URL for staged files, which the server must be able to read"},
    {.name = "staging_as", .type = MM_OPT_STRING,
     .help = "transfer: import: the path under which the server sees the folder `staging`, where it is another one"},
    {.name = "format", .type = MM_OPT_ENUM, .choices = "auto|npy|parquet|json", .default_value = "auto", .decides = true,
     .help = "transfer: import: form of the staged files; auto: by the server's version and the fields"},
    {.name = "file_size", .type = MM_OPT_SIZE, .default_value = "512MiB", .choices = "64KiB..16GiB", .decides = true,
     .help = "transfer: import: size of a staged file after which the next one begins"},
    {.name = "spool", .type = MM_OPT_PATH,
     .help = "transfer: import: local folder for files on their way to an object store; default: beside the savepoints"},
    {.name = "import_jobs", .type = MM_OPT_INT, .choices = "1..1024", .default_value = "4",
     .help = "transfer: import: jobs of the server at once"},
    {.name = "import_tries", .type = MM_OPT_INT, .choices = "1..100", .default_value = "5",
     .help = "transfer: import: how often a file is imported again after failures of the server"},
    {.name = "import_timeout", .type = MM_OPT_DURATION, .default_value = "60m",
     .help = "transfer: import: how long a job of the server may stand without progress"},
    {.name = "keep_staged", .type = MM_OPT_BOOL, .default_value = "false",
     .help = "transfer: import: leave the staged files when all is imported and proven"},
    {.name = "import_api", .type = MM_OPT_ENUM, .choices = "auto|grpc|rest|zilliz", .default_value = "auto",
     .help = "transfer: import: how the server is asked; auto: gRPC up to 2.3, REST from 2.4 on"},
    {.name = "rest_endpoint", .type = MM_OPT_STRING,
     .help = "transfer: import: URL of the REST interface; default: the endpoint's (zilliz: https://api.cloud.zilliz.com)"},
    {.name = "cluster_id", .type = MM_OPT_STRING, .help = "import_api: zilliz: the cluster"},
    {.name = "project_id", .type = MM_OPT_STRING, .help = "import_api: zilliz: the project, instead of a cluster"},
    {.name = "region_id", .type = MM_OPT_STRING, .help = "import_api: zilliz: the region, with project_id"},
    MM_STORAGE_OPTIONS,
};

mm_status mm_milvus_pause(const mm_sink *sink, uint64_t ms, mm_error *err)
{
    uint64_t end = mm_clock_ms() + ms;
    for (;;) {
        if (sink->host != NULL && sink->host->stopping != NULL && sink->host->stopping(sink->host->context))
            return mm_error_set(err, MM_INTERRUPTED, "stopped while waiting for Milvus");
        uint64_t now = mm_clock_ms();
        if (now >= end)
            return MM_OK;
        uint64_t part = end - now < 100 ? end - now : 100;
        struct timespec time = {0, (long)part * 1000000};
        nanosleep(&time, NULL);
    }
}

const char *mm_milvus_partition_name(const mm_milvus_target *target, uint32_t partition)
{
    return partition < target->plan->partition_count ? target->plan->partitions[partition] : NULL;
}

/* --- the endpoint --------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_lite_path(const char *endpoint)
{
    return strstr(endpoint, "://") == NULL && ends_with(endpoint, ".db");
}

mm_status mm_milvus_sink_url(const char *endpoint, char **out, mm_error *err)
{
    if (strstr(endpoint, "://") != NULL) {
        *out = strdup(endpoint);
    } else {
        const char *colon = strrchr(endpoint, ':');
        if (colon == NULL || colon == endpoint || colon[1] == '\0' || strchr(endpoint, '/') != NULL ||
            strspn(colon + 1, "0123456789") != strlen(colon + 1))
            return mm_error_set(err, MM_CONFIG,
                                "endpoint '%s' is neither a URL, nor host:port, nor a path ending in .db", endpoint);
        *out = mm_format("http://%s", endpoint);
    }
    return *out != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static bool host_stopping(void *context)
{
    const mm_sink *sink = context;
    return sink->host != NULL && sink->host->stopping != NULL && sink->host->stopping(sink->host->context);
}

/* "python3" was taken for a relative path, too: where there is no such file, the name is looked for in
 * PATH. */
static const char *lite_python(const mm_options *o)
{
    const char *python = mm_options_str(o, "lite_python");
    const char *slash = python != NULL ? strrchr(python, '/') : NULL;
    return slash != NULL && access(python, F_OK) != 0 ? slash + 1 : python;
}

static mm_status find_endpoint(mm_sink *sink, mm_error *err)
{
    const char *endpoint = mm_options_str(sink->options, "endpoint");
    if (!is_lite_path(endpoint))
        return mm_milvus_sink_url(endpoint, &sink->endpoint, err);
    mm_milvus_lite_args args = {.folder = endpoint,
                                .python = lite_python(sink->options),
                                .stopping = host_stopping,
                                .context = sink};
    mm_status status = mm_milvus_lite_start(&args, &sink->server, err);
    if (status != MM_OK)
        return status;
    mm_log(MM_LOG_INFO, "Milvus Lite serves %s at %s", endpoint, mm_milvus_lite_endpoint(sink->server));
    sink->endpoint = strdup(mm_milvus_lite_endpoint(sink->server));
    return sink->endpoint != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* --- opening -------------------------------------------------------------------------------------- */

static mm_status read_options(mm_sink *sink, mm_error *err)
{
    const mm_options *o = sink->options;
    uint64_t bytes = mm_options_size(o, "request_bytes");
    int64_t shards = mm_options_int(o, "shards");
    if (bytes < MM_MILVUS_REQUEST_MIN || bytes > MM_MILVUS_REQUEST_MAX)
        return mm_error_set(err, MM_CONFIG, "request_bytes: %" PRIu64 " is not between 16KiB and 60MiB", bytes);
    if (shards < 0 || shards > 64)
        return mm_error_set(err, MM_CONFIG, "shards: %" PRId64 " is not between 0 and 64", shards);
    sink->request_bytes = (size_t)bytes;
    atomic_init(&sink->request_limit, (size_t)bytes);
    sink->config = (mm_milvus_config){.token = mm_options_str(o, "token"),
                                      .user = mm_options_str(o, "user"),
                                      .password = mm_options_str(o, "password"),
                                      .database = mm_options_str(o, "database"),
                                      .tls_ca = mm_options_str(o, "tls_ca"),
                                      .tls_cert = mm_options_str(o, "tls_cert"),
                                      .tls_key = mm_options_str(o, "tls_key"),
                                      .tls_server_name = mm_options_str(o, "tls_server_name"),
                                      .timeout_ms = mm_options_ms(o, "timeout")};
    return MM_OK;
}

static mm_status make_targets(mm_sink *sink, const mm_sink_args *args, mm_error *err)
{
    sink->targets = calloc(args->collection_count + 1, sizeof(*sink->targets));
    if (sink->targets == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    sink->target_count = args->collection_count;
    for (size_t i = 0; i < args->collection_count; i++) {
        mm_milvus_target *target = &sink->targets[i];
        target->plan = &args->collections[i];
        if (strlen(target->plan->name) > 255)
            return mm_error_set(err, MM_CONFIG, "collection name '%.40s…' is longer than 255 bytes", target->plan->name);
        if (target->plan->if_exists == MM_EXISTS_OVERWRITE)
            snprintf(target->work, sizeof(target->work), "%s_mmr_%s", target->plan->name, sink->tag);
        else
            snprintf(target->work, sizeof(target->work), "%s", target->plan->name);
    }
    return MM_OK;
}

static void sink_close(mm_sink *sink)
{
    if (sink == NULL)
        return;
    mm_importer_close(sink->importer);
    mm_milvus_close(sink->client);
    mm_milvus_lite_stop(sink->server);
    pthread_mutex_destroy(&sink->lock);
    free(sink->targets);
    free(sink->endpoint);
    free(sink);
}

static mm_status sink_open(const mm_sink_args *args, mm_sink **out, mm_error *err)
{
    mm_sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    sink->options = args->options;
    sink->host = args->host;
    sink->run = args->run;
    snprintf(sink->tag, sizeof(sink->tag), "%s", args->job_tag);
    pthread_mutex_init(&sink->lock, NULL);
    mm_status status = read_options(sink, err);
    if (status == MM_OK)
        status = make_targets(sink, args, err);
    if (status == MM_OK)
        status = find_endpoint(sink, err);
    if (status != MM_OK)
        goto out;
    sink->config.endpoint = sink->endpoint;
    status = mm_milvus_open(&sink->config, &sink->client, err);
    if (status == MM_OK)
        status = mm_milvus_version(sink->client, sink->version, err);
    sink->lite = strncmp(sink->version, "milvus_lite", 11) == 0 || sink->server != NULL;
out:
    if (status != MM_OK)
        sink_close(sink);
    else
        *out = sink;
    return status;
}

/* --- facts ---------------------------------------------------------------------------------------- */

static uint32_t capabilities_now(mm_sink *sink)
{
    uint32_t all = mm_sink_milvus.capabilities;
    return atomic_load(&sink->no_fence) ? all & ~(uint32_t)MM_SINK_FENCE : all;
}

/* Concurrent writers to one collection of Milvus Lite are not safe. */
static uint32_t lanes_max(mm_sink *sink)
{
    return sink->lite ? 1 : 0;
}

/* The collection's ID, whatever it is called. Milvus Lite gives none: there the name must do. */
static mm_status fingerprint(mm_sink *sink, uint32_t collection, char out[512], mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_milvus_description d;
    mm_milvus_target *target = &sink->targets[collection];
    pthread_mutex_lock(&sink->lock);
    mm_status status = mm_milvus_describe(sink->client, target->work, &arena, &d, err);
    pthread_mutex_unlock(&sink->lock);
    if (status == MM_OK && d.id != 0)
        snprintf(out, 512, "collection %" PRId64, d.id);
    else if (status == MM_OK)
        snprintf(out, 512, "collection '%s'", target->plan->name);
    mm_arena_free(&arena);
    return status;
}

static mm_status count(mm_sink *sink, uint32_t collection, const char *partition, uint64_t *rows, mm_error *err)
{
    pthread_mutex_lock(&sink->lock);
    mm_status status = mm_milvus_count(sink->client, sink->targets[collection].work, partition, NULL, rows, err);
    pthread_mutex_unlock(&sink->lock);
    return status;
}

static const mm_sink_driver *variant(const mm_options *options)
{
    const char *transfer = mm_options_str(options, "transfer");
    return transfer != NULL && strcmp(transfer, "import") == 0 ? &mm_sink_milvus_import : &mm_sink_milvus;
}

const mm_sink_driver mm_sink_milvus = {
    .abi = MM_SINK_ABI,
    .name = "milvus",
    .summary = "Milvus 2.x, Zilliz Cloud, Milvus Lite: Insert and Upsert over gRPC, or bulk import",
    .capabilities = MM_SINK_IDEMPOTENT | MM_SINK_ACK | MM_SINK_FENCE | MM_SINK_READ_BACK,
    .options = mm_milvus_options,
    .option_count = MM_MILVUS_OPTIONS,
    .steps = mm_milvus_steps,
    .step_count = MM_MILVUS_STEPS,
    .variant = variant,
    .open = sink_open,
    .close = sink_close,
    .capabilities_now = capabilities_now,
    .lanes_max = lanes_max,
    .fingerprint = fingerprint,
    .fence_move = mm_milvus_fence_move,
    .fence_drop = mm_milvus_fence_drop,
    .fence_highest = mm_milvus_fence_highest,
    .lane_open = mm_milvus_lane_open,
    .write = mm_milvus_lane_write,
    .lane_close = mm_milvus_lane_close,
    .count = count,
    .count_keys = mm_milvus_lane_count_keys,
    .read_back = mm_milvus_lane_read_back,
    .list_keys = mm_milvus_lane_list_keys,
    .delete_keys = mm_milvus_lane_delete_keys,
    .inspect = mm_milvus_inspect,
};
