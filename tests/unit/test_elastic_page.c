/* Answers of Elasticsearch and OpenSearch into columns: each type in each form that a document may have it, what is a
 * reject, and what is refused. Hand-written answers; no server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "support/elastic_fixture.h"

typedef struct value {
    const char *type; /* the field's mapping */
    const char *text; /* its value in the document */
    const char *want; /* its text in the row; "! …" the beginning of a reject's reason */
} value;

/* A document {"f": text}, whose field is not looked at in a sample. */
static void check(const value *values, size_t count, const mm_elastic_choice *choice)
{
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    for (size_t i = 0; i < count; i++) {
        char *properties = mm_format("{\"f\":%s}", values[i].type), *source = mm_format("{\"f\":%s}", values[i].text);
        const char *const sources[] = {source};
        mm_buffer answer = MM_BUFFER_INIT;
        elastic_answer(&answer, sources, 1);
        const char *rows = NULL;
        if (elastic_fields(&f, properties, choice, NULL) == MM_OK)
            rows = elastic_rows(&f, answer.data, answer.size, false, SIZE_MAX);
        bool reject = values[i].want[0] == '!';
        char *want = reject ? mm_format("! a f: %s", values[i].want + 2) : mm_format("_id=a f=%s\n", values[i].want);
        if (rows == NULL || (reject ? strncmp(rows, want, strlen(want)) != 0 : strcmp(rows, want) != 0))
            fail_msg("%s, %s: %s%s, not %s", values[i].type, values[i].text, rows ? rows : "refused: ",
                     rows ? "" : f.err.text, want);
        mm_buffer_free(&answer);
        free(properties);
        free(source);
        free(want);
    }
    elastic_close(&f);
}

#define T(name) "{\"type\":\"" name "\"}"

static void scalars_become_what_they_are(void **state)
{
    (void)state;
    static const value values[] = {
        {T("long"), "-9223372036854775808", "-9223372036854775808"},
        {T("long"), "9223372036854775808", "! 9223372036854775808 is no integer of 64 bits"},
        {T("long"), "\"42\"", "42"},
        {T("long"), "42.0", "42"},
        {T("long"), "42.5", "! 42.5 is no integer"},
        {T("long"), "\"4x\"", "! the text `4x` is no number"},
        {T("long"), "\"\"", "! the text `` is no number"},
        {T("long"), "true", "! a number is wanted, not a truth value"},
        {T("long"), "{\"a\":1}", "! a number is wanted, not an object"},
        {T("unsigned_long"), "9223372036854775807", "9223372036854775807"},
        {T("unsigned_long"), "18446744073709551615", "! 18446744073709551615 is no integer of 64 bits"},
        {T("integer"), "-2147483648", "-2147483648"},
        {T("integer"), "2147483648", "! 2147483648 is no integer of 32 bits"},
        {T("short"), "-32768", "-32768"},
        {T("short"), "32768", "! 32768 is no integer of 16 bits"},
        {T("byte"), "-128", "-128"},
        {T("byte"), "128", "! 128 is no integer of 8 bits"},
        {T("half_float"), "1.5", "1.5"},
        {T("float"), "0.1", "0.10000000149011612"},
        {T("float"), "\"1e3\"", "1000"},
        {T("float"), "1e39", "! a number beyond the range of a float"},
        {T("double"), "0.1", "0.10000000000000001"},
        {T("double"), "1e400", "! a number beyond the range of a double"},
        {T("scaled_float"), "12.34", "12.34"},
        {T("rank_feature"), "8", "8"},
        {T("boolean"), "true", "1"},
        {T("boolean"), "\"false\"", "0"},
        {T("boolean"), "\"\"", "0"},
        {T("boolean"), "\"yes\"", "! the text is no truth value"},
        {T("boolean"), "1", "! a truth value is wanted, not a number"},
        {T("text"), "\"a \\u00e9\\n\"", "a \xc3\xa9\n"},
        {T("text"), "12.50", "12.50"},
        {T("text"), "false", "false"},
        {T("text"), "{}", "! a text is wanted, not an object"},
        {T("keyword"), "\"\"", ""},
        {T("wildcard"), "\"w\"", "w"},
        {T("constant_keyword"), "\"c\"", "c"},
        {T("ip"), "\"10.0.0.1\"", "10.0.0.1"},
        {T("ip"), "\"2001:db8::1\"", "2001:db8::1"},
        {T("version"), "\"1.2.3-beta\"", "1.2.3-beta"},
        {T("binary"), "\"AQI=\"", "AQI="},
        {T("match_only_text"), "\"m\"", "m"},
        {T("search_as_you_type"), "\"s\"", "s"},
    };
    check(values, MM_COUNT(values), NULL);
}

static void an_array_of_one_is_the_value_in_it(void **state)
{
    (void)state;
    static const value values[] = {
        {T("long"), "[7]", "7"},
        {T("long"), "[null,7]", "7"},
        {T("long"), "[1,2]", "! an array of 2 values"},
        {T("long"), "[]", "! no value"},
        {T("long"), "[null]", "! no value"},
        {T("long"), "null", "! no value"},
        {T("keyword"), "[\"x\"]", "x"},
        {T("date"), "[\"1970-01-02\"]", "86400000"},
        {T("boolean"), "[true]", "1"},
    };
    check(values, MM_COUNT(values), NULL);
}

#define N(name, null) "{\"type\":\"" name "\",\"null_value\":" null "}"

