/* The target `files` through its driver table: names, units, records, settling, modes, what it refuses. The
 * host is a list of recorded keys; the files are real. (Every crash point: tests/integration/test_files_sink.py.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "sinks/files/files.h"
#include "sinks/files/internal.h"

enum { DIM = 4 };

typedef struct state {
    char *keys[64], *values[64];
    size_t count, at;
} state;

typedef struct fixture {
    char root[64], path[80];
    state store;
    mm_field fields[3];
    mm_schema schema;
    mm_sink_collection collection;
    mm_options *options;
    mm_sink_host host;
    mm_sink *sink;
    mm_lane *lane;
    mm_batch batch;
} fixture;

static void store_set(state *s, const char *key, const char *value)
{
    size_t i = 0;
    while (i < s->count && strcmp(s->keys[i], key) != 0)
        i++;
    if (i < s->count) {
        free(s->keys[i]);
        free(s->values[i]);
        s->count--;
        s->keys[i] = s->keys[s->count];
        s->values[i] = s->values[s->count];
    }
    if (value) {
        assert_true(s->count < MM_COUNT(s->keys));
        s->keys[s->count] = strdup(key);
        s->values[s->count++] = strdup(value);
    }
}

static mm_status record(void *context, const char *key, const char *value, mm_error *err)
{
    (void)err;
    store_set(context, key, value);
    return MM_OK;
}

static bool stopping(void *context)
{
    (void)context;
    return false;
}

static bool next(void *context, const char **key, const char **value)
{
    state *s = context;
    if (s->at == s->count)
        return false;
    *key = s->keys[s->at];
    *value = s->values[s->at++];
    return true;
}

static const char *stored(const fixture *f, const char *key)
{
    for (size_t i = 0; i < f->store.count; i++)
        if (strcmp(f->store.keys[i], key) == 0)
            return f->store.values[i];
    return NULL;
}

static mm_status open_sink(fixture *f, mm_error *err)
{
    const mm_sink_args args = {.options = f->options, .job_tag = "0011223344556677", .run = 3, .host = &f->host,
                               .collections = &f->collection, .collection_count = 1};
    return mm_sink_files.open(&args, &f->sink, err);
}

static mm_status step(fixture *f, const char *name, char detail[MM_STEP_DETAIL], mm_error *err)
{
    for (size_t i = 0; i < mm_sink_files.step_count; i++) {
        const mm_step *s = &mm_sink_files.steps[i];
        char intent[MM_STEP_DETAIL] = "";
        if (strcmp(s->name, name) != 0)
            continue;
        if (s->intend) {
            mm_status status = s->intend(f->sink, 0, intent, err);
            if (status != MM_OK)
                return status;
        }
        return s->run(f->sink, 0, intent, detail, err);
    }
    fail_msg("no step %s", name);
    return MM_BUG;
}

static int setup(void **out)
{
    fixture *f = calloc(1, sizeof(*f));
    snprintf(f->root, sizeof(f->root), "/tmp/mm-test-files-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->path, sizeof(f->path), "%s/a/b", f->root);
    f->fields[0] = (mm_field){.name = "id", .type = MM_TYPE_INT64, .primary = true};
    f->fields[1] = (mm_field){.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = DIM};
    f->fields[2] = (mm_field){.name = "t", .type = MM_TYPE_VARCHAR, .max_length = 6};
    f->schema = (mm_schema){.name = "c", .fields = f->fields, .field_count = 3};
    f->collection = (mm_sink_collection){.name = "c", .schema = &f->schema};
    f->host = (mm_sink_host){&f->store, record, stopping};
    char option[128];
    snprintf(option, sizeof(option), "path=%s", f->path);
    /* 10 rows of the widest field, the vector */
    const char *const pairs[] = {option, "file_size=160", NULL};
    assert_int_equal(mm_options_make(mm_sink_files.options, mm_sink_files.option_count, pairs, &f->options, NULL),
                     MM_OK);
    *out = f;
    return 0;
}

