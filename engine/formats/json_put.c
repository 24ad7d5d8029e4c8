/* Writing JSON strings, and whether a text is JSON. */
#include "formats/json_parse.h"

#include "base/utf8.h"

bool mm_json_put_string(mm_buffer *out, const char *text, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    if (mm_utf8_prefix(text, size) < size)
        return false;
    mm_buffer_append(out, "\"", 1);
    for (size_t at = 0; at < size;) {
        size_t run = at;
        while (at < size && (uint8_t)text[at] >= 0x20 && text[at] != '"' && text[at] != '\\')
            at++;
        mm_buffer_append(out, text + run, at - run);
        if (at == size)
            break;
        uint8_t byte = (uint8_t)text[at++];
        char escape[6] = {'\\', (char)byte, '0', '0', hex[byte >> 4], hex[byte & 15]};
        if (byte == '\n' || byte == '\t' || byte == '\r')
            escape[1] = byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r';
        else if (byte < 0x20)
            escape[1] = 'u';
        mm_buffer_append(out, escape, escape[1] == 'u' ? 6 : 2);
    }
    mm_buffer_append(out, "\"", 1);
    return true;
}

bool mm_json_valid(const char *text, size_t size)
{
    mm_json json;
    mm_error nothing = MM_ERROR_INIT; /* the caller knows the place */
    const char *value;
    size_t length;
    mm_json_open(&json, "", text, size);
    mm_status status = mm_json_skip(&json, &value, &length, &nothing);
    if (status == MM_OK)
        status = mm_json_finish(&json, &nothing);
    mm_json_close(&json);
    return status == MM_OK;
}

void mm_json_show(const char *text, size_t size, char out[MM_JSON_SHOWN])
{
    size_t length = size < MM_JSON_SHOWN - 1 ? size : MM_JSON_SHOWN - 1;
    length = mm_utf8_prefix(text, length); /* no half of a letter */
    for (size_t i = 0; i < length; i++)
        out[i] = (uint8_t)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i];
    out[length] = '\0';
}
