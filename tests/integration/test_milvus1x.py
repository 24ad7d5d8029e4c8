"""Data folders of Milvus 1.x as a source, by whole jobs: into NumPy files, each row compared with what was written into
the folder, and the same folder into a real Milvus, partitions, metrics and all."""

import os
import random
import re
import shutil
import sqlite3
import sys
import threading

import numpy

import jobs
import milvus1x_files as made
import object_servers
import oracle
import servers
from jobs import CONFIG, DATA

SKIPPED = ("dropped",)


class Work(jobs.Jobs):
    """One folder with every case, and jobs from it."""

    def __init__(self, server=None):
        super().__init__()
        self.server = server
        self.roots = [self.path("data", "db", "tables"), self.path("second"), self.path("third", "tables")]
        self.made = made.every().write(self.path("data"), self.roots)
        self.before = snapshot(self.path("data"))

    def make(self, name, collections=None, target=None, more=None, **source):
        source = {"driver": "milvus1x", "path": "./data", "tables": self.roots, **source}
        target = target or {"driver": "files", "path": self.path(name + ".out"), "format": "npy"}
        more = {"verify": "full", **({"collections": collections} if collections else {}), **(more or {})}
        file = self.job(name, "./data", target, source=source, **more)
        return file

    def run(self, name, collections=None, code=jobs.DONE, words=(), **more):
        """Runs a job; words: of what is said."""
        ended = self.call("run", self.make(name, collections, **more), code=code)
        for word in words:
            assert word in ended.err, f"{word!r} is not said:\n{ended.err}"
        return ended

    def rows(self, collection, duplicates="last", vector="vector"):
        """{partition: columns} as they should arrive."""
        return {tag: jobs.rows(*columns, vector=vector)
                for tag, columns in self.made.collections[collection].rows(duplicates).items()}

    def holds(self, name, collection, expected=None):
        oracle.check_files(self.path(name + ".out"), collection, expected or self.rows(collection))


def snapshot(folder):
    """Names, sizes and times of all files below, and the folders' times: to see that nothing was changed."""
    found = {}
    for base, _, files in os.walk(folder):
        for path in [base] + [os.path.join(base, name) for name in files]:
            info = os.stat(path)
            found[path] = (info.st_size, info.st_mtime_ns, info.st_ino)
    return found


def together(parts):
    """Rows of all partitions as one."""
    return {name: numpy.concatenate([columns[name] for columns in parts.values()]) for name in ("id", "vector")}


def every_row_that_is_not_deleted_arrives_in_its_partition(work):
    ended = work.run("all", words=("is left out: it is not finished", "types, partition _default: segment"))
    for kind in ("NEW", "NEW_MERGE", "NEW_INDEX"):
        assert f"({kind}" in ended.err or f", {kind})" in ended.err, ended.err
    there = set(os.listdir(work.path("all.out")))
    assert there == set(work.made.collections) - set(SKIPPED), there
    for name in sorted(there):
        work.holds("all", name)
    work.ended("all")
    assert snapshot(work.path("data")) == work.before, "the data folder was touched"


def small_extents_give_the_same_rows(work):
    work.run("small", [{"from": name} for name in ("holes", "split", "moved", "narrow")], extent_bytes="4KiB",
             more={"limits": {"dumpers": 3}})
    for name in ("holes", "split", "moved", "narrow"):
        work.holds("small", name)
    assert work.status("small")["tasks"]["total"] > 100, work.status("small")


def of_rows_with_one_id_the_newest_segment_has_the_last_word_unless_the_job_says_otherwise(work):
    ended = work.run("last", [{"from": "moved"}])
    assert "duplicates: last" in ended.err, ended.err
    work.holds("last", "moved")
    work.run("keep", [{"from": "moved"}], more={"duplicates": "keep"})
    work.holds("keep", "moved", work.rows("moved", "keep"))
    work.run("refuse", [{"from": "moved"}], code=DATA, more={"duplicates": "refuse"}, words=("primary key",))


def partitions_go_into_one_or_by_a_map(work):
    work.run("one", [{"from": "split", "partition": "_default"}])
    work.holds("one", "split", together(work.rows("split")))
    work.run("map", [{"from": "split", "partitions": {"red": "rouge", "_default": "rouge"}}])
    parts = work.rows("split")
    work.holds("map", "split", {"rouge": together({tag: parts[tag] for tag in ("_default", "red")}), "green": parts["green"]})


