/* Types of Elasticsearch and OpenSearch as types of Milvus. The table is that of the field types in the manuals of
 * Elasticsearch 9.2 and OpenSearch 3; a type that is not in it is JSON, which takes any value. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sources/elastic/fields.h"

#define TEXT_LENGTH 65535
#define CAPACITY 4096 /* the most that Milvus allows */

static const struct {
    const char *name;
    mm_elastic_kind kind;
    mm_type type;
    const char *lost;
} types[] = {
    {"long", MM_ELASTIC_INTEGER, MM_TYPE_INT64, NULL},
    {"integer", MM_ELASTIC_INTEGER, MM_TYPE_INT32, NULL},
    {"short", MM_ELASTIC_INTEGER, MM_TYPE_INT16, NULL},
    {"byte", MM_ELASTIC_INTEGER, MM_TYPE_INT8, NULL},
    {"unsigned_long", MM_ELASTIC_INTEGER, MM_TYPE_INT64,
     "becomes Int64; a value above 9223372036854775807 is a reject"},
    {"half_float", MM_ELASTIC_NUMBER, MM_TYPE_FLOAT,
     "becomes Float, with the value of _source, not rounded to 16 bits"},
    {"float", MM_ELASTIC_NUMBER, MM_TYPE_FLOAT, NULL},
    {"double", MM_ELASTIC_NUMBER, MM_TYPE_DOUBLE, NULL},
    {"scaled_float", MM_ELASTIC_NUMBER, MM_TYPE_DOUBLE,
     "becomes Double, with the value of _source, not the scaled one"},
    {"rank_feature", MM_ELASTIC_NUMBER, MM_TYPE_FLOAT, "becomes Float: a number, no ranking"},
    {"boolean", MM_ELASTIC_BOOL, MM_TYPE_BOOL, NULL},
    {"date", MM_ELASTIC_DATE, MM_TYPE_INT64, "becomes Int64, milliseconds since 1970 (dates: text keeps the text)"},
    {"date_nanos", MM_ELASTIC_DATE, MM_TYPE_INT64,
     "becomes Int64, nanoseconds since 1970 (dates: text keeps the text)"},
    {"keyword", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, NULL},
    {"constant_keyword", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, NULL},
    {"wildcard", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, NULL},
    {"text", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, "becomes VarChar: its analysis stays behind"},
    {"match_only_text", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, "becomes VarChar: its analysis stays behind"},
    {"pattern_text", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, "becomes VarChar: its analysis stays behind"},
    {"annotated_text", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, "becomes VarChar, annotations as text in it"},
    {"search_as_you_type", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, "becomes VarChar: its analysis stays behind"},
    {"token_count", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, "becomes VarChar: the text, not the count"},
    {"murmur3", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, "becomes VarChar: the text, not the hash"},
    {"icu_collation_keyword", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, NULL},
    {"counted_keyword", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, NULL},
    {"ip", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, "becomes VarChar: no ranges of addresses"},
    {"version", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, "becomes VarChar: ordered as text, not as versions"},
    {"binary", MM_ELASTIC_TEXT, MM_TYPE_VARCHAR, "becomes VarChar: base64 as it stands there"},
    {"geo_point", MM_ELASTIC_POINT, MM_TYPE_VARCHAR,
     "becomes VarChar, WKT: no distances (types: Geometry where Milvus has it)"},
    {"dense_vector", MM_ELASTIC_DENSE, MM_TYPE_FLOAT_VECTOR, NULL},
    {"knn_vector", MM_ELASTIC_DENSE, MM_TYPE_FLOAT_VECTOR, NULL},
    {"sparse_vector", MM_ELASTIC_SPARSE, MM_TYPE_SPARSE_FLOAT_VECTOR,
     "becomes SparseFloatVector; tokens that are no number become the hash of the token"},
    {"rank_features", MM_ELASTIC_SPARSE, MM_TYPE_SPARSE_FLOAT_VECTOR,
     "becomes SparseFloatVector; features that are no number become the hash of the name"},
    {"object", MM_ELASTIC_JSON, MM_TYPE_JSON, NULL},
    {"nested", MM_ELASTIC_JSON, MM_TYPE_JSON, "becomes JSON: its objects are not searched one by one"},
    {"flattened", MM_ELASTIC_JSON, MM_TYPE_JSON, NULL},
    {"flat_object", MM_ELASTIC_JSON, MM_TYPE_JSON, NULL},
};

