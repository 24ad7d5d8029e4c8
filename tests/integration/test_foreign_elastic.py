"""The example of milvus-migration for Elasticsearch, as its documentation gives it: a real index with exactly the
fields that the file names, into Milvus Lite; with a key of its own, and by _id."""

import os
import sys

import elastic_servers
import foreign_files
import jobs
import numpy
import oracle
import servers
from jobs import CONFIG

ROWS, DIM = 900, 16


class Work(jobs.Jobs):
    def __init__(self, node, lite):
        super().__init__()
        self.node, self.lite = node, lite
        self.vectors = jobs.floats(ROWS, DIM)
        client = node.client()
        client("PUT", "/test_es_index", {"settings": {"number_of_shards": 2, "number_of_replicas": 0}, "mappings": {
            "properties": {"id": {"type": "long"}, "data": {"type": "dense_vector", "dims": DIM, "index": False},
                           "other_field": {"type": "keyword"}, "price": {"type": "half_float"},
                           "unwanted": {"type": "date"}}}})
        client.index("test_es_index", [(f"doc-{key}", {"id": key * 3, "data": row.tolist(), "price": key / 4,
                                                       "other_field": f"text {key} é", "unwanted": "2024-01-01"})
                                       for key, row in enumerate(self.vectors)])
        client.refresh("test_es_index")

    def write(self, name, text):
        file = self.path(name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        return file

    def text(self, fields, name, more=""):
        return foreign_files.elasticsearch(f"http://localhost:{self.node.port}", "test_es_index", fields, name,
                                           f"localhost:{self.lite.port}", more)

    def texts(self):
        return numpy.array([f"text {key} é" for key in range(ROWS)], dtype=object)


KEYED = f"""    - name: id
      type: long
      pk: true
    - name: data
      type: dense_vector
      dims: {DIM}
    - name: other_field
      type: keyword
      maxLen: 60
    - name: price
      type: half_float
"""


def an_index_arrives_with_the_fields_of_the_file(work):
    file = work.write("es/migration.yaml", work.text(KEYED, "rename_test_name"))
    said = work.call("start", f"--config={file}").err
    work.ended("migration-rename_test_name", rows_done=ROWS)
    oracle.check_milvus(work.lite.uri, "rename_test_name", {
        "id": numpy.arange(ROWS, dtype="i8") * 3, "data": work.vectors, "other_field": work.texts(),
        "price": numpy.arange(ROWS, dtype="f4") / numpy.float32(4)})
    made = oracle.client(work.lite.uri).describe_collection("rename_test_name")
    fields = {field["name"]: field for field in made["fields"]}
    assert set(fields) == {"id", "data", "other_field", "price"}, fields
    assert fields["other_field"]["params"]["max_length"] in (60, "60"), fields
    warnings = [line for line in said.splitlines() if "warning" in line]
    for key, count in (("closeDynamicField", 1), ("consistencyLevel: Customized", 1), ("checkBucket", 0)):
        assert sum(key in line for line in warnings) == count, (key, said)


def without_a_key_the_id_of_a_document_is_it(work):
    fields = f"    - name: data\n      type: dense_vector\n      dims: {DIM}\n"
    work.call("run", work.write("by_id.yaml", work.text(fields, "by_id")))
    keys = numpy.array([f"doc-{key}" for key in range(ROWS)])
    got = oracle.fetch(work.lite.uri, "by_id", keys, primary="_id")
    found = {key: row for key, row in zip(got["_id"], got["data"])}
    assert len(found) == len(got["_id"]) == ROWS
    for key, row in zip(keys, work.vectors):
        assert numpy.array_equal(found[key], row), key


def another_index_than_that_of_the_file_is_refused(work):
    file = work.write("table.yaml", work.text(KEYED, "table"))
    work.fails(CONFIG, ["--set only.0", "`elsewhere`"], "start", "-c", file, "-t", "elsewhere")
    work.call("plan", "-c", file, "-t", "test_es_index")


CHECKS = [
    an_index_arrives_with_the_fields_of_the_file,
    without_a_key_the_id_of_a_document_is_it,
    another_index_than_that_of_the_file_is_refused,
]


def main():
    servers.private_network()
    with elastic_servers.started(elastic_servers.Node()) as (node,), servers.MilvusLite() as lite:
        with Work(node, lite) as work:
            return jobs.run_checks(CHECKS, work)


if __name__ == "__main__":
    sys.exit(main())
