"""Files of rows as sources: arrays saved by NumPy, JSON written by Python, Parquet written by pyarrow, dumps of this
program. They go through whole jobs, verified in full, into files of lines of JSON, which Python reads: every value of
every row is compared with what was saved. Some go into Milvus Lite, read back by gRPC."""

import io
import json
import os
import shutil
import sys

import numpy
import pyarrow
import pyarrow.parquet

import jobs
import object_servers
import oracle
import servers
from jobs import CONFIG, DATA
from oracle import read_lines as lines

ROWS = 700


class Tables(jobs.Jobs):
    """Jobs from a folder of files into lines of JSON."""

    def move(self, name, driver, path, code=jobs.DONE, words=(), form="jsonl", job=None, **source):
        """Runs a job; what arrived, as a list of objects by collection. words: of the error."""
        file = self.job(name, path, {"driver": "files", "path": self.path(name + ".out"), "format": form, "file_size": "1MiB"},
                        source={"driver": driver, "path": path, **source}, verify="full",
                        **{"duplicates": "refuse", **(job or {})})
        ended = self.call("run", file, code=code)
        for word in words:
            assert word in ended.err, f"{word!r} is not said:\n{ended.err}"
        return lines(self.path(name + ".out")) if code == jobs.DONE and form == "jsonl" else None


def only(found):
    assert len(found) == 1, found.keys()
    return next(iter(found.values()))


def same(rows, columns):
    """Every value of every row. Floats are compared as the bits of their column's type."""
    assert len(rows) == len(next(iter(columns.values()))), f"{len(rows)} rows"
    for number, row in enumerate(rows):
        assert set(row) - {""} == set(columns), row.keys()
        for name, column in columns.items():
            want, got = column[number], row[name]
            if isinstance(want, numpy.ndarray):
                assert numpy.array(got, dtype=want.dtype).tobytes() == want.tobytes(), (number, name, got, want)
            elif isinstance(want, numpy.floating):
                assert numpy.array(got, dtype=want.dtype).tobytes() == want.tobytes(), (number, name, got, want)
            else:
                want = want.item() if isinstance(want, numpy.generic) else want
                assert type(got) is type(want) and got == want, (number, name, got, want)


# NumPy


def arrays():
    """Arrays of every element type that Milvus imports; what they are in Milvus by themselves."""
    random = numpy.random.default_rng(7)
    columns = {"id": numpy.arange(ROWS, dtype="i8") * 3 - 900}
    for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4"):
        info = numpy.iinfo(kind)
        columns[kind] = random.integers(info.min, info.max, ROWS, dtype=kind, endpoint=True)
        columns[kind][:2] = info.min, info.max
    columns["u8"] = random.integers(0, 2**63 - 1, ROWS, dtype="u8")
    columns["b1"] = random.integers(0, 2, ROWS).astype(bool)
    for kind in ("f2", "f4", "f8"):
        columns[kind] = random.standard_normal(ROWS).astype(kind)
        columns[kind][:4] = 0.0, -0.0, numpy.finfo(kind).max, numpy.finfo(kind).smallest_subnormal
    columns["S"] = numpy.array([f"b{i}" * (i % 5) for i in range(ROWS)], dtype="S")
    columns["U"] = numpy.array(["añ€😀"[: i % 5] + str(i) for i in range(ROWS)])
    for kind in ("f4", "f8", "f2"):
        columns["vector_" + kind] = random.standard_normal((ROWS, 6)).astype(kind)
    columns["vector_u1"] = random.integers(0, 256, (ROWS, 4), dtype="u1")
    columns["vector_i1"] = random.integers(-128, 128, (ROWS, 5), dtype="i1")
    return columns


def save(folder, columns, change=lambda array: array):
    os.makedirs(folder)
    for name, column in columns.items():
        numpy.save(os.path.join(folder, name + ".npy"), change(column))


def as_it_arrives(name, column):
    """What Milvus's type makes of an array."""
    if name == "S":
        return [text.decode() for text in column]
    if name == "f2":
        return column.astype("f4")
    if name in ("vector_f8", "vector_f2"):
        return column.astype("f4")
    return column


