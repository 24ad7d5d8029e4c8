"""Kill -9 at every failpoint of jobs from a real OpenSearch node, and again in the resume, into files of lines of JSON:
every document once, every value. The source's own points are struck at up to eight of their hits each.
Documents that are written and changed between a kill and the resume, into a real Milvus, with a kill at each
point of the passes over them: the target is what the index is in the end. Documents that are deleted after the run, with a
kill at each point of the repair that removes them.

MM_CRASH_SECONDS: wall time (40) for the points that are not the source's own. --all: every hit of every point."""

import itertools
import os
import random
import signal
import sys
import tempfile
import time

import harness  # finds the modules of the integration tests
import elastic_data
import elastic_servers
import oracle
import servers
from forwarder import Forwarder
from harness import DONE, KILLED, Job, Wrong

KIND, ROWS, SHARDS = "opensearch", 1100, 2
RESUME_POINTS = ("store.apply.before_commit", "files.flush.sync", "settle.after")
OWN = "elastic."  # what the source's points begin with
PASSES = ("changes.", "catch_up.")  # and those of the passes over what changed
SWEEPS = ("sweep.", "store.sweep.", "milvus.delete.", "repair.", "store.repair.")  # and of removing what was deleted
CURSORS = ({"cursor": "pit"}, {"cursor": "scroll"}, {"cursor": "field", "cursor_field": "number"})
FEW, FIELDS = 240, ["title", "number", "double", "day", "extra", "vector"]


class Kind:
    """One way of reading. source: further keys of the job's source."""

    def __init__(self, node, index, name, **source):
        self.node, self.index, self.name, self.more = node, index, name, source

    def job(self):
        folder = tempfile.mkdtemp(prefix="mm-crash-")
        return Job({"source": {"driver": "opensearch", "endpoint": self.node.uri, "index": self.index.name,
                               "arrays": "array", "extent_bytes": "64KiB", "page_bytes": "64KiB", **self.more},
                    "verify": "full", "limits": {"memory": "16MiB", "dumpers": 2, "rejects": 10, "patience": "20s"},
                    "target": {"driver": "files", "path": os.path.join(folder, "out"), "file_size": "128KiB",
                               "format": "jsonl"},
                    "collections": [{"to": "rows"}]}, folder=folder)

    def check(self, job):
        elastic_data.compare(KIND, oracle.read_lines(os.path.join(job.folder, "out"))["rows"], self.index.rows)
        harness.check_done(job, len(self.index.rows), len(self.index.rejected))
        job.remove()


def points_of(kind, everything):
    """The points of an undisturbed run: [(name, hit)] of the source's own, and of the others."""
    job = kind.job()
    ended = job.start()
    if ended.code != DONE:
        raise Wrong(f"{kind.name}: {ended!r}")
    kind.check(job)
    others = [name for name in ended.hits if not name.startswith(OWN)]
    mine = [name for name in ended.hits if name.startswith(OWN)]
    if everything:
        return tuple([(name, hit) for name in dict.fromkeys(some) for hit in range(1, some.count(name) + 1)]
                     for some in (mine, others))
    if not mine:
        raise Wrong(f"{kind.name}: no point of the source was hit")
    return harness.pick_hits(mine, kind.name, 8), harness.pick_hits(others, kind.name, 2)


def strike(case):
    kind, (name, hit), again = case
    job = kind.job()
    ended = job.strike(f"{name}:{hit}:kill")
    if ended.code == KILLED:
        harness.check_after_kill(job)
        job.strike(again, first=False)
        if job.status() is None:
            job.start()
        elif job.status()["state"] != "done":
            job.finish()
    kind.check(job)


