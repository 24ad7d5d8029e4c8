/* From the tree of schema elements to columns: which of them are single values or lists of single values, and what the
 * values are. parquet-format, LogicalTypes.md ("Lists" with its rules of backward compatibility, the annotations).
 * What we do not read is named, not guessed. Knows no page and no field. */
#include <stdio.h>
#include <string.h>

#include "formats/parquet_read_internal.h"

static bool is_list(const mm_parquet_element *e)
{
    return e->converted == MM_PARQUET_LIST || e->logical == MM_PARQUET_LOGICAL_LIST;
}

static bool is_map(const mm_parquet_element *e)
{
    return e->converted == MM_PARQUET_MAP || e->converted == MM_PARQUET_MAP_KEY_VALUE ||
           e->logical == MM_PARQUET_LOGICAL_MAP;
}

/* --- what a leaf's values are ------------------------------------------------------------------------------------- */

static mm_parquet_kind refuse(mm_parquet_leaf *leaf, const char *why)
{
    leaf->refusal = why;
    return MM_PARQUET_KIND_REFUSED;
}

static bool is_decimal(const mm_parquet_element *e)
{
    return e->logical == MM_PARQUET_LOGICAL_DECIMAL || e->converted == MM_PARQUET_DECIMAL;
}

static const char decimal_refused[] = "is a DECIMAL with digits behind the point: cast it to DOUBLE, or to BIGINT";
static const char wide_refused[] = "is a DECIMAL of more than 18 digits: cast it to BIGINT or VARCHAR";

static mm_parquet_kind integer_kind(const mm_parquet_element *e, mm_parquet_leaf *leaf)
{
    bool wide = e->type == MM_PARQUET_INT64, is_signed = true;
    leaf->bits = wide ? 64 : 32;
    if (is_decimal(e) && e->scale != 0)
        return refuse(leaf, decimal_refused);
    if (e->logical == MM_PARQUET_LOGICAL_INTEGER) {
        leaf->bits = e->int_bits;
        is_signed = e->int_signed;
    } else if (e->converted >= MM_PARQUET_UINT_8 && e->converted <= MM_PARQUET_UINT_64) {
        leaf->bits = 8 << (e->converted - MM_PARQUET_UINT_8);
        is_signed = false;
    } else if (e->converted >= MM_PARQUET_INT_8 && e->converted <= MM_PARQUET_INT_64) {
        leaf->bits = 8 << (e->converted - MM_PARQUET_INT_8);
    }
    if (leaf->bits != 8 && leaf->bits != 16 && leaf->bits != 32 && leaf->bits != 64)
        return refuse(leaf, "is an integer of an unknown number of bits");
    if (wide)
        return is_signed ? MM_PARQUET_KIND_INT64 : MM_PARQUET_KIND_UINT64;
    return is_signed ? MM_PARQUET_KIND_INT32 : MM_PARQUET_KIND_UINT32;
}

static mm_parquet_kind bytes_kind(const mm_parquet_element *e, mm_parquet_leaf *leaf)
{
    if (is_decimal(e))
        return refuse(leaf, e->scale != 0 ? decimal_refused : wide_refused);
    if (e->logical == MM_PARQUET_LOGICAL_STRING || e->logical == MM_PARQUET_LOGICAL_ENUM ||
        e->converted == MM_PARQUET_UTF8 || e->converted == MM_PARQUET_ENUM)
        return MM_PARQUET_KIND_TEXT;
    if (e->logical == MM_PARQUET_LOGICAL_JSON || e->converted == MM_PARQUET_JSON)
        return MM_PARQUET_KIND_JSON;
    if (e->logical == MM_PARQUET_LOGICAL_BSON || e->converted == MM_PARQUET_BSON)
        return refuse(leaf, "is BSON: write it as JSON text");
    if (e->logical < 0)
        return refuse(leaf, "has a logical type that this version does not know");
    return MM_PARQUET_KIND_BYTES;
}

static mm_parquet_kind fixed_kind(const mm_parquet_element *e, mm_parquet_leaf *leaf)
{
    if (is_decimal(e) && e->scale != 0)
        return refuse(leaf, decimal_refused);
    if (is_decimal(e))
        return e->precision <= 18 && e->type_length <= 16 ? MM_PARQUET_KIND_DECIMAL : refuse(leaf, wide_refused);
    if (e->logical == MM_PARQUET_LOGICAL_FLOAT16 && e->type_length == 2)
        return MM_PARQUET_KIND_HALF;
    if (e->logical == MM_PARQUET_LOGICAL_UUID && e->type_length == 16)
        return MM_PARQUET_KIND_UUID;
    if (e->converted == MM_PARQUET_INTERVAL)
        return refuse(leaf, "is an INTERVAL: cast it to BIGINT or VARCHAR");
    if (e->logical < 0)
        return refuse(leaf, "has a logical type that this version does not know");
    return MM_PARQUET_KIND_FIXED;
}