static int teardown(void **out)
{
    fixture *f = *out;
    if (f->lane)
        mm_sink_files.lane_close(f->lane);
    mm_sink_files.close(f->sink);
    assert_int_equal(mm_folder_remove(f->root, NULL), MM_OK);
    while (f->store.count > 0)
        store_set(&f->store, f->store.keys[0], NULL);
    mm_batch_free(&f->batch);
    mm_options_free(f->options);
    free(f);
    return 0;
}

static void start(fixture *f, char detail[MM_STEP_DETAIL])
{
    assert_int_equal(open_sink(f, NULL), MM_OK);
    assert_int_equal(step(f, "prepare", detail, NULL), MM_OK);
    assert_int_equal(mm_sink_files.lane_open(f->sink, 0, &f->lane, NULL), MM_OK);
}

static void fill(fixture *f, uint64_t first, size_t rows)
{
    mm_batch_reset(&f->batch);
    assert_int_equal(mm_batch_begin(&f->batch, &f->schema, rows, NULL), MM_OK);
    mm_column *text = &f->batch.columns[2];
    text->values = mm_arena_alloc(&f->batch.arena, rows * 6);
    for (size_t i = 0; i < rows; i++) {
        int64_t id = (int64_t)(first + i);
        float vector[DIM] = {(float)id, 1, 2, 3};
        memcpy(f->batch.columns[0].values + i * 8, &id, 8);
        memcpy(f->batch.columns[1].values + i * sizeof(vector), vector, sizeof(vector));
        memcpy(text->values + i * 3, "abc", 3);
        text->offsets[i + 1] = (i + 1) * 3;
    }
    f->batch.rows = rows;
    f->batch.first_row = first;
    f->batch.end.row = first + rows;
}

static mm_status put(fixture *f, uint64_t task, mm_error *err)
{
    mm_write what = {.task = task};
    size_t acknowledged = 0;
    mm_status status = mm_sink_files.write(f->lane, &what, &f->batch, &acknowledged, err);
    if (status == MM_OK)
        assert_int_equal(acknowledged, f->batch.rows);
    return status;
}

/* As the engine: the changes are committed. */
static void flush(fixture *f)
{
    mm_changes changes = {NULL, 0, 0};
    assert_int_equal(mm_sink_files.flush(f->lane, &changes, NULL), MM_OK);
    for (size_t i = 0; i < changes.count; i++)
        store_set(&f->store, changes.items[i].key, changes.items[i].value);
    mm_changes_free(&changes);
}

static void end_lanes(fixture *f)
{
    mm_sink_files.lane_close(f->lane);
    f->lane = NULL;
}

/* The process dies and another goes on. */
static void reopen(fixture *f, const char *detail)
{
    end_lanes(f);
    mm_sink_files.close(f->sink);
    f->sink = NULL;
    f->store.at = 0;
    assert_int_equal(open_sink(f, NULL), MM_OK);
    assert_int_equal(mm_sink_files.steps[0].recall(f->sink, 0, detail, NULL), MM_OK);
    state copy = f->store; /* settle records while it iterates */
    for (size_t i = 0; i < copy.count; i++) {
        copy.keys[i] = strdup(copy.keys[i]);
        copy.values[i] = strdup(copy.values[i]);
    }
    size_t count = copy.count;
    assert_int_equal(mm_sink_files.settle(f->sink, next, &copy, NULL), MM_OK);
    for (size_t i = 0; i < count; i++) {
        free(copy.keys[i]);
        free(copy.values[i]);
    }
    assert_int_equal(mm_sink_files.lane_open(f->sink, 0, &f->lane, NULL), MM_OK);
}

static long size_of(const fixture *f, const char *file)
{
    char *path = mm_format("%s/%s", f->path, file);
    struct stat st;
    long size = stat(path, &st) == 0 ? (long)st.st_size : -1;
    free(path);
    return size;
}

