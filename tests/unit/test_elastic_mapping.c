/* Mappings and samples to schemas: every type's place in Milvus, names, choices, what is lost, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "support/elastic_fixture.h"

typedef struct schema {
    const char *properties, *want; /* the schema behind _id; "! …": words of the refusal */
    const char *sample;            /* _source of one document; NULL: none */
    mm_elastic_choice choice;
} schema;

static void check(const schema *schemas, size_t count)
{
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    for (size_t i = 0; i < count; i++) {
        const schema *s = &schemas[i];
        mm_buffer answer = MM_BUFFER_INIT;
        mm_elastic_choice choice = s->choice;
        choice.primary_key = choice.primary_key != NULL ? choice.primary_key : "_id";
        if (s->sample != NULL)
            elastic_answer(&answer, &s->sample, 1);
        mm_status status = elastic_fields(&f, s->properties, &choice, answer.data);
        if (s->want[0] == '!') {
            if (status != MM_CONFIG || strstr(f.err.text, s->want + 2) == NULL)
                fail_msg("%s: %d, %s, not %s", s->properties, (int)status, f.err.text, s->want);
        } else if (status != MM_OK) {
            fail_msg("%s: %s", s->properties, f.err.text);
        } else {
            static const char id[] = "_id VarChar(512) primary\n";
            const char *got = elastic_schema(&f);
            got += strncmp(got, id, strlen(id)) == 0 ? strlen(id) : 0;
            if (strcmp(got, s->want) != 0)
                fail_msg("%s: %s, not %s", s->properties, got, s->want);
        }
        mm_buffer_free(&answer);
    }
    elastic_close(&f);
}

#define F(type) "{\"f\":{\"type\":\"" type "\"}}"

static void every_type_has_its_place(void **state)
{
    (void)state;
    static const schema schemas[] = {
        {F("long"), "f Int64\n", NULL, {0}},
        {F("unsigned_long"), "f Int64\n", NULL, {0}},
        {F("integer"), "f Int32\n", NULL, {0}},
        {F("short"), "f Int16\n", NULL, {0}},
        {F("byte"), "f Int8\n", NULL, {0}},
        {F("half_float"), "f Float\n", NULL, {0}},
        {F("float"), "f Float\n", NULL, {0}},
        {F("double"), "f Double\n", NULL, {0}},
        {F("scaled_float"), "f Double\n", NULL, {0}},
        {F("rank_feature"), "f Float\n", NULL, {0}},
        {F("boolean"), "f Bool\n", NULL, {0}},
        {F("date"), "f Int64\n", NULL, {0}},
        {F("date"), "f VarChar(65535)\n", NULL, {.dates = "text"}},
        {F("date_nanos"), "f Int64\n", NULL, {0}},
        {"{\"f\":{\"type\":\"date\",\"format\":\"basic_week_date\"}}", "f VarChar(65535)\n", NULL, {0}},
        {F("keyword"), "f VarChar(65535)\n", NULL, {0}},
        {F("text"), "f VarChar(65535)\n", NULL, {0}},
        {F("wildcard"), "f VarChar(65535)\n", NULL, {0}},
        {F("constant_keyword"), "f VarChar(65535)\n", NULL, {0}},
        {F("ip"), "f VarChar(65535)\n", NULL, {0}},
        {F("version"), "f VarChar(65535)\n", NULL, {0}},
        {F("geo_point"), "f VarChar(65535)\n", NULL, {0}},
        {F("geo_point"), "f JSON\n", NULL, {.geo = "json"}},
        {F("object"), "f JSON\n", NULL, {0}},
        {F("nested"), "f JSON\n", NULL, {0}},
        {F("flattened"), "f JSON\n", NULL, {0}},
        {F("ip_range"), "f JSON\n", NULL, {0}},
        {F("not_known_here"), "f JSON\n", NULL, {0}},
        {F("sparse_vector"), "f SparseFloatVector IP\n", NULL, {0}},
        {F("rank_features"), "f SparseFloatVector IP\n", NULL, {0}},
        {"{\"f\":{\"type\":\"alias\",\"path\":\"n\"},\"n\":{\"type\":\"long\"}}", "n Int64\n", NULL, {0}},
        {"{\"f\":{\"type\":\"text\",\"fields\":{\"raw\":{\"type\":\"keyword\"}}}}", "f VarChar(65535)\n", NULL, {0}},
    };
    check(schemas, MM_COUNT(schemas));
}

