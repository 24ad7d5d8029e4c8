/* Job files of other tools: every key of milvus-migration and of MilvusDM becomes a key of a job, is refused with a
 * reason, or is warned of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/job.h"
#include "config/node.h"
#include "run/run.h"
#include "storage/storage.h"

static const mm_option faiss_options[] = {
    {.name = "path", .type = MM_OPT_PATH, .required = true, .help = "the file"},
    {.name = "id_field", .type = MM_OPT_STRING, .default_value = "id", .help = "ids"},
    {.name = "vector_field", .type = MM_OPT_STRING, .default_value = "vector", .help = "vectors"},
    MM_STORAGE_OPTIONS,
};
static const mm_option hdf5_options[] = {
    {.name = "path", .type = MM_OPT_PATHS, .help = "files"},
    {.name = "dir", .type = MM_OPT_PATH, .help = "a folder"},
    {.name = "vectors", .type = MM_OPT_STRING, .help = "dataset"},
    {.name = "vector_field", .type = MM_OPT_STRING, .default_value = "vector", .help = "vectors"},
};
static const mm_option milvus1x_options[] = {
    {.name = "path", .type = MM_OPT_PATH, .help = "the folder"},
    {.name = "meta", .type = MM_OPT_PATH, .help = "metadata"},
    {.name = "mysql", .type = MM_OPT_STRING, .secret = true, .help = "metadata in MySQL"},
    {.name = "mysql_password", .type = MM_OPT_STRING, .secret = true, .help = "its password"},
    {.name = "tables", .type = MM_OPT_PATHS, .help = "segments"},
    {.name = "partitions", .type = MM_OPT_LIST, .help = "some partitions"},
    {.name = "vector_field", .type = MM_OPT_STRING, .default_value = "vector", .help = "vectors"},
    MM_STORAGE_OPTIONS,
};
static const mm_option elastic_options[] = {
    {.name = "endpoint", .type = MM_OPT_LIST, .help = "nodes"},
    {.name = "cloud_id", .type = MM_OPT_STRING, .help = "cloud"},
    {.name = "username", .type = MM_OPT_STRING, .help = "user"},
    {.name = "password", .type = MM_OPT_STRING, .secret = true, .help = "password"},
    {.name = "api_key", .type = MM_OPT_STRING, .secret = true, .help = "key"},
    {.name = "token", .type = MM_OPT_STRING, .secret = true, .help = "token"},
    {.name = "ca_file", .type = MM_OPT_PATH, .help = "authorities"},
    {.name = "ca_fingerprint", .type = MM_OPT_STRING, .help = "fingerprint"},
    {.name = "index", .type = MM_OPT_STRING, .help = "index"},
    {.name = "primary_key", .type = MM_OPT_STRING, .help = "key"},
    {.name = "id_length", .type = MM_OPT_INT, .help = "length"},
    {.name = "include", .type = MM_OPT_LIST, .help = "fields"},
    {.name = "types", .type = MM_OPT_LIST, .help = "types"},
    {.name = "page_rows", .type = MM_OPT_INT, .choices = "1..10000", .help = "rows"},
};
static const mm_option milvus_options[] = {
    {.name = "endpoint", .type = MM_OPT_ENDPOINT, .required = true, .help = "address"},
    {.name = "user", .type = MM_OPT_STRING, .help = "user"},
    {.name = "password", .type = MM_OPT_STRING, .secret = true, .help = "password"},
    {.name = "database", .type = MM_OPT_STRING, .help = "database"},
    {.name = "create_database", .type = MM_OPT_BOOL, .default_value = "false", .help = "made"},
    {.name = "consistency", .type = MM_OPT_ENUM, .choices = "default|strong|session|bounded|eventually",
     .default_value = "default", .help = "level"},
    {.name = "shards", .type = MM_OPT_INT, .default_value = "0", .help = "shards"},
    {.name = "staging", .type = MM_OPT_PATH, .help = "files"},
    {.name = "format", .type = MM_OPT_STRING, .default_value = "auto", .help = "form"},
    {.name = "file_size", .type = MM_OPT_SIZE, .default_value = "512MiB", .help = "size"},
    MM_STORAGE_OPTIONS,
};
static const mm_option path_options[] = {
    {.name = "path", .type = MM_OPT_PATH, .required = true, .help = "the folder"},
    {.name = "format", .type = MM_OPT_STRING, .default_value = "auto", .help = "form"},
    MM_STORAGE_OPTIONS,
};
#define DRIVER(word, options) {word, options, MM_COUNT(options)}
static const mm_job_driver sources[] = {DRIVER("faiss", faiss_options), DRIVER("hdf5", hdf5_options),
                                        DRIVER("milvus1x", milvus1x_options), DRIVER("elasticsearch", elastic_options),
                                        DRIVER("milvus", milvus_options), DRIVER("dump", path_options)};
static const mm_job_driver targets[] = {DRIVER("milvus", milvus_options), DRIVER("hdf5", path_options),
                                        DRIVER("files", path_options)};
static const mm_job_tables tables = {sources, targets, MM_COUNT(sources), MM_COUNT(targets)};

static mm_job *parse_as(const char *text, const char *path, const char *overrides)
{
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    if (mm_job_parse(text, path, overrides, &tables, &job, &err) != MM_OK)
        fail_msg("%s\nof\n%s", err.text, text);
    return job;
}

static mm_job *parse(const char *text)
{
    return parse_as(text, "/d/old.yaml", "");
}

static void refused_with(const char *text, const char *overrides, const char *expected)
{
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    assert_int_equal(mm_job_parse(text, "/d/old.yaml", overrides, &tables, &job, &err), MM_CONFIG);
    if (strncmp(err.text, expected, strlen(expected)) != 0)
        fail_msg("wanted \"%s…\", got \"%s\" of\n%s", expected, err.text, text);
}

static void refused(const char *text, const char *expected)
{
    refused_with(text, "", expected);
}

/* The job as `config --show` prints it, with these lines in it and the others not. */
static void shows(const mm_job *job, const char *const *lines, const char *const *without)
{
    mm_error err = MM_ERROR_INIT;
    mm_buffer out = MM_BUFFER_INIT;
    assert_int_equal(mm_job_show(job, &tables, &out, &err), MM_OK);
    for (size_t i = 0; lines[i]; i++)
        if (strstr(out.data, lines[i]) == NULL)
            fail_msg("no \"%s\" in\n%s", lines[i], out.data);
    for (size_t i = 0; without && without[i]; i++)
        if (strstr(out.data, without[i]))
            fail_msg("\"%s\" stands in\n%s", without[i], out.data);
    mm_buffer_free(&out);
}

