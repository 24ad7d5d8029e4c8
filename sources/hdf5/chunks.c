/* Counting chunks twice: in the index, and by looking for each. */
#include "sources/hdf5/chunks.h"

#include <inttypes.h>

#include "base/util.h"

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* How many of the places have a chunk. */
static bool count_found(hid_t dataset, const mm_hdf5_shape *shape, uint64_t down, uint64_t across, uint64_t *found)
{
    *found = 0;
    for (uint64_t row = 0; row < down; row++)
        for (uint64_t column = 0; column < across; column++) {
            hsize_t at[2] = {row * shape->chunk[0], column * shape->chunk[1]}, bytes = 0;
            if (H5Dget_chunk_storage_size(dataset, at, &bytes) < 0)
                return false;
            *found += bytes > 0;
        }
    return true;
}

/* How many chunks the index has, wherever it says that they are. */
static bool count_indexed(hid_t dataset, hsize_t *counted)
{
    hid_t space = H5Dget_space(dataset);
    bool ok = space >= 0 && H5Dget_num_chunks(dataset, space, counted) >= 0;
    if (space >= 0)
        (void)H5Sclose(space);
    return ok;
}

/* Chunks without a filter have the bytes that their shape says; of others the index alone knows. */
static bool is_whole(hid_t dataset, const mm_hdf5_shape *shape, uint64_t counted)
{
    uint64_t bytes;
    return mm_mul_u64(shape->chunk[0], shape->rank == 2 ? shape->chunk[1] : 1, &bytes) &&
           mm_mul_u64(bytes, shape->element.size, &bytes) && mm_mul_u64(bytes, counted, &bytes) &&
           H5Dget_storage_size(dataset) == bytes;
}

mm_status mm_hdf5_check_chunks(hid_t dataset, const char *file, const char *name, mm_error *err)
{
    mm_hdf5_shape shape;
    hsize_t counted = 0;
    uint64_t places, found;
    mm_status status = mm_hdf5_shape_of(dataset, file, name, &shape, err);
    if (status != MM_OK || shape.layout != H5D_CHUNKED)
        return status;
    uint64_t down = ceil_div(shape.dims[0], shape.chunk[0]);
    uint64_t across = shape.rank == 2 ? ceil_div(shape.dims[1], shape.chunk[1]) : 1;
    if (!mm_mul_u64(down, across, &places) || places > MM_HDF5_CHUNKS_CHECKED)
        return MM_OK;
    if (!count_indexed(dataset, &counted) || !count_found(dataset, &shape, down, across, &found))
        return mm_hdf5_failed(err, MM_DATA, "%s: dataset %s: its index of chunks cannot be read", file, name);
    if (found == counted && (shape.filters[0] != '\0' || is_whole(dataset, &shape, counted)))
        return MM_OK;
    if (found == counted)
        return mm_error_set(err, MM_DATA, "%s: dataset %s: its chunks have no filter, and other sizes than chunks: the "
                                          "file is damaged", file, name);
    return mm_error_set(err, MM_DATA, "%s: dataset %s: its index names %" PRIu64 " chunks, and %" PRIu64
                                      " are at their places: the file is damaged", file, name, (uint64_t)counted,
                        found);
}
