"""What the crash tests share: jobs that are killed at named points and resumed, until they are done.

A Job is one job file with a state folder and a target of its own. Its processes are started with
failpoints (engine/base/failpoint.h) by the environment; every one ends within a bound, with an exit code
that the table of states allows. Which points were hit and at which a process was killed is collected and
written to $MM_BUILD/failpoints/ for test_zz_coverage.py."""

import atexit
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.environ.get("MM_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MM_BUILD") or os.path.join(ROOT, "build", "dev")
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import numpy  # noqa: E402
import oracle  # noqa: E402

PROGRAM = os.path.join(BUILD, "mmresume-testing")
NAME = os.path.splitext(os.path.basename(sys.argv[0]))[0]
KILLED = -signal.SIGKILL
DONE, USAGE, CONFIG, DATA, UNAVAILABLE, UNFINISHED, BUSY, CANCELLED, INTERRUPTED = 0, 2, 3, 4, 5, 6, 7, 8, 75
STATES = ("planned", "running", "interrupted", "failed", "cancelled", "done")


class Wrong(AssertionError):
    """A guarantee did not hold. The text tells how to run the case again."""


class Points:
    """Failpoints seen by this test: {name: hits}, and those at which a process died or failed."""

    def __init__(self):
        self.hit, self.struck = set(), set()
        self.lock = threading.Lock()

    def add(self, names, struck):
        with self.lock:
            self.hit.update(names)
            self.struck.update(struck)

    def write(self):
        folder = os.path.join(BUILD, "failpoints")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, NAME + ".json"), "w", encoding="ascii") as file:
            json.dump({"hit": sorted(self.hit), "struck": sorted(self.struck)}, file, indent=1)


server_deaths = []  # of the server that run_beside looks after
running = []        # processes of jobs
points = Points()
atexit.register(points.write)


class Ended:
    """How a process ended: its exit code (negative: signal), what it said, the points it hit in order."""

    def __init__(self, code, out, err, hits, seconds):
        self.code, self.out, self.err, self.hits, self.seconds = code, out, err, hits, seconds

    def __repr__(self):
        return f"exit {self.code} after {self.seconds:.1f} s\n{self.out}{self.err}"


