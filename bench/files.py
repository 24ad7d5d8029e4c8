"""FAISS Flat to `files` (or `hdf5`) against the physical limit: cp and fsync of the same bytes, in alternating pairs.

Both read the same file from the page cache and end when their bytes are on the disk; before each turn the
former output is removed and the disk is at rest. Bar: median ratio of wall times <= 1.0, as Parquet 1.3.

    python3 bench/files.py [--format npy|parquet|jsonl|hdf5] [--rows 1048576 --dim 512] [--pairs 5] [--dir FOLDER]"""

import os
import subprocess
import sys
import time

from common import Folder, Run, arguments, job, say_machine, verdict, warm, write_flat


BARS = {"npy": 1.0, "parquet": 1.3, "hdf5": 1.0}  # others are only measured


def copy(source, target):
    """What a shell does: cp without sharing extents, then fsync of the new file."""
    began = time.monotonic()
    subprocess.run(["cp", "--reflink=never", source, target], check=True)
    subprocess.run(["sync", target], check=True)  # of one file: fsync
    return time.monotonic() - began


def main():
    args = arguments(__doc__, rows=1 << 20, dim=512, pairs=5, format="npy")
    say_machine()
    ratios, kept = [], True
    with Folder(args.dir) as folder:
        source = folder.join("flat.index")
        write_flat(source, args.rows, args.dim)
        print(f"{os.path.getsize(source) / 2**30:.2f} GiB")
        target = {"driver": "files", "path": folder.join("out"), "format": args.format}
        if args.format == "hdf5":
            target = {"driver": "hdf5", "path": folder.join("out")}
        config = job(folder.join("job.yaml"), "files", {"driver": "faiss", "path": source}, target, verify="none")
        for pair in range(args.pairs):
            warm(source)
            folder.empty("out", "state", "copy")
            theirs = copy(source, folder.join("copy"))
            folder.empty("copy")
            ours = Run(args.build, "run", config, "--state-dir", folder.join("state"))
            ratios.append(ours.wall / theirs)
            print(f"pair {pair + 1}: mmresume {ours.wall:.3f} s (cpu {ours.cpu:.2f} s, waited for savepoints "
                  f"{ours.waited} %)  cp + fsync {theirs:.3f} s  ratio {ratios[-1]:.3f}")
            sys.stdout.flush()
        kept = verdict(f"wall, mmresume to {args.format} / (cp + fsync)", ratios, BARS.get(args.format))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
