"""Whole jobs from FAISS files into one real Milvus that wants a password: kinds of files, mapping, databases,
partitions, what exists already, index and load, verification and repair, duplicates, credentials.

Every row that arrives is compared with what was written into the source; copies are counted."""

import contextlib
import os
import shutil
import sqlite3
import sys
import time

import faiss
import faiss_files
import numpy

import jobs
import oracle
import servers
from jobs import CONFIG, DATA, INTERRUPTED, KILLED

ROWS, DIM = 1200, 16
PASSWORD = "Mi1vus-but-secret"
FLAT = {"vector": {"index_type": "FLAT", "metric_type": "L2"}}


class Milvus(jobs.Jobs):
    """Jobs into a server. The password comes by the environment."""

    def __init__(self, server):
        self.token = f"root:{PASSWORD}"
        super().__init__({"MM_TEST_TOKEN": self.token})
        self.server, self.uri = server, server.uri
        self.vectors = jobs.floats(ROWS, DIM)
        self.expected = jobs.rows(range(ROWS), self.vectors)
        jobs.write_flat(self.path("products.index"), self.vectors)
        self.client = self.connect()

    def connect(self, database=""):
        from pymilvus import MilvusClient

        return MilvusClient(self.uri, token=self.token, db_name=database)

    def make(self, name, path="products.index", target=None, limits=None, job=None, **entry):
        """A job into the collection of its own name; job: more keys of the job, entry: of the collection."""
        more = {"verify": "full", "limits": {"patience": "120s", **(limits or {})}, **(job or {})}
        target = {"driver": "milvus", "endpoint": self.uri, "token": "${MM_TEST_TOKEN}", **(target or {})}
        return self.job(name, path, target, {"to": name, "index": FLAT, **entry}, **more)

    def holds(self, collection, expected=None, **more):
        oracle.check_milvus(self.uri, collection, expected or self.expected, token=self.token, **more)

    def count(self, collection, **more):
        return oracle.count(self.client, collection, **more)

    def indexes(self, collection):
        """{field: (type, metric)}"""
        found = [self.client.describe_index(collection, name) for name in self.client.list_indexes(collection)]
        return {one["field_name"]: (one["index_type"], one.get("metric_type")) for one in found}

    def loaded(self, collection):
        return self.client.get_load_state(collection)["state"].name == "Loaded"

    def create(self, collection, ids, vectors, partition=""):
        """A collection of somebody else, indexed and loaded."""
        self.client.create_collection(collection, dimension=vectors.shape[1], primary_field_name="id",
                                      vector_field_name="vector", auto_id=False, metric_type="L2",
                                      enable_dynamic_field=False)
        if partition:
            self.client.create_partition(collection, partition)
        self.insert(collection, ids, vectors, partition)

    def insert(self, collection, ids, vectors, partition=""):
        self.client.insert(collection, [{"id": int(key), "vector": row.tolist()} for key, row in zip(ids, vectors)],
                           partition_name=partition or None)

    def names(self):
        return set(self.client.list_collections())

    def clean(self, collection):
        """No alias and no helper collection of a job is left."""
        aliases = self.client.describe_collection(collection).get("aliases")
        assert not aliases, aliases
        left = [name for name in self.names() if name.startswith(collection + "_mmr")]
        assert not left, left


# kinds of files, mapping


def every_kind_of_faiss_file_arrives_bit_for_bit(work):
    ids = numpy.random.default_rng(3).permutation(10**6)[:ROWS].astype("i8") - 500000
    ivf = faiss.index_factory(DIM, "IVF8,Flat")
    ivf.train(work.vectors)
    ivf.add_with_ids(work.vectors, ids)
    mapped = faiss.index_factory(DIM, "IDMap2,Flat")
    mapped.add_with_ids(work.vectors, ids)
    hnsw = faiss.index_factory(DIM, "HNSW8,Flat")
    hnsw.add(work.vectors)
    for name, index in (("ivf", ivf), ("mapped", mapped), ("hnsw", hnsw)):
        faiss.write_index(index, work.path(name + ".index"))
        work.call("run", work.make(name, name + ".index"))
        work.ended(name, rows_done=ROWS, rows_rejected=0)
        stored_ids, stored = faiss_files.stored(faiss.read_index(work.path(name + ".index")))
        work.holds(name, jobs.rows(stored_ids, stored))
        work.clean(name)


