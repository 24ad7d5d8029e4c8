"""The long campaign of bulk import: jobs with `transfer: import` into a real Milvus 2.3.5, killed with SIGKILL again
and again until each is done; and jobs during which the server itself is killed. After the last resume every row stands
once, no alias and no staged file is left, and nothing of others in the staging folder is touched.

    tests/campaign/kill_import.py [--kills 100] [--server-kills 20] [--rows 20000] [--seed 1] [--parallel 2]
                                  [--expiration 60]

Import tasks that were pending when a server of 2.3.5 was killed stay so until they expire; the server does that after 15
minutes by default, here after --expiration seconds (its setting rootCoord.importTaskExpiration).

A kill falls at a random moment between the start of a process and the time that an undisturbed run takes.
Needs a build of mmresume-testing ($MM_BUILD, default build/dev) and the packages of the tests."""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))

import harness  # noqa: E402
import oracle  # noqa: E402
import servers  # noqa: E402
import test_enumeration_import as imports  # noqa: E402
from harness import DONE, KILLED, UNAVAILABLE, Wrong  # noqa: E402

KILLS_A_JOB = 5
PATIENT = 1800


class Totals:
    def __init__(self):
        self.lock, self.kills, self.jobs, self.again = threading.Lock(), 0, 0, 0

    def add(self, trial, kills):
        with self.lock:
            self.kills += kills
            self.jobs += 1
            self.again += sum(group["try"] - 1 for group in trial.groups().values())
            print(f"{trial.collection}: {kills} kills: 0 lost, 0 doubled", flush=True)


def undisturbed(server, source):
    with imports.trial_of(imports.Plain, server, source, file_size="512KiB") as trial:
        began = time.monotonic()
        ended = trial.job.start(timeout=PATIENT)
        if ended.code != DONE:
            raise Wrong(f"{ended!r}")
        trial.check()
    return time.monotonic() - began


def begin(job):
    known = job.status()
    fresh = known is None or known["run"] is None
    return job.spawn(*(("run", job.file) if fresh else ("resume", job.name)), "-q")


def killed_job(server, source, seconds, generator, totals):
    with imports.trial_of(generator.choice((imports.Plain, imports.Append, imports.Overwrite)), server, source,
                          file_size="512KiB") as trial:
        kills = 0
        for _ in range(KILLS_A_JOB):
            process = begin(trial.job)
            time.sleep(generator.random() * seconds)
            process.send_signal(signal.SIGKILL)
            ended = trial.job.end(process, 30)
            if ended.code not in (KILLED, DONE):
                raise Wrong(f"{ended!r}\n{trial.job.story()}")
            kills += ended.code == KILLED
            if ended.code == DONE:
                break
        trial.job.finish(timeout=PATIENT)
        trial.check()
        totals.add(trial, kills)


def killed_server(source, kills, seconds, generator, totals, expiration):
    """One server, killed once in each of several jobs."""
    with servers.MilvusStandalone(settings={"rootCoord.importTaskExpiration": expiration}) as server:
        for _ in range(kills):
            trial = imports.Plain(server, source, file_size="512KiB")
            process = trial.job.spawn("run", trial.job.file, "-q")
            time.sleep(generator.random() * seconds)
            server.restart()
            ended = trial.job.end(process, PATIENT)
            if ended.code not in (DONE, UNAVAILABLE):
                raise Wrong(f"{ended!r}\n{trial.job.story()}")
            if ended.code != DONE:
                trial.job.finish(tries=6, timeout=PATIENT)
            trial.client.close()
            trial.client = oracle.client(server.uri)
            trial.check()
            totals.add(trial, 1)
            trial.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--server-kills", type=int, default=20)
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--expiration", type=int, default=60)
    arguments = parser.parse_args()
    servers.private_network()
    imports.ROWS, imports.EXTENT = arguments.rows, 2000
    generator, began = random.Random(arguments.seed), time.monotonic()
    ours, theirs = Totals(), Totals()
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/flat.index"
        source = {"path": path, "columns": harness.flat_file(path, arguments.rows, imports.DIM, arguments.seed)}
        with servers.MilvusStandalone() as server:
            seconds = undisturbed(server, source)
            while ours.kills < arguments.kills:
                batch = [random.Random(generator.random()) for _ in range(arguments.parallel)]
                harness.run_beside(server, batch, lambda one: killed_job(server, source, seconds, one, ours), arguments.parallel)
        if arguments.server_kills:
            killed_server(source, arguments.server_kills, seconds, generator, theirs, arguments.expiration)
    print(f"{ours.jobs} jobs, {ours.kills} kills of mmresume; {theirs.jobs} jobs, {theirs.kills} kills of Milvus; "
          f"{ours.again + theirs.again} files were imported under another name")
    print(f"0 lost, 0 doubled; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
