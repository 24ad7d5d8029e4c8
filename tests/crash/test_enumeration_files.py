"""Kill -9 at every failpoint that a job into files hits, and again at a seeded point of each resume.

Kinds of job: one thread and many, a Flat and an IVF file, several tasks and units, overwriting and
appending. Each is run once to learn its points; then killed at every point (its first, second and last
hits and a seeded sample), killed again while it resumes, and resumed to the end. Then the output holds
exactly the rows of the source, every file is in the manifest with its checksum, and nothing else is left.

MM_CRASH_SECONDS: wall time (100), the first hit of each point aside. --all: every hit of every point, each
with every second point (some 50,000 pairs: two hours; TMPDIR on a tmpfs halves that)."""

import json
import os
import random
import sys
import tempfile
import time

import numpy

import harness
import oracle
from harness import DONE, KILLED, UNAVAILABLE, USAGE, Job, Wrong

ERRORS = ("store.apply.begin", "store.apply.before_commit", "files.flush.sync")
RESUME_ONLY = ("settle.before", "settle.after", "files.settle.file", "files.settle.unit")


class Kind:
    """One kind of job: its source file, its limits, what stands in the target before."""

    rows, dim, extent = 3000, 64, 200
    limits = {"dumpers": 3, "loaders": 4}
    file_size = "128KiB"
    format = "npy"
    entry = {}
    verify = "count"
    nan = (0, 1, 1999)

    def __init__(self, folder):
        self.path = os.path.join(folder, type(self).__name__ + ".index")
        self.columns = self.make()

    def make(self):
        return harness.ivf_file(self.path, self.rows, self.dim, 3)

    def job(self, program=harness.PROGRAM, folder=None, **more):
        folder = folder or tempfile.mkdtemp(prefix="mm-crash-")
        spec = {"source": {"driver": "faiss", "path": self.path, "extent_rows": self.extent},
                "target": {"driver": "files", "path": os.path.join(folder, "out"), "file_size": self.file_size,
                           "format": self.format},
                "collections": [{"to": "rows", **self.entry}], "duplicates": "keep", "limits": {"memory": "16MiB", **self.limits},
                "verify": self.verify, **more}
        return Job(spec, folder=folder, program=program)

    def expected(self):
        return self.columns

    def before(self, job):
        """What stands in the target before the job."""

    def check_between(self, job):
        """After a kill: what a reader of the folder sees is whole."""
        root = os.path.join(job.folder, "out", "rows")
        if os.path.exists(os.path.join(root, "manifest.json")):
            self.check_published(job, root)

    def check_published(self, job, root):
        check_manifest(root, (self.expected(),))

    def check(self, job):
        out = os.path.join(job.folder, "out")
        oracle.check_files(out, "rows", self.expected())
        if os.listdir(out) != ["rows"]:
            raise Wrong(f"{out} holds {os.listdir(out)}")
        left = [name for name in os.listdir(job.state) if not name.startswith(job.name + ".")]
        if left:
            raise Wrong(f"the state folder holds {os.listdir(job.state)}")


class Flat(Kind):
    """One thread each, two batches a task; values that are not finite stay as they are."""

    rows, dim, extent = 2700, 512, 1350
    limits = {"dumpers": 1, "loaders": 1}
    file_size = "2MiB"
    verify = "full"

    def make(self):
        return harness.flat_file(self.path, self.rows, self.dim, 2, nan=self.nan)


class Ivf(Kind):
    """Many threads, many tasks, many units."""


class Rowgroups(Kind):
    """Parquet: batches are gathered into row groups, files go on after a crash from their recorded state."""

    rows, extent = 2400, 150
    format, file_size = "parquet", "256KiB"
    verify = "full"


class Lines(Kind):
    """JSON lines: text without a fixed width, values that JSON has (no NaN)."""

    rows, dim, extent = 900, 16, 60
    format, file_size = "jsonl", "32KiB"
    verify = "full"


class Many(Ivf):
    """More tasks than can be under way at once: units are flushed in mid-copy and written on."""

    extent = 4
    file_size = "16MiB"


