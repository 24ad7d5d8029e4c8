"""transfer: import into a real Milvus 2.3.5: every type that it knows, by each form of file; partitions; rows of
others beside; what is refused, and before anything was written; repair; what is left in the staging folder."""

import json
import os
import sys

import numpy
import oracle
import servers
from jobs import CONFIG, DATA, DONE, KILLED, Jobs, floats, rows, run_checks, write_flat

ROWS, DIM = 2000, 16
numbers = iter(range(1000))


class Work(Jobs):
    def __init__(self, server):
        super().__init__()
        self.server, self.client = server, oracle.client(server.uri)
        self.vectors = floats(ROWS, DIM)
        self.columns = rows(numpy.arange(ROWS), self.vectors)
        write_flat(self.path("flat.index"), self.vectors)

    def name(self):
        return f"import{next(numbers)}"

    def stage(self, name):
        return self.path("stage", name)

    def target(self, name, **more):
        return {"driver": "milvus", "endpoint": self.server.uri, "transfer": "import", "staging": self.stage(name),
                "file_size": "64KiB", **more}

    def write(self, name, collection=None, source="flat.index", target=None, key=None, **more):
        target = {key: value for key, value in self.target(name, **(target or {})).items() if value is not None}
        driver = {".index": "faiss"}.get(os.path.splitext(source)[1], os.path.splitext(source)[1][1:])
        return self.job(name, self.path(source), target, {"to": name, **(collection or {})},
                        source={"driver": driver, **({"id_field": key} if key else {})},
                        **{"verify": "full", "limits": {"dumpers": 1, "loaders": 2}, **more})

    def run(self, name, *arguments, code=DONE, failpoint=None, **more):
        return self.call("run", self.write(name, **more), *arguments, code=code, failpoint=failpoint)

    def staged(self, name):
        return sorted(file for _, _, files in os.walk(self.stage(name)) for file in files)


def of_every_type():
    """Rows as JSON has them."""
    random = numpy.random.default_rng(5)
    return [{"id": key * 7 - 300, "b": bool(random.integers(2)), "i1": int(random.integers(-128, 128)),
             "i2": int(random.integers(-2**15, 2**15)), "i4": int(random.integers(-2**31, 2**31)),
             "i8": int(random.integers(-2**62, 2**62)), "f4": float(numpy.float32(random.standard_normal())),
             "f8": float(random.standard_normal()), "s": "añ€😀\"\\\n,"[:key % 10] + str(key),
             "vector": [float(x) for x in random.standard_normal(DIM).astype("f4")]} for key in range(ROWS)]


def write_parquet(path, table):
    import pyarrow
    import pyarrow.parquet

    types = {"id": pyarrow.int64(), "b": pyarrow.bool_(), "i1": pyarrow.int8(), "i2": pyarrow.int16(), "i4": pyarrow.int32(),
             "i8": pyarrow.int64(), "f4": pyarrow.float32(), "f8": pyarrow.float64(), "s": pyarrow.string(),
             "vector": pyarrow.list_(pyarrow.float32(), DIM)}
    schema = pyarrow.schema([pyarrow.field(name, kind, nullable=False) for name, kind in types.items()])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table, schema=schema), path)


def write_lines(path, table):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in table)


def check_table(work, name, table, key="id"):
    got = {}
    for first in range(0, ROWS, 1000):
        keys = json.dumps([row[key] for row in table[first:first + 1000]], ensure_ascii=False)
        for row in work.client.query(name, filter=f"{key} in {keys}", output_fields=["*"], consistency_level="Strong"):
            got[row[key]] = row
    assert len(got) == len(table), len(got)
    for want in table:
        have = dict(got[want[key]])
        for field, value in want.items():
            if field == "vector":
                assert numpy.array(have[field], "f4").tobytes() == numpy.array(value, "f4").tobytes(), (want[key], have)
            elif field == "j":
                assert (json.loads(have[field]) if isinstance(have[field], (str, bytes)) else have[field]) == value, have
            else:
                assert have[field] == value and type(have[field]) is type(value), (field, value, have[field])


def every_type_arrives_by_every_form_of_file(work):
    table = of_every_type()
    write_parquet(work.path("types.parquet"), table)
    for form in ("npy", "parquet", "json", "auto"):
        name = work.name()
        work.run(name, source="types.parquet", target={"format": form, "file_size": "1GiB" if form == "npy" else "64KiB"})
        check_table(work, name, table)
        assert not work.staged(name), work.staged(name)


def text_keys_and_json_arrive_by_every_form_of_file(work):
    table = [{"s": row["s"], "j": {"k": row["id"], "t": ["x", None, 1.5, {"ü": row["s"]}]}, "vector": row["vector"]}
             for row in of_every_type()]
    write_lines(work.path("texts.jsonl"), table)
    fields = [{"from": "s", "to": "s", "type": "VarChar", "primary": True, "max_length": 100}, {"from": "j", "to": "j"},
              {"from": "vector", "to": "vector"}]
    for form in ("auto", "parquet", "json"):  # JSON has no .npy form
        name = work.name()
        work.run(name, source="texts.jsonl", key="s", collection={"fields": fields},
                 target={"format": form, "file_size": "64KiB"})
        check_table(work, name, table, key="s")


