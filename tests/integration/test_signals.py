"""Stopping a job, and the table of states: which command answers how in which state of the last run.

Signals, --stop-after, cancel and a second process, on jobs into files; every job that was stopped is
resumed and its output compared with the source."""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))

import harness  # noqa: E402
from harness import (BUSY, CANCELLED, CONFIG, DATA, DONE, INTERRUPTED, UNFINISHED, USAGE, Wrong)  # noqa: E402
from test_enumeration_files import Flat, Many, Replacing  # noqa: E402

SLOW = ("--set", "limits.rate=1500 rows/s")


def expect(ended, code, *words):
    """Exit code, and words in what was said."""
    if ended.code != code or not all(word in ended.err for word in words):
        raise Wrong(f"expected exit {code} with {words}: {ended!r}")
    return ended


def slow_run(job, *more, **options):
    """A run that takes some seconds, past its first commits."""
    process = job.spawn("run", job.file, "-q", *SLOW, *more, **options)
    job.wait_hit(process, "lane.after_send", hits=2)
    return process


def state(job, expected, **more):
    shown = job.status()
    for key, value in {"state": expected, **more}.items():
        if shown[key] != value:
            raise Wrong(f"{key} is {shown[key]}, not {value}: {shown}\n{job.story()}")
    return shown


def finish_and_check(kind, job):
    job.finish()
    harness.check_done(job, len(kind.columns["id"]))
    kind.check(job)
    job.remove()


def a_first_signal_ends_with_75_within_20_seconds(kinds):
    for number in (signal.SIGTERM, signal.SIGINT):
        job = kinds["many"].job()
        process = slow_run(job)
        began = time.monotonic()
        process.send_signal(number)
        expect(job.end(process, 20), INTERRUPTED)
        if time.monotonic() - began > 10:
            raise Wrong(f"the stop took {time.monotonic() - began:.1f} s")
        shown = state(job, "interrupted", finished_at=None)
        if not 0 < shown["rows_done"] < shown["rows_total"]:
            raise Wrong(f"nothing was kept: {shown}")
        finish_and_check(kinds["many"], job)


def a_second_signal_ends_at_once(kinds):
    job = kinds["many"].job()
    process = slow_run(job, failpoint="lane.before_send:9:sleep=15000")
    job.wait_hit(process, "lane.before_send", hits=9)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    if process.poll() is not None:
        raise Wrong(f"did not wait for what is in flight: {job.end(process, 1)!r}")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    expect(job.end(process, 5), INTERRUPTED)
    if time.monotonic() - began > 2:
        raise Wrong("the second signal did not end it at once")
    finish_and_check(kinds["many"], job)


def an_echo_of_the_first_signal_is_no_second_one(kinds):
    """timeout(1) sends its signal to its child, and again to the child's process group."""
    job = kinds["many"].job()
    process = slow_run(job, failpoint="lane.before_send:9:sleep=1500")
    job.wait_hit(process, "lane.before_send", hits=9)
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.01)  # each is delivered by itself
    ended = job.end(process, 20)
    expect(ended, INTERRUPTED, "interrupted, resumable")
    if state(job, "interrupted")["error"] is None:
        raise Wrong("the stop was not clean: the run's end is not recorded")
    finish_and_check(kinds["many"], job)


def a_signal_at_any_moment_loses_nothing(kinds):
    generator = random.Random(3)
    for number in range(16):
        kind = kinds[("many", "flat")[number % 2]]
        job = kind.job()
        for turn in range(2):
            process = job.spawn(*(("run", job.file) if turn == 0 else ("resume", job.name)), "-q")
            time.sleep(generator.random() * 0.35)
            process.send_signal(signal.SIGTERM)
            # before the handler is there the signal kills, which is safe, too
            ended = job.end(process, 20)
            if ended.code not in (INTERRUPTED, DONE, -signal.SIGTERM) and not (turn and ended.code == USAGE):
                raise Wrong(f"{ended!r}\n{job.story()}")
        finish_and_check(kind, job)


