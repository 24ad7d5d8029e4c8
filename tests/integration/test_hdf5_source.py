"""HDF5 files as a source: written by h5py in every layout, taken through whole jobs into arrays, compared with NumPy's
row by row. Some go into Milvus Lite. Files of HDF5 2 (the library of h5py) are read by this program's older one."""

import contextlib
import json
import os
import signal
import sys
import time

import h5py
import numpy

import hdf5_files
import jobs
import oracle
import servers
from hdf5_files import DIM, ROWS, floats, write
from jobs import CONFIG, DATA


class Work(jobs.Jobs):
    def spec(self, name, source, **job):
        file = self.path(name + ".yaml")
        with open(file, "w", encoding="utf-8") as out:
            json.dump({"version": 1, "job": name, "source": {"driver": "hdf5", **source}, "verify": "full",
                       "target": {"driver": "files", "path": "./" + name + ".out", "format": "npy"}, **job}, out)
        return file

    def moves(self, name, source, expected, collection=None, **job):
        self.call("run", self.spec(name, source, **job))
        self.ended(name)
        oracle.check_files(self.path(name + ".out"), collection or name, expected)

    def refuses(self, name, code, words, source, **job):
        self.fails(code, words, "run", self.spec(name, source, **job))


def rows(vectors, ids=None):
    return jobs.rows(range(len(vectors)) if ids is None else ids, vectors)


def every_layout_of_h5py_arrives_row_by_row(work):
    ids = numpy.random.default_rng(8).permutation(10**6)[:ROWS] - 5000
    for name, (create, arrives) in hdf5_files.layouts().items():
        write(work.path(name + ".h5"), ids, **create)
        work.moves(name, {"path": name + ".h5", "extent_bytes": "16KiB"}, rows(arrives, ids))


def extents_of_many_batches_and_blocks_arrive(work):
    """Batches end within chunks, chunks within blocks, ids in chunks of their own."""
    count = 60000
    vectors, ids = floats(count).astype("f4"), numpy.random.default_rng(2).permutation(count)

    def more(file):
        file.create_dataset("ids", data=ids, chunks=(7777,), compression="gzip")

    for name, how in (("flat", {}), ("flat-f8", {"dtype": ">f8"}), ("large", {"chunks": (25000, DIM), "compression": "gzip"}),
                      ("small", {"chunks": (999, 7), "compression": "gzip", "compression_opts": 1}),
                      ("library", {"chunks": (11111, DIM), "compression": "szip"})):
        if name == "library" and not h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP):
            how = {"chunks": (11111, DIM), "scaleoffset": 0, "dtype": "i4"}
        write(work.path(f"many-{name}.h5"), data=vectors, more=more, **how)
        want = vectors.astype("i4").astype("f4") if "scaleoffset" in how else vectors
        work.moves("many-" + name, {"path": f"many-{name}.h5"}, rows(want, ids), limits={"memory": "16MiB"})


def files_of_every_version_arrive(work):
    vectors = floats().astype("f4")
    for name, more in (("earliest", {"libver": "earliest"}), ("v108", {"libver": ("earliest", "v108")}),
                       ("v110", {"libver": "v110"}), ("userblock", {"userblock": 2048})):
        for suffix, how in (("", {}), ("-chunks", {"chunks": (64, DIM), "compression": "gzip"})):
            write(work.path(name + suffix + ".h5"), data=vectors, **more, **how)
            work.moves(name + suffix, {"path": name + suffix + ".h5"}, rows(vectors))


def ids_of_every_integer_type_arrive(work):
    vectors = floats(100).astype("f4")
    for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i8", ">i2"):
        ids = numpy.arange(100).astype(kind)
        for suffix, how in (("", {}), ("c", {"chunks": (7,), "compression": "gzip"})):
            name = "ids-" + kind.replace(">", "big-") + suffix
            with h5py.File(work.path(name + ".h5"), "w") as file:
                file["embeddings"] = vectors
                file.create_dataset("ids", data=ids, **how)
            work.moves(name, {"path": name + ".h5"}, rows(vectors, ids.astype("i8")))
    write(work.path("column.h5"), numpy.arange(100).reshape(100, 1), data=vectors)
    work.moves("column", {"path": "column.h5"}, rows(vectors))
    write(work.path("beyond.h5"), numpy.arange(100, dtype="u8") + 2**63 - 50, data=vectors)
    work.refuses("beyond", DATA, ["beyond.h5", "dataset ids, row 50", "beyond 64 bits"], {"path": "beyond.h5"})


