"""Who may ask an Elasticsearch node: a real one behind a gate that knows a password, keys, tokens and certificates, and
checks AWS's signatures with botocore; TLS by an authority's file and by its fingerprint; a cloud id; several nodes."""

import base64
import hashlib
import http.client
import http.server
import os
import ssl
import subprocess
import sys
import threading

import botocore.auth
import botocore.awsrequest
import botocore.credentials

import elastic_servers
import jobs
import servers
from jobs import CONFIG, UNAVAILABLE
from oracle import read_lines as lines

ROWS = 400
KEYS = ("AKIAEXAMPLE", "hidden-secret-key")


class Gate(http.server.ThreadingHTTPServer):
    """Forwards to the node what `allows` allows, function of a handler and the body; else 401. tls: (certificate, key,
    authority of client certificates or None)."""

    daemon_threads = True

    def __init__(self, node, allows, tls=None):
        self.node, self.allows, self.seen = node, allows, []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(tls[0], tls[1])
            if tls[2]:
                self.context.load_verify_locations(tls[2])
                self.context.verify_mode = ssl.CERT_REQUIRED
        self.port = self.server_address[1]
        self.uri = f"{'https' if tls else 'http'}://localhost:{self.port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def finish_request(self, request, client_address):
        try:
            if self.context:
                request = self.context.wrap_socket(request, server_side=True)
            super().finish_request(request, client_address)
        except OSError:
            pass  # a client that does not trust us, or whom we do not

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append(dict(self.headers))
        if not self.server.allows(self, body):
            self._answer(401, {"Content-Type": "text/plain"}, b"Unauthorized")
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.node.port, timeout=60)
        passed = {name: self.headers[name] for name in ("Content-Type", "Accept-Encoding") if self.headers[name]}
        connection.request(self.command, self.path, body or None, passed)
        reply = connection.getresponse()
        kept = {name: reply.headers[name] for name in ("Content-Type", "Content-Encoding") if reply.headers[name]}
        self._answer(reply.status, kept, reply.read())
        connection.close()

    def _answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _serve

    def log_message(self, *_):
        pass


class Access(jobs.Jobs):
    def __init__(self, node):
        super().__init__()
        self.node, self.number = node, 0
        client = node.client()
        client("PUT", "/things", {"settings": {"number_of_shards": 2, "number_of_replicas": 0}})
        client.index("things", ((str(i), {"name": f"thing {i}", "n": i}) for i in range(ROWS)))
        certificates(self.folder)

    def tls(self, client=None):
        return self.path("server.pem"), self.path("server.key"), client

    def _job(self, source):
        self.number += 1
        name = f"access{self.number}"
        file = self.job(name, None, {"driver": "files", "path": self.path(name + ".out"), "format": "jsonl"},
                        source={"driver": "elasticsearch", "index": "things", "page_rows": 60, **source}, verify="count")
        with open(file, encoding="utf-8") as text:
            spec = text.read().replace('"path": null,', "", 1)
        with open(file, "w", encoding="utf-8") as out:
            out.write(spec)
        return name, file

    def passes(self, environment=None, **source):
        name, file = self._job(source)
        self.call("run", file, environment=environment)
        got = lines(self.path(name + ".out"))["things"]
        assert sorted(row["n"] for row in got) == list(range(ROWS)), len(got)

    def refused(self, words, code=CONFIG, environment=None, **source):
        name, file = self._job(source)
        return self.fails(code, words, "run", file, environment=environment)


