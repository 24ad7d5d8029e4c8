"""Parquet files that we write, imported by a real Milvus standalone 2.3.5: every type that it knows, a file with
several row groups and pages, and every value queried back.

2.3.5 has one vector field a collection, neither nulls nor sparse vectors, and no Float16Vector from Parquet: those are
compared by test_parquet_write.py only."""

import json
import os
import subprocess
import sys
import tempfile
import time

import numpy

import servers
from columns import ARRAY_ELEMENTS, Column, make_column, seeded, write_columns

BUILD = os.environ.get("MM_BUILD", "build/dev")
TOOL = os.path.join(BUILD, "tests", "parquet_tool")
ROWS, GROUP, PAGE = 3000, 1300, 500
SCALARS = ("Bool", "Int8", "Int16", "Int32", "Int64", "Float", "Double", "VarChar", "JSON")


def data_type(name):
    from pymilvus import DataType

    return {"Bool": DataType.BOOL, "Int8": DataType.INT8, "Int16": DataType.INT16, "Int32": DataType.INT32,
            "Int64": DataType.INT64, "Float": DataType.FLOAT, "Double": DataType.DOUBLE, "VarChar": DataType.VARCHAR,
            "JSON": DataType.JSON, "Array": DataType.ARRAY, "FloatVector": DataType.FLOAT_VECTOR,
            "BinaryVector": DataType.BINARY_VECTOR, "Float16Vector": DataType.FLOAT16_VECTOR}[name]


def create(client, name, columns):
    dynamic = any("d" in column.flags for column in columns)
    schema = client.create_schema(auto_id="a" in columns[0].flags, enable_dynamic_field=dynamic)
    for column in columns:
        if "d" in column.flags:
            continue
        more = {"dim": column.dim} if column.dim else {}
        if column.kind == "VarChar" or column.element == "VarChar":
            more["max_length"] = 200
        if column.kind == "Array":
            more.update(element_type=data_type(column.element), max_capacity=64)
        schema.add_field(column.name, data_type(column.kind), is_primary="p" in column.flags, **more)
    vector = next(column for column in columns if "Vector" in column.kind)
    index = client.prepare_index_params()
    if vector.kind == "BinaryVector":
        index.add_index(vector.name, index_type="BIN_FLAT", metric_type="HAMMING")
    else:
        index.add_index(vector.name, index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)


class Refused(Exception):
    pass


def bulk_insert(client, name, path):
    from pymilvus import utility

    task = utility.do_bulk_insert(name, [path])
    end = time.monotonic() + 120
    while time.monotonic() < end:
        state = utility.get_bulk_insert_state(task)
        if state.state_name in ("Failed", "Failed and cleaned"):
            raise Refused(state.failed_reason)
        if state.state_name == "Completed":
            assert state.row_count == ROWS, state
            return
        time.sleep(0.5)
    raise TimeoutError(str(state))


def wait_for_rows(client, name):
    """Imported rows become visible after a while, or by a refresh."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        count = client.query(name, "", output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"]
        if count >= ROWS:
            assert count == ROWS, count
            return
        client.refresh_load(name)
        time.sleep(1)
    raise TimeoutError(f"{count} rows")


def imported(server, client, folder, name, columns):
    """Writes, imports; the rows by their number."""
    source, path = os.path.join(folder, "columns"), os.path.join(folder, name + ".parquet")
    write_columns(source, columns, GROUP)
    subprocess.run([TOOL, "write", source, path, "import"], check=True, timeout=60)
    create(client, name, columns)
    bulk_insert(client, name, path)
    wait_for_rows(client, name)
    found = {}
    for first in range(0, ROWS, PAGE):
        for row in client.query(name, f"n >= {first} and n < {first + PAGE}", output_fields=["*"],
                                consistency_level="Strong"):
            assert row["n"] not in found, row["n"]
            found[row["n"]] = row
    assert sorted(found) == list(range(ROWS))
    client.drop_collection(name)
    return found


def same(column, want, got):
    if column.kind == "FloatVector":
        return numpy.array_equal(numpy.array(got, numpy.float32).view("u4"), want.view("u4"))
    if "Vector" in column.kind:
        got = got[0] if isinstance(got, list) and len(got) == 1 and isinstance(got[0], bytes) else got
        return (got if isinstance(got, bytes) else numpy.asarray(got).tobytes()) == want.tobytes()
    if column.kind == "JSON":
        return (json.loads(got) if isinstance(got, (str, bytes)) else got) == json.loads(want)
    if column.kind == "Array":
        return list(got) == want
    return got == want


def compare(columns, found):
    count = 0
    for column in columns:
        if "a" in column.flags:
            continue
        for number, want in enumerate(column.rows):
            row = found[number]
            if "d" in column.flags:
                for key, value in json.loads(want).items():
                    assert row[key] == value, (number, key, row[key], value)
            else:
                assert same(column, want, row[column.name]), (column.name, number, want, row[column.name])
            count += 1
    return count


def every_scalar(server, client, folder):
    chooser = seeded(11)
    columns = [Column("n", "Int64", list(range(ROWS)), flags="p")]
    columns += [make_column(chooser, kind.lower(), kind, ROWS, nulls=None, max_length=200) for kind in SCALARS]
    columns += [make_column(chooser, f"array_{kind.lower()}", "Array", ROWS, element=kind, nulls=None)
                for kind in ARRAY_ELEMENTS]
    columns.append(make_column(chooser, "v", "FloatVector", ROWS, dim=300, nulls=None))
    columns.append(Column("$meta", "JSON", [json.dumps({"extra": i, "word": f"w{i}"}) for i in range(ROWS)], flags="d"))
    return compare(columns, imported(server, client, folder, "scalars", columns))


def each_vector(server, client, folder):
    chooser, count = seeded(12), 0
    for kind, dim in (("FloatVector", 3), ("BinaryVector", 64)):
        columns = [Column("n", "Int64", list(range(ROWS)), flags="p"),
                   make_column(chooser, "v", kind, ROWS, dim=dim, nulls=None)]
        count += compare(columns, imported(server, client, folder, kind.lower(), columns))
    return count


def float16_has_no_form_for_2_3(server, client, folder):
    """It takes list<float16> only, which Parquet's readers of its time never gave: docs/formats.md says so."""
    columns = [Column("n", "Int64", list(range(ROWS)), flags="p"),
               make_column(seeded(14), "v", "Float16Vector", ROWS, dim=8, nulls=None)]
    try:
        imported(server, client, folder, "half", columns)
    except Refused as refused:
        assert "Float16Vector, file field dataType:list" in str(refused), refused
        return 1
    raise AssertionError("2.3.5 takes Float16Vector: the documentation is wrong")


def keys_that_the_server_makes(server, client, folder):
    columns = [Column("key", "Int64", [0] * ROWS, flags="pa"), Column("n", "Int64", list(range(ROWS))),
               make_column(seeded(13), "v", "FloatVector", ROWS, dim=8, nulls=None)]
    return compare(columns, imported(server, client, folder, "made", columns))


def main():
    from pymilvus import MilvusClient, connections

    servers.private_network()
    count = 0
    with servers.MilvusStandalone() as server, tempfile.TemporaryDirectory() as folder:
        connections.connect(uri=server.uri)
        client = MilvusClient(server.uri)
        for case in (every_scalar, each_vector, float16_has_no_form_for_2_3, keys_that_the_server_makes):
            count += case(server, client, folder)
    print(f"{count} values imported and compared")


if __name__ == "__main__":
    sys.exit(main())
