/* The list of all source drivers, and the check of their tables. Knows of no driver more than its
 * table. */
#include "sources/source.h"

#include <string.h>

#include "sources/elastic/elastic.h"
#include "sources/faiss/faiss.h"
#include "sources/hdf5/hdf5.h"
#include "sources/milvus1x/milvus1x.h"
#include "sources/tables/tables.h"

/* In the order in which `inspect` asks them. */
static const mm_source_driver *const drivers[] = {
    &mm_source_faiss, &mm_source_milvus1x,      &mm_source_npy,        &mm_source_parquet, &mm_source_jsonl, &mm_source_dump,
    &mm_source_hdf5,  &mm_source_elasticsearch, &mm_source_opensearch,
};

const mm_source_driver *const *mm_source_registry(size_t *count)
{
    *count = MM_COUNT(drivers);
    return drivers;
}

const mm_source_driver *mm_source_find(const char *name)
{
    for (size_t i = 0; i < MM_COUNT(drivers); i++)
        if (strcmp(drivers[i]->name, name) == 0)
            return drivers[i];
    return NULL;
}

static const char *missing_member(const mm_source_driver *driver)
{
    return driver->open == NULL          ? "open"
           : driver->close == NULL       ? "close"
           : driver->describe == NULL    ? "describe"
           : driver->fingerprint == NULL ? "fingerprint"
           : driver->plan == NULL        ? "plan"
           : driver->read_open == NULL   ? "read_open"
           : driver->next == NULL        ? "next"
           : driver->read_close == NULL  ? "read_close"
                                         : NULL;
}

mm_status mm_source_driver_check(const mm_source_driver *driver, mm_error *err)
{
    const uint32_t known = MM_SOURCE_SEEK | MM_SOURCE_KEYS | MM_SOURCE_MUTABLE | MM_SOURCE_LIVE | MM_SOURCE_NEWEST_LAST;
    const char *missing = missing_member(driver);
    if (driver->name == NULL || driver->name[0] == '\0')
        return mm_error_set(err, MM_BUG, "a source driver has no name");
    if (driver->abi != MM_SOURCE_ABI)
        return mm_error_set(err, MM_BUG, "source %s: ABI %u, this program has %u", driver->name, driver->abi,
                            MM_SOURCE_ABI);
    if (driver->summary == NULL || driver->summary[0] == '\0')
        return mm_error_set(err, MM_BUG, "source %s: no summary", driver->name);
    if ((driver->capabilities & ~known) != 0)
        return mm_error_set(err, MM_BUG, "source %s: unknown capabilities 0x%x", driver->name,
                            driver->capabilities & ~known);
    if (missing != NULL)
        return mm_error_set(err, MM_BUG, "source %s: %s is missing", driver->name, missing);
    if ((driver->capabilities & MM_SOURCE_LIVE) && (driver->plan_changes == NULL || driver->count == NULL))
        return mm_error_set(err, MM_BUG, "source %s: what is live has plan_changes and count", driver->name);
    if ((driver->memo == NULL) != (driver->recall == NULL))
        return mm_error_set(err, MM_BUG, "source %s: memo and recall belong together", driver->name);
    mm_status status = mm_options_check_table(driver->options, driver->option_count, err);
    return status == MM_OK ? MM_OK : mm_error_context(err, "source %s", driver->name);
}

mm_status mm_source_registry_check(mm_error *err)
{
    for (size_t i = 0; i < MM_COUNT(drivers); i++) {
        mm_status status = mm_source_driver_check(drivers[i], err);
        if (status != MM_OK)
            return status;
        for (size_t j = 0; j < i; j++)
            if (strcmp(drivers[i]->name, drivers[j]->name) == 0)
                return mm_error_set(err, MM_BUG, "source %s is registered twice", drivers[i]->name);
    }
    return MM_OK;
}
