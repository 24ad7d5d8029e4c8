/* One section of a job file against its option tables: unknown keys, types, ranges, defaults,
 * secrets and the files they may come from. */
#include "config/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "config/foreign.h"
#include "config/reader.h"
#include "config/values.h"

#define SECRET_BYTES_MAX (64u << 10)

static const mm_node nowhere = {.kind = MM_NODE_SCALAR, .line = 1, .column = 1};

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

mm_status mm_config_scalar(mm_config_reader *reader, const mm_node *node, const char *what,
                           const char **out, mm_error *err)
{
    mm_error inner = MM_ERROR_INIT;
    if (node->kind != MM_NODE_SCALAR)
        return mm_node_error(node, reader->path, err, "`%s` needs one value, not %s", what,
                             mm_node_kind_name(node));
    if (mm_node_is_null(node)) {
        *out = NULL;
        return MM_OK;
    }
    mm_status status = mm_env_expand(reader->arena, node->text, out, &inner);
    if (status == MM_CONFIG)
        return mm_node_error(node, reader->path, err, "`%s`: %s", what, inner.text);
    return status == MM_OK ? MM_OK : no_memory(err);
}

bool mm_choice_match(mm_arena *arena, const char *choices, const char *text, const char **canonical)
{
    size_t count;
    const char **list = mm_choice_list(arena, choices, &count);
    for (size_t i = 0; list && i < count; i++) {
        if (strcasecmp(list[i], text) == 0) {
            if (canonical)
                *canonical = list[i];
            return true;
        }
    }
    return false;
}

