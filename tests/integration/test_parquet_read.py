"""Parquet files that pyarrow, DuckDB and pymilvus wrote are read as pyarrow reads them: every encoding, compression,
page version and form of lists, nulls, parts in any order; what is not read is refused by name and byte."""

import decimal
import json
import os
import shutil
import struct
import sys
import tempfile

import duckdb
import numpy
import pyarrow
import pyarrow.parquet

import parquet_files as files
from parquet_files import Refused, check, dump, write

CODECS = ["none", "snappy", "gzip", "zstd", "lz4"]


def refused(path, *arguments, says, byte=True):
    try:
        dump(path, *arguments)
    except Refused as refusal:
        text = str(refusal)
        assert text.startswith("DATA: "), text
        assert all(word in text for word in says), f"{says} not in: {text}"
        assert path in text and (not byte or ": byte " in text), text
        return text
    raise AssertionError(f"{path} was read, not refused ({says})")


# what pyarrow writes


def every_compression_and_page_version(folder):
    table = files.everything(700)
    for codec in CODECS:
        for pages in ("1.0", "2.0"):
            for dictionary in (True, False):
                path = write(folder, f"{codec}-{pages}-{dictionary}", table, compression=codec, data_page_version=pages,
                             use_dictionary=dictionary, data_page_size=1500, row_group_size=299, write_batch_size=61,
                             write_page_checksum=dictionary, version="1.0" if codec == "gzip" else "2.6")
                check(path)


def every_encoding(folder):
    table = files.everything(900)
    integers = [n for n in table.column_names if "int32" in n or "int64" in n or n in ("id", "date", "timestamp")]
    numbers = [n for n in table.column_names if n.removeprefix("q_") in ("float", "double", "half", "int32", "int64")]
    texts = ["text", "q_text", "large_text", "all_null", "list_text"]
    leaf = {n: n + ".list.element" for n in table.column_names if n.startswith("list_")}
    cases = {
        "DELTA_BINARY_PACKED": integers,
        "BYTE_STREAM_SPLIT": numbers + ["decimal", "vector", "double_vector"],
        "DELTA_LENGTH_BYTE_ARRAY": texts,
        "DELTA_BYTE_ARRAY": texts + ["decimal", "half"],
        "PLAIN": table.column_names,
        "RLE": ["bool", "q_bool", "list_bool"],
    }
    leaf |= {"vector": "vector.list.element", "double_vector": "double_vector.list.element"}
    for encoding, names in cases.items():
        for pages in ("1.0", "2.0"):
            path = write(folder, f"{encoding}-{pages}", table, use_dictionary=False, data_page_version=pages,
                         column_encoding={leaf.get(n, n): encoding for n in names}, data_page_size=3000,
                         row_group_size=400)
            used = {e for g in range(2) for c in range(60) for e in column_encodings(path, g, c)}
            assert encoding in used, used
            check(path)


def every_option_of_the_writer(folder):
    table = files.everything(800)
    options = [{"write_page_index": True, "data_page_size": 1000}, {"store_decimal_as_integer": True},
               {"use_compliant_nested_type": False}, {"coerce_timestamps": "ms", "allow_truncated_timestamps": True},
               {"flavor": "spark", "use_deprecated_int96_timestamps": False}, {"write_statistics": False},
               {"max_rows_per_page": 50}]
    for i, option in enumerate(options):
        path = write(folder, f"option{i}", table, **option)
        check(path)
        check(path, "part_bytes=30000", "from=3", "backwards=1", skipped=True)


def column_encodings(path, group, column):
    meta = pyarrow.parquet.ParquetFile(path).metadata.row_group(group)
    return meta.column(column).encodings if column < meta.num_columns else ()


def a_dictionary_that_overflows(folder):
    n = 20000
    table = pyarrow.table({"id": pyarrow.array(range(n)), "text": pyarrow.array([f"value {i % 9000}" for i in range(n)]),
                           "x": pyarrow.array(numpy.arange(n) % 7000 + 0.5)})
    path = write(folder, "overflow", table, dictionary_pagesize_limit=20000, data_page_size=4096)
    assert {"RLE_DICTIONARY", "PLAIN"} <= set(column_encodings(path, 0, 1))
    check(path)
    check(path, "part_bytes=50000", "from=777", skipped=True)