static void vectors_bring_dims_metric_and_index(void **state)
{
    (void)state;
#define V(rest) "{\"f\":{\"type\":\"dense_vector\"," rest "}}"
#define K(rest) "{\"f\":{\"type\":\"knn_vector\"," rest "}}"
    static const char *const float16[] = {"f Float16Vector(4)"}, *const floats[] = {"f FloatVector(4)"},
                      *const five[] = {"f FloatVector(5)"}, *const binary[] = {"f BinaryVector(32)"};
    static const schema schemas[] = {
        {V("\"dims\":4"), "f FloatVector(4) COSINE\n", NULL, {0}},
        {V("\"dims\":4,\"similarity\":\"dot_product\""), "f FloatVector(4) IP\n", NULL, {0}},
        {V("\"dims\":4,\"similarity\":\"l2_norm\""), "f FloatVector(4) L2\n", NULL, {0}},
        {V("\"dims\":4,\"similarity\":\"max_inner_product\""), "f FloatVector(4) IP\n", NULL, {0}},
        {V("\"dims\":4,\"index_options\":{\"type\":\"int8_hnsw\",\"m\":16,\"ef_construction\":100}"),
         "f FloatVector(4) COSINE HNSW{\"M\":16,\"efConstruction\":100}\n", NULL, {0}},
        {V("\"dims\":4,\"element_type\":\"byte\""), "f Int8Vector(4) COSINE\n", NULL, {0}},
        {V("\"dims\":4,\"element_type\":\"bfloat16\""), "f BFloat16Vector(4) COSINE\n", NULL, {0}},
        {V("\"dims\":32,\"element_type\":\"bit\""), "f BinaryVector(32) HAMMING\n", NULL, {0}},
        {K("\"dimension\":4"), "f FloatVector(4) L2\n", NULL, {0}},
        {K("\"dimension\":4,\"space_type\":\"innerproduct\""), "f FloatVector(4) IP\n", NULL, {0}},
        {K("\"dimension\":4,\"method\":{\"name\":\"hnsw\",\"space_type\":\"cosinesimil\",\"engine\":\"lucene\","
           "\"parameters\":{\"m\":8,\"ef_construction\":64}}"),
         "f FloatVector(4) COSINE HNSW{\"M\":8,\"efConstruction\":64}\n", NULL, {0}},
        {K("\"dimension\":4,\"space_type\":\"linf\""), "f FloatVector(4)\n", NULL, {0}},
        {K("\"dimension\":\"4\",\"data_type\":\"byte\""), "f Int8Vector(4) L2\n", NULL, {0}},
        {K("\"dimension\":16,\"data_type\":\"binary\""), "f BinaryVector(16) HAMMING\n", NULL, {0}},
        {V("\"index\":false"), "f FloatVector(3) COSINE\n", "{\"f\":[1,2,3]}", {0}},
        {V("\"index\":false"), "f FloatVector(3) COSINE\n", "{\"f\":\"P4AAAMAgAAA9zMzN\"}", {0}},
        {V("\"element_type\":\"byte\""), "f Int8Vector(3) COSINE\n", "{\"f\":\"01807f\"}", {0}},
        {V("\"element_type\":\"bit\""), "f BinaryVector(24) HAMMING\n", "{\"f\":[1,2,3]}", {0}},
        {K("\"model_id\":\"m\""), "f FloatVector(2) L2\n", "{\"f\":[1,2]}", {0}},
        {V("\"index\":false"), "! says how many dimensions", "{}", {0}},
        {V("\"dims\":12,\"element_type\":\"bit\""), "! a vector of 12 bits cannot become", NULL, {0}},
        {V("\"dims\":4"), "f Float16Vector(4) COSINE\n", NULL, {.types = float16, .type_count = 1}},
        {V("\"dims\":4,\"element_type\":\"byte\""), "f FloatVector(4) COSINE\n", NULL, {.types = floats, .type_count = 1}},
        {V("\"dims\":4"), "! the mapping has 4 dimensions, source.types has 5", NULL, {.types = five, .type_count = 1}},
        {V("\"dims\":32"), "! cannot become BinaryVector", NULL, {.types = binary, .type_count = 1}},
        {F("float"), "f FloatVector(4)\n", NULL, {.types = floats, .type_count = 1}},
    };
    check(schemas, MM_COUNT(schemas));
}

