"""Whole jobs from real Elasticsearch 8 and 7 and OpenSearch 2 nodes into files of lines of JSON, which Python reads, and
into a real Milvus: documents with a field of each type over 5 shards, written, updated and deleted before the job; every
value of every row is compared with what was indexed."""

import json
import os
import sys
import time

import elastic_data
import elastic_servers
import jobs
import oracle
import servers
from jobs import CONFIG, DATA
from oracle import read_lines as lines

ROWS, SHARDS = 1200, 5
KINDS = tuple(elastic_data.OWN)
FEW = ["title", "number", "double", "day", "extra", "vector"]
SIZES = {"extent_bytes": "256KiB", "page_bytes": "128KiB"}  # so that there are several of each


class Elastic(jobs.Jobs):
    """Jobs from the nodes' indices `products`, which are not changed, and others."""

    def __init__(self, nodes, milvus):
        super().__init__()
        self.nodes, self.milvus = nodes, milvus
        self.products = {kind: self.index(kind, "products", ROWS) for kind in nodes}
        for index in self.products.values():
            index.write(range(0, 300), version=1)
            index.delete(range(600, 700))
            index.write(range(650, 660), version=2)

    def index(self, kind, name, rows, **more):
        index = elastic_data.Index(self.nodes[kind].client(), kind, name, SHARDS)
        index.write(range(rows), **more)
        return index

    def make(self, kind, name, index="products", target=None, job=None, entry=None, **source):
        driver = "opensearch" if kind == "opensearch" else "elasticsearch"
        if kind == "elasticsearch-7":  # the vector is an array of floats in the mapping
            source.setdefault("types", ["vector FloatVector(%d)" % elastic_data.DIM])
        source = {"driver": driver, "endpoint": self.nodes[kind].uri, "index": index, "arrays": "array",
                  **SIZES, **source}
        target = target or {"driver": "files", "path": self.path(name + ".out"), "format": "jsonl"}
        rejects = job.pop("rejects", 1000) if job else 1000
        return self.job(name, None, target, entry, verify="full", limits={"rejects": rejects, "patience": "20s"},
                        **(job or {}), source={"path": None, **source})

    def job(self, name, path, target, collection=None, **more):
        file = super().job(name, path, target, collection, **more)
        with open(file, encoding="utf-8") as text:
            spec = json.load(text)
        del spec["source"]["path"]
        with open(file, "w", encoding="utf-8") as out:
            json.dump(spec, out, indent=1)
        return file

    def move(self, kind, name, **more):
        """Runs a job into lines of JSON; {collection: rows}."""
        self.call("run", self.make(kind, name, **more))
        return lines(self.path(name + ".out"))

    def arrived(self, kind, name, got, index, names=None):
        elastic_data.compare(kind, got, index.rows, names)
        rejected = {reject["key"] for reject in self.rejects(name) or []}
        assert rejected == index.rejected, (rejected, index.rejected)


def every_type_arrives_as_it_was_indexed(work):
    for kind, index in work.products.items():
        got = work.move(kind, "types-" + kind)
        assert list(got) == ["products"], got.keys()
        work.arrived(kind, "types-" + kind, got["products"], index)
        work.ended("types-" + kind, rows_done=len(index.rows), rows_rejected=len(index.rejected),
                   rows_total=len(index.rows) + len(index.rejected))


def every_type_that_milvus_has_arrives_in_milvus(work):
    # this Milvus has one vector field, no nullable ones, and only objects in JSON
    leave = {"elasticsearch-8": ["bytes", "bits", "sparse"], "opensearch": ["bytes"], "elasticsearch-7": []}
    for kind in set(leave).intersection(work.products):
        out = leave[kind] + ["note", "offers", "place"]
        name = "milvus_" + kind.replace("-", "_")
        index = work.products[kind]
        names = [field for field in elastic_data.fields(kind) if field not in out]
        work.call("run", work.make(kind, name, exclude=out, target={"driver": "milvus", "endpoint": work.milvus.uri},
                                   entry={"to": name, "index": {"vector": {"index_type": "FLAT", "metric_type": "L2"}}}))
        rows = elastic_data.milvus_rows(work.milvus.uri, name, list(index.rows), names)
        elastic_data.compare(kind, rows, index.rows, names)
        client = oracle.client(work.milvus.uri)
        assert oracle.wait_countable(client, name) == len(index.rows)
        client.close()


