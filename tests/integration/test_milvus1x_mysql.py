"""One Milvus 1.x folder with every case, its metadata in SQLite, in a real MariaDB, and exported from both: jobs by
each of them bring the same rows, those that the generator knows; pymilvusdm's own reader, where it is right, reads the
same."""

import datetime
import os
import sys

import numpy
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import cloud_servers
import jobs
import milvus1x_files as made
import milvus1x_mysql
import object_servers
import oracle
import pymilvusdm_reader
import servers
from jobs import CONFIG, UNAVAILABLE

PASSWORD = "pass:word@/%"


class Work(jobs.Jobs):
    def __init__(self):
        super().__init__()
        self.made = made.every().write(self.path("data"))

    def make(self, name, collections=None, target=None, **source):
        source = {"driver": "milvus1x", "path": "./data", **source}
        target = target or {"driver": "files", "path": self.path(name + ".out"), "format": "npy"}
        more = {"collections": [{"from": collection} for collection in collections]} if collections else {}
        return self.job(name, "./data", target, source=source, verify="full", **more)

    def brings_everything(self, name, collections=None, **source):
        """A job from that source: every row of every collection arrives in its partition, and nothing else."""
        self.call("run", self.make(name, collections, **source))
        there = set(os.listdir(self.path(name + ".out")))
        assert there == set(collections or self.made.collections) - {"dropped"}, there
        for collection in sorted(there):
            parts = self.made.collections[collection].rows()
            oracle.check_files(self.path(name + ".out"), collection,
                               {tag: jobs.rows(*columns) for tag, columns in parts.items()})
        self.ended(name)


def fill(work, server):
    with server.connect() as connection, connection.cursor() as cursor:
        milvus1x_mysql.copy(work.path("data", "db", "meta.sqlite"), connection, "milvus")
        cursor.execute("CREATE USER reader IDENTIFIED BY %s", (PASSWORD,))
        cursor.execute("GRANT SELECT ON milvus.* TO reader")


def address(server):
    return f"reader:{PASSWORD}@tcp(127.0.0.1:{server.port})/milvus"


def sqlite_mysql_and_what_is_exported_from_them_bring_the_same_rows(work, server):
    work.brings_everything("sqlite")
    work.brings_everything("mysql", mysql=address(server))
    work.call("export", "-s", work.path("data", "db", "meta.sqlite"), "-o", work.path("from-sqlite"))
    work.call("export", "-m", address(server), "-o", work.path("from-mysql"))
    texts = [open(work.path(folder, "meta.json"), "rb").read() for folder in ("from-sqlite", "from-mysql")]
    assert texts[0] == texts[1]
    work.brings_everything("json", meta="./from-mysql/meta.json")


def the_database_may_be_all_that_is_not_in_an_object_store(work, server, store):
    client = store.client()
    client.create_bucket(Bucket="old")
    chosen = ("split", "hamming", "empty")
    for base, _, files in os.walk(work.path("data", "db", "tables")):
        for file in files:
            path = os.path.join(base, file)
            if os.path.relpath(path, work.path("data", "db", "tables")).split(os.sep)[0].split("_")[0] in chosen:
                client.upload_file(path, "old", os.path.relpath(path, work.path("data")))
    client.upload_file(work.path("from-mysql", "meta.json"), "old", "meta.json")
    options = {**store.options(), "tables": ["s3://old/db/tables"], "path": None}
    work.brings_everything("s3-mysql", chosen, mysql=address(server), **options)
    work.brings_everything("s3-json", chosen, meta="s3://old/meta.json", **options)


def a_run_is_resumed_with_the_password_from_elsewhere(work, server):
    """The address stands in no savepoint; the resumed run reads it again, and the plan is the same."""
    file = work.make("resumed", mysql=address(server).replace(PASSWORD, "${READER_PASSWORD}"), extent_bytes="8KiB")
    environment = {"READER_PASSWORD": PASSWORD}
    work.call("run", file, failpoint="store.apply.after_commit:9:kill", code=jobs.KILLED, environment=environment)
    work.fails(CONFIG, "READER_PASSWORD", "resume", "resumed")
    work.fails(CONFIG, "Access denied", "resume", "resumed", environment={"READER_PASSWORD": "no"})
    work.call("resume", "resumed", environment=environment)
    for collection in ("split", "holes"):
        parts = work.made.collections[collection].rows()
        oracle.check_files(work.path("resumed.out"), collection,
                           {tag: jobs.rows(*columns) for tag, columns in parts.items()})
    work.ended("resumed")


def a_password_in_the_job_file_is_kept_out_of_the_store(work, server):
    work.call("run", work.make("hidden", ["plain"], mysql=address(server)))
    shown = work.call("config", "--show", work.path("hidden.yaml"))
    for base, _, files in os.walk(work.state):
        for name in files:
            with open(os.path.join(base, name), "rb") as file:
                assert PASSWORD.encode() not in file.read(), name
    assert PASSWORD not in shown.out and "***" in shown.out, shown.out
    assert not any(PASSWORD in text for text in work.said)


def a_change_of_the_metadata_in_mysql_is_noticed(work, server):
    file = work.make("changed", ["split"], mysql=address(server), extent_bytes="4KiB")
    work.call("run", file, failpoint="store.apply.after_commit:9:kill", code=jobs.KILLED)
    with server.connect("milvus") as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE TableFiles SET file_type = 4 WHERE table_id = 'split' LIMIT 1")
        work.fails(CONFIG, "changed", "resume", "changed")
        cursor.execute("UPDATE TableFiles SET file_type = 2 WHERE table_id = 'split' AND file_type = 4")
    work.call("resume", "changed")
    work.ended("changed")