#define LINES(...) (const char *const[]){__VA_ARGS__, NULL}

static void becomes(const char *text, const char *const *lines, const char *const *without)
{
    mm_job *job = parse(text);
    shows(job, lines, without);
    mm_job_free(job);
}

static void warns(const char *text, const char *const *lines)
{
    mm_job *job = parse(text);
    size_t count = 0;
    for (; lines[count]; count++) {
        bool found = false;
        for (size_t i = 0; i < job->warning_count; i++)
            found = found || strncmp(job->warnings[i], lines[count], strlen(lines[count])) == 0;
        if (!found)
            fail_msg("no warning \"%s…\"; the first of %zu is \"%s\"", lines[count], job->warning_count,
                     job->warning_count ? job->warnings[0] : "");
    }
    if (job->warning_count != count)
        fail_msg("%zu warnings, not %zu; the last is \"%s\"", job->warning_count, count,
                 job->warnings[job->warning_count - 1]);
    mm_job_free(job);
}

/* --- milvus-migration --------------------------------------------------------------------------------------------- */

#define FAISS                                                                                                          \
    "dumper: {worker: {workMode: faiss}}\n"                                                                            \
    "source: {mode: local, local: {faissFile: /v/a.index}}\n"
#define TO "target: {milvus2x: {endpoint: 'h:19530'}"
#define CREATE ", create: {collection: {name: test, metricType: L2}}}\n"

static void a_faiss_file_becomes_a_collection_with_the_names_and_the_metric_of_the_file(void **state)
{
    (void)state;
    becomes("dumper: {worker: {limit: 20, workMode: faiss}}\n"
            "loader: {worker: {limit: 7}}\n"
            "source: {mode: local, local: {faissFile: /v/a.index}}\n"
            "target:\n"
            "  milvus2x: {endpoint: 'h:19530', username: root, password: pw, database: db}\n"
            "  create: {collection: {name: test, shardsNum: 2, metricType: IP}}\n",
            LINES("\n  driver: faiss\n", "\n  path: /v/a.index\n", "\n  id_field: id\n", "\n  vector_field: data\n",
                  "\n  endpoint: \"h:19530\"\n", "\n  user: root\n", "\n  password: \"***\"\n", "\n  database: db\n",
                  "\n  create_database: true\n", "\n  shards: 2\n", "\n  transfer: insert\n", "\n  format: npy\n",
                  "\n  - if_exists: fail\n    to: test\n", "\"data\": {index_type: \"AUTOINDEX\", metric_type: \"IP\"}",
                  "\n  dumpers: 20\n  loaders: 7\n"),
            LINES("staging", "from:"));
}

static void a_database_that_is_not_named_is_not_made(void **state)
{
    (void)state;
    becomes(FAISS TO CREATE, LINES("create_database: false", "dumpers: 2", "loaders: 4"), LINES("database: \"", "user:"));
}

static void keys_are_taken_in_any_case(void **state)
{
    (void)state;
    becomes("Dumper: {worker: {workmode: faiss}}\n"
            "source: {Mode: local, local: {faissfile: /v/a.index}}\n"
            "target: {milvus2X: {endpoint: h:1}, create: {collection: {NAME: test}}}\n",
            LINES("path: /v/a.index", "endpoint: \"h:1\"", "to: test", "index: auto"), NULL);
    refused("dumper: {worker: {workMode: faiss, workmode: faiss}}\n",
            "/d/old.yaml:1:36: the key `workmode` stands here a second time (first at line 1, as `workMode`");
}

static void staged_files_lie_where_the_old_ones_did(void **state)
{
    (void)state;
    becomes(FAISS "target: {mode: local, local: {outputDir: out/x}, milvus2x: {endpoint: h:1}" CREATE,
            LINES("\n  staging: /d/out/x\n", "\n  transfer: insert\n"), NULL);
#define REMOTE(keys) FAISS "target: {mode: remote, remote: {" keys "}, milvus2x: {endpoint: h:1}" CREATE
    becomes(REMOTE("outputDir: output/, cloud: aws, endpoint: 'm:9000', region: r, bucket: b, ak: a, sk: s, useIAM: false, "
                   "useSSL: false"),
            LINES("\n  staging: \"s3://b/output\"\n", "\n  storage_endpoint: \"http://m:9000\"\n",
                  "\n  storage_region: r\n", "\n  storage_access_key: a\n", "\n  storage_secret_key: \"***\"\n",
                  "\n  storage_use_iam: false\n"),
            NULL);
    becomes(REMOTE("outputDir: /x, endpoint: 'm', bucket: b, useSSL: true"),
            LINES("\n  staging: \"s3://b/x\"\n", "\n  storage_endpoint: \"https://m\"\n"), NULL);
    becomes(REMOTE("bucket: b, endpoint: 'https://m:1', useIAM: true, ak: a, sk: s"),
            LINES("\n  staging: \"s3://b\"\n", "\n  storage_endpoint: \"https://m:1\"\n", "\n  storage_use_iam: true\n"),
            LINES("storage_access_key", "storage_secret_key"));
    becomes(REMOTE("cloud: gcp, bucket: b"), LINES("staging: \"gs://b\""), LINES("storage_endpoint"));
    becomes(REMOTE("cloud: ali, bucket: b"), LINES("staging: \"oss://b\""), NULL);
    becomes(REMOTE("cloud: tc, bucket: b-1"), LINES("staging: \"cos://b-1\""), NULL);
    becomes(REMOTE("cloud: azure, bucket: b, ak: account, sk: key"),
            LINES("staging: \"az://b\"", "storage_access_key: account"), NULL);
    becomes(REMOTE("cloud: az, bucket: b, ak: account, useIAM: true"),
            LINES("staging: \"az://b\"", "storage_access_key: account", "storage_use_iam: true"), NULL);
    warns(REMOTE("cloud: az, bucket: b, endpoint: e"), LINES("3:65: `target.remote.endpoint` has no meaning with Azure"));
    warns(REMOTE("bucket: b, checkBucket: true"),
          LINES("3:57: `target.remote.checkBucket` has no meaning any more: a bucket that is missing is always told"));
    warns(REMOTE("bucket: b, checkBucket: false"), (const char *const[]){NULL});
    refused(REMOTE("cloud: moon, bucket: b"), "/d/old.yaml:3:40: `target.remote.cloud` is one of aws (also MinIO), gcp");
    refused(REMOTE("cloud: aws"), "/d/old.yaml:3:32: `target.remote.bucket` is missing: workMode faiss needs it");
    refused(REMOTE("bucket: b, useSSL: maybe, endpoint: e"), "/d/old.yaml:3:52: `target.remote.useSSL` is true or false");
    refused(FAISS "target: {mode: far, milvus2x: {endpoint: h:1}" CREATE,
            "/d/old.yaml:3:16: `target.mode` is local or remote, not `far`");
}