def a_binary_index_becomes_a_binary_vector(work):
    codes = numpy.random.default_rng(4).integers(0, 256, (ROWS, 8), dtype="u1")
    index = faiss.IndexBinaryFlat(64)
    index.add(codes)
    faiss.write_index_binary(index, work.path("binary.index"))
    work.call("run", work.make("binary", "binary.index", index="auto"))
    work.ended("binary", rows_done=ROWS)
    work.holds("binary", jobs.rows(range(ROWS), codes))
    assert work.indexes("binary")["vector"][1] == "HAMMING", work.indexes("binary")


def fields_and_collection_are_renamed(work):
    work.call("run", work.make("renamed", index="none", load=False, fields=[
        {"from": "vector", "to": "embedding"}, {"from": "id", "to": "product", "primary": True}],
        job={"verify": "count"}, **{"from": "products"}))
    fields = work.client.describe_collection("renamed")["fields"]
    assert [field["name"] for field in fields] == ["embedding", "product"], fields
    make_searchable(work, "renamed", "embedding")
    work.holds("renamed", jobs.rows(range(ROWS), work.vectors, "product", "embedding"), primary="product")


def make_searchable(work, collection, field="vector"):
    parameters = work.client.prepare_index_params()
    parameters.add_index(field, index_type="FLAT", metric_type="L2")
    work.client.create_index(collection, parameters)
    work.client.load_collection(collection)


def an_int64_key_becomes_text(work):
    ids = numpy.arange(ROWS, dtype="i8") * 10**12 - 7 * 10**13
    jobs.write_flat(work.path("text.index"), work.vectors, ids)
    work.call("run", work.make("text", "text.index", fields=[
        {"from": "id", "to": "id", "type": "VarChar", "primary": True, "max_length": 40}, {"from": "vector"}]))
    work.ended("text", rows_done=ROWS)
    expected = {"id": numpy.array([str(key) for key in ids], dtype=object), "vector": work.vectors}
    order = numpy.argsort(expected["id"])
    raw = oracle.fetch(work.uri, "text", expected["id"].astype(str), token=work.token)
    assert work.count("text") == ROWS
    found = numpy.argsort(raw["id"])
    assert list(raw["id"][found]) == list(expected["id"][order])
    assert numpy.array_equal(oracle.bits(raw["vector"][found]), oracle.bits(work.vectors[order]))


# where rows go


def a_missing_database_is_refused_and_made_when_asked(work):
    file = work.make("database", target={"database": "shop"})
    work.fails(CONFIG, ["shop", "create_database"], "run", file)
    work.call("reset", "database", "--yes")
    work.call("run", work.make("database", target={"database": "shop", "create_database": True}))
    work.ended("database", rows_done=ROWS)
    assert "shop" in work.client.list_databases() and "database" not in work.names()
    client = work.connect("shop")
    assert oracle.count(client, "database") == ROWS
    client.close()
    got = oracle.fetch(work.uri, "database", range(ROWS), token=work.token, database="shop")
    assert numpy.array_equal(got["vector"][numpy.argsort(got["id"])], work.vectors)


def everything_goes_into_the_partition_that_is_named(work):
    work.call("run", work.make("parted", partition="autumn"))
    work.ended("parted", rows_done=ROWS)
    work.holds("parted", partitions=["autumn"])
    work.holds("parted")
    assert work.count("parted", partitions=["_default"]) == 0


def an_existing_collection_is_refused_and_untouched(work):
    old = jobs.floats(50, DIM, seed=5)
    work.create("exists", range(50), old)
    ended = work.fails(CONFIG, ["exists", "if_exists"], "run", work.make("exists"))
    assert "append" in ended.err and "overwrite" in ended.err, ended.err
    work.holds("exists", jobs.rows(range(50), old))
    work.clean("exists")
    skip = work.make("exists", if_exists="skip")
    work.call("reset", "exists", "--yes")
    work.call("run", skip)
    work.ended("exists", rows_done=0)
    work.holds("exists", jobs.rows(range(50), old))