bool mm_elastic_is_vector(const mm_elastic_node *node)
{
    static const char *const names[] = {"dense_vector", "knn_vector", "sparse_vector", "rank_features"};
    for (size_t i = 0; node->type != NULL && i < MM_COUNT(names); i++)
        if (strcmp(node->type, names[i]) == 0)
            return true;
    return false;
}

static bool same(const char *a, const char *b)
{
    return a != NULL && strcmp(a, b) == 0;
}

static void lose(mm_buffer *lost, const char *path, const char *type, const char *words)
{
    mm_buffer_printf(lost, "%s: %s %s\n", path, type, words);
}

/* --- vectors ---------------------------------------------------------------------------------------------------- */

/* Names of Elasticsearch (similarity) and OpenSearch (space_type). A bit vector is compared by its bits anyway. */
static const char *metric_of(const mm_elastic_node *node, mm_type type)
{
    const char *name = node->similarity;
    if (type == MM_TYPE_BINARY_VECTOR)
        return "HAMMING";
    if (type == MM_TYPE_SPARSE_FLOAT_VECTOR)
        return "IP";
    if (name == NULL)
        return same(node->type, "knn_vector") ? "L2" : "COSINE"; /* the defaults */
    if (same(name, "cosine") || same(name, "cosinesimil"))
        return "COSINE";
    if (same(name, "dot_product") || same(name, "max_inner_product") || same(name, "innerproduct"))
        return "IP";
    return same(name, "l2_norm") || same(name, "l2") ? "L2" : NULL;
}

static mm_status index_of(mm_arena *arena, const mm_elastic_node *node, mm_field *field, mm_error *err)
{
    char params[64];
    bool hnsw = node->index_type != NULL && strstr(node->index_type, "hnsw") != NULL;
    if (!hnsw || node->hnsw_m == 0 || node->hnsw_ef == 0 || field->type == MM_TYPE_BINARY_VECTOR)
        return MM_OK;
    snprintf(params, sizeof(params), "{\"M\":%u,\"efConstruction\":%u}", node->hnsw_m, node->hnsw_ef);
    field->index_type = "HNSW";
    field->index_params = mm_arena_strdup(arena, params);
    return field->index_params != NULL ? MM_OK : mm_error_set(err, MM_NO_MEMORY, "out of memory for a schema");
}