static void a_remote_source_is_read_from_its_bucket(void **state)
{
    (void)state;
    becomes("dumper: {worker: {workMode: faiss}}\n"
            "source: {mode: remote, remote: {faissFile: /x/a.index, cloud: aws, endpoint: 'm:1', bucket: b, ak: a, sk: s, "
            "region: r}}\n" TO CREATE,
            LINES("\n  path: \"s3://b/x/a.index\"\n", "\n  storage_endpoint: \"http://m:1\"\n", "\n  storage_region: r\n"), NULL);
    refused("dumper: {worker: {workMode: faiss}}\nsource: {mode: remote}\n" TO CREATE,
            "/d/old.yaml:2:9: `source.remote.faissFile` is missing: workMode faiss needs it");
    refused("dumper: {worker: {workMode: faiss}}\nsource: {mode: web}\n" TO CREATE,
            "/d/old.yaml:2:16: `source.mode` is local or remote, not `web`");
    refused("dumper: {worker: {workMode: faiss}}\n" TO CREATE, "/d/old.yaml:1:1: `source.mode` is missing");
}

static void numbers_of_threads_stay_within_what_there_is(void **state)
{
    (void)state;
    warns("dumper: {worker: {workMode: faiss, limit: 1000}}\nsource: {mode: local, local: {faissFile: /a}}\n" TO CREATE,
          LINES("1:43: `dumper.worker.limit: 1000` becomes limits.dumpers: 256, the most there is"));
    becomes("dumper: {worker: {workMode: faiss, limit: 1000}}\nsource: {mode: local, local: {faissFile: /a}}\n" TO CREATE,
            LINES("\n  dumpers: 256\n"), NULL);
    refused("dumper: {worker: {workMode: faiss, limit: 0}}\nsource: {mode: local, local: {faissFile: /a}}\n" TO CREATE,
            "/d/old.yaml:1:43: `dumper.worker.limit` is a whole number above 0, not `0`");
    refused(FAISS "loader: {worker: {limit: all}}\n" TO CREATE,
            "/d/old.yaml:3:26: `loader.worker.limit` is a whole number above 0, not `all`");
}

static void what_has_no_meaning_is_warned_of_once(void **state)
{
    (void)state;
    warns("dumper: {worker: {workMode: faiss, reader: {bufferSize: 1024}, writer: {bufferSize: 1024}}}\n"
          "source: {mode: local, local: {faissFile: /a}}\n"
          "target: {milvus2x: {endpoint: h:1, grpc: {maxCallRecvMsgSize: 1, maxCallSendMsgSize: 2}, writeMode: insert},\n"
          "  create: {collection: {name: test, dim: 512}}}\n"
          "meta: {mode: config, index: x}\n",
          LINES("1:45: `dumper.worker.reader.bufferSize` has no meaning any more: memory is bounded by limits.memory",
                "1:73: `dumper.worker.writer.bufferSize` has no meaning any more",
                "3:43: `target.milvus2x.grpc.maxCallRecvMsgSize` has no meaning any more: requests are cut by",
                "3:66: `target.milvus2x.grpc.maxCallSendMsgSize` has no meaning any more",
                "3:90: `target.milvus2x.writeMode` has no meaning with workMode faiss",
                "4:37: `target.create.collection.dim` has no meaning any more: the file says",
                "5:8: `meta.mode` has no meaning with workMode faiss", "5:22: `meta.index` has no meaning with workMode faiss"));
}

static void mistakes_are_told_with_their_place_in_the_file(void **state)
{
    (void)state;
    refused("loader: {worker: {limit: 2}}\n", "/d/old.yaml:1:1: `dumper.worker.workMode` is missing: milvus-migration needs it");
    refused("dumper: {worker: {workMode: mongo}}\n",
            "/d/old.yaml:1:29: `dumper.worker.workMode` is one of milvus1x, faiss, elasticsearch and milvus2x, not `mongo`");
    refused("dumper: {worker: {workMode: faiss, limits: 2}}\n",
            "/d/old.yaml:1:36: unknown key `limits` in dumper.worker of milvus-migration (did you mean `limit`?)");
    refused(FAISS "job: x\n" TO CREATE, "/d/old.yaml:3:1: unknown key `job` in the job file of milvus-migration");
    refused("dumper: {worker: faiss}\n", "/d/old.yaml:1:18: `dumper.worker.workMode` is missing");
    refused("dumper: {worker: {workMode: faiss}}\nloader: [1]\n",
            "/d/old.yaml:2:9: loader is a mapping of keys, not a list");
    refused(FAISS "target: {create: {collection: {name: test}}}\n", "/d/old.yaml:3:9: target needs the key `endpoint`");
    refused(FAISS TO "}\n", "/d/old.yaml:3:9: `target.create.collection.name` is missing: workMode faiss needs it");
    refused(FAISS TO ", create: {collection: {name: test, metricType: COSINUS}}}\n",
            "/d/old.yaml:3:89: `target.create.collection.metricType` is one of L2, IP, HAMMING");
    refused(FAISS TO ", create: {collection: {name: test, shardsNum: many}}}\n",
            "/d/old.yaml:3:88: `shards` is a whole number");
    refused_with(FAISS TO CREATE, "limits.loaders=0", "--set limits.loaders: `loaders` is a whole number");
}

