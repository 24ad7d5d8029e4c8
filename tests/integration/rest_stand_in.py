"""A stand-in for the import jobs of Milvus 2.4 and later, and of Zilliz Cloud: no such server is to be had in the
package registries. It speaks their REST interface as it is published (docs/testing.md says what comes from where),
keeps jobs, and carries them out by Insert into a real Milvus 2.3.5, so that rows can be compared.

It does what a test tells it:

    with RestStandIn(milvus.uri, auth="root:Milvus") as rest:
        rest.delay = 0.2                 # seconds that a job takes
        rest.tell_files_after = 0.5      # a job's details are empty until then (the pre-import)
        rest.idempotent = True           # knows Idempotency-Key
        rest.version = "2.4"             # no describe, only get_progress
        rest.fail("disk quota exceeded", rows=0)   # the next job fails; that share of its rows was written
        rest.lose_answer()               # the next create is carried out, its connection cut
        held = rest.hold()               # the next create waits for held.set()
        rest.forget()                    # all jobs that have ended are forgotten
        rest.restart()                   # jobs under way fail
        rest.volumes["name"] = {...}     # what "apply" answers for a volume; rest.applied counts
"""

import contextlib
import json
import logging
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy

PREFIX = "/v2/vectordb/jobs/import/"
APPLY = "/v2/volumes/apply"


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class _Job:
    def __init__(self, number, collection, partition, groups, seconds):
        self.id, self.collection, self.partition, self.groups = str(number), collection, partition, groups
        self.began, self.seconds = time.monotonic(), seconds
        self.state, self.reason, self.rows = "Pending", "", 0


