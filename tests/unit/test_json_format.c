/* The formats json and jsonl: rows of every type come back bit for bit, in parts, from places in the middle and from
 * units that were written in two goes; what is wrong in a file is refused with file, line and byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/format.h"
#include "model/array.h"

#define ROWS 400

static mm_field all_fields[] = {
    {.name = "id", .type = MM_TYPE_INT64, .primary = true},
    {.name = "b", .type = MM_TYPE_BOOL},
    {.name = "i8", .type = MM_TYPE_INT8},
    {.name = "i16", .type = MM_TYPE_INT16},
    {.name = "i32", .type = MM_TYPE_INT32, .nullable = true},
    {.name = "f", .type = MM_TYPE_FLOAT},
    {.name = "d", .type = MM_TYPE_DOUBLE, .nullable = true},
    {.name = "text", .type = MM_TYPE_VARCHAR, .max_length = 100, .nullable = true},
    {.name = "json", .type = MM_TYPE_JSON},
    {.name = "ints", .type = MM_TYPE_ARRAY, .element_type = MM_TYPE_INT32, .max_capacity = 9},
    {.name = "words", .type = MM_TYPE_ARRAY, .element_type = MM_TYPE_VARCHAR, .max_capacity = 9, .nullable = true},
    {.name = "reals", .type = MM_TYPE_ARRAY, .element_type = MM_TYPE_FLOAT, .max_capacity = 9},
    {.name = "vector", .type = MM_TYPE_FLOAT_VECTOR, .dim = 7},
    {.name = "bits", .type = MM_TYPE_BINARY_VECTOR, .dim = 24},
    {.name = "half", .type = MM_TYPE_FLOAT16_VECTOR, .dim = 5},
    {.name = "brain", .type = MM_TYPE_BFLOAT16_VECTOR, .dim = 5},
    {.name = "sparse", .type = MM_TYPE_SPARSE_FLOAT_VECTOR},
    {.name = "bytes", .type = MM_TYPE_INT8_VECTOR, .dim = 6},
    {.name = "meta", .type = MM_TYPE_JSON, .dynamic = true},
};
static const mm_schema all = {.name = "all", .fields = all_fields, .field_count = MM_COUNT(all_fields)};

static uint64_t seed = 12345;
static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* --- rows of every type --- */

static void add_text(mm_buffer *values, const mm_field *field, size_t row)
{
    static const char *const jsons[] = {"{}", "{\"a\": [1, 2.50, \"x\\ny\"]}", "[1,2]", "7", "\"text\"", "null",
                                        "{\n\"b\": 1}"};
    static const char texts[] = "a\"b\\c\n\x01\xc3\xa9\xf0\x9f\x98\x80 end";
    mm_array_value items[3];
    switch (field->type) {
    case MM_TYPE_JSON:
        mm_buffer_append(values, jsons[field->dynamic ? row % 2 : row % MM_COUNT(jsons)],
                         strlen(jsons[field->dynamic ? row % 2 : row % MM_COUNT(jsons)]));
        break;
    case MM_TYPE_ARRAY:
        for (size_t i = 0; i < 3; i++) {
            if (field->element_type == MM_TYPE_INT32)
                items[i].integer = (int32_t)draw();
            else if (field->element_type == MM_TYPE_FLOAT)
                items[i].f32 = (float)draw() / 3.0f;
            else
                items[i].text.data = (const uint8_t *)texts, items[i].text.size = sizeof(texts) - 1;
        }
        mm_array_append(values, field->element_type, items, row % 4);
        break;
    case MM_TYPE_SPARSE_FLOAT_VECTOR:
        for (uint32_t i = 0; i < row % 5; i++) {
            uint32_t index = i * 1000000007u % 4294967290u / 5 + i * 800000000u;
            float value = (float)(draw() % 1000) / 7.0f;
            mm_buffer_append(values, &index, 4);
            mm_buffer_append(values, &value, 4);
        }
        break;
    default:
        mm_buffer_append(values, texts, row % 2 ? 7 : sizeof(texts) - 1);
        if (row % 5 == 0)
            values->size -= values->size > 0 ? 1 : 0; /* less a letter of "end" or a newline */
    }
}

