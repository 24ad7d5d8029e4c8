/* Bulk import over HTTP. See import_rest.h. */
#include "milvus/import_rest.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json_text.h"
#include "base/log.h"

#define JOBS "/v2/vectordb/jobs/import/"
enum { REPLY_MAX = 64 << 20, PAGE = 100, PAGES_MAX = 1000 };

struct mm_import_rest {
    mm_http *http;
    char *endpoint, *authorization, *database;
    char *cluster, *project, *region, *access_key, *secret_key, *session_token, *volume;
    uint64_t timeout_ms;
    bool cloud;
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* --- opening ------------------------------------------------------------------------------------------- */

static bool copy(const char *from, char **to)
{
    return !is_given(from) || (*to = strdup(from)) != NULL;
}

static bool copy_all(const mm_import_rest_config *config, mm_import_rest *rest)
{
    size_t n = strlen(config->endpoint);
    while (n > 0 && config->endpoint[n - 1] == '/')
        n--;
    if ((rest->endpoint = mm_format("%.*s", (int)n, config->endpoint)) == NULL)
        return false;
    if (is_given(config->token))
        rest->authorization = mm_format("Authorization: Bearer %s", config->token);
    else if (is_given(config->user))
        rest->authorization = mm_format("Authorization: Bearer %s:%s", config->user, config->password ? config->password : "");
    if ((is_given(config->token) || is_given(config->user)) && rest->authorization == NULL)
        return false;
    return copy(config->database, &rest->database) && copy(config->cluster_id, &rest->cluster) &&
           copy(config->project_id, &rest->project) && copy(config->region_id, &rest->region) &&
           copy(config->access_key, &rest->access_key) && copy(config->secret_key, &rest->secret_key) &&
           copy(config->session_token, &rest->session_token) && copy(config->volume, &rest->volume);
}

mm_status mm_import_rest_open(const mm_import_rest_config *config, mm_import_rest **out, mm_error *err)
{
    if (config->cloud && !is_given(config->cluster_id) && !(is_given(config->project_id) && is_given(config->region_id)))
        return mm_error_set(err, MM_CONFIG, "import_api: zilliz wants cluster_id, or project_id and region_id");
    mm_import_rest *rest = calloc(1, sizeof(*rest));
    if (rest == NULL)
        return no_memory(err);
    rest->timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : 60000;
    rest->cloud = config->cloud;
    mm_log_add_secret(config->token);
    mm_log_add_secret(config->password);
    mm_log_add_secret(config->secret_key);
    mm_log_add_secret(config->session_token);
    mm_http_config http = {.ca_file = config->tls_ca};
    mm_status status = copy_all(config, rest) ? mm_http_open(&http, &rest->http, err) : no_memory(err);
    if (status == MM_OK)
        *out = rest;
    else
        mm_import_rest_close(rest);
    return status;
}

void mm_import_rest_close(mm_import_rest *rest)
{
    if (rest == NULL)
        return;
    mm_http_close(rest->http);
    free(rest->endpoint);
    free(rest->authorization);
    free(rest->database);
    free(rest->cluster);
    free(rest->project);
    free(rest->region);
    free(rest->access_key);
    free(rest->secret_key);
    free(rest->session_token);
    free(rest->volume);
    free(rest);
}

/* --- one request --------------------------------------------------------------------------------------- */

/* Appends "name": "value" with a comma before, unless it is the first; nothing for a value that is not given. */
static void put(mm_buffer *body, const char *name, const char *value)
{
    if (!is_given(value))
        return;
    mm_buffer_printf(body, "%s\"%s\":", body->size > 1 ? "," : "", name);
    mm_json_text(body, value);
}

/* {"clusterId":…,"dbName":…: what every request begins with. */
static void begin(const mm_import_rest *rest, mm_buffer *body)
{
    mm_buffer_append(body, "{", 1);
    put(body, "clusterId", rest->cluster);
    put(body, "projectId", rest->project);
    put(body, "regionId", rest->region);
    put(body, "dbName", rest->database);
}

/* Codes from 1800 on are the HTTP server's own: authentication, malformed requests; nothing was executed. */
static mm_status judge_code(int code, bool repeatable)
{
    mm_milvus_answer answer = {.code = code};
    if (code == 1800)
        return MM_AUTH;
    if (code > 1800 && code < 1900)
        return MM_CONFIG;
    return mm_milvus_classify(&answer, repeatable ? MM_MILVUS_READ : MM_MILVUS_WRITE);
}

/* The reply says {"code":0,"data":…} or {"code":c,"message":…}, with HTTP 200 for both as a rule. *said: the code. */
static mm_status read_code(const mm_http_reply *reply, const char *what, bool repeatable, int *said, mm_error *err)
{
    mm_status judged = mm_http_judge(reply->status, repeatable);
    cJSON *root = reply->body.size > 0 ? cJSON_ParseWithLength(reply->body.data, reply->body.size) : NULL;
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(root, "code");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(root, "message");
    const char *text = cJSON_IsString(message) ? message->valuestring : "";
    mm_status status = MM_OK;
    *said = cJSON_IsNumber(code) ? code->valueint : 0;
    if (judged == MM_OK && !cJSON_IsNumber(code))
        status = mm_error_set(err, repeatable ? MM_UNAVAILABLE : MM_UNKNOWN, "import job %s: not a reply: %.200s", what,
                              reply->body.size > 0 ? reply->body.data : "nothing");
    else if (judged == MM_OK && (code->valueint == 0 || code->valueint == 200))
        *said = 0;
    else
        status = mm_error_set(err, judged == MM_OK ? judge_code(*said, repeatable) : judged,
                              "import job %s: %.600s (HTTP %ld, code %d)", what, text, reply->status, *said);
    if (status != MM_OK && err != NULL)
        err->retry_after_ms = reply->retry_after_ms;
    cJSON_Delete(root);
    return status;
}

static mm_status post(mm_import_rest *rest, const char *what, mm_buffer *body, const char *key, mm_http_reply *reply,
                      int *code, mm_error *err)
{
    char url[1024], idempotency[320];
    const char *headers[4] = {"Content-Type: application/json", "Accept: application/json"};
    size_t count = 2;
    bool repeatable = key == NULL;
    mm_buffer_append(body, "}", 1);
    if (body->failed)
        return no_memory(err);
    if (snprintf(url, sizeof(url), "%s" JOBS "%s", rest->endpoint, what) >= (int)sizeof(url))
        return mm_error_set(err, MM_CONFIG, "the REST endpoint %.80s… is too long", rest->endpoint);
    if (rest->authorization != NULL)
        headers[count++] = rest->authorization;
    if (key != NULL) {
        snprintf(idempotency, sizeof(idempotency), "Idempotency-Key: %s", key);
        headers[count++] = idempotency;
    }
    mm_http_request request = {.method = "POST",
                               .url = url,
                               .headers = headers,
                               .header_count = count,
                               .body = {.bytes = body->data, .size = body->size},
                               .total_timeout_ms = rest->timeout_ms,
                               .repeatable = repeatable,
                               .reply_max = REPLY_MAX};
    mm_status status = mm_http_perform(rest->http, &request, reply, err);
    return status == MM_OK ? read_code(reply, what, repeatable, code, err) : mm_error_context(err, "import job %s", what);
}

/* --- create -------------------------------------------------------------------------------------------- */

static void put_groups(mm_buffer *body, const char *name, const mm_import_rest_request *request)
{
    mm_buffer_printf(body, ",\"%s\":[", name);
    for (size_t i = 0; i < request->file_count; i++) {
        bool first = i % request->group_files == 0;
        mm_buffer_printf(body, "%s%s", i > 0 ? first ? "]," : "," : "", first ? "[" : "");
        mm_json_text(body, request->files[i]);
    }
    mm_buffer_printf(body, "]]");
}

static bool read_id(const cJSON *item, char id[MM_IMPORT_ID])
{
    if (cJSON_IsString(item))
        return item->valuestring[0] != '\0' && snprintf(id, MM_IMPORT_ID, "%s", item->valuestring) < MM_IMPORT_ID;
    return cJSON_IsNumber(item) && snprintf(id, MM_IMPORT_ID, "%.0f", item->valuedouble) < MM_IMPORT_ID;
}

mm_status mm_import_rest_create(mm_import_rest *rest, const mm_import_rest_request *request, char id[MM_IMPORT_ID],
                                mm_error *err)
{
    mm_buffer body = MM_BUFFER_INIT;
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    int code;
    begin(rest, &body);
    put(&body, "collectionName", request->collection);
    put(&body, "partitionName", request->partition);
    put(&body, "volumeName", rest->volume);
    put_groups(&body, rest->volume ? "dataPaths" : rest->cloud ? "objectUrls" : "files", request);
    if (rest->cloud && rest->volume == NULL) {
        put(&body, "accessKey", rest->access_key);
        put(&body, "secretKey", rest->secret_key);
        put(&body, "token", rest->session_token);
    }
    mm_status status = post(rest, "create", &body, request->key, &reply, &code, err);
    if (status == MM_OK) {
        cJSON *root = cJSON_ParseWithLength(reply.body.data, reply.body.size);
        const cJSON *data = cJSON_GetObjectItemCaseSensitive(root, "data");
        if (!read_id(cJSON_GetObjectItemCaseSensitive(data, "jobId"), id))
            status = mm_error_set(err, MM_UNKNOWN, "import job create: no jobId in the reply %.200s", reply.body.data);
        cJSON_Delete(root);
    }
    mm_http_reply_free(&reply);
    mm_buffer_free(&body);
    return status;
}

/* --- describe ------------------------------------------------------------------------------------------ */

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static double number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble < 9e15 ? item->valuedouble : 0;
}

