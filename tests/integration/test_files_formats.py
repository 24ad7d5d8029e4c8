"""Jobs that write every format with every type, and read it again by the manifest: on a local disk and in an object
store, killed and resumed on the way. What arrives in the end is compared value by value with what pyarrow wrote first,
read by pyarrow, NumPy and json."""

import glob
import json
import os
import shutil
import signal
import sys
import time

import numpy
import pyarrow
import pyarrow.parquet

import jobs
import object_servers
import oracle
from jobs import CONFIG, DATA, INTERRUPTED, KILLED

ROWS, DIM = 3000, 8
BUCKET = "bucket"


def make_table():
    """Every kind of column that JSON and Parquet have both, with nulls, empty texts and lists."""
    seed = numpy.random.default_rng(5)
    texts = ["", "plain", "zwei\nZeilen", "\"quoted\" \\ back", "日本語 🙂", "x" * 300]
    return pyarrow.table({
        "id": pyarrow.array(numpy.arange(ROWS) * 7 - 5, pyarrow.int64()),
        "flag": pyarrow.array([None if i % 11 == 0 else i % 3 == 0 for i in range(ROWS)], pyarrow.bool_()),
        "small": pyarrow.array([i % 255 - 127 for i in range(ROWS)], pyarrow.int8()),
        "middle": pyarrow.array([None if i % 5 == 0 else i * 10 - 9000 for i in range(ROWS)], pyarrow.int16()),
        "number": pyarrow.array(seed.integers(-2**31, 2**31, ROWS), pyarrow.int32()),
        "single": pyarrow.array(seed.standard_normal(ROWS, dtype="f4")),
        "double": pyarrow.array([None if i % 13 == 0 else value for i, value in enumerate(seed.standard_normal(ROWS) * 1e200)]),
        "text": pyarrow.array([None if i % 7 == 0 else texts[i % len(texts)] for i in range(ROWS)], pyarrow.string()),
        "tags": pyarrow.array([[i - k for k in range(i % 4)] for i in range(ROWS)], pyarrow.list_(pyarrow.int64())),
        "words": pyarrow.array([[texts[(i + k) % len(texts)] for k in range(i % 3)] for i in range(ROWS)],
                               pyarrow.list_(pyarrow.string())),
        "vector": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(seed.standard_normal(ROWS * DIM, dtype="f4")), DIM),
    })




