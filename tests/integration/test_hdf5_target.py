"""Whole jobs into HDF5 files, read with h5py: the layout of MilvusDM, partitions, every vector type it has a place for,
rejected and dropped rows, verification, what stands there already, and the job files beside."""

import glob
import json
import os
import sys
import time

import h5py
import numpy
import pyarrow
import pyarrow.parquet
import yaml

import foreign_files
import jobs
import milvus1x_files
import oracle
import pymilvusdm_reader
from jobs import CONFIG, DATA, DONE, INTERRUPTED, UNAVAILABLE


class Exports(jobs.Jobs):
    def make(self, name, source, collection=None, target=None, **more):
        spec = {"version": 1, "job": name, "source": source, "verify": more.pop("verify", "full"),
                "target": {"driver": "hdf5", "path": self.path("out", name), **(target or {})}, **more}
        if collection is not None:
            spec["collections"] = [collection]
        file = self.path(name + ".yaml")
        with open(file, "w", encoding="utf-8") as out:
            json.dump(spec, out)
        return file

    def flat(self, name, vectors, ids=None):
        path = self.path(name)
        jobs.write_flat(path, vectors, ids)
        return {"driver": "faiss", "path": path, "extent_rows": 900}

    def npy(self, name, **columns):
        folder = self.path(name)
        os.makedirs(folder)
        for field, column in columns.items():
            numpy.save(os.path.join(folder, field + ".npy"), column)
        return {"driver": "npy", "path": folder}

    def places(self, name):
        """The folders of this job's runs."""
        return sorted(glob.glob(self.path("out", name, "*-[0-9]*")))

    def read(self, name, collection, partition="None", place=None):
        """Rows of a file, by key; its form is that of MilvusDM."""
        path = os.path.join(place or self.places(name)[-1], collection, partition + ".h5")
        with h5py.File(path, "r") as file:
            assert sorted(file) == ["embeddings", "ids"] and not file.attrs, list(file)
            vectors, ids = file["embeddings"], file["ids"]
            for dataset in (vectors, ids):
                assert dataset.chunks is None and dataset.compression is None and not dataset.attrs, dataset
            assert ids.dtype == "<i8" and ids.shape == vectors.shape[:1], (ids, vectors)
            end = max((dataset.id.get_offset() or 0) + dataset.nbytes for dataset in (vectors, ids))
            assert not len(ids) or end == os.path.getsize(path), "there is more in the file than rows"
            found = ids[:], vectors[:]
        if found[1].dtype in ("<f4", "u1"):  # what MilvusDM has, it reads as h5py does
            assert all(numpy.array_equal(*pair, equal_nan=True) for pair in zip(pymilvusdm_reader.hdf5(path), found) if len(found[0]))
        return found

    def holds(self, name, collection, keys, vectors, partition="None", place=None):
        """Exactly these rows, bit for bit; the order is free."""
        ids, found = self.read(name, collection, partition, place)
        keys, vectors = numpy.asarray(keys, dtype="i8"), numpy.ascontiguousarray(vectors)
        assert found.dtype == vectors.dtype and found.shape == vectors.shape, (found.dtype, found.shape, vectors.shape)
        raw = [map(numpy.ndarray.tobytes, rows) for rows in (found, vectors)]
        assert sorted(zip(ids.tolist(), raw[0])) == sorted(zip(keys.tolist(), raw[1]))


# what arrives


def a_hundred_thousand_rows_of_faiss_arrive(work):
    vectors = jobs.floats(100_000, 32)
    work.call("run", work.make("faiss", work.flat("products.index", vectors) | {"extent_rows": 7001}))
    work.ended("faiss", rows_done=100_000)
    work.holds("faiss", "products", range(100_000), vectors)
    assert os.listdir(work.path("out", "faiss")) == [os.path.basename(work.places("faiss")[0])], "something hidden is left"


def one_lane_keeps_the_order_of_the_source(work):
    vectors = jobs.floats(5000, 8, seed=4)
    work.call("run", work.make("order", work.flat("order.index", vectors), limits={"dumpers": 1, "loaders": 1}))
    ids, found = work.read("order", "order")
    assert (ids == numpy.arange(5000)).all() and (found == vectors).all()


