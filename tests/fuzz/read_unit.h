/* Reads any bytes as a unit of one file, in parts, and checks that what the parts say is what comes. */
#ifndef MM_FUZZ_READ_UNIT_H
#define MM_FUZZ_READ_UNIT_H

#include <stdlib.h>
#include <string.h>

#include "formats/format.h"

#define READ_PARTS_MAX 256

typedef struct read_unit {
    mm_format_part parts[READ_PARTS_MAX];
    size_t count;
    uint64_t next, rows, checksum;
    /* May be NULL: gets every batch. */
    void (*take)(void *context, const mm_batch *batch);
    void *context;
} read_unit;

static mm_status read_unit_part(void *context, const mm_format_part *part, mm_error *err)
{
    read_unit *unit = context;
    if (part->first != unit->next || part->rows == 0)
        abort();
    unit->next += part->rows;
    if (unit->count == READ_PARTS_MAX)
        return mm_error_set(err, MM_DATA, "enough");
    unit->parts[unit->count++] = *part;
    return MM_OK;
}

static inline mm_status read_unit_rows(const mm_format_driver *format, mm_format_reader *reader, read_unit *unit,
                                       size_t p,
                                       uint64_t skip, mm_error *err)
{
    const mm_format_part *part = &unit->parts[p];
    mm_batch batch;
    uint64_t rows = skip;
    memset(&batch, 0, sizeof(batch));
    mm_status status = format->read_seek(reader, part, part->first + skip, err);
    while (status == MM_OK && (status = format->read_next(reader, 5, 1 << 12, &batch, err)) == MM_OK) {
        if (batch.rows == 0 || batch.rows > 5)
            abort();
        rows += batch.rows;
        mm_batch_hash(&batch);
        if (skip == 0) {
            unit->rows += batch.rows;
            unit->checksum += batch.checksum;
            if (unit->take != NULL)
                unit->take(unit->context, &batch);
        }
        mm_batch_reset(&batch);
    }
    mm_batch_free(&batch);
    if (status == MM_END && rows != part->rows)
        abort();
    return status == MM_END ? MM_OK : status;
}

/* A failure has words and is no bug of ours. */
static inline mm_status read_unit_all(const mm_format_driver *format, const char *field, const mm_schema *schema,
                                      const void *bytes, size_t size, read_unit *unit, mm_error *err)
{
    mm_input *input;
    mm_format_reader *reader = NULL;
    uint64_t counted = 0;
    if (mm_input_memory("file", bytes, size, &input, err) != MM_OK)
        abort();
    const mm_input *inputs[] = {input};
    mm_format_read_args args = {.inputs = inputs, .names = &field, .count = 1, .schema = schema};
    mm_status status = format->read_open(&args, &reader, err);
    if (status == MM_OK) {
        status = format->read_count(reader, &counted, err);
        if (status == MM_OK)
            status = format->read_parts(reader, 64, read_unit_part, unit, err);
        if (status == MM_OK && unit->next != counted)
            abort();
        for (size_t p = 0; status == MM_OK && p < unit->count; p++)
            status = read_unit_rows(format, reader, unit, p, 0, err);
        if (status == MM_OK && unit->count > 0 && unit->parts[0].rows > 1)
            status = read_unit_rows(format, reader, unit, 0, unit->parts[0].rows / 2, err);
        format->read_close(reader);
    }
    mm_input_close(input);
    if (status != MM_OK && (err->text[0] == '\0' || status == MM_BUG))
        abort();
    return status;
}

#endif