def empty_files_and_many_row_groups(folder):
    table = files.everything(120)
    rows = check(write(folder, "empty", table.slice(0, 0)))
    assert rows.head["parts"] == []
    rows = check(write(folder, "groups", table, row_group_size=1))
    assert len(rows.head["parts"]) == 1, "tiny row groups belong into one part"
    check(write(folder, "groups2", table, row_group_size=1), "max_rows=7", "part_bytes=4000", "backwards=1")
    path = os.path.join(folder, "holes.parquet")
    with pyarrow.parquet.ParquetWriter(path, table.schema) as writer:
        for piece in (table.slice(0, 0), table.slice(0, 50), table.slice(0, 0), table.slice(50), table.slice(0, 0)):
            writer.write_table(piece)
    check(path)


def parts_in_any_order_and_from_any_row(folder):
    table = files.everything(3000)
    vector = numpy.random.default_rng(3).standard_normal((3000, 40)).astype("f4")
    table = table.append_column("wide", pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vector.ravel()), 40))
    for pages in ("1.0", "2.0"):
        path = write(folder, f"parts-{pages}", table, data_page_version=pages, data_page_size=2000, row_group_size=1700,
                     compression="snappy")
        rows = check(path, "part_bytes=60000", "backwards=1")
        assert len(rows.head["parts"]) > 10
        for start in (1, 13, 97, 160):
            check(path, "part_bytes=300000", f"from={start}", "backwards=1", skipped=True)
        check(path, "max_rows=1")
        check(path, "max_bytes=1")
        check(path, "max_rows=1000000000", "max_bytes=1000000000", "part_bytes=1000000000")


# schemas


def vectors_in_all_their_forms(folder):
    n, rng = 500, numpy.random.default_rng(5)
    codes = rng.integers(0, 256, (n, 16)).astype("u1")
    signed = rng.integers(-128, 128, (n, 16)).astype("i1")
    half = rng.standard_normal((n, 8)).astype("f2")
    table = pyarrow.table({
        "bytes": pyarrow.array(codes.tolist(), pyarrow.list_(pyarrow.uint8())),
        "fixed": pyarrow.array([bytes(r) for r in codes], pyarrow.binary(16)),
        "binary": pyarrow.array([bytes(r) for r in codes], pyarrow.binary()),
        "signed": pyarrow.array(signed.tolist(), pyarrow.list_(pyarrow.int8())),
        "half": pyarrow.array(list(half), pyarrow.list_(pyarrow.float16())),
        "double": pyarrow.array(rng.standard_normal((n, 4)).tolist(), pyarrow.list_(pyarrow.float64())),
        "whole": pyarrow.array(rng.integers(-9, 9, (n, 4)).tolist(), pyarrow.list_(pyarrow.int64())),
        "null_bytes": pyarrow.array([None if i % 5 == 0 else bytes(r) for i, r in enumerate(codes)], pyarrow.binary(16)),
        "null_vector": pyarrow.array([None if i % 5 == 0 else r.tolist() for i, r in enumerate(codes)],
                                     pyarrow.list_(pyarrow.uint8())),
    })
    for options in ({}, {"use_dictionary": False, "data_page_version": "2.0", "data_page_size": 700},
                    {"use_dictionary": False, "column_encoding": {"fixed": "DELTA_BYTE_ARRAY", "binary": "DELTA_BYTE_ARRAY"}}):
        path = write(folder, "vectors", table, **options)
        for name in ("bytes", "fixed", "binary"):
            for kind, dim in (("BinaryVector", 128), ("Float16Vector", 8), ("BFloat16Vector", 8)):
                check(path, f"{name}:{kind}:dim={dim}")
        for name in ("fixed", "binary"):
            check(path, f"{name}:FloatVector:dim=4")
            check(path, f"{name}:Int8Vector:dim=16", "part_bytes=2000", "from=3", skipped=True)
        check(path, "signed:Int8Vector:dim=16", "half:Float16Vector:dim=8", "double:FloatVector:dim=4",
              "whole:FloatVector:dim=4")
        check(path, "null_bytes:BinaryVector:dim=128:nullable", "null_vector:BinaryVector:dim=128:nullable",
              "part_bytes=5000", "from=2", skipped=True)
        refused(path, "null_bytes:BinaryVector:dim=128", says=["'null_bytes', row 0", "not nullable"])
        refused(path, "null_vector:BinaryVector:dim=128", says=["'null_vector', row 0", "not nullable"])
        refused(path, "fixed:BinaryVector:dim=64", says=["'fixed'", "FIXED_LEN_BYTE_ARRAY", "BinaryVector"])
        refused(path, "binary:BinaryVector:dim=64", says=["'binary'", "16 bytes, not 8"])
        refused(path, "bytes:BinaryVector:dim=64", says=["'bytes', row 0", "elements"])
        refused(path, "signed:BinaryVector:dim=128", says=["'signed', row", "out of the field's range"])
        refused(path, says=["'fixed'", "give its type"])


