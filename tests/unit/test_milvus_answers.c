/* What a server's answer means: gRPC framing and messages, Milvus's Status codes, schemas to and from the
 * wire, names of the fence's aliases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "milvus/proto_schema.h"
#include "milvus/rows.h"
#include "base/wire.h"
#include "sinks/milvus/internal.h"

/* --- framing ----------------------------------------------------------------------------------------- */

static void a_frame_is_one_uncompressed_message_and_nothing_else(void **state)
{
    (void)state;
    const uint8_t *message;
    size_t length;
    assert_true(mm_grpc_unframe((const uint8_t *)"\0\0\0\0\2ab", 7, &message, &length));
    assert_int_equal(length, 2);
    assert_memory_equal(message, "ab", 2);
    assert_true(mm_grpc_unframe((const uint8_t *)"\0\0\0\0\0", 5, &message, &length));
    assert_int_equal(length, 0);
    assert_false(mm_grpc_unframe((const uint8_t *)"\1\0\0\0\2ab", 7, &message, &length));
    assert_false(mm_grpc_unframe((const uint8_t *)"\0\0\0\0\3ab", 7, &message, &length));
    assert_false(mm_grpc_unframe((const uint8_t *)"\0\0\0\0\1ab", 7, &message, &length));
    assert_false(mm_grpc_unframe((const uint8_t *)"\0\0\0\0", 4, &message, &length));
}

static void grpc_messages_are_percent_decoded_to_one_printable_line(void **state)
{
    (void)state;
    char out[64];
    mm_grpc_decode_message("a%20b%C3%A9%0Ac%", 16, out, sizeof(out));
    assert_string_equal(out, "a b\xC3\xA9 c%");
    mm_grpc_decode_message("abcdef", 6, out, 4);
    assert_string_equal(out, "abc");
}

static void varints_of_every_length_are_read_and_longer_ones_refused(void **state)
{
    (void)state;
    for (int bits = 0; bits < 64; bits++) {
        uint8_t bytes[MM_VARINT_MAX];
        uint64_t value = UINT64_C(1) << bits, back = 0;
        uint8_t *end = mm_varint_put(bytes, value);
        assert_int_equal(end - bytes, mm_varint_size(value));
        mm_wire wire = mm_wire_over(bytes, (size_t)(end - bytes));
        assert_true(mm_wire_varint(&wire, &back));
        assert_true(back == value);
    }
    const uint8_t long_one[] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02};
    uint64_t value;
    mm_wire wire = mm_wire_over(long_one, sizeof(long_one));
    assert_false(mm_wire_varint(&wire, &value));
    assert_true(wire.bad);
}

/* --- status ------------------------------------------------------------------------------------------ */

static mm_status meaning(int32_t code, int32_t legacy, bool retriable, mm_milvus_kind kind)
{
    mm_milvus_answer answer = {.code = code, .legacy = legacy, .retriable = retriable};
    return mm_milvus_classify(&answer, kind);
}

static void a_write_may_be_repeated_only_after_a_refusal_that_proves_it_was_not_executed(void **state)
{
    (void)state;
    const struct {
        int32_t code, legacy;
        mm_status status;
    } rows[] = {
        {0, 0, MM_OK},
        {8, 49, MM_RATE_LIMITED},
        {9, 53, MM_QUOTA},
        {3, 53, MM_QUOTA},
        {7, 54, MM_QUOTA},
        {0, 49, MM_RATE_LIMITED},
        {0, 53, MM_QUOTA},
        {1, 56, MM_NOT_READY},
        {100, 4, MM_NOT_FOUND},
        {1100, 1, MM_DATA},
        {1401, 3, MM_AUTH},
        {1, 1, MM_UNKNOWN}, /* Milvus Lite's "unexpected" */
        {2, 1, MM_UNKNOWN},
        {5, 1, MM_UNKNOWN},
        {65535, 1, MM_UNKNOWN},
        {1302, 1, MM_UNKNOWN},
        {0, 1, MM_UNKNOWN},
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++)
        assert_int_equal(meaning(rows[i].code, rows[i].legacy, true, MM_MILVUS_WRITE), rows[i].status);
}