class Job:
    """One job in a folder of its own. spec: the job file as a dict (JSON is YAML), without its name."""

    def __init__(self, spec, name="job", folder=None, program=PROGRAM):
        self.folder = folder or tempfile.mkdtemp(prefix="mm-crash-")
        self.name, self.program = name, program
        self.state = os.path.join(self.folder, "state")
        self.file = os.path.join(self.folder, name + ".yaml")
        self.log = []  # what was done, for the message of a failure
        self.deaths = len(server_deaths)
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        with open(self.file, "w", encoding="utf-8") as file:
            json.dump({"version": 1, "job": name, **spec}, file)

    def command(self, *arguments):
        return [self.program, *arguments, "--state-dir", self.state]

    def spawn(self, *arguments, failpoint=None, env=None, limit_bytes=None):
        """A running process; the points it hits go to job.folder/points."""
        values = dict(os.environ, **(env or {}))
        values.pop("MM_FAILPOINT", None)
        if failpoint:
            values["MM_FAILPOINT"] = failpoint
        listed = os.path.join(self.folder, "points")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(listed)
        if not limit_bytes:  # the limit would hit the list, too
            values["MM_FAILPOINT_LIST"] = listed
        process = subprocess.Popen(self.command(*arguments), env=values, cwd=self.folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   preexec_fn=_limit(limit_bytes) if limit_bytes else None)
        running.append(process)
        return process

    def end(self, process, timeout, struck=()):
        """Waits for a process of this job. A hang is a failure of the test."""
        began = time.monotonic()
        try:
            out, err = process.communicate(timeout=timeout)
            with contextlib.suppress(ValueError):
                running.remove(process)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            out, err = process.communicate()
            raise Wrong(f"hangs after {timeout} s: {process.args}; last points {self.hits()[-6:]}; "
                        f"{self.status()}\n{out}{err}\n{self.story()}") from None
        if len(server_deaths) > self.deaths:
            raise Wrong(f"the server died under {self.story()}")
        hits = self.hits()
        points.add(hits, struck if process.returncode == KILLED else ())
        return Ended(process.returncode, out, err, hits, time.monotonic() - began)

    def hits(self):
        """The points that the last process has hit so far, in their order."""
        try:
            with open(os.path.join(self.folder, "points"), encoding="ascii") as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def go(self, *arguments, failpoint=None, timeout=120, **more):
        """One process to its end."""
        struck = [rule.split(":")[0] for rule in (failpoint or "").split(",") if rule.endswith(":kill")]
        process = self.spawn(*arguments, failpoint=failpoint, **more)
        ended = self.end(process, timeout, struck)
        failed = [rule.split(":") for rule in (failpoint or "").split(",") if rule.endswith(":error")]
        points.add((), [name for name, at, _ in failed if ended.hits.count(name) >= int(at)])
        self.log.append((failpoint, arguments, ended.code, ended.hits[-1:] or None))
        if ended.code < 0 and ended.code != KILLED:
            raise Wrong(f"ended by signal {-ended.code}\n{ended!r}\n{self.story()}")
        return ended

    def wait_hit(self, process, name, timeout=30, hits=1):
        """Until a running process has come to a failpoint that often; it is one with a rule to sleep there,
        or the moment is over."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.hits().count(name) >= hits:
                return
            if process.poll() is not None:
                break
            time.sleep(0.005)
        raise Wrong(f"{name} was not reached: {self.end(process, 1) if process.poll() is not None else 'hangs'}\n{self.story()}")

    def start(self, failpoint=None, **more):
        return self.go("run", self.file, "-q", failpoint=failpoint, **more)

    def resume(self, *arguments, failpoint=None, **more):
        """Goes on; where a kill left no run at all, starts it."""
        ended = self.go("resume", self.name, "-q", *arguments, failpoint=failpoint, **more)
        if ended.code == USAGE and "there is no run" in ended.err:
            return self.start(failpoint=failpoint, **more)
        return ended

    def strike(self, failpoint, first=True, allowed=(), **more):
        """A process that is told to die at `failpoint`. Ended; it was killed, or is done since the point
        was not hit, or ended with one of `allowed`."""
        ended = (self.start if first else self.resume)(failpoint=failpoint, **more)
        if ended.code not in (KILLED, DONE, *allowed):
            raise Wrong(f"{failpoint}: {ended!r}\n{self.story()}")
        return ended

    def finish(self, tries=4, allowed=(UNAVAILABLE, INTERRUPTED), **more):
        """Resumes until the job is done."""
        for _ in range(tries):
            ended = self.resume(**more)
            if ended.code == DONE:
                return ended
            if ended.code not in allowed:
                break
        raise Wrong(f"cannot be finished: {ended!r}\n{self.story()}")

    def status(self):
        """`status --json` of this job, its form checked; None: the store has no such job yet."""
        done = subprocess.run(self.command("status", self.name, "--json"), capture_output=True, text=True, timeout=20,
                              check=False)
        if done.returncode == USAGE:
            return None
        if done.returncode != 0:
            raise Wrong(f"status: exit {done.returncode}: {done.stderr}\n{self.story()}")
        shown = json.loads(done.stdout)
        _check_status(shown)
        return shown

    def story(self):
        return f"job in {self.folder}: " + "; ".join(
            f"{' '.join(os.path.basename(word) for word in arguments)} [{failpoint}] -> {code} (last point {last})"
            for failpoint, arguments, code, last in self.log)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def _limit(size):
    def apply():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return apply


def _check_status(shown):
    keys = {"job", "run", "state", "rows_done", "rows_total", "rows_rejected", "bytes_done", "tasks",
            "rate_rows_per_s", "eta_s", "started_at", "finished_at", "verdict", "error"}
    if set(shown) != keys:
        raise Wrong(f"status: keys {set(shown) ^ keys}")
    if shown["state"] not in STATES:
        raise Wrong(f"status: state {shown['state']}")
    total = shown["rows_total"]
    if total is not None and not 0 <= shown["rows_done"] + shown["rows_rejected"] <= total:
        raise Wrong(f"status: {shown}")
    tasks = shown["tasks"]
    if not 0 <= tasks["done"] + tasks["running"] <= tasks["total"]:
        raise Wrong(f"status: {shown}")
    if (shown["state"] in ("done", "cancelled", "failed")) != (shown["finished_at"] is not None):
        raise Wrong(f"status: {shown}")


def check_after_kill(job):
    """What the table of states says of a job whose process was killed: status tells it in order, `run`
    refuses (6), unless nothing was recorded or all was."""
    shown = job.status()
    if shown is None or shown["run"] is None:
        return
    if shown["state"] not in ("planned", "interrupted", "done"):
        raise Wrong(f"state {shown['state']} after a kill\n{job.story()}")
    if shown["state"] == "done":
        return
    ended = job.go("run", job.file, "-q")
    if ended.code != UNFINISHED or "resume" not in ended.err:
        raise Wrong(f"`run` on an unfinished run: {ended!r}\n{job.story()}")


def check_done(job, rows, rejected=0, verdict="equal"):
    """The job's own account: done, equal, this many rows; no file of a dead process is left."""
    shown = job.status()
    if shown["state"] != "done" or shown["error"] is not None:
        raise Wrong(f"{shown}\n{job.story()}")
    if (shown["rows_done"], shown["rows_rejected"]) != (rows, rejected):
        raise Wrong(f"{shown} instead of {rows} rows and {rejected} rejects\n{job.story()}")
    tasks = shown["tasks"]
    if tasks["done"] != tasks["total"] or tasks["running"] != 0:
        raise Wrong(f"{shown}\n{job.story()}")
    if shown["verdict"]["state"] != verdict:
        raise Wrong(f"{shown}\n{job.story()}")
    if verdict == "equal" and (shown["verdict"]["source_rows"] != rows or shown["verdict"]["target_rows"] != rows):
        raise Wrong(f"{shown}\n{job.story()}")


