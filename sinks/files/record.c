/* Units as text in the savepoint store: which rows are vouched for, whose they are, how large the files are then, the
 * format's state and, of a unit that is complete, the checksums. Knows no file. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
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

static bool is_count(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 9007199254740992.0;
}

/* The format's state of a unit that goes on; a unit that was recorded and not yet made has none. */
static mm_status print_state(mm_buffer *out, const mm_files_unit *unit, mm_error *err)
{
    mm_buffer state = MM_BUFFER_INIT;
    mm_status status = unit->writer ? unit->format->write_state(unit->writer, &state, err) : MM_OK;
    if (status == MM_OK && state.size > 0) {
        mm_buffer_append(&state, "", 1);
        mm_buffer_printf(out, ",\"format\":");
        if (!state.failed)
            mm_json_text(out, state.data);
    }
    out->failed = out->failed || state.failed;
    mm_buffer_free(&state);
    return status;
}

static void print_files(mm_buffer *out, const mm_files_unit *unit, bool sealed)
{
    mm_buffer_printf(out, ",\"bytes\":[");
    for (size_t i = 0; i < unit->file_count; i++)
        mm_buffer_printf(out, "%s%" PRIu64, i ? "," : "", unit->files[i].size);
    mm_buffer_printf(out, "]");
    for (size_t i = 0; sealed && i < unit->file_count; i++)
        mm_buffer_printf(out, "%s\"%016" PRIx64 "\"", i ? "," : ",\"xxh3\":[", unit->files[i].checksum);
    if (sealed)
        mm_buffer_printf(out, "]");
    bool carried = false;
    for (size_t i = 0; i < unit->file_count; i++)
        carried = carried || unit->files[i].etag[0];
    for (size_t i = 0; carried && i < unit->file_count; i++) {
        mm_buffer_printf(out, i ? "," : ",\"etags\":[");
        mm_json_text(out, unit->files[i].etag);
    }
    mm_buffer_printf(out, carried ? "]" : "");
    mm_buffer_printf(out, unit->released ? ",\"released\":true" : "");
}

mm_status mm_files_record(const mm_files_unit *unit, char **key, char **value, mm_error *err)
{
    bool sealed = unit->state != MM_FILES_OPEN;
    mm_status status = MM_OK;
    mm_buffer out = MM_BUFFER_INIT;
    mm_buffer_printf(&out, "{\"state\":\"%s\",\"rows\":%" PRIu64 ",\"runs\":[", sealed ? "sealed" : "open",
                     unit->rows);
    for (size_t i = 0; i < unit->run_count;) {
        if (i > 0)
            mm_buffer_append(&out, ",", 1);
        i = print_group(&out, unit, i);
    }
    mm_buffer_printf(&out, "]");
    if (unit->rows > 0)
        print_files(&out, unit, sealed);
    if (unit->rows > 0 && !sealed)
        status = print_state(&out, unit, err);
    mm_buffer_append(&out, "}", 2); /* with the NUL */
    char *name = mm_format("unit/%" PRIu32 "/%" PRIu32 "/%05" PRIu32, unit->collection, unit->partition,
                           unit->number);
    if (status == MM_OK && (out.failed || name == NULL))
        status = no_memory(err);
    if (status != MM_OK) {
        free(name);
        mm_buffer_free(&out);
        return status;
    }
    *key = name;
    *value = out.data;
    return MM_OK;
}

static mm_status parse_sizes(mm_files_unit *unit, const cJSON *list, mm_error *err)
{
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (i == unit->file_count || !is_count(item))
            return mm_error_set(err, MM_CHANGED, "not one size a file");
        unit->files[i++].size = (uint64_t)item->valuedouble;
    }
    return i == unit->file_count ? MM_OK : mm_error_set(err, MM_CHANGED, "not one size a file");
}