static void null_is_what_the_mapping_has_in_its_place(void **state)
{
    (void)state;
    static const value values[] = {
        {N("keyword", "\"NONE\""), "null", "NONE"},
        {N("keyword", "\"NONE\""), "[null]", "NONE"},
        {N("keyword", "\"NONE\""), "\"x\"", "x"},
        {N("keyword", "\"NONE\""), "[null,\"x\"]", "! an array of 2 values"},
        {N("keyword", "\"NONE\""), "[]", "! no value"},
        {N("keyword", "\"a\\u00e9\""), "null", "a\xc3\xa9"},
        {N("keyword", "null"), "null", "! no value"},
        {N("long", "9223372036854775807"), "null", "9223372036854775807"},
        {N("unsigned_long", "18446744073709551615"), "null", "! 18446744073709551615 is no integer of 64 bits"},
        {N("byte", "\"-1\""), "null", "-1"},
        {N("float", "0.1"), "null", "0.10000000149011612"},
        {N("boolean", "true"), "null", "1"},
        {N("boolean", "\"false\""), "null", "0"},
        {N("date", "\"1970-01-02\""), "null", "86400000"},
        {N("date", "5") , "[null]", "5"},
        {N("ip", "\"10.0.0.1\""), "null", "10.0.0.1"},
        {N("geo_point", "{\"lat\":1,\"lon\":2}"), "null", "POINT (2 1)"},
        {N("ip_range", "\"10.0.0.0/8\""), "null", "\"10.0.0.0/8\""},
        {"{\"type\":\"dense_vector\",\"dims\":2,\"null_value\":7}", "null", "! no value"},
    };
    check(values, MM_COUNT(values), NULL);
    mm_elastic_choice missing = {.primary_key = "_id", .nulls = "default"};
    static const value defaults[] = {{N("long", "7"), "null", "7"}, {N("long", "7"), "[]", "0"}};
    check(defaults, MM_COUNT(defaults), &missing);
}

static void json_is_made_an_object_where_it_is_asked_for(void **state)
{
    (void)state;
    mm_elastic_choice objects = {.primary_key = "_id", .json = "object"}, any = {.primary_key = "_id", .json = "any"};
    static const value values[] = {
        {T("object"), "{\"a\":[1]}", "{\"a\":[1]}"},
        {T("nested"), "[{\"a\":1}, {\"a\":2}]", "{\"value\":[{\"a\":1}, {\"a\":2}]}"},
        {T("join"), "\"question\"", "{\"value\":\"question\"}"},
        {T("something_new"), "1.50", "{\"value\":1.50}"},
        {N("ip_range", "\"10.0.0.0/8\""), "null", "{\"value\":\"10.0.0.0/8\"}"},
    };
    static const value plain = {T("join"), "\"question\"", "\"question\""};
    check(values, MM_COUNT(values), &objects);
    check(&plain, 1, &any);
    mm_buffer big = MM_BUFFER_INIT;
    mm_buffer_printf(&big, "[\"%065523d\"]", 0);
    value large[] = {{T("nested"), big.data, "! 65537 bytes of JSON; Milvus takes 65536"}};
    check(large, 1, &objects);
    mm_buffer_free(&big);
}

static void dates_are_epochs_or_stay_text(void **state)
{
    (void)state;
    mm_elastic_choice text = {.primary_key = "_id", .dates = "text"};
    static const value values[] = {
        {T("date"), "\"2024-02-29T12:34:56.789Z\"", "1709210096789"},
        {T("date"), "\"2024-02-29T12:34:56+01:00\"", "1709206496000"},
        {T("date"), "\"2024-02-29T12:34:56.123456789-0530\"", "1709229896123"},
        {T("date"), "\"2024-02-29\"", "1709164800000"},
        {T("date"), "\"2024-02\"", "1706745600000"},
        {T("date"), "\"2024\"", "1704067200000"},
        {T("date"), "\"1969-12-31T23:59:59.999Z\"", "-1"},
        {T("date"), "\"0001-01-01\"", "-62135596800000"},
        {T("date"), "1709210096789", "1709210096789"},
        {T("date"), "\"1709210096789\"", "1709210096789"},
        {T("date"), "\"-5\"", "-5"},
        {T("date"), "\"2023-02-29\"", "! `2023-02-29` is no date"},
        {T("date"), "\"2024-02-29T24:00:00Z\"", "! `2024-02-29T24:00:00Z` is no date"},
        {T("date"), "\"soon\"", "! `soon` is no date"},
        {T("date"), "true", "! `true` is no date"},
        {T("date_nanos"), "\"2024-02-29T12:34:56.123456789Z\"", "1709210096123456789"},
        {T("date_nanos"), "1709210096789", "1709210096789000000"},
        {T("date_nanos"), "\"2300-01-01\"", "! `2300-01-01` is no date"},
        {"{\"type\":\"date\",\"format\":\"epoch_second\"}", "1709210096", "1709210096000"},
        {"{\"type\":\"date\",\"format\":\"epoch_second\"}", "\"1709210096.5\"", "1709210096500"},
        {"{\"type\":\"date\",\"format\":\"yyyy-MM-dd HH:mm:ss||epoch_millis\"}", "\"2024-02-29 12:34:56\"",
         "1709210096000"},
        {"{\"type\":\"date\",\"format\":\"dd/MM/yyyy\"}", "\"29/02/2024\"", "1709164800000"},
        {"{\"type\":\"date\",\"format\":\"yyyyMMdd'T'HHmmssXXX\"}", "\"20240229T123456+01:00\"", "1709206496000"},
        {"{\"type\":\"date\",\"format\":\"dd/MM/yyyy\"}", "\"2024-02-29\"", "! `2024-02-29` is no date"},
        {"{\"type\":\"date\",\"format\":\"EEE, dd MMM yyyy\"}", "\"Thu, 29 Feb 2024\"", "Thu, 29 Feb 2024"},
    };
    static const value texts[] = {
        {T("date"), "\"2024-02-29T12:34:56.789Z\"", "2024-02-29T12:34:56.789Z"},
        {T("date_nanos"), "1709210096789", "1709210096789"},
    };
    check(values, MM_COUNT(values), NULL);
    check(texts, MM_COUNT(texts), &text);
}

