/* The job file: every key, every default, and for every mistake the place that the message names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "base/log.h"
#include "config/job.h"
#include "config/node.h"
#include "config/tables.h"

static const mm_option source_options[] = {
    {.name = "path", .type = MM_OPT_PATH, .required = true, .decides = true, .help = "the file"},
    {.name = "extent_bytes", .type = MM_OPT_SIZE, .default_value = "64MiB", .help = "size"},
    {.name = "also", .type = MM_OPT_LIST, .decides = true, .help = "more"},
};
static const mm_option target_options[] = {
    {.name = "endpoint", .type = MM_OPT_ENDPOINT, .required = true, .help = "address"},
    {.name = "token", .type = MM_OPT_STRING, .secret = true, .help = "token"},
    {.name = "password", .type = MM_OPT_STRING, .secret = true, .help = "password"},
    {.name = "database", .type = MM_OPT_STRING, .default_value = "default", .decides = true, .help = "db"},
};
static const mm_option other_options[] = {
    {.name = "path", .type = MM_OPT_PATH, .required = true, .help = "folder"},
};
static const mm_option locked_options[] = {
    {.name = "key", .type = MM_OPT_STRING, .required = true, .secret = true, .help = "a key that must be given"},
};
static const mm_job_driver sources[] = {{"faiss", source_options, MM_COUNT(source_options)}};
static const mm_job_driver targets[] = {{"milvus", target_options, MM_COUNT(target_options)},
                                        {"files", other_options, MM_COUNT(other_options)},
                                        {"locked", locked_options, MM_COUNT(locked_options)}};
static const mm_job_tables tables = {sources, targets, MM_COUNT(sources), MM_COUNT(targets)};

#define HEAD "source: {driver: faiss, path: a.index}\ntarget: {driver: milvus, endpoint: h:1}\n"

static mm_job *parse_as(const char *text, const char *path, const char *overrides)
{
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    if (mm_job_parse(text, path, overrides, &tables, &job, &err) != MM_OK)
        fail_msg("%s", err.text);
    return job;
}

static mm_job *parse(const char *text)
{
    return parse_as(text, "/d/job.yaml", "");
}

static void expect_error_with(const char *text, const char *overrides, const char *expected)
{
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    assert_int_equal(mm_job_parse(text, "/d/job.yaml", overrides, &tables, &job, &err), MM_CONFIG);
    assert_int_equal(err.status, MM_CONFIG);
    if (strncmp(err.text, expected, strlen(expected)) != 0)
        fail_msg("wanted \"%s…\", got \"%s\"", expected, err.text);
    assert_null(job);
}

static void expect_error(const char *text, const char *expected)
{
    expect_error_with(text, "", expected);
}

static void a_short_job_gets_every_default(void **state)
{
    (void)state;
    mm_job *job = parse(HEAD);
    assert_string_equal(job->name, "job");
    assert_string_equal(job->path, "/d/job.yaml");
    assert_string_equal(job->text, HEAD);
    assert_string_equal(job->source_driver, "faiss");
    assert_string_equal(job->target_driver, "milvus");
    assert_string_equal(mm_options_str(job->source, "path"), "/d/a.index");
    assert_int_equal(mm_options_size(job->source, "extent_bytes"), 64 << 20);
    assert_string_equal(mm_options_str(job->target, "transfer"), "insert");
    assert_null(mm_options_str(job->target, "on_conflict"));
    assert_false(mm_options_bool(job->target, "at_least_once"));
    assert_int_equal(job->collection_count, 0);
    assert_int_equal(job->dumpers, 2);
    assert_int_equal(job->loaders, 4);
    assert_int_equal(job->memory, 256 << 20);
    assert_int_equal(job->rejects, 0);
    assert_int_equal(job->rate_rows, 0);
    assert_int_equal(job->rate_bytes, 0);
    assert_int_equal(job->patience_ms, 1800000);
    assert_int_equal(job->verify, MM_VERIFY_COUNT);
    assert_int_equal(job->sample, 1000);
    assert_int_equal(job->duplicates, MM_DUP_DEFAULT);
    assert_int_equal(strlen(job->fingerprint), 32);
    mm_job_free(job);
}

static const char whole[] =
    "version: 1\n"
    "job: products\n"
    "source: {driver: faiss, path: s3://b/p.index, also: [x, y], extent_bytes: 1MiB}\n"
    "target:\n"
    "  driver: milvus\n"
    "  endpoint: ./demo.db\n"
    "  token: ${MM_T_TOKEN}\n"
    "  transfer: import\n"
    "  on_conflict: upsert\n"
    "  at_least_once: yes\n"
    "collections:\n"
    "  - from: products\n"
    "    to: products_v2\n"
    "    if_exists: append\n"
    "    fields:\n"
    "      - {from: _id, to: id, type: int64, primary: true}\n"
    "      - {from: vector, to: \"e$$m\", type: FloatVector}\n"
    "      - {from: name, type: VarChar, max_length: 64}\n"
    "    index: {\"e$m\": {index_type: HNSW, metric_type: L2, params: {M: 16, s: '8', f: 0.5, "
    "t: true, n: , l: [1, x]}}}\n"
    "    load: false\n"
    "    partitions: {b: c, a: b}\n"
    "  - from: other\n"
    "    partition: p\n"
    "    index: none\n"
    "limits: {dumpers: 3, loaders: 5, memory: 1GiB, rejects: none, rate: 50 MiB/s, patience: 1h30m}\n"
    "verify: {sample: 50}\n"
    "duplicates: last\n";

static void check_whole(const mm_job *job)
{
    const char *const *items;
    const mm_job_collection *first = &job->collections[0], *second = &job->collections[1];
    assert_string_equal(job->name, "products");
    assert_string_equal(mm_options_str(job->source, "path"), "s3://b/p.index");
    assert_int_equal(mm_options_list(job->source, "also", &items), 2);
    assert_string_equal(items[1], "y");
    assert_string_equal(mm_options_str(job->target, "endpoint"), "/d/demo.db");
    assert_string_equal(mm_options_str(job->target, "token"), "tok-secret");
    assert_string_equal(mm_options_str(job->target, "transfer"), "import");
    assert_string_equal(mm_options_str(job->target, "on_conflict"), "upsert");
    assert_true(mm_options_bool(job->target, "at_least_once"));
    assert_int_equal(job->collection_count, 2);
    assert_string_equal(first->from, "products");
    assert_string_equal(first->to, "products_v2");
    assert_string_equal(first->if_exists, "append");
    assert_int_equal(first->field_count, 3);
    assert_string_equal(first->fields[0].to, "id");
    assert_int_equal(first->fields[0].type, MM_TYPE_INT64);
    assert_true(first->fields[0].primary);
    assert_string_equal(first->fields[1].to, "e$m");
    assert_string_equal(first->fields[2].to, "name");
    assert_int_equal(first->fields[2].max_length, 64);
    assert_string_equal(first->index_mode, "explicit");
    assert_int_equal(first->index_count, 1);
    assert_string_equal(first->indexes[0].field, "e$m");
    assert_string_equal(first->indexes[0].index_type, "HNSW");
    assert_string_equal(first->indexes[0].metric_type, "L2");
    assert_string_equal(first->indexes[0].params, "{\"M\": 16, \"s\": \"8\", \"f\": 0.5, \"t\": true, "
                                                  "\"n\": null, \"l\": [1, \"x\"]}");
    assert_false(first->load);
    assert_int_equal(first->partition_count, 2);
    assert_string_equal(first->partition_from[0], "a");
    assert_string_equal(first->partition_to[1], "c");
    assert_null(first->partition);
    assert_null(second->to);
    assert_string_equal(second->partition, "p");
    assert_string_equal(second->index_mode, "none");
    assert_true(second->load);
    assert_int_equal(job->dumpers, 3);
    assert_int_equal(job->memory, 1 << 30);
    assert_true(job->rejects == UINT64_MAX);
    assert_int_equal(job->rate_bytes, 50 << 20);
    assert_int_equal(job->patience_ms, 5400000);
    assert_int_equal(job->verify, MM_VERIFY_SAMPLE);
    assert_int_equal(job->sample, 50);
    assert_int_equal(job->duplicates, MM_DUP_LAST);
}

static void every_key_is_read(void **state)
{
    (void)state;
    setenv("MM_T_TOKEN", "tok-secret", 1);
    mm_job *job = parse(whole);
    check_whole(job);
    mm_job_free(job);
}

/* A folder for files of one test. */
static char *make_folder(void)
{
    static char folder[64];
    snprintf(folder, sizeof(folder), "/tmp/mm-job-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void remove_folder(const char *folder, const char *const *names)
{
    char path[200];
    for (size_t i = 0; names[i]; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

static char *show(const mm_job *job)
{
    mm_error err = MM_ERROR_INIT;
    mm_buffer out = MM_BUFFER_INIT;
    assert_int_equal(mm_job_show(job, &tables, &out, &err), MM_OK);
    mm_buffer_append(&out, "", 1);
    assert_false(out.failed);
    return out.data;
}

static void what_is_shown_reads_back_as_the_same_job(void **state)
{
    (void)state;
    static const char *const names[] = {"job.yaml", NULL};
    char path[100];
    char *folder = make_folder();
    setenv("MM_T_TOKEN", "tok-secret", 1);
    write_file(folder, "job.yaml", whole);
    snprintf(path, sizeof(path), "%s/job.yaml", folder);
    mm_job *job = parse_as(whole, path, "target.endpoint=/d/demo.db");
    char *text = show(job);
    assert_null(strstr(text, "tok-secret"));
    assert_non_null(strstr(text, "token: \"***\""));
    mm_job *again = parse_as(text, path, "");
    check_whole(again);
    assert_string_equal(job->fingerprint, again->fingerprint);
    char *twice = show(again);
    assert_string_equal(text, twice);
    free(text);
    free(twice);
    mm_job_free(job);
    mm_job_free(again);
    remove_folder(folder, names);
}

static void text_of_any_kind_survives_being_shown(void **state)
{
    (void)state;
    char text[3000], name[1200];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    snprintf(text, sizeof(text),
             HEAD "collections:\n"
                  "  - from: \"a\\u2028\\x85\\t\\n\\x01\\x7f\\\"\\\\ ä $$ # : - null\"\n"
                  "    to: 'yes'\n"
                  "    partitions:\n"
                  "      ? %s\n"
                  "      : '12'\n"
                  "      \"\\ufeff\": ' x '\n"
                  "    index: {v: {params: {a: 1e-3, b: -0.5E+2, c: 01, d: 1., e: .5, f: 1e, g: -}}}\n",
             name);
    mm_job *job = parse(text);
    char *shown = show(job);
    mm_job *again = parse(shown);
    const mm_job_collection *a = &job->collections[0], *b = &again->collections[0];
    assert_string_equal(a->from, "a\xe2\x80\xa8\xc2\x85\t\n\x01\x7f\"\\ ä $ # : - null");
    assert_string_equal(a->from, b->from);
    assert_string_equal(b->to, "yes");
    assert_string_equal(b->partition_from[0], name);
    assert_string_equal(b->partition_to[0], "12");
    assert_string_equal(b->partition_from[1], "\xef\xbb\xbf");
    assert_string_equal(b->partition_to[1], " x ");
    assert_string_equal(a->indexes[0].params, "{\"a\": 1e-3, \"b\": -0.5E+2, \"c\": \"01\", \"d\": \"1.\", "
                                              "\"e\": \".5\", \"f\": \"1e\", \"g\": \"-\"}");
    assert_string_equal(a->indexes[0].params, b->indexes[0].params);
    assert_string_equal(job->fingerprint, again->fingerprint);
    free(shown);
    mm_job_free(job);
    mm_job_free(again);
}

static void a_hidden_secret_without_its_file_is_refused(void **state)
{
    (void)state;
    expect_error("source: {driver: faiss, path: a}\ntarget: {driver: milvus, endpoint: h:1, token: '***'}\n",
                 "/d/job.yaml:2:48: `token` is hidden here");
}

static void a_secret_that_is_written_out_does_not_reach_the_stored_text(void **state)
{
    (void)state;
    static const char *const names[] = {"job.yaml", NULL};
    static const char *const cases[][2] = {
        {"token: root:Milvus # x\n", "token: \"***\" # x\n"},
        {"token: \"q-secret\"\n", "token: \"***\"\n"},
        {"token: &t q-secret\n  database: *t\n", "token: &t \"***\"\n  database: *t\n"},
        {"token: |\n    block-secret\n  database: d\n", "token: \"***\"\n  database: d\n"},
        {"token: ${MM_T_NONE:-literal}\n", "token: \"***\"\n"},
        {"token: ${MM_T_TOKEN}\n", "token: ${MM_T_TOKEN}\n"},
        {"password: p-secret\n  token: t-secret\n", "password: \"***\"\n  token: \"***\"\n"},
        {"password: &s both\n  token: *s\n", "password: &s \"***\"\n  token: *s\n"},
    };
    setenv("MM_T_TOKEN", "tok-secret", 1);
    char *folder = make_folder();
    for (size_t i = 0; i < MM_COUNT(cases); i++) {
        char text[400], expected[400], path[100];
        const char *head = "source: {driver: faiss, path: ä}\ntarget:\n  driver: milvus\n  endpoint: h:1\n  ";
        snprintf(text, sizeof(text), "%s%s", head, cases[i][0]);
        snprintf(expected, sizeof(expected), "%s%s", head, cases[i][1]);
        snprintf(path, sizeof(path), "%s/job.yaml", folder);
        write_file(folder, "job.yaml", text);
        mm_job *job = parse_as(text, path, "");
        assert_string_equal(job->text, expected);
        mm_job *again = parse_as(job->text, path, "");
        assert_string_equal(mm_options_str(again->target, "token"), mm_options_str(job->target, "token"));
        mm_job_free(again);
        mm_job_free(job);
    }
    remove_folder(folder, names);
}

static void a_secret_comes_from_a_file_without_its_line_end(void **state)
{
    (void)state;
    static const char *const names[] = {"secret", NULL};
    char *folder = make_folder();
    char path[100], logged[] = "say file-secret twice: file-secret";
    const char *text = "source: {driver: faiss, path: a}\n"
                       "target: {driver: milvus, endpoint: h:1, token_file: secret}\n";
    write_file(folder, "secret", "file-secret\r\n");
    snprintf(path, sizeof(path), "%s/job.yaml", folder);
    mm_job *job = parse_as(text, path, "");
    assert_string_equal(mm_options_str(job->target, "token"), "file-secret");
    assert_string_equal(job->text, text);
    mm_log_redact(logged);
    assert_string_equal(logged, "say *** twice: ***");
    char *shown = show(job);
    assert_null(strstr(shown, "file-secret"));
    assert_non_null(strstr(shown, "token_file: "));
    mm_job *again = parse_as(shown, path, "");
    assert_string_equal(mm_options_str(again->target, "token"), "file-secret");
    mm_job_free(again);
    free(shown);
    mm_job_free(job);
    remove_folder(folder, names);
}

static void a_secret_file_that_cannot_serve_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"empty", NULL};
    char *folder = make_folder();
    char text[300];
#define FORM "source: {driver: faiss, path: a}\ntarget: {driver: milvus, endpoint: h:1, token_file: %s%s}\n"
    write_file(folder, "empty", "\n");
    snprintf(text, sizeof(text), FORM, folder, "/empty");
    expect_error(text, "/d/job.yaml:2:53: `token_file`: ");
    snprintf(text, sizeof(text), FORM, folder, "/none");
    expect_error(text, "/d/job.yaml:2:53: `token_file`: cannot read ");
    snprintf(text, sizeof(text), FORM, folder, "");
    expect_error(text, "/d/job.yaml:2:53: `token_file`: cannot read ");
    expect_error("source: {driver: faiss, path: a}\n"
                 "target: {driver: milvus, endpoint: h:1, token: x, token_file: y}\n",
                 "/d/job.yaml:2:63: `token` and `token_file` cannot both be given");
    remove_folder(folder, names);
}

static void a_secret_file_is_text_of_a_bounded_size(void **state)
{
    (void)state;
    static const char *const names[] = {"large", "bytes", "open", NULL};
    char *folder = make_folder();
    char path[200], text[300];
    snprintf(path, sizeof(path), "%s/large", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < (64 << 10) + 1; i++)
        assert_int_equal(fputc('x', file), 'x');
    assert_int_equal(fclose(file), 0);
    snprintf(text, sizeof(text), FORM, folder, "/large");
    expect_error(text, "/d/job.yaml:2:53: `token_file`: ");
    snprintf(path, sizeof(path), "%s/bytes", folder);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite("a\0b", 1, 3, file), 3);
    assert_int_equal(fclose(file), 0);
    snprintf(text, sizeof(text), FORM, folder, "/bytes");
    expect_error(text, "/d/job.yaml:2:53: `token_file`: ");
    /* one that others can read is taken, with a warning */
    write_file(folder, "open", "seen-by-all");
    snprintf(path, sizeof(path), "%s/open", folder);
    assert_int_equal(chmod(path, 0644), 0);
    snprintf(text, sizeof(text), FORM, folder, "/open");
    mm_job *job = parse(text);
    assert_string_equal(mm_options_str(job->target, "token"), "seen-by-all");
    mm_job_free(job);
    remove_folder(folder, names);
}

static void set_of_a_secret_is_refused_and_not_repeated(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    assert_int_equal(mm_job_parse(HEAD, "/d/job.yaml", "target.token=open-secret", &tables, &job, &err),
                     MM_CONFIG);
    assert_non_null(strstr(err.text, "--set target.token: a secret on the command line"));
    assert_null(strstr(err.text, "open-secret"));
    expect_error_with(HEAD, "target={driver: milvus, endpoint: x, token: s}", "--set target: a secret");
}

static void mistakes_name_line_column_and_the_nearest_key(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"- a\n", "/d/job.yaml:1:1: a job file is a mapping of keys, not a list"},
        {"text\n", "/d/job.yaml:1:1: a job file is a mapping of keys, not a text"},
        {"\njob: x\n", "/d/job.yaml:2:1: the job file needs the key `source`"},
        {"source: {driver: faiss, path: a}\n", "/d/job.yaml:1:1: the job file needs the key `target`"},
        {HEAD "colections: []\n",
         "/d/job.yaml:3:1: unknown key `colections` in the job file (did you mean `collections`?)"},
        {"source: {driver: faiss, path: a}\ntarget:\n  driver: milvus\n  endpoint: x\n  transferr: insert\n",
         "/d/job.yaml:5:3: unknown key `transferr` in target (did you mean `transfer`?)"},
        {"source: {driver: fais, path: a}\ntarget: {driver: files, path: a}\n",
         "/d/job.yaml:1:18: there is no source driver `fais` (did you mean `faiss`?); there are: faiss"},
        {"source: {path: a}\ntarget: {driver: files, path: a}\n",
         "/d/job.yaml:1:9: source needs the key `driver`; there are: faiss"},
        {"source: faiss\ntarget: {driver: files, path: a}\n",
         "/d/job.yaml:1:9: source is a mapping of keys, not a text"},
        {"source: {driver: faiss}\ntarget: {driver: files, path: a}\n",
         "/d/job.yaml:1:9: source needs the key `path` (the file)"},
        {"source: {driver: faiss, path: }\ntarget: {driver: files, path: a}\n",
         "/d/job.yaml:1:9: source needs the key `path`"},
        {"source: {driver: faiss, path: [a]}\ntarget: {driver: files, path: a}\n",
         "/d/job.yaml:1:31: `path` needs one value, not a list"},
        {"source: {driver: faiss, path: '${MM_T_UNSET}'}\ntarget: {driver: files, path: a}\n",
         "/d/job.yaml:1:31: `path`: the environment variable MM_T_UNSET is not set"},
        {HEAD "version: 2\n", "/d/job.yaml:3:10: `version` is a whole number in the range 1..1, not `2`"},
        {HEAD "job: 'a b'\n", "/d/job.yaml:3:6: `a b` is no name for a job"},
        {HEAD "job: .a\n", "/d/job.yaml:3:6: `.a` is no name"},
        {HEAD "limits: {loaders: 0}\n",
         "/d/job.yaml:3:19: `loaders` is a whole number in the range 1..256, not `0`"},
        {HEAD "limits: {memory: 1KiB}\n", "/d/job.yaml:3:18: `memory` is a size"},
        {HEAD "limits: {rate: fast}\n", "/d/job.yaml:3:16: `rate` is none, or a rate"},
        {HEAD "limits: {patience: 30}\n", "/d/job.yaml:3:20: `patience` is a duration"},
        {HEAD "limits: []\n", "/d/job.yaml:3:9: limits is a mapping of keys, not a list"},
        {HEAD "verify: counts\n",
         "/d/job.yaml:3:9: `verify` is one of none, count, sample or full, not `counts` (did you mean `count`?)"},
        {HEAD "verify: {}\n", "/d/job.yaml:3:9: verify is none, count, sample, full or {sample: rows}"},
        {HEAD "verify: {smaple: 1}\n",
         "/d/job.yaml:3:10: unknown key `smaple` in verify (did you mean `sample`?)"},
        {HEAD "verify: [full]\n", "/d/job.yaml:3:9: `verify` needs one value, not a list"},
        {HEAD "duplicates: drop\n", "/d/job.yaml:3:13: `duplicates` is one of refuse, first, last or keep"},
        {"source: {driver: '${MM_T_UNSET}', path: a}\ntarget: {driver: files, path: a}\n",
         "/d/job.yaml:1:18: `driver`: the environment variable MM_T_UNSET is not set"},
        {"source: {driver: faiss, path: a, also: {b: c}}\ntarget: {driver: files, path: a}\n",
         "/d/job.yaml:1:40: `also` is a list of texts, not a mapping"},
        {"source: {driver: faiss, path: a, also: [b, ~]}\ntarget: {driver: files, path: a}\n",
         "/d/job.yaml:1:44: `also` has an empty entry"},
        {"source: {driver: faiss, path: a}\ntarget: {driver: locked}\n",
         "/d/job.yaml:2:9: target needs the key `key`"},
        {HEAD "job: a\njob: b\n", "/d/job.yaml:4:1: the key `job` stands here a second time (first at line 3)"},
    };
    unsetenv("MM_T_UNSET");
    for (size_t i = 0; i < MM_COUNT(cases); i++)
        expect_error(cases[i][0], cases[i][1]);
}

