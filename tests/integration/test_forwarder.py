"""The forwarder against the real Milvus: it counts rows as the client sent them, and a request that it held
back while its sender died is executed when it lets go - the fault against which the fence stands."""

import os
import signal
import socket
import subprocess
import sys
import time

import numpy

import oracle
import servers
from forwarder import Forwarder

DIM, ROWS = 32, 1000


def table(first, rows=ROWS):
    generator = numpy.random.default_rng(first)
    return {"id": numpy.arange(first, first + rows), "vector": generator.standard_normal((rows, DIM), dtype=numpy.float32)}


def insert(milvus, columns, method="insert"):
    rows = [{"id": int(key), "vector": vector} for key, vector in zip(columns["id"], columns["vector"])]
    return getattr(milvus, method)("t", rows, timeout=8)


def child(uri, first):
    insert(oracle.client(uri), table(first))


def expect_failure(call):
    try:
        call()
    except Exception as error:  # pymilvus raises many kinds
        return error
    raise AssertionError("the call should have failed")


def killed_client(way, first):
    """A client whose Insert is held back and who is then killed. The rule."""
    held = way.on("Insert", "hold")
    process = subprocess.Popen([sys.executable, os.path.abspath(__file__), "child", way.uri, str(first)])
    try:
        assert held.wait(60), "the Insert did not come"
        time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return held


def main():
    servers.private_network()
    with servers.MilvusStandalone() as server, Forwarder(server.port) as way:
        direct = oracle.client(server.uri)
        direct.create_collection("t", dimension=DIM, metric_type="L2", consistency_level="Strong")
        expected = table(0)
        insert(oracle.client(way.uri), expected)
        insert(oracle.client(way.uri), table(0), "upsert")
        assert way.rows("Insert") == ROWS and way.rows("Upsert") == ROWS, way.calls
        assert [call.collection for call in way.calls] == ["t", "t"], way.calls
        oracle.check_milvus(server.uri, "t", expected)

        held = killed_client(way, ROWS)
        assert oracle.count(direct, "t") == ROWS
        assert way.rows() == 2 * ROWS
        insert(direct, table(ROWS), "upsert")  # the replay, without a fence
        held.release()
        end = time.monotonic() + 30
        while oracle.count(direct, "t") == 2 * ROWS and time.monotonic() < end:
            time.sleep(0.1)
        assert oracle.count(direct, "t") == 3 * ROWS, "the late request doubled nothing?"
        assert way.rows() == 3 * ROWS

        # pymilvus sends again by itself: what was cut before comes once, what was cut after comes twice
        for first, action, times in ((5 * ROWS, "cut_before", 1), (6 * ROWS, "cut_after", 2)):
            sent = way.rows()
            cut = way.on("Insert", action)
            insert(oracle.client(way.uri), table(first))
            assert cut.wait(0)
            time.sleep(1)
            assert oracle.count(direct, "t", f"id >= {first}") == times * ROWS, action
            assert way.rows() - sent == times * ROWS, action
        silent = way.on("Insert", "silence")
        client = oracle.client(way.uri)
        expect_failure(lambda: insert(client, table(7 * ROWS)))
        assert silent.wait(0)
        assert oracle.count(direct, "t", f"id >= {7 * ROWS}") == 0
        way.refuse()
        expect_failure(lambda: socket.create_connection(("127.0.0.1", way.port)))
        way.listen()
        socket.create_connection(("127.0.0.1", way.port)).close()
    print("1 passed")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], int(sys.argv[3]))
    else:
        main()