def numbers_that_fit_and_that_do_not(folder):
    n = 300
    table = pyarrow.table({
        "small": pyarrow.array(numpy.arange(n) % 100, pyarrow.int64()),
        "late": pyarrow.array([300 if i == 211 else 1 for i in range(n)], pyarrow.int64()),
        "late_null": pyarrow.array([None if i % 3 == 0 else 300 if i == 211 else 1 for i in range(n)], pyarrow.int64()),
        "float": pyarrow.array(numpy.arange(n) / 4, pyarrow.float32()),
        "third": pyarrow.array(numpy.arange(n) / 3, pyarrow.float64()),
        "big": pyarrow.array([2**53 + 1] * n, pyarrow.int64()),
        "huge": pyarrow.array([2**63 + 5] * n, pyarrow.uint64()),
        "far": pyarrow.array([[1e300, 1.0]] * n, pyarrow.list_(pyarrow.float64())),
    })
    path = write(folder, "numbers", table)
    check(path, "small:Int8", "float:Double", "third:Double", "late:Int16")
    check(path, "small:Float")
    check(path, "small:Double")
    refused(path, "late:Int8", says=["'late', row 211", "range"])
    refused(path, "late_null:Int8:nullable", says=["'late_null', row 211", "range"])
    refused(path, "late_null:Int64", says=["'late_null', row 0", "not nullable"])
    refused(path, "third:Float", says=["'third', row 1", "exactly"])
    refused(path, "big:Double", says=["'big', row 0", "exactly"])
    refused(path, "huge:Int64", says=["'huge', row 0", "range"])
    refused(path, "far:FloatVector:dim=2", says=["'far', row 0", "range"])
    refused(path, "small:Bool", says=["'small'", "INT64", "Bool"])
    refused(path, "small:VarChar", says=["'small'", "INT64", "VarChar"])
    refused(path, "nowhere:Int64", says=["no column 'nowhere'"])
    rows = files.Rows(dump(path, "nowhere:Int64:nullable", "nowhere_vector:FloatVector:dim=3:nullable",
                           "nowhere_text:VarChar:nullable", "$meta:JSON:dynamic"))
    assert rows.columns["nowhere"] == rows.columns["nowhere_vector"] == rows.columns["nowhere_text"] == [None] * n
    assert rows.columns["$meta"] == ["{}"] * n


def text_json_and_sparse_vectors(folder):
    n = 400
    sparse = [json.dumps({str(k): k / 8 for k in range(i % 7, 0, -1)}) for i in range(n)]
    table = pyarrow.table({
        "sparse": pyarrow.array(sparse), "q_sparse": pyarrow.array([s if i % 3 else None for i, s in enumerate(sparse)]),
        "json": pyarrow.array(['{"a": %d}' % i for i in range(n)]),
        "$meta": pyarrow.array(['{"b": %d}' % i for i in range(n)]),
        "plain": pyarrow.array([b"bytes %d" % i for i in range(n)], pyarrow.binary()),
        "no_utf8": pyarrow.array([b"\xc0\x80" if i == 37 else b"fine" for i in range(n)], pyarrow.binary()),
        "list_no_utf8": pyarrow.array([[b"fine"] * 3, [b"a", b"\xff"]] + [[]] * (n - 2), pyarrow.list_(pyarrow.binary())),
        "no_sparse": pyarrow.array(['{"1": 2, "1": 3}' if i == 21 else "{}" for i in range(n)]),
    })
    path = write(folder, "text", table)
    check(path, "sparse:SparseFloatVector", "q_sparse:SparseFloatVector:nullable", "json:JSON", "$meta:JSON:dynamic",
          "plain:VarChar")
    refused(path, "no_utf8:VarChar", says=["'no_utf8', row 37", "UTF-8"])
    refused(path, "list_no_utf8:Array:element=VarChar", says=["'list_no_utf8', row 1", "UTF-8"])
    refused(path, "no_sparse:SparseFloatVector", says=["'no_sparse', row 21", "sparse", "twice"])
    refused(path, "json:SparseFloatVector", says=["'json', row 0", "sparse"])
    refused(path, says=["'plain'", "BYTE_ARRAY", "give its type"])
    rows = files.Rows(dump(write(folder, "meta", table.select(["$meta", "json"]))))
    assert rows.fields["$meta"]["dynamic"] and rows.fields["$meta"]["type"] == "JSON"
    assert rows.fields["json"]["type"] == "VarChar" and rows.fields["json"]["max_length"] == 65535


