/* Any bytes as the files of a segment, or as a meta.sqlite: refused with words, or the rows that were planned come.
 *
 * The first byte says what: bit 0: a meta.sqlite, with its WAL behind the mark; else of what is left, cut by marks, the
 * files .rv, .uid and deleted_docs. Bits 1 to 3: bytes of a vector. Bit 4: all of the range, or a part of it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/log.h"
#include "sources/milvus1x/meta.h"
#include "sources/milvus1x/segment.h"

#define MARK "%%%%"

static mm_field fields[] = {{.name = "id", .type = MM_TYPE_INT64, .primary = true},
                            {.name = "vector", .type = MM_TYPE_BINARY_VECTOR}};
static const mm_schema all = {.name = "c", .fields = fields, .field_count = 2};
static char folder[] = "/dev/shm/mm-fuzz-XXXXXX";

static void clean_up(void)
{
    mm_error err = MM_ERROR_INIT;
    if (mm_folder_remove(folder, &err) != MM_OK)
        fprintf(stderr, "%s\n", err.text);
}

static void check_failure(mm_status status, const mm_error *err)
{
    if (status == MM_BUG || (status != MM_OK && status != MM_END && err->text[0] == '\0'))
        abort();
}

/* The bytes up to the mark; what is behind it stays. */
static mm_input *take_input(const char *name, const uint8_t **data, size_t *size)
{
    mm_error err = MM_ERROR_INIT;
    mm_input *input = NULL;
    const uint8_t *mark = *size > 0 ? memmem(*data, *size, MARK, strlen(MARK)) : NULL;
    size_t own = mark != NULL ? (size_t)(mark - *data) : *size;
    if (mm_input_memory(name, *data, own, &input, &err) != MM_OK)
        abort();
    size_t skip = mark != NULL ? own + strlen(MARK) : own;
    *data += skip;
    *size -= skip;
    return input;
}

static void read_all(mm_milvus1x_rows_args *args, uint64_t live)
{
    mm_error err = MM_ERROR_INIT;
    mm_reader *reader = NULL;
    mm_batch batch = {.arena = MM_ARENA_INIT};
    uint64_t rows = 0, skip = live / 3;
    mm_status status = mm_milvus1x_rows_open(args, skip, &reader, &err);
    check_failure(status, &err);
    while (status == MM_OK && (status = mm_milvus1x_rows_next(reader, 13, 1 << 12, &batch, &err)) == MM_OK) {
        if (batch.rows == 0)
            abort();
        rows += batch.rows;
        mm_batch_reset(&batch);
    }
    check_failure(status, &err);
    if (status != MM_END || rows != live - skip)
        abort();
    mm_milvus1x_rows_close(reader);
    mm_batch_free(&batch);
}

static void run_segment(uint8_t how, const uint8_t *data, size_t size)
{
    mm_error err = MM_ERROR_INIT;
    uint64_t row_bytes = 1 + (how >> 1 & 7);
    fields[1].dim = (uint32_t)row_bytes * 8;
    mm_milvus1x_rows_args args = {.rv = take_input("rv", &data, &size), .uid = take_input("uid", &data, &size),
                                  .schema = &all};
    mm_input *deleted = take_input("deleted_docs", &data, &size);
    mm_status status = mm_milvus1x_shape_of("segment", args.rv->size, args.uid->size, row_bytes, &args.shape, &err);
    if (status == MM_OK || status == MM_END)
        status = mm_milvus1x_shape_check(args.rv, args.uid, status == MM_END, &args.shape, &err);
    uint64_t rows = args.shape.rows, first = how & 16 ? rows / 3 : 0, count = how & 16 ? rows / 2 : rows;
    if (status == MM_OK)
        status = mm_milvus1x_deleted_read(deleted, &args.shape, first, count, &args.deleted, &err);
    check_failure(status, &err);
    mm_input_close(deleted);
    if (status == MM_OK) {
        read_all(&args, mm_milvus1x_live(&args.deleted, 0, count));
        return;
    }
    mm_input_close(args.rv);
    mm_input_close(args.uid);
}

static void write_file(const char *path, const mm_input *input)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || (input->size > 0 && fwrite(input->map, 1, input->size, file) != input->size) ||
        fclose(file) != 0)
        abort();
}

static void run_sqlite(const uint8_t *data, size_t size)
{
    mm_error err = MM_ERROR_INIT;
    mm_milvus1x_meta meta = MM_MILVUS1X_META_INIT;
    char path[64], wal[64];
    if (strchr(folder, 'X') != NULL) {
        if (mkdtemp(folder) == NULL || setenv("TMPDIR", folder, 1) != 0)
            abort();
        atexit(clean_up);
    }
    mm_input *database = take_input("db", &data, &size), *log = take_input("wal", &data, &size);
    snprintf(path, sizeof(path), "%s/m", folder);
    snprintf(wal, sizeof(wal), "%s/m-wal", folder);
    write_file(path, database);
    if (log->size > 0)
        write_file(wal, log);
    check_failure(mm_milvus1x_meta_sqlite(path, NULL, &meta, &err), &err);
    mm_milvus1x_meta_free(&meta);
    unlink(path);
    unlink(wal);
    mm_input_close(database);
    mm_input_close(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mm_log_setup(MM_LOG_ERROR, MM_LOG_TEXT);
    if (size == 0)
        return 0;
    if (data[0] & 1)
        run_sqlite(data + 1, size - 1);
    else
        run_segment(data[0], data + 1, size - 1);
    return 0;
}
