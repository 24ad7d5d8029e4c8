/* Reading json and jsonl: rows are cut from the window and parsed into columns. Parts are found by passing over all
 * rows once, without looking into them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json_text.h"

#define MARK_BYTES ((uint64_t)1 << 20) /* of text between places that are remembered */
#define GUESS_ROWS 1000
#define GUESS_BYTES ((uint64_t)4 << 20)

/* The place of a row. */
typedef struct mark {
    uint64_t row, at;
} mark;

struct mm_format_reader {
    mm_arena arena;
    const mm_schema *schema;
    mm_json_window window;
    mm_json json;
    mm_json_rows *rows;
    uint64_t row, end; /* of the unit: the next one, and the one behind the part */
    bool surveyed;
    uint64_t step, total;
    mark *marks;
    size_t mark_count, mark_capacity;
};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for reading JSON");
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

/* Puts the line into a message of the parser, which knows bytes only. */
static mm_status with_line(const mm_format_reader *r, uint64_t at, mm_error *err)
{
    char text[MM_ERROR_TEXT];
    const char *name = r->window.input->name, *rest = err->text;
    size_t length = strlen(name);
    if (strncmp(rest, name, length) == 0 && rest[length] == ':')
        rest += length + 2;
    memcpy(text, rest, strlen(rest) + 1);
    return mm_error_set(err, MM_DATA, "%s: line %" PRIu64 ", %s", name, mm_json_window_line(&r->window, at), text);
}

static mm_status guess_row(mm_format_reader *r, mm_json_guess *guess, const mm_json_row *row, mm_error *err)
{
    mm_json_set(&r->json, row->text, row->size, row->at, true);
    mm_status status = mm_json_guess_add(guess, &r->json, err);
    if (status == MM_OK)
        status = mm_json_finish(&r->json, err);
    return status == MM_DATA ? with_line(r, row->at, err) : status;
}

static mm_status infer(mm_format_reader *r, mm_error *err)
{
    mm_json_row row = {0};
    mm_schema *schema = NULL;
    mm_status status = MM_OK;
    mm_json_guess *guess = mm_json_guess_open();
    if (guess == NULL)
        return no_memory(err);
    uint64_t begin = r->window.at;
    for (int i = 0; status == MM_OK && i < GUESS_ROWS && r->window.at - begin < GUESS_BYTES; i++) {
        status = mm_json_window_next(&r->window, &row, err);
        if (status == MM_OK)
            status = guess_row(r, guess, &row, err);
    }
    if (status == MM_OK || status == MM_END)
        status = mm_json_guess_schema(guess, r->window.input->name, &r->arena, &schema, err);
    r->schema = schema;
    mm_json_guess_close(guess);
    mm_json_window_seek(&r->window, begin);
    return status;
}

static mm_status read_open(const mm_format_read_args *args, bool lines, mm_format_reader **out, mm_error *err)
{
    if (args->count != 1)
        return mm_error_set(err, MM_BUG, "a unit of JSON is one file, not %zu", args->count);
    mm_format_reader *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return no_memory(err);
    mm_json_open(&r->json, args->inputs[0]->name, NULL, 0);
    mm_status status = mm_json_window_open(&r->window, args->inputs[0], lines, err);
    if (status == MM_OK && args->schema == NULL)
        status = infer(r, err);
    else if (status == MM_OK && (r->schema = mm_schema_copy(&r->arena, args->schema)) == NULL)
        status = no_memory(err);
    if (status == MM_OK)
        status = mm_json_check(r->schema, false, err);
    if (status == MM_OK)
        status = mm_json_rows_open(r->schema, &r->rows, err);
    if (status != MM_OK) {
        mm_json_read_close(r);
        return status;
    }
    *out = r;
    return MM_OK;
}

mm_status mm_json_read_open(const mm_format_read_args *args, mm_format_reader **out, mm_error *err)
{
    return read_open(args, false, out, err);
}

mm_status mm_jsonl_read_open(const mm_format_read_args *args, mm_format_reader **out, mm_error *err)
{
    return read_open(args, true, out, err);
}

void mm_json_read_close(mm_format_reader *r)
{
    if (r == NULL)
        return;
    mm_json_rows_close(r->rows);
    mm_json_close(&r->json);
    mm_json_window_close(&r->window);
    free(r->marks);
    mm_arena_free(&r->arena);
    free(r);
}

const mm_schema *mm_json_read_schema(const mm_format_reader *r)
{
    return r->schema;
}

/* --- rows and parts --------------------------------------------------------------------------------------------- */

static bool add_mark(mm_format_reader *r, uint64_t row, uint64_t at)
{
    if (r->mark_count == r->mark_capacity) {
        size_t capacity = r->mark_capacity > 0 ? 2 * r->mark_capacity : 64;
        mark *grown = realloc(r->marks, capacity * sizeof(*grown));
        if (grown == NULL)
            return false;
        r->marks = grown;
        r->mark_capacity = capacity;
    }
    r->marks[r->mark_count++] = (mark){row, at};
    return true;
}