def check_rejects(job, expected):
    """The dead-letter file: one line for each expected key, none twice, none else."""
    path = os.path.join(job.state, job.name + ".rejects.ndjson")
    lines = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
    keys = sorted(int(line["key"]) for line in lines)
    if keys != sorted(expected):
        raise Wrong(f"rejects {keys} instead of {sorted(expected)}\n{job.story()}")
    for line in lines:
        if not line["reason"] or not line["field"]:
            raise Wrong(f"a reject without a reason: {line}\n{job.story()}")


# source files


def flat_file(path, rows, dim, seed, nan=()):
    """A FAISS IndexFlatL2, written by the FAISS library. Its rows as columns; NaN in some."""
    import faiss

    vectors = numpy.random.default_rng(seed).standard_normal((rows, dim), dtype=numpy.float32)
    index = faiss.IndexFlatL2(dim)
    for number, row in enumerate(nan):
        vectors[row, number % dim] = numpy.nan
    index.add(vectors)
    faiss.write_index(index, path)
    return {"id": numpy.arange(rows, dtype=numpy.int64), "vector": vectors}


def ivf_file(path, rows, dim, seed, lists=7):
    """A FAISS IndexIVFFlat with ids of its own in lists of uneven length."""
    import faiss

    generator = numpy.random.default_rng(seed)
    vectors = generator.standard_normal((rows, dim), dtype=numpy.float32)
    vectors[: rows // 2] *= 0.1
    quantizer = faiss.IndexFlatL2(dim)
    index = faiss.IndexIVFFlat(quantizer, dim, lists)
    index.train(vectors[: max(lists * 40, rows // 4)])
    ids = generator.permutation(rows).astype(numpy.int64) * 3 + 1
    index.add_with_ids(vectors, ids)
    faiss.write_index(index, path)
    return {"id": ids, "vector": vectors}


def without(columns, rows):
    """Columns less the rows of these numbers."""
    keep = numpy.ones(len(columns["id"]), dtype=bool)
    keep[list(rows)] = False
    return {name: column[keep] for name, column in columns.items()}


# enumerating


def pick_hits(hits, seed, most):
    """[(name, n)] of the hits in their order: for each point the first, second, last and seeded others, at
    most `most` of each."""
    generator = random.Random(seed)
    chosen = []
    for name in dict.fromkeys(hits):
        count = hits.count(name)
        numbers = {1, min(2, count), count}
        others = [n for n in range(1, count + 1) if n not in numbers]
        generator.shuffle(others)
        numbers.update(others[: max(0, most - len(numbers))])
        chosen += [(name, n) for n in sorted(numbers)]
    return chosen


class Clock:
    """Wall time that a test may still take."""

    def __init__(self, seconds):
        self.until = time.monotonic() + seconds

    def over(self):
        return time.monotonic() > self.until


def seconds(default):
    """MM_CRASH_SECONDS, or a default (--all: no limit)."""
    unset = "inf" if "--all" in sys.argv[1:] else default
    return float(os.environ.get("MM_CRASH_SECONDS", unset))


def run_cases(cases, check, parallel=1, clock=None):
    """check(case) for each case, `parallel` at once, until the clock is over (cases that were begun are
    ended). The number of cases checked. Raises with the first failures, all cases told."""
    from concurrent.futures import ThreadPoolExecutor

    failures, done, lock = [], [0], threading.Lock()

    def one(case):
        if (clock and clock.over()) or len(failures) >= 5:
            return
        try:
            check(case)
        except Exception as error:  # a case's failure must not hide the others
            with lock:
                failures.append(f"case {str(case)[:160]}: {type(error).__name__}: {error}")
        with lock:
            done[0] += 1

    with ThreadPoolExecutor(parallel) as pool:
        list(pool.map(one, cases))
    if failures:
        raise Wrong(f"{len(failures)} of {done[0]} cases failed:\n" + "\n\n".join(failures))
    return done[0]


def run_beside(server, cases, check, parallel=1, clock=None):
    """run_cases, while this thread looks after the server as a supervisor does: a Milvus 2.3.5 dies of a nil pointer in
    GetImportState and ListImportTasks when their client vanishes in the middle of the call, which a kill may bring
    about. It is started again, and the cases in which that happened are made once more, from their beginning, at once: what
    was pending in the server stays so for 15 minutes."""
    from concurrent.futures import ThreadPoolExecutor

    def alive():
        process = server.process
        return process is not None and process.poll() is None

    def one(case):
        for left in (2, 1, 0):
            before = len(server_deaths)
            try:
                return check(case)
            except Exception as error:
                if left == 0 or (alive() and len(server_deaths) == before):
                    raise
                print(f"the server died in case {str(case)[:160]}, which is made once more: {str(error)[:300]}", flush=True)
            end = time.monotonic() + 120
            while not (alive() and server.healthy()) and time.monotonic() < end:
                time.sleep(0.2)

    with ThreadPoolExecutor(1) as pool:
        cases_done = pool.submit(run_cases, cases, one, parallel, clock)
        while not cases_done.done():
            if not alive():
                log = server.log_tail(1 << 20)
                server_deaths.append(next((line for line in log.splitlines() if "(*Proxy)." in line), log[-300:]))
                print(f"the server ended by itself and is started again: {server_deaths[-1][:200]}", flush=True)
                for process in list(running):
                    process.kill()
                with contextlib.suppress(RuntimeError, TimeoutError):  # it died again while it started: from the beginning
                    server.restart()
            time.sleep(0.1)
        return cases_done.result()