def everything_goes_into_the_partition_that_is_named(work):
    name = work.name()
    work.run(name, collection={"partition": "p1"})
    oracle.check_milvus(work.server.uri, name, work.columns, partitions=["p1"])
    assert oracle.count(work.client, name) == ROWS


def append_to(work, name, keys, values):
    work.client.create_collection(name, dimension=DIM, primary_field_name="id", vector_field_name="vector", auto_id=False,
                                  metric_type="L2", enable_dynamic_field=False)
    work.client.insert(name, [{"id": int(key), "vector": [float(value)] * DIM} for key, value in zip(keys, values)])


def the_rows_of_others_stay_beside(work):
    name = work.name()
    append_to(work, name, range(10 * ROWS, 10 * ROWS + 50), range(50))
    work.run(name, collection={"if_exists": "append"})
    assert oracle.wait_countable(work.client, name) == ROWS + 50


def a_key_that_stood_there_is_found_doubled_and_mended(work):
    name = work.name()
    append_to(work, name, range(100, 120), range(20))
    ended = work.run(name, collection={"if_exists": "append"}, code=DATA)
    assert "--repair" in ended.err and "stands 2 times" in ended.err, ended.err
    work.call("resume", name, "--repair", failpoint="committer.after_commit:1:kill", code=KILLED)
    work.call("resume", name)
    oracle.check_milvus(work.server.uri, name, work.columns)
    work.call("verify", name, "--full")


def lost_and_falsified_rows_are_mended(work):
    name = work.name()
    work.run(name)
    work.client.delete(name, ids=[3, 1500])
    work.client.upsert(name, [{"id": 77, "vector": [1.0] * DIM}])
    work.call("verify", name, "--full", code=DATA)
    work.call("resume", name, "--repair")
    oracle.check_milvus(work.server.uri, name, work.columns)
    assert not work.staged(name), work.staged(name)


def what_cannot_be_kept_is_refused_before_anything_is_written(work):
    for words, more in (("on_conflict: upsert", {"target": {"on_conflict": "upsert"}, "collection": {"if_exists": "append"}}),
                        ("at_least_once", {"verify": "none", "collection": {"if_exists": "append"}}),
                        ("target.staging", {"target": {"staging": None}}),
                        ("target.staging", {"target": {"staging": "/proc/nothing"}}),
                        ("object stores", {"target": {"import_api": "zilliz", "cluster_id": "in01-0"}})):
        ended = work.run(work.name(), code=CONFIG, **more)
        assert words in ended.err, ended.err


def files_that_the_server_cannot_see_end_it_with_its_words(work):
    """The server is told of another path than the one where they lie."""
    name = work.name()
    ended = work.run(name, code=DATA, target={"staging_as": "/nowhere", "import_tries": 2, "file_size": "1GiB"})
    for words in ("no such file", "target.staging is not where the server reads", "/nowhere/mmresume-", "import_tries"):
        assert words in ended.err, ended.err
    assert work.staged(name)
    ended = work.call("resume", name, "--set", "target.import_tries=4", "--set", f"target.staging_as={work.stage(name)}")
    oracle.check_milvus(work.server.uri, name, work.columns)
    assert not work.staged(name), work.staged(name)


def what_a_cancelled_run_left_goes_with_the_next(work):
    name = work.name()
    work.run(name, code=KILLED, failpoint="import.sent.recorded:1:kill")
    left = work.staged(name)
    assert left
    work.call("cancel", name)
    assert not work.client.describe_collection(name).get("aliases")
    work.client.drop_collection(name)
    work.call("run", work.path(name + ".yaml"))
    oracle.check_milvus(work.server.uri, name, work.columns)
    assert not work.staged(name), work.staged(name)


def staged_files_are_kept_when_asked(work):
    name = work.name()
    work.run(name, target={"keep_staged": True, "format": "npy"})
    assert work.staged(name).count("vector.npy") > 1


def savepoints_older_than_the_target_are_refused(work):
    """A store from before the last fence, brought back."""
    import shutil

    name = work.name()
    work.run(name, code=KILLED, failpoint="import.fence.intent:1:kill")
    shutil.copytree(work.state, work.path("older"))
    work.call("resume", name, code=KILLED, failpoint="import.sent.recorded:1:kill")
    shutil.rmtree(work.state)
    shutil.copytree(work.path("older"), work.state)
    ended = work.call("resume", name, code=CONFIG)
    assert "older than the target" in ended.err, ended.err


CHECKS = [every_type_arrives_by_every_form_of_file, text_keys_and_json_arrive_by_every_form_of_file, everything_goes_into_the_partition_that_is_named,
          the_rows_of_others_stay_beside, a_key_that_stood_there_is_found_doubled_and_mended,
          lost_and_falsified_rows_are_mended, what_cannot_be_kept_is_refused_before_anything_is_written,
          files_that_the_server_cannot_see_end_it_with_its_words, what_a_cancelled_run_left_goes_with_the_next,
          staged_files_are_kept_when_asked, savepoints_older_than_the_target_are_refused]


def main():
    servers.private_network()
    with servers.MilvusStandalone() as server, Work(server) as work:
        return run_checks(CHECKS, work)


if __name__ == "__main__":
    sys.exit(main())
