"""Kill -9 at every failpoint that a job into an object store hits, and again at a seeded point of each resume.

Jobs write NumPy, Parquet and JSON lines, in one part and in several, new, beside what is there and over it, to a real
S3 server. After every kill a reader of the bucket finds what a manifest names whole, or no manifest. In the end the
bucket holds exactly the rows of the source and no object, part or local file beside.

MM_CRASH_SECONDS: wall time (60), the first hit of each point aside."""

import json
import os
import sys
import tempfile
import time

import numpy

import harness
import object_servers
import oracle
import test_enumeration_files as files
from harness import DONE, KILLED, Job, Wrong

BUCKET = "bucket"


class Remote(files.Kind):
    """New objects, one thread."""

    rows, dim, extent = 1200, 32, 300
    limits = {"dumpers": 1, "loaders": 1}
    file_size = "32KiB"
    verify = "full"
    server = boto = None
    number = 0

    def job(self, program=harness.PROGRAM, folder=None, **more):
        job = super().job(program, folder, **more)
        type(self).number += 1
        job.prefix = f"{type(self).__name__}/{type(self).number}"
        self.point_to(job, job.prefix)
        return job

    def point_to(self, job, prefix):
        """Sends the job's rows to the bucket."""
        with open(job.file, encoding="utf-8") as file:
            spec = json.load(file)
        spec["target"].update(self.server.options(), path=f"s3://{BUCKET}/{prefix}")
        with open(job.file, "w", encoding="utf-8") as file:
            json.dump(spec, file)

    def listed(self, job):
        pages = self.boto.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=job.prefix + "/rows/")
        return {entry["Key"].removeprefix(job.prefix + "/rows/") for page in pages for entry in page.get("Contents", [])}

    def fetch(self, job, path):
        return self.boto.get_object(Bucket=BUCKET, Key=f"{job.prefix}/rows/{path}")["Body"].read()

    def published(self, job):
        """(columns, paths) by the manifest; None: there is none."""
        if "manifest.json" not in self.listed(job):
            return None
        manifest, units = json.loads(self.fetch(job, "manifest.json")), {}
        for entry in manifest["files"]:
            unit, columns = oracle.read_entry("", manifest, entry, self.fetch(job, entry["path"]))
            units.setdefault(unit, {}).update(columns)
        columns = oracle._join(units, [field["name"] for field in manifest["schema"]["fields"]])
        return columns, {entry["path"] for entry in manifest["files"]}

    def allowed(self):
        """What a reader may see before the job is done."""
        return (None, self.expected())

    def check_between(self, job):
        found = self.published(job)
        if not any(same(found and found[0], rows) for rows in self.allowed()):
            raise Wrong(f"{job.prefix}: what is published is neither the old nor the new\n{job.story()}")

    def check(self, job):
        found = self.published(job)
        if found is None or not same(found[0], self.expected()):
            raise Wrong(f"{job.prefix} holds other rows\n{job.story()}")
        if self.listed(job) != found[1] | {"manifest.json"}:
            raise Wrong(f"{job.prefix} holds {sorted(self.listed(job) ^ found[1])}\n{job.story()}")
        uploads = self.boto.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        if any(upload["Key"].startswith(job.prefix + "/") for upload in uploads):
            raise Wrong(f"{job.prefix}: uploads that never ended: {uploads}\n{job.story()}")
        left = [name for name in os.listdir(job.state) if name.endswith(".spool")]
        if left:
            raise Wrong(f"the spool stays behind: {left}\n{job.story()}")


def same(found, rows):
    if found is None or rows is None:
        return found is rows
    return numpy.array_equal(oracle.rows_as_bytes(found), oracle.rows_as_bytes(rows))


class RemoteParquet(Remote):
    """Many threads; row groups."""

    limits = {"dumpers": 2, "loaders": 3}
    format = "parquet"


class RemoteLines(Remote):
    format = "jsonl"


class RemoteParts(Remote):
    """A file that is sent in several parts."""

    rows, dim, extent = 9000, 1024, 4500
    file_size = "64MiB"
    verify = "count"

    def make(self):
        return harness.flat_file(self.path, self.rows, self.dim, 2)


