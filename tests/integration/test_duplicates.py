"""A primary key on several rows of a FAISS file: refused, thinned or kept, decided before the first row is
sent, the same after a kill -9 as without; every row of the target compared."""

import json
import os
import subprocess
import sys
import tempfile

import faiss
import numpy

import oracle

PROGRAM = os.path.join(os.environ["MM_BUILD"], "mmresume-testing")
ROWS, DIM = 60000, 16
INT64_MIN = -(2**63)


def write_index(path):
    """The rows in the order of the file: ids and vectors. Some ids stand on two rows, one on 300, negative
    ones and the smallest among them; neighbours and far apart."""
    random = numpy.random.default_rng(7)
    vectors = random.random((ROWS, DIM), dtype="f4")
    ids = random.permutation(ROWS).astype("i8")
    ids[40000:42000] = ids[100:2100]
    ids[1000:1300] = -5
    ids[59999] = ids[3] = INT64_MIN
    ids[20000] = ids[20001] = 10**15
    index = faiss.index_factory(DIM, "IDMap,Flat")
    index.add_with_ids(vectors, ids)
    faiss.write_index(index, path)
    return ids, vectors


def kept(ids, policy):
    """Which rows arrive."""
    if policy == "keep":
        return numpy.arange(ROWS)
    if policy == "first":
        return numpy.sort(numpy.unique(ids, return_index=True)[1])
    return numpy.sort(ROWS - 1 - numpy.unique(ids[::-1], return_index=True)[1])


def job(folder, policy, name):
    path = os.path.join(folder, name + ".yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""version: 1
job: {name}
source: {{driver: faiss, path: ./rows.index, extent_rows: 7001}}
target: {{driver: files, path: ./{name}}}
limits: {{memory: 64MiB}}
duplicates: {policy}
""")
    return path


def mmresume(folder, *arguments, kill=None):
    environment = dict(os.environ)
    if kill:
        environment["MM_FAILPOINT"] = kill
    return subprocess.run([PROGRAM, *arguments, "--state-dir", os.path.join(folder, "state")], env=environment,
                          capture_output=True, text=True, timeout=120)


def check_target(folder, name, ids, vectors, policy):
    rows = kept(ids, policy)
    oracle.check_files(os.path.join(folder, name), "rows", {"_default": {"id": ids[rows], "vector": vectors[rows]}})
    return len(rows)


def check_status(folder, name, rows):
    status = json.loads(mmresume(folder, "status", name, "--json").stdout)
    assert status["state"] == "done" and status["verdict"]["state"] == "equal", status
    assert status["rows_done"] == rows, status


def refused_before_a_row_is_sent(folder, ids, vectors):
    done = mmresume(folder, "run", job(folder, "refuse", "refused"))
    assert done.returncode == 4, done
    duplicates = ROWS - len(numpy.unique(ids))
    assert f"{duplicates} of {ROWS} rows" in done.stderr, done.stderr
    assert "key -5 (task 1 row 1000 and task 1 row 1001)" in done.stderr, done.stderr
    assert not os.path.exists(os.path.join(folder, "refused", "rows")), "something was written"


def thinned_or_kept_as_asked(folder, ids, vectors):
    for policy in ("first", "last", "keep"):
        done = mmresume(folder, "run", job(folder, policy, policy))
        assert done.returncode == 0, done
        assert policy == "keep" or "share a primary key with an earlier row" in done.stderr, done.stderr
        check_status(folder, policy, check_target(folder, policy, ids, vectors, policy))


def the_same_rows_are_left_out_after_a_kill(folder, ids, vectors):
    for policy in ("first", "last"):
        for number, point in enumerate(("lane.after_send:5", "files.flush.synced:1", "store.apply.after_commit:6",
                                        "plan.after_commit:1", "plan.before_commit:1")):
            name = f"{policy}{number}"
            done = mmresume(folder, "run", job(folder, policy, name), kill=point + ":kill")
            assert done.returncode == -9, (point, done)
            done = mmresume(folder, "run", job(folder, policy, name), "--or-resume")
            assert done.returncode == 0, (point, done)
            check_status(folder, name, check_target(folder, name, ids, vectors, policy))


def main():
    tests = [refused_before_a_row_is_sent, thinned_or_kept_as_asked, the_same_rows_are_left_out_after_a_kill]
    with tempfile.TemporaryDirectory() as folder:
        ids, vectors = write_index(os.path.join(folder, "rows.index"))
        for test in tests:
            test(folder, ids, vectors)
            print("ok", test.__name__)


if __name__ == "__main__":
    sys.exit(main())
