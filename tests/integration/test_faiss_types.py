"""Every FAISS type, written by the FAISS library: what the faiss driver reads is what FAISS holds.

Exact types bit for bit; quantized ones within 1e-6 × max(1, |x|); transformed ones within 1e-5 × the row's norm;
what cannot be read is refused with status, name, four-letter code and byte offset. All of it with one extent,
with many small ones, reading from cursors in the middle, and with keys only."""

import json
import os
import subprocess
import sys
import tempfile

import numpy

import faiss_files

DUMP = os.path.join(os.environ["MM_BUILD"], "tests", "faiss_dump")
WAYS = {
    "one extent": ([], {}),
    "extents of 7 rows": ([], {"extent_rows": "7"}),
    "extents of 4096 bytes, batches of 3 rows, each from a new reader": (
        ["--batch-rows", "3", "--reopen", "1"], {"extent_bytes": "4096"}),
    "batches of 1000 bytes": (["--batch-bytes", "1000"], {"extent_rows": "100"}),
}


def dump(case, out, switches, options):
    pairs = [f"{k}={v}" for k, v in {**case.options, **options, "path": case.path}.items()]
    done = subprocess.run([DUMP, *switches, out, *pairs], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def load(case, out):
    ids = numpy.fromfile(out + ".ids", "<i8")
    kind = case.vectors.dtype if case.vectors is not None else "f4"
    vectors = numpy.fromfile(out + ".vectors", kind)
    return ids, vectors.reshape(len(ids), -1) if len(vectors) else vectors.reshape(0, case.vectors.shape[1])


def ordered(ids, vectors):
    """By id, and by the bytes of the vector where an id is there twice."""
    order = sorted(range(len(ids)), key=lambda i: (ids[i], vectors[i].tobytes()))
    return ids[order], vectors[order]


def compare(case, ids, vectors):
    if len(ids) != len(case.ids):
        raise AssertionError(f"{len(ids)} rows, {len(case.ids)} in the file")
    if case.kind == faiss_files.EXACT:
        (ids, vectors), (want_ids, want) = ordered(ids, vectors), ordered(case.ids, case.vectors)
        assert (ids == want_ids).all(), "other ids"
        assert vectors.tobytes() == want.tobytes(), "other vectors"
        return
    assert (ids == case.ids).all(), "other ids"  # in the order of the file
    distance = numpy.abs(vectors.astype("f8") - case.vectors)
    if case.kind == faiss_files.CLOSE:
        allowed = 1e-6 * numpy.maximum(1, numpy.abs(case.vectors))
    else:
        allowed = 1e-5 * numpy.linalg.norm(case.vectors, axis=1, keepdims=True)
    assert (distance <= allowed).all(), f"off by {distance.max()}, {(distance / allowed).max()} times too much"


def check_summary(case, summary):
    binary = case.vectors.dtype == numpy.uint8
    want = {"rows": len(case.ids), "dim": case.vectors.shape[1] * (8 if binary else 1), "metric": case.metric,
            "type": "BinaryVector" if binary else "FloatVector", "index": case.hint, "unique_keys": case.unique,
            "collection": os.path.basename(case.path)[: -len(".index")], "fields": ["id", "vector"]}
    for key, value in want.items():
        assert summary[key] == value, f"{key}: {summary[key]!r}, not {value!r}"
    if case.unique:
        assert len(set(case.ids)) == len(case.ids)


def check_readable(case, folder):
    out = os.path.join(folder, "out")
    first = None
    for way, (switches, options) in WAYS.items():
        code, stdout, stderr = dump(case, out, switches, options)
        if code != 0:
            raise AssertionError(f"{way}: exit {code}: {stderr}")
        check_summary(case, json.loads(stdout))
        ids, vectors = load(case, out)
        compare(case, ids, vectors)
        # whatever the extents: the same rows in the same order
        first = first or (ids.tobytes(), vectors.tobytes())
        assert first == (ids.tobytes(), vectors.tobytes()), f"{way}: another order or other bytes"
    code, _, stderr = dump(case, out, ["--keys"], {"extent_rows": "11"})
    assert code == 0, stderr
    assert open(out + ".ids", "rb").read() == first[0], "other keys when only keys are read"
    done = subprocess.run([DUMP, "--inspect", case.path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"rows: {len(case.ids)}\n" in done.stdout, done.stdout
    assert ("exact: yes" in done.stdout) == (case.kind == faiss_files.EXACT), done.stdout


def check_refused(case, folder):
    code, _, stderr = dump(case, os.path.join(folder, "out"), [], {})
    assert code == {"DATA": 4, "CONFIG": 3, "NOT_FOUND": 3}[case.refusal[0]], f"exit {code}: {stderr}"
    for words in case.refusal:
        assert words in stderr, f"{words!r} is not in: {stderr}"
    assert case.path in stderr, stderr


def main():
    failed = passed = 0
    with tempfile.TemporaryDirectory(prefix="mmresume-faiss-") as folder:
        files = os.path.join(folder, "files")
        os.makedirs(files)
        with faiss_files.quiet():
            cases = faiss_files.write(files)
        for case in cases:
            try:
                (check_refused if case.kind == faiss_files.REFUSED else check_readable)(case, folder)
                passed += 1
            except (AssertionError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{case.name}: {error}")
    print(f"{passed} passed")
    sys.exit(1 if failed or passed < 150 else 0)


if __name__ == "__main__":
    main()
