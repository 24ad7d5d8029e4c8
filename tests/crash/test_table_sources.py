"""Kill -9 at points of jobs from files of rows, and again in the resume: npy, jsonl, parquet, hdf5, a dump and a data
folder of Milvus 1.x into files.

Sources have no state of their own; what is shown here is that reading goes on from a cursor in the middle of a
part, in a new process, with the same rows. MM_CRASH_SECONDS: wall time (40)."""

import json
import os
import random
import sys
import tempfile

import h5py
import numpy
import pyarrow
import pyarrow.parquet

import harness
import milvus1x_files
import oracle
from harness import DONE, KILLED, Job, Wrong

ROWS, DIM = 1500, 64
RESUME_POINTS = ("store.apply.before_commit", "files.flush.sync", "settle.after")


def columns(rows=ROWS):
    return {"id": numpy.arange(rows, dtype="i8") * 2 - 700,
            "vector": numpy.random.default_rng(4).standard_normal((rows, DIM), dtype="f4")}


def write_npy(folder, rows):
    path = os.path.join(folder, "rows")
    os.makedirs(path)
    for name, column in rows.items():
        numpy.save(os.path.join(path, name + ".npy"), numpy.asfortranarray(column.astype(column.dtype.newbyteorder(">"))))
    return path


def write_jsonl(folder, rows):
    path = os.path.join(folder, "rows.jsonl")
    with open(path, "w", encoding="ascii") as file:
        for key, vector in zip(rows["id"], rows["vector"]):
            file.write(json.dumps({"vector": vector.tolist(), "id": int(key)}) + "\n")
    return path


def write_parquet(folder, rows):
    path = os.path.join(folder, "rows.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"id": rows["id"], "vector": list(rows["vector"])}), path, row_group_size=400)
    return path


def write_hdf5(folder, rows):
    """A file that is read by its offsets, and one that the library unpacks in a process of its own."""
    middle = len(rows["id"]) // 2
    for name, half, how in (("a", slice(0, middle), {}), ("b", slice(middle, None), {"chunks": (700, 9), "compression": "gzip"})):
        with h5py.File(os.path.join(folder, name + ".h5"), "w") as file:
            file.create_dataset("embeddings", data=rows["vector"][half], **how)
            file["ids"] = rows["id"][half].astype(">i4")
    return [os.path.join(folder, "a.h5"), os.path.join(folder, "b.h5")]


def write_dump(folder, rows):
    """By a job of its own, from the arrays."""
    job = Job({"source": {"driver": "npy", "path": write_npy(folder, rows)},
               "target": {"driver": "files", "path": os.path.join(folder, "dump"), "format": "parquet", "file_size": "100KiB"}})
    ended = job.start()
    job.remove()
    if ended.code != DONE:
        raise Wrong(repr(ended))
    return os.path.join(folder, "dump")


def write_milvus1x(folder, rows):
    """The rows in two segments among others that are deleted, after a segment that has half of them as they were before."""
    ids, vectors = rows["id"], rows["vector"]
    dead = numpy.arange(0, 900, 3)  # rows of the second segment that are deleted
    live = numpy.setdiff1d(numpy.arange(1100), dead)
    mixed_ids, mixed = numpy.full(1100, 10**9, dtype="i8"), numpy.zeros((1100, DIM), dtype="f4")
    mixed_ids[live], mixed[live] = ids[: len(live)], vectors[: len(live)]
    made = milvus1x_files.Folder()
    collection = made.add("old", DIM)
    collection.add(milvus1x_files.Segment(ids[::2], -vectors[::2]))
    collection.add(milvus1x_files.Segment(mixed_ids, mixed, [int(row) for row in dead[::-1]]))
    collection.add(milvus1x_files.Segment(ids[len(live):], vectors[len(live):]))
    made.write(folder)
    return folder


class Kind:
    """rows, dumpers: with many of both an extent is several batches, and a cursor stands in its middle."""

    def __init__(self, folder, driver, write, duplicates="keep", rows=ROWS, dumpers=2, **source):
        self.driver, self.rows, self.duplicates, self.dumpers = driver, columns(rows), duplicates, dumpers
        inner = os.path.join(folder, driver)
        os.makedirs(inner)
        self.source = {"driver": driver, "path": write(inner, self.rows), **source}

    def job(self):
        folder = tempfile.mkdtemp(prefix="mm-crash-")
        return Job({"source": self.source, "duplicates": self.duplicates, "verify": "full", "limits": {"memory": "16MiB", "dumpers": self.dumpers},
                    "target": {"driver": "files", "path": os.path.join(folder, "out"), "format": "npy",
                               "file_size": "64KiB" if self.dumpers == 2 else "400KiB"},
                    "collections": [{"to": "rows"}]}, folder=folder)

    def check(self, job):
        oracle.check_files(os.path.join(job.folder, "out"), "rows", self.rows)
        harness.check_done(job, len(self.rows["id"]))
        job.remove()


def points_of(kind):
    job = kind.job()
    ended = job.start()
    if ended.code != DONE:
        raise Wrong(f"{kind.driver}: {ended!r}")
    kind.check(job)
    return harness.pick_hits(ended.hits, kind.driver, 3)


def strike(case):
    kind, (name, hit), again = case
    job = kind.job()
    ended = job.strike(f"{name}:{hit}:kill")
    if ended.code == KILLED:
        job.strike(again, first=False)
        if job.status() is not None and job.status()["state"] != "done":
            job.finish()
        elif job.status() is None:
            job.start()
    kind.check(job)


def main():
    folder = tempfile.mkdtemp(prefix="mm-crash-tables-")
    kinds = [Kind(folder, "npy", write_npy, extent_bytes="100KiB"), Kind(folder, "jsonl", write_jsonl, extent_bytes="100KiB"),
             Kind(folder, "parquet", write_parquet, extent_bytes="100KiB"),
             Kind(folder, "hdf5", write_hdf5, rows=9000, dumpers=16), Kind(folder, "dump", write_dump),
             Kind(folder, "milvus1x", write_milvus1x, "last", extent_bytes="100KiB")]
    generator = random.Random(11)
    cases = [(kind, point, f"{generator.choice(RESUME_POINTS)}:{generator.randint(1, 3)}:kill")
             for kind in kinds for point in points_of(kind)]
    generator.shuffle(cases)
    cases.sort(key=lambda case: not case[1][0].startswith(case[0].driver + "."))  # a source's own points first
    done = harness.run_cases(cases, strike, parallel=2, clock=harness.Clock(harness.seconds(40)))
    print(f"{done} of {len(cases)} cases, {len(kinds)} kinds of source: every row once")
    return 0 if done >= min(20, len(cases)) else 1


if __name__ == "__main__":
    sys.exit(main())