/* What is gone after its time is a failure of that name in some versions. */
static bool says_forgotten(const char *reason)
{
    return strcasestr(reason, "job does not exist") != NULL || strcasestr(reason, "job not exist") != NULL ||
           strcasestr(reason, "job not found") != NULL;
}

static mm_import_phase phase_of(const char *state, const char *reason)
{
    if (strcmp(state, "Completed") == 0)
        return MM_IMPORT_DONE;
    if (strcmp(state, "Failed") == 0)
        return says_forgotten(reason) ? MM_IMPORT_FORGOTTEN : MM_IMPORT_FAILED;
    return strcmp(state, "Pending") == 0 ? MM_IMPORT_PENDING : MM_IMPORT_RUNNING;
}

static void read_names(const cJSON *details, mm_buffer *names, bool *named)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, details)
    {
        const char *name = text_of(item, "fileName");
        *named = *named || name[0] != '\0';
        if (names != NULL)
            mm_buffer_printf(names, " %s ", name);
    }
}

static void one_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            *text = ' ';
}

mm_status mm_import_rest_read(const char *json, mm_import_job *out, mm_buffer *names, bool *named, mm_error *err)
{
    cJSON *root = cJSON_Parse(json);
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(root, "data");
    const char *state = text_of(data, "state"), *reason = text_of(data, "reason");
    mm_import_job job = {.phase = phase_of(state, reason), .rows = (uint64_t)number_of(data, "importedRows")};
    mm_status status = MM_OK;
    *named = false;
    if (state[0] == '\0' || !read_id(cJSON_GetObjectItemCaseSensitive(data, "jobId"), job.id)) {
        status = mm_error_set(err, MM_UNAVAILABLE, "not the description of an import job: %.200s", json);
    } else {
        double percent = number_of(data, "progress");
        job.cleaned = job.phase == MM_IMPORT_FAILED; /* its segments are dropped with the state */
        job.percent = percent > 100 ? 100 : (unsigned)percent;
        if (job.phase == MM_IMPORT_FAILED)
            snprintf(job.reason, sizeof(job.reason), "%s", reason);
        one_line(job.reason);
        read_names(cJSON_GetObjectItemCaseSensitive(data, "details"), names, named);
        *out = job;
    }
    if (status == MM_OK && names != NULL && names->failed)
        status = no_memory(err);
    cJSON_Delete(root);
    return status;
}

