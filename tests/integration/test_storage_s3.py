"""The S3 storage against versitygw, which checks every signature: keys, ranges, listings, uploads in parts that are
killed and resumed, faults on the way, credentials from everywhere. What is stored is read back by boto3."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import object_servers
from http_proxy import FaultProxy
from object_servers import ACCESS, SECRET

BUILD = os.environ["MM_BUILD"]
TOOL = os.path.join(BUILD, "tests", "storage_tool")
KEYS = ("plain.txt", "a b/c d.txt", "grüße/日本語.txt", "x+y(1)!*'.txt", "q?a=b&c#d%20e%.txt", "=@,;:$[]~^`{}|<>\".txt",
        "percent%2Fslash", "trailing space ")
MIB = 1 << 20
PART = 16 * MIB
# nothing of the machine that runs the tests
BARE = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
UNAVAILABLE, CONFIG, DATA, KILLED = 5, 3, 4, -9


def is_part(request):
    return "partNumber" in request.query


class Ended:
    def __init__(self, made):
        self.code, self.out, self.err = made.returncode, made.stdout, made.stderr.decode(errors="replace")

    def __repr__(self):
        return f"exit {self.code}: {self.err}"


class Storage(unittest.TestCase):
    kind = object_servers.VersityGw

    @classmethod
    def setUpClass(cls):
        cls.server = cls.kind()
        cls.server.start()
        cls.boto = cls.server.client()
        cls.boto.create_bucket(Bucket="bkt")
        cls.folder = tempfile.mkdtemp(prefix="mm-s3-")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.folder)

    def setUp(self):
        self.way = FaultProxy(self.server.port)
        self.addCleanup(self.way.__exit__)
        self.bucket = "b" + self._testMethodName[5:].replace("_", "-")[:50].rstrip("-")
        self.boto.create_bucket(Bucket=self.bucket)
        self.options = dict(self.server.options(), storage_endpoint=self.way.uri)

    # what the tests do

    def command(self, *arguments, options=None):
        values = self.options if options is None else options
        pairs = [text for name, value in values.items() for text in ("-o", f"{name}={value}")]
        return [TOOL, *pairs, *arguments]

    def tool(self, *arguments, options=None, env=None, timeout=120):
        return Ended(subprocess.run(self.command(*arguments, options=options), stdin=subprocess.DEVNULL,
                                    capture_output=True, timeout=timeout, env={**BARE, **(env or {})}, check=False))

    def good(self, *arguments, **more):
        ended = self.tool(*arguments, **more)
        self.assertEqual(ended.code, 0, ended)
        return ended

    def refused(self, status, *arguments, **more):
        ended = self.tool(*arguments, **more)
        self.assertTrue(ended.err.split("\n")[-2].startswith(status + ":"), ended)
        self.assertNotIn(SECRET, ended.err)
        return ended

    def url(self, key):
        return f"s3://{self.bucket}/{key}"

    def file(self, size, seed=0, name="file"):
        path = os.path.join(self.folder, f"{self._testMethodName}-{name}")
        with open(path, "wb") as file:
            generator = random.Random(f"{self._testMethodName}{seed}")
            while size > 0:
                piece = generator.randbytes(min(size, MIB))
                file.write(piece)
                size -= len(piece)
        return path

    def state(self):
        return os.path.join(self.folder, f"{self._testMethodName}-state")

    def stored(self, key):
        return self.boto.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def assert_stored(self, key, path):
        with open(path, "rb") as file:
            wanted = hashlib.sha256(file.read()).hexdigest()
        self.assertEqual(hashlib.sha256(self.stored(key)).hexdigest(), wanted)

    def uploads(self):
        return self.boto.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])

    # objects

    def test_keys_of_all_characters(self):
        path = self.file(1000)
        for key in KEYS:
            self.good("put", self.url(key), path)
            self.assert_stored(key, path)
            self.assertEqual(self.good("stat", self.url(key)).out.split()[0], b"1000")
            self.assertEqual(hashlib.sha256(self.good("read", self.url(key), "0", "1000").out).digest(),
                             hashlib.sha256(self.stored(key)).digest())
            self.good("move", self.url(key), self.url(key + ".moved"))
        listed = [json.loads(line)["key"] for line in self.good("list", self.url("")).out.splitlines()]
        self.assertEqual(listed, sorted((key + ".moved" for key in KEYS), key=str.encode))
        for key in KEYS:
            self.good("remove", self.url(key + ".moved"))
        self.assertEqual(self.good("list", self.url("")).out, b"")

    def test_listing_of_2500_keys_comes_whole_and_in_order(self):
        keys = [f"many/{number:05}" for number in range(2500)] + ["many.x", "other"]
        self.server.fill(self.bucket, keys)
        listed = [json.loads(line)["key"] for line in self.good("list", self.url("many/")).out.splitlines()]
        self.assertEqual(listed, keys[:2500])
        self.assertEqual(self.way.count("GET"), 3)
        everything = [json.loads(line)["key"] for line in self.good("list", self.url("")).out.splitlines()]
        self.assertEqual(everything, sorted(keys))

    def test_ranges_and_their_ends(self):
        path = self.file(100000)
        self.good("put", self.url("k"), path)
        with open(path, "rb") as file:
            content = file.read()
        for offset, size in ((0, 1), (0, 100000), (99999, 1), (500, 60000), (100000, 0)):
            self.assertEqual(self.good("read", self.url("k"), str(offset), str(size)).out, content[offset:offset + size])
        for offset, size in ((0, 100001), (99999, 2), (100000, 1), (200000, 5)):
            self.refused("DATA", "read", self.url("k"), str(offset), str(size))

    def test_a_changed_object_is_noticed(self):
        self.good("put", self.url("k"), self.file(1000, 1))
        etag = self.good("stat", self.url("k")).out.split()[1].decode()
        self.good("read", self.url("k"), "10", "10", etag)
        self.good("put", self.url("k"), self.file(1000, 2))
        self.refused("CHANGED", "read", self.url("k"), "10", "10", etag)

    def test_create_only(self):
        path = self.file(100)
        self.good("put", self.url("k"), path, "fresh")
        self.refused("TARGET", "put", self.url("k"), self.file(100, 2, "other"), "fresh")
        self.assert_stored("k", path)

    def test_create_only_whose_answer_was_lost_is_known_as_its_own(self):
        path = self.file(100)
        self.way.on(lambda r: r.method == "PUT", "cut_reply", after=-1)
        self.good("put", self.url("k"), path, "fresh")
        self.assertEqual(self.way.count("PUT"), 2)
        self.way.on(lambda r: r.method == "PUT", "cut_reply", after=-1)
        self.refused("TARGET", "put", self.url("k"), self.file(100, 2, "other"), "fresh")
        self.assert_stored("k", path)

    def test_what_is_not_there(self):
        self.refused("NOT_FOUND", "stat", self.url("none"))
        self.refused("NOT_FOUND", "read", self.url("none"), "0", "1")
        self.refused("NOT_FOUND", "move", self.url("none"), self.url("neither"))
        self.good("remove", self.url("none"))
        self.refused("TARGET", "put", "s3://no-such-bucket/k", self.file(10))

    def test_a_move_repeated_after_a_crash(self):
        path = self.file(100)
        self.good("put", self.url("a"), path)
        self.assertEqual(self.tool("move", self.url("a"), self.url("b"),
                                   env={"MM_FAILPOINT": "storage.move.copied:1:kill"}).code, KILLED)
        self.good("move", self.url("a"), self.url("b"))
        self.good("move", self.url("a"), self.url("b"))
        self.assert_stored("b", path)
        self.refused("NOT_FOUND", "stat", self.url("a"))

    # who may

    def test_wrong_keys_are_refused_with_the_reason(self):
        self.good("put", self.url("k"), self.file(10))
        wrong = dict(self.options, storage_secret_key="wrong-secret-0000")
        for operation in (("stat", self.url("k")), ("put", self.url("k"), self.file(10)), ("list", self.url("")),
                          ("upload", self.url("k"), self.file(20 * MIB, name="big"), self.state())):
            ended = self.refused("AUTH", *operation, options=wrong)
            self.assertIn("SignatureDoesNotMatch", ended.err)
            self.assertNotIn("wrong-secret", ended.err)
        self.assertIn("does not know the access key",
                      self.refused("AUTH", "stat", self.url("k"), options=dict(self.options, storage_access_key="NOBODY")).err)

    def test_a_clock_that_is_wrong(self):
        source, library = os.path.join(self.folder, "skew.c"), os.path.join(self.folder, "skew.so")
        with open(source, "w", encoding="ascii") as file:
            file.write("#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <time.h>\n"
                       "int clock_gettime(clockid_t id, struct timespec *t) {\n"
                       "int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, \"clock_gettime\");\n"
                       "int r = real(id, t); if (id == CLOCK_REALTIME) t->tv_sec -= 1200; return r; }\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        ended = self.good("put", self.url("k"), self.file(10), env={"LD_PRELOAD": library,
                                                                    "ASAN_OPTIONS": "verify_asan_link_order=0"})
        self.assertIn("clock is -1", ended.err)
        self.assertEqual([request.status for request in self.way.requests], [403, 200])

    # bytes on the way

    def test_a_body_damaged_on_the_way_is_refused_and_sent_again(self):
        path = self.file(5000)
        self.way.on(lambda r: r.method == "PUT", "tamper", after=2500)
        self.good("put", self.url("k"), path)
        self.assertEqual([request.status for request in self.way.requests], [400, 200])
        self.assert_stored("k", path)

    def test_an_answer_damaged_on_the_way_is_noticed_and_asked_again(self):
        path = self.file(5000)
        self.good("put", self.url("k"), path)
        self.way.on(lambda r: r.method == "GET", "tamper_reply", after=4000)
        with open(path, "rb") as file:
            self.assertEqual(self.good("read", self.url("k"), "0", "5000").out, file.read())
        self.assertEqual(self.way.count("GET"), 2)

    def test_an_answer_cut_in_the_middle_is_asked_again(self):
        path = self.file(3 * MIB)
        self.good("put", self.url("k"), path)
        self.way.on(lambda r: r.method == "GET", "cut_reply", after=MIB, times=2)
        with open(path, "rb") as file:
            self.assertEqual(self.good("read", self.url("k"), "0", str(3 * MIB)).out, file.read())

    def test_an_overloaded_service_is_given_time(self):
        for status, code in ((503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests"), (502, None)):
            self.way.clear()
            self.way.on(lambda r: True, "answer", status=status, code=code, times=2)
            self.good("put", self.url("k"), self.file(100))
            self.assertEqual(self.way.count("PUT"), 3)
        self.way.clear()
        self.way.on(lambda r: True, "answer", status=503, code="SlowDown", headers=["Retry-After: 2"])
        began = time.monotonic()
        self.good("stat", self.url("k"))
        self.assertGreater(time.monotonic() - began, 2)

    def test_a_service_that_stays_overloaded_is_given_up(self):
        self.way.on(lambda r: True, "answer", status=503, code="SlowDown", times=100)
        ended = self.refused("RATE_LIMITED", "put", self.url("k"), self.file(100))
        self.assertIn(f"s3://{self.bucket}/k: PUT answered HTTP 503 SlowDown (as asked)", ended.err)
        self.assertEqual(self.way.count("PUT"), 6)

    def test_nobody_there(self):
        self.way.broken = True
        ended = self.refused("UNAVAILABLE", "stat", self.url("k"))
        self.assertIn(self.way.uri, ended.err)

    # large files

    def test_upload_in_parts_arrives_whole(self):
        path = self.file(5 * PART + 12345)
        out = self.good("upload", self.url("big"), path, self.state()).out.split()
        self.assertEqual(int(out[0]), 5 * PART + 12345)
        self.assert_stored("big", path)
        self.assertEqual(self.way.count("PUT", is_part), 6)
        head = self.boto.head_object(Bucket=self.bucket, Key="big", ChecksumMode="ENABLED")
        self.assertTrue(head["ChecksumSHA256"].endswith("-6"))
        self.assertEqual(self.uploads(), [])

    def test_upload_of_a_small_and_an_empty_file(self):
        for size in (0, 1, PART):
            path = self.file(size)
            self.good("upload", self.url("k"), path, self.state())
            self.assert_stored("k", path)
        self.assertEqual(self.way.count(), 3)

    def test_upload_killed_anywhere_and_resumed(self):
        path = self.file(6 * PART + 1)
        for number, point in enumerate(("upload.begun:1", "upload.part.sent:1", "upload.part.sent:4", "upload.all_sent:1",
                                        "upload.completed:1")):
            key = f"big{number}"
            state = self.state() + key
            self.way.clear()
            ended = self.tool("upload", self.url(key), path, state, "2", env={"MM_FAILPOINT": point + ":kill"})
            self.assertEqual(ended.code, KILLED, ended)
            sent = self.way.count("PUT", lambda r: is_part(r) and r.status == 200)
            held = {part["PartNumber"] for upload in self.uploads() if upload["Key"] == key for part in self.boto.list_parts(
                Bucket=self.bucket, Key=key, UploadId=upload["UploadId"]).get("Parts", [])}
            self.way.clear()
            self.good("upload", self.url(key), path, state, "2")
            self.assert_stored(key, path)
            numbers = [int(request.query["partNumber"]) for request in self.way.requests if is_part(request)]
            again = len(numbers)
            if point.startswith("upload.completed"):
                self.assertEqual((again, self.way.count("POST")), (0, 0), "it was there already")
            elif point.startswith("upload.begun"):
                self.assertEqual((sent, again), (0, 7))
            else:
                self.assertGreaterEqual(len(held), sent, point)
                # a part that was on its way when the client died may have come in since: it is not sent either
                self.assertEqual(held & set(numbers), set(), f"{point}: held parts were sent again")
                self.assertEqual(len(set(numbers)), again, f"{point}: {numbers}")
                self.assertGreaterEqual(again, 7 - len(held) - 2, point)
        # the one begun whose id was never recorded has no parts; the others are complete
        for upload in self.uploads():
            self.assertEqual(upload["Key"], "big0")

    def test_upload_of_another_file_does_not_go_on_with_the_old_parts(self):
        path = self.file(3 * PART, 1)
        self.assertEqual(self.tool("upload", self.url("big"), path, self.state(), "1",
                                   env={"MM_FAILPOINT": "upload.part.sent:2:kill"}).code, KILLED)
        path = self.file(3 * PART, 2)
        self.good("upload", self.url("big"), path, self.state())
        self.assert_stored("big", path)
        self.assertEqual(self.uploads(), [])

    def test_upload_that_the_service_forgot_begins_anew(self):
        path = self.file(3 * PART)
        self.tool("upload", self.url("big"), path, self.state(), "1", env={"MM_FAILPOINT": "upload.part.sent:2:kill"})
        for upload in self.uploads():
            self.boto.abort_multipart_upload(Bucket=self.bucket, Key="big", UploadId=upload["UploadId"])
        self.good("upload", self.url("big"), path, self.state())
        self.assert_stored("big", path)

    def test_abort_leaves_nothing(self):
        path = self.file(3 * PART)
        self.tool("upload", self.url("big"), path, self.state(), "1", env={"MM_FAILPOINT": "upload.part.sent:2:kill"})
        self.assertEqual(len(self.uploads()), 1)
        self.good("abort", self.url("big"), self.state())
        self.assertEqual(self.uploads(), [])
        self.good("abort", self.url("big"), self.state())
        self.refused("NOT_FOUND", "stat", self.url("big"))

    def test_upload_through_faults_of_all_kinds(self):
        path = self.file(8 * PART)
        self.way.on(is_part, "answer", nth=1, status=503, code="SlowDown")
        self.way.on(is_part, "cut_request", nth=2, after=5 * MIB)
        self.way.on(is_part, "cut_reply", nth=3, after=-1)
        self.way.on(is_part, "tamper", nth=4, after=7 * MIB)
        self.way.on(is_part, "answer", nth=5, status=500, code="InternalError")
        self.way.on(lambda r: "uploads" in r.query, "cut_reply", after=-1)
        self.way.on(lambda r: r.method == "POST" and "uploadId" in r.query, "cut_reply", after=-1)
        self.good("upload", self.url("big"), path, self.state())
        self.assert_stored("big", path)
        faults = {request.fault for request in self.way.requests}
        self.assertEqual(faults, {None, "answer", "cut_request", "cut_reply", "tamper"})

    def test_upload_resumed_where_parts_cannot_be_listed(self):
        path = self.file(4 * PART)
        slow = {"MM_FAILPOINT": "upload.part.sent:3:sleep=1500,upload.part.sent:4:kill"}
        self.assertEqual(self.tool("upload", self.url("big"), path, self.state(), "1", env=slow).code, KILLED)
        with open(self.state(), encoding="ascii") as file:
            recorded = sum(1 for tag in json.load(file)["parts"] if tag)
        self.assertGreaterEqual(recorded, 1)
        self.way.clear()
        self.way.on(lambda r: r.method == "GET" and "uploadId" in r.query, "answer", status=501, code="NotImplemented",
                    times=9)
        self.good("upload", self.url("big"), path, self.state())
        self.assertEqual(self.way.count("PUT", is_part), 4 - recorded)
        self.assert_stored("big", path)

    # whose keys

    def profile(self, text, name="credentials"):
        path = os.path.join(self.folder, f"{self._testMethodName}-{name}")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def only(self, **more):
        return {"storage_endpoint": self.way.uri, **more}

    def test_keys_from_the_environment_and_from_profiles(self):
        path = self.file(10)
        self.good("put", self.url("k"), path, options=self.only(),
                  env={"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET})
        self.good("put", self.url("k"), path, options={},
                  env={"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": self.way.uri})
        shared = self.profile(f"[default]\naws_access_key_id = NOBODY\naws_secret_access_key = nothing\n\n"
                              f"# the one\n[one]\naws_access_key_id={ACCESS}\n  s3 =\n    x = y\n"
                              f"aws_secret_access_key = {SECRET}\n")
        config = self.profile(f"[profile one]\nregion = us-east-1\nendpoint_url = {self.way.uri}\n", "config")
        files = {"AWS_SHARED_CREDENTIALS_FILE": shared, "AWS_CONFIG_FILE": config}
        self.good("put", self.url("k"), path, options={}, env={**files, "AWS_PROFILE": "one"})
        self.good("put", self.url("k"), path, options={"storage_profile": "one"},
                  env={**files, "AWS_ACCESS_KEY_ID": "NOBODY", "AWS_SECRET_ACCESS_KEY": "nothing"})
        self.good("put", self.url("k"), path, options=self.only(storage_credentials=shared, storage_profile="one"))
        self.refused("AUTH", "put", self.url("k"), path, options=self.only(), env=files)
        self.refused("CONFIG", "put", self.url("k"), path, options=self.only(storage_profile="two"), env=files)
        self.refused("CONFIG", "put", self.url("k"), path, options=self.only())
        self.refused("CONFIG", "put", self.url("k"), path, options=self.only(storage_access_key=ACCESS))

    def test_keys_of_the_instance_the_container_and_web_identity(self):
        path = self.file(10)
        identity = self.profile("the identity\n", "identity")
        token = self.profile("container-token\n", "token")
        with object_servers.Machine([(ACCESS, SECRET)]) as machine:
            instance = {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.uri}
            container = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": machine.uri + "/container"}
            web = {"AWS_ENDPOINT_URL_STS": machine.uri, "AWS_ROLE_ARN": "arn:aws:iam::1:role/r",
                   "AWS_WEB_IDENTITY_TOKEN_FILE": identity}
            self.good("put", self.url("k"), path, options=self.only(), env=instance)
            self.good("put", self.url("k"), path, options=self.only(),
                      env={**container, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-token"})
            self.good("put", self.url("k"), path, options=self.only(),
                      env={**container, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token})
            self.good("put", self.url("k"), path, options=self.only(), env=web)
            self.assertEqual(machine.served, {"instance": 1, "container": 2, "sts": 1})
            self.assertEqual(machine.forms[0][0]["RoleArn"], "arn:aws:iam::1:role/r")
            # the role only, although keys are given
            self.good("put", self.url("k"), path, env=instance,
                      options=self.only(storage_use_iam="true", storage_access_key="NOBODY", storage_secret_key="nothing"))
            self.refused("AUTH", "put", self.url("k"), path, options=self.only(), env=container)
            self.refused("CONFIG", "put", self.url("k"), path, options=self.only(),
                         env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/keys"})
            config = self.profile(f"[profile high]\nrole_arn = arn:aws:iam::1:role/high\nsource_profile = low\n"
                                  f"[profile low]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n",
                                  "config")
            self.good("put", self.url("k"), path, options=self.only(storage_profile="high"),
                      env={"AWS_CONFIG_FILE": config, "AWS_ENDPOINT_URL_STS": machine.uri})
            form, authorization = machine.forms[-1]
            self.assertEqual(form["Action"], "AssumeRole")
            self.assertIn(f"Credential={ACCESS}/", authorization)
            self.assertIn("/us-east-1/sts/aws4_request", authorization)

    def test_no_metadata_service_is_said_at_once(self):
        began = time.monotonic()
        ended = self.refused("CONFIG", "stat", self.url("k"), options=self.only(),
                             env={"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"})
        self.assertLess(time.monotonic() - began, 10)
        self.assertIn("no credentials", ended.err)

    def test_keys_that_expire_in_the_middle_of_an_upload(self):
        self.server.add_user("SECONDKEY", "second-secret-11")
        path = self.file(6 * PART)
        with object_servers.Machine([(ACCESS, SECRET), ("SECONDKEY", "second-secret-11")]) as machine:
            self.way.on(lambda r: is_part(r) and f"Credential={ACCESS}/" in r.headers["authorization"], "answer", nth=3,
                        times=99, status=400, code="ExpiredToken")
            self.good("upload", self.url("big"), path, self.state(), options=self.only(), env={
                "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.uri})
            self.assertEqual(machine.served["instance"], 2, "one fetch for all connections")
        self.assert_stored("big", path)

    def test_keys_are_renewed_before_they_expire(self):
        path = self.file(3 * PART)
        with object_servers.Machine([(ACCESS, SECRET)], lifetime=200) as machine:  # below the margin
            self.good("upload", self.url("big"), path, self.state(), "1", options=self.only(), env={
                "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.uri})
            self.assertGreater(machine.served["instance"], 1)


    def test_a_bucket_in_another_region_is_followed_there(self):
        self.good("put", self.url("k"), self.file(10), options=dict(self.options, storage_region="eu-west-9"))
        self.assertEqual([request.status // 100 for request in self.way.requests], [4, 2])
        self.good("upload", self.url("big"), self.file(2 * PART), self.state(),
                  options=dict(self.options, storage_region="eu-west-9"))


class Tls(unittest.TestCase):
    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, stderr=subprocess.DEVNULL)

    def test_certificates_are_verified(self):
        with tempfile.TemporaryDirectory(prefix="mm-tls-") as folder:
            ca, key, request, certificate, extensions, other = (
                os.path.join(folder, name) for name in ("ca.pem", "key.pem", "csr.pem", "cert.pem", "ext", "other.pem"))
            for path in (ca, other):
                self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path + ".key", "-out", path, "-days",
                             "2", "-subj", "/CN=an authority", "-addext", "basicConstraints=critical,CA:TRUE")
            self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=localhost")
            with open(extensions, "w", encoding="ascii") as file:
                file.write("subjectAltName=DNS:localhost\n")
            self.openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca + ".key", "-out", certificate, "-days", "2",
                         "-extfile", extensions)
            with object_servers.VersityGw(tls=(certificate, key)) as server:
                os.mkdir(os.path.join(server.folder, "data", "bkt"))
                large = os.path.join(folder, "large")
                with open(large, "wb") as file:
                    file.write(os.urandom(40 * MIB))

                def tool(host, authority, *arguments):
                    options = dict(server.options(), storage_endpoint=f"https://{host}:{server.port}")
                    options.update({"storage_ca": authority} if authority else {})
                    pairs = [text for name, value in options.items() for text in ("-o", f"{name}={value}")]
                    made = subprocess.run([TOOL, *pairs, *arguments], capture_output=True, env=BARE, check=False)
                    return made.stderr.decode().split(":")[0] if made.returncode else "ok"

                state = os.path.join(folder, "state")
                self.assertEqual(tool("localhost", ca, "upload", "s3://bkt/k", large, state), "ok")
                self.assertEqual(tool("localhost", ca, "read", "s3://bkt/k", "7", "100"), "ok")
                for host, authority in (("localhost", None), ("localhost", other), ("127.0.0.1", ca)):
                    self.assertEqual(tool(host, authority, "stat", "s3://bkt/k"), "AUTH", (host, authority))
                self.assertEqual(tool("localhost", os.path.join(folder, "none"), "stat", "s3://bkt/k"), "CONFIG")


class Addresses(unittest.TestCase):
    """Where a bucket is, by its location and options alone."""

    def url(self, location, **options):
        pairs = [text for name, value in options.items() for text in ("-o", f"{name}={value}")]
        env = {**BARE, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        made = subprocess.run([TOOL, *pairs, "url", location], capture_output=True, text=True, env=env, check=False)
        return made.stdout.split("\n")[1] if made.returncode == 0 else made.stderr.split(":")[0]

    def test_the_providers_own_endpoints(self):
        for wanted, location, options in (
                ("https://bkt.s3.us-east-1.amazonaws.com/k", "s3://bkt/k", {}),
                ("https://bkt.s3.eu-west-1.amazonaws.com/k", "s3://bkt/k", {"storage_region": "eu-west-1"}),
                ("https://bkt.s3.cn-north-1.amazonaws.com.cn/k", "s3://bkt/k", {"storage_region": "cn-north-1"}),
                ("https://s3.us-east-1.amazonaws.com/dots.in.it/k", "s3://dots.in.it/k", {}),
                ("https://s3.us-east-1.amazonaws.com/bkt/k", "s3://bkt/k", {"storage_style": "path"}),
                ("https://bkt.s3.oss-cn-hangzhou.aliyuncs.com/k", "oss://bkt/k", {"storage_region": "oss-cn-hangzhou"}),
                ("https://bkt-125.cos.ap-beijing.myqcloud.com/k", "cos://bkt-125/k", {"storage_region": "ap-beijing"}),
                ("https://acc.r2.cloudflarestorage.com/bkt/k", "r2://bkt/k",
                 {"storage_endpoint": "https://acc.r2.cloudflarestorage.com"}),
                ("http://minio:9000/bkt/a%20b", "s3://bkt/a b", {"storage_endpoint": "http://minio:9000"}),
                ("http://minio/bkt/k", "s3://bkt/k", {"storage_endpoint": "http://minio:80/"}),
                ("http://bkt.minio:9000/k", "s3://bkt/k",
                 {"storage_endpoint": "http://minio:9000", "storage_style": "virtual"}),
                ("https://host/store/v1/s3/bkt/k", "s3://bkt/k", {"storage_endpoint": "https://host/store/v1/s3"})):
            with self.subTest(location=location, **options):
                self.assertEqual(self.url(location, **options), wanted)

    def test_what_is_missing_is_said(self):
        for location, options in (("oss://bkt/k", {}), ("cos://bkt/k", {}), ("r2://bkt/k", {}), ("s3:///k", {}),
                                  ("s4://bkt/k", {}), ("s3://bkt/k", {"storage_endpoint": "minio:9000"}),
                                  ("oss://dots.in/k", {"storage_region": "cn-hangzhou"})):
            with self.subTest(location=location, **options):
                self.assertEqual(self.url(location, **options), "CONFIG")


class VirtualHost(unittest.TestCase):
    def test_the_bucket_in_the_host_and_another_region(self):
        with object_servers.VersityGw(region="auto", virtual="localhost") as server:
            server.client().create_bucket(Bucket="bkt")
            options = dict(server.options(), storage_endpoint=f"http://localhost:{server.port}", storage_style="virtual")
            command = [TOOL] + [text for name, value in options.items() for text in ("-o", f"{name}={value}")]
            for arguments in (("put", "s3://bkt/a b+c", TOOL), ("stat", "s3://bkt/a b+c"), ("list", "s3://bkt/")):
                made = subprocess.run([*command, *arguments], capture_output=True, text=True, env=BARE, check=False)
                self.assertEqual(made.returncode, 0, made.stderr)
            head = server.client().head_object(Bucket="bkt", Key="a b+c")
            self.assertEqual(head["ContentLength"], os.path.getsize(TOOL))


if __name__ == "__main__":
    try:
        object_servers.program("versitygw")
    except RuntimeError as error:
        print(f"skipped: versitygw cannot be built here: {error}", file=sys.stderr)
        print("0 passed, 0 failed, 1 skipped")
        sys.exit(0)
    unittest.main()