class Replacing(Kind):
    """Files of an earlier job stand under the name: they stay until the new ones are proven."""

    rows, extent = 900, 300
    limits = {"dumpers": 1, "loaders": 2}
    entry = {"if_exists": "overwrite"}
    old_rows = 40

    def __init__(self, folder):
        super().__init__(folder)
        self.old_path = os.path.join(folder, "old.index")
        self.old = harness.flat_file(self.old_path, self.old_rows, self.dim, 9)

    def before(self, job):
        spec = {"source": {"driver": "faiss", "path": self.old_path},
                "target": {"driver": "files", "path": os.path.join(job.folder, "out")}, "collections": [{"to": "rows"}]}
        old = Job(spec, name="old", folder=job.folder + "/old")
        with open(old.file, encoding="utf-8") as file:
            spec = json.load(file)
        spec["target"]["path"] = os.path.join(job.folder, "out")
        with open(old.file, "w", encoding="utf-8") as file:
            json.dump(spec, file)
        if old.start().code != DONE:
            raise Wrong(old.story())

    def check_between(self, job):
        self.check_published(job, os.path.join(job.folder, "out", "rows"))

    def check_published(self, job, root):
        check_manifest(root, (self.old, self.expected()))


class Adding(Replacing):
    """New files beside those that stand there."""

    entry = {"if_exists": "append"}

    def expected(self):
        return {name: numpy.concatenate([self.old[name], self.columns[name]]) for name in self.columns}


