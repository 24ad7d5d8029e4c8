"""Kill -9 at every failpoint that a job into a real Milvus hits, and again during the resume.

Several kinds of job, so that every step of the target is walked through. Each is run once to learn its
points; then, for each point, a fresh collection: killed there, killed again at a seeded point of the
resume, resumed to the end, every row and the count compared, and no alias or helper collection left.

MM_CRASH_SECONDS: wall time (110), the target's own points aside. --all: every hit of every point, each with several second kills."""

import itertools
import json
import random
import sys
import tempfile

import harness
import oracle
import servers
from harness import DONE, UNAVAILABLE, Job, Wrong

ROWS, DIM, EXTENT = 1200, 64, 400
REJECTED = (7, 640)
PARALLEL = 8
numbers = itertools.count(1)


class Kind:
    """One kind of job: how the target looks before, the job's collection entry, what must be there after."""

    database = ""
    verify = "count"
    target = {}
    entry = {}
    done_rows = ROWS - len(REJECTED)

    def __init__(self, server, source):
        self.server, self.source = server, source
        self.expected = harness.without(source["columns"], REJECTED)

    @property
    def name(self):
        return type(self).__name__

    def client(self):
        from pymilvus import MilvusClient

        return MilvusClient(self.server.uri, db_name=self.database)

    def job(self, collection, program=harness.PROGRAM, limits=None):
        target = {"driver": "milvus", "endpoint": self.server.uri, **self.target}
        if self.database:
            target.update(database=self.database, create_database=True)
        limits = {"rejects": len(REJECTED), "patience": "60s", "memory": "16MiB", "dumpers": 1, "loaders": 2,
                  **(limits or {})}
        return Job({"source": {"driver": "faiss", "path": self.source["path"], "extent_rows": EXTENT},
                    "target": target, "collections": [{"to": collection, **self.entry}],
                    "limits": limits, "verify": self.verify}, program=program)

    def before(self, client, collection):
        """What stands in the target before the job."""

    def check(self, client, collection):
        oracle.check_milvus(self.server.uri, collection, self.expected)

    def check_left(self, client, collection):
        if client.describe_collection(collection).get("aliases"):
            raise Wrong(f"aliases are left: {client.describe_collection(collection)['aliases']}")
        others = [name for name in client.list_collections() if name.startswith(collection + "_")]
        if others:
            raise Wrong(f"collections are left: {others}")


class Plain(Kind):
    verify = "full"


class Unindexed(Kind):
    """The verification needs an index of its own, which goes afterwards; one partition takes all."""

    verify = "sample"
    entry = {"index": "none", "load": True, "partition": "p1"}

    def check(self, client, collection):
        if client.list_indexes(collection):
            raise Wrong(f"an index is left on {collection}: {client.list_indexes(collection)}")
        client.create_index(collection, _index(client))
        client.load_collection(collection)
        oracle.check_milvus(self.server.uri, collection, self.expected)
        oracle.check_milvus(self.server.uri, collection, self.expected, partitions=["p1"])


class Unloaded(Unindexed):
    """The same, and nothing stays loaded."""

    entry = {"index": "none", "load": False, "partition": "p1"}


class Overwrite(Kind):
    """Another schema stands under the name, and under an alias; the new collection takes its place, and
    the alias, once it is proven."""

    entry = {"if_exists": "overwrite"}

    def before(self, client, collection):
        client.create_collection(collection, dimension=8, vector_field_name="old", auto_id=False)
        client.insert(collection, [{"id": key, "old": [0.5] * 8} for key in range(30)])
        client.create_alias(collection, "alias_" + collection)

    def check_left(self, client, collection):
        if client.describe_alias("alias_" + collection)["collection_name"] != collection:
            raise Wrong("the alias did not move")
        client.drop_alias("alias_" + collection)
        super().check_left(client, collection)


