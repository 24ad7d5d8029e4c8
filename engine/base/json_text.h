/* Writing JSON strings: escaping, and nothing else. Reading JSON is cJSON's business. */
#ifndef MM_BASE_JSON_TEXT_H
#define MM_BASE_JSON_TEXT_H

#include "base/util.h"

/* Appends text as a quoted JSON string (control characters, quotes and backslashes escaped; bytes
 * from 0x80 on are passed through as the UTF-8 that they are). */
void mm_json_text(mm_buffer *out, const char *text);

#endif