static void the_sample_tells_arrays_and_nulls(void **state)
{
    (void)state;
    static const schema schemas[] = {
        {F("keyword"), "f Array(VarChar)\n", "{\"f\":[\"a\",\"b\"]}", {0}},
        {F("keyword"), "f JSON\n", "{\"f\":[\"a\",\"b\"]}", {.arrays = "json"}},
        {F("long"), "f Array(Int64)\n", "{\"f\":[1,2]}", {0}},
        {F("boolean"), "f Array(Bool)\n", "{\"f\":[true,false]}", {0}},
        {F("float"), "f Array(Float)\n", "{\"f\":[1,2]}", {0}},
        {F("long"), "f Int64\n", "{\"f\":[1]}", {0}},
        {F("long"), "f Int64 nullable\n", "{}", {0}},
        {F("long"), "f Int64 nullable\n", "{\"f\":null}", {0}},
        {F("long"), "f Int64 nullable\n", "{\"f\":1}", {.nulls = "nullable"}},
        {F("long"), "f Int64\n", "{}", {.nulls = "default"}},
        {F("long"), "f Int64\n", "{}", {.nulls = "reject"}},
        {F("long"), "! source.nulls: auto, nullable, default or reject", NULL, {.nulls = "sometimes"}},
    };
    check(schemas, MM_COUNT(schemas));
}

#define TREE                                                                                                          \
    "{\"title\":{\"type\":\"text\"},\"m\":{\"properties\":{\"a\":{\"type\":\"keyword\"},\"n\":{\"properties\":{\"x\":"   \
    "{\"type\":\"long\"}}}}},\"o\":{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":2},\"t\":{\"type\":"       \
    "\"text\"},\"q\":{\"properties\":{\"z\":{\"type\":\"long\"}}}}},\"2nd-name\":{\"type\":\"long\"}}"

static void names_and_patterns_choose_fields(void **state)
{
    (void)state;
    static const char *const title[] = {"title"}, *const leaf[] = {"m.n.x", "tit*"}, *const object[] = {"m"},
                      *const vector[] = {"o.*"}, *const wrong[] = {"titel"}, *const all[] = {"*"},
                      *const types[] = {"m JSON", "extra VarChar(10)"}, *const deep[] = {"m.n.x VarChar(20) nullable"},
                      *const lost[] = {"nothing Int64 primary"}, *const whole[] = {"o"};
    static const schema schemas[] = {
        {TREE, "title VarChar(65535)\nm JSON\no_v FloatVector(2) COSINE\no_t VarChar(65535)\no_q JSON\n_2nd_name Int64\n",
         NULL, {0}},
        {TREE, "title VarChar(65535)\nm JSON\no_v FloatVector(2) COSINE\no_t VarChar(65535)\no_q JSON\n_2nd_name Int64\n",
         NULL, {.include = all, .include_count = 1}},
        {TREE, "title VarChar(65535)\n", NULL, {.include = title, .include_count = 1}},
        {TREE, "title VarChar(65535)\nm_n_x Int64\n", NULL, {.include = leaf, .include_count = 2}},
        {TREE, "m JSON\n", NULL, {.include = object, .include_count = 1}},
        {TREE, "o_v FloatVector(2) COSINE\no_t VarChar(65535)\no_q JSON\n", NULL, {.include = vector, .include_count = 1}},
        {TREE, "title VarChar(65535)\nm JSON\n_2nd_name Int64\n", NULL, {.exclude = whole, .exclude_count = 1}},
        {TREE, "! source.include: `titel` names nothing", NULL, {.include = wrong, .include_count = 1}},
        {TREE, "title VarChar(65535)\nm JSON\n_2nd_name Int64\nextra VarChar(10)\n", NULL,
         {.types = types, .type_count = 2, .exclude = whole, .exclude_count = 1}},
        {TREE, "title VarChar(65535)\nm_a VarChar(65535)\nm_n_x VarChar(20) nullable\n_2nd_name Int64\n", NULL,
         {.types = deep, .type_count = 1, .exclude = whole, .exclude_count = 1}},
        {TREE, "! source.primary_key says which", NULL, {.types = lost, .type_count = 1}},
        {"{\"a_b\":{\"type\":\"long\"},\"a-b\":{\"type\":\"long\"}}", "! would both be called `a_b`", NULL, {0}},
    };
    check(schemas, MM_COUNT(schemas));
}