def only_chosen_partitions_move(work):
    parts = work.rows("split")
    work.run("red", [{"from": "split"}], partitions="red")
    work.holds("red", "split", {"red": parts["red"]})
    work.run("two", [{"from": "split"}], partitions=["green", "_default"])
    work.holds("two", "split", {tag: parts[tag] for tag in ("_default", "green")})
    work.run("blue", [{"from": "split"}], partitions=["blue"], code=CONFIG, words=("no collection has the partition `blue`",))
    work.run("none", [{"from": "plain"}], partitions=["red"], code=CONFIG, words=("`plain`", "none of the partitions"))


def collections_are_merged_into_a_new_one(work):
    rules = [{"from": name, "to": "both"} for name in ("hollow", "plain", "early")]
    work.run("merged", rules, words=("duplicates: last",), extent_bytes="2KiB")
    newest = {}
    for name in ("hollow", "plain", "early"):
        for key, row in zip(*work.made.collections[name].rows()["_default"]):
            newest[int(key)] = row
    expected = jobs.rows(list(newest), numpy.stack(list(newest.values())))
    work.holds("merged", "both", expected)
    file = work.make("resumed", rules, extent_bytes="2KiB")
    work.call("run", file, code=jobs.KILLED, failpoint="dumper.batch:9:kill")
    work.call("resume", "resumed")
    work.holds("resumed", "both", expected)
    plan = work.call("plan", work.make("merged", rules)).out
    assert "hollow + plain + early -> both" in plan, plan
    again = [{"from": "spread", "to": "x"}, {"from": "split", "to": "x"}]
    work.run("unlike", again, code=CONFIG, words=("cannot go to `x` too", "`vector`"))
    work.run("unequal", [{"from": "plain", "to": "x"}, {"from": "early", "to": "x", "if_exists": "append"}], code=CONFIG,
             words=("`if_exists` of `early`",))
    parts = [{"from": "spread", "to": "parts", "partitions": {"half": "of_spread"}}, {"from": "spread2", "to": "parts"}]
    work.run("unknown", parts, code=CONFIG, words=("no collection `spread2`",))


def fields_are_called_as_the_job_says(work):
    work.run("named", [{"from": "plain"}], id_field="key", vector_field="data")
    expected = work.rows("plain", vector="data")["_default"]
    work.holds("named", "plain", {"key": expected["id"], "data": expected["data"]})


def metadata_and_files_may_lie_apart(work):
    os.makedirs(work.path("apart"))
    for ending in ("", "-wal"):
        shutil.copyfile(work.path("data", "db", "meta.sqlite" + ending), work.path("apart", "meta.sqlite" + ending))
    work.run("apart", [{"from": "spread"}], path=None, meta="./apart/meta.sqlite")
    work.holds("apart", "spread")
    work.run("db", [{"from": "plain"}], path="./data/db", tables=[])
    work.holds("db", "plain")
    work.run("missing", [{"from": "spread"}], code=CONFIG, tables=[], words=("has no files in", "source.tables"))
    work.run("nothing", path="./nowhere", code=CONFIG, words=("no metadata of Milvus 1.x",))


def exported_metadata_gives_the_same_rows(work):
    work.call("export", "-s", work.path("data", "db", "meta.sqlite"), "-o", work.path("exported"))
    work.run("exported", [{"from": name} for name in ("split", "moved", "hamming")], meta="./exported/meta.json")
    for name in ("split", "moved", "hamming"):
        work.holds("exported", name)


def a_live_writer_is_not_disturbed_and_its_commits_are_seen(work):
    shutil.copytree(work.path("data"), work.path("live"))
    writer = sqlite3.connect(work.path("live", "db", "meta.sqlite"), isolation_level=None)
    writer.execute("PRAGMA wal_autocheckpoint=0")
    writer.execute("UPDATE Tables SET state = 1 WHERE table_id = 'plain'")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE Tables SET state = 1")  # not committed: not seen
    out = work.call("inspect", work.path("live")).out
    writer.execute("ROLLBACK")
    assert "collection: split" in out and "collection: plain" not in out, out
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.execute("PRAGMA journal_mode=DELETE")
    assert "collection: plain" not in work.call("inspect", work.path("live")).out
    writer.close()


