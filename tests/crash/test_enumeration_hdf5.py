"""Kill -9 at every failpoint that a job into HDF5 files hits, and again at a seeded point of each resume.

At every moment a file that is called .h5 is one that h5py opens and that holds what it should, and under the
collection's name stands nothing, the former collection, or the whole new one. In the end the rows are those of the
source, each once, and nothing else is left.

MM_CRASH_SECONDS: wall time (25), the first hit of each point aside. --all: every hit of every point."""

import glob
import json
import os
import random
import sys
import tempfile
import time

import h5py
import numpy
import pyarrow
import pyarrow.parquet

import harness
import oracle
from harness import DONE, KILLED, UNAVAILABLE, Job, Wrong

ERRORS = ("store.apply.begin", "store.apply.before_commit", "hdf5.flush.sync")
RESUME_ONLY = ("settle.before", "settle.after", "hdf5.settle.after")


class Kind:
    """One kind of job. columns: what is in the source; parts: {file: rows of them that arrive there}."""

    rows, dim, extent = 2400, 32, 200
    limits = {"dumpers": 3, "loaders": 4}
    entry, target = {"to": "rows"}, {}
    duplicates = "keep"

    def __init__(self, folder):
        self.path = os.path.join(folder, type(self).__name__)
        self.columns = self.make()
        self.parts = {"None": slice(None)}

    def make(self):
        return harness.ivf_file(self.path, self.rows, self.dim, 3)

    def source(self):
        return {"driver": "faiss", "path": self.path, "extent_rows": self.extent}

    def job(self):
        folder = tempfile.mkdtemp(prefix="mm-crash-")
        spec = {"source": self.source(), "target": {"driver": "hdf5", "path": os.path.join(folder, "out"), **self.target},
                "collections": [self.entry], "duplicates": self.duplicates, "limits": {"memory": "16MiB", **self.limits},
                "verify": "full"}
        return Job(spec, folder=folder)

    def before(self, job):
        """What stands in the target before the job."""

    def count(self):
        return sum(len(self.columns["id"][rows]) for rows in self.parts.values())

    def expected(self, part):
        return oracle.rows_as_bytes({name: column[self.parts[part]] for name, column in self.columns.items()})

    def place(self, job):
        """The folder of collections; None: not there yet."""
        found = glob.glob(os.path.join(job.folder, "out", "*-1"))
        return found[0] if found else None

    def read(self, path):
        with h5py.File(path, "r") as file:
            return oracle.rows_as_bytes({"id": file["ids"][:], "vector": file["embeddings"][:]})

    def check_file(self, path):
        """A whole file, wherever it stands, holds its rows."""
        if not numpy.array_equal(self.read(path), self.expected(os.path.basename(path).removesuffix(".h5"))):
            raise Wrong(f"{path} does not hold the rows of the source")

    def check_between(self, job):
        out = os.path.join(job.folder, "out")
        for base, _, names in os.walk(out):
            for name in names:
                if name.endswith(".h5"):
                    self.check_file(os.path.join(base, name))
        place = self.place(job)
        published = os.path.join(place or out, "rows")
        if os.path.exists(published) and sorted(os.listdir(published)) != self.names():
            raise Wrong(f"{published} holds {os.listdir(published)}")

    def names(self):
        return sorted(part + ".h5" for part in self.parts)

    def check(self, job):
        place = self.place(job)
        self.check_between(job)
        if sorted(os.listdir(place)) != ["rows", "yamls"] or sorted(os.listdir(os.path.join(place, "rows"))) != self.names():
            raise Wrong(f"{place} holds {[inner for inner in os.walk(place)]}\n{job.story()}")
        if sorted(os.listdir(os.path.join(place, "yamls", "rows"))) != [part + ".yaml" for part in sorted(self.parts)]:
            raise Wrong(f"{place}/yamls/rows holds {os.listdir(os.path.join(place, 'yamls', 'rows'))}\n{job.story()}")
        left = [name for name in os.listdir(os.path.dirname(place)) if name.startswith(".")]
        left += [name for name in os.listdir(job.state) if not name.startswith(job.name + ".")]
        if left:
            raise Wrong(f"left behind: {left}\n{job.story()}")


class Flat(Kind):
    """One thread each, two batches a task."""

    rows, dim, extent = 2700, 512, 1350
    limits = {"dumpers": 1, "loaders": 1}

    def make(self):
        return harness.flat_file(self.path, self.rows, self.dim, 2, nan=(0, 1, 1999))


class Many(Kind):
    """More tasks than can be under way at once: ranges are flushed in mid-copy, and let go."""

    extent = 5


class Thinned(Kind):
    """Rows that share a key are dropped: what they leave empty is filled, in every partition."""

    duplicates = "first"
    entry = {"from": "rows", "partitions": {"a": "a", "b": "b", "c": "a"}}

    def __init__(self, folder):
        super().__init__(folder)
        ids = self.columns["id"]
        _, first = numpy.unique(ids, return_index=True)
        where = numpy.arange(len(ids)) // 800
        self.parts = {"a": first[where[first] != 1], "b": first[where[first] == 1]}

    def make(self):
        generator = numpy.random.default_rng(5)
        columns = {"id": generator.permutation(2400).astype("i8") % 1700, "vector": generator.standard_normal((2400, self.dim), dtype="f4")}
        for number, name in enumerate("abc"):
            rows = slice(800 * number, 800 * number + 800)
            os.makedirs(os.path.join(self.path, name))
            vectors = pyarrow.array(list(columns["vector"][rows]), pyarrow.list_(pyarrow.float32(), self.dim))
            pyarrow.parquet.write_table(pyarrow.table({"id": columns["id"][rows], "vector": vectors}),
                                        os.path.join(self.path, name, "rows.parquet"), row_group_size=100)
        return columns

    def source(self):
        return {"driver": "parquet", "path": self.path, "partition_by": "folder", "collection": "rows", "extent_bytes": "10KiB"}


