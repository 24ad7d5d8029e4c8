"""The long campaign: jobs of 200,000 rows into a real Milvus, killed with SIGKILL again and again until each
is done. After the last resume nothing is lost and nothing doubled, and what went over the wire more than once
stays within the windows that the savepoints called in doubt.

    tests/campaign/kill_milvus.py [--jobs 20] [--kills 500] [--rows 200000] [--seed 1] [--parallel 3]

The kills of a job are spread over all its phases: each waits until the phase has begun (its failpoint was
passed) and falls at a random moment after that. All requests go through a forwarder that counts rows as they
pass; before each resume the rows in doubt are read from the store of the dead process. Then:
  - a process sends by Upsert at most the rows that were in doubt when it began;
  - no row goes by Insert twice: at most --rows rows in all processes of a job together.
Needs a build of mmresume-testing ($MM_BUILD, default build/dev) and the packages of the tests."""

import argparse
import collections
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))

import harness  # noqa: E402
import oracle  # noqa: E402
import servers  # noqa: E402
from forwarder import Forwarder  # noqa: E402
from harness import DONE, KILLED, Job, Wrong  # noqa: E402

DIM, EXTENT = 64, 10000

# a phase, the failpoint that begins it, how long after it a kill falls at most (s), kills of 25
PHASES = (
    ("planning", "store.create.before_commit", 0.03, 1),
    ("creating", "store.apply.begin", 0.15, 2),
    ("fencing", "fence.before", 0.02, 3),
    ("sending", "lane.before_send", 0.12, 11),
    ("sealing", "milvus.seal.before", 0.02, 1),
    ("flushing", "milvus.flush.before", 2.0, 2),
    ("indexing", "milvus.index.before", 0.5, 1),
    ("loading", "milvus.load.before", 2.0, 1),
    ("verifying", "verify.planned", 0.2, 2),
    ("ending", "verify.before_count", 0.1, 1),
)

DOUBT = """SELECT coalesce(sum(min(p.reserved, t.rows) - p.cursor_row), 0) FROM progress p JOIN task t ON t.id = p.id
           WHERE p.kind = 1 AND p.state < 2 AND p.reserved > p.cursor_row"""


