/* Which keys decide what arrives: as readable lines, and as a hash of them. Credentials, addresses,
 * limits, verification and logging are not among them: they may change between run and resume. */
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "config/job_parts.h"

/* Code points that YAML folds or forbids when they stand unescaped: C1 controls, line and paragraph
 * separators, the byte order mark. Returns the bytes taken, 0 for none of them. */
static size_t special(const char *c, unsigned *point)
{
    const unsigned char *u = (const unsigned char *)c;
    if (u[0] == 0xC2 && u[1] >= 0x80 && u[1] <= 0x9F) {
        *point = u[1];
        return 2;
    }
    if ((u[0] == 0xE2 && u[1] == 0x80 && (u[2] == 0xA8 || u[2] == 0xA9)) ||
        (u[0] == 0xEF && u[1] == 0xBB && u[2] == 0xBF) ||
        (u[0] == 0xEF && u[1] == 0xBF && (u[2] == 0xBE || u[2] == 0xBF))) {
        *point = ((u[0] & 0x0Fu) << 12) | ((u[1] & 0x3Fu) << 6) | (u[2] & 0x3Fu);
        return 3;
    }
    return 0;
}

void mm_text_quote(mm_buffer *out, const char *text)
{
    unsigned point;
    size_t taken;
    mm_buffer_append(out, "\"", 1);
    for (const char *c = text; *c; c++) {
        if ((taken = special(c, &point)) > 0) {
            mm_buffer_printf(out, "\\u%04x", point);
            c += taken - 1;
        } else if (*c == '"' || *c == '\\')
            mm_buffer_printf(out, "\\%c", *c);
        else if (*c == '\n')
            mm_buffer_append(out, "\\n", 2);
        else if (*c == '\t')
            mm_buffer_append(out, "\\t", 2);
        else if ((unsigned char)*c < 0x20 || *c == 0x7f)
            mm_buffer_printf(out, "\\u%04x", (unsigned)(unsigned char)*c);
        else
            mm_buffer_append(out, c, 1);
    }
    mm_buffer_append(out, "\"", 1);
}

static void line(mm_buffer *out, const char *section, const char *key, const char *value)
{
    if (value == NULL)
        return;
    mm_buffer_printf(out, "%s.%s: ", section, key);
    mm_text_quote(out, value);
    mm_buffer_append(out, "\n", 1);
}

static void option_lines(mm_buffer *out, const char *section, const mm_options *options)
{
    for (size_t i = 0; i < options->count; i++) {
        const mm_option_value *value = &options->values[i];
        if (!value->option->decides || value->option->secret)
            continue;
        if (!mm_option_is_list(value->option)) {
            line(out, section, value->option->name, value->text);
            continue;
        }
        for (size_t j = 0; j < value->item_count; j++) {
            char key[160];
            snprintf(key, sizeof(key), "%.120s.%zu", value->option->name, j);
            line(out, section, key, value->items[j]);
        }
    }
}

static void field_lines(mm_buffer *out, const char *section, const mm_job_collection *collection)
{
    for (size_t i = 0; i < collection->field_count; i++) {
        const mm_field_rule *rule = &collection->fields[i];
        char place[96];
        snprintf(place, sizeof(place), "%s.fields.%zu", section, i);
        line(out, place, "from", rule->from);
        line(out, place, "to", rule->to);
        line(out, place, "type", rule->type == MM_TYPE_NONE ? NULL : mm_type_name(rule->type));
        line(out, place, "primary", rule->primary ? "true" : NULL);
        if (rule->max_length) {
            char number[16];
            snprintf(number, sizeof(number), "%u", rule->max_length);
            line(out, place, "max_length", number);
        }
    }
}

static void collection_lines(mm_buffer *out, const mm_job *job)
{
    for (size_t i = 0; i < job->collection_count; i++) {
        const mm_job_collection *collection = &job->collections[i];
        char section[48];
        snprintf(section, sizeof(section), "collections.%zu", i);
        line(out, section, "from", collection->from);
        line(out, section, "to", collection->to ? collection->to : collection->from);
        line(out, section, "if_exists", collection->if_exists);
        line(out, section, "partition", collection->partition);
        for (size_t j = 0; j < collection->partition_count; j++) {
            mm_buffer_printf(out, "%s.partitions.", section);
            mm_text_quote(out, collection->partition_from[j]);
            mm_buffer_printf(out, ": ");
            mm_text_quote(out, collection->partition_to[j]);
            mm_buffer_append(out, "\n", 1);
        }
        field_lines(out, section, collection);
    }
}

mm_status mm_job_fingerprint(mm_job *job, mm_error *err)
{
    static const char *const duplicates[] = {NULL, "refuse", "first", "last", "keep"};
    mm_buffer out = MM_BUFFER_INIT;
    option_lines(&out, "source", job->source);
    option_lines(&out, "target", job->target);
    collection_lines(&out, job);
    line(&out, "job", "duplicates", duplicates[job->duplicates]);
    XXH128_hash_t hash = XXH3_128bits(out.data, out.size);
    snprintf(job->fingerprint, sizeof(job->fingerprint), "%016llx%016llx",
             (unsigned long long)hash.high64, (unsigned long long)hash.low64);
    mm_buffer_append(&out, "", 1);
    job->decides = out.failed ? NULL : mm_arena_strdup(&job->arena, out.data);
    mm_buffer_free(&out);
    return job->decides ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory");
}

/* The line of `text` that has the same key as the line at `wanted`; NULL: none. */
static const char *same_key(const char *text, const char *wanted)
{
    const char *end = strstr(wanted, ": ");
    size_t length = end ? (size_t)(end - wanted) + 2 : strlen(wanted);
    for (const char *at = text; *at; at += strcspn(at, "\n") + 1) {
        if (strncmp(at, wanted, length) == 0)
            return at;
    }
    return NULL;
}

static void say_difference(mm_buffer *out, const char *before, const char *now)
{
    const char *either = before ? before : now;
    int key = (int)(strstr(either, ": ") - either);
    const char *was = before ? before + key + 2 : "not set", *is = now ? now + key + 2 : "not set";
    mm_buffer_printf(out, "%s%.*s was %.*s and is %.*s", out->size ? "; " : "", key, either,
                     (int)strcspn(was, "\n"), was, (int)strcspn(is, "\n"), is);
}

void mm_job_difference(const mm_job *before, const mm_job *now, char *out, size_t size)
{
    mm_buffer text = MM_BUFFER_INIT;
    for (const char *at = before->decides; *at && text.size < size; at += strcspn(at, "\n") + 1) {
        const char *other = same_key(now->decides, at);
        size_t length = strcspn(at, "\n");
        if (other == NULL || strcspn(other, "\n") != length || strncmp(at, other, length) != 0)
            say_difference(&text, at, other);
    }
    for (const char *at = now->decides; *at && text.size < size; at += strcspn(at, "\n") + 1) {
        if (same_key(before->decides, at) == NULL)
            say_difference(&text, NULL, at);
    }
    mm_buffer_append(&text, "", 1);
    snprintf(out, size, "%s", text.failed ? "" : text.data);
    mm_buffer_free(&text);
}