static void a_mode_whose_driver_is_not_there_is_refused_by_name(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    static const mm_job_tables few = {sources, targets, 1, 1};
    static const char *const cases[][2] = {
        {"dumper: {worker: {workMode: milvus1x}}\n", "1:29: workMode milvus1x needs the source driver `milvus1x`"},
        {"dumper: {worker: {workMode: elasticsearch}}\n", "1:29: workMode elasticsearch needs the source driver `elasticsearch`"},
        {"dumper: {worker: {workMode: milvus2x}}\n", "1:29: workMode milvus2x needs the source driver `milvus`"},
        {"H2M: {dest_host: h, dest_port: 1}\n", "1:6: H2M needs the source driver `hdf5`"},
        {"M2M: {dest_host: h, dest_port: 1}\n", "1:6: M2M needs the source driver `milvus1x`"},
        {"M2H: {data_dir: /x}\n", "1:17: M2H needs the target driver `hdf5`"},
    };
    for (size_t i = 0; i < MM_COUNT(cases); i++) {
        assert_int_equal(mm_job_parse(cases[i][0], "/d/old.yaml", "", &few, &job, &err), MM_CONFIG);
        if (strstr(err.text, cases[i][1]) == NULL)
            fail_msg("wanted \"%s\", got \"%s\"", cases[i][1], err.text);
    }
}

#define MILVUS1X(meta) "dumper: {worker: {workMode: milvus1x}}\nmeta: {" meta "}\n"
#define TABLES "source: {mode: local, local: {tablesDir: /db/tables/}}\n"

static void milvus_1x_is_read_by_its_metadata_and_tables(void **state)
{
    (void)state;
    becomes(MILVUS1X("mode: sqlite, sqliteFile: /db/meta.sqlite") TABLES TO "}\n",
            LINES("\n  driver: milvus1x\n", "\n  meta: /db/meta.sqlite\n", "\n  tables: [\"/db/tables/\"]\n",
                  "\n  vector_field: data\n", "\n  format: npy\n"),
            LINES("collections:", "mysql"));
    becomes(MILVUS1X("mode: local, localFile: m.json") TABLES TO "}\n", LINES("\n  meta: /d/m.json\n"), NULL);
    becomes(MILVUS1X("mode: mock, mockFile: /m.json, localFile: /n.json") TABLES TO "}\n", LINES("\n  meta: /m.json\n"), NULL);
    becomes(MILVUS1X("mode: mysql, mysqlUrl: 'u:p@tcp(h:3306)/milvus?loc=Local'") TABLES TO "}\n",
            LINES("\n  mysql: \"***\"\n"), LINES("\n  meta:"));
    becomes(MILVUS1X("mode: remote, remoteMetaFile: /x/meta.json")
            "source: {mode: remote, remote: {tablesDir: /x/tables/, bucket: b, region: r, ak: a, sk: s}}\n" TO "}\n",
            LINES("\n  meta: \"s3://b/x/meta.json\"\n", "\n  tables: [\"s3://b/x/tables\"]\n", "\n  storage_region: r\n",
                  "\n  storage_access_key: a\n", "\n  storage_secret_key: \"***\"\n"),
            NULL);
    refused(MILVUS1X("mode: oracle") TABLES TO "}\n", "/d/old.yaml:2:14: `meta.mode` is one of sqlite, mysql, local, mock and remote");
    refused(MILVUS1X("mode: sqlite") TABLES TO "}\n", "/d/old.yaml:2:7: `meta.sqliteFile` is missing");
    refused(MILVUS1X("mode: sqlite, sqliteFile: /m") "source: {mode: local}\n" TO "}\n",
            "/d/old.yaml:3:9: `source.local.tablesDir` is missing");
    refused(MILVUS1X("mode: sqlite, sqliteFile: /m") "source: {mode: web}\n" TO "}\n",
            "/d/old.yaml:3:16: `source.mode` is local or remote");
    refused(TABLES "dumper: {worker: {workMode: milvus1x}}\n" TO "}\n", "/d/old.yaml:1:1: `meta.mode` is missing");
}

#define ES(meta, es)                                                                                                   \
    "dumper: {worker: {workMode: elasticsearch}}\nmeta: {mode: config, index: ix, " meta "}\nsource: {es: {" es "}}\n" TO "}\n"
#define URLS "urls: ['http://e:9200']"
#define ID "fields: [{name: id, type: long, pk: true}, {name: data, type: dense_vector, dims: 8}]"

