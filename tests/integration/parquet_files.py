"""Parquet files of other writers for tests, and what is read from them: dumps of tests/tools/parquet_read_tool.c
against pyarrow's own reading, value by value."""

import decimal
import json
import math
import os
import subprocess
import uuid

import numpy
import pyarrow
import pyarrow.parquet

BUILD = os.environ.get("MM_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build", "dev"))
TOOL = os.path.join(BUILD, "tests", "parquet_read_tool")

# reading


class Refused(Exception):
    """The reader's status and message."""


def dump(path, *arguments, tool=TOOL, timeout=60):
    """The bytes of a dump of `path`; raises Refused."""
    out = path + ".dump"
    done = subprocess.run([tool, "dump", out, path, *arguments], capture_output=True, text=True, errors="replace",
                          timeout=timeout)
    if done.returncode < 0 or "Sanitizer" in done.stderr:
        raise AssertionError(f"crashed ({done.returncode}) at {path}:\n{done.stderr[-3000:]}")
    if done.returncode != 0:
        raise Refused(done.stderr.strip())
    with open(out, "rb") as file:
        data = file.read()
    os.remove(out)
    return data


def scalar_field(row, element):
    """Elements of an Array row."""
    from pymilvus.grpc_gen import schema_pb2

    slots = {"Bool": "bool_data", "Int8": "int_data", "Int16": "int_data", "Int32": "int_data", "Int64": "long_data",
             "Float": "float_data", "Double": "double_data", "VarChar": "string_data"}
    message = schema_pb2.ScalarField.FromString(row)
    set_slot = message.WhichOneof("data")
    assert set_slot in (None, slots[element]), (set_slot, element)
    return list(getattr(message, slots[element]).data)


def sparse_row(row):
    pairs = numpy.frombuffer(row, [("index", "<u4"), ("value", "<f4")])
    assert (numpy.diff(pairs["index"].astype("i8")) > 0).all(), "indices not ascending"
    return {int(i): float(v) for i, v in pairs}


NUMBERS = {"Bool": "?", "Int8": "<i1", "Int16": "<i2", "Int32": "<i4", "Int64": "<i8", "Float": "<f4", "Double": "<f8"}


def values_of(field, validity, offsets, raw):
    """Python values of a column of a batch; None for null."""
    rows = len(validity)
    if field["type"] in NUMBERS:
        values = numpy.frombuffer(raw, NUMBERS[field["type"]]).tolist()
    elif offsets is None:
        width = field["width"]
        values = [raw[i * width : (i + 1) * width] for i in range(rows)]
    else:
        values = [raw[offsets[i] : offsets[i + 1]] for i in range(rows)]
        if field["type"] == "Array":
            values = [scalar_field(v, field["element"]) if ok else None for v, ok in zip(values, validity)]
        elif field["type"] == "SparseFloatVector":
            values = [sparse_row(v) for v in values]
        else:
            values = [v.decode() for v in values]
    return [v if ok else None for v, ok in zip(values, validity)]


class Rows:
    """A dump: head (rows, fields, parts), and the values of each column from row `first` on."""

    def __init__(self, data):
        at = data.index(b"\n") + 1
        self.head = json.loads(data[:at])
        self.fields = {f["name"]: f for f in self.head["fields"]}
        pieces = []
        while at < len(data):
            end = data.index(b"\n", at) + 1
            line = json.loads(data[at:end])
            at, rows, columns = end, line["rows"], {}
            for field in self.head["fields"]:
                validity = data[at : at + rows]
                at += rows
                offsets = None
                size = rows * field["width"]
                if field["width"] == 0:
                    offsets = numpy.frombuffer(data, "<u8", rows + 1, at).tolist()
                    at += 8 * (rows + 1)
                    size = offsets[-1]
                columns[field["name"]] = values_of(field, validity, offsets, data[at : at + size])
                at += size
            pieces.append((line["first"], rows, columns))
        pieces.sort(key=lambda piece: piece[0])
        self.covered = [(first, rows) for first, rows, _ in pieces]
        self.columns = {name: [v for _, _, columns in pieces for v in columns[name]] for name in self.fields}


