"""Damages FAISS files in thousands of ways and reads them through the faiss driver.

A file that is cut must be refused: status DATA, exit 4, with the byte offset. Any other damage ends with DATA and
a byte offset, or with exactly the rows that FAISS itself finds in the damaged bytes. Never a crash, never more than
5 s for a file, never more than 256 MiB of memory.

    python3 damaged_faiss.py --build build/release --count 10000 [--seed 1] [--no-memory]
        --build      build folder with tests/faiss_dump (repeat it with build/asan-ubsan for silent faults)
        --no-memory  does not judge the memory: for builds with sanitizers"""

import argparse
import collections
import os
import random
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

BATCH = 250  # files in one process
SECONDS_MAX, MEMORY_MAX = 5, 256 << 20
COUNTS = [0, 1, 2, 3, 7, 255, 2**16, 2**20, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**33, 2**40, 2**56, 2**60, 2**61, 2**62,
          2**63 - 1, 2**63, 2**64 - 1, 2**64 - 2]
LETTERS = re.compile(rb"I[xwvHNBPm][A-Za-z0-9]{2}|il[a-z0-9]{2}|full|sprs|null|LTra|rrot|P[Cc][Aa]m|V[NC][rn][mt]|RmDT")

# damage


def structure(data):
    """Offsets of bytes that are no vectors and no codes, more or less: the neighbourhoods of type codes, the end."""
    places = set(range(min(160, len(data)))) | set(range(max(0, len(data) - 60), len(data)))
    for match in LETTERS.finditer(data):
        places.update(range(max(0, match.start() - 40), min(len(data), match.start() + 120)))
    return sorted(places)


def cut(rng, data, places):
    return data[: rng.choice([rng.randrange(len(data)), rng.choice(places)])]


