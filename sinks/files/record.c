/* Units as text in the savepoint store: which rows are vouched for, whose they are, and the checksums of
 * a unit that is complete. Knows no file. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sinks/files/internal.h"

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for the record of a unit");
}

/* --- runs --- */

static mm_status add_run(mm_files_unit *unit, uint64_t task, uint64_t first, uint64_t rows, mm_error *err)
{
    mm_files_run *last = unit->run_count ? &unit->runs[unit->run_count - 1] : NULL;
    if (last && last->task == task && last->first + last->rows == first) {
        last->rows += rows;
        return MM_OK;
    }
    if (unit->run_count == unit->run_capacity) {
        size_t capacity = unit->run_capacity ? unit->run_capacity * 2 : 8;
        mm_files_run *runs = reallocarray(unit->runs, capacity, sizeof(*runs));
        if (runs == NULL)
            return no_memory(err);
        unit->runs = runs;
        unit->run_capacity = capacity;
    }
    last = unit->run_count ? &unit->runs[unit->run_count - 1] : NULL;
    unit->group_count += last == NULL || last->task != task || first < last->first + last->rows;
    unit->runs[unit->run_count++] = (mm_files_run){task, first, rows};
    return MM_OK;
}

mm_status mm_files_runs_add(mm_files_unit *unit, uint64_t task, const mm_batch *batch, size_t from,
                            size_t count, mm_error *err)
{
    if (batch->ordinals == NULL)
        return add_run(unit, task, batch->first_row + from, count, err);
    for (size_t i = from; i < from + count;) {
        size_t end = i + 1;
        while (end < from + count && batch->ordinals[end] == batch->ordinals[end - 1] + 1)
            end++;
        mm_status status = add_run(unit, task, batch->first_row + batch->ordinals[i], end - i, err);
        if (status != MM_OK)
            return status;
        i = end;
    }
    return MM_OK;
}

/* "task:first:rows,gap,rows,gap,rows": the runs of one task that follow each other upwards. */
static size_t print_group(mm_buffer *out, const mm_files_unit *unit, size_t at)
{
    const mm_files_run *run = &unit->runs[at];
    mm_buffer_printf(out, "\"%" PRIu64 ":%" PRIu64 ":%" PRIu64, run->task, run->first, run->rows);
    for (at++; at < unit->run_count; at++, run++) {
        const mm_files_run *next = &unit->runs[at];
        uint64_t end = run->first + run->rows;
        if (next->task != run->task || next->first < end)
            break;
        mm_buffer_printf(out, ",%" PRIu64 ",%" PRIu64, next->first - end, next->rows);
    }
    mm_buffer_printf(out, "\"");
    return at;
}

static bool read_number(const char **at, char before, uint64_t *out)
{
    if (before != '\0' && *(*at)++ != before)
        return false;
    if (**at < '0' || **at > '9')
        return false;
    char *end;
    errno = 0;
    *out = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

static mm_status parse_group(mm_files_unit *unit, const char *text, uint64_t *sum, mm_error *err)
{
    uint64_t task, first, rows, gap;
    const char *at = text;
    if (!read_number(&at, '\0', &task) || !read_number(&at, ':', &first) || !read_number(&at, ':', &rows))
        return mm_error_set(err, MM_CHANGED, "not a run of rows: %.40s", text);
    for (;;) {
        uint64_t end;
        if (!mm_add_u64(first, rows, &end) || !mm_add_u64(*sum, rows, sum))
            return mm_error_set(err, MM_CHANGED, "not a run of rows: %.40s", text);
        mm_status status = add_run(unit, task, first, rows, err);
        if (status != MM_OK || *at == '\0')
            return status;
        if (!read_number(&at, ',', &gap) || !read_number(&at, ',', &rows) || !mm_add_u64(end, gap, &first))
            return mm_error_set(err, MM_CHANGED, "not a run of rows: %.40s", text);
    }
}

/* --- records --- */

mm_status mm_files_record(const mm_sink *sink, const mm_files_unit *unit, char **key, char **value,
                          mm_error *err)
{
    size_t fields = sink->collections[unit->collection].plan->schema->field_count;
    bool sealed = unit->state != MM_FILES_OPEN;
    mm_buffer out = MM_BUFFER_INIT;
    mm_buffer_printf(&out, "{\"state\":\"%s\",\"rows\":%" PRIu64 ",\"runs\":[", sealed ? "sealed" : "open",
                     unit->rows);
    for (size_t i = 0; i < unit->run_count;) {
        if (i > 0)
            mm_buffer_append(&out, ",", 1);
        i = print_group(&out, unit, i);
    }
    mm_buffer_printf(&out, "]");
    if (sealed) {
        mm_buffer_printf(&out, ",\"xxh3\":[");
        for (size_t i = 0; i < fields; i++)
            mm_buffer_printf(&out, "%s\"%016" PRIx64 "\"", i ? "," : "", unit->files[i].checksum);
        mm_buffer_printf(&out, "]");
    }
    mm_buffer_append(&out, "}", 2); /* with the NUL */
    char *name = mm_format("unit/%" PRIu32 "/%" PRIu32 "/%05" PRIu32, unit->collection, unit->partition,
                           unit->number);
    if (out.failed || name == NULL) {
        free(name);
        mm_buffer_free(&out);
        return no_memory(err);
    }
    *key = name;
    *value = out.data;
    return MM_OK;
}

static mm_status parse_checksums(mm_files_unit *unit, const cJSON *list, size_t fields, mm_error *err)
{
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        char *end;
        if (i == fields || !cJSON_IsString(item))
            return mm_error_set(err, MM_CHANGED, "not one checksum a field");
        unit->files[i++].checksum = strtoull(item->valuestring, &end, 16);
        if (*end != '\0' || end == item->valuestring)
            return mm_error_set(err, MM_CHANGED, "not a checksum: %.40s", item->valuestring);
    }
    if (i != fields)
        return mm_error_set(err, MM_CHANGED, "not one checksum a field");
    unit->hashed_rows = unit->rows;
    return MM_OK;
}