static void an_index_becomes_a_collection_with_exactly_its_fields(void **state)
{
    (void)state;
    becomes(ES("version: 8, fields: [{name: id, type: long, pk: true}, {name: data, type: dense_vector, dims: 512}, "
               "{name: other, type: keyword, maxLen: 60, pk: false}, {name: t, type: text}, {name: s, type: string}, "
               "{name: i, type: integer}, {name: h, type: short}, {name: b, type: byte}, {name: o, type: boolean}, "
               "{name: d, type: double}, {name: f, type: float}, {name: g, type: half_float}, {name: k, type: "
               "scaled_float}, {name: j, type: object}], milvus: {collection: new, shardNum: 2, closeDynamicField: true, "
               "consistencyLevel: Bounded}",
               "urls: ['http://e:9200', 'http://f:9200'], username: u, password: p, cert: /ca.crt, fingerprint: ab"),
            LINES("\n  driver: elasticsearch\n", "\n  endpoint: [\"http://e:9200\", \"http://f:9200\"]\n",
                  "\n  username: u\n", "\n  password: \"***\"\n", "\n  ca_file: /ca.crt\n", "\n  ca_fingerprint: ab\n",
                  "\n  index: ix\n", "\n  primary_key: id\n", "\n    from: ix\n    to: new\n", "\n  shards: 2\n",
                  "\n  consistency: bounded\n", "{from: \"id\", to: \"id\", primary: true}",
                  "{from: \"data\", to: \"data\"}", "{from: \"j\", to: \"j\"}",
                  "\n  include: [\"id\", \"data\", \"other\", \"t\", \"s\", \"i\", \"h\", \"b\", \"o\", \"d\", "
                  "\"f\", \"g\", \"k\", \"j\"]\n",
                  "\n  types: [\"id Int64\", \"data FloatVector(512)\", \"other VarChar(60)\", \"t VarChar(65535)\", "
                  "\"s VarChar(65535)\", \"i Int32\", \"h Int16\", \"b Int8\", \"o Bool\", \"d Double\", \"f Float\", "
                  "\"g Float\", \"k Float\", \"j JSON\"]\n"),
            NULL);
}

static void without_a_key_of_its_own_a_document_has_its_id(void **state)
{
    (void)state;
    becomes(ES("fields: [{name: data, type: dense_vector}]", URLS),
            LINES("\n      - {from: \"_id\", to: \"_id\", primary: true}\n      - {from: \"data\"",
                  "\n  primary_key: _id\n", "\n    from: ix\n    fields", "\n  include: [\"data\"]\n"),
            LINES("types", "id_length"));
    becomes(ES("fields: [{name: data, type: dense_vector, dims: 8}, {name: _id, type: keyword, maxLen: 60, pk: true}]", URLS),
            LINES("{from: \"data\", to: \"data\"}\n      - {from: \"_id\", to: \"_id\", primary: true}\n",
                  "\n  id_length: 60\n", "\n  primary_key: _id\n", "\n  types: [\"data FloatVector(8)\"]\n"),
            NULL);
    refused(ES("fields: [{name: _id, type: long, pk: true}]", URLS), "/d/old.yaml:2:60: `_id` is a text: `type: long` would");
}

static void elasticsearch_is_asked_as_milvus_migration_asks_it(void **state)
{
    (void)state;
    becomes(ES(ID, "cloudId: c, apiKey: k, " URLS ", username: u"), LINES("\n  cloud_id: c\n", "\n  api_key: \"***\"\n"),
            LINES("\n  endpoint: [", "username"));
    becomes(ES(ID, URLS ", serviceToken: t, username: u, password: p"), LINES("\n  token: \"***\"\n"),
            LINES("username", "\n  password"));
    warns(ES(ID, URLS ", apiKey: k"), LINES("3:48: `source.es.apiKey` counts with `source.es.cloudId` only"));
    refused(ES(ID, "username: u"), "/d/old.yaml:3:14: `source.es.urls` is missing (or `source.es.cloudId`)");
    refused(ES(ID, "fingerPrnt: u"), "/d/old.yaml:3:15: unknown key `fingerPrnt` in source.es of milvus-migration (did you "
                                     "mean `fingerprint`?)");
}

static void what_an_index_cannot_become_is_refused_or_told(void **state)
{
    (void)state;
    refused(ES("fields: [{name: a, type: date}]", URLS), "/d/old.yaml:2:58: `type: date` is none that milvus-migration takes");
    refused(ES("fields: [{type: long}]", URLS), "/d/old.yaml:2:42: a field of `meta.fields` needs its `name`");
    refused(ES("fields: [{name: a}]", URLS), "/d/old.yaml:2:42: a field of `meta.fields` needs its `type`");
    refused(ES("fields: [{name: a, type: long, pk: 7}]", URLS), "/d/old.yaml:2:68: `pk` is true or false");
    refused(ES("fields: [{name: a, typ: long}]", URLS), "/d/old.yaml:2:52: unknown key `typ` in meta.fields[]");
    refused(ES("fields: [a]", URLS), "/d/old.yaml:2:42: meta.fields[] is a mapping of keys, not a text");
    refused(ES("fields: []", URLS), "/d/old.yaml:2:41: `meta.fields` is a list of {name, type, pk, maxLen, dims}, not empty");
    refused(ES("version: 7", URLS), "/d/old.yaml:2:7: `meta.fields` is missing: workMode elasticsearch needs it");
    refused(ES(ID ", milvus: {consistencyLevel: None}", URLS), "/d/old.yaml:2:147: `meta.milvus.consistencyLevel` is one of");
    refused("dumper: {worker: {workMode: elasticsearch}}\nmeta: {mode: mock, mockFile: x}\n" TO "}\n",
            "/d/old.yaml:2:14: `meta.mode` is config with workMode elasticsearch, not `mock`");
    warns(ES(ID ", milvus: {consistencyLevel: Customized, closeDynamicField: false}", URLS),
          LINES("2:147: `meta.milvus.consistencyLevel: Customized` is no level", "2:178: `meta.milvus.closeDynamicField: false`"));
    becomes("dumper: {worker: {workMode: elasticsearch, reader: {bufferSize: 2500}}}\n"
            "meta: {mode: config, index: ix, " ID "}\nsource: {es: {" URLS "}}\n" TO "}\n",
            LINES("\n  page_rows: 2500\n", "\n  include: [\"id\", \"data\"]\n"), NULL);
    becomes("dumper: {worker: {workMode: elasticsearch, reader: {bufferSize: 90000}}}\n"
            "meta: {mode: config, index: ix, " ID "}\nsource: {es: {" URLS "}}\n" TO "}\n",
            LINES("\n  page_rows: 10000\n"), NULL);
    refused("dumper: {worker: {workMode: elasticsearch, reader: {bufferSize: 0}}}\n"
            "meta: {mode: config, index: ix, " ID "}\nsource: {es: {" URLS "}}\n" TO "}\n",
            "/d/old.yaml:1:65: `dumper.worker.reader.bufferSize` is a whole number above 0, not `0`");
    warns("dumper: {worker: {workMode: elasticsearch, writer: {bufferSize: 2500}}}\nloader: {worker: {limit: 2}}\n"
          "meta: {mode: config, index: ix, " ID "}\nsource: {mode: local, es: {" URLS "}}\n" TO "}\n",
          LINES("1:53: `dumper.worker.writer.bufferSize`", "2:19: `loader.worker.limit` has no meaning with workMode",
                "4:10: `source.mode` has no meaning with workMode elasticsearch"));
}