static void mistakes_in_collections_name_their_place(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"collections: {}\n", "/d/job.yaml:3:14: `collections` is a list of collections, not a mapping"},
        {"collections: []\n", "/d/job.yaml:3:14: `collections` is a list of collections, not empty"},
        {"collections: [a]\n", "/d/job.yaml:3:15: a collection is a mapping of keys, not a text"},
        {"collections: [{form: a}]\n",
         "/d/job.yaml:3:16: unknown key `form` in a collection (did you mean `from`?)"},
        {"collections: [{from: ''}]\n", "/d/job.yaml:3:15: `from`, `to` and `partition` need a name"},
        {"collections:\n  - from: a\n  - to: b\n",
         "/d/job.yaml:5:5: a collection needs the key `from` where several are listed"},
        {"collections:\n  - {from: a, to: x}\n  - {from: a, to: x}\n",
         "/d/job.yaml:5:5: collections have `a -> x` a second time (first at line 4)"},
        {"collections: [{from: a, if_exists: replace}]\n",
         "/d/job.yaml:3:36: `if_exists` is one of fail, append, skip or overwrite"},
        {"collections: [{load: 2}]\n", "/d/job.yaml:3:22: `load` is true or false, not `2`"},
        {"collections: [{fields: {}}]\n", "/d/job.yaml:3:24: `fields` is a list of"},
        {"collections: [{fields: []}]\n", "/d/job.yaml:3:24: `fields` is a list of"},
        {"collections: [{fields: [id]}]\n", "/d/job.yaml:3:25: a field is a mapping of keys, not a text"},
        {"collections: [{fields: [{to: id}]}]\n", "/d/job.yaml:3:25: a field needs the key `from`"},
        {"collections: [{fields: [{from: id, tpye: Int64}]}]\n",
         "/d/job.yaml:3:36: unknown key `tpye` in a field (did you mean `type`?)"},
        {"collections: [{fields: [{from: v, prim: true}]}]\n",
         "/d/job.yaml:3:35: unknown key `prim` in a field (did you mean `primary`?)"},
        {"collections: [{fields: [{from: v, dim: 16}]}]\n",
         "/d/job.yaml:3:35: unknown key `dim` in a field; there are: from, to, type, primary, max_length"},
        {"collections: [{fields: [{from: id, type: Int46}]}]\n", "/d/job.yaml:3:42: `type` is one of Bool, "},
        {"collections: [{fields: [{from: id, max_length: 0}]}]\n", "/d/job.yaml:3:48: `max_length` is a whole number"},
        {"collections: [{fields: [{from: id, type: Int64, max_length: 5}]}]\n",
         "/d/job.yaml:3:61: `max_length` belongs to a VarChar, not to Int64"},
        {"collections: [{fields: [{from: a, to: x}, {from: x}]}]\n",
         "/d/job.yaml:3:43: fields go to `x` a second time (first at line 3)"},
        {"collections: [{fields: [{from: a, primary: true}, {from: x, primary: true}]}]\n",
         "/d/job.yaml:3:51: a collection has one primary key; line 3 names one already"},
        {"collections: [{fields: [{from: ''}]}]\n", "/d/job.yaml:3:25: a field needs a name"},
        {"collections: [{index: {v: {params: {a: '${MM_T_UNSET}'}}}}]\n",
         "/d/job.yaml:3:40: `params`: the environment variable MM_T_UNSET is not set"},
        {"collections: [{index: '${MM_T_UNSET}'}]\n",
         "/d/job.yaml:3:23: `index`: the environment variable MM_T_UNSET is not set"},
        {"collections: [{index: {v: {params: {a: [{b12345678901234567890123456789012345678901234567890"
         "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
         "12345678901: 1}]}}}}]\n",
         "/d/job.yaml:3:42: a parameter's name has at most 160 bytes"},
        {"collections: [{index: atuo}]\n", "/d/job.yaml:3:23: `index` is auto, source, none or {field: "},
        {"collections: [{index: []}]\n", "/d/job.yaml:3:23: `index` is auto, source, none or {field: "},
        {"collections: [{index: {}}]\n", "/d/job.yaml:3:23: `index` is auto, source, none or {field: "},
        {"collections: [{index: {v: HNSW}}]\n", "/d/job.yaml:3:27: an index is a mapping of keys, not a text"},
        {"collections: [{index: {v: {metric: L2}}}]\n", "/d/job.yaml:3:28: unknown key `metric` in an index (did you mean `metric_type`?)"},
        {"collections: [{index: {v: {params: 5}}}]\n", "/d/job.yaml:3:36: `params` is a mapping, not a text"},
        {"collections: [{fields: [{from: v, to: emb}], index: {enb: {}}}]\n",
         "/d/job.yaml:3:54: `index` names `enb`, which is no `to` of `fields` (did you mean `emb`?)"},
        {"collections: [{partitions: [a]}]\n", "/d/job.yaml:3:28: `partitions` is a mapping"},
        {"collections: [{partitions: {a: }}]\n", "/d/job.yaml:3:32: a partition needs a name"},
        {"collections: [{partitions: {a: [b]}}]\n", "/d/job.yaml:3:32: `partitions` needs one value, not a list"},
        {"collections: [{partition: p, partitions: {a: b}}]\n",
         "/d/job.yaml:3:42: `partition` and `partitions` cannot both be given"},
    };
    unsetenv("MM_T_UNSET");
    for (size_t i = 0; i < MM_COUNT(cases); i++) {
        char text[600];
        snprintf(text, sizeof(text), "%s%s", HEAD, cases[i][0]);
        expect_error(text, cases[i][1]);
    }
}