class Formats(jobs.Jobs):
    def __init__(self, server):
        super().__init__()
        self.server, self.boto = server, server.client()
        self.boto.create_bucket(Bucket=BUCKET)
        self.table = make_table()
        pyarrow.parquet.write_table(self.table, self.path("first.parquet"), row_group_size=100)

    def make(self, name, source, form, place, **more):
        """A job from a place (driver and path) into another."""
        target = {"driver": "files", "path": place, "format": form, "file_size": more.pop("file_size", "96KiB"),
                  **(self.server.options() if "://" in place else {})}
        if "://" in source["path"]:
            source = {**source, **self.server.options()}
        spec = {"version": 1, "job": name, "source": source, "target": target, "verify": "full", **more}
        file = self.path(name + ".yaml")
        with open(file, "w", encoding="utf-8") as out:
            json.dump(spec, out, indent=1)
        return file

    def first(self, name, form, place, **more):
        return self.make(name, {"driver": "parquet", "path": "first.parquet", "extent_bytes": "8KiB"}, form, place, **more)

    def fetch(self, place):
        """The folder that holds what is at a place."""
        if "://" not in place:
            return self.path(place)
        prefix, folder = place.removeprefix(f"s3://{BUCKET}/"), self.path("fetched", place.replace("/", "_"))
        shutil.rmtree(folder, ignore_errors=True)
        for entry in self.boto.list_objects_v2(Bucket=BUCKET, Prefix=prefix + "/").get("Contents", []):
            path = os.path.join(folder, entry["Key"].removeprefix(prefix + "/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self.boto.download_file(BUCKET, entry["Key"], path)
        return folder

    def rows(self, place, form, name="first"):
        """{id: {field: value}}, read by others; the manifest's sizes, checksums and rows are checked."""
        folder = self.fetch(place)
        root, found = os.path.join(folder, name), {}
        with open(os.path.join(root, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        for entry in manifest["files"]:
            path = os.path.join(root, entry["path"])
            with open(path, "rb") as file:
                data = file.read()
            oracle._check_entry(path, data, entry)
            if form == "parquet":
                rows = pyarrow.parquet.read_table(path).to_pylist()
            else:
                rows = json.loads(data)["rows"] if form == "json" else [json.loads(line) for line in data.splitlines()]
            assert len(rows) == entry["rows"], (path, len(rows), entry)
            for row in rows:
                assert row["id"] not in found, f"{path}: {row['id']} stands there twice"
                found[row["id"]] = row
        return found

    def same(self, place, form):
        """A float32 is the same when it rounds to the same: JSON has only numbers."""
        found = self.rows(place, form)
        assert len(found) == ROWS, len(found)
        for row in self.table.to_pylist():
            got = found[row["id"]]
            assert set(got) == set(row), (sorted(got), sorted(row))
            for field, value in row.items():
                left, right = value, got[field]
                if field in ("single", "vector"):
                    left, right = numpy.array(left, "f4").tobytes(), numpy.array(right, "f4").tobytes()
                assert left == right and type(left) is type(right), (form, row["id"], field, value, got[field])


def every_type_goes_through_every_format_and_back(f):
    source = {"driver": "parquet", "path": "first.parquet"}
    for number, (form, place) in enumerate((("jsonl", "a"), ("parquet", f"s3://{BUCKET}/b"), ("json", "c"),
                                            ("jsonl", f"s3://{BUCKET}/d"), ("parquet", "e"))):
        f.call("run", f.make(f"hop{number}", source, form, place))
        f.ended(f"hop{number}")
        f.same(place, form)
        f.call("verify", f"hop{number}", "--full")  # by a process that knows only what is recorded
        source = {"driver": "dump", "path": place}


def a_manifest_has_what_makes_the_collection_again(f):
    f.call("run", f.first("described", "parquet", "described"))
    with open(f.path("described", "first", "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    fields = {field["name"]: field for field in manifest["schema"]["fields"]}
    assert list(fields) == f.table.column_names, list(fields)
    assert fields["id"]["primary"] and fields["id"]["type"] == "Int64", fields["id"]
    assert fields["vector"]["dim"] == DIM and fields["vector"]["type"] == "FloatVector", fields["vector"]
    assert fields["tags"]["type"] == "Array" and fields["tags"]["element_type"] == "Int64", fields["tags"]
    assert fields["words"]["element_type"] == "VarChar", fields["words"]
    assert fields["text"].get("nullable") and fields["middle"].get("nullable"), fields
    assert manifest["rows"] == ROWS and manifest["partitions"] == ["_default"], manifest


def small_batches_become_large_row_groups(f):
    """first.parquet is read by tasks of 100 rows; the file has one row group for all of them."""
    f.call("run", f.first("grouped", "parquet", "grouped", file_size="512MiB", limits={"dumpers": 1, "loaders": 1}))
    files = glob.glob(f.path("grouped", "first", "_default", "*.parquet"))
    assert len(files) == 1, files
    assert pyarrow.parquet.read_metadata(files[0]).num_row_groups == 1, pyarrow.parquet.read_metadata(files[0])


def a_file_ends_near_its_size(f):
    for form in ("parquet", "jsonl", "json"):
        f.call("run", f.first("sized" + form, form, "sized" + form, file_size="64KiB", limits={"dumpers": 1, "loaders": 1}))
        sizes = sorted(map(os.path.getsize, glob.glob(f.path("sized" + form, "first", "_default", "*." + form))))
        assert len(sizes) > 2 and sizes[1] > 32 << 10 and sizes[-1] < (4 << 20), (form, sizes)


def a_job_that_is_killed_goes_on_in_its_files(f):
    for form in ("parquet", "jsonl", "json"):
        name = "killed" + form
        process = f.end(f.start("run", f.first(name, form, name), failpoint="files.flush.synced:1:kill"), KILLED)
        assert process.returncode == KILLED
        f.end(f.start("resume", name, failpoint="lane.after_send:3:kill"), KILLED, 0)
        f.call("resume", name)
        f.ended(name)
        f.same(name, form)


def damage_turns_the_verification_red(f):
    for form in ("parquet", "jsonl", "json"):
        name = "damaged" + form
        f.call("run", f.first(name, form, name))
        path = sorted(glob.glob(f.path(name, "first", "_default", "*." + form)))[0]
        whole = open(path, "rb").read()
        third = len(whole) // 3
        for damaged, code in ((whole[:third], CONFIG), (None, CONFIG), (whole[:third] + b"\x00\x01" + whole[third + 2:], DATA)):
            os.unlink(path)
            if damaged is not None:
                with open(path, "wb") as file:
                    file.write(damaged)
            f.fails(code, os.path.basename(path), "verify", name, "--full")
            with open(path, "wb") as file:
                file.write(whole)
        f.call("resume", name)
        f.ended(name)


def npy_names_the_field_that_it_cannot_hold(f):
    f.fails(CONFIG, ["tags", "npy"], "run", f.first("refused", "npy", "refused"))


def what_stands_there_in_another_format_is_not_appended_to(f):
    f.call("run", f.first("lines", "jsonl", "mixed"))
    f.fails(CONFIG, ["jsonl", "parquet"], "run",
            f.first("groups", "parquet", "mixed", collections=[{"from": "first", "if_exists": "append"}]))
    f.same("mixed", "jsonl")


def large(f, name):
    """A job of some 150 MB in several objects, each sent in several parts."""
    path = f.path("large.index")
    if not os.path.exists(path):
        jobs.write_flat(path, jobs.floats(150000, 256))
    return f.make(name, {"driver": "faiss", "path": path}, "parquet", f"s3://{BUCKET}/{name}", file_size="40MiB",
                  verify="full")


def a_stop_during_an_upload_is_prompt_and_the_upload_goes_on(f):
    process = f.start("run", large(f, "stopped"), failpoint="files.carry.progress:1:sleep=1500")
    f.wait_rows(process, "stopped", 1)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    f.end(process, INTERRUPTED)
    assert time.monotonic() - began < 20, time.monotonic() - began
    f.call("resume", "stopped")
    f.ended("stopped", rows_done=150000)


def a_store_that_dies_and_comes_back_is_waited_for(f):
    process = f.start("run", large(f, "away"), failpoint="files.carry.progress:1:sleep=2000")
    f.wait_rows(process, "away", 1)
    f.server.kill9()
    time.sleep(1)
    f.server.restart()
    f.end(process, 0)
    f.ended("away", rows_done=150000)


def main():
    try:
        object_servers.program("versitygw")
    except RuntimeError as error:
        raise SystemExit(f"versitygw cannot be built here: {error}") from None
    with object_servers.VersityGw() as server, Formats(server) as f:
        return jobs.run_checks([
            every_type_goes_through_every_format_and_back, a_manifest_has_what_makes_the_collection_again,
            small_batches_become_large_row_groups, a_file_ends_near_its_size, a_job_that_is_killed_goes_on_in_its_files,
            damage_turns_the_verification_red, npy_names_the_field_that_it_cannot_hold,
            what_stands_there_in_another_format_is_not_appended_to,
            a_stop_during_an_upload_is_prompt_and_the_upload_goes_on, a_store_that_dies_and_comes_back_is_waited_for,
        ], f)


if __name__ == "__main__":
    sys.exit(main())
