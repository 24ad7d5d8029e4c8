/* What proves who asks: the text that Azure's SharedKey signs, a service account's JWT, tokens kept, replaced and
 * given out again. That the services take them is shown by the integration tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/digest.h"
#include "storage/azure_auth.h"
#include "storage/endpoint.h"
#include "storage/gcs_auth.h"
#include "storage/token.h"

/* --- SharedKey ---------------------------------------------------------------------------------- */

static void expect_signed(const char *method, const char *path, const mm_pair *query, size_t query_count,
                          const mm_pair *headers, size_t header_count, uint64_t size, const char *text)
{
    mm_buffer out = MM_BUFFER_INIT;
    mm_status status = mm_azure_string_to_sign("acct", method, path, query, query_count, headers, header_count, size,
                                               &out, NULL);
    assert_int_equal(status, MM_OK);
    assert_string_equal(out.data, text);
    mm_buffer_free(&out);
}

static void shared_key_signs_each_header_in_its_line_and_the_query_by_name(void **state)
{
    (void)state;
    const mm_pair list[] = {{"comp", "list"}, {"prefix", "a b/c"}, {"restype", "container"}};
    const mm_pair dated[] = {{"x-ms-date", "D"}, {"x-ms-version", "V"}};
    expect_signed("GET", "/c", list, 3, dated, 2, 0,
                  "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:D\nx-ms-version:V\n/acct/c\ncomp:list\nprefix:a b/c\n"
                  "restype:container");
    const mm_pair put[] = {{"content-md5", "M=="}, {"content-type", "T"}, {"if-none-match", "*"},
                           {"x-ms-blob-type", "B"}, {"x-ms-date", "D"}};
    expect_signed("PUT", "/acct/c/a%20b", NULL, 0, put, 5, 1234,
                  "PUT\n\n\n1234\nM==\nT\n\n\n\n*\n\n\nx-ms-blob-type:B\nx-ms-date:D\n/acct/acct/c/a%20b");
    const mm_pair match[] = {{"if-match", "\"0x8\""}, {"x-ms-date", "D"}};
    expect_signed("DELETE", "/c/k", NULL, 0, match, 2, 0,
                  "DELETE\n\n\n\n\n\n\n\n\"0x8\"\n\n\n\nx-ms-date:D\n/acct/c/k");
}

/* --- JWT ---------------------------------------------------------------------------------------- */

