"""kill -9 of the Milvus server while rows are sent, and at other moments of a job. It comes back on the same
data; mmresume waits for it (limits.patience), or ends with 5 and is resumed. Nothing lost, nothing doubled."""

import random
import sys
import tempfile
import time

import harness
import oracle
import servers
from harness import DONE, UNAVAILABLE, Job, Wrong

ROWS, DIM, EXTENT = 20000, 64, 2000
REJECTED = (11, 19999)


def make_job(server, source, collection, **limits):
    return Job({"source": {"driver": "faiss", "path": source["path"], "extent_rows": EXTENT},
                "target": {"driver": "milvus", "endpoint": server.uri, "timeout": "10s"},
                "collections": [{"to": collection}],
                "limits": {"rejects": len(REJECTED), "memory": "16MiB", "dumpers": 1, "loaders": 3, "rate": "20000 rows/s",
                           **limits},
                "verify": "full"})


def check(server, source, job, collection):
    harness.check_done(job, ROWS - len(REJECTED), len(REJECTED))
    harness.check_rejects(job, REJECTED)
    oracle.check_milvus(server.uri, collection, harness.without(source["columns"], REJECTED))


def kill_and_wait(server, source, number, point, hits):
    """The job is patient: the server dies at a point of it and comes back."""
    job = make_job(server, source, f"patient{number}", patience="180s")
    process = job.spawn("run", job.file, "-q")
    job.wait_hit(process, point, hits=hits, timeout=60)
    server.restart()
    ended = job.end(process, 240)
    if ended.code != DONE or "trying again" not in ended.err and "milvus.write" in point:
        raise Wrong(f"{ended!r}\n{job.story()}")
    check(server, source, job, f"patient{number}")
    job.remove()
    print(f"killed at {point} {hits}: 0 lost, 0 doubled, exit 0 after {ended.seconds:.0f} s")


def kill_and_resume(server, source, number, point, hits):
    """The job is not: exit 5, then it is resumed, with a kill -9 of its own in between."""
    job = make_job(server, source, f"hasty{number}", patience="1s")
    process = job.spawn("run", job.file, "-q")
    job.wait_hit(process, point, hits=hits, timeout=60)
    server.kill9()
    ended = job.end(process, 60)
    if ended.code != UNAVAILABLE or "127.0.0.1" not in ended.err:
        raise Wrong(f"{ended!r}\n{job.story()}")
    if job.status()["state"] != "interrupted":
        raise Wrong(f"{job.status()}")
    server.start()
    job.strike("lane.after_send:2:kill", first=False, allowed=(UNAVAILABLE,))
    end = time.monotonic() + 180
    while job.resume("--set", "limits.patience=60s", timeout=240).code != DONE:
        if time.monotonic() > end:
            raise Wrong(job.story())
    check(server, source, job, f"hasty{number}")
    job.remove()
    print(f"killed at {point} {hits}: exit 5, resumed: 0 lost, 0 doubled")


def main():
    servers.private_network()
    generator = random.Random(5)
    with tempfile.TemporaryDirectory() as folder, servers.MilvusStandalone() as server:
        path = folder + "/flat.index"
        source = {"path": path, "columns": harness.flat_file(path, ROWS, DIM, 6, nan=REJECTED)}
        kill_and_wait(server, source, 0, "milvus.write.before", generator.randint(2, 6))
        kill_and_resume(server, source, 1, "milvus.write.before", generator.randint(2, 6))
        if "--all" in sys.argv[1:]:
            for number in range(2, 22):
                kind = kill_and_wait if number % 2 else kill_and_resume
                kind(server, source, number, "milvus.write.before", generator.randint(1, 10))
            for number, point in enumerate(("milvus.fence.created", "milvus.seal.dropped", "milvus.flush.before",
                                            "milvus.index.created", "milvus.load.begun", "verify.planned")):
                kill_and_wait(server, source, 100 + number, point, 1)
    print("1 passed")


if __name__ == "__main__":
    main()