static void points_become_wkt_or_json(void **state)
{
    (void)state;
    mm_elastic_choice json = {.primary_key = "_id", .geo = "json"};
    static const value values[] = {
        {T("geo_point"), "{\"lat\":41.12,\"lon\":-71.34}", "POINT (-71.34 41.12)"},
        {T("geo_point"), "[-71.34,41.12]", "POINT (-71.34 41.12)"},
        {T("geo_point"), "[{\"lat\":1,\"lon\":2}]", "POINT (2 1)"},
        {T("geo_point"), "\"41.12,-71.34\"", "POINT (-71.34 41.12)"},
        {T("geo_point"), "\"POINT (-71.34 41.12)\"", "POINT (-71.34 41.12)"},
        {T("geo_point"), "{\"type\":\"Point\",\"coordinates\":[-71.34,41.12]}", "POINT (-71.34 41.12)"},
        {T("geo_point"), "\"drm3btev3e86\"", "! neither \"lat,lon\" nor WKT"},
        {T("geo_point"), "{\"lat\":41.12}", "! an object without lon and lat"},
        {T("geo_point"), "[1,2,3,4]", "! an array of 4 values is no point"},
    };
    static const value jsons[] = {{T("geo_point"), "[-71.34, 41.12]", "[-71.34, 41.12]"}};
    check(values, MM_COUNT(values), NULL);
    check(jsons, MM_COUNT(jsons), &json);
}

static void what_has_no_type_in_milvus_becomes_json(void **state)
{
    (void)state;
    static const value values[] = {
        {T("object"), "{\"a\":{\"b\":[1,null]}}", "{\"a\":{\"b\":[1,null]}}"},
        {T("nested"), "[{\"a\":1},{\"a\":2}]", "[{\"a\":1},{\"a\":2}]"},
        {T("flattened"), "{\"x.y\":\"z\"}", "{\"x.y\":\"z\"}"},
        {T("flat_object"), "{}", "{}"},
        {T("integer_range"), "{\"gte\":1}", "{\"gte\":1}"},
        {T("join"), "\"question\"", "\"question\""},
        {T("geo_shape"), "\"POINT (1 2)\"", "\"POINT (1 2)\""},
        {T("rank_vectors"), "[[1,2],[3,4]]", "[[1,2],[3,4]]"},
        {T("something_new"), "[true, 1.50]", "[true, 1.50]"},
    };
    check(values, MM_COUNT(values), NULL);
    mm_buffer big = MM_BUFFER_INIT;
    mm_buffer_printf(&big, "{\"a\":\"%065536d\"}", 0);
    value large = {T("object"), big.data, "! 65544 bytes of JSON; Milvus takes 65536"};
    check(&large, 1, NULL);
    mm_buffer_free(&big);
}

#define DENSE(element, dims) "{\"type\":\"dense_vector\",\"element_type\":\"" element "\",\"dims\":" #dims "}"
#define KNN(type, dims) "{\"type\":\"knn_vector\",\"data_type\":\"" type "\",\"dimension\":" #dims "}"