static void the_primary_key_is_chosen(void **state)
{
    (void)state;
    static const char *const no_id[] = {"_id"};
    static const schema schemas[] = {
        {F("long"), "_id_hash Int64 primary\n_id VarChar(512)\nf Int64\n", NULL, {.primary_key = "_id_hash"}},
        {F("long"), "_id_hash Int64 primary\nf Int64\n", NULL,
         {.primary_key = "_id_hash", .exclude = no_id, .exclude_count = 1}},
        {F("short"), "_id VarChar(512)\nf Int64 primary\n", NULL, {.primary_key = "f"}},
        {F("keyword"), "_id VarChar(512)\nf VarChar(65535) primary\n", "{}", {.primary_key = "f", .nulls = "nullable"}},
        {F("double"), "! `f` is Double; a primary key is an integer or a text", NULL, {.primary_key = "f"}},
        {F("double"), "! there is no field `g` among those that are read", NULL, {.primary_key = "g"}},
        {F("long"), "_id VarChar(64) primary\n_index VarChar(255)\n_routing VarChar(512)\nf Int64\n", NULL,
         {.id_length = 64, .with_index = true, .with_routing = true}},
    };
    check(schemas, MM_COUNT(schemas));
}

#define NESTED                                                                                                        \
    "{\"t\":{\"type\":\"keyword\"},\"p\":{\"type\":\"nested\",\"properties\":{\"v\":{\"type\":\"dense_vector\","          \
    "\"dims\":2},\"n\":{\"type\":\"long\"}}}}"

static void a_vector_in_nested_objects_is_exploded_or_refused(void **state)
{
    (void)state;
    static const char *const vector[] = {"p.v"}, *const json[] = {"p JSON"};
    static const schema schemas[] = {
        {NESTED, "! `p` is nested, and holds a vector", NULL, {0}},
        {NESTED, "_id VarChar(523) primary\n_parent_id VarChar(512)\nt VarChar(65535)\np_v FloatVector(2) COSINE\np_n Int64\n",
         NULL, {.explode = "p"}},
        {NESTED, "t VarChar(65535)\np JSON\n", NULL, {.exclude = vector, .exclude_count = 1}},
        {NESTED, "t VarChar(65535)\np JSON\n", NULL, {.types = json, .type_count = 1}},
        {NESTED, "! `t` is no nested field", NULL, {.explode = "t"}},
        {NESTED, "! `t` is the same for all objects of `p`", NULL, {.explode = "p", .primary_key = "t"}},
        {NESTED, "! a field of it is wanted", NULL, {.include = vector, .include_count = 1, .types = NULL}},
    };
    check(schemas, MM_COUNT(schemas) - 1);
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_elastic_choice choice = {.primary_key = "_id", .include = vector, .include_count = 1};
    assert_int_equal(elastic_fields(&f, NESTED, &choice, NULL), MM_CONFIG);
    elastic_close(&f);
}