def certificates(folder):
    """An authority, certificates that it signed for localhost and for a client, and an authority that signed neither."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout",
                f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    for name in ("server", "client"):
        with open(os.path.join(folder, f"{name}.ext"), "w", encoding="ascii") as file:
            file.write("subjectAltName=DNS:localhost,DNS:cluster.localhost\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", f"{name}.ext", "-out", f"{name}.crt")
        with open(os.path.join(folder, f"{name}.pem"), "wb") as chain:  # a server shows its authority too
            for part in (f"{name}.crt", "ca.pem"):
                with open(os.path.join(folder, part), "rb") as text:
                    chain.write(text.read())


def fingerprint(file):
    with open(file, encoding="ascii") as text:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text.read())).hexdigest()


def basic(text):
    return base64.b64encode(text.encode()).decode()


def allows(value):
    return lambda handler, body: handler.headers["Authorization"] == value


def a_password_a_key_and_a_token_open_and_wrong_ones_do_not(work):
    ways = [("Basic " + basic("ann:pass word"), {"username": "ann", "password": "pass word"}, {"password": "wr0ng-word"}),
            ("ApiKey " + basic("id7:key9"), {"api_key": "id7:key9"}, {"api_key": "id7:wr0ng"}),
            ("ApiKey " + basic("id7:key9"), {"api_key": basic("id7:key9")}, {"api_key": basic("id7:no")}),
            ("Bearer AAEAAWVs", {"token": "AAEAAWVs"}, {"token": "AAEAAWwrong"})]
    for header, right, wrong in ways:
        with Gate(work.node, allows(header)) as gate:
            work.passes(endpoint=gate.uri, **right)
            ended = work.refused(["HTTP 401", "Unauthorized", "give username"], endpoint=gate.uri, **{**right, **wrong})
            assert not any(value in ended.err for value in wrong.values()), ended.err
        pair = right.get("api_key")
        if pair:
            environment = {"ES_API_KEY": pair}
            with Gate(work.node, allows(header)) as gate:
                assert f"documents: {ROWS}" in work.call("inspect", gate.uri + "/things", environment=environment).out
                said = work.fails(CONFIG, "HTTP 401", "inspect", gate.uri + "/things", environment={"ES_API_KEY": "id7:wr0ng"})
                assert "wr0ng" not in said.err, said.err
    work.refused("one of username, api_key, token", endpoint=work.node.uri, api_key="a:b", token="c")
    work.refused("belong together", endpoint=work.node.uri, username="ann")


def a_server_is_known_by_its_authority_or_its_fingerprint(work):
    with Gate(work.node, lambda *_: True, work.tls()) as gate:
        work.passes(endpoint=gate.uri, ca_file=work.path("ca.pem"))
        work.refused("certificate", endpoint=gate.uri)
        work.refused("certificate", endpoint=gate.uri, ca_file=work.path("other.pem"))
        known = fingerprint(work.path("ca.pem"))
        work.passes(endpoint=gate.uri, ca_fingerprint=known)
        work.passes(endpoint=gate.uri, ca_fingerprint=":".join(known[i:i + 2] for i in range(0, 64, 2)).upper())
        work.refused("none of the certificates", endpoint=gate.uri, ca_fingerprint=fingerprint(work.path("other.pem")))
        work.refused("64 hexadecimal digits", endpoint=gate.uri, ca_fingerprint=known[:-1])
        # the authority is right, the name is not
        work.refused("certificate", endpoint=gate.uri.replace("localhost", "127.0.0.1"), ca_fingerprint=known)


def a_server_that_wants_a_certificate_gets_it(work):
    right = {"ca_file": work.path("ca.pem"), "client_cert": work.path("client.pem"), "client_key": work.path("client.key")}
    with Gate(work.node, lambda *_: True, work.tls(work.path("ca.pem"))) as gate:
        work.passes(endpoint=gate.uri, **right)
        work.refused("", code=UNAVAILABLE, endpoint=gate.uri, ca_file=work.path("ca.pem"))
        work.refused("certificate", endpoint=gate.uri, **{**right, "client_cert": work.path("missing.pem")})
    work.refused("client_cert is missing", endpoint=gate.uri, client_key=work.path("client.key"))


def a_cloud_id_says_where_the_cluster_is(work):
    with Gate(work.node, allows("ApiKey " + basic("id7:key9")), work.tls()) as gate:
        coded = basic(f"localhost:{gate.port}$cluster$kibana")
        work.passes(cloud_id="my-cluster:" + coded, api_key="id7:key9", ca_file=work.path("ca.pem"))
        work.passes(cloud_id="my-cluster:" + coded.rstrip("="), api_key="id7:key9", ca_file=work.path("ca.pem"))
    work.refused("source.cloud_id", cloud_id="my-cluster:" + basic("no dollar"))
    work.refused("either endpoint or cloud_id", cloud_id="a:b", endpoint=work.node.uri)


def signed(service, region):
    """Whether a request carries the signature that botocore makes of it."""
    def check(handler, body):
        given = handler.headers["Authorization"] or ""
        date = handler.headers["x-amz-date"]
        if not given.startswith("AWS4-HMAC-SHA256 ") or not date:
            return False
        names = given.split("SignedHeaders=")[1].split(",")[0].split(";")
        url = f"http://{handler.headers['Host']}{handler.path}"
        request = botocore.awsrequest.AWSRequest(method=handler.command, url=url, data=body,
                                                 headers={name: handler.headers[name] for name in names if name != "host"})
        request.context["timestamp"] = date
        signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(*KEYS), service, region)
        canonical = signer.canonical_request(request)
        wanted = signer.signature(signer.string_to_sign(request, canonical), request)
        return given.endswith("Signature=" + wanted) and f"/{region}/{service}/aws4_request" in given
    return check


def aws_signatures_are_those_of_botocore(work):
    nothing = {"AWS_SHARED_CREDENTIALS_FILE": work.path("none"), "AWS_CONFIG_FILE": work.path("none")}
    keys = {"storage_access_key": KEYS[0], "storage_secret_key": KEYS[1], "storage_region": "eu-west-1"}
    for service in ("es", "aoss"):
        with Gate(work.node, signed(service, "eu-west-1")) as gate:
            work.passes(endpoint=gate.uri, aws_service=service, environment=nothing, **keys)
            ended = work.refused("HTTP 401", endpoint=gate.uri, aws_service=service, environment=nothing,
                                 **{**keys, "storage_secret_key": "another-secret"})
            assert "another-secret" not in ended.err
    work.refused("storage_region", endpoint="http://127.0.0.1:1", aws_service="es", environment=nothing,
                 storage_access_key="a", storage_secret_key="b")


def replies_are_compressed_when_asked_for(work):
    with Gate(work.node, lambda *_: True) as gate:
        work.passes(endpoint=gate.uri, gzip=True)
        assert all("gzip" in headers.get("Accept-Encoding", "") for headers in gate.seen), gate.seen[:2]


def of_several_nodes_the_next_one_is_asked(work):
    dead = servers.free_ports(1)[0]
    work.passes(endpoint=[f"http://127.0.0.1:{dead}", work.node.uri])
    work.refused(f"127.0.0.1:{dead}", code=UNAVAILABLE, endpoint=f"http://127.0.0.1:{dead}")


def main():
    servers.private_network()
    try:
        elastic_servers.distribution("elasticsearch-8")
    except RuntimeError as error:
        print(f"{error}\n0 passed, 1 skipped")
        return 0
    with elastic_servers.Node("elasticsearch-8") as node, Access(node) as work:
        return jobs.run_checks([a_password_a_key_and_a_token_open_and_wrong_ones_do_not,
                                a_server_is_known_by_its_authority_or_its_fingerprint,
                                a_server_that_wants_a_certificate_gets_it, a_cloud_id_says_where_the_cluster_is,
                                aws_signatures_are_those_of_botocore, replies_are_compressed_when_asked_for,
                                of_several_nodes_the_next_one_is_asked], work)


if __name__ == "__main__":
    sys.exit(main())