def appending_replaces_the_same_keys_and_leaves_the_others(work):
    old = jobs.floats(200, DIM, seed=6)
    keys = numpy.concatenate([numpy.arange(100), numpy.arange(5000, 5100)])
    work.create("appended", keys, old)
    work.call("run", work.make("appended", if_exists="append"))
    work.ended("appended", rows_done=ROWS)
    work.holds("appended", jobs.rows(numpy.concatenate([numpy.arange(ROWS), keys[100:]]),
                                     numpy.concatenate([work.vectors, old[100:]])))
    work.clean("appended")
    assert work.loaded("appended")


def a_wrong_schema_is_refused_field_by_field(work):
    old = jobs.floats(10, 8, seed=7)
    work.create("narrow", range(10), old)
    work.fails(CONFIG, ["narrow", "vector", "16", "8"], "run", work.make("narrow", if_exists="append"))
    work.holds("narrow", jobs.rows(range(10), old))


def a_key_in_another_partition_is_refused_or_deleted_as_asked(work):
    old = jobs.floats(60, DIM, seed=8)
    work.create("elsewhere", range(ROWS - 30, ROWS + 30), old, partition="summer")
    ended = work.fails(DATA, ["elsewhere", "30", "target.elsewhere"], "run", work.make("elsewhere", if_exists="append"))
    assert work.ended("elsewhere", "failed", "different")["verdict"]["mismatches"] == 30, ended.err
    assert work.count("elsewhere") == ROWS + 60
    work.call("resume", "elsewhere", "--set", "target.elsewhere=delete")
    work.ended("elsewhere")
    work.holds("elsewhere", partitions=["_default"])
    work.holds("elsewhere", jobs.rows(range(ROWS, ROWS + 30), old[30:]), partitions=["summer"])


# overwrite


def the_old_rows_stay_until_the_new_ones_are_proven(work):
    old = jobs.floats(80, DIM, seed=9)
    work.create("replaced", range(80), old)
    work.client.create_alias("replaced", "replaced_alias")
    process = work.start("run", work.make("replaced", if_exists="overwrite"), failpoint="verify.before_count:1:sleep=4000")
    work.wait_rows(process, "replaced", ROWS)
    work.holds("replaced", jobs.rows(range(80), old))
    work.end(process, jobs.DONE)
    work.holds("replaced")
    assert work.client.describe_collection("replaced_alias")["collection_name"] == "replaced"
    left = [name for name in work.names() if name.startswith("replaced_mmr")]
    assert not left, left


def a_swap_that_is_killed_anywhere_leaves_the_old_or_the_new_whole(work):
    old = jobs.floats(40, DIM, seed=10)
    for number, point in enumerate(("before", "away", "renamed", "alias", "dropping", "dropped")):
        name = f"swap_{point}"
        work.create(name, range(40), old)
        work.client.create_alias(name, f"alias_of_{name}")
        file = work.make(name, if_exists="overwrite", job={"verify": "count"})
        work.end(work.start("run", file, failpoint=f"milvus.swap.{point}:1:kill"), KILLED)
        whole_under = [one for one in work.names() if one.startswith(name)]
        before = jobs.rows(range(40), old)
        if point == "before":
            work.holds(name, before)
        elif point == "away":  # two renames are two requests: between them the old one has another name
            moved = [one for one in whole_under if "_mmr_old_" in one]
            assert len(moved) == 1 and name not in whole_under, whole_under
            work.holds(moved[0], before)
            work.holds(f"alias_of_{name}", before)
        else:
            work.holds(name)
        work.call("resume", name)
        work.ended(name)
        work.holds(name)
        assert work.client.describe_collection(f"alias_of_{name}")["collection_name"] == name
        assert [one for one in work.names() if one.startswith(name)] == [name], work.names()
        work.client.drop_alias(f"alias_of_{name}")
        work.client.drop_collection(name)


# index and load


