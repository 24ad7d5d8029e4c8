"""What the benchmarks share: index files, job files, running mmresume and reading what its debug log says,
statistics of ratios. Knows nothing of any one benchmark."""

import argparse
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def arguments(description, **own):
    """Options of every benchmark, and its own (name=default, of the default's type)."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"), help="folder of the programs")
    parser.add_argument("--dir", help="folder for the data (default: a temporary one); say which disk is measured")
    for name, default in own.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    return parser.parse_args()


class Folder:
    """A folder of our own below --dir, removed at the end."""

    def __init__(self, parent=None):
        self._parent = parent

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="mm-bench-", dir=self._parent)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def join(self, *parts):
        return os.path.join(self.path, *parts)

    def empty(self, *names):
        """Removes what a former turn left, and waits until the disk is at rest."""
        for name in names:
            path = self.join(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.unlink(path)
        os.sync()


def write_flat(path, rows, dim, block=1 << 14):
    """A FAISS IndexFlatL2 ("IxF2": header, then u64 count and float32 rows) of any size."""
    import numpy

    with open(path, "wb") as file:
        file.write(struct.pack("<4siqqqBi", b"IxF2", dim, rows, 1 << 20, 1 << 20, 1, 1))
        file.write(struct.pack("<Q", rows * dim))
        generator = numpy.random.default_rng(7)
        for start in range(0, rows, block):
            generator.standard_normal((min(block, rows - start), dim), dtype="f4").tofile(file)
        file.flush()
        os.fsync(file.fileno())


def warm(path):
    """The file into the page cache."""
    with open(path, "rb", buffering=0) as file:
        while file.read(8 << 20):
            pass


def job(path, name, source, target, **rest):
    """A job file; YAML is a superset of JSON."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"version": 1, "job": name, "source": source, "target": target, **rest}, file)
    return path


_TIMES = re.compile(r"from the first send to the last acknowledgement ([\d.]+) ms; "
                    r"processor time of the copy ([\d.]+) ms")
_WAITED = re.compile(r"waited for savepoints ([\d.]+) %")


class Run:
    """One mmresume process that ran to its end: wall and CPU seconds and peak memory of the process, and of its
    log the copy's times (first send to last acknowledgement, CPU of all threads) and the share of waiting for
    savepoints."""

    def __init__(self, build, *command, env=None):
        began = time.monotonic()
        process = subprocess.Popen([os.path.join(build, "mmresume"), *command, "-v"], stderr=subprocess.PIPE,
                                   text=True, env=dict(os.environ, **(env or {})))
        with process.stderr:
            self.log = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.wall = time.monotonic() - began
        self.cpu = used.ru_utime + used.ru_stime
        self.peak_mib = used.ru_maxrss / 1024
        if process.returncode != 0:
            sys.exit(f"mmresume {' '.join(command)}: exit {process.returncode}\n{self.log}")
        times, waited = _TIMES.search(self.log), _WAITED.search(self.log)
        self.copy_wall, self.copy_cpu = (float(x) / 1000 for x in times.groups()) if times else (None, None)
        self.waited = float(waited.group(1)) if waited else None


def spread(values):
    return f"min {min(values):.3f}  median {statistics.median(values):.3f}  max {max(values):.3f}"


def verdict(name, values, bar, pick=statistics.median):
    """Prints a measured ratio against its bar (None: there is none); True when it is kept."""
    if bar is None:
        print(f"{name}: {spread(values)}")
        return True
    kept = pick(values) <= bar
    print(f"{name}: {spread(values)}  (bar {bar}: {'kept' if kept else 'MISSED'})")
    return kept


def say_machine():
    with open("/proc/loadavg", encoding="ascii") as file:
        load = file.read().split()[0]
    print(f"{os.cpu_count()} processors, load {load} at the start")
    sys.stdout.flush()
