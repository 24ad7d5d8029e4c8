"""Damages HDF5 files in thousands of ways and reads them by the hdf5 source.

What is read must be exactly what h5py reads from the same bytes; where its library, a newer one that proves more of a
file, refuses them, exactly what was in the undamaged file, or what h5py reads once the byte that it dislikes is as it was.
Everything else is refused with words that name the file. Never a crash of ours (a crash of the library is an error of the file), never
more than 30 s for one file, never more than 1 GiB of memory.

    python3 damaged_hdf5.py --build build/release --count 10000 [--seed 1]"""

import argparse
import collections
import io
import multiprocessing
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile

import h5py
import numpy

BATCH = 50
SECONDS_MAX, MEMORY_MAX, ORACLE_SECONDS = 30, 1 << 30, 10
ROWS, DIM = 60, 6
REFUSED = ("DATA", "CONFIG", "NOT_FOUND")

# the files


def originals():
    rng = numpy.random.default_rng(5)
    base, ids = rng.standard_normal((ROWS, DIM)), numpy.arange(ROWS) * 7 - 100
    bits = rng.integers(0, 256, (ROWS, DIM), dtype="u1")
    text = numpy.array([bytes(row) for row in rng.integers(1, 256, (ROWS, 8), dtype="u1")], "S8")
    kinds = {"flat": dict(data=base.astype("f4")), "f8": dict(data=base), "big": dict(data=base.astype(">f4")), "bits": dict(data=bits),
             "truth": dict(data=numpy.arange(ROWS * 8).reshape(ROWS, 8) % 3 == 0),
             "i2": dict(data=bits.astype("i2")), "text": dict(data=text), "chunks": dict(data=base.astype("f4"), chunks=(7, DIM)),
             "gzip": dict(data=base.astype("f4"), chunks=(16, 4), compression="gzip", shuffle=True),
             "check": dict(data=base.astype("f4"), chunks=(16, DIM), fletcher32=True),
             "lzf": dict(data=numpy.round(base).astype("f4"), chunks=(30, DIM), compression="lzf", shuffle=True),
             "growing": dict(data=base, chunks=(5, DIM), maxshape=(None, None))}
    files = {}
    for libver in ("earliest", "v110"):
        for name, how in kinds.items():
            out = io.BytesIO()
            with h5py.File(out, "w", libver=libver) as file:
                file.create_dataset("embeddings", **how)
                file.create_dataset("ids", data=ids, **({"chunks": (9,), "compression": "gzip"} if name == "gzip" else {}))
                file.attrs["distance"] = "euclidean"
            files[f"{name}-{libver}"] = out.getvalue()
    return files


# damage


def cut(rng, data):
    return data[: rng.randrange(len(data))]


def flip(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def early(rng, data):
    """A bit of the superblock, the root and the first headers."""
    data = bytearray(data)
    data[rng.randrange(min(1200, len(data)))] ^= 1 << rng.randrange(8)
    return bytes(data)


def byte(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 3])):
        data[rng.randrange(len(data))] = rng.choice([0, 1, 2, 3, 4, 6, 8, 16, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)])
    return bytes(data)


def word(rng, data):
    """A number where the file has one: sizes, counts, addresses."""
    at, size = rng.randrange(len(data) - 8) & ~1, rng.choice([2, 4, 8])
    value = rng.choice([0, 1, 8, 48, 96, 512, len(data), len(data) - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1, rng.randrange(len(data))])
    return data[:at] + (value % 2 ** (8 * size)).to_bytes(size, "little") + data[at + size :]


def remove(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice([1, 2, 8, 64]) :]


def move(rng, data):
    size = rng.choice([4, 8, 40, 200])
    start, to = rng.randrange(len(data)), rng.randrange(len(data))
    return data[:to] + data[start : start + size] + data[to + rng.choice([0, size]) :]


DAMAGE = [cut, flip, early, early, byte, word, word, remove, move]

# what is in a damaged file


def read(path):
    """(ids, vectors) as columns have them, by h5py."""
    with h5py.File(path, "r") as file:
        vectors, ids = file["embeddings"][...], file["ids"][...]
    kind = vectors.dtype.kind
    with numpy.errstate(all="ignore"):
        if kind == "b":
            vectors = numpy.packbits(vectors, axis=1)
        elif kind in "SV":
            size = vectors.dtype.itemsize
            vectors = numpy.frombuffer(vectors.tobytes(), "u1").reshape(-1, size)
        elif vectors.dtype.itemsize == 2 and kind == "f":
            vectors = numpy.ascontiguousarray(vectors.astype("<f2")).view("u1")
        elif vectors.dtype != numpy.dtype("u1"):
            vectors = vectors.astype("<f4")
    return ids.astype("<i8").tobytes(), numpy.ascontiguousarray(vectors).tobytes()


def oracle(pipe):
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while True:
        try:
            pipe.send(read(pipe.recv()))
        except EOFError:
            return
        except BaseException as error:  # h5py refuses the file, in whatever way
            pipe.send(repr(error))


