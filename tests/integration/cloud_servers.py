"""Azurite and fake-gcs-server for the tests, and stand-ins for the services that give tokens.

fake-gcs-server checks no credentials; `guard` on a FaultProxy before it does. The stand-ins for tokens check what
they are asked: the signature of a service account's JWT, the header of a metadata server. This file knows nothing of
mmresume, and signs for Azurite with lines of its own."""

import base64
import datetime
import email.utils
import hashlib
import hmac
import http.client
import http.server
import ipaddress
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

import object_servers
import servers

ROOT = os.environ.get("MM_ROOT") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
ACCOUNT = "testaccount"
KEY = base64.b64encode(b"a key of sixty-four bytes, as accounts have them, for one test..").decode()


def _npm_program(name):
    made = subprocess.run([os.path.join(ROOT, "scripts", "npm_server.sh"), name], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        raise RuntimeError(made.stderr.strip())
    return made.stdout.strip()


def certificate(folder):
    """A self-signed certificate for 127.0.0.1: (certificate's path, key's path)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256()))
    paths = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    with open(paths[0], "wb") as file:
        file.write(made.public_bytes(serialization.Encoding.PEM))
    with open(paths[1], "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))
    return paths


class Azurite(servers._Server):
    """The Blob service of Azurite. tls: https, and tokens of identities are taken (their claims are checked)."""

    def __init__(self, folder=None, keep=False, tls=False):
        super().__init__(folder, keep)
        self.port = servers.free_port()
        self.tls = certificate(self.folder) if tls else None

    @property
    def uri(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self, timeout=60):
        command = ["node", _npm_program("azurite"), "--blobHost", "127.0.0.1", "--blobPort", str(self.port),
                   "--location", os.path.join(self.folder, "data"), "--skipApiVersionCheck", "--disableTelemetry",
                   "--silent"]
        if self.tls:
            command += ["--cert", self.tls[0], "--key", self.tls[1], "--oauth", "basic"]
        self._spawn(command, dict(os.environ, AZURITE_ACCOUNTS=f"{ACCOUNT}:{KEY}"))
        self._wait(self.healthy, timeout)

    def healthy(self):
        try:
            return self.request("GET", "/", {"comp": "list"})[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def options(self):
        return {"storage_endpoint": self.uri, "storage_access_key": ACCOUNT, "storage_secret_key": KEY}

    def request(self, method, path, query=None, headers=None, body=b""):
        """A signed request: path below the account, percent-encoded. (status, headers, body)."""
        query = query or {}
        headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2020-10-02", **(headers or {})}
        path = f"/{ACCOUNT}{path}"
        lines = [method, "", "", str(len(body)) if body else "", headers.get("content-md5", ""),
                 headers.get("content-type", ""), "", "", headers.get("if-match", ""), headers.get("if-none-match", ""),
                 "", ""]
        lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-ms-")]
        lines += [f"/{ACCOUNT}{path}"] + [f"{name}:{query[name]}" for name in sorted(query)]
        mac = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(mac).decode()}"
        context = ssl.create_default_context(cafile=self.tls[0]) if self.tls else None
        connection = (http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context) if self.tls
                      else http.client.HTTPConnection("127.0.0.1", self.port, timeout=30))
        try:
            connection.request(method, path + ("?" + urllib.parse.urlencode(query) if query else ""), body, headers)
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        finally:
            connection.close()

    def make_container(self, name):
        status, _, body = self.request("PUT", f"/{name}", {"restype": "container"})
        if status not in (201, 409):
            raise RuntimeError(body)

    def put(self, container, key, body):
        status, _, text = self.request("PUT", f"/{container}/{urllib.parse.quote(key)}",
                                       headers={"x-ms-blob-type": "BlockBlob"}, body=body)
        if status != 201:
            raise RuntimeError(text)

    def get(self, container, key):
        """None: not there."""
        status, _, body = self.request("GET", f"/{container}/{urllib.parse.quote(key)}")
        return body if status == 200 else None

    def uncommitted(self, container, key):
        """Whether the service holds blocks that are not committed."""
        _, _, body = self.request("GET", f"/{container}/{urllib.parse.quote(key)}",
                                  {"comp": "blocklist", "blocklisttype": "uncommitted"})
        return b"<Block>" in body

    def sas(self, rights="rwdlc", seconds=3600, key=KEY):
        """A shared access signature of the account, for the Blob service. Source: "Create an account SAS"."""
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        values = {"sp": rights, "ss": "b", "srt": "sco", "se": ends, "spr": "https,http", "sv": "2020-10-02"}
        text = "\n".join([ACCOUNT, values["sp"], values["ss"], values["srt"], "", values["se"], "", values["spr"],
                          values["sv"], ""])
        mac = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
        return urllib.parse.urlencode({**values, "sig": base64.b64encode(mac).decode()})


class FakeGcs(servers._Server):
    """fake-gcs-server in memory. It ignores generations in reads and compositions, and checks no credentials."""

    def __init__(self, folder=None, keep=False):
        super().__init__(folder, keep)
        self.port = servers.free_port()

    def start(self, timeout=30):
        self._spawn([object_servers.program("fake-gcs-server"), "-scheme", "http", "-host", "127.0.0.1", "-port",
                     str(self.port), "-backend", "memory", "-public-host", f"127.0.0.1:{self.port}", "-external-url",
                     self.uri, "-log-level", "error"], dict(os.environ))
        self._wait(self.healthy, timeout)

    def healthy(self):
        try:
            return self.request("GET", "/_internal/healthcheck")[0] == 200
        except OSError:
            return False

    def options(self):
        return {"storage_endpoint": self.uri}

    def request(self, method, target, body=None):
        """(status, body)"""
        request = urllib.request.Request(self.uri + target, method=method, data=body,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def make_bucket(self, name):
        status, body = self.request("POST", "/storage/v1/b", json.dumps({"name": name}).encode())
        if status not in (200, 409):
            raise RuntimeError(body)

    def put(self, bucket, key, body):
        status, text = self.request("POST", f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name="
                                    + urllib.parse.quote(key, safe=""), body)
        if status != 200:
            raise RuntimeError(text)

    def get(self, bucket, key):
        status, body = self.request("GET", f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(key, safe='')}?alt=media")
        return body if status == 200 else None

    def keys(self, bucket, prefix=""):
        _, body = self.request("GET", f"/storage/v1/b/{bucket}/o?prefix=" + urllib.parse.quote(prefix, safe=""))
        return [item["name"] for item in json.loads(body).get("items") or []]


# tokens


def _url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _Service:
    """A thread that answers: (status, JSON) from reply(method, path, query, headers, form)."""

    def __init__(self):
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path, _, query = self.path.partition("?")
                size = int(self.headers.get("Content-Length") or 0)
                form = dict(urllib.parse.parse_qsl(self.rfile.read(size).decode()))
                query = dict(urllib.parse.parse_qsl(query))
                status, answer = service.reply(self.command, path, query, self.headers, form)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class GoogleTokens(_Service):
    """Google's token endpoint and metadata server. given: tokens so far; good: those that a guard lets through.

    lifetime: what is said of a token, in seconds."""

    SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"

    def __init__(self, lifetime=3599):
        super().__init__()
        self.lifetime = lifetime
        self.given, self.good, self.ways = [], set(), []
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def service_account(self, key=None):
        """What the file of a service account says; key: another one than the endpoint knows."""
        pem = (key or self.key).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                              serialization.NoEncryption()).decode()
        return {"type": "service_account", "client_email": "mover@project.iam.example", "private_key_id": "k1",
                "private_key": pem, "token_uri": self.uri + "/token"}

    def user(self):
        return {"type": "authorized_user", "client_id": "a client", "client_secret": "its + secret",
                "refresh_token": "1//refresh/token", "token_uri": self.uri + "/token"}

    def lets_through(self, request):
        return request.headers.get("authorization", "").removeprefix("Bearer ") in self.good

    def guard(self, proxy):
        """The proxy answers 401 to every request without a token that is good at that moment."""
        proxy.on(lambda request: not self.lets_through(request), "answer", times=1 << 60, status=401,
                 body=json.dumps({"error": {"code": 401, "message": "Invalid Credentials",
                                            "errors": [{"reason": "authError"}]}}))

    def _give(self, way):
        token = f"ya29.token-{len(self.given)}"
        self.given.append(token)
        self.ways.append(way)
        self.good.add(token)
        return 200, {"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}

    def _jwt(self, assertion):
        """What is wrong with it; None: nothing."""
        try:
            head, claims, signature = assertion.split(".")
            pad = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))  # noqa: E731
            signed = f"{head}.{claims}".encode()
            self.key.public_key().verify(pad(signature), signed, padding.PKCS1v15(), hashes.SHA256())
            head, claims = json.loads(pad(head)), json.loads(pad(claims))
        except Exception as error:  # whatever is malformed in it
            return f"signature: {type(error).__name__}"
        now = time.time()
        if head != {"alg": "RS256", "typ": "JWT", "kid": "k1"}:
            return f"header {head}"
        asked = claims["iss"], claims["scope"], claims["aud"]
        if asked != ("mover@project.iam.example", self.SCOPE, self.uri + "/token"):
            return f"claims {claims}"
        return None if now - 60 < claims["iat"] <= now + 1 and claims["exp"] - claims["iat"] == 3600 else "times"

    def reply(self, method, path, query, headers, form):
        if path == "/computeMetadata/v1/instance/service-accounts/default/token":
            return self._give("metadata") if headers.get("Metadata-Flavor") == "Google" else (403, {})
        if method != "POST" or path != "/token":
            return 404, {}
        if form.get("grant_type") == "refresh_token":
            asked = (form.get("client_id"), form.get("client_secret"), form.get("refresh_token"))
            return (self._give("user") if asked == ("a client", "its + secret", "1//refresh/token")
                    else (400, {"error": "invalid_grant", "error_description": "Bad Request"}))
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return 400, {"error": "unsupported_grant_type"}
        wrong = self._jwt(form.get("assertion", ""))
        return ((400, {"error": "invalid_grant", "error_description": f"Invalid JWT: {wrong}"}) if wrong
                else self._give("service account"))


class EntraTokens(_Service):
    """The instance metadata service, App Service's identity endpoint, and the authority, for storage's audience.

    ages: for how many seconds each token is good in truth, the last for all that follow; an hour is said of all."""

    def __init__(self, ages=(3600,)):
        super().__init__()
        self.ages, self.ways = list(ages), []

    def _give(self, way):
        now = int(time.time())
        age = self.ages[min(len(self.ways), len(self.ages) - 1)]
        claims = {"aud": "https://storage.azure.com/", "iss": "https://sts.windows.net/a-tenant/", "iat": now - 60,
                  "nbf": now - 60, "exp": now + age}
        self.ways.append(way)
        parts = {"alg": "none", "typ": "JWT"}, claims
        token = ".".join(_url64(json.dumps(part).encode()) for part in parts) + ".c2ln"
        return 200, {"access_token": token, "expires_in": "3600", "expires_on": str(now + 3600), "token_type": "Bearer"}

    def reply(self, method, path, query, headers, form):
        resource = query.get("resource") == "https://storage.azure.com/"
        if path == "/metadata/identity/oauth2/token":
            good = headers.get("Metadata") == "true" and resource and query.get("api-version") == "2018-02-01"
            return self._give(("machine", query.get("client_id"))) if good else (400, {"error": "invalid_request"})
        if path == "/msi/token":
            good = headers.get("X-IDENTITY-HEADER") == "the header" and resource
            return self._give(("app service", query.get("client_id"))) if good else (401, {"error": "unauthorized"})
        if method == "POST" and path == "/a-tenant/oauth2/v2.0/token":
            asked = form.get("scope"), form.get("grant_type")
            scope = asked == ("https://storage.azure.com/.default", "client_credentials")
            if scope and form.get("client_assertion") == "the assertion" and \
                    form.get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
                return self._give(("workload", form.get("client_id")))
            if scope and form.get("client_secret") == "the secret":
                return self._give(("application", form.get("client_id")))
            return 401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."}
        return 404, {}