# what pyarrow reads, as a field of a type holds it


def plain(value):
    """Whole decimals as numbers, and bytes as the text that they are."""
    if isinstance(value, decimal.Decimal):
        return int(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    return value.decode() if isinstance(value, bytes) else value


def vector_bytes(field, value):
    kind = field["type"]
    if isinstance(value, bytes):
        return value
    if kind == "FloatVector":
        return numpy.asarray(value, "f8").astype("<f4").tobytes()
    if kind == "Int8Vector":
        return numpy.asarray(value, "<i1").tobytes()
    if kind == "Float16Vector" and len(value) == field["dim"]:
        return numpy.asarray(value, "<f2").tobytes()
    return numpy.asarray(value, "<u1").tobytes()


def wanted(field, column):
    """The values that a column of a pyarrow table means for a field."""
    kind = column.type
    if pyarrow.types.is_temporal(kind):
        column = column.cast(pyarrow.int32() if kind.bit_width == 32 else pyarrow.int64())
    if field["type"] == "FloatVector" and pyarrow.types.is_float32(getattr(kind, "value_type", None) or pyarrow.null()):
        # not by way of Python's floats, which change the bits of a signalling NaN
        return [v.values.to_numpy().tobytes() if v.is_valid else None for v in column]
    values = column.to_pylist()
    if field["type"].endswith("Vector") and field["type"] != "SparseFloatVector":
        return [None if v is None else vector_bytes(field, v) for v in values]
    if field["type"] == "SparseFloatVector":
        return [None if v is None else {int(k): float(numpy.float32(x)) for k, x in json.loads(v).items()} for v in values]
    if field["type"] == "Array":
        return [None if v is None else [plain(x) for x in v] for v in values]
    return [plain(v) for v in values]


def same(a, b):
    if a == b:
        return True
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)


def differences(rows, table):
    """What a dump has that the table has not, or the reverse; empty when all is the same."""
    found = []
    for name, field in rows.fields.items():
        have, want = rows.columns[name], wanted(field, table.column(name))
        if len(have) != len(want):
            found.append(f"{name}: {len(have)} rows, not {len(want)}")
            continue
        for i, (a, b) in enumerate(zip(have, want)):
            if not same(a, b):
                found.append(f"{name}, row {i}: {a!r}, not {b!r}")
                break
    return found


def check(path, *arguments, table=None, skipped=False):
    """Reads a file and compares every value with pyarrow's reading. skipped: not every row is asked for."""
    rows = Rows(dump(path, *arguments))
    table = pyarrow.parquet.ParquetFile(path).read() if table is None else table
    assert rows.head["rows"] == table.num_rows, f"{path}: {rows.head['rows']} rows"
    at = 0
    for first, count in rows.covered:
        assert first == at or (skipped and first > at), f"{path}: rows {at} to {first} are missing"
        at = first + count
    assert at == table.num_rows, f"{path}: {at} rows were read"
    if skipped:
        table = pyarrow.concat_tables([table.slice(first, count) for first, count in rows.covered])
    found = differences(rows, table)
    assert not found, f"{path} {arguments}: {found}"
    return rows


# files


def nulls(rng, n, share=0.2):
    return rng.random(n) < share


def lists(rng, n, make, null=True):
    sizes = rng.integers(0, 9, n)
    return [None if null and rng.random() < 0.1 else [make(rng) for _ in range(s)] for s in sizes]