static void set_is_checked_like_the_file(void **state)
{
    (void)state;
    mm_job *job = parse_as(HEAD, "/d/job.yaml", "limits.loaders=2\ncollections.0.to=x\nsource.path=b/c.index");
    assert_int_equal(job->loaders, 2);
    assert_string_equal(job->collections[0].to, "x");
    assert_string_equal(mm_options_str(job->source, "path"), "/d/b/c.index");
    assert_string_equal(job->overrides, "limits.loaders=2\ncollections.0.to=x\nsource.path=b/c.index");
    mm_job_free(job);
    expect_error_with(HEAD, "limits.loaders=0", "--set limits.loaders: `loaders` is a whole number");
    expect_error_with(HEAD, "limits.laoders=1",
                      "--set limits.laoders: unknown key `laoders` in limits (did you mean `loaders`?)");
}

static void an_empty_section_is_a_missing_one(void **state)
{
    (void)state;
    mm_job *job = parse(HEAD "limits:\ncollections:\nverify:\n");
    assert_int_equal(job->loaders, 4);
    assert_int_equal(job->collection_count, 0);
    assert_int_equal(job->verify, MM_VERIFY_COUNT);
    mm_job_free(job);
}

static void paths_are_relative_to_the_files_folder(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"/job.yaml", "a.index", "/a.index"},
        {"/d/e/job.yaml", "./a.index", "/d/e/a.index"},
        {"/d/e/job.yaml", ".//x/a.index", "/d/e/x/a.index"},
        {"/d/e/job.yaml", "../a.index", "/d/e/../a.index"},
        {"/d/e/job.yaml", "/x/a.index", "/x/a.index"},
        {"/d/e/job.yaml", "s3://b/a.index", "s3://b/a.index"},
        {"job.yaml", "a.index", "./a.index"},
    };
    for (size_t i = 0; i < MM_COUNT(cases); i++) {
        char set[100];
        snprintf(set, sizeof(set), "source.path=%s", cases[i][1]);
        mm_job *job = parse_as(HEAD, cases[i][0], set);
        assert_string_equal(mm_options_str(job->source, "path"), cases[i][2]);
        mm_job_free(job);
    }
}

