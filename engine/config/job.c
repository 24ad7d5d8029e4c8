/* The job file: from text to a checked mm_job. Top level, drivers, limits; collections and the
 * fingerprint have files of their own. */
#include "config/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/foreign.h"
#include "config/job_parts.h"
#include "config/tables.h"
#include "config/values.h"

bool mm_job_name_valid(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > 64 || name[0] == '.')
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
           length;
}

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

const char *mm_job_stem(mm_arena *arena, const char *path)
{
    const char *base = strrchr(path, '/');
    char *copy = mm_arena_strdup(arena, base ? base + 1 : path);
    char *dot = copy ? strrchr(copy, '.') : NULL;
    if (dot && dot != copy)
        *dot = '\0';
    return copy;
}

static const char *folder_of(mm_arena *arena, const char *path)
{
    char *copy = mm_arena_strdup(arena, path);
    char *slash = copy ? strrchr(copy, '/') : NULL;
    if (copy && slash == NULL)
        return ".";
    if (copy && slash == copy)
        return "/";
    if (slash)
        *slash = '\0';
    return copy;
}

static mm_status read_name(mm_config_reader *reader, const mm_node *root, const char *given,
                           const char **out, mm_error *err)
{
    const mm_node *node = mm_node_get(root, "job");
    const char *name = given ? given : mm_job_stem(reader->arena, reader->path);
    if (name == NULL)
        return no_memory(err);
    if (!mm_job_name_valid(name))
        return mm_node_error(given ? node : root, reader->path, err,
                             "`%.80s` is no name for a job%s: 1 to 64 of A-Z a-z 0-9 . _ -, "
                             "not beginning with a dot",
                             name, given ? "" : " (it comes from the file's name; set `job:`)");
    *out = name;
    return MM_OK;
}

/* The halves of a job have savepoints of their own: products-dump, products-load. */
static mm_status name_half(mm_config_reader *reader, const mm_node *root, const char *half, const char **name,
                           mm_error *err)
{
    if (strcmp(half, "both") == 0)
        return MM_OK;
    size_t size = strlen(*name) + strlen(half) + 2;
    char *both = mm_arena_alloc(reader->arena, size);
    if (both == NULL)
        return no_memory(err);
    snprintf(both, size, "%s-%s", *name, half);
    if (!mm_job_name_valid(both))
        return mm_node_error(root, reader->path, err, "`%s` is too long for the name of a job: set a shorter `job:`", both);
    *name = both;
    return MM_OK;
}

/* The driver named by section.driver. */
static mm_status find_driver(mm_config_reader *reader, const mm_node *map, const char *section,
                             const mm_job_driver *drivers, size_t count, const mm_job_driver **out,
                             mm_error *err)
{
    const mm_node *node = mm_node_get(map, "driver");
    const char *name = NULL;
    if (map->kind != MM_NODE_MAP)
        return mm_node_error(map, reader->path, err, "%s is a mapping of keys, not %s", section,
                             mm_node_kind_name(map));
    if (node) {
        mm_status status = mm_config_scalar(reader, node, "driver", &name, err);
        if (status != MM_OK)
            return status;
    }
    const char **names = mm_arena_array(reader->arena, count + 1, sizeof(*names));
    mm_buffer known = MM_BUFFER_INIT;
    if (names == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        if (name && strcmp(drivers[i].name, name) == 0) {
            mm_buffer_free(&known);
            *out = &drivers[i];
            return MM_OK;
        }
        names[i] = drivers[i].name;
        mm_buffer_printf(&known, "%s%s", i ? ", " : "", drivers[i].name);
    }
    mm_buffer_append(&known, "", 1);
    const char *list = known.failed ? "" : known.data;
    mm_status status;
    if (name)
        status = mm_node_error(node, reader->path, err,
                               "there is no %s driver `%.60s`%s; there are: %s", section, name,
                               mm_config_suggest(reader->arena, name, names, count), list);
    else
        status = mm_node_error(map, reader->path, err,
                               "%s needs the key `driver`; there are: %s", section, list);
    mm_buffer_free(&known);
    return status;
}

static mm_status read_source(mm_config_reader *reader, const mm_node *map,
                             const mm_job_tables *tables, mm_job *job, mm_error *err)
{
    const mm_job_driver *driver;
    mm_status status = find_driver(reader, map, "source", tables->sources, tables->source_count,
                                   &driver, err);
    if (status != MM_OK)
        return status;
    const mm_job_section *section = &mm_job_sections[MM_SECTION_SOURCE];
    mm_option_part parts[] = {{section->table, section->count},
                              {driver->options, driver->option_count}};
    job->source_driver = driver->name;
    return mm_options_read(reader, map, map, "source", parts, MM_COUNT(parts), &job->source, err);
}