def arrays_of_every_vector_type_that_has_a_place_arrive(work):
    generator, ids = numpy.random.default_rng(7), numpy.arange(4000, dtype="i8")[::-1] * 5 - 300
    for name, vectors in (
            ("f4", generator.standard_normal((4000, 12), dtype="f4")), ("f2", generator.standard_normal((4000, 12)).astype("f2")),
            ("i1", generator.integers(-128, 128, (4000, 12)).astype("i1")), ("bits", generator.integers(0, 256, (4000, 16), dtype="u1"))):
        source = work.npy("npy-" + name, id=ids, vector=vectors)
        work.call("run", work.make("npy-" + name, source, {"to": "rows"}))
        work.ended("npy-" + name, rows_done=4000)
        work.holds("npy-" + name, "rows", ids, vectors)


def values_that_are_not_finite_stay(work):
    vectors = jobs.floats(2000, 8, seed=2)
    vectors[5, 1], vectors[1999, 7] = numpy.nan, -numpy.inf
    work.call("run", work.make("finite", work.flat("finite.index", vectors)))
    work.holds("finite", "finite", range(2000), vectors)


def twice(work):
    """A source of rows of which a third share their key with another, scattered: every task leaves slots empty."""
    ids, vectors = numpy.random.default_rng(1).permutation(20_000) % 13_000, jobs.floats(20_000, 16, seed=3)
    return work.flat("twice.index", vectors, ids) | {"extent_rows": 500}, ids, vectors


def duplicates_that_are_dropped_leave_no_gap(work):
    source, ids, vectors = twice(work)
    first = numpy.unique(ids, return_index=True)[1]
    last = len(ids) - 1 - numpy.unique(ids[::-1], return_index=True)[1]
    for rule, kept in (("first", first), ("last", last), ("keep", slice(None))):
        work.call("run", work.make(rule, source, {"to": "rows"}, duplicates=rule))
        work.ended(rule, rows_done=len(ids[kept]))
        work.holds(rule, "rows", ids[kept], vectors[kept])


def a_stop_while_a_file_is_completed_is_heard(work):
    source, ids, vectors = twice(work)
    points = work.path("points")
    process = work.start("run", work.make("stopped", source, {"to": "rows"}, duplicates="first"),
                         failpoint="hdf5.seal.moved:1:sleep=1000", environment={"MM_FAILPOINT_LIST": points})
    while process.poll() is None and not (os.path.exists(points) and "hdf5.seal.moved" in open(points, encoding="ascii").read()):
        time.sleep(0.02)
    process.terminate()
    assert "seal: stopped" in work.end(process, INTERRUPTED).err
    work.call("resume", "stopped")
    kept = numpy.unique(ids, return_index=True)[1]
    work.holds("stopped", "rows", ids[kept], vectors[kept])


def every_partition_has_a_file_and_two_may_become_one(work):
    """`c` goes into `a`; `None` is not MilvusDM's None; one has no row."""
    keys, vectors = numpy.arange(3000), jobs.floats(3000, 8, seed=6)
    parts = {"a": slice(0, 1000), "None": slice(1000, 1800), "c": slice(1800, 3000), "empty": slice(0, 0)}
    vector = pyarrow.list_(pyarrow.float32(), 8)
    for partition, rows in parts.items():
        os.makedirs(work.path("parted", partition))
        table = pyarrow.table({"id": keys[rows], "vector": pyarrow.array(list(vectors[rows]), vector)})
        pyarrow.parquet.write_table(table, work.path("parted", partition, "rows.parquet"), row_group_size=300)
    source = {"driver": "parquet", "path": work.path("parted"), "partition_by": "folder", "collection": "rows", "extent_bytes": "10KiB"}
    work.call("run", work.make("parted", source, {"from": "rows", "partitions": {"a": "a", "None": "None", "c": "a", "empty": "_default"}}))
    place = work.places("parted")[0]
    assert sorted(os.listdir(os.path.join(place, "rows"))) == ["%4Eone.h5", "None.h5", "a.h5"], os.listdir(os.path.join(place, "rows"))
    both = numpy.r_[parts["a"], parts["c"]]
    work.holds("parted", "rows", keys[both], vectors[both], "a")
    work.holds("parted", "rows", keys[parts["None"]], vectors[parts["None"]], "%4Eone")
    ids, empty = work.read("parted", "rows")
    assert ids.shape == (0,) and empty.shape == (0, 8) and empty.dtype == "<f4"
    for name, partition in (("a", "a"), ("None", ""), ("%4Eone", "None")):
        with open(os.path.join(place, "yamls", "rows", name + ".yaml"), encoding="utf-8") as file:
            job = yaml.safe_load(file)["H2M"]
        assert (job["dest_partition_name"], job["mode"]) == (partition, "append"), job