static mm_parquet_kind kind_of(const mm_parquet_element *e, mm_parquet_leaf *leaf)
{
    leaf->type = e->type;
    leaf->type_length = e->type_length;
    switch (e->type) {
    case MM_PARQUET_BOOLEAN:
        return MM_PARQUET_KIND_BOOL;
    case MM_PARQUET_INT32:
    case MM_PARQUET_INT64:
        return integer_kind(e, leaf);
    case MM_PARQUET_INT96:
        return refuse(leaf, "is of the deprecated type INT96: write timestamps as TIMESTAMP (Spark: "
                            "spark.sql.parquet.outputTimestampType=TIMESTAMP_MICROS)");
    case MM_PARQUET_FLOAT:
        return MM_PARQUET_KIND_FLOAT;
    case MM_PARQUET_DOUBLE:
        return MM_PARQUET_KIND_DOUBLE;
    case MM_PARQUET_BYTE_ARRAY:
        return bytes_kind(e, leaf);
    default:
        return fixed_kind(e, leaf);
    }
}

/* --- flat, or a list ---------------------------------------------------------------------------------------------- */

static const char struct_refused[] = "is a struct: flatten it, or write it as JSON text (a sparse vector as "
                                     "{\"12\": 0.5})";
static const char map_refused[] = "is a map: write it as JSON text";
static const char nested_refused[] = "is a list of lists or structs: only lists of single values are read; write it as "
                                     "JSON text";

/* True when the repeated group itself is the element, by the names that old writers gave it. */
static bool is_element(const mm_parquet_element *list, const mm_parquet_element *repeated)
{
    size_t length = strlen(list->name);
    return strcmp(repeated->name, "array") == 0 || (strncmp(repeated->name, list->name, length) == 0 &&
                                                    strcmp(repeated->name + length, "_tuple") == 0);
}

/* e: the column's first element, its subtree behind it; `count` elements in all. */
static void read_list(const mm_parquet_element *e, size_t count, mm_parquet_leaf *leaf)
{
    const mm_parquet_element *repeated = &e[1], *element = repeated;
    uint8_t outer = e->repetition == MM_PARQUET_OPTIONAL ? 1 : 0;
    if (e->children != 1 || repeated->repetition != MM_PARQUET_REPEATED) {
        leaf->refusal = nested_refused;
        return;
    }
    if (repeated->type < 0) {
        element = &e[2];
        if (count != 3 || element->type < 0 || element->repetition == MM_PARQUET_REPEATED ||
            is_element(e, repeated)) {
            leaf->refusal = nested_refused;
            return;
        }
    }
    leaf->list = true;
    leaf->max_repetition = 1;
    leaf->list_definition = outer;
    leaf->max_definition = outer + 1 + (element->repetition == MM_PARQUET_OPTIONAL ? 1 : 0);
    leaf->kind = kind_of(element, leaf);
}

static void read_column(const mm_parquet_element *e, size_t count, mm_parquet_leaf *leaf)
{
    leaf->optional = e->repetition == MM_PARQUET_OPTIONAL;
    if (e->type >= 0) {
        leaf->list = e->repetition == MM_PARQUET_REPEATED;
        leaf->max_repetition = leaf->list;
        leaf->max_definition = leaf->list || leaf->optional;
        leaf->kind = kind_of(e, leaf);
    } else if (e->repetition == MM_PARQUET_REPEATED) {
        leaf->refusal = nested_refused;
    } else if (is_map(e)) {
        leaf->refusal = map_refused;
    } else if (is_list(e)) {
        read_list(e, count, leaf);
    } else {
        leaf->refusal = struct_refused;
    }
}

/* Number of elements of the subtree at `at`; 0: they do not add up. */
static size_t subtree(const mm_parquet_meta *meta, size_t at, size_t *leaves)
{
    uint64_t open = 1;
    size_t i = at;
    *leaves = 0;
    for (; open > 0; i++) {
        if (i == meta->element_count)
            return 0;
        const mm_parquet_element *e = &meta->elements[i];
        bool leaf = e->type >= 0;
        if (leaf != (e->children == 0) || e->children > meta->element_count)
            return 0;
        *leaves += leaf;
        open += e->children;
        open--;
    }
    return i - at;
}

mm_status mm_parquet_leaves(const mm_input *input, mm_parquet_meta *meta, mm_parquet_leaf **out, size_t *count,
                            mm_error *err)
{
    const mm_parquet_element *root = &meta->elements[0];
    size_t columns = root->children, at = 1, index = 0;
    if (root->type >= 0 || columns > meta->element_count)
        return mm_parquet_bad(input, root->at, err, "footer: the schema has no root");
    mm_parquet_leaf *leaves = mm_arena_array(&meta->arena, columns, sizeof(*leaves));
    if (leaves == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", input->name);
    for (size_t i = 0; i < columns; i++) {
        const mm_parquet_element *e = &meta->elements[at];
        size_t inside = 0, size = at < meta->element_count ? subtree(meta, at, &inside) : 0;
        if (size == 0)
            return mm_parquet_bad(input, root->at, err, "footer: the schema's elements do not form a tree");
        leaves[i] = (mm_parquet_leaf){.name = e->name, .index = index, .at = e->at};
        read_column(e, size, &leaves[i]);
        at += size;
        index += inside;
    }
    if (at != meta->element_count)
        return mm_parquet_bad(input, root->at, err, "footer: the schema's elements do not form a tree");
    *out = leaves;
    *count = columns;
    return MM_OK;
}