#define MILVUS2X(meta)                                                                                                 \
    "dumper: {worker: {workMode: milvus2x}}\nmeta: {mode: config, version: 2.3.0, collection: src" meta "}\n"          \
    "source: {milvus2x: {endpoint: 's:19530', username: su, password: sp, database: sd}}\n"

static void a_collection_of_another_milvus_keeps_its_keys(void **state)
{
    (void)state;
    becomes(MILVUS2X(", fields: [{name: id}, {name: v}], milvus: {collection: dst, shardNum: 3, consistencyLevel: Strong, "
                     "autoId: ''}")
            "target: {milvus2x: {endpoint: 't:19530', writeMode: upsert}}\n",
            LINES("\nsource:\n  driver: milvus\n  endpoint: \"s:19530\"\n  user: su\n  password: \"***\"\n  database: sd\n",
                  "\n  endpoint: \"t:19530\"\n", "\n  on_conflict: upsert\n", "\n    from: src\n    to: dst\n",
                  "{from: \"id\", to: \"id\"}", "{from: \"v\", to: \"v\"}", "\n  consistency: strong\n", "\n  shards: 3\n"),
            NULL);
    becomes(MILVUS2X("") TO "}\n", LINES("\n    from: src\n    index: auto\n"), LINES("on_conflict", "fields:"));
    refused(MILVUS2X(", milvus: {autoId: 'true'}") TO "}\n", "/d/old.yaml:2:72: `meta.milvus.autoId: true` gives rows new keys");
    becomes(MILVUS2X(", milvus: {autoId: 'false'}") TO "}\n", LINES("from: src"), NULL);
    refused("dumper: {worker: {workMode: milvus2x}}\nmeta: {mode: config}\n" TO "}\n", "/d/old.yaml:2:7: `meta.collection` is missing");
    refused(MILVUS2X("") "target: {milvus2x: {endpoint: 't:1', writeMode: merge}}\n",
            "/d/old.yaml:4:49: `on_conflict` is one of insert or upsert, not `merge`");
    warns("dumper: {worker: {workMode: milvus2x}}\nmeta: {mode: config, collection: c}\n"
          "source: {milvus2x: {endpoint: 's:1', grpc: {maxCallRecvMsgSize: 1}}}\n" TO "}\n",
          LINES("3:45: `source.milvus2x.grpc.maxCallRecvMsgSize` has no meaning any more"));
}

/* --- MilvusDM ----------------------------------------------------------------------------------------------------- */

#define DEST "dest_host: 127.0.0.1, dest_port: 19530, "
#define F2M(more) "F2M: {milvus_version: 0.10.5, data_path: /v/a.index, " DEST more "}\n"

static void f2m_becomes_a_job(void **state)
{
    (void)state;
    becomes(F2M("mode: append, dest_collection_name: test, dest_partition_name: '', collection_parameter: {metric_type: L2}"),
            LINES("\n  driver: faiss\n  path: /v/a.index\n  id_field: id\n  vector_field: embedding\n",
                  "\n  endpoint: \"http://127.0.0.1:19530\"\n", "\n  - if_exists: append\n    to: test\n",
                  "\"embedding\": {index_type: \"AUTOINDEX\", metric_type: \"L2\"}"),
            LINES("partition"));
    becomes(F2M("mode: skip, dest_collection_name: test"), LINES("if_exists: skip", "index: auto"), NULL);
    becomes(F2M("mode: overwrite, dest_collection_name: test"), LINES("if_exists: overwrite"), NULL);
    becomes(F2M("mode: append, dest_collection_name: test, dest_partition_name: p"), LINES("if_exists: append", "partition: p"),
            NULL);
    becomes("F2M: {milvus-version: 2, data_path: a, dest_host: '::1', dest_port: 1, mode: skip, dest_collection_name: t}\n",
            LINES("path: /d/a", "endpoint: \"http://[::1]:1\""), NULL);
    becomes("F2M: {data_path: a, dest_host: 'https://h', dest_port: 1, mode: skip, dest_collection_name: t}\n",
            LINES("endpoint: \"https://h:1\""), NULL);
}

static void overwriting_a_partition_never_becomes_overwriting_a_collection(void **state)
{
    (void)state;
    const char *text = F2M("mode: overwrite, dest_collection_name: test, dest_partition_name: p");
    becomes(text, LINES("if_exists: fail", "partition: p"), NULL);
    warns(text, LINES("1:100: `F2M.mode: overwrite` replaced the named partitions alone"));
    warns(F2M("mode: skip, dest_collection_name: test, dest_partition_name: p"), LINES("1:100: `F2M.mode: skip` leaves"));
    mm_job *job = parse_as(text, "/d/old.yaml", "collections.0.if_exists=overwrite");
    assert_string_equal(job->collections[0].if_exists, "overwrite");
    mm_job_free(job);
}

