"""A data folder of Milvus 1.x to NumPy files against the physical limit: cp and fsync of the same files, in alternating
pairs.

2 GiB in 50 segments by default, a twentieth of one segment's rows deleted with --deleted. Both read from the page cache and
end when their bytes are on the disk; before each turn the former output is removed and the disk is at rest. Bar: median
ratio of wall times <= 1.0.

    python3 bench/milvus1x.py [--segments 50 --rows 20971 --dim 512] [--deleted 0] [--pairs 5] [--dir FOLDER]"""

import os
import subprocess
import sys
import time

from common import Folder, Run, ROOT, arguments, job, say_machine, verdict, warm

sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import milvus1x_files as made  # noqa: E402


def write(path, segments, rows, dim, deleted):
    folder = made.Folder()
    collection = folder.add("products", dim)
    for number in range(segments):
        gone = made.some_deletes(rows, deleted, number) if deleted else []
        collection.add(made.Segment(range(number * rows, (number + 1) * rows), made.floats(rows, dim, number), gone))
    folder.write(path)
    os.sync()


def files_of(path):
    """Ids and vectors: what both have to move."""
    return [os.path.join(base, name) for base, _, names in os.walk(path) for name in names if name.endswith((".rv", ".uid"))]


def copy(files, target):
    """What a shell does: cp without sharing extents, then fsync of each new file."""
    os.makedirs(target)
    began = time.monotonic()
    subprocess.run(["cp", "--reflink=never", *files, target], check=True)
    subprocess.run(["sync", *[os.path.join(target, name) for name in os.listdir(target)]], check=True)  # of each file: fsync
    return time.monotonic() - began


def main():
    args = arguments(__doc__, segments=50, rows=20971, dim=512, deleted=0, pairs=5)
    say_machine()
    ratios = []
    with Folder(args.dir) as folder:
        source = folder.join("milvus")
        write(source, args.segments, args.rows, args.dim, args.deleted)
        files = files_of(source)
        print(f"{sum(map(os.path.getsize, files)) / 2**30:.2f} GiB in {args.segments} segments, {args.deleted} rows of each deleted")
        config = job(folder.join("job.yaml"), "milvus1x", {"driver": "milvus1x", "path": source},
                     {"driver": "files", "path": folder.join("out"), "format": "npy"}, verify="none")
        for pair in range(args.pairs):
            for file in files:
                warm(file)
            folder.empty("out", "state", "copy")
            theirs = copy(files, folder.join("copy"))
            folder.empty("copy")
            ours = Run(args.build, "run", config, "--state-dir", folder.join("state"))
            ratios.append(ours.wall / theirs)
            print(f"pair {pair + 1}: mmresume {ours.wall:.3f} s (cpu {ours.cpu:.2f} s, waited for savepoints "
                  f"{ours.waited} %)  cp + fsync {theirs:.3f} s  ratio {ratios[-1]:.3f}")
            sys.stdout.flush()
        kept = verdict("wall, mmresume to npy / (cp + fsync)", ratios, 1.0)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
