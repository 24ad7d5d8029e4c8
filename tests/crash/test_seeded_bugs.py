"""Each bug that is seeded in the sources (MM_SEEDED) makes something red: the simulator, the enumeration of
crashes, the disk that fills up, or the power-loss test of the store. One that stays green fails here.
(test_late_requests.py has those that need a late request on the real Milvus.)"""

import os
import random
import re
import subprocess
import tempfile

import harness
import oracle
from harness import Wrong
from test_enumeration_files import Flat, Ivf, Many

SEEDS = 3000
NOT_IN_THE_CORE = {"no_fsync"}


def seeded_names():
    names = set()
    for folder in ("engine", "sources", "sinks", "checkpoint", "tests/sim"):
        for base, _, files in os.walk(os.path.join(harness.ROOT, folder)):
            for name in files:
                if name.endswith(".c"):
                    with open(os.path.join(base, name), encoding="utf-8") as file:
                        names.update(re.findall(r'MM_SEEDED\("(\w+)"\)', file.read()))
    return sorted(names)


def build(target):
    subprocess.run(["cmake", "--build", harness.BUILD, "--target", target], check=True, stdout=subprocess.DEVNULL)
    return os.path.join(harness.BUILD, "tests", target)


def simulate(bug):
    done = subprocess.run([build(f"mmresume-sim-{bug}"), "--seeds", f"1..{SEEDS}"], capture_output=True, text=True,
                          timeout=300, check=False)
    last = done.stdout.strip().splitlines()[-1]
    if done.returncode != 1 or not re.search(r"[1-9]\d* wrong", last):
        raise Wrong(f"the simulator does not see {bug}: {last}")
    return last


def crash_files(bug, kind, points_of, *settings):
    """Crashes of jobs into files, until one is red: how many it took."""
    program, generator = build(f"mmresume-{bug}"), random.Random(7)
    for number in range(1, 61):
        job = kind.job(program=program)
        try:
            job.strike(points_of(generator))
            ended = job.resume(*settings)
            if ended.code != harness.DONE:
                raise Wrong(repr(ended))
            harness.check_done(job, len(kind.columns["id"]))
            kind.check(job)
        except (Wrong, oracle.Different, OSError) as red:
            return f"red after {number} crashes: {str(red)[:100]}"
        finally:
            job.remove()
    raise Wrong(f"no crash shows {bug}")


def full_disk(bug, kind):
    """The disk is full and room comes again, until the verdict (exit 4) sees what the bug lost."""
    program = build(f"mmresume-{bug}")
    for number in range(1, 41):
        job = kind.job(program=program)
        job.start(limit_bytes=1 << 20)
        ended = job.resume()
        job.remove()
        if ended.code == harness.DATA and "rows differ" in ended.err:
            return f"red after {number} full disks"
    raise Wrong(f"no full disk shows {bug}")


def power_loss(bug):
    done = subprocess.run([build(f"test_store_powerloss-{bug}")], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode == 0:
        raise Wrong(f"the power-loss test does not see {bug}")
    return f"red: exit {done.returncode}"


def main():
    names = seeded_names()
    with tempfile.TemporaryDirectory() as folder:
        flat, ivf, many = Flat(folder), Ivf(folder), Many(folder)
        for bug in names:
            if bug not in NOT_IN_THE_CORE:
                print(f"{bug}: simulator: {simulate(bug)}", flush=True)
        print("mark_before_flush: files:",
              crash_files("mark_before_flush", ivf, lambda seed: f"lane.before_flush:{seed.randint(1, 4)}:kill"), flush=True)
        print("no_settle: files:",
              crash_files("no_settle", many, lambda seed: f"files.write.after:{seed.randint(300, 700)}:kill",
                          "--set", "limits.loaders=1"), flush=True)
        print("done_with_hole: files:", full_disk("done_with_hole", flat), flush=True)
        print("no_fsync: store:", power_loss("no_fsync"), flush=True)
    print(f"{len(names)} seeded bugs, each is seen")
    print("1 passed")


if __name__ == "__main__":
    main()
