"""Storages killed at every point that an operation passes, and the operation repeated: an object is there whole or
not at all, nothing is sent twice that the service holds, nothing stays behind under another name."""

import collections
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

import harness
import object_servers

TOOL = os.path.join(harness.BUILD, "tests", "storage_tool")
BARE = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
MIB = 1 << 20


def run(folder, options, arguments, failpoint=None):
    """(exit code, points hit)."""
    listed = os.path.join(folder, "points")
    if os.path.exists(listed):
        os.unlink(listed)
    env = {**BARE, "MM_FAILPOINT_LIST": listed, **({"MM_FAILPOINT": failpoint} if failpoint else {})}
    pairs = [text for name, value in options.items() for text in ("-o", f"{name}={value}")]
    made = subprocess.run([TOOL, *pairs, *arguments], env=env, capture_output=True, timeout=60, check=False)
    hits = open(listed, encoding="ascii").read().split() if os.path.exists(listed) else []
    harness.points.add(hits, [failpoint.split(":")[0]] if made.returncode == harness.KILLED else ())
    if made.returncode not in (0, harness.KILLED):
        raise harness.Wrong(f"{arguments} with {failpoint}: exit {made.returncode}: {made.stderr.decode()}")
    return made.returncode, hits


def kill_everywhere(name, prepare, options, arguments, check):
    """Kills `arguments` at each point, one run each, looks, repeats it, and looks again."""
    killed = 0
    place = prepare()
    _, hits = run(place, options, arguments(place))
    check(place, True)
    for point, count in collections.Counter(hits).items():
        for number in range(1, count + 1):
            place = prepare()
            code, _ = run(place, options, arguments(place), f"{point}:{number}:kill")
            if code != harness.KILLED:
                raise harness.Wrong(f"{name}: {point}:{number} was not met")
            check(place, False)
            run(place, options, arguments(place))
            check(place, True)
            killed += 1
    if not killed:
        raise harness.Wrong(f"{name} passes no point")
    print(f"{name}: killed {killed} times")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Local:
    """A folder with a file to write from; what is made goes below `out`."""

    def __init__(self, old):
        self.old = old  # whether the key has an older object

    def prepare(self):
        place = tempfile.mkdtemp(prefix="mm-storage-")
        with open(os.path.join(place, "file"), "wb") as file:
            file.write(b"new" * MIB)
        os.mkdir(os.path.join(place, "out"))
        if self.old:
            os.mkdir(os.path.join(place, "out", "deep"))
            with open(os.path.join(place, "out", "deep", "key"), "wb") as file:
                file.write(b"old")
        return place

    def check(self, place, ended):
        files = [os.path.relpath(os.path.join(base, name), place) for base, _, names in os.walk(os.path.join(place, "out"))
                 for name in names]
        new, key = digest(os.path.join(place, "file")), os.path.join(place, "out", "deep", "key")
        seen = digest(key) if os.path.exists(key) else None
        allowed = {new} if ended else {new, hashlib.sha256(b"old").hexdigest() if self.old else None}
        if seen not in allowed or (ended and files != ["out/deep/key"]):
            raise harness.Wrong(f"in {place}: {files}, ended: {ended}")
        if ended:
            shutil.rmtree(place)


class LocalMove(Local):
    def prepare(self):
        place = super().prepare()
        os.mkdir(os.path.join(place, "from"))
        shutil.copy(os.path.join(place, "file"), os.path.join(place, "from", "key"))
        return place

    def check(self, place, ended):
        there = os.path.exists(os.path.join(place, "from", "key"))
        here = os.path.exists(os.path.join(place, "out", "deep", "key"))
        if there == here or (ended and there):
            raise harness.Wrong(f"in {place}: {there}, {here}")
        super().check(place, ended)