static mm_status dense(mm_arena *arena, const mm_elastic_node *node, const char *path, mm_field *field,
                       mm_elastic_field *how, mm_buffer *lost, mm_error *err)
{
    bool mapped = mm_elastic_is_vector(node), given = field->dim > 0;
    bool bits = same(node->element, "bit") || same(node->element, "binary"), bytes = same(node->element, "byte");
    if (!mapped) /* a plain number whose arrays are vectors, or a name that the mapping does not have */
        bits = field->type == MM_TYPE_BINARY_VECTOR;
    uint64_t dims = node->dims != 0 ? node->dims : bits ? 8 * node->numbers : node->numbers;
    mm_type natural = bits ? MM_TYPE_BINARY_VECTOR
                      : bytes ? MM_TYPE_INT8_VECTOR
                      : same(node->element, "bfloat16") ? MM_TYPE_BFLOAT16_VECTOR
                                                        : MM_TYPE_FLOAT_VECTOR;
    if (!given) {
        field->type = natural;
        field->dim = (uint32_t)dims;
        if (bytes)
            lose(lost, path, node->type,
                 "of bytes becomes Int8Vector, which Milvus has from 2.6 on (types: FloatVector)");
    }
    if (dims == 0 && !given)
        return mm_error_set(err, MM_CONFIG,
                            "%s: neither the mapping nor a document of the sample says how many dimensions the vector "
                            "has; say so: source.types: [\"%s FloatVector(768)\"], or leave the field out",
                            path, path);
    if (dims > UINT32_MAX / 64 || (given && node->dims != 0 && node->dims != field->dim))
        return mm_error_set(err, MM_CONFIG, "%s: the mapping has %" PRIu64 " dimensions, source.types has %u", path,
                            dims, field->dim);
    if (bits != (field->type == MM_TYPE_BINARY_VECTOR) || (bits && field->dim % 8 != 0))
        return mm_error_set(err, MM_CONFIG, "%s: a vector of %u %s cannot become %s", path, field->dim,
                            bits ? "bits" : "numbers", mm_type_name(field->type));
    bool half = field->type == MM_TYPE_FLOAT16_VECTOR ||
                (field->type == MM_TYPE_BFLOAT16_VECTOR && natural != field->type);
    if (half)
        lose(lost, path, node->type, "is rounded to 16-bit floats");
    how->kind = bits ? MM_ELASTIC_BITS : MM_ELASTIC_DENSE;
    how->of_bytes = bytes;
    field->metric_type = mapped ? metric_of(node, field->type) : NULL;
    if (mapped && field->metric_type == NULL)
        lose(lost, path, node->type, "has a similarity that Milvus does not have");
    return index_of(arena, node, field, err);
}

/* --- the others ------------------------------------------------------------------------------------------------- */

/* What reads values into a type of the job's. */
static bool kind_for(const mm_elastic_node *node, const mm_field *field, mm_type type, mm_elastic_field *how)
{
    bool date = same(node->type, "date") || same(node->type, "date_nanos");
    switch (type) {
    case MM_TYPE_BOOL:
        how->kind = MM_ELASTIC_BOOL;
        return true;
    case MM_TYPE_INT8:
    case MM_TYPE_INT16:
    case MM_TYPE_INT32:
    case MM_TYPE_INT64:
        how->kind = date && type == MM_TYPE_INT64 ? MM_ELASTIC_DATE : MM_ELASTIC_INTEGER;
        return true;
    case MM_TYPE_FLOAT:
    case MM_TYPE_DOUBLE:
        how->kind = MM_ELASTIC_NUMBER;
        return true;
    case MM_TYPE_VARCHAR:
    case MM_TYPE_TEXT:
    case MM_TYPE_GEOMETRY:
    case MM_TYPE_TIMESTAMPTZ:
        how->kind = same(node->type, "geo_point") ? MM_ELASTIC_POINT : MM_ELASTIC_TEXT;
        return true;
    case MM_TYPE_JSON:
        how->kind = MM_ELASTIC_JSON;
        return true;
    case MM_TYPE_ARRAY:
        if (!kind_for(node, field, field->element_type, how) || how->kind == MM_ELASTIC_POINT)
            return false;
        how->element = how->kind;
        how->kind = MM_ELASTIC_ARRAY;
        return true;
    case MM_TYPE_SPARSE_FLOAT_VECTOR:
        how->kind = MM_ELASTIC_SPARSE;
        return true;
    default:
        how->kind = MM_ELASTIC_DENSE;
        return mm_type_is_vector(type);
    }
}

static mm_status as_asked(mm_arena *arena, const mm_elastic_node *node, const char *path, const mm_field *given,
                          mm_field *field, mm_elastic_field *how, mm_buffer *lost, mm_error *err)
{
    *field = *given;
    if (!kind_for(node, field, field->type, how))
        return mm_error_set(err, MM_CONFIG, "source.types: `%s` cannot become %s", path, mm_type_name(field->type));
    if (how->kind == MM_ELASTIC_SPARSE)
        field->metric_type = "IP";
    if (how->kind == MM_ELASTIC_DENSE)
        return dense(arena, node, path, field, how, lost, err);
    if (how->kind == MM_ELASTIC_DATE && !mm_elastic_dates_of(node->format, same(node->type, "date_nanos"), &how->dates))
        return mm_error_set(err, MM_CONFIG, "source.types: `%s`: dates of the format `%s` can only be read as VarChar",
                            path, node->format);
    return MM_OK;
}