class Replacing(Kind):
    """A former collection stands under the name: it stays until the new one is proven."""

    rows, extent = 900, 300
    limits = {"dumpers": 1, "loaders": 2}
    entry, target = {"to": "rows", "if_exists": "overwrite"}, {"run_folder": False}

    def __init__(self, folder):
        super().__init__(folder)
        self.old_path = os.path.join(folder, "old.index")
        self.old = oracle.rows_as_bytes(harness.flat_file(self.old_path, 40, self.dim, 9))

    def before(self, job):
        spec = {"source": {"driver": "faiss", "path": self.old_path}, "collections": [{"to": "rows"}],
                "target": {"driver": "hdf5", "path": os.path.join(job.folder, "out"), **self.target}}
        if Job(spec, name="old", folder=os.path.join(job.folder, "old")).start().code != DONE:
            raise Wrong(job.story())

    def place(self, job):
        return os.path.join(job.folder, "out")

    def check_file(self, path):
        if not numpy.array_equal(self.read(path), self.old):
            super().check_file(path)

    def check_between(self, job):
        super().check_between(job)
        if not os.path.exists(os.path.join(self.place(job), "rows")):
            raise Wrong(f"the old collection is gone\n{job.story()}")

    def check(self, job):
        super().check(job)
        super().check_file(os.path.join(self.place(job), "rows", "None.h5"))


def check_case(case):
    """Killed at each point in turn, then resumed to the end."""
    kind, points = case
    job = kind.job()
    kind.before(job)
    for number, point in enumerate(points):
        ended = job.strike(point, first=number == 0, allowed=(UNAVAILABLE,) if point.endswith(":error") else ())
        if number == 0 and ended.code == KILLED:
            harness.check_after_kill(job)
        kind.check_between(job)
    finish(kind, job)


def finish(kind, job):
    job.finish()
    harness.check_done(job, kind.count())
    kind.check(job)
    harness.check_rejects(job, [])
    job.remove()


def learn(kind):
    job = kind.job()
    kind.before(job)
    ended = job.start()
    if ended.code != DONE:
        raise Wrong(f"{kind}: {ended!r}")
    harness.check_done(job, kind.count())
    kind.check(job)
    job.remove()
    return ended.hits


def plan_cases(kind, hits, seed, everything):
    """[(kind, points)]: every chosen hit, with a second kill in the resume; those of the target first."""
    generator = random.Random(seed)
    names = sorted(set(hits)) + list(RESUME_ONLY)
    own = [name for name in names if name.startswith("hdf5.")]
    cases = [(kind, (f"{name}:{number}:kill", f"{generator.choice(own if number % 2 else names)}:{generator.choice((1, 1, 2))}:kill"))
             for name, number in harness.pick_hits(hits, seed, 10**9 if everything else 5)]
    cases += [(kind, (f"{name}:{number}:error", f"{generator.choice(names)}:1:kill")) for name in ERRORS
              for number in (1, hits.count(name))]
    cases += [(kind, ("lane.before_flush:2:kill", f"{name}:1:kill", f"{name}:1:kill")) for name in RESUME_ONLY]
    return cases


def in_turn(cases, seed):
    """First each point of the target once in each kind of job, then the others, shuffled."""
    first, rest, seen = [], [], set()
    for kind, points in cases:
        key = (kind, points[0].split(":")[0], len(points) > 2 and points[1])
        own = points[0].startswith("hdf5.") or len(points) > 2
        (first if own and key not in seen else rest).append((kind, points))
        seen.add(key)
    random.Random(seed).shuffle(rest)
    return first, rest


def check_chain(kind, hits):
    """A job that dies at the first new point of each process, again and again."""
    job = kind.job()
    kind.before(job)
    deaths = 0
    for name in [name for name in dict.fromkeys(hits) if name.startswith(("hdf5.", "step."))] + list(RESUME_ONLY):
        ended = job.strike(f"{name}:1:kill", first=deaths == 0)
        if ended.code == DONE:
            break
        deaths += 1
        kind.check_between(job)
    finish(kind, job)
    return deaths


def main():
    everything = "--all" in sys.argv[1:]
    began, clock = time.monotonic(), harness.Clock(harness.seconds(25))
    with tempfile.TemporaryDirectory() as folder:
        kinds = [kind(folder) for kind in (Flat, Kind, Many, Thinned, Replacing)]
        learned = {kind: learn(kind) for kind in kinds}
        for point in ("hdf5.seal.moved", "hdf5.seal.filled"):
            if point not in learned[kinds[3]]:
                raise Wrong(f"{point} was not hit")
        deaths = sum(check_chain(kind, learned[kind]) for kind in kinds)
        first, rest = in_turn([case for number, kind in enumerate(kinds) for case in plan_cases(kind, learned[kind], number, everything)], 1)
        done = harness.run_cases(first, check_case, parallel=8)
        done += harness.run_cases(rest, check_case, parallel=8, clock=clock)
    print(f"{done} of {len(first) + len(rest)} cases, {deaths} deaths in chains, {len(set().union(*learned.values()))} points, "
          f"{len(harness.points.struck)} of them struck, {time.monotonic() - began:.0f} s")
    print(json.dumps(sorted(harness.points.struck)))
    print("1 passed")


if __name__ == "__main__":
    main()
