"""What a target holds, as numpy arrays, and comparison with what it should hold, bit for bit.

Reads Milvus by gRPC with the reply's vectors taken from its bytes (pymilvus would make a Python list of
every vector), and the `files` target by its manifest. Knows nothing of mmresume.

Columns are numpy arrays: integers, floats, bool as they are; dense vectors rows × dim (rows × bytes for
BinaryVector, Float16Vector, BFloat16Vector); VarChar and JSON as object arrays of str and bytes."""

import io
import json
import os
import time
import urllib.parse

import numpy
import xxhash

_READ = 8192  # rows a query; the server's limit is 16384


class Different(AssertionError):
    """The target is not what it should be."""


def client(uri, token=""):
    from pymilvus import MilvusClient

    return MilvusClient(uri, token=token)


# counting


def count(milvus, collection, filter="", partitions=None):
    """Rows, copies counted, at Strong consistency."""
    reply = milvus.query(collection, filter=filter, output_fields=["count(*)"], partition_names=partitions,
                         consistency_level="Strong")
    return reply[0]["count(*)"]


def wait_countable(milvus, collection, timeout=120):
    """count(), waiting while the server says that it cannot yet (after a restart: up to a minute)."""
    from pymilvus import MilvusException
    import logging

    logger = logging.getLogger("pymilvus")
    level, end = logger.level, time.monotonic() + timeout
    logger.setLevel(logging.CRITICAL)
    try:
        while True:
            try:
                return count(milvus, collection)
            except MilvusException:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)
    finally:
        logger.setLevel(level)


# reading rows of Milvus


class _Raw:
    """Queries whose replies stay bytes."""

    def __init__(self, uri, token=""):
        import base64
        import grpc

        self._metadata = [("authorization", base64.b64encode(token.encode()).decode())] if token else None
        self._channel = grpc.insecure_channel(uri.split("://")[-1], options=[("grpc.max_receive_message_length", -1)])
        self._call = self._channel.unary_unary("/milvus.proto.milvus.MilvusService/Query",
                                               request_serializer=lambda request: request.SerializeToString(),
                                               response_deserializer=lambda data: data)

    def query(self, collection, expr, fields, partitions, database=""):
        from pymilvus.grpc_gen import common_pb2, milvus_pb2

        request = milvus_pb2.QueryRequest(db_name=database, collection_name=collection, expr=expr,
                                          output_fields=fields, partition_names=partitions or [],
                                          consistency_level=0, use_default_consistency=False)
        for key, value in (("limit", 16384), ("offset", 0)):
            request.query_params.append(common_pb2.KeyValuePair(key=key, value=str(value)))
        columns = {}
        for number, value in _fields(self._call(request, timeout=60, metadata=self._metadata)):
            if number == 1:
                status = common_pb2.Status.FromString(bytes(value))
                if status.code or status.error_code:
                    raise RuntimeError(f"query {collection} {expr[:80]}: {status.code} {status.reason}")
            elif number == 2:
                name, column = _column(value)
                columns[name] = column
        return columns

    def close(self):
        self._channel.close()


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data):
    """(number, value) of a protobuf message's top level; bytes as memoryview."""
    data, at = memoryview(data), 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        else:
            size, at = _varint(data, at) if kind == 2 else (8 if kind == 1 else 4, at)
            value, at = data[at:at + size], at + size
        yield tag >> 3, value


def _column(data):
    """FieldData: name and values."""
    from pymilvus.grpc_gen import schema_pb2

    name, vectors = "", None
    for number, value in _fields(data):
        if number == 2:
            name = bytes(value).decode()
        elif number == 4:
            vectors = value
    if vectors is not None:
        return name, _vectors(dict(_fields(vectors)))
    scalars = schema_pb2.FieldData.FromString(bytes(data)).scalars
    kind = scalars.WhichOneof("data")
    values = getattr(scalars, kind).data if kind else []
    types = {"bool_data": bool, "int_data": numpy.int32, "long_data": numpy.int64, "float_data": numpy.float32,
             "double_data": numpy.float64}
    return name, numpy.array(list(values), dtype=types.get(kind, object))


