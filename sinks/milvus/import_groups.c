/* Groups of units that are imported together, their records in the savepoint store, and the units that wait for a
 * group. Asks no server. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/json_text.h"
#include "base/log.h"
#include "sinks/files/files.h"
#include "sinks/milvus/import.h"

static const char *const state_names[] = {[MM_GROUP_INTENT] = "intent",
                                          [MM_GROUP_MOVING] = "moving",
                                          [MM_GROUP_SENT] = "sent",
                                          [MM_GROUP_UNCLEAR] = "unclear",
                                          [MM_GROUP_DONE] = "done"};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for the importer");
}

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; texts != NULL && i < count; i++)
        free(texts[i]);
    free(texts);
}

void mm_import_group_free(mm_import_group *group)
{
    if (group == NULL)
        return;
    free_texts(group->keys, group->file_count);
    free_texts(group->paths, group->file_count);
    free(group->units);
    free(group);
}

/* Makes room for one more of `size` bytes in *items. */
static bool grow(void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    size_t more = *capacity > 0 ? *capacity * 2 : 16;
    void *larger = reallocarray(*items, more, size);
    if (larger == NULL)
        return false;
    *items = larger;
    *capacity = more;
    return true;
}

static mm_status add_group(mm_importer *importer, mm_import_group *group, mm_error *err)
{
    void *items = importer->groups;
    if (!grow(&items, importer->group_count, &importer->group_capacity, sizeof(*importer->groups)))
        return no_memory(err);
    importer->groups = items;
    importer->groups[importer->group_count++] = group;
    if (group->number >= importer->next_number[group->collection])
        importer->next_number[group->collection] = group->number + 1;
    return MM_OK;
}

/* --- records ------------------------------------------------------------------------------------------ */

static void print_texts(mm_buffer *out, const char *name, char *const *texts, size_t count)
{
    mm_buffer_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        mm_buffer_append(out, ",", i > 0);
        mm_json_text(out, texts[i]);
    }
    mm_buffer_append(out, "]", 1);
}

mm_status mm_import_record_group(mm_importer *importer, const mm_import_group *group, mm_error *err)
{
    const mm_sink_host *host = importer->sink->host;
    mm_buffer out = MM_BUFFER_INIT;
    char key[64];
    snprintf(key, sizeof(key), "import/%" PRIu32 "/%" PRIu32, group->collection, group->number);
    mm_buffer_printf(&out, "{\"state\":\"%s\",\"epoch\":%" PRIu64 ",\"try\":%" PRIu32 ",\"partition\":%" PRIu32
                           ",\"rows\":%" PRIu64 ",\"units\":[",
                     state_names[group->state], group->epoch, group->tries, group->partition, group->rows);
    for (size_t i = 0; i < group->unit_count; i++)
        mm_buffer_printf(&out, "%s%" PRIu32, i > 0 ? "," : "", group->units[i]);
    mm_buffer_append(&out, "]", 1);
    print_texts(&out, "files", group->keys, group->file_count);
    print_texts(&out, "paths", group->paths, group->file_count);
    mm_buffer_printf(&out, ",\"decided\":%d,\"job\":", group->decided);
    mm_json_text(&out, group->job);
    mm_buffer_printf(&out, ",\"reason\":");
    mm_json_text(&out, group->reason);
    mm_buffer_append(&out, "}", 2); /* with the NUL */
    mm_status status = out.failed ? no_memory(err) : host->record(host->context, key, out.data, err);
    mm_buffer_free(&out);
    return status;
}

static bool read_u64(const cJSON *object, const char *name, uint64_t most, uint64_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > (double)most)
        return false;
    *out = (uint64_t)item->valuedouble;
    return true;
}

static bool read_text(const cJSON *object, const char *name, char *out, size_t capacity)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) && snprintf(out, capacity, "%s", item->valuestring) < (int)capacity;
}

static char **read_texts(const cJSON *object, const char *name, size_t count)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, name), *item;
    char **out = cJSON_IsArray(list) && (size_t)cJSON_GetArraySize(list) == count ? calloc(count + 1, sizeof(*out)) : NULL;
    size_t i = 0;
    if (out == NULL)
        return NULL;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item) || (out[i++] = strdup(item->valuestring)) == NULL) {
            free_texts(out, count);
            return NULL;
        }
    }
    return out;
}

