"""1,000,000 × 128 float32 into fresh collections of one real Milvus standalone by bulk import: mmresume with
`transfer: import`, from the FAISS file to rows that are in, against what a user does who has the .npy files already:
`cp` of them to where the server reads, and pymilvus's do_bulk_insert of the same files, one call a file set, followed
to the end.

One server, one run, alternating pairs. mmresume: from the start of the process to its end, with verify: none, no index
and no load, so that both do the same; its writing of the files is in the time. Bar, median: wall <= 1.1 × of the other.

    python3 bench/import.py [--rows 1000000 --dim 128] [--pairs 5] [--file-mib 128]"""

import os
import sys
import time

from common import ROOT, Folder, Run, arguments, job, say_machine, verdict, warm
from insert import Bench, at_rest

sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
STATES_ENDED = {"Completed", "Failed", "FailedAndCleaned"}


class ImportBench(Bench):
    def __init__(self, args, server, folder):
        super().__init__(args, server, folder)
        self.sets = self.write_sets()

    def write_sets(self):
        """The ready files: as many rows a set as mmresume's files have."""
        import numpy

        rows, dim = self.args.rows, self.args.dim
        vectors = numpy.memmap(self.source, "<f4", "r", offset=45, shape=(rows, dim))
        a_set, sets = self.args.file_mib * (1 << 20) // (4 * dim), []
        for number, first in enumerate(range(0, rows, a_set)):
            path = self.folder.join("ready", str(number))
            os.makedirs(path)
            numpy.save(os.path.join(path, "vector.npy"), vectors[first:first + a_set])
            numpy.save(os.path.join(path, "id.npy"), numpy.arange(first, min(first + a_set, rows)))
            sets.append(path)
        return sets

    def begin(self):
        warm(self.source)
        for path in self.sets:
            for name in os.listdir(path):
                warm(os.path.join(path, name))
        at_rest(self.server)

    def theirs(self):
        """cp, do_bulk_insert, and get_bulk_insert_state until all are Completed."""
        from pymilvus import connections, utility

        name = self.fresh("bench_bulk")
        connections.connect(uri=self.server.uri)
        self.folder.empty("copied")
        self.begin()
        began, tasks = time.monotonic(), []
        for number, path in enumerate(self.sets):
            there = self.folder.join("copied", str(number))
            os.makedirs(there)
            os.spawnlp(os.P_WAIT, "cp", "cp", "-r", path + "/.", there)
            tasks.append(utility.do_bulk_insert(name, [os.path.join(there, "id.npy"), os.path.join(there, "vector.npy")]))
        while tasks:
            state = utility.get_bulk_insert_state(tasks[0])
            if state.state_name not in STATES_ENDED:
                time.sleep(0.05)
            elif state.state_name != "Completed":
                sys.exit(f"do_bulk_insert: {state}")
            else:
                tasks.pop(0)
        wall = time.monotonic() - began
        self.client.drop_collection(name)
        return wall

    def ours(self):
        self.folder.empty("state", "staged")
        os.makedirs(self.folder.join("staged"))
        config = job(self.folder.join("import.yaml"), "import", {"driver": "faiss", "path": self.source},
                     {"driver": "milvus", "endpoint": self.server.uri, "transfer": "import", "format": "npy",
                      "staging": self.folder.join("staged"), "file_size": f"{self.args.file_mib}MiB"},
                     collections=[{"to": "bench_import", "index": "none", "load": False}], verify="none")
        self.begin()
        run = Run(self.args.build, "run", config, "--state-dir", self.folder.join("state"))
        self.end("bench_import", self.args.rows)
        return run


def compare(args, server, folder):
    bench = ImportBench(args, server, folder)
    ratios = []
    for pair in range(args.pairs):
        ours, theirs = bench.ours(), bench.theirs()
        ratios.append(ours.wall / theirs)
        print(f"pair {pair + 1}: mmresume {ours.wall:.2f} s, cpu {ours.cpu:.2f} s, peak memory {ours.peak_mib:.0f} MiB; "
              f"cp and do_bulk_insert {theirs:.2f} s")
        sys.stdout.flush()
    return 0 if verdict("wall, mmresume / (cp + do_bulk_insert)", ratios, 1.1) else 1


def main():
    import servers

    args = arguments(__doc__, rows=1000000, dim=128, pairs=5, file_mib=128)
    servers.private_network()
    say_machine()
    with Folder(args.dir) as folder, servers.MilvusStandalone() as server:
        return compare(args, server, folder)


if __name__ == "__main__":
    sys.exit(main())