class RemoteReplacing(Remote):
    entry = {"if_exists": "overwrite"}
    old_rows = 40

    def __init__(self, folder):
        super().__init__(folder)
        self.old_path = os.path.join(folder, type(self).__name__ + "-old.index")
        self.old = harness.flat_file(self.old_path, self.old_rows, self.dim, 9)

    def before(self, job):
        spec = {"source": {"driver": "faiss", "path": self.old_path}, "target": {"driver": "files", "format": self.format},
                "collections": [{"to": "rows"}]}
        old = Job(spec, name="old", folder=job.folder + "/old")
        self.point_to(old, job.prefix)
        if old.start().code != DONE:
            raise Wrong(old.story())

    def allowed(self):
        return (self.old, self.expected())


class RemoteAdding(RemoteReplacing):
    entry = {"if_exists": "append"}

    def expected(self):
        return {name: numpy.concatenate([self.old[name], self.columns[name]]) for name in self.columns}


def check_cancelled(kind):
    """A run is cancelled in mid-copy: the next one removes what it left in the bucket and in the spool."""
    job = kind.job()
    kind.before(job)
    if job.strike("files.carry.recorded:2:kill").code != KILLED or job.go("cancel", job.name, "-q").code != DONE:
        raise Wrong(job.story())
    if not kind.listed(job):
        raise Wrong(f"nothing was carried before the kill\n{job.story()}")
    if job.strike("files.prepare.orphan:1:kill").code != KILLED:
        raise Wrong(f"files.prepare.orphan was not hit\n{job.story()}")
    job.finish()
    harness.check_done(job, len(kind.columns["id"]))
    kind.check(job)
    job.remove()


def check_spool_lost(kind):
    """A spool that is gone is named, not papered over."""
    job = kind.job()
    if job.strike("files.carry.recorded:1:kill").code != KILLED:
        raise Wrong(job.story())
    spool = next(os.path.join(job.state, name) for name in os.listdir(job.state) if name.endswith(".spool"))
    os.rename(spool, spool + "-away")
    refused = job.resume()
    if refused.code != harness.CONFIG or ".spool" not in refused.err:
        raise Wrong(f"{refused!r}\n{job.story()}")
    os.rename(spool + "-away", spool)
    job.finish()
    kind.check(job)
    job.remove()


def check_modes(kind):
    """A manifest is a collection: refused, skipped."""
    job = kind.job()
    kind.before(job)
    for rule, code in (("fail", harness.CONFIG), ("skip", DONE)):
        with open(job.file, encoding="utf-8") as file:
            spec = json.load(file)
        spec["job"], spec["collections"][0]["if_exists"] = rule, rule
        other = Job({key: value for key, value in spec.items() if key not in ("version", "job")}, name=rule, folder=job.folder)
        ended = other.start()
        if ended.code != code or (rule == "fail" and "holds a collection already" not in ended.err):
            raise Wrong(f"{rule}: {ended!r}")
        if not same(kind.published(job)[0], kind.old):
            raise Wrong(f"{rule} changed what was there")
    job.remove()


def main():
    try:
        object_servers.program("versitygw")
    except RuntimeError as error:
        raise SystemExit(f"versitygw cannot be built here: {error}") from None
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, object_servers.VersityGw() as server:
        Remote.server, Remote.boto = server, server.client()
        Remote.boto.create_bucket(Bucket=BUCKET)
        kinds = [kind(folder) for kind in (Remote, RemoteParquet, RemoteLines, RemoteReplacing, RemoteAdding)]
        learned = {kind: files.learn(kind) for kind in kinds}
        deaths = sum(files.check_chain(kind, learned[kind]) for kind in kinds)
        check_cancelled(kinds[0])
        check_spool_lost(kinds[0])
        check_modes(kinds[3])
        parts = RemoteParts(folder)
        for number in (1, 2):
            files.check_case(parts, (f"files.carry.progress:{number}:kill", f"files.carry.sent:{number}:kill"))
        first, rest = files.in_turn([files.plan_cases(kind, learned[kind], number, False)
                                     for number, kind in enumerate(kinds)], 1)
        clock = harness.Clock(harness.seconds(60))
        done = harness.run_cases(first, lambda case: files.check_case(*case), parallel=6)
        done += harness.run_cases(rest, lambda case: files.check_case(*case), parallel=6, clock=clock)
    print(f"{done} of {len(first) + len(rest)} cases, {deaths} deaths in chains, {len(set().union(*learned.values()))} points, "
          f"{len(harness.points.struck)} of them struck, {time.monotonic() - began:.0f} s")
    print(json.dumps(sorted(harness.points.struck)))
    print("1 passed")


if __name__ == "__main__":
    sys.exit(main())