static void every_metric_has_its_index(void **state)
{
    (void)state;
    static const char *const metrics[][2] = {
        {"L2", "{index_type: \"AUTOINDEX\", metric_type: \"L2\"}"},
        {"IP", "{index_type: \"AUTOINDEX\", metric_type: \"IP\"}"},
        {"HAMMING", "{index_type: \"BIN_IVF_FLAT\", metric_type: \"HAMMING\", params: {\"nlist\": 1024}}"},
        {"JACCARD", "{index_type: \"BIN_IVF_FLAT\", metric_type: \"JACCARD\", params: {\"nlist\": 1024}}"},
        {"TANIMOTO", "{index_type: \"BIN_IVF_FLAT\", metric_type: \"JACCARD\", params: {\"nlist\": 1024}}"},
        {"SUBSTRUCTURE", "{index_type: \"BIN_FLAT\", metric_type: \"SUBSTRUCTURE\"}"},
        {"SUPERSTRUCTURE", "{index_type: \"BIN_FLAT\", metric_type: \"SUPERSTRUCTURE\"}"},
    };
    for (size_t i = 0; i < MM_COUNT(metrics); i++) {
        char text[300];
        snprintf(text, sizeof(text), "H2M: {data_dir: /h, dest_host: h, dest_port: 1, mode: append, dest_collection_name: t, "
                                     "collection_parameter: {metric_type: %s}}\n", metrics[i][0]);
        becomes(text, LINES(metrics[i][1]), NULL);
    }
}

static void h2m_takes_files_or_a_folder(void **state)
{
    (void)state;
#define H2M(more) "H2M: {" DEST "mode: append, dest_collection_name: t, " more "}\n"
    becomes(H2M("milvus-version: 0.10.5, data_path: [/a.h5, b.h5], data_dir: , dest_partition_name: p"),
            LINES("\n  vectors: embeddings\n", "\n  driver: hdf5\n  path: [\"/a.h5\", \"/d/b.h5\"]\n", "\n  vector_field: embedding\n", "partition: p"),
            LINES("dir:"));
    becomes(H2M("data_dir: /h, data_path: "), LINES("\n  dir: /h\n"), LINES("path:"));
    refused(H2M("data_dir: /h, data_path: [/a]"), "/d/old.yaml:1:96: `H2M.data_path` and `H2M.data_dir` cannot both be given");
    refused(H2M("data_dir: , data_path: "), "/d/old.yaml:1:6: `H2M.data_path` is missing (or `H2M.data_dir`)");
}

#define FROM(task, more) task ": {milvus_version: 1.1, source_milvus_path: /m, " more "}\n"

static void m2m_moves_collections_and_partitions(void **state)
{
    (void)state;
    becomes(FROM("M2M", "mysql_parameter: , source_collection: {test: }, " DEST "mode: skip"),
            LINES("\n  driver: milvus1x\n  path: /m\n", "\n  vector_field: embedding\n",
                  "\n  - if_exists: skip\n    from: test\n", "endpoint: \"http://127.0.0.1:19530\""),
            LINES("partitions", "mysql"));
    becomes(FROM("M2M", "source_collection: {test: [p1, p2]}, " DEST "mode: append"),
            LINES("\n  partitions: [\"p1\", \"p2\"]\n", "if_exists: append"), NULL);
    warns(FROM("M2M", "source_collection: {test: [p1]}, " DEST "mode: overwrite"), LINES("1:131: `M2M.mode: overwrite` replaced"));
    becomes(FROM("M2M", "source_collection: {test: }, " DEST "mode: overwrite"), LINES("if_exists: overwrite"), NULL);
    warns(FROM("M2M", "source_collection: {a: , b: }, " DEST "mode: append"),
          LINES("1:77: `M2M.source_collection` names 2 collections: all of them move"));
    becomes(FROM("M2M", "source_collection: {a: , b: }, " DEST "mode: append"), LINES("from: a\n", "from: b\n"), NULL);
    refused(FROM("M2M", "source_collection: {a: [p], b: }, " DEST "mode: append"),
            "/d/old.yaml:1:75: partitions can be chosen of one collection only");
    refused(FROM("M2M", "source_collection: test, " DEST "mode: append"),
            "/d/old.yaml:1:71: `M2M.source_collection` is a mapping from the collection to its partitions");
    refused(FROM("M2M", "source_collection: {test: {p: q}}, " DEST "mode: append"),
            "/d/old.yaml:1:78: the partitions of `test` are a list of names");
}

static void m2h_writes_a_folder(void **state)
{
    (void)state;
    becomes(FROM("M2H", "source_collection: {test: }, data_dir: /out"),
            LINES("driver: milvus1x", "\n  driver: hdf5\n", "\n  path: /out\n", "from: test"), LINES("endpoint"));
    refused(FROM("M2H", "source_collection: {test: }"), "/d/old.yaml:1:6: `M2H.data_dir` is missing");
    refused(FROM("M2H", "source_collection: {test: }, data_dir: /o, mode: skip"), "/d/old.yaml:1:95: unknown key `mode` in M2H");
}

static void mysql_parameters_become_an_address(void **state)
{
    (void)state;
    mm_job *job = parse(FROM("M2H", "mysql_parameter: {host: 127.0.0.1, user: root, port: 3306, password: 'a@:/$$b', "
                                    "database: milvus}, source_collection: {t: }, data_dir: /o"));
    assert_string_equal(mm_options_str(job->source, "mysql"), "root@tcp(127.0.0.1:3306)/milvus");
    assert_string_equal(mm_options_str(job->source, "mysql_password"), "a@:/$$b");
    assert_null(strstr(job->text, "a@:/"));
    mm_job_free(job);
    job = parse(FROM("M2H", "mysql_parameter: {host: h}, source_collection: {t: }, data_dir: /o"));
    assert_string_equal(mm_options_str(job->source, "mysql"), "root@tcp(h:3306)/milvus");
    assert_null(mm_options_str(job->source, "mysql_password"));
    mm_job_free(job);
}