static bool read_state(const cJSON *object, mm_group_state *out)
{
    char name[16];
    if (!read_text(object, "state", name, sizeof(name)))
        return false;
    for (size_t i = 0; i < MM_COUNT(state_names); i++)
        if (strcmp(name, state_names[i]) == 0) {
            *out = (mm_group_state)i;
            return true;
        }
    return false;
}

static bool read_units(const cJSON *object, mm_import_group *group)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "units"), *item;
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (count == 0 || (group->units = calloc((size_t)count, sizeof(*group->units))) == NULL)
        return false;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > UINT32_MAX)
            return false;
        group->units[group->unit_count++] = (uint32_t)item->valuedouble;
    }
    return true;
}

static bool read_value(const char *value, mm_import_group *group)
{
    const uint64_t most = (uint64_t)1 << 53;
    uint64_t tries = 0, partition = 0, decided = 0;
    cJSON *root = cJSON_Parse(value);
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(root, "files");
    bool good = read_state(root, &group->state) && read_u64(root, "epoch", most, &group->epoch) &&
                read_u64(root, "try", UINT32_MAX, &tries) && read_u64(root, "partition", UINT32_MAX, &partition) &&
                read_u64(root, "rows", most, &group->rows) && read_u64(root, "decided", 1, &decided) && read_text(root, "job", group->job, sizeof(group->job)) &&
                read_text(root, "reason", group->reason, sizeof(group->reason)) && read_units(root, group) &&
                cJSON_IsArray(files);
    size_t count = good ? (size_t)cJSON_GetArraySize(files) : 0;
    if (good)
        good = (group->keys = read_texts(root, "files", count)) != NULL;
    if (good) {
        group->file_count = count;
        good = (group->paths = read_texts(root, "paths", count)) != NULL;
    }
    group->tries = (uint32_t)tries;
    group->partition = (uint32_t)partition;
    group->decided = decided == 1;
    cJSON_Delete(root);
    return good && count % group->unit_count == 0;
}

static mm_status settle_group(mm_importer *importer, const char *key, const char *value, mm_error *err)
{
    unsigned collection, number;
    char end;
    mm_import_group *group = calloc(1, sizeof(*group));
    if (group == NULL)
        return no_memory(err);
    if (sscanf(key, "import/%u/%u%c", &collection, &number, &end) != 2 || collection >= importer->collection_count ||
        !read_value(value, group)) {
        mm_import_group_free(group);
        return mm_error_set(err, MM_CHANGED, "the record %s does not belong to this plan: %.120s", key, value);
    }
    group->collection = collection;
    group->number = number;
    group->asked = true; /* by a process that is gone, perhaps */
    mm_status status = add_group(importer, group, err);
    if (status != MM_OK) {
        mm_import_group_free(group);
        return status;
    }
    atomic_fetch_add(&importer->files_known, group->unit_count);
    if (group->state == MM_GROUP_DONE)
        atomic_fetch_add(&importer->files_done, group->unit_count);
    return MM_OK;
}

static mm_status settle_fence(mm_importer *importer, const char *key, const char *value, mm_error *err)
{
    unsigned collection;
    int open;
    uint64_t epoch;
    char end;
    if (sscanf(key, "fence/%u%c", &collection, &end) != 1 || collection >= importer->collection_count ||
        sscanf(value, "{\"epoch\":%" SCNu64 ",\"open\":%d}%c", &epoch, &open, &end) != 2)
        return mm_error_set(err, MM_CHANGED, "the record %s does not belong to this plan: %.60s", key, value);
    importer->fences[collection] = (mm_import_fence){.epoch = epoch, .known = true, .open = open != 0, .stale = true};
    return MM_OK;
}

/* --- settling ----------------------------------------------------------------------------------------- */

typedef struct records {
    struct {
        const char *key, *value;
    } *items;
    size_t count, capacity, at;
} records;