def every_element_type_of_numpy_arrives_bit_for_bit(work):
    columns = arrays()
    want = {name: as_it_arrives(name, column) for name, column in columns.items()}
    for name, change in (("little", lambda a: a.astype(a.dtype.newbyteorder("<"))),
                         ("big", lambda a: a.astype(a.dtype.newbyteorder(">"))),
                         ("fortran", numpy.asfortranarray)):
        save(work.path(name), columns, change)
        got = work.move(name, "npy", "./" + name, extent_bytes="8KiB")
        assert list(got) == [name]
        same(got[name], want)


def arrays_become_the_types_that_the_job_says(work):
    random = numpy.random.default_rng(3)
    columns = {"id": numpy.arange(ROWS, dtype="i4"), "half": random.standard_normal((ROWS, 4)).astype("f2").view("u1"),
               "brain": (random.standard_normal((ROWS, 4)).astype("f4").view("u4") >> 16).astype("u2").view("u1"),
               "json": numpy.array([json.dumps({"a": [i, "é"]}) for i in range(ROWS)]), "wide": numpy.arange(ROWS, dtype="u1"),
               "real": random.standard_normal(ROWS).astype("f4")}
    columns["half"] = columns["half"].reshape(ROWS, 8)
    columns["brain"] = columns["brain"].reshape(ROWS, 8)
    save(work.path("said"), columns)
    schema = ["id Int64 primary", "half Float16Vector(4)", "brain BFloat16Vector(4)", "json JSON", "wide Int64", "real Double"]
    got = only(work.move("said", "npy", "./said", schema=schema))
    brain = (columns["brain"].view("u2").astype("u4") << 16).view("f4").reshape(ROWS, 4)
    same(got, {"id": columns["id"].astype("i8"), "half": columns["half"].view("f2").astype("f4"), "brain": brain,
               "json": [json.loads(text) for text in columns["json"]], "wide": columns["wide"].astype("i8"),
               "real": columns["real"].astype("f8")})


def an_array_alone_gets_numbered_ids_and_shards_follow_each_other(work):
    vectors = jobs.floats(ROWS, 5)
    numpy.save(work.path("alone.npy"), numpy.asfortranarray(vectors.astype("f8")))
    got = work.move("alone", "npy", "./alone.npy", start_id=-5, id_field="key", extent_bytes="2KiB")
    same(got["alone"], {"key": numpy.arange(ROWS) - 5, "vector": vectors})
    os.makedirs(work.path("shards", "deeper"))
    for number, place in enumerate(("a.npy", "deeper/b.npy", "z.npy")):
        numpy.save(work.path("shards", place), vectors[number * 200: number * 200 + 200])
    with open(work.path("shards", "readme.txt"), "w", encoding="ascii") as file:
        file.write("not an array")
    got = work.move("shards", "npy", "./shards", layout="shards", vector_field="embedding", partition_by="folder",
                    collection="mine", extent_bytes="3KiB")
    same(got["mine"], {"id": numpy.arange(600), "embedding": vectors[:600]})
    assert {row[""] for row in got["mine"][200:400]} == {"deeper"}
    assert {row[""] for row in got["mine"][:200] + got["mine"][400:]} == {"_default"}