/* "a, b or c" of the choices. */
static const char *choice_text(mm_arena *arena, const char *choices)
{
    mm_buffer text = MM_BUFFER_INIT;
    size_t count = 0;
    const char **list = mm_choice_list(arena, choices, &count);
    for (size_t i = 0; list && i < count; i++)
        mm_buffer_printf(&text, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", list[i]);
    mm_buffer_append(&text, "", 1);
    const char *copy = text.failed ? NULL : mm_arena_strdup(arena, text.data);
    mm_buffer_free(&text);
    return copy ? copy : choices;
}

/* A path relative to the job file's folder becomes absolute; a URL stays. */
static const char *absolute(mm_config_reader *reader, const char *path)
{
    if (*path == '/' || *path == '\0' || strstr(path, "://"))
        return path;
    while (path[0] == '.' && path[1] == '/') {
        path += 2;
        path += strspn(path, "/");
    }
    const char *separator = strcmp(reader->folder, "/") == 0 ? "" : "/";
    char *text = mm_format("%s%s%s", reader->folder, separator, path);
    const char *copy = text ? mm_arena_strdup(reader->arena, text) : NULL;
    free(text);
    return copy;
}

/* "s3:/bucket/key": a URL with a slash too few, which would be taken for a local path. */
static bool lacks_slash(const char *path)
{
    size_t length = strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789");
    return length > 1 && strncmp(path + length, ":/", 2) == 0 && path[length + 2] != '/';
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static const char *kept(mm_config_reader *reader, const char text[MM_VALUE_TEXT])
{
    return mm_arena_strdup(reader->arena, text);
}

static mm_status bad(mm_config_reader *reader, const mm_option_value *value, mm_error *err,
                     const char *expected)
{
    const mm_node *node = value->node ? value->node : &nowhere;
    /* the text itself may be long or have come from the environment: a glimpse is enough */
    return mm_node_error(node, reader->path, err, "`%s` is %s, not `%.60s`", value->option->name,
                         expected, value->text);
}

static mm_status read_number(mm_config_reader *reader, mm_option_value *value, mm_error *err)
{
    const mm_option *option = value->option;
    int64_t low, high, number;
    char text[MM_VALUE_TEXT], expected[200];
    bool fits;
    mm_option_range(option, &low, &high);
    if (option->type == MM_OPT_INT) {
        fits = mm_value_int(value->text, &value->as.number);
        number = value->as.number;
        snprintf(text, sizeof(text), "%lld", (long long)number);
    } else {
        fits = mm_value_size(value->text, &value->as.size);
        number = value->as.size > INT64_MAX ? INT64_MAX : (int64_t)value->as.size;
        mm_value_size_text(value->as.size, text);
    }
    if (!fits || number < low || number > high) {
        const char *range = option->choices ? option->choices : "";
        size_t length = strlen(range);
        bool open = length > 2 && strcmp(range + length - 2, "..") == 0; /* "16MiB.." */
        snprintf(expected, sizeof(expected), "%s%s%.*s",
                 option->type == MM_OPT_INT ? "a whole number" : "a size such as 64MiB, 1GB or 4096",
                 open ? " of at least " : option->choices ? " in the range " : "", (int)(open ? length - 2 : length), range);
        return bad(reader, value, err, expected);
    }
    value->text = kept(reader, text);
    return value->text ? MM_OK : no_memory(err);
}

static mm_status read_count(mm_config_reader *reader, mm_option_value *value, mm_error *err)
{
    char text[MM_VALUE_TEXT];
    if (strcasecmp(value->text, "none") == 0) {
        value->as.size = UINT64_MAX;
        value->text = "none";
        return MM_OK;
    }
    if (!mm_value_count(value->text, &value->as.size) || value->as.size == UINT64_MAX)
        return bad(reader, value, err, "a number from 0 on, or none for no limit");
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value->as.size);
    value->text = kept(reader, text);
    return value->text ? MM_OK : no_memory(err);
}

static mm_status read_duration(mm_config_reader *reader, mm_option_value *value, mm_error *err)
{
    char text[MM_VALUE_TEXT];
    if (!mm_value_duration(value->text, &value->as.size))
        return bad(reader, value, err, "a duration such as 250ms, 30s, 30m, 5h or 1h30m");
    mm_value_duration_text(value->as.size, text);
    value->text = kept(reader, text);
    return value->text ? MM_OK : no_memory(err);
}

static mm_status read_rate(mm_config_reader *reader, mm_option_value *value, mm_error *err)
{
    char text[MM_VALUE_TEXT];
    uint64_t rows, bytes;
    if (!mm_value_rate(value->text, &rows, &bytes))
        return bad(reader, value, err, "none, or a rate such as \"20000 rows/s\" or \"50 MiB/s\"");
    mm_value_rate_text(rows, bytes, text);
    value->text = kept(reader, text);
    return value->text ? MM_OK : no_memory(err);
}

static mm_status read_enum(mm_config_reader *reader, mm_option_value *value, mm_error *err)
{
    const char *choices = value->option->choices;
    size_t count = 0;
    if (mm_choice_match(reader->arena, choices, value->text, &value->text))
        return MM_OK;
    const char **list = mm_choice_list(reader->arena, choices, &count);
    const char *nearest = list ? mm_config_suggest(reader->arena, value->text, list, count) : "";
    char *expected = mm_format("one of %s", choice_text(reader->arena, choices));
    mm_status status = expected ? bad(reader, value, err, expected) : no_memory(err);
    free(expected);
    if (status == MM_CONFIG && err)
        strncat(err->text, nearest, sizeof(err->text) - strlen(err->text) - 1);
    return status;
}

/* value->text is the expanded text; it becomes the canonical one. */
static mm_status read_typed(mm_config_reader *reader, mm_option_value *value, mm_error *err)
{
    switch (value->option->type) {
    case MM_OPT_BOOL:
        if (!mm_value_bool(value->text, &value->as.truth))
            return bad(reader, value, err, "true or false");
        value->text = value->as.truth ? "true" : "false";
        return MM_OK;
    case MM_OPT_INT:
    case MM_OPT_SIZE:
        return read_number(reader, value, err);
    case MM_OPT_COUNT:
        return read_count(reader, value, err);
    case MM_OPT_DURATION:
        return read_duration(reader, value, err);
    case MM_OPT_RATE:
        return read_rate(reader, value, err);
    case MM_OPT_ENUM:
        return read_enum(reader, value, err);
    case MM_OPT_PATH:
        if (*value->text == '\0')
            return bad(reader, value, err, "a path");
        if (lacks_slash(value->text))
            return bad(reader, value, err, "a path, or a URL with two slashes behind the colon");
        value->text = absolute(reader, value->text);
        return value->text ? MM_OK : no_memory(err);
    case MM_OPT_ENDPOINT:
        if (*value->text == '\0')
            return bad(reader, value, err, "an address");
        if (ends_with(value->text, ".db"))
            value->text = absolute(reader, value->text);
        return value->text ? MM_OK : no_memory(err);
    default:
        return MM_OK;
    }
}

static mm_status read_list(mm_config_reader *reader, const mm_node *node, mm_option_value *value,
                           mm_error *err)
{
    size_t count = node->kind == MM_NODE_LIST ? node->count : 1;
    if (node->kind == MM_NODE_MAP)
        return mm_node_error(node, reader->path, err, "`%s` is a list of texts, not a mapping",
                             value->option->name);
    const char **items = mm_arena_array(reader->arena, count ? count : 1, sizeof(*items));
    if (items == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const mm_node *item = node->kind == MM_NODE_LIST ? node->items[i] : node;
        mm_status status = mm_config_scalar(reader, item, value->option->name, &items[i], err);
        if (status != MM_OK)
            return status;
        if (items[i] == NULL)
            return mm_node_error(item, reader->path, err, "`%s` has an empty entry",
                                 value->option->name);
        if (value->option->type == MM_OPT_PATHS && lacks_slash(items[i]))
            return mm_node_error(item, reader->path, err, "`%s`: `%.60s` is neither a path nor a URL, which has two "
                                 "slashes behind the colon", value->option->name, items[i]);
        if (value->option->type == MM_OPT_PATHS && (items[i] = absolute(reader, items[i])) == NULL)
            return no_memory(err);
    }
    value->node = node;
    value->items = items;
    value->item_count = count;
    return MM_OK;
}

static mm_status read_secret_file(mm_config_reader *reader, const mm_node *node, const char *key,
                                  mm_option_value *value, mm_error *err)
{
    const char *path;
    struct stat info;
    mm_status status = mm_config_scalar(reader, node, key, &path, err);
    if (status != MM_OK || path == NULL)
        return status;
    path = absolute(reader, path);
    char *bytes = path ? mm_arena_alloc(reader->arena, SECRET_BYTES_MAX + 1) : NULL;
    if (bytes == NULL)
        return no_memory(err);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        const char *why = fd < 0 ? strerror(errno) : "not a regular file";
        if (fd >= 0)
            close(fd);
        return mm_node_error(node, reader->path, err, "`%s`: cannot read %.300s: %s", key, path, why);
    }
    ssize_t size = 0, got;
    while ((got = read(fd, bytes + size, SECRET_BYTES_MAX + 1 - (size_t)size)) > 0)
        size += got;
    int error = errno;
    close(fd);
    if (got < 0)
        return mm_node_error(node, reader->path, err, "`%s`: cannot read %.300s: %s", key, path,
                             strerror(error));
    if (size > (ssize_t)SECRET_BYTES_MAX || memchr(bytes, '\0', (size_t)size))
        return mm_node_error(node, reader->path, err, "`%s`: %.300s is no text of at most 64 KiB",
                             key, path);
    if (size > 0 && bytes[size - 1] == '\n')
        size--;
    if (size > 0 && bytes[size - 1] == '\r')
        size--;
    if (size == 0)
        return mm_node_error(node, reader->path, err, "`%s`: %.300s is empty", key, path);
    bytes[size] = '\0';
    if (info.st_mode & (S_IRGRP | S_IROTH))
        mm_log(MM_LOG_WARN, "%s holds a secret and can be read by others: chmod 600 it", path);
    value->node = node;
    value->text = bytes;
    value->file = path;
    return MM_OK;
}

