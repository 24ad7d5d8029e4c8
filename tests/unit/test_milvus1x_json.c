/* meta.json: milvus-migration's form is read, what is exported is its bytes with our keys behind, and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sources/milvus1x/meta_json.h"

/* As its export wrote it for the collection of its own tests. */
#define TEST1W                                                                                                     \
    "{\"collections\":[{\"collection\":\"test1w\",\"metric\":1,\"rows\":10000,\"dim\":256,\"segments\":["          \
    "{\"collection\":\"test1w\",\"segment\":\"1678354366132931000\",\"dim\":256,\"rows\":10000,"                   \
    "\"fileSize\":10320000}]}],\"rows\":10000}"

static mm_milvus1x_meta parse(const char *text)
{
    mm_milvus1x_meta meta = MM_MILVUS1X_META_INIT;
    mm_error err = MM_ERROR_INIT;
    if (mm_milvus1x_meta_json_parse("meta.json", text, strlen(text), &meta, &err) != MM_OK)
        fail_msg("%s: %s", text, err.text);
    return meta;
}

static void prints(const mm_milvus1x_meta *meta, const char *text)
{
    mm_buffer out = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_milvus1x_meta_json_print(meta, &out, &err), MM_OK);
    assert_string_equal(out.data, text);
    mm_buffer_free(&out);
}

static void refused(const char *text, const char *words)
{
    mm_milvus1x_meta meta = MM_MILVUS1X_META_INIT;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_milvus1x_meta_json_parse("meta.json", text, strlen(text), &meta, &err), MM_DATA);
    if (strstr(err.text, words) == NULL)
        fail_msg("%s: %s", text, err.text);
    mm_milvus1x_meta_free(&meta);
}

static void the_form_of_milvus_migration_is_read_and_written_to_the_byte(void **unused)
{
    (void)unused;
    mm_milvus1x_meta meta = parse(TEST1W);
    assert_int_equal(meta.collection_count, 1);
    const mm_milvus1x_collection *c = &meta.collections[0];
    assert_string_equal(c->name, "test1w");
    assert_int_equal(c->dimension, 256);
    assert_int_equal(c->metric_type, MM_MILVUS1X_L2);
    assert_false(c->binary);
    assert_int_equal(c->partition_count, 1);
    assert_int_equal(c->partitions[0].segment_count, 1);
    assert_string_equal(c->partitions[0].segments[0].segment_id, "1678354366132931000");
    assert_int_equal(c->partitions[0].segments[0].row_count, 10000);
    assert_int_equal(c->partitions[0].segments[0].file_size, 10320000);
    assert_int_equal(c->partitions[0].segments[0].file_type, MM_MILVUS1X_RAW);
    prints(&meta, TEST1W);
    mm_milvus1x_meta_free(&meta);
}

static mm_milvus1x_meta from_tables(void)
{
    static const mm_milvus1x_table_row tables[] = {
        {.table_id = "b", .dimension = 8, .metric_type = 2, .flag = 1, .created = 90, .index_file_size = 1024,
         .engine_type = 11, .index_params = "{\"M\":16,\"x\":\"<&>\"}"},
        {.table_id = "1700000000000001", .owner_table = "b", .partition_tag = "p\xe2\x80\xa8\"\n\x01\xc3\xa9", .dimension = 8,
         .metric_type = 2, .created = 91},
        {.table_id = "a", .dimension = 16, .metric_type = 4},
        {.table_id = "gone", .dimension = 16, .metric_type = 4, .state = MM_MILVUS1X_DROPPED},
    };
    static const mm_milvus1x_file_row files[] = {
        {"b", "12", 11, MM_MILVUS1X_INDEX, 1, 2, 3, 4},
        {"b", "12", 11, MM_MILVUS1X_BACKUP, 400, 10, 7, 5},
        {"b", "11", 1, MM_MILVUS1X_TO_INDEX, 200, -3, 0, 6},
        {"b", "13", 1, MM_MILVUS1X_NEW, 200, 5, 0, 7},
        {"1700000000000001", "14", 1, MM_MILVUS1X_RAW, 40, 1, 0, 8},
    };
    mm_milvus1x_meta meta = MM_MILVUS1X_META_INIT;
    mm_error err = MM_ERROR_INIT;
    meta.name = "tables";
    for (size_t i = 0; i < MM_COUNT(tables); i++)
        assert_int_equal(mm_milvus1x_meta_table(&meta, &tables[i], &err), MM_OK);
    for (size_t i = 0; i < MM_COUNT(files); i++)
        assert_int_equal(mm_milvus1x_meta_file(&meta, &files[i], &err), MM_OK);
    if (mm_milvus1x_meta_finish(&meta, &err) != MM_OK)
        fail_msg("%s", err.text);
    return meta;
}