static void a_url_with_one_slash_is_no_path(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    assert_int_equal(mm_job_parse(HEAD, "/d/job.yaml", "source.path=s3:/bucket/a.index", &tables, &job, &err), MM_CONFIG);
    assert_non_null(strstr(err.text, "a URL with two slashes behind the colon, not `s3:/bucket/a.index`"));
}

static void the_name_comes_from_the_file_where_none_is_given(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_job *job = parse_as(HEAD, "/d/nightly.v2.yaml", "");
    assert_string_equal(job->name, "nightly.v2");
    mm_job_free(job);
    job = NULL;
    assert_int_equal(mm_job_parse(HEAD, "/d/a b.yaml", "", &tables, &job, &err), MM_CONFIG);
    assert_non_null(strstr(err.text, "/d/a b.yaml:1:1: `a b` is no name for a job (it comes from the file's name"));
}

static void names_of_jobs_are_safe_file_names(void **state)
{
    (void)state;
    char longest[66];
    memset(longest, 'a', 65);
    longest[65] = '\0';
    assert_true(mm_job_name_valid("A-z_0.9"));
    assert_false(mm_job_name_valid(""));
    assert_false(mm_job_name_valid("."));
    assert_false(mm_job_name_valid(".hidden"));
    assert_false(mm_job_name_valid("a/b"));
    assert_false(mm_job_name_valid("ä"));
    assert_false(mm_job_name_valid(longest));
    assert_true(mm_job_name_valid(longest + 1));
}