static void add_fixed(uint8_t *to, const mm_field *field, size_t width)
{
    for (size_t i = 0; i < width; i++)
        to[i] = (uint8_t)draw();
    for (size_t i = 0; i < width; i++) { /* no exponent of all ones: finite */
        if (field->type == MM_TYPE_BOOL)
            to[i] &= 1;
        if ((field->type == MM_TYPE_FLOAT || field->type == MM_TYPE_FLOAT_VECTOR) && i % 4 == 3)
            to[i] &= 0xBF;
        if ((field->type == MM_TYPE_FLOAT16_VECTOR || field->type == MM_TYPE_BFLOAT16_VECTOR) && i % 2 == 1)
            to[i] &= 0xBF;
        if (field->type == MM_TYPE_DOUBLE && i == 7)
            to[i] &= 0xBF;
    }
}

static void make(mm_batch *batch, size_t rows)
{
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_batch_begin(batch, &all, rows, &err), MM_OK);
    for (size_t c = 0; c < all.field_count; c++) {
        const mm_field *field = &all.fields[c];
        mm_column *column = &batch->columns[c];
        size_t width = mm_type_width(field->type, field->dim);
        mm_buffer values = MM_BUFFER_INIT;
        if (field->nullable) {
            column->validity = mm_arena_alloc(&batch->arena, rows / 8 + 1);
            memset(column->validity, 0xFF, rows / 8 + 1);
        }
        for (size_t row = 0; row < rows; row++) {
            bool null = field->nullable && (row + c) % 3 == 0;
            if (null)
                column->validity[row / 8] &= (uint8_t) ~(1u << row % 8);
            if (width == 0) {
                if (!null)
                    add_text(&values, field, row);
                column->offsets[row + 1] = values.size;
            } else if (null) {
                memset(column->values + row * width, 0, width);
            } else {
                add_fixed(column->values + row * width, field, width);
            }
        }
        if (width == 0) {
            column->values = mm_arena_alloc(&batch->arena, values.size);
            memcpy(column->values, values.data ? values.data : "", values.size);
        }
        mm_buffer_free(&values);
    }
    batch->rows = rows;
    mm_batch_hash(batch);
}

static mm_status keep(void *context, size_t file, const void *bytes, size_t size, mm_error *err)
{
    (void)err;
    assert_int_equal(file, 0);
    mm_buffer_append(context, bytes, size);
    return MM_OK;
}

/* In two goes: the second one has nothing but the state of the first. */
static void write_unit(const mm_format_driver *format, const mm_batch *batch, size_t first, mm_buffer *text)
{
    mm_error err = MM_ERROR_INIT;
    mm_format_out out = {text, keep};
    mm_buffer state = MM_BUFFER_INIT;
    mm_format_write_args args = {.schema = batch->schema};
    mm_format_writer *writer;
    assert_int_equal(format->write_open(&args, &writer, &err), MM_OK);
    assert_int_equal(format->write_begin(writer, &out, &err), MM_OK);
    assert_int_equal(format->write_rows(writer, batch, 0, first, &out, &err), MM_OK);
    assert_int_equal(format->write_state(writer, &state, &err), MM_OK);
    format->write_close(writer);
    args.state = state.data;
    assert_int_equal(format->write_open(&args, &writer, &err), MM_OK);
    assert_int_equal(format->write_rows(writer, batch, first, batch->rows - first, &out, &err), MM_OK);
    assert_int_equal(format->write_end(writer, &out, &err), MM_OK);
    format->write_close(writer);
    mm_buffer_free(&state);
    assert_false(text->failed);
}

/* --- reading --- */

typedef struct parts {
    mm_format_part list[2000];
    size_t count;
} parts;

static mm_status add_part(void *context, const mm_format_part *part, mm_error *err)
{
    parts *all_parts = context;
    (void)err;
    assert_true(all_parts->count < MM_COUNT(all_parts->list));
    all_parts->list[all_parts->count++] = *part;
    return MM_OK;
}

