"""What savepoints cost: the same `files` job with the store's fsync and without (MMRESUME_UNSAFE_NO_SYNC), in
alternating pairs, and the share of the time in which a dumper or a lane waits for the committer.

Bars: median ratio of wall times <= 1.03; waiting <= 2 %. The share for Milvus is printed by insert.py.

    python3 bench/savepoints.py [--rows 1048576 --dim 512] [--pairs 10] [--dir FOLDER]"""

import sys

from common import Folder, Run, arguments, job, say_machine, spread, verdict, warm, write_flat


def main():
    args = arguments(__doc__, rows=1 << 20, dim=512, pairs=10)
    say_machine()
    ratios, copies, waited = [], [], []
    with Folder(args.dir) as folder:
        source = folder.join("flat.index")
        write_flat(source, args.rows, args.dim)
        config = job(folder.join("job.yaml"), "savepoints", {"driver": "faiss", "path": source},
                     {"driver": "files", "path": folder.join("out")}, verify="none")

        def turn(env):
            warm(source)
            folder.empty("out", "state")
            return Run(args.build, "run", config, "--state-dir", folder.join("state"), env=env)

        for pair in range(args.pairs):
            unsafe = {"MMRESUME_UNSAFE_NO_SYNC": "1"}
            # the second of two turns meets another disk: each kind goes first every other time
            if pair % 2 == 0:
                safe, bare = turn(None), turn(unsafe)
            else:
                bare, safe = turn(unsafe), turn(None)
            ratios.append(safe.wall / bare.wall)
            copies.append(safe.copy_wall / bare.copy_wall)
            waited.append(safe.waited)
            print(f"pair {pair + 1}: synced {safe.wall:.3f} s, not synced {bare.wall:.3f} s, ratio {ratios[-1]:.3f}; "
                  f"waited {safe.waited} %")
            sys.stdout.flush()
    kept = verdict("wall, synced / not synced", ratios, 1.03)
    print(f"first write to last write, synced / not synced: {spread(copies)}")
    return 0 if verdict("waited for savepoints, % of the copy", waited, 2.0, max) and kept else 1


if __name__ == "__main__":
    sys.exit(main())
