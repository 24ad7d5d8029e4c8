"""transfer: import through the REST jobs of Milvus 2.4 and later. The jobs are a stand-in's (rest_stand_in.py), the
rows are a real Milvus's: what is compared in the end is what stands there."""

import json
import os
import sys
import time

import numpy
import oracle
import servers
from jobs import CONFIG, DATA, DONE, KILLED, Jobs, floats, rows, run_checks, write_flat
from object_servers import ACCESS, SECRET, VersityGw
from rest_stand_in import RestStandIn

ROWS, DIM = 3000, 16
AUTH = "root:Milvus"


class Case:
    """One job with a stand-in of its own."""

    def __init__(self, server, jobs, name):
        self.server, self.jobs, self.name = server, jobs, name
        self.rest = RestStandIn(server.uri, auth=AUTH)
        self.stage = jobs.path("stage_" + name)
        os.makedirs(self.stage)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.rest.__exit__()

    def job(self, verify="full", **target):
        return self.jobs.job(self.name, self.jobs.path("flat.index"),
                             {"driver": "milvus", "endpoint": self.server.uri, "token": AUTH, "transfer": "import",
                              "rest_endpoint": self.rest.uri, "staging": self.stage,
                              **{"import_api": "rest", "format": "npy", "file_size": "64KiB", **target}},
                             {"to": self.name}, source={"extent_rows": 500}, verify=verify,
                             limits={"dumpers": 1, "loaders": 2, "patience": "30s"})

    def run(self, code=DONE, failpoint=None, **more):
        """more: verify, or options of the target."""
        return self.jobs.call("run", self.job(**more), code=code, failpoint=failpoint)

    def check(self, groups=None):
        """Every row once; nothing staged is left; each group of files was asked for so often."""
        oracle.check_milvus(self.server.uri, self.name, self.jobs.rows)
        left = [name for _, _, names in os.walk(self.stage) for name in names]
        assert not left, left
        assert not self.rest.client.describe_collection(self.name).get("aliases")
        if groups is not None:
            asked = [tuple(group) for _, job in self.rest.creates for group in job]
            assert len(asked) == groups, asked


def units_of(case):
    return {os.path.dirname(group[0]) for _, job in case.rest.creates for group in job}


def several_files_go_into_one_job(case):
    case.run(import_jobs=1)
    case.check()
    assert len(case.rest.creates) < len(units_of(case)), case.rest.creates
    assert len({key for key, _ in case.rest.creates}) == len(case.rest.creates)


def parquet_and_json_are_imported(case):
    for form in ("parquet", "json"):
        name = case.name
        case.name = f"{name}_{form}"
        case.run(format=form)
        case.check()
        case.name = name


def wrong_credentials_end_it_at_once(case):
    case.rest.auth = "somebody:else"
    ended = case.run(code=CONFIG)
    assert "authenticated" in ended.err, ended.err


def a_lost_answer_is_found_in_the_list(case):
    case.rest.lose_answer()
    case.run()
    case.check(groups=len(units_of(case)))


def a_job_that_tells_its_files_late_is_waited_for(case):
    case.rest.tell_files_after, case.rest.delay = 2.0, 2.5
    case.rest.lose_answer()
    case.run()
    case.check(groups=len(units_of(case)))


def a_failure_before_anything_was_written_is_tried_again(case):
    case.rest.fail("disk quota exceeded, please allocate more resources")
    ended = case.run()
    case.check()
    assert "tried again" in ended.err and any("/.try2/" in name for _, job in case.rest.creates for name in job[0])


def a_job_that_wrote_a_part_is_told_by_its_keys(case):
    case.rest.fail("node 7 went away", rows=0.5)
    ended = case.run()
    case.check()
    assert "keys" in ended.err, ended.err


def a_job_that_wrote_all_and_failed_is_not_repeated(case):
    case.rest.fail("node 7 went away", rows=1.0)
    case.run()
    case.check(groups=len(units_of(case)))


def a_restart_of_the_server_is_survived(case):
    case.rest.delay = 3.0
    process = case.jobs.start("run", case.job())
    end = time.monotonic() + 30
    while not case.rest.jobs and time.monotonic() < end:
        time.sleep(0.02)
    case.rest.restart()
    case.rest.delay = 0.1
    case.jobs.end(process, DONE)
    case.check()