static mm_status open_text(const mm_format_driver *format, const char *text, size_t size, const mm_schema *schema,
                           mm_input **input, mm_format_reader **reader, mm_error *err)
{
    assert_int_equal(mm_input_memory("t.jsonl", text, size, input, err), MM_OK);
    const mm_input *inputs[] = {*input};
    mm_format_read_args args = {.inputs = inputs, .count = 1, .schema = schema};
    mm_status status = format->read_open(&args, reader, err);
    if (status != MM_OK)
        *reader = NULL;
    return status;
}

/* Sum of the hashes of the rows of a part, from its row `skip` on. */
static uint64_t read_part(const mm_format_driver *format, mm_format_reader *reader, const mm_format_part *part,
                          uint64_t skip, size_t max_rows, uint64_t *rows)
{
    mm_error err = MM_ERROR_INIT;
    mm_batch batch = {0};
    uint64_t sum = 0;
    mm_status status = format->read_seek(reader, part, part->first + skip, &err);
    while (status == MM_OK && (status = format->read_next(reader, max_rows, 1 << 14, &batch, &err)) == MM_OK) {
        assert_true(batch.rows > 0 && batch.rows <= max_rows);
        mm_batch_hash(&batch);
        sum += batch.checksum;
        *rows += batch.rows;
        mm_batch_reset(&batch);
    }
    if (status != MM_END)
        fail_msg("%s", err.text);
    mm_batch_free(&batch);
    return sum;
}

static void rows_of_every_type_come_back(const mm_format_driver *format)
{
    mm_batch batch = {0};
    mm_error err = MM_ERROR_INIT;
    mm_input *input;
    mm_format_reader *reader;
    make(&batch, ROWS);
    for (size_t first = 0; first <= ROWS; first += ROWS / 2) {
        mm_buffer text = MM_BUFFER_INIT;
        write_unit(format, &batch, first, &text);
        static const uint64_t sizes[] = {1, 1000, 20000, 1 << 20};
        for (size_t s = 0; s < MM_COUNT(sizes); s++) {
            static parts found;
            uint64_t rows = 0, sum = 0, counted;
            found.count = 0;
            assert_int_equal(open_text(format, text.data, text.size, &all, &input, &reader, &err), MM_OK);
            assert_int_equal(format->read_count(reader, &counted, &err), MM_OK);
            assert_int_equal(counted, ROWS);
            assert_int_equal(format->read_parts(reader, sizes[s], add_part, &found, &err), MM_OK);
            for (size_t p = found.count; p-- > 0;) {
                assert_int_equal(found.list[p].first, p == 0 ? 0 : found.list[p - 1].first + found.list[p - 1].rows);
                uint64_t skipped = 0;
                sum += read_part(format, reader, &found.list[p], 0, 7, &rows);
                if (found.list[p].rows > 2)
                    read_part(format, reader, &found.list[p], found.list[p].rows - 2, 100, &skipped);
                assert_int_equal(skipped, found.list[p].rows > 2 ? 2 : 0);
            }
            assert_int_equal(rows, ROWS);
            assert_int_equal(sum, batch.checksum);
            assert_true(s == 0 ? found.count == ROWS : s == 3 ? found.count == 1 : found.count > 1);
            format->read_close(reader);
            mm_input_close(input);
        }
        mm_buffer_free(&text);
    }
    mm_batch_free(&batch);
}

static void rows_of_every_type_come_back_from_jsonl(void **state)
{
    (void)state;
    rows_of_every_type_come_back(&mm_format_jsonl);
}

static void rows_of_every_type_come_back_from_json(void **state)
{
    (void)state;
    rows_of_every_type_come_back(&mm_format_json);
}

