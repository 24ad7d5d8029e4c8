"""Whole jobs from FAISS files into Milvus Lite: one that the job starts itself and ends again, and one that runs
beside it and is killed. What Lite cannot show (copies, partitions, credentials) is tested on a Milvus.

Every row that arrives is compared with what was written into the source."""

import os
import subprocess
import sys
import time

import faiss
import faiss_files
import numpy

import jobs
import oracle
import servers
from jobs import CONFIG, DATA, KILLED, UNAVAILABLE

ROWS, DIM = 1500, 16


class Lite(jobs.Jobs):
    """Jobs into a server, or into a file of their own."""

    def __init__(self, server):
        folder = os.path.dirname(sys.executable)
        super().__init__({"PATH": folder + os.pathsep + os.environ.get("PATH", "")})
        self.server, self.uri = server, server.uri
        self.vectors = jobs.floats(ROWS, DIM)
        self.expected = jobs.rows(range(ROWS), self.vectors)
        jobs.write_flat(self.path("products.index"), self.vectors)

    def make(self, name, path="products.index", endpoint=None, limits=None, job=None, **entry):
        """A job into the collection of its own name; job: more keys of the job, entry: of the collection."""
        more = {"verify": "full", "limits": {"patience": "60s", **(limits or {})}, **(job or {})}
        return self.job(name, path, {"driver": "milvus", "endpoint": endpoint or self.uri}, {"to": name, **entry}, **more)

    def holds(self, collection, expected=None, uri=None, **more):
        oracle.check_milvus(uri or self.uri, collection, expected or self.expected, **more)


def flat_and_inverted_files_arrive_bit_for_bit(work):
    ids = numpy.random.default_rng(3).permutation(10**6)[:ROWS].astype("i8") - 500000
    ivf = faiss.index_factory(DIM, "IVF8,Flat")
    ivf.train(work.vectors)
    ivf.add_with_ids(work.vectors, ids)
    faiss.write_index(ivf, work.path("ivf.index"))
    work.call("run", work.make("ivf", "ivf.index"))
    work.ended("ivf", rows_done=ROWS)
    work.holds("ivf", jobs.rows(*faiss_files.stored(faiss.read_index(work.path("ivf.index")))))
    work.call("run", work.make("flat"))
    work.ended("flat", rows_done=ROWS)
    work.holds("flat")


def fields_are_renamed_and_the_key_becomes_text(work):
    work.call("run", work.make("mapped", fields=[
        {"from": "vector", "to": "embedding"},
        {"from": "id", "to": "product", "type": "VarChar", "primary": True, "max_length": 30}]))
    work.ended("mapped", rows_done=ROWS)
    names = [str(key) for key in range(ROWS)]
    got = oracle.fetch(work.uri, "mapped", numpy.array(names), primary="product")
    found = {key: row for key, row in zip(got["product"], got["embedding"])}
    assert len(got["product"]) == len(found) == ROWS
    for key, row in zip(names, work.vectors):
        assert numpy.array_equal(found[key], row), key


def a_binary_index_is_refused_before_anything_is_written(work):
    index = faiss.IndexBinaryFlat(64)
    index.add(numpy.zeros((10, 8), "u1"))
    faiss.write_index_binary(index, work.path("binary.index"))
    ended = work.call("run", work.make("binary", "binary.index"), code=CONFIG)
    assert "binary" in ended.err, ended.err
    client = oracle.client(work.uri)
    assert "binary" not in client.list_collections()
    client.close()


def rows_that_milvus_cannot_hold_are_kept_in_a_file(work):
    vectors = work.vectors.copy()
    vectors[7, 3], vectors[1400, 0] = numpy.nan, numpy.inf
    jobs.write_flat(work.path("holes.index"), vectors)
    work.fails(DATA, "limits.rejects", "run", work.make("holes", "holes.index", limits={"rejects": 1}))
    work.call("resume", "holes", "--set", "limits.rejects=2")
    work.ended("holes", rows_done=ROWS - 2, rows_rejected=2)
    assert sorted((one["row"], one["key"]) for one in work.rejects("holes")) == [(7, "7"), (1400, "1400")]
    keep = numpy.delete(numpy.arange(ROWS), [7, 1400])
    work.holds("holes", jobs.rows(keep, vectors[keep]))


