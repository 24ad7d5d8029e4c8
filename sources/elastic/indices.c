/* Names, patterns, aliases and data streams to collections of concrete indices; what tells that an index is still the
 * same; how far its shards have come. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sources/elastic/internal.h"
#include "storage/storage_internal.h"

#define WINDOW_DEFAULT 10000

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a list of indices");
}

/* A path with a name in it, encoded: "/" name tail. malloc'd. */
static char *path_of(const char *name, const char *tail)
{
    mm_buffer path = MM_BUFFER_INIT;
    mm_buffer_append(&path, "/", 1);
    mm_percent_encode(&path, name, false);
    mm_buffer_printf(&path, "%s", tail);
    if (path.failed)
        mm_buffer_free(&path);
    return path.data;
}

static mm_status get(mm_source *source, const char *name, const char *tail, cJSON **out, mm_error *err)
{
    char *path = path_of(name, tail);
    mm_status status = path ? mm_elastic_json(source, "GET", path, NULL, out, err) : no_memory(err);
    free(path);
    return status;
}

/* --- collections as they grow ----------------------------------------------------------------------------------- */

/* Names of indices by collection, before anything is known of the indices. Freed by free_groups. */
typedef struct group {
    char *name;
    char **indices;
    size_t count, capacity;
} group;
typedef struct groups {
    group *items;
    size_t count, capacity;
} groups;

static void free_groups(groups *all)
{
    for (size_t i = 0; i < all->count; i++) {
        for (size_t j = 0; j < all->items[i].count; j++)
            free(all->items[i].indices[j]);
        free(all->items[i].indices);
        free(all->items[i].name);
    }
    free(all->items);
}

static void *grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    size_t more = *capacity ? 2 * *capacity : 8;
    void *grown = realloc(items, more * size);
    if (grown)
        *capacity = more;
    return grown;
}

static mm_status add_index(group *g, const char *index, mm_error *err)
{
    for (size_t i = 0; i < g->count; i++)
        if (strcmp(g->indices[i], index) == 0)
            return MM_OK;
    char **grown = grow(g->indices, g->count, &g->capacity, sizeof(*grown));
    if (grown == NULL)
        return no_memory(err);
    g->indices = grown;
    g->indices[g->count] = strdup(index);
    return g->indices[g->count++] ? MM_OK : no_memory(err);
}

/* The group of that name, new or found. */
static mm_status find_group(groups *all, const char *name, group **out, mm_error *err)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->items[i].name, name) == 0) {
            *out = &all->items[i];
            return MM_OK;
        }
    group *grown = grow(all->items, all->count, &all->capacity, sizeof(*grown));
    if (grown == NULL)
        return no_memory(err);
    all->items = grown;
    all->items[all->count] = (group){.name = strdup(name)};
    if (all->items[all->count].name == NULL)
        return no_memory(err);
    *out = &all->items[all->count++];
    return MM_OK;
}

/* --- what a name stands for ------------------------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* A text, or a list of them. */
static mm_status add_names(group *g, const cJSON *names, mm_error *err)
{
    const cJSON *name;
    mm_status status = MM_OK;
    if (cJSON_IsString(names))
        return add_index(g, names->valuestring, err);
    cJSON_ArrayForEach(name, names)
        if (status == MM_OK && cJSON_IsString(name))
            status = add_index(g, name->valuestring, err);
    return status;
}

/* together: the one collection that everything goes to; NULL: each under its own name. */
static mm_status add_resolved(groups *all, const cJSON *list, const char *members, const char *together, mm_error *err)
{
    const cJSON *item;
    mm_status status = MM_OK;
    cJSON_ArrayForEach(item, list) {
        const char *name = text_of(item, "name");
        /* a part of a data stream comes with the stream */
        if (name == NULL || (members == NULL && together == NULL && text_of(item, "data_stream")))
            continue;
        group *g = NULL;
        status = find_group(all, together ? together : name, &g, err);
        if (status == MM_OK)
            status = members ? add_names(g, cJSON_GetObjectItemCaseSensitive(item, members), err)
                             : add_index(g, name, err);
        if (status != MM_OK)
            return status;
    }
    return status;
}

/* Aliases count where they were named; a pattern's indices count by themselves. */
static mm_status resolve(mm_source *source, const char *name, const char *together, groups *all, mm_error *err)
{
    bool pattern = strpbrk(name, "*?") != NULL;
    cJSON *json = NULL;
    char *path = path_of(name, "?expand_wildcards=open");
    char *full = path ? mm_format("/_resolve/index%s", path) : NULL;
    mm_status status = full ? mm_elastic_json(source, "GET", full, NULL, &json, err) : no_memory(err);
    free(path);
    free(full);
    if (status != MM_OK)
        return status;
    status = add_resolved(all, cJSON_GetObjectItemCaseSensitive(json, "data_streams"), "backing_indices", together, err);
    if (status == MM_OK && !pattern)
        status = add_resolved(all, cJSON_GetObjectItemCaseSensitive(json, "aliases"), "indices", together, err);
    if (status == MM_OK)
        status = add_resolved(all, cJSON_GetObjectItemCaseSensitive(json, "indices"), NULL,
                              together ? together : pattern ? NULL : name, err);
    cJSON_Delete(json);
    return status;
}

