/* The table of the Milvus sink's steps, and their details: "key=value key=value …" as text, which is
 * what a later process gets back. No step holds the sink's lock while it waits. */
#include <stdio.h>
#include <string.h>

#include "sinks/milvus/internal.h"

const mm_step mm_milvus_steps[MM_MILVUS_STEPS] = {
    {.name = "database", .phase = MM_STEP_BEFORE, .run = mm_milvus_step_database},
    {.name = "collection",
     .phase = MM_STEP_BEFORE,
     .intend = mm_milvus_intend_collection,
     .run = mm_milvus_step_collection,
     .recall = mm_milvus_recall_collection},
    {.name = "partitions", .phase = MM_STEP_BEFORE, .run = mm_milvus_step_partitions},
    {.name = "flush", .phase = MM_STEP_AFTER, .run = mm_milvus_step_flush},
    {.name = "index", .phase = MM_STEP_AFTER, .run = mm_milvus_step_index},
    {.name = "load",
     .phase = MM_STEP_AFTER,
     .intend = mm_milvus_intend_load,
     .run = mm_milvus_step_load,
     .recall = mm_milvus_recall_load},
    {.name = "swap", .phase = MM_STEP_FINISH, .once = true, .run = mm_milvus_step_swap, .recall = mm_milvus_recall_swap},
    {.name = "cleanup", .phase = MM_STEP_FINISH, .run = mm_milvus_step_cleanup},
};

bool mm_milvus_detail(const char *detail, const char *key, char *out, size_t capacity)
{
    size_t n = strlen(key);
    for (const char *at = detail; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, " ");
        if (length > n && strncmp(at, key, n) == 0 && at[n] == '=') {
            if (length - n - 1 >= capacity)
                return false;
            memcpy(out, at + n + 1, length - n - 1);
            out[length - n - 1] = '\0';
            return true;
        }
        at += length;
        at += *at == ' ';
    }
    return false;
}

void mm_milvus_marker(const mm_sink *sink, char out[64])
{
    snprintf(out, 64, "%s/%u", sink->tag, sink->run);
}

void mm_milvus_index_prefix(const mm_sink *sink, char out[64])
{
    snprintf(out, 64, "mmr_%s_", sink->tag);
}