def rows_in_doubt(job):
    """Rows between cursor and horizon of the tasks that are not done, from a copy of a dead process's store
    (to open it is to mend it, and that is the next process's part)."""
    with tempfile.TemporaryDirectory() as folder:
        for end in (".db", ".db-wal", ".db-journal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(os.path.join(job.state, job.name + end), os.path.join(folder, job.name + end))
        with contextlib.closing(sqlite3.connect(os.path.join(folder, job.name + ".db"))) as store:
            if not store.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'progress'").fetchone()[0]:
                return 0  # killed before the tables were there
            return store.execute(DOUBT).fetchone()[0]


def wait_phase(job, process, first):
    """The first phase from number `first` on that the process begins; None: it ended before."""
    path, at = os.path.join(job.folder, "points"), 0
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            with open(path, encoding="ascii") as file:
                file.seek(at)
                hits = file.read().split("\n")
            at += sum(map(len, hits)) + len(hits) - 1 - len(hits[-1])
            for entry in PHASES[first:]:
                if entry[1] in hits[:-1]:
                    return entry
        time.sleep(0.002)
    return None


class Totals:
    def __init__(self):
        self.lock = threading.Lock()
        self.kills = collections.Counter()
        self.jobs = self.inserted = self.upserted = self.doubt = self.again = 0

    def print(self, rows, seconds):
        print(f"{self.jobs} jobs of {rows} rows, {sum(self.kills.values())} kills: "
              + ", ".join(f"{phase} {count}" for phase, count in self.kills.items()))
        print(f"at the wire: {self.inserted} rows by Insert, {self.upserted} by Upsert; {self.doubt} rows were in doubt; "
              f"{self.again} rows more than the jobs have")
        print(f"0 lost, 0 doubled; {seconds:.0f} s")


class Killed:
    """One job of the campaign."""

    def __init__(self, number, arguments, server, source, totals):
        self.collection, self.rows, self.source = f"campaign{number}", arguments.rows, source
        self.server, self.totals = server, totals
        self.random = random.Random(f"{arguments.seed} {number}")
        self.way = Forwarder(server.port)
        self.kills = collections.Counter()
        self.sent_before = collections.Counter()
        self.doubt = 0
        self.job = Job({"source": {"driver": "faiss", "path": source["path"], "extent_rows": EXTENT},
                        "target": {"driver": "milvus", "endpoint": self.way.uri, "request_bytes": "256KiB"},
                        "collections": [{"to": self.collection, "index": {"vector": {"index_type": "FLAT", "metric_type": "L2"}}}],
                        "limits": {"patience": "120s", "memory": "16MiB", "dumpers": 2, "loaders": 4}})

    def begin(self):
        known = self.job.status()
        fresh = known is None or known["run"] is None
        command = ("run", self.job.file) if fresh else ("resume", self.job.name)
        return self.job.spawn(*command, "-q")

    def account(self, doubt):
        """What a process sent, against what was in doubt when it began."""
        sent = collections.Counter()
        for call in list(self.way.calls):
            sent[call.method] += call.rows
        upserted = sent["Upsert"] - self.sent_before["Upsert"]
        if upserted > doubt:
            raise Wrong(f"{upserted} rows sent again, {doubt} were in doubt\n{self.job.story()}")
        if sent["Insert"] > self.rows:
            raise Wrong(f"{sent['Insert']} rows by Insert, the job has {self.rows}\n{self.job.story()}")
        self.sent_before = sent
        self.doubt += doubt

    def kill_in(self, first):
        """True: killed, in phase number `first` or, where that is over, in the next. False: done."""
        doubt = rows_in_doubt(self.job)
        process = self.begin()
        entry = wait_phase(self.job, process, first)
        if entry:
            time.sleep(self.random.random() * entry[2])
            process.send_signal(signal.SIGKILL)
        ended = self.job.end(process, 120)
        time.sleep(0.05)  # what the kernel still holds of its connections reaches the forwarder
        self.job.log.append((f"{entry and entry[0]}+", ("kill",), ended.code, ended.hits[-1:]))
        if ended.code not in (KILLED, DONE):
            raise Wrong(f"{ended!r}\n{self.job.story()}")
        self.account(doubt)
        if ended.code == KILLED:
            self.kills[entry[0]] += 1
        return ended.code == KILLED

    def run(self, kills):
        plan = [number for number, entry in enumerate(PHASES) for _ in range(round(entry[3] * kills / 25))]
        done = not all(self.kill_in(number) for number in plan)
        doubt = rows_in_doubt(self.job)
        if not done:
            ended = self.job.resume(timeout=240)
            if ended.code != DONE:
                raise Wrong(f"{ended!r}\n{self.job.story()}")
            self.account(doubt)
        harness.check_done(self.job, self.rows)
        oracle.check_milvus(self.server.uri, self.collection, self.source["columns"])
        self.close()

    def close(self):
        client = oracle.client(self.server.uri)
        client.drop_collection(self.collection)
        client.close()
        self.way.close()
        self.job.remove()
        totals = self.totals
        with totals.lock:
            totals.jobs += 1
            totals.kills.update(self.kills)
            totals.inserted += self.sent_before["Insert"]
            totals.upserted += self.sent_before["Upsert"]
            totals.doubt += self.doubt
            totals.again += self.sent_before["Insert"] + self.sent_before["Upsert"] - self.rows
            print(f"{self.collection}: {sum(self.kills.values())} kills, {self.sent_before['Insert']} rows by Insert, "
                  f"{self.sent_before['Upsert']} by Upsert, {self.doubt} in doubt: 0 lost, 0 doubled", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--rows", type=int, default=200000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=3)
    arguments = parser.parse_args()
    servers.private_network()
    totals, began = Totals(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, servers.MilvusStandalone() as server:
        path = folder + "/flat.index"
        source = {"path": path, "columns": harness.flat_file(path, arguments.rows, DIM, arguments.seed)}
        number = 0
        # a job may be done before its last kills: as many jobs follow as it takes
        while number < arguments.jobs or sum(totals.kills.values()) < arguments.kills:
            batch = range(number, max(arguments.jobs, number + 1))
            harness.run_cases(batch, lambda one: Killed(one, arguments, server, source, totals).run(
                arguments.kills / arguments.jobs), arguments.parallel)
            number = batch[-1] + 1
    totals.print(arguments.rows, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
