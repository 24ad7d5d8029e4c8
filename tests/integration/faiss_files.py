"""Writes an index file of every FAISS type with the FAISS library, and says for each which rows it holds.

Deterministic. write(folder) gives Cases; what a case expects comes from FAISS itself: the file is read back
and reconstructed. Formats that FAISS reads but no longer writes are put together here from an index's parts,
and read back by FAISS too. Knows nothing of mmresume but the names of its options.

    python3 faiss_files.py FOLDER          writes the files
    python3 faiss_files.py --seeds FOLDER  small files of the types, as seeds for fuzzing
    python3 faiss_files.py --big ROWS DIM PATH   one Flat file of that size, without holding it in memory"""

import contextlib
import dataclasses
import os
import shutil
import struct
import sys

import faiss
import numpy

faiss.omp_set_num_threads(1)  # training is deterministic with one thread only

EXACT, CLOSE, TRANSFORMED, REFUSED = "exact", "close", "transformed", "refused"
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
NEWER = hasattr(faiss, "IndexRaBitQ")  # 1.7.3 lacks much of what is refused, and some that is read


@dataclasses.dataclass
class Case:
    """kind: EXACT (bit for bit), CLOSE (1e-6 × max(1, |x|)), TRANSFORMED (1e-5 × the row's norm) or REFUSED.
    refusal: status and words of the message."""

    name: str
    path: str
    kind: str = EXACT
    ids: numpy.ndarray = None
    vectors: numpy.ndarray = None
    options: dict = dataclasses.field(default_factory=dict)
    metric: str = ""
    hint: str = ""
    unique: bool = False
    refusal: tuple = ()


# data


def floats(n, d, seed=1):
    return numpy.random.default_rng(seed).standard_normal((n, d), dtype="f4")


def awkward_ids(n):
    """Any int64 is an id: negative ones, the extremes, great distances."""
    ids = numpy.arange(n, dtype="i8") * 7919 - 100000
    ids[0], ids[1], ids[2] = INT64_MIN, INT64_MAX, -1
    return ids


# what FAISS says a file holds


def stored(index):
    """(ids, vectors) of an index as FAISS itself reconstructs them, inverted lists in the order of the lists."""
    owner, index = index, faiss.downcast_index(index)  # the downcast one owns nothing
    if index.ntotal == 0:
        return numpy.zeros(0, "i8"), numpy.zeros((0, owner.d), "f4")
    if isinstance(index, (faiss.IndexIDMap, faiss.IndexIDMap2)):
        ids, vectors = stored(index.index)
        return faiss.vector_to_array(index.id_map)[ids], vectors
    if isinstance(index, faiss.IndexPreTransform):
        ids, inner = stored(index.index)
        return ids, numpy.array([reverse(index, row) for row in inner]).reshape(-1, index.d)
    if isinstance(index, faiss.IndexIVF):
        return stored_ivf(index)
    if isinstance(index, faiss.IndexRefine):
        return numpy.arange(index.ntotal), index.refine_index.reconstruct_n(0, index.ntotal)
    return numpy.arange(index.ntotal), index.reconstruct_n(0, index.ntotal)


def reverse(index, row):
    row = numpy.ascontiguousarray(row.reshape(1, -1))
    for i in reversed(range(index.chain.size())):
        row = faiss.downcast_VectorTransform(index.chain.at(i)).reverse_transform(row)
    return row[0]


def stored_ivf(index):
    ids, vectors = [], []
    row = numpy.zeros(index.d, "f4")
    for number in range(index.nlist):
        size = index.invlists.list_size(number)
        if size == 0:
            continue
        ids.append(faiss.rev_swig_ptr(index.invlists.get_ids(number), size).copy())
        for offset in range(size):
            index.reconstruct_from_offset(number, offset, faiss.swig_ptr(row))
            vectors.append(row.copy())
    return numpy.concatenate(ids), numpy.array(vectors)


def stored_binary(index):
    owner, index = index, faiss.downcast_IndexBinary(index)
    assert owner.ntotal > 0
    if isinstance(index, (faiss.IndexBinaryIDMap, faiss.IndexBinaryIDMap2)):
        ids, codes = stored_binary(index.index)
        return faiss.vector_to_array(index.id_map)[ids], codes
    if isinstance(index, faiss.IndexBinaryHNSW):
        return stored_binary(index.storage)
    if isinstance(index, faiss.IndexBinaryIVF):
        ids, codes = [], []
        for number in range(index.nlist):
            size = index.invlists.list_size(number)
            ids.append(faiss.rev_swig_ptr(index.invlists.get_ids(number), size).copy())
            codes.append(faiss.rev_swig_ptr(index.invlists.get_codes(number), size * index.code_size).copy())
        return numpy.concatenate(ids), numpy.concatenate(codes).reshape(-1, index.code_size)
    return numpy.arange(index.ntotal), faiss.vector_to_array(index.xb).reshape(-1, index.code_size).copy()