static void json_that_the_server_does_not_take_is_no_reason_to_wait(void **state)
{
    (void)state;
    static const char array[] = "IO failed: json: cannot unmarshal array into Go value of type map[string]interface {}";
    static const char bad[] = "IO failed: invalid character 'b' looking for beginning of object key string";
    const struct {
        const char *reason;
        int32_t code;
        mm_status status;
    } rows[] = {
        {array, 1001, MM_DATA},
        {bad, 1001, MM_DATA},
        {"unexpected end of JSON input", 1001, MM_DATA},
        {array + 11, 0, MM_DATA},
        {array + 11, 65535, MM_DATA},
        {"IO failed: connection reset by peer", 1001, MM_UNKNOWN},
        {array, 1302, MM_UNKNOWN}, /* of the log: not of a row */
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_milvus_answer answer = {.code = rows[i].code, .legacy = 1};
        snprintf(answer.reason, sizeof(answer.reason), "%s", rows[i].reason);
        assert_int_equal(mm_milvus_classify(&answer, MM_MILVUS_WRITE), rows[i].status);
        assert_int_equal(strlen(mm_milvus_next_step(&answer)) > 0, rows[i].status == MM_DATA);
    }
}

static void a_collection_that_is_not_loaded_is_waited_for(void **state)
{
    (void)state;
    assert_int_equal(meaning(101, 1, false, MM_MILVUS_READ), MM_NOT_READY);
    assert_int_equal(meaning(503, 1, true, MM_MILVUS_READ), MM_NOT_READY);
    assert_int_equal(meaning(65535, 1, false, MM_MILVUS_READ), MM_UNAVAILABLE);
    assert_int_equal(meaning(1100, 1, false, MM_MILVUS_READ), MM_TARGET);
}

static void a_refused_definition_is_for_the_operator_unless_the_server_says_retry(void **state)
{
    (void)state;
    assert_int_equal(meaning(65535, 1, false, MM_MILVUS_DEFINE), MM_TARGET);
    assert_int_equal(meaning(65535, 1, true, MM_MILVUS_DEFINE), MM_NOT_READY);
    assert_int_equal(meaning(8, 49, true, MM_MILVUS_DEFINE), MM_RATE_LIMITED);
}

static void a_status_is_read_wherever_it_stands(void **state)
{
    (void)state;
    /* Status{error_code: 4, reason: "x\ny", code: 100, retriable: true} */
    const uint8_t bare[] = {0x08, 4, 0x12, 3, 'x', '\n', 'y', 0x18, 100, 0x20, 1};
    uint8_t nested[2 + sizeof(bare)] = {0x0A, sizeof(bare)};
    memcpy(nested + 2, bare, sizeof(bare));
    mm_milvus_answer a, b;
    assert_true(mm_milvus_read_status(bare, sizeof(bare), false, &a));
    assert_true(mm_milvus_read_status(nested, sizeof(nested), true, &b));
    assert_int_equal(a.code, 100);
    assert_int_equal(a.legacy, 4);
    assert_true(a.retriable);
    assert_string_equal(a.reason, "x y");
    assert_int_equal(b.code, 100);
    assert_false(mm_milvus_read_status(bare, sizeof(bare) - 1, false, &a));
}

static void the_counts_of_a_mutation_are_read_past_its_ids(void **state)
{
    (void)state;
    /* status {}, IDs (9 bytes), succ_index, err_index {2}, insert_cnt 300, upsert_cnt 5 */
    const uint8_t bytes[] = {0x0A, 0, 0x12, 2, 0x0A, 0, 0x1A, 1, 7, 0x22, 1, 2, 0x30, 0xAC, 2, 0x40, 5};
    mm_mutation m;
    assert_true(mm_decode_mutation(bytes, sizeof(bytes), &m));
    assert_int_equal(m.inserted, 300);
    assert_int_equal(m.upserted, 5);
    assert_true(m.has_errors);
}

/* --- schema ------------------------------------------------------------------------------------------ */

static void a_schema_comes_back_from_the_wire_as_it_went(void **state)
{
    (void)state;
    mm_field fields[] = {{.name = "key", .type = MM_TYPE_VARCHAR, .primary = true, .max_length = 77},
                         {.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = 128},
                         {.name = "s", .type = MM_TYPE_SPARSE_FLOAT_VECTOR},
                         {.name = "a", .type = MM_TYPE_ARRAY, .element_type = MM_TYPE_INT32, .max_capacity = 9, .nullable = true},
                         {.name = "p", .type = MM_TYPE_INT64, .partition_key = true},
                         {.name = "$meta", .type = MM_TYPE_JSON, .dynamic = true}};
    mm_schema schema = {.name = "other", .description = "text", .fields = fields, .field_count = MM_COUNT(fields)};
    mm_buffer bytes = MM_BUFFER_INIT, differences = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_arena arena = MM_ARENA_INIT;
    mm_schema *back;
    assert_int_equal(mm_proto_write_schema(&schema, "name", &bytes, &err), MM_OK);
    Mmpb__CollectionSchema *message = mmpb__collection_schema__unpack(NULL, bytes.size, (uint8_t *)bytes.data);
    assert_non_null(message);
    assert_int_equal(message->n_fields, 5); /* the dynamic field is a flag */
    assert_int_equal(mm_proto_read_schema(message, &arena, &back, &err), MM_OK);
    assert_string_equal(back->name, "name");
    assert_true(back->enable_dynamic_field);
    mm_milvus_schema_differences(&schema, back, &differences);
    assert_int_equal(differences.size, 0);
    mmpb__collection_schema__free_unpacked(message, NULL);
    mm_buffer_free(&bytes);
    mm_buffer_free(&differences);
    mm_arena_free(&arena);
}