/* A secret that was shown as "***" still stands in the file it was shown from. */
static const mm_node *original_secret(mm_config_reader *reader, const char *section,
                                      const char *name)
{
    if (!reader->original_read) {
        reader->original_read = true;
        mm_error ignored = MM_ERROR_INIT; /* no file, no secret: the caller says what to do */
        char *text = mm_arena_alloc(reader->arena, MM_YAML_BYTES_MAX + 1);
        FILE *file = text ? fopen(reader->path, "re") : NULL;
        if (file) {
            size_t size = fread(text, 1, MM_YAML_BYTES_MAX, file);
            text[size] = '\0';
            mm_config_reader again = {.arena = reader->arena, .path = reader->path, .folder = reader->folder};
            if (mm_job_tree(&again, NULL, text, size, &reader->original, &ignored) != MM_OK)
                reader->original = NULL;
            fclose(file);
        }
    }
    const mm_node *node = mm_node_get(mm_node_get(reader->original, section), name);
    if (node == NULL || node->kind != MM_NODE_SCALAR || strcmp(node->text, MM_SECRET_MARK) == 0)
        return NULL;
    return node;
}

static mm_status read_secret(mm_config_reader *reader, const mm_node *map, const char *section,
                             mm_option_value *value, mm_error *err)
{
    const char *name = value->option->name;
    char key[128];
    snprintf(key, sizeof(key), "%.100s_file", name);
    const mm_node *node = mm_node_get(map, name), *file = mm_node_get(map, key);
    mm_status status = MM_OK;
    if (node && node->origin)
        return mm_node_error(node, reader->path, err,
                             "a secret on the command line can be seen by others: "
                             "use the environment (${NAME}) or %s",
                             key);
    if (node && file && !mm_node_is_null(node) && !mm_node_is_null(file))
        return mm_node_error(file, reader->path, err, "`%s` and `%s` cannot both be given", name, key);
    if (file)
        status = read_secret_file(reader, file, key, value, err);
    if (status == MM_OK && node && value->node == NULL) {
        const mm_node *from = node;
        if (node->kind == MM_NODE_SCALAR && strcmp(node->text, MM_SECRET_MARK) == 0)
            from = original_secret(reader, section, name);
        if (from == NULL)
            return mm_node_error(node, reader->path, err,
                                 "`%s` is hidden here: give it by the environment (${NAME}) or by %s",
                                 name, key);
        status = mm_config_scalar(reader, from, name, &value->text, err);
        value->node = value->text ? node : NULL;
    }
    if (status == MM_OK && value->text)
        mm_log_add_secret(value->text);
    return status;
}