def json_that_is_no_object_arrives_as_one_in_a_milvus_that_takes_only_objects(work):
    kind, names = "opensearch", ["offers", "place", "tags", "counts", "extra", "vector"]
    index, target = work.products[kind], {"driver": "milvus", "endpoint": work.milvus.uri}
    began = time.monotonic()
    work.fails(DATA, ["cannot unmarshal", "takes only objects"], "run",
               work.make(kind, "no_objects", include=names, target=target, entry={"to": "no_objects"}, arrays="json"))
    assert time.monotonic() - began < 15  # limits.patience is 20 s
    work.call("run", work.make(kind, "objects", include=names, target=target, entry={"to": "objects"}, arrays="json",
                               json="object"))
    rows = elastic_data.milvus_rows(work.milvus.uri, "objects", list(index.rows), names)
    for row in rows:
        want = index.rows[row["_id"]]
        for name in names[:5]:
            value = json.loads(row[name])
            told = want[name] if isinstance(want[name], dict) else {"value": want[name]}
            if name == "counts" and not isinstance(value["value"], list):  # as it was written: one value, no list
                told = {"value": want[name][0]}
            assert value == told, (row["_id"], name, value, told)
    elastic_data.compare(kind, rows, index.rows, ["extra", "vector"])
    work.ended("objects", rows_done=len(index.rows))


def null_becomes_what_the_index_has_in_its_place(work):
    nulls = {"word": ("keyword", "NONE"), "whole": ("long", 2**53 + 1), "real": ("double", -0.5), "day": ("date", "1970-01-02"),
             "flag": ("boolean", True), "address": ("ip", "10.0.0.1")}
    for kind, node in work.nodes.items():
        client = node.client()
        client("PUT", "/nulled", {"mappings": {"properties": {name: {"type": kind, "null_value": null}
                                                              for name, (kind, null) in nulls.items()}}})
        client.index("nulled", [("null", dict.fromkeys(nulls)), ("none", {}), ("list", {name: [None] for name in nulls})])
        client.refresh("nulled")
        for name, (_, null) in nulls.items():  # what the server finds them by is what has to arrive
            found = client("POST", "/nulled/_search", {"query": {"term": {name: null}}})["hits"]["hits"]
            assert {hit["_id"] for hit in found} == {"null", "list"}, (name, found)
        rows = work.move(kind, "nulled-" + kind, index="nulled", types=[])["nulled"]
        got = {row["_id"]: {name: row[name] for name in nulls} for row in rows}
        full = {**{name: null for name, (_, null) in nulls.items()}, "day": 86400000}
        assert got == {"null": full, "list": full, "none": dict.fromkeys(nulls)}, got


def bits_arrive_as_a_binary_vector_in_milvus(work):
    index = work.products["elasticsearch-8"]
    work.call("run", work.make("elasticsearch-8", "bits", include=["bits", "number"],
                               target={"driver": "milvus", "endpoint": work.milvus.uri}, entry={"to": "bits"}))
    rows = elastic_data.milvus_rows(work.milvus.uri, "bits", [*index.rows, *index.rejected], ["bits", "number"])
    assert len(rows) == len(index.rows) + len(index.rejected), len(rows)  # a document without `vector` has what is asked for
    elastic_data.compare("elasticsearch-8", [row for row in rows if row["_id"] not in index.rejected], index.rows,
                         ["bits", "number"])


