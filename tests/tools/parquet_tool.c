/* Drives the Parquet writer from outside.
 *
 *   parquet_tool write COLUMNS FILE [general|import] [restart]
 *       Writes the rows of COLUMNS, a row group at a time. restart: a new writer for each row group, from the state
 *       that the one before left, after its file was cut to its size and had garbage behind it.
 *   parquet_tool bench FILE ROWS DIM
 *       Writes ROWS rows of int64 id and float vector from memory, fsyncs, prints the seconds.
 *
 * COLUMNS is "ROWS GROUP FIELDS\n", then for each field a line
 *   TYPE ELEMENT DIM MAX_LENGTH FLAGS VALIDITY OFFSETS VALUES NAME
 * (types by name or "-", flags of p(rimary) a(utoID) n(ullable) d(ynamic) or "-", sizes of its buffers in bytes), then
 * the buffers of all fields, laid out as in engine/model/batch.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats/format.h"

enum { FIELDS_MAX = 64, NAME_MAX_BYTES = 128, FLUSH = 8 << 20, BATCHES = 8 };

static void fail(const char *what, const mm_error *err)
{
    fprintf(stderr, "parquet_tool: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
    exit(err ? mm_status_exit(err->status) : 1);
}

static void *must(void *memory)
{
    if (memory == NULL)
        fail("out of memory", NULL);
    return memory;
}

/* --- a file ----------------------------------------------------------------------------------------------------- */

typedef struct sink {
    int fd;
    off_t size, flushed;
} sink;

/* Writeback begins while the file is still written, as the target `files` does it. */
static mm_status put(void *context, size_t file, const void *bytes, size_t size, mm_error *err)
{
    sink *s = context;
    const char *at = bytes;
    if (file != 0)
        return mm_error_set(err, MM_BUG, "a second file");
    while (size > 0) {
        ssize_t wrote = write(s->fd, at, size);
        if (wrote < 0)
            return mm_error_errno(err, MM_IO, "write");
        at += wrote;
        size -= (size_t)wrote;
        s->size += wrote;
    }
    if (s->size - s->flushed >= FLUSH) {
        sync_file_range(s->fd, s->flushed, s->size - s->flushed, SYNC_FILE_RANGE_WRITE);
        s->flushed = s->size;
    }
    return MM_OK;
}

static sink create(const char *path)
{
    sink s = {open(path, O_CREAT | O_TRUNC | O_RDWR, 0644), 0, 0};
    if (s.fd < 0)
        fail(path, NULL);
    return s;
}

/* --- write ------------------------------------------------------------------------------------------------------ */

typedef struct input {
    size_t rows, group, count;
    mm_schema schema;
    mm_field fields[FIELDS_MAX];
    char names[FIELDS_MAX][NAME_MAX_BYTES];
    mm_column columns[FIELDS_MAX];
} input;

static void *read_bytes(FILE *file, size_t size)
{
    if (size == 0)
        return NULL;
    void *bytes = must(malloc(size));
    if (fread(bytes, 1, size, file) != size)
        fail("COLUMNS ends early", NULL);
    return bytes;
}

static input *read_input(const char *path)
{
    input *in = must(calloc(1, sizeof(*in)));
    size_t sizes[FIELDS_MAX][3];
    FILE *file = fopen(path, "rb");
    if (file == NULL || fscanf(file, "%zu %zu %zu", &in->rows, &in->group, &in->count) != 3 || in->count > FIELDS_MAX)
        fail("COLUMNS cannot be read", NULL);
    for (size_t i = 0; i < in->count; i++) {
        char type[32], element[32], flags[8];
        mm_field *field = &in->fields[i];
        if (fscanf(file, "%31s %31s %u %u %7s %zu %zu %zu %127[^\n]", type, element, &field->dim, &field->max_length,
                   flags, &sizes[i][0], &sizes[i][1], &sizes[i][2], in->names[i]) != 9)
            fail("COLUMNS: a field", NULL);
        field->name = in->names[i];
        field->type = mm_type_from_name(type);
        field->element_type = mm_type_from_name(element);
        field->primary = strchr(flags, 'p') != NULL;
        field->auto_id = strchr(flags, 'a') != NULL;
        field->nullable = strchr(flags, 'n') != NULL;
        field->dynamic = strchr(flags, 'd') != NULL;
    }
    fgetc(file);
    for (size_t i = 0; i < in->count; i++) {
        in->columns[i].field = &in->fields[i];
        in->columns[i].validity = read_bytes(file, sizes[i][0]);
        in->columns[i].offsets = read_bytes(file, sizes[i][1]);
        in->columns[i].values = read_bytes(file, sizes[i][2]);
    }
    fclose(file);
    in->schema = (mm_schema){.name = "tool", .fields = in->fields, .field_count = in->count};
    return in;
}

static void free_input(input *in)
{
    for (size_t i = 0; i < in->count; i++) {
        free(in->columns[i].validity);
        free(in->columns[i].offsets);
        free(in->columns[i].values);
    }
    free(in);
}

