"""The target `files`, killed at every failpoint it passes and once more while it goes on: in the end exactly
the rows, each once, and at every moment no file that is not whole. NumPy, pyarrow and json read what was written.

Usage: test_files_sink.py [seed…]"""

import collections
import concurrent.futures
import glob
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile

import numpy
import pyarrow.parquet

import oracle

BUILD = os.environ.get("MM_BUILD", "build/dev")
ENGINE = os.path.join(BUILD, "tests", "files_engine")
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a kill loses nothing of it, and it is quick
TASKS, ROWS = 6, 300
FORMS = ("npy", "jsonl", "json", "parquet")
NAME = "pro ducts"


def expected(first=0, tasks=TASKS, rows=ROWS):
    """{partition: columns}, by the rule in files_engine.c."""
    parts = collections.defaultdict(list)
    for task in range(first, first + tasks):
        row = numpy.arange(rows)
        if task % 2:
            row = row[(row + task) % 7 != 3]
        parts[("_default", "even/odd", "p2")[task % 3]].append(task * 1000000 + row)
    return {name: _columns(numpy.concatenate(ids)) for name, ids in parts.items()}


def _columns(ids):
    vector = ids.astype(numpy.float32)[:, None] / numpy.float32(2) + numpy.arange(8, dtype=numpy.float32)
    return {"id": ids.astype(numpy.int64), "vector": vector, "name": numpy.array([b"n%d" % (i % 1000) for i in ids], "S12")}


def rows_of(path):
    """What an independent reader finds in a file, whatever the program says of it."""
    if path.endswith(".npy"):
        return len(numpy.load(path))
    if path.endswith(".parquet"):
        return pyarrow.parquet.read_metadata(path).num_rows
    with open(path, encoding="utf-8") as file:
        return len(json.load(file)["rows"]) if path.endswith(".json") else sum(1 for line in file if json.loads(line))


class Case:
    """A fresh folder and store."""

    def __init__(self, mode="fail", lanes=1, seed=1, first=0, base=None, form="npy"):
        self.base = base or tempfile.mkdtemp(prefix="mm-files-", dir=MEMORY)
        self.out = os.path.join(self.base, "out")
        self.store = os.path.join(self.base, f"store{first}")
        self.form, self.mode = form, mode
        self.arguments = [self.out, self.store, form, mode, str(seed), str(lanes), str(first), str(TASKS), str(ROWS)]

    def run(self, failpoint=None, hits=None):
        env = dict(os.environ)
        if failpoint:
            env["MM_FAILPOINT"] = failpoint
        if hits:
            env["MM_FAILPOINT_LIST"] = hits
        return subprocess.run([ENGINE, *self.arguments], env=env, capture_output=True, text=True, timeout=60)

    def done(self):
        result = self.run()
        assert result.returncode == 0 and result.stdout == "done\n", (result, self.base)

    def killed(self, failpoint):
        """True when it was killed there, False when it did not come so far and was done."""
        result = self.run(failpoint)
        assert result.returncode in (0, -signal.SIGKILL), (result, self.base)
        self.only_whole_files()
        return result.returncode != 0

    def only_whole_files(self):
        """Every file under its name is one of a sealed unit of the store; a manifest names all and only them."""
        sealed = set()
        if os.path.exists(self.store):
            with open(self.store, encoding="utf-8") as file:
                for line in file:
                    key, value = line.rstrip("\n").split("\t", 1)
                    if key.startswith("state/unit/") and json.loads(value)["state"] == "sealed":
                        sealed.add(json.loads(value)["rows"])
        for path in glob.glob(os.path.join(self.out, "*", "*", "**", "*." + self.form), recursive=True):
            rows = rows_of(path)
            assert rows in sealed or self.mode != "fail", (path, rows)
        if os.path.exists(os.path.join(self.out, oracle.quote(NAME), "manifest.json")) and self.mode == "fail":
            oracle.check_files(self.out, NAME, expected())

    def remove(self):
        shutil.rmtree(self.base)


def hits_of(make, prepare):
    """Every failpoint hit of an undisturbed run, as NAME:N:kill."""
    case = make()
    prepare(case)
    with tempfile.NamedTemporaryFile() as names:
        result = case.run(hits=names.name)
        assert result.returncode == 0, result
        counts = collections.Counter(names.read().decode().split())
    case.remove()
    return [f"{name}:{number}:kill" for name, count in sorted(counts.items()) for number in range(1, count + 1)]