static uint64_t rows_counted(fixture *f)
{
    uint64_t rows = 0;
    assert_int_equal(mm_sink_files.count(f->sink, 0, NULL, &rows, NULL), MM_OK);
    return rows;
}

#define PART ".part-0011223344556677-3"

static void a_name_that_is_no_safe_file_name_is_percent_encoded(void **unused)
{
    (void)unused;
    static const char *const pairs[][2] = {
        {"plain_Name-1.v2", "plain_Name-1.v2"}, {"a/b", "a%2Fb"},       {"..", "%2E."},
        {".hidden", "%2Ehidden"},               {"50%", "50%25"},       {"na me", "na%20me"},
        {"\xc3\xbc", "%C3%BC"},                 {"manifest.json", "%6Danifest.json"},
    };
    for (size_t i = 0; i < MM_COUNT(pairs); i++) {
        char *safe = mm_files_quote(pairs[i][0]);
        assert_string_equal(safe, pairs[i][1]);
        free(safe);
    }
}

static void only_published_files_have_their_names(void **context)
{
    fixture *f = *context;
    char detail[MM_STEP_DETAIL];
    start(f, detail);
    fill(f, 0, 15);
    assert_int_equal(put(f, 7, NULL), MM_OK);
    flush(f);
    assert_int_equal(size_of(f, "c/_default/00000/id.npy" PART), 128 + 80);
    assert_int_equal(size_of(f, "c/_default/00001/id.npy" PART), 128 + 40);
    assert_int_equal(size_of(f, "c/_default/00000/id.npy"), -1);
    assert_int_equal(step(f, "seal", detail, NULL), MM_OK);
    assert_int_equal(size_of(f, "c/_default/00000/v.npy"), 128 + 160);
    assert_int_equal(size_of(f, "c/_default/00001/t.npy"), 128 + 30);
    assert_int_equal(size_of(f, "c/manifest.json"), -1);
    assert_int_equal(step(f, "publish", detail, NULL), MM_OK);
    assert_true(size_of(f, "c/manifest.json") > 0);
    assert_int_equal(rows_counted(f), 15);
}

static void a_unit_is_recorded_before_its_folder_and_vouched_for_by_a_flush(void **context)
{
    fixture *f = *context;
    char detail[MM_STEP_DETAIL];
    start(f, detail);
    fill(f, 0, 4);
    assert_int_equal(put(f, 1, NULL), MM_OK);
    assert_string_equal(stored(f, "unit/0/0/00000"), "{\"state\":\"open\",\"rows\":0,\"runs\":[]}");
    flush(f);
    assert_string_equal(stored(f, "unit/0/0/00000"), "{\"state\":\"open\",\"rows\":4,\"runs\":[\"1:0:4\"],\"bytes\":[160,192,152],\"format\":\"4\"}");
    fill(f, 4, 6);
    assert_int_equal(put(f, 1, NULL), MM_OK);
    flush(f);
    assert_non_null(strstr(stored(f, "unit/0/0/00000"), "\"state\":\"sealed\",\"rows\":10,\"runs\":[\"1:0:10\"],\"bytes\":[208,288,188]"));
    assert_non_null(strstr(stored(f, "unit/0/0/00000"), "\"xxh3\":[\""));
}

