/* A walk over XML elements without a tree: one stack of open elements, one buffer for each depth's text. */
#include "storage/xml.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define XML_MAX ((size_t)256 << 20)

typedef struct {
    const char *begin, *at, *end;
    char path[MM_XML_PATH];
    size_t path_size[MM_XML_DEPTH + 1]; /* of the path at each depth */
    mm_buffer text[MM_XML_DEPTH + 1];   /* of the open element at each depth; 0: outside the root */
    bool parent[MM_XML_DEPTH + 1];      /* it has children */
    size_t depth;
    bool had_root;
    mm_xml_fn fn;
    void *context;
    mm_error *err;
} xml;

static mm_status malformed(const xml *x, const char *what)
{
    return mm_error_set(x->err, MM_DATA, "XML answer: %s at byte %zu", what, (size_t)(x->at - x->begin));
}

static bool begins(const xml *x, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(x->end - x->at) >= length && memcmp(x->at, text, length) == 0;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Moves behind the next `mark`. */
static mm_status skip_to(xml *x, const char *mark, const char *what)
{
    const char *found = memmem(x->at, (size_t)(x->end - x->at), mark, strlen(mark));
    if (found == NULL) {
        return malformed(x, what);
    }
    x->at = found + strlen(mark);
    return MM_OK;
}

/* --- text --------------------------------------------------------------------------------------- */

static void append_utf8(mm_buffer *out, uint32_t code)
{
    char bytes[4];
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size; i-- > 1; code >>= 6) {
        bytes[i] = (char)(0x80 | (code & 63));
    }
    bytes[0] = (char)(lead[size] | code);
    mm_buffer_append(out, bytes, size);
}

/* "#10", "#x3C": false when it is no character of XML. */
static bool character_reference(const char *name, size_t length, uint32_t *code)
{
    bool hex = length > 1 && name[1] == 'x';
    uint32_t value = 0;
    size_t first = hex ? 2 : 1;
    if (first >= length || length > 9) {
        return false;
    }
    for (size_t i = first; i < length; i++) {
        char c = name[i];
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0')
                         : hex && c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : hex && c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10 : 99;
        if (digit == 99) {
            return false;
        }
        value = value * (hex ? 16 : 10) + digit;
    }
    *code = value;
    return value != 0 && value < 0x110000 && (value < 0xD800 || value > 0xDFFF);
}

static mm_status entity(xml *x, mm_buffer *out)
{
    static const struct {
        const char *name;
        char is;
    } known[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < MM_COUNT(known); i++) {
        if (begins(x, known[i].name)) {
            mm_buffer_append(out, &known[i].is, 1);
            x->at += strlen(known[i].name);
            return MM_OK;
        }
    }
    size_t left = (size_t)(x->end - x->at);
    const char *stop = memchr(x->at, ';', left < 12 ? left : 12);
    uint32_t code;
    if (stop == NULL || x->at[1] != '#' || !character_reference(x->at + 1, (size_t)(stop - x->at) - 1, &code)) {
        return malformed(x, "unknown entity");
    }
    append_utf8(out, code);
    x->at = stop + 1;
    return MM_OK;
}

static mm_status take_text(xml *x)
{
    mm_buffer *out = &x->text[x->depth];
    while (x->at < x->end && *x->at != '<') {
        if (*x->at == '&') {
            mm_status status = entity(x, out);
            if (status != MM_OK) {
                return status;
            }
            continue;
        }
        const char *from = x->at;
        while (x->at < x->end && *x->at != '<' && *x->at != '&') {
            x->at++;
        }
        mm_buffer_append(out, from, (size_t)(x->at - from));
    }
    return out->failed ? mm_error_set(x->err, MM_NO_MEMORY, "out of memory") : MM_OK;
}

/* --- elements ----------------------------------------------------------------------------------- */

/* The name at `at`, its prefix cut off; the cursor moves behind it. */
static mm_status take_name(xml *x, const char **name, size_t *length)
{
    const char *from = x->at;
    while (x->at < x->end && !blank(*x->at) && strchr("/>=<\"'&", *x->at) == NULL) {
        x->at++;
    }
    const char *colon = memchr(from, ':', (size_t)(x->at - from));
    *name = colon != NULL ? colon + 1 : from;
    *length = (size_t)(x->at - *name);
    return *length > 0 ? MM_OK : malformed(x, "a name is missing");
}

/* Behind the attributes and the ">"; *empty: it was "/>". */
static mm_status skip_attributes(xml *x, bool *empty)
{
    char quote = 0, before = 0;
    for (; x->at < x->end; x->at++) {
        char c = *x->at;
        if (quote != 0) {
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '>') {
            *empty = before == '/';
            x->at++;
            return MM_OK;
        } else if (c == '<') {
            break;
        }
        before = c;
    }
    return malformed(x, "a tag does not end");
}