def an_array_that_does_not_fit_is_named(work):
    vectors = jobs.floats(10, 4)

    def refused(name, arrays, words, code=DATA, cut=None, **source):
        save(work.path(name), arrays)
        if cut is not None:
            path = work.path(name, "v.npy")
            with open(path, "rb") as file:
                data = file.read()
            with open(path, "wb") as file:
                file.write(data[:cut] if cut < 0 else data + bytes(cut))
        work.move(name, "npy", "./" + name, code=code, words=words, **source)

    ids = numpy.arange(10)
    refused("short", {"id": ids[:9], "v": vectors}, ("v.npy: 10 rows, and", "id.npy has 9"))
    refused("cube", {"id": ids, "v": vectors.reshape(10, 2, 2)}, ("v.npy: an array of 3 dimensions",))
    refused("complex", {"id": ids, "v": vectors.astype("c8")}, ("v.npy: c8 of 4 columns cannot become field v",))
    refused("object", {"id": ids, "v": numpy.array([None] * 10)}, ("v.npy: npy header: dtype that is not a plain",))
    refused("cut", {"id": ids, "v": vectors}, ("v.npy: byte 287: the file ends here, its header says 288 bytes",), cut=-1)
    refused("long", {"id": ids, "v": vectors}, ("v.npy: byte 288: the file goes on here",), cut=3)
    refused("range", {"id": ids, "v": vectors, "n": numpy.array([2**63] * 10, dtype="u8")},
            ("n.npy: byte 128: row 0 of field n: out of the field's range",))
    refused("latin", {"id": ids, "v": vectors, "t": numpy.array([b"\xe9"] * 10)}, ("row 0 of field t: not UTF-8",))
    refused("dim", {"id": ids, "v": vectors}, ("4 columns cannot become field v, a FloatVector of dim 5",),
            schema=["id Int64 primary", "v FloatVector(5)"])
    refused("lossy", {"id": ids, "v": vectors, "r": numpy.array([0.1] * 10)}, ("field r: a double that is no float exactly",),
            schema=["id Int64", "v FloatVector(4)", "r Float"])
    refused("huge", {"id": ids, "v": numpy.full((10, 4), 1e39)}, ("field v: beyond the range of a float",))
    refused("nokey", {"key": ids.astype("f4"), "v": vectors}, ("the primary key `key` is a Float",), code=CONFIG, id_field="key")


# JSON


SCHEMA = ["id Int64 primary", "flag Bool", "small Int8", "real Float nullable", "double Double", "text VarChar(200) nullable",
          "json JSON", "list Array(Int32, 20)", "words Array(VarChar)", "v FloatVector(4)", "bits BinaryVector(16)",
          "half Float16Vector(2)", "sparse SparseFloatVector", "bytes Int8Vector(3)"]


def objects(rows=ROWS, seed=5):
    random = numpy.random.default_rng(seed)
    for i in range(rows):
        sparse = {str(key): float(numpy.float32(random.random())) for key in sorted(random.choice(2**32 - 1, i % 4, replace=False))}
        yield {"id": i * 7 - 1000, "flag": bool(i % 2), "small": int(random.integers(-128, 128)),
               "real": None if i % 5 == 0 else float(numpy.float32(random.standard_normal())),
               "double": float(random.standard_normal()) * 10.0 ** int(random.integers(-300, 300)),
               "text": None if i % 7 == 0 else "\"é😀\\\n\t\u0001"[: i % 9] + str(i),
               "json": {"n": i, "s": "ü\n", "deep": [1.5, {"a": None}, True]},
               "list": [int(n) for n in random.integers(-2**31, 2**31, i % 6)], "words": ["a\"é", "", "😀"][: i % 4],
               "v": [float(n) for n in random.standard_normal(4).astype("f4")],
               "bits": [int(n) for n in random.integers(0, 256, 2)],
               "half": [float(n) for n in random.standard_normal(2).astype("f2")],
               "sparse": sparse if i % 2 else {"indices": [int(key) for key in reversed(sparse)], "values": list(reversed(sparse.values()))},
               "bytes": [int(n) for n in random.integers(-128, 128, 3)]}


def plain(row):
    """A row with sparse vectors in one form, JSON as what it means, floats as the floats that their texts mean."""
    row = {key: value for key, value in row.items() if key != ""}
    if isinstance(row["json"], str):  # with line ends in it
        row["json"] = json.loads(row["json"])
    if "indices" in row["sparse"]:
        row["sparse"] = {str(key): value for key, value in sorted(zip(row["sparse"]["indices"], row["sparse"]["values"]))}
    row["v"], row["half"] = ([float(numpy.float32(number)) for number in row[name]] for name in ("v", "half"))
    row["sparse"] = {key: float(numpy.float32(value)) for key, value in row["sparse"].items()}
    row["real"] = None if row["real"] is None else float(numpy.float32(row["real"]))
    return row


def alike(got, want):
    assert len(got) == len(want)
    for left, right in zip(map(plain, got), want):
        for key in right:
            assert left[key] == right[key], (right["id"], key, left[key], right[key])
        assert len(left) == len(right)


