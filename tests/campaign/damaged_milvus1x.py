"""Damages .rv, .uid, deleted_docs, meta.sqlite (and its WAL) and meta.json of data folders of Milvus 1.x in thousands of ways
and reads them by the source.

What is read must be exactly the rows that the damaged bytes describe: by a second reading of the format here, of the
metadata by Python's sqlite3 and json. Files of segments that describe rows must be read; all else is refused with the name
of what is wrong. Never a crash, never more than 60 s for a batch of 50 folders, never more than 400 MiB of memory.

    python3 damaged_milvus1x.py --build build/release --count 10000 [--seed 1]"""

import argparse
import collections
import decimal
import json
import os
import random
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import milvus1x_files as made  # noqa: E402

BATCH, SECONDS_MAX, MEMORY_MAX = 50, 60, 400 << 20


class Refused(Exception):
    """The bytes describe no rows."""


# the folders


def original():
    folder = made.Folder()
    folder.add("a", 4).add(made.Segment(range(20), made.floats(20, 4, 1), [3, 3, 19])).add(made.Segment(range(9), made.floats(9, 4, 2)), "p")
    folder.add("b", 16, made.HAMMING).add(made.Segment(range(30), made.bits(30, 16, 3), [0, 29, 7]))
    folder.collections["b"].add(made.Segment(range(30, 40), made.bits(10, 16, 4), types=(made.INDEX, made.BACKUP)))
    folder.add("c", 2).add(made.Segment(range(12), made.floats(12, 2, 5), [11], bare=True)).add(made.Segment(range(6), made.floats(6, 2, 6)))
    folder.add("d", 6)
    return folder


def files_of(path):
    found = {}
    for base, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(base, name), "rb") as file:
                found[os.path.relpath(os.path.join(base, name), path)] = file.read()
    return found


# damage


def cut(rng, data, at):
    return data[: rng.randrange(len(data))]