# formats that FAISS reads and no longer writes


def header(index, ntotal=None):
    raw = struct.pack("<iqqqBi", index.d, index.ntotal if ntotal is None else ntotal, 1 << 20, 1 << 20,
                      index.is_trained, index.metric_type)
    return raw + (struct.pack("<f", index.metric_arg) if index.metric_type > 1 else b"")


def vector(array):
    array = numpy.ascontiguousarray(array)
    return struct.pack("<Q", array.size) + array.tobytes()


def product_quantizer(pq):
    return struct.pack("<QQQ", pq.d, pq.M, pq.nbits) + vector(faiss.vector_to_array(pq.centroids))


def scalar_quantizer(sq):
    return struct.pack("<iifQQ", sq.qtype, sq.rangestat, sq.rangestat_arg, sq.d, sq.code_size) + vector(
        faiss.vector_to_array(sq.trained))


def lists_of(index):
    for number in range(index.nlist):
        size = index.invlists.list_size(number)
        if size == 0:
            yield numpy.zeros(0, "i8"), numpy.zeros(0, "u1")
        else:
            yield (faiss.rev_swig_ptr(index.invlists.get_ids(number), size).copy(),
                   faiss.rev_swig_ptr(index.invlists.get_codes(number), size * index.code_size).copy())


def legacy_ivf(index, fourcc, between=b"", counts_floats=False):
    parts = [fourcc, header(index), struct.pack("<QQ", index.nlist, index.nprobe),
             faiss.serialize_index(index.quantizer).tobytes()]
    parts += [vector(ids) for ids, _ in lists_of(index)]
    parts += [b"\0", vector(numpy.zeros(0, "i8")), between]
    parts += [vector(codes.view("f4") if counts_floats else codes) for _, codes in lists_of(index)]
    return b"".join(parts)


def legacy_pq(index, fourcc):
    tail = struct.pack("<i?i", index.search_type, index.encode_signs, index.polysemous_ht)
    return b"".join([fourcc, header(index), product_quantizer(index.pq), vector(faiss.vector_to_array(index.codes)),
                     b"" if fourcc == b"IxPQ" else tail])


def legacy_pca(index, fourcc):
    """IxPT with one PCA in an older form: PcAm lacks epsilon, PCAm lacks balanced_bins too."""
    pca = faiss.downcast_VectorTransform(index.chain.at(0))
    parts = [b"IxPT", header(index), struct.pack("<i", 1), fourcc, struct.pack("<f?", pca.eigen_power,
                                                                            pca.random_rotation)]
    if fourcc == b"PcAm":
        parts.append(struct.pack("<i", pca.balanced_bins))
    parts += [vector(faiss.vector_to_array(v)) for v in (pca.mean, pca.eigenvalues, pca.PCAMat)]
    parts += [struct.pack("<?", pca.have_bias), vector(faiss.vector_to_array(pca.A)),
              vector(faiss.vector_to_array(pca.b)), struct.pack("<ii?", pca.d_in, pca.d_out, pca.is_trained),
              faiss.serialize_index(index.index).tobytes()]
    return b"".join(parts)


def ivf_sq_without_flag(index):
    """IwSQ: IwSq before it had the flag by_residual."""
    raw = faiss.serialize_index(index).tobytes()
    assert raw[:4] == b"IwSq"
    quantizer = scalar_quantizer(index.sq) + struct.pack("<Q", index.code_size)
    at = raw.index(quantizer) + len(quantizer)
    return b"IwSQ" + raw[4:at] + raw[at + 1:]


# all types