static void expect_same_fingerprint(const char *text, const char *overrides, bool same)
{
    mm_job *a = parse(HEAD), *b = parse_as(text, "/d/job.yaml", overrides);
    char difference[200];
    mm_job_difference(a, b, difference, sizeof(difference));
    assert_int_equal(strcmp(a->fingerprint, b->fingerprint) == 0, same);
    assert_int_equal(difference[0] == '\0', same);
    mm_job_free(a);
    mm_job_free(b);
}

static void the_fingerprint_follows_what_decides(void **state)
{
    (void)state;
    expect_same_fingerprint(HEAD "limits: {loaders: 9}\nverify: full\n", "", true);
    expect_same_fingerprint(HEAD, "target.endpoint=other:2", true);
    expect_same_fingerprint(HEAD, "source.extent_bytes=1MiB", true);
    expect_same_fingerprint(HEAD, "target.transfer=INSERT", true);
    expect_same_fingerprint(HEAD, "source.path=./a.index", true);
    expect_same_fingerprint(HEAD, "source.path=b.index", false);
    expect_same_fingerprint(HEAD, "target.database=d", false);
    expect_same_fingerprint(HEAD, "target.transfer=import", false);
    expect_same_fingerprint(HEAD, "duplicates=first", false);
    expect_same_fingerprint(HEAD, "source.also=x", false);
    expect_same_fingerprint(HEAD, "collections.0.to=x", false);
    expect_same_fingerprint(HEAD, "target={driver: files, path: x}", false);
}