/* Passes over all rows once; places are remembered every `step` bytes of text, and the end. */
static mm_status survey(mm_format_reader *r, uint64_t step, mm_error *err)
{
    mm_json_row row;
    mm_status status;
    if (r->surveyed && step >= r->step)
        return MM_OK;
    r->surveyed = false;
    r->mark_count = 0;
    r->total = 0;
    mm_json_window_seek(&r->window, r->window.rows_at);
    while ((status = mm_json_window_next(&r->window, &row, err)) == MM_OK) {
        if (r->mark_count == 0 || row.at - r->marks[r->mark_count - 1].at >= step)
            if (!add_mark(r, r->total, row.at))
                return no_memory(err);
        r->total++;
    }
    if (status != MM_END)
        return status;
    if (!add_mark(r, r->total, r->window.input->size))
        return no_memory(err);
    r->surveyed = true;
    r->step = step;
    return MM_OK;
}

mm_status mm_json_read_count(mm_format_reader *r, uint64_t *rows, mm_error *err)
{
    mm_status status = survey(r, MARK_BYTES, err);
    if (status == MM_OK)
        *rows = r->total;
    return status;
}

/* What rows take in columns: exact for those of fixed width, a guess for the others. */
static uint64_t estimate(const mm_format_reader *r, uint64_t rows, uint64_t text)
{
    bool variable;
    uint64_t fixed = rows * mm_json_rows_width(r->rows, &variable);
    return variable && text > fixed ? fixed + (text - fixed) / 2 : fixed;
}

mm_status mm_json_read_parts(mm_format_reader *r, uint64_t bytes, mm_format_part_fn emit, void *context, mm_error *err)
{
    uint64_t step = bytes / 4 < MARK_BYTES ? bytes / 4 + 1 : MARK_BYTES;
    mm_status status = survey(r, step, err);
    for (size_t begin = 0, end; status == MM_OK && begin + 1 < r->mark_count; begin = end) {
        const mark *from = &r->marks[begin];
        uint64_t size = 0;
        for (end = begin + 1; end < r->mark_count; end++) {
            size = estimate(r, r->marks[end].row - from->row, r->marks[end].at - from->at);
            if (size >= bytes)
                break;
        }
        end = end < r->mark_count ? end : r->mark_count - 1;
        mm_format_part part = {from->row, r->marks[end].row - from->row, size, from->at};
        status = emit(context, &part, err);
    }
    return status;
}

mm_status mm_json_read_seek(mm_format_reader *r, const mm_format_part *part, uint64_t row, mm_error *err)
{
    mm_json_row passed;
    uint64_t end;
    mm_status status = MM_OK;
    if (!mm_add_u64(part->first, part->rows, &end) || row < part->first || row > end)
        return mm_error_set(err, MM_BUG, "%s: row %" PRIu64 " is not in its part", r->window.input->name, row);
    mm_json_window_seek(&r->window, part->first == 0 ? r->window.rows_at : part->at);
    for (uint64_t at = part->first; status == MM_OK && at < row; at++)
        status = mm_json_window_next(&r->window, &passed, err);
    r->row = row;
    r->end = end;
    if (status == MM_END)
        return mm_error_set(err, MM_CHANGED, "%s: the file ends before row %" PRIu64, r->window.input->name, row);
    return status;
}

static mm_status read_row(mm_format_reader *r, size_t at, mm_error *err)
{
    mm_json_row row = {0};
    mm_status status = mm_json_window_next(&r->window, &row, err);
    if (status == MM_END)
        return mm_error_set(err, MM_CHANGED, "%s: the file ends before row %" PRIu64, r->window.input->name, r->row);
    if (status != MM_OK)
        return status;
    mm_json_set(&r->json, row.text, row.size, row.at, true);
    status = mm_json_rows_add(r->rows, &r->json, at, err);
    if (status == MM_OK)
        status = mm_json_finish(&r->json, err);
    return status == MM_DATA ? with_line(r, row.at, err) : status;
}

mm_status mm_json_read_next(mm_format_reader *r, size_t max_rows, size_t max_bytes, mm_batch *batch, mm_error *err)
{
    bool variable;
    size_t least = mm_json_rows_width(r->rows, &variable), capacity = max_rows > 0 ? max_rows : 1, count = 0;
    if (r->row == r->end)
        return MM_END;
    if (capacity > r->end - r->row)
        capacity = (size_t)(r->end - r->row);
    least += variable ? sizeof(uint64_t) : 0; /* an offset */
    if (least > 0 && capacity > max_bytes / least)
        capacity = max_bytes / least > 0 ? max_bytes / least : 1;
    mm_status status = mm_json_rows_begin(r->rows, batch, capacity, err);
    while (status == MM_OK && count < capacity && (count == 0 || mm_json_rows_bytes(r->rows, count) < max_bytes)) {
        status = read_row(r, count, err);
        count += status == MM_OK;
        r->row += status == MM_OK;
    }
    return status == MM_OK ? mm_json_rows_end(r->rows, count, err) : status;
}
