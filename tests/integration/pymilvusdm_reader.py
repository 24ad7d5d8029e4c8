"""What pymilvusdm 2.0 (PyPI) itself reads of a Milvus 1.x folder: a second opinion, where that reader is right.

It is right for segments of the file types RAW and BACKUP without deletes, whose row_count is true: it passes over
TO_INDEX, and ends with a NameError at the first deleted row. Its package wants a pymilvus of 2021, its readers do not:
they are loaded without the package's own start. Knows nothing of mmresume."""

import importlib
import importlib.util
import logging
import sys
import types

import numpy

_log = logging.getLogger("pymilvusdm-reader")


def _module(name):
    if "pymilvusdm" not in sys.modules:
        package = types.ModuleType("pymilvusdm")
        package.__path__ = list(importlib.util.find_spec("pymilvusdm").submodule_search_locations)
        sys.modules["pymilvusdm"] = package
    return importlib.import_module("pymilvusdm.core." + name)


def hdf5(path):
    """(ids, vectors) of an HDF5 file, as H2M would insert them; binary vectors as rows of bytes."""
    vectors, ids = _module("read_data").ReadData(path).read_hdf5_data()
    if isinstance(vectors, list):
        vectors = numpy.frombuffer(b"".join(vectors), dtype="u1").reshape(len(vectors), -1)
    return ids, vectors


class Reader:
    """folder: the one that holds db/. mysql: {"host", "port", "user", "password", "database"}; None: meta.sqlite."""

    def __init__(self, folder, mysql=None):
        self._meta = _module("read_milvus_meta").ReadMilvusMeta(_log, folder, mysql)
        self._data = _module("read_milvus_data").ReadMilvusDB(_log, folder, mysql)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._meta.conn.close()

    def partitions(self, collection):
        """Tags, without the default partition."""
        return sorted(self._meta.get_all_partition_tag(collection))

    def rows(self, collection, tag=None):
        """(ids, vectors) of one partition, None the default one, as numpy arrays; binary vectors as bytes."""
        vectors, ids, _ = self._data.read_milvus_file(self._meta, collection, tag)
        if isinstance(vectors[0], bytes):
            vectors = numpy.frombuffer(b"".join(vectors), dtype="u1").reshape(len(vectors), -1)
        return numpy.asarray(ids), numpy.asarray(vectors)
