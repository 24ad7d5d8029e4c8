/* Job files of MilvusDM: every key becomes a key of a job, is refused with a reason, or is warned of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/foreign_fixture.h"

static void f2m_becomes_a_job(void **state)
{
    (void)state;
    becomes(F2M("mode: append, dest_collection_name: test, dest_partition_name: '', collection_parameter: "
                "{metric_type: L2}"),
            LINES("\n  driver: faiss\n  path: /v/a.index\n  id_field: id\n  vector_field: embedding\n",
                  "\n  endpoint: \"http://127.0.0.1:19530\"\n", "\n  - if_exists: append\n    to: test\n",
                  "\"embedding\": {index_type: \"AUTOINDEX\", metric_type: \"L2\"}"),
            LINES("partition"));
    becomes(F2M("mode: skip, dest_collection_name: test"), LINES("if_exists: skip", "index: auto"), NULL);
    becomes(F2M("mode: overwrite, dest_collection_name: test"), LINES("if_exists: overwrite"), NULL);
    becomes(F2M("mode: append, dest_collection_name: test, dest_partition_name: p"),
            LINES("if_exists: append", "partition: p"),
            NULL);
    becomes("F2M: {milvus-version: 2, data_path: a, dest_host: '::1', dest_port: 1, mode: skip, dest_collection_name: "
            "t}\n",
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
    warns(F2M("mode: skip, dest_collection_name: test, dest_partition_name: p"),
          LINES("1:100: `F2M.mode: skip` leaves"));
    mm_job *job = parse_as(text, "/d/old.yaml", "collections.0.if_exists=overwrite");
    assert_string_equal(job->collections[0].if_exists, "overwrite");
    mm_job_free(job);
}

static void every_metric_has_its_index(void **state)
{
    (void)state;
    static const char *const metrics[][2] = {
        {"L2", "{index_type: \"AUTOINDEX\", metric_type: \"L2\"}"},
        {"COSINE", "{index_type: \"AUTOINDEX\", metric_type: \"COSINE\"}"},
        {"IP", "{index_type: \"AUTOINDEX\", metric_type: \"IP\"}"},
        {"HAMMING", "{index_type: \"BIN_IVF_FLAT\", metric_type: \"HAMMING\", params: {\"nlist\": 1024}}"},
        {"JACCARD", "{index_type: \"BIN_IVF_FLAT\", metric_type: \"JACCARD\", params: {\"nlist\": 1024}}"},
        {"TANIMOTO", "{index_type: \"BIN_IVF_FLAT\", metric_type: \"JACCARD\", params: {\"nlist\": 1024}}"},
        {"SUBSTRUCTURE", "{index_type: \"BIN_FLAT\", metric_type: \"SUBSTRUCTURE\"}"},
        {"SUPERSTRUCTURE", "{index_type: \"BIN_FLAT\", metric_type: \"SUPERSTRUCTURE\"}"},
    };
    for (size_t i = 0; i < MM_COUNT(metrics); i++) {
        char text[300];
        snprintf(text, sizeof(text),
                 "H2M: {data_dir: /h, dest_host: h, dest_port: 1, mode: append, dest_collection_name: t, "
                                     "collection_parameter: {metric_type: %s}}\n", metrics[i][0]);
        becomes(text, LINES(metrics[i][1]), NULL);
    }
}

static void h2m_takes_files_or_a_folder(void **state)
{
    (void)state;
#define H2M(more) "H2M: {" DEST "mode: append, dest_collection_name: t, " more "}\n"
    becomes(H2M("milvus-version: 0.10.5, data_path: [/a.h5, b.h5], data_dir: , dest_partition_name: p"),
            LINES("\n  vectors: embeddings\n", "\n  driver: hdf5\n  path: [\"/a.h5\", \"/d/b.h5\"]\n",
                  "\n  vector_field: embedding\n", "partition: p"),
            LINES("dir:"));
    becomes(H2M("data_dir: /h, data_path: "), LINES("\n  dir: /h\n"), LINES("path:"));
    refused(H2M("data_dir: /h, data_path: [/a]"),
            "/d/old.yaml:1:96: `H2M.data_path` and `H2M.data_dir` cannot both be given");
    refused(H2M("data_dir: , data_path: "), "/d/old.yaml:1:6: `H2M.data_path` is missing (or `H2M.data_dir`)");
}

static void m2m_moves_collections_and_partitions(void **state)
{
    (void)state;
    becomes(FROM("M2M", "mysql_parameter: , source_collection: {test: }, " DEST "mode: skip"),
            LINES("\n  driver: milvus1x\n  path: /m\n", "\n  vector_field: embedding\n",
                  "\n  - if_exists: skip\n    from: test\n", "endpoint: \"http://127.0.0.1:19530\""),
            LINES("partitions", "mysql"));
    becomes(FROM("M2M", "source_collection: {test: [p1, p2]}, " DEST "mode: append"),
            LINES("\n  partitions: [\"p1\", \"p2\"]\n", "if_exists: append"), NULL);
    warns(FROM("M2M", "source_collection: {test: [p1]}, " DEST "mode: overwrite"),
          LINES("1:131: `M2M.mode: overwrite` replaced"));
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
    refused(FROM("M2H", "source_collection: {test: }, data_dir: /o, mode: skip"),
            "/d/old.yaml:1:95: unknown key `mode` in M2H");
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
    refused(F2M("mode: replace, dest_collection_name: t"),
            "/d/old.yaml:1:100: `F2M.mode` is append, skip or overwrite, not `replace`");
    refused(F2M("dest_collection_name: t"), "/d/old.yaml:1:6: `F2M.mode` is missing: F2M needs it");
    refused(F2M("mode: skip"), "/d/old.yaml:1:6: `F2M.dest_collection_name` is missing");
    refused("F2M: {data_path: a, dest_host: h}\n", "/d/old.yaml:1:6: `F2M.dest_port` is missing");
    refused("F2M: {dest_host: h, dest_port: 1}\n", "/d/old.yaml:1:6: `F2M.data_path` is missing");
    refused(F2M("mode: skip, dest_colection_name: t"),
            "/d/old.yaml:1:106: unknown key `dest_colection_name` in F2M of MilvusDM (did you mean "
            "`dest_collection_name`?)");
    refused(F2M("mode: skip, data_dir: t"), "/d/old.yaml:1:106: unknown key `data_dir` in F2M");
    refused(F2M("mode: skip, dest_collection_name: t") "H2M: {}\n",
            "/d/old.yaml:2:1: a file of MilvusDM holds one task");
    refused("F2M: [1]\n", "/d/old.yaml:1:6: F2M is a mapping of keys, not a list");
    warns(F2M("mode: skip, dest_collection_name: t, collection_parameter: {dimension: 8, index_file_size: 1024}"),
          LINES("1:154: `F2M.collection_parameter.dimension` has no meaning any more: the data says",
                "1:168: `F2M.collection_parameter.index_file_size` has no meaning any more: Milvus 2.x sizes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f2m_becomes_a_job),
        cmocka_unit_test(overwriting_a_partition_never_becomes_overwriting_a_collection),
        cmocka_unit_test(every_metric_has_its_index),
        cmocka_unit_test(h2m_takes_files_or_a_folder),
        cmocka_unit_test(m2m_moves_collections_and_partitions),
        cmocka_unit_test(m2h_writes_a_folder),
        cmocka_unit_test(mysql_parameters_become_an_address),
        cmocka_unit_test(mistakes_in_a_file_of_milvusdm_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
