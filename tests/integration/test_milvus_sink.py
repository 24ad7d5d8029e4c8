"""The Milvus sink against a real Milvus standalone and Milvus Lite: every row that arrives is compared with
what was sent, and what the sink answers when the server refuses, is late, or is not who it should be.

milvus_write (tests/tools) drives the sink; row r of its schemas is computed here a second time."""

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

import servers
from forwarder import Forwarder

BUILD = os.environ.get("MM_BUILD", "build/dev")
TOOL = os.path.join(BUILD, "tests", "milvus_write")
DIM = 16
ODD = 0x9E3779B97F4A7C15


def write(expect="OK", **settings):
    """Runs the tool; what it printed, with its log under "log"."""
    command = [TOOL] + [f"{key}={value}" for key, value in settings.items()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout, f"{command}: exit {done.returncode}: {done.stderr}"
    result = json.loads(done.stdout)
    result["log"], result["exit"] = done.stderr, done.returncode
    assert result["status"] == expect, f"{command}: {result}"
    return result


def client(uri, **more):
    from pymilvus import MilvusClient

    return MilvusClient(uri, **more)


# what row r is


def signed(value, bits):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def key(r):
    return -r if r % 1000 == 0 else r


def text_key(r):
    return f'k"{r}\\\n\'é\t'


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def vector(r):
    return [((r * 31 + i * 7) % 1000) / 8 for i in range(DIM)]


def row(schema, r):
    if schema == "varchar":
        return {"key": text_key(r), "v": vector(r)}
    if schema == "binary":
        return {"id": key(r), "v": [bytes((r * 31 + i * 7) & 255 for i in range(DIM // 8))]}
    if schema == "plain":
        return {"id": key(r), "v": vector(r)}
    number = (r * ODD) & (1 << 64) - 1
    return {"id": key(r), "b": r % 3 == 0, "i8": signed(number, 8), "i16": signed(number, 16),
            "i32": signed(number, 32), "i64": signed(number, 64), "f": f32((r % 4096) / 8 - 100),
            "d": r / 1024 - 1000, "s": f"text {r} ßé" + "-" * (r % 50), "j": {"r": r, "t": f"ü{r % 7}"},
            "v": vector(r), "extra": r}


def compare(milvus, collection, schema, rows, first=0):
    """Every row that the collection holds against the rows that it should hold."""
    primary = "key" if schema == "varchar" else "id"
    expected = {row(schema, r)[primary]: row(schema, r) for r in range(first, first + rows)}
    seen = 0
    fields = ["*"] + (["extra"] if schema == "wide" else [])
    everything = 'key != ""' if schema == "varchar" else "id > -9000000"
    for got in milvus.query(collection, filter=everything, output_fields=fields, limit=16384):
        want = expected[got[primary]]
        got = {name: list(value) if name == "v" else value for name, value in dict(got).items() if name in want}
        assert got == want, f"{collection}: {got} instead of {want}"
        seen += 1
    assert seen == rows, f"{collection}: {seen} rows instead of {rows}"
    count = milvus.query(collection, filter="", output_fields=["count(*)"], consistency_level="Strong")
    assert count[0]["count(*)"] == rows, f"{collection}: {count} instead of {rows}"


# tests


def every_row_arrives_as_it_was_sent(uri, schemas, strict_json):
    for schema in schemas:
        name = f"all_{schema}"
        metric = "HAMMING" if schema == "binary" else "L2"
        result = write(endpoint=uri, collection=name, schema=schema, rows=5003, batch=700, dim=DIM, metric=metric)
        assert result["acknowledged"] == result["counted"] == result["read_back"] == result["keys_counted"] == 5003
        assert result["different"] == 0 or (schema == "wide" and not strict_json), result
        compare(client(uri), name, schema, 5003)


def requests_are_cut_to_their_size(uri):
    result = write(endpoint=uri, collection="cut", rows=3000, batch=3000, dim=DIM, request_bytes="20KiB")
    assert result["counted"] == 3000 and result["different"] == 0
    compare(client(uri), "cut", "plain", 3000)


def an_upsert_after_an_insert_leaves_one_copy(uri):
    write(endpoint=uri, collection="again", rows=2000, batch=500, dim=DIM, do="before,move,write")
    write(endpoint=uri, collection="again", rows=2000, batch=700, dim=DIM, mode="upsert", fence=2, move_from=1,
          do="move,write,drop,after,check,finish")
    compare(client(uri), "again", "plain", 2000)


def a_late_insert_is_refused_by_the_fence(uri):
    common = dict(endpoint=uri, collection="fenced", rows=1000, dim=DIM)
    write(**common, do="before,move,write")
    write(**common, fence=5, move_from=1, do="move")
    late = write(expect="FENCED", **common, fence=1, do="write")
    assert late["exit"] == 7 and "alias" in late["error"], late
    write(expect="FENCED", **common, fence=2, move_from=1, do="move")  # epochs only rise
    write(**common, fence=5, do="move,drop")
    write(expect="FENCED", **common, fence=5, do="write")
    done = write(**common, fence=5, do="after,check,finish")
    assert done["counted"] == 1000 and client(uri).list_aliases("fenced")["aliases"] == []


def existing_collections_are_treated_as_asked(uri):
    milvus = client(uri)
    common = dict(endpoint=uri, collection="there", rows=1000, dim=DIM)
    write(**common)
    refused = write(expect="TARGET", **common, run=2)
    assert refused["exit"] == 3 and "exists" in refused["error"], refused
    assert write(expect="END", **common, run=2, if_exists="skip")["counted"] == 0
    other = write(expect="TARGET", endpoint=uri, collection="there", rows=10, dim=8, if_exists="append", run=2)
    assert "dim 8 wanted, 16 there" in other["error"], other
    other = write(expect="TARGET", endpoint=uri, collection="there", rows=10, dim=DIM, schema="wide", if_exists="append", run=2)
    assert "'i8'" in other["error"] and "'s'" in other["error"], other
    appended = write(**common, first=1001, run=2, if_exists="append", do="before,move,write,drop,after,finish")
    assert appended["acknowledged"] == 1000
    count = milvus.query("there", filter="", output_fields=["count(*)"], consistency_level="Strong")
    assert count[0]["count(*)"] == 2000


def overwriting_keeps_the_old_rows_until_the_new_are_proven(uri):
    milvus = client(uri)
    common = dict(endpoint=uri, collection="over", dim=DIM)
    write(**common, rows=1000)
    milvus.create_alias("over", "production")
    write(**common, rows=500, first=5000, run=2, if_exists="overwrite", do="before,move,write,drop,after,check")
    compare(milvus, "over", "plain", 1000)
    write(**common, rows=500, first=5000, run=2, if_exists="overwrite", do="before,finish")
    compare(milvus, "over", "plain", 500, first=5000)
    assert milvus.describe_alias("production")["collection_name"] == "over"
    assert not [name for name in milvus.list_collections() if name.startswith("over_mmr")]


def partitions_are_made_and_rows_elsewhere_deleted(uri):
    milvus = client(uri)
    common = dict(endpoint=uri, collection="parts", rows=300, dim=DIM)
    write(**common, partition="p1")
    write(**common, partition="p2", first=100, run=1, do="before,move,write,drop", fence=2, move_from=1)
    # rows 100 to 299 stand in both; those of p1 go
    write(**common, partition="p2", first=100, run=1, do="before,delete")

    def count(partition):
        reply = milvus.query("parts", filter="", output_fields=["count(*)"], partition_names=[partition],
                             consistency_level="Strong")
        return reply[0]["count(*)"]

    assert (count("p1"), count("p2")) == (100, 300)


def an_unindexed_collection_is_verified_and_left_as_it_was_asked(uri):
    milvus = client(uri)
    result = write(endpoint=uri, collection="bare", rows=1000, dim=DIM, index="none", load="false")
    assert result["counted"] == 1000 and result["different"] == 0
    assert milvus.list_indexes("bare") == []
    assert "NotLoad" in str(milvus.get_load_state("bare")["state"])


def the_job_database_is_made_when_asked(uri):
    missing = write(expect="TARGET", endpoint=uri, database="shop", collection="c", rows=10, dim=DIM)
    assert "shop" in missing["error"], missing
    result = write(endpoint=uri, database="shop", create_database="true", collection="c", rows=10, dim=DIM)
    assert result["counted"] == 10
    assert client(uri, db_name="shop").list_collections() == ["c"] and "c" not in client(uri).list_collections()


def swallow_second_connection(way):
    """The sink's first connection asks for the version, the second is the lane's."""
    while len(way._connections) < 2:
        time.sleep(0.0005)
    way.black_hole = True


def faults_are_told_apart(server):
    """What proves that a request was not executed, and what leaves its outcome unknown."""
    common = dict(collection="faults", rows=1000, batch=1000, dim=DIM, lanes=1, tag="00000000000000cc")
    write(endpoint=server.uri, **common, do="before,move")
    with Forwarder(server.port) as way:
        # a small request has been given away whole when the connection is cut: nobody can know
        cut = way.on("Insert", "cut_before")
        write(expect="UNKNOWN", endpoint=way.uri, **common, do="write")
        assert cut.fired.is_set() and way.rows() == 0
        cut = way.on("Insert", "cut_after")
        unknown = write(expect="UNKNOWN", endpoint=way.uri, **common, do="write")
        assert cut.fired.is_set() and way.rows() == 1000 and unknown["exit"] == 5
        # on a connection that has served a request, libcurl itself would send a lost one again
        cut = way.on("Insert", "cut_after", nth=2)
        many = dict(common, rows=4000)
        assert write(expect="UNKNOWN", endpoint=way.uri, **many, do="write")["acknowledged"] == 1000
        assert cut.fired.is_set() and way.rows() == 3000
        way.on("Insert", "swallow")
        begin = time.monotonic()
        write(expect="UNKNOWN", endpoint=way.uri, **common, timeout="2s", do="write")
        assert time.monotonic() - begin < 10
        way.on("Insert", "silence")
        begin = time.monotonic()
        write(expect="UNKNOWN", endpoint=way.uri, **common, timeout="2s", do="write")
        assert time.monotonic() - begin < 10
        port = way.port
    with Forwarder(server.port) as way:
        # a large one that did not get away whole cannot have been executed
        large = dict(collection="faults_large", rows=2_000_000, batch=50000, dim=256, lanes=1,
                     tag="00000000000000bb")
        write(endpoint=server.uri, **large, do="before,move")
        threading.Thread(target=swallow_second_connection, args=(way,), daemon=True).start()
        begin = time.monotonic()
        write(expect="UNAVAILABLE", endpoint=way.uri, **large, request_bytes="50MiB", timeout="5s", do="write")
        assert time.monotonic() - begin < 20
    gone = write(expect="UNAVAILABLE", endpoint=f"127.0.0.1:{port}", **common, do="write")
    assert gone["exit"] == 5, gone


def a_closed_idle_connection_is_replaced(server):
    """The lane's connection dies between two requests: the next goes out on a new one, once."""
    with Forwarder(server.port) as way:
        held = way.on("Insert", "hold", nth=3)
        command = [TOOL, f"endpoint={way.uri}", "collection=idle", "rows=6000", "batch=1000", f"dim={DIM}", "lanes=1"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert held.wait(60)
        held.release(fin=0.3)  # the answer is followed by the end of the connection
        result = json.loads(process.communicate(timeout=120)[0])
        assert result["status"] == "OK" and result["counted"] == 6000, result
        assert way.rows("Insert") == 6000


def a_lane_keeps_its_connection(server):
    with Forwarder(server.port) as way:
        write(endpoint=way.uri, collection="kept", rows=20000, batch=500, dim=DIM, lanes=2,
              tag="00000000000000dd", do="before,move,write,drop")
        assert len(way._connections) == 3, len(way._connections)  # two lanes, and one for everything else
        assert way.rows("Insert") == 20000


def a_rate_limit_asks_for_patience():
    settings = {"quotaAndLimits.dml.enabled": "true", "quotaAndLimits.dml.insertRate.max": 1}
    with servers.MilvusStandalone(settings=settings) as server:
        refused = write(expect="RATE_LIMITED", endpoint=server.uri, collection="slow", rows=400000, batch=20000, dim=64)
        assert refused["exit"] == 5 and "rate limit" in refused["error"], refused


def a_wrong_endpoint_is_named():
    for endpoint, told in (("ftp://host:1", "ftp://host:1"), ("host", "host"), ("http://u:secret@host:1", "credentials"),
                           ("http://host:1/path", "path")):
        wrong = write(expect="CONFIG", endpoint=endpoint)
        assert wrong["exit"] == 3 and told in wrong["error"] and "secret" not in wrong["error"], wrong


def certificates(folder):
    """An authority, a server and a client certificate of it, and an authority that signed nothing."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", f"{name}.key", "-out",
                f"{name}.pem", "-subj", f"/CN={name}")
    for name in ("server", "client"):
        with open(os.path.join(folder, f"{name}.ext"), "w", encoding="ascii") as file:
            file.write("subjectAltName=DNS:milvus.test\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                "/CN=milvus.test")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


def only_the_right_server_and_client_talk_and_only_with_a_password(folder):
    """TLS with client certificates, authorization, and a small limit of request sizes, in one server."""
    certificates(folder)
    path = lambda name: os.path.join(folder, name)
    settings = {"tls_mode": 2, "server_pem_path": path("server.pem"), "server_key_path": path("server.key"),
                "ca_pem_path": path("ca.pem"), "authorization_enabled": True, "proxy.grpc.serverMaxRecvSize": 1 << 20}
    with servers.MilvusStandalone(settings=settings) as server:
        uri = f"https://127.0.0.1:{server.port}"
        right = dict(endpoint=uri, tls_ca=path("ca.pem"), tls_cert=path("client.pem"), tls_key=path("client.key"),
                     tls_server_name="milvus.test", token="root:Milvus", collection="safe", rows=20000, batch=20000,
                     dim=64)
        wrong = write(expect="AUTH", **dict(right, tls_ca=path("other.pem")))
        assert wrong["exit"] == 3 and "certificate" in wrong["error"].lower(), wrong
        wrong = write(expect="AUTH", **{k: v for k, v in right.items() if k != "tls_server_name"})
        assert wrong["exit"] == 3, wrong
        wrong = write(expect="AUTH", **{k: v for k, v in right.items() if k != "tls_ca"})
        assert wrong["exit"] == 3, wrong
        wrong = write(expect="CONFIG", **dict(right, tls_cert=path("missing.pem")))
        assert wrong["exit"] == 3, wrong
        bare = {k: v for k, v in right.items() if k not in ("tls_cert", "tls_key")}
        write(expect="UNAVAILABLE", **bare)
        wrong = write(expect="AUTH", **dict(right, token="root:guess"))
        assert wrong["exit"] == 3 and "root:guess" not in wrong["log"] + wrong["error"], wrong
        wrong = write(expect="AUTH", **{k: v for k, v in right.items() if k != "token"})
        result = write(**right)  # 5 MiB in requests that the server wants below 1 MiB
        assert result["counted"] == 20000 and result["different"] == 0, result
        assert "refuses requests" in result["log"], result["log"]


def an_embedded_server_lives_and_dies_with_its_job(folder):
    path = os.path.join(folder, "demo.db")
    python = sys.executable
    common = dict(endpoint=path, lite_python=python, collection="embedded", dim=DIM)
    result = write(**common, rows=1500, batch=500)
    assert result["counted"] == 1500 and result["different"] == 0
    # a killed job takes its server along; the next finds the folder free again
    command = [TOOL] + [f"{k}={v}" for k, v in common.items()] + ["rows=200000", "first=5000", "if_exists=append", "run=2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not children(process.pid):
        time.sleep(0.05)
    time.sleep(2)
    server = children(process.pid)
    assert server, "the embedded server did not start"
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = write(**common, rows=1500, first=0, if_exists="append", run=3, mode="upsert", fence=9,
                  do="before,move,write,drop,after,check,finish")
    assert again["keys_counted"] == 1500
    for pid in server:
        assert not os.path.exists(f"/proc/{pid}"), f"server {pid} outlived its job"


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            found = file.read().split()
    except FileNotFoundError:
        return []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += file.read().split()
        except FileNotFoundError:
            continue
    return sorted(set(found))


def main():
    servers.private_network()
    with servers.MilvusStandalone() as server:
        every_row_arrives_as_it_was_sent(server.uri, ("plain", "wide", "binary", "varchar"), strict_json=True)
        requests_are_cut_to_their_size(server.uri)
        an_upsert_after_an_insert_leaves_one_copy(server.uri)
        a_late_insert_is_refused_by_the_fence(server.uri)
        existing_collections_are_treated_as_asked(server.uri)
        overwriting_keeps_the_old_rows_until_the_new_are_proven(server.uri)
        partitions_are_made_and_rows_elsewhere_deleted(server.uri)
        an_unindexed_collection_is_verified_and_left_as_it_was_asked(server.uri)
        the_job_database_is_made_when_asked(server.uri)
        faults_are_told_apart(server)
        a_closed_idle_connection_is_replaced(server)
        a_lane_keeps_its_connection(server)
    a_rate_limit_asks_for_patience()
    a_wrong_endpoint_is_named()
    with servers.MilvusLite() as server:
        every_row_arrives_as_it_was_sent(server.uri, ("plain", "wide", "varchar"), strict_json=False)
        a_late_insert_is_refused_by_the_fence(server.uri)
        overwriting_keeps_the_old_rows_until_the_new_are_proven(server.uri)
    with tempfile.TemporaryDirectory() as folder:
        only_the_right_server_and_client_talk_and_only_with_a_password(folder)
        an_embedded_server_lives_and_dies_with_its_job(folder)
    print("ok")


if __name__ == "__main__":
    main()