class Append(Kind):
    """Rows of others stand beside, and the first hundred keys with older values."""

    entry = {"if_exists": "append"}
    others = 200

    def before(self, client, collection):
        client.create_collection(collection, dimension=DIM, primary_field_name="id", vector_field_name="vector",
                                 auto_id=False, metric_type="L2", enable_dynamic_field=False)
        keys = list(range(10 * ROWS, 10 * ROWS + self.others)) + list(range(100, 200))
        client.insert(collection, [{"id": key, "vector": [float(key % 97)] * DIM} for key in keys])

    def check(self, client, collection):
        rows = oracle.wait_countable(client, collection)
        if rows != self.done_rows + self.others:
            raise Wrong(f"{rows} rows instead of {self.done_rows + self.others}")
        got = oracle.fetch(self.server.uri, collection, self.expected["id"], fields=list(self.expected))
        problems = oracle._differences(self.expected, self.expected["id"].argsort(), got, "id")
        if problems:
            raise Wrong("; ".join(problems))


class Database(Kind):
    """Into a database that the job makes."""

    database = "crashes"

    def check(self, client, collection):
        rows = oracle.wait_countable(client, collection)
        if rows != self.done_rows:
            raise Wrong(f"{rows} rows instead of {self.done_rows}")


def _index(client):
    parameters = client.prepare_index_params()
    parameters.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    return parameters


def second_kill(hits, seed):
    """A seeded point of the resume: any that the run hits, at its first or second hit."""
    generator = random.Random(seed)
    name = generator.choice(sorted(set(hits)))
    return f"{name}:{generator.choice((1, 1, 2))}:kill"


def check_case(kind, points, seed, hits):
    """One job: killed at points[0], then at points[1] of the resume, …, then resumed to the end."""
    collection = f"c{next(numbers)}"
    job = kind.job(collection)
    client = kind.client()
    kind.before(client, collection)
    ended = None
    for number, point in enumerate(points):
        error = point.endswith(":error")
        ended = job.strike(point, first=number == 0, allowed=(UNAVAILABLE,) if error else ())
        if number == 0 and not error:
            harness.check_after_kill(job)
    job.finish()
    harness.check_done(job, kind.done_rows, len(REJECTED))
    harness.check_rejects(job, REJECTED)
    kind.check(client, collection)
    kind.check_left(client, collection)
    client.drop_collection(collection)
    client.close()
    job.remove()
    return ended


def learn(kind):
    """The hits of an undisturbed run, in order; its rows are checked, too."""
    collection = f"c{next(numbers)}"
    job = kind.job(collection)
    client = kind.client()
    kind.before(client, collection)
    ended = job.start()
    if ended.code != DONE:
        raise Wrong(f"{kind.name}: {ended!r}")
    harness.check_done(job, kind.done_rows, len(REJECTED))
    kind.check(client, collection)
    kind.check_left(client, collection)
    client.drop_collection(collection)
    client.close()
    job.remove()
    return ended.hits


def plan_cases(kind, hits, seed, known, all_hits):
    """Cases of one kind: for each of its points that no kind before it has (all: for each hit)."""
    generator = random.Random(seed)
    cases = []
    for name in dict.fromkeys(hits):
        count = hits.count(name)
        if all_hits:
            numbers_ = range(1, count + 1)
        else:
            numbers_ = [generator.randint(1, count)] if name not in known else []
        for number in numbers_:
            second = second_kill(hits, generator.random())
            cases.append((kind, (f"{name}:{number}:kill", second), generator.random(), hits))
    known.update(hits)
    return cases


def check_leftover(kind):
    """A run that overwrites is cancelled in mid-copy: the next one finds its collection and drops it."""
    collection = f"c{next(numbers)}"
    job = kind.job(collection)
    client = kind.client()
    kind.before(client, collection)
    job.strike("committer.after_commit:3:kill")
    if job.go("cancel", job.name, "-q").code != DONE:
        raise Wrong(job.story())
    ended = job.start(failpoint="milvus.collection.leftover:1:kill")
    if ended.code != harness.KILLED:
        raise Wrong(f"{ended!r}\n{job.story()}")
    job.finish()
    harness.check_done(job, kind.done_rows, len(REJECTED))
    kind.check(client, collection)
    kind.check_left(client, collection)
    client.drop_collection(collection)
    client.close()
    job.remove()