def index_and_load_are_as_asked(work):
    hnsw = faiss.IndexHNSWFlat(DIM, 8, faiss.METRIC_INNER_PRODUCT)
    hnsw.add(work.vectors)
    faiss.write_index(hnsw, work.path("hnsw_ip.index"))
    explicit = {"vector": {"index_type": "IVF_FLAT", "metric_type": "COSINE", "params": {"nlist": 16}}}
    for name, path, index, load, verify, expected in (
            ("auto", "hnsw_ip.index", "auto", True, "count", "IP"),
            ("source", "hnsw_ip.index", "source", False, "none", ("HNSW", "IP")),
            ("explicit", "products.index", explicit, False, "sample", ("IVF_FLAT", "COSINE")),
            ("bare", "products.index", "none", False, "full", None)):
        name = "index_" + name
        work.call("run", work.make(name, path, index=index, load=load, job={"verify": verify}))
        found = work.indexes(name)
        if expected is None:
            assert found == {}, found
        else:
            assert found["vector"] == expected or found["vector"][1] == expected, found
        assert work.loaded(name) == load, name
        work.ended(name, verdict="unverified" if verify == "none" else "equal", rows_done=ROWS)
        if found == {}:
            make_searchable(work, name)
        work.client.load_collection(name)
        work.holds(name)


# verification


def what_was_neither_verified_nor_indexed_can_be_verified_later(work):
    work.call("run", work.make("later", index="none", load=False, job={"verify": "none"}))
    work.ended("later", verdict="unverified")
    work.call("verify", "later", "--full")
    work.ended("later", rows_done=ROWS)
    assert work.indexes("later") == {} and not work.loaded("later")


def repaired(work, name, words, *full):
    """The verification is red and names what is wrong; the repair makes it equal."""
    work.fails(DATA, words, "verify", name, *full)
    status = work.ended(name, "failed", "different")
    assert status["verdict"]["mismatches"] >= 1 and status["error"], status
    work.fails(jobs.UNFINISHED, "differ", "run", work.path(name + ".yaml"))
    work.call("resume", name, "--repair")
    work.ended(name, rows_done=ROWS)
    work.holds(name)
    work.clean(name)


def rows_changed_lost_and_doubled_behind_its_back_are_named_and_repaired(work):
    name = "watched"
    work.call("run", work.make(name, job={"verify": {"sample": 100}, "source": {"extent_rows": 500}}))
    verdict = work.ended(name)["verdict"]
    assert (verdict["source_rows"], verdict["target_rows"], verdict["mismatches"]) == (ROWS, ROWS, 0), verdict
    work.client.upsert(name, [{"id": 700, "vector": [0.25] * DIM}])
    work.client.delete(name, ids=[3, 1100])
    work.insert(name, [41, 42, 43], work.vectors[41:44])
    assert work.count(name) == ROWS + 1
    repaired(work, name, ["primary key 700 differs in field vector", "primary key 3 is missing",
                          "primary key 1100 is missing", "primary key 41 stands 2 times",
                          "primary key 43 stands 2 times"], "--full")
    work.insert(name, [44], work.vectors[44:45])
    repaired(work, name, "primary key 44 stands 2 times")
    work.insert(name, [10**9], work.vectors[:1])
    for command in (["verify", name, "--full"], ["resume", name, "--repair"]):
        work.fails(DATA, [str(ROWS + 1), "rows of keys that the source never had are others', and stay"], *command)
    assert work.count(name) == ROWS + 1
    work.client.delete(name, ids=[10**9])
    work.call("verify", name, "--full")
    work.ended(name)


def a_count_that_differs_names_the_keys(work):
    name = "counted"
    work.call("run", work.make(name, job={"verify": "count"}))
    work.insert(name, [7], work.vectors[7:8])
    repaired(work, name, "primary key 7 stands 2 times")
    work.client.delete(name, ids=[8])
    repaired(work, name, "primary key 8 stands 0 times")