static void what_is_lost_is_said_field_by_field(void **state)
{
    (void)state;
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    assert_int_equal(elastic_fields(&f, "{\"n\":{\"type\":\"long\"},\"p\":{\"type\":\"scaled_float\"},\"t\":{\"type\":\"text\"},"
                                        "\"u\":{\"type\":\"unsigned_long\"},\"r\":{\"type\":\"ip_range\"}}",
                                    NULL, NULL),
                     MM_OK);
    assert_string_equal(f.fields->lost,
                        "p: scaled_float becomes Double, with the value of _source, not the scaled one\n"
                        "t: text becomes VarChar: its analysis stays behind\n"
                        "u: unsigned_long becomes Int64; a value above 9223372036854775807 is a reject\n"
                        "r: ip_range becomes JSON\n");
    static const char *const source = "{\"n\":1,\"extra\":{\"a\":1},\"extra\":2}";
    mm_buffer answer = MM_BUFFER_INIT;
    elastic_answer(&answer, &source, 1);
    assert_int_equal(elastic_fields(&f, "{\"n\":{\"type\":\"long\"}}", NULL, answer.data), MM_OK);
    assert_string_equal(f.fields->lost,
                        "extra: is in documents, not in the mapping, and left out (types: \"extra JSON\")\n");
    assert_int_equal(f.fields->schema->field_count, 2);
    mm_buffer_free(&answer);

    /* below an object of which a field is wanted, however the key is written; what is JSON as a whole has it all */
    static const char *const inner = "{\"m\":{\"a\":\"x\",\"b\":{\"c\":1,\"deep\":1},\"inner\":2},\"m.point\":3,"
                                     "\"m.b.both\":4,\"o\":{\"k\":1,\"unsaid\":1},\"p.q\":1}";
    static const char *const leaves[] = {"m.a", "m.b.c"};
    elastic_answer(&answer, &inner, 1);
#define INNER "{\"m\":{\"properties\":{\"a\":{\"type\":\"keyword\"},\"b\":{\"properties\":{\"c\":{\"type\":\"long\"}}}}}," \
              "\"o\":{\"properties\":{\"k\":{\"type\":\"long\"}}}}"
    mm_elastic_choice choice = {.primary_key = "_id", .types = (const char *[]){"m.a VarChar(9)", "m.b.c Int64"}, .type_count = 2};
    assert_int_equal(elastic_fields(&f, INNER, &choice, answer.data), MM_OK);
    assert_string_equal(elastic_schema(&f), "_id VarChar(512) primary\nm_a VarChar(9)\nm_b_c Int64\no JSON\n");
    assert_string_equal(f.fields->lost,
                        "m: object becomes fields of their own, since one of them is named\n"
                        "m.b: object becomes fields of their own, since one of them is named\n"
                        "m.b.deep: is in documents, not in the mapping, and left out (types: \"m.b.deep JSON\")\n"
                        "m.b.both: is in documents, not in the mapping, and left out (types: \"m.b.both JSON\")\n"
                        "m.inner: is in documents, not in the mapping, and left out (types: \"m.inner JSON\")\n"
                        "m.point: is in documents, not in the mapping, and left out (types: \"m.point JSON\")\n"
                        "p.q: is in documents, not in the mapping, and left out (types: \"p.q JSON\")\n");
    assert_string_equal(elastic_rows(&f, answer.data, answer.size, false, SIZE_MAX),
                        "_id=a m_a=x m_b_c=1 o={\"k\":1,\"unsaid\":1}\n");
    mm_elastic_choice named = {.primary_key = "_id", .include = leaves, .include_count = 2};
    assert_int_equal(elastic_fields(&f, INNER, &named, answer.data), MM_OK);
    assert_non_null(strstr(f.fields->lost, "m.b.deep: is in documents"));
    mm_elastic_choice whole = {.primary_key = "_id"};
    assert_int_equal(elastic_fields(&f, INNER, &whole, answer.data), MM_OK);
    assert_string_equal(f.fields->lost, "p.q: is in documents, not in the mapping, and left out (types: \"p.q JSON\")\n");
    mm_buffer_free(&answer);
    elastic_close(&f);
}

static void mappings_of_several_indices_are_joined(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{\"a\":{\"mappings\":{\"properties\":{\"n\":{\"type\":\"long\"}}}},\"b\":{\"mappings\":{}}}",
        "{\"c\":{\"mappings\":{\"properties\":{\"n\":{\"type\":\"long\"},\"t\":{\"type\":\"text\"}}}}}"};
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"{\"d\":{\"mappings\":{\"properties\":{\"n\":{\"type\":\"keyword\"}}}}}", "d: field `n` is keyword there and long"},
        {"{\"d\":{\"mappings\":{\"_source\":{\"enabled\":false}}}}", "d: the index does not store _source"},
        {"{\"error\":{}}", "`error` has no \"mappings\""},
        {"{\"d\":{\"mappings\":{\"properties\":{\"n\":7}}}}", "_mapping: byte 36: an object is wanted"},
        {"{\"d\":", "the text ends"},
    };
    mm_elastic_choice choice = {.primary_key = "_id"};
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    assert_int_equal(mm_elastic_fields_build(&f.arena, "all", &choice, good, 2, NULL, 0, &f.fields, &f.err), MM_OK);
    assert_string_equal(elastic_schema(&f), "_id VarChar(512) primary\nn Int64\nt VarChar(65535)\n");
    for (size_t i = 0; i < MM_COUNT(bad); i++) {
        const char *const both[] = {good[0], bad[i].text};
        assert_int_not_equal(mm_elastic_fields_build(&f.arena, "all", &choice, both, 2, NULL, 0, &f.fields, &f.err), MM_OK);
        if (strstr(f.err.text, bad[i].words) == NULL)
            fail_msg("%s: %s", bad[i].text, f.err.text);
    }
    elastic_close(&f);
}