def inferred_types(folder):
    rows = check(write(folder, "inferred", files.everything(400), row_group_size=150))
    kinds = {name: (f["type"], f["dim"], f["element"], f["nullable"]) for name, f in rows.fields.items()}
    wanted = {"id": ("Int64", 0, "", False), "bool": ("Bool", 0, "", False), "int8": ("Int8", 0, "", False),
              "uint8": ("Int16", 0, "", False), "uint32": ("Int64", 0, "", False), "half": ("Float", 0, "", False),
              "q_int16": ("Int16", 0, "", True), "text": ("VarChar", 0, "", False), "q_text": ("VarChar", 0, "", True),
              "timestamp": ("Int64", 0, "", False), "decimal": ("Int64", 0, "", False),
              "vector": ("FloatVector", 12, "", False), "double_vector": ("FloatVector", 3, "", False),
              "half_vector": ("Float16Vector", 4, "", False), "q_vector": ("FloatVector", 12, "", True),
              "list_int32": ("Array", 0, "Int32", True), "list_text": ("Array", 0, "VarChar", True),
              "list_float": ("Array", 0, "Float", True)}
    assert {k: kinds[k] for k in wanted} == wanted, {k: kinds[k] for k in wanted if kinds[k] != wanted[k]}
    # a length that changes behind the first row group makes an Array
    table = pyarrow.table({"v": pyarrow.array([[1.0, 2.0]] * 10 + [[3.0]] * 10, pyarrow.list_(pyarrow.float32()))})
    rows = check(write(folder, "changes", table, row_group_size=10))
    assert rows.fields["v"]["type"] == "Array"


# what is not read


def refused_by_name(folder):
    from datetime import datetime

    n = 50
    columns = {
        "a_struct": (pyarrow.array([{"x": i} for i in range(n)]), {}, ["struct", "JSON"]),
        "a_map": (pyarrow.array([[("k", i)] for i in range(n)], pyarrow.map_(pyarrow.string(), pyarrow.int32())), {}, ["map"]),
        "lists": (pyarrow.array([[[1], [2]]] * n), {}, ["list of lists or structs"]),
        "structs": (pyarrow.array([[{"x": 1}]] * n), {}, ["list of lists or structs"]),
        "money": (pyarrow.array([decimal.Decimal("1.25")] * n), {}, ["DECIMAL", "DOUBLE"]),
        "wide": (pyarrow.array([decimal.Decimal(10**25)] * n), {}, ["DECIMAL", "18 digits"]),
        "old_time": (pyarrow.array([datetime(2020, 1, 1)] * n), {"use_deprecated_int96_timestamps": True}, ["INT96", "TIMESTAMP"]),
        "brotli": (pyarrow.array(range(n)), {"compression": "brotli"}, ["BROTLI", "ZSTD"]),
    }
    for name, (values, options, says) in columns.items():
        path = write(folder, name, pyarrow.table({"id": pyarrow.array(range(n)), name: values}), **options)
        refused(path, says=[*says, "id" if name == "brotli" else f"'{name}'"])
        if name != "brotli":
            check(path, "id:Int64")  # a column that nobody asks for is no reason to refuse


def lists_that_are_no_vectors(folder):
    cases = [([1.0, 2.0], "2 elements, not 3"), ([1.0] * 4, "more than 3 elements"), ([], "0 elements, not 3"),
             ([1.0, None, 2.0], "null among the elements")]
    for pages in ("1.0", "2.0"):
        for wrong, says in cases:
            for at in (431, 449):  # in a part of 50 rows, and the last one of it
                rows = [[1.0, 2.0, 3.0]] * 600
                rows[at] = wrong
                table = pyarrow.table({"v": pyarrow.array(rows, pyarrow.list_(pyarrow.float32()))})
                path = write(folder, "ragged", table, data_page_version=pages, data_page_size=500, use_dictionary=False)
                refused(path, "v:FloatVector:dim=3", says=[f"'v', row {at}", says])
                refused(path, "v:FloatVector:dim=3", "part_bytes=600", "backwards=1", says=[f"'v', row {at}", says])
    path = write(folder, "null_element", pyarrow.table({"a": pyarrow.array([[1], [1, None]])}))
    refused(path, says=["'a', row 1", "null among the elements"])


