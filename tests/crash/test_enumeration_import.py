"""Kill -9 at every failpoint of `transfer: import` into a real Milvus, and again during the resume.

Each kind of job is run once to learn its points; then, for each point of the importer, a fresh collection: killed
there, killed again at a seeded point of the resume, resumed to the end, every row and the count compared, no alias
and no staged file left, and nothing of others in the staging folder touched. Then the ways that a plain run does not
take: a request of which nobody knows whether it arrived; a job that the server forgets, with all, some and none of
its rows there; a request that arrives after its replay.
With --all, a server killed in mid-import.

MM_CRASH_SECONDS: wall time (30), the importer's own points aside, which are struck one after another in a few jobs.
--all: every hit of every point in a job of its own, and the killed server, whose tasks stay undecided for minutes (the
campaign kill_import.py kills it, too)."""

import contextlib
import itertools
import json
import os
import random
import sqlite3
import sys
import tempfile
import time

import harness
import numpy
import oracle
import servers
from forwarder import Forwarder
from harness import DATA, DONE, KILLED, UNAVAILABLE, Job, Wrong

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # servers are started while clients are open
ROWS, DIM, EXTENT = 3000, 64, 500
PARALLEL = 6
CHAINS = 3
PATIENT = 240  # seconds of one process, on a machine that has other things to do, too
OTHERS = ("mmresume-0123456789abcdef-1/c/00001/id.npy", "mine.txt")  # of another job, and of nobody
OWN = ("import.", "attend.", "files.adopt.")
numbers = itertools.count(1)


class Trial:
    """A job into a collection of its own, staged in a folder of its own where others' files lie, too."""

    target = {}
    entry = {}
    verify = "full"

    def __init__(self, server, source, endpoint=None, verify=None, **target):
        self.server, self.source = server, source
        self.collection = f"import{next(numbers)}"
        self.stage = tempfile.mkdtemp(prefix="mm-stage-")
        for name in OTHERS:
            os.makedirs(os.path.dirname(os.path.join(self.stage, name)), exist_ok=True)
            with open(os.path.join(self.stage, name), "w", encoding="ascii") as file:
                file.write(name)
        self.client = oracle.client(server.uri)
        self.before()
        self.job = Job({"source": self.reads(),
                        "target": {"driver": "milvus", "endpoint": endpoint or server.uri, "transfer": "import",
                                   "staging": self.stage, "file_size": "128KiB", "format": "npy", **self.target, **target},
                        "collections": [{"to": self.collection, **self.entry}],
                        "limits": {"patience": "90s", "memory": "16MiB", "dumpers": 1, "loaders": 2},
                        "verify": verify or self.verify})

    def reads(self):
        """The job's source."""
        return {"driver": "faiss", "path": self.source["path"], "extent_rows": EXTENT}

    def before(self):
        """What stands in the target before the job."""

    def check_rows(self):
        oracle.check_milvus(self.server.uri, self.collection, self.source["columns"])

    def check(self):
        harness.check_done(self.job, ROWS)
        self.check_rows()
        left = self.client.describe_collection(self.collection).get("aliases")
        if left:
            raise Wrong(f"aliases are left: {left}\n{self.job.story()}")
        others = [name for name in self.client.list_collections() if name.startswith(self.collection + "_")]
        if others:
            raise Wrong(f"collections are left: {others}\n{self.job.story()}")
        self.check_staged(OTHERS)

    def staged(self):
        return sorted(os.path.relpath(os.path.join(base, name), self.stage)
                      for base, _, names in os.walk(self.stage) for name in names)

    def check_staged(self, wanted):
        if self.staged() != sorted(wanted):
            raise Wrong(f"staged: {self.staged()} instead of {sorted(wanted)}\n{self.job.story()}")

    def store(self):
        return contextlib.closing(sqlite3.connect(os.path.join(self.job.state, self.job.name + ".db")))

    def groups(self):
        """The records of the importer's groups."""
        with self.store() as store:
            return {key: json.loads(value) for key, value in
                    store.execute("SELECT key, value FROM state WHERE key LIKE 'import/%' ORDER BY key")}

    def close(self):
        self.client.drop_collection(self.collection)
        self.client.close()
        self.job.remove()
        for base, folders, names in os.walk(self.stage, topdown=False):
            for name in names:
                os.unlink(os.path.join(base, name))
            for name in folders:
                os.rmdir(os.path.join(base, name))
        os.rmdir(self.stage)


class Plain(Trial):
    pass


