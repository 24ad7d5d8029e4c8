"""Requests that arrive late, on the real Milvus: a forwarder holds an Insert back, its sender dies or gives
up, the rows are replayed, and then the Insert is let go. Nothing may be doubled: the fence refuses it. And
the other faults of a network: connections cut, half-closed or gone silent.

With a bug seeded (no fence; rows inserted again after a timeout; the old alias dropped only at the end; the
last alias never dropped) the trials that name it must go red."""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time

import harness
import oracle
import servers
from forwarder import Forwarder
from harness import DONE, UNAVAILABLE, Job, Wrong

ROWS, DIM, EXTENT = 3000, 64, 500
PAUSE = "milvus.seal.before:1:sleep=2500"  # all rows are sent, the last alias still stands
numbers = itertools.count(1)


class Trial:
    """A job into a collection of its own, whose requests go through a forwarder of its own."""

    def __init__(self, server, source, program, timeout="20s", **limits):
        self.server, self.source = server, source
        self.way = Forwarder(server.port)
        self.collection = f"late{next(numbers)}"
        self.job = Job({"source": {"driver": "faiss", "path": source["path"], "extent_rows": EXTENT},
                        "target": {"driver": "milvus", "endpoint": self.way.uri, "timeout": timeout},
                        "collections": [{"to": self.collection, "index": "none", "load": False}],
                        "limits": {"patience": "60s", "memory": "16MiB", "dumpers": 1, "loaders": 2, **limits},
                        "verify": "none"}, program=program)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.way.close()
        self.job.remove()

    def run_with_fault(self, action, method="Insert", nth=2, pause=None):
        """A process that meets a fault. (process, rule)."""
        rule = self.way.on(method, action, nth=nth)
        process = self.job.spawn("run", self.job.file, "-q", failpoint=pause)
        if not rule.wait(30):
            raise Wrong(f"{method} {nth} did not come: {self.job.end(process, 5)!r}")
        return process, rule

    def expect_done(self, process):
        ended = self.job.end(process, 90)
        if ended.code != DONE:
            raise Wrong(f"{ended!r}\n{self.job.story()}")
        return ended

    def load(self, client):
        parameters = client.prepare_index_params()
        parameters.add_index("vector", index_type="FLAT", metric_type="L2")
        client.create_index(self.collection, parameters)
        client.load_collection(self.collection)

    def check(self):
        """Every row once, and no alias left. (The job itself did not verify: what it left is seen here.)"""
        client = oracle.client(self.server.uri)
        self.load(client)
        oracle.check_milvus(self.server.uri, self.collection, self.source["columns"])
        aliases = client.describe_collection(self.collection).get("aliases")
        if aliases:
            raise oracle.Different(f"aliases are left: {aliases}")
        client.drop_collection(self.collection)
        client.close()


def late_after_kill(trial):
    """The sender dies; the rows are replayed by another route; then the Insert arrives, before the verdict."""
    process, held = trial.run_with_fault("hold")
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    trial.job.end(process, 10)
    process = trial.job.spawn("resume", trial.job.name, "-q", "--set", f"target.endpoint={trial.server.uri}",
                              failpoint=PAUSE)
    trial.job.wait_hit(process, "milvus.seal.before")
    held.release()
    trial.expect_done(process)
    trial.check()


def late_after_the_verdict(trial):
    """The sender dies; the Insert arrives when the job is done."""
    process, held = trial.run_with_fault("hold")
    process.send_signal(signal.SIGKILL)
    trial.job.end(process, 10)
    trial.job.finish()
    held.release(0)
    time.sleep(1)
    trial.check()


def late_after_reset(trial):
    """The sender lives, its connection is reset, and the Insert arrives after the replay."""
    process, held = trial.run_with_fault("hold", pause=PAUSE)
    held.reset_client()
    trial.job.wait_hit(process, "milvus.seal.before", timeout=60)
    held.release()
    trial.expect_done(process)
    trial.check()


def late_after_timeout(trial):
    """The sender lives and gives up waiting; the Insert arrives after the replay. (The server knows the
    deadline, too, so this is the milder case.)"""
    process, held = trial.run_with_fault("hold", pause=PAUSE)
    trial.job.wait_hit(process, "milvus.seal.before", timeout=60)
    held.release()
    trial.expect_done(process)
    trial.check()


def late_upsert(trial):
    """A replay is held back in its turn, its sender dies, and it arrives after the next replay."""
    process, first = trial.run_with_fault("hold")
    process.send_signal(signal.SIGKILL)
    trial.job.end(process, 10)
    second = trial.way.on("Upsert", "hold")
    process = trial.job.spawn("resume", trial.job.name, "-q")
    if not second.wait(30):
        raise Wrong(f"no Upsert came: {trial.job.end(process, 5)!r}")
    process.send_signal(signal.SIGKILL)
    trial.job.end(process, 10)
    process = trial.job.spawn("resume", trial.job.name, "-q", failpoint=PAUSE)
    trial.job.wait_hit(process, "milvus.seal.before")
    second.release()
    first.release()
    trial.expect_done(process)
    trial.check()


def late_after_cancel(trial):
    """The sender dies, the run is cancelled, and the Insert arrives then: it is refused."""
    process, held = trial.run_with_fault("hold")
    process.send_signal(signal.SIGKILL)
    trial.job.end(process, 10)
    if trial.job.go("cancel", trial.job.name, "-q").code != DONE:
        raise Wrong(trial.job.story())
    client = oracle.client(trial.server.uri)
    trial.load(client)
    rows = oracle.wait_countable(client, trial.collection)
    held.release()
    time.sleep(1)
    late = oracle.count(client, trial.collection)
    aliases = client.describe_collection(trial.collection).get("aliases")
    if late != rows or aliases:
        raise oracle.Different(f"{rows} rows when cancelled, then {late}; aliases {aliases}")
    client.drop_collection(trial.collection)
    client.close()


