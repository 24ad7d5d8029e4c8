"""Whole jobs from FAISS files to NumPy files, and what needs no server: rates, changed sources, job names,
cron-like runs, what status and the log look like to machines, a target that is not there."""

import json
import os
import re
import shutil
import sys
import time

import jobs
import oracle
import servers
from jobs import CONFIG, DATA, INTERRUPTED, UNAVAILABLE, UNFINISHED

ROWS = 20000
STATES = ("planned", "running", "interrupted", "failed", "cancelled", "done")


class Files(jobs.Jobs):
    """Jobs from products.index, rows 0 to ROWS - 1."""

    def __init__(self):
        super().__init__()
        self.vectors = jobs.floats(ROWS, 8)
        self.expected = jobs.rows(range(ROWS), self.vectors)
        jobs.write_flat(self.path("products.index"), self.vectors)

    def make(self, name, path="products.index", rate="none", collection=None, **more):
        more.setdefault("verify", "full")
        return self.job(name, path, {"driver": "files", "path": name}, collection,
                        source={"extent_rows": more.pop("extent_rows", 1000)}, limits={"rate": rate, **more.pop("limits", {})}, **more)

    def holds(self, name, expected=None, collection="products"):
        oracle.check_files(self.path(name), collection, expected or self.expected)


# what a user sees


def check_object(status):
    """Exactly the keys and types of the documented object."""
    number, text, maybe = (int,), (str,), (type(None),)
    types = {"job": text, "run": number, "state": text, "rows_done": number, "rows_total": number + maybe,
             "rows_rejected": number, "bytes_done": number, "tasks": (dict,), "rate_rows_per_s": (int, float) + maybe,
             "eta_s": number + maybe, "started_at": text, "finished_at": text + maybe, "verdict": (dict,),
             "error": text + maybe}
    assert list(status) == list(types), status
    for key, kinds in types.items():
        assert isinstance(status[key], kinds) and not isinstance(status[key], bool), (key, status)
    assert list(status["tasks"]) == ["total", "done", "running"], status
    assert all(isinstance(value, int) for value in status["tasks"].values()), status
    verdict = status["verdict"]
    assert list(verdict) == ["state", "source_rows", "target_rows", "mismatches"], status
    assert status["state"] in STATES, status
    assert verdict["state"] in ("none", "unverified", "equal", "different"), status
    known = verdict["state"] in ("equal", "different")
    assert all((verdict[key] is not None) == known for key in list(verdict)[1:]), status
    for key in ("started_at", "finished_at"):
        assert status[key] is None or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status[key]), status


def status_as_json_has_exactly_the_documented_keys_in_every_state(work):
    file = work.make("states", rate="4000 rows/s")
    process = work.start("run", file)
    work.wait_rows(process, "states", 1)
    running = work.status("states")
    check_object(running)
    assert running["state"] == "running" and running["finished_at"] is None, running
    assert running["rows_total"] == ROWS and running["tasks"]["total"] == ROWS // 1000, running
    assert running["tasks"]["running"] >= 1 and running["eta_s"] is not None, running
    assert 2000 < running["rate_rows_per_s"] < 8000, running
    process.terminate()
    work.end(process, INTERRUPTED)
    stopped = work.ended("states", "interrupted", "none", finished_at=None, eta_s=None)
    check_object(stopped)
    assert stopped["tasks"]["running"] == 0, stopped
    work.call("resume", "states", "--set", "limits.rate=none")
    done = work.ended("states", rows_done=ROWS, rows_total=ROWS, rows_rejected=0, error=None, eta_s=None, run=1)
    check_object(done)
    assert done["verdict"] == {"state": "equal", "source_rows": ROWS, "target_rows": ROWS, "mismatches": 0}, done
    assert done["bytes_done"] == ROWS * (8 + 8 * 4), done
    assert done["tasks"] == {"total": 20, "done": 20, "running": 0}, done
    assert done["started_at"] <= done["finished_at"], done
    work.call("run", work.make("cancelled", rate="4000 rows/s"), "--stop-after", "1s", code=INTERRUPTED)
    work.call("cancel", "cancelled")
    check_object(work.ended("cancelled", "cancelled", "none"))
    every = json.loads(work.call("status", "--json").out)
    assert list(every) == ["jobs"] and {"states", "cancelled"} <= {one["job"] for one in every["jobs"]}, every
    for one in every["jobs"]:
        check_object(one)
    work.holds("states")


def an_unverified_run_says_so(work):
    work.call("run", work.make("unverified", verify="none"))
    check_object(work.ended("unverified", verdict="unverified"))
    work.holds("unverified")
    work.call("verify", "unverified", "--full")
    work.ended("unverified", verdict="equal")