def json_in_every_form_arrives_value_for_value(work):
    rows = list(objects())
    want = [plain(row) for row in rows]

    def write(name, head, between, tail, **how):
        with open(work.path(name), "w", encoding="utf-8", newline="") as file:
            file.write(head + between.join(json.dumps(row, **how) for row in rows) + tail)
        got = only(work.move(name.replace(".", "-"), "jsonl", "./" + name, schema=SCHEMA, extent_bytes="20KiB"))
        alike(got, want)

    write("lines.jsonl", "", "\n", "")
    write("unix.ndjson", "\n\n", "\n \n", "\n", ensure_ascii=False)
    write("dos.jsonl", "", "\r\n", "\r\n", separators=(",", ":"))
    write("rows.json", '{"rows": [', ",\n", "]}\n", indent=2)
    write("list.json", "[", ",", "]")


def what_was_written_is_read_again(work):
    """Lines into each format and back: the same rows at the end."""
    rows = [plain(row) for row in objects(300)]
    with open(work.path("first.jsonl"), "w", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, rows)))
    for form in ("json", "jsonl", "parquet"):
        work.move("to-" + form, "jsonl", "./first.jsonl", form=form, schema=SCHEMA)
        got = only(work.move("from-" + form, "dump", f"./to-{form}.out"))
        alike(got, rows)


def types_are_told_from_the_rows(work):
    rows = [{"id": i, "v": [i, 0.5], "t": str(i), "o": {"a": i}, "l": ["x"] * (i % 3), "d": i / 4} for i in range(100)]
    with open(work.path("told.jsonl"), "w", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, rows)))
    got = only(work.move("told", "jsonl", "./told.jsonl"))
    assert [{key: value for key, value in row.items() if key} for row in got] == rows
    said = work.call("inspect", work.path("told.jsonl")).out
    for line in ("format: jsonl", "rows: 100", "field: v FloatVector(2)", "field: l Array(VarChar)", "field: d Double"):
        assert line in said, said


