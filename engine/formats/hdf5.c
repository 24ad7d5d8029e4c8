/* The library's lock, its errors as words, and element types. Knows no dataset. */
#include "formats/hdf5.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

/* --- the lock --------------------------------------------------------------------------------------------------- */

mm_status mm_hdf5_enter(mm_error *err)
{
    static bool started;
    pthread_mutex_lock(&library);
    if (!started) {
        /* no function of the library at exit: threads may be inside it then */
        if (H5dont_atexit() < 0 || H5open() < 0) {
            pthread_mutex_unlock(&library);
            return mm_error_set(err, MM_NO_MEMORY, "the HDF5 library does not start");
        }
        started = true;
    }
    /* the stack of errors is the thread's */
    if (H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0) {
        pthread_mutex_unlock(&library);
        return mm_error_set(err, MM_NO_MEMORY, "the HDF5 library cannot be silenced");
    }
    return MM_OK;
}

void mm_hdf5_leave(void)
{
    pthread_mutex_unlock(&library);
}

pid_t mm_hdf5_fork(void)
{
    pthread_mutex_lock(&library);
    pid_t child = fork();
    /* the child's one thread is the one that locked it */
    pthread_mutex_unlock(&library);
    return child;
}

/* --- errors ----------------------------------------------------------------------------------------------------- */

#define REASONS 3 /* of the innermost ones */
#define REASON_TEXT 200

typedef struct reasons {
    char text[REASONS][REASON_TEXT];
    unsigned count;
} reasons;

/* From the place where it went wrong outwards. */
static herr_t add_reason(unsigned n, const H5E_error2_t *entry, void *context)
{
    reasons *all = context;
    (void)n;
    if (all->count == REASONS || entry->desc == NULL || entry->desc[0] == '\0')
        return 0;
    char *text = all->text[all->count];
    snprintf(text, REASON_TEXT, "%s", entry->desc);
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c == 127)
            *c = ' ';
    if (all->count == 0 || strcmp(text, all->text[all->count - 1]) != 0)
        all->count++;
    return 0;
}

mm_status mm_hdf5_failed(mm_error *err, mm_status status, const char *format, ...)
{
    reasons all = {.count = 0};
    char what[512], why[REASONS * (REASON_TEXT + 2)] = "";
    size_t size = 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, add_reason, &all);
    (void)H5Eclear2(H5E_DEFAULT);
    for (unsigned i = all.count; i > 0; i--)
        size += (size_t)snprintf(why + size, sizeof(why) - size, "%s%s", size > 0 ? ": " : "", all.text[i - 1]);
    return mm_error_set(err, status, "%s: %s", what, all.count > 0 ? why : "the HDF5 library gives no reason");
}

/* --- element types ---------------------------------------------------------------------------------------------- */

/* Sign, exponent and mantissa where IEEE 754 has them, all bits used. */
static bool is_ieee(hid_t type, size_t size)
{
    static const struct {
        size_t size, sign, exponent, exponent_size, mantissa_size, bias;
    } known[] = {{2, 15, 10, 5, 10, 15}, {4, 31, 23, 8, 23, 127}, {8, 63, 52, 11, 52, 1023}};
    size_t sign, exponent, exponent_size, mantissa, mantissa_size;
    if (H5Tget_fields(type, &sign, &exponent, &exponent_size, &mantissa, &mantissa_size) < 0 ||
        H5Tget_norm(type) != H5T_NORM_IMPLIED)
        return false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].size == size)
            return sign == known[i].sign && exponent == known[i].exponent &&
                   exponent_size == known[i].exponent_size && mantissa == 0 &&
                   mantissa_size == known[i].mantissa_size && H5Tget_ebias(type) == known[i].bias;
    return false;
}

static bool is_whole(hid_t type, size_t size)
{
    return H5Tget_precision(type) == 8 * size && H5Tget_offset(type) == 0 &&
           (size == 1 || size == 2 || size == 4 || size == 8);
}

static bool is_bool(hid_t type)
{
    int8_t no = -1, yes = -1;
    return H5Tget_size(type) == 1 && H5Tget_nmembers(type) == 2 && H5Tenum_valueof(type, "FALSE", &no) >= 0 &&
           H5Tenum_valueof(type, "TRUE", &yes) >= 0 && no == 0 && yes == 1;
}

