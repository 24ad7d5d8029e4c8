"""Damages answers of Elasticsearch in thousands of ways and reads them by the page parser.

What is read must be exactly the documents that Python's json finds in the damaged bytes, the numbers kept as text: their
values, or rejects where a value is none of its field's type; everything else is refused: DATA, with the byte. An answer
that is cut is always refused. Damaged mappings are read or refused with words. Never a crash, never a row too many,
never more than 30 s for a hundred answers, never more than 400 MiB of memory.

    python3 damaged_elastic.py --build build/release --count 10000 [--seed 1]"""

import argparse
import collections
import ctypes
import decimal
import json
import os
import random
import re
import resource
import struct
import subprocess
import sys
import tempfile

BATCH = 100
SECONDS_MAX, MEMORY_MAX = 30, 400 << 20
NONE = 2**64 - 1
DIM = 4

libc = ctypes.CDLL(None)
libc.strtof.restype, libc.strtof.argtypes = ctypes.c_float, [ctypes.c_char_p, ctypes.c_void_p]
libc.strtod.restype, libc.strtod.argtypes = ctypes.c_double, [ctypes.c_char_p, ctypes.c_void_p]

MAPPING = {"books": {"mappings": {"properties": {
    "n": {"type": "long"}, "t": {"type": "text", "fields": {"keyword": {"type": "keyword"}}}, "d": {"type": "double"},
    "v": {"type": "dense_vector", "dims": DIM, "index": True, "similarity": "cosine"}, "b": {"type": "boolean"}}}}}


def documents(rng):
    for i in range(rng.choice([1, 3, 40])):
        document = {"n": i * 37 - 500, "t": "añ\"\\\n😀"[: i % 7] + str(i), "d": rng.random() * 10.0 ** (i - 30),
                    "v": [rng.choice([rng.random(), round(rng.random(), 4), -1e-7]) for _ in range(DIM)], "b": i % 2 == 0}
        for name in rng.sample(sorted(document), rng.choice([0, 0, 1])):
            document[name] = rng.choice([None, [], [document[name]], "7", True, {"a": 1}])
        document["more"] = {"ignored": [1, {"x": None}]}
        yield document


def answer(rng):
    hits = [{"_index": "books", "_id": f"k{i}é" if i % 5 == 0 else f"k{i}", "_seq_no": 3 * i, "_primary_term": 1, "_score": None,
             "_source": source, "sort": [3 * i]} for i, source in enumerate(documents(rng))]
    whole = {"took": 3, "timed_out": False, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
             "hits": {"total": {"value": len(hits), "relation": "eq"}, "max_score": None, "hits": hits}}
    if rng.random() < 0.1:  # what has to be known stands behind the hits
        whole = {name: whole[name] for name in ("took", "hits", "timed_out", "_shards")}
    return json.dumps(whole, ensure_ascii=rng.random() < 0.5, separators=rng.choice([(",", ":"), (", ", ": ")])).encode()


# damage


def cut(rng, data):
    return data[: rng.randrange(len(data))]


