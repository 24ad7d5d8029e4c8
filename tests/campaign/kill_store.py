"""The long campaign of object stores: jobs that dump into a bucket while the store's server is killed with SIGKILL at
random moments, several times a job, and in every third job mmresume as well. In the end the bucket holds exactly the
rows of the source, no part, spool or object beside, and another job's objects are as they were.

    tests/campaign/kill_store.py [--server versitygw|minio] [--kills 100] [--seed 1]

Needs a build of mmresume-testing ($MM_BUILD, default build/dev) and the packages of the tests."""

import argparse
import os
import random
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))

import harness  # noqa: E402
import object_servers  # noqa: E402
import test_enumeration_storage as storage  # noqa: E402
from harness import DONE, KILLED, UNAVAILABLE, Wrong  # noqa: E402

KILLS_A_JOB = 4
KINDS = {"versitygw": object_servers.VersityGw, "minio": object_servers.Minio}


class Many(storage.Remote):
    """Some hundred objects."""

    rows, dim, extent = 40000, 64, 2000
    limits = {"dumpers": 2, "loaders": 3}
    file_size = "256KiB"


class ManyParquet(Many):
    format = "parquet"


class Large(storage.RemoteParts):
    """Objects of several parts."""

    rows = 27000


class Replacing(storage.RemoteReplacing):
    rows, dim, extent = 20000, 64, 2000
    file_size = "256KiB"


def put_foreign(boto):
    """Objects that no job may touch, under names like those of jobs."""
    names = [f"{kind}/{number}{tail}" for kind in ("Many", "Large", "Replacing") for number in (1, 2)
             for tail in ("x/rows/manifest.json", "/row", "/rows.npy", "/rows2/id.npy")]
    for name in names:
        boto.put_object(Bucket=storage.BUCKET, Key=name, Body=name.encode())
    return names


def check_foreign(boto, names):
    for name in names:
        if boto.get_object(Bucket=storage.BUCKET, Key=name)["Body"].read() != name.encode():
            raise Wrong(f"{name} was changed")


def one_job(kind, generator, with_us):
    """(kills of the store, kills of mmresume)."""
    job = kind.job()
    kind.before(job)
    theirs = ours = 0
    process = job.spawn("run", job.file, "-q")
    for _ in range(KILLS_A_JOB):
        time.sleep(generator.uniform(0.02, 0.7))
        if process.poll() is not None:
            break
        storage.Remote.server.kill9()
        theirs += 1
        time.sleep(generator.uniform(0, 0.5))
        if with_us and process.poll() is None:
            process.kill()
            ours += job.end(process, 30).code == KILLED
        storage.Remote.server.start()
        storage.Remote.boto = storage.Remote.server.client()
        if process.poll() is not None and with_us:
            known = job.status()
            fresh = known is None or known["run"] is None
            process = job.spawn(*(("run", job.file) if fresh else ("resume", job.name)), "-q")
    ended = job.end(process, 600)
    if ended.code not in (DONE, UNAVAILABLE):
        raise Wrong(f"{ended!r}\n{job.story()}")
    if ended.code != DONE:
        job.finish(timeout=600)
    harness.check_done(job, kind.rows)
    kind.check(job)
    job.remove()
    return theirs, ours


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=KINDS, default="versitygw")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    generator, began = random.Random(wanted.seed), time.monotonic()
    jobs = theirs = ours = 0
    with tempfile.TemporaryDirectory() as folder, KINDS[wanted.server]() as server:
        storage.Remote.server, storage.Remote.boto = server, server.client()
        storage.Remote.boto.create_bucket(Bucket=storage.BUCKET)
        foreign = put_foreign(storage.Remote.boto)
        kinds = [kind(folder) for kind in (Many, ManyParquet, Large, Replacing)]
        while theirs < wanted.kills:
            kind = kinds[jobs % len(kinds)]
            kills = one_job(kind, generator, jobs % 3 == 2)
            jobs, theirs, ours = jobs + 1, theirs + kills[0], ours + kills[1]
            print(f"{type(kind).__name__}: {kills[0]} kills of the store, {kills[1]} of mmresume: 0 lost, 0 doubled", flush=True)
        check_foreign(storage.Remote.boto, foreign)
    print(f"{jobs} jobs, {theirs} kills of {wanted.server}, {ours} of mmresume: 0 lost, 0 doubled, nothing left behind; "
          f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