def what_is_read_beside_a_busy_writer_is_one_state(work):
    """Each transaction of the writer takes from one collection's dimension what it gives to another's; the WAL begins anew all
    the time."""
    folder = made.Folder()
    for number in range(300):
        folder.add(f"c{number}", 8000, params='{"padding": "%s"}' % ("x" * 400))
    folder.write(work.path("busy"))
    done = threading.Event()

    def write():
        writer = sqlite3.connect(work.path("busy", "db", "meta.sqlite"), isolation_level=None)
        writer.execute("PRAGMA wal_autocheckpoint=20")
        writer.execute("PRAGMA synchronous=OFF")
        choose = random.Random(5)
        while not done.wait(0.001):
            less, more = choose.sample(range(300), 2)
            writer.execute("BEGIN")
            writer.execute("UPDATE Tables SET dimension = dimension - 1 WHERE table_id = ?", (f"c{less}",))
            writer.execute("UPDATE Tables SET dimension = dimension + 1 WHERE table_id = ?", (f"c{more}",))
            writer.execute("COMMIT")
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    seen = set()
    try:
        for _ in range(20):
            # in the moment between database and WAL both become others
            out = work.call("inspect", work.path("busy"), failpoint="milvus1x.meta.between:1:sleep=60").out
            found = [int(dimension) for dimension in re.findall(r"dimension (\d+)", out)]
            assert len(found) == 300 and sum(found) == 300 * 8000, (len(found), sum(found))
            seen.add(tuple(found))
    finally:
        done.set()
        thread.join()
    assert len(seen) > 5, seen


def a_segment_that_comes_or_changes_meanwhile_is_noticed(work):
    folder = made.Folder()
    folder.add("c", 4).add(made.Segment(range(50), made.floats(50, 4, 1)))
    folder.write(work.path("moving"))
    file = work.make("moving", path="./moving", tables=[])
    work.call("run", file, code=jobs.KILLED, failpoint="plan.after_commit:1:kill")
    shutil.rmtree(work.path("moving"))
    folder.collections["c"].add(made.Segment(range(50, 60), made.floats(10, 4, 2)))
    folder.write(work.path("moving"))
    work.fails(CONFIG, "changed since the plan", "resume", "moving")


def damage_is_told_with_its_file_and_leaves_other_collections_alone(work):
    cases = {"cut": lambda path: os.truncate(path + ".rv", 100), "grown": lambda path: open(path + ".uid", "ab").write(b"x" * 8),
             "word": lambda path: patch(path + ".rv", 0, b"\1"), "gone": lambda path: os.remove(path + ".uid")}
    for name, damage in cases.items():
        folder = made.Folder()
        folder.add("bad", 8).add(made.Segment(range(50), made.floats(50, 8, 1)))
        folder.add("good", 8).add(made.Segment(range(50), made.floats(50, 8, 2)))
        folder.write(work.path(name))
        segment = str(made.FIRST + 1000)
        path = work.path(name, "db", "tables", "bad", segment, segment)
        damage(path)
        work.run(name, [{"from": "bad"}], path="./" + name, tables=[], code=CONFIG if name == "gone" else DATA,
                 words=("collection `bad`", segment))
        work.run(name + "-good", [{"from": "good"}], path="./" + name, tables=[])
        assert "cannot be read" in work.call("inspect", work.path(name)).out


