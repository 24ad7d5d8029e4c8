"""The metadata of a Milvus 1.x in MySQL, made from its SQLite: the tables as Milvus makes them there, row by row.

The statements are those of Milvus 1.1, core/src/db/meta/MySQLMetaImpl.cpp. Knows nothing of mmresume."""

import os
import shutil
import sqlite3
import tempfile

TABLES = {
    "Environment": "global_lsn BIGINT DEFAULT 0 NOT NULL",
    "Tables": "id BIGINT PRIMARY KEY AUTO_INCREMENT, table_id VARCHAR(255) UNIQUE NOT NULL, state INT NOT NULL, "
              "dimension SMALLINT NOT NULL, created_on BIGINT NOT NULL, flag BIGINT DEFAULT 0 NOT NULL, "
              "index_file_size BIGINT DEFAULT 1024 NOT NULL, engine_type INT DEFAULT 1 NOT NULL, "
              "index_params VARCHAR(512) NOT NULL, metric_type INT DEFAULT 1 NOT NULL, "
              "owner_table VARCHAR(255) NOT NULL, partition_tag VARCHAR(255) NOT NULL, "
              "version VARCHAR(64) DEFAULT '1.1.0', flush_lsn BIGINT DEFAULT 0 NOT NULL",
    "TableFiles": "id BIGINT PRIMARY KEY AUTO_INCREMENT, table_id VARCHAR(255) NOT NULL, "
                  "segment_id VARCHAR(255) NOT NULL, engine_type INT DEFAULT 1 NOT NULL, "
                  "file_id VARCHAR(255) NOT NULL, file_type INT DEFAULT 0 NOT NULL, "
                  "file_size BIGINT DEFAULT 0 NOT NULL, row_count BIGINT DEFAULT 0 NOT NULL, "
                  "updated_time BIGINT NOT NULL, created_on BIGINT NOT NULL, date INT DEFAULT -1 NOT NULL, "
                  "flush_lsn BIGINT DEFAULT 0 NOT NULL",
}


def create(connection, database, charset="latin1"):
    """An empty database, as Milvus finds it, with its tables. latin1 was MySQL's default then."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS `{database}`")
        cursor.execute(f"CREATE DATABASE `{database}` CHARACTER SET {charset}")
        cursor.execute(f"USE `{database}`")
        for name, columns in TABLES.items():
            cursor.execute(f"CREATE TABLE `{name}` ({columns})")


def copy(sqlite, connection, database, **more):
    """Every row of the tables Tables and TableFiles of a meta.sqlite and its WAL, into a database of that name."""
    create(connection, database, **more)
    with tempfile.TemporaryDirectory() as folder:  # SQLite would write beside the original
        for ending in ("", "-wal"):
            if os.path.exists(sqlite + ending):
                shutil.copyfile(sqlite + ending, os.path.join(folder, "meta.sqlite" + ending))
        source = sqlite3.connect(os.path.join(folder, "meta.sqlite"))
        for name in ("Tables", "TableFiles"):
            rows = source.execute(f"SELECT * FROM {name} ORDER BY id")
            columns = [column[0] for column in rows.description]
            insert(connection, name, [dict(zip(columns, row)) for row in rows])
        source.close()


def insert(connection, table, rows):
    with connection.cursor() as cursor:
        for row in rows:
            names, marks = ", ".join(f"`{name}`" for name in row), ", ".join(["%s"] * len(row))
            cursor.execute(f"INSERT INTO `{table}` ({names}) VALUES ({marks})", tuple(row.values()))