static void what_no_flush_vouches_for_is_cut_off(void **context)
{
    fixture *f = *context;
    char detail[MM_STEP_DETAIL];
    start(f, detail);
    fill(f, 0, 4);
    assert_int_equal(put(f, 1, NULL), MM_OK);
    flush(f);
    fill(f, 4, 13); /* fills unit 0 and begins unit 1 */
    assert_int_equal(put(f, 1, NULL), MM_OK);
    assert_int_equal(size_of(f, "c/_default/00000/id.npy" PART), 128 + 80);
    reopen(f, detail);
    assert_int_equal(size_of(f, "c/_default/00000/id.npy" PART), 128 + 32);
    assert_int_equal(size_of(f, "c/_default/00001"), -1);
    assert_null(stored(f, "unit/0/0/00001"));
    fill(f, 4, 2); /* goes on inside the open unit */
    assert_int_equal(put(f, 1, NULL), MM_OK);
    flush(f);
    assert_string_equal(stored(f, "unit/0/0/00000"),
                        "{\"state\":\"open\",\"rows\":6,\"runs\":[\"1:0:6\"],\"bytes\":[176,224,164],\"format\":\"6\"}");
    end_lanes(f);
    assert_int_equal(step(f, "seal", detail, NULL), MM_OK);
    assert_int_equal(rows_counted(f), 6);
}

static void rows_are_read_back_by_where_they_were_written(void **context)
{
    fixture *f = *context;
    char detail[MM_STEP_DETAIL];
    start(f, detail);
    for (uint64_t at = 0; at < 24; at += 8) {
        fill(f, at, 8);
        uint8_t keep = 0xb6; /* rows 0, 3 and 6 are missing */
        assert_int_equal(mm_batch_filter(&f->batch, &keep, 5, NULL), MM_OK);
        assert_int_equal(put(f, 5, NULL), MM_OK);
        fill(f, at, 8);
        assert_int_equal(put(f, 6, NULL), MM_OK); /* another task in between */
    }
    flush(f);
    reopen(f, detail);
    mm_write what = {.task = 5};
    mm_batch found = {.arena = MM_ARENA_INIT};
    fill(f, 6, 12);
    assert_int_equal(mm_sink_files.read_back(f->lane, &what, &f->batch, &found, NULL), MM_OK);
    static const int64_t expected[] = {7, 9, 10, 12, 13, 15, 17};
    assert_int_equal(found.rows, MM_COUNT(expected));
    for (size_t i = 0; i < found.rows; i++) {
        assert_memory_equal(found.columns[0].values + i * 8, &expected[i], 8);
        size_t length;
        assert_memory_equal(mm_column_at(&found.columns[2], i, &length), "abc", 3);
        assert_int_equal(length, 3);
    }
    mm_batch_free(&found);
}

static void a_file_that_lost_rows_is_a_difference(void **context)
{
    fixture *f = *context;
    char detail[MM_STEP_DETAIL];
    start(f, detail);
    fill(f, 0, 8);
    assert_int_equal(put(f, 1, NULL), MM_OK);
    flush(f);
    end_lanes(f);
    assert_int_equal(step(f, "seal", detail, NULL), MM_OK);
    assert_int_equal(mm_sink_files.lane_open(f->sink, 0, &f->lane, NULL), MM_OK);
    char *path = mm_format("%s/c/_default/00000/v.npy", f->path);
    assert_int_equal(truncate(path, 128 + 5 * 16), 0);
    uint64_t rows;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_sink_files.count(f->sink, 0, NULL, &rows, &err), MM_MISMATCH);
    assert_non_null(strstr(err.text, "v.npy"));
    mm_write what = {.task = 1};
    mm_batch found = {.arena = MM_ARENA_INIT};
    assert_int_equal(mm_sink_files.read_back(f->lane, &what, &f->batch, &found, NULL), MM_MISMATCH);
    unlink(path);
    assert_int_equal(mm_sink_files.count(f->sink, 0, NULL, &rows, &err), MM_MISMATCH);
    mm_batch_reset(&found);
    assert_int_equal(mm_sink_files.read_back(f->lane, &what, &f->batch, &found, NULL), MM_MISMATCH);
    mm_batch_free(&found);
    free(path);
}