def other_cursors_read_the_same_documents(work):
    for kind, cursor in (("elasticsearch-8", {"cursor": "pit"}), ("opensearch", {"cursor": "scroll"}),
                         ("opensearch", {"cursor": "field", "cursor_field": "number"})):
        name, index = f"{cursor['cursor']}_of_{kind[:4]}", work.products[kind]
        work.call("run", work.make(kind, name, include=FEW, target={"driver": "milvus", "endpoint": work.milvus.uri},
                                   entry={"to": name}, **cursor))
        elastic_data.compare(kind, elastic_data.milvus_rows(work.milvus.uri, name, list(index.rows), FEW), index.rows, FEW)
        work.ended(name, rows_total=None)  # a shard may have to be read again


def documents_that_were_deleted_after_they_were_copied_are_found(work):
    kind, name = "opensearch", "deleted"
    index = work.index(kind, name, 300)
    file = work.make(kind, name, index=name, include=FEW, target={"driver": "milvus", "endpoint": work.milvus.uri},
                     entry={"to": name})
    work.call("run", file, failpoint="milvus.flush.before:1:kill", code=jobs.KILLED)
    index.delete(range(0, 300, 3))
    work.fails(DATA, "the source has 200 rows, the target 300", "resume", name)
    work.ended(name, "failed", "different")


def the_total_is_known_from_the_start_and_grows_with_what_is_written(work):
    kind, name = "opensearch", "growing"
    index = work.index(kind, name, 300)
    index.delete(range(0, 300, 50))
    all_rows = len(index.rows) + len(index.rejected)
    target = {"driver": "milvus", "endpoint": work.milvus.uri}
    file = work.make(kind, name, index=name, include=FEW, target=target, entry={"to": name})
    ended = work.call("run", file, failpoint="elastic.page.fetched:1:kill", code=jobs.KILLED)
    assert f": {all_rows} rows in" in ended.err, ended.err
    work.ended(name, "interrupted", "none", rows_done=0, rows_total=all_rows)
    index.write([*range(1, 40), *range(1000, 1020)], version=1)
    work.call("resume", name, failpoint="changes.after_commit:1:kill", code=jobs.KILLED)
    shown = work.ended(name, "interrupted", "none", rows_done=all_rows - 39, rows_total=all_rows + 59)
    assert 0 < shown["rows_done"] < shown["rows_total"], shown
    work.call("resume", name)
    work.ended(name, rows_done=all_rows + 20, rows_total=all_rows + 20)
    # what matches by the time of day may become more
    file = work.make(kind, "uncounted", index=name, include=FEW, query=json.dumps({"range": {"day": {"lt": "now+90y"}}}))
    work.call("run", file, failpoint="elastic.page.fetched:1:kill", code=jobs.KILLED)
    work.ended("uncounted", "interrupted", "none", rows_total=None)


def a_repair_removes_documents_that_were_deleted_after_they_were_copied(work):
    kind, name = "opensearch", "repaired"
    index = work.index(kind, name, 300)
    file = work.make(kind, name, index=name, include=FEW, target={"driver": "milvus", "endpoint": work.milvus.uri},
                     entry={"to": name})
    work.call("run", file)
    work.ended(name)
    index.delete(range(0, 300, 3))
    work.fails(DATA, ["the target has 300 rows, the source 200", "`mmresume resume repaired --repair` removes them"],
               "verify", name)
    ended = work.call("resume", name, "--repair")
    assert "100 rows that the source no longer has are removed" in ended.err, ended.err
    same_rows(work, kind, name, index)
    work.call("verify", name)
    # and when documents were changed and added, too: what only moved is not taken for gone
    index.delete(range(1, 300, 30))
    index.write(range(2, 300, 30), version=1)
    index.write(range(300, 320))
    work.fails(DATA, ["the target has 200 rows, the source 180", "30 rows were written to the source since then"],
               "verify", name)
    work.call("resume", name, "--repair")
    same_rows(work, kind, name, index)
    # a row of somebody else, so that one cannot tell which rows are the job's: all stay
    client = oracle.client(work.milvus.uri)
    row = client.query(name, filter="number >= 0 or number < 0", output_fields=["*"], limit=1)[0]
    client.upsert(name, [{**row, "_id": "of somebody else"}])
    index.delete((5, 205))
    work.fails(DATA, "--repair` removes them", "verify", name)
    work.fails(DATA, ["no row is removed: of the 3 rows that the source does not have at least 1 were not written by this job",
                      "no row was removed, for the reason told before"], "resume", name, "--repair")
    assert oracle.count(client, name) == len(index.rows) + 3
    # once it is gone, what is left is the job's
    client.delete(name, ids=["of somebody else"])
    work.fails(DATA, "--repair` removes them", "verify", name)
    work.call("resume", name, "--repair")
    same_rows(work, kind, name, index)
    client.close()


