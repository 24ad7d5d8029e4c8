"""A plan of a million tasks (one row each), Flat and IVF: planned, interrupted by kill -9, resumed. Measures how
soon after its start `resume` has written its first batch, and the peak memory of planning, copying and
resuming; and the peak memory of a large file with ordinary tasks.

The first batch: the debug line that a lane logs when its first write has returned, stamped when it arrives
here; the output folder's growth is checked too. Memory: RssAnon + RssShmem of /proc/<pid>/status, polled every
5 ms (file-mapped pages apart), and VmHWM, which includes them. Bars: every resume <= 0.5 s; memory below
limits.memory (256 MiB) + 64 MiB.

    python3 bench/plan.py [--tasks 1000000] [--resumes 5] [--large-rows 4194304] [--dir FOLDER]"""

import os
import re
import signal
import subprocess
import sys
import threading
import time

from common import Folder, arguments, job, say_machine, spread, write_flat

LIMIT_MIB = 256 + 64
FIELD = re.compile(r"^(RssAnon|RssShmem|VmHWM):\s+(\d+) kB", re.M)


class Watched:
    """A running mmresume: when its log lines came, and its peak memory."""

    def __init__(self, build, *command):
        self.began = time.monotonic()
        self.process = subprocess.Popen([os.path.join(build, "mmresume"), *command, "-v"], stderr=subprocess.PIPE,
                                        text=True)
        self.own_kib = self.peak_kib = 0
        self.first = threading.Event()
        self.first_s = self.planned_s = None
        self.log = []
        self.threads = [threading.Thread(target=run) for run in (self._read, self._poll)]
        for thread in self.threads:
            thread.start()

    def _read(self):
        for line in self.process.stderr:
            now = time.monotonic() - self.began
            self.log.append(line)
            if self.planned_s is None and " rows in " in line:
                self.planned_s = now
            if self.first_s is None and "the first batch is written" in line:
                self.first_s = now
                self.first.set()
        self.first.set()

    def _poll(self):
        while self.process.poll() is None:
            try:
                with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
                    found = {name: int(value) for name, value in FIELD.findall(file.read())}
            except FileNotFoundError:
                break
            self.own_kib = max(self.own_kib, found.get("RssAnon", 0) + found.get("RssShmem", 0))
            self.peak_kib = max(self.peak_kib, found.get("VmHWM", 0))
            time.sleep(0.005)

    def end(self, number=None):
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait()
        for thread in self.threads:
            thread.join()
        if code not in (0, 75, -signal.SIGKILL):
            sys.exit(f"exit {code}\n{''.join(self.log)}")
        return self

    def memory(self):
        return f"own {self.own_kib / 1024:.0f} MiB, with mapped files {self.peak_kib / 1024:.0f} MiB"


def write_ivf(path, rows, dim):
    import faiss
    import numpy

    vectors = numpy.random.default_rng(3).standard_normal((rows, dim), dtype="f4")
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(dim), dim, 1024)
    index.cp.min_points_per_centroid, index.cp.niter = 1, 2
    index.train(vectors[:20000])
    index.add(vectors)
    faiss.write_index(index, path)


def size_of(path):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names)


def many_tasks(args, folder, kind, write):
    source, out, state = folder.join(kind + ".index"), folder.join("out"), folder.join("state")
    write(source, args.tasks, args.dim)
    folder.empty("out", "state")
    config = job(folder.join("job.yaml"), "plan", {"driver": "faiss", "path": source, "extent_rows": 1},
                 {"driver": "files", "path": out}, verify="none")
    run = Watched(args.build, "run", config, "--state-dir", state)
    run.first.wait()
    time.sleep(args.seconds)
    run.end(signal.SIGKILL)
    print(f"{kind}, {args.tasks} tasks: planned in {run.planned_s:.2f} s, first batch after {run.first_s:.2f} s, "
          f"memory {run.memory()}")
    times, own = [], [run.own_kib]
    for _ in range(args.resumes):
        before = size_of(out)
        resumed = Watched(args.build, "resume", "plan", "--state-dir", state)
        resumed.first.wait()
        if resumed.first_s is None or size_of(out) == 0:
            sys.exit(f"nothing was written\n{''.join(resumed.log)}")
        time.sleep(args.seconds)
        resumed.end(signal.SIGKILL)
        if size_of(out) <= before:
            sys.exit("the output did not grow")
        times.append(resumed.first_s)
        own.append(resumed.own_kib)
    print(f"{kind}: resume to its first batch, s: {spread(times)}  (bar 0.5: {'kept' if max(times) <= 0.5 else 'MISSED'})")
    last = Watched(args.build, "resume", "plan", "--state-dir", state).end()
    print(f"{kind}: the rest in {time.monotonic() - last.began:.1f} s, memory {last.memory()}")
    own.append(last.own_kib)
    return max(times) <= 0.5, max(own)


def large(args, folder):
    source = folder.join("large.index")
    write_flat(source, args.large_rows, 128)
    folder.empty("out", "state")
    config = job(folder.join("job.yaml"), "large", {"driver": "faiss", "path": source},
                 {"driver": "files", "path": folder.join("out")}, verify="none")
    run = Watched(args.build, "run", config, "--state-dir", folder.join("state")).end()
    print(f"Flat of {os.path.getsize(source) / 2**30:.1f} GiB: memory {run.memory()}")
    return run.own_kib


def main():
    args = arguments(__doc__, tasks=1000000, dim=8, resumes=5, seconds=3, large_rows=1 << 22)
    say_machine()
    kept, own = [], []
    with Folder(args.dir) as folder:
        for kind, write in (("flat", write_flat), ("ivf", write_ivf)):
            quick, kib = many_tasks(args, folder, kind, write)
            kept.append(quick)
            own.append(kib)
        own.append(large(args, folder))
    peak = max(own) / 1024
    kept.append(peak < LIMIT_MIB)
    print(f"peak memory of all: {peak:.0f} MiB  (bar {LIMIT_MIB}: {'kept' if kept[-1] else 'MISSED'})")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
