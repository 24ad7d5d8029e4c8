/* Types of fields, and values. */
#include "sources/hdf5/values.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/half.h"
#include "base/util.h"

/* --- types ------------------------------------------------------------------------------------------------------ */

static bool is_integer(const mm_hdf5_element *element)
{
    return element->kind == MM_HDF5_SIGNED || element->kind == MM_HDF5_UNSIGNED;
}

static bool is_called_embeddings(const char *name)
{
    const char *slash = strrchr(name, '/');
    return strcmp(slash != NULL ? slash + 1 : name, "embeddings") == 0;
}

static mm_type type_by_itself(const mm_hdf5_array *array, const char *distance)
{
    bool of_bits = strcasecmp(distance, "hamming") == 0 || strcasecmp(distance, "jaccard") == 0;
    switch (array->element.kind) {
    case MM_HDF5_FLOAT:
        return array->element.size == 2 ? MM_TYPE_FLOAT16_VECTOR : MM_TYPE_FLOAT_VECTOR;
    case MM_HDF5_UNSIGNED:
        return array->element.size == 1 && (of_bits || is_called_embeddings(array->name)) ? MM_TYPE_BINARY_VECTOR
                                                                                          : MM_TYPE_FLOAT_VECTOR;
    case MM_HDF5_BOOL:
    case MM_HDF5_BYTES:
        return MM_TYPE_BINARY_VECTOR;
    default:
        return MM_TYPE_FLOAT_VECTOR;
    }
}

static bool can_become(const mm_hdf5_array *array, mm_type type)
{
    const mm_hdf5_element *element = &array->element;
    switch (type) {
    case MM_TYPE_FLOAT_VECTOR:
        return element->kind == MM_HDF5_FLOAT || is_integer(element);
    case MM_TYPE_FLOAT16_VECTOR:
        return element->kind == MM_HDF5_FLOAT && element->size == 2;
    case MM_TYPE_INT8_VECTOR:
        return element->kind == MM_HDF5_SIGNED && element->size == 1;
    case MM_TYPE_BINARY_VECTOR:
        return (element->kind == MM_HDF5_UNSIGNED && element->size == 1) ||
               (element->kind == MM_HDF5_BYTES && array->columns == 1) ||
               (element->kind == MM_HDF5_BOOL && array->columns % 8 == 0);
    default:
        return false;
    }
}

mm_status mm_hdf5_vector_field(const mm_hdf5_array *array, const char *file, const char *distance, mm_type wanted,
                               mm_field *field, mm_error *err)
{
    char text[40];
    mm_type type = wanted != MM_TYPE_NONE ? wanted : type_by_itself(array, distance);
    if (!can_become(array, type))
        return mm_error_set(err, MM_DATA, "%s: dataset %s: %" PRIu64 " × %s cannot become a %s%s", file, array->name,
                            array->columns, mm_hdf5_element_text(&array->element, text), mm_type_name(type),
                            array->element.kind == MM_HDF5_BOOL ? ": truth values are packed eight to a byte" : "");
    uint64_t bits = array->element.kind == MM_HDF5_BOOL ? array->columns : 8 * mm_hdf5_width(array);
    field->type = type;
    /* a row has at most MM_HDF5_ROW_MAX bytes */
    field->dim = (uint32_t)(type == MM_TYPE_BINARY_VECTOR ? bits : array->columns);
    return MM_OK;
}

const char *mm_hdf5_metric(const char *distance, mm_type type)
{
    static const struct {
        const char *distance, *metric;
        bool bits;
    } known[] = {{"euclidean", "L2", false}, {"l2", "L2", false},         {"angular", "COSINE", false},
                 {"cosine", "COSINE", false}, {"dot", "IP", false},        {"ip", "IP", false},
                 {"hamming", "HAMMING", true}, {"jaccard", "JACCARD", true}};
    for (size_t i = 0; i < MM_COUNT(known); i++)
        if (strcasecmp(known[i].distance, distance) == 0)
            return known[i].bits == (type == MM_TYPE_BINARY_VECTOR) ? known[i].metric : NULL;
    return NULL;
}

mm_status mm_hdf5_check_ids(const mm_hdf5_array *array, const char *file, mm_error *err)
{
    char text[40];
    if (is_integer(&array->element))
        return MM_OK;
    return mm_error_set(err, MM_DATA, "%s: dataset %s: ids are integers, and these are %s", file, array->name,
                        mm_hdf5_element_text(&array->element, text));
}

/* --- values ----------------------------------------------------------------------------------------------------- */

