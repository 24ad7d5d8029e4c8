"""600,000 documents with a vector of 128 dimensions and some scalars, in 5 shards of a real Elasticsearch 8, to `files`
as Parquet: mmresume against curl, which sends the same requests again with the same parallelism and throws the replies away;
and its processor time against the Python client's helpers.scan into NumPy arrays. Alternating.
Bars: rows/s >= 0.85 x curl's (wall <= 1.18 x), CPU <= 0.2 x, medians.

Where the server leaves no processor free, each second of ours is taken from it: --apart 1 gives the server one processor and
the clients another, as if it stood elsewhere.

    python3 bench/elastic.py [--rows 600000] [--dim 128] [--pairs 5] [--apart 0] [--dir FOLDER]"""

import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time

from common import ROOT, Folder, Run, arguments, job, say_machine, spread, verdict

os.environ.setdefault("MM_ROOT", ROOT)
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import elastic_servers  # noqa: E402
import http_proxy  # noqa: E402

INDEX, SHARDS = "bench", 5


def fill(client, rows, dim):
    import numpy

    client("PUT", f"/{INDEX}", {"settings": {"number_of_shards": SHARDS, "number_of_replicas": 0, "refresh_interval": "-1"},
                                "mappings": {"properties": {
                                    "vector": {"type": "dense_vector", "dims": dim, "index": False},
                                    "number": {"type": "long"}, "price": {"type": "double"},
                                    "title": {"type": "text"}, "brand": {"type": "keyword"}}}})
    random = numpy.random.default_rng(11)

    def documents():
        for start in range(0, rows, 4096):
            vectors = random.standard_normal((min(4096, rows - start), dim)).round(7)  # digits as a float has
            for number, vector in enumerate(vectors.tolist(), start):
                yield f"doc-{number}", {"vector": vector, "number": number, "price": number / 7,
                                        "title": f"a title of the document {number}", "brand": f"brand {number % 97}"}

    client.index(INDEX, documents())
    client.refresh(INDEX)
    assert client("GET", f"/{INDEX}/_count")["count"] == rows


def make_job(folder, name, uri):
    return job(folder.join(name + ".yaml"), name, {"driver": "elasticsearch", "endpoint": uri, "index": INDEX},
               {"driver": "files", "path": folder.join(name + ".out"), "format": "parquet"}, verify="count", limits={"dumpers": 4})


def ours(wanted, folder, name, uri):
    folder.empty(name + ".out", "state")
    return Run(wanted.build, "run", make_job(folder, name, uri), env={"MMRESUME_STATE_DIR": folder.join("state")})


def record(wanted, folder, node):
    """curl's configuration with the requests of one run, and how many were on their way at once."""
    with http_proxy.FaultProxy(node.port, keep_bodies=True) as way:
        ours(wanted, folder, "recorded", way.uri)
        lines = ["silent", "show-error", "fail"]
        # this Elasticsearch has no `GET /`: what it is asks another request
        for number, request in enumerate(request for request in way.requests if request.status == 200):
            lines += ["next", "silent", "show-error", "fail"] if number else []
            lines += [f'url = "{node.uri}{request.target}"', f'request = "{request.method}"', 'output = "/dev/null"']
            lines += [f'header = "{name}: {request.headers[name]}"' for name in ("content-type", "accept", "accept-encoding")
                      if name in request.headers]
            if request.body:
                path = folder.join(f"body-{number}")
                with open(path, "wb") as file:
                    file.write(request.body)
                lines.append(f'data-binary = "@{path}"')
        with open(folder.join("curl.conf"), "w", encoding="latin-1") as file:
            file.write("\n".join(lines) + "\n")
        print(f"{len(way.requests)} requests, {way.most} at once", flush=True)
        return way.most


def curl(folder, parallel):
    began = time.monotonic()
    made = subprocess.run(["curl", "--parallel", "--parallel-max", str(parallel), "--config", folder.join("curl.conf")],
                          check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if made.returncode:
        sys.exit(f"curl: exit {made.returncode}\n{made.stderr}")
    return time.monotonic() - began


def scan_child(uri, rows, dim):
    """In a process of its own: prints the seconds of wall and CPU that the scan alone took."""
    import elasticsearch
    import elasticsearch.helpers
    import numpy

    rows, dim = int(rows), int(dim)
    client = elasticsearch.Elasticsearch(uri)
    client.cluster.health()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    vectors, numbers, prices = numpy.empty((rows, dim), "f4"), numpy.empty(rows, "i8"), numpy.empty(rows, "f8")
    ids, titles, brands = [], [], []
    for at, hit in enumerate(elasticsearch.helpers.scan(client, index=INDEX, size=2000)):
        source = hit["_source"]
        vectors[at], numbers[at], prices[at] = source["vector"], source["number"], source["price"]
        ids.append(hit["_id"])
        titles.append(source["title"])
        brands.append(source["brand"])
    assert at + 1 == rows
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime]))


def scan(node, wanted):
    made = subprocess.run([sys.executable, os.path.abspath(__file__), "--child", node.uri, str(wanted.rows), str(wanted.dim)],
                          check=True, stdout=subprocess.PIPE)
    return json.loads(made.stdout)


def part(group):
    """The server's processes to the first processor, this one and those that it starts to the second."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(int(pid)) == group:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    os.sched_setaffinity(int(thread), {0})
    os.sched_setaffinity(0, {1})
    print("the server has processor 0, the clients have processor 1", flush=True)


def main():
    wanted = arguments(__doc__, rows=600000, dim=128, pairs=5, apart=0)
    say_machine()
    walls, cpus, rates = [], [], []
    with Folder(wanted.dir) as folder, elastic_servers.Node("elasticsearch-8", java="") as node:
        fill(node.client(), wanted.rows, wanted.dim)
        if wanted.apart:
            part(node.process.pid)
        parallel = record(wanted, folder, node)
        curl(folder, parallel)  # the server's code is compiled, its files are in memory
        for turn in range(wanted.pairs):
            sides = [lambda: ours(wanted, folder, "ours", node.uri), lambda: curl(folder, parallel)]
            first, second = sides if turn % 2 == 0 else reversed(sides)
            made = [first(), second()]
            run, bare = made if turn % 2 == 0 else reversed(made)
            wall, cpu = scan(node, wanted)
            walls.append(run.wall / bare)
            cpus.append(run.cpu / cpu)
            rates.append(wanted.rows / run.wall)
            print(f"turn {turn + 1}: ours {run.wall:.2f} s, {run.cpu:.2f} s of CPU; curl {bare:.2f} s; helpers.scan {wall:.2f} s, "
                  f"{cpu:.2f} s of CPU", flush=True)
    print(f"ours: {statistics.median(rates):.0f} rows/s; ours against curl's rows/s: " + spread([1 / wall for wall in walls]))
    kept = [verdict("wall against curl", walls, 1 / 0.85), verdict("CPU against helpers.scan", cpus, 0.2)]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        scan_child(*sys.argv[2:])
    else:
        sys.exit(main())
