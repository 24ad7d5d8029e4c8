/* Keys of documents and hits: they are foreseen from the ones before, and whatever comes instead is read as well. And the
 * texts of a batch, whose memory goes with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/elastic_fixture.h"

#define LONG_NAME "a_name_of_more_than_thirty_two_letters"
#define PROPERTIES                                                                                                   \
    "{\"n\":{\"type\":\"long\"},\"t\":{\"type\":\"text\"},\"d\":{\"type\":\"double\"},\"" LONG_NAME                   \
    "\":{\"type\":\"long\"},\"o\":{\"properties\":{\"x\":{\"type\":\"long\"},\"y\":{\"type\":\"keyword\"}}}}"

static void keys_may_stand_in_any_order(void **state)
{
    (void)state;
    static const char *const leaves[] = {"n", "t", "d", LONG_NAME, "o.x", "o.y"};
    static const char *const sources[] = {
        "{\"n\":1,\"t\":\"a\",\"d\":0.5,\"" LONG_NAME "\":2,\"o\":{\"x\":3,\"y\":\"b\"}}",
        "{\"n\":1,\"t\":\"a\",\"d\":0.5,\"" LONG_NAME "\":2,\"o\":{\"x\":3,\"y\":\"b\"}}",
        "{\"o\":{\"y\":\"b\",\"x\":3},\"" LONG_NAME "\":2,\"d\":0.5,\"t\":\"a\",\"n\":1}",
        "{\"o\":{\"y\":\"b\",\"x\":3},\"" LONG_NAME "\":2,\"d\":0.5,\"t\":\"a\",\"n\":1}",
        "{\"z\":[{\"n\":9}],\"n\":1,\"zz\":null,\"t\":\"a\",\"o\":{\"w\":{},\"x\":3,\"y\":\"b\"},\"d\":0.5,\"" LONG_NAME "\":2}",
        " { \"n\" : 1 , \"t\" : \"a\" , \"d\" : 0.5 , \"" LONG_NAME "\" : 2 , \"o\" : { \"x\" : 3 , \"y\" : \"b\" } } ",
        "{\"\\u006e\":1,\"o\":{\"x\":3,\"\\u0079\":\"b\"},\"t\":\"a\",\"" LONG_NAME "\":2,\"d\":0.5}",
        "{\"o.x\":3,\"n\":1,\"t\":\"a\",\"o.y\":\"b\",\"d\":0.5,\"" LONG_NAME "\":2}",
        "{\"n\":1,\"t\":\"a\",\"d\":0.5,\"" LONG_NAME "\":2,\"o\":{\"x\":3},\"o\":{\"y\":\"b\"}}",
        "{\"n\":1,\"n\":1,\"t\":\"a\",\"d\":0.5,\"" LONG_NAME "\":2,\"o\":{\"x\":3,\"y\":\"b\"}}",
        "{\"n\":1,\"t\":\"a\",\"d\":0.5,\"" LONG_NAME "\":2,\"o\":{\"x\":3,\"x\":3}}",
        "{\"n\":1,\"t\":\"a\",\"o\":{}}",
        "{\"n\":1,\"t\":\"a\",\"d\":0.5,\"" LONG_NAME "\":2,\"o\":{\"x\":3,\"y\":\"b\"}}",
    };
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_elastic_choice choice = {.primary_key = "_id", .include = leaves, .include_count = MM_COUNT(leaves),
                                .nulls = "nullable"};
    mm_buffer answer = MM_BUFFER_INIT, want = MM_BUFFER_INIT;
    elastic_answer(&answer, sources, MM_COUNT(sources));
    assert_int_equal(elastic_fields(&f, PROPERTIES, &choice, NULL), MM_OK);
    for (size_t i = 0; i < MM_COUNT(sources); i++) {
        char id = (char)('a' + i);
        if (id == 'j' || id == 'k')
            mm_buffer_printf(&want, "! %c %s: stands there several times, in an array of objects or as two keys; it can be "
                                    "read in the JSON of the object above it\n", id, id == 'j' ? "n" : "o_x");
        else if (id == 'l')
            mm_buffer_printf(&want, "_id=l n=1 t=a d=null " LONG_NAME "=null o_x=null o_y=null\n");
        else
            mm_buffer_printf(&want, "_id=%c n=1 t=a d=0.5 " LONG_NAME "=2 o_x=3 o_y=b\n", id);
    }
    const char *rows = elastic_rows(&f, answer.data, answer.size, false, SIZE_MAX);
    assert_string_equal(rows != NULL ? rows : f.err.text, want.data);
    mm_buffer_free(&answer);
    mm_buffer_free(&want);
    elastic_close(&f);
}

/* Behind a document that was refused nothing of it is left: not in a text, and not as null. */
static void a_reject_leaves_nothing_behind(void **state)
{
    (void)state;
    static const char *const leaves[] = {"n", "t", "d", "o.y"};
    static const char *const sources[] = {
        "{\"t\":\"left\",\"d\":1,\"n\":\"x\",\"o\":{\"y\":\"over\"}}", "{\"n\":1,\"o\":{\"y\":\"b\"}}",
        "{\"t\":\"left\",\"n\":[1,2]}",  "{\"t\":\"left\",\"n\":\"x\"}", "{\"n\":2,\"t\":\"a\",\"d\":2}",
        "{\"n\":3}",                     "{\"d\":3,\"t\":\"left\\n\",\"n\":\"\"}", "{\"d\":4,\"t\":\"\",\"n\":4}"};
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_elastic_choice choice = {.primary_key = "_id", .include = leaves, .include_count = MM_COUNT(leaves),
                                .nulls = "nullable"};
    mm_buffer answer = MM_BUFFER_INIT;
    elastic_answer(&answer, sources, MM_COUNT(sources));
    assert_int_equal(elastic_fields(&f, PROPERTIES, &choice, NULL), MM_OK);
    const char *rows = elastic_rows(&f, answer.data, answer.size, false, SIZE_MAX);
    assert_non_null(rows);
    static const char *const lines[] = {"_id=b n=1 t=null d=null o_y=b\n", "_id=e n=2 t=a d=2 o_y=null\n",
                                        "_id=f n=3 t=null d=null o_y=null\n", "_id=h n=4 t= d=4 o_y=null\n", "! a n: ",
                                        "! c n: ", "! d n: ", "! g n: "};
    for (size_t i = 0; i < MM_COUNT(lines); i++)
        if (strstr(rows, lines[i]) == NULL)
            fail_msg("%s is not in %s", lines[i], rows);
    mm_buffer_free(&answer);
    elastic_close(&f);
}

