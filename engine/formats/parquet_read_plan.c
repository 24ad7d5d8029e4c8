/* Which column becomes which field, and how; and the fields that a file suggests when no schema is given. The table of
 * docs/formats.md, "Reading Parquet". Knows no page. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "formats/parquet_read_internal.h"
#include "model/array.h"

#define VARCHAR_MAX 65535 /* Milvus's limits: bytes of a VarChar, elements of an Array, dimensions of a vector */
#define CAPACITY_MAX 4096
#define DIM_MIN 2
#define DIM_MAX 32768

static const char *kind_name(mm_parquet_kind kind)
{
    static const char *const names[] = {"", "BOOLEAN", "INT32", "unsigned INT32", "INT64", "unsigned INT64",
                                        "FLOAT", "DOUBLE", "FLOAT16", "DECIMAL", "STRING", "JSON", "BYTE_ARRAY",
                                        "FIXED_LEN_BYTE_ARRAY", "UUID"};
    return names[kind];
}

static bool is_text(mm_parquet_kind kind)
{
    return kind == MM_PARQUET_KIND_TEXT || kind == MM_PARQUET_KIND_JSON || kind == MM_PARQUET_KIND_BYTES;
}

/* --- a column and a field ----------------------------------------------------------------------------------------- */

/* A dense vector as a list: of floats, or of its bytes. */
static bool plan_vector_list(const mm_parquet_leaf *leaf, const mm_field *field, mm_parquet_plan *out)
{
    out->way = MM_PARQUET_WAY_VECTOR;
    out->rounding = true;
    switch (field->type) {
    case MM_TYPE_FLOAT_VECTOR:
        out->element = MM_TYPE_FLOAT;
        out->elements = field->dim;
        break;
    case MM_TYPE_INT8_VECTOR:
        out->element = MM_TYPE_INT8;
        out->elements = field->dim;
        break;
    case MM_TYPE_FLOAT16_VECTOR:
        if (leaf->kind == MM_PARQUET_KIND_HALF) {
            out->element = MM_TYPE_FLOAT16_VECTOR;
            out->elements = field->dim;
            break;
        }
        /* fall through */
    default:
        out->element = MM_TYPE_BINARY_VECTOR; /* a byte */
        out->elements = mm_type_width(field->type, field->dim);
    }
    return mm_parquet_converts(leaf->kind, out->element);
}

static bool plan_vector(const mm_parquet_leaf *leaf, const mm_field *field, mm_parquet_plan *out)
{
    if (leaf->list)
        return plan_vector_list(leaf, field, out);
    out->way = MM_PARQUET_WAY_OPAQUE;
    return leaf->kind == MM_PARQUET_KIND_BYTES ||
           (leaf->kind == MM_PARQUET_KIND_FIXED &&
            (size_t)leaf->type_length == mm_type_width(field->type, field->dim));
}

static bool plan_array(const mm_parquet_leaf *leaf, const mm_field *field, mm_parquet_plan *out)
{
    out->way = MM_PARQUET_WAY_ARRAY;
    out->element = field->element_type;
    out->check_utf8 = field->element_type == MM_TYPE_VARCHAR;
    if (!leaf->list || !mm_array_element_valid(field->element_type))
        return false;
    return out->check_utf8 ? is_text(leaf->kind) : mm_parquet_converts(leaf->kind, field->element_type);
}

static bool plan_single(const mm_parquet_leaf *leaf, const mm_field *field, mm_parquet_plan *out)
{
    if (leaf->list)
        return false;
    out->element = field->type;
    switch (field->type) {
    case MM_TYPE_SPARSE_FLOAT_VECTOR:
        out->way = MM_PARQUET_WAY_SPARSE;
        return is_text(leaf->kind);
    case MM_TYPE_VARCHAR:
    case MM_TYPE_TEXT:
    case MM_TYPE_JSON:
    case MM_TYPE_GEOMETRY:
    case MM_TYPE_TIMESTAMPTZ:
        out->way = leaf->kind == MM_PARQUET_KIND_UUID ? MM_PARQUET_WAY_UUID : MM_PARQUET_WAY_TEXT;
        out->check_utf8 = true;
        return is_text(leaf->kind) ||
               (leaf->kind == MM_PARQUET_KIND_UUID && (field->type == MM_TYPE_VARCHAR || field->type == MM_TYPE_TEXT));
    default:
        out->way = MM_PARQUET_WAY_NUMBER;
        return mm_parquet_converts(leaf->kind, field->type);
    }
}