def flip(rng, data, at):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        data[at(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(data)


def number(rng, data, at):
    """A whole number of the format's sizes."""
    size, place = rng.choice([4, 8]), at(rng, data)
    value = rng.choice([0, 1, 7, 8, 19, 20, 29, 30, len(data), max(len(data) - 8, 0), 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1])
    return data[:place] + struct.pack("<Q", value)[:size] + data[place + size :]


def insert(rng, data, at):
    place = at(rng, data)
    return data[:place] + rng.randbytes(rng.choice([1, 4, 8, 16, 24])) + data[place:]


def remove(rng, data, at):
    place = at(rng, data)
    return data[:place] + data[place + rng.choice([1, 4, 8, 16, 24, 64]) :]


def move(rng, data, at):
    size, start, to = rng.choice([1, 4, 8, 40, 200]), at(rng, data), at(rng, data)
    return data[:to] + data[start : start + size] + data[to + rng.choice([0, size]) :]


def letter(rng, data, at):
    place = at(rng, data)
    return data[:place] + bytes([rng.choice(b"{}[]\",:\\0123456789-.eE \n\x00\xc3truefalsnu")]) + data[place + 1 :]


DAMAGE = [cut, flip, number, insert, remove, move, letter]


def near_the_start(rng, data):
    return rng.randrange(min(16, len(data))) if rng.random() < 0.5 else rng.randrange(len(data))


def anywhere(rng, data):
    return rng.randrange(len(data))


# what is in a damaged folder: the format a second time


def headed(data):
    """The bytes behind a length that is right."""
    if len(data) < 8 or struct.unpack_from("<Q", data)[0] != len(data) - 8:
        raise Refused("length")
    return data[8:]


def rows_of(rv, uid, deleted, width):
    """[(id, vector)] of what is not deleted."""
    forms = [head for head in (8, 0) if len(uid) >= head and (len(uid) - head) % 8 == 0 and
             len(rv) - head == (len(uid) - head) // 8 * width]
    if not forms:
        raise Refused("sizes")
    bare = forms == [0]
    if len(forms) == 2:  # vectors of 8 bytes: the lengths in front decide
        right = [struct.unpack_from("<Q", data)[0] == len(data) - 8 for data in (uid, rv)]
        if any(right) and not all(right):
            raise Refused("one length")
        bare = not any(right)
    strip = (lambda data: data) if bare else headed
    rv, uid, deleted = strip(rv), strip(uid), strip(deleted)
    count = len(uid) // 8
    if len(deleted) % 4:
        raise Refused("deleted rows")
    gone = set(struct.unpack(f"<{len(deleted) // 4}i", deleted))
    if gone and (min(gone) < 0 or max(gone) >= count):
        raise Refused("a row that is not there")
    return [(struct.unpack_from("<q", uid, 8 * row)[0], rv[row * width : (row + 1) * width]) for row in range(count) if row not in gone]


def name(text):
    if not isinstance(text, str) or not 0 < len(text.encode()) < 256 or "/" in text or text in (".", "..") or "\0" in text:
        raise Refused("a name")
    return text


def age(segment):
    made_on, text = segment
    return (made_on, len(text.lstrip("0")), text.lstrip("0")) if text.isdigit() and text.isascii() else (made_on, -1, text)


def lines_of(files, tables, entries):
    """The lines that the tool has to write. tables: (table_id, state, dimension, metric, owner, tag); entries: (table_id,
    segment_id, file_type, created)."""
    for row in tables:
        name(row[0])
        if row[1] not in (0, 1):
            raise Refused("state")
    for row in entries:
        name(row[0]), name(row[1])
        if not 0 <= row[2] <= 7:
            raise Refused("file type")
    normal = {row[0]: row for row in tables if row[1] == 0}
    if len(normal) != sum(row[1] == 0 for row in tables):
        raise Refused("a table twice")
    rank = {1: 0, 2: 0, 7: 0, 3: 1, 4: 3}
    lines = []
    for table in sorted((row for row in normal.values() if not row[4]), key=lambda row: row[0].encode()):
        _, _, dimension, metric, _, _ = table
        binary = metric >= 3
        if not 1 <= metric <= 7 or not 0 < dimension <= 10**6 or (binary and dimension % 8):
            raise Refused("a collection")
        parts = sorted((row for row in normal.values() if row[4] == table[0]), key=lambda row: row[5].encode())
        tags = [row[5] for row in parts]
        if len(set(tags)) != len(tags) or "_default" in tags or "" in tags:
            raise Refused("tags")
        lines.append(f"C {table[0].encode().hex()} {dimension} {int(binary)}")
        if parts:
            lines += [f"P {tag.encode().hex()}" for tag in ["_default", *tags]]
        segments = []
        for place, part in enumerate([table, *parts]):
            best = {}
            for entry in entries:
                if entry[0] == part[0]:
                    key = (rank.get(entry[2], 2), entry[3])
                    best[entry[1]] = min(best.get(entry[1], key), key)
            segments += [((made_on, segment), part[0], place) for segment, (kind, made_on) in best.items() if kind < 2]
        for (_, segment), folder, place in sorted(segments, key=lambda one: (age(one[0]), one[1].encode())):
            base = f"db/tables/{folder}/{segment}/"
            there = {path[len(base):]: data for path, data in files.items() if path.startswith(base)}
            try:
                found = rows_of(there[segment + ".rv"], there[segment + ".uid"], there["deleted_docs"],
                                dimension // 8 if binary else dimension * 4)
            except KeyError:
                raise Refused("no files") from None
            lines += [f"R {place} {key} {vector.hex()}" for key, vector in found]
    return lines


def integer(value):
    """As SQLite gives a column's integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused("no integer")
    return value


def text_of(value):
    if not isinstance(value, str) or "\0" in value:
        raise Refused("no text")
    return value


def from_sqlite(path):
    """Rows of both tables, on a copy of the database. Refused: Python does not read it, or its values are of odd types."""
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("", "-wal"):
            if os.path.exists(path + ending):
                shutil.copyfile(path + ending, os.path.join(folder, "m" + ending))
        database = sqlite3.connect(os.path.join(folder, "m"))
        try:
            if database.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
                raise Refused("quick_check")
            tables = database.execute("SELECT table_id, state, dimension, metric_type, owner_table, partition_tag FROM Tables").fetchall()
            entries = database.execute("SELECT table_id, segment_id, file_type, created_on FROM TableFiles").fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise Refused(str(error)) from None
        finally:
            database.close()
    return ([(text_of(r[0]), *map(integer, r[1:4]), text_of(r[4]), text_of(r[5])) for r in tables],
            [(text_of(r[0]), text_of(r[1]), integer(r[2]), integer(r[3])) for r in entries])


def from_json(data):
    """As Go's decoder takes it: the last of equal keys, and what is null or missing is 0 or empty; 1.2e1 is 12."""
    def whole(text):
        number = decimal.Decimal(text)
        return int(number) if abs(number) < 2**63 and number == int(number) else text

    def value(of, key, default, check):
        return default if of.get(key) is None else check(of[key])

    try:
        found = json.loads(data.decode(), parse_float=whole)
        tables, entries = [], []
        for c in (found["collections"] or []) + (found.get("empty") or []):
            tables.append((text_of(c["collection"]), 0, value(c, "dim", 0, integer), value(c, "metric", 0, integer),
                           value(c, "owner", "", text_of), value(c, "partition", "", text_of)))
            for s in c.get("segments") or []:
                if value(s, "collection", c["collection"], text_of) != c["collection"]:
                    raise Refused("a segment of another collection")
                entries.append((c["collection"], text_of(s["segment"]), value(s, "fileType", 1, integer),
                                value(s, "created", 0, integer)))
        return tables, entries
    except (ValueError, ArithmeticError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(str(error)) from None


def expected(path, kind):
    files = files_of(path)
    if kind == "json":
        return lines_of(files, *from_json(files["meta.json"]))
    return lines_of(files, *from_sqlite(os.path.join(path, "db", "meta.sqlite")))


# the campaign


def judge(path, kind, target, answer):
    """What happened, and what is wrong with it (None: nothing)."""
    status, _, text = answer.partition(" ")
    try:
        want = expected(path, kind)
    except Refused as reason:
        if status == "OK":
            with open(path + ".out", encoding="ascii") as file:
                lines = file.read().split("\n")[:-1]
            return "read", f"was read ({len(lines)} lines), and should be refused: {reason}"
        want = None
    if status == "OK":
        with open(path + ".out", encoding="ascii") as file:
            got = file.read().split("\n")[:-1]
        return "read", None if got == want else "other rows than the bytes describe"
    if status not in ("DATA", "NOT_FOUND", "CHANGED") or not text:
        return "refused", f"refused oddly: {answer}"
    if kind == "segment" and want is not None:
        return "refused", f"refused, and the bytes describe rows: {answer}"
    if kind == "segment" and os.path.basename(os.path.dirname(target)) not in text:
        return "refused", f"refused without the segment's name: {answer}"
    if kind != "segment" and path not in text and "collection" not in text:
        return "refused", f"refused without a place: {answer}"
    return "refused", None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default="segment,segment,sqlite,json", help="which files, as often as they stand there")
    parser.add_argument("--keep", help="folder for what is wrong; kept")
    args = parser.parse_args()
    rng, outcomes, wrong = random.Random(args.seed), collections.Counter(), []
    with tempfile.TemporaryDirectory(prefix="mmresume-damaged-", dir=args.keep) as folder:
        base = os.path.join(folder, "base")
        original().write(base)
        export = [os.path.join(args.build, "mmresume"), "export", "-s", os.path.join(base, "db", "meta.sqlite"), "-o", base]
        subprocess.run(export, check=True, capture_output=True)
        segments = [path for path in files_of(base) if path.endswith((".rv", ".uid", "deleted_docs"))]
        targets = {"segment": segments, "sqlite": ["db/meta.sqlite", "db/meta.sqlite-wal"], "json": ["meta.json"]}
        left = args.count
        while left > 0:
            batch = []
            for number_ in range(min(BATCH, left)):
                kind = rng.choice(args.kinds.split(","))
                target, damage = rng.choice(targets[kind]), rng.choice(DAMAGE)
                path = os.path.join(folder, f"{left}-{number_}")
                shutil.copytree(base, path)
                if kind != "json":
                    os.unlink(os.path.join(path, "meta.json"))
                with open(os.path.join(path, target), "r+b") as file:
                    data = damage(rng, file.read(), near_the_start if kind == "segment" else anywhere)
                    file.seek(0)
                    file.truncate()
                    file.write(data)
                batch.append((path, kind, target, damage))
            left -= len(batch)
            done = subprocess.run([os.path.join(args.build, "tests", "milvus1x_dump"), *[one[0] for one in batch]],
                                  capture_output=True, text=True, timeout=SECONDS_MAX, check=False, errors="replace")
            answers = done.stdout.split("\n")[:-1]
            if done.returncode != 0 or len(answers) != len(batch):
                wrong.append(f"exit {done.returncode} at {batch[min(len(answers), len(batch) - 1)][0]}: {done.stderr[-500:]}")
                continue
            for (path, kind, target, damage), answer in zip(batch, answers):
                what, complaint = judge(path, kind, target, answer)
                outcomes[f"{kind} {damage.__name__}: {what}"] += 1
                if complaint is not None:
                    wrong.append(f"{path} {target} {damage.__name__}: {complaint}")
                if complaint is None or not args.keep:
                    shutil.rmtree(path)
                    os.unlink(path + ".out")
        if args.keep and wrong:
            shutil.copytree(folder, os.path.join(args.keep, "wrong"))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    for key, count in sorted(outcomes.items()):
        print(f"{count:7} {key}")
    print(f"{peak >> 20} MiB at most")
    for line in wrong[:40]:
        print("WRONG", line)
    print(f"{sum(outcomes.values())} damaged folders, {len(wrong)} wrong")
    sys.exit(1 if wrong or peak > MEMORY_MAX else 0)


if __name__ == "__main__":
    main()
