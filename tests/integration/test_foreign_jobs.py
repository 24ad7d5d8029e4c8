"""Job files of milvus-migration and MilvusDM, as their documentation gives them, run to the end into a real Milvus:
found where the old tool looked for them, with its commands and flags, from FAISS and HDF5 files and from Milvus 1.x
(SQLite, MySQL, an exported meta.json, an object store); every row compared; warnings once; secrets nowhere in the
savepoints."""

import glob
import os
import signal
import subprocess
import sys

import foreign_files
import h5py
import jobs
import milvus1x_files as old
import milvus1x_mysql
import numpy
import object_servers
import oracle
import servers
from jobs import CONFIG, KILLED, UNFINISHED

ROWS, DIM = 1200, 16
SECRETS = ["Milvus-is-secret", object_servers.SECRET]


class Work(jobs.Jobs):
    def __init__(self, milvus, store, mysql):
        super().__init__()
        self.milvus, self.store, self.mysql, self.uri = milvus, store, mysql, milvus.uri
        self.client = oracle.client(milvus.uri)
        self.vectors = jobs.floats(ROWS, DIM)
        jobs.write_flat(self.path("faiss.index"), self.vectors)
        store.client().create_bucket(Bucket="a-bucket")

    def write(self, name, text):
        file = self.path(name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        return file

    def remote(self, folder="output/"):
        """target with the object store."""
        return "  mode: remote\n  remote:\n" + foreign_files.store(
            f"127.0.0.1:{self.store.port}", "a-bucket", folder, object_servers.ACCESS, object_servers.SECRET)

    def local(self, folder):
        return f"  mode: local\n  local:\n    outputDir: {folder}\n"

    def faiss(self, name, target=None, **more):
        return foreign_files.faiss(self.path("faiss.index"), f"127.0.0.1:{self.milvus.port}", name, DIM,
                                   target=target or self.remote(), **more)

    def objects(self, prefix):
        reply = self.store.client().list_objects_v2(Bucket="a-bucket", Prefix=prefix)
        return [entry["Key"] for entry in reply.get("Contents", [])]

    def milvus1x(self, name):
        """A data folder with one collection of three partitions, and its path."""
        folder, path = old.Folder(), self.path("data_" + name)
        collection = folder.add(name, DIM, old.IP)
        for number, tag in enumerate(("_default", "partition_1", "partition_2")):
            ids = range(number * 500, number * 500 + 400)
            collection.add(old.Segment(ids, old.floats(400, DIM, number), [7, 3, 7]), tag)
        collection.add(old.Segment(range(400, 500), old.floats(100, DIM, 9)), "partition_1")
        folder.write(path)
        return collection, path

    def has(self, name, collection, field, tags=None):
        """Exactly the live rows of the collection, in their partitions."""
        parts = {tag: rows for tag, rows in collection.rows().items() if tags is None or tag in tags}
        ids, vectors = (numpy.concatenate(columns) for columns in zip(*parts.values()))
        self.holds(name, ids, vectors, field)
        for tag, rows in parts.items():
            self.holds(name, *rows, field, partitions=[tag])

    def migration(self, meta, source, target=None):
        return foreign_files.milvus1x(meta, source, f"127.0.0.1:{self.milvus.port}", target or self.remote())

    def index(self, collection, field):
        found = self.client.describe_index(collection, field)
        return found["index_type"], found["metric_type"]

    def holds(self, collection, ids, vectors, field, **more):
        oracle.check_milvus(self.uri, collection, jobs.rows(ids, vectors, vector=field), **more)


def warnings(said):
    return [line for line in said.splitlines() if "warning" in line]


# milvus-migration


def a_migration_yaml_is_found_where_the_old_tool_had_it_and_runs(work):
    folder = work.path("old")
    os.makedirs(os.path.join(folder, "configs"))
    work.write("old/configs/migration.yaml", work.faiss("found"))
    program = os.path.join(jobs.BUILD, "mmresume")
    ended = subprocess.run([program, "start"], env=work.environment, cwd=folder, capture_output=True, text=True,
                           timeout=120)
    assert ended.returncode == 0, ended.stderr
    work.said += [ended.stdout, ended.stderr]
    work.ended("migration-found", rows_done=ROWS)
    work.holds("found", range(ROWS), work.vectors, "data")
    assert work.index("found", "data")[1] == "L2"
    said = warnings(ended.stderr)
    for key in ("reader.bufferSize", "writer.bufferSize", "target.create.collection.dim", "target.remote.checkBucket"):
        assert sum(key in line for line in said) == 1, (key, said)
    assert not work.objects("output"), "rows that are inserted are not staged"


def dump_and_load_are_two_commands_with_the_old_flags(work):
    file = work.write("halves.yaml", work.faiss("halves", work.local(work.path("staged"))))
    work.call("dump", f"--config={file}", "--col", "halves")
    work.ended("halves-dump", rows_done=ROWS)
    assert not work.client.has_collection("halves")
    names = {name for _, _, files in os.walk(work.path("staged")) for name in files}
    assert any(name.endswith(".npy") for name in names), names
    work.call("load", "-c", file)
    work.ended("halves-load", rows_done=ROWS)
    work.holds("halves", range(ROWS), work.vectors, "data")


def a_dump_goes_into_the_bucket_of_the_file(work):
    file = work.write("bucket.yaml", work.faiss("bucket", work.remote("dumped/here/")))
    work.call("dump", file)
    work.ended("bucket-dump", rows_done=ROWS)
    assert work.objects("dumped/here/"), "nothing was written"


def a_source_in_a_bucket_is_read_from_there(work):
    with open(work.path("faiss.index"), "rb") as file:
        work.store.client().put_object(Bucket="a-bucket", Key="indexes/faiss.index", Body=file.read())
    place = foreign_files.store(f"127.0.0.1:{work.store.port}", "a-bucket", "", object_servers.ACCESS,
                                object_servers.SECRET, outputDir=False)
    local = "mode: local   # local or remote\n  local:\n"
    text = work.faiss("fetched").replace(local, "mode: remote\n  remote:\n" + place)
    text = text.replace(work.path("faiss.index"), "/indexes/faiss.index")
    work.call("run", work.write("fetched.yaml", text))
    work.holds("fetched", range(ROWS), work.vectors, "data")


def a_killed_run_is_resumed_by_its_name_with_the_secrets_of_the_file(work):
    file = work.write("killed/migration.yaml", work.faiss("killed"))
    process = work.start("run", file, "--set", "limits.rate=400 rows/s", "--set", "source.extent_rows=100")
    work.wait_rows(process, "migration-killed", 200)
    process.send_signal(signal.SIGKILL)
    work.end(process, KILLED)
    work.fails(UNFINISHED, "mmresume resume migration-killed", "run", file)
    ended = work.call("resume", "migration-killed", "--set", "limits.rate=none")
    work.ended("migration-killed", rows_done=ROWS)
    work.holds("killed", range(ROWS), work.vectors, "data")
    assert not warnings(ended.err), ended.err


def a_mode_without_a_driver_and_a_wrong_key_are_told_with_their_place(work):
    file = work.write("wrong.yaml", work.faiss("wrong").replace("faissFile", "faissfil"))
    work.fails(CONFIG, ["wrong.yaml:17:5", "`faissfil`", "`faissFile`"], "run", file)
    file = work.write("twox.yaml", foreign_files.worker("milvus3x"))
    work.fails(CONFIG, ["twox.yaml:4:15", "`milvus3x`"], "run", file)
    work.fails(CONFIG, ["--set only.0", "`other`"], "run", "-t", "other", work.write("only.yaml", work.faiss("only")))
    assert not work.client.has_collection("only")


def what_is_shown_runs_as_a_job_of_its_own(work):
    file = work.write("shown.yaml", work.faiss("shown"))
    text = work.call("config", "--show", file).out
    assert not any(secret in text for secret in SECRETS)
    own = text.replace('password: "***"', "password: ${MM_T_PASSWORD}").replace('"***"', "${MM_T_SECRET}")
    file = work.write("own.yaml", own.replace("job: shown", "job: own"))
    again = work.call("run", file, environment={"MM_T_PASSWORD": "x", "MM_T_SECRET": "y"})
    assert not warnings(again.err), again.err
    work.holds("shown", range(ROWS), work.vectors, "data")


def a_folder_of_milvus_1x_is_dumped_and_loaded(work):
    collection, path = work.milvus1x("from_sqlite")
    text = work.migration(f"  mode: sqlite\n  sqliteFile: {path}/db/meta.sqlite\n",
                          f"  mode: local\n  local:\n    tablesDir: {path}/db/tables/\n",
                          work.local(work.path("staged_1x")))
    file = work.write("sqlite.yaml", text)
    work.call("dump", "-c", file)
    work.call("load", "-c", file)
    work.has("from_sqlite", collection, "data")
    assert work.index("from_sqlite", "data")[1] == "IP"


def metadata_of_milvus_1x_comes_from_mysql(work):
    collection, path = work.milvus1x("from_mysql")
    milvus1x_mysql.copy(path + "/db/meta.sqlite", work.mysql.connect(), "milvus")
    os.unlink(path + "/db/meta.sqlite")
    url = f"root:@tcp(127.0.0.1:{work.mysql.port})/milvus?charset=utf8mb4&parseTime=True&loc=Local"
    text = work.migration(f'  mode: mysql\n  mysqlUrl: "{url}"\n',
                          f"  mode: local\n  local:\n    tablesDir: {path}/db/tables\n")
    work.call("start", "--config", work.write("mysql/migration.yaml", text))
    work.ended("migration")
    work.has("from_mysql", collection, "data")
    parameters = {"host": "127.0.0.1", "user": "root", "port": work.mysql.port, "password": "", "database": "milvus"}
    text = foreign_files.m2m(path, "from_mysql", work.milvus.port, mode="append", mysql=parameters)
    work.fails(CONFIG, ["from_mysql", "embedding"], "run", work.write("mysql/M2M.yaml", text))


def milvus_1x_in_a_bucket_is_read_by_its_exported_metadata(work):
    collection, path = work.milvus1x("from_bucket")
    work.call("export", "-s", path + "/db/meta.sqlite", "-o", path)
    client = work.store.client()
    for base, _, files in os.walk(path):
        for name in files:
            key = "old/" + os.path.relpath(os.path.join(base, name), path)
            client.upload_file(os.path.join(base, name), "a-bucket", key)
    place = foreign_files.store(f"127.0.0.1:{work.store.port}", "a-bucket", "", object_servers.ACCESS,
                                object_servers.SECRET, outputDir=False)
    text = work.migration("  mode: remote\n  remoteMetaFile: /old/meta.json\n",
                          f"  mode: remote\n  remote:\n{place}    tablesDir: /old/db/tables/\n")
    work.call("run", work.write("bucket_1x.yaml", text))
    work.has("from_bucket", collection, "data")


# MilvusDM


def m2m_moves_chosen_partitions_and_then_leaves_the_collection_alone(work):
    collection, path = work.milvus1x("chosen")
    text = foreign_files.m2m(path, "chosen", work.milvus.port, ("partition_1", "partition_2"))
    work.call("run", work.write("M2M.yaml", text))
    work.ended("M2M-chosen", rows_done=896)
    work.has("chosen", collection, "embedding", ("partition_1", "partition_2"))
    work.call("run", work.write("again.yaml", foreign_files.m2m(path, "chosen", work.milvus.port)))
    work.has("chosen", collection, "embedding", ("partition_1", "partition_2"))


def m2h_writes_files_whose_job_files_run(work):
    collection, path = work.milvus1x("exported")
    work.call("run", work.write("M2H.yaml", foreign_files.m2h(path, "exported", work.path("h5"))))
    found = sorted(glob.glob(work.path("h5", "*", "yamls", "exported", "*.yaml")))
    assert len(found) == 3, found
    for number, file in enumerate(found):
        with open(file, encoding="utf-8") as there:
            text = there.read().replace("dest_port: 19530", f"dest_port: {work.milvus.port}")
        work.call("run", work.write(f"ready_{number}.yaml", text))
    work.has("exported", collection, "embedding")


def f2m_appends_skips_and_overwrites(work):
    def job(name, path, **more):
        return work.write(name + ".yaml", foreign_files.f2m(path, work.milvus.port, "test", DIM, **more))

    more, ids = jobs.floats(300, DIM, seed=5), numpy.arange(ROWS, ROWS + 300)
    jobs.write_flat(work.path("more.index"), more, ids)
    work.call("run", job("first", work.path("faiss.index")))
    work.holds("test", range(ROWS), work.vectors, "embedding")
    work.call("run", job("appends", work.path("more.index")))
    work.holds("test", range(ROWS + 300), numpy.concatenate([work.vectors, more]), "embedding")
    work.call("run", job("skips", work.path("faiss.index"), mode="skip"))
    work.holds("test", range(ROWS + 300), numpy.concatenate([work.vectors, more]), "embedding")
    work.call("run", job("overwrites", work.path("more.index"), mode="overwrite"))
    work.holds("test", ids, more, "embedding")
    assert work.index("test", "embedding")[1] == "L2"


def f2m_puts_rows_into_a_partition_and_spares_the_others(work):
    def job(name, path, partition, mode):
        return work.write(name + ".yaml", foreign_files.f2m(path, work.milvus.port, "parts", DIM, mode, partition))

    more, ids = jobs.floats(300, DIM, seed=6), numpy.arange(ROWS, ROWS + 300)
    jobs.write_flat(work.path("part.index"), more, ids)
    work.call("run", job("part_a", work.path("faiss.index"), "a", "overwrite"))
    work.call("run", job("part_b", work.path("part.index"), "b", "append"))
    file = job("part_c", work.path("part.index"), "a", "overwrite")
    refused = work.fails(CONFIG, ["parts", "if_exists"], "run", file)
    assert any("replaced the named partitions alone" in line for line in warnings(refused.err)), refused.err
    work.holds("parts", range(ROWS), work.vectors, "embedding", partitions=["a"])
    work.holds("parts", ids, more, "embedding", partitions=["b"])


def h2m_merges_files_into_a_partition(work):
    files = []
    for number in range(2):
        files.append(work.path(f"float_{number}.h5"))
        with h5py.File(files[-1], "w") as file:
            file["embeddings"] = work.vectors[number * 600:(number + 1) * 600].astype("f8")
            file["ids"] = numpy.arange(number * 600, (number + 1) * 600, dtype="i8")
    text = foreign_files.h2m(work.milvus.port, "test_float", DIM, files, partition="partition_1")
    work.call("run", work.write("H2M.yaml", text))
    work.ended("H2M-test_float", rows_done=ROWS)
    work.holds("test_float", range(ROWS), work.vectors, "embedding", partitions=["partition_1"])


def h2m_reads_a_folder_of_binary_vectors(work):
    codes = numpy.random.default_rng(4).integers(0, 256, (ROWS, 64), dtype="u1")
    folder = work.path("HDF5_data")
    os.makedirs(folder)
    for number in range(2):
        with h5py.File(os.path.join(folder, f"{number}.h5"), "w") as file:
            file["embeddings"] = codes[number * 600:(number + 1) * 600]
            file["ids"] = numpy.arange(number * 600, (number + 1) * 600, dtype="i8")
    text = foreign_files.h2m(work.milvus.port, "test_binary", 512, folder=folder, mode="append", metric="HAMMING")
    work.call("run", work.write("binary.yaml", text))
    work.holds("test_binary", range(ROWS), codes, "embedding")
    assert work.index("test_binary", "embedding") == ("BIN_IVF_FLAT", "HAMMING")


def no_secret_is_in_the_savepoints_nor_was_it_said(work):
    for base, _, files in os.walk(work.state):
        for name in files:
            with open(os.path.join(base, name), "rb") as file:
                data = file.read()
            assert not any(secret.encode() in data for secret in SECRETS), name
    assert not any(secret in text for secret in SECRETS for text in work.said)


CHECKS = [
    a_folder_of_milvus_1x_is_dumped_and_loaded,
    metadata_of_milvus_1x_comes_from_mysql,
    milvus_1x_in_a_bucket_is_read_by_its_exported_metadata,
    m2m_moves_chosen_partitions_and_then_leaves_the_collection_alone,
    m2h_writes_files_whose_job_files_run,
    a_migration_yaml_is_found_where_the_old_tool_had_it_and_runs,
    dump_and_load_are_two_commands_with_the_old_flags,
    a_dump_goes_into_the_bucket_of_the_file,
    a_source_in_a_bucket_is_read_from_there,
    a_killed_run_is_resumed_by_its_name_with_the_secrets_of_the_file,
    a_mode_without_a_driver_and_a_wrong_key_are_told_with_their_place,
    what_is_shown_runs_as_a_job_of_its_own,
    f2m_appends_skips_and_overwrites,
    f2m_puts_rows_into_a_partition_and_spares_the_others,
    h2m_merges_files_into_a_partition,
    h2m_reads_a_folder_of_binary_vectors,
]
LAST = [no_secret_is_in_the_savepoints_nor_was_it_said]


def main():
    servers.private_network()
    with servers.MilvusStandalone() as milvus, object_servers.VersityGw() as store, servers.MariaDB() as mysql, \
            Work(milvus, store, mysql) as work:
        return jobs.run_checks(CHECKS, work, last=LAST, together=3)


if __name__ == "__main__":
    sys.exit(main())
