/* FAISS files made by hand, a value at a time, and the driver opened on them. */
#ifndef MM_TESTS_SUPPORT_FAISS_FIXTURE_H
#define MM_TESTS_SUPPORT_FAISS_FIXTURE_H

#include "sources/source.h"

typedef struct faiss_bytes {
    mm_buffer bytes;
    char path[64]; /* set by save */
} faiss_bytes;

void put_u8(faiss_bytes *f, uint8_t value);
void put_i32(faiss_bytes *f, int32_t value);
void put_u64(faiss_bytes *f, uint64_t value);
void put_f32(faiss_bytes *f, float value);
void put_text(faiss_bytes *f, const char *letters); /* without its NUL */
/* fourcc and header of a float index. */
void put_header(faiss_bytes *f, const char *fourcc, int32_t d, int64_t rows, int32_t metric);
/* IndexFlatL2; element j of row i is i * 1000 + j. */
void put_flat(faiss_bytes *f, int32_t d, int64_t rows);
/* What stands before the inverted lists: fourcc, header, nlist, nprobe, flat quantizer, no direct map. */
void put_ivf(faiss_bytes *f, const char *fourcc, int32_t d, int64_t rows, uint64_t nlist);
/* ilar, full, with lists of these sizes; row i of all lists together has the id 10 * i, and its elements
 * are those of put_flat. */
void put_lists(faiss_bytes *f, int32_t d, const uint64_t *sizes, size_t nlist);

/* A value of 4 or 8 bytes at an offset. */
void set_u32(faiss_bytes *f, size_t at, uint32_t value);
void set_u64(faiss_bytes *f, size_t at, uint64_t value);

/* Writes the bytes to a new temporary file. */
void faiss_save(faiss_bytes *f);
/* Removes it and frees the bytes. */
void faiss_done(faiss_bytes *f);

/* The driver opened on the file; more: "name=value" pairs and NULL; may be NULL. */
mm_source *faiss_open(const faiss_bytes *f, const char *const *more);
/* The status of describe, plan and reading of everything; text is that of the error. */
mm_status faiss_read_all(mm_source *source, uint64_t *rows, mm_error *err);

typedef struct faiss_plan {
    struct faiss_planned {
        mm_extent extent;
        uint8_t *spec;
    } *extents;
    size_t count;
    uint64_t rows;
} faiss_plan;
/* mm_extent_fn that copies; context is a faiss_plan. */
mm_status faiss_keep(void *context, const mm_extent *extent, mm_error *err);
void faiss_plan_free(faiss_plan *plan);

#endif