class Parted(Trial):
    """Into a partition, without an index of its own; the verification's goes afterwards."""

    entry = {"index": "none", "load": False, "partition": "p1"}
    verify = "sample"

    def check_rows(self):
        parameters = self.client.prepare_index_params()
        parameters.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
        self.client.create_index(self.collection, parameters)
        self.client.load_collection(self.collection)
        oracle.check_milvus(self.server.uri, self.collection, self.source["columns"], partitions=["p1"])


class Load(Trial):
    """The files of a dump are imported as they are, and stay what they were."""

    def reads(self):
        dump = Job({"source": super().reads(), "target": {"driver": "files", "path": self.source["path"] + ".dumps",
                    "file_size": "128KiB"}, "collections": [{"to": self.collection}]})
        if dump.start().code != DONE:
            raise Wrong(dump.story())
        dump.remove()
        self.dump = os.path.join(self.source["path"] + ".dumps", self.collection)
        self.files = self.dumped()
        return {"driver": "dump", "path": self.dump}

    def dumped(self):
        """{path: content}."""
        found = {}
        for base, _, names in os.walk(self.dump):
            for name in names:
                with open(os.path.join(base, name), "rb") as file:
                    found[os.path.join(base, name)] = file.read()
        return found

    def check(self):
        super().check()
        if len(self.files) < 5 or self.dumped() != self.files:
            raise Wrong(f"the dump changed: {sorted(self.files)} became {sorted(self.dumped())}\n{self.job.story()}")


class Overwrite(Trial):
    """Something else stands under the name; the new collection takes its place once it is proven."""

    entry = {"if_exists": "overwrite"}

    def before(self):
        self.client.create_collection(self.collection, dimension=8, vector_field_name="old", auto_id=False)
        self.client.insert(self.collection, [{"id": key, "old": [0.5] * 8} for key in range(30)])


class Append(Trial):
    """Rows of others, with other keys, stand beside in a loaded collection."""

    entry = {"if_exists": "append"}
    others = 200

    def before(self):
        self.client.create_collection(self.collection, dimension=DIM, primary_field_name="id", vector_field_name="vector",
                                      auto_id=False, metric_type="L2", enable_dynamic_field=False)
        self.client.insert(self.collection, [{"id": key, "vector": [float(key % 97)] * DIM}
                                             for key in range(10 * ROWS, 10 * ROWS + self.others)])

    def check_rows(self):
        rows = oracle.wait_countable(self.client, self.collection)
        if rows != ROWS + self.others:
            raise Wrong(f"{rows} rows instead of {ROWS + self.others}\n{self.job.story()}")
        expected = self.source["columns"]
        got = oracle.fetch(self.server.uri, self.collection, expected["id"], fields=list(expected))
        problems = oracle._differences(expected, expected["id"].argsort(), got, "id")
        if problems:
            raise Wrong("; ".join(problems))


@contextlib.contextmanager
def trial_of(kind, server, source, **more):
    """Left as it is when something is wrong, for who looks for the reason."""
    trial = kind(server, source, **more)
    yield trial
    trial.close()


def learn(kind, server, source):
    with trial_of(kind, server, source) as trial:
        ended = trial.job.start(timeout=PATIENT)
        if ended.code != DONE:
            raise Wrong(f"{kind.__name__}: {ended!r}")
        trial.check()
    return ended.hits


def check_case(kind, server, source, points, **more):
    """Killed at points[0], then at points[1] of the resume, …, then resumed to the end."""
    with trial_of(kind, server, source, **more) as trial:
        for number, point in enumerate(points):
            ended = trial.job.strike(point, first=number == 0, timeout=PATIENT)
            if number == 0:
                if ended.code != KILLED:
                    raise Wrong(f"{point} was not hit\n{trial.job.story()}")
                harness.check_after_kill(trial.job)
        trial.job.finish(timeout=PATIENT)
        trial.check()


def plan_chains(kind, hits, known):
    """The importer's points that no kind before has, in the order in which they come, over a few jobs: each is killed at
    one, then resumed up to the next of its own, and so on."""
    names = [name for name in dict.fromkeys(hits) if name.startswith(OWN) and name not in known]
    return [(kind, tuple(f"{name}:1:kill" for name in names[first::CHAINS])) for first in range(CHAINS) if names[first::CHAINS]]


def plan_cases(kind, hits, seed, known, all_hits):
    generator = random.Random(seed)
    cases = []
    for name in dict.fromkeys(hits):
        count = hits.count(name)
        chosen = range(1, count + 1) if all_hits else [generator.randint(1, count)] if name not in known else []
        for number in chosen:
            second = f"{generator.choice(sorted(set(hits)))}:{generator.choice((1, 1, 2))}:kill"
            cases.append((kind, (f"{name}:{number}:kill", second)))
    known.update(hits)
    return cases


