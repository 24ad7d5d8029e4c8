/* Rows from chunks. */
#include "sources/hdf5/unpack.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sources/hdf5/filters.h"

/* A packed chunk has little more than its bytes unpacked, else it would not have been packed. */
#define PACKED_MAX(bytes) ((bytes) + (bytes) / 8 + 4096)

struct mm_hdf5_unpacker {
    hid_t dataset;
    const mm_hdf5_array *array;
    mm_hdf5_pipeline pipeline;
    size_t width;         /* bytes of a row */
    uint64_t across;      /* chunks that share their rows */
    size_t chunk_columns; /* elements of a chunk's row */
    uint8_t *rooms[2];    /* that filters go between, of room_bytes; chunks are read into the first */
    size_t room_bytes;
    uint8_t *held;      /* rows of the chunks that the last block ended in */
    uint64_t held_row;  /* number of that row of chunks; UINT64_MAX: nothing is held */
    uint8_t *fill;      /* one element: what was never written is */
};

/* --- chunks ----------------------------------------------------------------------------------------------------- */

static mm_status bad_chunk(const mm_hdf5_unpacker *u, const hsize_t at[2], const char *wrong, mm_error *err)
{
    return mm_error_set(err, MM_DATA, "dataset %s: the chunk at row %" PRIu64 ", column %" PRIu64 ": %s: the file is "
                                      "damaged", u->array->name, (uint64_t)at[0], (uint64_t)at[1], wrong);
}

/* The chunk that begins there; *data NULL: it was never written. */
static mm_status read_chunk(mm_hdf5_unpacker *u, const hsize_t at[2], const uint8_t **data, mm_error *err)
{
    hsize_t size = 0;
    uint32_t skipped = 0;
    *data = NULL;
    if (H5Dget_chunk_storage_size(u->dataset, at, &size) < 0)
        return mm_hdf5_failed(err, MM_DATA, "dataset %s: the chunk at row %" PRIu64, u->array->name, (uint64_t)at[0]);
    if (size == 0)
        return MM_OK;
    if (size > u->room_bytes)
        return bad_chunk(u, at, "it has more bytes packed than unpacked", err);
    if (H5Dread_chunk(u->dataset, H5P_DEFAULT, at, &skipped, u->rooms[0]) < 0)
        return mm_hdf5_failed(err, MM_DATA, "dataset %s: the chunk at row %" PRIu64 ", column %" PRIu64, u->array->name,
                              (uint64_t)at[0], (uint64_t)at[1]);
    const char *wrong = mm_hdf5_unpack(&u->pipeline, skipped, u->rooms, u->room_bytes, (size_t)size, data);
    return wrong == NULL ? MM_OK : bad_chunk(u, at, wrong, err);
}

static void put_fill(const mm_hdf5_unpacker *u, uint8_t *to, size_t elements)
{
    size_t item = u->array->element.size;
    for (size_t i = 0; i < elements; i++)
        memcpy(to + i * item, u->fill, item);
}

/* The rows of row `number` of chunks, as many as there are, to `out`. */
static mm_status unpack_row(mm_hdf5_unpacker *u, uint64_t number, uint8_t *out, mm_error *err)
{
    const mm_hdf5_array *array = u->array;
    uint64_t first = number * array->chunk_rows;
    size_t item = array->element.size, row_bytes = u->chunk_columns * item;
    size_t rows = (size_t)(array->rows - first < array->chunk_rows ? array->rows - first : array->chunk_rows);
    for (uint64_t c = 0; c < u->across; c++) {
        const hsize_t at[2] = {first, c * u->chunk_columns};
        const uint8_t *data;
        size_t columns = (size_t)array->columns - (size_t)at[1];
        columns = columns < u->chunk_columns ? columns : u->chunk_columns;
        mm_status status = read_chunk(u, at, &data, err);
        if (status != MM_OK)
            return status;
        uint8_t *to = out + at[1] * item;
        if (data != NULL && row_bytes == u->width) {
            memcpy(to, data, rows * row_bytes);
            continue;
        }
        for (size_t row = 0; row < rows; row++, to += u->width)
            if (data != NULL)
                memcpy(to, data + row * row_bytes, columns * item);
            else
                put_fill(u, to, columns);
    }
    return MM_OK;
}