/* Escapes as encoding/json makes them; what is of ours stands behind, where its decoder passes over it. */
static const char exported[] =
    "{\"collections\":["
    "{\"collection\":\"b\",\"metric\":2,\"rows\":7,\"dim\":8,\"segments\":["
    "{\"collection\":\"b\",\"segment\":\"12\",\"dim\":8,\"rows\":10,\"fileSize\":400,\"created\":5,\"updated\":7,\"fileType\":7},"
    "{\"collection\":\"b\",\"segment\":\"11\",\"dim\":8,\"rows\":-3,\"fileSize\":200,\"created\":6,\"fileType\":2}],"
    "\"created\":90,\"flag\":1,\"indexFileSize\":1024,\"engine\":11,"
    "\"indexParams\":\"{\\\"M\\\":16,\\\"x\\\":\\\"\\u003c\\u0026\\u003e\\\"}\"},"
    "{\"collection\":\"1700000000000001\",\"metric\":2,\"rows\":1,\"dim\":8,\"segments\":["
    "{\"collection\":\"1700000000000001\",\"segment\":\"14\",\"dim\":8,\"rows\":1,\"fileSize\":40,\"created\":8}],"
    "\"owner\":\"b\",\"partition\":\"p\\u2028\\\"\\n\\u0001\xc3\xa9\"}],"
    "\"rows\":8,\"empty\":["
    "{\"collection\":\"a\",\"metric\":4,\"rows\":0,\"dim\":16,\"segments\":[]}]}";

static void what_is_exported_has_partitions_and_empty_collections_behind_it(void **unused)
{
    (void)unused;
    mm_milvus1x_meta meta = from_tables();
    prints(&meta, exported);
    mm_milvus1x_meta_free(&meta);
}

static void what_is_exported_comes_back(void **unused)
{
    (void)unused;
    mm_milvus1x_meta meta = parse(exported);
    assert_int_equal(meta.collection_count, 2);
    assert_string_equal(meta.collections[0].name, "a");
    assert_true(meta.collections[0].binary);
    const mm_milvus1x_collection *b = &meta.collections[1];
    assert_int_equal(b->partition_count, 2);
    assert_string_equal(b->partitions[1].tag, "p\xe2\x80\xa8\"\n\x01\xc3\xa9");
    assert_string_equal(b->partitions[1].table_id, "1700000000000001");
    assert_string_equal(b->index_params, "{\"M\":16,\"x\":\"<&>\"}");
    assert_int_equal(b->flag, 1);
    assert_int_equal(b->partitions[0].segments[0].file_type, MM_MILVUS1X_BACKUP);
    assert_int_equal(b->partitions[0].segments[1].row_count, -3);
    prints(&meta, exported);
    mm_milvus1x_meta_free(&meta);
}

static void keys_stand_in_any_order_and_null_is_as_if_it_were_not_there(void **unused)
{
    (void)unused;
    mm_milvus1x_meta meta = parse(
        " {\"rows\": 0, \"more\": {\"collections\": 1}, \"collections\": [ {\"segments\": [{\"segment\": \"7\", \"rows\": null}],"
        " \"dim\": 4, \"owner\": null, \"metric\": 1.0, \"collection\": \"a\"}, {\"collection\":\"c\",\"metric\":2,"
        "\"dim\":2,\"segments\":null} ], \"empty\": null }\n");
    assert_int_equal(meta.collection_count, 2);
    assert_string_equal(meta.collections[0].partitions[0].segments[0].segment_id, "7");
    assert_int_equal(meta.collections[1].partitions[0].segment_count, 0);
    mm_milvus1x_meta_free(&meta);
}