def patch(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def a_folder_of_0_11_is_refused_by_its_name(work):
    made.write_0_11(work.path("eleven"))
    work.run("eleven", path="./eleven", tables=[], code=DATA, words=("0.11", "1.x are read"))


def columns_of_other_releases_may_be_missing_and_those_that_count_may_not(work):
    shutil.copytree(work.path("data"), work.path("older"))
    database = sqlite3.connect(work.path("older", "db", "meta.sqlite"), isolation_level=None)
    for table, column in (("Tables", "index_params"), ("Tables", "flush_lsn"), ("TableFiles", "updated_time"), ("TableFiles", "flush_lsn")):
        database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    work.run("older", [{"from": "split"}], path="./older")
    work.holds("older", "split")
    database.execute("UPDATE Tables SET dimension = 'eight' WHERE table_id = 'plain'")
    work.run("odd", path="./older", code=DATA, words=("column dimension is no whole number",))
    database.execute("UPDATE Tables SET dimension = 8 WHERE table_id = 'plain'")
    database.execute("ALTER TABLE TableFiles DROP COLUMN segment_id")
    work.run("oldest", path="./older", code=DATA, words=("TableFiles has no column segment_id",))
    database.close()


def inspect_tells_what_is_there(work):
    out = work.call("inspect", work.path("data")).out
    for line in ("format: milvus1x", "collection: split", "float, dimension 16, metric IP", "partition: red, 2 segments",
                 "binary, dimension 64, metric HAMMING", "not finished: segment"):
        assert line in out, f"{line}:\n{out}"
    plain = out[out.index("collection: plain"):]
    assert "rows: 1200" in plain[: plain.index("collection:", 5)], out


def objects_of_a_store_are_read_as_files_are(work):
    with object_servers.VersityGw() as store:
        client, url = store.client(), "s3://old"
        client.create_bucket(Bucket="old")
        for base, root in (("data", work.path("data")), ("second", work.roots[1]), ("third", work.roots[2])):
            for folder, _, files in os.walk(root):
                for name in files:
                    path = os.path.join(folder, name)
                    client.upload_file(path, "old", f"{base}/{os.path.relpath(path, root)}")
        names = ("split", "spread", "moved", "narrow", "hamming")
        work.run("objects", [{"from": name} for name in names], path=f"{url}/data", extent_bytes="16KiB",
                 tables=[f"{url}/data/db/tables", f"{url}/second", f"{url}/third"], **store.options())
        for name in names:
            work.holds("objects", name)


def a_whole_server_moves_into_milvus_2(work):
    names = ("split", "moved", "hamming", "tanimoto", "inside", "empty")
    work.run("served", [{"from": name, "index": "source"} for name in names],
             target={"driver": "milvus", "endpoint": work.server.uri}, more={"limits": {"patience": "120s"}})
    work.ended("served")
    client = oracle.client(work.server.uri)
    metrics = {"split": "IP", "moved": "L2", "hamming": "HAMMING", "tanimoto": "JACCARD", "inside": "SUBSTRUCTURE"}
    for name in names:
        parts = work.rows(name)
        assert set(client.list_partitions(name)) == set(parts), (name, client.list_partitions(name))
        oracle.check_milvus(work.server.uri, name, together(parts))
        for tag, columns in parts.items():
            oracle.check_milvus(work.server.uri, name, columns, partitions=[tag])
        index = client.describe_index(name, "vector")
        assert index["metric_type"] == metrics.get(name, index["metric_type"]), (name, index)
    assert client.describe_index("split", "vector")["index_type"] == "HNSW"
    client.close()


CHECKS = [
    every_row_that_is_not_deleted_arrives_in_its_partition,
    small_extents_give_the_same_rows,
    of_rows_with_one_id_the_newest_segment_has_the_last_word_unless_the_job_says_otherwise,
    partitions_go_into_one_or_by_a_map,
    only_chosen_partitions_move,
    collections_are_merged_into_a_new_one,
    fields_are_called_as_the_job_says,
    metadata_and_files_may_lie_apart,
    exported_metadata_gives_the_same_rows,
    a_live_writer_is_not_disturbed_and_its_commits_are_seen,
    what_is_read_beside_a_busy_writer_is_one_state,
    a_segment_that_comes_or_changes_meanwhile_is_noticed,
    damage_is_told_with_its_file_and_leaves_other_collections_alone,
    a_folder_of_0_11_is_refused_by_its_name,
    columns_of_other_releases_may_be_missing_and_those_that_count_may_not,
    inspect_tells_what_is_there,
    objects_of_a_store_are_read_as_files_are,
    a_whole_server_moves_into_milvus_2,
]


def main():
    words = sys.argv[1:]
    wanted = not words or any(word in jobs.say(a_whole_server_moves_into_milvus_2.__name__) for word in words)
    if not wanted:
        with Work() as work:
            return jobs.run_checks(CHECKS, work)
    servers.private_network()
    with servers.MilvusStandalone() as server, Work(server) as work:
        return jobs.run_checks(CHECKS, work)


if __name__ == "__main__":
    sys.exit(main())
