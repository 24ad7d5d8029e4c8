/* What job files of other tools have in common: names, secrets, the environment, halves, chosen collections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/run.h"
#include "support/foreign_fixture.h"

static void files_that_are_all_called_alike_are_told_apart_by_their_collection(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {FAISS TO CREATE, "/d/migration.yaml", "migration-test"},
        {FAISS TO CREATE, "/d/nightly.yaml", "nightly"},
        {F2M("mode: skip, dest_collection_name: t"), "/d/F2M.yaml", "F2M-t"},
        {F2M("mode: skip, dest_collection_name: 'not a name'"), "/d/F2M.yaml", "F2M"},
        {MILVUS1X("mode: sqlite, sqliteFile: /m") TABLES TO "}\n", "/d/migration.yml", "migration"},
        {ES(ID ", milvus: {collection: new}", URLS), "/d/migration.yaml", "migration-new"},
        {FROM("M2H", "source_collection: {t: }, data_dir: /o"), "/d/m2h.yaml", "m2h-t"},
    };
    for (size_t i = 0; i < MM_COUNT(cases); i++) {
        mm_job *job = parse_as(cases[i][0], cases[i][1], "");
        assert_string_equal(job->name, cases[i][2]);
        mm_job_free(job);
    }
    mm_job *job = parse_as(FAISS TO CREATE, "/d/migration.yaml", "job=mine");
    assert_string_equal(job->name, "mine");
    mm_job_free(job);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void the_name_is_the_same_for_who_only_peeks(void **state)
{
    (void)state;
    char folder[] = "/tmp/mm-foreign-XXXXXX", path[64], name[MM_JOB_NAME_MAX + 1];
    mm_error err = MM_ERROR_INIT;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/migration.yaml", folder);
    write_file(path, FAISS TO CREATE);
    assert_int_equal(mm_job_peek_name(path, name, &err), MM_OK);
    assert_string_equal(name, "migration-test");
    unlink(path);
    rmdir(folder);
}

/* Secrets stand in the file alone: the store gets the text without them, and reads them from the file again. */
static void secrets_are_hidden_in_the_store_and_found_again(void **state)
{
    (void)state;
    static const char *const texts[] = {
        FAISS "target: {mode: remote, remote: {bucket: b, ak: a, sk: open-one}, milvus2x: {endpoint: h:1, username: u, "
              "password: "
              "open$$two}" CREATE,
        MILVUS1X("mode: mysql, mysqlUrl: 'u:open-one@tcp(h:3306)/milvus'") TABLES TO ", remote: {sk: 'open-two'}}\n",
        FROM("M2H", "mysql_parameter: {user: root, password: open-one}, source_collection: {t: }, data_dir: /o"),
        ES(ID, URLS ", password: open-one, apiKey: open-two"),
    };
    char folder[] = "/tmp/mm-foreign-XXXXXX", path[64];
    mm_error err = MM_ERROR_INIT;
    mm_job *job, *again;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/old.yaml", folder);
    for (size_t i = 0; i < MM_COUNT(texts); i++) {
        write_file(path, texts[i]);
        assert_int_equal(mm_job_load(path, "", &mm_foreign_tables, &job, &err), MM_OK);
        assert_null(strstr(job->text, "open"));
        assert_int_equal(mm_job_parse(job->text, path, "", &mm_foreign_tables, &again, &err), MM_OK);
        assert_string_equal(again->fingerprint, job->fingerprint);
        assert_string_equal(again->text, job->text);
        const char *key = i == 0 ? NULL : i == 1 ? "mysql" : i == 2 ? "mysql_password" : "password";
        if (key)
            assert_string_equal(mm_options_str(again->source, key), mm_options_str(job->source, key));
        else
            assert_string_equal(mm_options_str(again->target, "password"), "open$$two");
        mm_job_free(again);
        mm_job_free(job);
    }
    unlink(path);
    assert_int_equal(mm_job_parse("F2M: {}\n", path, "", &mm_foreign_tables, &job, &err), MM_CONFIG);
    rmdir(folder);
}

static void a_secret_is_hidden_also_where_a_half_does_not_read_it(void **state)
{
    (void)state;
    mm_job *job = parse_as(FAISS
                           "target: {mode: local, local: {outputDir: /o}, milvus2x: {endpoint: h:1, "
                           "password: open-one}" CREATE,
                           "/d/old.yaml", "half=dump");
    assert_string_equal(job->target_driver, "files");
    assert_null(strstr(job->text, "open"));
    mm_job_free(job);
    job = parse_as("source: {driver: faiss, path: /a}\ntarget: {driver: milvus, endpoint: h:1, staging: /s, password: "
                   "open-one}\n",
                   "/d/own.yaml", "half=dump");
    assert_null(strstr(job->text, "open"));
    mm_job_free(job);
}

static void the_environment_is_read_and_other_dollars_stay(void **state)
{
    (void)state;
    setenv("MM_T_FOREIGN", "from-outside", 1);
    mm_job *job = parse(FAISS "target: {milvus2x: {endpoint: h:1, username: '${MM_T_FOREIGN}', password: 'a$$b$c$'}"
                        CREATE);
    assert_string_equal(mm_options_str(job->target, "user"), "from-outside");
    assert_string_equal(mm_options_str(job->target, "password"), "a$$b$c$");
    mm_job_free(job);
    refused(FAISS "target: {milvus2x: {endpoint: '${MM_T_UNSET}'}" CREATE,
            "/d/old.yaml:3:31: `endpoint`: the environment variable MM_T_UNSET is not set");
}