def same_rows(work, kind, name, index):
    work.ended(name)
    client = oracle.client(work.milvus.uri)
    assert oracle.wait_countable(client, name) == len(index.rows)
    client.close()
    elastic_data.compare(kind, elastic_data.milvus_rows(work.milvus.uri, name, list(index.rows), FEW), index.rows, FEW)


def a_repair_leaves_every_row_of_a_collection_that_is_appended_to(work):
    kind, name = "opensearch", "appended"
    index = work.index(kind, name, 150)
    target = {"driver": "milvus", "endpoint": work.milvus.uri}
    first = work.make(kind, "appended_first", index=name, include=FEW, target=target, entry={"to": name})
    work.call("run", first)
    index.delete(range(100))
    index.write(range(200, 300))
    work.call("run", work.make(kind, name, index=name, include=FEW, target=target, entry={"to": name, "if_exists": "append"}))
    index.delete(range(200, 230))
    for command in (["verify", name], ["resume", name, "--repair"]):
        work.fails(DATA, ["30 rows of this job are gone from the source", "cannot be proven here, and none is removed"], *command)
    client = oracle.client(work.milvus.uri)
    assert oracle.count(client, name) == 250
    client.close()


def an_alias_a_pattern_and_a_filter_choose_documents(work):
    kind = "opensearch"
    first, second = work.index(kind, "part-1", 300), elastic_data.Index(work.nodes[kind].client(), kind, "part-2", 2)
    second.write(range(1000, 1200))
    work.nodes[kind].client()("POST", "/_aliases", {"actions": [{"add": {"index": "part-*", "alias": "parts"}}]})
    both = {**first.rows, **second.rows}
    got = work.move(kind, "alias", index="parts")
    assert list(got) == ["parts"]
    elastic_data.compare(kind, got["parts"], both)
    got = work.move(kind, "pattern", index="part-*", with_index=True)
    assert sorted(got) == ["part-1", "part-2"]
    elastic_data.compare(kind, got["part-1"], first.rows)
    elastic_data.compare(kind, got["part-2"], second.rows)
    assert {row["_index"] for row in got["part-2"]} == {"part-2"}
    query = {"bool": {"filter": [{"range": {"i16": {"gte": 0}}}, {"term": {"flag": True}}]}}
    got = work.move(kind, "filter", index=["part-1", "part-2"], collection="both", query=json.dumps(query))
    elastic_data.compare(kind, got["both"], {key: row for key, row in both.items() if row["i16"] >= 0 and row["flag"]})


def keys_are_made_of_a_field_or_a_hash(work):
    kind = "elasticsearch-8"
    index = work.products[kind]
    got = work.move(kind, "hashed", primary_key="_id_hash", include=["vector", "number"])["products"]
    assert len(got) == len(index.rows)
    assert sorted(row["number"] for row in got) == sorted(row["number"] for row in index.rows.values())
    got = work.move(kind, "numeric", primary_key="number", include=["vector", "title", "number"])["products"]
    assert {row["number"]: row["title"] for row in got} == {row["number"]: row["title"] for row in index.rows.values()}


