/* Addresses of MySQL: both forms, what they default to, and that a refusal says nothing of the password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "sources/milvus1x/mysql.h"

#define SECRET "s3cr3t"

static mm_arena arena = MM_ARENA_INIT;

static mm_milvus1x_dsn parse(const char *text)
{
    mm_milvus1x_dsn dsn;
    mm_error err = MM_ERROR_INIT;
    if (mm_milvus1x_dsn_parse(&arena, text, &dsn, &err) != MM_OK)
        fail_msg("%s: %s", text, err.text);
    return dsn;
}

static void refused(const char *text, const char *words)
{
    mm_milvus1x_dsn dsn;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_milvus1x_dsn_parse(&arena, text, &dsn, &err), MM_CONFIG);
    if (strstr(err.text, words) == NULL)
        fail_msg("%s: %s", text, err.text);
    assert_null(strstr(err.text, SECRET));
}

static void same(const char *a, const char *b)
{
    assert_true((a == NULL) == (b == NULL));
    if (a)
        assert_string_equal(a, b);
}

static void by_tcp(const char *text, const char *user, const char *password, const char *host, unsigned port,
                   const char *database)
{
    mm_milvus1x_dsn dsn = parse(text);
    same(dsn.user, user);
    same(dsn.password, password);
    same(dsn.host, host);
    same(dsn.socket, NULL);
    assert_int_equal(dsn.port, port);
    same(dsn.database, database);
    assert_null(strstr(dsn.name, SECRET));
}

static void the_form_of_go_s_driver_is_taken_apart(void **unused)
{
    (void)unused;
    by_tcp("root:" SECRET "@tcp(10.0.0.7:3307)/milvus", "root", SECRET, "10.0.0.7", 3307, "milvus");
    by_tcp("root:" SECRET "@tcp(db.example)/milvus?charset=utf8mb4&parseTime=True&loc=Local", "root", SECRET,
           "db.example", 3306, "milvus");
    by_tcp("root@tcp([fe80::1]:3307)/milvus", "root", NULL, "fe80::1", 3307, "milvus");
    by_tcp("root@tcp([::1])/milvus", "root", NULL, "::1", 3306, "milvus");
    by_tcp("root:@tcp/milvus", "root", "", "127.0.0.1", 3306, "milvus");
    by_tcp("/milvus", "", NULL, "127.0.0.1", 3306, "milvus");
    by_tcp("root@/mil%2Fvus", "root", NULL, "127.0.0.1", 3306, "mil/vus");
}

static void a_password_may_hold_what_parts_the_rest(void **unused)
{
    (void)unused;
    by_tcp("root:a:b@c/d?e%41@tcp(h:1)/milvus", "root", "a:b@c/d?e%41", "h", 1, "milvus");
    by_tcp("root:tcp(x)@tcp(h:1)/milvus", "root", "tcp(x)", "h", 1, "milvus");
    by_tcp("mysql://root:a%3A%40%2f%3F%25:x@h:1/milvus", "root", "a:@/?%:x", "h", 1, "milvus");
    by_tcp("mysql://root:a@b@h/milvus", "root", "a@b", "h", 3306, "milvus"); /* as Milvus 1.x takes it */
}

static void a_url_is_taken_apart(void **unused)
{
    (void)unused;
    by_tcp("mysql://root:" SECRET "@127.0.0.1:3306/milvus", "root", SECRET, "127.0.0.1", 3306, "milvus");
    by_tcp("MySQL://ro%6ft@[::1]:9/a%20b", "root", NULL, "::1", 9, "a b");
    by_tcp("mysql:///milvus", "", NULL, "127.0.0.1", 3306, "milvus");
}

static void a_unix_socket_is_known_in_both_forms(void **unused)
{
    (void)unused;
    mm_milvus1x_dsn dsn = parse("root:" SECRET "@unix(/run/a b/mysqld.sock)/milvus");
    same(dsn.socket, "/run/a b/mysqld.sock");
    same(dsn.host, NULL);
    same(dsn.name, "MySQL /run/a b/mysqld.sock, database milvus");
    same(parse("root@unix/milvus").socket, "/tmp/mysql.sock");
    same(parse("mysql://root@localhost/milvus?socket=/run/mysqld.sock").socket, "/run/mysqld.sock");
    same(parse("root@tcp(localhost)/milvus").socket, NULL);
}