class Changed:
    """A job into Milvus; its index, of its own, changes while the job is dead. source: further keys of the job's source."""

    def __init__(self, node, milvus, number, **source):
        self.milvus, self.collection = milvus, f"changed{number}"
        self.index = elastic_data.Index(node.client(), KIND, self.collection, SHARDS)
        self.index.write(range(FEW))
        self.job = Job({"source": {"driver": "opensearch", "endpoint": node.uri, "index": self.collection,
                                   "include": FIELDS, "extent_bytes": "32KiB", "page_bytes": "64KiB", **source},
                        "verify": "full", "limits": {"memory": "16MiB", "dumpers": 2, "rejects": 10, "patience": "60s"},
                        "target": {"driver": "milvus", "endpoint": milvus.uri},
                        "collections": [{"to": self.collection}]})

    def change(self):
        self.index.write(range(0, FEW // 2, 2), version=1)
        self.index.write(range(FEW, FEW + FEW // 4))

    def check(self):
        status = self.job.status()
        if status["state"] != "done" or status["verdict"]["state"] != "equal":
            raise Wrong(f"{status}\n{self.job.story()}")
        client = oracle.client(self.milvus.uri)
        rows = oracle.wait_countable(client, self.collection)
        if rows != len(self.index.rows):
            raise Wrong(f"{rows} rows instead of {len(self.index.rows)}\n{self.job.story()}")
        elastic_data.compare(KIND, elastic_data.milvus_rows(self.milvus.uri, self.collection, list(self.index.rows), FIELDS),
                             self.index.rows, FIELDS)
        client.drop_collection(self.collection)
        client.close()
        self.job.remove()


def learn_changed(changed):
    """The points that a resume passes when documents were changed before."""
    if changed.job.strike("committer.after_commit:2:kill").code != KILLED:
        raise Wrong(changed.job.story())
    changed.change()
    ended = changed.job.resume()
    if ended.code != DONE:
        raise Wrong(f"{ended!r}\n{changed.job.story()}")
    changed.check()
    return [point for point in dict.fromkeys(ended.hits) if point.startswith(PASSES)]


def strike_changed(case):
    changed, point, hit = case
    if changed.job.strike("committer.after_commit:2:kill").code != KILLED:
        raise Wrong(changed.job.story())
    changed.change()
    changed.job.strike(f"{point}:{hit}:kill", first=False)
    if changed.job.status()["state"] != "done":
        changed.job.finish()
    changed.check()


class Swept(Changed):
    """Its documents are deleted after the run is done, and some are changed: a repair makes the target equal."""

    def prepare(self):
        if self.job.start().code != DONE:
            raise Wrong(self.job.story())
        self.index.delete(range(0, FEW, 3))
        self.index.write(range(1, FEW, 30), version=1)
        ended = self.job.go("verify", self.job.name, "-q")
        if ended.code != harness.DATA or "removes them" not in ended.err:
            raise Wrong(f"verify after the documents were deleted: {ended!r}\n{self.job.story()}")

    def repair(self, point="none"):
        return self.job.go("resume", self.job.name, "--repair", "-q", failpoint=f"{point}:1:kill")


def learn_swept(swept):
    swept.prepare()
    ended = swept.repair()
    if ended.code != DONE:
        raise Wrong(f"{ended!r}\n{swept.job.story()}")
    swept.check()
    return [point for point in dict.fromkeys(ended.hits) if point.startswith(SWEEPS)]


def strike_swept(case):
    """Killed in the repair, and at a later point of what goes on with it."""
    swept, *points = case
    swept.prepare()
    for number, point in enumerate(points):
        if swept.repair(point).code not in (KILLED, *(DONE,) * (number > 0)):
            raise Wrong(f"{point} was not hit\n{swept.job.story()}")
    ended = swept.repair()
    if ended.code != DONE:
        raise Wrong(f"after {points}: {ended!r}\n{swept.job.story()}")
    swept.check()


def check_written_while_keys_are_read(swept):
    """A document that is changed then is in no extent that is read, and not gone: nothing is removed until a repair sees
    the index at rest."""
    swept.prepare()
    job = swept.job
    process = job.spawn("resume", job.name, "--repair", failpoint="sweep.read:1:sleep=3000")
    job.wait_hit(process, "sweep.read")
    swept.index.write(range(2, FEW, 3), version=1)
    ended = job.end(process, 60)
    if ended.code != harness.DATA or "was written to while its keys were read" not in ended.err:
        raise Wrong(f"{ended!r}\n{job.story()}")
    client = oracle.client(swept.milvus.uri)
    if (rows := oracle.wait_countable(client, swept.collection)) != FEW:
        raise Wrong(f"{rows} rows instead of {FEW}: some were removed\n{job.story()}")
    client.close()
    ended = swept.repair()
    if ended.code != DONE:
        raise Wrong(f"{ended!r}\n{job.story()}")
    swept.check()


def check_a_delete_that_arrives_late(swept):
    """A Delete is held back and its sender dies; the documents come back and are copied again; then the Delete arrives."""
    swept.prepare()
    job, way = swept.job, Forwarder(swept.milvus.port)
    held = way.on("Delete", "hold")
    process = job.spawn("resume", job.name, "--repair", "-q", "--set", f"target.endpoint={way.uri}")
    if not held.wait(40):
        raise Wrong(f"no Delete came: {job.end(process, 5)!r}")
    process.send_signal(signal.SIGKILL)
    job.end(process, 10)
    ended = job.go("resume", job.name, "-q", "--set", f"target.endpoint={swept.milvus.uri}")
    if ended.code != DONE:
        raise Wrong(f"{ended!r}\n{job.story()}")
    swept.index.write(range(0, FEW, 3))
    swept.index.delete((2,))
    ended = job.go("verify", job.name, "-q")
    if ended.code != harness.DATA or swept.repair().code != DONE:
        raise Wrong(f"{ended!r}\n{job.story()}")
    held.release()
    time.sleep(1)
    swept.check()
    way.close()


def strike_cursor(case):
    """Nothing changes; a point in time or a scroll that the dead process had is gone on with, or begun again."""
    job, point, hit = case
    if job.job.strike(f"{point}:{hit}:kill").code != KILLED:
        raise Wrong(f"{point} was not hit {hit} times\n{job.job.story()}")
    job.job.finish()
    job.check()


def main():
    everything = "--all" in sys.argv[1:]
    try:
        elastic_servers.distribution(KIND)
    except RuntimeError as error:
        print(error)
        print("0 passed, 1 skipped")
        return 0
    servers.private_network()
    with elastic_servers.Node(KIND) as node, servers.MilvusStandalone() as milvus:
        index = elastic_data.Index(node.client(), KIND, "products", SHARDS)
        index.write(range(ROWS))
        index.write(range(200), version=1)
        index.delete(range(300, 350))
        kinds = [Kind(node, index, "ranges")]
        generator = random.Random(13)
        own, rest = [], []
        for kind in kinds:
            first, others = points_of(kind, everything)
            for into, points in ((own, first), (rest, others)):
                into += [(kind, point, f"{generator.choice((*RESUME_POINTS, first[0][0]))}:{generator.randint(1, 3)}:kill")
                         for point in points]
        generator.shuffle(rest)
        passes = learn_changed(Changed(node, milvus, 0))
        if not passes:
            raise Wrong("no pass over the changes was made")
        late = [(Changed(node, milvus, 1 + number), point, hit)
                for number, (point, hit) in enumerate((point, hit) for point in passes for hit in (1, 2))]
        done = harness.run_cases(own, strike, parallel=3)
        sweeps = learn_swept(Swept(node, milvus, 200))
        if not sweeps:
            raise Wrong("nothing was removed")
        half = (len(sweeps) + 1) // 2  # each is struck once
        pairs = itertools.combinations(sweeps, 2) if everything else itertools.zip_longest(sweeps[:half], sweeps[half:])
        swept = [(Swept(node, milvus, 201 + number), *filter(None, pair)) for number, pair in enumerate(pairs)]
        others = [(Changed(node, milvus, 100 + number, page_rows=25, **cursor), "elastic.page.fetched", 4 + 3 * number)
                  for number, cursor in enumerate(CURSORS)]
        # into Milvus, where most of the time is waiting
        into = [(check_written_while_keys_are_read, Swept(node, milvus, 1000)),
                (check_a_delete_that_arrives_late, Swept(node, milvus, 1001)),
                *((check, case) for check, cases in ((strike_swept, swept), (strike_changed, late), (strike_cursor, others))
                  for case in cases)]
        harness.run_cases(into, lambda case: case[0](case[1]), parallel=6)
        clock = harness.Clock(harness.seconds(40))
        done += harness.run_cases(rest, strike, parallel=3, clock=clock)
    print(f"{done} of {len(own) + len(rest)} cases, {len(own)} at points of the source, {len(late)} with changes, "
          f"{len(swept)} with documents that were deleted, {len(others)} of other cursors: every document once")
    print("1 passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