static void vectors_come_in_all_their_forms(void **state)
{
    (void)state;
    static const value values[] = {
        {DENSE("float", 3), "[1,-2.5,0.1]", "[1,-2.5,0.100000001]"},
        {DENSE("float", 3), " [ 1 , -2.5e0 ,\n 1E-1 ] ", "[1,-2.5,0.100000001]"},
        {DENSE("float", 3), "\"P4AAAMAgAAA9zMzN\"", "[1,-2.5,0.100000001]"},
        {DENSE("float", 3), "[1,2]", "! a vector of 2 numbers, not 3"},
        {DENSE("float", 3), "[1,2,3,4]", "! more than 3 numbers"},
        {DENSE("float", 3), "[1,2,1e39]", "! a number beyond the range of a float"},
        {DENSE("float", 3), "[1,null,3]", "! a number is wanted, not null"},
        {DENSE("float", 3), "[[1,2,3]]", "! a number is wanted, not an array"},
        {DENSE("float", 3), "\"P4AAAMAgAAA9zMz\"", "! the text is no vector of 3 floats"},
        {DENSE("float", 1), "\"f8AAAA==\"", "! NaN or infinity"},
        {DENSE("float", 3), "null", "! no value"},
        {DENSE("bfloat16", 2), "[1.0,0.1]", "[1,0.100097656]"},
        {DENSE("bfloat16", 1), "[4e38]", "! a number beyond the range of a 16-bit float"},
        {DENSE("byte", 3), "[1,-128,127]", "[1,-128,127]"},
        {DENSE("byte", 3), "\"01807f\"", "[1,-128,127]"},
        {DENSE("byte", 3), "\"AYB/\"", "[1,-128,127]"},
        {DENSE("byte", 3), "[1,2,128]", "! a vector of bytes has integers from -128 to 127"},
        {DENSE("byte", 3), "[1,2,0.5]", "! a vector of bytes has integers"},
        {DENSE("byte", 3), "\"018\"", "! the text is no vector of 3 bytes"},
        {DENSE("bit", 16), "[127,-1]", "[127,255]"},
        {DENSE("bit", 16), "\"7FFf\"", "[127,255]"},
        {DENSE("bit", 16), "[1]", "! a vector of 1 bytes, not 2"},
        {KNN("float", 2), "[0.5,2]", "[0.5,2]"},
        {KNN("byte", 2), "[-1,1]", "[-1,1]"},
        {KNN("binary", 8), "[-86]", "[170]"},
        {T("sparse_vector"), "{\"7\":0.5,\"3\":2}", "{3:2,7:0.5}"},
        {T("rank_features"), "{\"politics\":20,\"economics\":50.8}", "{1554742353:20,1737853819:50.8}"},
        {T("sparse_vector"), "{\"7\":-1}", "! the weight of a sparse vector is at least 0"},
        {T("sparse_vector"), "{}", "! a sparse vector without any weight"},
        {T("sparse_vector"), "{\"7\":\"x\"}", "! a number is wanted, not a string"},
    };
    check(values, MM_COUNT(values), NULL);
}

static void long_vectors_are_read_to_the_nearest_float(void **state)
{
    (void)state;
    enum { DIM = 300 };
    static const char *const numbers[] = {"0", "-0", "-0.0", "1", "0.12345678901234567890123", "-12.5", "1e-5", "3.4028235e38",
                                          "1.17549435e-38", "1e-45", "16777217", "16777219.0", "0.30000001192092896",
                                          "123456789012345678901234567890", "9007199791611905", "1.5E+3", "-7.0e-10",
                                          "0.000000000000000000000001234567", "8388609.5", "1e-46"};
    mm_buffer source = MM_BUFFER_INIT, answer = MM_BUFFER_INIT;
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_elastic_page *page;
    mm_elastic_envelope envelope;
    mm_elastic_rows rows;
    mm_batch batch = {.rows = 0};
    for (size_t i = 0; i < DIM; i++)
        mm_buffer_printf(&source, "%s%s", i > 0 ? "," : "{\"f\":[", numbers[i % MM_COUNT(numbers)]);
    mm_buffer_printf(&source, "]}");
    const char *const sources[] = {source.data};
    elastic_answer(&answer, sources, 1);
    assert_int_equal(elastic_fields(&f, "{\"f\":{\"type\":\"dense_vector\",\"dims\":300}}", NULL, NULL), MM_OK);
    assert_int_equal(mm_elastic_page_new(f.fields, false, false, &page, &f.err), MM_OK);
    assert_int_equal(mm_elastic_page_begin(page, "p", answer.data, answer.size, UINT64_MAX, &envelope, &f.err), MM_OK);
    assert_int_equal(mm_elastic_page_next(page, SIZE_MAX, 1 << 20, &batch, &rows, &f.err), MM_OK);
    assert_int_equal(batch.rows, 1);
    for (size_t i = 0; i < DIM; i++) {
        float want = strtof(numbers[i % MM_COUNT(numbers)], NULL);
        if (memcmp(batch.columns[1].values + i * sizeof(want), &want, sizeof(want)) != 0)
            fail_msg("%s is read as another float", numbers[i % MM_COUNT(numbers)]);
    }
    mm_batch_free(&batch);
    mm_elastic_page_free(page);
    mm_buffer_free(&source);
    mm_buffer_free(&answer);
    elastic_close(&f);
}

/* --- arrays, objects, missing values: told by the sample ---------------------------------------------------------- */

typedef struct document {
    const char *properties, *source, *want;
    mm_elastic_choice choice;
} document;

static void check_documents(const document *documents, size_t count)
{
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    for (size_t i = 0; i < count; i++) {
        mm_elastic_choice choice = documents[i].choice;
        choice.primary_key = choice.primary_key != NULL ? choice.primary_key : "_id";
        const char *rows = elastic_one(&f, documents[i].properties, &choice, documents[i].source);
        if (rows == NULL || strcmp(rows, documents[i].want) != 0)
            fail_msg("%s, %s: %s%s, not %s", documents[i].properties, documents[i].source, rows ? rows : "refused: ",
                     rows ? "" : f.err.text, documents[i].want);
    }
    elastic_close(&f);
}

