"""Damages .npy, .json and .jsonl files in thousands of ways and reads them by their formats.

What is read must be exactly what NumPy, or Python's json with the numbers kept as text, finds in the damaged bytes;
everything else is refused: DATA, with the place. A cut array is always refused. Never a crash, never more than 5 s for
a batch of files at 20 ms each, never more than 400 MiB of memory.

    python3 damaged_tables.py --build build/release --count 10000 [--seed 1]"""

import argparse
import collections
import ctypes
import decimal
import io
import json
import os
import random
import re
import resource
import struct
import subprocess
import sys
import tempfile

import numpy

BATCH = 100
SECONDS_MAX, MEMORY_MAX = 30, 400 << 20
PLACE = re.compile(r"byte \d+|dimensions; one|rows without bytes|cannot become|too long")
SCHEMA = ["id Int64 primary", "v FloatVector(4)", "t VarChar(100) nullable", "d Double"]
ROWS = 60

libc = ctypes.CDLL(None)
libc.strtof.restype, libc.strtof.argtypes = ctypes.c_float, [ctypes.c_char_p, ctypes.c_void_p]
libc.strtod.restype, libc.strtod.argtypes = ctypes.c_double, [ctypes.c_char_p, ctypes.c_void_p]

# the files


def arrays():
    rng = numpy.random.default_rng(5)
    base = rng.standard_normal((ROWS, 6))
    return {"i8": numpy.arange(ROWS), "i4-big": numpy.arange(ROWS, dtype=">i4") - 30, "u2": rng.integers(0, 65536, ROWS, dtype="u2"),
            "b1": rng.integers(0, 2, ROWS).astype(bool), "f2": base[:, 0].astype("f2"), "f8": base[:, 1],
            "S": numpy.array([f"text {i}" * (i % 3) for i in range(ROWS)], "S"), "U": numpy.array([f"é😀{i}" for i in range(ROWS)]),
            "v-f4": base.astype("f4"), "v-big": base.astype(">f4"), "v-f8": numpy.asfortranarray(base), "v-f2": base.astype("f2"),
            "v-u1": rng.integers(0, 256, (ROWS, 3), dtype="u1"), "v-i1": numpy.asfortranarray(rng.integers(-128, 128, (ROWS, 3), dtype="i1"))}


def rows():
    rng = numpy.random.default_rng(6)
    for i in range(ROWS):
        yield {"id": i * 37 - 500, "v": [float(x) for x in rng.standard_normal(4).astype("f4")],
               "t": None if i % 4 == 0 else "añ\"\\\n😀"[: i % 7] + str(i), "d": float(rng.standard_normal()) * 10.0 ** (i - 30)}


def originals():
    """{name: (format, bytes)}"""
    files = {}
    for name, array in arrays().items():
        out = io.BytesIO()
        numpy.save(out, array)
        files[name] = ("npy", out.getvalue())
    listed = list(rows())
    files["lines"] = ("jsonl", "".join(json.dumps(row, ensure_ascii=i % 2 == 0) + "\n" for i, row in enumerate(listed)).encode())
    files["rows"] = ("json", json.dumps({"rows": listed}, indent=1).encode())
    files["list"] = ("json", json.dumps(listed).encode())
    return files


# damage


def place(rng, data, form):
    """Mostly in the header of an array; anywhere in text."""
    return rng.randrange(min(140, len(data))) if form == "npy" and rng.random() < 0.7 else rng.randrange(len(data))


def cut(rng, data, form):
    return data[: rng.randrange(len(data))]


def flip(rng, data, form):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        data[place(rng, data, form)] ^= 1 << rng.randrange(8)
    return bytes(data)


def letter(rng, data, form):
    """Another letter of the format's own."""
    alphabet = b"{}()[]'\",: <>|=TrueFalsefiubSU0123456789L\\\n" if form == "npy" else b"{}[]\",:\\untrfalse0123456789+-.eE \n\r\t\x00\x80\xc3\xed"
    at = place(rng, data, form)
    return data[:at] + bytes([rng.choice(alphabet)]) + data[at + 1 :]


def remove(rng, data, form):
    at = place(rng, data, form)
    return data[:at] + data[at + rng.choice([1, 1, 2, 5, 64]) :]


def insert(rng, data, form):
    at = place(rng, data, form)
    words = [b"0", b"1e5", b"[", b"{}", b"\"", b"null", b"\n", b",", b"-", b"9" * 30, b"NaN", b'"id":1,', b"\\ud800", b"\xff", rng.randbytes(4)]
    return data[:at] + rng.choice(words) + data[at:]


def move(rng, data, form):
    """A piece of the file over or before another."""
    size = rng.choice([1, 4, 8, 40, 200])
    start, to = place(rng, data, form), place(rng, data, form)
    return data[:to] + data[start : start + size] + data[to + rng.choice([0, size]) :]


DAMAGE = [cut, flip, letter, remove, insert, move]

# what is in a damaged file


class Refused(Exception):
    """Python finds no rows of the schema in it."""


def pairs(items):
    found = dict(items)
    if len(found) != len(items):
        raise Refused("a key twice")
    return found


class Number(str):
    """A number as its text."""


def no_constant(name):
    raise Refused(name)