static mm_status read_target(mm_config_reader *reader, const mm_node *map,
                             const mm_job_tables *tables, mm_job *job, mm_error *err)
{
    const mm_job_driver *driver;
    mm_status status = find_driver(reader, map, "target", tables->targets, tables->target_count,
                                   &driver, err);
    if (status != MM_OK)
        return status;
    const mm_job_section *section = &mm_job_sections[MM_SECTION_TARGET];
    mm_option_part parts[] = {{section->table, section->count},
                              {driver->options, driver->option_count}};
    job->target_driver = driver->name;
    return mm_options_read(reader, map, map, "target", parts, MM_COUNT(parts), &job->target, err);
}

static mm_status read_limits(mm_config_reader *reader, const mm_node *map, mm_job *job, mm_error *err)
{
    const mm_job_section *section = &mm_job_sections[MM_SECTION_LIMITS];
    mm_option_part part = {section->table, section->count};
    mm_options *limits;
    mm_status status = mm_options_read(reader, map, map, "limits", &part, 1, &limits, err);
    if (status != MM_OK)
        return status;
    job->dumpers = (uint32_t)mm_options_int(limits, "dumpers");
    job->loaders = (uint32_t)mm_options_int(limits, "loaders");
    job->memory = mm_options_size(limits, "memory");
    job->rejects = mm_options_size(limits, "rejects");
    job->patience_ms = mm_options_ms(limits, "patience");
    if (!mm_value_rate(mm_options_str(limits, "rate"), &job->rate_rows, &job->rate_bytes))
        return mm_error_set(err, MM_BUG, "a checked rate does not parse");
    return MM_OK;
}

/* `verify: word`, or `verify: {sample: rows}`. The word was checked with the top level. */
static mm_status read_verify(mm_config_reader *reader, const mm_node *node, const char *word,
                             mm_job *job, mm_error *err)
{
    static const char *const words[] = {"none", "count", "sample", "full"};
    const mm_job_section *section = &mm_job_sections[MM_SECTION_VERIFY];
    mm_option_part part = {section->table, section->count};
    mm_options *options;
    bool map = node && node->kind == MM_NODE_MAP;
    mm_status status =
        mm_options_read(reader, map ? node : NULL, node, "verify", &part, 1, &options, err);
    if (status != MM_OK)
        return status;
    if (map && !mm_options_given(options, "sample"))
        return mm_node_error(node, reader->path, err,
                             "verify is none, count, sample, full or {sample: rows}");
    job->sample = (uint64_t)mm_options_int(options, "sample");
    job->verify = MM_VERIFY_SAMPLE;
    for (size_t i = 0; !map && i < MM_COUNT(words); i++) {
        if (strcmp(words[i], word) == 0)
            job->verify = (mm_verify_mode)i;
    }
    return MM_OK;
}

static mm_duplicates duplicates_from(const char *word)
{
    static const char *const words[] = {"", "refuse", "first", "last", "keep"};
    for (size_t i = 1; word && i < MM_COUNT(words); i++) {
        if (strcmp(words[i], word) == 0)
            return (mm_duplicates)i;
    }
    return MM_DUP_DEFAULT;
}

/* The top level without `verify` where that is a mapping: its table entry is a word. */
static mm_status read_top(mm_config_reader *reader, const mm_node *root, mm_options **out,
                          mm_error *err)
{
    const mm_job_section *section = &mm_job_sections[MM_SECTION_JOB];
    const mm_node *verify = mm_node_get(root, "verify");
    mm_option *table = mm_arena_array(reader->arena, section->count, sizeof(*table));
    if (table == NULL)
        return no_memory(err);
    memcpy(table, section->table, section->count * sizeof(*table));
    for (size_t i = 0; i < section->count; i++) {
        if (strcmp(table[i].name, "verify") == 0 && verify && verify->kind == MM_NODE_MAP)
            table[i].type = MM_OPT_SECTION;
    }
    mm_option_part part = {table, section->count};
    return mm_options_read(reader, root, root, "the job file", &part, 1, out, err);
}

static mm_status read_root(mm_config_reader *reader, const mm_node *root,
                           const mm_job_tables *tables, mm_job *job, mm_error *err)
{
    mm_options *top;
    if (root->kind != MM_NODE_MAP)
        return mm_node_error(root, reader->path, err, "a job file is a mapping of keys, not %s",
                             mm_node_kind_name(root));
    mm_status status = read_top(reader, root, &top, err);
    if (status != MM_OK)
        return status;
    const mm_option_value *verify = mm_options_find(top, "verify");
    job->duplicates = duplicates_from(mm_options_str(top, "duplicates"));
    status = read_name(reader, root, mm_options_str(top, "job"), &job->name, err);
    if (status == MM_OK)
        status = name_half(reader, root, mm_options_str(top, "half"), &job->name, err);
    if (status == MM_OK)
        status = read_source(reader, mm_node_get(root, "source"), tables, job, err);
    if (status == MM_OK)
        status = read_target(reader, mm_node_get(root, "target"), tables, job, err);
    if (status == MM_OK)
        status = mm_job_read_collections(reader, mm_options_find(top, "collections")->node, job, err);
    if (status == MM_OK)
        status = read_limits(reader, mm_options_find(top, "limits")->node, job, err);
    if (status == MM_OK)
        status = read_verify(reader, verify->node, verify->text, job, err);
    return status;
}