static void several_values_become_arrays_or_json(void **state)
{
    (void)state;
    static const document documents[] = {
        {"{\"t\":{\"type\":\"keyword\"}}", "{\"t\":[\"x\",\"y\",null]}", "_id=a t=[x,y]\n", {0}},
        {"{\"t\":{\"type\":\"keyword\",\"null_value\":\"-\"}}", "{\"t\":[\"x\",null]}", "_id=a t=[x,-]\n", {0}},
        {"{\"t\":{\"type\":\"keyword\"}}", "{\"t\":[\"x\",\"y\"]}", "_id=a t={\"value\":[\"x\",\"y\"]}\n",
         {.arrays = "json", .json = "object"}},
        {"{\"t\":{\"type\":\"keyword\"}}", "{\"t\":[\"x\",7,true]}", "_id=a t=[x,7,true]\n", {0}},
        {"{\"t\":{\"type\":\"keyword\"}}", "{\"t\":[\"x\",\"y\"]}", "_id=a t=[\"x\",\"y\"]\n", {.arrays = "json"}},
        {"{\"n\":{\"type\":\"integer\"}}", "{\"n\":[1,\"2\",-3]}", "_id=a n=[1,2,-3]\n", {0}},
        {"{\"n\":{\"type\":\"double\"}}", "{\"n\":[0.5,2]}", "_id=a n=[0.5,2]\n", {0}},
        {"{\"n\":{\"type\":\"float\"}}", "{\"n\":[0.5,2]}", "_id=a n=[0.5,2]\n", {0}},
        {"{\"b\":{\"type\":\"boolean\"}}", "{\"b\":[true,\"false\"]}", "_id=a b=[1,0]\n", {0}},
        {"{\"d\":{\"type\":\"date\"}}", "{\"d\":[\"1970-01-02\",5]}", "_id=a d=[86400000,5]\n", {0}},
        {"{\"g\":{\"type\":\"geo_point\"}}", "{\"g\":[{\"lat\":1,\"lon\":2},\"3,4\"]}",
         "_id=a g=[{\"lat\":1,\"lon\":2},\"3,4\"]\n", {0}},
        {"{\"g\":{\"type\":\"geo_point\"}}", "{\"g\":[2,1]}", "_id=a g=POINT (2 1)\n", {0}},
        {"{\"n\":{\"type\":\"integer\"}}", "{\"n\":[1,[2]]}", "! a n: a number is wanted, not an array\n", {0}},
    };
    check_documents(documents, MM_COUNT(documents));
}

static void one_value_of_an_array_field_is_an_array(void **state)
{
    (void)state;
    static const char *const sources[] = {"{\"t\":[\"x\",\"y\"]}", "{\"t\":\"z\"}", "{\"t\":[]}", "{\"t\":null}", "{}",
                                          "{\"t\":{\"o\":1}}"};
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_buffer answer = MM_BUFFER_INIT;
    elastic_answer(&answer, sources, MM_COUNT(sources));
    assert_int_equal(elastic_fields(&f, "{\"t\":{\"type\":\"keyword\"}}", NULL, answer.data), MM_OK);
    assert_string_equal(elastic_schema(&f), "_id VarChar(512) primary\nt Array(VarChar) nullable\n");
    assert_string_equal(elastic_rows(&f, answer.data, answer.size, false, SIZE_MAX),
                        "_id=a t=[x,y]\n_id=b t=[z]\n_id=c t=[]\n_id=d t=null\n_id=e t=null\n"
                        "! f t: a text is wanted, not an object\n");
    mm_buffer_free(&answer);
    elastic_close(&f);
}

static void objects_and_dotted_keys_are_the_same_field(void **state)
{
    (void)state;
#define META "{\"m\":{\"properties\":{\"a\":{\"type\":\"keyword\"},\"b\":{\"properties\":{\"c\":{\"type\":\"long\"}}}}}}"
    static const char *const leaves[] = {"m.a", "m.b.c"};
    static const document documents[] = {
        {META, "{\"m\":{\"a\":\"x\",\"b\":{\"c\":1}}}", "_id=a m={\"a\":\"x\",\"b\":{\"c\":1}}\n", {0}},
        {META, "{\"m.a\":\"x\",\"m.b.c\":1}", "_id=a m={\"a\":\"x\",\"b.c\":1}\n", {0}},
        {META, "{\"m\":{},\"m.a\":\"x\"}", "_id=a m={\"a\":\"x\"}\n", {0}},
        {META, "{\"m\":7,\"m.a\":\"x\"}", "! a m: is an object by one key and none by another\n", {0}},
        {META, "{\"m\":{\"a\":\"x\",\"b\":{\"c\":1}}}", "_id=a m_a=x m_b_c=1\n", {.include = leaves, .include_count = 2}},
        {META, "{\"m.b\":{\"c\":1},\"m.a\":\"x\"}", "_id=a m_a=x m_b_c=1\n", {.include = leaves, .include_count = 2}},
        {META, "{\"m\":{\"b.c\":1,\"a\":\"x\"}}", "_id=a m_a=x m_b_c=1\n", {.include = leaves, .include_count = 2}},
        {META, "{\"m\":[{\"a\":\"x\"},{\"b\":{\"c\":1}}]}", "_id=a m_a=x m_b_c=1\n",
         {.include = leaves, .include_count = 2}},
        {"{\"m.a\":{\"type\":\"keyword\"},\"m.b\":{\"type\":\"long\"}}", "{\"m.a\":\"x\",\"m.b\":2}",
         "_id=a m={\"a\":\"x\",\"b\":2}\n", {0}},
    };
    check_documents(documents, MM_COUNT(documents));
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_elastic_choice choice = {.primary_key = "_id", .include = leaves, .include_count = 2};
    assert_non_null(strstr(elastic_one(&f, META, &choice, "{\"m\":[{\"a\":\"x\"},{\"a\":\"y\"}]}"),
                           "! a m_a: stands there several times"));
    elastic_close(&f);
}