class RestStandIn:
    def __init__(self, milvus, auth=None, cloud=None, objects=None):
        """auth: what must stand behind "Bearer ". cloud: the cluster's id, when this is Zilliz Cloud.
        objects: turns a file's name into a local path (default: the name is one)."""
        from pymilvus import MilvusClient

        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # a refusal is an answer here
        self.client = MilvusClient(milvus)
        self.auth, self.cloud, self.objects = auth, cloud, objects or (lambda name: name)
        self.delay, self.tell_files_after, self.idempotent, self.version = 0.1, 0.0, False, "2.5"
        self.jobs, self.keys, self.creates, self.requests = {}, {}, [], []
        self.volumes, self.applied = {}, 0
        self._failures, self._held, self._lose = [], [], 0
        self._number = 448600000000000000
        self._lock = threading.RLock()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                stand_in._answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.client.close()

    # what a test tells it

    def fail(self, reason, rows=0.0):
        self._failures.append((reason, rows))

    def hold(self):
        event = threading.Event()
        self._held.append(event)
        return event

    def lose_answer(self):
        self._lose += 1

    def forget(self):
        with self._lock:
            self.jobs = {key: job for key, job in self.jobs.items() if job.state in ("Pending", "Importing")}

    def restart(self):
        with self._lock:
            for job in self.jobs.values():
                if job.state in ("Pending", "Importing"):
                    job.state, job.reason = "Failed", "context canceled: node is shutting down"

    # the interface

    def _answer(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.requests.append((request.path, body))
        try:
            data = self._do(request, json.loads(body))
            answer = {"code": 0, "data": data}
        except Refused as refused:
            answer = {"code": refused.code, "message": str(refused)}
        except ConnectionAbortedError:
            with contextlib.suppress(OSError):
                request.connection.shutdown(socket.SHUT_RDWR)
            request.close_connection = True
            return
        text = json.dumps(answer).encode()
        with contextlib.suppress(OSError):
            request.send_response(200)
            request.send_header("Content-Type", "application/json; charset=utf-8")
            request.send_header("Content-Length", str(len(text)))
            request.end_headers()
            request.wfile.write(text)

    def _do(self, request, body):
        if request.path == APPLY and self.cloud:
            return self._apply(request, body)
        if not request.path.startswith(PREFIX):
            raise Refused(404, "not found")
        if self.auth and request.headers.get("Authorization") != "Bearer " + self.auth:
            raise Refused(1800, "user hasn't authenticated")
        if self.cloud and body.get("clusterId") != self.cloud:
            raise Refused(1802, "missing required parameters, error: Field validation for 'ClusterId' failed")
        verb = request.path[len(PREFIX):]
        if verb == "create":
            return self._create(body, request.headers.get("Idempotency-Key"))
        if verb == "list":
            return self._list(body)
        if verb == "get_progress" and not self.cloud or verb == "describe" and self.version != "2.4":
            return self._describe(body)
        raise Refused(404, f"no such path: {request.path}")

    def _apply(self, request, body):
        if self.auth and request.headers.get("Authorization") != "Bearer " + self.auth:
            raise Refused(80001, "the token is illegal")
        if body.get("volumeName") not in self.volumes:
            raise Refused(30001, f"volume not found: {body.get('volumeName')}")
        self.applied += 1
        return self.volumes[body["volumeName"]]

    def _create(self, body, key):
        if self._held:
            self._held.pop(0).wait(120)
        with self._lock:
            if key and self.idempotent and key in self.keys:
                return {"jobId": self.keys[key]}
            groups = body.get("dataPaths" if "volumeName" in body else "objectUrls" if self.cloud else "files")
            if not groups or not all(isinstance(group, list) and group for group in groups):
                raise Refused(1802, "missing required parameters, error: Field validation for 'Files' failed")
            collection = self._resolve(body.get("collectionName", ""))
            partition = body.get("partitionName", "")
            if partition and partition not in self.client.list_partitions(collection):
                raise Refused(200, f"partition not found[partition={partition}]")
            self._number += 1
            job = _Job(self._number, collection, partition, groups, self.delay)
            self.jobs[job.id] = job
            self.creates.append((key, groups))
            if key:
                self.keys[key] = job.id
            lost, self._lose = self._lose > 0, max(0, self._lose - 1)
            failure = self._failures.pop(0) if self._failures else None
        threading.Thread(target=self._carry_out, args=(job, failure), daemon=True).start()
        if lost:
            raise ConnectionAbortedError
        return {"jobId": job.id}

    def _resolve(self, name):
        """The collection behind a name or an alias, at the time of the request, as a server does it."""
        from pymilvus import MilvusException

        try:
            return self.client.describe_collection(name)["collection_name"]
        except MilvusException as error:
            raise Refused(100, f"collection not found[collection={name}]: {error.message}") from None

    def _list(self, body):
        wanted = body.get("collectionName")
        name = self._resolve(wanted) if wanted else None
        jobs = [job for job in list(self.jobs.values()) if name in (None, job.collection)]
        if self.cloud:
            size, page = body.get("pageSize", 10), body.get("currentPage", 1)
            jobs = jobs[size * (page - 1):size * page]
        return {"records": [{"jobId": job.id, "collectionName": job.collection, "state": job.state,
                             "progress": self._progress(job)} for job in jobs]}

    def _describe(self, body):
        job = self.jobs.get(body.get("jobId"))
        if job is None:
            raise Refused(1100 if self.version != "2.4" else 65535, f"import job does not exist, jobID={body.get('jobId')}")
        told = time.monotonic() - job.began >= self.tell_files_after
        details = [{"fileName": "[" + " ".join(group) + "]", "fileSize": 1, "progress": self._progress(job),
                    "state": job.state, "importedRows": job.rows, "totalRows": job.rows} for group in job.groups] if told else []
        data = {"jobId": job.id, "collectionName": job.collection, "state": job.state, "progress": self._progress(job),
                "importedRows": job.rows, "totalRows": job.rows, "fileSize": 1, "details": details}
        if job.reason:
            data["reason"] = job.reason
        return data

    @staticmethod
    def _progress(job):
        return {"Completed": 100, "Failed": 0}.get(job.state, min(90, int(100 * (time.monotonic() - job.began) / (job.seconds + 1e-9))))

    # the import itself

    def _carry_out(self, job, failure):
        time.sleep(job.seconds / 2)
        with self._lock:
            if job.state != "Pending":
                return
            job.state = "Importing"
        try:
            tables = [self._read(group) for group in job.groups]
        except (OSError, ValueError) as error:
            job.state, job.reason = "Failed", f"failed to read files: {error}"
            return
        time.sleep(job.seconds / 2)
        with self._lock:
            if job.state != "Importing":
                return
            reason, share = failure or ("", 1.0)
            for table in tables:
                self._insert(job, table, share)
            job.reason, job.state = reason, "Failed" if failure else "Completed"

    def _read(self, group):
        """Columns of one file group."""
        if all(name.endswith(".npy") for name in group):
            return {os.path.splitext(os.path.basename(name))[0]: numpy.load(self.objects(name)) for name in group}
        if len(group) != 1:
            raise ValueError("a group of several files must be NumPy")
        path = self.objects(group[0])
        if path.endswith(".parquet"):
            import pyarrow.parquet

            return pyarrow.parquet.read_table(path).to_pydict()
        with open(path, encoding="utf-8") as file:
            rows = json.load(file)
        rows = rows["rows"] if isinstance(rows, dict) else rows
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _insert(self, job, table, share):
        count = len(next(iter(table.values())))
        rows = [{name: _plain(column[number]) for name, column in table.items()} for number in range(int(count * share))]
        for first in range(0, len(rows), 5000):
            self.client.insert(job.collection, rows[first:first + 5000], partition_name=job.partition or None)
        job.rows += len(rows)


def _plain(value):
    return value.tolist() if isinstance(value, (numpy.ndarray, numpy.generic)) else value
