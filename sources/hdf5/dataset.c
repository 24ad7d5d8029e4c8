/* One dataset: its shape, how its bytes lie, what stands in the way of reading them. */
#include "sources/hdf5/dataset.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "sources/hdf5/filters.h"

/* Slots of the table of a dataset's cached chunks: prime, and many for few chunks that are held. */
#define CACHE_SLOTS 12421
#define FILTERS_MAX 32

/* --- shape ------------------------------------------------------------------------------------------------------ */

static mm_status read_filters(hid_t properties, mm_hdf5_shape *out)
{
    int count = H5Pget_nfilters(properties);
    size_t size = 0;
    for (int i = 0; i < count && i < FILTERS_MAX; i++) {
        char name[64] = "";
        unsigned flags, values[1];
        size_t value_count = 0;
        H5Z_filter_t filter = H5Pget_filter2(properties, (unsigned)i, &flags, &value_count, values, sizeof(name), name,
                                             NULL);
        if (filter < 0)
            return MM_DATA;
        name[sizeof(name) - 1] = '\0';
        for (char *c = name; *c != '\0'; c++)
            *c = *c < ' ' ? '?' : *c;
        if (filter != MM_HDF5_FILTER_LZF && H5Zfilter_avail(filter) <= 0 && out->missing[0] == '\0')
            snprintf(out->missing, sizeof(out->missing), "%d%s%.50s", (int)filter, name[0] != '\0' ? ", " : "", name);
        if (size < sizeof(out->filters))
            size += (size_t)snprintf(out->filters + size, sizeof(out->filters) - size, "%s%s", i > 0 ? ", " : "",
                                     name[0] != '\0' ? name : "unnamed");
    }
    return count < 0 ? MM_DATA : MM_OK;
}

static mm_status read_properties(hid_t dataset, mm_hdf5_shape *out)
{
    hid_t properties = H5Dget_create_plist(dataset);
    if (properties < 0)
        return MM_DATA;
    int external = H5Pget_external_count(properties);
    out->layout = H5Pget_layout(properties);
    out->external = external > 0;
    mm_status status = external < 0 || out->layout < 0 ? MM_DATA : read_filters(properties, out);
    if (status == MM_OK && out->layout == H5D_CHUNKED && out->rank >= 1 && out->rank <= 2 &&
        H5Pget_chunk(properties, 2, out->chunk) != out->rank)
        status = MM_DATA;
    (void)H5Pclose(properties);
    return status;
}

static mm_status read_space(hid_t dataset, mm_hdf5_shape *out)
{
    hid_t space = H5Dget_space(dataset);
    if (space < 0)
        return MM_DATA;
    H5S_class_t class = H5Sget_simple_extent_type(space);
    out->rank = class == H5S_SIMPLE || class == H5S_SCALAR ? H5Sget_simple_extent_ndims(space) : -1;
    mm_status status = MM_OK;
    hsize_t most[2];
    if (out->rank >= 1 && out->rank <= 2 && H5Sget_simple_extent_dims(space, out->dims, most) != out->rank)
        status = MM_DATA;
    for (int i = 0; status == MM_OK && i < out->rank && i < 2; i++)
        out->beyond = out->beyond || out->dims[i] > most[i]; /* unlimited is the largest number */
    (void)H5Sclose(space);
    return status;
}

