/* JSON string escaping. */
#include "base/json_text.h"

void mm_json_text(mm_buffer *out, const char *text)
{
    mm_buffer_append(out, "\"", 1);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            mm_buffer_printf(out, "\\%c", *at);
        else if (*at < 0x20)
            mm_buffer_printf(out, "\\u%04x", *at);
        else
            mm_buffer_append(out, at, 1);
    }
    mm_buffer_append(out, "\"", 1);
}