def the_source_of_hdf5_files_takes_them_back(work):
    """A folder of partitions, read by our own source into NumPy files."""
    keys, vectors = numpy.arange(9000) * 7 - 5, jobs.floats(9000, 24, seed=12)
    work.call("run", work.make("there", work.flat("there.index", vectors, keys), {"to": "rows"}))
    (folder,) = glob.glob(os.path.join(work.places("there")[0], "rows"))
    back = work.job("back", folder, {"driver": "files", "path": work.path("back")}, {"to": "rows"}, verify="full",
                    source={"driver": "hdf5"})
    with open(back, encoding="utf-8") as file:
        spec = json.load(file)
    spec["source"] = {"driver": "hdf5", "dir": folder}
    with open(back, "w", encoding="utf-8") as file:
        json.dump(spec, file)
    work.call("run", back)
    oracle.check_files(work.path("back"), "rows", {"id": keys, "vector": vectors})


# Milvus 1.x


def every_collection_and_partition_of_a_milvus_1x_arrives(work):
    """Deletes, ids that stand in several segments, float and binary, partitions without a row, merged collections."""
    folder = milvus1x_files.every().write(work.path("milvus"), [work.path("milvus", "db", "tables"), work.path("second"), work.path("third")])
    source = {"driver": "milvus1x", "path": work.path("milvus"), "extent_bytes": "4KiB",
              "tables": [work.path("milvus", "db", "tables"), work.path("second"), work.path("third")]}
    work.call("run", work.make("milvus1x", source))
    work.ended("milvus1x")
    (place,) = work.places("milvus1x")
    alive = {name: made for name, made in folder.collections.items() if not made.state}
    assert sorted(os.listdir(place)) == sorted([*alive, "yamls"]), os.listdir(place)
    for name, made in alive.items():
        parts = {"None" if tag == "_default" else tag: rows for tag, rows in made.rows().items()}
        assert sorted(os.listdir(os.path.join(place, name))) == sorted(part + ".h5" for part in parts), name
        for part, (ids, vectors) in parts.items():
            work.holds("milvus1x", name, ids, vectors, part)
    work.call("run", work.make("merged", source, collections=[{"from": name, "to": "both"} for name in ("plain", "early")]))
    newest = {int(key): row for name in ("plain", "early") for key, row in zip(*folder.collections[name].rows()["_default"])}
    work.holds("merged", "both", list(newest), numpy.stack(list(newest.values())))


def an_m2h_file_of_milvusdm_runs(work):
    """Chosen partitions of one collection, under the names that MilvusDM gives."""
    folder = milvus1x_files.Folder()
    made = folder.add("test", 16, milvus1x_files.IP)
    for number, tag in enumerate(("_default", "p1", "p2")):
        made.add(milvus1x_files.Segment(range(number * 500, number * 500 + 500), jobs.floats(500, 16, seed=number), [3, 4]), tag)
    folder.write(work.path("old"))
    file, out = work.path("m2h.yaml"), work.path("out", "m2h")
    with open(file, "w", encoding="utf-8") as text:
        text.write(foreign_files.m2h(work.path("old"), "test", out, partitions=("p1", "p2")))
    work.call("run", file)
    (place,) = work.places("m2h")
    assert sorted(os.listdir(os.path.join(place, "test"))) == ["p1.h5", "p2.h5"], os.listdir(os.path.join(place, "test"))
    for tag in ("p1", "p2"):
        work.holds("m2h", "test", *made.rows()[tag], tag)
    with open(os.path.join(place, "yamls", "test", "p2.yaml"), encoding="utf-8") as text:
        assert yaml.safe_load(text)["H2M"]["collection_parameter"]["metric_type"] == "IP"


# the job files


