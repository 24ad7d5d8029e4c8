"""FAISS files in an object store (versitygw; Azurite and fake-gcs-server), read by ranges: every row as from the local
file, few requests, bounded memory; a store that refuses, breaks off, goes away and comes back; an object that is
replaced while it is read."""

import contextlib
import os
import sys
import time

import faiss
import numpy

import cloud_servers
import jobs
import object_servers
import oracle
from http_proxy import FaultProxy
from jobs import CONFIG, KILLED, UNAVAILABLE

BUCKET = "indexes"
MIB = 1 << 20
LARGE = 150000  # rows of 1 KiB: more than a job holds in memory, so that the store is needed to the end
LISTS = 100     # of the index with lists on disk


def is_range(request):
    return request.method == "GET" and "range" in request.headers


class Stored(jobs.Jobs):
    """Index files in a folder and under the same names in a bucket, with a proxy in front of the store."""

    def __init__(self, server):
        super().__init__({"AWS_CA_BUNDLE": ""})
        self.server = server
        self.client = server.client()
        self.client.create_bucket(Bucket=BUCKET)
        self.sizes, self.expected = {}, {}
        self.write_all()

    def write_all(self):
        def keep(name, index, ids, vectors, write=faiss.write_index):
            write(index, self.path(name + ".index"))
            self.put(name)
            self.expected[name] = jobs.rows(ids, vectors)

        x = jobs.floats(20000, 64)
        ids = numpy.random.default_rng(2).permutation(1 << 20)[:20000].astype("i8")
        flat = faiss.IndexFlatL2(64)
        flat.add(x)
        keep("flat", flat, range(20000), x)
        mapped = faiss.IndexIDMap(faiss.IndexFlatIP(64))
        mapped.add_with_ids(x, ids)
        keep("mapped", mapped, ids, x)
        centroids = faiss.IndexFlatL2(64)
        centroids.add(jobs.floats(10000, 64, seed=4))
        keep("lists", self.ivf(faiss.IndexIVFFlat(centroids, 64, 10000), x, ids), ids, x)
        mapped = faiss.IndexIDMap(faiss.IndexIVFFlat(faiss.IndexFlatL2(64), 64, 50))
        keep("mapped_lists", self.ivf(mapped, x, ids), ids, x)
        hnsw = faiss.IndexHNSWFlat(64, 16)
        hnsw.add(x)
        keep("hnsw", hnsw, range(20000), x)
        bits = numpy.random.default_rng(3).integers(0, 256, (100000, 32), dtype="u1")
        binary = faiss.IndexBinaryFlat(256)
        binary.add(bits)
        keep("binary", binary, range(100000), bits, faiss.write_index_binary)
        self.on_disk(x, ids)
        x = jobs.floats(LARGE, 256)
        large = faiss.IndexFlatL2(256)
        large.add(x)
        keep("large", large, range(LARGE), x)

    @staticmethod
    def ivf(index, x, ids):
        index.train(x[:4000])
        index.add_with_ids(x, ids)
        return index

    def on_disk(self, x, ids):
        """Lists in a file of their own, which the index names by a path of this machine."""
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(64), 64, LISTS)
        index.train(x[:4000])
        lists = faiss.OnDiskInvertedLists(LISTS, index.code_size, self.path("apart.ivfdata"))
        index.replace_invlists(lists)
        index.add_with_ids(x, ids)
        faiss.write_index(index, self.path("apart.index"))
        del index, lists
        self.put("apart")
        self.put("apart.ivfdata", "apart.ivfdata")
        self.expected["apart"] = jobs.rows(ids, x)

    def put(self, name, file=None):
        file = file or name + ".index"
        self.sizes[name] = os.path.getsize(self.path(file))
        self.client.upload_file(self.path(file), BUCKET, file)

    def etag(self, key):
        return self.client.head_object(Bucket=BUCKET, Key=key)["ETag"].strip('"')

    def make(self, name, index, endpoint=None, rate="none", source=None, **more):
        more.setdefault("verify", "full")
        options = {**self.server.options(), "storage_endpoint": endpoint or self.server.uri, "extent_bytes": "1MiB"}
        return self.job(name, f"s3://{BUCKET}/{index}.index", {"driver": "files", "path": name},
                        source={**options, **(source or {})}, limits={"rate": rate, **more.pop("limits", {})}, **more)

    def slow(self, name, index="large", **more):
        """A run of the large file at a pace and with a memory by which most of it is still to be read when the first
        rows are there. Returns its process by then."""
        file = self.make(name, index, rate="25 MiB/s", source={"extent_bytes": "8MiB"},
                         limits={"memory": "48MiB", **more.pop("limits", {})}, **more)
        process = self.start("run", file)
        self.wait_rows(process, name, 1)
        return process

    def holds(self, name, index):
        oracle.check_files(self.path(name), index, self.expected[index])


# rows


