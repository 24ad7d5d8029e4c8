/* Reads answers of _search by the page parser and writes their rows, for comparison by another program.
 *
 *     elastic_dump MAPPING -- PATH…     MAPPING: a file with an answer of GET /<index>/_mapping
 *     elastic_dump mapping -- PATH…     each PATH is such an answer
 *
 * For each path one line: "OK <rows> <rejects>" or "<status> <text>". PATH.out then holds, for each document in order,
 * 'R' or 'J' (a reject); then R: each column's value, absent ones as size 2^64 - 1; J: the _id, as size (u64) and
 * bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sources/elastic/documents.h"

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    long end = -1;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (end = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
        abort();
    char *text = malloc((size_t)end + 1);
    if (text == NULL || fread(text, 1, (size_t)end, file) != (size_t)end)
        abort();
    text[end] = '\0';
    fclose(file);
    *size = (size_t)end;
    return text;
}

static void put(FILE *out, const void *bytes, uint64_t size)
{
    uint64_t told = bytes != NULL ? size : UINT64_MAX;
    if (fwrite(&told, sizeof(told), 1, out) != 1 || (bytes != NULL && size > 0 && fwrite(bytes, size, 1, out) != 1))
        abort();
}

static void put_batch(FILE *out, const mm_batch *batch, uint64_t covered)
{
    size_t row = 0, reject = 0, size = 0;
    for (uint64_t i = 0; i < covered; i++) {
        bool rejected = reject < batch->reject_count && batch->rejects[reject].row == i;
        fputc(rejected ? 'J' : 'R', out);
        if (rejected) {
            put(out, batch->rejects[reject].key, strlen(batch->rejects[reject].key));
            reject++;
            continue;
        }
        for (size_t c = 0; c < batch->column_count; c++) {
            const uint8_t *value = mm_column_at(&batch->columns[c], row, &size);
            put(out, value, size);
        }
        row++;
    }
}

static mm_status dump(const mm_elastic_fields *fields, const char *path, uint64_t *rows, uint64_t *rejects, mm_error *err)
{
    size_t size;
    char *text = read_file(path, &size), *name = mm_format("%s.out", path);
    FILE *out = fopen(name, "wb");
    mm_elastic_page *page = NULL;
    mm_elastic_envelope envelope;
    mm_elastic_rows read;
    mm_batch batch;
    memset(&batch, 0, sizeof(batch));
    if (out == NULL)
        abort();
    mm_status status = mm_elastic_page_new(fields, false, true, &page, err);
    if (status == MM_OK)
        status = mm_elastic_page_begin(page, path, text, size, UINT64_MAX, &envelope, err);
    while (status == MM_OK && (status = mm_elastic_page_next(page, 13, 1 << 16, &batch, &read, err)) == MM_OK) {
        put_batch(out, &batch, read.covered);
        *rows += batch.rows;
        *rejects += batch.rejected;
        mm_batch_reset(&batch);
    }
    mm_batch_free(&batch);
    mm_elastic_page_free(page);
    if (fclose(out) != 0)
        abort();
    free(text);
    free(name);
    return status == MM_END ? MM_OK : status;
}

static mm_status build(mm_arena *arena, const char *path, mm_elastic_fields **out, mm_error *err)
{
    size_t size;
    char *text = read_file(path, &size);
    const char *const mappings[] = {text};
    mm_elastic_choice choice = {.primary_key = "_id", .nulls = "nullable"};
    mm_status status = mm_elastic_fields_build(arena, "books", &choice, mappings, 1, NULL, 0, out, err);
    free(text);
    return status;
}

static void tell(mm_status status, uint64_t rows, uint64_t rejects, const mm_error *err)
{
    if (status == MM_OK)
        printf("OK %llu %llu\n", (unsigned long long)rows, (unsigned long long)rejects);
    else
        printf("%s %s\n", mm_status_name(status), err->text);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_elastic_fields *fields = NULL;
    if (argc < 3 || strcmp(argv[2], "--") != 0) {
        fprintf(stderr, "elastic_dump MAPPING|mapping -- PATH...\n");
        return 2;
    }
    bool mappings = strcmp(argv[1], "mapping") == 0;
    if (!mappings && build(&arena, argv[1], &fields, &err) != MM_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    for (int i = 3; i < argc; i++) {
        uint64_t rows = 0, rejects = 0;
        mm_error_clear(&err);
        if (mappings) {
            mm_arena own = MM_ARENA_INIT;
            mm_status status = build(&own, argv[i], &fields, &err);
            tell(status, status == MM_OK ? fields->schema->field_count : 0, 0, &err);
            mm_arena_free(&own);
        } else {
            mm_status status = dump(fields, argv[i], &rows, &rejects, &err);
            tell(status, rows, rejects, &err);
        }
    }
    mm_arena_free(&arena);
    return 0;
}