static mm_status describe(mm_import_rest *rest, const char *id, mm_import_job *out, mm_buffer *names, bool *named,
                          mm_error *err)
{
    mm_buffer body = MM_BUFFER_INIT;
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    int code = 0;
    begin(rest, &body);
    put(&body, "jobId", id);
    /* 2.4 knows only get_progress, which all later ones still take */
    mm_status status = post(rest, rest->cloud ? "describe" : "get_progress", &body, NULL, &reply, &code, err);
    if (status == MM_OK) {
        status = mm_import_rest_read(reply.body.data, out, names, named, err);
    } else if (code != 0 && err != NULL && says_forgotten(err->text)) {
        mm_error_clear(err);
        *named = false;
        *out = (mm_import_job){.phase = MM_IMPORT_FORGOTTEN};
        status = MM_OK;
    }
    if (status == MM_OK)
        snprintf(out->id, sizeof(out->id), "%s", id);
    mm_http_reply_free(&reply);
    mm_buffer_free(&body);
    return status;
}

mm_status mm_import_rest_state(mm_import_rest *rest, const char *id, mm_import_job *out, mm_error *err)
{
    bool named;
    return describe(rest, id, out, NULL, &named, err);
}

/* --- find ---------------------------------------------------------------------------------------------- */

typedef struct file_search {
    const char *file;
    bool (*skip)(void *context, const char *id);
    void *context;
    bool *found;
    mm_import_job *out;
    bool silent; /* a job did not tell its files yet */
} file_search;

