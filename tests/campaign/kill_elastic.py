"""The long campaign of the search engines: jobs from a real Elasticsearch or OpenSearch into a real Milvus, killed with
SIGKILL again and again until each is done; and jobs during which the node itself is killed and comes back on the same
data. After the last resume every document stands once, with every value.

    tests/campaign/kill_elastic.py [--kind elasticsearch-8] [--kills 100] [--node-kills 20] [--rows 20000] [--seed 1]
                                   [--parallel 4]

A kill falls at a random moment of the time that an undisturbed run takes.
Needs a build of mmresume-testing ($MM_BUILD, default build/dev) and the packages of the tests."""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))

import harness  # noqa: E402
import elastic_data  # noqa: E402
import elastic_servers  # noqa: E402
import oracle  # noqa: E402
import servers  # noqa: E402
from harness import DONE, KILLED, UNAVAILABLE, Job, Wrong  # noqa: E402

KILLS_A_JOB = 5
FIELDS = ["title", "number", "double", "day", "extra", "vector"]


class Trial:
    """One job into a collection of its own."""

    def __init__(self, campaign, number):
        self.campaign, self.collection = campaign, f"trial{number}"
        driver = "opensearch" if campaign.index.kind == "opensearch" else "elasticsearch"
        self.job = Job({"source": {"driver": driver, "endpoint": campaign.node.uri, "index": campaign.index.name,
                                   "include": FIELDS, "extent_bytes": "512KiB", "page_bytes": "256KiB"},
                        "target": {"driver": "milvus", "endpoint": campaign.milvus.uri, "request_bytes": "256KiB"},
                        "collections": [{"to": self.collection,
                                         "index": {"vector": {"index_type": "FLAT", "metric_type": "L2"}}}],
                        "limits": {"patience": "180s", "memory": "32MiB", "rejects": 10**6}, "verify": "full"})

    def spawn(self):
        known = self.job.status()
        fresh = known is None or known["run"] is None
        return self.job.spawn(*(("run", self.job.file) if fresh else ("resume", self.job.name)), "-q")

    def check(self):
        """Every document once."""
        index = self.campaign.index
        harness.check_done(self.job, len(index.rows), len(index.rejected))
        client = oracle.client(self.campaign.milvus.uri)
        count = oracle.wait_countable(client, self.collection)
        if count != len(index.rows):
            raise Wrong(f"{count} rows instead of {len(index.rows)}\n{self.job.story()}")
        rows = elastic_data.milvus_rows(self.campaign.milvus.uri, self.collection, list(index.rows), FIELDS)
        elastic_data.compare(index.kind, rows, index.rows, FIELDS)
        client.drop_collection(self.collection)
        client.close()
        self.job.remove()


class Campaign:
    def __init__(self, node, index, milvus, generator):
        self.node, self.index, self.milvus, self.generator = node, index, milvus, generator
        self.jobs = self.kills = self.node_kills = 0
        self.lock = threading.Lock()

    def trial(self):
        with self.lock:
            self.jobs += 1
            return Trial(self, self.jobs)

    def undisturbed(self):
        trial = self.trial()
        began = time.monotonic()
        ended = trial.job.start(timeout=600)
        if ended.code != DONE:
            raise Wrong(f"{ended!r}")
        self.seconds = time.monotonic() - began
        trial.check()
        print(f"undisturbed: {self.seconds:.1f} s", flush=True)

    def kill_ours(self, generator):
        trial, kills = self.trial(), 0
        for _ in range(KILLS_A_JOB):
            process = trial.spawn()
            time.sleep(generator.random() * self.seconds)
            process.send_signal(signal.SIGKILL)
            ended = trial.job.end(process, 30)
            if ended.code not in (KILLED, DONE):
                raise Wrong(f"{ended!r}\n{trial.job.story()}")
            kills += ended.code == KILLED
            if ended.code == DONE:
                break
        trial.job.finish(timeout=600)
        trial.check()
        with self.lock:
            self.kills += kills
        print(f"{trial.collection}: {kills} kills of mmresume: 0 lost, 0 doubled", flush=True)

    def kill_theirs(self):
        """A run that ends before its moment comes is no kill, and says how long one takes by now."""
        trial = self.trial()
        process, began = trial.spawn(), time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.generator.random() * self.seconds)
        alive = process.poll() is None
        if alive:
            self.node.restart()
        else:
            self.seconds = min(self.seconds, time.monotonic() - began)
        ended = trial.job.end(process, 600)
        if ended.code not in (DONE, UNAVAILABLE):
            raise Wrong(f"{ended!r}\n{trial.job.story()}")
        if ended.code != DONE:
            trial.job.finish(timeout=600)
        trial.check()
        self.node_kills += alive
        told = f"kill {self.node_kills} of the node" if alive else "done before the node was killed"
        print(f"{trial.collection}: {told}, exit {ended.code}: 0 lost, 0 doubled", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", default="elasticsearch-8", choices=["elasticsearch-8", "opensearch"])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--node-kills", type=int, default=20)
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=4)
    arguments = parser.parse_args()
    servers.private_network()
    began = time.monotonic()
    with elastic_servers.Node(arguments.kind) as node, servers.MilvusStandalone() as milvus:
        index = elastic_data.Index(node.client(), arguments.kind, "products")
        index.write(range(arguments.rows))
        index.write(range(arguments.rows // 10), version=1)
        index.delete(range(arguments.rows // 2, arguments.rows // 2 + arguments.rows // 20))
        campaign = Campaign(node, index, milvus, random.Random(arguments.seed))
        campaign.undisturbed()
        while campaign.kills < arguments.kills:
            batch = [random.Random(campaign.generator.random()) for _ in range(arguments.parallel)]
            harness.run_cases(batch, campaign.kill_ours, arguments.parallel)
        while campaign.node_kills < arguments.node_kills:
            campaign.kill_theirs()
    print(f"{campaign.jobs} jobs of {len(index.rows)} rows: {campaign.kills} kills of mmresume, {campaign.node_kills} of the "
          f"node: 0 lost, 0 doubled; {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
