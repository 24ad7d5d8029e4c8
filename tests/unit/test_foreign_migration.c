/* Job files of milvus-migration: every key becomes a key of a job, is refused with a reason, or is warned of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/foreign_fixture.h"

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
    becomes(FAISS TO CREATE, LINES("create_database: false", "dumpers: 2", "loaders: 4"),
            LINES("database: \"", "user:"));
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
    becomes(REMOTE("outputDir: output/, cloud: aws, endpoint: 'm:9000', region: r, bucket: b, ak: a, sk: s, useIAM: "
                   "false, "
                   "useSSL: false"),
            LINES("\n  staging: \"s3://b/output\"\n", "\n  storage_endpoint: \"http://m:9000\"\n",
                  "\n  storage_region: r\n", "\n  storage_access_key: a\n", "\n  storage_secret_key: \"***\"\n",
                  "\n  storage_use_iam: false\n"),
            NULL);
    becomes(REMOTE("outputDir: /x, endpoint: 'm', bucket: b, useSSL: true"),
            LINES("\n  staging: \"s3://b/x\"\n", "\n  storage_endpoint: \"https://m\"\n"), NULL);
    becomes(REMOTE("bucket: b, endpoint: 'https://m:1', useIAM: true, ak: a, sk: s"),
            LINES("\n  staging: \"s3://b\"\n", "\n  storage_endpoint: \"https://m:1\"\n",
                  "\n  storage_use_iam: true\n"),
            LINES("storage_access_key", "storage_secret_key"));
    becomes(REMOTE("cloud: gcp, bucket: b"), LINES("staging: \"gs://b\""), LINES("storage_endpoint"));
    becomes(REMOTE("cloud: ali, bucket: b"), LINES("staging: \"oss://b\""), NULL);
    becomes(REMOTE("cloud: tc, bucket: b-1"), LINES("staging: \"cos://b-1\""), NULL);
    becomes(REMOTE("cloud: azure, bucket: b, ak: account, sk: key"),
            LINES("staging: \"az://b\"", "storage_access_key: account"), NULL);
    becomes(REMOTE("cloud: az, bucket: b, ak: account, useIAM: true"),
            LINES("staging: \"az://b\"", "storage_access_key: account", "storage_use_iam: true"), NULL);
    warns(REMOTE("cloud: az, bucket: b, endpoint: e"),
          LINES("3:65: `target.remote.endpoint` has no meaning with Azure"));
    warns(REMOTE("bucket: b, checkBucket: true"),
          LINES("3:57: `target.remote.checkBucket` has no meaning any more: a bucket that is missing is always told"));
    warns(REMOTE("bucket: b, checkBucket: false"), (const char *const[]){NULL});
    refused(REMOTE("cloud: moon, bucket: b"),
            "/d/old.yaml:3:40: `target.remote.cloud` is one of aws (also MinIO), gcp");
    refused(REMOTE("cloud: aws"), "/d/old.yaml:3:32: `target.remote.bucket` is missing: workMode faiss needs it");
    refused(REMOTE("bucket: b, useSSL: maybe, endpoint: e"),
            "/d/old.yaml:3:52: `target.remote.useSSL` is true or false");
    refused(FAISS "target: {mode: far, milvus2x: {endpoint: h:1}" CREATE,
            "/d/old.yaml:3:16: `target.mode` is local or remote, not `far`");
}

static void a_remote_source_is_read_from_its_bucket(void **state)
{
    (void)state;
    becomes("dumper: {worker: {workMode: faiss}}\n"
            "source: {mode: remote, remote: {faissFile: /x/a.index, cloud: aws, endpoint: 'm:1', bucket: b, ak: a, "
            "sk: s, "
            "region: r}}\n" TO CREATE,
            LINES("\n  path: \"s3://b/x/a.index\"\n", "\n  storage_endpoint: \"http://m:1\"\n",
                  "\n  storage_region: r\n"), NULL);
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
    becomes("dumper: {worker: {workMode: faiss, limit: 1000}}\nsource: {mode: local, local: {faissFile: /a}}\n" TO
            CREATE,
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
          "target: {milvus2x: {endpoint: h:1, grpc: {maxCallRecvMsgSize: 1, maxCallSendMsgSize: 2}, "
          "writeMode: insert},\n"
          "  create: {collection: {name: test, dim: 512}}}\n"
          "meta: {mode: config, index: x}\n",
          LINES("1:45: `dumper.worker.reader.bufferSize` has no meaning any more: memory is bounded by limits.memory",
                "1:73: `dumper.worker.writer.bufferSize` has no meaning any more",
                "3:43: `target.milvus2x.grpc.maxCallRecvMsgSize` has no meaning any more: requests are cut by",
                "3:66: `target.milvus2x.grpc.maxCallSendMsgSize` has no meaning any more",
                "3:90: `target.milvus2x.writeMode` has no meaning with workMode faiss",
                "4:37: `target.create.collection.dim` has no meaning any more: the file says",
                "5:8: `meta.mode` has no meaning with workMode faiss",
                "5:22: `meta.index` has no meaning with workMode faiss"));
}

static void mistakes_are_told_with_their_place_in_the_file(void **state)
{
    (void)state;
    refused("loader: {worker: {limit: 2}}\n",
            "/d/old.yaml:1:1: `dumper.worker.workMode` is missing: milvus-migration needs it");
    refused("dumper: {worker: {workMode: mongo}}\n",
            "/d/old.yaml:1:29: `dumper.worker.workMode` is one of milvus1x, faiss, elasticsearch and milvus2x, "
            "not `mongo`");
    refused("dumper: {worker: {workMode: faiss, limits: 2}}\n",
            "/d/old.yaml:1:36: unknown key `limits` in dumper.worker of milvus-migration (did you mean `limit`?)");
    refused(FAISS "job: x\n" TO CREATE, "/d/old.yaml:3:1: unknown key `job` in the job file of milvus-migration");
    refused("dumper: {worker: faiss}\n", "/d/old.yaml:1:18: `dumper.worker.workMode` is missing");
    refused("dumper: {worker: {workMode: faiss}}\nloader: [1]\n",
            "/d/old.yaml:2:9: loader is a mapping of keys, not a list");
    refused(FAISS "target: {create: {collection: {name: test}}}\n", "/d/old.yaml:3:9: target needs the key `endpoint`");
    refused(FAISS TO "}\n", "/d/old.yaml:3:9: `target.create.collection.name` is missing: workMode faiss needs it");
    refused(FAISS TO ", create: {collection: {name: test, metricType: COSINUS}}}\n",
            "/d/old.yaml:3:89: `target.create.collection.metricType` is one of L2, IP, COSINE");
    refused(FAISS TO ", create: {collection: {name: test, shardsNum: many}}}\n",
            "/d/old.yaml:3:88: `shards` is a whole number");
    refused_with(FAISS TO CREATE, "limits.loaders=0", "--set limits.loaders: `loaders` is a whole number");
}

static void a_mode_whose_driver_is_not_there_is_refused_by_name(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    mm_job *job = NULL;
    const mm_job_tables few = {mm_foreign_tables.sources, mm_foreign_tables.targets, 1, 1};
    static const char *const cases[][2] = {
        {"dumper: {worker: {workMode: milvus1x}}\n", "1:29: workMode milvus1x needs the source driver `milvus1x`"},
        {"dumper: {worker: {workMode: elasticsearch}}\n",
         "1:29: workMode elasticsearch needs the source driver `elasticsearch`"},
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

static void milvus_1x_is_read_by_its_metadata_and_tables(void **state)
{
    (void)state;
    becomes(MILVUS1X("mode: sqlite, sqliteFile: /db/meta.sqlite") TABLES TO "}\n",
            LINES("\n  driver: milvus1x\n", "\n  meta: /db/meta.sqlite\n", "\n  tables: [\"/db/tables/\"]\n",
                  "\n  vector_field: data\n", "\n  format: npy\n"),
            LINES("collections:", "mysql"));
    becomes(MILVUS1X("mode: local, localFile: m.json") TABLES TO "}\n", LINES("\n  meta: /d/m.json\n"), NULL);
    becomes(MILVUS1X("mode: mock, mockFile: /m.json, localFile: /n.json") TABLES TO "}\n",
            LINES("\n  meta: /m.json\n"), NULL);
    becomes(MILVUS1X("mode: mysql, mysqlUrl: 'u:p@tcp(h:3306)/milvus?loc=Local'") TABLES TO "}\n",
            LINES("\n  mysql: \"***\"\n"), LINES("\n  meta:"));
    becomes(MILVUS1X("mode: remote, remoteMetaFile: /x/meta.json")
            "source: {mode: remote, remote: {tablesDir: /x/tables/, bucket: b, region: r, ak: a, sk: s}}\n" TO "}\n",
            LINES("\n  meta: \"s3://b/x/meta.json\"\n", "\n  tables: [\"s3://b/x/tables\"]\n",
                  "\n  storage_region: r\n",
                  "\n  storage_access_key: a\n", "\n  storage_secret_key: \"***\"\n"),
            NULL);
    refused(MILVUS1X("mode: oracle") TABLES TO "}\n",
            "/d/old.yaml:2:14: `meta.mode` is one of sqlite, mysql, local, mock and remote");
    refused(MILVUS1X("mode: sqlite") TABLES TO "}\n", "/d/old.yaml:2:7: `meta.sqliteFile` is missing");
    refused(MILVUS1X("mode: sqlite, sqliteFile: /m") "source: {mode: local}\n" TO "}\n",
            "/d/old.yaml:3:9: `source.local.tablesDir` is missing");
    refused(MILVUS1X("mode: sqlite, sqliteFile: /m") "source: {mode: web}\n" TO "}\n",
            "/d/old.yaml:3:16: `source.mode` is local or remote");
    refused(TABLES "dumper: {worker: {workMode: milvus1x}}\n" TO "}\n", "/d/old.yaml:1:1: `meta.mode` is missing");
}

static void an_index_becomes_a_collection_with_exactly_its_fields(void **state)
{
    (void)state;
    becomes(ES("version: 8, fields: [{name: id, type: long, pk: true}, {name: data, type: dense_vector, dims: 512}, "
               "{name: other, type: keyword, maxLen: 60, pk: false}, {name: t, type: text}, {name: s, type: string}, "
               "{name: i, type: integer}, {name: h, type: short}, {name: b, type: byte}, {name: o, type: boolean}, "
               "{name: d, type: double}, {name: f, type: float}, {name: g, type: half_float}, {name: k, type: "
               "scaled_float}, {name: j, type: object}], milvus: {collection: new, shardNum: 2, closeDynamicField: "
               "true, "
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
    becomes(ES("fields: [{name: data, type: dense_vector, dims: 8}, {name: _id, type: keyword, maxLen: 60, pk: true}]",
               URLS),
            LINES("{from: \"data\", to: \"data\"}\n      - {from: \"_id\", to: \"_id\", primary: true}\n",
                  "\n  id_length: 60\n", "\n  primary_key: _id\n", "\n  types: [\"data FloatVector(8)\"]\n"),
            NULL);
    refused(ES("fields: [{name: _id, type: long, pk: true}]", URLS),
            "/d/old.yaml:2:60: `_id` is a text: `type: long` would");
}

static void elasticsearch_is_asked_as_milvus_migration_asks_it(void **state)
{
    (void)state;
    becomes(ES(ID, "cloudId: c, apiKey: k, " URLS ", username: u, serviceToken: t"),
            LINES("\n  cloud_id: c\n", "\n  api_key: \"***\"\n"),
            LINES("\n  endpoint: [", "username", "token"));
    becomes(ES(ID, URLS ", serviceToken: t, username: u, password: p"), LINES("\n  token: \"***\"\n"),
            LINES("username", "\n  password"));
    warns(ES(ID, URLS ", apiKey: k"), LINES("3:48: `source.es.apiKey` counts with `source.es.cloudId` only"));
    refused(ES(ID, "username: u"), "/d/old.yaml:3:14: `source.es.urls` is missing (or `source.es.cloudId`)");
    refused(ES(ID, "fingerPrnt: u"),
            "/d/old.yaml:3:15: unknown key `fingerPrnt` in source.es of milvus-migration (did you "
                                     "mean `fingerprint`?)");
}

static void what_an_index_cannot_become_is_refused_or_told(void **state)
{
    (void)state;
    refused(ES("fields: [{name: a, type: date}]", URLS),
            "/d/old.yaml:2:58: `type: date` is none that milvus-migration takes");
    refused(ES("fields: [{type: long}]", URLS), "/d/old.yaml:2:42: a field of `meta.fields` needs its `name`");
    refused(ES("fields: [{name: a}]", URLS), "/d/old.yaml:2:42: a field of `meta.fields` needs its `type`");
    refused(ES("fields: [{name: a, type: long, pk: 7}]", URLS), "/d/old.yaml:2:68: `pk` is true or false");
    refused(ES("fields: [{name: a, typ: long}]", URLS), "/d/old.yaml:2:52: unknown key `typ` in meta.fields[]");
    refused(ES("fields: [a]", URLS), "/d/old.yaml:2:42: meta.fields[] is a mapping of keys, not a text");
    refused(ES("fields: []", URLS),
            "/d/old.yaml:2:41: `meta.fields` is a list of {name, type, pk, maxLen, dims}, not empty");
    refused(ES("version: 7", URLS), "/d/old.yaml:2:7: `meta.fields` is missing: workMode elasticsearch needs it");
    refused(ES(ID ", milvus: {consistencyLevel: None}", URLS),
            "/d/old.yaml:2:147: `meta.milvus.consistencyLevel` is one of");
    refused("dumper: {worker: {workMode: elasticsearch}}\nmeta: {mode: mock, mockFile: x}\n" TO "}\n",
            "/d/old.yaml:2:14: `meta.mode` is config with workMode elasticsearch, not `mock`");
    warns(ES(ID ", milvus: {consistencyLevel: Customized, closeDynamicField: false}", URLS),
          LINES("2:147: `meta.milvus.consistencyLevel: Customized` is no level",
                "2:178: `meta.milvus.closeDynamicField: false`"));
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
    becomes(MILVUS2X(", fields: [{name: id}, {name: v}], milvus: {collection: dst, shardNum: 3, consistencyLevel: "
                     "Strong, "
                     "autoId: ''}")
            "target: {milvus2x: {endpoint: 't:19530', writeMode: upsert}}\n",
            LINES("\nsource:\n  driver: milvus\n  endpoint: \"s:19530\"\n  user: su\n  password: \"***\"\n  database: "
                  "sd\n",
                  "\n  endpoint: \"t:19530\"\n", "\n  on_conflict: upsert\n", "\n    from: src\n    to: dst\n",
                  "{from: \"id\", to: \"id\"}", "{from: \"v\", to: \"v\"}", "\n  consistency: strong\n",
                  "\n  shards: 3\n"),
            NULL);
    becomes(MILVUS2X("") TO "}\n", LINES("\n    from: src\n    index: auto\n"), LINES("on_conflict", "fields:"));
    refused(MILVUS2X(", milvus: {autoId: 'true'}") TO "}\n",
            "/d/old.yaml:2:72: `meta.milvus.autoId: true` gives rows new keys");
    becomes(MILVUS2X(", milvus: {autoId: 'false'}") TO "}\n", LINES("from: src"), NULL);
    refused("dumper: {worker: {workMode: milvus2x}}\nmeta: {mode: config}\n" TO "}\n",
            "/d/old.yaml:2:7: `meta.collection` is missing");
    refused(MILVUS2X("") "target: {milvus2x: {endpoint: 't:1', writeMode: merge}}\n",
            "/d/old.yaml:4:49: `on_conflict` is one of insert or upsert, not `merge`");
    warns("dumper: {worker: {workMode: milvus2x}}\nmeta: {mode: config, collection: c}\n"
          "source: {milvus2x: {endpoint: 's:1', grpc: {maxCallRecvMsgSize: 1}}}\n" TO "}\n",
          LINES("3:45: `source.milvus2x.grpc.maxCallRecvMsgSize` has no meaning any more"));
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