static void missing_values_are_what_nulls_says(void **state)
{
    (void)state;
#define ALL                                                                                                           \
    "{\"n\":{\"type\":\"long\"},\"t\":{\"type\":\"keyword\"},\"j\":{\"type\":\"object\"},\"b\":{\"type\":\"boolean\"},"  \
    "\"c\":{\"type\":\"constant_keyword\",\"value\":\"k\"},\"g\":{\"type\":\"geo_point\"}}"
    static const document documents[] = {
        {ALL, "{}", "_id=a n=null t=null j=null b=null c=k g=null\n", {.nulls = "auto"}},
        {ALL, "{}", "_id=a n=null t=null j=null b=null c=k g=null\n", {.nulls = "nullable"}},
        {ALL, "{}", "_id=a n=0 t= j={} b=0 c=k g=\n", {.nulls = "default"}},
        {ALL, "{}", "! a n: no value, or null (source.nulls says what becomes of that)\n", {.nulls = "reject"}},
        {"{\"v\":{\"type\":\"dense_vector\",\"dims\":2}}", "{}",
         "! a v: no value, or null (source.nulls says what becomes of that)\n", {0}},
        {"{\"v\":{\"type\":\"dense_vector\",\"dims\":2}}", "{}",
         "! a v: no value, or null (source.nulls says what becomes of that)\n", {.nulls = "default"}},
        {"{\"v\":{\"type\":\"dense_vector\",\"dims\":2}}", "{\"v\":null}", "_id=a v=null\n", {.nulls = "nullable"}},
    };
    check_documents(documents, MM_COUNT(documents));
}

static void the_primary_key_is_the_id_its_hash_or_a_field(void **state)
{
    (void)state;
    static const document documents[] = {
        {"{\"n\":{\"type\":\"long\"}}", "{\"n\":5}", "_id_hash=-1817709641818812897 _id=a n=5\n", {.primary_key = "_id_hash"}},
        {"{\"n\":{\"type\":\"integer\"}}", "{\"n\":5}", "_id=a n=5\n", {.primary_key = "n"}},
        {"{\"k\":{\"type\":\"keyword\"}}", "{\"k\":\"x\"}", "_id=a k=x\n", {.primary_key = "k"}},
        {"{\"n\":{\"type\":\"integer\"}}", "{}", "! a n: no value, or null (source.nulls says what becomes of that)\n",
         {.primary_key = "n", .nulls = "default"}},
        {"{\"k\":{\"type\":\"keyword\"}}", "{\"k\":\"x\"}", "_id=a _index=books _routing= k=x\n",
         {.with_index = true, .with_routing = true}},
    };
    check_documents(documents, MM_COUNT(documents));
}

/* --- nested objects as rows ---------------------------------------------------------------------------------------- */

#define PASSAGES                                                                                                      \
    "{\"title\":{\"type\":\"keyword\"},\"y\":{\"type\":\"long\"},\"o\":{\"type\":\"object\"},"                            \
    "\"p\":{\"type\":\"nested\",\"properties\":{\"v\":{\"type\":\"dense_vector\","                                        \
    "\"dims\":2},\"text\":{\"type\":\"text\"}}}}"

