/* What the tests of other tools' job files share: a table of drivers with the options that translations use, pieces of
 * such files, and what is said of a file: what it becomes, what it is refused with, what it is warned of. */
#ifndef MM_TESTS_FOREIGN_FIXTURE_H
#define MM_TESTS_FOREIGN_FIXTURE_H

#include "config/job.h"

extern const mm_job_tables mm_foreign_tables;

/* --- pieces of files ---------------------------------------------------------------------------------------------- */

#define FAISS                                                                                                          \
    "dumper: {worker: {workMode: faiss}}\n"                                                                            \
    "source: {mode: local, local: {faissFile: /v/a.index}}\n"
#define TO "target: {milvus2x: {endpoint: 'h:19530'}"
#define CREATE ", create: {collection: {name: test, metricType: L2}}}\n"
#define MILVUS1X(meta) "dumper: {worker: {workMode: milvus1x}}\nmeta: {" meta "}\n"
#define TABLES "source: {mode: local, local: {tablesDir: /db/tables/}}\n"
#define ES(meta, es)                                                                                                   \
    "dumper: {worker: {workMode: elasticsearch}}\n"                                                                    \
    "meta: {mode: config, index: ix, " meta "}\nsource: {es: {" es "}}\n" TO "}\n"
#define URLS "urls: ['http://e:9200']"
#define ID "fields: [{name: id, type: long, pk: true}, {name: data, type: dense_vector, dims: 8}]"
#define DEST "dest_host: 127.0.0.1, dest_port: 19530, "
#define F2M(more) "F2M: {milvus_version: 0.10.5, data_path: /v/a.index, " DEST more "}\n"
#define FROM(task, more) task ": {milvus_version: 1.1, source_milvus_path: /m, " more "}\n"

/* --- what is said of a file, as /d/old.yaml ----------------------------------------------------------------------- */

#define LINES(...) (const char *const[]){__VA_ARGS__, NULL}

mm_job *parse_as(const char *text, const char *path, const char *overrides);
mm_job *parse(const char *text);
/* The error begins so. */
void refused_with(const char *text, const char *overrides, const char *expected);
void refused(const char *text, const char *expected);
/* `config --show` of the job has all of the lines, and none of `without` (may be NULL). */
void becomes(const char *text, const char *const *lines, const char *const *without);
/* Exactly these warnings, by their beginnings. */
void warns(const char *text, const char *const *lines);

#endif
