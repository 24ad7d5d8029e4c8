/* The importer's parts that need no server: what the reason of a failure means, the names of another try, groups as
 * records and back, descriptions of REST jobs. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "milvus/import_rest.h"
#include "sinks/milvus/import.h"

/* --- causes ------------------------------------------------------------------------------------------- */

static void a_file_that_is_not_there_means_that_nothing_was_written(void **state)
{
    (void)state;
    assert_int_equal(mm_import_judge("failed to get file size of '/a/id.npy', error:stat /a/id.npy: no such file or "
                                     "directory: importing data failed"),
                     MM_IMPORT_CAUSE_NOTHING);
    assert_int_equal(mm_import_judge("disk quota exceeded"), MM_IMPORT_CAUSE_NOTHING);
}

static void what_is_wrong_with_the_data_is_told_from_what_is_wrong_with_the_server(void **state)
{
    (void)state;
    assert_int_equal(mm_import_judge("illegal dimension 4 of numpy file for float vector field 'vector', dimension should "
                                     "be 8: importing data failed"),
                     MM_IMPORT_CAUSE_DATA);
    assert_int_equal(mm_import_judge("task marked failed as service restarted"), MM_IMPORT_CAUSE_UNKNOWN);
    assert_int_equal(mm_import_judge("context canceled"), MM_IMPORT_CAUSE_UNKNOWN);
    assert_int_equal(mm_import_judge(""), MM_IMPORT_CAUSE_UNKNOWN);
}

/* --- names -------------------------------------------------------------------------------------------- */

static void check_next(const char *key, uint32_t next, const char *expected)
{
    char *name = mm_import_next_key(key, next);
    assert_string_equal(name, expected);
    free(name);
}

static void another_try_has_another_folder_and_the_same_file_name(void **state)
{
    (void)state;
    check_next("/s/c/00001/id.npy", 2, "/s/c/00001/.try2/id.npy");
    check_next("/s/c/00001/.try2/id.npy", 3, "/s/c/00001/.try3/id.npy");
    check_next("p/00001.parquet", 2, "p/.try2/00001.parquet");
    check_next("00001.parquet", 2, ".try2/00001.parquet");
    check_next(".try2/00001.parquet", 3, ".try2/.try3/00001.parquet");
}

static void a_partition_with_the_name_of_a_try_is_not_one(void **state)
{
    (void)state;
    check_next("/s/c/try2/00001.parquet", 2, "/s/c/try2/.try2/00001.parquet");
    check_next("/s/c/try2/00001.parquet", 3, "/s/c/try2/.try3/00001.parquet");
}

static void a_file_that_has_moved_already_stays(void **state)
{
    (void)state;
    check_next("/s/c/00001/.try2/id.npy", 2, "/s/c/00001/.try2/id.npy");
    check_next("/s/c/00001/.try12/id.npy", 12, "/s/c/00001/.try12/id.npy");
}

/* --- records ------------------------------------------------------------------------------------------ */

typedef struct memory {
    char key[64], value[2048];
    bool given;
} memory;

static mm_status keep(void *context, const char *key, const char *value, mm_error *err)
{
    memory *m = context;
    (void)err;
    snprintf(m->key, sizeof(m->key), "%s", key);
    snprintf(m->value, sizeof(m->value), "%s", value);
    return MM_OK;
}

static bool give(void *context, const char **key, const char **value)
{
    memory *m = context;
    if (m->given)
        return false;
    m->given = true;
    *key = m->key;
    *value = m->value;
    return true;
}

typedef struct world {
    memory memory;
    mm_sink_host host;
    mm_sink sink;
    mm_importer importer;
    mm_import_fence fences[2];
    uint32_t numbers[2];
    char *details[2];
} world;

static void begin(world *w)
{
    memset(w, 0, sizeof(*w));
    w->host = (mm_sink_host){.context = &w->memory, .record = keep};
    w->sink.host = &w->host;
    w->sink.importer = &w->importer;
    w->importer = (mm_importer){.sink = &w->sink, .fences = w->fences, .next_number = w->numbers,
                                .staging_details = w->details, .collection_count = 2};
}

static void end(world *w)
{
    for (size_t i = 0; i < w->importer.group_count; i++)
        mm_import_group_free(w->importer.groups[i]);
    free(w->importer.groups);
    free(w->importer.grouped);
}