def every_kind_of_index_arrives_as_from_the_local_file(work):
    for index in set(work.expected) - {"large"}:
        file = work.job("local_" + index, index + ".index", {"driver": "files", "path": "local_" + index})
        work.call("run", file)
        work.call("run", work.make("stored_" + index, index))
        work.ended("stored_" + index)
        work.holds("stored_" + index, index)
        parts = [oracle.read_files(work.path(kind + index), index)["_default"] for kind in ("local_", "stored_")]
        assert numpy.array_equal(*map(oracle.rows_as_bytes, parts)), index


def google_cloud_storage_and_azure_blob_are_read_alike(work):
    with cloud_servers.FakeGcs() as google, cloud_servers.Azurite() as azure:
        google.make_bucket(BUCKET)
        azure.make_container(BUCKET)
        for scheme, server in (("gs", google), ("az", azure)):
            for index in ("lists", "mapped"):
                with open(work.path(index + ".index"), "rb") as file:
                    server.put(BUCKET, index + ".index", file.read())
                name = f"{scheme}_{index}"
                work.call("run", work.job(name, f"{scheme}://{BUCKET}/{index}.index", {"driver": "files", "path": name},
                                          source={**server.options(), "extent_bytes": "1MiB"}, verify="full"))
                work.ended(name)
                work.holds(name, index)


def approximations_arrive_as_from_the_local_file(work):
    x = jobs.floats(20000, 64)
    index = faiss.IndexIVFPQ(faiss.IndexFlatL2(64), 64, 200, 8, 8)
    index.train(x[:8000])
    index.add(x)
    faiss.write_index(index, work.path("pq.index"))
    work.put("pq")
    work.call("run", work.job("local_pq", "pq.index", {"driver": "files", "path": "local_pq"}, source={"lossy": True}))
    with FaultProxy(work.server.port) as way:
        work.call("run", work.make("stored_pq", "pq", way.uri, source={"lossy": True}, verify="none"))
        assert way.count("GET") <= 30, way.requests
    parts = [oracle.read_files(work.path(kind + "pq"), "pq")["_default"] for kind in ("local_", "stored_")]
    assert numpy.array_equal(*map(oracle.rows_as_bytes, parts))


def lists_of_another_bucket_can_be_named(work):
    work.client.create_bucket(Bucket="lists")
    work.client.upload_file(work.path("apart.ivfdata"), "lists", "there/moved.data")
    work.client.upload_file(work.path("apart.index"), BUCKET, "alone/apart.index")
    file = work.make("alone", "alone/apart")
    work.fails(CONFIG, [f"s3://{BUCKET}/alone/apart.index: byte ", "source.invlists"], "run", file)
    work.call("run", work.make("named", "alone/apart", source={"invlists": "s3://lists/there/moved.data"}))
    work.holds("named", "apart")


# requests and memory


def the_walk_over_thousands_of_lists_is_a_few_requests(work):
    with FaultProxy(work.server.port) as way:
        options = work.server.options()
        said = work.call("inspect", f"s3://{BUCKET}/lists.index", environment={
            "AWS_ENDPOINT_URL": way.uri, "AWS_ACCESS_KEY_ID": options["storage_access_key"],
            "AWS_SECRET_ACCESS_KEY": options["storage_secret_key"], "AWS_REGION": "us-east-1"})
        assert "10000 lists (array" in said.out and "rows: 20000" in said.out, said.out
        assert way.count("HEAD") == 1 and 1 <= way.count("GET") <= 4, way.requests
        assert all(is_range(request) for request in way.requests if request.method == "GET"), way.requests


def an_extent_is_a_few_requests_and_no_byte_is_read_twice(work):
    """Lists on disk lie scattered: codes and ids of each."""
    for index, walk in (("flat", 1), ("mapped", 2), ("lists", 4), ("hnsw", 4), ("binary", 1), ("apart", 2 * LISTS)):
        with FaultProxy(work.server.port) as way:
            name = "counted_" + index
            work.call("run", work.make(name, index, way.uri, verify="none"))
            extents = work.status(name)["tasks"]["total"]
            gets, heads = way.count("GET"), way.count("HEAD")
            read = sum(int(end) - int(begin) + 1 for begin, end in
                       (request.headers["range"].removeprefix("bytes=").split("-") for request in way.requests
                        if is_range(request)))
            stored = work.sizes[index] + work.sizes.get(index + ".ivfdata", 0)
            print(f"   {index}: {extents} extents, {gets} GET, {heads} HEAD, {read / stored:.2f} of its bytes")
            assert extents >= 3, extents
            assert gets <= walk + 2 * extents, (index, gets, extents, way.requests)
            assert heads <= 10, (index, heads)
            assert read <= 1.1 * stored, (index, read, stored)


def memory_does_not_grow_with_the_file(work):
    process = work.start("run", work.make("bounded", "large", verify="none", limits={"memory": "48MiB"},
                                          source={"extent_bytes": "8MiB"}))
    peak = 0
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                peak = max([peak] + [int(line.split()[1]) for line in status if line.startswith("VmHWM:")])
        time.sleep(0.005)
    work.end(process, 0)
    print(f"   {peak / 1024:.0f} MiB at most, the file has {work.sizes['large'] / MIB:.0f}")
    assert 0 < peak < 96 * 1024, peak
    work.holds("bounded", "large")