bool mm_hdf5_is_same(const mm_hdf5_array *array, mm_type type)
{
    const mm_hdf5_element *element = &array->element;
    bool turned = element->big_endian && element->size > 1;
    switch (type) {
    case MM_TYPE_INT64:
        return element->kind == MM_HDF5_SIGNED && element->size == 8 && !turned;
    case MM_TYPE_FLOAT_VECTOR:
        return element->kind == MM_HDF5_FLOAT && element->size == 4 && !turned;
    case MM_TYPE_FLOAT16_VECTOR:
        return !turned;
    case MM_TYPE_BINARY_VECTOR:
        return element->kind != MM_HDF5_BOOL;
    default: /* Int8Vector */
        return true;
    }
}

static inline uint64_t load(const uint8_t *from, unsigned size, bool big_endian)
{
    uint64_t word;
    uint32_t half;
    uint16_t quarter;
    switch (size) {
    case 8:
        memcpy(&word, from, 8);
        return big_endian ? __builtin_bswap64(word) : word;
    case 4:
        memcpy(&half, from, 4);
        return big_endian ? __builtin_bswap32(half) : half;
    case 2:
        memcpy(&quarter, from, 2);
        return big_endian ? __builtin_bswap16(quarter) : quarter;
    default:
        return *from;
    }
}

static inline int64_t load_signed(const uint8_t *from, unsigned size, bool big_endian)
{
    unsigned spare = 64 - 8 * size;
    return (int64_t)(load(from, size, big_endian) << spare) >> spare;
}

/* Each returns how many values it converted: fewer than `count` where one does not fit. */
static size_t floats_from_floats(const mm_hdf5_element *element, const uint8_t *from, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++, from += element->size) {
        uint64_t word = load(from, element->size, element->big_endian);
        uint32_t low = (uint32_t)word;
        double value;
        if (element->size == 4) {
            memcpy(&out[i], &low, sizeof(low)); /* a NaN's bits stay */
        } else if (element->size == 2) {
            out[i] = mm_half_to_float((uint16_t)word);
        } else {
            memcpy(&value, &word, sizeof(value));
            out[i] = (float)value;
            if (isinf(out[i]) && !isinf(value))
                return i;
        }
    }
    return count;
}

static size_t floats_from_integers(const mm_hdf5_element *element, const uint8_t *from, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++, from += element->size)
        out[i] = element->kind == MM_HDF5_SIGNED ? (float)load_signed(from, element->size, element->big_endian)
                                                 : (float)load(from, element->size, element->big_endian);
    return count;
}

static size_t ids_from_integers(const mm_hdf5_element *element, const uint8_t *from, size_t count, int64_t *out)
{
    for (size_t i = 0; i < count; i++, from += element->size) {
        out[i] = element->kind == MM_HDF5_SIGNED ? load_signed(from, element->size, element->big_endian)
                                                 : (int64_t)load(from, element->size, element->big_endian);
        if (element->kind == MM_HDF5_UNSIGNED && out[i] < 0)
            return i;
    }
    return count;
}

/* As numpy.packbits. */
static void pack_bits(const uint8_t *from, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count / 8; i++, from += 8) {
        unsigned byte = 0;
        for (unsigned b = 0; b < 8; b++)
            byte = byte << 1 | (from[b] != 0);
        out[i] = (uint8_t)byte;
    }
}

static void turn(const uint8_t *from, size_t count, uint16_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (uint16_t)load(from + 2 * i, 2, true);
}

mm_status mm_hdf5_convert(const mm_hdf5_array *array, mm_type type, const char *file, uint64_t first, size_t rows,
                          const uint8_t *from, uint8_t *out, mm_error *err)
{
    size_t count = rows * (size_t)array->columns, done = count;
    if (mm_hdf5_is_same(array, type))
        memcpy(out, from, rows * (size_t)mm_hdf5_width(array));
    else if (type == MM_TYPE_INT64)
        done = ids_from_integers(&array->element, from, count, (int64_t *)(void *)out);
    else if (type == MM_TYPE_FLOAT16_VECTOR)
        turn(from, count, (uint16_t *)(void *)out);
    else if (type == MM_TYPE_BINARY_VECTOR)
        pack_bits(from, count, out);
    else if (array->element.kind == MM_HDF5_FLOAT)
        done = floats_from_floats(&array->element, from, count, (float *)(void *)out);
    else
        done = floats_from_integers(&array->element, from, count, (float *)(void *)out);
    if (done == count)
        return MM_OK;
    return mm_error_set(err, MM_DATA, "%s: dataset %s, row %" PRIu64 ", column %" PRIu64 ": %s", file, array->name,
                        first + done / array->columns, (uint64_t)(done % array->columns),
                        type == MM_TYPE_INT64 ? "an id beyond 64 bits with a sign"
                                              : "a double beyond the range of a float");
}