static void a_group_comes_back_from_its_record_as_it_was(void **state)
{
    (void)state;
    world w;
    mm_error err = MM_ERROR_INIT;
    uint32_t units[] = {4, 7};
    char *keys[] = {"/s/00004/id.npy", "/s/00004/v.npy", "/s/00007/id.npy", "/s/00007/v \"x\".npy"};
    char *paths[] = {"/data/00004/id.npy", "/data/00004/v.npy", "/data/00007/id.npy", "/data/00007/v \"x\".npy"};
    mm_import_group group = {.collection = 1, .partition = 3, .number = 9, .tries = 2, .epoch = 5, .rows = 123456789012,
                             .state = MM_GROUP_UNCLEAR, .decided = true, .units = units, .unit_count = 2, .keys = keys, .paths = paths,
                             .file_count = 4, .job = "4486", .reason = "node\tgone"};
    begin(&w);
    assert_int_equal(mm_import_record_group(&w.importer, &group, &err), MM_OK);
    assert_string_equal(w.memory.key, "import/1/9");
    assert_int_equal(mm_import_settle(&w.sink, give, &w.memory, &err), MM_OK);
    assert_int_equal(w.importer.group_count, 1);
    const mm_import_group *back = w.importer.groups[0];
    assert_int_equal(back->collection, 1);
    assert_int_equal(back->partition, 3);
    assert_int_equal(back->number, 9);
    assert_int_equal(back->tries, 2);
    assert_int_equal(back->epoch, 5);
    assert_int_equal(back->rows, 123456789012);
    assert_int_equal(back->state, MM_GROUP_UNCLEAR);
    assert_true(back->decided);
    assert_int_equal(back->unit_count, 2);
    assert_int_equal(back->units[1], 7);
    assert_int_equal(back->file_count, 4);
    assert_string_equal(back->keys[3], keys[3]);
    assert_string_equal(back->paths[3], paths[3]);
    assert_string_equal(back->job, "4486");
    assert_string_equal(back->reason, "node\tgone");
    assert_int_equal(w.numbers[1], 10);
    end(&w);
}

static void a_record_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const records[][2] = {
        {"import/2/1", "{}"},
        {"import/1/1", "{}"},
        {"import/1/1", "not json"},
        {"import/1/1x", "{}"},
        {"import/0/1", "{\"state\":\"asleep\",\"epoch\":1,\"try\":1,\"partition\":0,\"rows\":1,\"units\":[1],\"files\":[\"a\"],"
                       "\"paths\":[\"a\"],\"decided\":0,\"job\":\"\",\"reason\":\"\"}"},
        {"import/0/1", "{\"state\":\"sent\",\"epoch\":1,\"try\":1,\"partition\":0,\"rows\":1,\"units\":[1,2],\"files\":[\"a\"],"
                       "\"paths\":[\"a\"],\"decided\":0,\"job\":\"\",\"reason\":\"\"}"},
        {"import/0/1", "{\"state\":\"sent\",\"epoch\":1,\"try\":1,\"partition\":0,\"rows\":1,\"units\":[1],\"files\":[\"a\"],"
                       "\"paths\":[],\"decided\":0,\"job\":\"\",\"reason\":\"\"}"},
        {"fence/0", "{\"epoch\":-}"},
        {"fence/7", "{\"epoch\":1,\"open\":1}"},
    };
    for (size_t i = 0; i < MM_COUNT(records); i++) {
        world w;
        mm_error err = MM_ERROR_INIT;
        begin(&w);
        snprintf(w.memory.key, sizeof(w.memory.key), "%s", records[i][0]);
        snprintf(w.memory.value, sizeof(w.memory.value), "%s", records[i][1]);
        assert_int_equal(mm_import_settle(&w.sink, give, &w.memory, &err), MM_CHANGED);
        end(&w);
    }
}

typedef struct many {
    struct {
        char key[32], value[192];
    } *items;
    uint32_t count, at;
} many;

static bool give_many(void *context, const char **key, const char **value)
{
    many *m = context;
    if (m->at == m->count)
        return false;
    *key = m->items[m->at].key;
    *value = m->items[m->at++].value;
    return true;
}

/* Units 0, 2, 4, … of partition 1, each in a group of its own, in no order. */
static void make_many(many *m)
{
    m->items = calloc(m->count, sizeof(*m->items));
    assert_non_null(m->items);
    for (uint32_t i = 0; i < m->count; i++) {
        snprintf(m->items[i].key, sizeof(m->items[i].key), "import/0/%" PRIu32, i);
        snprintf(m->items[i].value, sizeof(m->items[i].value),
                 "{\"state\":\"done\",\"epoch\":1,\"try\":1,\"partition\":1,\"rows\":1,\"units\":[%" PRIu32
                 "],\"files\":[\"f\"],\"paths\":[\"f\"],\"decided\":0,\"job\":\"\",\"reason\":\"\"}",
                 (uint32_t)((uint64_t)i * 7919 % m->count * 2));
    }
}

