"""What the tests of whole jobs share: a folder with job files and savepoints, the built program driven like
a user drives it, FAISS files of small data, and the running of checks that are named by sentences.

Knows the command line and the form of a job file, nothing of a target."""

import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import faiss
import numpy

ROOT = os.environ.get("MM_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MM_BUILD") or os.path.join(ROOT, "build", "dev")
DONE, USAGE, CONFIG, DATA, UNAVAILABLE, UNFINISHED, BUSY, CANCELLED, INTERRUPTED = 0, 2, 3, 4, 5, 6, 7, 8, 75
KILLED = -signal.SIGKILL


# data


def floats(rows, dim=16, seed=1):
    return numpy.random.default_rng(seed).standard_normal((rows, dim), dtype="f4")


def write_flat(path, vectors, ids=None):
    """A Flat index, under an IDMap when ids are given."""
    index = faiss.IndexFlatL2(vectors.shape[1])
    if ids is None:
        index.add(vectors)
    else:
        index = faiss.IndexIDMap(index)
        index.add_with_ids(vectors, ids)
    faiss.write_index(index, path)


def rows(ids, vectors, key="id", vector="vector"):
    return {key: numpy.asarray(ids, dtype="i8"), vector: vectors}


# the program


class Jobs:
    """A folder with job files, sources and savepoints. environment is added to that of every process."""

    def __init__(self, environment=None):
        self._temporary = tempfile.TemporaryDirectory(prefix="mm-jobs-")
        self.folder = self._temporary.name
        self.state = os.path.join(self.folder, "state")
        self.environment = dict(os.environ, MMRESUME_STATE_DIR=self.state, **(environment or {}))
        self.said = []  # everything that any process wrote

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._temporary.cleanup()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def job(self, name, path, target, collection=None, **more):
        """Writes NAME.yaml (JSON is YAML). collection: the one entry of collections."""
        spec = {"version": 1, "job": name, "source": {"driver": "faiss", "path": path}, "target": target}
        if collection is not None:
            spec["collections"] = [collection]
        for key, value in more.items():
            spec[key] = {**spec[key], **value} if key == "source" else value
        file = self.path(name + ".yaml")
        with open(file, "w", encoding="utf-8") as out:
            json.dump(spec, out, indent=1)
        return file

    def start(self, *arguments, failpoint=None, environment=None):
        """A process of the program; with a failpoint, of the one that has them."""
        program = os.path.join(BUILD, "mmresume-testing" if failpoint else "mmresume")
        environment = {**self.environment, **(environment or {}), **({"MM_FAILPOINT": failpoint} if failpoint else {})}
        return subprocess.Popen([program, *arguments], env=environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, process, *codes, timeout=300):
        try:
            process.out, process.err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.out, process.err = process.communicate()
            raise AssertionError(f"hangs after {timeout} s: {process.args}\n{process.err}") from None
        self.said += [process.out, process.err]
        if process.returncode not in codes:
            raise AssertionError(f"exit {process.returncode}, not {codes}: {process.args}\n{process.out}{process.err}")
        return process

    def call(self, *arguments, code=DONE, timeout=300, **more):
        """Runs the program to its end; what it wrote is in .out and .err."""
        return self.end(self.start(*arguments, **more), code, timeout=timeout)

    def fails(self, code, words, *arguments, **more):
        """The one error line holds every one of the words."""
        ended = self.call(*arguments, code=code, **more)
        for word in [words] if isinstance(words, str) else words:
            assert word in ended.err, f"{word!r} is not said:\n{ended.err}"
        return ended

    def status(self, name):
        return json.loads(self.call("status", name, "--json").out)

    def ended(self, name, state="done", verdict="equal", **more):
        """The status; raises unless it is as said."""
        status = self.status(name)
        assert (status["state"], status["verdict"]["state"]) == (state, verdict), status
        for key, value in more.items():
            assert status[key] == value, (key, status)
        return status

    def rejects(self, name):
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(self.state, name + ".rejects.ndjson"), encoding="utf-8") as file:
                return [json.loads(line) for line in file]
        return None

    def wait_rows(self, process, name, least, timeout=120):
        """Until the savepoints of a running job know that many rows."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and process.poll() is None:
            asked = self.start("status", name, "--json")
            out, _ = asked.communicate()
            if asked.returncode == 0 and json.loads(out)["rows_done"] >= least:
                return
            time.sleep(0.05)
        process.kill()
        raise AssertionError(f"{name} did not come to {least} rows: {process.communicate()}")


# checks


def say(name):
    return name.replace("_", " ")


def run_check(check, *arguments):
    """True when it holds; says so."""
    began = time.monotonic()
    try:
        check(*arguments)
    except Exception:
        print(f"NOT OK  {say(check.__name__)}\n{traceback.format_exc()}", flush=True)
        return False
    print(f"ok {time.monotonic() - began:5.1f} s  {say(check.__name__)}", flush=True)
    return True


def run_checks(checks, *arguments, last=(), together=1):
    """Runs each check with the arguments, so many at a time, then each of `last` alone; all of them, also after
    one that fails. The exit code. Words on the command line choose the checks whose names hold one of them."""
    words = sys.argv[1:]
    chosen, alone = ([check for check in some if not words or any(word in say(check.__name__) for word in words)]
                     for some in (checks, last))
    if together == 1:  # by this thread, which alone may start servers
        chosen, alone = [], chosen + alone
    with concurrent.futures.ThreadPoolExecutor(together) as pool:
        held = list(pool.map(lambda check: run_check(check, *arguments), chosen))
    held += [run_check(check, *arguments) for check in alone]
    print(f"{sum(held)} of {len(held)} checks hold")
    return 0 if held and all(held) else 1