static void tls_and_deadlines_are_read(void **unused)
{
    static const struct {
        const char *text;
        bool said;
        mm_milvus1x_tls tls;
    } cases[] = {{"/a", false, MM_MILVUS1X_TLS_OFF},
                 {"/a?tls=false", true, MM_MILVUS1X_TLS_OFF},
                 {"/a?tls=preferred", true, MM_MILVUS1X_TLS_PREFERRED},
                 {"/a?tls=skip-verify", true, MM_MILVUS1X_TLS_UNVERIFIED},
                 {"/a?tls=true", true, MM_MILVUS1X_TLS_VERIFIED},
                 {"mysql://h/a?x=1&tls=true", true, MM_MILVUS1X_TLS_VERIFIED}};
    (void)unused;
    for (size_t i = 0; i < MM_COUNT(cases); i++) {
        mm_milvus1x_dsn dsn = parse(cases[i].text);
        assert_int_equal(dsn.tls_said, cases[i].said);
        assert_int_equal(dsn.tls, cases[i].tls);
    }
    mm_milvus1x_dsn dsn = parse("/a?timeout=1m30s&readTimeout=250ms&writeTimeout=1s");
    assert_int_equal(dsn.connect_ms, 90000);
    assert_int_equal(dsn.read_ms, 250);
    assert_int_equal(parse("/a").connect_ms, 0);
}

static void what_is_wrong_is_said_without_the_text(void **unused)
{
    (void)unused;
    refused("", "has no /database");
    refused("root:" SECRET "@tcp(h:1)", "has no /database");
    refused("root:" SECRET "@tcp(h:1)/", "names no database");
    refused("root:" SECRET "@tcp(h:1/milvus", "bracket");
    refused("root:" SECRET "@tcp()(/milvus", "bracket");
    refused("root:" SECRET "@udp(h:1)/milvus", "neither tcp nor unix");
    refused("root:" SECRET "@tcp(h:0)/milvus", "port");
    refused("root:" SECRET "@tcp(h:65536)/milvus", "port");
    refused("root:" SECRET "@tcp(h:" SECRET ")/milvus", "port");
    refused("root:" SECRET "@tcp(fe80::1)/milvus", "brackets");
    refused("root:" SECRET "@tcp([fe80::1:3306)/milvus", "bracket");
    refused("root:" SECRET "@tcp([::1]3306)/milvus", "bracket");
    refused("sqlite://:" SECRET "@:/", "does not begin with mysql://");
    refused("mysql://root:" SECRET "@h", "has no /database");
    refused("mysql://root:%zz" SECRET "@h/milvus", "percent");
    refused("mysql://root:%00" SECRET "@h/milvus", "percent");
    refused("mysql://root:" SECRET "%2@h/milvus", "percent");
    refused("root:" SECRET "@/milvus?tls=" SECRET, "tls is true");
    refused("root:" SECRET "@/milvus?timeout=" SECRET, "timeout is a duration");
}

static void an_address_is_told_from_a_path(void **unused)
{
    (void)unused;
    assert_true(mm_milvus1x_dsn_is("root:x@tcp(h)/milvus"));
    assert_true(mm_milvus1x_dsn_is("mysql://h/milvus"));
    assert_true(mm_milvus1x_dsn_is("root@unix(/a)/milvus"));
    assert_false(mm_milvus1x_dsn_is("/var/lib/milvus/db/meta.sqlite"));
    assert_false(mm_milvus1x_dsn_is("s3://bucket/tcp(1)/meta.json"));
}

static int free_arena(void **unused)
{
    (void)unused;
    mm_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form_of_go_s_driver_is_taken_apart),
        cmocka_unit_test(a_password_may_hold_what_parts_the_rest),
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(a_unix_socket_is_known_in_both_forms),
        cmocka_unit_test(tls_and_deadlines_are_read),
        cmocka_unit_test(what_is_wrong_is_said_without_the_text),
        cmocka_unit_test(an_address_is_told_from_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, free_arena);
}