def row_of(row):
    """id, v, t, d as the bytes that they are in columns; t None or bytes."""
    if not isinstance(row, dict) or not {"id", "v", "d"} <= set(row) <= {"id", "v", "d", "t"}:
        raise Refused("keys")
    if not all(isinstance(x, Number) for x in (row["id"], row["d"])) or not isinstance(row["v"], list):
        raise Refused("types")
    key = decimal.Decimal(row["id"])
    if key != int(key) or not -2**63 <= key < 2**63 or len(row["v"]) != 4 or not all(isinstance(x, Number) for x in row["v"]):
        raise Refused("values")
    vector = [libc.strtof(x.encode(), None) for x in row["v"]]
    text = row.get("t")
    if text is not None and (isinstance(text, Number) or not isinstance(text, str)):
        raise Refused("text")
    return (struct.pack("<q", int(key)), struct.pack("<4f", *vector), None if text is None else text.encode(),
            struct.pack("<d", libc.strtod(row["d"].encode(), None)))


def json_rows(data, form):
    def load(text):
        return json.loads(text, object_pairs_hook=pairs, parse_int=Number, parse_float=Number, parse_constant=no_constant)

    try:
        text = data.decode()
        if form == "jsonl":
            return [row_of(load(line)) for line in text.split("\n") if line.strip(" \t\r")]
        found = load(text)
        if isinstance(found, dict):
            if set(found) != {"rows"}:
                raise Refused("frame")
            found = found["rows"]
        if not isinstance(found, list):
            raise Refused("frame")
        return [row_of(row) for row in found]
    except (ValueError, OverflowError, decimal.InvalidOperation, RecursionError) as error:
        raise Refused(str(error)) from None


def array_columns(data):
    """The values as the column of Milvus's type holds them: bytes, or a list of texts."""
    try:
        array = numpy.load(io.BytesIO(data), allow_pickle=False)
        kind, item = array.dtype.kind, array.dtype.itemsize
        if array.ndim == 1 and kind in "SU":
            return [text.encode() if kind == "U" else bytes(text) for text in array]
        to = {"b": "u1", "f": "f4" if item <= 4 or array.ndim == 2 else "f8", "i": f"i{item}", "u": f"i{min(2 * item, 8)}"}[kind]
        if array.ndim == 2:
            to = {"u": "u1", "i": "i1", "f": "f2" if item == 2 else "f4"}[kind]
        with numpy.errstate(all="ignore"):
            return numpy.ascontiguousarray(array).astype("<" + to).tobytes()
    except Exception as error:  # NumPy refuses the file, in whatever way
        raise Refused(str(error)) from None


def batches(path, widths):
    """Columns of table_dump's file: bytes for each of a width, lists of texts for None, with None for null."""
    with open(path, "rb") as file:
        data = file.read()
    at, columns = 0, [[] for _ in widths]

    def number():
        nonlocal at
        at += 8
        return struct.unpack_from("<Q", data, at - 8)[0]

    while at < len(data):
        count = number()
        for column, width in zip(columns, widths):
            bitmap = data[at + 8 : at + 8 + struct.unpack_from("<Q", data, at)[0]]
            at += 8 + len(bitmap)
            for row in range(count):
                size = width if width is not None else number()
                column.append(data[at : at + size] if not bitmap or bitmap[row // 8] >> row % 8 & 1 else None)
                at += size
    return columns


def judge(form, data, damage, path, answer):
    """What happened, and what is wrong with it (None: nothing)."""
    status, _, text = answer.partition(" ")
    if status != "OK":
        if status != "DATA" or not PLACE.search(text) or path not in text:
            return "refused", f"refused without a place: {answer}"
        return "refused", None
    if form == "npy" and damage is cut:
        return "read", "an array that was cut was read"
    try:
        if form == "npy":
            want, count = array_columns(data), int(text)
            widths = [None] if isinstance(want, list) else [len(want) // count if count else 1]
            got = batches(path + ".out", widths)[0]
            same = got == want if isinstance(want, list) else b"".join(got) == want
        else:
            want = json_rows(data, form)
            columns = batches(path + ".out", [8, 16, None, 8])
            same = list(zip(*columns)) == want if want else not columns[0]
    except Refused as reason:
        return "read", f"was read, and Python refuses it: {reason}"
    return "read", None if same else "other rows than Python finds"


# the campaign


def campaign(build, count, seed, folder):
    program = os.path.join(build, "tests", "table_dump")
    rng, files = random.Random(seed), originals()
    outcomes, wrong = collections.Counter(), []
    for form in ("npy", "jsonl", "json"):
        names = [name for name, (its, _) in files.items() if its == form]
        left = count // 3
        while left > 0:
            batch = []
            for number in range(min(BATCH, left)):
                name, damage = rng.choice(names), rng.choice(DAMAGE)
                data = damage(rng, files[name][1], form)
                path = os.path.join(folder, f"{name}-{left}-{number}.{form}")
                with open(path, "wb") as file:
                    file.write(data)
                batch.append((data, damage, path))
            left -= len(batch)
            done = subprocess.run([program, form, *([] if form == "npy" else SCHEMA), "--", *[path for _, _, path in batch]],
                                  capture_output=True, text=True, timeout=SECONDS_MAX, check=False, errors="replace")
            answers = done.stdout.split("\n")[:-1]
            if done.returncode != 0 or len(answers) != len(batch):
                wrong.append(f"exit {done.returncode} at {batch[min(len(answers), len(batch) - 1)][2]}: {done.stderr[-500:]}")
                continue
            for (data, damage, path), answer in zip(batch, answers):
                what, complaint = judge(form, data, damage, path, answer)
                outcomes[f"{form} {damage.__name__}: {what}"] += 1
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