def jobs_that_are_forgotten_are_told_by_their_keys(case):
    """Killed while jobs are under way; when the next process comes they have ended and are forgotten."""
    case.run(code=KILLED, failpoint="import.sent.recorded:1:kill")
    end = time.monotonic() + 30
    while any(job.state != "Completed" for job in case.rest.jobs.values()) and time.monotonic() < end:
        time.sleep(0.02)
    case.rest.forget()
    case.jobs.call("resume", case.name)
    case.check(groups=len(units_of(case)))


def a_request_that_arrives_late_is_refused(case):
    """Held back by the network; its sender is killed, its files are imported under other names; then it arrives."""
    held = case.rest.hold()
    process = case.jobs.start("run", case.job(), failpoint="import.create.before:99:kill")
    end = time.monotonic() + 30
    while len(case.rest.requests) < 1 and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    case.jobs.end(process, KILLED)
    case.jobs.call("resume", case.name)
    held.set()
    time.sleep(2)
    case.check()


def a_server_that_knows_the_idempotency_key_answers_with_the_first_job(case):
    case.rest.idempotent = True
    case.rest.lose_answer()
    case.run()
    case.check(groups=len(units_of(case)))


def a_server_of_2_4_is_asked_for_progress(case):
    case.rest.version = "2.4"
    case.run()
    case.check()
    assert {path.rsplit("/", 1)[1] for path, _ in case.rest.requests} <= {"create", "get_progress", "list"}


def what_is_wrong_with_the_files_ends_the_run(case):
    case.rest.fail("illegal dimension 8 of numpy file for float vector field 'vector', dimension should be 16")
    ended = case.run(code=DATA)
    assert "illegal dimension" in ended.err and "vector.npy" in ended.err or "id.npy" in ended.err, ended.err


def tries_are_bounded(case):
    for _ in range(20):
        case.rest.fail("disk quota exceeded")
    ended = case.run(code=DATA, import_tries=3, import_jobs=1, file_size="1GiB", verify="count")
    assert "import_tries" in ended.err and "disk quota" in ended.err, ended.err
    case.rest._failures.clear()
    case.jobs.call("resume", case.name, "--set", "target.import_tries=9")
    case.check()


def kept_files_stay(case):
    case.run(keep_staged=True)
    left = [name for _, _, names in os.walk(case.stage) for name in names if name.endswith(".npy")]
    assert len(left) == 2 * len(units_of(case)), left


class CloudCase(Case):
    """Zilliz Cloud's form of it: objects in a bucket, named by URLs, with the keys to read them."""

    def __init__(self, server, jobs, name, store):
        super().__init__(server, jobs, name)
        self.store = store
        self.rest.cloud = "in01-0123"
        self.rest.objects = lambda url: os.path.join(store.folder, "data", url.removeprefix("s3://"))
        self.stage = f"s3://imports/{name}"

    def job(self, **target):
        return super().job(import_api="zilliz", cluster_id="in01-0123", **self.store.options(), **target)

    def check(self, groups=None):
        oracle.check_milvus(self.server.uri, self.name, self.jobs.rows)
        left = self.store.client().list_objects_v2(Bucket="imports", Prefix=self.name + "/").get("Contents", [])
        assert not left, left


def objects_are_imported_by_zilliz_cloud(case):
    """Staged in an object store, asked for by URL with credentials, tried again under other names, removed."""
    case.rest.fail("disk quota exceeded")
    case.run(format="parquet")
    case.check()
    bodies = [json.loads(body) for path, body in case.rest.requests if path.endswith("create")]
    assert len(bodies) > 1, bodies
    for body in bodies:
        assert body["accessKey"] == ACCESS and body["secretKey"] == SECRET and body["clusterId"] == "in01-0123", body
        assert all(url.startswith("s3://imports/") for group in body["objectUrls"] for url in group), body
    assert any("/.try2/" in url for body in bodies for group in body["objectUrls"] for url in group)


def a_cloud_job_that_is_killed_goes_on(case):
    case.run(code=KILLED, failpoint="import.create.after:1:kill", format="parquet")
    case.jobs.call("resume", case.name)
    case.check()


