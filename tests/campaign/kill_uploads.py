"""The long campaign of object stores: the tests of S3 against MinIO as well, then uploads in parts whose client and
server are killed with SIGKILL at random moments until each is done. After the last resume the object is the file,
byte for byte; a part that the server said it holds is never sent again; nothing stays behind. Last, an object above
5 GiB is moved, which the service does in parts.

    tests/campaign/kill_uploads.py [--server versitygw|minio] [--uploads 20] [--kills 200] [--seed 1] [--no-tests]

MinIO is built when it is missing: 8 minutes of one core. Needs a build ($MM_BUILD, default build/dev) and the packages
of the tests."""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.environ.setdefault("MM_ROOT", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
os.environ.setdefault("MM_BUILD", os.path.join(ROOT, "build", "dev"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import object_servers  # noqa: E402
import test_storage_s3  # noqa: E402
from http_proxy import FaultProxy  # noqa: E402

MIB = 1 << 20
KINDS = {"versitygw": object_servers.VersityGw, "minio": object_servers.Minio}
NOT_ON_MINIO = {"test_keys_that_expire_in_the_middle_of_an_upload": "a second key wants MinIO's own tool"}


def run_tests(kind):
    test_storage_s3.Storage.kind = kind
    suite = unittest.TestSuite()
    for name in unittest.TestLoader().getTestCaseNames(test_storage_s3.Storage):
        if kind is object_servers.Minio and name in NOT_ON_MINIO:
            print(f"left out: {name}: {NOT_ON_MINIO[name]}")
            continue
        suite.addTest(test_storage_s3.Storage(name))
    return unittest.TextTestRunner().run(suite).wasSuccessful()


class Upload:
    """One file on its way, through many processes."""

    def __init__(self, number, folder, server, way, generator):
        self.key, self.server, self.way = f"dir {number}/file+{number}", server, way
        self.path, self.state = os.path.join(folder, f"file{number}"), os.path.join(folder, f"state{number}")
        self.random = generator
        with open(self.path, "wb") as file:
            for _ in range(generator.randint(40, 160)):
                file.write(generator.randbytes(MIB))
            file.write(generator.randbytes(generator.randint(0, MIB)))
        with open(self.path, "rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").digest()
        self.kills = self.server_kills = 0

    def start(self):
        options = dict(self.server.options(), storage_endpoint=self.way.uri)
        pairs = [text for name, value in options.items() for text in ("-o", f"{name}={value}")]
        return subprocess.Popen([test_storage_s3.TOOL, *pairs, "upload", f"s3://bkt/{self.key}", self.path, self.state,
                                 str(self.random.randint(1, 6))], env=test_storage_s3.BARE, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)

    def held(self, boto):
        """{upload id: part numbers} that the server holds."""
        found = {}
        for upload in boto.list_multipart_uploads(Bucket="bkt", Prefix=self.key).get("Uploads", []):
            parts = boto.list_parts(Bucket="bkt", Key=self.key, UploadId=upload["UploadId"]).get("Parts", [])
            found[upload["UploadId"]] = {str(part["PartNumber"]) for part in parts}
        return found

    def go(self, kills):
        """Until it is there, killed at most `kills` times."""
        boto = self.server.client()
        while True:
            held = self.held(boto)
            self.way.clear()
            process = self.start()
            if self.kills + self.server_kills < kills:
                time.sleep(self.random.uniform(0.02, 1.2))
                if self.random.random() < 0.25:
                    self.server.restart()
                    self.server_kills += 1
                    boto = self.server.client()
                elif process.poll() is None:
                    process.kill()
                    self.kills += 1
            _, text = process.communicate(timeout=300)
            for request in self.way.requests:
                if request.query.get("partNumber") in held.get(request.query.get("uploadId"), ()):
                    raise SystemExit(f"{self.key}: {request} although the server held that part")
            if process.returncode == 0:
                break
            if process.returncode not in (-9, test_storage_s3.UNAVAILABLE):
                raise SystemExit(f"{self.key}: exit {process.returncode}: {text.decode()}")
        body = boto.get_object(Bucket="bkt", Key=self.key)["Body"]
        digest = hashlib.sha256()
        while piece := body.read(8 * MIB):
            digest.update(piece)
        left = {upload: parts for upload, parts in self.held(boto).items() if parts}
        if digest.digest() != self.digest or left:
            raise SystemExit(f"{self.key}: the object is not the file, or parts stay behind: {left}")
        os.unlink(self.path)


def move_large(server):
    """Only where the server keeps plain files: a sparse one is put there."""
    path = os.path.join(server.folder, "data", "bkt", "large")
    with open(path, "wb") as file:
        file.truncate((5 << 30) + 12345)
        for offset in range(0, 5 << 30, 1 << 30):
            file.seek(offset + 77)
            file.write(offset.to_bytes(8, "little"))
    pairs = [text for name, value in server.options().items() for text in ("-o", f"{name}={value}")]
    subprocess.run([test_storage_s3.TOOL, *pairs, "move", "s3://bkt/large", "s3://bkt/moved"], check=True,
                   env=test_storage_s3.BARE)
    moved = os.path.join(server.folder, "data", "bkt", "moved")
    with open(moved, "rb") as file:
        for offset in range(0, 5 << 30, 1 << 30):
            file.seek(offset + 77)
            assert file.read(8) == offset.to_bytes(8, "little"), offset
    assert os.path.getsize(moved) == (5 << 30) + 12345 and not os.path.exists(path)
    print("an object of 5 GiB and 12345 bytes moved")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=KINDS, default="minio")
    parser.add_argument("--no-tests", action="store_true")
    for name, default in (("uploads", 20), ("kills", 200), ("seed", 1)):
        parser.add_argument("--" + name, type=int, default=default)
    wanted = parser.parse_args()
    kind = KINDS[wanted.server]
    if not wanted.no_tests and not run_tests(kind):
        return 1
    killed = server_killed = 0
    with tempfile.TemporaryDirectory(prefix="mm-uploads-") as folder, kind() as server, FaultProxy(server.port) as way:
        server.client().create_bucket(Bucket="bkt")
        for number in range(wanted.uploads):
            upload = Upload(number, folder, server, way, random.Random(wanted.seed * 1000 + number))
            upload.go(wanted.kills // wanted.uploads)
            killed, server_killed = killed + upload.kills, server_killed + upload.server_kills
        print(f"{wanted.uploads} uploads whole after {killed} kills of the client, {server_killed} of the server")
        if kind is object_servers.VersityGw:
            move_large(server)
    return 0


if __name__ == "__main__":
    sys.exit(main())
