/* A checked job as YAML: every key with its value, defaults included, secrets hidden. What is printed
 * reads back as the same job. */
#include <stdio.h>
#include <string.h>

#include "config/job_parts.h"
#include "config/tables.h"
#include "config/values.h"

/* Double-quoted; a dollar sign is doubled, since the reader expands ${…}. */
static void quote(mm_buffer *out, const char *text)
{
    mm_buffer doubled = MM_BUFFER_INIT;
    for (const char *c = text; *c; c++)
        mm_buffer_append(&doubled, *c == '$' ? "$$" : c, *c == '$' ? 2 : 1);
    mm_buffer_append(&doubled, "", 1);
    if (doubled.failed)
        out->failed = true;
    else
        mm_text_quote(out, doubled.data);
    mm_buffer_free(&doubled);
}

/* Plain where YAML cannot take it for anything else. */
static void scalar(mm_buffer *out, const char *text)
{
    static const char *const words[] = {"null", "Null", "NULL", "true", "false", "yes", "no",
                                        "on",   "off",  "y",    "n"};
    size_t length = strlen(text);
    bool plain = length > 0 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                            "0123456789_./-") == length;
    plain = plain && ((*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z') ||
                      *text == '_' || *text == '/');
    for (size_t i = 0; plain && i < MM_COUNT(words); i++)
        plain = strcmp(words[i], text) != 0;
    if (plain)
        mm_buffer_printf(out, "%s", text);
    else
        quote(out, text);
}

static void pair(mm_buffer *out, int indent, const char *key, const char *text)
{
    if (text == NULL)
        return;
    mm_buffer_printf(out, "%*s%s: ", indent, "", key);
    scalar(out, text);
    mm_buffer_append(out, "\n", 1);
}

static void show_option(mm_buffer *out, const mm_option_value *value)
{
    const mm_option *option = value->option;
    if (mm_option_is_list(option) && value->items) {
        mm_buffer_printf(out, "  %s: [", option->name);
        for (size_t i = 0; i < value->item_count; i++) {
            mm_buffer_printf(out, "%s", i ? ", " : "");
            quote(out, value->items[i]);
        }
        mm_buffer_printf(out, "]\n");
        return;
    }
    if (value->text == NULL)
        return;
    switch (option->type) {
    case MM_OPT_BOOL:
    case MM_OPT_INT:
    case MM_OPT_SIZE:
    case MM_OPT_COUNT:
    case MM_OPT_DURATION:
        mm_buffer_printf(out, "  %s: %s\n", option->name, value->text);
        break;
    default:
        if (value->file) {
            mm_buffer_printf(out, "  %s_file: ", option->name);
            scalar(out, value->file);
            mm_buffer_append(out, "\n", 1);
        } else if (option->secret) {
            mm_buffer_printf(out, "  %s: \"%s\"\n", option->name, MM_SECRET_MARK);
        } else {
            pair(out, 2, option->name, value->text);
        }
    }
}

static void show_section(mm_buffer *out, const char *section, const char *driver,
                         const mm_options *options)
{
    mm_buffer_printf(out, "%s:\n", section);
    pair(out, 2, "driver", driver);
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->values[i].option->name, "driver") != 0)
            show_option(out, &options->values[i]);
    }
}

static void show_fields(mm_buffer *out, const mm_job_collection *collection)
{
    if (collection->field_count == 0)
        return;
    mm_buffer_printf(out, "    fields:\n");
    for (size_t i = 0; i < collection->field_count; i++) {
        const mm_field_rule *rule = &collection->fields[i];
        mm_buffer_printf(out, "      - {from: ");
        quote(out, rule->from);
        mm_buffer_printf(out, ", to: ");
        quote(out, rule->to);
        if (rule->type != MM_TYPE_NONE)
            mm_buffer_printf(out, ", type: %s", mm_type_name(rule->type));
        if (rule->primary)
            mm_buffer_printf(out, ", primary: true");
        if (rule->max_length)
            mm_buffer_printf(out, ", max_length: %u", rule->max_length);
        mm_buffer_printf(out, "}\n");
    }
}

/* JSON is YAML; only dollar signs differ. */
static void show_json(mm_buffer *out, const char *json)
{
    for (const char *c = json; *c; c++)
        mm_buffer_append(out, *c == '$' ? "$$" : c, *c == '$' ? 2 : 1);
}