class VolumeCase(CloudCase):
    """A volume of Zilliz Cloud: a bucket and temporary keys to it that the control plane hands out."""

    def __init__(self, server, jobs, name, store):
        super().__init__(server, jobs, name, store)
        self.stage = f"volume://vol_{name}/in/{name}"
        self.rest.objects = lambda path: os.path.join(store.folder, "data", "imports", name, path)
        self.lease("2099-01-01T00:00:00Z")

    def lease(self, ends, secret=SECRET):
        self.rest.volumes["vol_" + self.name] = {
            "endpoint": self.store.uri, "cloud": "aws", "region": self.store.region, "bucketName": "imports",
            "volumePrefix": self.name + "/", "volumeName": "vol_" + self.name, "condition": {"maxContentLength": 1 << 40},
            "credentials": {"tmpAK": ACCESS, "tmpSK": secret, "sessionToken": "", "expireTime": ends}}

    def job(self, **target):
        return Case.job(self, import_api="zilliz", cluster_id="in01-0123", storage_endpoint=self.rest.uri,
                        storage_secret_key=AUTH, **target)


def a_volume_is_staged_in_and_imported_from(case):
    case.run(format="parquet")
    case.check()
    for path, body in case.rest.requests:
        if path.endswith("create"):
            body = json.loads(body)
            assert body["volumeName"] == "vol_" + case.name and "accessKey" not in body and "objectUrls" not in body, body
            assert all(name.startswith(f"in/{case.name}/") for group in body["dataPaths"] for name in group), body
    assert case.rest.applied >= 1


def keys_of_a_volume_that_end_soon_are_taken_anew(case):
    case.lease("2000-01-01T00:00:00Z")
    case.run(code=KILLED, failpoint="import.create.after:1:kill", format="parquet", file_size="1MiB")
    before = case.rest.applied
    assert before > 3, before  # for each request
    case.jobs.call("resume", case.name)
    case.check()


def a_volume_that_is_not_there_is_named(case):
    case.rest.volumes.clear()
    ended = case.run(code=CONFIG, format="parquet")
    assert "volume not found" in ended.err and "vol_" + case.name in ended.err, ended.err
    assert AUTH not in ended.err


CHECKS = [several_files_go_into_one_job, parquet_and_json_are_imported, wrong_credentials_end_it_at_once,
          a_lost_answer_is_found_in_the_list, a_job_that_tells_its_files_late_is_waited_for,
          a_failure_before_anything_was_written_is_tried_again, a_job_that_wrote_a_part_is_told_by_its_keys,
          a_job_that_wrote_all_and_failed_is_not_repeated, a_restart_of_the_server_is_survived,
          jobs_that_are_forgotten_are_told_by_their_keys, a_request_that_arrives_late_is_refused,
          a_server_that_knows_the_idempotency_key_answers_with_the_first_job, a_server_of_2_4_is_asked_for_progress,
          what_is_wrong_with_the_files_ends_the_run, tries_are_bounded, kept_files_stay]


def with_case(check, name, kind=Case):
    def run(server, jobs):
        with kind(server, jobs, name) as case:
            check(case)
    run.__name__ = check.__name__
    return run


def main():
    servers.private_network()
    with servers.MilvusStandalone() as server, VersityGw() as store, Jobs() as jobs:
        store.client().create_bucket(Bucket="imports")
        vectors = floats(ROWS, DIM)
        write_flat(jobs.path("flat.index"), vectors)
        jobs.rows = rows(numpy.arange(ROWS), vectors)
        cloud = [with_case(check, f"cloud_{number}", lambda *more: CloudCase(*more, store))
                 for number, check in enumerate((objects_are_imported_by_zilliz_cloud, a_cloud_job_that_is_killed_goes_on))]
        cloud += [with_case(check, f"volume_{number}", lambda *more: VolumeCase(*more, store))
                  for number, check in enumerate((a_volume_is_staged_in_and_imported_from,
                                                  keys_of_a_volume_that_end_soon_are_taken_anew,
                                                  a_volume_that_is_not_there_is_named))]
        return run_checks([with_case(check, f"rest_{number:02}") for number, check in enumerate(CHECKS)] + cloud,
                          server, jobs, together=2)


if __name__ == "__main__":
    sys.exit(main())