def _vectors(parts):
    dim = parts[1]
    if 2 in parts:  # FloatArray{data = 1, packed}
        flat = dict(_fields(parts[2])).get(1, b"")
        return numpy.frombuffer(flat, dtype="<f4").reshape(-1, dim)
    for number, kind, width in ((3, numpy.uint8, dim // 8), (4, numpy.uint8, dim * 2), (5, numpy.uint8, dim * 2),
                                (7, numpy.int8, dim)):
        if number in parts:
            return numpy.frombuffer(parts[number], dtype=kind).reshape(-1, width)
    raise NotImplementedError(f"vector slot {sorted(parts)}")


def fetch(uri, collection, keys, primary="id", fields=("*",), partitions=None, token="", database=""):
    """Every row whose primary key lies between the least and the greatest of `keys` (read in chunks
    of them: a reader sees one row for each key, whatever copies there are). dict of columns."""
    keys = numpy.unique(numpy.asarray(keys))
    raw, parts = _Raw(uri, token), []
    try:
        for start in range(0, len(keys), _READ):
            low = keys[start]
            last = start + _READ >= len(keys)
            upper = f"{primary} <= {_literal(keys[-1])}" if last else f"{primary} < {_literal(keys[start + _READ])}"
            parts.append(raw.query(collection, f"{primary} >= {_literal(low)} and {upper}", list(fields),
                                   partitions, database))
    finally:
        raw.close()
    names = parts[0].keys() if parts else []
    return {name: numpy.concatenate([part[name] for part in parts]) for name in names}


def _literal(key):
    return json.dumps(key) if isinstance(key, str) else str(int(key))


def check_milvus(uri, collection, expected, primary="id", partitions=None, token=""):
    """Raises Different unless the collection (or those partitions) holds exactly the rows of `expected`
    (dict of columns, distinct keys): the count with copies, every key, every value."""
    keys = numpy.asarray(expected[primary])
    order = numpy.argsort(keys, kind="stable")
    if len(keys) > 1 and (keys[order][1:] == keys[order][:-1]).any():
        raise ValueError("expected keys are not distinct")
    milvus = client(uri, token)
    try:
        rows = wait_countable(milvus, collection) if partitions is None else count(milvus, collection, "", partitions)
    finally:
        milvus.close()
    problems = []
    if rows != len(keys):
        problems.append(f"{rows} rows instead of {len(keys)}")
    if len(keys):
        got = fetch(uri, collection, keys, primary, list(expected), partitions, token)
        problems += _differences(expected, order, got, primary)
    if problems:
        raise Different(f"{collection}: " + "; ".join(problems))


def _differences(expected, order, got, primary):
    found = got.get(primary, numpy.array([]))
    lost = numpy.setdiff1d(expected[primary], found)
    extra = numpy.setdiff1d(found, expected[primary])
    problems = []
    if len(lost):
        problems.append(f"{len(lost)} keys lost, first {lost[:5].tolist()}")
    if len(extra):
        problems.append(f"{len(extra)} keys too many, first {extra[:5].tolist()}")
    if problems:
        return problems
    if len(found) != len(order):
        return [f"{len(found)} rows read for {len(order)} keys"]
    found_order = numpy.argsort(found, kind="stable")
    for name, column in expected.items():
        left = bits(numpy.asarray(column)[order])
        right = bits(got[name][found_order])
        if left.shape != right.shape:
            problems.append(f"{name}: {right.shape} instead of {left.shape}")
            continue
        wrong = numpy.flatnonzero((left != right).reshape(len(left), -1).any(axis=1))
        if len(wrong):
            keys = numpy.asarray(expected[primary])[order][wrong[:5]].tolist()
            problems.append(f"{name}: {len(wrong)} rows differ, first keys {keys}")
    return problems


def bits(column):
    """The column so that == compares bits (NaN equals itself, 0.0 differs from -0.0)."""
    column = numpy.ascontiguousarray(column)
    if column.dtype == object:
        return numpy.array([value.encode() if isinstance(value, str) else value for value in column], dtype=object)
    return column.view({1: numpy.uint8, 2: numpy.uint16, 4: numpy.uint32, 8: numpy.uint64}[column.dtype.itemsize])


# the target `files`


def read_files(folder, collection):
    """{partition: {field: array}} by the manifest, rows in the order of its units. Checks what the manifest
    says of each file (size, rows, checksum) and that no other file is there."""
    root = os.path.join(folder, quote(collection))
    with open(os.path.join(root, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    if manifest["collection"] != collection:
        raise Different(f"the manifest is of {manifest['collection']}")
    parts, listed = {}, {"manifest.json"}
    for entry in manifest["files"]:
        listed.add(entry["path"])
        unit, columns = read_entry(root, manifest, entry)
        parts.setdefault(entry["partition"], {}).setdefault(unit, {}).update(columns)
    there = {os.path.relpath(os.path.join(base, name), root) for base, _, files in os.walk(root) for name in files}
    if there != listed:
        raise Different(f"files that the manifest does not name: {sorted(there - listed)}; missing: {sorted(listed - there)}")
    fields = [field["name"] for field in manifest["schema"]["fields"]]
    return {partition: _join(units, fields) for partition, units in parts.items()}


def read_entry(root, manifest, entry, data=None):
    """(unit, {field: array}) of a file that a manifest names. data: its bytes, where it is not on this disk."""
    path = os.path.join(root, entry["path"])
    if data is None:
        with open(path, "rb") as file:
            data = file.read()
    _check_entry(path, data, entry)
    if "field" in entry:
        unit, columns = os.path.dirname(entry["path"]), {entry["field"]: numpy.load(io.BytesIO(data), allow_pickle=False)}
    elif manifest["format"] == "parquet":
        unit, columns = entry["path"], _parquet_columns(data)
    else:
        rows = json.loads(data)["rows"] if manifest["format"] == "json" else [json.loads(line) for line in data.splitlines()]
        unit, columns = entry["path"], _json_columns(rows, manifest["schema"]["fields"])
    for field, column in columns.items():
        if len(column) != entry["rows"]:
            raise Different(f"{path}: {field} has {len(column)} rows instead of {entry['rows']}")
    return unit, columns


def _parquet_columns(data):
    """Lists of numbers as rows × dim; texts as objects."""
    import pyarrow
    import pyarrow.parquet

    columns = {}
    table = pyarrow.parquet.read_table(io.BytesIO(data)).combine_chunks()
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pyarrow.types.is_list(column.type):
            columns[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
        elif pyarrow.types.is_string(column.type) or pyarrow.types.is_binary(column.type):
            columns[name] = numpy.array(column.to_pylist(), dtype=object)
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
    return columns


_JSON_TYPES = {"Bool": "?", "Int8": "i1", "Int16": "i2", "Int32": "i4", "Int64": "i8", "Float": "f4", "Double": "f8",
               "FloatVector": "f4", "BinaryVector": "u1", "Int8Vector": "i1"}


def _json_columns(rows, fields):
    return {field["name"]: numpy.array([row[field["name"]] for row in rows], dtype=_JSON_TYPES.get(field["type"], object))
            for field in fields}


def _check_entry(path, data, entry):
    if len(data) != entry["bytes"]:
        raise Different(f"{path}: {len(data)} bytes instead of {entry['bytes']}")
    checksum = xxhash.xxh3_64_hexdigest(data)
    if entry["checksum"] != checksum:
        raise Different(f"{path}: xxh3 {checksum} instead of {entry['checksum']}")


def _join(units, fields):
    for unit, columns in units.items():
        rows = {len(column) for column in columns.values()}
        if set(columns) != set(fields) or len(rows) != 1:
            raise Different(f"{unit}: fields {sorted(columns)} with {sorted(rows)} rows")
    ordered = [units[unit] for unit in sorted(units)]
    return {field: numpy.concatenate([unit[field] for unit in ordered]) for field in fields}


def read_lines(folder):
    """{collection: [object, …]} of a target folder, by the key where it is a number."""
    found = {}
    for collection in sorted(os.listdir(folder)):
        with open(os.path.join(folder, collection, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        rows = []
        for entry in manifest["files"]:
            with open(os.path.join(folder, collection, entry["path"]), encoding="utf-8") as file:
                rows += [{**json.loads(line), "": entry["partition"]} for line in file]
        assert len(rows) == manifest["rows"]
        key = next(field["name"] for field in manifest["schema"]["fields"] if field.get("primary"))
        found[collection] = sorted(rows, key=lambda row: row[key])
    return found


def quote(name):
    """A name as a file name: percent-encoded but for letters, digits, '_', '-' and inner '.'."""
    safe = "".join(char if char in _SAFE else "".join(f"%{byte:02X}" for byte in char.encode()) for char in name)
    return "%2E" + safe[1:] if safe.startswith(".") else safe


_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."


def unquote(name):
    return urllib.parse.unquote(name)


def rows_as_bytes(columns, fields=None):
    """Each row of the columns as one fixed-size byte string, sorted: a multiset that == compares."""
    fields = sorted(columns) if fields is None else fields
    parts = []
    for name in fields:
        column = numpy.ascontiguousarray(columns[name])
        if column.dtype == object or column.dtype.kind in "SU":
            column = numpy.array([value.encode() if isinstance(value, str) else bytes(value) for value in column])
            longest = max(column.dtype.itemsize, 1)
            column = column.astype(f"S{longest}")
        parts.append(column.reshape(len(column), -1).view(numpy.uint8).reshape(len(column), -1))
    table = numpy.ascontiguousarray(numpy.concatenate(parts, axis=1))
    return numpy.sort(table.view(f"V{table.shape[1]}").reshape(-1)) if len(table) else table


def check_files(folder, collection, expected):
    """Raises Different unless the folder holds exactly the rows of `expected` (dict of columns, or dict of
    partition → dict of columns), as multisets of rows."""
    if not isinstance(next(iter(expected.values())), dict):
        expected = {"_default": expected}
    got = read_files(folder, collection)
    if set(got) != {name for name, columns in expected.items() if len(next(iter(columns.values())))}:
        raise Different(f"{collection}: partitions {sorted(got)} instead of {sorted(expected)}")
    for partition, columns in got.items():
        _check_multiset(f"{collection}/{partition}", columns, expected[partition])


def _check_multiset(name, got, expected):
    if set(got) != set(expected):
        raise Different(f"{name}: fields {sorted(got)} instead of {sorted(expected)}")
    for field in expected:
        left, right = numpy.asarray(expected[field]), got[field]
        if left.dtype.kind not in "OSU" and (left.dtype != right.dtype or left.shape[1:] != right.shape[1:]):
            raise Different(f"{name}: {field} is {right.dtype}{right.shape[1:]} instead of {left.dtype}{left.shape[1:]}")
    left, right = rows_as_bytes(expected), rows_as_bytes(got)
    if len(left) != len(right):
        raise Different(f"{name}: {len(right)} rows instead of {len(left)}")
    if len(left) and not numpy.array_equal(left, right):
        lost = len(numpy.setdiff1d(left, right))
        raise Different(f"{name}: rows differ; {lost} distinct rows are missing")