static void a_difference_names_both_values(void **state)
{
    (void)state;
    char text[300];
    mm_job *a = parse(HEAD), *b = parse_as(HEAD, "/d/job.yaml", "source.path=/x\nduplicates=first");
    mm_job_difference(a, b, text, sizeof(text));
    assert_string_equal(text, "source.path was \"/d/a.index\" and is \"/x\"; "
                              "job.duplicates was not set and is \"first\"");
    mm_job_free(a);
    mm_job_free(b);
}

static void a_job_is_loaded_from_its_file(void **state)
{
    (void)state;
    static const char *const names[] = {"j.yaml", NULL};
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    char path[100], name[MM_JOB_NAME_MAX + 1];
    char *folder = make_folder();
    write_file(folder, "j.yaml", HEAD "job: peeked\n");
    snprintf(path, sizeof(path), "%s/../%s/j.yaml", folder, strrchr(folder, '/') + 1);
    assert_int_equal(mm_job_load(path, "", &tables, &job, &err), MM_OK);
    assert_string_equal(job->name, "peeked");
    assert_null(strstr(job->path, ".."));
    assert_int_equal(mm_job_peek_name(path, name, &err), MM_OK);
    assert_string_equal(name, "peeked");
    mm_job_free(job);
    job = NULL;
    assert_int_equal(mm_job_load("/no/such/file.yaml", "", &tables, &job, &err), MM_CONFIG);
    assert_non_null(strstr(err.text, "cannot read the job file /no/such/file.yaml: No such file"));
    assert_int_equal(mm_job_load(folder, "", &tables, &job, &err), MM_CONFIG);
    snprintf(path, sizeof(path), "%s/j.yaml", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputc('\0', file), 0);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(mm_job_load(path, "", &tables, &job, &err), MM_CONFIG);
    assert_non_null(strstr(err.text, "is no text: it holds a NUL byte"));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(truncate(path, MM_YAML_BYTES_MAX + 1), 0);
    assert_int_equal(mm_job_load(path, "", &tables, &job, &err), MM_CONFIG);
    assert_non_null(strstr(err.text, "is too large for a job file"));
    assert_null(job);
    remove_folder(folder, names);
}

