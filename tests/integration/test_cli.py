"""The command line of the real program: exit codes, messages, help of every command, generated texts.

Needs neither a server nor the FAISS library: what talks to one is tested elsewhere."""
import array
import fcntl
import json
import os
import pty
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

ROOT = os.environ.get("MM_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MM_BUILD") or os.path.join(ROOT, "build", "dev")
PROGRAM = os.path.join(BUILD, "mmresume")

JOB = "source: {driver: faiss, path: a.index}\ntarget: {driver: milvus, endpoint: 'http://127.0.0.1:1'}\n"


class Cli(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def run_cli(self, *arguments, env=None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
        environment = dict(os.environ, MMRESUME_STATE_DIR=os.path.join(self.folder, "state"), **(env or {}))
        return subprocess.run([PROGRAM, *arguments], cwd=self.folder, env=environment, stdin=stdin, stdout=stdout,
                              stderr=subprocess.PIPE, text=True, timeout=60)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def fails(self, code, message, *arguments, **more):
        result = self.run_cli(*arguments, **more)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(message, result.stderr)
        self.assertEqual(result.stderr.count("error:"), 1, result.stderr)
        self.assertFalse(result.stdout)
        return result

    def succeeds(self, *arguments, **more):
        result = self.run_cli(*arguments, **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def commands(self):
        return re.findall(r"\[`mmresume ([a-z]+)`\]", self.succeeds("help", "--markdown", "commands"))

    def test_wrong_command_lines_exit_2_and_name_the_nearest_word(self):
        self.fails(2, "no command is given (try: mmresume --help)")
        self.fails(2, "there is no command statsu (did you mean status?)", "statsu")
        self.fails(2, "unknown option --or-resme of run (did you mean --or-resume?) (try: mmresume run --help)",
                   "run", "--or-resme")
        self.fails(2, "no job file is given, and there is no ./mmresume.yaml here", "run")
        self.fails(2, "resume needs JOB", "resume")
        self.fails(2, "a job file is given twice", "plan", "a.yaml", "-c", "b.yaml")
        self.fails(2, "is no name of a job, nor a job file", "resume", ".hidden")
        self.fails(2, "--set wants key=value", "plan", "a.yaml", "--set", "loaders")
        self.fails(2, "--stop-after is a duration such as 5h or 90m, not 5", "run", "a.yaml", "--stop-after", "5")
        self.fails(2, "--log-level is one of error|warn|info|debug, not loud", "run", "--log-level", "loud")
        self.fails(2, "config does one of", "config", "--show", "--schema")
        self.fails(2, "there is no driver nothing", "drivers", "nothing")
        self.fails(2, "there is no driver milvs (did you mean milvus?)", "drivers", "milvs")
        self.fails(2, "there is no command statsu (did you mean status?)", "help", "statsu")
        self.fails(2, "completion is for bash, zsh and fish, not for csh", "completion", "csh")
        self.fails(2, "there is no command nothing", "help", "nothing")

    def test_a_job_file_that_is_wrong_exits_3_with_its_place(self):
        self.write("job.yaml", JOB + "limts: {}\n")
        place = os.path.join(self.folder, "job.yaml") + ":3:1: "
        for command in (["run"], ["plan"], ["config", "--check"]):
            self.fails(3, place + "unknown key `limts` in the job file (did you mean `limits`?)", *command, "job.yaml")
        self.fails(3, "cannot read the job file none.yaml: No such file", "run", "none.yaml")

    def test_a_secret_on_the_command_line_is_refused_and_not_repeated(self):
        self.write("job.yaml", JOB)
        result = self.fails(3, "--set target.token: a secret on the command line", "config", "job.yaml", "--set",
                            "target.token=very-open")
        self.assertNotIn("very-open", result.stderr)

    def test_config_checks_and_shows(self):
        self.write("mmresume.yaml", JOB + "job: products\n")
        self.assertEqual(self.succeeds("config"), "./mmresume.yaml: ok: job products, faiss to milvus\n")
        shown = self.succeeds("config", "--show", "--set", "limits.loaders=2")
        self.assertIn("  loaders: 2\n", shown)
        self.assertIn(f"path: {self.folder}/a.index\n", shown)
        self.write("again.yaml", shown)
        self.assertEqual(self.succeeds("config", "--show", "again.yaml"), shown)

    def test_config_hides_secrets(self):
        self.write("job.yaml", JOB.replace("endpoint:", "token: '${T}', endpoint:"))
        shown = self.succeeds("config", "--show", "job.yaml", env={"T": "very-secret"})
        self.assertNotIn("very-secret", shown)
        self.assertIn('token: "***"', shown)
        self.fails(3, "`token`: the environment variable T is not set", "config", "job.yaml")

    def test_the_schema_is_json(self):
        schema = json.loads(self.succeeds("config", "--schema"))
        self.assertEqual(schema["$schema"], "https://json-schema.org/draft/2020-12/schema")
        drivers = [one["properties"]["driver"]["const"] for one in schema["properties"]["source"]["oneOf"]]
        self.assertIn("faiss", drivers)

    def test_the_example_jobs_are_valid(self):
        examples = [name for name in os.listdir(os.path.join(ROOT, "configs")) if name.endswith(".yaml")]
        self.assertTrue(examples)
        for name in examples:
            with self.subTest(name):
                self.succeeds("config", "--check", os.path.join(ROOT, "configs", name))

    def test_every_command_has_help_and_every_help_fits_a_terminal(self):
        self.assertGreater(len(self.commands()), 10)
        for command in self.commands():
            with self.subTest(command):
                text = self.succeeds(command, "--help")
                self.assertTrue(text.startswith(f"Usage: mmresume {command}"), text)
                self.assertEqual(text, self.succeeds("help", command))
                for line in text.split("\n\nExamples:")[0].splitlines():
                    self.assertLessEqual(len(line), 80, line)
        self.assertIn("Exit codes:", self.succeeds("--help"))

    def test_drivers_are_listed_from_their_tables(self):
        self.assertIn("source  faiss", self.succeeds("drivers"))
        self.assertIn("endpoint: address, required", self.succeeds("drivers", "milvus"))
        self.assertIn("  fence        late requests of a dead process are refused\n", self.succeeds("drivers", "milvus"))
        drivers = json.loads(self.succeeds("drivers", "--json"))
        milvus = next(one for one in drivers if one["name"] == "milvus" and one["kind"] == "target")
        self.assertTrue(next(o for o in milvus["options"] if o["name"] == "token")["secret"])
        self.assertIn("at_least_once", [o["name"] for o in milvus["options"]])

    def test_the_version_is_printed(self):
        self.assertRegex(self.succeeds("version"), r"^mmresume \d+\.\d+\.\d+\n$")
        self.assertEqual(self.succeeds("--version"), self.succeeds("version"))

    def test_errors_are_json_when_the_log_is(self):
        result = self.run_cli("run", "--log-format", "json", "none.yaml")
        self.assertEqual(json.loads(result.stderr)["level"], "error")
        result = self.run_cli("--log-format", "json", "run", "--nonsense")
        self.assertEqual(json.loads(result.stderr)["level"], "error")

    def test_a_full_standard_output_is_an_error(self):
        with open("/dev/full", "w") as full:
            result = self.run_cli("version", stdout=full)
        self.assertEqual(result.returncode, 5)
        self.assertIn("cannot write to the standard output", result.stderr)

    def test_the_state_folder_is_private(self):
        self.write("job.yaml", JOB)
        self.run_cli("run", "job.yaml", "--state-dir", os.path.join(self.folder, "a", "b"))
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.folder, "a", "b")).st_mode), 0o700)

    def test_status_needs_no_state_folder(self):
        self.assertEqual(json.loads(self.succeeds("status", "--json")), {"jobs": []})
        self.assertFalse(os.path.exists(os.path.join(self.folder, "state")))
        self.assertEqual(self.succeeds("completion", "jobs"), "")

    def test_reset_without_a_terminal_needs_yes(self):
        self.fails(2, "without a terminal to ask on it needs --yes", "reset", "products")
        self.fails(2, "there is no job `products`", "reset", "products", "--yes")

    def test_reset_on_a_terminal_wants_the_jobs_name(self):
        leader, terminal = pty.openpty()
        self.addCleanup(os.close, leader)
        environment = dict(os.environ, MMRESUME_STATE_DIR=os.path.join(self.folder, "state"))
        process = subprocess.Popen([PROGRAM, "reset", "products"], stdin=terminal, stdout=terminal, stderr=terminal,
                                   env=environment, cwd=self.folder)
        os.close(terminal)
        os.write(leader, b"yes\n")
        self.assertEqual(process.wait(timeout=30), 8)
        self.assertIn(b"not confirmed: nothing was removed", os.read(leader, 65536))

    def test_inspect_names_what_it_cannot_read(self):
        self.fails(3, "cannot read none.index: No such file", "inspect", "none.index")
        self.write("text", "nothing that a driver knows\n")
        self.fails(3, "no driver knows what text is; inspect takes", "inspect", "text")
        self.write("manifest.json", "{}")
        self.fails(4, "./manifest.json: ", "inspect", "manifest.json")
        os.unlink(os.path.join(self.folder, "manifest.json"))
        self.fails(5, "127.0.0.1:1", "inspect", "127.0.0.1:1")
        self.fails(3, "of a folder of files ask about one of them", "inspect", self.folder)

    def test_a_bulk_import_that_cannot_be_is_refused_by_the_check_and_by_the_plan(self):
        source = "source: {driver: faiss, path: a.index}\n"
        milvus = source + "target: {driver: milvus, endpoint: 'http://127.0.0.1:1', transfer: import"
        for job, words in ((milvus + "}\n", "target.staging is missing"),
                           (milvus + ", staging: s, on_conflict: upsert}\n", "on_conflict: upsert is not possible"),
                           (source + "target: {driver: files, path: out, transfer: import}\n", "has no bulk import")):
            self.write("job.yaml", job)
            self.fails(3, words, "config", "--check", "job.yaml")
            self.fails(3, words, "plan", "job.yaml")
        self.write("job.yaml", milvus + ", staging: s}\n")
        self.succeeds("config", "--check", "job.yaml")

    def test_the_completion_of_bash_completes(self):
        script = os.path.join(self.folder, "completion.bash")
        self.write("completion.bash", self.succeeds("completion", "bash"))

        def complete(*words):
            quoted = " ".join(f"'{word}'" for word in words)
            line = (f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMPREPLY=(); _mmresume; "
                    "echo ${COMPREPLY[*]}")
            return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout.split()

        self.assertEqual(complete("mmresume", "re"), ["resume", "reset"])
        self.assertEqual(complete("mmresume", "run", "--or"), ["--or-resume"])
        self.assertIn("faiss", complete("mmresume", "drivers", ""))
        self.assertEqual(complete("mmresume", "status", "--log-format", ""), ["text", "json"])
        with open(script) as file:
            cases = re.findall(r"^ +(-\S+)\) COMPREPLY", file.read(), re.M)
        self.assertEqual(sorted(cases), sorted(set(cases)))

    def test_every_shell_gets_every_command(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.succeeds("completion", shell)
            for command in self.commands():
                self.assertIn(command, script)

    def test_the_manual_is_roff(self):
        manual = self.succeeds("help", "--man")
        self.assertTrue(manual.startswith(".TH MMRESUME 1"))
        for command in self.commands():
            self.assertIn(f".SS mmresume {command}", manual)
        if shutil.which("groff"):
            result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=manual, capture_output=True, text=True)
            self.assertEqual(result.stderr, "")

    def test_the_generated_docs_are_up_to_date(self):
        result = subprocess.run([sys.executable, os.path.join(ROOT, "scripts", "docs.py"), "--check", PROGRAM],
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    # A life of a job, from a FAISS file to NumPy files: needs neither a server nor the FAISS library.

    def write_index(self, rows=20000, dim=8):
        """IndexFlatL2: fourcc, header, count of floats, floats."""
        head = struct.pack("<4siqqqBiQ", b"IxF2", dim, rows, 1 << 20, 1 << 20, 1, 1, rows * dim)
        values = array.array("f", (float(i) for i in range(rows * dim)))
        with open(os.path.join(self.folder, "a.index"), "wb") as file:
            file.write(head + values.tobytes())

    def write_job(self, rate="none"):
        self.write_index()
        self.write("mmresume.yaml", "job: life\nsource: {driver: faiss, path: a.index, extent_rows: 1000}\n"
                                    f"target: {{driver: files, path: out}}\nlimits: {{rate: {rate}}}\nverify: full\n")

    def status(self):
        return json.loads(self.succeeds("status", "life", "--json"))

    def test_fields_that_cannot_be_are_refused_with_their_place(self):
        self.write_index()
        place = os.path.join(self.folder, "job.yaml") + ":3: fields: "
        for fields, words in (("[{from: embedding}]", "`a` has no field `embedding` (it has `id`, `vector`)"),
                              ("[{from: id}, {from: vector, type: BinaryVector}]",
                               "`vector` cannot be turned from FloatVector into BinaryVector")):
            self.write("job.yaml", "source: {driver: faiss, path: a.index}\ntarget: {driver: files, path: out}\n"
                                   f"collections: [{{fields: {fields}}}]\n")
            self.fails(3, place + words, "plan", "job.yaml")

    def test_run_moves_everything_and_status_tells_it(self):
        self.write_job()
        self.assertIn("20000 rows", self.succeeds("plan"))
        self.assertFalse(os.path.exists(os.path.join(self.folder, "out")))
        self.succeeds("start")
        status = self.status()
        self.assertEqual((status["state"], status["rows_done"], status["verdict"]["state"]), ("done", 20000, "equal"))
        self.assertEqual([job["job"] for job in json.loads(self.succeeds("status", "--json"))["jobs"]], ["life"])
        self.assertEqual(self.succeeds("completion", "jobs"), "life\n")
        self.assertIn("done", self.succeeds("status", "life", "--watch"))
        self.succeeds("verify", "life", "--full")
        self.succeeds("resume", "mmresume.yaml")
        result = self.run_cli("reset", "life", "--yes")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("job `life` is forgotten", result.stderr)
        self.assertEqual(json.loads(self.succeeds("status", "--json")), {"jobs": []})
        result = self.run_cli("status")
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        self.assertIn(f"there is no job in {self.folder}/state", result.stderr)

    def test_savepoints_that_cannot_be_read_do_not_hide_other_jobs(self):
        self.write_job()
        self.succeeds("run")
        with open(os.path.join(self.folder, "state", "life.db"), "rb") as file:
            head = file.read(100)  # it is ours, and nothing else of it can be read
        for name in ("first", "next"):  # before and behind `life`
            with open(os.path.join(self.folder, "state", name + ".db"), "wb") as file:
                file.write(head + b"\xff" * 8092)
        result = self.run_cli("status")
        self.assertEqual(result.returncode, 5, result.stderr)
        self.assertIn("life ", result.stdout)
        self.assertIn("job `first`: ", result.stderr)
        self.assertIn("bring it back from a backup, or remove it", result.stderr)
        result = self.run_cli("status", "--json")
        self.assertEqual([job["job"] for job in json.loads(result.stdout)["jobs"]], ["life"])
        self.assertEqual(result.returncode, 5, result.stderr)

    def test_an_attempt_that_fails_leaves_the_job_of_the_last_run(self):
        self.write_job()
        self.succeeds("run")
        with open(os.path.join(self.folder, "mmresume.yaml")) as file:
            text = file.read()
        self.write("mmresume.yaml", text.replace("a.index", "b.index"))
        self.fails(3, "b.index: open: No such file", "run")
        self.succeeds("verify", "life")
        self.assertEqual(self.status()["run"], 1)

    def test_a_mended_job_file_after_a_failure_is_told_what_it_takes(self):
        self.write_job()
        self.succeeds("run")
        self.fails(3, "holds a collection already; if_exists: append, skip or overwrite", "run")
        shown = self.succeeds("status", "life")
        self.assertIn("error: a: ", shown)
        self.assertIn("next: mend the cause and `mmresume resume life`, or `mmresume reset life`", shown)
        self.assertNotIn("as it is now", self.fails(6, "holds a collection already", "run").stderr)
        self.fails(6, "for the job as it is now", "run", "--set", "collections.0.if_exists=overwrite")
        with open(os.path.join(self.folder, "mmresume.yaml"), "a") as file:
            file.write("collections: [{if_exists: overwrite}]\n")
        self.fails(6, "`mmresume reset life` and run again, for the job as it is now", "run")
        self.assertIn("for all else `mmresume reset life` and run again", self.run_cli("resume", "life").stderr)
        self.succeeds("reset", "life", "--yes")
        self.succeeds("run")

    def test_an_interrupted_run_names_resume_and_goes_on(self):
        self.write_job(rate="4000 rows/s")
        result = self.run_cli("run", "--stop-after", "1s")
        self.assertEqual(result.returncode, 75, result.stderr)
        self.assertIn("mmresume resume life", result.stderr)
        self.assertNotIn("error:", result.stderr)
        self.assertEqual(self.status()["state"], "interrupted")  # what was queued may all have been drained
        shown = self.succeeds("status", "life")
        self.assertIn("next: `mmresume resume life` goes on", shown)
        self.assertNotIn("error:", shown)
        self.fails(6, "mmresume resume life", "run")
        self.fails(3, 'job.duplicates was not set and is "first"', "resume", "life", "--set", "duplicates=first")
        self.succeeds("run", "--or-resume", "--set", "limits.rate=none")
        self.assertEqual(self.status()["verdict"], {"state": "equal", "source_rows": 20000, "target_rows": 20000,
                                                    "mismatches": 0})

    def test_a_target_that_is_away_before_the_run_begins_is_told_at_once(self):
        self.write_index()
        self.write("job.yaml", JOB)
        result = self.fails(5, "the same command with --or-resume", "run", "job.yaml")
        self.assertNotIn("mmresume resume", result.stderr)
        self.assertIn("no run has begun", self.succeeds("status", "job"))
        self.assertIn("no run has begun", self.succeeds("status", "job", "--watch"))  # and does not wait for one
        self.succeeds("status", "--watch")
        self.fails(5, "127.0.0.1", "run", "job.yaml", "--or-resume")

    def test_an_interrupted_dump_names_its_own_job(self):
        self.write_index()
        self.write("mmresume.yaml", "job: half\nsource: {driver: faiss, path: a.index, extent_rows: 1000}\n"
                                    "target: {driver: milvus, endpoint: 'http://127.0.0.1:1', staging: s}\n"
                                    "limits: {rate: 4000 rows/s}\n")
        self.fails(3, "no file is there; `mmresume dump` writes them", "load")
        result = self.run_cli("dump", "--stop-after", "1s")
        self.assertEqual(result.returncode, 75, result.stderr)
        self.assertIn("mmresume resume half-dump", result.stderr)
        self.succeeds("resume", "half-dump", "--set", "limits.rate=none")
        self.assertIn("rows: 20000", self.succeeds("inspect", "s/a/manifest.json"))
        self.assertIn("collection: a\nrows: 20000", self.succeeds("inspect", "s"))

    def on_terminal(self, columns, *arguments):
        """What a terminal of so many columns is sent."""
        leader, terminal = pty.openpty()
        self.addCleanup(os.close, leader)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        environment = dict(os.environ, MMRESUME_STATE_DIR=os.path.join(self.folder, "state"))
        process = subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal,
                                   env=environment, cwd=self.folder)
        os.close(terminal)
        shown = b""
        try:
            while chunk := os.read(leader, 65536):
                shown += chunk
        except OSError:  # the terminal's other end is closed
            pass
        self.assertEqual(process.wait(timeout=30), 0, shown)
        return shown

    def test_a_watched_table_that_wraps_is_drawn_over_itself(self):
        self.write_job(rate="5000 rows/s")
        environment = dict(os.environ, MMRESUME_STATE_DIR=os.path.join(self.folder, "state"))
        run = subprocess.Popen([PROGRAM, "run", "-q"], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while '"state":"running"' not in self.succeeds("status", "--json") and time.monotonic() < deadline:
            time.sleep(0.05)
        shown = self.on_terminal(80, "status", "life", "--watch").decode()
        self.assertEqual(run.wait(timeout=30), 0)
        pictures = re.split(r"\x1b\[(\d+)A\x1b\[J", shown)
        self.assertGreater(len(pictures), 1, shown)
        for before, up in zip(pictures[0::2], pictures[1::2]):
            rows = sum(max(1, -(-len(line) // 80)) for line in before.splitlines())
            self.assertEqual(int(up), rows, before)

    def test_the_progress_line_fits_the_terminal(self):
        self.write_job(rate="10000 rows/s")
        shown = self.on_terminal(40, "run")
        lines = [part.split(b"\r")[0] for part in shown.split(b"\r\x1b[K") if part.startswith((b"copy", b"verify"))]
        self.assertTrue(lines, shown)
        self.assertEqual(max(len(line) for line in lines), 39, lines)

    def test_a_long_name_keeps_the_table_straight(self):
        self.write_job()
        self.succeeds("run", "--set", "job=" + "l" * 40)
        for shown in (self.succeeds("status"), self.succeeds("status", "l" * 40)):
            head, row = shown.splitlines()[:2]
            self.assertEqual(head.index("STATE"), row.index("done"), shown)

    def test_a_running_job_can_be_watched_and_cancelled(self):
        self.write_job(rate="2000 rows/s")
        environment = dict(os.environ, MMRESUME_STATE_DIR=os.path.join(self.folder, "state"))
        start = dict(cwd=self.folder, env=environment, text=True, stdin=subprocess.DEVNULL)
        run = subprocess.Popen([PROGRAM, "run"], stderr=subprocess.PIPE, **start)
        watch = None
        try:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                jobs = json.loads(self.succeeds("status", "--json"))["jobs"]
                if jobs and jobs[0]["state"] == "running":
                    break
                time.sleep(0.1)
            watch = subprocess.Popen([PROGRAM, "status", "life", "--watch"], stdout=subprocess.PIPE, **start)
            self.fails(7, "mmresume status life --watch", "run")
            time.sleep(1.5)
            self.succeeds("cancel", "life")
            self.assertEqual(run.wait(timeout=30), 8)
            shown = watch.communicate(timeout=30)[0]
            self.assertEqual(watch.returncode, 0)
            self.assertIn("running", shown)
            self.assertIn("cancelled", shown)
        finally:
            for process in (run, watch):
                if process and process.poll() is None:
                    process.kill()
            run.stderr.close()
        self.assertEqual(self.status()["state"], "cancelled")
        self.fails(6, "starts a new one", "resume", "life")


if __name__ == "__main__":
    unittest.main(verbosity=2)
