"""Rows of every type for tests of file formats: values as Python has them, and the buffers of a batch.

write_columns() makes the file that tests/tools/parquet_tool.c reads; make_column() makes random columns.
Knows nothing of any file format."""

import json
import random
import string
import struct

import numpy

_SCALARS = {"Bool": "?", "Int8": "b", "Int16": "h", "Int32": "i", "Int64": "q", "Float": "f", "Double": "d"}
_TEXTS = ("VarChar", "Text", "JSON", "Geometry", "Timestamptz")
_RANGES = {"Int8": 8, "Int16": 16, "Int32": 32, "Int64": 64}
# ScalarField of milvus-proto schema.proto: the member that holds elements of a type
_SLOTS = {"Bool": 1, "Int8": 2, "Int16": 2, "Int32": 2, "Int64": 3, "Float": 4, "Double": 5, "VarChar": 6}
ARRAY_ELEMENTS = tuple(_SLOTS)


class Column:
    """rows: a value or None each. Vectors are numpy arrays: float32 (FloatVector), int8 (Int8Vector), uint8 bytes
    (the others); a sparse vector is {index: numpy.float32}; an Array is a list."""

    def __init__(self, name, kind, rows, dim=0, element=None, max_length=0, flags=""):
        self.name, self.kind, self.rows, self.dim, self.element = name, kind, rows, dim, element
        self.max_length, self.flags = max_length, flags

    @property
    def nullable(self):
        return "n" in self.flags

    def validity(self):
        if all(row is not None for row in self.rows):
            return b""
        return numpy.packbits([row is not None for row in self.rows], bitorder="little").tobytes()

    def buffers(self):
        """validity, offsets, values."""
        if self.kind in _SCALARS:
            letter = _SCALARS[self.kind]
            values = [0 if row is None else row for row in self.rows]
            return self.validity(), b"", struct.pack(f"<{len(values)}{letter}", *values)
        if self.kind in _TEXTS:
            pieces = [(row or "").encode() if not isinstance(row, bytes) else row for row in self.rows]
        elif self.kind == "SparseFloatVector":
            pieces = [b"".join(struct.pack("<If", key, value) for key, value in sorted((row or {}).items()))
                      for row in self.rows]
        elif self.kind == "Array":
            pieces = [b"" if row is None else scalar_field(self.element, row) for row in self.rows]
        else:
            width = self.width()
            return self.validity(), b"", b"".join(bytes(width) if row is None else row.tobytes() for row in self.rows)
        offsets = numpy.cumsum([0, *map(len, pieces)], dtype=numpy.uint64)
        return self.validity(), offsets.tobytes(), b"".join(pieces)

    def width(self):
        return {"FloatVector": 4 * self.dim, "BinaryVector": self.dim // 8, "Float16Vector": 2 * self.dim,
                "BFloat16Vector": 2 * self.dim, "Int8Vector": self.dim}[self.kind]


def _varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def scalar_field(element, values):
    """An Array's row as protobuf has it."""
    def piece(number, body):
        return _varint(number << 3 | 2) + _varint(len(body)) + body

    if element == "VarChar":
        inner = b"".join(piece(1, value.encode()) for value in values)
    elif element in ("Float", "Double"):
        inner = piece(1, struct.pack(f"<{len(values)}{_SCALARS[element]}", *values)) if values else b""
    else:
        inner = piece(1, b"".join(_varint(int(value)) for value in values)) if values else b""
    return piece(_SLOTS[element], inner)


def write_columns(path, columns, group):
    buffers = [column.buffers() for column in columns]
    rows = len(columns[0].rows)
    with open(path, "wb") as file:
        file.write(f"{rows} {group} {len(columns)}\n".encode())
        for column, parts in zip(columns, buffers):
            sizes = " ".join(str(len(part)) for part in parts)
            file.write(f"{column.kind} {column.element or '-'} {column.dim} {column.max_length} {column.flags or '-'} "
                       f"{sizes} {column.name}\n".encode())
        for parts in buffers:
            for part in parts:
                file.write(part)