static void each_partition_has_a_folder_and_a_count(void **context)
{
    fixture *f = *context;
    const char *const partitions[] = {NULL, "p/1"};
    f->collection.partitions = partitions;
    f->collection.partition_count = 2;
    char detail[MM_STEP_DETAIL];
    start(f, detail);
    for (uint32_t partition = 0; partition < 2; partition++) {
        fill(f, 0, 3 + partition);
        mm_write what = {.task = partition, .partition = partition};
        size_t acknowledged;
        assert_int_equal(mm_sink_files.write(f->lane, &what, &f->batch, &acknowledged, NULL), MM_OK);
    }
    flush(f);
    assert_int_equal(size_of(f, "c/p%2F1/00000/id.npy" PART), 128 + 32);
    end_lanes(f);
    assert_int_equal(step(f, "seal", detail, NULL), MM_OK);
    uint64_t rows;
    assert_int_equal(mm_sink_files.count(f->sink, 0, "p/1", &rows, NULL), MM_OK);
    assert_int_equal(rows, 4);
    assert_int_equal(mm_sink_files.count(f->sink, 0, "_default", &rows, NULL), MM_OK);
    assert_int_equal(rows, 3);
}

static void the_number_of_a_foreign_folder_is_left_alone(void **context)
{
    fixture *f = *context;
    char detail[MM_STEP_DETAIL];
    start(f, detail);
    char *foreign = mm_format("%s/c/_default/00041", f->path);
    assert_int_equal(mm_folder_make(foreign, NULL), MM_OK);
    fill(f, 0, 3);
    assert_int_equal(put(f, 1, NULL), MM_OK);
    assert_int_equal(size_of(f, "c/_default/00042/id.npy" PART), 128 + 24);
    reopen(f, detail); /* nothing was flushed: the own folder goes, the foreign one stays */
    assert_int_equal(size_of(f, "c/_default/00042"), -1);
    assert_int_equal(access(foreign, F_OK), 0);
    free(foreign);
}

static void a_value_without_a_form_is_an_error_that_names_the_field(void **context)
{
    fixture *f = *context;
    char detail[MM_STEP_DETAIL];
    mm_error err = MM_ERROR_INIT;
    start(f, detail);
    fill(f, 0, 2);
    f->batch.columns[2].values[5] = '\0';
    assert_int_equal(put(f, 1, &err), MM_DATA);
    assert_non_null(strstr(err.text, "field t"));
    assert_int_equal(put(f, 1, NULL), MM_IO); /* the unit is not written to until it is settled */
    reopen(f, detail);
    fill(f, 0, 2);
    uint8_t validity = 1;
    f->batch.columns[1].validity = &validity;
    assert_int_equal(put(f, 1, &err), MM_DATA);
    assert_non_null(strstr(err.text, "field v"));
    reopen(f, detail);
    fill(f, 0, 2);
    f->batch.columns[2].offsets[2] = 3 + 7;
    assert_int_equal(put(f, 1, &err), MM_DATA);
    assert_non_null(strstr(err.text, "max_length 6"));
    reopen(f, detail);
    fill(f, 0, 3); /* the refused rows left nothing behind */
    assert_int_equal(put(f, 1, NULL), MM_OK);
    flush(f);
    assert_non_null(strstr(stored(f, "unit/0/0/00000"), "\"rows\":3,\"runs\":[\"1:0:3\"]"));
    end_lanes(f);
    assert_int_equal(step(f, "seal", detail, NULL), MM_OK);
    assert_int_equal(rows_counted(f), 3);
}

static void what_lies_behind_the_recorded_bytes_does_not_stay_in_a_sealed_file(void **context)
{
    fixture *f = *context;
    char detail[MM_STEP_DETAIL];
    start(f, detail);
    fill(f, 0, 3);
    assert_int_equal(put(f, 1, NULL), MM_OK);
    flush(f);
    fill(f, 3, 2); /* written, never flushed */
    assert_int_equal(put(f, 1, NULL), MM_OK);
    reopen(f, detail);
    end_lanes(f);
    assert_int_equal(step(f, "seal", detail, NULL), MM_OK);
    assert_int_equal(size_of(f, "c/_default/00000/id.npy"), 128 + 24);
    assert_int_equal(size_of(f, "c/_default/00000/t.npy"), 128 + 18);
    assert_int_equal(rows_counted(f), 3);
}

