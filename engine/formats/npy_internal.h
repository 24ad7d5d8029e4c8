/* The functions of the table mm_format_npy (npy_format.c): npy_write.c writes, npy_read.c reads. */
#ifndef MM_FORMATS_NPY_INTERNAL_H
#define MM_FORMATS_NPY_INTERNAL_H

#include "formats/format.h"
#include "formats/npy.h"

mm_status mm_npy_check(const mm_schema *schema, bool for_import, mm_error *err);
uint64_t mm_npy_rows_max(const mm_schema *schema, uint64_t file_size);
mm_status mm_npy_write_open(const mm_format_write_args *args, mm_format_writer **out, mm_error *err);
mm_status mm_npy_write_begin(mm_format_writer *writer, const mm_format_out *out, mm_error *err);
mm_status mm_npy_write_rows(mm_format_writer *writer, const mm_batch *batch, size_t from, size_t count,
                            const mm_format_out *out, mm_error *err);
mm_status mm_npy_write_state(const mm_format_writer *writer, mm_buffer *text, mm_error *err);
mm_status mm_npy_write_end(mm_format_writer *writer, const mm_format_out *out, mm_error *err);
const void *mm_npy_write_head(mm_format_writer *writer, size_t file, size_t *size);
void mm_npy_write_close(mm_format_writer *writer);

mm_status mm_npy_read_open(const mm_format_read_args *args, mm_format_reader **out, mm_error *err);
const mm_schema *mm_npy_read_schema(const mm_format_reader *reader);
mm_status mm_npy_read_count(mm_format_reader *reader, uint64_t *rows, mm_error *err);
mm_status mm_npy_read_parts(mm_format_reader *reader, uint64_t bytes, mm_format_part_fn emit, void *context,
                            mm_error *err);
mm_status mm_npy_read_seek(mm_format_reader *reader, const mm_format_part *part, uint64_t row, mm_error *err);
mm_status mm_npy_read_next(mm_format_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err);
void mm_npy_read_close(mm_format_reader *reader);

#endif
