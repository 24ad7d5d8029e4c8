/* Reads files by a source driver and writes their columns, for comparison by another program.
 *
 *     source_dump DRIVER KEY=VALUE… -- PATH…
 *
 * For each path (source.path) one line: "OK <rows> <type and dimension of each field>" or "<status> <text>". PATH.out
 * then holds every batch: rows (u64), then the values of each column, all of them of a fixed width. Extents are read in
 * order; of each one the keys alone are read too, and have to be those of the rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/source.h"

#define EXTENTS_MAX 4096
#define SPEC 128

typedef struct extents {
    mm_extent items[EXTENTS_MAX];
    char specs[EXTENTS_MAX][SPEC];
    size_t count;
} extents;

static mm_status add_extent(void *context, const mm_extent *extent, mm_error *err)
{
    extents *all = context;
    if (all->count == EXTENTS_MAX || extent->spec_size > SPEC)
        return mm_error_set(err, MM_DATA, "more than %d extents", EXTENTS_MAX);
    memcpy(all->specs[all->count], extent->spec, extent->spec_size);
    all->items[all->count] = *extent;
    all->items[all->count].spec = all->specs[all->count];
    all->count++;
    return MM_OK;
}

static void put(FILE *out, const void *bytes, size_t size)
{
    if (size > 0 && fwrite(bytes, 1, size, out) != size)
        abort();
}

/* All rows of an extent; out NULL: only the sum of the key's bytes. */
static mm_status read_extent(const mm_source_driver *driver, mm_source *source, const mm_extent *extent,
                             mm_read_mode mode, FILE *out, uint64_t *rows, uint64_t *keys, mm_error *err)
{
    mm_reader *reader;
    mm_batch batch;
    memset(&batch, 0, sizeof(batch));
    mm_status status = driver->read_open(source, extent, NULL, mode, &reader, err);
    if (status != MM_OK)
        return status;
    while ((status = driver->next(reader, 50, 1 << 16, &batch, err)) == MM_OK) {
        uint64_t count = batch.rows;
        if (batch.first_row != *rows || count == 0 || count > 50)
            abort();
        *rows += count;
        for (size_t i = 0; i < count; i++) {
            uint64_t key;
            memcpy(&key, batch.columns[0].values + i * sizeof(key), sizeof(key));
            *keys = *keys * 31 + key;
        }
        if (out != NULL)
            put(out, &count, sizeof(count));
        for (size_t i = 0; out != NULL && i < batch.column_count; i++)
            put(out, batch.columns[i].values,
                count * mm_type_width(batch.columns[i].field->type, batch.columns[i].field->dim));
        mm_batch_reset(&batch);
    }
    mm_batch_free(&batch);
    driver->read_close(reader);
    return status == MM_END ? MM_OK : status;
}

static mm_status dump_all(const mm_source_driver *driver, mm_source *source, FILE *out, mm_catalog *catalog,
                          uint64_t *total, mm_error *err)
{
    static extents all;
    all.count = 0;
    mm_status status = driver->describe(source, catalog, err);
    if (status == MM_OK)
        status = driver->plan(source, 0, add_extent, &all, err);
    for (size_t e = 0; status == MM_OK && e < all.count; e++) {
        uint64_t rows = 0, again = 0, keys = 0, keys_alone = 0;
        status = read_extent(driver, source, &all.items[e], MM_READ_ALL, out, &rows, &keys, err);
        if (status == MM_OK)
            status = read_extent(driver, source, &all.items[e], MM_READ_KEYS, NULL, &again, &keys_alone, err);
        if (status == MM_OK && (rows != all.items[e].rows || again != rows || keys != keys_alone))
            status = mm_error_set(err, MM_BUG, "an extent is not what it was planned as");
        *total += rows;
    }
    if (status == MM_OK && *total != catalog->collections[0].rows)
        status = mm_error_set(err, MM_BUG, "other rows than described");
    return status;
}

static mm_status dump_path(const mm_source_driver *driver, char **words, int count, const char *path, mm_error *err)
{
    const char *pairs[64];
    int n = 0;
    uint64_t rows = 0;
    mm_options *options;
    mm_source *source;
    mm_catalog catalog = MM_CATALOG_INIT;
    char *place = mm_format("path=%s", path), *name = mm_format("%s.out", path);
    FILE *out = name != NULL ? fopen(name, "wb") : NULL;
    if (place == NULL || out == NULL || count > 60)
        abort();
    for (; n < count; n++)
        pairs[n] = words[n];
    pairs[n] = place;
    pairs[n + 1] = NULL;
    mm_status status = mm_options_make(driver->options, driver->option_count, pairs, &options, err);
    if (status == MM_OK) {
        status = driver->open(options, &source, err);
        if (status == MM_OK) {
            status = dump_all(driver, source, out, &catalog, &rows, err);
            driver->close(source);
        }
        mm_options_free(options);
    }
    if (status == MM_OK) {
        printf("OK %llu", (unsigned long long)rows);
        for (size_t i = 0; i < catalog.collections[0].schema.field_count; i++)
            printf(" %s %u", mm_type_name(catalog.collections[0].schema.fields[i].type),
                   catalog.collections[0].schema.fields[i].dim);
        printf("\n");
    }
    mm_catalog_free(&catalog);
    free(place);
    free(name);
    if (fclose(out) != 0)
        abort();
    return status;
}

int main(int argc, char **argv)
{
    int at = 2;
    while (at < argc && strcmp(argv[at], "--") != 0)
        at++;
    const mm_source_driver *driver = argc > 2 ? mm_source_find(argv[1]) : NULL;
    if (driver == NULL || at >= argc) {
        fprintf(stderr, "source_dump DRIVER KEY=VALUE... -- PATH...\n");
        return 2;
    }
    for (int i = at + 1; i < argc; i++) {
        mm_error err = MM_ERROR_INIT;
        mm_status status = dump_path(driver, argv + 2, at - 2, argv[i], &err);
        if (status != MM_OK)
            printf("%s %s\n", mm_status_name(status), err.text);
        fflush(stdout);
    }
    return 0;
}