mm_status mm_parquet_plan_field(const mm_input *input, const mm_parquet_leaf *leaf, const mm_field *field,
                                mm_parquet_plan *out, mm_error *err)
{
    mm_parquet_plan plan = {.way = MM_PARQUET_WAY_ABSENT, .leaf = leaf};
    if (leaf == NULL && !field->nullable && !field->dynamic)
        return mm_parquet_bad(input, input->size, err, "footer: there is no column '%s', which is a field that is not "
                              "nullable", field->name);
    if (leaf == NULL) {
        *out = plan;
        return MM_OK;
    }
    if (leaf->refusal != NULL)
        return mm_parquet_bad(input, leaf->at, err, "column '%s' %s", leaf->name, leaf->refusal);
    bool dense = mm_type_is_vector(field->type) && field->type != MM_TYPE_SPARSE_FLOAT_VECTOR;
    if (dense && mm_type_width(field->type, field->dim) == 0)
        return mm_parquet_bad(input, leaf->at, err, "column '%s': the field has no dimension", leaf->name);
    bool fits = dense                           ? plan_vector(leaf, field, &plan)
                : field->type == MM_TYPE_ARRAY ? plan_array(leaf, field, &plan)
                                               : plan_single(leaf, field, &plan);
    if (!fits)
        return mm_parquet_bad(input, leaf->at, err, "column '%s', %s%s%s, cannot become a field of type %s%s%s%s",
                              leaf->name, leaf->list ? "a list of " : "", kind_name(leaf->kind),
                              leaf->kind == MM_PARQUET_KIND_FIXED ? " of another length" : "",
                              mm_type_name(field->type),
                              field->type == MM_TYPE_ARRAY ? " of " : "",
                              field->type == MM_TYPE_ARRAY && mm_type_name(field->element_type) != NULL
                                  ? mm_type_name(field->element_type)
                                  : "",
                              leaf->kind == MM_PARQUET_KIND_FIXED && dense ? " of this dimension" : "");
    *out = plan;
    return MM_OK;
}

/* --- the fields that a file suggests ------------------------------------------------------------------------------ */

/* The type that holds all values of a kind; NONE: there is none. */
static mm_type scalar_of(const mm_parquet_leaf *leaf)
{
    switch (leaf->kind) {
    case MM_PARQUET_KIND_BOOL:
        return MM_TYPE_BOOL;
    case MM_PARQUET_KIND_INT32:
        return leaf->bits == 8 ? MM_TYPE_INT8 : leaf->bits == 16 ? MM_TYPE_INT16 : MM_TYPE_INT32;
    case MM_PARQUET_KIND_UINT32:
        return leaf->bits == 8 ? MM_TYPE_INT16 : leaf->bits == 16 ? MM_TYPE_INT32 : MM_TYPE_INT64;
    case MM_PARQUET_KIND_INT64:
    case MM_PARQUET_KIND_UINT64:
    case MM_PARQUET_KIND_DECIMAL:
        return MM_TYPE_INT64;
    case MM_PARQUET_KIND_FLOAT:
    case MM_PARQUET_KIND_HALF:
        return MM_TYPE_FLOAT;
    case MM_PARQUET_KIND_DOUBLE:
        return MM_TYPE_DOUBLE;
    case MM_PARQUET_KIND_TEXT:
        return MM_TYPE_VARCHAR;
    case MM_PARQUET_KIND_JSON:
        return MM_TYPE_JSON;
    case MM_PARQUET_KIND_UUID:
        return MM_TYPE_VARCHAR;
    default:
        return MM_TYPE_NONE;
    }
}

static bool is_vector(const mm_parquet_leaf *leaf, uint32_t elements)
{
    bool real = leaf->kind == MM_PARQUET_KIND_FLOAT || leaf->kind == MM_PARQUET_KIND_DOUBLE ||
                leaf->kind == MM_PARQUET_KIND_HALF;
    return leaf->list && real && elements >= DIM_MIN && elements <= DIM_MAX;
}

mm_status mm_parquet_infer_field(const mm_input *input, const mm_parquet_leaf *leaf, uint32_t elements, bool nullable,
                                 mm_field *out, mm_error *err)
{
    mm_field field = {.name = leaf->name, .nullable = nullable};
    if (leaf->refusal != NULL)
        return mm_parquet_bad(input, leaf->at, err, "column '%s' %s. A schema without the column leaves it out",
                              leaf->name, leaf->refusal);
    mm_type type = scalar_of(leaf);
    if (type == MM_TYPE_NONE || (leaf->list && !mm_array_element_valid(type) && type != MM_TYPE_JSON) ||
        (leaf->list && leaf->kind == MM_PARQUET_KIND_UUID))
        return mm_parquet_bad(input, leaf->at, err, "column '%s' is %s%s, which may be text or a vector of several "
                              "types: give its type in a schema, or a schema without it", leaf->name,
                              leaf->list ? "a list of " : "", kind_name(leaf->kind));
    field.max_length = type == MM_TYPE_VARCHAR ? leaf->kind == MM_PARQUET_KIND_UUID ? 36 : VARCHAR_MAX : 0;
    field.type = type;
    if (is_vector(leaf, elements)) {
        field.type = leaf->kind == MM_PARQUET_KIND_HALF ? MM_TYPE_FLOAT16_VECTOR : MM_TYPE_FLOAT_VECTOR;
        field.dim = elements;
    } else if (leaf->list) {
        field.type = MM_TYPE_ARRAY;
        field.element_type = type == MM_TYPE_JSON ? MM_TYPE_VARCHAR : type;
        field.max_capacity = CAPACITY_MAX;
        field.max_length = field.element_type == MM_TYPE_VARCHAR ? VARCHAR_MAX : 0;
    } else if (strcmp(leaf->name, "$meta") == 0 && is_text(leaf->kind)) {
        field = (mm_field){.name = leaf->name, .type = MM_TYPE_JSON, .dynamic = true};
    }
    *out = field;
    return MM_OK;
}