def checksums(folder):
    table = pyarrow.table({"id": pyarrow.array(range(2000)), "x": pyarrow.array(numpy.random.default_rng(1).random(2000))})
    for pages in ("1.0", "2.0"):
        path = write(folder, "sums", table, write_page_checksum=True, use_dictionary=["id"], compression="none",
                     data_page_version=pages)
        check(path)
        column = pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(1)
        with open(path, "rb") as file:
            data = bytearray(file.read())
        data[column.data_page_offset + 500] ^= 4
        with open(path, "wb") as file:
            file.write(data)
        refused(path, says=["column 'x'", "checksum (CRC-32)"])


# lists in the forms of old writers, made by hand


def thrift(value):
    """A struct {field number: value} of Thrift's compact protocol; int: i32, ("i64", n), bytes, list, dict."""

    def varint(n):
        out = b""
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n])

    def zigzag(n):
        return varint(n << 1 if n >= 0 else (-n << 1) - 1)

    def body(v):
        if isinstance(v, dict):
            return 12, thrift(v)
        if isinstance(v, bytes):
            return 8, varint(len(v)) + v
        if isinstance(v, tuple):
            return 6, zigzag(v[1])
        if isinstance(v, list):
            kinds = [body(x) for x in v]
            head = bytes([min(len(v), 15) << 4 | (kinds[0][0] if kinds else 12)]) + (varint(len(v)) if len(v) > 14 else b"")
            return 9, head + b"".join(b for _, b in kinds)
        return 5, zigzag(v)

    out, last = b"", 0
    for number, v in sorted(value.items()):
        kind, data = body(v)
        out += bytes([(number - last) << 4 | kind]) + data
        last = number
    return out + b"\0"


def levels(values):
    """Levels of one bit as one bit-packed run."""
    groups = (len(values) + 7) // 8
    bits = sum(v << i for i, v in enumerate(values))
    run = bytes([groups << 1 | 1]) + bits.to_bytes(groups, "little")
    return struct.pack("<I", len(run)) + run


def old_lists(folder):
    """Two-level lists and bare repeated fields: [5, 6], [], [7]."""
    repetition, definition = [0, 1, 0, 0], [1, 1, 0, 1]
    page = levels(repetition) + levels(definition) + struct.pack("<3i", 5, 6, 7)
    head = thrift({1: 0, 2: len(page), 3: len(page), 5: {1: 4, 2: 0, 3: 3, 4: 3}})
    forms = {
        "two_levels": [{4: b"root", 5: 1}, {3: 0, 4: b"a", 5: 1, 6: 3}, {1: 1, 3: 2, 4: b"element"}],
        "bare": [{4: b"root", 5: 1}, {1: 1, 3: 2, 4: b"a"}],
    }
    for name, schema in forms.items():
        path = [b"a", b"element"] if name == "two_levels" else [b"a"]
        meta = {1: 1, 2: [0, 3], 3: path, 4: 0, 5: ("", 4), 6: ("", len(head + page)), 7: ("", len(head + page)), 9: ("", 4)}
        group = {1: [{2: ("", 4), 3: meta}], 2: ("", len(head + page)), 3: ("", 3)}
        footer = thrift({1: 1, 2: schema, 3: ("", 3), 4: [group]})
        file = os.path.join(folder, name + ".parquet")
        with open(file, "wb") as out:
            out.write(b"PAR1" + head + page + footer + struct.pack("<I", len(footer)) + b"PAR1")
        rows = check(file)
        assert rows.columns["a"] == [[5, 6], [], [7]]


# other writers


def duckdb_files(folder):
    connection = duckdb.connect()
    connection.execute("""create table t as select i::bigint as id, (i % 100)::tinyint as tiny, (i * 2)::usmallint as us,
        i::double / 7 as d, (i / 3)::float as f, i % 2 = 0 as b, case when i % 7 = 0 then null else 'text ' || i end as s,
        repeat('ab', (i % 50)::int) as r, date '2020-01-01' + (i % 1000)::int as day,
        timestamp '2020-01-01' + interval (i) second as ts, (i * 1.0)::decimal(18, 0) as dec, uuid() as u,
        [i::float, (i + 1)::float, (i / 3)::float] as v, [i::double, 2.5, i / 7.0] as dv,
        ['w' || x for x in range(i % 5)] as words, range(i % 4) as numbers,
        array_value(i::float, 1.5::float, 2.5::float, 3.5::float) as fixed
        from range(30000) r(i)""")
    options = ["compression zstd", "compression snappy, row_group_size 5000", "compression uncompressed, parquet_version v2",
               "compression gzip, parquet_version v2, row_group_size 4096", "compression lz4_raw"]
    for i, option in enumerate(options):
        path = os.path.join(folder, f"duck{i}.parquet")
        connection.execute(f"copy t to '{path}' (format parquet, {option})")
        rows = check(path)
        assert {n: rows.fields[n]["type"] for n in ("v", "fixed", "u", "words", "dec")} == {
            "v": "FloatVector", "fixed": "FloatVector", "u": "VarChar", "words": "Array", "dec": "Int64"}
        check(path, "part_bytes=300000", "from=1001", "backwards=1", skipped=True)
    path = os.path.join(folder, "blob.parquet")
    connection.execute(f"copy (select id, encode(s) as blob from t where s is not null) to '{path}' (format parquet)")
    check(path, "id:Int64", "blob:VarChar")