static mm_status read_value(mm_config_reader *reader, const mm_node *map, const char *section,
                            mm_option_value *value, mm_error *err)
{
    const mm_option *option = value->option;
    const mm_node *node = mm_node_get(map, option->name);
    mm_status status = MM_OK;
    if (option->type == MM_OPT_SECTION) {
        value->node = node && !mm_node_is_null(node) ? node : NULL;
        return MM_OK;
    }
    if (option->secret)
        return read_secret(reader, map, section, value, err);
    if (mm_option_is_list(option) && node && !mm_node_is_null(node))
        return read_list(reader, node, value, err);
    if (node)
        status = mm_config_scalar(reader, node, option->name, &value->text, err);
    if (status == MM_OK && value->text)
        value->node = node;
    else if (status == MM_OK)
        value->text = option->default_value;
    if (status == MM_OK && value->text && mm_option_is_list(option)) {
        const char **items = mm_arena_array(reader->arena, 1, sizeof(*items));
        if (items == NULL)
            return no_memory(err);
        items[0] = option->type == MM_OPT_PATHS ? absolute(reader, value->text) : value->text;
        if (items[0] == NULL)
            return no_memory(err);
        value->items = items;
        value->item_count = 1;
        return MM_OK;
    }
    return status == MM_OK && value->text ? read_typed(reader, value, err) : status;
}

static bool is_known(const mm_options *options, const char *key)
{
    for (size_t i = 0; i < options->count; i++) {
        const mm_option *option = options->values[i].option;
        size_t length = strlen(option->name);
        if (strcmp(option->name, key) == 0)
            return true;
        if (option->secret && strncmp(option->name, key, length) == 0 &&
            strcmp(key + length, "_file") == 0)
            return true;
    }
    return false;
}

/* Where nothing is near: all that a small section has, else where a driver's keys stand. */
static const char *what_there_is(mm_config_reader *reader, const char *const *names, size_t count)
{
    enum { FEW = 12 };
    mm_buffer text = MM_BUFFER_INIT;
    if (count > FEW)
        return "; `mmresume drivers NAME` lists the keys of a driver";
    for (size_t i = 0; i < count; i++)
        mm_buffer_printf(&text, "%s%s", i ? ", " : "; there are: ", names[i]);
    const char *copy = text.data && !text.failed ? mm_arena_strdup(reader->arena, text.data) : NULL;
    mm_buffer_free(&text);
    return copy ? copy : "";
}

static mm_status unknown_key(mm_config_reader *reader, const mm_node *key, const char *section,
                             const mm_options *options, mm_error *err)
{
    const char **names = mm_arena_array(reader->arena, options->count * 2 + 1, sizeof(*names));
    size_t count = 0;
    if (names == NULL)
        return no_memory(err);
    for (size_t i = 0; i < options->count; i++) {
        const mm_option *option = options->values[i].option;
        names[count++] = option->name;
        if (option->secret) {
            char text[160];
            snprintf(text, sizeof(text), "%.140s_file", option->name);
            names[count] = mm_arena_strdup(reader->arena, text);
            count += names[count] != NULL;
        }
    }
    const char *more = mm_config_suggest(reader->arena, key->text, names, count);
    if (*more == '\0')
        more = what_there_is(reader, names, count);
    return mm_node_error(key, reader->path, err, "unknown key `%.100s` in %s%s", key->text, section, more);
}

