"""Documents with a field of each type that a server knows, what they are in Milvus, and comparison with what arrived.

document() makes the source of a document and its row; the oracle is what was indexed, never what a server says.
compare() takes rows as Python has them, from files of JSON or from Milvus. Knows nothing of mmresume."""

import datetime
import json

import numpy

import oracle

DIM, BYTES, BITS = 16, 8, 64
WORDS = ("rot", "blau", "größe", "日本", "😀", "a\"quote", "back\\slash", "tab\tline\nend", "", "x" * 300)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

# how a column is compared
F4, F8, WHOLE, TEXT, JSON, LIST, VECTOR, INTS, SPARSE = "f4", "f8", "whole", "text", "json", "list", "vector", "ints", "sparse"

# field: (mapping, how its values are compared); each kind of server has what it knows
COMMON = {
    "title": ({"type": "text", "fields": {"raw": {"type": "keyword", "ignore_above": 1000}}}, TEXT),
    "brand": ({"type": "keyword"}, TEXT),
    "note": ({"type": "keyword"}, TEXT),
    "number": ({"type": "long"}, WHOLE),
    "i32": ({"type": "integer"}, WHOLE),
    "i16": ({"type": "short"}, WHOLE),
    "i8": ({"type": "byte"}, WHOLE),
    "real": ({"type": "float"}, F4),
    "half": ({"type": "half_float"}, F4),
    "double": ({"type": "double"}, F8),
    "flag": ({"type": "boolean"}, WHOLE),
    "day": ({"type": "date"}, WHOLE),
    "nanos": ({"type": "date_nanos"}, WHOLE),
    "address": ({"type": "ip"}, TEXT),
    "place": ({"type": "geo_point"}, JSON),
    "extra": ({"type": "object", "properties": {"colour": {"type": "keyword"}, "size": {"type": "integer"}}}, JSON),
    "offers": ({"type": "nested", "properties": {"price": {"type": "double"}, "shop": {"type": "keyword"}}}, JSON),
    "tags": ({"type": "keyword"}, LIST),
    "counts": ({"type": "integer"}, LIST),
}
OWN = {
    "elasticsearch-8": {
        "vector": ({"type": "dense_vector", "dims": DIM, "similarity": "l2_norm"}, VECTOR),
        "bytes": ({"type": "dense_vector", "dims": BYTES, "element_type": "byte", "index": False}, INTS),
        "bits": ({"type": "dense_vector", "dims": BITS, "element_type": "bit", "index": False}, INTS),
        "flat": ({"type": "flattened"}, JSON),
        "sparse": ({"type": "sparse_vector"}, SPARSE),
    },
    # this distribution of 7.17 lacks dense_vector; in the documents the arrays look the same
    "elasticsearch-7": {
        "vector": ({"type": "float", "index": False, "doc_values": False}, VECTOR),
        "flat": ({"type": "object", "enabled": False}, JSON),
    },
    "opensearch": {
        "vector": ({"type": "knn_vector", "dimension": DIM, "space_type": "l2",
                    "method": {"name": "hnsw", "engine": "lucene"}}, VECTOR),
        "bytes": ({"type": "knn_vector", "dimension": BYTES, "data_type": "byte",
                   "method": {"name": "hnsw", "engine": "lucene"}}, INTS),
        "flat": ({"type": "flat_object"}, JSON),
        "wide": ({"type": "unsigned_long"}, WHOLE),
        "wild": ({"type": "wildcard"}, TEXT),
        "constant": ({"type": "constant_keyword", "value": "always"}, TEXT),
    },
}


def fields(kind):
    return {**COMMON, **OWN[kind]}


def body(kind, shards=5):
    """Of the request that creates the index."""
    settings = {"number_of_shards": shards, "number_of_replicas": 0}
    if kind == "opensearch":
        settings["knn"] = True
    return {"settings": {"index": settings},
            "mappings": {"properties": {name: mapping for name, (mapping, _) in fields(kind).items()}}}