/* As after a crash: bytes behind the savepoint are cut off, and another writer goes on. */
static mm_format_writer *restarted(mm_format_writer *writer, mm_format_write_args *args, sink *s, mm_error *err)
{
    mm_buffer state = MM_BUFFER_INIT;
    if (mm_format_parquet.write_state(writer, &state, err) != MM_OK)
        fail("write_state", err);
    mm_format_parquet.write_close(writer);
    off_t size = s->size;
    if (put(s, 0, "garbage", 7, err) != MM_OK || ftruncate(s->fd, size) != 0 || lseek(s->fd, size, SEEK_SET) != size)
        fail("cutting the file", NULL);
    s->size = size;
    args->state = state.data;
    if (mm_format_parquet.write_open(args, &writer, err) != MM_OK)
        fail("write_open", err);
    mm_buffer_free(&state);
    return writer;
}

static int write_file(const char *columns, const char *path, bool for_import, bool restart)
{
    const mm_format_driver *format = &mm_format_parquet;
    input *in = read_input(columns);
    mm_batch batch = {.schema = &in->schema, .columns = in->columns, .column_count = in->count, .rows = in->rows};
    mm_error err = MM_ERROR_INIT;
    mm_format_writer *writer;
    sink s = create(path);
    mm_format_out out = {&s, put};
    mm_format_write_args args = {.schema = &in->schema, .for_import = for_import};
    if (format->check(&in->schema, for_import, &err) != MM_OK)
        fail("check", &err);
    if (format->write_open(&args, &writer, &err) != MM_OK || format->write_begin(writer, &out, &err) != MM_OK)
        fail("begin", &err);
    for (size_t row = 0; row < in->rows; row += in->group) {
        size_t count = in->rows - row < in->group ? in->rows - row : in->group;
        if (format->write_rows(writer, &batch, row, count, &out, &err) != MM_OK)
            fail("write_rows", &err);
        if (restart)
            writer = restarted(writer, &args, &s, &err);
    }
    if (format->write_end(writer, &out, &err) != MM_OK)
        fail("write_end", &err);
    format->write_close(writer);
    close(s.fd);
    free_input(in);
    return 0;
}

/* --- bench ------------------------------------------------------------------------------------------------------ */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fill(mm_batch *batch, const mm_schema *schema, size_t rows, uint32_t dim)
{
    static uint64_t x = 88172645463325252u;
    mm_error err = MM_ERROR_INIT;
    if (mm_batch_begin(batch, schema, rows, &err) != MM_OK)
        fail("batch", &err);
    batch->rows = rows;
    for (size_t i = 0; i < rows * dim; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        float value = (float)(int32_t)(x >> 32) / 2147483648.0f;
        memcpy(batch->columns[1].values + i * sizeof(value), &value, sizeof(value));
    }
}

static int bench(const char *path, uint64_t rows, uint32_t dim)
{
    const mm_format_driver *format = &mm_format_parquet;
    mm_field fields[] = {{.name = "id", .type = MM_TYPE_INT64, .primary = true},
                         {.name = "vector", .type = MM_TYPE_FLOAT_VECTOR, .dim = dim}};
    const mm_schema schema = {.name = "bench", .fields = fields, .field_count = 2};
    size_t group = format->group_bytes / (8 + 4 * (size_t)dim);
    mm_batch batches[BATCHES] = {0};
    mm_error err = MM_ERROR_INIT;
    mm_format_writer *writer;
    for (size_t i = 0; i < BATCHES; i++)
        fill(&batches[i], &schema, group, dim);
    double began = seconds();
    sink s = create(path);
    mm_format_out out = {&s, put};
    mm_format_write_args args = {.schema = &schema};
    if (format->write_open(&args, &writer, &err) != MM_OK || format->write_begin(writer, &out, &err) != MM_OK)
        fail("begin", &err);
    for (uint64_t row = 0, turn = 0; row < rows; row += group, turn++) {
        size_t count = rows - row < group ? (size_t)(rows - row) : group;
        mm_batch *batch = &batches[turn % BATCHES];
        for (size_t i = 0; i < count; i++) {
            int64_t id = (int64_t)(row + i);
            memcpy(batch->columns[0].values + i * sizeof(id), &id, sizeof(id));
        }
        if (format->write_rows(writer, batch, 0, count, &out, &err) != MM_OK)
            fail("write_rows", &err);
    }
    if (format->write_end(writer, &out, &err) != MM_OK || fsync(s.fd) != 0)
        fail("end", &err);
    printf("%.6f\n", seconds() - began);
    format->write_close(writer);
    close(s.fd);
    for (size_t i = 0; i < BATCHES; i++)
        mm_batch_free(&batches[i]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 5 && strcmp(argv[1], "write") == 0)
        return write_file(argv[2], argv[3], strcmp(argv[4], "import") == 0, argc > 5);
    if (argc == 5 && strcmp(argv[1], "bench") == 0)
        return bench(argv[2], strtoull(argv[3], NULL, 10), (uint32_t)strtoul(argv[4], NULL, 10));
    fprintf(stderr, "usage: parquet_tool write COLUMNS FILE general|import [restart]\n"
                    "       parquet_tool bench FILE ROWS DIM\n");
    return 2;
}
