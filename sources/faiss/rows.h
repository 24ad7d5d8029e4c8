/* Reading the rows of one extent into batches. */
#ifndef MM_SOURCES_FAISS_ROWS_H
#define MM_SOURCES_FAISS_ROWS_H

#include "sources/faiss/decode.h"
#include "sources/faiss/extent.h"

/* What a reader borrows from the source: all of it outlives the reader. */
typedef struct mm_faiss_rows_args {
    const mm_input *ids_file;  /* id maps */
    const mm_input *rows_file; /* codes and ids: the index file, or that of on-disk lists */
    const mm_faiss_decoder *decoder; /* NULL: codes are the vectors */
    const mm_schema *schema;         /* primary key, then vector; keys only: primary key */
    mm_read_mode mode;
} mm_faiss_rows_args;

/* spec is copied. skip: rows of the extent that are not wanted again. */
mm_status mm_faiss_rows_open(const mm_faiss_rows_args *args, const void *spec, size_t spec_size,
                             uint64_t rows, uint64_t skip, mm_reader **out,
                             mm_error *err) MM_MUST_USE;
/* As mm_source_driver.next. */
mm_status mm_faiss_rows_next(mm_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch,
                             mm_error *err) MM_MUST_USE;
void mm_faiss_rows_close(mm_reader *reader);

#endif