static void values_without_a_form_are_refused(void **state)
{
    (void)state;
    static mm_field fields[] = {{.name = "id", .type = MM_TYPE_INT64}, {.name = "x", .type = MM_TYPE_FLOAT}};
    static mm_field texts[] = {{.name = "id", .type = MM_TYPE_VARCHAR}, {.name = "x", .type = MM_TYPE_JSON}};
    const mm_schema numbers = {.name = "n", .fields = fields, .field_count = 2},
        words = {.name = "w", .fields = texts, .field_count = 2};
    mm_error err = MM_ERROR_INIT;
    mm_batch batch = {0};
    mm_buffer text = MM_BUFFER_INIT;
    mm_format_out out = {&text, keep};
    mm_format_writer *writer;
    uint32_t nan = 0x7FC00000;
    assert_int_equal(mm_batch_begin(&batch, &numbers, 1, &err), MM_OK);
    memset(batch.columns[0].values, 0, 8);
    memcpy(batch.columns[1].values, &nan, 4);
    batch.rows = 1;
    mm_format_write_args args = {.schema = &numbers};
    assert_int_equal(mm_format_jsonl.write_open(&args, &writer, &err), MM_OK);
    assert_int_equal(mm_format_jsonl.write_rows(writer, &batch, 0, 1, &out, &err), MM_DATA);
    assert_non_null(strstr(err.text, "field x: NaN"));
    mm_format_jsonl.write_close(writer);
    mm_batch_reset(&batch);
    for (int wrong = 0; wrong < 2; wrong++) {
        assert_int_equal(mm_batch_begin(&batch, &words, 1, &err), MM_OK);
        for (int c = 0; c < 2; c++) {
            static uint8_t bytes[] = {0xff, '{'};
            batch.columns[c].values = bytes + wrong;
            batch.columns[c].offsets[1] = 1;
        }
        batch.rows = 1;
        args.schema = &words;
        assert_int_equal(mm_format_jsonl.write_open(&args, &writer, &err), MM_OK);
        assert_int_equal(mm_format_jsonl.write_rows(writer, &batch, 0, 1, &out, &err), MM_DATA);
        assert_non_null(strstr(err.text, wrong ? "field x: not JSON" : "field id: not UTF-8"));
        mm_format_jsonl.write_close(writer);
        mm_batch_reset(&batch);
    }
    mm_batch_free(&batch);
    mm_buffer_free(&text);
}

/* --- what is wrong in files --- */

static mm_field some_fields[] = {
    {.name = "id", .type = MM_TYPE_INT64, .primary = true},
    {.name = "vector", .type = MM_TYPE_FLOAT_VECTOR, .dim = 2},
    {.name = "note", .type = MM_TYPE_VARCHAR, .nullable = true, .max_length = 10},
    {.name = "small", .type = MM_TYPE_INT8, .nullable = true},
    {.name = "bits", .type = MM_TYPE_BINARY_VECTOR, .dim = 8, .nullable = true},
    {.name = "half", .type = MM_TYPE_FLOAT16_VECTOR, .dim = 1, .nullable = true},
    {.name = "sparse", .type = MM_TYPE_SPARSE_FLOAT_VECTOR, .nullable = true},
    {.name = "json", .type = MM_TYPE_JSON, .nullable = true},
    {.name = "list", .type = MM_TYPE_ARRAY, .element_type = MM_TYPE_INT16, .nullable = true},
};
static const mm_schema some = {.name = "some", .fields = some_fields, .field_count = MM_COUNT(some_fields)};

/* Reads all of a text. */
static mm_status read_text(const mm_format_driver *format, const char *text, const mm_schema *schema, uint64_t *rows,
                           mm_error *err)
{
    mm_input *input;
    mm_format_reader *reader;
    mm_batch batch = {0};
    mm_status status = open_text(format, text, strlen(text), schema, &input, &reader, err);
    static parts found;
    found.count = 0;
    *rows = 0;
    if (status == MM_OK)
        status = format->read_parts(reader, 1 << 20, add_part, &found, err);
    for (size_t p = 0; status == MM_OK && p < found.count; p++) {
        status = format->read_seek(reader, &found.list[p], found.list[p].first, err);
        while (status == MM_OK && (status = format->read_next(reader, 3, 1 << 20, &batch, err)) == MM_OK) {
            *rows += batch.rows;
            mm_batch_reset(&batch);
        }
        status = status == MM_END ? MM_OK : status;
    }
    if (reader != NULL)
        format->read_close(reader);
    mm_input_close(input);
    mm_batch_free(&batch);
    return status;
}