def stopped_while_held(trial):
    """SIGTERM while an answer does not come: exit 75 within 20 s; the Insert arrives after the replay."""
    process, held = trial.run_with_fault("hold")
    process.send_signal(signal.SIGTERM)
    ended = trial.job.end(process, 20)
    if ended.code != harness.INTERRUPTED or "in doubt" not in ended.err:
        raise Wrong(f"{ended!r}")
    process = trial.job.spawn("resume", trial.job.name, "-q", failpoint=PAUSE)
    trial.job.wait_hit(process, "milvus.seal.before")
    held.release()
    trial.expect_done(process)
    trial.check()


def killed_before_the_horizon(trial):
    """Commits are slow, and the process dies as soon as rows have gone out: none beyond the horizon."""
    slow = ",".join(f"committer.before_commit:{number}:sleep=400" for number in range(4, 14))
    trial.job.strike(f"{slow},lane.after_send:4:kill")
    trial.job.finish()
    trial.check()


def connection_fault(action, method="Insert"):
    def trial_of(trial):
        process, _ = trial.run_with_fault(action, method)
        trial.expect_done(process)
        trial.check()
    trial_of.__name__ = f"{action} at {method}"
    return trial_of


def half_closed(trial):
    """All connections are half-closed in mid-copy, again and again."""
    process = trial.job.spawn("run", trial.job.file, "-q", "--set", "limits.rate=2000 rows/s")
    for _ in range(3):
        time.sleep(0.4)
        trial.way.half_close_all()
    trial.expect_done(process)
    trial.check()


def black_hole_for_a_while(trial):
    """No byte goes through for longer than a request's deadline; patience outlasts it."""
    process = trial.job.spawn("run", trial.job.file, "-q", "--set", "limits.rate=2000 rows/s")
    trial.job.wait_hit(process, "lane.after_send")
    trial.way.black_hole = True
    time.sleep(4)
    trial.way.black_hole = False
    trial.expect_done(process)
    trial.check()


def black_hole_for_good(trial):
    """The same without end: exit 5 when patience is over, and not much later; then it goes on."""
    process = trial.job.spawn("run", trial.job.file, "-q", "--set", "limits.rate=2000 rows/s", "--set", "limits.patience=3s")
    trial.job.wait_hit(process, "lane.after_send")
    trial.way.black_hole = True
    ended = trial.job.end(process, 30)
    if ended.code != UNAVAILABLE or "127.0.0.1" not in ended.err:
        raise Wrong(f"{ended!r}")
    trial.way.black_hole = False
    trial.job.finish()
    trial.check()


# trial, its job's settings, the seeded bugs that make it red
TRIALS = [
    (late_after_kill, {}, ("no_fence", "upsert_before_drop")),
    (late_after_the_verdict, {}, ()),
    (late_after_reset, {}, ("no_fence", "insert_after_timeout", "upsert_before_drop")),
    (late_after_timeout, {"timeout": "2s"}, ()),
    (late_upsert, {}, ()),
    (late_after_cancel, {}, ()),
    (stopped_while_held, {"timeout": "60s"}, ("no_fence",)),
    (killed_before_the_horizon, {"loaders": 1}, ("send_before_reserve",)),
    (connection_fault("cut_before"), {}, ()),
    (connection_fault("cut_after"), {}, ("insert_after_timeout",)),
    (connection_fault("swallow"), {"timeout": "2s"}, ("insert_after_timeout",)),
    (connection_fault("silence"), {"timeout": "2s"}, ()),
    (connection_fault("cut_after", "CreateAlias"), {}, ()),
    (connection_fault("cut_after", "DropAlias"), {}, ()),
    (connection_fault("cut_before", "DropAlias"), {}, ("count_before_fence",)),
    (half_closed, {"timeout": "3s"}, ()),
    (black_hole_for_a_while, {"timeout": "1s"}, ()),
    (black_hole_for_good, {"timeout": "1s"}, ()),
]


def build_seeded(bug):
    """The program with this bug. Compiles the few files that ask for it."""
    subprocess.run(["cmake", "--build", harness.BUILD, "--target", f"mmresume-{bug}"], check=True,
                   stdout=subprocess.DEVNULL)
    return os.path.join(harness.BUILD, "tests", f"mmresume-{bug}")


def main():
    servers.private_network()
    cases = [(trial, settings, None) for trial, settings, _ in TRIALS]
    cases += [(trial, settings, bug) for trial, settings, bugs in TRIALS for bug in bugs]
    programs = {bug: build_seeded(bug) for _, _, bugs in TRIALS for bug in bugs}
    programs[None] = harness.PROGRAM
    began = time.monotonic()

    def check(case):
        trial, settings, bug = case
        with Trial(server, source, programs[bug], **settings) as one:
            try:
                trial(one)
            except oracle.Different as red:
                if bug is None:
                    raise
                print(f"{trial.__name__} with {bug}: red, {red}")
                return
            if bug is not None:
                raise Wrong(f"the seeded bug {bug} was not noticed")
            print(f"{trial.__name__}: 0 lost, 0 doubled")

    with tempfile.TemporaryDirectory() as folder, servers.MilvusStandalone() as server:
        path = folder + "/flat.index"
        source = {"path": path, "columns": harness.flat_file(path, ROWS, DIM, 4)}
        cases.sort(key=lambda case: str(case[2]))
        done = harness.run_cases(cases, check, parallel=4)
    print(f"{done} trials of {len(cases)}, {time.monotonic() - began:.0f} s")
    print("1 passed")


if __name__ == "__main__":
    sys.exit(main())
