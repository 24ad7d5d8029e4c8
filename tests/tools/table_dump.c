/* Reads files by a format's reader and writes their columns, for comparison by another program.
 *
 *     table_dump FORMAT ENTRY… -- PATH…     ENTRY: as in source.schema; none: as the files have it
 *
 * For each path one line: "OK <rows>" or "<status> <text>". PATH.out then holds every batch: rows (u64), then for each
 * column the validity bitmap's bytes (u64 and bytes, 0: all present), and its values, those of variable length each as
 * u64 and bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/format.h"
#include "model/schema_text.h"

typedef struct dump {
    FILE *out;
    mm_format_part *parts;
    size_t count;
} dump;

static mm_status add_part(void *context, const mm_format_part *part, mm_error *err)
{
    dump *d = context;
    mm_format_part *grown = realloc(d->parts, (d->count + 1) * sizeof(*grown));
    if (grown == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    d->parts = grown;
    d->parts[d->count++] = *part;
    return MM_OK;
}

static void put(FILE *out, const void *bytes, size_t size)
{
    if (size > 0 && fwrite(bytes, 1, size, out) != size)
        abort();
}

static void put_column(FILE *out, const mm_column *column, size_t rows)
{
    uint64_t bitmap = column->validity != NULL ? rows / 8 + 1 : 0;
    size_t width = mm_type_width(column->field->type, column->field->dim);
    put(out, &bitmap, sizeof(bitmap));
    put(out, column->validity, bitmap);
    if (column->offsets == NULL)
        put(out, column->values, rows * width);
    for (size_t row = 0; column->offsets != NULL && row < rows; row++) {
        uint64_t size = column->offsets[row + 1] - column->offsets[row];
        put(out, &size, sizeof(size));
        put(out, column->values + column->offsets[row], size);
    }
}

static mm_status read_parts(const mm_format_driver *format, mm_format_reader *reader, dump *d, uint64_t *total,
                            mm_error *err)
{
    mm_batch batch;
    memset(&batch, 0, sizeof(batch));
    mm_status status = format->read_parts(reader, 4096, add_part, d, err);
    for (size_t p = 0; status == MM_OK && p < d->count; p++) {
        status = format->read_seek(reader, &d->parts[p], d->parts[p].first, err);
        while (status == MM_OK && (status = format->read_next(reader, 50, 1 << 16, &batch, err)) == MM_OK) {
            uint64_t rows = batch.rows;
            put(d->out, &rows, sizeof(rows));
            for (size_t i = 0; i < batch.column_count; i++)
                put_column(d->out, &batch.columns[i], batch.rows);
            *total += rows;
            mm_batch_reset(&batch);
        }
        status = status == MM_END ? MM_OK : status;
    }
    mm_batch_free(&batch);
    return status;
}

static mm_status dump_file(const mm_format_driver *format, const mm_schema *schema, const char *path, uint64_t *rows,
                           mm_error *err)
{
    mm_input *input;
    mm_format_reader *reader;
    const char *name = schema != NULL ? schema->fields[0].name : "field";
    char *out = mm_format("%s.out", path);
    dump d = {out != NULL ? fopen(out, "wb") : NULL, NULL, 0};
    free(out);
    if (d.out == NULL)
        return mm_error_errno(err, MM_IO, "%s.out", path);
    mm_status status = mm_input_open(path, NULL, &input, err);
    if (status == MM_OK) {
        const mm_input *inputs[] = {input};
        mm_format_read_args args = {.inputs = inputs, .names = &name, .count = 1, .schema = schema};
        status = format->read_open(&args, &reader, err);
        if (status == MM_OK) {
            status = read_parts(format, reader, &d, rows, err);
            format->read_close(reader);
        }
        mm_input_close(input);
    }
    free(d.parts);
    if (fclose(d.out) != 0)
        abort();
    return status;
}

int main(int argc, char **argv)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_schema *schema = NULL;
    int at = 2;
    while (at < argc && strcmp(argv[at], "--") != 0)
        at++;
    const mm_format_driver *format = argc > 2 ? mm_format_find(argv[1]) : NULL;
    if (format == NULL || at == argc) {
        fprintf(stderr, "table_dump FORMAT ENTRY... -- PATH...\n");
        return 2;
    }
    if (at > 2 && mm_schema_parse(&arena, "schema", (const char *const *)argv + 2, (size_t)(at - 2), &schema, &err) != MM_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    for (int i = at + 1; i < argc; i++) {
        uint64_t rows = 0;
        mm_error_clear(&err);
        mm_status status = dump_file(format, schema, argv[i], &rows, &err);
        if (status == MM_OK)
            printf("OK %llu\n", (unsigned long long)rows);
        else
            printf("%s %s\n", mm_status_name(status), err.text);
        fflush(stdout);
    }
    mm_arena_free(&arena);
    return 0;
}