mm_status mm_hdf5_unpack_rows(mm_hdf5_unpacker *u, uint64_t first, uint64_t rows, uint8_t *out, mm_error *err)
{
    uint64_t chunk = u->array->chunk_rows, end = first + rows;
    mm_status status = MM_OK;
    for (uint64_t row = first; status == MM_OK && row < end;) {
        uint64_t number = row / chunk, begins = number * chunk;
        uint64_t last = chunk < u->array->rows - begins ? begins + chunk : u->array->rows;
        uint64_t to = last < end ? last : end;
        uint8_t *at = out + (row - first) * u->width;
        if (row == begins && to == last && number != u->held_row) {
            status = unpack_row(u, number, at, err);
        } else {
            if (number != u->held_row) {
                u->held_row = UINT64_MAX;
                status = unpack_row(u, number, u->held, err);
            }
            if (status == MM_OK) {
                u->held_row = number;
                memcpy(at, u->held + (row - begins) * u->width, (to - row) * u->width);
            }
        }
        row = to;
    }
    return status;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

void mm_hdf5_unpacker_close(mm_hdf5_unpacker *u)
{
    if (u == NULL)
        return;
    free(u->rooms[0]);
    free(u->rooms[1]);
    free(u->held);
    free(u->fill);
    free(u);
}

/* The filters, if all are of the kinds above. */
static bool read_filters(mm_hdf5_unpacker *u, hid_t properties)
{
    unsigned options = 0;
    mm_hdf5_pipeline *pipeline = &u->pipeline;
    pipeline->item = u->array->element.size;
    pipeline->count = H5Pget_nfilters(properties);
    /* chunks at the edges may be left unpacked */
    if (pipeline->count < 0 || pipeline->count > MM_HDF5_FILTERS_MAX || H5Pget_chunk_opts(properties, &options) < 0 ||
        options != 0)
        return false;
    for (int i = 0; i < pipeline->count; i++) {
        unsigned flags, values[1];
        size_t count = MM_COUNT(values);
        H5Z_filter_t filter = H5Pget_filter2(properties, (unsigned)i, &flags, &count, values, 0, NULL, NULL);
        if (filter != H5Z_FILTER_DEFLATE && filter != MM_HDF5_FILTER_LZF && filter != H5Z_FILTER_SHUFFLE &&
            filter != H5Z_FILTER_FLETCHER32)
            return false;
        /* a shuffle of another width than the elements' is nothing that a writer does */
        if (filter == H5Z_FILTER_SHUFFLE && (count < 1 || values[0] != u->array->element.size))
            return false;
        pipeline->filters[i] = filter;
    }
    return true;
}

static bool read_fill(mm_hdf5_unpacker *u, hid_t properties)
{
    H5D_fill_value_t defined;
    if ((u->fill = calloc(1, u->array->element.size)) == NULL || H5Pfill_value_defined(properties, &defined) < 0)
        return false;
    if (defined != H5D_FILL_VALUE_USER_DEFINED)
        return true;
    hid_t type = H5Dget_type(u->dataset);
    bool ok = type >= 0 && H5Pget_fill_value(properties, type, u->fill) >= 0;
    if (type >= 0)
        (void)H5Tclose(type);
    return ok;
}

static bool prepare(mm_hdf5_unpacker *u)
{
    hsize_t chunk[2] = {0, 1};
    hid_t properties = H5Dget_create_plist(u->dataset);
    int rank = properties >= 0 ? H5Pget_chunk(properties, 2, chunk) : -1;
    bool ok = (rank == 1 || rank == 2) && chunk[0] == u->array->chunk_rows && chunk[1] > 0 &&
              read_filters(u, properties) && read_fill(u, properties);
    if (properties >= 0)
        (void)H5Pclose(properties);
    u->chunk_columns = (size_t)chunk[1];
    return ok;
}

static mm_status make_room(mm_hdf5_unpacker *u, mm_error *err)
{
    const mm_hdf5_array *array = u->array;
    u->width = (size_t)mm_hdf5_width(array);
    u->across = array->columns / u->chunk_columns + (array->columns % u->chunk_columns != 0);
    u->pipeline.chunk_bytes = (size_t)(array->chunk_bytes / u->across); /* checked: it is their sum */
    u->room_bytes = PACKED_MAX(u->pipeline.chunk_bytes);
    u->rooms[0] = malloc(u->room_bytes);
    u->rooms[1] = malloc(u->room_bytes);
    u->held = malloc((size_t)array->chunk_rows * u->width);
    if (u->rooms[0] == NULL || u->rooms[1] == NULL || u->held == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "dataset %s: out of memory for chunks of %zu bytes", array->name,
                            u->pipeline.chunk_bytes);
    return MM_OK;
}

mm_status mm_hdf5_unpacker_open(hid_t dataset, const mm_hdf5_array *array, mm_hdf5_unpacker **out, mm_error *err)
{
    *out = NULL;
    if (array->chunk_rows == 0)
        return MM_OK;
    mm_hdf5_unpacker *u = calloc(1, sizeof(*u));
    if (u == NULL)
        return mm_error_set(err, MM_NO_MEMORY, "out of memory for chunks");
    u->dataset = dataset;
    u->array = array;
    u->held_row = UINT64_MAX;
    if (!prepare(u)) {
        (void)H5Eclear2(H5E_DEFAULT);
        mm_hdf5_unpacker_close(u);
        return MM_OK;
    }
    mm_status status = make_room(u, err);
    if (status != MM_OK) {
        mm_hdf5_unpacker_close(u);
        return status;
    }
    *out = u;
    return MM_OK;
}
