/* Reads data folders of Milvus 1.x by the source driver and writes their rows, for comparison by another program.
 *
 *     milvus1x_dump FOLDER…     with FOLDER/meta.json where that is there, else FOLDER/db/meta.sqlite
 *
 * For each folder one line: "OK <rows>" or "<status> <text>". FOLDER.out then has lines, everything in hex but numbers:
 * "C name dimension binary", of it "P tag" for each partition, and "R partition id vector" for each row in plan order.
 * A collection that cannot be read ends the folder with its status. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sources/milvus1x/milvus1x.h"

typedef struct dump {
    FILE *out;
    mm_source *source;
    uint64_t rows;
} dump;

static void put_hex(FILE *out, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        fprintf(out, "%02x", ((const unsigned char *)bytes)[i]);
}

static void put_batch(dump *d, uint32_t partition, const mm_batch *batch)
{
    const mm_column *vectors = &batch->columns[1];
    size_t width = mm_type_width(vectors->field->type, vectors->field->dim);
    for (size_t row = 0; row < batch->rows; row++) {
        int64_t id;
        memcpy(&id, batch->columns[0].values + row * sizeof(id), sizeof(id));
        fprintf(d->out, "R %" PRIu32 " %" PRId64 " ", partition, id);
        put_hex(d->out, vectors->values + row * width, width);
        fputc('\n', d->out);
    }
    d->rows += batch->rows;
}

static mm_status put_extent(void *context, const mm_extent *extent, mm_error *err)
{
    dump *d = context;
    mm_reader *reader = NULL;
    mm_batch batch;
    uint64_t rows = 0;
    memset(&batch, 0, sizeof(batch));
    mm_status status = mm_source_milvus1x.read_open(d->source, extent, NULL, MM_READ_ALL, &reader, err);
    while (status == MM_OK && (status = mm_source_milvus1x.next(reader, 17, 1 << 16, &batch, err)) == MM_OK) {
        put_batch(d, extent->partition, &batch);
        rows += batch.rows;
        mm_batch_reset(&batch);
    }
    mm_source_milvus1x.read_close(reader);
    mm_batch_free(&batch);
    if (status == MM_END && rows != extent->rows)
        return mm_error_set(err, MM_BUG, "an extent of %" PRIu64 " rows gave %" PRIu64, extent->rows, rows);
    return status == MM_END ? MM_OK : status;
}

static mm_status put_source(dump *d, mm_error *err)
{
    mm_catalog catalog = MM_CATALOG_INIT;
    mm_status status = mm_source_milvus1x.describe(d->source, &catalog, err);
    for (uint32_t i = 0; status == MM_OK && i < catalog.count; i++) {
        const mm_collection *c = &catalog.collections[i];
        fprintf(d->out, "C ");
        put_hex(d->out, c->schema.name, strlen(c->schema.name));
        fprintf(d->out, " %" PRIu32 " %d\n", c->schema.fields[1].dim,
                c->schema.fields[1].type == MM_TYPE_BINARY_VECTOR);
        for (size_t p = 0; p < c->partition_count; p++) {
            fprintf(d->out, "P ");
            put_hex(d->out, c->partitions[p], strlen(c->partitions[p]));
            fputc('\n', d->out);
        }
        uint64_t before = d->rows;
        status = mm_source_milvus1x.plan(d->source, i, put_extent, d, err);
        if (status == MM_OK && d->rows - before != c->rows)
            status = mm_error_set(err, MM_BUG, "a collection of %" PRIu64 " rows gave %" PRIu64, c->rows,
                                  d->rows - before);
    }
    mm_catalog_free(&catalog);
    return status;
}

static mm_status put_folder(const char *folder, dump *d, mm_error *err)
{
    mm_options *options = NULL;
    char *path = mm_format("path=%s", folder), *meta = mm_format("meta=%s/meta.json", folder);
    if (path == NULL || meta == NULL)
        abort();
    bool json = access(meta + strlen("meta="), F_OK) == 0;
    const char *pairs[] = {path, "extent_bytes=1KiB", json ? meta : NULL, NULL};
    mm_status status = mm_options_make(mm_source_milvus1x.options, mm_source_milvus1x.option_count, pairs, &options,
                                       err);
    if (status == MM_OK)
        status = mm_source_milvus1x.open(options, &d->source, err);
    if (status == MM_OK)
        status = put_source(d, err);
    mm_source_milvus1x.close(d->source);
    mm_options_free(options);
    free(path);
    free(meta);
    return status;
}

int main(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        mm_error err = MM_ERROR_INIT;
        char *name = mm_format("%s.out", arguments[i]);
        dump d = {.out = name != NULL ? fopen(name, "w") : NULL};
        if (d.out == NULL)
            return 1;
        mm_status status = put_folder(arguments[i], &d, &err);
        fclose(d.out);
        free(name);
        for (char *at = err.text; *at != '\0'; at++)
            *at = *at == '\n' ? ' ' : *at;
        if (status == MM_OK)
            printf("OK %" PRIu64 "\n", d.rows);
        else
            printf("%s %s\n", mm_status_name(status), err.text);
        fflush(stdout);
    }
    return 0;
}
