/* The writing half of the format `parquet`: each call of write_rows makes one row group. See format.h. */
#include "formats/parquet_write.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* What must not change between two processes that write one file. */
static uint64_t hash_columns(const mm_format_writer *writer)
{
    uint64_t hash = writer->count;
    for (size_t i = 0; i < writer->count; i++) {
        const mm_parquet_column *column = &writer->columns[i];
        const uint64_t facts[] = {(uint64_t)column->field->type, (uint64_t)column->field->element_type,
                                  column->nullable, column->length};
        hash = XXH3_64bits_withSeed(column->name, strlen(column->name), hash);
        hash = XXH3_64bits_withSeed(facts, sizeof(facts), hash);
    }
    return hash;
}

mm_status mm_parquet_write_open(const mm_format_write_args *args, mm_format_writer **out, mm_error *err)
{
    mm_format_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_status status =
        mm_parquet_columns_of(&writer->arena, args->schema, args->for_import, &writer->columns, &writer->count, err);
    if (status != MM_OK)
        goto fail;
    writer->prefixes = calloc(writer->count, sizeof(*writer->prefixes));
    if (writer->prefixes == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
        goto fail;
    }
    writer->schema_hash = hash_columns(writer);
    if (args->state != NULL)
        status = mm_parquet_resume(writer, args->state, err);
    if (status != MM_OK)
        goto fail;
    *out = writer;
    return MM_OK;
fail:
    mm_parquet_write_close(writer);
    return status;
}

mm_status mm_parquet_write_begin(mm_format_writer *writer, const mm_format_out *out, mm_error *err)
{
    return mm_parquet_put(writer, out, MM_PARQUET_MAGIC, MM_PARQUET_MAGIC_SIZE, err);
}

/* The first page decides on the compression of all. */
static mm_status write_chunk(mm_format_writer *writer, const mm_parquet_column *column, const mm_column *values,
                             size_t from, size_t to, const mm_format_out *out, mm_error *err)
{
    mm_parquet_chunk chunk = {0};
    mm_status status = MM_OK;
    mm_parquet_measure(column, values, from, to, &chunk);
    for (size_t row = from; row < to && status == MM_OK;) {
        mm_parquet_body body;
        status = mm_parquet_make_page(writer, column, values, row, to, &body, err);
        if (status == MM_OK && row == from && column->packs)
            status = mm_parquet_try_zstd(writer, &body, &chunk.zstd, err);
        if (status == MM_OK && row == from && column->form == MM_PARQUET_INDEX) {
            status = mm_parquet_put_dictionary(writer, column, &chunk, out, err);
            body.packed = false; /* the dictionary took its place */
        }
        if (status == MM_OK)
            status = mm_parquet_put_page(writer, column, &body, &chunk, out, err);
        row += body.rows;
    }
    if (status == MM_OK)
        mm_parquet_record_chunk(writer, &chunk);
    return status;
}

mm_status mm_parquet_write_rows(mm_format_writer *writer, const mm_batch *batch, size_t from, size_t count,
                                const mm_format_out *out, mm_error *err)
{
    if (count == 0)
        return MM_OK;
    writer->group_first = from;
    mm_parquet_record_group(writer, count);
    for (size_t i = 0; i < writer->count; i++) {
        const mm_parquet_column *column = &writer->columns[i];
        mm_status status =
            write_chunk(writer, column, &batch->columns[column->index], from, from + count, out, err);
        if (status != MM_OK)
            return status;
    }
    if (writer->groups.failed)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for a row group's record");
    writer->rows += count;
    writer->group_count++;
    return MM_OK;
}

mm_status mm_parquet_write_end(mm_format_writer *writer, const mm_format_out *out, mm_error *err)
{
    return mm_parquet_put_footer(writer, out, err);
}

void mm_parquet_write_close(mm_format_writer *writer)
{
    if (writer == NULL)
        return;
    mm_buffer *buffers[] = {&writer->groups, &writer->prefix, &writer->values, &writer->counts,
                            &writer->head,   &writer->joined, &writer->packed};
    for (size_t i = 0; i < MM_COUNT(buffers); i++)
        mm_buffer_free(buffers[i]);
    for (size_t i = 0; writer->prefixes != NULL && i < writer->count; i++)
        mm_buffer_free(&writer->prefixes[i].bytes);
    free(writer->prefixes);
    ZSTD_freeCCtx(writer->zstd);
    mm_arena_free(&writer->arena);
    free(writer);
}