def the_log_as_json_is_one_object_a_line(work):
    ended = work.call("run", work.make("logged", rate="10000 rows/s"), "--log-format", "json", "--log-level", "debug")
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert lines and all(line["level"] in ("error", "warn", "info", "debug") for line in lines), lines
    assert any("source and target are equal" in line["message"] for line in lines), lines
    ended = work.call("run", work.path("none.yaml"), "--log-format", "json", code=CONFIG)
    assert [json.loads(line)["level"] for line in ended.err.splitlines()] == ["error"], ended.err


def the_example_jobs_are_valid_and_a_misspelt_one_is_not(work):
    folder = os.path.join(jobs.ROOT, "configs")
    examples = [name for name in sorted(os.listdir(folder)) if name.endswith(".yaml")]
    assert examples
    for name in examples:
        work.call("config", "--check", os.path.join(folder, name))
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text = file.read()
        with open(work.path(name), "w", encoding="utf-8") as file:
            file.write(text.replace("\nverify:", "\nverfy:"))
        line = text[:text.index("\nverify:")].count("\n") + 2
        work.fails(CONFIG, [f"{name}:{line}:1: ", "did you mean `verify`?"], "config", "--check", name)


# runs


def a_rate_limit_is_kept_within_a_fifth(work):
    for number, rate in enumerate(("4000 rows/s", "156.25 KiB/s", "160kB/s")):
        name = f"rate{number}"
        began = time.monotonic()
        work.call("run", work.make(name, rate=rate, verify="none"))
        took = time.monotonic() - began
        assert 0.8 * ROWS / 4000 < took < 1.2 * ROWS / 4000 + 1, (rate, took)
        assert 3200 < work.status(name)["rate_rows_per_s"] < 4800, work.status(name)
        work.holds(name)


def a_rate_limit_is_kept_within_one_extent(work):
    """No batch is larger than what may go in a second; without that all these rows would be one."""
    for number, rate in enumerate(("8000 rows/s", "320kB/s")):
        name = f"whole{number}"
        began = time.monotonic()
        work.call("run", work.make(name, rate=rate, verify="none", extent_rows=ROWS))
        took = time.monotonic() - began
        assert ROWS / 8000 - 1.2 < took < ROWS / 8000 + 1.5, (rate, took)
        work.holds(name)


def a_stop_does_not_end_a_slow_run_with_a_burst(work):
    work.call("run", work.make("gentle", rate="4000 rows/s", limits={"loaders": 8}), "--stop-after", "1s", code=INTERRUPTED)
    assert 1000 <= work.ended("gentle", "interrupted", "none")["rows_done"] <= 6000, work.status("gentle")
    work.call("resume", "gentle", "--set", "limits.rate=none")
    work.ended("gentle", rows_done=ROWS)
    work.holds("gentle")


def a_line_for_cron_starts_and_goes_on_until_the_job_is_done(work):
    file = work.make("nightly", rate="6000 rows/s")
    codes = []
    for _ in range(12):
        ended = work.end(work.start("run", file, "--or-resume", "--stop-after", "1s"), jobs.DONE, INTERRUPTED)
        codes.append(ended.returncode)
        if codes[-1] == jobs.DONE:
            break
    assert codes[-1] == jobs.DONE and INTERRUPTED in codes, codes
    work.ended("nightly", rows_done=ROWS, run=1)
    work.holds("nightly")
    work.fails(CONFIG, "exist", "run", file, "--or-resume")
    assert work.status("nightly")["run"] == 2, "the next night begins a new run"


def a_changed_source_is_refused_on_resume_with_both_fingerprints(work):
    shutil.copy(work.path("products.index"), work.path("moving.index"))
    work.call("run", work.make("moving", "moving.index", rate="4000 rows/s"), "--stop-after", "1s", code=INTERRUPTED)
    before = os.stat(work.path("moving.index"))
    jobs.write_flat(work.path("moving.index"), jobs.floats(ROWS + 1, 8, seed=2))
    ended = work.fails(CONFIG, ["changed", "was ", "is "], "resume", "moving", "--set", "limits.rate=none")
    assert str(before.st_size) in ended.err and str(before.st_size + 32) in ended.err, ended.err
    work.fails(UNFINISHED, "mmresume resume moving", "run", "moving.yaml")
    shutil.copy(work.path("products.index"), work.path("moving.index"))
    os.utime(work.path("moving.index"), ns=(before.st_atime_ns, before.st_mtime_ns))
    work.call("resume", "moving", "--set", "limits.rate=none")
    work.ended("moving", rows_done=ROWS)
    work.holds("moving", collection="moving")


