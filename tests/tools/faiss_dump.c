/* Reads FAISS files through the faiss driver and writes what comes out as raw bytes, so that a test
 * can compare it with what the FAISS library says. Knows the driver's contract, no format.
 *
 *   faiss_dump [switches] OUT name=value…     writes OUT.ids (i64) and OUT.vectors (rows), prints a
 *                                              line of JSON; OUT "-": writes nothing
 *     --keys          reads the primary keys only
 *     --batch-rows N  rows of a batch at most (default: no limit)
 *     --batch-bytes N bytes of a batch (default 1 MiB)
 *     --reopen N      opens a new reader at the cursor after every N batches
 *     --plan          stops after the plan
 *   faiss_dump --inspect PATH
 *   faiss_dump --many name=value…             for each path on stdin: reads it, prints a line
 *                                              "STATUS <tab> ms <tab> rows <tab> error text"
 * The exit code is that of the status. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sources/source.h"

#define PAIRS_MAX 32

typedef struct extent_copy {
    mm_extent extent;
    uint8_t *spec;
} extent_copy;

typedef struct dump {
    const mm_source_driver *driver;
    const char *pairs[PAIRS_MAX + 2];
    size_t pair_count;
    const char *out;
    bool keys, plan_only;
    size_t batch_rows, batch_bytes;
    uint64_t reopen;
    FILE *ids, *vectors;

    extent_copy *extents;
    size_t count, capacity, largest_spec;
    uint64_t rows, batches, planned_rows;
} dump;

static mm_status keep_extent(void *context, const mm_extent *extent, mm_error *err)
{
    dump *d = context;
    d->planned_rows += extent->rows;
    if (extent->spec_size > d->largest_spec)
        d->largest_spec = extent->spec_size;
    if (d->plan_only) {
        d->count++;
        return MM_OK;
    }
    if (d->count == d->capacity) {
        size_t capacity = d->capacity > 0 ? d->capacity * 2 : 64;
        extent_copy *grown = realloc(d->extents, capacity * sizeof(*grown));
        if (grown == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory");
        d->extents = grown;
        d->capacity = capacity;
    }
    extent_copy *copy = &d->extents[d->count];
    copy->spec = malloc(extent->spec_size);
    if (copy->spec == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    memcpy(copy->spec, extent->spec, extent->spec_size);
    copy->extent = *extent;
    copy->extent.spec = copy->spec;
    d->count++;
    return MM_OK;
}

static mm_status write_batch(dump *d, const mm_batch *batch, mm_error *err)
{
    size_t width = mm_type_width(batch->columns[batch->column_count - 1].field->type,
                                 batch->columns[batch->column_count - 1].field->dim);
    d->rows += batch->rows;
    d->batches++;
    if (d->ids == NULL)
        return MM_OK;
    if (fwrite(batch->columns[0].values, 8, batch->rows, d->ids) != batch->rows ||
        (!d->keys &&
         fwrite(batch->columns[1].values, width, batch->rows, d->vectors) != batch->rows))
        return mm_error_errno(err, MM_IO, "write");
    return MM_OK;
}

static mm_status read_extent(dump *d, mm_source *source, const mm_extent *extent, mm_error *err)
{
    mm_reader *reader = NULL;
    mm_batch batch;
    mm_cursor cursor = {.row = 0};
    uint64_t batches = 0, rows = 0;
    mm_read_mode mode = d->keys ? MM_READ_KEYS : MM_READ_ALL;
    memset(&batch, 0, sizeof(batch));
    mm_status status = d->driver->read_open(source, extent, NULL, mode, &reader, err);
    while (status == MM_OK) {
        mm_batch_reset(&batch);
        status = d->driver->next(reader, d->batch_rows, d->batch_bytes, &batch, err);
        if (status != MM_OK)
            break;
        if (batch.rows == 0 || batch.first_row != rows || batch.end.row != rows + batch.rows)
            status = mm_error_set(err, MM_BUG, "a batch of %zu rows from %" PRIu64 " to %" PRIu64,
                                  batch.rows, batch.first_row, batch.end.row);
        if (status == MM_OK)
            status = write_batch(d, &batch, err);
        rows += batch.rows;
        cursor = batch.end;
        if (status == MM_OK && d->reopen > 0 && ++batches % d->reopen == 0) {
            d->driver->read_close(reader);
            reader = NULL;
            status = d->driver->read_open(source, extent, &cursor, mode, &reader, err);
        }
    }
    if (status == MM_END)
        status = rows == extent->rows
                     ? MM_OK
                     : mm_error_set(err, MM_BUG, "%" PRIu64 " rows of an extent of %" PRIu64, rows,
                                    extent->rows);
    d->driver->read_close(reader);
    mm_batch_free(&batch);
    return status;
}

/* Peak resident memory in KiB. Not getrusage's: that counts the process before its exec too. */
static long peak_kib(void)
{
    char line[256];
    long peak = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            peak = strtol(line + 6, NULL, 10);
    if (status != NULL)
        fclose(status);
    return peak;
}

