/* How many documents ranges of `_seq_no` have now: searches without hits, many in one request. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/elastic/internal.h"

/* One line that says where to search, and one that says for what. */
static void put_search(const mm_source *source, const mm_elastic_extent *range, mm_buffer *out)
{
    char clause[128];
    snprintf(clause, sizeof(clause), "{\"range\":{\"_seq_no\":{\"gt\":%" PRId64 ",\"lte\":%" PRId64 "}}}", range->after,
             range->upto);
    mm_buffer_printf(out, "{\"preference\":\"_shards:%u\",\"allow_partial_search_results\":false,\"request_cache\":false}\n"
                          "{\"size\":0,\"track_total_hits\":true,\"query\":", range->shard);
    mm_elastic_query(source, clause, out);
    mm_buffer_printf(out, "}\n");
}

/* A search that failed stands among the answers, with the status that it would have had alone. */
static mm_status not_counted(const mm_elastic_extent *range, const cJSON *answer, mm_error *err)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(answer, "error");
    const cJSON *http = cJSON_GetObjectItemCaseSensitive(answer, "status");
    const cJSON *root = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(error, "root_cause"), 0);
    const char *reason = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root ? root : error, "reason"));
    bool refused = cJSON_IsNumber(http) && http->valuedouble >= 400 && http->valuedouble < 500 && http->valuedouble != 429;
    return mm_error_set(err, refused ? MM_CONFIG : MM_UNAVAILABLE,
                        "%s, shard %u: the documents of a range could not be counted%s%.300s", range->index->name,
                        range->shard, reason ? ": " : "", reason ? reason : "");
}

static mm_status take_answer(const mm_elastic_extent *range, const cJSON *answer, uint64_t *rows, mm_error *err)
{
    const cJSON *successful =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(answer, "_shards"), "successful");
    const cJSON *total = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(answer, "hits"), "total");
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(total, "value");
    if (!cJSON_IsNumber(value) || value->valuedouble < 0 || !cJSON_IsNumber(successful) || successful->valuedouble != 1 ||
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "timed_out")))
        return not_counted(range, answer, err);
    *rows = (uint64_t)value->valuedouble;
    return MM_OK;
}

mm_status mm_elastic_count_ranges(mm_source *source, const mm_elastic_extent *ranges, size_t count, uint64_t *rows,
                                  mm_error *err)
{
    cJSON *json = NULL;
    mm_buffer body = MM_BUFFER_INIT;
    for (size_t i = 0; i < count; i++)
        put_search(source, &ranges[i], &body);
    char *path = mm_format("%s/_msearch", ranges[0].index->path);
    mm_status status = path && !body.failed ? mm_elastic_json(source, "POST", path, body.data, &json, err)
                                            : mm_error_set(err, MM_NO_MEMORY, "out of memory for a request");
    const cJSON *answer = status == MM_OK ? cJSON_GetObjectItemCaseSensitive(json, "responses") : NULL;
    answer = answer ? answer->child : NULL;
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        status = take_answer(&ranges[i], answer, &rows[i], err);
        answer = answer ? answer->next : NULL;
    }
    cJSON_Delete(json);
    mm_buffer_free(&body);
    free(path);
    return status;
}