static void a_record_that_is_not_of_this_plan_is_refused(void **context)
{
    fixture *f = *context;
    static const char *const records[][2] = {
        {"unit/1/0/00000", "{\"state\":\"open\",\"rows\":0,\"runs\":[]}"},
        {"unit/0/9/00000", "{\"state\":\"open\",\"rows\":0,\"runs\":[]}"},
        {"unit/0/0/x", "{\"state\":\"open\",\"rows\":0,\"runs\":[]}"},
        {"unit/0/0/00000", "nonsense"},
        {"unit/0/0/00000", "{\"state\":\"open\",\"rows\":5,\"runs\":[]}"},
        {"unit/0/0/00000", "{\"state\":\"open\",\"rows\":5,\"runs\":[\"1:0\"]}"},
        {"unit/0/0/00000", "{\"state\":\"open\",\"rows\":5,\"runs\":[\"1:0:3,1\"]}"},
        {"unit/0/0/00000", "{\"state\":\"open\",\"rows\":5,\"runs\":[\"1:18446744073709551615:5\"]}"},
        {"unit/0/0/00000", "{\"state\":\"open\",\"rows\":5,\"runs\":[\"1:0:5\"]}"},
        {"unit/0/0/00000", "{\"state\":\"open\",\"rows\":5,\"runs\":[\"1:0:5\"],\"bytes\":[1,1,1]}"},
        {"unit/0/0/00000", "{\"state\":\"open\",\"rows\":5,\"runs\":[\"1:0:5\"],\"bytes\":[1,-1,1],\"format\":\"5\"}"},
        {"unit/0/0/00000", "{\"state\":\"sealed\",\"rows\":5,\"runs\":[\"1:0:5\"],\"bytes\":[1,1,1],\"xxh3\":[\"00\"]}"},
        {"unit/0/0/00000", /* but no file */
         "{\"state\":\"open\",\"rows\":5,\"runs\":[\"1:0:5\"],\"bytes\":[168,208,158],\"format\":\"5\"}"},
    };
    assert_int_equal(open_sink(f, NULL), MM_OK);
    for (size_t i = 0; i < MM_COUNT(records); i++) {
        state one = {{(char *)(uintptr_t)records[i][0]}, {(char *)(uintptr_t)records[i][1]}, 1, 0};
        mm_error err = MM_ERROR_INIT;
        assert_int_equal(mm_sink_files.settle(f->sink, next, &one, &err), MM_CHANGED);
        assert_true(strlen(err.text) > 0);
    }
}

static void a_schema_that_the_format_cannot_hold_is_refused_at_once(void **context)
{
    fixture *f = *context;
    mm_error err = MM_ERROR_INIT;
    f->fields[2].max_length = 0;
    assert_int_equal(open_sink(f, &err), MM_TARGET);
    assert_non_null(strstr(err.text, "field t"));
    assert_int_equal(access(f->path, F_OK), -1); /* open changes nothing */
}

static void overwriting_replaces_only_the_folder_it_saw(void **context)
{
    fixture *f = *context;
    char detail[MM_STEP_DETAIL], intent[MM_STEP_DETAIL];
    char *old = mm_format("%s/c/_default/00000", f->path), *place = mm_format("%s/c", f->path);
    char *away = mm_format("%s/away", f->path);
    assert_int_equal(mm_folder_make(old, NULL), MM_OK);
    f->collection.if_exists = MM_EXISTS_OVERWRITE;
    assert_int_equal(open_sink(f, NULL), MM_OK);
    assert_int_equal(mm_sink_files.steps[0].intend(f->sink, 0, intent, NULL), MM_OK);
    assert_int_equal(rename(place, away), 0); /* another folder takes the place */
    assert_int_equal(mm_folder_make(old, NULL), MM_OK);
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_sink_files.steps[0].run(f->sink, 0, intent, detail, &err), MM_CHANGED);
    assert_int_equal(access(old, F_OK), 0);
    free(away);
    free(place);
    free(old);
}

