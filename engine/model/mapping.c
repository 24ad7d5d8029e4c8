/* Field mapping: building it from rules, applying it to batches. */
#include "model/mapping.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define INT64_TEXT 21 /* "-9223372036854775808" and NUL */

static mm_status no_memory(mm_error *err)
{
    return mm_error_set(err, MM_NO_MEMORY, "out of memory for a field mapping");
}

static mm_status unknown_field(const mm_schema *source, const char *name, mm_error *err)
{
    const char *names[256] = {NULL};
    size_t count = source->field_count < MM_COUNT(names) ? source->field_count : MM_COUNT(names);
    for (size_t i = 0; i < count; i++)
        names[i] = source->fields[i].name;
    const char *nearest = mm_nearest(name, names, count);
    if (nearest)
        return mm_error_set(err, MM_CONFIG, "fields: `%s` has no field `%s` (did you mean `%s`?)",
                            source->name, name, nearest);
    mm_buffer known = MM_BUFFER_INIT;
    for (size_t i = 0; i < count && i < 8; i++)
        mm_buffer_printf(&known, "%s`%s`", i ? ", " : "", names[i]);
    mm_status status = mm_error_set(err, MM_CONFIG, "fields: `%s` has no field `%s` (it has %s%s)", source->name, name,
                                    known.data && !known.failed ? known.data : "others", count > 8 ? ", …" : "");
    mm_buffer_free(&known);
    return status;
}

static mm_status retype(mm_field *field, const mm_field_rule *rule, mm_error *err)
{
    if (rule->max_length > 0)
        field->max_length = rule->max_length;
    if (rule->type == MM_TYPE_NONE || rule->type == field->type)
        return MM_OK;
    if (field->type != MM_TYPE_INT64 || rule->type != MM_TYPE_VARCHAR)
        return mm_error_set(err, MM_CONFIG, "fields: `%s` cannot be turned from %s into %s", field->name,
                            mm_type_name(field->type), mm_type_name(rule->type));
    field->type = MM_TYPE_VARCHAR;
    if (field->max_length == 0)
        field->max_length = INT64_TEXT - 1;
    return MM_OK;
}

static mm_status apply_rules(const mm_schema *source, const mm_field_rule *rules, size_t rule_count,
                             mm_mapping *mapping, mm_error *err)
{
    bool names_primary = false;
    for (size_t i = 0; i < rule_count; i++)
        names_primary = names_primary || rules[i].primary;
    for (size_t i = 0; i < rule_count; i++) {
        int at = mm_schema_find(source, rules[i].from);
        if (at < 0)
            return unknown_field(source, rules[i].from, err);
        mm_field *field = &mapping->target->fields[i];
        *field = source->fields[at];
        mapping->source_index[i] = at;
        mm_status status = retype(field, &rules[i], err);
        if (status != MM_OK)
            return status;
        field->name = rules[i].to ? rules[i].to : rules[i].from;
        if (names_primary)
            field->primary = rules[i].primary;
        for (size_t j = 0; j < i; j++)
            if (strcmp(mapping->target->fields[j].name, field->name) == 0)
                return mm_error_set(err, MM_CONFIG, "fields: `%s` stands twice as a target", field->name);
    }
    return MM_OK;
}

static mm_status check_primary(const mm_schema *target, mm_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < target->field_count; i++) {
        const mm_field *field = &target->fields[i];
        if (!field->primary)
            continue;
        count++;
        if (field->type != MM_TYPE_INT64 && field->type != MM_TYPE_VARCHAR)
            return mm_error_set(err, MM_CONFIG, "fields: the primary key `%s` must be Int64 or VarChar, not %s",
                                field->name, mm_type_name(field->type));
    }
    if (count != 1)
        return mm_error_set(err, MM_CONFIG, "fields: `%s` needs exactly one primary key, not %zu",
                            target->name, count);
    return MM_OK;
}

mm_status mm_mapping_build(mm_arena *arena, const mm_schema *source, const mm_field_rule *rules,
                           size_t rule_count, const char *target_name, mm_mapping **out, mm_error *err)
{
    size_t count = rule_count > 0 ? rule_count : source->field_count;
    mm_mapping *mapping = mm_arena_alloc(arena, sizeof(*mapping));
    mm_schema draft = *source;
    draft.name = target_name;
    mm_field *fields = mm_arena_array(arena, count, sizeof(*fields));
    int *index = mm_arena_array(arena, count, sizeof(*index));
    if (mapping == NULL || fields == NULL || index == NULL)
        return no_memory(err);
    draft.fields = fields;
    draft.field_count = count;
    *mapping = (mm_mapping){&draft, index};
    if (rule_count > 0) {
        mm_status status = apply_rules(source, rules, rule_count, mapping, err);
        if (status != MM_OK)
            return status;
    } else {
        for (size_t i = 0; i < count; i++) {
            fields[i] = source->fields[i];
            index[i] = (int)i;
        }
    }
    mm_status status = check_primary(&draft, err);
    if (status != MM_OK)
        return status;
    mapping->target = mm_schema_copy(arena, &draft);
    if (mapping->target == NULL)
        return no_memory(err);
    *out = mapping;
    return MM_OK;
}

