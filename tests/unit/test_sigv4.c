/* Signatures against those that AWS publishes and those that botocore computes, and the encoding below them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "storage/sigv4.h"
#include "storage/storage_internal.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void expect_signature(const mm_sigv4 *request, const char *scope, const char *names, const char *signature)
{
    mm_error err = MM_ERROR_INIT;
    mm_buffer out = MM_BUFFER_INIT;
    assert_int_equal(mm_sigv4_sign(request, &out, &err), MM_OK);
    char *wanted = mm_format("AWS4-HMAC-SHA256 Credential=%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
                             request->access_key, scope, names, signature);
    assert_string_equal(out.data, wanted);
    free(wanted);
    mm_buffer_free(&out);
}

/* Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header", examples. */
static mm_sigv4 published(const char *method, const char *path, const char *query, const char *const *headers,
                          size_t count, const char *hash)
{
    return (mm_sigv4){.access_key = "AKIAIOSFODNN7EXAMPLE", .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                      .region = "us-east-1", .service = "s3", .method = method,
                      .host = "examplebucket.s3.amazonaws.com", .path = path, .query = query, .headers = headers,
                      .header_count = count, .payload_hash = hash, .date = "20130524T000000Z"};
}

static void signs_as_aws_publishes(void **state)
{
    (void)state;
    const char *scope = "20130524/us-east-1/s3";
    const char *get[] = {"range:bytes=0-9", "x-amz-content-sha256:" EMPTY, "x-amz-date:20130524T000000Z"};
    mm_sigv4 request = published("GET", "/test.txt", NULL, get, 3, EMPTY);
    expect_signature(&request, scope, "host;range;x-amz-content-sha256;x-amz-date",
                     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    const char *hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    const char *put[] = {"x-amz-storage-class: REDUCED_REDUNDANCY", "date: Fri, 24 May 2013 00:00:00 GMT",
                         "x-amz-date: 20130524T000000Z",
                         "x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"};
    request = published("PUT", "/test%24file.text", NULL, put, 4, hash);
    expect_signature(&request, scope, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    request = published("GET", "/", "lifecycle=", get + 1, 2, EMPTY);
    expect_signature(&request, scope, "host;x-amz-content-sha256;x-amz-date",
                     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    request = published("GET", "/", "max-keys=2&prefix=J", get + 1, 2, EMPTY);
    expect_signature(&request, scope, "host;x-amz-content-sha256;x-amz-date",
                     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* The same requests given to botocore 1.44.5 (S3SigV4Auth; SigV4Auth for sts). */
static mm_sigv4 computed(const char *method, const char *host, const char *path, const char *region)
{
    return (mm_sigv4){.access_key = "AKIDEXAMPLE", .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                      .region = region, .service = "s3", .method = method, .host = host, .path = path,
                      .payload_hash = EMPTY, .date = "20261121T010203Z"};
}

static void signs_listings_as_botocore(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_buffer query = MM_BUFFER_INIT;
    const mm_sigv4_pair pairs[] = {{"list-type", "2"}, {"prefix", "a b/\xc3\xbc+"}, {"continuation-token", "x=y/+"},
                                   {"encoding-type", "url"}};
    assert_int_equal(mm_sigv4_query(pairs, MM_COUNT(pairs), &query, &err), MM_OK);
    assert_string_equal(query.data, "continuation-token=x%3Dy%2F%2B&encoding-type=url&list-type=2&"
                                    "prefix=a%20b%2F%C3%BC%2B");
    const char *headers[] = {"x-amz-content-sha256: " EMPTY, "x-amz-date: 20261121T010203Z"};
    mm_sigv4 request = computed("GET", "127.0.0.1:9000", "/bucket", "us-east-1");
    request.query = query.data, request.headers = headers, request.header_count = 2;
    expect_signature(&request, "20261121/us-east-1/s3", "host;x-amz-content-sha256;x-amz-date",
                     "cc31a98d9fcae0a998212fdd14387f28c5ed9a078cf414774cc1c0c14f3b5f8a");
    mm_buffer_free(&query);
}

static void signs_parts_with_a_token_as_botocore(void **state)
{
    (void)state;
    mm_buffer path = MM_BUFFER_INIT;
    mm_buffer_printf(&path, "/");
    mm_percent_encode(&path, "a b/\xc3\xbc+(x)!*'/c//d", true);
    assert_string_equal(path.data, "/a%20b/%C3%BC%2B%28x%29%21%2A%27/c//d");
    const char *hash = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    const char *headers[] = {
        "x-amz-security-token: to/k+en==", "x-amz-date: 20261121T010203Z",
        "x-amz-content-sha256: b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
        "x-amz-checksum-sha256: uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="};
    mm_sigv4 request = computed("PUT", "bucket.s3.eu-west-1.amazonaws.com", path.data, "eu-west-1");
    request.query = "partNumber=3&uploadId=a.b_c-d~e", request.headers = headers, request.header_count = 4;
    request.payload_hash = hash;
    expect_signature(&request, "20261121/eu-west-1/s3",
                     "host;x-amz-checksum-sha256;x-amz-content-sha256;x-amz-date;x-amz-security-token",
                     "236fc081fa3c08173a06f004a34a522a1b56e24acd0f75e8c03c3c7c08f2e08b");
    mm_buffer_free(&path);
}

static void folds_blanks_in_headers_as_botocore(void **state)
{
    (void)state;
    const char *headers[] = {
        "x-amz-meta-a:   two   blanks  ", "content-type: application/xml", "x-amz-date: 20261121T010203Z",
        "x-amz-content-sha256: 29114363f749a0226b6988dda3ca2492a954117ab6b5f382706c20300dabc079"};
    mm_sigv4 request = computed("POST", "bucket.s3.cn-north-1.amazonaws.com.cn", "/k", "cn-north-1");
    request.query = "uploads=", request.headers = headers, request.header_count = 4;
    request.payload_hash = "29114363f749a0226b6988dda3ca2492a954117ab6b5f382706c20300dabc079";
    expect_signature(&request, "20261121/cn-north-1/s3", "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a",
                     "47ec8f26fda1c40f7c09971cf069f232ff3e5a46ff5690c999c8c830da1d9f1e");
}

static void orders_queries_by_name_then_value(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_buffer query = MM_BUFFER_INIT;
    const mm_sigv4_pair pairs[] = {{"a", "1"}, {"a-b", "2"}, {"a", "0"}, {"A", "3"}};
    assert_int_equal(mm_sigv4_query(pairs, MM_COUNT(pairs), &query, &err), MM_OK);
    assert_string_equal(query.data, "A=3&a=0&a=1&a-b=2");
    const char *headers[] = {"x-amz-content-sha256: " EMPTY, "x-amz-date: 20261121T010203Z"};
    mm_sigv4 request = computed("DELETE", "localhost", "/k", "auto");
    request.query = query.data, request.headers = headers, request.header_count = 2;
    expect_signature(&request, "20261121/auto/s3", "host;x-amz-content-sha256;x-amz-date",
                     "212bbe47c7b5cab2735661447813e5687cd7e75f02e97a317b276da55b01fb7b");
    mm_buffer_free(&query);
}

static void signs_for_sts_as_botocore(void **state)
{
    (void)state;
    const char *headers[] = {"x-amz-x: 1", "x-amz-date: 20261121T010203Z"};
    mm_sigv4 request = computed("POST", "sts.us-east-1.amazonaws.com", "/", "us-east-1");
    request.service = "sts", request.headers = headers, request.header_count = 2;
    request.payload_hash = "80f6421ec9448a0b058e65fbcf0dfe6691d336e735056c375108a5444e43ed41";
    expect_signature(&request, "20261121/us-east-1/sts", "host;x-amz-date;x-amz-x",
                     "164b0fe055d41ed490af70713a6f7605996917247f1610e03adfbc256555b51f");
}

static void encodes_every_byte(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        char text[2] = {(char)c, '\0'}, wanted[4];
        bool plain = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", c) != NULL;
        snprintf(wanted, sizeof(wanted), plain ? "%c" : "%%%02X", (unsigned)c);
        mm_buffer out = MM_BUFFER_INIT;
        mm_percent_encode(&out, text, false);
        assert_string_equal(out.data, wanted);
        mm_buffer_free(&out);
    }
}

static void dates_of_both_kinds(void **state)
{
    (void)state;
    char date[MM_SIGV4_DATE];
    mm_sigv4_date(1795222923000, date);
    assert_string_equal(date, "20261121T010203Z");
    assert_int_equal(mm_storage_time("Sat, 21 Nov 2026 01:02:03 GMT"), 1795222923000);
    assert_int_equal(mm_storage_time("2026-11-21T01:02:03.045Z"), 1795222923045);
    assert_int_equal(mm_storage_time("2026-11-21T01:02:03Z"), 1795222923000);
    assert_int_equal(mm_storage_time("soon"), 0);
    assert_int_equal(mm_storage_time(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_as_aws_publishes),
        cmocka_unit_test(signs_listings_as_botocore),
        cmocka_unit_test(signs_parts_with_a_token_as_botocore),
        cmocka_unit_test(folds_blanks_in_headers_as_botocore),
        cmocka_unit_test(orders_queries_by_name_then_value),
        cmocka_unit_test(signs_for_sts_as_botocore),
        cmocka_unit_test(encodes_every_byte),
        cmocka_unit_test(dates_of_both_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