static void null_has_a_value_where_all_indices_say_the_same(void **state)
{
    (void)state;
#define NULLED(index, value) "{\"" index "\":{\"mappings\":{\"properties\":{\"n\":{\"type\":\"long\"" value "}}}}}"
    static const struct {
        const char *second, *want;
    } cases[] = {{NULLED("b", ",\"null_value\":7"), "_id=a n=7\n"},
                 {NULLED("b", ",\"null_value\":8"), "! a n: no value"},
                 {NULLED("b", ""), "! a n: no value"}};
    static const char *const source = "{\"n\":null}";
    mm_elastic_choice choice = {.primary_key = "_id"};
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_buffer answer = MM_BUFFER_INIT;
    elastic_answer(&answer, &source, 1);
    for (size_t i = 0; i < MM_COUNT(cases); i++) {
        const char *const both[] = {NULLED("a", ",\"null_value\":7"), cases[i].second};
        assert_int_equal(mm_elastic_fields_build(&f.arena, "all", &choice, both, 2, NULL, 0, &f.fields, &f.err), MM_OK);
        const char *rows = elastic_rows(&f, answer.data, answer.size, false, SIZE_MAX);
        assert_int_equal(strncmp(rows, cases[i].want, strlen(cases[i].want)), 0);
    }
    /* null is a value then: the sample has no document without one */
    assert_int_equal(elastic_fields(&f, "{\"n\":{\"type\":\"long\",\"null_value\":7}}", NULL, answer.data), MM_OK);
    assert_string_equal(elastic_schema(&f), "_id VarChar(512) primary\nn Int64\n");
    assert_int_equal(elastic_fields(&f, "{\"n\":{\"type\":\"long\"}}", NULL, answer.data), MM_OK);
    assert_string_equal(elastic_schema(&f), "_id VarChar(512) primary\nn Int64 nullable\n");
    mm_buffer_free(&answer);
    elastic_close(&f);
}

static void only_what_is_wanted_is_asked_for(void **state)
{
    (void)state;
    static const char *const leaf[] = {"m.a"}, *const exclude[] = {"o", "m.n"};
    static const struct {
        mm_elastic_choice choice;
        bool keys, vectors;
        const char *want;
    } rows[] = {
        {{.primary_key = "_id"}, false, false, "{}"},
        {{.primary_key = "_id"}, false, true, "{\"exclude_vectors\":false}"},
        {{.primary_key = "_id"}, true, true, "false"},
        {{.primary_key = "title"}, true, false, "{\"includes\":[\"title\"]}"},
        {{.primary_key = "_id", .include = leaf, .include_count = 1}, false, true,
         "{\"includes\":[\"m.a\"],\"exclude_vectors\":false}"},
        {{.primary_key = "_id", .exclude = exclude, .exclude_count = 2}, false, false,
         "{\"includes\":[\"title\",\"m\",\"2nd-name\"],\"excludes\":[\"o\",\"m.n\"]}"},
    };
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_buffer out = MM_BUFFER_INIT;
        assert_int_equal(elastic_fields(&f, TREE, &rows[i].choice, NULL), MM_OK);
        mm_elastic_fields_source(f.fields, rows[i].keys, rows[i].vectors, &out);
        assert_string_equal(out.data, rows[i].want);
        mm_buffer_free(&out);
    }
    elastic_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_its_place),
        cmocka_unit_test(vectors_bring_dims_metric_and_index),
        cmocka_unit_test(the_sample_tells_arrays_and_nulls),
        cmocka_unit_test(names_and_patterns_choose_fields),
        cmocka_unit_test(the_primary_key_is_chosen),
        cmocka_unit_test(a_vector_in_nested_objects_is_exploded_or_refused),
        cmocka_unit_test(what_is_lost_is_said_field_by_field),
        cmocka_unit_test(mappings_of_several_indices_are_joined),
        cmocka_unit_test(null_has_a_value_where_all_indices_say_the_same),
        cmocka_unit_test(only_what_is_wanted_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