typedef struct told {
    uint32_t numbers[16];
    uint64_t rows;
    size_t count;
    char key[256]; /* of the last one's first file */
    bool refuse;
} told;

static mm_status tell(void *context, const mm_files_sealed *unit, mm_error *err)
{
    told *t = context;
    if (t->refuse)
        return mm_error_set(err, MM_UNAVAILABLE, "not now");
    t->numbers[t->count++] = unit->number;
    t->rows += unit->rows;
    assert_int_equal(unit->key_count, 3);
    snprintf(t->key, sizeof(t->key), "%s", unit->keys[0]);
    return MM_OK;
}

static void a_sealed_unit_is_told_once_when_its_record_is_committed(void **context)
{
    fixture *f = *context;
    char detail[MM_STEP_DETAIL];
    told t = {.refuse = true};
    start(f, detail);
    fill(f, 0, 25); /* two units and a half */
    assert_int_equal(put(f, 1, NULL), MM_OK);
    assert_int_equal(mm_files_units_take(f->sink, tell, &t, NULL), MM_OK);
    flush(f); /* handed over; whether it is committed the sink cannot know yet */
    assert_int_equal(mm_files_units_take(f->sink, tell, &t, NULL), MM_OK);
    flush(f);
    assert_int_equal(mm_files_units_take(f->sink, tell, &t, NULL), MM_UNAVAILABLE);
    t.refuse = false;
    assert_int_equal(mm_files_units_take(f->sink, tell, &t, NULL), MM_OK);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.rows, 20);
    assert_int_equal(access(t.key, F_OK), 0); /* under its final name */
    assert_int_equal(mm_files_units_take(f->sink, tell, &t, NULL), MM_OK);
    assert_int_equal(t.count, 2);
    end_lanes(f);
    assert_int_equal(mm_files_units_seal(f->sink, NULL), MM_OK);
    assert_int_equal(mm_files_units_seal(f->sink, NULL), MM_OK);
    assert_int_equal(mm_files_units_take(f->sink, tell, &t, NULL), MM_OK);
    assert_int_equal(t.count, 3);
    assert_int_equal(t.rows, 25);
    assert_int_equal(mm_sink_files.lane_open(f->sink, 0, &f->lane, NULL), MM_OK);
    reopen(f, detail); /* another process is told all of them */
    t = (told){.count = 0};
    assert_int_equal(mm_files_units_take(f->sink, tell, &t, NULL), MM_OK);
    assert_int_equal(t.count, 3);
    assert_int_equal(t.rows, 25);
}

static void the_files_of_a_released_unit_are_not_looked_for(void **context)
{
    fixture *f = *context;
    char detail[MM_STEP_DETAIL];
    told t = {.count = 0};
    start(f, detail);
    fill(f, 0, 10);
    assert_int_equal(put(f, 1, NULL), MM_OK);
    flush(f);
    assert_int_equal(mm_files_units_release(f->sink, 0, 0, 0, NULL), MM_BUG); /* not committed yet */
    flush(f);
    assert_int_equal(mm_files_units_take(f->sink, tell, &t, NULL), MM_OK);
    assert_int_equal(mm_files_units_release(f->sink, 0, 0, 0, NULL), MM_OK);
    assert_int_equal(unlink(t.key), 0);
    reopen(f, detail);
    fill(f, 10, 3); /* its number is not given again */
    assert_int_equal(put(f, 1, NULL), MM_OK);
    flush(f);
    assert_non_null(stored(f, "unit/0/0/00001"));
    t = (told){.count = 0};
    end_lanes(f);
    assert_int_equal(mm_files_units_seal(f->sink, NULL), MM_OK);
    assert_int_equal(mm_files_units_take(f->sink, tell, &t, NULL), MM_OK);
    assert_int_equal(t.count, 1);
    assert_int_equal(t.rows, 3);
}

