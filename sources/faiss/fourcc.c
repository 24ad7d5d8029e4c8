/* Names of FAISS's type codes, from the writer (index_write.cpp, invlists/) up to version 1.15.1. */
#include "sources/faiss/fourcc.h"

#include <ctype.h>
#include <stdio.h>

#define REFUSED MM_FAISS_SHAPE_REFUSED

static const struct {
    char letters[5];
    const char *name;
    mm_faiss_shape shape;
} types[] = {
    {"IxF2", "IndexFlatL2", MM_FAISS_SHAPE_FLAT},
    {"IxFI", "IndexFlatIP", MM_FAISS_SHAPE_FLAT},
    {"IxFl", "IndexFlat", MM_FAISS_SHAPE_FLAT},
    {"IxSQ", "IndexScalarQuantizer", MM_FAISS_SHAPE_SQ},
    {"IxPq", "IndexPQ", MM_FAISS_SHAPE_PQ},
    {"IxPo", "IndexPQ", MM_FAISS_SHAPE_PQ},
    {"IxPQ", "IndexPQ", MM_FAISS_SHAPE_PQ},
    {"IxMp", "IndexIDMap", MM_FAISS_SHAPE_IDMAP},
    {"IxM2", "IndexIDMap2", MM_FAISS_SHAPE_IDMAP},
    {"IxPT", "IndexPreTransform", MM_FAISS_SHAPE_TRANSFORM},
    {"IxRF", "IndexRefine", MM_FAISS_SHAPE_REFINE},
    {"IwFl", "IndexIVFFlat", MM_FAISS_SHAPE_IVF_FLAT},
    {"IvFl", "IndexIVFFlat", MM_FAISS_SHAPE_IVF_FLAT},
    {"IvFL", "IndexIVFFlat", MM_FAISS_SHAPE_IVF_FLAT},
    {"IwFd", "IndexIVFFlatDedup", MM_FAISS_SHAPE_IVF_FLAT},
    {"IwSq", "IndexIVFScalarQuantizer", MM_FAISS_SHAPE_IVF_SQ},
    {"IwSQ", "IndexIVFScalarQuantizer", MM_FAISS_SHAPE_IVF_SQ},
    {"IvSQ", "IndexIVFScalarQuantizer", MM_FAISS_SHAPE_IVF_SQ},
    {"IwPQ", "IndexIVFPQ", MM_FAISS_SHAPE_IVF_PQ},
    {"IvPQ", "IndexIVFPQ", MM_FAISS_SHAPE_IVF_PQ},
    {"IwQR", "IndexIVFPQR", MM_FAISS_SHAPE_IVF_PQ},
    {"IvQR", "IndexIVFPQR", MM_FAISS_SHAPE_IVF_PQ},
    {"IHNf", "IndexHNSWFlat", MM_FAISS_SHAPE_HNSW},
    {"IHNs", "IndexHNSWSQ", MM_FAISS_SHAPE_HNSW},
    {"IHNp", "IndexHNSWPQ", MM_FAISS_SHAPE_HNSW},
    {"IHN2", "IndexHNSW2Level", MM_FAISS_SHAPE_HNSW},
    {"IH00", "IndexHNSW", MM_FAISS_SHAPE_HNSW},
    {"INSf", "IndexNSGFlat", MM_FAISS_SHAPE_NSG},
    {"INSp", "IndexNSGPQ", MM_FAISS_SHAPE_NSG},
    {"INSs", "IndexNSGSQ", MM_FAISS_SHAPE_NSG},
    {"INNf", "IndexNNDescentFlat", MM_FAISS_SHAPE_NNDESCENT},
    {"Imiq", "MultiIndexQuantizer", MM_FAISS_SHAPE_MULTI},
    {"IPfs", "IndexPQFastScan", MM_FAISS_SHAPE_PACKED},
    {"IwPf", "IndexIVFPQFastScan", MM_FAISS_SHAPE_PACKED},
    {"IBxF", "IndexBinaryFlat", MM_FAISS_SHAPE_FLAT},
    {"IBwF", "IndexBinaryIVF", MM_FAISS_SHAPE_IVF_FLAT},
    {"IBHf", "IndexBinaryHNSW", MM_FAISS_SHAPE_HNSW},
    {"IBMp", "IndexBinaryIDMap", MM_FAISS_SHAPE_IDMAP},
    {"IBM2", "IndexBinaryIDMap2", MM_FAISS_SHAPE_IDMAP},
    {"null", "no index", MM_FAISS_SHAPE_MISSING},
    /* known, not read */
    {"IxHe", "IndexLSH", REFUSED},
    {"IxHE", "IndexLSH", REFUSED},
    {"IxLa", "IndexLattice", REFUSED},
    {"IxRQ", "IndexResidualQuantizer", REFUSED},
    {"IxRq", "IndexResidualQuantizer", REFUSED},
    {"IxLS", "IndexLocalSearchQuantizer", REFUSED},
    {"IxPR", "IndexProductResidualQuantizer", REFUSED},
    {"IxPL", "IndexProductLocalSearchQuantizer", REFUSED},
    {"ImRQ", "ResidualCoarseQuantizer", REFUSED},
    {"ImLS", "LocalSearchCoarseQuantizer", REFUSED},
    {"ILfs", "IndexLocalSearchQuantizerFastScan", REFUSED},
    {"IRfs", "IndexResidualQuantizerFastScan", REFUSED},
    {"IPRf", "IndexProductResidualQuantizerFastScan", REFUSED},
    {"IPLf", "IndexProductLocalSearchQuantizerFastScan", REFUSED},
    {"IVLf", "IndexIVFLocalSearchQuantizerFastScan", REFUSED},
    {"IVRf", "IndexIVFResidualQuantizerFastScan", REFUSED},
    {"NPLf", "IndexIVFProductLocalSearchQuantizerFastScan", REFUSED},
    {"NPRf", "IndexIVFProductResidualQuantizerFastScan", REFUSED},
    {"IwLS", "IndexIVFLocalSearchQuantizer", REFUSED},
    {"IwRQ", "IndexIVFResidualQuantizer", REFUSED},
    {"IwPL", "IndexIVFProductLocalSearchQuantizer", REFUSED},
    {"IwPR", "IndexIVFProductResidualQuantizer", REFUSED},
    {"IwSh", "IndexIVFSpectralHash", REFUSED},
    {"IwIQ", "IndexIVFIndependentQuantizer", REFUSED},
    {"IwPn", "IndexIVFFlatPanorama", REFUSED},
    {"IwP2", "IndexIVFFlatPanorama", REFUSED},
    {"Ix2L", "Index2Layer", REFUSED},
    {"IxFP", "IndexFlatPanorama", REFUSED},
    {"IxFp", "IndexFlatPanorama", REFUSED},
    {"IHfP", "IndexHNSWFlatPanorama", REFUSED},
    {"IHNc", "IndexHNSWCagra", REFUSED},
    {"IHc2", "IndexHNSWCagra", REFUSED},
    {"IHNr", "IndexHNSWRaBitQ", REFUSED},
    {"IxRP", "IndexRefinePanorama", REFUSED},
    {"Irfn", "IndexRaBitQFastScan", REFUSED},
    {"Iwrn", "IndexIVFRaBitQFastScan", REFUSED},
    {"Ixrq", "IndexRaBitQ", REFUSED},
    {"Ixrr", "IndexRaBitQ", REFUSED},
    {"Irfs", "IndexRaBitQFastScan", REFUSED},
    {"Iwrq", "IndexIVFRaBitQ", REFUSED},
    {"Iwrr", "IndexIVFRaBitQ", REFUSED},
    {"Iwrf", "IndexIVFRaBitQFastScan", REFUSED},
    {"IxEd", "IndexEDEN", REFUSED},
    {"IxEe", "IndexEDEN", REFUSED},
    {"IwEd", "IndexIVFEDEN", REFUSED},
    {"IwEe", "IndexIVFEDEN", REFUSED},
    {"IRMf", "IndexRowwiseMinMax", REFUSED},
    {"IRMh", "IndexRowwiseMinMaxFP16", REFUSED},
    {"IBHc", "IndexBinaryHNSWCagra", REFUSED},
    {"IBHh", "IndexBinaryHash", REFUSED},
    {"IBHm", "IndexBinaryMultiHash", REFUSED},
    {"IBFf", "IndexBinaryFromFloat", REFUSED},
    {"HRot", "HadamardRotation", REFUSED},
    {"Viqt", "ITQTransform", REFUSED},
    {"Viqm", "ITQMatrix", REFUSED},
    {"ilp2", "panorama inverted lists", REFUSED},
    {"ilpn", "panorama inverted lists", REFUSED},
};