def pymilvus_bulk_writer(folder):
    from pymilvus import CollectionSchema, DataType, FieldSchema
    from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter

    schema = CollectionSchema([
        FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("b", DataType.BOOL),
        FieldSchema("i8", DataType.INT8), FieldSchema("i16", DataType.INT16), FieldSchema("f", DataType.FLOAT),
        FieldSchema("d", DataType.DOUBLE), FieldSchema("s", DataType.VARCHAR, max_length=200),
        FieldSchema("j", DataType.JSON), FieldSchema("v", DataType.FLOAT_VECTOR, dim=8),
        FieldSchema("bin", DataType.BINARY_VECTOR, dim=16), FieldSchema("h", DataType.FLOAT16_VECTOR, dim=8),
        FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR),
        FieldSchema("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=10, max_length=50),
        FieldSchema("nums", DataType.ARRAY, element_type=DataType.INT64, max_capacity=10),
        FieldSchema("q", DataType.INT32, nullable=True),
    ], enable_dynamic_field=True)
    rng = numpy.random.default_rng(9)
    writer = LocalBulkWriter(schema=schema, local_path=os.path.join(folder, "bulk"), file_type=BulkFileType.PARQUET)
    for i in range(2000):
        writer.append_row({
            "id": i, "b": i % 3 == 0, "i8": i % 100, "i16": -i, "f": i / 4, "d": i / 3, "s": f"text {i}", "j": {"k": i},
            "v": rng.standard_normal(8).astype("f4"), "bin": rng.bytes(2),
            "h": rng.standard_normal(8).astype("f2"), "sparse": {int(k): k / 16 for k in range(1, i % 9 + 2)},
            "tags": [f"t{k}" for k in range(i % 4)], "nums": list(range(i % 5)), "q": None if i % 5 == 0 else i,
            "extra": i * 2})
    writer.commit()
    paths = [p for batch in writer.batch_files for p in batch]
    assert paths
    fields = ["id:Int64:primary", "b:Bool", "i8:Int8", "i16:Int16", "f:Float", "d:Double", "s:VarChar", "j:JSON",
              "v:FloatVector:dim=8", "bin:BinaryVector:dim=16", "h:Float16Vector:dim=8", "sparse:SparseFloatVector",
              "tags:Array:element=VarChar", "nums:Array:element=Int64", "q:Int32:nullable", "$meta:JSON:dynamic"]
    total = 0
    for path in paths:
        rows = check(path, *fields)
        total += rows.head["rows"]
        assert rows.columns["tags"][3] == ["t0", "t1", "t2"] and json.loads(rows.columns["$meta"][7]) == {"extra": 14}
    assert total == 2000


TESTS = [every_compression_and_page_version, every_encoding, every_option_of_the_writer,
         a_dictionary_that_overflows, empty_files_and_many_row_groups,
         parts_in_any_order_and_from_any_row, vectors_in_all_their_forms, numbers_that_fit_and_that_do_not,
         text_json_and_sparse_vectors, inferred_types, refused_by_name, lists_that_are_no_vectors, checksums, old_lists,
         duckdb_files, pymilvus_bulk_writer]


def main():
    passed = 0
    for test in TESTS:
        if len(sys.argv) > 1 and test.__name__ not in sys.argv[1:]:
            continue
        folder = tempfile.mkdtemp(prefix="mmresume-parquet-")
        try:
            test(folder)
        finally:
            shutil.rmtree(folder)
        print("ok", test.__name__, flush=True)
        passed += 1
    print(f"{passed} passed")


if __name__ == "__main__":
    sys.exit(main())