/* A run with 100,000 files goes on at once. (Looked for in every group in turn, these units took 166 s.) */
static void units_of_a_hundred_thousand_groups_are_found_at_once(void **state)
{
    (void)state;
    world w;
    many all = {.count = 100000};
    mm_error err = MM_ERROR_INIT;
    begin(&w);
    make_many(&all);
    assert_int_equal(mm_import_settle(&w.sink, give_many, &all, &err), MM_OK);
    uint64_t began = mm_clock_ms();
    for (uint32_t i = 0; i < all.count; i++) {
        assert_true(mm_import_is_grouped(&w.importer, 0, 1, 2 * i));
        assert_false(mm_import_is_grouped(&w.importer, 0, 1, 2 * i + 1));
    }
    uint64_t took = mm_clock_ms() - began;
    assert_false(mm_import_is_grouped(&w.importer, 0, 0, 0));
    assert_false(mm_import_is_grouped(&w.importer, 1, 1, 0));
    assert_in_range(took, 0, 3000);
    free(all.items);
    end(&w);
}

/* --- descriptions of REST jobs ---------------------------------------------------------------------------- */

static mm_import_job described(const char *json, const char **names, bool *named)
{
    static mm_buffer text;
    mm_import_job job;
    mm_error err = MM_ERROR_INIT;
    mm_buffer_free(&text);
    text = (mm_buffer)MM_BUFFER_INIT;
    assert_int_equal(mm_import_rest_read(json, &job, &text, named, &err), MM_OK);
    *names = text.data;
    return job;
}

static void a_description_tells_state_progress_and_files(void **state)
{
    (void)state;
    const char *names;
    bool named;
    mm_import_job job = described("{\"code\":0,\"data\":{\"jobId\":\"448\",\"state\":\"Importing\",\"progress\":37,"
                                  "\"importedRows\":120,\"details\":[{\"fileName\":\"[a/1.parquet]\"},{\"fileName\":\"[b]\"}]}}",
                                  &names, &named);
    assert_int_equal(job.phase, MM_IMPORT_RUNNING);
    assert_int_equal(job.percent, 37);
    assert_int_equal(job.rows, 120);
    assert_string_equal(job.id, "448");
    assert_true(named);
    assert_non_null(strstr(names, "[a/1.parquet]"));
    job = described("{\"code\":0,\"data\":{\"jobId\":449,\"state\":\"Pending\",\"details\":[]}}", &names, &named);
    assert_int_equal(job.phase, MM_IMPORT_PENDING);
    assert_false(named);
    assert_string_equal(job.id, "449");
}

static void a_failure_tells_its_reason_unless_the_job_is_only_forgotten(void **state)
{
    (void)state;
    const char *names;
    bool named;
    mm_import_job job = described("{\"code\":0,\"data\":{\"jobId\":\"1\",\"state\":\"Failed\",\"reason\":\"bad\\nfile\"}}", &names, &named);
    assert_int_equal(job.phase, MM_IMPORT_FAILED);
    assert_string_equal(job.reason, "bad file");
    job = described("{\"code\":0,\"data\":{\"jobId\":\"1\",\"state\":\"Failed\",\"reason\":\"import job does not exist, "
                    "jobID=1\"}}", &names, &named);
    assert_int_equal(job.phase, MM_IMPORT_FORGOTTEN);
    described("{\"code\":0,\"data\":{\"jobId\":\"1\",\"state\":\"Completed\"}}", &names, &named);
}

static void what_is_no_description_is_refused(void **state)
{
    (void)state;
    static const char *const replies[] = {"", "[]", "{\"code\":0}", "{\"code\":0,\"data\":{\"jobId\":\"1\"}}",
                                          "{\"code\":0,\"data\":{\"state\":\"Failed\"}}", "{\"code\":0,\"data\":{\"jobId\":[],"
                                          "\"state\":\"Failed\"}}"};
    for (size_t i = 0; i < MM_COUNT(replies); i++) {
        mm_import_job job;
        mm_error err = MM_ERROR_INIT;
        bool named;
        assert_int_equal(mm_import_rest_read(replies[i], &job, NULL, &named, &err), MM_UNAVAILABLE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_is_not_there_means_that_nothing_was_written),
        cmocka_unit_test(what_is_wrong_with_the_data_is_told_from_what_is_wrong_with_the_server),
        cmocka_unit_test(another_try_has_another_folder_and_the_same_file_name),
        cmocka_unit_test(a_partition_with_the_name_of_a_try_is_not_one),
        cmocka_unit_test(a_file_that_has_moved_already_stays),
        cmocka_unit_test(a_group_comes_back_from_its_record_as_it_was),
        cmocka_unit_test(a_record_that_is_none_is_refused),
        cmocka_unit_test(units_of_a_hundred_thousand_groups_are_found_at_once),
        cmocka_unit_test(a_description_tells_state_progress_and_files),
        cmocka_unit_test(a_failure_tells_its_reason_unless_the_job_is_only_forgotten),
        cmocka_unit_test(what_is_no_description_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