def everything(n=1000, seed=1):
    """A table with every type that is read; columns q… have nulls."""
    rng = numpy.random.default_rng(seed)
    words = ["", "a", "zebra", "µ-ΩЖ漢字😀", "x" * 200, "null"]
    scalars = {
        "bool": (pyarrow.bool_(), rng.integers(0, 2, n).astype("?")),
        "int8": (pyarrow.int8(), rng.integers(-128, 128, n)),
        "int16": (pyarrow.int16(), rng.integers(-(2**15), 2**15, n)),
        "int32": (pyarrow.int32(), rng.integers(-(2**31), 2**31, n)),
        "int64": (pyarrow.int64(), rng.integers(-(2**63), 2**63 - 1, n)),
        "uint8": (pyarrow.uint8(), rng.integers(0, 256, n)),
        "uint16": (pyarrow.uint16(), rng.integers(0, 2**16, n)),
        "uint32": (pyarrow.uint32(), rng.integers(0, 2**32, n)),
        "uint64": (pyarrow.uint64(), rng.integers(0, 2**63, n)),
        "float": (pyarrow.float32(), rng.standard_normal(n).astype("f4")),
        "double": (pyarrow.float64(), rng.standard_normal(n)),
        "half": (pyarrow.float16(), rng.standard_normal(n).astype("f2")),
        "date": (pyarrow.date32(), rng.integers(-10000, 30000, n).astype("i4")),
        "timestamp": (pyarrow.timestamp("us"), rng.integers(-(2**50), 2**50, n)),
        "few": (pyarrow.int64(), rng.integers(0, 5, n)),
    }
    columns = {"id": pyarrow.array(range(n), pyarrow.int64())}
    for name, (kind, values) in scalars.items():
        columns[name] = pyarrow.array(values.tolist() if name == "bool" else values, kind)
        columns["q_" + name] = pyarrow.array(values, kind, mask=nulls(rng, n))
    texts = [words[k] + (str(i) if k > 2 else "") for i, k in enumerate(rng.integers(0, len(words), n))]
    columns["text"] = pyarrow.array(texts)
    columns["q_text"] = pyarrow.array(texts, mask=nulls(rng, n))
    columns["large_text"] = pyarrow.array(texts, pyarrow.large_string())
    columns["decimal"] = pyarrow.array([decimal.Decimal(int(x)) for x in rng.integers(-(10**12), 10**12, n)],
                                       pyarrow.decimal128(18, 0))
    columns["all_null"] = pyarrow.array([None] * n, pyarrow.string())
    vectors = rng.standard_normal((n, 12)).astype("f4")
    columns["vector"] = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), 12)
    columns["double_vector"] = pyarrow.array(rng.standard_normal((n, 3)).tolist(), pyarrow.list_(pyarrow.float64()))
    columns["half_vector"] = pyarrow.array(list(rng.standard_normal((n, 4)).astype("f2")), pyarrow.list_(pyarrow.float16()))
    columns["q_vector"] = pyarrow.array([None if x else v for x, v in zip(nulls(rng, n), vectors.tolist())],
                                        pyarrow.list_(pyarrow.float32()))
    columns["list_int32"] = pyarrow.array(lists(rng, n, lambda r: int(r.integers(-9, 9))), pyarrow.list_(pyarrow.int32()))
    columns["list_int64"] = pyarrow.array(lists(rng, n, lambda r: int(r.integers(-(2**62), 2**62))),
                                          pyarrow.list_(pyarrow.int64()))
    columns["list_bool"] = pyarrow.array(lists(rng, n, lambda r: bool(r.integers(0, 2))), pyarrow.list_(pyarrow.bool_()))
    columns["list_float"] = pyarrow.array(lists(rng, n, lambda r: float(numpy.float32(r.standard_normal()))),
                                          pyarrow.list_(pyarrow.float32()))
    columns["list_double"] = pyarrow.array(lists(rng, n, lambda r: r.standard_normal()), pyarrow.list_(pyarrow.float64()))
    columns["list_text"] = pyarrow.array(lists(rng, n, lambda r: words[r.integers(0, len(words))]),
                                         pyarrow.list_(pyarrow.string()))
    columns["list_no_null"] = pyarrow.array(lists(rng, n, lambda r: int(r.integers(0, 9)), null=False),
                                            pyarrow.list_(pyarrow.int16()))
    return pyarrow.table(columns)


def write(folder, name, table, **options):
    path = os.path.join(folder, name + ".parquet")
    pyarrow.parquet.write_table(table, path, **options)
    return path