static void nested_vectors_are_exploded(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "{\"title\":\"T\",\"y\":7,\"p\":[{\"v\":[1,2],\"text\":\"x\"},{\"v\":[3,4]},{\"text\":\"no vector\"}]}",
        "{\"p\":{\"v\":[5,6],\"text\":\"y\"},\"title\":\"U\"}", "{\"title\":\"none\"}", "{\"p\":[]}",
        "{\"title\":{\"bad\":1},\"p\":[{\"v\":[1,2]},{\"v\":[1,2]}]}", "{\"p\":[7,{\"v\":[7,8]}]}",
        "{\"p\":[{},{},{\"v\":[8,9]},{\"v\":[9,9]}]}"};
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_elastic_choice choice = {.primary_key = "_id", .explode = "p", .nulls = "default"};
    mm_buffer answer = MM_BUFFER_INIT;
    static const char want[] =
        "_id=a#0 _parent_id=a title=T y=7 o={} p_v=[1,2] p_text=x\n_id=a#1 _parent_id=a title=T y=7 o={} p_v=[3,4] p_text=\n"
        "! a#2 p_v: no value, or null (source.nulls says what becomes of that)\n"
        "_id=b#0 _parent_id=b title=U y=0 o={} p_v=[5,6] p_text=y\n! c p: the document has no such object\n"
        "! d p: the document has no such object\n! e#0 title: a text is wanted, not an object\n"
        "! e#1 title: a text is wanted, not an object\n! f#0 p: is no object\n"
        "_id=f#1 _parent_id=f title= y=0 o={} p_v=[7,8] p_text=\n"
        "! g#0 p_v: no value, or null (source.nulls says what becomes of that)\n"
        "! g#1 p_v: no value, or null (source.nulls says what becomes of that)\n"
        "_id=g#2 _parent_id=g title= y=0 o={} p_v=[8,9] p_text=\n"
        "_id=g#3 _parent_id=g title= y=0 o={} p_v=[9,9] p_text=\n";
    elastic_answer(&answer, sources, MM_COUNT(sources));
    assert_int_equal(elastic_fields(&f, PASSAGES, &choice, NULL), MM_OK);
    for (size_t most = 1; most < 8; most++) { /* a document with more rows than a batch is still given as a whole */
        assert_string_equal(elastic_rows(&f, answer.data, answer.size, false, most), want);
    }
    assert_string_equal(elastic_rows(&f, answer.data, answer.size, true, SIZE_MAX),
                        "_id=a#0\n_id=a#1\n_id=a#2\n_id=b#0\n! c p: the document has no such object\n"
                        "! d p: the document has no such object\n_id=e#0\n_id=e#1\n! f#0 p: is no object\n_id=f#1\n_id=g#0\n"
                        "_id=g#1\n_id=g#2\n_id=g#3\n");
    mm_buffer_free(&answer);
    elastic_close(&f);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void batches_end_where_they_are_asked_to(void **state)
{
    (void)state;
    static const char *const sources[] = {"{\"n\":1}", "{\"n\":\"x\"}", "{\"n\":3}", "{\"n\":4}", "{\"n\":5}"};
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_elastic_page *page;
    mm_elastic_envelope e;
    mm_elastic_rows rows;
    mm_batch batch = {.rows = 0};
    mm_buffer answer = MM_BUFFER_INIT;
    elastic_answer(&answer, sources, MM_COUNT(sources));
    assert_int_equal(elastic_fields(&f, "{\"n\":{\"type\":\"long\"}}", NULL, NULL), MM_OK);
    assert_int_equal(mm_elastic_page_new(f.fields, false, true, &page, &f.err), MM_OK);
    assert_int_equal(mm_elastic_page_next(page, 2, 1 << 20, &batch, &rows, &f.err), MM_END);
    assert_int_equal(mm_elastic_page_begin(page, "p", answer.data, answer.size, UINT64_MAX, &e, &f.err), MM_OK);
    assert_true(e.has_shards && e.has_total && e.total_exact && !e.timed_out && e.failure == NULL);
    assert_int_equal(e.shards_total, 1);
    assert_int_equal(e.shards_successful, 1);
    assert_int_equal(e.total, 5);
    assert_int_equal(mm_elastic_page_next(page, 2, 1 << 20, &batch, &rows, &f.err), MM_OK);
    assert_int_equal(batch.rows, 1);
    assert_int_equal(batch.rejected, 1);
    assert_int_equal(batch.ordinals[0], 0);
    assert_int_equal(batch.rejects[0].row, 1);
    assert_int_equal(rows.documents, 2);
    assert_int_equal(rows.covered, 2);
    assert_int_equal(rows.seq_no, 1);
    assert_memory_equal(rows.sort, "[1]", rows.sort_size);
    mm_batch_reset(&batch);
    assert_int_equal(mm_elastic_page_next(page, SIZE_MAX, 1, &batch, &rows, &f.err), MM_OK);
    assert_int_equal(batch.rows, 1); /* a byte is not enough for a row, and one is given */
    assert_null(batch.ordinals);
    mm_batch_reset(&batch);
    assert_int_equal(mm_elastic_page_next(page, SIZE_MAX, 1 << 20, &batch, &rows, &f.err), MM_OK);
    assert_int_equal(batch.rows, 2);
    assert_int_equal(rows.seq_no, 4);
    mm_batch_reset(&batch);
    assert_int_equal(mm_elastic_page_next(page, SIZE_MAX, 1 << 20, &batch, &rows, &f.err), MM_END);
    assert_int_equal(mm_elastic_page_begin(page, "p", answer.data, answer.size, 0, &e, &f.err), MM_OK);
    assert_int_equal(mm_elastic_page_next(page, SIZE_MAX, 1 << 20, &batch, &rows, &f.err), MM_DATA);
    assert_non_null(strstr(f.err.text, "the hit a has the _seq_no 0, which is not above 0"));
    mm_batch_free(&batch);
    mm_elastic_page_free(page);
    mm_buffer_free(&answer);
    elastic_close(&f);
}

#define HIT(source) "{\"_id\":\"a\",\"_source\":" source "}"
#define AROUND "\"timed_out\":false,\"_shards\":{\"total\":1,\"successful\":1,\"failed\":0}"

static void the_envelope_is_known_before_the_rows(void **state)
{
    (void)state;
    static const char behind[] = "{\"hits\":{\"hits\":[" HIT("{\"n\":1}") "],\"total\":3},\"pit_id\":\"abc\",\"timed_out\":true,"
                                 "\"terminated_early\":true,\"_shards\":{\"total\":2,\"successful\":1,\"skipped\":0,"
                                 "\"failed\":1,\"failures\":[{\"shard\":0,\"reason\":{\"type\":\"x\"}},{}]}}\n";
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_elastic_page *page;
    mm_elastic_envelope e;
    mm_elastic_rows rows;
    mm_batch batch = {.rows = 0};
    assert_int_equal(elastic_fields(&f, "{\"n\":{\"type\":\"long\"}}", NULL, NULL), MM_OK);
    assert_int_equal(mm_elastic_page_new(f.fields, false, false, &page, &f.err), MM_OK);
    assert_int_equal(mm_elastic_page_begin(page, "p", behind, sizeof(behind) - 1, UINT64_MAX, &e, &f.err), MM_OK);
    assert_true(e.timed_out && e.terminated_early && e.has_shards && e.has_total && e.total_exact);
    assert_int_equal(e.total, 3);
    assert_int_equal(e.shards_failed, 1);
    assert_memory_equal(e.failure, "{\"shard\":0,\"reason\":{\"type\":\"x\"}}", e.failure_size);
    assert_memory_equal(e.context, "abc", e.context_size);
    assert_int_equal(mm_elastic_page_next(page, SIZE_MAX, 1 << 20, &batch, &rows, &f.err), MM_OK);
    assert_int_equal(batch.rows, 1);
    mm_batch_reset(&batch);
    assert_int_equal(mm_elastic_page_next(page, SIZE_MAX, 1 << 20, &batch, &rows, &f.err), MM_END);
    mm_batch_free(&batch);
    mm_elastic_page_free(page);
    elastic_close(&f);
}