static void print_summary(const dump *d, const mm_catalog *catalog, const char *fingerprint)
{
    const mm_collection *c = &catalog->collections[0];
    const mm_field *vector = &c->schema.fields[1];
    printf("{\"collection\": \"%s\", \"fields\": [\"%s\", \"%s\"], \"type\": \"%s\", \"dim\": %u, "
           "\"rows\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"unique_keys\": %s, ",
           c->schema.name, c->schema.fields[0].name, vector->name, mm_type_name(vector->type),
           vector->dim, c->rows, c->bytes, c->unique_keys ? "true" : "false");
    printf("\"metric\": \"%s\", \"index\": \"%s\", \"params\": %s, ",
           vector->metric_type ? vector->metric_type : "", vector->index_type ? vector->index_type : "",
           vector->index_params ? vector->index_params : "null");
    printf("\"extents\": %zu, \"spec_max\": %zu, \"batches\": %" PRIu64 ", \"rss_kib\": %ld, "
           "\"fingerprint\": \"%s\"}\n",
           d->count, d->largest_spec, d->batches, peak_kib(), fingerprint);
}

static mm_status run(dump *d, mm_source *source, bool print, mm_error *err)
{
    mm_catalog catalog = MM_CATALOG_INIT;
    char fingerprint[MM_FINGERPRINT_MAX] = "";
    mm_status status = d->driver->describe(source, &catalog, err);
    if (status == MM_OK)
        status = d->driver->fingerprint(source, 0, fingerprint, err);
    if (status == MM_OK)
        status = d->driver->plan(source, 0, keep_extent, d, err);
    if (status == MM_OK && d->planned_rows != catalog.collections[0].rows)
        status = mm_error_set(err, MM_BUG, "%" PRIu64 " rows planned of %" PRIu64, d->planned_rows,
                              catalog.collections[0].rows);
    for (size_t i = 0; status == MM_OK && !d->plan_only && i < d->count; i++)
        status = read_extent(d, source, &d->extents[i].extent, err);
    if (status == MM_OK && print)
        print_summary(d, &catalog, fingerprint);
    mm_catalog_free(&catalog);
    return status;
}

static mm_status open_and_run(dump *d, bool print, mm_error *err)
{
    mm_options *options = NULL;
    mm_source *source = NULL;
    mm_status status = mm_options_make(d->driver->options, d->driver->option_count, d->pairs,
                                       &options, err);
    if (status == MM_OK)
        status = d->driver->open(options, &source, err);
    if (status == MM_OK)
        status = run(d, source, print, err);
    if (source != NULL)
        d->driver->close(source);
    mm_options_free(options);
    for (size_t i = 0; !d->plan_only && i < d->count; i++)
        free(d->extents[i].spec);
    free(d->extents);
    d->extents = NULL;
    d->count = d->capacity = 0;
    return status;
}