class Oracle:
    """h5py in a process of its own: its library may crash, or come to no end."""

    def __init__(self):
        self.process = None

    def ask(self, path):
        """(ids, vectors), or a text: why not."""
        if self.process is None:
            self.pipe, other = multiprocessing.Pipe()
            self.process = multiprocessing.Process(target=oracle, args=(other,), daemon=True)
            self.process.start()
            other.close()
        self.pipe.send(path)
        try:
            if self.pipe.poll(ORACLE_SECONDS):
                return self.pipe.recv()
            reason = "h5py came to no end"
        except EOFError:
            reason = "h5py crashed"
        self.process.kill()
        self.process.join()
        self.process = None
        return reason


def batches(path, widths):
    with open(path, "rb") as file:
        data = file.read()
    at, columns = 0, [[] for _ in widths]
    while at < len(data):
        count = struct.unpack_from("<Q", data, at)[0]
        at += 8
        for column, width in zip(columns, widths):
            column.append(data[at : at + count * width])
            at += count * width
    return tuple(b"".join(column) for column in columns)


WIDTHS = {"FloatVector": lambda dim: 4 * dim, "Float16Vector": lambda dim: 2 * dim, "BinaryVector": lambda dim: dim // 8}


def but_for_a_byte(asked, path, original, got):
    """Whether h5py reads the same once one of the damaged bytes is mended."""
    with open(path, "rb") as file:
        data = file.read()
    damaged = [at for at, (old, new) in enumerate(zip(original, data)) if old != new]
    if len(data) != len(original) or len(damaged) > 16:
        return False
    for at in damaged:
        with open(path + ".mended", "wb") as file:
            file.write(data[:at] + original[at : at + 1] + data[at + 1 :])
        if asked.ask(path + ".mended") == got:
            os.unlink(path + ".mended")
            return True
    return False


def judge(asked, path, answer, original, whole):
    """What happened, and what is wrong with it (None: nothing)."""
    status, _, text = answer.partition(" ")
    if status != "OK":
        crash = "crashed" if "crashed" in text else "no end" if "no end" in text else "refused"
        return crash, None if status in REFUSED and path in text else f"refused in a wrong way: {answer}"
    words = text.split()
    want = asked.ask(path)
    got = batches(path + ".out", [8, WIDTHS[words[3]](int(words[4]))])
    if isinstance(want, str):
        same = got == whole or but_for_a_byte(asked, path, original, got)
        return "read, refused by h5py", None if same else f"was read ({text}), and h5py refuses it: {want}"
    return "read", None if got == want else f"other rows than h5py finds ({text}; {len(want[0])} and {len(want[1])} bytes)"


# the campaign


def campaign(build, count, seed, folder):
    program = os.path.join(build, "tests", "source_dump")
    rng, files, asked = random.Random(seed), originals(), Oracle()
    outcomes, wrong, names, left, whole = collections.Counter(), [], sorted(files), count, {}
    for name in names:
        path = os.path.join(folder, "whole.h5")
        with open(path, "wb") as file:
            file.write(files[name])
        whole[name] = read(path)
    while left > 0:
        batch = []
        for number in range(min(BATCH, left)):
            name, damage = rng.choice(names), rng.choice(DAMAGE)
            path = os.path.join(folder, f"{name}-{left}-{number}.h5")
            with open(path, "wb") as file:
                file.write(damage(rng, files[name]))
            batch.append((name, damage, path))
        left -= len(batch)
        done = subprocess.run([program, "hdf5", "vectors=embeddings", "ids=ids", "extent_rows=20", "--", *[path for _, _, path in batch]],
                              capture_output=True, text=True, timeout=SECONDS_MAX * BATCH, check=False, errors="replace")
        answers = done.stdout.split("\n")[:-1]
        if done.returncode != 0 or len(answers) != len(batch) or done.stderr:
            wrong.append(f"exit {done.returncode} at {batch[min(len(answers), len(batch) - 1)][2]}: {done.stderr[-500:]}")
            continue
        for (name, damage, path), answer in zip(batch, answers):
            what, complaint = judge(asked, path, answer, files[name], whole[name])
            outcomes[f"{damage.__name__}: {what}"] += 1
            if complaint is not None:
                wrong.append(f"{path}: {complaint}")
            else:
                os.unlink(path)
                os.unlink(path + ".out")
    return outcomes, wrong, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="folder for the files; kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mmresume-damaged-") as folder:
        if arguments.keep:
            folder = arguments.keep
            os.makedirs(folder)
        outcomes, wrong, peak = campaign(arguments.build, arguments.count, arguments.seed, folder)
    for key, number in sorted(outcomes.items()):
        print(f"{number:7} {key}")
    print(f"{peak >> 20} MiB at most")
    for line in wrong[:40]:
        print("WRONG", line)
    print(f"{sum(outcomes.values())} damaged files, {len(wrong)} wrong")
    sys.exit(1 if wrong or peak > MEMORY_MAX else 0)


if __name__ == "__main__":
    main()