# Notes each call that makes a file or a name durable, or gives a name, with what it concerns.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void note(const char *what, const char *name) {
    char line[600];
    const char *slash = strrchr(name, '/');
    int fd = open(getenv("SHIM_LIST"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    int size = snprintf(line, sizeof(line), "%s %s\n", what, slash ? slash + 1 : name);
    if (fd < 0 || write(fd, line, size) != size) abort();
    close(fd);
}
int fsync(int fd) {
    char link[64], name[500];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, name, sizeof(name) - 1);
    name[size < 0 ? 0 : size] = 0;
    note("fsync", name);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    note("rename", to);
    return ((int (*)(int, const char *, int, const char *, unsigned))dlsym(RTLD_NEXT, "renameat2"))(a, from, b, to, flags);
}
int rename(const char *from, const char *to) {
    note("rename", to);
    return ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename"))(from, to);
}
"""


def check_durability(folder):
    """Content is on the disk before it has its name, the name before the operation ends."""
    source, library, seen = (os.path.join(folder, name) for name in ("shim.c", "shim.so", "seen"))
    with open(source, "w", encoding="ascii") as file:
        file.write(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    content, out = os.path.join(folder, "content"), os.path.join(folder, "out")
    os.mkdir(out)
    with open(content, "wb") as file:
        file.write(b"x" * MIB)
    for arguments, wanted in (
            (["put", f"{out}/deep/key", content], ["fsync out", "fsync key.mmresume-part", "rename key", "fsync deep"]),
            (["upload", f"{out}/deep/key2", content, f"{folder}/state"],
             ["fsync key2.mmresume-part", "rename key2", "fsync deep"]),
            (["move", f"{out}/deep/key2", f"{out}/key3"], ["rename key3", "fsync out", "fsync deep"]),
            (["remove", f"{out}/key3"], ["fsync out"])):
        subprocess.run([TOOL, *arguments], check=True, env={**BARE, "LD_PRELOAD": library, "SHIM_LIST": seen},
                       stdout=subprocess.DEVNULL)
        with open(seen, encoding="ascii") as file:
            got = file.read().split("\n")[:-1]
        os.unlink(seen)
        if got != wanted:
            raise harness.Wrong(f"{arguments[0]}: {got}, not {wanted}")
    print("local storage: content before name, name before the end")


class Bucket:
    def __init__(self, server):
        self.boto, self.number = server.client(), 0
        self.bucket = type(self).__name__.lower()
        self.boto.create_bucket(Bucket=self.bucket)

    def prepare(self):
        place = tempfile.mkdtemp(prefix="mm-storage-")
        self.number += 1
        with open(os.path.join(place, "file"), "wb") as file:
            file.write(os.urandom(MIB) * 33)
        with open(os.path.join(place, "key"), "w", encoding="ascii") as file:
            file.write(f"key{self.number}")
        return place

    def key(self, place):
        with open(os.path.join(place, "key"), encoding="ascii") as file:
            return file.read()

    def check(self, place, ended):
        found = self.boto.list_objects_v2(Bucket=self.bucket, Prefix=self.key(place)).get("Contents", [])
        if found:
            body = self.boto.get_object(Bucket=self.bucket, Key=found[0]["Key"])["Body"].read()
            if hashlib.sha256(body).hexdigest() != digest(os.path.join(place, "file")):
                raise harness.Wrong(f"{self.key(place)} is not the file")
        if ended and [entry["Key"] for entry in found] != [self.key(place)]:
            raise harness.Wrong(f"{found} instead of {self.key(place)}")
        if ended:
            uploads = self.boto.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
            held = [part for upload in uploads if upload["Key"] == self.key(place) for part in self.boto.list_parts(
                Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]).get("Parts", [])]
            if held:
                raise harness.Wrong(f"parts stay behind: {json.dumps(held, default=str)}")
            shutil.rmtree(place)


class BucketMove(Bucket):
    def prepare(self):
        place = super().prepare()
        self.boto.upload_file(os.path.join(place, "file"), self.bucket, "from-" + self.key(place))
        return place

    def check(self, place, ended):
        left = self.boto.list_objects_v2(Bucket=self.bucket, Prefix="from-" + self.key(place)).get("KeyCount", 0)
        if ended and left:
            raise harness.Wrong("the old name is still there")
        super().check(place, ended)


def main():
    for old in (False, True):
        for operation in ("put", "upload"):
            local = Local(old)
            kill_everywhere(f"local {operation}, old object: {old}", local.prepare, {},
                            lambda place, name=operation: [name, f"{place}/out/deep/key", f"{place}/file", f"{place}/state"],
                            local.check)
    local = LocalMove(False)
    kill_everywhere("local move", local.prepare, {},
                    lambda place: ["move", f"{place}/from/key", f"{place}/out/deep/key"], local.check)
    with tempfile.TemporaryDirectory(prefix="mm-storage-") as folder:
        check_durability(folder)
    try:
        object_servers.program("versitygw")
    except RuntimeError as error:
        raise SystemExit(f"versitygw cannot be built here: {error}") from None
    with object_servers.VersityGw() as server:
        bucket = Bucket(server)
        kill_everywhere("S3 upload", bucket.prepare, server.options(),
                        lambda place: ["upload", f"s3://bucket/{bucket.key(place)}", f"{place}/file", f"{place}/state", "2"],
                        bucket.check)
        moves = BucketMove(server)
        kill_everywhere("S3 move", moves.prepare, server.options(),
                        lambda place: ["move", f"s3://bucketmove/from-{moves.key(place)}", f"s3://bucketmove/{moves.key(place)}"],
                        moves.check)
    print("8 passed")


if __name__ == "__main__":
    sys.exit(main())