def the_job_file_beside_is_one_of_milvusdm(work):
    vectors = jobs.floats(1000, 8)
    work.call("run", work.make("h2m", work.flat("h2m.index", vectors), {"to": "a b", "index": {"vector": {"index_type": "FLAT", "metric_type": "IP"}}}))
    place = work.places("h2m")[0]
    with open(os.path.join(place, "yamls", "a%20b", "None.yaml"), encoding="utf-8") as file:
        job = yaml.safe_load(file)
    (path,) = job["H2M"].pop("data_path")
    assert path == os.path.join(place, "a%20b", "None.h5") and os.path.exists(path), path
    assert job == {"H2M": {"milvus_version": "2.x", "data_dir": None, "dest_host": "127.0.0.1", "dest_port": 19530, "mode": "skip",
                           "dest_collection_name": "a b", "dest_partition_name": "",
                           "collection_parameter": {"dimension": 8, "index_file_size": 1024, "metric_type": "IP"}}}, job
    shown = yaml.safe_load(work.call("config", "--show", os.path.join(place, "yamls", "a%20b", "None.yaml")).out)
    assert (shown["source"]["driver"], shown["source"]["path"]) == ("hdf5", [path]), shown
    assert (shown["target"]["driver"], shown["collections"][0]["to"]) == ("milvus", "a b"), shown


# what stands there already


def each_run_has_a_folder_of_its_own_unless_asked_otherwise(work):
    first, second = jobs.floats(1500, 8, seed=1), jobs.floats(1200, 8, seed=2)
    file = work.make("again", work.flat("again.index", first), {"to": "rows"})
    work.call("run", file)
    work.flat("again.index", second)
    work.call("run", file)
    assert len(work.places("again")) == 2
    work.holds("again", "rows", range(1500), first, place=work.places("again")[0])
    work.holds("again", "rows", range(1200), second, place=work.places("again")[1])


def fail_skip_and_overwrite_do_what_they_say(work):
    first, second = jobs.floats(1500, 8, seed=1), jobs.floats(1200, 8, seed=2)
    place, one = work.path("out", "exists"), {"run_folder": False}
    source = work.flat("exists.index", first)

    def job(name, rule=None):
        return work.make(name, source, {"to": "rows", **({"if_exists": rule} if rule else {})}, {**one, "path": place})

    work.call("run", job("exists"))
    work.flat("exists.index", second)
    work.fails(CONFIG, ["rows is there already", "skip or overwrite"], "run", job("exists-fail"))
    work.call("run", job("exists-skip", "skip"))
    work.fails(CONFIG, "written whole", "run", job("exists-append", "append"))
    work.holds("exists", "rows", range(1500), first, place=place)
    with open(os.path.join(place, "yamls", "rows", "gone.yaml"), "w", encoding="ascii") as stale:
        stale.write("{}")
    work.call("run", job("exists-overwrite", "overwrite"))
    work.holds("exists", "rows", range(1200), second, place=place)
    assert sorted(os.listdir(place)) == ["rows", "yamls"] and os.listdir(os.path.join(place, "yamls", "rows")) == ["None.yaml"]
    with open(os.path.join(place, "rows", "letter.txt"), "w", encoding="ascii") as letter:
        letter.write("not a file of ours")
    work.fails(CONFIG, ["letter.txt", "not overwritten"], "run", work.make("exists-other", source, {"to": "rows", "if_exists": "overwrite"}, {**one, "path": place}))
    work.holds("exists", "rows", range(1200), second, place=place)