static mm_status parse_value(mm_files_unit *unit, const char *value, size_t fields, mm_error *err)
{
    cJSON *root = cJSON_Parse(value);
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(root, "state");
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(root, "rows");
    const cJSON *runs = cJSON_GetObjectItemCaseSensitive(root, "runs");
    mm_status status = MM_OK;
    uint64_t sum = 0;
    const cJSON *item;
    if (!cJSON_IsString(state) || !cJSON_IsNumber(rows) || !cJSON_IsArray(runs) || rows->valuedouble < 0 ||
        rows->valuedouble > 9007199254740992.0) {
        status = mm_error_set(err, MM_CHANGED, "not a record of a unit: %.60s", value);
        goto out;
    }
    unit->state = strcmp(state->valuestring, "sealed") == 0 ? MM_FILES_SEALED : MM_FILES_OPEN;
    unit->rows = unit->flushed_rows = (uint64_t)rows->valuedouble;
    cJSON_ArrayForEach(item, runs)
    {
        if (!cJSON_IsString(item))
            status = mm_error_set(err, MM_CHANGED, "not a run of rows");
        else
            status = parse_group(unit, item->valuestring, &sum, err);
        if (status != MM_OK)
            goto out;
    }
    if (sum != unit->rows)
        status = mm_error_set(err, MM_CHANGED, "runs of %" PRIu64 " rows in a unit of %" PRIu64, sum,
                              unit->rows);
    else if (unit->state == MM_FILES_SEALED)
        status = parse_checksums(unit, cJSON_GetObjectItemCaseSensitive(root, "xxh3"), fields, err);
out:
    cJSON_Delete(root);
    return status;
}

mm_status mm_files_record_parse(mm_sink *sink, const char *key, const char *value, mm_files_unit **out,
                                mm_error *err)
{
    uint64_t collection, partition, number;
    const char *at = key;
    if (strncmp(key, "unit/", 5) != 0)
        return MM_END;
    at += 5;
    if (!read_number(&at, '\0', &collection) || !read_number(&at, '/', &partition) ||
        !read_number(&at, '/', &number) || *at != '\0' || collection >= sink->collection_count ||
        partition >= sink->collections[collection].partition_count || number > UINT32_MAX)
        return mm_error_set(err, MM_CHANGED, "the record %s does not belong to this plan", key);
    mm_files_unit *unit = mm_files_unit_new(&sink->collections[collection]);
    if (unit == NULL)
        return no_memory(err);
    size_t fields = sink->collections[collection].plan->schema->field_count;
    unit->collection = (uint32_t)collection;
    unit->partition = (uint32_t)partition;
    unit->number = (uint32_t)number;
    mm_status status = parse_value(unit, value, fields, err);
    if (status != MM_OK) {
        mm_error_context(err, "record %s", key);
        mm_files_unit_free(unit, fields);
        return status;
    }
    *out = unit;
    return MM_OK;
}
