"""A file of 2 GiB to a local versitygw: mm_storage_upload against boto3's transfer manager with the same integrity
settings (every part signed with its SHA-256, which is stored as the part's checksum), alternating. boto3 goes twice a
turn, with its own part size and threads (8 MiB, 10) and with ours (16 MiB, 4); the better of the two counts, for wall
and CPU each. Wall and CPU are those of the client's process; boto3's start and imports do not count, ours do.
Bars: wall <= 1.0 x, CPU <= 0.8 x, medians.

    python3 bench/upload.py [--mib 2048] [--pairs 5] [--dir FOLDER]"""

import json
import os
import statistics
import subprocess
import sys
import time

from common import ROOT, Folder, arguments, say_machine, spread, verdict, warm

os.environ.setdefault("MM_ROOT", ROOT)
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import object_servers  # noqa: E402

BOTO_WAYS = ((8, 10), (16, 4))  # MiB of a part, threads


def boto_child(uri, path, part_mib, threads):
    """In a process of its own: prints what the upload alone took."""
    import resource

    import boto3
    import boto3.s3.transfer

    client = boto3.client("s3", endpoint_url=uri, region_name="us-east-1", aws_access_key_id=object_servers.ACCESS,
                          aws_secret_access_key=object_servers.SECRET)
    client.list_buckets()
    config = boto3.s3.transfer.TransferConfig(multipart_chunksize=int(part_mib) << 20, max_concurrency=int(threads),
                                              multipart_threshold=8 << 20)
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    client.upload_file(path, "bench", "boto", ExtraArgs={"ChecksumAlgorithm": "SHA256"}, Config=config)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime]))


def measured(command):
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]}: exit {process.returncode}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime


def main():
    wanted = arguments(__doc__, mib=2048, pairs=5)
    say_machine()
    tool = os.path.join(wanted.build, "tests", "storage_tool")
    with Folder(wanted.dir) as folder, object_servers.VersityGw(folder=folder.join("server")) as server:
        path, state = folder.join("file"), folder.join("state")
        with open(path, "wb") as file:
            block = os.urandom(1 << 20)
            for number in range(wanted.mib):
                file.write(number.to_bytes(8, "little") + block[8:])
        boto = server.client()
        boto.create_bucket(Bucket="bench")
        pairs = [text for name, value in server.options().items() for text in ("-o", f"{name}={value}")]
        walls, cpus, ours, theirs = [], [], [], []
        for turn in range(wanted.pairs):
            best = [float("inf"), float("inf")]
            boto_ways = list(BOTO_WAYS)
            for number in range(3):
                folder.empty("state")
                warm(path)
                if (turn + number) % 3 == 0:
                    wall, cpu = measured([tool, *pairs, "upload", "s3://bench/ours", path, state])
                    ours.append((wall, cpu))
                else:
                    way = boto_ways.pop()
                    made = subprocess.run([sys.executable, os.path.abspath(__file__), "--child", server.uri, path,
                                           *map(str, way)], check=True, stdout=subprocess.PIPE)
                    best = [min(pair) for pair in zip(best, json.loads(made.stdout))]
                for entry in boto.list_objects_v2(Bucket="bench").get("Contents", []):
                    boto.delete_object(Bucket="bench", Key=entry["Key"])
            theirs.append(best)
            walls.append(ours[-1][0] / best[0])
            cpus.append(ours[-1][1] / best[1])
            print(f"turn {turn + 1}: ours {ours[-1][0]:.2f} s, {ours[-1][1]:.2f} s of CPU; boto3 "
                  f"{best[0]:.2f} s, {best[1]:.2f} s of CPU", flush=True)
    for name, values in (("ours", ours), ("boto3", theirs)):
        print(f"{name}: {wanted.mib / statistics.median(wall for wall, _ in values):.0f} MiB/s; CPU s "
              + spread([cpu for _, cpu in values]))
    kept = [verdict("wall against boto3", walls, 1.0), verdict("CPU against boto3", cpus, 0.8)]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        boto_child(*sys.argv[2:])
    else:
        sys.exit(main())