def deciding_keys_are_refused_on_resume_and_others_may_change(work):
    work.call("run", work.make("pinned", rate="4000 rows/s"), "--stop-after", "1s", code=INTERRUPTED)
    work.fails(CONFIG, "source.start_id", "resume", "pinned", "--set", "source.start_id=7")
    work.fails(CONFIG, "collections", "resume", "pinned", "--set", "collections.0.to=other")
    work.call("resume", "pinned", "--set", "limits.rate=none", "--set", "limits.loaders=1", "--set", "verify=count")
    work.ended("pinned", rows_done=ROWS)
    work.holds("pinned")


def another_file_under_the_same_job_name_is_refused(work):
    work.call("run", work.make("named"))
    other = work.path("other.yaml")
    shutil.copy(work.path("named.yaml"), other)
    for command in (["run", other], ["resume", other], ["verify", other], ["cancel", other]):
        work.fails(CONFIG, ["named.yaml", "other.yaml"], *command)
    work.ended("named", rows_done=ROWS)
    work.holds("named")


def a_job_appends_to_nothing_skips_and_overwrites_only_when_asked(work):
    work.call("run", work.make("modes"))
    more = jobs.floats(500, 8, seed=3)
    jobs.write_flat(work.path("more.index"), more)
    fails = work.job("fails", "more.index", {"driver": "files", "path": "modes"}, {"to": "products"})
    work.fails(CONFIG, "products", "run", fails)
    work.holds("modes")
    skips = work.job("skips", "more.index", {"driver": "files", "path": "modes"}, {"to": "products", "if_exists": "skip"})
    work.call("run", skips)
    work.ended("skips", rows_done=0)
    work.holds("modes")
    over = work.job("overwrites", "more.index", {"driver": "files", "path": "modes"},
                    {"to": "products", "if_exists": "overwrite"}, verify="full")
    work.call("run", over)
    work.ended("overwrites", rows_done=500)
    work.holds("modes", jobs.rows(range(500), more))


def files_that_were_damaged_behind_its_back_turn_the_verification_red(work):
    work.call("run", work.make("damaged"))
    folder = work.path("damaged", "products")
    with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
        one = next(entry["path"] for entry in json.load(file)["files"] if entry["path"].endswith("vector.npy"))
    with open(os.path.join(folder, one), "r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"!")
    ended = work.call("verify", "damaged", "--full", code=DATA)
    assert "products" in ended.err, ended.err
    status = work.ended("damaged", "failed", "different")
    assert status["error"] and status["verdict"]["mismatches"] >= 1, status
    check_object(status)


def a_target_that_is_not_there_ends_the_run_within_its_patience(work):
    target = {"driver": "milvus", "endpoint": f"http://127.0.0.1:{servers.free_port()}"}
    file = work.job("dead", "products.index", target, limits={"patience": "3s"})
    began = time.monotonic()
    ended = work.call("run", file, code=UNAVAILABLE)
    took = time.monotonic() - began
    assert took < 15, took
    assert target["endpoint"].split("//")[1] in ended.err, ended.err
    assert len(ended.err.splitlines()) < 10, ended.err
    work.fails(UNAVAILABLE, "", "run", file, "--or-resume")


def a_target_folder_that_cannot_be_written_is_named(work):
    with open(work.path("blocked"), "w", encoding="ascii") as file:
        file.write("a file where a folder should be")
    work.fails(UNAVAILABLE, "blocked", "run", work.make("blocked", limits={"patience": "2s"}))


CHECKS = [
    status_as_json_has_exactly_the_documented_keys_in_every_state,
    an_unverified_run_says_so,
    the_log_as_json_is_one_object_a_line,
    the_example_jobs_are_valid_and_a_misspelt_one_is_not,
    a_rate_limit_is_kept_within_a_fifth, a_rate_limit_is_kept_within_one_extent,
    a_stop_does_not_end_a_slow_run_with_a_burst,
    a_line_for_cron_starts_and_goes_on_until_the_job_is_done,
    a_changed_source_is_refused_on_resume_with_both_fingerprints,
    deciding_keys_are_refused_on_resume_and_others_may_change,
    another_file_under_the_same_job_name_is_refused,
    a_job_appends_to_nothing_skips_and_overwrites_only_when_asked,
    files_that_were_damaged_behind_its_back_turn_the_verification_red,
    a_target_that_is_not_there_ends_the_run_within_its_patience,
    a_target_folder_that_cannot_be_written_is_named,
]


def main():
    with Files() as work:
        return jobs.run_checks(CHECKS, work)


if __name__ == "__main__":
    sys.exit(main())