/* Int64 to VarChar: decimal text. */
static mm_status column_to_text(mm_batch *batch, const mm_column *from, mm_column *to, mm_error *err)
{
    to->offsets = mm_arena_array(&batch->arena, batch->rows + 1, sizeof(uint64_t));
    to->values = mm_arena_array(&batch->arena, batch->rows, INT64_TEXT);
    if (to->offsets == NULL || to->values == NULL)
        return no_memory(err);
    uint64_t at = 0;
    for (size_t row = 0; row < batch->rows; row++) {
        int64_t value;
        memcpy(&value, from->values + row * sizeof(value), sizeof(value));
        to->offsets[row] = at;
        at += (uint64_t)snprintf((char *)to->values + at, INT64_TEXT, "%" PRId64, value);
    }
    to->offsets[batch->rows] = at;
    return MM_OK;
}

static mm_status map_columns(const mm_mapping *mapping, mm_batch *batch, mm_error *err)
{
    size_t count = mapping->target->field_count;
    mm_column *columns = mm_arena_array(&batch->arena, count, sizeof(*columns));
    if (columns == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const mm_column *from = &batch->columns[mapping->source_index[i]];
        columns[i] = *from;
        columns[i].field = &mapping->target->fields[i];
        if (from->field->type == columns[i].field->type)
            continue;
        mm_status status = column_to_text(batch, from, &columns[i], err);
        if (status != MM_OK)
            return status;
    }
    batch->columns = columns;
    batch->column_count = count;
    batch->schema = mapping->target;
    return MM_OK;
}

static const char *key_text(mm_batch *batch, size_t row)
{
    int primary = mm_schema_primary(batch->schema);
    const mm_column *column = &batch->columns[primary];
    size_t length = 0;
    const uint8_t *value = mm_column_at(column, row, &length);
    char *text = mm_arena_alloc(&batch->arena, (value ? length : 0) + INT64_TEXT);
    if (text == NULL || value == NULL)
        return "";
    if (column->field->type == MM_TYPE_INT64) {
        int64_t key;
        memcpy(&key, value, sizeof(key));
        snprintf(text, INT64_TEXT, "%" PRId64, key);
    } else {
        memcpy(text, value, length);
        text[length] = '\0';
    }
    return text;
}

typedef struct reject_scan {
    mm_batch *batch;
    uint8_t *keep; /* NULL until the first reject */
    mm_reject *rejects;
    size_t count, capacity;
} reject_scan;

static mm_status reject_row(reject_scan *scan, size_t row, const mm_field *field, const char *reason,
                            mm_error *err)
{
    mm_batch *batch = scan->batch;
    if (scan->keep == NULL) {
        scan->keep = mm_arena_alloc(&batch->arena, batch->rows / 8 + 1);
        if (scan->keep == NULL)
            return no_memory(err);
        memset(scan->keep, 0xFF, batch->rows / 8 + 1);
    }
    if (!(scan->keep[row / 8] >> (row % 8) & 1))
        return MM_OK; /* one reason is enough */
    scan->keep[row / 8] &= (uint8_t)~(1u << (row % 8));
    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity ? scan->capacity * 2 : 16;
        mm_reject *grown = mm_arena_array(&batch->arena, capacity, sizeof(*grown));
        if (grown == NULL)
            return no_memory(err);
        if (scan->count > 0)
            memcpy(grown, scan->rejects, scan->count * sizeof(*grown));
        scan->rejects = grown;
        scan->capacity = capacity;
    }
    uint64_t ordinal = batch->ordinals ? batch->ordinals[row] : row;
    scan->rejects[scan->count++] =
        (mm_reject){batch->first_row + ordinal, field->name, reason, key_text(batch, row)};
    return MM_OK;
}

static mm_status scan_column(reject_scan *scan, const mm_column *column, bool keep_nonfinite, mm_error *err)
{
    size_t rows = scan->batch->rows;
    mm_status status = MM_OK;
    for (size_t row = 0; !keep_nonfinite && status == MM_OK; row++) {
        row = mm_column_find_nonfinite(column, rows, row);
        if (row == rows)
            break;
        status = reject_row(scan, row, column->field, "NaN or infinity", err);
    }
    uint32_t longest = column->field->type == MM_TYPE_VARCHAR ? column->field->max_length : 0;
    for (size_t row = 0; longest > 0 && row < rows && status == MM_OK; row++)
        if (column->offsets[row + 1] - column->offsets[row] > longest)
            status = reject_row(scan, row, column->field, "longer than max_length", err);
    return status;
}

mm_status mm_mapping_apply(const mm_mapping *mapping, mm_batch *batch, bool keep_nonfinite,
                           mm_reject **rejects, size_t *reject_count, mm_error *err)
{
    mm_status status = map_columns(mapping, batch, err);
    reject_scan scan = {.batch = batch};
    for (size_t i = 0; status == MM_OK && i < batch->column_count; i++)
        status = scan_column(&scan, &batch->columns[i], keep_nonfinite, err);
    if (status == MM_OK && scan.count > 0)
        status = mm_batch_filter(batch, scan.keep, batch->rows - scan.count, err);
    if (status != MM_OK)
        return status;
    batch->rejected += scan.count;
    *rejects = scan.rejects;
    *reject_count = scan.count;
    return MM_OK;
}
