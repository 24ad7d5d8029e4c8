/* Compares the schema that the plan wants with that of a collection in the target, field by field, and
 * names each difference. */
#include "sinks/milvus/internal.h"

#include <string.h>

static void difference(mm_buffer *out, const char *field)
{
    mm_buffer_printf(out, "%sfield '%s': ", out->size > 0 ? "; " : "", field);
}

static const char *type_name(mm_type type)
{
    const char *name = mm_type_name(type);
    return name != NULL ? name : "unknown type";
}

static void compare_number(mm_buffer *out, const char *field, const char *what, uint32_t want, uint32_t have)
{
    if (want == have)
        return;
    difference(out, field);
    mm_buffer_printf(out, "%s %u wanted, %u there", what, want, have);
}

static void compare_flag(mm_buffer *out, const char *field, const char *what, bool want, bool have)
{
    if (want == have)
        return;
    difference(out, field);
    mm_buffer_printf(out, "%s%s wanted, %s%s there", want ? "" : "not ", what, have ? "" : "not ", what);
}

static void compare_field(const mm_field *want, const mm_field *have, mm_buffer *out)
{
    if (want->type != have->type) {
        difference(out, want->name);
        mm_buffer_printf(out, "%s wanted, %s there", type_name(want->type), type_name(have->type));
        return;
    }
    compare_flag(out, want->name, "primary key", want->primary, have->primary);
    compare_flag(out, want->name, "autoID", want->auto_id, have->auto_id);
    compare_flag(out, want->name, "partition key", want->partition_key, have->partition_key);
    if (mm_type_is_vector(want->type) && want->type != MM_TYPE_SPARSE_FLOAT_VECTOR)
        compare_number(out, want->name, "dim", want->dim, have->dim);
    if (want->type == MM_TYPE_ARRAY && want->element_type != have->element_type) {
        difference(out, want->name);
        mm_buffer_printf(out, "elements %s wanted, %s there", type_name(want->element_type),
                         type_name(have->element_type));
    }
    if (want->nullable && !have->nullable) {
        difference(out, want->name);
        mm_buffer_printf(out, "nullable wanted, not nullable there");
    }
    if (want->type == MM_TYPE_VARCHAR && want->max_length > 0 && have->max_length > 0 &&
        have->max_length < want->max_length) {
        difference(out, want->name);
        mm_buffer_printf(out, "max_length %u wanted, %u there", want->max_length, have->max_length);
    }
}

static const mm_field *find(const mm_schema *schema, const mm_field *field)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const mm_field *other = &schema->fields[i];
        if ((field->dynamic && other->dynamic) || strcmp(other->name, field->name) == 0)
            return other;
    }
    return NULL;
}

void mm_milvus_schema_differences(const mm_schema *want, const mm_schema *have, mm_buffer *out)
{
    for (size_t i = 0; i < want->field_count; i++) {
        const mm_field *other = find(have, &want->fields[i]);
        if (other != NULL) {
            compare_field(&want->fields[i], other, out);
        } else {
            difference(out, want->fields[i].name);
            mm_buffer_printf(out, "%s wanted, not there", type_name(want->fields[i].type));
        }
    }
    for (size_t i = 0; i < have->field_count; i++) {
        const mm_field *field = &have->fields[i];
        if (find(want, field) != NULL || field->nullable || field->dynamic || (field->primary && field->auto_id))
            continue;
        difference(out, field->name);
        mm_buffer_printf(out, "%s there, gets no values", type_name(field->type));
    }
}