static void each_difference_between_schemas_is_named(void **state)
{
    (void)state;
    mm_field want[] = {{.name = "id", .type = MM_TYPE_INT64, .primary = true},
                       {.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = 4},
                       {.name = "t", .type = MM_TYPE_VARCHAR, .max_length = 10},
                       {.name = "missing", .type = MM_TYPE_BOOL}};
    mm_field have[] = {{.name = "id", .type = MM_TYPE_INT64, .primary = true, .auto_id = true},
                       {.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = 5},
                       {.name = "t", .type = MM_TYPE_VARCHAR, .max_length = 9},
                       {.name = "extra", .type = MM_TYPE_BOOL},
                       {.name = "optional", .type = MM_TYPE_BOOL, .nullable = true}};
    mm_schema a = {.name = "a", .fields = want, .field_count = MM_COUNT(want)};
    mm_schema b = {.name = "b", .fields = have, .field_count = MM_COUNT(have)};
    mm_buffer out = MM_BUFFER_INIT;
    mm_milvus_schema_differences(&a, &b, &out);
    assert_string_equal(out.data, "field 'id': not autoID wanted, autoID there; field 'v': dim 4 wanted, 5 there; "
                                  "field 't': max_length 10 wanted, 9 there; field 'missing': Bool wanted, not there; "
                                  "field 'extra': Bool there, gets no values");
    mm_buffer_free(&out);
}

/* --- names ------------------------------------------------------------------------------------------- */

static void an_alias_tells_its_epoch_to_its_own_job_and_collection_only(void **state)
{
    (void)state;
    mm_sink sink = {.tag = "0123456789abcdef"};
    char name[MM_MILVUS_NAME];
    uint64_t epoch = 0;
    mm_milvus_alias_name(&sink, 3, 12, name);
    assert_string_equal(name, "mmr_0123456789abcdef_3_12");
    assert_true(mm_milvus_alias_epoch(&sink, 3, name, &epoch));
    assert_int_equal(epoch, 12);
    assert_false(mm_milvus_alias_epoch(&sink, 1, name, &epoch));
    assert_false(mm_milvus_alias_epoch(&sink, 3, "mmr_0123456789abcdef_3_", &epoch));
    assert_false(mm_milvus_alias_epoch(&sink, 3, "mmr_0123456789abcdef_3_1x", &epoch));
    assert_false(mm_milvus_alias_epoch(&sink, 3, "mmr_0123456789abcdee_3_1", &epoch));
    assert_false(mm_milvus_alias_epoch(&sink, 3, "production", &epoch));
}

static void details_are_found_by_their_whole_key(void **state)
{
    (void)state;
    char value[8];
    assert_true(mm_milvus_detail("name=x id= old=12", "old", value, sizeof(value)));
    assert_string_equal(value, "12");
    assert_true(mm_milvus_detail("name=x id= old=12", "id", value, sizeof(value)));
    assert_string_equal(value, "");
    assert_false(mm_milvus_detail("name=x older=12", "old", value, sizeof(value)));
    assert_false(mm_milvus_detail("name=123456789", "name", value, sizeof(value)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_one_uncompressed_message_and_nothing_else),
        cmocka_unit_test(grpc_messages_are_percent_decoded_to_one_printable_line),
        cmocka_unit_test(varints_of_every_length_are_read_and_longer_ones_refused),
        cmocka_unit_test(a_write_may_be_repeated_only_after_a_refusal_that_proves_it_was_not_executed),
        cmocka_unit_test(json_that_the_server_does_not_take_is_no_reason_to_wait),
        cmocka_unit_test(a_collection_that_is_not_loaded_is_waited_for),
        cmocka_unit_test(a_refused_definition_is_for_the_operator_unless_the_server_says_retry),
        cmocka_unit_test(a_status_is_read_wherever_it_stands),
        cmocka_unit_test(the_counts_of_a_mutation_are_read_past_its_ids),
        cmocka_unit_test(a_schema_comes_back_from_the_wire_as_it_went),
        cmocka_unit_test(each_difference_between_schemas_is_named),
        cmocka_unit_test(an_alias_tells_its_epoch_to_its_own_job_and_collection_only),
        cmocka_unit_test(details_are_found_by_their_whole_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
