"""The Parquet writer: pyarrow (page checksums verified), DuckDB and our own reader bring back every value of every
type, with and without nulls, over several row groups and pages; a file that was written through restarts is the same
byte for byte; annotations, names, statistics and sizes in the footer are right; values that have no form are refused
by field.

Usage: test_parquet_write.py [seed…]"""

import filecmp
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

import duckdb
import numpy
import pyarrow
import pyarrow.parquet

from columns import ARRAY_ELEMENTS, Column, every_type, make_column, seeded, write_columns

BUILD = os.environ.get("MM_BUILD", "build/dev")
TOOL = os.path.join(BUILD, "tests", "parquet_tool")
READER = os.path.join(BUILD, "tests", "parquet_read_tool")
LISTS = {"FloatVector", "BinaryVector", "Float16Vector", "BFloat16Vector", "Int8Vector", "Array"}
ARROW = {"Bool": "bool", "Int8": "int8", "Int16": "int16", "Int32": "int32", "Int64": "int64", "Float": "float",
         "Double": "double", "VarChar": "string", "FloatVector": "float", "Int8Vector": "int8",
         "BinaryVector": "uint8", "Float16Vector": "uint8", "BFloat16Vector": "uint8"}


def run(*arguments):
    return subprocess.run([TOOL, *arguments], capture_output=True, text=True, timeout=120)


def write(folder, columns, group, form="general"):
    """The file; written again through restarts it must be the same."""
    source, path, again = (os.path.join(folder, name) for name in ("columns", "once.parquet", "again.parquet"))
    write_columns(source, columns, group)
    for target, rest in ((path, ()), (again, ("restart",))):
        result = run("write", source, target, form, *rest)
        assert result.returncode == 0, result
    assert filecmp.cmp(path, again, shallow=False), "a restart changed the file"
    return path


# --- values ---

def bits(value):
    """A float by its bits, so that -0.0 and NaN are told apart from others."""
    return struct.pack("<d", value) if isinstance(value, float) else value


def expected(column):
    """Values as a reader of Parquet has them; floats by their bits."""
    if column.kind in LISTS:
        return [None if row is None else [bits(v) for v in (row if column.kind == "Array" else row.tolist())]
                for row in column.rows]
    if column.kind == "SparseFloatVector":
        return [None if row is None else {str(key): float(value) for key, value in row.items()} for row in column.rows]
    return [bits(row) for row in column.rows]


def found(column, values):
    if column.kind in LISTS:
        return [None if row is None else [bits(v) for v in row] for row in values]
    if column.kind == "SparseFloatVector":
        # as Milvus: a double, narrowed
        return [None if row is None else {key: float(numpy.float32(v)) for key, v in json.loads(row).items()}
                for row in values]
    return [bits(value) for value in values]


def compare(who, columns, names, values_of):
    assert names == [column.name for column in columns], (who, names)
    count = 0
    for number, column in enumerate(columns):
        want, got = expected(column), found(column, values_of(number))
        assert len(want) == len(got), (who, column.name, len(want), len(got))
        for row, (left, right) in enumerate(zip(want, got)):
            assert left == right, (who, column.name, row, left, right)
        count += len(want)
    return count


def check_values(path, columns):
    table = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True).read()
    count = compare("pyarrow", columns, table.column_names, lambda i: table.column(i).to_pylist())
    connection = duckdb.connect()
    relation = connection.execute("SELECT * FROM read_parquet(?, file_row_number = false)", [path])
    names = [entry[0] for entry in relation.description]
    rows = relation.fetchall()
    return count + compare("duckdb", columns, names, lambda i: [row[i] for row in rows])


def rows_of(column):
    """The bytes of each row in a batch, None where it is null."""
    _, offsets, values = column.buffers()
    count = len(column.rows)
    width = len(values) // count
    ends = numpy.frombuffer(offsets, "<u8").tolist() if offsets else range(0, len(values) + 1, width)
    return [None if row is None else values[ends[i]:ends[i + 1]] for i, row in enumerate(column.rows)]


