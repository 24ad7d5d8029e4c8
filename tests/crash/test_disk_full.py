"""A full disk, for the savepoint store and for the output: exit 5 that says so, and a resume with room again
ends as if nothing had been. The disk is made small by RLIMIT_FSIZE (no mount is needed): a write beyond it
fails with EFBIG."""

import os
import tempfile

import harness
from harness import DONE, UNAVAILABLE, Job, Wrong
from test_enumeration_files import Flat, Ivf


class Wide(Ivf):
    """Output files larger than the store, and tasks enough that the store's log grows."""

    rows, dim, extent = 6000, 128, 50
    file_size = "512MiB"


def check(kind, size, expect):
    """A run under a limit of `size` bytes a file, then without. Whether the run failed."""
    job = kind.job()
    ended = job.start(limit_bytes=size)
    if ended.code == DONE:
        kind.check(job)
        job.remove()
        return False
    if ended.code != UNAVAILABLE or not any(word in ended.err for word in expect):
        raise Wrong(f"limit of {size}: {ended!r}\n{job.story()}")
    kind.check_between(job)
    again = job.resume(limit_bytes=size)  # the disk is still full: the same answer, nothing spoilt
    if again.code not in (UNAVAILABLE, DONE):
        raise Wrong(f"limit of {size}, again: {again!r}\n{job.story()}")
    job.finish()
    harness.check_done(job, len(kind.columns["id"]))
    kind.check(job)
    job.remove()
    return True


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in (Flat(folder), Wide(folder)):
            for size in (1, 4 << 10, 20 << 10, 40 << 10, 64 << 10, 80 << 10, 100 << 10, 130 << 10, 170 << 10, 256 << 10,
                         512 << 10, 1 << 20, 2 << 20):
                failed += check(kind, size, ("File too large", "disk is full", "disk I/O error", "no space", "full"))
    print(f"{failed} runs met a full disk")
    if failed < 12:
        raise Wrong("too few runs met a full disk")
    print("1 passed")


if __name__ == "__main__":
    main()