def flip(rng, data, places):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8, 40])):
        data[rng.choice(places) if rng.random() < 0.7 else rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def tamper(rng, data, places):
    """A word of 4 or 8 bytes becomes another count."""
    size = rng.choice([4, 8])
    at = min(rng.choice(places), len(data) - size)
    old = int.from_bytes(data[at : at + size], "little")
    new = rng.choice(COUNTS + [old + 1, old - 1, old * 2, old // 2, old + 8, len(data), len(data) // 4])
    return data[:at] + (new % (1 << 8 * size)).to_bytes(size, "little") + data[at + size :]


def zero(rng, data, places):
    at = rng.choice([rng.randrange(len(data)), rng.choice(places)])
    size = rng.choice([1, 4, 8, 64, 512, 4096])
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


def remove(rng, data, places):
    at = rng.choice(places)
    return data[:at] + data[at + rng.choice([1, 4, 8, 100]) :]


def insert(rng, data, places):
    at = rng.choice(places)
    return data[:at] + rng.randbytes(rng.choice([1, 4, 8, 100])) + data[at:]


def move(rng, data, places):
    """A piece of the file over another."""
    size = rng.choice([4, 8, 40, 200])
    start, to = rng.choice(places), rng.choice(places)
    piece = data[start : start + size]
    return data[:to] + piece + data[to + len(piece) :]


def extend(rng, data, places):
    return data + rng.randbytes(rng.choice([1, 8, 1000]))


DAMAGES = [(cut, 30), (flip, 30), (tamper, 40), (zero, 8), (remove, 6), (insert, 6), (move, 8), (extend, 2)]
ALWAYS_REFUSED = {cut, extend}


def damaged(rng, data, places):
    damage = rng.choices([d for d, _ in DAMAGES], [w for _, w in DAMAGES])[0]
    for _ in range(20):
        changed = damage(rng, data, places)
        if changed != data:
            return damage, changed
    return cut, data[:-1]


# reading


def read_many(dump, paths, judge_memory):
    """[(status, rows, text)] for paths; raises on a crash, a hang, or too much memory."""
    done = subprocess.run([dump, "--many", "lossy=true", "extent_rows=50"], input="".join(p + "\n" for p in paths),
                          capture_output=True, text=True, errors="replace",
                          timeout=SECONDS_MAX * 10 + 0.2 * len(paths))
    lines = [line.split("\t", 3) for line in done.stdout.splitlines()]
    if done.returncode != 0 or not lines or lines[-1][0] != "PEAK":
        raise AssertionError(f"crashed ({done.returncode}) at {paths[len(lines)]}:\n{done.stderr[-3000:]}")
    memory = int(lines.pop()[2]) << 10
    if judge_memory and memory > MEMORY_MAX:
        raise AssertionError(f"{memory >> 20} MiB of memory for {paths[0]} and those after it")
    for (status, milliseconds, rows, text), path in zip(lines, paths, strict=True):
        if int(milliseconds) > SECONDS_MAX * 1000:
            raise AssertionError(f"{milliseconds} ms for {path}")
    return [(status, int(rows), text) for status, _, rows, text in lines], memory


def judge(damage, path, status, text):
    """None, or what is wrong with an outcome."""
    if status == "OK":
        return "a cut or extended file was read" if damage in ALWAYS_REFUSED else None
    if status == "NOT_FOUND" and "inverted lists are in a file of their own" in text:
        return None  # the name of the side file was hit
    if status != "DATA":
        return f"status {status}: {text}"
    if path not in text or not re.search(r": byte \d+: ", text):
        return f"no file or byte offset in: {text}"
    return None


# the rows of what could still be read: FAISS itself says, in a process of its own, since damage may kill it


def faiss_rows(path, binary, out):
    import faiss
    import numpy

    import faiss_files

    with faiss_files.quiet():
        if binary:
            index = faiss.read_index_binary(path)
            ids, rows = faiss_files.stored_binary(index)
        else:
            index = faiss.read_index(path)
            ids, rows = faiss_files.stored(index)
    numpy.savez(out, ids=ids, rows=rows)


def oracle_loop():
    """Child process: reads "path binary out" lines, answers "ok" or "no"."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    for line in sys.stdin:
        path, binary, out = line.rstrip("\n").split("\t")
        try:
            faiss_rows(path, binary == "1", out)
            print("ok", flush=True)
        except Exception:  # noqa: BLE001  FAISS refuses the file, in whatever way
            print("no", flush=True)


class Oracle:
    """What FAISS finds in a file; None where it refuses, dies or takes too long."""

    def __init__(self):
        self.child = None

    def ask(self, path, binary, out):
        import select

        if self.child is None:
            self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--oracle"], text=True,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.child.stdin.write(f"{path}\t{int(binary)}\t{out}\n")
        self.child.stdin.flush()
        ready, _, _ = select.select([self.child.stdout], [], [], 20)
        answer = self.child.stdout.readline() if ready else ""
        if answer == "":
            self.close()
        if answer != "ok\n":
            return None
        import numpy

        with numpy.load(out) as found:
            return found["ids"], found["rows"]

    def close(self):
        if self.child is not None:
            self.child.kill()
            self.child.communicate()
            self.child = None


def same_rows(dump, oracle, path, case, folder):
    """True when driver and FAISS agree on the rows of a file, None when FAISS cannot say."""
    import numpy

    out = os.path.join(folder, "rows")
    found = oracle.ask(path, case.name.startswith("binary"), out + ".npz")
    if found is None:
        return None
    subprocess.run([dump, out, f"path={path}", "lossy=true"], check=True, capture_output=True, timeout=30)
    want_ids, want = found
    ids = numpy.fromfile(out + ".ids", "<i8")
    rows = numpy.fromfile(out + ".vectors", want.dtype).reshape(len(ids), -1) if len(ids) else want[:0]
    if len(ids) != len(want_ids):
        return False
    if len(ids) == 0:
        return True
    if case.kind != "exact":  # rounding apart; beyond the range of numbers nothing is promised
        with numpy.errstate(all="ignore"):
            scale = numpy.maximum(1, numpy.abs(want).max(axis=1, keepdims=True))
            close = numpy.abs(rows.astype("f8") - want) <= 1e-4 * scale
        odd = ~numpy.isfinite(want).all(axis=1) | ~numpy.isfinite(rows).all(axis=1) | (scale[:, 0] > 1e30)
        return bool((ids == want_ids).all() and (close.all(axis=1) | odd).all())
    ours = sorted(zip(ids.tolist(), map(bytes, rows.view("u1").reshape(len(ids), -1))))
    theirs = sorted(zip(want_ids.tolist(), map(bytes, numpy.ascontiguousarray(want).view("u1").reshape(len(ids), -1))))
    return ours == theirs


# the campaign


def campaign(build, count, seed, folder, judge_memory=True, compare=True, rows=300):
    import faiss_files

    dump = os.path.join(build, "tests", "faiss_dump")
    rng = random.Random(seed)
    whole = os.path.join(folder, "whole")
    os.makedirs(whole)
    with faiss_files.quiet():
        # one case for each file, and no file whose lists are not to be found anyway
        cases = [c for c in faiss_files.write(whole, n=rows) if not re.search("_without_lossy$|_lost$|_two$|_named$", c.name)]
    originals = {}
    for case in cases:
        with open(case.path, "rb") as file:
            data = file.read()
        originals[case.name] = (data, structure(data))
    outcomes, wrong, peak, oracle = collections.Counter(), [], 0, Oracle()
    for start in range(0, count, BATCH):
        batch = []
        for number in range(start, min(start + BATCH, count)):
            case = rng.choice(cases)
            damage, data = damaged(rng, *originals[case.name])
            # beside the original, so that its file of lists is found
            path = os.path.join(os.path.dirname(case.path), f"damaged-{number}.index")
            with open(path, "wb") as file:
                file.write(data)
            batch.append((case, damage, path))
        results, memory = read_many(dump, [path for _, _, path in batch], judge_memory)
        peak = max(peak, memory)
        for (case, damage, path), (status, _, text) in zip(batch, results):
            complaint = judge(damage, path, status, text)
            outcomes[f"{damage.__name__}: {'read' if status == 'OK' else 'refused'}"] += 1
            if complaint is None and status == "OK" and compare and case.kind != "refused" and "dedup" not in case.name:
                same = same_rows(dump, oracle, path, case, folder)
                outcomes[{True: "same rows as FAISS", False: "other rows than FAISS", None: "FAISS refuses"}[same]] += 1
                complaint = "other rows than FAISS finds" if same is False else None
            if complaint is None:
                os.remove(path)
            else:
                wrong.append(f"{case.name}, {damage.__name__}: {path}: {complaint}")
    oracle.close()
    return outcomes, wrong, peak


def main():
    if sys.argv[1:] == ["--oracle"]:
        oracle_loop()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--no-compare", action="store_true")
    parser.add_argument("--keep", help="folder for the files; kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mmresume-damaged-") as folder:
        if arguments.keep:
            folder = arguments.keep
            os.makedirs(folder)
        outcomes, wrong, peak = campaign(arguments.build, arguments.count, arguments.seed, folder,
                                         not arguments.no_memory, not arguments.no_compare)
    for key, number in sorted(outcomes.items()):
        print(f"{number:7} {key}")
    print(f"{peak >> 20} MiB at most")
    for line in wrong:
        print("WRONG", line)
    print(f"{arguments.count} damaged files, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
