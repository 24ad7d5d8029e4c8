/* The registry of sink drivers, and the small helpers of the sink contract. Knows each driver's table
 * and nothing of its inside. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sinks/files/files.h"
#include "sinks/hdf5/hdf5.h"
#include "sinks/milvus/milvus.h"
#include "sinks/sink.h"

static const mm_sink_driver *const drivers[] = {&mm_sink_milvus, &mm_sink_files, &mm_sink_hdf5};

const mm_sink_driver *const *mm_sink_registry(size_t *count)
{
    *count = MM_COUNT(drivers);
    return drivers;
}

const mm_sink_driver *mm_sink_find(const char *name)
{
    for (size_t i = 0; i < MM_COUNT(drivers); i++)
        if (strcmp(drivers[i]->name, name) == 0)
            return drivers[i];
    return NULL;
}

/* --- checks --------------------------------------------------------------------------------------- */

static const char *missing_function(const mm_sink_driver *d)
{
    bool fence = (d->capabilities & MM_SINK_FENCE) != 0, reads = (d->capabilities & MM_SINK_READ_BACK) != 0;
    const struct {
        const char *name;
        bool there;
    } required[] = {
        {"open", d->open != NULL},
        {"close", d->close != NULL},
        {"fingerprint", d->fingerprint != NULL},
        {"lane_open", d->lane_open != NULL},
        {"write", d->write != NULL},
        {"lane_close", d->lane_close != NULL},
        {"flush", d->flush != NULL || (d->capabilities & MM_SINK_ACK) != 0},
        {"settle", d->settle != NULL || (d->capabilities & MM_SINK_REWIND) == 0},
        {"fence_move", d->fence_move != NULL || !fence},
        {"fence_drop", d->fence_drop != NULL || !fence},
        {"fence_highest", d->fence_highest != NULL || !fence},
        {"adopts", d->adopts != NULL || d->adopt == NULL},
        {"count", d->count != NULL || !reads},
        {"read_back", d->read_back != NULL || !reads},
    };
    for (size_t i = 0; i < MM_COUNT(required); i++)
        if (!required[i].there)
            return required[i].name;
    return NULL;
}

static mm_status check_options(const mm_sink_driver *d, mm_error *err)
{
    mm_status status = mm_options_check_table(d->options, d->option_count, err);
    return status == MM_OK ? MM_OK : mm_error_context(err, "sink %s", d->name);
}

static mm_status check_steps(const mm_sink_driver *d, mm_error *err)
{
    for (size_t i = 0; i < d->step_count; i++) {
        if (d->steps[i].name == NULL || d->steps[i].run == NULL)
            return mm_error_set(err, MM_BUG, "sink %s: step %zu has no name or run", d->name, i);
        if (i > 0 && d->steps[i].phase < d->steps[i - 1].phase)
            return mm_error_set(err, MM_BUG, "sink %s: step %s stands behind a later phase", d->name, d->steps[i].name);
        for (size_t j = 0; j < i; j++)
            if (strcmp(d->steps[j].name, d->steps[i].name) == 0)
                return mm_error_set(err, MM_BUG, "sink %s: step %s stands twice", d->name, d->steps[i].name);
    }
    return MM_OK;
}

static mm_status check_driver(const mm_sink_driver *d, mm_error *err)
{
    if (d->name == NULL || d->summary == NULL)
        return mm_error_set(err, MM_BUG, "a sink driver has no name or summary");
    if (d->abi != MM_SINK_ABI)
        return mm_error_set(err, MM_BUG, "sink %s: ABI %u, this program has %u", d->name, d->abi, MM_SINK_ABI);
    const char *missing = missing_function(d);
    if (missing != NULL)
        return mm_error_set(err, MM_BUG, "sink %s: %s is missing", d->name, missing);
    mm_status status = check_options(d, err);
    return status == MM_OK ? check_steps(d, err) : status;
}

mm_status mm_sink_registry_check(mm_error *err)
{
    for (size_t i = 0; i < MM_COUNT(drivers); i++) {
        mm_status status = check_driver(drivers[i], err);
        if (status != MM_OK)
            return status;
        for (size_t j = 0; j < i; j++)
            if (strcmp(drivers[i]->name, drivers[j]->name) == 0)
                return mm_error_set(err, MM_BUG, "sink %s is registered twice", drivers[i]->name);
    }
    return MM_OK;
}

/* What `transfer: import` wants or rules out can be said before anything is opened. */
static mm_status check_import(const mm_options *options, const char *transfer, mm_error *err)
{
    const char *conflict = mm_options_str(options, "on_conflict"), *staging = mm_options_str(options, "staging");
    if (transfer == NULL || strcmp(transfer, "import") != 0)
        return MM_OK;
    if (staging == NULL || staging[0] == '\0')
        return mm_error_set(err, MM_CONFIG, "target.staging is missing: the folder or URL for staged files, which the "
                                            "server must be able to read");
    if (conflict != NULL && strcmp(conflict, "upsert") == 0)
        return mm_error_set(err, MM_CONFIG, "on_conflict: upsert is not possible with transfer: import, which replaces "
                                            "no rows: leave it out, or use transfer: insert");
    return MM_OK;
}

mm_status mm_sink_resolve(const char *name, const mm_options *options, const mm_sink_driver **out, mm_error *err)
{
    const mm_sink_driver *driver = mm_sink_find(name);
    if (driver == NULL)
        return mm_error_set(err, MM_CONFIG, "target.driver `%s` is not known", name);
    const char *transfer = mm_options_str(options, "transfer");
    if (driver->variant == NULL && transfer != NULL && strcmp(transfer, "import") == 0)
        return mm_error_set(err, MM_CONFIG, "target `%s` has no bulk import: leave target.transfer out", name);
    if (driver->variant != NULL) {
        mm_status status = check_import(options, transfer, err);
        if (status != MM_OK)
            return status;
        driver = driver->variant(options);
        status = check_driver(driver, err);
        if (status != MM_OK)
            return status;
    }
    *out = driver;
    return MM_OK;
}

/* --- changes -------------------------------------------------------------------------------------- */

mm_status mm_sink_change(mm_changes *changes, const char *key, const char *value)
{
    if (changes->count == changes->capacity) {
        size_t capacity = changes->capacity > 0 ? changes->capacity * 2 : 8;
        struct mm_change *items = realloc(changes->items, capacity * sizeof(*items));
        if (items == NULL)
            return MM_NO_MEMORY;
        changes->items = items;
        changes->capacity = capacity;
    }
    char *key_copy = strdup(key), *value_copy = value != NULL ? strdup(value) : NULL;
    if (key_copy == NULL || (value != NULL && value_copy == NULL)) {
        free(key_copy);
        free(value_copy);
        return MM_NO_MEMORY;
    }
    changes->items[changes->count].key = key_copy;
    changes->items[changes->count].value = value_copy;
    changes->count++;
    return MM_OK;
}

void mm_changes_free(mm_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        free(changes->items[i].key);
        free(changes->items[i].value);
    }
    free(changes->items);
    *changes = (mm_changes){NULL, 0, 0};
}
