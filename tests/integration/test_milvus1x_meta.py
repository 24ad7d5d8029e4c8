"""Metadata of Milvus 1.x: `mmresume export` from SQLite and from a real MariaDB, by TCP, socket and TLS. What it writes
is compared with bytes made here from the same rows; what a server refuses is told, and a password never is."""

import json
import os
import socket
import sqlite3
import stat
import sys
import time

import cloud_servers
import jobs
import milvus1x_mysql
import object_servers
import servers
from jobs import CONFIG, DATA, UNAVAILABLE, USAGE

PASSWORD = "p:@/?%41#word"  # with all that parts an address
ENCODED = "p%3A%40%2F%3F%2541%23word"


def table(number, name, dimension, metric, **more):
    return {**dict(id=number, table_id=name, state=0, dimension=dimension, created_on=1700000000000000 + number, flag=2,
                   index_file_size=1024, engine_type=10, index_params="{}", metric_type=metric, owner_table="",
                   partition_tag="", version="1.1.0", flush_lsn=0), **more}


# What no export has: dropped collections, files of no collection, unfinished segments, an index beside its vectors.
TABLES = [
    table(1, "plain", 256, 1, flag=1, index_file_size=1 << 30, engine_type=1),
    table(2, "dropped", 8, 1, state=1),
    table(3, "bits", 64, 4, index_params='{"nlist": 1024, "x": "<é>"}'),
    table(4, "1700000000000004000", 64, 4, owner_table="bits", partition_tag="p & \"q\" é"),
    table(5, "empty", 4, 2, engine_type=11),
]


def file(number, table, segment, kind, size, rows, **more):
    return {**dict(id=number, table_id=table, segment_id=segment, engine_type=1, file_id=f"f{number}", file_type=kind,
                   file_size=size, row_count=rows, updated_time=1700000001000000 + number,
                   created_on=1700000000000000 + number, date=123, flush_lsn=0), **more}


FILES = [
    file(1, "plain", "1678354366132931000", 1, 10320000, 10000),
    file(2, "plain", "1678354366132932000", 3, 999, 10000),  # the index of the next
    file(3, "plain", "1678354366132932000", 7, 10320000, 10000),
    file(4, "plain", "1678354366132933000", 2, 1032, -4),
    file(5, "plain", "1678354366132934000", 0, 0, 0),
    file(6, "plain", "1678354366132935000", 4, 10, 1),
    file(7, "dropped", "1678354366132936000", 1, 10, 1),
    file(8, "nowhere", "1678354366132937000", 1, 10, 1),
    file(9, "1700000000000004000", "1678354366132938000", 1, 160, 10),
]