def a_store_that_never_answers_does_not_hold_up_a_stop(kinds):
    """As a target, and as the place of the source: a request there waits much longer than a stop may take."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections come to stand, nobody reads them
        store = {"storage_endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}", "storage_access_key": "key",
                 "storage_secret_key": "secret key", "storage_region": "here"}
        one = kinds["flat"].job(target={"driver": "files", "path": "s3://bucket/out", **store})
        other = kinds["flat"].job(source={"driver": "faiss", "path": "s3://bucket/rows.index", **store})
        processes = [job.spawn("run", job.file) for job in (one, other)]
        time.sleep(2)
        for process in processes:
            if process.poll() is not None:
                raise Wrong(f"nobody waits for the store: exit {process.returncode}")
            process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        for job, process in zip((one, other), processes):
            expect(job.end(process, 60), INTERRUPTED, "resume")
        if time.monotonic() - began > 20:
            raise Wrong(f"the stop took {time.monotonic() - began:.1f} s")
    one.remove()
    other.remove()


def a_window_ends_with_75(kinds):
    job = kinds["many"].job()
    began = time.monotonic()
    expect(job.go("run", job.file, "-q", *SLOW, "--stop-after", "1s"), INTERRUPTED)
    if not 0.9 < time.monotonic() - began < 8:
        raise Wrong(f"--stop-after 1s took {time.monotonic() - began:.1f} s")
    state(job, "interrupted")
    expect(job.resume("--stop-after", "1ms"), INTERRUPTED)
    finish_and_check(kinds["many"], job)


def a_step_that_takes_long_says_so(kinds):
    job = kinds["flat"].job()
    process = job.spawn("run", job.file, failpoint="files.publish.written:1:sleep=11000")
    expect(job.end(process, 40), DONE, "publish: under way for 10s")
    harness.check_done(job, len(kinds["flat"].columns["id"]))
    job.remove()


def state_none(kinds):
    job = kinds["flat"].job()
    expect(job.go("resume", job.name), USAGE, "no run", "mmresume run")
    expect(job.go("status", job.name), USAGE)
    expect(job.go("cancel", job.name), USAGE)
    expect(job.go("verify", job.name), USAGE)
    expect(job.go("reset", job.name, "--yes"), USAGE)
    shown = subprocess.run(job.command("status", "--json"), capture_output=True, text=True, timeout=10, check=True)
    if shown.stdout != '{"jobs":[]}\n':
        raise Wrong(shown.stdout)
    expect(job.start(), DONE)
    job.remove()


def state_done(kinds):
    kind = kinds["replacing"]
    job = kind.job()
    kind.before(job)
    expect(job.start(), DONE)
    first = state(job, "done", run=1)
    expect(job.go("resume", job.name), DONE, "is done")
    expect(job.go("cancel", job.name), DONE, "no unfinished run")
    if state(job, "done", run=1) != first:
        raise Wrong("a resume of a run that is done changed its record")
    expect(job.start(), DONE)
    state(job, "done", run=2)
    expect(job.go("run", job.file, "--or-resume", "-q"), DONE)
    state(job, "done", run=3)
    text = subprocess.run(job.command("status", job.name), capture_output=True, text=True, timeout=10, check=True).stdout
    if text.count("\n" + job.name) != 3:
        raise Wrong(f"the history is not shown: {text}")
    kind.check(job)
    job.remove()


def a_verification_that_does_not_end_leaves_the_run_as_it_was(kinds):
    kind = kinds["replacing"]
    job = kind.job()
    kind.before(job)
    expect(job.start(), DONE)
    first = state(job, "done", run=1)
    for hit in (1, 3):
        ended = expect(job.go("verify", job.name, failpoint=f"store.apply.before_commit:{hit}:error"), harness.UNAVAILABLE)
        if "stays as it was" not in ended.err or state(job, "done", run=1) != first:
            raise Wrong(f"{ended!r} {job.status()} instead of {first}")
    ended = job.go("verify", job.name, failpoint="store.apply.before_commit:3:error,verify.taken_back:1:kill")
    if ended.code != harness.KILLED:
        raise Wrong(f"{ended!r}")
    state(job, "interrupted", run=1)  # its verdict stood already: only its last steps are left
    expect(job.resume(), DONE)
    if state(job, "done", run=1)["verdict"] != first["verdict"]:
        raise Wrong(f"{job.status()} instead of {first}")
    expect(job.start(), DONE)
    job.remove()


def state_interrupted(kinds):
    kind = kinds["many"]
    for how in ("crash", "75", "5"):
        job = kind.job()
        if how == "crash":
            job.strike("committer.after_commit:9:kill")
        elif how == "75":
            expect(job.go("run", job.file, "-q", *SLOW, "--stop-after", "500ms"), INTERRUPTED)
        else:
            expect(job.start(failpoint="store.apply.before_commit:12:error"), harness.UNAVAILABLE)
        state(job, "interrupted", run=1, finished_at=None)
        expect(job.start(), UNFINISHED, "mmresume resume job")
        expect(job.go("verify", job.name), UNFINISHED)
        state(job, "interrupted", run=1)
        if how == "crash":
            expect(job.go("run", job.file, "--or-resume", "-q"), DONE)
        finish_and_check(kind, job)


def state_failed_by_the_target(kinds):
    kind = kinds["flat"]
    job = kind.job()
    os.makedirs(os.path.join(job.folder, "out", "rows"))
    stranger = os.path.join(job.folder, "out", "rows", "theirs")
    with open(stranger, "w", encoding="ascii") as file:
        file.write("x")
    expect(job.start(), CONFIG, "rows")
    cause = state(job, "failed")["error"]
    expect(job.start(), UNFINISHED, cause)
    expect(job.resume(), CONFIG)
    with open(stranger, encoding="ascii") as file:
        if file.read() != "x":
            raise Wrong("the folder of somebody else was touched")
    os.unlink(stranger)
    os.rmdir(os.path.dirname(stranger))
    finish_and_check(kind, job)


def state_failed_by_the_verification(kinds):
    kind = kinds["flat"]
    job = kind.job()
    job.strike("verify.planned:1:kill")
    damaged = next(os.path.join(base, name) for base, _, names in os.walk(os.path.join(job.folder, "out")) for name in names
                   if name.startswith("vector"))
    with open(damaged, "r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\1\2\3\4")
    ended = expect(job.resume(), DATA, "rows differ")
    if state(job, "failed")["verdict"]["state"] != "different" or "primary key" not in ended.err:
        raise Wrong(f"{ended!r} {job.status()}")
    expect(job.start(), UNFINISHED, "rows differ")
    expect(job.resume(), DATA)
    expect(job.go("reset", job.name), USAGE)  # it asks, and there is no terminal
    expect(job.go("reset", job.name, "--yes"), DONE)
    if job.status() is not None:
        raise Wrong("reset left the job")
    job.remove()


def state_failed_by_a_changed_source(kinds):
    kind = kinds["many"]
    job = kind.job()
    job.strike("committer.after_commit:9:kill")
    times = os.stat(kind.path)
    os.utime(kind.path, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
    expect(job.resume(), CONFIG, "changed", "was", "is")
    os.utime(kind.path, ns=(times.st_atime_ns, times.st_mtime_ns))
    finish_and_check(kind, job)


def state_cancelled(kinds):
    kind = kinds["replacing"]
    job = kind.job()
    kind.before(job)
    if job.strike("lane.after_send:2:kill").code != harness.KILLED:
        raise Wrong(job.story())
    expect(job.go("cancel", job.name), DONE, "cancelled")
    state(job, "cancelled", run=1)
    expect(job.go("resume", job.name), UNFINISHED, "mmresume run")
    state(job, "cancelled", run=1)
    expect(job.start(), DONE)
    state(job, "done", run=2)
    kind.check(job)
    job.remove()


def state_running(kinds):
    kind = kinds["many"]
    job = kind.job()
    process = slow_run(job, "--set", "limits.rate=600 rows/s")
    others = harness.Job.__new__(harness.Job)  # another shell: its own list of points
    others.__dict__.update(job.__dict__, folder=tempfile.mkdtemp())
    for command in (("run", job.file), ("resume", job.name), ("verify", job.name), ("reset", job.name, "--yes"),
                    ("run", job.file, "--or-resume")):
        expect(others.go(*command), BUSY)
    end = time.monotonic() + 5
    while not state(job, "running")["rows_done"] and time.monotonic() < end:
        time.sleep(0.1)
    shown = state(job, "running")
    if not shown["rows_done"] or not shown["tasks"]["running"] or shown["rate_rows_per_s"] is None:
        raise Wrong(f"{shown}")
    watch = subprocess.Popen(job.command("status", job.name, "--watch"), stdout=subprocess.PIPE, text=True)
    ended = expect(job.end(process, 60), DONE)
    text, _ = watch.communicate(timeout=10)
    if watch.returncode != 0 or "running" not in text or "done" not in text:
        raise Wrong(f"status --watch: exit {watch.returncode}\n{text}")
    if ended.out:
        raise Wrong(f"run writes to stdout: {ended.out}")
    harness.check_done(job, len(kind.columns["id"]))
    kind.check(job)
    job.remove()
    others.remove()


def a_running_job_is_cancelled_from_another_shell(kinds):
    kind = kinds["many"]
    job = kind.job()
    process = slow_run(job)
    others = harness.Job.__new__(harness.Job)
    others.__dict__.update(job.__dict__, folder=tempfile.mkdtemp())
    began = time.monotonic()
    expect(others.go("cancel", job.name), DONE, "cancelled")
    if time.monotonic() - began > 20:
        raise Wrong("the cancel took too long")
    expect(job.end(process, 5), CANCELLED)
    state(job, "cancelled")
    expect(job.resume(), UNFINISHED)
    others.remove()
    job.remove()


def two_files_cannot_share_a_name(kinds):
    kind = kinds["flat"]
    job = kind.job()
    expect(job.start(), DONE)
    other = os.path.join(job.folder, "other.yaml")
    with open(job.file, encoding="utf-8") as one, open(other, "w", encoding="utf-8") as two:
        two.write(one.read())
    expect(job.go("run", other), CONFIG, "belongs to", job.file)
    job.remove()


TESTS = [a_first_signal_ends_with_75_within_20_seconds, a_second_signal_ends_at_once,
         an_echo_of_the_first_signal_is_no_second_one, a_signal_at_any_moment_loses_nothing, a_store_that_never_answers_does_not_hold_up_a_stop,
         a_window_ends_with_75, a_step_that_takes_long_says_so, state_none, state_done,
         a_verification_that_does_not_end_leaves_the_run_as_it_was, state_interrupted,
         state_failed_by_the_target, state_failed_by_the_verification, state_failed_by_a_changed_source,
         state_cancelled, state_running, a_running_job_is_cancelled_from_another_shell, two_files_cannot_share_a_name]


def main():
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        kinds = {name: kind(folder) for name, kind in (("flat", Flat), ("many", Many), ("replacing", Replacing))}
        for test in TESTS:
            try:
                test(kinds)
                print("ok", test.__name__, flush=True)
            except Exception as error:  # the others are run all the same
                failed.append(test.__name__)
                print(f"FAILED {test.__name__}: {type(error).__name__}: {error}", flush=True)
    print(f"{len(TESTS) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
