/* Manifests: what is printed is parsed again, and what is not one is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/manifest.h"

static mm_field fields[] = {
    {.name = "id \"1\"", .type = MM_TYPE_INT64, .primary = true, .auto_id = true},
    {.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = 4, .metric_type = "L2", .index_type = "HNSW",
     .index_params = "{\"M\":16}"},
    {.name = "tags", .type = MM_TYPE_ARRAY, .element_type = MM_TYPE_VARCHAR, .max_length = 20, .max_capacity = 9,
     .nullable = true, .description = "what it is"},
    {.name = "$meta", .type = MM_TYPE_JSON, .dynamic = true, .max_length = 100},
};

static mm_manifest example(void)
{
    static mm_manifest_file files[] = {
        {"_default", "_default/00000.parquet", NULL, 5, 700, 0x0123456789abcdefu},
        {"p/1", "p%2F1/00000.parquet", NULL, 7, 900, 0},
    };
    static const char *partitions[] = {"_default", "p/1"};
    mm_manifest m = MM_MANIFEST_INIT;
    m.format = &mm_format_parquet;
    m.schema = (mm_schema){.name = "products", .description = "all", .fields = fields, .field_count = MM_COUNT(fields),
                           .enable_dynamic_field = true};
    m.partitions = partitions;
    m.partition_count = 2;
    m.files = files;
    m.file_count = 2;
    return m;
}

static void same_text(const char *a, const char *b)
{
    assert_true((a == NULL) == (b == NULL));
    if (a)
        assert_string_equal(a, b);
}

static void what_is_printed_is_parsed_again(void **unused)
{
    (void)unused;
    mm_manifest written = example(), read = MM_MANIFEST_INIT;
    mm_buffer text = MM_BUFFER_INIT;
    assert_int_equal(mm_manifest_print(&written, &text, NULL), MM_OK);
    assert_int_equal(mm_manifest_parse(text.data, text.size, &read, NULL), MM_OK);
    assert_ptr_equal(read.format, &mm_format_parquet);
    assert_int_equal(read.rows, 12);
    same_text(read.schema.name, "products");
    same_text(read.schema.description, "all");
    assert_true(read.schema.enable_dynamic_field);
    assert_int_equal(read.schema.field_count, MM_COUNT(fields));
    for (size_t i = 0; i < MM_COUNT(fields); i++) {
        const mm_field *a = &fields[i], *b = &read.schema.fields[i];
        same_text(a->name, b->name);
        same_text(a->description, b->description);
        same_text(a->metric_type, b->metric_type);
        same_text(a->index_type, b->index_type);
        same_text(a->index_params, b->index_params);
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->element_type, b->element_type);
        assert_int_equal(a->dim, b->dim);
        assert_int_equal(a->max_length, b->max_length);
        assert_int_equal(a->max_capacity, b->max_capacity);
        assert_int_equal(a->primary, b->primary);
        assert_int_equal(a->auto_id, b->auto_id);
        assert_int_equal(a->nullable, b->nullable);
        assert_int_equal(a->dynamic, b->dynamic);
    }
    assert_int_equal(read.partition_count, 2);
    same_text(read.partitions[1], "p/1");
    assert_int_equal(read.file_count, 2);
    for (size_t i = 0; i < 2; i++) {
        same_text(read.files[i].path, written.files[i].path);
        same_text(read.files[i].partition, written.files[i].partition);
        assert_int_equal(read.files[i].rows, written.files[i].rows);
        assert_int_equal(read.files[i].bytes, written.files[i].bytes);
        assert_int_equal(read.files[i].checksum, written.files[i].checksum);
    }
    mm_buffer_free(&text);
    mm_manifest_free(&read);
}

/* The example's text with one piece of it replaced: refused, with a text that has `reason`. */
static void refused(const char *piece, const char *instead, const char *reason)
{
    mm_manifest written = example(), read = MM_MANIFEST_INIT;
    mm_buffer text = MM_BUFFER_INIT, changed = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_manifest_print(&written, &text, NULL), MM_OK);
    const char *at = strstr(text.data, piece);
    assert_non_null(at);
    mm_buffer_append(&changed, text.data, (size_t)(at - text.data));
    mm_buffer_append(&changed, instead, strlen(instead));
    mm_buffer_append(&changed, at + strlen(piece), strlen(at + strlen(piece)));
    assert_int_equal(mm_manifest_parse(changed.data, changed.size, &read, &err), MM_DATA);
    if (strstr(err.text, reason) == NULL)
        fail_msg("%s -> %s: \"%s\" does not say \"%s\"", piece, instead, err.text, reason);
    mm_manifest_free(&read);
    mm_buffer_free(&changed);
    mm_buffer_free(&text);
}

static void what_is_not_a_manifest_is_refused_by_name(void **unused)
{
    (void)unused;
    refused("{", "[", "no JSON");
    refused("\"version\": 1", "\"version\": 2", "version 2");
    refused("\"version\": 1,", "", "not a manifest");
    refused("\"parquet\"", "\"tar\"", "format tar");
    refused("\"collection\"", "\"x\"", "no collection");
    refused("\"FloatVector\"", "\"Float Vector\"", "field v");
    refused("\"dim\": 4", "\"dim\": -4", "field v");
    refused("\"dim\": 4", "\"dim\": 4e30", "field v");
    refused(", \"element_type\": \"VarChar\"", "", "field tags");
    refused("\"files\"", "\"file\"", "no files");
    refused("\"_default/00000.parquet\"", "\"../00000.parquet\"", "../00000.parquet");
    refused("\"_default/00000.parquet\"", "\"/etc/passwd\"", "/etc/passwd");
    refused("\"_default/00000.parquet\"", "\"a//b\"", "a//b");
    refused("0123456789abcdef", "123456789abcdef", "_default/00000.parquet");
    refused("0123456789abcdef", "+123456789abcdef", "_default/00000.parquet");
    refused("\"rows\": 12", "\"rows\": 13", "13 rows");
    refused("\"rows\": 5, ", "\"rows\": 1e300, ", "_default/00000.parquet");
    refused("\"format\": \"parquet\"", "\"format\": \"npy\"", "field id");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_parsed_again),
        cmocka_unit_test(what_is_not_a_manifest_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
