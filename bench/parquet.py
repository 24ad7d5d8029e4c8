"""Writing Parquet from memory against the physical limit: cp and fsync of as many bytes, in alternating pairs.

The tool writes int64 ids and float32 vectors, a row group a batch, with page checksums, and ends with fsync; cp reads
the file of the turn before from the page cache. Before each turn the former output is removed and the disk is at
rest. Bar: median ratio of wall times <= 1.0.

    python3 bench/parquet.py [--rows 4128768 --dim 128] [--pairs 5] [--dir FOLDER]"""

import os
import subprocess
import sys
import time

from common import Folder, arguments, say_machine, verdict, warm


def copy(source, target):
    """What a shell does: cp without sharing extents, then fsync of the new file."""
    began = time.monotonic()
    subprocess.run(["cp", "--reflink=never", source, target], check=True)
    subprocess.run(["sync", target], check=True)  # of one file: fsync
    return time.monotonic() - began


def write(args, path):
    """Seconds from the creation of the file to the end of its fsync; the rows are in memory before."""
    tool = os.path.join(args.build, "tests", "parquet_tool")
    command = [tool, "bench", path, str(args.rows), str(args.dim)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main():
    args = arguments(__doc__, rows=4128768, dim=128, pairs=5)
    say_machine()
    ratios = []
    with Folder(args.dir) as folder:
        source = folder.join("source.parquet")
        write(args, source)
        print(f"{os.path.getsize(source) / 2**30:.2f} GiB")
        for pair in range(args.pairs):
            folder.empty("written.parquet", "copy")
            warm(source)
            theirs = copy(source, folder.join("copy"))
            folder.empty("copy")
            ours = write(args, folder.join("written.parquet"))
            ratios.append(ours / theirs)
            print(f"pair {pair + 1}: Parquet {ours:.3f} s  cp + fsync {theirs:.3f} s  ratio {ratios[-1]:.3f}")
            sys.stdout.flush()
        kept = verdict("wall, Parquet writer / (cp + fsync)", ratios, 1.0)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
