/* Reading the files of one unit, by the format's reader: for counting and for reading back. */
#include <stdlib.h>
#include <string.h>

#include "sinks/files/internal.h"
#include "storage/input.h"

#define PART_BYTES ((uint64_t)8 << 20)

struct mm_files_reading {
    const mm_files_unit *unit;
    mm_input **inputs;
    const char **names;
    mm_format_reader *reader;
    mm_format_part *parts;
    size_t part_count, part_capacity;
    size_t part; /* where the reader stands: in this part, before row `at`; part_count: nowhere */
    uint64_t at;
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for reading back");
}

/* A file that is gone, shorter or malformed is a difference of what was written, whoever made it. */
static mm_status as_difference(mm_status status, mm_error *err)
{
    if (status != MM_NOT_FOUND && status != MM_DATA && status != MM_CHANGED)
        return status;
    if (err)
        err->status = MM_MISMATCH;
    return MM_MISMATCH;
}

void mm_files_reading_close(mm_files_reading *reading)
{
    if (reading == NULL)
        return;
    if (reading->reader)
        reading->unit->format->read_close(reading->reader);
    for (size_t i = 0; reading->inputs && i < reading->unit->file_count; i++)
        mm_input_close(reading->inputs[i]);
    free(reading->inputs);
    free(reading->names);
    free(reading->parts);
    free(reading);
}

static mm_status open_input(const mm_sink *sink, const mm_files_unit *unit, size_t file, mm_input **out, mm_error *err)
{
    char *location = mm_files_unit_location(sink, unit, file);
    if (location == NULL)
        return no_memory(err);
    mm_status status = mm_input_open(location, sink->options, out, err);
    free(location);
    return status;
}

static mm_status open_reader(const mm_sink *sink, mm_files_reading *reading, mm_error *err)
{
    const mm_files_unit *unit = reading->unit;
    const mm_schema *schema = sink->collections[unit->collection].plan->schema;
    mm_status status = MM_OK;
    reading->inputs = calloc(unit->file_count, sizeof(*reading->inputs));
    reading->names = calloc(unit->file_count, sizeof(*reading->names));
    if (reading->inputs == NULL || reading->names == NULL)
        return no_memory(err);
    for (size_t i = 0; status == MM_OK && i < unit->file_count; i++) {
        reading->names[i] = schema->fields[i].name;
        status = open_input(sink, unit, i, &reading->inputs[i], err);
    }
    if (status != MM_OK)
        return status;
    const mm_format_read_args args = {.inputs = (const mm_input *const *)reading->inputs,
                                      .names = unit->format->file_per_field ? reading->names : NULL,
                                      .count = unit->file_count,
                                      .schema = schema};
    return unit->format->read_open(&args, &reading->reader, err);
}

static mm_status add_part(void *context, const mm_format_part *part, mm_error *err)
{
    mm_files_reading *reading = context;
    if (reading->part_count == reading->part_capacity) {
        size_t capacity = reading->part_capacity ? reading->part_capacity * 2 : 64;
        mm_format_part *parts = reallocarray(reading->parts, capacity, sizeof(*parts));
        if (parts == NULL)
            return no_memory(err);
        reading->parts = parts;
        reading->part_capacity = capacity;
    }
    reading->parts[reading->part_count++] = *part;
    return MM_OK;
}

static mm_status open_reading(const mm_sink *sink, const mm_files_unit *unit, mm_files_reading **out, mm_error *err)
{
    mm_files_reading *reading = calloc(1, sizeof(*reading));
    if (reading == NULL)
        return no_memory(err);
    reading->unit = unit;
    mm_status status = open_reader(sink, reading, err);
    if (status != MM_OK) {
        mm_files_reading_close(reading);
        return status;
    }
    *out = reading;
    return MM_OK;
}

mm_status mm_files_reading_open(const mm_sink *sink, const mm_files_unit *unit, mm_files_reading **out, mm_error *err)
{
    mm_files_reading *reading;
    mm_status status = open_reading(sink, unit, &reading, err);
    if (status != MM_OK)
        return as_difference(status, err);
    status = unit->format->read_parts(reading->reader, PART_BYTES, add_part, reading, err);
    if (status != MM_OK) {
        mm_files_reading_close(reading);
        return as_difference(status, err);
    }
    reading->part = reading->part_count;
    *out = reading;
    return MM_OK;
}

const mm_files_unit *mm_files_reading_unit(const mm_files_reading *reading)
{
    return reading ? reading->unit : NULL;
}

/* The part that row `row` lies in; part_count: none. */
static size_t find_part(const mm_files_reading *reading, uint64_t row)
{
    size_t low = 0, high = reading->part_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (reading->parts[middle].first + reading->parts[middle].rows <= row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Where the reader stands already it is not moved: going on costs nothing, and a row group is not decoded again. */
static mm_status place(mm_files_reading *reading, uint64_t row, mm_error *err)
{
    const mm_format_driver *format = reading->unit->format;
    size_t part = find_part(reading, row);
    if (part == reading->part_count)
        return mm_error_set(err, MM_MISMATCH, "%s has fewer rows than were written", reading->inputs[0]->name);
    if (part == reading->part && row == reading->at)
        return MM_OK;
    reading->part = reading->part_count;
    mm_status status = format->read_seek(reading->reader, &reading->parts[part], row, err);
    if (status != MM_OK)
        return status;
    reading->part = part;
    reading->at = row;
    return MM_OK;
}

mm_status mm_files_reading_next(mm_files_reading *reading, uint64_t row, size_t max_rows, mm_batch *out, mm_error *err)
{
    mm_status status = place(reading, row, err);
    if (status == MM_OK)
        status = reading->unit->format->read_next(reading->reader, max_rows, SIZE_MAX, out, err);
    if (status == MM_OK) {
        reading->at += out->rows;
        return MM_OK;
    }
    reading->part = reading->part_count;
    if (status == MM_END)
        return mm_error_set(err, MM_MISMATCH, "%s ends before its row %zu", reading->inputs[0]->name, (size_t)row);
    return as_difference(status, err);
}

mm_status mm_files_unit_count(const mm_sink *sink, const mm_files_unit *unit, uint64_t *rows, mm_error *err)
{
    mm_files_reading *reading;
    mm_status status = open_reading(sink, unit, &reading, err);
    if (status != MM_OK)
        return as_difference(status, err);
    status = unit->format->read_count(reading->reader, rows, err);
    mm_files_reading_close(reading);
    return status == MM_OK ? MM_OK : as_difference(status, err);
}
