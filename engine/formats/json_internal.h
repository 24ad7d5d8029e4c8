/* What the formats json and jsonl share: rows as JSON objects, {"id": 7, "vector": [0.5, …], …}.
 *
 *     jsonl: one object a line, "\n" behind each; blank lines are passed over
 *     json:  {"rows": [object, …]} or [object, …]
 *
 * How values stand there, in both forms and as Milvus's bulk import reads them: Float16Vector and BFloat16Vector as
 * numbers, BinaryVector as numbers of its bytes, SparseFloatVector as {"index": value} (read as well: {"indices": […],
 * "values": […]}), Array as an array, JSON as an object in place or a string that holds JSON (read as well: arrays,
 * numbers and truth values in place), the dynamic field under "$meta" (read as well: unknown keys go there). */
#ifndef MM_FORMATS_JSON_INTERNAL_H
#define MM_FORMATS_JSON_INTERNAL_H

#include "formats/format.h"
#include "formats/json_parse.h"

/* Longer rows are refused. */
#define MM_JSON_ROW_MAX ((size_t)64 << 20)

/* "$meta" for the dynamic field, else its name. */
static inline const char *mm_json_field_key(const mm_field *field)
{
    return field->dynamic ? "$meta" : field->name;
}

/* --- json_write.c --------------------------------------------------------------------------------------------- */

mm_status mm_json_check(const mm_schema *schema, bool for_import, mm_error *err);
uint64_t mm_json_rows_max(const mm_schema *schema, uint64_t file_size);
mm_status mm_json_write_open(const mm_format_write_args *args, mm_format_writer **out, mm_error *err);
mm_status mm_jsonl_write_open(const mm_format_write_args *args, mm_format_writer **out, mm_error *err);
mm_status mm_json_write_begin(mm_format_writer *writer, const mm_format_out *out, mm_error *err);
mm_status mm_json_write_rows(mm_format_writer *writer, const mm_batch *batch, size_t from, size_t count,
                             const mm_format_out *out, mm_error *err);
mm_status mm_json_write_state(const mm_format_writer *writer, mm_buffer *text, mm_error *err);
mm_status mm_json_write_end(mm_format_writer *writer, const mm_format_out *out, mm_error *err);
void mm_json_write_close(mm_format_writer *writer);

/* --- json_values.c: one value --------------------------------------------------------------------------------- */

/* Appends row `row` of a column as a JSON value. json_as_text: a JSON field is always a string, which Milvus's import
 * keeps byte for byte, while it writes objects anew (keys sorted, no blanks). NULL, or why there is no value. */
const char *mm_json_put_value(mm_buffer *out, const mm_column *column, size_t row, bool json_as_text);

/* --- json_rows.c: objects to rows of a batch -------------------------------------------------------------------- */

typedef struct mm_json_rows mm_json_rows;
/* schema outlives it. */
mm_status mm_json_rows_open(const mm_schema *schema, mm_json_rows **out, mm_error *err);
void mm_json_rows_close(mm_json_rows *rows);
/* Bytes that the columns of fixed width take a row; *variable: there are others. */
size_t mm_json_rows_width(const mm_json_rows *rows, bool *variable);
mm_status mm_json_rows_begin(mm_json_rows *rows, mm_batch *batch, size_t capacity, mm_error *err);
/* The object that comes next, as row `row`, which follows the one before. MM_END: the text ends in it, as
 * mm_json says; the row may be added again. */
mm_status mm_json_rows_add(mm_json_rows *rows, mm_json *json, size_t row, mm_error *err);
/* Bytes of the first `count` rows so far. */
size_t mm_json_rows_bytes(const mm_json_rows *rows, size_t count);
/* The batch has so many rows, and all that belongs to them. */
mm_status mm_json_rows_end(mm_json_rows *rows, size_t count, mm_error *err);

/* --- json_cells.c: one value into a column ------------------------------------------------------------------------ */

/* What the cells of a column need: where values of variable length grow, and room for elements. */
typedef struct mm_json_cell {
    mm_column *column;
    mm_buffer bytes;    /* variable length: the values so far */
    mm_buffer elements; /* of an Array: mm_array_value, and the texts in them */
    mm_buffer texts;
} mm_json_cell;
/* The next value, which is not null, as row `row`; variable ones are appended to cell->bytes. */
mm_status mm_json_read_cell(mm_json *json, mm_json_cell *cell, size_t row, mm_error *err);
/* The next value as a sparse vector: appends its pairs of u32 index, f32 value, ascending. The buffer holds nothing
 * but such rows; no memory shows by its `failed`. */
mm_status mm_json_read_sparse(mm_json *json, mm_buffer *bytes, mm_error *err);

/* --- json_infer.c ------------------------------------------------------------------------------------------------- */

/* What a schema is guessed from: feed it objects, then ask. */
typedef struct mm_json_guess mm_json_guess;
mm_json_guess *mm_json_guess_open(void); /* NULL: no memory */
void mm_json_guess_close(mm_json_guess *guess);
mm_status mm_json_guess_add(mm_json_guess *guess, mm_json *json, mm_error *err);
/* MM_DATA names the field whose type cannot be told. The schema lives in the arena. */
mm_status mm_json_guess_schema(const mm_json_guess *guess, const char *name, mm_arena *arena, mm_schema **out,
                               mm_error *err);

/* --- json_read.c -------------------------------------------------------------------------------------------------- */

mm_status mm_json_read_open(const mm_format_read_args *args, mm_format_reader **out, mm_error *err);
mm_status mm_jsonl_read_open(const mm_format_read_args *args, mm_format_reader **out, mm_error *err);
const mm_schema *mm_json_read_schema(const mm_format_reader *reader);
mm_status mm_json_read_count(mm_format_reader *reader, uint64_t *rows, mm_error *err);
mm_status mm_json_read_parts(mm_format_reader *reader, uint64_t bytes, mm_format_part_fn emit, void *context,
                             mm_error *err);
mm_status mm_json_read_seek(mm_format_reader *reader, const mm_format_part *part, uint64_t row, mm_error *err);
mm_status mm_json_read_next(mm_format_reader *reader, size_t max_rows, size_t max_bytes, mm_batch *batch,
                            mm_error *err);
void mm_json_read_close(mm_format_reader *reader);

#endif