static int compare_units(const void *a, const void *b)
{
    const mm_import_grouped *left = a, *right = b;
    if (left->collection != right->collection)
        return left->collection < right->collection ? -1 : 1;
    if (left->partition != right->partition)
        return left->partition < right->partition ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

/* The units of all groups that are recorded, in order: those of 100,000 groups are looked for when a run goes on. */
static mm_status index_units(mm_importer *importer, mm_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < importer->group_count; i++)
        count += importer->groups[i]->unit_count;
    free(importer->grouped);
    importer->grouped_count = 0;
    importer->grouped = calloc(count + 1, sizeof(*importer->grouped));
    if (importer->grouped == NULL)
        return no_memory(err);
    for (size_t i = 0; i < importer->group_count; i++) {
        const mm_import_group *group = importer->groups[i];
        for (size_t j = 0; j < group->unit_count; j++)
            importer->grouped[importer->grouped_count++] =
                (mm_import_grouped){group->collection, group->partition, group->units[j]};
    }
    qsort(importer->grouped, count, sizeof(*importer->grouped), compare_units);
    return MM_OK;
}

bool mm_import_is_grouped(const mm_importer *importer, uint32_t collection, uint32_t partition, uint32_t number)
{
    const mm_import_grouped unit = {collection, partition, number};
    return importer->grouped_count > 0 && bsearch(&unit, importer->grouped, importer->grouped_count,
                                                  sizeof(unit), compare_units) != NULL;
}

/* Everything that was staged is imported, so that its files may be gone. */
static bool is_all_done(const mm_importer *importer, const records *all)
{
    for (size_t i = 0; i < importer->group_count; i++)
        if (importer->groups[i]->state != MM_GROUP_DONE)
            return false;
    for (size_t i = 0; i < all->count; i++) {
        unsigned collection, partition, number;
        if (sscanf(all->items[i].key, "unit/%u/%u/%u", &collection, &partition, &number) == 3 &&
            !mm_import_is_grouped(importer, collection, partition, number))
            return false;
    }
    return importer->group_count > 0;
}

static bool next_record(void *context, const char **key, const char **value)
{
    records *all = context;
    if (all->at == all->count)
        return false;
    *key = all->items[all->at].key;
    *value = all->items[all->at++].value;
    return true;
}

/* The staging writer of a former process. Where its folder is gone and everything is imported, the removal died
 * before it was recorded. */
static mm_status settle_files(mm_importer *importer, records *all, mm_error *err)
{
    mm_status status = mm_import_recall_files(importer, err);
    if (status == MM_OK && importer->files != NULL)
        status = mm_sink_files.settle(importer->files, next_record, all, err);
    if (status == MM_CHANGED && importer->files != NULL && is_all_done(importer, all)) {
        mm_log(MM_LOG_DEBUG, "everything is imported, the staged files are gone: %s", err->text);
        mm_error_clear(err);
        mm_sink_files.close(importer->files);
        importer->files = NULL;
        importer->removed = true;
        status = MM_OK;
    }
    return status;
}

static mm_status settle_own(mm_importer *importer, const records *all, mm_error *err)
{
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < all->count; i++) {
        if (strncmp(all->items[i].key, "import/", 7) == 0)
            status = settle_group(importer, all->items[i].key, all->items[i].value, err);
        else if (strncmp(all->items[i].key, "fence/", 6) == 0)
            status = settle_fence(importer, all->items[i].key, all->items[i].value, err);
        else if (strcmp(all->items[i].key, "imported") == 0)
            importer->ended = true;
    }
    return status;
}

mm_status mm_import_settle(mm_sink *sink, bool (*next)(void *context, const char **key, const char **value),
                           void *context, mm_error *err)
{
    mm_importer *importer = sink->importer;
    records all = {0};
    const char *key, *value;
    mm_status status = MM_OK;
    while (status == MM_OK && next(context, &key, &value)) {
        void *items = all.items;
        if (!grow(&items, all.count, &all.capacity, sizeof(*all.items))) {
            status = no_memory(err);
            break;
        }
        all.items = items;
        all.items[all.count].key = key;
        all.items[all.count++].value = value;
    }
    if (status == MM_OK)
        status = settle_own(importer, &all, err);
    if (status == MM_OK)
        status = index_units(importer, err);
    if (status == MM_OK)
        status = settle_files(importer, &all, err);
    free(all.items);
    return status;
}