def a_server_that_is_gone_is_told_and_the_run_goes_on_once_it_is_back(work, server):
    file = work.make("gone", ["plain"], mysql=address(server))
    server.kill9()
    work.fails(UNAVAILABLE, ["error 2002", "--or-resume"], "run", file)
    server.start()
    work.call("run", file, "--or-resume")
    work.ended("gone")


def client_certificate(folder, issuer, issuer_key):
    """(certificate, key) of a client, by that authority."""
    with open(issuer, "rb") as file:
        authority = x509.load_pem_x509_certificate(file.read())
    with open(issuer_key, "rb") as file:
        signer = serialization.load_pem_private_key(file.read(), None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    made_now = (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reader")]))
                .issuer_name(authority.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
                .sign(signer, hashes.SHA256()))
    paths = os.path.join(folder, "client.pem"), os.path.join(folder, "client.key")
    with open(paths[0], "wb") as file:
        file.write(made_now.public_bytes(serialization.Encoding.PEM))
    with open(paths[1], "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))
    return paths


def a_certificate_of_the_client_is_shown(work, server):
    os.mkdir(work.path("tls"))
    os.chmod(work.folder, 0o755)
    authority, authority_key = cloud_servers.certificate(work.path("tls"))
    os.chmod(authority_key, 0o644)  # of a test; the server is another user
    server.settings.update(ssl_cert=authority, ssl_key=authority_key, ssl_ca=authority)
    server.restart()
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("ALTER USER reader REQUIRE X509")
    certificate, key = client_certificate(work.path("tls"), authority, authority_key)
    at, ca, own = {"mysql": address(server)}, {"mysql_ca": authority}, {"mysql_cert": certificate, "mysql_key": key}
    work.fails(CONFIG, "Access denied", "plan", work.make("no-cert", ["plain"], **at, **ca))
    work.brings_everything("cert", ["plain"], **at, **ca, **own)
    work.fails(CONFIG, "error 2026", "plan", work.make("no-ca", ["plain"], **at, **own))  # it asks for TLS, too
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("ALTER USER reader REQUIRE NONE")


# another reader


class Honest(made.Folder):
    """Row counts that are true, as they are where nothing was ever deleted."""

    def file_rows(self):
        at = made.FILE_COLUMNS.index("row_count")
        rows = {segment_id: len(segment.ids) for _, _, segment, segment_id, _ in self.segments()}
        return [row[:at] + (rows[row[1]],) + row[at + 1:] for row in super().file_rows()]


def honest():
    folder = Honest()
    floats = folder.add("floats", 24, made.IP)
    floats.add(made.Segment(range(500), made.floats(500, 24, 1)))
    floats.add(made.Segment(range(500, 900), made.floats(400, 24, 2), types=(made.INDEX, made.BACKUP)))
    floats.add(made.Segment(range(900, 1000), made.floats(100, 24, 3)), "red")
    floats.add(made.Segment(range(-50, 0), made.floats(50, 24, 4)), "red")
    binary = folder.add("binary", 64, made.JACCARD)
    binary.add(made.Segment(range(300), made.bits(300, 64, 5), types=(made.INDEX, made.BACKUP)))
    return folder


def pymilvusdm_reads_the_same_where_it_is_right(work, server):
    folder = honest().write(work.path("honest"))
    with server.connect() as connection:
        milvus1x_mysql.copy(work.path("honest", "db", "meta.sqlite"), connection, "honest")
    at = {"host": "127.0.0.1", "port": server.port, "user": "root", "password": "", "database": "honest"}
    dsn = f"root@tcp(127.0.0.1:{server.port})/honest"
    work.call("run", work.make("honest", path="./honest", mysql=dsn))
    for mysql in (at, None):
        with pymilvusdm_reader.Reader(work.path("honest"), mysql) as reader:
            for name, collection in folder.collections.items():
                tags = [None] + [tag for tag in collection.partitions if tag != "_default"]
                assert reader.partitions(name) == sorted(tags[1:])
                theirs = {tag or "_default": reader.rows(name, tag) for tag in tags}
                for ids, vectors in theirs.values():
                    assert len(ids) == len(vectors) > 0
                oracle.check_files(work.path("honest.out"), name,
                                   {tag: jobs.rows(*columns) for tag, columns in theirs.items()})
                total = sum(len(segment.ids) for _, segment in collection.order)
                assert sum(len(ids) for ids, _ in theirs.values()) == total
                assert numpy.unique(numpy.concatenate([ids for ids, _ in theirs.values()])).size == total


def main():
    with Work() as work, servers.MariaDB() as server:
        fill(work, server)
        failed = jobs.run_checks([sqlite_mysql_and_what_is_exported_from_them_bring_the_same_rows,
                                  a_run_is_resumed_with_the_password_from_elsewhere,
                                  a_password_in_the_job_file_is_kept_out_of_the_store,
                                  a_change_of_the_metadata_in_mysql_is_noticed,
                                  pymilvusdm_reads_the_same_where_it_is_right], work, server)
        with object_servers.VersityGw() as store:
            failed = jobs.run_checks([the_database_may_be_all_that_is_not_in_an_object_store], work, server,
                                     store) or failed
        failed = jobs.run_checks([a_certificate_of_the_client_is_shown,
                                  a_server_that_is_gone_is_told_and_the_run_goes_on_once_it_is_back],
                                 work, server) or failed
    return failed


if __name__ == "__main__":
    sys.exit(main())
