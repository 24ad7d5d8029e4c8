"""Real object stores for the tests: versitygw and MinIO, built from their Go modules by scripts/go_server.sh, and a
stand-in for the services that hand temporary keys to machines. This file knows nothing of mmresume."""

import concurrent.futures
import http.server
import json
import os
import socket
import subprocess
import threading
import time

import servers

ACCESS, SECRET = "AKIATESTKEY000000001", "secret/of+the=root key".replace(" ", "_")


def program(name):
    """Path of a server's program, built when it is missing. RuntimeError: it cannot be."""
    script = os.path.join(os.environ.get("MM_ROOT") or os.path.join(os.path.dirname(__file__), "..", ".."),
                          "scripts", "go_server.sh")
    made = subprocess.run([script, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        raise RuntimeError(made.stderr.strip())
    return made.stdout.strip()


class _ObjectServer(servers._Server):
    def __init__(self, folder=None, keep=False, region="us-east-1"):
        super().__init__(folder, keep)
        self.region = region
        self.port = servers.free_port()

    def healthy(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def options(self):
        """What a job says of this store."""
        return {"storage_endpoint": self.uri, "storage_region": self.region, "storage_access_key": ACCESS,
                "storage_secret_key": SECRET}

    def client(self, **more):
        """boto3's, not sharing a line with ours."""
        import boto3
        import botocore.config

        values = {"endpoint_url": self.uri, "region_name": self.region, "aws_access_key_id": ACCESS,
                  "aws_secret_access_key": SECRET}
        return boto3.client("s3", **{**values, **more},
                            config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))


class VersityGw(_ObjectServer):
    """versitygw on a folder. virtual: its domain for the buckets' names in the host. tls: (certificate, key)."""

    def __init__(self, folder=None, keep=False, region="us-east-1", virtual=None, tls=None):
        super().__init__(folder, keep, region)
        self.virtual, self.tls = virtual, tls

    def start(self, timeout=30):
        root, iam = os.path.join(self.folder, "data"), os.path.join(self.folder, "iam")
        os.makedirs(root, exist_ok=True)
        os.makedirs(iam, exist_ok=True)
        command = [program("versitygw"), "--port", f"127.0.0.1:{self.port}", "--region", self.region, "--keep-alive",
                   "--iam-dir", iam, "--quiet"]
        command += ["--virtual-domain", self.virtual] if self.virtual else []
        command += ["--cert", self.tls[0], "--key", self.tls[1]] if self.tls else []
        self._spawn(command + ["posix", root], dict(os.environ, ROOT_ACCESS_KEY=ACCESS, ROOT_SECRET_KEY=SECRET))
        self._wait(self.healthy, timeout)

    def fill(self, bucket, keys):
        """Many empty objects, at once."""
        for key in keys:
            path = os.path.join(self.folder, "data", bucket, key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "wb").close()

    def add_user(self, access, secret):
        """Another key with all rights."""
        subprocess.run([program("versitygw"), "admin", "-a", ACCESS, "-s", SECRET, "-er", self.uri, "-r", self.region,
                        "create-user", "--access", access, "--secret", secret, "--role", "admin"],
                       check=True, stdout=subprocess.DEVNULL)


class Minio(_ObjectServer):
    def start(self, timeout=60):
        root = os.path.join(self.folder, "data")
        os.makedirs(root, exist_ok=True)
        env = dict(os.environ, MINIO_ROOT_USER=ACCESS, MINIO_ROOT_PASSWORD=SECRET, MINIO_REGION=self.region,
                   MINIO_UPDATE="off", MINIO_BROWSER="off")
        self._spawn([program("minio"), "server", "--quiet", "--address", f"127.0.0.1:{self.port}", root], env)
        self._wait(self.ready, timeout)

    def fill(self, bucket, keys):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            client = self.client()
            list(pool.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=b""), keys))

    def ready(self):
        try:
            self.client().list_buckets()
            return True
        except Exception:  # whatever boto3 raises while it starts
            return False


class Machine:
    """Hands out keys as the instance metadata service (version 2 only), the container's agent and STS do.

    keys: list of (access, secret); each fetch takes the next one, the last one again and again. served: which
    service gave how many."""

    def __init__(self, keys, lifetime=3600):
        self.keys, self.lifetime = list(keys), lifetime
        self.served = {"instance": 0, "container": 0, "sts": 0}
        self.refused = []  # requests without what they need
        self.forms = []    # what STS was asked
        machine = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                machine._get(self)

            def do_PUT(self):
                machine._put(self)

            def do_POST(self):
                machine._post(self)

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

    def _next(self, service):
        access, secret = self.keys[min(sum(self.served.values()), len(self.keys) - 1)]
        self.served[service] += 1
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.lifetime))
        return access, secret, ends

    def _answer(self, request, status, text, kind="text/plain"):
        body = text.encode()
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _json(self, request, service):
        access, secret, ends = self._next(service)
        self._answer(request, 200, json.dumps({"Code": "Success", "AccessKeyId": access, "SecretAccessKey": secret,
                                               "Expiration": ends}), "application/json")

    def _put(self, request):
        if request.path != "/latest/api/token" or not request.headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
            self.refused.append(request.path)
            return self._answer(request, 400, "")
        return self._answer(request, 200, "metadata-token")

    def _get(self, request):
        if request.path == "/container":
            if request.headers.get("Authorization") != "container-token":
                self.refused.append(request.path)
                return self._answer(request, 401, "")
            return self._json(request, "container")
        if request.headers.get("X-aws-ec2-metadata-token") != "metadata-token":
            self.refused.append(request.path)
            return self._answer(request, 401, "")
        if request.path == "/latest/meta-data/iam/security-credentials/":
            return self._answer(request, 200, "the-role\n")
        if request.path == "/latest/meta-data/iam/security-credentials/the-role":
            return self._json(request, "instance")
        return self._answer(request, 404, "")

    def _post(self, request):
        import urllib.parse

        form = urllib.parse.parse_qs(request.rfile.read(int(request.headers["Content-Length"])).decode())
        form = {name: values[0] for name, values in form.items()}
        self.forms.append((form, request.headers.get("Authorization")))
        if form.get("Action") == "AssumeRoleWithWebIdentity" and form.get("WebIdentityToken") != "the identity":
            return self._answer(request, 400, "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>no"
                                "</Message></Error></ErrorResponse>", "text/xml")
        access, secret, ends = self._next("sts")
        action = form["Action"]
        return self._answer(request, 200, f"<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
                            f"<{action}Result><Credentials><AccessKeyId>{access}</AccessKeyId><SecretAccessKey>{secret}"
                            f"</SecretAccessKey><Expiration>{ends}</Expiration></Credentials></{action}Result>"
                            f"</{action}Response>", "text/xml")