static void mistakes_in_a_file_of_milvusdm_are_told(void **state)
{
    (void)state;
    refused(F2M("mode: replace, dest_collection_name: t"), "/d/old.yaml:1:100: `F2M.mode` is append, skip or overwrite, not `replace`");
    refused(F2M("dest_collection_name: t"), "/d/old.yaml:1:6: `F2M.mode` is missing: F2M needs it");
    refused(F2M("mode: skip"), "/d/old.yaml:1:6: `F2M.dest_collection_name` is missing");
    refused("F2M: {data_path: a, dest_host: h}\n", "/d/old.yaml:1:6: `F2M.dest_port` is missing");
    refused("F2M: {dest_host: h, dest_port: 1}\n", "/d/old.yaml:1:6: `F2M.data_path` is missing");
    refused(F2M("mode: skip, dest_colection_name: t"),
            "/d/old.yaml:1:106: unknown key `dest_colection_name` in F2M of MilvusDM (did you mean `dest_collection_name`?)");
    refused(F2M("mode: skip, data_dir: t"), "/d/old.yaml:1:106: unknown key `data_dir` in F2M");
    refused(F2M("mode: skip, dest_collection_name: t") "H2M: {}\n", "/d/old.yaml:2:1: a file of MilvusDM holds one task");
    refused("F2M: [1]\n", "/d/old.yaml:1:6: F2M is a mapping of keys, not a list");
    warns(F2M("mode: skip, dest_collection_name: t, collection_parameter: {dimension: 8, index_file_size: 1024}"),
          LINES("1:154: `F2M.collection_parameter.dimension` has no meaning any more: the data says",
                "1:168: `F2M.collection_parameter.index_file_size` has no meaning any more: Milvus 2.x sizes"));
}

/* --- what both have in common ------------------------------------------------------------------------------------- */

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
        FAISS "target: {mode: remote, remote: {bucket: b, ak: a, sk: open-one}, milvus2x: {endpoint: h:1, username: u, password: "
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
        assert_int_equal(mm_job_load(path, "", &tables, &job, &err), MM_OK);
        assert_null(strstr(job->text, "open"));
        assert_int_equal(mm_job_parse(job->text, path, "", &tables, &again, &err), MM_OK);
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
    assert_int_equal(mm_job_parse("F2M: {}\n", path, "", &tables, &job, &err), MM_CONFIG);
    rmdir(folder);
}

static void a_secret_is_hidden_also_where_a_half_does_not_read_it(void **state)
{
    (void)state;
    mm_job *job = parse_as(FAISS "target: {mode: local, local: {outputDir: /o}, milvus2x: {endpoint: h:1, password: open-one}" CREATE,
                           "/d/old.yaml", "half=dump");
    assert_string_equal(job->target_driver, "files");
    assert_null(strstr(job->text, "open"));
    mm_job_free(job);
    job = parse_as("source: {driver: faiss, path: /a}\ntarget: {driver: milvus, endpoint: h:1, staging: /s, password: open-one}\n",
                   "/d/own.yaml", "half=dump");
    assert_null(strstr(job->text, "open"));
    mm_job_free(job);
}

static void the_environment_is_read_and_other_dollars_stay(void **state)
{
    (void)state;
    setenv("MM_T_FOREIGN", "from-outside", 1);
    mm_job *job = parse(FAISS "target: {milvus2x: {endpoint: h:1, username: '${MM_T_FOREIGN}', password: 'a$$b$c$'}" CREATE);
    assert_string_equal(mm_options_str(job->target, "user"), "from-outside");
    assert_string_equal(mm_options_str(job->target, "password"), "a$$b$c$");
    mm_job_free(job);
    refused(FAISS "target: {milvus2x: {endpoint: '${MM_T_UNSET}'}" CREATE,
            "/d/old.yaml:3:31: `endpoint`: the environment variable MM_T_UNSET is not set");
}

static void dump_and_load_are_halves_of_the_translated_job(void **state)
{
    (void)state;
    const char *text = FAISS "target: {mode: remote, remote: {outputDir: o, bucket: b, endpoint: 'm:1', ak: a, sk: s}, milvus2x: "
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
    mm_job *job = parse("source: {driver: faiss, path: /a, vector_field: meta}\ntarget: {driver: milvus, endpoint: h:1}\n");
    assert_string_equal(job->name, "old");
    assert_int_equal(job->warning_count, 0);
    mm_job_free(job);
}

/* What is made fits the drivers as they are. */
static void the_real_drivers_take_what_is_made(void **state)
{
    (void)state;
    static const char *const texts[] = {
        FAISS "target: {mode: remote, remote: {outputDir: o, bucket: b, endpoint: 'm:1', region: r, ak: a, sk: s}, milvus2x: "
              "{endpoint: h:1, username: u, password: p, database: d}, create: {collection: {name: t, shardsNum: 2, metricType: IP}}}\n",
        F2M("mode: append, dest_collection_name: t, dest_partition_name: p, collection_parameter: {metric_type: L2}"),
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
        cmocka_unit_test(a_faiss_file_becomes_a_collection_with_the_names_and_the_metric_of_the_file),
        cmocka_unit_test(a_database_that_is_not_named_is_not_made),
        cmocka_unit_test(keys_are_taken_in_any_case),
        cmocka_unit_test(staged_files_lie_where_the_old_ones_did),
        cmocka_unit_test(a_remote_source_is_read_from_its_bucket),
        cmocka_unit_test(numbers_of_threads_stay_within_what_there_is),
        cmocka_unit_test(what_has_no_meaning_is_warned_of_once),
        cmocka_unit_test(mistakes_are_told_with_their_place_in_the_file),
        cmocka_unit_test(a_mode_whose_driver_is_not_there_is_refused_by_name),
        cmocka_unit_test(milvus_1x_is_read_by_its_metadata_and_tables),
        cmocka_unit_test(an_index_becomes_a_collection_with_exactly_its_fields),
        cmocka_unit_test(without_a_key_of_its_own_a_document_has_its_id),
        cmocka_unit_test(elasticsearch_is_asked_as_milvus_migration_asks_it),
        cmocka_unit_test(what_an_index_cannot_become_is_refused_or_told),
        cmocka_unit_test(a_collection_of_another_milvus_keeps_its_keys),
        cmocka_unit_test(f2m_becomes_a_job),
        cmocka_unit_test(overwriting_a_partition_never_becomes_overwriting_a_collection),
        cmocka_unit_test(every_metric_has_its_index),
        cmocka_unit_test(h2m_takes_files_or_a_folder),
        cmocka_unit_test(m2m_moves_collections_and_partitions),
        cmocka_unit_test(m2h_writes_a_folder),
        cmocka_unit_test(mysql_parameters_become_an_address),
        cmocka_unit_test(mistakes_in_a_file_of_milvusdm_are_told),
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