mm_hdf5_element mm_hdf5_element_of(hid_t type)
{
    mm_hdf5_element element = {MM_HDF5_OTHER, 0, false};
    size_t size = H5Tget_size(type);
    H5T_class_t class = H5Tget_class(type);
    if (size == 0 || size > UINT32_MAX)
        return element;
    element.size = (uint32_t)size;
    if (class == H5T_FLOAT || class == H5T_INTEGER) {
        H5T_order_t order = H5Tget_order(type);
        element.big_endian = order == H5T_ORDER_BE;
        if ((order != H5T_ORDER_LE && order != H5T_ORDER_BE) || !is_whole(type, size))
            return element;
    }
    if (class == H5T_FLOAT && is_ieee(type, size))
        element.kind = MM_HDF5_FLOAT;
    else if (class == H5T_INTEGER)
        element.kind = H5Tget_sign(type) == H5T_SGN_NONE ? MM_HDF5_UNSIGNED : MM_HDF5_SIGNED;
    else if (class == H5T_ENUM && is_bool(type))
        element.kind = MM_HDF5_BOOL;
    else if ((class == H5T_STRING && H5Tis_variable_str(type) == 0) || class == H5T_OPAQUE)
        element.kind = MM_HDF5_BYTES;
    return element;
}

const char *mm_hdf5_class_name(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        return "integer of an uncommon form";
    case H5T_FLOAT:
        return "float of an uncommon form";
    case H5T_TIME:
        return "time";
    case H5T_STRING:
        return H5Tis_variable_str(type) > 0 ? "variable-length string" : "string";
    case H5T_BITFIELD:
        return "bit field";
    case H5T_OPAQUE:
        return "opaque";
    case H5T_COMPOUND:
        return "compound";
    case H5T_REFERENCE:
        return "reference";
    case H5T_ENUM:
        return "enum";
    case H5T_VLEN:
        return "variable-length sequence";
    case H5T_ARRAY:
        return "array";
    default:
        return "unknown type";
    }
}

const char *mm_hdf5_element_text(const mm_hdf5_element *element, char out[40])
{
    static const char *const names[] = {"other", "float", "int", "uint", "bool", "bytes"};
    if (element->kind == MM_HDF5_BYTES)
        snprintf(out, 40, "%" PRIu32 " bytes", element->size);
    else if (element->kind == MM_HDF5_BOOL || element->kind == MM_HDF5_OTHER)
        snprintf(out, 40, "%s", names[element->kind]);
    else
        snprintf(out, 40, "%s%" PRIu32 "%s", names[element->kind], 8 * element->size,
                 element->big_endian && element->size > 1 ? ", big-endian" : "");
    return out;
}

/* IEEE 754 binary16, for which the library has no name: that of binary32 made smaller. Fields before the size. */
static hid_t half_type(void)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    if (type >= 0 && (H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 || H5Tset_size(type, 2) < 0 ||
                      H5Tset_ebias(type, 15) < 0)) {
        (void)H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

mm_status mm_hdf5_type_of_field(const mm_field *field, hid_t *type, bool *close, uint64_t *elements, mm_error *err)
{
    *close = false;
    *elements = field->dim;
    switch (field->type) {
    case MM_TYPE_INT64:
        *type = H5T_STD_I64LE;
        *elements = 1;
        return MM_OK;
    case MM_TYPE_FLOAT_VECTOR:
        *type = H5T_IEEE_F32LE;
        return MM_OK;
    case MM_TYPE_BINARY_VECTOR:
        *type = H5T_STD_U8LE;
        *elements = field->dim / 8;
        return MM_OK;
    case MM_TYPE_INT8_VECTOR:
        *type = H5T_STD_I8LE;
        return MM_OK;
    case MM_TYPE_FLOAT16_VECTOR:
        *close = true;
        *type = half_type();
        return *type >= 0 ? MM_OK : mm_hdf5_failed(err, MM_NO_MEMORY, "HDF5's type for half floats");
    default:
        return mm_error_set(err, MM_TARGET, "field %s: HDF5 in MilvusDM's layout has no place for %s", field->name,
                            mm_type_name(field->type));
    }
}