def a_routing_value_is_a_field_and_a_document_of_each_shard_arrives(work):
    kind = "opensearch"
    index = work.index(kind, "routed", 200, routing=lambda document: f"r{document['i8']}")
    got = work.move(kind, "routed", index="routed", with_routing=True)["routed"]
    elastic_data.compare(kind, got, index.rows)
    assert all(row["_routing"] == f"r{row['i8']}" for row in got)


def inspect_tells_server_fields_and_documents(work):
    for kind, index in work.products.items():
        uri = work.nodes[kind].uri
        said = work.call("inspect", uri + "/products").out
        lines = said.splitlines()
        assert lines[0].startswith("server: OpenSearch 2." if kind == "opensearch" else "server: Elasticsearch " + kind[-1]), said
        assert [line for line in lines if line.startswith("collection")] == ["collection: products"], said
        for line in ("index: products", f"shards: {SHARDS}, read by _seq_no", "field: _id VarChar max_length=512 primary",
                     f"documents: {len(index.rows) + len(index.rejected)}", "field: number Int64", "field: note VarChar "
                     "max_length=65535 nullable", "note: title: text becomes VarChar: its analysis stays behind"):
            assert "  " + line in lines, (line, said)
        if kind != "elasticsearch-7":
            assert f"  field: vector FloatVector dim={elastic_data.DIM}" in lines, said
        whole = work.call("inspect", uri + "/").out
        assert said.split("collection: ")[1] in whole and whole.startswith(lines[0]), whole
        work.fails(CONFIG, [uri + "/nothere", "no such index"], "inspect", uri + "/nothere")
    assert "server: Milvus" in work.call("inspect", work.milvus.uri).out


def what_is_not_there_is_told(work):
    kind = "elasticsearch-8"
    work.fails(CONFIG, ["nothere"], "run", work.make(kind, "nothere", index="nothere"))
    work.fails(CONFIG, ["nofield"], "run", work.make(kind, "nofield", include=["nofield"]))
    ended = work.call("run", work.make("opensearch", "few", job={"rejects": 0}), code=DATA)
    assert "reject" in ended.err, ended.err


def main():
    servers.private_network()
    kinds = [kind for kind in KINDS if available(kind)]
    if not {"elasticsearch-8", "opensearch"}.intersection(KINDS) <= set(kinds):
        print("0 passed, 1 skipped")
        return 0
    nodes = {kind: elastic_servers.Node(kind) for kind in kinds}
    with elastic_servers.each(nodes.values()), servers.MilvusStandalone() as milvus, Elastic(nodes, milvus) as work:
        return jobs.run_checks([every_type_arrives_as_it_was_indexed, every_type_that_milvus_has_arrives_in_milvus,
                                json_that_is_no_object_arrives_as_one_in_a_milvus_that_takes_only_objects,
                                null_becomes_what_the_index_has_in_its_place,
                                bits_arrive_as_a_binary_vector_in_milvus, other_cursors_read_the_same_documents,
                                documents_that_were_deleted_after_they_were_copied_are_found,
                                a_repair_removes_documents_that_were_deleted_after_they_were_copied,
                                a_repair_leaves_every_row_of_a_collection_that_is_appended_to,
                                the_total_is_known_from_the_start_and_grows_with_what_is_written,
                                an_alias_a_pattern_and_a_filter_choose_documents,
                                keys_are_made_of_a_field_or_a_hash,
                                a_routing_value_is_a_field_and_a_document_of_each_shard_arrives,
                                inspect_tells_server_fields_and_documents, what_is_not_there_is_told],
                               work)


def available(kind):
    try:
        elastic_servers.distribution(kind)
        return True
    except RuntimeError as error:
        print(f"{kind}: {error}", file=sys.stderr)
        return False


if __name__ == "__main__":
    sys.exit(main())
