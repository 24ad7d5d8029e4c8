"""Google Cloud Storage against fake-gcs-server. That one checks no credentials, so a proxy before it does: it lets
through what has a token that a stand-in for Google's token services gave."""

import json
import time
import unittest

from cryptography.hazmat.primitives.asymmetric import rsa

import cloud_servers
import object_servers
from cloud_cases import Cases

SERVER = None


class _Gcs(Cases):
    scheme, bucket, first_part = "gs", "a-bucket", 1
    overload = {"status": 503, "body": json.dumps({"error": {"code": 503, "message": "Backend Error",
                                                              "errors": [{"reason": "backendError"}]}})}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = SERVER
        SERVER.make_bucket(cls.bucket)

    def options(self):
        return {"storage_endpoint": self.way.uri}

    def keys(self, prefix):
        return SERVER.keys(self.bucket, prefix)

    def parts_left(self, key):
        return [name for name in self.keys(key) if ".mmresume-" in name]

    @staticmethod
    def is_put(request):
        return request.method == "POST" and request.query.get("uploadType") == "multipart"

    @staticmethod
    def is_part(request):
        return request.method == "POST" and request.query.get("uploadType") == "media"


class Emulator(_Gcs, unittest.TestCase):
    """An endpoint of plain http, and no credentials: none are sent."""

    secrets = ("ya29", "Bearer")

    def test_no_token_is_sought_for_a_plain_endpoint(self):
        with cloud_servers.GoogleTokens() as tokens:
            self.tool("list", self.url(""), env={"GCE_METADATA_HOST": tokens.uri.removeprefix("http://"),
                                                 "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere"})
            self.assertEqual(tokens.ways, [])
        self.assertEqual(self.way.count(where=lambda request: "authorization" in request.headers), 0)

    def test_a_bucket_that_is_not_there_is_named(self):
        self.refused("NOT_FOUND", ["gs://nowhere"], "list", "gs://nowhere/x")
        self.refused("TARGET", ["gs://nowhere"], "upload", "gs://nowhere/x", self.large, self.path("state-nowhere"))

    def test_more_parts_than_one_composition_takes_are_composed_in_groups(self):
        data = self.large_bytes[:70 * 1000 + 1]
        path = self.path("groups", data)
        self.tool("parts", self.url("groups"), path, "1000")
        composed = self.way.count(where=lambda request: request.path.endswith("/compose"))
        self.assertEqual(composed, 4)  # 32 + 32 + 7 parts, then three groups
        self.assertEqual(SERVER.get(self.bucket, "groups"), data)
        self.assertEqual(self.keys("groups"), ["groups"])
        self.forget("groups")

    def test_a_composition_that_is_not_of_our_parts_is_found_out(self):
        state = self.path("state-foreign")
        self.way.on(lambda request: request.path.endswith("/compose"), "call",
                    function=lambda _: SERVER.put(self.bucket, self.parts_left("foreign")[0], b"x" * (16 << 20)))
        self.refused("MISMATCH", ["foreign", "CRC-32C"], "upload", self.url("foreign"), self.large, state)
        self.assertIsNone(SERVER.get(self.bucket, "foreign"))
        for key in self.keys("foreign"):
            self.forget(key)

    def test_the_http_url_is_the_service_s(self):
        out = self.tool("url", self.url("a b/ü"), options={"storage_endpoint": None},
                        env={"HOME": self.folder}).decode().split("\n")
        self.assertEqual(out[:2], [self.url("a b/ü"), "https://storage.googleapis.com/a-bucket/a%20b/%C3%BC"])