static mm_status parse_checksums(mm_files_unit *unit, const cJSON *list, mm_error *err)
{
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        char *end;
        if (i == unit->file_count || !cJSON_IsString(item))
            return mm_error_set(err, MM_CHANGED, "not one checksum a file");
        unit->files[i++].checksum = strtoull(item->valuestring, &end, 16);
        if (*end != '\0' || end == item->valuestring)
            return mm_error_set(err, MM_CHANGED, "not a checksum: %.40s", item->valuestring);
    }
    if (i != unit->file_count)
        return mm_error_set(err, MM_CHANGED, "not one checksum a file");
    unit->finished = true;
    return MM_OK;
}

static mm_status parse_runs(mm_files_unit *unit, const cJSON *runs, mm_error *err)
{
    uint64_t sum = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, runs)
    {
        mm_status status = MM_OK;
        if (!cJSON_IsString(item))
            status = mm_error_set(err, MM_CHANGED, "not a run of rows");
        else
            status = parse_group(unit, item->valuestring, &sum, err);
        if (status != MM_OK)
            return status;
    }
    if (sum != unit->rows)
        return mm_error_set(err, MM_CHANGED, "runs of %" PRIu64 " rows in a unit of %" PRIu64, sum, unit->rows);
    return MM_OK;
}

/* Of the objects that the files were carried to; "": not yet. */
static mm_status parse_etags(mm_files_unit *unit, const cJSON *list, mm_error *err)
{
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (i == unit->file_count || !cJSON_IsString(item) || strlen(item->valuestring) >= sizeof(unit->files[i].etag))
            return mm_error_set(err, MM_CHANGED, "not one etag a file");
        memcpy(unit->files[i].etag, item->valuestring, strlen(item->valuestring) + 1);
        i++;
    }
    return i == 0 || i == unit->file_count ? MM_OK : mm_error_set(err, MM_CHANGED, "not one etag a file");
}

/* What a unit with rows has besides. */
static mm_status parse_files(mm_files_unit *unit, const cJSON *root, mm_error *err)
{
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(root, "format");
    mm_status status = parse_sizes(unit, cJSON_GetObjectItemCaseSensitive(root, "bytes"), err);
    if (status != MM_OK)
        return status;
    unit->released = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "released"));
    if (unit->state == MM_FILES_SEALED) {
        status = parse_checksums(unit, cJSON_GetObjectItemCaseSensitive(root, "xxh3"), err);
        return status == MM_OK ? parse_etags(unit, cJSON_GetObjectItemCaseSensitive(root, "etags"), err) : status;
    }
    if (!cJSON_IsString(state))
        return mm_error_set(err, MM_CHANGED, "no state of the format");
    unit->format_state = strdup(state->valuestring);
    return unit->format_state ? MM_OK : no_memory(err);
}

static mm_status parse_value(mm_files_unit *unit, const char *value, mm_error *err)
{
    cJSON *root = cJSON_Parse(value);
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(root, "state");
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(root, "rows");
    const cJSON *runs = cJSON_GetObjectItemCaseSensitive(root, "runs");
    mm_status status = MM_OK;
    if (!cJSON_IsString(state) || !is_count(rows) || !cJSON_IsArray(runs)) {
        status = mm_error_set(err, MM_CHANGED, "not a record of a unit: %.60s", value);
        goto out;
    }
    unit->state = strcmp(state->valuestring, "sealed") == 0 ? MM_FILES_SEALED : MM_FILES_OPEN;
    unit->rows = unit->flushed_rows = (uint64_t)rows->valuedouble;
    status = parse_runs(unit, runs, err);
    if (status == MM_OK && unit->rows > 0)
        status = parse_files(unit, root, err);
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
    mm_files_unit *unit = mm_files_unit_new(sink, (uint32_t)collection);
    if (unit == NULL)
        return no_memory(err);
    unit->partition = (uint32_t)partition;
    unit->number = (uint32_t)number;
    mm_status status = parse_value(unit, value, err);
    if (status != MM_OK) {
        mm_error_context(err, "record %s", key);
        mm_files_unit_free(unit);
        return status;
    }
    *out = unit;
    return MM_OK;
}