def check_repair(kind):
    """Rows are taken from the target, falsified and doubled: found (4), mended by --repair, with a kill at each of its
    points."""
    collection = f"c{next(numbers)}"
    job = kind.job(collection)
    client = kind.client()
    if job.start().code != DONE:
        raise Wrong(job.story())
    points = ("store.repair.before_commit:1", "store.repair.after_commit:1", "repair.planned:1", "lane.after_send:1")
    for number, point in enumerate(points):
        lost = [100 + number, 900 + number]
        client.delete(collection, ids=lost)
        client.upsert(collection, [{"id": 300 + number, "vector": [1.0] * DIM}])
        client.insert(collection, [{"id": 500 + number, "vector": [2.0] * DIM} for _ in range(1 + number)])
        ended = job.go("verify", job.name, "--full", "-q")
        if ended.code != harness.DATA or str(lost[0]) not in ended.err:
            raise Wrong(f"verify of a falsified target: {ended!r}")
        if job.status()["verdict"]["state"] != "different":
            raise Wrong(f"{job.status()}")
        if job.start().code != harness.UNFINISHED:
            raise Wrong("`run` after a verification that failed")
        for _ in range(3):
            ended = job.go("resume", job.name, "--repair", "-q", failpoint=point + ":kill")
            point = "none:1"
            if ended.code == DONE:
                break
        if ended.code != DONE:
            raise Wrong(f"repair: {ended!r}\n{job.story()}")
        kind.check(client, collection)
        ended = job.go("verify", job.name, "--full", "-q")
        if ended.code != DONE:
            raise Wrong(f"verify after the repair: {ended!r}")
    client.drop_collection(collection)
    client.close()
    job.remove()


def main():
    everything = "--all" in sys.argv[1:]
    clock = harness.Clock(harness.seconds(110))
    servers.private_network()
    with tempfile.TemporaryDirectory() as folder, servers.MilvusStandalone() as server:
        path = folder + "/flat.index"
        source = {"path": path, "columns": harness.flat_file(path, ROWS, DIM, 1, nan=REJECTED)}
        kinds = [kind(server, source) for kind in (Plain, Unindexed, Unloaded, Overwrite, Append)]
        learned = {}
        harness.run_cases(kinds, lambda kind: learned.update({kind: learn(kind)}), PARALLEL)
        known, cases = set(), []
        for number, kind in enumerate(kinds):
            cases += plan_cases(kind, learned[kind], number, known, everything)
        plain = kinds[0]
        cases += [(plain, (f"{name}:{n}:error", second_kill(learned[plain], n)), n, learned[plain])
                  for name, n in (("store.apply.begin", 3), ("store.apply.before_commit", 17), ("store.apply.begin", 30))]
        others = [(check_repair, plain), (check_leftover, kinds[3]), (check_database, Database(server, source))]
        cases = others + cases
        # the target's own points are not left to the clock; those of the store are enumerated on files
        first = [case for case in cases if len(case) == 2 or case[1][0].startswith(("milvus", "fence", "rejects"))]
        rest = [case for case in cases if case not in first]
        done = sum(harness.run_cases(some, lambda case: case[0](case[1]) if len(case) == 2 else check_case(*case),
                                     PARALLEL, until) for some, until in ((first, None), (rest, clock)))
    print(f"{done} of {len(cases)} cases, {len(known)} points, {len(harness.points.struck)} of them struck")
    print(json.dumps(sorted(harness.points.struck)))
    print("1 passed")


def check_database(kind):
    """A database that is made, perhaps twice."""
    from pymilvus import MilvusClient

    for point in ("milvus.database.before", "milvus.database.created"):
        job = kind.job("c")
        if job.strike(f"{point}:1:kill").code != harness.KILLED:
            raise Wrong(f"{point} was not hit\n{job.story()}")
        job.finish()
        harness.check_done(job, kind.done_rows, len(REJECTED))
        client = kind.client()
        kind.check(client, "c")
        client.drop_collection("c")
        client.close()
        MilvusClient(kind.server.uri).drop_database(kind.database)
        job.remove()


if __name__ == "__main__":
    main()
