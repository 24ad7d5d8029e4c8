/* The environment in scalars, and --set on the tree. Both work before any key is checked, so that
 * what they bring is checked like what stands in the file. */
#include "config/node.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define EXPANDED_MAX (64u << 10)

static bool name_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

/* What comes from the environment ends in messages, in JSON and in requests: UTF-8 or nothing. */
static bool is_utf8(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        size_t more = *c < 0x80 ? 0 : *c < 0xC2 ? 4 : *c < 0xE0 ? 1 : *c < 0xF0 ? 2 : *c < 0xF5 ? 3 : 4;
        if (more == 4 || (*c == 0xE0 && c[1] < 0xA0) || (*c == 0xED && c[1] > 0x9F) ||
            (*c == 0xF0 && c[1] < 0x90) || (*c == 0xF4 && c[1] > 0x8F))
            return false;
        for (c++; more > 0; more--, c++) {
            if ((*c & 0xC0) != 0x80)
                return false;
        }
    }
    return true;
}

/* One ${…}; *at stands on the $ and is moved behind the }. */
static mm_status expand_one(const char **at, mm_buffer *out, mm_error *err)
{
    const char *name = *at + 2;
    size_t length = 0;
    while (name_char(name[length], length == 0))
        length++;
    const char *rest = name + length;
    const char *end = strchr(rest, '}');
    bool has_default = strncmp(rest, ":-", 2) == 0;
    if (length == 0 || length > 255 || end == NULL || (!has_default && end != rest))
        return mm_error_set(err, MM_CONFIG,
                            "malformed ${…}: ${NAME} or ${NAME:-default} is meant ($$ is a dollar sign)");
    char copy[256];
    memcpy(copy, name, length);
    copy[length] = '\0';
    const char *value = getenv(copy);
    if (has_default && (value == NULL || *value == '\0'))
        mm_buffer_append(out, rest + 2, (size_t)(end - rest - 2));
    else if (value && !is_utf8(value))
        return mm_error_set(err, MM_CONFIG, "the environment variable %s is no text in UTF-8", copy);
    else if (value)
        mm_buffer_append(out, value, strlen(value));
    else
        return mm_error_set(err, MM_CONFIG, "the environment variable %s is not set", copy);
    *at = end + 1;
    return MM_OK;
}

mm_status mm_env_expand(mm_arena *arena, const char *text, const char **out, mm_error *err)
{
    mm_buffer buffer = MM_BUFFER_INIT;
    mm_status status = MM_OK;
    if (strchr(text, '$') == NULL) {
        *out = text;
        return MM_OK;
    }
    for (const char *at = text; *at && status == MM_OK;) {
        if (at[0] == '$' && at[1] == '{') {
            status = expand_one(&at, &buffer, err);
        } else {
            mm_buffer_append(&buffer, at, 1);
            at += at[0] == '$' && at[1] == '$' ? 2 : 1;
        }
        if (status == MM_OK && buffer.size > EXPANDED_MAX)
            status = mm_error_set(err, MM_CONFIG, "the text is too long after ${…} was expanded");
    }
    mm_buffer_append(&buffer, "", 1);
    char *copy = status == MM_OK && !buffer.failed ? mm_arena_alloc(arena, buffer.size) : NULL;
    if (status == MM_OK && copy == NULL)
        status = mm_error_set(err, MM_NO_MEMORY, "out of memory");
    if (copy) {
        memcpy(copy, buffer.data, buffer.size);
        *out = copy;
    }
    mm_buffer_free(&buffer);
    return status;
}

static bool list_index(const char *segment, size_t *out)
{
    size_t value = 0;
    if (*segment == '\0' || strlen(segment) > 6)
        return false;
    for (; *segment; segment++) {
        if (*segment < '0' || *segment > '9')
            return false;
        value = value * 10 + (size_t)(*segment - '0');
    }
    *out = value;
    return true;
}

static mm_node *make_node(mm_arena *arena, mm_node_kind kind, const char *origin, const char *text)
{
    mm_node *node = mm_arena_alloc(arena, sizeof(*node));
    if (node)
        *node = (mm_node){.kind = kind, .plain = true, .origin = origin, .text = text};
    return node;
}

static void set_origin(mm_node *node, const char *origin)
{
    node->origin = origin;
    for (size_t i = 0; i < node->count; i++) {
        if (node->kind == MM_NODE_MAP)
            node->keys[i]->origin = origin;
        set_origin(node->items[i], origin);
    }
}

