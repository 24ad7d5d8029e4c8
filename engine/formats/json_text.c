/* The window over a json or jsonl file. See json_text.h. */
#include "formats/json_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES ((size_t)4 << 20)
#define LINES_MAX ((uint64_t)256 << 20) /* bytes in which lines are counted for a message, where they are not mapped */

static mm_status bad(const mm_json_window *w, uint64_t at, mm_error *err, const char *what)
{
    return mm_error_set(err, MM_DATA, "%s: line %" PRIu64 ", byte %" PRIu64 ": %s", w->input->name,
                        mm_json_window_line(w, at), at, what);
}

/* More bytes behind those from `keep` on (an offset in the file), which stay. MM_END: the file ends. */
static mm_status more_bytes(mm_json_window *w, uint64_t keep, mm_error *err)
{
    uint64_t end = w->base + w->size;
    if (keep < w->base || keep > end) { /* somewhere else */
        w->base = end = keep;
        w->size = 0;
    } else if (keep > w->base) {
        w->size = (size_t)(end - keep);
        memmove(w->bytes, w->bytes + (keep - w->base), w->size);
        w->base = keep;
    }
    if (end >= w->input->size)
        return MM_END;
    size_t more = w->input->size - end < READ_BYTES ? (size_t)(w->input->size - end) : READ_BYTES;
    if (w->size + more > w->capacity) {
        size_t capacity = w->size + more > 2 * w->capacity ? w->size + more : 2 * w->capacity;
        uint8_t *larger = realloc(w->bytes, capacity);
        if (larger == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory for a row", w->input->name);
        w->bytes = larger;
        w->capacity = capacity;
    }
    mm_status status = mm_input_read(w->input, end, w->bytes + w->size, more, err);
    if (status == MM_OK)
        w->size += more;
    return status;
}

/* Byte `at` of the file is in the window. MM_END: it is behind the file's end. */
static mm_status need_byte(mm_json_window *w, uint64_t at, uint8_t *out, mm_error *err)
{
    while (at < w->base || at >= w->base + w->size) {
        mm_status status = more_bytes(w, at, err);
        if (status != MM_OK)
            return status;
    }
    *out = w->bytes[at - w->base];
    return MM_OK;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

/* Moves w->at to the next byte that is no white space. MM_END: there is none. */
static mm_status skip_space(mm_json_window *w, uint8_t *byte, mm_error *err)
{
    mm_status status;
    while ((status = need_byte(w, w->at, byte, err)) == MM_OK && is_space(*byte))
        w->at++;
    return status;
}

/* --- the front and the end of json ------------------------------------------------------------------------------ */

static mm_status expect(mm_json_window *w, const char *text, mm_error *err)
{
    uint8_t byte;
    for (size_t i = 0; text[i] != '\0'; i++) {
        mm_status status = skip_space(w, &byte, err);
        if (status == MM_END)
            return bad(w, w->at, err, "the file ends before its rows");
        if (status != MM_OK)
            return status;
        if (byte != (uint8_t)text[i])
            return bad(w, w->at, err, "{\"rows\": [ or [ is wanted before the rows");
        w->at++;
    }
    return MM_OK;
}

/* {"rows": [ or [ */
static mm_status read_front(mm_json_window *w, mm_error *err)
{
    static const char key[] = "\"rows\"";
    uint8_t byte;
    mm_status status = skip_space(w, &byte, err);
    if (status == MM_OK && byte == '{') {
        w->wrapped = true;
        w->at++;
        status = skip_space(w, &byte, err);
        for (size_t i = 0; status == MM_OK && i < sizeof(key) - 1; i++) {
            status = need_byte(w, w->at, &byte, err);
            if (status == MM_OK && byte != (uint8_t)key[i])
                return bad(w, w->at, err, "{\"rows\": [ or [ is wanted before the rows");
            w->at += status == MM_OK;
        }
        if (status == MM_OK)
            status = expect(w, ":[", err);
    } else if (status == MM_OK) {
        status = expect(w, "[", err);
    }
    if (status == MM_END)
        return bad(w, w->at, err, "the file ends before its rows");
    w->rows_at = w->at;
    return status;
}

/* Behind the bracket that closes the rows. */
static mm_status read_end(mm_json_window *w, mm_error *err)
{
    uint8_t byte;
    mm_status status = skip_space(w, &byte, err);
    if (w->wrapped) {
        if (status == MM_END || (status == MM_OK && byte != '}'))
            return bad(w, w->at, err, "'}' is wanted behind the rows");
        if (status != MM_OK)
            return status;
        w->at++;
        status = skip_space(w, &byte, err);
    }
    if (status == MM_OK)
        return bad(w, w->at, err, "something stands behind the rows");
    return status;
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

mm_status mm_json_window_open(mm_json_window *window, const mm_input *input, bool lines, mm_error *err)
{
    *window = (mm_json_window){.input = input, .lines = lines};
    return lines ? MM_OK : read_front(window, err);
}

void mm_json_window_close(mm_json_window *window)
{
    free(window->bytes);
    window->bytes = NULL;
}

void mm_json_window_seek(mm_json_window *window, uint64_t at)
{
    window->at = at;
    window->behind_row = window->ended = false;
}

/* Where the object that begins at `at` ends. Only brackets and strings are looked at. */
typedef struct brackets {
    uint64_t depth;
    bool inside, escaped; /* of a string; behind a backslash */
} brackets;

/* Bytes up to and with the one that closes the first bracket; SIZE_MAX: it is not among them. */
static size_t close_bracket(brackets *b, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = bytes[i];
        if (b->inside) {
            if (b->escaped)
                b->escaped = false;
            else if (byte == '\\')
                b->escaped = true;
            else
                b->inside = byte != '"';
        } else if (byte == '"') {
            b->inside = true;
        } else if (byte == '{' || byte == '[') {
            b->depth++;
        } else if (byte == '}' || byte == ']') {
            if (b->depth <= 1)
                return i + 1;
            b->depth--;
        }
    }
    return SIZE_MAX;
}

/* From w->at on, up to the end of the row; the window holds all of it then. */
static mm_status find_end(mm_json_window *w, size_t *size, mm_error *err)
{
    brackets b = {0, false, false};
    size_t looked = 0;
    for (;;) {
        const uint8_t *begin = w->bytes + (w->at - w->base);
        size_t there = w->size - (size_t)(w->at - w->base), found = SIZE_MAX;
        if (w->lines) {
            const uint8_t *end = there > looked ? memchr(begin + looked, '\n', there - looked) : NULL;
            found = end != NULL ? (size_t)(end - begin) : SIZE_MAX;
        } else {
            found = close_bracket(&b, begin + looked, there - looked);
            found = found != SIZE_MAX ? found + looked : SIZE_MAX;
        }
        if ((found != SIZE_MAX ? found : there) > MM_JSON_ROW_MAX)
            return bad(w, w->at, err, w->lines ? "a line of more than 64 MiB" : "a row of more than 64 MiB");
        if (found != SIZE_MAX) {
            *size = found;
            return MM_OK;
        }
        looked = there;
        mm_status status = more_bytes(w, w->at, err);
        if (status == MM_END && w->lines) { /* the last line needs no end */
            *size = there;
            return MM_OK;
        }
        if (status == MM_END)
            return bad(w, w->base + w->size, err, "the file ends in the middle of a row");
        if (status != MM_OK)
            return status;
    }
}

/* json: past the comma, or the end of the rows. */
static mm_status next_object(mm_json_window *w, mm_error *err)
{
    uint8_t byte;
    bool comma = false, may_end = w->behind_row || w->at == w->rows_at;
    for (;;) {
        mm_status status = skip_space(w, &byte, err);
        if (status == MM_END)
            return bad(w, w->at, err, "the file ends before the rows are closed");
        if (status != MM_OK)
            return status;
        if (byte == ',' && w->behind_row && !comma) {
            comma = true;
            w->at++;
            continue;
        }
        if (byte == ']' && may_end && !comma) {
            w->at++;
            status = read_end(w, err);
            w->ended = status == MM_END;
            return status;
        }
        if (byte == '{' && (comma || !w->behind_row))
            return MM_OK;
        return bad(w, w->at, err, w->behind_row && !comma ? "',' or ']' is wanted behind a row"
                                                          : "an object is wanted here, or the end of the rows");
    }
}

mm_status mm_json_window_next(mm_json_window *w, mm_json_row *row, mm_error *err)
{
    uint8_t byte;
    size_t size = 0;
    if (w->ended)
        return MM_END;
    mm_status status = w->lines ? skip_space(w, &byte, err) : next_object(w, err);
    if (status == MM_OK)
        status = find_end(w, &size, err);
    if (status != MM_OK)
        return status;
    *row = (mm_json_row){w->bytes + (w->at - w->base), size, w->at};
    while (row->size > 0 && is_space(row->text[row->size - 1]))
        row->size--;
    w->at += size;
    w->behind_row = true;
    return MM_OK;
}

uint64_t mm_json_window_line(const mm_json_window *w, uint64_t at)
{
    mm_error nothing = MM_ERROR_INIT; /* the line is left out of the message then */
    uint64_t line = 1;
    if (at > w->input->size)
        at = w->input->size;
    if (at > LINES_MAX && w->input->map == NULL)
        return 0;
    uint8_t *bytes = malloc(at < READ_BYTES ? (size_t)at + 1 : READ_BYTES);
    if (bytes == NULL)
        return 0;
    for (uint64_t done = 0; done < at;) {
        size_t size = at - done < READ_BYTES ? (size_t)(at - done) : READ_BYTES;
        if (mm_input_read(w->input, done, bytes, size, &nothing) != MM_OK) {
            line = 0;
            break;
        }
        for (const uint8_t *p = bytes; (p = memchr(p, '\n', size - (size_t)(p - bytes))) != NULL; p++)
            line++;
        done += size;
    }
    free(bytes);
    return line;
}
