"""Data folders of Milvus 0.9 to 1.x, written as those servers write them, with what they hold as numpy arrays: the oracle
that a migration is compared with. Written from the description of the format; knows nothing of mmresume.

A Folder takes collections, partitions and segments; write() puts their files into one or several roots and the metadata
into a meta.sqlite with the tables of Milvus 1.1, part of it in the WAL. every() is a folder with every case.

Layout:  <path>/db/meta.sqlite, <root>/<table_id>/<segment_id>/{<segment_id>.rv, <segment_id>.uid, deleted_docs, …}"""

import os
import shutil
import sqlite3
import struct
import tempfile

import numpy

L2, IP, HAMMING, JACCARD, TANIMOTO, SUBSTRUCTURE, SUPERSTRUCTURE = range(1, 8)
NEW, RAW, TO_INDEX, INDEX, TO_DELETE, NEW_MERGE, NEW_INDEX, BACKUP = range(8)
LIVE = (RAW, TO_INDEX, BACKUP, INDEX)
FIRST = 1678354366132931000  # of the ids that the server makes from its clock
CREATED = 1678354366132931

TABLES = """
CREATE TABLE 'Environment' ( 'global_lsn' INTEGER DEFAULT (0) NOT NULL );
CREATE TABLE 'Tables' ( 'id' INTEGER PRIMARY KEY NOT NULL , 'table_id' TEXT UNIQUE NOT NULL , 'state' INTEGER NOT NULL ,
  'dimension' INTEGER NOT NULL , 'created_on' INTEGER NOT NULL , 'flag' INTEGER DEFAULT (0) NOT NULL ,
  'index_file_size' INTEGER NOT NULL , 'engine_type' INTEGER NOT NULL , 'index_params' TEXT NOT NULL ,
  'metric_type' INTEGER NOT NULL , 'owner_table' TEXT DEFAULT ('') NOT NULL , 'partition_tag' TEXT DEFAULT ('') NOT NULL ,
  'version' TEXT DEFAULT ('1.1.1') NOT NULL , 'flush_lsn' INTEGER NOT NULL );
CREATE TABLE 'Fields' ( 'collection_id' TEXT NOT NULL , 'field_name' TEXT NOT NULL , 'field_type' INTEGER NOT NULL ,
  'field_params' TEXT NOT NULL );
CREATE TABLE 'TableFiles' ( 'id' INTEGER PRIMARY KEY NOT NULL , 'table_id' TEXT NOT NULL , 'segment_id' TEXT DEFAULT ('') NOT NULL ,
  'engine_type' INTEGER NOT NULL , 'file_id' TEXT NOT NULL , 'file_type' INTEGER NOT NULL ,
  'file_size' INTEGER DEFAULT (0) NOT NULL , 'row_count' INTEGER DEFAULT (0) NOT NULL , 'updated_time' INTEGER NOT NULL ,
  'created_on' INTEGER NOT NULL , 'date' INTEGER DEFAULT (-1) NOT NULL , 'flush_lsn' INTEGER NOT NULL );
"""

TABLE_COLUMNS = ("table_id", "state", "dimension", "created_on", "flag", "index_file_size", "engine_type", "index_params",
                 "metric_type", "owner_table", "partition_tag", "version", "flush_lsn")
FILE_COLUMNS = ("table_id", "segment_id", "engine_type", "file_id", "file_type", "file_size", "row_count", "updated_time",
                "created_on", "date", "flush_lsn")


class Segment:
    """Rows of one segment; types: of its rows in TableFiles. deleted: numbers of rows as they stand in the file."""

    def __init__(self, ids, vectors, deleted=(), types=(RAW,), root=0, bare=False, no_list=False, name=None):
        self.ids, self.vectors = numpy.asarray(ids, dtype="<i8"), numpy.ascontiguousarray(vectors)
        self.deleted, self.types, self.root, self.bare, self.no_list = list(deleted), types, root, bare, no_list
        self.name = name  # of its files; None: as the segment

    def live(self):
        keep = numpy.ones(len(self.ids), dtype=bool)
        keep[self.deleted] = False
        return self.ids[keep], self.vectors[keep]

    def counts(self):
        return any(kind in LIVE for kind in self.types)