def a_mistake_in_json_names_file_line_and_byte(work):
    def refused(name, text, words, code=DATA, **source):
        with open(work.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        work.move(name.replace(".", "-"), "jsonl", "./" + name, code=code, words=words, **source)

    good = '{"id":1,"v":[1,2]}\n'
    schema = ["id Int64 primary", "v FloatVector(2)"]
    refused("nan.jsonl", good * 3 + '{"id":4,"v":[NaN,1]}\n', ("nan.jsonl: line 4, byte 70: field v: a value is wanted, not 'N'",), schema=schema)
    refused("unknown.jsonl", good + '{"id":2,"w":[1,2]}', ("line 2, byte 31: unknown key `w`",), schema=schema)
    refused("missing.jsonl", good * 2 + '{"id":2}', ("line 3, byte 38: the row has no `v`",), schema=schema)
    refused("twice.jsonl", good + '{"id":2,"id":3,"v":[1,2]}', ("key `id` stands there twice",))
    refused("empty.jsonl", "", ("there is no row",))
    refused("key.jsonl", good.replace("id", "key"), ("there is no field `id` among key, v", "source.number_rows"), code=CONFIG)
    refused("schema.jsonl", good, ("`v FloatVector`: a vector needs its dimension",), code=CONFIG, schema=["id Int64", "v FloatVector"])
    refused("cut.json", '{"rows":[' + good.strip(), ("cut.json: line 1, byte 27: the file ends before the rows are closed",), schema=schema)
    got = only(work.move("numbered", "jsonl", "./key.jsonl", number_rows=True, start_id=10))
    assert [row["id"] for row in got] == [10]


# Parquet


def parquet_files_and_folders_arrive(work):
    columns = {"id": numpy.arange(ROWS, dtype="i8"), "v": jobs.floats(ROWS, 4), "n": numpy.arange(ROWS, dtype="i4") * 5,
               "t": [f"é{i}" for i in range(ROWS)], "d": numpy.random.default_rng(1).standard_normal(ROWS)}
    table = pyarrow.table({"id": columns["id"], "v": pyarrow.FixedSizeListArray.from_arrays(columns["v"].reshape(-1), 4),
                           "n": columns["n"], "t": columns["t"], "d": columns["d"]})
    pyarrow.parquet.write_table(table, work.path("one.parquet"), row_group_size=90)
    got = work.move("one", "parquet", "./one.parquet", extent_bytes="1KiB")
    assert list(got) == ["one"]
    same(got["one"], columns)
    for number, place in enumerate(("2024/a.parquet", "2024/b.parquet", "2025/c.parquet")):
        os.makedirs(os.path.dirname(work.path("years", place)), exist_ok=True)
        pyarrow.parquet.write_table(table.slice(number * 200, 200), work.path("years", place))
    got = work.move("years", "parquet", "./years", partition_by="folder")
    same(got["years"], {name: column[:600] for name, column in columns.items()})
    assert [row[""] for row in got["years"]] == ["2024"] * 400 + ["2025"] * 200
    got = work.move("chosen", "parquet", ["./years/2025/c.parquet", "./years/2024/b.parquet"], collection="chosen")
    same(got["chosen"], {name: column[200:600] for name, column in columns.items()})


# dumps


def dumps_bring_back_collections_partitions_and_schemas(work):
    for number, name in enumerate(("left", "right")):
        for place in ("p1", "p2"):
            os.makedirs(work.path(name, place))
            numpy.save(work.path(name, place, "id.npy"), numpy.arange(50, dtype="i8") + (1000 if place == "p2" else 0))
            numpy.save(work.path(name, place, "v.npy"), jobs.floats(50, 3, seed=number))
        file = work.job("dump-" + name, "./" + name, {"driver": "files", "path": work.path("dumped"), "format": "npy", "file_size": "1KiB"},
                        source={"driver": "npy", "partition_by": "folder"}, verify="full")
        work.call("run", file)
    got = work.move("back", "dump", "./dumped")
    assert list(got) == ["left", "right"]
    for number, name in enumerate(got):
        vectors = numpy.concatenate([jobs.floats(50, 3, seed=number)] * 2)
        same(got[name], {"id": numpy.concatenate([numpy.arange(50), numpy.arange(50) + 1000]), "v": vectors})
        assert [row[""] for row in got[name]] == ["p1"] * 50 + ["p2"] * 50
    got = work.move("part", "npy", "./dumped/right", extent_bytes="1KiB")
    assert list(got) == ["right"] and len(got["right"]) == 100


def a_dump_that_was_damaged_is_refused(work):
    numpy.save(work.path("whole.npy"), jobs.floats(100, 3))
    work.move("damage", "npy", "./whole.npy", form="npy")
    root = work.path("damage.out", "whole")
    with open(os.path.join(root, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    victim = os.path.join(root, next(entry["path"] for entry in manifest["files"] if entry["path"].endswith("vector.npy")))
    with open(victim, "rb") as file:
        data = file.read()

    def refused(name, change, words, **source):
        change()
        work.move(name, "dump", "./damage.out", code=DATA, words=words, **source)
        with open(victim, "wb") as file:
            file.write(data)

    def put(bytes_):
        with open(victim, "wb") as file:
            file.write(bytes_)

    refused("flip", lambda: put(data[:-1] + bytes([data[-1] ^ 1])), ("vector.npy: its checksum is", "the manifest says"))
    refused("size", lambda: put(data + b"x"), (f"vector.npy: {len(data) + 1} bytes; the manifest says {len(data)}",))
    refused("gone", lambda: os.unlink(victim), ("the manifest names it, and it is not there",))
    put(data[:-1] + bytes([data[-1] ^ 1]))  # who does not want the files read twice
    work.move("trusting", "dump", "./damage.out", checksums=False)
    put(data)
    work.move("wrong", "parquet", "./damage.out", code=CONFIG, words=("its files are npy; set source.driver: npy",))
    os.unlink(os.path.join(root, "manifest.json"))
    work.move("none", "dump", "./damage.out", code=CONFIG, words=("no manifest.json is there",))


# changes


def files_that_change_are_noticed(work):
    """Between a kill and its resume: a file more, another content of the same size."""
    for name, change in (("more", lambda folder: shutil.copy(folder + "/a.jsonl", folder + "/c.jsonl")),
                         ("other", lambda folder: os.replace(folder + ".b", folder + "/b.jsonl"))):
        folder = work.path(name)
        os.makedirs(folder)
        for stem in "ab":
            with open(f"{folder}/{stem}.jsonl", "w", encoding="ascii") as file:
                file.writelines(f'{{"id":{i + 1000 * (stem == "b")},"v":[1,{i}]}}\n' for i in range(1000))
        with open(folder + ".b", "w", encoding="ascii") as file:
            file.writelines(f'{{"id":{i + 1000},"v":[2,{i}]}}\n' for i in range(1000))
        job = work.job("changed-" + name, "./" + name, {"driver": "files", "path": work.path(name + ".out"), "format": "jsonl"},
                       source={"driver": "jsonl", "extent_bytes": "4KiB"})
        work.call("run", job, failpoint="store.apply.before_commit:3:kill", code=jobs.KILLED)
        change(folder)
        work.fails(CONFIG, "files=2 bytes=", "resume", "changed-" + name)


# Milvus Lite


def rows_of_files_arrive_in_milvus(work, server):
    vectors = jobs.floats(ROWS, 8)
    numpy.save(work.path("lite_npy.npy"), vectors.astype(">f4"))
    with open(work.path("lite_jsonl.jsonl"), "w", encoding="ascii") as file:
        file.writelines(json.dumps({"id": i, "vector": vectors[i].tolist()}) + "\n" for i in range(ROWS))
    pyarrow.parquet.write_table(pyarrow.table({"id": numpy.arange(ROWS), "vector": list(vectors)}), work.path("lite_parquet.parquet"))
    for driver in ("npy", "jsonl", "parquet"):
        file = work.job("lite-" + driver, f"./lite_{driver}.{driver}", {"driver": "milvus", "endpoint": server.uri},
                        source={"driver": driver, "extent_bytes": "4KiB"}, verify="full")
        work.call("run", file)
        work.ended("lite-" + driver, rows_done=ROWS)
        oracle.check_milvus(server.uri, "lite_" + driver, jobs.rows(range(ROWS), vectors))


# object stores


def files_in_an_object_store_arrive(work, store):
    """Objects of every format, and a dump that was made there."""
    boto = store.client()
    boto.create_bucket(Bucket="tables")
    vectors = jobs.floats(ROWS, 8)
    want = {"id": numpy.arange(ROWS), "vector": vectors}

    def send(key, data):
        boto.put_object(Bucket="tables", Key=key, Body=data)

    for name, array in want.items():
        out = io.BytesIO()
        numpy.save(out, array)
        send(f"arrays/{name}.npy", out.getvalue())
    text = "".join(json.dumps({"id": i, "vector": vectors[i].tolist()}) + "\n" for i in range(ROWS))
    middle = text.index("\n", len(text) // 2) + 1
    send("lines/a b.jsonl", text[:middle].encode())
    send("lines/c.jsonl", text[middle:].encode())
    send("lines/.hidden.jsonl", b"no JSON")
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"id": want["id"], "vector": list(vectors)}), out, row_group_size=100)
    send("one.parquet", out.getvalue())
    for driver, path in (("npy", "arrays/"), ("jsonl", "lines"), ("parquet", "one.parquet")):
        got = work.move("s3-" + driver, driver, "s3://tables/" + path, extent_bytes="4KiB", **store.options())
        same(only(got), want)
    file = work.job("s3-dump", "s3://tables/lines", {"driver": "files", "path": "s3://tables/dump", "format": "parquet", **store.options()},
                    source={"driver": "jsonl", **store.options()}, verify="full")
    work.call("run", file)
    got = work.move("s3-back", "dump", "s3://tables/dump", **store.options())
    same(only(got), want)
    send("lines/c.jsonl", text[middle:].encode() + b"{}")
    work.move("s3-bad", "jsonl", "s3://tables/lines", code=DATA, words=("s3://tables/lines/c.jsonl: line", "the row has no `id`"),
              schema=["id Int64", "vector FloatVector(8)"], **store.options())


# Milvus


def lines_of_json_are_imported_by_milvus(work, server):
    """What the writer of `json` makes is what the bulk import of Milvus 2.3.5 takes: through whole jobs."""
    rows = [{"id": i * 3 - 50, "flag": i % 2 == 0, "small": i % 100 - 50, "real": float(numpy.float32(i / 7)), "text": f"é\"{i}\n",
             "json": {"n": i, "s": ["ü", None]}, "v": [float(x) for x in jobs.floats(1, 6, seed=i)[0]]} for i in range(ROWS)]
    with open(work.path("imported.jsonl"), "w", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, rows)))
    schema = ["id Int64 primary", "flag Bool", "small Int8", "real Float", "text VarChar(100)", "json JSON", "v FloatVector(6)"]
    file = work.job("imported", "./imported.jsonl", {"driver": "milvus", "endpoint": server.uri, "transfer": "import", "format": "json",
                                                     "staging": work.path("staging"), "file_size": "64KiB"},
                    source={"driver": "jsonl", "schema": schema}, verify="full")
    work.call("run", file)
    work.ended("imported", rows_done=ROWS)
    milvus = oracle.client(server.uri)
    found = {row["id"]: row for row in milvus.query("imported", filter="id > -1000", output_fields=["*"], limit=16384)}
    milvus.close()
    assert len(found) == ROWS
    for row in rows:
        got = found[row["id"]]
        for key, value in row.items():
            same_value = numpy.array_equal(numpy.array(got[key], "f4"), numpy.array(value, "f4")) if key in ("v", "real") else got[key] == value
            assert same_value, (row["id"], key, got[key], value)