def fields_without_a_place_are_refused_by_name(work):
    keys = numpy.arange(10)
    path = work.path("fields.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"id": keys, "name": keys.astype(str), "vector": list(jobs.floats(10, 8)), "more": keys}), path)
    source = {"driver": "parquet", "path": path}
    work.fails(CONFIG, ["leave out name (VarChar), more (Int64)"], "run", work.make("fields", source))
    work.fails(CONFIG, ["key name is VarChar"], "run", work.make("fields-key", source, {"fields": [{"from": "name", "primary": True}, {"from": "vector"}]}))
    work.fails(CONFIG, ["no such vector"], "run", work.make("fields-none", source, {"fields": [{"from": "id", "primary": True}, {"from": "more"}]}))
    work.call("run", work.make("fields-two", source, {"fields": [{"from": "id", "primary": True}, {"from": "vector"}]}))
    work.fails(CONFIG, "yamls is for job files", "run", work.make("fields-yamls", work.flat("fields.index", jobs.floats(10, 8)), {"to": "yamls"}))
    work.fails(CONFIG, "local folder", "run", work.make("fields-remote", source, target={"path": "s3://bucket/x"}))


# verification, full disks


def a_damaged_file_turns_the_verification_red(work):
    """One byte of a vector, of a key, of what HDF5 has before them; a cut file, an empty one: each is found when a run
    that is done is verified."""
    source = work.flat("damaged.index", jobs.floats(3000, 8, seed=8))
    changes = {"vector": lambda whole: whole[:40_000] + bytes([whole[40_000] ^ 1]) + whole[40_001:],
               "key": lambda whole: whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:], "cut": lambda whole: whole[:50_000],
               "head": lambda whole: whole[:900] + bytes([whole[900] ^ 1]) + whole[901:],
               "empty": lambda whole: b"", "same": lambda whole: whole}
    for name, change in changes.items():
        work.call("run", work.make(name, source, {"to": "rows"}))
        path = os.path.join(work.places(name)[0], "rows", "None.h5")
        with open(path, "rb") as file:
            whole = file.read()
        with open(path, "wb") as file:
            file.write(change(whole))
        work.call("verify", name, "--full", code=DONE if name == "same" else DATA)
        if name in ("vector", "key"):
            work.fails(CONFIG, "cannot be repaired", "resume", name, "--repair")


def what_a_cancelled_run_left_goes_with_the_next(work):
    vectors = jobs.floats(3000, 8, seed=11)
    file = work.make("cancelled", work.flat("cancelled.index", vectors))
    work.call("run", file, code=jobs.KILLED, failpoint="hdf5.flush.synced:2:kill")
    work.call("cancel", "cancelled")
    (left,) = os.listdir(work.path("out", "cancelled"))
    assert left.startswith(".mmresume-") and not glob.glob(work.path("out", "cancelled", left, "*.h5")), left
    work.call("run", file)
    assert not os.path.exists(work.path("out", "cancelled", left))
    work.holds("cancelled", "cancelled", range(3000), vectors)


def a_full_disk_is_said_and_the_resume_ends_as_if_nothing_had_been(work):
    """The disk is made small by a limit on files."""
    import resource
    import subprocess

    vectors = jobs.floats(60_000, 32, seed=9)
    file = work.make("full", work.flat("full.index", vectors) | {"extent_rows": 5000})
    limit = 3 << 20
    ended = subprocess.run([os.path.join(jobs.BUILD, "mmresume"), "run", file], env=work.environment, capture_output=True, text=True, check=False,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert ended.returncode == UNAVAILABLE and "File too large" in ended.stderr, (ended.returncode, ended.stderr)
    assert not glob.glob(work.path("out", "full", "**", "*.h5"), recursive=True)
    work.call("resume", "full")
    work.holds("full", "full", range(60_000), vectors)


CHECKS = [
    a_hundred_thousand_rows_of_faiss_arrive,
    one_lane_keeps_the_order_of_the_source,
    arrays_of_every_vector_type_that_has_a_place_arrive,
    values_that_are_not_finite_stay,
    duplicates_that_are_dropped_leave_no_gap,
    a_stop_while_a_file_is_completed_is_heard,
    every_partition_has_a_file_and_two_may_become_one,
    the_source_of_hdf5_files_takes_them_back,
    every_collection_and_partition_of_a_milvus_1x_arrives,
    an_m2h_file_of_milvusdm_runs,
    the_job_file_beside_is_one_of_milvusdm,
    each_run_has_a_folder_of_its_own_unless_asked_otherwise,
    fail_skip_and_overwrite_do_what_they_say,
    fields_without_a_place_are_refused_by_name,
    a_damaged_file_turns_the_verification_red,
    what_a_cancelled_run_left_goes_with_the_next,
    a_full_disk_is_said_and_the_resume_ends_as_if_nothing_had_been,
]


def main():
    with Exports() as work:
        return jobs.run_checks(CHECKS, work)


if __name__ == "__main__":
    sys.exit(main())