def datasets_are_found_by_the_layout_or_by_name(work):
    vectors, other = floats().astype("f4"), floats(seed=9).astype("f4")

    def more(file):
        file["test"] = other[:10]
        file["neighbors"] = numpy.zeros((10, 100), dtype="i4")

    write(work.path("ann.hdf5"), vectors="train", data=vectors, distance="angular", more=more)
    work.moves("ann", {"path": "ann.hdf5"}, rows(vectors))
    with open(work.path("ann.out", "ann", "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    assert "COSINE" in json.dumps(manifest["schema"]), manifest["schema"]
    work.moves("named", {"path": "ann.hdf5", "vectors": "test", "collection": "tests", "start_id": 100, "id_field": "key",
                         "vector_field": "emb"}, {"key": numpy.arange(100, 110), "emb": other[:10]}, "tests")
    write(work.path("group.h5"), vectors="a/b/c", data=vectors, more=lambda file: file.create_dataset("a/keys", data=numpy.arange(ROWS) * 2))
    work.moves("group", {"path": "group.h5", "vectors": "a/b/c", "ids": "/a/keys"}, rows(vectors, numpy.arange(ROWS) * 2))
    write(work.path("only.h5"), numpy.arange(ROWS) + 7, vectors="whatever", data=vectors, more=lambda file: file.create_dataset("x", data=3))
    work.moves("only", {"path": "only.h5"}, rows(vectors, numpy.arange(ROWS) + 7))
    write(work.path("two.h5"), vectors="one", data=vectors, more=lambda file: file.create_dataset("two", data=other))
    work.refuses("two", CONFIG, ["two.h5", "2 datasets may be the vectors (one, two)", "source.vectors"], {"path": "two.h5"})
    work.refuses("none", CONFIG, ["group.h5", "source.vectors"], {"path": "group.h5"})
    work.refuses("wrong", CONFIG, ["no dataset nowhere"], {"path": "ann.hdf5", "vectors": "nowhere"})
    work.refuses("wrong-ids", CONFIG, ["no dataset keys"], {"path": "ann.hdf5", "ids": "keys"})


def vectors_become_the_type_that_the_job_says(work):
    bits = numpy.random.default_rng(1).integers(0, 256, (ROWS, 16), dtype="u1")
    small = bits.view("i1")
    write(work.path("bits.h5"), data=bits)
    work.moves("as-floats", {"path": "bits.h5", "vector_type": "FloatVector", "collection": "c"}, rows(bits.astype("f4")), "c")
    write(work.path("features.h5"), vectors="train", data=bits, distance="euclidean")
    work.moves("features", {"path": "features.h5"}, rows(bits.astype("f4")))
    work.moves("as-bits", {"path": "features.h5", "vector_type": "BinaryVector", "collection": "c"}, rows(bits), "c")
    write(work.path("hamming.h5"), vectors="train", data=bits, distance="hamming")
    work.moves("hamming", {"path": "hamming.h5"}, rows(bits))
    write(work.path("half.h5"), data=floats().astype("f2"))
    work.moves("half-floats", {"path": "half.h5", "vector_type": "FloatVector", "collection": "c"},
               rows(floats().astype("f2").astype("f4")), "c")
    write(work.path("small.h5"), data=small)
    work.moves("int8", {"path": "small.h5", "vector_type": "Int8Vector", "collection": "c"}, rows(small), "c")
    work.refuses("not-int8", DATA, ["bits.h5", "uint8 cannot become a Int8Vector"], {"path": "bits.h5", "vector_type": "Int8Vector"})
    write(work.path("large.h5"), data=numpy.array([[1.0, 2.0], [3.0, 1e300]]))
    work.refuses("large", DATA, ["large.h5", "row 1, column 1", "beyond the range of a float"], {"path": "large.h5"})


def lists_and_folders_become_partitions_or_one(work):
    os.makedirs(work.path("many"))
    parts = {name: floats(100 + number, seed=number).astype("f4") for number, name in enumerate(("None", "b", "a"))}
    for name, vectors in parts.items():
        write(work.path("many", name + (".hdf5" if name == "b" else ".h5")), data=vectors,
              **({"chunks": (30, 5)} if name == "a" else {}))
    with open(work.path("many", "notes.txt"), "w", encoding="ascii") as file:
        file.write("not HDF5")
    order = ["None", "a", "b"]
    together = numpy.concatenate([parts[name] for name in order])
    work.moves("many", {"dir": "many", "extent_rows": 37}, rows(together))
    start, expected = 0, {}
    for name in order:
        expected["_default" if name == "None" else name] = rows(parts[name], range(start, start + len(parts[name])))
        start += len(parts[name])
    work.moves("split", {"dir": "many", "partitions": "file", "collection": "split"}, expected)
    write(work.path("%4Eone%2E.h5"), data=parts["a"])  # as the target writes names
    work.moves("encoded", {"path": "%4Eone%2E.h5", "partitions": "file", "collection": "c"}, {"None.": rows(parts["a"])}, "c")
    work.moves("listed", {"path": ["many/b.hdf5", "many/None.h5"], "collection": "listed"},
               rows(numpy.concatenate([parts["b"], parts["None"]])))
    write(work.path("withids.h5"), numpy.arange(10), data=floats(10).astype("f4"))
    work.refuses("mixed", DATA, ["withids.h5 has ids", "many/a.h5 has none"], {"path": ["many/a.h5", "withids.h5"]})
    write(work.path("narrow.h5"), data=floats(10, 3).astype("f4"))
    work.refuses("narrow", DATA, ["narrow.h5: FloatVector of dimension 3", "of 24"], {"path": ["many/a.h5", "narrow.h5"]})
    os.makedirs(work.path("empty"))
    work.refuses("empty", CONFIG, ["no file whose name ends in .h5"], {"dir": "empty"})
    work.refuses("both", CONFIG, ["not both"], {"dir": "many", "path": "many/a.h5"})
    work.refuses("neither", CONFIG, ["source.path is missing"], {})
    work.refuses("folder", CONFIG, ["source.dir takes one"], {"path": "many"})
    work.refuses("object", CONFIG, ["read from a local disk"], {"path": "s3://bucket/a.h5"})


def what_cannot_be_read_is_refused_by_name(work):
    vectors = floats().astype("f4")
    with h5py.File(work.path("external.h5"), "w") as file:
        file["embeddings"] = h5py.ExternalLink("contiguous.h5", "embeddings")
    with h5py.File(work.path("external-group.h5"), "w") as file:
        file["there"] = h5py.ExternalLink("external-target.h5", "/")
    write(work.path("external-target.h5"), data=vectors)
    layout = h5py.VirtualLayout(shape=vectors.shape, dtype="f4")
    layout[:] = h5py.VirtualSource(work.path("external-target.h5"), "embeddings", shape=vectors.shape)
    with h5py.File(work.path("virtual.h5"), "w") as file:
        file.create_virtual_dataset("embeddings", layout)
    write(work.path("elsewhere.h5"), shape=vectors.shape, dtype="f4", external=[(work.path("raw.bin"), 0, h5py.h5f.UNLIMITED)])
    write(work.path("sets.h5"), vectors="train", data=numpy.arange(50), distance="jaccard",
          more=lambda file: file.create_dataset("size_train", data=numpy.full(10, 5)))
    write(work.path("texts.h5"), data=["a", "b"], dtype=h5py.string_dtype())
    write(work.path("compound.h5"), data=numpy.zeros(3, dtype=[("a", "i4"), ("b", "f4")]))
    write(work.path("cube.h5"), data=numpy.zeros((3, 3, 3)))
    write(work.path("wide.h5"), data=vectors, chunks=(ROWS, DIM), compression="gzip")
    write(work.path("uneven.h5"), numpy.arange(5), data=vectors)
    write(work.path("truth.h5"), data=vectors[:, :7] > 0)
    write(work.path("filter.h5"), data=vectors, chunks=(10, DIM), compression="lzf")
    with open(work.path("filter.h5"), "rb+") as file:  # LZF, 32000, becomes Blosc; the name stays
        at = file.read().index(b"\x00\x7d\x08\x00\x01\x00\x03\x00lzf\0")
        file.seek(at)
        file.write(b"\x01")
    for name, code, words in (
            ("external", DATA, ["embeddings is a link to another file"]), ("virtual", DATA, ["it is virtual"]),
            ("elsewhere", DATA, ["its values are in other files"]), ("sets", DATA, ["size_train", "sets"]),
            ("texts", DATA, ["variable-length string"]), ("compound", DATA, ["compound"]), ("cube", DATA, ["3 dimensions"]),
            ("uneven", DATA, ["700 vectors in embeddings, and 5 ids in ids"]), ("truth", DATA, ["eight to a byte"]),
            ("filter", DATA, ["its filter 32001, lzf", "HDF5_PLUGIN_PATH"])):
        work.refuses("no-" + name, code, [name + ".h5", *words], {"path": name + ".h5"})
    work.refuses("no-group", CONFIG, ["external-group.h5"], {"path": "external-group.h5", "vectors": "there/embeddings"})
    work.refuses("no-memory", CONFIG, ["wide.h5", "67200 bytes", "source.chunk_memory"], {"path": "wide.h5", "chunk_memory": "64KiB"})


def cut_files_and_other_files_are_refused(work):
    vectors = floats().astype("f4")
    write(work.path("whole.h5"), data=vectors)
    with open(work.path("whole.h5"), "rb") as file:
        data = file.read()
    for name, content, words in (("cut", data[: len(data) // 2], ["the file ends here", "was cut"]),
                                 ("text", b"no HDF5 at all\n" * 100, ["not an HDF5 file"]), ("nothing", b"", ["not an HDF5 file"]),
                                 ("short", data[:40], ["ends in its superblock"]),
                                 ("version", data[:8] + b"\x09" + data[9:], ["version 9"])):
        with open(work.path(name + ".h5"), "wb") as file:
            file.write(content)
        work.refuses("bad-" + name, DATA, [name + ".h5", *words], {"path": name + ".h5"})


def a_crash_of_the_library_is_an_error_of_the_file(work):
    """A process of the library that dies in the middle: the job says so, goes on living and can be resumed."""
    vectors = floats(600000).astype("f4")
    write(work.path("killed.h5"), data=vectors, chunks=(1000, DIM), compression="gzip", compression_opts=1)
    file = work.spec("killed", {"path": "killed.h5", "extent_bytes": "4MiB"},
                     limits={"rate": "120000 rows/s", "dumpers": 1, "memory": "16MiB"},
                     target={"driver": "files", "path": "./killed.out", "format": "npy", "file_size": "1MiB"})
    process = work.start("run", file)
    work.wait_rows(process, "killed", 1)  # of five seconds; 16 of 58 MiB may have been read
    while process.poll() is None:  # one that has just ended does not mind
        for child in libraries_of(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGSEGV)
        time.sleep(0.02)
    ended = work.end(process, DATA)
    assert "the HDF5 library crashed (signal 11)" in ended.err and "killed.h5" in ended.err, ended.err
    work.call("resume", "killed", "--set", "limits.rate=none")
    work.ended("killed")
    oracle.check_files(work.path("killed.out"), "killed", rows(vectors))


def libraries_of(pid):
    """The processes of the library that a job has."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="ascii") as file:
                words = file.read().rsplit(")", 1)
            if words[0].endswith("(mmresume-hdf5") and int(words[1].split()[1]) == pid:
                found.append(int(name))
        except (OSError, IndexError):
            pass
    return found


def files_that_change_are_noticed(work):
    vectors = floats(3000).astype("f4")
    write(work.path("changing.h5"), data=vectors)
    file = work.spec("changing", {"path": "changing.h5", "extent_rows": 100})
    work.end(work.start("run", file, failpoint="store.apply.before_commit:9:kill"), jobs.KILLED)
    write(work.path("changing.h5"), data=vectors + 1)
    work.fails(CONFIG, ["changed", "size="], "resume", "changing")


def inspect_lists_the_datasets(work):
    write(work.path("seen.h5"), numpy.arange(ROWS), data=floats().astype(">f4"), chunks=(64, DIM), compression="gzip",
          more=lambda file: file.create_dataset("g/h", data=numpy.zeros((2, 3, 4))))
    said = work.call("inspect", "seen.h5").out
    for line in ("format: hdf5", "dataset: /embeddings float32, big-endian, 700 rows of 24, chunks of 64 rows, deflate",
                 "dataset: /g/h float64, 3 dimensions, contiguous", "dataset: /ids int64, 700 rows, contiguous",
                 "vectors: embeddings", "ids: ids"):
        assert line in said.split("\n"), said


def files_arrive_in_milvus(work, server):
    vectors = floats().astype("f4")
    write(work.path("lite_a.h5"), data=vectors, chunks=(50, DIM), compression="gzip")
    write(work.path("lite_b.h5"), numpy.arange(ROWS) - 3, data=vectors.astype(">f8"))
    for name, first in (("lite_a", 0), ("lite_b", -3)):
        work.call("run", work.spec(name, {"path": name + ".h5", "extent_rows": 200}, target={"driver": "milvus", "endpoint": server.uri}))
        work.ended(name, rows_done=ROWS)
        oracle.check_milvus(server.uri, name, rows(vectors, numpy.arange(ROWS) + first))


CHECKS = [
    every_layout_of_h5py_arrives_row_by_row,
    extents_of_many_batches_and_blocks_arrive,
    files_of_every_version_arrive,
    ids_of_every_integer_type_arrive,
    datasets_are_found_by_the_layout_or_by_name,
    vectors_become_the_type_that_the_job_says,
    lists_and_folders_become_partitions_or_one,
    what_cannot_be_read_is_refused_by_name,
    cut_files_and_other_files_are_refused,
    a_crash_of_the_library_is_an_error_of_the_file,
    files_that_change_are_noticed,
    inspect_lists_the_datasets,
]


def main():
    with Work() as work:
        failed = jobs.run_checks(CHECKS, work, together=3)  # they mostly wait for the disk
        with servers.MilvusLite() as server:
            return jobs.run_checks([files_arrive_in_milvus], work, server) or failed


if __name__ == "__main__":
    sys.exit(main())