def check_manifest(root, allowed):
    """The manifest and what it names are whole, and are one of `allowed`; files of a run that is not yet
    done may stand beside."""
    with open(os.path.join(root, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    units = {}
    for entry in manifest["files"]:
        unit, columns = oracle.read_entry(root, manifest, entry)
        units.setdefault(unit, {}).update(columns)
    got = oracle.rows_as_bytes(oracle._join(units, [field["name"] for field in manifest["schema"]["fields"]]))
    if not any(numpy.array_equal(got, oracle.rows_as_bytes(columns)) for columns in allowed):
        raise Wrong(f"{root}: the published rows are neither the old nor the new ones")


def check_case(kind, points):
    """Killed at each point in turn, then resumed to the end."""
    job = kind.job()
    kind.before(job)
    for number, point in enumerate(points):
        allowed = (UNAVAILABLE,) if point.endswith(":error") else ()
        ended = job.strike(point, first=number == 0, allowed=allowed)
        if ended.code == UNAVAILABLE and not ended.err.strip():
            raise Wrong(f"exit 5 without a word\n{job.story()}")
        if number == 0 and ended.code == KILLED:
            harness.check_after_kill(job)
        kind.check_between(job)
    job.finish()
    harness.check_done(job, len(kind.columns["id"]))
    kind.check(job)
    harness.check_rejects(job, [])
    job.remove()


def learn(kind):
    job = kind.job()
    kind.before(job)
    ended = job.start()
    if ended.code != DONE:
        raise Wrong(f"{kind}: {ended!r}")
    harness.check_done(job, len(kind.columns["id"]))
    kind.check(job)
    job.remove()
    return ended.hits


def plan_cases(kind, hits, seed, everything):
    """[(kind, points)]: every chosen hit, with a second kill in the resume."""
    generator = random.Random(seed)
    names = sorted(set(hits)) + list(RESUME_ONLY)
    cases = []
    for name, number in harness.pick_hits(hits, seed, 10**9 if everything and len(hits) < 1000 else 5):
        seconds = names if everything else [generator.choice(names)]
        cases += [(kind, (f"{name}:{number}:kill", f"{second}:{generator.choice((1, 1, 2))}:kill")) for second in seconds]
    for name in ERRORS:
        for number in (1, 2, hits.count(name)):
            cases.append((kind, (f"{name}:{number}:error", f"{generator.choice(names)}:1:kill")))
    for name in RESUME_ONLY:  # after a kill in mid-copy
        cases.append((kind, ("lane.before_flush:4:kill", f"{name}:1:kill", f"{name}:1:kill")))
    return cases


def in_turn(lists, seed):
    """The cases of all kinds, each kind's points once before any comes again, then shuffled by seed."""
    first, rest = [], []
    for cases in lists:
        seen = set()
        for case in cases:
            name = case[1][0].split(":")[0] + case[1][-1].split(":")[0] * (len(case[1]) > 2)
            (rest if name in seen else first).append(case)
            seen.add(name)
    random.Random(seed).shuffle(rest)
    return first, rest


def check_reset(kind):
    """`reset` killed at each of its points: it is done again, and the job is forgotten."""
    for name in ("store.destroy.begin", "store.destroy.after_unlink"):
        job = kind.job()
        job.strike("committer.after_commit:3:kill")
        ended = job.go("reset", job.name, "--yes", "-q", failpoint=f"{name}:1:kill")
        if ended.code != KILLED:
            raise Wrong(f"{name} was not hit: {ended!r}")
        ended = job.go("reset", job.name, "--yes", "-q")
        if ended.code not in (DONE, USAGE) or job.status() is not None:
            raise Wrong(f"reset after a reset that died: {ended!r}, {job.status()}")
        left = [file for file in os.listdir(job.state) if not file.endswith(".lock")]
        if left:
            raise Wrong(f"reset left {left}")
        job.remove()


def check_commands(kind):
    """`verify` of a run that is done, and `cancel` of one that is not, killed at each of their points."""
    job = kind.job()
    kind.before(job)
    if job.start().code != DONE:
        raise Wrong(job.story())
    hits = job.go("verify", job.name, "--full", "-q").hits
    for name in dict.fromkeys(hits):
        ended = job.go("verify", job.name, "--full", "-q", failpoint=f"{name}:{hits.count(name)}:kill")
        if ended.code not in (KILLED, DONE):  # done: commits were grouped otherwise this time
            raise Wrong(f"{name}: {ended!r}\n{job.story()}")
        job.status()
        if job.go("resume", job.name, "-q").code != DONE or job.go("verify", job.name, "-q").code != DONE:
            raise Wrong(f"after a verification that died at {name}\n{job.story()}")
        harness.check_done(job, len(kind.columns["id"]))
    kind.check(job)
    job.remove()
    for name in ("store.apply.begin", "store.apply.before_commit", "store.apply.after_commit"):
        job = kind.job()
        job.strike("lane.after_send:2:kill")
        if job.go("cancel", job.name, "-q", failpoint=f"{name}:1:kill").code != KILLED:
            raise Wrong(f"{name} was not hit\n{job.story()}")
        if job.go("cancel", job.name, "-q").code != DONE or job.status()["state"] != "cancelled":
            raise Wrong(f"{job.status()}\n{job.story()}")
        job.remove()


def check_swap(kind):
    """Where folders cannot be exchanged the old one is away for a moment: killed there, and again."""
    aside = "folder.exchange:1:error,folder.exchange.aside:1:kill"
    job = kind.job()
    kind.before(job)
    for number in range(2):
        if job.strike(aside, first=number == 0).code not in ((KILLED,), (KILLED, DONE))[number]:
            raise Wrong(f"folder.exchange.aside was not hit\n{job.story()}")
    job.finish()
    harness.check_done(job, len(kind.columns["id"]))
    kind.check(job)
    job.remove()


def check_leftover(kind):
    """A run that overwrites is cancelled in mid-copy: the next one removes what it left beside."""
    job = kind.job()
    kind.before(job)
    for point, command in (("lane.after_send:2", None), ("folder.leftover:1", "cancel")):
        if command and job.go(command, job.name, "-q").code != DONE:
            raise Wrong(job.story())
        if job.strike(f"{point}:kill").code != KILLED:
            raise Wrong(f"{point} was not hit\n{job.story()}")
    job.finish()
    harness.check_done(job, len(kind.columns["id"]))
    kind.check(job)
    job.remove()


def check_chain(kind, hits):
    """A job that dies at the first new point of each process, again and again."""
    job = kind.job()
    kind.before(job)
    deaths = 0
    for name in list(dict.fromkeys(hits)) + list(RESUME_ONLY):
        ended = job.strike(f"{name}:1:kill", first=deaths == 0)
        if ended.code == DONE:
            break
        deaths += 1
        kind.check_between(job)
    job.finish()
    harness.check_done(job, len(kind.columns["id"]))
    kind.check(job)
    job.remove()
    return deaths


def main():
    everything = "--all" in sys.argv[1:]
    began, clock = time.monotonic(), harness.Clock(harness.seconds(100))
    with tempfile.TemporaryDirectory() as folder:
        kinds = [kind(folder) for kind in (Flat, Ivf, Many, Rowgroups, Lines, Replacing, Adding)]
        learned = {kind: learn(kind) for kind in kinds}
        deaths = sum(check_chain(kind, learned[kind]) for kind in kinds)
        check_reset(kinds[0])
        check_commands(kinds[0])
        for check in (check_swap, check_leftover):
            check(next(kind for kind in kinds if type(kind) is Replacing))
        first, rest = in_turn([plan_cases(kind, learned[kind], number, everything) for number, kind in enumerate(kinds)], 1)
        done = harness.run_cases(first, lambda case: check_case(*case), parallel=8)
        done += harness.run_cases(rest, lambda case: check_case(*case), parallel=8, clock=clock)
    print(f"{done} of {len(first) + len(rest)} cases, {deaths} deaths in chains, {len(set().union(*learned.values()))} points, "
          f"{len(harness.points.struck)} of them struck, {time.monotonic() - began:.0f} s")
    print(json.dumps(sorted(harness.points.struck)))
    print("1 passed")


if __name__ == "__main__":
    main()