/* A file's name stands in brackets, or among others of its group: what follows it is no character of a name. */
static bool has_name(const char *names, const char *file)
{
    size_t n = strlen(file);
    for (const char *at = names; at != NULL && (at = strstr(at, file)) != NULL; at++)
        if (strchr(" ,]\"'", at[n]) != NULL)
            return true;
    return false;
}

static mm_status look_at(mm_import_rest *rest, file_search *search, const char *id, mm_error *err)
{
    mm_buffer names = MM_BUFFER_INIT;
    mm_import_job job;
    bool named = false;
    if (search->skip(search->context, id))
        return MM_OK;
    mm_status status = describe(rest, id, &job, &names, &named, err);
    if (status == MM_OK && named && has_name(names.data, search->file)) {
        *search->found = true;
        *search->out = job;
    } else if (status == MM_OK && !named && (job.phase == MM_IMPORT_PENDING || job.phase == MM_IMPORT_RUNNING)) {
        search->silent = true;
    }
    mm_buffer_free(&names);
    return status;
}

/* One page of the list; *count: its records. */
static mm_status look_at_page(mm_import_rest *rest, const char *collection, unsigned page, file_search *search, int *count,
                              mm_error *err)
{
    mm_buffer body = MM_BUFFER_INIT;
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    int code;
    char id[MM_IMPORT_ID];
    cJSON *root = NULL;
    begin(rest, &body);
    put(&body, "collectionName", collection);
    if (rest->cloud)
        mm_buffer_printf(&body, ",\"pageSize\":%d,\"currentPage\":%u", PAGE, page);
    mm_status status = post(rest, "list", &body, NULL, &reply, &code, err);
    if (status == MM_OK) {
        root = cJSON_ParseWithLength(reply.body.data, reply.body.size);
        const cJSON *data = cJSON_GetObjectItemCaseSensitive(root, "data"), *item;
        const cJSON *records = cJSON_GetObjectItemCaseSensitive(data, "records");
        *count = cJSON_GetArraySize(records);
        cJSON_ArrayForEach(item, records)
        {
            if (status == MM_OK && !*search->found && read_id(cJSON_GetObjectItemCaseSensitive(item, "jobId"), id))
                status = look_at(rest, search, id, err);
        }
    }
    cJSON_Delete(root);
    mm_http_reply_free(&reply);
    mm_buffer_free(&body);
    return status;
}

mm_status mm_import_rest_find(mm_import_rest *rest, const char *collection, const char *file,
                              bool (*skip)(void *context, const char *id), void *context, bool *found,
                              mm_import_job *out, mm_error *err)
{
    file_search search = {.file = file, .skip = skip, .context = context, .found = found, .out = out};
    int count = PAGE;
    mm_status status = MM_OK;
    *found = false;
    for (unsigned page = 1; status == MM_OK && !*found && count == PAGE && page <= PAGES_MAX; page++) {
        status = look_at_page(rest, collection, page, &search, &count, err);
        if (!rest->cloud)
            break; /* all at once */
    }
    if (status == MM_OK && !*found && search.silent)
        return mm_error_set(err, MM_NOT_READY, "%s: an import job has not told its files yet", collection);
    return status;
}