static mm_status make_value(mm_arena *arena, const char *origin, const char *value, mm_node **out,
                            mm_error *err)
{
    mm_node *node;
    if (*value == '[' || *value == '{') {
        mm_error inner = MM_ERROR_INIT;
        mm_status status = mm_yaml_parse(arena, value, strlen(value), "value", &node, &inner);
        if (status != MM_OK)
            return mm_error_set(err, status, "--set %s: %s", origin, inner.text);
        set_origin(node, origin);
    } else {
        char *copy = mm_arena_strdup(arena, value);
        node = copy ? make_node(arena, MM_NODE_SCALAR, origin, copy) : NULL;
        if (node == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    *out = node;
    return MM_OK;
}

/* The place for one segment of the key inside parent, made when it is missing. */
static mm_status find_place(mm_arena *arena, mm_node *parent, char *segment, const char *origin,
                            mm_node ***place, mm_error *err)
{
    size_t index;
    if (parent->kind == MM_NODE_LIST) {
        if (!list_index(segment, &index) || index > parent->count)
            return mm_error_set(err, MM_CONFIG,
                                "--set %s: `%s` is no place in a list of %zu (0 is the first)",
                                origin, segment, parent->count);
    } else {
        for (index = 0; index < parent->count; index++) {
            if (strcmp(parent->keys[index]->text, segment) == 0)
                break;
        }
    }
    if (index == parent->count) {
        mm_node *key = make_node(arena, MM_NODE_SCALAR, origin, segment);
        mm_node *item = make_node(arena, MM_NODE_SCALAR, origin, "");
        if (key == NULL || item == NULL || !mm_node_append(arena, parent, key, item))
            return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    }
    *place = &parent->items[index];
    return MM_OK;
}

/* A missing or empty value on the way becomes what its first segment needs. */
static mm_status descend(mm_arena *arena, mm_node **place, const char *next, const char *origin,
                         mm_error *err)
{
    size_t index;
    if ((*place)->kind != MM_NODE_SCALAR)
        return MM_OK;
    if (!mm_node_is_null(*place))
        return mm_error_set(err, MM_CONFIG, "--set %s: `%s` lies inside a value that has no keys",
                            origin, next);
    *place = make_node(arena, list_index(next, &index) ? MM_NODE_LIST : MM_NODE_MAP, origin, NULL);
    return *place ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

static mm_status override_one(mm_arena *arena, mm_node *root, char *line, mm_error *err)
{
    char *value = strchr(line, '=');
    if (!is_utf8(line))
        return mm_error_set(err, MM_CONFIG, "--set: not a text in UTF-8");
    if (value == NULL || value == line)
        return mm_error_set(err, MM_CONFIG, "--set: key=value is meant, such as limits.loaders=2");
    *value++ = '\0';
    char *origin = mm_arena_strdup(arena, line);
    if (origin == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory");
    mm_node *node = root, **place = NULL;
    size_t depth = 0;
    for (char *segment = line, *next; segment; segment = next) {
        next = strchr(segment, '.');
        if (next)
            *next++ = '\0';
        if (*segment == '\0' || ++depth > MM_YAML_DEPTH_MAX)
            return mm_error_set(err, MM_CONFIG, "--set %s: malformed key", origin);
        mm_status status = place ? descend(arena, place, segment, origin, err) : MM_OK;
        if (status == MM_OK) {
            node = place ? *place : root;
            status = find_place(arena, node, segment, origin, &place, err);
        }
        if (status != MM_OK)
            return status;
    }
    return make_value(arena, origin, value, place, err);
}

mm_status mm_node_override(mm_arena *arena, mm_node *root, const char *lines, mm_error *err)
{
    if (root->kind != MM_NODE_MAP)
        return MM_OK; /* the check of the job itself says what is wrong */
    for (const char *at = lines; at && *at;) {
        size_t length = strcspn(at, "\n");
        char *line = mm_arena_alloc(arena, length + 1);
        if (line == NULL)
            return mm_error_set(err, MM_NO_MEMORY, "out of memory");
        memcpy(line, at, length);
        line[length] = '\0';
        if (length > 0) {
            mm_status status = override_one(arena, root, line, err);
            if (status != MM_OK)
                return status;
        }
        at += length + (at[length] == '\n');
    }
    return MM_OK;
}