static void dump_and_load_are_halves_of_the_translated_job(void **state)
{
    (void)state;
    const char *text = FAISS "target: {mode: remote, remote: {outputDir: o, bucket: b, endpoint: 'm:1', ak: a, sk: s}, "
                             "milvus2x: "
                             "{endpoint: h:1}" CREATE;
    mm_job *job = parse_as(text, "/d/old.yaml", "half=dump");
    assert_string_equal(job->name, "old-dump");
    assert_string_equal(job->target_driver, "files");
    assert_string_equal(mm_options_str(job->target, "path"), "s3://b/o");
    assert_string_equal(mm_options_str(job->target, "format"), "npy");
    assert_string_equal(mm_options_str(job->target, "storage_endpoint"), "http://m:1");
    mm_job_free(job);
    job = parse_as(text, "/d/old.yaml", "half=load");
    assert_string_equal(job->source_driver, "dump");
    assert_string_equal(mm_options_str(job->source, "path"), "s3://b/o");
    assert_string_equal(mm_options_str(job->target, "transfer"), "import");
    assert_string_equal(job->collections[0].from, "test");
    mm_job_free(job);
}

static void only_some_collections_are_taken(void **state)
{
    (void)state;
    const char *all = MILVUS1X("mode: sqlite, sqliteFile: /m") TABLES TO "}\n";
    mm_job *job = parse_as(all, "/d/old.yaml", "only.0=b\nonly.1=a");
    assert_int_equal(job->collection_count, 2);
    assert_string_equal(job->collections[0].from, "b");
    assert_string_equal(job->collections[1].from, "a");
    mm_job_free(job);
    const char *two = FROM("M2M", "source_collection: {a: , b: }, " DEST "mode: append");
    job = parse_as(two, "/d/old.yaml", "only=b");
    assert_int_equal(job->collection_count, 1);
    assert_string_equal(job->collections[0].from, "b");
    assert_string_equal(job->collections[0].if_exists, "append");
    mm_job_free(job);
    job = parse_as(FAISS TO CREATE, "/d/old.yaml", "only=test"); /* by the name in the target */
    assert_string_equal(job->collections[0].to, "test");
    mm_job_free(job);
    refused_with(two, "only.0=b\nonly.1=c", "--set only.1: `only` names `c`, which is not among the collections");
    refused_with(two, "only={a: b}", "--set only: `only` is a list of collections, not a mapping");
    refused_with(all, "only.0=", "--set only.0: `only` has an empty entry");
}

static void a_file_of_our_own_is_left_alone(void **state)
{
    (void)state;
    mm_job *job = parse("source: {driver: faiss, path: /a, vector_field: meta}\ntarget: {driver: milvus, endpoint: "
                        "h:1}\n");
    assert_string_equal(job->name, "old");
    assert_int_equal(job->warning_count, 0);
    mm_job_free(job);
    refused("source: {driver: faiss, path: /a}\nmeta: 1\n", "/d/old.yaml:2:1: unknown key `meta` in the job file");
    refused("version: 1\nloader: 1\n", "/d/old.yaml:2:1: unknown key `loader` in the job file");
    refused("meta: 1\n", "/d/old.yaml:1:1: `dumper.worker.workMode` is missing: milvus-migration needs it");
}

/* What is made fits the drivers as they are. */
static void the_real_drivers_take_what_is_made(void **state)
{
    (void)state;
    static const char *const texts[] = {
        FAISS "target: {mode: remote, remote: {outputDir: o, bucket: b, endpoint: 'm:1', region: r, ak: a, sk: s}, "
              "milvus2x: "
              "{endpoint: h:1, username: u, password: p, database: d}, create: {collection: {name: t, shardsNum: 2, "
              "metricType: IP}}}\n",
        MILVUS1X("mode: sqlite, sqliteFile: /m") TABLES TO "}\n",
        MILVUS1X("mode: mysql, mysqlUrl: 'u:p@tcp(h:3306)/milvus'") TABLES TO "}\n",
        ES(ID ", milvus: {collection: new, shardNum: 2, consistencyLevel: Bounded}",
           URLS ", username: u, password: p, cert: /ca.crt, fingerprint: ab"),
        ES("fields: [{name: _id, type: keyword, maxLen: 60, pk: true}]", URLS ", serviceToken: t"),
        ES(ID, "cloudId: c, apiKey: k"),
        F2M("mode: append, dest_collection_name: t, dest_partition_name: p, collection_parameter: {metric_type: L2}"),
        "H2M: {" DEST "mode: append, dest_collection_name: t, data_path: [/a.h5]}\n",
        "H2M: {" DEST "mode: append, dest_collection_name: t, data_dir: /h}\n",
        FROM("M2M", "mysql_parameter: {password: p}, source_collection: {t: [p1]}, " DEST "mode: append"),
        FROM("M2H", "source_collection: {t: }, data_dir: /o"),
    };
    for (size_t i = 0; i < MM_COUNT(texts); i++) {
        mm_error err = MM_ERROR_INIT;
        mm_job *job = NULL;
        if (mm_job_parse(texts[i], "/d/old.yaml", "", mm_run_tables(), &job, &err) != MM_OK)
            fail_msg("%s", err.text);
        mm_job_free(job);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_are_all_called_alike_are_told_apart_by_their_collection),
        cmocka_unit_test(the_name_is_the_same_for_who_only_peeks),
        cmocka_unit_test(secrets_are_hidden_in_the_store_and_found_again),
        cmocka_unit_test(a_secret_is_hidden_also_where_a_half_does_not_read_it),
        cmocka_unit_test(the_environment_is_read_and_other_dollars_stay),
        cmocka_unit_test(dump_and_load_are_halves_of_the_translated_job),
        cmocka_unit_test(only_some_collections_are_taken),
        cmocka_unit_test(a_file_of_our_own_is_left_alone),
        cmocka_unit_test(the_real_drivers_take_what_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