static void keys_of_a_hit_may_stand_in_any_order(void **state)
{
    (void)state;
    static const char answer[] =
        "{\"timed_out\":false,\"_shards\":{\"total\":1,\"successful\":1,\"failed\":0},\"hits\":{\"total\":9,\"hits\":["
        "{\"_index\":\"i\",\"_id\":\"a\",\"_seq_no\":1,\"_score\":null,\"_source\":{\"n\":1},\"sort\":[1]},"
        "{\"_index\":\"i\",\"_id\":\"b\",\"_seq_no\":2,\"_score\":null,\"_source\":{\"n\":2},\"sort\":[2]},"
        "{\"sort\":[3],\"_source\":{\"n\":3},\"_score\":1.5,\"_seq_no\":3,\"_id\":\"c\",\"_index\":\"j\"},"
        "{\"_index\":\"k\",\"_type\":\"_doc\",\"_id\":\"d\",\"_version\":7,\"_seq_no\":4,\"_primary_term\":1,\"_score\":null,"
        "\"_routing\":\"r\",\"_source\":{\"n\":4},\"fields\":{\"_id\":[\"x\"]},\"sort\":[4]},"
        "{ \"_id\" : \"e\", \"_source\" : {\"n\" : 5}, \"_index\" : \"i\", \"_ignored\" : [\"n\"], \"_routing\" : \"s\"}]}}";
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_elastic_choice choice = {.primary_key = "_id", .with_index = true, .with_routing = true};
    assert_int_equal(elastic_fields(&f, "{\"n\":{\"type\":\"long\"}}", &choice, NULL), MM_OK);
    const char *rows = elastic_rows(&f, answer, sizeof(answer) - 1, false, SIZE_MAX);
    assert_string_equal(rows != NULL ? rows : f.err.text,
                        "_id=a _index=i _routing= n=1\n_id=b _index=i _routing= n=2\n_id=c _index=j _routing= n=3\n"
                        "_id=d _index=k _routing=r n=4\n_id=e _index=i _routing=s n=5\n");
    elastic_close(&f);
}