static void mistakes_are_named_by_file_line_and_byte(void **state)
{
    (void)state;
#define GOOD "{\"id\":1,\"vector\":[1,2]}\n"
    static const struct {
        const char *text, *words;
    } rows[] = {
        {GOOD "{\"id\":2}", "t.jsonl: line 2, byte 24: the row has no `vector`"},
        {GOOD "\n\n{\"id\":2,\"vektor\":[1,2]}", "line 4, byte 43: unknown key `vektor` (did you mean `vector`?)"},
        {GOOD "{\"id\":2,\"id\":2,\"vector\":[1,2]}", "byte 37: key `id` stands there twice"},
        {GOOD "{\"id\":null,\"vector\":[1,2]}", "byte 30: field id: null, and the field is not nullable"},
        {"{\"id\":1.5,\"vector\":[1,2]}", "field id: 1.5 is no integer of 64 bits"},
        {"{\"id\":9223372036854775808,\"vector\":[1,2]}", "is no integer"},
        {"{\"id\":\"1\",\"vector\":[1,2]}", "field id: a number is wanted, not a string"},
        {"{\"id\":1,\"vector\":[1]}", "field vector: 1 numbers instead of 2"},
        {"{\"id\":1,\"vector\":[1,2,3]}", "field vector: more than 2 numbers"},
        {"{\"id\":1,\"vector\":[1,1e39]}", "field vector: a number beyond the range of a float"},
        {"{\"id\":1,\"vector\":[1,NaN]}", "byte 20: field vector: a value is wanted, not 'N'"},
        {"{\"id\":1,\"vector\":[1,2],\"small\":128}", "field small: 128 is no integer of 8 bits"},
        {"{\"id\":1,\"vector\":[1,2],\"bits\":[256]}", "from 0 to 255"},
        {"{\"id\":1,\"vector\":[1,2],\"half\":[70000]}", "16-bit float"},
        {"{\"id\":1,\"vector\":[1,2],\"sparse\":{\"x\":1}}", "`x` is no index"},
        {"{\"id\":1,\"vector\":[1,2],\"sparse\":{\"4294967295\":1}}", "no index"},
        {"{\"id\":1,\"vector\":[1,2],\"sparse\":{\"5\":1,\"5\":2}}", "index 5 of a sparse vector stands there twice"},
        {"{\"id\":1,\"vector\":[1,2],\"sparse\":{\"indices\":[1],\"values\":[1,2]}}", "as many indices as values"},
        {"{\"id\":1,\"vector\":[1,2],\"sparse\":{\"indices\":[1],\"7\":1}}", "{indices, values}"},
        {"{\"id\":1,\"vector\":[1,2],\"json\":\"{\"}", "field json: a string that holds no JSON"},
        {"{\"id\":1,\"vector\":[1,2],\"list\":[1,null]}", "field list: a number is wanted, not null"},
        {"{\"id\":1,\"vector\":[1,2],\"list\":[40000]}", "is no integer of 16 bits"},
        {"{\"id\":1,\"vector\":[1,2]", "ends in the middle of a value"},
        {"{\"id\":1,\"vector\":[1,2]} {}", "byte 24: the end of the text is wanted"},
        {"[1]", "line 1, byte 0: an object is wanted, not an array"},
        {"{\"a\\n\\u0007\":1}", "unknown key `a??`"},
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_error err = MM_ERROR_INIT;
        uint64_t count;
        mm_status status = read_text(&mm_format_jsonl, rows[i].text, &some, &count, &err);
        if (status != MM_DATA || strstr(err.text, rows[i].words) == NULL || strstr(err.text, "t.jsonl: line ") == NULL)
            fail_msg("%s: status %d, %s", rows[i].text, (int)status, err.text);
    }
}

