"""1,000,000 × 128 float32 into fresh collections of one real Milvus standalone: mmresume against pymilvus, the
client that a user would write a loop with, and against a bare client that sends mmresume's very requests
ready-made: what the network and the server leave as possible.

One server, one run, alternating turns. Wall time from the first send to the last acknowledgement; client CPU
of the same phase (for mmresume the whole copy, reading the file included; pymilvus gets slices of an array in
memory). pymilvus first tries 10,000, 20,000 and 50,000 rows a batch, and column lists against row dicts, and
then runs at its best. Bars, medians: wall <= 0.6 × and CPU <= 0.2 × of pymilvus; wall <= 1.15 × of the bare
client; waiting for savepoints <= 2 % of the copy.

    python3 bench/insert.py [--rows 1000000 --dim 128] [--pairs 5] [--connections 4]"""

import json
import os
import resource
import subprocess
import sys
import time

from common import ROOT, Folder, Run, arguments, job, say_machine, verdict, warm, write_flat

sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
EXTENT_BYTES, BATCH_BYTES = 64 << 20, 8 << 20  # mmresume's defaults at limits.memory 256MiB


def pymilvus_client(uri, path, collection, form, batch, rows):
    """Runs in a process of its own: inserts the file's first rows, prints the figures of the loop."""
    import numpy
    from pymilvus import MilvusClient

    dim = int(numpy.fromfile(path, "<i4", 1, offset=4)[0])
    vectors = numpy.fromfile(path, "<f4", rows * dim, offset=45).reshape(-1, dim)
    client = MilvusClient(uri=uri)
    if form == "columns":
        from pymilvus import Collection, connections

        connections.connect(uri=uri)
        target = Collection(collection)
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    for start in range(0, len(vectors), batch):
        part = vectors[start:start + batch]
        ids = range(start, start + len(part))
        if form == "columns":
            target.insert([list(ids), part])
        else:
            client.insert(collection, [{"id": i, "vector": v} for i, v in zip(ids, part)])
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"wall": wall, "cpu": cpu}))


def at_rest(server, limit=60):
    """Waits until the server has finished what it does after inserts (at most `limit` s)."""
    def used():
        with open(f"/proc/{server.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    end = time.monotonic() + limit
    while time.monotonic() < end:
        before = used()
        time.sleep(2)
        if used() - before < 0.5:
            return


class Bench:
    def __init__(self, args, server, folder):
        from pymilvus import MilvusClient

        self.args, self.server, self.folder = args, server, folder
        self.client = MilvusClient(uri=server.uri)
        self.source = folder.join("flat.index")
        write_flat(self.source, args.rows, args.dim)

    def fresh(self, name):
        from pymilvus import DataType

        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.args.dim)
        self.client.create_collection(name, schema=schema)
        return name

    def begin(self):
        warm(self.source)
        at_rest(self.server)

    def end(self, name, wanted):
        rows = self.rows(name, wanted)
        if rows != wanted:
            sys.exit(f"{name} holds {rows} rows")
        self.client.drop_collection(name)

    def rows(self, name, wanted):
        self.client.flush(name)
        for _ in range(50):
            rows = int(self.client.get_collection_stats(name)["row_count"])
            if rows >= wanted:
                break
            time.sleep(0.2)
        return rows

    def pymilvus(self, form, batch, rows):
        name = self.fresh("bench_pymilvus")
        self.begin()
        done = subprocess.run([sys.executable, os.path.abspath(__file__), "client", self.server.uri, self.source, name,
                               form, str(batch), str(rows)], stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, PYTHONWARNINGS="ignore"))
        if done.returncode != 0:
            self.client.drop_collection(name)
            return None
        self.end(name, rows)
        return json.loads(done.stdout.splitlines()[-1])

    def bare(self):
        name = self.fresh("bench_bare")
        self.begin()
        done = subprocess.run([os.path.join(self.args.build, "bench", "bare_insert"), self.server.uri, self.source,
                               name, str(self.args.connections), str(EXTENT_BYTES), str(BATCH_BYTES)],
                              stdout=subprocess.PIPE, text=True, check=True)
        self.end(name, self.args.rows)
        said = json.loads(done.stdout)
        return {"wall": said["wall_ms"] / 1000, "cpu": said["cpu_ms"] / 1000}

    def mmresume(self):
        self.folder.empty("state")
        config = job(self.folder.join("job.yaml"), "insert", {"driver": "faiss", "path": self.source},
                     {"driver": "milvus", "endpoint": self.server.uri},
                     collections=[{"to": "bench_mmresume", "index": "none", "load": False}],
                     limits={"loaders": self.args.connections}, verify="none")
        self.begin()
        run = Run(self.args.build, "run", config, "--state-dir", self.folder.join("state"))
        self.end("bench_mmresume", self.args.rows)
        return {"wall": run.copy_wall, "cpu": run.copy_cpu, "waited": run.waited, "peak": run.peak_mib}

    def best(self):
        """pymilvus's best form and batch size, tried on a part of the rows."""
        tried, rows = [], min(self.args.rows, 300000)
        for form in ("columns", "rows"):
            for batch in (10000, 20000, 50000):
                one = self.pymilvus(form, batch, rows)
                print(f"pymilvus, {form}, {batch} rows a batch: " +
                      (f"{one['wall']:.2f} s, cpu {one['cpu']:.2f} s" if one else "refused"))
                sys.stdout.flush()
                if one:
                    tried.append((one["wall"], form, batch))
        return min(tried)[1:]


def compare(args, server, folder):
    bench = Bench(args, server, folder)
    form, batch = bench.best()
    wall, cpu, floor, waited = [], [], [], []
    for pair in range(args.pairs):
        ours, theirs = bench.mmresume(), bench.pymilvus(form, batch, args.rows)
        bare = bench.bare()
        wall.append(ours["wall"] / theirs["wall"])
        cpu.append(ours["cpu"] / theirs["cpu"])
        floor.append(ours["wall"] / bare["wall"])
        waited.append(ours["waited"])
        print(f"pair {pair + 1}: mmresume {ours['wall']:.2f} s, cpu {ours['cpu']:.2f} s, waited {ours['waited']} %, peak "
              f"memory {ours['peak']:.0f} MiB; "
              f"pymilvus {theirs['wall']:.2f} s, cpu {theirs['cpu']:.2f} s; "
              f"bare {bare['wall']:.2f} s, cpu {bare['cpu']:.2f} s")
        sys.stdout.flush()
    kept = [verdict(f"wall, mmresume / pymilvus ({form}, {batch} rows)", wall, 0.6),
            verdict("client CPU, mmresume / pymilvus", cpu, 0.2),
            verdict("wall, mmresume / bare client", floor, 1.15),
            verdict("waited for savepoints, % of the copy", waited, 2.0)]
    return 0 if all(kept) else 1


def main():
    if sys.argv[1:2] == ["client"]:
        uri, path, collection, form, batch, rows = sys.argv[2:]
        pymilvus_client(uri, path, collection, form, int(batch), int(rows))
        return 0
    import servers

    args = arguments(__doc__, rows=1000000, dim=128, pairs=5, connections=4)
    servers.private_network()
    say_machine()
    with Folder(args.dir) as folder, servers.MilvusStandalone() as server:
        return compare(args, server, folder)


if __name__ == "__main__":
    sys.exit(main())