def flip(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def letter(rng, data):
    """Another letter of JSON's own."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.choice(b"{}[]\",:\\untrfalse0123456789+-.eE \n\r\t\x00\x80\xc3\xed")]) + data[at + 1 :]


def remove(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice([1, 1, 2, 5, 64]) :]


def insert(rng, data):
    at = rng.randrange(len(data))
    words = [b"0", b"1e5", b"[", b"{}", b"\"", b"null", b"\n", b",", b"-", b"9" * 30, b"NaN", b'"_id":"x",', b'"n":1,', b"\\ud800",
             b"\xff", rng.randbytes(4)]
    return data[:at] + rng.choice(words) + data[at:]


def move(rng, data):
    """A piece of the answer over or before another."""
    size = rng.choice([1, 4, 8, 40, 200])
    start, to = rng.randrange(len(data)), rng.randrange(len(data))
    return data[:to] + data[start : start + size] + data[to + rng.choice([0, size]) :]


DAMAGE = [cut, flip, letter, remove, insert, move]

# what is in a damaged answer


class Refused(Exception):
    """Python finds no answer in it."""


class Unfit(Exception):
    """A value that is none of its field's type: the document is a reject."""


class Number(str):
    """A number as it stands there."""


def no_constant(text):
    raise Refused(text)


class Pairs(list):
    """An object's members, all of them."""


def one(members, name):
    found = [value for key, value in members if key == name]
    if len(found) > 1:
        raise Refused(f"{name} twice")
    return found[0] if found else None


def integer(value):
    if isinstance(value, str) and not isinstance(value, Number) and not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", value):
        raise Unfit
    if not isinstance(value, str):
        raise Unfit
    number = decimal.Decimal(value)
    if number != number.to_integral_value() or not -2**63 <= number < 2**63:
        raise Unfit
    return struct.pack("<q", int(number))


def double(value):
    if isinstance(value, str) and not isinstance(value, Number) and not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", value):
        raise Unfit
    if not isinstance(value, str):
        raise Unfit
    number = libc.strtod(value.encode(), None)
    if number in (float("inf"), float("-inf")):
        raise Unfit
    return struct.pack("<d", number)


def truth(value):
    if value is True or value is False:
        return bytes([value])
    if isinstance(value, Number) or value not in ("true", "false", ""):
        raise Unfit
    return bytes([value == "true"])


def text(value):
    if value is True or value is False:
        return b"true" if value else b"false"
    if not isinstance(value, str):
        raise Unfit
    return value.encode()


def vector(value):
    if not isinstance(value, list) or isinstance(value, Pairs) or len(value) != DIM or not all(isinstance(x, Number) for x in value):
        raise Unfit
    numbers = [libc.strtof(x.encode(), None) for x in value]
    if any(x in (float("inf"), float("-inf")) for x in numbers):
        raise Unfit
    return struct.pack(f"<{DIM}f", *numbers)


FIELDS = [("n", integer), ("t", text), ("d", double), ("v", vector), ("b", truth)]


def cell(members, name, read):
    """The field's bytes; None: no value."""
    found = [value for key, value in members if key == name and value is not None]
    found = found if read is vector else [value for value in found if value != [] or isinstance(value, Pairs)]
    if not found:
        return None
    if len(found) > 1:
        raise Unfit
    value = found[0]
    if read is not vector and isinstance(value, list) and not isinstance(value, Pairs):
        value = [item for item in value if item is not None]
        if not value:
            return None
        if len(value) > 1:
            raise Unfit
        value = value[0]
    return read(value)


def row_of(hit, last):
    """The row's bytes, the key of a reject as text, and the _seq_no."""
    if not isinstance(hit, Pairs):
        raise Refused("hit")
    key, source, number, routing = (one(hit, name) for name in ("_id", "_source", "_seq_no", "_routing"))
    if any(isinstance(x, Number) or (x is not None and not isinstance(x, str)) for x in (key, routing)) or key is None:
        raise Refused("_id")
    if any(name in ("_id", "_seq_no", "_source", "_routing") and value is None for name, value in hit):
        raise Refused("null")
    if not isinstance(number, Number) or decimal.Decimal(number) != int(decimal.Decimal(number)) or int(decimal.Decimal(number)) <= last:
        raise Refused("_seq_no")
    number = int(decimal.Decimal(number))
    if number >= 2**63:
        raise Refused("_seq_no")
    if source is None:
        return key.encode(), number
    if not isinstance(source, Pairs):
        raise Refused("_source")
    try:
        return [key.encode()] + [cell(source, name, read) for name, read in FIELDS], number
    except Unfit:
        return key.encode(), number


def count(value):
    if not isinstance(value, Number) or decimal.Decimal(value) != int(decimal.Decimal(value)) or not 0 <= decimal.Decimal(value) < 2**63:
        raise Refused("count")


def check_envelope(whole, hits):
    """What stands around the hits is what the parser says it has to be."""
    shards, timed_out, total = one(whole, "_shards"), one(whole, "timed_out"), one(hits, "total")
    early = one(whole, "terminated_early")
    for name in ("_shards", "timed_out", "terminated_early", "pit_id", "_scroll_id"):
        if any(key == name and value is None for key, value in whole):
            raise Refused("null")
    if sum(key in ("pit_id", "_scroll_id") for key, _ in whole) > 1 or any(key == "total" and value is None for key, value in hits):
        raise Refused("twice")
    if any(x is not None and x is not True and x is not False for x in (timed_out, early)):
        raise Refused("timed_out")
    if any(key in ("pit_id", "_scroll_id") for key, _ in whole):
        raise Refused("context")
    if shards is not None:
        if not isinstance(shards, Pairs) or sum(key in ("total", "successful", "failed") for key, _ in shards) != 3:
            raise Refused("_shards")
        for key, value in shards:
            if key in ("total", "successful", "skipped", "failed"):
                count(value)
            if key == "failures" and (not isinstance(value, list) or isinstance(value, Pairs)):
                raise Refused("failures")
    if isinstance(total, Number):
        count(total)
    elif total is not None:
        if not isinstance(total, Pairs):
            raise Refused("total")
        for key, value in total:
            if key == "value":
                count(value)
            if key == "relation" and (not isinstance(value, str) or isinstance(value, Number)):
                raise Refused("relation")


def rows(data):
    try:
        if len(data.rstrip(b" \n\r")) == 0 or data.rstrip(b" \n\r")[-1:] != b"}":
            raise Refused("cut")
        whole = json.loads(data.decode(), object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=no_constant)
        hits = one(whole, "hits") if isinstance(whole, Pairs) else None
        listed = one(hits, "hits") if isinstance(hits, Pairs) else None
        if not isinstance(listed, list) or isinstance(listed, Pairs):
            raise Refused("hits")
        check_envelope(whole, hits)
        out, last = [], -1
        for hit in listed:
            row, last = row_of(hit, last)
            out.append(row)
        return out
    except (ValueError, OverflowError, decimal.InvalidOperation, RecursionError) as error:
        raise Refused(str(error)) from None


def dumped(path):
    with open(path, "rb") as file:
        data = file.read()
    at, out = 0, []

    def piece():
        nonlocal at
        size = struct.unpack_from("<Q", data, at)[0]
        at += 8
        if size == NONE:
            return None
        at += size
        return data[at - size : at]

    while at < len(data):
        kind = data[at : at + 1]
        at += 1
        out.append(piece() if kind == b"J" else [piece() for _ in range(1 + len(FIELDS))])
    return out


def judge(data, damage, path, said):
    """What happened, and what is wrong with it (None: nothing)."""
    status, _, words = said.partition(" ")
    try:
        want = rows(data)
    except Refused as reason:
        want, why = None, reason
    if status != "OK":
        if status != "DATA" or not re.search(r"byte \d+", words) or path not in words:
            return "refused", f"refused without a place: {said}"
        if want is not None and "levels" not in words and not re.search(r"surrogate|UTF-8|\d+ characters", words):
            return "refused", f"Python finds {len(want)} documents: {said}"
        got = dumped(path + ".out")  # what was given before the place of the damage was read
        return "refused", None if want is None or got == want[: len(got)] else "other rows before the refusal"
    if want is None:
        return "read", f"was read, and Python refuses it: {why}"
    if damage is cut:
        return "read", "an answer that was cut was read"
    return "read", None if dumped(path + ".out") == want else "other rows than Python finds"


# the campaign


def run(program, what, paths):
    return subprocess.run([program, what, "--", *paths], capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
                          errors="replace")


def campaign(build, total, seed, folder):
    program, rng = os.path.join(build, "tests", "elastic_dump"), random.Random(seed)
    outcomes, wrong = collections.Counter(), []
    mapping = os.path.join(folder, "mapping")
    with open(mapping, "w", encoding="utf-8") as file:
        json.dump(MAPPING, file)
    for start in range(0, total, BATCH):
        batch, mappings = [], start // BATCH % 10 == 9
        for number in range(min(BATCH, total - start)):
            damage, path = rng.choice(DAMAGE), os.path.join(folder, f"{start + number}.json")
            data = damage(rng, json.dumps(MAPPING).encode() if mappings else answer(rng))
            with open(path, "wb") as file:
                file.write(data)
            batch.append((data, damage, path))
        done = run(program, "mapping" if mappings else mapping, [path for _, _, path in batch])
        said = done.stdout.split("\n")[:-1]
        if done.returncode != 0 or len(said) != len(batch):
            wrong.append(f"exit {done.returncode} at {batch[min(len(said), len(batch) - 1)][2]}: {done.stderr[-500:]}")
            continue
        for (data, damage, path), line in zip(batch, said):
            if mappings:
                status = line.partition(" ")[0]
                what, complaint = "read" if status == "OK" else "refused", None
                if status not in ("OK", "DATA", "CONFIG") or len(line) < 5:
                    complaint = f"a mapping: {line}"
            else:
                what, complaint = judge(data, damage, path, line)
            outcomes[f"{'mapping' if mappings else 'answer'} {damage.__name__}: {what}"] += 1
            if complaint is not None:
                wrong.append(f"{path}: {complaint}")
                continue
            os.unlink(path)
            if not mappings:
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
    print(f"{sum(outcomes.values())} damaged answers, {len(wrong)} wrong")
    sys.exit(1 if wrong or peak > MEMORY_MAX else 0)


if __name__ == "__main__":
    main()