def a_dump_is_loaded_without_its_source(work, server):
    """`dump` on one machine, `load` on another: the files are imported as they lie."""
    vectors = jobs.floats(ROWS, 8, seed=9)
    for place in ("p1", "p2"):
        os.makedirs(work.path("carried", place))
        half = slice(0, ROWS // 2) if place == "p1" else slice(ROWS // 2, ROWS)
        numpy.save(work.path("carried", place, "id.npy"), numpy.arange(ROWS)[half])
        numpy.save(work.path("carried", place, "vector.npy"), vectors[half])
    file = work.job("carried", "./carried", {"driver": "milvus", "endpoint": server.uri, "transfer": "import", "format": "parquet",
                                             "staging": work.path("carried.staged"), "file_size": "64KiB"},
                    source={"driver": "npy", "partition_by": "folder"}, verify="full")
    work.call("dump", file)
    shutil.rmtree(work.path("carried"))
    work.call("load", file)
    work.ended("carried-load", rows_done=ROWS)
    for number, place in enumerate(("p1", "p2")):
        half = slice(number * (ROWS // 2), ROWS // 2 if number == 0 else ROWS)
        oracle.check_milvus(server.uri, "carried", jobs.rows(numpy.arange(ROWS)[half], vectors[half]), partitions=[place])


CHECKS = [
    every_element_type_of_numpy_arrives_bit_for_bit,
    arrays_become_the_types_that_the_job_says,
    an_array_alone_gets_numbered_ids_and_shards_follow_each_other,
    an_array_that_does_not_fit_is_named,
    json_in_every_form_arrives_value_for_value,
    what_was_written_is_read_again,
    types_are_told_from_the_rows,
    a_mistake_in_json_names_file_line_and_byte,
    parquet_files_and_folders_arrive,
    dumps_bring_back_collections_partitions_and_schemas,
    a_dump_that_was_damaged_is_refused,
    files_that_change_are_noticed,
]


def main():
    servers.private_network()
    with Tables() as work:
        failed = jobs.run_checks(CHECKS, work)
        for kind, checks in ((object_servers.VersityGw, [files_in_an_object_store_arrive]),
                             (servers.MilvusLite, [rows_of_files_arrive_in_milvus]),
                             (servers.MilvusStandalone, [lines_of_json_are_imported_by_milvus,
                                                         a_dump_is_loaded_without_its_source])):
            with kind() as server:
                failed = jobs.run_checks(checks, work, server) or failed
        return failed


if __name__ == "__main__":
    sys.exit(main())