static void what_is_no_answer_is_refused_with_its_byte(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "byte 0: the answer is cut off"},
        {"{\"error\":{\"reason\":\"no\"},\"status\":404}", "the answer has no hits"},
        {"{" AROUND ",\"hits\":{\"total\":0}}", "the answer has no hits"},
        {"{" AROUND ",\"hits\":{\"hits\":[" HIT("{\"n\":1}") "]", "cut off"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[" HIT("{\"n\":1}") "]}", "the text ends"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[" HIT("{\"n\":1}") "]}} x}", "the end of the text"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[" HIT("{\"n\":1}") " " HIT("{\"n\":1}") "]}}", "',' or ']'"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[{\"_source\":{}}]}}", "a hit without _id"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[{\"_id\":\"a\",\"_id\":\"b\"}]}}", "twice"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[{\"_id\":\"a\",\"_source\":{},\"_source\":{}}]}}", "twice"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[" HIT("{\"n\":1x}") "]}}", "malformed number"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[" HIT("{\"n\":tru}") "]}}", "true is wanted"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[" HIT("7") "]}}", "an object is wanted"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[" HIT("{\"z\":\"\xff\"}") "]}}", "not UTF-8"},
        {"{" AROUND "," AROUND ",\"hits\":{\"total\":1,\"hits\":[]}}", "twice"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[]}," AROUND "}", "twice"},
        {"{" AROUND ",\"hits\":{\"total\":1,\"hits\":[],\"hits\":[]}}", "twice"},
        {"{\"timed_out\":1,\"hits\":{\"hits\":[]}}", "a truth value is wanted"},
        {"{\"_shards\":{\"total\":1},\"hits\":{\"hits\":[]}}", "_shards without"},
        {"{\"_shards\":{\"total\":-1,\"successful\":1,\"failed\":0},\"hits\":{\"hits\":[]}}", "a count is wanted"},
    };
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    assert_int_equal(elastic_fields(&f, "{\"n\":{\"type\":\"long\"}}", NULL, NULL), MM_OK);
    for (size_t i = 0; i < MM_COUNT(rows); i++)
        if (elastic_rows(&f, rows[i].text, strlen(rows[i].text), false, SIZE_MAX) != NULL ||
            strstr(f.err.text, rows[i].words) == NULL || strstr(f.err.text, "books: byte ") != f.err.text)
            fail_msg("%s: %s", rows[i].text, f.err.text[0] ? f.err.text : f.text.data);
    elastic_close(&f);
}

static void an_answer_that_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    static const char *const sources[] = {"{\"n\":1,\"v\":[0.5,-1e-3],\"m\":{\"a\":\"\\u00e9}\"}}",
                                          "{\"n\":2,\"v\":[1,2],\"m\":{}}"};
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_buffer answer = MM_BUFFER_INIT;
    elastic_answer(&answer, sources, MM_COUNT(sources));
    assert_int_equal(elastic_fields(&f, "{\"n\":{\"type\":\"long\"},\"v\":{\"type\":\"dense_vector\",\"dims\":2},"
                                        "\"m\":{\"type\":\"object\"}}", NULL, NULL),
                     MM_OK);
    assert_non_null(elastic_rows(&f, answer.data, answer.size, false, SIZE_MAX));
    for (size_t size = 0; size < answer.size; size++)
        if (elastic_rows(&f, answer.data, size, false, SIZE_MAX) != NULL)
            fail_msg("%zu of %zu bytes are an answer", size, answer.size);
    mm_buffer_free(&answer);
    elastic_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_become_what_they_are),
        cmocka_unit_test(an_array_of_one_is_the_value_in_it),
        cmocka_unit_test(null_is_what_the_mapping_has_in_its_place),
        cmocka_unit_test(json_is_made_an_object_where_it_is_asked_for),
        cmocka_unit_test(dates_are_epochs_or_stay_text),
        cmocka_unit_test(points_become_wkt_or_json),
        cmocka_unit_test(what_has_no_type_in_milvus_becomes_json),
        cmocka_unit_test(vectors_come_in_all_their_forms),
        cmocka_unit_test(long_vectors_are_read_to_the_nearest_float),
        cmocka_unit_test(several_values_become_arrays_or_json),
        cmocka_unit_test(one_value_of_an_array_field_is_an_array),
        cmocka_unit_test(objects_and_dotted_keys_are_the_same_field),
        cmocka_unit_test(missing_values_are_what_nulls_says),
        cmocka_unit_test(the_primary_key_is_the_id_its_hash_or_a_field),
        cmocka_unit_test(nested_vectors_are_exploded),
        cmocka_unit_test(batches_end_where_they_are_asked_to),
        cmocka_unit_test(the_envelope_is_known_before_the_rows),
        cmocka_unit_test(what_is_no_answer_is_refused_with_its_byte),
        cmocka_unit_test(an_answer_that_is_cut_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