def identifier(number):
    """Ids as users have them."""
    form = number % 5
    return (f"{number}", f"product/{number}?x=1&y", f"größe {number}", f"\"{number}\"\\", f"{number:064x}")[form]


def document(kind, number, version=0):
    """(id, source, row) of a document; version: another one under the same id. row None: Milvus cannot hold it."""
    random = numpy.random.default_rng((number, version))
    source, row = {}, {}

    def put(name, value, wanted=None):
        source[name], row[name] = value, value if wanted is None else wanted

    vector = random.standard_normal(DIM, dtype="f4")
    put("title", f"{WORDS[number % len(WORDS)]} {number} {version}")
    put("brand", WORDS[int(random.integers(len(WORDS)))])
    if number % 7 == 0:
        row["note"] = None
        if number % 2:
            source["note"] = None
    else:
        put("note", f"note {number}")
    put("number", int(random.integers(-2**63, 2**63 - 1)))
    put("i32", int(random.integers(-2**31, 2**31)))
    if number % 11 == 0:
        source["i32"] = str(source["i32"])  # as the server takes it, and gives it back
    put("i16", int(random.integers(-2**15, 2**15)))
    put("i8", int(random.integers(-2**7, 2**7)))
    put("real", float(random.standard_normal()) * 10.0 ** int(random.integers(-30, 30)))
    put("half", float(random.standard_normal()))
    put("double", float(random.standard_normal()) * 10.0 ** int(random.integers(-300, 300)))
    put("flag", bool(number % 2))
    if number % 13 == 0:
        source["flag"] = "true" if row["flag"] else "false"
    _times(put, random, number, kind)
    put("address", (f"10.0.{number % 256}.7", f"2001:db8::{number % 65536:x}")[number % 2])
    put("place", ({"lat": 52.5, "lon": number % 180 + 0.25}, [number % 180 + 0.25, -33.5], f"{number % 90},{number % 180}")[number % 3])
    put("extra", {"colour": WORDS[number % 5], "size": number, "deep": {"er": {"list": [1.5, 2.5], "none": None}, "text": "ü"}})
    put("offers", [{"price": n + 0.1, "shop": f"s{n}"} for n in range(number % 3)])
    put("flat", {"a": f"{number}", "b": {"c": ["x", "y"]}})
    put("tags", [WORDS[int(n)] for n in random.integers(0, len(WORDS), number % 4)])
    put("counts", [int(n) for n in random.integers(-2**31, 2**31, 1 + number % 4)])
    if number % 4 == 0:
        source["counts"] = row["counts"][0]  # one value is a list of one
        row["counts"] = row["counts"][:1]
    put("vector", [float(text) for text in vector.astype(str)])
    own = OWN[kind]
    if "bytes" in own:
        put("bytes", [int(n) for n in random.integers(-128, 128, BYTES)])
    if "bits" in own:
        codes = random.integers(0, 256, BITS // 8, dtype="u1")
        put("bits", codes.tobytes().hex() if number % 2 else codes.view("i1").tolist(), codes.tolist())
    if "sparse" in own:
        put("sparse", {str(int(key)): float(value) for key, value in
                       zip(random.choice(30000, 1 + number % 5, replace=False), random.random(5, dtype="f4") + numpy.float32(0.5))})
    if "wide" in own:
        put("wide", int(random.integers(0, 2**63 - 1)))
        put("wild", f"wild*{number}")
        row["constant"] = "always"
        if number % 3:
            source["constant"] = "always"
    if number % 997 == 996:
        del source["vector"]
        row = None
    key = identifier(number)
    if row is not None:
        row["_id"] = key
    return key, source, row


def _times(put, random, number, kind):
    millis = int(random.integers(-10**12, 4 * 10**12))
    text = (EPOCH + datetime.timedelta(milliseconds=millis)).isoformat(timespec="milliseconds")
    # version 7 takes no number before 1970, and all of them take a short one for a year
    whole = millis if millis >= 10**5 or (millis <= -10**11 and kind != "elasticsearch-7") else text
    put("day", (whole, text, text.replace("+00:00", "Z"), str(millis) if millis >= 0 else text)[number % 4], millis)
    if number % 17 == 0:
        day = millis // 86400000
        put("day", str((EPOCH + datetime.timedelta(days=day)).date()), day * 86400000)
    nanos = int(random.integers(0, 4 * 10**18))
    text = (EPOCH + datetime.timedelta(seconds=nanos // 10**9)).strftime("%Y-%m-%dT%H:%M:%S")
    put("nanos", f"{text}.{nanos % 10**9:09}Z", nanos)


class Index:
    """An index as it was written: rows: {id: row}, rejected: ids of documents that Milvus cannot hold."""

    def __init__(self, client, kind, name, shards=5, request=None):
        """request: the body that creates it; default: body()"""
        self.client, self.kind, self.name = client, kind, name
        self.rows, self.rejected = {}, set()
        client("PUT", f"/{name}", request or body(kind, shards))

    def write(self, numbers, version=0, routing=None):
        """Documents of these numbers, another version of those that are there already."""
        def documents():
            for number in numbers:
                key, source, row = document(self.kind, number, version)
                self.rejected.discard(key)
                self.rows.pop(key, None)
                if row is None:
                    self.rejected.add(key)
                else:
                    self.rows[key] = row
                yield key, source

        self.client.index(self.name, documents(), routing)
        self.client.refresh(self.name)

    def delete(self, numbers):
        keys = [identifier(number) for number in numbers]
        self.client.delete(self.name, keys)
        for key in keys:
            self.rows.pop(key, None)
            self.rejected.discard(key)
        self.client.refresh(self.name)


def milvus_rows(uri, collection, keys, names):
    """Rows that a Milvus has, as compare() takes them."""
    columns = oracle.fetch(uri, collection, keys, primary="_id", fields=["_id", *names])
    columns = {name: [_listed(value) for value in column] for name, column in columns.items()}
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def _listed(value):
    """An Array comes as the message that has one of several lists."""
    kind = value.WhichOneof("data") if hasattr(value, "WhichOneof") else ""
    return value if kind == "" else list(getattr(value, kind).data) if kind else []


# comparison


class Different(AssertionError):
    """What arrived is not what was indexed."""


def _plain(how, value):
    """A value so that == compares what it means; floats by their bits."""
    if value is None:
        return None
    if how == F4:
        return numpy.float32(value).tobytes()
    if how == F8:
        return numpy.float64(value).tobytes()
    if how == VECTOR:
        return numpy.asarray(value, dtype="f4").tobytes()
    if how == SPARSE:
        return {int(key): numpy.float32(number).tobytes() for key, number in value.items()}
    if how in (INTS, LIST):
        return [item if isinstance(item, str) else int(item) for item in value]
    if how == WHOLE:
        return int(value)
    return value


def compare(kind, got, wanted, names=None):
    """Raises Different unless the rows (each with its `_id`) are those of `wanted` ({id: row}): every one once,
    every value. names: of the fields that were asked for."""
    known = fields(kind)
    names = [name for name in (names or known) if name in known]
    keys = [row["_id"] for row in got]
    if len(set(keys)) != len(keys):
        raise Different(f"{len(keys) - len(set(keys))} rows are doubled")
    lost, extra = set(wanted) - set(keys), set(keys) - set(wanted)
    if lost or extra:
        raise Different(f"{len(lost)} rows lost, first {sorted(lost)[:5]}; {len(extra)} too many, first {sorted(extra)[:5]}")
    for row in got:
        want = wanted[row["_id"]]
        for name in names:
            how = known[name][1]
            if name not in row:
                raise Different(f"{row['_id']}: there is no {name}")
            value = row[name]
            if how == JSON and isinstance(value, (str, bytes)):  # the text of a JSON that is no object, and what Milvus has
                value = json.loads(value)
            if _plain(how, want[name]) != _plain(how, value):
                raise Different(f"{row['_id']}: {name} is {row[name]!r} instead of {want[name]!r}")
