/* Hand-made FAISS files. */
#include "support/faiss_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void put(faiss_bytes *f, const void *value, size_t size)
{
    mm_buffer_append(&f->bytes, value, size);
    assert_false(f->bytes.failed);
}

void put_u8(faiss_bytes *f, uint8_t value)
{
    put(f, &value, sizeof(value));
}

void put_i32(faiss_bytes *f, int32_t value)
{
    put(f, &value, sizeof(value));
}

void put_u64(faiss_bytes *f, uint64_t value)
{
    put(f, &value, sizeof(value));
}

void put_f32(faiss_bytes *f, float value)
{
    put(f, &value, sizeof(value));
}

void put_text(faiss_bytes *f, const char *letters)
{
    put(f, letters, strlen(letters));
}

void put_header(faiss_bytes *f, const char *fourcc, int32_t d, int64_t rows, int32_t metric)
{
    put_text(f, fourcc);
    put_i32(f, d);
    put_u64(f, (uint64_t)rows);
    put_u64(f, 1 << 20);
    put_u64(f, 1 << 20);
    put_u8(f, 1);
    put_i32(f, metric);
    if (metric > 1)
        put_f32(f, 3);
}

static void put_rows(faiss_bytes *f, int32_t d, int64_t first, int64_t rows)
{
    for (int64_t i = first; i < first + rows; i++)
        for (int32_t j = 0; j < d; j++)
            put_f32(f, (float)(i * 1000 + j));
}

void put_flat(faiss_bytes *f, int32_t d, int64_t rows)
{
    put_header(f, "IxF2", d, rows, 1);
    put_u64(f, (uint64_t)(rows * d));
    put_rows(f, d, 0, rows);
}

void put_ivf(faiss_bytes *f, const char *fourcc, int32_t d, int64_t rows, uint64_t nlist)
{
    put_header(f, fourcc, d, rows, 1);
    put_u64(f, nlist);
    put_u64(f, 1);
    put_flat(f, d, (int64_t)nlist);
    put_u8(f, 0);
    put_u64(f, 0);
}

void put_lists(faiss_bytes *f, int32_t d, const uint64_t *sizes, size_t nlist)
{
    int64_t row = 0;
    put_text(f, "ilar");
    put_u64(f, nlist);
    put_u64(f, (uint64_t)d * 4);
    put_text(f, "full");
    put_u64(f, nlist);
    for (size_t i = 0; i < nlist; i++)
        put_u64(f, sizes[i]);
    for (size_t i = 0; i < nlist; i++) {
        put_rows(f, d, row, (int64_t)sizes[i]);
        for (uint64_t j = 0; j < sizes[i]; j++)
            put_u64(f, (uint64_t)row++ * 10);
    }
}

void set_u32(faiss_bytes *f, size_t at, uint32_t value)
{
    assert_true(at + sizeof(value) <= f->bytes.size);
    memcpy(f->bytes.data + at, &value, sizeof(value));
}

void set_u64(faiss_bytes *f, size_t at, uint64_t value)
{
    assert_true(at + sizeof(value) <= f->bytes.size);
    memcpy(f->bytes.data + at, &value, sizeof(value));
}

void faiss_save(faiss_bytes *f)
{
    snprintf(f->path, sizeof(f->path), "/tmp/mmresume-faiss-XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, f->bytes.data, f->bytes.size), (ssize_t)f->bytes.size);
    close(fd);
}

void faiss_done(faiss_bytes *f)
{
    if (f->path[0] != '\0')
        unlink(f->path);
    mm_buffer_free(&f->bytes);
    *f = (faiss_bytes){.path = ""};
}

mm_source *faiss_open(const faiss_bytes *f, const char *const *more)
{
    const mm_source_driver *driver = mm_source_find("faiss");
    const char *pairs[16];
    size_t count = 0;
    mm_options *options = NULL;
    mm_source *source = NULL;
    mm_error err = MM_ERROR_INIT;
    char *path = mm_format("path=%s", f->path);
    pairs[count++] = path;
    for (; more != NULL && *more != NULL; more++)
        pairs[count++] = *more;
    pairs[count] = NULL;
    if (mm_options_make(driver->options, driver->option_count, pairs, &options, &err) != MM_OK ||
        driver->open(options, &source, &err) != MM_OK)
        fail_msg("%s", err.text);
    mm_options_free(options);
    free(path);
    return source;
}

mm_status faiss_keep(void *context, const mm_extent *extent, mm_error *err)
{
    (void)err;
    faiss_plan *plan = context;
    plan->extents = realloc(plan->extents, (plan->count + 1) * sizeof(*plan->extents));
    assert_non_null(plan->extents);
    struct faiss_planned *planned = &plan->extents[plan->count++];
    planned->spec = malloc(extent->spec_size);
    assert_non_null(planned->spec);
    memcpy(planned->spec, extent->spec, extent->spec_size);
    planned->extent = *extent;
    planned->extent.spec = planned->spec;
    plan->rows += extent->rows;
    return MM_OK;
}

void faiss_plan_free(faiss_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        free(plan->extents[i].spec);
    free(plan->extents);
    *plan = (faiss_plan){.count = 0};
}

static mm_status read_one(mm_source *source, const mm_extent *extent, uint64_t *rows, mm_error *err)
{
    const mm_source_driver *driver = mm_source_find("faiss");
    mm_reader *reader = NULL;
    mm_batch batch;
    memset(&batch, 0, sizeof(batch));
    mm_status status = driver->read_open(source, extent, NULL, MM_READ_ALL, &reader, err);
    while (status == MM_OK) {
        mm_batch_reset(&batch);
        status = driver->next(reader, 1000, 1 << 20, &batch, err);
        *rows += status == MM_OK ? batch.rows : 0;
    }
    driver->read_close(reader);
    mm_batch_free(&batch);
    return status == MM_END ? MM_OK : status;
}

mm_status faiss_read_all(mm_source *source, uint64_t *rows, mm_error *err)
{
    const mm_source_driver *driver = mm_source_find("faiss");
    mm_catalog catalog = MM_CATALOG_INIT;
    faiss_plan plan = {.count = 0};
    uint64_t read = 0;
    mm_status status = driver->describe(source, &catalog, err);
    if (status == MM_OK)
        status = driver->plan(source, 0, faiss_keep, &plan, err);
    for (size_t i = 0; status == MM_OK && i < plan.count; i++)
        status = read_one(source, &plan.extents[i].extent, &read, err);
    if (status == MM_OK)
        *rows = read;
    mm_catalog_free(&catalog);
    faiss_plan_free(&plan);
    return status;
}