static mm_status keep_warnings(const mm_config_reader *reader, mm_job *job, mm_error *err)
{
    const char **lines = mm_arena_array(&job->arena, reader->warnings.count + 1, sizeof(*lines));
    if (lines == NULL)
        return no_memory(err);
    for (size_t i = 0; i < reader->warnings.count; i++)
        lines[i] = reader->warnings.items[i]->text;
    job->warnings = lines;
    job->warning_count = reader->warnings.count;
    return MM_OK;
}

void mm_job_warn(const mm_job *job)
{
    for (size_t i = 0; i < job->warning_count; i++)
        mm_log(MM_LOG_WARN, "%s:%s", job->path, job->warnings[i]);
}

mm_status mm_job_parse(const char *text, const char *path, const char *overrides,
                       const mm_job_tables *tables, mm_job **out, mm_error *err)
{
    mm_node *root;
    mm_job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return no_memory(err);
    mm_config_reader reader = {.arena = &job->arena, .path = path};
    mm_status status = MM_NO_MEMORY;
    reader.folder = folder_of(&job->arena, path);
    job->path = mm_arena_strdup(&job->arena, path);
    job->overrides = mm_arena_strdup(&job->arena, overrides ? overrides : "");
    if (reader.folder == NULL || job->path == NULL || job->overrides == NULL) {
        status = no_memory(err);
        goto out;
    }
    status = mm_job_tree(&reader, tables, text, strlen(text), &root, err);
    if (status == MM_OK)
        status = mm_node_override(&job->arena, root, overrides, err);
    if (status == MM_OK)
        status = mm_job_collect_secrets(&reader, root, tables, err);
    if (status == MM_OK)
        status = mm_job_select(&reader, root, err);
    if (status == MM_OK)
        status = mm_job_halve(&reader, root, err);
    if (status == MM_OK)
        status = read_root(&reader, root, tables, job, err);
    if (status == MM_OK)
        status = mm_job_hide_secrets(&reader, job, text, err);
    if (status == MM_OK)
        status = mm_job_fingerprint(job, err);
    if (status == MM_OK)
        status = keep_warnings(&reader, job, err);
out:
    if (status == MM_OK)
        *out = job;
    else
        mm_job_free(job);
    return status;
}

static mm_status read_file(const char *path, char **out, mm_error *err)
{
    mm_status status = MM_OK;
    char *text = NULL;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return mm_error_errno(err, MM_CONFIG, "cannot read the job file %s", path);
    text = malloc(MM_YAML_BYTES_MAX + 2);
    size_t size = text ? fread(text, 1, MM_YAML_BYTES_MAX + 1, file) : 0;
    if (text == NULL)
        status = no_memory(err);
    else if (ferror(file))
        status = mm_error_errno(err, MM_CONFIG, "cannot read the job file %s", path);
    else if (size > MM_YAML_BYTES_MAX)
        status = mm_error_set(err, MM_CONFIG, "%s is too large for a job file (at most %u bytes)",
                              path, MM_YAML_BYTES_MAX);
    else if (memchr(text, '\0', size))
        status = mm_error_set(err, MM_CONFIG, "%s is no text: it holds a NUL byte", path);
    fclose(file);
    if (status != MM_OK) {
        free(text);
        return status;
    }
    text[size] = '\0';
    *out = text;
    return MM_OK;
}

mm_status mm_job_load(const char *path, const char *overrides, const mm_job_tables *tables,
                      mm_job **out, mm_error *err)
{
    char *text = NULL;
    mm_status status = MM_OK;
    char *absolute = realpath(path, NULL);
    if (absolute == NULL)
        return mm_error_errno(err, MM_CONFIG, "cannot read the job file %s", path);
    status = read_file(absolute, &text, err);
    if (status == MM_OK)
        status = mm_job_parse(text, absolute, overrides, tables, out, err);
    free(text);
    free(absolute);
    return status;
}

mm_status mm_job_peek_name(const char *path, char out[MM_JOB_NAME_MAX + 1], mm_error *err)
{
    mm_arena arena = MM_ARENA_INIT;
    mm_config_reader reader = {.arena = &arena, .path = path, .folder = "/"};
    mm_node *root;
    char *text = NULL;
    const char *name = NULL;
    mm_status status = read_file(path, &text, err);
    if (status == MM_OK)
        status = mm_job_tree(&reader, NULL, text, strlen(text), &root, err);
    if (status == MM_OK) {
        const mm_node *node = mm_node_get(root, "job");
        if (node)
            status = mm_config_scalar(&reader, node, "job", &name, err);
    }
    if (status == MM_OK)
        status = read_name(&reader, root, name, &name, err);
    if (status == MM_OK)
        snprintf(out, MM_JOB_NAME_MAX + 1, "%s", name);
    mm_arena_free(&arena);
    free(text);
    return status;
}

void mm_job_free(mm_job *job)
{
    if (job == NULL)
        return;
    mm_arena arena = job->arena;
    free(job);
    mm_arena_free(&arena);
}