static void the_schema_is_json_and_knows_every_key(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_buffer out = MM_BUFFER_INIT;
    assert_int_equal(mm_job_schema(&tables, &out, &err), MM_OK);
    mm_buffer_append(&out, "", 1);
    cJSON *root = cJSON_Parse(out.data);
    assert_non_null(root);
    const cJSON *properties = cJSON_GetObjectItem(root, "properties");
    const mm_job_section *top = &mm_job_sections[MM_SECTION_JOB];
    for (size_t i = 0; i < top->count; i++)
        assert_non_null(cJSON_GetObjectItem(properties, top->table[i].name));
    const cJSON *one = cJSON_GetObjectItem(cJSON_GetObjectItem(properties, "target"), "oneOf");
    assert_int_equal(cJSON_GetArraySize(one), 3);
    /* a required secret may come as itself or as a file */
    const cJSON *all = cJSON_GetObjectItem(cJSON_GetArrayItem(one, 2), "allOf");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetArrayItem(all, 0), "anyOf")), 2);
    const cJSON *milvus = cJSON_GetObjectItem(cJSON_GetArrayItem(one, 0), "properties");
    assert_non_null(cJSON_GetObjectItem(milvus, "token_file"));
    assert_non_null(cJSON_GetObjectItem(milvus, "at_least_once"));
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(root, "additionalProperties")));
    cJSON_Delete(root);
    mm_buffer_free(&out);
}