/* --- new groups --------------------------------------------------------------------------------------- */

static mm_status take_unit(void *context, const mm_files_sealed *sealed, mm_error *err)
{
    mm_importer *importer = context;
    void *items = importer->waiting;
    if (sealed->rows == 0 || mm_import_is_grouped(importer, sealed->collection, sealed->partition, sealed->number))
        return MM_OK;
    if (!grow(&items, importer->waiting_count, &importer->waiting_capacity, sizeof(*importer->waiting)))
        return no_memory(err);
    importer->waiting = items;
    mm_import_unit unit = {.collection = sealed->collection,
                           .partition = sealed->partition,
                           .number = sealed->number,
                           .rows = sealed->rows,
                           .keys = calloc(sealed->key_count + 1, sizeof(*unit.keys))};
    for (; unit.keys != NULL && unit.key_count < sealed->key_count; unit.key_count++)
        if ((unit.keys[unit.key_count] = strdup(sealed->keys[unit.key_count])) == NULL)
            break;
    if (unit.keys == NULL || unit.key_count < sealed->key_count) {
        free_texts(unit.keys, unit.key_count);
        return no_memory(err);
    }
    importer->waiting[importer->waiting_count++] = unit;
    atomic_fetch_add(&importer->files_known, 1);
    return MM_OK;
}

mm_status mm_import_take_units(mm_importer *importer, mm_error *err)
{
    return importer->files != NULL ? mm_files_units_take(importer->files, take_unit, importer, err) : MM_OK;
}

mm_status mm_import_set_paths(mm_importer *importer, mm_import_group *group, mm_error *err)
{
    char **paths = calloc(group->file_count + 1, sizeof(*paths));
    for (size_t i = 0; paths != NULL && i < group->file_count; i++)
        if ((paths[i] = importer->api->path(importer, group->keys[i])) == NULL) {
            free_texts(paths, group->file_count);
            paths = NULL;
        }
    if (paths == NULL)
        return no_memory(err);
    free_texts(group->paths, group->file_count);
    group->paths = paths;
    return MM_OK;
}

/* Moves units out of those that wait into the group: the one that waited longest, and others of its place. */
static void gather(mm_importer *importer, mm_import_group *group, size_t most)
{
    size_t kept = 0;
    for (size_t i = 0; i < importer->waiting_count; i++) {
        mm_import_unit unit = importer->waiting[i];
        bool fits = group->unit_count < most && unit.collection == group->collection &&
                    unit.partition == group->partition && (group->unit_count == 0 || unit.key_count * group->unit_count == group->file_count);
        if (!fits) {
            importer->waiting[kept++] = unit;
            continue;
        }
        memcpy(group->keys + group->file_count, unit.keys, unit.key_count * sizeof(*unit.keys));
        free(unit.keys);
        group->file_count += unit.key_count;
        group->units[group->unit_count++] = unit.number;
        group->rows += unit.rows;
    }
    importer->waiting_count = kept;
}

mm_status mm_import_new_group(mm_importer *importer, mm_import_group **out, mm_error *err)
{
    const mm_import_unit *first = &importer->waiting[0];
    size_t most = importer->api->units_max < importer->waiting_count ? importer->api->units_max : importer->waiting_count;
    mm_import_group *group = calloc(1, sizeof(*group));
    if (group == NULL)
        return no_memory(err);
    group->collection = first->collection;
    group->partition = first->partition;
    group->number = importer->next_number[first->collection];
    group->tries = 1;
    group->units = calloc(most, sizeof(*group->units));
    group->keys = calloc(most * first->key_count + 1, sizeof(*group->keys));
    mm_status status = group->units != NULL && group->keys != NULL ? add_group(importer, group, err) : no_memory(err);
    if (status != MM_OK) {
        mm_import_group_free(group);
        return status;
    }
    gather(importer, group, most);
    *out = group;
    return MM_OK;
}
