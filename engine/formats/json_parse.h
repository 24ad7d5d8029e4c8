/* Pull parser of JSON (RFC 8259) over bytes in memory: the caller asks for what it expects, nothing is built. Strict:
 * UTF-8, no comments, no NaN, nothing behind the value. Memory: the text of the longest string that has escapes.
 *
 * The bytes may be the beginning of more (`whole` false): what then ends in the middle is MM_END, the caller gets more
 * bytes and begins again at a place that it knows. All other failures are MM_DATA and name the byte.
 *
 *     mm_json_enter(j, MM_JSON_OBJECT, err);
 *     while (mm_json_next_key(j, &key, &size, &more, err) == MM_OK && more)
 *         … exactly one value: mm_json_string, mm_json_number, mm_json_enter …, mm_json_skip */
#ifndef MM_FORMATS_JSON_PARSE_H
#define MM_FORMATS_JSON_PARSE_H

#include "base/error.h"
#include "base/util.h"
#include "formats/number.h"

#define MM_JSON_DEPTH 512 /* of values that are skipped */

typedef enum mm_json_kind {
    MM_JSON_NULL,
    MM_JSON_BOOL,
    MM_JSON_NUMBER,
    MM_JSON_STRING,
    MM_JSON_ARRAY,
    MM_JSON_OBJECT
} mm_json_kind;

typedef struct mm_json {
    const char *name;               /* for messages */
    const uint8_t *start, *at, *end;
    uint64_t offset;                /* of `start` in the file: messages count from there */
    bool whole;                     /* nothing comes behind `end` */
    bool first;                     /* right behind a bracket that opens */
    const char *field;              /* for messages, NULL: none */
    mm_buffer text;                 /* of the last string with escapes */
} mm_json;

/* Over bytes that outlive the parser. No failure; freed by mm_json_close. */
void mm_json_open(mm_json *json, const char *name, const void *bytes, size_t size);
/* Other bytes, which begin at `offset` in the file; the text buffer is kept. */
void mm_json_set(mm_json *json, const void *bytes, size_t size, uint64_t offset, bool whole);
void mm_json_close(mm_json *json);
/* Where the parser is, in the file. */
uint64_t mm_json_offset(const mm_json *json);
const char *mm_json_kind_name(mm_json_kind kind); /* "a string", "null", … */
/* MM_DATA with "<name>: byte <offset>: field <field>: <text>". */
mm_status mm_json_bad(const mm_json *json, const uint8_t *at, mm_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The kind of the next value, which is not read. */
mm_status mm_json_peek(mm_json *json, mm_json_kind *kind, mm_error *err) MM_MUST_USE;
/* Into an array or object. */
mm_status mm_json_enter(mm_json *json, mm_json_kind kind, mm_error *err) MM_MUST_USE;
/* The next key of the object; *more false: the object ended and is behind the parser. The text is valid until the
 * next string is read. */
mm_status mm_json_next_key(mm_json *json, const char **key, size_t *size, bool *more, mm_error *err) MM_MUST_USE;
/* Whether the array has another value. */
mm_status mm_json_next_item(mm_json *json, bool *more, mm_error *err) MM_MUST_USE;

/* Valid UTF-8, not terminated, may hold NUL; valid until the next string is read. */
mm_status mm_json_string(mm_json *json, const char **text, size_t *size, mm_error *err) MM_MUST_USE;
/* The same at the end of `out`, in one pass; unchanged in size where it fails. Short texts: json_quick.h. */
mm_status mm_json_string_append(mm_json *json, mm_buffer *out, mm_error *err) MM_MUST_USE;
mm_status mm_json_number(mm_json *json, mm_number *out, mm_error *err) MM_MUST_USE;
mm_status mm_json_bool(mm_json *json, bool *out, mm_error *err) MM_MUST_USE;
mm_status mm_json_null(mm_json *json, mm_error *err) MM_MUST_USE;
/* Any value, checked; its text as it stands there. */
mm_status mm_json_skip(mm_json *json, const char **text, size_t *size, mm_error *err) MM_MUST_USE;
/* MM_DATA unless only white space is left. */
mm_status mm_json_finish(mm_json *json, mm_error *err) MM_MUST_USE;

/* A whole array of numbers as floats, the common case of a vector: at most `most` of them, MM_DATA when there are
 * more, or one is no number or beyond a float's range. */
mm_status mm_json_floats(mm_json *json, float *out, size_t most, size_t *count, mm_error *err) MM_MUST_USE;

/* --- writing ------------------------------------------------------------------------------------------------ */

/* Appends a quoted string. False: not UTF-8, nothing is appended. */
bool mm_json_put_string(mm_buffer *out, const char *text, size_t size);
/* A text from a file as a message may show it: its beginning, without control characters. */
#define MM_JSON_SHOWN 64
void mm_json_show(const char *text, size_t size, char out[MM_JSON_SHOWN]);
/* Whether a text is JSON, one value and nothing else. */
bool mm_json_valid(const char *text, size_t size);

#endif