/* Dates that are asked for as text, or whose format is not known; points as JSON. */
static void by_choice(const mm_elastic_node *node, const char *path, const mm_elastic_choice *choice, mm_field *field,
                      mm_elastic_field *how, const char **words, mm_buffer *lost)
{
    if (how->kind == MM_ELASTIC_DATE) {
        bool text = same(choice->dates, "text");
        bool known = mm_elastic_dates_of(node->format, same(node->type, "date_nanos"), &how->dates);
        if (text || !known) {
            how->kind = MM_ELASTIC_TEXT;
            field->type = MM_TYPE_VARCHAR;
            *words = NULL;
            if (!text)
                lose(lost, path, node->type, "of a format that is not known here becomes VarChar, the text");
        }
    }
    if (how->kind == MM_ELASTIC_POINT && same(choice->geo, "json")) {
        how->kind = MM_ELASTIC_JSON;
        field->type = MM_TYPE_JSON;
        *words = NULL;
    }
}

/* Scalars that have several values in the sample. */
static void several(const mm_elastic_node *node, const char *path, const mm_elastic_choice *choice, mm_field *field,
                    mm_elastic_field *how, const char **words, mm_buffer *lost)
{
    bool point = how->kind == MM_ELASTIC_POINT;
    if (node->several == 0 || how->kind == MM_ELASTIC_JSON || (point && !node->mixed))
        return; /* [lon, lat] is one point */
    if (same(choice->arrays, "json") || point || node->longest > CAPACITY) {
        how->kind = MM_ELASTIC_JSON;
        field->type = MM_TYPE_JSON;
        *words = same(choice->json, "object") ? "with several values becomes JSON, {\"value\": […]}"
                                              : "with several values becomes JSON (Milvus before 2.4: json: object)";
        return;
    }
    field->element_type = field->type;
    field->type = MM_TYPE_ARRAY;
    field->max_capacity = CAPACITY;
    how->element = how->kind;
    how->kind = MM_ELASTIC_ARRAY;
    if (node->mixed)
        lose(lost, path, node->type, "with several values becomes Array; null in an array is left out");
}

mm_status mm_elastic_type(mm_arena *arena, const mm_elastic_node *node, const char *path, const mm_field *given,
                          const mm_elastic_choice *choice, mm_field *field, mm_elastic_field *how, mm_buffer *lost,
                          mm_error *err)
{
    *field = (mm_field){.type = MM_TYPE_JSON};
    *how = (mm_elastic_field){.path = path, .kind = MM_ELASTIC_JSON, .text = node->value, .null_value = node->null_value};
    how->wrapped = same(choice->json, "object");
    if (given != NULL)
        return as_asked(arena, node, path, given, field, how, lost, err);
    const char *words = "becomes JSON";
    for (size_t i = 0; i < MM_COUNT(types); i++) {
        if (!same(node->type, types[i].name))
            continue;
        how->kind = types[i].kind;
        field->type = types[i].type;
        words = types[i].lost;
    }
    if (how->kind == MM_ELASTIC_DENSE)
        return dense(arena, node, path, field, how, lost, err);
    if (how->kind == MM_ELASTIC_SPARSE) {
        field->metric_type = "IP";
    } else {
        by_choice(node, path, choice, field, how, &words, lost);
        several(node, path, choice, field, how, &words, lost);
    }
    if (words != NULL)
        lose(lost, path, node->type, words);
    mm_type text = field->type == MM_TYPE_ARRAY ? field->element_type : field->type;
    field->max_length = text == MM_TYPE_VARCHAR ? TEXT_LENGTH : 0;
    return MM_OK;
}