def expected():
    """The file as milvus-migration's form and our keys behind it make it, from the rows above, by another way."""
    names = {"created": "created_on", "flag": "flag", "indexFileSize": "index_file_size", "engine": "engine_type",
             "indexParams": "index_params"}

    def collection(table):
        files = [f for f in FILES if f["table_id"] == table["table_id"] and f["file_type"] in (1, 2, 7)]
        out = {"collection": table["table_id"], "metric": table["metric_type"],
               "rows": sum(f["row_count"] for f in files), "dim": table["dimension"],
               "segments": [{"collection": table["table_id"], "segment": f["segment_id"], "dim": table["dimension"],
                             "rows": f["row_count"], "fileSize": f["file_size"], "created": f["created_on"],
                             "updated": f["updated_time"],
                             **({"fileType": f["file_type"]} if f["file_type"] != 1 else {})} for f in files]}
        if table["owner_table"]:
            return {**out, "owner": table["owner_table"], "partition": table["partition_tag"]}
        return {**out, **{key: table[column] for key, column in names.items()}}

    bits, part, empty, plain = (collection(TABLES[i]) for i in (2, 3, 4, 0))
    whole = {"collections": [part, plain], "rows": part["rows"] + plain["rows"], "empty": [bits, empty]}
    text = json.dumps(whole, separators=(",", ":"), ensure_ascii=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode()


class Work(jobs.Jobs):
    """Calls of the command in a folder of its own."""

    def __init__(self):
        super().__init__()
        self.sqlite = self.path("db", "meta.sqlite")
        os.mkdir(self.path("db"))
        connection = sqlite3.connect(self.sqlite)
        connection.execute("PRAGMA journal_mode=WAL")
        for name, columns in milvus1x_mysql.TABLES.items():
            columns = columns.replace("BIGINT PRIMARY KEY AUTO_INCREMENT", "INTEGER PRIMARY KEY")
            connection.execute(f"CREATE TABLE {name} ({columns})")
        for name, rows in (("Tables", TABLES), ("TableFiles", FILES)):
            for row in rows:
                marks = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
        connection.commit()
        connection.close()

    def export(self, name, *arguments, **more):
        """Runs it; the bytes of the file."""
        ended = self.call("export", *arguments, "-o", self.path(name), **more)
        assert ended.out.startswith(self.path(name, "meta.json")), ended.out
        with open(self.path(name, "meta.json"), "rb") as text:
            return text.read()

    def refused(self, code, words, *arguments, name="refused", **more):
        """Ends as said, and leaves no file behind."""
        ended = self.fails(code, words, "export", *arguments, "-o", self.path(name), **more)
        left = os.listdir(self.path(name)) if os.path.isdir(self.path(name)) else []
        assert left == [], left
        return ended


# SQLite, and the command


def sqlite_is_exported_to_the_byte(work):
    assert work.export("sqlite", "-s", work.sqlite) == expected()
    assert stat.S_IMODE(os.stat(work.path("sqlite", "meta.json")).st_mode) == 0o600
    assert os.listdir(work.path("sqlite")) == ["meta.json"]
    assert sorted(os.listdir(work.path("db"))) == ["meta.sqlite"], "nothing is left beside the database"
    ended = work.call("export", "--sqlite", work.sqlite, "--output", work.path("sqlite"))
    assert ended.out == f"{work.path('sqlite', 'meta.json')}: collections 3, partitions 1, segments 4\n", ended.out
    assert "segment 1678354366132934000 of collection `plain`" in ended.err and "(NEW)" in ended.err


def without_our_keys_it_is_what_milvus_migration_writes(work):
    ours = json.loads(work.export("keys", "-s", work.sqlite))
    theirs = {"collection", "metric", "rows", "dim", "segments", "segment", "fileSize", "collections"}

    def strip(value):
        if isinstance(value, dict):
            kept = {key: strip(inner) for key, inner in value.items() if key in theirs}
            assert list(value)[: len(kept)] == list(kept), "our keys stand behind"
            return kept
        return [strip(inner) for inner in value] if isinstance(value, list) else value

    segment = ["collection", "segment", "dim", "rows", "fileSize"]
    for collection in strip(ours)["collections"]:
        assert list(collection) == ["collection", "metric", "rows", "dim", "segments"]
        assert all(list(entry) == segment for entry in collection["segments"])


def a_wrong_command_line_is_told(work):
    work.fails(USAGE, "one of --sqlite and --mysql", "export")
    work.fails(USAGE, "one of --sqlite and --mysql", "export", "-s", "a", "-m", "b")
    work.refused(CONFIG, "No such file", "-s", work.path("none.sqlite"))
    work.refused(CONFIG, "neither tcp nor unix", "-m", "root@udp(h)/milvus")
    work.refused(CONFIG, "NOT_SET_AT_ALL", "-m", "root:${NOT_SET_AT_ALL}@tcp(h)/milvus")


def an_error_leaves_the_file_as_it_was(work):
    before = work.export("kept", "-s", work.sqlite)
    with open(work.path("none.sqlite"), "wb") as text:
        text.write(b"no database" * 100)
    work.fails(DATA, "none.sqlite", "export", "-s", work.path("none.sqlite"), "-o", work.path("kept"))
    with open(work.path("kept", "meta.json"), "rb") as text:
        assert text.read() == before
    with open(work.path("file"), "w", encoding="ascii"):
        pass
    work.fails(CONFIG, "file", "export", "-s", work.sqlite, "-o", work.path("file"))


def a_kill_leaves_the_old_file_or_the_new(work):
    work.export("killed", "-s", work.sqlite)
    with open(work.path("killed", "meta.json"), "wb") as text:
        text.write(b"old")
    for point, want in (("local.publish.before", b"old"), ("local.publish.renamed", expected())):
        work.call("export", "-s", work.sqlite, "-o", work.path("killed"), failpoint=point + ":1:kill", code=jobs.KILLED)
        with open(work.path("killed", "meta.json"), "rb") as text:
            assert text.read() == want, point
    assert work.export("killed", "-s", work.sqlite) == expected()
    assert os.listdir(work.path("killed")) == ["meta.json"]


# MariaDB


def every_form_of_address_gives_the_same(work, server):
    port, other = server.port, {"environment": {"DB_PASSWORD": PASSWORD}}
    for name, dsn, more in (
            ("tcp", f"user:{PASSWORD}@tcp(127.0.0.1:{port})/milvus?charset=utf8mb4&parseTime=True&loc=Local", {}),
            ("localhost", f"user:{PASSWORD}@tcp(localhost:{port})/milvus", {}),
            ("unix", f"user:{PASSWORD}@unix({server.socket})/milvus", {}),
            ("url", f"mysql://user:{ENCODED}@127.0.0.1:{port}/milvus", {}),
            ("url-unix", f"mysql://user:{ENCODED}@localhost/milvus?socket={server.socket}", {}),
            ("environment", f"user:${{DB_PASSWORD}}@tcp(127.0.0.1:{port})/milvus", other)):
        assert work.export("mysql-" + name, "-m", dsn, **more) == expected(), name
    with open(work.path("password"), "w", encoding="ascii") as out:
        out.write(PASSWORD + "\n")
    os.chmod(work.path("password"), 0o600)
    assert work.export("mysql-file", "-m", f"user@tcp(127.0.0.1:{port})/milvus", "--mysql-password-file",
                       work.path("password")) == expected()
    work.refused(CONFIG, "given twice", "-m", f"user:x@tcp(127.0.0.1:{port})/milvus", "--mysql-password-file",
                 work.path("password"))


def names_arrive_as_utf8_from_any_charset(work, server):
    with server.connect() as connection:
        milvus1x_mysql.copy(work.sqlite, connection, "utf8", charset="utf8mb4")
    assert work.export("utf8", "-m", f"root@tcp(127.0.0.1:{server.port})/utf8") == expected()


def what_a_server_refuses_is_told(work, server):
    at = f"tcp(127.0.0.1:{server.port})"
    work.refused(CONFIG, ["Access denied", "error 1045", "mysql_password", f"127.0.0.1:{server.port}, database milvus"],
                 "-m", f"user:wrong@{at}/milvus")
    work.refused(CONFIG, ["Access denied", "error 1044"], "-m", f"user:{PASSWORD}@{at}/mysql")
    work.refused(CONFIG, ["Unknown database", "error 1049"], "-m", f"root@{at}/none")
    work.refused(CONFIG, ["error 1146", "keeps its metadata in Tables and TableFiles"], "-m", f"root@{at}/mysql")
    work.refused(UNAVAILABLE, "error 2002", "-m", f"root@tcp(127.0.0.1:{servers.free_port()})/milvus")
    work.refused(UNAVAILABLE, "error 2002", "-m", f"root@unix({work.path('none')})/milvus")
    work.refused(UNAVAILABLE, "nowhere.invalid", "-m", "root@tcp(nowhere.invalid)/milvus")
    with server.connect() as connection, connection.cursor() as cursor:
        milvus1x_mysql.create(connection, "old")
        cursor.execute("ALTER TABLE TableFiles DROP COLUMN segment_id")
        work.refused(DATA, ["TableFiles has no column segment_id"], "-m", f"root@{at}/old")
        milvus1x_mysql.create(connection, "none_yet")
        work.refused(CONFIG, "there are no collections", "-m", f"root@{at}/none_yet")
        cursor.execute("SET GLOBAL max_connections = 10")
        held = [server.connect() for _ in range(9)]
        ended = work.refused(UNAVAILABLE, "Too many connections", "-m", f"user:{PASSWORD}@{at}/milvus")
        assert "error 1040" in ended.err
        cursor.execute("SET GLOBAL max_connections = 100")
        for connection in held:
            connection.close()


def columns_of_older_releases_may_be_missing(work, server):
    with server.connect() as connection, connection.cursor() as cursor:
        milvus1x_mysql.copy(work.sqlite, connection, "older")
        cursor.execute("ALTER TABLE Tables DROP COLUMN flush_lsn, DROP COLUMN index_params, ADD COLUMN nlist INT")
        cursor.execute("ALTER TABLE TableFiles DROP COLUMN flush_lsn, DROP COLUMN updated_time")
    read = json.loads(work.export("older", "-m", f"root@tcp(127.0.0.1:{server.port})/older"))
    assert [c["collection"] for c in read["collections"]] == ["1700000000000004000", "plain"]
    assert "indexParams" not in json.dumps(read) and "updated" not in json.dumps(read)


def a_server_that_does_not_answer_is_given_up(work):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        work.refused(UNAVAILABLE, "error 20", "-m",
                     f"root@tcp(127.0.0.1:{silent.getsockname()[1]})/milvus?timeout=1s&readTimeout=1s")
        assert time.monotonic() - began < 8


def the_password_is_in_no_list_of_processes_and_no_message(work):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        address = f"user:{PASSWORD}@tcp(127.0.0.1:{port})/milvus?timeout=2s&readTimeout=2s"
        process = work.start("export", "-v", "-m", address, "-o", work.path("never"))
        held = silent.accept()  # it has read its command line
        with open(f"/proc/{process.pid}/cmdline", "rb") as text:
            command = text.read()
        work.end(process, UNAVAILABLE)
        held[0].close()
    assert b"export" in command and PASSWORD.encode() not in command and b"tcp(" not in command, command
    work.refused(CONFIG, "port", "-m", f"user:{PASSWORD}@tcp(127.0.0.1:{PASSWORD})/milvus")
    assert not any(PASSWORD in text for text in work.said)


def packet(number, body):
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def a_server_that_asks_for_the_password_itself_does_not_get_it(work):
    """Which no honest server does without TLS: the greeting of a MySQL 5.7, then a change to mysql_clear_password."""
    greeting = (b"\x0a5.7.0\0" + bytes(4) + b"12345678\0" + (0xF7DF).to_bytes(2, "little") + b"\x21\x02\0"
                + (0x000F).to_bytes(2, "little") + b"\x15" + bytes(10) + b"123456789012\0mysql_native_password\0")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        process = work.start("export", "-m", f"user:{PASSWORD}@tcp(127.0.0.1:{server.getsockname()[1]})/milvus",
                             "-o", work.path("asked"))
        client, _ = server.accept()
        with client:
            client.sendall(packet(0, greeting))
            got = client.recv(4096)
            client.sendall(packet(2, b"\xfemysql_clear_password\0\0"))
            while piece := client.recv(4096):
                got += piece
    work.end(process, CONFIG)
    assert b"user\0" in got and PASSWORD.encode() not in got, got
    assert "the server wants the password in another way" in process.err, process.err


def waits_for_tables(server, process):
    """Until the program's statement waits for a lock of a table."""
    with server.connect() as connection, connection.cursor() as cursor:
        end = time.monotonic() + 30
        while time.monotonic() < end and process.poll() is None:
            cursor.execute("SELECT count(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table%'")
            if cursor.fetchone()[0]:
                return
            time.sleep(0.02)
    raise AssertionError(f"it does not wait: {process.communicate()}")


def both_tables_are_of_one_moment(work, server):
    """While the program waits between its snapshot and the rows, a collection and a segment come to be."""
    with server.connect() as connection, connection.cursor() as cursor:
        milvus1x_mysql.copy(work.sqlite, connection, "moving")
        cursor.execute("LOCK TABLES TableFiles WRITE")
        process = work.start("export", "-m", f"root@tcp(127.0.0.1:{server.port})/moving", "-o", work.path("moving"))
        waits_for_tables(server, process)  # it has read Tables
        milvus1x_mysql.insert(connection, "TableFiles", [file(99, "plain", "1678354366132999000", 1, 8, 1)])
        cursor.execute("UPDATE TableFiles SET file_type = 4 WHERE id = 1")
        cursor.execute("UNLOCK TABLES")
        work.end(process, jobs.DONE)
    with open(work.path("moving", "meta.json"), "rb") as text:
        assert text.read() == expected()
    again = work.export("moved", "-m", f"root@tcp(127.0.0.1:{server.port})/moving")
    assert b"1678354366132999000" in again and b"1678354366132931000" not in again


def tls_is_verified_when_asked(work, server):
    at, ca = f"user:{PASSWORD}@tcp(127.0.0.1:{server.port})/milvus", server.settings["ssl_cert"]
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("ALTER USER user REQUIRE SSL")
    work.refused(CONFIG, "Access denied", "-m", at)  # the user is let in by TLS only
    for name, dsn, more in (("ca", at, ["--mysql-ca", ca]), ("true", at + "?tls=true", ["--mysql-ca", ca]),
                            ("skip", at + "?tls=skip-verify", []), ("preferred", at + "?tls=preferred", [])):
        assert work.export("tls-" + name, "-m", dsn, *more) == expected(), name
    work.refused(CONFIG, ["error 2026", "certificate"], "-m", at + "?tls=true")  # of no known authority
    os.mkdir(work.path("other"))
    other, _ = cloud_servers.certificate(work.path("other"))
    work.refused(CONFIG, ["error 2026", "certificate"], "-m", at, "--mysql-ca", other)
    work.refused(CONFIG, "error 2026", "-m", at.replace("127.0.0.1", "localhost"), "--mysql-ca", ca)  # for another host
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("ALTER USER user REQUIRE NONE")


def a_server_without_tls_is_refused_when_tls_is_asked(work, server):
    at = f"user:{PASSWORD}@tcp(127.0.0.1:{server.port})/milvus"
    work.refused(CONFIG, "error 2026", "-m", f"{at}?tls=true")
    work.refused(CONFIG, "TLS is asked for, and the server has none", "-m", f"{at}?tls=skip-verify")
    assert work.export("no-tls", "-m", f"{at}?tls=preferred") == expected()


def a_server_that_dies_is_told(work, server):
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute("USE milvus")
        cursor.execute("LOCK TABLES TableFiles WRITE")
        process = work.start("export", "-m", f"root@tcp(127.0.0.1:{server.port})/milvus", "-o", work.path("died"))
        waits_for_tables(server, process)
    server.kill9()
    work.end(process, UNAVAILABLE)
    assert "error 2013" in process.err, process.err
    assert not os.path.exists(work.path("died", "meta.json"))


def an_object_store_takes_the_file_and_gives_the_database(work, store):
    client = store.client()
    client.create_bucket(Bucket="meta")
    client.upload_file(work.sqlite, "meta", "db/meta.sqlite")
    environment = {"AWS_ENDPOINT_URL": store.uri, "AWS_ACCESS_KEY_ID": object_servers.ACCESS,
                   "AWS_SECRET_ACCESS_KEY": object_servers.SECRET, "AWS_REGION": store.region}
    work.call("export", "-s", "s3://meta/db/meta.sqlite", "-o", "s3://meta/out/", environment=environment)
    assert client.get_object(Bucket="meta", Key="out/meta.json")["Body"].read() == expected()


def fill(work, server):
    with server.connect() as connection, connection.cursor() as cursor:
        milvus1x_mysql.copy(work.sqlite, connection, "milvus")
        cursor.execute("CREATE USER user IDENTIFIED BY %s", (PASSWORD,))
        cursor.execute("GRANT SELECT ON milvus.* TO user")


def main():
    with Work() as work:
        failed = jobs.run_checks([sqlite_is_exported_to_the_byte, without_our_keys_it_is_what_milvus_migration_writes,
                                  a_wrong_command_line_is_told, an_error_leaves_the_file_as_it_was,
                                  a_kill_leaves_the_old_file_or_the_new, a_server_that_does_not_answer_is_given_up,
                                  the_password_is_in_no_list_of_processes_and_no_message,
                                  a_server_that_asks_for_the_password_itself_does_not_get_it], work)
        with object_servers.VersityGw() as store:
            failed = jobs.run_checks([an_object_store_takes_the_file_and_gives_the_database], work, store) or failed
        os.mkdir(work.path("tls"))
        os.chmod(work.folder, 0o755)
        certificate, key = cloud_servers.certificate(work.path("tls"))
        os.chmod(key, 0o644)  # of a test; the server is another user
        with servers.MariaDB() as server:
            fill(work, server)
            failed = jobs.run_checks([every_form_of_address_gives_the_same, names_arrive_as_utf8_from_any_charset,
                                      what_a_server_refuses_is_told, columns_of_older_releases_may_be_missing,
                                      both_tables_are_of_one_moment,
                                      a_server_without_tls_is_refused_when_tls_is_asked], work, server) or failed
            server.settings.update(ssl_cert=certificate, ssl_key=key)
            server.restart()
            failed = jobs.run_checks([tls_is_verified_when_asked, a_server_that_dies_is_told], work, server) or failed
        return failed


if __name__ == "__main__":
    sys.exit(main())