/* Before 7.9 there are neither data streams nor _resolve: what the settings are called tells the indices. */
static mm_status resolve_old(mm_source *source, const char *name, const char *together, groups *all, mm_error *err)
{
    bool pattern = strpbrk(name, "*?") != NULL;
    cJSON *json = NULL;
    const cJSON *item;
    mm_status status = get(source, name, "/_settings?expand_wildcards=open&filter_path=*.settings.index.uuid", &json, err);
    if (status != MM_OK)
        return status;
    cJSON_ArrayForEach(item, json) {
        group *g = NULL;
        status = find_group(all, together ? together : pattern ? item->string : name, &g, err);
        if (status == MM_OK)
            status = add_index(g, item->string, err);
        if (status != MM_OK)
            break;
    }
    cJSON_Delete(json);
    return status;
}

static mm_status check_name(const char *name, mm_error *err)
{
    if (name[0] == '\0' || strpbrk(name, ",:<>/ ") != NULL)
        return mm_error_set(err, MM_CONFIG, "source.index: `%s` is no name or pattern of indices of this cluster; several "
                                            "are given as a list", name);
    return MM_OK;
}

/* --- what an index is ------------------------------------------------------------------------------------------- */

static uint32_t number_of(const cJSON *settings, const char *key, uint32_t otherwise)
{
    const char *text = text_of(settings, key);
    unsigned long value = text ? strtoul(text, NULL, 10) : 0;
    return value > 0 && value <= 1000000 ? (uint32_t)value : otherwise;
}

static mm_status read_index(mm_source *source, const char *name, mm_elastic_index *out, mm_error *err)
{
    cJSON *json = NULL;
    mm_status status = get(source, name, "/_settings?flat_settings=true", &json, err);
    if (status != MM_OK)
        return status;
    const cJSON *settings =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, name), "settings");
    const char *uuid = text_of(settings, "index.uuid"), *mode = text_of(settings, "index.mode");
    const char *disabled = text_of(settings, "index.disable_sequence_numbers");
    *out = (mm_elastic_index){.name = mm_arena_strdup(&source->arena, name)};
    out->shards = number_of(settings, "index.number_of_shards", 0);
    out->window = number_of(settings, "index.max_result_window", WINDOW_DEFAULT);
    out->seq_no = disabled ? strcmp(disabled, "true") != 0 : mode == NULL || strcmp(mode, "time_series") != 0;
    char *path = path_of(name, "");
    if (uuid == NULL || out->shards == 0)
        status = mm_error_set(err, MM_CONFIG, "%s: its settings have neither UUID nor number of shards", name);
    else if (path == NULL || out->name == NULL || (out->uuid = mm_arena_strdup(&source->arena, uuid)) == NULL ||
             (out->path = mm_arena_strdup(&source->arena, path)) == NULL)
        status = no_memory(err);
    free(path);
    cJSON_Delete(json);
    return status;
}

static mm_status take_group(mm_source *source, const group *g, mm_elastic_collection *out, mm_error *err)
{
    out->name = mm_arena_strdup(&source->arena, g->name);
    out->indices = mm_arena_array(&source->arena, g->count, sizeof(*out->indices));
    if (out->name == NULL || out->indices == NULL)
        return no_memory(err);
    mm_status status = MM_OK;
    for (; status == MM_OK && out->index_count < g->count; out->index_count++)
        status = read_index(source, g->indices[out->index_count], &out->indices[out->index_count], err);
    return status;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static mm_status take_groups(mm_source *source, const groups *all, mm_error *err)
{
    mm_status status = MM_OK;
    source->collections = mm_arena_array(&source->arena, all->count, sizeof(*source->collections));
    if (source->collections == NULL)
        return no_memory(err);
    memset(source->collections, 0, all->count * sizeof(*source->collections));
    for (size_t i = 0; status == MM_OK && i < all->count; i++) {
        qsort(all->items[i].indices, all->items[i].count, sizeof(char *), by_text);
        status = take_group(source, &all->items[i], &source->collections[i], err);
    }
    return status;
}

mm_status mm_elastic_find(mm_source *source, mm_error *err)
{
    const char *const *names = NULL;
    size_t count = mm_options_list(source->options, "index", &names);
    const char *together = mm_options_str(source->options, "collection");
    bool old = !source->server.opensearch && source->server.major == 7 && source->server.minor < 9;
    groups all = {0};
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        status = check_name(names[i], err);
        size_t before = all.count;
        if (status == MM_OK)
            status = (old ? resolve_old : resolve)(source, names[i], together, &all, err);
        if (status == MM_OK && all.count == before && all.count == 0)
            status = mm_error_set(err, MM_NOT_FOUND, "source.index: no open index is called `%s`", names[i]);
    }
    if (status == MM_OK)
        status = take_groups(source, &all, err);
    if (status == MM_OK) {
        source->count = all.count;
        source->found = true;
    }
    free_groups(&all);
    return status;
}