def a_doubled_row_is_found_beside_the_rows_of_others(work):
    name = "among"
    old = jobs.floats(100, DIM, seed=11)
    work.create(name, range(5000, 5100), old)
    work.call("run", work.make(name, if_exists="append"))
    work.insert(name, [9], work.vectors[9:10])
    work.fails(DATA, "primary key 9 stands 2 times", "verify", name)
    work.call("resume", name, "--repair")
    work.ended(name, rows_done=ROWS)
    work.holds(name, jobs.rows(numpy.concatenate([numpy.arange(ROWS), numpy.arange(5000, 5100)]),
                               numpy.concatenate([work.vectors, old])))


# rejects and duplicates


def rows_that_milvus_cannot_hold_are_kept_in_a_file(work):
    vectors = work.vectors.copy()
    vectors[7, 3], vectors[400, 0], vectors[401, 15] = numpy.nan, numpy.inf, -numpy.inf
    ids = numpy.arange(ROWS, dtype="i8") + 10
    jobs.write_flat(work.path("holes.index"), vectors, ids)
    file = work.make("holes", "holes.index", limits={"rejects": 2})
    work.fails(DATA, ["limits.rejects"], "run", file)
    work.ended("holes", "failed", "none")
    work.call("resume", "holes", "--set", "limits.rejects=3")
    work.ended("holes", rows_done=ROWS - 3, rows_rejected=3)
    rejects = work.rejects("holes")
    assert sorted((one["row"], one["key"], one["field"], one["collection"]) for one in rejects) == [
        (7, "17", "vector", "holes"), (400, "410", "vector", "holes"), (401, "411", "vector", "holes")], rejects
    assert all(set(one) == {"collection", "task", "row", "key", "field", "reason"} and one["reason"]
               for one in rejects), rejects
    keep = numpy.delete(numpy.arange(ROWS), [7, 400, 401])
    work.holds("holes", jobs.rows(ids[keep], vectors[keep]))


def duplicate_keys_are_refused_or_thinned(work):
    ids = numpy.arange(ROWS, dtype="i8")
    ids[600:650] = ids[:50]
    jobs.write_flat(work.path("twice.index"), work.vectors, ids)
    work.fails(DATA, [f"50 of {ROWS} rows"], "run", work.make("twice", "twice.index"))
    assert "twice" not in work.names()
    for policy, gone in (("first", numpy.arange(600, 650)), ("last", numpy.arange(50))):
        name = "twice_" + policy
        work.call("run", work.make(name, "twice.index", job={"duplicates": policy}))
        keep = numpy.delete(numpy.arange(ROWS), gone)
        work.ended(name, rows_done=len(keep))
        work.holds(name, jobs.rows(ids[keep], work.vectors[keep]))


# savepoints that do not fit


def backup(work, name, copy):
    """A copy of a store that may be in use."""
    copy = work.path(f"{name}.{copy}")
    with contextlib.closing(sqlite3.connect(os.path.join(work.state, name + ".db"))) as store, \
            contextlib.closing(sqlite3.connect(copy)) as to:
        store.backup(to)
    os.chmod(copy, 0o600)
    return copy


def restore(work, name, copy):
    for ending in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(work.state, name + ".db" + ending))
    shutil.copy(copy, os.path.join(work.state, name + ".db"))


def slow(work, name, *arguments):
    """A run or resume that is at work for some seconds, once it has sent some rows."""
    process = work.start(*arguments)
    work.wait_rows(process, name, 200 if arguments[0] == "run" else work.status(name)["rows_done"] + 1)
    return process


def savepoints_older_than_the_target_are_refused(work):
    """Restored below the epoch that the target was written through; and below the end of the run, after
    which no alias stands."""
    name = "restored"
    file = work.make(name, limits={"rate": "300 rows/s", "loaders": 1}, job={"source": {"extent_rows": 50}})
    process = slow(work, name, "run", file)
    old = backup(work, name, "old")
    process.kill()
    work.end(process, KILLED)
    process = slow(work, name, "resume", name)
    process.kill()
    work.end(process, KILLED)
    now = backup(work, name, "now")
    restore(work, name, old)
    ended = work.fails(CONFIG, ["epoch", "older than the target"], "resume", name)
    assert "mmresume reset" in ended.err, ended.err
    restore(work, name, now)
    work.call("resume", name, "--set", "limits.rate=none")
    work.ended(name, rows_done=ROWS)
    restore(work, name, old)
    work.fails(CONFIG, ["alias", "older than the target"], "resume", name)
    work.holds(name)