class Writer:
    def __init__(self, folder, n, d):
        self.folder, self.n, self.d = folder, n, d
        self.x = floats(n, d)
        self.bits = numpy.random.default_rng(2).integers(0, 256, (n, d // 8), dtype="u1")
        self.cases = []

    def path(self, name):
        return os.path.join(self.folder, name + ".index")

    def add(self, name, index, kind=EXACT, raw=None, **more):
        """Writes the index (or raw, a file of it in another form) and reads back what FAISS finds in it."""
        path = self.path(name)
        if raw is not None:
            with open(path, "wb") as file:
                file.write(raw)
        elif isinstance(index, faiss.IndexBinary):
            faiss.write_index_binary(index, path)
        else:
            faiss.write_index(index, path)
        if kind != REFUSED and "ids" not in more:
            if isinstance(index, faiss.IndexBinary):
                more["ids"], more["vectors"] = stored_binary(faiss.read_index_binary(path))
            else:
                more["ids"], more["vectors"] = stored(faiss.read_index(path))
        if kind in (CLOSE, TRANSFORMED):
            more.setdefault("options", {})["lossy"] = "true"
        case = Case(name, path, kind, **more)
        self.cases.append(case)
        return case

    def make(self, factory, metric=faiss.METRIC_L2, ids=None, n=None):
        index = faiss.index_factory(self.d, factory, metric)
        index.train(self.x)
        x = self.x[:n]
        if ids is None:
            index.add(x)
        else:
            index.add_with_ids(x, ids[:n])
        return index

    def given(self, name, index, ids, **more):
        """An exact case whose rows must also be the very ones that were added."""
        case = self.add(name, index, **more)
        order, want = numpy.argsort(case.ids, kind="stable"), numpy.argsort(ids, kind="stable")
        assert (case.ids[order] == ids[want]).all() and (case.vectors[order] == self.x[want]).all(), name


def flat(w):
    sequential = numpy.arange(w.n)
    w.given("flat_l2", w.make("Flat"), sequential, metric="L2", hint="FLAT", unique=True)
    w.given("flat_ip", w.make("Flat", faiss.METRIC_INNER_PRODUCT), sequential, metric="IP", hint="FLAT", unique=True)
    for name in ("L1", "Linf", "Canberra", "BrayCurtis", "JensenShannon"):
        w.given("flat_" + name.lower(), w.make("Flat", getattr(faiss, "METRIC_" + name)), sequential, unique=True)
    index = faiss.IndexFlat(w.d, faiss.METRIC_Lp)
    index.metric_arg = 3
    index.add(w.x)
    w.given("flat_lp", index, sequential, unique=True)
    w.add("flat_empty", faiss.IndexFlatL2(w.d), metric="L2", hint="FLAT", unique=True)
    nonfinite = w.x.copy()
    nonfinite[3, 0], nonfinite[4, 1], nonfinite[5, 2] = numpy.nan, numpy.inf, -numpy.inf
    index = faiss.IndexFlatL2(w.d)
    index.add(nonfinite)
    w.add("flat_nonfinite", index, metric="L2", hint="FLAT", unique=True)
    index = faiss.IndexFlatL2(w.d)
    index.add(w.x)
    w.add("flat_start_id", index, ids=sequential - 5, vectors=w.x, options={"start_id": "-5"}, metric="L2",
          hint="FLAT", unique=True)


def idmaps(w):
    ids = awkward_ids(w.n)
    w.given("idmap", w.make("IDMap,Flat", ids=ids), ids, metric="L2", hint="FLAT")
    w.given("idmap2", w.make("IDMap2,Flat", ids=ids), ids, metric="L2", hint="FLAT")
    twice = numpy.arange(w.n) // 2
    w.given("idmap_double_ids", w.make("IDMap,Flat", ids=twice), twice, metric="L2", hint="FLAT")
    w.given("idmap_ivf", w.make("IDMap,IVF8,Flat", ids=ids), ids, metric="L2", hint="IVF_FLAT")
    w.given("idmap2_ivf", w.make("IDMap2,IVF8,Flat", ids=ids), ids, metric="L2", hint="IVF_FLAT")
    w.given("idmap2_hnsw", w.make("IDMap2,HNSW8,Flat", ids=ids), ids, metric="L2", hint="HNSW")
    inner = w.make("IDMap,Flat", ids=numpy.arange(w.n)[::-1].copy())
    outer = w.make("IDMap,Flat", ids=ids)
    flat_index, outer.index = outer.index, inner  # FAISS has no way to fill one map through another
    w.add("idmap_idmap", outer, metric="L2", hint="FLAT")
    base = faiss.index_factory(w.d, "SQ8")
    fine = faiss.IndexRefineFlat(base)
    index = faiss.IndexIDMap2(fine)
    index.train(w.x)
    index.add_with_ids(w.x, ids)
    w.given("idmap2_refine", index, ids, metric="L2")


def ivf(w):
    ids = awkward_ids(w.n)
    w.given("ivf", w.make("IVF8,Flat"), numpy.arange(w.n), metric="L2", hint="IVF_FLAT")
    w.given("ivf_ids", w.make("IVF8,Flat", faiss.METRIC_INNER_PRODUCT, ids), ids, metric="IP", hint="IVF_FLAT")
    w.given("ivf_l1", w.make("IVF8,Flat", faiss.METRIC_L1, ids), ids)
    w.given("ivf_double_ids", w.make("IVF8,Flat", ids=ids // 2), ids // 2, metric="L2", hint="IVF_FLAT")
    w.add("ivf_sparse", w.make("IVF64,Flat", n=10), metric="L2", hint="IVF_FLAT")
    for name, kind in (("array", faiss.DirectMap.Array), ("hashtable", faiss.DirectMap.Hashtable)):
        index = w.make("IVF8,Flat")
        index.set_direct_map_type(kind)
        w.given("ivf_map_" + name, index, numpy.arange(w.n), metric="L2", hint="IVF_FLAT")
    w.given("ivf_hnsw_quantizer", w.make("IVF8_HNSW4,Flat", ids=ids), ids, metric="L2", hint="IVF_FLAT")
    w.given("ivf_imi_quantizer", w.make("IMI2x3,Flat", ids=ids), ids, metric="L2", hint="IVF_FLAT")
    index = faiss.index_factory(w.d, "IVF8,Flat")
    w.add("ivf_untrained", index, metric="L2", hint="IVF_FLAT")
    index.train(w.x)
    w.add("ivf_empty", index, metric="L2", hint="IVF_FLAT")
    index = w.make("IVF8,Flat", ids=ids)
    w.given("legacy_ivf_floats", index, ids, raw=legacy_ivf(index, b"IvFl", counts_floats=True), metric="L2",
            hint="IVF_FLAT")
    w.given("legacy_ivf_bytes", index, ids, raw=legacy_ivf(index, b"IvFL"), metric="L2", hint="IVF_FLAT")


def on_disk(w):
    """Inverted lists in a file of their own: under the stored path, beside the index, and named by an option."""
    for name in ("ivf_ondisk", "ivf_ondisk_moved", "ivf_ondisk_named"):
        index = faiss.index_factory(w.d, "IVF8,Flat")
        index.train(w.x)
        data = os.path.join(w.folder, name + ".ivfdata")
        lists = faiss.OnDiskInvertedLists(index.nlist, index.code_size, data)
        index.replace_invlists(lists)
        index.add_with_ids(w.x[: w.n // 2], awkward_ids(w.n)[: w.n // 2])
        index.add_with_ids(w.x[w.n // 2 :], awkward_ids(w.n)[w.n // 2 :])
        w.given(name, index, awkward_ids(w.n), metric="L2", hint="IVF_FLAT")
        case, moved = w.cases[-1], os.path.join(w.folder, name + "_elsewhere")
        del index, lists
        if name == "ivf_ondisk_moved":
            os.makedirs(moved)
            case.path = shutil.move(case.path, moved)
            shutil.move(data, moved)
        elif name == "ivf_ondisk_named":
            case.options["invlists"] = shutil.move(data, data + ".renamed")
    w.cases.append(Case("ivf_ondisk_lost", w.path("ivf_ondisk_named"), REFUSED,
                        refusal=("NOT_FOUND", "ivf_ondisk_named.ivfdata", "source.invlists")))
    copied = os.path.join(w.folder, "ivf_ondisk_copied")
    os.makedirs(copied)
    for name in ("ivf_ondisk.index", "ivf_ondisk.ivfdata"):
        shutil.copy(os.path.join(w.folder, name), copied)
    w.cases.append(Case("ivf_ondisk_two", os.path.join(copied, "ivf_ondisk.index"), REFUSED,
                        refusal=("CONFIG", "two different files", "source.invlists")))


def dedup(w):
    """Vectors that came again under another id are kept once, with a pair of ids."""
    half = w.n // 2
    def fill():
        index = faiss.IndexIVFFlatDedup(faiss.IndexFlatL2(w.d), w.d, 4, faiss.METRIC_L2)
        index.train(w.x)
        index.add_with_ids(w.x, numpy.arange(w.n) * 3 - 5)
        index.add_with_ids(w.x[:half], numpy.arange(half) + 100000)
        index.add_with_ids(w.x[:5], numpy.arange(5) - 5000)
        return index
    ids = numpy.concatenate([numpy.arange(w.n) * 3 - 5, numpy.arange(half) + 100000, numpy.arange(5) - 5000])
    vectors = numpy.concatenate([w.x, w.x[:half], w.x[:5]])
    w.add("dedup", fill(), ids=ids, vectors=vectors, metric="L2", hint="IVF_FLAT")
    index = fill()
    gone = numpy.array([ids[7], ids[w.n - 1]])  # one that has a duplicate, one that has none
    index.remove_ids(gone)
    keep = ~numpy.isin(ids, gone)
    w.add("dedup_removed", index, ids=ids[keep], vectors=vectors[keep], metric="L2", hint="IVF_FLAT")
    index = faiss.IndexIVFFlatDedup(faiss.IndexFlatL2(w.d), w.d, 4, faiss.METRIC_L2)
    index.train(w.x)
    mapped = faiss.IndexIDMap(index)
    ids, vectors = awkward_ids(w.n + half), numpy.concatenate([w.x, w.x[:half]])
    mapped.add_with_ids(vectors[: w.n], ids[: w.n])
    mapped.add_with_ids(vectors[w.n :], ids[w.n :])
    w.add("idmap_dedup", mapped, ids=ids, vectors=vectors, metric="L2", hint="IVF_FLAT")


def graphs(w):
    sequential = numpy.arange(w.n)
    more = {"metric": "L2", "unique": True}
    w.given("hnsw", w.make("HNSW8,Flat"), sequential, hint="HNSW", **more)
    w.given("hnsw_ip", w.make("HNSW8,Flat", faiss.METRIC_INNER_PRODUCT), sequential, metric="IP", hint="HNSW",
            unique=True)
    w.add("hnsw_empty", faiss.IndexHNSWFlat(w.d, 8), hint="HNSW", **more)
    if NEWER:
        storage = faiss.IndexFlatL2(w.d)
        index = faiss.IndexHNSW(storage, 8)
        index.add(w.x)
        w.given("hnsw_plain", index, sequential, hint="HNSW", **more)
    w.given("nsg", w.make("NSG8,Flat"), sequential, **more)
    index = faiss.IndexNNDescentFlat(w.d, 8, faiss.METRIC_L2)
    index.add(w.x)
    w.given("nndescent", index, sequential, **more)
    if NEWER:
        index = w.make("HNSW8,Flat")
        path = w.path("hnsw_skip_storage")
        faiss.write_index(index, path, faiss.IO_FLAG_SKIP_STORAGE)
        w.cases.append(Case("hnsw_skip_storage", path, REFUSED, refusal=("DATA", "IO_FLAG_SKIP_STORAGE", "byte")))


def refine(w):
    sequential = numpy.arange(w.n)
    for name, factory in (("sq", "SQ8,RFlat"), ("pq", "PQ4x4np,RFlat"), ("pqfs", "PQ4x4fs,RFlat"),
                          ("ivfsq", "IVF8,SQ8,RFlat"), ("ivfpq", "IVF8,PQ4x4np,RFlat"),
                          ("ivfpqfs", "IVF8,PQ4x4fs,RFlat"), ("pca", "PCA8,IVF8,PQ4x4fs,RFlat")):
        w.given("refine_" + name, w.make(factory), sequential, metric="L2", unique=True)
    w.given("refine_ip", w.make("IVF8,PQ4x4fs,RFlat", faiss.METRIC_INNER_PRODUCT), sequential, metric="IP", unique=True)
    w.add("refine_fp16", w.make("IVF8,PQ4x4np,Refine(SQfp16)"), CLOSE, metric="L2", unique=True)


def binary(w):
    more = {"metric": "HAMMING"}
    def filled(index, ids=None):
        index.train(w.bits)
        if ids is None:
            index.add(w.bits)
        else:
            index.add_with_ids(w.bits, ids)
        return index
    def ivf_index():
        quantizer = faiss.IndexBinaryFlat(w.d)
        index = faiss.IndexBinaryIVF(quantizer, w.d, 8)
        return index
    ids = awkward_ids(w.n)
    w.add("binary_flat", filled(faiss.IndexBinaryFlat(w.d)), hint="BIN_FLAT", unique=True, **more)
    w.add("binary_ivf", filled(ivf_index(), ids), hint="BIN_IVF_FLAT", **more)
    w.add("binary_hnsw", filled(faiss.IndexBinaryHNSW(w.d, 8)), unique=True, **more)
    inner = faiss.IndexBinaryFlat(w.d)
    w.add("binary_idmap", filled(faiss.IndexBinaryIDMap(inner), ids), hint="BIN_FLAT", **more)
    w.add("binary_idmap2", filled(faiss.IndexBinaryIDMap2(faiss.IndexBinaryFlat(w.d)), ids), hint="BIN_FLAT", **more)
    w.add("binary_idmap2_ivf", filled(faiss.IndexBinaryIDMap2(ivf_index()), ids), hint="BIN_IVF_FLAT", **more)


SQ_TYPES = ["QT_8bit", "QT_4bit", "QT_8bit_uniform", "QT_4bit_uniform", "QT_fp16", "QT_8bit_direct", "QT_6bit",
            "QT_bf16", "QT_8bit_direct_signed"]


def scalar(w):
    # direct types hold whole numbers only
    whole = numpy.random.default_rng(3).integers(0, 128, (w.n, w.d)).astype("f4")
    for name in SQ_TYPES:
        if not hasattr(faiss.ScalarQuantizer, name):
            continue
        qtype, x = getattr(faiss.ScalarQuantizer, name), whole if "direct" in name else w.x
        index = faiss.IndexScalarQuantizer(w.d, qtype, faiss.METRIC_L2)
        index.train(x)
        index.add(x)
        w.add("sq_" + name[3:].lower(), index, CLOSE, metric="L2", unique=True)
        for residual in (False, True):
            index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatL2(w.d), w.d, 8, qtype, faiss.METRIC_L2, residual)
            index.train(x)
            index.add_with_ids(x, awkward_ids(w.n))
            w.add(f"ivf_sq_{name[3:].lower()}_{'residual' if residual else 'direct'}", index, CLOSE, metric="L2",
                  hint="IVF_SQ8")
    index = faiss.index_factory(w.d, "IVF8,SQ8")
    index.train(w.x)
    index.add_with_ids(w.x, awkward_ids(w.n))
    between = scalar_quantizer(index.sq) + struct.pack("<Q", index.code_size)
    # FAISS reads IvSQ with the flag's default, true
    w.add("legacy_ivf_sq", index, CLOSE, raw=legacy_ivf(index, b"IvSQ", between), metric="L2", hint="IVF_SQ8")
    w.add("legacy_ivf_sq_array", index, CLOSE, raw=ivf_sq_without_flag(index), metric="L2", hint="IVF_SQ8")
    w.add("idmap2_ivf_sq", w.make("IDMap2,IVF8,SQ6", ids=awkward_ids(w.n)), CLOSE, metric="L2", hint="IVF_SQ8")
    w.add("hnsw_sq", w.make("HNSW8_SQ8"), CLOSE, metric="L2", hint="HNSW", unique=True)
    w.add("ivf_sq_hnsw_quantizer", w.make("IVF8_HNSW4,SQ8"), CLOSE, metric="L2", hint="IVF_SQ8")
    w.add("ivf_sq_refine_quantizer", w.make("IVF16(PQ4x4fs,RFlat),SQ8"), CLOSE, metric="L2", hint="IVF_SQ8")


def product(w):
    for bits in (4, 5, 6, 8, 10):
        if bits == 10 and w.n < 1024:
            continue
        w.add(f"pq_{bits}", w.make(f"PQ4x{bits}np"), CLOSE, metric="L2", unique=True)
        for residual in (False, True):
            index = faiss.IndexIVFPQ(faiss.IndexFlatL2(w.d), w.d, 4, 4, bits)
            index.by_residual = residual
            index.train(w.x)
            index.add_with_ids(w.x, awkward_ids(w.n))
            w.add(f"ivf_pq_{bits}_{'residual' if residual else 'direct'}", index, CLOSE, metric="L2", hint="IVF_PQ")
    index = w.make("PQ4x8np")
    w.add("legacy_pq_o", index, CLOSE, raw=legacy_pq(index, b"IxPo"), metric="L2", unique=True)
    w.add("legacy_pq", index, CLOSE, raw=legacy_pq(index, b"IxPQ"), metric="L2", unique=True)
    index = w.make("IVF4,PQ4x8np")
    between = struct.pack("<?Q", index.by_residual, index.code_size) + product_quantizer(index.pq)
    w.add("legacy_ivf_pq", index, CLOSE, raw=legacy_ivf(index, b"IvPQ", between), metric="L2", hint="IVF_PQ")
    w.add("ivf_pq_imi_quantizer", w.make("IMI2x3,PQ4x8np"), CLOSE, metric="L2", hint="IVF_PQ")
    w.add("ivf_pq_refined", w.make("IVF4,PQ4+4"), CLOSE, metric="L2", hint="IVF_PQ")
    index = faiss.IndexHNSWPQ(w.d, 4, 8)
    faiss.downcast_index(index.storage).do_polysemous_training = False  # slow
    index.train(w.x)
    index.add(w.x)
    w.add("hnsw_pq", index, CLOSE, metric="L2", hint="HNSW", unique=True)
    w.add("ivf_pq_one_list", w.make("IVF1,PQ8x4np"), CLOSE, metric="L2", hint="IVF_PQ")


def transforms(w):
    more = {"metric": "L2"}
    unique = {"metric": "L2", "unique": True}
    w.add("pt_pca", w.make("PCA8,Flat"), TRANSFORMED, **unique)
    w.add("pt_opq", w.make("OPQ4,Flat"), TRANSFORMED, **unique)
    w.add("pt_opq_reduced", w.make(f"OPQ4_{w.d // 2},Flat"), TRANSFORMED, **unique)
    w.add("pt_rotation", w.make("RR8,Flat"), TRANSFORMED, **unique)
    w.add("pt_rotation_wider", w.make(f"RR{w.d + 8},Flat"), TRANSFORMED, **unique)
    w.add("pt_norm", w.make("L2norm,Flat"), TRANSFORMED, **unique)
    w.add("pt_pad", w.make(f"Pad{w.d + 8},Flat"), TRANSFORMED, **unique)
    w.add("pt_chain", w.make(f"L2norm,PCA{w.d // 2},RR{w.d // 2},Flat"), TRANSFORMED, **unique)
    w.add("pt_ivf_sq", w.make("PCA8,IVF8,SQ8", ids=awkward_ids(w.n)), TRANSFORMED, **more)
    w.add("pt_ivf_pq", w.make("OPQ4,IVF4,PQ4x4np", ids=awkward_ids(w.n)), TRANSFORMED, **more)
    w.add("pt_idmap", w.make("IDMap2,PCA8,Flat", ids=awkward_ids(w.n)), TRANSFORMED, **more)
    index = faiss.IndexPreTransform(faiss.CenteringTransform(w.d), faiss.IndexFlatL2(w.d))
    index.train(w.x)
    index.add(w.x)
    w.add("pt_center", index, TRANSFORMED, **unique)
    index = w.make("PCA8,Flat")
    w.add("legacy_pca_a", index, TRANSFORMED, raw=legacy_pca(index, b"PCAm"), **unique)
    w.add("legacy_pca_b", index, TRANSFORMED, raw=legacy_pca(index, b"PcAm"), **unique)
    w.add("pt_whitening", w.make("PCAW8,Flat"), REFUSED, options={"lossy": "true"},
          refusal=("DATA", "not orthonormal", "byte"))


REFUSED_TYPES = [
    ("LSH", "IndexLSH", "IxHe"), ("ZnLattice4x10_6", "IndexLattice", "IxLa"), ("Residual1x4,PQ4", "Index2Layer", "Ix2L"),
    ("RQ4x4", "IndexResidualQuantizer", "IxRq"), ("LSQ4x4", "IndexLocalSearchQuantizer", "IxLS"),
    ("PRQ2x2x4", "IndexProductResidualQuantizer", "IxPR"), ("IVF8,RQ4x4", "IndexIVFResidualQuantizer", "IwRQ"),
    ("ITQ8,LSH", "ITQTransform", "Viqt"), ("PQ4x4fs", "IndexPQFastScan", "IPfs"),
    ("IVF8,PQ4x4fs", "IndexIVFPQFastScan", "IwPf"), ("RaBitQ", "IndexRaBitQ", "Ixrq"),
    ("IVF8,RaBitQ", "IndexIVFRaBitQ", "Iwrq"), ("EDEN4", "IndexEDEN", "IxEe"), ("HR32,Flat", "HadamardRotation", "HRot"),
    ("IVF8,FlatPanorama8", "IndexIVFFlatPanorama", "IwP2"), ("HNSW8,FlatPanorama8", "IndexHNSWFlatPanorama", "IHfP"),
    ("SQtqmse4", "TurboQuant", "IndexScalarQuantizer"), ("IVF8,SQtqmse4", "TurboQuant", "IndexIVFScalarQuantizer"),
]


def refused(w):
    for factory, name, fourcc in REFUSED_TYPES:
        try:
            index = w.make(factory)
        except RuntimeError:
            if NEWER:
                raise
            continue  # this FAISS does not know it
        file = "refused_" + "".join(c if c.isalnum() else "_" for c in factory)
        w.add(file, index, REFUSED, options={"lossy": "true"}, refusal=("DATA", name, fourcc, "byte", "not supported"))
    index = faiss.IndexBinaryMultiHash(w.d, 2, 8)
    index.add(w.bits)
    w.add("refused_binary_hash", index, REFUSED, refusal=("DATA", "IndexBinaryMultiHash", "IBHm", "byte"))
    for case in [c for c in w.cases if c.kind in (CLOSE, TRANSFORMED)]:
        name = {"sq": "ScalarQuantizer", "pt": "PreTransform"}.get(case.name.split("_")[0], "")
        w.cases.append(Case(case.name + "_without_lossy", case.path, REFUSED,
                            refusal=("CONFIG", name, "source.lossy: true")))


def write(folder, n=600, d=32):
    """Writes a file of every type; n: rows (a few more where the type needs them), d: a multiple of 32."""
    writer = Writer(folder, n, d)
    for part in (flat, idmaps, ivf, on_disk, dedup, graphs, refine, binary, scalar, product, transforms, refused):
        part(writer)
    return writer.cases


SEEDS = ["Flat", "IDMap2,Flat", "IVF2,Flat", "IDMap,IVF2,Flat", "IVF2_HNSW4,Flat", "HNSW4,Flat", "SQ8,RFlat", "SQ4", "SQ6",
         "SQfp16", "SQ8_direct", "IVF2,SQ8", "PQ2x4np", "IVF2,PQ2x4np", "IVF2,PQ2x4fs,RFlat", "PQ2x4fs,RFlat", "PCA4,Flat",
         "L2norm,RR4,SQ8", "Pad16,Flat", "IMI2x2,Flat", "HNSW4_SQ8", "IVF2,PQ4+4"]


def write_seeds(folder):
    """Files of some KiB: 20 rows of 8 dimensions, trained on more."""
    writer = Writer(folder, 300, 8)
    ids = awkward_ids(20)
    for factory in SEEDS:
        index = faiss.index_factory(8, factory)
        index.train(writer.x)
        with_ids = "IDMap" in factory or "IVF" in factory and "RFlat" not in factory
        if with_ids and "+" not in factory:
            index.add_with_ids(writer.x[:20], ids)
        else:
            index.add(writer.x[:20])
        name = "".join(c if c.isalnum() else "_" for c in factory.lower())
        writer.add(name, index, REFUSED)
    writer.add("ivf_sparse", writer.make("IVF8,Flat", n=3), REFUSED)
    index = writer.make("IVF2,Flat", n=20)
    writer.add("ivf_legacy", index, REFUSED, raw=legacy_ivf(index, b"IvFl", counts_floats=True))
    index = faiss.IndexFlat(8, faiss.METRIC_Lp)
    index.add(writer.x[:20])
    writer.add("flat_lp", index, REFUSED)
    index = faiss.IndexIVFFlatDedup(faiss.IndexFlatL2(8), 8, 2, faiss.METRIC_L2)
    index.train(writer.x)
    index.add_with_ids(writer.x[:20], ids)
    index.add_with_ids(writer.x[:9], ids[:9] // 2)
    writer.add("dedup", index, REFUSED)
    index = faiss.IndexBinaryIDMap2(faiss.IndexBinaryFlat(8))
    index.add_with_ids(writer.bits[:20], ids)
    writer.add("binary_idmap2", index, REFUSED)
    quantizer = faiss.IndexBinaryFlat(8)
    index = faiss.IndexBinaryIVF(quantizer, 8, 2)
    index.train(writer.bits)
    index.add(writer.bits[:20])
    writer.add("binary_ivf", index, REFUSED)
    index = faiss.IndexBinaryHNSW(8, 4)
    index.add(writer.bits[:20])
    writer.add("binary_hnsw", index, REFUSED)
    index = writer.make("NSG8,Flat", n=101)
    writer.add("nsg", index, REFUSED)
    return writer.cases


def write_big(path, rows, d, block=1 << 14):
    """A Flat L2 file of any size, written in blocks."""
    with open(path, "wb") as file:
        file.write(struct.pack("<4siqqqBi", b"IxF2", d, rows, 1 << 20, 1 << 20, 1, 1))
        file.write(struct.pack("<Q", rows * d))
        generator = numpy.random.default_rng(7)
        for start in range(0, rows, block):
            generator.standard_normal((min(block, rows - start), d), dtype="f4").tofile(file)


@contextlib.contextmanager
def quiet():
    """FAISS warns on stderr of every clustering of few points."""
    sys.stderr.flush()
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def main(arguments):
    if arguments[0] == "--big":
        write_big(arguments[3], int(arguments[1]), int(arguments[2]))
        return
    seeds = arguments[0] == "--seeds"
    folder = arguments[1 if seeds else 0]
    os.makedirs(folder, exist_ok=True)
    with quiet():
        cases = write_seeds(folder) if seeds else write(folder)
    print(len(cases), "cases")


if __name__ == "__main__":
    main(sys.argv[1:])