/* --- still the same? -------------------------------------------------------------------------------------------- */

static mm_status read_uuid(mm_source *source, const mm_elastic_index *index, char out[64], mm_error *err)
{
    cJSON *json = NULL;
    mm_status status = get(source, index->name, "/_settings?flat_settings=true&filter_path=*.settings.index.uuid", &json,
                           err);
    if (status == MM_NOT_FOUND)
        return mm_error_set(err, MM_CHANGED, "index %s is gone", index->name);
    if (status != MM_OK)
        return status;
    const char *uuid = text_of(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, index->name), "settings"), "index.uuid");
    snprintf(out, 64, "%s", uuid ? uuid : "none");
    cJSON_Delete(json);
    return MM_OK;
}

mm_status mm_elastic_fingerprint(mm_source *source, const mm_elastic_collection *c, char out[MM_FINGERPRINT_MAX],
                                 mm_error *err)
{
    uint64_t hash = 0;
    char uuid[64] = "";
    for (size_t i = 0; i < c->index_count; i++) {
        mm_status status = read_uuid(source, &c->indices[i], uuid, err);
        if (status != MM_OK)
            return status;
        hash = XXH3_64bits_withSeed(c->indices[i].name, strlen(c->indices[i].name), hash);
        hash = XXH3_64bits_withSeed(uuid, strlen(uuid), hash);
    }
    if (c->index_count == 1)
        snprintf(out, MM_FINGERPRINT_MAX, "%s=%s", c->indices[0].name, uuid);
    else
        snprintf(out, MM_FINGERPRINT_MAX, "indices=%zu hash=%016" PRIx64, c->index_count, hash);
    return MM_OK;
}

/* --- how far the shards have come ------------------------------------------------------------------------------- */

/* {"<number>":[{"routing":{"primary":true},"seq_no":{"global_checkpoint":…}}, …]} */
static void take_shard(const cJSON *copies, mm_elastic_shard *out)
{
    const cJSON *copy;
    cJSON_ArrayForEach(copy, copies) {
        const cJSON *primary =
            cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(copy, "routing"), "primary");
        const cJSON *checkpoint =
            cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(copy, "seq_no"), "global_checkpoint");
        if (!cJSON_IsTrue(primary) || !cJSON_IsNumber(checkpoint) || checkpoint->valuedouble >= 9e15)
            continue;
        out->checkpoint = checkpoint->valuedouble < 0 ? -1 : (int64_t)checkpoint->valuedouble;
        out->found = true;
    }
}

static mm_status read_checkpoints(mm_source *source, const mm_elastic_index *index, mm_elastic_shard *out,
                                  mm_error *err)
{
    cJSON *json = NULL;
    char *path = mm_format("%s/_stats/docs?level=shards&filter_path=indices.*.shards.*.routing,"
                           "indices.*.shards.*.seq_no", index->path);
    mm_status status = path ? mm_elastic_json(source, "GET", path, NULL, &json, err) : no_memory(err);
    free(path);
    if (status != MM_OK)
        return status;
    const cJSON *indices = cJSON_GetObjectItemCaseSensitive(json, "indices");
    const cJSON *shards = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(indices, index->name), "shards");
    for (uint32_t i = 0; i < index->shards; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%u", i);
        out[i] = (mm_elastic_shard){.checkpoint = -1};
        take_shard(cJSON_GetObjectItemCaseSensitive(shards, number), &out[i]);
        if (!out[i].found && status == MM_OK)
            status = mm_error_set(err, MM_UNAVAILABLE, "%s: shard %u has no primary at work: wait until the cluster is "
                                                       "yellow or green", index->name, i);
    }
    cJSON_Delete(json);
    return status;
}

mm_status mm_elastic_refresh(mm_source *source, const mm_elastic_index *index, mm_error *err)
{
    cJSON *json = NULL;
    char *path = mm_format("%s/_refresh", index->path);
    mm_status status = path ? mm_elastic_json(source, "POST", path, NULL, &json, err) : no_memory(err);
    free(path);
    if (status != MM_OK)
        return status;
    const cJSON *failed = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "_shards"), "failed");
    if (!cJSON_IsNumber(failed) || failed->valuedouble != 0)
        status = mm_error_set(err, MM_UNAVAILABLE, "%s: a shard could not be refreshed", index->name);
    cJSON_Delete(json);
    return status;
}

/* First the checkpoints, then the refresh: what is written in between is above them. */
mm_status mm_elastic_bounds(mm_source *source, const mm_elastic_index *index, mm_elastic_shard *out, mm_error *err)
{
    mm_status status = read_checkpoints(source, index, out, err);
    return status == MM_OK ? mm_elastic_refresh(source, index, err) : status;
}