class Tokens(_Gcs, unittest.TestCase):
    """Only what has a good token comes through."""

    secrets = ("ya29", "Bearer", "PRIVATE KEY", "1//refresh", "its + secret")

    def setUp(self):
        super().setUp()
        self.tokens = cloud_servers.GoogleTokens()
        self.tokens.guard(self.way)

    def tearDown(self):
        self.tokens.__exit__()
        super().tearDown()

    def credentials(self, content):
        return {"storage_credentials": self.path("credentials.json", json.dumps(content).encode())}

    def metadata(self):
        return {"GCE_METADATA_HOST": self.tokens.uri.removeprefix("http://")}

    def test_a_service_account_signs_for_one_token_and_uses_it_for_all(self):
        options = self.credentials(self.tokens.service_account())
        self.tool("upload", self.url("by account"), self.large, self.path("state-account"), options=options)
        self.assertEqual(self.tokens.ways, ["service account"])
        self.assertEqual(self.way.count(where=lambda request: request.status == 401), 0)
        self.assertEqual(SERVER.get(self.bucket, "by account"), self.large_bytes)
        self.tool("remove", self.url("by account"), options=options)

    def test_a_key_that_is_not_the_account_s_is_refused_with_the_endpoint_s_words(self):
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.assertEqual(self.refused("AUTH", ["invalid_grant", "Invalid JWT", "mover@project.iam.example"], "stat",
                                      self.url("x"), options=self.credentials(self.tokens.service_account(other))), 3)
        self.assertEqual(len(self.way.requests), 0)

    def test_a_token_that_ends_in_the_middle_is_replaced(self):
        self.way.clear()
        self.way.on(lambda request: self.is_part(request) and self.tokens.lets_through(request), "call", nth=2,
                    function=lambda _: self.tokens.good.clear())
        self.tokens.guard(self.way)
        options = self.credentials(self.tokens.service_account())
        self.tool("upload", self.url("middle"), self.large, self.path("state-middle"), "1", options=options)
        self.assertEqual(self.tokens.ways, ["service account"] * 2)
        self.assertEqual(self.way.count(where=lambda request: request.status == 401), 1)
        self.assertEqual(SERVER.get(self.bucket, "middle"), self.large_bytes)
        self.tool("remove", self.url("middle"), options=options)

    def test_a_token_is_replaced_before_it_ends(self):
        self.tokens.lifetime = 1
        options = self.credentials(self.tokens.service_account())
        self.way.clear()
        self.way.on(lambda request: self.is_part(request) and self.tokens.lets_through(request), "call", times=3,
                    function=lambda _: time.sleep(0.8))
        self.tokens.guard(self.way)
        self.tool("upload", self.url("early"), self.large, self.path("state-early"), "1", options=options)
        self.assertGreater(len(self.tokens.ways), 2)
        self.assertEqual(self.way.count(where=lambda request: request.status == 401), 0)
        self.tool("remove", self.url("early"), options=options)

    def test_a_service_that_refuses_every_token_is_asked_twice(self):
        self.tokens.lets_through = lambda request: False
        self.refused("AUTH", ["401", "Invalid Credentials", "storage.objectUser"], "stat", self.url("x"),
                     options=self.credentials(self.tokens.service_account()))
        self.assertEqual((len(self.tokens.ways), len(self.way.requests)), (2, 2))

    def test_a_user_s_refresh_token_is_exchanged(self):
        self.tool("list", self.url(""), options=self.credentials(self.tokens.user()))
        self.assertEqual(self.tokens.ways, ["user"])

    def test_the_machine_s_account_is_asked_for_its_token(self):
        self.tool("list", self.url(""), options={"storage_use_iam": "true"}, env=self.metadata())
        self.assertEqual(self.tokens.ways, ["metadata"])
        self.refused("UNAVAILABLE", ["metadata server", "storage_credentials"], "list", self.url(""),
                     options={"storage_use_iam": "true"}, env={"GCE_METADATA_HOST": "127.0.0.1:1"})

    def test_a_file_that_is_no_key_is_refused_before_anything_is_sent(self):
        account = self.tokens.service_account()
        for content, word in ((b"", "empty"), (b"{", "JSON"), (b'{"type":"external_account"}', "external_account"),
                              (json.dumps({**account, "private_key": "x"}).encode(), "RSA"),
                              (json.dumps({**account, "client_email": ""}).encode(), "client_email")):
            self.refused("CONFIG", [word, "bad.json"], "list", self.url(""),
                         options={"storage_credentials": self.path("bad.json", content)})
        self.refused("CONFIG", ["missing.json"], "list", self.url(""),
                     options={"storage_credentials": self.path("missing.json")})
        self.assertEqual((self.tokens.ways, self.way.requests), ([], []))

    def test_a_token_does_not_leave_the_machine_in_the_clear(self):
        self.refused("CONFIG", ["in the clear", "https"], "list", self.url(""),
                     options={**self.credentials(self.tokens.service_account()),
                              "storage_endpoint": "http://storage.example.com"})
        self.assertEqual(self.tokens.ways, [])


class HmacKeys(_Gcs, unittest.TestCase):
    """storage_access_key and storage_secret_key: the API that speaks S3. versitygw signs for region auto, too."""

    secrets = (object_servers.SECRET,)

    @classmethod
    def setUpClass(cls):
        Cases.setUpClass.__func__(cls)
        cls.server = object_servers.VersityGw(region="auto")
        cls.server.start()
        cls.server.client().create_bucket(Bucket=cls.bucket)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        super().tearDownClass()

    def options(self):
        return {"storage_endpoint": self.way.uri, "storage_access_key": object_servers.ACCESS,
                "storage_secret_key": object_servers.SECRET}

    def test_objects_come_and_go_by_signatures_for_region_auto(self):
        state = self.path("state-hmac")
        self.tool("upload", self.url("by hmac"), self.large, state)
        there = self.server.client().get_object(Bucket=self.bucket, Key="by hmac")["Body"].read()
        self.assertEqual(there, self.large_bytes)
        self.assertEqual(self.tool("read", self.url("by hmac"), "5", "10"), self.large_bytes[5:15])
        self.assertEqual(self.listed(""), ["by hmac"])
        for request in self.way.requests:
            self.assertIn("/auto/s3/aws4_request", request.headers["authorization"])
        self.forget("by hmac")
        self.refused("AUTH", ["by hmac"], "stat", self.url("by hmac"), options={"storage_secret_key": "wrong"})

    def test_create_only_looks_before(self):
        small = self.path("small", b"x")
        self.tool("put", self.url("only"), small, "fresh")
        self.refused("TARGET", ["only", "exists already"], "put", self.url("only"), small, "fresh")
        self.assertEqual(self.way.count("PUT"), 1)
        self.forget("only")

    def test_the_service_s_own_address_is_the_default(self):
        out = self.tool("url", self.url("a/b"), options={"storage_endpoint": None}).decode().split("\n")
        self.assertEqual(out[:2], [self.url("a/b"), "https://storage.googleapis.com/a-bucket/a/b"])


for name in [name for name in dir(Cases) if name.startswith("test_")]:
    setattr(Tokens, name, None)  # they hold without tokens, by Emulator
    setattr(HmacKeys, name, None)  # by test_storage_s3.py


def main():
    global SERVER
    try:
        SERVER = cloud_servers.FakeGcs()
        SERVER.start()
    except RuntimeError as error:
        print(error)
        print("0 passed, 1 skipped")
        return
    try:
        unittest.main(verbosity=2)
    finally:
        SERVER.stop()


if __name__ == "__main__":
    main()