static void every_type_of_a_field_has_its_name_in_the_table(void **state)
{
    (void)state;
    const mm_job_section *field = &mm_job_sections[MM_SECTION_FIELD];
    const char *choices = NULL;
    for (size_t i = 0; i < field->count; i++) {
        if (strcmp(field->table[i].name, "type") == 0)
            choices = field->table[i].choices;
    }
    assert_non_null(choices);
    char *copy = strdup(choices), *rest = copy;
    assert_non_null(copy);
    size_t known = 0;
    for (const char *name; (name = strsep(&rest, "|")) != NULL; known++)
        assert_int_not_equal(mm_type_from_name(name), MM_TYPE_NONE);
    size_t all = 0;
    for (int type = 0; type < 256; type++)
        all += mm_type_name((mm_type)type) != NULL;
    assert_int_equal(known, all);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_job_gets_every_default),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(what_is_shown_reads_back_as_the_same_job),
        cmocka_unit_test(a_hidden_secret_without_its_file_is_refused),
        cmocka_unit_test(a_secret_that_is_written_out_does_not_reach_the_stored_text),
        cmocka_unit_test(a_secret_comes_from_a_file_without_its_line_end),
        cmocka_unit_test(a_secret_file_that_cannot_serve_is_refused),
        cmocka_unit_test(set_of_a_secret_is_refused_and_not_repeated),
        cmocka_unit_test(mistakes_name_line_column_and_the_nearest_key),
        cmocka_unit_test(mistakes_in_collections_name_their_place),
        cmocka_unit_test(set_is_checked_like_the_file),
        cmocka_unit_test(the_name_comes_from_the_file_where_none_is_given),
        cmocka_unit_test(names_of_jobs_are_safe_file_names),
        cmocka_unit_test(the_fingerprint_follows_what_decides),
        cmocka_unit_test(a_difference_names_both_values),
        cmocka_unit_test(text_of_any_kind_survives_being_shown),
        cmocka_unit_test(a_secret_file_is_text_of_a_bounded_size),
        cmocka_unit_test(an_empty_section_is_a_missing_one),
        cmocka_unit_test(paths_are_relative_to_the_files_folder),
        cmocka_unit_test(a_url_with_one_slash_is_no_path),
        cmocka_unit_test(a_job_is_loaded_from_its_file),
        cmocka_unit_test(the_schema_is_json_and_knows_every_key),
        cmocka_unit_test(every_type_of_a_field_has_its_name_in_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