# credentials, limits


def a_wrong_password_is_refused_at_once(work):
    file = work.make("entry", limits={"patience": "60s"})
    for token in ("root:wrong-but-secret", "nobody:wrong-but-secret"):
        began = time.monotonic()
        ended = work.call("run", file, code=CONFIG, environment={"MM_TEST_TOKEN": token})
        assert time.monotonic() - began < 20, "promptly"
        assert "wrong-but-secret" not in ended.err, ended.err
    assert "entry" not in work.names()
    with open(work.path("password"), "w", encoding="utf-8") as out:
        out.write(PASSWORD + "\n")
    work.call("run", work.make("entry", target={"token": None, "user": "root", "password_file": "password"}), "--or-resume")
    work.ended("entry", rows_done=ROWS)
    work.holds("entry")


def a_rate_limit_is_kept_within_a_fifth(work):
    began = time.monotonic()
    file = work.make("rated", limits={"rate": "300 rows/s"}, job={"verify": "none", "source": {"extent_rows": 100}},
                     index="none", load=False)
    work.call("run", file)
    took = time.monotonic() - began
    rate = work.status("rated")["rate_rows_per_s"]
    assert 240 < rate < 360 and took > 0.8 * ROWS / 300, (rate, took)


def the_password_is_nowhere_to_be_seen(work):
    process = work.start("run", work.make("hidden", limits={"rate": "600 rows/s"}, job={"source": {"extent_rows": 100}}), "-v")
    seen = []
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{process.pid}/cmdline", "rb") as file:
                seen.append(file.read())
        time.sleep(0.05)
    work.end(process, jobs.DONE)
    assert seen and not any(PASSWORD.encode() in line for line in seen)
    assert PASSWORD not in work.call("config", "--show", work.path("hidden.yaml")).out
    assert not any(PASSWORD in text for text in work.said)
    for folder, _, names in os.walk(work.state):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            assert PASSWORD.encode() not in data, name
            assert os.stat(os.path.join(folder, name)).st_mode & 0o077 == 0, name


CHECKS = [
    every_kind_of_faiss_file_arrives_bit_for_bit,
    a_binary_index_becomes_a_binary_vector,
    fields_and_collection_are_renamed,
    an_int64_key_becomes_text,
    a_missing_database_is_refused_and_made_when_asked,
    everything_goes_into_the_partition_that_is_named,
    an_existing_collection_is_refused_and_untouched,
    appending_replaces_the_same_keys_and_leaves_the_others,
    a_wrong_schema_is_refused_field_by_field,
    a_key_in_another_partition_is_refused_or_deleted_as_asked,
    the_old_rows_stay_until_the_new_ones_are_proven,
    a_swap_that_is_killed_anywhere_leaves_the_old_or_the_new_whole,
    index_and_load_are_as_asked,
    what_was_neither_verified_nor_indexed_can_be_verified_later,
    rows_changed_lost_and_doubled_behind_its_back_are_named_and_repaired,
    a_count_that_differs_names_the_keys,
    a_doubled_row_is_found_beside_the_rows_of_others,
    rows_that_milvus_cannot_hold_are_kept_in_a_file,
    duplicate_keys_are_refused_or_thinned,
    savepoints_older_than_the_target_are_refused,
    a_wrong_password_is_refused_at_once,
]
LAST = [a_rate_limit_is_kept_within_a_fifth, the_password_is_nowhere_to_be_seen]


def change_password(server):
    """The first user's well-known password becomes one that can be looked for."""
    from pymilvus import MilvusClient

    client = MilvusClient(server.uri, token="root:Milvus")
    client.update_password("root", "Milvus", PASSWORD)
    client.close()


def main():
    servers.private_network()
    with servers.MilvusStandalone(settings={"authorization_enabled": True}) as server:
        change_password(server)
        with Milvus(server) as work:
            return jobs.run_checks(CHECKS, work, last=LAST, together=3)


if __name__ == "__main__":
    sys.exit(main())