static int report(mm_status status, const mm_error *err)
{
    if (status != MM_OK)
        fprintf(stderr, "%s: %s\n", mm_status_name(status), err->text);
    return mm_status_exit(status);
}

static int many(dump *d)
{
    char path[4096], pair[4200];
    while (fgets(path, sizeof(path), stdin) != NULL) {
        mm_error err = MM_ERROR_INIT;
        path[strcspn(path, "\n")] = '\0';
        snprintf(pair, sizeof(pair), "path=%s", path);
        d->pairs[d->pair_count] = pair;
        d->rows = d->planned_rows = 0;
        uint64_t start = mm_clock_ms();
        mm_status status = open_and_run(d, false, &err);
        printf("%s\t%" PRIu64 "\t%" PRIu64 "\t%s\n", mm_status_name(status),
               mm_clock_ms() - start, d->rows, err.text);
        fflush(stdout);
    }
    printf("PEAK\t0\t%ld\t\n", peak_kib());
    return 0;
}

static int inspect(const mm_source_driver *driver, const char *path)
{
    mm_error err = MM_ERROR_INIT;
    mm_buffer text = MM_BUFFER_INIT;
    mm_status status = driver->inspect(path, &text, &err);
    if (status == MM_OK)
        fwrite(text.data, 1, text.size, stdout);
    mm_buffer_free(&text);
    return report(status, &err);
}

static FILE *open_out(const char *out, const char *suffix)
{
    char *path = mm_format("%s.%s", out, suffix);
    FILE *file = path != NULL ? fopen(path, "wb") : NULL;
    if (file == NULL)
        perror(out);
    free(path);
    return file;
}

static int usage(void)
{
    fprintf(stderr, "usage: faiss_dump [--keys] [--batch-rows N] [--batch-bytes N] [--reopen N] "
                    "[--plan] OUT name=value...\n"
                    "       faiss_dump --inspect PATH\n"
                    "       faiss_dump --many name=value...\n");
    return 2;
}

/* Fills d from the arguments; false: they make no sense. */
static bool parse(dump *d, int argc, char **argv, bool *batch_mode)
{
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--keys") == 0)
            d->keys = true;
        else if (strcmp(argv[i], "--plan") == 0)
            d->plan_only = true;
        else if (strcmp(argv[i], "--many") == 0)
            *batch_mode = true;
        else if (strcmp(argv[i], "--batch-rows") == 0 && more)
            d->batch_rows = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--batch-bytes") == 0 && more)
            d->batch_bytes = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--reopen") == 0 && more)
            d->reopen = strtoull(argv[++i], NULL, 10);
        else if (strchr(argv[i], '=') != NULL && d->pair_count < PAIRS_MAX)
            d->pairs[d->pair_count++] = argv[i];
        else if (d->out == NULL && argv[i][0] != '\0')
            d->out = argv[i];
        else
            return false;
    }
    return *batch_mode || d->out != NULL;
}

int main(int argc, char **argv)
{
    dump d = {.driver = mm_source_find("faiss"), .batch_rows = SIZE_MAX, .batch_bytes = 1 << 20};
    mm_error err = MM_ERROR_INIT;
    bool batch_mode = false;
    mm_status status = mm_source_registry_check(&err);
    if (status != MM_OK)
        return report(status, &err);
    if (argc == 3 && strcmp(argv[1], "--inspect") == 0)
        return inspect(d.driver, argv[2]);
    if (!parse(&d, argc, argv, &batch_mode))
        return usage();
    if (batch_mode)
        return many(&d);
    if (!d.plan_only && strcmp(d.out, "-") != 0) {
        d.ids = open_out(d.out, "ids");
        d.vectors = open_out(d.out, "vectors");
        if (d.ids == NULL || d.vectors == NULL)
            return 5;
    }
    status = open_and_run(&d, true, &err);
    if ((d.ids != NULL && fclose(d.ids) != 0) || (d.vectors != NULL && fclose(d.vectors) != 0))
        status = mm_error_errno(&err, MM_IO, "close");
    return report(status, &err);
}