# failures


def wrong_credentials_end_the_run_with_a_clear_message(work):
    file = work.make("wrong_key", "flat", source={"storage_secret_key": "not-the-secret-of-this-key"})
    ended = work.fails(CONFIG, [f"s3://{BUCKET}/flat.index", "403"], "run", file)
    assert "not-the-secret-of-this-key" not in ended.err + ended.out
    work.fails(CONFIG, [f"s3://{BUCKET}/none.index", "404"], "run", work.make("no_object", "none"))
    work.fails(CONFIG, ["s3:///flat.index", "names no bucket"], "run", work.job(
        "no_bucket", "s3:///flat.index", {"driver": "files", "path": "no_bucket"}))


def a_replaced_object_ends_the_run_with_both_values(work):
    work.client.copy_object(Bucket=BUCKET, Key="changing.index", CopySource=f"{BUCKET}/large.index")
    with open(work.path("large.index"), "r+b") as file:
        file.seek(1000)
        file.write(b"another")
    work.put("large")
    etags = [work.etag("changing.index")]
    process = work.slow("changing", "changing")
    work.client.copy_object(Bucket=BUCKET, Key="changing.index", CopySource=f"{BUCKET}/large.index")
    etags.append(work.etag("changing.index"))
    work.end(process, CONFIG)
    for word in (f"s3://{BUCKET}/changing.index", "byte ", "another object has taken its place", *etags):
        assert word in process.err, process.err
    work.fails(CONFIG, etags, "resume", "changing")


def answers_that_break_off_or_are_refused_are_asked_for_again(work):
    with FaultProxy(work.server.port) as way:
        way.on(is_range, "cut_reply", nth=2, times=2, after=1000)
        way.on(is_range, "answer", nth=3, times=2, status=503, code="SlowDown")
        way.on(is_range, "cut_reply", nth=2, times=1, after=-1)
        work.call("run", work.make("broken", "lists", way.uri))
        assert sum(1 for request in way.requests if request.fault) == 5, way.requests
    work.ended("broken")
    work.holds("broken", "lists")


def a_store_that_goes_away_and_comes_back_is_waited_for(work):
    process = work.slow("away")
    work.server.kill9()
    time.sleep(15)  # longer than a single request is tried again
    assert process.poll() is None, process.communicate()
    assert work.status("away")["rows_done"] < LARGE
    work.server.start()
    work.end(process, 0)
    work.ended("away")
    work.holds("away", "large")


def a_store_that_stays_away_is_given_up_after_the_patience(work):
    process = work.slow("gone", limits={"patience": "5s"})
    work.server.kill9()
    work.end(process, UNAVAILABLE)
    work.server.start()
    for word in (f"/{BUCKET}/large.index", "byte "):
        assert word in process.err, process.err
    assert work.status("gone")["rows_done"] < LARGE
    work.call("resume", "gone", "--set", "limits.rate=none")
    work.ended("gone")
    work.holds("gone", "large")


def a_killed_run_goes_on_where_it_was(work):
    process = work.slow("killed")
    work.wait_rows(process, "killed", LARGE // 3)
    process.kill()
    work.end(process, KILLED)
    work.call("resume", "killed", "--set", "limits.rate=none")
    work.ended("killed")
    work.holds("killed", "large")
    process = work.start("run", work.make("killed_lists", "lists", rate="5000 rows/s"))
    work.wait_rows(process, "killed_lists", 4000)
    process.kill()
    work.end(process, KILLED)
    work.call("resume", "killed_lists", "--set", "limits.rate=none")
    work.holds("killed_lists", "lists")


CHECKS = [
    every_kind_of_index_arrives_as_from_the_local_file,
    google_cloud_storage_and_azure_blob_are_read_alike,
    approximations_arrive_as_from_the_local_file,
    lists_of_another_bucket_can_be_named,
    the_walk_over_thousands_of_lists_is_a_few_requests,
    an_extent_is_a_few_requests_and_no_byte_is_read_twice,
    memory_does_not_grow_with_the_file,
    wrong_credentials_end_the_run_with_a_clear_message,
    answers_that_break_off_or_are_refused_are_asked_for_again,
    a_store_that_stays_away_is_given_up_after_the_patience,
    a_killed_run_goes_on_where_it_was,
    a_store_that_goes_away_and_comes_back_is_waited_for,
    a_replaced_object_ends_the_run_with_both_values,
]


def main():
    faiss.omp_set_num_threads(1)
    with object_servers.VersityGw() as server, Stored(server) as work:
        code = jobs.run_checks(CHECKS, work)
        said = "".join(work.said)
        assert object_servers.SECRET not in said, "the secret was said"
        sys.exit(code)


if __name__ == "__main__":
    main()
