/* Reads Parquet files through the format's table, for tests:
 *
 *   parquet_read_tool dump OUT FILE [key=number …] [FIELD …]
 *       part_bytes, max_rows, max_bytes   of read_parts and read_next
 *       from                              the first row of each part that is read, counted in the part
 *       backwards=1                       the last part first
 *       FIELD: name:Type[:dim=N][:element=Type][:nullable][:dynamic][:primary]; none: inferred
 *     OUT gets a line of JSON {"rows": …, "fields": […], "parts": […]}, then for each batch a line {"first": …,
 *     "rows": n}, and for each column n bytes of validity, n + 1 offsets (u64) where rows have no fixed width, values.
 *   parquet_read_tool many [key=number …]
 *       reads every file that stdin names, a path a line; prints "STATUS\tmilliseconds\trows\ttext" for each and
 *       at last "PEAK\t0\t<KiB of memory>\t". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "formats/format.h"

#define FIELDS_MAX 64
#define PARTS_MAX 4096

typedef struct request {
    uint64_t part_bytes, max_rows, max_bytes, from, backwards;
    mm_schema schema;
    mm_field fields[FIELDS_MAX];
} request;

typedef struct reading {
    mm_input *input;
    mm_format_reader *reader;
    mm_format_part parts[PARTS_MAX];
    size_t part_count;
    uint64_t rows;
    FILE *out;
} reading;

static void set_attribute(mm_field *field, const char *text)
{
    const char *value = strchr(text, '=');
    if (strncmp(text, "dim=", 4) == 0)
        field->dim = (uint32_t)strtoul(value + 1, NULL, 10);
    else if (strncmp(text, "element=", 8) == 0)
        field->element_type = mm_type_from_name(value + 1);
    else if (strcmp(text, "nullable") == 0)
        field->nullable = true;
    else if (strcmp(text, "dynamic") == 0)
        field->dynamic = true;
    else if (strcmp(text, "primary") == 0)
        field->primary = true;
    else
        fprintf(stderr, "unknown attribute %s\n", text), exit(2);
}

static void add_field(request *r, char *text)
{
    mm_field *field = &r->fields[r->schema.field_count++];
    char *next = NULL;
    field->name = strtok_r(text, ":", &next);
    char *type = strtok_r(NULL, ":", &next);
    field->type = type != NULL ? mm_type_from_name(type) : MM_TYPE_NONE;
    if (field->type == MM_TYPE_NONE || r->schema.field_count == FIELDS_MAX)
        fprintf(stderr, "no field: %s\n", text), exit(2);
    for (char *part = strtok_r(NULL, ":", &next); part != NULL; part = strtok_r(NULL, ":", &next))
        set_attribute(field, part);
}

static void read_arguments(request *r, char **argv)
{
    static const char *const names[] = {"part_bytes", "max_rows", "max_bytes", "from", "backwards"};
    uint64_t *numbers[] = {&r->part_bytes, &r->max_rows, &r->max_bytes, &r->from, &r->backwards};
    for (; *argv != NULL; argv++) {
        size_t i = 0, length = 0;
        for (; i < MM_COUNT(names); i++) {
            length = strlen(names[i]);
            if (strncmp(*argv, names[i], length) == 0 && (*argv)[length] == '=')
                break;
        }
        if (i < MM_COUNT(names))
            *numbers[i] = strtoull(*argv + length + 1, NULL, 10);
        else
            add_field(r, *argv);
    }
}

static mm_status take_part(void *context, const mm_format_part *part, mm_error *err)
{
    reading *r = context;
    if (r->part_count == PARTS_MAX)
        return mm_error_set(err, MM_CONFIG, "more than %d parts", PARTS_MAX);
    r->parts[r->part_count++] = *part;
    return MM_OK;
}

static void put_schema(const reading *r)
{
    const mm_schema *schema = mm_format_parquet.read_schema(r->reader);
    mm_buffer text = MM_BUFFER_INIT;
    mm_buffer_printf(&text, "{\"rows\": %" PRIu64 ", \"fields\": [", r->rows);
    for (size_t i = 0; i < schema->field_count; i++) {
        const mm_field *f = &schema->fields[i];
        mm_buffer_printf(&text, "%s{\"name\": ", i > 0 ? ", " : "");
        mm_json_text(&text, f->name);
        mm_buffer_printf(&text, ", \"type\": \"%s\", \"dim\": %u, \"width\": %zu, \"nullable\": %s",
                         mm_type_name(f->type), f->dim, mm_type_width(f->type, f->dim), f->nullable ? "true" : "false");
        mm_buffer_printf(&text, ", \"element\": \"%s\", \"max_length\": %u, \"dynamic\": %s}",
                         mm_type_name(f->element_type) != NULL ? mm_type_name(f->element_type) : "", f->max_length,
                         f->dynamic ? "true" : "false");
    }
    mm_buffer_printf(&text, "], \"parts\": [");
    for (size_t i = 0; i < r->part_count; i++)
        mm_buffer_printf(&text, "%s[%" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64 "]", i > 0 ? ", " : "",
                         r->parts[i].first, r->parts[i].rows, r->parts[i].bytes, r->parts[i].at);
    mm_buffer_printf(&text, "]}\n");
    if (text.failed)
        abort();
    fwrite(text.data, 1, text.size, r->out);
    mm_buffer_free(&text);
}

static void put_batch(FILE *out, const mm_batch *batch, uint64_t first)
{
    fprintf(out, "{\"first\": %" PRIu64 ", \"rows\": %zu}\n", first, batch->rows);
    for (size_t i = 0; i < batch->column_count; i++) {
        const mm_column *column = &batch->columns[i];
        for (size_t row = 0; row < batch->rows; row++)
            fputc(column->validity == NULL || (column->validity[row / 8] >> (row % 8) & 1), out);
        size_t bytes = batch->rows * mm_type_width(column->field->type, column->field->dim);
        if (column->offsets != NULL) {
            fwrite(column->offsets, sizeof(uint64_t), batch->rows + 1, out);
            bytes = (size_t)column->offsets[batch->rows];
        }
        if (bytes > 0)
            fwrite(column->values, 1, bytes, out);
    }
}

static mm_status read_part(reading *r, const request *q, const mm_format_part *part, mm_error *err)
{
    mm_batch batch;
    memset(&batch, 0, sizeof(batch));
    uint64_t row = part->first + (q->from < part->rows ? q->from : part->rows);
    mm_status status = mm_format_parquet.read_seek(r->reader, part, row, err);
    while (status == MM_OK) {
        mm_batch_reset(&batch);
        status = mm_format_parquet.read_next(r->reader, (size_t)q->max_rows, (size_t)q->max_bytes, &batch, err);
        if (status != MM_OK)
            break;
        if (batch.rows == 0 || batch.rows > q->max_rows || row + batch.rows > part->first + part->rows)
            abort();
        mm_batch_hash(&batch);
        if (r->out != NULL)
            put_batch(r->out, &batch, row);
        row += batch.rows;
    }
    if (status == MM_END && row != part->first + part->rows)
        abort();
    mm_batch_free(&batch);
    return status == MM_END ? MM_OK : status;
}

static mm_status read_file(reading *r, const request *q, const char *path, mm_error *err)
{
    mm_status status = mm_input_open(path, NULL, &r->input, err);
    if (status != MM_OK)
        return status;
    const mm_input *inputs[1] = {r->input};
    mm_format_read_args args = {.inputs = inputs, .count = 1, .schema = q->schema.field_count > 0 ? &q->schema : NULL};
    status = mm_format_parquet.read_open(&args, &r->reader, err);
    if (status == MM_OK)
        status = mm_format_parquet.read_count(r->reader, &r->rows, err);
    if (status == MM_OK)
        status = mm_format_parquet.read_parts(r->reader, q->part_bytes, take_part, r, err);
    if (status == MM_OK && r->out != NULL)
        put_schema(r);
    for (size_t i = 0; i < r->part_count && status == MM_OK; i++)
        status = read_part(r, q, &r->parts[q->backwards ? r->part_count - 1 - i : i], err);
    if (r->reader != NULL)
        mm_format_parquet.read_close(r->reader);
    mm_input_close(r->input);
    return status;
}

static int dump(const char *out, const char *path, char **argv)
{
    static request q = {.part_bytes = 1 << 20, .max_rows = 10000, .max_bytes = 8 << 20};
    static reading r;
    mm_error err = MM_ERROR_INIT;
    q.schema = (mm_schema){.name = "t", .fields = q.fields};
    read_arguments(&q, argv);
    r.out = fopen(out, "wb");
    if (r.out == NULL)
        return 2;
    mm_status status = read_file(&r, &q, path, &err);
    if (fclose(r.out) != 0)
        return 2;
    if (status != MM_OK)
        fprintf(stderr, "%s: %s\n", mm_status_name(status), err.text);
    return mm_status_exit(status);
}

/* KiB: the most that was resident. Not getrusage's: that begins with what the parent had. */
static long peak(void)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kib;
}

static int many(char **argv)
{
    static request q = {.part_bytes = 100000, .max_rows = 1000, .max_bytes = 1 << 20};
    static reading r;
    char path[4096];
    read_arguments(&q, argv);
    while (fgets(path, sizeof(path), stdin) != NULL) {
        mm_error err = MM_ERROR_INIT;
        path[strcspn(path, "\n")] = '\0';
        memset(&r, 0, sizeof(r));
        uint64_t begin = mm_clock_ms();
        mm_status status = read_file(&r, &q, path, &err);
        printf("%s\t%" PRIu64 "\t%" PRIu64 "\t%s\n", mm_status_name(status), mm_clock_ms() - begin, r.rows, err.text);
        fflush(stdout);
    }
    printf("PEAK\t0\t%ld\t\n", peak());
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "many") == 0)
        return many(argv + 2);
    if (argc >= 4 && strcmp(argv[1], "dump") == 0)
        return dump(argv[2], argv[3], argv + 4);
    fprintf(stderr, "usage: %s dump OUT FILE [key=number …] [FIELD …] | many [key=number …]\n", argv[0]);
    return 2;
}