def batches_of(path, columns):
    """What our own reader gives: for each column the bytes of its rows."""
    found = [[] for _ in columns]
    with open(path, "rb") as file:
        widths = [field["width"] for field in json.loads(file.readline())["fields"]]
        while head := file.readline():
            count = json.loads(head)["rows"]
            for number, width in enumerate(widths):
                valid = file.read(count)
                ends = range(0, count * width + 1, width or 1)
                if width == 0:
                    ends = numpy.frombuffer(file.read(8 * (count + 1)), "<u8").tolist()
                values = file.read(ends[count])
                found[number] += [values[ends[i]:ends[i + 1]] if valid[i] else None for i in range(count)]
    return found


def check_own_reader(folder, path, columns):
    """Written and read again, a batch is the same byte for byte."""
    dump = os.path.join(folder, "dump")
    fields = [f"{c.name}:{c.kind}:dim={c.dim}" + (f":element={c.element}" if c.element else "") +
              (":nullable" if c.nullable else "") + (":dynamic" if "d" in c.flags else "") for c in columns]
    done = subprocess.run([READER, "dump", dump, path, *fields], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    for column, got in zip(columns, batches_of(dump, columns)):
        assert rows_of(column) == got, ("our reader", column.name)
    return sum(len(column.rows) for column in columns)


# --- footer ---

def arrow_type(column):
    if column.kind == "Array":
        return f"list<element: {ARROW[column.element]} not null>"
    if column.kind in LISTS:
        return f"list<element: {ARROW[column.kind]} not null>"
    return ARROW.get(column.kind, "string")


def check_schema(file, columns):
    for field, column in zip(file.schema_arrow, columns):
        assert str(field.type) == arrow_type(column), (column.name, field.type)
        assert field.nullable == column.nullable, column.name
    for number, column in enumerate(columns):
        leaf = file.schema.column(number)
        kind = column.element if column.kind == "Array" else column.kind
        assert leaf.path == (f"{column.name}.list.element" if column.kind in LISTS else column.name), leaf.path
        assert leaf.max_repetition_level == (column.kind in LISTS), leaf
        assert leaf.max_definition_level == (column.kind in LISTS) + column.nullable, leaf
        logical = json.loads(leaf.logical_type.to_json())
        if ARROW.get(kind) in ("int8", "int16", "uint8"):
            width, signed = int(ARROW[kind].strip("uint")), ARROW[kind][0] == "i"
            assert logical == {"Type": "Int", "bitWidth": width, "isSigned": signed}, (column.name, logical)
            assert leaf.converted_type == ARROW[kind].upper().replace("INT", "INT_"), leaf
        elif ARROW.get(kind, "string") == "string":
            assert (logical["Type"], leaf.converted_type, leaf.physical_type) == ("String", "UTF8", "BYTE_ARRAY"), leaf
        else:
            assert logical["Type"] == "None" and leaf.converted_type == "NONE", (column.name, logical)
    return len(columns)


def bounds(column, rows):
    """min and max, or None: too long, or not kept for this type."""
    if column.kind in LISTS or column.kind in ("Text", "JSON", "Geometry", "SparseFloatVector"):
        return None
    values = [row for row in rows if row is not None and not (isinstance(row, float) and math.isnan(row))]
    if not values:
        return None
    low, high = (min(values), max(values)) if column.kind != "VarChar" else (
        min(values, key=str.encode), max(values, key=str.encode))
    return None if isinstance(low, str) and max(len(low.encode()), len(high.encode())) > 64 else (low, high)


def check_groups(file, path, columns, group):
    metadata, rows = file.metadata, len(columns[0].rows)
    assert metadata.num_rows == rows and metadata.num_row_groups == -(-rows // group), metadata
    assert metadata.created_by.startswith("mmresume "), metadata.created_by
    at = 4
    for number in range(metadata.num_row_groups):
        part = metadata.row_group(number)
        slice_ = slice(number * group, min(rows, (number + 1) * group))
        assert part.num_rows == slice_.stop - slice_.start
        assert part.total_byte_size == sum(part.column(i).total_uncompressed_size for i in range(part.num_columns))
        for i, column in enumerate(columns):
            chunk, values = part.column(i), column.rows[slice_]
            assert (chunk.dictionary_page_offset or chunk.data_page_offset) == at, (column.name, at)
            at += chunk.total_compressed_size
            levels = [1 if column.kind not in LISTS or row is None else max(1, len(row)) for row in values]
            assert chunk.num_values == sum(levels), (column.name, chunk.num_values, sum(levels))
            if "Vector" in column.kind and column.kind != "SparseFloatVector":
                assert chunk.compression == "UNCOMPRESSED", column.name
            if column.kind in LISTS:
                assert chunk.statistics is None
                continue
            assert chunk.statistics.null_count == sum(row is None for row in values), column.name
            want = bounds(column, values)
            assert chunk.statistics.has_min_max == (want is not None), (column.name, want)
            if want:
                assert (chunk.statistics.min, chunk.statistics.max) == want, (column.name, chunk.statistics, want)
    assert at + metadata.serialized_size + 8 == os.path.getsize(path), "the file has bytes that nobody knows of"
    return metadata.num_row_groups * len(columns)


def check_file(folder, columns, group):
    path = write(folder, columns, group)
    file = pyarrow.parquet.ParquetFile(path)
    return check_values(path, columns) + check_schema(file, columns) + check_groups(file, path, columns, group)


# --- cases ---

def pages_of_a_chunk(folder):
    """Several pages a chunk: full ones, and a shorter last one; texts and arrays that are cut by their size."""
    chooser, rows = seeded(1), 5000
    columns = [Column("id", "Int64", list(range(rows)), flags="p"),
               make_column(chooser, "v", "FloatVector", rows, dim=128, nulls=None),
               make_column(chooser, "n", "FloatVector", rows, dim=100, nulls=0.3),
               make_column(chooser, "b", "BinaryVector", rows, dim=8 * 500, nulls=None),
               make_column(chooser, "h", "Float16Vector", rows, dim=333, nulls=0.1),
               make_column(chooser, "t", "Text", rows, nulls=0.1), make_column(chooser, "j", "JSON", rows, nulls=None),
               make_column(chooser, "a", "Array", rows, element="Int64", nulls=0.1)]
    columns[5].rows[4000] = "large " * 500_000
    count = check_file(folder, columns, 4200)
    return count + check_file(folder, columns, 5000)


def special_floats(folder):
    values = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0]
    columns = [Column("id", "Int64", list(range(6)), flags="p"), Column("f", "Float", values),
               Column("d", "Double", values), Column("z", "Double", [0.0] * 6), Column("m", "Double", [math.nan] * 6),
               Column("v", "FloatVector", [numpy.array([value, 1], numpy.float32) for value in values], dim=2)]
    count = check_file(folder, columns, 100)
    chunk = pyarrow.parquet.ParquetFile(os.path.join(folder, "once.parquet")).metadata.row_group(0).column(3)
    assert (bits(chunk.statistics.min), bits(chunk.statistics.max)) == (bits(-0.0), bits(0.0))
    return count


def compression_where_it_pays(folder):
    chooser, rows = seeded(3), 3000
    columns = [Column("id", "Int64", list(range(rows)), flags="p"),
               Column("random", "Int64", [chooser.getrandbits(63) for _ in range(rows)]),
               Column("words", "VarChar", [chooser.choice(("alpha", "beta")) for _ in range(rows)])]
    check_file(folder, columns, rows)
    group = pyarrow.parquet.ParquetFile(os.path.join(folder, "once.parquet")).metadata.row_group(0)
    codecs = [group.column(i).compression for i in range(3)]
    assert codecs == ["ZSTD", "UNCOMPRESSED", "ZSTD"], codecs
    assert group.column(2).total_compressed_size * 10 < group.column(2).total_uncompressed_size
    return 3


def bytes_take_a_byte(folder):
    """uint8 and int8 have four bytes in Parquet's PLAIN; ours have one, and the page is the batch's own bytes."""
    chooser, rows = seeded(4), 400
    columns = [Column("id", "Int64", list(range(rows)), flags="p"),
               make_column(chooser, "i", "Int8Vector", rows, dim=1000, nulls=None)]
    path = write(folder, columns, rows)
    assert os.path.getsize(path) < 400 * 1000 * 1.02 + 8000, os.path.getsize(path)
    with open(path, "rb") as file:
        content = file.read()
    assert b"".join(row.tobytes() for row in columns[1].rows) in content
    assert numpy.arange(256, dtype=numpy.uint8).view(numpy.int8).astype("<i4").tobytes() in content, "the dictionary"
    return 3


def an_import_leaves_out_what_the_server_makes(folder):
    columns = [Column("key", "Int64", [1, 2], flags="pa"), Column("x", "Int32", [3, 4])]
    assert pyarrow.parquet.read_schema(write(folder, columns, 2)).names == ["key", "x"]
    assert pyarrow.parquet.read_schema(write(folder, columns, 2, "import")).names == ["x"]
    return 2


def no_rows(folder):
    count = 0
    for group in (1, 7):
        path = write(folder, [Column("id", "Int64", [], flags="p"), Column("v", "FloatVector", [], dim=4)], group)
        assert pyarrow.parquet.read_table(path).num_rows == 0
        assert duckdb.connect().execute("SELECT count(*) FROM read_parquet(?)", [path]).fetchone() == (0,)
        count += 1
    return count


def refused(folder):
    """What has no form ends with the field's name, never in a file."""
    cases = [(4, "x is not nullable and 1 rows", Column("x", "Int32", [1, None])),
             (4, "x, row 1 of the file: not UTF-8", Column("x", "VarChar", ["a", b"\xff"])),
             (4, "x, row 1 of the file: not UTF-8", Column("x", "JSON", ["{}", b"\xed\xa0\x80"])),
             (4, "x, row 0 of the file: not pairs", Column("x", "SparseFloatVector", [{1: math.nan}, {}])),
             (3, "x: a FloatVector of dim 0", Column("x", "FloatVector", [numpy.array([]), numpy.array([])])),
             (3, "x: a BinaryVector of dim 9", Column("x", "BinaryVector", [numpy.zeros(1, numpy.uint8)] * 2, dim=9)),
             (3, "x: a Array of such elements", Column("x", "Array", [None, None], element="JSON"))]
    wrong = Column("x", "Array", [[1], [2]], element="Int64")
    wrong.buffers = lambda: (b"", struct.pack("<3Q", 0, 5, 10), b"\x12\x03\x0a\x01\x05" * 2)
    cases.append((4, "x, row 0 of the file: not an Array", wrong))
    for status, text, column in cases:
        source = os.path.join(folder, "columns")
        write_columns(source, [column], 10)
        result = run("write", source, os.path.join(folder, "refused.parquet"), "general")
        assert result.returncode == status and text in result.stderr, (text, result)
    return len(cases)


def random_files(folder, seed):
    chooser = seeded(seed)
    count = 0
    for nulls in (None, 0.0, 0.5, 1.0):
        for rows, group in ((1, 1), (9, 4), (chooser.randrange(10, 400), chooser.randrange(5, 90))):
            columns = every_type(chooser, rows, nulls, dims=(1, 3, 7, 8, 16, chooser.randrange(17, 70)))
            count += check_file(folder, columns, group)
            count += check_own_reader(folder, os.path.join(folder, "once.parquet"), columns)
    return count


def main(seeds):
    assert len(ARRAY_ELEMENTS) == 8
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in (pages_of_a_chunk, special_floats, compression_where_it_pays, bytes_take_a_byte,
                     an_import_leaves_out_what_the_server_makes, no_rows, refused):
            count += case(folder)
        for seed in seeds:
            count += random_files(folder, seed)
    print(f"{count} values and facts compared")


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [1])