static void the_frame_of_json_is_checked(void **state)
{
    (void)state;
#define ROW "{\"id\":1,\"vector\":[1,2]}"
    static const struct {
        const char *text, *words;
        uint64_t rows;
    } rows[] = {
        {"[]", NULL, 0}, {"[" ROW "]", NULL, 1}, {" { \"rows\" : [ " ROW " ,\n" ROW " ] } \n", NULL, 2},
            {"{\"rows\":[]}", NULL, 0},
        {"", "ends before its rows", 0}, {"[", "before the rows are closed", 0},
            {"[" ROW, "before the rows are closed", 0},
        {"[" ROW ",]", "an object is wanted", 0}, {"[," ROW "]", "an object is wanted", 0},
            {"[" ROW ROW "]", "',' or ']' is wanted behind", 0},
        {"[" ROW "] x", "something stands behind", 0}, {"{\"rows\":[" ROW "]", "'}' is wanted", 0},
            {"{\"row\":[]}", "is wanted before the rows", 0},
        {"{\"rows\":{}}", "is wanted before the rows", 0}, {"[1]", "an object is wanted", 0},
            {"[" ROW ",,"  ROW "]", "an object is wanted", 0},
        {"[{\"id\":1", "the file ends in the middle of a row", 0}, {"[{\"id\":1,\"vector\":[1,2}]}]",
                                                                    "',' or ']' is wanted", 0},
        {"{\"rows\":[" ROW "],\"more\":1}", "'}' is wanted", 0},
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_error err = MM_ERROR_INIT;
        uint64_t count;
        mm_status status = read_text(&mm_format_json, rows[i].text, &some, &count, &err);
        if (status != (rows[i].words ? MM_DATA : MM_OK) || (rows[i].words && strstr(err.text, rows[i].words) == NULL) ||
            (!rows[i].words && count != rows[i].rows))
            fail_msg("%s: status %d, %d rows, %s", rows[i].text, (int)status, (int)count, err.text);
    }
}

static void a_line_of_more_than_64_mib_is_refused(void **state)
{
    (void)state;
    size_t size = ((size_t)64 << 20) + 100;
    char *text = malloc(size);
    mm_error err = MM_ERROR_INIT;
    mm_input *input;
    mm_format_reader *reader;
    uint64_t rows;
    memset(text, ' ', size);
    text[0] = '{';
    assert_int_equal(open_text(&mm_format_jsonl, text, size, &some, &input, &reader, &err), MM_OK);
    assert_int_equal(mm_format_jsonl.read_count(reader, &rows, &err), MM_DATA);
    assert_non_null(strstr(err.text, "a line of more than 64 MiB"));
    mm_format_jsonl.read_close(reader);
    mm_input_close(input);
    free(text);
}

static void types_are_told_from_the_rows(void **state)
{
    (void)state;
    static const char text[] = "{\"id\":1,\"v\":[1,2.5],\"s\":\"x\",\"b\":true,\"d\":1,\"o\":{},\"l\":[\"a\"],\"n\":[1]}\n"
                               "{\"id\":2,\"v\":[1,2],\"s\":null,\"b\":false,\"d\":1.5,\"o\":{\"a\":1},\"l\":[],\"n\":[1,2]}\n";
    static const struct {
        const char *name;
        mm_type type, element;
        uint32_t dim;
        bool nullable;
    } want[] = {{"id", MM_TYPE_INT64, 0, 0, false}, {"v", MM_TYPE_FLOAT_VECTOR, 0, 2, false},
                {"s", MM_TYPE_VARCHAR, 0, 0, true}, {"b", MM_TYPE_BOOL, 0, 0, false},
                {"d", MM_TYPE_DOUBLE, 0, 0, false}, {"o", MM_TYPE_JSON, 0, 0, false},
                {"l", MM_TYPE_ARRAY, MM_TYPE_VARCHAR, 0, false}, {"n", MM_TYPE_ARRAY, MM_TYPE_INT64, 0, false}};
    mm_error err = MM_ERROR_INIT;
    mm_input *input;
    mm_format_reader *reader;
    assert_int_equal(open_text(&mm_format_jsonl, text, sizeof(text) - 1, NULL, &input, &reader, &err), MM_OK);
    const mm_schema *schema = mm_format_jsonl.read_schema(reader);
    assert_int_equal(schema->field_count, MM_COUNT(want));
    for (size_t i = 0; i < MM_COUNT(want); i++) {
        const mm_field *field = &schema->fields[i];
        assert_string_equal(field->name, want[i].name);
        assert_int_equal(field->type, want[i].type);
        assert_int_equal(field->element_type, want[i].element);
        assert_int_equal(field->dim, want[i].dim);
        assert_int_equal(field->nullable, want[i].nullable);
    }
    mm_format_jsonl.read_close(reader);
    mm_input_close(input);
    uint64_t rows;
    assert_int_equal(read_text(&mm_format_jsonl, "{\"a\":null}", NULL, &rows, &err), MM_DATA);
    assert_non_null(strstr(err.text, "field a"));
    assert_int_equal(read_text(&mm_format_jsonl, "{\"a\":1}{\"a\":\"x\"}", NULL, &rows, &err), MM_DATA);
}