# --- random rows ---

_LETTERS = string.ascii_letters + string.digits + " \"\\/\t\n" + "äßΩ漢𝄞"


def _text(chooser, most):
    return "".join(chooser.choices(_LETTERS, k=chooser.randrange(most + 1)))


def _scalar(chooser, kind):
    if kind == "Bool":
        return chooser.random() < 0.5
    if kind in _RANGES:
        bits = _RANGES[kind]
        return chooser.choice((0, -1, 1, 2 ** (bits - 1) - 1, -2 ** (bits - 1), chooser.getrandbits(bits - 1)))
    if kind == "Float":
        return float(numpy.float32(chooser.choice((0.0, -0.0, 1.5, 1e30, -1e-30, chooser.random()))))
    if kind == "Double":
        return chooser.choice((0.0, -0.0, 1e300, -1e-300, chooser.random()))
    return _text(chooser, 12)


def _value(chooser, kind, dim, element):
    if kind in _SCALARS or kind == "VarChar":
        return _scalar(chooser, kind)
    if kind == "Text":
        return _text(chooser, 600)
    if kind == "JSON":
        return json.dumps({"a": chooser.random(), "b": [_text(chooser, 5)], "c": None}, ensure_ascii=False)
    if kind == "Geometry":
        return f"POINT ({chooser.random()} {chooser.random()})"
    if kind == "Timestamptz":
        return f"2025-0{chooser.randint(1, 9)}-11T12:00:0{chooser.randint(0, 9)}Z"
    if kind == "Array":
        return [_scalar(chooser, element) for _ in range(chooser.choice((0, 1, 3, chooser.randrange(20))))]
    if kind == "SparseFloatVector":
        keys = sorted(chooser.sample(range(1 << 20), chooser.randrange(20)))
        return {key: numpy.float32(chooser.choice((0.5, -1.0, 3e-20, 7.0385307e-26, chooser.random()))) for key in keys}
    if kind == "FloatVector":
        return numpy.frombuffer(chooser.randbytes(4 * dim), "<u4").astype(numpy.float32) / numpy.float32(2**31) - 1
    if kind == "Int8Vector":
        return numpy.frombuffer(chooser.randbytes(dim), numpy.int8)
    return numpy.frombuffer(chooser.randbytes(Column("", kind, [], dim).width()), numpy.uint8)


def make_column(chooser, name, kind, rows, dim=0, element=None, nulls=0.0, **rest):
    """nulls: None: not nullable; else the share of rows that are null, in runs now and then."""
    values, null = [], False
    for _ in range(rows):
        if nulls and chooser.random() < 0.3:
            null = chooser.random() < nulls
        values.append(None if null else _value(chooser, kind, dim, element))
    flags = rest.pop("flags", "") + ("n" if nulls is not None else "")
    return Column(name, kind, values, dim=dim, element=element, flags=flags, **rest)


def every_type(chooser, rows, nulls=None, dims=(8,)):
    """A column of each type (of each element type, of each dim), the first an Int64 primary key."""
    columns = [Column("id", "Int64", list(range(rows)), flags="p")]
    for kind in (*_SCALARS, *_TEXTS, "SparseFloatVector"):
        columns.append(make_column(chooser, kind.lower(), kind, rows, nulls=nulls, max_length=4096))
    for element in ARRAY_ELEMENTS:
        columns.append(make_column(chooser, f"array of {element}", "Array", rows, element=element, nulls=nulls))
    for kind in ("FloatVector", "BinaryVector", "Float16Vector", "BFloat16Vector", "Int8Vector"):
        for dim in dims:
            dim = dim * 8 if kind == "BinaryVector" else dim
            columns.append(make_column(chooser, f"{kind} {dim}", kind, rows, dim=dim, nulls=nulls))
    columns.append(make_column(chooser, "$meta", "JSON", rows, nulls=nulls, flags="d"))
    return columns


def seeded(seed):
    return random.Random(seed)
