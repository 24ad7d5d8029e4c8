"""HDF5 files in every layout that h5py writes, with the rows that are in them by NumPy."""

import h5py
import numpy

ROWS, DIM = 700, 24


def floats(rows=ROWS, dim=DIM, seed=3):
    return numpy.random.default_rng(seed).standard_normal((rows, dim))


def write(path, ids=None, vectors="embeddings", distance=None, libver=None, userblock=0, more=None, **create):
    """A file with a dataset of vectors made from `create` (as h5py's create_dataset), ids beside it."""
    with h5py.File(path, "w", libver=libver, userblock_size=userblock) as file:
        file.create_dataset(vectors, **create)
        if ids is not None:
            file["ids"] = ids
        if distance is not None:
            file.attrs["distance"] = distance
        if more is not None:
            more(file)


def half(array):
    """Float16Vector as columns have it: bytes."""
    return numpy.ascontiguousarray(array.astype("<f2")).view("u1")


def layouts():
    """{name: (what create_dataset gets, what arrives)}. Elements in every layout, layouts of every kind."""
    base, random = floats(), numpy.random.default_rng(5)
    extreme = base.astype("f4")
    extreme[0, :6] = 0.0, -0.0, numpy.finfo("f4").max, numpy.finfo("f4").smallest_subnormal, 1e-40, -1.5
    whole = {kind: random.integers(numpy.iinfo(kind).min, numpy.iinfo(kind).max, (ROWS, DIM), dtype=kind, endpoint=True)
             for kind in ("i1", "i2", "i4", "i8", "u2", "u4", "u8")}
    bits = random.integers(0, 256, (ROWS, DIM), dtype="u1")
    truth = random.integers(0, 2, (ROWS, DIM)).astype(bool)
    found = {"contiguous": (dict(data=extreme), extreme), "f2": (dict(data=base.astype("f2")), half(base)),
             "f2-big": (dict(data=base.astype(">f2")), half(base)), "f4-big": (dict(data=extreme.astype(">f4")), extreme),
             "f8": (dict(data=base), base.astype("f4")), "f8-big": (dict(data=base.astype(">f8")), base.astype("f4")),
             "bits": (dict(data=bits), bits), "truth": (dict(data=truth), numpy.packbits(truth, axis=1))}
    for kind, array in whole.items():
        found[kind] = (dict(data=array), array.astype("f4"))
        found[kind + "-big"] = (dict(data=array.astype(">" + kind)), array.astype("f4"))
    text = numpy.array([bytes(row).rstrip(b"\0") + b"x" for row in random.integers(0, 256, (ROWS, 31), dtype="u1")], "S32")
    found["strings"] = (dict(data=text), text.view("u1").reshape(ROWS, 32))
    found["opaque"] = (dict(data=bits.view(f"V{DIM}").reshape(ROWS)), bits)
    chunks = {"chunked": {}, "gzip": dict(compression="gzip"), "shuffle": dict(compression="gzip", shuffle=True),
              "lzf": dict(compression="lzf"), "lzf-shuffle": dict(compression="lzf", shuffle=True, fletcher32=True), "szip": dict(compression="szip", compression_opts=("nn", 8)),
              "checksum": dict(fletcher32=True)}
    for name, how in chunks.items():
        if name == "szip" and not h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP):
            continue
        found[name] = (dict(data=extreme, chunks=(64, DIM), **how), extreme)
    found["chunked-columns"] = (dict(data=extreme, chunks=(50, 7), compression="gzip"), extreme)
    found["chunked-one"] = (dict(data=extreme, chunks=(ROWS, DIM), compression="gzip"), extreme)
    found["chunked-growing"] = (dict(data=extreme, maxshape=(None, DIM), chunks=(33, DIM)), extreme)
    found["chunked-f8-big"] = (dict(data=base.astype(">f8"), chunks=(100, 5), shuffle=True), base.astype("f4"))
    found["chunked-truth"] = (dict(data=truth, chunks=(41, DIM), compression="gzip"), numpy.packbits(truth, axis=1))
    found["chunked-strings"] = (dict(data=text, chunks=(99,)), text.view("u1").reshape(ROWS, 32))
    return found
