"""Azure Blob Storage against Azurite."""

import os
import unittest

import cloud_servers
from cloud_cases import Cases
from cloud_servers import ACCOUNT, KEY

SERVER = None


class Azure(Cases, unittest.TestCase):
    scheme, bucket, first_part = "az", "container", 1
    secrets = (KEY, KEY[:40])
    overload = {"status": 503, "code": "ServerBusy"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = SERVER
        SERVER.make_container(cls.bucket)

    def options(self):
        return {**SERVER.options(), "storage_endpoint": self.way.uri}

    def keys(self, prefix):
        return self.listed(prefix)

    def parts_left(self, key):
        return SERVER.uncommitted(self.bucket, key)

    @staticmethod
    def is_put(request):
        return request.method == "PUT" and "comp" not in request.query

    @staticmethod
    def is_part(request):
        return request.method == "PUT" and request.query.get("comp") == "block"

    # credentials

    def test_a_wrong_key_is_refused_with_the_service_s_words(self):
        wrong = {"storage_secret_key": "d3Jvbmcga2V5"}
        self.assertEqual(self.refused("AUTH", ["403", "failed to authenticate", "clock"], "put", self.url("wrong"),
                                      self.large, options=wrong), 3)
        self.refused("AUTH", ["403"], "stat", self.url("wrong"), options=wrong)
        self.refused("CONFIG", ["not base64", ACCOUNT], "stat", self.url("wrong"), options={"storage_secret_key": "?"})
        self.assertIsNone(SERVER.get(self.bucket, "wrong"))

    def test_a_container_that_is_not_there_is_named(self):
        self.refused("NOT_FOUND", ["nowhere", "ContainerNotFound"], "list", "az://nowhere/x")
        self.refused("NOT_FOUND", ["nowhere"], "put", "az://nowhere/x", self.path("small", b"x"))
        self.refused("TARGET", ["nowhere", "ContainerNotFound"], "upload", "az://nowhere/x", self.large,
                     self.path("state-nowhere"))

    def test_a_sas_token_does_all_of_it(self):
        sas = SERVER.sas()
        self.secrets = (*self.secrets, sas.partition("sig=")[2])
        options = {"storage_secret_key": None, "storage_session_token": "?" + sas}
        self.tool("upload", self.url("by sas"), self.large, self.path("state-sas"), options=options)
        self.tool("move", self.url("by sas"), self.url("by sas 2"), options=options)
        self.assertEqual(SERVER.get(self.bucket, "by sas 2"), self.large_bytes)
        self.assertIn(b"by sas 2", self.tool("list", self.url("by"), options=options))
        self.tool("remove", self.url("by sas 2"), options=options)

    def test_a_sas_token_that_is_wrong_ended_or_too_weak_is_refused(self):
        for sas in (SERVER.sas(key="d3Jvbmcga2V5"), SERVER.sas(seconds=-60), SERVER.sas(rights="rl")):
            options = {"storage_secret_key": None, "storage_session_token": sas}
            self.secrets = (*self.secrets, sas.partition("sig=")[2])
            self.refused("AUTH", ["403"], "put", self.url("weak"), self.path("small", b"x"), options=options)
        self.refused("CONFIG", ["SAS"], "stat", self.url("weak"),
                     options={"storage_secret_key": None, "storage_session_token": "nonsense"})

    def test_the_environment_s_account_and_key_are_taken(self):
        env = {"AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_KEY": KEY}
        none = {"storage_access_key": None, "storage_secret_key": None}
        self.tool("put", self.url("by environment"), self.path("small", b"x"), options=none, env=env)
        self.tool("remove", self.url("by environment"), options=none, env=env)
        self.refused("CONFIG", ["storage_access_key"], "stat", self.url("x"), options=none)

    def test_options_of_other_services_are_refused(self):
        for name in ("storage_credentials", "storage_profile"):
            self.refused("CONFIG", [name], "stat", self.url("x"), options={name: self.path("small", b"x")})

    def test_a_location_may_be_the_blob_s_https_url(self):
        url = f"https://{ACCOUNT}.blob.core.windows.net/{self.bucket}/a%20b%2Bc"
        options = {"storage_access_key": None}
        self.tool("put", url, self.path("small", b"x"), options=options)
        self.assertEqual(SERVER.get(self.bucket, "a b+c"), b"x")
        self.tool("remove", url, options=options)
        out = self.tool("url", url, options={"storage_access_key": None, "storage_endpoint": None}).decode()
        self.assertEqual(out.split("\n")[:2], [url, url])
        out = self.tool("url", self.url("a b+c"), options={"storage_endpoint": None}).decode()
        self.assertEqual(out.split("\n")[:2], [self.url("a b+c"), url])
        self.refused("CONFIG", ["storage_session_token"], "stat", url + "?sv=1&sig=abc")
        self.refused("CONFIG", ["another account"], "stat", url, options={"storage_access_key": "other"})

    # blocks

    def test_an_upload_given_up_beside_a_blob_leaves_the_blob_alone(self):
        SERVER.put(self.bucket, "beside", b"what was there")
        state = self.path("state-beside")
        self.assertTrue(self.killed_at(3, state, "beside"))
        self.tool("abort", self.url("beside"), state)
        self.assertEqual(SERVER.get(self.bucket, "beside"), b"what was there")
        self.forget("beside")

    def test_a_giving_up_that_was_killed_half_way_is_finished(self):
        state = self.path("state-half")
        self.assertTrue(self.killed_at(3, state, "half"))
        abort = []
        self.way.clear()
        self.way.on(lambda r: r.method == "DELETE", "call", function=lambda _: abort[0].kill())
        abort.append(self.start("abort", self.url("half"), state))
        self.assertEqual(self.end(abort[0])[0], -9)
        self.tool("abort", self.url("half"), state)
        self.assertEqual(self.listed("half"), [])

    def test_blocks_that_the_service_dropped_are_sent_again(self):
        state = self.path("state-dropped")
        self.assertTrue(self.killed_at(3, state, "dropped"))
        SERVER.request("PUT", f"/{self.bucket}/dropped", {"comp": "blocklist"}, body=b"<BlockList></BlockList>")
        self.assertFalse(SERVER.uncommitted(self.bucket, "dropped"))
        self.tool("upload", self.url("dropped"), self.large, state)
        self.uploaded("dropped")
        self.forget("dropped")


class Identity(Cases, unittest.TestCase):
    """Tokens: Azurite takes them over TLS only, so without the proxy."""

    scheme, bucket, secrets = "az", "container", (KEY, "the secret", "the assertion", "the header", "eyJ")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cloud_servers.Azurite(tls=True)
        cls.server.start()
        cls.server.make_container(cls.bucket)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        super().tearDownClass()

    def options(self):
        return {"storage_endpoint": self.server.uri, "storage_access_key": ACCOUNT, "storage_ca": self.server.tls[0]}

    def check(self, tokens, env, way):
        self.tool("upload", self.url("by token"), self.large, self.path("state-token"), env=env)
        os.unlink(self.path("state-token"))
        self.assertEqual(self.server.get(self.bucket, "by token"), self.large_bytes)
        self.assertEqual(tokens.ways, [way])

    def test_a_machine_s_identity_is_asked_for_one_token(self):
        with cloud_servers.EntraTokens() as tokens:
            self.check(tokens, {"AZURE_POD_IDENTITY_AUTHORITY_HOST": tokens.uri}, ("machine", None))

    def test_a_machine_may_have_several_identities(self):
        with cloud_servers.EntraTokens() as tokens:
            self.check(tokens, {"AZURE_POD_IDENTITY_AUTHORITY_HOST": tokens.uri, "AZURE_CLIENT_ID": "id-1"},
                       ("machine", "id-1"))

    def test_app_service_gives_a_token_for_its_header(self):
        with cloud_servers.EntraTokens() as tokens:
            self.check(tokens, {"IDENTITY_ENDPOINT": tokens.uri + "/msi/token", "IDENTITY_HEADER": "the header"},
                       ("app service", None))

    def test_a_workload_s_assertion_and_an_application_s_secret_are_exchanged(self):
        entra = {"AZURE_TENANT_ID": "a-tenant", "AZURE_CLIENT_ID": "a-client"}
        with cloud_servers.EntraTokens() as tokens:
            entra["AZURE_AUTHORITY_HOST"] = tokens.uri + "/"
            assertion = self.path("assertion", b"the assertion\n")
            self.check(tokens, {**entra, "AZURE_FEDERATED_TOKEN_FILE": assertion}, ("workload", "a-client"))
        with cloud_servers.EntraTokens() as tokens:
            entra["AZURE_AUTHORITY_HOST"] = tokens.uri
            self.check(tokens, {**entra, "AZURE_CLIENT_SECRET": "the secret"}, ("application", "a-client"))
            self.refused("AUTH", ["AADSTS7000215"], "stat", self.url("x"),
                         env={**entra, "AZURE_CLIENT_SECRET": "wrong"})

    def test_a_token_that_ended_early_is_replaced(self):
        with cloud_servers.EntraTokens(ages=(-10, 3600)) as tokens:
            self.tool("put", self.url("early"), self.path("small", b"x"),
                      env={"AZURE_POD_IDENTITY_AUTHORITY_HOST": tokens.uri})
            self.assertEqual(len(tokens.ways), 2)
        with cloud_servers.EntraTokens(ages=(-10,)) as tokens:
            self.refused("AUTH", ["AuthenticationFailed"], "put", self.url("early"), self.path("small"),
                         env={"AZURE_POD_IDENTITY_AUTHORITY_HOST": tokens.uri})
            self.assertEqual(len(tokens.ways), 2)

    def test_the_job_s_key_goes_before_and_use_iam_before_that(self):
        with cloud_servers.EntraTokens() as tokens:
            env = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": tokens.uri}
            self.tool("list", self.url(""), options={"storage_secret_key": KEY}, env=env)
            self.assertEqual(tokens.ways, [])
            self.tool("list", self.url(""), options={"storage_secret_key": KEY, "storage_use_iam": "true"}, env=env)
            self.assertEqual(len(tokens.ways), 1)


# of the common cases those that need the proxy hold for keys; here they would say the same again
for name in [name for name in dir(Cases) if name.startswith("test_")]:
    setattr(Identity, name, None)


def main():
    global SERVER
    try:
        SERVER = cloud_servers.Azurite()
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