static void rows_are_gathered_with_nulls_and_texts_as_they_are(void **context)
{
    fixture *f = *context;
    mm_files_gather *gather;
    uint8_t all = 0xff, some = 0x05; /* rows 0 and 2 */
    assert_int_equal(mm_files_gather_new(&f->schema, &gather, NULL), MM_OK);
    for (int turn = 0; turn < 2; turn++) { /* emptied, it is as new */
        fill(f, 0, 5);
        assert_int_equal(mm_files_gather_add(gather, &f->batch, 1, 3, NULL), MM_OK); /* no nulls: rows 1 to 3 */
        assert_null(mm_files_gather_batch(gather)->columns[1].validity);
        fill(f, 100, 3);
        f->batch.columns[1].validity = turn == 0 ? &some : &all;
        f->batch.columns[2].offsets[1] = 0; /* the first text is empty, the second six bytes */
        assert_int_equal(mm_files_gather_add(gather, &f->batch, 0, 3, NULL), MM_OK);
        fill(f, 200, 1);
        assert_int_equal(mm_files_gather_add(gather, &f->batch, 0, 1, NULL), MM_OK);
        const mm_batch *found = mm_files_gather_batch(gather);
        static const int64_t ids[] = {1, 2, 3, 100, 101, 102, 200};
        static const size_t lengths[] = {3, 3, 3, 0, 6, 3, 3};
        assert_int_equal(found->rows, MM_COUNT(ids));
        for (size_t i = 0; i < found->rows; i++) {
            size_t length;
            float first = (float)ids[i];
            assert_memory_equal(mm_column_at(&found->columns[0], i, &length), &ids[i], 8);
            const uint8_t *vector = mm_column_at(&found->columns[1], i, &length);
            assert_true((vector == NULL) == (turn == 0 && ids[i] == 101));
            if (vector)
                assert_memory_equal(vector, &first, sizeof(first));
            const uint8_t *text = mm_column_at(&found->columns[2], i, &length);
            assert_int_equal(length, lengths[i]);
            assert_memory_equal(text, "abcabc", length);
        }
        assert_true(mm_files_gather_bytes(gather) > 0);
        mm_files_gather_empty(gather);
        assert_int_equal(mm_files_gather_bytes(gather), 0);
        mm_batch_reset(&f->batch);
    }
    mm_files_gather_free(gather);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_is_no_safe_file_name_is_percent_encoded),
        TEST(only_published_files_have_their_names),
        TEST(a_unit_is_recorded_before_its_folder_and_vouched_for_by_a_flush),
        TEST(what_no_flush_vouches_for_is_cut_off),
        TEST(rows_are_read_back_by_where_they_were_written),
        TEST(a_file_that_lost_rows_is_a_difference),
        TEST(each_partition_has_a_folder_and_a_count),
        TEST(the_number_of_a_foreign_folder_is_left_alone),
        TEST(a_value_without_a_form_is_an_error_that_names_the_field),
        TEST(what_lies_behind_the_recorded_bytes_does_not_stay_in_a_sealed_file),
        TEST(a_record_that_is_not_of_this_plan_is_refused),
        TEST(a_schema_that_the_format_cannot_hold_is_refused_at_once),
        TEST(overwriting_replaces_only_the_folder_it_saw),
        TEST(a_sealed_unit_is_told_once_when_its_record_is_committed),
        TEST(the_files_of_a_released_unit_are_not_looked_for),
        TEST(rows_are_gathered_with_nulls_and_texts_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