static void what_is_no_metadata_is_refused_with_its_place(void **unused)
{
    (void)unused;
    refused("", "byte 0");
    refused("[]", "an object is wanted");
    refused("{}", "no list `collections`");
    refused("{\"collections\":[]} x", "byte 19");
    refused("{\"collections\":[{\"collection\":\"a\"", "ends in the middle");
    refused("{\"collections\":[{\"metric\":1,\"dim\":2}]}", "byte 16: a collection without its name");
    refused("{\"collections\":[{\"collection\":\"a\\u0000\",\"metric\":1}]}", "NUL");
    refused("{\"collections\":[{\"collection\":\"..\",\"metric\":1,\"dim\":2}]}", "no name of a folder");
    refused("{\"collections\":[{\"collection\":\"a\",\"metric\":8,\"dim\":2}]}", "metric 8");
    refused("{\"collections\":[{\"collection\":\"a\",\"dim\":2}]}", "metric 0");
    refused("{\"collections\":[{\"collection\":\"a\",\"metric\":1,\"dim\":1.5}]}", "field dim: a whole number");
    refused("{\"collections\":[{\"collection\":\"a\",\"metric\":1,\"dim\":99999999999999999999}]}", "field dim");
    refused("{\"collections\":[{\"collection\":\"a\",\"metric\":1,\"dim\":2,\"segments\":[{\"rows\":1}]}]}",
            "byte 65: a segment without its name");
    refused("{\"collections\":[{\"collection\":\"a\",\"metric\":1,\"dim\":2,\"segments\":[{\"segment\":\"x/..\"}]}]}",
            "no name of a folder");
    refused("{\"collections\":[{\"collection\":\"a\",\"metric\":1,\"dim\":2,\"segments\":[{\"segment\":\"1\","
            "\"collection\":\"b\"}]}]}", "says that it is of `b`");
    refused("{\"collections\":[{\"collection\":\"a\",\"metric\":1,\"dim\":2},{\"collection\":\"a\",\"metric\":1,\"dim\":2}]}",
            "twice");
}

static void counts_that_cannot_be_added_are_refused(void **unused)
{
    (void)unused;
    mm_milvus1x_meta meta = parse("{\"collections\":[{\"collection\":\"a\",\"metric\":1,\"dim\":2,\"segments\":["
                                  "{\"segment\":\"1\",\"rows\":9223372036854775807},{\"segment\":\"2\",\"rows\":1}]}]}");
    mm_buffer out = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_milvus1x_meta_json_print(&meta, &out, &err), MM_DATA);
    assert_non_null(strstr(err.text, "64 bits"));
    mm_buffer_free(&out);
    mm_milvus1x_meta_free(&meta);
}

static void a_name_that_is_not_utf8_is_refused(void **unused)
{
    (void)unused;
    mm_milvus1x_meta meta = MM_MILVUS1X_META_INIT;
    mm_milvus1x_table_row row = {.table_id = "a\xff", .dimension = 2, .metric_type = 1};
    mm_buffer out = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    meta.name = "tables";
    assert_int_equal(mm_milvus1x_meta_table(&meta, &row, &err), MM_OK);
    assert_int_equal(mm_milvus1x_meta_finish(&meta, &err), MM_OK);
    assert_int_equal(mm_milvus1x_meta_json_print(&meta, &out, &err), MM_DATA);
    assert_non_null(strstr(err.text, "UTF-8"));
    mm_buffer_free(&out);
    mm_milvus1x_meta_free(&meta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form_of_milvus_migration_is_read_and_written_to_the_byte),
        cmocka_unit_test(what_is_exported_has_partitions_and_empty_collections_behind_it),
        cmocka_unit_test(what_is_exported_comes_back),
        cmocka_unit_test(keys_stand_in_any_order_and_null_is_as_if_it_were_not_there),
        cmocka_unit_test(what_is_no_metadata_is_refused_with_its_place),
        cmocka_unit_test(counts_that_cannot_be_added_are_refused),
        cmocka_unit_test(a_name_that_is_not_utf8_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
