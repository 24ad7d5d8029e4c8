/* File formats that hold rows of a schema: npy, parquet, json (Milvus's {"rows": […]}), jsonl. One table of
 * functions each, used by the targets that write files, by the bulk import that stages them, and by the sources
 * that read files. A format knows bytes, not files: writers hand their bytes to a function, readers have inputs.
 *
 * A *unit* is what belongs together: one file (parquet, json, jsonl) or one file a field (npy). Rows are numbered
 * from 0 in the unit. */
#ifndef MM_FORMATS_FORMAT_H
#define MM_FORMATS_FORMAT_H

#include "model/batch.h"
#include "storage/input.h"

/* --- writing ------------------------------------------------------------------------------------------------ */

typedef struct mm_format_writer mm_format_writer;

/* Takes bytes of the unit's file number `file`, which follow those that it took before. */
typedef struct mm_format_out {
    void *context;
    mm_status (*put)(void *context, size_t file, const void *bytes, size_t size, mm_error *err);
} mm_format_out;

typedef struct mm_format_write_args {
    const mm_schema *schema; /* outlives the writer */
    uint64_t rows_expected;  /* of the unit, where it is likely; 0: not known. Only a hint: npy writes it into its
                              * header, so that nothing has to be put right when it comes true */
    bool for_import;         /* as Milvus's bulk import wants it, where that differs from the general form */
    /* A unit that a former process left: what `state` gave it, and the files cut to their sizes then. NULL: new. */
    const char *state;
} mm_format_write_args;

/* --- reading ------------------------------------------------------------------------------------------------ */

typedef struct mm_format_reader mm_format_reader;

typedef struct mm_format_read_args {
    const mm_input *const *inputs; /* outlive the reader; one, or for npy one a field */
    const char *const *names;      /* npy: the field of each input */
    size_t count;
    const mm_schema *schema; /* what the rows are to become (the manifest's, the plan's): values are converted where
                              * that loses nothing, else MM_DATA names the field. NULL: inferred from the file */
} mm_format_read_args;

/* A stretch of rows that can be read on its own. at: the format's own hint (row group, byte offset). */
typedef struct mm_format_part {
    uint64_t first, rows, bytes, at;
} mm_format_part;
typedef mm_status (*mm_format_part_fn)(void *context, const mm_format_part *part, mm_error *err);

typedef struct mm_format_driver {
    const char *name;      /* "parquet" */
    const char *extension; /* ".parquet" */
    bool file_per_field;
    size_t group_bytes; /* of column values that write_rows should get at once, since they become a piece of the file
                         * of their own (parquet: a row group); 0: any */

    /* MM_TARGET: the format cannot hold a field, by name and reason. */
    mm_status (*check)(const mm_schema *schema, bool for_import, mm_error *err);
    /* Rows after which a unit has a file of `file_size` bytes, where rows have a fixed width; 0: look at the sizes. */
    uint64_t (*rows_max)(const mm_schema *schema, uint64_t file_size);

    mm_status (*write_open)(const mm_format_write_args *args, mm_format_writer **out, mm_error *err);
    /* Bytes before the first row. Not called for a unit that goes on. */
    mm_status (*write_begin)(mm_format_writer *writer, const mm_format_out *out, mm_error *err);
    /* Rows [from, from + count). Everything that belongs to them is put before it returns (parquet: they become row
     * groups), so that files of these sizes and `state` are enough to go on. After a failure the writer is only
     * good for write_close. MM_DATA: a value that the format cannot hold. */
    mm_status (*write_rows)(mm_format_writer *writer, const mm_batch *batch, size_t from, size_t count,
                            const mm_format_out *out, mm_error *err);
    /* Text by which a later process goes on after the rows written so far. */
    mm_status (*write_state)(const mm_format_writer *writer, mm_buffer *text, mm_error *err);
    /* Bytes after the last row. The writer may be asked for write_head afterwards, nothing else. */
    mm_status (*write_end)(mm_format_writer *writer, const mm_format_out *out, mm_error *err);
    /* What must stand at the beginning of a file instead of what write_begin put there, same size; *size 0: it is
     * right already. May be NULL: always right. */
    const void *(*write_head)(mm_format_writer *writer, size_t file, size_t *size);
    void (*write_close)(mm_format_writer *writer);

    /* MM_DATA names input and byte offset of what is wrong. Memory is bounded whatever the input says. */
    mm_status (*read_open)(const mm_format_read_args *args, mm_format_reader **out, mm_error *err);
    /* Fields as inferred, or the given schema; lives as long as the reader. */
    const mm_schema *(*read_schema)(const mm_format_reader *reader);
    /* Rows of the unit. json and jsonl may have to look at every byte for that. */
    mm_status (*read_count)(mm_format_reader *reader, uint64_t *rows, mm_error *err);
    /* Cuts the unit into parts of about `bytes` bytes of column values, in order. */
    mm_status (*read_parts)(mm_format_reader *reader, uint64_t bytes, mm_format_part_fn emit, void *context,
                            mm_error *err);
    /* The next read_next begins with row `row` of the unit, which lies in (or at the end of) `part`; no row behind
     * the part is read. */
    mm_status (*read_seek)(mm_format_reader *reader, const mm_format_part *part, uint64_t row, mm_error *err);
    /* As mm_source_driver.next: fills columns and rows of `batch` (mm_batch_begin with read_schema is called here)
     * with at least one and at most max_rows rows, about max_bytes. first_row, end and ordinals are the caller's.
     * MM_END after the part's last row. */
    mm_status (*read_next)(mm_format_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err);
    void (*read_close)(mm_format_reader *reader);
} mm_format_driver;

extern const mm_format_driver mm_format_npy, mm_format_parquet, mm_format_json, mm_format_jsonl;
/* NULL: unknown name. */
const mm_format_driver *mm_format_find(const char *name);
/* By a file name's extension; NULL: none of ours. */
const mm_format_driver *mm_format_of_file(const char *name);

#endif
