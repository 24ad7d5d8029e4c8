/* S3's answers: errors, listings, parts, in the ways that services write them; and the shared credential files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "storage/credentials_files.h"
#include "storage/s3.h"

static mm_http_reply reply_of(const char *body)
{
    mm_http_reply reply = MM_HTTP_REPLY_INIT;
    mm_buffer_append(&reply.body, body, strlen(body));
    return reply;
}

static void reads_errors(void **state)
{
    (void)state;
    mm_s3_failure failure;
    mm_http_reply reply = reply_of("<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>no &lt;way&gt;\nout"
                                   "</Message><Region>eu-west-1</Region></Error>");
    mm_s3_read_failure(&reply, &failure);
    assert_string_equal(failure.code, "AccessDenied");
    assert_string_equal(failure.message, "no <way> out");
    assert_string_equal(failure.region, "eu-west-1");
    mm_http_reply_free(&reply);
    reply = reply_of("<html><body>Bad Gateway");
    mm_s3_read_failure(&reply, &failure);
    assert_string_equal(failure.code, "");
    mm_http_reply_free(&reply);
    mm_s3_read_failure(&reply, &failure); /* no body */
    assert_string_equal(failure.code, "");
    assert_string_equal(failure.message, "");
    /* a good answer that has an element of that name is no error */
    reply = reply_of("<CompleteMultipartUploadResult><Code>x</Code></CompleteMultipartUploadResult>");
    mm_s3_read_failure(&reply, &failure);
    assert_string_equal(failure.code, "");
    mm_http_reply_free(&reply);
    /* longer than we keep */
    mm_buffer text = MM_BUFFER_INIT;
    mm_buffer_printf(&text, "<Error><Code>%0500d</Code><Message>%02000d</Message></Error>", 1, 2);
    reply = reply_of(text.data);
    mm_s3_read_failure(&reply, &failure);
    assert_int_equal(strlen(failure.code), sizeof(failure.code) - 1);
    assert_int_equal(strlen(failure.message), sizeof(failure.message) - 1);
    mm_http_reply_free(&reply);
    mm_buffer_free(&text);
}

static void reads_a_listing_with_entities_and_encoded_keys(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_list_page page = {0};
    mm_http_reply reply = reply_of(
        "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>true</IsTruncated>"
        "<Contents><Key>a+b%2Bc/%C3%BC%25</Key><LastModified>2026-11-21T01:02:03.000Z</LastModified>"
        "<ETag>&#34;d41d8cd98f00b204e9800998ecf8427e&#34;</ETag><Size>0</Size></Contents>"
        "<Contents><Key>d</Key><ETag>&quot;x-2&quot;</ETag><Size>18446744073</Size></Contents>"
        "<NextContinuationToken>1/a&amp;b==</NextContinuationToken><EncodingType>url</EncodingType>"
        "</ListBucketResult>");
    assert_int_equal(mm_s3_read_list(&reply, &page, &err), MM_OK);
    assert_int_equal(page.count, 2);
    assert_string_equal(page.items[0].key, "a b+c/\xc3\xbc%");
    assert_string_equal(page.items[0].object.etag, "d41d8cd98f00b204e9800998ecf8427e");
    assert_int_equal(page.items[0].object.modified_ms, 1795222923000);
    assert_string_equal(page.items[1].object.etag, "x-2");
    assert_true(page.items[1].object.size == 18446744073u);
    assert_string_equal(page.next, "1/a&b==");
    mm_list_page_free(&page);
    mm_http_reply_free(&reply);
    /* a service that does not encode */
    reply = reply_of("<ListBucketResult><Contents><Key>a+b%2B&amp;</Key><Size>1</Size></Contents></ListBucketResult>");
    assert_int_equal(mm_s3_read_list(&reply, &page, &err), MM_OK);
    assert_string_equal(page.items[0].key, "a+b%2B&");
    assert_null(page.next);
    mm_list_page_free(&page);
    mm_http_reply_free(&reply);
}