# what a plain run does not do

AGAIN = ("import.fence.intent", "import.fence.moved", "import.fence.recorded", "import.moving.recorded", "import.move.file",
         "import.moved", "import.again.intent", "import.create.before", "import.create.after")


def check_lost_request(server, source, points):
    """Killed before a request is sent; and again and again while its files get other names and it is sent again."""
    check_case(Plain, server, source, ("import.create.before:2:kill", *(f"{point}:1:kill" for point in points)),
               import_tries=20)


def forget_jobs(trial):
    """The jobs in the records become ones that the server never had. Their real names."""
    real = []
    with trial.store() as store:
        for key, group in trial.groups().items():
            if group["state"] != "sent":
                continue
            real.append(int(group["job"]))
            group["job"] = "4711"
            store.execute("UPDATE state SET value = ? WHERE key = ?", (json.dumps(group, separators=(",", ":")), key))
        store.commit()
    if not real:
        raise Wrong(f"no job was under way: {trial.groups()}")
    return real


def wait_imported(trial, jobs):
    """Until the server has ended them, by its own account."""
    import grpc
    from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{trial.server.port}") as channel:
        server, end = milvus_pb2_grpc.MilvusServiceStub(channel), time.monotonic() + 60
        while any(server.GetImportState(milvus_pb2.GetImportStateRequest(task=job)).state != 6 for job in jobs):
            if time.monotonic() > end:
                raise Wrong(f"jobs {jobs} do not end")
            time.sleep(0.2)


def make_visible(trial):
    parameters = trial.client.prepare_index_params()
    parameters.add_index("vector", index_type="FLAT", metric_type="L2")
    trial.client.create_index(trial.collection, parameters)
    trial.client.load_collection(trial.collection)
    trial.client.refresh_load(trial.collection)


def check_forgotten(server, source, lost, point):
    """A job that the server has forgotten: its keys tell. lost: which of its rows are not there."""
    with trial_of(Plain, server, source) as trial:
        trial.job.strike("import.sent.recorded:2:kill", timeout=PATIENT)
        wait_imported(trial, forget_jobs(trial))
        if lost:
            make_visible(trial)
            keys = [int(key) for key in trial.source["columns"]["id"]]
            trial.client.delete(trial.collection, ids=keys if lost == "all" else keys[::3])
        trial.job.strike(f"{point}:1:kill", first=False, timeout=PATIENT)
        trial.job.finish(timeout=PATIENT)
        trial.check()
        tries = sorted(group["try"] for group in trial.groups().values())
        if (tries[-1] > 1) != bool(lost):
            raise Wrong(f"tries {tries} where {lost or 'nothing'} was lost\n{trial.job.story()}")


def check_late_request(server, source):
    """An Import is held back by the network, its sender dies, the group is imported by another route; then the
    request arrives."""
    way = Forwarder(server.port)
    with trial_of(Plain, server, source, endpoint=way.uri) as trial:
        held = way.on("Import", "hold", nth=2)
        process = trial.job.spawn("run", trial.job.file, "-q")
        if not held.wait(60):
            raise Wrong(f"no second Import came: {trial.job.end(process, 5)!r}")
        process.kill()
        trial.job.end(process, 10)
        process = trial.job.spawn("resume", trial.job.name, "-q", "--set", f"target.endpoint={server.uri}",
                                  failpoint="attend.closed:1:sleep=3000")
        trial.job.wait_hit(process, "import.again.intent", timeout=60)
        held.release()
        ended = trial.job.end(process, PATIENT)
        if ended.code != DONE:
            raise Wrong(f"{ended!r}\n{trial.job.story()}")
        trial.check()
    way.close()


def check_lost_answer(server, source):
    """The request arrives, its answer does not: the job is found by its paths, nothing is sent twice."""
    way = Forwarder(server.port)
    with trial_of(Plain, server, source, endpoint=way.uri) as trial:
        cut = way.on("Import", "cut_after", nth=2)
        ended = trial.job.start(timeout=PATIENT)
        if ended.code != DONE or not cut.fired.is_set():
            raise Wrong(f"{ended!r}\n{trial.job.story()}")
        trial.check()
        if any(group["try"] != 1 for group in trial.groups().values()):
            raise Wrong(f"sent again: {trial.groups()}")
    way.close()