mm_faiss_fourcc mm_faiss_fourcc_text(uint32_t fourcc)
{
    mm_faiss_fourcc out = {""};
    size_t used = 0;
    for (int i = 0; i < 4; i++) {
        int c = (int)(fourcc >> (8 * i) & 0xff);
        used += (size_t)snprintf(out.text + used, sizeof(out.text) - used,
                                 isalnum(c) ? "%c" : "\\x%02x", c);
    }
    return out;
}

const char *mm_faiss_fourcc_name(uint32_t fourcc)
{
    for (size_t i = 0; i < MM_COUNT(types); i++)
        if (MM_FOURCC(types[i].letters) == fourcc)
            return types[i].name;
    return NULL;
}

mm_faiss_shape mm_faiss_fourcc_shape(uint32_t fourcc)
{
    for (size_t i = 0; i < MM_COUNT(types); i++)
        if (MM_FOURCC(types[i].letters) == fourcc)
            return types[i].shape;
    return MM_FAISS_SHAPE_REFUSED;
}

mm_status mm_faiss_unsupported(const mm_input *file, uint64_t at, uint32_t fourcc,
                               const char *what, mm_error *err)
{
    const char *name = mm_faiss_fourcc_name(fourcc);
    if (name == NULL)
        return mm_faiss_bad(file, at, err, "'%s' is no known FAISS %s",
                            mm_faiss_fourcc_text(fourcc).text, what);
    return mm_faiss_bad(file, at, err, "the FAISS %s %s ('%s') is not supported", what, name,
                        mm_faiss_fourcc_text(fourcc).text);
}