static void refuses_listings_that_would_lose_keys(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "", "<a/>", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>1</Size></Contents>",
        "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%2</Key></Contents></ListBucketResult>",
        "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%00b</Key></Contents></ListBucketResult>",
    };
    for (size_t i = 0; i < MM_COUNT(bodies); i++) {
        mm_error err = MM_ERROR_INIT;
        mm_list_page page = {0};
        mm_http_reply reply = reply_of(bodies[i]);
        assert_int_not_equal(mm_s3_read_list(&reply, &page, &err), MM_OK);
        mm_list_page_free(&page);
        mm_http_reply_free(&reply);
    }
}

static void reads_parts(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_part_list list = {0};
    unsigned next = 9;
    mm_http_reply reply = reply_of(
        "<ListPartsResult><PartNumberMarker>0</PartNumberMarker><IsTruncated>true</IsTruncated>"
        "<NextPartNumberMarker>7</NextPartNumberMarker>"
        "<Part><PartNumber>2</PartNumber><ETag>\"abc\"</ETag><Size>5</Size><ChecksumSHA256>c=</ChecksumSHA256></Part>"
        "<Part><PartNumber>7</PartNumber><ETag>&quot;def&quot;</ETag><Size>6</Size></Part></ListPartsResult>");
    assert_int_equal(mm_s3_read_parts(&reply, &list, &next, &err), MM_OK);
    assert_int_equal(next, 7);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].number, 2);
    assert_true(list.items[0].size == 5);
    assert_string_equal(list.items[0].tag, "abc:c=");
    assert_string_equal(list.items[1].tag, "def");
    mm_http_reply_free(&reply);
    static const char *const bad[] = {
        "<ListPartsResult><Part><ETag>\"a\"</ETag><Size>5</Size></Part></ListPartsResult>",
        "<ListPartsResult><Part><PartNumber>10001</PartNumber></Part></ListPartsResult>",
        "<ListPartsResult><Part><PartNumber>x</PartNumber></Part></ListPartsResult>", "<Other/>"};
    for (size_t i = 0; i < MM_COUNT(bad); i++) {
        reply = reply_of(bad[i]);
        assert_int_not_equal(mm_s3_read_parts(&reply, &list, &next, &err), MM_OK);
        mm_http_reply_free(&reply);
    }
    free(list.items);
}

static void expect_setting(const char *text, const char *section, const char *key, const char *wanted)
{
    bool found;
    char *value = mm_credentials_ini(text, section, key, &found);
    if (wanted) {
        assert_non_null(value);
        assert_string_equal(value, wanted);
    } else {
        assert_null(value);
    }
    free(value);
}

static void reads_shared_files_as_people_write_them(void **state)
{
    (void)state;
    const char *text = "# first\r\n[default]\r\naws_access_key_id=A1\r\n\n[ profile   two ]\n"
                       "AWS_ACCESS_KEY_ID  =  A2 \n; no\n#aws_secret_access_key = never\ns3 =\n  region = nested\n"
                       "region = eu-west-1\nsecret = a=b#c\nempty =\n[two]\nregion = other\n[last]\nregion=x";
    expect_setting(text, "default", "aws_access_key_id", "A1");
    expect_setting(text, "profile two", "aws_access_key_id", "A2");
    expect_setting(text, "profile two", "region", "eu-west-1");
    expect_setting(text, "profile two", "secret", "a=b#c");
    expect_setting(text, "profile two", "aws_secret_access_key", NULL);
    expect_setting(text, "profile two", "empty", NULL);
    expect_setting(text, "two", "region", "other");
    expect_setting(text, "last", "region", "x");
    bool found = true;
    assert_null(mm_credentials_ini(text, "thre", "region", &found));
    assert_false(found);
    assert_null(mm_credentials_ini("", "default", "region", &found));
    assert_null(mm_credentials_ini("[default", "default", "region", &found));
    assert_false(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_errors),
        cmocka_unit_test(reads_a_listing_with_entities_and_encoded_keys),
        cmocka_unit_test(refuses_listings_that_would_lose_keys),
        cmocka_unit_test(reads_parts),
        cmocka_unit_test(reads_shared_files_as_people_write_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