static mm_status close_element(xml *x)
{
    mm_buffer *text = &x->text[x->depth];
    const char *value = text->size > 0 && !x->parent[x->depth] ? text->data : "";
    if (*value != '\0' && strlen(value) != text->size) {
        return malformed(x, "a NUL in a text");
    }
    mm_status status = x->fn(x->context, x->path, value, x->err);
    text->size = 0;
    x->depth--;
    x->path[x->path_size[x->depth]] = '\0';
    return status;
}

static mm_status open_element(xml *x)
{
    const char *name;
    size_t length;
    bool empty = false;
    x->at++;
    mm_status status = take_name(x, &name, &length);
    if (status != MM_OK) {
        return status;
    }
    if (x->depth == 0 && x->had_root) {
        return malformed(x, "a second root element");
    }
    size_t at = x->path_size[x->depth], slash = at > 0 ? 1 : 0;
    if (x->depth == MM_XML_DEPTH || at + slash + length >= MM_XML_PATH) {
        return malformed(x, "elements nested too deep");
    }
    if (slash) {
        x->path[at++] = '/';
    }
    memcpy(x->path + at, name, length);
    x->path[at + length] = '\0';
    x->parent[x->depth] = true;
    x->text[x->depth].size = 0; /* blanks between children */
    x->path_size[++x->depth] = at + length;
    x->text[x->depth].size = 0;
    x->parent[x->depth] = false;
    x->had_root = true;
    status = skip_attributes(x, &empty);
    return status == MM_OK && empty ? close_element(x) : status;
}

static mm_status end_element(xml *x)
{
    const char *name, *open = x->path;
    size_t length, at = x->depth > 0 ? x->path_size[x->depth - 1] : 0;
    bool empty;
    x->at += 2;
    mm_status status = take_name(x, &name, &length);
    if (status != MM_OK) {
        return status;
    }
    open += at > 0 ? at + 1 : 0;
    if (x->depth == 0 || strlen(open) != length || memcmp(open, name, length) != 0) {
        return malformed(x, "an end tag without its beginning");
    }
    status = skip_attributes(x, &empty);
    return status == MM_OK ? close_element(x) : status;
}

static mm_status cdata(xml *x)
{
    x->at += strlen("<![CDATA[");
    const char *from = x->at;
    mm_status status = skip_to(x, "]]>", "a CDATA section does not end");
    if (status == MM_OK) {
        mm_buffer_append(&x->text[x->depth], from, (size_t)(x->at - 3 - from));
    }
    return status;
}

static mm_status take_markup(xml *x)
{
    if (begins(x, "<?")) {
        return skip_to(x, "?>", "a processing instruction does not end");
    }
    if (begins(x, "<!--")) {
        x->at += 4;
        return skip_to(x, "-->", "a comment does not end");
    }
    if (x->depth > 0 && begins(x, "<![CDATA[")) {
        return cdata(x);
    }
    if (begins(x, "<!")) {
        return malformed(x, "a declaration, which no service sends,");
    }
    return begins(x, "</") ? end_element(x) : open_element(x);
}

static mm_status skip_blanks(xml *x)
{
    while (x->at < x->end && blank(*x->at)) {
        x->at++;
    }
    return x->at == x->end || *x->at == '<' ? MM_OK : malformed(x, "text outside the root element");
}

mm_status mm_xml_walk(const char *bytes, size_t size, mm_xml_fn fn, void *context, mm_error *err)
{
    if (size > XML_MAX) {
        return mm_error_set(err, MM_DATA, "XML answer of %zu bytes: larger than any service sends", size);
    }
    xml x = {.begin = bytes, .at = bytes, .end = bytes + size, .fn = fn, .context = context, .err = err};
    mm_status status = MM_OK;
    if (begins(&x, "\xEF\xBB\xBF")) { /* Azure begins with a byte order mark */
        x.at += 3;
    }
    while (status == MM_OK && x.at < x.end) {
        status = *x.at == '<' ? take_markup(&x) : x.depth > 0 ? take_text(&x) : skip_blanks(&x);
    }
    if (status == MM_OK && (x.depth > 0 || !x.had_root)) {
        status = malformed(&x, x.had_root ? "it ends within an element" : "no element");
    }
    for (size_t i = 0; i <= MM_XML_DEPTH; i++) {
        mm_buffer_free(&x.text[i]);
    }
    return status;
}

void mm_xml_text(mm_buffer *out, const char *text)
{
    static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
    for (; *text != '\0'; text++) {
        const char *found = strchr("&<>\"'", *text);
        if (found != NULL) {
            const char *name = names[found - strchr("&<>\"'", '&')];
            mm_buffer_append(out, name, strlen(name));
        } else {
            mm_buffer_append(out, text, 1);
        }
    }
}