mm_status mm_options_read(mm_config_reader *reader, const mm_node *node, const mm_node *owner,
                          const char *section, const mm_option_part *parts, size_t part_count,
                          mm_options **out, mm_error *err)
{
    size_t count = 0, at = 0;
    for (size_t i = 0; i < part_count; i++)
        count += parts[i].count;
    mm_options *options =
        mm_arena_alloc(reader->arena, sizeof(*options) + count * sizeof(options->values[0]));
    if (options == NULL)
        return no_memory(err);
    options->own = NULL;
    options->count = count;
    for (size_t i = 0; i < part_count; i++) {
        for (size_t j = 0; j < parts[i].count; j++)
            options->values[at++] = (mm_option_value){.option = &parts[i].table[j]};
    }
    if (node && mm_node_is_null(node))
        node = NULL;
    if (node && node->kind != MM_NODE_MAP)
        return mm_node_error(node, reader->path, err, "%s is a mapping of keys, not %s", section,
                             mm_node_kind_name(node));
    for (size_t i = 0; node && i < node->count; i++) {
        if (!is_known(options, node->keys[i]->text))
            return unknown_key(reader, node->keys[i], section, options, err);
    }
    for (size_t i = 0; i < count; i++) {
        mm_option_value *value = &options->values[i];
        mm_status status = read_value(reader, node, section, value, err);
        if (status != MM_OK)
            return status;
        if (value->option->required && value->node == NULL)
            return mm_node_error(node ? node : owner ? owner : &nowhere, reader->path, err,
                                 "%s needs the key `%s` (%s)", section, value->option->name,
                                 value->option->help);
    }
    *out = options;
    return MM_OK;
}

/* The pairs become a mapping, so that they are read by the same rules as a job file. */
static mm_status pairs_to_map(mm_arena *arena, const char *const *pairs, mm_node *map, mm_error *err)
{
    for (size_t i = 0; pairs && pairs[i]; i++) {
        const char *value = strchr(pairs[i], '=');
        mm_node *nodes = mm_arena_array(arena, 2, sizeof(*nodes));
        char *key = mm_arena_strdup(arena, pairs[i]);
        if (value == NULL)
            return mm_error_set(err, MM_CONFIG, "`%s` is not name=value", pairs[i]);
        if (nodes == NULL || key == NULL)
            return no_memory(err);
        key[value - pairs[i]] = '\0';
        nodes[0] = (mm_node){.kind = MM_NODE_SCALAR, .line = 1, .column = 1, .text = key};
        nodes[1] = (mm_node){.kind = MM_NODE_SCALAR, .line = 1, .column = 1};
        nodes[1].text = mm_arena_strdup(arena, value + 1);
        if (nodes[1].text == NULL || !mm_node_append(arena, map, &nodes[0], &nodes[1]))
            return no_memory(err);
    }
    return MM_OK;
}

mm_status mm_options_make(const mm_option *table, size_t count, const char *const *pairs,
                          mm_options **out, mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_node map = {.kind = MM_NODE_MAP, .line = 1, .column = 1};
    char folder[4096];
    mm_options *options;
    if (getcwd(folder, sizeof(folder)) == NULL)
        return mm_error_errno(err, MM_IO, "the working folder");
    mm_config_reader reader = {.arena = &arena, .path = "options", .folder = folder};
    mm_option_part part = {table, count};
    mm_status status = pairs_to_map(&arena, pairs, &map, err);
    if (status == MM_OK)
        status = mm_options_read(&reader, &map, &map, "options", &part, 1, &options, err);
    mm_arena *own = status == MM_OK ? mm_arena_alloc(&arena, sizeof(*own)) : NULL;
    if (status == MM_OK && own == NULL)
        status = no_memory(err);
    if (status != MM_OK) {
        mm_arena_free(&arena);
        return status;
    }
    *own = arena;
    options->own = own;
    *out = options;
    return MM_OK;
}
