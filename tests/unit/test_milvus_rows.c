/* Rows on Milvus's wire: every type is written as the official Python client writes it, what is written
 * is read back equal, requests keep to their size, and replies that do not add up are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "milvus/rows.h"
#include "base/wire.h"

enum { ROWS = 3 };

/* Three rows of each type, and the InsertRequest{db_name: "d", collection_name: "c", partition_name: "p"}
 * that pymilvus's protobuf messages serialise to for them. */
static const struct type_case {
    const char *name;
    mm_field field;
    uint8_t values[40];
    uint64_t offsets[ROWS + 1];
    bool variable;
    uint8_t validity[1];
    bool nulls;
    const char *golden;
} cases[] = {
    {"bool", {.name = "x", .type = MM_TYPE_BOOL},
     {1, 0, 255},
     {0}, false, {0}, false,
     "1201641a01632201702a0e08011201781a070a050a030100013803"},
    {"int8", {.name = "x", .type = MM_TYPE_INT8},
     {0xFF, 0, 127},
     {0}, false, {0}, false,
     "1201641a01632201702a1708021201781a10120e0a0cffffffffffffffffff01007f3803"},
    {"int16", {.name = "x", .type = MM_TYPE_INT16},
     {0x00, 0x80, 1, 0, 0x2C, 1},
     {0}, false, {0}, false,
     "1201641a01632201702a1808031201781a11120f0a0d8080feffffffffffff0101ac023803"},
    {"int32", {.name = "x", .type = MM_TYPE_INT32},
     {0, 0, 0, 0x80, 5, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x7F},
     {0}, false, {0}, false,
     "1201641a01632201702a1b08041201781a1412120a1080808080f8ffffffff0105ffffffff073803"},
    {"int64", {.name = "x", .type = MM_TYPE_INT64},
     {0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F},
     {0}, false, {0}, false,
     "1201641a01632201702a1f08051201781a181a160a148080808080808080800100ffffffffffffffff7f3803"},
    {"float", {.name = "x", .type = MM_TYPE_FLOAT},
     {0, 0, 0xC0, 0x3F, 0, 0, 0, 0xC0, 0, 0, 0, 0},
     {0}, false, {0}, false,
     "1201641a01632201702a17080a1201781a10220e0a0c0000c03f000000c0000000003803"},
    {"double", {.name = "x", .type = MM_TYPE_DOUBLE},
     {0, 0, 0, 0, 0, 0, 0xF8, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0},
     {0}, false, {0}, false,
     "1201641a01632201702a23080b1201781a1c2a1a0a18000000000000f83f00000000000000c000000000000000003803"},
    {"varchar", {.name = "x", .type = MM_TYPE_VARCHAR},
     {97, 120, 121, 122},
     {0, 1, 1, 4}, true, {0}, false,
     "1201641a01632201702a1308151201781a0c320a0a01610a000a0378797a3803"},
    {"json", {.name = "x", .type = MM_TYPE_JSON},
     {97, 120, 121, 122},
     {0, 1, 1, 4}, true, {0}, false,
     "1201641a01632201702a1308171201781a0c4a0a0a01610a000a0378797a3803"},
    {"meta", {.name = "x", .type = MM_TYPE_JSON, .dynamic = true},
     {97, 120, 121, 122},
     {0, 1, 1, 4}, true, {0}, false,
     "1201641a01632201702a1908171205246d6574611a0c4a0a0a01610a000a0378797a30013803"},
    {"geometry", {.name = "x", .type = MM_TYPE_GEOMETRY},
     {97, 120, 121, 122},
     {0, 1, 1, 4}, true, {0}, false,
     "1201641a01632201702a1308181201781a0c620a0a01610a000a0378797a3803"},
    {"timestamptz", {.name = "x", .type = MM_TYPE_TIMESTAMPTZ},
     {97, 120, 121, 122},
     {0, 1, 1, 4}, true, {0}, false,
     "1201641a01632201702a13081a1201781a0c320a0a01610a000a0378797a3803"},
    {"array", {.name = "x", .type = MM_TYPE_ARRAY, .element_type = MM_TYPE_INT32},
     {0x12, 4, 0x0A, 2, 1, 2, 0x12, 0, 0x12, 3, 0x0A, 1, 7},
     {0, 6, 8, 13}, true, {0}, false,
     "1201641a01632201702a1e08161201781a1742150a0612040a0201020a0212000a0512030a010710043803"},
    {"float_vector", {.name = "x", .type = MM_TYPE_FLOAT_VECTOR, .dim = 2},
     {0, 0, 0x80, 0x3F, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40, 0, 0, 0x80, 0x40, 0, 0, 0xA0, 0x40, 0, 0, 0xC0, 0x40},
     {0}, false, {0}, false,
     "1201641a01632201702a250865120178221e0802121a0a180000803f0000004000004040000080400000a0400000c0403803"},
    {"binary_vector", {.name = "x", .type = MM_TYPE_BINARY_VECTOR, .dim = 16},
     {0, 1, 2, 3, 4, 5},
     {0}, false, {0}, false,
     "1201641a01632201702a110864120178220a08101a060001020304053803"},
    {"float16_vector", {.name = "x", .type = MM_TYPE_FLOAT16_VECTOR, .dim = 2},
     {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
     {0}, false, {0}, false,
     "1201641a01632201702a17086612017822100802220c000102030405060708090a0b3803"},
    {"bfloat16_vector", {.name = "x", .type = MM_TYPE_BFLOAT16_VECTOR, .dim = 2},
     {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
     {0}, false, {0}, false,
     "1201641a01632201702a170867120178221008022a0c000102030405060708090a0b3803"},
    {"int8_vector", {.name = "x", .type = MM_TYPE_INT8_VECTOR, .dim = 2},
     {0, 1, 2, 3, 4, 5},
     {0}, false, {0}, false,
     "1201641a01632201702a110869120178220a08023a060001020304053803"},
    {"sparse_vector", {.name = "x", .type = MM_TYPE_SPARSE_FLOAT_VECTOR},
     {1, 0, 0, 0, 0, 0, 0, 0x3F, 0, 0, 0, 0, 0, 0, 0x80, 0x3F, 9, 0, 0, 0, 0, 0, 0, 0x40, 3, 0, 0, 0, 0, 0, 0x80, 0x40},
     {0, 8, 24, 32}, true, {0}, false,
     "1201641a01632201702a330868120178222c080a32280a08010000000000003f0a10000000000000803f09000000000000400a080300000000008040100a3803"},
    {"null_int64", {.name = "x", .type = MM_TYPE_INT64, .nullable = true},
     {5, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 6, 0, 0, 0, 0, 0, 0, 0},
     {0}, false, {5}, true,
     "1201641a01632201702a1208051201781a061a040a0205063a030100013803"},
    {"null_varchar", {.name = "x", .type = MM_TYPE_VARCHAR, .nullable = true},
     {97, 120, 121, 122},
     {0, 1, 1, 4}, true, {5}, true,
     "1201641a01632201702a1608151201781a0a32080a01610a0378797a3a030100013803"},
    {"null_vector", {.name = "x", .type = MM_TYPE_FLOAT_VECTOR, .dim = 2, .nullable = true},
     {0, 0, 0x80, 0x3F, 0, 0, 0, 0x40, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0xA0, 0x40, 0, 0, 0xC0, 0x40},
     {0}, false, {5}, true,
     "1201641a01632201702a2208651201782216080212120a100000803f000000400000a0400000c0403a030100013803"},
};

static void set_column(const struct type_case *c, mm_column *column)
{
    union {
        const void *in;
        void *out;
    } values = {c->values}, offsets = {c->offsets}, validity = {c->validity};
    *column = (mm_column){.field = &c->field, .values = values.out};
    if (c->variable)
        column->offsets = offsets.out;
    if (c->nulls)
        column->validity = validity.out;
}

/* The request's bytes in one piece. */
static void join(const mm_encoder *encoder, mm_buffer *out)
{
    out->size = 0;
    for (size_t i = 0; i < encoder->count; i++)
        mm_buffer_append(out, encoder->segments[i].data, encoder->segments[i].size);
    assert_false(out->failed);
}

static void hex_of(const mm_buffer *bytes, mm_buffer *out)
{
    out->size = 0;
    for (size_t i = 0; i < bytes->size; i++)
        mm_buffer_printf(out, "%02x", (uint8_t)bytes->data[i]);
}

static void each_type_is_written_as_the_official_client_writes_it(void **state)
{
    (void)state;
    mm_encoder encoder = {0};
    mm_buffer bytes = MM_BUFFER_INIT, hex = MM_BUFFER_INIT;
    for (size_t i = 0; i < MM_COUNT(cases); i++) {
        mm_error err = MM_ERROR_INIT;
        mm_column column;
        mm_field field = cases[i].field;
        mm_schema schema = {.name = "c", .fields = &field, .field_count = 1};
        set_column(&cases[i], &column);
        mm_batch batch = {.schema = &schema, .columns = &column, .column_count = 1, .rows = ROWS};
        mm_encode_args args = {"d", "c", "p", &batch, 0, ROWS};
        assert_int_equal(mm_encode_rows(&encoder, &args, &err), MM_OK);
        join(&encoder, &bytes);
        hex_of(&bytes, &hex);
        assert_string_equal(hex.data, cases[i].golden);
        assert_true(bytes.size <= mm_encode_size(&batch, 0, ROWS));
    }
    mm_buffer_free(&hex);
    mm_buffer_free(&bytes);
    mm_encoder_free(&encoder);
}

static void vectors_are_pointed_at_and_not_copied(void **state)
{
    (void)state;
    mm_encoder encoder = {0};
    mm_error err = MM_ERROR_INIT;
    float values[4] = {1, 2, 3, 4};
    mm_field field = {.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = 2};
    mm_schema schema = {.name = "c", .fields = &field, .field_count = 1};
    mm_column column = {.field = &field, .values = (uint8_t *)values};
    mm_batch batch = {.schema = &schema, .columns = &column, .column_count = 1, .rows = 2};
    mm_encode_args args = {NULL, "c", NULL, &batch, 1, 2};
    assert_int_equal(mm_encode_rows(&encoder, &args, &err), MM_OK);
    bool found = false;
    for (size_t i = 0; i < encoder.count; i++)
        found = found || (encoder.segments[i].data == values + 2 && encoder.segments[i].size == 8);
    assert_true(found);
    mm_encoder_free(&encoder);
}

/* --- a batch of everything --------------------------------------------------------------------------- */

static void make_everything(mm_schema *schema, mm_field *fields, mm_column *columns, mm_batch *batch)
{
    for (size_t i = 0; i < MM_COUNT(cases); i++) {
        fields[i] = cases[i].field;
        fields[i].name = cases[i].name;
        set_column(&cases[i], &columns[i]);
        columns[i].field = &fields[i];
    }
    *schema = (mm_schema){.name = "c", .fields = fields, .field_count = MM_COUNT(cases)};
    *batch = (mm_batch){.schema = schema, .columns = columns, .column_count = MM_COUNT(cases), .rows = ROWS};
}

/* A QueryResults with the same fields_data: InsertRequest has them as field 5, QueryResults as 2. */
static void as_reply(const mm_buffer *request, mm_buffer *reply)
{
    mm_wire wire = mm_wire_over((const uint8_t *)request->data, request->size);
    mm_wire_field field;
    reply->size = 0;
    while (mm_wire_next(&wire, &field)) {
        if (field.number != 5)
            continue;
        uint8_t head[1 + MM_VARINT_MAX] = {2 << 3 | MM_WIRE_BYTES};
        uint8_t *end = mm_varint_put(head + 1, field.size);
        mm_buffer_append(reply, head, (size_t)(end - head));
        mm_buffer_append(reply, field.data, field.size);
    }
    assert_false(wire.bad);
}

static void encode_all(const mm_batch *batch, size_t from, size_t to, mm_buffer *reply)
{
    mm_encoder encoder = {0};
    mm_buffer bytes = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_encode_args args = {"d", "c", NULL, batch, from, to};
    assert_int_equal(mm_encode_rows(&encoder, &args, &err), MM_OK);
    join(&encoder, &bytes);
    as_reply(&bytes, reply);
    mm_buffer_free(&bytes);
    mm_encoder_free(&encoder);
}

static void assert_same_rows(const mm_batch *want, const mm_batch *have)
{
    assert_int_equal(have->rows, want->rows);
    for (size_t c = 0; c < want->column_count; c++)
        for (size_t r = 0; r < want->rows; r++) {
            size_t n = 0, m = 0;
            const uint8_t *a = mm_column_at(&want->columns[c], r, &n), *b = mm_column_at(&have->columns[c], r, &m);
            assert_int_equal(a == NULL, b == NULL);
            if (a == NULL)
                continue;
            assert_int_equal(n, m);
            if (want->columns[c].field->type == MM_TYPE_BOOL)
                assert_int_equal(*a != 0, *b);
            else
                assert_memory_equal(a, b, n);
        }
}

static void what_is_written_is_read_back_equal_from_several_replies(void **state)
{
    (void)state;
    mm_field fields[MM_COUNT(cases)];
    mm_column columns[MM_COUNT(cases)];
    mm_schema schema;
    mm_batch batch, out = {0};
    mm_error err = MM_ERROR_INIT;
    mm_buffer replies[3] = {MM_BUFFER_INIT, MM_BUFFER_INIT, MM_BUFFER_INIT};
    make_everything(&schema, fields, columns, &batch);
    encode_all(&batch, 0, 2, &replies[0]);
    encode_all(&batch, 2, 2, &replies[1]);
    encode_all(&batch, 2, 3, &replies[2]);
    assert_int_equal(mm_decode_rows(replies, 3, &schema, &out, &err), MM_OK);
    assert_same_rows(&batch, &out);
    for (size_t i = 0; i < 3; i++)
        mm_buffer_free(&replies[i]);
    mm_batch_free(&out);
}

static void a_cut_reply_is_refused_at_every_length(void **state)
{
    (void)state;
    mm_field fields[MM_COUNT(cases)];
    mm_column columns[MM_COUNT(cases)];
    mm_schema schema;
    mm_batch batch;
    mm_buffer reply = MM_BUFFER_INIT;
    make_everything(&schema, fields, columns, &batch);
    encode_all(&batch, 0, ROWS, &reply);
    for (size_t size = 0; size < reply.size; size++) {
        mm_batch out = {0};
        mm_error err = MM_ERROR_INIT;
        mm_buffer cut = {reply.data, size, size, false};
        assert_int_equal(mm_decode_rows(&cut, 1, &schema, &out, &err), MM_DATA);
        mm_batch_free(&out);
    }
    mm_buffer_free(&reply);
}

static void columns_with_different_row_counts_are_refused(void **state)
{
    (void)state;
    mm_field fields[MM_COUNT(cases)];
    mm_column columns[MM_COUNT(cases)];
    mm_schema schema;
    mm_batch batch, out = {0};
    mm_error err = MM_ERROR_INIT;
    mm_buffer reply = MM_BUFFER_INIT, short_one = MM_BUFFER_INIT;
    make_everything(&schema, fields, columns, &batch);
    mm_schema two = {.name = "c", .fields = fields, .field_count = 2};
    batch.column_count = 1;
    encode_all(&batch, 0, ROWS, &reply);
    batch.columns = columns + 1;
    encode_all(&batch, 0, 1, &short_one);
    mm_buffer_append(&reply, short_one.data, short_one.size);
    assert_int_equal(mm_decode_rows(&reply, 1, &two, &out, &err), MM_DATA);
    assert_non_null(strstr(err.text, "number of rows"));
    mm_buffer_free(&reply);
    mm_buffer_free(&short_one);
    mm_batch_free(&out);
}

static void a_field_of_another_type_is_refused(void **state)
{
    (void)state;
    mm_field fields[MM_COUNT(cases)];
    mm_column columns[MM_COUNT(cases)];
    mm_schema schema;
    mm_batch batch, out = {0};
    mm_error err = MM_ERROR_INIT;
    mm_buffer reply = MM_BUFFER_INIT;
    make_everything(&schema, fields, columns, &batch);
    encode_all(&batch, 0, ROWS, &reply);
    mm_field text = {.name = "int64", .type = MM_TYPE_VARCHAR};
    mm_schema asked = {.name = "c", .fields = &text, .field_count = 1};
    assert_int_equal(mm_decode_rows(&reply, 1, &asked, &out, &err), MM_DATA);
    mm_buffer_free(&reply);
    mm_batch_free(&out);
}

static void a_null_where_none_may_be_is_refused_before_sending(void **state)
{
    (void)state;
    mm_encoder encoder = {0};
    mm_error err = MM_ERROR_INIT;
    uint8_t values[2] = {1, 2}, validity[1] = {1};
    mm_field field = {.name = "b", .type = MM_TYPE_BOOL};
    mm_schema schema = {.name = "c", .fields = &field, .field_count = 1};
    mm_column column = {.field = &field, .values = values, .validity = validity};
    mm_batch batch = {.schema = &schema, .columns = &column, .column_count = 1, .rows = 2};
    mm_encode_args args = {NULL, "c", NULL, &batch, 0, 2};
    assert_int_equal(mm_encode_rows(&encoder, &args, &err), MM_DATA);
    mm_encoder_free(&encoder);
}

static void an_auto_id_key_and_the_partition_of_a_partition_key_are_left_out(void **state)
{
    (void)state;
    mm_encoder encoder = {0};
    mm_buffer bytes = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    int64_t keys[1] = {7};
    uint8_t flag[1] = {1};
    mm_field fields[2] = {{.name = "id", .type = MM_TYPE_INT64, .primary = true, .auto_id = true},
                          {.name = "b", .type = MM_TYPE_BOOL, .partition_key = true}};
    mm_schema schema = {.name = "c", .fields = fields, .field_count = 2};
    mm_column columns[2] = {{.field = &fields[0], .values = (uint8_t *)keys}, {.field = &fields[1], .values = flag}};
    mm_batch batch = {.schema = &schema, .columns = columns, .column_count = 2, .rows = 1};
    mm_encode_args args = {NULL, "c", "p", &batch, 0, 1};
    assert_int_equal(mm_encode_rows(&encoder, &args, &err), MM_OK);
    join(&encoder, &bytes);
    mm_wire wire = mm_wire_over((const uint8_t *)bytes.data, bytes.size);
    mm_wire_field field;
    size_t columns_sent = 0;
    while (mm_wire_next(&wire, &field)) {
        assert_int_not_equal(field.number, 4);
        columns_sent += field.number == 5;
    }
    assert_int_equal(columns_sent, 1);
    mm_buffer_free(&bytes);
    mm_encoder_free(&encoder);
}

static void a_request_takes_as_many_rows_as_fit_and_at_least_one(void **state)
{
    (void)state;
    float values[1000] = {0};
    mm_field field = {.name = "v", .type = MM_TYPE_FLOAT_VECTOR, .dim = 10};
    mm_schema schema = {.name = "c", .fields = &field, .field_count = 1};
    mm_column column = {.field = &field, .values = (uint8_t *)values};
    mm_batch batch = {.schema = &schema, .columns = &column, .column_count = 1, .rows = 100};
    assert_int_equal(mm_encode_fit(&batch, 0, 1 << 20), 100);
    assert_int_equal(mm_encode_fit(&batch, 40, 1), 41);
    assert_int_equal(mm_encode_fit(&batch, 99, 1), 100);
    size_t to = mm_encode_fit(&batch, 10, 2000);
    assert_true(mm_encode_size(&batch, 10, to) <= 2000 && mm_encode_size(&batch, 10, to + 1) > 2000);
}

/* --- expressions ------------------------------------------------------------------------------------- */

static void integer_keys_are_listed_and_the_smallest_is_compared(void **state)
{
    (void)state;
    int64_t keys[4] = {5, INT64_MIN, -7, INT64_MAX};
    mm_field field = {.name = "id", .type = MM_TYPE_INT64, .primary = true};
    mm_schema schema = {.name = "c", .fields = &field, .field_count = 1};
    mm_column column = {.field = &field, .values = (uint8_t *)keys};
    mm_batch batch = {.schema = &schema, .columns = &column, .column_count = 1, .rows = 4};
    mm_buffer expr = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    size_t next;
    assert_int_equal(mm_milvus_keys_expr(&batch, 0, 4, 0, &expr, &next, &err), MM_OK);
    assert_string_equal(expr.data, "id in [5,-7,9223372036854775807] or id < -9223372036854775807");
    assert_int_equal(next, 4);
    expr.size = 0;
    assert_int_equal(mm_milvus_keys_expr(&batch, 2, 4, 1, &expr, &next, &err), MM_OK);
    assert_string_equal(expr.data, "id in [-7]");
    assert_int_equal(next, 3);
    mm_buffer_free(&expr);
}

static void text_keys_are_quoted_with_the_escapes_that_every_server_knows(void **state)
{
    (void)state;
    uint8_t text[] = "a\"b\\c\n\r\td'\xC3\xA9";
    uint64_t offsets[2] = {0, sizeof(text) - 1};
    mm_field field = {.name = "key", .type = MM_TYPE_VARCHAR, .primary = true};
    mm_schema schema = {.name = "c", .fields = &field, .field_count = 1};
    mm_column column = {.field = &field, .values = text, .offsets = offsets};
    mm_batch batch = {.schema = &schema, .columns = &column, .column_count = 1, .rows = 1};
    mm_buffer expr = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    size_t next;
    assert_int_equal(mm_milvus_keys_expr(&batch, 0, 1, 0, &expr, &next, &err), MM_OK);
    assert_string_equal(expr.data, "key in [\"a\\\"b\\\\c\\n\\r\\td'\xC3\xA9\"]");
    mm_buffer_free(&expr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_written_as_the_official_client_writes_it),
        cmocka_unit_test(vectors_are_pointed_at_and_not_copied),
        cmocka_unit_test(what_is_written_is_read_back_equal_from_several_replies),
        cmocka_unit_test(a_cut_reply_is_refused_at_every_length),
        cmocka_unit_test(columns_with_different_row_counts_are_refused),
        cmocka_unit_test(a_field_of_another_type_is_refused),
        cmocka_unit_test(a_null_where_none_may_be_is_refused_before_sending),
        cmocka_unit_test(an_auto_id_key_and_the_partition_of_a_partition_key_are_left_out),
        cmocka_unit_test(a_request_takes_as_many_rows_as_fit_and_at_least_one),
        cmocka_unit_test(integer_keys_are_listed_and_the_smallest_is_compared),
        cmocka_unit_test(text_keys_are_quoted_with_the_escapes_that_every_server_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