static void a_key_of_a_hit_stands_there_once(void **state)
{
    (void)state;
    static const struct {
        const char *hit, *words;
    } rows[] = {{"{\"_id\":\"a\",\"_id\":\"b\"}", "a key of a hit stands there twice"},
                {"{\"_id\":\"a\",\"_source\":{},\"_source\":{}}", "_source stands there twice"},
                {"{\"_id\":\"a\",\"_seq_no\":1,\"_seq_no\":1}", "_seq_no stands there twice"},
                {"{\"_source\":{}}", "a hit without _id"}};
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    assert_int_equal(elastic_fields(&f, "{\"n\":{\"type\":\"long\"}}", NULL, NULL), MM_OK);
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_buffer answer = MM_BUFFER_INIT;
        mm_buffer_printf(&answer, "{\"timed_out\":false,\"_shards\":{\"total\":1,\"successful\":1,\"failed\":0},\"hits\":"
                                  "{\"total\":1,\"hits\":[%s]}}", rows[i].hit);
        assert_null(elastic_rows(&f, answer.data, answer.size, false, SIZE_MAX));
        if (strstr(f.err.text, rows[i].words) == NULL)
            fail_msg("%s: %s", rows[i].hit, f.err.text);
        mm_error_clear(&f.err);
        mm_buffer_free(&answer);
    }
    elastic_close(&f);
}

static const char *text_of(const mm_batch *batch, const char *name, size_t *size)
{
    for (size_t i = 0; i < batch->column_count; i++)
        if (strcmp(batch->columns[i].field->name, name) == 0)
            return (const char *)mm_column_at(&batch->columns[i], 0, size);
    return NULL;
}

static void a_batch_keeps_its_texts_while_others_are_read(void **state)
{
    (void)state;
    static const char *const sources[] = {"{\"t\":\"the first text, longer than a block of bytes\"}", "{\"t\":\"2nd\"}",
                                          "{\"t\":\"the third text, longer than the first text is\"}", "{\"t\":\"4th\"}"};
    static const char *const want[] = {"the first text, longer than a block of bytes", "2nd",
                                       "the third text, longer than the first text is", "4th"};
    elastic_fixture f = {.arena = MM_ARENA_INIT};
    mm_elastic_page *page;
    mm_elastic_envelope e;
    mm_elastic_rows rows;
    mm_batch batches[2] = {{.rows = 0}, {.rows = 0}};
    mm_buffer answer = MM_BUFFER_INIT;
    size_t size = 0;
    elastic_answer(&answer, sources, MM_COUNT(sources));
    assert_int_equal(elastic_fields(&f, "{\"t\":{\"type\":\"text\"}}", NULL, NULL), MM_OK);
    assert_int_equal(mm_elastic_page_new(f.fields, false, true, &page, &f.err), MM_OK);
    assert_int_equal(mm_elastic_page_begin(page, "p", answer.data, answer.size, UINT64_MAX, &e, &f.err), MM_OK);
    for (size_t i = 0; i < MM_COUNT(sources); i++) {
        mm_batch *batch = &batches[i % 2], *other = &batches[(i + 1) % 2];
        mm_batch_reset(batch);
        assert_int_equal(mm_elastic_page_next(page, 1, 1 << 20, batch, &rows, &f.err), MM_OK);
        assert_memory_equal(text_of(batch, "t", &size), want[i], strlen(want[i]));
        assert_int_equal(size, strlen(want[i]));
        if (i > 0)
            assert_memory_equal(text_of(other, "t", &size), want[i - 1], strlen(want[i - 1]));
    }
    mm_elastic_page_free(page);
    assert_memory_equal(text_of(&batches[0], "t", &size), want[2], strlen(want[2]));
    assert_memory_equal(text_of(&batches[1], "t", &size), want[3], strlen(want[3]));
    mm_batch_free(&batches[0]);
    mm_batch_free(&batches[1]);
    mm_buffer_free(&answer);
    elastic_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_may_stand_in_any_order),
        cmocka_unit_test(a_reject_leaves_nothing_behind),
        cmocka_unit_test(keys_of_a_hit_may_stand_in_any_order),
        cmocka_unit_test(a_key_of_a_hit_stands_there_once),
        cmocka_unit_test(a_batch_keeps_its_texts_while_others_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