static void unknown_keys_go_to_the_dynamic_field(void **state)
{
    (void)state;
    static mm_field fields[] = {{.name = "id", .type = MM_TYPE_INT64}, {.name = "rest", .type = MM_TYPE_JSON,
                                                                        .dynamic = true}};
    const mm_schema schema = {.name = "d", .fields = fields, .field_count = 2};
    static const char text[] = "{\"id\":1,\"a\":[1, 2],\"b\\n\":\"x\"}\n{\"id\":2}\n{\"$meta\":{\"c\":1},\"id\":3}\n";
    static const char *const want[] = {"{\"a\":[1, 2],\"b\\n\":\"x\"}", "{}", "{\"c\":1}"};
    mm_error err = MM_ERROR_INIT;
    mm_input *input;
    mm_format_reader *reader;
    mm_batch batch = {0};
    assert_int_equal(open_text(&mm_format_jsonl, text, sizeof(text) - 1, &schema, &input, &reader, &err), MM_OK);
    mm_format_part part = {0, 3, 0, 0};
    assert_int_equal(mm_format_jsonl.read_seek(reader, &part, 0, &err), MM_OK);
    assert_int_equal(mm_format_jsonl.read_next(reader, 10, 1000, &batch, &err), MM_OK);
    assert_int_equal(batch.rows, 3);
    for (size_t row = 0; row < 3; row++) {
        size_t size;
        const uint8_t *value = mm_column_at(&batch.columns[1], row, &size);
        assert_int_equal(size, strlen(want[row]));
        assert_memory_equal(value, want[row], size);
    }
    mm_batch_free(&batch);
    mm_format_jsonl.read_close(reader);
    mm_input_close(input);
    uint64_t rows;
    assert_int_equal(read_text(&mm_format_jsonl, "{\"id\":1,\"$meta\":{},\"x\":1}", &schema, &rows, &err), MM_DATA);
}

static void a_sparse_vector_comes_in_any_order(void **state)
{
    (void)state;
    static mm_field fields[] = {{.name = "s", .type = MM_TYPE_SPARSE_FLOAT_VECTOR}};
    const mm_schema schema = {.name = "s", .fields = fields, .field_count = 1};
    static const char text[] = "{\"s\":{\"9\":1,\"3\":2,\"5\":0.5}}\n"
                               "{\"s\":{\"values\":[1,2,0.5],\"indices\":[9,3,5]}}\n";
    static const struct {
        uint32_t index;
        float value;
    } want[] = {{3, 2.0f}, {5, 0.5f}, {9, 1.0f}};
    mm_error err = MM_ERROR_INIT;
    mm_input *input;
    mm_format_reader *reader;
    mm_batch batch = {0};
    assert_int_equal(open_text(&mm_format_jsonl, text, sizeof(text) - 1, &schema, &input, &reader, &err), MM_OK);
    mm_format_part part = {0, 2, 0, 0};
    assert_int_equal(mm_format_jsonl.read_seek(reader, &part, 0, &err), MM_OK);
    assert_int_equal(mm_format_jsonl.read_next(reader, 10, 1000, &batch, &err), MM_OK);
    for (size_t row = 0; row < 2; row++) {
        size_t size;
        const uint8_t *value = mm_column_at(&batch.columns[0], row, &size);
        assert_int_equal(size, sizeof(want));
        assert_memory_equal(value, want, size);
    }
    mm_batch_free(&batch);
    mm_format_jsonl.read_close(reader);
    mm_input_close(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_every_type_come_back_from_jsonl),
        cmocka_unit_test(rows_of_every_type_come_back_from_json),
        cmocka_unit_test(values_without_a_form_are_refused),
        cmocka_unit_test(mistakes_are_named_by_file_line_and_byte),
        cmocka_unit_test(the_frame_of_json_is_checked),
        cmocka_unit_test(a_line_of_more_than_64_mib_is_refused),
        cmocka_unit_test(types_are_told_from_the_rows),
        cmocka_unit_test(unknown_keys_go_to_the_dynamic_field),
        cmocka_unit_test(a_sparse_vector_comes_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