class Collection:
    """partitions: {tag: [Segment, …]}, segments in the order of their making over all partitions by `number`."""

    def __init__(self, name, dimension, metric, state=0, engine=2, params='{"nlist":16384}', flag=2):
        self.name, self.dimension, self.metric, self.state = name, dimension, metric, state
        self.engine, self.params, self.flag = engine, params, flag
        self.partitions = {"_default": []}
        self.states = {}   # of partitions that are dropped
        self.order = []    # (tag, Segment), oldest first

    def binary(self):
        return self.metric >= HAMMING

    def add(self, segment, tag="_default"):
        self.partitions.setdefault(tag, []).append(segment)
        self.order.append((tag, segment))
        return self

    def row_bytes(self):
        return self.dimension // 8 if self.binary() else self.dimension * 4

    def rows(self, duplicates="last"):
        """{tag: (ids, vectors)} of what is live; of rows with one id that of the newest segment, or all (keep)."""
        pieces, newest = [], {}
        for tag, segment in self.order:
            if segment.counts() and not self.states.get(tag):
                ids, vectors = segment.live()
                for number, key in enumerate(ids):
                    newest[int(key)] = (len(pieces), number)
                pieces.append((tag, ids, vectors))
        empty = numpy.zeros((0, self.dimension // 8), "u1") if self.binary() else numpy.zeros((0, self.dimension), "<f4")
        found = {tag: ([numpy.zeros(0, "<i8")], [empty]) for tag in self.partitions if not self.states.get(tag)}
        for at, (tag, ids, vectors) in enumerate(pieces):
            keep = [duplicates == "keep" or newest[int(key)] == (at, number) for number, key in enumerate(ids)]
            found[tag][0].append(ids[keep])
            found[tag][1].append(vectors[keep])
        return {tag: (numpy.concatenate(ids), numpy.concatenate(vectors)) for tag, (ids, vectors) in found.items()}


class Folder:
    def __init__(self):
        self.collections = {}

    def add(self, name, dimension, metric=L2, **more):
        self.collections[name] = Collection(name, dimension, metric, **more)
        return self.collections[name]

    def table_rows(self):
        """Rows of `Tables`, partitions with table_ids as the server makes them."""
        rows, number = [], 0
        for collection in self.collections.values():
            for tag in collection.partitions:
                own = tag == "_default"
                number += 1
                rows.append((table_id(collection, tag), collection.states.get(tag, collection.state), collection.dimension,
                             CREATED + number, collection.flag, 1 << 30, collection.engine, collection.params,
                             collection.metric, "" if own else collection.name, "" if own else tag, "1.1.1", 7))
        return rows

    def segments(self):
        """(collection, tag, segment, segment_id, created) of every segment. Ids grow with time, as the server's do."""
        number = 0
        for collection in self.collections.values():
            for tag, segment in collection.order:
                number += 1
                yield collection, tag, segment, str(FIRST + 1000 * number), CREATED + number

    def file_rows(self):
        rows = []
        for collection, tag, segment, segment_id, created in self.segments():
            size = len(segment.ids) * (collection.row_bytes() + 8)
            for at, kind in enumerate(segment.types):
                # the count that the server keeps is wrong after deletes of rows that were not there
                rows.append((table_id(collection, tag), segment_id, collection.engine, segment_id + "7" * at, kind, size,
                             len(segment.ids) - 3 * len(segment.deleted) - 1, created + 9, created + at, 230309, 7))
        return rows

    def write(self, path, roots=None):
        """roots: folders; default: db/tables of path alone."""
        roots = roots or [os.path.join(path, "db", "tables")]
        os.makedirs(os.path.join(path, "db"), exist_ok=True)
        for root in roots:
            os.makedirs(root, exist_ok=True)
        for collection, tag, segment, segment_id, _ in self.segments():
            folder = os.path.join(roots[segment.root % len(roots)], table_id(collection, tag), segment_id)
            os.makedirs(folder)
            write_segment(folder, segment, segment.name or segment_id, collection.binary())
        write_meta(os.path.join(path, "db", "meta.sqlite"), self.table_rows(), self.file_rows())
        return self


def table_id(collection, tag):
    """A partition's table is called by the clock too; here by its place, so that it can be found."""
    if tag == "_default":
        return collection.name
    return f"{collection.name}_{FIRST + sorted(collection.partitions).index(tag)}"


def write_segment(folder, segment, name, binary):
    vectors = segment.vectors.astype("u1" if binary else "<f4", copy=False).tobytes()
    head = (lambda data: b"") if segment.bare else (lambda data: struct.pack("<Q", len(data)))
    ids, deleted = segment.ids.tobytes(), numpy.asarray(segment.deleted, dtype="<i4").tobytes()
    files = {name + ".rv": head(vectors) + vectors, name + ".uid": head(ids) + ids, "deleted_docs": head(deleted) + deleted,
             "bloom_filter": b"\x07bloom" * 9, "1678354366999999000": b"an index"}
    if segment.no_list:
        del files["deleted_docs"]
    for file, data in files.items():
        with open(os.path.join(folder, file), "wb") as out:
            out.write(data)


def write_meta(path, tables, files, wal=True):
    """The last third of the rows only in the WAL, where the server's last writes often are."""
    with tempfile.TemporaryDirectory() as folder:
        own = os.path.join(folder, "meta.sqlite")
        database = sqlite3.connect(own, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.executescript(TABLES)
        work = [("Tables", TABLE_COLUMNS, row) for row in tables] + [("TableFiles", FILE_COLUMNS, row) for row in files]
        for at, (table, columns, row) in enumerate(work):
            if at == len(work) * 2 // 3 or not wal:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", row)
        for ending in ("", "-wal") if wal else ("",):
            if os.path.exists(own + ending):
                shutil.copyfile(own + ending, path + ending)
        database.close()
        if not wal:
            shutil.copyfile(own, path)


def write_0_11(path):
    """The start of a data folder of 0.11: other tables, other folders."""
    os.makedirs(os.path.join(path, "db", "tables", "C_1", "P_1", "S_1"))
    database = sqlite3.connect(os.path.join(path, "db", "meta.sqlite"))
    database.executescript("CREATE TABLE Collections (id INTEGER, name TEXT); CREATE TABLE CollectionCommits (id INTEGER);"
                           "CREATE TABLE SegmentCommits (id INTEGER); INSERT INTO Collections VALUES (1, 'c');")
    database.close()


# data


def floats(rows, dimension, seed):
    return numpy.random.default_rng(seed).standard_normal((rows, dimension), dtype="f4")


def bits(rows, dimension, seed):
    return numpy.random.default_rng(seed).integers(0, 256, (rows, dimension // 8), dtype="u1")


def some_deletes(rows, count, seed):
    """Numbers of rows in no order, a third of them twice."""
    random = numpy.random.default_rng(seed)
    once = random.choice(rows, count, replace=False)
    twice = numpy.concatenate([once, once[: count // 3]])
    random.shuffle(twice)
    return [int(number) for number in twice]


def every():
    """Every case but damage."""
    folder = Folder()
    plain = folder.add("plain", 8, L2)
    for part in range(3):
        plain.add(Segment(range(part * 400, part * 400 + 400), floats(400, 8, part), types=(RAW,)))

    random = numpy.random.default_rng(11)
    ids = random.permutation(10**7)[:2600].astype("i8") - 5 * 10**6
    ids[:2] = -(2**63) + 1, 2**63 - 2  # the first and the last of Int64 are not found by queries of Milvus 2.3.5
    split = folder.add("split", 16, IP, engine=11, params='{"M":16,"efConstruction":500}')
    split.add(Segment(ids[:600], floats(600, 16, 1), some_deletes(600, 200, 1), (TO_INDEX,)))
    split.add(Segment(ids[600:1300], floats(700, 16, 2), some_deletes(700, 1, 2), (INDEX, BACKUP)), "red")
    split.add(Segment(ids[1300:1500], floats(200, 16, 3), range(200), (RAW,)), "red")
    split.add(Segment(ids[1500:2500], floats(1000, 16, 4), [0, 999, 0, 998, 999], (RAW, NEW_INDEX)), "green")
    split.add(Segment(ids[2500:2600], floats(100, 16, 5)), "old")
    split.partitions["bare_ground"] = []
    split.states["old"] = 1

    types = folder.add("types", 4, L2, engine=3)
    for kind in (NEW, RAW, TO_INDEX, INDEX, TO_DELETE, NEW_MERGE, NEW_INDEX, BACKUP):
        types.add(Segment(range(kind * 10, kind * 10 + 10), floats(10, 4, kind), types=(kind,)))
    types.add(Segment(range(100, 130), floats(30, 4, 20), types=(TO_DELETE, INDEX)))
    types.add(Segment(range(130, 160), floats(30, 4, 21), types=(NEW_MERGE, RAW)))

    moved = folder.add("moved", 4, L2)
    moved.add(Segment(range(0, 300), floats(300, 4, 30)))
    moved.add(Segment(range(200, 500), floats(300, 4, 31), [0, 1, 2]), "late")
    moved.add(Segment(list(range(100, 250)) * 2, floats(300, 4, 32), [299]))

    for name, metric in (("hamming", HAMMING), ("jaccard", JACCARD), ("tanimoto", TANIMOTO), ("inside", SUBSTRUCTURE),
                         ("around", SUPERSTRUCTURE)):
        binary = folder.add(name, 64 if metric == HAMMING else 24, metric, engine=9, params="{}", flag=1)
        binary.add(Segment(range(FIRST, FIRST + 90), bits(90, binary.dimension, metric), [5, 5, 3]))
        binary.add(Segment(range(FIRST + 90, FIRST + 150), bits(60, binary.dimension, metric + 9)))

    folder.add("empty", 32, L2)
    hollow = folder.add("hollow", 8, L2)
    hollow.add(Segment([], numpy.zeros((0, 8), "f4")))
    hollow.add(Segment(range(40), floats(40, 8, 40), range(40)))
    folder.add("dropped", 8, L2, state=1).add(Segment(range(5), floats(5, 8, 41)))

    early = folder.add("early", 8, L2)
    early.add(Segment(range(50), floats(50, 8, 50), [7, 7, 9], bare=True))
    early.add(Segment(range(50, 80), floats(30, 8, 51), no_list=True))
    early.add(Segment(range(80, 100), floats(20, 8, 52), name="named_otherwise"))
    narrow = folder.add("narrow", 2, L2)
    narrow.add(Segment(range(33), floats(33, 2, 53), [4]))
    narrow.add(Segment(range(33, 55), floats(22, 2, 54), [1, 2, 2], bare=True))

    spread = folder.add("spread", 12, L2)
    for part in range(5):
        spread.add(Segment(range(part * 60, part * 60 + 60), floats(60, 12, 60 + part), root=part), "half" if part % 2 else "_default")

    holes = folder.add("holes", 8, L2)
    keys = random.permutation(10**6)[:9000].astype("i8")
    holes.add(Segment(keys[:6000], floats(6000, 8, 70), some_deletes(6000, 3000, 70)))
    holes.add(Segment(keys[6000:], floats(3000, 8, 71), some_deletes(3000, 2900, 71)))
    return folder