/* A key of a mapping: keys are not expanded, so that a dollar sign stays single. YAML takes at most
 * 1024 characters before the colon of a key without a question mark. */
static void show_key(mm_buffer *out, int indent, const char *key)
{
    bool is_long = strlen(key) > 160; /* an escape takes up to six characters */
    mm_buffer_printf(out, "%*s%s", indent, "", is_long ? "? " : "");
    mm_text_quote(out, key);
    if (is_long)
        mm_buffer_printf(out, "\n%*s", indent, "");
    mm_buffer_printf(out, ": ");
}

static void show_indexes(mm_buffer *out, const mm_job_collection *collection)
{
    if (collection->index_count == 0) {
        mm_buffer_printf(out, "    index: %s\n", collection->index_mode);
        return;
    }
    mm_buffer_printf(out, "    index:\n");
    for (size_t i = 0; i < collection->index_count; i++) {
        const mm_job_index *index = &collection->indexes[i];
        show_key(out, 6, index->field);
        mm_buffer_printf(out, "{index_type: ");
        quote(out, index->index_type);
        if (index->metric_type) {
            mm_buffer_printf(out, ", metric_type: ");
            quote(out, index->metric_type);
        }
        if (index->params) {
            mm_buffer_printf(out, ", params: ");
            show_json(out, index->params);
        }
        mm_buffer_printf(out, "}\n");
    }
}

static void show_collection(mm_buffer *out, const mm_job_collection *collection)
{
    mm_buffer_printf(out, "  - if_exists: %s\n", collection->if_exists);
    pair(out, 4, "from", collection->from);
    pair(out, 4, "to", collection->to);
    show_fields(out, collection);
    show_indexes(out, collection);
    mm_buffer_printf(out, "    load: %s\n", collection->load ? "true" : "false");
    pair(out, 4, "partition", collection->partition);
    if (collection->partition_count > 0)
        mm_buffer_printf(out, "    partitions:\n");
    for (size_t i = 0; i < collection->partition_count; i++) {
        show_key(out, 6, collection->partition_from[i]);
        quote(out, collection->partition_to[i]);
        mm_buffer_append(out, "\n", 1);
    }
}

static void show_limits(mm_buffer *out, const mm_job *job)
{
    char memory[MM_VALUE_TEXT], patience[MM_VALUE_TEXT], rate[MM_VALUE_TEXT];
    mm_value_size_text(job->memory, memory);
    mm_value_duration_text(job->patience_ms, patience);
    mm_value_rate_text(job->rate_rows, job->rate_bytes, rate);
    mm_buffer_printf(out, "limits:\n  dumpers: %u\n  loaders: %u\n  memory: %s\n", job->dumpers,
                     job->loaders, memory);
    if (job->rejects == UINT64_MAX)
        mm_buffer_printf(out, "  rejects: none\n");
    else
        mm_buffer_printf(out, "  rejects: %llu\n", (unsigned long long)job->rejects);
    pair(out, 2, "rate", rate);
    mm_buffer_printf(out, "  patience: %s\n", patience);
}

mm_status mm_job_show(const mm_job *job, const mm_job_tables *tables, mm_buffer *out, mm_error *err)
{
    static const char *const verify[] = {"none", "count", NULL, "full"};
    static const char *const duplicates[] = {NULL, "refuse", "first", "last", "keep"};
    (void)tables; /* the job's options carry their tables */
    mm_buffer_printf(out, "version: 1\n");
    mm_buffer_printf(out, "job: ");
    scalar(out, job->name);
    mm_buffer_append(out, "\n", 1);
    show_section(out, "source", job->source_driver, job->source);
    show_section(out, "target", job->target_driver, job->target);
    if (job->collection_count > 0)
        mm_buffer_printf(out, "collections:\n");
    for (size_t i = 0; i < job->collection_count; i++)
        show_collection(out, &job->collections[i]);
    show_limits(out, job);
    if (verify[job->verify])
        mm_buffer_printf(out, "verify: %s\n", verify[job->verify]);
    else
        mm_buffer_printf(out, "verify: {sample: %llu}\n", (unsigned long long)job->sample);
    pair(out, 0, "duplicates", duplicates[job->duplicates]);
    return out->failed ? mm_error_set(err, MM_NO_MEMORY, "out of memory") : MM_OK;
}