def crash_everywhere(mode, lanes, seed, prepare, check, sample=None, pairs=0, form="npy"):
    """Kills at each hit (or a sample of them), at `pairs` of those again during the first resume."""

    def make():
        return Case(mode, lanes, seed, first=100 if mode != "fail" else 0, form=form)

    points = hits_of(make, prepare)
    chooser = random.Random(seed)
    chosen = points if sample is None else chooser.sample(points, min(sample, len(points)))
    second = [None] * len(chosen) + [chooser.choice(points) for _ in range(pairs)]
    chosen = chosen + [chooser.choice(points) for _ in range(pairs)]

    def crash(point, again):
        case = make()
        prepare(case)
        case.killed(point)
        if again:
            case.killed(again)
        case.done()
        case.done()  # and once more on what is done already
        check(case)
        case.remove()

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(crash, chosen, second))
    return len(chosen)


def first_run(case):
    """A collection of tasks 0 … that is there before."""
    Case("fail", 1, 5, 0, case.base, case.form).done()


def merged(left, right):
    return {name: {field: numpy.concatenate([left[name][field], right[name][field]]) for field in left[name]}
            for name in left}


def check_plain(case):
    oracle.check_files(case.out, NAME, expected())


def check_append(case):
    oracle.check_files(case.out, NAME, merged(expected(), expected(100)))


def check_overwrite(case):
    oracle.check_files(case.out, NAME, expected(100))
    assert sorted(os.listdir(case.out)) == [oracle.quote(NAME)], os.listdir(case.out)


def modes():
    """fail refuses what is there and leaves it; skip leaves it and says so."""
    case = Case()
    case.done()
    refused = Case("fail", 1, 1, 100, case.base).run()
    assert refused.returncode == 3 and "holds a collection" in refused.stderr, refused
    skipped = Case("skip", 1, 1, 100, case.base).run()
    assert skipped.returncode == 0 and skipped.stdout == "skipped\n", skipped
    check_plain(case)
    os.unlink(os.path.join(case.out, oracle.quote(NAME), "manifest.json"))
    for mode in ("fail", "append", "skip"):
        refused = Case(mode, 1, 1, 200, case.base).run()
        assert refused.returncode == 3 and "has no manifest.json" in refused.stderr, refused
        os.unlink(os.path.join(case.base, "store200"))
    case.remove()
    return 5


def tampered(form="npy"):
    """A recorded file that is gone or shorter is named, not papered over."""
    count = 0
    for damage in (os.unlink, lambda path: os.truncate(path, 100)):
        case = Case(form=form)
        assert case.killed("files.flush.synced:20:kill")
        name = "id.npy" if form == "npy" else "rows." + form
        damage(sorted(glob.glob(os.path.join(case.out, "*", "*", "00000" if form == "npy" else ".00000", name + "*")))[0])
        refused = case.run()
        assert refused.returncode == 3 and "00000" in refused.stderr, refused
        case.remove()
        count += 1
    return count


def failed_sync():
    """A sync that fails ends the run; nothing that it left in doubt is vouched for."""
    for number in (1, 7, 30):
        case = Case()
        result = case.run(f"files.flush.sync:{number}:error")
        assert result.returncode == 5, result
        case.only_whole_files()
        case.done()
        check_plain(case)
        case.remove()
    return 3


def main(seeds):
    total = modes() + tampered() + failed_sync()
    nothing = lambda case: None  # noqa: E731
    for seed, lanes in itertools.product(seeds, (1, 3)):
        sample = None if lanes == 1 and seed == seeds[0] else 60
        total += crash_everywhere("fail", lanes, seed, nothing, check_plain, sample, 40)
    for form in FORMS[1:]:
        total += crash_everywhere("fail", 2, seeds[0], nothing, check_plain, 60, 30, form)
        total += crash_everywhere("append", 1, seeds[0], first_run, check_append, 20, 10, form)
        total += crash_everywhere("overwrite", 2, seeds[0], first_run, check_overwrite, 20, 10, form)
        total += tampered(form)
    total += crash_everywhere("append", 2, seeds[0], first_run, check_append, 40, 10)
    points = crash_everywhere("overwrite", 1, seeds[0], first_run, check_overwrite, 60, 10)
    print(f"{total + points} passed")


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [1])