def rows_changed_and_lost_behind_its_back_are_named_and_repaired(work):
    work.call("run", work.make("watched"))
    client = oracle.client(work.uri)
    client.upsert("watched", [{"id": 700, "vector": [0.25] * DIM}])
    client.delete("watched", ids=[3])
    client.close()
    work.fails(DATA, ["primary key 700 differs in field vector", "primary key 3 is missing"], "verify", "watched", "--full")
    work.ended("watched", "failed", "different")
    work.call("resume", "watched", "--repair")
    work.ended("watched", rows_done=ROWS)
    work.holds("watched")


def append_skip_and_overwrite_do_what_they_say(work):
    work.call("run", work.make("modes"))
    more = jobs.floats(400, DIM, seed=5)
    ids = numpy.arange(ROWS - 200, ROWS + 200, dtype="i8")
    jobs.write_flat(work.path("more.index"), more, ids)
    for mode, expected in (
            ("skip", work.expected),
            ("append", jobs.rows(range(ROWS + 200), numpy.concatenate([work.vectors[:ROWS - 200], more]))),
            ("overwrite", jobs.rows(ids, more))):
        work.call("run", work.make("more_" + mode, "more.index", to="modes", if_exists=mode))
        work.ended("more_" + mode, rows_done=0 if mode == "skip" else 400)
        work.holds("modes", expected)
    work.fails(CONFIG, ["modes", "if_exists"], "run", work.make("more_fail", "more.index", to="modes"))


def a_server_that_dies_ends_the_run_within_its_patience_and_the_resume_goes_on(work):
    file = work.make("survivor", limits={"rate": "500 rows/s", "patience": "3s"}, job={"source": {"extent_rows": 100}})
    process = work.start("run", file)
    work.wait_rows(process, "survivor", 300)
    work.server.kill9()
    began = time.monotonic()
    work.end(process, UNAVAILABLE)
    took = time.monotonic() - began
    assert 2 < took < 30, took
    done = work.ended("survivor", "interrupted", "none")["rows_done"]
    assert 300 <= done < ROWS, done
    resume = work.start("resume", "survivor", "--set", "limits.rate=none", "--set", "limits.patience=60s")
    time.sleep(1)
    assert resume.poll() is None, "a resume waits for the target"
    work.server.start()
    work.end(resume, jobs.DONE)
    work.ended("survivor", rows_done=ROWS)
    work.holds("survivor")


# a server of the job's own


def children(folder):
    """Processes that serve data below a folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if os.path.join(folder, "demo.db").encode() in file.read().split(b"\0"):
                    found.append(int(pid))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def a_file_as_endpoint_is_served_for_the_job_alone(work):
    file = work.make("embedded", endpoint="./demo.db", limits={"rate": "1500 rows/s"}, job={"source": {"extent_rows": 100}})
    process = work.start("run", file)
    work.wait_rows(process, "embedded", 300)
    assert children(work.folder)
    process.kill()
    work.end(process, KILLED)
    work.call("resume", "embedded", "--set", "limits.rate=none")
    work.ended("embedded", rows_done=ROWS)
    end = time.monotonic() + 20
    while children(work.folder) and time.monotonic() < end:
        time.sleep(0.1)
    assert not children(work.folder), "a server outlives its job"
    with embedded(work) as uri:
        client = oracle.client(uri)
        client.load_collection("embedded")
        client.close()
        work.holds("embedded", uri=uri)


class embedded:
    """The folder that a job left, served for the comparison."""

    def __init__(self, work):
        self.port = servers.free_port()
        program = os.path.join(os.path.dirname(sys.executable), "milvus-lite")
        self.process = subprocess.Popen([program, "server", "--data-dir", work.path("demo.db"), "--host", "127.0.0.1",
                                         "--port", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        end = time.monotonic() + 60
        server = servers.MilvusLite.healthy
        while not server(self) and time.monotonic() < end:
            time.sleep(0.1)
        return f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


CHECKS = [
    flat_and_inverted_files_arrive_bit_for_bit,
    fields_are_renamed_and_the_key_becomes_text,
    a_binary_index_is_refused_before_anything_is_written,
    rows_that_milvus_cannot_hold_are_kept_in_a_file,
    rows_changed_and_lost_behind_its_back_are_named_and_repaired,
    append_skip_and_overwrite_do_what_they_say,
    a_file_as_endpoint_is_served_for_the_job_alone,
    a_server_that_dies_ends_the_run_within_its_patience_and_the_resume_goes_on,
]


def main():
    servers.private_network()
    with servers.MilvusLite() as server, Lite(server) as work:
        return jobs.run_checks(CHECKS, work)


if __name__ == "__main__":
    sys.exit(main())
