"""What has to hold in every object store behind engine/storage, driven through tests/tools/storage_tool.c against a
real server behind a proxy that makes faults. A store's test adds what is its own."""

import json
import os
import signal
import subprocess
import tempfile

from http_proxy import FaultProxy

ROOT = os.environ.get("MM_ROOT") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("MM_BUILD") or os.path.join(ROOT, "build", "dev")
TOOL = os.path.join(BUILD, "tests", "storage_tool")
MIB = 1 << 20
# what a developer's environment may say of credentials must not decide a test
CLEAN = {name: value for name, value in os.environ.items()
         if not name.startswith(("AZURE_", "GOOGLE_", "CLOUDSDK_", "AWS_", "IDENTITY_", "GCE_"))
         and not name.lower().endswith("_proxy")}


class Cases:
    """Mixed into a unittest.TestCase whose class has: scheme, bucket, server (put, get), keys(prefix), options(),
    is_part(request), is_commit(request), and overload (values of the proxy's answer)."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="mm-storage-")
        cls.folder = cls.temporary.name
        cls.large = os.path.join(cls.folder, "large")  # of three parts: 16, 16 and a little
        with open(cls.large, "wb") as file:
            file.write(os.urandom(33 * MIB + 12345))
        with open(cls.large, "rb") as file:
            cls.large_bytes = file.read()

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def setUp(self):
        self.way = FaultProxy(self.server.port)
        self.said = ""

    def tearDown(self):
        self.way.__exit__()
        for secret in self.secrets:
            self.assertNotIn(secret, self.said)

    def path(self, name, data=None):
        path = os.path.join(self.folder, name)
        if data is not None:
            with open(path, "wb") as file:
                file.write(data)
        return path

    def url(self, key):
        return f"{self.scheme}://{self.bucket}/{key}"

    def start(self, *arguments, options=None, env=None):
        pairs = {**self.options(), **(options or {})}
        command = [TOOL]
        for name, value in pairs.items():
            command += ["-o", f"{name}={value}"] if value is not None else []
        return subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env={**CLEAN, "STORAGE_TOOL_DEBUG": "1", **(env or {})})

    def end(self, process):
        out, err = process.communicate(timeout=120)
        self.said += err.decode()
        return process.returncode, out, err.decode()

    def tool(self, *arguments, **more):
        """Its output; it has to succeed."""
        code, out, err = self.end(self.start(*arguments, **more))
        self.assertEqual(code, 0, f"{arguments}: {err}")
        return out

    def refused(self, status, words, *arguments, **more):
        """It fails with that status, and says each of the words."""
        code, out, err = self.end(self.start(*arguments, **more))
        last = err.strip().splitlines()[-1] if err.strip() else ""
        self.assertNotEqual(code, 0, f"{arguments} succeeded: {out}")
        self.assertEqual(last.split(":")[0], status, err)
        for word in words:
            self.assertIn(word, last)
        return code

    def listed(self, prefix):
        return [json.loads(line)["key"] for line in self.tool("list", self.url(prefix)).splitlines()]

    def forget(self, *keys):
        for key in keys:
            self.tool("remove", self.url(key))

    # objects

    def test_a_key_with_spaces_signs_and_letters_of_all_scripts_is_taken_as_it_is(self):
        for key in ("a b/c d.bin", "z/ü€漢字.npy", "z/50%+&=#?;,'()!*~@:$.x", "z/a//b", "z/end "):
            data = os.urandom(1000)
            self.tool("put", self.url(key), self.path("small", data))
            self.assertEqual(self.server.get(self.bucket, key), data, key)
            self.assertEqual(self.tool("read", self.url(key), "0", "1000"), data)
            self.assertIn(key, self.listed(key[:2]))
            size, etag, modified = self.tool("stat", self.url(key)).decode().rsplit(" ", 2)
            self.assertEqual(int(size), 1000)
            self.assertGreater(int(modified), 1.7e12)
            self.assertTrue(etag)
            self.forget(key)
            self.assertIsNone(self.server.get(self.bucket, key))

    def test_a_listing_of_more_than_a_page_is_whole_and_in_order(self):
        keys = [f"many/{number * 7919 % 1203:05d}" for number in range(1203)]
        for key in keys:
            self.server.put(self.bucket, key, b"x")
        self.way.clear()
        self.assertEqual(self.listed("many/"), sorted(keys))
        self.assertEqual(self.way.count("GET"), 2)
        self.assertEqual(self.listed("many/0010"), [f"many/{number:05d}" for number in range(100, 110)])
        self.assertEqual(self.listed("none/"), [])

    def test_a_range_is_read_exactly_or_refused(self):
        data = os.urandom(10000)
        self.server.put(self.bucket, "ranges", data)
        for offset, size in ((0, 10000), (0, 1), (9999, 1), (1234, 5678), (5, 0)):
            self.assertEqual(self.tool("read", self.url("ranges"), str(offset), str(size)), data[offset:offset + size])
        self.refused("DATA", ["ranges"], "read", self.url("ranges"), "9990", "11")
        self.refused("DATA", ["ranges"], "read", self.url("ranges"), "10000", "1")
        self.refused("NOT_FOUND", ["nothing here"], "read", self.url("nothing here"), "0", "1")
        self.refused("NOT_FOUND", ["nothing here"], "stat", self.url("nothing here"))
        self.forget("nothing here")

    def test_an_object_written_again_is_noticed_by_who_reads_on(self):
        self.server.put(self.bucket, "changing", b"before" * 100)
        etag = self.tool("stat", self.url("changing")).decode().split()[1]
        self.assertEqual(self.tool("read", self.url("changing"), "6", "6", etag), b"before")
        self.server.put(self.bucket, "changing", b"behind" * 100)
        self.refused("CHANGED", ["changing"], "read", self.url("changing"), "6", "6", etag)

    def test_create_only_refuses_what_is_there(self):
        first, second = self.path("first", b"first"), self.path("second", b"second")
        self.tool("put", self.url("only"), first, "fresh")
        self.refused("TARGET", ["only", "exists already"], "put", self.url("only"), second, "fresh")
        self.assertEqual(self.server.get(self.bucket, "only"), b"first")
        self.tool("put", self.url("only"), second)
        self.assertEqual(self.server.get(self.bucket, "only"), b"second")
        self.forget("only")

    def test_create_only_knows_its_own_object_when_the_answer_was_lost(self):
        self.way.on(self.is_put, "cut_reply", after=-1)
        self.tool("put", self.url("lost answer"), self.path("first", b"first"), "fresh")
        self.assertEqual(self.way.count(where=self.is_put), 2)
        self.assertEqual(self.server.get(self.bucket, "lost answer"), b"first")
        self.forget("lost answer")
        self.way.clear()
        self.way.on(self.is_put, "cut_request", after=0)  # and another's, written in between, is not taken for it
        self.way.on(self.is_put, "call", function=lambda _: self.server.put(self.bucket, "lost answer", b"other"))
        self.refused("TARGET", ["exists already"], "put", self.url("lost answer"), self.path("first"), "fresh")
        self.forget("lost answer")

    def test_an_empty_object_is_an_object(self):
        empty = self.path("empty", b"")
        self.tool("put", self.url("empty"), empty, "fresh")
        self.assertEqual(self.tool("stat", self.url("empty")).split()[0], b"0")
        self.forget("empty")
        self.tool("upload", self.url("empty"), empty, self.path("state-empty"))
        self.assertEqual(self.server.get(self.bucket, "empty"), b"")
        self.forget("empty")

    def test_a_move_takes_the_content_along_and_may_be_repeated(self):
        data = os.urandom(100000)
        self.server.put(self.bucket, "from here", data)
        self.tool("move", self.url("from here"), self.url("to/there ü"))
        self.assertIsNone(self.server.get(self.bucket, "from here"))
        self.assertEqual(self.server.get(self.bucket, "to/there ü"), data)
        self.tool("move", self.url("from here"), self.url("to/there ü"))
        self.refused("NOT_FOUND", ["from here"], "move", self.url("from here"), self.url("nowhere"))
        self.forget("to/there ü")

    # faults

    def test_an_overloaded_service_and_a_cut_connection_are_tried_again(self):
        data = os.urandom(300000)
        self.way.on(self.is_put, "answer", times=2, **self.overload)
        self.way.on(self.is_put, "cut_request", after=1000)
        self.way.on(self.is_put, "cut_reply", after=-1)
        self.tool("put", self.url("again"), self.path("again", data))
        self.assertEqual(self.way.count(where=self.is_put), 5)
        self.way.clear()
        self.way.on(lambda r: r.method == "GET", "answer", **self.overload)
        self.way.on(lambda r: r.method == "GET", "cut_reply", after=1234)
        self.way.on(lambda r: r.method == "GET", "tamper_reply", after=2345)
        self.assertEqual(self.tool("read", self.url("again"), "0", "300000"), data)
        self.assertEqual(self.way.count("GET"), 4)
        self.way.clear()
        self.way.on(lambda r: r.method == "DELETE", "cut_reply", after=-1)
        self.forget("again")
        self.assertIsNone(self.server.get(self.bucket, "again"))

    def test_what_is_damaged_on_the_way_there_is_sent_again(self):
        data = os.urandom(5000)
        self.way.on(self.is_put, "tamper", after=2000)
        self.tool("put", self.url("damaged"), self.path("damaged", data))
        self.assertEqual(self.server.get(self.bucket, "damaged"), data)
        self.way.clear()
        self.way.on(self.is_part, "tamper", nth=2, after=70000)
        self.tool("upload", self.url("damaged"), self.large, self.path("state-damaged"))
        self.assertEqual(self.way.count(where=self.is_part), 4)
        self.assertEqual(self.server.get(self.bucket, "damaged"), self.large_bytes)
        self.forget("damaged")

    def test_a_service_that_stays_away_is_said_so_and_nothing_is_shown(self):
        self.way.on(self.is_part, "answer", nth=2, times=1000, **self.overload)
        code, _, err = self.end(self.start("upload", self.url("away"), self.large, self.path("state-away"), "1"))
        self.assertEqual(code, 5, err)
        self.assertIsNone(self.server.get(self.bucket, "away"))
        self.way.clear()
        self.tool("upload", self.url("away"), self.large, self.path("state-away"), "1")
        self.assertEqual(self.way.count(where=self.is_part), 2)  # the first one is there already
        self.assertEqual(self.server.get(self.bucket, "away"), self.large_bytes)
        self.forget("away")

    # uploads in parts

    def uploaded(self, key):
        self.assertEqual(self.server.get(self.bucket, key), self.large_bytes)
        self.assertEqual(self.keys(key), [key])
        self.assertFalse(self.parts_left(key))

    def test_a_large_file_goes_in_parts_over_several_connections(self):
        out = self.tool("upload", self.url("large"), self.large, self.path("state-large")).decode().split()
        self.assertEqual(int(out[0]), len(self.large_bytes))
        self.assertEqual(out[1], self.tool("stat", self.url("large")).decode().split()[1])
        self.assertEqual(out[1], json.loads(self.tool("list", self.url("large")))["etag"])
        self.assertEqual(self.way.count(where=self.is_part), 3)
        self.uploaded("large")
        self.forget("large")

    def killed_at(self, number, state, key):
        """Runs an upload that is killed at its number-th request; True when it was."""
        upload = []
        rule = self.way.on(lambda _: True, "call", nth=number, function=lambda _: upload[0].send_signal(signal.SIGKILL))
        upload.append(self.start("upload", self.url(key), self.large, state, "1"))
        code, _, err = self.end(upload[0])
        self.assertEqual(code, -signal.SIGKILL if rule.fired else 0, err)
        return bool(rule.fired)

    def test_an_upload_killed_at_every_request_goes_on_and_leaves_nothing(self):
        number = 0
        killed = True
        while killed:
            number += 1
            key, state = f"killed/{number}", self.path(f"state-killed-{number}")
            self.way.clear()
            killed = self.killed_at(number, state, key)
            if killed and self.server.get(self.bucket, key) is not None:
                self.assertEqual(self.server.get(self.bucket, key), self.large_bytes)  # whole or not at all
            sent = self.way.count(where=self.is_part)
            self.way.clear()
            self.tool("upload", self.url(key), self.large, state, "1")
            again = self.way.count(where=self.is_part)
            self.assertLessEqual(sent + again, 4, f"killed at request {number}")  # again: what was under way
            self.uploaded(key)
            self.forget(key)
        self.assertGreaterEqual(number, 5)

    def test_an_upload_given_up_leaves_nothing(self):
        state = self.path("state-given-up")
        self.assertTrue(self.killed_at(self.first_part + 2, state, "given up"))
        self.way.settle()  # the last part may be on its way yet; one that comes in later stays, unseen, for the service's time
        self.assertTrue(self.parts_left("given up"))
        self.tool("abort", self.url("given up"), state)
        self.assertEqual(self.keys("given up"), [])
        self.assertFalse(self.parts_left("given up"))
        self.tool("abort", self.url("given up"), state)
        self.tool("upload", self.url("given up"), self.large, state)
        self.uploaded("given up")
        self.forget("given up")

    def test_a_file_that_became_another_is_not_mixed_with_the_old_parts(self):
        state = self.path("state-other")
        other = self.path("other", self.large_bytes)
        upload = []
        self.way.on(self.is_part, "call", nth=3, function=lambda _: upload[0].send_signal(signal.SIGKILL))
        upload.append(self.start("upload", self.url("other"), other, state, "1"))
        self.assertEqual(self.end(upload[0])[0], -signal.SIGKILL)
        changed = os.urandom(len(self.large_bytes))
        self.path("other", changed)
        os.utime(other, ns=(1, 1))
        self.way.clear()
        self.tool("upload", self.url("other"), other, state)
        self.assertEqual(self.server.get(self.bucket, "other"), changed)
        self.assertEqual(self.keys("other"), ["other"])
        self.assertFalse(self.parts_left("other"))
        self.forget("other")
