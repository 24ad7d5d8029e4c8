"""HDF5 to NumPy files: contiguous float32 against cp and fsync of the same bytes, gzip chunks against h5py reading the
same blocks, in alternating pairs.

All read from the page cache. The job ends when its bytes are on the disk and its verdict is said; h5py only reads, into
one array of a block. Before each turn the former output is removed and the disk is at rest. Bars: median ratio of wall
times, contiguous <= 1.0, gzip <= 1.1.

    python3 bench/hdf5.py [--rows 1048576 --dim 512] [--packed-rows 524288] [--pairs 5] [--dir FOLDER]"""

import os
import sys
import time

from common import Folder, Run, arguments, job, say_machine, verdict, warm
from files import copy

CHUNK, BLOCK = 1024, 8192  # rows


def write(path, rows, dim, **create):
    import h5py
    import numpy

    generator = numpy.random.default_rng(7)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("embeddings", (rows, dim), "f4", **create)
        for start in range(0, rows, BLOCK):
            data[start : start + BLOCK] = generator.standard_normal((min(BLOCK, rows - start), dim), dtype="f4")
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def read(path, rows, dim):
    """Seconds of h5py, its import apart."""
    import h5py
    import numpy

    block = numpy.empty((BLOCK, dim), "f4")
    began = time.monotonic()
    with h5py.File(path, "r") as file:
        data = file["embeddings"]
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            data.read_direct(block, numpy.s_[start : start + count], numpy.s_[:count])
    return time.monotonic() - began


def pairs(args, folder, source, name, theirs, bar):
    config = job(folder.join(name + ".yaml"), name, {"driver": "hdf5", "path": source},
                 {"driver": "files", "path": folder.join("out"), "format": "npy"}, verify="none")
    ratios = []
    for pair in range(args.pairs):
        warm(source)
        folder.empty("out", "state", "copy")
        their_wall = theirs()
        folder.empty("copy")
        ours = Run(args.build, "run", config, "--state-dir", folder.join("state"))
        ratios.append(ours.wall / their_wall)
        print(f"pair {pair + 1}: mmresume {ours.wall:.3f} s (cpu {ours.cpu:.2f} s)  against {their_wall:.3f} s  ratio {ratios[-1]:.3f}")
        sys.stdout.flush()
    folder.empty("out", "state")
    return verdict(f"wall, mmresume / {name}", ratios, bar)


def main():
    args = arguments(__doc__, rows=1 << 20, dim=512, packed_rows=1 << 19, pairs=5)
    say_machine()
    with Folder(args.dir) as folder:
        flat, packed = folder.join("flat.h5"), folder.join("packed.h5")
        write(flat, args.rows, args.dim)
        print(f"contiguous: {os.path.getsize(flat) / 2**30:.2f} GiB")
        kept = pairs(args, folder, flat, "cp-and-fsync", lambda: copy(flat, folder.join("copy")), 1.0)
        os.unlink(flat)
        write(packed, args.packed_rows, args.dim, chunks=(CHUNK, args.dim), compression="gzip")
        print(f"gzip: {args.packed_rows * args.dim * 4 / 2**30:.2f} GiB in {os.path.getsize(packed) / 2**30:.2f} GiB")
        kept = pairs(args, folder, packed, "h5py", lambda: read(packed, args.packed_rows, args.dim), 1.1) and kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
