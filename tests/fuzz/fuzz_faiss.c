/* Any bytes as a FAISS file: refused with a byte offset or read to the end, without a crash, a leak or a
 * hang; the rows that were planned are the rows that come. Behind the mark "%%%%" the input holds an
 * extent of its own, as the store might give it back. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sources/faiss/faiss.h"

#define MARK "%%%%"

typedef struct plan {
    mm_source *source;
    uint64_t rows, read;
} plan;

static mm_status read_extent(mm_source *source, const mm_extent *extent, mm_read_mode mode,
                             uint64_t *rows, mm_error *err)
{
    mm_reader *reader = NULL;
    mm_batch batch;
    memset(&batch, 0, sizeof(batch));
    mm_status status = mm_source_faiss.read_open(source, extent, NULL, mode, &reader, err);
    while (status == MM_OK) {
        mm_batch_reset(&batch);
        status = mm_source_faiss.next(reader, 64, 1 << 16, &batch, err);
        if (status == MM_OK && batch.rows == 0)
            abort();
        if (status == MM_OK)
            *rows += batch.rows;
    }
    mm_source_faiss.read_close(reader);
    mm_batch_free(&batch);
    return status;
}

static mm_status take_extent(void *context, const mm_extent *extent, mm_error *err)
{
    plan *p = context;
    uint64_t keys = 0, rows = 0;
    p->rows += extent->rows;
    mm_status status = read_extent(p->source, extent, MM_READ_ALL, &rows, err);
    p->read += rows;
    if (status == MM_END && rows != extent->rows)
        abort();
    if (status == MM_END && (read_extent(p->source, extent, MM_READ_KEYS, &keys, err) != MM_END ||
                             keys != rows))
        abort();
    return status == MM_END ? MM_OK : status;
}

static void check_failure(mm_status status, const mm_error *err)
{
    if (status != MM_OK && status != MM_END && err->text[0] == '\0')
        abort();
    if (status == MM_BUG)
        abort();
}

static void run(mm_source *source, const uint8_t *spec, size_t spec_size)
{
    mm_error err = MM_ERROR_INIT;
    mm_catalog catalog = MM_CATALOG_INIT;
    plan p = {.source = source};
    mm_status status = mm_source_faiss.describe(source, &catalog, &err);
    if (status == MM_OK)
        status = mm_source_faiss.plan(source, 0, take_extent, &p, &err);
    check_failure(status, &err);
    if (status == MM_OK && (p.rows != p.read || p.rows != catalog.collections[0].rows))
        abort();
    mm_catalog_free(&catalog);
    if (spec_size > 0 && spec_size <= MM_EXTENT_SPEC_MAX) {
        uint64_t rows = 0;
        mm_extent extent = {.rows = 1000, .spec = spec, .spec_size = spec_size};
        mm_error_clear(&err);
        status = read_extent(source, &extent, MM_READ_ALL, &rows, &err);
        check_failure(status, &err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mm_error err = MM_ERROR_INIT;
    mm_options *options = NULL;
    mm_source *source = NULL;
    char path[64], text[64];
    const uint8_t *mark = size > 0 ? memmem(data, size, MARK, strlen(MARK)) : NULL;
    size_t file_size = mark != NULL ? (size_t)(mark - data) : size;
    const uint8_t *spec = mark != NULL ? mark + strlen(MARK) : data;
    int fd = memfd_create("index", MFD_CLOEXEC);
    if (fd < 0)
        abort();
    if (write(fd, data, file_size) != (ssize_t)file_size)
        abort();
    snprintf(path, sizeof(path), "path=/proc/self/fd/%d", fd);
    snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
    const char *pairs[] = {path, "lossy=true", "extent_rows=7", NULL};
    if (mm_options_make(mm_source_faiss.options, mm_source_faiss.option_count, pairs, &options, &err) !=
            MM_OK ||
        mm_source_faiss.open(options, &source, &err) != MM_OK)
        abort();
    run(source, spec, mark != NULL ? size - file_size - strlen(MARK) : 0);
    mm_buffer out = MM_BUFFER_INIT;
    mm_error_clear(&err);
    check_failure(mm_source_faiss.inspect(text, &out, &err), &err);
    mm_buffer_free(&out);
    mm_source_faiss.close(source);
    mm_options_free(options);
    close(fd);
    return 0;
}