mm_status mm_hdf5_shape_of(hid_t dataset, const char *file, const char *name, mm_hdf5_shape *out, mm_error *err)
{
    *out = (mm_hdf5_shape){.rank = -1};
    hid_t type = H5Dget_type(dataset);
    if (type < 0)
        return mm_hdf5_failed(err, MM_DATA, "%s: dataset %s: its type cannot be read", file, name);
    out->element = mm_hdf5_element_of(type);
    out->class_name = mm_hdf5_class_name(type);
    (void)H5Tclose(type);
    mm_status status = read_space(dataset, out);
    if (status == MM_OK)
        status = read_properties(dataset, out);
    return status == MM_OK ? MM_OK : mm_hdf5_failed(err, MM_DATA, "%s: dataset %s: cannot be described", file, name);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* What stands in the way; NULL: nothing. */
static const char *obstacle(const mm_hdf5_shape *shape, char text[160])
{
    if (shape->element.kind == MM_HDF5_OTHER) {
        snprintf(text, 160, "its elements are of the class %s; numbers, truth values and strings of a fixed length are "
                            "read", shape->class_name);
        return text;
    }
    if (shape->rank != 1 && shape->rank != 2) {
        snprintf(text, 160, "it has %d dimensions; rows in one or two are read", shape->rank);
        return text;
    }
    if (shape->beyond)
        return "its extent is beyond what it may be at most: the file is damaged";
    if (shape->external)
        return "its values are in other files, which are not followed; `h5repack` makes one file of them";
    if (shape->layout == H5D_VIRTUAL)
        return "it is virtual, put together from other datasets, which are not followed; `h5repack` makes a copy";
    if (shape->missing[0] != '\0') {
        snprintf(text, 160, "its filter %s is not known to this HDF5 library; a plugin in HDF5_PLUGIN_PATH brings it, "
                            "`h5repack -f GZIP=1` writes another", shape->missing);
        return text;
    }
    return NULL;
}

/* Bytes that the chunks with the same rows take. False: more than 64 bits. */
static bool chunk_row_bytes(const mm_hdf5_shape *shape, const mm_hdf5_array *array, uint64_t *out)
{
    uint64_t across = shape->rank == 2 ? shape->chunk[1] : 1, bytes, chunks;
    if (across == 0 || shape->chunk[0] == 0)
        return false;
    chunks = array->columns / across + (array->columns % across != 0);
    return mm_mul_u64(shape->chunk[0], across, &bytes) && mm_mul_u64(bytes, chunks, &bytes) &&
           mm_mul_u64(bytes, array->element.size, out);
}

/* Where the values lie in the file, if they lie there as they are. Fewer bytes or more than the extent has are nothing
 * that a writer leaves, and the library would give zeros for what is missing. */
static mm_status find_bytes(hid_t dataset, const char *file, mm_hdf5_array *array, mm_error *err)
{
    uint64_t bytes, kept = H5Dget_storage_size(dataset);
    if (kept == 0) /* nothing was ever written */
        return MM_OK;
    if (!mm_mul_u64(array->columns, array->element.size, &bytes) || !mm_mul_u64(array->rows, bytes, &bytes) ||
        bytes != kept)
        return mm_error_set(err, MM_DATA, "%s: dataset %s: %" PRIu64 " × %" PRIu64 " elements of %" PRIu32
                                          " bytes in %" PRIu64 " bytes: the file is damaged",
                            file, array->name, array->rows, array->columns, array->element.size, kept);
    haddr_t at = H5Dget_offset(dataset);
    if (at != HADDR_UNDEF)
        array->offset = at;
    (void)H5Eclear2(H5E_DEFAULT);
    return MM_OK;
}

static mm_status describe(hid_t dataset, const char *file, const char *name, mm_hdf5_array *array, mm_error *err)
{
    mm_hdf5_shape shape;
    char text[160];
    mm_status status = mm_hdf5_shape_of(dataset, file, name, &shape, err);
    if (status != MM_OK)
        return status;
    const char *wrong = obstacle(&shape, text);
    if (wrong != NULL)
        return mm_error_set(err, MM_DATA, "%s: dataset %s: %s", file, name, wrong);
    *array = (mm_hdf5_array){.element = shape.element,
                             .rows = shape.dims[0],
                             .columns = shape.rank == 2 ? shape.dims[1] : 1};
    snprintf(array->name, sizeof(array->name), "%s", name);
    array->offset = MM_HDF5_NOWHERE;
    if (shape.layout == H5D_CONTIGUOUS)
        return find_bytes(dataset, file, array, err);
    if (shape.layout != H5D_CHUNKED)
        return MM_OK;
    array->chunk_rows = shape.chunk[0];
    if (!chunk_row_bytes(&shape, array, &array->chunk_bytes))
        return mm_error_set(err, MM_DATA, "%s: dataset %s: chunks of %" PRIu64 " × %" PRIu64 " cannot be", file, name,
                            (uint64_t)shape.chunk[0], (uint64_t)shape.chunk[1]);
    return MM_OK;
}

/* Links that lead out of the file are not followed: what is read is what source.path names. */
static herr_t no_other_file(const char *parent, const char *group, const char *file, const char *object,
                            unsigned *flags, hid_t access, void *context)
{
    (void)parent, (void)group, (void)file, (void)object, (void)flags, (void)access, (void)context;
    return -1;
}

/* A link out of the file, by its own name: the library's reason would be that of the function above. */
static mm_status check_link(hid_t file_id, hid_t access, const char *file, const char *name, mm_error *err)
{
    H5L_info_t link;
    if (strcmp(name, "/") != 0 && H5Lget_info(file_id, name, &link, access) < 0)
        return mm_hdf5_failed(err, MM_CONFIG, "%s: no dataset %s (`mmresume inspect` lists them)", file, name);
    if (strcmp(name, "/") != 0 && link.type == H5L_TYPE_EXTERNAL)
        return mm_error_set(err, MM_DATA, "%s: %s is a link to another file, which is not followed; source.path names "
                                          "the file itself", file, name);
    return MM_OK;
}

/* Each chunk is unpacked once, although a block may end within it. */
static mm_status open_with_cache(hid_t file_id, const char *file, const char *name, size_t cache, hid_t *out,
                                 mm_error *err)
{
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    if (access < 0)
        return mm_hdf5_failed(err, MM_NO_MEMORY, "%s: dataset %s", file, name);
    hid_t dataset = H5I_INVALID_HID;
    bool set = H5Pset_elink_cb(access, no_other_file, NULL) >= 0 &&
               (cache == 0 || H5Pset_chunk_cache(access, CACHE_SLOTS, cache, 1.0) >= 0);
    mm_status status = set ? check_link(file_id, access, file, name, err)
                           : mm_hdf5_failed(err, MM_NO_MEMORY, "%s: dataset %s", file, name);
    if (status == MM_OK && (dataset = H5Dopen2(file_id, name, access)) < 0)
        status = mm_hdf5_failed(err, MM_DATA, "%s: dataset %s: cannot be opened", file, name);
    (void)H5Pclose(access);
    if (status == MM_OK)
        *out = dataset;
    return status;
}

mm_status mm_hdf5_dataset_open(hid_t file_id, const char *file, const char *name, hid_t *out, mm_hdf5_array *array,
                               mm_error *err)
{
    hid_t dataset = H5I_INVALID_HID;
    mm_status status = open_with_cache(file_id, file, name, 0, &dataset, err);
    if (status != MM_OK)
        return status;
    status = describe(dataset, file, name, array, err);
    /* a cache of the right size is chosen with the opening */
    if (status == MM_OK && array->chunk_bytes > 0 && array->chunk_bytes < SIZE_MAX) {
        (void)H5Dclose(dataset);
        dataset = H5I_INVALID_HID;
        status = open_with_cache(file_id, file, name, (size_t)array->chunk_bytes, &dataset, err);
    }
    if (status != MM_OK) {
        if (dataset >= 0)
            (void)H5Dclose(dataset);
        return status;
    }
    *out = dataset;
    return MM_OK;
}