def check_refused_data(server, source):
    """What the server calls wrong with the files ends the run with its words (4), at once."""
    with trial_of(Plain, server, source) as trial:
        process = trial.job.spawn("run", trial.job.file, "-q", failpoint="import.create.before:1:sleep=3000")
        trial.job.wait_hit(process, "import.create.before", timeout=60)
        for group in trial.groups().values():
            numpy.save(group["paths"][1], numpy.zeros((group["rows"], DIM // 2), dtype="f4"))
        ended = trial.job.end(process, PATIENT)
        if ended.code != DATA or "illegal dimension" not in ended.err or "id.npy" not in ended.err:
            raise Wrong(f"{ended!r}\n{trial.job.story()}")


def check_killed_server(source, place):
    """The server is killed while it imports: what its job wrote is told by the keys, and imported again."""
    with servers.MilvusStandalone() as server, trial_of(Plain, server, source, file_size="1GiB") as trial:
        process = trial.job.spawn("run", trial.job.file, "-q", failpoint=f"{place}:1:sleep=1500")
        trial.job.wait_hit(process, place, timeout=60)
        server.restart()
        ended = trial.job.end(process, PATIENT)
        if ended.code not in (DONE, UNAVAILABLE):
            raise Wrong(f"{ended!r}\n{trial.job.story()}")
        if ended.code != DONE:
            trial.job.finish(tries=6, timeout=PATIENT)
        trial.client.close()
        trial.client = oracle.client(server.uri)
        trial.check()


def check_cancel(server, source):
    """Killed while its aliases are taken away: cancelled again."""
    with trial_of(Plain, server, source) as trial:
        trial.job.strike("import.sent.recorded:2:kill", timeout=PATIENT)
        ended = trial.job.go("cancel", trial.job.name, "-q", failpoint="import.cancel.intent:1:kill")
        if ended.code != KILLED:
            raise Wrong(f"{ended!r}\n{trial.job.story()}")
        ended = trial.job.go("cancel", trial.job.name, "-q")
        if ended.code != DONE or trial.client.describe_collection(trial.collection).get("aliases"):
            raise Wrong(f"{ended!r}\n{trial.job.story()}")
        trial.client.drop_collection(trial.collection)
        ended = trial.job.start(timeout=PATIENT)  # what the first run staged goes, too
        if ended.code != DONE:
            raise Wrong(f"{ended!r}\n{trial.job.story()}")
        trial.check()


def others(server, source):
    """The cases that are no plain kills: (function, arguments)."""
    yield from ((check_lost_request, (server, source, AGAIN[first::2])) for first in range(2))
    yield check_forgotten, (server, source, None, "import.unclear.recorded")
    yield check_forgotten, (server, source, "some", "import.decide.delete")
    yield check_forgotten, (server, source, "some", "import.decide.deleted")
    yield check_forgotten, (server, source, "all", "import.decide.again")
    yield check_cancel, (server, source)
    yield check_late_request, (server, source)
    yield check_lost_answer, (server, source)
    yield check_refused_data, (server, source)


def main():
    everything = "--all" in sys.argv[1:]
    clock = harness.Clock(harness.seconds(30))
    servers.private_network()
    with tempfile.TemporaryDirectory() as folder, servers.MilvusStandalone() as server:
        path = folder + "/flat.index"
        source = {"path": path, "columns": harness.flat_file(path, ROWS, DIM, 1)}
        kinds = (Plain, Load, Parted, Overwrite, Append)
        learned = {}
        harness.run_beside(server, kinds, lambda kind: learned.update({kind: learn(kind, server, source)}), PARALLEL)
        known, first, rest = set(), [], []
        for number, kind in enumerate(kinds):
            chains = plan_chains(kind, learned[kind], known)
            cases = plan_cases(kind, learned[kind], number, known, everything)
            first += [(check_case, (kind, server, source, points)) for kind, points in chains]
            rest += [(check_case, (kind, server, source, points)) for kind, points in cases
                     if everything or not points[0].startswith(OWN)]
        first += list(others(server, source))
        cases = first + rest
        done = sum(harness.run_beside(server, some, lambda case: case[0](*case[1]), PARALLEL, until)
                   for some, until in ((first, None), (rest, None if everything else clock)))
        server.stop()
        if everything:
            check_killed_server(source, "import.sent.recorded")
    print(f"{done} of {len(cases)} cases, {len(known)} points, {len(harness.points.struck)} of them struck")
    print(json.dumps(sorted(harness.points.struck)))
    print("1 passed")


if __name__ == "__main__":
    main()
