/* The XML walker: every element in order with its path and its decoded text, malformed bytes refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "storage/xml.h"

static mm_status note(void *context, const char *path, const char *text, mm_error *err)
{
    (void)err;
    mm_buffer_printf(context, "%s=%s;", path, text);
    return MM_OK;
}

static void expect_walk(const char *document, const char *elements)
{
    mm_buffer seen = MM_BUFFER_INIT;
    mm_error err = MM_ERROR_INIT;
    mm_status status = mm_xml_walk(document, strlen(document), note, &seen, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(status, MM_OK);
    assert_string_equal(seen.data, elements);
    mm_buffer_free(&seen);
}

static void every_element_comes_at_its_end_with_path_and_text(void **state)
{
    (void)state;
    expect_walk("\xEF\xBB\xBF<?xml version=\"1.0\"?>\n<!-- a > b -->\n"
                "<List xmlns=\"http://x/\"><Item a='/>'>\n <Key>k 1</Key>\n <Size >7</Size ></Item><Item/><Next /></List>"
                "\n",
                "List/Item/Key=k 1;List/Item/Size=7;List/Item=;List/Item=;List/Next=;List=;");
    expect_walk("<a:b xmlns:a='u'><a:c>1</a:c></a:b>", "b/c=1;b=;");
}

static void text_is_decoded_and_kept_to_the_blank(void **state)
{
    (void)state;
    expect_walk("<K>&lt;&amp;&gt;&quot;&apos;&#34;&#x20AC;&#128512; </K>", "K=<&>\"'\"\xE2\x82\xAC\xF0\x9F\x98\x80 ;");
    expect_walk("<K> </K>", "K= ;");
    expect_walk("<K>a<![CDATA[<&]]>b<!-- x -->c</K>", "K=a<&bc;");
}

static void what_is_not_well_formed_is_refused_with_the_byte(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", " ", "x", "<a>", "<a></b>", "</a>", "<a/><b/>", "<a/>x", "<a", "<a b='></a>", "<a>&nbsp;</a>",
        "<a>&#0;</a>", "<a>&#xD800;</a>", "<a>&#x110000;</a>", "<a>&#;</a>", "<a>&#x;</a>", "<a>&",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>",
        "<a><![CDATA[x]]</a>", "<a><!-- </a>", "<?xml", "<a><></a>", "<a><b<c/></b></a>",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>"
        "</a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a>"};
    for (size_t i = 0; i < MM_COUNT(bad); i++) {
        mm_buffer seen = MM_BUFFER_INIT;
        mm_error err = MM_ERROR_INIT;
        assert_int_equal(mm_xml_walk(bad[i], strlen(bad[i]), note, &seen, &err), MM_DATA);
        assert_non_null(strstr(err.text, "XML answer: "));
        mm_buffer_free(&seen);
    }
    char deep[5 * MM_XML_PATH]; /* a path that is one byte too long, and one whose length would underflow */
    for (int last = 1; last <= 2; last++) {
        int size = snprintf(deep, sizeof(deep), "<%0*d><%0*d><c>", MM_XML_PATH - 3, 1, last, 1);
        assert_int_equal(mm_xml_walk(deep, (size_t)size, note, NULL, NULL), MM_DATA);
    }
    mm_buffer seen = MM_BUFFER_INIT;
    assert_int_equal(mm_xml_walk("<a>b\0c</a>", 10, note, &seen, NULL), MM_DATA);
    mm_buffer_free(&seen);
}

static mm_status stop(void *context, const char *path, const char *text, mm_error *err)
{
    (void)context;
    (void)text;
    return mm_error_set(err, MM_INTERRUPTED, "at %s", path);
}

static void a_callback_ends_the_walk(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_xml_walk("<a><b/><c/></a>", 15, stop, NULL, &err), MM_INTERRUPTED);
    assert_string_equal(err.text, "at a/b");
}

static void written_text_reads_back(void **state)
{
    (void)state;
    mm_buffer out = MM_BUFFER_INIT;
    mm_buffer_printf(&out, "<k>");
    mm_xml_text(&out, "a&b<c>\"d'\xC3\xA9");
    mm_buffer_printf(&out, "</k>");
    expect_walk(out.data, "k=a&b<c>\"d'\xC3\xA9;");
    mm_buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_comes_at_its_end_with_path_and_text),
        cmocka_unit_test(text_is_decoded_and_kept_to_the_blank),
        cmocka_unit_test(what_is_not_well_formed_is_refused_with_the_byte),
        cmocka_unit_test(a_callback_ends_the_walk),
        cmocka_unit_test(written_text_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