static size_t url_decode(const char *text, size_t length, uint8_t *out)
{
    char padded[2048];
    size_t size;
    assert_true(length + 4 < sizeof(padded));
    for (size_t i = 0; i < length; i++) {
        padded[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    }
    while (length % 4 != 0) {
        padded[length++] = '=';
    }
    assert_true(mm_base64_decode(padded, length, out, &size));
    return size;
}

static void a_jwt_says_who_asks_for_what_and_verifies(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem, *jwt = NULL;
    uint8_t decoded[2048];
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    BIO_write(bio, "", 1);
    BIO_get_mem_data(bio, &pem);
    assert_int_equal(mm_gcs_jwt("a\"b@c", pem, "k", "https://t", 1000, &jwt, NULL), MM_OK);
    const char *claims = strchr(jwt, '.') + 1, *signature = strchr(claims, '.') + 1;
    decoded[url_decode(jwt, (size_t)(claims - jwt) - 1, decoded)] = 0;
    assert_string_equal((char *)decoded, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k\"}");
    decoded[url_decode(claims, (size_t)(signature - claims) - 1, decoded)] = 0;
    assert_string_equal((char *)decoded, "{\"iss\":\"a\\\"b@c\",\"scope\":\"https://www.googleapis.com/auth/"
                        "devstorage.read_write\",\"aud\":\"https://t\",\"iat\":1000,\"exp\":4600}");
    size_t size = url_decode(signature, strlen(signature), decoded);
    EVP_MD_CTX *verify = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(verify, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestVerify(verify, decoded, size, (uint8_t *)jwt, (size_t)(signature - jwt) - 1), 1);
    EVP_MD_CTX_free(verify);
    BIO_free(bio);
    EVP_PKEY_free(key);
    free(jwt);
}

static void what_is_no_rsa_key_signs_nothing(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem, *jwt = NULL;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    BIO_write(bio, "", 1);
    BIO_get_mem_data(bio, &pem);
    assert_int_equal(mm_gcs_jwt("a", pem, NULL, "t", 0, &jwt, &err), MM_CONFIG);
    assert_int_equal(mm_gcs_jwt("a", "-----BEGIN PRIVATE KEY-----\n", NULL, "t", 0, &jwt, &err), MM_CONFIG);
    assert_null(jwt);
    BIO_free(bio);
    EVP_PKEY_free(key);
}

/* --- tokens ------------------------------------------------------------------------------------- */

typedef struct {
    int asked;
    uint64_t lifetime_ms;
    mm_status status;
} giver;

static mm_status give(void *context, char **token, uint64_t *lifetime_ms, mm_error *err)
{
    giver *g = context;
    g->asked++;
    if (g->status != MM_OK) {
        return mm_error_set(err, g->status, "no token today");
    }
    *token = mm_format("token-%d", g->asked);
    *lifetime_ms = g->lifetime_ms;
    return MM_OK;
}

static void expect_token(mm_token *token, const char *text)
{
    char *got = NULL;
    assert_int_equal(mm_token_get(token, &got, NULL), MM_OK);
    assert_string_equal(got, text);
    free(got);
}

static void a_token_is_kept_until_it_is_refused_or_near_its_end(void **state)
{
    (void)state;
    mm_token token;
    giver g = {.lifetime_ms = 3600000};
    mm_token_init(&token, give, &g);
    expect_token(&token, "token-1");
    expect_token(&token, "token-1");
    mm_token_refused(&token, "token-0"); /* another thread was told so of the one before */
    expect_token(&token, "token-1");
    mm_token_refused(&token, "token-1");
    expect_token(&token, "token-2");
    assert_true(token.ends_ms - token.refresh_at_ms == 300000); /* five minutes early */
    token.refresh_at_ms = 0;
    g.lifetime_ms = 8000;
    expect_token(&token, "token-3");
    assert_true(token.ends_ms - token.refresh_at_ms == 2000); /* of a short life the last quarter */
    mm_token_free(&token);
}

static void an_old_token_serves_while_no_new_one_is_to_be_had(void **state)
{
    (void)state;
    mm_token token;
    giver g = {.lifetime_ms = 3600000};
    mm_error err = MM_ERROR_INIT;
    char *got = NULL;
    mm_token_init(&token, give, &g);
    expect_token(&token, "token-1");
    g.status = MM_UNAVAILABLE;
    token.refresh_at_ms = 0;
    expect_token(&token, "token-1");
    assert_int_equal(g.asked, 2);
    token.ends_ms = 0;
    assert_int_equal(mm_token_get(&token, &got, &err), MM_UNAVAILABLE);
    assert_string_equal(err.text, "no token today");
    mm_token_free(&token);
}

/* --- endpoints ---------------------------------------------------------------------------------- */

static void an_endpoint_is_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *url, *origin, *host, *path;
        bool plain, loopback, bare;
    } rows[] = {
        {"https://blob.example.com", "https://blob.example.com", "blob.example.com", "", false, false, false},
        {"http://127.0.0.1:10000/acct/", "http://127.0.0.1:10000", "127.0.0.1", "/acct", true, true, true},
        {"http://[::1]:1", "http://[::1]:1", "[::1]", "", true, true, true},
        {"http://10.0.0.1", "http://10.0.0.1", "10.0.0.1", "", true, false, true},
        {"http://azurite:10000", "http://azurite:10000", "azurite", "", true, false, true},
        {"https://localhost", "https://localhost", "localhost", "", false, true, true},
    };
    for (size_t i = 0; i < MM_COUNT(rows); i++) {
        mm_endpoint endpoint;
        assert_int_equal(mm_endpoint_parse("o", rows[i].url, &endpoint, NULL), MM_OK);
        assert_string_equal(endpoint.origin, rows[i].origin);
        assert_string_equal(endpoint.host, rows[i].host);
        assert_string_equal(endpoint.path, rows[i].path);
        assert_int_equal(endpoint.plain, rows[i].plain);
        assert_int_equal(endpoint.loopback, rows[i].loopback);
        assert_int_equal(endpoint.bare, rows[i].bare);
        mm_endpoint_free(&endpoint);
    }
}

static void what_is_no_endpoint_is_refused_without_repeating_a_secret(void **state)
{
    (void)state;
    static const char *const bad[] = {"",         "ftp://h", "h:1", "https://user:hunter2@h", "https://h/?sig=hunter2",
                                      "https://h/#x"};
    for (size_t i = 0; i < MM_COUNT(bad); i++) {
        mm_endpoint endpoint;
        mm_error err = MM_ERROR_INIT;
        assert_int_equal(mm_endpoint_parse("storage_endpoint", bad[i], &endpoint, &err), MM_CONFIG);
        assert_non_null(strstr(err.text, "storage_endpoint"));
        assert_null(strstr(err.text, "hunter2"));
    }
}

static void a_given_token_is_google_s_and_never_goes_in_the_clear(void **state)
{
    (void)state;
    const mm_storage_given given[] = {{"storage_session_token", "ya29.given"}};
    mm_storage_place place = {.location = "gs://b/", .scheme = "gs", .bucket = "b", .given = given, .given_count = 1};
    mm_error err = MM_ERROR_INIT;
    mm_gcs_auth *auth = NULL;
    char *token = NULL;
    assert_int_equal(mm_gcs_auth_open(&place, false, false, &auth, &err), MM_OK);
    assert_int_equal(mm_gcs_auth_token(auth, &token, &err), MM_OK);
    assert_string_equal(token, "ya29.given");
    mm_gcs_auth_refused(auth, token);
    free(token);
    mm_gcs_auth_close(auth);
    assert_int_equal(mm_gcs_auth_open(&place, true, false, &auth, &err), MM_CONFIG);
    assert_null(strstr(err.text, "ya29"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_key_signs_each_header_in_its_line_and_the_query_by_name),
        cmocka_unit_test(a_jwt_says_who_asks_for_what_and_verifies),
        cmocka_unit_test(what_is_no_rsa_key_signs_nothing),
        cmocka_unit_test(a_token_is_kept_until_it_is_refused_or_near_its_end),
        cmocka_unit_test(an_old_token_serves_while_no_new_one_is_to_be_had),
        cmocka_unit_test(a_given_token_is_google_s_and_never_goes_in_the_clear),
        cmocka_unit_test(an_endpoint_is_taken_apart),
        cmocka_unit_test(what_is_no_endpoint_is_refused_without_repeating_a_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
